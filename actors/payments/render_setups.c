/* render_setups: set-ups and the tries to confirm them, as the API shows them. */
#include "expand.h"
#include "json_reader.h"
#include "render.h"

void
render_setup_intent(struct render *r, const void *row, struct text expand)
{
    const struct row_setup_intent *si = row;
    struct json_writer *w = &r->w;
    const bool all = !r->call->publishable; /* a page in a browser sees what it needs */
    json_open(w);
    json_text(w, "id", si->id);
    json_string(w, "object", "setup_intent");
    json_null(w, "allowed_payment_method_types");
    if (all) json_null(w, "application");
    json_raw(w, "automatic_payment_methods", si->automatic_payment_methods);
    json_text(w, "cancellation_reason", si->cancellation_reason);
    json_text(w, "client_secret", si->client_secret);
    json_integer(w, "created", si->created);
    if (all) {
        render_reference(r, "customer", ROW_customer, si->customer, expand);
        json_null(w, "customer_account");
    }
    json_text(w, "description", si->description);
    json_null(w, "excluded_payment_method_types");
    if (all) json_null(w, "flow_directions");
    render_last_error(r, "last_setup_error", si->last_setup_error, si->last_error_method);
    if (all) render_reference(r, "latest_attempt", ROW_setup_attempt, si->latest_attempt, expand);
    json_flag(w, "livemode", r->call->livemode);
    if (all) {
        json_null(w, "managed_payments");
        json_null(w, "mandate");
        render_hash(r, "metadata", si->metadata);
    }
    json_raw(w, "next_action", text_is(si->status, "requires_action") ? si->next_action : NO_TEXT);
    if (all) json_null(w, "on_behalf_of");
    render_reference(r, "payment_method", ROW_payment_method, si->payment_method, expand);
    json_null(w, "payment_method_configuration_details");
    if (all) render_hash(r, "payment_method_options", si->payment_method_options);
    json_raw(w, "payment_method_types", si->payment_method_types);
    if (all) json_null(w, "single_use_mandate");
    json_text(w, "status", si->status);
    json_text(w, "usage", si->usage);
    json_close(w);
}

void
render_setup_attempt(struct render *r, const void *row, struct text expand)
{
    const struct row_setup_attempt *try = row;
    struct json_writer *w = &r->w;
    json_open(w);
    json_text(w, "id", try->id);
    json_string(w, "object", "setup_attempt");
    json_null(w, "application");
    json_integer(w, "created", try->created);
    render_reference(r, "customer", ROW_customer, try->customer, expand);
    json_null(w, "customer_account");
    json_null(w, "flow_directions");
    json_flag(w, "livemode", r->call->livemode);
    json_null(w, "on_behalf_of");
    render_reference(r, "payment_method", ROW_payment_method, try->payment_method, expand);
    json_raw(w, "payment_method_details",
             try->payment_method_details.at ? try->payment_method_details
                                            : TEXT("{\"card\":{},\"type\":\"card\"}"));
    render_last_error(r, "setup_error", try->setup_error, try->payment_method);
    render_reference(r, "setup_intent", ROW_setup_intent, try->setup_intent, expand);
    json_text(w, "status", try->status);
    json_text(w, "usage", try->usage);
    json_close(w);
}
