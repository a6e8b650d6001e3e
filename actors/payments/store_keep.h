/* store_keep: the engine's side of the store (store.h is the handlers'): what has been committed is
 * remembered, what has become doubtful is forgotten, and open attempts are looked for. */
#pragma once

#include "id.h"
#include "store.h"

/* `home` NULL: without Postgres, for tests. Then what was not written by store_wrote is missing,
 * and lists are not to be had. */
struct store *store_new(const char *home);
void store_destroy(struct store **store_p);

/* The ledger has committed this row. */
void store_wrote(struct store *store, enum row_table table, const void *row);
/* It may have changed behind our back: read it again. */
void store_forget(struct store *store, enum row_table table, struct text merchant, struct text id);
void store_forget_slots(struct store *store, const uint8_t slots[static SLOT_BYTES]);

/* As store_get, for a merchant whose slot may be another worker's: never from memory, never kept.
 */
MUST_USE enum store_verdict store_get_unkept(struct store *store, enum row_table table,
                                             struct text merchant, struct text id,
                                             struct arena *arena, void *row);

/* An API key that is not revoked, by its hash. */
MUST_USE enum store_verdict store_key(struct store *store, struct text hash, struct arena *arena,
                                      struct row_api_key *key);

#define OPEN_ATTEMPTS_MAX 4096
/* At most OPEN_ATTEMPTS_MAX attempts of these slots that are sending, unknown or reversing. Never
 * from memory: what counts is what is durable. */
MUST_USE enum store_verdict store_open_attempts(struct store *store,
                                                const uint8_t slots[static SLOT_BYTES],
                                                struct arena *arena, struct row_attempt **attempts,
                                                size_t *count);
#define DUE_HOLDS_MAX 500
/* The charges whose hold has run out, whoever's, the longest ago first. */
MUST_USE enum store_verdict store_due_holds(struct store *store, int64_t now_s, struct arena *arena,
                                            struct row_charge **charges, size_t *count);
/* Whether Postgres answers a question now. */
bool store_reads(struct store *store);
