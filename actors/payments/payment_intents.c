/* payment_intents: payments as they are begun, shown, changed and listed. What asks the network is
 * in payment_steps.c. */
#include "amount_words.h"
#include "answer.h"
#include "api_version.h"
#include "fields.h"
#include "handlers.h"
#include "json_reader.h"
#include "lists.h"
#include "payment.h"

#include <assert.h>

#define SECRET_SIZE 25

/* --- standing -------------------------------------------------------------------------------- */

struct payment_intent
payment_standing(const struct row_payment_intent *pi)
{
    const enum pi_state state = pi_state_named(pi->status);
    assert(state != PI_NOWHERE);
    return (struct payment_intent){state, pi->amount_capturable + pi->amount_received,
                                   pi->amount_received};
}

void
payment_stand(struct row_payment_intent *pi, const struct payment_intent *standing)
{
    pi->status = text_of(pi_state_name(standing->state));
    pi->amount_received = standing->captured;
    pi->amount_capturable = standing->held - standing->captured;
}

enum pi_verdict
payment_step(struct row_payment_intent *pi, enum pi_event event, int64_t amount, uint32_t *effects)
{
    const struct payment_intent now = payment_standing(pi);
    struct payment_intent next;
    const enum pi_verdict verdict = pi_step(&now, event, amount, &next, effects);
    payment_stand(pi, &next);
    return verdict;
}

/* --- what a request may say ------------------------------------------------------------------ */

/* One option of cards, as it was stored: "capture_method". */
static struct text
card_option(struct call *call, const struct row_payment_intent *pi, const char *name)
{
    return field_in(call, json_find(pi->payment_method_options, "card"), name, NULL);
}

bool
payment_is_manual(const struct row_payment_intent *pi)
{
    const struct text card = json_find(pi->payment_method_options, "card");
    return text_is(pi->capture_method, "manual") ||
           text_is(json_find(card, "capture_method"), "\"manual\"");
}

struct text
payment_future_use(struct call *call, const struct row_payment_intent *pi)
{
    const struct text option = card_option(call, pi, "setup_future_usage");
    if (!option.at) return pi->setup_future_usage;
    return text_is(option, "none") ? NO_TEXT : option;
}

bool
payment_has_feature(const struct row_payment_intent *pi, const char *request)
{
    const struct text card = json_find(pi->payment_method_options, "card");
    return payment_is_manual(pi) && text_is(json_find(card, request), "\"if_available\"");
}

static void
take_card_options(struct call *call, struct row_payment_intent *pi)
{
    struct text capture = card_option(call, pi, "capture_method");
    struct text future = card_option(call, pi, "setup_future_usage");
    struct text asking = card_option(call, pi, "request_three_d_secure");
    struct text multicapture = card_option(call, pi, "request_multicapture");
    struct text incremental = card_option(call, pi, "request_incremental_authorization");
    field_text(call, "payment_method_options[card][request_multicapture]", &multicapture);
    field_text(call, "payment_method_options[card][request_incremental_authorization]",
               &incremental);
    field_text(call, "payment_method_options[card][capture_method]", &capture);
    field_text(call, "payment_method_options[card][setup_future_usage]", &future);
    field_text(call, "payment_method_options[card][request_three_d_secure]", &asking);
    struct json_writer w = call_writer(call, 512);
    json_open(&w);
    json_key(&w, "card");
    json_open(&w);
    if (capture.at) json_text(&w, "capture_method", capture);
    json_null(&w, "installments");
    json_null(&w, "mandate_options");
    json_null(&w, "network");
    if (incremental.at) json_text(&w, "request_incremental_authorization", incremental);
    if (multicapture.at) json_text(&w, "request_multicapture", multicapture);
    json_text(&w, "request_three_d_secure", asking.at ? asking : TEXT("automatic"));
    if (future.at) json_text(&w, "setup_future_usage", future);
    json_close(&w);
    json_close(&w);
    pi->payment_method_options = json_writer_text(&w);
}

/* Whatever is left out, cards must be left: there is nothing else here. */
static bool
take_excluded_types(struct call *call, struct row_payment_intent *pi)
{
    static const char name[] = "excluded_payment_method_types";
    struct param one;
    for (size_t at = 0; params_next_in(call->params, name, &at, &one);)
        if (text_is(one.value, "card")) {
            call_refuse_400(call, NULL, name,
                            "No payment method type is left for this PaymentIntent: cards are the "
                            "only ones that are taken here, and you have excluded them.");
            return false;
        }
    if (params_have(call->params, name))
        pi->excluded_payment_method_types = NO_TEXT;
    else
        field_texts(call, name, &pi->excluded_payment_method_types);
    return true;
}

bool
payment_take_fields(struct call *call, struct row_payment_intent *pi)
{
    field_text(call, "capture_method", &pi->capture_method);
    field_text(call, "description", &pi->description);
    field_text(call, "receipt_email", &pi->receipt_email);
    field_text(call, "setup_future_usage", &pi->setup_future_usage);
    field_shipping(call, "shipping", &pi->shipping);
    if (!field_descriptor(call, "statement_descriptor", &pi->statement_descriptor) ||
        !field_descriptor(call, "statement_descriptor_suffix", &pi->statement_descriptor_suffix))
        return false;
    field_text(call, "transfer_group", &pi->transfer_group);
    field_texts(call, "allowed_payment_method_types", &pi->allowed_payment_method_types);
    if (!take_excluded_types(call, pi)) return false;
    if (!pi->payment_method_options.at || params_have_any(call->params, "payment_method_options"))
        take_card_options(call, pi);
    /* Naming the kinds by hand is instead of letting the account's settings choose. */
    if (params_have_any(call->params, "payment_method_types") ||
        params_have_any(call->params, "allowed_payment_method_types"))
        pi->automatic_payment_methods = NO_TEXT;
    return field_metadata(call, "metadata", &pi->metadata);
}

static void
refuse_amount(struct call *call, const char *code, const char *words, const char *amount)
{
    call_refuse_400(call, code, "amount", "%s %s", words, amount);
}

bool
amount_fits(struct call *call, struct text code, int64_t amount)
{
    const struct currency *currency = currency_find(code);
    char words[80];
    if (!currency) {
        call_refuse_400(call, NULL, "currency", "Invalid currency: %.*s.", (int)code.size, code.at);
        return false;
    }
    if (amount < currency->charge_min) {
        size_t size = amount_words(currency, currency->charge_min, words, sizeof words);
        if (currency->symbol[0]) { /* "$0.50 usd" */
            words[size++] = ' ';
            memcpy(words + size, currency->code, 4);
        }
        refuse_amount(call, "amount_too_small", "Amount must be at least", words);
        return false;
    }
    if (amount > currency->charge_max) {
        amount_words(currency, currency->charge_max, words, sizeof words);
        refuse_amount(call, "amount_too_large", "Amount must be no more than", words);
        return false;
    }
    if (amount % currency->step != 0) {
        call_refuse_400(
            call, NULL, "amount",
            "Amounts in %s must be multiples of %lld: card networks take no finer ones.",
            currency->code, (long long)currency->step);
        return false;
    }
    return true;
}

static void
take_automatic_methods(struct call *call, struct row_payment_intent *pi)
{
    const bool given = params_have_any(call->params, "automatic_payment_methods");
    const bool otherwise = api_version_has(call->api_version, API_AUTOMATIC_METHODS) &&
                           !params_have(call->params, "confirmation_method");
    pi->payment_method_types = TEXT("[\"card\"]");
    if (!(given ? params_flag(call->params, "automatic_payment_methods[enabled]", false)
                : otherwise))
        return;
    const struct text redirects = field_given(call, "automatic_payment_methods[allow_redirects]");
    pi->automatic_payment_methods = text_is(redirects, "never")
                                        ? TEXT("{\"allow_redirects\":\"never\",\"enabled\":true}")
                                        : TEXT("{\"allow_redirects\":\"always\",\"enabled\":true}");
}

/* Things that a request may not say together. */
static bool
combination_is_possible(struct call *call)
{
    const bool confirm = params_flag(call->params, "confirm", false);
    const bool off_session =
        params_have(call->params, "off_session") && params_flag(call->params, "off_session", true);
    if (params_flag(call->params, "automatic_payment_methods[enabled]", false) &&
        params_have_any(call->params, "payment_method_types")) {
        call_refuse_400(call, "parameters_exclusive", "payment_method_types",
                        "You may only specify one of these parameters: automatic_payment_methods, "
                        "payment_method_types.");
        return false;
    }
    if (off_session && !confirm) {
        call_refuse_400(call, "parameter_missing", "off_session",
                        "You can only set off_session when you set confirm to true.");
        return false;
    }
    if (!choice_is_confirmed(call)) return false;
    if (params_have(call->params, "return_url") && !confirm) {
        call_refuse_400(call, NULL, "return_url",
                        "A return_url is of use only when you set confirm to true.");
        return false;
    }
    return true;
}

/* --- the handlers ---------------------------------------------------------------------------- */

struct text
currency_code(struct text given)
{
    const struct currency *currency = currency_find(given);
    return currency ? text_of(currency->code) : given;
}

void
payment_intent_create(struct call *call)
{
    struct row_payment_intent *pi = call_new_row(call, ROW_payment_intent);
    struct row_customer *customer = call_new_row(call, ROW_customer);
    struct method_use use;
    uint32_t effects;
    pi->id = call_new_id(call, "pi_");
    pi->merchant = call->merchant;
    pi->created = call->now_s;
    pi->status = text_of(pi_state_name(PI_NEEDS_METHOD));
    pi->amount = params_integer(call->params, "amount", 0);
    pi->currency = currency_code(params_find(call->params, "currency"));
    pi->capture_method = api_version_has(call->api_version, API_ASYNC_CAPTURE)
                             ? TEXT("automatic_async")
                             : TEXT("automatic");
    pi->confirmation_method = TEXT("automatic");
    field_text(call, "confirmation_method", &pi->confirmation_method);
    field_text(call, "customer", &pi->customer);
    const struct text secret = call_random_text(call, SECRET_SIZE);
    pi->client_secret = arena_format(call->arena, "%.*s_secret_%.*s", (int)pi->id.size, pi->id.at,
                                     (int)secret.size, secret.at);

    if (!combination_is_possible(call)) return;
    if (!amount_fits(call, pi->currency, pi->amount)) return;
    if (pi->customer.at && !get_customer(call, pi->customer, "customer", customer)) return;
    take_automatic_methods(call, pi);
    if (!payment_take_fields(call, pi)) return;
    if (!method_of_request(call, "payment_method_data", &use)) return;
    payment_take_choice(pi, &use);
    if (use.row && !method_may_pay(call, use.row, pi->customer)) return;
    if (use.row) {
        const enum pi_verdict verdict = payment_step(pi, ON_ATTACH, 0, &effects);
        assert(verdict == PI_OK);
        (void)verdict;
        pi->payment_method = use.row->id;
    }
    if (params_flag(call->params, "confirm", false)) {
        payment_confirm(call, pi, false, &use);
        return;
    }
    /* After this point it must succeed. */
    if (use.fresh) method_stage(call, &use);
    call_insert(call, ROW_payment_intent, pi);
    tell(call, "payment_intent.created", ROW_payment_intent, pi, NULL);
    answer_with_method(call, ROW_payment_intent, pi, use.row);
}

bool
secret_is(struct text given, struct text secret)
{
    unsigned char difference = given.size != secret.size;
    for (size_t i = 0; i < given.size && i < secret.size; i++)
        difference |= (unsigned char)(given.at[i] ^ secret.at[i]);
    return given.at && secret.at && !difference;
}

bool
client_secret_fits(struct call *call, struct text secret, const char *code, const char *what)
{
    const struct text given = field_given(call, "client_secret");
    if (!given.at && !call->publishable) return true;
    if (!given.at) {
        call_refuse_400(call, "parameter_missing", "client_secret",
                        "Missing required param: client_secret.");
        return false;
    }
    if (secret_is(given, secret)) return true;
    call_refuse_400(call, code, "client_secret",
                    "The client_secret provided does not match the client_secret associated with "
                    "the %s.",
                    what);
    return false;
}

bool
payment_secret_fits(struct call *call, const struct row_payment_intent *pi)
{
    return client_secret_fits(call, pi->client_secret, "payment_intent_invalid_parameter",
                              "PaymentIntent");
}

void
payment_intent_retrieve(struct call *call)
{
    struct row_payment_intent *pi = call_new_row(call, ROW_payment_intent);
    if (!call_get(call, ROW_payment_intent, call->object, pi)) return;
    if (!payment_secret_fits(call, pi)) return;
    answer_row(call, ROW_payment_intent, pi, NULL);
}

/* What may no longer be changed once the network has been asked. */
static const char *const fixed_once_asked[] = {
    "amount",
    "currency",
    "customer",
    "payment_method",
    "payment_method_data",
    "shipping",
    "capture_method",
    "setup_future_usage",
    "payment_method_types",
    "allowed_payment_method_types",
    "payment_method_options",
};

static bool
change_is_possible(struct call *call, const struct row_payment_intent *pi)
{
    const enum pi_state state = payment_standing(pi).state;
    if (pi->checkout_session.at &&
        (params_have(call->params, "amount") || params_have(call->params, "currency"))) {
        call_refuse_400(call, NULL, params_have(call->params, "amount") ? "amount" : "currency",
                        "The amount and currency of a PaymentIntent that was created by a Checkout "
                        "Session are those of the session, and cannot be updated.");
        return false;
    }
    if (state == PI_NEEDS_METHOD || state == PI_NEEDS_CONFIRM || state == PI_NEEDS_ACTION)
        return true;
    for (size_t i = 0; i < sizeof fixed_once_asked / sizeof fixed_once_asked[0]; i++) {
        if (!params_have_any(call->params, fixed_once_asked[i])) continue;
        refuse_state(call, ROW_payment_intent, pi,
                     "This PaymentIntent's %s could not be updated because it has a status of %s. "
                     "You may only update the %s of a PaymentIntent with one of the following "
                     "statuses: requires_payment_method, requires_confirmation, requires_action.",
                     fixed_once_asked[i], pi_state_name(state), fixed_once_asked[i]);
        return false;
    }
    return true;
}

void
payment_intent_update(struct call *call)
{
    struct row_payment_intent *pi = call_new_row(call, ROW_payment_intent);
    struct row_customer *customer = call_new_row(call, ROW_customer);
    struct row_payment_method *former = call_new_row(call, ROW_payment_method);
    struct method_use use;
    uint32_t effects;
    enum pi_verdict verdict = PI_OK;
    if (!call_lock(call, call->object)) return;
    if (!call_get(call, ROW_payment_intent, call->object, pi)) return;
    if (!change_is_possible(call, pi)) return;

    const int64_t amount = params_integer(call->params, "amount", pi->amount);
    const struct text currency = field_given(call, "currency");
    if (amount != pi->amount || currency.at) {
        pi->amount = amount;
        if (currency.at) pi->currency = currency_code(currency);
        if (!amount_fits(call, pi->currency, pi->amount)) return;
        if (pi->payment_method.at) verdict = payment_step(pi, ON_ATTACH, 0, &effects);
    }
    field_text(call, "customer", &pi->customer);
    if (params_have(call->params, "customer") &&
        !get_customer(call, pi->customer, "customer", customer))
        return;
    if (!payment_take_fields(call, pi)) return;
    if (!method_of_request(call, "payment_method_data", &use)) return;
    if (use.row) {
        pi->payment_method = use.row->id;
        verdict = payment_step(pi, ON_ATTACH, 0, &effects);
    } else if (params_have(call->params, "payment_method") && pi->payment_method.at) {
        pi->payment_method = NO_TEXT;
        verdict = payment_step(pi, ON_DETACH, 0, &effects);
    } else if (params_have(call->params, "customer") && pi->payment_method.at) {
        if (!call_get(call, ROW_payment_method, pi->payment_method, former)) return;
        use.row = former;
    }
    if (use.row && !method_may_pay(call, use.row, pi->customer)) return;
    assert(verdict == PI_OK); /* change_is_possible has said so */
    (void)verdict;
    /* After this point it must succeed. */
    if (use.fresh) method_stage(call, &use);
    call_update(call, ROW_payment_intent, pi);
    answer_with_method(call, ROW_payment_intent, pi, use.row);
}

void
payment_intent_list(struct call *call)
{
    struct store_page page;
    if (!list_page(call, ROW_payment_intent, &page)) return;
    list_filter(&page, "customer", field_given(call, "customer"));
    list_answer(call, ROW_payment_intent, &page);
}

void
payment_intent_items(struct call *call)
{
    struct row_payment_intent *pi = call_new_row(call, ROW_payment_intent);
    struct list_asked asked;
    if (!call_get(call, ROW_payment_intent, call->object, pi)) return;
    if (!list_asked(call, "li_", &asked)) return;
    if (asked.after.at || asked.before.at) { /* nothing is there to stand at */
        refuse_missing(call, "line item", asked.after.at ? asked.after : asked.before,
                       asked.after.at ? "starting_after" : "ending_before");
        return;
    }
    struct json_writer w = call_writer(call, 512);
    json_open(&w);
    json_string(&w, "object", "list");
    json_key(&w, "data");
    json_array(&w);
    json_array_end(&w);
    json_flag(&w, "has_more", false);
    json_text(&w, "url", list_url(call));
    json_close(&w);
    call_answer(call, 200, json_writer_text(&w));
}

/* What belongs to kinds of payment method that are not taken here. */
static void
refuse_for_cards(struct call *call, const char *what)
{
    struct row_payment_intent *pi = call_new_row(call, ROW_payment_intent);
    if (!call_get(call, ROW_payment_intent, call->object, pi)) return;
    if (!payment_secret_fits(call, pi)) return;
    refuse_state(
        call, ROW_payment_intent, pi,
        "%s This PaymentIntent has a status of %.*s and takes the payment method type card "
        "alone.",
        what, (int)pi->status.size, pi->status.at);
}

void
payment_intent_apply(struct call *call)
{
    refuse_for_cards(call, "A customer's cash balance pays only for a PaymentIntent of the payment "
                           "method type customer_balance.");
}

void
payment_intent_verify(struct call *call)
{
    refuse_for_cards(call, "Microdeposits are verified only for a PaymentIntent of a bank account "
                           "that waits for them.");
}
