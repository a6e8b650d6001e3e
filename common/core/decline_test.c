#include "decline.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

Test(decline, every_row_is_found_by_its_name_and_has_words_for_the_payer)
{
    for (int i = 0; i < DECLINE_COUNT; i++) {
        cr_expect(eq(ptr, (void *)decline_named(text_of(declines[i].name)), (void *)&declines[i]),
                  "%s is there twice", declines[i].name);
        cr_expect(declines[i].code && declines[i].message[0]);
    }
}

Test(decline, an_unknown_reason_is_a_refusal_without_a_reason)
{
    cr_expect(
        eq(ptr, (void *)decline_named(TEXT("moon_phase")), (void *)&declines[DECLINE_GENERIC]));
    cr_expect(eq(ptr, (void *)decline_named(NO_TEXT), (void *)&declines[DECLINE_GENERIC]));
}
