/* slots: which merchants are ours. The broker wishes, the ledger grants, the broker hears of it.
 *
 *     broker: slots_assign ──► wanted ──► slots_take (ledger) ──► taken ──► open attempts read
 *                                                                             │
 *     broker: requests come ◄── slots_held ◄────────────────────────── held ◄─┘
 *
 * A slot is only held once its open attempts hold their locks, so no request can meet an object
 * whose attempt nobody looks after. */
#pragma once

#include "id.h"
#include <stdbool.h>
#include <stdint.h>

struct link;
struct packet;
struct worker;

struct slots {
    uint8_t wanted[SLOT_BYTES];    /* what the broker assigned last */
    uint8_t asked[SLOT_BYTES];     /* in the slots_take that is under way */
    uint8_t taken[SLOT_BYTES];     /* granted; open attempts are still to be read */
    uint8_t held[SLOT_BYTES];      /* ours, and served */
    uint8_t releasing[SLOT_BYTES]; /* held, to be given back when nothing is in flight */
    uint64_t epoch[SLOT_COUNT];
    uint64_t incarnation;
    uint64_t take; /* correlation of slots_take; 0: none under way */
    int64_t take_again_ms;
    int64_t release_by_ms;  /* give back what is still in flight then */
    int64_t ready_again_ms; /* say worker_ready again, unless slots were assigned; 0: they were */
    int64_t read_again_ms;  /* open attempts */
};

void slots_begin(struct worker *worker);
/* Messages of the broker that concern slots. False: it is another message. */
bool slots_told(struct worker *worker, struct link *from, const struct packet *packet);
void slots_taken(struct worker *worker, struct link *from, const struct packet *packet);
void slots_take_refused(struct worker *worker, const struct packet *packet);
/* Repeats what was not answered, gives back what is free. */
void slots_turn(struct worker *worker);
/* Says that nothing is in flight here any more: the last word of a worker that ends. */
void slots_leave(struct worker *worker);
/* Another ledger leads: it may not have heard. */
void slots_ask_again(struct worker *worker);
/* The ledger says that it is another's. */
void slot_lost(struct worker *worker, uint16_t slot);
bool slot_is_held(const struct worker *worker, uint16_t slot);
unsigned slots_held_count(const struct worker *worker);
