/* The store's memory: what was read or written lately. What is not there, and whatever must never
 * come from it, is read from Postgres (store_reads.c, store_events.c; the simulator has others). */
#include "attempt.h"
#include "store_inside.h"
#include <assert.h>
#include <stdlib.h>

/* A worker is to stay below 64 MiB, however long it runs and whoever is active. Measured under more
 * load than it could take, of 1,000 connections: 13 MiB of programs and libraries, 19 of its
 * own, 1.1 bytes for each that the cache counts, and once 12 MiB more for a moment. With 10,000
 * merchants each and 16 MiB it was 5 MiB too much (./florin bench --memory-minutes 30 shows it). A
 * payment is 0.45 kB here and its charge 1.4: 6,000 of both. */
#define CACHE_BYTES_MAX ((size_t)11 << 20)
static_assert(CACHE_BYTES_MAX / 10 * 11 + ((size_t)(13 + 19 + 12) << 20) < (size_t)64 << 20,
              "a worker whose cache is full is below its limit");

struct store *
store_new(const char *home, int partition)
{
    struct store *const store = calloc(1, sizeof *store);
    if (!store) abort();
    if (home) store->database = database_new(home, partition);
    store->cache = cache_new(CACHE_BYTES_MAX);
    return store;
}

void
store_destroy(struct store **store_p)
{
    struct store *const store = *store_p;
    if (!store) return;
    database_destroy(&store->database);
    cache_destroy(&store->cache);
    free(store);
    *store_p = NULL;
}

/* --- rows ------------------------------------------------------------------------------------ */

/* The ledger turns pending funds into available ones by itself: such a row is never remembered. */
static bool
only_ours(enum row_table table)
{
    return table != ROW_balance_transaction;
}

bool
store_can_read(const struct store *store)
{
    return store->database;
}

/* An attempt that is over is hardly ever asked for again, and every payment leaves one. Without
 * Postgres memory is all there is. */
static bool
is_done_with(const struct store *store, enum row_table table, const void *row)
{
    return table == ROW_attempt && store->database &&
           !attempt_is_open(attempt_state_named(((const struct row_attempt *)row)->state));
}

void
store_wrote(struct store *store, enum row_table table, const void *row)
{
    if (is_done_with(store, table, row))
        cache_drop(store->cache, table, row_merchant(row), row_id(row));
    else if (only_ours(table))
        cache_put(store->cache, table, row);
}

void
store_forget(struct store *store, enum row_table table, struct text merchant, struct text id)
{
    if (store->database)
        cache_drop(store->cache, table, merchant, id); /* else memory is all there is */
}

void
store_forget_slots(struct store *store, const uint8_t slots[static SLOT_BYTES])
{
    if (store->database) cache_drop_slots(store->cache, slots);
}

enum store_verdict
store_get(struct store *store, enum row_table number, struct text merchant, struct text id,
          struct arena *arena, void *row)
{
    if (cache_get(store->cache, number, merchant, id, arena, row)) return STORE_FOUND;
    const enum store_verdict verdict = store_get_unkept(store, number, merchant, id, arena, row);
    if (verdict == STORE_FOUND) store_wrote(store, number, row);
    return verdict;
}
