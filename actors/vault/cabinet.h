/* cabinet: the table of sealed cards in Postgres, asked without waiting.
 *
 * What is asked in one turn goes out together and is one transaction (group commit); what comes
 * meanwhile waits for the next. An errand's answer is given after the commit and never before. When
 * Postgres goes away the errands under way are sent again when it is back: to keep the same card
 * twice is to keep it once. An errand that is not done in time fails: its asker is told to come
 * again. */
#pragma once

#include "loop.h"
#include "shelf.h"
#include <stdbool.h>
#include <stdint.h>

#define ERRANDS_MAX 4096 /* waiting and under way */
#define ERRANDS_PER_BATCH 256
#define ERRAND_PATIENCE_MS 5000

struct cabinet;

enum errand_end {
    ERRAND_FAILED,  /* Postgres could not be asked, or refused: nothing is known */
    ERRAND_UNKNOWN, /* a find: there is no such token */
    ERRAND_DONE,    /* `record` is the row as it stands in the table */
};

/* `ticket` is the asker's. The record is valid during the call. */
typedef void errand_fn(void *state, uint32_t ticket, enum errand_end end,
                       const struct card_record *record);

struct cabinet *cabinet_new(struct loop *loop, const char *home, errand_fn *on_end, void *state);
void cabinet_destroy(struct cabinet **cabinet_p);

/* Keeps a card unless the merchant has it already: the record that is answered bears the token that
 * stands in the table, which may be an earlier one. False when too much is waiting. */
MUST_USE bool cabinet_keep(struct cabinet *cabinet, uint32_t ticket,
                           const struct card_record *record, int64_t mono_ms);
MUST_USE bool cabinet_find(struct cabinet *cabinet, uint32_t ticket, struct text token,
                           int64_t mono_ms);
/* Once a turn: connects, sends the next batch, gives up what took too long. Returns in how many
 * milliseconds it wants to be called again. */
int64_t cabinet_turn(struct cabinet *cabinet, int64_t mono_ms);
bool cabinet_is_open(const struct cabinet *cabinet);
