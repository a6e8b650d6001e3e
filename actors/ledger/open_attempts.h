/* open_attempts: the attempts that are under way, as the leader knows them, and where they stand.
 *
 * Each has a place: a row of the table open_attempt, which is written over when another attempt
 * takes the place. So what every payment writes twice stays on few pages and in no index that
 * grows, and the table attempt has only what is over, each row once.
 *
 * An idempotency key that is claimed by the command that begins an attempt stands in the same
 * place, until it is answered or the attempt is over.
 *
 * All of it is known here: it is read whole by whoever takes the lead, and put here after each
 * COMMIT. Places are counted from 1. */
#pragma once

#include "fingerprint.h"
#include "row.h"
#include "versions.h"
#include <stddef.h>
#include <stdint.h>

#define OPEN_ATTEMPT_COMMAND_BYTES 16

struct open_attempts;

struct open_attempt {
    struct fingerprint id;      /* see attempt_fingerprint */
    struct fingerprint subject; /* likewise; none for what gives money back */
    struct fingerprint key;     /* that it holds, see key_fingerprint; none: none, or answered */
    struct version now;
    uint8_t command[OPEN_ATTEMPT_COMMAND_BYTES]; /* that claimed the key */
};

struct fingerprint attempt_fingerprint(struct text merchant, struct text id);
/* What may have one attempt at a time: its payment, set-up or charge. None (a == 0) for refunds. */
struct fingerprint subject_fingerprint(const struct row_attempt *attempt);
struct fingerprint key_fingerprint(struct text merchant, struct text key);

struct open_attempts *open_attempts_new(void);
void open_attempts_destroy(struct open_attempts **open_p);
/* Forgets all of them, and all places that were given out. */
void open_attempts_clear(struct open_attempts *open);
size_t open_attempts_count(const struct open_attempts *open);
/* No place above it is in use or reserved; 0: none at all. */
int32_t open_attempts_highest(const struct open_attempts *open);

/* The lowest place that is free. It is not given out again before it was released or ended. */
int32_t open_attempts_reserve(struct open_attempts *open);
void open_attempts_release(struct open_attempts *open, int32_t place);

/* What is committed: an attempt begins at its place, is at another version, is over. */
void open_attempts_begin(struct open_attempts *open, int32_t place, const struct open_attempt *is);
void open_attempts_step(struct open_attempts *open, int32_t place, struct version now);
void open_attempts_end(struct open_attempts *open, int32_t place);
/* Its key has a row of its own from now on. */
void open_attempts_let_key_go(struct open_attempts *open, int32_t place);

/* By any of its three fingerprints. 0: there is none. */
int32_t open_attempts_find(const struct open_attempts *open, struct fingerprint name);
const struct open_attempt *open_attempts_at(const struct open_attempts *open, int32_t place);
