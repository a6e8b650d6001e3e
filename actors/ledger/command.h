/* command: one commit that waits to be written, with its bytes.
 *
 * It is decoded and checked once, when it arrives: what is malformed, or could not be recognized
 * when it is sent again, never gets into a batch. What is well-formed and wrong (books that do not
 * balance, an arrow that attempt.h does not know) is kept with its reason and answered REJECTED in
 * its turn, after what precedes that verdict. */
#pragma once

#include "id.h"
#include "message.h"
#include "must_use.h"
#include "row.h"
#include "versions.h"
#include <stddef.h>
#include <stdint.h>

#define COMMAND_ID_BYTES 16
#define COMMAND_OWNER_MAX 31
#define COMMAND_DETAIL_MAX 255

/* Whom to answer: kept as bytes, so that this page needs no socket. */
struct reply_to {
    uint64_t correlation;
    uint8_t size;
    uint8_t id[15];
    int link; /* the caller's to read */
};

struct command_row {
    const struct table *table;
    int64_t version;    /* the one that is replaced; 0: insert */
    void *row;          /* its struct */
    struct version now; /* what is there, as far as it was asked for: see books.h */
    int32_t place;      /* of an attempt: where it is under way, or will be; see open_attempts.h */
};

struct command_line {
    uint8_t account;
    bool of_merchant; /* else the platform's */
    struct text currency;
    int64_t amount;
};

struct command_posting {
    struct text kind, source;
    struct command_line *lines;
    size_t line_count;
};

/* What the key's row says, when there is one. Borrowed by the verdict until it has been said. */
struct answer {
    uint16_t status;
    struct text body, original_request;
    struct text packed; /* instead of a body: what a row of the outbox tells … */
    uint64_t told;      /* … of which this event, from 1, has it as its data */
};

struct command {
    struct command *next; /* in a queue */
    struct msg_commit commit;
    uint16_t slot;
    bool internal; /* of the ledger itself: owes nothing to a slot, nobody waits for it */
    char sender[COMMAND_OWNER_MAX + 1];
    struct reply_to reply;

    bool key_was_new;    /* the key it claims was not there … */
    int64_t key_seen_at; /* … when so many batches had been written: see lookahead.h */
    int32_t key_place;   /* the attempt under way that holds its key: 0 when none does */

    struct command_row *rows;
    size_t row_count;
    struct command_posting *postings;
    size_t posting_count;
    struct msg_event_write *events;
    size_t event_count;
    int64_t event_head; /* of the batch it is written in: the sequence before its first event */
    size_t size;        /* bytes of its body */

    enum commit_verdict verdict; /* 0 until it is known */
    struct answer answer;
    char detail[COMMAND_DETAIL_MAX + 1];
    const char *wrong; /* well-formed, and to be rejected: why */
    void *memory;      /* all of the above */
};

/* Who sent it and where the answer goes. */
struct command_origin {
    const char *sender;
    uint16_t slot;
    struct reply_to reply;
};

/* Takes a copy of `bytes`. NULL when they are no commit that can be taken; `reason` then says why,
 * naming the field at fault. */
MUST_USE struct command *command_read(const uint8_t *bytes, size_t size,
                                      const struct command_origin *origin, char *reason,
                                      size_t reason_size);
void command_destroy(struct command **command_p);

/* The attempt that it begins and that holds the key that it claims, or NULL: then the key gets a
 * row of its own at once. */
struct command_row *command_key_holder(const struct command *c);

/* The same command, sent again. */
bool command_is_same(const struct command *a, const struct command *b);
