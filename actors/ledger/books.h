/* books: what the leader knows without asking, and the verdict on a command.
 *
 * It is the only writer under its epoch, so what it has read or written once holds: who owns which
 * slot, how far the numbers are, at which version rows are. Verdicts are decided here, before
 * anything is written; the SQL checks each of them again (expect) and would end the transaction. */
#pragma once

#include "claims.h"
#include "command.h"
#include "id.h"
#include "open_attempts.h"
#include "versions.h"

struct slot {
    int64_t epoch; /* 0: nobody's yet */
    int64_t incarnation;
    char owner[COMMAND_OWNER_MAX + 1];
};

struct books {
    int64_t epoch; /* 0: never led */
    int64_t last_batch, event_head, transaction_head;
    int64_t slot_epoch_head; /* the highest there is */
    struct slot slots[SLOT_COUNT];
    struct versions *versions;
    struct claims *claims;
    struct open_attempts *open;
    int64_t places; /* rows of open_attempt that there are */
};

/* The row of an idempotency key. */
struct key_row {
    bool found;
    struct text request_hash, path, command, request, body, packed; /* see struct answer */
    uint64_t told;
    uint16_t status; /* 0: no answer yet; then nothing but its command need be known */
    char own[OPEN_ATTEMPT_COMMAND_BYTES]; /* the command's id, when it is nobody else's to keep */
};

/* True when this row's present version must be known for the verdict. */
bool books_must_know(const struct command *c, size_t row);
/* True when the key's row must be known for the verdict. */
bool books_must_know_key(const struct command *c);
/* True when it is known that there is no such row: it was not there, and nobody has claimed the key
 * since. */
bool books_key_is_new(const struct books *books, const struct command *c);
/* The attempt under way that holds this key, which then has no row of its own; 0: none does. */
int32_t books_key_place(const struct books *books, struct text merchant, struct text key);
/* To be called once the command is committed, by the batch of that number. */
void books_wrote(const struct books *books, const struct command *c, int64_t batch);

/* The first verdict that applies, in the order of commit_verdict.def; 0 when the command is to be
 * written. Every row that must be known has its `now`. Fills the command's answer and detail. */
enum commit_verdict books_verdict(const struct books *books, struct command *c,
                                  const struct key_row *key);

/* True when `owner` holds all these slots already, under one epoch, which it sets. */
bool books_holds(const struct books *books, const uint8_t slots[static SLOT_BYTES],
                 const char *owner, int64_t incarnation, int64_t *epoch);
