/* refund_life: what becomes of a refund after the network has taken it.
 *
 * Mostly it is over then. But one may stay pending for a while, and one that succeeded may come
 * back later: the cardholder's account is closed, and the money returns. The network says when it
 * wants to be asked again (refund.follow_at); whoever owns the slot then inquires (follow_ups.c)
 * and refund_followed books what is heard. So nothing depends on anybody's memory: until it is
 * final a refund bears the moment at which it has to be looked at.
 *
 *     pending ──► succeeded ──► failed        by the network
 *        └──► canceled, failed                by a recall: refund_cancel, and refund_expire for
 * tests
 *
 * The merchant's balance has been charged since the refund was taken, pending or not; what fails or
 * is taken back is credited as a movement of its own, refund_failure. */
#include "refund_life.h"
#include "answer.h"
#include "fields.h"
#include "finish.h"
#include "handlers.h"
#include "json_reader.h"
#include "payment.h"

#include <assert.h>

/* A refund whose state is another now. */
static void
tell_changed(struct call *call, const struct row_refund *before, const struct row_refund *refund)
{
    tell_updated(call, "refund.updated", ROW_refund, before, refund);
    if (text_is(refund->status, "failed")) tell(call, "refund.failed", ROW_refund, refund, NULL);
    tell_updated(call, "charge.refund.updated", ROW_refund, before, refund);
}

/* The money is the merchant's again, and the charge can be refunded again. */
static struct row_balance_transaction *
give_back(struct finish *f, struct row_refund *refund,
          const struct row_balance_transaction *of_refund, struct text reason)
{
    struct row_charge *charge = f->charge;
    struct row_balance_transaction *txn = book_refund_failure(f, refund, of_refund);
    refund->failure_reason = reason;
    refund->failure_balance_transaction = txn->id;
    refund->follow_at = NO_NUMBER;
    charge->amount_refunded -= refund->amount;
    charge_advance(charge, CHARGE_ON_REFUND_BACK);
    assert(charge->amount_refunded >= 0);
    call_update(f->call, ROW_charge, charge);
    return txn;
}

/* --- by the network -------------------------------------------------------------------------- */

static enum refund_event
event_of(const struct msg_network_answer *answer)
{
    return text_is(answer->refund_state, "failed")    ? REFUND_ON_RETURNED
           : text_is(answer->refund_state, "pending") ? REFUND_ON_TAKEN
                                                      : REFUND_ON_DONE;
}

void
refund_followed(struct call *call, struct text id, const struct msg_network_answer *answer)
{
    struct row_refund *refund = call_new_row(call, ROW_refund);
    struct row_attempt *attempt = call_new_row(call, ROW_attempt);
    struct row_balance_transaction *of_refund = call_new_row(call, ROW_balance_transaction);
    struct finish f = {.call = call, .attempt = attempt, .answer = answer};
    f.charge = call_new_row(call, ROW_charge);
    if (!call_get(call, ROW_refund, id, refund)) return;
    if (!call_get(call, ROW_attempt, refund->attempt, attempt)) return;
    if (!call_get(call, ROW_charge, refund->charge, f.charge)) return;
    if (!call_get(call, ROW_balance_transaction, refund->balance_transaction, of_refund)) return;
    call->api_version = attempt->api_version;
    call->livemode = text_is(json_find(attempt->params, "livemode"), "true");

    const struct row_refund before = *refund;
    uint32_t effects;
    const bool was_pending = text_is(refund->status, "pending");
    if (refund->follow_at == NO_NUMBER || (!was_pending && !text_is(refund->status, "succeeded"))) {
        call_answer(call, 200, TEXT("{}")); /* another has seen to it */
        return;
    }
    refund->follow_at = answer->has & HAS_network_answer_ask_again_s
                            ? call->now_s + (int64_t)answer->ask_again_s
                            : NO_NUMBER;
    /* What the network says later than it may (it was done, and is pending again) changes nothing.
     */
    if (refund_advance(refund, event_of(answer), &effects) && effects & REFUND_CREDIT)
        give_back(&f, refund, of_refund,
                  answer->refund_failure.at ? answer->refund_failure : TEXT("unknown"));
    call_update(call, ROW_refund, refund);
    if (!text_equal(before.status, refund->status)) tell_changed(call, &before, refund);
    call_answer(call, 200, TEXT("{}"));
}

/* --- by the merchant ------------------------------------------------------------------------- */

/* Asks the network to take a pending refund back; `ends` is its status then. */
static void
recall(struct call *call, const char *ends)
{
    struct row_refund *refund = call_new_row(call, ROW_refund);
    if (!call_get(call, ROW_refund, call->object, refund)) return;
    if (!call_lock(call, refund_lock(refund))) return;
    if (!call_get(call, ROW_refund, call->object, refund)) return;
    if (!text_is(refund->status, "pending")) {
        call_refuse_400(call, NULL, NULL,
                        "Refund %.*s has a status of %.*s. Only a refund that is pending can be "
                        "canceled or expire.",
                        (int)refund->id.size, refund->id.at, (int)refund->status.size,
                        refund->status.at);
        return;
    }
    if (!refund->balance_transaction.at) { /* the network has not answered yet */
        refuse_busy(call, ROW_refund, refund);
        return;
    }
    struct row_attempt *attempt = attempt_new(
        call, "recall", &(struct attempt_notes){.answer = ROW_refund, .refund_ends = ends});
    attempt->amount = refund->amount;
    attempt->currency = refund->currency;
    attempt->payment_intent = refund->payment_intent;
    attempt->charge = refund->charge;
    attempt->refund = refund->id;
    attempt->payment_method = refund->payment_method;
    attempt->original = refund->attempt;
    call_begin_attempt(call, attempt, &(struct network_extras){NO_TEXT, NO_TEXT, NO_TEXT});
}

void
refund_cancel(struct call *call)
{
    recall(call, "canceled");
}

void
refund_expire(struct call *call)
{
    recall(call, "failed");
}

void
refund_recalled(struct finish *f, struct row_refund *refund,
                const struct row_balance_transaction *of_refund)
{
    struct row_balance_transaction *txn = NULL;
    const struct row_refund before = *refund;
    const struct text ends = field_in(f->call, f->attempt->params, "refund_ends", NULL);
    const bool canceled = text_is(ends, "canceled");
    uint32_t effects;
    if (f->answer->outcome != OUTCOME_APPROVED) {
        /* It had reached the cardholder already: the next inquiry says so. */
        call_answer(
            f->call, 400,
            refusal_json(f->call, &(struct api_refusal){
                                      .message = TEXT("This refund is no longer pending: it can "
                                                      "neither be canceled nor expire.")}));
        return;
    }
    if (refund_advance(refund, canceled ? REFUND_ON_RECALLED : REFUND_ON_EXPIRED, &effects)) {
        assert(effects & REFUND_CREDIT);
        txn =
            give_back(f, refund, of_refund, canceled ? TEXT("merchant_request") : TEXT("unknown"));
        call_update(f->call, ROW_refund, refund);
        tell_changed(f->call, &before, refund);
    }
    show(f, ROW_refund, refund,
         KNOWN({ROW_refund, refund}, {ROW_charge, f->charge},
               {txn ? ROW_balance_transaction : ROW_NONE, txn}));
}
