#include "batch.h"

#include "failpoint.h"
#include "log.h"
#include "looking.h"
#include "mutant.h"
#include "pipeline.h"
#include "statements.h"
#include "writing.h"
#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef VERSIONS_KEPT /* the simulator makes it small */
#define VERSIONS_KEPT 65536
#endif
#define RETRY_MS 200  /* after an error that may pass: disk full, a lock, a statement too slow */
#define RETRIES_MAX 3 /* then what is not urgent is told BUSY */
#define RANGES_MAX 64 /* halves of halves: more than the logarithm of any batch */

enum job { JOB_NONE, JOB_WRITE, JOB_TAKE, JOB_DUE };
enum phase { PHASE_NONE, PHASE_LOOK, PHASE_WRITE, PHASE_UNDO, PHASE_PAUSE };

struct range {
    size_t from, to;
};

struct batch {
    struct batch_callbacks callbacks;
    struct books books;
    struct pipeline pipeline;

    enum job job;
    enum phase phase;
    bool fenced;
    bool doubtful;  /* COMMIT came with a warning: success is not success */
    bool committed; /* COMMIT's result was fine; the Sync is still to come */
    int64_t now_s;
    int64_t retry_ms; /* PHASE_PAUSE: until when */
    int64_t heard_ms; /* when Postgres last answered in this phase, or it began; 0: just now */
    int retries;

    struct command **commands; /* of this job; NULL where the verdict has been told */
    size_t count, cap;
    struct range ranges[RANGES_MAX]; /* still to be written; the last one is under way */
    size_t range_count;
    struct take take;
    struct looking *looking;
    struct writing writing; /* of the transaction under way */

    char error_state[6], error[COMMAND_DETAIL_MAX + 1]; /* the first in this pipeline */
    struct batch_counts counts;
};

struct batch *
batch_new(const struct batch_callbacks *callbacks)
{
    struct batch *b = calloc(1, sizeof *b);
    assert(b);
    b->callbacks = *callbacks;
    b->books.versions = versions_new(VERSIONS_KEPT);
    b->looking = looking_new();
    return b;
}

void
batch_destroy(struct batch **batch_p)
{
    struct batch *b = *batch_p;
    if (!b) return;
    batch_unlead(b);
    for (size_t i = 0; i < b->count; i++)
        command_destroy(&b->commands[i]);
    versions_destroy(&b->books.versions);
    arrays_free(&b->pipeline.arrays);
    looking_destroy(&b->looking);
    free(b->commands);
    free(b);
    *batch_p = NULL;
}

const struct books *
batch_books(const struct batch *batch)
{
    return &batch->books;
}

struct batch_counts
batch_counts(const struct batch *batch)
{
    return batch->counts;
}

int
batch_fd(const struct batch *batch)
{
    return batch->pipeline.conn ? PQsocket(batch->pipeline.conn) : -1;
}

short
batch_poll_events(const struct batch *batch)
{
    return (short)(batch->phase != PHASE_NONE && batch->pipeline.conn &&
                           PQflush(batch->pipeline.conn) == 1
                       ? POLLIN | POLLOUT
                       : POLLIN);
}

int64_t
batch_retry_ms(const struct batch *batch)
{
    return batch->phase == PHASE_PAUSE ? batch->retry_ms : 0;
}

bool
batch_redirect(struct batch *batch, const struct command *again)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct command *c = batch->commands[i];
        if (!c || !command_is_same(c, again)) continue;
        c->reply = again->reply;
        return true;
    }
    return false;
}

static void
tell(struct batch *b, size_t index, enum commit_verdict verdict)
{
    struct command *c = b->commands[index];
    b->commands[index] = NULL;
    c->verdict = verdict;
    b->callbacks.on_verdict(b->callbacks.state, &c);
}

/* --- look, decide ----------------------------------------------------------------------------- */

static struct range
current(const struct batch *b)
{
    assert(b->range_count > 0);
    return b->ranges[b->range_count - 1];
}

static void
enter(struct batch *b, enum phase phase)
{
    b->phase = phase;
    b->heard_ms = 0;
    b->error_state[0] = b->error[0] = 0;
    b->doubtful = b->committed = false;
}

static void decide(struct batch *b);

static void
look(struct batch *b)
{
    const struct range range = current(b);
    enter(b, PHASE_LOOK);
    pipeline_begin(&b->pipeline);
    looking_ask(b->looking, &b->pipeline, &b->books, b->commands + range.from,
                range.to - range.from);
    if (b->pipeline.count == 0)
        decide(b);
    else
        pipeline_end(&b->pipeline);
}

static void finish_range(struct batch *b);
static void halve_range(struct batch *b);

/* What is refused is told; the rest is written. */
static void
decide(struct batch *b)
{
    const struct range range = current(b);
    for (size_t i = range.from; i < range.to; i++) {
        struct command *c = b->commands[i];
        if (!c) continue;
        const enum commit_verdict verdict =
            books_verdict(&b->books, c, looking_key(b->looking, i - range.from));
        if (verdict) tell(b, i, verdict);
    }
    b->writing = (struct writing){
        .commands = b->commands + range.from, .count = range.to - range.from, .now_s = b->now_s};
    writing_number(&b->writing, &b->books);
    if (!writing_any(&b->writing)) {
        finish_range(b);
    } else if (!writing_fits(&b->writing)) {
        halve_range(b);
    } else {
        FAILPOINT(ledger_before_write);
        enter(b, PHASE_WRITE);
        writing_commands(&b->writing, &b->pipeline);
        FAILPOINT(ledger_after_write_sent);
    }
}

static void
write_take(struct batch *b)
{
    b->take.epoch = b->books.slot_epoch_head + 1;
    b->writing = (struct writing){.commands = NULL, .count = 0};
    writing_number(&b->writing, &b->books);
    enter(b, PHASE_WRITE);
    writing_take(&b->writing, &b->take, &b->pipeline);
}

/* --- tell ------------------------------------------------------------------------------------- */

static void
be_idle(struct batch *b)
{
    b->job = JOB_NONE;
    b->phase = PHASE_NONE;
    b->count = 0;
}

static void
next_range(struct batch *b)
{
    if (b->range_count > 0) {
        look(b);
        return;
    }
    be_idle(b);
}

static void
finish_range(struct batch *b)
{
    b->range_count--;
    b->retries = 0;
    next_range(b);
}

/* The books as they are now that the batch is committed. */
static void
book(struct batch *b)
{
    b->books.last_batch = b->writing.number;
    if (!FLORIN_MUTANT(event_head_stands)) b->books.event_head = b->writing.event_head_after;
    b->books.transaction_head = b->writing.transaction_head_after;
    b->counts.batches++;
}

static void
remember(struct batch *b, const struct command *c)
{
    for (size_t i = 0; i < c->row_count; i++) {
        const struct command_row *row = &c->rows[i];
        struct version now = {row->version + 1, ATTEMPT_NONE};
        if (row->table->number == ROW_attempt)
            now.state = attempt_state_named(((const struct row_attempt *)row->row)->state);
        versions_put(b->books.versions, row->table->number, c->commit.merchant, row_id(row->row),
                     now);
    }
}

static void
commands_committed(struct batch *b)
{
    const struct range range = current(b);
    int64_t sequence = b->writing.event_head;
    FAILPOINT(ledger_after_commit);
    book(b);
    for (size_t i = range.from; i < range.to; i++) {
        const struct command *c = b->commands[i];
        if (!c) continue;
        remember(b, c);
        for (size_t e = 0; e < c->event_count; e++)
            b->callbacks.on_event(b->callbacks.state, ++sequence, c, &c->events[e]);
        b->counts.commands++;
        tell(b, i, COMMIT_DONE);
    }
    finish_range(b);
}

static void
take_committed(struct batch *b)
{
    book(b);
    b->books.slot_epoch_head = b->take.epoch;
    for (uint16_t i = 0; i < SLOT_COUNT; i++) {
        struct slot *slot = &b->books.slots[i];
        if (!slot_in(b->take.slots, i)) continue;
        *slot = (struct slot){b->take.epoch, b->take.incarnation, ""};
        snprintf(slot->owner, sizeof slot->owner, "%s", b->take.owner);
    }
    be_idle(b);
    b->callbacks.on_taken(b->callbacks.state, &b->take);
}

static void
batch_committed(struct batch *b)
{
    if (b->job == JOB_TAKE)
        take_committed(b);
    else
        commands_committed(b);
}

/* --- what goes wrong -------------------------------------------------------------------------- */

/* Errors of Postgres that say nothing about the commands: the same batch may well pass later. */
static bool
is_of_class(const char *state, const char *classes)
{
    for (const char *at = classes; *at; at += 3)
        if (strncmp(state, at, 2) == 0) return true;
    return false;
}

static size_t
left_in_range(const struct batch *b)
{
    size_t left = 0;
    for (size_t i = current(b).from; i < current(b).to; i++)
        left += b->commands[i] != NULL;
    return left;
}

/* The same again, after a while. What is not urgent does not wait for ever; what the network has
 * done already does. */
static void
pause_range(struct batch *b, int64_t mono_ms)
{
    const struct range range = current(b);
    b->counts.retries++;
    if (++b->retries > RETRIES_MAX)
        for (size_t i = range.from; i < range.to; i++)
            if (b->commands[i] && !b->commands[i]->commit.urgency) {
                snprintf(b->commands[i]->detail, sizeof b->commands[i]->detail, "%s", b->error);
                tell(b, i, COMMIT_BUSY);
            }
    b->phase = PHASE_PAUSE;
    b->retry_ms = mono_ms + RETRY_MS;
}

/* Something in this range is refused by Postgres. What was taken for known may be what is wrong. */
static void
halve_range(struct batch *b)
{
    struct range range = current(b);
    size_t to = range.from;
    versions_clear(b->books.versions);
    for (size_t i = range.from; i < range.to; i++)
        if (b->commands[i]) {
            struct command *c = b->commands[i];
            b->commands[i] = NULL;
            b->commands[to++] = c;
        }
    if (to - range.from == 1) {
        snprintf(b->commands[range.from]->detail, sizeof b->commands[range.from]->detail, "%s",
                 b->error);
        tell(b, range.from, COMMIT_REJECTED);
        finish_range(b);
        return;
    }
    const size_t middle = range.from + (to - range.from) / 2;
    assert(b->range_count < RANGES_MAX && to > range.from);
    b->counts.bisections++;
    b->ranges[b->range_count - 1] = (struct range){middle, to};
    b->ranges[b->range_count++] = (struct range){range.from, middle};
    look(b);
}

/* After the pipeline of ROLLBACK. */
static void
undone(struct batch *b, const char *state, int64_t mono_ms)
{
    if (b->job == JOB_TAKE) {
        b->phase = PHASE_PAUSE;
        b->retry_ms = mono_ms + RETRY_MS;
        return;
    }
    const bool full = is_of_class(state, "53 58 "), may_pass = is_of_class(state, "40 55 57 XX ");
    if (full || (may_pass && (b->retries < RETRIES_MAX || left_in_range(b) == 1)))
        pause_range(b, mono_ms);
    else
        halve_range(b);
}

static void
note_error(struct batch *b, const PGresult *r)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    if (!severity || strcmp(severity, "ERROR") != 0) b->pipeline.broken = true;
    if (state && strcmp(state, "FL000") == 0) b->fenced = true;
    if (b->error_state[0]) return;
    snprintf(b->error_state, sizeof b->error_state, "%s", state ? state : "?????");
    snprintf(b->error, sizeof b->error, "%s", message ? message : PQresultErrorMessage(r));
}

/* libpq reports success for a COMMIT that was committed here and perhaps not replicated: WARNING
 * 01000. It is in doubt like a lost one. */
static bool
is_doubt(const PGresult *r)
{
    const char *code = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    return code && strcmp(code, "01000") == 0 && !FLORIN_MUTANT(warning_is_nothing);
}

static void
on_notice(void *state, const PGresult *r)
{
    struct batch *b = state;
    if (is_doubt(r) && b->phase == PHASE_WRITE) b->doubtful = true;
}

/* --- stepping --------------------------------------------------------------------------------- */

static void
take_result(struct batch *b, PGresult *r)
{
    if (b->pipeline.answered >=
        b->pipeline.count) { /* not in answer to anything: the connection is broken */
        b->pipeline.broken = true;
        PQclear(r);
        return;
    }
    const struct step_of *step = &b->pipeline.steps[b->pipeline.answered++];
    const ExecStatusType status = PQresultStatus(r);
    if (status == PGRES_PIPELINE_ABORTED) {
        /* its error came before */
    } else if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        note_error(b, r);
    } else {
        switch (step->step) {
        case STEP_NOTHING: break;
        case STEP_KEYS:
        case STEP_VERSIONS: looking_learn(b->looking, step, b->books.versions, r); return;
        case STEP_DUE: b->callbacks.on_due(b->callbacks.state, r); break;
        case STEP_COMMIT: b->committed = strcmp(PQcmdStatus(r), "COMMIT") == 0; break;
        }
    }
    PQclear(r);
}

/* The Sync has come: all results of the phase are there. */
static void
phase_over(struct batch *b, int64_t mono_ms)
{
    const enum phase phase = b->phase;
    if (phase == PHASE_UNDO) {
        char state[6];
        memcpy(state, b->error_state, sizeof state);
        undone(b, state, mono_ms);
    } else if (b->error_state[0] && phase == PHASE_WRITE && !FLORIN_MUTANT(error_is_success)) {
        b->phase = PHASE_UNDO;
        pipeline_begin(&b->pipeline);
        pipeline_plain(&b->pipeline, STATEMENT_ROLLBACK, (struct step_of){.step = STEP_NOTHING});
        pipeline_end(&b->pipeline);
    } else if (b->error_state[0] && !FLORIN_MUTANT(error_is_success)) {
        /* a SELECT failed: nothing to undo */
        if (b->job == JOB_WRITE)
            pause_range(b, mono_ms);
        else
            be_idle(b);
    } else if (b->job == JOB_DUE) {
        be_idle(b);
    } else if (phase == PHASE_LOOK) {
        decide(b);
    } else if (b->doubtful || (!b->committed && !FLORIN_MUTANT(error_is_success))) {
        b->pipeline.broken = true;
    } else {
        batch_committed(b);
    }
}

static void
resume(struct batch *b)
{
    if (b->job == JOB_TAKE)
        write_take(b);
    else if (b->job == JOB_WRITE)
        look(b);
}

static enum batch_state
state_of(const struct batch *b)
{
    if (b->fenced) return BATCH_FENCED;
    if (!b->pipeline.conn || b->pipeline.broken) return BATCH_LOST;
    return b->job == JOB_NONE ? BATCH_IDLE : BATCH_BUSY;
}

enum batch_state
batch_step(struct batch *batch, int64_t mono_ms)
{
    struct batch *b = batch;
    int nothing = 0; /* NULLs in a row: one stands between two results, never two */
    if (!b->pipeline.conn || b->pipeline.broken || b->fenced) return state_of(b);
    if (b->phase == PHASE_PAUSE && mono_ms >= b->retry_ms) resume(b);
    if (!PQconsumeInput(b->pipeline.conn) || PQflush(b->pipeline.conn) < 0)
        b->pipeline.broken = true;
    /* Even when the connection is gone, what had come before is read: it may be the COMMIT. */
    while (b->phase != PHASE_NONE && b->phase != PHASE_PAUSE && !b->fenced) {
        if (PQisBusy(b->pipeline.conn)) break;
        PGresult *r = PQgetResult(b->pipeline.conn);
        if (!r) {
            if (++nothing < 3 && !b->pipeline.broken) continue;
            b->pipeline.broken = true;
            break;
        }
        nothing = 0;
        b->heard_ms = mono_ms;
        if (PQresultStatus(r) == PGRES_PIPELINE_SYNC) {
            PQclear(r);
            if (b->pipeline.broken) break;
            phase_over(b, mono_ms);
        } else {
            take_result(b, r);
        }
    }
    if (PQstatus(b->pipeline.conn) == CONNECTION_BAD) b->pipeline.broken = true;
    const bool waits = b->phase != PHASE_NONE && b->phase != PHASE_PAUSE && !b->pipeline.broken;
    if (!waits || !b->heard_ms) b->heard_ms = mono_ms;
    /* What was read above counts: who has stood still for a while finds something to read. */
    if (mono_ms - b->heard_ms >= BATCH_SILENCE_MS_MAX) {
        log_event(LOG_WARNING, "batch.unanswered", "ms=%lld", (long long)(mono_ms - b->heard_ms));
        b->pipeline.broken = true;
    }
    return state_of(b);
}

/* --- beginning -------------------------------------------------------------------------------- */

void
batch_write(struct batch *batch, struct command **commands, size_t count, int64_t now_s)
{
    assert(batch->job == JOB_NONE && batch->pipeline.conn);
    if (count == 0) return;
    if (count > batch->cap) {
        batch->commands = realloc(batch->commands, count * sizeof *batch->commands);
        batch->cap = count;
        assert(batch->commands);
    }
    memcpy(batch->commands, commands, count * sizeof *commands);
    memset(commands, 0, count * sizeof *commands);
    batch->count = count;
    batch->ranges[0] = (struct range){0, count};
    batch->range_count = 1;
    batch->retries = 0;
    batch->now_s = now_s;
    batch->job = JOB_WRITE;
    look(batch);
}

void
batch_take(struct batch *batch, const struct take *take)
{
    assert(batch->job == JOB_NONE && batch->pipeline.conn);
    batch->take = *take;
    if (books_holds(&batch->books, take->slots, take->owner, take->incarnation,
                    &batch->take.epoch)) {
        batch->callbacks.on_taken(batch->callbacks.state, &batch->take);
        return;
    }
    batch->job = JOB_TAKE;
    write_take(batch);
}

void
batch_find_due(struct batch *batch, int64_t now_s)
{
    assert(batch->job == JOB_NONE && batch->pipeline.conn);
    batch->job = JOB_DUE;
    enter(batch, PHASE_LOOK);
    pipeline_begin(&batch->pipeline);
    pipeline_numbers(&batch->pipeline, STATEMENT_DUE, &now_s, 1, (struct step_of){.step = STEP_DUE},
                     true);
    pipeline_end(&batch->pipeline);
}

/* --- leading ---------------------------------------------------------------------------------- */

static bool
read_slots(struct books *books, PGconn *conn)
{
    PGresult *r = PQexecPrepared(conn, STATEMENT_SLOTS, 0, NULL, NULL, NULL, 1);
    const bool fine = PQresultStatus(r) == PGRES_TUPLES_OK;
    memset(books->slots, 0, sizeof books->slots);
    books->slot_epoch_head = 0;
    for (int i = 0; fine && i < PQntuples(r); i++) {
        const int64_t number = result_number(r, i, 0);
        if (number < 0 || number >= SLOT_COUNT) continue;
        struct slot *slot = &books->slots[number];
        const struct text owner = result_text(r, i, 2);
        slot->epoch = result_number(r, i, 1);
        slot->incarnation = result_number(r, i, 3);
        snprintf(slot->owner, sizeof slot->owner, "%.*s", (int)owner.size, owner.at);
        if (slot->epoch > books->slot_epoch_head) books->slot_epoch_head = slot->epoch;
    }
    PQclear(r);
    return fine;
}

/* What became of the batch that was under way when the connection was lost. */
static void
settle_doubt(struct batch *b, int64_t last_batch, bool was_writing)
{
    if (b->job == JOB_NONE || b->job == JOB_DUE) {
        be_idle(b);
    } else if (was_writing && !FLORIN_MUTANT(doubt_is_lost) &&
               (FLORIN_MUTANT(doubt_is_written) || last_batch == b->writing.number)) {
        batch_committed(b);
    } else {
        resume(b);
    }
}

/* While the lead is taken. */
static void
on_lead_notice(void *state, const PGresult *r)
{
    bool *const doubtful = state;
    *doubtful |= is_doubt(r);
}

enum lead_verdict
batch_lead(struct batch *batch, PGconn **conn_p, const char *holder, char *cluster,
           size_t cluster_size)
{
    struct batch *b = batch;
    struct books *books = &b->books;
    const char *const values[] = {holder};
    bool doubtful = false;
    assert(!b->pipeline.conn);
    PQsetNoticeReceiver(*conn_p, on_lead_notice, &doubtful);
    PGresult *r = PQexecPrepared(*conn_p, STATEMENT_LEAD, 1, values, NULL, NULL, 1);
    PQsetNoticeReceiver(*conn_p, on_notice, b);
    if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1) {
        PQclear(r);
        return LEAD_FAILED;
    }
    const int64_t epoch = result_number(r, 0, 0), last_batch = result_number(r, 0, 1);
    const int64_t event_head = result_number(r, 0, 2), transaction_head = result_number(r, 0, 3);
    const struct text name = result_text(r, 0, 4);
    snprintf(cluster, cluster_size, "%.*s", (int)name.size, name.at);
    PQclear(r);
    /* Should the primary be lost now, another would lead under the same epoch. So this one is not
     * to be remembered: who begins anew raises it again, and waits for the standby. */
    if (doubtful) return LEAD_DOUBT;
    if (books->epoch && epoch != books->epoch + 1) return LEAD_LOST;
    if (!read_slots(books, *conn_p)) {
        books->epoch = books->epoch ? epoch : 0; /* raised by us: the next try is one above it */
        return LEAD_FAILED;
    }

    const bool was_writing = b->phase == PHASE_WRITE;
    books->epoch = epoch;
    versions_clear(books->versions);
    b->pipeline.conn = *conn_p;
    *conn_p = NULL;
    b->pipeline.broken = false;
    PQsetnonblocking(b->pipeline.conn, 1);
    if (!PQenterPipelineMode(b->pipeline.conn)) b->pipeline.broken = true;
    if (!(was_writing && last_batch == b->writing.number)) {
        books->last_batch = last_batch;
        books->event_head = event_head;
        books->transaction_head = transaction_head;
    }
    settle_doubt(b, last_batch, was_writing);
    return LEAD_OK;
}

void
batch_unlead(struct batch *batch)
{
    if (batch->pipeline.conn) PQfinish(batch->pipeline.conn);
    batch->pipeline.conn = NULL;
}
