#include "refund.h"

#include <assert.h>

int64_t
refund_rest(const struct refundable *charge)
{
    assert(charge->amount > 0);
    assert(charge->refunded >= 0 && charge->refunding >= 0);
    assert(charge->refunded <= charge->amount - charge->refunding);
    return charge->amount - charge->refunded - charge->refunding;
}

enum refund_verdict
refund_check(const struct refundable *charge, int64_t asked, int64_t *granted)
{
    const int64_t rest = refund_rest(charge);
    assert(asked >= 0);
    if (charge->failed) return REFUND_CHARGE_FAILED;
    if (charge->refunded == charge->amount) return REFUND_ALL_GONE;
    if (!charge->captured)
        return asked && asked < charge->amount ? REFUND_PART_NOT_CAPTURED : REFUND_NOT_CAPTURED;
    if (rest == 0) return REFUND_UNDER_WAY;
    if (asked > rest) return REFUND_TOO_MUCH;
    *granted = asked ? asked : rest;
    return REFUND_OK;
}

struct edge {
    enum refund_state to; /* REFUND_NOWHERE: refused */
    uint32_t effects;
};

/* The whole truth, as in payment_intent.c. What is booked is the merchant's loss from the moment
 * that the network has taken it, done or not; what does not come to pass is credited. */
// clang-format off
static const struct edge edges[REFUND_STATE_COUNT][REFUND_EVENT_COUNT] = {
    [REFUND_IS_ASKED]    [REFUND_ON_TAKEN]    = {REFUND_IS_PENDING,   REFUND_BOOK | REFUND_TELL},
    [REFUND_IS_ASKED]    [REFUND_ON_DONE]     = {REFUND_IS_SUCCEEDED, REFUND_BOOK | REFUND_TELL},
    [REFUND_IS_ASKED]    [REFUND_ON_REFUSED]  = {REFUND_IS_FAILED,    REFUND_TELL},
    [REFUND_IS_PENDING]  [REFUND_ON_TAKEN]    = {REFUND_IS_PENDING,   0},
    [REFUND_IS_PENDING]  [REFUND_ON_DONE]     = {REFUND_IS_SUCCEEDED, REFUND_TELL},
    [REFUND_IS_PENDING]  [REFUND_ON_RETURNED] = {REFUND_IS_FAILED,    REFUND_CREDIT | REFUND_TELL},
    [REFUND_IS_PENDING]  [REFUND_ON_RECALLED] = {REFUND_IS_CANCELED,  REFUND_CREDIT | REFUND_TELL},
    [REFUND_IS_PENDING]  [REFUND_ON_EXPIRED]  = {REFUND_IS_FAILED,    REFUND_CREDIT | REFUND_TELL},
    [REFUND_IS_SUCCEEDED][REFUND_ON_DONE]     = {REFUND_IS_SUCCEEDED, 0},
    [REFUND_IS_SUCCEEDED][REFUND_ON_RETURNED] = {REFUND_IS_FAILED,    REFUND_CREDIT | REFUND_TELL},
};

#define AS_NAME(name, number, word, status) [REFUND_IS_##name] = (word),
static const char *const names[REFUND_STATE_COUNT] = {REFUND_STATES(AS_NAME)};
#undef AS_NAME
#define AS_STATUS(name, number, word, status) [REFUND_IS_##name] = (status),
static const char *const statuses[REFUND_STATE_COUNT] = {REFUND_STATES(AS_STATUS)};
#undef AS_STATUS
// clang-format on

enum refund_state
refund_step(enum refund_state now, enum refund_event event, uint32_t *effects)
{
    assert(now > REFUND_NOWHERE && now < REFUND_STATE_COUNT);
    assert(event < REFUND_EVENT_COUNT);
    *effects = edges[now][event].effects;
    return edges[now][event].to;
}

const char *
refund_state_name(enum refund_state state)
{
    assert(state > REFUND_NOWHERE && state < REFUND_STATE_COUNT);
    return names[state];
}

const char *
refund_status(enum refund_state state)
{
    assert(state > REFUND_NOWHERE && state < REFUND_STATE_COUNT);
    return statuses[state];
}

enum refund_state
refund_state_of(struct text status, bool answered)
{
    for (int s = answered ? REFUND_IS_PENDING : REFUND_IS_ASKED; s < REFUND_STATE_COUNT; s++)
        if (text_is(status, statuses[s])) return (enum refund_state)s;
    return REFUND_NOWHERE;
}
