#include "id.h"

#include <assert.h>

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

enum { TIME_SIZE = 8, COUNTER_SIZE = 2, CHANCE_SIZE = 14 };

/* The low `size` digits of `value` in base 62, most significant first. */
static void
put_number(char *out, size_t size, uint64_t value)
{
    for (size_t i = size; i-- > 0; value /= 62)
        out[i] = digits[value % 62];
}

void
id_random_text(char *out, size_t count, const uint8_t *random)
{
    for (size_t i = 0; i < count; i++)
        out[i] = digits[random[i] % 62]; /* 256 is not a multiple of 62: 5.92 bits a character */
}

struct text
id_make(char *out, const char *prefix, int64_t now_ms, uint32_t counter,
        const uint8_t random[static ID_RANDOM_BYTES])
{
    const size_t prefix_size = strlen(prefix);
    assert(prefix_size + TIME_SIZE + COUNTER_SIZE + CHANCE_SIZE <= ID_SIZE_MAX);
    assert(now_ms >= 0);
    memcpy(out, prefix, prefix_size);
    char *at = out + prefix_size;
    put_number(at, TIME_SIZE, (uint64_t)now_ms);
    put_number(at + TIME_SIZE, COUNTER_SIZE, counter);
    id_random_text(at + TIME_SIZE + COUNTER_SIZE, CHANCE_SIZE, random);
    at[TIME_SIZE + COUNTER_SIZE + CHANCE_SIZE] = 0;
    return (struct text){out, prefix_size + TIME_SIZE + COUNTER_SIZE + CHANCE_SIZE};
}

struct text
id_floor(char *out, const char *prefix, int64_t now_ms)
{
    const size_t prefix_size = strlen(prefix);
    assert(prefix_size + TIME_SIZE <= ID_SIZE_MAX);
    assert(now_ms >= 0);
    memcpy(out, prefix, prefix_size);
    put_number(out + prefix_size, TIME_SIZE, (uint64_t)now_ms);
    out[prefix_size + TIME_SIZE] = 0;
    return (struct text){out, prefix_size + TIME_SIZE};
}

struct text
id_beside(char *out, struct text first, unsigned n)
{
    assert(n < ID_BESIDE_MAX && first.size > 0 && first.size <= ID_SIZE_MAX);
    memcpy(out, first.at, first.size - 1);
    out[first.size - 1] = digits[n];
    out[first.size] = 0;
    return (struct text){out, first.size};
}

bool
id_is_beside(struct text id, struct text first, unsigned n)
{
    const size_t last = first.size - 1;
    return n < ID_BESIDE_MAX && first.size > 0 && id.size == first.size &&
           first.at[last] == digits[0] && id.at[last] == digits[n] &&
           memcmp(id.at, first.at, last) == 0;
}

bool
id_is(struct text id, const char *prefix)
{
    const size_t prefix_size = strlen(prefix);
    if (!text_starts(id, prefix)) return false;
    if (id.size <= prefix_size || id.size > prefix_size + 60 || id.size > ID_SIZE_MAX) return false;
    for (size_t i = prefix_size; i < id.size; i++) {
        const char c = id.at[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '_') return false;
    }
    return true;
}

uint16_t
slot_of(struct text merchant)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < merchant.size; i++) {
        hash ^= (uint8_t)merchant.at[i];
        hash *= UINT64_C(1099511628211);
    }
    return (uint16_t)((hash ^ hash >> 32) % SLOT_COUNT); /* the high half is mixed best */
}

bool
slot_in(const uint8_t slots[static SLOT_BYTES], uint16_t slot)
{
    assert(slot < SLOT_COUNT);
    return slots[slot / 8] & 0x80 >> slot % 8;
}

void
slot_add(uint8_t slots[static SLOT_BYTES], uint16_t slot)
{
    assert(slot < SLOT_COUNT);
    slots[slot / 8] = (uint8_t)(slots[slot / 8] | 0x80 >> slot % 8);
}

void
slot_remove(uint8_t slots[static SLOT_BYTES], uint16_t slot)
{
    assert(slot < SLOT_COUNT);
    slots[slot / 8] = (uint8_t)(slots[slot / 8] & ~(0x80 >> slot % 8));
}

unsigned
slot_count(const uint8_t slots[static SLOT_BYTES])
{
    unsigned count = 0;
    uint64_t word; /* a worker counts its slots in each turn */
    for (size_t i = 0; i < SLOT_BYTES; i += sizeof word) {
        memcpy(&word, slots + i, sizeof word);
        if (word) count += (unsigned)__builtin_popcountll(word);
    }
    return count;
}
