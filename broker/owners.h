/* owners: which worker serves which slot. A table without a clock or a socket: it is told what
 * happened and answers who owns what; the broker tells the workers.
 *
 *     free ──plan──► owned ──granted──► held (requests go there)
 *      ▲               ▲                  │ plan: too many here
 *      │ lost          └────── let go ◄── moving: no new requests, the owner ends what it has
 *
 * A plan is even (no two live workers differ by more than one slot) and moves as few slots as
 * that allows. */
#pragma once

#include "id.h"
#include <stdbool.h>
#include <stdint.h>

#define WORKERS_MAX 64
#define NO_WORKER UINT8_MAX

struct owners {
    uint8_t owner[SLOT_COUNT]; /* a worker's index, or NO_WORKER: free */
    uint8_t next[SLOT_COUNT];  /* who gets it once the owner has let go; NO_WORKER: it stays */
    uint8_t held[SLOT_BYTES];  /* the ledger has granted it to the owner */
};

void owners_init(struct owners *owners);

/* Who takes requests for this slot now; NO_WORKER when nobody does yet. */
uint8_t owners_route(const struct owners *owners, uint16_t slot);

/* Leaves alive no more than `sharing`: those that will have most slots when all moves have ended,
 * so that nothing moves because one that stands ready came or went. */
void owners_choose(const struct owners *owners, unsigned sharing, bool alive[static WORKERS_MAX]);

/* Gives every slot of a partition (partition.h) to one of the workers that are alive; only its own
 * may be. Free slots get their owner at once, held ones begin to move. Nothing changes when nobody
 * is alive. */
void owners_plan(struct owners *owners, int partition, int partitions,
                 const bool alive[static WORKERS_MAX]);

/* A worker says what it still holds, after the broker was restarted: what is free becomes its
 * own, what another owns does not. */
void owners_claim(struct owners *owners, uint8_t worker, const uint8_t set[static SLOT_BYTES]);
/* The ledger granted these to the worker; what it does not own by now is left alone. */
void owners_grant(struct owners *owners, uint8_t worker, const uint8_t set[static SLOT_BYTES]);
/* The worker has let go of these: they are the next one's, or to be granted anew. */
void owners_let_go(struct owners *owners, uint8_t worker, const uint8_t set[static SLOT_BYTES]);
/* The worker was restarted: it keeps what it owns but must be granted it again. */
void owners_reborn(struct owners *owners, uint8_t worker);
/* The worker is dead: its slots are free, or the next one's. */
void owners_lose(struct owners *owners, uint8_t worker);

void owners_owned(const struct owners *owners, uint8_t worker, uint8_t set[static SLOT_BYTES]);
void owners_moving(const struct owners *owners, uint8_t worker, uint8_t set[static SLOT_BYTES]);
bool owners_all_held(const struct owners *owners, uint8_t worker);
