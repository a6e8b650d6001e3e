#include "ledger.h"

#include "batch.h"
#include "clock.h"
#include "failpoint.h"
#include "gather.h"
#include "leadership.h"
#include "log.h"
#include "lookahead.h"
#include "node.h"
#include "partition.h"
#include "pg.h"
#include "queue.h"
#include "random.h"
#include "settings.h"
#include "settle.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAKES_MAX 64
#define HEAD_MS 250
#define SETTLE_MS 1000
#ifndef FOLLOW_MIN /* the simulator makes it small */
#define FOLLOW_MIN 32
#endif
#define DUE_ARENA_BYTES (8u << 20) /* 500 rows of balance_transaction */

struct ledger {
    struct loop *loop;
    struct link *commands, *tap;
    struct settings settings;
    int partition;
    struct leadership *leadership;
    struct batch *batch;
    struct queue *queue;
    struct lookahead *lookahead;
    struct command **next_batch; /* settings.batch_max of them */
    struct take takes[TAKES_MAX];
    size_t take_count;
    struct arena *arena;
    size_t settling; /* commands of ours that are not written yet */
    int64_t settle_ms, head_ms;
    int64_t began_ms;    /* when the last batch was taken from the queue */
    size_t held;         /* what it held */
    int64_t mono_ms;     /* of this turn */
    int watched;         /* the engine's descriptor, or -1 */
    int watched_ahead;   /* the lookahead's */
    uint64_t refused[2]; /* told BUSY, by urgency; of urgent ones: never */
    int64_t grumbled_ms;
};

static bool
leads(const struct ledger *ledger)
{
    return leadership_state(ledger->leadership) == LEADERSHIP_LEADING;
}

/* --- answers ---------------------------------------------------------------------------------- */

static struct reply_to
reply_of(const struct packet *packet)
{
    struct reply_to reply = {.correlation = packet->correlation, .size = packet->peer.size};
    static_assert(sizeof reply.id == sizeof packet->peer.id, "");
    memcpy(reply.id, packet->peer.id, sizeof reply.id);
    return reply;
}

static void
answer(struct ledger *ledger, const struct reply_to *reply, uint16_t slot,
       enum message_number number, const void *body)
{
    struct peer peer = {.size = reply->size};
    memcpy(peer.id, reply->id, sizeof peer.id);
    const struct envelope envelope = {.to = &peer, .slot = slot, .correlation = reply->correlation};
    (void)link_send(ledger->commands, envelope, number, body);
}

static void
refuse(struct ledger *ledger, const struct packet *packet, const char *code, const char *reason)
{
    const struct msg_refused refused = {HAS_refused_code | HAS_refused_reason, text_of(code),
                                        text_of(reason)};
    const struct reply_to reply = reply_of(packet);
    answer(ledger, &reply, packet->slot, MSG_refused, &refused);
}

static size_t
waiting(const struct ledger *ledger)
{
    return queue_count(ledger->queue) + lookahead_count(ledger->lookahead);
}

/* One line a second: whoever is refused is so because there is much to do. */
static void
note_refusal(struct ledger *ledger, uint64_t urgency)
{
    const int64_t now_ms = clock_mono_ms();
    ledger->refused[urgency != 0]++;
    if (ledger->grumbled_ms && now_ms - ledger->grumbled_ms < 1000) return;
    ledger->grumbled_ms = now_ms;
    log_event(LOG_WARNING, "commits.refused",
              "waiting=%zu refused_so_far=%" PRIu64 " urgent=%" PRIu64, waiting(ledger),
              ledger->refused[0], ledger->refused[1]);
}

static void
answer_verdict(struct ledger *ledger, const struct command *c)
{
    struct msg_committed m = {
        .has = HAS_committed_id | HAS_committed_verdict,
        .id = c->commit.id,
        .verdict = (uint64_t)c->verdict,
    };
    if (c->verdict == COMMIT_ANSWERED) {
        m.has |= HAS_committed_status;
        m.status = c->answer.status;
        m.has |=
            c->answer.packed.at ? HAS_committed_packed | HAS_committed_told : HAS_committed_body;
        m.body = c->answer.body;
        m.packed = c->answer.packed;
        m.told = c->answer.told;
        if (c->answer.original_request.at) m.has |= HAS_committed_original_request;
        m.original_request = c->answer.original_request;
    }
    if (c->detail[0]) {
        m.has |= HAS_committed_detail;
        m.detail = text_of(c->detail);
    }
    if (c->commit.repeated) {
        m.has |= HAS_committed_repeated;
        m.repeated = 1;
    }
    if (c->verdict == COMMIT_BUSY) note_refusal(ledger, c->commit.urgency);
    answer(ledger, &c->reply, c->slot, MSG_committed, &m);
}

/* --- what the engine tells -------------------------------------------------------------------- */

static void
on_verdict(void *state, struct command **command_p)
{
    struct ledger *ledger = state;
    struct command *c = *command_p;
    if (c->verdict == COMMIT_REJECTED)
        log_event(LOG_ERROR, "commit.rejected", "merchant=%.*s request=%.*s detail=\"%s\"",
                  (int)c->commit.merchant.size, c->commit.merchant.at, (int)c->commit.request.size,
                  c->commit.request.at ? c->commit.request.at : "", c->detail);
    if (c->internal)
        ledger->settling--;
    else
        answer_verdict(ledger, c);
    command_destroy(command_p);
}

static void
on_event(void *state, int64_t sequence, const struct command *c,
         const struct msg_event_write *event)
{
    struct ledger *ledger = state;
    const struct msg_event_published m = {
        .has = HAS_event_published_sequence | HAS_event_published_id | HAS_event_published_type |
               HAS_event_published_merchant | HAS_event_published_object |
               HAS_event_published_created,
        .sequence = (uint64_t)sequence,
        .id = event->id,
        .type = event->type,
        .merchant = c->commit.merchant,
        .object = event->object,
        .created = event->created,
    };
    (void)link_send(ledger->tap, (struct envelope){.slot = c->slot}, MSG_event_published, &m);
}

static void
on_taken(void *state, const struct take *take)
{
    struct ledger *ledger = state;
    const struct msg_slots_taken m = {
        HAS_slots_taken_slots | HAS_slots_taken_epoch,
        {(const char *)take->slots, SLOT_BYTES},
        (uint64_t)take->epoch,
    };
    log_event(LOG_INFO, "slots.taken", "owner=%s count=%u epoch=%" PRId64, take->owner,
              slot_count(take->slots), take->epoch);
    answer(ledger, &take->reply, 0, MSG_slots_taken, &m);
}

/* Behind the row's own columns stand the merchant's balances, with its last row, and its version.
 */
static struct command *
settle_row(struct ledger *ledger, const PGresult *rows, int i,
           const struct row_balance_transaction *row, const uint8_t id[static COMMAND_ID_BYTES],
           char *reason, size_t reason_size)
{
    char event[ID_SIZE_MAX + 1];
    const int columns = (int)table_find(ROW_balance_transaction)->column_count;
    struct settle_news news = {.event = id_new(event, "evt_"), .now_s = clock_wall_ms() / 1000};
    if (!PQgetisnull(rows, i, columns))
        news.balances = arena_copy(ledger->arena, text_of(PQgetvalue(rows, i, columns)));
    if (!PQgetisnull(rows, i, columns + 1))
        news.api_version = arena_copy(ledger->arena, text_of(PQgetvalue(rows, i, columns + 1)));
    return settle_command(row, &news, id, reason, reason_size);
}

static void
on_due(void *state, const PGresult *rows)
{
    struct ledger *ledger = state;
    arena_reset(ledger->arena);
    for (int i = 0; i < PQntuples(rows); i++) {
        struct row_balance_transaction row;
        uint8_t id[COMMAND_ID_BYTES];
        char reason[128] = "not a row";
        struct command *c = NULL;
        random_bytes(id, sizeof id);
        if (pg_row(ROW_balance_transaction, rows, i, ledger->arena, &row))
            c = settle_row(ledger, rows, i, &row, id, reason, sizeof reason);
        if (!c) {
            log_event(LOG_ERROR, "settle.refused", "row=%s reason=\"%s\"", PQgetvalue(rows, i, 0),
                      reason);
            continue;
        }
        ledger->settling++;
        queue_put(ledger->queue, &c);
    }
}

/* --- what comes in ---------------------------------------------------------------------------- */

static void
on_beat(struct ledger *ledger, const struct packet *packet)
{
    const struct msg_ledger_told told = {HAS_ledger_told_leading | HAS_ledger_told_epoch,
                                         leads(ledger),
                                         (uint64_t)batch_books(ledger->batch)->epoch};
    const struct reply_to reply = reply_of(packet);
    answer(ledger, &reply, packet->slot, MSG_ledger_told, &told);
}

static void
on_slots_take(struct ledger *ledger, const struct packet *packet)
{
    struct msg_slots_take m;
    if (!packet_decode(ledger->commands, packet, MSG_slots_take, &m)) return;
    if (!leads(ledger)) {
        refuse(ledger, packet, "unroutable", "this ledger does not lead");
        return;
    }
    if (!partition_has(ledger->partition, (int)ledger->settings.partitions,
                       (const uint8_t *)m.slots.at)) {
        refuse(ledger, packet, "malformed", "slots: of another partition");
        return;
    }
    size_t at = 0; /* one wish per worker: the last one counts */
    while (at < ledger->take_count && strcmp(ledger->takes[at].owner, packet->sender) != 0)
        at++;
    if (at == TAKES_MAX) {
        refuse(ledger, packet, "busy", "too many workers take slots at once");
        return;
    }
    if (at == ledger->take_count) ledger->take_count++;
    struct take *take = &ledger->takes[at];
    *take = (struct take){.incarnation = (int64_t)m.incarnation, .reply = reply_of(packet)};
    memcpy(take->slots, m.slots.at, SLOT_BYTES);
    snprintf(take->owner, sizeof take->owner, "%s", packet->sender);
}

static void
on_commit(struct ledger *ledger, const struct packet *packet)
{
    const struct command_origin origin = {packet->sender, packet->slot, reply_of(packet)};
    char reason[128];
    FAILPOINT(ledger_after_commit_asked);
    if (!leads(ledger)) {
        refuse(ledger, packet, "unroutable", "this ledger does not lead");
        return;
    }
    struct command *c = command_read(packet->body, packet->size, &origin, reason, sizeof reason);
    if (!c) {
        log_event(LOG_WARNING, "commit.malformed", "sender=%s reason=\"%s\"", packet->sender,
                  reason);
        refuse(ledger, packet, "malformed", reason);
        return;
    }
    if (partition_of_slot(c->slot, (int)ledger->settings.partitions) != ledger->partition) {
        refuse(ledger, packet, "malformed", "merchant: of another partition");
        command_destroy(&c);
        return;
    }
    if (c->commit.repeated &&
        (batch_redirect(ledger->batch, c) || lookahead_redirect(ledger->lookahead, c))) {
        command_destroy(&c);
        return;
    }
    if (!c->commit.urgency && waiting(ledger) >= (size_t)ledger->settings.ledger_queue_max) {
        c->verdict = COMMIT_BUSY;
        answer_verdict(ledger, c);
        command_destroy(&c);
        return;
    }
    if (!lookahead_put(ledger->lookahead, &c)) queue_put(ledger->queue, &c);
}

static void
on_packet(void *state, struct link *from, const struct packet *packet)
{
    struct ledger *ledger = state;
    (void)from;
    switch (packet->number) {
    case MSG_ledger_beat: on_beat(ledger, packet); break;
    case MSG_slots_take: on_slots_take(ledger, packet); break;
    case MSG_commit: on_commit(ledger, packet); break;
    default: refuse(ledger, packet, "forbidden", "the ledger does not take this message"); break;
    }
}

/* --- a turn ----------------------------------------------------------------------------------- */

/* When the next batch may begin; what is there at the end of the process waits for nothing more. */
static int64_t
gathered_ms(const struct ledger *ledger)
{
    const size_t count = queue_count(ledger->queue);
    if (!count || loop_stopping(ledger->loop)) return ledger->mono_ms;
    return ledger->began_ms + gather_ms(ledger->held, count);
}

static void
write_batch(struct ledger *ledger, size_t count)
{
    if (!count) return;
    ledger->began_ms = ledger->mono_ms;
    ledger->held = count;
    batch_write(ledger->batch, ledger->next_batch, count, clock_wall_ms() / 1000);
}

/* Gives the idle engine its next thing; false when there is none. Slots first: whoever takes them
 * over has payments to finish. */
static bool
start_next(struct ledger *ledger)
{
    if (ledger->take_count > 0) {
        const struct take take = ledger->takes[0];
        ledger->takes[0] = ledger->takes[--ledger->take_count];
        batch_take(ledger->batch, &take);
        return true;
    }
    if (ledger->mono_ms < gathered_ms(ledger)) return false;
    const size_t count =
        queue_take(ledger->queue, ledger->next_batch, (size_t)ledger->settings.batch_max, false);
    if (count) {
        write_batch(ledger, count);
        return true;
    }
    if (ledger->settling == 0 && ledger->mono_ms >= ledger->settle_ms &&
        !loop_stopping(ledger->loop)) {
        ledger->settle_ms = ledger->mono_ms + SETTLE_MS;
        batch_find_due(ledger->batch, clock_wall_ms() / 1000);
        return true;
    }
    return false;
}

/* The next batch behind the one that is being written, if it is worth it: each costs Postgres as
 * much as a dozen commands in it. Slots do not wait. */
static void
follow(struct ledger *ledger)
{
    if (!batch_has_room(ledger->batch) || ledger->take_count > 0 ||
        queue_count(ledger->queue) < FOLLOW_MIN)
        return;
    const size_t count =
        queue_take(ledger->queue, ledger->next_batch, (size_t)ledger->settings.batch_max, true);
    write_batch(ledger, count);
    if (count && !batch_is_followed(ledger->batch)) queue_last_is_over(ledger->queue);
}

static void
on_idle(void *state)
{
    (void)start_next(state);
}

static void
unwatch(struct ledger *ledger, int *watched)
{
    if (*watched >= 0) loop_unwatch(ledger->loop, *watched);
    *watched = -1;
}

/* The turn goes on with whoever it is of; this only wakes the loop. */
static void
on_ready(void *state, int fd, short events)
{
    (void)state;
    (void)fd;
    (void)events;
}

static void
watch(struct ledger *ledger, int *watched, int fd, short events)
{
    if (fd != *watched) unwatch(ledger, watched);
    *watched = fd;
    if (fd >= 0) loop_watch(ledger->loop, fd, events, on_ready, ledger);
}

static void
publish_head(struct ledger *ledger, int64_t mono_ms)
{
    const struct msg_events_head m = {HAS_events_head_sequence,
                                      (uint64_t)batch_books(ledger->batch)->event_head};
    if (mono_ms < ledger->head_ms) return;
    ledger->head_ms = mono_ms + HEAD_MS;
    (void)link_send(ledger->tap, (struct envelope){.to = NULL}, MSG_events_head, &m);
}

/* The engine, as far as it goes. */
static enum batch_state
drive(struct ledger *ledger)
{
    enum batch_state state;
    lookahead_open(ledger->lookahead, ledger->mono_ms);
    lookahead_step(ledger->lookahead, batch_books(ledger->batch), ledger->queue, ledger->mono_ms);
    while ((state = batch_step(ledger->batch, ledger->mono_ms)) == BATCH_IDLE)
        if (!start_next(ledger)) break;
    if (state == BATCH_BUSY) follow(ledger);
    if (state == BATCH_FENCED) die("Another ledger has taken the lead.");
    if (state == BATCH_LOST) {
        unwatch(ledger, &ledger->watched);
        unwatch(ledger, &ledger->watched_ahead);
        lookahead_close(ledger->lookahead, ledger->queue);
        leadership_lost(ledger->leadership);
    }
    return state;
}

static int64_t
least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t
on_turn(void *state, int64_t mono_ms)
{
    struct ledger *ledger = state;
    int64_t again_ms = leadership_turn(ledger->leadership, mono_ms);
    enum batch_state engine = BATCH_LOST;
    ledger->mono_ms = mono_ms;
    if (leads(ledger)) {
        const uint64_t batches = batch_counts(ledger->batch).batches;
        engine = drive(ledger);
        if (batch_counts(ledger->batch).batches != batches)
            FAILPOINT_AFTER(ledger->commands, ledger_after_tell);
        publish_head(ledger, mono_ms);
    }
    if (leads(ledger)) {
        watch(ledger, &ledger->watched, batch_fd(ledger->batch), batch_poll_events(ledger->batch));
        watch(ledger, &ledger->watched_ahead, lookahead_fd(ledger->lookahead),
              lookahead_poll_events(ledger->lookahead));
        again_ms = least(again_ms, ledger->head_ms - mono_ms);
        if (engine == BATCH_IDLE && gathered_ms(ledger) > mono_ms)
            again_ms = least(again_ms, gathered_ms(ledger) - mono_ms);
        const int64_t retry_ms = batch_retry_ms(ledger->batch);
        if (retry_ms) again_ms = least(again_ms, retry_ms - mono_ms);
    }
    const bool at_work = engine == BATCH_BUSY || lookahead_count(ledger->lookahead) > 0;
    if (loop_stopping(ledger->loop) && !at_work) loop_stop(ledger->loop);
    return again_ms < 0 ? 0 : again_ms;
}

/* --- start ------------------------------------------------------------------------------------ */

struct ledger *
ledger_new(struct loop *loop, const char *home)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);
    const struct batch_callbacks callbacks = {ledger,   on_verdict, on_event,
                                              on_taken, on_idle,    on_due};
    assert(ledger);
    ledger->watched = ledger->watched_ahead = -1;
    settings_load(home, &ledger->settings);
    ledger->next_batch = calloc((size_t)ledger->settings.batch_max, sizeof *ledger->next_batch);
    assert(ledger->next_batch);
    ledger->arena = arena_new(DUE_ARENA_BYTES);
    ledger->queue = queue_new();
    ledger->partition = partition_of_ledger(node_instance(loop_node(loop)));
    ledger->lookahead = lookahead_new(home, ledger->partition);
    ledger->batch = batch_new(&callbacks);
    ledger->loop = loop;
    ledger->commands = loop_bind(loop, LINK_ledger_commands, on_packet, ledger);
    ledger->tap = loop_bind(loop, LINK_ledger_tap, NULL, NULL);
    ledger->leadership = leadership_new(loop, (int)ledger->settings.partitions, ledger->batch);
    loop_on_turn(loop, on_turn, ledger);
    return ledger;
}

void
ledger_destroy(struct ledger **ledger_p)
{
    struct ledger *ledger = *ledger_p;
    if (!ledger) return;
    leadership_destroy(&ledger->leadership);
    batch_destroy(&ledger->batch);
    lookahead_destroy(&ledger->lookahead);
    queue_destroy(&ledger->queue);
    arena_destroy(&ledger->arena);
    free(ledger->next_batch);
    free(ledger);
    *ledger_p = NULL;
}
