#include "test_card.h"

#include <assert.h>

#define TEST_CARD(number, payment_method, token, brand, funding, country, effect, doc) \
    {number, payment_method, token, CARD_##brand, funding, country, TEST_CARD_##effect, doc},
const struct test_card test_cards[] = {
#include "test_cards.def"
};
#undef TEST_CARD
const size_t test_card_count = sizeof test_cards / sizeof *test_cards;

enum { REFUSED, KEPT };
// clang-format off
#define TEST_EFFECT(name, attaches, decline, risk, code, postal, line1, at_once, unsupported, doc) \
    [TEST_CARD_##name] = {#name, attaches, decline, RISK_##risk, CARD_CHECK_##code, CARD_CHECK_##postal, \
                          CARD_CHECK_##line1, at_once, unsupported, doc},
// clang-format on
static const struct test_effect_row effects[TEST_EFFECT_COUNT] = {
#include "test_effects.def"
};
#undef TEST_EFFECT

/* Eighty rows, walked once per new card: a search tree would cost more to read than it saves. */
const struct test_card *
test_card_numbered(struct text digits)
{
    for (size_t i = 0; i < test_card_count; i++)
        if (text_is(digits, test_cards[i].number)) return &test_cards[i];
    return NULL;
}

const struct test_card *
test_card_named(struct text name)
{
    if (name.size == 0) return NULL;
    for (size_t i = 0; i < test_card_count; i++)
        if (text_is(name, test_cards[i].payment_method) || text_is(name, test_cards[i].token))
            return &test_cards[i];
    return NULL;
}

const struct test_effect_row *
test_effect(enum test_effect effect)
{
    assert(effect < TEST_EFFECT_COUNT);
    return &effects[effect];
}

const struct test_effect_row *
test_effect_of(struct text digits)
{
    const struct test_card *card = test_card_numbered(digits);
    return test_effect(card ? card->effect : TEST_CARD_PAYS);
}

const char *
card_check_name(enum card_check check)
{
    static const char *const names[CARD_CHECK_COUNT] = {
        [CARD_CHECK_PASS] = "pass",
        [CARD_CHECK_FAIL] = "fail",
        [CARD_CHECK_UNAVAILABLE] = "unavailable",
    };
    assert(check < CARD_CHECK_COUNT);
    return names[check];
}
