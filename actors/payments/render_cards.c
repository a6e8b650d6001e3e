/* render_cards: tokens, confirmation tokens, and cards as the older API shows them. */
#include "expand.h"
#include "fields.h"
#include "json_reader.h"
#include "render.h"

/* How many cards an expanded customer shows. */
#define SOURCES_SHOWN 10

/* The older API has names of its own for the brands. */
static const char *
legacy_brand(struct text brand)
{
    static const char *const names[][2] = {
        {"amex", "American Express"},
        {"diners", "Diners Club"},
        {"discover", "Discover"},
        {"jcb", "JCB"},
        {"mastercard", "MasterCard"},
        {"unionpay", "UnionPay"},
        {"visa", "Visa"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (text_is(brand, names[i][0])) return names[i][1];
    return "Unknown";
}

/* What was given and not looked at by an issuer yet is unchecked. */
static void
check(struct json_writer *w, const char *key, struct text found, struct text given)
{
    json_text(w, key, found.at ? found : given.at ? TEXT("unchecked") : NO_TEXT);
}

void
render_legacy_card(struct render *r, const void *row, struct text expand)
{
    const struct row_payment_method *card = row;
    const struct text billing = card->billing_details;
    struct json_writer *w = &r->w;
    const struct text line1 = field_in(r->call, billing, "address", "line1");
    const struct text zip = field_in(r->call, billing, "address", "postal_code");
    json_open(w);
    json_text(w, "id", card->id);
    json_string(w, "object", "card");
    json_text(w, "address_city", field_in(r->call, billing, "address", "city"));
    json_text(w, "address_country", field_in(r->call, billing, "address", "country"));
    json_text(w, "address_line1", line1);
    check(w, "address_line1_check", card->line1_check, line1);
    json_text(w, "address_line2", field_in(r->call, billing, "address", "line2"));
    json_text(w, "address_state", field_in(r->call, billing, "address", "state"));
    json_text(w, "address_zip", zip);
    check(w, "address_zip_check", card->postal_check, zip);
    json_text(w, "allow_redisplay", card->allow_redisplay);
    json_string(w, "brand", legacy_brand(card->brand));
    json_text(w, "country", card->country);
    if (card->customer.at) render_reference(r, "customer", ROW_customer, card->customer, expand);
    json_text(w, "cvc_check", card->cvc_check);
    json_null(w, "dynamic_last4");
    json_integer(w, "exp_month", card->exp_month);
    json_integer(w, "exp_year", card->exp_year);
    json_text(w, "fingerprint", card->fingerprint);
    json_text(w, "funding", card->funding);
    json_text(w, "last4", card->last4);
    render_hash(r, "metadata", card->metadata);
    json_text(w, "name", field_in(r->call, billing, "name", NULL));
    json_raw(w, "networks", TEXT("{\"preferred\":null}"));
    json_string(w, "regulated_status", "unregulated");
    json_null(w, "tokenization_method");
    json_close(w);
}

void
render_sources(struct render *r, const struct row_customer *customer)
{
    const struct store_page page = {.filters = {{"customer", customer->id}},
                                    .filter_count = 1,
                                    .id_least = TEXT("card_"),
                                    .id_below = TEXT("card`"),
                                    .limit = SOURCES_SHOWN};
    struct json_writer *w = &r->w;
    void *rows = NULL;
    size_t count = 0;
    bool more = false;
    r->alone = false;
    if (store_list(r->call->store, ROW_payment_method, r->call->merchant, &page, r->call->arena,
                   &rows, &count, &more) == STORE_UNAVAILABLE)
        r->whole = false;
    const struct row_payment_method *stored = rows;
    json_key(w, "sources");
    json_open(w);
    json_string(w, "object", "list");
    json_key(w, "data");
    json_array(w);
    /* One that was staged just now is newer than the store's. */
    for (const struct known *k = r->known; k && k->table; k++) {
        const struct row_payment_method *card = k->row;
        if (k->table == ROW_payment_method && text_starts(card->id, LEGACY_CARD_PREFIX) &&
            text_equal(card->customer, customer->id))
            render_legacy_card(r, card, NO_TEXT);
    }
    for (size_t i = 0; i < count; i++) {
        bool shown = false;
        for (const struct known *k = r->known; k && k->table; k++)
            shown |= k->table == ROW_payment_method && text_equal(row_id(k->row), stored[i].id);
        if (!shown) render_legacy_card(r, &stored[i], NO_TEXT);
    }
    json_array_end(w);
    json_flag(w, "has_more", more);
    json_text(w, "url",
              arena_format(r->call->arena, "/v1/customers/%.*s/sources", (int)customer->id.size,
                           customer->id.at));
    json_close(w);
}

void
render_token(struct render *r, const void *row, struct text expand)
{
    const struct row_token *token = row;
    struct row_payment_method card;
    struct json_writer *w = &r->w;
    (void)expand;
    json_open(w);
    json_text(w, "id", token->id);
    json_string(w, "object", "token");
    if (render_get(r, ROW_payment_method, token->card, &card)) {
        json_key(w, "card");
        render_legacy_card(r, &card, NO_TEXT);
    }
    json_null(w, "client_ip");
    json_integer(w, "created", token->created);
    json_flag(w, "livemode", r->call->livemode);
    json_string(w, "type", "card");
    json_flag(w, "used", token->used);
    json_close(w);
}

/* The payment method, without what makes it one that can be named. */
static void
preview(struct render *r, const struct row_confirmation_token *chosen)
{
    struct row_payment_method method;
    struct json_writer *w = &r->w;
    json_key(w, "payment_method_preview");
    if (!render_get(r, ROW_payment_method, chosen->payment_method, &method)) {
        json_value_null(w);
        return;
    }
    json_open(w);
    json_text(w, "allow_redisplay", method.allow_redisplay);
    json_raw(w, "billing_details", method.billing_details);
    json_key(w, "card");
    render_method_card(r, &method);
    json_text(w, "customer", method.customer);
    json_null(w, "customer_account");
    json_string(w, "type", "card");
    json_close(w);
}

void
render_confirmation_token(struct render *r, const void *row, struct text expand)
{
    const struct row_confirmation_token *chosen = row;
    struct json_writer *w = &r->w;
    (void)expand;
    json_open(w);
    json_text(w, "id", chosen->id);
    json_string(w, "object", "confirmation_token");
    json_integer(w, "created", chosen->created);
    json_integer(w, "expires_at", chosen->expires_at);
    json_flag(w, "livemode", r->call->livemode);
    json_null(w, "mandate_data");
    json_null(w, "metadata");
    json_text(w, "payment_intent", chosen->payment_intent);
    json_null(w, "payment_method_options");
    preview(r, chosen);
    json_text(w, "return_url", chosen->return_url);
    json_text(w, "setup_future_usage", chosen->setup_future_usage);
    json_text(w, "setup_intent", chosen->setup_intent);
    json_key(w, "shipping");
    if (chosen->shipping.at) { /* carrier and number are of goods that are on their way */
        json_open(w);
        json_raw(w, "address", json_find(chosen->shipping, "address"));
        json_raw(w, "name", json_find(chosen->shipping, "name"));
        json_raw(w, "phone", json_find(chosen->shipping, "phone"));
        json_close(w);
    } else {
        json_value_null(w);
    }
    json_flag(w, "use_stripe_sdk", true);
    json_close(w);
}
