#include "authentication.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

Test(authentication, each_row_is_found_by_its_number_and_nothing_else_is)
{
    for (uint64_t n = AUTHENTICATION_PASSED; n <= AUTHENTICATION_ABANDONED; n++)
        cr_expect(eq(i64, authentication_numbered(n)->number, (int64_t)n));
    cr_expect(authentication_numbered(AUTHENTICATION_NONE) == NULL);
    cr_expect(authentication_numbered(99) == NULL);
}

Test(authentication, networks_have_their_own_indicators)
{
    const struct authentication *passed = authentication_numbered(AUTHENTICATION_PASSED);
    cr_expect(eq(str, (char *)authentication_eci(passed, TEXT("visa")), "05"));
    cr_expect(eq(str, (char *)authentication_eci(passed, TEXT("mastercard")), "02"));
    const struct authentication *none = authentication_numbered(AUTHENTICATION_REJECTED);
    cr_expect(authentication_eci(none, TEXT("visa")) == NULL);
}
