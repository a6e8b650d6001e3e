/* claims: the keys that got a row of their own lately.
 *
 * Whether a key is new is asked while other batches are written (lookahead.h). What came into the
 * table since is here, all of it back to a certain batch: a key that was not there when it was
 * asked for, at that batch or later, and is not here, is new. That must be exact, because the
 * network is asked before the key's row is written, and Postgres would refuse a second one too
 * late. */
#pragma once

#include "fingerprint.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct claims;

/* Remembers at least the last `count`, and at most twice as many. */
struct claims *claims_new(size_t count);
void claims_destroy(struct claims **claims_p);
/* Nothing is known of what was written up to that batch. */
void claims_clear(struct claims *claims, int64_t batch);
void claims_put(struct claims *claims, struct fingerprint key, int64_t batch);
bool claims_have(const struct claims *claims, struct fingerprint key);
/* All that came after this batch are here. */
int64_t claims_since(const struct claims *claims);
