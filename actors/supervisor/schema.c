#include "schema.h"

#include "files.h"
#include "home.h"
#include "log.h"
#include "partition.h"
#include "pg.h"
#include "row.h"
#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ADMIN "florin_admin"
#define SQL_BYTES_MAX (1 << 20)
#define HASH_BYTES 16

struct database {
    char name[32];
    int partition; /* 0: of none */
    const char *const *files;
};

/* All of them, in the order in which they are made: roles.sql knows all roles, and what stands in
 * their way. Those that an operator's own Postgres has are the operator's to prepare. */
static size_t
list_databases(const struct settings *settings, struct database list[static PARTITIONS_MAX + 1])
{
    static const char *const books[] = {"tables.sql", "schema.sql", "roles.sql", NULL};
    static const char *const vault[] = {"vault.sql", NULL};
    size_t count = 0;
    for (int partition = 1; partition <= settings->partitions; partition++) {
        if (*settings_postgres(settings, partition)) continue;
        struct database *const database = &list[count++];
        *database = (struct database){.partition = partition, .files = books};
        pg_database(partition, database->name, sizeof database->name);
    }
    list[count++] = (struct database){.name = "florin_vault", .files = vault};
    return count;
}

static const char *const roles[] = {"ledger", "payments", "webhooks", "auditor", "vault"};

/* etc/ of an installation beside the program, else of the checkout that it was built in. */
static struct path
etc_file(const char *name)
{
    char program[PATH_MAX];
    const ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    if (size > 0) {
        program[size] = 0;
        *strrchr(program, '/') = 0;
        const struct path installed = path_in(program, "../share/florin/%s", name);
        if (access(installed.at, R_OK) == 0) return installed;
    }
    return path_in(FLORIN_ETC, "%s", name);
}

PGconn *
schema_connect(const char *home, const char *database)
{
    char dsn[8192];
    pg_dsn(home, ADMIN, 1, dsn, sizeof dsn);
    const size_t size = strlen(dsn);
    snprintf(dsn + size, sizeof dsn - size, " dbname='%s' connect_timeout='10'", database);
    PGconn *connection = PQconnectdb(dsn);
    explicit_bzero(dsn, sizeof dsn);
    /* "already exists, skipping" and its like say nothing here */
    if (PQstatus(connection) == CONNECTION_OK)
        PQclear(PQexec(connection, "SET client_min_messages = warning"));
    return connection;
}

bool
schema_reachable(const char *home)
{
    char dsn[8192];
    pg_dsn(home, ADMIN, 1, dsn, sizeof dsn);
    const size_t size = strlen(dsn);
    snprintf(dsn + size, sizeof dsn - size, " dbname='postgres' connect_timeout='2'");
    const PGPing answer = PQping(dsn);
    explicit_bzero(dsn, sizeof dsn);
    return answer == PQPING_OK;
}

/* What went wrong in which step, on one line. */
static bool
failed(PGconn *connection, const char *step, char *error, size_t error_size)
{
    char reason[512];
    snprintf(reason, sizeof reason, "%s", PQerrorMessage(connection));
    reason[strcspn(reason, "\n")] = 0;
    snprintf(error, error_size, "The database cannot be prepared (%s): %s.", step, reason);
    return false;
}

static bool
run(PGconn *connection, const char *step, const char *sql, char *error, size_t error_size)
{
    PGresult *result = PQexec(connection, sql);
    const ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return true;
    return failed(connection, step, error, error_size);
}

/* The one number that a query gives; `otherwise` when it gives no row. */
static bool
ask_number(PGconn *connection, const char *sql, long otherwise, long *number, char *error,
           size_t error_size)
{
    PGresult *result = PQexec(connection, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        PQclear(result);
        return failed(connection, sql, error, error_size);
    }
    *number = PQntuples(result) ? strtol(PQgetvalue(result, 0, 0), NULL, 10) : otherwise;
    PQclear(result);
    return true;
}

/* A file of etc/, yours to free; NULL with a sentence in `error`. */
static char *
read_file(const char *name, char *error, size_t error_size)
{
    const struct path path = etc_file(name);
    char *sql = malloc(SQL_BYTES_MAX);
    if (sql && file_read(path.at, sql, SQL_BYTES_MAX) >= 0) return sql;
    snprintf(error, error_size, "%s cannot be read: %s.", path.at, strerror(errno));
    free(sql);
    return NULL;
}

static bool
run_file(PGconn *connection, const char *name, char *error, size_t error_size)
{
    char *sql = read_file(name, error, error_size);
    const bool done = sql && run(connection, name, sql, error, error_size);
    free(sql);
    return done;
}

static bool
make_database(const char *home, const char *name, char *error, size_t error_size)
{
    char sql[256];
    long there = 0;
    PGconn *connection = schema_connect(home, "postgres");
    bool done = PQstatus(connection) == CONNECTION_OK;
    if (!done) (void)failed(connection, "connecting", error, error_size);
    snprintf(sql, sizeof sql, "SELECT 1 FROM pg_database WHERE datname = '%s'", name);
    done = done && ask_number(connection, sql, 0, &there, error, error_size);
    if (done && !there) {
        snprintf(
            sql, sizeof sql,
            "CREATE DATABASE %s TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'",
            name);
        done = run(connection, "making it", sql, error, error_size);
    }
    PQfinish(connection);
    return done;
}

/* What tells the files of a database from those of another Florin. */
static bool
hash_files(const struct database *database, char hex[static 2 * HASH_BYTES + 1], char *error,
           size_t error_size)
{
    uint8_t hash[HASH_BYTES];
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof hash);
    for (const char *const *file = database->files; *file; file++) {
        char *sql = read_file(*file, error, error_size);
        if (!sql) return false;
        crypto_generichash_update(&state, (const uint8_t *)sql, strlen(sql) + 1);
        free(sql);
    }
    crypto_generichash_final(&state, hash, sizeof hash);
    sodium_bin2hex(hex, 2 * HASH_BYTES + 1, hash, sizeof hash);
    return true;
}

/* What stands in florin_meta: nothing yet, version 0. */
struct made {
    long version;
    char hash[2 * HASH_BYTES + 1]; /* "": of the time before there was one */
};

static bool
read_made(PGconn *connection, struct made *made, char *error, size_t error_size)
{
    long columns = 0;
    *made = (struct made){0};
    if (!ask_number(connection,
                    "SELECT count(*) FROM information_schema.columns WHERE table_schema = "
                    "'florin_meta' AND table_name = 'schema_version'",
                    0, &columns, error, error_size))
        return false;
    if (columns == 0) return true;
    PGresult *result =
        PQexec(connection, columns == 1 ? "SELECT version, '' FROM florin_meta.schema_version"
                                        : "SELECT version, files FROM florin_meta.schema_version");
    const bool there = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1;
    if (there) {
        made->version = strtol(PQgetvalue(result, 0, 0), NULL, 10);
        snprintf(made->hash, sizeof made->hash, "%s", PQgetvalue(result, 0, 1));
    }
    PQclear(result);
    return there || failed(connection, "its version", error, error_size);
}

/* A column of a table of rows.def that rows.def does not have: a newer Florin keeps something in it
 * that we would lose. */
static bool
refuse_unknown_column(PGconn *connection, const char *database, char *error, size_t error_size)
{
    char *sql = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&sql, &size);
    if (!out) return failed(connection, "memory", error, error_size);
    fputs("SELECT table_name || '.' || column_name FROM information_schema.columns c"
          " WHERE table_schema = 'public' AND table_name IN (''",
          out);
    for (size_t i = 0; i < table_count; i++)
        fprintf(out, ",'%s'", tables[i]->name);
    fputs(") AND NOT EXISTS (SELECT FROM (VALUES ('', '')", out);
    for (size_t i = 0; i < table_count; i++)
        for (size_t j = 0; j < tables[i]->column_count; j++)
            fprintf(out, ",('%s','%s')", tables[i]->name, tables[i]->columns[j].name);
    fputs(") AS known(t, c) WHERE known.t = table_name AND known.c = column_name) LIMIT 1", out);
    fclose(out);
    PGresult *result = PQexec(connection, sql);
    free(sql);
    bool good = PQresultStatus(result) == PGRES_TUPLES_OK;
    if (!good) {
        (void)failed(connection, "its columns", error, error_size);
    } else if (PQntuples(result) > 0) {
        good = false;
        snprintf(error, error_size,
                 "The database %s was made by a newer Florin than this one, which does not know "
                 "the column %s.",
                 database, PQgetvalue(result, 0, 0));
    }
    PQclear(result);
    return good;
}

static bool
apply_files(PGconn *connection, const struct database *database, const char *hash, char *error,
            size_t error_size)
{
    char sql[512];
    /* Actors of a Florin whose supervisor died may be at work in it. */
    if (!run(connection, "beginning", "BEGIN; SET LOCAL lock_timeout = '30s'", error, error_size))
        return false;
    for (const char *const *file = database->files; *file; file++)
        if (!run_file(connection, *file, error, error_size)) return false;
    snprintf(sql, sizeof sql,
             "CREATE SCHEMA IF NOT EXISTS florin_meta;"
             "CREATE TABLE IF NOT EXISTS florin_meta.schema_version (version integer NOT NULL);"
             "ALTER TABLE florin_meta.schema_version ADD COLUMN IF NOT EXISTS files text;"
             "DELETE FROM florin_meta.schema_version;"
             "INSERT INTO florin_meta.schema_version VALUES (%d, '%s')",
             SCHEMA_VERSION, hash);
    if (!run(connection, "its version", sql, error, error_size)) return false;
    return run(connection, "committing", "COMMIT", error, error_size);
}

/* Reads first what is there: what is up to date is left as it is. */
static bool
fill_database(PGconn *connection, const struct database *database, char *error, size_t error_size)
{
    const char *name = database->name;
    char hash[2 * HASH_BYTES + 1];
    struct made made;
    if (!hash_files(database, hash, error, error_size) ||
        !read_made(connection, &made, error, error_size))
        return false;
    if (made.version > SCHEMA_VERSION) {
        snprintf(error, error_size,
                 "The database %s was made by a newer Florin than this one: it has version %ld of "
                 "the schema, and this program knows those up to %d.",
                 name, made.version, SCHEMA_VERSION);
        return false;
    }
    if (!refuse_unknown_column(connection, name, error, error_size)) return false;
    if (made.version == SCHEMA_VERSION && strcmp(made.hash, hash) == 0) return true;
    if (!apply_files(connection, database, hash, error, error_size)) return false;
    if (made.version != SCHEMA_VERSION ? made.version > 0 : made.hash[0] != 0)
        log_event(LOG_INFO, "schema.upgraded", "database=%s version=%d was=%ld", name,
                  SCHEMA_VERSION, made.version);
    return true;
}

static bool
set_passwords(const char *home, PGconn *connection, char *error, size_t error_size)
{
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        char name[64], password[256] = "", sql[512];
        snprintf(name, sizeof name, "postgres_%s", roles[i]);
        secret_read(home, name, (uint8_t *)password, sizeof password - 1);
        password[strcspn(password, "\r\n")] = 0;
        /* Hashed here: the server's log never sees the password. */
        char *hash = PQencryptPasswordConn(connection, password, roles[i], "scram-sha-256");
        explicit_bzero(password, sizeof password);
        if (!hash) return failed(connection, "a password", error, error_size);
        snprintf(sql, sizeof sql, "ALTER ROLE %s LOGIN PASSWORD '%s'", roles[i], hash);
        PQfreemem(hash);
        if (!run(connection, "a role's password", sql, error, error_size)) return false;
    }
    return true;
}

void
schema_password(const char *home)
{
    char password[256] = "";
    secret_read(home, "postgres_" ADMIN, (uint8_t *)password, sizeof password - 1);
    password[strcspn(password, "\r\n")] = 0;
    setenv("PGPASSWORD", password, 1);
    explicit_bzero(password, sizeof password);
}

bool
schema_make_empty(const char *home, const struct settings *settings, char *error, size_t error_size)
{
    char sql[256];
    bool done = true;
    struct database databases[PARTITIONS_MAX + 1];
    const size_t count = list_databases(settings, databases);
    for (size_t i = 0; done && i < count; i++)
        done = make_database(home, databases[i].name, error, error_size);
    PGconn *connection = schema_connect(home, "postgres");
    if (done && PQstatus(connection) != CONNECTION_OK)
        done = failed(connection, "connecting", error, error_size);
    for (size_t i = 0; done && i < sizeof roles / sizeof roles[0]; i++) {
        snprintf(sql, sizeof sql, "CREATE ROLE %s LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE",
                 roles[i]);
        done = run(connection, "its roles", sql, error, error_size);
    }
    done = done && run(connection, "its roles",
                       "CREATE ROLE florin_owner NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE",
                       error, error_size);
    PQfinish(connection);
    return done;
}

bool
schema_forget_files(const char *home, const struct settings *settings, char *error,
                    size_t error_size)
{
    bool done = true;
    struct database databases[PARTITIONS_MAX + 1];
    const size_t count = list_databases(settings, databases);
    for (size_t i = 0; done && i < count; i++) {
        PGconn *connection = schema_connect(home, databases[i].name);
        done = run(connection, "its version", "UPDATE florin_meta.schema_version SET files = ''",
                   error, error_size);
        PQfinish(connection);
    }
    return done;
}

/* Merchants of other slots than this partition's are in it: those stay where they are. The ledger
 * looks too, also in a Postgres that is not ours to prepare (leadership.c). */
static bool
refuse_another_partition(PGconn *connection, const struct database *database, int partitions,
                         char *error, size_t error_size)
{
    char sql[256];
    long number = 0, of = 0;
    snprintf(sql, sizeof sql, "SELECT coalesce(partition, %d) FROM ledger_leader",
             database->partition);
    if (!ask_number(connection, sql, 0, &number, error, error_size)) return false;
    snprintf(sql, sizeof sql, "SELECT coalesce(partitions, %d) FROM ledger_leader", partitions);
    if (!ask_number(connection, sql, 0, &of, error, error_size)) return false;
    if (number == database->partition && of == partitions) return true;
    snprintf(error, error_size,
             "The database %s is of partition %ld of %ld, and florin.conf makes it %d of %d: "
             "merchants stay where they are (partitions).",
             database->name, number, of, database->partition, partitions);
    return false;
}

bool
schema_prepare(const char *home, const struct settings *settings, char *error, size_t error_size)
{
    struct database databases[PARTITIONS_MAX + 1];
    const size_t count = list_databases(settings, databases);
    for (size_t i = 0; i < count; i++) {
        if (!make_database(home, databases[i].name, error, error_size)) return false;
        PGconn *connection = schema_connect(home, databases[i].name);
        bool done = PQstatus(connection) == CONNECTION_OK;
        if (!done) (void)failed(connection, "connecting", error, error_size);
        done = done && fill_database(connection, &databases[i], error, error_size);
        if (done && databases[i].partition)
            done = refuse_another_partition(connection, &databases[i], (int)settings->partitions,
                                            error, error_size);
        if (done && i == 0) done = set_passwords(home, connection, error, error_size);
        PQfinish(connection);
        if (!done) return false;
    }
    return true;
}
