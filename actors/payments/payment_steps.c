/* payment_steps: the three things that the network is asked for a payment: confirm, capture,
 * cancel.
 *
 * Each refuses what can be refused, then writes the attempt together with the payment and leaves:
 * the network's answer is attempts_finish.c's. While an attempt is open the payment names it, and
 * every other step is told to wait; so it is even when the worker that began it is gone. */
#include "answer.h"
#include "fields.h"
#include "handlers.h"
#include "json_reader.h"
#include "payment.h"

#include <assert.h>

struct row_attempt *
attempt_new(struct call *call, const char *operation, const struct attempt_notes *notes)
{
    struct row_attempt *attempt = call_new_row(call, ROW_attempt);
    /* Each byte of what a client wrote may be escaped. */
    struct json_writer w =
        call_writer(call, 512 + notes->metadata.size +
                              6 * (notes->return_url.size + notes->cancellation_reason.size +
                                   notes->description.size + notes->statement_descriptor.size));
    attempt->id = call_new_id(call, "att_");
    attempt->merchant = call->merchant;
    attempt->created = call->now_s;
    attempt->operation = text_of(operation);
    attempt->key = call->key;
    attempt->request = call->request;
    attempt->api_version = call->api_version;
    attempt->expand = call->expand;
    /* What a worker that never saw the request has to know to finish it. */
    json_open(&w);
    if (notes->answer) json_string(&w, "answer", table_find((uint64_t)notes->answer)->name);
    if (notes->cancellation_reason.at)
        json_text(&w, "cancellation_reason", notes->cancellation_reason);
    if (notes->challenge.at) json_text(&w, "challenge", notes->challenge);
    if (notes->description.at) json_text(&w, "description", notes->description);
    if (notes->expired) json_flag(&w, "expired", true);
    if (notes->keep) json_flag(&w, "keep", true);
    json_flag(&w, "livemode", call->livemode);
    if (notes->metadata.at) json_raw(&w, "metadata", notes->metadata);
    if (notes->no_action) json_flag(&w, "no_action", true);
    if (notes->off_session) json_flag(&w, "off_session", true);
    json_flag(&w, "publishable", call->publishable);
    if (notes->refund_ends) json_string(&w, "refund_ends", notes->refund_ends);
    if (notes->release) json_flag(&w, "release", true);
    if (notes->return_url.at) json_text(&w, "return_url", notes->return_url);
    if (notes->statement_descriptor.at)
        json_text(&w, "statement_descriptor", notes->statement_descriptor);
    if (notes->three_d_secure.at) json_text(&w, "three_d_secure", notes->three_d_secure);
    if (notes->use_sdk) json_flag(&w, "use_sdk", true);
    json_close(&w);
    attempt->params = json_writer_text(&w);
    return attempt;
}

/* --- confirm --------------------------------------------------------------------------------- */

static void
refuse_confirm(struct call *call, const struct row_payment_intent *pi, bool stored)
{
    static const char no_method[] =
        "You cannot confirm this PaymentIntent because it's missing a payment method. You can "
        "either update the PaymentIntent with a payment method and then confirm it again, or "
        "confirm it again directly with a payment method.";
    const enum pi_state state = payment_standing(pi).state;
    if (state == PI_NEEDS_METHOD && stored)
        refuse_state(call, ROW_payment_intent, pi, "%s", no_method);
    else if (state == PI_NEEDS_METHOD) /* there is no such payment to be shown */
        call_refuse_400(call, "payment_intent_unexpected_state", NULL, "%s", no_method);
    else if (state == PI_SUCCEEDED || state == PI_NEEDS_CAPTURE)
        refuse_state(call, ROW_payment_intent, pi,
                     "You cannot confirm this PaymentIntent because it has already succeeded after "
                     "being previously confirmed.");
    else
        refuse_state(call, ROW_payment_intent, pi,
                     "You cannot confirm this PaymentIntent because it has a status of %s. Only a "
                     "PaymentIntent with one of the following statuses may be confirmed: "
                     "requires_confirmation, requires_action.",
                     pi_state_name(state));
}

bool
card_can_be_charged(struct call *call, const struct row_payment_method *method)
{
    if (!method->unsupported.at) return true;
    call_refuse_400(call, "payment_method_not_available", "payment_method",
                    "This test card needs a feature that Florin does not have yet (%.*s). Nothing "
                    "was charged.",
                    (int)method->unsupported.size, method->unsupported.at);
    return false;
}

/* The attempt to take or to hold the whole amount; the payment names it from now on. */
static struct row_attempt *
payment_attempt(struct call *call, struct row_payment_intent *pi,
                const struct row_payment_method *method, const struct attempt_notes *notes)
{
    struct row_attempt *attempt = attempt_new(call, "authorize", notes);
    attempt->amount = pi->amount;
    attempt->currency = pi->currency;
    attempt->payment_intent = pi->id;
    attempt->charge = call_new_id(call, "ch_");
    attempt->payment_method = method->id;
    attempt->capture = !payment_is_manual(pi);
    pi->attempt = attempt->id;
    return attempt;
}

struct network_extras
take_extras(struct call *call, struct row_payment_method *method)
{
    const struct network_extras extras = {
        method->cvc, field_in(call, method->billing_details, "address", "postal_code"),
        field_in(call, method->billing_details, "address", "line1")};
    method->cvc = NO_TEXT;
    return extras;
}

void
payment_confirm(struct call *call, struct row_payment_intent *pi, bool stored,
                struct method_use *use)
{
    struct row_customer *customer = call_new_row(call, ROW_customer);
    struct row_payment_intent before;
    struct attempt_notes notes = {0};
    uint32_t effects;
    if (!use->row && pi->payment_method.at) {
        use->row = call_new_row(call, ROW_payment_method);
        if (!call_get(call, ROW_payment_method, pi->payment_method, use->row)) return;
    }
    before = *pi;
    if (payment_step(pi, ON_CONFIRM, 0, &effects) != PI_OK) {
        refuse_confirm(call, pi, stored);
        return;
    }
    assert(use->row && effects == ASK_NETWORK);
    struct row_payment_method *method = use->row;
    if (pi->customer.at && !get_customer(call, pi->customer, "customer", customer)) return;
    if (!method_may_pay(call, method, pi->customer)) return;
    if (!card_can_be_charged(call, method)) return;
    const bool chosen_way = use->chosen && use->chosen->return_url.at;
    if (!action_notes(call, pi->payment_method_options, &notes)) return;
    if (!chosen_way && !way_back_is_known(call, pi->automatic_payment_methods, "PaymentIntent"))
        return;
    if (chosen_way && !notes.return_url.at) notes.return_url = use->chosen->return_url;
    if (pi->customer.at && !method->customer.at && payment_future_use(call, pi).at &&
        !customer_has_room(call, pi->customer))
        return;

    /* After this point it must succeed. */
    struct row_attempt *attempt = payment_attempt(call, pi, method, &notes);
    attempt->original = challenge_passed(call, pi->challenge, pi->amount, pi->currency, method->id);
    pi->challenge = NO_TEXT;
    pi->confirms++;

    /* Without a customer the whole method is good for one payment: it is marked as used now, so
     * that no second payment can take it meanwhile. */
    const struct network_extras extras = take_extras(call, method);
    if (use->fresh || use->chosen || extras.cvc.at || !method->customer.at) {
        method->consumed = !method->customer.at;
        method_stage(call, use);
    }
    if (!stored && !pi->checkout_session.at) {
        /* Nobody can ask for it before its first attempt is over: that writes and tells it. */
        struct row_payment_intent *created = call_new_row(call, ROW_payment_intent);
        *created = before;
        call_insert(call, ROW_payment_intent, created);
        call_begin_staged(call, attempt, &extras);
        return;
    }
    if (stored) {
        call_update(call, ROW_payment_intent, pi);
    } else { /* its session names it */
        call_insert(call, ROW_payment_intent, pi);
        tell(call, "payment_intent.created", ROW_payment_intent, &before, NULL);
    }
    call_begin_attempt(call, attempt, &extras);
}

void
payment_intent_confirm(struct call *call)
{
    struct row_payment_intent *pi = call_new_row(call, ROW_payment_intent);
    struct method_use use;
    uint32_t effects;
    if (!call_lock(call, call->object)) return;
    if (!call_get(call, ROW_payment_intent, call->object, pi)) return;
    if (!payment_secret_fits(call, pi)) return;
    if (pi->attempt.at) {
        refuse_busy(call, ROW_payment_intent, pi);
        return;
    }
    if (call->publishable && text_is(pi->confirmation_method, "manual")) {
        call_refuse_400(call, "payment_intent_unexpected_state", NULL,
                        "This PaymentIntent has a confirmation_method of manual: it is confirmed "
                        "on your server, with your secret key.");
        return;
    }
    const enum pi_state state = payment_standing(pi).state;
    if (state != PI_NEEDS_METHOD && state != PI_NEEDS_CONFIRM && state != PI_NEEDS_ACTION) {
        refuse_confirm(call, pi, true);
        return;
    }
    if (!payment_take_fields(call, pi)) return;
    if (!method_of_request(call, "payment_method_data", &use)) return;
    payment_take_choice(pi, &use);
    if (use.row) {
        const enum pi_verdict verdict = payment_step(pi, ON_ATTACH, 0, &effects);
        assert(verdict == PI_OK);
        (void)verdict;
        pi->payment_method = use.row->id;
    }
    payment_confirm(call, pi, true, &use);
}

/* --- the payer's answer ---------------------------------------------------------------------- */

static void
authentication_failed(struct call *call, struct row_payment_intent *pi,
                      const struct row_challenge *challenge)
{
    const struct api_refusal refusal = {
        .status = 402,
        .code = "payment_intent_authentication_failure",
        .message = TEXT("The provided PaymentMethod has failed authentication. You can provide "
                        "payment_method_data or a new PaymentMethod to attempt to fulfill this "
                        "PaymentIntent again.")};
    uint32_t effects;
    const enum pi_verdict verdict = payment_step(pi, ON_DECLINED, 0, &effects);
    assert(verdict == PI_OK);
    (void)verdict;
    pi->payment_method = pi->challenge = NO_TEXT;
    pi->last_error_method = challenge->payment_method;
    pi->last_payment_error = json_find(refusal_json(call, &refusal), "error");
    call_update(call, ROW_payment_intent, pi);
    tell(call, "payment_intent.payment_failed", ROW_payment_intent, pi, NULL);
    challenge_answer(call, challenge, pi, NULL);
}

void
payment_answered(struct call *call, struct row_payment_intent *pi,
                 const struct row_challenge *challenge, bool passed)
{
    const bool by_hand = text_is(pi->confirmation_method, "manual");
    const struct attempt_notes notes = {.answer = ROW_challenge, .challenge = challenge->id};
    struct row_payment_method *method = call_new_row(call, ROW_payment_method);
    uint32_t effects;
    if (!call_get(call, ROW_payment_method, challenge->payment_method, method)) return;
    /* Another payment has used the card up meanwhile: it cannot be charged for this one. */
    if (!passed || method->consumed) {
        authentication_failed(call, pi, challenge);
        return;
    }
    const enum pi_verdict verdict =
        payment_step(pi, by_hand ? ON_PROVED : ON_AUTHENTICATED, 0, &effects);
    assert(verdict == PI_OK);
    (void)verdict;
    if (by_hand) { /* the merchant's server goes on: challenge_passed finds it then */
        call_update(call, ROW_payment_intent, pi);
        challenge_answer(call, challenge, pi, NULL);
        return;
    }
    struct row_attempt *attempt = payment_attempt(call, pi, method, &notes);
    attempt->original = challenge->attempt;
    if (!method->customer.at) {
        method->consumed = true;
        call_update(call, ROW_payment_method, method);
    }
    call_update(call, ROW_payment_intent, pi);
    call_begin_attempt(call, attempt, &(struct network_extras){NO_TEXT, NO_TEXT, NO_TEXT});
}

/* --- capture --------------------------------------------------------------------------------- */

void
payment_capture(struct call *call, struct row_payment_intent *pi, struct row_charge *charge,
                int64_t amount, bool keep, const char *param)
{
    const bool charge_named = charge != NULL;
    struct payment_intent next;
    uint32_t effects;
    const struct payment_intent now = payment_standing(pi);
    if (pi->attempt.at) {
        refuse_busy(call, ROW_payment_intent, pi);
        return;
    }
    const int64_t asked = amount ? amount : pi->amount_capturable;
    if (keep && asked == pi->amount_capturable) keep = false; /* nothing is left to be kept */
    switch (pi_step(&now, keep ? ON_CAPTURE_PART : ON_CAPTURE, asked, &next, &effects)) {
    case PI_WRONG_STATE:
        refuse_state(call, ROW_payment_intent, pi,
                     "This PaymentIntent could not be captured because it has a status of %s. Only "
                     "a PaymentIntent with a status of requires_capture may be captured.",
                     pi_state_name(now.state));
        return;
    case PI_AMOUNT_NOT_POSITIVE:
        call_refuse_400(call, "parameter_invalid_integer", param, "Invalid positive integer");
        return;
    case PI_AMOUNT_ABOVE_HOLD:
        call_refuse_400(call, "amount_too_large", param,
                        "You can capture at most what is held for this payment: %lld.",
                        (long long)pi->amount_capturable);
        return;
    case PI_CAPTURED_IN_PART:
    case PI_NOT_CAPTURED_IN_PART: assert(!"a capture is none the worse for others"); return;
    case PI_OK: break;
    }
    if (keep && !payment_has_feature(pi, "request_multicapture")) {
        call_refuse_400(call, NULL, "final_capture",
                        "You cannot capture this PaymentIntent in several parts: it was confirmed "
                        "without payment_method_options[card][request_multicapture]=if_available.");
        return;
    }
    if (!charge_named) {
        charge = call_new_row(call, ROW_charge);
        if (!call_get(call, ROW_charge, pi->latest_charge, charge)) return;
    }

    /* After this point it must succeed. */
    const struct attempt_notes notes = {.answer = charge_named ? ROW_charge : ROW_payment_intent,
                                        .keep = keep};
    struct row_attempt *attempt = attempt_new(call, "capture", &notes);
    attempt->amount = asked;
    attempt->currency = pi->currency;
    attempt->payment_intent = pi->id;
    attempt->charge = charge->id;
    attempt->payment_method = charge->payment_method;
    attempt->original = charge->authorization;
    pi->attempt = attempt->id;
    if (charge_named) call_update(call, ROW_charge, charge);
    call_update(call, ROW_payment_intent, pi);
    call_begin_attempt(call, attempt, &(struct network_extras){NO_TEXT, NO_TEXT, NO_TEXT});
}

void
payment_intent_capture(struct call *call)
{
    struct row_payment_intent *pi = call_new_row(call, ROW_payment_intent);
    if (!call_lock(call, call->object)) return;
    if (!call_get(call, ROW_payment_intent, call->object, pi)) return;
    if (!payment_take_fields(call, pi)) return;
    const bool keep = !params_flag(call->params, "final_capture", true);
    const int64_t amount = params_integer(call->params, "amount_to_capture", -1);
    if (amount == 0)
        payment_release(call, pi, keep);
    else
        payment_capture(call, pi, NULL, amount < 0 ? 0 : amount, keep, "amount_to_capture");
}

/* --- cancel ---------------------------------------------------------------------------------- */

void
payment_intent_cancel(struct call *call)
{
    struct row_payment_intent *pi = call_new_row(call, ROW_payment_intent);
    struct row_charge *charge = call_new_row(call, ROW_charge);
    uint32_t effects;
    if (!call_lock(call, call->object)) return;
    if (!call_get(call, ROW_payment_intent, call->object, pi)) return;
    if (pi->attempt.at) {
        refuse_busy(call, ROW_payment_intent, pi);
        return;
    }
    const struct row_payment_intent before = *pi;
    const struct text reason = field_given(call, "cancellation_reason");
    const enum pi_verdict verdict = payment_step(pi, ON_CANCEL, 0, &effects);
    if (verdict == PI_CAPTURED_IN_PART) {
        refuse_state(call, ROW_payment_intent, pi,
                     "You cannot cancel this PaymentIntent because a part of it has been captured. "
                     "To release what is left, capture it with amount_to_capture=0.");
        return;
    }
    if (verdict != PI_OK) {
        refuse_state(call, ROW_payment_intent, pi,
                     "You cannot cancel this PaymentIntent because it has a status of %.*s. Only a "
                     "PaymentIntent with one of the following statuses may be canceled: "
                     "requires_payment_method, requires_capture, requires_confirmation, "
                     "requires_action, processing.",
                     (int)pi->status.size, pi->status.at);
        return;
    }
    if (!(effects & RELEASE_HOLD) && pi->checkout_session.at) {
        call_refuse_400(call, "payment_intent_unexpected_state", NULL,
                        "You cannot cancel a PaymentIntent that was created by a Checkout Session. "
                        "Expire the Checkout Session instead.");
        return;
    }
    if (!(effects & RELEASE_HOLD)) {
        pi->canceled_at = call->now_s;
        pi->cancellation_reason = reason;
        call_update(call, ROW_payment_intent, pi);
        tell(call, "payment_intent.canceled", ROW_payment_intent, pi, NULL);
        answer_row(call, ROW_payment_intent, pi, NULL);
        return;
    }
    /* What is held has to be let go by the issuer first. */
    if (!call_get(call, ROW_charge, before.latest_charge, charge)) return;
    *pi = before;
    payment_let_go(call, pi, charge, &(struct attempt_notes){.cancellation_reason = reason});
}
