/* test_card: the published test cards by number and by name, and what becomes of each.
 *
 * The numbers are in this library, which only the vault and the network link. */
#pragma once

#include "card.h"
#include "risk.h"
#include "text.h"
#include <stdbool.h>

/* What the issuer says of a thing that was given to be checked. */
enum card_check { CARD_CHECK_PASS, CARD_CHECK_FAIL, CARD_CHECK_UNAVAILABLE, CARD_CHECK_COUNT };

#define TEST_EFFECT(name, attaches, decline, risk, code, postal, line1, at_once, unsupported, doc) \
    TEST_CARD_##name,
enum test_effect {
#include "test_effects.def"
    TEST_EFFECT_COUNT
};
#undef TEST_EFFECT

struct test_card {
    const char *number, *payment_method, *token; /* names are "" when there are none */
    enum card_brand brand;
    const char *funding, *country;
    enum test_effect effect;
    const char *doc;
};

struct test_effect_row {
    const char *name;
    bool attaches;
    const char *decline; /* row of declines.def, "" when it pays */
    enum risk_number risk;
    enum card_check code, postal, line1;
    bool at_once;
    const char *unsupported; /* the feature that is not here yet, "" when none is needed */
    const char *doc;
};

extern const struct test_card test_cards[];
extern const size_t test_card_count;

/* NULL when it is no test card: then it behaves like a plain card of its brand. Digits alone. */
const struct test_card *test_card_numbered(struct text digits);
/* By the name of a payment method or of a token; NULL when there is none. */
const struct test_card *test_card_named(struct text name);
const struct test_effect_row *test_effect(enum test_effect effect);
/* What becomes of a number, test card or not. */
const struct test_effect_row *test_effect_of(struct text digits);
const char *card_check_name(enum card_check check);
