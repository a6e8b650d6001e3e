#include "endpoints.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define WANTS 64
static struct endpoint_want wants[WANTS];
static const struct moment start = {1000000, 5000};

static struct moment
later(int64_t ms)
{
    return (struct moment){start.wall_ms + ms, start.mono_ms + ms};
}

/* How many of that endpoint would be taken now. They are not started. */
static int
asked(struct endpoints *endpoints, const char *id, struct moment now)
{
    const size_t count = endpoints_pick(endpoints, now, wants, WANTS);
    for (size_t i = 0; i < count; i++)
        if (strcmp(wants[i].endpoint, id) == 0) return wants[i].count;
    return 0;
}

static void
succeed(struct endpoints *endpoints, const char *id, int times, struct moment now)
{
    endpoints_work(endpoints, id, 0);
    for (int i = 0; i < times; i++) {
        endpoints_started(endpoints, id, now);
        endpoints_ended(endpoints, id, true, 0, now);
    }
}

Test(endpoints, get_one_slot_first_and_twice_as_many_with_each_success)
{
    struct endpoints *endpoints = endpoints_new(4);
    static const int shares[] = {1, 2, 4, 4, 4};
    endpoints_work(endpoints, "we_a", 0);
    for (size_t i = 0; i < 5; i++) {
        cr_expect_eq(asked(endpoints, "we_a", start), shares[i], "after %zu", i);
        succeed(endpoints, "we_a", 1, start);
    }
    endpoints_started(endpoints, "we_a", start);
    cr_expect_eq(asked(endpoints, "we_a", start), 3);
    endpoints_ended(endpoints, "we_a", false, 0, start);
    cr_expect_eq(asked(endpoints, "we_a", later(HOLD_FIRST_MS)), 1);
    endpoints_destroy(&endpoints);
}

Test(endpoints, are_not_asked_before_something_is_due)
{
    struct endpoints *endpoints = endpoints_new(4);
    cr_assert_eq(endpoints_wait_ms(endpoints, start), NEVER_MS);
    endpoints_work(endpoints, "we_a", start.wall_ms + 700);
    cr_assert_eq(asked(endpoints, "we_a", start), 0);
    cr_assert_eq(endpoints_wait_ms(endpoints, start), 700);
    cr_assert_eq(asked(endpoints, "we_a", later(700)), 1);
    cr_assert_eq(endpoints_wait_ms(endpoints, later(700)), 0);
    endpoints_destroy(&endpoints);
}

Test(endpoints, where_less_was_found_than_asked_for_are_left_alone)
{
    struct endpoints *endpoints = endpoints_new(4);
    succeed(endpoints, "we_a", 2, start);
    cr_assert_eq(asked(endpoints, "we_a", start), 4);
    endpoints_found(endpoints, &wants[0], 4);
    cr_assert_eq(asked(endpoints, "we_a", start), 4);
    endpoints_found(endpoints, &wants[0], 3);
    cr_assert_eq(asked(endpoints, "we_a", start), 0);
    cr_assert_eq(endpoints_wait_ms(endpoints, start), NEVER_MS);
    endpoints_work(endpoints, "we_a", start.wall_ms);
    cr_assert_eq(asked(endpoints, "we_a", start), 4);
    endpoints_destroy(&endpoints);
}

Test(endpoints, that_fail_are_held_for_twice_as_long_each_time_up_to_half_a_minute)
{
    struct endpoints *endpoints = endpoints_new(4);
    int64_t at = 0, hold = HOLD_FIRST_MS;
    endpoints_work(endpoints, "we_a", 0);
    for (int i = 0; i < 20; i++) {
        endpoints_started(endpoints, "we_a", later(at));
        endpoints_ended(endpoints, "we_a", false, 0, later(at));
        cr_expect_eq(asked(endpoints, "we_a", later(at + hold - 1)), 0);
        cr_expect_eq(endpoints_wait_ms(endpoints, later(at)), hold);
        cr_expect_eq(asked(endpoints, "we_a", later(at + hold)), 1);
        at += hold;
        hold = hold * 2 < HOLD_MAX_MS ? hold * 2 : HOLD_MAX_MS;
    }
    succeed(endpoints, "we_a", 1, later(at));
    cr_assert_eq(asked(endpoints, "we_a", later(at)), 2);
    endpoints_destroy(&endpoints);
}

Test(endpoints, that_ask_to_be_left_alone_are_within_bounds)
{
    struct endpoints *endpoints = endpoints_new(4);
    endpoints_work(endpoints, "we_a", 0);
    endpoints_started(endpoints, "we_a", start);
    endpoints_ended(endpoints, "we_a", false, 5000, start);
    cr_assert_eq(asked(endpoints, "we_a", later(4999)), 0);
    cr_assert_eq(asked(endpoints, "we_a", later(5000)), 1);
    endpoints_started(endpoints, "we_a", later(5000));
    endpoints_ended(endpoints, "we_a", false, 86400000, later(5000));
    cr_assert_eq(asked(endpoints, "we_a", later(5000 + HOLD_MAX_MS)), 1);
    endpoints_destroy(&endpoints);
}

/* Takes all that is picked, as if there were always something due. */
static int
start_all(struct endpoints *endpoints, struct moment now)
{
    int started = 0;
    for (size_t count; (count = endpoints_pick(endpoints, now, wants, WANTS));)
        for (size_t i = 0; i < count; i++)
            for (int n = 0; n < wants[i].count; n++, started++)
                endpoints_started(endpoints, wants[i].endpoint, now);
    return started;
}

static void
name(char *out, const char *kind, int number)
{
    snprintf(out, ENDPOINT_ID_MAX + 1, "we_%s%d", kind, number);
}

Test(endpoints, that_hang_leave_room_for_those_that_answer)
{
    struct endpoints *endpoints = endpoints_new(4);
    char id[ENDPOINT_ID_MAX + 1];
    for (int i = 0; i < 1000; i++) {
        name(id, "hanging", i);
        endpoints_work(endpoints, id, 0);
    }
    cr_assert_eq(start_all(endpoints, start), OTHER_SLOTS);
    cr_assert_eq(start_all(endpoints, later(60000)), 0);

    /* It has answered before, so it finds room; so do a hundred others of its kind. */
    succeed(endpoints, "we_good", 2, later(60000));
    cr_assert_eq(start_all(endpoints, later(60000)), 4);
    for (int i = 0; i < 100; i++) {
        name(id, "good", i);
        succeed(endpoints, id, 2, later(60000));
    }
    cr_assert_eq(start_all(endpoints, later(60000)), TRUSTED_SLOTS - 4);

    /* Now they hang too: they count with the others, and yet others still find room. */
    succeed(endpoints, "we_better", 2, later(62000));
    cr_assert_eq(start_all(endpoints, later(62000)), TRUSTED_SLOTS);
    cr_assert_leq(endpoints_under_way(endpoints), DELIVERY_SLOTS);
    endpoints_destroy(&endpoints);
}

Test(endpoints, never_take_more_slots_than_there_are)
{
    struct endpoints *endpoints = endpoints_new(64);
    char id[ENDPOINT_ID_MAX + 1];
    for (int i = 0; i < 800; i++) {
        name(id, "x", i);
        succeed(endpoints, id, 8, start);
    }
    for (int round = 0; round < 40; round++) {
        start_all(endpoints, later(round * 2000));
        cr_assert_leq(endpoints_under_way(endpoints), DELIVERY_SLOTS);
    }
    cr_assert_eq(endpoints_under_way(endpoints), DELIVERY_SLOTS);
    cr_assert_eq(endpoints_wait_ms(endpoints, later(1000000)), NEVER_MS);
    endpoints_destroy(&endpoints);
}

Test(endpoints, take_turns_when_there_are_more_than_can_be_picked)
{
    struct endpoints *endpoints = endpoints_new(1);
    char id[ENDPOINT_ID_MAX + 1];
    int seen[10] = {0};
    for (int i = 0; i < 10; i++) {
        name(id, "", i);
        endpoints_work(endpoints, id, 0);
    }
    for (int i = 0; i < 10; i++) {
        struct endpoint_want two[2];
        cr_assert_eq(endpoints_pick(endpoints, start, two, 2), 2);
        seen[two[0].endpoint[3] - '0']++;
        seen[two[1].endpoint[3] - '0']++;
    }
    for (int i = 0; i < 10; i++)
        cr_expect_eq(seen[i], 2);
    endpoints_destroy(&endpoints);
}

Test(endpoints, beyond_those_that_fit_wait_and_the_idle_are_forgotten)
{
    struct endpoints *endpoints = endpoints_new(1);
    char id[ENDPOINT_ID_MAX + 1];
    for (int i = 0; i < ENDPOINTS_KNOWN_MAX; i++) {
        name(id, "", i);
        endpoints_work(endpoints, id, i < 10 ? 0 : NEVER_MS);
    }
    endpoints_started(endpoints, "we_10", start); /* busy: not forgotten */
    endpoints_work(endpoints, "we_new", 0);
    cr_assert_eq(endpoints_pick(endpoints, start, wants, WANTS), 11);
    endpoints_ended(endpoints, "we_10", true, 0, start);
    for (int i = 0; i < ENDPOINTS_KNOWN_MAX; i++) {
        name(id, "y", i);
        endpoints_work(endpoints, id, 0);
    }
    endpoints_work(endpoints, "we_too_many", 0);
    endpoints_destroy(&endpoints);
    cr_assert_null(endpoints);
    endpoints_destroy(&endpoints);
}
