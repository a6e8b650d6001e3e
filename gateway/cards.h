/* cards: the card of a request on its way to the vault. Finds it among the parameters, seals it to
 * the vault's public key, and takes it out of what anybody else is told. */
#pragma once

#include "answer.h"
#include "arena.h"
#include "params.h"
#include "route.h"
#include <stdbool.h>
#include <stdint.h>

#define CARD_SEALED_MAX 511
#define CARD_PACKED_MAX 767

enum card_need {
    CARD_REFUSED, /* the parameters contradict each other, or one is missing */
    CARD_NONE,    /* the request brings no card */
    CARD_TYPED,   /* a number, to be sealed */
    CARD_NAMED,   /* a published test name */
};

struct card_wish {
    enum card_need need;
    const char *prefix; /* TYPED: the hash that the fields are in, as in `card` */
    struct text number, cvc;
    int64_t exp_month, exp_year;
    struct text name;     /* NAMED */
    struct text param;    /* NAMED, REFUSED: where it stood, or what is missing */
    enum refusal refusal; /* REFUSED */
    const char *about;    /* REFUSED */
};

/* What card a request brings; its parameters have been checked against the route. `object` is the
 * id in its path. */
struct card_wish cards_find(const struct route *route, struct text object, struct params params);

/* Packs and seals what was typed. False when the vault would not take it: too long for a card. */
bool cards_seal(const struct card_wish *wish, const uint8_t vault_key[static 32],
                uint8_t sealed[static CARD_SEALED_MAX], size_t *size);

/* The parameters without one of them. In the arena. */
struct params cards_without(struct params params, const char *name, struct arena *arena);

/* The parameters as all others may see them: without number, expiry and code. In the arena; the old
 * block is wiped. */
struct params cards_redact(struct params params, const char *prefix, struct arena *arena);

/* --- what test names stand for
 * --------------------------------------------------------------------- */

struct card_memory;
struct card_memory *card_memory_new(void);
void card_memory_destroy(struct card_memory **memory_p);
/* The packed card of a merchant's test name; copied into the arena. NO_TEXT: not remembered.
 */
struct text card_recall(struct card_memory *memory, struct text merchant, struct text name,
                        int64_t mono_ms, struct arena *arena);
void card_remember(struct card_memory *memory, struct text merchant, struct text name,
                   struct text packed, int64_t mono_ms);
