#include "question.h"

#include "clock.h"
#include "log.h"
#include "names.h"
#include <assert.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define QUERY_MS_MAX 500
#define CONNECT_MS_MAX 500
#define CONNECT_PAUSE_MS_MIN 50
#define CONNECT_PAUSE_MS_MAX 1000
#define PREPARED_MAX 256

/* A statement that this connection knows, by its text. */
struct prepared {
    struct name_node node;
    char name[16];
    char sql[SQL_MAX];
};

struct database {
    const char *home;
    int partition;
    PGconn *connection;
    int64_t try_again_ms, pause_ms;
    struct names by_sql;
    struct prepared *prepared[PREPARED_MAX];
    size_t prepared_count;
};

struct database *
database_new(const char *home, int partition)
{
    struct database *const database = calloc(1, sizeof *database);
    if (!database) abort();
    database->home = home;
    database->partition = partition;
    database->pause_ms = CONNECT_PAUSE_MS_MIN;
    names_init(&database->by_sql);
    return database;
}

static void
forget_prepared(struct database *database)
{
    while (database->prepared_count) {
        struct prepared *const prepared = database->prepared[--database->prepared_count];
        names_remove(&database->by_sql, &prepared->node);
        free(prepared);
    }
}

static void
disconnect(struct database *database)
{
    forget_prepared(database);
    if (database->connection) PQfinish(database->connection);
    database->connection = NULL;
}

void
database_destroy(struct database **database_p)
{
    struct database *const database = *database_p;
    if (!database) return;
    disconnect(database);
    names_end(&database->by_sql);
    free(database);
    *database_p = NULL;
}

/* --- asking ---------------------------------------------------------------------------------- */

/* Postgres tells its own troubles in its own log. */
static void
ignore_notice(void *state, const PGresult *result)
{
    (void)state, (void)result;
}

static bool
connected(struct database *database)
{
    char error[256];
    if (database->connection) return true;
    if (clock_mono_ms() < database->try_again_ms) return false;
    database->connection = pg_connect(database->home, "payments", database->partition,
                                      CONNECT_MS_MAX, error, sizeof error);
    if (!database->connection) {
        log_event(LOG_WARNING, "postgres.unreachable", "reason=\"%s\"", error);
        database->try_again_ms = clock_mono_ms() + database->pause_ms;
        database->pause_ms = database->pause_ms * 2 < CONNECT_PAUSE_MS_MAX ? database->pause_ms * 2
                                                                           : CONNECT_PAUSE_MS_MAX;
        return false;
    }
    PQsetNoticeReceiver(database->connection, ignore_notice, NULL);
    database->pause_ms = CONNECT_PAUSE_MS_MIN;
    return true;
}

/* Waits for the answer to what was sent. NULL when the connection is lost or too slow, or when
 * Postgres refuses the statement; in the first case there is no connection any more. */
static PGresult *
answer(struct database *database)
{
    PGconn *const connection = database->connection;
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
                disconnect(database);
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
        disconnect(database);
    else
        log_event(LOG_ERROR, "postgres.refused", "reason=\"%s\"", PQresultErrorMessage(first));
    PQclear(first);
    return NULL;
}

static struct prepared *
prepare(struct database *database, const char *sql)
{
    struct prepared *prepared = names_find(&database->by_sql, text_of(sql));
    if (prepared) return prepared;
    if (database->prepared_count == PREPARED_MAX) { /* more shapes than there are: begin anew */
        disconnect(database);
        if (!connected(database)) return NULL;
    }
    if (!(prepared = calloc(1, sizeof *prepared))) abort();
    snprintf(prepared->sql, sizeof prepared->sql, "%s", sql);
    snprintf(prepared->name, sizeof prepared->name, "read_%zu", database->prepared_count);
    if (!PQsendPrepare(database->connection, prepared->name, sql, 0, NULL)) {
        disconnect(database);
        free(prepared);
        return NULL;
    }
    PGresult *const result = answer(database);
    if (!result) {
        free(prepared);
        return NULL;
    }
    PQclear(result);
    database->prepared[database->prepared_count++] = prepared;
    names_add(&database->by_sql, &prepared->node, text_of(prepared->sql), prepared);
    return prepared;
}

void
say(struct question *q, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(q->sql + q->size, sizeof q->sql - q->size, format, arguments);
    va_end(arguments);
    assert(size >= 0 && (size_t)size < sizeof q->sql - q->size);
    q->size += (size_t)size;
}

int
with(struct question *q, struct text value)
{
    assert(q->count < PARAMETERS_MAX);
    char *const copy = arena_take(q->arena, value.size + 1);
    if (value.size) memcpy(copy, value.at, value.size);
    q->values[q->count] = copy;
    return ++q->count;
}

int
with_bytes(struct question *q, struct text value)
{
    const int number = with(q, value);
    q->lengths[number - 1] = (int)value.size;
    q->formats[number - 1] = 1;
    return number;
}

static PGresult *
ask_once(struct database *database, const struct question *q)
{
    if (!connected(database)) return NULL;
    const struct prepared *const prepared = prepare(database, q->sql);
    if (!prepared) return NULL;
    if (!PQsendQueryPrepared(database->connection, prepared->name, q->count, q->values, q->lengths,
                             q->formats, 0)) {
        disconnect(database);
        return NULL;
    }
    return answer(database);
}

static PGresult *
ask_once_unprepared(struct database *database, const struct question *q)
{
    if (!connected(database)) return NULL;
    if (!PQsendQueryParams(database->connection, q->sql, q->count, NULL, q->values, q->lengths,
                           q->formats, 0)) {
        disconnect(database);
        return NULL;
    }
    return answer(database);
}

PGresult *
ask_unprepared(struct database *database, const struct question *q)
{
    const bool old = database->connection != NULL;
    PGresult *result = ask_once_unprepared(database, q);
    if (!result && old && !database->connection) result = ask_once_unprepared(database, q);
    return result;
}

/* A connection may have died unnoticed since it was last used: that is found out here, and mended
 * at once if Postgres is back. */
PGresult *
ask(struct database *database, const struct question *q)
{
    const bool old = database->connection != NULL;
    PGresult *result = ask_once(database, q);
    if (!result && old && !database->connection) result = ask_once(database, q);
    return result;
}

struct question *
question_new(struct arena *arena)
{
    struct question *const q = arena_take(arena, sizeof *q);
    q->arena = arena;
    return q;
}

const char *
columns_of(struct question *q, enum row_table table)
{
    char *const columns = arena_take(q->arena, SQL_MAX / 2);
    const size_t size = pg_columns(table, columns, SQL_MAX / 2);
    assert(size < SQL_MAX / 2);
    return columns;
}

void
say_range(struct question *q, const char *leading, struct text after, struct text before,
          struct text least, struct text below, int limit)
{
    const char *const order = before.at ? "ASC" : "DESC";
    if (after.at) say(q, " AND id < $%d", with(q, after));
    if (before.at) say(q, " AND id > $%d", with(q, before));
    if (least.at) say(q, " AND id >= $%d", with(q, least));
    if (below.at) say(q, " AND id < $%d", with(q, below));
    say(q, " ORDER BY ");
    if (leading) say(q, "%s %s, ", leading, order);
    say(q, "id %s LIMIT $%d::bigint", order, with(q, arena_format(q->arena, "%d", limit + 1)));
}

int
nth_of_page(bool upwards, int count, int n)
{
    return upwards ? count - 1 - n : n;
}

int64_t
number_at(const PGresult *result, int row, int column)
{
    return strtoll(PQgetvalue(result, row, column), NULL, 10);
}
