/* cache: rows that were read or written lately, so that most calls read nothing from Postgres.
 *
 * It may only hold what no one else changes: a worker is the only one to write the rows of its
 * slots, and forgets a slot's rows when it loses the slot. Bounded in bytes; what was not used for
 * the longest time goes first.
 *
 * But rows of merchants go only when they are half of it all: everything that is done for a
 * merchant reads them, and what payments leave, which nobody may ever read, would push them out.
 * (Of 10,000 merchants who are paid in turn each payment read its merchant from Postgres.) */
#pragma once

#include "arena.h"
#include "id.h"
#include "must_use.h"
#include "row.h"
#include <stdbool.h>

struct cache;

struct cache *cache_new(size_t bytes_max);
void cache_destroy(struct cache **cache_p);
/* Fills `row` with a copy whose texts are in the arena. */
MUST_USE bool cache_get(struct cache *cache, enum row_table table, struct text merchant,
                        struct text id, struct arena *arena, void *row);
void cache_put(struct cache *cache, enum row_table table, const void *row);
void cache_drop(struct cache *cache, enum row_table table, struct text merchant, struct text id);
/* All rows of merchants in these slots. */
void cache_drop_slots(struct cache *cache, const uint8_t slots[static SLOT_BYTES]);
/* Shows all rows of a table, in no order: each for as long as `show` runs, its texts until the
 * cache changes. */
typedef void cache_row_fn(void *state, const void *row);
void cache_each(const struct cache *cache, enum row_table table, cache_row_fn *show, void *state);
size_t cache_bytes(const struct cache *cache);
