/* writing: the statements of one transaction, queued: BEGIN, the fence with the heads that the
 * batch will leave, one statement per table, balances last because all batches meet there, COMMIT.
 */
#pragma once

#include "batch.h"
#include "pipeline.h"

/* What a batch is, and the numbers that it gives out: they count once it is committed. */
struct writing {
    struct command *const *commands; /* some may be NULL: not to be written */
    size_t count;
    const struct open_attempts *open;
    int64_t epoch, number, now_s;
    int64_t event_head, transaction_head;             /* as they are */
    int64_t event_head_after, transaction_head_after; /* as they will be */
    int64_t places, places_after;                     /* rows of open_attempt, likewise */
    int64_t open_until;                               /* the highest of them that is in use */
    uint64_t updates, inserts;                        /* a bit for the number of each table */
};

/* Fills all but the commands and `now_s`, and gives each attempt its place. `before`: what is being
 * written and will be committed first, if at all; NULL: nothing. */
void writing_number(struct writing *w, const struct books *books, const struct writing *before);
/* False when there is nothing to write. */
bool writing_any(const struct writing *w);
/* False when what its lines move does not fit into a sum: the batch is too large. */
bool writing_fits(const struct writing *w);
void writing_commands(const struct writing *w, struct pipeline *p, struct steps *steps);
void writing_take(const struct writing *w, const struct take *take, struct pipeline *p,
                  struct steps *steps);
