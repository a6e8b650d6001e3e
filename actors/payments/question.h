/* question: asking Postgres something, and waiting for the answer.
 *
 * A question is built piece by piece: what is said is SQL, what is given with it stands behind $1,
 * $2, … It is prepared when its text is asked for the first time on a connection. A wait is
 * bounded, so that a frozen Postgres does not cost the worker its heartbeats; after a failure the
 * connection is given up and tried again by and by. */
#pragma once

#include "arena.h"
#include "pg.h"
#include "row.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SQL_MAX 8192
#define PARAMETERS_MAX 64

struct database;

struct question {
    struct arena *arena;
    char sql[SQL_MAX];
    size_t size;
    const char *values[PARAMETERS_MAX];
    int lengths[PARAMETERS_MAX], formats[PARAMETERS_MAX];
    int count;
};

/* Connects when it is asked something. `home` must live as long. */
struct database *database_new(const char *home, int partition);
void database_destroy(struct database **database_p);

struct question *question_new(struct arena *arena);
void say(struct question *q, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The number of the parameter that has this value: text, or bytes. */
int with(struct question *q, struct text value);
int with_bytes(struct question *q, struct text value);
/* Bounds of ids (NO_TEXT: none), the order, and one row more than `limit`, to know whether there
 * are more. Upwards when `before` is given: the page nearest to it. `leading`: a column that has
 * the same order, and has it by an index; NULL: the id has. */
void say_range(struct question *q, const char *leading, struct text after, struct text before,
               struct text least, struct text below, int limit);
/* Which row of the result is the n-th of a page of `count`, newest first. */
int nth_of_page(bool upwards, int count, int n);
/* Columns of a table as pg_row reads them. */
const char *columns_of(struct question *q, enum row_table table);

/* NULL when Postgres is not there, is too slow, or refuses. */
PGresult *ask(struct database *database, const struct question *q);
/* Likewise, for what has too many shapes to be prepared: planned each time, by its values. */
PGresult *ask_unprepared(struct database *database, const struct question *q);
int64_t number_at(const PGresult *result, int row, int column);
