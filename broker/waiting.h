/* waiting: requests whose slot has no ready owner, kept for a moment in the order they came, so
 * that the restart of a worker is a short wait to its clients and no error. Bounded in number and
 * in bytes. */
#pragma once

#include "loop.h"
#include "must_use.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAITING_MAX 10000
#define WAITING_BYTES_MAX (64 << 20)

struct waiting_request {
    struct waiting_request *next;
    int64_t until_ms; /* monotonic: it is refused then */
    int64_t deadline_ms;
    uint64_t correlation;
    struct peer asker;
    uint16_t number, slot;
    size_t size;
    uint8_t body[];
};

struct waiting {
    struct waiting_request *first, **last_p;
    size_t count, bytes;
};

void waiting_init(struct waiting *waiting);
/* Copies the packet. False when there is no room. */
MUST_USE bool waiting_add(struct waiting *waiting, const struct packet *packet, int64_t until_ms);

/* What becomes of one who waits. */
enum waiting_fate { WAITING_STAYS, WAITING_LEAVES };
typedef enum waiting_fate waiting_fn(void *state, const struct waiting_request *request);
/* Asks about each, oldest first, and forgets those who leave. */
void waiting_each(struct waiting *waiting, waiting_fn *decide, void *state);
