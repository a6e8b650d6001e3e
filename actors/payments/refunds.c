/* refunds: money given back. While the network is being asked, the amount is promised to the refund
 * (charge.amount_refunding), so that no two refunds together give back more than there is. */
#include "refund.h"

#include "amount_words.h"
#include "answer.h"
#include "fields.h"
#include "handlers.h"
#include "id.h"
#include "lists.h"
#include "mutant.h"
#include "payment.h"

#include <assert.h>

/* The charge that a refund is for, by its id or by its payment's. The payment is locked. False: the
 * call has been answered, or waits. */
static bool
charge_of_request(struct call *call, struct row_charge *charge)
{
    struct row_payment_intent *pi = call_new_row(call, ROW_payment_intent);
    const struct text charge_id = field_given(call, "charge");
    const struct text pi_id = field_given(call, "payment_intent");
    if (!charge_id.at && !pi_id.at) {
        call_refuse(call,
                    &(struct api_refusal){
                        .status = 400,
                        .code = "parameter_missing",
                        .message = TEXT("One of the following params should be provided for this "
                                        "request: payment_intent or charge.")},
                    false);
        return false;
    }
    if (charge_id.at) {
        if (!call_get_param(call, ROW_charge, charge_id, "charge", charge)) return false;
        if (pi_id.at && !text_equal(pi_id, charge->payment_intent)) {
            call_refuse_400(call, NULL, "payment_intent",
                            "The charge %.*s does not belong to the payment %.*s.",
                            (int)charge_id.size, charge_id.at, (int)pi_id.size, pi_id.at);
            return false;
        }
        return call_lock(call, charge_lock(charge)) &&
               call_get_param(call, ROW_charge, charge_id, "charge", charge);
    }
    if (!call_lock(call, pi_id)) return false;
    if (!call_get_param(call, ROW_payment_intent, pi_id, "payment_intent", pi)) return false;
    if (pi->amount_received == 0 && !text_is(pi->status, "requires_capture")) {
        call_refuse_400(call, NULL, "payment_intent",
                        "This PaymentIntent (%.*s) does not have a successful charge to refund.",
                        (int)pi_id.size, pi_id.at);
        return false;
    }
    return call_get(call, ROW_charge, pi->latest_charge, charge);
}

static bool
refund_is_possible(struct call *call, const struct row_charge *charge, int64_t *amount)
{
    const struct refundable refundable = {text_is(charge->status, "failed"), charge->captured,
                                          charge->amount, charge->amount_refunded,
                                          charge->amount_refunding};
    const struct currency *currency = currency_find(charge->currency);
    const int id_size = (int)charge->id.size;
    const int64_t asked = params_integer(call->params, "amount", 0);
    char asked_words[80], rest_words[80];
    if (charge->attempt.at) {
        refuse_busy(call, ROW_charge, charge);
        return false;
    }
    const struct refundable untouched = {false, charge->captured, charge->amount, 0, 0};
    switch (refund_check(FLORIN_MUTANT(refunds_not_added_up) ? &untouched : &refundable, asked,
                         amount)) {
    case REFUND_CHARGE_FAILED:
        call_refuse_400(call, "charge_not_refundable", "charge",
                        "Charge %.*s failed: there is nothing to refund.", id_size, charge->id.at);
        return false;
    case REFUND_ALL_GONE:
        call_refuse_400(call, "charge_already_refunded", NULL,
                        "Charge %.*s has already been refunded.", id_size, charge->id.at);
        return false;
    case REFUND_PART_NOT_CAPTURED:
        call_refuse_400(call, NULL, "amount",
                        "You cannot partially refund an uncaptured charge. Instead, capture the "
                        "charge for an amount less than the original amount");
        return false;
    case REFUND_NOT_CAPTURED:
        if (!charge->payment_intent.at) { /* there is no payment to cancel: this releases it */
            *amount = charge->amount;
            return true;
        }
        call_refuse_400(call, "charge_not_refundable", "charge",
                        "Charge %.*s is not captured: cancel its PaymentIntent (%.*s) to release "
                        "what is held.",
                        id_size, charge->id.at, (int)charge->payment_intent.size,
                        charge->payment_intent.at);
        return false;
    case REFUND_UNDER_WAY: refuse_busy(call, ROW_charge, charge); return false;
    case REFUND_TOO_MUCH:
        if (!currency) {
            call_refuse_400(call, NULL, "amount", "Refund amount is greater than what is left.");
            return false;
        }
        amount_words(currency, asked, asked_words, sizeof asked_words);
        amount_words(currency, refund_rest(&refundable), rest_words, sizeof rest_words);
        call_refuse_400(call, NULL, "amount",
                        "Refund amount (%s) is greater than unrefunded amount on charge (%s)",
                        asked_words, rest_words);
        return false;
    case REFUND_OK: break;
    }
    return true;
}

void
refund_create(struct call *call)
{
    struct row_charge *charge = call_new_row(call, ROW_charge);
    struct row_refund *refund = call_new_row(call, ROW_refund);
    int64_t amount;
    if (!charge_of_request(call, charge)) return;
    if (!refund_is_possible(call, charge, &amount)) return;
    refund->id = call_new_id(call, "re_");
    refund->merchant = call->merchant;
    refund->created = call->now_s;
    refund->status = text_of(refund_status(REFUND_IS_ASKED));
    refund->amount = amount;
    refund->currency = charge->currency;
    refund->charge = charge->id;
    refund->payment_intent = charge->payment_intent;
    refund->payment_method = charge->payment_method;
    refund->customer = charge->customer;
    refund->slot = slot_of(call->merchant);
    field_text(call, "reason", &refund->reason);
    if (!field_metadata(call, "metadata", &refund->metadata)) return;

    /* After this point it must succeed. */
    struct row_attempt *attempt =
        attempt_new(call, charge->captured ? "refund" : "void", &(struct attempt_notes){0});
    charge->amount_refunding += amount;
    if (!charge->captured) charge->attempt = attempt->id;
    refund->attempt = attempt->id;
    call_update(call, ROW_charge, charge);
    call_insert(call, ROW_refund, refund);
    attempt->amount = amount;
    attempt->currency = charge->currency;
    attempt->payment_intent = charge->payment_intent;
    attempt->charge = charge->id;
    attempt->refund = refund->id;
    attempt->payment_method = charge->payment_method;
    attempt->original = charge->authorization;
    call_begin_attempt(call, attempt, &(struct network_extras){NO_TEXT, NO_TEXT, NO_TEXT});
}

bool
refund_advance(struct row_refund *refund, enum refund_event event, uint32_t *effects)
{
    const enum refund_state now =
        refund_state_of(refund->status, refund->balance_transaction.at != NULL);
    assert(now != REFUND_NOWHERE);
    const enum refund_state next = refund_step(now, event, effects);
    if (next == REFUND_NOWHERE) return false;
    refund->status = text_of(refund_status(next));
    return true;
}

void
refund_answered(struct row_refund *refund, enum refund_event event)
{
    uint32_t effects;
    const bool possible = refund_advance(refund, event, &effects);
    assert(possible);
    (void)possible;
}

void
refund_retrieve(struct call *call)
{
    struct row_refund *refund = call_new_row(call, ROW_refund);
    if (!call_get(call, ROW_refund, call->object, refund)) return;
    answer_row(call, ROW_refund, refund, NULL);
}

/* As charge_lock: what its charge is locked by. */
struct text
refund_lock(const struct row_refund *refund)
{
    return refund->payment_intent.at ? refund->payment_intent : refund->charge;
}

void
refund_update(struct call *call)
{
    struct row_refund *refund = call_new_row(call, ROW_refund);
    if (!call_get(call, ROW_refund, call->object, refund)) return;
    if (!call_lock(call, refund_lock(refund))) return;
    if (!call_get(call, ROW_refund, call->object, refund)) return;
    const struct row_refund before = *refund;
    if (!field_metadata(call, "metadata", &refund->metadata)) return;
    call_update(call, ROW_refund, refund);
    tell_updated(call, "refund.updated", ROW_refund, &before, refund);
    tell_updated(call, "charge.refund.updated", ROW_refund, &before, refund);
    answer_row(call, ROW_refund, refund, NULL);
}

void
refund_list(struct call *call)
{
    struct store_page page;
    if (!list_page(call, ROW_refund, &page)) return;
    list_filter(&page, "charge", field_given(call, "charge"));
    list_filter(&page, "payment_intent", field_given(call, "payment_intent"));
    list_answer(call, ROW_refund, &page);
}

void
charge_refund_list(struct call *call)
{
    struct row_charge *charge = call_new_row(call, ROW_charge);
    struct store_page page;
    if (!call_get(call, ROW_charge, call->object, charge)) return;
    if (!list_page(call, ROW_refund, &page)) return;
    list_filter(&page, "charge", call->object);
    list_answer(call, ROW_refund, &page);
}
