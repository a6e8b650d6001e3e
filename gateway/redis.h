/* redis: answers that were given before, kept for some minutes. A help and never a need: whatever
 * is wrong with it, the answer is "nothing kept", and after some failures it is left alone for a
 * while. */
#pragma once

#include "loop.h"
#include "text.h"

struct redis;

/* `value` is NO_TEXT when nothing is kept, or nothing could be learnt. */
typedef void redis_answer_fn(void *state, uint64_t correlation, struct text value);

struct redis *redis_new(struct loop *loop, const char *path, redis_answer_fn *on_answer,
                        void *state);
void redis_destroy(struct redis **redis_p);

/* False, and no answer will come, when Redis is not there. */
bool redis_get(struct redis *redis, const char *key, uint64_t correlation);
void redis_set(struct redis *redis, const char *key, struct text value, int64_t seconds);
/* A bucket of tokens in Redis, filled at `rate` a second up to `burst`. */
struct redis_draw {
    char key[96];
    int64_t rate, burst, want;
};
/* Draws up to `want` tokens. The answer's value is how many, or, when there is none, in how many
 * milliseconds there will be one, with a minus before it. False as redis_get. */
bool redis_take(struct redis *redis, const struct redis_draw *draw, uint64_t correlation);
/* Sends what was asked in this turn. */
void redis_flush(struct redis *redis);
/* An answer did not come in time. */
void redis_was_late(struct redis *redis, int64_t mono_ms);
/* Connects again when it is time to. */
void redis_turn(struct redis *redis, int64_t mono_ms);
