/* message: structs and codec for everything in messages.def.
 *
 * A decoded struct borrows from the frame: its texts and lists are slices of the bytes that were
 * decoded and are gone with them. Nothing is allocated in either direction, and nothing is taken
 * on the word of a length. */
#pragma once

#include "must_use.h"
#include "text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MONEY_MAX INT64_C(99999999999999)
#define TIME_MAX INT64_C(4102444800000) /* the year 2100, in ms: a sane clock is below it */
#define UINT_MAX_63 INT64_MAX           /* numbers that Postgres keeps in a bigint */
#define MESSAGE_BYTES_MAX (16 << 20)    /* a longer body is refused before it is looked at */

/* Zero or more messages of one kind, packed one after the other. Walk it with message_next. */
struct message_list {
    const uint8_t *at;
    size_t size;
    uint32_t count;
};

// clang-format off
/* One struct per message: `has` holds a bit per tag, so an absent field is not a zero. */
#define U64_AS_MEMBER(name)   uint64_t name;
#define I64_AS_MEMBER(name)   int64_t name;
#define TEXT_AS_MEMBER(name)  struct text name;
#define BYTES_AS_MEMBER(name) struct text name;
#define LIST_AS_MEMBER(name)  struct message_list name;
#define MESSAGE(name, number, from, to, doc)                     struct msg_##name { uint32_t has;
#define FIELD(message, kind, tag, name, need, low, high, doc)    kind##_AS_MEMBER(name)
#define RETIRED(message, tag)
#define END(name)                                                };
#include "messages.def"
#undef MESSAGE
#undef FIELD
#undef RETIRED
#undef END

#define MESSAGE(name, number, from, to, doc) MSG_##name = (number),
#define FIELD(message, kind, tag, name, need, low, high, doc)
#define RETIRED(message, tag)
#define END(name)
enum message_number {
#include "messages.def"
};
#undef MESSAGE
#undef FIELD
#undef RETIRED
#undef END

/* HAS_commit_key: the bit of `has` that says that the field is there. */
#define MESSAGE(name, number, from, to, doc)
#define FIELD(message, kind, tag, name, need, low, high, doc) HAS_##message##_##name = 1 << (tag),
#define RETIRED(message, tag)
#define END(name)
enum message_has {
    HAS_NOTHING = 0,
#include "messages.def"
};
#undef MESSAGE
#undef FIELD
#undef RETIRED
#undef END
// clang-format on

enum field_kind { FIELD_U64, FIELD_I64, FIELD_TEXT, FIELD_BYTES, FIELD_LIST };

struct field {
    enum field_kind kind;
    uint8_t tag;
    bool must;
    int64_t low, high;
    uint16_t element; /* LIST: number of the message that it holds */
    size_t offset;
    const char *name, *doc;
};

struct message {
    uint16_t number;
    const char *name, *from, *to, *doc;
    size_t size;
    const struct field *fields;
    size_t field_count;
};

enum message_verdict {
    MESSAGE_MALFORMED, /* zero, so that a forgotten verdict is a refusal */
    MESSAGE_TOO_LONG,
    MESSAGE_FIELD_REPEATED,
    MESSAGE_FIELD_MISSING,
    MESSAGE_FIELD_OUT_OF_RANGE,
    MESSAGE_FIELD_OF_WRONG_KIND,
    MESSAGE_OK,
};

/* NULL when no message has that number, or that name. */
const struct message *message_find(uint16_t number);
const struct message *message_named(const char *name);
extern const struct message *const messages[];
extern const size_t message_count;
const char *message_verdict_name(enum message_verdict verdict);

/* True when `role` stands in `roles`, a list of words with a space between them; "*" is all. */
bool roles_include(const char *roles, const char *role);

/* Writes at most `cap` bytes and sets `*size`. `body` is the struct that belongs to the message;
 * what it holds is checked as strictly as what comes off the wire. */
MUST_USE enum message_verdict message_encode(enum message_number number, const void *body,
                                             uint8_t *bytes, size_t cap, size_t *size);
/* An upper bound of what message_encode needs for this body. */
size_t message_size_bound(enum message_number number, const void *body);

/* Fills `body`, which is cleared first: nothing of an earlier message can show through. Read it
 * only on MESSAGE_OK. Sets `*culprit` to the field at fault, or NULL. Unknown tags are skipped.
 * Lists are checked for their shape and count; their elements when message_next decodes them. */
MUST_USE enum message_verdict message_decode(enum message_number number, const uint8_t *bytes,
                                             size_t size, void *body, const char **culprit);

/* The bytes that `body` was decoded from live at `to` as well: it borrows from there from now on.
 */
void message_moved(enum message_number number, void *body, const uint8_t *from, const char *to);

/* Appends one element to a list that is being built in `bytes`. False when it does not fit or the
 * element is refused; the list is unchanged then. */
MUST_USE bool message_list_add(struct message_list *list, enum message_number element,
                               const void *body, uint8_t *bytes, size_t cap);

/* Takes the first element off a list. False at the end; `*verdict` then tells whether the list
 * ended (MESSAGE_OK) or an element is malformed. */
MUST_USE bool message_next(struct message_list *list, enum message_number element, void *body,
                           enum message_verdict *verdict);

#define AS_ENUM(name, number, ...) COMMIT_##name = (number),
#define VERDICT AS_ENUM
enum commit_verdict {
#include "commit_verdict.def"
};
#undef VERDICT
#undef AS_ENUM

#define OPERATION(name, number, word, doc) NETWORK_##name = (number),
enum network_operation {
#include "network_operation.def"
};
#undef OPERATION

#define OUTCOME(name, number, doc) OUTCOME_##name = (number),
enum network_outcome {
#include "network_outcome.def"
};
#undef OUTCOME

const char *commit_verdict_name(uint64_t verdict);
const char *network_operation_name(uint64_t operation);
const char *network_outcome_name(uint64_t outcome);
