/* setup_steps: a card is set up by asking its issuer whether it is good: a verification, which
 * holds nothing. It is an attempt like a payment's, durable before it is asked and finished from
 * its row alone; beside it the client sees a SetupAttempt. */
#include "answer.h"
#include "authentication.h"
#include "checkout.h"
#include "decline.h"
#include "fields.h"
#include "json_reader.h"
#include "payment.h"

#include <assert.h>

/* Everything about one verification's end. */
struct setup {
    struct call *call;
    struct row_attempt *attempt;
    const struct msg_network_answer *answer;
    struct row_setup_intent *si;
    struct row_setup_attempt *try;
    struct row_payment_method *method;
    struct row_challenge *challenge;      /* whose page waits for the end, or NULL */
    struct row_checkout_session *session; /* that it is the set-up of; NULL: none, or closed */
};

/* --- asking ---------------------------------------------------------------------------------- */

static void
refuse_confirm(struct call *call, const struct row_setup_intent *si, bool stored)
{
    static const char no_method[] =
        "You cannot confirm this SetupIntent because it's missing a payment method. You can either "
        "update the SetupIntent with a payment method and then confirm it again, or confirm it "
        "again directly with a payment method.";
    if (stored)
        refuse_state(call, ROW_setup_intent, si, "%s", no_method);
    else /* there is no such set-up to be shown */
        call_refuse_400(call, "setup_intent_unexpected_state", NULL, "%s", no_method);
}

/* What the client sees of it while it goes on, and afterwards. */
static struct row_setup_attempt *
new_try(struct call *call, const struct row_setup_intent *si)
{
    struct row_setup_attempt *try = call_new_row(call, ROW_setup_attempt);
    try->id = call_new_id(call, "setatt_");
    try->merchant = call->merchant;
    try->created = call->now_s;
    try->setup_intent = si->id;
    try->status = TEXT("processing");
    try->usage = si->usage;
    try->customer = si->customer;
    try->payment_method = si->payment_method;
    return try;
}

static struct row_attempt *
verification(struct call *call, struct row_setup_intent *si, struct text try,
             const struct attempt_notes *notes)
{
    struct row_attempt *attempt = attempt_new(call, "verify", notes);
    attempt->setup_intent = si->id;
    attempt->setup_attempt = try;
    attempt->payment_method = si->payment_method;
    si->attempt = attempt->id;
    return attempt;
}

bool
setup_abandon(struct call *call, const struct row_setup_intent *si)
{
    struct row_setup_attempt *former = call_new_row(call, ROW_setup_attempt);
    if (!si->latest_attempt.at) return true;
    if (!call_get(call, ROW_setup_attempt, si->latest_attempt, former)) return false;
    if (!text_is(former->status, "requires_action")) return true;
    former->status = TEXT("abandoned");
    call_update(call, ROW_setup_attempt, former);
    return true;
}

void
setup_confirm(struct call *call, struct row_setup_intent *si, bool stored, struct method_use *use)
{
    struct row_customer *customer = call_new_row(call, ROW_customer);
    struct attempt_notes notes = {0};
    if (!use->row && si->payment_method.at) {
        use->row = call_new_row(call, ROW_payment_method);
        if (!call_get(call, ROW_payment_method, si->payment_method, use->row)) return;
    }
    const struct row_setup_intent before = *si;
    if (!setup_step(si, SI_ON_CONFIRM)) {
        refuse_confirm(call, si, stored);
        return;
    }
    assert(use->row);
    if (si->customer.at && !get_customer(call, si->customer, "customer", customer)) return;
    if (!method_may_pay(call, use->row, si->customer)) return;
    if (!action_notes(call, si->payment_method_options, &notes)) return;
    const bool chosen_way = use->chosen && use->chosen->return_url.at;
    if (!chosen_way && !way_back_is_known(call, si->automatic_payment_methods, "SetupIntent"))
        return;
    if (chosen_way && !notes.return_url.at) notes.return_url = use->chosen->return_url;
    if (si->customer.at && !use->row->customer.at && !customer_has_room(call, si->customer)) return;
    if (!setup_abandon(call, si)) return;

    /* After this point it must succeed. */
    struct row_setup_attempt *try = new_try(call, si);
    struct row_attempt *attempt = verification(call, si, try->id, &notes);
    si->latest_attempt = try->id;
    si->challenge = NO_TEXT;
    const struct network_extras extras = take_extras(call, use->row);
    if (use->fresh || use->chosen || extras.cvc.at) method_stage(call, use);
    call_insert(call, ROW_setup_attempt, try);
    if (stored) {
        call_update(call, ROW_setup_intent, si);
    } else {
        call_insert(call, ROW_setup_intent, si);
        tell(call, "setup_intent.created", ROW_setup_intent, &before, NULL);
    }
    call_begin_attempt(call, attempt, &extras);
}

/* --- the payer's answer ---------------------------------------------------------------------- */

static void
step(struct row_setup_intent *si, enum si_event event)
{
    const bool possible = setup_step(si, event);
    assert(possible); /* it was asked before the attempt began, and no other step may pass */
    (void)possible;
    si->attempt = si->challenge = NO_TEXT;
}

static struct text
card_details(struct call *call, const struct row_payment_method *method, uint64_t authentication,
             struct text authentication_id)
{
    struct json_writer w = call_writer(call, 2048);
    json_open(&w);
    json_key(&w, "card");
    json_open(&w);
    json_text(&w, "brand", method->brand);
    json_key(&w, "checks");
    json_open(&w);
    json_text(&w, "address_line1_check", method->line1_check);
    json_text(&w, "address_postal_code_check", method->postal_check);
    json_text(&w, "cvc_check", method->cvc_check);
    json_close(&w);
    json_text(&w, "country", method->country);
    json_integer(&w, "exp_month", method->exp_month);
    json_integer(&w, "exp_year", method->exp_year);
    json_text(&w, "fingerprint", method->fingerprint);
    json_text(&w, "funding", method->funding);
    json_text(&w, "last4", method->last4);
    json_text(&w, "network", method->brand);
    write_three_d_secure(&w, authentication, authentication_id, method->brand, false);
    json_null(&w, "wallet");
    json_close(&w);
    json_string(&w, "type", "card");
    json_close(&w);
    return json_writer_text(&w);
}

static void
note_failure(struct call *call, struct row_setup_intent *si, struct row_setup_attempt *try,
             const struct row_payment_method *method, const struct api_refusal *refusal)
{
    step(si, SI_ON_DECLINED);
    si->payment_method = NO_TEXT;
    si->last_error_method = method->id;
    si->last_setup_error = json_find(refusal_json(call, refusal), "error");
    try->status = TEXT("failed");
    try->setup_error = si->last_setup_error;
    call_update(call, ROW_setup_attempt, try);
    call_update(call, ROW_setup_intent, si);
    tell(call, "setup_intent.setup_failed", ROW_setup_intent, si,
         KNOWN({ROW_payment_method, method}));
}

void
setup_answered(struct call *call, struct row_setup_intent *si,
               const struct row_challenge *challenge, bool passed, bool late)
{
    const struct attempt_notes notes = {.answer = ROW_challenge, .challenge = challenge->id};
    struct row_setup_attempt *try = call_new_row(call, ROW_setup_attempt);
    struct row_payment_method *method = call_new_row(call, ROW_payment_method);
    if (!call_get(call, ROW_setup_attempt, si->latest_attempt, try)) return;
    if (!call_get(call, ROW_payment_method, challenge->payment_method, method)) return;
    if (!passed) {
        const struct api_refusal refusal = {
            .status = 402,
            .code = "setup_intent_authentication_failure",
            .message = TEXT("The latest attempt to set up the payment method has failed because "
                            "authentication failed.")};
        try->payment_method_details = card_details(
            call, method, late ? AUTHENTICATION_ABANDONED : AUTHENTICATION_REJECTED, NO_TEXT);
        note_failure(call, si, try, method, &refusal);
        challenge_answer(call, challenge, NULL, si);
        return;
    }
    const bool possible = setup_step(si, SI_ON_AUTHENTICATED);
    assert(possible);
    (void)possible;
    struct row_attempt *attempt = verification(call, si, try->id, &notes);
    attempt->original = challenge->attempt;
    try->status = TEXT("processing");
    call_update(call, ROW_setup_attempt, try);
    call_update(call, ROW_setup_intent, si);
    call_begin_attempt(call, attempt, &(struct network_extras){NO_TEXT, NO_TEXT, NO_TEXT});
}

/* --- the network's answer -------------------------------------------------------------------- */

static void
end(struct setup *s, int status, struct text json)
{
    if (s->challenge)
        challenge_answer(s->call, s->challenge, NULL, s->si);
    else
        call_answer(s->call, status, json);
}

static void
show(struct setup *s)
{
    struct text json;
    const bool whole = render_row(s->call, ROW_setup_intent, s->si, s->call->expand,
                                  KNOWN({ROW_setup_intent, s->si}, {ROW_setup_attempt, s->try},
                                        {ROW_payment_method, s->method}),
                                  &json);
    (void)whole; /* what cannot be expanded now is an id */
    end(s, 200, json);
}

/* A check that was not made says nothing. */
static void
note_check(struct text *check, struct text answered)
{
    if (answered.at && !text_is(answered, "unchecked")) *check = answered;
}

static void
note_checks(struct setup *s)
{
    note_check(&s->method->cvc_check, s->answer->cvc_check);
    note_check(&s->method->postal_check, s->answer->postal_check);
    note_check(&s->method->line1_check, s->answer->line1_check);
    s->try->payment_method_details =
        card_details(s->call, s->method, s->answer->authentication, s->answer->authentication_id);
}

static void
verified(struct setup *s)
{
    const bool attached = s->method->customer.at != NULL;
    step(s->si, SI_ON_VERIFIED);
    s->si->last_setup_error = s->si->last_error_method = NO_TEXT;
    if (s->session) checkout_set_up(s->call, s->session, s->si);
    if (!attached && s->si->customer.at) s->method->customer = s->si->customer;
    if (text_is(s->si->usage, "off_session")) s->method->set_up = true;
    s->try->status = TEXT("succeeded");
    call_update(s->call, ROW_payment_method, s->method);
    call_update(s->call, ROW_setup_attempt, s->try);
    call_update(s->call, ROW_setup_intent, s->si);
    if (!attached && s->method->customer.at)
        tell(s->call, "payment_method.attached", ROW_payment_method, s->method, NULL);
    tell(s->call, "setup_intent.succeeded", ROW_setup_intent, s->si, NULL);
    if (s->session)
        tell(s->call, "checkout.session.completed", ROW_checkout_session, s->session, NULL);
    show(s);
}

static void
challenged(struct setup *s)
{
    step(s->si, SI_ON_CHALLENGED);
    s->si->last_setup_error = s->si->last_error_method = NO_TEXT;
    s->si->challenge = challenge_begin(s->call, s->attempt, &s->si->next_action)->id;
    s->try->status = TEXT("requires_action");
    call_update(s->call, ROW_payment_method, s->method);
    call_update(s->call, ROW_setup_attempt, s->try);
    call_update(s->call, ROW_setup_intent, s->si);
    tell(s->call, "setup_intent.requires_action", ROW_setup_intent, s->si, NULL);
    show(s);
}

static void
not_verified(struct setup *s)
{
    const struct decline *decline = s->answer->outcome == OUTCOME_DECLINED
                                        ? decline_named(s->answer->code)
                                        : &declines[DECLINE_PROCESSING_ERROR];
    struct api_refusal refusal = {.status = 402,
                                  .type = "card_error",
                                  .code = decline->code,
                                  .decline_code = decline->decline_code,
                                  .advice_code = decline->advice_code,
                                  .network_decline_code = decline->network_decline_code,
                                  .message = text_of(decline->message)};
    const struct known *known = KNOWN({ROW_payment_method, s->method});
    bool whole;
    call_update(s->call, ROW_payment_method, s->method);
    note_failure(s->call, s->si, s->try, s->method, &refusal);
    whole = render_row(s->call, ROW_setup_intent, s->si, NO_TEXT, known, &refusal.setup_intent);
    whole &=
        render_row(s->call, ROW_payment_method, s->method, NO_TEXT, known, &refusal.payment_method);
    (void)whole;
    end(s, 402, refusal_json(s->call, &refusal));
}

void
setup_finished(struct call *call, struct row_attempt *attempt,
               const struct msg_network_answer *answer)
{
    struct setup s = {call, attempt, answer, NULL, NULL, NULL, NULL, NULL};
    const struct text page = field_in(call, attempt->params, "challenge", NULL);

    /* First everything is read: what is missing leaves nothing half staged. */
    s.si = call_new_row(call, ROW_setup_intent);
    s.try = call_new_row(call, ROW_setup_attempt);
    s.method = call_new_row(call, ROW_payment_method);
    if (!call_get(call, ROW_setup_intent, attempt->setup_intent, s.si)) return;
    if (!call_get(call, ROW_setup_attempt, attempt->setup_attempt, s.try)) return;
    if (!call_get(call, ROW_payment_method, attempt->payment_method, s.method)) return;
    if (!checkout_waits(call, s.si->checkout_session, "open", &s.session)) return;
    if (page.at) {
        s.challenge = call_new_row(call, ROW_challenge);
        if (!call_get(call, ROW_challenge, page, s.challenge)) return;
    }
    attempt_close(call, attempt, answer);
    note_checks(&s);
    switch (answer->outcome) {
    case OUTCOME_APPROVED: verified(&s); return;
    case OUTCOME_CHALLENGED: challenged(&s); return;
    default: not_verified(&s); return;
    }
}
