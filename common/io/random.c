#include "random.h"

#include "clock.h"
#include "log.h"
#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

/* Chance in store, each byte given out once and wiped as it is. libsodium asks the kernel for the
 * process's number each time that it is asked for chance: thirteen times a payment. */
static _Thread_local struct {
    uint8_t bytes[512];
    size_t left;
} pool;

/* A child has the store of the thread that forked, and must not give out the same. */
static void
forget_pool(void)
{
    sodium_memzero(pool.bytes, sizeof pool.bytes);
    pool.left = 0;
}

static void
watch_forks(void)
{
    if (pthread_atfork(NULL, NULL, forget_pool) != 0) die("There is no memory to begin with.");
}

void
random_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (sodium_init() < 0) die("libsodium cannot start: the system gives no random numbers.");
    pthread_once(&once, watch_forks);
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
    if (size >= RANDOM_KEPT_MAX) {
        randombytes_buf(out, size);
        return;
    }
    if (pool.left < size) {
        randombytes_buf(pool.bytes, sizeof pool.bytes);
        pool.left = sizeof pool.bytes;
    }
    uint8_t *const from = pool.bytes + sizeof pool.bytes - pool.left;
    memcpy(out, from, size);
    explicit_bzero(from, size);
    pool.left -= size;
}

uint64_t
random_below(uint64_t bound)
{
    uint64_t value;
    assert(bound > 0);
    random_bytes(&value, sizeof value);
    return value % bound; /* for jitter and dice: the bias of 2^64 mod bound is nothing */
}

struct text
id_new(char out[static ID_SIZE_MAX + 1], const char *prefix)
{
    static _Atomic uint32_t counter;
    uint8_t random[ID_RANDOM_BYTES];
    random_bytes(random, sizeof random);
    return id_make(out, prefix, clock_wall_ms(), atomic_fetch_add(&counter, 1), random);
}
