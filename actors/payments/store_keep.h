/* store_keep: the engine's side of the store (store.h is the handlers'): what has been committed is
 * remembered, what has become doubtful is forgotten, and open attempts are looked for. */
#pragma once

#include "id.h"
#include "store.h"

/* `home` NULL: without Postgres, for tests. Then what was not written by store_wrote is missing,
 * and lists are not to be had. */
struct store *store_new(const char *home, int partition);
void store_destroy(struct store **store_p);

/* The ledger has committed this row. */
void store_wrote(struct store *store, enum row_table table, const void *row);
/* Whether what was not kept is read when it is wanted. Else what is kept is all there is. */
bool store_can_read(const struct store *store);
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

/* Whose row of a table with a unique id this is. */
MUST_USE enum store_verdict store_merchant_of(struct store *store, enum row_table table,
                                              struct text id, struct arena *arena,
                                              struct text *merchant);

/* A checkout session or a challenge that is open though its time has come. */
struct due {
    struct text merchant, id, api_version; /* the version is the merchant's */
};
#define DUE_MAX 256
/* The first DUE_MAX of them in these slots. `state` is the column that says that it is open.
 * Without Postgres: none. */
MUST_USE enum store_verdict store_due(struct store *store, enum row_table table, const char *state,
                                      const uint8_t slots[static SLOT_BYTES], int64_t now_s,
                                      struct arena *arena, struct due **rows, size_t *count);

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
#define REFUNDS_TO_FOLLOW_MAX 256
/* At most REFUNDS_TO_FOLLOW_MAX refunds of these slots whose follow_at has come, the longest due
 * first. Never from memory. */
MUST_USE enum store_verdict store_refunds_to_follow(struct store *store,
                                                    const uint8_t slots[static SLOT_BYTES],
                                                    int64_t now_s, struct arena *arena,
                                                    struct row_refund **refunds, size_t *count);
/* Whether Postgres answers a question now. */
bool store_reads(struct store *store);
