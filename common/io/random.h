/* random: chance, from libsodium. A process that cannot get any does not start (F92). */
#pragma once

#include "id.h"
#include <stddef.h>
#include <stdint.h>

void random_start(void); /* dies when sodium_init fails */
/* As random_start, then by a stream cipher that the kernel seeds once: a payment makes some ten
 * ids, and asking the kernel for each was 5 % of a worker's time. Only for processes that never
 * fork (libsodium ends one that does, rather than give the same numbers twice). */
void random_start_streaming(void);
/* What is shorter than a key comes from a store of the thread's own, filled by one asking. */
#define RANDOM_KEPT_MAX 32
void random_bytes(void *out, size_t size);
uint64_t random_below(uint64_t bound);
/* A new id with the time, counter and chance of this process. */
struct text id_new(char out[static ID_SIZE_MAX + 1], const char *prefix);
