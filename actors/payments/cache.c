#include "cache.h"

#include "names.h"
#include <assert.h>
#include <stdlib.h>

#define CACHE_NAME_MAX 383
#define ROOM_TO_GROW \
    64 /* a payment's row becomes longer by an id or two, and then is written anew */

struct entry {
    struct name_node node;
    struct entry *newer, *older;
    size_t size; /* of all of it */
    size_t texts, texts_max;
    char *memory; /* of the row's texts */
    uint16_t slot;
    uint8_t table;
    _Alignas(16) char row[]; /* the row's struct, its name, its texts */
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

static void
drop(struct cache *cache, struct entry *entry)
{
    unlink_entry(cache, entry);
    names_remove(&cache->names, &entry->node);
    struct queue *const queue = queue_of(cache, entry->table);
    assert(queue->bytes >= entry->size);
    queue->bytes -= entry->size;
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

/* Table, merchant and id in one; 0 when no row can be called that. */
static size_t
name_of(char *out, enum row_table table, struct text merchant, struct text id)
{
    if (merchant.size + id.size + 2 > CACHE_NAME_MAX) return 0;
    out[0] = (char)table;
    memcpy(out + 1, merchant.at, merchant.size);
    out[1 + merchant.size] = '/';
    if (id.size) memcpy(out + 2 + merchant.size, id.at, id.size);
    return merchant.size + id.size + 2;
}

static struct entry *
find(struct cache *cache, enum row_table table, struct text merchant, struct text id)
{
    char name[CACHE_NAME_MAX];
    const size_t size = name_of(name, table, merchant, id);
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
    const size_t used =
        row_copy(table, entry->row, row, arena_take_unset(arena, entry->texts), entry->texts);
    assert(used == entry->texts);
    return true;
}

/* Most rows are written more than once, and hardly grow: the newer one takes the older one's place.
 */
static bool
put_in_place(struct cache *cache, struct entry *entry, enum row_table table, const void *row)
{
    entry->texts = row_copy(table, row, entry->row, entry->memory, entry->texts_max);
    if (entry->texts) {
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
    char name[CACHE_NAME_MAX];
    const struct table *const table = table_find(number);
    assert(table);
    const size_t name_size = name_of(name, number, row_merchant(row), row_id(row));
    if (!name_size) return;
    const uint64_t hash = names_hash(&cache->names, (struct text){name, name_size});
    struct entry *const before =
        names_find_hashed(&cache->names, hash, (struct text){name, name_size});
    if (before && put_in_place(cache, before, number, row)) return;

    const size_t texts_max = row_copy(number, row, NULL, NULL, 0) + ROOM_TO_GROW;
    const size_t size = sizeof(struct entry) + table->size + name_size + texts_max;
    if (size > cache->bytes_max / 16) return; /* one row must not empty the cache */
    struct entry *const entry = malloc(size);
    if (!entry) abort();
    char *const name_kept = entry->row + table->size;
    *entry = (struct entry){.size = size,
                            .texts_max = texts_max,
                            .memory = name_kept + name_size,
                            .table = (uint8_t)number,
                            .slot = slot_of(row_merchant(row))};
    memcpy(name_kept, name, name_size);
    entry->texts = row_copy(number, row, entry->row, entry->memory, texts_max);
    assert(entry->texts);
    names_add_hashed(&cache->names, &entry->node, hash, (struct text){name_kept, name_size}, entry);
    make_newest(cache, entry);
    queue_of(cache, entry->table)->bytes += size;
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
    for (int kind = 0; kind < KIND_COUNT; kind++)
        for (const struct entry *entry = cache->queues[kind].newest; entry; entry = entry->older)
            if (entry->table == table) show(state, entry->row);
}

size_t
cache_bytes(const struct cache *cache)
{
    return cache->queues[LASTING].bytes + cache->queues[PASSING].bytes;
}
