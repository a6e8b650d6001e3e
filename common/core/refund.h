/* refund: what of a charge can be given back, and the life of what is. Pure; the actor stores it.
 */
#pragma once

#include "must_use.h"
#include "text.h"
#include <stdbool.h>
#include <stdint.h>

/* In order of precedence: the first that applies is the one returned. */
enum refund_verdict {
    REFUND_CHARGE_FAILED,     /* no money ever moved */
    REFUND_ALL_GONE,          /* nothing is left to be given back */
    REFUND_PART_NOT_CAPTURED, /* held, not taken, and a part was asked for: capture less instead */
    REFUND_NOT_CAPTURED,      /* held, not taken: cancel the payment instead */
    REFUND_UNDER_WAY,         /* what is left is being given back by others at this moment */
    REFUND_TOO_MUCH,          /* more than is left */
    REFUND_OK,
};

/* A charge as far as refunds are concerned, in minor units. */
struct refundable {
    bool failed, captured;
    int64_t amount;    /* of the charge */
    int64_t refunded;  /* given back, or released by a capture in part */
    int64_t refunding; /* promised to refunds that the network has not answered yet */
};

/* What is left to be given back. */
int64_t refund_rest(const struct refundable *charge);
/* `asked` 0: all that is left. `granted` is set on REFUND_OK alone. */
MUST_USE enum refund_verdict refund_check(const struct refundable *charge, int64_t asked,
                                          int64_t *granted);

/* --- its life --------------------------------------------------------------------------------- */

// clang-format off
/* State, number, name, what the API shows. Add at the end; a number is never used again. */
#define REFUND_STATES(X) \
    X(ASKED,     1, "asked",     "pending") \
    X(PENDING,   2, "pending",   "pending") \
    X(SUCCEEDED, 3, "succeeded", "succeeded") \
    X(FAILED,    4, "failed",    "failed") \
    X(CANCELED,  5, "canceled",  "canceled")
#define AS_ENUM(name, number, word, status) REFUND_IS_##name = (number),
enum refund_state { REFUND_NOWHERE, REFUND_STATES(AS_ENUM) REFUND_STATE_COUNT };
#undef AS_ENUM

/* Event, what happened. */
#define REFUND_EVENTS(X) \
    X(TAKEN,    "the network has taken it, and it is not done yet") \
    X(DONE,     "the money was given back") \
    X(REFUSED,  "the network said no, or the asking was undone") \
    X(RETURNED, "the money came back: the account of the card is no more") \
    X(RECALLED, "the merchant took it back before it was done") \
    X(EXPIRED,  "it ran out before it was done")
#define AS_ENUM(name, doc) REFUND_ON_##name,
enum refund_event { REFUND_EVENTS(AS_ENUM) REFUND_EVENT_COUNT };
#undef AS_ENUM

/* What the actor books with the new state, in the same commit. */
enum refund_effect { REFUND_BOOK = 1, REFUND_CREDIT = 2, REFUND_TELL = 4 };
// clang-format on

/* The state that follows, with its effects; REFUND_NOWHERE, and no effects, when the event is
 * refused there. */
MUST_USE enum refund_state refund_step(enum refund_state now, enum refund_event event,
                                       uint32_t *effects);
const char *refund_state_name(enum refund_state state);
const char *refund_status(enum refund_state state);
/* Where a refund stands that shows this status; `answered`: the network has said something of it.
 * REFUND_NOWHERE when there is no such status. */
enum refund_state refund_state_of(struct text status, bool answered);
