/* render_checkout: checkout sessions as the API shows them. */
#include "checkout.h"
#include "expand.h"

#define ITEMS_SHOWN 10 /* of an expanded session */

void
render_checkout_session(struct render *r, const void *row, struct text expand)
{
    const struct row_checkout_session *session = row;
    const bool open = checkout_is_open(r->call, session);
    const bool payment = text_is(session->mode, "payment");
    struct json_writer *w = &r->w;
    json_open(w);
    json_text(w, "id", session->id);
    json_string(w, "object", "checkout.session");
    json_raw(w, "adaptive_pricing", payment ? TEXT("{\"enabled\":false}") : NO_TEXT);
    json_null(w, "after_expiration");
    json_null(w, "allow_promotion_codes");
    json_null(w, "allowed_payment_method_types");
    json_number_or_null(w, "amount_subtotal", session->amount_total);
    json_number_or_null(w, "amount_total", session->amount_total);
    json_raw(w, "automatic_tax",
             TEXT("{\"enabled\":false,\"liability\":null,\"provider\":null,\"status\":null}"));
    json_text(w, "billing_address_collection", session->billing_address_collection);
    json_text(w, "cancel_url", session->cancel_url);
    json_text(w, "client_reference_id", session->client_reference_id);
    json_null(w, "client_secret");
    json_null(w, "collected_information");
    json_null(w, "consent");
    json_null(w, "consent_collection");
    json_integer(w, "created", session->created);
    json_text(w, "currency", session->currency);
    json_null(w, "currency_conversion");
    json_raw(w, "custom_fields", TEXT("[]"));
    json_raw(w, "custom_text",
             TEXT("{\"after_submit\":null,\"shipping_address\":null,\"submit\":null,"
                  "\"terms_of_service_acceptance\":null}"));
    render_reference(r, "customer", ROW_customer, session->customer, expand);
    json_null(w, "customer_account");
    json_text(w, "customer_creation", session->customer_creation);
    json_raw(w, "customer_details", session->customer_details);
    json_text(w, "customer_email", session->customer_email);
    json_raw(w, "discounts", payment ? TEXT("[]") : NO_TEXT);
    json_integer(w, "expires_at", session->expires_at);
    json_null(w, "integration_identifier");
    json_null(w, "invoice");
    json_raw(w, "invoice_creation",
             payment ? TEXT("{\"enabled\":false,\"invoice_data\":{\"account_tax_ids\":null,"
                            "\"custom_fields\":null,\"description\":null,\"footer\":null,"
                            "\"issuer\":null,\"metadata\":{},\"rendering_options\":null}}")
                     : NO_TEXT);
    if (expand_has(expand, "line_items")) {
        json_key(w, "line_items");
        checkout_put_items(r, session, &(struct checkout_items_asked){.limit = ITEMS_SHOWN},
                           render_below(r, expand, "line_items"));
    }
    json_flag(w, "livemode", r->call->livemode);
    json_text(w, "locale", session->locale);
    json_null(w, "managed_payments");
    render_hash(r, "metadata", session->metadata);
    json_text(w, "mode", session->mode);
    json_null(w, "origin_context");
    render_reference(r, "payment_intent", ROW_payment_intent, session->payment_intent, expand);
    json_null(w, "payment_link");
    json_string(w, "payment_method_collection", payment ? "if_required" : "always");
    json_null(w, "payment_method_configuration_details");
    json_key(w, "payment_method_options");
    json_open(w);
    json_key(w, "card");
    json_open(w);
    json_text(w, "request_three_d_secure", session->three_d_secure);
    json_close(w);
    json_close(w);
    json_raw(w, "payment_method_types", session->payment_method_types);
    json_text(w, "payment_status", session->payment_status);
    json_null(w, "permissions");
    json_key(w, "phone_number_collection");
    json_open(w);
    json_flag(w, "enabled", session->phone);
    json_close(w);
    json_null(w, "recovered_from");
    json_null(w, "saved_payment_method_options");
    render_reference(r, "setup_intent", ROW_setup_intent, session->setup_intent, expand);
    json_null(w, "shipping_address_collection");
    json_null(w, "shipping_cost");
    json_raw(w, "shipping_options", TEXT("[]"));
    json_text(w, "status", session->status);
    json_text(w, "submit_type", session->submit_type);
    json_null(w, "subscription");
    json_text(w, "success_url", session->success_url);
    json_raw(w, "total_details",
             payment ? TEXT("{\"amount_discount\":0,\"amount_shipping\":0,\"amount_tax\":0}")
                     : NO_TEXT);
    json_string(w, "ui_mode", "hosted_page");
    json_key(w, "url");
    if (open) {
        json_value_text(w, arena_format(r->call->arena, "%s/pay/%.*s",
                                        worker_public_url(r->call->worker), (int)session->id.size,
                                        session->id.at));
    } else {
        json_value_null(w);
    }
    json_null(w, "wallet_options");
    json_close(w);
}
