#include "shelf.h"

#include "log.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NOBODY UINT32_MAX

enum { BY_TOKEN, BY_IDENTITY, INDEX_COUNT };

struct place {
    struct card_record record;
    uint32_t next[INDEX_COUNT]; /* in the chain of its bucket */
    bool taken, wanted;
};

struct shelf {
    uint32_t capacity, hand;
    uint32_t bucket_mask;
    uint32_t *buckets[INDEX_COUNT];
    struct place *places;
};

struct shelf *
shelf_new(uint32_t capacity)
{
    assert(capacity > 0 && capacity <= 1 << 24);
    uint32_t buckets = 1;
    while (buckets < capacity)
        buckets *= 2;
    struct shelf *shelf = calloc(1, sizeof *shelf);
    struct place *places = calloc(capacity, sizeof *places);
    if (!shelf || !places) die("There is no memory for the vault's shelf.");
    *shelf = (struct shelf){.capacity = capacity, .bucket_mask = buckets - 1, .places = places};
    for (int i = 0; i < INDEX_COUNT; i++) {
        shelf->buckets[i] = malloc(buckets * sizeof *shelf->buckets[i]);
        if (!shelf->buckets[i]) die("There is no memory for the vault's shelf.");
        memset(shelf->buckets[i], 0xff, buckets * sizeof *shelf->buckets[i]);
    }
    return shelf;
}

void
shelf_destroy(struct shelf **shelf_p)
{
    struct shelf *shelf = *shelf_p;
    *shelf_p = NULL;
    if (!shelf) return;
    for (int i = 0; i < INDEX_COUNT; i++)
        free(shelf->buckets[i]);
    free(shelf->places);
    free(shelf);
}

/* Tokens end in chance and identities are keyed hashes: nobody outside can choose their bucket. */
static uint32_t
token_hash(struct text token)
{
    uint32_t hash = UINT32_C(2166136261);
    for (size_t i = 0; i < token.size; i++)
        hash = (hash ^ (uint8_t)token.at[i]) * UINT32_C(16777619);
    return hash;
}

static uint32_t
identity_hash(const uint8_t identity[static IDENTITY_BYTES])
{
    uint32_t hash;
    memcpy(&hash, identity, sizeof hash);
    return hash;
}

static uint32_t *
bucket(const struct shelf *shelf, int index, const struct card_record *record)
{
    const uint32_t hash =
        index == BY_TOKEN ? token_hash(text_of(record->token)) : identity_hash(record->identity);
    return &shelf->buckets[index][hash & shelf->bucket_mask];
}

static void
unlink_place(struct shelf *shelf, uint32_t gone)
{
    for (int i = 0; i < INDEX_COUNT; i++) {
        uint32_t *at = bucket(shelf, i, &shelf->places[gone].record);
        while (*at != gone)
            at = &shelf->places[*at].next[i];
        *at = shelf->places[gone].next[i];
    }
}

/* The clock's hand goes round: what was wanted since it last came by gets another round. */
static uint32_t
make_room(struct shelf *shelf)
{
    for (;;) {
        const uint32_t index = shelf->hand;
        struct place *place = &shelf->places[index];
        shelf->hand = (shelf->hand + 1) % shelf->capacity;
        if (place->taken && place->wanted) {
            place->wanted = false;
            continue;
        }
        if (place->taken) unlink_place(shelf, index);
        return index;
    }
}

void
shelf_put(struct shelf *shelf, const struct card_record *record)
{
    if (shelf_by_token(shelf, text_of(record->token))) return;
    const uint32_t index = make_room(shelf);
    struct place *place = &shelf->places[index];
    *place = (struct place){.record = *record, .taken = true};
    for (int i = 0; i < INDEX_COUNT; i++) {
        uint32_t *head = bucket(shelf, i, record);
        place->next[i] = *head;
        *head = index;
    }
}

const struct card_record *
shelf_by_token(struct shelf *shelf, struct text token)
{
    uint32_t at = shelf->buckets[BY_TOKEN][token_hash(token) & shelf->bucket_mask];
    for (; at != NOBODY; at = shelf->places[at].next[BY_TOKEN]) {
        struct place *place = &shelf->places[at];
        if (!text_is(token, place->record.token)) continue;
        place->wanted = true;
        return &place->record;
    }
    return NULL;
}

const struct card_record *
shelf_by_identity(struct shelf *shelf, const uint8_t identity[static IDENTITY_BYTES])
{
    uint32_t at = shelf->buckets[BY_IDENTITY][identity_hash(identity) & shelf->bucket_mask];
    for (; at != NOBODY; at = shelf->places[at].next[BY_IDENTITY]) {
        struct place *place = &shelf->places[at];
        if (memcmp(place->record.identity, identity, IDENTITY_BYTES) != 0) continue;
        place->wanted = true;
        return &place->record;
    }
    return NULL;
}
