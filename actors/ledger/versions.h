/* versions: at which version the rows are that were written or looked up lately.
 *
 * Whoever leads is the only writer, so what stands here is what stands in Postgres, as long as it
 * is put here after the COMMIT and never before. Bounded: sets of a few places, and in each set the
 * one that was used longest ago goes. What is not here is looked up. Rows are known by their
 * fingerprint. */
#pragma once

#include "attempt.h"
#include "text.h"
#include <stdbool.h>
#include <stdint.h>

struct versions;

struct version {
    int64_t version;          /* 0: there is no such row */
    enum attempt_state state; /* of attempts, else ATTEMPT_NONE */
};

/* Room for at least `count` rows. */
struct versions *versions_new(size_t count);
void versions_destroy(struct versions **versions_p);
void versions_clear(struct versions *versions);
bool versions_get(struct versions *versions, uint8_t table, struct text merchant, struct text id,
                  struct version *version);
void versions_put(struct versions *versions, uint8_t table, struct text merchant, struct text id,
                  struct version version);
