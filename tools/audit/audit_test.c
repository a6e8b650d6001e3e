#include "audit.h"
#include "home_for_tests.h"
#include "journal.h"
#include "message.h"
#include "postgres_for_test.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <lmdb.h>
#include <string.h>

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

/* What a row of the outbox bears when its events tell of these objects: see event_pack.h. */
static const char telling[] =
    "CREATE FUNCTION told(VARIADIC ids text[]) RETURNS bytea LANGUAGE sql AS $$"
    " SELECT '\\x00'::bytea || string_agg(set_byte('\\x810100', 2, 169 + length(id)) ||"
    " convert_to('{\"id\":\"' || id || '\"}', 'UTF8'), '' ORDER BY nth)"
    " FROM unnest(ids) WITH ORDINALITY AS o (id, nth) $$";

/* A small world in which all is well: a payment of 2000 that was refunded in part, and another part
 * that came back; a hold, a declined one, one that was reversed; a charge without a payment; an
 * endpoint that was told of everything. */
static const char well[] =
    "INSERT INTO payment_intent (id, merchant, version, created, status, amount,"
    " amount_capturable, amount_received, increments, confirms, latest_charge) VALUES"
    " ('pi_1', 'acct_1', 2, 100, 'succeeded', 2000, 0, 2000, 0, 1, 'ch_1'),"
    " ('pi_2', 'acct_1', 2, 100, 'requires_capture', 700, 700, 0, 0, 1, 'ch_2'),"
    " ('pi_3', 'acct_1', 2, 100, 'requires_payment_method', 900, 0, 0, 0, 2, 'ch_5');"
    "INSERT INTO charge (id, merchant, version, created, status, amount, amount_captured,"
    " amount_refunded, amount_refunding, captured, paid, refunded, payment_intent,"
    " \"authorization\", bypass_pending, balance_transaction, failure_code) VALUES"
    " ('ch_1', 'acct_1', 1, 100, 'succeeded', 2000, 2000, 500, 0, true, true, false, 'pi_1',"
    "  'att_1', false, 'txn_1', NULL),"
    " ('ch_2', 'acct_1', 1, 100, 'succeeded', 700, 0, 0, 0, false, true, false, 'pi_2', 'att_2',"
    "  false, NULL, NULL),"
    " ('ch_3', 'acct_1', 1, 100, 'failed', 900, 0, 0, 0, false, false, false, 'pi_3', 'att_3',"
    "  false, NULL, 'card_declined'),"
    " ('ch_7', 'acct_1', 1, 100, 'succeeded', 50, 50, 0, 0, true, true, false, NULL, 'att_7',"
    "  false, 'txn_7', NULL);"
    "INSERT INTO refund (id, merchant, version, created, status, amount, charge, payment_intent,"
    " balance_transaction, failure_balance_transaction, slot) VALUES"
    " ('re_1', 'acct_1', 2, 100, 'succeeded', 500, 'ch_1', 'pi_1', 'txn_2', NULL, 1),"
    " ('re_2', 'acct_1', 2, 100, 'failed', 300, 'ch_1', 'pi_1', 'txn_3', 'txn_4', 1);"
    "INSERT INTO attempt (id, merchant, version, created, state, operation, slot, epoch, amount,"
    " currency, payment_intent, charge, refund, original, capture, key) VALUES"
    " ('att_1', 'acct_1', 2, 100, 'approved', 'authorize', 1, 1, 2000, 'usd', 'pi_1', 'ch_1', NULL,"
    "  NULL, true, 'k1'),"
    " ('att_2', 'acct_1', 2, 100, 'approved', 'authorize', 1, 1, 700, 'usd', 'pi_2', 'ch_2', NULL,"
    "  NULL, false, NULL),"
    " ('att_3', 'acct_1', 2, 100, 'declined', 'authorize', 1, 1, 900, 'usd', 'pi_3', 'ch_3', NULL,"
    "  NULL, true, NULL),"
    " ('att_4', 'acct_1', 2, 100, 'approved', 'refund', 1, 1, 500, 'usd', 'pi_1', 'ch_1', 're_1',"
    "  'att_1', false, NULL),"
    " ('att_5', 'acct_1', 2, 100, 'reversed', 'authorize', 1, 1, 900, 'usd', 'pi_3', 'ch_5', NULL,"
    "  NULL, true, NULL),"
    " ('att_6', 'acct_1', 2, 100, 'approved', 'refund', 1, 1, 300, 'usd', 'pi_1', 'ch_1', 're_2',"
    "  'att_1', false, NULL),"
    " ('att_7', 'acct_1', 2, 100, 'approved', 'authorize', 1, 1, 50, 'usd', NULL, 'ch_7', NULL,"
    "  NULL, true, NULL);";
static const char its_books[] =
    "INSERT INTO ledger_transaction VALUES"
    " (1, 'acct_1', 'charge', 'ch_1', 100, 'usd', '{1,-2,4}', '{2000,-1912,-88}'),"
    " (2, 'acct_1', 'hold', 'ch_2', 100, 'usd', '{-6,-7}', '{700,-700}'),"
    " (4, 'acct_1', 'settle', 'txn_1', 100, 'usd', '{-2,-3}', '{1912,-1912}'),"
    " (6, 'acct_1', 'refund_failure', 're_2', 100, 'usd', '{-2,5}', '{-300,300}'),"
    " (7, 'acct_1', 'charge', 'ch_7', 100, 'usd', '{1,-2,4}', '{50,-19,-31}');"
    /* Two of before version 5. */
    "ALTER TABLE ledger_transaction DROP CONSTRAINT ledger_transaction_lines;"
    "INSERT INTO ledger_transaction VALUES (3, 'acct_1', 'refund', 're_1', 100),"
    " (5, 'acct_1', 'refund', 're_2', 100);"
    "INSERT INTO entry_until_version_4 VALUES"
    " (3, 1, 2, 'acct_1', 'usd', 500), (3, 2, 5, '', 'usd', -500),"
    " (5, 1, 2, 'acct_1', 'usd', 300), (5, 2, 5, '', 'usd', -300);"
    "INSERT INTO balance SELECT merchant, account, currency, sum(amount) FROM entry GROUP BY 1, 2, "
    "3;"
    "INSERT INTO balance_transaction (id, merchant, version, created, amount, fee, net, currency,"
    " status, available_on, source, final) VALUES"
    " ('txn_1', 'acct_1', 2, 100, 2000, 88, 1912, 'usd', 'available', 100, 'ch_1', true),"
    " ('txn_2', 'acct_1', 1, 100, -500, 0, -500, 'usd', 'pending', 200, 're_1', false),"
    " ('txn_3', 'acct_1', 1, 100, -300, 0, -300, 'usd', 'pending', 200, 're_2', false),"
    " ('txn_4', 'acct_1', 1, 100, 300, 0, 300, 'usd', 'pending', 200, 're_2', false),"
    " ('txn_7', 'acct_1', 1, 100, 50, 31, 19, 'usd', 'pending', 200, 'ch_7', true);"
    "INSERT INTO idempotency VALUES ('acct_1', 'k1', sha256('')::bytea, 'POST /v1/payment_intents',"
    " '\\x00', 'req_1', 200, NULL, 100, 1);"
    "INSERT INTO outbox VALUES"
    " (1, 1, 'evt_1', 'acct_1', 'payment_intent.succeeded', 'pi_1', told('pi_1'), 100, '', NULL, "
    "'k1'),"
    " (2, 2, 'evt_A0', 'acct_1', 'charge.refunded charge.succeeded', 'ch_1 ch_7', told('ch_1', "
    "'ch_7'),"
    "  100, '', NULL, NULL);"
    "INSERT INTO webhook_endpoint (id, merchant, version, created, url, enabled_events, status,"
    " deleted) VALUES"
    " ('we_1', 'acct_1', 1, 50, 'http://one', '[\"*\"]', 'enabled', false),"
    " ('we_2', 'acct_1', 1, 50, 'http://two', '[\"charge.refunded\"]', 'enabled', false),"
    " ('we_3', 'acct_2', 1, 50, 'http://three', '[\"*\"]', 'enabled', false);"
    "INSERT INTO delivery (sequence, endpoint, merchant, event, state, next_ms) VALUES"
    " (1, 'we_1', 'acct_1', 'evt_1', 'delivered', 0), (2, 'we_1', 'acct_1', 'evt_A0', 'pending', "
    "0),"
    " (2, 'we_2', 'acct_1', 'evt_A0', 'failed', 0), (3, 'we_1', 'acct_1', 'evt_A1', 'delivered', "
    "0);"
    "UPDATE ledger_leader SET event_head = 3, transaction_head = 7;"
    "UPDATE dispatch SET sequence = 3";

static void
record(MDB_txn *txn, MDB_dbi table, const struct network_record *r)
{
    uint8_t bytes[RECORD_BYTES_MAX];
    MDB_val key = {strlen(r->reference), (void *)(uintptr_t)r->reference};
    MDB_val value = {record_encode(r, bytes), bytes};
    cr_assert_eq(mdb_put(txn, table, &key, &value, 0), 0);
}

/* What the network knows, and one more thing. */
static void
write_journal(const struct network_record *more)
{
    static const struct network_record records[] = {
        {.reference = "att_1",
         .operation = NETWORK_AUTHORIZE,
         .state = NETWORK_STATE_APPROVED,
         .amount = 2000,
         .currency = "usd",
         .merchant = "acct_1",
         .effects = 1,
         .captured = 2000,
         .refunded = 500,
         .capture = 1,
         .changed_ms = 1},
        {.reference = "att_2",
         .operation = NETWORK_AUTHORIZE,
         .state = NETWORK_STATE_APPROVED,
         .amount = 700,
         .currency = "usd",
         .merchant = "acct_1",
         .effects = 1,
         .held = 700,
         .changed_ms = 1},
        {.reference = "att_3",
         .operation = NETWORK_AUTHORIZE,
         .state = NETWORK_STATE_DECLINED,
         .amount = 900,
         .currency = "usd",
         .merchant = "acct_1",
         .changed_ms = 1},
        {.reference = "att_4",
         .operation = NETWORK_REFUND,
         .state = NETWORK_STATE_APPROVED,
         .amount = 500,
         .currency = "usd",
         .merchant = "acct_1",
         .original = "att_1",
         .effects = 1,
         .changed_ms = 1},
        {.reference = "att_6",
         .operation = NETWORK_REFUND,
         .state = NETWORK_STATE_APPROVED,
         .amount = 300,
         .currency = "usd",
         .merchant = "acct_1",
         .original = "att_1",
         .effects = 1,
         .refunds = REFUND_RETURNS,
         .returned = 1,
         .changed_ms = 1},
        {.reference = "att_7",
         .operation = NETWORK_AUTHORIZE,
         .state = NETWORK_STATE_APPROVED,
         .amount = 50,
         .currency = "usd",
         .merchant = "acct_1",
         .effects = 1,
         .captured = 50,
         .capture = 1,
         .changed_ms = 1},
        {.reference = "att_5",
         .state = NETWORK_STATE_REVERSED,
         .merchant = "acct_1",
         .changed_ms = 1},
    };
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;
    mkdir(in_home("network"), 0700);
    cr_assert_eq(mdb_env_create(&env), 0);
    cr_assert_eq(mdb_env_open(env, in_home("network"), 0, 0600), 0);
    cr_assert_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
    cr_assert_eq(mdb_dbi_open(txn, NULL, 0, &table), 0);
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++)
        record(txn, table, &records[i]);
    if (more) record(txn, table, more);
    cr_assert_eq(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void
make_home(void)
{
    char settings[256];
    home_make();
    postgres_fresh();
    postgres_value(telling);
    postgres_value(well);
    postgres_value(its_books);
    PGconn *conn = postgres_connect("auditor");
    snprintf(settings, sizeof settings, "postgres_dsn = host=%s dbname=%s\n", PQhost(conn),
             PQdb(conn));
    PQfinish(conn);
    write_in_home("florin.conf", settings, 0600);
    mkdir(in_home("secrets"), 0700);
    write_in_home("secrets/postgres_auditor", "none\n", 0600);
}

/* What the last audit printed. */
static char text[1 << 16];

/* The ids of what does not hold, a space after each; the exit code in `*code`. */
static const char *
audit(int *code)
{
    static char failed[256];
    FILE *out = fmemopen(text, sizeof text, "w");
    *code = audit_run(home, false, 0, out);
    fclose(out);
    failed[0] = 0;
    for (const char *at = text; (at = strstr(at, "FAIL  ")); at += 9)
        strncat(failed, at + 6, 4);
    return failed;
}

Test(audit, a_world_in_which_all_is_well_is_clean)
{
    int code;
    make_home();
    write_journal(NULL);
    const char *const failed = audit(&code);
    cr_expect_str_eq(failed, "", "%s", failed);
    cr_expect_eq(code, 0);
    home_remove();
}

/* The database would refuse what the audit is to find. */
#define UNCHECKED "ALTER TABLE ledger_transaction DROP CONSTRAINT ledger_transaction_must_balance;"

/* Each of these is one thing done to a world in which all is well. */
// clang-format off
static const struct {
    const char *failed, *sql;
} wrongs[] = {
    {"I01 I02 I03 I11 ", UNCHECKED "UPDATE ledger_transaction SET amounts[1] = 2001 WHERE id = 1"},
    {"I01 I02 I03 I11 ", "UPDATE entry_until_version_4 SET amount = -501 WHERE amount = -500"},
    {"I01 I02 I03 ", UNCHECKED "UPDATE ledger_transaction SET accounts = '{1,-2}', amounts = '{2000,-1912}'"
                     " WHERE id = 1"},
    {"I01 I02 I03 ", UNCHECKED "UPDATE ledger_transaction SET currency = 'usdeurusd' WHERE id = 1"},
    {"I03 ", "UPDATE balance SET amount = amount + 1 WHERE account = 4"},
    {"I03 ", "UPDATE ledger_transaction SET accounts = '{1,-2,-4}' WHERE id = 1"},
    {"I03 J01 ", "DELETE FROM balance WHERE account = 3"},
    {"I04 I06 ", "INSERT INTO ledger_transaction VALUES (9, 'acct_1', 'settle', 'txn_9', 100)"},
    {"I03 I06 ", "DELETE FROM ledger_transaction WHERE kind = 'settle'"},
    {"I05 ", "INSERT INTO entry_until_version_4 VALUES (9, 1, 1, '', 'usd', 5), (9, 2, 1, '', 'usd', -5)"},
    {"I06 ", "UPDATE ledger_leader SET transaction_head = 9"},
    {"I07 I23 ", "UPDATE ledger_leader SET event_head = 4"},
    {"I07 I23 ", "UPDATE outbox SET sequence = 7 WHERE sequence = 2; DELETE FROM delivery WHERE sequence > 1;"
                 "UPDATE ledger_leader SET event_head = 8"},
    {"I08 ", "INSERT INTO attempt (id, merchant, version, created, state, operation, slot, epoch,"
             " amount, capture) VALUES ('att_9', 'acct_1', 1, 1, 'sending', 'refund', 1, 1, 1, false)"},
    {"I09 ", "INSERT INTO idempotency VALUES ('acct_1', 'k9', sha256(''), '', '', NULL, NULL, NULL, 1)"},
    {"I10 I12 ", "DROP INDEX attempt_one_approved; UPDATE attempt SET payment_intent = 'pi_1', capture = false"
             " WHERE id = 'att_2'; UPDATE payment_intent SET status = 'requires_confirmation' WHERE id = 'pi_2'"},
    {"I11 I12 ", "UPDATE payment_intent SET status = 'requires_capture', amount_capturable = 0,"
                 " amount_received = 0 WHERE id = 'pi_3'; UPDATE ledger_transaction SET source = 'ch_9'"
                 " WHERE kind = 'hold'"},
    {"I12 I21 ", "UPDATE payment_intent SET status = 'canceled' WHERE id = 'pi_2'"},
    {"I13 ", "UPDATE charge SET amount_refunded = 400 WHERE id = 'ch_1'"},
    {"I13 ", "UPDATE payment_intent SET amount_received = 1999 WHERE id = 'pi_1'"},
    {"I14 ", "UPDATE attempt SET currency = 'eur' WHERE id = 'att_2'"},
    {"I14 ", "UPDATE attempt SET state = 'approved' WHERE id = 'att_3';"
             "UPDATE attempt SET operation = 'nothing' WHERE id = 'att_3'"},
    {"I11 I12 I14 ", "UPDATE attempt SET state = 'declined' WHERE id = 'att_2'"},
    {"I16 ", "DELETE FROM attempt WHERE id = 'att_3'"},
    {"I12 I19 ", "UPDATE payment_intent SET status = 'requires_confirmation' WHERE id = 'pi_1'"},
    {"I20 ", "UPDATE attempt SET key = 'k1' WHERE id = 'att_4'"},
    {"I20 ", "UPDATE attempt SET key = 'k2' WHERE id = 'att_4'"},
    {"I21 ", "UPDATE outbox SET types = 'payment_intent.created' WHERE sequence = 1"},
    {"I22 ", "INSERT INTO outbox VALUES (4, 1, 'evt_4', 'acct_1', 'payment_intent.succeeded', 'pi_1',"
             " told('pi_1'), 10, ''); UPDATE ledger_leader SET event_head = 4;"
             "UPDATE dispatch SET sequence = 4"},
    {"I23 ", "DELETE FROM delivery WHERE endpoint = 'we_2'"},
    {"I23 ", "UPDATE dispatch SET sequence = 1"},
    {"I24 ", "UPDATE delivery SET event = 'evt_9' WHERE endpoint = 'we_2'"},
    {"I25 ", "INSERT INTO delivery VALUES (1, 'we_3', 'acct_1', 'evt_1', 'pending', 0, 0)"},
    {"I13 I14 J05 ", "UPDATE refund SET status = 'succeeded', failure_balance_transaction = NULL WHERE id = 're_2'"},
    {"J05 ", "UPDATE refund SET failure_balance_transaction = NULL WHERE id = 're_2'"},
    {"J05 ", "UPDATE refund SET amount = 301 WHERE id = 're_2'"},
    {"J05 ", "UPDATE ledger_transaction SET source = 're_9' WHERE kind = 'refund_failure'"},
    {"J05 J08 ", "UPDATE refund SET follow_at = 100 WHERE id = 're_2'"},
    {"J06 ", "UPDATE charge SET attempt = 'att_7' WHERE id = 'ch_7'"},
    {"J06 J07 ", "UPDATE charge SET paid = false, status = 'failed' WHERE id = 'ch_7'"},
    {"J07 J15 ", "UPDATE outbox SET objects = 'ch_1 ch_1' WHERE sequence = 2"},
    {"J01 ", "UPDATE balance_transaction SET net = net + 1, amount = amount + 1 WHERE id = 'txn_2'"},
    {"J02 ", "INSERT INTO setup_intent (id, merchant, version, created, status)"
             " VALUES ('seti_1', 'acct_1', 1, 1, 'succeeded')"},
    {"J02 ", "INSERT INTO setup_intent (id, merchant, version, created, status)"
             " VALUES ('seti_1', 'acct_1', 1, 1, 'processing')"},
    {"J03 ", "INSERT INTO setup_intent (id, merchant, version, created, status, challenge)"
             " VALUES ('seti_1', 'acct_1', 1, 1, 'requires_action', 'tds_1')"},
    {"J04 ", "UPDATE attempt SET original = 'att_1' WHERE id = 'att_2'"},
    {"J09 J10 ", "INSERT INTO checkout_session (id, merchant, version, created, slot, status, expires_at, phone)"
                 " VALUES ('cs_test_1', 'acct_1', 1, 1, 1, 'complete', 1, false)"},
    {"J09 ", "INSERT INTO checkout_session (id, merchant, version, created, slot, status, expires_at, phone,"
             " payment_intent, amount_total, currency)"
             " SELECT 'cs_test_1', merchant, 1, 1, 1, 'open', 1, false, id, amount, currency"
             " FROM payment_intent WHERE id = 'pi_1';"
             "UPDATE payment_intent SET checkout_session = 'cs_test_1' WHERE id = 'pi_1'"},
    {"J10 ", "INSERT INTO checkout_session (id, merchant, version, created, slot, status, expires_at, phone)"
             " VALUES ('cs_test_1', 'acct_1', 1, 1, 1, 'expired', 1, false)"},
    {"J11 ", "UPDATE attempt SET payment_intent = 'pi_9' WHERE id = 'att_3'"},
    {"J11 ", "UPDATE attempt SET staged = '' WHERE id = 'att_3'"},
    {"J11 ", "UPDATE attempt SET staged = '', payment_intent = 'pi_9' WHERE id = 'att_3'"},
    {"J11 ", "UPDATE attempt SET staged = '' WHERE id = 'att_7'"},
    /* Open, it may bear a payment that is not there; not one that is there. */
    {"I08 ", "UPDATE attempt SET staged = '', payment_intent = 'pi_9', state = 'sending' WHERE id = 'att_3'"},
    {"I08 J11 ", "UPDATE attempt SET staged = '', state = 'sending' WHERE id = 'att_3'"},
    {"J13 ", "UPDATE outbox SET id = 'evt_A1' WHERE sequence = 2; UPDATE delivery SET event = 'evt_A1' WHERE sequence = 2"},
    {"I07 I24 J07 J13 J15 ", "UPDATE outbox SET objects = 'ch_1', types = 'charge.refunded' WHERE sequence = 2"},
    {"J15 ", "UPDATE outbox SET packed = told('pi_1', 'pi_2') WHERE sequence = 2"},
    {"J15 ", "UPDATE outbox SET packed = told('ch_1') WHERE sequence = 2"},
    {"J15 ", "UPDATE outbox SET packed = '\\x01000000ff' WHERE sequence = 1"},
    {"J15 ", "UPDATE outbox SET packed = '' WHERE sequence = 1"},
    {"I08 J14 ", "INSERT INTO open_attempt (place, id, merchant, version, created, state, operation, slot, epoch, amount,"
                 " capture, payment_intent, staged) SELECT at, 'att_1' || at, 'acct_1', 1, 1, 'sending', 'authorize', 1, 1,"
                 " 2000, true, 'pi_9', '' FROM generate_series(1, 2) at"},
    {"J12 ", "UPDATE idempotency SET told = 2"},
    {"J12 ", "UPDATE idempotency SET told = 9"},
    {"J16 ", "UPDATE payment_intent SET latest_charge = 'ch_5' WHERE id = 'pi_2'"},
    {"J16 ", "UPDATE payment_intent SET latest_charge = NULL WHERE id = 'pi_2'"},
    {"J16 ", "UPDATE charge SET failure_code = NULL WHERE id = 'ch_3'"},
    {"J17 ", "UPDATE charge SET balance_transaction = NULL WHERE id = 'ch_7'"},
    {"J17 ", "UPDATE balance_transaction SET final = true WHERE id = 'txn_2'"},
};
// clang-format on

Test(audit, each_thing_that_is_wrong_is_found)
{
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        int code;
        make_home();
        write_journal(NULL);
        postgres_value(wrongs[i].sql);
        const char *const failed = audit(&code);
        cr_expect_str_eq(failed, wrongs[i].failed, "%s: %s", wrongs[i].sql, failed);
        cr_expect_eq(code, 1);
        home_remove();
    }
}

Test(audit, what_the_network_did_and_we_did_not_is_found)
{
    static const struct {
        const char *failed;
        struct network_record record;
    } table[] = {
        {"I16 ",
         {.reference = "att_0",
          .operation = NETWORK_AUTHORIZE,
          .effects = 1,
          .state = NETWORK_STATE_APPROVED,
          .amount = 5,
          .currency = "usd",
          .merchant = "acct_1"}},
        {"I16 ",
         {.reference = "att_9",
          .operation = NETWORK_AUTHORIZE,
          .effects = 1,
          .state = NETWORK_STATE_APPROVED,
          .amount = 5,
          .currency = "usd",
          .merchant = "acct_1"}},
        {"I14 ",
         {.reference = "att_3",
          .operation = NETWORK_AUTHORIZE,
          .effects = 1,
          .state = NETWORK_STATE_APPROVED,
          .amount = 900,
          .currency = "usd",
          .merchant = "acct_1"}},
        {"I14 ",
         {.reference = "att_2",
          .operation = NETWORK_AUTHORIZE,
          .effects = 1,
          .held = 701,
          .state = NETWORK_STATE_APPROVED,
          .amount = 701,
          .currency = "usd",
          .merchant = "acct_1"}},
        {"I14 ",
         {.reference = "att_1",
          .operation = NETWORK_AUTHORIZE,
          .effects = 1,
          .captured = 2000,
          .refunded = 501,
          .capture = 1,
          .state = NETWORK_STATE_APPROVED,
          .amount = 2000,
          .currency = "usd",
          .merchant = "acct_1"}},
        {"I15 ",
         {.reference = "att_2",
          .operation = NETWORK_AUTHORIZE,
          .effects = 2,
          .held = 700,
          .state = NETWORK_STATE_APPROVED,
          .amount = 700,
          .currency = "usd",
          .merchant = "acct_1"}},
        /* After our snapshot: not ours to judge yet. */
        {"",
         {.reference = "att_9",
          .operation = NETWORK_AUTHORIZE,
          .effects = 1,
          .state = NETWORK_STATE_APPROVED,
          .amount = 5,
          .currency = "usd",
          .merchant = "acct_1",
          .changed_ms = INT64_C(4000000000000)}},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        int code;
        make_home();
        write_journal(&table[i].record);
        const char *const failed = audit(&code);
        cr_expect_str_eq(failed, table[i].failed, "row %zu: %s", i, failed);
        cr_expect_neq(code, 2, "%s", text);
        home_remove();
    }
}

Test(audit, a_network_that_forgot_everything_is_found)
{
    int code;
    make_home();
    const char *const failed = audit(&code);
    cr_expect_str_eq(failed, "I14 ", "%s", failed);
    cr_expect_eq(code, 1, "%s", text);
    home_remove();
}

Test(audit, a_database_that_is_away_is_said_to_be)
{
    int code;
    home_make();
    write_in_home("florin.conf", "postgres_dsn = host=/nowhere dbname=none\n", 0600);
    mkdir(in_home("secrets"), 0700);
    write_in_home("secrets/postgres_auditor", "none\n", 0600);
    audit(&code);
    cr_expect_eq(code, 2);
    cr_expect(strstr(text, "/nowhere"), "it says why: %s", text);
    home_remove();
}
