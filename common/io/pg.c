#include "pg.h"

#include "clock.h"
#include "files.h"
#include "node.h"
#include "settings.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- connecting --------------------------------------------------------------------------------
 */

struct writer {
    char *out;
    size_t cap, size;
};

static void
put(struct writer *w, const char *bytes, size_t size)
{
    assert(w->size + size < w->cap); /* whoever gives the buffer has reckoned with our bounds */
    memcpy(w->out + w->size, bytes, size);
    w->size += size;
    w->out[w->size] = 0;
}

/* keyword='value', with what libpq wants escaped. Of a keyword given twice the last one counts. */
static void
put_option(struct writer *w, const char *keyword, const char *value)
{
    if (w->size) put(w, " ", 1);
    put(w, keyword, strlen(keyword));
    put(w, "='", 2);
    for (; *value; value++) {
        if (*value == '\'' || *value == '\\') put(w, "\\", 1);
        put(w, value, 1);
    }
    put(w, "'", 1);
}

/* An operator's own connection string, in either of libpq's forms, as options. */
static void
put_operators_options(struct writer *w, const char *dsn)
{
    PQconninfoOption *const options = PQconninfoParse(dsn, NULL);
    if (!options) return; /* what libpq cannot read it complains about when connecting */
    for (const PQconninfoOption *o = options; o->keyword; o++)
        if (o->val) put_option(w, o->keyword, o->val);
    PQconninfoFree(options);
}

/* The setting is read at each connect; a file that was broken meanwhile must not end a process
 * that is running, so the last one that was good goes on to count. */
static const struct settings *
settings_now(const char *home)
{
    static struct settings last_good;
    struct settings settings;
    char error[PATH_MAX + 640];
    if (settings_read(home, &settings, error, sizeof error)) last_good = settings;
    return &last_good;
}

void
pg_database(int partition, char *out, size_t cap)
{
    if (partition == 1)
        snprintf(out, cap, "florin");
    else
        snprintf(out, cap, "florin_%d", partition);
}

void
pg_dsn(const char *home, const char *role, int partition, char *out, size_t cap)
{
    struct writer w = {out, cap, 0};
    char folder[PATH_MAX], secret[64], password[256], program[64], database[32];
    const bool vault = strcmp(role, "vault") == 0;
    const struct settings *const settings = settings_now(home);
    const char *const dsn = settings_postgres(settings, partition);
    if (vault)
        snprintf(database, sizeof database, "florin_vault");
    else
        pg_database(partition, database, sizeof database);
    out[0] = 0;
    if (*dsn) {
        put_operators_options(&w, dsn);
        /* The string names the first partition's database; another one's it names if it is its own.
         */
        if (vault || (partition > 1 && dsn == settings->postgres_dsn))
            put_option(&w, "dbname", database);
    } else {
        run_folder(home, folder, sizeof folder);
        put_option(&w, "host", folder);
        put_option(&w, "dbname", database);
    }
    snprintf(secret, sizeof secret, "postgres_%s", role);
    size_t size = secret_read(home, secret, (uint8_t *)password, sizeof password - 1);
    while (size && (password[size - 1] == '\n' || password[size - 1] == '\r'))
        size--;
    password[size] = 0;
    snprintf(program, sizeof program, "florin-%s", role);
    put_option(&w, "user", role);
    put_option(&w, "password", password);
    put_option(&w, "application_name", program);
    put_option(&w, "client_encoding", "UTF8");
    explicit_bzero(password, sizeof password);
}

/* One line, without the line ends that libpq's errors have. */
static void
put_error(const char *from, char *error, size_t error_size)
{
    size_t size = 0;
    for (; *from && size + 1 < error_size; from++)
        error[size++] = *from == '\n' || *from == '\t' ? ' ' : *from;
    while (size && error[size - 1] == ' ')
        size--;
    if (error_size) error[size] = 0;
}

PGconn *
pg_connect(const char *home, const char *role, int partition, int64_t timeout_ms, char *error,
           size_t error_size)
{
    char dsn[4096];
    const int64_t end_ms = clock_mono_ms() + timeout_ms;
    pg_dsn(home, role, partition, dsn, sizeof dsn);
    PGconn *connection = PQconnectStart(dsn);
    explicit_bzero(dsn, sizeof dsn);
    if (!connection) {
        put_error("no memory for a connection", error, error_size);
        return NULL;
    }
    PostgresPollingStatusType want = PGRES_POLLING_WRITING;
    while (PQstatus(connection) != CONNECTION_BAD && want != PGRES_POLLING_FAILED) {
        if (want == PGRES_POLLING_OK) return connection;
        const int64_t left_ms = end_ms - clock_mono_ms();
        struct pollfd pollfd = {.fd = PQsocket(connection),
                                .events = want == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        const int ready = left_ms > 0 ? poll(&pollfd, 1, (int)left_ms) : 0;
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) {
            PQfinish(connection);
            put_error("Postgres did not answer in time", error, error_size);
            return NULL;
        }
        want = PQconnectPoll(connection);
    }
    put_error(PQerrorMessage(connection), error, error_size);
    PQfinish(connection);
    return NULL;
}

/* --- rows --------------------------------------------------------------------------------------
 */

size_t
pg_columns(enum row_table number, char *out, size_t cap)
{
    const struct table *t = table_find(number);
    struct writer w = {out, cap, 0};
    assert(t);
    for (size_t i = 0; i < t->column_count; i++) {
        if (i) put(&w, ", ", 2);
        put(&w, "\"", 1); /* `authorization` is a word of SQL */
        put(&w, t->columns[i].name, strlen(t->columns[i].name));
        put(&w, "\"", 1);
    }
    return w.size;
}

static bool
parse_number(const char *value, int64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoll(value, &end, 10);
    return errno == 0 && end != value && *end == 0;
}

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

/* bytea_output = hex: \x and two digits a byte. */
static bool
parse_bytes(const char *value, size_t size, struct arena *arena, struct text *bytes)
{
    if (size < 2 || size % 2 || value[0] != '\\' || value[1] != 'x') return false;
    const size_t count = size / 2 - 1;
    char *out = arena_take(arena, count + 1);
    for (size_t i = 0; i < count; i++) {
        const int high = hex_value(value[2 + 2 * i]), low = hex_value(value[3 + 2 * i]);
        if (high < 0 || low < 0) return false;
        out[i] = (char)(high << 4 | low);
    }
    *bytes = (struct text){out, count};
    return true;
}

struct text
pg_bytes(const PGresult *result, int row, int column, struct arena *arena)
{
    struct text bytes;
    const bool found = !PQgetisnull(result, row, column) &&
                       parse_bytes(PQgetvalue(result, row, column),
                                   (size_t)PQgetlength(result, row, column), arena, &bytes);
    return found ? bytes : NO_TEXT;
}

static bool
store(const struct column *c, const char *value, size_t size, struct arena *arena, void *member)
{
    switch (c->kind) {
    case COLUMN_TEXT:
    case COLUMN_JSON: *(struct text *)member = arena_copy(arena, (struct text){value, size}); break;
    case COLUMN_BYTES: return parse_bytes(value, size, arena, member);
    case COLUMN_I64:
    case COLUMN_OPT: return parse_number(value, member);
    case COLUMN_FLAG:
        if (size != 1 || (*value != 't' && *value != 'f')) return false;
        *(bool *)member = *value == 't';
        break;
    }
    return true;
}

bool
pg_row(enum row_table number, const PGresult *result, int index, struct arena *arena, void *row)
{
    const struct table *t = table_find(number);
    assert(t);
    row_clear(number, row);
    if (PQnfields(result) < (int)t->column_count || index >= PQntuples(result)) return false;
    for (int i = 0; i < (int)t->column_count; i++) {
        const struct column *c = &t->columns[i];
        if (PQfformat(result, i) != 0) return false;
        if (PQgetisnull(result, index, i)) {
            if (c->kind == COLUMN_I64 || c->kind == COLUMN_FLAG) return false;
            continue;
        }
        if (!store(c, PQgetvalue(result, index, i), (size_t)PQgetlength(result, index, i), arena,
                   (char *)row + c->offset))
            return false;
    }
    return true;
}
