/* mux: what the gateway asks of others, and of Redis.
 *
 * A fiber asks and waits; meanwhile the loop serves other fibers. What they ask in one turn goes in
 * one frame to each process, and their answers, which come in one frame, are handled in one turn.
 */
#pragma once

#include "arena.h"
#include "loop.h"
#include "redis.h"
#include "text.h"

struct mux;

enum mux_to { MUX_BROKER, MUX_VAULT };

enum mux_outcome {
    MUX_LATE,       /* nobody answered in time: what became of it is not known */
    MUX_UNROUTABLE, /* it was not sent, or refused: nothing was done about it */
    MUX_ANSWERED,   /* by another process: `number` and `answer` */
    MUX_REMEMBERED, /* by Redis: `answer` is what was kept under `redis_key`, not to be trusted, or
                     * what came of `draw` */
};

/* One question. Filled by the asker, whose it stays. */
struct mux_call {
    enum mux_to to;
    uint16_t slot, number; /* of the message; then of the answer */
    const uint8_t *body;   /* packed already */
    size_t size;
    int64_t deadline_ms;           /* of the monotonic clock */
    const char *redis_key;         /* asked first; NULL: do not ask Redis */
    const struct redis_draw *draw; /* not NULL: this is asked of Redis, and nothing of others */
    struct arena *arena;           /* where `answer` is put; nobody else takes of it meanwhile */

    enum mux_outcome outcome;
    uint8_t *answer;
    size_t answer_size;
    char refusal[32]; /* MUX_UNROUTABLE: the code of `refused`, or "" */

    /* the mux's own */
    struct fiber *fiber; /* NULL: it does not wait */
    struct mux_call *next;
    uint64_t correlation;
    int64_t redis_deadline_ms;
    bool asks_redis, ended;
};

/* Connects the links; asks and answers from inside loop_run. At most `calls_max` at once. */
struct mux *mux_new(struct loop *loop, unsigned calls_max, int64_t redis_timeout_ms);
void mux_destroy(struct mux **mux_p);

/* Inside a fiber: waits for the answer, never much longer than the deadline. */
void mux_ask(struct mux *mux, struct mux_call *call);
/* Keeps `value` in Redis for some seconds, if that is possible at once; waits for nothing. */
void mux_keep(struct mux *mux, const char *redis_key, struct text value, int64_t seconds);

/* Once a turn: ends what is late, and lets go on whose calls have ended. */
void mux_turn(struct mux *mux, int64_t mono_ms);
/* When all have asked who ask in this turn. Returns in how many milliseconds it wants the next. */
int64_t mux_flush(struct mux *mux, int64_t mono_ms);
/* Ends all calls as late, and at once as unroutable those that are still to come. */
void mux_close(struct mux *mux);
