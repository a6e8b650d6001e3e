/* plans: what Postgres does when a module asks its questions, in a database of some size.
 *
 * auto_explain writes the plan of each statement as it was really run, with its real parameters,
 * into the server's log; a test then reads that no large table was read from its beginning to its
 * end. Included by one test program each, with CHECKOUT defined. */
#pragma once

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLANS_FOLDER "FLORIN_TEST_POSTGRES"

static char plans_home[128];

static inline void
plans_run(const char *format, const char *a, const char *b)
{
    char command[1024];
    snprintf(command, sizeof command, format, a, b);
    if (system(command) == 0) return;
    fprintf(stderr, "'%s' failed\n", command);
    exit(1);
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    (void)tests;
    char folder[64];
    snprintf(folder, sizeof folder, "/tmp/florin-plans-test.%d", (int)getpid());
    setenv(PLANS_FOLDER, folder, 1);
    plans_run(CHECKOUT "/tests/support/private_postgres.sh start %s%s", folder, "");
    plans_run("psql -q -X -v ON_ERROR_STOP=1 -h %s -U postgres -d florin -f %s >/dev/null", folder,
              CHECKOUT "/tests/support/seed.sql");
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    (void)stats;
    plans_run(CHECKOUT "/tests/support/private_postgres.sh stop %s%s", getenv(PLANS_FOLDER), "");
}

/* A home whose database `name` is a copy of the seeded one, and explains itself. */
static inline const char *
plans_begin(const char *name)
{
    const char *folder = getenv(PLANS_FOLDER);
    char explain[384];
    plans_run(CHECKOUT "/tests/support/private_postgres.sh home %s %s", folder, name);
    snprintf(explain, sizeof explain,
             "-c \"ALTER DATABASE %s SET session_preload_libraries = 'auto_explain'\""
             " -c 'ALTER DATABASE %s SET auto_explain.log_min_duration = 0'"
             " -c 'ALTER DATABASE %s SET auto_explain.log_nested_statements = on'",
             name, name, name);
    plans_run("psql -q -X -v ON_ERROR_STOP=1 -h %s -U postgres -d postgres %s", folder, explain);
    snprintf(plans_home, sizeof plans_home, "%s/%s", folder, name);
    return plans_home;
}

/* A line of a plan that reads something: which table, whole or by a condition of its index. */
static inline bool
plans_is_scan(const char *line)
{
    return strstr(line, "Seq Scan on ") || strstr(line, "Index Scan ") ||
           strstr(line, "Index Only Scan ") || strstr(line, "Bitmap Index Scan ");
}

/* Whether some plan in the log has a line with these words. */
static inline bool
plans_mention(const char *words)
{
    char path[128], line[16384];
    bool found = false;
    snprintf(path, sizeof path, "%s/log", getenv(PLANS_FOLDER));
    FILE *log = fopen(path, "r");
    cr_assert(log != NULL, "%s", path);
    while (!found && fgets(line, sizeof line, log))
        found = strstr(line, words) != NULL;
    fclose(log);
    return found;
}

/* Reads the log. Returns how many statements it has; each that reads a large table whole fails, be
 * it in the order of the table or of an index. `partial`: indexes that hold no more than what is
 * still to be done, and may be read whole. */
#define plans_check(...) plans_check_but((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
static inline size_t
plans_check_but(const char *const *partial)
{
    static const char *const small[] = {"dispatch", "ledger_leader", "open_attempt", "slot"};
    char path[128], line[16384], query[16384] = "", scan[512] = "";
    size_t count = 0;
    snprintf(path, sizeof path, "%s/log", getenv(PLANS_FOLDER));
    FILE *log = fopen(path, "r");
    cr_assert(log != NULL, "%s", path);
    while (fgets(line, sizeof line, log)) {
        /* The condition of an index stands in the line behind it. */
        if (scan[0] && !strstr(line, "Index Cond:")) cr_expect(false, "%s%s", scan, query);
        scan[0] = 0;
        const char *text = strstr(line, "Query Text: ");
        if (text) {
            count++;
            snprintf(query, sizeof query, "%s", text);
        } else if (plans_is_scan(line)) {
            bool fine = false;
            for (size_t i = 0; partial[i]; i++)
                fine |= strstr(line, partial[i]) != NULL;
            for (size_t i = 0; i < sizeof small / sizeof small[0]; i++)
                fine |= strstr(line, small[i]) != NULL;
            if (!fine) snprintf(scan, sizeof scan, "%.500s", line);
        }
    }
    fclose(log);
    return count;
}
