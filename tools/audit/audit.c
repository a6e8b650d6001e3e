#include "audit.h"

#include "clock.h"
#include "findings.h"
#include "json_writer.h"
#include "network_check.h"
#include "outbox_check.h"
#include "partition.h"
#include "pg.h"
#include "settings.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECT_MS 5000
#define AGAIN_MS 500

// clang-format off
static const struct check_text {
    const char *id, *title, *sql;
} checks[CHECK_COUNT] = {
#define CHECK(id, title, sql) [CHECK_##id] = {#id, title, sql},
#include "checks.def"
#undef CHECK
#define AS_TEXT(id, title) [CHECK_##id] = {#id, title, NULL},
OTHER_CHECKS(AS_TEXT)
#undef AS_TEXT
};
// clang-format on

void
finding_add(struct findings *findings, enum check check, const char *format, ...)
{
    struct finding *f = &findings->of[check];
    va_list arguments;
    va_start(arguments, format);
    if (f->count < FINDINGS_NAMED) vsnprintf(f->named[f->count], FINDING_MAX, format, arguments);
    va_end(arguments);
    f->count++;
}

/* --- looking ---------------------------------------------------------------------------------- */

static bool
command(PGconn *conn, const char *sql, char *error, size_t error_size)
{
    PGresult *r = PQexec(conn, sql);
    const bool fine = PQresultStatus(r) == PGRES_COMMAND_OK;
    if (!fine) snprintf(error, error_size, "%s", PQerrorMessage(conn));
    PQclear(r);
    return fine;
}

/* All of them are counted; only the first few come over. */
static bool
check_by_sql(PGconn *conn, enum check check, struct findings *findings, char *error,
             size_t error_size)
{
    static char sql[8192];
    snprintf(sql, sizeof sql,
             "WITH wrong(what) AS MATERIALIZED (%s)"
             " SELECT (SELECT count(*) FROM wrong), what FROM wrong LIMIT %d",
             checks[check].sql, FINDINGS_NAMED);
    PGresult *r = PQexec(conn, sql);
    const bool fine = PQresultStatus(r) == PGRES_TUPLES_OK;
    if (!fine) snprintf(error, error_size, "%s: %s", checks[check].id, PQerrorMessage(conn));
    const int64_t before = findings->of[check].count; /* in other partitions */
    for (int i = 0; fine && i < PQntuples(r); i++)
        finding_add(findings, check, "%s", PQgetvalue(r, i, 1));
    if (fine && PQntuples(r)) findings->of[check].count = before + atoll(PQgetvalue(r, 0, 0));
    PQclear(r);
    return fine;
}

/* A partition's books, in one snapshot that lasts as long as the connection, which is *conn_p. */
static bool
look_at_partition(const char *home, int partition, PGconn **conn_p, struct findings *findings,
                  char *error, size_t error_size)
{
    PGconn *const conn = *conn_p =
        pg_connect(home, "auditor", partition, CONNECT_MS, error, error_size);
    bool fine = conn && command(conn, "SET statement_timeout = 0", error, error_size) &&
                command(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", error, error_size);
    for (int check = 0; fine && check < SQL_CHECK_COUNT; check++)
        fine = check_by_sql(conn, (enum check)check, findings, error, error_size);
    return fine && outbox_check(conn, findings, error, error_size);
}

static bool
look(const char *home, struct findings *findings, char *error, size_t error_size)
{
    PGconn *conns[PARTITIONS_MAX] = {NULL};
    struct settings settings;
    const int64_t snapshot_ms = clock_wall_ms();
    memset(findings, 0, sizeof *findings);
    if (!settings_read(home, &settings, error, error_size)) return false;
    const int partitions = (int)settings.partitions;
    bool fine = true;
    for (int i = 0; fine && i < partitions; i++)
        fine = look_at_partition(home, i + 1, &conns[i], findings, error, error_size);
    fine = fine && network_check(home, conns, partitions, snapshot_ms, findings, error, error_size);
    for (int i = 0; i < partitions; i++)
        PQfinish(conns[i]);
    return fine;
}

static int
wrong_count(const struct findings *findings)
{
    int wrong = 0;
    for (int i = 0; i < CHECK_COUNT; i++)
        wrong += findings->of[i].count > 0;
    return wrong;
}

/* --- telling ---------------------------------------------------------------------------------- */

static int
named_count(const struct finding *f)
{
    return f->count < FINDINGS_NAMED ? (int)f->count : FINDINGS_NAMED;
}

static void
tell_line(const struct check_text *text, const struct finding *f, FILE *out)
{
    if (f->count == 0) {
        fprintf(out, "ok    %s  %s\n", text->id, text->title);
        return;
    }
    fprintf(out, "FAIL  %s  %s: %lld\n", text->id, text->title, (long long)f->count);
    for (int i = 0; i < named_count(f); i++)
        fprintf(out, "           %s\n", f->named[i]);
}

static void
tell_json(const struct check_text *text, const struct finding *f, FILE *out)
{
    char memory[4096];
    struct json_writer w;
    json_writer_init(&w, memory, sizeof memory);
    json_open(&w);
    json_string(&w, "id", text->id);
    json_string(&w, "title", text->title);
    json_flag(&w, "ok", f->count == 0);
    json_integer(&w, "count", f->count);
    json_key(&w, "named");
    json_array(&w);
    for (int i = 0; i < named_count(f); i++)
        json_value_text(&w, text_of(f->named[i]));
    json_array_end(&w);
    json_close(&w);
    const struct text line = json_writer_text(&w);
    fprintf(out, "%.*s\n", (int)line.size, line.at);
}

/* In the order of their names. */
static int
compare_ids(const void *a, const void *b)
{
    return strcmp(checks[*(const int *)a].id, checks[*(const int *)b].id);
}

static void
tell(const struct findings *findings, bool json, FILE *out)
{
    int order[CHECK_COUNT];
    for (int i = 0; i < CHECK_COUNT; i++)
        order[i] = i;
    qsort(order, CHECK_COUNT, sizeof order[0], compare_ids);
    for (int i = 0; i < CHECK_COUNT; i++)
        (json ? tell_json : tell_line)(&checks[order[i]], &findings->of[order[i]], out);
    if (json) return;
    const int wrong = wrong_count(findings);
    if (wrong)
        fprintf(out, "%d of %d invariants do not hold.\n", wrong, CHECK_COUNT);
    else
        fprintf(out, "All %d invariants hold.\n", CHECK_COUNT);
}

int
audit_run(const char *home, bool json, int64_t wait_ms, FILE *out)
{
    static struct findings findings;
    char error[512];
    const int64_t end_ms = clock_mono_ms() + wait_ms;
    for (;;) {
        const bool fine = look(home, &findings, error, sizeof error);
        const bool over = clock_mono_ms() >= end_ms;
        if (!fine && over) {
            fprintf(out, "The audit could not be made: %s\n", error);
            return 2;
        }
        if (fine && (over || wrong_count(&findings) == 0)) break;
        nanosleep(&(struct timespec){.tv_nsec = AGAIN_MS * 1000000}, NULL);
    }
    tell(&findings, json, out);
    return wrong_count(&findings) > 0;
}
