#include "row_compact.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

union row {
    uint8_t raw[ROW_SIZE_MAX];
    uint64_t aligned;
};

static void *
member(union row *row, const struct column *c)
{
    return row->raw + c->offset;
}

/* What a column may have in it: nothing, the least, something, the most. */
enum filling { NOTHING, LEAST, SOMETHING, MOST, FILLING_COUNT };

static void
fill(const struct column *c, enum filling with, void *value)
{
    static const int64_t numbers[] = {0, -1, 1234567, INT64_MAX};
    static const size_t sizes[] = {0, 0, 254, 70000};
    static char letters[70000];
    memset(letters, 'x', sizeof letters);
    switch (c->kind) {
    case COLUMN_TEXT:
    case COLUMN_JSON:
    case COLUMN_BYTES:
        if (with != NOTHING) *(struct text *)value = (struct text){letters, sizes[with]};
        break;
    case COLUMN_I64: *(int64_t *)value = numbers[with]; break;
    case COLUMN_OPT:
        if (with != NOTHING) *(int64_t *)value = with == LEAST ? 0 : numbers[with];
        break;
    case COLUMN_FLAG: *(bool *)value = with == SOMETHING || with == MOST; break;
    }
}

static void
expect_same(const struct table *t, union row *a, union row *b)
{
    for (size_t i = 0; i < t->column_count; i++) {
        const struct column *const c = &t->columns[i];
        const struct text *const one = member(a, c), *const other = member(b, c);
        switch (c->kind) {
        case COLUMN_TEXT:
        case COLUMN_JSON:
        case COLUMN_BYTES:
            cr_assert_eq(!one->at, !other->at, "%s.%s", t->name, c->name);
            cr_assert(text_equal(*one, *other), "%s.%s", t->name, c->name);
            break;
        case COLUMN_I64:
        case COLUMN_OPT: cr_assert_eq(*(int64_t *)member(a, c), *(int64_t *)member(b, c)); break;
        case COLUMN_FLAG: cr_assert_eq(*(bool *)member(a, c), *(bool *)member(b, c)); break;
        }
    }
}

static void
expect_kept(const struct table *t, union row *row)
{
    union row back;
    char name[ROW_COMPACT_NAME_MAX];
    const size_t need = row_compact(t->number, row, NULL, 0);
    char *const memory = malloc(need); /* and no byte more: the sanitizer sees what goes beyond */
    memset(&back, 0xee, sizeof back);
    cr_assert_eq(row_compact(t->number, row, memory, need), need);
    row_expand(t->number, memory, &back);
    expect_same(t, row, &back);
    const size_t size = row_compact_name(t->number, row_merchant(row), row_id(row), name);
    cr_assert_eq(memcmp(memory + ROW_COMPACT_NAME_AT, name, size), 0);
    free(memory);
}

Test(row_compact, gives_every_row_of_every_table_back)
{
    for (size_t n = 0; n < table_count; n++)
        for (enum filling with = NOTHING; with < FILLING_COUNT; with++)
            for (enum filling other = NOTHING; other < FILLING_COUNT; other++) {
                const struct table *const t = tables[n];
                union row row;
                row_clear(t->number, &row);
                for (size_t i = 0; i < t->column_count; i++)
                    fill(&t->columns[i], i % 2 ? with : other, member(&row, &t->columns[i]));
                if (!row_id(&row).at) *(struct text *)member(&row, &t->columns[0]) = TEXT("a");
                if (!row_merchant(&row).at)
                    *(struct text *)member(&row, &t->columns[1]) = TEXT("b");
                expect_kept(t, &row);
            }
}

Test(row_compact, says_when_there_is_no_room)
{
    struct row_customer row;
    row_clear(ROW_customer, &row);
    row.id = TEXT("cus_1");
    row.merchant = TEXT("acct_1");
    row.name = TEXT("Ada");
    row.version = 1;
    const size_t need = row_compact(ROW_customer, &row, NULL, 0);
    for (size_t cap = 0; cap < need; cap++) {
        char *const memory = malloc(cap + !cap);
        cr_assert_eq(row_compact(ROW_customer, &row, memory, cap), 0);
        free(memory);
    }
}

Test(row_compact, a_name_is_of_one_row_alone)
{
    char one[ROW_COMPACT_NAME_MAX], other[ROW_COMPACT_NAME_MAX], longest[ROW_COMPACT_NAME_MAX];
    const size_t size = row_compact_name(ROW_customer, TEXT("acct_1"), TEXT("cus_1"), one);
    cr_assert_eq(row_compact_name(ROW_charge, TEXT("acct_1"), TEXT("cus_1"), other), size);
    cr_expect_neq(memcmp(one, other, size), 0, "of another table");
    cr_assert_eq(row_compact_name(ROW_customer, TEXT("acct_"), TEXT("cus_11"), other), size);
    cr_expect_neq(memcmp(one, other, size), 0, "cut elsewhere");
    memset(longest, 'x', sizeof longest);
    for (size_t id = 0; id < sizeof longest; id++) {
        const size_t got =
            row_compact_name(ROW_customer, TEXT("acct_1"), (struct text){longest, id}, one);
        cr_expect_eq(got, id < 255 ? id + 9 : id < 372 ? id + 13 : 0);
    }
}
