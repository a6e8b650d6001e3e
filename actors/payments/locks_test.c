#include "locks.h"

#include "random.h"
#include <criterion/criterion.h>

static struct locks locks;
static void *granted[16];
static int granted_count;

static void
note(void *state, void *owner)
{
    (void)state;
    granted[granted_count++] = owner;
}

static void
begin(void)
{
    random_start();
    locks_init(&locks, note, NULL);
    granted_count = 0;
}

static void
end(void)
{
    cr_expect_eq(locks.names.count, 0, "every lock was given back");
    locks_end(&locks);
}

TestSuite(locks, .init = begin, .fini = end);

static bool
take(struct locker *locker, const char *object)
{
    if (!locker->owner) locker->owner = locker;
    return lock_take(&locks, locker, TEXT("acct_a"), text_of(object));
}

Test(locks, an_object_is_held_by_one_call_at_a_time_and_the_first_to_wait_is_next)
{
    struct locker a = {0}, b = {0}, c = {0};
    cr_expect(take(&a, "pi_1"));
    cr_expect(take(&a, "pi_1"), "what one holds, one may take again");
    cr_expect(!take(&b, "pi_1"));
    cr_expect(!take(&c, "pi_1"));
    locks_release(&locks, &a);
    cr_expect_eq(granted_count, 1);
    cr_expect_eq(granted[0], &b);
    cr_expect(take(&b, "pi_1"));
    locks_release(&locks, &b);
    cr_expect_eq(granted[1], &c);
    locks_release(&locks, &c);
    cr_expect_eq(granted_count, 2);
}

Test(locks, objects_of_two_merchants_do_not_stand_in_each_others_way)
{
    struct locker a = {0}, b = {.owner = &b};
    cr_expect(take(&a, "pi_1"));
    cr_expect(lock_take(&locks, &b, TEXT("acct_b"), TEXT("pi_1")));
    locks_release(&locks, &a);
    locks_release(&locks, &b);
}

Test(locks, whoever_waits_for_an_older_one_holds_nothing)
{
    struct locker old = {0}, young = {0};
    cr_expect(take(&old, "pi_1"));
    cr_expect(take(&young, "pi_2"));
    cr_expect(!take(&young, "pi_1"));
    cr_expect(take(&old, "pi_2"), "it was given back when its holder began to wait");
    locks_release(&locks, &old);
    cr_expect_eq(granted_count, 1);
    cr_expect_eq(granted[0], &young);
    cr_expect(take(&young, "pi_2"));
    locks_release(&locks, &young);
}

Test(locks, whoever_waits_for_a_younger_one_keeps_what_it_has)
{
    struct locker old = {0}, young = {0};
    cr_expect(take(&old, "pi_1"));
    cr_expect(take(&young, "pi_2"));
    cr_expect(!take(&old, "pi_2"));
    cr_expect(!take(&young, "pi_1"), "it is still the older one's");
    cr_expect_eq(granted_count, 1);
    cr_expect_eq(granted[0], &old);
    cr_expect(take(&old, "pi_1") && take(&old, "pi_2"));
    locks_release(&locks, &old);
    cr_expect_eq(granted[1], &young);
    locks_release(&locks, &young);
}

/* The old one keeps a lock and waits for one that an older one has in sight. */
Test(locks, nobody_is_made_to_wait_for_an_older_one_with_something_in_their_hands)
{
    struct locker oldest = {0}, old = {0}, young = {0};
    cr_expect(take(&oldest, "pi_3"));
    cr_expect(take(&old, "pi_1"));
    cr_expect(take(&young, "pi_2"));
    cr_expect(!take(&oldest, "pi_2"));
    cr_expect(!take(&old, "pi_2"));
    locks_release(&locks, &young);
    cr_expect_eq(granted[0], &old, "though the oldest is before it in the line");
    locks_release(&locks, &old);
    locks_release(&locks, &oldest);
}

/* Calls of every kind of order, each run from its start whenever it is given what it waited for:
 * all end, and soon. Three that want two objects in different orders used to hand them round. */
Test(locks, all_come_to_an_end_in_whatever_order_they_want_their_objects)
{
    static const char *const objects[] = {"pi_1", "cs_1", "seti_1", "ch_1"};
    enum { CALLS = 6, WANTED = 3, RUNS_MAX = 200 };
    for (int round = 0; round < 3000; round++) {
        struct locker calls[CALLS] = {0};
        const char *wants[CALLS][WANTED];
        struct locker *ready[RUNS_MAX + CALLS];
        int first = 0, last = 0, done = 0;
        for (int c = 0; c < CALLS; c++) {
            for (int w = 0; w < WANTED; w++)
                wants[c][w] = objects[random_below(4)];
            ready[last++] = &calls[c];
        }
        for (; first < last; first++) {
            cr_assert(first < RUNS_MAX, "round %d goes on and on", round);
            struct locker *const call = ready[first];
            int got = 0;
            granted_count = 0;
            while (got < WANTED && take(call, wants[call - calls][got]))
                got++;
            if (got == WANTED) {
                locks_release(&locks, call);
                done++;
            }
            for (int g = 0; g < granted_count; g++)
                ready[last++] = granted[g];
        }
        cr_assert_eq(done, CALLS, "round %d: somebody waits for ever", round);
    }
}

Test(locks, who_gives_up_waiting_leaves_the_line)
{
    struct locker a = {0}, b = {0}, c = {0};
    cr_expect(take(&a, "pi_1"));
    cr_expect(!take(&b, "pi_1"));
    cr_expect(!take(&c, "pi_1"));
    locks_release(&locks, &b);
    locks_release(&locks, &a);
    cr_expect_eq(granted_count, 1);
    cr_expect_eq(granted[0], &c);
    locks_release(&locks, &c);
}

Test(locks, a_try_does_not_wait)
{
    struct locker a = {0}, b = {.owner = &b};
    cr_expect(take(&a, "pi_1"));
    cr_expect(!lock_try(&locks, &b, TEXT("acct_a"), TEXT("pi_1")));
    locks_release(&locks, &a);
    cr_expect_eq(granted_count, 0);
    cr_expect(lock_try(&locks, &b, TEXT("acct_a"), TEXT("pi_1")));
    locks_release(&locks, &b);
}

Test(locks, a_name_too_long_for_any_object_locks_nothing)
{
    static char name[LOCK_NAME_MAX + 1];
    struct locker a = {.owner = &a}, b = {.owner = &b};
    memset(name, 'x', sizeof name);
    const struct text object = {name, sizeof name};
    cr_expect(lock_take(&locks, &a, TEXT("acct_a"), object));
    cr_expect(lock_take(&locks, &b, TEXT("acct_a"), object));
    locks_release(&locks, &a);
    locks_release(&locks, &b);
}
