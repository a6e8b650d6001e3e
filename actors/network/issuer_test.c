#include "issuer.h"

#include "test_card.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static struct issuer_answer
ask(const char *number, bool given)
{
    const struct issuer_question question = {.number = text_of(number),
                                             .month = 12,
                                             .year = 2030,
                                             .now = {2026, 11},
                                             .code_given = given,
                                             .postal_given = given,
                                             .line1_given = given};
    return issuer_decide(&question);
}

#define EXPECT_WORD(word, expected) cr_expect(eq(str, (char *)(word), (char *)(expected)))

Test(issuer, every_test_card_is_answered_as_its_row_says)
{
    for (size_t i = 0; i < test_card_count; i++) {
        const struct test_effect_row *effect = test_effect(test_cards[i].effect);
        const struct issuer_answer answer = ask(test_cards[i].number, true);
        cr_expect(eq(int, answer.approves, !*effect->decline), "%s", test_cards[i].number);
        EXPECT_WORD(answer.code, effect->decline);
        EXPECT_WORD(answer.cvc_check, card_check_name(effect->code));
        EXPECT_WORD(answer.postal_check, card_check_name(effect->postal));
        EXPECT_WORD(answer.line1_check, card_check_name(effect->line1));
        cr_expect(eq(int, answer.bypass_pending, effect->at_once));
        if (*effect->unsupported) cr_expect(not(answer.approves), "never a false success");
    }
}

Test(issuer, what_was_not_given_is_not_checked)
{
    for (size_t i = 0; i < test_card_count; i++) {
        const struct issuer_answer answer = ask(test_cards[i].number, false);
        EXPECT_WORD(answer.cvc_check, "unchecked");
        EXPECT_WORD(answer.postal_check, "unchecked");
        EXPECT_WORD(answer.line1_check, "unchecked");
    }
}

Test(issuer, an_unknown_number_pays_like_a_plain_card)
{
    const struct issuer_answer answer = ask("4999990000000007", true);
    cr_expect(answer.approves);
    cr_expect(not(answer.bypass_pending));
    EXPECT_WORD(answer.code, "");
    EXPECT_WORD(answer.cvc_check, "pass");
}

Test(issuer, a_card_that_has_expired_meanwhile_is_refused)
{
    struct issuer_question question = {
        .number = TEXT("4999990000000007"), .month = 10, .year = 2026, .now = {2026, 11}};
    EXPECT_WORD(issuer_decide(&question).code, "expired_card");
    question.month = 11;
    cr_expect(issuer_decide(&question).approves);
}
