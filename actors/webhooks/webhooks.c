#include "webhooks.h"

#include "clock.h"
#include "endpoints.h"
#include "failpoint.h"
#include "log.h"
#include "message.h"
#include "mutant.h"
#include "node.h"
#include "outbox.h"
#include "partition.h"
#include "poster.h"
#include "random.h"
#include "schedule.h"
#include "settings.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL_MS 1000         /* how often the tables are looked at without being woken */
#define LEASE_GRACE_MS 10000 /* beyond the deadline of a try, to mark it */
#define STOP_MS 5000         /* what is under way may end within this after SIGTERM */
#define BODIES_BYTES_MAX (64 * 1024 * 1024)
#define GONE 410
/* Between two looks for events, so that those that come meanwhile share one. It doubles while
 * nobody wants what is found: who is wanted for the first time in a while waits that long and no
 * longer. */
#define LOOK_PAUSE_MS 20
#define LOOK_PAUSE_MAX_MS 160
#define LOOKS_BEFORE_DEAF 3 /* looks in a row that found something */
#define MARK_PAUSE_MS 10    /* tries that end within it are marked together */
#define MARKS_AT_ONCE 64    /* or as soon as they are so many */
#define ROUNDS_PER_TURN 8   /* dispatches, and leases, before messages are looked at again */

enum slot_state { SLOT_FREE, SLOT_SENDING, SLOT_ENDED };

/* A delivery that is ours. `mark` is what will be written once its try has ended. */
struct slot {
    enum slot_state state;
    char endpoint[ENDPOINT_ID_MAX + 1];
    char event[ENDPOINT_ID_MAX + 1];
    struct text body; /* from malloc */
    bool last_try;
    struct mark mark;
};

struct webhooks {
    struct settings settings;
    struct schedule schedule;
    struct loop *loop;
    struct outbox *outbox;
    struct endpoints *endpoints;
    struct poster *poster;
    struct slot slots[DELIVERY_SLOTS];
    struct mark marks[DELIVERY_SLOTS];
    size_t ended_count; /* slots whose end is still to be marked */
    size_t bodies_size;
    /* Looking for events. As the driver of a network card: as long as each look finds something,
     * who comes to look anyway need not be woken by each; so the tap is listened to only when a
     * look has found nothing. */
    struct link *taps[LEDGERS_PER_PARTITION];
    bool woken, deaf;
    int looks_in_a_row; /* that found something */
    int64_t look_pause_ms;
    int64_t poll_at, look_at, mark_at, stop_at; /* mono */
    /* Endpoints to be given up at the next turn; who finds no room here is met again. */
    struct abandoned {
        char endpoint[ENDPOINT_ID_MAX + 1];
        int status; /* that it answered; 0: it is deleted or disabled */
    } abandoned[OUTBOX_LEASE_MAX];
    size_t abandoned_count;
};

static struct moment
now_of_turn(void)
{
    return (struct moment){clock_wall_ms(), clock_mono_ms()};
}

/* --- a try ends
 * ------------------------------------------------------------------------------------- */

static void
slot_free(struct webhooks *webhooks, struct slot *slot)
{
    webhooks->bodies_size -= slot->body.size;
    free((char *)slot->body.at);
    memset(slot, 0, sizeof *slot);
}

static void
abandon(struct webhooks *webhooks, const char *endpoint, int status)
{
    for (size_t i = 0; i < webhooks->abandoned_count; i++)
        if (strcmp(webhooks->abandoned[i].endpoint, endpoint) == 0) return;
    if (webhooks->abandoned_count == OUTBOX_LEASE_MAX) return;
    struct abandoned *next = &webhooks->abandoned[webhooks->abandoned_count++];
    snprintf(next->endpoint, sizeof next->endpoint, "%s", endpoint);
    next->status = status;
}

static void
on_post_ended(void *state, void *post, const struct post_result *result)
{
    struct webhooks *webhooks = state;
    struct slot *slot = post;
    struct mark *mark = &slot->mark;
    FAILPOINT(webhooks_after_post);
    const bool delivered =
        (result->status >= 200 && result->status < 300) || FLORIN_MUTANT(failure_is_delivery);
    const int64_t tries = mark->number;
    const int64_t wait_ms = schedule_next_ms(&webhooks->schedule, tries, random_below(UINT64_MAX),
                                             result->retry_after_s);
    const bool last = slot->last_try || wait_ms < 0 || result->status == GONE;

    mark->at_ms = result->at_wall_ms;
    mark->duration_ms = result->duration_ms;
    mark->status = result->status;
    mark->state = delivered ? DELIVERY_DELIVERED : last ? DELIVERY_FAILED : DELIVERY_PENDING;
    mark->next_ms = clock_wall_ms() + (wait_ms > 0 ? wait_ms : 0);
    snprintf(mark->error, sizeof mark->error, "%s", result->error);
    slot->state = SLOT_ENDED;
    if (!webhooks->ended_count++) webhooks->mark_at = clock_mono_ms() + MARK_PAUSE_MS;

    endpoints_ended(webhooks->endpoints, slot->endpoint, delivered, result->retry_after_s * 1000,
                    now_of_turn());
    if (mark->state == DELIVERY_PENDING)
        endpoints_work(webhooks->endpoints, slot->endpoint, mark->next_ms);
    if (result->status == GONE) abandon(webhooks, slot->endpoint, GONE);
    log_event(delivered ? LOG_DEBUG : LOG_INFO, delivered ? "webhook.delivered" : "webhook.failed",
              "event=%s endpoint=%s try=%" PRId64 " status=%d ms=%" PRId64 " reason=%s",
              slot->event, slot->endpoint, tries, result->status, result->duration_ms,
              delivered ? "-" : result->error);
}

/* False when Postgres failed. */
static bool
mark_ended(struct webhooks *webhooks)
{
    size_t count = 0, lost = 0;
    for (size_t i = 0; i < DELIVERY_SLOTS && count < webhooks->ended_count; i++)
        if (webhooks->slots[i].state == SLOT_ENDED)
            webhooks->marks[count++] = webhooks->slots[i].mark;
    if (count && !outbox_mark(webhooks->outbox, webhooks->marks, count, &lost)) return false;
    if (count) FAILPOINT(webhooks_after_mark);
    if (lost)
        log_event(LOG_WARNING, "webhook.lease_lost", "count=%zu of=%zu reason=%s", lost, count,
                  "delivered again by others");
    for (size_t i = 0; webhooks->ended_count && i < DELIVERY_SLOTS; i++) {
        if (webhooks->slots[i].state != SLOT_ENDED) continue;
        slot_free(webhooks, &webhooks->slots[i]);
        webhooks->ended_count--;
    }
    for (; webhooks->abandoned_count; webhooks->abandoned_count--) {
        const struct abandoned *last = &webhooks->abandoned[webhooks->abandoned_count - 1];
        if (!outbox_abandon(webhooks->outbox, last->endpoint, last->status)) return false;
    }
    return true;
}

/* Tries end one by one, and a statement for each would cost more than the try. What is not marked
 * yet when the process dies is delivered again, as what was under way is. */
static bool
is_time_to_mark(const struct webhooks *webhooks, int64_t mono_ms)
{
    return webhooks->abandoned_count || loop_stopping(webhooks->loop) ||
           webhooks->ended_count >= MARKS_AT_ONCE ||
           (webhooks->ended_count && mono_ms >= webhooks->mark_at);
}

/* --- a try begins
 * ----------------------------------------------------------------------------------- */

static struct slot *
free_slot(struct webhooks *webhooks)
{
    for (size_t i = 0; i < DELIVERY_SLOTS; i++)
        if (webhooks->slots[i].state == SLOT_FREE) return &webhooks->slots[i];
    return NULL;
}

/* Past the time that the whole schedule takes, a delivery that waited behind others for a dead
 * endpoint has one try and no more. */
static bool
is_last_try(const struct webhooks *webhooks, const struct leased *leased)
{
    return leased->tries > 0 &&
           clock_wall_ms() - leased->event.created * 1000 > webhooks->schedule.total_ms + 60000;
}

static void
on_leased(void *state, const struct leased *leased)
{
    struct webhooks *webhooks = state;
    if (!leased->enabled) {
        abandon(webhooks, leased->endpoint, 0);
        return;
    }
    struct slot *slot = free_slot(webhooks);
    const struct text body = slot ? event_body(&leased->event) : NO_TEXT;
    if (!body.at) return; /* no slot, no memory: the lease ends, and it is tried again */

    *slot = (struct slot){
        .state = SLOT_SENDING, .body = body, .last_try = is_last_try(webhooks, leased)};
    snprintf(slot->endpoint, sizeof slot->endpoint, "%s", leased->endpoint);
    snprintf(slot->event, sizeof slot->event, "%.*s", (int)leased->event.id.size,
             leased->event.id.at);
    slot->mark = (struct mark){.sequence = leased->sequence,
                               .lease_until_ms = leased->lease_until_ms,
                               .endpoint = slot->endpoint,
                               .number = leased->tries + 1};
    webhooks->bodies_size += body.size;
    FAILPOINT(webhooks_after_lease);
    if (poster_start(webhooks->poster, leased->url, leased->secret, body, slot))
        endpoints_started(webhooks->endpoints, slot->endpoint, now_of_turn());
    else
        slot_free(webhooks, slot);
}

/* A slot is taken until the end of its try is marked. False when Postgres failed. */
static bool
make_room(struct webhooks *webhooks, const struct endpoint_want *wants, size_t count)
{
    size_t taken = webhooks->ended_count + (size_t)endpoints_under_way(webhooks->endpoints);
    for (size_t i = 0; i < count; i++)
        taken += (size_t)wants[i].count;
    return taken <= DELIVERY_SLOTS || mark_ended(webhooks);
}

/* False when Postgres failed. `*more`: there may be others to lease at once. */
static bool
lease_due(struct webhooks *webhooks, bool *more)
{
    struct endpoint_want wants[OUTBOX_LEASE_MAX];
    int found[OUTBOX_LEASE_MAX];
    const struct moment now = now_of_turn();
    *more = false;
    if (webhooks->bodies_size > BODIES_BYTES_MAX) return true;
    const size_t count = endpoints_pick(webhooks->endpoints, now, wants, OUTBOX_LEASE_MAX);
    if (!count) return true;
    if (!make_room(webhooks, wants, count)) return false;
    const int64_t lease_ms = webhooks->settings.webhook_timeout_ms + LEASE_GRACE_MS;
    if (!outbox_lease(webhooks->outbox, now, lease_ms, wants, count, found, on_leased, webhooks))
        return false;
    for (size_t i = 0; i < count; i++)
        endpoints_found(webhooks->endpoints, &wants[i], found[i]);
    *more = true;
    return true;
}

/* --- the turn
 * ----------------------------------------------------------------------------------------- */

static void
on_work(void *state, const char *endpoint, int64_t due_wall_ms)
{
    struct webhooks *webhooks = state;
    endpoints_work(webhooks->endpoints, endpoint, due_wall_ms);
}

static void
listen_to_taps(struct webhooks *webhooks, bool listen)
{
    if (listen != webhooks->deaf) return;
    for (int i = 0; i < LEDGERS_PER_PARTITION; i++)
        link_listen(webhooks->taps[i], listen);
    webhooks->deaf = !listen;
    /* What is published before the ledger knows that we listen again is found by one look more, or
     * else by the next poll. */
    if (listen) webhooks->woken = true;
}

/* `verdict`: the most telling of the looks of this turn. */
static void
plan_next_look(struct webhooks *webhooks, enum dispatch_verdict verdict, bool more, int64_t mono_ms)
{
    int64_t *const pause_ms = &webhooks->look_pause_ms;
    if (verdict == DISPATCH_WANTED)
        *pause_ms = LOOK_PAUSE_MS;
    else if (verdict == DISPATCH_NOTHING && *pause_ms > LOOK_PAUSE_MS)
        *pause_ms /= 2;
    else if (verdict == DISPATCH_LEFT)
        *pause_ms = POLL_MS;
    else if (verdict == DISPATCH_UNWANTED)
        *pause_ms = *pause_ms < LOOK_PAUSE_MAX_MS ? 2 * *pause_ms : LOOK_PAUSE_MAX_MS;
    webhooks->look_at = more ? mono_ms : mono_ms + *pause_ms;
    /* Two who look at the same moment would do so again and again, one of them in vain. */
    if (verdict == DISPATCH_OVERTAKEN) webhooks->look_at += *pause_ms / 2;
    webhooks->woken = more || verdict == DISPATCH_OVERTAKEN;

    webhooks->looks_in_a_row = verdict == DISPATCH_NOTHING ? 0 : webhooks->looks_in_a_row + 1;
    listen_to_taps(webhooks, webhooks->looks_in_a_row < LOOKS_BEFORE_DEAF);
}

/* False when Postgres failed. */
static bool
dispatch(struct webhooks *webhooks, int64_t mono_ms)
{
    const bool polled = mono_ms >= webhooks->poll_at && !FLORIN_MUTANT(tap_is_the_truth);
    if (polled) {
        webhooks->poll_at = mono_ms + POLL_MS;
        if (!outbox_resend(webhooks->outbox, now_of_turn(), on_work, webhooks)) return false;
        if (!outbox_scan(webhooks->outbox, on_work, webhooks)) return false;
    }
    const bool looks = webhooks->woken || webhooks->deaf;
    if (!polled && (!looks || mono_ms < webhooks->look_at)) return true;
    enum dispatch_verdict telling = DISPATCH_NOTHING;
    bool more = true;
    for (int i = 0; i < ROUNDS_PER_TURN && more; i++) {
        const enum dispatch_verdict verdict =
            outbox_dispatch(webhooks->outbox, now_of_turn(), on_work, webhooks, &more);
        if (verdict == DISPATCH_FAILED) return false;
        if (verdict > telling) telling = verdict;
    }
    plan_next_look(webhooks, telling, more, mono_ms);
    return true;
}

/* False when there is no Postgres: nothing else can be done then but let the tries end. */
static bool
work(struct webhooks *webhooks, int64_t mono_ms)
{
    if (!outbox_ready(webhooks->outbox, now_of_turn())) return false;
    if (is_time_to_mark(webhooks, mono_ms) && !mark_ended(webhooks)) return false;
    if (loop_stopping(webhooks->loop)) return true;
    if (!dispatch(webhooks, mono_ms)) return false;
    bool more = true;
    for (int i = 0; i < ROUNDS_PER_TURN && more; i++)
        if (!lease_due(webhooks, &more)) return false;
    return true;
}

/* After SIGTERM: what is under way may end, the rest is given back. */
static void
stop_when_done(struct webhooks *webhooks, int64_t mono_ms)
{
    if (!webhooks->stop_at) webhooks->stop_at = mono_ms + STOP_MS;
    const int under_way = endpoints_under_way(webhooks->endpoints);
    if (under_way && mono_ms < webhooks->stop_at) return;
    outbox_release(webhooks->outbox, now_of_turn());
    log_event(LOG_INFO, "process.stopped", "interrupted=%d", under_way);
    loop_stop(webhooks->loop);
}

static int64_t
on_turn(void *state, int64_t mono_ms)
{
    struct webhooks *webhooks = state;
    poster_collect(webhooks->poster);
    const bool working = work(webhooks, mono_ms);
    loop_set_state(webhooks->loop, working ? "serving" : "waiting",
                   working ? "" : outbox_trouble(webhooks->outbox));
    if (loop_stopping(webhooks->loop)) {
        stop_when_done(webhooks, mono_ms);
        const int64_t wait_ms = poster_wait_ms(webhooks->poster);
        return wait_ms < 100 ? wait_ms : 100;
    }
    int64_t wait_ms = poster_wait_ms(webhooks->poster);
    const int64_t poll_ms = working ? webhooks->poll_at - mono_ms : 50;
    if (poll_ms < wait_ms) wait_ms = poll_ms;
    if (working && webhooks->abandoned_count) wait_ms = 0;
    if (working && webhooks->ended_count && webhooks->mark_at - mono_ms < wait_ms)
        wait_ms = webhooks->mark_at - mono_ms;
    if (working && (webhooks->woken || webhooks->deaf) && webhooks->look_at - mono_ms < wait_ms)
        wait_ms = webhooks->look_at - mono_ms;
    if (working) {
        const int64_t work_ms = endpoints_wait_ms(webhooks->endpoints, now_of_turn());
        const bool full = webhooks->bodies_size > BODIES_BYTES_MAX;
        if (!full && work_ms < wait_ms) wait_ms = work_ms;
    }
    return wait_ms > 0 ? wait_ms : 0;
}

/* A head that we have passed already is no news. */
static void
on_tap(void *state, struct link *from, const struct packet *packet)
{
    struct webhooks *webhooks = state;
    if (packet->number == MSG_event_published) {
        webhooks->woken = true;
    } else if (packet->number == MSG_events_head) {
        struct msg_events_head head;
        if (!packet_decode(from, packet, MSG_events_head, &head)) return;
        if ((int64_t)head.sequence > outbox_cursor(webhooks->outbox)) webhooks->woken = true;
    }
}

/* --- start
 * -------------------------------------------------------------------------------------------- */

struct webhooks *
webhooks_new(struct loop *loop, const char *home)
{
    struct webhooks *webhooks = calloc(1, sizeof *webhooks);
    char error[256];
    uint64_t incarnation;
    if (!webhooks) die("florin-webhooks: there is not enough memory");
    settings_load(home, &webhooks->settings);
    if (!schedule_read(webhooks->settings.webhook_retry_s,
                       webhooks->settings.webhook_jitter_percent, &webhooks->schedule, error,
                       sizeof error))
        die("%s", error);
    random_bytes(&incarnation, sizeof incarnation);
    webhooks->loop = loop;
    const int partition =
        partition_of_worker(node_instance(loop_node(loop)), (int)webhooks->settings.partitions);
    webhooks->outbox = outbox_new(home, partition, node_name(loop_node(loop)), incarnation);
    webhooks->endpoints = endpoints_new((int)webhooks->settings.webhook_per_endpoint);
    const enum address_policy policy =
        webhooks->settings.webhook_private_addresses ? ADDRESS_PRIVATE_TOO : ADDRESS_PUBLIC_ONLY;
    webhooks->poster =
        poster_new(loop, policy, webhooks->settings.webhook_timeout_ms, on_post_ended, webhooks);
    if (!webhooks->outbox || !webhooks->endpoints || !webhooks->poster)
        die("florin-webhooks: there is not enough memory");

    webhooks->look_pause_ms = LOOK_PAUSE_MS;
    for (int i = 0; i < LEDGERS_PER_PARTITION; i++)
        webhooks->taps[i] =
            loop_connect(loop, LINK_ledger_tap, partition_ledger(partition, i), on_tap, webhooks);
    loop_on_turn(loop, on_turn, webhooks);
    loop_set_state(loop, "starting", "");
    log_event(LOG_INFO, "process.started", "tries=%zu private_addresses=%d",
              webhooks->schedule.count + 1, policy == ADDRESS_PRIVATE_TOO);
    return webhooks;
}

void
webhooks_destroy(struct webhooks **webhooks_p)
{
    struct webhooks *webhooks = *webhooks_p;
    if (!webhooks) return;
    poster_destroy(&webhooks->poster);
    for (size_t i = 0; i < DELIVERY_SLOTS; i++)
        if (webhooks->slots[i].state != SLOT_FREE) slot_free(webhooks, &webhooks->slots[i]);
    endpoints_destroy(&webhooks->endpoints);
    outbox_destroy(&webhooks->outbox);
    free(webhooks);
    *webhooks_p = NULL;
}
