#include "row.h"

#include "id.h"
#include "wire.h"
#include <assert.h>
#include <string.h>

// clang-format off
#define TABLE(name, number, prefix, doc) static const struct column name##_columns[] = {
#define COLUMN(table, kind, name, doc)   {COLUMN_##kind, #name, doc, offsetof(struct row_##table, name)},
#define INDEX(table, name, sql)
#define UNIQUE(table, name, sql)
#define CHECK(table, sql)
#define TABLE_END(name)                  };
#include "rows.def"
#undef TABLE
#undef COLUMN
#undef INDEX
#undef UNIQUE
#undef CHECK
#undef TABLE_END

#define TABLE(name, number, prefix, doc) static const char name##_indexes[] = ""
#define COLUMN(table, kind, name, doc)
#define INDEX(table, name, sql)  "CREATE INDEX " name " ON " #table " " sql ";\n"
#define UNIQUE(table, name, sql) "CREATE UNIQUE INDEX " name " ON " #table " " sql ";\n"
#define CHECK(table, sql)
#define TABLE_END(name)                  ;
#include "rows.def"
#undef TABLE
#undef INDEX
#undef UNIQUE
#undef CHECK

#define TABLE(name, number, prefix, doc) static const char name##_checks[] = ""
#define INDEX(table, name, sql)
#define UNIQUE(table, name, sql)
#define CHECK(table, sql)                "ALTER TABLE " #table " ADD CHECK (" sql ");\n"
#include "rows.def"
#undef TABLE
#undef CHECK
#undef TABLE_END

#define CHECK(table, sql)
#define TABLE_END(name)
#define TABLE(name, number, prefix, doc) \
    static_assert(sizeof(struct row_##name) <= ROW_SIZE_MAX, "a row fits where rows are kept"); \
    static_assert(sizeof name##_columns / sizeof name##_columns[0] <= TABLE_COLUMNS_MAX, ""); \
    static_assert(offsetof(struct row_##name, id) == 0, "a table begins with its id"); \
    static const struct table name##_table = {number, #name, prefix, doc, sizeof(struct row_##name), \
        name##_columns, sizeof name##_columns / sizeof name##_columns[0], name##_indexes, name##_checks};
#include "rows.def"
#undef TABLE

#define TABLE(name, number, prefix, doc) &name##_table,
const struct table *const tables[] = {
#include "rows.def"
};
const size_t table_count = sizeof tables / sizeof tables[0];
#undef TABLE

#define TABLE(name, number, prefix, doc) case number: return &name##_table;
const struct table *
table_find(uint64_t number)
{
    switch (number) {
#include "rows.def"
    default: return NULL;
    }
}
#undef TABLE
#undef COLUMN
#undef INDEX
#undef UNIQUE
#undef CHECK
#undef TABLE_END
// clang-format on

const struct table *
table_named(const char *name)
{
    for (size_t i = 0; i < table_count; i++)
        if (strcmp(tables[i]->name, name) == 0) return tables[i];
    return NULL;
}

bool
table_takes_id(const struct table *table, struct text id)
{
    return id_is(id, table->prefix) ||
           (table->number == ROW_payment_method && id_is(id, LEGACY_CARD_PREFIX));
}

/* The four columns that every table begins with have the same places in every struct. */
struct row_head {
    struct text id, merchant;
    int64_t version, created;
};

struct text
row_id(const void *row)
{
    return ((const struct row_head *)row)->id;
}

struct text
row_merchant(const void *row)
{
    return ((const struct row_head *)row)->merchant;
}

int64_t
row_version(const void *row)
{
    return ((const struct row_head *)row)->version;
}

void
row_clear(enum row_table number, void *row)
{
    const struct table *t = table_find(number);
    assert(t);
    memset(row, 0, t->size);
    for (size_t i = 0; i < t->column_count; i++)
        if (t->columns[i].kind == COLUMN_OPT)
            *(int64_t *)((char *)row + t->columns[i].offset) = NO_NUMBER;
}

static bool
is_text(enum column_kind kind)
{
    return kind == COLUMN_TEXT || kind == COLUMN_JSON || kind == COLUMN_BYTES;
}

size_t
row_size_bound(enum row_table number, const void *row)
{
    const struct table *t = table_find(number);
    assert(t);
    size_t bound = 3 + 9 * t->column_count;
    for (size_t i = 0; i < t->column_count; i++)
        if (is_text(t->columns[i].kind))
            bound += ((const struct text *)((const char *)row + t->columns[i].offset))->size;
    return bound;
}

bool
row_encode(enum row_table number, const void *row, uint8_t *bytes, size_t cap, size_t *size)
{
    const struct table *t = table_find(number);
    struct wire_writer w;
    assert(t);
    wire_writer_init(&w, bytes, cap);
    wire_put_array(&w, (uint32_t)t->column_count);
    for (size_t i = 0; i < t->column_count; i++) {
        const void *value = (const char *)row + t->columns[i].offset;
        switch (t->columns[i].kind) {
        case COLUMN_TEXT:
        case COLUMN_JSON:
            if (((const struct text *)value)->at)
                wire_put_text(&w, *(const struct text *)value);
            else
                wire_put_nil(&w);
            break;
        case COLUMN_BYTES:
            if (((const struct text *)value)->at)
                wire_put_bytes(&w, *(const struct text *)value);
            else
                wire_put_nil(&w);
            break;
        case COLUMN_I64: wire_put_int(&w, *(const int64_t *)value); break;
        case COLUMN_OPT:
            if (*(const int64_t *)value == NO_NUMBER)
                wire_put_nil(&w);
            else
                wire_put_int(&w, *(const int64_t *)value);
            break;
        case COLUMN_FLAG: wire_put_uint(&w, *(const bool *)value); break;
        }
    }
    *size = w.size;
    return !w.full;
}

static bool
store_number(const struct wire_item *it, int64_t *value)
{
    if (it->kind == WIRE_NEGATIVE)
        *value = it->negative;
    else if (it->kind == WIRE_UINT && it->number <= INT64_MAX)
        *value = (int64_t)it->number;
    else
        return false;
    return true;
}

static bool
may_be_absent(enum column_kind kind)
{
    return is_text(kind) || kind == COLUMN_OPT;
}

static bool
store(const struct column *c, const struct wire_item *it, void *value)
{
    switch (c->kind) {
    case COLUMN_TEXT:
    case COLUMN_JSON:
        if (it->kind != WIRE_TEXT || !wire_text_is_clean(it->text.at, it->text.size)) return false;
        *(struct text *)value = it->text;
        return true;
    case COLUMN_BYTES:
        if (it->kind != WIRE_BYTES) return false;
        *(struct text *)value = it->text;
        return true;
    case COLUMN_I64:
    case COLUMN_OPT: return store_number(it, value);
    case COLUMN_FLAG:
        if (it->kind != WIRE_UINT || it->number > 1) return false;
        *(bool *)value = it->number == 1;
        return true;
    }
    return false;
}

bool
row_decode(enum row_table number, const uint8_t *bytes, size_t size, void *row)
{
    const struct table *t = table_find(number);
    struct wire_reader r = {bytes, bytes + size};
    struct wire_item it;
    assert(t);
    row_clear(number, row);
    if (!wire_take(&r, &it) || it.kind != WIRE_ARRAY || it.number > t->column_count) return false;
    const size_t given = (size_t)it.number;
    for (size_t i = 0; i < given; i++) {
        if (wire_take_nil(&r)) {
            if (!may_be_absent(t->columns[i].kind)) return false;
            continue;
        }
        if (!wire_take(&r, &it)) return false;
        if (!store(&t->columns[i], &it, (char *)row + t->columns[i].offset)) return false;
    }
    return given > COLUMN_CREATED && r.at == r.end && row_id(row).at && row_merchant(row).at;
}

size_t
row_copy(enum row_table number, const void *row, void *copy, char *memory, size_t cap)
{
    const struct table *t = table_find(number);
    size_t used = 1; /* so that a row without texts is told from a failure */
    assert(t);
    if (memory) memcpy(copy, row, t->size);
    for (size_t i = 0; i < t->column_count; i++) {
        if (!is_text(t->columns[i].kind)) continue;
        const struct text *from = (const void *)((const char *)row + t->columns[i].offset);
        if (!from->at) continue;
        if (memory) {
            if (cap - used < from->size || used > cap) return 0;
            if (from->size) memcpy(memory + used, from->at, from->size);
            ((struct text *)(void *)((char *)copy + t->columns[i].offset))->at = memory + used;
        }
        used += from->size;
    }
    return used;
}
