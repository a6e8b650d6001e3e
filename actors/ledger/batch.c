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
#ifndef CLAIMS_KEPT
#define CLAIMS_KEPT 32768
#endif
#define RETRY_MS 200  /* after an error that may pass: disk full, a lock, a statement too slow */
#define RETRIES_MAX 3 /* then what is not urgent is told BUSY */
#define RANGES_MAX 64 /* halves of halves: more than the logarithm of any batch */

enum job { JOB_NONE, JOB_WRITE, JOB_TAKE, JOB_DUE };
/* READ: all attempts that are under way. FAILED: rolled back, and what was sent behind it is still
 * to fail, too. */
enum phase {
    PHASE_NONE,
    PHASE_READ,
    PHASE_LOOK,
    PHASE_WRITE,
    PHASE_FAILED,
    PHASE_UNDO,
    PHASE_PAUSE
};

struct range {
    size_t from, to;
};

/* One thing to do. */
struct work {
    enum job job;
    enum phase phase;
    bool sent;      /* the results of its phase are still to come, up to their Sync */
    bool nearly;    /* Postgres is through with most of what it writes */
    bool doubtful;  /* COMMIT came with a warning: success is not success */
    bool committed; /* COMMIT's result was fine; the Sync is still to come */
    int64_t now_s;
    int retries;

    struct command **commands; /* NULL where the verdict has been told */
    size_t count, cap;
    struct range ranges[RANGES_MAX]; /* still to be written; the last one is under way */
    size_t range_count;
    struct take take;
    struct looking *looking;
    struct writing writing; /* of the transaction under way */
    struct steps steps;

    char error_state[6], error[COMMAND_DETAIL_MAX + 1]; /* the first in this pipeline */
};

struct batch {
    struct batch_callbacks callbacks;
    struct books books;
    struct pipeline pipeline;
    bool fenced;
    bool open_is_doubtful; /* what is known of the attempts under way may be what is wrong */
    int64_t retry_ms;      /* the first is in PHASE_PAUSE: until when */
    int64_t heard_ms;      /* when Postgres last answered, or was last asked; 0: just now */

    /* What is done, and the batch that is sent behind it. The second counts on the first: its
     * numbers go on where those of the first end. When the first fails, the second fails in
     * Postgres (the fence asks for the number before its own, and before that the transaction is
     * still the broken one) and is in PHASE_NONE until the first is done. */
    struct work *first, *second, works[2];

    struct command **done; /* committed, and not told yet */
    size_t done_count, done_cap;
    struct batch_counts counts;
};

struct batch *
batch_new(const struct batch_callbacks *callbacks)
{
    struct batch *b = calloc(1, sizeof *b);
    assert(b);
    b->callbacks = *callbacks;
    b->books.versions = versions_new(VERSIONS_KEPT);
    b->books.claims = claims_new(CLAIMS_KEPT);
    b->books.open = open_attempts_new();
    b->first = &b->works[0];
    b->second = &b->works[1];
    for (int i = 0; i < 2; i++)
        b->works[i].looking = looking_new();
    return b;
}

static void
work_free(struct work *w)
{
    for (size_t i = 0; i < w->count; i++)
        command_destroy(&w->commands[i]);
    free(w->commands);
    looking_destroy(&w->looking);
}

void
batch_destroy(struct batch **batch_p)
{
    struct batch *b = *batch_p;
    if (!b) return;
    batch_unlead(b);
    for (int i = 0; i < 2; i++)
        work_free(&b->works[i]);
    for (size_t i = 0; i < b->done_count; i++)
        command_destroy(&b->done[i]);
    free(b->done);
    versions_destroy(&b->books.versions);
    claims_destroy(&b->books.claims);
    open_attempts_destroy(&b->books.open);
    arrays_free(&b->pipeline.arrays);
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

/* Whose results are the next to come: NULL when none are. */
static struct work *
awaited(const struct batch *b)
{
    if (b->first->sent) return b->first;
    return b->second->sent ? b->second : NULL;
}

short
batch_poll_events(const struct batch *batch)
{
    return (short)(awaited(batch) && batch->pipeline.conn && PQflush(batch->pipeline.conn) == 1
                       ? POLLIN | POLLOUT
                       : POLLIN);
}

int64_t
batch_retry_ms(const struct batch *batch)
{
    return batch->first->phase == PHASE_PAUSE ? batch->retry_ms : 0;
}

bool
batch_has_room(const struct batch *batch)
{
    const struct work *const first = batch->first;
    return first->job == JOB_WRITE && first->phase == PHASE_WRITE && first->nearly &&
           !first->error_state[0] && first->range_count == 1 && batch->second->job == JOB_NONE &&
           !batch->pipeline.broken && !batch->fenced;
}

bool
batch_is_followed(const struct batch *batch)
{
    return batch->second->job != JOB_NONE;
}

bool
batch_redirect(struct batch *batch, const struct command *again)
{
    for (int w = 0; w < 2; w++)
        for (size_t i = 0; i < batch->works[w].count; i++) {
            struct command *c = batch->works[w].commands[i];
            if (!c || !command_is_same(c, again)) continue;
            c->reply = again->reply;
            return true;
        }
    return false;
}

/* It is not written. */
static void
give_up_places(struct batch *b, const struct command *c)
{
    for (size_t i = 0; i < c->row_count; i++)
        if (c->rows[i].place && !c->rows[i].version)
            open_attempts_release(b->books.open, c->rows[i].place);
}

static void
tell(struct batch *b, struct work *w, size_t index, enum commit_verdict verdict)
{
    struct command *c = w->commands[index];
    w->commands[index] = NULL;
    give_up_places(b, c);
    c->verdict = verdict;
    b->callbacks.on_verdict(b->callbacks.state, &c);
}

/* --- attempts under way ----------------------------------------------------------------------- */

static void
learn_open_attempt(struct open_attempts *open, const PGresult *r, int i)
{
    const struct row_attempt attempt = {
        .merchant = result_text(r, i, 2),
        .operation = result_text(r, i, 6),
        .payment_intent = result_text(r, i, 7),
        .setup_intent = result_text(r, i, 8),
        .charge = result_text(r, i, 9),
    };
    const struct text key = result_text(r, i, 10), command = result_text(r, i, 11);
    struct open_attempt is = {
        .id = attempt_fingerprint(attempt.merchant, result_text(r, i, 3)),
        .subject = subject_fingerprint(&attempt),
        .now = {result_number(r, i, 4), attempt_state_named(result_text(r, i, 5))},
    };
    if (key.at && command.size == sizeof is.command) {
        is.key = key_fingerprint(attempt.merchant, key);
        memcpy(is.command, command.at, sizeof is.command);
    }
    open_attempts_begin(open, (int32_t)result_number(r, i, 1), &is);
}

/* Of what is not written yet: places are given out anew. */
static void
forget_places(struct work *w)
{
    for (size_t i = 0; i < w->count; i++) {
        struct command *const c = w->commands[i];
        for (size_t n = 0; c && n < c->row_count; n++)
            c->rows[n].place = 0;
        if (c) c->key_place = 0;
    }
}

/* All of them, and how many places there are. */
static void
learn_open_attempts(struct batch *b, const PGresult *r)
{
    open_attempts_clear(b->books.open);
    b->books.places = result_number(r, 0, 0);
    for (int i = 0; i < PQntuples(r) && !PQgetisnull(r, i, 1); i++)
        learn_open_attempt(b->books.open, r, i);
    for (int i = 0; i < 2; i++)
        forget_places(&b->works[i]);
    b->open_is_doubtful = false;
}

/* --- look, decide ----------------------------------------------------------------------------- */

static struct range
current(const struct work *w)
{
    assert(w->range_count > 0);
    return w->ranges[w->range_count - 1];
}

static void
enter(struct batch *b, struct work *w, enum phase phase)
{
    b->heard_ms = 0;
    w->phase = phase;
    w->error_state[0] = w->error[0] = 0;
    w->doubtful = w->committed = w->nearly = false;
}

static void decide(struct batch *b, struct work *w);

/* What is asked behind a batch that is being written is answered when that one is committed. */
static void
look(struct batch *b, struct work *w)
{
    const struct range range = current(w);
    enter(b, w, b->open_is_doubtful ? PHASE_READ : PHASE_LOOK);
    pipeline_begin(&b->pipeline, &w->steps);
    if (b->open_is_doubtful) {
        pipeline_plain(&b->pipeline, STATEMENT_ATTEMPTS_OPEN, (struct step_of){.step = STEP_OPEN});
        pipeline_end(&b->pipeline);
        w->sent = true;
        return;
    }
    looking_ask(w->looking, &b->pipeline, &b->books, w->commands + range.from,
                range.to - range.from);
    if (w->steps.count == 0) {
        decide(b, w);
        return;
    }
    pipeline_end(&b->pipeline);
    w->sent = true;
}

static void finish_range(struct batch *b, struct work *w);
static void halve_range(struct batch *b, struct work *w);

static void
number(struct batch *b, struct work *w)
{
    writing_number(&w->writing, &b->books, w == b->second ? &b->first->writing : NULL);
}

/* What is refused is told: also of the second, because nothing that the first one touches is
 * touched by it, so that its verdicts are the same whatever becomes of the first. The rest is
 * written. */
static void
decide(struct batch *b, struct work *w)
{
    const struct range range = current(w);
    for (size_t i = range.from; i < range.to; i++) {
        struct command *c = w->commands[i];
        if (!c) continue;
        const enum commit_verdict verdict =
            books_verdict(&b->books, c, looking_key(w->looking, i - range.from));
        if (verdict) tell(b, w, i, verdict);
    }
    w->writing = (struct writing){
        .commands = w->commands + range.from, .count = range.to - range.from, .now_s = w->now_s};
    number(b, w);
    if (!writing_any(&w->writing)) {
        finish_range(b, w);
    } else if (!writing_fits(&w->writing)) {
        halve_range(b, w);
    } else {
        FAILPOINT(ledger_before_write);
        enter(b, w, PHASE_WRITE);
        writing_commands(&w->writing, &b->pipeline, &w->steps);
        w->sent = true;
        FAILPOINT(ledger_after_write_sent);
        if (w == b->second) FAILPOINT(ledger_after_second_sent);
    }
}

static void
write_take(struct batch *b, struct work *w)
{
    w->take.epoch = b->books.slot_epoch_head + 1;
    w->writing = (struct writing){.commands = NULL, .count = 0};
    number(b, w);
    enter(b, w, PHASE_WRITE);
    writing_take(&w->writing, &w->take, &b->pipeline, &w->steps);
    w->sent = true;
}

/* --- tell ------------------------------------------------------------------------------------- */

static void
be_over(struct work *w)
{
    w->job = JOB_NONE;
    w->phase = PHASE_NONE;
    w->sent = false;
    w->count = w->range_count = 0;
}

/* What stands behind it goes on, or begins anew if it failed with what was the first then. */
static void
first_over(struct batch *b)
{
    struct work *const over = b->first;
    be_over(over);
    b->first = b->second;
    b->second = over;
    if (b->first->job != JOB_NONE && b->first->phase == PHASE_NONE) look(b, b->first);
}

static void
finish_range(struct batch *b, struct work *w)
{
    w->range_count--;
    w->retries = 0;
    if (w->range_count > 0)
        look(b, w);
    else if (w == b->first)
        first_over(b);
    else
        be_over(w);
}

/* The books as they are now that this is committed. */
static void
book(struct batch *b, const struct writing *writing)
{
    b->books.last_batch = writing->number;
    if (!FLORIN_MUTANT(event_head_stands)) b->books.event_head = writing->event_head_after;
    b->books.transaction_head = writing->transaction_head_after;
    b->books.places = writing->places_after;
    b->counts.batches++;
}

static void
keep_done(struct batch *b, struct work *w, size_t index)
{
    if (b->done_count == b->done_cap) {
        b->done_cap = b->done_cap ? 2 * b->done_cap : 256;
        b->done = realloc(b->done, b->done_cap * sizeof *b->done);
        assert(b->done);
    }
    b->done[b->done_count++] = w->commands[index];
    w->commands[index] = NULL;
}

static void
commands_committed(struct batch *b)
{
    struct work *const w = b->first;
    const struct range range = current(w);
    FAILPOINT(ledger_after_commit);
    book(b, &w->writing);
    for (size_t i = range.from; i < range.to; i++) {
        const struct command *c = w->commands[i];
        if (!c) continue;
        books_wrote(&b->books, c, w->writing.number);
        keep_done(b, w, i);
        b->counts.commands++;
    }
    finish_range(b, w);
}

static void
tell_done(struct batch *b)
{
    for (size_t i = 0; i < b->done_count; i++) {
        struct command *c = b->done[i];
        for (size_t e = 0; e < c->event_count; e++)
            b->callbacks.on_event(b->callbacks.state, c->event_head + (int64_t)e + 1, c,
                                  &c->events[e]);
        c->verdict = COMMIT_DONE;
        b->callbacks.on_verdict(b->callbacks.state, &c);
    }
    b->done_count = 0;
}

static void
take_committed(struct batch *b)
{
    const struct take take = b->first->take;
    book(b, &b->first->writing);
    b->books.slot_epoch_head = take.epoch;
    for (uint16_t i = 0; i < SLOT_COUNT; i++) {
        struct slot *slot = &b->books.slots[i];
        if (!slot_in(take.slots, i)) continue;
        *slot = (struct slot){take.epoch, take.incarnation, ""};
        snprintf(slot->owner, sizeof slot->owner, "%s", take.owner);
    }
    first_over(b);
    b->callbacks.on_taken(b->callbacks.state, &take);
}

static void
first_committed(struct batch *b)
{
    if (b->first->job == JOB_TAKE)
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
left_in_range(const struct work *w)
{
    size_t left = 0;
    for (size_t i = current(w).from; i < current(w).to; i++)
        left += w->commands[i] != NULL;
    return left;
}

static void
pause(struct batch *b, int64_t mono_ms)
{
    b->first->phase = PHASE_PAUSE;
    b->retry_ms = mono_ms + RETRY_MS;
}

/* The same again, after a while. What is not urgent does not wait for ever; what the network has
 * done already does. */
static void
pause_range(struct batch *b, struct work *w, int64_t mono_ms)
{
    const struct range range = current(w);
    b->counts.retries++;
    if (++w->retries > RETRIES_MAX)
        for (size_t i = range.from; i < range.to; i++)
            if (w->commands[i] && !w->commands[i]->commit.urgency) {
                snprintf(w->commands[i]->detail, sizeof w->commands[i]->detail, "%s", w->error);
                tell(b, w, i, COMMIT_BUSY);
            }
    pause(b, mono_ms);
}

/* Something in this range is refused by Postgres. What was taken for known may be what is wrong. */
static void
halve_range(struct batch *b, struct work *w)
{
    struct range range = current(w);
    size_t to = range.from;
    versions_clear(b->books.versions);
    claims_clear(b->books.claims, b->books.last_batch + 1); /* nothing that was learned before */
    b->open_is_doubtful = true;
    for (size_t i = range.from; i < range.to; i++)
        if (w->commands[i]) {
            struct command *c = w->commands[i];
            w->commands[i] = NULL;
            w->commands[to++] = c;
        }
    if (to - range.from == 1) {
        snprintf(w->commands[range.from]->detail, sizeof w->commands[range.from]->detail, "%s",
                 w->error);
        tell(b, w, range.from, COMMIT_REJECTED);
        finish_range(b, w);
        return;
    }
    const size_t middle = range.from + (to - range.from) / 2;
    assert(w->range_count < RANGES_MAX && to > range.from);
    b->counts.bisections++;
    w->ranges[w->range_count - 1] = (struct range){middle, to};
    w->ranges[w->range_count++] = (struct range){range.from, middle};
    look(b, w);
}

/* After the pipeline of ROLLBACK. */
static void
undone(struct batch *b, struct work *w, int64_t mono_ms)
{
    char state[6];
    memcpy(state, w->error_state, sizeof state);
    const bool full = is_of_class(state, "53 58 "), may_pass = is_of_class(state, "40 55 57 XX ");
    if (w->job == JOB_TAKE)
        pause(b, mono_ms);
    else if (full || (may_pass && (w->retries < RETRIES_MAX || left_in_range(w) == 1)))
        pause_range(b, w, mono_ms);
    else
        halve_range(b, w);
}

/* What fails behind a batch that has failed fails because of it, the fence too. */
static void
note_error(struct batch *b, struct work *w, const PGresult *r)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    if (!severity || strcmp(severity, "ERROR") != 0) b->pipeline.broken = true;
    if (state && strcmp(state, "FL000") == 0 && w == b->first) b->fenced = true;
    if (w->error_state[0]) return;
    snprintf(w->error_state, sizeof w->error_state, "%s", state ? state : "?????");
    snprintf(w->error, sizeof w->error, "%s", message ? message : PQresultErrorMessage(r));
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
    struct work *const w = awaited(state);
    if (w && w->phase == PHASE_WRITE && is_doubt(r)) w->doubtful = true;
}

/* --- stepping --------------------------------------------------------------------------------- */

static void
take_result(struct batch *b, struct work *w, PGresult *r)
{
    if (w->steps.answered >= w->steps.count) { /* in answer to nothing: the connection is broken */
        b->pipeline.broken = true;
        PQclear(r);
        return;
    }
    const struct step_of *step = &w->steps.at[w->steps.answered++];
    const ExecStatusType status = PQresultStatus(r);
    if (status == PGRES_PIPELINE_ABORTED) {
        /* its error came before */
    } else if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        note_error(b, w, r);
    } else {
        switch (step->step) {
        case STEP_NOTHING: break;
        case STEP_KEYS:
        case STEP_VERSIONS: looking_learn(w->looking, step, b->books.versions, r); return;
        case STEP_OPEN: learn_open_attempts(b, r); break;
        case STEP_DUE: b->callbacks.on_due(b->callbacks.state, r); break;
        case STEP_NEARLY: w->nearly = true; break;
        case STEP_COMMIT: w->committed = strcmp(PQcmdStatus(r), "COMMIT") == 0; break;
        }
    }
    PQclear(r);
}

/* The state of the error stays: it says what to do when this is done. */
static void
undo(struct batch *b, struct work *w)
{
    w->phase = PHASE_UNDO;
    pipeline_begin(&b->pipeline, &w->steps);
    pipeline_plain(&b->pipeline, STATEMENT_ROLLBACK, (struct step_of){.step = STEP_NOTHING});
    pipeline_end(&b->pipeline);
    w->sent = true;
}

static void
first_heard(struct batch *b, struct work *w, int64_t mono_ms)
{
    const bool failed = w->error_state[0] && !FLORIN_MUTANT(error_is_success);
    if (w->phase == PHASE_UNDO) {
        undone(b, w, mono_ms);
    } else if (failed && w->phase == PHASE_WRITE) {
        w->phase = PHASE_FAILED;
        if (!b->second->sent) undo(b, w);
    } else if (failed) { /* a SELECT: nothing to undo */
        if (w->job == JOB_WRITE)
            pause_range(b, w, mono_ms);
        else
            first_over(b);
    } else if (w->job == JOB_DUE) {
        first_over(b);
    } else if (w->phase == PHASE_READ) {
        look(b, w);
    } else if (w->phase == PHASE_LOOK) {
        decide(b, w);
    } else if (w->doubtful || (!w->committed && !FLORIN_MUTANT(error_is_success))) {
        b->pipeline.broken = true;
    } else {
        first_committed(b);
    }
}

/* The Sync has come: all results of the phase are there. */
static void
phase_over(struct batch *b, struct work *w, int64_t mono_ms)
{
    w->sent = false;
    if (w == b->first) {
        first_heard(b, w, mono_ms);
        return;
    }
    /* The first has failed, and so did this. */
    w->phase = PHASE_NONE;
    undo(b, b->first);
}

static void
resume(struct batch *b, struct work *w)
{
    if (w->job == JOB_TAKE)
        write_take(b, w);
    else if (w->job == JOB_WRITE)
        look(b, w);
}

static enum batch_state
state_of(const struct batch *b)
{
    if (b->fenced) return BATCH_FENCED;
    if (!b->pipeline.conn || b->pipeline.broken) return BATCH_LOST;
    return b->first->job == JOB_NONE ? BATCH_IDLE : BATCH_BUSY;
}

/* Even when the connection is gone, what had come before is read: it may be the COMMIT. */
static void
read_results(struct batch *b, int64_t mono_ms)
{
    int nothing = 0; /* NULLs in a row: one stands between two results, never two */
    for (struct work *w; (w = awaited(b)) && !b->fenced && !PQisBusy(b->pipeline.conn);) {
        PGresult *r = PQgetResult(b->pipeline.conn);
        if (!r) {
            if (++nothing < 3 && !b->pipeline.broken) continue;
            b->pipeline.broken = true;
            return;
        }
        nothing = 0;
        b->heard_ms = mono_ms;
        if (PQresultStatus(r) == PGRES_PIPELINE_SYNC) {
            PQclear(r);
            if (b->pipeline.broken) return;
            phase_over(b, w, mono_ms);
        } else {
            take_result(b, w, r);
        }
    }
}

enum batch_state
batch_step(struct batch *batch, int64_t mono_ms)
{
    struct batch *b = batch;
    if (!b->pipeline.conn || b->pipeline.broken || b->fenced) return state_of(b);
    if (b->first->phase == PHASE_PAUSE && mono_ms >= b->retry_ms) resume(b, b->first);
    if (!PQconsumeInput(b->pipeline.conn) || PQflush(b->pipeline.conn) < 0)
        b->pipeline.broken = true;
    read_results(b, mono_ms);
    if (PQstatus(b->pipeline.conn) == CONNECTION_BAD) b->pipeline.broken = true;
    if (b->done_count && state_of(b) == BATCH_IDLE && b->callbacks.on_idle)
        b->callbacks.on_idle(b->callbacks.state);
    tell_done(b);
    const bool waits = awaited(b) && !b->pipeline.broken;
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
    struct work *const w = batch->first->job == JOB_NONE ? batch->first : batch->second;
    assert(batch->pipeline.conn);
    assert(w == batch->first || batch_has_room(batch));
    if (count == 0) return;
    if (count > w->cap) {
        w->commands = realloc(w->commands, count * sizeof *w->commands);
        w->cap = count;
        assert(w->commands);
    }
    memcpy(w->commands, commands, count * sizeof *commands);
    memset(commands, 0, count * sizeof *commands);
    w->count = count;
    w->ranges[0] = (struct range){0, count};
    w->range_count = 1;
    w->retries = 0;
    w->now_s = now_s;
    w->job = JOB_WRITE;
    look(batch, w);
}

void
batch_take(struct batch *batch, const struct take *take)
{
    struct work *const w = batch->first;
    assert(w->job == JOB_NONE && batch->pipeline.conn);
    w->take = *take;
    if (books_holds(&batch->books, take->slots, take->owner, take->incarnation, &w->take.epoch)) {
        batch->callbacks.on_taken(batch->callbacks.state, &w->take);
        return;
    }
    w->job = JOB_TAKE;
    write_take(batch, w);
}

void
batch_find_due(struct batch *batch, int64_t now_s)
{
    struct work *const w = batch->first;
    assert(w->job == JOB_NONE && batch->pipeline.conn);
    w->job = JOB_DUE;
    enter(batch, w, PHASE_LOOK);
    pipeline_begin(&batch->pipeline, &w->steps);
    pipeline_numbers(&batch->pipeline, STATEMENT_DUE, &now_s, 1, (struct step_of){.step = STEP_DUE},
                     true);
    pipeline_end(&batch->pipeline);
    w->sent = true;
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

static bool
read_open_attempts(struct batch *b, PGconn *conn)
{
    PGresult *r = PQexecPrepared(conn, STATEMENT_ATTEMPTS_OPEN, 0, NULL, NULL, NULL, 1);
    const bool fine = PQresultStatus(r) == PGRES_TUPLES_OK;
    if (fine) learn_open_attempts(b, r);
    PQclear(r);
    return fine;
}

/* This is the batch that was written last, and its COMMIT may be unheard of. */
static bool
was_written(const struct work *w, int64_t last_batch)
{
    if (w->job == JOB_NONE || w->phase != PHASE_WRITE || FLORIN_MUTANT(doubt_is_lost)) return false;
    return FLORIN_MUTANT(doubt_is_written) || w->writing.number == last_batch;
}

/* What became of what was under way when the connection was lost. The second was not written
 * without the first. */
static void
settle_doubt(struct batch *b, int64_t last_batch, int64_t event_head, int64_t transaction_head)
{
    const bool both = was_written(b->second, last_batch) && !FLORIN_MUTANT(one_is_in_doubt);
    const bool first = both || was_written(b->first, last_batch);
    b->first->sent = b->second->sent = false;
    claims_clear(b->books.claims, first ? b->first->writing.number - 1 : last_batch);
    if (!both) b->second->phase = PHASE_NONE;
    if (!first) {
        b->books.last_batch = last_batch;
        b->books.event_head = event_head;
        b->books.transaction_head = transaction_head;
        if (b->first->job == JOB_NONE || b->first->job == JOB_DUE)
            first_over(b);
        else
            resume(b, b->first);
        return;
    }
    first_committed(b);
    if (both) first_committed(b);
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
    if (!read_slots(books, *conn_p) || !read_open_attempts(b, *conn_p)) {
        books->epoch = books->epoch ? epoch : 0; /* raised by us: the next try is one above it */
        return LEAD_FAILED;
    }

    books->epoch = epoch;
    versions_clear(books->versions);
    b->pipeline.conn = *conn_p;
    *conn_p = NULL;
    b->pipeline.broken = false;
    PQsetnonblocking(b->pipeline.conn, 1);
    if (!PQenterPipelineMode(b->pipeline.conn)) b->pipeline.broken = true;
    settle_doubt(b, last_batch, event_head, transaction_head);
    tell_done(b);
    return LEAD_OK;
}

void
batch_unlead(struct batch *batch)
{
    if (batch->pipeline.conn) PQfinish(batch->pipeline.conn);
    batch->pipeline.conn = NULL;
}
