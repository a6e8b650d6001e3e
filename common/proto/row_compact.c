#include "row_compact.h"

#include <assert.h>
#include <string.h>

#define LONG 255 /* instead of a text's size: four bytes of it follow */

static_assert(TABLE_COLUMNS_MAX <= 64, "a bit for each column");
static_assert(COLUMN_ID == 0 && COLUMN_MERCHANT == 1, "a row begins with its name");

static const void *
member(const void *row, const struct column *c)
{
    return (const char *)row + c->offset;
}

static bool
is_there(const struct column *c, const void *value)
{
    switch (c->kind) {
    case COLUMN_TEXT:
    case COLUMN_JSON:
    case COLUMN_BYTES: return ((const struct text *)value)->at;
    case COLUMN_I64: return *(const int64_t *)value != 0;
    case COLUMN_OPT: return *(const int64_t *)value != NO_NUMBER;
    case COLUMN_FLAG: return *(const bool *)value;
    }
    return false;
}

static size_t
text_bytes(struct text text)
{
    return (text.size < LONG ? 1 : 5) + text.size;
}

static size_t
value_bytes(const struct column *c, const void *value)
{
    switch (c->kind) {
    case COLUMN_TEXT:
    case COLUMN_JSON:
    case COLUMN_BYTES: return text_bytes(*(const struct text *)value);
    case COLUMN_I64:
    case COLUMN_OPT: return sizeof(int64_t);
    case COLUMN_FLAG: return 0;
    }
    return 0;
}

static char *
put_text(char *at, struct text text)
{
    const uint32_t size = (uint32_t)text.size;
    assert(size == text.size);
    if (size < LONG) {
        *at++ = (char)(unsigned char)size;
    } else {
        *at++ = (char)(unsigned char)LONG;
        memcpy(at, &size, sizeof size);
        at += sizeof size;
    }
    if (size) memcpy(at, text.at, size);
    return at + size;
}

static const char *
take_text(const char *at, struct text *text)
{
    uint32_t size = (unsigned char)*at++;
    if (size == LONG) {
        memcpy(&size, at, sizeof size);
        at += sizeof size;
    }
    *text = (struct text){at, size};
    return at + size;
}

size_t
row_compact(enum row_table number, const void *row, char *memory, size_t cap)
{
    const struct table *const t = table_find(number);
    uint64_t there = 0;
    size_t used = ROW_COMPACT_NAME_AT + 1;
    assert(t && row_id(row).at && row_merchant(row).at);
    if (memory && cap < used) return 0;
    for (size_t i = 0; i < t->column_count; i++) {
        const struct column *const c = &t->columns[i];
        const void *const value = member(row, c);
        if (!is_there(c, value)) continue;
        const size_t size = value_bytes(c, value);
        there |= UINT64_C(1) << i;
        if (memory) {
            if (cap - used < size) return 0;
            if (c->kind == COLUMN_I64 || c->kind == COLUMN_OPT)
                memcpy(memory + used, value, size);
            else if (c->kind != COLUMN_FLAG)
                (void)put_text(memory + used, *(const struct text *)value);
        }
        used += size;
    }
    if (!memory) return used;
    memcpy(memory, &there, sizeof there);
    memory[ROW_COMPACT_NAME_AT] = (char)number;
    return used;
}

void
row_expand(enum row_table number, const char *compact, void *row)
{
    const struct table *const t = table_find(number);
    const char *at = compact + ROW_COMPACT_NAME_AT + 1;
    uint64_t there;
    assert(t && compact[ROW_COMPACT_NAME_AT] == (char)number);
    memcpy(&there, compact, sizeof there);
    row_clear(number, row);
    for (size_t i; there; there &= there - 1) {
        i = (size_t)__builtin_ctzll(there);
        const struct column *const c = &t->columns[i];
        void *const value = (char *)row + c->offset;
        switch (c->kind) {
        case COLUMN_TEXT:
        case COLUMN_JSON:
        case COLUMN_BYTES: at = take_text(at, value); break;
        case COLUMN_I64:
        case COLUMN_OPT:
            memcpy(value, at, sizeof(int64_t));
            at += sizeof(int64_t);
            break;
        case COLUMN_FLAG: *(bool *)value = true; break;
        }
    }
}

size_t
row_compact_name(enum row_table table, struct text merchant, struct text id, char *out)
{
    if (1 + text_bytes(id) + text_bytes(merchant) > ROW_COMPACT_NAME_MAX) return 0;
    out[0] = (char)table;
    return (size_t)(put_text(put_text(out + 1, id), merchant) - out);
}
