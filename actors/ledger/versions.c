#include "versions.h"

#include "id.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PLACES 8 /* in a set */

struct place {
    uint64_t used; /* 0: free */
    struct version version;
    uint8_t table, merchant_size, id_size;
    char merchant[ID_SIZE_MAX], id[ID_SIZE_MAX];
};

struct versions {
    uint64_t now;     /* counts uses */
    size_t set_count; /* a power of two */
    struct place *places;
};

struct versions *
versions_new(size_t count)
{
    struct versions *v = calloc(1, sizeof *v);
    assert(v && count > 0);
    v->set_count = 1;
    while (v->set_count * PLACES < count)
        v->set_count *= 2;
    v->places = calloc(v->set_count * PLACES, sizeof *v->places);
    assert(v->places);
    return v;
}

void
versions_destroy(struct versions **versions_p)
{
    if (!*versions_p) return;
    free((*versions_p)->places);
    free(*versions_p);
    *versions_p = NULL;
}

void
versions_clear(struct versions *versions)
{
    for (size_t i = 0; i < versions->set_count * PLACES; i++)
        versions->places[i].used = 0;
}

/* FNV-1a: the ids hold 83 bits of chance that no client chose. */
static uint64_t
mixed(uint64_t hash, struct text text)
{
    for (size_t i = 0; i < text.size; i++)
        hash = (hash ^ (uint8_t)text.at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static struct place *
set_of(struct versions *versions, uint8_t table, struct text merchant, struct text id)
{
    uint64_t hash = mixed(UINT64_C(0xcbf29ce484222325) ^ table, merchant);
    hash = mixed(hash, id);
    return &versions->places[(hash & (versions->set_count - 1)) * PLACES];
}

static bool
is_of(const struct place *p, uint8_t table, struct text merchant, struct text id)
{
    return p->used && p->table == table && p->id_size == id.size &&
           p->merchant_size == merchant.size && memcmp(p->id, id.at, id.size) == 0 &&
           memcmp(p->merchant, merchant.at, merchant.size) == 0;
}

bool
versions_get(struct versions *versions, uint8_t table, struct text merchant, struct text id,
             struct version *version)
{
    struct place *set = set_of(versions, table, merchant, id);
    for (size_t i = 0; i < PLACES; i++) {
        if (!is_of(&set[i], table, merchant, id)) continue;
        set[i].used = ++versions->now;
        *version = set[i].version;
        return true;
    }
    return false;
}

void
versions_put(struct versions *versions, uint8_t table, struct text merchant, struct text id,
             struct version version)
{
    if (merchant.size > ID_SIZE_MAX || id.size > ID_SIZE_MAX) return;
    struct place *set = set_of(versions, table, merchant, id), *best = set;
    for (size_t i = 0; i < PLACES; i++) {
        if (is_of(&set[i], table, merchant, id)) {
            best = &set[i];
            break;
        }
        if (set[i].used < best->used) best = &set[i];
    }
    *best = (struct place){.used = ++versions->now,
                           .version = version,
                           .table = table,
                           .merchant_size = (uint8_t)merchant.size,
                           .id_size = (uint8_t)id.size};
    memcpy(best->merchant, merchant.at, merchant.size);
    memcpy(best->id, id.at, id.size);
}
