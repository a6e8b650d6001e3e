#include "row.h"

#include "wire.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

union row {
    uint8_t raw[ROW_SIZE_MAX];
    uint64_t aligned;
};

#define EACH_TABLE(t)                                                                    \
    const struct table *t = tables[0];                                                   \
    for (size_t t##_index = 0; t##_index < table_count && (t = tables[t##_index], true); \
         t##_index++)

static void *
member(union row *row, const struct column *c)
{
    return row->raw + c->offset;
}

/* Every column with something of its own in it. */
static void
fill(const struct table *t, union row *row)
{
    row_clear(t->number, row);
    for (size_t i = 0; i < t->column_count; i++) {
        const struct column *c = &t->columns[i];
        switch (c->kind) {
        case COLUMN_TEXT:
        case COLUMN_JSON:
        case COLUMN_BYTES: *(struct text *)member(row, c) = text_of(c->name); break;
        case COLUMN_I64: *(int64_t *)member(row, c) = (int64_t)i * 1000 - 5; break;
        case COLUMN_OPT: *(int64_t *)member(row, c) = INT64_MAX - (int64_t)i; break;
        case COLUMN_FLAG: *(bool *)member(row, c) = true; break;
        }
    }
}

/* Only what must be there. */
static void
fill_least(const struct table *t, union row *row)
{
    row_clear(t->number, row);
    *(struct text *)member(row, &t->columns[COLUMN_ID]) = TEXT("x");
    *(struct text *)member(row, &t->columns[COLUMN_MERCHANT]) = TEXT("");
}

static void
expect_same(const struct table *t, union row *a, union row *b)
{
    for (size_t i = 0; i < t->column_count; i++) {
        const struct column *c = &t->columns[i];
        switch (c->kind) {
        case COLUMN_TEXT:
        case COLUMN_JSON:
        case COLUMN_BYTES:
            cr_assert(text_equal(*(struct text *)member(a, c), *(struct text *)member(b, c)),
                      "%s.%s", t->name, c->name);
            break;
        case COLUMN_I64:
        case COLUMN_OPT: cr_assert_eq(*(int64_t *)member(a, c), *(int64_t *)member(b, c)); break;
        case COLUMN_FLAG: cr_assert_eq(*(bool *)member(a, c), *(bool *)member(b, c)); break;
        }
    }
}

static size_t
encode(const struct table *t, union row *row, uint8_t *bytes, size_t cap)
{
    size_t size;
    cr_assert(row_encode(t->number, row, bytes, cap, &size));
    cr_assert(size <= row_size_bound(t->number, row));
    return size;
}

static bool
decodes(const struct table *t, const uint8_t *bytes, size_t size)
{
    union row row;
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, bytes, size);
    const bool good = row_decode(t->number, exact, size, &row);
    free(exact);
    return good;
}

Test(row, of_every_table_comes_back_as_it_went)
{
    EACH_TABLE(t)
    {
        for (int full = 0; full < 2; full++) {
            union row row, back;
            uint8_t bytes[4096];
            if (full)
                fill(t, &row);
            else
                fill_least(t, &row);
            const size_t size = encode(t, &row, bytes, sizeof bytes);
            cr_assert(row_decode(t->number, bytes, size, &back), "%s", t->name);
            expect_same(t, &row, &back);
            cr_assert(text_equal(row_id(&row), row_id(&back)));
            cr_assert(text_equal(row_merchant(&row), row_merchant(&back)));
            cr_assert_eq(row_version(&row), row_version(&back));
        }
    }
}

Test(row, cut_anywhere_is_refused)
{
    EACH_TABLE(t)
    {
        union row row;
        uint8_t bytes[4096];
        fill(t, &row);
        const size_t size = encode(t, &row, bytes, sizeof bytes);
        for (size_t cut = 0; cut < size; cut++)
            cr_assert_not(decodes(t, bytes, cut), "%s cut at %zu", t->name, cut);
        bytes[size] = 0xc0;
        cr_assert_not(decodes(t, bytes, size + 1));
    }
}

Test(row, that_does_not_fit_is_not_packed)
{
    EACH_TABLE(t)
    {
        union row row;
        uint8_t bytes[4096];
        size_t ignored;
        fill(t, &row);
        const size_t size = encode(t, &row, bytes, sizeof bytes);
        for (size_t cap = 0; cap < size; cap++)
            cr_assert_not(row_encode(t->number, &row, bytes, cap, &ignored));
    }
}

Test(row, of_an_older_writer_lacks_its_last_columns)
{
    EACH_TABLE(t)
    {
        for (size_t given = 0; given <= t->column_count + 1; given++) {
            uint8_t bytes[4096];
            union row row;
            struct wire_writer w;
            wire_writer_init(&w, bytes, sizeof bytes);
            wire_put_array(&w, (uint32_t)given);
            for (size_t i = 0; i < given; i++) {
                const enum column_kind kind = i < t->column_count ? t->columns[i].kind : COLUMN_I64;
                if (kind == COLUMN_TEXT || kind == COLUMN_JSON)
                    wire_put_text(&w, TEXT("x"));
                else if (kind == COLUMN_BYTES)
                    wire_put_bytes(&w, TEXT("x"));
                else
                    wire_put_uint(&w, 1);
            }
            const bool good = row_decode(t->number, bytes, w.size, &row);
            cr_assert_eq(good, given > COLUMN_CREATED && given <= t->column_count, "%s of %zu",
                         t->name, given);
            if (!good) continue;
            for (size_t i = given; i < t->column_count; i++)
                if (t->columns[i].kind == COLUMN_OPT)
                    cr_assert_eq(*(int64_t *)member(&row, &t->columns[i]), NO_NUMBER);
                else if (t->columns[i].kind != COLUMN_I64 && t->columns[i].kind != COLUMN_FLAG)
                    cr_assert_null(((struct text *)member(&row, &t->columns[i]))->at);
        }
    }
}

/* Puts `raw` in the place of one column of a good row. */
static bool
takes(const struct table *t, size_t column, const uint8_t *raw, size_t raw_size)
{
    uint8_t bytes[4096];
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    wire_put_array(&w, (uint32_t)t->column_count);
    for (size_t i = 0; i < t->column_count; i++) {
        if (i == column)
            wire_put_raw(&w, raw, raw_size);
        else if (t->columns[i].kind == COLUMN_TEXT || t->columns[i].kind == COLUMN_JSON)
            wire_put_text(&w, TEXT("x"));
        else if (t->columns[i].kind == COLUMN_BYTES)
            wire_put_bytes(&w, TEXT("x"));
        else
            wire_put_uint(&w, 1);
    }
    return decodes(t, bytes, w.size);
}

#define RAW(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

Test(row, with_a_column_of_another_kind_is_refused)
{
    EACH_TABLE(t)
    {
        for (size_t i = 0; i < t->column_count; i++) {
            const enum column_kind kind = t->columns[i].kind;
            const bool text = kind == COLUMN_TEXT || kind == COLUMN_JSON;
            const bool number = kind == COLUMN_I64 || kind == COLUMN_OPT;
            const bool may_lack =
                (text && i > COLUMN_MERCHANT) || kind == COLUMN_BYTES || kind == COLUMN_OPT;
            cr_assert_eq(takes(t, i, RAW(0xa1, 'a')), text);
            cr_assert_eq(takes(t, i, RAW(0xc4, 1, 0)), kind == COLUMN_BYTES);
            cr_assert_eq(takes(t, i, RAW(0x05)), number);
            cr_assert_eq(takes(t, i, RAW(0xff)), number);
            cr_assert_eq(takes(t, i, RAW(0x00)), number || kind == COLUMN_FLAG);
            cr_assert_eq(takes(t, i, RAW(0xc0)), may_lack, "%s.%s", t->name, t->columns[i].name);
            cr_assert_not(takes(t, i, RAW(0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0)));
            cr_assert_not(takes(t, i, RAW(0xa1, 0xff)));               /* bad UTF-8 */
            cr_assert_not(takes(t, i, RAW(0xa1, 0)));                  /* NUL */
            cr_assert_not(takes(t, i, RAW(0xca, 0, 0, 0, 0)));         /* a float */
            cr_assert_not(takes(t, i, RAW(0x90)));                     /* an array */
            cr_assert_not(takes(t, i, RAW(0xdb, 255, 255, 255, 255))); /* 4 GiB of text */
        }
    }
}

Test(row, copied_lives_without_what_it_was_copied_from)
{
    EACH_TABLE(t)
    {
        union row row, back, copy;
        uint8_t *bytes = malloc(4096);
        fill(t, &row);
        const size_t size = encode(t, &row, bytes, 4096);
        cr_assert(row_decode(t->number, bytes, size, &back));
        const size_t need = row_copy(t->number, &back, NULL, NULL, 0);
        char *memory = malloc(need);
        for (size_t cap = 0; cap < need; cap++)
            cr_assert_eq(row_copy(t->number, &back, &copy, memory, cap), 0);
        cr_assert_eq(row_copy(t->number, &back, &copy, memory, need), need);
        memset(bytes, 0xee, 4096);
        free(bytes);
        expect_same(t, &row, &copy);
        free(memory);
    }
}

Test(row, is_cleared_to_nothing)
{
    EACH_TABLE(t)
    {
        union row row;
        memset(&row, 0xee, sizeof row);
        row_clear(t->number, &row);
        for (size_t i = 0; i < t->column_count; i++)
            if (t->columns[i].kind == COLUMN_OPT)
                cr_assert_eq(*(int64_t *)member(&row, &t->columns[i]), NO_NUMBER);
        cr_assert_null(row_id(&row).at);
        cr_assert_eq(row_version(&row), 0);
    }
}

Test(row, every_table_begins_with_the_same_columns)
{
    static const char *const names[] = {"id", "merchant", "version", "created"};
    EACH_TABLE(t)
    {
        for (size_t i = 0; i <= COLUMN_CREATED; i++)
            cr_assert_str_eq(t->columns[i].name, names[i]);
        cr_assert_eq(table_find(t->number), t);
        cr_assert_eq(table_named(t->name), t);
    }
    cr_assert_null(table_find(0));
    cr_assert_null(table_named("nothing"));
}
