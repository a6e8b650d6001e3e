#include "codes.h"

#include "id.h"
#include "log.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define PREFIX "cvc_"
#define PREFIX_SIZE 4
#define PLACE_SIZE 4 /* of base 32: 20 bits */
#define CHANCE_SIZE 20
#define NOBODY UINT32_MAX

static_assert(PREFIX_SIZE + PLACE_SIZE + CHANCE_SIZE == CODE_HANDLE_SIZE, "a handle is whole");
static_assert(CODES_MAX <= 1 << (5 * PLACE_SIZE), "every place has a name");

/* A place is either in the list of those in use, the oldest first, or in the list of the free. All
 * live equally long, so the oldest is always the next to go. */
struct place {
    char handle[CODE_HANDLE_SIZE];
    uint8_t identity[IDENTITY_BYTES];
    char code[CARD_CODE_DIGITS_MAX + 1];
    int64_t end_ms;
    uint32_t older, newer; /* `newer` links the free ones too */
};

struct codes {
    uint32_t capacity, count;
    uint32_t oldest, newest, unused;
    struct place places[];
};

struct codes *
codes_new(uint32_t capacity)
{
    assert(capacity > 0 && capacity <= CODES_MAX);
    const size_t size = sizeof(struct codes) + capacity * sizeof(struct place);
    /* sodium_malloc puts the end of a block against a guard page: its size must keep the alignment.
     */
    struct codes *codes = sodium_malloc((size + 15) & ~(size_t)15);
    if (!codes) die("There is no memory that can be locked for security codes.");
    sodium_memzero(codes, size);
    codes->capacity = capacity;
    codes->oldest = codes->newest = codes->unused = NOBODY;
    for (uint32_t i = capacity; i-- > 0;) {
        codes->places[i].newer = codes->unused;
        codes->unused = i;
    }
    return codes;
}

void
codes_destroy(struct codes **codes_p)
{
    sodium_free(*codes_p); /* wipes */
    *codes_p = NULL;
}

static void
drop(struct codes *codes, uint32_t index)
{
    struct place *place = &codes->places[index];
    const uint32_t older = place->older, newer = place->newer;
    if (older == NOBODY)
        codes->oldest = newer;
    else
        codes->places[older].newer = newer;
    if (newer == NOBODY)
        codes->newest = older;
    else
        codes->places[newer].older = older;
    sodium_memzero(place, sizeof *place);
    place->newer = codes->unused;
    codes->unused = index;
    codes->count--;
}

static void
handle_write(uint32_t index, char handle[static CODE_HANDLE_SIZE])
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
    uint8_t chance[CHANCE_SIZE];
    char characters[CHANCE_SIZE + 1];
    randombytes_buf(chance, sizeof chance);
    id_random_text(characters, CHANCE_SIZE, chance);
    memcpy(handle, PREFIX, PREFIX_SIZE);
    for (int i = 0; i < PLACE_SIZE; i++)
        handle[PREFIX_SIZE + i] = digits[index >> (5 * (PLACE_SIZE - 1 - i)) & 31];
    memcpy(handle + PREFIX_SIZE + PLACE_SIZE, characters, CHANCE_SIZE);
}

/* The place that a handle names, NOBODY when it names none. */
static uint32_t
handle_place(struct text handle, uint32_t capacity)
{
    uint32_t index = 0;
    if (handle.size != CODE_HANDLE_SIZE || !text_starts(handle, PREFIX)) return NOBODY;
    for (int i = 0; i < PLACE_SIZE; i++) {
        const char c = handle.at[PREFIX_SIZE + i];
        if (c >= '0' && c <= '9')
            index = index << 5 | (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'v')
            index = index << 5 | (uint32_t)(c - 'a' + 10);
        else
            return NOBODY;
    }
    return index < capacity ? index : NOBODY;
}

bool
codes_keep(struct codes *codes, const uint8_t identity[static IDENTITY_BYTES], const char *code,
           int64_t mono_ms, char handle[static CODE_HANDLE_SIZE + 1])
{
    assert(strlen(code) > 0 && strlen(code) <= CARD_CODE_DIGITS_MAX);
    codes_sweep(codes, mono_ms);
    const bool full = codes->unused == NOBODY;
    if (full) drop(codes, codes->oldest);

    const uint32_t index = codes->unused;
    struct place *place = &codes->places[index];
    codes->unused = place->newer;
    handle_write(index, place->handle);
    memcpy(place->identity, identity, IDENTITY_BYTES);
    memcpy(place->code, code, strlen(code) + 1);
    place->end_ms = mono_ms + CODE_LIFETIME_MS;
    place->older = codes->newest;
    place->newer = NOBODY;
    if (codes->newest == NOBODY)
        codes->oldest = index;
    else
        codes->places[codes->newest].newer = index;
    codes->newest = index;
    codes->count++;

    memcpy(handle, place->handle, CODE_HANDLE_SIZE);
    handle[CODE_HANDLE_SIZE] = '\0';
    return full;
}

bool
codes_take(struct codes *codes, struct text handle, const uint8_t identity[static IDENTITY_BYTES],
           int64_t mono_ms, char code[static CARD_CODE_DIGITS_MAX + 1])
{
    code[0] = '\0';
    codes_sweep(codes, mono_ms);
    const uint32_t index = handle_place(handle, codes->capacity);
    if (index == NOBODY) return false;
    const struct place *place = &codes->places[index];
    if (sodium_memcmp(place->handle, handle.at, CODE_HANDLE_SIZE) != 0) return false;
    if (sodium_memcmp(place->identity, identity, IDENTITY_BYTES) != 0) return false;
    memcpy(code, place->code, sizeof place->code);
    drop(codes, index);
    return true;
}

void
codes_sweep(struct codes *codes, int64_t mono_ms)
{
    while (codes->oldest != NOBODY && codes->places[codes->oldest].end_ms <= mono_ms)
        drop(codes, codes->oldest);
}

uint32_t
codes_count(const struct codes *codes)
{
    return codes->count;
}
