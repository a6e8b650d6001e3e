#include "schedule.h"

#include <criterion/criterion.h>
#include <string.h>

static struct schedule
read(const char *words, int64_t jitter)
{
    struct schedule schedule;
    char error[128] = "";
    cr_assert(schedule_read(words, jitter, &schedule, error, sizeof error), "%s", error);
    return schedule;
}

Test(schedule, goes_through_its_delays_and_then_gives_up)
{
    const struct schedule schedule = read("5 30  120", 0);
    cr_assert_eq(schedule.count, 3);
    cr_assert_eq(schedule.total_ms, 155000);
    cr_assert_eq(schedule_next_ms(&schedule, 1, 99, 0), 5000);
    cr_assert_eq(schedule_next_ms(&schedule, 2, 99, 0), 30000);
    cr_assert_eq(schedule_next_ms(&schedule, 3, 99, 0), 120000);
    cr_assert_eq(schedule_next_ms(&schedule, 4, 99, 0), -1);
    cr_assert_eq(schedule_next_ms(&schedule, 5000, 99, 0), -1);
}

Test(schedule, the_shipped_one_takes_about_three_days)
{
    const struct schedule schedule = read("5 30 120 600 3600 10800 21600 43200 86400 86400", 20);
    cr_assert_gt(schedule.total_ms, INT64_C(70) * 3600 * 1000 - 1);
    cr_assert_lt(schedule.total_ms, INT64_C(76) * 3600 * 1000);
}

Test(schedule, lengthens_a_delay_by_at_most_its_jitter_and_never_shortens_it)
{
    const struct schedule schedule = read("10", 20);
    for (uint64_t chance = 0; chance < 5000; chance++) {
        const int64_t delay = schedule_next_ms(&schedule, 1, chance, 0);
        cr_assert(delay >= 10000 && delay <= 12000);
    }
    cr_assert_eq(schedule_next_ms(&schedule, 1, 2000, 0), 12000);
    cr_assert_leq(schedule_next_ms(&schedule, 1, UINT64_MAX, 0), 12000);
}

Test(schedule, honours_what_the_endpoint_asks_for_but_comes_back_within_a_day)
{
    const struct schedule schedule = read("10 10", 0);
    cr_assert_eq(schedule_next_ms(&schedule, 1, 0, 3), 10000); /* sooner than we would */
    cr_assert_eq(schedule_next_ms(&schedule, 1, 0, 60), 60000);
    cr_assert_eq(schedule_next_ms(&schedule, 1, 0, 86400), 86400000);
    cr_assert_eq(schedule_next_ms(&schedule, 1, 0, 86401), 86400000);
    cr_assert_eq(schedule_next_ms(&schedule, 1, 0, INT64_MAX), 86400000);
    cr_assert_eq(schedule_next_ms(&schedule, 3, 0, 60), -1); /* the last try was the last */
}

Test(schedule, may_be_empty_or_at_once)
{
    const struct schedule none = read("", 20);
    cr_assert_eq(schedule_next_ms(&none, 1, 0, 0), -1);
    const struct schedule at_once = read("0", 100);
    cr_assert_eq(schedule_next_ms(&at_once, 1, 12345, 0), 0);
}

Test(schedule, is_refused_with_a_sentence_when_it_is_not_seconds)
{
    static const char *const bad[] = {
        "soon", "5 soon", "5,30", "-5", "+5", "5.5", "5s", "2592001", "99999999999999999999", "\t5",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct schedule schedule;
        char error[128] = "";
        cr_expect_not(schedule_read(bad[i], 0, &schedule, error, sizeof error), "%s", bad[i]);
        cr_expect(strncmp(error, "webhook_retry_s: ", 17) == 0, "%s", error);
    }
}

Test(schedule, has_at_most_so_many_tries)
{
    char words[2 * SCHEDULE_TRIES_MAX + 3] = "";
    for (int i = 0; i < SCHEDULE_TRIES_MAX; i++)
        memcpy(words + 2 * i, "1 ", 3);
    struct schedule schedule = read(words, 0);
    cr_assert_eq(schedule.count, SCHEDULE_TRIES_MAX);
    memcpy(words + 2 * SCHEDULE_TRIES_MAX, "1", 2);
    char error[128];
    cr_assert_not(schedule_read(words, 0, &schedule, error, sizeof error));
}
