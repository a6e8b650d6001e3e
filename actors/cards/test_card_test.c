#include "test_card.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const struct card_month now = {2026, 11};

static enum card_verdict
typed(const struct test_card *row, struct card *card)
{
    static const char *const codes[] = {[3] = "123", [4] = "1234"};
    return card_check(text_of(row->number), 12, 2030, text_of(codes[card_code_digits(row->brand)]),
                      now, card);
}

Test(test_card, every_card_is_taken_unless_it_is_the_mistyped_one)
{
    for (size_t i = 0; i < test_card_count; i++) {
        struct card card;
        const enum card_verdict verdict = typed(&test_cards[i], &card);
        const bool mistyped = test_cards[i].effect == TEST_CARD_MISTYPED;
        cr_expect(eq(int, verdict, mistyped ? CARD_BAD_NUMBER : CARD_FINE), "%s",
                  test_cards[i].number);
        if (!mistyped)
            cr_expect(eq(int, card.brand, test_cards[i].brand), "%s", test_cards[i].number);
    }
}

Test(test_card, names_are_found_and_each_stands_for_one_card)
{
    for (size_t i = 0; i < test_card_count; i++) {
        const char *const names[] = {test_cards[i].payment_method, test_cards[i].token};
        for (size_t n = 0; n < 2; n++)
            if (*names[n])
                cr_expect(test_card_named(text_of(names[n])) == &test_cards[i], "%s", names[n]);
    }
    cr_expect(test_card_named(NO_TEXT) == NULL);
    cr_expect(test_card_named(TEXT("")) == NULL);
    cr_expect(test_card_named(TEXT("pm_card_vis")) == NULL);
    cr_expect(test_card_named(TEXT("pm_card_visaa")) == NULL);
}

Test(test_card, a_number_that_stands_twice_has_one_effect)
{
    for (size_t i = 0; i < test_card_count; i++) {
        const struct test_card *first = test_card_numbered(text_of(test_cards[i].number));
        cr_assert(first != NULL);
        cr_expect(eq(int, first->effect, test_cards[i].effect), "%s", test_cards[i].number);
    }
}

Test(test_card, an_unknown_number_pays_like_a_plain_card)
{
    cr_expect(test_card_numbered(TEXT("4999990000000007")) == NULL);
    cr_expect(eq(str, (char *)test_effect_of(TEXT("4999990000000007"))->name, (char *)"PAYS"));
}

Test(test_card, what_needs_a_missing_feature_never_pays)
{
    for (int e = 0; e < TEST_EFFECT_COUNT; e++)
        if (*test_effect((enum test_effect)e)->unsupported)
            cr_expect(ne(str, (char *)test_effect((enum test_effect)e)->decline, (char *)""));
}

static const char *
member(const json_t *card, const char *name)
{
    const json_t *value = json_object_get(card, name);
    return json_is_string(value) ? json_string_value(value) : "";
}

/* The published table, when it is at hand: every card of it is ours, and says the same. */
Test(test_card, table_is_the_published_one)
{
    char path[1024];
    const char *shared = getenv("FLORIN_SHARED");
    snprintf(path, sizeof path, "%s/stripe/test-cards.json", shared ? shared : SHARED_FOLDER);
    json_error_t error;
    json_t *file = json_load_file(path, 0, &error);
    if (!file) cr_skip("the published table of test cards is not here (FLORIN_SHARED)");

    const json_t *cards = json_object_get(file, "cards");
    cr_assert(eq(sz, json_array_size(cards), test_card_count));
    for (size_t i = 0; i < test_card_count; i++) {
        const json_t *published = json_array_get(cards, i);
        const struct test_card *ours = &test_cards[i];
        const struct test_effect_row *effect = test_effect(ours->effect);
        cr_expect(eq(str, (char *)ours->number, (char *)member(published, "number")));
        cr_expect(
            eq(str, (char *)ours->payment_method, (char *)member(published, "payment_method")));
        cr_expect(eq(str, (char *)ours->token, (char *)member(published, "token")));
        cr_expect(
            eq(str, (char *)card_brand_name(ours->brand), (char *)member(published, "brand")));
        if (*member(published, "funding"))
            cr_expect(eq(str, (char *)ours->funding, (char *)member(published, "funding")));
        if (*member(published, "country"))
            cr_expect(eq(str, (char *)ours->country, (char *)member(published, "country")));
        cr_expect(eq(int, json_is_true(json_object_get(published, "luhn")),
                     card_luhn_holds(text_of(ours->number))));
        const json_int_t digits = json_integer_value(json_object_get(published, "cvc_digits"));
        if (digits) cr_expect(eq(sz, card_code_digits(ours->brand), (size_t)digits));
        /* Every published decline is ours, and nothing else that is supported is declined. */
        if (ours->effect != TEST_CARD_MISTYPED && !*effect->unsupported)
            cr_expect(eq(str, (char *)effect->decline, (char *)member(published, "decline_code")),
                      "%s", ours->number);
        const bool refuses =
            strstr(member(published, "effect"), "refused (402) when attaching") != NULL;
        if (ours->effect != TEST_CARD_MISTYPED)
            cr_expect(eq(int, effect->attaches, !refuses), "%s", ours->number);
    }
    json_decref(file);
}
