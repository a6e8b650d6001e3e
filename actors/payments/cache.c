#include "cache.h"

#include "names.h"
#include "row_compact.h"
#include <assert.h>
#include <stdlib.h>

struct entry {
    struct name_node node; /* its name is in the row */
    struct entry *newer, *older;
    uint32_t used, used_max; /* bytes of the row */
    uint16_t slot;
    uint8_t table;
    char row[]; /* compact */
};

enum { LASTING_SHARE = 2 }; /* rows that last may be half */

/* What lasts and what passes, each from the newest to the oldest. */
enum kind { PASSING, LASTING, KIND_COUNT };

struct queue {
    struct entry *newest, *oldest;
    size_t bytes;
};

struct cache {
    struct names names;
    struct queue queues[KIND_COUNT];
    size_t bytes_max;
};

static struct queue *
queue_of(struct cache *cache, uint8_t table)
{
    return &cache->queues[table == ROW_merchant ? LASTING : PASSING];
}

struct cache *
cache_new(size_t bytes_max)
{
    struct cache *const cache = calloc(1, sizeof *cache);
    if (!cache) abort();
    cache->bytes_max = bytes_max;
    names_init(&cache->names);
    return cache;
}

static void
unlink_entry(struct cache *cache, struct entry *entry)
{
    struct queue *const queue = queue_of(cache, entry->table);
    *(entry->newer ? &entry->newer->older : &queue->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &queue->oldest) = entry->newer;
    entry->newer = entry->older = NULL;
}

static void
make_newest(struct cache *cache, struct entry *entry)
{
    struct queue *const queue = queue_of(cache, entry->table);
    entry->older = queue->newest;
    entry->newer = NULL;
    *(queue->newest ? &queue->newest->newer : &queue->oldest) = entry;
    queue->newest = entry;
}

static size_t
size_of(const struct entry *entry)
{
    return sizeof *entry + entry->used_max;
}

static void
drop(struct cache *cache, struct entry *entry)
{
    unlink_entry(cache, entry);
    names_remove(&cache->names, &entry->node);
    struct queue *const queue = queue_of(cache, entry->table);
    assert(queue->bytes >= size_of(entry));
    queue->bytes -= size_of(entry);
    free(entry);
}

void
cache_destroy(struct cache **cache_p)
{
    struct cache *const cache = *cache_p;
    if (!cache) return;
    for (int kind = 0; kind < KIND_COUNT; kind++)
        while (cache->queues[kind].newest)
            drop(cache, cache->queues[kind].newest);
    names_end(&cache->names);
    free(cache);
    *cache_p = NULL;
}

static struct entry *
find(struct cache *cache, enum row_table table, struct text merchant, struct text id)
{
    char name[ROW_COMPACT_NAME_MAX];
    const size_t size = row_compact_name(table, merchant, id, name);
    return size ? names_find(&cache->names, (struct text){name, size}) : NULL;
}

bool
cache_get(struct cache *cache, enum row_table table, struct text merchant, struct text id,
          struct arena *arena, void *row)
{
    struct entry *const entry = find(cache, table, merchant, id);
    if (!entry) return false;
    unlink_entry(cache, entry);
    make_newest(cache, entry);
    char *const copy = arena_take_unset(arena, entry->used);
    memcpy(copy, entry->row, entry->used);
    row_expand(table, copy, row);
    return true;
}

/* A row that is written again, and has not grown, takes its own place. */
static bool
put_in_place(struct cache *cache, struct entry *entry, enum row_table table, const void *row)
{
    entry->used = (uint32_t)row_compact(table, row, entry->row, entry->used_max);
    if (entry->used) {
        unlink_entry(cache, entry);
        make_newest(cache, entry);
        return true;
    }
    drop(cache, entry);
    return false;
}

static void
make_room(struct cache *cache)
{
    const struct queue *const lasting = &cache->queues[LASTING], *passing = &cache->queues[PASSING];
    while (lasting->bytes > cache->bytes_max / LASTING_SHARE)
        drop(cache, lasting->oldest);
    while (cache_bytes(cache) > cache->bytes_max)
        drop(cache, passing->oldest);
}

void
cache_put(struct cache *cache, enum row_table number, const void *row)
{
    char name[ROW_COMPACT_NAME_MAX];
    const size_t name_size = row_compact_name(number, row_merchant(row), row_id(row), name);
    if (!name_size) return;
    const uint64_t hash = names_hash(&cache->names, (struct text){name, name_size});
    struct entry *const before =
        names_find_hashed(&cache->names, hash, (struct text){name, name_size});
    if (before && put_in_place(cache, before, number, row)) return;

    const size_t used = row_compact(number, row, NULL, 0);
    if (sizeof(struct entry) + used > cache->bytes_max / 16) return; /* must not empty the cache */
    struct entry *const entry = malloc(sizeof *entry + used);
    if (!entry) abort();
    *entry = (struct entry){.used = (uint32_t)used,
                            .used_max = (uint32_t)used,
                            .table = (uint8_t)number,
                            .slot = slot_of(row_merchant(row))};
    (void)row_compact(number, row, entry->row, used);
    names_add_hashed(&cache->names, &entry->node, hash,
                     (struct text){entry->row + ROW_COMPACT_NAME_AT, name_size}, entry);
    make_newest(cache, entry);
    queue_of(cache, entry->table)->bytes += size_of(entry);
    make_room(cache);
}

void
cache_drop(struct cache *cache, enum row_table table, struct text merchant, struct text id)
{
    struct entry *const entry = find(cache, table, merchant, id);
    if (entry) drop(cache, entry);
}

void
cache_drop_slots(struct cache *cache, const uint8_t slots[static SLOT_BYTES])
{
    for (int kind = 0; kind < KIND_COUNT; kind++)
        for (struct entry *entry = cache->queues[kind].newest, *older; entry; entry = older) {
            older = entry->older;
            if (slot_in(slots, entry->slot)) drop(cache, entry);
        }
}

void
cache_each(const struct cache *cache, enum row_table table, cache_row_fn *show, void *state)
{
    union {
        int64_t aligned;
        char bytes[ROW_SIZE_MAX];
    } row;
    for (int kind = 0; kind < KIND_COUNT; kind++)
        for (const struct entry *entry = cache->queues[kind].newest; entry; entry = entry->older)
            if (entry->table == table) {
                row_expand(table, entry->row, row.bytes);
                show(state, row.bytes);
            }
}

size_t
cache_bytes(const struct cache *cache)
{
    return cache->queues[LASTING].bytes + cache->queues[PASSING].bytes;
}
