#include "answer.h"
#include "decline.h"
#include "fields.h"
#include "handlers.h"
#include "lists.h"
#include "payment.h"

struct row_payment_method *
method_of_card(struct call *call, const char *prefix)
{
    struct row_payment_method *method = call_new_row(call, ROW_payment_method);
    const struct msg_card *card = call->card;
    method->id = call_new_id(call, prefix);
    method->merchant = call->merchant;
    method->created = call->now_s;
    method->token = card->token;
    method->fingerprint = card->fingerprint;
    method->brand = card->brand;
    method->last4 = card->last4;
    method->exp_month = (int64_t)card->exp_month;
    method->exp_year = (int64_t)card->exp_year;
    method->funding = card->funding;
    method->country = card->country;
    if (card->has & HAS_card_cvc) {
        method->cvc = card->cvc;
        method->cvc_check = TEXT("unchecked");
    }
    if (card->has & HAS_card_attach_code) method->attach_code = card->attach_code;
    if (card->has & HAS_card_unsupported) method->unsupported = card->unsupported;
    method->allow_redisplay = TEXT("unspecified");
    return method;
}

/* What the request says of a new payment method. */
static void
take_billing(struct call *call, const char *data, struct row_payment_method *method)
{
    const char *billing = "billing_details", *redisplay = "allow_redisplay";
    if (data) {
        billing = "payment_method_data[billing_details]";
        redisplay = "payment_method_data[allow_redisplay]";
    }
    field_billing(call, billing, &method->billing_details);
    field_text(call, redisplay, &method->allow_redisplay);
}

/* A payment method from a card that the vault has just named. It is used or attached later; a card
 * of a test name is made anew each time. */
static struct row_payment_method *
method_from_card(struct call *call, const char *data)
{
    struct row_payment_method *method = method_of_card(call, "pm_");
    take_billing(call, data, method);
    return method;
}

/* A payment method from a token's card: a new one, which the token leaves its security code to. */
static bool
method_from_token(struct call *call, const char *param, const char *data, struct method_use *use)
{
    if (!token_take(call, field_given(call, param), param, use)) return false;
    struct row_payment_method *method = call_new_row(call, ROW_payment_method);
    *method = *use->row;
    method->id = call_new_id(call, "pm_");
    method->version = 0;
    method->created = call->now_s;
    take_billing(call, data, method);
    use->row = method;
    use->fresh = true;
    return true;
}

/* The request's card is that of `source`, and nothing to pay with. */
static bool
card_is_of_source(const struct call *call)
{
    return params_have(call->params, "source") &&
           !text_starts(params_find(call->params, "payment_method"), "pm_card_");
}

/* From a card of this request (made anew), from a token, or as it is named. */
bool
method_of_request(struct call *call, const char *data, struct method_use *use)
{
    static const char token[] = "payment_method_data[card][token]";
    *use = (struct method_use){.row = NULL};
    const struct text chosen = field_given(call, "confirmation_token");
    if (chosen.at && (params_have(call->params, "payment_method") ||
                      params_have_any(call->params, "payment_method_data"))) {
        call_refuse_400(call, "parameters_exclusive", "confirmation_token",
                        "You may only specify one of these parameters: confirmation_token, "
                        "payment_method, payment_method_data.");
        return false;
    }
    if (chosen.at) return confirmation_token_take(call, chosen, use);
    if (call->card && !card_is_of_source(call)) {
        use->row = method_from_card(call, data);
        use->fresh = true;
        return !data || field_metadata(call, "payment_method_data[metadata]", &use->row->metadata);
    }
    if (data && params_have(call->params, token))
        return method_from_token(call, token, data, use) &&
               field_metadata(call, "payment_method_data[metadata]", &use->row->metadata);
    const struct text id = field_given(call, "payment_method");
    if (!id.at) return true;
    struct row_payment_method *method = call_new_row(call, ROW_payment_method);
    if (!call_get_param(call, ROW_payment_method, id, "payment_method", method)) return false;
    use->row = method;
    return true;
}

void
method_stage(struct call *call, const struct method_use *use)
{
    if (use->fresh)
        call_insert(call, ROW_payment_method, use->row);
    else
        call_update(call, ROW_payment_method, use->row);
    if (use->token) call_update(call, ROW_token, use->token);
    if (use->chosen) call_update(call, ROW_confirmation_token, use->chosen);
}

static void
refuse_consumed(struct call *call)
{
    call_refuse_400(call, "payment_method_unexpected_state", "payment_method",
                    "The provided PaymentMethod was used before without being attached to a "
                    "Customer, or was detached from one. It may not be used again. To use a "
                    "PaymentMethod multiple times, you must attach it to a Customer first.");
}

bool
method_may_pay(struct call *call, const struct row_payment_method *method, struct text customer)
{
    if (method->consumed) {
        refuse_consumed(call);
        return false;
    }
    if (!method->customer.at || text_equal(method->customer, customer)) return true;
    if (customer.at)
        call_refuse_400(call, NULL, "payment_method",
                        "The customer %.*s does not have a payment method with the ID %.*s. The "
                        "payment method must be attached to this customer.",
                        (int)customer.size, customer.at, (int)method->id.size, method->id.at);
    else
        call_refuse_400(call, NULL, "payment_method",
                        "The payment method %.*s is attached to a customer: name that customer in "
                        "the payment to use it.",
                        (int)method->id.size, method->id.at);
    return false;
}

bool
customer_has_room(struct call *call, struct text customer)
{
    const int64_t most = worker_customer_methods_max(call->worker);
    struct store_page page = {.filter_count = 0};
    size_t count = 0;
    list_filter(&page, "customer", customer);
    if (store_count(call->store, ROW_payment_method, call->merchant, &page, (size_t)most,
                    call->arena, &count) == STORE_UNAVAILABLE) {
        refuse_unavailable(call);
        return false;
    }
    if (count < (size_t)most) return true;
    call_refuse_400(
        call, "customer_max_payment_methods", "customer",
        "The maximum number of PaymentMethods for this Customer has been reached (%lld). "
        "Detach some of them first.",
        (long long)most);
    return false;
}

bool
method_attach_to(struct call *call, struct row_payment_method *method, struct text customer)
{
    if (method->consumed) {
        refuse_consumed(call);
        return false;
    }
    if (method->customer.at && !text_equal(method->customer, customer)) {
        call_refuse_400(call, "payment_method_unexpected_state", NULL,
                        "The payment method you provided has already been attached to a customer.");
        return false;
    }
    if (method->attach_code.at && !method->customer.at) {
        const struct decline *decline = decline_named(method->attach_code);
        call_refuse(call,
                    &(struct api_refusal){.status = 402,
                                          .type = "card_error",
                                          .code = decline->code,
                                          .decline_code = decline->decline_code,
                                          .advice_code = decline->advice_code,
                                          .network_decline_code = decline->network_decline_code,
                                          .message = text_of(decline->message)},
                    true);
        return false;
    }
    if (!method->customer.at && !customer_has_room(call, customer)) return false;
    method->customer = customer;
    return true;
}

void
payment_method_create(struct call *call)
{
    struct method_use use = {.row = NULL};
    if (call->card) {
        use.row = method_from_card(call, NULL);
        use.fresh = true;
    } else if (params_have(call->params, "card[token]")) {
        if (!method_from_token(call, "card[token]", NULL, &use)) return;
    } else {
        call_refuse(call,
                    &(struct api_refusal){.status = 400,
                                          .code = "parameter_missing",
                                          .param = "card",
                                          .message = TEXT("Missing required param: card.")},
                    false);
        return;
    }
    if (!field_metadata(call, "metadata", &use.row->metadata)) return;
    method_stage(call, &use);
    answer_row(call, ROW_payment_method, use.row, NULL);
}

/* A test name in the path (pm_card_visa) stands for a new payment method of that card. */
static bool
method_in_path(struct call *call, struct method_use *use)
{
    *use = (struct method_use){.fresh = call->card != NULL};
    if (use->fresh) {
        use->row = method_from_card(call, NULL);
        return true;
    }
    use->row = call_new_row(call, ROW_payment_method);
    return call_lock(call, call->object) &&
           call_get(call, ROW_payment_method, call->object, use->row);
}

void
payment_method_retrieve(struct call *call)
{
    struct row_payment_method *method = call_new_row(call, ROW_payment_method);
    if (call->card) {
        method = method_from_card(call, NULL);
        call_insert(call, ROW_payment_method, method);
    } else if (!call_get(call, ROW_payment_method, call->object, method)) {
        return;
    }
    answer_row(call, ROW_payment_method, method, NULL);
}

/* Two digits are a year of this century. */
static int64_t
full_year(int64_t year)
{
    return year < 100 ? 2000 + year : year;
}

void
payment_method_update(struct call *call)
{
    struct method_use use;
    if (!method_in_path(call, &use)) return;
    if (!use.row->customer.at) {
        call_refuse_400(call, "payment_method_unexpected_state", NULL,
                        "You must attach this PaymentMethod to a customer before you can update "
                        "it.");
        return;
    }
    const struct row_payment_method before = *use.row;
    struct row_payment_method *method = use.row;
    field_text(call, "allow_redisplay", &method->allow_redisplay);
    field_billing(call, "billing_details", &method->billing_details);
    method->exp_month = params_integer(call->params, "card[exp_month]", method->exp_month);
    method->exp_year = full_year(params_integer(call->params, "card[exp_year]", method->exp_year));
    if (!field_metadata(call, "metadata", &method->metadata)) return;
    call_update(call, ROW_payment_method, method);
    tell_updated(call, "payment_method.updated", ROW_payment_method, &before, method);
    answer_row(call, ROW_payment_method, method, NULL);
}

void
payment_method_list(struct call *call)
{
    struct row_customer *customer = call_new_row(call, ROW_customer);
    struct store_page page;
    const struct text id = field_given(call, "customer");
    if (id.at && !get_customer(call, id, "customer", customer)) return;
    if (!list_page(call, ROW_payment_method, &page)) return;
    /* Cards that are in a token only are nobody's to see: of all, those of the newer kind. */
    if (!id.at) page.id_least = TEXT("pm_");
    list_filter(&page, "customer", id);
    list_filter(&page, "allow_redisplay", field_given(call, "allow_redisplay"));
    list_answer(call, ROW_payment_method, &page);
}

void
customer_payment_method_list(struct call *call)
{
    struct row_customer *customer = call_new_row(call, ROW_customer);
    struct store_page page;
    if (!get_customer(call, call->object, NULL, customer)) return;
    if (!list_page(call, ROW_payment_method, &page)) return;
    list_filter(&page, "customer", call->object);
    list_filter(&page, "allow_redisplay", field_given(call, "allow_redisplay"));
    list_answer(call, ROW_payment_method, &page);
}

void
customer_payment_method_retrieve(struct call *call)
{
    struct row_customer *customer = call_new_row(call, ROW_customer);
    struct row_payment_method *method = call_new_row(call, ROW_payment_method);
    if (!get_customer(call, call->parent, NULL, customer)) return;
    if (!call_get(call, ROW_payment_method, call->object, method)) return;
    if (text_equal(method->customer, customer->id))
        answer_row(call, ROW_payment_method, method, KNOWN({ROW_customer, customer}));
    else
        refuse_missing(call, "PaymentMethod", call->object, NULL);
}

void
payment_method_attach(struct call *call)
{
    struct row_customer *customer = call_new_row(call, ROW_customer);
    struct method_use use;
    if (!method_in_path(call, &use)) return;
    if (!get_customer(call, field_given(call, "customer"), "customer", customer)) return;
    const bool attached = use.row->customer.at != NULL;
    if (!method_attach_to(call, use.row, customer->id)) return;
    if (!attached) {
        method_stage(call, &use);
        tell(call, "payment_method.attached", ROW_payment_method, use.row, NULL);
    }
    answer_row(call, ROW_payment_method, use.row, KNOWN({ROW_customer, customer}));
}

void
payment_method_detach(struct call *call)
{
    struct method_use use;
    if (!method_in_path(call, &use)) return;
    struct row_payment_method *method = use.row;
    if (!method->customer.at) {
        call_refuse_400(call, "payment_method_unexpected_state", NULL,
                        "The payment method you provided is not attached to a customer so "
                        "detachment is impossible.");
        return;
    }
    struct row_customer *customer = call_new_row(call, ROW_customer);
    if (!call_get(call, ROW_customer, method->customer, customer)) return;
    if (!method_leaves(call, method, customer)) return;
    answer_row(call, ROW_payment_method, method, NULL);
}
