#include "issuer.h"

#include "test_card.h"

static const char *
check(bool given, enum card_check verdict)
{
    return given ? card_check_name(verdict) : "unchecked";
}

struct issuer_answer
issuer_decide(const struct issuer_question *question)
{
    const struct test_effect_row *effect = test_effect_of(question->number);
    struct issuer_answer answer = {
        .code = effect->decline,
        .cvc_check = check(question->code_given, effect->code),
        .postal_check = check(question->postal_given, effect->postal),
        .line1_check = check(question->line1_given, effect->line1),
    };
    /* A card that has expired since it was kept. */
    if (!*answer.code && card_is_past(question->month, question->year, question->now))
        answer.code = "expired_card";
    answer.approves = !*answer.code;
    answer.bypass_pending = answer.approves && effect->at_once;
    if (effect == test_effect(TEST_CARD_REFUNDS_PEND)) answer.refunds = REFUND_PENDS;
    if (effect == test_effect(TEST_CARD_REFUNDS_RETURN)) answer.refunds = REFUND_RETURNS;
    return answer;
}
