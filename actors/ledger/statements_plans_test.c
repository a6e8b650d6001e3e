/* Every statement of the ledger goes by an index, in a database of some size: see plans.h. The
 * engine itself says them, with parameters of its own making. */
#include "plans.h"

#include "batch.h"
#include "clock.h"
#include "commit_maker.h"
#include "pg.h"
#include "statements.h"

#include <criterion/new/assert.h>
#include <poll.h>

#define NOW_S 1700000000

static size_t done, due;

static void
on_verdict(void *state, struct command **command_p)
{
    (void)state;
    done += (*command_p)->verdict == COMMIT_DONE;
    if ((*command_p)->verdict != COMMIT_DONE)
        cr_log_error("%s: %s", commit_verdict_name((*command_p)->verdict), (*command_p)->detail);
    command_destroy(command_p);
}

static void
on_event(void *state, int64_t sequence, const struct command *c,
         const struct msg_event_write *event)
{
    (void)state, (void)sequence, (void)c, (void)event;
}

static void
on_taken(void *state, const struct take *take)
{
    (void)state, (void)take;
}

static void
on_due(void *state, const PGresult *rows)
{
    (void)state;
    due += (size_t)PQntuples(rows);
}

static void
drive(struct batch *batch)
{
    enum batch_state state;
    while ((state = batch_step(batch, clock_mono_ms())) == BATCH_BUSY) {
        struct pollfd fd = {batch_fd(batch), batch_poll_events(batch), 0};
        (void)poll(&fd, 1, batch_retry_ms(batch) ? 10 : 5000);
    }
    cr_assert(eq(int, (int)state, (int)BATCH_IDLE));
}

static struct batch *
leader(const char *home)
{
    const struct batch_callbacks callbacks = {NULL, on_verdict, on_event, on_taken, NULL, on_due};
    struct batch *const batch = batch_new(&callbacks);
    struct take take = {.incarnation = 7, .owner = TEST_SENDER};
    char error[256] = "", cluster[64];
    PGconn *conn = pg_connect(home, "ledger", 1, 5000, error, sizeof error);
    cr_assert(conn && statements_prepare(conn, error, sizeof error), "%s", error);
    cr_assert(
        eq(int, (int)batch_lead(batch, &conn, "ledger-1", cluster, sizeof cluster), (int)LEAD_OK));
    memset(take.slots, 0xff, sizeof take.slots);
    batch_take(batch, &take);
    drive(batch);
    return batch;
}

static void
write_one(struct batch *batch, const struct wish *wish)
{
    struct command *c = wish_command(wish);
    cr_assert(c != NULL, "%s", wish_reason);
    batch_write(batch, &c, 1, NOW_S);
    drive(batch);
}

/* A row that meets the checks of its table. */
static void
fill_row(const struct table *t, int64_t version, char id[static ID_SIZE_MAX + 1], void *row)
{
    static const char *const ones[] = {"amount", "net"}; /* above zero, and amount - fee */
    snprintf(id, ID_SIZE_MAX + 1, "%s900000000000000000000001", t->prefix);
    row_clear((enum row_table)t->number, row);
    for (size_t i = 0; i < t->column_count; i++) {
        void *const member = (char *)row + t->columns[i].offset;
        if (i == COLUMN_ID) *(struct text *)member = text_of(id);
        if (i == COLUMN_MERCHANT) *(struct text *)member = TEXT(TEST_MERCHANT);
        if (i == COLUMN_VERSION) *(int64_t *)member = version;
        for (size_t o = 0; o < sizeof ones / sizeof ones[0]; o++)
            if (strcmp(t->columns[i].name, ones[o]) == 0) *(int64_t *)member = 1;
    }
    if (t->number != ROW_attempt) return;
    struct row_attempt *const attempt = row;
    attempt->operation = TEXT("authorize");
    static const char *const states[] = {"sending", "unknown", "approved"};
    attempt->state = text_of(states[version - 1]);
}

/* Inserted, replaced, and looked for: a repetition makes the engine ask. */
static void
write_row(struct batch *batch, const struct table *t)
{
    _Alignas(max_align_t) char row[ROW_SIZE_MAX];
    char id[ID_SIZE_MAX + 1];
    const int64_t last = t->number == ROW_attempt ? 3 : 2;
    for (int64_t version = 1; version <= last; version++) {
        fill_row(t, version, id, row);
        write_one(batch, &(struct wish){.repeated = 1,
                                        .rows = {{(enum row_table)t->number, version - 1, row}}});
    }
}

/* The log has a statement with these words. */
static bool
was_said(const char *words)
{
    char path[128], line[16384];
    bool found = false;
    snprintf(path, sizeof path, "%s/log", getenv(PLANS_FOLDER));
    FILE *const log = fopen(path, "r");
    cr_assert(log != NULL, "%s", path);
    while (!found && fgets(line, sizeof line, log))
        found = strstr(line, "Query Text: ") && strstr(line, words);
    fclose(log);
    return found;
}

static void
expect_said(const char *format, const char *table)
{
    char words[128];
    snprintf(words, sizeof words, format, table);
    cr_expect(was_said(words), "%s: nobody said it, so its plan was not looked at", words);
}

/* All of them, but for what is said when something went wrong. */
static void
say_everything(const char *home)
{
    struct batch *batch = leader(home);
    done = 0;
    for (size_t i = 0; i < table_count; i++)
        write_row(batch, tables[i]);
    write_one(batch, &(struct wish){.claim = 1, .key = "k"});
    write_one(batch,
              &(struct wish){.claim = 2,
                             .key = "k",
                             .status = 200,
                             .events = {"evt_900000000000000000000001"},
                             .postings = {{"charge", "ch_1", {{1, 500}, {2, -450}, {4, -50}}}}});
    cr_expect(eq(sz, done, 2 * table_count + 1 + 2));
    batch_find_due(batch, NOW_S);
    drive(batch);
    batch_destroy(&batch);
}

Test(statements_plans, every_statement_goes_by_an_index, .timeout = 110)
{
    say_everything(plans_begin("statements"));
    cr_expect(gt(sz, due, 0));
    (void)plans_check();
    for (size_t i = 0; i < table_count; i++) {
        expect_said(" JOIN %s t ON ", tables[i]->name);
        expect_said("INSERT INTO %s (", tables[i]->name);
        if (tables[i]->number != ROW_attempt) expect_said("UPDATE %s t SET ", tables[i]->name);
    }
    static const char *const others[] = {
        "UPDATE ledger_leader SET epoch",
        "UPDATE ledger_leader SET last_batch",
        "FROM slot",
        "INSERT INTO slot ",
        "JOIN idempotency ",
        "UPDATE open_attempt o SET \"id\"",
        "UPDATE open_attempt o SET \"version\"",
        "LEFT JOIN (SELECT * FROM open_attempt ",
        "INSERT INTO outbox ",
        "INSERT INTO idempotency ",
        "UPDATE idempotency ",
        "INSERT INTO ledger_transaction",
        "INSERT INTO balance ",
        "AS MATERIALIZED",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        expect_said("%s", others[i]);
}

/* A plan lives as long as the connection: what was a handful of rows when it was made may be a
 * million when it is used. */
Test(statements_plans, statistics_of_small_tables_change_nothing, .timeout = 110)
{
    const char *const home = plans_begin("small");
    plans_run("psql -q -X -v ON_ERROR_STOP=1 -h %s -U postgres -d small -c \"%s\"",
              getenv(PLANS_FOLDER),
              "SET auto_explain.log_min_duration = -1; DO \\$\\$ DECLARE name text; BEGIN FOR name "
              "IN SELECT tablename FROM pg_tables"
              " WHERE schemaname = 'public' AND tablename NOT IN ('ledger_leader', 'dispatch')"
              " LOOP EXECUTE 'TRUNCATE ' || name; END LOOP; END \\$\\$; ANALYZE");
    say_everything(home);
    cr_expect(ge(sz, plans_check(), 3 * table_count));
}
