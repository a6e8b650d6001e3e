/* attempt: the life of one operation that leaves the house (RELIABILITY c2), as a pure function.
 *
 * The attempt's row is where the safety of a payment lives: it is durable before the first byte
 * goes to the network, every arrow is one compare-and-set, and a final state is final. */
#pragma once

#include "must_use.h"
#include "text.h"
#include <stdbool.h>
#include <stdint.h>

// clang-format off
/* State, name in the database, meaning. */
#define ATTEMPT_STATES(X) \
    X(SENDING,    "sending",    "durable, and perhaps at the network") \
    X(UNKNOWN,    "unknown",    "its worker is gone or its time is over: being inquired") \
    X(REVERSING,  "reversing",  "the decision to undo it is durable; sent until acknowledged") \
    X(APPROVED,   "approved",   "the network did it, and it is booked") \
    X(DECLINED,   "declined",   "the network or the issuer said no") \
    X(REVERSED,   "reversed",   "undone, or never to be done: a tombstone stands at the network") \
    X(NEVER_SENT, "never_sent", "the connector proved that no byte left") \
    X(CHALLENGED, "challenged", "the issuer wants to hear from the payer first: nothing was held")
#define AS_ENUM(name, word, doc) ATTEMPT_##name,
enum attempt_state { ATTEMPT_NONE, ATTEMPT_STATES(AS_ENUM) ATTEMPT_STATE_COUNT };
#undef AS_ENUM

#define ATTEMPT_EVENTS(X) \
    X(BEGIN,             "begin") \
    X(ANSWERED_APPROVED, "approved") \
    X(ANSWERED_DECLINED, "declined") \
    X(ANSWERED_NEVER_SENT, "never sent") \
    X(ANSWERED_REVERSED, "reversed") \
    X(TAKEN_OVER,        "taken over") \
    X(NOT_FOUND,         "not found") \
    X(ANSWERED_CHALLENGED, "challenged")
#define AS_ENUM(name, word) ATTEMPT_ON_##name,
enum attempt_event { ATTEMPT_EVENTS(AS_ENUM) ATTEMPT_EVENT_COUNT };
#undef AS_ENUM
// clang-format on

/* The state that follows, ATTEMPT_NONE when the event is refused there. */
enum attempt_state attempt_step(enum attempt_state now, enum attempt_event event);
/* True when some event leads from `from` to `to`: what the ledger checks before it writes. */
bool attempt_may_go(enum attempt_state from, enum attempt_state to);
bool attempt_is_open(enum attempt_state state);
const char *attempt_state_name(enum attempt_state state);
const char *attempt_event_name(enum attempt_event event);
/* ATTEMPT_NONE when there is no such state. */
enum attempt_state attempt_state_named(struct text name);
