/* arrays: the columns of many rows as Postgres arrays in binary, one array a column, for
 * INSERT … SELECT unnest(…). Filled row by row; kept between statements so that the memory is taken
 * once. A column of nulls alone is sent as no array at all: unnest beside longer ones gives nulls
 * then, and neither side walks it. The first is always sent: it says how many rows there are.
 *
 * What is an array in a row cannot be an element of an array of such. Those of all rows follow one
 * another in one array then, and each row says from where to where it takes of it. */
#pragma once

#include "text.h"
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#define ARRAYS_MAX 48

struct array {
    uint8_t *bytes;
    size_t size, cap;
    int32_t count;
    bool any; /* it is sent: there is something but nulls, or it is the first */
};

struct arrays {
    struct array columns[ARRAYS_MAX];
    const char *kinds;
};

/* The SQL type of an array of that kind, as in "text[]". */
const char *array_type(char kind);

/* A letter per column: t text, y bytea, l bigint, i integer, s smallint, b boolean. Empties all.
 * After those of the columns, capital letters: arrays that are as long as they are. */
void arrays_begin(struct arrays *arrays, const char *kinds);
void arrays_free(struct arrays *arrays);
void arrays_text(struct arrays *arrays, int column, struct text value); /* NO_TEXT: null */
void arrays_number(struct arrays *arrays, int column, int64_t value);
void arrays_null(struct arrays *arrays, int column);
int32_t arrays_count(const struct arrays *arrays); /* rows so far */

/* Queues the prepared statement with these columns as its first parameters and, if `more` is not
 * negative, that number as a last one, a bigint. Answers come in binary. */
bool arrays_send(struct arrays *arrays, PGconn *conn, const char *statement, int64_t more);
