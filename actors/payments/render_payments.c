/* render_payments: payment intents, charges, refunds and balance transactions as the API shows
 * them. Members stand in alphabetical order behind id and object, as in Stripe's answers. What
 * Florin does not have yet is null, as it is for a merchant that does not use it. */
#include "api_version.h"
#include "expand.h"
#include "json_reader.h"
#include "render.h"

/* How many refunds a charge shows, and how many charges a payment intent of an old version. */
#define REFUNDS_SHOWN 10
#define CHARGES_SHOWN 10

void
render_last_error(struct render *r, const char *key, struct text error, struct text method_id)
{
    _Alignas(max_align_t) char method[ROW_SIZE_MAX];
    struct json_member member;
    bool malformed;
    json_key(&r->w, key);
    if (!error.at) {
        json_value_null(&r->w);
        return;
    }
    json_open(&r->w);
    for (size_t at = 0; json_next_member(error, &at, &member, &malformed);) {
        /* Behind the message and the network's code, in front of the type. */
        if (text_is(member.key, "type") && method_id.at &&
            render_get(r, ROW_payment_method, method_id, method)) {
            json_key(&r->w, "payment_method");
            render_object(r, ROW_payment_method, method, NO_TEXT);
        }
        json_key_text(&r->w, member.key);
        json_value_raw(&r->w, member.value);
    }
    json_close(&r->w);
}

/* The charges of a payment, the newest first: one that was staged just now before those of the
 * store. What is staged or known of a charge stands for what the store has of it. */
static void
charges_of(struct render *r, const struct row_payment_intent *pi)
{
    const struct store_page page = {
        .filters = {{"payment_intent", pi->id}}, .filter_count = 1, .limit = CHARGES_SHOWN};
    struct json_writer *w = &r->w;
    void *rows = NULL;
    size_t count = 0, fresh = 0;
    bool more = false;
    if (pi->latest_charge.at &&
        store_list(r->call->store, ROW_charge, r->call->merchant, &page, r->call->arena, &rows,
                   &count, &more) == STORE_UNAVAILABLE)
        r->whole = false;
    const struct row_charge *stored = rows, *staged;
    struct row_charge charge;
    json_key(w, "charges");
    json_open(w);
    json_string(w, "object", "list");
    json_key(w, "data");
    json_array(w);
    for (size_t at = 0; (staged = render_staged(r, ROW_charge, &at));)
        if (text_equal(staged->payment_intent, pi->id)) {
            render_charge(r, staged, NO_TEXT);
            fresh++;
        }
    for (size_t i = 0; i < count; i++)
        render_charge(r, render_get(r, ROW_charge, stored[i].id, &charge) ? &charge : &stored[i],
                      NO_TEXT);
    json_array_end(w);
    json_flag(w, "has_more", more);
    json_integer(w, "total_count", (int64_t)(count + fresh));
    json_text(w, "url",
              arena_format(r->call->arena, "/v1/charges?payment_intent=%.*s", (int)pi->id.size,
                           pi->id.at));
    json_close(w);
}

void
render_payment_intent(struct render *r, const void *row, struct text expand)
{
    const struct row_payment_intent *pi = row;
    struct json_writer *w = &r->w;
    const bool all = !r->call->publishable; /* a page in a browser sees what it needs */
    json_open(w);
    json_text(w, "id", pi->id);
    json_string(w, "object", "payment_intent");
    json_raw(w, "allowed_payment_method_types", pi->allowed_payment_method_types);
    json_integer(w, "amount", pi->amount);
    if (all) json_integer(w, "amount_capturable", pi->amount_capturable);
    json_raw(w, "amount_details", TEXT("{\"tip\":{}}"));
    if (all) {
        json_integer(w, "amount_received", pi->amount_received);
        json_null(w, "application");
        json_null(w, "application_fee_amount");
    }
    json_raw(w, "automatic_payment_methods", pi->automatic_payment_methods);
    json_number_or_null(w, "canceled_at", pi->canceled_at);
    json_text(w, "cancellation_reason", pi->cancellation_reason);
    json_text(w, "capture_method", pi->capture_method);
    if (all && !api_version_has(r->call->api_version, API_CHARGES_LEFT_OUT)) charges_of(r, pi);
    json_text(w, "client_secret", pi->client_secret);
    json_text(w, "confirmation_method", pi->confirmation_method);
    json_integer(w, "created", pi->created);
    json_text(w, "currency", pi->currency);
    if (all) {
        render_reference(r, "customer", ROW_customer, pi->customer, expand);
        json_null(w, "customer_account");
    }
    json_text(w, "description", pi->description);
    json_raw(w, "excluded_payment_method_types", pi->excluded_payment_method_types);
    render_last_error(r, "last_payment_error", pi->last_payment_error, pi->last_error_method);
    if (all) render_reference(r, "latest_charge", ROW_charge, pi->latest_charge, expand);
    json_flag(w, "livemode", r->call->livemode);
    if (all) {
        json_null(w, "managed_payments");
        render_hash(r, "metadata", pi->metadata);
    }
    json_raw(w, "next_action", text_is(pi->status, "requires_action") ? pi->next_action : NO_TEXT);
    if (all) json_null(w, "on_behalf_of");
    render_reference(r, "payment_method", ROW_payment_method, pi->payment_method, expand);
    json_null(w, "payment_method_configuration_details");
    if (all) render_hash(r, "payment_method_options", pi->payment_method_options);
    json_raw(w, "payment_method_types", pi->payment_method_types);
    if (all) json_null(w, "payment_record");
    json_null(w, "processing");
    json_text(w, "receipt_email", pi->receipt_email);
    if (all) json_null(w, "review");
    json_text(w, "setup_future_usage", pi->setup_future_usage);
    json_raw(w, "shipping", pi->shipping);
    json_null(w, "source");
    if (all) {
        json_text(w, "statement_descriptor", pi->statement_descriptor);
        json_text(w, "statement_descriptor_suffix", pi->statement_descriptor_suffix);
    }
    json_text(w, "status", pi->status);
    if (all) {
        json_null(w, "transfer_data");
        json_text(w, "transfer_group", pi->transfer_group);
    }
    json_close(w);
}

static bool
is_known(const struct render *r, enum row_table table, struct text id)
{
    for (const struct known *k = r->known; k && k->table; k++)
        if (k->table == table && text_equal(row_id(k->row), id)) return true;
    return false;
}

/* The newest refunds of a charge, those that were staged just now before those of the store. */
static void
refunds_of(struct render *r, const struct row_charge *charge, struct text expand)
{
    const struct store_page page = {
        .filters = {{"charge", charge->id}}, .filter_count = 1, .limit = REFUNDS_SHOWN};
    const struct text below = render_below(r, render_below(r, expand, "refunds"), "data");
    struct json_writer *w = &r->w;
    void *rows = NULL;
    size_t count = 0;
    bool more = false;
    if (store_list(r->call->store, ROW_refund, r->call->merchant, &page, r->call->arena, &rows,
                   &count, &more) == STORE_UNAVAILABLE)
        r->whole = false;
    const struct row_refund *stored = rows, *staged;
    struct row_refund newer;
    const struct text of_charge = arena_format(r->call->arena, "/v1/charges/%.*s/refunds",
                                               (int)charge->id.size, charge->id.at);
    json_key(w, "refunds");
    json_open(w);
    json_string(w, "object", "list");
    json_key(w, "data");
    json_array(w);
    for (const struct known *k = r->known; k && k->table; k++)
        if (k->table == ROW_refund &&
            text_equal(((const struct row_refund *)k->row)->charge, charge->id))
            render_refund(r, k->row, below);
    for (size_t at = 0; (staged = render_staged(r, ROW_refund, &at));)
        if (text_equal(staged->charge, charge->id) && !is_known(r, ROW_refund, staged->id))
            render_refund(r, staged, below);
    for (size_t i = 0; i < count; i++)
        if (!is_known(r, ROW_refund, stored[i].id))
            render_refund(r, render_get(r, ROW_refund, stored[i].id, &newer) ? &newer : &stored[i],
                          below);
    json_array_end(w);
    json_flag(w, "has_more", more);
    json_text(w, "url", of_charge);
    json_close(w);
}

void
render_charge(struct render *r, const void *row, struct text expand)
{
    const struct row_charge *charge = row;
    struct json_writer *w = &r->w;
    json_open(w);
    json_text(w, "id", charge->id);
    json_string(w, "object", "charge");
    json_integer(w, "amount", charge->amount);
    json_integer(w, "amount_captured", charge->amount_captured);
    json_integer(w, "amount_refunded", charge->amount_refunded);
    json_null(w, "application");
    json_null(w, "application_fee");
    json_null(w, "application_fee_amount");
    render_reference(r, "balance_transaction", ROW_balance_transaction, charge->balance_transaction,
                     expand);
    render_hash(r, "billing_details", charge->billing_details);
    json_text(w, "calculated_statement_descriptor", charge->statement_descriptor);
    json_flag(w, "captured", charge->captured);
    json_integer(w, "created", charge->created);
    json_text(w, "currency", charge->currency);
    render_reference(r, "customer", ROW_customer, charge->customer, expand);
    json_text(w, "description", charge->description);
    json_flag(w, "disputed", false);
    json_null(w, "failure_balance_transaction");
    json_text(w, "failure_code", charge->failure_code);
    json_text(w, "failure_message", charge->failure_message);
    render_hash(r, "fraud_details", charge->fraud_details);
    json_flag(w, "livemode", r->call->livemode);
    render_hash(r, "metadata", charge->metadata);
    json_null(w, "on_behalf_of");
    json_raw(w, "outcome", charge->outcome);
    json_flag(w, "paid", charge->paid);
    render_reference(r, "payment_intent", ROW_payment_intent, charge->payment_intent, expand);
    json_text(w, "payment_method", charge->payment_method);
    json_raw(w, "payment_method_details", charge->payment_method_details);
    json_text(w, "receipt_email", charge->receipt_email);
    json_null(w, "receipt_number");
    json_null(w, "receipt_url");
    json_flag(w, "refunded", charge->refunded);
    if (expand_has(expand, "refunds") ||
        !api_version_has(r->call->api_version, API_REFUNDS_LEFT_OUT))
        refunds_of(r, charge, expand);
    json_null(w, "review");
    json_raw(w, "shipping", charge->shipping);
    json_raw(w, "source", charge->source);
    json_null(w, "source_transfer");
    json_text(w, "statement_descriptor", charge->statement_descriptor);
    json_text(w, "statement_descriptor_suffix", charge->statement_descriptor_suffix);
    json_text(w, "status", charge->status);
    json_null(w, "transfer_data");
    json_text(w, "transfer_group", charge->transfer_group);
    json_close(w);
}

void
render_refund(struct render *r, const void *row, struct text expand)
{
    const struct row_refund *refund = row;
    struct json_writer *w = &r->w;
    json_open(w);
    json_text(w, "id", refund->id);
    json_string(w, "object", "refund");
    json_integer(w, "amount", refund->amount);
    render_reference(r, "balance_transaction", ROW_balance_transaction, refund->balance_transaction,
                     expand);
    render_reference(r, "charge", ROW_charge, refund->charge, expand);
    json_integer(w, "created", refund->created);
    json_text(w, "currency", refund->currency);
    render_reference(r, "customer", ROW_customer, refund->customer, expand);
    json_null(w, "customer_account");
    if (refund->description.at) json_text(w, "description", refund->description);
    json_raw(w, "destination_details",
             text_is(refund->status, "succeeded")
                 ? TEXT("{\"card\":{\"reference_status\":\"pending\","
                        "\"reference_type\":\"acquirer_reference_number\",\"type\":\"refund\"},"
                        "\"type\":\"card\"}")
                 : TEXT("{\"card\":{\"type\":\"pending\"},\"type\":\"card\"}"));
    if (refund->failure_balance_transaction.at)
        render_reference(r, "failure_balance_transaction", ROW_balance_transaction,
                         refund->failure_balance_transaction, expand);
    if (refund->failure_reason.at) json_text(w, "failure_reason", refund->failure_reason);
    render_hash(r, "metadata", refund->metadata);
    render_reference(r, "payment_intent", ROW_payment_intent, refund->payment_intent, expand);
    render_reference(r, "payment_method", ROW_payment_method, refund->payment_method, expand);
    if (text_is(refund->status, "pending")) json_string(w, "pending_reason", "processing");
    json_text(w, "reason", refund->reason);
    json_null(w, "receipt_number");
    json_null(w, "source_transfer_reversal");
    json_text(w, "status", refund->status);
    json_null(w, "transfer_reversal");
    json_close(w);
}

void
render_balance_transaction(struct render *r, const void *row, struct text expand)
{
    const struct row_balance_transaction *txn = row;
    struct json_writer *w = &r->w;
    /* The ledger lets funds become available on its own clock, a moment after they are due; what is
     * due counts as available, whatever an older copy of the row says. */
    const bool available = text_is(txn->status, "available") || txn->available_on <= r->call->now_s;
    json_open(w);
    json_text(w, "id", txn->id);
    json_string(w, "object", "balance_transaction");
    json_integer(w, "amount", txn->amount);
    json_integer(w, "available_on", txn->available_on);
    json_string(w, "balance_type", "payments");
    json_integer(w, "created", txn->created);
    json_text(w, "currency", txn->currency);
    json_text(w, "description", txn->description);
    json_null(w, "exchange_rate");
    json_integer(w, "fee", txn->fee);
    json_key(w, "fee_details");
    json_array(w);
    if (txn->fee) {
        json_open(w);
        json_integer(w, "amount", txn->fee);
        json_null(w, "application");
        json_text(w, "currency", txn->currency);
        json_string(w, "description",
                    "Stripe processing fees"); /* the words that exports look for */
        json_string(w, "type", "stripe_fee");
        json_close(w);
    }
    json_array_end(w);
    json_integer(w, "net", txn->net);
    json_text(w, "reporting_category", txn->reporting_category);
    render_reference(r, "source", table_of_id(txn->source), txn->source, expand);
    json_string(w, "status", available ? "available" : "pending");
    json_text(w, "type", txn->type);
    json_close(w);
}
