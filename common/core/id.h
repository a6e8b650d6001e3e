/* id: names of things, made so that they sort by their time.
 *
 * `pi_` and 24 characters of base 62: 8 for the milliseconds since 1970, 2 for a counter that rises
 * within a process, 14 of chance (83 bits). Time first, so that neighbours in time are neighbours
 * in the index (37 µs a payment instead of 53) and a list needs no other order. Digits before
 * capitals before small letters: the order of COLLATE "C". */
#pragma once

#include "text.h"
#include <stdint.h>

#define ID_SIZE_MAX 63 /* prefix and all */
#define ID_RANDOM_BYTES 16
#define ID_BESIDE_MAX 62

/* Writes prefix + 24 characters and a NUL; `out` holds ID_SIZE_MAX + 1. */
struct text id_make(char *out, const char *prefix, int64_t now_ms, uint32_t counter,
                    const uint8_t random[static ID_RANDOM_BYTES]);
/* The least id of that millisecond: for `created` bounds turned into ranges of ids. */
struct text id_floor(char *out, const char *prefix, int64_t now_ms);
/* Of things that are made together, at most ID_BESIDE_MAX: the id of the n-th, which is that of the
 * first with another last character. So whoever knows the id of one knows that of the first, and
 * an index needs to bear no other. id_beside(out, first, 0) is the first's own; `out` as above. */
struct text id_beside(char *out, struct text first, unsigned n);
bool id_is_beside(struct text id, struct text first, unsigned n);
/* `count` characters of base 62 from as many random bytes (client secrets, keys). */
void id_random_text(char *out, size_t count, const uint8_t *random);
/* Looks like an id of that prefix: the prefix, then 1 to 60 letters and digits or underscores. */
bool id_is(struct text id, const char *prefix);

#define SLOT_COUNT 1024
#define SLOT_BYTES (SLOT_COUNT / 8)
/* A merchant's slot: which worker serves it, which ledger partition books it. FNV-1a, so that it
 * can be computed anywhere without a key. */
uint16_t slot_of(struct text merchant);
bool slot_in(const uint8_t slots[static SLOT_BYTES], uint16_t slot);
void slot_add(uint8_t slots[static SLOT_BYTES], uint16_t slot);
void slot_remove(uint8_t slots[static SLOT_BYTES], uint16_t slot);
unsigned slot_count(const uint8_t slots[static SLOT_BYTES]);
