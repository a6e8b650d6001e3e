#include "payment_intent.h"

#include "mutant.h"

#include <assert.h>
#include <stdbool.h>

struct edge {
    enum pi_state to; /* PI_NOWHERE: refused */
    uint32_t effects;
};

/* The whole truth: no other line of the program changes a state. A pair written twice does not
 * compile (-Woverride-init), and the diagram in docs/ is drawn from this table. What is attached
 * while the payer is being asked (NEEDS_ACTION) makes that asking void: it is confirmed anew. */
// clang-format off
static const struct edge edges[PI_STATE_COUNT][PI_EVENT_COUNT] = {
    [PI_NEEDS_METHOD] [ON_ATTACH]        = {PI_NEEDS_CONFIRM, 0},
    [PI_NEEDS_METHOD] [ON_CANCEL]        = {PI_CANCELED,      TELL},
    [PI_NEEDS_CONFIRM][ON_ATTACH]        = {PI_NEEDS_CONFIRM, 0},
    [PI_NEEDS_CONFIRM][ON_DETACH]        = {PI_NEEDS_METHOD,  0},
    [PI_NEEDS_CONFIRM][ON_CONFIRM]       = {PI_PROCESSING,    ASK_NETWORK},
    [PI_NEEDS_CONFIRM][ON_CANCEL]        = {PI_CANCELED,      TELL},
    [PI_NEEDS_ACTION] [ON_ATTACH]        = {PI_NEEDS_CONFIRM, 0},
    [PI_NEEDS_ACTION] [ON_DETACH]        = {PI_NEEDS_METHOD,  0},
    [PI_NEEDS_ACTION] [ON_CONFIRM]       = {PI_PROCESSING,    ASK_NETWORK},
    [PI_NEEDS_ACTION] [ON_AUTHENTICATED] = {PI_PROCESSING,    ASK_NETWORK},
    [PI_NEEDS_ACTION] [ON_PROVED]        = {PI_NEEDS_CONFIRM, 0},
    [PI_NEEDS_ACTION] [ON_DECLINED]      = {PI_NEEDS_METHOD,  TELL},
    [PI_NEEDS_ACTION] [ON_CANCEL]        = {PI_CANCELED,      TELL},
    [PI_PROCESSING]   [ON_CHALLENGED]    = {PI_NEEDS_ACTION,  TELL},
    [PI_PROCESSING]   [ON_HELD]          = {PI_NEEDS_CAPTURE, POST_HOLD | TELL},
    [PI_PROCESSING]   [ON_PAID]          = {PI_SUCCEEDED,     POST_CHARGE | TELL},
    [PI_PROCESSING]   [ON_DECLINED]      = {PI_NEEDS_METHOD,  TELL},
    [PI_NEEDS_CAPTURE][ON_CAPTURE]       = {PI_SUCCEEDED,     RELEASE_HOLD | POST_CHARGE | TELL},
    [PI_NEEDS_CAPTURE][ON_CANCEL]        = {PI_CANCELED,      RELEASE_HOLD | TELL},
    [PI_NEEDS_CAPTURE][ON_EXPIRED]       = {PI_CANCELED,      RELEASE_HOLD | TELL},
    [PI_NEEDS_CAPTURE][ON_INCREMENTED]   = {PI_NEEDS_CAPTURE, POST_HOLD | TELL},
    [PI_NEEDS_CAPTURE][ON_CAPTURE_PART]  = {PI_NEEDS_CAPTURE, RELEASE_HOLD | POST_CHARGE | TELL},
    [PI_NEEDS_CAPTURE][ON_RELEASED]      = {PI_SUCCEEDED,     RELEASE_HOLD | TELL},
};
// clang-format on

enum pi_verdict
pi_step(const struct payment_intent *now, enum pi_event event, int64_t amount,
        struct payment_intent *next, uint32_t *effects)
{
    assert(now->state > PI_NOWHERE && now->state < PI_STATE_COUNT);
    assert(event < PI_EVENT_COUNT);
    assert(now->captured >= 0);
    assert(now->captured <= now->held);

    const struct edge edge = edges[now->state][event];
    const bool captures = event == ON_CAPTURE || event == ON_CAPTURE_PART;
    const bool moves_money =
        event == ON_HELD || event == ON_PAID || event == ON_INCREMENTED || captures;
    const bool is_of_whole = event == ON_CANCEL || event == ON_EXPIRED || event == ON_INCREMENTED;
    *next = *now;
    *effects = 0;

    if (edge.to == PI_NOWHERE) return PI_WRONG_STATE;
    if (is_of_whole && now->captured > 0) return PI_CAPTURED_IN_PART;
    if (event == ON_RELEASED && now->captured == 0) return PI_NOT_CAPTURED_IN_PART;
    if (moves_money && amount <= 0) return PI_AMOUNT_NOT_POSITIVE;
    const int64_t taken = FLORIN_MUTANT(parts_not_added_up) ? 0 : now->captured;
    if (captures && amount > now->held - taken) return PI_AMOUNT_ABOVE_HOLD;

    next->state = edge.to;
    if (event == ON_HELD || event == ON_PAID) next->held = amount;
    if (event == ON_INCREMENTED) next->held += amount;
    if (event == ON_PAID || captures) next->captured += amount;
    /* What the last capture leaves goes back to the payer. */
    if (edge.effects & RELEASE_HOLD && next->state != PI_NEEDS_CAPTURE) next->held = next->captured;
    *effects = edge.effects;

    assert(next->captured <= next->held);
    assert(next->state == PI_NEEDS_CAPTURE || next->captured == next->held);
    return PI_OK;
}

#define AS_NAME(name, number, api) [PI_##name] = (api),
static const char *const names[PI_STATE_COUNT] = {PI_STATES(AS_NAME)};
#undef AS_NAME

const char *
pi_state_name(enum pi_state state)
{
    assert(state > PI_NOWHERE && state < PI_STATE_COUNT);
    return names[state];
}

enum pi_state
pi_state_named(struct text name)
{
    for (int s = PI_NOWHERE + 1; s < PI_STATE_COUNT; s++)
        if (text_is(name, names[s])) return (enum pi_state)s;
    return PI_NOWHERE;
}
