#include "issuer.h"

#include "authentication.h"
#include "test_card.h"
#include "three_d_secure.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

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
        /* Whose issuers want to hear from the payer first is told by another table. */
        const enum asks asks = three_d_secure_of(text_of(test_cards[i].number))->asks;
        cr_expect(eq(int, answer.risk, effect->risk));
        if (effect->risk == RISK_BLOCKED) continue; /* nobody was asked */
        if (asks == ASKS_NEVER) {
            cr_expect(eq(int, answer.approves, !*effect->decline), "%s", test_cards[i].number);
            EXPECT_WORD(answer.code, effect->decline);
        } else {
            cr_expect(eq(int, answer.challenges, asks != ASKS_IN_VAIN), "%s", test_cards[i].number);
            cr_expect(not(answer.approves), "%s", test_cards[i].number);
        }
        EXPECT_WORD(answer.cvc_check, card_check_name(effect->code));
        EXPECT_WORD(answer.postal_check, card_check_name(effect->postal));
        EXPECT_WORD(answer.line1_check, card_check_name(effect->line1));
        cr_expect(eq(int, answer.bypass_pending, answer.approves && effect->at_once));
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

/* --- weighed for fraud ----------------------------------------------------------------------- */

Test(issuer, what_is_blocked_is_refused_before_anybody_is_asked)
{
    for (size_t i = 0; i < test_card_count; i++)
        for (int blocks = 0; blocks <= 1; blocks++)
            for (int verifies = 0; verifies <= 1; verifies++) {
                const struct issuer_question question = {.number = text_of(test_cards[i].number),
                                                         .month = 12,
                                                         .year = 2030,
                                                         .now = {2026, 11},
                                                         .code_given = true,
                                                         .postal_given = true,
                                                         .line1_given = true,
                                                         .verifies = verifies,
                                                         .blocks_highest = blocks};
                const enum risk_number risk = test_effect(test_cards[i].effect)->risk;
                const bool blocked =
                    !verifies && (risk == RISK_BLOCKED || (risk == RISK_HIGHEST && blocks));
                const struct issuer_answer answer = issuer_decide(&question);
                cr_expect(eq(int, answer.risk == RISK_BLOCKED, blocked), "%s",
                          test_cards[i].number);
                cr_expect(eq(int, strcmp(answer.code, "fraudulent") == 0, blocked));
                if (verifies) cr_expect(eq(int, answer.risk, RISK_NOT_WEIGHED));
                if (!blocked) continue;
                cr_expect(zero(int, answer.approves || answer.challenges));
                EXPECT_WORD(answer.cvc_check, "unchecked");
                EXPECT_WORD(answer.postal_check, "unchecked");
                EXPECT_WORD(answer.line1_check, "unchecked");
            }
}

/* --- asking the payer ------------------------------------------------------------------------ */

struct circumstance {
    bool verifies, absent, set_up, passed;
    int three_d_secure;
};

static struct issuer_answer
ask_when(const char *number, struct circumstance when)
{
    const struct issuer_question question = {.number = text_of(number),
                                             .month = 12,
                                             .year = 2030,
                                             .now = {2026, 11},
                                             .verifies = when.verifies,
                                             .absent = when.absent,
                                             .set_up = when.set_up,
                                             .passed = when.passed,
                                             .three_d_secure = when.three_d_secure};
    return issuer_decide(&question);
}

#define UNTIL_SET_UP "4000002500003155"
#define EACH_TIME "4000002760003184"
#define WHEN_PRESENT "4000003800000446"
#define THEN_EMPTY "4000008260003178"
#define THEN_REFUSED "4000008400001629"
#define IN_VAIN "4000008400001280"
#define ON_WISH "4000000000003055"
#define BREAKS "4000000000003097"
#define NO_3DS "378282246310005"

/* number, circumstances, what is said: "pays", "asks", or the decline; and what came of asking. */
static const struct {
    const char *number;
    struct circumstance when;
    const char *said;
    int64_t authentication;
} answers[] = {
    {UNTIL_SET_UP, {0}, "asks", 0},
    {UNTIL_SET_UP, {.passed = true}, "pays", AUTHENTICATION_PASSED},
    {UNTIL_SET_UP, {.absent = true}, "authentication_required", 0},
    {UNTIL_SET_UP, {.absent = true, .set_up = true}, "pays", 0},
    {UNTIL_SET_UP, {.set_up = true}, "pays", 0},
    {UNTIL_SET_UP, {.verifies = true}, "asks", 0},
    {EACH_TIME, {.set_up = true}, "asks", 0},
    {EACH_TIME, {.absent = true, .set_up = true}, "authentication_required", 0},
    {EACH_TIME, {.passed = true}, "pays", AUTHENTICATION_PASSED},
    {WHEN_PRESENT, {0}, "asks", 0},
    {WHEN_PRESENT, {.absent = true}, "pays", 0},
    {THEN_EMPTY, {0}, "asks", 0},
    {THEN_EMPTY, {.passed = true}, "insufficient_funds", AUTHENTICATION_PASSED},
    {THEN_EMPTY, {.absent = true, .set_up = true}, "insufficient_funds", 0},
    {THEN_EMPTY, {.verifies = true, .passed = true}, "pays", AUTHENTICATION_PASSED},
    {THEN_REFUSED, {.passed = true}, "generic_decline", AUTHENTICATION_PASSED},
    {THEN_REFUSED, {.verifies = true, .passed = true}, "generic_decline", AUTHENTICATION_PASSED},
    {IN_VAIN, {0}, "generic_decline", AUTHENTICATION_BROKEN},
    {IN_VAIN, {.verifies = true}, "generic_decline", AUTHENTICATION_BROKEN},
    {ON_WISH, {0}, "pays", 0},
    {ON_WISH, {.three_d_secure = 1}, "pays", AUTHENTICATION_FRICTIONLESS},
    {ON_WISH, {.three_d_secure = 2}, "asks", 0},
    {ON_WISH, {.three_d_secure = 2, .passed = true}, "pays", AUTHENTICATION_PASSED},
    {ON_WISH, {.three_d_secure = 2, .absent = true}, "pays", 0},
    {BREAKS, {0}, "pays", 0},
    {BREAKS, {.three_d_secure = 1}, "pays", AUTHENTICATION_BROKEN},
    {NO_3DS, {0}, "pays", 0},
    {NO_3DS, {.three_d_secure = 2}, "pays", AUTHENTICATION_NOT_SUPPORTED},
    {"4242424242424242", {.three_d_secure = 1}, "pays", AUTHENTICATION_NOT_ENROLLED},
    /* A card that may be kept is good, whatever it does later. */
    {"4000000000000341", {.verifies = true}, "pays", 0},
    {"4000000000000002", {.verifies = true}, "generic_decline", 0},
};

Test(issuer, the_payer_is_asked_when_the_card_wants_it)
{
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        const struct issuer_answer answer = ask_when(answers[i].number, answers[i].when);
        const char *said = answer.challenges ? "asks" : answer.approves ? "pays" : answer.code;
        cr_expect(eq(str, (char *)said, (char *)answers[i].said), "row %zu, %s", i,
                  answers[i].number);
        cr_expect(eq(i64, answer.authentication, answers[i].authentication), "row %zu", i);
        cr_expect(not(answer.challenges && answer.approves));
        if (answer.challenges) EXPECT_WORD(answer.code, "");
    }
}

Test(issuer, every_card_that_asks_is_a_test_card)
{
    for (size_t i = 0; i < three_d_secure_count; i++)
        cr_expect(test_card_numbered(text_of(three_d_secures[i].number)) != NULL, "%s",
                  three_d_secures[i].number);
}
