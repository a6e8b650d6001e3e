#include "database.h"

#include "attempt.h"
#include "event_pack.h"
#include "event_type.h"
#include "id.h"
#include "json_reader.h"
#include "mutant.h"
#include "statements.h"
#include "world.h"
#include <assert.h>
#include <endian.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct database_tables tables_kept;
static int64_t deliveries_written;
#define KEPT(shelf, kind, index) ((const struct kind *)(shelf).at[index])

/* --- shelves ---------------------------------------------------------------------------------- */

static void
note(struct change_log *log, struct shelf *shelf, size_t index, void *old)
{
    if (!log) return;
    struct undo *const undo = take(sizeof *undo);
    *undo = (struct undo){log->last, shelf, index, old};
    log->last = undo;
}

static void
add(struct change_log *log, struct shelf *shelf, void *thing)
{
    if (shelf->count == shelf->cap) {
        void **const more = take((shelf->cap * 2 + 16) * sizeof *more);
        if (shelf->count) memcpy(more, shelf->at, shelf->count * sizeof *more);
        shelf->at = more;
        shelf->cap = shelf->cap * 2 + 16;
    }
    note(log, shelf, shelf->count, NULL);
    shelf->at[shelf->count++] = thing;
}

static void
replace(struct change_log *log, struct shelf *shelf, size_t index, void *thing)
{
    note(log, shelf, index, shelf->at[index]);
    shelf->at[index] = thing;
}

void
database_undo(struct change_log *log)
{
    for (struct undo *u = log->last; u; u = u->before) {
        if (u->old) {
            u->shelf->at[u->index] = u->old;
        } else {
            assert(u->index + 1 == u->shelf->count);
            u->shelf->count--;
        }
    }
    log->last = NULL;
}

#define COPY_OF(kind, original) memcpy(take(sizeof(struct kind)), original, sizeof(struct kind))
#define NEW(kind, ...) COPY_OF(kind, (&(struct kind){__VA_ARGS__}))

void
database_begin(void)
{
    memset(&tables_kept, 0, sizeof tables_kept);
    deliveries_written = 0;
    assert(table_count < TABLES_MAX);
    add(NULL, &tables_kept.leader, NEW(kept_leader, .holder = TEXT("")));
    add(NULL, &tables_kept.dispatch, NEW(kept_dispatch, 0));
}

const struct kept_leader *
database_leader(void)
{
    return KEPT(tables_kept.leader, kept_leader, 0);
}

/* --- rows ------------------------------------------------------------------------------------- */

static uint64_t
hash_of(struct text merchant, struct text id)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < id.size; i++)
        hash = (hash ^ (uint8_t)id.at[i]) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < merchant.size; i++)
        hash = (hash ^ (uint8_t)merchant.at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static struct kept_row *
find_row(enum row_table table, struct text merchant, struct text id, size_t *index)
{
    const struct shelf *shelf = &tables_kept.rows[table];
    const uint64_t hash = hash_of(merchant, id);
    for (size_t i = shelf->count; i--;) {
        struct kept_row *kept = shelf->at[i];
        if (kept->hash != hash || !text_equal(row_id(kept->row), id) ||
            !text_equal(row_merchant(kept->row), merchant))
            continue;
        if (index) *index = i;
        return kept;
    }
    return NULL;
}

const void *
database_row(enum row_table table, struct text merchant, struct text id)
{
    const struct kept_row *kept = find_row(table, merchant, id, NULL);
    return kept ? kept->row : NULL;
}

size_t
database_count(enum row_table table)
{
    return tables_kept.rows[table].count;
}

const void *
database_nth(enum row_table table, size_t index)
{
    return KEPT(tables_kept.rows[table], kept_row, index)->row;
}

static struct kept_row *
keep_row(void *row)
{
    return NEW(kept_row, hash_of(row_merchant(row), row_id(row)), row);
}

void
database_put(enum row_table table, const void *row)
{
    const struct table *const t = table_find(table);
    const size_t texts = row_copy(table, row, NULL, NULL, 0);
    void *const copy = take(t->size);
    const size_t used = row_copy(table, row, copy, take(texts + 1), texts);
    assert(used == texts);
    (void)used;
    add(NULL, &tables_kept.rows[table], keep_row(copy));
}

const struct kept_key *
database_key(struct text merchant, struct text key)
{
    for (size_t i = tables_kept.keys.count; i--;) {
        const struct kept_key *k = KEPT(tables_kept.keys, kept_key, i);
        if (text_equal(k->key, key) && text_equal(k->merchant, merchant)) return k;
    }
    return NULL;
}

/* --- what the tables refuse ------------------------------------------------------------------- */

static bool fail(struct answer_rows *answer, const char *sqlstate, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool
fail(struct answer_rows *answer, const char *sqlstate, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(answer->message, sizeof answer->message, format, arguments);
    va_end(arguments);
    answer->sqlstate = sqlstate;
    return false;
}

static bool
expect(struct answer_rows *answer, size_t actual, size_t wanted, const char *what)
{
    if (actual == wanted) return true;
    return fail(answer, strcmp(what, "ledger_leader") == 0 ? "FL000" : "FL001",
                "%s: %zu of %zu rows are as expected", what, actual, wanted);
}

static bool
is_open(const struct row_attempt *a)
{
    return attempt_is_open(attempt_state_named(a->state));
}

static bool
moves_back(const struct row_attempt *a)
{
    return text_is(a->operation, "refund") || text_is(a->operation, "recall");
}

static bool
same(struct text a, struct text b)
{
    return a.at && b.at && text_equal(a, b);
}

static bool
holds_money(const struct row_attempt *a)
{
    return text_is(a->operation, "authorize") && text_is(a->state, "approved");
}

/* What SQL calls coalesce. */
static struct text
first_of(struct text a, struct text b)
{
    return a.at ? a : b;
}

static struct text
open_for(const struct row_attempt *a)
{
    if (!is_open(a) || moves_back(a)) return NO_TEXT;
    return first_of(a->payment_intent, first_of(a->setup_intent, a->charge));
}

static struct text
approved_for(const struct row_attempt *a)
{
    return holds_money(a) ? first_of(a->payment_intent, a->charge) : NO_TEXT;
}

/* The unique index of attempt. */
static bool
attempts_clash(const struct row_attempt *a, const struct row_attempt *b)
{
    return text_equal(a->merchant, b->merchant) && !text_equal(a->id, b->id) &&
           same(approved_for(a), approved_for(b));
}

static bool
attempt_is_sound(const struct row_attempt *a, struct answer_rows *answer)
{
    if (text_is(a->operation, "verify") ? a->amount == 0 : a->amount > 0) return true;
    return fail(answer, "23514", "new row for relation \"attempt\" violates check constraint");
}

/* As one that is over. */
static bool
attempt_fits(const struct row_attempt *a, struct answer_rows *answer)
{
    if (!attempt_is_sound(a, answer)) return false;
    for (size_t i = 0; i < database_count(ROW_attempt); i++) {
        if (attempts_clash(a, database_nth(ROW_attempt, i)))
            return fail(answer, "23505",
                        "duplicate key value violates unique constraint"
                        " \"attempt_one_approved\"");
    }
    return true;
}

static bool
checks_hold(enum row_table table, const void *row)
{
    const struct row_payment_intent *const p = row;
    const struct row_charge *const c = row;
    const struct row_refund *const r = row;
    const struct row_balance_transaction *const t = row;
    const struct row_checkout_session *const s = row;
    switch (table) {
    case ROW_payment_intent:
        return p->amount > 0 && p->amount_capturable >= 0 && p->amount_received >= 0 &&
               p->amount_received + p->amount_capturable <= p->amount;
    case ROW_charge:
        return c->amount > 0 && c->amount_captured >= 0 && c->amount_captured <= c->amount &&
               c->amount_refunded >= 0 && c->amount_refunding >= 0 &&
               c->amount_refunded + c->amount_refunding <= c->amount;
    case ROW_refund: return r->amount > 0;
    case ROW_balance_transaction: return t->net == t->amount - t->fee;
    case ROW_checkout_session: return s->amount_total == NO_NUMBER || s->amount_total > 0;
    default: return true;
    }
}

static bool
row_fits(enum row_table table, const void *row, struct answer_rows *answer)
{
    if (!checks_hold(table, row))
        return fail(answer, "23514", "new row for relation \"%s\" violates check constraint",
                    table_find(table)->name);
    return true;
}

/* --- arrays in Postgres's binary format ------------------------------------------------------- */

struct reader {
    const uint8_t *at;
    int32_t left;
    char kind;
};

static uint32_t
number_32(const uint8_t *at)
{
    uint32_t big;
    memcpy(&big, at, sizeof big);
    return be32toh(big);
}

static struct reader
reader_of(const struct parameter *parameter, char kind)
{
    const uint8_t *const at = (const uint8_t *)parameter->at;
    if (!at) return (struct reader){NULL, 0, kind}; /* no array: nulls beside the others */
    assert(parameter->size >= 20 && number_32(at) == 1);
    return (struct reader){at + 20, (int32_t)number_32(at + 12), kind};
}

static struct text
next_bytes(struct reader *r)
{
    if (!r->at) return NO_TEXT;
    assert(r->left > 0);
    r->left--;
    const uint32_t size = number_32(r->at);
    r->at += 4;
    if (size == UINT32_MAX) return NO_TEXT;
    const struct text bytes = {(const char *)r->at, size};
    r->at += size;
    return bytes;
}

static int64_t
number_in(struct text bytes)
{
    int64_t value = 0;
    if (!bytes.at) return NO_NUMBER;
    if (bytes.size && (uint8_t)bytes.at[0] & 0x80 && bytes.size > 1) value = -1;
    for (size_t i = 0; i < bytes.size; i++)
        value = (int64_t)((uint64_t)value << 8 | (uint8_t)bytes.at[i]);
    return value;
}

static int64_t
next_number(struct reader *r)
{
    return number_in(next_bytes(r));
}

/* A column each, as the letters say. Returns how many rows there are. */
static size_t
readers_of(const struct parameter *parameters, const char *kinds, struct reader *readers)
{
    for (size_t i = 0; kinds[i]; i++)
        readers[i] = reader_of(&parameters[i], kinds[i]);
    assert(readers[0].at);
    return (size_t)readers[0].left;
}

static int64_t
parameter_number(const struct parameter *p)
{
    if (p->size < 0) return strtoll(p->at, NULL, 10);
    return number_in((struct text){p->at, (size_t)p->size});
}

static struct text
parameter_text(const struct parameter *p)
{
    if (!p->at) return NO_TEXT;
    return (struct text){p->at, p->size < 0 ? strlen(p->at) : (size_t)p->size};
}

/* --- answers ---------------------------------------------------------------------------------- */

struct writer {
    struct answer_rows *answer;
    size_t cap, at;
    bool binary;
};

static struct writer
answer_of(struct answer_rows *answer, size_t columns, size_t rows_max, bool binary)
{
    answer->columns = columns;
    answer->rows = 0;
    answer->cells = take(sizeof *answer->cells * columns * (rows_max + 1));
    return (struct writer){answer, rows_max, 0, binary};
}

static void
put_text(struct writer *w, struct text value)
{
    w->answer->cells[w->at++] =
        (struct cell){value.at ? value.at : "", value.at ? (int)value.size : -1};
    if (w->at % w->answer->columns == 0) w->answer->rows++;
    assert(w->answer->rows <= w->cap);
}

static void
put_number(struct writer *w, int64_t value)
{
    if (value == NO_NUMBER) {
        put_text(w, NO_TEXT);
        return;
    }
    char *const at = take(24);
    const uint64_t big = htobe64((uint64_t)value);
    if (w->binary) {
        memcpy(at, &big, sizeof big);
        put_text(w, (struct text){at, sizeof big});
        return;
    }
    char *first = at + 23; /* and behind it its NUL */
    uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do
        *--first = (char)('0' + left % 10);
    while (left /= 10);
    if (value < 0) *--first = '-';
    put_text(w, (struct text){first, (size_t)(at + 23 - first)});
}

/* --- statements on the tables of rows.def ----------------------------------------------------- */

static char
kind_of(enum column_kind kind)
{
    switch (kind) {
    case COLUMN_TEXT:
    case COLUMN_JSON: return 't';
    case COLUMN_BYTES: return 'y';
    case COLUMN_I64:
    case COLUMN_OPT: return 'l';
    case COLUMN_FLAG: return 'b';
    }
    return 't';
}

static void *
next_row(const struct table *t, struct reader *readers)
{
    char *const row = take(t->size);
    for (size_t i = 0; i < t->column_count; i++) {
        const struct text bytes = next_bytes(&readers[i]);
        void *const member = row + t->columns[i].offset;
        switch (t->columns[i].kind) {
        case COLUMN_TEXT:
        case COLUMN_JSON:
        case COLUMN_BYTES: *(struct text *)member = bytes; break;
        case COLUMN_I64:
        case COLUMN_OPT: *(int64_t *)member = number_in(bytes); break;
        case COLUMN_FLAG: *(bool *)member = number_in(bytes) == 1; break;
        }
    }
    return row;
}

static size_t
open_rows(const struct table *t, const struct parameter *parameters, struct reader *readers)
{
    for (size_t i = 0; i < t->column_count; i++)
        readers[i] = reader_of(&parameters[i], kind_of(t->columns[i].kind));
    return (size_t)readers[0].left;
}

static bool
insert_rows(const struct table *t, const struct parameter *parameters, struct change_log *log,
            struct answer_rows *answer)
{
    struct reader readers[TABLE_COLUMNS_MAX];
    for (size_t left = open_rows(t, parameters, readers); left--;) {
        void *const row = next_row(t, readers);
        if (find_row((enum row_table)t->number, row_merchant(row), row_id(row), NULL))
            return fail(answer, "23505",
                        "duplicate key value violates unique constraint \"%s_pkey\"", t->name);
        if (!row_fits((enum row_table)t->number, row, answer)) return false;
        add(log, &tables_kept.rows[t->number], keep_row(row));
        answer->changed++;
    }
    return true;
}

static bool
update_rows(const struct table *t, const struct parameter *parameters, struct change_log *log,
            struct answer_rows *answer)
{
    struct reader readers[TABLE_COLUMNS_MAX];
    for (size_t left = open_rows(t, parameters, readers); left--;) {
        void *const row = next_row(t, readers);
        size_t index = 0;
        const struct kept_row *kept =
            find_row((enum row_table)t->number, row_merchant(row), row_id(row), &index);
        if (!kept || row_version(kept->row) != row_version(row) - 1) continue;
        if (!row_fits((enum row_table)t->number, row, answer)) return false;
        replace(log, &tables_kept.rows[t->number], index, keep_row(row));
        answer->changed++;
    }
    return expect(answer, answer->changed, (size_t)parameter_number(&parameters[t->column_count]),
                  t->name);
}

static void
find_versions(const struct table *t, const struct parameter *parameters, struct answer_rows *answer)
{
    struct reader readers[2];
    const size_t count = readers_of(parameters, KINDS_FIND, readers);
    struct writer w = answer_of(answer, 3, count, true);
    for (size_t i = 0; i < count; i++) {
        const struct text merchant = next_bytes(&readers[0]), id = next_bytes(&readers[1]);
        const struct kept_row *kept = find_row((enum row_table)t->number, merchant, id, NULL);
        if (!kept || (t->number == ROW_attempt && is_open(kept->row))) continue;
        put_number(&w, (int64_t)i + 1);
        put_number(&w, row_version(kept->row));
        put_text(&w, t->number == ROW_attempt ? ((const struct row_attempt *)kept->row)->state
                                              : NO_TEXT);
    }
}

/* In text, as pg_row reads it. */
static void
put_row(struct writer *w, const struct table *t, const char *row)
{
    for (size_t i = 0; i < t->column_count; i++) {
        const void *const member = row + t->columns[i].offset;
        switch (t->columns[i].kind) {
        case COLUMN_TEXT:
        case COLUMN_JSON:
        case COLUMN_BYTES: put_text(w, *(const struct text *)member); break;
        case COLUMN_I64:
        case COLUMN_OPT: put_number(w, *(const int64_t *)member); break;
        case COLUMN_FLAG: put_text(w, *(const bool *)member ? TEXT("t") : TEXT("f")); break;
        }
    }
}

static bool
is_due(const struct row_balance_transaction *row, int64_t now_s)
{
    return text_is(row->status, "pending") && row->available_on <= now_s;
}

static int64_t
balance_of(struct text merchant, int64_t account)
{
    int64_t sum = 0; /* there is one currency in these plays */
    for (size_t i = 0; i < tables_kept.balances.count; i++) {
        const struct kept_balance *b = KEPT(tables_kept.balances, kept_balance, i);
        if (b->account == account && text_equal(b->merchant, merchant)) sum -= b->amount;
    }
    return sum;
}

/* What the last row of a merchant bears: "usd available pending", as they will be. */
static struct text
balances_when_settled(struct text merchant, int64_t now_s)
{
    int64_t net = 0;
    for (size_t i = 0; i < database_count(ROW_balance_transaction); i++) {
        const struct row_balance_transaction *row = database_nth(ROW_balance_transaction, i);
        if (is_due(row, now_s) && text_equal(row->merchant, merchant)) net += row->net;
    }
    return keep_format("usd %" PRId64 " %" PRId64, balance_of(merchant, 3) + net,
                       balance_of(merchant, 2) - net);
}

static int
by_time(const void *a, const void *b)
{
    const struct row_balance_transaction *x = *(void *const *)a, *y = *(void *const *)b;
    if (x->available_on != y->available_on) return x->available_on < y->available_on ? -1 : 1;
    return text_compare(x->id, y->id);
}

static void
find_due(const struct parameter *parameters, struct answer_rows *answer)
{
    const struct table *const t = table_find(ROW_balance_transaction);
    const size_t all = database_count(ROW_balance_transaction);
    const int64_t now_s = parameter_number(&parameters[0]);
    const struct row_balance_transaction **const due = take((all + 1) * sizeof *due);
    size_t count = 0;
    for (size_t i = 0; i < all; i++)
        if (is_due(database_nth(ROW_balance_transaction, i), now_s))
            due[count++] = database_nth(ROW_balance_transaction, i);
    qsort(due, count, sizeof *due, by_time);
    struct writer w = answer_of(answer, t->column_count + 2, count, false);
    for (size_t i = 0; i < count; i++) {
        const struct row_merchant *m =
            database_row(ROW_merchant, due[i]->merchant, due[i]->merchant);
        bool last = true;
        for (size_t j = i + 1; j < count; j++)
            last &= !text_equal(due[j]->merchant, due[i]->merchant);
        put_row(&w, t, (const char *)due[i]);
        put_text(&w, last ? balances_when_settled(due[i]->merchant, now_s) : NO_TEXT);
        put_text(&w, m ? m->api_version : NO_TEXT);
    }
}

/* --- the ledger's other statements ------------------------------------------------------------ */

static bool
do_lead(const struct parameter *p, const void *session, struct change_log *log,
        struct answer_rows *answer)
{
    struct kept_leader *leader = COPY_OF(kept_leader, database_leader());
    leader->epoch++;
    leader->holder = parameter_text(&p[0]);
    leader->backend = session;
    replace(log, &tables_kept.leader, 0, leader);
    struct writer w = answer_of(answer, 5, 1, true);
    put_number(&w, leader->epoch);
    put_number(&w, leader->last_batch);
    put_number(&w, leader->event_head);
    put_number(&w, leader->transaction_head);
    put_text(&w, TEXT("simulated"));
    return true;
}

/* The world has one. */
static void
do_partition(const struct parameter *p, struct answer_rows *answer)
{
    struct writer w = answer_of(answer, 2, 1, false);
    put_text(&w, parameter_text(&p[0]));
    put_text(&w, parameter_text(&p[1]));
}

static bool
do_fence(const struct parameter *p, struct change_log *log, struct answer_rows *answer)
{
    struct kept_leader *leader = COPY_OF(kept_leader, database_leader());
    const bool follows =
        leader->last_batch == parameter_number(&p[1]) - 1 || FLORIN_MUTANT(fence_counts_not);
    if (leader->epoch != parameter_number(&p[0]) || !follows)
        return expect(answer, 0, 1, "ledger_leader");
    leader->last_batch = parameter_number(&p[1]);
    leader->event_head = parameter_number(&p[2]);
    leader->transaction_head = parameter_number(&p[3]);
    leader->open_until = parameter_number(&p[4]);
    replace(log, &tables_kept.leader, 0, leader);
    return true;
}

static void
find_slots(struct answer_rows *answer)
{
    struct writer w = answer_of(answer, 4, tables_kept.slots.count, true);
    for (size_t i = 0; i < tables_kept.slots.count; i++) {
        const struct kept_slot *s = KEPT(tables_kept.slots, kept_slot, i);
        put_number(&w, s->slot);
        put_number(&w, s->epoch);
        put_text(&w, s->owner);
        put_number(&w, s->incarnation);
    }
}

static void
take_slots(const struct parameter *p, struct change_log *log)
{
    struct reader r[4];
    for (size_t left = readers_of(p, KINDS_SLOTS_TAKE, r); left--;) {
        struct kept_slot *slot = take(sizeof *slot);
        slot->slot = next_number(&r[0]);
        slot->epoch = next_number(&r[1]);
        slot->owner = next_bytes(&r[2]);
        slot->incarnation = next_number(&r[3]);
        size_t i = 0;
        while (i < tables_kept.slots.count &&
               KEPT(tables_kept.slots, kept_slot, i)->slot != slot->slot)
            i++;
        if (i < tables_kept.slots.count)
            replace(log, &tables_kept.slots, i, slot);
        else
            add(log, &tables_kept.slots, slot);
    }
}

const struct kept_event *
database_event(int64_t sequence)
{
    for (size_t i = tables_kept.events.count; i--;)
        if (KEPT(tables_kept.events, kept_event, i)->sequence == sequence)
            return KEPT(tables_kept.events, kept_event, i);
    return NULL;
}

struct text
database_answer(const struct kept_key *k)
{
    return k->told == NO_NUMBER ? k->body : database_event(k->told)->data;
}

static bool
is_answered(const struct kept_key *k)
{
    const bool answered = k->status != NO_NUMBER;
    return (k->body.at != NULL) + (k->told != NO_NUMBER) == answered;
}

static void
find_keys(const struct parameter *p, struct answer_rows *answer)
{
    struct reader r[2];
    const size_t count = readers_of(p, KINDS_KEY_FIND, r);
    struct writer w = answer_of(answer, 9, count, true);
    for (size_t i = 0; i < count; i++) {
        const struct text merchant = next_bytes(&r[0]);
        const struct kept_key *k = database_key(merchant, next_bytes(&r[1]));
        if (!k) continue;
        put_number(&w, (int64_t)i + 1);
        put_text(&w, k->request_hash);
        put_text(&w, k->path);
        put_text(&w, k->command);
        put_text(&w, k->request);
        put_number(&w, k->status);
        put_text(&w, k->body);
        const struct kept_event *const e = k->told == NO_NUMBER ? NULL : database_event(k->told);
        put_text(&w, e ? e->packed : NO_TEXT);
        put_number(&w, e ? e->nth : NO_NUMBER);
    }
}

static bool
claim_keys(const struct parameter *p, struct change_log *log, struct answer_rows *answer)
{
    struct reader r[10];
    for (size_t left = readers_of(p, KINDS_KEY_CLAIM, r); left--;) {
        struct kept_key *k = take(sizeof *k);
        struct text *const texts[] = {&k->merchant, &k->key,     &k->request_hash,
                                      &k->path,     &k->command, &k->request};
        for (size_t i = 0; i < 6; i++)
            *texts[i] = next_bytes(&r[i]);
        k->status = next_number(&r[6]);
        k->body = next_bytes(&r[7]);
        k->created = next_number(&r[8]);
        k->told = next_number(&r[9]);
        if (database_key(k->merchant, k->key))
            return fail(answer, "23505",
                        "duplicate key value violates unique constraint \"idempotency_pkey\"");
        if (!is_answered(k))
            return fail(answer, "23514",
                        "new row for relation \"idempotency\" violates check constraint");
        add(log, &tables_kept.keys, k);
    }
    return true;
}

static bool
answer_keys(const struct parameter *p, struct change_log *log, struct answer_rows *answer)
{
    struct reader r[5];
    for (size_t left = readers_of(p, KINDS_KEY_ANSWER, r); left--;) {
        const struct text merchant = next_bytes(&r[0]), key = next_bytes(&r[1]);
        const int64_t status = next_number(&r[2]);
        const struct text body = next_bytes(&r[3]);
        const int64_t told = next_number(&r[4]);
        for (size_t i = 0; i < tables_kept.keys.count; i++) {
            struct kept_key *k = tables_kept.keys.at[i];
            if (!text_equal(k->key, key) || !text_equal(k->merchant, merchant)) continue;
            if (k->status != NO_NUMBER) continue;
            k = COPY_OF(kept_key, k);
            k->status = status;
            k->body = body;
            k->told = told;
            replace(log, &tables_kept.keys, i, k);
            answer->changed++;
        }
    }
    return expect(answer, answer->changed, (size_t)parameter_number(&p[5]), "idempotency");
}

/* --- attempts under way ----------------------------------------------------------------------- */

static struct kept_place *
find_place(int64_t number, size_t *index)
{
    for (*index = 0; *index < tables_kept.places.count; ++*index) {
        struct kept_place *const place = tables_kept.places.at[*index];
        if (place->place == number) return place;
    }
    return NULL;
}

static const struct row_attempt *
attempt_at(const struct kept_place *place)
{
    return place->id.at ? database_row(ROW_attempt, place->merchant, place->id) : NULL;
}

bool
database_is_looked_after(const struct row_attempt *attempt)
{
    for (size_t i = 0; is_open(attempt) && i < tables_kept.places.count; i++) {
        const struct kept_place *const place = KEPT(tables_kept.places, kept_place, i);
        if (place->place <= database_leader()->open_until && attempt_at(place) == attempt)
            return true;
    }
    return false;
}

static void
make_places(const struct parameter *p, struct change_log *log)
{
    for (int64_t i = parameter_number(&p[0]); i <= parameter_number(&p[1]); i++)
        add(log, &tables_kept.places, NEW(kept_place, .place = i));
}

/* Nothing but the ledger keeps two attempts from being under way for one payment, or one twice: the
 * run breaks where it happens. */
static void
must_be_alone(const struct row_attempt *row)
{
    for (size_t i = 0; i < database_count(ROW_attempt); i++) {
        const struct row_attempt *const other = database_nth(ROW_attempt, i);
        if (text_equal(other->merchant, row->merchant) && same(open_for(other), open_for(row)))
            violation("J14 two attempts are under way: %.*s and %.*s", (int)other->id.size,
                      other->id.at, (int)row->id.size, row->id.at);
    }
    const struct row_attempt *const before = database_row(ROW_attempt, row->merchant, row->id);
    if (before && is_open(before))
        violation("J14 %.*s begins twice", (int)row->id.size, row->id.at);
}

static bool
begin_attempts(const struct table *t, const struct parameter *p, struct change_log *log,
               struct answer_rows *answer)
{
    struct reader readers[TABLE_COLUMNS_MAX], more[4];
    const char *const kinds = "iyty";
    for (size_t i = 0; i < 4; i++)
        more[i] = reader_of(&p[t->column_count + i], kinds[i]);
    for (size_t left = open_rows(t, p, readers); left--;) {
        struct row_attempt *const row = next_row(t, readers);
        size_t index = 0;
        const int64_t number = next_number(&more[0]);
        const struct kept_place *const before = find_place(number, &index);
        struct kept_place *const place =
            NEW(kept_place, number, row->created, row->merchant, row->id, row->key,
                next_bytes(&more[1]), next_bytes(&more[2]), next_bytes(&more[3]), row->request);
        if (!before || (attempt_at(before) && is_open(attempt_at(before)))) continue;
        if (!attempt_is_sound(row, answer)) return false;
        must_be_alone(row);
        if (database_row(ROW_attempt, row->merchant, row->id)) continue;
        replace(log, &tables_kept.places, index, place);
        add(log, &tables_kept.rows[ROW_attempt], keep_row(row));
        answer->changed++;
    }
    return expect(answer, answer->changed, (size_t)parameter_number(&p[t->column_count + 4]),
                  "open_attempt");
}

static bool
change_attempts(const struct table *t, const struct parameter *p, bool end, struct change_log *log,
                struct answer_rows *answer)
{
    struct reader readers[TABLE_COLUMNS_MAX];
    struct reader places = reader_of(&p[t->column_count], 'i');
    for (size_t left = open_rows(t, p, readers); left--;) {
        struct row_attempt *const row = next_row(t, readers);
        size_t at = 0, index = 0;
        const struct kept_place *const place = find_place(next_number(&places), &at);
        const struct row_attempt *const before = place ? attempt_at(place) : NULL;
        if (!before || !is_open(before) || !text_equal(before->id, row->id) ||
            !text_equal(before->merchant, row->merchant) || before->version != row->version - 1 ||
            !attempt_may_go(attempt_state_named(before->state), attempt_state_named(row->state)))
            continue;
        if (end ? !attempt_fits(row, answer) : !attempt_is_sound(row, answer)) return false;
        (void)find_row(ROW_attempt, row->merchant, row->id, &index);
        replace(log, &tables_kept.rows[ROW_attempt], index, keep_row(row));
        answer->changed++;
    }
    return expect(answer, answer->changed, (size_t)parameter_number(&p[t->column_count + 1]),
                  end ? "attempt" : "open_attempt");
}

static bool
settle_keys(const struct parameter *p, struct change_log *log, struct answer_rows *answer)
{
    struct reader r[6];
    for (size_t left = readers_of(p, KINDS_KEY_SETTLE, r); left--;) {
        size_t index = 0;
        const struct kept_place *const place = find_place(next_number(&r[0]), &index);
        const struct text merchant = next_bytes(&r[1]), key = next_bytes(&r[2]);
        const int64_t status = next_number(&r[3]);
        const struct text body = next_bytes(&r[4]);
        const int64_t told = next_number(&r[5]);
        if (!place || !place->command.at || !same(place->key, key) ||
            !same(place->merchant, merchant))
            continue;
        if (database_key(merchant, key))
            return fail(answer, "23505",
                        "duplicate key value violates unique constraint \"idempotency_pkey\"");
        add(log, &tables_kept.keys,
            NEW(kept_key, .merchant = merchant, .key = key, .request_hash = place->request_hash,
                .path = place->path, .command = place->command, .request = place->request,
                .body = body, .status = status, .created = place->created, .told = told));
        answer->changed++;
    }
    return expect(answer, answer->changed, (size_t)parameter_number(&p[6]), "idempotency");
}

static void
find_open_attempts(struct answer_rows *answer)
{
    struct writer w = answer_of(answer, 12, tables_kept.places.count + 1, true);
    for (size_t i = 0; i < tables_kept.places.count; i++) {
        const struct kept_place *const place = KEPT(tables_kept.places, kept_place, i);
        const struct row_attempt *const a = attempt_at(place);
        if (!a || !is_open(a)) continue;
        const bool holds_key = place->command.at && !database_key(place->merchant, place->key);
        put_number(&w, (int64_t)tables_kept.places.count);
        put_number(&w, place->place);
        put_text(&w, a->merchant);
        put_text(&w, a->id);
        put_number(&w, a->version);
        put_text(&w, a->state);
        put_text(&w, a->operation);
        put_text(&w, a->payment_intent);
        put_text(&w, a->setup_intent);
        put_text(&w, a->charge);
        put_text(&w, holds_key ? place->key : NO_TEXT);
        put_text(&w, place->command);
    }
    if (answer->rows) return;
    put_number(&w, (int64_t)tables_kept.places.count);
    for (int i = 1; i < 12; i++)
        put_text(&w, NO_TEXT);
}

static void
unpack(struct kept_event *e)
{
    const size_t cap = event_unpack_bound(e->packed);
    if (!event_unpack(e->packed, (uint64_t)e->nth, take(cap + 1), cap, &e->data, &e->previous))
        e->data = e->previous = NO_TEXT;
}

static bool
is_there(const struct kept_event *e)
{
    for (size_t i = tables_kept.events.count; i--;) {
        const struct kept_event *other = KEPT(tables_kept.events, kept_event, i);
        if (other->sequence == e->sequence ||
            (text_equal(other->id, e->id) && text_equal(other->merchant, e->merchant)))
            return true;
    }
    return false;
}

static bool
add_events(const struct parameter *p, struct change_log *log, struct answer_rows *answer)
{
    struct reader r[11];
    for (size_t left = readers_of(p, KINDS_OUTBOX, r); left--;) {
        struct kept_event row;
        row.first = next_number(&r[0]);
        const int64_t count = next_number(&r[1]);
        row.id = next_bytes(&r[2]);
        row.merchant = next_bytes(&r[3]);
        struct text types = next_bytes(&r[4]), objects = next_bytes(&r[5]);
        row.packed = next_bytes(&r[6]);
        row.created = next_number(&r[7]);
        row.api_version = next_bytes(&r[8]);
        row.request = next_bytes(&r[9]);
        row.key = next_bytes(&r[10]);
        for (int64_t n = 0; n < count; n++) {
            struct kept_event *const e = take(sizeof *e);
            *e = row;
            e->sequence = row.first + n;
            e->nth = n + 1;
            if (n) e->id = id_beside(take(ID_SIZE_MAX + 1), row.id, (unsigned)n);
            e->type = text_take_word(&types);
            e->object = text_take_word(&objects);
            unpack(e);
            if (is_there(e))
                return fail(answer, "23505",
                            "duplicate key value violates unique constraint \"outbox_pkey\"");
            add(log, &tables_kept.events, e);
        }
    }
    return true;
}

/* The check ledger_transaction_must_balance: the entries from `first` on are one transaction's. */
static bool
lines_balance(size_t first, struct answer_rows *answer)
{
    const struct shelf *entries = &tables_kept.entries;
    for (size_t i = first; i < entries->count; i++) {
        const struct kept_entry *e = KEPT(*entries, kept_entry, i);
        int64_t sum = 0;
        for (size_t j = first; j < entries->count; j++) {
            const struct kept_entry *other = KEPT(*entries, kept_entry, j);
            if (text_equal(other->currency, e->currency)) sum += other->amount;
        }
        if (sum)
            return fail(answer, "FL002",
                        "ledger transaction %" PRId64 " is unbalanced: its %.*s lines add up to "
                        "%" PRId64,
                        e->transaction, (int)e->currency.size, e->currency.at, sum);
    }
    return true;
}

/* What the view entry shows of a transaction's lines. */
static bool
add_entries(const struct kept_transaction *t, struct text currency, int64_t count,
            struct reader *accounts, struct reader *amounts, struct change_log *log,
            struct answer_rows *answer)
{
    const size_t first = tables_kept.entries.count;
    bool fits = count > 0 && (currency.size == 3 || currency.size == 3 * (size_t)count);
    for (int64_t line = 1; line <= count; line++) {
        struct kept_entry *e = take(sizeof *e);
        const int64_t account = next_number(accounts);
        e->transaction = t->id;
        e->line = line;
        e->account = account < 0 ? -account : account;
        e->merchant = account < 0 ? t->merchant : TEXT("");
        e->currency =
            currency.size == 3 ? currency : (struct text){currency.at + 3 * (line - 1), 3};
        e->amount = next_number(amounts);
        fits &= account != 0 && e->amount != 0;
        if (fits) add(log, &tables_kept.entries, e);
    }
    if (!fits)
        return fail(answer, "23514",
                    "new row for relation \"ledger_transaction\" violates check constraint "
                    "\"ledger_transaction_lines\"");
    return lines_balance(first, answer);
}

static bool
add_transactions(const struct parameter *p, struct change_log *log, struct answer_rows *answer)
{
    struct reader r[10];
    int64_t lines = 0;
    for (size_t left = readers_of(p, KINDS_TRANSACTION, r); left--;) {
        struct kept_transaction *t = take(sizeof *t);
        t->id = next_number(&r[0]);
        t->merchant = next_bytes(&r[1]);
        t->kind = next_bytes(&r[2]);
        t->source = next_bytes(&r[3]);
        t->created = next_number(&r[4]);
        const struct text currency = next_bytes(&r[5]);
        const int64_t first = next_number(&r[6]), last = next_number(&r[7]);
        assert(first == lines + 1 && last >= lines); /* no line is left out, none is taken twice */
        lines = last;
        if (!add_entries(t, currency, last - first + 1, &r[8], &r[9], log, answer)) return false;
        for (size_t i = tables_kept.transactions.count; i--;) {
            const struct kept_transaction *other =
                KEPT(tables_kept.transactions, kept_transaction, i);
            if (other->id == t->id)
                return fail(answer, "23505",
                            "duplicate key value violates unique constraint "
                            "\"ledger_transaction_pkey\"");
            if (text_equal(other->source, t->source) && text_equal(other->kind, t->kind))
                return fail(answer, "23505",
                            "duplicate key value violates unique constraint "
                            "\"ledger_transaction_source_kind_key\"");
        }
        add(log, &tables_kept.transactions, t);
    }
    return true;
}

static void
add_to_balances(const struct parameter *p, struct change_log *log)
{
    struct reader r[4];
    for (size_t left = readers_of(p, KINDS_BALANCE, r); left--;) {
        struct kept_balance *b = take(sizeof *b);
        b->merchant = next_bytes(&r[0]);
        b->account = next_number(&r[1]);
        b->currency = next_bytes(&r[2]);
        b->amount = next_number(&r[3]);
        size_t i = 0;
        for (; i < tables_kept.balances.count; i++) {
            const struct kept_balance *other = KEPT(tables_kept.balances, kept_balance, i);
            if (other->account == b->account && text_equal(other->merchant, b->merchant) &&
                text_equal(other->currency, b->currency))
                break;
        }
        if (i < tables_kept.balances.count) {
            b->amount += KEPT(tables_kept.balances, kept_balance, i)->amount;
            replace(log, &tables_kept.balances, i, b);
        } else {
            add(log, &tables_kept.balances, b);
        }
    }
}

/* --- webhooks --------------------------------------------------------------------------------- */

#define EACH_DELIVERY(d)                                                     \
    for (size_t d##_at = 0; d##_at < tables_kept.deliveries.count; d##_at++) \
        for (const struct kept_delivery *d = tables_kept.deliveries.at[d##_at]; d; d = NULL)

/* '{a,"b",NULL}': an array as text. The next element; false at the end. */
static bool
next_element(const char **at, struct text *element)
{
    const char *from = *at;
    if (*from == '{' || *from == ',') from++;
    if (*from == '}' || !*from) return false;
    if (*from != '"') {
        const size_t size = strcspn(from, ",}");
        *element =
            size == 4 && memcmp(from, "NULL", 4) == 0 ? NO_TEXT : keep((struct text){from, size});
        *at = from + size;
        return true;
    }
    char *const out = take(strlen(from) + 1);
    size_t size = 0;
    for (from++; *from && *from != '"'; from++) {
        if (*from == '\\') from++;
        out[size++] = *from;
    }
    *element = (struct text){out, size};
    *at = from + 1;
    return true;
}

static int64_t
element_number(struct text element)
{
    return element.at ? strtoll(element.at, NULL, 10) : NO_NUMBER;
}

static bool
pending(const struct kept_delivery *d)
{
    return text_is(d->state, "pending");
}

static struct kept_delivery *
change_delivery(size_t index, struct change_log *log)
{
    struct kept_delivery *d = COPY_OF(kept_delivery, tables_kept.deliveries.at[index]);
    d->written = ++deliveries_written;
    replace(log, &tables_kept.deliveries, index, d);
    return d;
}

static void
release_leases(const struct parameter *p, struct change_log *log, struct answer_rows *answer)
{
    const struct text others = parameter_text(&p[0]), mine = parameter_text(&p[2]);
    const bool pattern = others.size && others.at[others.size - 1] == '%';
    EACH_DELIVERY(d)
    {
        if (!pending(d) || !d->lease_owner.at || text_equal(d->lease_owner, mine)) continue;
        const struct text prefix = {others.at, others.size - pattern};
        if (pattern ? !(d->lease_owner.size >= prefix.size &&
                        memcmp(d->lease_owner.at, prefix.at, prefix.size) == 0)
                    : !text_equal(d->lease_owner, others))
            continue;
        struct kept_delivery *changed = change_delivery(d_at, log);
        changed->next_ms = parameter_number(&p[1]);
        changed->lease_owner = NO_TEXT;
        changed->lease_until_ms = NO_NUMBER;
        answer->changed++;
    }
}

static bool
has_endpoint(struct text merchant)
{
    for (size_t i = database_count(ROW_webhook_endpoint); i--;) {
        const struct row_webhook_endpoint *e = database_nth(ROW_webhook_endpoint, i);
        if (text_equal(e->merchant, merchant) && text_is(e->status, "enabled") && !e->deleted)
            return true;
    }
    return false;
}

static int64_t
cursor(void)
{
    return KEPT(tables_kept.dispatch, kept_dispatch, 0)->sequence;
}

static void
move_cursor(int64_t to, struct change_log *log)
{
    replace(log, &tables_kept.dispatch, 0, NEW(kept_dispatch, to));
}

/* Moves the cursor, too, when nobody wants what is found and it stands where the asker knew it to.
 */
static void
find_news(const struct parameter *p, struct change_log *log, struct answer_rows *answer)
{
    const int64_t from = cursor();
    int64_t last = 0;
    bool wanted = false;
    for (size_t i = 0; i < tables_kept.events.count; i++)
        if (KEPT(tables_kept.events, kept_event, i)->sequence > last)
            last = KEPT(tables_kept.events, kept_event, i)->sequence;
    if (last > from + parameter_number(&p[0])) last = from + parameter_number(&p[0]);
    struct writer w = answer_of(answer, 8, tables_kept.events.count + 1, false);
    for (size_t i = 0; i < tables_kept.events.count; i++) {
        const struct kept_event *e = KEPT(tables_kept.events, kept_event, i);
        if (e->sequence <= from || e->sequence > last || !has_endpoint(e->merchant)) continue;
        wanted = true;
        put_number(&w, from);
        put_number(&w, last);
        put_number(&w, 0);
        put_number(&w, e->sequence);
        put_text(&w, e->id);
        put_text(&w, e->merchant);
        put_text(&w, e->type);
        put_number(&w, e->created);
    }
    if (wanted) return;
    const bool moves = last > from && (!p[1].at || parameter_number(&p[1]) == from);
    if (moves) move_cursor(last, log);
    put_number(&w, from);
    put_number(&w, last);
    put_number(&w, moves);
    for (int column = 3; column < 8; column++)
        put_text(&w, NO_TEXT);
}

/* In the order of their merchants, as rows stand in play.c. */
static void
find_endpoints(const struct parameter *p, struct answer_rows *answer)
{
    const size_t count = database_count(ROW_webhook_endpoint);
    struct writer w = answer_of(answer, 4, count, false);
    for (size_t i = 0; i < count; i++) {
        const struct row_webhook_endpoint *e = database_nth(ROW_webhook_endpoint, i);
        struct text merchant;
        bool wanted = false;
        for (const char *at = p[0].at; !wanted && next_element(&at, &merchant);)
            wanted = text_equal(merchant, e->merchant);
        if (!wanted || !text_is(e->status, "enabled") || e->deleted) continue;
        put_text(&w, e->merchant);
        put_text(&w, e->id);
        put_number(&w, e->created);
        put_text(&w, e->enabled_events);
    }
}

/* The cursor and the deliveries; neither when the cursor stands elsewhere. */
static void
dispatch(const struct parameter *p, struct change_log *log, struct answer_rows *answer)
{
    const char *at[4] = {p[0].at, p[1].at, p[2].at, p[3].at};
    const bool moves = cursor() == parameter_number(&p[5]);
    struct text sequence;
    if (moves) replace(log, &tables_kept.dispatch, 0, NEW(kept_dispatch, parameter_number(&p[6])));
    while (moves && next_element(&at[0], &sequence)) {
        struct kept_delivery *d = take(sizeof *d);
        bool there = next_element(&at[1], &d->endpoint) && next_element(&at[2], &d->merchant) &&
                     next_element(&at[3], &d->event);
        assert(there);
        d->sequence = element_number(sequence);
        d->state = TEXT("pending");
        d->written = ++deliveries_written;
        d->next_ms = parameter_number(&p[4]);
        d->lease_until_ms = d->last_status = NO_NUMBER;
        there = false;
        EACH_DELIVERY(other)
        there |= other->sequence == d->sequence && text_equal(other->endpoint, d->endpoint);
        if (!there) add(log, &tables_kept.deliveries, d);
    }
    struct writer w = answer_of(answer, 1, 1, false);
    put_number(&w, moves);
}

static size_t
delivery_at(int64_t sequence, struct text endpoint)
{
    size_t at = 0;
    for (; at < tables_kept.deliveries.count; at++) {
        const struct kept_delivery *d = tables_kept.deliveries.at[at];
        if (d->sequence == sequence && text_equal(d->endpoint, endpoint)) break;
    }
    return at;
}

static const struct kept_event *
event_of(const struct row_resend *wish)
{
    for (size_t i = 0; i < tables_kept.events.count; i++) {
        const struct kept_event *e = KEPT(tables_kept.events, kept_event, i);
        if (text_equal(e->id, wish->event) && text_equal(e->merchant, wish->merchant)) return e;
    }
    return NULL;
}

bool
database_granted(const struct row_resend *wish)
{
    const struct kept_event *e = event_of(wish);
    const size_t at = e ? delivery_at(e->sequence, wish->endpoint) : SIZE_MAX;
    if (at >= tables_kept.deliveries.count) return false;
    const struct kept_delivery *d = tables_kept.deliveries.at[at];
    return d->resend.at && text_compare(d->resend, wish->id) >= 0;
}

/* Event by event, endpoint by endpoint, the last wish first. */
static int
by_event(const void *a, const void *b)
{
    const struct row_resend *x = *(void *const *)a, *y = *(void *const *)b;
    const int64_t one = event_of(x)->sequence, other = event_of(y)->sequence;
    const int endpoints = text_compare(x->endpoint, y->endpoint);
    if (one != other) return one < other ? -1 : 1;
    return endpoints ? endpoints : text_compare(y->id, x->id);
}

/* RETURNING endpoint. */
static void
grant_wishes(const struct parameter *p, struct change_log *log, struct answer_rows *answer)
{
    const int64_t from = parameter_number(&p[0]), now_ms = parameter_number(&p[1]);
    const int64_t dispatched = KEPT(tables_kept.dispatch, kept_dispatch, 0)->sequence;
    const size_t all = database_count(ROW_resend);
    const struct row_resend **const wishes = take((all + 1) * sizeof *wishes);
    size_t count = 0;
    for (size_t i = 0; i < all; i++) {
        const struct row_resend *wish = database_nth(ROW_resend, i);
        const struct kept_event *e = event_of(wish);
        if (e && wish->created >= from && e->sequence <= dispatched && !database_granted(wish))
            wishes[count++] = wish;
    }
    qsort(wishes, count, sizeof *wishes, by_event);
    struct writer w = answer_of(answer, 1, count, false);
    for (size_t i = 0; i < count; i++) {
        const struct kept_event *e = event_of(wishes[i]);
        if (database_granted(wishes[i])) continue; /* by the last one for the same */
        const size_t at = delivery_at(e->sequence, wishes[i]->endpoint);
        struct kept_delivery *d;
        if (at < tables_kept.deliveries.count) {
            d = change_delivery(at, log);
            if (d->lease_until_ms == NO_NUMBER || d->lease_until_ms <= now_ms) d->next_ms = now_ms;
        } else {
            d = NEW(kept_delivery, .sequence = e->sequence, .next_ms = now_ms,
                    .endpoint = wishes[i]->endpoint, .merchant = wishes[i]->merchant,
                    .event = wishes[i]->event, .written = ++deliveries_written,
                    .lease_until_ms = NO_NUMBER, .last_status = NO_NUMBER);
            add(log, &tables_kept.deliveries, d);
        }
        d->state = TEXT("pending");
        d->resend = wishes[i]->id;
        put_text(&w, d->endpoint);
        answer->changed++;
    }
}

/* Each endpoint once, in its order, with the time of its first delivery. */
static void
scan(const struct parameter *p, struct answer_rows *answer)
{
    struct text after = parameter_text(&p[0]);
    const int64_t limit = parameter_number(&p[1]);
    struct writer w = answer_of(answer, 2, tables_kept.deliveries.count, false);
    while ((int64_t)answer->rows < limit) {
        struct text next = NO_TEXT;
        int64_t due_ms = INT64_MAX;
        EACH_DELIVERY(d)
        if (pending(d) && text_compare(d->endpoint, after) > 0 &&
            (!next.at || text_compare(d->endpoint, next) < 0))
            next = d->endpoint;
        if (!next.at) return;
        EACH_DELIVERY(d)
        if (pending(d) && text_equal(d->endpoint, next) && d->next_ms < due_ms) due_ms = d->next_ms;
        put_text(&w, next);
        put_number(&w, due_ms);
        after = next;
    }
}

/* As Postgres writes a bytea. */
static struct text
in_hex(struct text bytes)
{
    char *const hex = take(2 * bytes.size + 3);
    memcpy(hex, "\\x", 2);
    for (size_t i = 0; i < bytes.size; i++)
        sprintf(hex + 2 + 2 * i, "%02x", (uint8_t)bytes.at[i]);
    return (struct text){hex, 2 * bytes.size + 2};
}

static void
tell_leased(struct writer *w, const struct kept_delivery *d)
{
    const struct kept_event *e = database_event(d->sequence);
    const struct row_webhook_endpoint *endpoint =
        database_row(ROW_webhook_endpoint, d->merchant, d->endpoint);
    int64_t left = 0;
    EACH_DELIVERY(other)
    left += text_equal(other->event, d->event) && !text_is(other->state, "delivered");
    put_number(w, d->sequence);
    put_text(w, d->endpoint);
    put_number(w, d->tries);
    put_text(w, e->id);
    put_text(w, e->type);
    put_text(w, in_hex(e->packed));
    put_number(w, e->nth);
    put_text(w, e->request);
    put_text(w, e->key);
    put_number(w, e->created);
    put_text(w, endpoint->url);
    put_text(w, endpoint->secret);
    put_text(w, text_is(endpoint->status, "enabled") && !endpoint->deleted ? TEXT("t") : TEXT("f"));
    put_number(w, left);
    put_text(w, endpoint->api_version.at ? endpoint->api_version : e->api_version);
}

static bool
comes_before(const struct kept_delivery *a, const struct kept_delivery *b)
{
    return a->next_ms < b->next_ms || (a->next_ms == b->next_ms && a->written < b->written);
}

static int
by_sequence(const void *a, const void *b)
{
    const struct kept_delivery *x = *(void *const *)a, *y = *(void *const *)b;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static void
lease(const struct parameter *p, struct change_log *log, struct answer_rows *answer)
{
    const int64_t now_ms = parameter_number(&p[2]), until_ms = parameter_number(&p[4]);
    const struct text owner = keep(parameter_text(&p[3]));
    const char *at[2] = {p[0].at, p[1].at};
    struct text endpoint, count;
    const size_t all = tables_kept.deliveries.count;
    const struct kept_delivery **const leased = take((all + 1) * sizeof *leased);
    size_t leases = 0;
    while (next_element(&at[0], &endpoint) && next_element(&at[1], &count))
        for (int64_t wanted = element_number(count); wanted > 0; wanted--) {
            size_t first = SIZE_MAX;
            EACH_DELIVERY(d)
            if (pending(d) && text_equal(d->endpoint, endpoint) && d->next_ms <= now_ms &&
                (first == SIZE_MAX ||
                 comes_before(d, KEPT(tables_kept.deliveries, kept_delivery, first))))
                first = d_at;
            if (first == SIZE_MAX) break;
            struct kept_delivery *d = change_delivery(first, log);
            d->lease_owner = owner;
            d->lease_until_ms = d->next_ms = until_ms;
            leased[leases++] = d;
        }
    qsort(leased, leases, sizeof *leased, by_sequence);
    struct writer w = answer_of(answer, 15, leases, false);
    for (size_t i = 0; i < leases; i++)
        tell_leased(&w, leased[i]);
}

static void
mark(const struct parameter *p, struct change_log *log, struct answer_rows *answer)
{
    const struct text owner = parameter_text(&p[0]);
    const char *at[10];
    struct text in[10];
    int64_t marked = 0;
    for (int i = 0; i < 10; i++)
        at[i] = p[1 + i].at;
    while (next_element(&at[0], &in[0])) {
        for (int i = 1; i < 10; i++)
            if (!next_element(&at[i], &in[i])) assert(!"arrays are of one length");
        EACH_DELIVERY(d)
        {
            if (d->sequence != element_number(in[0]) || !text_equal(d->endpoint, in[1]) ||
                !pending(d) || !same(d->lease_owner, owner) ||
                d->lease_until_ms != element_number(in[2]))
                continue;
            struct kept_delivery *changed = change_delivery(d_at, log);
            changed->state = in[3];
            changed->tries = element_number(in[4]);
            changed->next_ms = element_number(in[5]);
            changed->last_status = element_number(in[8]);
            changed->lease_owner = NO_TEXT;
            changed->lease_until_ms = NO_NUMBER;
            add(log, &tables_kept.tries,
                NEW(kept_try, .sequence = d->sequence, .endpoint = d->endpoint,
                    .number = changed->tries, .at_ms = element_number(in[6]),
                    .duration_ms = element_number(in[7]), .status = changed->last_status,
                    .error = in[9]));
            marked++;
        }
    }
    struct writer w = answer_of(answer, 1, 1, false);
    put_number(&w, marked);
}

static void
abandon(const struct parameter *p, struct change_log *log, struct answer_rows *answer)
{
    const struct text endpoint = parameter_text(&p[0]);
    EACH_DELIVERY(d)
    {
        if (!pending(d) || !text_equal(d->endpoint, endpoint)) continue;
        struct kept_delivery *changed = change_delivery(d_at, log);
        changed->state = TEXT("failed");
        changed->last_status = p[1].at ? parameter_number(&p[1]) : NO_NUMBER;
        changed->lease_owner = NO_TEXT;
        changed->lease_until_ms = NO_NUMBER;
        answer->changed++;
    }
}

/* --- by name ---------------------------------------------------------------------------------- */

static bool
begins(const char *name, const char *with, const struct table **table)
{
    const size_t size = strlen(with);
    if (strncmp(name, with, size) != 0) return false;
    *table = table_named(name + size);
    return *table != NULL;
}

void
database_do(const char *name, const struct parameter *p, int count, bool binary,
            const void *session, struct change_log *log, struct answer_rows *answer)
{
    const struct table *t;
    (void)count, (void)binary;
#define IS(word) (strcmp(name, word) == 0)
    if (begins(name, "find_", &t))
        find_versions(t, p, answer);
    else if (begins(name, "insert_", &t))
        (void)insert_rows(t, p, log, answer);
    else if (begins(name, "update_", &t))
        (void)update_rows(t, p, log, answer);
    else if (IS(STATEMENT_FENCE))
        (void)do_fence(p, log, answer);
    else if (IS(STATEMENT_KEY_FIND))
        find_keys(p, answer);
    else if (IS(STATEMENT_KEY_CLAIM))
        (void)claim_keys(p, log, answer);
    else if (IS(STATEMENT_KEY_ANSWER))
        (void)answer_keys(p, log, answer);
    else if (IS(STATEMENT_KEY_SETTLE))
        (void)settle_keys(p, log, answer);
    else if (IS(STATEMENT_PLACES))
        make_places(p, log);
    else if (IS(STATEMENT_ATTEMPT_BEGIN))
        (void)begin_attempts(table_find(ROW_attempt), p, log, answer);
    else if (IS(STATEMENT_ATTEMPT_STEP))
        (void)change_attempts(table_find(ROW_attempt), p, false, log, answer);
    else if (IS(STATEMENT_ATTEMPT_END))
        (void)change_attempts(table_find(ROW_attempt), p, true, log, answer);
    else if (IS(STATEMENT_ATTEMPTS_OPEN))
        find_open_attempts(answer);
    else if (IS(STATEMENT_OUTBOX))
        (void)add_events(p, log, answer);
    else if (IS(STATEMENT_TRANSACTION))
        (void)add_transactions(p, log, answer);
    else if (IS(STATEMENT_BALANCE))
        add_to_balances(p, log);
    else if (IS(STATEMENT_DUE))
        find_due(p, answer);
    else if (IS(STATEMENT_PARTITION))
        do_partition(p, answer);
    else if (IS(STATEMENT_LEAD))
        (void)do_lead(p, session, log, answer);
    else if (IS(STATEMENT_SLOTS))
        find_slots(answer);
    else if (IS(STATEMENT_SLOTS_TAKE))
        take_slots(p, log);
    else if (IS("RECLAIM"))
        release_leases(p, log, answer);
    else if (IS("NEWS"))
        find_news(p, log, answer);
    else if (IS("ENDPOINTS"))
        find_endpoints(p, answer);
    else if (IS("DISPATCH"))
        dispatch(p, log, answer);
    else if (IS("SCAN"))
        scan(p, answer);
    else if (IS("LEASE"))
        lease(p, log, answer);
    else if (IS("MARK"))
        mark(p, log, answer);
    else if (IS("RESEND"))
        grant_wishes(p, log, answer);
    else if (IS("ABANDON"))
        abandon(p, log, answer);
    else
        (void)fail(answer, "26000", "prepared statement \"%s\" does not exist", name);
#undef IS
}
