#include "arrays.h"

#include <assert.h>
#include <ctype.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* Where the array's header ends: dimensions, flags, type of the elements, length, lower bound. */
#define HEADER_BYTES 20

// clang-format off
static const struct kind {
    const char *type;
    uint32_t element; /* pg_type.oid, the same in every Postgres */
    uint8_t size;     /* 0: it varies */
} kinds[128] = {
    ['t'] = {"text[]",     25, 0},
    ['y'] = {"bytea[]",    17, 0},
    ['l'] = {"bigint[]",   20, 8},
    ['i'] = {"integer[]",  23, 4},
    ['s'] = {"smallint[]", 21, 2},
    ['b'] = {"boolean[]",  16, 1},
    ['L'] = {"bigint[]",   20, 8},
    ['S'] = {"smallint[]", 21, 2},
};
// clang-format on

const char *
array_type(char kind)
{
    assert(kinds[(int)kind].type);
    return kinds[(int)kind].type;
}

void
arrays_begin(struct arrays *arrays, const char *letters)
{
    const int count = (int)strlen(letters);
    assert(count <= ARRAYS_MAX);
    arrays->kinds = letters;
    for (int i = 0; i < count; i++) {
        arrays->columns[i].size = HEADER_BYTES;
        arrays->columns[i].count = 0;
        arrays->columns[i].any = i == 0;
    }
}

void
arrays_free(struct arrays *arrays)
{
    for (int i = 0; i < ARRAYS_MAX; i++)
        free(arrays->columns[i].bytes);
    *arrays = (struct arrays){0};
}

static void
make_room(struct array *a, size_t size)
{
    a->cap = (a->cap + HEADER_BYTES + size) * 2;
    a->bytes = realloc(a->bytes, a->cap);
    assert(a->bytes); /* a batch is bounded: BATCH_BYTES_MAX */
}

/* Two hundred times a payment: nearly always there is room. */
static inline uint8_t *
grow(struct array *a, size_t size)
{
    if (a->size + size > a->cap) make_room(a, size);
    uint8_t *const at = a->bytes + a->size;
    a->size += size;
    return at;
}

static void
put_32(uint8_t *at, uint32_t value)
{
    const uint32_t big = htobe32(value);
    memcpy(at, &big, sizeof big);
}

static inline uint8_t *
element(struct arrays *arrays, int column, size_t size)
{
    struct array *a = &arrays->columns[column];
    if (!a->any && a->count) { /* the nulls so far, which were only counted */
        const size_t nulls = 4 * (size_t)a->count;
        memset(grow(a, nulls), 0xff, nulls);
    }
    a->any = true;
    uint8_t *const at = grow(a, 4 + size);
    put_32(at, (uint32_t)size);
    a->count++;
    return at + 4;
}

void
arrays_null(struct arrays *arrays, int column)
{
    struct array *a = &arrays->columns[column];
    if (a->any) put_32(grow(a, 4), UINT32_MAX);
    a->count++;
}

void
arrays_text(struct arrays *arrays, int column, struct text value)
{
    assert(arrays->kinds[column] == 't' || arrays->kinds[column] == 'y');
    if (!value.at) {
        arrays_null(arrays, column);
        return;
    }
    uint8_t *const at = element(arrays, column, value.size);
    if (value.size) memcpy(at, value.at, value.size);
}

void
arrays_number(struct arrays *arrays, int column, int64_t value)
{
    const uint8_t size = kinds[(int)arrays->kinds[column]].size;
    const uint64_t big = htobe64((uint64_t)value);
    uint8_t *const at = element(arrays, column, size);
    assert(size > 0);
    if (size == sizeof big)
        memcpy(at, &big, sizeof big); /* nearly always: one instruction */
    else
        memcpy(at, (const uint8_t *)&big + sizeof big - size, size);
}

int32_t
arrays_count(const struct arrays *arrays)
{
    return arrays->columns[0].count;
}

static void
write_header(struct array *a, const struct kind *kind)
{
    if (!a->bytes) {
        a->size = 0;
        grow(a, HEADER_BYTES);
    }
    put_32(a->bytes, 1);
    put_32(a->bytes + 4, 1); /* there may be nulls */
    put_32(a->bytes + 8, kind->element);
    put_32(a->bytes + 12, (uint32_t)a->count);
    put_32(a->bytes + 16, 1);
}

bool
arrays_send(struct arrays *arrays, PGconn *conn, const char *statement, int64_t more)
{
    const char *values[ARRAYS_MAX + 1];
    int lengths[ARRAYS_MAX + 1], formats[ARRAYS_MAX + 1];
    int count = (int)strlen(arrays->kinds);
    const uint64_t last = htobe64((uint64_t)more);
    for (int i = 0; i < count; i++) {
        struct array *a = &arrays->columns[i];
        assert(a->count == arrays->columns[0].count || !islower(arrays->kinds[i]));
        if (a->any) write_header(a, &kinds[(int)arrays->kinds[i]]);
        values[i] = a->any ? (const char *)a->bytes : NULL;
        lengths[i] = a->any ? (int)a->size : 0;
        formats[i] = 1;
    }
    if (more >= 0) {
        values[count] = (const char *)&last;
        lengths[count] = (int)sizeof last;
        formats[count++] = 1;
    }
    return PQsendQueryPrepared(conn, statement, count, values, lengths, formats, 1);
}
