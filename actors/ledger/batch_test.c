#include "batch.h"
#include "commit_maker.h"
#include "event_pack.h"
#include "postgres_for_test.h"
#include "settle.h"
#include "statements.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

ReportHook(PRE_ALL)(struct criterion_test_set *set)
{
    (void)set;
    postgres_start();
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    (void)stats;
    postgres_stop();
}

/* --- an engine and what it told --------------------------------------------------------------- */

struct told {
    enum commit_verdict verdicts[256]; /* by the first byte of the id */
    char details[256][COMMAND_DETAIL_MAX + 1];
    char body[256], original_request[64];
    uint16_t status;
    int64_t events[64];
    size_t event_count;
    int64_t taken_epoch;
    size_t due_count;
    char balances[64]; /* behind the last row that is due */
};

struct bench {
    struct batch *batch;
    struct told told;
};

static struct text
unpacked(struct text packed, uint64_t nth)
{
    static char memory[4096];
    struct text data, previous;
    cr_assert(event_unpack(packed, nth, memory, sizeof memory, &data, &previous));
    return data;
}

/* Its type, and what it tells. */
static const char *
first_event(void)
{
    static char told[4096];
    size_t size;
    char type[64];
    snprintf(type, sizeof type, "%s", postgres_value("SELECT types FROM outbox"));
    unsigned char *const packed =
        PQunescapeBytea((const unsigned char *)postgres_value("SELECT packed FROM outbox"), &size);
    const struct text data = unpacked((struct text){(const char *)packed, size}, 1);
    snprintf(told, sizeof told, "%s %.*s", type, (int)data.size, data.at);
    PQfreemem(packed);
    return told;
}

static void
on_verdict(void *state, struct command **command_p)
{
    struct told *told = state;
    struct command *c = *command_p;
    const uint8_t id = (uint8_t)c->commit.id.at[0];
    told->verdicts[id] = c->verdict;
    snprintf(told->details[id], sizeof told->details[id], "%s", c->detail);
    if (c->verdict == COMMIT_ANSWERED) {
        told->status = c->answer.status;
        struct text body = c->answer.body;
        if (!body.at) body = unpacked(c->answer.packed, c->answer.told);
        snprintf(told->body, sizeof told->body, "%.*s", (int)body.size, body.at);
        snprintf(told->original_request, sizeof told->original_request, "%.*s",
                 (int)c->answer.original_request.size, c->answer.original_request.at);
    }
    command_destroy(command_p);
}

static void
on_event(void *state, int64_t sequence, const struct command *c, const struct msg_event_write *e)
{
    struct told *told = state;
    (void)c;
    (void)e;
    told->events[told->event_count++ % 64] = sequence;
}

static void
on_taken(void *state, const struct take *take)
{
    ((struct told *)state)->taken_epoch = take->epoch;
}

static void
on_due(void *state, const PGresult *rows)
{
    struct told *told = state;
    const int last = PQntuples(rows) - 1, column = PQnfields(rows) - 2;
    told->due_count = (size_t)PQntuples(rows);
    for (int i = 0; i <= last; i++) {
        cr_expect_eq(PQgetisnull(rows, i, column), i < last, "only the last row tells");
        snprintf(told->balances, sizeof told->balances, "%s", PQgetvalue(rows, i, column));
    }
}

static int64_t
now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum lead_verdict
try_lead(struct bench *b, const char *holder)
{
    char error[256], cluster[64];
    PGconn *conn = postgres_connect("ledger");
    cr_assert(statements_prepare(conn, error, sizeof error), "%s", error);
    const enum lead_verdict verdict = batch_lead(b->batch, &conn, holder, cluster, sizeof cluster);
    if (conn) PQfinish(conn);
    return verdict;
}

static void
bench_init_with(struct bench *b, const char *holder, void (*on_idle)(void *state))
{
    const struct batch_callbacks callbacks = {&b->told, on_verdict, on_event,
                                              on_taken, on_idle,    on_due};
    memset(b, 0, sizeof *b);
    b->batch = batch_new(&callbacks);
    cr_assert_eq(try_lead(b, holder), LEAD_OK);
}

static void
bench_init(struct bench *b, const char *holder)
{
    bench_init_with(b, holder, NULL);
}

/* Until the engine has nothing more to do, or cannot go on. */
static enum batch_state
drive(struct bench *b)
{
    for (enum batch_state state;;) {
        state = batch_step(b->batch, now_ms());
        if (state != BATCH_BUSY) return state;
        struct pollfd fd = {batch_fd(b->batch), batch_poll_events(b->batch), 0};
        poll(&fd, 1, batch_retry_ms(b->batch) ? 10 : 5000);
    }
}

static void
take_slots(struct bench *b, const char *owner)
{
    struct take take = {.incarnation = 7};
    memset(take.slots, 0xff, sizeof take.slots);
    snprintf(take.owner, sizeof take.owner, "%s", owner);
    batch_take(b->batch, &take);
    cr_assert_eq(drive(b), BATCH_IDLE);
}

/* A leader whose slots all belong to payments-1 under epoch 1. */
static void
bench_start(struct bench *b)
{
    postgres_fresh();
    bench_init(b, "ledger-1");
    take_slots(b, TEST_SENDER);
    cr_assert_eq(b->told.taken_epoch, 1);
}

static void
start_writing(struct bench *b, const struct wish *wishes, size_t count)
{
    struct command *commands[64];
    for (size_t i = 0; i < count; i++) {
        commands[i] = wish_command(&wishes[i]);
        cr_assert(commands[i], "%s", wish_reason);
    }
    batch_write(b->batch, commands, count, 1700000000);
}

static void
write_all(struct bench *b, const struct wish *wishes, size_t count)
{
    start_writing(b, wishes, count);
    cr_assert_eq(drive(b), BATCH_IDLE);
}

static enum commit_verdict
write_one(struct bench *b, const struct wish *wish)
{
    const uint8_t id = (uint8_t)(wish->id ? wish->id : 'i');
    b->told.verdicts[id] = 0;
    write_all(b, wish, 1);
    return b->told.verdicts[id];
}

#define WRITE(b, ...) write_one(b, &(struct wish){__VA_ARGS__})
#define ROW(number, replaces, value) .rows = {{number, replaces, value}}

#define EXPECT_VERDICT(got, wanted)                                               \
    do {                                                                          \
        const enum commit_verdict got_ = (got);                                   \
        cr_expect_eq(got_, wanted, "%s instead of %s", commit_verdict_name(got_), \
                     commit_verdict_name(wanted));                                \
    } while (0)

#define EXPECT_VALUE(sql, wanted)                                \
    do {                                                         \
        const char *const value_ = postgres_value(sql);          \
        cr_expect_str_eq(value_, wanted, "%s: %s", sql, value_); \
    } while (0)

/* --- keys ------------------------------------------------------------------------------------- */

Test(batch, a_key_is_claimed_once_and_its_answer_is_kept)
{
    struct bench b;
    bench_start(&b);
    EXPECT_VERDICT(WRITE(&b, .id = 'a', .claim = 1, .key = "k"), COMMIT_DONE);
    EXPECT_VERDICT(WRITE(&b, .id = 'a', .claim = 1, .key = "k", .repeated = 1), COMMIT_DONE);
    EXPECT_VERDICT(WRITE(&b, .id = 'b', .claim = 1, .key = "k"), COMMIT_OPEN);
    EXPECT_VERDICT(WRITE(&b, .id = 'a', .claim = 2, .key = "k", .status = 402, .body = "no"),
                   COMMIT_DONE);
    EXPECT_VERDICT(
        WRITE(&b, .id = 'a', .claim = 2, .key = "k", .status = 402, .body = "no", .repeated = 1),
        COMMIT_DONE);
    EXPECT_VERDICT(WRITE(&b, .id = 'c', .claim = 1, .key = "k"), COMMIT_ANSWERED);
    cr_expect_eq(b.told.status, 402);
    cr_expect_str_eq(b.told.body, "no");
    cr_expect_str_eq(b.told.original_request, "req_first");
    EXPECT_VERDICT(WRITE(&b, .id = 'd', .claim = 1, .key = "k", .hash = 'x'), COMMIT_MISMATCH);
    batch_destroy(&b.batch);
}

Test(batch, an_answer_may_come_with_the_claim)
{
    struct bench b;
    bench_start(&b);
    EXPECT_VERDICT(WRITE(&b, .id = 'a', .claim = 1, .key = "k", .status = 200, .body = "{}"),
                   COMMIT_DONE);
    EXPECT_VERDICT(WRITE(&b, .id = 'b', .claim = 1, .key = "k"), COMMIT_ANSWERED);
    cr_expect_eq(b.told.status, 200);
    batch_destroy(&b.batch);
}

Test(batch, an_event_is_found_by_its_own_id_or_by_that_of_the_first_beside_it)
{
    struct bench b;
    bench_start(&b);
    const struct wish wishes[] = {
        {.id = 'a',
         .claim = 1,
         .key = "a",
         .type = "charge.updated",
         .events = {"evt_a0", "evt_a1", "evt_a2", "evt_a3"}},
        {.id = 'b', .claim = 1, .key = "b", .events = {"evt_b1", "evt_b2"}}, /* no first */
        {.id = 'c', .claim = 1, .key = "c", .events = {"evt_c0", "evt_c2", "evt_c1"}},
    };
    write_all(&b, wishes, 3);
    EXPECT_VALUE("SELECT string_agg(nth::text, '' ORDER BY sequence) FROM event", "123411111");
    EXPECT_VALUE("SELECT string_agg(types, ',' ORDER BY sequence) FROM outbox WHERE count > 1",
                 "charge.updated charge.updated charge.updated charge.updated");
    EXPECT_VALUE("SELECT count(*) FROM event e CROSS JOIN LATERAL event_at(e.sequence) f"
                 " WHERE f.id = e.id",
                 "9");
    EXPECT_VALUE("SELECT count(*) FROM event_at(0)", "0");
    EXPECT_VALUE("SELECT count(*) FROM event_at(10)", "0");
    EXPECT_VALUE("SELECT string_agg(f.id, ' ' ORDER BY e.sequence) FROM event e CROSS JOIN LATERAL"
                 " event_named(e.merchant, e.id) f WHERE f.sequence = e.sequence",
                 "evt_a0 evt_a1 evt_a2 evt_a3 evt_b1 evt_b2 evt_c0 evt_c2 evt_c1");
    EXPECT_VALUE("SELECT count(*) FROM event_named('acct_1', 'evt_a4')", "0");
    EXPECT_VALUE("SELECT count(*) FROM event_named('acct_2', 'evt_a1')", "0");
    EXPECT_VERDICT(WRITE(&b, .id = 'd', .claim = 1, .key = "d", .events = {"evt_a0"}),
                   COMMIT_REJECTED);
    batch_destroy(&b.batch);
}

/* The first of a batch and the second: their events are numbered one after the other. */
Test(batch, an_answer_that_an_event_has_told_is_found_there)
{
    struct bench b;
    bench_start(&b);
    const struct wish wishes[] = {
        {.id = 'a', .claim = 1, .key = "k", .events = {"evt_1", "evt_2"}},
        {.id = 'b',
         .claim = 1,
         .key = "l",
         .status = 200,
         .told = 2,
         .type = "charge.succeeded",
         .events = {"evt_b0", "evt_b1", "evt_b2"}},
    };
    write_all(&b, wishes, 2);
    EXPECT_VALUE("SELECT string_agg(concat(sequence, '+', count), ' ' ORDER BY sequence)"
                 " FROM outbox",
                 "1+1 2+1 3+3");
    EXPECT_VALUE("SELECT told FROM idempotency WHERE key = 'l'", "4");
    EXPECT_VERDICT(WRITE(&b, .id = 'c', .claim = 1, .key = "l"), COMMIT_ANSWERED);
    cr_expect_str_eq(b.told.body, "{\"id\":\"cus_1\",\"name\":\"Ada\"}");
    EXPECT_VERDICT(
        WRITE(&b, .id = 'd', .claim = 2, .key = "k", .status = 200, .told = 1, .events = {"evt_6"}),
        COMMIT_DONE);
    EXPECT_VALUE("SELECT told FROM idempotency WHERE key = 'k'", "6");
    EXPECT_VERDICT(WRITE(&b, .id = 'e', .claim = 1, .key = "k"), COMMIT_ANSWERED);
    batch_destroy(&b.batch);
}

Test(batch, an_answer_is_never_changed)
{
    struct bench b;
    bench_start(&b);
    EXPECT_VERDICT(WRITE(&b, .id = 'a', .claim = 1, .key = "k", .status = 200, .body = "{}"),
                   COMMIT_DONE);
    EXPECT_VERDICT(WRITE(&b, .id = 'b', .claim = 2, .key = "k", .status = 402, .body = "no"),
                   COMMIT_REJECTED);
    EXPECT_VALUE("SELECT status FROM idempotency", "200");
    batch_destroy(&b.batch);
}

/* What a lookahead said of a key: it was not there when so many batches had been written. */
static enum commit_verdict
write_looked_ahead(struct bench *b, const struct wish *wish, int64_t seen_at)
{
    struct command *c = wish_command(wish);
    cr_assert(c, "%s", wish_reason);
    c->key_was_new = true;
    c->key_seen_at = seen_at;
    b->told.verdicts[(uint8_t)wish->id] = 0;
    batch_write(b->batch, &c, 1, 1700000000);
    cr_assert_eq(drive(b), BATCH_IDLE);
    return b->told.verdicts[(uint8_t)wish->id];
}

#define WRITE_LOOKED_AHEAD(b, seen_at, ...) \
    write_looked_ahead(b, &(struct wish){__VA_ARGS__}, seen_at)

Test(batch, a_key_that_was_new_is_looked_up_when_it_was_claimed_since)
{
    struct bench b;
    bench_start(&b);
    const int64_t before = batch_books(b.batch)->last_batch;
    EXPECT_VERDICT(WRITE_LOOKED_AHEAD(&b, before, .id = 'a', .claim = 1, .key = "k", .status = 200,
                                      .body = "{}"),
                   COMMIT_DONE);
    EXPECT_VERDICT(WRITE_LOOKED_AHEAD(&b, before, .id = 'b', .claim = 1, .key = "k"),
                   COMMIT_ANSWERED);
    EXPECT_VERDICT(WRITE_LOOKED_AHEAD(&b, before, .id = 'c', .claim = 1, .key = "other"),
                   COMMIT_DONE);
    cr_expect_eq(batch_counts(b.batch).bisections, 0);
    batch_destroy(&b.batch);
}

/* Postgres knows better, and then nothing is taken for known any more. */
Test(batch, a_key_that_was_wrongly_taken_for_new_is_found_all_the_same)
{
    struct bench b;
    bench_start(&b);
    EXPECT_VERDICT(WRITE(&b, .id = 'a', .claim = 1, .key = "k", .status = 200, .body = "{}"),
                   COMMIT_DONE);
    batch_destroy(&b.batch);
    bench_init(&b, "ledger-1"); /* knows nothing of the claim */
    take_slots(&b, TEST_SENDER);
    const uint64_t epoch = (uint64_t)b.told.taken_epoch;
    const int64_t now = batch_books(b.batch)->last_batch;
    const struct wish wishes[] = {{.id = 'b', .claim = 1, .key = "k", .epoch = epoch},
                                  {.id = 'c', .claim = 1, .key = "other", .epoch = epoch}};
    struct command *commands[2];
    for (int i = 0; i < 2; i++) {
        commands[i] = wish_command(&wishes[i]);
        cr_assert(commands[i], "%s", wish_reason);
        commands[i]->key_was_new = true;
        commands[i]->key_seen_at = now;
    }
    batch_write(b.batch, commands, 2, 1700000000);
    cr_assert_eq(drive(&b), BATCH_IDLE);
    EXPECT_VERDICT(b.told.verdicts['b'], COMMIT_ANSWERED);
    EXPECT_VERDICT(b.told.verdicts['c'], COMMIT_DONE);
    cr_expect_eq(batch_counts(b.batch).bisections, 1);
    batch_destroy(&b.batch);
}

/* Gives the engine its next thing from inside, as the ledger does, and looks what was told then. */
static struct bench *idle_bench;
static enum commit_verdict told_when_idle;

static void
write_when_idle(void *state)
{
    struct told *told = state;
    const struct wish next = {.id = 'n',
                              .rows = {{ROW_customer, 0, new_customer("cus_2", 1, "B")}}};
    if (told_when_idle != COMMIT_REJECTED) return;
    told_when_idle = told->verdicts['a'];
    start_writing(idle_bench, &next, 1);
}

Test(batch, the_next_batch_is_with_postgres_before_the_last_one_is_told)
{
    struct bench b;
    postgres_fresh();
    bench_init_with(&b, "ledger-1", write_when_idle);
    take_slots(&b, TEST_SENDER);
    idle_bench = &b;
    told_when_idle = COMMIT_REJECTED;
    EXPECT_VERDICT(WRITE(&b, .id = 'a', ROW(ROW_customer, 0, new_customer("cus_1", 1, "A"))),
                   COMMIT_DONE);
    EXPECT_VERDICT(told_when_idle, 0);
    EXPECT_VERDICT(b.told.verdicts['n'], COMMIT_DONE);
    batch_destroy(&b.batch);
}

/* --- rows ------------------------------------------------------------------------------------- */

Test(batch, a_row_is_replaced_only_at_its_version)
{
    struct bench b;
    bench_start(&b);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_customer, 0, new_customer("cus_1", 1, "Ada"))), COMMIT_DONE);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_customer, 1, new_customer("cus_1", 2, "Bob"))), COMMIT_DONE);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_customer, 1, new_customer("cus_1", 2, "Eve"))), COMMIT_STALE);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_customer, 1, new_customer("cus_2", 2, "Eve"))), COMMIT_STALE);
    EXPECT_VALUE("SELECT name || version FROM customer", "Bob2");
    batch_destroy(&b.batch);
}

/* A column that no row of a batch has anything in is not sent at all. */
Test(batch, what_is_absent_is_absent_beside_rows_that_have_it)
{
    struct bench b;
    struct row_customer *rows[4];
    struct wish wishes[4];
    bench_start(&b);
    for (int version = 1; version <= 2; version++) {
        for (int i = 0; i < 4; i++) {
            char id[16];
            snprintf(id, sizeof id, "cus_%d", i);
            rows[i] = new_customer(strdup(id), version, "Ada");
            rows[i]->description = i == version ? TEXT("there") : NO_TEXT;
            rows[i]->email = version == 1 ? TEXT("gone") : NO_TEXT;
            wishes[i] = (struct wish){.id = (char)('a' + 4 * version + i),
                                      .rows = {{ROW_customer, version - 1, rows[i]}}};
        }
        write_all(&b, wishes, 4);
        for (int i = 0; i < 4; i++)
            cr_expect_eq(b.told.verdicts['a' + 4 * version + i], COMMIT_DONE);
        EXPECT_VALUE("SELECT string_agg(coalesce(description, '-'), ' ' ORDER BY id) FROM customer",
                     version == 1 ? "- there - -" : "- - there -");
        EXPECT_VALUE("SELECT count(email) || ' ' || count(phone) FROM customer",
                     version == 1 ? "4 0" : "0 0");
    }
    batch_destroy(&b.batch);
}

Test(batch, a_leader_that_knows_nothing_yet_asks_for_the_version)
{
    struct bench b, next;
    bench_start(&b);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_customer, 0, new_customer("cus_1", 1, "Ada"))), COMMIT_DONE);
    bench_init(&next, "ledger-2");
    EXPECT_VERDICT(WRITE(&next, ROW(ROW_customer, 2, new_customer("cus_1", 3, "Eve"))),
                   COMMIT_STALE);
    EXPECT_VERDICT(WRITE(&next, ROW(ROW_customer, 1, new_customer("cus_1", 2, "Bob"))),
                   COMMIT_DONE);
    batch_destroy(&b.batch);
    batch_destroy(&next.batch);
}

Test(batch, a_repetition_of_what_was_written_is_done_and_written_once)
{
    struct bench b;
    bench_start(&b);
    const struct wish wish = {.id = 'a',
                              .rows = {{ROW_customer, 0, new_customer("cus_1", 1, "Ada")},
                                       {ROW_customer, 0, new_customer("cus_2", 1, "Bob")}},
                              .events = {"evt_1"}};
    struct wish again = wish;
    again.repeated = 1;
    EXPECT_VERDICT(write_one(&b, &again), COMMIT_DONE); /* the first sending was lost */
    EXPECT_VERDICT(write_one(&b, &again), COMMIT_DONE);
    take_slots(&b, "payments-2"); /* and even now */
    EXPECT_VERDICT(write_one(&b, &again), COMMIT_DONE);
    EXPECT_VALUE("SELECT count(*) FROM event", "1");
    batch_destroy(&b.batch);
}

Test(batch, what_another_command_made_of_an_attempt_is_no_repetition)
{
    struct bench b;
    bench_start(&b);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 0, new_attempt("att_1", 1, "sending"))), COMMIT_DONE);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 1, new_attempt("att_1", 2, "unknown"))), COMMIT_DONE);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 2, new_attempt("att_1", 3, "approved"))),
                   COMMIT_DONE);
    EXPECT_VERDICT(WRITE(&b, .repeated = 1, .id = 'r',
                         ROW(ROW_attempt, 2, new_attempt("att_1", 3, "reversing"))),
                   COMMIT_STALE);
    EXPECT_VERDICT(WRITE(&b, .repeated = 1, .id = 'a',
                         ROW(ROW_attempt, 2, new_attempt("att_1", 3, "approved"))),
                   COMMIT_DONE);
    batch_destroy(&b.batch);
}

Test(batch, a_change_that_another_owner_may_have_made_is_no_repetition)
{
    struct bench b;
    bench_start(&b);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_customer, 0, new_customer("cus_1", 1, "Ada"))), COMMIT_DONE);
    EXPECT_VERDICT(WRITE(&b, .id = 'b', ROW(ROW_customer, 1, new_customer("cus_1", 2, "Bob"))),
                   COMMIT_DONE);
    const struct wish again = {
        .id = 'b', .repeated = 1, ROW(ROW_customer, 1, new_customer("cus_1", 2, "Bob"))};
    EXPECT_VERDICT(write_one(&b, &again), COMMIT_DONE); /* who else could it have been? */
    take_slots(&b, "payments-2");
    EXPECT_VERDICT(write_one(&b, &again), COMMIT_FENCED);
    batch_destroy(&b.batch);
}

Test(batch, what_an_attempt_bears_is_there_byte_for_byte_until_its_end)
{
    static char bytes[100000]; /* more than a page of Postgres */
    struct bench b;
    struct row_attempt *row;
    bench_start(&b);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * i >> 8);
    row = new_attempt("att_1", 1, "sending");
    row->staged = (struct text){bytes, sizeof bytes};
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 0, row)), COMMIT_DONE);
    row = new_attempt("att_1", 2, "unknown");
    row->staged = (struct text){bytes, sizeof bytes};
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 1, row)), COMMIT_DONE);
    EXPECT_VALUE("SELECT length(staged) || ' ' || (SELECT bool_and(get_byte(staged, i) = "
                 "(i::bigint * i >> 8) % 256)"
                 " FROM generate_series(0, 99999) i) FROM every_attempt",
                 "100000 true");
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 2, new_attempt("att_1", 3, "approved"))),
                   COMMIT_DONE);
    EXPECT_VALUE("SELECT staged IS NULL FROM attempt", "t");
    batch_destroy(&b.batch);
}

Test(batch, an_attempt_goes_only_where_its_arrows_lead)
{
    struct bench b;
    bench_start(&b);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 0, new_attempt("att_1", 1, "approved"))),
                   COMMIT_REJECTED);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 0, new_attempt("att_1", 1, "sending"))), COMMIT_DONE);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 1, new_attempt("att_1", 2, "unknown"))), COMMIT_DONE);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 2, new_attempt("att_1", 3, "reversing"))),
                   COMMIT_DONE);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 3, new_attempt("att_1", 4, "approved"))),
                   COMMIT_REJECTED);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 3, new_attempt("att_1", 4, "reversed"))),
                   COMMIT_DONE);
    EXPECT_VALUE("SELECT state FROM attempt", "reversed");
    batch_destroy(&b.batch);
}

Test(batch, the_update_itself_refuses_an_arrow_that_is_not_there)
{
    struct bench b;
    bench_start(&b);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 0, new_attempt("att_1", 1, "sending"))), COMMIT_DONE);
    /* Somebody else's hand in the table, so that what the leader takes for known is wrong. */
    postgres_value("UPDATE open_attempt SET state = 'reversing' WHERE id = 'att_1'");
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 1, new_attempt("att_1", 2, "approved"))),
                   COMMIT_REJECTED);
    EXPECT_VALUE("SELECT state FROM every_attempt", "reversing");
    /* and after that the leader believes the table again, not its memory */
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 1, new_attempt("att_1", 2, "reversed"))),
                   COMMIT_DONE);
    batch_destroy(&b.batch);
}

/* --- attempts under way ----------------------------------------------------------------------- */

static const struct row_attempt *
keyed_attempt(const char *id, int64_t version, const char *state, const char *key)
{
    struct row_attempt *const row = new_attempt(id, version, state);
    row->key = text_of(key);
    row->request = TEXT("req_first");
    return row;
}

/* Another takes the lead, and knows what Postgres has. */
static void
lead_anew(struct bench *b)
{
    batch_unlead(b->batch);
    cr_assert_eq(try_lead(b, "ledger-1"), LEAD_OK);
}

Test(under_way, one_attempt_at_a_time_for_what_it_is_about)
{
    struct bench b;
    bench_start(&b);
    struct row_attempt *row = new_attempt("att_1", 1, "sending");
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 0, row)), COMMIT_DONE);
    for (int led_anew = 0; led_anew < 2; led_anew++) {
        EXPECT_VERDICT(
            WRITE(&b, .id = 'a', ROW(ROW_attempt, 0, new_attempt("att_2", 1, "sending"))),
            COMMIT_REJECTED);
        EXPECT_VERDICT(
            WRITE(&b, .id = 'b', ROW(ROW_attempt, 0, new_attempt("att_1", 1, "sending"))),
            COMMIT_REJECTED);
        row = new_attempt(led_anew ? "att_4" : "att_3", 1, "sending");
        row->operation = TEXT("refund");
        EXPECT_VERDICT(WRITE(&b, .id = 'c', ROW(ROW_attempt, 0, row)), COMMIT_DONE);
        lead_anew(&b);
    }
    row = new_attempt("att_5", 1, "sending");
    row->payment_intent = TEXT("pi_2");
    EXPECT_VERDICT(WRITE(&b, .id = 'd', ROW(ROW_attempt, 0, row)), COMMIT_DONE);
    EXPECT_VALUE("SELECT count(*) FROM attempt_under_way", "4");
    EXPECT_VERDICT(WRITE(&b, .id = 'e', ROW(ROW_attempt, 1, new_attempt("att_1", 2, "declined"))),
                   COMMIT_DONE);
    EXPECT_VERDICT(WRITE(&b, .id = 'f', ROW(ROW_attempt, 0, new_attempt("att_2", 1, "sending"))),
                   COMMIT_DONE);
    EXPECT_VALUE("SELECT string_agg(id || state, ' ' ORDER BY id) FROM every_attempt",
                 "att_1declined att_2sending att_3sending att_4sending att_5sending");
    batch_destroy(&b.batch);
}

Test(under_way, one_that_is_over_does_not_begin_again)
{
    struct bench b;
    bench_start(&b);
    const struct wish begin = {.id = 'a', ROW(ROW_attempt, 0, new_attempt("att_1", 1, "sending"))};
    EXPECT_VERDICT(write_one(&b, &begin), COMMIT_DONE);
    EXPECT_VERDICT(WRITE(&b, .id = 'b', ROW(ROW_attempt, 1, new_attempt("att_1", 2, "declined"))),
                   COMMIT_DONE);
    EXPECT_VERDICT(write_one(&b, &begin), COMMIT_REJECTED); /* an old copy of it */
    EXPECT_VALUE("SELECT count(*) FROM attempt_under_way", "0");
    EXPECT_VALUE("SELECT count(*) FROM every_attempt", "1");
    batch_destroy(&b.batch);
}

Test(under_way, places_are_written_over_when_they_are_free)
{
    struct bench b;
    char id[2][16];
    bench_start(&b);
    for (int i = 1; i <= 3; i++) {
        for (int two = 0; two < 2; two++) {
            snprintf(id[two], sizeof id[two], "att_%d%d", i, two);
            struct row_attempt *const row = new_attempt(id[two], 1, "sending");
            row->payment_intent = text_of(id[two]);
            EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 0, row)), COMMIT_DONE);
        }
        EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 1, new_attempt(id[0], 2, "declined"))),
                       COMMIT_DONE);
        if (i == 2) lead_anew(&b);
    }
    EXPECT_VALUE("SELECT string_agg(place || id, ' ' ORDER BY place) FROM open_attempt"
                 " WHERE id IS NOT NULL",
                 "1att_30 2att_11 3att_21 4att_31");
    EXPECT_VALUE("SELECT count(*) FROM attempt_under_way", "3");
    EXPECT_VALUE("SELECT count(*) FROM open_attempt", "33"); /* made once, some more than wanted */
    EXPECT_VALUE("SELECT open_until FROM places_in_use", "4");
    for (int i = 2; i <= 3; i++) {
        snprintf(id[1], sizeof id[1], "att_%d1", i);
        EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 1, new_attempt(id[1], 2, "declined"))),
                       COMMIT_DONE);
    }
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_customer, 0, new_customer("cus_1", 1, "Ada"))), COMMIT_DONE);
    EXPECT_VALUE("SELECT open_until FROM places_in_use", "2"); /* where att_11 still is */
    batch_destroy(&b.batch);
}

/* What the leader takes for free is not. */
Test(under_way, the_update_itself_refuses_to_write_over_what_is_under_way)
{
    struct bench b;
    bench_start(&b);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 0, new_attempt("att_1", 1, "sending"))), COMMIT_DONE);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 1, new_attempt("att_1", 2, "declined"))),
                   COMMIT_DONE);
    postgres_value("DELETE FROM attempt");
    struct row_attempt *const other = new_attempt("att_2", 1, "sending");
    other->payment_intent = TEXT("pi_2");
    EXPECT_VERDICT(WRITE(&b, .id = 'a', ROW(ROW_attempt, 0, other)), COMMIT_REJECTED);
    EXPECT_VALUE("SELECT string_agg(id, ' ') FROM attempt_under_way", "att_1");
    EXPECT_VERDICT(WRITE(&b, .id = 'b', ROW(ROW_attempt, 0, other)), COMMIT_DONE);
    EXPECT_VALUE("SELECT string_agg(id, ' ' ORDER BY id) FROM attempt_under_way", "att_1 att_2");
    batch_destroy(&b.batch);
}

Test(under_way, a_key_stands_with_its_attempt_until_it_is_answered)
{
    struct bench b;
    bench_start(&b);
    const struct wish begin = {.id = 'a',
                               .claim = 1,
                               .key = "k",
                               ROW(ROW_attempt, 0, keyed_attempt("att_1", 1, "sending", "k"))};
    EXPECT_VERDICT(write_one(&b, &begin), COMMIT_DONE);
    for (int led_anew = 0; led_anew < 2; led_anew++) {
        EXPECT_VALUE("SELECT count(*) FROM idempotency", "0");
        EXPECT_VERDICT(write_one(&b, &begin), COMMIT_DONE); /* the same command */
        EXPECT_VERDICT(WRITE(&b, .id = 'b', .claim = 1, .key = "k"), COMMIT_OPEN);
        EXPECT_VERDICT(WRITE(&b, .id = 'c', .claim = 1, .key = "k", .hash = 'x'), COMMIT_OPEN);
        lead_anew(&b);
    }
    EXPECT_VERDICT(WRITE(&b, .id = 'd', .claim = 2, .key = "k", .status = 402, .body = "no",
                         ROW(ROW_attempt, 1, keyed_attempt("att_1", 2, "declined", "k"))),
                   COMMIT_DONE);
    EXPECT_VALUE("SELECT concat_ws(' ', key, encode(request_hash, 'escape'), path, encode(command,"
                 " 'escape'), request, status, body, told) FROM idempotency",
                 "k hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh POST /v1/customers aaaaaaaaaaaaaaaa"
                 " req_first 402 no");
    for (int led_anew = 0; led_anew < 2; led_anew++) {
        EXPECT_VERDICT(WRITE(&b, .id = 'b', .claim = 1, .key = "k"), COMMIT_ANSWERED);
        EXPECT_VERDICT(WRITE(&b, .id = 'b', .claim = 1, .key = "k", .hash = 'x'), COMMIT_MISMATCH);
        lead_anew(&b);
    }
    batch_destroy(&b.batch);
}

/* In either order, with another leader between them or without. */
Test(under_way, a_key_and_its_attempt_may_end_apart)
{
    for (int order = 0; order < 4; order++) {
        struct bench b;
        bench_start(&b);
        EXPECT_VERDICT(WRITE(&b, .id = 'a', .claim = 1, .key = "k",
                             ROW(ROW_attempt, 0, keyed_attempt("att_1", 1, "sending", "k"))),
                       COMMIT_DONE);
        for (int step = 0; step < 2; step++) {
            if (step == order % 2)
                EXPECT_VERDICT(
                    WRITE(&b, .id = 'b', .claim = 2, .key = "k", .status = 500, .body = "late"),
                    COMMIT_DONE);
            else
                EXPECT_VERDICT(
                    WRITE(&b, .id = 'c',
                          ROW(ROW_attempt, 1, keyed_attempt("att_1", 2, "declined", "k"))),
                    COMMIT_DONE);
            if (order >= 2) lead_anew(&b);
            EXPECT_VERDICT(WRITE(&b, .id = 'd', .claim = 1, .key = "k"),
                           step == 1 || order % 2 == 0 ? COMMIT_ANSWERED : COMMIT_OPEN);
        }
        EXPECT_VALUE("SELECT status || ' ' || body FROM idempotency", "500 late");
        EXPECT_VALUE("SELECT state FROM every_attempt", "declined");
        batch_destroy(&b.batch);
    }
}

/* A key whose attempt is another's, or that is claimed with its answer, has its own row at once. */
Test(under_way, a_key_that_no_attempt_bears_has_a_row_of_its_own)
{
    struct bench b;
    bench_start(&b);
    EXPECT_VERDICT(WRITE(&b, .id = 'a', .claim = 1, .key = "k",
                         ROW(ROW_attempt, 0, new_attempt("att_1", 1, "sending"))),
                   COMMIT_DONE);
    EXPECT_VALUE("SELECT count(*) FROM idempotency WHERE status IS NULL", "1");
    EXPECT_VERDICT(WRITE(&b, .id = 'b', .claim = 2, .key = "k", .status = 200, .body = "{}",
                         ROW(ROW_attempt, 1, new_attempt("att_1", 2, "declined"))),
                   COMMIT_DONE);
    EXPECT_VERDICT(WRITE(&b, .id = 'c', .claim = 1, .key = "l", .status = 200, .body = "{}",
                         ROW(ROW_attempt, 0, keyed_attempt("att_2", 1, "sending", "l"))),
                   COMMIT_DONE);
    EXPECT_VALUE("SELECT string_agg(key, '' ORDER BY key) FROM idempotency WHERE status = 200",
                 "kl");
    batch_destroy(&b.batch);
}

Test(batch, only_the_owner_of_the_slot_writes)
{
    struct bench b;
    bench_start(&b);
    const struct row_customer *row = new_customer("cus_1", 1, "Ada");
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_customer, 0, row), .sender = "payments-2"), COMMIT_FENCED);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_customer, 0, row), .epoch = 2), COMMIT_FENCED);
    take_slots(&b, "payments-2");
    cr_expect_eq(b.told.taken_epoch, 2);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_customer, 0, row)), COMMIT_FENCED);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_customer, 0, row), .sender = "payments-2", .epoch = 2),
                   COMMIT_DONE);
    EXPECT_VALUE("SELECT count(*) || max(owner) || max(epoch) FROM slot", "1024payments-22");
    batch_destroy(&b.batch);
}

Test(batch, taking_again_what_one_holds_changes_nothing)
{
    struct bench b;
    bench_start(&b);
    take_slots(&b, TEST_SENDER);
    cr_expect_eq(b.told.taken_epoch, 1);
    batch_destroy(&b.batch);
}

/* --- books ------------------------------------------------------------------------------------ */

Test(batch, what_is_posted_is_in_the_balances)
{
    struct bench b;
    bench_start(&b);
    const struct wish wishes[] = {
        {.id = 'a',
         .claim = 1,
         .key = "1",
         .postings = {{"charge", "ch_1", {{1, 500}, {2, -450}, {4, -50}}}}},
        {.id = 'b',
         .claim = 1,
         .key = "2",
         .postings = {{"charge", "ch_2", {{1, 300}, {2, -280}, {4, -20}}}}},
    };
    write_all(&b, wishes, 2);
    EXPECT_VERDICT(WRITE(&b, .id = 'c', .claim = 1, .key = "3",
                         .postings = {{"refund", "re_1", {{2, 100}, {5, -100}}}}),
                   COMMIT_DONE);
    EXPECT_VALUE("SELECT amount FROM balance WHERE account = 2 AND merchant = '" TEST_MERCHANT "'",
                 "-630");
    EXPECT_VALUE("SELECT amount FROM balance WHERE account = 4 AND merchant = ''", "-70");
    EXPECT_VALUE("SELECT sum(amount) FROM balance", "0");
    /* The lines of each, as who posted them had them. */
    EXPECT_VALUE("SELECT string_agg(format('%s.%s:%s%s %s %s', transaction, line, account,"
                 " CASE merchant WHEN '' THEN '' WHEN '" TEST_MERCHANT "' THEN 'm' ELSE '?' END,"
                 " amount, currency), ',' ORDER BY transaction, line) FROM entry",
                 "1.1:1 500 usd,1.2:2m -450 usd,1.3:4 -50 usd,"
                 "2.1:1 300 usd,2.2:2m -280 usd,2.3:4 -20 usd,"
                 "3.1:2m 100 usd,3.2:5 -100 usd");
    EXPECT_VALUE("SELECT count(*) || '/' || max(id) || '/' || (SELECT transaction_head FROM"
                 " ledger_leader) FROM ledger_transaction",
                 "3/3/3");
    batch_destroy(&b.batch);
}

Test(batch, lines_of_a_posting_may_differ_in_currency)
{
    struct bench b;
    bench_start(&b);
    const struct wish wishes[] = {
        {.id = 'a',
         .claim = 1,
         .key = "1",
         .postings = {{"charge", "ch_1", {{1, 500}, {4, -500}, {1, 70}, {2, -70}}},
                      {"hold", "ch_1", {{6, 9}, {7, -9}}}},
         .currencies = {"usd", "usd", "eur", "eur"}},
        {.id = 'b', .claim = 1, .key = "2", .postings = {{"charge", "ch_2", {{1, 3}, {2, -3}}}}},
    };
    write_all(&b, wishes, 2);
    EXPECT_VALUE("SELECT string_agg(format('%s.%s:%s%s %s %s', transaction, line, account,"
                 " CASE merchant WHEN '' THEN '' WHEN '" TEST_MERCHANT "' THEN 'm' ELSE '?' END,"
                 " amount, currency), ',' ORDER BY transaction, line) FROM entry",
                 "1.1:1 500 usd,1.2:4 -500 usd,1.3:1 70 eur,1.4:2m -70 eur,"
                 "2.1:6m 9 usd,2.2:7m -9 usd,3.1:1 3 usd,3.2:2m -3 usd");
    EXPECT_VALUE("SELECT string_agg(account || ' ' || currency || ' ' || amount, ','"
                 " ORDER BY account, currency) FROM balance",
                 "1 eur 70,1 usd 503,2 eur -70,2 usd -3,4 usd -500,6 usd 9,7 usd -9");
    batch_destroy(&b.batch);
}

Test(batch, unbalanced_books_are_rejected_and_nothing_of_the_command_is_written)
{
    struct bench b;
    bench_start(&b);
    EXPECT_VERDICT(
        WRITE(&b, .claim = 1, .key = "k", .postings = {{"charge", "ch_1", {{1, 500}, {2, -499}}}}),
        COMMIT_REJECTED);
    EXPECT_VALUE("SELECT count(*) FROM idempotency", "0");
    batch_destroy(&b.batch);
}

/* Tries it in a session of that role; returns the SQLSTATE, "00000" when it works. */
static const char *
tried(const char *role, const char *sql)
{
    static char state[6];
    PGconn *conn = postgres_connect(role);
    PGresult *r = PQexec(conn, sql);
    const char *field = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    snprintf(state, sizeof state, "%s", field ? field : "00000");
    PQclear(r);
    PQfinish(conn);
    return state;
}

/* A transaction's currency, accounts and amounts. */
Test(schema, lines_that_are_wrong_are_refused_by_the_database_itself)
{
    // clang-format off
    static const struct {
        const char *lines, *state;
    } table[] = {
        {"'usd', '{1,4}', '{5,-4}'", "FL002"},
        {"'usd', '{1,-2,4}', '{5,-4,1}'", "FL002"},
        {"'usd', '{1,-2,4,4}', '{5,-4,-1,1}'", "FL002"},
        {"'usdeur', '{1,4}', '{5,-5}'", "FL002"},
        {"'usdeureurusd', '{1,4,1,4}', '{5,-5,-5,5}'", "FL002"},
        {"'usd', '{1,4,4,4,4}', '{5,-4,-2,1,1}'", "FL002"},
        {"'usd', '{1}', '{5}'", "FL002"},
        {"'usd', '{1,4,4}', '[0:2]={7,5,-5}'", "FL002"},
        {"'usd', '{1,4,4}', '[2:4]={7,-5,-5}'", "FL002"},
        {"'usd', '{1,4,4,4}', '{{7,-5},{-5,4}}'", "FL002"},
        {"'usd', '{1,4}', '{9223372036854775807,9223372036854775807}'", "22003"},
        {"'usd', '{1,4}', '{0,0}'", "23514"},
        {"'usd', '{1,4,4}', '{5,-5,0}'", "23514"},
        {"'usd', '{1,0}', '{5,-5}'", "23514"},
        {"'usd', '{1,4,4}', '{5,-5}'", "23514"},
        {"'usd', '{}', '{}'", "23514"},
        {"'us', '{1,4}', '{5,-5}'", "23514"},
        {"'usds', '{1,4}', '{5,-5}'", "23514"},
        {"'usdusdusd', '{1,4}', '{5,-5}'", "23514"},
        {"'', '{1,4}', '{5,-5}'", "23514"},
        {"NULL, '{1,4}', '{5,-5}'", "23514"},
        {"'usd', NULL, '{5,-5}'", "23514"},
        {"'usd', '{1,4}', NULL", "23514"},
        {"'usd', '{1,4,NULL}', '{5,-5,5}'", "23514"},
        {"'usd', '{1,4,4}', '{5,-5,NULL}'", "23514"},
        {"NULL, NULL, NULL", "23514"},
        {"'usd', '{1,4}', '{5,-5}'", "00000"},
        {"'usd', '{1,-2,4}', '{5,-4,-1}'", "00000"},
        {"'usd', '{1,-2,4,4}', '{5,-4,-2,1}'", "00000"},
        {"'usd', '{1,4,4,4,4}', '{5,-4,-2,2,-1}'", "00000"},
        {"'usdeureurusd', '{1,4,1,4}', '{5,-4,4,-5}'", "00000"},
    };
    // clang-format on
    postgres_fresh();
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char sql[256];
        snprintf(sql, sizeof sql,
                 "INSERT INTO ledger_transaction VALUES (%zu, 'acct_1', 'charge', 'ch_%zu', 1, %s)",
                 i, i, table[i].lines);
        cr_expect_str_eq(tried("ledger", sql), table[i].state, "%s", table[i].lines);
    }
    cr_expect_str_eq(tried("ledger",
                           "INSERT INTO ledger_transaction VALUES"
                           " (99, 'acct_1', 'charge', 'ch_26', 1, 'usd', '{1,4}', '{5,-5}')"),
                     "23505", "a second one of the same source and kind");
}

Test(schema, who_does_not_balance_is_told_by_how_much)
{
    postgres_fresh();
    PGconn *conn = postgres_connect("ledger");
    PGresult *r =
        PQexec(conn, "INSERT INTO ledger_transaction VALUES (7, 'acct_1', 'charge', 'ch_1',"
                     " 1, 'usdeurusdeur', '{1,1,4,4}', '{5,6,-5,-4}')");
    cr_expect_str_eq(PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY),
                     "ledger transaction 7 is unbalanced: its eur lines add up to 2");
    PQclear(r);
    PQfinish(conn);
}

/* Of two attempts: state, operation, payment, charge. */
Test(schema, two_approved_authorizations_are_refused_by_the_database_itself)
{
    // clang-format off
    static const struct {
        const char *one, *other, *state;
    } table[] = {
        {"'approved', 'authorize', 'pi_1', 'ch_1'", "'approved', 'authorize', 'pi_1', 'ch_2'", "23505"},
        {"'approved', 'authorize', 'pi_1', 'ch_1'", "'approved', 'authorize', 'pi_2', 'ch_2'", "00000"},
        {"'approved', 'authorize', 'pi_1', 'ch_1'", "'declined', 'authorize', 'pi_1', 'ch_2'", "00000"},
        {"'approved', 'authorize', 'pi_1', 'ch_1'", "'approved', 'capture', 'pi_1', 'ch_1'", "00000"},
        {"'approved', 'authorize', NULL, 'ch_1'", "'approved', 'authorize', NULL, 'ch_1'", "23505"},
        {"'approved', 'authorize', NULL, 'ch_1'", "'approved', 'authorize', NULL, 'ch_2'", "00000"},
    };
    // clang-format on
    postgres_fresh();
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char sql[1024];
        snprintf(
            sql, sizeof sql,
            "INSERT INTO attempt (id, merchant, version, created, slot, epoch, capture, amount,"
            " state, operation, payment_intent, charge) SELECT 'att_%zu_' || at,"
            " 'acct_%zu', 1, 1, 1, 1, false, 1, state, operation, payment_intent, charge FROM"
            " (VALUES (1, %s), (2, %s)) AS x(at, state, operation, payment_intent, charge)",
            i, i, table[i].one, table[i].other);
        cr_expect_str_eq(tried("ledger", sql), table[i].state, "%s; %s", table[i].one,
                         table[i].other);
    }
}

Test(schema, no_role_can_do_more_than_it_needs)
{
    static const struct {
        const char *role, *sql;
        bool may;
    } table[] = {
        {"ledger", "UPDATE entry SET amount = 1", false},
        {"ledger", "INSERT INTO entry_until_version_4 VALUES (1, 1, 1, '', 'usd', 5)", false},
        {"ledger", "UPDATE entry_until_version_4 SET amount = 1", false},
        {"ledger", "DELETE FROM entry_until_version_4", false},
        {"ledger", "DELETE FROM entry", false},
        {"ledger", "TRUNCATE ledger_transaction", false},
        {"ledger", "DELETE FROM ledger_transaction", false},
        {"ledger", "UPDATE ledger_transaction SET kind = ''", false},
        {"ledger", "UPDATE event SET data = ''", false},
        {"ledger", "DELETE FROM outbox", false},
        {"ledger", "DELETE FROM idempotency", false},
        {"ledger", "DELETE FROM payment_intent", false},
        {"ledger", "UPDATE delivery SET state = 'delivered'", false},
        {"ledger", "ALTER TABLE ledger_transaction DROP CONSTRAINT ledger_transaction_lines",
         false},
        {"ledger", "DROP VIEW entry", false},
        {"ledger", "DROP TABLE ledger_transaction", false},
        {"ledger", "CREATE TABLE mine (i integer)", false},
        {"ledger", "INSERT INTO ledger_leader VALUES (false, '', 0, '', 0, 0, 0, 0)", false},
        {"ledger", "UPDATE balance SET amount = amount", true},
        {"payments", "SELECT * FROM payment_intent", true},
        {"payments", "SELECT * FROM delivery", true},
        {"payments", "UPDATE payment_intent SET amount = 1", false},
        {"payments", "INSERT INTO outbox SELECT * FROM outbox", false},
        {"payments", "SELECT expect(1, 1, '')", false},
        {"webhooks", "SELECT * FROM event", true},
        {"webhooks", "SELECT secret FROM webhook_endpoint", true},
        {"webhooks", "SELECT * FROM payment_intent", false},
        {"webhooks", "SELECT * FROM api_key", false},
        {"webhooks", "UPDATE event SET data = ''", false},
        {"webhooks", "UPDATE dispatch SET sequence = 1", true},
        {"webhooks", "DELETE FROM delivery", false},
        {"webhooks", "UPDATE delivery_try SET status = 200", false},
        {"auditor", "SELECT * FROM entry", true},
        {"payments", "SELECT * FROM entry", true},
        {"auditor", "SELECT * FROM ledger_leader", true},
        {"auditor", "UPDATE dispatch SET sequence = 1", false},
        {"auditor", "SET default_transaction_read_only = off; DELETE FROM ledger_transaction",
         false},
    };
    postgres_fresh();
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *const state = tried(table[i].role, table[i].sql);
        const bool did = strcmp(state, "00000") == 0;
        cr_expect_eq(did, table[i].may, "%s: %s: %s", table[i].role, table[i].sql, state);
    }
}

/* --- poison ----------------------------------------------------------------------------------- */

Test(batch, one_poisonous_command_fails_and_the_others_are_written)
{
    struct bench b;
    bench_start(&b);
    EXPECT_VERDICT(WRITE(&b, .id = 'x', ROW(ROW_customer, 0, new_customer("cus_1", 1, "Ada"))),
                   COMMIT_DONE);
    static const char *const ids[] = {"cus_2", "cus_3", "cus_1", "cus_4",
                                      "cus_5", "cus_6", "cus_7"};
    static const char *const events[] = {"evt_2", "evt_3", "evt_1", "evt_4",
                                         "evt_5", "evt_6", "evt_7"};
    struct wish wishes[7];
    for (int i = 0; i < 7; i++)
        wishes[i] = (struct wish){.id = (char)('a' + i),
                                  ROW(ROW_customer, 0, new_customer(ids[i], 1, "")),
                                  .events = {events[i]}};
    write_all(&b, wishes, 7);
    for (int i = 0; i < 7; i++)
        EXPECT_VERDICT(b.told.verdicts['a' + i], i == 2 ? COMMIT_REJECTED : COMMIT_DONE);
    cr_expect(strstr(b.told.details['c'], "customer_pkey"), "%s", b.told.details['c']);
    EXPECT_VALUE("SELECT count(*) FROM customer", "7");
    /* and the numbers have no gap where it was */
    EXPECT_VALUE("SELECT count(*) || '/' || max(sequence) || '/' || (SELECT event_head FROM"
                 " ledger_leader) FROM event",
                 "6/6/6");
    batch_destroy(&b.batch);
}

Test(batch, a_batch_of_nothing_but_poison_is_rejected_one_by_one)
{
    struct bench b;
    bench_start(&b);
    struct wish wishes[4];
    for (int i = 0; i < 4; i++)
        wishes[i] = (struct wish){.id = (char)('a' + i), .claim = 2, .key = "none", .status = 200};
    /* one key in four commands: queue.h would not do that, and even so nothing is written */
    write_all(&b, wishes, 4);
    for (int i = 0; i < 4; i++)
        EXPECT_VERDICT(b.told.verdicts['a' + i], COMMIT_REJECTED);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_customer, 0, new_customer("cus_1", 1, "Ada"))), COMMIT_DONE);
    batch_destroy(&b.batch);
}

/* --- numbers ---------------------------------------------------------------------------------- */

Test(batch, numbers_have_no_gaps_over_batches_and_leaders)
{
    struct bench b, next;
    bench_start(&b);
    WRITE(&b, .id = 'a', .claim = 1, .key = "1", .events = {"evt_1", "evt_2"});
    bench_init(&next, "ledger-2");
    WRITE(&next, .id = 'b', .claim = 1, .key = "2", .events = {"evt_3"});
    cr_expect_eq(next.told.event_count, 1);
    cr_expect_eq(next.told.events[0], 3);
    EXPECT_VALUE("SELECT string_agg(id || '=' || sequence, ' ' ORDER BY sequence) FROM event",
                 "evt_1=1 evt_2=2 evt_3=3");
    batch_destroy(&b.batch);
    batch_destroy(&next.batch);
}

/* --- leaders ---------------------------------------------------------------------------------- */

Test(batch, a_leader_whose_epoch_was_raised_writes_nothing_more)
{
    struct bench b, next;
    bench_start(&b);
    bench_init(&next, "ledger-2");
    const struct wish wish = {.id = 'a', ROW(ROW_customer, 0, new_customer("cus_1", 1, "Ada"))};
    start_writing(&b, &wish, 1);
    cr_expect_eq(drive(&b), BATCH_FENCED);
    cr_expect_eq(b.told.verdicts['a'], 0, "it answered");
    EXPECT_VALUE("SELECT count(*) FROM customer", "0");
    EXPECT_VERDICT(write_one(&next, &wish), COMMIT_DONE);
    batch_destroy(&b.batch);
    batch_destroy(&next.batch);
}

static void
end_sessions_of_the_ledger(void)
{
    postgres_value("SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
                   " WHERE usename = 'ledger' AND datname = current_database()");
}

Test(batch, a_commit_in_doubt_that_was_written_is_answered_and_not_repeated)
{
    struct bench b;
    bench_start(&b);
    const struct wish wish = {
        .id = 'a', ROW(ROW_customer, 0, new_customer("cus_1", 1, "Ada")), .events = {"evt_1"}};
    start_writing(&b, &wish, 1);
    /* Everything is sent; nobody reads the answer until the rows are there and the session is not.
     */
    while (atoi(postgres_value("SELECT count(*) FROM customer")) == 0) {
        struct pollfd fd = {batch_fd(b.batch), POLLOUT, 0};
        (void)batch_poll_events(b.batch);
        poll(&fd, 1, 10);
    }
    end_sessions_of_the_ledger();
    /* What had come before the end is not looked at either: the line was cut. */
    batch_unlead(b.batch);
    cr_expect_eq(batch_step(b.batch, now_ms()), BATCH_LOST);
    cr_expect_eq(b.told.verdicts['a'], 0);
    cr_assert_eq(try_lead(&b, "ledger-1"), LEAD_OK);
    EXPECT_VERDICT(b.told.verdicts['a'], COMMIT_DONE);
    cr_expect_eq(b.told.event_count, 1);
    cr_expect_eq(b.told.events[0], 1);
    EXPECT_VERDICT(WRITE(&b, .id = 'b', ROW(ROW_customer, 1, new_customer("cus_1", 2, "Bob")),
                         .events = {"evt_2"}),
                   COMMIT_DONE);
    EXPECT_VALUE("SELECT count(*) || '/' || max(sequence) FROM event", "2/2");
    batch_destroy(&b.batch);
}

Test(batch, a_commit_in_doubt_that_was_not_written_is_written_once)
{
    struct bench b;
    bench_start(&b);
    const struct wish wish = {
        .id = 'a', ROW(ROW_customer, 0, new_customer("cus_1", 1, "Ada")), .events = {"evt_1"}};
    PGconn *holder = postgres_connect("postgres"); /* holds the batch back, before its COMMIT */
    PQclear(PQexec(holder, "BEGIN; LOCK TABLE customer IN EXCLUSIVE MODE"));
    start_writing(&b, &wish, 1);
    while (atoi(postgres_value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'ledger' AND"
                               " datname = current_database() AND wait_event_type = 'Lock'")) == 0)
        cr_assert_eq(batch_step(b.batch, now_ms()), BATCH_BUSY);
    end_sessions_of_the_ledger();
    PQfinish(holder);
    cr_expect_eq(drive(&b), BATCH_LOST);
    cr_expect_eq(b.told.verdicts['a'], 0);
    batch_unlead(b.batch);
    cr_assert_eq(try_lead(&b, "ledger-1"), LEAD_OK);
    cr_expect_eq(drive(&b), BATCH_IDLE);
    EXPECT_VERDICT(b.told.verdicts['a'], COMMIT_DONE);
    EXPECT_VALUE("SELECT count(*) || '/' || max(sequence) FROM event", "1/1");
    batch_destroy(&b.batch);
}

Test(batch, a_batch_that_is_never_answered_is_in_doubt_and_does_not_hold_the_lead_for_ever)
{
    struct bench b;
    bench_start(&b);
    const struct wish wish = {
        .id = 'a', ROW(ROW_customer, 0, new_customer("cus_1", 1, "Ada")), .events = {"evt_1"}};
    PGconn *holder = postgres_connect("postgres"); /* so that it is not answered */
    PQclear(PQexec(holder, "BEGIN; LOCK TABLE customer IN EXCLUSIVE MODE"));
    const int64_t begun_ms = now_ms();
    start_writing(&b, &wish, 1);
    while (atoi(postgres_value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'ledger' AND"
                               " datname = current_database() AND wait_event_type = 'Lock'")) == 0)
        cr_assert_eq(batch_step(b.batch, begun_ms), BATCH_BUSY);
    cr_expect_eq(batch_step(b.batch, begun_ms), BATCH_BUSY); /* what had come before the lock */
    cr_expect_eq(batch_step(b.batch, begun_ms + BATCH_SILENCE_MS_MAX - 1), BATCH_BUSY);
    cr_expect_eq(batch_step(b.batch, begun_ms + BATCH_SILENCE_MS_MAX), BATCH_LOST);
    cr_expect_eq(b.told.verdicts['a'], 0);
    end_sessions_of_the_ledger();
    PQfinish(holder);
    batch_unlead(b.batch);
    cr_assert_eq(try_lead(&b, "ledger-1"), LEAD_OK);
    /* The silence of before is not held against the new connection. */
    cr_expect_neq(batch_step(b.batch, begun_ms + 3 * BATCH_SILENCE_MS_MAX), BATCH_LOST);
    cr_expect_eq(drive(&b), BATCH_IDLE);
    EXPECT_VERDICT(b.told.verdicts['a'], COMMIT_DONE);
    EXPECT_VALUE("SELECT count(*) || '/' || max(sequence) FROM event", "1/1");
    batch_destroy(&b.batch);
}

Test(batch, a_session_ended_at_any_moment_loses_nothing_and_doubles_nothing)
{
    struct bench b;
    bench_start(&b);
    char keys[60][16], events[60][16];
    for (int i = 0; i < 60; i++) {
        snprintf(keys[i], sizeof keys[i], "k%d", i);
        snprintf(events[i], sizeof events[i], "evt_%02d", i);
        const struct wish wish = {.id = (char)(i + 1),
                                  .claim = 1,
                                  .key = keys[i],
                                  .events = {events[i]},
                                  .postings = {{"charge", keys[i], {{1, 5}, {2, -5}}}}};
        start_writing(&b, &wish, 1);
        for (int steps = i % 6; steps > 0; steps--) {
            struct pollfd fd = {batch_fd(b.batch), batch_poll_events(b.batch), 0};
            poll(&fd, 1, 1);
            batch_step(b.batch, now_ms());
        }
        end_sessions_of_the_ledger();
        for (int tries = 0; drive(&b) == BATCH_LOST; tries++) {
            cr_assert_lt(tries, 5);
            batch_unlead(b.batch);
            cr_assert_eq(try_lead(&b, "ledger-1"), LEAD_OK);
        }
        EXPECT_VERDICT(b.told.verdicts[i + 1], COMMIT_DONE);
        if (batch_step(b.batch, now_ms()) == BATCH_LOST) {
            batch_unlead(b.batch);
            cr_assert_eq(try_lead(&b, "ledger-1"), LEAD_OK);
        }
    }
    cr_expect_eq(b.told.event_count, 60);
    EXPECT_VALUE("SELECT count(*) || '/' || max(sequence) || '/' || (SELECT event_head FROM"
                 " ledger_leader) FROM event",
                 "60/60/60");
    EXPECT_VALUE("SELECT amount FROM balance WHERE account = 1", "300");
    EXPECT_VALUE("SELECT count(*) FROM idempotency", "60");
    batch_destroy(&b.batch);
}

Test(batch, whoever_finds_that_another_has_led_in_between_gives_up)
{
    struct bench b, next;
    bench_start(&b);
    const struct wish wish = {.id = 'a', ROW(ROW_customer, 0, new_customer("cus_1", 1, "Ada"))};
    start_writing(&b, &wish, 1);
    end_sessions_of_the_ledger();
    batch_unlead(b.batch);
    bench_init(&next, "ledger-2");
    cr_expect_eq(try_lead(&b, "ledger-1"), LEAD_LOST);
    cr_expect_eq(b.told.verdicts['a'], 0);
    batch_destroy(&b.batch);
    batch_destroy(&next.batch);
}

Test(batch, a_commit_that_ends_with_a_warning_is_in_doubt)
{
    struct bench b;
    bench_start(&b);
    /* As the wait for a standby does when it is cancelled; here at the COMMIT, by a deferred
     * trigger. */
    postgres_value("CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS"
                   " $$ BEGIN RAISE WARNING USING ERRCODE = '01000'; RETURN NULL; END $$;"
                   " CREATE CONSTRAINT TRIGGER warn AFTER INSERT ON customer DEFERRABLE INITIALLY"
                   " DEFERRED FOR EACH ROW EXECUTE FUNCTION warn()");
    const struct wish wish = {.id = 'a', ROW(ROW_customer, 0, new_customer("cus_1", 1, "Ada"))};
    start_writing(&b, &wish, 1);
    cr_expect_eq(drive(&b), BATCH_LOST);
    cr_expect_eq(b.told.verdicts['a'], 0);
    batch_unlead(b.batch);
    cr_assert_eq(try_lead(&b, "ledger-1"), LEAD_OK);
    EXPECT_VERDICT(b.told.verdicts['a'], COMMIT_DONE);
    EXPECT_VALUE("SELECT count(*) FROM customer", "1");
    batch_destroy(&b.batch);
}

Test(batch, a_lead_that_is_taken_with_a_warning_is_none)
{
    struct bench b, next;
    bench_start(&b);
    batch_unlead(b.batch);
    postgres_value("CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS"
                   " $$ BEGIN RAISE WARNING USING ERRCODE = '01000'; RETURN NULL; END $$;"
                   " CREATE CONSTRAINT TRIGGER warn AFTER UPDATE ON ledger_leader DEFERRABLE"
                   " INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION warn()");
    cr_expect_eq(try_lead(&b, "ledger-1"), LEAD_DOUBT);
    batch_destroy(&b.batch);
    postgres_value("DROP TRIGGER warn ON ledger_leader");
    bench_init(&next, "ledger-1");
    cr_expect_eq(batch_books(next.batch)->epoch, 3);
    batch_destroy(&next.batch);
}

Test(batch, an_error_that_may_pass_is_tried_again_and_only_what_is_not_urgent_is_told_busy)
{
    struct bench b;
    bench_start(&b);
    postgres_value("CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
                   " $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$;"
                   " CREATE TRIGGER full_disk BEFORE INSERT ON customer"
                   " EXECUTE FUNCTION full_disk()");
    const struct wish wishes[] = {
        {.id = 'a', ROW(ROW_customer, 0, new_customer("cus_1", 1, ""))},
        {.id = 'b', ROW(ROW_customer, 0, new_customer("cus_2", 1, "")), .urgency = 1},
    };
    start_writing(&b, wishes, 2);
    while (!b.told.verdicts['a']) {
        cr_assert_eq(batch_step(b.batch, now_ms()), BATCH_BUSY);
        struct pollfd fd = {batch_fd(b.batch), batch_poll_events(b.batch), 0};
        poll(&fd, 1, 10);
    }
    EXPECT_VERDICT(b.told.verdicts['a'], COMMIT_BUSY);
    postgres_value("DROP TRIGGER full_disk ON customer");
    cr_expect_eq(drive(&b), BATCH_IDLE);
    EXPECT_VERDICT(b.told.verdicts['b'], COMMIT_DONE);
    EXPECT_VALUE("SELECT string_agg(id, ' ') FROM customer", "cus_2");
    batch_destroy(&b.batch);
}

/* --- two at once ------------------------------------------------------------------------------ */

enum { FIRST = 8 }; /* commands: as many as Postgres tells early of */

/* Nobody else can write to the table until the connection is finished. */
static PGconn *
hold(const char *table)
{
    char sql[80];
    PGconn *conn = postgres_connect("postgres");
    snprintf(sql, sizeof sql, "BEGIN; LOCK TABLE %s IN EXCLUSIVE MODE", table);
    PQclear(PQexec(conn, sql));
    return conn;
}

static void
step(struct bench *b)
{
    cr_assert_eq(batch_step(b->batch, now_ms()), BATCH_BUSY);
    struct pollfd fd = {batch_fd(b->batch), batch_poll_events(b->batch), 0};
    poll(&fd, 1, 10);
}

/* Starts a batch of the commands 'A' and following, with an event each, which come after most of
 * the batch: somebody may hold that table. Behind it, the second one. */
static void
start_two(struct bench *b, const struct wish *second, size_t count)
{
    static char ids[FIRST][8], events[FIRST][8];
    struct wish first[FIRST];
    for (int i = 0; i < FIRST; i++) {
        snprintf(ids[i], sizeof ids[i], "cus_%c", 'A' + i);
        snprintf(events[i], sizeof events[i], "evt_%c", 'A' + i);
        first[i] = (struct wish){.id = (char)('A' + i),
                                 ROW(ROW_customer, 0, new_customer(ids[i], 1, "")),
                                 .events = {events[i]}};
    }
    start_writing(b, first, FIRST);
    while (!batch_has_room(b->batch))
        step(b);
    start_writing(b, second, count);
    cr_expect_eq(b->told.verdicts['A'], 0);
}

static void
expect_first(const struct bench *b, enum commit_verdict wanted)
{
    for (int i = 0; i < FIRST; i++)
        EXPECT_VERDICT(b->told.verdicts['A' + i], wanted);
}

/* How many events there are, and the batches: the numbers of both are dense, and what was told is
 * what is there, in its order. */
static void
expect_written(const struct bench *b, const char *wanted)
{
    EXPECT_VALUE("SELECT count(*) || '/' || max(sequence) || '/' || (SELECT event_head || ' ' ||"
                 " last_batch FROM ledger_leader) FROM event",
                 wanted);
    cr_expect_eq(b->told.event_count, strtoul(wanted, NULL, 10));
    for (size_t i = 0; i < b->told.event_count; i++)
        cr_expect_eq(b->told.events[i], (int64_t)i + 1);
}

static void
wait_until(const char *sql)
{
    while (strcmp(postgres_value(sql), "t") != 0)
        poll(NULL, 0, 1);
}

static const char ledger_is_blocked[] =
    "SELECT count(*) > 0 FROM pg_stat_activity WHERE usename = 'ledger' AND"
    " datname = current_database() AND wait_event_type = 'Lock'";

/* The line is cut: what had come before is not looked at. `holder` lets go then, or nothing could
 * be prepared. */
static void
lose_and_lead(struct bench *b, PGconn *holder)
{
    end_sessions_of_the_ledger();
    if (holder) PQfinish(holder);
    batch_unlead(b->batch);
    cr_expect_eq(b->told.verdicts['A'], 0);
    cr_expect_eq(b->told.verdicts['n'], 0);
    cr_assert_eq(try_lead(b, "ledger-1"), LEAD_OK);
}

/* An attempt and an event: its first table is none of the first batch's. */
static struct wish
second_wish(void)
{
    return (struct wish){
        .id = 'n', ROW(ROW_attempt, 0, new_attempt("att_n", 1, "sending")), .events = {"evt_n"}};
}

/* Two batches are with Postgres, which waits before the first one's events until the holder ends.
 */
static PGconn *
start_pair(struct bench *b)
{
    const struct wish second = second_wish();
    bench_start(b);
    PGconn *const holder = hold("outbox");
    start_two(b, &second, 1);
    return holder;
}

Test(pair, the_second_is_with_postgres_before_the_first_is_committed)
{
    struct bench b;
    PGconn *holder = start_pair(&b);
    cr_expect_not(batch_has_room(b.batch), "for a third");
    PQfinish(holder);
    wait_until(
        "SELECT count(*) = 1 FROM every_attempt"); /* and nobody has read an answer meanwhile */
    cr_expect_eq(drive(&b), BATCH_IDLE);
    expect_first(&b, COMMIT_DONE);
    EXPECT_VERDICT(b.told.verdicts['n'], COMMIT_DONE);
    expect_written(&b, "9/9/9 3");
    batch_destroy(&b.batch);
}

Test(pair, few_commands_have_nothing_sent_behind_them)
{
    struct bench b;
    bench_start(&b);
    const struct wish wish = second_wish();
    PGconn *holder = hold("outbox");
    start_writing(&b, &wish, 1);
    while (strcmp(postgres_value(ledger_is_blocked), "t") != 0)
        step(&b);
    cr_expect_not(batch_has_room(b.batch));
    PQfinish(holder);
    cr_expect_eq(drive(&b), BATCH_IDLE);
    batch_destroy(&b.batch);
}

/* Nothing that the first touches is touched by the second: a refusal need not wait. */
Test(pair, what_is_refused_of_the_second_is_told_at_once_and_leaves_room)
{
    struct bench b;
    bench_start(&b);
    const struct wish refused = {.id = 'm', .claim = 2, .key = "k", .status = 200, .epoch = 9};
    const struct wish second = second_wish();
    PGconn *holder = hold("outbox");
    start_two(&b, &refused, 1);
    EXPECT_VERDICT(b.told.verdicts['m'], COMMIT_FENCED);
    cr_assert(batch_has_room(b.batch));
    start_writing(&b, &second, 1);
    PQfinish(holder);
    cr_expect_eq(drive(&b), BATCH_IDLE);
    expect_first(&b, COMMIT_DONE);
    EXPECT_VERDICT(b.told.verdicts['n'], COMMIT_DONE);
    expect_written(&b, "9/9/9 3");
    batch_destroy(&b.batch);
}

Test(pair, what_must_be_known_for_the_second_is_asked_behind_the_first)
{
    struct bench b;
    bench_start(&b);
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_attempt, 0, new_attempt("att_1", 1, "sending"))), COMMIT_DONE);
    batch_unlead(b.batch);
    cr_assert_eq(try_lead(&b, "ledger-1"), LEAD_OK); /* and knows no version any more */
    const struct wish second[] = {
        {.id = 'n', ROW(ROW_attempt, 1, new_attempt("att_1", 2, "unknown"))},
        {.id = 'o', ROW(ROW_customer, 4, new_customer("cus_o", 5, ""))},
    };
    PGconn *holder = hold("outbox");
    start_two(&b, second, 2);
    EXPECT_VERDICT(b.told.verdicts['o'], 0);
    PQfinish(holder);
    cr_expect_eq(drive(&b), BATCH_IDLE);
    expect_first(&b, COMMIT_DONE);
    EXPECT_VERDICT(b.told.verdicts['n'], COMMIT_DONE);
    EXPECT_VERDICT(b.told.verdicts['o'], COMMIT_STALE);
    EXPECT_VALUE("SELECT state FROM every_attempt", "unknown");
    batch_destroy(&b.batch);
}

Test(pair, a_repetition_is_known_in_both)
{
    struct bench b;
    bench_start(&b);
    struct wish second = second_wish();
    PGconn *holder = hold("outbox");
    start_two(&b, &second, 1);
    second.repeated = 1;
    struct command *again = wish_command(&second);
    cr_expect(batch_redirect(b.batch, again));
    command_destroy(&again);
    again = wish_command(&(struct wish){
        .id = 'A', .repeated = 1, ROW(ROW_customer, 0, new_customer("cus_A", 1, ""))});
    cr_expect(batch_redirect(b.batch, again));
    command_destroy(&again);
    PQfinish(holder);
    cr_expect_eq(drive(&b), BATCH_IDLE);
    batch_destroy(&b.batch);
}

/* The first breaks in its last third: the second is in the same broken transaction. */
Test(pair, a_first_that_is_halved_has_the_second_written_after_it)
{
    struct bench b;
    bench_start(&b);
    postgres_value("INSERT INTO outbox (sequence, count, id, merchant, types, objects, packed,"
                   " created, api_version)"
                   " VALUES (1000, 1, 'evt_C', '" TEST_MERCHANT "', '', '', '', 1, '')");
    const struct wish second = second_wish();
    PGconn *holder = hold("outbox");
    start_two(&b, &second, 1);
    PQfinish(holder);
    cr_expect_eq(drive(&b), BATCH_IDLE);
    for (int i = 0; i < FIRST; i++)
        EXPECT_VERDICT(b.told.verdicts['A' + i], i == 2 ? COMMIT_REJECTED : COMMIT_DONE);
    EXPECT_VERDICT(b.told.verdicts['n'], COMMIT_DONE);
    postgres_value("DELETE FROM outbox WHERE sequence = 1000");
    expect_written(&b, "8/8/8 5"); /* A and B, D alone, four more, and the second */
    batch_destroy(&b.batch);
}

/* Then its transaction is over, and only the fence keeps the second out. */
Test(pair, a_first_whose_commit_is_refused_has_nothing_written_behind_it)
{
    struct bench b;
    bench_start(&b);
    postgres_value("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                   " $$ BEGIN RAISE EXCEPTION 'no'; END $$;"
                   " CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON customer DEFERRABLE INITIALLY"
                   " DEFERRED FOR EACH ROW WHEN (NEW.id = 'cus_H') EXECUTE FUNCTION refuse()");
    const struct wish second = second_wish();
    PGconn *holder = hold("outbox");
    start_two(&b, &second, 1);
    PQfinish(holder);
    cr_expect_eq(drive(&b), BATCH_IDLE);
    for (int i = 0; i < FIRST; i++)
        EXPECT_VERDICT(b.told.verdicts['A' + i], i == 7 ? COMMIT_REJECTED : COMMIT_DONE);
    EXPECT_VERDICT(b.told.verdicts['n'], COMMIT_DONE);
    expect_written(&b, "8/8/8 5");
    batch_destroy(&b.batch);
}

Test(pair, a_first_that_is_tried_again_is_still_before_the_second)
{
    struct bench b;
    bench_start(&b);
    postgres_value("CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
                   " $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$;"
                   " CREATE TRIGGER full_disk BEFORE INSERT ON outbox"
                   " EXECUTE FUNCTION full_disk()");
    const struct wish second = {.id = 'n', ROW(ROW_attempt, 0, new_attempt("att_n", 1, "sending"))};
    PGconn *holder = hold("outbox");
    start_two(&b, &second, 1);
    PQfinish(holder);
    while (batch_counts(b.batch).retries == 0)
        step(&b);
    EXPECT_VALUE("SELECT count(*) FROM every_attempt", "0");
    EXPECT_VERDICT(b.told.verdicts['n'], 0);
    postgres_value("DROP TRIGGER full_disk ON outbox");
    cr_expect_eq(drive(&b), BATCH_IDLE);
    expect_first(&b, COMMIT_DONE);
    EXPECT_VERDICT(b.told.verdicts['n'], COMMIT_DONE);
    expect_written(&b, "8/8/8 3");
    batch_destroy(&b.batch);
}

Test(pair, a_second_that_is_refused_leaves_the_first_written)
{
    struct bench b;
    bench_start(&b);
    postgres_value("INSERT INTO outbox (sequence, count, id, merchant, types, objects, packed,"
                   " created, api_version)"
                   " VALUES (1000, 1, 'evt_n', '" TEST_MERCHANT "', '', '', '', 1, '')");
    struct wish second[] = {second_wish(),
                            {.id = 'o', ROW(ROW_customer, 0, new_customer("cus_o", 1, ""))}};
    PGconn *holder = hold("outbox");
    start_two(&b, second, 2);
    PQfinish(holder);
    cr_expect_eq(drive(&b), BATCH_IDLE);
    expect_first(&b, COMMIT_DONE);
    EXPECT_VERDICT(b.told.verdicts['n'], COMMIT_REJECTED);
    EXPECT_VERDICT(b.told.verdicts['o'], COMMIT_DONE);
    EXPECT_VALUE("SELECT count(*) FROM every_attempt", "0");
    postgres_value("DELETE FROM outbox WHERE sequence = 1000");
    expect_written(&b, "8/8/8 3");
    batch_destroy(&b.batch);
}

Test(pair, of_two_in_doubt_none_was_written)
{
    struct bench b;
    PGconn *holder = start_pair(&b);
    wait_until(ledger_is_blocked);
    lose_and_lead(&b, holder);
    EXPECT_VERDICT(b.told.verdicts['A'], 0);
    cr_expect_eq(drive(&b), BATCH_IDLE);
    expect_first(&b, COMMIT_DONE);
    EXPECT_VERDICT(b.told.verdicts['n'], COMMIT_DONE);
    expect_written(&b, "9/9/9 3");
    batch_destroy(&b.batch);
}

Test(pair, of_two_in_doubt_the_first_was_written)
{
    struct bench b;
    bench_start(&b);
    const struct wish second = second_wish();
    PGconn *holder = hold("outbox"), *another = hold("open_attempt");
    start_two(&b, &second, 1);
    PQfinish(holder);
    wait_until("SELECT count(*) = 8 FROM customer");
    wait_until(ledger_is_blocked);
    lose_and_lead(&b, another);
    expect_first(&b, COMMIT_DONE);
    EXPECT_VERDICT(b.told.verdicts['n'], 0);
    cr_expect_eq(drive(&b), BATCH_IDLE);
    EXPECT_VERDICT(b.told.verdicts['n'], COMMIT_DONE);
    expect_written(&b, "9/9/9 3");
    batch_destroy(&b.batch);
}

Test(pair, of_two_in_doubt_both_were_written)
{
    struct bench b;
    PGconn *holder = start_pair(&b);
    PQfinish(holder);
    wait_until("SELECT count(*) = 1 FROM every_attempt");
    lose_and_lead(&b, NULL);
    expect_first(&b, COMMIT_DONE);
    EXPECT_VERDICT(b.told.verdicts['n'], COMMIT_DONE);
    cr_expect_eq(batch_step(b.batch, now_ms()), BATCH_IDLE);
    expect_written(&b, "9/9/9 3");
    EXPECT_VERDICT(WRITE(&b, .id = 'p', ROW(ROW_attempt, 1, new_attempt("att_n", 2, "unknown")),
                         .events = {"evt_p"}),
                   COMMIT_DONE);
    expect_written(&b, "10/10/10 4");
    batch_destroy(&b.batch);
}

Test(pair, a_first_whose_commit_ends_with_a_warning_leaves_both_in_doubt)
{
    struct bench b;
    bench_start(&b);
    postgres_value("CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS"
                   " $$ BEGIN RAISE WARNING USING ERRCODE = '01000'; RETURN NULL; END $$;"
                   " CREATE CONSTRAINT TRIGGER warn AFTER INSERT ON customer DEFERRABLE INITIALLY"
                   " DEFERRED FOR EACH ROW EXECUTE FUNCTION warn()");
    const struct wish second = second_wish();
    PGconn *holder = hold("outbox");
    start_two(&b, &second, 1);
    PQfinish(holder);
    wait_until("SELECT count(*) = 1 FROM every_attempt");
    cr_expect_eq(drive(&b), BATCH_LOST);
    cr_expect_eq(b.told.verdicts['A'], 0);
    cr_expect_eq(b.told.verdicts['n'], 0);
    batch_unlead(b.batch);
    cr_assert_eq(try_lead(&b, "ledger-1"), LEAD_OK);
    expect_first(&b, COMMIT_DONE);
    EXPECT_VERDICT(b.told.verdicts['n'], COMMIT_DONE);
    expect_written(&b, "9/9/9 3");
    batch_destroy(&b.batch);
}

/* The epoch is raised as soon as the first has let go of the leader's row. */
Test(pair, who_leads_next_may_come_between_the_two)
{
    struct bench b, next;
    bench_start(&b);
    postgres_value("CREATE FUNCTION raise() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
                   " $$ BEGIN UPDATE ledger_leader SET epoch = epoch + 1; RETURN NULL; END $$;"
                   " CREATE TRIGGER raise AFTER INSERT ON outbox EXECUTE FUNCTION raise()");
    const struct wish second = second_wish();
    PGconn *holder = hold("outbox");
    start_two(&b, &second, 1);
    PQfinish(holder);
    cr_expect_eq(drive(&b), BATCH_FENCED);
    expect_first(&b, COMMIT_DONE);
    cr_expect_eq(b.told.verdicts['n'], 0);
    EXPECT_VALUE("SELECT count(*) FROM every_attempt", "0");
    postgres_value("DROP TRIGGER raise ON outbox");
    bench_init(&next, "ledger-2");
    EXPECT_VERDICT(write_one(&next, &second), COMMIT_DONE);
    EXPECT_VALUE("SELECT string_agg(sequence::text, ' ' ORDER BY sequence) FROM event",
                 "1 2 3 4 5 6 7 8 9");
    batch_destroy(&b.batch);
    batch_destroy(&next.batch);
}

/* What was sent of the two ends with their session, and is the next leader's to write. */
Test(pair, a_leader_that_is_overtaken_writes_neither)
{
    struct bench b;
    PGconn *holder = start_pair(&b);
    wait_until(ledger_is_blocked);
    end_sessions_of_the_ledger();
    PQfinish(holder);
    batch_unlead(b.batch);
    struct bench next;
    const struct wish second = second_wish();
    bench_init(&next, "ledger-2");
    EXPECT_VERDICT(write_one(&next, &second), COMMIT_DONE);
    cr_expect_eq(try_lead(&b, "ledger-1"), LEAD_LOST);
    cr_expect_eq(b.told.verdicts['A'], 0);
    cr_expect_eq(b.told.verdicts['n'], 0);
    EXPECT_VALUE("SELECT count(*) || '/' || (SELECT event_head FROM ledger_leader) FROM event",
                 "1/1");
    batch_destroy(&b.batch);
    batch_destroy(&next.batch);
}

Test(pair, a_session_ended_at_any_moment_loses_nothing_and_doubles_nothing)
{
    struct bench b;
    char ids[30 * (FIRST + 1)][16], events[30 * (FIRST + 1)][16];
    bench_start(&b);
    for (int round = 0, made = 0; round < 30; round++) {
        struct wish wishes[FIRST + 1];
        for (int i = 0; i <= FIRST; i++, made++) {
            snprintf(ids[made], sizeof ids[made], "cus_%03d", made);
            snprintf(events[made], sizeof events[made], "evt_%03d", made);
            wishes[i] = (struct wish){.id = (char)('A' + i),
                                      ROW(ROW_customer, 0, new_customer(ids[made], 1, "")),
                                      .events = {events[made]},
                                      .postings = {{"charge", ids[made], {{1, 5}, {2, -5}}}}};
            b.told.verdicts['A' + i] = 0;
        }
        start_writing(&b, wishes, FIRST);
        while (!batch_has_room(b.batch) && batch_step(b.batch, now_ms()) == BATCH_BUSY)
            ;
        start_writing(&b, wishes + FIRST, 1);
        for (int steps = round % 6; steps > 0; steps--) {
            struct pollfd fd = {batch_fd(b.batch), batch_poll_events(b.batch), 0};
            poll(&fd, 1, 1);
            batch_step(b.batch, now_ms());
        }
        end_sessions_of_the_ledger();
        for (int tries = 0; drive(&b) == BATCH_LOST || batch_step(b.batch, now_ms()) == BATCH_LOST;
             tries++) {
            cr_assert_lt(tries, 5);
            batch_unlead(b.batch);
            cr_assert_eq(try_lead(&b, "ledger-1"), LEAD_OK);
        }
        for (int i = 0; i <= FIRST; i++)
            EXPECT_VERDICT(b.told.verdicts['A' + i], COMMIT_DONE);
    }
    cr_expect_eq(b.told.event_count, 30 * (FIRST + 1));
    EXPECT_VALUE("SELECT count(*) || '/' || max(sequence) || '/' || (SELECT event_head FROM"
                 " ledger_leader) FROM event",
                 "270/270/270");
    EXPECT_VALUE("SELECT amount FROM balance WHERE account = 1", "1350");
    batch_destroy(&b.batch);
}

/* --- funds ------------------------------------------------------------------------------------ */

Test(batch, funds_become_available_once)
{
    struct bench b;
    struct row_balance_transaction *charge = new_movement("txn_1", 1, 500, 50);
    struct row_balance_transaction *refund = new_movement("txn_2", 1, -100, 0);
    struct row_balance_transaction *nothing = new_movement("txn_3", 1, 30, 30);
    struct row_balance_transaction *later = new_movement("txn_4", 1, 500, 50);
    later->available_on = 2000;
    bench_start(&b);
    EXPECT_VERDICT(WRITE(&b, .rows = {{ROW_balance_transaction, 0, charge},
                                      {ROW_balance_transaction, 0, refund},
                                      {ROW_balance_transaction, 0, nothing},
                                      {ROW_balance_transaction, 0, later}}),
                   COMMIT_DONE);
    /* What their postings would have left. */
    (void)postgres_value("INSERT INTO balance VALUES ('" TEST_MERCHANT "', 2, 'usd', -800)");
    batch_find_due(b.batch, 1500);
    cr_assert_eq(drive(&b), BATCH_IDLE);
    cr_expect_eq(b.told.due_count, 3);
    cr_expect_str_eq(b.told.balances, "usd 350 450");

    struct command *commands[3];
    const struct row_balance_transaction *const rows[] = {charge, refund, nothing};
    for (int i = 0; i < 3; i++) {
        uint8_t id[COMMAND_ID_BYTES];
        memset(id, '0' + i, sizeof id);
        const struct settle_news none = {.now_s = 1500},
                                 news = {text_of(b.told.balances), TEXT("v"), TEXT("evt_1"), 1500};
        commands[i] =
            settle_command(rows[i], i == 2 ? &news : &none, id, wish_reason, sizeof wish_reason);
        cr_assert(commands[i], "%s", wish_reason);
    }
    batch_write(b.batch, commands, 3, 1500);
    cr_assert_eq(drive(&b), BATCH_IDLE);
    for (int i = 0; i < 3; i++)
        EXPECT_VERDICT(b.told.verdicts['0' + i], COMMIT_DONE);
    EXPECT_VALUE("SELECT amount FROM balance WHERE account = 3", "-350");
    cr_expect_str_eq(first_event(),
                     "balance.available {\"object\":\"balance\",\"available\":[{\"amount\":350,"
                     "\"currency\":\"usd\",\"source_types\":{\"card\":350}}],\"livemode\":false,"
                     "\"pending\":[{\"amount\":450,\"currency\":\"usd\","
                     "\"source_types\":{\"card\":450}}]}");
    EXPECT_VALUE("SELECT amount FROM balance WHERE account = 2", "-450");
    EXPECT_VALUE("SELECT string_agg(id, ' ') FROM balance_transaction WHERE status = 'pending'",
                 "txn_4");
    batch_find_due(b.batch, 1500);
    cr_assert_eq(drive(&b), BATCH_IDLE);
    cr_expect_eq(b.told.due_count, 0);
    /* The worker's copy is one version behind: it is told so. */
    EXPECT_VERDICT(WRITE(&b, ROW(ROW_balance_transaction, 1, new_movement("txn_1", 2, 500, 50))),
                   COMMIT_STALE);
    batch_destroy(&b.batch);
}

/* --- all tables ------------------------------------------------------------------------------- */

Test(batch, every_table_is_inserted_updated_and_found)
{
    struct bench b;
    bench_start(&b);
    for (size_t i = 0; i < table_count; i++) {
        const struct table *t = tables[i];
        /* Rows of nothing but what the checks want. */
        static _Alignas(16) char rows[2][ROW_SIZE_MAX];
        char id[64], sql[128];
        snprintf(id, sizeof id, "%s1", t->prefix);
        const bool merchant = t->number == ROW_merchant;
        for (int version = 1; version <= 2; version++) {
            char *row = rows[version - 1];
            row_clear((enum row_table)t->number, row);
            *(struct text *)(void *)row = merchant ? TEXT(TEST_MERCHANT) : text_of(id);
            for (size_t c = 0; c < t->column_count; c++) {
                void *value = row + t->columns[c].offset;
                if (t->columns[c].kind == COLUMN_I64) *(int64_t *)value = 0;
                if (strcmp(t->columns[c].name, "amount") == 0) *(int64_t *)value = 7;
                if (strcmp(t->columns[c].name, "net") == 0) *(int64_t *)value = 7;
                if (strcmp(t->columns[c].name, "merchant") == 0)
                    *(struct text *)value = TEXT(TEST_MERCHANT);
                if (strcmp(t->columns[c].name, "version") == 0) *(int64_t *)value = version;
                if (strcmp(t->columns[c].name, "state") == 0)
                    *(struct text *)value = version == 1 ? TEXT("sending") : TEXT("declined");
            }
            EXPECT_VERDICT(WRITE(&b, .rows = {{(enum row_table)t->number, version - 1, row}}),
                           COMMIT_DONE);
            cr_expect_str_eq(b.told.details['i'], "", "%s: %s", t->name, b.told.details['i']);
        }
        snprintf(sql, sizeof sql, "SELECT version FROM %s", t->name);
        EXPECT_VALUE(sql, "2");
    }
    batch_destroy(&b.batch);
}
