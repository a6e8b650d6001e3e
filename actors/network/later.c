#include "later.h"

#include "log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    int64_t due_ms;
    uint64_t order;
    void *thing;
};

/* A binary heap: no entry comes before its parent, which is at half its place. */
struct later {
    size_t most, count;
    uint64_t put;
    struct entry entries[];
};

struct later *
later_new(size_t most)
{
    assert(most > 0);
    struct later *later = calloc(1, sizeof *later + most * sizeof *later->entries);
    if (!later) die("There is no memory for what is due later.");
    later->most = most;
    return later;
}

void
later_destroy(struct later **later_p)
{
    struct later *later = *later_p;
    *later_p = NULL;
    if (!later) return;
    for (size_t i = 0; i < later->count; i++)
        free(later->entries[i].thing);
    free(later);
}

static bool
comes_before(const struct entry *a, const struct entry *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

bool
later_put(struct later *later, int64_t due_ms, const void *thing, size_t size)
{
    if (later->count == later->most) return false;
    const struct entry entry = {due_ms, later->put++, malloc(size)};
    if (!entry.thing) die("There is no memory for what is due later.");
    memcpy(entry.thing, thing, size);
    size_t at = later->count++;
    for (; at > 0 && comes_before(&entry, &later->entries[(at - 1) / 2]); at = (at - 1) / 2)
        later->entries[at] = later->entries[(at - 1) / 2];
    later->entries[at] = entry;
    return true;
}

void *
later_take(struct later *later, int64_t now_ms)
{
    if (later->count == 0 || later->entries[0].due_ms > now_ms) return NULL;
    void *thing = later->entries[0].thing;
    const struct entry last = later->entries[--later->count];
    size_t at = 0;
    for (size_t child = 1; child < later->count; child = 2 * at + 1) {
        if (child + 1 < later->count &&
            comes_before(&later->entries[child + 1], &later->entries[child]))
            child++;
        if (!comes_before(&later->entries[child], &last)) break;
        later->entries[at] = later->entries[child];
        at = child;
    }
    later->entries[at] = last;
    return thing;
}

int64_t
later_wait_ms(const struct later *later, int64_t now_ms, int64_t otherwise)
{
    if (later->count == 0) return otherwise;
    const int64_t wait_ms = later->entries[0].due_ms - now_ms;
    if (wait_ms < 0) return 0;
    return wait_ms < otherwise ? wait_ms : otherwise;
}

size_t
later_count(const struct later *later)
{
    return later->count;
}
