/* shelf: sealed cards that were needed lately, by token and by identity, so that a card that comes
 * again costs no question to Postgres. What is on it is durable, and of no use without the keys. It
 * has room for a fixed number; what was not asked for since the last round goes first. */
#pragma once

#include "keyring.h"
#include "text.h"
#include <stdint.h>

#define NAME_SIZE_MAX 63

/* One row of the table card. */
struct card_record {
    char token[NAME_SIZE_MAX + 1];
    char merchant[NAME_SIZE_MAX + 1];
    uint8_t identity[IDENTITY_BYTES];
    struct sealed_card sealed;
};

struct shelf;

struct shelf *shelf_new(uint32_t capacity);
void shelf_destroy(struct shelf **shelf_p);

/* A token that is there already is left as it is. */
void shelf_put(struct shelf *shelf, const struct card_record *record);
/* Valid until the next shelf_put; NULL when it is not there. */
const struct card_record *shelf_by_token(struct shelf *shelf, struct text token);
const struct card_record *shelf_by_identity(struct shelf *shelf,
                                            const uint8_t identity[static IDENTITY_BYTES]);
