#include "endpoints.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define INDEX_SIZE (2 * ENDPOINTS_KNOWN_MAX)

struct endpoint {
    char id[ENDPOINT_ID_MAX + 1];
    int under_way;
    int share;
    int failures;        /* in a row */
    bool succeeded;      /* the last try did */
    int64_t look_at;     /* wall: when something is due, as far as we know */
    int64_t hold_until;  /* mono */
    int64_t quiet_since; /* mono: of those under way, nothing has come back since */
};

struct endpoints {
    int share_max;
    int under_way;
    size_t count, first; /* how many are known; who is asked first next time */
    struct endpoint all[ENDPOINTS_KNOWN_MAX];
    uint16_t index[INDEX_SIZE]; /* by hash: place in `all` + 1, 0 is free; collisions go on */
};

static_assert((INDEX_SIZE & (INDEX_SIZE - 1)) == 0, "the hash is cut by a mask");
static_assert(ENDPOINTS_KNOWN_MAX < UINT16_MAX, "places fit into the index");

static int
less(int a, int b)
{
    return a < b ? a : b;
}

struct endpoints *
endpoints_new(int share_max)
{
    assert(share_max >= 1);
    struct endpoints *endpoints = calloc(1, sizeof *endpoints);
    if (endpoints) endpoints->share_max = share_max;
    return endpoints;
}

void
endpoints_destroy(struct endpoints **endpoints_p)
{
    free(*endpoints_p);
    *endpoints_p = NULL;
}

static uint16_t *
place_of(struct endpoints *endpoints, const char *id)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *at = id; *at; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    for (uint32_t i = hash & (INDEX_SIZE - 1);; i = (i + 1) & (INDEX_SIZE - 1)) {
        uint16_t *place = &endpoints->index[i];
        if (!*place || strcmp(endpoints->all[*place - 1].id, id) == 0) return place;
    }
}

static struct endpoint *
find(struct endpoints *endpoints, const char *id)
{
    const uint16_t place = *place_of(endpoints, id);
    return place ? &endpoints->all[place - 1] : NULL;
}

/* Nothing under way and nothing to do: what is known of it can be forgotten. */
static void
forget_the_idle(struct endpoints *endpoints)
{
    size_t kept = 0;
    memset(endpoints->index, 0, sizeof endpoints->index);
    for (size_t i = 0; i < endpoints->count; i++) {
        const struct endpoint *it = &endpoints->all[i];
        if (!it->under_way && it->look_at == NEVER_MS) continue;
        endpoints->all[kept++] = *it;
        *place_of(endpoints, endpoints->all[kept - 1].id) = (uint16_t)kept;
    }
    endpoints->count = kept;
    endpoints->first = 0;
}

void
endpoints_work(struct endpoints *endpoints, const char *id, int64_t at_wall_ms)
{
    assert(id && *id && strlen(id) <= ENDPOINT_ID_MAX);
    struct endpoint *known = find(endpoints, id);
    if (!known) {
        if (endpoints->count == ENDPOINTS_KNOWN_MAX) forget_the_idle(endpoints);
        if (endpoints->count == ENDPOINTS_KNOWN_MAX) return; /* the next scan tells us again */
        uint16_t *place = place_of(endpoints, id);
        known = &endpoints->all[endpoints->count++];
        *known = (struct endpoint){.share = 1, .look_at = NEVER_MS};
        memcpy(known->id, id, strlen(id) + 1);
        *place = (uint16_t)endpoints->count;
    }
    if (at_wall_ms < known->look_at) known->look_at = at_wall_ms;
}

static bool
is_trusted(const struct endpoint *it, int64_t mono_ms)
{
    const bool slow = it->under_way && mono_ms - it->quiet_since > SLOW_AFTER_MS;
    return it->succeeded && !slow;
}

struct rooms {
    int trusted, others;
};

static struct rooms
rooms_left(const struct endpoints *endpoints, int64_t mono_ms)
{
    struct rooms rooms = {TRUSTED_SLOTS, OTHER_SLOTS};
    for (size_t i = 0; i < endpoints->count; i++) {
        const struct endpoint *it = &endpoints->all[i];
        if (!it->under_way) continue;
        int *room = is_trusted(it, mono_ms) ? &rooms.trusted : &rooms.others;
        *room -= it->under_way;
    }
    /* Below zero: some have changed sides since they were started. */
    const int free_slots = DELIVERY_SLOTS - endpoints->under_way;
    rooms.trusted = less(rooms.trusted < 0 ? 0 : rooms.trusted, free_slots);
    rooms.others = less(rooms.others, free_slots - rooms.trusted);
    return rooms;
}

size_t
endpoints_pick(struct endpoints *endpoints, struct moment now, struct endpoint_want *wants,
               size_t max)
{
    struct rooms rooms = rooms_left(endpoints, now.mono_ms);
    size_t picked = 0, seen = 0;
    for (; seen < endpoints->count && picked < max; seen++) {
        const struct endpoint *it = &endpoints->all[(endpoints->first + seen) % endpoints->count];
        if (it->look_at > now.wall_ms || it->hold_until > now.mono_ms) continue;
        int *room = is_trusted(it, now.mono_ms) ? &rooms.trusted : &rooms.others;
        const int count = less(it->share - it->under_way, *room);
        if (count <= 0) continue;
        *room -= count;
        wants[picked].count = count;
        memcpy(wants[picked++].endpoint, it->id, sizeof it->id);
    }
    if (endpoints->count) endpoints->first = (endpoints->first + seen) % endpoints->count;
    return picked;
}

void
endpoints_found(struct endpoints *endpoints, const struct endpoint_want *want, int found)
{
    struct endpoint *it = find(endpoints, want->endpoint);
    if (it && found < want->count) it->look_at = NEVER_MS;
}

void
endpoints_started(struct endpoints *endpoints, const char *id, struct moment now)
{
    struct endpoint *it = find(endpoints, id);
    assert(it); /* it was picked, and nobody who has something to do is forgotten */
    if (!it->under_way) it->quiet_since = now.mono_ms;
    it->under_way++;
    endpoints->under_way++;
    assert(endpoints->under_way <= DELIVERY_SLOTS);
}

void
endpoints_ended(struct endpoints *endpoints, const char *id, bool delivered, int64_t stay_away_ms,
                struct moment now)
{
    struct endpoint *it = find(endpoints, id);
    assert(it && it->under_way > 0);
    it->under_way--;
    endpoints->under_way--;
    it->quiet_since = now.mono_ms;
    it->succeeded = delivered;
    if (delivered) {
        it->share = less(it->share * 2, endpoints->share_max);
        it->failures = 0;
        it->hold_until = 0;
        return;
    }
    it->share = 1;
    it->failures++;
    int64_t hold = HOLD_FIRST_MS;
    for (int i = 1; i < it->failures && hold < HOLD_MAX_MS; i++)
        hold *= 2;
    if (hold < stay_away_ms) hold = stay_away_ms;
    if (hold > HOLD_MAX_MS) hold = HOLD_MAX_MS;
    it->hold_until = now.mono_ms + hold;
}

int64_t
endpoints_wait_ms(const struct endpoints *endpoints, struct moment now)
{
    const struct rooms rooms = rooms_left(endpoints, now.mono_ms);
    int64_t soonest = NEVER_MS;
    for (size_t i = 0; i < endpoints->count; i++) {
        const struct endpoint *it = &endpoints->all[i];
        if (it->look_at == NEVER_MS || it->under_way >= it->share) continue;
        if ((is_trusted(it, now.mono_ms) ? rooms.trusted : rooms.others) <= 0) continue;
        int64_t wait = it->look_at - now.wall_ms;
        if (it->hold_until - now.mono_ms > wait) wait = it->hold_until - now.mono_ms;
        if (wait < 0) wait = 0;
        if (wait < soonest) soonest = wait;
    }
    return soonest;
}

int
endpoints_under_way(const struct endpoints *endpoints)
{
    return endpoints->under_way;
}
