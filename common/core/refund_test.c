#include "refund.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

/* Each row mends one thing in the row above and meets the next verdict. */
Test(refund, errors_come_in_their_order_of_precedence)
{
    static const struct {
        struct refundable charge;
        int64_t asked;
        enum refund_verdict verdict;
    } rows[] = {
        {{true, false, 1000, 1000, 0}, 1001, REFUND_CHARGE_FAILED},
        {{false, false, 1000, 1000, 0}, 1001, REFUND_ALL_GONE},
        {{false, false, 1000, 0, 0}, 999, REFUND_PART_NOT_CAPTURED},
        {{false, false, 1000, 0, 0}, 1001, REFUND_NOT_CAPTURED},
        {{false, true, 1000, 300, 700}, 1001, REFUND_UNDER_WAY},
        {{false, true, 1000, 300, 200}, 501, REFUND_TOO_MUCH},
        {{false, true, 1000, 300, 200}, 500, REFUND_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t granted = -1;
        cr_expect(eq(int, refund_check(&rows[i].charge, rows[i].asked, &granted), rows[i].verdict),
                  "row %zu", i);
        cr_expect(eq(i64, granted, rows[i].verdict == REFUND_OK ? rows[i].asked : -1));
    }
}

Test(refund, without_an_amount_it_is_all_that_is_left)
{
    const struct refundable charge = {false, true, 1000, 300, 200};
    int64_t granted = 0;
    cr_assert(eq(int, refund_check(&charge, 0, &granted), REFUND_OK));
    cr_expect(eq(i64, granted, 500));
}

Test(refund, no_two_grants_ever_come_to_more_than_the_charge)
{
    for (int64_t first = 1; first <= 10; first++)
        for (int64_t second = 1; second <= 10; second++) {
            struct refundable charge = {false, true, 10, 0, 0};
            int64_t granted;
            cr_assert(eq(int, refund_check(&charge, first, &granted), REFUND_OK));
            charge.refunding += granted;
            const enum refund_verdict verdict = refund_check(&charge, second, &granted);
            cr_expect(eq(int, verdict == REFUND_OK, first + second <= 10));
        }
}
