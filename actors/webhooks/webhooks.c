#include "webhooks.h"

#include "clock.h"
#include "endpoints.h"
#include "failpoint.h"
#include "log.h"
#include "message.h"
#include "mutant.h"
#include "node.h"
#include "outbox.h"
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
#define DISPATCH_PAUSE_MS 20 /* events that come within it share one transaction */
#define ROUNDS_PER_TURN 8    /* dispatches, and leases, before messages are looked at again */

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
    size_t bodies_size;
    bool woken;
    int64_t poll_at, dispatch_at, stop_at; /* mono */
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

static bool
mark_ended(struct webhooks *webhooks)
{
    size_t count = 0, lost = 0;
    for (size_t i = 0; i < DELIVERY_SLOTS; i++)
        if (webhooks->slots[i].state == SLOT_ENDED)
            webhooks->marks[count++] = webhooks->slots[i].mark;
    if (count && !outbox_mark(webhooks->outbox, webhooks->marks, count, &lost)) return false;
    if (count) FAILPOINT(webhooks_after_mark);
    if (lost)
        log_event(LOG_WARNING, "webhook.lease_lost", "count=%zu of=%zu reason=%s", lost, count,
                  "delivered again by others");
    for (size_t i = 0; i < DELIVERY_SLOTS; i++)
        if (webhooks->slots[i].state == SLOT_ENDED) slot_free(webhooks, &webhooks->slots[i]);
    for (; webhooks->abandoned_count; webhooks->abandoned_count--) {
        const struct abandoned *last = &webhooks->abandoned[webhooks->abandoned_count - 1];
        if (!outbox_abandon(webhooks->outbox, last->endpoint, last->status)) return false;
    }
    return true;
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
    if (!polled && (!webhooks->woken || mono_ms < webhooks->dispatch_at)) return true;
    webhooks->dispatch_at = mono_ms + DISPATCH_PAUSE_MS;
    enum dispatch_verdict verdict = DISPATCH_MORE;
    for (int i = 0; i < ROUNDS_PER_TURN && verdict == DISPATCH_MORE; i++)
        verdict = outbox_dispatch(webhooks->outbox, now_of_turn(), on_work, webhooks);
    webhooks->woken = verdict == DISPATCH_MORE;
    if (webhooks->woken) webhooks->dispatch_at = mono_ms;
    return verdict != DISPATCH_FAILED;
}

/* False when there is no Postgres: nothing else can be done then but let the tries end. */
static bool
work(struct webhooks *webhooks, int64_t mono_ms)
{
    if (!outbox_ready(webhooks->outbox, now_of_turn())) return false;
    if (!mark_ended(webhooks)) return false;
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
    if (working && webhooks->woken && webhooks->dispatch_at - mono_ms < wait_ms)
        wait_ms = webhooks->dispatch_at - mono_ms;
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
    webhooks->outbox = outbox_new(home, node_name(loop_node(loop)), incarnation);
    webhooks->endpoints = endpoints_new((int)webhooks->settings.webhook_per_endpoint);
    const enum address_policy policy =
        webhooks->settings.webhook_private_addresses ? ADDRESS_PRIVATE_TOO : ADDRESS_PUBLIC_ONLY;
    webhooks->poster =
        poster_new(loop, policy, webhooks->settings.webhook_timeout_ms, on_post_ended, webhooks);
    if (!webhooks->outbox || !webhooks->endpoints || !webhooks->poster)
        die("florin-webhooks: there is not enough memory");

    for (int ledger = 1; ledger <= 2; ledger++)
        loop_connect(loop, LINK_ledger_tap, ledger, on_tap, webhooks);
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
