#include "waiting.h"

#include <criterion/criterion.h>

static struct waiting waiting;
static uint16_t order[16];
static size_t order_count;

static void
start(void)
{
    waiting_init(&waiting);
}

static enum waiting_fate
everyone_leaves(void *state, const struct waiting_request *request)
{
    (void)state;
    if (order_count < 16) order[order_count++] = request->slot;
    return WAITING_LEAVES;
}

static enum waiting_fate
odd_slots_leave(void *state, const struct waiting_request *request)
{
    (void)state;
    return request->slot % 2 ? WAITING_LEAVES : WAITING_STAYS;
}

static void
end(void)
{
    waiting_each(&waiting, everyone_leaves, NULL);
}

TestSuite(waiting, .init = start, .fini = end);

static bool
add(uint16_t slot, size_t size)
{
    static uint8_t body[1 << 20];
    const struct packet packet = {.slot = slot, .body = body, .size = size};
    return waiting_add(&waiting, &packet, 0);
}

Test(waiting, they_leave_in_the_order_they_came_also_after_some_left_from_the_middle)
{
    for (uint16_t slot = 0; slot < 6; slot++)
        cr_assert(add(slot, 10));
    waiting_each(&waiting, odd_slots_leave, NULL);
    cr_assert(add(6, 10));
    cr_assert_eq(waiting.count, 4);
    order_count = 0;
    waiting_each(&waiting, everyone_leaves, NULL);
    const uint16_t expected[] = {0, 2, 4, 6};
    cr_assert_eq(order_count, 4);
    cr_assert_arr_eq(order, expected, sizeof expected);
    cr_assert_eq(waiting.bytes, 0);
}

Test(waiting, the_last_one_may_leave_and_another_come)
{
    cr_assert(add(0, 1));
    cr_assert(add(1, 1));
    waiting_each(&waiting, odd_slots_leave, NULL);
    cr_assert(add(2, 1));
    order_count = 0;
    waiting_each(&waiting, everyone_leaves, NULL);
    cr_assert_eq(order_count, 2);
    cr_assert_eq(order[1], 2);
}

Test(waiting, there_is_a_limit_of_number)
{
    for (int i = 0; i < WAITING_MAX; i++)
        cr_assert(add(0, 0));
    cr_assert_not(add(0, 0));
}

Test(waiting, there_is_a_limit_of_bytes)
{
    for (int i = 0; i < WAITING_BYTES_MAX >> 20; i++)
        cr_assert(add(0, 1 << 20));
    cr_assert_not(add(0, 1));
    cr_assert(add(0, 0));
}
