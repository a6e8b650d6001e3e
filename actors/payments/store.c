/* The store over Postgres. Reading is the one thing that a worker's turn waits for: a row by its
 * primary key takes tens of microseconds over a socket on the same host, and what is hot is in
 * memory. Each wait is bounded by QUERY_MS_MAX, so that a frozen Postgres does not cost the worker
 * its heartbeats; after a failure the connection is given up and tried again by and by, and reads
 * are STORE_UNAVAILABLE meanwhile. */
#include "store_keep.h"

#include "attempt.h"
#include "cache.h"
#include "clock.h"
#include "log.h"
#include "names.h"
#include "pg.h"
#include "wire.h"
#include <assert.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define CACHE_BYTES_MAX ((size_t)64 << 20)
#define QUERY_MS_MAX 500
#define CONNECT_MS_MAX 500
#define CONNECT_PAUSE_MS_MIN 50
#define CONNECT_PAUSE_MS_MAX 1000
#define SQL_MAX 4096
#define PREPARED_MAX 256
#define PARAMETERS_MAX 16
#define KEYS_MAX 1024
#define KEY_FRESH_MS 5000

/* A statement that this connection knows, by its text. */
struct prepared {
    struct name_node node;
    char name[16];
    char sql[SQL_MAX];
};

/* An API key that was looked up a moment ago. Not long: it may be revoked. */
struct known_key {
    uint8_t hash[32];
    int64_t until_ms;
    char id[64], merchant[64];
    bool publishable, livemode;
};

struct store {
    const char *home;
    PGconn *connection;
    int64_t try_again_ms, pause_ms;
    struct names by_sql;
    struct prepared *prepared[PREPARED_MAX];
    size_t prepared_count;
    struct cache *cache;
    struct known_key keys[KEYS_MAX]; /* a place per hash; a newer one takes it over */
};

struct store *
store_new(const char *home)
{
    struct store *const store = calloc(1, sizeof *store);
    if (!store) abort();
    store->home = home;
    store->pause_ms = CONNECT_PAUSE_MS_MIN;
    store->cache = cache_new(CACHE_BYTES_MAX);
    names_init(&store->by_sql);
    return store;
}

static void
forget_prepared(struct store *store)
{
    while (store->prepared_count) {
        struct prepared *const prepared = store->prepared[--store->prepared_count];
        names_remove(&store->by_sql, &prepared->node);
        free(prepared);
    }
}

static void
disconnect(struct store *store)
{
    forget_prepared(store);
    if (store->connection) PQfinish(store->connection);
    store->connection = NULL;
}

void
store_destroy(struct store **store_p)
{
    struct store *const store = *store_p;
    if (!store) return;
    disconnect(store);
    cache_destroy(&store->cache);
    names_end(&store->by_sql);
    free(store);
    *store_p = NULL;
}

/* --- asking Postgres ----------------------------------------------------------------------------
 */

/* Postgres tells its own troubles in its own log. */
static void
ignore_notice(void *state, const PGresult *result)
{
    (void)state, (void)result;
}

static bool
connected(struct store *store)
{
    char error[256];
    if (store->connection) return true;
    if (!store->home || clock_mono_ms() < store->try_again_ms) return false;
    store->connection = pg_connect(store->home, "payments", CONNECT_MS_MAX, error, sizeof error);
    if (!store->connection) {
        log_event(LOG_WARNING, "postgres.unreachable", "reason=\"%s\"", error);
        store->try_again_ms = clock_mono_ms() + store->pause_ms;
        store->pause_ms =
            store->pause_ms * 2 < CONNECT_PAUSE_MS_MAX ? store->pause_ms * 2 : CONNECT_PAUSE_MS_MAX;
        return false;
    }
    PQsetNoticeReceiver(store->connection, ignore_notice, NULL);
    store->pause_ms = CONNECT_PAUSE_MS_MIN;
    return true;
}

/* Waits for the answer to what was sent. NULL when the connection is lost or too slow, or when
 * Postgres refuses the statement; in the first case there is no connection any more. */
static PGresult *
answer(struct store *store)
{
    PGconn *const connection = store->connection;
    const int64_t until_ms = clock_mono_ms() + QUERY_MS_MAX;
    PGresult *first = NULL, *next;
    for (;;) {
        while (PQisBusy(connection)) {
            struct pollfd ready = {.fd = PQsocket(connection), .events = POLLIN};
            const int64_t left_ms = until_ms - clock_mono_ms();
            if (left_ms <= 0 || poll(&ready, 1, (int)left_ms) == 0 || !PQconsumeInput(connection)) {
                log_event(LOG_WARNING, "postgres.lost", "reason=\"%s\"",
                          left_ms <= 0 ? "no answer in time" : PQerrorMessage(connection));
                PQclear(first);
                disconnect(store);
                return NULL;
            }
        }
        if (!(next = PQgetResult(connection))) break;
        if (first)
            PQclear(next);
        else
            first = next;
    }
    const ExecStatusType status = PQresultStatus(first);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) return first;
    if (PQstatus(connection) != CONNECTION_OK)
        disconnect(store);
    else
        log_event(LOG_ERROR, "postgres.refused", "reason=\"%s\"", PQresultErrorMessage(first));
    PQclear(first);
    return NULL;
}

static struct prepared *
prepare(struct store *store, const char *sql)
{
    struct prepared *prepared = names_find(&store->by_sql, text_of(sql));
    if (prepared) return prepared;
    if (store->prepared_count == PREPARED_MAX) { /* more shapes than there are: begin anew */
        disconnect(store);
        if (!connected(store)) return NULL;
    }
    if (!(prepared = calloc(1, sizeof *prepared))) abort();
    snprintf(prepared->sql, sizeof prepared->sql, "%s", sql);
    snprintf(prepared->name, sizeof prepared->name, "read_%zu", store->prepared_count);
    if (!PQsendPrepare(store->connection, prepared->name, sql, 0, NULL)) {
        disconnect(store);
        free(prepared);
        return NULL;
    }
    PGresult *const result = answer(store);
    if (!result) {
        free(prepared);
        return NULL;
    }
    PQclear(result);
    store->prepared[store->prepared_count++] = prepared;
    names_add(&store->by_sql, &prepared->node, text_of(prepared->sql), prepared);
    return prepared;
}

/* A question in the making: its SQL and what stands behind $1, $2, … */
struct question {
    struct arena *arena;
    char sql[SQL_MAX];
    size_t size;
    const char *values[PARAMETERS_MAX];
    int lengths[PARAMETERS_MAX], formats[PARAMETERS_MAX];
    int count;
};

static void __attribute__((format(printf, 2, 3))) say(struct question *q, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(q->sql + q->size, sizeof q->sql - q->size, format, arguments);
    va_end(arguments);
    assert(size >= 0 && (size_t)size < sizeof q->sql - q->size);
    q->size += (size_t)size;
}

/* The number of the parameter that has this value. */
static int
with(struct question *q, struct text value)
{
    assert(q->count < PARAMETERS_MAX);
    char *const copy = arena_take(q->arena, value.size + 1);
    if (value.size) memcpy(copy, value.at, value.size);
    q->values[q->count] = copy;
    return ++q->count;
}

static int
with_bytes(struct question *q, struct text value)
{
    const int number = with(q, value);
    q->lengths[number - 1] = (int)value.size;
    q->formats[number - 1] = 1;
    return number;
}

static PGresult *
ask_once(struct store *store, const struct question *q)
{
    if (!connected(store)) return NULL;
    const struct prepared *const prepared = prepare(store, q->sql);
    if (!prepared) return NULL;
    if (!PQsendQueryPrepared(store->connection, prepared->name, q->count, q->values, q->lengths,
                             q->formats, 0)) {
        disconnect(store);
        return NULL;
    }
    return answer(store);
}

/* A connection may have died unnoticed since it was last used: that is found out here, and mended
 * at once if Postgres is back. */
static PGresult *
ask(struct store *store, const struct question *q)
{
    const bool old = store->connection != NULL;
    PGresult *result = ask_once(store, q);
    if (!result && old && !store->connection) result = ask_once(store, q);
    return result;
}

static struct question *
question_new(struct arena *arena)
{
    struct question *const q = arena_take(arena, sizeof *q);
    q->arena = arena;
    return q;
}

static const char *
columns_of(struct question *q, enum row_table table)
{
    char *const columns = arena_take(q->arena, SQL_MAX / 2);
    const size_t size = pg_columns(table, columns, SQL_MAX / 2);
    assert(size < SQL_MAX / 2);
    return columns;
}

/* --- rows ----------------------------------------------------------------------------------------
 */

/* The ledger turns pending funds into available ones by itself: such a row is never remembered. */
static bool
only_ours(enum row_table table)
{
    return table != ROW_balance_transaction;
}

void
store_wrote(struct store *store, enum row_table table, const void *row)
{
    if (only_ours(table)) cache_put(store->cache, table, row);
}

void
store_forget(struct store *store, enum row_table table, struct text merchant, struct text id)
{
    if (store->home)
        cache_drop(store->cache, table, merchant, id); /* else memory is all there is */
}

void
store_forget_slots(struct store *store, const uint8_t slots[static SLOT_BYTES])
{
    if (store->home) cache_drop_slots(store->cache, slots);
}

enum store_verdict
store_get_unkept(struct store *store, enum row_table number, struct text merchant, struct text id,
                 struct arena *arena, void *row)
{
    const struct table *const table = table_find(number);
    assert(table);
    /* An id of another shape is nobody's; it is not worth a question, and need not be clean. */
    if (!id_is(id, table->prefix) || !store->home) return STORE_MISSING;
    struct question *const q = question_new(arena);
    say(q, "SELECT %s FROM \"%s\" WHERE merchant = $1 AND id = $2", columns_of(q, number),
        table->name);
    with(q, merchant);
    with(q, id);
    PGresult *const result = ask(store, q);
    if (!result) return STORE_UNAVAILABLE;
    enum store_verdict verdict = STORE_MISSING;
    if (PQntuples(result) == 1)
        verdict = pg_row(number, result, 0, arena, row) ? STORE_FOUND : STORE_UNAVAILABLE;
    PQclear(result);
    return verdict;
}

enum store_verdict
store_get(struct store *store, enum row_table number, struct text merchant, struct text id,
          struct arena *arena, void *row)
{
    if (cache_get(store->cache, number, merchant, id, arena, row)) return STORE_FOUND;
    const enum store_verdict verdict = store_get_unkept(store, number, merchant, id, arena, row);
    if (verdict == STORE_FOUND) store_wrote(store, number, row);
    return verdict;
}

/* Bounds of ids, the order, and one row more than asked for, to know whether there are more. */
static void
say_range(struct question *q, struct text after, struct text before, struct text least,
          struct text below, int limit)
{
    if (after.at) say(q, " AND id < $%d", with(q, after));
    if (before.at) say(q, " AND id > $%d", with(q, before));
    if (least.at) say(q, " AND id >= $%d", with(q, least));
    if (below.at) say(q, " AND id < $%d", with(q, below));
    say(q, " ORDER BY id %s LIMIT $%d::bigint", before.at ? "ASC" : "DESC",
        with(q, arena_format(q->arena, "%d", limit + 1)));
}

/* Which row of the result is the n-th of the page: a page before an id was read upwards. */
static int
nth(bool upwards, int count, int n)
{
    return upwards ? count - 1 - n : n;
}

static void
say_filter(struct question *q, const struct table *table, const struct store_filter *filter)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (strcmp(table->columns[i].name, filter->column) == 0) {
            say(q, " AND \"%s\" = $%d", filter->column, with(q, filter->value));
            return;
        }
    assert(!"a filter names a column of its table");
}

enum store_verdict
store_list(struct store *store, enum row_table number, struct text merchant,
           const struct store_page *page, struct arena *arena, void **rows, size_t *count,
           bool *more)
{
    const struct table *const table = table_find(number);
    assert(table && page->limit >= 1 && page->limit <= 100);
    assert(page->filter_count <= sizeof page->filters / sizeof page->filters[0]);

    struct question *const q = question_new(arena);
    say(q, "SELECT %s FROM \"%s\" WHERE merchant = $%d", columns_of(q, number), table->name,
        with(q, merchant));
    for (size_t i = 0; i < page->filter_count; i++)
        say_filter(q, table, &page->filters[i]);
    if (page->without) say(q, " AND NOT \"%s\"", page->without);
    say_range(q, page->after, page->before, page->id_least, page->id_below, page->limit);

    PGresult *const result = ask(store, q);
    if (!result) return STORE_UNAVAILABLE;
    const int found = PQntuples(result);
    const int given = found < page->limit ? found : page->limit;
    char *const all = arena_take(arena, table->size * (size_t)(given ? given : 1));
    bool good = true;
    for (int i = 0; good && i < given; i++)
        good = pg_row(number, result, nth(page->before.at, given, i), arena,
                      all + table->size * (size_t)i);
    PQclear(result);
    if (!good) return STORE_UNAVAILABLE;
    *rows = all;
    *count = (size_t)given;
    *more = found > page->limit;
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

enum store_verdict
store_open_attempts(struct store *store, const uint8_t slots[static SLOT_BYTES],
                    struct arena *arena, struct row_attempt **attempts, size_t *count)
{
    if (!store->home) return open_in_memory(store, slots, arena, attempts, count);
    struct question *const q = question_new(arena);
    char *const set = arena_take(arena, SLOT_COUNT * 5 + 3);
    size_t size = 0;
    set[size++] = '{';
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++)
        if (slot_in(slots, slot))
            size += (size_t)sprintf(set + size, size > 1 ? ",%u" : "%u", (unsigned)slot);
    set[size++] = '}';
    /* The words of the states are those of the partial index, so that it is used. */
    say(q,
        "SELECT %s FROM attempt WHERE state IN ('sending', 'unknown', 'reversing')"
        " AND slot = ANY ($%d::bigint[]) LIMIT %d",
        columns_of(q, ROW_attempt), with(q, (struct text){set, size}), OPEN_ATTEMPTS_MAX);
    PGresult *const result = ask(store, q);
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

bool
store_reads(struct store *store)
{
    if (!store->home) return true;
    struct arena *arena = arena_new(1 << 16);
    struct question *const q = question_new(arena);
    say(q, "SELECT 1");
    PGresult *const result = ask(store, q);
    const bool reads = result != NULL;
    PQclear(result);
    arena_destroy(&arena);
    return reads;
}

/* --- API keys ------------------------------------------------------------------------------------
 */

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
        say(q, "SELECT id, merchant, publishable::int, livemode::int FROM api_key"
               " WHERE hash = $1 AND revoked_at IS NULL");
        with_bytes(q, hash);
        PGresult *const result = ask(store, q);
        if (!result) return STORE_UNAVAILABLE;
        const bool found = PQntuples(result) == 1;
        if (found) {
            *known = (struct known_key){.until_ms = clock_mono_ms() + KEY_FRESH_MS};
            memcpy(known->hash, hash.at, hash.size);
            snprintf(known->id, sizeof known->id, "%s", PQgetvalue(result, 0, 0));
            snprintf(known->merchant, sizeof known->merchant, "%s", PQgetvalue(result, 0, 1));
            known->publishable = PQgetvalue(result, 0, 2)[0] == '1';
            known->livemode = PQgetvalue(result, 0, 3)[0] == '1';
        }
        PQclear(result);
        if (!found) return STORE_MISSING; /* not remembered: it may be made in a moment */
    }
    key->id = arena_copy(arena, text_of(known->id));
    key->merchant = arena_copy(arena, text_of(known->merchant));
    key->hash = arena_copy(arena, hash);
    key->publishable = known->publishable;
    key->livemode = known->livemode;
    return STORE_FOUND;
}

/* --- balances ------------------------------------------------------------------------------------
 */

#define ACCOUNT(NAME, number, name, owner, kind, doc) ACCOUNT_##NAME = (number),
enum account_number {
#include "accounts.def"
};
#undef ACCOUNT

static int64_t
number_at(const PGresult *result, int row, int column)
{
    return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

enum store_verdict
store_balances(struct store *store, struct text merchant, struct arena *arena,
               struct store_balance **balances, size_t *count)
{
    struct question *const q = question_new(arena);
    /* What we owe is a credit, below zero in the books and above it here. */
    say(q,
        "SELECT currency, coalesce(-sum(amount) FILTER (WHERE account = %d), 0)::bigint,"
        " coalesce(-sum(amount) FILTER (WHERE account = %d), 0)::bigint FROM balance"
        " WHERE merchant = $1 AND account IN (%d, %d) GROUP BY currency ORDER BY currency",
        ACCOUNT_MERCHANT_PENDING, ACCOUNT_MERCHANT_AVAILABLE, ACCOUNT_MERCHANT_PENDING,
        ACCOUNT_MERCHANT_AVAILABLE);
    with(q, merchant);
    PGresult *const result = ask(store, q);
    if (!result) return STORE_UNAVAILABLE;
    const int found = PQntuples(result);
    *balances = arena_take(arena, sizeof **balances * (size_t)(found ? found : 1));
    *count = (size_t)found;
    for (int i = 0; i < found; i++)
        (*balances)[i] = (struct store_balance){
            arena_copy(arena, text_of(PQgetvalue(result, i, 0))),
            number_at(result, i, 1),
            number_at(result, i, 2),
        };
    PQclear(result);
    return STORE_FOUND;
}

/* --- events --------------------------------------------------------------------------------------
 */

/* Once the dispatcher's cursor is past an event, its deliveries tell; before, the endpoints that
 * will hear of it do. */
#define EVENT_COLUMNS                                                                            \
    "e.id, e.merchant, e.type, e.object, e.data, e.previous, e.api_version, e.request, e.key,"   \
    " e.created, e.sequence,"                                                                    \
    " CASE WHEN e.sequence <= (SELECT coalesce(max(sequence), 0) FROM dispatch)"                 \
    " THEN (SELECT count(*) FROM delivery d WHERE d.sequence = e.sequence"                       \
    " AND d.state <> 'delivered')"                                                               \
    " ELSE (SELECT count(*) FROM webhook_endpoint w WHERE w.merchant = e.merchant"               \
    " AND NOT w.deleted AND w.status = 'enabled' AND (position('\"*\"' IN w.enabled_events) > 0" \
    " OR position('\"' || e.type || '\"' IN w.enabled_events) > 0)) END AS pending"

static struct text
text_at(struct arena *arena, const PGresult *result, int row, int column)
{
    if (PQgetisnull(result, row, column)) return NO_TEXT;
    return arena_copy(arena, (struct text){PQgetvalue(result, row, column),
                                           (size_t)PQgetlength(result, row, column)});
}

static void
event_at(struct arena *arena, const PGresult *result, int row, struct store_event *event)
{
    struct text *const texts[] = {&event->id,          &event->merchant, &event->type,
                                  &event->object,      &event->data,     &event->previous,
                                  &event->api_version, &event->request,  &event->key};
    int column = 0;
    for (; column < (int)(sizeof texts / sizeof texts[0]); column++)
        *texts[column] = text_at(arena, result, row, column);
    event->created = number_at(result, row, column++);
    event->sequence = number_at(result, row, column++);
    event->pending_webhooks = number_at(result, row, column++);
}

enum store_verdict
store_event(struct store *store, struct text merchant, struct text id, struct arena *arena,
            struct store_event *event)
{
    if (!id_is(id, "evt_")) return STORE_MISSING;
    struct question *const q = question_new(arena);
    say(q, "SELECT " EVENT_COLUMNS " FROM event e WHERE e.merchant = $%d AND e.id = $%d",
        with(q, merchant), with(q, id));
    PGresult *const result = ask(store, q);
    if (!result) return STORE_UNAVAILABLE;
    const bool found = PQntuples(result) == 1;
    if (found) event_at(arena, result, 0, event);
    PQclear(result);
    return found ? STORE_FOUND : STORE_MISSING;
}

/* `payment_intent.*` and exact types, as one array of patterns of LIKE. */
static struct text
type_patterns(struct arena *arena, const struct store_event_page *page)
{
    size_t size = 2;
    for (size_t i = 0; i < page->type_count; i++)
        size += page->types[i].size * 3 + 3;
    char *const at = arena_take(arena, size);
    size_t used = 0;
    at[used++] = '{';
    for (size_t i = 0; i < page->type_count; i++) {
        if (i) at[used++] = ',';
        at[used++] = '"';
        for (size_t c = 0; c < page->types[i].size; c++) {
            const char byte = page->types[i].at[c];
            const bool last = c + 1 == page->types[i].size;
            if (byte == '*' && last) {
                at[used++] = '%';
                continue;
            }
            if (byte == '"' || byte == '\\' || byte == '%') continue; /* in no type's name */
            if (byte == '_') used += (size_t)sprintf(at + used, "\\\\");
            at[used++] = byte;
        }
        at[used++] = '"';
    }
    at[used++] = '}';
    return (struct text){at, used};
}

enum store_verdict
store_events(struct store *store, struct text merchant, const struct store_event_page *page,
             struct arena *arena, struct store_event **events, size_t *count, bool *more)
{
    assert(page->limit >= 1 && page->limit <= 100);
    assert(page->type_count <= sizeof page->types / sizeof page->types[0]);
    static const char *const delivered[] = {" AND pending > 0", " AND pending = 0"};

    struct question *const q = question_new(arena);
    say(q, "SELECT * FROM (SELECT " EVENT_COLUMNS " FROM event e WHERE e.merchant = $%d",
        with(q, merchant));
    if (page->object.at) say(q, " AND e.object = $%d", with(q, page->object));
    if (page->type_count)
        say(q, " AND e.type LIKE ANY ($%d::text[])", with(q, type_patterns(arena, page)));
    say(q, ") AS seen WHERE true");
    if (page->delivery_success >= 0) say(q, "%s", delivered[page->delivery_success != 0]);
    say_range(q, page->after, page->before, page->id_least, page->id_below, page->limit);

    PGresult *const result = ask(store, q);
    if (!result) return STORE_UNAVAILABLE;
    const int found = PQntuples(result);
    const int given = found < page->limit ? found : page->limit;
    *events = arena_take(arena, sizeof **events * (size_t)(given ? given : 1));
    for (int i = 0; i < given; i++)
        event_at(arena, result, nth(page->before.at, given, i), &(*events)[i]);
    PQclear(result);
    *count = (size_t)given;
    *more = found > page->limit;
    return STORE_FOUND;
}
