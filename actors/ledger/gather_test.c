#include "gather.h"

#include <criterion/criterion.h>

Test(gather, a_batch_of_few_keeps_nobody_waiting)
{
    for (size_t held = 0; held < 4; held++)
        for (size_t waiting = 0; waiting < 100; waiting++)
            cr_expect_eq(gather_ms(held, waiting), 0);
}

Test(gather, the_while_grows_with_what_the_last_batch_held_and_has_an_end)
{
    cr_expect_eq(gather_ms(4, 1), 2);
    cr_expect_eq(gather_ms(6, 1), 2);
    cr_expect_eq(gather_ms(7, 1), 3);
    cr_expect_eq(gather_ms(21, 1), 7);
    cr_expect_eq(gather_ms(22, 1), 8);
    cr_expect_eq(gather_ms(4096, 1), 8);
}

Test(gather, as_many_as_are_worth_a_batch_wait_for_nobody)
{
    cr_expect_eq(gather_ms(96, 31), 8);
    cr_expect_eq(gather_ms(96, 32), 0);
    cr_expect_eq(gather_ms(96, 4096), 0);
}

/* At four commands a millisecond the while finds its longest from any batch that is not small, and
 * at one it goes away again. */
Test(gather, what_comes_decides_whether_there_is_a_while)
{
    size_t much = 8, little = 24;
    for (int batch = 0; batch < 20; batch++) {
        much = (size_t)gather_ms(much, 1) * 4;
        little = (size_t)gather_ms(little, 1);
    }
    cr_expect_eq(much, 32);
    cr_expect_eq(little, 0);
}
