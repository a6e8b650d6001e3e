#include "batch.h"

#include "statements.h"
#include <assert.h>
#include <endian.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSIONS_KEPT 65536
#define RETRY_MS 200  /* after an error that may pass: disk full, a lock, a statement too slow */
#define RETRIES_MAX 3 /* then what is not urgent is told BUSY */
#define STEPS_MAX 64  /* statements in one pipeline */
#define RANGES_MAX 64 /* halves of halves: more than the logarithm of any batch */

enum job { JOB_NONE, JOB_WRITE, JOB_TAKE, JOB_DUE };
enum phase { PHASE_NONE, PHASE_LOOK, PHASE_WRITE, PHASE_UNDO, PHASE_PAUSE };

/* What a result in the pipeline is of. */
enum step { STEP_NOTHING, STEP_KEYS, STEP_VERSIONS, STEP_DUE, STEP_COMMIT };

struct range {
    size_t from, to;
};

/* A row or a key that is being asked for. */
struct question {
    struct command *command;
    size_t row;
};

struct batch {
    struct batch_callbacks callbacks;
    struct books books;
    PGconn *conn;
    struct arrays arrays;

    enum job job;
    enum phase phase;
    bool lost, fenced;
    bool doubtful;  /* COMMIT came with a warning: success is not success */
    bool committed; /* COMMIT's result was fine; the Sync is still to come */
    int64_t now_s;
    int64_t retry_ms; /* PHASE_PAUSE: until when */
    int retries;

    struct command **commands; /* of this job; NULL where the verdict has been told */
    size_t count, cap;
    struct range ranges[RANGES_MAX]; /* still to be written; the last one is under way */
    size_t range_count;
    struct take take;

    struct step_of {
        enum step step;
        size_t first; /* question of its first ordinal */
        const struct table *table;
    } steps[STEPS_MAX];
    size_t step_count, step_now;
    struct question *questions;
    size_t question_count, question_cap;
    struct key_row *keys; /* beside commands */
    PGresult *key_result; /* the texts of keys */

    /* Numbers that this batch gives out; they count once it is committed. */
    int64_t number, event_head, transaction_head;

    char error_state[6], error[COMMAND_DETAIL_MAX + 1]; /* the first in this pipeline */
    struct sum *sums;
    size_t sum_cap;
    struct batch_counts counts;
};

/* --- small things ----------------------------------------------------------------------------- */

static void *
at_least(void *memory, size_t *cap, size_t count, size_t size)
{
    if (count <= *cap) return memory;
    *cap = count * 2;
    memory = realloc(memory, *cap * size);
    assert(memory);
    return memory;
}

struct batch *
batch_new(const struct batch_callbacks *callbacks)
{
    struct batch *b = calloc(1, sizeof *b);
    assert(b);
    b->callbacks = *callbacks;
    b->books.versions = versions_new(VERSIONS_KEPT);
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
    arrays_free(&b->arrays);
    PQclear(b->key_result);
    free(b->commands);
    free(b->questions);
    free(b->keys);
    free(b->sums);
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
    return batch->conn ? PQsocket(batch->conn) : -1;
}

short
batch_poll_events(const struct batch *batch)
{
    return (short)(batch->phase != PHASE_NONE && batch->conn && PQflush(batch->conn) == 1
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

static int64_t
get_number(const PGresult *r, int row, int column)
{
    const char *const at = PQgetvalue(r, row, column);
    uint64_t eight;
    uint32_t four;
    uint16_t two;
    switch (PQgetlength(r, row, column)) {
    case 8: memcpy(&eight, at, 8); return (int64_t)be64toh(eight);
    case 4: memcpy(&four, at, 4); return (int32_t)be32toh(four);
    case 2: memcpy(&two, at, 2); return (int16_t)be16toh(two);
    default: return 0;
    }
}

static struct text
get_text(const PGresult *r, int row, int column)
{
    if (PQgetisnull(r, row, column)) return NO_TEXT;
    return (struct text){PQgetvalue(r, row, column), (size_t)PQgetlength(r, row, column)};
}

/* --- the pipeline ----------------------------------------------------------------------------- */

static void
pipeline_begin(struct batch *b, enum phase phase)
{
    b->phase = phase;
    b->step_count = b->step_now = 0;
    b->question_count = 0;
    b->error_state[0] = b->error[0] = 0;
    b->doubtful = b->committed = false;
}

static void
queued(struct batch *b, bool sent, enum step step)
{
    assert(b->step_count < STEPS_MAX);
    if (!sent) b->lost = true;
    b->steps[b->step_count++] = (struct step_of){.step = step};
}

static void
queue_plain(struct batch *b, const char *statement, enum step step)
{
    queued(b, PQsendQueryPrepared(b->conn, statement, 0, NULL, NULL, NULL, 1), step);
}

static void
queue_numbers(struct batch *b, const char *statement, const int64_t *numbers, int count,
              enum step step, int format)
{
    uint64_t big[4];
    const char *values[4];
    int lengths[4], formats[4];
    assert(count <= 4);
    for (int i = 0; i < count; i++) {
        big[i] = htobe64((uint64_t)numbers[i]);
        values[i] = (const char *)&big[i];
        lengths[i] = 8;
        formats[i] = 1;
    }
    queued(b, PQsendQueryPrepared(b->conn, statement, count, values, lengths, formats, format),
           step);
}

static void
queue_arrays(struct batch *b, const char *statement, int64_t more, enum step step)
{
    queued(b, arrays_send(&b->arrays, b->conn, statement, more), step);
}

static void
pipeline_end(struct batch *b)
{
    if (!PQpipelineSync(b->conn) || PQflush(b->conn) < 0) b->lost = true;
}

/* --- look ------------------------------------------------------------------------------------- */

static struct range
current(const struct batch *b)
{
    assert(b->range_count > 0);
    return b->ranges[b->range_count - 1];
}

static size_t
ask(struct batch *b, struct command *c, size_t row)
{
    b->questions =
        at_least(b->questions, &b->question_cap, b->question_count + 1, sizeof *b->questions);
    b->questions[b->question_count] = (struct question){c, row};
    return b->question_count++;
}

static void
look_at_keys(struct batch *b)
{
    const struct range range = current(b);
    const size_t first = b->question_count;
    arrays_begin(&b->arrays, KINDS_KEY_FIND);
    for (size_t i = range.from; i < range.to; i++) {
        struct command *c = b->commands[i];
        b->keys[i] = (struct key_row){.found = false};
        if (!c || !books_must_know_key(c)) continue;
        ask(b, c, i);
        arrays_text(&b->arrays, 0, c->commit.merchant);
        arrays_text(&b->arrays, 1, c->commit.key);
    }
    if (b->question_count == first) return;
    queue_arrays(b, STATEMENT_KEY_FIND, -1, STEP_KEYS);
    b->steps[b->step_count - 1].first = first;
}

static void
look_at_table(struct batch *b, const struct table_statements *s)
{
    const struct range range = current(b);
    const size_t first = b->question_count;
    arrays_begin(&b->arrays, KINDS_FIND);
    for (size_t i = range.from; i < range.to; i++) {
        struct command *c = b->commands[i];
        for (size_t r = 0; c && r < c->row_count; r++) {
            struct command_row *row = &c->rows[r];
            const struct text id = row_id(row->row), merchant = c->commit.merchant;
            if (row->table != s->table || !books_must_know(c, r)) continue;
            row->now = (struct version){0, ATTEMPT_NONE};
            if (versions_get(b->books.versions, s->table->number, merchant, id, &row->now))
                continue;
            ask(b, c, r);
            arrays_text(&b->arrays, 0, merchant);
            arrays_text(&b->arrays, 1, id);
        }
    }
    if (b->question_count == first) return;
    queue_arrays(b, s->find, -1, STEP_VERSIONS);
    b->steps[b->step_count - 1].first = first;
    b->steps[b->step_count - 1].table = s->table;
}

static void decide(struct batch *b);

static void
look(struct batch *b)
{
    pipeline_begin(b, PHASE_LOOK);
    b->keys = realloc(b->keys, b->cap * sizeof *b->keys);
    assert(b->keys);
    PQclear(b->key_result);
    b->key_result = NULL;
    look_at_keys(b);
    for (size_t i = 0; i < table_count; i++)
        look_at_table(b, table_statements(i));
    if (b->step_count == 0)
        decide(b);
    else
        pipeline_end(b);
}

static void
learn_keys(struct batch *b, const struct step_of *step, PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++) {
        const size_t ordinal = (size_t)get_number(r, i, 0) - 1;
        assert(step->first + ordinal < b->question_count);
        b->keys[b->questions[step->first + ordinal].row] = (struct key_row){
            .found = true,
            .request_hash = get_text(r, i, 1),
            .path = get_text(r, i, 2),
            .command = get_text(r, i, 3),
            .request = get_text(r, i, 4),
            .status = (uint16_t)get_number(r, i, 5),
            .body = get_text(r, i, 6),
        };
    }
    b->key_result = r; /* it holds the texts */
}

static void
learn_versions(struct batch *b, const struct step_of *step, const PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++) {
        const size_t ordinal = (size_t)get_number(r, i, 0) - 1;
        assert(step->first + ordinal < b->question_count);
        const struct question *q = &b->questions[step->first + ordinal];
        struct command_row *row = &q->command->rows[q->row];
        row->now = (struct version){get_number(r, i, 1), ATTEMPT_NONE};
        if (step->table->number == ROW_attempt)
            row->now.state = attempt_state_named(get_text(r, i, 2));
        versions_put(b->books.versions, step->table->number, q->command->commit.merchant,
                     row_id(row->row), row->now);
    }
}

/* --- write ------------------------------------------------------------------------------------ */

/* Every command of the range that has not been told is to be written. */
#define EACH_COMMAND(b, c)                                                  \
    for (size_t c##_at = current(b).from; c##_at < current(b).to; c##_at++) \
        for (struct command *c = (b)->commands[c##_at]; c; c = NULL)

static void
put_row(struct arrays *arrays, const struct table *t, const void *row)
{
    for (size_t i = 0; i < t->column_count; i++) {
        const void *value = (const char *)row + t->columns[i].offset;
        switch (t->columns[i].kind) {
        case COLUMN_TEXT:
        case COLUMN_JSON:
        case COLUMN_BYTES: arrays_text(arrays, (int)i, *(const struct text *)value); break;
        case COLUMN_I64: arrays_number(arrays, (int)i, *(const int64_t *)value); break;
        case COLUMN_OPT:
            if (*(const int64_t *)value == NO_NUMBER)
                arrays_null(arrays, (int)i);
            else
                arrays_number(arrays, (int)i, *(const int64_t *)value);
            break;
        case COLUMN_FLAG: arrays_number(arrays, (int)i, *(const bool *)value); break;
        }
    }
}

static void
write_rows(struct batch *b, const struct table_statements *s, bool insert)
{
    arrays_begin(&b->arrays, s->kinds);
    EACH_COMMAND(b, c)
    for (size_t r = 0; r < c->row_count; r++)
        if (c->rows[r].table == s->table && (c->rows[r].version == 0) == insert)
            put_row(&b->arrays, s->table, c->rows[r].row);
    const int32_t count = arrays_count(&b->arrays);
    if (count) queue_arrays(b, insert ? s->insert : s->update, insert ? -1 : count, STEP_NOTHING);
}

static void
write_claims(struct batch *b)
{
    struct arrays *a = &b->arrays;
    arrays_begin(a, KINDS_KEY_CLAIM);
    EACH_COMMAND(b, c)
    {
        const struct msg_commit *m = &c->commit;
        if (m->claim != 1) continue;
        arrays_text(a, 0, m->merchant);
        arrays_text(a, 1, m->key);
        arrays_text(a, 2, m->request_hash);
        arrays_text(a, 3, m->path);
        arrays_text(a, 4, m->id);
        arrays_text(a, 5, m->request);
        if (m->has & HAS_commit_status)
            arrays_number(a, 6, (int64_t)m->status);
        else
            arrays_null(a, 6);
        arrays_text(a, 7, m->body);
        arrays_number(a, 8, b->now_s);
    }
    if (arrays_count(a)) queue_arrays(b, STATEMENT_KEY_CLAIM, -1, STEP_NOTHING);
}

static void
write_answers(struct batch *b)
{
    struct arrays *a = &b->arrays;
    arrays_begin(a, KINDS_KEY_ANSWER);
    EACH_COMMAND(b, c)
    {
        if (c->commit.claim != 2) continue;
        arrays_text(a, 0, c->commit.merchant);
        arrays_text(a, 1, c->commit.key);
        arrays_number(a, 2, (int64_t)c->commit.status);
        arrays_text(a, 3, c->commit.body);
    }
    const int32_t count = arrays_count(a);
    if (count) queue_arrays(b, STATEMENT_KEY_ANSWER, count, STEP_NOTHING);
}

static void
write_events(struct batch *b)
{
    struct arrays *a = &b->arrays;
    int64_t sequence = b->books.event_head;
    arrays_begin(a, KINDS_EVENT);
    EACH_COMMAND(b, c)
    for (size_t i = 0; i < c->event_count; i++) {
        const struct msg_event_write *e = &c->events[i];
        arrays_number(a, 0, ++sequence);
        arrays_text(a, 1, e->id);
        arrays_text(a, 2, c->commit.merchant);
        arrays_text(a, 3, e->type);
        arrays_text(a, 4, e->object);
        arrays_text(a, 5, e->data);
        arrays_text(a, 6, e->previous);
        arrays_number(a, 7, (int64_t)e->created);
        arrays_text(a, 8, e->api_version);
        arrays_text(a, 9, c->commit.request);
        arrays_text(a, 10, c->commit.key);
    }
    if (arrays_count(a)) queue_arrays(b, STATEMENT_EVENT, -1, STEP_NOTHING);
    assert(sequence == b->event_head);
}

static void
write_transactions(struct batch *b)
{
    struct arrays *a = &b->arrays;
    int64_t id = b->books.transaction_head;
    arrays_begin(a, KINDS_TRANSACTION);
    EACH_COMMAND(b, c)
    for (size_t i = 0; i < c->posting_count; i++) {
        arrays_number(a, 0, ++id);
        arrays_text(a, 1, c->commit.merchant);
        arrays_text(a, 2, c->postings[i].kind);
        arrays_text(a, 3, c->postings[i].source);
        arrays_number(a, 4, b->now_s);
    }
    if (arrays_count(a)) queue_arrays(b, STATEMENT_TRANSACTION, -1, STEP_NOTHING);
    assert(id == b->transaction_head);
}

/* What the lines of the batch come to per account: balances are written once per batch, and last,
 * because all batches meet there. */
struct sum {
    struct text merchant, currency;
    uint8_t account;
    int64_t amount;
};

static int
compare_sums(const void *a, const void *b)
{
    const struct sum *x = a, *y = b;
    int order = text_compare(x->merchant, y->merchant);
    if (!order) order = x->account - y->account;
    return order ? order : text_compare(x->currency, y->currency);
}

static size_t
write_entries(struct batch *b)
{
    struct arrays *a = &b->arrays;
    int64_t id = b->books.transaction_head;
    size_t count = 0;
    arrays_begin(a, KINDS_ENTRY);
    EACH_COMMAND(b, c)
    for (size_t i = 0; i < c->posting_count; i++) {
        const struct command_posting *p = &c->postings[i];
        id++;
        for (size_t l = 0; l < p->line_count; l++) {
            const struct command_line *line = &p->lines[l];
            const struct text merchant = line->of_merchant ? c->commit.merchant : TEXT("");
            arrays_number(a, 0, id);
            arrays_number(a, 1, (int64_t)l + 1);
            arrays_number(a, 2, line->account);
            arrays_text(a, 3, merchant);
            arrays_text(a, 4, line->currency);
            arrays_number(a, 5, line->amount);
            b->sums = at_least(b->sums, &b->sum_cap, count + 1, sizeof *b->sums);
            b->sums[count++] = (struct sum){merchant, line->currency, line->account, line->amount};
        }
    }
    if (arrays_count(a)) queue_arrays(b, STATEMENT_ENTRY, -1, STEP_NOTHING);
    return count;
}

static void
write_balances(struct batch *b, size_t count)
{
    struct arrays *a = &b->arrays;
    if (count == 0) return;
    qsort(b->sums, count, sizeof *b->sums, compare_sums);
    arrays_begin(a, KINDS_BALANCE);
    for (size_t i = 0; i < count;) {
        const struct sum *s = &b->sums[i];
        int64_t amount = 0;
        for (; i < count && compare_sums(s, &b->sums[i]) == 0; i++)
            amount += b->sums[i].amount;
        arrays_text(a, 0, s->merchant);
        arrays_number(a, 1, s->account);
        arrays_text(a, 2, s->currency);
        arrays_number(a, 3, amount);
    }
    queue_arrays(b, STATEMENT_BALANCE, -1, STEP_NOTHING);
}

/* BEGIN and the fence: this batch's number, and the heads that it will leave. */
static void
write_fence(struct batch *b)
{
    const int64_t numbers[] = {b->books.epoch, b->number, b->event_head, b->transaction_head};
    queue_plain(b, STATEMENT_BEGIN, STEP_NOTHING);
    queue_numbers(b, STATEMENT_FENCE, numbers, 4, STEP_NOTHING, 1);
}

/* All that these lines move, so that no sum of some of them can be too large. A single command
 * cannot come near (16 postings of 16 lines of MONEY_MAX). */
static bool
sums_fit(const struct batch *b)
{
    int64_t moved = 0;
    EACH_COMMAND(b, c)
    for (size_t i = 0; i < c->posting_count; i++)
        for (size_t l = 0; l < c->postings[i].line_count; l++) {
            const int64_t amount = c->postings[i].lines[l].amount;
            if (__builtin_add_overflow(moved, amount < 0 ? -amount : amount, &moved)) return false;
        }
    return true;
}

static void finish_range(struct batch *b);
static void halve_range(struct batch *b);

static void
write_commands(struct batch *b)
{
    pipeline_begin(b, PHASE_WRITE);
    b->number = b->books.last_batch + 1;
    b->event_head = b->books.event_head;
    b->transaction_head = b->books.transaction_head;
    bool any = false;
    EACH_COMMAND(b, c)
    {
        b->event_head += (int64_t)c->event_count;
        b->transaction_head += (int64_t)c->posting_count;
        any = true;
    }
    if (!any) {
        finish_range(b);
        return;
    }
    if (!sums_fit(b)) {
        halve_range(b);
        return;
    }
    write_fence(b);
    for (size_t i = 0; i < table_count; i++)
        for (int insert = 1; insert >= 0; insert--)
            write_rows(b, table_statements(i), insert);
    write_claims(b);
    write_answers(b);
    write_events(b);
    write_transactions(b);
    write_balances(b, write_entries(b));
    queue_plain(b, STATEMENT_COMMIT, STEP_COMMIT);
    pipeline_end(b);
}

static void
write_take(struct batch *b)
{
    struct arrays *a = &b->arrays;
    pipeline_begin(b, PHASE_WRITE);
    b->number = b->books.last_batch + 1;
    b->event_head = b->books.event_head;
    b->transaction_head = b->books.transaction_head;
    b->take.epoch = b->books.slot_epoch_head + 1;
    write_fence(b);
    arrays_begin(a, KINDS_SLOTS_TAKE);
    for (uint16_t i = 0; i < SLOT_COUNT; i++) {
        if (!slot_in(b->take.slots, i)) continue;
        arrays_number(a, 0, i);
        arrays_number(a, 1, b->take.epoch);
        arrays_text(a, 2, text_of(b->take.owner));
        arrays_number(a, 3, b->take.incarnation);
    }
    queue_arrays(b, STATEMENT_SLOTS_TAKE, -1, STEP_NOTHING);
    queue_plain(b, STATEMENT_COMMIT, STEP_COMMIT);
    pipeline_end(b);
}

/* --- decide, tell ----------------------------------------------------------------------------- */

static void
decide(struct batch *b)
{
    const struct range range = current(b);
    for (size_t i = range.from; i < range.to; i++) {
        if (!b->commands[i]) continue;
        const enum commit_verdict verdict = books_verdict(&b->books, b->commands[i], &b->keys[i]);
        if (verdict) tell(b, i, verdict);
    }
    write_commands(b);
}

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
    b->books.last_batch = b->number;
    b->books.event_head = b->event_head;
    b->books.transaction_head = b->transaction_head;
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
    int64_t sequence = b->books.event_head;
    book(b);
    EACH_COMMAND(b, c)
    {
        remember(b, c);
        for (size_t i = 0; i < c->event_count; i++)
            b->callbacks.on_event(b->callbacks.state, ++sequence, c, &c->events[i]);
        b->counts.commands++;
        tell(b, c_at, COMMIT_DONE);
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
    if (!severity || strcmp(severity, "ERROR") != 0) b->lost = true;
    if (state && strcmp(state, "FL000") == 0) b->fenced = true;
    if (b->error_state[0]) return;
    snprintf(b->error_state, sizeof b->error_state, "%s", state ? state : "?????");
    snprintf(b->error, sizeof b->error, "%s", message ? message : PQresultErrorMessage(r));
}

/* libpq reports success for a COMMIT that was committed here and perhaps not replicated: WARNING
 * 01000. It is in doubt like a lost one. */
static void
on_notice(void *state, const PGresult *r)
{
    struct batch *b = state;
    const char *code = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    if (code && strcmp(code, "01000") == 0 && b->phase == PHASE_WRITE) b->doubtful = true;
}

/* --- stepping --------------------------------------------------------------------------------- */

static void
take_result(struct batch *b, PGresult *r)
{
    if (b->step_now >= b->step_count) { /* not in answer to anything: the connection is broken */
        b->lost = true;
        PQclear(r);
        return;
    }
    const struct step_of *step = &b->steps[b->step_now++];
    const ExecStatusType status = PQresultStatus(r);
    bool keep = false;
    if (status == PGRES_PIPELINE_ABORTED) {
        /* its error came before */
    } else if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        note_error(b, r);
    } else {
        switch (step->step) {
        case STEP_NOTHING: break;
        case STEP_KEYS:
            learn_keys(b, step, r);
            keep = true;
            break;
        case STEP_VERSIONS: learn_versions(b, step, r); break;
        case STEP_DUE: b->callbacks.on_due(b->callbacks.state, r); break;
        case STEP_COMMIT: b->committed = strcmp(PQcmdStatus(r), "COMMIT") == 0; break;
        }
    }
    if (!keep) PQclear(r);
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
    } else if (b->error_state[0] && phase == PHASE_WRITE) {
        b->phase = PHASE_UNDO;
        b->step_count = b->step_now = 0;
        queue_plain(b, STATEMENT_ROLLBACK, STEP_NOTHING);
        pipeline_end(b);
    } else if (b->error_state[0]) { /* a SELECT failed: nothing to undo */
        if (b->job == JOB_WRITE)
            pause_range(b, mono_ms);
        else
            be_idle(b);
    } else if (b->job == JOB_DUE) {
        be_idle(b);
    } else if (phase == PHASE_LOOK) {
        decide(b);
    } else if (b->doubtful || !b->committed) {
        b->lost = true;
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
    if (!b->conn || b->lost) return BATCH_LOST;
    return b->job == JOB_NONE ? BATCH_IDLE : BATCH_BUSY;
}

enum batch_state
batch_step(struct batch *batch, int64_t mono_ms)
{
    struct batch *b = batch;
    int nothing = 0; /* NULLs in a row: one stands between two results, never two */
    if (!b->conn || b->lost || b->fenced) return state_of(b);
    if (b->phase == PHASE_PAUSE && mono_ms >= b->retry_ms) resume(b);
    if (!PQconsumeInput(b->conn) || PQflush(b->conn) < 0) b->lost = true;
    /* Even when the connection is gone, what had come before is read: it may be the COMMIT. */
    while (b->phase != PHASE_NONE && b->phase != PHASE_PAUSE && !b->fenced) {
        if (PQisBusy(b->conn)) break;
        PGresult *r = PQgetResult(b->conn);
        if (!r) {
            if (++nothing < 3 && !b->lost) continue;
            b->lost = true;
            break;
        }
        nothing = 0;
        if (PQresultStatus(r) == PGRES_PIPELINE_SYNC) {
            PQclear(r);
            if (b->lost) break;
            phase_over(b, mono_ms);
        } else {
            take_result(b, r);
        }
    }
    if (PQstatus(b->conn) == CONNECTION_BAD) b->lost = true;
    return state_of(b);
}

/* --- beginning -------------------------------------------------------------------------------- */

void
batch_write(struct batch *batch, struct command **commands, size_t count, int64_t now_s)
{
    assert(batch->job == JOB_NONE && batch->conn);
    if (count == 0) return;
    batch->commands = at_least(batch->commands, &batch->cap, count, sizeof *batch->commands);
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
    assert(batch->job == JOB_NONE && batch->conn);
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
    assert(batch->job == JOB_NONE && batch->conn);
    batch->job = JOB_DUE;
    pipeline_begin(batch, PHASE_LOOK);
    queue_numbers(batch, STATEMENT_DUE, &now_s, 1, STEP_DUE, 0);
    pipeline_end(batch);
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
        const int64_t number = get_number(r, i, 0);
        if (number < 0 || number >= SLOT_COUNT) continue;
        struct slot *slot = &books->slots[number];
        const struct text owner = get_text(r, i, 2);
        slot->epoch = get_number(r, i, 1);
        slot->incarnation = get_number(r, i, 3);
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
    } else if (was_writing && last_batch == b->number) {
        batch_committed(b);
    } else {
        resume(b);
    }
}

enum lead_verdict
batch_lead(struct batch *batch, PGconn **conn_p, const char *holder, char *cluster,
           size_t cluster_size)
{
    struct batch *b = batch;
    struct books *books = &b->books;
    const char *const values[] = {holder};
    assert(!b->conn);
    PGresult *r = PQexecPrepared(*conn_p, STATEMENT_LEAD, 1, values, NULL, NULL, 1);
    if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1) {
        PQclear(r);
        return LEAD_FAILED;
    }
    const int64_t epoch = get_number(r, 0, 0), last_batch = get_number(r, 0, 1);
    const int64_t event_head = get_number(r, 0, 2), transaction_head = get_number(r, 0, 3);
    const struct text name = get_text(r, 0, 4);
    snprintf(cluster, cluster_size, "%.*s", (int)name.size, name.at);
    PQclear(r);
    if (books->epoch && epoch != books->epoch + 1) return LEAD_LOST;
    if (!read_slots(books, *conn_p)) {
        books->epoch = books->epoch ? epoch : 0; /* raised by us: the next try is one above it */
        return LEAD_FAILED;
    }

    const bool was_writing = b->phase == PHASE_WRITE;
    books->epoch = epoch;
    versions_clear(books->versions);
    b->conn = *conn_p;
    *conn_p = NULL;
    b->lost = false;
    PQsetNoticeReceiver(b->conn, on_notice, b);
    PQsetnonblocking(b->conn, 1);
    if (!PQenterPipelineMode(b->conn)) b->lost = true;
    if (!(was_writing && last_batch == b->number)) {
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
    if (batch->conn) PQfinish(batch->conn);
    batch->conn = NULL;
}
