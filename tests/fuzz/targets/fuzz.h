/* fuzz: what all fuzzers share. A fuzzer is a function that is given bytes and must hold its
 * promise for all of them; the sanitizers watch what is read and written. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold of Florin, whatever the input. */
#define MUST_HOLD(condition)                                                                      \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            fprintf(stderr, "%s:%d: it does not hold that %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                              \
        }                                                                                         \
    } while (0)

/* Memory of exactly that size, so that a step beyond it is seen. */
static inline void *
exactly(size_t size)
{
    void *memory = malloc(size ? size : 1);
    MUST_HOLD(memory);
    return memory;
}

static inline void *
exact_copy(const void *bytes, size_t size)
{
    void *memory = exactly(size);
    if (size) memcpy(memory, bytes, size);
    return memory;
}
