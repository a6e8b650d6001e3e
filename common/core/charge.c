#include "charge.h"

#include <assert.h>

/* The whole truth, as in payment_intent.c. */
// clang-format off
static const enum charge_state edges[CHARGE_STATE_COUNT][CHARGE_EVENT_COUNT] = {
    [CHARGE_PENDING] [CHARGE_ON_HELD]          = CHARGE_HELD,
    [CHARGE_PENDING] [CHARGE_ON_PAID]          = CHARGE_CAPTURED,
    [CHARGE_PENDING] [CHARGE_ON_DECLINED]      = CHARGE_FAILED,
    [CHARGE_HELD]    [CHARGE_ON_INCREMENTED]   = CHARGE_HELD,
    [CHARGE_HELD]    [CHARGE_ON_CAPTURED_PART] = CHARGE_HELD,
    [CHARGE_HELD]    [CHARGE_ON_CAPTURED]      = CHARGE_CAPTURED,
    [CHARGE_HELD]    [CHARGE_ON_RELEASED]      = CHARGE_RELEASED,
    [CHARGE_HELD]    [CHARGE_ON_RELEASED_REST] = CHARGE_CAPTURED,
    [CHARGE_CAPTURED][CHARGE_ON_REFUNDED_PART] = CHARGE_CAPTURED,
    [CHARGE_CAPTURED][CHARGE_ON_REFUNDED_ALL]  = CHARGE_REFUNDED,
    [CHARGE_CAPTURED][CHARGE_ON_REFUND_BACK]   = CHARGE_CAPTURED,
    [CHARGE_REFUNDED][CHARGE_ON_REFUND_BACK]   = CHARGE_CAPTURED,
};
// clang-format on

enum charge_state
charge_step(enum charge_state now, enum charge_event event)
{
    assert(now > CHARGE_NOWHERE && now < CHARGE_STATE_COUNT);
    assert(event < CHARGE_EVENT_COUNT);
    return edges[now][event];
}

// clang-format off
#define AS_NAME(name, number, word, status, paid, captured, refunded) [CHARGE_##name] = (word),
static const char *const names[CHARGE_STATE_COUNT] = {CHARGE_STATES(AS_NAME)};
#undef AS_NAME
#define AS_SHOWN(name, number, word, status, paid, captured, refunded) \
    [CHARGE_##name] = {status, paid, captured, refunded},
static const struct charge_shown shown[CHARGE_STATE_COUNT] = {CHARGE_STATES(AS_SHOWN)};
#undef AS_SHOWN
// clang-format on

const char *
charge_state_name(enum charge_state state)
{
    assert(state > CHARGE_NOWHERE && state < CHARGE_STATE_COUNT);
    return names[state];
}

struct charge_shown
charge_shown(enum charge_state state)
{
    assert(state > CHARGE_NOWHERE && state < CHARGE_STATE_COUNT);
    return shown[state];
}

enum charge_state
charge_state_of(struct text status, bool paid, bool captured, bool refunded)
{
    for (int s = CHARGE_NOWHERE + 1; s < CHARGE_STATE_COUNT; s++)
        if (text_is(status, shown[s].status) && paid == shown[s].paid &&
            captured == shown[s].captured && refunded == shown[s].refunded)
            return (enum charge_state)s;
    return CHARGE_NOWHERE;
}
