/* row: structs and packing for everything in rows.def.
 *
 * A row struct is a value whose texts borrow from wherever it was read: a frame, a database result
 * or an arena. Absent texts are NO_TEXT, absent numbers NO_NUMBER. */
#pragma once

#include "must_use.h"
#include "text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NO_NUMBER INT64_MIN

// clang-format off
#define TEXT_AS_COLUMN(name)  struct text name;
#define JSON_AS_COLUMN(name)  struct text name;
#define BYTES_AS_COLUMN(name) struct text name;
#define I64_AS_COLUMN(name)   int64_t name;
#define OPT_AS_COLUMN(name)   int64_t name;
#define FLAG_AS_COLUMN(name)  bool name;
#define TABLE(name, number, prefix, doc)  struct row_##name {
#define COLUMN(table, kind, name, doc)    kind##_AS_COLUMN(name)
#define INDEX(table, name, sql)
#define UNIQUE(table, name, sql)
#define CHECK(table, sql)
#define TABLE_END(name)                   };
#include "rows.def"
#undef TABLE
#undef COLUMN
#undef TABLE_END

#define TABLE(name, number, prefix, doc)  ROW_##name = (number),
#define COLUMN(table, kind, name, doc)
#define TABLE_END(name)
enum row_table { ROW_NONE,
#include "rows.def"
};
#undef TABLE
#undef COLUMN
#undef INDEX
#undef UNIQUE
#undef CHECK
#undef TABLE_END
// clang-format on

enum column_kind {
    COLUMN_TEXT,
    COLUMN_JSON,
    COLUMN_BYTES,
    COLUMN_I64,
    COLUMN_OPT,
    COLUMN_FLAG,
};

struct column {
    enum column_kind kind;
    const char *name, *doc;
    size_t offset; /* of the member in the row's struct */
};

/* The columns that every table begins with, by index. */
enum { COLUMN_ID, COLUMN_MERCHANT, COLUMN_VERSION, COLUMN_CREATED };

struct table {
    uint8_t number;
    const char *name, *prefix, *doc;
    size_t size; /* of the row's struct */
    const struct column *columns;
    size_t column_count;
    const char *indexes; /* SQL that makes its indexes, a line each */
    const char *checks;  /* likewise its checks */
};

#define LEGACY_CARD_PREFIX "card_"
#define TABLE_COLUMNS_MAX 40
/* Any row of any table fits into this much, aligned for it. */
#define ROW_SIZE_MAX 1024

/* NULL when no table has that number, or that name. */
const struct table *table_find(uint64_t number);
const struct table *table_named(const char *name);
/* The id is of that table: it begins with its prefix. A card that came as a token bears the older
 * name of payment methods, card_…, and is one of them all the same. */
bool table_takes_id(const struct table *table, struct text id);
extern const struct table *const tables[];
extern const size_t table_count;

/* Members that every row has, wherever it lives. */
struct text row_id(const void *row);
struct text row_merchant(const void *row);
int64_t row_version(const void *row);

/* All members absent, zero or false; OPT members NO_NUMBER. */
void row_clear(enum row_table table, void *row);

/* Packs the columns in their order as one MessagePack array. False when it does not fit. */
MUST_USE bool row_encode(enum row_table table, const void *row, uint8_t *bytes, size_t cap,
                         size_t *size);
/* An upper bound of what row_encode needs. */
size_t row_size_bound(enum row_table table, const void *row);

/* Fills `row`, borrowing from `bytes`. False when they are not a row of this table: another number
 * of columns, another kind, a text that is not clean. Columns missing at the end are absent. */
MUST_USE bool row_decode(enum row_table table, const uint8_t *bytes, size_t size, void *row);

/* Copies a row with all its texts into `memory`; returns the bytes used, or 0 when `cap` is too
 * small. With memory NULL, returns what would be used. The copy borrows from `memory` alone. */
size_t row_copy(enum row_table table, const void *row, void *copy, char *memory, size_t cap);
