#include "versions.h"

#include "fingerprint.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PLACES 4 /* in a set */

/* Two lines of the processor's cache: what is looked for is in none of them, and each costs as much
 * as a hundred instructions. */
struct set {
    struct fingerprint rows[PLACES]; /* zero: free */
    int64_t versions[PLACES];
    uint32_t used[PLACES];
    uint8_t states[PLACES];
    uint8_t unused[12];
};
static_assert(sizeof(struct set) == 128, "two lines");

/* What was put is written a few puts later, when the memory that was asked for is there: a batch
 * puts hundreds one after the other, each into lines that no cache of the processor has by then. */
#define ON_THE_WAY 8

struct versions {
    uint32_t now;     /* counts uses */
    size_t set_count; /* a power of two */
    struct set *sets; /* where a line begins, in … */
    void *memory;
    struct {
        struct fingerprint row;
        struct version version;
    } on_the_way[ON_THE_WAY]; /* a ring */
    size_t first, count;
};

struct versions *
versions_new(size_t count)
{
    struct versions *v = calloc(1, sizeof *v);
    assert(v && count > 0);
    v->set_count = 1;
    while (v->set_count * PLACES < count)
        v->set_count *= 2;
    v->memory = calloc(v->set_count + 1, sizeof *v->sets);
    assert(v->memory);
    v->sets = (struct set *)(((uintptr_t)v->memory + sizeof *v->sets - 1) & -sizeof *v->sets);
    return v;
}

void
versions_destroy(struct versions **versions_p)
{
    if (!*versions_p) return;
    free((*versions_p)->memory);
    free(*versions_p);
    *versions_p = NULL;
}

void
versions_clear(struct versions *versions)
{
    memset(versions->sets, 0, versions->set_count * sizeof *versions->sets);
    versions->now = 0;
    versions->count = 0;
}

static struct set *
set_of(struct versions *versions, struct fingerprint row)
{
    return &versions->sets[row.b & (versions->set_count - 1)];
}

/* The place in its set, or PLACES. */
static size_t
find(const struct set *set, struct fingerprint row)
{
    size_t i = 0;
    while (i < PLACES && !(set->rows[i].a == row.a && set->rows[i].b == row.b))
        i++;
    return i;
}

/* The one that was used longest ago. When the count of uses has gone round, that is a guess for a
 * while; and a guess is good enough for what can be looked up. */
static size_t
oldest(const struct versions *versions, const struct set *set)
{
    size_t oldest = 0;
    for (size_t i = 0; i < PLACES; i++) {
        if (!set->rows[i].a) return i;
        if (versions->now - set->used[i] > versions->now - set->used[oldest]) oldest = i;
    }
    return oldest;
}

static void
write_first(struct versions *versions)
{
    const struct fingerprint row = versions->on_the_way[versions->first].row;
    const struct version version = versions->on_the_way[versions->first].version;
    struct set *const set = set_of(versions, row);
    size_t i = find(set, row);
    if (i == PLACES) i = oldest(versions, set);
    set->rows[i] = row;
    set->versions[i] = version.version;
    set->states[i] = (uint8_t)version.state;
    set->used[i] = ++versions->now;
    versions->first = (versions->first + 1) % ON_THE_WAY;
    versions->count--;
}

bool
versions_get(struct versions *versions, uint8_t table, struct text merchant, struct text id,
             struct version *version)
{
    while (versions->count)
        write_first(versions);
    const struct fingerprint row = fingerprint_of(table, merchant, id);
    struct set *const set = set_of(versions, row);
    const size_t i = find(set, row);
    if (i == PLACES) return false;
    set->used[i] = ++versions->now;
    *version = (struct version){set->versions[i], (enum attempt_state)set->states[i]};
    return true;
}

void
versions_put(struct versions *versions, uint8_t table, struct text merchant, struct text id,
             struct version version)
{
    if (versions->count == ON_THE_WAY) write_first(versions);
    const size_t last = (versions->first + versions->count++) % ON_THE_WAY;
    versions->on_the_way[last].row = fingerprint_of(table, merchant, id);
    versions->on_the_way[last].version = version;
    const struct set *const set = set_of(versions, versions->on_the_way[last].row);
    __builtin_prefetch(set->rows, 1);
    __builtin_prefetch(set->versions, 1);
}
