#include "outbox.h"

#include "clock.h"
#include "event_pack.h"
#include "failpoint.h"
#include "log.h"
#include "matching.h"
#include "mutant.h"
#include "pg.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS 500
#define RECONNECT_MS 200
#define RESEND_LOOK_BACK_S 86400 /* at the start: nobody may have looked for so long */
#define RESEND_LATE_S 120        /* a wish is committed within this after it was made */

struct outbox {
    const char *home;
    int partition;
    char owner[64];  /* NAME/INCARNATION, as in lease_owner */
    char others[64]; /* pattern of NAME/… */
    PGconn *connection;
    int64_t connect_at; /* mono */
    int64_t cursor;     /* where it stood when we last looked at it or moved it */
    bool others_move;   /* it stood elsewhere at the last look: another process moves it */
    bool reclaim;
    char scanned[ENDPOINT_ID_MAX + 1]; /* the last scan ended here */
    int64_t resends_from_s;            /* wishes made before have been granted */
    char trouble[256];
};

// clang-format off

/* Every statement, prepared when connecting. Times are Unix milliseconds. */
#define STATEMENTS(X) \
X(RECLAIM, "UPDATE delivery SET next_ms = $2::bigint, lease_owner = NULL, lease_until_ms = NULL" \
    "  WHERE state = 'pending' AND lease_owner LIKE $1::text AND lease_owner <> $3::text") \
/* Where the cursor stands, how far the events go from there (at most $1 of them), and those among \
 * them whose merchant has anybody who may want them. One question, so one snapshot: an endpoint whose \
 * creation was answered before an event was committed is seen by whoever sees the event. And no event \
 * below the last one that is seen is missing: numbers are given out by the ledger that leads, under the \
 * lock of its row, so they are committed in their order. When nobody may want anything the cursor \
 * moves at once, if it stood where we knew it to ($2). \
 * \
 * The bounds are questions of their own, and the endpoint has its LIMIT, so that whatever the planner \
 * believes the tables to hold, the events are read along their index, and few of them, and endpoints \
 * looked up one merchant at a time; nothing is read where nobody ever made an endpoint. */ \
X(NEWS, "WITH at AS (" \
    "    SELECT sequence AS low, least(sequence + $1::bigint," \
    "           coalesce((SELECT sequence + count - 1 FROM outbox" \
    "                     WHERE sequence = (SELECT max(sequence) FROM outbox)), 0)) AS high" \
    "    FROM dispatch)," \
    "  news AS (" \
    "    SELECT new.sequence, new.id, new.merchant, new.type, new.created FROM event new" \
    "    CROSS JOIN LATERAL (SELECT FROM webhook_endpoint w WHERE w.merchant = new.merchant" \
    "                        AND w.status = 'enabled' AND NOT w.deleted LIMIT 1) AS somebody" \
    "    WHERE new.first > (SELECT low FROM at) - 16 AND new.first <= (SELECT high FROM at)" \
    "      AND new.sequence > (SELECT low FROM at) AND new.sequence <= (SELECT high FROM at)" \
    "      AND EXISTS (SELECT FROM webhook_endpoint w WHERE w.merchant > ''))," \
    "  moved AS (" \
    "    UPDATE dispatch SET sequence = (SELECT high FROM at)" \
    "    WHERE (SELECT high > low AND low = coalesce($2::bigint, low) FROM at)" \
    "      AND NOT EXISTS (SELECT FROM news)" \
    "      AND one = (SELECT d.one FROM dispatch d WHERE d.sequence = (SELECT low FROM at)" \
    "                 FOR UPDATE SKIP LOCKED)" \
    "    RETURNING one)" \
    "  SELECT (SELECT low FROM at), (SELECT high FROM at), (SELECT count(*) FROM moved), news.*" \
    "  FROM (SELECT) AS one LEFT JOIN news ON true ORDER BY news.sequence") \
X(ENDPOINTS, "SELECT merchant, id, created, enabled_events FROM webhook_endpoint" \
    "  WHERE merchant = ANY ($1::text[]) AND status = 'enabled' AND NOT deleted ORDER BY merchant") \
/* The cursor, if it still stands where it was read ($6), and the deliveries that it stands for, or neither. \
 * Who finds the row locked does not wait: whoever holds it moves the cursor. */ \
X(DISPATCH, "WITH moved AS (" \
    "    UPDATE dispatch SET sequence = $7::bigint WHERE one = (" \
    "      SELECT one FROM dispatch WHERE sequence = $6::bigint FOR UPDATE SKIP LOCKED)" \
    "    RETURNING one)," \
    "  added AS (" \
    "    INSERT INTO delivery (sequence, endpoint, merchant, event, state, tries, next_ms)" \
    "    SELECT new.sequence, new.endpoint, new.merchant, new.event, 'pending', 0, $5::bigint" \
    "    FROM moved CROSS JOIN unnest($1::bigint[], $2::text[], $3::text[], $4::text[])" \
    "         AS new (sequence, endpoint, merchant, event)" \
    "    ON CONFLICT DO NOTHING)" \
    "  SELECT count(*) FROM moved") \
/* Wishes of the table resend: a try more, whatever became of the earlier ones; one that is under way \
 * counts. Granted once, because the delivery remembers the last wish. */ \
X(RESEND, "INSERT INTO delivery (sequence, endpoint, merchant, event, state, tries, next_ms, resend)" \
    "  SELECT DISTINCT ON (e.sequence, r.endpoint) e.sequence, r.endpoint, r.merchant, r.event," \
    "         'pending', 0, $2::bigint, r.id" \
    "  FROM resend r CROSS JOIN LATERAL event_named(r.merchant, r.event) e" \
    "  WHERE r.created >= $1::bigint AND e.sequence <= (SELECT sequence FROM dispatch)" \
    "    AND NOT EXISTS (SELECT FROM delivery d WHERE d.sequence = e.sequence" \
    "                    AND d.endpoint = r.endpoint AND d.resend >= r.id)" \
    "  ORDER BY e.sequence, r.endpoint, r.id DESC" \
    "  ON CONFLICT (sequence, endpoint) DO UPDATE SET state = 'pending', resend = excluded.resend," \
    "    next_ms = CASE WHEN delivery.lease_until_ms > $2::bigint THEN delivery.next_ms" \
    "              ELSE $2::bigint END" \
    "    WHERE delivery.resend IS NULL OR delivery.resend < excluded.resend" \
    "  RETURNING endpoint") \
/* A walk from endpoint to endpoint along the index, however much is pending for each. */ \
X(SCAN, "WITH RECURSIVE pending AS (" \
    "  (SELECT endpoint FROM delivery WHERE state = 'pending' AND endpoint > $1::text" \
    "   ORDER BY endpoint LIMIT 1)" \
    "  UNION ALL" \
    "  SELECT (SELECT d.endpoint FROM delivery d" \
    "          WHERE d.state = 'pending' AND d.endpoint > pending.endpoint" \
    "          ORDER BY d.endpoint LIMIT 1)" \
    "  FROM pending WHERE pending.endpoint IS NOT NULL)" \
    "  SELECT endpoint, (SELECT d.next_ms FROM delivery d" \
    "                    WHERE d.state = 'pending' AND d.endpoint = pending.endpoint" \
    "                    ORDER BY d.next_ms LIMIT 1)" \
    "  FROM pending WHERE endpoint IS NOT NULL LIMIT $2::int") \
/* What is leased is not due until its lease ends. */ \
X(LEASE, "WITH wanted AS (SELECT * FROM unnest($1::text[], $2::int[]) AS wanted (endpoint, count))," \
    "  due AS (" \
    "    SELECT first.sequence, first.endpoint FROM wanted CROSS JOIN LATERAL (" \
    "      SELECT d.sequence, d.endpoint FROM delivery d" \
    "      WHERE d.endpoint = wanted.endpoint AND d.state = 'pending' AND d.next_ms <= $3::bigint" \
    "      ORDER BY d.next_ms LIMIT wanted.count FOR UPDATE SKIP LOCKED) AS first)," \
    "  leased AS (" \
    "    UPDATE delivery d SET lease_owner = $4::text, lease_until_ms = $5::bigint," \
    "                          next_ms = $5::bigint" \
    "    FROM due WHERE d.sequence = due.sequence AND d.endpoint = due.endpoint" \
    "    RETURNING d.sequence, d.endpoint, d.merchant, d.tries)" \
    "  SELECT leased.sequence, leased.endpoint, leased.tries, e.id, e.type, e.packed, e.nth," \
    "         e.request, e.key, e.created, w.url, w.secret," \
    "         w.status = 'enabled' AND NOT w.deleted," \
    "         (SELECT count(*) FROM delivery d" \
    "          WHERE d.merchant = leased.merchant AND d.event = e.id AND d.state <> 'delivered')," \
    "         coalesce(w.api_version, e.api_version)" \
    "  FROM leased CROSS JOIN LATERAL event_at(leased.sequence) e" \
    "  LEFT JOIN webhook_endpoint w ON w.merchant = leased.merchant AND w.id = leased.endpoint" \
    "  ORDER BY leased.sequence") \
X(MARK, "WITH done AS (" \
    "    SELECT * FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::int[]," \
    "                         $7::bigint[], $8::bigint[], $9::int[], $10::int[], $11::text[])" \
    "      AS done (sequence, endpoint, lease_until_ms, state, number, next_ms, at_ms," \
    "               duration_ms, status, error))," \
    "  marked AS (" \
    "    UPDATE delivery d SET state = done.state, tries = done.number, next_ms = done.next_ms," \
    "                          last_status = done.status, lease_owner = NULL, lease_until_ms = NULL" \
    "    FROM done WHERE d.sequence = done.sequence AND d.endpoint = done.endpoint" \
    "      AND d.state = 'pending' AND d.lease_owner = $1::text" \
    "      AND d.lease_until_ms = done.lease_until_ms" \
    "    RETURNING d.sequence, d.endpoint)," \
    "  tried AS (" \
    "    INSERT INTO delivery_try (sequence, endpoint, number, at_ms, status, error, duration_ms)" \
    "    SELECT sequence, endpoint, number, at_ms, status, error, duration_ms" \
    "    FROM done JOIN marked USING (sequence, endpoint))" \
    "  SELECT count(*) FROM marked") \
X(ABANDON, "UPDATE delivery SET state = 'failed', last_status = $2::int, lease_owner = NULL," \
    "  lease_until_ms = NULL WHERE endpoint = $1::text AND state = 'pending'")

// clang-format on

#define AS_ENUM(name, sql) STATEMENT_##name,
enum statement { STATEMENTS(AS_ENUM) STATEMENT_COUNT };
#undef AS_ENUM
#define AS_PAIR(name, sql) {#name, sql},
static const struct {
    const char *name, *sql;
} statements[STATEMENT_COUNT] = {STATEMENTS(AS_PAIR)};
#undef AS_PAIR

#define PARAMS_MAX 11

/* --- the connection
 * -------------------------------------------------------------------------------- */

static void
give_up(struct outbox *outbox, const char *what)
{
    snprintf(outbox->trouble, sizeof outbox->trouble, "%s: %.200s", what,
             PQerrorMessage(outbox->connection));
    for (char *at = outbox->trouble; *at; at++)
        if (*at == '\n') *at = ' ';
    log_event(LOG_WARNING, "postgres.failed", "reason=%s", outbox->trouble);
    PQfinish(outbox->connection);
    outbox->connection = NULL;
    outbox->connect_at = clock_mono_ms() + RECONNECT_MS;
}

/* NULL when it failed: there is no connection any more. */
static PGresult *
run(struct outbox *outbox, enum statement statement, const char *const *params, int count)
{
    PGresult *result = PQexecPrepared(outbox->connection, statements[statement].name, count, params,
                                      NULL, NULL, 0);
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return result;
    give_up(outbox, statements[statement].name);
    PQclear(result);
    return NULL;
}

/* No commit of ours has to wait for the disk. What a crash of Postgres may take away (deliveries
 * with the cursor that stands for them, a lease, a mark) is done again, and that is what everybody
 * may expect of a webhook: at least once. A turn has several commits, and nothing is posted
 * meanwhile.
 *
 * The plans are the same whatever the parameters are, and to make one takes longer than to follow
 * it. */
static bool
set_up(struct outbox *outbox)
{
    PGresult *result = PQexec(outbox->connection, "SET synchronous_commit = off;"
                                                  " SET plan_cache_mode = force_generic_plan");
    const bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    if (!done) give_up(outbox, "SET");
    return done;
}

static bool
prepare(struct outbox *outbox)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        PGresult *result =
            PQprepare(outbox->connection, statements[i].name, statements[i].sql, 0, NULL);
        const bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
        PQclear(result);
        if (done) continue;
        give_up(outbox, statements[i].name);
        return false;
    }
    return true;
}

struct outbox *
outbox_new(const char *home, int partition, const char *name, uint64_t incarnation)
{
    struct outbox *outbox = calloc(1, sizeof *outbox);
    if (!outbox) return NULL;
    outbox->home = home;
    outbox->partition = partition;
    outbox->cursor = -1;
    outbox->reclaim = true;
    snprintf(outbox->owner, sizeof outbox->owner, "%.31s/%016" PRIx64, name, incarnation);
    snprintf(outbox->others, sizeof outbox->others, "%.31s/%%", name);
    return outbox;
}

void
outbox_destroy(struct outbox **outbox_p)
{
    if (!*outbox_p) return;
    PQfinish((*outbox_p)->connection);
    free(*outbox_p);
    *outbox_p = NULL;
}

const char *
outbox_trouble(const struct outbox *outbox)
{
    return outbox->trouble;
}

int64_t
outbox_cursor(const struct outbox *outbox)
{
    return outbox->cursor;
}

static bool
reclaim(struct outbox *outbox, struct moment now)
{
    char due[24];
    snprintf(due, sizeof due, "%" PRId64, now.wall_ms);
    const char *const params[] = {outbox->others, due, outbox->owner};
    PGresult *result = run(outbox, STATEMENT_RECLAIM, params, 3);
    if (!result) return false;
    const char *count = PQcmdTuples(result);
    if (strcmp(count, "0") != 0) log_event(LOG_INFO, "leases.reclaimed", "count=%s", count);
    PQclear(result);
    return true;
}

bool
outbox_ready(struct outbox *outbox, struct moment now)
{
    if (outbox->connection) return true;
    if (now.mono_ms < outbox->connect_at) return false;
    outbox->connection = pg_connect(outbox->home, "webhooks", outbox->partition, CONNECT_MS,
                                    outbox->trouble, sizeof outbox->trouble);
    if (!outbox->connection) {
        outbox->connect_at = clock_mono_ms() + RECONNECT_MS;
        return false;
    }
    if (!set_up(outbox) || !prepare(outbox)) return false;
    if (outbox->reclaim && !reclaim(outbox, now)) return false;
    outbox->reclaim = false;
    outbox->trouble[0] = '\0';
    return true;
}

/* --- arrays for unnest
 * ---------------------------------------------------------------------------- */

/* '{1,"two",NULL}', in memory that grows. */
struct array {
    char *text;
    size_t size, cap;
    bool lost; /* there was no memory: nothing more is added */
};

static void
array_put(struct array *array, const char *bytes, size_t size)
{
    if (array->cap - array->size < size) {
        const size_t cap = (array->cap + size) * 2 + 256;
        char *const text = array->lost ? NULL : realloc(array->text, cap);
        array->lost = !text;
        if (array->lost) return;
        array->text = text;
        array->cap = cap;
    }
    memcpy(array->text + array->size, bytes, size);
    array->size += size;
}

/* Between two elements. */
static void
array_next(struct array *array)
{
    if (array->size > 1) array_put(array, ",", 1);
}

static void
array_add_number(struct array *array, int64_t number)
{
    char digits[24];
    array_next(array);
    array_put(array, digits, (size_t)snprintf(digits, sizeof digits, "%" PRId64, number));
}

static void
array_add_text(struct array *array, const char *text)
{
    array_next(array);
    array_put(array, "\"", 1);
    for (size_t plain; *text; text += plain) {
        plain = strcspn(text, "\"\\");
        array_put(array, text, plain);
        if (!text[plain]) break;
        array_put(array, "\\", 1);
        array_put(array, text + plain++, 1);
    }
    array_put(array, "\"", 1);
}

static void
array_add_null(struct array *array)
{
    array_next(array);
    array_put(array, "NULL", 4);
}

static bool
array_open(struct array *array)
{
    *array = (struct array){0};
    array_put(array, "{", 1);
    return !array->lost;
}

static bool
arrays_open(struct array *arrays, size_t count)
{
    for (size_t i = 0; i < count; i++)
        arrays[i] = (struct array){0};
    for (size_t i = 0; i < count; i++)
        if (!array_open(&arrays[i])) return false;
    return true;
}

/* Ends the arrays and lists their texts in `params`. False when memory ran out. */
static bool
arrays_end(struct array *arrays, size_t count, const char **params)
{
    bool whole = true;
    for (size_t i = 0; i < count; i++) {
        array_put(&arrays[i], "}", 2); /* with the end of the text */
        whole = !arrays[i].lost && whole;
        params[i] = arrays[i].text;
    }
    return whole;
}

static void
arrays_free(struct array *arrays, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(arrays[i].text);
}

static int64_t
number_at(const PGresult *result, int row, int column)
{
    return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

static struct text
text_at(const PGresult *result, int row, int column)
{
    if (PQgetisnull(result, row, column)) return NO_TEXT;
    return (struct text){PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)};
}

/* --- from events to deliveries
 * -------------------------------------------------------------------- */

/* Before the events themselves: where the cursor stood, the last event that was looked at, and
 * whether the cursor was moved there, because nobody wants any of them. */
enum {
    NEWS_FROM,
    NEWS_TO,
    NEWS_MOVED,
    EVENT_SEQUENCE,
    EVENT_ID,
    EVENT_MERCHANT,
    EVENT_TYPE,
    EVENT_CREATED
};
enum { ENDPOINT_MERCHANT, ENDPOINT_ID, ENDPOINT_CREATED, ENDPOINT_EVENTS };

/* The first endpoint of that merchant: they come in their merchants' order. */
static int
first_endpoint(const PGresult *endpoints, const char *merchant)
{
    int low = 0, high = PQntuples(endpoints);
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (strcmp(PQgetvalue(endpoints, middle, ENDPOINT_MERCHANT), merchant) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct dispatch {
    struct array columns[4]; /* sequence, endpoint, merchant, event */
    int count;
    int64_t due_ms;
    outbox_endpoint_fn *on_delivery;
    void *state;
};

static void
match(struct dispatch *dispatch, const PGresult *events, int e, const PGresult *endpoints)
{
    const char *merchant = PQgetvalue(events, e, EVENT_MERCHANT);
    const int64_t created = number_at(events, e, EVENT_CREATED);
    const struct text type = text_at(events, e, EVENT_TYPE);
    for (int w = first_endpoint(endpoints, merchant);
         w < PQntuples(endpoints) &&
         strcmp(PQgetvalue(endpoints, w, ENDPOINT_MERCHANT), merchant) == 0;
         w++) {
        if (!endpoint_wants(text_at(endpoints, w, ENDPOINT_EVENTS),
                            number_at(endpoints, w, ENDPOINT_CREATED), type, created))
            continue;
        array_add_number(&dispatch->columns[0], number_at(events, e, EVENT_SEQUENCE));
        array_add_text(&dispatch->columns[1], PQgetvalue(endpoints, w, ENDPOINT_ID));
        array_add_text(&dispatch->columns[2], merchant);
        array_add_text(&dispatch->columns[3], PQgetvalue(events, e, EVENT_ID));
        dispatch->count++;
    }
}

static PGresult *
select_endpoints(struct outbox *outbox, const PGresult *events)
{
    struct array merchants;
    const char *param = NULL;
    PGresult *endpoints = NULL;
    if (!array_open(&merchants)) return NULL;
    for (int e = 0; e < PQntuples(events); e++) {
        const char *merchant = PQgetvalue(events, e, EVENT_MERCHANT);
        /* Runs of one merchant are common; the rest Postgres may sort out. */
        if (e && strcmp(merchant, PQgetvalue(events, e - 1, EVENT_MERCHANT)) == 0) continue;
        array_add_text(&merchants, merchant);
    }
    if (arrays_end(&merchants, 1, &param)) endpoints = run(outbox, STATEMENT_ENDPOINTS, &param, 1);
    arrays_free(&merchants, 1);
    return endpoints;
}

/* Moves the cursor and adds the deliveries; NULL for `endpoints`: there are none. `*moved` is false
 * when the cursor stands elsewhere by now, or is being moved by another process. */
static bool
run_dispatch(struct outbox *outbox, struct dispatch *dispatch, const char *from, const char *to,
             const PGresult *events, const PGresult *endpoints, bool *moved)
{
    const char *params[7];
    char due[24];
    snprintf(due, sizeof due, "%" PRId64, dispatch->due_ms);
    params[4] = due;
    params[5] = from;
    params[6] = to;

    bool whole = arrays_open(dispatch->columns, 4);
    for (int e = 0; whole && endpoints && e < PQntuples(events); e++)
        match(dispatch, events, e, endpoints);
    whole = whole && arrays_end(dispatch->columns, 4, params);
    if (dispatch->count) FAILPOINT(webhooks_mid_dispatch);
    PGresult *result = whole ? run(outbox, STATEMENT_DISPATCH, params, 7) : NULL;
    arrays_free(dispatch->columns, 4);
    if (!result) return false;
    *moved = number_at(result, 0, 0) == 1;
    PQclear(result);
    return true;
}

/* Of the events behind the cursor, `news` has those whose merchants have endpoints. */
static enum dispatch_verdict
dispatch_news(struct outbox *outbox, struct dispatch *dispatch, const PGresult *news)
{
    const char *from = PQgetvalue(news, 0, NEWS_FROM), *to = PQgetvalue(news, 0, NEWS_TO);
    PGresult *const endpoints = select_endpoints(outbox, news);
    bool moved = false, done = endpoints;
    if (done && FLORIN_MUTANT(cursor_before_deliveries)) {
        struct dispatch nothing = {.due_ms = dispatch->due_ms};
        done = run_dispatch(outbox, &nothing, from, to, news, NULL, &moved);
        from = to;
    }
    done = done && run_dispatch(outbox, dispatch, from, to, news, endpoints, &moved);
    if (done && moved && dispatch->count)
        for (int w = 0; w < PQntuples(endpoints); w++)
            dispatch->on_delivery(dispatch->state, PQgetvalue(endpoints, w, ENDPOINT_ID),
                                  dispatch->due_ms);
    PQclear(endpoints);
    if (!done) return DISPATCH_FAILED;
    if (!moved) return DISPATCH_OVERTAKEN;
    return dispatch->count ? DISPATCH_WANTED : DISPATCH_UNWANTED;
}

enum dispatch_verdict
outbox_dispatch(struct outbox *outbox, struct moment now, outbox_endpoint_fn *on_delivery,
                void *state, bool *more)
{
    struct dispatch dispatch = {.due_ms = now.wall_ms, .on_delivery = on_delivery, .state = state};
    const int64_t known = outbox->cursor;
    char limit[16], known_text[24];
    snprintf(limit, sizeof limit, "%d", OUTBOX_DISPATCH_MAX);
    snprintf(known_text, sizeof known_text, "%" PRId64, known);
    const char *const params[] = {limit, known >= 0 ? known_text : NULL};
    PGresult *news = run(outbox, STATEMENT_NEWS, params, 2);
    *more = false;
    if (!news) return DISPATCH_FAILED;
    assert(PQntuples(news) >= 1); /* the cursor has one row, and none of us takes it away */
    const int64_t from = number_at(news, 0, NEWS_FROM), to = number_at(news, 0, NEWS_TO);
    enum dispatch_verdict verdict = DISPATCH_OVERTAKEN;
    if (to <= from)
        verdict = DISPATCH_NOTHING;
    else if (!PQgetisnull(news, 0, EVENT_SEQUENCE))
        verdict = dispatch_news(outbox, &dispatch, news);
    else if (number_at(news, 0, NEWS_MOVED))
        verdict = DISPATCH_UNWANTED;
    else if (from != known)
        verdict = DISPATCH_LEFT;
    PQclear(news);
    if (verdict == DISPATCH_FAILED) return DISPATCH_FAILED;

    const bool moved = verdict == DISPATCH_WANTED || verdict == DISPATCH_UNWANTED;
    outbox->cursor = moved ? to : from;
    *more = moved && to - from == OUTBOX_DISPATCH_MAX;
    if (verdict == DISPATCH_WANTED) {
        FAILPOINT(webhooks_after_dispatch);
        log_event(LOG_DEBUG, "events.dispatched", "deliveries=%d cursor=%" PRId64, dispatch.count,
                  to);
    }
    return verdict;
}

bool
outbox_resend(struct outbox *outbox, struct moment now, outbox_endpoint_fn *on_delivery,
              void *state)
{
    char from[24], due[24];
    if (!outbox->resends_from_s) outbox->resends_from_s = now.wall_ms / 1000 - RESEND_LOOK_BACK_S;
    snprintf(from, sizeof from, "%" PRId64, outbox->resends_from_s);
    snprintf(due, sizeof due, "%" PRId64, now.wall_ms);
    const char *const params[] = {from, due};
    PGresult *result = run(outbox, STATEMENT_RESEND, params, 2);
    if (!result) return false;
    for (int i = 0; i < PQntuples(result); i++)
        on_delivery(state, PQgetvalue(result, i, 0), now.wall_ms);
    PQclear(result);
    outbox->resends_from_s =
        now.wall_ms / 1000 - (FLORIN_MUTANT(wish_is_never_late) ? 0 : RESEND_LATE_S);
    return true;
}

bool
outbox_scan(struct outbox *outbox, outbox_endpoint_fn *on_pending, void *state)
{
    char limit[16];
    snprintf(limit, sizeof limit, "%d", OUTBOX_SCAN_MAX);
    const char *const params[] = {outbox->scanned, limit};
    PGresult *result = run(outbox, STATEMENT_SCAN, params, 2);
    if (!result) return false;
    const int rows = PQntuples(result);
    for (int i = 0; i < rows; i++)
        if (!PQgetisnull(result, i, 1) && PQgetlength(result, i, 0) <= ENDPOINT_ID_MAX)
            on_pending(state, PQgetvalue(result, i, 0), number_at(result, i, 1));
    outbox->scanned[0] = '\0';
    if (rows == OUTBOX_SCAN_MAX)
        snprintf(outbox->scanned, sizeof outbox->scanned, "%s", PQgetvalue(result, rows - 1, 0));
    PQclear(result);
    return true;
}

/* --- leasing and marking
 * --------------------------------------------------------------------------- */

enum {
    LEASED_SEQUENCE,
    LEASED_ENDPOINT,
    LEASED_TRIES,
    LEASED_ID,
    LEASED_TYPE,
    LEASED_PACKED,
    LEASED_NTH,
    LEASED_REQUEST,
    LEASED_KEY,
    LEASED_CREATED,
    LEASED_URL,
    LEASED_SECRET,
    LEASED_ENABLED,
    LEASED_PENDING,
    LEASED_API_VERSION, /* the endpoint's own, else the event's */
};

/* What the event tells, in memory that is to be freed. False when it cannot be read. */
static bool
unpack(const PGresult *result, int row, char **memory, struct event *event)
{
    size_t size;
    uint8_t *const bytes =
        PQunescapeBytea((uint8_t *)PQgetvalue(result, row, LEASED_PACKED), &size);
    const struct text packed = {(const char *)bytes, bytes ? size : 0};
    const size_t cap = event_unpack_bound(packed);
    char *const kept = cap ? malloc(cap + size) : NULL;
    *memory = kept;
    if (kept) memcpy(kept + cap, bytes, size); /* what is not packed is told from where it stands */
    PQfreemem(bytes);
    return kept && event_unpack((struct text){kept + cap, size},
                                (uint64_t)number_at(result, row, LEASED_NTH), kept, cap,
                                &event->data, &event->previous);
}

static void
tell_leased(const PGresult *result, int row, int64_t until_ms, outbox_leased_fn *on_leased,
            void *state)
{
    char *memory = NULL;
    struct leased leased = {
        .sequence = number_at(result, row, LEASED_SEQUENCE),
        .lease_until_ms = until_ms,
        .tries = number_at(result, row, LEASED_TRIES),
        .endpoint = PQgetvalue(result, row, LEASED_ENDPOINT),
        .event = {.id = text_at(result, row, LEASED_ID),
                  .type = text_at(result, row, LEASED_TYPE),
                  .api_version = text_at(result, row, LEASED_API_VERSION),
                  .request = text_at(result, row, LEASED_REQUEST),
                  .key = text_at(result, row, LEASED_KEY),
                  .created = number_at(result, row, LEASED_CREATED),
                  .pending_webhooks = number_at(result, row, LEASED_PENDING)},
        .url = PQgetvalue(result, row, LEASED_URL),
        .secret = text_at(result, row, LEASED_SECRET),
        .enabled = text_is(text_at(result, row, LEASED_ENABLED), "t") &&
                   !PQgetisnull(result, row, LEASED_SECRET),
    };
    if (unpack(result, row, &memory, &leased.event))
        on_leased(state, &leased);
    else /* it is leased again when its lease has ended */
        log_event(LOG_ERROR, "event.unreadable", "sequence=%" PRId64, leased.sequence);
    free(memory);
}

bool
outbox_lease(struct outbox *outbox, struct moment now, int64_t lease_ms,
             const struct endpoint_want *wants, size_t count, int *found,
             outbox_leased_fn *on_leased, void *state)
{
    const int64_t until_ms = now.wall_ms + lease_ms;
    struct array columns[2]; /* endpoint, count */
    const char *params[5];
    char due[24], until[24];
    snprintf(due, sizeof due, "%" PRId64, now.wall_ms);
    snprintf(until, sizeof until, "%" PRId64, until_ms);
    params[2] = due;
    params[3] = outbox->owner;
    params[4] = until;

    bool whole = arrays_open(columns, 2);
    for (size_t i = 0; whole && i < count; i++) {
        array_add_text(&columns[0], wants[i].endpoint);
        array_add_number(&columns[1], wants[i].count);
        found[i] = 0;
    }
    whole = whole && arrays_end(columns, 2, params);
    PGresult *result = whole ? run(outbox, STATEMENT_LEASE, params, 5) : NULL;
    arrays_free(columns, 2);
    if (!result) return false;
    for (int row = 0; row < PQntuples(result); row++) {
        const char *endpoint = PQgetvalue(result, row, LEASED_ENDPOINT);
        for (size_t i = 0; i < count; i++)
            if (strcmp(wants[i].endpoint, endpoint) == 0) found[i]++;
        tell_leased(result, row, until_ms, on_leased, state);
    }
    PQclear(result);
    return true;
}

bool
outbox_mark(struct outbox *outbox, const struct mark *marks, size_t count, size_t *lost)
{
    static const char *const states[] = {"pending", "delivered", "failed"};
    struct array columns[10];
    const char *params[PARAMS_MAX] = {outbox->owner};

    bool whole = arrays_open(columns, 10);
    for (size_t i = 0; whole && i < count; i++) {
        const struct mark *mark = &marks[i];
        array_add_number(&columns[0], mark->sequence);
        array_add_text(&columns[1], mark->endpoint);
        array_add_number(&columns[2], mark->lease_until_ms);
        array_add_text(&columns[3], states[mark->state]);
        array_add_number(&columns[4], mark->number);
        array_add_number(&columns[5], mark->next_ms);
        array_add_number(&columns[6], mark->at_ms);
        array_add_number(&columns[7], mark->duration_ms);
        if (mark->status)
            array_add_number(&columns[8], mark->status);
        else
            array_add_null(&columns[8]);
        if (mark->error[0])
            array_add_text(&columns[9], mark->error);
        else
            array_add_null(&columns[9]);
    }
    whole = whole && arrays_end(columns, 10, params + 1);
    PGresult *result = whole ? run(outbox, STATEMENT_MARK, params, PARAMS_MAX) : NULL;
    arrays_free(columns, 10);
    if (!result) return false;
    *lost = count - (size_t)number_at(result, 0, 0);
    PQclear(result);
    return true;
}

bool
outbox_abandon(struct outbox *outbox, const char *endpoint, int status)
{
    char text[16];
    snprintf(text, sizeof text, "%d", status);
    const char *const params[] = {endpoint, status ? text : NULL};
    PGresult *result = run(outbox, STATEMENT_ABANDON, params, 2);
    if (!result) return false;
    log_event(LOG_INFO, "endpoint.abandoned", "endpoint=%s status=%d deliveries=%s", endpoint,
              status, PQcmdTuples(result));
    PQclear(result);
    return true;
}

void
outbox_release(struct outbox *outbox, struct moment now)
{
    if (!outbox->connection) return;
    char due[24];
    snprintf(due, sizeof due, "%" PRId64, now.wall_ms);
    const char *const params[] = {outbox->owner, due, ""};
    PQclear(run(outbox, STATEMENT_RECLAIM, params, 3));
}
