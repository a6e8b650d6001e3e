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

Test(locks, whoever_waits_holds_nothing_so_nobody_waits_for_ever)
{
    struct locker a = {0}, b = {0};
    cr_expect(take(&a, "pi_1"));
    cr_expect(take(&b, "pi_2"));
    cr_expect(!take(&a, "pi_2"));
    cr_expect(take(&b, "pi_1"), "it was given back when its holder began to wait");
    locks_release(&locks, &b);
    cr_expect_eq(granted_count, 1);
    cr_expect_eq(granted[0], &a);
    cr_expect(take(&a, "pi_1"));
    locks_release(&locks, &a);
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
