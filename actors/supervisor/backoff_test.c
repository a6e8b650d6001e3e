#include "backoff.h"

#include <criterion/criterion.h>

Test(backoff, the_first_restart_is_at_once_and_then_it_doubles_up_to_its_limit)
{
    const int64_t expected[] = {0, 50, 100, 200, 400, 800, 1600, 2000, 2000};
    int64_t wait = -1;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        wait = backoff_next(wait, 5, BACKOFF_MOST_MS);
        cr_assert_eq(wait, expected[i]);
    }
}

Test(backoff, one_that_has_lived_is_forgiven)
{
    cr_assert_eq(backoff_next(2000, BACKOFF_FORGIVEN_MS - 1, BACKOFF_MOST_MS), 2000);
    cr_assert_eq(backoff_next(2000, BACKOFF_FORGIVEN_MS, BACKOFF_MOST_MS), 0);
}

Test(backoff, postgres_is_tried_again_soon_however_often_it_refuses)
{
    int64_t wait = -1;
    for (int i = 0; i < 100; i++) {
        wait = backoff_next(wait, 25, BACKOFF_POSTGRES_MOST_MS);
        cr_assert(wait <= BACKOFF_POSTGRES_MOST_MS);
    }
}
