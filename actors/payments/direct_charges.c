/* direct_charges: money taken from a card at once, without a payment around it (POST /v1/charges).
 *
 * The charge itself is durable before the network is asked, as `pending`; it bears all that its end
 * needs, and names the attempt that is open, as a payment does. Its end is in charge_finish.c. */
#include "answer.h"
#include "fields.h"
#include "handlers.h"
#include "json_reader.h"
#include "payment.h"

#include <assert.h>

static void
refuse_not_linked(struct call *call, struct text customer, struct text source)
{
    call_refuse_400(call, "missing", "source",
                    "Customer %.*s does not have a linked source with ID %.*s.", (int)customer.size,
                    customer.at, (int)source.size, source.at);
}

/* A customer's card: the one that is named, or their default source. */
static bool
card_of_customer(struct call *call, const struct row_customer *customer, struct text source,
                 struct row_payment_method *card)
{
    const struct text id = source.at ? source : customer->default_source;
    if (!id.at) {
        call_refuse(call,
                    &(struct api_refusal){
                        .status = 402,
                        .type = "card_error",
                        .code = "missing",
                        .param = "card",
                        .message = TEXT("Cannot charge a customer that has no active card")},
                    true);
        return false;
    }
    switch (store_get(call->store, ROW_payment_method, call->merchant, id, call->arena, card)) {
    case STORE_UNAVAILABLE: refuse_unavailable(call); return false;
    case STORE_FOUND:
        if (text_equal(card->customer, customer->id)) return true;
        break;
    case STORE_MISSING: break;
    }
    refuse_not_linked(call, customer->id, id);
    return false;
}

/* What is to be charged: a customer's card, or that of a token. */
static bool
source_to_charge(struct call *call, struct row_charge *charge, struct method_use *use)
{
    const struct text source = field_given(call, "source");
    if (!source_of_request(call, use)) return false;
    if (!source.at && !charge->customer.at) {
        call_refuse_400(call, "parameter_missing", "source", "Must provide source or customer.");
        return false;
    }
    if (!charge->customer.at) {
        if (use->row) return true;
        refuse_missing(call, "token", source, "source");
        return false;
    }
    struct row_customer *customer = call_new_row(call, ROW_customer);
    if (!get_customer(call, charge->customer, "customer", customer)) return false;
    if (use->row) {
        refuse_not_linked(call, charge->customer, source);
        return false;
    }
    use->row = call_new_row(call, ROW_payment_method);
    return card_of_customer(call, customer, source, use->row);
}

void
charge_create(struct call *call)
{
    struct row_charge *charge = call_new_row(call, ROW_charge);
    struct method_use use;
    charge->id = call_new_id(call, "ch_");
    charge->merchant = call->merchant;
    charge->created = call->now_s;
    charge->status = text_of(charge_shown(CHARGE_PENDING).status);
    charge->amount = params_integer(call->params, "amount", 0);
    charge->currency = currency_code(params_find(call->params, "currency"));
    field_text(call, "customer", &charge->customer);
    field_text(call, "description", &charge->description);
    field_text(call, "receipt_email", &charge->receipt_email);
    field_text(call, "statement_descriptor", &charge->statement_descriptor);
    field_text(call, "statement_descriptor_suffix", &charge->statement_descriptor_suffix);
    field_text(call, "transfer_group", &charge->transfer_group);
    field_shipping(call, "shipping", &charge->shipping);
    if (!amount_fits(call, charge->currency, charge->amount)) return;
    if (!field_metadata(call, "metadata", &charge->metadata)) return;
    if (!source_to_charge(call, charge, &use)) return;
    if (!card_can_be_charged(call, use.row)) return;

    /* After this point it must succeed. */
    struct row_payment_method *card = use.row;
    struct row_attempt *attempt =
        attempt_new(call, "authorize", &(struct attempt_notes){.answer = ROW_charge});
    attempt->amount = charge->amount;
    attempt->currency = charge->currency;
    attempt->charge = charge->id;
    attempt->payment_method = card->id;
    attempt->capture = params_flag(call->params, "capture", true);
    charge->attempt = charge->authorization = attempt->id;
    charge->payment_method = card->id;
    charge->billing_details = card->billing_details;

    const struct network_extras extras = take_extras(call, card);
    if (use.fresh || use.token || extras.cvc.at) {
        card->consumed = !card->customer.at; /* a token's card is good for this alone */
        method_stage(call, &use);
    }
    call_insert(call, ROW_charge, charge);
    call_begin_attempt(call, attempt, &extras);
}

void
charge_capture_directly(struct call *call, struct row_charge *charge, int64_t amount)
{
    if (charge->attempt.at) {
        refuse_busy(call, ROW_charge, charge);
        return;
    }
    if (!charge->paid) {
        call_refuse_400(call, "charge_not_capturable", NULL,
                        "Charge %.*s failed: nothing is held that could be captured.",
                        (int)charge->id.size, charge->id.at);
        return;
    }
    if (amount > charge->amount) {
        call_refuse_400(call, "amount_too_large", "amount",
                        "You can capture at most what is held for this charge: %lld.",
                        (long long)charge->amount);
        return;
    }
    /* After this point it must succeed. */
    struct row_attempt *attempt =
        attempt_new(call, "capture", &(struct attempt_notes){.answer = ROW_charge});
    attempt->amount = amount ? amount : charge->amount;
    attempt->currency = charge->currency;
    attempt->charge = charge->id;
    attempt->payment_method = charge->payment_method;
    attempt->original = charge->authorization;
    charge->attempt = attempt->id;
    call_update(call, ROW_charge, charge);
    call_begin_attempt(call, attempt, &(struct network_extras){NO_TEXT, NO_TEXT, NO_TEXT});
}
