/* payment_holds: what becomes of money that an issuer holds, beside being captured: more of it is
 * held (increment), it is let go (cancel, the rest after captures in part), or it runs out.
 *
 * The issuer lets go by itself when its time is over; ours is the shorter: a hold that has run out
 * is voided, so that both books say the same. */
#include "answer.h"
#include "fields.h"
#include "handlers.h"
#include "id.h"
#include "json_reader.h"
#include "payment.h"

#include <assert.h>

static const struct network_extras nothing = {{NULL, 0}, {NULL, 0}, {NULL, 0}};

static struct row_attempt *
attempt_on_hold(struct call *call, struct row_payment_intent *pi, const struct row_charge *charge,
                const char *operation, int64_t amount, const struct attempt_notes *notes)
{
    struct row_attempt *attempt = attempt_new(call, operation, notes);
    attempt->amount = amount;
    attempt->currency = pi->currency;
    attempt->payment_intent = pi->id;
    attempt->charge = charge->id;
    attempt->payment_method = charge->payment_method;
    attempt->original = charge->authorization;
    pi->attempt = attempt->id;
    return attempt;
}

/* --- letting go ------------------------------------------------------------------------------- */

void
payment_let_go(struct call *call, struct row_payment_intent *pi, const struct row_charge *charge,
               const struct attempt_notes *notes)
{
    struct row_attempt *attempt =
        attempt_on_hold(call, pi, charge, "void", pi->amount_capturable, notes);
    call_update(call, ROW_payment_intent, pi);
    call_begin_attempt(call, attempt, &nothing);
}

void
payment_release(struct call *call, struct row_payment_intent *pi, bool keep)
{
    struct row_charge *charge = call_new_row(call, ROW_charge);
    const struct payment_intent now = payment_standing(pi);
    struct payment_intent next;
    uint32_t effects;
    if (pi->attempt.at) {
        refuse_busy(call, ROW_payment_intent, pi);
        return;
    }
    switch (pi_step(&now, ON_RELEASED, 0, &next, &effects)) {
    case PI_OK: break;
    case PI_WRONG_STATE:
        refuse_state(call, ROW_payment_intent, pi,
                     "This PaymentIntent could not be captured because it has a status of %s. Only "
                     "a PaymentIntent with a status of requires_capture may be captured.",
                     pi_state_name(now.state));
        return;
    default:
        call_refuse_400(call, "parameter_invalid_integer", "amount_to_capture",
                        "Invalid positive integer");
        return;
    }
    if (keep) {
        call_refuse_400(call, NULL, "final_capture",
                        "A capture of 0 releases what is left, so it is the final one.");
        return;
    }
    if (!call_get(call, ROW_charge, pi->latest_charge, charge)) return;
    payment_let_go(call, pi, charge, &(struct attempt_notes){.release = true});
}

/* As the client did who began it, so that its events say the same of themselves. */
static bool
speak_for(struct call *call, const struct row_charge *charge)
{
    struct row_attempt *original = call_new_row(call, ROW_attempt);
    if (!call_get(call, ROW_attempt, charge->authorization, original)) return false;
    call->api_version = original->api_version;
    call->livemode = text_is(json_find(original->params, "livemode"), "true");
    return true;
}

/* Of a charge without a payment: it bears the hold itself. */
static void
charge_hold_expired(struct call *call)
{
    struct row_charge *charge = call_new_row(call, ROW_charge);
    if (!call_lock(call, call->object)) return;
    if (!call_get(call, ROW_charge, call->object, charge)) return;
    if (charge->attempt.at) {
        refuse_busy(call, ROW_charge, charge);
        return;
    }
    if (charge->hold_until == NO_NUMBER || charge->hold_until > call->now_s) {
        call_refuse_400(call, NULL, NULL, "Nothing of this charge has run out.");
        return;
    }
    if (!speak_for(call, charge)) return;
    /* After this point it must succeed. */
    struct row_attempt *attempt =
        attempt_new(call, "void", &(struct attempt_notes){.answer = ROW_charge, .expired = true});
    attempt->amount = charge->amount;
    attempt->currency = charge->currency;
    attempt->charge = charge->id;
    attempt->payment_method = charge->payment_method;
    attempt->original = charge->authorization;
    charge->attempt = attempt->id;
    call_update(call, ROW_charge, charge);
    call_begin_attempt(call, attempt, &nothing);
}

void
hold_expired(struct call *call)
{
    if (id_is(call->object, table_find(ROW_charge)->prefix)) {
        charge_hold_expired(call);
        return;
    }
    struct row_payment_intent *pi = call_new_row(call, ROW_payment_intent);
    struct row_charge *charge = call_new_row(call, ROW_charge);
    if (!call_lock(call, call->object)) return;
    if (!call_get(call, ROW_payment_intent, call->object, pi)) return;
    if (pi->attempt.at) {
        refuse_busy(call, ROW_payment_intent, pi);
        return;
    }
    if (!call_get(call, ROW_charge, pi->latest_charge, charge)) return;
    if (payment_standing(pi).state != PI_NEEDS_CAPTURE || charge->hold_until == NO_NUMBER ||
        charge->hold_until > call->now_s) {
        call_refuse_400(call, NULL, NULL, "Nothing of this payment has run out.");
        return;
    }
    if (!speak_for(call, charge)) return;
    const struct attempt_notes notes = {.expired = true,
                                        .release = pi->amount_received > 0,
                                        .cancellation_reason = TEXT("automatic")};
    payment_let_go(call, pi, charge, &notes);
}

/* --- holding more ----------------------------------------------------------------------------- */

static bool
increment_is_possible(struct call *call, const struct row_payment_intent *pi, int64_t amount)
{
    const struct payment_intent now = payment_standing(pi);
    struct payment_intent next;
    uint32_t effects;
    const enum pi_verdict verdict =
        pi_step(&now, ON_INCREMENTED, amount - pi->amount, &next, &effects);
    if (verdict == PI_WRONG_STATE) {
        refuse_state(call, ROW_payment_intent, pi,
                     "This PaymentIntent's authorization could not be incremented because it has a "
                     "status of %s. Only a PaymentIntent with a status of requires_capture may be "
                     "incremented.",
                     pi_state_name(now.state));
        return false;
    }
    if (verdict == PI_CAPTURED_IN_PART) {
        refuse_state(
            call, ROW_payment_intent, pi,
            "This PaymentIntent's authorization could not be incremented because a part of "
            "it has been captured.");
        return false;
    }
    if (!payment_has_feature(pi, "request_incremental_authorization")) {
        call_refuse_400(call, "payment_intent_unexpected_state", NULL,
                        "This PaymentIntent does not support incremental authorizations: it was "
                        "confirmed without payment_method_options[card]"
                        "[request_incremental_authorization]=if_available.");
        return false;
    }
    if (verdict == PI_AMOUNT_NOT_POSITIVE) {
        call_refuse_400(call, NULL, "amount",
                        "The amount must be greater than what is authorized now: %lld.",
                        (long long)pi->amount);
        return false;
    }
    assert(verdict == PI_OK);
    if (pi->increments >= INCREMENTS_MAX) {
        call_refuse_400(call, NULL, NULL,
                        "This PaymentIntent's authorization has been incremented %d times already, "
                        "and cannot be any more.",
                        INCREMENTS_MAX);
        return false;
    }
    return amount_fits(call, pi->currency, amount);
}

void
payment_intent_increment(struct call *call)
{
    struct row_payment_intent *pi = call_new_row(call, ROW_payment_intent);
    struct row_charge *charge = call_new_row(call, ROW_charge);
    const int64_t amount = params_integer(call->params, "amount", 0);
    struct attempt_notes notes = {.description = field_given(call, "description")};
    if (!call_lock(call, call->object)) return;
    if (!call_get(call, ROW_payment_intent, call->object, pi)) return;
    if (pi->attempt.at) {
        refuse_busy(call, ROW_payment_intent, pi);
        return;
    }
    if (!increment_is_possible(call, pi, amount)) return;
    if (!field_descriptor(call, "statement_descriptor", &notes.statement_descriptor)) return;
    if (params_have_any(call->params, "metadata")) {
        notes.metadata = pi->metadata;
        if (!field_metadata(call, "metadata", &notes.metadata)) return;
    }
    if (!call_get(call, ROW_charge, pi->latest_charge, charge)) return;
    /* After this point it must succeed. Nothing of the payment changes but by the issuer's yes. */
    struct row_attempt *attempt =
        attempt_on_hold(call, pi, charge, "increment", amount - pi->amount, &notes);
    call_update(call, ROW_payment_intent, pi);
    call_begin_attempt(call, attempt, &nothing);
}
