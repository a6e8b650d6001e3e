#include "later.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>

static int
take(struct later *later, int64_t now_ms)
{
    int *thing = later_take(later, now_ms);
    const int number = thing ? *thing : -1;
    free(thing);
    return number;
}

Test(later, things_come_when_they_are_due_and_in_their_order)
{
    enum { MANY = 500 };
    struct later *later = later_new(MANY);
    /* 7 and 500 have no common divisor: each due time from 0 to 99 five times, in no order. */
    for (int i = 0; i < MANY; i++) {
        const int number = i * 7 % MANY;
        cr_assert(later_put(later, number % 100, &number, sizeof number));
    }
    cr_expect(not(later_put(later, 0, "", 1)), "the limit is reached");
    cr_expect(eq(i64, later_wait_ms(later, -5, 1000), 5));
    int taken = 0;
    for (int64_t now_ms = -1; now_ms <= 100; now_ms++)
        for (int number; (number = take(later, now_ms)) >= 0; taken++)
            cr_expect(eq(int, number % 100, (int)now_ms));
    cr_expect(eq(int, taken, MANY));
    cr_expect(eq(i64, later_wait_ms(later, 0, 1000), 1000));
    later_destroy(&later);
    later_destroy(&later);
}

Test(later, of_two_at_once_the_first_comes_first)
{
    struct later *later = later_new(16);
    for (int i = 0; i < 16; i++)
        cr_assert(later_put(later, 5, &i, sizeof i));
    for (int i = 0; i < 15; i++)
        cr_expect(eq(int, take(later, 5), i));
    later_destroy(&later); /* with one left in it */
}
