/* checkout_sessions: a merchant's checkout sessions, made, shown, listed and closed. What the payer
 * sees and does is in checkout_pages.c. */
#include "answer.h"
#include "checkout.h"
#include "currency.h"
#include "fields.h"
#include "handlers.h"
#include "id.h"
#include "lists.h"
#include "payment.h"

#include <assert.h>
#include <stdio.h>

#define EXPIRES_S_MAX 86400
#define INTENT_DATA_NAME_MAX 64

bool
checkout_is_open(const struct call *call, const struct row_checkout_session *session)
{
    return text_is(session->status, "open") && session->expires_at > call->now_s;
}

/* --- what a request may say ------------------------------------------------------------------ */

bool
checkout_url_is_good(struct text url)
{
    const size_t scheme = text_starts(url, "https://") ? 8 : text_starts(url, "http://") ? 7 : 0;
    if (!scheme || url.size == scheme) return false;
    for (size_t i = 0; i < url.size; i++) {
        const unsigned char c = (unsigned char)url.at[i];
        if (c <= 0x20 || c == 0x7f || c == '\\' || c == '"' || c == '<' || c == '>') return false;
    }
    return !strchr("/?#:", url.at[scheme]);
}

static bool
take_url(struct call *call, const char *name, struct text *url)
{
    field_text(call, name, url);
    if (!url->at || checkout_url_is_good(*url)) return true;
    call_refuse_400(call, "url_invalid", name,
                    "Not a valid URL: %s must begin with http:// or https://, and hold no spaces.",
                    name);
    return false;
}

static bool
take_expiry(struct call *call, struct row_checkout_session *session)
{
    const int64_t least_s = worker_checkout_expires_s_min(call->worker);
    session->expires_at = params_integer(call->params, "expires_at", call->now_s + EXPIRES_S_MAX);
    if (session->expires_at < call->now_s + least_s) {
        call_refuse_400(call, NULL, "expires_at",
                        "The `expires_at` timestamp must be at least %lld %s from Checkout Session "
                        "creation.",
                        (long long)(least_s % 60 ? least_s : least_s / 60),
                        least_s % 60 ? "seconds" : "minutes");
        return false;
    }
    if (session->expires_at > call->now_s + EXPIRES_S_MAX) {
        call_refuse_400(call, NULL, "expires_at",
                        "The `expires_at` timestamp must be less than 24 hours from Checkout "
                        "Session creation.");
        return false;
    }
    return true;
}

static bool
exclusive(struct call *call, const char *one, const char *other)
{
    if (!params_have(call->params, one) || !params_have(call->params, other)) return true;
    call_refuse_400(call, "parameters_exclusive", other,
                    "You may only specify one of these parameters: %s, %s.", one, other);
    return false;
}

struct text
checkout_details(struct call *call, struct text email, struct text name, struct text phone,
                 struct text address)
{
    struct json_writer w =
        call_writer(call, 512 + address.size + 6 * (email.size + name.size + phone.size));
    json_open(&w);
    json_raw(&w, "address", address);
    json_null(&w, "business_name");
    json_text(&w, "email", email);
    json_null(&w, "individual_name");
    json_text(&w, "name", name);
    json_text(&w, "phone", phone);
    json_string(&w, "tax_exempt", "none");
    json_raw(&w, "tax_ids", TEXT("[]"));
    json_close(&w);
    return json_writer_text(&w);
}

/* Who pays, as far as the merchant knows. */
static bool
take_payer(struct call *call, struct row_checkout_session *session)
{
    struct row_customer *customer = call_new_row(call, ROW_customer);
    if (!exclusive(call, "customer", "customer_email") ||
        !exclusive(call, "customer", "customer_creation"))
        return false;
    field_text(call, "customer", &session->customer);
    field_text(call, "customer_email", &session->customer_email);
    field_text(call, "customer_creation", &session->customer_creation);
    session->email = session->customer_email;
    if (session->customer.at) {
        if (!get_customer(call, session->customer, "customer", customer)) return false;
        session->email = customer->email;
    } else if (!session->customer_creation.at && text_is(session->mode, "payment")) {
        session->customer_creation = TEXT("if_required");
    }
    if (session->email.at && !memchr(session->email.at, '@', session->email.size)) {
        call_refuse_400(call, "email_invalid", session->customer.at ? "customer" : "customer_email",
                        "Invalid email address: %.*s", (int)session->email.size, session->email.at);
        return false;
    }
    if (session->customer.at || session->email.at)
        session->customer_details =
            checkout_details(call, session->email, NO_TEXT, NO_TEXT, NO_TEXT);
    return true;
}

/* What is kept for the payment until somebody makes it. */
static bool
take_intent_data(struct call *call, struct row_checkout_session *session)
{
    static const char *const texts[] = {"capture_method",       "description",
                                        "receipt_email",        "setup_future_usage",
                                        "statement_descriptor", "statement_descriptor_suffix",
                                        "transfer_group"};
    const char *hash =
        text_is(session->mode, "setup") ? "setup_intent_data" : "payment_intent_data";
    struct json_writer w = call_writer(call, 1024 + 12 * call->params.size);
    struct text metadata = NO_TEXT, shipping = NO_TEXT;
    char name[INTENT_DATA_NAME_MAX];
    json_open(&w);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        snprintf(name, sizeof name, "%s[%s]", hash, texts[i]);
        const struct text value = field_given(call, name);
        if (value.at) json_text(&w, texts[i], value);
    }
    snprintf(name, sizeof name, "%s[metadata]", hash);
    if (!field_metadata(call, name, &metadata)) return false;
    if (metadata.at) json_raw(&w, "metadata", metadata);
    snprintf(name, sizeof name, "%s[shipping]", hash);
    field_shipping(call, name, &shipping);
    if (shipping.at) json_raw(&w, "shipping", shipping);
    json_close(&w);
    session->intent_data = json_writer_text(&w);
    return true;
}

/* What belongs to the other mode is no mistake to be passed over. */
static bool
mode_fits(struct call *call, bool setup)
{
    static const char *const of_payment[] = {"line_items", "payment_intent_data", "submit_type"};
    static const char *const of_setup[] = {"setup_intent_data"};
    const char *const *names = setup ? of_payment : of_setup;
    const size_t count = setup ? sizeof of_payment / sizeof of_payment[0] : 1;
    for (size_t i = 0; i < count; i++) {
        if (!params_have_any(call->params, names[i])) continue;
        call_refuse_400(call, NULL, names[i], "You can not pass `%s` in `%s` mode.", names[i],
                        setup ? "setup" : "payment");
        return false;
    }
    return true;
}

/* What is paid for; or, in mode setup, the currency that the card is for. */
static bool
take_mode(struct call *call, struct row_checkout_session *session)
{
    const bool setup = text_is(session->mode, "setup");
    if (!mode_fits(call, setup)) return false;
    if (!setup) return checkout_take_items(call, session);
    const struct currency *currency = currency_find(params_find(call->params, "currency"));
    if (currency) session->currency = text_of(currency->code);
    session->payment_status = TEXT("no_payment_required");
    return true;
}

static bool
success_url_is_known(struct call *call, const struct row_checkout_session *session)
{
    if (session->success_url.at) return true;
    call_refuse(call,
                &(struct api_refusal){.status = 400,
                                      .code = "parameter_missing",
                                      .param = "success_url",
                                      .message = TEXT("Missing required param: success_url.")},
                false);
    return false;
}

/* --- the handlers ---------------------------------------------------------------------------- */

void
checkout_session_create(struct call *call)
{
    struct row_checkout_session *session = call_new_row(call, ROW_checkout_session);
    session->id = call_new_id(call, "cs_test_");
    session->merchant = call->merchant;
    session->created = call->now_s;
    session->slot = slot_of(call->merchant);
    session->status = TEXT("open");
    session->payment_status = TEXT("unpaid");
    session->payment_method_types = TEXT("[\"card\"]");
    session->three_d_secure = TEXT("automatic");
    field_text(call, "payment_method_options[card][request_three_d_secure]",
               &session->three_d_secure);
    field_text(call, "client_reference_id", &session->client_reference_id);
    field_text(call, "submit_type", &session->submit_type);
    field_text(call, "locale", &session->locale);
    field_text(call, "billing_address_collection", &session->billing_address_collection);
    session->phone = params_flag(call->params, "phone_number_collection[enabled]", false);

    field_text(call, "mode", &session->mode);
    if (!take_url(call, "success_url", &session->success_url)) return;
    if (!take_url(call, "cancel_url", &session->cancel_url)) return;
    if (!success_url_is_known(call, session)) return;
    if (!take_expiry(call, session)) return;
    if (!take_payer(call, session)) return;
    if (!take_mode(call, session)) return;
    if (!take_intent_data(call, session)) return;
    if (!field_metadata(call, "metadata", &session->metadata)) return;
    /* After this point it must succeed. */
    call_insert(call, ROW_checkout_session, session);
    answer_row(call, ROW_checkout_session, session, NULL);
}

void
checkout_session_retrieve(struct call *call)
{
    struct row_checkout_session *session = call_new_row(call, ROW_checkout_session);
    if (!call_get(call, ROW_checkout_session, call->object, session)) return;
    answer_row(call, ROW_checkout_session, session, NULL);
}

void
checkout_session_update(struct call *call)
{
    struct row_checkout_session *session = call_new_row(call, ROW_checkout_session);
    if (!call_lock(call, call->object)) return;
    if (!call_get(call, ROW_checkout_session, call->object, session)) return;
    if (!field_metadata(call, "metadata", &session->metadata)) return;
    call_update(call, ROW_checkout_session, session);
    answer_row(call, ROW_checkout_session, session, NULL);
}

void
checkout_session_list(struct call *call)
{
    struct store_page page;
    if (!list_page(call, ROW_checkout_session, &page)) return;
    list_filter(&page, "customer", field_given(call, "customer"));
    list_filter(&page, "email", field_given(call, "customer_details[email]"));
    list_filter(&page, "payment_intent", field_given(call, "payment_intent"));
    list_filter(&page, "status", field_given(call, "status"));
    list_answer(call, ROW_checkout_session, &page);
}

void
checkout_session_line_item_list(struct call *call)
{
    struct row_checkout_session *session = call_new_row(call, ROW_checkout_session);
    struct list_asked asked;
    if (!call_get(call, ROW_checkout_session, call->object, session)) return;
    if (!list_asked(call, "li_", &asked)) return;
    const struct {
        struct text id;
        const char *param;
    } cursors[] = {{asked.after, "starting_after"}, {asked.before, "ending_before"}};
    for (size_t i = 0; i < sizeof cursors / sizeof cursors[0]; i++)
        if (cursors[i].id.at && !checkout_has_item(session, cursors[i].id)) {
            refuse_missing(call, "line item", cursors[i].id, cursors[i].param);
            return;
        }
    /* Every item has its texts once, and some hundreds of bytes around them. */
    struct render r = {
        .call = call,
        .w = call_writer(call, 4096 + session->line_items.size + CHECKOUT_ITEMS_MAX * (size_t)2048),
        .whole = true};
    checkout_put_items(&r, session,
                       &(struct checkout_items_asked){asked.after, asked.before, asked.limit},
                       call->expand);
    assert(!r.w.full);
    call_answer(call, 200, json_writer_text(&r.w));
}

/* --- nobody pays any more -------------------------------------------------------------------- */

enum expiry { EXPIRY_DONE, EXPIRY_NOT_OPEN, EXPIRY_ANSWERED };

/* The payment or set-up that somebody began on the page. */
struct begun {
    struct row_payment_intent *pi; /* NULL: none */
    struct row_setup_intent *si;   /* NULL: none */
};

/* Locks and reads it. */
static enum expiry
get_begun(struct call *call, const struct row_checkout_session *session, struct begun *begun)
{
    *begun = (struct begun){NULL, NULL};
    if (session->payment_intent.at) {
        begun->pi = call_new_row(call, ROW_payment_intent);
        if (!call_lock(call, session->payment_intent)) return EXPIRY_ANSWERED;
        if (!call_get(call, ROW_payment_intent, session->payment_intent, begun->pi))
            return EXPIRY_ANSWERED;
        if (begun->pi->attempt.at) {
            refuse_busy(call, ROW_payment_intent, begun->pi);
            return EXPIRY_ANSWERED;
        }
    }
    if (session->setup_intent.at) {
        begun->si = call_new_row(call, ROW_setup_intent);
        if (!call_lock(call, session->setup_intent)) return EXPIRY_ANSWERED;
        if (!call_get(call, ROW_setup_intent, session->setup_intent, begun->si))
            return EXPIRY_ANSWERED;
        if (begun->si->attempt.at) {
            refuse_busy(call, ROW_setup_intent, begun->si);
            return EXPIRY_ANSWERED;
        }
    }
    return EXPIRY_DONE;
}

static void
cancel_payment(struct call *call, struct row_payment_intent *pi)
{
    uint32_t effects;
    if (payment_step(pi, ON_CANCEL, 0, &effects) != PI_OK || effects & RELEASE_HOLD) return;
    pi->canceled_at = call->now_s;
    pi->cancellation_reason = TEXT("expired");
    pi->challenge = NO_TEXT;
    call_update(call, ROW_payment_intent, pi);
    tell(call, "payment_intent.canceled", ROW_payment_intent, pi, NULL);
}

/* False: the call has been answered. */
static bool
cancel_setup(struct call *call, struct row_setup_intent *si)
{
    if (!setup_step(si, SI_ON_CANCEL)) return true;
    if (!setup_abandon(call, si)) return false;
    si->cancellation_reason = TEXT("abandoned");
    si->challenge = NO_TEXT;
    call_update(call, ROW_setup_intent, si);
    tell(call, "setup_intent.canceled", ROW_setup_intent, si, NULL);
    return true;
}

/* The session is expired, and what somebody began on it is canceled, unless the network has just
 * been asked for it: then it may well be paid in a moment. */
static enum expiry
expire(struct call *call, struct row_checkout_session *session, struct begun *begun)
{
    if (!call_lock(call, call->object)) return EXPIRY_ANSWERED;
    if (!call_get(call, ROW_checkout_session, call->object, session)) return EXPIRY_ANSWERED;
    if (!text_is(session->status, "open")) return EXPIRY_NOT_OPEN;
    const enum expiry possible = get_begun(call, session, begun);
    if (possible != EXPIRY_DONE) return possible;
    if (begun->si && !cancel_setup(call, begun->si)) return EXPIRY_ANSWERED;
    if (begun->pi) cancel_payment(call, begun->pi);
    session->status = TEXT("expired");
    call_update(call, ROW_checkout_session, session);
    tell(call, "checkout.session.expired", ROW_checkout_session, session, NULL);
    return EXPIRY_DONE;
}

void
checkout_session_expire(struct call *call)
{
    struct row_checkout_session *session = call_new_row(call, ROW_checkout_session);
    struct begun begun;
    switch (expire(call, session, &begun)) {
    case EXPIRY_DONE:
        answer_row(call, ROW_checkout_session, session,
                   KNOWN({begun.pi   ? ROW_payment_intent
                          : begun.si ? ROW_setup_intent
                                     : ROW_NONE,
                          begun.pi ? (const void *)begun.pi : begun.si}));
        return;
    case EXPIRY_ANSWERED: return;
    case EXPIRY_NOT_OPEN: break;
    }
    call_refuse_400(call, NULL, NULL,
                    "Only Checkout Sessions with a status of open can be expired. This one has a "
                    "status of %.*s.",
                    (int)session->status.size, session->status.at);
}

void
checkout_expire_due(struct call *call)
{
    struct row_checkout_session *session = call_new_row(call, ROW_checkout_session);
    struct begun begun;
    switch (expire(call, session, &begun)) {
    case EXPIRY_DONE:
    case EXPIRY_NOT_OPEN: call_answer(call, 200, TEXT("{}")); return;
    case EXPIRY_ANSWERED: return;
    }
}
