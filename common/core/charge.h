/* charge: the life of one try to take money, as a pure function.
 *
 * What the API shows of it are a status and three flags; together they say where it stands, and no
 * other line of the program sets one of them: an actor makes a step, and writes what the state
 * shows (charge_shown). Amounts are the actor's: whether a capture is the last one, and whether a
 * refund leaves nothing, is for the caller to say by the event that it names. */
#pragma once

#include "must_use.h"
#include "text.h"
#include <stdbool.h>

// clang-format off
/* State, number, name, what the API shows: status, paid, captured, refunded. Add at the end; a number
 * is never used again. */
#define CHARGE_STATES(X) \
    X(PENDING,  1, "pending",  "pending",   false, false, false) \
    X(HELD,     2, "held",     "succeeded", true,  false, false) \
    X(CAPTURED, 3, "captured", "succeeded", true,  true,  false) \
    X(REFUNDED, 4, "refunded", "succeeded", true,  true,  true) \
    X(RELEASED, 5, "released", "succeeded", true,  false, true) \
    X(FAILED,   6, "failed",   "failed",    false, false, false)
#define AS_ENUM(name, number, word, status, paid, captured, refunded) CHARGE_##name = (number),
enum charge_state { CHARGE_NOWHERE, CHARGE_STATES(AS_ENUM) CHARGE_STATE_COUNT };
#undef AS_ENUM

/* Event, what happened. */
#define CHARGE_EVENTS(X) \
    X(HELD,          "the issuer holds the money") \
    X(PAID,          "the money was taken at once") \
    X(DECLINED,      "the issuer or the network said no, or the asking was undone") \
    X(INCREMENTED,   "the issuer holds more") \
    X(CAPTURED_PART, "a part of what is held was taken, and the rest stays held") \
    X(CAPTURED,      "it was taken, or a part of it and the rest let go") \
    X(RELEASED,      "what is held was let go: canceled, run out, or refunded") \
    X(RELEASED_REST, "likewise, after parts of it were taken") \
    X(REFUNDED_PART, "a part was given back") \
    X(REFUNDED_ALL,  "all, or all that was left, was given back") \
    X(REFUND_BACK,   "a refund came back, or was taken back")
#define AS_ENUM(name, doc) CHARGE_ON_##name,
enum charge_event { CHARGE_EVENTS(AS_ENUM) CHARGE_EVENT_COUNT };
#undef AS_ENUM
// clang-format on

/* What the API shows of a state. */
struct charge_shown {
    const char *status;
    bool paid, captured, refunded;
};

/* The state that follows; CHARGE_NOWHERE when the event is refused there. */
MUST_USE enum charge_state charge_step(enum charge_state now, enum charge_event event);
const char *charge_state_name(enum charge_state state);
struct charge_shown charge_shown(enum charge_state state);
/* Where a charge stands that shows this; CHARGE_NOWHERE when none does. */
enum charge_state charge_state_of(struct text status, bool paid, bool captured, bool refunded);
