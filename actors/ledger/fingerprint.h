/* fingerprint: 128 bits that stand for a row, a key or a command, so that nobody has to keep or to
 * compare their names.
 *
 * No client chooses the ids of rows, so two that are alike come by chance alone: among 2^32 rows
 * with one of 2^65. Nothing would be lost by it: what the ledger takes for known is a condition of
 * each statement, too. The same in every process and every run. */
#pragma once

#include "text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fingerprint {
    uint64_t a, b; /* never both zero */
};

/* Of something: the one that is zero stands for nothing. */
static inline bool
fingerprint_is_any(struct fingerprint f)
{
    return f.a | f.b;
}

static inline bool
fingerprint_equal(struct fingerprint f, struct fingerprint other)
{
    return f.a == other.a && f.b == other.b;
}

/* Where to look for it first, in a table that is looked up by fingerprints. */
static inline size_t
fingerprint_cell(struct fingerprint f, size_t mask)
{
    return (size_t)(f.a ^ f.b >> 32) & mask;
}

static inline void
fingerprint_add(struct fingerprint *f, uint64_t word)
{
    f->a = (f->a ^ word) * UINT64_C(0x9fb21c651e98df25);
    f->a ^= f->a >> 32;
    f->b = (f->b + word) * UINT64_C(0xd6e8feb86659fd93);
    f->b ^= f->b >> 29;
}

static inline void
fingerprint_text(struct fingerprint *f, struct text text)
{
    size_t at = 0;
    for (; text.size - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, text.at + at, 8);
        fingerprint_add(f, word);
    }
    uint64_t rest = 0;
    if (text.size > at) memcpy(&rest, text.at + at, text.size - at);
    fingerprint_add(f, rest ^ (uint64_t)text.size << 56); /* the rest has seven bytes at most */
}

/* `kind` keeps apart what may bear the same name: a table's number, or one that no table has. */
static inline struct fingerprint
fingerprint_of(uint8_t kind, struct text merchant, struct text name)
{
    struct fingerprint f = {UINT64_C(0xcbf29ce484222325), UINT64_C(0x84222325cbf29ce4)};
    fingerprint_add(&f, kind);
    fingerprint_text(&f, merchant);
    fingerprint_text(&f, name);
    fingerprint_add(&f, 0);
    f.a |= 1;
    return f;
}
