/* tokens: a card as it may be used, once and within a day, by whoever was told the token and not
 * the card.
 *
 * A token stands for a payment method of the older kind, card_…, which nobody can pay with but
 * through the token: it is born `consumed`, and token_take gives it back its use for one call. That
 * two calls never both have it is the ledger's doing, as for every row: the second one's token is
 * stale, and found used when the call is run again. */
#include "answer.h"
#include "fields.h"
#include "handlers.h"
#include "json_reader.h"
#include "payment.h"

#include <stdio.h>

#define TOKEN_LIFE_S 86400

bool
token_take(struct call *call, struct text id, const char *param, struct method_use *use)
{
    struct row_token *token = call_new_row(call, ROW_token);
    struct row_payment_method *card = call_new_row(call, ROW_payment_method);
    if (!call_get_param(call, ROW_token, id, param, token)) return false;
    if (token->used) {
        call_refuse_400(call, "token_already_used", param,
                        "You cannot use a Stripe token more than once: %.*s.", (int)id.size, id.at);
        return false;
    }
    if (call->now_s - token->created > TOKEN_LIFE_S) {
        refuse_missing(call, "token", id, param);
        return false;
    }
    if (!call_get(call, ROW_payment_method, token->card, card)) return false;
    token->used = true;
    card->consumed = false;
    use->row = card;
    use->fresh = false;
    use->token = token;
    return true;
}

/* `address_zip` of the request, or of a hash in it. */
static const char *
spelled(char name[static 64], const char *hash, const char *key)
{
    if (hash)
        snprintf(name, 64, "%s[%s]", hash, key);
    else
        snprintf(name, 64, "%s", key);
    return name;
}

void
card_take_billing(struct call *call, const char *hash, struct text *billing)
{
    static const char *const lines[][2] = {
        {"city", "address_city"},   {"country", "address_country"}, {"line1", "address_line1"},
        {"line2", "address_line2"}, {"postal_code", "address_zip"}, {"state", "address_state"},
    };
    const struct text now = *billing, address = json_find(now, "address");
    /* Each text escaped, and the names around them. */
    struct json_writer w = call_writer(call, 1024 + now.size + 6 * call->params.size);
    char name[64];
    json_open(&w);
    json_key(&w, "address");
    json_open(&w);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (params_have(call->params, spelled(name, hash, lines[i][1])))
            json_text(&w, lines[i][0], field_given(call, name));
        else
            json_raw(&w, lines[i][0], json_find(address, lines[i][0]));
    }
    json_close(&w);
    json_raw(&w, "email", json_find(now, "email"));
    if (params_have(call->params, spelled(name, hash, "name")))
        json_text(&w, "name", field_given(call, name));
    else
        json_raw(&w, "name", json_find(now, "name"));
    json_raw(&w, "phone", json_find(now, "phone"));
    json_raw(&w, "tax_id", json_find(now, "tax_id"));
    json_close(&w);
    *billing = json_writer_text(&w);
}

/* A new token of that card, which is stored with it. */
static void
make_token(struct call *call, struct row_payment_method *card)
{
    struct row_token *token = call_new_row(call, ROW_token);
    card->consumed = true;
    token->id = call_new_id(call, "tok_");
    token->merchant = call->merchant;
    token->created = call->now_s;
    token->card = card->id;
    call_insert(call, ROW_payment_method, card);
    call_insert(call, ROW_token, token);
    answer_row(call, ROW_token, token, KNOWN({ROW_payment_method, card}));
}

static void
token_of_card(struct call *call)
{
    struct row_payment_method *card = method_of_card(call, LEGACY_CARD_PREFIX);
    card_take_billing(call, "card", &card->billing_details);
    make_token(call, card);
}

/* A card that a customer has already: the token's is a copy, so that the two have lives of their
 * own. */
static void
token_of_customer(struct call *call)
{
    struct row_customer *customer = call_new_row(call, ROW_customer);
    struct row_payment_method *card = call_new_row(call, ROW_payment_method);
    struct text id = field_given(call, "card");
    if (!get_customer(call, field_given(call, "customer"), "customer", customer)) return;
    if (!id.at) id = customer->default_source;
    if (!id.at) {
        call_refuse_400(call, "parameter_missing", "card",
                        "The customer %.*s has no card that a token could be made of.",
                        (int)customer->id.size, customer->id.at);
        return;
    }
    if (!call_get_param(call, ROW_payment_method, id, "card", card)) return;
    if (!text_equal(card->customer, customer->id)) {
        refuse_missing(call, "PaymentMethod", id, "card");
        return;
    }
    card->id = call_new_id(call, LEGACY_CARD_PREFIX);
    card->version = 0;
    card->created = call->now_s;
    card->customer = card->cvc = card->metadata = NO_TEXT;
    make_token(call, card);
}

void
token_create(struct call *call)
{
    if (call->card)
        token_of_card(call);
    else if (!call->publishable && params_have(call->params, "customer"))
        token_of_customer(call);
    else
        call_refuse_400(call, "parameter_missing", "card",
                        "A token needs a card: its fields, or with a secret key a customer who "
                        "has one.");
}

/* A test name, tok_visa, stands for a new token of that card. */
void
token_retrieve(struct call *call)
{
    struct row_token *token = call_new_row(call, ROW_token);
    if (call->card)
        token_of_card(call);
    else if (call_get(call, ROW_token, call->object, token))
        answer_row(call, ROW_token, token, NULL);
}
