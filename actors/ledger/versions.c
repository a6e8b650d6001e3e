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

struct versions {
    uint32_t now;     /* counts uses */
    size_t set_count; /* a power of two */
    struct set *sets; /* where a line begins, in … */
    void *memory;
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

bool
versions_get(struct versions *versions, uint8_t table, struct text merchant, struct text id,
             struct version *version)
{
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
    const struct fingerprint row = fingerprint_of(table, merchant, id);
    struct set *const set = set_of(versions, row);
    size_t i = find(set, row);
    if (i == PLACES) i = oldest(versions, set);
    set->rows[i] = row;
    set->versions[i] = version.version;
    set->states[i] = (uint8_t)version.state;
    set->used[i] = ++versions->now;
}
