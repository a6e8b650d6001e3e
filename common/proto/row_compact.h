/* row_compact: a row in as few bytes as are quickly written and read, for who keeps many of them in
 * memory. Never sent and never stored: there row_encode's form is used, which other versions of a
 * table can read.
 *
 * Eight bytes say which columns are there, the table follows, then each column that is there: a
 * number in eight bytes, a text behind its size. So a row begins, behind its first eight bytes,
 * with what it is called by: table, id and merchant. */
#pragma once

#include "row.h"

#define ROW_COMPACT_NAME_AT 8
#define ROW_COMPACT_NAME_MAX 384

/* Returns the bytes used, or 0 when `cap` is too small. With memory NULL, returns what would be
 * used. */
size_t row_compact(enum row_table table, const void *row, char *memory, size_t cap);
/* Fills `row`, borrowing from `compact`, which row_compact has made of a row of this table. */
void row_expand(enum row_table table, const char *compact, void *row);

/* What a compact row of that name has at ROW_COMPACT_NAME_AT, put into `out`, which has
 * ROW_COMPACT_NAME_MAX bytes; 0 when no row can be called that. */
size_t row_compact_name(enum row_table table, struct text merchant, struct text id, char *out);
