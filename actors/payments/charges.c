#include "answer.h"
#include "fields.h"
#include "handlers.h"
#include "lists.h"
#include "payment.h"

#include <assert.h>

struct text
charge_lock(const struct row_charge *charge)
{
    return charge->payment_intent.at ? charge->payment_intent : charge->id;
}

void
charge_advance(struct row_charge *charge, enum charge_event event)
{
    const enum charge_state now =
        charge_state_of(charge->status, charge->paid, charge->captured, charge->refunded);
    assert(now != CHARGE_NOWHERE);
    const enum charge_state next = charge_step(now, event);
    assert(next != CHARGE_NOWHERE);
    const struct charge_shown shown = charge_shown(next);
    charge->status = text_of(shown.status);
    charge->paid = shown.paid;
    charge->captured = shown.captured;
    charge->refunded = shown.refunded;
}

void
charge_retrieve(struct call *call)
{
    struct row_charge *charge = call_new_row(call, ROW_charge);
    if (!call_get(call, ROW_charge, call->object, charge)) return;
    answer_row(call, ROW_charge, charge, NULL);
}

void
charge_update(struct call *call)
{
    struct row_charge *charge = call_new_row(call, ROW_charge);
    struct row_customer *customer = call_new_row(call, ROW_customer);
    /* The lock of a payment is its intent's, whichever of its objects is meant. */
    if (!call_get(call, ROW_charge, call->object, charge)) return;
    if (!call_lock(call, charge_lock(charge))) return;
    if (!call_get(call, ROW_charge, call->object, charge)) return;
    const struct row_charge before = *charge;
    const struct text id = field_given(call, "customer");
    if (id.at && !get_customer(call, id, "customer", customer)) return;
    if (id.at && charge->customer.at && !text_equal(id, charge->customer)) {
        call_refuse_400(call, NULL, "customer", "This charge has a customer already.");
        return;
    }
    if (id.at) charge->customer = id;
    field_text(call, "description", &charge->description);
    field_text(call, "receipt_email", &charge->receipt_email);
    field_shipping(call, "shipping", &charge->shipping);
    field_text(call, "transfer_group", &charge->transfer_group);
    if (params_have(call->params, "fraud_details[user_report]")) {
        const struct text report = field_given(call, "fraud_details[user_report]");
        charge->fraud_details = NO_TEXT;
        if (report.at)
            charge->fraud_details = arena_format(call->arena, "{\"user_report\":\"%.*s\"}",
                                                 (int)report.size, report.at);
    }
    if (!field_metadata(call, "metadata", &charge->metadata)) return;
    call_update(call, ROW_charge, charge);
    tell_updated(call, "charge.updated", ROW_charge, &before, charge);
    answer_row(call, ROW_charge, charge, NULL);
}

void
charge_list(struct call *call)
{
    struct store_page page;
    if (!list_page(call, ROW_charge, &page)) return;
    list_filter(&page, "customer", field_given(call, "customer"));
    list_filter(&page, "payment_intent", field_given(call, "payment_intent"));
    list_filter(&page, "transfer_group", field_given(call, "transfer_group"));
    list_answer(call, ROW_charge, &page);
}

void
charge_capture(struct call *call)
{
    struct row_charge *charge = call_new_row(call, ROW_charge);
    struct row_payment_intent *pi = call_new_row(call, ROW_payment_intent);
    if (!call_get(call, ROW_charge, call->object, charge)) return;
    if (!call_lock(call, charge_lock(charge))) return;
    if (!call_get(call, ROW_charge, call->object, charge)) return;
    if (charge->captured) {
        call_refuse_400(call, "charge_already_captured", NULL,
                        "Charge %.*s has already been captured.", (int)charge->id.size,
                        charge->id.at);
        return;
    }
    if (charge->refunded) {
        call_refuse_400(call, "charge_already_refunded", NULL,
                        "Charge %.*s has been refunded: what was held is released.",
                        (int)charge->id.size, charge->id.at);
        return;
    }
    field_text(call, "receipt_email", &charge->receipt_email);
    if (!field_descriptor(call, "statement_descriptor", &charge->statement_descriptor) ||
        !field_descriptor(call, "statement_descriptor_suffix",
                          &charge->statement_descriptor_suffix))
        return;
    field_text(call, "transfer_group", &charge->transfer_group);
    const int64_t amount = params_integer(call->params, "amount", 0);
    if (!charge->payment_intent.at)
        charge_capture_directly(call, charge, amount);
    else if (call_get(call, ROW_payment_intent, charge->payment_intent, pi))
        payment_capture(call, pi, charge, amount, false, "amount");
}
