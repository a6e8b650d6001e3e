#include "attempt.h"

#include <assert.h>

// clang-format off
/* Every arrow there is. From REVERSING only REVERSED follows: an approval that arrives after the
 * decision to reverse is not booked (mutant NO_REVERSING of the model). */
static const enum attempt_state arrows[ATTEMPT_STATE_COUNT][ATTEMPT_EVENT_COUNT] = {
    [ATTEMPT_NONE]     [ATTEMPT_ON_BEGIN]               = ATTEMPT_SENDING,
    [ATTEMPT_SENDING]  [ATTEMPT_ON_ANSWERED_APPROVED]   = ATTEMPT_APPROVED,
    [ATTEMPT_SENDING]  [ATTEMPT_ON_ANSWERED_DECLINED]   = ATTEMPT_DECLINED,
    [ATTEMPT_SENDING]  [ATTEMPT_ON_ANSWERED_NEVER_SENT] = ATTEMPT_NEVER_SENT,
    [ATTEMPT_SENDING]  [ATTEMPT_ON_ANSWERED_CHALLENGED] = ATTEMPT_CHALLENGED,
    [ATTEMPT_SENDING]  [ATTEMPT_ON_TAKEN_OVER]          = ATTEMPT_UNKNOWN,
    [ATTEMPT_UNKNOWN]  [ATTEMPT_ON_ANSWERED_APPROVED]   = ATTEMPT_APPROVED,
    [ATTEMPT_UNKNOWN]  [ATTEMPT_ON_ANSWERED_DECLINED]   = ATTEMPT_DECLINED,
    [ATTEMPT_UNKNOWN]  [ATTEMPT_ON_ANSWERED_REVERSED]   = ATTEMPT_REVERSED,
    [ATTEMPT_UNKNOWN]  [ATTEMPT_ON_ANSWERED_CHALLENGED] = ATTEMPT_CHALLENGED,
    [ATTEMPT_UNKNOWN]  [ATTEMPT_ON_TAKEN_OVER]          = ATTEMPT_UNKNOWN,
    [ATTEMPT_UNKNOWN]  [ATTEMPT_ON_NOT_FOUND]           = ATTEMPT_REVERSING,
    [ATTEMPT_REVERSING][ATTEMPT_ON_TAKEN_OVER]          = ATTEMPT_REVERSING,
    [ATTEMPT_REVERSING][ATTEMPT_ON_ANSWERED_REVERSED]   = ATTEMPT_REVERSED,
};
// clang-format on

enum attempt_state
attempt_step(enum attempt_state now, enum attempt_event event)
{
    assert(now < ATTEMPT_STATE_COUNT);
    assert(event < ATTEMPT_EVENT_COUNT);
    return arrows[now][event];
}

bool
attempt_may_go(enum attempt_state from, enum attempt_state to)
{
    assert(from < ATTEMPT_STATE_COUNT);
    assert(to < ATTEMPT_STATE_COUNT);
    for (int e = 0; e < ATTEMPT_EVENT_COUNT; e++)
        if (to != ATTEMPT_NONE && arrows[from][e] == to) return true;
    return false;
}

bool
attempt_is_open(enum attempt_state state)
{
    return state == ATTEMPT_SENDING || state == ATTEMPT_UNKNOWN || state == ATTEMPT_REVERSING;
}

#define AS_NAME(name, word, doc) [ATTEMPT_##name] = (word),
static const char *const state_names[ATTEMPT_STATE_COUNT] = {ATTEMPT_STATES(AS_NAME)};
#undef AS_NAME
#define AS_NAME(name, word) [ATTEMPT_ON_##name] = (word),
static const char *const event_names[ATTEMPT_EVENT_COUNT] = {ATTEMPT_EVENTS(AS_NAME)};
#undef AS_NAME

const char *
attempt_state_name(enum attempt_state state)
{
    assert(state < ATTEMPT_STATE_COUNT);
    return state == ATTEMPT_NONE ? "none" : state_names[state];
}

const char *
attempt_event_name(enum attempt_event event)
{
    assert(event < ATTEMPT_EVENT_COUNT);
    return event_names[event];
}

enum attempt_state
attempt_state_named(struct text name)
{
    for (int s = ATTEMPT_NONE + 1; s < ATTEMPT_STATE_COUNT; s++)
        if (text_is(name, state_names[s])) return (enum attempt_state)s;
    return ATTEMPT_NONE;
}
