#include "statements.h"

#include "attempt.h"
#include "pg.h"
#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SQL_MAX 8192

#define ACCOUNT(NAME, number, name, owner, kind, doc) ACCOUNT_##NAME = (number),
enum account {
#include "accounts.def"
};
#undef ACCOUNT

struct sql {
    char text[SQL_MAX];
    size_t size;
};

static void put(struct sql *sql, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void
put(struct sql *sql, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(sql->text + sql->size, SQL_MAX - sql->size, format, arguments);
    va_end(arguments);
    assert(size >= 0 && sql->size + (size_t)size < SQL_MAX);
    sql->size += (size_t)size;
}

/* --- of the tables in rows.def ---------------------------------------------------------------- */

static struct table_statements made[64];

// clang-format off
static const char kinds_of_columns[] = {
    [COLUMN_TEXT] = 't', [COLUMN_JSON] = 't', [COLUMN_BYTES] = 'y',
    [COLUMN_I64]  = 'l', [COLUMN_OPT]  = 'l', [COLUMN_FLAG]  = 'b',
};
// clang-format on

const struct table_statements *
table_statements(size_t index)
{
    struct table_statements *s = &made[index];
    assert(index < table_count && table_count <= sizeof made / sizeof made[0]);
    if (s->table) return s;
    s->table = tables[index];
    for (size_t i = 0; i < s->table->column_count; i++)
        s->kinds[i] = kinds_of_columns[s->table->columns[i].kind];
    snprintf(s->find, sizeof s->find, "find_%s", s->table->name);
    snprintf(s->insert, sizeof s->insert, "insert_%s", s->table->name);
    snprintf(s->update, sizeof s->update, "update_%s", s->table->name);
    return s;
}

const char *
attempt_kinds(bool begins)
{
    static char kinds[2][TABLE_COLUMNS_MAX + 5];
    char *const k = kinds[begins];
    if (!k[0]) {
        for (size_t i = 0; i < table_count; i++)
            if (tables[i]->number == ROW_attempt) strcpy(k, table_statements(i)->kinds);
        strcat(k, begins ? "iyty" : "i");
    }
    return k;
}

/* (SELECT unnest($1::text[]), unnest($2::bigint[]), …): the arrays side by side, with their places
 * last if wanted. In the list of what is selected, and not as unnest($1, $2, …) after FROM, which
 * keeps a store of tuples for each array: 1.7 µs a row of 34 columns instead of 5.5. */
static void
put_unnest(struct sql *sql, const char *kinds, bool numbered)
{
    put(sql, "(SELECT ");
    for (int i = 0; islower(kinds[i]); i++)
        put(sql, "%sunnest($%d::%s)", i ? ", " : "", i + 1, array_type(kinds[i]));
    if (numbered) put(sql, ", generate_subscripts($1, 1)::bigint");
    put(sql, ") AS n");
}

static void
put_columns(struct sql *sql, const struct table *t)
{
    sql->size += pg_columns((enum row_table)t->number, sql->text + sql->size, SQL_MAX - sql->size);
}

/* The row of t that n means. A plan is made once and kept. One that is made while a table is known
 * to be small would rather read all of it, in the order of its key, and go on so when it is large:
 * analyzed after a hundred payments, the next 6,500 cost 776 µs each instead of 176. An equation
 * with an array says the same and has no use for the key's order, so that each row is looked for by
 * itself, whatever the statistics say. It is the column that the primary key begins with. */
#define SAME(first, second) "t." first " = ANY (ARRAY[n." first "]) AND t." second " = n." second

#define SAME_PLACE "o.place = ANY (ARRAY[n.place])"

static const char *
same_row(const struct table *t)
{
    return t->number == ROW_attempt ? SAME("id", "merchant") : SAME("merchant", "id");
}

/* Of attempts those that are over: the others are known. */
static void
make_find(struct sql *sql, const struct table_statements *s)
{
    put(sql, "SELECT n.ordinal, t.version, %s FROM ",
        s->table->number == ROW_attempt ? "t.state" : "NULL::text");
    put_unnest(sql, KINDS_FIND, true);
    put(sql, "(merchant, id, ordinal) JOIN %s t ON %s", s->table->name, same_row(s->table));
}

static void
make_insert(struct sql *sql, const struct table_statements *s)
{
    put(sql, "INSERT INTO %s (", s->table->name);
    put_columns(sql, s->table);
    put(sql, ") SELECT * FROM ");
    put_unnest(sql, s->kinds, false);
}

/* Every arrow that attempt.h knows, as SQL. */
static void
put_arrows(struct sql *sql)
{
    const char *between = "";
    put(sql, " AND o.state || '>' || n.state IN (");
    for (int from = ATTEMPT_NONE + 1; from < ATTEMPT_STATE_COUNT; from++)
        for (int to = ATTEMPT_NONE + 1; to < ATTEMPT_STATE_COUNT; to++) {
            const enum attempt_state a = (enum attempt_state)from, b = (enum attempt_state)to;
            if (!attempt_may_go(a, b)) continue;
            put(sql, "%s'%s>%s'", between, attempt_state_name(a), attempt_state_name(b));
            between = ", ";
        }
    put(sql, ")");
}

static void
put_settings(struct sql *sql, const struct table *t, size_t first)
{
    for (size_t i = first; i < t->column_count; i++)
        put(sql, "%s\"%s\" = n.\"%s\"", i > first ? ", " : "", t->columns[i].name,
            t->columns[i].name);
}

static void
make_update(struct sql *sql, const struct table_statements *s)
{
    const struct table *t = s->table;
    put(sql, "WITH changed AS (UPDATE %s t SET ", t->name);
    put_settings(sql, t, COLUMN_VERSION);
    put(sql, " FROM ");
    put_unnest(sql, s->kinds, false);
    put(sql, "(");
    put_columns(sql, t);
    put(sql, ") WHERE %s AND t.version = n.version - 1", same_row(t));
    put(sql, " RETURNING 1) SELECT expect((SELECT count(*) FROM changed), $%zu::bigint, '%s')",
        t->column_count + 1, t->name);
}

/* --- attempts --------------------------------------------------------------------------------- */

/* n: the attempts' columns, their places, and what their keys' rows will bear when `begins`. */
static void
put_attempts(struct sql *sql, bool begins)
{
    put_unnest(sql, attempt_kinds(begins), false);
    put(sql, "(");
    put_columns(sql, table_find(ROW_attempt));
    put(sql, ", place%s)", begins ? ", request_hash, path, command" : "");
}

static void
put_expected(struct sql *sql, const char *kinds, const char *what)
{
    put(sql, " RETURNING 1) SELECT expect((SELECT count(*) FROM changed), $%zu::bigint, '%s')",
        strlen(kinds) + 1, what);
}

/* Only where nothing stands, or what is over; and none that is over itself: a command may come
 * twice, with a while between. */
static void
make_begin(struct sql *sql)
{
    put(sql, "WITH changed AS (UPDATE open_attempt o SET ");
    put_settings(sql, table_find(ROW_attempt), 0);
    put(sql, ", request_hash = n.request_hash, path = n.path, command = n.command FROM ");
    put_attempts(sql, true);
    put(sql, " WHERE " SAME_PLACE " AND (o.id IS NULL OR EXISTS (SELECT FROM attempt t WHERE"
             " t.id = ANY (ARRAY[o.id]) AND t.merchant = o.merchant))"
             " AND NOT EXISTS (SELECT FROM attempt t WHERE t.id = ANY (ARRAY[n.id])"
             " AND t.merchant = n.merchant OFFSET 0)");
    put_expected(sql, attempt_kinds(true), "open_attempt");
}

static void
put_was_there(struct sql *sql)
{
    put(sql,
        SAME_PLACE " AND o.id = n.id AND o.merchant = n.merchant AND o.version = n.version - 1");
    put_arrows(sql);
}

static void
make_step(struct sql *sql)
{
    put(sql, "WITH changed AS (UPDATE open_attempt o SET ");
    put_settings(sql, table_find(ROW_attempt), COLUMN_VERSION);
    put(sql, " FROM ");
    put_attempts(sql, false);
    put(sql, " WHERE ");
    put_was_there(sql);
    put_expected(sql, attempt_kinds(false), "open_attempt");
}

/* Its place stays as it is: that it is over shows in the table attempt. */
static void
make_end(struct sql *sql)
{
    const struct table *const t = table_find(ROW_attempt);
    put(sql, "WITH changed AS (INSERT INTO attempt (");
    put_columns(sql, t);
    put(sql, ") SELECT ");
    for (size_t i = 0; i < t->column_count; i++)
        put(sql, "%sn.\"%s\"", i ? ", " : "", t->columns[i].name);
    put(sql, " FROM ");
    put_attempts(sql, false);
    put(sql, " JOIN open_attempt o ON ");
    put_was_there(sql);
    put_expected(sql, attempt_kinds(false), "attempt");
}

/* --- the others ------------------------------------------------------------------------------- */

// clang-format off
/* The columns of the statement's arrays stand between before and after, as a table n; a number may
 * follow as last parameter. A slice of an array whose elements have one size costs the same wherever
 * it begins; to send the lines as text and cast them costs 1 µs more a transaction. */
static const struct statement {
    const char *name, *kinds, *before, *after;
} others[] = {
    {STATEMENT_BEGIN,    NULL, "BEGIN", ""},
    {STATEMENT_COMMIT,   NULL, "COMMIT", ""},
    {STATEMENT_ROLLBACK, NULL, "ROLLBACK", ""},
    {STATEMENT_PARTITION, NULL, /* what it says already, it goes on to say */
     "UPDATE ledger_leader SET partition = coalesce(partition, $1::integer),"
     " partitions = coalesce(partitions, $2::integer) RETURNING partition, partitions", ""},
    {STATEMENT_LEAD, NULL,
     "UPDATE ledger_leader SET epoch = epoch + 1, holder = $1::text, backend_pid = pg_backend_pid()"
     " RETURNING epoch, last_batch, event_head, transaction_head, cluster", ""},
    {STATEMENT_FENCE, NULL,
     "WITH changed AS (UPDATE ledger_leader SET last_batch = $2::bigint, event_head = $3::bigint,"
     " transaction_head = $4::bigint, open_until = $5::bigint WHERE epoch = $1::bigint AND last_batch = $2::bigint - 1"
     " RETURNING 1)"
     " SELECT expect((SELECT count(*) FROM changed), 1, 'ledger_leader')", ""},
    {STATEMENT_SLOTS, NULL, "SELECT slot, epoch, owner, incarnation FROM slot", ""},
    {STATEMENT_SLOTS_TAKE, KINDS_SLOTS_TAKE,
     "INSERT INTO slot (slot, epoch, owner, incarnation) SELECT * FROM ",
     " ON CONFLICT (slot) DO UPDATE SET epoch = excluded.epoch, owner = excluded.owner,"
     " incarnation = excluded.incarnation"},
    {STATEMENT_KEY_FIND, KINDS_KEY_FIND,
     "SELECT n.ordinal, t.request_hash, t.path, t.command, t.request, t.status, t.body, o.packed,"
     " t.told - o.sequence + 1 FROM ",
     "(merchant, key, ordinal) JOIN idempotency t ON " SAME("merchant", "key")
     " LEFT JOIN LATERAL (SELECT packed, sequence FROM outbox WHERE sequence <= t.told"
     " ORDER BY sequence DESC LIMIT 1) o ON true"},
    {STATEMENT_KEY_CLAIM, KINDS_KEY_CLAIM,
     "INSERT INTO idempotency"
     " (merchant, key, request_hash, path, command, request, status, body, created, told)"
     " SELECT * FROM ", ""},
    {STATEMENT_KEY_ANSWER, KINDS_KEY_ANSWER,
     "WITH changed AS (UPDATE idempotency t SET status = n.status, body = n.body,"
     " told = n.told FROM ",
     "(merchant, key, status, body, told) WHERE " SAME("merchant", "key") " AND t.status IS NULL RETURNING 1)"
     " SELECT expect((SELECT count(*) FROM changed), $6::bigint, 'idempotency')"},
    {STATEMENT_KEY_SETTLE, KINDS_KEY_SETTLE, /* of an attempt under way, with an answer or without */
     "WITH changed AS (INSERT INTO idempotency"
     " (merchant, key, request_hash, path, command, request, status, body, created, told)"
     " SELECT o.merchant, o.key, o.request_hash, o.path, o.command, o.request, n.status, n.body,"
     " o.created, n.told FROM ",
     "(place, merchant, key, status, body, told) JOIN open_attempt o ON " SAME_PLACE
     " AND o.merchant = n.merchant AND o.key = n.key AND o.command IS NOT NULL RETURNING 1)"
     " SELECT expect((SELECT count(*) FROM changed), $7::bigint, 'idempotency')"},
    {STATEMENT_PLACES, NULL,
     "INSERT INTO open_attempt (place) SELECT generate_series($1::bigint, $2::bigint)::integer", ""},
    {STATEMENT_ATTEMPTS_OPEN, NULL,
     "SELECT (SELECT coalesce(max(place), 0) FROM open_attempt), o.place, o.merchant, o.id, o.version,"
     " o.state, o.operation, o.payment_intent, o.setup_intent, o.charge,"
     " CASE WHEN o.command IS NOT NULL AND NOT EXISTS (SELECT FROM idempotency t"
     " WHERE t.merchant = ANY (ARRAY[o.merchant]) AND t.key = o.key) THEN o.key END, o.command"
     " FROM (SELECT) one LEFT JOIN (SELECT * FROM open_attempt p WHERE id IS NOT NULL AND NOT EXISTS"
     " (SELECT FROM attempt t WHERE t.id = ANY (ARRAY[p.id]) AND t.merchant = p.merchant OFFSET 0)) o"
     " ON true", ""},
    {STATEMENT_OUTBOX, KINDS_OUTBOX,
     "INSERT INTO outbox (sequence, count, id, merchant, types, objects, packed, created,"
     " api_version, request, key) SELECT * FROM ", ""},
    {STATEMENT_TRANSACTION, KINDS_TRANSACTION,
     "INSERT INTO ledger_transaction (id, merchant, kind, source, created, currency, accounts, amounts)"
     " SELECT n.id, n.merchant, n.kind, n.source, n.created, n.currency,"
     " ($9::smallint[])[n.first:n.last], ($10::bigint[])[n.first:n.last] FROM ",
     "(id, merchant, kind, source, created, currency, first, last)"},
    {STATEMENT_BALANCE, KINDS_BALANCE,
     "INSERT INTO balance (merchant, account, currency, amount) SELECT * FROM ",
     " ON CONFLICT (merchant, account, currency)"
     " DO UPDATE SET amount = balance.amount + excluded.amount"},
};
// clang-format on

/* Always by index and one by one: a plan that was made when a table was small must not read all of
 * it when it is large. A statement or a transaction that hangs ends; a backend whose client is gone
 * notices (RELIABILITY c4). */
static const char session[] = "SET plan_cache_mode = force_generic_plan; SET jit = off;"
                              "SET enable_seqscan = off; SET enable_hashjoin = off;"
                              "SET enable_mergejoin = off; SET statement_timeout = '5s';"
                              "SET idle_in_transaction_session_timeout = '2s';"
                              "SET client_connection_check_interval = '1s';"
                              "SET tcp_user_timeout = 3000; SET synchronous_commit = on;"
                              "SET bytea_output = hex";

static bool
worked(PGconn *conn, PGresult *result, char *error, size_t error_size)
{
    const ExecStatusType status = PQresultStatus(result);
    const bool fine = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!fine) {
        const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        snprintf(error, error_size, "%s", message ? message : PQerrorMessage(conn));
    }
    PQclear(result);
    return fine;
}

static bool
prepare(PGconn *conn, const char *name, const struct sql *sql, char *error, size_t error_size)
{
    return worked(conn, PQprepare(conn, name, sql->text, 0, NULL), error, error_size);
}

static bool
prepare_attempts(PGconn *conn, char *error, size_t error_size)
{
    struct sql begin = {.size = 0}, step = {.size = 0}, end = {.size = 0};
    make_begin(&begin);
    make_step(&step);
    make_end(&end);
    return prepare(conn, STATEMENT_ATTEMPT_BEGIN, &begin, error, error_size) &&
           prepare(conn, STATEMENT_ATTEMPT_STEP, &step, error, error_size) &&
           prepare(conn, STATEMENT_ATTEMPT_END, &end, error, error_size);
}

static bool
prepare_table(PGconn *conn, const struct table_statements *s, char *error, size_t error_size)
{
    struct sql find = {.size = 0}, insert = {.size = 0}, update = {.size = 0};
    make_find(&find, s);
    if (!prepare(conn, s->find, &find, error, error_size)) return false;
    if (s->table->number == ROW_attempt) return prepare_attempts(conn, error, error_size);
    make_insert(&insert, s);
    make_update(&update, s);
    return prepare(conn, s->insert, &insert, error, error_size) &&
           prepare(conn, s->update, &update, error, error_size);
}

static bool
prepare_other(PGconn *conn, const struct statement *statement, char *error, size_t error_size)
{
    struct sql sql = {.size = 0};
    put(&sql, "%s", statement->before);
    if (statement->kinds)
        put_unnest(&sql, statement->kinds, strcmp(statement->name, STATEMENT_KEY_FIND) == 0);
    put(&sql, "%s", statement->after);
    return prepare(conn, statement->name, &sql, error, error_size);
}

static bool
prepare_due(PGconn *conn, char *error, size_t error_size)
{
    struct sql sql = {.size = 0};
    put(&sql, "WITH due AS MATERIALIZED (SELECT ");
    put_columns(&sql, table_find(ROW_balance_transaction));
    put(&sql, " FROM balance_transaction WHERE status = 'pending' AND available_on <= $1::bigint"
              " ORDER BY available_on LIMIT 500) SELECT ");
    put_columns(&sql, table_find(ROW_balance_transaction));
    /* The last row of each merchant bears what will be there once all of its rows are written. */
    put(&sql,
        ", CASE WHEN lead(id) OVER (PARTITION BY merchant ORDER BY available_on, id) IS NULL THEN"
        " (SELECT string_agg(b.currency || ' ' || b.available + coalesce(d.net, 0) || ' ' ||"
        " b.pending - coalesce(d.net, 0), ' ' ORDER BY b.currency) FROM"
        " (SELECT currency, -coalesce(sum(amount) FILTER (WHERE account = %d), 0) AS available,"
        " -coalesce(sum(amount) FILTER (WHERE account = %d), 0) AS pending FROM balance"
        " WHERE merchant = due.merchant AND account IN (%d, %d) GROUP BY currency) b"
        " LEFT JOIN (SELECT currency, sum(net) AS net FROM due o WHERE o.merchant = due.merchant"
        " GROUP BY currency) d USING (currency)) END,"
        " (SELECT api_version FROM merchant m WHERE m.merchant = due.merchant"
        " AND m.id = due.merchant)"
        " FROM due ORDER BY available_on, id",
        ACCOUNT_MERCHANT_AVAILABLE, ACCOUNT_MERCHANT_PENDING, ACCOUNT_MERCHANT_PENDING,
        ACCOUNT_MERCHANT_AVAILABLE);
    return prepare(conn, STATEMENT_DUE, &sql, error, error_size);
}

bool
statements_prepare(PGconn *conn, char *error, size_t error_size)
{
    if (!worked(conn, PQexec(conn, session), error, error_size)) return false;
    for (size_t i = 0; i < table_count; i++)
        if (!prepare_table(conn, table_statements(i), error, error_size)) return false;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (!prepare_other(conn, &others[i], error, error_size)) return false;
    return prepare_due(conn, error, error_size);
}

bool
statements_prepare_key_find(PGconn *conn, char *error, size_t error_size)
{
    if (!worked(conn, PQexec(conn, session), error, error_size)) return false;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(others[i].name, STATEMENT_KEY_FIND) == 0)
            return prepare_other(conn, &others[i], error, error_size);
    return false;
}
