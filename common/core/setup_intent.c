#include "setup_intent.h"

#include <assert.h>

struct edge {
    enum si_state to; /* SI_NOWHERE: refused */
    uint32_t effects;
};

/* The whole truth, as in payment_intent.c. */
// clang-format off
static const struct edge edges[SI_STATE_COUNT][SI_EVENT_COUNT] = {
    [SI_NEEDS_METHOD] [SI_ON_ATTACH]        = {SI_NEEDS_CONFIRM, 0},
    [SI_NEEDS_METHOD] [SI_ON_CANCEL]        = {SI_CANCELED,      SI_TELL},
    [SI_NEEDS_CONFIRM][SI_ON_ATTACH]        = {SI_NEEDS_CONFIRM, 0},
    [SI_NEEDS_CONFIRM][SI_ON_DETACH]        = {SI_NEEDS_METHOD,  0},
    [SI_NEEDS_CONFIRM][SI_ON_CONFIRM]       = {SI_PROCESSING,    SI_ASK_NETWORK},
    [SI_NEEDS_CONFIRM][SI_ON_CANCEL]        = {SI_CANCELED,      SI_TELL},
    [SI_NEEDS_ACTION] [SI_ON_ATTACH]        = {SI_NEEDS_CONFIRM, 0},
    [SI_NEEDS_ACTION] [SI_ON_DETACH]        = {SI_NEEDS_METHOD,  0},
    [SI_NEEDS_ACTION] [SI_ON_CONFIRM]       = {SI_PROCESSING,    SI_ASK_NETWORK},
    [SI_NEEDS_ACTION] [SI_ON_AUTHENTICATED] = {SI_PROCESSING,    SI_ASK_NETWORK},
    [SI_NEEDS_ACTION] [SI_ON_DECLINED]      = {SI_NEEDS_METHOD,  SI_TELL},
    [SI_NEEDS_ACTION] [SI_ON_CANCEL]        = {SI_CANCELED,      SI_TELL},
    [SI_PROCESSING]   [SI_ON_CHALLENGED]    = {SI_NEEDS_ACTION,  SI_TELL},
    [SI_PROCESSING]   [SI_ON_VERIFIED]      = {SI_SUCCEEDED,     SI_KEEP_METHOD | SI_TELL},
    [SI_PROCESSING]   [SI_ON_DECLINED]      = {SI_NEEDS_METHOD,  SI_TELL},
};
// clang-format on

enum si_state
si_step(enum si_state now, enum si_event event, uint32_t *effects)
{
    assert(now > SI_NOWHERE && now < SI_STATE_COUNT);
    assert(event < SI_EVENT_COUNT);
    *effects = edges[now][event].effects;
    return edges[now][event].to;
}

#define AS_NAME(name, number, api) [SI_##name] = (api),
static const char *const names[SI_STATE_COUNT] = {SI_STATES(AS_NAME)};
#undef AS_NAME

const char *
si_state_name(enum si_state state)
{
    assert(state > SI_NOWHERE && state < SI_STATE_COUNT);
    return names[state];
}

enum si_state
si_state_named(struct text name)
{
    for (int s = SI_NOWHERE + 1; s < SI_STATE_COUNT; s++)
        if (text_is(name, names[s])) return (enum si_state)s;
    return SI_NOWHERE;
}
