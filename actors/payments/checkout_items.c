/* checkout_items: the line items of a checkout session.
 *
 * They live in one JSON column of their session, in this shape, ids made once and metadata as
 * given:
 *
 *     [{id, price, product, name, description, images, unit_label, unit_amount, quantity, metadata,
 *       product_metadata}, …]
 *
 * The API shows each as an `item` whose price and product stand in it: there is no catalogue that
 * they could be looked up in. */
#include "amount_words.h"
#include "checkout.h"
#include "expand.h"
#include "fields.h"
#include "json_reader.h"
#include "metadata.h"

#include <stdio.h>

#define NAME_MAX_BYTES 160

/* --- from the request ------------------------------------------------------------------------ */

static const char *
name_of(char out[static NAME_MAX_BYTES], int index, const char *field)
{
    snprintf(out, NAME_MAX_BYTES, "line_items[%d]%s", index, field);
    return out;
}

static bool
item_is_there(const struct call *call, int index)
{
    char name[NAME_MAX_BYTES];
    return params_have_any(call->params, name_of(name, index, ""));
}

/* `key` with the metadata given under that name; false when it is too much, which the route's check
 * has refused before. */
static void
put_metadata(struct call *call, struct json_writer *w, const char *key, const char *name)
{
    struct text metadata = TEXT("{}");
    if (field_metadata(call, name, &metadata)) json_raw(w, key, metadata);
}

static void
put_new_item(struct call *call, struct json_writer *w, int index, int64_t amount, int64_t quantity)
{
    char name[NAME_MAX_BYTES];
    struct text images = TEXT("[]");
    json_open(w);
    json_text(w, "id", call_new_id(call, "li_"));
    json_text(w, "price", call_new_id(call, "price_"));
    json_text(w, "product", call_new_id(call, "prod_"));
    json_text(w, "name",
              field_given(call, name_of(name, index, "[price_data][product_data][name]")));
    json_text(w, "description",
              field_given(call, name_of(name, index, "[price_data][product_data][description]")));
    field_texts(call, name_of(name, index, "[price_data][product_data][images]"), &images);
    json_raw(w, "images", images);
    json_text(w, "unit_label",
              field_given(call, name_of(name, index, "[price_data][product_data][unit_label]")));
    json_integer(w, "unit_amount", amount);
    json_integer(w, "quantity", quantity);
    put_metadata(call, w, "metadata", name_of(name, index, "[metadata]"));
    put_metadata(call, w, "product_metadata",
                 name_of(name, index, "[price_data][product_data][metadata]"));
    json_close(w);
}

/* The total is one that a card can be charged. */
static bool
total_fits(struct call *call, const struct currency *currency, int64_t total)
{
    char words[80];
    if (total < currency->charge_min) {
        amount_words(currency, currency->charge_min, words, sizeof words);
        call_refuse_400(call, "amount_too_small", NULL,
                        "The Checkout Session's total amount must be at least %s (%s).", words,
                        currency->code);
        return false;
    }
    if (total > currency->charge_max) {
        amount_words(currency, currency->charge_max, words, sizeof words);
        call_refuse_400(call, "amount_too_large", NULL,
                        "The Checkout Session's total amount must be no more than %s (%s).", words,
                        currency->code);
        return false;
    }
    if (total % currency->step != 0) {
        call_refuse_400(call, NULL, "line_items",
                        "Amounts in %s must be multiples of %lld: card networks take no finer "
                        "ones.",
                        currency->code, (long long)currency->step);
        return false;
    }
    return true;
}

bool
checkout_take_items(struct call *call, struct row_checkout_session *session)
{
    const struct currency *currency = NULL;
    char name[NAME_MAX_BYTES];
    int64_t total = 0, sum;
    /* Every text once, each byte escaped, and what stands around them. */
    struct json_writer w =
        call_writer(call, 1024 + 6 * call->params.size + CHECKOUT_ITEMS_MAX * (size_t)512);
    json_array(&w);
    for (int i = 0; item_is_there(call, i); i++) {
        if (i == CHECKOUT_ITEMS_MAX) {
            call_refuse_400(call, NULL, "line_items",
                            "A Checkout Session can have up to %d line items.", CHECKOUT_ITEMS_MAX);
            return false;
        }
        const struct currency *own =
            currency_find(params_find(call->params, name_of(name, i, "[price_data][currency]")));
        if (!currency) currency = own;
        if (own != currency) {
            call_refuse_400(call, NULL, arena_copy(call->arena, text_of(name)).at,
                            "All line items of a Checkout Session must be in one currency.");
            return false;
        }
        const int64_t amount =
            params_integer(call->params, name_of(name, i, "[price_data][unit_amount]"), 0);
        const int64_t quantity = params_integer(call->params, name_of(name, i, "[quantity]"), 1);
        if (__builtin_mul_overflow(amount, quantity, &sum) ||
            __builtin_add_overflow(total, sum, &total))
            total = INT64_MAX;
        if (total == INT64_MAX) break;
        put_new_item(call, &w, i, amount, quantity);
    }
    json_array_end(&w);
    if (!currency) {
        call_refuse_400(call, "parameter_missing", "line_items",
                        "Missing required param: line_items. A Checkout Session in payment mode "
                        "is paid for something.");
        return false;
    }
    const struct currency *said = currency_find(params_find(call->params, "currency"));
    if (said && said != currency) {
        call_refuse_400(call, NULL, "currency",
                        "The currency of the Checkout Session is not that of its line items.");
        return false;
    }
    if (!total_fits(call, currency, total)) return false;
    session->currency = text_of(currency->code);
    session->amount_total = total;
    session->line_items = json_writer_text(&w);
    return true;
}

/* --- as the API shows them ------------------------------------------------------------------- */

static int64_t
integer_of(struct text item, const char *key)
{
    int64_t value;
    return params_read_integer(json_find(item, key), &value) ? value : 0;
}

static void
put_product(struct render *r, const struct row_checkout_session *session, struct text item)
{
    struct json_writer *w = &r->w;
    const struct text label = json_find(item, "unit_label");
    json_open(w);
    json_raw(w, "id", json_find(item, "product"));
    json_string(w, "object", "product");
    json_flag(w, "active", false);
    json_integer(w, "created", session->created);
    json_null(w, "default_price");
    json_raw(w, "description", json_find(item, "description"));
    json_raw(w, "images", json_find(item, "images"));
    json_flag(w, "livemode", r->call->livemode);
    json_raw(w, "marketing_features", TEXT("[]"));
    json_raw(w, "metadata", json_find(item, "product_metadata"));
    json_raw(w, "name", json_find(item, "name"));
    json_null(w, "package_dimensions");
    json_null(w, "shippable");
    json_null(w, "tax_details");
    json_string(w, "type", "service");
    if (!json_is_null(label)) json_raw(w, "unit_label", label);
    json_integer(w, "updated", session->created);
    json_null(w, "url");
    json_close(w);
}

static void
put_price(struct render *r, const struct row_checkout_session *session, struct text item,
          struct text expand)
{
    struct json_writer *w = &r->w;
    char decimal[32];
    const int64_t amount = integer_of(item, "unit_amount");
    snprintf(decimal, sizeof decimal, "%lld", (long long)amount);
    json_open(w);
    json_raw(w, "id", json_find(item, "price"));
    json_string(w, "object", "price");
    json_flag(w, "active", false);
    json_string(w, "billing_scheme", "per_unit");
    json_integer(w, "created", session->created);
    json_text(w, "currency", session->currency);
    json_null(w, "custom_unit_amount");
    json_flag(w, "livemode", r->call->livemode);
    json_null(w, "lookup_key");
    json_raw(w, "metadata", TEXT("{}"));
    json_null(w, "nickname");
    json_key(w, "product");
    if (expand_has(expand, "product"))
        put_product(r, session, item);
    else
        json_value_raw(w, json_find(item, "product"));
    json_null(w, "recurring");
    json_string(w, "tax_behavior", "unspecified");
    json_null(w, "tiers_mode");
    json_null(w, "transform_quantity");
    json_string(w, "type", "one_time");
    json_integer(w, "unit_amount", amount);
    json_string(w, "unit_amount_decimal", decimal);
    json_close(w);
}

static void
put_item(struct render *r, const struct row_checkout_session *session, struct text item,
         struct text expand)
{
    struct json_writer *w = &r->w;
    const int64_t quantity = integer_of(item, "quantity");
    const int64_t amount = integer_of(item, "unit_amount") * quantity; /* fitted when it was made */
    json_open(w);
    json_raw(w, "id", json_find(item, "id"));
    json_string(w, "object", "item");
    json_null(w, "adjustable_quantity");
    json_integer(w, "amount_discount", 0);
    json_integer(w, "amount_subtotal", amount);
    json_integer(w, "amount_tax", 0);
    json_integer(w, "amount_total", amount);
    json_text(w, "currency", session->currency);
    json_raw(w, "description", json_find(item, "name"));
    json_raw(w, "metadata", json_find(item, "metadata"));
    json_key(w, "price");
    put_price(r, session, item, render_below(r, expand, "price"));
    json_integer(w, "quantity", quantity);
    json_close(w);
}

static bool
item_is(struct text item, struct text id)
{
    const struct text own = json_find(item, "id"); /* in its quotes; ids need no escapes */
    return own.size == id.size + 2 && memcmp(own.at + 1, id.at, id.size) == 0;
}

/* Where that item stands among them, or -1. */
static int
index_of(const struct row_checkout_session *session, struct text id)
{
    struct text item;
    size_t at = 0;
    bool malformed;
    for (int i = 0; json_next_element(session->line_items, &at, &item, &malformed); i++)
        if (item_is(item, id)) return i;
    return -1;
}

bool
checkout_has_item(const struct row_checkout_session *session, struct text id)
{
    return index_of(session, id) >= 0;
}

void
checkout_put_items(struct render *r, const struct row_checkout_session *session,
                   const struct checkout_items_asked *asked, struct text expand)
{
    const struct text below = render_below(r, expand, "data");
    const int after = asked->after.at ? index_of(session, asked->after) : -1;
    const int before = asked->before.at ? index_of(session, asked->before) : -1;
    struct text item;
    size_t at = 0;
    bool malformed, more = before > asked->limit;
    int from = after + 1, to = from + asked->limit;
    if (before >= 0) {
        to = before;
        from = before > asked->limit ? before - asked->limit : 0;
    }
    json_open(&r->w);
    json_string(&r->w, "object", "list");
    json_key(&r->w, "data");
    json_array(&r->w);
    for (int i = 0; json_next_element(session->line_items, &at, &item, &malformed); i++) {
        if (i >= from && i < to) put_item(r, session, item, below);
        if (i >= to && before < 0) more = true;
    }
    json_array_end(&r->w);
    json_flag(&r->w, "has_more", more);
    json_text(&r->w, "url",
              arena_format(r->call->arena, "/v1/checkout/sessions/%.*s/line_items",
                           (int)session->id.size, session->id.at));
    json_close(&r->w);
}

void
checkout_put_page_items(struct json_writer *w, const struct row_checkout_session *session)
{
    struct text item;
    size_t at = 0;
    bool malformed;
    json_array(w);
    while (json_next_element(session->line_items, &at, &item, &malformed)) {
        json_open(w);
        json_integer(w, "amount", integer_of(item, "unit_amount") * integer_of(item, "quantity"));
        json_raw(w, "description", json_find(item, "description"));
        json_raw(w, "name", json_find(item, "name"));
        json_raw(w, "quantity", json_find(item, "quantity"));
        json_raw(w, "unit_amount", json_find(item, "unit_amount"));
        json_close(w);
    }
    json_array_end(w);
}
