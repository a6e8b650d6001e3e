#include "versions.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { KEPT = 1024, ROWS = 4096, TABLE = 5 };

static struct text
name_of(char out[static 32], int row)
{
    return (struct text){out, (size_t)snprintf(out, 32, "pi_0Vbl%017d", row)};
}

/* -1: not there. */
static int64_t
got(struct versions *versions, uint8_t table, const char *merchant, int row)
{
    char id[32];
    struct version version;
    if (!versions_get(versions, table, text_of(merchant), name_of(id, row), &version)) return -1;
    return version.version;
}

static void
put(struct versions *versions, int row, int64_t version)
{
    char id[32];
    versions_put(versions, TABLE, TEXT("acct_1"), name_of(id, row),
                 (struct version){version, ATTEMPT_SENDING});
}

Test(versions, a_row_is_at_the_version_that_was_put_last)
{
    struct versions *versions = versions_new(KEPT);
    struct version version;
    char id[32];
    put(versions, 1, 1);
    put(versions, 1, INT64_MAX);
    put(versions, 2, 0);
    cr_expect_eq(got(versions, TABLE, "acct_1", 1), INT64_MAX);
    cr_expect_eq(got(versions, TABLE, "acct_1", 2), 0);
    cr_expect(versions_get(versions, TABLE, TEXT("acct_1"), name_of(id, 1), &version));
    cr_expect_eq(version.state, ATTEMPT_SENDING);
    versions_destroy(&versions);
    versions_destroy(&versions);
}

Test(versions, another_table_merchant_or_id_is_another_row)
{
    struct versions *versions = versions_new(KEPT);
    struct version version;
    put(versions, 1, 1);
    cr_expect_eq(got(versions, TABLE + 1, "acct_1", 1), -1);
    cr_expect_eq(got(versions, TABLE, "acct_2", 1), -1);
    cr_expect_eq(got(versions, TABLE, "acct_1", 2), -1);
    /* Nor is one whose name is the same when it is read without a gap. */
    versions_put(versions, TABLE, TEXT("acct_1p"), TEXT("i_1"), (struct version){7, ATTEMPT_NONE});
    cr_expect_not(versions_get(versions, TABLE, TEXT("acct_1"), TEXT("pi_1"), &version));
    versions_destroy(&versions);
}

Test(versions, what_was_used_longest_ago_goes_first)
{
    struct versions *versions = versions_new(KEPT);
    int there = 0;
    put(versions, 0, 1);
    for (int row = 1; row < ROWS; row++) {
        put(versions, row, row);
        cr_assert_eq(got(versions, TABLE, "acct_1", row), row);
        cr_assert_eq(got(versions, TABLE, "acct_1", 0), 1, "it was used all the time");
    }
    for (int row = 1; row < ROWS; row++)
        there += got(versions, TABLE, "acct_1", row) == row;
    cr_expect_gt(there, KEPT * 9 / 10);
    cr_expect_leq(there, KEPT);
    versions_clear(versions);
    cr_expect_eq(got(versions, TABLE, "acct_1", 0), -1);
    versions_destroy(&versions);
}
