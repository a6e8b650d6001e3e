#include "postgres_for_test.h"

#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Tests run in processes of their own: what they must know goes through the environment. */
#define FOLDER "FLORIN_TEST_POSTGRES"

static pid_t server;
static char database[64] = "postgres";

static void __attribute__((noreturn)) fail(const char *what)
{
    fprintf(stderr, "postgres_for_test: %s\n", what);
    exit(1);
}

static void __attribute__((format(printf, 1, 2))) run(const char *format, ...)
{
    char command[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    if (system(command) != 0) fail(command);
}

/* The newest there is. */
static void
find_binaries(char *out, size_t size)
{
    glob_t found;
    if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) != 0) fail("there is no Postgres here");
    snprintf(out, size, "%s", found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
}

static void
start_server(const char *binaries, const char *folder)
{
    char program[PATH_MAX + 16], data[PATH_MAX + 16];
    snprintf(program, sizeof program, "%s/postgres", binaries);
    snprintf(data, sizeof data, "%s/data", folder);
    server = fork();
    if (server < 0) fail("fork");
    if (server > 0) return;
    const int log = open("/dev/null", O_WRONLY);
    dup2(log, 1);
    dup2(log, 2);
    if (geteuid() == 0)
        execlp("setpriv", "setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups",
               "--pdeathsig=INT", program, "-D", data, "-k", folder, "-c",
               "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=30", (char *)NULL);
    else
        execlp("setpriv", "setpriv", "--pdeathsig=INT", program, "-D", data, "-k", folder, "-c",
               "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=30", (char *)NULL);
    _exit(127);
}

static void
wait_for_server(const char *folder)
{
    char dsn[PATH_MAX + 64];
    snprintf(dsn, sizeof dsn, "host=%s user=postgres dbname=postgres", folder);
    for (int i = 0; i < 3000; i++) {
        if (PQping(dsn) == PQPING_OK) return;
        if (waitpid(server, NULL, WNOHANG) == server) fail("Postgres does not start");
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fail("Postgres does not answer");
}

void
postgres_start(void)
{
    static char folder[] = "/tmp/florin-pg-XXXXXX";
    char binaries[PATH_MAX];
    if (!mkdtemp(folder)) fail("mkdtemp");
    setenv(FOLDER, folder, 1);
    find_binaries(binaries, sizeof binaries);
    if (geteuid() == 0) run("chown postgres:postgres %s", folder);
    run("%s %s/initdb -D %s/data -E UTF8 --locale=C -A trust -U postgres -N >/dev/null",
        geteuid() == 0 ? "setpriv --reuid=postgres --regid=postgres --clear-groups" : "", binaries,
        folder);
    start_server(binaries, folder);
    wait_for_server(folder);
    run("%s/createdb -h %s -U postgres florin_template", binaries, folder);
    static const char *const files[] = {"tables", "schema", "roles"};
    for (size_t i = 0; i < 3; i++)
        run("PGOPTIONS='-c client_min_messages=warning' %s/psql -h %s -U postgres -X -q -1"
            " -v ON_ERROR_STOP=1 -f %s/%s.sql florin_template",
            binaries, folder, FLORIN_ETC, files[i]);
}

void
postgres_stop(void)
{
    if (server > 0) {
        kill(server, SIGINT);
        waitpid(server, NULL, 0);
    }
    if (getenv(FOLDER)) run("rm -rf %s", getenv(FOLDER));
}

static PGconn *
connect_as(const char *role)
{
    char dsn[PATH_MAX + 128];
    snprintf(dsn, sizeof dsn, "host=%s user=%s dbname=%s", getenv(FOLDER), role, database);
    PGconn *conn = PQconnectdb(dsn);
    if (PQstatus(conn) != CONNECTION_OK) fail(PQerrorMessage(conn));
    return conn;
}

PGconn *
postgres_connect(const char *role)
{
    return connect_as(role);
}

void
postgres_fresh(void)
{
    static unsigned count;
    char sql[160];
    snprintf(database, sizeof database, "postgres");
    PGconn *conn = connect_as("postgres");
    char name[64];
    snprintf(name, sizeof name, "florin_%d_%u", (int)getpid(), ++count);
    snprintf(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE florin_template", name);
    PGresult *r = PQexec(conn, sql);
    if (PQresultStatus(r) != PGRES_COMMAND_OK) fail(PQerrorMessage(conn));
    PQclear(r);
    PQfinish(conn);
    snprintf(database, sizeof database, "%s", name);
}

const char *
postgres_value(const char *sql)
{
    static char value[1024];
    PGconn *conn = connect_as("postgres");
    PGresult *r = PQexec(conn, sql);
    const ExecStatusType status = PQresultStatus(r);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) fail(PQerrorMessage(conn));
    snprintf(value, sizeof value, "%s", PQntuples(r) ? PQgetvalue(r, 0, 0) : "");
    PQclear(r);
    PQfinish(conn);
    return value;
}
