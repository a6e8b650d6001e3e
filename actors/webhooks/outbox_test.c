/* The outbox against a Postgres of its own (tests/support): each test has a copy of the database.
 */
#include "outbox.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOLDER "FLORIN_TEST_POSTGRES"

static void
support(const char *command, const char *folder, const char *name)
{
    char line[512];
    snprintf(line, sizeof line, "%s/tests/support/private_postgres.sh %s %s %s", CHECKOUT, command,
             folder, name);
    if (system(line) != 0) {
        fprintf(stderr, "'%s' failed\n", line);
        exit(1);
    }
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    (void)tests;
    char folder[64];
    snprintf(folder, sizeof folder, "/tmp/florin-outbox-test.%d", (int)getpid());
    setenv(FOLDER, folder, 1);
    support("start", folder, "");
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    (void)stats;
    support("stop", getenv(FOLDER), "");
}

static char home[128];
static PGconn *admin;
static const struct moment now = {1700000000000, 1000};

static void
begin(const char *name)
{
    char dsn[160];
    const char *folder = getenv(FOLDER);
    support("home", folder, name);
    snprintf(home, sizeof home, "%s/%s", folder, name);
    snprintf(dsn, sizeof dsn, "host=%s dbname=%s user=postgres", folder, name);
    admin = PQconnectdb(dsn);
    cr_assert_eq(PQstatus(admin), CONNECTION_OK, "%s", PQerrorMessage(admin));
}

static void
sql(const char *text)
{
    PGresult *result = PQexec(admin, text);
    cr_assert(PQresultStatus(result) == PGRES_COMMAND_OK ||
                  PQresultStatus(result) == PGRES_TUPLES_OK,
              "%s", PQerrorMessage(admin));
    PQclear(result);
}

/* The first value of the first row. */
static const char *
value(const char *text)
{
    static char out[256];
    PGresult *result = PQexec(admin, text);
    cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s", PQerrorMessage(admin));
    snprintf(out, sizeof out, "%s", PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return out;
}

static struct outbox *
open_outbox(const char *name, uint64_t incarnation)
{
    struct outbox *outbox = outbox_new(home, 1, name, incarnation);
    cr_assert(outbox_ready(outbox, now), "%s", outbox_trouble(outbox));
    return outbox;
}

static void
add_endpoint(const char *id, const char *merchant, const char *events)
{
    char text[512];
    snprintf(
        text, sizeof text,
        "INSERT INTO webhook_endpoint (id, merchant, version, created, url, secret,"
        " enabled_events, status, deleted) VALUES ('%s', '%s', 1, 100, 'http://x/', 'whsec_%s',"
        " '%s', 'enabled', false)",
        id, merchant, id, events);
    sql(text);
}

static void
add_events(int from, int to, const char *merchant, const char *type)
{
    char text[512];
    snprintf(text, sizeof text,
             "INSERT INTO outbox (sequence, count, id, merchant, types, objects, packed, created,"
             " api_version) SELECT i, 1, 'evt_' || i, '%s', '%s', 'ch_1', '\\x008101a27b7d', 200,"
             " 'v' FROM generate_series(%d, %d) i",
             merchant, type, from, to);
    sql(text);
}

static int told;

static void
on_delivery(void *state, const char *endpoint, int64_t due_wall_ms)
{
    (void)state;
    (void)endpoint;
    (void)due_wall_ms;
    told++;
}

static bool more;

static enum dispatch_verdict
dispatch(struct outbox *outbox)
{
    return outbox_dispatch(outbox, now, on_delivery, NULL, &more);
}

static struct leased last;
static char last_endpoint[ENDPOINT_ID_MAX + 1], last_url[64], last_data[64];

static void
on_leased(void *state, const struct leased *leased)
{
    (void)state;
    last = *leased;
    snprintf(last_endpoint, sizeof last_endpoint, "%s", leased->endpoint);
    snprintf(last_url, sizeof last_url, "%s", leased->url);
    last.endpoint = last_endpoint;
    snprintf(last_data, sizeof last_data, "%.*s", (int)leased->event.data.size,
             leased->event.data.at);
}

static int
lease(struct outbox *outbox, const char *endpoint, int count, int64_t wall_ms)
{
    struct endpoint_want want = {.count = count};
    int found = -1;
    snprintf(want.endpoint, sizeof want.endpoint, "%s", endpoint);
    const struct moment then = {wall_ms, 1000};
    cr_assert(outbox_lease(outbox, then, 30000, &want, 1, &found, on_leased, NULL));
    return found;
}

static struct mark
mark_of_last(enum delivery_state state)
{
    return (struct mark){.sequence = last.sequence,
                         .lease_until_ms = last.lease_until_ms,
                         .endpoint = last_endpoint,
                         .state = state,
                         .number = last.tries + 1,
                         .next_ms = now.wall_ms + 5000,
                         .at_ms = now.wall_ms,
                         .duration_ms = 12};
}

Test(outbox, turns_each_event_into_a_delivery_for_each_endpoint_that_wants_it_once)
{
    begin("dispatching");
    add_endpoint("we_all", "acct_1", "[\"*\"]");
    add_endpoint("we_some", "acct_1", "[\"charge.failed\",\"charge.refunded\"]");
    add_endpoint("we_off", "acct_1", "[\"*\"]");
    sql("UPDATE webhook_endpoint SET status = 'disabled' WHERE id = 'we_off'");
    add_endpoint("we_gone", "acct_1", "[\"*\"]");
    sql("UPDATE webhook_endpoint SET deleted = true WHERE id = 'we_gone'");
    add_endpoint("we_late", "acct_1", "[\"*\"]");
    sql("UPDATE webhook_endpoint SET created = 201 WHERE id = 'we_late'");
    add_endpoint("we_other", "acct_2", "[\"*\"]");
    add_events(1, 3, "acct_1", "charge.succeeded");
    add_events(4, 5, "acct_1", "charge.failed");
    add_events(6, 6, "acct_3", "charge.failed");
    struct outbox *outbox = open_outbox("webhooks-1", 1);
    cr_assert_eq(dispatch(outbox), DISPATCH_WANTED);
    cr_assert_str_eq(
        value("SELECT string_agg(endpoint || sequence, ' ' ORDER BY endpoint, sequence)"
              " FROM delivery"),
        "we_all1 we_all2 we_all3 we_all4 we_all5 we_some4 we_some5");
    cr_assert_eq(outbox_cursor(outbox), 6);
    cr_assert_str_eq(value("SELECT sequence FROM dispatch"), "6");
    cr_assert_eq(dispatch(outbox), DISPATCH_NOTHING);
    cr_assert_str_eq(value("SELECT count(*) FROM delivery"), "7");
    add_events(7, 7, "acct_2", "charge.failed");
    cr_assert_eq(dispatch(outbox), DISPATCH_WANTED);
    cr_assert_str_eq(value("SELECT count(*) FROM delivery WHERE endpoint = 'we_other'"), "1");
    outbox_destroy(&outbox);
}

Test(outbox, dispatches_a_long_backlog_piece_by_piece)
{
    begin("backlog");
    add_endpoint("we_all", "acct_1", "[\"*\"]");
    add_events(1, 2 * OUTBOX_DISPATCH_MAX + 1, "acct_1", "charge.succeeded");
    struct outbox *outbox = open_outbox("webhooks-1", 1);
    cr_assert(dispatch(outbox) == DISPATCH_WANTED && more);
    cr_assert_eq(outbox_cursor(outbox), OUTBOX_DISPATCH_MAX);
    cr_assert(dispatch(outbox) == DISPATCH_WANTED && more);
    cr_assert(dispatch(outbox) == DISPATCH_WANTED && !more);
    cr_assert_str_eq(value("SELECT count(*) FROM delivery"), "2001");
    outbox_destroy(&outbox);
}

Test(outbox, passes_by_what_nobody_wants)
{
    begin("unwanted");
    struct outbox *outbox = open_outbox("webhooks-1", 1);
    cr_assert_eq(dispatch(outbox), DISPATCH_NOTHING); /* there was never an event */
    cr_assert_str_eq(value("SELECT sequence FROM dispatch"), "0");
    add_endpoint("we_a", "acct_1", "[\"charge.failed\"]");
    add_events(1, 3, "acct_2", "charge.failed");
    cr_assert_eq(dispatch(outbox), DISPATCH_UNWANTED);
    cr_assert_str_eq(value("SELECT sequence FROM dispatch"), "3");
    add_events(4, 5, "acct_1", "charge.succeeded");
    cr_assert_eq(dispatch(outbox), DISPATCH_UNWANTED);
    cr_assert_str_eq(value("SELECT sequence FROM dispatch"), "5");
    add_events(6, OUTBOX_DISPATCH_MAX + 5, "acct_2", "charge.failed");
    cr_assert(dispatch(outbox) == DISPATCH_UNWANTED && more);
    cr_assert_eq(dispatch(outbox), DISPATCH_NOTHING);
    cr_assert_str_eq(value("SELECT count(*) FROM delivery"), "0");
    outbox_destroy(&outbox);
}

Test(outbox, leaves_what_nobody_wants_to_whoever_moves_the_cursor)
{
    begin("company");
    add_endpoint("we_a", "acct_1", "[\"*\"]");
    struct outbox *one = open_outbox("webhooks-1", 1), *two = open_outbox("webhooks-2", 2);
    cr_assert_eq(dispatch(one), DISPATCH_NOTHING);
    cr_assert_eq(dispatch(two), DISPATCH_NOTHING);
    add_events(1, 1, "acct_2", "charge.failed");
    cr_assert_eq(dispatch(one), DISPATCH_UNWANTED);
    add_events(2, 2, "acct_2", "charge.failed");
    cr_assert_eq(dispatch(two), DISPATCH_LEFT);
    cr_assert_str_eq(value("SELECT sequence FROM dispatch"), "1");
    cr_assert_eq(dispatch(two), DISPATCH_UNWANTED); /* nobody has moved it since */
    cr_assert_str_eq(value("SELECT sequence FROM dispatch"), "2");
    add_events(3, 3, "acct_1", "charge.failed"); /* but what is wanted is left to nobody */
    cr_assert_eq(dispatch(one), DISPATCH_WANTED);
    add_events(4, 4, "acct_1", "charge.failed");
    cr_assert_eq(dispatch(two), DISPATCH_WANTED);
    outbox_destroy(&one);
    outbox_destroy(&two);
}

Test(outbox, lets_one_process_at_a_time_dispatch_and_never_waits_for_it)
{
    begin("dispatchers");
    add_endpoint("we_all", "acct_1", "[\"*\"]");
    add_events(1, 1, "acct_1", "charge.succeeded");
    struct outbox *outbox = open_outbox("webhooks-2", 2);
    sql("BEGIN");
    sql("SELECT * FROM dispatch FOR UPDATE");
    cr_assert_eq(dispatch(outbox), DISPATCH_OVERTAKEN);
    sql("ROLLBACK");
    sql("UPDATE webhook_endpoint SET status = 'disabled'");
    sql("BEGIN");
    sql("SELECT * FROM dispatch FOR UPDATE");
    cr_assert_eq(dispatch(outbox), DISPATCH_OVERTAKEN);
    sql("ROLLBACK");
    sql("UPDATE webhook_endpoint SET status = 'enabled'");
    cr_assert_str_eq(value("SELECT count(*) FROM delivery"), "0");
    cr_assert_eq(dispatch(outbox), DISPATCH_WANTED);
    cr_assert_str_eq(value("SELECT count(*) FROM delivery"), "1");
    outbox_destroy(&outbox);
}

Test(outbox, leases_a_delivery_to_one_process_until_the_lease_ends)
{
    begin("leasing");
    add_endpoint("we_a", "acct_1", "[\"*\"]");
    add_events(1, 5, "acct_1", "charge.succeeded");
    struct outbox *one = open_outbox("webhooks-1", 1), *two = open_outbox("webhooks-2", 2);
    cr_assert_eq(dispatch(one), DISPATCH_WANTED);
    cr_assert_eq(lease(one, "we_a", 3, now.wall_ms), 3);
    cr_assert_eq(lease(two, "we_a", 3, now.wall_ms), 2);
    cr_assert_eq(last.event.pending_webhooks, 1);
    cr_assert_str_eq(last_url, "http://x/");
    cr_assert(last.enabled);
    cr_assert_eq(lease(two, "we_a", 3, now.wall_ms + 29999), 0);
    cr_assert_eq(lease(two, "we_a", 9, now.wall_ms + 30000), 5);
    outbox_destroy(&one);
    outbox_destroy(&two);
}

Test(outbox, refuses_the_mark_of_one_who_was_paused_past_its_lease)
{
    begin("paused");
    add_endpoint("we_a", "acct_1", "[\"*\"]");
    add_events(1, 1, "acct_1", "charge.succeeded");
    struct outbox *one = open_outbox("webhooks-1", 1), *two = open_outbox("webhooks-2", 2);
    size_t lost = 9;
    cr_assert_eq(dispatch(one), DISPATCH_WANTED);
    cr_assert_eq(lease(one, "we_a", 1, now.wall_ms), 1);
    struct mark paused = mark_of_last(DELIVERY_FAILED);
    cr_assert_eq(lease(two, "we_a", 1, now.wall_ms + 30000), 1);
    cr_assert(outbox_mark(one, &paused, 1, &lost));
    cr_assert_eq(lost, 1);
    cr_assert_str_eq(value("SELECT count(*) FROM delivery_try"), "0");
    struct mark good = mark_of_last(DELIVERY_DELIVERED);
    good.status = 200;
    cr_assert(outbox_mark(two, &good, 1, &lost));
    cr_assert_eq(lost, 0);
    cr_assert(outbox_mark(two, &good, 1, &lost)); /* twice is once */
    cr_assert_eq(lost, 1);
    cr_assert_str_eq(value("SELECT state || tries || last_status FROM delivery"), "delivered1200");
    outbox_destroy(&one);
    outbox_destroy(&two);
}

Test(outbox, records_every_try_and_comes_back_when_it_is_due)
{
    begin("trying");
    add_endpoint("we_a", "acct_1", "[\"*\"]");
    add_events(1, 1, "acct_1", "charge.succeeded");
    struct outbox *outbox = open_outbox("webhooks-1", 1);
    size_t lost;
    cr_assert_eq(dispatch(outbox), DISPATCH_WANTED);
    cr_assert_eq(lease(outbox, "we_a", 1, now.wall_ms), 1);
    struct mark mark = mark_of_last(DELIVERY_PENDING);
    snprintf(mark.error, sizeof mark.error, "no \"answer\", {in} \\ time");
    cr_assert(outbox_mark(outbox, &mark, 1, &lost));
    cr_assert_eq(lease(outbox, "we_a", 1, now.wall_ms + 4999), 0);
    cr_assert_eq(lease(outbox, "we_a", 1, now.wall_ms + 5000), 1);
    cr_assert_eq(last.tries, 1);
    mark = mark_of_last(DELIVERY_FAILED);
    mark.status = 500;
    snprintf(mark.error, sizeof mark.error, "answered 500");
    cr_assert(outbox_mark(outbox, &mark, 1, &lost));
    cr_assert_str_eq(value("SELECT string_agg(concat_ws('|', number, status, error), ';'"
                           " ORDER BY number) FROM delivery_try"),
                     "1|no \"answer\", {in} \\ time;2|500|answered 500");
    cr_assert_eq(lease(outbox, "we_a", 1, now.wall_ms + 9999999), 0);
    outbox_destroy(&outbox);
}

static void
add_resend(const char *id, const char *event, const char *endpoint)
{
    char text[512];
    snprintf(text, sizeof text,
             "INSERT INTO resend (id, merchant, version, created, event, endpoint)"
             " VALUES ('%s', 'acct_1', 1, %lld, '%s', '%s')",
             id, (long long)now.wall_ms / 1000, event, endpoint);
    sql(text);
}

static void
resend(struct outbox *outbox)
{
    cr_assert(outbox_resend(outbox, now, on_delivery, NULL));
}

Test(outbox, grants_a_wish_to_hear_of_an_event_once_more_once)
{
    begin("resending");
    add_endpoint("we_a", "acct_1", "[\"*\"]");
    add_endpoint("we_b", "acct_1", "[\"nothing\"]");
    add_events(1, 2, "acct_1", "charge.succeeded");
    struct outbox *outbox = open_outbox("webhooks-1", 1), *other = open_outbox("webhooks-2", 2);
    size_t lost;
    add_resend("rsd_1", "evt_1", "we_a");
    resend(outbox); /* not dispatched yet: it will be told anyway */
    cr_assert_str_eq(value("SELECT count(*) FROM delivery"), "0");
    cr_assert_eq(dispatch(outbox), DISPATCH_WANTED);
    resend(outbox);
    resend(outbox);
    resend(other);
    cr_assert_eq(lease(outbox, "we_a", 9, now.wall_ms), 2);
    add_resend("rsd_2", "evt_2", "we_a"); /* it is on its way: that counts */
    resend(outbox);
    cr_assert_eq(lease(outbox, "we_a", 9, now.wall_ms), 0);
    struct mark mark = mark_of_last(DELIVERY_DELIVERED);
    mark.status = 200;
    cr_assert(outbox_mark(outbox, &mark, 1, &lost));
    cr_assert_eq(lost, 0);
    resend(other);
    cr_assert_eq(lease(outbox, "we_a", 9, now.wall_ms), 0);

    add_resend("rsd_3", "evt_2", "we_a");
    add_resend("rsd_4", "evt_2", "we_b"); /* who did not ask for its type */
    add_resend("rsd_5", "evt_none", "we_a");
    resend(other);
    resend(outbox);
    cr_assert_eq(lease(outbox, "we_a", 9, now.wall_ms), 1);
    cr_assert_eq(last.tries, 1);
    mark = mark_of_last(DELIVERY_FAILED);
    cr_assert(outbox_mark(outbox, &mark, 1, &lost));
    cr_assert_eq(lost, 0);
    cr_assert_eq(lease(other, "we_b", 9, now.wall_ms), 1);
    resend(outbox);
    cr_assert_eq(lease(outbox, "we_a", 9, now.wall_ms), 0);
    outbox_destroy(&outbox);
    outbox_destroy(&other);
}

/* What the events of one row tell, as SQL. */
static void
tell(int sequence, const char *first, const char *second)
{
    char text[1024];
    snprintf(text, sizeof text,
             "UPDATE outbox SET packed = '\\x00' || (SELECT string_agg("
             "set_byte('\\x810100', 2, 160 + length(data)) || convert_to(data, 'UTF8'), ''::bytea)"
             " FROM unnest(ARRAY['%s', '%s']) data) WHERE sequence = %d",
             first, second, sequence);
    sql(text);
}

Test(outbox, takes_apart_what_shares_a_row)
{
    begin("sharing");
    add_endpoint("we_all", "acct_1", "[\"*\"]");
    add_events(1, 1, "acct_1", "charge.succeeded charge.updated");
    sql("UPDATE outbox SET id = 'evt_A0', count = 2, objects = 'ch_1 ch_1'");
    tell(1, "{\"paid\":false}", "{\"paid\":true}");
    struct outbox *outbox = open_outbox("webhooks-1", 1);
    cr_assert_eq(dispatch(outbox), DISPATCH_WANTED);
    cr_expect_eq(outbox_cursor(outbox), 2);
    cr_assert_eq(lease(outbox, "we_all", 1, now.wall_ms), 1);
    cr_expect_str_eq(last_data, "{\"paid\":false}");
    cr_assert_eq(lease(outbox, "we_all", 1, now.wall_ms), 1);
    cr_expect_str_eq(last_data, "{\"paid\":true}");
    /* What cannot be read is not told as something else. */
    sql("UPDATE outbox SET packed = '\\x01'");
    sql("UPDATE delivery SET next_ms = 0 WHERE sequence = 1");
    last_data[0] = 0;
    cr_assert_eq(lease(outbox, "we_all", 1, now.wall_ms), 1);
    cr_expect_str_eq(last_data, "");
    outbox_destroy(&outbox);
}

Test(outbox, a_cursor_in_the_midst_of_a_row_goes_on_there)
{
    begin("midst");
    add_endpoint("we_all", "acct_1", "[\"*\"]");
    add_events(1, 1, "acct_1", "charge.succeeded charge.updated");
    sql("UPDATE outbox SET id = 'evt_A0', count = 2, objects = 'ch_1 ch_1'");
    sql("UPDATE dispatch SET sequence = 1");
    struct outbox *outbox = open_outbox("webhooks-1", 1);
    cr_assert_eq(dispatch(outbox), DISPATCH_WANTED);
    cr_expect_eq(outbox_cursor(outbox), 2);
    cr_assert_eq(lease(outbox, "we_all", 9, now.wall_ms), 1);
    outbox_destroy(&outbox);
}

Test(outbox, gives_a_new_life_what_an_earlier_one_had_leased)
{
    begin("lives");
    add_endpoint("we_a", "acct_1", "[\"*\"]");
    add_events(1, 4, "acct_1", "charge.succeeded");
    struct outbox *one = open_outbox("webhooks-1", 1), *two = open_outbox("webhooks-2", 7);
    cr_assert_eq(dispatch(one), DISPATCH_WANTED);
    cr_assert_eq(lease(one, "we_a", 2, now.wall_ms), 2);
    cr_assert_eq(lease(two, "we_a", 1, now.wall_ms), 1);
    outbox_destroy(&one); /* killed */
    one = open_outbox("webhooks-1", 2);
    cr_assert_eq(lease(one, "we_a", 9, now.wall_ms), 3);
    outbox_release(one, now);
    cr_assert_eq(lease(two, "we_a", 9, now.wall_ms), 3);
    outbox_destroy(&one);
    outbox_destroy(&two);
}

Test(outbox, gives_up_an_endpoint_as_a_whole)
{
    begin("giving_up");
    add_endpoint("we_a", "acct_1", "[\"*\"]");
    add_endpoint("we_b", "acct_1", "[\"*\"]");
    add_events(1, 20, "acct_1", "charge.succeeded");
    struct outbox *outbox = open_outbox("webhooks-1", 1);
    cr_assert_eq(dispatch(outbox), DISPATCH_WANTED);
    sql("UPDATE webhook_endpoint SET status = 'disabled' WHERE id = 'we_a'");
    cr_assert_eq(lease(outbox, "we_a", 1, now.wall_ms), 1);
    cr_assert_not(last.enabled);
    cr_assert(outbox_abandon(outbox, "we_a", 0));
    cr_assert_str_eq(value("SELECT count(*) FROM delivery WHERE state = 'failed'"), "20");
    cr_assert_eq(lease(outbox, "we_b", 20, now.wall_ms), 20);
    outbox_destroy(&outbox);
}

Test(outbox, finds_by_a_scan_whatever_is_pending_and_when)
{
    begin("scanning");
    add_endpoint("we_a", "acct_1", "[\"*\"]");
    add_endpoint("we_b", "acct_1", "[\"*\"]");
    add_endpoint("we_c", "acct_1", "[\"*\"]");
    add_events(1, 10, "acct_1", "charge.succeeded");
    struct outbox *outbox = open_outbox("webhooks-1", 1);
    cr_assert_eq(dispatch(outbox), DISPATCH_WANTED);
    cr_assert(outbox_abandon(outbox, "we_b", 410));
    told = 0;
    cr_assert(outbox_scan(outbox, on_delivery, NULL));
    cr_assert_eq(told, 2);
    outbox_destroy(&outbox);
}

Test(outbox, comes_back_when_the_connection_was_lost)
{
    begin("reconnecting");
    add_endpoint("we_a", "acct_1", "[\"*\"]");
    add_events(1, 1, "acct_1", "charge.succeeded");
    struct outbox *outbox = open_outbox("webhooks-1", 1);
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'webhooks'"
        " AND datname = 'reconnecting'");
    cr_assert_eq(dispatch(outbox), DISPATCH_FAILED);
    const struct moment later = {now.wall_ms, INT64_MAX};
    cr_assert(outbox_ready(outbox, later));
    cr_assert_eq(dispatch(outbox), DISPATCH_WANTED);
    cr_assert_str_eq(value("SELECT count(*) FROM delivery"), "1");
    outbox_destroy(&outbox);
}
