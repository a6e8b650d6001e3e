#include "broker.h"

#include "clock.h"
#include "failpoint.h"
#include "log.h"
#include "owners.h"
#include "partition.h"
#include "random.h"
#include "tickets.h"
#include "waiting.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEAT_MS 250
#define SILENCE_MS 1000      /* a worker not heard of for so long is dead */
#define SILENCE_GONE_MS 400  /* likewise, when its pipe does not take our beat either */
#define RELEASE_MS 2000      /* an owner has so long to let go of a slot */
#define ASSIGN_AGAIN_MS 1000 /* slots not held yet are assigned again: the message may be lost */
#define WAIT_MS 1500         /* a request waits so long for an owner of its slot */
#define SETTLE_MS 500        /* at the start, so long for all workers to come */
#define EXPIRE_MS 100        /* how often deadlines are looked at */
#define DEADLINE_MS 30000    /* of a request that names none */
#define DRAIN_MS 5000        /* at the end, so long for what is under way */
/* Requests that one worker may have at once. Fewer than the frames that its pipe holds, so that one
 * that is slow is noticed here and its callers are told, and nothing is dropped in silence (F39).
 */
#define WORKER_REQUESTS_MAX 8192

static_assert(BEAT_MS < SILENCE_GONE_MS && SILENCE_GONE_MS < SILENCE_MS,
              "one lost beat is no death");
static_assert(SILENCE_MS < WAIT_MS, "requests outlive the silence of a worker that died");

/* A row per worker that was ever here; the row stays its own when it comes back. */
struct worker {
    char name[NODE_NAME_MAX + 1];
    int partition; /* whose slots it may own */
    bool alive;
    bool leaving; /* it ends what it has and takes nothing new */
    struct peer peer;
    uint64_t incarnation;
    int64_t seen_ms;
    uint8_t told[SLOT_BYTES]; /* the last slots_assign */
    int64_t told_ms;
    uint8_t asked[SLOT_BYTES]; /* the last slots_release */
    int64_t asked_ms;
    unsigned requests; /* tickets that it has */
};

struct broker {
    struct loop *loop;
    struct link *front, *back;
    struct tickets *tickets;
    struct waiting waiting;
    struct owners owners;
    struct worker workers[WORKERS_MAX];
    unsigned worker_count; /* rows in use */
    int partitions;
    unsigned expected;  /* how many there will be … */
    unsigned sharing;   /* … and how many of them share the slots */
    bool settled;       /* the first plan was made */
    bool replan;        /* somebody came or went */
    bool told_due;      /* the plan changed: workers are to be told */
    bool serve_waiting; /* a slot became ready */
    int64_t first_ready_ms, turned_ms, beaten_ms, expired_ms, lively_ms, stopping_ms;
};

/* --- answers of our own ----------------------------------------------------------------------- */

static void
refuse(struct broker *b, const struct peer *asker, uint16_t slot, uint64_t correlation,
       const char *code, const char *reason)
{
    if (correlation == 0) return;
    const struct msg_refused body = {.has = HAS_refused_code | HAS_refused_reason,
                                     .code = text_of(code),
                                     .reason = text_of(reason)};
    (void)link_send(b->front, (struct envelope){asker, slot, correlation, 0}, MSG_refused, &body);
}

static void
close_ticket(struct broker *b, struct ticket *ticket)
{
    assert(b->workers[ticket->worker].requests > 0);
    b->workers[ticket->worker].requests--;
    ticket_close(b->tickets, ticket);
}

/* Everything that this worker has of us will not be answered by it. */
static void
refuse_tickets_of(struct broker *b, uint8_t worker)
{
    size_t at = 0;
    struct ticket *ticket;
    while (tickets_next(b->tickets, &at, &ticket)) {
        if (ticket->worker != worker) continue;
        refuse(b, &ticket->asker, ticket->slot, ticket->correlation, "unroutable",
               "The worker that had this request is gone.");
        close_ticket(b, ticket);
    }
}

/* --- requests ----------------------------------------------------------------------------------
 */

/* To the worker that owns the slot, under a ticket. What cannot be passed on is refused. */
static void
pass_on(struct broker *b, uint8_t worker, const struct packet *packet)
{
    const bool room = b->workers[worker].requests < WORKER_REQUESTS_MAX;
    struct ticket *ticket = room ? ticket_issue(b->tickets) : NULL;
    if (!ticket) {
        refuse(b, &packet->peer, packet->slot, packet->correlation, "busy",
               "Too many requests are under way.");
        return;
    }
    ticket->correlation = packet->correlation;
    ticket->asker = packet->peer;
    ticket->slot = packet->slot;
    ticket->worker = worker;
    b->workers[worker].requests++;
    ticket->deadline_ms = packet->deadline_ms ? packet->deadline_ms : clock_wall_ms() + DEADLINE_MS;
    const struct envelope envelope = {&b->workers[worker].peer, packet->slot, ticket->number,
                                      ticket->deadline_ms};
    FAILPOINT(broker_before_forward);
    if (link_forward(b->back, envelope, packet->number, packet->body, packet->size)) {
        FAILPOINT_AFTER(b->back, broker_after_forward);
        return;
    }
    close_ticket(b, ticket);
    refuse(b, &packet->peer, packet->slot, packet->correlation, "busy",
           "The worker takes no more at the moment.");
}

/* Who takes requests for this slot now; NO_WORKER: they wait. */
static uint8_t
route(const struct broker *b, uint16_t slot)
{
    const uint8_t worker = owners_route(&b->owners, slot);
    return worker != NO_WORKER && b->workers[worker].leaving ? NO_WORKER : worker;
}

static void
on_request(struct broker *b, const struct packet *packet)
{
    /* The clock is read here and not once a turn: after a pause of this process, what came in
     * meanwhile must be measured by the time that it is now (F08). */
    if (packet->deadline_ms && packet->deadline_ms <= clock_wall_ms()) {
        refuse(b, &packet->peer, packet->slot, packet->correlation, "expired",
               "The deadline passed before the request was passed on.");
        return;
    }
    if (b->stopping_ms) {
        refuse(b, &packet->peer, packet->slot, packet->correlation, "unroutable",
               "The broker is about to end.");
        return;
    }
    const uint8_t worker = route(b, packet->slot);
    if (worker != NO_WORKER) {
        pass_on(b, worker, packet);
        return;
    }
    const int64_t now_ms = clock_mono_ms();
    if (now_ms - b->lively_ms > WAIT_MS) {
        refuse(b, &packet->peer, packet->slot, packet->correlation, "unroutable",
               "No worker is alive.");
        return;
    }
    if (!waiting_add(&b->waiting, packet, now_ms + WAIT_MS))
        refuse(b, &packet->peer, packet->slot, packet->correlation, "busy",
               "Too many requests wait for a worker.");
}

static enum waiting_fate
serve_one(void *state, const struct waiting_request *request)
{
    struct broker *b = state;
    const uint8_t worker = route(b, request->slot);
    if (worker == NO_WORKER) return WAITING_STAYS;
    pass_on(b, worker,
            &(struct packet){.peer = request->asker,
                             .number = request->number,
                             .slot = request->slot,
                             .correlation = request->correlation,
                             .deadline_ms = request->deadline_ms,
                             .body = request->body,
                             .size = request->size});
    return WAITING_LEAVES;
}

static enum waiting_fate
expire_one(void *state, const struct waiting_request *request)
{
    struct broker *b = state;
    if (request->deadline_ms && request->deadline_ms <= clock_wall_ms()) {
        refuse(b, &request->asker, request->slot, request->correlation, "expired",
               "The deadline passed while no worker owned the slot.");
        return WAITING_LEAVES;
    }
    if (request->until_ms > clock_mono_ms()) return WAITING_STAYS;
    refuse(b, &request->asker, request->slot, request->correlation, "unroutable",
           "No worker is ready for this merchant.");
    return WAITING_LEAVES;
}

/* --- answers -----------------------------------------------------------------------------------
 */

static void
on_answer(struct broker *b, uint8_t worker, const struct packet *packet)
{
    struct ticket *ticket = ticket_find(b->tickets, packet->correlation);
    if (!ticket || ticket->worker != worker) return; /* too late: it was refused meanwhile */
    const struct envelope envelope = {&ticket->asker, packet->slot, ticket->correlation, 0};
    FAILPOINT(broker_before_answer);
    (void)link_forward(b->front, envelope, packet->number, packet->body, packet->size);
    FAILPOINT_AFTER(b->front, broker_after_answer);
    close_ticket(b, ticket);
}

static void
expire_tickets(struct broker *b)
{
    const int64_t wall_ms = clock_wall_ms();
    size_t at = 0;
    struct ticket *ticket;
    while (tickets_next(b->tickets, &at, &ticket)) {
        if (ticket->deadline_ms > wall_ms) continue;
        refuse(b, &ticket->asker, ticket->slot, ticket->correlation, "expired",
               "The deadline passed before the worker answered.");
        close_ticket(b, ticket);
    }
}

/* --- workers -----------------------------------------------------------------------------------
 */

/* The row of that name, NO_WORKER when there is none. */
static uint8_t
worker_named(const struct broker *b, const char *name)
{
    for (unsigned w = 0; w < b->worker_count; w++)
        if (strcmp(b->workers[w].name, name) == 0) return (uint8_t)w;
    return NO_WORKER;
}

static unsigned
living(const struct broker *b)
{
    unsigned count = 0;
    for (unsigned w = 0; w < b->worker_count; w++)
        count += b->workers[w].alive;
    return count;
}

static void
tell_state(struct broker *b)
{
    char detail[256] = "no worker is ready";
    size_t size = 0;
    for (unsigned w = 0; w < b->worker_count; w++) {
        uint8_t set[SLOT_BYTES];
        if (!b->workers[w].alive) continue;
        owners_owned(&b->owners, (uint8_t)w, set);
        const int n = snprintf(detail + size, sizeof detail - size, "%s%s owns %u slots",
                               size ? ", " : "", b->workers[w].name, slot_count(set));
        if (n > 0 && (size_t)n < sizeof detail - size) size += (size_t)n;
    }
    loop_set_state(b->loop, living(b) ? "serving" : "waiting", detail);
}

static void
lose_worker(struct broker *b, uint8_t w, const char *why)
{
    struct worker *worker = &b->workers[w];
    log_event(LOG_WARNING, "worker.lost", "worker=%s why=%s", worker->name, why);
    worker->alive = false;
    worker->leaving = false;
    owners_lose(&b->owners, w);
    refuse_tickets_of(b, w);
    b->replan = true;
    b->serve_waiting = true;
}

/* Of a name that the handshake has proved: ROLE-INSTANCE. */
static int
instance_of(const char *name)
{
    return (int)strtol(strrchr(name, '-') + 1, NULL, 10);
}

static void
on_worker_ready(struct broker *b, uint8_t w, const struct packet *packet)
{
    struct msg_worker_ready ready;
    if (!packet_decode(b->back, packet, MSG_worker_ready, &ready)) return;
    if (w == NO_WORKER) {
        if (b->worker_count == WORKERS_MAX) {
            log_event(LOG_ERROR, "worker.refused", "worker=%s why=\"too many workers\"",
                      packet->sender);
            return;
        }
        w = (uint8_t)b->worker_count++;
        snprintf(b->workers[w].name, sizeof b->workers[w].name, "%s", packet->sender);
        b->workers[w].partition = partition_of_worker(instance_of(packet->sender), b->partitions);
    }
    struct worker *worker = &b->workers[w];
    const bool another = worker->incarnation != ready.incarnation;
    if (worker->alive && another) {
        /* It died and is here again before its silence was noticed: it keeps its slots, but what
         * it had in its hands is gone. */
        log_event(LOG_WARNING, "worker.restarted", "worker=%s", worker->name);
        refuse_tickets_of(b, w);
        owners_reborn(&b->owners, w);
    }
    if (!worker->alive || another) {
        log_event(LOG_INFO, "worker.ready", "worker=%s incarnation=%" PRIu64, worker->name,
                  ready.incarnation);
        memset(worker->asked, 0, sizeof worker->asked);
        worker->leaving = false;
    }
    worker->alive = true;
    worker->incarnation = ready.incarnation;
    worker->peer = packet->peer;
    worker->seen_ms = clock_mono_ms();
    worker->told_ms = 0; /* is told its slots again, whatever it was told before */
    owners_claim(&b->owners, w, (const uint8_t *)ready.slots.at);
    b->replan = true;
    b->serve_waiting = true;
}

static void
on_worker_beat(struct broker *b, uint8_t w, const struct packet *packet)
{
    struct msg_worker_beat beat;
    if (!packet_decode(b->back, packet, MSG_worker_beat, &beat)) return;
    if (w != NO_WORKER && b->workers[w].alive && b->workers[w].incarnation == beat.incarnation) {
        b->workers[w].peer = packet->peer; /* it may have connected anew */
        return;
    }
    const struct msg_worker_unknown unknown = {0};
    (void)link_send(b->back, (struct envelope){.to = &packet->peer}, MSG_worker_unknown, &unknown);
}

static void
on_slots_held(struct broker *b, uint8_t w, const struct packet *packet)
{
    struct msg_slots_held held;
    if (w == NO_WORKER || !packet_decode(b->back, packet, MSG_slots_held, &held)) return;
    owners_grant(&b->owners, w, (const uint8_t *)held.slots.at);
    b->serve_waiting = true;
}

/* What was to move goes to the next one. What was to move and no more is, because the plan changed
 * while the worker was giving it back, stays its own but has to be granted anew: it is told so. */
static void
let_go(struct broker *b, uint8_t w, const uint8_t released[static SLOT_BYTES])
{
    owners_let_go(&b->owners, w, released);
    if (!owners_all_held(&b->owners, w)) b->workers[w].told_ms = 0;
    b->replan = true;
}

static void
on_slots_released(struct broker *b, uint8_t w, const struct packet *packet)
{
    struct msg_slots_released released;
    if (w == NO_WORKER || !packet_decode(b->back, packet, MSG_slots_released, &released)) return;
    let_go(b, w, (const uint8_t *)released.slots.at);
}

/* Gives out slots, and tells each worker what changed for it. */
static void
plan(struct broker *b, int64_t now_ms)
{
    bool alive[WORKERS_MAX] = {false};
    if (!b->settled) {
        if (living(b) == 0) return;
        if (b->first_ready_ms == 0) b->first_ready_ms = now_ms;
        if (living(b) < b->expected && now_ms - b->first_ready_ms < SETTLE_MS) return;
        b->settled = true;
    }
    for (int partition = 1; partition <= b->partitions; partition++) {
        for (unsigned w = 0; w < b->worker_count; w++)
            alive[w] = b->workers[w].alive && !b->workers[w].leaving &&
                       b->workers[w].partition == partition;
        const unsigned sharing =
            (unsigned)partition_workers(partition, b->partitions, (int)b->sharing);
        owners_choose(&b->owners, sharing, alive);
        owners_plan(&b->owners, partition, b->partitions, alive);
    }
    b->replan = false;
    b->told_due = true;
    tell_state(b);
}

/* Its slots begin to move: whoever gets one takes it when what is in flight there has ended. */
static void
on_worker_leaving(struct broker *b, uint8_t w)
{
    if (w == NO_WORKER || !b->workers[w].alive || b->workers[w].leaving) return;
    log_event(LOG_INFO, "worker.leaving", "worker=%s", b->workers[w].name);
    b->workers[w].leaving = true;
    plan(b, clock_mono_ms());
}

static void
tell_worker(struct broker *b, uint8_t w, int64_t now_ms)
{
    struct worker *worker = &b->workers[w];
    uint8_t owned[SLOT_BYTES], moving[SLOT_BYTES];
    const struct envelope envelope = {.to = &worker->peer};
    owners_owned(&b->owners, w, owned);
    owners_moving(&b->owners, w, moving);

    const bool overdue =
        !owners_all_held(&b->owners, w) && now_ms - worker->told_ms >= ASSIGN_AGAIN_MS;
    if (worker->told_ms == 0 || overdue || memcmp(owned, worker->told, sizeof owned) != 0) {
        const struct msg_slots_assign assign = {
            .has = HAS_slots_assign_slots,
            .slots = {(const char *)owned, sizeof owned},
        };
        if (link_send(b->back, envelope, MSG_slots_assign, &assign)) {
            FAILPOINT_AFTER(b->back, broker_after_assign);
            memcpy(worker->told, owned, sizeof owned);
            worker->told_ms = now_ms;
        }
    }
    if (memcmp(moving, worker->asked, sizeof moving) != 0) {
        const struct msg_slots_release release = {
            .has = HAS_slots_release_slots,
            .slots = {(const char *)moving, sizeof moving},
        };
        if (slot_count(moving) > 0) (void)link_send(b->back, envelope, MSG_slots_release, &release);
        memcpy(worker->asked, moving, sizeof moving);
        worker->asked_ms = now_ms;
    }
    if (slot_count(moving) > 0 && now_ms - worker->asked_ms >= RELEASE_MS) {
        log_event(LOG_WARNING, "slots.taken_away", "worker=%s slots=%u", worker->name,
                  slot_count(moving));
        let_go(b, w, moving);
    }
}

static void
beat(struct broker *b, uint8_t w, int64_t now_ms)
{
    struct worker *worker = &b->workers[w];
    const struct msg_worker_beat body = {.has = HAS_worker_beat_incarnation,
                                         .incarnation = worker->incarnation};
    const uint64_t dropped = link_dropped(b->back);
    const bool queued =
        link_send(b->back, (struct envelope){.to = &worker->peer}, MSG_worker_beat, &body);
    link_flush(b->back);
    const bool gone = !queued || link_dropped(b->back) != dropped;
    const int64_t silence_ms = now_ms - worker->seen_ms;
    if (silence_ms >= SILENCE_MS)
        lose_worker(b, w, "it was silent");
    else if (gone && silence_ms >= SILENCE_GONE_MS)
        lose_worker(b, w, "its connection is gone");
}

/* --- the turn ----------------------------------------------------------------------------------
 */

static void
on_front(void *state, struct link *from, const struct packet *packet)
{
    struct broker *b = state;
    (void)from;
    switch (packet->number) {
    case MSG_api_request:
    case MSG_key_find:
    case MSG_page_find:
    case MSG_merchant_create:
    case MSG_key_create:
    case MSG_key_list:
    case MSG_key_revoke:
    case MSG_merchant_update:
    case MSG_health: on_request(b, packet); return;
    default:
        refuse(b, &packet->peer, packet->slot, packet->correlation, "unroutable",
               "The broker routes no such message.");
    }
}

static void
on_back(void *state, struct link *from, const struct packet *packet)
{
    struct broker *b = state;
    const uint8_t w = worker_named(b, packet->sender);
    (void)from;
    if (w != NO_WORKER) b->workers[w].seen_ms = clock_mono_ms();
    switch (packet->number) {
    case MSG_api_answer:
    case MSG_key_found:
    case MSG_page_found:
    case MSG_health_told:
    case MSG_refused:
        if (w != NO_WORKER) on_answer(b, w, packet);
        return;
    case MSG_worker_ready: on_worker_ready(b, w, packet); return;
    case MSG_worker_beat: on_worker_beat(b, w, packet); return;
    case MSG_slots_held: on_slots_held(b, w, packet); return;
    case MSG_slots_released: on_slots_released(b, w, packet); return;
    case MSG_worker_leaving: on_worker_leaving(b, w); return;
    default: return;
    }
}

/* True when everything that was under way has ended, or has had its time. */
static bool
drained(struct broker *b, int64_t now_ms)
{
    if (!loop_stopping(b->loop)) return false;
    if (b->stopping_ms == 0) b->stopping_ms = now_ms;
    const bool nothing = tickets_open(b->tickets) == 0 && b->waiting.count == 0;
    return nothing || now_ms - b->stopping_ms >= DRAIN_MS;
}

static int64_t
on_turn(void *state, int64_t now_ms)
{
    struct broker *b = state;
    /* After a pause of this very process (F08) nobody could be heard: they start anew. */
    if (now_ms - b->turned_ms > SILENCE_MS)
        for (unsigned w = 0; w < b->worker_count; w++)
            b->workers[w].seen_ms = now_ms;
    b->turned_ms = now_ms;

    if (now_ms - b->beaten_ms >= BEAT_MS) {
        b->beaten_ms = now_ms;
        for (unsigned w = 0; w < b->worker_count; w++)
            if (b->workers[w].alive) beat(b, (uint8_t)w, now_ms);
    }
    if (living(b) > 0 || !b->settled) b->lively_ms = now_ms;
    const bool tick = now_ms - b->expired_ms >= EXPIRE_MS;
    if (b->replan) plan(b, now_ms);
    if (b->settled && (b->told_due || tick)) {
        b->told_due = false;
        for (unsigned w = 0; w < b->worker_count; w++)
            if (b->workers[w].alive) tell_worker(b, (uint8_t)w, now_ms);
    }
    if (b->serve_waiting) {
        b->serve_waiting = false;
        waiting_each(&b->waiting, serve_one, b);
    }
    if (tick) {
        b->expired_ms = now_ms;
        expire_tickets(b);
        waiting_each(&b->waiting, expire_one, b);
    }
    if (drained(b, now_ms)) loop_stop(b->loop);
    return EXPIRE_MS;
}

struct broker *
broker_new(struct loop *loop, int64_t partitions, int64_t workers, int64_t standbys)
{
    struct broker *b = calloc(1, sizeof *b);
    if (!b) abort();
    uint64_t first;
    random_bytes(&first, sizeof first);
    b->loop = loop;
    b->tickets = tickets_new(first);
    waiting_init(&b->waiting);
    owners_init(&b->owners);
    b->partitions = (int)partitions;
    b->sharing = (unsigned)workers;
    b->expected = (unsigned)(workers + standbys);
    b->turned_ms = b->lively_ms = clock_mono_ms();
    b->front = loop_bind(loop, LINK_broker_front, on_front, b);
    b->back = loop_bind(loop, LINK_broker_back, on_back, b);
    loop_on_turn(loop, on_turn, b);
    loop_set_state(loop, "waiting", "no worker is ready");
    return b;
}

static enum waiting_fate
forget_one(void *state, const struct waiting_request *request)
{
    (void)state;
    (void)request;
    return WAITING_LEAVES;
}

void
broker_destroy(struct broker **broker_p)
{
    if (!*broker_p) return;
    waiting_each(&(*broker_p)->waiting, forget_one, NULL);
    tickets_destroy(&(*broker_p)->tickets);
    free(*broker_p);
    *broker_p = NULL;
}
