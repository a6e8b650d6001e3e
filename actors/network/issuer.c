#include "issuer.h"

#include "authentication.h"
#include "test_card.h"
#include "three_d_secure.h"

static const char *
check(bool given, enum card_check verdict)
{
    return given ? card_check_name(verdict) : "unchecked";
}

/* What the merchant wished for, where the issuer would not have asked by itself. */
static void
authenticate_on_wish(const struct issuer_question *question, const struct three_d_secure *card,
                     struct issuer_answer *answer)
{
    if (question->three_d_secure == 0 || question->absent) return;
    switch (card->on_wish) {
    case ON_WISH_ASKS:
        if (question->three_d_secure == 2)
            answer->challenges = true;
        else
            answer->authentication = AUTHENTICATION_FRICTIONLESS;
        return;
    case ON_WISH_NOT_ENROLLED: answer->authentication = AUTHENTICATION_NOT_ENROLLED; return;
    case ON_WISH_NOT_SUPPORTED: answer->authentication = AUTHENTICATION_NOT_SUPPORTED; return;
    case ON_WISH_BREAKS: answer->authentication = AUTHENTICATION_BROKEN; return;
    }
}

/* Whether the payer is to be asked, and whether it goes on without. */
static void
authenticate(const struct issuer_question *question, const struct three_d_secure *card,
             struct issuer_answer *answer)
{
    if (question->passed) {
        answer->authentication = AUTHENTICATION_PASSED;
        return;
    }
    const bool asks = card->asks == ASKS_ALWAYS ||
                      (card->asks == ASKS_UNTIL_SET_UP && !question->set_up) ||
                      (card->asks == ASKS_WHEN_PRESENT && !question->absent);
    if (card->asks == ASKS_IN_VAIN) {
        answer->authentication = AUTHENTICATION_BROKEN;
        answer->code = "generic_decline";
    } else if (asks && question->absent) {
        answer->code = "authentication_required";
    } else if (asks) {
        answer->challenges = true;
    } else {
        authenticate_on_wish(question, card, answer);
    }
}

/* Only what moves money is weighed. True when it goes no further: the issuer is not asked. */
static bool
is_blocked(const struct issuer_question *question, const struct test_effect_row *effect)
{
    if (question->verifies) return false;
    return effect->risk == RISK_BLOCKED ||
           (effect->risk == RISK_HIGHEST && question->blocks_highest);
}

struct issuer_answer
issuer_decide(const struct issuer_question *question)
{
    const struct test_effect_row *effect = test_effect_of(question->number);
    const struct three_d_secure *card = three_d_secure_of(question->number);
    if (is_blocked(question, effect))
        return (struct issuer_answer){.code = "fraudulent",
                                      .cvc_check = "unchecked",
                                      .postal_check = "unchecked",
                                      .line1_check = "unchecked",
                                      .risk = RISK_BLOCKED};
    struct issuer_answer answer = {
        .risk = question->verifies ? RISK_NOT_WEIGHED : effect->risk,
        .code = effect->decline,
        .cvc_check = check(question->code_given, effect->code),
        .postal_check = check(question->postal_given, effect->postal),
        .line1_check = check(question->line1_given, effect->line1),
    };
    /* A card that may be kept is good, whatever it does when money is asked of it. */
    if (question->verifies && effect->attaches) answer.code = "";
    /* A card that has expired since it was kept. */
    if (!*answer.code && card_is_past(question->month, question->year, question->now))
        answer.code = "expired_card";
    if (!*answer.code) authenticate(question, card, &answer);
    if (!*answer.code && !answer.challenges && !(question->verifies && card->keeps))
        answer.code = card->decline;
    answer.approves = !*answer.code && !answer.challenges;
    answer.bypass_pending = answer.approves && effect->at_once;
    if (effect == test_effect(TEST_CARD_REFUNDS_PEND)) answer.refunds = REFUND_PENDS;
    if (effect == test_effect(TEST_CARD_REFUNDS_RETURN)) answer.refunds = REFUND_RETURNS;
    return answer;
}
