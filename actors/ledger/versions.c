#include "versions.h"

#include "id.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PLACES 8 /* in a set */

struct place {
    struct version version;
    uint8_t table, merchant_size, id_size;
    char merchant[ID_SIZE_MAX], id[ID_SIZE_MAX];
};

/* What is asked of all places of a set stands together: the places themselves are a kilobyte, and
 * none of it is in the processor's caches. */
struct head {
    uint64_t used[PLACES]; /* 0: free */
    uint32_t tags[PLACES]; /* of the hash */
};

struct versions {
    uint64_t now;     /* counts uses */
    size_t set_count; /* a power of two */
    struct head *heads;
    struct place *places; /* PLACES for each head */
};

struct versions *
versions_new(size_t count)
{
    struct versions *v = calloc(1, sizeof *v);
    assert(v && count > 0);
    v->set_count = 1;
    while (v->set_count * PLACES < count)
        v->set_count *= 2;
    v->heads = calloc(v->set_count, sizeof *v->heads);
    v->places = calloc(v->set_count * PLACES, sizeof *v->places);
    assert(v->heads && v->places);
    return v;
}

void
versions_destroy(struct versions **versions_p)
{
    if (!*versions_p) return;
    free((*versions_p)->heads);
    free((*versions_p)->places);
    free(*versions_p);
    *versions_p = NULL;
}

void
versions_clear(struct versions *versions)
{
    memset(versions->heads, 0, versions->set_count * sizeof *versions->heads);
}

/* FNV-1a: the ids hold 83 bits of chance that no client chose. */
static uint64_t
mixed(uint64_t hash, struct text text)
{
    for (size_t i = 0; i < text.size; i++)
        hash = (hash ^ (uint8_t)text.at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t
hash_of(uint8_t table, struct text merchant, struct text id)
{
    return mixed(mixed(UINT64_C(0xcbf29ce484222325) ^ table, merchant), id);
}

static bool
is_of(const struct place *p, uint8_t table, struct text merchant, struct text id)
{
    return p->table == table && p->id_size == id.size && p->merchant_size == merchant.size &&
           memcmp(p->id, id.at, id.size) == 0 &&
           memcmp(p->merchant, merchant.at, merchant.size) == 0;
}

/* The place in its set, or PLACES. */
static size_t
find(const struct versions *versions, size_t set, uint32_t tag, uint8_t table, struct text merchant,
     struct text id)
{
    const struct head *head = &versions->heads[set];
    size_t i = 0;
    while (i < PLACES && !(head->used[i] && head->tags[i] == tag &&
                           is_of(&versions->places[set * PLACES + i], table, merchant, id)))
        i++;
    return i;
}

bool
versions_get(struct versions *versions, uint8_t table, struct text merchant, struct text id,
             struct version *version)
{
    const uint64_t hash = hash_of(table, merchant, id);
    const size_t set = hash & (versions->set_count - 1);
    const size_t i = find(versions, set, (uint32_t)(hash >> 32), table, merchant, id);
    if (i == PLACES) return false;
    versions->heads[set].used[i] = ++versions->now;
    *version = versions->places[set * PLACES + i].version;
    return true;
}

void
versions_put(struct versions *versions, uint8_t table, struct text merchant, struct text id,
             struct version version)
{
    if (merchant.size > ID_SIZE_MAX || id.size > ID_SIZE_MAX) return;
    const uint64_t hash = hash_of(table, merchant, id);
    const size_t set = hash & (versions->set_count - 1);
    const uint32_t tag = (uint32_t)(hash >> 32);
    struct head *head = &versions->heads[set];
    size_t best = find(versions, set, tag, table, merchant, id);
    if (best == PLACES) {
        best = 0;
        for (size_t i = 1; i < PLACES; i++)
            if (head->used[i] < head->used[best]) best = i;
    }
    head->used[best] = ++versions->now;
    head->tags[best] = tag;
    struct place *place = &versions->places[set * PLACES + best];
    *place = (struct place){.version = version,
                            .table = table,
                            .merchant_size = (uint8_t)merchant.size,
                            .id_size = (uint8_t)id.size};
    memcpy(place->merchant, merchant.at, merchant.size);
    memcpy(place->id, id.at, id.size);
}
