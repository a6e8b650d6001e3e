/* pipeline: statements that are sent together and answered together, with one Sync behind them.
 * Several may be on their way over one connection; each has its own `steps`. */
#pragma once

#include "arrays.h"
#include "row.h"
#include "text.h"
#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STEPS_MAX 64 /* statements in one pipeline */

/* What a result is of. STEP_NEARLY: as STEP_NOTHING, and it is told before the Sync. */
enum step { STEP_NOTHING, STEP_KEYS, STEP_VERSIONS, STEP_OPEN, STEP_DUE, STEP_NEARLY, STEP_COMMIT };

struct step_of {
    enum step step;
    size_t first; /* number of the first question that it answers, see looking.h */
    const struct table *table;
};

/* What the results up to a Sync are of, in their order. */
struct steps {
    struct step_of at[STEPS_MAX];
    size_t count, answered;
};

struct pipeline {
    PGconn *conn; /* in pipeline mode, non-blocking; NULL: none */
    struct arrays arrays;
    struct steps *steps; /* of what is being queued */
    bool broken;         /* the connection is of no use any more */
};

void pipeline_begin(struct pipeline *p, struct steps *steps);
/* Each queues one statement that is prepared. */
void pipeline_plain(struct pipeline *p, const char *statement, struct step_of step);
/* `text`: the answer is wanted as text, not in binary. */
void pipeline_numbers(struct pipeline *p, const char *statement, const int64_t *numbers, int count,
                      struct step_of step, bool text);
/* With the arrays as they were filled, see arrays_send. */
void pipeline_arrays(struct pipeline *p, const char *statement, int64_t more, struct step_of step);
/* Postgres tells the results so far when it has them, and does not keep them until the Sync. */
void pipeline_tell(struct pipeline *p);
/* The Sync. */
void pipeline_end(struct pipeline *p);

/* Values of a result in binary. */
int64_t result_number(const PGresult *r, int row, int column);
struct text result_text(const PGresult *r, int row, int column); /* NO_TEXT: null */
