#include "redis.h"

#include "log.h"
#include <assert.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAILURES_MAX = 3, APART_MS = 1000 };

struct redis {
    struct loop *loop;
    char path[256];
    redis_answer_fn *on_answer;
    void *state;
    redisAsyncContext *context; /* NULL: not connected */
    bool connected;             /* and has answered since */
    bool asked;
    short events;
    int failures;     /* in a row */
    int64_t again_ms; /* not before; of a connection: until then it is to answer */
    bool complained;
};

/* --- hiredis on our loop
 * --------------------------------------------------------------------------- */

static void
on_ready(void *state, int fd, short events)
{
    struct redis *redis = state;
    (void)fd;
    if (redis->context && events & (POLLIN | POLLERR | POLLHUP))
        redisAsyncHandleRead(redis->context);
    if (redis->context && events & POLLOUT) redisAsyncHandleWrite(redis->context);
}

static void
watch(struct redis *redis, short events)
{
    if (!redis->context || redis->events == events) return;
    redis->events = events;
    if (events)
        loop_watch(redis->loop, redis->context->c.fd, events, on_ready, redis);
    else
        loop_unwatch(redis->loop, redis->context->c.fd);
}

static void
add_read(void *state)
{
    struct redis *redis = state;
    watch(redis, (short)(redis->events | POLLIN));
}

static void
drop_read(void *state)
{
    struct redis *redis = state;
    watch(redis, (short)(redis->events & ~POLLIN));
}

static void
add_write(void *state)
{
    struct redis *redis = state;
    watch(redis, (short)(redis->events | POLLOUT));
}

static void
drop_write(void *state)
{
    struct redis *redis = state;
    watch(redis, (short)(redis->events & ~POLLOUT));
}

/* hiredis frees its context after this, whatever the reason. */
static void
clean_up(void *state)
{
    struct redis *redis = state;
    watch(redis, 0);
    redis->context = NULL;
    redis->connected = false;
}

static void
on_pong(redisAsyncContext *context, void *reply, void *private_data)
{
    struct redis *redis = context->data;
    (void)private_data;
    if (!reply) return;
    redis->connected = true;
    redis->failures = 0;
    redis->complained = false;
    log_event(LOG_INFO, "redis.connected", "path=%s", redis->path);
}

/* One that hangs takes connections all the same, because the kernel does; so nobody's question goes
 * to it before it has answered one of ours. */
static void
on_connect(const redisAsyncContext *context, int status)
{
    if (status == REDIS_OK)
        redisAsyncCommand((redisAsyncContext *)(uintptr_t)context, on_pong, NULL, "PING");
}

static void
complain(struct redis *redis, const char *reason)
{
    if (!redis->complained)
        log_event(LOG_WARNING, "redis.away", "reason=\"%s\" path=%s", reason, redis->path);
    redis->complained = true;
}

static void
on_disconnect(const redisAsyncContext *context, int status)
{
    struct redis *redis = context->data;
    if (status != REDIS_OK) complain(redis, context->errstr);
}

static void
try_to_connect(struct redis *redis)
{
    redisAsyncContext *context = redisAsyncConnectUnix(redis->path);
    if (!context) return;
    context->data = redis;
    if (context->err) {
        complain(redis, context->errstr);
        redisAsyncFree(context);
        return;
    }
    redis->context = context;
    redis->events = 0;
    context->ev.data = redis;
    context->ev.addRead = add_read;
    context->ev.delRead = drop_read;
    context->ev.addWrite = add_write;
    context->ev.delWrite = drop_write;
    context->ev.cleanup = clean_up;
    redisAsyncSetConnectCallback(context, on_connect);
    redisAsyncSetDisconnectCallback(context, on_disconnect);
}

/* --- what others see
 * ------------------------------------------------------------------------------ */

struct redis *
redis_new(struct loop *loop, const char *path, redis_answer_fn *on_answer, void *state)
{
    struct redis *redis = calloc(1, sizeof *redis);
    assert(redis);
    redis->loop = loop;
    redis->on_answer = on_answer;
    redis->state = state;
    snprintf(redis->path, sizeof redis->path, "%s", path);
    try_to_connect(redis);
    return redis;
}

void
redis_destroy(struct redis **redis_p)
{
    if (!*redis_p) return;
    if ((*redis_p)->context) redisAsyncFree((*redis_p)->context);
    free(*redis_p);
    *redis_p = NULL;
}

/* A reply of another kind than text is an error of theirs, and nothing to us. */
static void
on_reply(redisAsyncContext *context, void *reply, void *private_data)
{
    struct redis *redis = context->data;
    const redisReply *r = reply;
    struct text value = NO_TEXT;
    if (r && r->type == REDIS_REPLY_STRING) value = (struct text){r->str, (size_t)r->len};
    if (r) redis->failures = 0;
    redis->on_answer(redis->state, (uint64_t)(uintptr_t)private_data, value);
}

bool
redis_get(struct redis *redis, const char *key, uint64_t correlation)
{
    static_assert(sizeof(void *) >= sizeof(uint64_t), "a correlation passes through a pointer");
    if (!redis->connected) return false;
    redis->asked = true;
    const char *words[] = {"GET", key};
    const size_t sizes[] = {3, strlen(key)};
    return redisAsyncCommandArgv(redis->context, on_reply, (void *)(uintptr_t)correlation, 2, words,
                                 sizes) == REDIS_OK;
}

void
redis_set(struct redis *redis, const char *key, struct text value, int64_t seconds)
{
    char number[24];
    if (!redis->connected) return;
    redis->asked = true;
    const int digits = snprintf(number, sizeof number, "%lld", (long long)seconds);
    /* Word by word: to make a command from a format takes hiredis many times as long. */
    const char *words[] = {"SET", key, value.at, "EX", number};
    const size_t sizes[] = {3, strlen(key), value.size, 2, (size_t)digits};
    redisAsyncCommandArgv(redis->context, NULL, NULL, 5, words, sizes);
}

/* One step for Redis, and by its clock, so that all gateways draw from one bucket. */
static const char draw_script[] =
    "local t = redis.call('TIME') "
    "local now = t[1] * 1000 + math.floor(t[2] / 1000) "
    "local rate, burst, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]) "
    "local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at') "
    "local tokens, at = tonumber(bucket[1]) or burst, tonumber(bucket[2]) or now "
    /* what was never written by this script is no bucket: neither debts, nor riches, nor `nan` */
    "if not (tokens >= 0 and tokens <= burst) then tokens = burst end "
    "if not (at >= 0 and at <= now) then at = now end "
    "tokens = math.min(burst, tokens + (now - at) * rate / 1000) "
    "local given = math.min(want, math.floor(tokens)) "
    "tokens = tokens - given "
    "redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', now) "
    "redis.call('PEXPIRE', KEYS[1], math.ceil(burst * 1000 / rate) + 1000) "
    "if given > 0 then return tostring(given) end "
    "return tostring(-math.max(1, math.ceil((1 - tokens) * 1000 / rate)))";

bool
redis_take(struct redis *redis, const struct redis_draw *draw, uint64_t correlation)
{
    if (!redis->connected) return false;
    redis->asked = true;
    return redisAsyncCommand(redis->context, on_reply, (void *)(uintptr_t)correlation,
                             "EVAL %s 1 %s %lld %lld %lld", draw_script, draw->key,
                             (long long)draw->rate, (long long)draw->burst,
                             (long long)draw->want) == REDIS_OK;
}

void
redis_flush(struct redis *redis)
{
    if (redis->asked && redis->connected) redisAsyncHandleWrite(redis->context);
    redis->asked = false;
}

void
redis_was_late(struct redis *redis, int64_t mono_ms)
{
    if (!redis->context || ++redis->failures < FAILURES_MAX) return;
    complain(redis, "it does not answer in time");
    redis->again_ms = mono_ms + APART_MS;
    redisAsyncFree(redis->context);
}

void
redis_turn(struct redis *redis, int64_t mono_ms)
{
    if (redis->connected || mono_ms < redis->again_ms) return;
    if (redis->context) {
        complain(redis, "it takes connections and does not answer");
        redisAsyncFree(redis->context);
    }
    redis->again_ms = mono_ms + APART_MS;
    redis->failures = 0;
    try_to_connect(redis);
}
