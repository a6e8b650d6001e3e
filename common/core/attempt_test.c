#include "attempt.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

Test(attempt, a_final_state_has_no_way_out)
{
    int arrows = 0;
    for (int s = ATTEMPT_NONE; s < ATTEMPT_STATE_COUNT; s++)
        for (int e = 0; e < ATTEMPT_EVENT_COUNT; e++) {
            const enum attempt_state next =
                attempt_step((enum attempt_state)s, (enum attempt_event)e);
            if (next == ATTEMPT_NONE) continue;
            arrows++;
            cr_expect(s == ATTEMPT_NONE || attempt_is_open((enum attempt_state)s));
            cr_expect(attempt_may_go((enum attempt_state)s, next));
        }
    cr_expect(eq(int, arrows, 14));
}

Test(attempt, what_is_being_reversed_can_only_be_reversed)
{
    for (int s = ATTEMPT_NONE + 1; s < ATTEMPT_STATE_COUNT; s++)
        cr_expect(eq(int, attempt_may_go(ATTEMPT_REVERSING, (enum attempt_state)s),
                     s == ATTEMPT_REVERSED || s == ATTEMPT_REVERSING),
                  "to %s", attempt_state_name((enum attempt_state)s));
}

Test(attempt, every_state_can_be_reached_and_is_named)
{
    bool seen[ATTEMPT_STATE_COUNT] = {true};
    for (int round = 0; round < ATTEMPT_STATE_COUNT; round++)
        for (int s = 0; s < ATTEMPT_STATE_COUNT; s++)
            for (int e = 0; e < ATTEMPT_EVENT_COUNT && seen[s]; e++)
                seen[attempt_step((enum attempt_state)s, (enum attempt_event)e)] = true;
    for (int s = ATTEMPT_NONE + 1; s < ATTEMPT_STATE_COUNT; s++) {
        const char *name = attempt_state_name((enum attempt_state)s);
        cr_expect(seen[s], "%s is never reached", name);
        cr_expect(eq(int, attempt_state_named(text_of(name)), s));
    }
    cr_expect(eq(int, attempt_state_named(TEXT("lost")), ATTEMPT_NONE));
}
