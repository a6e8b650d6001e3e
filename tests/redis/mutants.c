/* mutants: what a gateway is linked with (--wrap) that believes whatever Redis says, and one that
 * goes on asking a Redis that does not answer. */
#include "redis.h"

#include <stddef.h>

int __wrap_sodium_memcmp(const void *a, const void *b, size_t size);
void __wrap_redis_was_late(struct redis *redis, int64_t mono_ms);

/* The only use of sodium_memcmp in a gateway is the MAC of a kept answer (kept.c). */
int
__wrap_sodium_memcmp(const void *a, const void *b, size_t size)
{
    (void)a;
    (void)b;
    (void)size;
    return 0;
}

void
__wrap_redis_was_late(struct redis *redis, int64_t mono_ms)
{
    (void)redis;
    (void)mono_ms;
}
