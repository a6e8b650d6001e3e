#include "pending.h"

#include "log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NOBODY UINT32_MAX
#define BUCKETS (2 * PENDING_MAX)

static_assert((PENDING_MAX & (PENDING_MAX - 1)) == 0,
              "a correlation holds the place in its low bits");

struct pendings {
    struct pending places[PENDING_MAX];
    uint32_t buckets[BUCKETS];
    uint32_t unused, oldest, newest, count;
    uint64_t added;
};

struct pendings *
pendings_new(void)
{
    struct pendings *pendings = calloc(1, sizeof *pendings);
    if (!pendings) die("There is no memory for what is pending.");
    memset(pendings->buckets, 0xff, sizeof pendings->buckets);
    for (uint32_t i = 0; i < PENDING_MAX; i++)
        pendings->places[i].newer = i + 1 < PENDING_MAX ? i + 1 : NOBODY;
    pendings->oldest = pendings->newest = NOBODY;
    return pendings;
}

void
pendings_destroy(struct pendings **pendings_p)
{
    free(*pendings_p);
    *pendings_p = NULL;
}

static uint32_t *
bucket(struct pendings *pendings, struct text reference)
{
    uint32_t hash = UINT32_C(2166136261);
    for (size_t i = 0; i < reference.size; i++)
        hash = (hash ^ (uint8_t)reference.at[i]) * UINT32_C(16777619);
    return &pendings->buckets[hash % BUCKETS];
}

struct pending *
pendings_add(struct pendings *pendings, struct text reference)
{
    const uint32_t index = pendings->unused;
    if (index == NOBODY) return NULL;
    struct pending *pending = &pendings->places[index];
    assert(reference.size < sizeof pending->reference);
    pendings->unused = pending->newer;

    uint32_t *head = bucket(pendings, reference);
    memset(pending, 0, sizeof *pending);
    memcpy(pending->reference, reference.at, reference.size);
    pending->used = true;
    pending->correlation = ++pendings->added * PENDING_MAX + index;
    pending->same_bucket = *head;
    pending->older = pendings->newest;
    pending->newer = NOBODY;
    *head = index;
    if (pendings->newest == NOBODY)
        pendings->oldest = index;
    else
        pendings->places[pendings->newest].newer = index;
    pendings->newest = index;
    pendings->count++;
    return pending;
}

struct pending *
pendings_find(struct pendings *pendings, struct text reference)
{
    uint32_t at = *bucket(pendings, reference);
    while (at != NOBODY && !text_is(reference, pendings->places[at].reference))
        at = pendings->places[at].same_bucket;
    return at == NOBODY ? NULL : &pendings->places[at];
}

struct pending *
pendings_asked(struct pendings *pendings, uint64_t correlation)
{
    struct pending *pending = &pendings->places[correlation % PENDING_MAX];
    return pending->used && pending->correlation == correlation ? pending : NULL;
}

void
pendings_remove(struct pendings *pendings, struct pending *pending)
{
    const uint32_t index = (uint32_t)(pending - pendings->places);
    uint32_t *at = bucket(pendings, text_of(pending->reference));
    assert(pending->used);
    while (*at != index)
        at = &pendings->places[*at].same_bucket;
    *at = pending->same_bucket;
    if (pending->older == NOBODY)
        pendings->oldest = pending->newer;
    else
        pendings->places[pending->older].newer = pending->newer;
    if (pending->newer == NOBODY)
        pendings->newest = pending->older;
    else
        pendings->places[pending->newer].older = pending->older;
    explicit_bzero(pending, sizeof *pending);
    pending->newer = pendings->unused;
    pendings->unused = index;
    pendings->count--;
}

struct pending *
pendings_oldest(struct pendings *pendings)
{
    return pendings->oldest == NOBODY ? NULL : &pendings->places[pendings->oldest];
}

struct pending *
pendings_newer(struct pendings *pendings, const struct pending *pending)
{
    return pending->newer == NOBODY ? NULL : &pendings->places[pending->newer];
}

uint32_t
pendings_count(const struct pendings *pendings)
{
    return pendings->count;
}

bool
pending_wait(struct pending *pending, const struct waiter *waiter)
{
    if (pending->waiter_count == WAITERS_MAX) return false;
    pending->waiters[pending->waiter_count++] = *waiter;
    return true;
}
