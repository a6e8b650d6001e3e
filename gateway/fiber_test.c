#include "fiber.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct walker {
    struct fiber *fiber;
    int id, steps;
};

static char trace[256];

static void
walk(void *state)
{
    struct walker *walker = state;
    for (int step = 0;; step++) {
        sprintf(trace + strlen(trace), "%d%c", walker->id, 'a' + step);
        walker->steps = step + 1;
        fiber_wait();
    }
}

Test(fiber, each_goes_on_where_it_waits)
{
    struct walker one = {.id = 1}, two = {.id = 2};
    trace[0] = '\0';
    one.fiber = fiber_new(walk, &one);
    two.fiber = fiber_new(walk, &two);
    cr_expect(eq(int, one.steps, 0), "it begins when it is told to");
    fiber_go(one.fiber);
    fiber_go(two.fiber);
    fiber_go(two.fiber);
    fiber_go(one.fiber);
    fiber_go(two.fiber);
    cr_expect(eq(str, trace, "1a2a2b1b2c"));
    fiber_destroy(&one.fiber);
    fiber_destroy(&two.fiber);
    cr_expect(eq(ptr, one.fiber, NULL));
    fiber_destroy(&one.fiber);
}

static void
look_around(void *state)
{
    struct fiber **seen = state;
    for (;;) {
        *seen = fiber_running();
        fiber_wait();
    }
}

Test(fiber, who_runs_is_known)
{
    struct fiber *seen = NULL, *fiber = fiber_new(look_around, &seen);
    cr_expect(eq(ptr, fiber_running(), NULL));
    fiber_go(fiber);
    cr_expect(eq(ptr, seen, fiber));
    cr_expect(eq(ptr, fiber_running(), NULL));
    fiber_destroy(&fiber);
}

/* Waits at the bottom of its stack, with something on each floor. */
static int
descend(int floors)
{
    char floor[1024];
    memset(floor, floors, sizeof floor);
    if (floors > 1)
        floors = descend(floors - 1) + 1;
    else
        fiber_wait();
    for (size_t i = 0; i < sizeof floor; i++)
        if (floor[i] != floors) return -1000;
    return floors;
}

static void
dive(void *state)
{
    for (;;) {
        *(int *)state = descend(60);
        fiber_wait();
    }
}

Test(fiber, many_are_deep_at_the_same_time)
{
    enum { MANY = 1000 };
    static struct fiber *fibers[MANY];
    static int depths[MANY];
    for (int i = 0; i < MANY; i++)
        fiber_go(fibers[i] = fiber_new(dive, &depths[i]));
    for (int i = 0; i < MANY; i++)
        cr_assert(eq(int, depths[i], 0));
    for (int i = MANY - 1; i >= 0; i--)
        fiber_go(fibers[i]);
    for (int i = 0; i < MANY; i++) {
        cr_assert(eq(int, depths[i], 60));
        fiber_destroy(&fibers[i]);
    }
}

#ifndef __SANITIZE_ADDRESS__ /* which ends the process itself */
static void
fall(void *state)
{
    *(int *)state = descend(1 << 20);
    fiber_wait();
}

/* It ends the process, and reaches nobody else's memory. */
Test(fiber, one_that_is_too_deep_meets_the_guard, .signal = SIGSEGV)
{
    int depth = 0;
    struct fiber *fiber = fiber_new(fall, &depth);
    fiber_go(fiber);
    cr_assert(false);
}
#endif
