/* render_people: customers, their payment methods, and who hears of events. */
#include "expand.h"
#include "render.h"

static void
deleted(struct render *r, struct text id, const char *object)
{
    json_open(&r->w);
    json_text(&r->w, "id", id);
    json_string(&r->w, "object", object);
    json_flag(&r->w, "deleted", true);
    json_close(&r->w);
}

/* The row is a payment method, the object that stands here the older card. */
static void
default_source(struct render *r, const struct row_customer *customer, struct text expand)
{
    struct row_payment_method card;
    json_key(&r->w, "default_source");
    if (customer->default_source.at && expand_has(expand, "default_source") &&
        render_get(r, ROW_payment_method, customer->default_source, &card))
        render_legacy_card(r, &card, render_below(r, expand, "default_source"));
    else
        json_value_text(&r->w, customer->default_source);
}

void
render_customer(struct render *r, const void *row, struct text expand)
{
    const struct row_customer *customer = row;
    struct json_writer *w = &r->w;
    if (customer->deleted) {
        deleted(r, customer->id, "customer");
        return;
    }
    json_open(w);
    json_text(w, "id", customer->id);
    json_string(w, "object", "customer");
    json_raw(w, "address", customer->address);
    json_integer(w, "balance", customer->balance);
    json_integer(w, "created", customer->created);
    json_null(w, "currency");
    json_null(w, "customer_account");
    default_source(r, customer, expand);
    json_flag(w, "delinquent", false);
    json_text(w, "description", customer->description);
    json_null(w, "discount");
    json_text(w, "email", customer->email);
    json_text(w, "invoice_prefix", customer->invoice_prefix);
    json_key(w, "invoice_settings");
    json_open(w);
    json_null(w, "custom_fields");
    render_reference(r, "default_payment_method", ROW_payment_method,
                     customer->default_payment_method, render_below(r, expand, "invoice_settings"));
    json_null(w, "footer");
    json_null(w, "rendering_options");
    json_close(w);
    json_flag(w, "livemode", r->call->livemode);
    render_hash(r, "metadata", customer->metadata);
    json_text(w, "name", customer->name);
    json_integer(w, "next_invoice_sequence", customer->next_invoice_sequence);
    json_text(w, "phone", customer->phone);
    json_raw(w, "preferred_locales",
             customer->preferred_locales.at ? customer->preferred_locales : TEXT("[]"));
    json_raw(w, "shipping", customer->shipping);
    if (expand_has(expand, "sources")) render_sources(r, customer);
    json_text(w, "tax_exempt", customer->tax_exempt);
    json_null(w, "test_clock");
    json_close(w);
}

void
render_method_card(struct render *r, const struct row_payment_method *method)
{
    struct json_writer *w = &r->w;
    json_open(w);
    json_text(w, "brand", method->brand);
    json_key(w, "checks");
    json_open(w);
    json_text(w, "address_line1_check", method->line1_check);
    json_text(w, "address_postal_code_check", method->postal_check);
    json_text(w, "cvc_check", method->cvc_check);
    json_close(w);
    json_text(w, "country", method->country);
    json_text(w, "display_brand", method->brand);
    json_integer(w, "exp_month", method->exp_month);
    json_integer(w, "exp_year", method->exp_year);
    json_text(w, "fingerprint", method->fingerprint);
    json_text(w, "funding", method->funding);
    json_null(w, "generated_from");
    json_text(w, "last4", method->last4);
    json_key(w, "networks");
    json_open(w);
    json_key(w, "available");
    json_array(w);
    json_value_text(w, method->brand);
    json_array_end(w);
    json_null(w, "preferred");
    json_close(w);
    json_string(w, "regulated_status", "unregulated");
    json_raw(w, "three_d_secure_usage", TEXT("{\"supported\":true}"));
    json_null(w, "wallet");
    json_close(w);
}

void
render_payment_method(struct render *r, const void *row, struct text expand)
{
    const struct row_payment_method *method = row;
    struct json_writer *w = &r->w;
    json_open(w);
    json_text(w, "id", method->id);
    json_string(w, "object", "payment_method");
    json_text(w, "allow_redisplay", method->allow_redisplay);
    json_raw(w, "billing_details", method->billing_details);
    json_key(w, "card");
    render_method_card(r, method);
    json_integer(w, "created", method->created);
    render_reference(r, "customer", ROW_customer, method->customer, expand);
    json_null(w, "customer_account");
    json_flag(w, "livemode", r->call->livemode);
    render_hash(r, "metadata", method->metadata);
    json_string(w, "type", "card");
    json_close(w);
}

static void
webhook_endpoint(struct render *r, const struct row_webhook_endpoint *endpoint, bool with_secret)
{
    struct json_writer *w = &r->w;
    if (endpoint->deleted) {
        deleted(r, endpoint->id, "webhook_endpoint");
        return;
    }
    json_open(w);
    json_text(w, "id", endpoint->id);
    json_string(w, "object", "webhook_endpoint");
    json_text(w, "api_version", endpoint->api_version);
    json_null(w, "application");
    json_integer(w, "created", endpoint->created);
    json_text(w, "description", endpoint->description);
    json_raw(w, "enabled_events", endpoint->enabled_events);
    json_flag(w, "livemode", r->call->livemode);
    render_hash(r, "metadata", endpoint->metadata);
    if (with_secret) json_text(w, "secret", endpoint->secret);
    json_text(w, "status", endpoint->status);
    json_text(w, "url", endpoint->url);
    json_close(w);
}

void
render_webhook_endpoint(struct render *r, const void *row, struct text expand)
{
    (void)expand;
    webhook_endpoint(r, row, false);
}

struct text
render_new_webhook_endpoint(struct call *call, const struct row_webhook_endpoint *endpoint)
{
    for (size_t cap = 4096;; cap *= 4) {
        struct render r = {.call = call, .w = call_writer(call, cap), .whole = true};
        webhook_endpoint(&r, endpoint, true);
        if (!r.w.full) return json_writer_text(&r.w);
    }
}
