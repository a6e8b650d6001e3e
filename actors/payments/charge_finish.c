/* charge_finish: the ends of attempts of a charge that has no payment around it. They differ from
 * those of attempts_finish.c in what bears the attempt, and in who is told. */
#include "answer.h"
#include "decline.h"
#include "finish.h"
#include "payment.h"

/* The attempt is over, and the charge can be changed again. What the network said of the card is on
 * it, and on the card itself. */
static void
note_answer(struct finish *f, bool approved)
{
    struct row_charge *charge = f->charge;
    const bool changed = note_on_method(f, approved);
    charge->attempt = NO_TEXT;
    charge->payment_method_details = method_details(f);
    charge->bypass_pending = f->answer->bypass_pending == 1;
    const bool whole =
        render_row(f->call, ROW_legacy_card, f->method, NO_TEXT, NULL, &charge->source);
    (void)whole; /* nothing in it is expanded */
    if (changed) call_update(f->call, ROW_payment_method, f->method);
}

void
charge_authorized(struct finish *f)
{
    struct row_charge *charge = f->charge;
    struct row_balance_transaction *txn = NULL;
    note_answer(f, true);
    charge_advance(charge, f->attempt->capture ? CHARGE_ON_PAID : CHARGE_ON_HELD);
    charge->outcome = approved_outcome(f);
    if (f->attempt->capture) {
        txn = book_charge(f, charge->amount);
    } else {
        post_hold(f, "hold", charge->id, charge->amount);
        charge->hold_until = held_until(f);
    }
    call_update(f->call, ROW_charge, charge);
    tell(f->call, "charge.succeeded", ROW_charge, charge, NULL);
    show(f, ROW_charge, charge,
         KNOWN({ROW_charge, charge}, {txn ? ROW_balance_transaction : ROW_NONE, txn}));
}

/* Nobody can be asked here: a charge whose issuer wants to hear from the payer is declined. */
void
charge_not_authorized(struct finish *f)
{
    struct row_charge *charge = f->charge;
    const struct decline *decline = reason_of(f);
    const struct api_refusal refusal = {.status = 402,
                                        .type = "card_error",
                                        .code = decline->code,
                                        .decline_code = decline->decline_code,
                                        .advice_code = decline->advice_code,
                                        .network_decline_code = decline->network_decline_code,
                                        .message = text_of(decline->message),
                                        .charge = charge->id};
    note_answer(f, false);
    charge_advance(charge, CHARGE_ON_DECLINED);
    charge->outcome = declined_outcome(f, decline);
    charge->failure_code = text_of(decline->code);
    charge->failure_message = text_of(decline->message);
    call_update(f->call, ROW_charge, charge);
    tell(f->call, "charge.failed", ROW_charge, charge, NULL);
    call_answer(f->call, 402, refusal_json(f->call, &refusal));
}

void
charge_captured(struct finish *f)
{
    struct row_charge *charge = f->charge;
    charge->attempt = NO_TEXT;
    charge->hold_until = NO_NUMBER;
    if (f->answer->bypass_pending == 1) charge->bypass_pending = true;
    post_hold(f, "release", charge->id, -charge->amount);
    charge_advance(charge, CHARGE_ON_CAPTURED);
    struct row_balance_transaction *txn = book_charge(f, f->attempt->amount);
    call_update(f->call, ROW_charge, charge);
    tell(f->call, "charge.captured", ROW_charge, charge, NULL);
    show(f, ROW_charge, charge, KNOWN({ROW_charge, charge}, {ROW_balance_transaction, txn}));
}

void
charge_not_captured(struct finish *f)
{
    const bool declined = f->answer->outcome == OUTCOME_DECLINED;
    const struct decline *decline = reason_of(f);
    const struct api_refusal refusal = {
        .status = 402,
        .type = "card_error",
        .code = decline->code,
        .decline_code = decline->decline_code,
        .message = declined ? text_of(decline->message)
                            : TEXT("The card network did not complete this operation, and the "
                                   "charge is as it was before. Try again with a new idempotency "
                                   "key."),
        .charge = f->charge->id};
    f->charge->attempt = NO_TEXT;
    call_update(f->call, ROW_charge, f->charge);
    call_answer(f->call, 402, refusal_json(f->call, &refusal));
}

/* Nobody waits for an answer. */
void
charge_expired(struct finish *f)
{
    struct row_charge *charge = f->charge;
    if (f->answer->outcome != OUTCOME_APPROVED) {
        charge->hold_until = held_again_until(f);
        charge_not_captured(f);
        return;
    }
    charge->attempt = NO_TEXT;
    charge->hold_until = NO_NUMBER;
    charge->amount_refunded = charge->amount;
    charge_advance(charge, CHARGE_ON_RELEASED);
    post_hold(f, "release", charge->id, -charge->amount);
    call_update(f->call, ROW_charge, charge);
    tell(f->call, "charge.expired", ROW_charge, charge, NULL);
    show(f, ROW_charge, charge, KNOWN({ROW_charge, charge}));
}

void
charge_released(struct finish *f, struct row_refund *refund)
{
    struct row_charge *charge = f->charge;
    const bool approved = f->answer->outcome == OUTCOME_APPROVED;
    charge->attempt = NO_TEXT;
    charge->amount_refunding -= refund->amount;
    refund_answered(refund, approved ? REFUND_ON_DONE : REFUND_ON_REFUSED);
    if (approved) {
        post_hold(f, "release", charge->id, -charge->amount);
        charge->amount_refunded = charge->amount;
        charge_advance(charge, CHARGE_ON_RELEASED);
        charge->hold_until = NO_NUMBER;
    } else {
        refund->failure_reason = TEXT("unknown");
    }
    call_update(f->call, ROW_refund, refund);
    call_update(f->call, ROW_charge, charge);
    tell(f->call, "refund.created", ROW_refund, refund, NULL);
    if (approved)
        tell(f->call, "charge.refunded", ROW_charge, charge, NULL);
    else
        tell(f->call, "refund.failed", ROW_refund, refund, NULL);
    show(f, ROW_refund, refund, KNOWN({ROW_refund, refund}, {ROW_charge, charge}));
}
