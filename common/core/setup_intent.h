/* setup_intent: the life of a card that is being set up for later payments, as a pure function.
 *
 * As payment_intent.h without the money: give it where a set-up stands and what just happened; it
 * answers where it goes and what the world must be told. */
#pragma once

#include "must_use.h"
#include "text.h"
#include <stdint.h>

// clang-format off
/* State, number, name in the API. Add at the end; a number is never used again. */
#define SI_STATES(X) \
    X(NEEDS_METHOD,  1, "requires_payment_method") \
    X(NEEDS_CONFIRM, 2, "requires_confirmation") \
    X(NEEDS_ACTION,  3, "requires_action") \
    X(PROCESSING,    4, "processing") \
    X(SUCCEEDED,     5, "succeeded") \
    X(CANCELED,      6, "canceled")
#define AS_ENUM(name, number, api) SI_##name = (number),
enum si_state { SI_NOWHERE, SI_STATES(AS_ENUM) SI_STATE_COUNT };
#undef AS_ENUM

/* Event, what happened. */
#define SI_EVENTS(X) \
    X(ATTACH,        "a payment method was named") \
    X(DETACH,        "the payment method was taken away") \
    X(CONFIRM,       "the network is to be asked whether the card is good") \
    X(CHALLENGED,    "the payer has to prove who they are") \
    X(AUTHENTICATED, "they did") \
    X(VERIFIED,      "the issuer says that the card is good") \
    X(DECLINED,      "the issuer or the network said no, or the asking was undone") \
    X(CANCEL,        "it was given up")
#define AS_ENUM(name, doc) SI_ON_##name,
enum si_event { SI_EVENTS(AS_ENUM) SI_EVENT_COUNT };
#undef AS_ENUM

/* What the actor does with the new state, in the same commit. */
enum si_effect { SI_ASK_NETWORK = 1, SI_KEEP_METHOD = 2, SI_TELL = 4 };
// clang-format on

/* The state that follows, with its effects; SI_NOWHERE, and no effects, when the event is refused
 * there. */
MUST_USE enum si_state si_step(enum si_state now, enum si_event event, uint32_t *effects);
const char *si_state_name(enum si_state state);
/* SI_NOWHERE when there is no such state. */
enum si_state si_state_named(struct text name);
