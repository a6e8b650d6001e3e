#include "writing.h"

#include "event_pack.h"
#include "failpoint.h"
#include "mutant.h"
#include "statements.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct step_of nothing = {.step = STEP_NOTHING};

/* From so many commands on, Postgres says before the Sync that it has done most. Few are written
 * sooner than anything could be sent behind them. */
#ifndef TOLD_EARLY_MIN
#define TOLD_EARLY_MIN 8
#endif

/* So many places more are made than are wanted, so that they are seldom made. */
#define PLACES_MORE 32

/* Of a posting whose lines differ in it: 16 lines of 3 letters (messages.def). */
#define POSTING_CODES_MAX (16 * 3)

/* Every command that is to be written. */
#define EACH_COMMAND(w, c)                                 \
    for (size_t c##_at = 0; c##_at < (w)->count; c##_at++) \
        for (const struct command *c = (w)->commands[c##_at]; c; c = NULL)

static uint64_t
table_bit(const struct table *t)
{
    return UINT64_C(1) << t->number;
}

/* --- numbers ---------------------------------------------------------------------------------- */

/* Where an attempt will be under way, or is. */
static void
find_places(struct writing *w, const struct books *books, struct command *c)
{
    for (size_t i = 0; i < c->row_count; i++) {
        struct command_row *const row = &c->rows[i];
        if (row->table->number != ROW_attempt) continue;
        if (row->version)
            row->place = open_attempts_find(
                books->open, attempt_fingerprint(c->commit.merchant, row_id(row->row)));
        else if (!row->place)
            row->place = open_attempts_reserve(books->open);
        if (row->place > w->places_after) w->places_after = row->place;
    }
    const struct command_row *const holder = command_key_holder(c);
    c->key_place = holder ? holder->place
                   : c->commit.claim == 2
                       ? books_key_place(books, c->commit.merchant, c->commit.key)
                       : 0;
}

void
writing_number(struct writing *w, const struct books *books, const struct writing *before)
{
    w->open = books->open;
    w->epoch = books->epoch;
    w->number = 1 + (before ? before->number : books->last_batch);
    w->event_head = before ? before->event_head_after : books->event_head;
    w->transaction_head = before ? before->transaction_head_after : books->transaction_head;
    w->places = before ? before->places_after : books->places;
    w->places_after = w->places;
    w->event_head_after = w->event_head;
    w->transaction_head_after = w->transaction_head;
    EACH_COMMAND(w, c)
    {
        find_places(w, books, w->commands[c_at]);
        w->commands[c_at]->event_head = w->event_head_after;
        w->event_head_after += (int64_t)c->event_count;
        w->transaction_head_after += (int64_t)c->posting_count;
        for (size_t r = 0; r < c->row_count; r++) {
            assert(c->rows[r].table->number < 64);
            *(c->rows[r].version ? &w->updates : &w->inserts) |= table_bit(c->rows[r].table);
        }
    }
    if (w->places_after > w->places) w->places_after += PLACES_MORE;
    w->open_until = open_attempts_highest(books->open);
}

bool
writing_any(const struct writing *w)
{
    EACH_COMMAND(w, c) return true;
    return false;
}

/* All that the lines move, so that no sum of some of them can be too large. A single command cannot
 * come near (16 postings of 16 lines of MONEY_MAX). */
bool
writing_fits(const struct writing *w)
{
    int64_t moved = 0;
    EACH_COMMAND(w, c)
    for (size_t i = 0; i < c->posting_count; i++)
        for (size_t l = 0; l < c->postings[i].line_count; l++) {
            const int64_t amount = c->postings[i].lines[l].amount;
            if (__builtin_add_overflow(moved, amount < 0 ? -amount : amount, &moved)) return false;
        }
    return true;
}

/* --- rows ------------------------------------------------------------------------------------- */

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
write_rows(const struct writing *w, struct pipeline *p, const struct table_statements *s,
           bool insert)
{
    if (!((insert ? w->inserts : w->updates) & table_bit(s->table))) return;
    if (s->table->number == ROW_attempt) return; /* see write_attempts */
    arrays_begin(&p->arrays, s->kinds);
    EACH_COMMAND(w, c)
    for (size_t r = 0; r < c->row_count; r++)
        if (c->rows[r].table == s->table && (c->rows[r].version == 0) == insert)
            put_row(&p->arrays, s->table, c->rows[r].row);
    const int32_t count = arrays_count(&p->arrays);
    pipeline_arrays(p, insert ? s->insert : s->update, insert ? -1 : count, nothing);
}

/* --- attempts --------------------------------------------------------------------------------- */

static void
write_places(const struct writing *w, struct pipeline *p)
{
    const int64_t numbers[] = {w->places + 1, w->places_after};
    if (w->places_after > w->places)
        pipeline_numbers(p, STATEMENT_PLACES, numbers, 2, nothing, false);
}

enum of_attempt { BEGINS, STEPS, ENDS };

static enum of_attempt
what_becomes(const struct command_row *row)
{
    const struct row_attempt *const attempt = row->row;
    if (!row->version) return BEGINS;
    return attempt_is_open(attempt_state_named(attempt->state)) ? STEPS : ENDS;
}

static void
put_key_of(struct arrays *a, const struct command *c, const struct command_row *row)
{
    const int column = (int)ATTEMPT_PLACE + 1;
    if (command_key_holder(c) == row) {
        arrays_text(a, column, c->commit.request_hash);
        arrays_text(a, column + 1, c->commit.path);
        arrays_text(a, column + 2, c->commit.id);
    } else {
        for (int i = 0; i < 3; i++)
            arrays_null(a, column + i);
    }
}

static void
write_attempts(const struct writing *w, struct pipeline *p, enum of_attempt what,
               const char *statement)
{
    struct arrays *const a = &p->arrays;
    arrays_begin(a, attempt_kinds(what == BEGINS));
    EACH_COMMAND(w, c)
    for (size_t r = 0; r < c->row_count; r++) {
        const struct command_row *const row = &c->rows[r];
        if (row->table->number != ROW_attempt || what_becomes(row) != what) continue;
        put_row(a, row->table, row->row);
        arrays_number(a, (int)ATTEMPT_PLACE, row->place);
        if (what == BEGINS) put_key_of(a, c, row);
    }
    const int32_t count = arrays_count(a);
    if (count) pipeline_arrays(p, statement, count, nothing);
}

/* --- keys ------------------------------------------------------------------------------------- */

/* The sequence of the command's event of that number, from 1; null for 0. */
static void
put_event(struct arrays *a, int column, const struct command *c, uint64_t number)
{
    if (number)
        arrays_number(a, column, c->event_head + (int64_t)number);
    else
        arrays_null(a, column);
}

static void
write_claims(const struct writing *w, struct pipeline *p)
{
    struct arrays *a = &p->arrays;
    arrays_begin(a, KINDS_KEY_CLAIM);
    EACH_COMMAND(w, c)
    {
        const struct msg_commit *m = &c->commit;
        if (m->claim != 1 || c->key_place) continue;
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
        arrays_number(a, 8, w->now_s);
        put_event(a, 9, c, m->told);
    }
    if (arrays_count(a)) pipeline_arrays(p, STATEMENT_KEY_CLAIM, -1, nothing);
}

static void
write_answers(const struct writing *w, struct pipeline *p)
{
    struct arrays *a = &p->arrays;
    arrays_begin(a, KINDS_KEY_ANSWER);
    EACH_COMMAND(w, c)
    {
        if (c->commit.claim != 2 || c->key_place) continue;
        arrays_text(a, 0, c->commit.merchant);
        arrays_text(a, 1, c->commit.key);
        arrays_number(a, 2, (int64_t)c->commit.status);
        arrays_text(a, 3, c->commit.body);
        put_event(a, 4, c, c->commit.told);
    }
    const int32_t count = arrays_count(a);
    if (count) pipeline_arrays(p, STATEMENT_KEY_ANSWER, count, nothing);
}

/* The attempt is over, and the key that it held is not answered yet. */
static bool
leaves_key(const struct writing *w, const struct command *c, const struct command_row *row)
{
    if (row->table->number != ROW_attempt || what_becomes(row) != ENDS) return false;
    if (!row->place) return false; /* of no attempt that is under way: Postgres refuses it */
    const struct fingerprint key = open_attempts_at(w->open, row->place)->key;
    return fingerprint_is_any(key) && !(c->commit.claim == 2 && c->key_place == row->place);
}

/* The rows of the keys that attempts held: with their answers, or with the end of the attempt. */
static void
write_settled(const struct writing *w, struct pipeline *p)
{
    struct arrays *const a = &p->arrays;
    arrays_begin(a, KINDS_KEY_SETTLE);
    EACH_COMMAND(w, c)
    {
        if (c->commit.claim == 2 && c->key_place) {
            arrays_number(a, 0, c->key_place);
            arrays_text(a, 1, c->commit.merchant);
            arrays_text(a, 2, c->commit.key);
            arrays_number(a, 3, (int64_t)c->commit.status);
            arrays_text(a, 4, c->commit.body);
            put_event(a, 5, c, c->commit.told);
        }
        for (size_t r = 0; r < c->row_count; r++) {
            if (!leaves_key(w, c, &c->rows[r])) continue;
            arrays_number(a, 0, c->rows[r].place);
            arrays_text(a, 1, c->commit.merchant);
            arrays_text(a, 2, ((const struct row_attempt *)c->rows[r].row)->key);
            for (int i = 3; i < 6; i++)
                arrays_null(a, i);
        }
    }
    const int32_t count = arrays_count(a);
    if (count) pipeline_arrays(p, STATEMENT_KEY_SETTLE, count, nothing);
}

/* --- the outbox ------------------------------------------------------------------------------- */

/* Of the events of a row, with a space between two. */
struct words {
    char at[EVENTS_PER_ROW_MAX * 64];
    size_t size;
};

static void
say(struct words *words, struct text word)
{
    assert(words->size + word.size + 1 <= sizeof words->at);
    if (words->size) words->at[words->size++] = ' ';
    memcpy(words->at + words->size, word.at, word.size);
    words->size += word.size;
}

/* The row that ends with this event. */
static void
put_outbox(struct arrays *a, const struct command *c, size_t first, size_t last)
{
    const struct msg_event_write *const events = c->events;
    struct words types = {.size = 0}, objects = {.size = 0};
    for (size_t i = first; i <= last; i++) {
        say(&types, events[i].type);
        say(&objects, events[i].object);
    }
    arrays_number(a, 0, c->event_head + (int64_t)first + 1);
    arrays_number(a, 1, (int64_t)(last - first + 1));
    arrays_text(a, 2, events[first].id);
    arrays_text(a, 3, c->commit.merchant);
    arrays_text(a, 4, (struct text){types.at, types.size});
    arrays_text(a, 5, (struct text){objects.at, objects.size});
    arrays_text(a, 6, events[last].packed);
    arrays_number(a, 7, (int64_t)events[first].created);
    arrays_text(a, 8, events[first].api_version);
    arrays_text(a, 9, c->commit.request);
    arrays_text(a, 10, c->commit.key);
}

static void
write_events(const struct writing *w, struct pipeline *p)
{
    struct arrays *const a = &p->arrays;
    int64_t head = w->event_head;
    arrays_begin(a, KINDS_OUTBOX);
    EACH_COMMAND(w, c)
    for (size_t i = 0, first = 0; i < c->event_count; i++) {
        head++;
        if (!c->events[i].packed.at) continue;
        put_outbox(a, c, first, i);
        first = i + 1;
    }
    assert(head == w->event_head_after);
    if (arrays_count(a)) pipeline_arrays(p, STATEMENT_OUTBOX, -1, nothing);
}

/* --- the books -------------------------------------------------------------------------------- */

static struct text
owner_of(const struct command *c, const struct command_line *line)
{
    return line->of_merchant ? c->commit.merchant : TEXT("");
}

/* Of all lines, as nearly always; else those of each, one after the other, in `memory`. */
static struct text
currency_of(const struct command_posting *posting, char memory[static POSTING_CODES_MAX])
{
    const struct command_line *lines = posting->lines;
    size_t size = 0;
    bool same = true;
    for (size_t l = 1; l < posting->line_count; l++)
        same &= text_equal(lines[l].currency, lines[0].currency);
    if (same) return lines[0].currency;
    for (size_t l = 0; l < posting->line_count; l++) {
        const struct text code = lines[l].currency;
        assert(size + code.size <= POSTING_CODES_MAX);
        memcpy(memory + size, code.at, code.size);
        size += code.size;
    }
    return (struct text){memory, size};
}

/* Returns how many lines there are. */
static size_t
write_transactions(const struct writing *w, struct pipeline *p)
{
    struct arrays *a = &p->arrays;
    int64_t id = w->transaction_head, lines = 0;
    arrays_begin(a, KINDS_TRANSACTION);
    EACH_COMMAND(w, c)
    for (size_t i = 0; i < c->posting_count; i++) {
        const struct command_posting *posting = &c->postings[i];
        char codes[POSTING_CODES_MAX];
        arrays_number(a, 0, ++id);
        arrays_text(a, 1, c->commit.merchant);
        arrays_text(a, 2, posting->kind);
        arrays_text(a, 3, posting->source);
        arrays_number(a, 4, w->now_s);
        arrays_text(a, 5, currency_of(posting, codes));
        arrays_number(a, 6, lines + 1);
        lines += (int64_t)posting->line_count;
        arrays_number(a, 7, lines);
        for (size_t l = 0; l < posting->line_count; l++) {
            const struct command_line *line = &posting->lines[l];
            arrays_number(a, 8, line->of_merchant ? -line->account : line->account);
            arrays_number(a, 9, line->amount);
        }
    }
    if (arrays_count(a)) pipeline_arrays(p, STATEMENT_TRANSACTION, -1, nothing);
    assert(id == w->transaction_head_after);
    return (size_t)lines;
}

/* What the lines of the batch come to per account. */
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

static struct sum *
sorted_lines(const struct writing *w, size_t count)
{
    struct sum *sums = malloc(count * sizeof *sums);
    size_t at = 0;
    assert(sums);
    EACH_COMMAND(w, c)
    for (size_t i = 0; i < c->posting_count; i++)
        for (size_t l = 0; l < c->postings[i].line_count; l++) {
            const struct command_line *line = &c->postings[i].lines[l];
            sums[at++] =
                (struct sum){owner_of(c, line), line->currency, line->account, line->amount};
        }
    assert(at == count);
    qsort(sums, count, sizeof *sums, compare_sums);
    return sums;
}

static void
write_balances(const struct writing *w, size_t count, struct pipeline *p)
{
    struct arrays *a = &p->arrays;
    if (count == 0) return;
    struct sum *const sums = sorted_lines(w, count);
    arrays_begin(a, KINDS_BALANCE);
    for (size_t i = 0; i < count;) {
        const struct sum *s = &sums[i];
        int64_t amount = 0;
        for (; i < count && compare_sums(s, &sums[i]) == 0; i++)
            amount = sums[i].amount + (FLORIN_MUTANT(last_line_only) ? 0 : amount); /* it fits */
        arrays_text(a, 0, s->merchant);
        arrays_number(a, 1, s->account);
        arrays_text(a, 2, s->currency);
        arrays_number(a, 3, amount);
    }
    pipeline_arrays(p, STATEMENT_BALANCE, -1, nothing);
    free(sums);
}

/* --- transactions ----------------------------------------------------------------------------- */

static void
begin(const struct writing *w, struct pipeline *p, struct steps *steps)
{
    const int64_t numbers[] = {w->epoch, w->number, w->event_head_after, w->transaction_head_after,
                               w->open_until};
    pipeline_begin(p, steps);
    pipeline_plain(p, STATEMENT_BEGIN, nothing);
    pipeline_numbers(p, STATEMENT_FENCE, numbers, 5, nothing, false);
}

static void
commit(struct pipeline *p)
{
    pipeline_plain(p, STATEMENT_COMMIT, (struct step_of){.step = STEP_COMMIT});
    pipeline_end(p);
}

void
writing_commands(const struct writing *w, struct pipeline *p, struct steps *steps)
{
    begin(w, p, steps);
    write_places(w, p);
    write_attempts(w, p, BEGINS, STATEMENT_ATTEMPT_BEGIN);
    write_attempts(w, p, STEPS, STATEMENT_ATTEMPT_STEP);
    write_attempts(w, p, ENDS, STATEMENT_ATTEMPT_END);
    for (size_t i = 0; i < table_count; i++)
        for (int insert = 1; insert >= 0; insert--)
            write_rows(w, p, table_statements(i), insert);
    write_claims(w, p);
#ifdef FLORIN_FAILPOINTS
    (void)PQflush(p->conn); /* so that Postgres has this half */
#endif
    FAILPOINT(ledger_mid_write);
    write_answers(w, p);
    write_settled(w, p);
    if (w->count >= TOLD_EARLY_MIN) pipeline_tell(p);
    write_events(w, p);
    write_balances(w, write_transactions(w, p), p);
    commit(p);
}

void
writing_take(const struct writing *w, const struct take *take, struct pipeline *p,
             struct steps *steps)
{
    struct arrays *a = &p->arrays;
    begin(w, p, steps);
    arrays_begin(a, KINDS_SLOTS_TAKE);
    for (uint16_t i = 0; i < SLOT_COUNT; i++) {
        if (!slot_in(take->slots, i)) continue;
        arrays_number(a, 0, i);
        arrays_number(a, 1, take->epoch);
        arrays_text(a, 2, text_of(take->owner));
        arrays_number(a, 3, take->incarnation);
    }
    if (arrays_count(a)) pipeline_arrays(p, STATEMENT_SLOTS_TAKE, -1, nothing);
    commit(p);
}
