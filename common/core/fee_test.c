#include "fee.h"
#include "money.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

Test(fee, it_is_2_9_percent_and_30_rounded_half_up)
{
    static const struct {
        int64_t amount, fee;
    } cases[] = {{2000, 88}, {1000, 59}, {50, 31}, {100, 33}, {1050, 60}, {99999999, 2900030},
                 {1, 1},     {30, 30},   {31, 31}, {500, 45}, {17, 17}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect(eq(i64, fee_of_payment(cases[i].amount), cases[i].fee));
}

Test(fee, the_largest_amount_does_not_overflow)
{
    cr_expect(eq(i64, fee_of_payment(INT64_C(99999999999999)), INT64_C(2900000000030)));
}

Test(money, sums_that_do_not_fit_or_match_are_refused)
{
    struct money sum = {7, 1};
    cr_expect(not(money_add((struct money){1, 1}, (struct money){1, 2}, &sum)));
    cr_expect(not(money_add((struct money){INT64_MAX, 1}, (struct money){1, 1}, &sum)));
    cr_expect(eq(i64, sum.minor, 7));
    cr_assert(money_add((struct money){-5, 1}, (struct money){12, 1}, &sum));
    cr_expect(eq(i64, sum.minor, 7));
}
