/* pg: Postgres through libpq. One connection per role, prepared statements, rows of rows.def read
 * into their structs. */
#pragma once

#include "arena.h"
#include "row.h"
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

/* The database of a partition (partition.h) in the private cluster: florin, florin_2, … */
void pg_database(int partition, char *out, size_t cap);
/* Connection string for a role of the private cluster (or of settings.postgres_dsn): socket folder
 * HOME/run, database of the partition (vault: florin_vault, whatever the partition), password from
 * HOME/secrets/postgres_ROLE. */
void pg_dsn(const char *home, const char *role, int partition, char *out, size_t cap);
/* Blocks for at most `timeout_ms`. NULL when it fails, with the reason in `error`. */
PGconn *pg_connect(const char *home, const char *role, int partition, int64_t timeout_ms,
                   char *error, size_t error_size);

/* SQL of the columns of a table, in their order, a comma between them. */
size_t pg_columns(enum row_table table, char *out, size_t cap);
/* A bytea of a text-format result, into the arena. NO_TEXT when it is null or none. */
struct text pg_bytes(const PGresult *result, int row, int column, struct arena *arena);
/* One row of a text-format result whose first columns are those of pg_columns, into its struct;
 * texts are copied into the arena. False when the result is not of that shape. */
bool pg_row(enum row_table table, const PGresult *result, int index, struct arena *arena,
            void *row);
