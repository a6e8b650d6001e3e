/* record: one reference in the network's journal, as a value, and how it is packed. */
#pragma once

#include "must_use.h"
#include "text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// clang-format off
/* Where a reference stands. It is durable before anybody is told. Numbers are for ever. */
#define NETWORK_STATES(X) \
    X(APPROVED, 1, "done, once") \
    X(DECLINED, 2, "refused: nothing moved") \
    X(REVERSED, 3, "undone, or never to be done: a tombstone") \
    X(CHALLENGED, 4, "the payer is to be asked first: nothing moved")
#define AS_ENUM(name, number, doc) NETWORK_STATE_##name = (number),
enum network_state { NETWORK_STATE_NONE, NETWORK_STATES(AS_ENUM) };
#undef AS_ENUM

/* How a refund to a card goes. Numbers are for ever. */
#define REFUND_COURSES(X) \
    X(AT_ONCE, 0, "done when it is answered") \
    X(PENDS,   1, "pending at first, done later") \
    X(RETURNS, 2, "done when it is answered, and comes back later")
#define AS_ENUM(name, number, doc) REFUND_##name = (number),
enum refund_course { REFUND_COURSES(AS_ENUM) };
#undef AS_ENUM

#define WORD_AS_MEMBER(name, size)   char name[(size) + 1];
#define NUMBER_AS_MEMBER(name, size) int64_t name;
#define COLUMN(kind, name, size, doc) kind##_AS_MEMBER(name, size)
struct network_record {
#include "record.def"
};
#undef COLUMN
#undef WORD_AS_MEMBER
#undef NUMBER_AS_MEMBER
// clang-format on

#define RECORD_BYTES_MAX 1024

/* Packs it as one MessagePack array. Returns the size. */
size_t record_encode(const struct network_record *record, uint8_t bytes[static RECORD_BYTES_MAX]);
/* False, with `record` cleared, when the bytes are no record. */
MUST_USE bool record_decode(const uint8_t *bytes, size_t size, struct network_record *record);
/* "none", "approved", … */
const char *network_state_name(int64_t state);
