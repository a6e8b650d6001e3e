#include "mux.h"

#include "clock.h"
#include "failpoint.h"
#include "fiber.h"
#include "log.h"
#include "redis.h"
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { TURN_MS_MAX = 500, INDEX_BITS = 14, BEAT_MS = 250, LINKS = 2 };

struct mux {
    struct loop *loop;
    struct link *links[LINKS]; /* by enum mux_to */
    uint64_t pids[LINKS];      /* who was last known to be at their other ends; 0: nobody yet */
    int64_t beat_ms;           /* when to ask them next */
    struct redis *redis;
    int64_t redis_timeout_ms;
    bool closed;

    struct mux_call **calls; /* by the low bits of their correlation; NULL: free */
    uint16_t *unused;
    size_t calls_max, unused_count;
    uint64_t serial;
    int64_t next_deadline_ms; /* no call's is earlier */
    struct mux_call *ended,
        **last; /* whose fibers are to go on, in the order in which they ended */
};

/* --- the life of a call
 * ---------------------------------------------------------------------------- */

/* Its fiber goes on later in the turn: whoever ends a call is in the middle of a packet, or of a
 * reply of Redis's. */
static void
tell_end(struct mux *mux, struct mux_call *call, enum mux_outcome outcome)
{
    call->outcome = outcome;
    call->ended = true;
    if (!call->fiber) return; /* it ended before it had begun to wait */
    call->next = NULL;
    *mux->last = call;
    mux->last = &call->next;
}

static void
end_call(struct mux *mux, struct mux_call *call, enum mux_outcome outcome)
{
    const size_t index = call->correlation & ((1u << INDEX_BITS) - 1);
    assert(mux->calls[index] == call);
    mux->calls[index] = NULL;
    mux->unused[mux->unused_count++] = (uint16_t)index;
    tell_end(mux, call, outcome);
}

static void
take_answer(struct mux_call *call, const void *bytes, size_t size)
{
    call->answer = arena_take_unset(call->arena, size);
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
    if (mux->unused_count == 0) { /* more fibers than were announced: refused, not lost */
        tell_end(mux, call, MUX_UNROUTABLE);
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
    if (value.at && value.size <= MESSAGE_BYTES_MAX) { /* longer: nothing that we have kept */
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

/* --- asking
 * ---------------------------------------------------------------------------------------- */

void
mux_ask(struct mux *mux, struct mux_call *call)
{
    assert(fiber_running());
    call->answer = NULL;
    call->answer_size = 0;
    call->refusal[0] = '\0';
    call->fiber = NULL;
    call->ended = false;
    if (mux->closed) {
        call->outcome = MUX_UNROUTABLE;
        return;
    }
    begin_call(mux, call, clock_mono_ms());
    call->fiber = fiber_running();
    while (!call->ended)
        fiber_wait();
}

void
mux_keep(struct mux *mux, const char *redis_key, struct text value, int64_t seconds)
{
    if (mux->closed) return;
    FAILPOINT(gateway_before_keep);
    redis_set(mux->redis, redis_key, value, seconds);
}

/* What they ask next may end at once, and they go on with it; it does not come back here. */
static void
go_on(struct mux *mux)
{
    while (mux->ended) {
        struct mux_call *call = mux->ended;
        mux->ended = call->next; /* read before its fiber ends it */
        if (!mux->ended) mux->last = &mux->ended;
        fiber_go(call->fiber);
    }
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

void
mux_turn(struct mux *mux, int64_t mono_ms)
{
    if (mono_ms >= mux->next_deadline_ms) end_what_is_late(mux, mono_ms);
    redis_turn(mux->redis, mono_ms);
    if (mono_ms >= mux->beat_ms) beat(mux, mono_ms);
    go_on(mux);
}

int64_t
mux_flush(struct mux *mux, int64_t mono_ms)
{
    redis_flush(mux->redis);
    if (mux->ended) return 0; /* Redis went away under it */
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
    mux->last = &mux->ended;
    mux->calls_max = calls_max;
    mux->calls = calloc(calls_max, sizeof *mux->calls);
    mux->unused = calloc(calls_max, sizeof *mux->unused);
    assert(mux->calls && mux->unused);
    for (size_t i = 0; i < calls_max; i++)
        mux->unused[mux->unused_count++] = (uint16_t)i;
    mux->next_deadline_ms = INT64_MAX;
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
    mux->closed = true;
    for (size_t i = 0; i < mux->calls_max; i++)
        if (mux->calls[i]) end_call(mux, mux->calls[i], MUX_LATE);
    go_on(mux);
}

void
mux_destroy(struct mux **mux_p)
{
    struct mux *mux = *mux_p;
    if (!mux) return;
    mux_close(mux);
    redis_destroy(&mux->redis);
    free(mux->calls);
    free(mux->unused);
    free(mux);
    *mux_p = NULL;
}
