#include "cabinet.h"

#include "clock.h"
#include "log.h"
#include "pg.h"

#include <arpa/inet.h>
#include <assert.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_EVERY_MS 250
#define CONNECT_TIMEOUT_MS 300
#define BATCH_PATIENCE_MS 6000 /* a little more than the role's statement_timeout */

enum errand_kind { KEEP, FIND };

struct errand {
    enum errand_kind kind;
    uint32_t ticket;
    int64_t end_ms;
    struct card_record record; /* KEEP: all of it; FIND: the token */
};

/* A batch is a list of steps, each one statement over arrays. A step that answers rows bears in
 * their first column the place, from 1, of the errand among those of its kind. */
enum step { STEP_KEEP, STEP_KEPT, STEP_FIND, STEP_COUNT };

// clang-format off
#define CARD_COLUMNS "card.token, card.merchant, card.identity, card.key_version, card.wrapped_key, card.sealed"
static const struct {
    const char *name, *sql;
    int parameters;
} statements[STEP_COUNT] = {
    [STEP_KEEP] = {"keep",
        "INSERT INTO card (token, merchant, identity, key_version, wrapped_key, sealed, created)"
        " SELECT *, extract(epoch FROM now())::bigint"
        " FROM unnest($1::text[], $2::text[], $3::bytea[], $4::integer[], $5::bytea[], $6::bytea[])"
        " ON CONFLICT DO NOTHING", 6},
    [STEP_KEPT] = {"kept",
        "SELECT wanted.place, " CARD_COLUMNS
        " FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS wanted (merchant, identity, place)"
        " JOIN card USING (merchant, identity)", 2},
    [STEP_FIND] = {"find",
        "SELECT wanted.place, " CARD_COLUMNS
        " FROM unnest($1::text[]) WITH ORDINALITY AS wanted (token, place)"
        " JOIN card USING (token)", 1},
};
// clang-format on

/* A statement that was prepared while the table was small must not scan it when it is large. */
static const char session[] =
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off";

struct cabinet {
    struct loop *loop;
    const char *home;
    errand_fn *on_end;
    void *state;

    PGconn *connection; /* NULL: not connected */
    int64_t connect_ms; /* not before */
    bool complained;

    /* A ring: the first `under_way` of `count` are in the batch that was sent. */
    struct errand errands[ERRANDS_MAX];
    uint32_t first, count, under_way;

    int64_t batch_end_ms;
    enum step steps[STEP_COUNT];
    int step_count, step;
    bool batch_failed;
    /* What the batch found, by place. */
    struct card_record found[STEP_COUNT][ERRANDS_PER_BATCH];
    bool is_found[STEP_COUNT][ERRANDS_PER_BATCH];
};

/* --- arrays in Postgres's binary form ------------------------------------------------------------
 */

enum { TYPE_BYTEA = 17, TYPE_INTEGER = 23, TYPE_TEXT = 25 };

struct array {
    char bytes[20 + ERRANDS_PER_BATCH * (4 + 80)];
    size_t size;
    uint32_t count, type;
};

static void
put_u32(struct array *array, uint32_t value)
{
    const uint32_t wire = htonl(value);
    assert(array->size + 4 <= sizeof array->bytes);
    memcpy(array->bytes + array->size, &wire, 4);
    array->size += 4;
}

static void
array_begin(struct array *array, uint32_t type)
{
    array->size = 20; /* the head is written by array_end */
    array->count = 0;
    array->type = type;
}

static void
array_add(struct array *array, const void *at, size_t size)
{
    put_u32(array, (uint32_t)size);
    assert(array->size + size <= sizeof array->bytes);
    memcpy(array->bytes + array->size, at, size);
    array->size += size;
    array->count++;
}

static void
array_add_string(struct array *array, const char *string)
{
    array_add(array, string, strlen(string));
}

static void
array_add_integer(struct array *array, int32_t value)
{
    const uint32_t wire = htonl((uint32_t)value);
    array_add(array, &wire, sizeof wire);
}

static void
array_end(struct array *array)
{
    const size_t size = array->size;
    array->size = 0;
    put_u32(array, 1); /* dimensions */
    put_u32(array, 0); /* no nulls */
    put_u32(array, array->type);
    put_u32(array, array->count);
    put_u32(array, 1); /* the first index */
    array->size = size;
}

static bool
send_step(struct cabinet *cabinet, enum step step, struct array *arrays)
{
    const char *values[8];
    int sizes[8], formats[8];
    const int parameters = statements[step].parameters;
    for (int i = 0; i < parameters; i++) {
        array_end(&arrays[i]);
        values[i] = arrays[i].bytes;
        sizes[i] = (int)arrays[i].size;
        formats[i] = 1;
    }
    cabinet->steps[cabinet->step_count++] = step;
    return PQsendQueryPrepared(cabinet->connection, statements[step].name, parameters, values,
                               sizes, formats, 1) == 1;
}

/* --- the connection ------------------------------------------------------------------------------
 */

static void on_ready(void *state, int fd, short events);

static void
complain(struct cabinet *cabinet, const char *reason)
{
    if (!cabinet->complained)
        log_event(LOG_WARNING, "postgres.lost", "reason=%.*s", (int)strcspn(reason, "\n"), reason);
    cabinet->complained = true;
}

static void
disconnect(struct cabinet *cabinet, int64_t mono_ms)
{
    if (cabinet->connection) {
        complain(cabinet, PQerrorMessage(cabinet->connection));
        const int fd = PQsocket(cabinet->connection);
        if (fd >= 0) loop_unwatch(cabinet->loop, fd);
        PQfinish(cabinet->connection);
    }
    cabinet->connection = NULL;
    cabinet->connect_ms = mono_ms + CONNECT_EVERY_MS;
    cabinet->under_way = 0; /* they are sent again */
}

static bool
prepare(PGconn *connection)
{
    bool fine = true;
    PGresult *result = PQexec(connection, session);
    fine = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    for (int s = 0; fine && s < STEP_COUNT; s++) {
        result = PQprepare(connection, statements[s].name, statements[s].sql, 0, NULL);
        fine = PQresultStatus(result) == PGRES_COMMAND_OK;
        PQclear(result);
    }
    return fine && PQsetnonblocking(connection, 1) == 0 && PQenterPipelineMode(connection) == 1;
}

/* Connecting waits, for a moment and not often: the socket is on this machine, and without Postgres
 * there is nothing else to do here than to reveal what is on the shelf. */
static void
connect_now(struct cabinet *cabinet)
{
    char error[512];
    PGconn *connection =
        pg_connect(cabinet->home, "vault", 1, CONNECT_TIMEOUT_MS, error, sizeof error);
    cabinet->connect_ms = clock_mono_ms() + CONNECT_EVERY_MS; /* after the waiting, not before */
    if (!connection) {
        complain(cabinet, error);
        return;
    }
    if (!prepare(connection)) {
        complain(cabinet, PQerrorMessage(connection));
        PQfinish(connection);
        return;
    }
    log_event(LOG_INFO, "postgres.connected", "backend=%d", PQbackendPID(connection));
    cabinet->connection = connection;
    cabinet->complained = false;
    loop_watch(cabinet->loop, PQsocket(connection), POLLIN, on_ready, cabinet);
}

/* --- a batch -------------------------------------------------------------------------------------
 */

static struct errand *
errand_at(struct cabinet *cabinet, uint32_t place)
{
    return &cabinet->errands[(cabinet->first + place) % ERRANDS_MAX];
}

static void
flush(struct cabinet *cabinet, int64_t mono_ms)
{
    const int left = PQflush(cabinet->connection);
    if (left < 0) {
        disconnect(cabinet, mono_ms);
        return;
    }
    loop_watch(cabinet->loop, PQsocket(cabinet->connection), left ? POLLIN | POLLOUT : POLLIN,
               on_ready, cabinet);
}

static bool
send_steps(struct cabinet *cabinet, uint32_t size)
{
    static struct array keep[6], find[1]; /* one thread, and too large for its stack */
    static const uint32_t keep_types[6] = {TYPE_TEXT,    TYPE_TEXT,  TYPE_BYTEA,
                                           TYPE_INTEGER, TYPE_BYTEA, TYPE_BYTEA};
    for (int i = 0; i < 6; i++)
        array_begin(&keep[i], keep_types[i]);
    array_begin(&find[0], TYPE_TEXT);
    for (uint32_t i = 0; i < size; i++) {
        const struct errand *errand = errand_at(cabinet, i);
        const struct card_record *record = &errand->record;
        if (errand->kind == FIND) {
            array_add_string(&find[0], record->token);
            continue;
        }
        array_add_string(&keep[0], record->token);
        array_add_string(&keep[1], record->merchant);
        array_add(&keep[2], record->identity, IDENTITY_BYTES);
        array_add_integer(&keep[3], record->sealed.key_version);
        array_add(&keep[4], record->sealed.wrapped_key, WRAPPED_KEY_BYTES);
        array_add(&keep[5], record->sealed.sealed, SEALED_CARD_BYTES);
    }
    if (keep[0].count > 0 && !send_step(cabinet, STEP_KEEP, keep)) return false;
    if (keep[0].count > 0 && !send_step(cabinet, STEP_KEPT, &keep[1])) return false;
    if (find[0].count > 0 && !send_step(cabinet, STEP_FIND, find)) return false;
    return PQpipelineSync(cabinet->connection) == 1;
}

static void
send_batch(struct cabinet *cabinet, int64_t mono_ms)
{
    const uint32_t size = cabinet->count < ERRANDS_PER_BATCH ? cabinet->count : ERRANDS_PER_BATCH;
    cabinet->step_count = cabinet->step = 0;
    cabinet->batch_failed = false;
    memset(cabinet->is_found, 0, sizeof cabinet->is_found);
    if (!send_steps(cabinet, size)) {
        disconnect(cabinet, mono_ms);
        return;
    }
    cabinet->under_way = size;
    cabinet->batch_end_ms = mono_ms + BATCH_PATIENCE_MS;
    flush(cabinet, mono_ms);
}

static bool
take_text(const PGresult *rows, int row, int column, char *out, size_t cap)
{
    const int size = PQgetlength(rows, row, column);
    if (size < 1 || (size_t)size >= cap) return false;
    memcpy(out, PQgetvalue(rows, row, column), (size_t)size);
    out[size] = '\0';
    return true;
}

static bool
take_bytes(const PGresult *rows, int row, int column, uint8_t *out, size_t size)
{
    if ((size_t)PQgetlength(rows, row, column) != size) return false;
    memcpy(out, PQgetvalue(rows, row, column), size);
    return true;
}

static bool
take_record(const PGresult *rows, int row, uint64_t *place, struct card_record *record)
{
    uint8_t number[8], version[4];
    memset(record, 0, sizeof *record);
    *place = 0;
    if (PQnfields(rows) != 7 || !take_bytes(rows, row, 0, number, sizeof number)) return false;
    for (size_t i = 0; i < sizeof number; i++)
        *place = *place << 8 | number[i];
    if (!take_bytes(rows, row, 4, version, sizeof version)) return false;
    record->sealed.key_version = (int32_t)((uint32_t)version[0] << 24 | (uint32_t)version[1] << 16 |
                                           (uint32_t)version[2] << 8 | version[3]);
    return take_text(rows, row, 1, record->token, sizeof record->token) &&
           take_text(rows, row, 2, record->merchant, sizeof record->merchant) &&
           take_bytes(rows, row, 3, record->identity, IDENTITY_BYTES) &&
           take_bytes(rows, row, 5, record->sealed.wrapped_key, WRAPPED_KEY_BYTES) &&
           take_bytes(rows, row, 6, record->sealed.sealed, SEALED_CARD_BYTES) && *place > 0 &&
           *place <= ERRANDS_PER_BATCH;
}

static void
take_rows(struct cabinet *cabinet, enum step step, const PGresult *rows)
{
    for (int row = 0; row < PQntuples(rows); row++) {
        struct card_record record;
        uint64_t place;
        if (!take_record(rows, row, &place, &record)) {
            log_event(LOG_ERROR, "cabinet.malformed", "statement=%s", statements[step].name);
            continue;
        }
        cabinet->found[step][place - 1] = record;
        cabinet->is_found[step][place - 1] = true;
    }
}

/* The transaction is over: now, and not before, the askers are told. */
static void
end_batch(struct cabinet *cabinet)
{
    uint32_t places[STEP_COUNT] = {0};
    for (; cabinet->under_way > 0; cabinet->under_way--) {
        const struct errand *errand = errand_at(cabinet, 0);
        const enum step step = errand->kind == KEEP ? STEP_KEPT : STEP_FIND;
        const uint32_t place = places[step]++;
        const bool found = !cabinet->batch_failed && cabinet->is_found[step][place];
        const uint32_t ticket = errand->ticket;
        /* A card that was kept and is not there has a token that was another's: refuse, don't
         * guess. */
        const enum errand_end otherwise =
            cabinet->batch_failed || errand->kind == KEEP ? ERRAND_FAILED : ERRAND_UNKNOWN;
        cabinet->first = (cabinet->first + 1) % ERRANDS_MAX;
        cabinet->count--;
        cabinet->on_end(cabinet->state, ticket, found ? ERRAND_DONE : otherwise,
                        found ? &cabinet->found[step][place] : NULL);
    }
}

static void
take_result(struct cabinet *cabinet, const PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK: break;
    case PGRES_TUPLES_OK: take_rows(cabinet, cabinet->steps[cabinet->step], result); break;
    case PGRES_PIPELINE_SYNC: end_batch(cabinet); break;
    case PGRES_PIPELINE_ABORTED: break;
    default:
        cabinet->batch_failed = true;
        log_event(LOG_ERROR, "cabinet.refused", "reason=%.*s",
                  (int)strcspn(PQresultErrorMessage(result), "\n"), PQresultErrorMessage(result));
    }
}

static void
on_ready(void *state, int fd, short events)
{
    (void)fd;
    (void)events;
    struct cabinet *cabinet = state;
    const int64_t mono_ms = clock_mono_ms();
    if (!cabinet->connection) return;
    if (!PQconsumeInput(cabinet->connection)) {
        disconnect(cabinet, mono_ms);
        return;
    }
    while (cabinet->under_way > 0 && !PQisBusy(cabinet->connection)) {
        PGresult *result = PQgetResult(cabinet->connection);
        if (!result && cabinet->step < cabinet->step_count) {
            cabinet->step++; /* NULL stands between the answers of two statements */
            continue;
        }
        if (!result) break;
        take_result(cabinet, result);
        PQclear(result);
    }
    if (PQstatus(cabinet->connection) != CONNECTION_OK)
        disconnect(cabinet, mono_ms);
    else
        flush(cabinet, mono_ms);
}

/* --- what others call
 * ------------------------------------------------------------------------------ */

struct cabinet *
cabinet_new(struct loop *loop, const char *home, errand_fn *on_end, void *state)
{
    struct cabinet *cabinet = calloc(1, sizeof *cabinet);
    if (!cabinet) die("There is no memory for the vault's cabinet.");
    cabinet->loop = loop;
    cabinet->home = home;
    cabinet->on_end = on_end;
    cabinet->state = state;
    return cabinet;
}

void
cabinet_destroy(struct cabinet **cabinet_p)
{
    struct cabinet *cabinet = *cabinet_p;
    *cabinet_p = NULL;
    if (!cabinet) return;
    if (cabinet->connection) {
        loop_unwatch(cabinet->loop, PQsocket(cabinet->connection));
        PQfinish(cabinet->connection);
    }
    free(cabinet);
}

static struct errand *
errand_new(struct cabinet *cabinet, enum errand_kind kind, uint32_t ticket, int64_t mono_ms)
{
    if (cabinet->count == ERRANDS_MAX) return NULL;
    struct errand *errand = errand_at(cabinet, cabinet->count++);
    errand->kind = kind;
    errand->ticket = ticket;
    errand->end_ms = mono_ms + ERRAND_PATIENCE_MS;
    return errand;
}

bool
cabinet_keep(struct cabinet *cabinet, uint32_t ticket, const struct card_record *record,
             int64_t mono_ms)
{
    struct errand *errand = errand_new(cabinet, KEEP, ticket, mono_ms);
    if (!errand) return false;
    errand->record = *record;
    return true;
}

bool
cabinet_find(struct cabinet *cabinet, uint32_t ticket, struct text token, int64_t mono_ms)
{
    assert(token.size <= NAME_SIZE_MAX);
    struct errand *errand = errand_new(cabinet, FIND, ticket, mono_ms);
    if (!errand) return false;
    memset(&errand->record, 0, sizeof errand->record);
    memcpy(errand->record.token, token.at, token.size);
    return true;
}

/* What waits in vain fails in the order in which it came. Never what is under way: its commit may
 * have happened, and the answer is not far. */
static void
give_up_late_ones(struct cabinet *cabinet, int64_t mono_ms)
{
    while (cabinet->under_way == 0 && cabinet->count > 0 &&
           errand_at(cabinet, 0)->end_ms <= mono_ms) {
        const uint32_t ticket = errand_at(cabinet, 0)->ticket;
        cabinet->first = (cabinet->first + 1) % ERRANDS_MAX;
        cabinet->count--;
        cabinet->on_end(cabinet->state, ticket, ERRAND_FAILED, NULL);
    }
}

int64_t
cabinet_turn(struct cabinet *cabinet, int64_t mono_ms)
{
    if (cabinet->under_way > 0 && cabinet->batch_end_ms <= mono_ms) disconnect(cabinet, mono_ms);
    if (!cabinet->connection && cabinet->connect_ms <= mono_ms) connect_now(cabinet);
    give_up_late_ones(cabinet, mono_ms);
    if (cabinet->connection && cabinet->under_way == 0 && cabinet->count > 0)
        send_batch(cabinet, mono_ms);

    int64_t wait_ms = 1000;
    if (!cabinet->connection && cabinet->connect_ms - mono_ms < wait_ms)
        wait_ms = cabinet->connect_ms - mono_ms;
    if (cabinet->count > 0 && errand_at(cabinet, 0)->end_ms - mono_ms < wait_ms)
        wait_ms = errand_at(cabinet, 0)->end_ms - mono_ms;
    return wait_ms > 0 ? wait_ms : 1;
}

bool
cabinet_is_open(const struct cabinet *cabinet)
{
    return cabinet->connection != NULL;
}
