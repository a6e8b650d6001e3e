/* mux: one thread that owns every link and Redis, and speaks for all HTTP threads.
 *
 * An HTTP thread leaves its call in a queue, rings an eventfd and waits; the loop's thread sends
 * what is queued, and wakes the thread when the answer is there or its time is over. So each link
 * leaves the process once, and what many ask in one turn goes in one frame. */
#pragma once

#include "loop.h"
#include "redis.h"
#include "text.h"
#include <stdatomic.h>

struct mux;

enum mux_to { MUX_BROKER, MUX_VAULT };

enum mux_outcome {
    MUX_LATE,       /* nobody answered in time: what became of it is not known */
    MUX_UNROUTABLE, /* it was not sent, or refused: nothing was done about it */
    MUX_ANSWERED,   /* by another process: `number` and `answer` */
    MUX_REMEMBERED, /* by Redis: `answer` is what was kept under `redis_key`, not to be trusted, or
                     * what came of `draw` */
};

/* One question. Filled by the asker, whose it stays; `answer` is his to free. */
struct mux_call {
    enum mux_to to;
    uint16_t slot, number; /* of the message; then of the answer */
    const uint8_t *body;   /* packed already */
    size_t size;
    int64_t deadline_ms;           /* of the monotonic clock */
    const char *redis_key;         /* asked first; NULL: do not ask Redis */
    const struct redis_draw *draw; /* not NULL: this is asked of Redis, and nothing of others */

    enum mux_outcome outcome;
    uint8_t *answer;
    size_t answer_size;
    char refusal[32]; /* MUX_UNROUTABLE: the code of `refused`, or "" */

    /* the mux's own */
    struct mux_call *next;
    uint64_t correlation;
    int64_t redis_deadline_ms;
    bool asks_redis;
    atomic_uint done;
};

/* Connects the links; asks and answers from inside loop_run. At most `calls_max` at once. */
struct mux *mux_new(struct loop *loop, unsigned calls_max, int64_t redis_timeout_ms);
void mux_destroy(struct mux **mux_p);

/* From any thread but the loop's: waits for the answer, never much longer than the deadline. */
void mux_ask(struct mux *mux, struct mux_call *call);
/* Keeps `value` in Redis for some seconds, if that is possible at once; waits for nothing. */
void mux_keep(struct mux *mux, const char *redis_key, struct text value, int64_t seconds);

/* Once a turn. Returns in how many milliseconds it wants the next one. */
int64_t mux_turn(struct mux *mux, int64_t mono_ms);
/* Ends all calls as unroutable, those that wait and those that are still to come. */
void mux_close(struct mux *mux);
