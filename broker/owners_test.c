#include "owners.h"

#include "partition.h"

#include <criterion/criterion.h>
#include <string.h>

static uint8_t all[SLOT_BYTES];
static struct owners owners;

static void
start(void)
{
    memset(all, 0xff, sizeof all);
    owners_init(&owners);
}

TestSuite(owners, .init = start);

static unsigned
owned_by(uint8_t worker)
{
    uint8_t set[SLOT_BYTES];
    owners_owned(&owners, worker, set);
    return slot_count(set);
}

/* Every move that is under way comes to its end. */
static void
settle(void)
{
    for (uint8_t w = 0; w < WORKERS_MAX; w++) {
        uint8_t set[SLOT_BYTES];
        owners_moving(&owners, w, set);
        owners_let_go(&owners, w, set);
    }
    for (uint8_t w = 0; w < WORKERS_MAX; w++)
        owners_grant(&owners, w, all);
}

Test(owners, nobody_alive_owns_nothing)
{
    const bool alive[WORKERS_MAX] = {false};
    owners_plan(&owners, 1, 1, alive);
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++)
        cr_assert_eq(owners_route(&owners, slot), NO_WORKER);
}

Test(owners, an_owner_gets_no_request_before_the_ledger_grants_it)
{
    const bool alive[WORKERS_MAX] = {[3] = true};
    owners_plan(&owners, 1, 1, alive);
    cr_assert_eq(owned_by(3), SLOT_COUNT);
    cr_assert_eq(owners_route(&owners, 17), NO_WORKER);
    owners_grant(&owners, 3, all);
    cr_assert_eq(owners_route(&owners, 17), 3);
}

static void
plan_for(unsigned sharing, const char *living)
{
    bool alive[WORKERS_MAX] = {false};
    for (; *living; living++)
        alive[*living - '0'] = true;
    owners_choose(&owners, sharing, alive);
    owners_plan(&owners, 1, 1, alive);
}

Test(owners, whoever_stands_ready_owns_nothing_until_it_is_needed)
{
    plan_for(1, "012");
    cr_assert_eq(owned_by(0), SLOT_COUNT);
    settle();
    owners_lose(&owners, 0);
    plan_for(1, "12");
    cr_assert_eq(owned_by(1), SLOT_COUNT);
    settle();
    /* Who comes back stands ready: nothing moves. */
    plan_for(1, "012");
    settle();
    cr_assert_eq(owned_by(1), SLOT_COUNT);
    cr_assert_eq(owned_by(0), 0);
    plan_for(2, "012");
    settle();
    cr_assert_eq(owned_by(1), SLOT_COUNT / 2);
    cr_assert_eq(owned_by(0), SLOT_COUNT / 2);
    owners_lose(&owners, 1);
    plan_for(2, "02");
    settle();
    cr_assert_eq(owned_by(0), SLOT_COUNT / 2);
    cr_assert_eq(owned_by(2), SLOT_COUNT / 2);
}

Test(owners, fewer_than_are_to_share_share_all)
{
    plan_for(4, "35");
    cr_assert_eq(owned_by(3), SLOT_COUNT / 2);
    cr_assert_eq(owned_by(5), SLOT_COUNT / 2);
    plan_for(4, "");
    cr_assert_eq(owned_by(3), SLOT_COUNT / 2);
}

static unsigned
owned_in(uint8_t worker, int partition, int partitions)
{
    unsigned count = 0;
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++)
        count += owners.owner[slot] == worker && partition_of_slot(slot, partitions) == partition;
    return count;
}

Test(owners, a_partitions_slots_are_its_own_workers)
{
    bool first[WORKERS_MAX] = {[0] = true, [2] = true}, second[WORKERS_MAX] = {[1] = true};
    for (int round = 0; round < 2; round++) { /* the second plan changes nothing */
        owners_plan(&owners, 1, 2, first);
        owners_plan(&owners, 2, 2, second);
        settle();
        cr_expect_eq(owned_in(0, 1, 2), SLOT_COUNT / 4);
        cr_expect_eq(owned_in(2, 1, 2), SLOT_COUNT / 4);
        cr_expect_eq(owned_in(1, 2, 2), SLOT_COUNT / 2);
    }
    /* Whoever is lost in one is replaced from it alone. */
    owners_lose(&owners, 0);
    first[0] = false;
    owners_plan(&owners, 1, 2, first);
    settle();
    cr_expect_eq(owned_in(2, 1, 2), SLOT_COUNT / 2);
    owners_lose(&owners, 1);
    second[1] = false;
    owners_plan(&owners, 2, 2, second);
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++)
        cr_expect_eq(owners_route(&owners, slot), partition_of_slot(slot, 2) == 1 ? 2 : NO_WORKER);
}

Test(owners, a_grant_to_another_than_the_owner_is_left_alone)
{
    const bool alive[WORKERS_MAX] = {[0] = true};
    owners_plan(&owners, 1, 1, alive);
    owners_grant(&owners, 1, all);
    cr_assert_eq(owners_route(&owners, 0), NO_WORKER);
}

Test(owners, every_plan_is_even_and_moves_as_few_as_it_can)
{
    bool alive[WORKERS_MAX] = {false};
    uint32_t chance = 1;
    for (int round = 0; round < 400; round++) {
        uint8_t before[SLOT_COUNT];
        memcpy(before, owners.owner, sizeof before);
        chance = chance * 1664525 + 1013904223;
        const uint8_t changed = (uint8_t)(chance >> 24) % 12;
        alive[changed] = !alive[changed];
        if (!alive[changed]) owners_lose(&owners, changed);
        owners_plan(&owners, 1, 1, alive);
        settle();

        unsigned living = 0, least = SLOT_COUNT, most = 0, moved = 0;
        for (uint8_t w = 0; w < WORKERS_MAX; w++) {
            if (!alive[w]) continue;
            const unsigned n = owned_by(w);
            least = n < least ? n : least;
            most = n > most ? n : most;
            living++;
        }
        if (living == 0) continue;
        cr_assert_leq(most - least, 1);
        for (uint16_t slot = 0; slot < SLOT_COUNT; slot++) {
            cr_assert_neq(owners_route(&owners, slot), NO_WORKER);
            moved += before[slot] != NO_WORKER && before[slot] != owners.owner[slot];
        }
        /* One came or one went: only its share moves. */
        cr_assert_leq(moved, living == 1
                                 ? SLOT_COUNT
                                 : SLOT_COUNT / living + 1 +
                                       (alive[changed] ? 0 : SLOT_COUNT / (living + 1) + 1));
        if (alive[changed]) cr_assert_leq(moved, SLOT_COUNT / living + 1);
    }
}

Test(owners, a_plan_that_is_even_already_changes_nothing)
{
    const bool alive[WORKERS_MAX] = {[1] = true, [4] = true, [9] = true};
    owners_plan(&owners, 1, 1, alive);
    settle();
    const struct owners before = owners;
    owners_plan(&owners, 1, 1, alive);
    cr_assert_arr_eq(before.owner, owners.owner, sizeof owners.owner);
    cr_assert_arr_eq(before.next, owners.next, sizeof owners.next);
}

Test(owners, a_slot_that_moves_takes_no_request_until_it_has_arrived)
{
    bool alive[WORKERS_MAX] = {[0] = true};
    owners_plan(&owners, 1, 1, alive);
    owners_grant(&owners, 0, all);
    alive[1] = true;
    owners_plan(&owners, 1, 1, alive);

    uint8_t moving[SLOT_BYTES];
    owners_moving(&owners, 0, moving);
    cr_assert_eq(slot_count(moving), SLOT_COUNT / 2);
    uint16_t one = 0;
    while (!slot_in(moving, one))
        one++;
    cr_assert_eq(owners_route(&owners, one), NO_WORKER);
    owners_let_go(&owners, 0, moving);
    cr_assert_eq(owners_route(&owners, one), NO_WORKER);
    owners_grant(&owners, 1, moving);
    cr_assert_eq(owners_route(&owners, one), 1);
}

Test(owners, one_who_dies_while_slots_move_to_it_leaves_them_where_they_were)
{
    bool alive[WORKERS_MAX] = {[0] = true};
    owners_plan(&owners, 1, 1, alive);
    owners_grant(&owners, 0, all);
    alive[1] = true;
    owners_plan(&owners, 1, 1, alive);
    alive[1] = false;
    owners_lose(&owners, 1);
    owners_plan(&owners, 1, 1, alive);
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++)
        cr_assert_eq(owners_route(&owners, slot), 0);
}

Test(owners, one_who_comes_back_keeps_its_slots_but_must_be_granted_them_again)
{
    const bool alive[WORKERS_MAX] = {[0] = true, [1] = true};
    owners_plan(&owners, 1, 1, alive);
    owners_grant(&owners, 0, all);
    owners_grant(&owners, 1, all);
    owners_reborn(&owners, 1);
    cr_assert_eq(owned_by(1), SLOT_COUNT / 2);
    cr_assert_not(owners_all_held(&owners, 1));
    cr_assert(owners_all_held(&owners, 0));
    owners_grant(&owners, 1, all);
    cr_assert(owners_all_held(&owners, 1));
}

Test(owners, what_a_worker_still_holds_is_its_own_after_the_broker_was_restarted)
{
    uint8_t half[SLOT_BYTES] = {0};
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot += 2)
        slot_add(half, slot);
    owners_claim(&owners, 5, half);
    owners_claim(&owners, 6, all); /* what another owns cannot be claimed */
    cr_assert_eq(owners_route(&owners, 0), 5);
    cr_assert_eq(owners_route(&owners, 1), 6);
    const bool alive[WORKERS_MAX] = {[5] = true, [6] = true};
    owners_plan(&owners, 1, 1, alive);
    cr_assert_eq(owners_route(&owners, 0), 5, "an even claim is left as it is");
    cr_assert_eq(owners_route(&owners, 1), 6);
}
