#include "random.h"

#include "clock.h"
#include "log.h"
#include <assert.h>
#include <sodium.h>
#include <stdatomic.h>

void
random_start(void)
{
    if (sodium_init() < 0) die("libsodium cannot start: the system gives no random numbers.");
}

void
random_start_streaming(void)
{
    randombytes_set_implementation(&randombytes_salsa20_implementation);
    random_start();
}

void
random_bytes(void *out, size_t size)
{
    randombytes_buf(out, size);
}

uint64_t
random_below(uint64_t bound)
{
    uint64_t value;
    assert(bound > 0);
    randombytes_buf(&value, sizeof value);
    return value % bound; /* for jitter and dice: the bias of 2^64 mod bound is nothing */
}

struct text
id_new(char out[static ID_SIZE_MAX + 1], const char *prefix)
{
    static _Atomic uint32_t counter;
    uint8_t random[ID_RANDOM_BYTES];
    randombytes_buf(random, sizeof random);
    return id_make(out, prefix, clock_wall_ms(), atomic_fetch_add(&counter, 1), random);
}
