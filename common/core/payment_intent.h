/* payment_intent: the life of one payment, as a pure function.
 *
 * Give it where a payment stands and what just happened; it answers where the payment goes and
 * what the world must be told. It reads no clock, opens no socket and takes no memory, so the
 * actor, the tests and the simulator all run this same code.
 *
 * What the network has to agree to is asked here twice: once before the network is asked, to know
 * whether it may be (the future is thrown away), and once when it has said yes. */
#pragma once

#include "must_use.h"
#include "text.h"
#include <stdint.h>

// clang-format off
/* State, number in the database, name in the API. Add at the end; a number is never used again. */
#define PI_STATES(X) \
    X(NEEDS_METHOD,  1, "requires_payment_method") \
    X(NEEDS_CONFIRM, 2, "requires_confirmation") \
    X(NEEDS_ACTION,  3, "requires_action") \
    X(PROCESSING,    4, "processing") \
    X(NEEDS_CAPTURE, 5, "requires_capture") \
    X(SUCCEEDED,     6, "succeeded") \
    X(CANCELED,      7, "canceled")
#define AS_ENUM(name, number, api) PI_##name = (number),
enum pi_state { PI_NOWHERE, PI_STATES(AS_ENUM) PI_STATE_COUNT };
#undef AS_ENUM

/* Event, what happened. */
#define PI_EVENTS(X) \
    X(ATTACH,        "a payment method was named, or what is to be paid was changed") \
    X(DETACH,        "the payment method was taken away") \
    X(CONFIRM,       "the network is to be asked") \
    X(CHALLENGED,    "the payer has to prove who they are") \
    X(AUTHENTICATED, "they did") \
    X(HELD,          "the issuer holds the money") \
    X(PAID,          "the money was taken at once") \
    X(DECLINED,      "the issuer or the network said no, or the asking was undone") \
    X(CAPTURE,       "what was held was taken, or a part of it") \
    X(CANCEL,        "it was given up") \
    X(EXPIRED,       "the hold ran out") \
    X(PROVED,        "they did, and the merchant's server has to confirm again") \
    X(INCREMENTED,   "the issuer holds more") \
    X(CAPTURE_PART,  "a part of what was held was taken, and the rest stays held") \
    X(RELEASED,      "what parts had been taken of was let go")
#define AS_ENUM(name, doc) ON_##name,
enum pi_event { PI_EVENTS(AS_ENUM) PI_EVENT_COUNT };
#undef AS_ENUM

/* What the actor does with the new state, in the same commit. The core only asks. */
enum pi_effect { ASK_NETWORK = 1, POST_HOLD = 2, POST_CHARGE = 4, RELEASE_HOLD = 8, TELL = 16 };
// clang-format on

/* In order of precedence: the first that applies is the one returned. */
enum pi_verdict {
    PI_OK,
    PI_WRONG_STATE,
    PI_CAPTURED_IN_PART,     /* so it is neither canceled nor incremented: the rest is released */
    PI_NOT_CAPTURED_IN_PART, /* so it is canceled, and not released */
    PI_AMOUNT_NOT_POSITIVE,
    PI_AMOUNT_ABOVE_HOLD,
};

struct payment_intent {
    enum pi_state state;
    int64_t held;     /* minor units the issuer keeps for us: taken already, or still to be taken */
    int64_t captured; /* minor units taken from that hold */
};

/* Fills `next` and `effects`; on any verdict but PI_OK, `next` equals `now` and `effects` is 0.
 * `amount` counts for HELD, PAID, INCREMENTED (how much more) and the CAPTUREs alone. */
MUST_USE enum pi_verdict pi_step(const struct payment_intent *now, enum pi_event event,
                                 int64_t amount, struct payment_intent *next, uint32_t *effects);
const char *pi_state_name(enum pi_state state);
/* PI_NOWHERE when there is no such state. */
enum pi_state pi_state_named(struct text name);
