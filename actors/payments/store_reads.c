/* The store over Postgres. Reading is the one thing that a worker's turn waits for: a row by its
 * primary key takes tens of microseconds over a socket on the same host, and what is hot is in
 * memory. While Postgres is away, what is not in memory is STORE_UNAVAILABLE. */
#include "attempt.h"
#include "clock.h"
#include "store_inside.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_FRESH_MS 5000

enum store_verdict
store_get_unkept(struct store *store, enum row_table number, struct text merchant, struct text id,
                 struct arena *arena, void *row)
{
    const struct table *const table = table_find(number);
    assert(table);
    /* An id of another shape is nobody's; it is not worth a question, and need not be clean. */
    if (!table_takes_id(table, id) || !store->database) return STORE_MISSING;
    struct question *const q = question_new(arena);
    /* Of an attempt the row of its end, if it has one: the other part of the view is not read then.
     */
    say(q, "SELECT %s FROM \"%s\" WHERE merchant = $1 AND id = $2 LIMIT 1", columns_of(q, number),
        number == ROW_attempt ? "every_attempt" : table->name);
    with(q, merchant);
    with(q, id);
    PGresult *const result = ask(store->database, q);
    if (!result) return STORE_UNAVAILABLE;
    enum store_verdict verdict = STORE_MISSING;
    if (PQntuples(result) == 1)
        verdict = pg_row(number, result, 0, arena, row) ? STORE_FOUND : STORE_UNAVAILABLE;
    PQclear(result);
    return verdict;
}

/* What nearly every payment leaves once is in no index by these columns: the row whose id is asked
 * for names it, and it is found by its own id. The index has the others. (Audit: J16, J17.) */
static const struct named {
    enum row_table table;
    const char *column, *in_index, *not_in_index, *named_by;
} named[] = {
    {ROW_charge, "payment_intent", "failure_code IS NOT NULL", "failure_code IS NULL",
     "latest_charge FROM payment_intent"},
    {ROW_balance_transaction, "source", "NOT final", "final", "balance_transaction FROM charge"},
};

static const struct named *
named_for(const struct table *table, const struct store_page *page, size_t *filter)
{
    for (*filter = 0; *filter < page->filter_count; ++*filter)
        for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
            if (named[i].table == table->number &&
                strcmp(named[i].column, page->filters[*filter].column) == 0)
                return &named[i];
    return NULL;
}

static bool
has_column(const struct table *table, const char *name)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (strcmp(table->columns[i].name, name) == 0) return true;
    return false;
}

/* FROM and WHERE, but for the range of ids. Both parts are asked with all that stands behind: the
 * one goes by the index, the other has one row at most. */
static void
say_rows(struct question *q, const struct table *table, struct text merchant,
         const struct store_page *page)
{
    const int whose = with(q, merchant);
    int values[sizeof page->filters / sizeof page->filters[0]];
    size_t by;
    assert(page->filter_count <= sizeof values / sizeof values[0]);
    for (size_t i = 0; i < page->filter_count; i++)
        values[i] = with(q, page->filters[i].value);
    const struct named *const n = named_for(table, page, &by);
    if (n)
        say(q,
            " FROM (SELECT * FROM \"%s\" WHERE %s UNION ALL SELECT * FROM \"%s\" WHERE %s"
            " AND id = (SELECT %s WHERE merchant = $%d AND id = $%d)) AS rows",
            table->name, n->in_index, table->name, n->not_in_index, n->named_by, whose, values[by]);
    else
        say(q, " FROM \"%s\"", table->name);
    say(q, " WHERE merchant = $%d", whose);
    for (size_t i = 0; i < page->filter_count; i++) {
        assert(has_column(table, page->filters[i].column));
        say(q, " AND \"%s\" = $%d", page->filters[i].column, values[i]);
    }
    if (page->without) say(q, " AND NOT \"%s\"", page->without);
}

enum store_verdict
store_list(struct store *store, enum row_table number, struct text merchant,
           const struct store_page *page, struct arena *arena, void **rows, size_t *count,
           bool *more)
{
    const struct table *const table = table_find(number);
    assert(table && page->limit >= 1 && page->limit <= 100);

    struct question *const q = question_new(arena);
    say(q, "SELECT %s", columns_of(q, number));
    say_rows(q, table, merchant, page);
    say_range(q, NULL, page->after, page->before, page->id_least, page->id_below, page->limit);

    PGresult *const result = ask(store->database, q);
    if (!result) return STORE_UNAVAILABLE;
    const int found = PQntuples(result);
    const int given = found < page->limit ? found : page->limit;
    char *const all = arena_take(arena, table->size * (size_t)(given ? given : 1));
    bool good = true;
    for (int i = 0; good && i < given; i++)
        good = pg_row(number, result, nth_of_page(page->before.at, given, i), arena,
                      all + table->size * (size_t)i);
    PQclear(result);
    if (!good) return STORE_UNAVAILABLE;
    *rows = all;
    *count = (size_t)given;
    *more = found > page->limit;
    return STORE_FOUND;
}

enum store_verdict
store_count(struct store *store, enum row_table number, struct text merchant,
            const struct store_page *page, size_t max, struct arena *arena, size_t *count)
{
    const struct table *const table = table_find(number);
    struct question *const q = question_new(arena);
    if (!store->database) return STORE_UNAVAILABLE;
    say(q, "SELECT count(*) FROM (SELECT");
    say_rows(q, table, merchant, page);
    say(q, " LIMIT $%d::bigint) AS counted", with(q, arena_format(q->arena, "%zu", max)));
    PGresult *const result = ask(store->database, q);
    if (!result) return STORE_UNAVAILABLE;
    *count = (size_t)number_at(result, 0, 0);
    PQclear(result);
    return STORE_FOUND;
}

struct gathering {
    const uint8_t *slots;
    struct arena *arena;
    struct row_attempt *attempts;
    size_t count;
};

static void
gather_open(void *state, const void *row)
{
    struct gathering *const g = state;
    const struct row_attempt *const attempt = row;
    if (!attempt_is_open(attempt_state_named(attempt->state))) return;
    if (!slot_in(g->slots, slot_of(attempt->merchant)) || g->count == OPEN_ATTEMPTS_MAX) return;
    const size_t size = row_copy(ROW_attempt, row, NULL, NULL, 0);
    (void)row_copy(ROW_attempt, row, &g->attempts[g->count++], arena_take(g->arena, size), size);
}

/* Without Postgres, memory is all there is. */
static enum store_verdict
open_in_memory(struct store *store, const uint8_t slots[static SLOT_BYTES], struct arena *arena,
               struct row_attempt **attempts, size_t *count)
{
    struct gathering g = {slots, arena, NULL, 0};
    g.attempts = arena_take(arena, sizeof *g.attempts * OPEN_ATTEMPTS_MAX);
    cache_each(store->cache, ROW_attempt, gather_open, &g);
    *attempts = g.attempts;
    *count = g.count;
    return STORE_FOUND;
}

/* "{1,5,1023}": an array of slots as Postgres reads it. */
static struct text
set_of_slots(struct arena *arena, const uint8_t slots[static SLOT_BYTES])
{
    char *const set = arena_take(arena, SLOT_COUNT * 5 + 3);
    size_t size = 0;
    set[size++] = '{';
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++)
        if (slot_in(slots, slot))
            size += (size_t)sprintf(set + size, size > 1 ? ",%u" : "%u", (unsigned)slot);
    set[size++] = '}';
    return (struct text){set, size};
}

enum store_verdict
store_open_attempts(struct store *store, const uint8_t slots[static SLOT_BYTES],
                    struct arena *arena, struct row_attempt **attempts, size_t *count)
{
    if (!store->database) return open_in_memory(store, slots, arena, attempts, count);
    struct question *const q = question_new(arena);
    say(q,
        "SELECT %s FROM attempt_under_way WHERE place <= (SELECT open_until FROM places_in_use) "
        "AND slot = ANY ($%d::bigint[]) LIMIT %d",
        columns_of(q, ROW_attempt), with(q, set_of_slots(arena, slots)), OPEN_ATTEMPTS_MAX);
    PGresult *const result = ask(store->database, q);
    if (!result) return STORE_UNAVAILABLE;
    const int found = PQntuples(result);
    bool good = true;
    *attempts = arena_take(arena, sizeof **attempts * (size_t)(found ? found : 1));
    for (int i = 0; good && i < found; i++)
        good = pg_row(ROW_attempt, result, i, arena, &(*attempts)[i]);
    PQclear(result);
    *count = good ? (size_t)found : 0;
    return good ? STORE_FOUND : STORE_UNAVAILABLE;
}

enum store_verdict
store_due_holds(struct store *store, int64_t now_s, struct arena *arena,
                struct row_charge **charges, size_t *count)
{
    struct question *const q = question_new(arena);
    *count = 0;
    if (!store->database) return STORE_FOUND;
    say(q,
        "SELECT %s FROM charge WHERE hold_until IS NOT NULL AND hold_until <= $%d::bigint"
        " ORDER BY hold_until LIMIT %d",
        columns_of(q, ROW_charge), with(q, arena_format(arena, "%lld", (long long)now_s)),
        DUE_HOLDS_MAX);
    PGresult *const result = ask(store->database, q);
    if (!result) return STORE_UNAVAILABLE;
    const int found = PQntuples(result);
    bool good = true;
    *charges = arena_take(arena, sizeof **charges * (size_t)(found ? found : 1));
    for (int i = 0; good && i < found; i++)
        good = pg_row(ROW_charge, result, i, arena, &(*charges)[i]);
    PQclear(result);
    *count = good ? (size_t)found : 0;
    return good ? STORE_FOUND : STORE_UNAVAILABLE;
}

/* A column of the answer, copied. */
static struct text
text_in(const PGresult *result, int row, int column, struct arena *arena)
{
    return arena_copy(arena, (struct text){PQgetvalue(result, row, column),
                                           (size_t)PQgetlength(result, row, column)});
}

enum store_verdict
store_merchant_of(struct store *store, enum row_table number, struct text id, struct arena *arena,
                  struct text *merchant)
{
    const struct table *const table = table_find(number);
    if (!id_is(id, table->prefix) || !store->database) return STORE_MISSING;
    struct question *const q = question_new(arena);
    say(q, "SELECT merchant FROM \"%s\" WHERE id = $%d", table->name, with(q, id));
    PGresult *const result = ask(store->database, q);
    if (!result) return STORE_UNAVAILABLE;
    const bool found = PQntuples(result) == 1;
    if (found) *merchant = text_in(result, 0, 0, arena);
    PQclear(result);
    return found ? STORE_FOUND : STORE_MISSING;
}

enum store_verdict
store_due(struct store *store, enum row_table number, const char *state,
          const uint8_t slots[static SLOT_BYTES], int64_t now_s, struct arena *arena,
          struct due **rows, size_t *count)
{
    *count = 0;
    if (!store->database) return STORE_FOUND;
    struct question *const q = question_new(arena);
    char now[24];
    snprintf(now, sizeof now, "%lld", (long long)now_s);
    say(q,
        "SELECT d.merchant, d.id, coalesce(m.api_version, '') FROM \"%s\" d"
        " JOIN merchant m ON m.merchant = d.merchant AND m.id = d.merchant"
        " WHERE d.%s = 'open' AND d.expires_at <= $%d::bigint",
        table_find(number)->name, state, with(q, text_of(now)));
    say(q, " AND d.slot = ANY ($%d::bigint[]) ORDER BY d.expires_at LIMIT %d",
        with(q, set_of_slots(arena, slots)), DUE_MAX);
    PGresult *const result = ask(store->database, q);
    if (!result) return STORE_UNAVAILABLE;
    *count = (size_t)PQntuples(result);
    *rows = arena_take(arena, sizeof **rows * (*count + 1));
    for (size_t i = 0; i < *count; i++)
        (*rows)[i] =
            (struct due){text_in(result, (int)i, 0, arena), text_in(result, (int)i, 1, arena),
                         text_in(result, (int)i, 2, arena)};
    PQclear(result);
    return STORE_FOUND;
}

/* --- refunds to follow -----------------------------------------------------------------------
 */

struct refund_gathering {
    const uint8_t *slots;
    struct arena *arena;
    int64_t now_s;
    struct row_refund *refunds;
    size_t count;
};

static void
gather_refund(void *state, const void *row)
{
    struct refund_gathering *const g = state;
    const struct row_refund *const refund = row;
    if (refund->follow_at == NO_NUMBER || refund->follow_at > g->now_s) return;
    if (!slot_in(g->slots, slot_of(refund->merchant)) || g->count == REFUNDS_TO_FOLLOW_MAX) return;
    const size_t size = row_copy(ROW_refund, row, NULL, NULL, 0);
    (void)row_copy(ROW_refund, row, &g->refunds[g->count++], arena_take(g->arena, size), size);
}

enum store_verdict
store_refunds_to_follow(struct store *store, const uint8_t slots[static SLOT_BYTES], int64_t now_s,
                        struct arena *arena, struct row_refund **refunds, size_t *count)
{
    if (!store->database) {
        struct refund_gathering g = {slots, arena, now_s, NULL, 0};
        g.refunds = arena_take(arena, sizeof *g.refunds * REFUNDS_TO_FOLLOW_MAX);
        cache_each(store->cache, ROW_refund, gather_refund, &g);
        *refunds = g.refunds;
        *count = g.count;
        return STORE_FOUND;
    }
    struct question *const q = question_new(arena);
    char *const moment = arena_take(arena, 24);
    const int size = snprintf(moment, 24, "%lld", (long long)now_s);
    say(q, "SELECT %s FROM refunds_to_follow($%d::bigint[], $%d::bigint, %d)",
        columns_of(q, ROW_refund), with(q, set_of_slots(arena, slots)),
        with(q, (struct text){moment, (size_t)size}), REFUNDS_TO_FOLLOW_MAX);
    PGresult *const result = ask(store->database, q);
    if (!result) return STORE_UNAVAILABLE;
    const int found = PQntuples(result);
    bool good = true;
    *refunds = arena_take(arena, sizeof **refunds * (size_t)(found ? found : 1));
    for (int i = 0; good && i < found; i++)
        good = pg_row(ROW_refund, result, i, arena, &(*refunds)[i]);
    PQclear(result);
    *count = good ? (size_t)found : 0;
    return good ? STORE_FOUND : STORE_UNAVAILABLE;
}

bool
store_reads(struct store *store)
{
    if (!store->database) return true;
    struct arena *arena = arena_new(1 << 16);
    struct question *const q = question_new(arena);
    say(q, "SELECT 1");
    PGresult *const result = ask(store->database, q);
    const bool reads = result != NULL;
    PQclear(result);
    arena_destroy(&arena);
    return reads;
}

/* --- API keys -------------------------------------------------------------------------------- */

static struct known_key *
place_of(struct store *store, struct text hash)
{
    uint32_t first;
    memcpy(&first, hash.at, sizeof first); /* a hash is as good as chance */
    return &store->keys[first % KEYS_MAX];
}

enum store_verdict
store_key(struct store *store, struct text hash, struct arena *arena, struct row_api_key *key)
{
    assert(hash.size == sizeof store->keys[0].hash);
    struct known_key *const known = place_of(store, hash);
    row_clear(ROW_api_key, key);
    if (known->until_ms <= clock_mono_ms() || memcmp(known->hash, hash.at, hash.size) != 0) {
        struct question *const q = question_new(arena);
        say(q, "SELECT id, merchant, publishable::int, livemode::int, permissions FROM api_key"
               " WHERE hash = $1 AND revoked_at IS NULL");
        with_bytes(q, hash);
        PGresult *const result = ask(store->database, q);
        if (!result) return STORE_UNAVAILABLE;
        const bool found = PQntuples(result) == 1;
        if (found) {
            *known = (struct known_key){.until_ms = clock_mono_ms() + KEY_FRESH_MS};
            memcpy(known->hash, hash.at, hash.size);
            snprintf(known->id, sizeof known->id, "%s", PQgetvalue(result, 0, 0));
            snprintf(known->merchant, sizeof known->merchant, "%s", PQgetvalue(result, 0, 1));
            known->publishable = PQgetvalue(result, 0, 2)[0] == '1';
            known->livemode = PQgetvalue(result, 0, 3)[0] == '1';
            known->restricted = !PQgetisnull(result, 0, 4);
            snprintf(known->permissions, sizeof known->permissions, "%s", PQgetvalue(result, 0, 4));
        }
        PQclear(result);
        if (!found) return STORE_MISSING; /* not remembered: it may be made in a moment */
    }
    key->id = arena_copy(arena, text_of(known->id));
    key->merchant = arena_copy(arena, text_of(known->merchant));
    key->hash = arena_copy(arena, hash);
    key->publishable = known->publishable;
    key->livemode = known->livemode;
    if (known->restricted) key->permissions = arena_copy(arena, text_of(known->permissions));
    return STORE_FOUND;
}
