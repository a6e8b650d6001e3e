/* attempts_finish: what follows from the network's answer, whoever hears it: the worker that asked,
 * or the one that took its slot over and knows nothing but the rows.
 *
 *     operation  approved                     declined, reversed, never sent
 *     authorize  charge, hold or sale booked  failed charge, the payment waits for another method
 *     increment  more is held                 nothing has changed: to be tried again
 *     capture    hold released, sale booked;  nothing has changed: to be tried again
 *                of a part, both by that part
 *     void       hold released, canceled;     nothing has changed: to be tried again
 *                succeeded with what parts
 *                were captured
 *     refund     booked                       failed refund, its promise taken back
 *     verify     setup_steps.c
 *
 * A payment that was made and confirmed by one request is inserted here, with what has become of it
 * and with the event that it was created: until then it stood in the attempt's row alone (staged).
 *
 * An authorization that is challenged leaves a payment that waits for its payer (challenges.c).
 *
 * What was undone (reversed) and what never left (never sent) is told like a refusal: the client's
 * key has its answer for good, and a new try needs a new key (RELIABILITY c5). Everything here is
 * one commit with the attempt's last state. Nothing here refuses; when a row cannot be read it
 * returns, and the engine comes again. */
#include "answer.h"
#include "attempt.h"
#include "authentication.h"
#include "checkout.h"
#include "decline.h"
#include "fee.h"
#include "fields.h"
#include "finish.h"
#include "json_reader.h"
#include "mutant.h"
#include "payment.h"
#include "risk.h"

#include <assert.h>

#define EXPIRY_AGAIN_S 3600

enum account {
#define ACCOUNT(NAME, number, word, owner, kind, doc) ACCOUNT_##NAME = (number),
#include "accounts.def"
#undef ACCOUNT
};

/* --- money ----------------------------------------------------------------------------------- */

/* One posting without its empty lines: a fee may eat the whole amount. */
static void
post(struct call *call, const char *kind, struct text source, struct text currency,
     const struct posting_line *all, size_t count)
{
    struct posting_line lines[8];
    size_t kept = 0;
    int64_t sum = 0;
    assert(count <= sizeof lines / sizeof lines[0]);
    for (size_t i = 0; i < count; i++) {
        sum += all[i].amount;
        if (all[i].amount) lines[kept++] = all[i];
    }
    assert(sum == 0);
    call_post(call, kind, source, currency, lines, kept);
}

void
post_hold(struct finish *f, const char *kind, struct text source, int64_t amount)
{
    const struct posting_line lines[] = {{ACCOUNT_AUTHORIZATIONS_HELD, amount},
                                         {ACCOUNT_AUTHORIZATIONS_OWED, -amount}};
    post(f->call, kind, source, f->charge->currency, lines, 2);
}

static bool noted(const struct finish *f, const char *flag);

/* The books take each kind once per source. A payment's one hold, its one charge and its one
 * release are the charge's; what comes several times (increments, captures in part) is its
 * attempt's. */
static struct text
source_of(const struct finish *f)
{
    return noted(f, "keep") || text_is(f->attempt->operation, "increment") ? f->attempt->id
                                                                           : f->charge->id;
}

static struct row_balance_transaction *
movement(struct finish *f, const char *type, struct text source, int64_t amount, int64_t fee)
{
    struct row_balance_transaction *txn = call_new_row(f->call, ROW_balance_transaction);
    txn->id = call_new_id(f->call, "txn_");
    txn->merchant = f->call->merchant;
    txn->created = f->call->now_s;
    txn->type = txn->reporting_category = text_of(type);
    txn->amount = amount;
    txn->fee = fee;
    txn->net = amount - fee;
    txn->currency = f->charge->currency;
    txn->source = source;
    return txn;
}

/* The money is the merchant's, less the fee: pending until it is settled, unless the card's money
 * is there at once. The charge bears its movement. */
struct row_balance_transaction *
book_charge(struct finish *f, int64_t amount)
{
    struct row_charge *charge = f->charge;
    const int64_t fee = fee_of_payment(amount);
    const int where =
        charge->bypass_pending ? ACCOUNT_MERCHANT_AVAILABLE : ACCOUNT_MERCHANT_PENDING;
    const struct posting_line lines[] = {{ACCOUNT_NETWORK_RECEIVABLE, amount},
                                         {where, -(amount - fee)},
                                         {ACCOUNT_FEES_EARNED, -fee}};
    post(f->call, "charge", source_of(f), charge->currency, lines, 3);

    struct row_balance_transaction *txn = movement(f, "charge", charge->id, amount, fee);
    /* Where the fee eats it all, there is nothing to be settled later. */
    const bool at_once = charge->bypass_pending || txn->net == 0;
    txn->description = charge->description;
    txn->status = at_once ? TEXT("available") : TEXT("pending");
    txn->available_on = f->call->now_s;
    if (!at_once) txn->available_on += worker_settlement_delay_s(f->call->worker);
    txn->final = charge->captured;
    charge->amount_captured += amount;
    /* What the last capture leaves is given back; before it nothing is. */
    if (charge->captured) charge->amount_refunded = charge->amount - charge->amount_captured;
    charge->balance_transaction = txn->id; /* the latest: a list by source has them all */
    call_insert(f->call, ROW_balance_transaction, txn);
    return txn;
}

/* A refund comes out of where the charge's money is: while that is pending, so is what it takes
 * away, and both become available together. */
static struct row_balance_transaction *
book_refund(struct finish *f, const struct row_refund *refund,
            const struct row_balance_transaction *of_charge)
{
    const bool pending =
        text_is(of_charge->status, "pending") && of_charge->available_on > f->call->now_s;
    const struct posting_line lines[] = {
        {pending ? ACCOUNT_MERCHANT_PENDING : ACCOUNT_MERCHANT_AVAILABLE, refund->amount},
        {ACCOUNT_REFUNDS, -refund->amount}};
    const struct text words = f->charge->description;
    post(f->call, "refund", refund->id, refund->currency, lines, 2);

    struct row_balance_transaction *txn = movement(f, "refund", refund->id, -refund->amount, 0);
    txn->description = words.at ? arena_format(f->call->arena, "REFUND FOR CHARGE (%.*s)",
                                               (int)words.size, words.at)
                                : TEXT("REFUND FOR CHARGE");
    txn->status = pending ? TEXT("pending") : TEXT("available");
    txn->available_on = pending ? of_charge->available_on : f->call->now_s;
    call_insert(f->call, ROW_balance_transaction, txn);
    return txn;
}

/* It comes back to where it was taken from: while that is pending, so is this, and both become
 * available together. */
struct row_balance_transaction *
book_refund_failure(struct finish *f, const struct row_refund *refund,
                    const struct row_balance_transaction *of_refund)
{
    const bool pending =
        text_is(of_refund->status, "pending") && of_refund->available_on > f->call->now_s;
    const struct posting_line lines[] = {
        {pending ? ACCOUNT_MERCHANT_PENDING : ACCOUNT_MERCHANT_AVAILABLE, -refund->amount},
        {ACCOUNT_REFUNDS, refund->amount}};
    post(f->call, "refund_failure", refund->id, refund->currency, lines, 2);

    struct row_balance_transaction *txn =
        movement(f, "refund_failure", refund->id, refund->amount, 0);
    txn->description = TEXT("REFUND FAILURE");
    txn->status = pending ? TEXT("pending") : TEXT("available");
    txn->available_on = pending ? of_refund->available_on : f->call->now_s;
    call_insert(f->call, ROW_balance_transaction, txn);
    return txn;
}

/* --- the charge ------------------------------------------------------------------------------ */

struct text
approved_outcome(struct finish *f)
{
    const struct risk *risk = risk_numbered(f->answer->risk);
    struct json_writer w = call_writer(f->call, 512);
    json_open(&w);
    json_null(&w, "advice_code");
    json_null(&w, "network_advice_code");
    json_null(&w, "network_decline_code");
    json_string(&w, "network_status", "approved_by_network");
    json_string(&w, "reason", risk->reason);
    json_string(&w, "risk_level", risk->level);
    json_integer(&w, "risk_score", risk->score);
    json_string(&w, "seller_message", risk->seller_message);
    json_string(&w, "type", risk->type);
    json_close(&w);
    return json_writer_text(&w);
}

struct text
declined_outcome(struct finish *f, const struct decline *decline)
{
    struct json_writer w = call_writer(f->call, 1024);
    const uint64_t outcome = f->answer->outcome;
    const struct risk *risk = risk_numbered(f->answer->risk);
    const bool blocked = risk->number == RISK_BLOCKED;
    const bool by_issuer = outcome == OUTCOME_DECLINED && !blocked;
    struct text message = TEXT("The bank did not return any further details with this decline.");
    if (blocked)
        message = text_of(risk->seller_message);
    else if (!by_issuer)
        message = TEXT("The card network gave no definite answer, so the payment was undone.");
    else if (decline != &declines[DECLINE_GENERIC])
        message = arena_format(f->call->arena, "The bank returned the decline code `%s`.",
                               decline->decline_code ? decline->decline_code : decline->code);
    json_open(&w);
    json_string(&w, "advice_code", by_issuer || blocked ? decline->advice_code : NULL);
    json_null(&w, "network_advice_code");
    json_string(&w, "network_decline_code", by_issuer ? decline->network_decline_code : NULL);
    json_string(&w, "network_status",
                by_issuer                     ? "declined_by_network"
                : outcome == OUTCOME_REVERSED ? "reversed_after_approval"
                                              : "not_sent_to_network");
    json_string(&w, "reason", blocked ? risk->reason : decline->decline_code);
    json_string(&w, "risk_level", risk->level);
    json_integer(&w, "risk_score", risk->score);
    json_text(&w, "seller_message", message);
    json_string(&w, "type", blocked ? risk->type : by_issuer ? "issuer_declined" : "invalid");
    json_close(&w);
    return json_writer_text(&w);
}

/* A check that was not made says nothing. */
static struct text
check_made(struct text check)
{
    return text_is(check, "unchecked") ? NO_TEXT : check;
}

static const char *
indicator_of(const struct finish *f)
{
    const struct authentication *authentication =
        authentication_numbered(f->answer->authentication);
    return authentication ? authentication_eci(authentication, f->method->brand) : NULL;
}

int64_t
held_until(const struct finish *f)
{
    return f->attempt->created + worker_hold_s(f->call->worker);
}

int64_t
held_again_until(const struct finish *f)
{
    return f->call->now_s + EXPIRY_AGAIN_S;
}

static struct text
availability(const struct finish *f, const char *request)
{
    return f->pi && payment_has_feature(f->pi, request) ? TEXT("{\"status\":\"available\"}")
                                                        : TEXT("{\"status\":\"unavailable\"}");
}

struct text
method_details(struct finish *f)
{
    const struct row_payment_method *method = f->method;
    const struct msg_network_answer *answer = f->answer;
    /* Room for the longest texts that the network may send, each byte escaped. */
    struct json_writer w = call_writer(f->call, 4096);
    json_open(&w);
    json_key(&w, "card");
    json_open(&w);
    json_integer(&w, "amount_authorized", f->attempt->amount);
    json_text(&w, "authorization_code", answer->authorization_code);
    json_text(&w, "brand", method->brand);
    if (!f->attempt->capture) json_integer(&w, "capture_before", held_until(f));
    json_key(&w, "checks");
    json_open(&w);
    json_text(&w, "address_line1_check", check_made(answer->line1_check));
    json_text(&w, "address_postal_code_check", check_made(answer->postal_check));
    json_text(&w, "cvc_check", check_made(answer->cvc_check));
    json_close(&w);
    json_text(&w, "country", method->country);
    json_string(&w, "electronic_commerce_indicator", indicator_of(f));
    json_integer(&w, "exp_month", method->exp_month);
    json_integer(&w, "exp_year", method->exp_year);
    json_raw(&w, "extended_authorization", TEXT("{\"status\":\"disabled\"}"));
    json_text(&w, "fingerprint", method->fingerprint);
    json_text(&w, "funding", method->funding);
    json_raw(&w, "incremental_authorization", availability(f, "request_incremental_authorization"));
    json_null(&w, "installments");
    json_text(&w, "last4", method->last4);
    json_null(&w, "mandate");
    json_raw(&w, "multicapture", availability(f, "request_multicapture"));
    json_text(&w, "network", method->brand);
    json_raw(&w, "network_token", TEXT("{\"used\":false}"));
    json_text(&w, "network_transaction_id", answer->network_id);
    json_key(&w, "overcapture");
    json_open(&w);
    json_integer(&w, "maximum_amount_capturable", f->attempt->amount);
    json_string(&w, "status", "unavailable");
    json_close(&w);
    json_string(&w, "regulated_status", "unregulated");
    write_three_d_secure(&w, answer->authentication, answer->authentication_id, method->brand,
                         true);
    json_null(&w, "transaction_link_id");
    json_null(&w, "wallet");
    json_close(&w);
    json_string(&w, "type", "card");
    json_close(&w);
    return json_writer_text(&w);
}

/* The same object with another amount that is authorized, wherever it says so. */
static void
put_with_amount(struct json_writer *w, struct text object, int64_t amount)
{
    struct json_member member;
    bool malformed;
    json_open(w);
    for (size_t at = 0; json_next_member(object, &at, &member, &malformed);) {
        json_key_text(w, member.key);
        if (text_is(member.key, "card") || text_is(member.key, "overcapture"))
            put_with_amount(w, member.value, amount);
        else if (text_is(member.key, "amount_authorized") ||
                 text_is(member.key, "maximum_amount_capturable"))
            json_value_integer(w, amount);
        else
            json_value_raw(w, member.value);
    }
    json_close(w);
}

static struct text
more_authorized(struct finish *f, int64_t amount)
{
    const struct text details = f->charge->payment_method_details;
    struct json_writer w = call_writer(f->call, details.size + 128);
    put_with_amount(&w, details, amount);
    return json_writer_text(&w);
}

/* The charge that the attempt promised: it bears the time of the asking, as its id does. */
static struct row_charge *
charge_of_attempt(struct finish *f)
{
    struct row_charge *charge = call_new_row(f->call, ROW_charge);
    const struct row_payment_intent *pi = f->pi;
    charge->id = f->attempt->charge;
    charge->status = text_of(charge_shown(CHARGE_PENDING).status);
    charge->merchant = f->call->merchant;
    charge->created = f->attempt->created;
    charge->amount = f->attempt->amount;
    charge->currency = f->attempt->currency;
    charge->payment_intent = pi->id;
    charge->payment_method = f->method->id;
    charge->customer = pi->customer;
    charge->authorization = f->attempt->id;
    charge->description = pi->description;
    charge->receipt_email = pi->receipt_email;
    charge->statement_descriptor = pi->statement_descriptor;
    charge->statement_descriptor_suffix = pi->statement_descriptor_suffix;
    charge->transfer_group = pi->transfer_group;
    charge->payment_method_details = method_details(f);
    charge->billing_details = f->method->billing_details;
    charge->shipping = pi->shipping;
    charge->metadata = pi->metadata;
    charge->bypass_pending = f->answer->bypass_pending == 1;
    return charge;
}

/* --- answers --------------------------------------------------------------------------------- */

/* Whoever waits is told: the client of the API, or the page that brought the payer's answer. */
static void
end(struct finish *f, int status, struct text json)
{
    if (f->challenge)
        challenge_answer(f->call, f->challenge, f->pi, NULL);
    else
        call_answer(f->call, status, json);
}

void
show(struct finish *f, enum row_table table, const void *row, const struct known *known)
{
    struct text json;
    const bool whole = render_row(f->call, table, row, f->call->expand, known, &json);
    (void)whole;
    end(f, 200, json);
}

static struct text
plain(struct call *call, enum row_table table, const void *row, const struct known *known)
{
    struct text json;
    const bool whole = render_row(call, table, row, NO_TEXT, known, &json);
    (void)whole;
    return json;
}

static void
step(struct row_payment_intent *pi, enum pi_event event, int64_t amount, uint32_t *effects)
{
    const enum pi_verdict verdict = payment_step(pi, event, amount, effects);
    assert(verdict ==
           PI_OK); /* it was asked before the attempt began, and no other step may pass */
    (void)verdict;
    pi->attempt = pi->challenge = NO_TEXT;
}

/* --- authorize ------------------------------------------------------------------------------- */

bool
note_on_method(struct finish *f, bool approved)
{
    struct row_payment_method *method = f->method;
    const struct row_payment_method before = *method;
    const struct msg_network_answer *answer = f->answer;
    const bool keep =
        approved && f->pi && payment_future_use(f->call, f->pi).at && f->pi->customer.at;
    if (check_made(answer->cvc_check).at) method->cvc_check = answer->cvc_check;
    if (check_made(answer->line1_check).at) method->line1_check = answer->line1_check;
    if (check_made(answer->postal_check).at) method->postal_check = answer->postal_check;
    if (keep && !method->customer.at) method->customer = f->pi->customer;
    if (keep && text_is(payment_future_use(f->call, f->pi), "off_session")) method->set_up = true;
    /* Confirming marked it as used; what did not succeed may be tried again. */
    if (f->pi) method->consumed = approved && !method->customer.at;
    return method->consumed != before.consumed || method->set_up != before.set_up ||
           !text_equal(method->customer, before.customer) ||
           !text_equal(method->cvc_check, before.cvc_check) ||
           !text_equal(method->line1_check, before.line1_check) ||
           !text_equal(method->postal_check, before.postal_check);
}

/* With automatic_async a payment has succeeded before its money is booked: the charge is told
 * without its balance transaction first, and then with it. */
static bool
is_booked_behind(const struct finish *f, const struct row_balance_transaction *txn)
{
    return txn && text_is(f->pi->capture_method, "automatic_async");
}

static struct row_charge
before_booking(const struct finish *f)
{
    struct row_charge before = *f->charge;
    before.balance_transaction = NO_TEXT;
    return before;
}

static void
tell_charge_succeeded(struct finish *f, const struct row_balance_transaction *txn)
{
    const struct row_charge before = before_booking(f);
    tell(f->call, "charge.succeeded", ROW_charge, is_booked_behind(f, txn) ? &before : f->charge,
         NULL);
}

static void
tell_captured_behind(struct finish *f, const struct row_balance_transaction *txn)
{
    const struct row_charge before = before_booking(f);
    if (is_booked_behind(f, txn))
        tell_updated(f->call, "charge.updated", ROW_charge, &before, f->charge);
}

static void
authorized(struct finish *f)
{
    struct row_payment_intent *pi = f->pi;
    struct row_balance_transaction *txn = NULL;
    const bool attached = f->method->customer.at != NULL;
    uint32_t effects;
    step(pi, f->attempt->capture ? ON_PAID : ON_HELD, f->attempt->amount, &effects);
    pi->latest_charge = f->attempt->charge;
    pi->last_payment_error = pi->last_error_method = NO_TEXT;
    if (f->session && !FLORIN_MUTANT(session_forgotten))
        checkout_paid(f->call, f->session, pi, f->attempt->capture);

    f->charge = charge_of_attempt(f);
    charge_advance(f->charge, f->attempt->capture ? CHARGE_ON_PAID : CHARGE_ON_HELD);
    f->charge->outcome = approved_outcome(f);
    if (effects & POST_HOLD) {
        post_hold(f, "hold", source_of(f), f->charge->amount);
        f->charge->hold_until = held_until(f);
    }
    if (effects & POST_CHARGE) txn = book_charge(f, f->charge->amount);
    call_insert(f->call, ROW_charge, f->charge);
    call_update(f->call, ROW_payment_intent, pi);
    if (note_on_method(f, true)) call_update(f->call, ROW_payment_method, f->method);

    if (!attached && f->method->customer.at)
        tell(f->call, "payment_method.attached", ROW_payment_method, f->method, NULL);
    tell_charge_succeeded(f, txn);
    tell(f->call,
         f->attempt->capture ? "payment_intent.succeeded"
                             : "payment_intent.amount_capturable_updated",
         ROW_payment_intent, pi, NULL);
    tell_captured_behind(f, txn);
    if (f->session)
        tell(f->call, "checkout.session.completed", ROW_checkout_session, f->session, NULL);
    show(f, ROW_payment_intent, pi,
         KNOWN({ROW_payment_intent, pi}, {ROW_charge, f->charge}, {ROW_payment_method, f->method},
               {txn ? ROW_balance_transaction : ROW_NONE, txn}));
}

static bool
noted(const struct finish *f, const char *flag)
{
    return text_is(json_find(f->attempt->params, flag), "true");
}

/* Why not. Who wanted nothing to be done by the payer is refused what needs it. */
const struct decline *
reason_of(const struct finish *f)
{
    switch (f->answer->outcome) {
    case OUTCOME_DECLINED: return decline_named(f->answer->code);
    case OUTCOME_CHALLENGED:
        return &declines[noted(f, "no_action") ? DECLINE_AUTHENTICATION_NOT_HANDLED
                                               : DECLINE_AUTHENTICATION_REQUIRED];
    default: return &declines[DECLINE_PROCESSING_ERROR];
    }
}

static void
not_authorized(struct finish *f)
{
    struct row_payment_intent *pi = f->pi;
    const struct decline *decline = reason_of(f);
    const bool charged = f->answer->outcome != OUTCOME_CHALLENGED;
    uint32_t effects;
    struct api_refusal refusal = {.status = 402,
                                  .type = "card_error",
                                  .code = decline->code,
                                  .decline_code = decline->decline_code,
                                  .advice_code = decline->advice_code,
                                  .network_decline_code = decline->network_decline_code,
                                  .message = text_of(decline->message)};
    if (charged) refusal.charge = f->attempt->charge;
    step(pi, ON_DECLINED, 0, &effects);
    pi->payment_method = NO_TEXT;
    pi->last_error_method = f->method->id;
    pi->last_payment_error = json_find(refusal_json(f->call, &refusal), "error");

    /* A payment of a checkout session ends with its session. */
    const bool given_up = pi->confirms >= CONFIRMS_MAX && !pi->checkout_session.at;
    if (given_up) {
        step(pi, ON_CANCEL, 0, &effects);
        pi->canceled_at = f->call->now_s;
        pi->cancellation_reason = TEXT("automatic");
    }

    if (charged) {
        pi->latest_charge = f->attempt->charge;
        f->charge = charge_of_attempt(f);
        charge_advance(f->charge, CHARGE_ON_DECLINED);
        f->charge->outcome = declined_outcome(f, decline);
        f->charge->failure_code = text_of(decline->code);
        f->charge->failure_message = text_of(decline->message);
        call_insert(f->call, ROW_charge, f->charge);
    }
    call_update(f->call, ROW_payment_intent, pi);
    if (note_on_method(f, false)) call_update(f->call, ROW_payment_method, f->method);

    const struct known *known = KNOWN({ROW_payment_method, f->method});
    if (charged) tell(f->call, "charge.failed", ROW_charge, f->charge, NULL);
    tell(f->call, "payment_intent.payment_failed", ROW_payment_intent, pi, known);
    if (given_up) tell(f->call, "payment_intent.canceled", ROW_payment_intent, pi, known);
    refusal.payment_intent = plain(f->call, ROW_payment_intent, pi, known);
    refusal.payment_method = plain(f->call, ROW_payment_method, f->method, NULL);
    end(f, 402, refusal_json(f->call, &refusal));
}

/* Nothing was held, and this attempt is over: the payer is asked, and comes back with another. */
static void
challenged(struct finish *f)
{
    struct row_payment_intent *pi = f->pi;
    uint32_t effects;
    if (noted(f, "no_action") || noted(f, "off_session")) {
        not_authorized(f);
        return;
    }
    step(pi, ON_CHALLENGED, 0, &effects);
    pi->last_payment_error = pi->last_error_method = NO_TEXT;
    pi->challenge = challenge_begin(f->call, f->attempt, &pi->next_action)->id;
    call_update(f->call, ROW_payment_intent, pi);
    if (note_on_method(f, false)) call_update(f->call, ROW_payment_method, f->method);
    tell(f->call, "payment_intent.requires_action", ROW_payment_intent, pi, NULL);
    show(f, ROW_payment_intent, pi,
         KNOWN({ROW_payment_intent, pi}, {ROW_payment_method, f->method}));
}

/* --- capture and void ------------------------------------------------------------------------ */

static void
captured(struct finish *f)
{
    struct row_payment_intent *pi = f->pi;
    struct row_balance_transaction *txn = NULL;
    uint32_t effects;
    const bool keep = noted(f, "keep");
    const int64_t held = pi->amount_capturable;
    step(pi, keep ? ON_CAPTURE_PART : ON_CAPTURE, f->attempt->amount, &effects);
    const bool charge_named =
        text_is(field_in(f->call, f->attempt->params, "answer", NULL), "charge");
    if (!charge_named) { /* what the capture said of the statement */
        f->charge->statement_descriptor = pi->statement_descriptor;
        f->charge->statement_descriptor_suffix = pi->statement_descriptor_suffix;
    }
    if (f->answer->bypass_pending == 1) f->charge->bypass_pending = true;
    charge_advance(f->charge, keep ? CHARGE_ON_CAPTURED_PART : CHARGE_ON_CAPTURED);
    if (effects & RELEASE_HOLD)
        post_hold(f, "release", source_of(f), keep ? -f->attempt->amount : -held);
    if (effects & POST_CHARGE) txn = book_charge(f, f->attempt->amount);
    if (!keep) f->charge->hold_until = NO_NUMBER;
    if (f->session) checkout_captured(f->call, f->session);
    call_update(f->call, ROW_charge, f->charge);
    call_update(f->call, ROW_payment_intent, pi);
    tell(f->call, "charge.captured", ROW_charge, f->charge, NULL);
    if (!FLORIN_MUTANT(event_left_out))
        tell(f->call,
             keep ? "payment_intent.amount_capturable_updated" : "payment_intent.succeeded",
             ROW_payment_intent, pi, NULL);

    const struct known *known = KNOWN({ROW_payment_intent, pi}, {ROW_charge, f->charge},
                                      {txn ? ROW_balance_transaction : ROW_NONE, txn});
    if (charge_named)
        show(f, ROW_charge, f->charge, known);
    else
        show(f, ROW_payment_intent, pi, known);
}

static void
voided(struct finish *f)
{
    struct row_payment_intent *pi = f->pi;
    uint32_t effects;
    const bool expired = noted(f, "expired"), in_part = noted(f, "release");
    const int64_t held = pi->amount_capturable;
    step(pi, in_part ? ON_RELEASED : expired ? ON_EXPIRED : ON_CANCEL, 0, &effects);
    if (effects & RELEASE_HOLD) post_hold(f, "release", f->charge->id, -held);
    f->charge->amount_refunded = f->charge->amount - f->charge->amount_captured;
    f->charge->hold_until = NO_NUMBER;
    charge_advance(f->charge, in_part ? CHARGE_ON_RELEASED_REST : CHARGE_ON_RELEASED);
    if (!in_part) {
        pi->canceled_at = f->call->now_s;
        pi->cancellation_reason =
            field_in(f->call, f->attempt->params, "cancellation_reason", NULL);
    }
    call_update(f->call, ROW_charge, f->charge);
    call_update(f->call, ROW_payment_intent, pi);
    tell(f->call,
         expired   ? "charge.expired"
         : in_part ? "charge.captured"
                   : "charge.refunded",
         ROW_charge, f->charge, NULL);
    tell(f->call, in_part ? "payment_intent.succeeded" : "payment_intent.canceled",
         ROW_payment_intent, pi, NULL);
    show(f, ROW_payment_intent, pi, KNOWN({ROW_payment_intent, pi}, {ROW_charge, f->charge}));
}

/* The issuer holds more. What the client said of the payment with it comes true with it. */
static void
incremented(struct finish *f)
{
    struct row_payment_intent *pi = f->pi;
    const struct text params = f->attempt->params;
    const struct row_charge before = *f->charge;
    const struct text description = field_in(f->call, params, "description", NULL);
    const struct text descriptor = field_in(f->call, params, "statement_descriptor", NULL);
    const struct text metadata = json_find(params, "metadata");
    uint32_t effects;
    step(pi, ON_INCREMENTED, f->attempt->amount, &effects);
    pi->amount += f->attempt->amount;
    pi->increments++;
    if (description.at) pi->description = f->charge->description = description;
    if (descriptor.at) pi->statement_descriptor = f->charge->statement_descriptor = descriptor;
    if (metadata.at) pi->metadata = metadata;
    if (effects & POST_HOLD) post_hold(f, "hold", source_of(f), f->attempt->amount);
    charge_advance(f->charge, CHARGE_ON_INCREMENTED);
    f->charge->amount += f->attempt->amount;
    f->charge->payment_method_details = more_authorized(f, f->charge->amount);
    call_update(f->call, ROW_charge, f->charge);
    call_update(f->call, ROW_payment_intent, pi);
    tell_updated(f->call, "charge.updated", ROW_charge, &before, f->charge);
    tell(f->call, "payment_intent.amount_capturable_updated", ROW_payment_intent, pi, NULL);
    show(f, ROW_payment_intent, pi, KNOWN({ROW_payment_intent, pi}, {ROW_charge, f->charge}));
}

/* The hold stands as it stood. */
static void
not_changed(struct finish *f)
{
    const bool declined = f->answer->outcome == OUTCOME_DECLINED;
    const struct decline *decline =
        declined ? decline_named(f->answer->code) : &declines[DECLINE_PROCESSING_ERROR];
    f->pi->attempt = NO_TEXT;
    call_update(f->call, ROW_payment_intent, f->pi);
    if (noted(f, "expired")) {
        f->charge->hold_until = held_again_until(f);
        call_update(f->call, ROW_charge, f->charge);
    }
    const struct api_refusal refusal = {
        .status = 402,
        .type = "card_error",
        .code = decline->code,
        .decline_code = decline->decline_code,
        .message = declined ? text_of(decline->message)
                            : TEXT("The card network did not complete this operation, and the "
                                   "payment is as it was before. Try again with a new idempotency "
                                   "key."),
        .charge = f->charge->id,
        .payment_intent = plain(f->call, ROW_payment_intent, f->pi, NULL)};
    call_answer(f->call, 402, refusal_json(f->call, &refusal));
}

/* --- refund ---------------------------------------------------------------------------------- */

static void
refunded(struct finish *f, struct row_refund *refund,
         const struct row_balance_transaction *of_charge)
{
    struct row_charge *charge = f->charge;
    struct row_balance_transaction *txn = book_refund(f, refund, of_charge);
    const struct msg_network_answer *answer = f->answer;
    /* One that has failed meanwhile is booked all the same, and followed at once to its failure. */
    const bool failed = text_is(answer->refund_state, "failed");
    const bool pending = text_is(answer->refund_state, "pending");
    refund_answered(refund, pending ? REFUND_ON_TAKEN : REFUND_ON_DONE);
    if (failed || answer->has & HAS_network_answer_ask_again_s)
        refund->follow_at = f->call->now_s + (failed ? 0 : (int64_t)answer->ask_again_s);
    refund->balance_transaction = txn->id;
    charge->amount_refunding -= refund->amount;
    charge->amount_refunded += refund->amount;
    charge_advance(charge, charge->amount_refunded == charge->amount ? CHARGE_ON_REFUNDED_ALL
                                                                     : CHARGE_ON_REFUNDED_PART);
    assert(charge->amount_refunding >= 0 && charge->amount_refunded <= charge->amount);
    call_update(f->call, ROW_refund, refund);
    call_update(f->call, ROW_charge, charge);
    tell(f->call, "refund.created", ROW_refund, refund, NULL);
    tell(f->call, "charge.refunded", ROW_charge, charge, NULL);
    show(f, ROW_refund, refund,
         KNOWN({ROW_refund, refund}, {ROW_charge, charge}, {ROW_balance_transaction, txn}));
}

static void
not_refunded(struct finish *f, struct row_refund *refund)
{
    struct row_charge *charge = f->charge;
    refund_answered(refund, REFUND_ON_REFUSED);
    refund->failure_reason =
        f->answer->outcome == OUTCOME_DECLINED ? TEXT("declined") : TEXT("unknown");
    charge->amount_refunding -= refund->amount;
    assert(charge->amount_refunding >= 0);
    call_update(f->call, ROW_refund, refund);
    call_update(f->call, ROW_charge, charge);
    tell(f->call, "refund.created", ROW_refund, refund, NULL);
    tell(f->call, "refund.failed", ROW_refund, refund, NULL);
    show(f, ROW_refund, refund, KNOWN({ROW_refund, refund}, {ROW_charge, charge}));
}

/* --- the attempt itself ---------------------------------------------------------------------- */

static enum attempt_event
event_of(uint64_t outcome)
{
    switch (outcome) {
    case OUTCOME_APPROVED: return ATTEMPT_ON_ANSWERED_APPROVED;
    case OUTCOME_DECLINED: return ATTEMPT_ON_ANSWERED_DECLINED;
    case OUTCOME_REVERSED: return ATTEMPT_ON_ANSWERED_REVERSED;
    case OUTCOME_CHALLENGED: return ATTEMPT_ON_ANSWERED_CHALLENGED;
    default: assert(outcome == OUTCOME_NEVER_SENT); return ATTEMPT_ON_ANSWERED_NEVER_SENT;
    }
}

void
attempt_close(struct call *call, struct row_attempt *attempt,
              const struct msg_network_answer *answer)
{
    const enum attempt_state last =
        attempt_step(attempt_state_named(attempt->state), event_of(answer->outcome));
    assert(last != ATTEMPT_NONE);
    attempt->state = text_of(attempt_state_name(last));
    attempt->network_id = answer->network_id;
    attempt->staged = NO_TEXT; /* it is written with this */
    if (answer->outcome == OUTCOME_DECLINED) attempt->code = answer->code;
    call_update(call, ROW_attempt, attempt);
}

static void
close_attempt(struct finish *f)
{
    attempt_close(f->call, f->attempt, f->answer);
}

/* The challenge whose page brought the payer here, if one did. */
static bool
get_waiting_page(struct finish *f)
{
    const struct text id = field_in(f->call, f->attempt->params, "challenge", NULL);
    if (!id.at) return true;
    f->challenge = call_new_row(f->call, ROW_challenge);
    return call_get(f->call, ROW_challenge, id, f->challenge);
}

/* The checkout session that this operation takes further: one that is open waits for its payment,
 * one that is complete for the capture. False when it cannot be read now. */
static bool
read_session(struct finish *f)
{
    const char *const waits = text_is(f->attempt->operation, "authorize") ? "open"
                              : text_is(f->attempt->operation, "capture") ? "complete"
                                                                          : NULL;
    return !waits || checkout_waits(f->call, f->pi->checkout_session, waits, &f->session);
}

/* A payment that was made and confirmed by one request has waited for this attempt's end, and its
 * new payment method with it: both are inserted as they become now. */
static bool
take_up_payment(struct finish *f)
{
    uint32_t effects;
    if (!call_take_up(f->call, f->attempt)) return false;
    if (!call_get(f->call, ROW_payment_intent, f->attempt->payment_intent, f->pi)) return false;
    tell(f->call, "payment_intent.created", ROW_payment_intent, f->pi, NULL);
    const enum pi_verdict verdict = payment_step(f->pi, ON_CONFIRM, 0, &effects);
    assert(verdict == PI_OK); /* it was asked before the attempt began */
    (void)verdict;
    f->pi->confirms++;
    return true;
}

/* Of a charge without a payment: authorized, captured, or its hold released. */
static void
charge_attempt_finished(struct finish *f)
{
    struct call *call = f->call;
    struct row_attempt *attempt = f->attempt;
    struct row_refund *refund = call_new_row(call, ROW_refund);
    const bool approved = f->answer->outcome == OUTCOME_APPROVED;
    f->method = call_new_row(call, ROW_payment_method);
    if (!call_get(call, ROW_charge, attempt->charge, f->charge)) return;
    if (!call_get(call, ROW_payment_method, attempt->payment_method, f->method)) return;
    if (attempt->refund.at && !call_get(call, ROW_refund, attempt->refund, refund)) return;
    close_attempt(f);
    if (text_is(attempt->operation, "authorize") && approved)
        charge_authorized(f);
    else if (text_is(attempt->operation, "authorize"))
        charge_not_authorized(f);
    else if (attempt->refund.at)
        charge_released(f, refund);
    else if (text_is(attempt->operation, "void"))
        charge_expired(f);
    else if (approved)
        charge_captured(f);
    else
        charge_not_captured(f);
}

void
attempt_finished(struct call *call, struct row_attempt *attempt,
                 const struct msg_network_answer *answer)
{
    struct finish f = {call, attempt, answer, NULL, NULL, NULL, NULL, NULL};
    const bool approved = answer->outcome == OUTCOME_APPROVED;
    call->livemode = noted(&f, "livemode");
    call->publishable = noted(&f, "publishable");
    if (text_is(attempt->operation, "verify")) {
        setup_finished(call, attempt, answer);
        return;
    }

    /* First everything is read: what is missing leaves nothing half staged. */
    f.charge = call_new_row(call, ROW_charge);
    if (attempt->payment_intent.at) {
        f.pi = call_new_row(call, ROW_payment_intent);
        if (attempt->staged.at) {
            if (!take_up_payment(&f)) return;
        } else if (!call_get(call, ROW_payment_intent, attempt->payment_intent, f.pi)) {
            return;
        }
        if (!read_session(&f)) return;
    }
    if (!f.pi && !text_is(attempt->operation, "refund") && !text_is(attempt->operation, "recall")) {
        charge_attempt_finished(&f);
        return;
    }
    if (text_is(attempt->operation, "authorize")) {
        f.method = call_new_row(call, ROW_payment_method);
        if (!call_get(call, ROW_payment_method, attempt->payment_method, f.method)) return;
        if (!get_waiting_page(&f)) return;
        close_attempt(&f);
        if (approved)
            authorized(&f);
        else if (answer->outcome == OUTCOME_CHALLENGED)
            challenged(&f);
        else
            not_authorized(&f);
        return;
    }
    if (!call_get(call, ROW_charge, attempt->charge, f.charge)) return;
    if (text_is(attempt->operation, "refund")) {
        struct row_refund *refund = call_new_row(call, ROW_refund);
        struct row_balance_transaction *of_charge = call_new_row(call, ROW_balance_transaction);
        if (!call_get(call, ROW_refund, attempt->refund, refund)) return;
        if (!call_get(call, ROW_balance_transaction, f.charge->balance_transaction, of_charge))
            return;
        close_attempt(&f);
        if (approved)
            refunded(&f, refund, of_charge);
        else
            not_refunded(&f, refund);
        return;
    }
    if (text_is(attempt->operation, "recall")) {
        struct row_refund *refund = call_new_row(call, ROW_refund);
        struct row_balance_transaction *of_refund = call_new_row(call, ROW_balance_transaction);
        if (!call_get(call, ROW_refund, attempt->refund, refund)) return;
        if (!call_get(call, ROW_balance_transaction, refund->balance_transaction, of_refund))
            return;
        close_attempt(&f);
        refund_recalled(&f, refund, of_refund);
        return;
    }
    close_attempt(&f);
    if (!approved)
        not_changed(&f);
    else if (text_is(attempt->operation, "capture"))
        captured(&f);
    else if (text_is(attempt->operation, "increment"))
        incremented(&f);
    else
        voided(&f);
}
