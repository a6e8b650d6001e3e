#include "pg.h"

#include "files.h"
#include "home_for_tests.h"
#include "random.h"
#include <criterion/criterion.h>
#include <string.h>

static struct arena *arena;

static void
make(void)
{
    home_make();
    random_start();
    arena = arena_new(1 << 20);
    mkdir(in_home("secrets"), 0700);
    write_in_home("secrets/postgres_ledger", "it's a \\secret\n", 0600);
    write_in_home("secrets/postgres_vault", "v\n", 0600);
}

static void
unmake(void)
{
    arena_destroy(&arena);
    home_remove();
}

TestSuite(pg, .init = make, .fini = unmake, .timeout = 60);

/* What libpq reads in a connection string, under this keyword. */
static const char *
option(const char *dsn, const char *keyword)
{
    static char value[512];
    char *error = NULL;
    PQconninfoOption *options = PQconninfoParse(dsn, &error);
    cr_assert_not_null(options, "%s", error);
    value[0] = 0;
    for (PQconninfoOption *o = options; o->keyword; o++)
        if (strcmp(o->keyword, keyword) == 0 && o->val) snprintf(value, sizeof value, "%s", o->val);
    PQconninfoFree(options);
    return value;
}

Test(pg, a_role_finds_the_private_cluster)
{
    char dsn[4096];
    pg_dsn(home, "ledger", 1, dsn, sizeof dsn);
    cr_assert_str_eq(option(dsn, "host"), in_home("run"));
    cr_assert_str_eq(option(dsn, "dbname"), "florin");
    cr_assert_str_eq(option(dsn, "user"), "ledger");
    cr_assert_str_eq(option(dsn, "password"), "it's a \\secret");
    pg_dsn(home, "ledger", 3, dsn, sizeof dsn);
    cr_assert_str_eq(option(dsn, "dbname"), "florin_3");
    pg_dsn(home, "vault", 1, dsn, sizeof dsn);
    cr_assert_str_eq(option(dsn, "dbname"), "florin_vault");
    cr_assert_str_eq(option(dsn, "user"), "vault");
}

Test(pg, an_operators_own_postgres_is_used_in_either_form)
{
    char dsn[4096];
    write_in_home("florin.conf", "postgres_dsn = host=a,b port=1,2 dbname=shop sslmode=require\n",
                  0600);
    pg_dsn(home, "ledger", 1, dsn, sizeof dsn);
    cr_assert_str_eq(option(dsn, "host"), "a,b");
    cr_assert_str_eq(option(dsn, "dbname"), "shop");
    cr_assert_str_eq(option(dsn, "sslmode"), "require");
    cr_assert_str_eq(option(dsn, "user"), "ledger");
    write_in_home("florin.conf",
                  "postgres_dsn = "
                  "postgresql://x@a:1,b:2/shop?target_session_attrs=read-write\n",
                  0600);
    pg_dsn(home, "ledger", 1, dsn, sizeof dsn);
    cr_assert_str_eq(option(dsn, "host"), "a,b");
    cr_assert_str_eq(option(dsn, "target_session_attrs"), "read-write");
    cr_assert_str_eq(option(dsn, "user"), "ledger");
}

Test(pg, another_partition_is_beside_the_first_or_has_a_postgres_of_its_own)
{
    char dsn[4096];
    write_in_home("florin.conf",
                  "postgres_dsn = host=a dbname=shop sslmode=require\n"
                  "postgres_dsn_3 = host=c dbname=third\n",
                  0600);
    pg_dsn(home, "ledger", 2, dsn, sizeof dsn);
    cr_assert_str_eq(option(dsn, "host"), "a");
    cr_assert_str_eq(option(dsn, "dbname"), "florin_2");
    cr_assert_str_eq(option(dsn, "sslmode"), "require");
    pg_dsn(home, "ledger", 3, dsn, sizeof dsn);
    cr_assert_str_eq(option(dsn, "host"), "c");
    cr_assert_str_eq(option(dsn, "dbname"), "third");
    pg_dsn(home, "vault", 3, dsn, sizeof dsn);
    cr_assert_str_eq(option(dsn, "dbname"), "florin_vault");
}

Test(pg, who_cannot_connect_is_told_why_in_one_line)
{
    char error[512] = "";
    cr_assert_null(pg_connect(home, "ledger", 1, 1000, error, sizeof error));
    cr_assert_neq(error[0], 0);
    cr_assert_null(strchr(error, '\n'));
}

Test(pg, columns_are_quoted_and_in_their_order)
{
    char columns[4096];
    const size_t size = pg_columns(ROW_api_key, columns, sizeof columns);
    cr_assert_str_eq(columns, "\"id\", \"merchant\", \"version\", \"created\", \"hash\", "
                              "\"publishable\", \"livemode\", \"last4\", \"revoked_at\", "
                              "\"permissions\"");
    cr_assert_eq(size, strlen(columns));
}

/* A result as the server would send it: texts, NULL for NULL. */
static PGresult *
result_of(const char *const *values, int count)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc columns[TABLE_COLUMNS_MAX];
    char name[] = "c";
    for (int i = 0; i < count; i++)
        columns[i] = (PGresAttDesc){.name = name};
    cr_assert(PQsetResultAttrs(result, count, columns));
    for (int i = 0; i < count; i++)
        cr_assert(PQsetvalue(result, 0, i, (char *)(uintptr_t)values[i],
                             values[i] ? (int)strlen(values[i]) : -1));
    return result;
}

Test(pg, a_row_comes_out_as_it_went_in)
{
    static const char *const values[] = {"key_1", "acct_1", "3", "1700000000", "\\x00ff10",
                                         "t",     "f",      "",  NULL,         "charges:read"};
    PGresult *result = result_of(values, 10);
    struct row_api_key row;
    cr_assert(pg_row(ROW_api_key, result, 0, arena, &row));
    cr_assert(text_is(row.id, "key_1"));
    cr_assert(text_is(row.merchant, "acct_1"));
    cr_assert_eq(row.version, 3);
    cr_assert_eq(row.created, 1700000000);
    cr_assert_eq(row.hash.size, 3);
    cr_assert_eq(memcmp(row.hash.at, "\x00\xff\x10", 3), 0);
    cr_assert(row.publishable);
    cr_assert_not(row.livemode);
    cr_assert(text_is(row.last4, ""));
    cr_assert_eq(row.revoked_at, NO_NUMBER);
    cr_assert(text_is(row.permissions, "charges:read"));
    struct row_api_key none;
    cr_assert_not(pg_row(ROW_api_key, result, 1, arena, &none));
    PQclear(result);
    cr_assert(text_is(row.id, "key_1"), "texts live in the arena");
}

struct change {
    int column;
    const char *value;
};

Test(pg, a_result_of_another_shape_is_refused)
{
    static const struct change changes[] = {
        {2, NULL},  {2, ""},     {2, "x"},    {2, "3x"},    {2, "9223372036854775808"},
        {3, "1.0"}, {4, "00ff"}, {4, "\\x0"}, {4, "\\x0g"}, {4, "\\x0F"},
        {5, NULL},  {5, "true"}, {5, "1"},    {8, "never"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        const char *values[] = {"key_1", "acct_1", "3", "1", "\\x00", "t", "f", "1234", "5", NULL};
        struct row_api_key row;
        values[changes[i].column] = changes[i].value;
        PGresult *result = result_of(values, 10);
        cr_assert_not(pg_row(ROW_api_key, result, 0, arena, &row), "change %zu", i);
        PQclear(result);
    }
    const char *values[] = {"key_1", "acct_1", "3", "1", "\\x00", "t", "f", "1234"};
    struct row_api_key row;
    PGresult *result = result_of(values, 8);
    cr_assert_not(pg_row(ROW_api_key, result, 0, arena, &row));
    PQclear(result);
}
