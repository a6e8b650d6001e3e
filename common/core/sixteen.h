/* sixteen: bytes that are looked at sixteen at a time.
 *
 * Texts are walked for what is rare in them: a quote, a control, a byte above ASCII. The compiler
 * makes a few instructions of each of these (SSE2, NEON), or pieces of eight where there is nothing
 * of the kind. */
#pragma once

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t sixteen __attribute__((vector_size(16)));

static inline sixteen
sixteen_at(const void *bytes)
{
    sixteen all;
    memcpy(&all, bytes, sizeof all);
    return all;
}

/* Where the first byte is that is not zero; 16 when all are. What comparing has left: 0 or 0xff. */
static inline size_t
sixteen_first(sixteen found)
{
    uint64_t half[2];
    memcpy(half, &found, sizeof half);
    if (half[0]) return (size_t)__builtin_ctzll(le64toh(half[0])) / 8;
    if (half[1]) return 8 + (size_t)__builtin_ctzll(le64toh(half[1])) / 8;
    return 16;
}

/* What ends a run inside a JSON string: its end, and an escape. */
static inline sixteen
sixteen_quotes(sixteen all)
{
    return (sixteen)(all == (uint8_t)'"') | (sixteen)(all == (uint8_t)'\\');
}
