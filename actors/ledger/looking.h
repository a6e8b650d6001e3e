/* looking: what must be known before a verdict, asked in one pipeline: the rows of keys that are
 * claimed, and the versions of rows that nobody remembers. */
#pragma once

#include "books.h"
#include "pipeline.h"

struct looking;

struct looking *looking_new(void);
void looking_destroy(struct looking **looking_p);

/* Queues the questions for these commands (some may be NULL); what is remembered already is filled
 * in at once. Nothing is queued when there is nothing to ask. */
void looking_ask(struct looking *looking, struct pipeline *p, const struct books *books,
                 struct command *const *commands, size_t count);
/* One answer; takes the result. What is learned is remembered too. */
void looking_learn(struct looking *looking, const struct step_of *step, struct versions *versions,
                   PGresult *result);
/* The key's row for the command of that index; its texts last until the next looking_ask. */
const struct key_row *looking_key(const struct looking *looking, size_t index);
