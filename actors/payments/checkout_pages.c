/* checkout_pages: the payer's side of a checkout session: what its page shows, paying on it, and
 * what becomes of the session when the payment is made.
 *
 * The page is let in by the session's id alone, as a publishable key would be: it sees what is to
 * be paid and to whom, and nothing of other payments. A page that is sent twice, or open in two
 * windows, pays once: there is one payment intent per session, and it can succeed once. */
#include "answer.h"
#include "checkout.h"
#include "currency.h"
#include "fields.h"
#include "handlers.h"
#include "json_reader.h"
#include "mutant.h"
#include "payment.h"

#include <assert.h>

#define SECRET_SIZE 25
#define ID_PLACE "{CHECKOUT_SESSION_ID}"

/* --- what the page shows --------------------------------------------------------------------- */

/* The success URL with the session's id where the merchant wants it. */
static struct text
success_url(struct call *call, const struct row_checkout_session *session)
{
    const size_t place = sizeof ID_PLACE - 1;
    const struct text url = session->success_url;
    size_t count = 0, size = 0;
    for (size_t i = 0; i + place <= url.size; i++)
        count += memcmp(url.at + i, ID_PLACE, place) == 0;
    char *out = arena_take(call->arena, url.size + count * session->id.size + 1);
    for (size_t i = 0; i < url.size;) {
        if (i + place <= url.size && memcmp(url.at + i, ID_PLACE, place) == 0) {
            memcpy(out + size, session->id.at, session->id.size);
            size += session->id.size;
            i += place;
        } else {
            out[size++] = url.at[i++];
        }
    }
    return (struct text){out, size};
}

/* What the payer may know of the payment or set-up: where it stands, where they must go, what went
 * wrong. `error` is the name that the last error has there. */
static void
put_intent(struct call *call, struct json_writer *w, enum row_table table, const void *intent,
           const char *error)
{
    struct text json;
    const bool whole = render_row(call, table, intent, NO_TEXT, NULL, &json);
    (void)whole;
    const struct text last = json_find(json, error);
    json_open(w);
    json_key(w, "last_error");
    if (!last.at || json_is_null(last)) {
        json_value_null(w);
    } else {
        json_open(w);
        json_raw(w, "code", json_find(last, "code"));
        json_raw(w, "message", json_find(last, "message"));
        json_close(w);
    }
    json_raw(w, "next_action", json_find(json, "next_action"));
    json_raw(w, "status", json_find(json, "status"));
    json_close(w);
}

void
payment_page_retrieve(struct call *call)
{
    struct row_checkout_session *session = call_new_row(call, ROW_checkout_session);
    struct row_payment_intent *pi = call_new_row(call, ROW_payment_intent);
    struct row_setup_intent *si = call_new_row(call, ROW_setup_intent);
    struct row_merchant *merchant = call_new_row(call, ROW_merchant);
    if (!call_get(call, ROW_checkout_session, call->object, session)) return;
    if (!call_get(call, ROW_merchant, call->merchant, merchant)) return;
    if (session->payment_intent.at &&
        !call_get(call, ROW_payment_intent, session->payment_intent, pi))
        return;
    if (session->setup_intent.at && !call_get(call, ROW_setup_intent, session->setup_intent, si))
        return;
    const bool complete = text_is(session->status, "complete");
    const bool expired = !complete && !checkout_is_open(call, session);
    const struct currency *currency = currency_find(session->currency);
    struct json_writer w =
        call_writer(call, 16384 + 2 * session->line_items.size + 6 * merchant->name.size +
                              CHECKOUT_ITEMS_MAX * (size_t)128);
    json_open(&w);
    json_text(&w, "id", session->id);
    json_string(&w, "object", "payment_page");
    json_number_or_null(&w, "amount_total", session->amount_total);
    json_text(&w, "cancel_url", session->cancel_url);
    json_text(&w, "currency", session->currency);
    json_integer(&w, "currency_decimals", currency ? currency->decimals : 2);
    json_text(&w, "email",
              session->customer_email.at || session->customer.at ? session->email : NO_TEXT);
    json_integer(&w, "expires_at", session->expires_at);
    json_key(&w, "line_items");
    checkout_put_page_items(&w, session);
    json_flag(&w, "livemode", call->livemode);
    json_text(&w, "merchant", merchant->name);
    json_text(&w, "mode", session->mode);
    json_key(&w, "intent");
    if (pi->id.at && !expired)
        put_intent(call, &w, ROW_payment_intent, pi, "last_payment_error");
    else if (si->id.at && !expired)
        put_intent(call, &w, ROW_setup_intent, si, "last_setup_error");
    else
        json_value_null(&w);
    json_flag(&w, "phone", session->phone);
    json_string(&w, "status", expired ? "expired" : complete ? "complete" : "open");
    json_text(&w, "submit_type", session->submit_type);
    /* Only who has paid is sent to where the goods are. */
    json_text(&w, "success_url", complete ? success_url(call, session) : NO_TEXT);
    json_close(&w);
    assert(!w.full);
    call_answer(call, 200, json_writer_text(&w));
}

/* --- paying ---------------------------------------------------------------------------------- */

static bool
session_can_be_paid(struct call *call, const struct row_checkout_session *session)
{
    if (checkout_is_open(call, session)) return true;
    if (FLORIN_MUTANT(closed_page_pays) && text_is(session->status, "expired")) return true;
    if (text_is(session->status, "complete"))
        call_refuse_400(call, "checkout_session_complete", NULL,
                        "This has been paid already: nothing more was charged.");
    else
        call_refuse_400(call, "checkout_session_expired", NULL,
                        "This page has expired: nothing was charged. Go back to the shop and begin "
                        "again.");
    return false;
}

static struct text
kept(struct call *call, const struct row_checkout_session *session, const char *name)
{
    return field_in(call, session->intent_data, name, NULL);
}

static struct text
client_secret(struct call *call, struct text id)
{
    const struct text secret = call_random_text(call, SECRET_SIZE);
    return arena_format(call->arena, "%.*s_secret_%.*s", (int)id.size, id.at, (int)secret.size,
                        secret.at);
}

/* payment_method_options: what stands before, and the merchant's wish. */
static struct text
card_options(struct call *call, const struct row_checkout_session *session, const char *before)
{
    return arena_format(call->arena, "%s\"request_three_d_secure\":\"%.*s\"}}", before,
                        (int)session->three_d_secure.size, session->three_d_secure.at);
}

/* The payment that the merchant asked for when the session was made. */
static struct row_payment_intent *
payment_of_session(struct call *call, const struct row_checkout_session *session)
{
    struct row_payment_intent *pi = call_new_row(call, ROW_payment_intent);
    pi->id = call_new_id(call, "pi_");
    pi->merchant = call->merchant;
    pi->created = call->now_s;
    pi->status = text_of(pi_state_name(PI_NEEDS_METHOD));
    pi->amount = session->amount_total;
    pi->currency = session->currency;
    pi->capture_method = kept(call, session, "capture_method");
    if (!pi->capture_method.at) pi->capture_method = TEXT("automatic_async");
    pi->confirmation_method = TEXT("automatic");
    pi->customer = session->customer;
    pi->description = kept(call, session, "description");
    pi->receipt_email = kept(call, session, "receipt_email");
    pi->setup_future_usage = kept(call, session, "setup_future_usage");
    pi->statement_descriptor = kept(call, session, "statement_descriptor");
    pi->statement_descriptor_suffix = kept(call, session, "statement_descriptor_suffix");
    pi->transfer_group = kept(call, session, "transfer_group");
    pi->shipping = json_find(session->intent_data, "shipping");
    pi->metadata = json_find(session->intent_data, "metadata");
    pi->payment_method_types = session->payment_method_types;
    pi->payment_method_options =
        card_options(call, session,
                     "{\"card\":{\"installments\":null,\"mandate_options\":null,\"network\":null,");
    pi->checkout_session = session->id;
    pi->client_secret = client_secret(call, pi->id);
    return pi;
}

/* Who pays, as they wrote it; the address of a customer that the merchant knows stays theirs. */
static bool
take_payer(struct call *call, struct row_checkout_session *session,
           struct row_payment_method *method)
{
    const bool known = session->customer_email.at || (session->customer.at && session->email.at);
    const struct text email = known ? session->email : field_given(call, "email");
    if (!email.at || !memchr(email.at, '@', email.size)) {
        call_refuse_400(call, "email_invalid", "email", "Your email address is incomplete.");
        return false;
    }
    session->email = email;
    session->customer_details =
        checkout_details(call, email, field_in(call, method->billing_details, "name", NULL),
                         field_given(call, "phone"), json_find(method->billing_details, "address"));
    return true;
}

/* Its payment or set-up is under way, or has ended in a way that the session here knows nothing of:
 * both are read anew. */
static void
refuse_busy_page(struct call *call, const struct row_checkout_session *session,
                 enum row_table table, const void *row)
{
    call_forget(call, ROW_checkout_session, session);
    refuse_busy(call, table, row);
}

static void
pay(struct call *call, struct row_checkout_session *session, struct method_use *use)
{
    struct row_payment_intent *pi = call_new_row(call, ROW_payment_intent);
    const bool begun = session->payment_intent.at != NULL;
    uint32_t effects;
    if (!begun)
        pi = payment_of_session(call, session);
    else if (!call_get(call, ROW_payment_intent, session->payment_intent, pi))
        return;
    /* It is being paid just now, or was canceled by other means. */
    if (pi->attempt.at || payment_step(pi, ON_ATTACH, 0, &effects) != PI_OK) {
        refuse_busy_page(call, session, ROW_payment_intent, pi);
        return;
    }
    if (!payment_take_fields(call, pi)) return;
    pi->payment_method = use->row->id;
    session->payment_intent = pi->id;
    call_update(call, ROW_checkout_session, session);
    payment_confirm(call, pi, begun, use);
}

static struct row_setup_intent *
setup_of_session(struct call *call, const struct row_checkout_session *session)
{
    struct row_setup_intent *si = call_new_row(call, ROW_setup_intent);
    si->id = call_new_id(call, "seti_");
    si->merchant = call->merchant;
    si->created = call->now_s;
    si->status = text_of(si_state_name(SI_NEEDS_METHOD));
    si->usage = TEXT("off_session");
    si->client_secret = client_secret(call, si->id);
    si->customer = session->customer;
    si->description = kept(call, session, "description");
    si->metadata = json_find(session->intent_data, "metadata");
    si->payment_method_types = session->payment_method_types;
    si->payment_method_options =
        card_options(call, session, "{\"card\":{\"mandate_options\":null,\"network\":null,");
    si->checkout_session = session->id;
    return si;
}

static void
set_up(struct call *call, struct row_checkout_session *session, struct method_use *use)
{
    struct row_setup_intent *si = call_new_row(call, ROW_setup_intent);
    const bool begun = session->setup_intent.at != NULL;
    if (!begun)
        si = setup_of_session(call, session);
    else if (!call_get(call, ROW_setup_intent, session->setup_intent, si))
        return;
    if (si->attempt.at || !setup_step(si, SI_ON_ATTACH)) {
        refuse_busy_page(call, session, ROW_setup_intent, si);
        return;
    }
    si->payment_method = use->row->id;
    session->setup_intent = si->id;
    call_update(call, ROW_checkout_session, session);
    setup_confirm(call, si, begun, use);
}

void
payment_page_confirm(struct call *call)
{
    struct row_checkout_session *session = call_new_row(call, ROW_checkout_session);
    struct method_use use;
    if (!call_lock(call, call->object)) return;
    if (!call_get(call, ROW_checkout_session, call->object, session)) return;
    if (!session_can_be_paid(call, session)) return;
    const bool setup = text_is(session->mode, "setup");
    const struct text intent = setup ? session->setup_intent : session->payment_intent;
    if (intent.at && !call_lock(call, intent)) return;
    if (!method_of_request(call, "payment_method_data", &use)) return;
    if (!use.fresh) {
        call_refuse_400(call, "parameter_missing", "payment_method_data",
                        "Missing required param: payment_method_data.");
        return;
    }
    if (!take_payer(call, session, use.row)) return;
    if (setup)
        set_up(call, session, &use);
    else
        pay(call, session, &use);
}

/* --- when it is paid ------------------------------------------------------------------------- */

static void
make_customer(struct call *call, struct row_checkout_session *session, struct text *customer_of)
{
    struct row_customer *customer = customer_new(call);
    const struct text address = json_find(session->customer_details, "address");
    customer->email = session->email;
    customer->name = field_in(call, session->customer_details, "name", NULL);
    customer->phone = field_in(call, session->customer_details, "phone", NULL);
    if (!json_is_null(address)) customer->address = address;
    customer->tax_exempt = TEXT("none");
    session->customer = *customer_of = customer->id;
    call_insert(call, ROW_customer, customer);
    tell(call, "customer.created", ROW_customer, customer, NULL);
}

void
checkout_paid(struct call *call, struct row_checkout_session *session,
              struct row_payment_intent *pi, bool paid)
{
    assert(text_is(session->status, "open"));
    if (!pi->customer.at &&
        (text_is(session->customer_creation, "always") || payment_future_use(call, pi).at))
        make_customer(call, session, &pi->customer);
    session->status = TEXT("complete");
    session->payment_status = paid ? TEXT("paid") : TEXT("unpaid");
    call_update(call, ROW_checkout_session, session);
}

void
checkout_captured(struct call *call, struct row_checkout_session *session)
{
    session->payment_status = TEXT("paid");
    call_update(call, ROW_checkout_session, session);
}

void
checkout_set_up(struct call *call, struct row_checkout_session *session,
                struct row_setup_intent *si)
{
    assert(text_is(session->status, "open"));
    if (!si->customer.at && text_is(session->customer_creation, "always"))
        make_customer(call, session, &si->customer);
    session->status = TEXT("complete");
    call_update(call, ROW_checkout_session, session);
}

bool
checkout_waits(struct call *call, struct text id, const char *status,
               struct row_checkout_session **session_p)
{
    *session_p = NULL;
    if (!id.at) return true;
    struct row_checkout_session *session = call_new_row(call, ROW_checkout_session);
    if (!call_get(call, ROW_checkout_session, id, session)) return false;
    if (text_is(session->status, status)) *session_p = session;
    return true;
}
