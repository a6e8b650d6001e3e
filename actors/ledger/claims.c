#include "claims.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Of the keys of some batches that follow each other: open addressing, at most half full. */
struct generation {
    struct fingerprint *keys;
    size_t count;
    int64_t since; /* all that came after this batch, until the next generation began */
};

/* When the younger is full, the elder is forgotten and takes what comes then. */
struct claims {
    struct generation generations[2];
    size_t young; /* which of them */
    size_t count_max, mask;
};

struct claims *
claims_new(size_t count)
{
    struct claims *c = calloc(1, sizeof *c);
    assert(c);
    size_t cells = 2;
    while (cells < 2 * count)
        cells *= 2;
    c->count_max = count;
    c->mask = cells - 1;
    for (int i = 0; i < 2; i++) {
        c->generations[i].keys = calloc(cells, sizeof *c->generations[i].keys);
        assert(c->generations[i].keys);
    }
    return c;
}

void
claims_destroy(struct claims **claims_p)
{
    struct claims *c = *claims_p;
    if (!c) return;
    for (int i = 0; i < 2; i++)
        free(c->generations[i].keys);
    free(c);
    *claims_p = NULL;
}

static void
empty(const struct claims *c, struct generation *g, int64_t since)
{
    memset(g->keys, 0, (c->mask + 1) * sizeof *g->keys);
    g->count = 0;
    g->since = since;
}

void
claims_clear(struct claims *claims, int64_t batch)
{
    for (int i = 0; i < 2; i++)
        empty(claims, &claims->generations[i], batch);
}

/* Where it is, or where it would be put. */
static struct fingerprint *
cell_of(const struct claims *c, const struct generation *g, struct fingerprint key)
{
    size_t at = fingerprint_cell(key, c->mask);
    while (fingerprint_is_any(g->keys[at]) && !fingerprint_equal(g->keys[at], key))
        at = (at + 1) & c->mask;
    return &g->keys[at];
}

void
claims_put(struct claims *claims, struct fingerprint key, int64_t batch)
{
    struct claims *c = claims;
    if (c->generations[c->young].count == c->count_max) {
        c->young ^= 1;
        empty(c, &c->generations[c->young], batch); /* some of this one are in the other */
    }
    struct generation *const g = &c->generations[c->young];
    struct fingerprint *const cell = cell_of(c, g, key);
    g->count += !fingerprint_is_any(*cell);
    *cell = key;
}

bool
claims_have(const struct claims *claims, struct fingerprint key)
{
    for (int i = 0; i < 2; i++) {
        const struct fingerprint *const cell = cell_of(claims, &claims->generations[i], key);
        if (fingerprint_is_any(*cell)) return true;
    }
    return false;
}

int64_t
claims_since(const struct claims *claims)
{
    return claims->generations[claims->young ^ 1].since;
}
