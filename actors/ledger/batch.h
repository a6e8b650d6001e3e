/* batch: the engine that writes commands, many in one transaction.
 *
 *     look    one pipeline of SELECTs: keys that are claimed, versions of rows that are not known
 *     decide  books_verdict on each; what is refused is told at once
 *     write   one pipeline, one Sync: BEGIN, fence and heads, a statement per table, COMMIT
 *     tell    every command that was written is DONE; its events have their numbers; the next
 *             thing to do has begun by then
 *
 * Postgres need not wait for any of this: when it is through with most of a batch, a second one can
 * be given, which is decided and sent behind the first while that is being written. It touches
 * nothing that the first touches, takes the numbers behind the first's, and is written by Postgres
 * only if the first was: the fence asks for the number before its own. If the first fails, the
 * second is decided and sent again after it.
 *
 * An error in the middle rolls the batch back and halves it, down to the one command that Postgres
 * refuses: that one is REJECTED, the others are written. A connection that is lost (or a COMMIT
 * that ends with a warning, or an answer that does not come) leaves the batch, or both, in doubt:
 * they stay here, and the next batch_lead finds out which were written, because last_batch was
 * written with them.
 *
 * It opens no connection and waits for nothing: the caller brings a connection, polls its
 * descriptor and calls batch_step. The loop does so in production, a few lines do so in the tests.
 */
#pragma once

#include "books.h"
#include "command.h"
#include <libpq-fe.h>

/* Postgres ends a statement after 5 s (statements.c), so whoever waits for longer than this waits
 * for nothing: libpq, for one, forgets a result for which it had no memory and stays busy. */
enum { BATCH_SILENCE_MS_MAX = 10000 };

/* One worker's wish to own slots. */
struct take {
    uint8_t slots[SLOT_BYTES];
    char owner[COMMAND_OWNER_MAX + 1];
    int64_t incarnation;
    struct reply_to reply;
    int64_t epoch; /* under which it owns them: set when it is durable */
};

/* None of them but on_idle may give the engine another thing to do: it is in the middle of a step.
 */
struct batch_callbacks {
    void *state;
    /* The verdict is known, and final. The command is the callee's from here on; its answer is
     * borrowed until the callee returns. */
    void (*on_verdict)(void *state, struct command **command_p);
    /* After the COMMIT, in order, before the verdict of its command. */
    void (*on_event)(void *state, int64_t sequence, const struct command *c,
                     const struct msg_event_write *event);
    void (*on_taken)(void *state, const struct take *take);
    /* The engine has nothing to do: it may be given the next thing here, before what is done is
     * told, so that Postgres need not wait for the telling. May be NULL. */
    void (*on_idle)(void *state);
    /* Rows of balance_transaction whose funds are due, as text, in the columns of pg_columns. */
    void (*on_due)(void *state, const PGresult *rows);
};

struct batch;

enum batch_state {
    BATCH_IDLE,
    BATCH_BUSY,
    BATCH_LOST,   /* the connection is of no use: bring another and lead again */
    BATCH_FENCED, /* another ledger leads: the process ends */
};

struct batch *batch_new(const struct batch_callbacks *callbacks);
void batch_destroy(struct batch **batch_p);
const struct books *batch_books(const struct batch *batch);

enum lead_verdict {
    LEAD_FAILED, /* the world: ask again with another connection */
    LEAD_LOST,   /* somebody else has led since this process did: it ends */
    LEAD_DOUBT,  /* taken, and perhaps not replicated: it ends, and asks with nothing in mind */
    LEAD_OK,
};

/* Takes the lead on a connection whose statements are prepared, raising the epoch; reads slots and
 * heads; settles what the batches in doubt came to and goes on with them. Blocks for some
 * milliseconds. The connection becomes the engine's on LEAD_OK alone. `cluster` gets the database's
 * name of itself (at least 64 bytes). */
MUST_USE enum lead_verdict batch_lead(struct batch *batch, PGconn **conn_p, const char *holder,
                                      char *cluster, size_t cluster_size);
/* Closes the connection, keeping what was not finished. */
void batch_unlead(struct batch *batch);

/* Postgres is through with most of the batch that it writes, and a second one may be given by
 * batch_write: of commands that touch nothing that the first one touches, see queue.h. */
bool batch_has_room(const struct batch *batch);
/* There is a second one, whether it is with Postgres by now or not. */
bool batch_is_followed(const struct batch *batch);

/* When idle: one thing to do. `now_s` is what the rows bear. batch_write takes the commands. */
void batch_write(struct batch *batch, struct command **commands, size_t count, int64_t now_s);
void batch_take(struct batch *batch, const struct take *take);
void batch_find_due(struct batch *batch, int64_t now_s);

/* Goes as far as it can without waiting. */
enum batch_state batch_step(struct batch *batch, int64_t mono_ms);
/* What to wait for before the next step: -1 when there is no connection. */
int batch_fd(const struct batch *batch);
short batch_poll_events(const struct batch *batch);
/* The engine waits for the clock, not for Postgres: when to call batch_step again; 0: no. */
int64_t batch_retry_ms(const struct batch *batch);

/* The command is in a batch that is being written: answer it to where this sending came from.
 * False when it is not there. */
bool batch_redirect(struct batch *batch, const struct command *again);
/* Counted since the start, for the log. */
struct batch_counts {
    uint64_t batches, commands, bisections, retries;
};
struct batch_counts batch_counts(const struct batch *batch);
