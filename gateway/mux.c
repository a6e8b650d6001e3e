#include "mux.h"

#include "clock.h"
#include "failpoint.h"
#include "log.h"
#include "redis.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { KEEPS_MAX = 4096, TURN_MS_MAX = 500, INDEX_BITS = 14, BEAT_MS = 250, LINKS = 2 };

/* An answer on its way to Redis. */
struct keep {
    struct keep *next;
    char key[96];
    int64_t seconds;
    size_t size;
    char value[];
};

struct mux {
    struct loop *loop;
    struct link *links[LINKS]; /* by enum mux_to */
    uint64_t pids[LINKS];      /* who was last known to be at their other ends; 0: nobody yet */
    int64_t beat_ms;           /* when to ask them next */
    struct redis *redis;
    int64_t redis_timeout_ms;
    int bell; /* eventfd: something is queued */

    pthread_mutex_t lock; /* of the four that follow */
    struct mux_call *first, **last;
    struct keep *keeps;
    size_t keep_count;
    bool closed;

    /* of the loop's thread alone */
    struct mux_call **calls; /* by the low bits of their correlation; NULL: free */
    uint16_t *unused;
    size_t calls_max, unused_count;
    uint64_t serial;
    int64_t next_deadline_ms; /* no call's is earlier */
};

/* --- waking
 * ---------------------------------------------------------------------------------------- */

/* After the store the call may be gone; waking an address where nobody waits is harmless. */
static void
wake(struct mux_call *call)
{
    atomic_uint *done = &call->done;
    atomic_store_explicit(done, 1, memory_order_release);
    syscall(SYS_futex, done, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void
wait_until_done(struct mux_call *call)
{
    while (!atomic_load_explicit(&call->done, memory_order_acquire))
        syscall(SYS_futex, &call->done, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

/* --- the life of a call, on the loop's thread
 * ------------------------------------------------------ */

static void
end_call(struct mux *mux, struct mux_call *call, enum mux_outcome outcome)
{
    const size_t index = call->correlation & ((1u << INDEX_BITS) - 1);
    assert(mux->calls[index] == call);
    mux->calls[index] = NULL;
    mux->unused[mux->unused_count++] = (uint16_t)index;
    call->outcome = outcome;
    wake(call);
}

static void
take_answer(struct mux_call *call, const void *bytes, size_t size)
{
    call->answer = malloc(size ? size : 1);
    assert(call->answer);
    if (size) memcpy(call->answer, bytes, size);
    call->answer_size = size;
}

static struct mux_call *
call_of(struct mux *mux, uint64_t correlation)
{
    const size_t index = correlation & ((1u << INDEX_BITS) - 1);
    if (index >= mux->calls_max) return NULL;
    struct mux_call *call = mux->calls[index];
    return call && call->correlation == correlation ? call : NULL;
}

static void
send_call(struct mux *mux, struct mux_call *call)
{
    const int64_t left_ms = call->deadline_ms - clock_mono_ms();
    const struct envelope envelope = {.slot = call->slot,
                                      .correlation = call->correlation,
                                      .deadline_ms = clock_wall_ms() + left_ms};
    call->asks_redis = false;
    FAILPOINT(gateway_before_send);
    if (left_ms <= 0 ||
        !link_forward(mux->links[call->to], envelope, call->number, call->body, call->size)) {
        end_call(mux, call, left_ms <= 0 ? MUX_LATE : MUX_UNROUTABLE);
        return;
    }
    FAILPOINT_AFTER(mux->links[call->to], gateway_after_send);
}

/* Redis has nothing, or is not there: others are asked, unless it was Redis alone that was meant.
 */
static void
go_on_without_redis(struct mux *mux, struct mux_call *call)
{
    call->asks_redis = false;
    if (call->draw)
        end_call(mux, call, MUX_UNROUTABLE);
    else
        send_call(mux, call);
}

static bool
ask_redis(struct mux *mux, struct mux_call *call)
{
    if (call->draw) return redis_take(mux->redis, call->draw, call->correlation);
    return call->redis_key && redis_get(mux->redis, call->redis_key, call->correlation);
}

static void
begin_call(struct mux *mux, struct mux_call *call, int64_t mono_ms)
{
    if (mux->unused_count == 0) { /* more threads than were announced: refused, not lost */
        call->outcome = MUX_UNROUTABLE;
        wake(call);
        return;
    }
    const uint16_t index = mux->unused[--mux->unused_count];
    call->correlation = ++mux->serial << INDEX_BITS | index;
    mux->calls[index] = call;
    int64_t deadline_ms = call->deadline_ms;
    if (ask_redis(mux, call)) {
        call->asks_redis = true;
        call->redis_deadline_ms = mono_ms + mux->redis_timeout_ms;
        if (call->redis_deadline_ms < deadline_ms) deadline_ms = call->redis_deadline_ms;
    } else {
        go_on_without_redis(mux, call);
    }
    if (deadline_ms < mux->next_deadline_ms) mux->next_deadline_ms = deadline_ms;
}

static void
on_redis(void *state, uint64_t correlation, struct text value)
{
    struct mux *mux = state;
    struct mux_call *call = call_of(mux, correlation);
    if (!call || !call->asks_redis) return;
    if (value.at) {
        take_answer(call, value.at, value.size);
        end_call(mux, call, MUX_REMEMBERED);
    } else {
        go_on_without_redis(mux, call);
    }
}

/* Another process than before: whoever was there has taken with it what it was asked, and waiting
 * for an answer would be in vain. What the new one was asked meanwhile goes too; it is asked again.
 */
static void
on_pong(struct mux *mux, struct link *from, const struct packet *packet)
{
    struct msg_pong pong;
    if (!packet_decode(from, packet, MSG_pong, &pong)) return;
    for (int to = 0; to < LINKS; to++) {
        if (mux->links[to] != from) continue;
        const bool restarted = mux->pids[to] && mux->pids[to] != pong.pid;
        mux->pids[to] = pong.pid;
        if (!restarted) continue;
        log_event(LOG_WARNING, "peer.restarted", "name=%.*s pid=%llu", (int)pong.name.size,
                  pong.name.at, (unsigned long long)pong.pid);
        for (size_t i = 0; i < mux->calls_max; i++) {
            struct mux_call *call = mux->calls[i];
            if (call && !call->asks_redis && (int)call->to == to) end_call(mux, call, MUX_LATE);
        }
    }
}

static void
beat(struct mux *mux, int64_t mono_ms)
{
    const struct msg_ping ping = {0};
    mux->beat_ms = mono_ms + BEAT_MS;
    for (int to = 0; to < LINKS; to++)
        (void)link_send(mux->links[to], (struct envelope){.slot = 0}, MSG_ping, &ping);
}

/* The sender of an answer cannot be another than whom we asked: each link has one process at its
 * other end. */
static void
on_packet(void *state, struct link *from, const struct packet *packet)
{
    struct mux *mux = state;
    if (packet->number == MSG_pong) {
        on_pong(mux, from, packet);
        return;
    }
    struct mux_call *call = call_of(mux, packet->correlation);
    if (!call || call->asks_redis || mux->links[call->to] != from) return; /* too late */
    call->number = packet->number;
    if (packet->number == MSG_refused) {
        struct msg_refused refused;
        if (packet_decode(from, packet, MSG_refused, &refused)) {
            snprintf(call->refusal, sizeof call->refusal, "%.*s", (int)refused.code.size,
                     refused.code.at);
            log_event(LOG_DEBUG, "call.refused", "code=%s reason=\"%.*s\"", call->refusal,
                      (int)refused.reason.size, refused.reason.at);
        }
        end_call(mux, call, strcmp(call->refusal, "expired") == 0 ? MUX_LATE : MUX_UNROUTABLE);
        return;
    }
    FAILPOINT(gateway_before_reply);
    take_answer(call, packet->body, packet->size);
    end_call(mux, call, MUX_ANSWERED);
}

/* --- the queue
 * ------------------------------------------------------------------------------------- */

static void
on_bell(void *state, int fd, short events)
{
    struct mux *mux = state;
    uint64_t times;
    (void)events;
    if (read(fd, &times, sizeof times) < 0) assert(errno == EAGAIN || errno == EINTR);
    pthread_mutex_lock(&mux->lock);
    struct mux_call *call = mux->first;
    struct keep *keep = mux->keeps;
    mux->first = NULL;
    mux->last = &mux->first;
    mux->keeps = NULL;
    mux->keep_count = 0;
    pthread_mutex_unlock(&mux->lock);

    const int64_t mono_ms = clock_mono_ms();
    while (call) {
        struct mux_call *next = call->next; /* read before it may be woken */
        begin_call(mux, call, mono_ms);
        call = next;
    }
    while (keep) {
        struct keep *next = keep->next;
        FAILPOINT(gateway_before_keep);
        redis_set(mux->redis, keep->key, (struct text){keep->value, keep->size}, keep->seconds);
        free(keep);
        keep = next;
    }
    redis_flush(mux->redis);
}

static void
ring(struct mux *mux)
{
    const uint64_t one = 1;
    if (write(mux->bell, &one, sizeof one) < 0) assert(errno == EAGAIN); /* rung enough already */
}

void
mux_ask(struct mux *mux, struct mux_call *call)
{
    bool was_empty = false;
    call->next = NULL;
    call->answer = NULL;
    call->answer_size = 0;
    call->refusal[0] = '\0';
    atomic_store(&call->done, 0);
    pthread_mutex_lock(&mux->lock);
    const bool closed = mux->closed;
    if (!closed) {
        was_empty = !mux->first;
        *mux->last = call;
        mux->last = &call->next;
    }
    pthread_mutex_unlock(&mux->lock);
    if (closed) {
        call->outcome = MUX_UNROUTABLE;
        return;
    }
    if (was_empty) ring(mux);
    wait_until_done(call);
}

void
mux_keep(struct mux *mux, const char *redis_key, struct text value, int64_t seconds)
{
    struct keep *keep = malloc(sizeof *keep + value.size);
    assert(keep);
    assert(strlen(redis_key) < sizeof keep->key);
    strcpy(keep->key, redis_key);
    keep->seconds = seconds;
    keep->size = value.size;
    memcpy(keep->value, value.at, value.size);
    pthread_mutex_lock(&mux->lock);
    const bool taken = !mux->closed && mux->keep_count < KEEPS_MAX;
    if (taken) {
        keep->next = mux->keeps;
        mux->keeps = keep;
        mux->keep_count++;
    }
    pthread_mutex_unlock(&mux->lock);
    if (taken)
        ring(mux);
    else
        free(keep);
}

/* --- time
 * ------------------------------------------------------------------------------------------ */

static void
end_what_is_late(struct mux *mux, int64_t mono_ms)
{
    mux->next_deadline_ms = INT64_MAX;
    for (size_t i = 0; i < mux->calls_max; i++) {
        struct mux_call *call = mux->calls[i];
        if (call && call->asks_redis && call->redis_deadline_ms <= mono_ms) {
            call->asks_redis =
                false; /* first: what is late may end the connection, and call back */
            redis_was_late(mux->redis, mono_ms);
            go_on_without_redis(mux, call);
            call = mux->calls[i];
        }
        if (call && call->deadline_ms <= mono_ms) {
            end_call(mux, call, MUX_LATE);
            call = NULL;
        }
        if (!call) continue;
        const int64_t deadline_ms = call->asks_redis && call->redis_deadline_ms < call->deadline_ms
                                        ? call->redis_deadline_ms
                                        : call->deadline_ms;
        if (deadline_ms < mux->next_deadline_ms) mux->next_deadline_ms = deadline_ms;
    }
}

int64_t
mux_turn(struct mux *mux, int64_t mono_ms)
{
    if (mono_ms >= mux->next_deadline_ms) end_what_is_late(mux, mono_ms);
    redis_turn(mux->redis, mono_ms);
    if (mono_ms >= mux->beat_ms) beat(mux, mono_ms);
    const int64_t next_ms =
        mux->next_deadline_ms < mux->beat_ms ? mux->next_deadline_ms : mux->beat_ms;
    const int64_t left_ms = next_ms - mono_ms;
    return left_ms < 0 ? 0 : left_ms < TURN_MS_MAX ? left_ms : TURN_MS_MAX;
}

/* --- the whole
 * -------------------------------------------------------------------------------------- */

struct mux *
mux_new(struct loop *loop, unsigned calls_max, int64_t redis_timeout_ms)
{
    char folder[PATH_MAX], path[PATH_MAX + 16];
    struct mux *mux = calloc(1, sizeof *mux);
    assert(mux);
    assert(calls_max <= 1u << INDEX_BITS);
    mux->loop = loop;
    mux->redis_timeout_ms = redis_timeout_ms;
    mux->last = &mux->first;
    pthread_mutex_init(&mux->lock, NULL);
    mux->calls_max = calls_max;
    mux->calls = calloc(calls_max, sizeof *mux->calls);
    mux->unused = calloc(calls_max, sizeof *mux->unused);
    assert(mux->calls && mux->unused);
    for (size_t i = 0; i < calls_max; i++)
        mux->unused[mux->unused_count++] = (uint16_t)i;
    mux->next_deadline_ms = INT64_MAX;

    mux->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(mux->bell >= 0);
    loop_watch(loop, mux->bell, POLLIN, on_bell, mux);
    mux->links[MUX_BROKER] = loop_connect(loop, LINK_broker_front, 1, on_packet, mux);
    mux->links[MUX_VAULT] = loop_connect(loop, LINK_vault_tokenize, 1, on_packet, mux);
    run_folder(node_home(loop_node(loop)), folder, sizeof folder);
    snprintf(path, sizeof path, "%s/redis.sock", folder);
    mux->redis = redis_new(loop, path, on_redis, mux);
    return mux;
}

void
mux_close(struct mux *mux)
{
    pthread_mutex_lock(&mux->lock);
    mux->closed = true;
    struct mux_call *call = mux->first;
    mux->first = NULL;
    mux->last = &mux->first;
    pthread_mutex_unlock(&mux->lock);
    while (call) {
        struct mux_call *next = call->next;
        call->outcome = MUX_UNROUTABLE;
        wake(call);
        call = next;
    }
    for (size_t i = 0; i < mux->calls_max; i++)
        if (mux->calls[i]) end_call(mux, mux->calls[i], MUX_LATE);
}

void
mux_destroy(struct mux **mux_p)
{
    struct mux *mux = *mux_p;
    if (!mux) return;
    mux_close(mux);
    redis_destroy(&mux->redis);
    loop_unwatch(mux->loop, mux->bell);
    close(mux->bell);
    while (mux->keeps) {
        struct keep *next = mux->keeps->next;
        free(mux->keeps);
        mux->keeps = next;
    }
    pthread_mutex_destroy(&mux->lock);
    free(mux->calls);
    free(mux->unused);
    free(mux);
    *mux_p = NULL;
}
