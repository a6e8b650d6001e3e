/* payments: from the request of a client to what is durable and told, without a process beside us.
 */
#include "fake_engine.h"

TestSuite(payments, .init = fake_start);

#define FORM_NOW "amount=2000&currency=usd&confirm=true&payment_method_types[]=card&payment_method="

static struct text
paid(void)
{
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, FORM_NOW "pm_card_visa"), 200));
    return got_id("id");
}

static struct text
held(void)
{
    cr_assert(
        eq(int,
           request("payment_intent_create", NO_TEXT, FORM_NOW "pm_card_visa&capture_method=manual"),
           200));
    (void)told();
    return got_id("id");
}

Test(payments, one_request_makes_a_payment)
{
    paid();
    EXPECT_GOT("object", "payment_intent");
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("amount", "2000");
    EXPECT_GOT("amount_received", "2000");
    EXPECT_GOT("amount_capturable", "0");
    EXPECT_GOT("capture_method", "automatic_async");
    EXPECT_GOT("last_payment_error", "null");
    EXPECT_GOT("automatic_payment_methods", "null");
    EXPECT_TOLD("payment_intent.created charge.succeeded payment_intent.succeeded charge.updated");
    /* 2.9 % and 30: 88. */
    cr_expect(eq(i64, fake.accounts[NETWORK_RECEIVABLE], 2000));
    cr_expect(eq(i64, fake.accounts[MERCHANT_PENDING], -1912));
    cr_expect(eq(i64, fake.accounts[FEES_EARNED], -88));
    cr_expect(zero(i64, fake.accounts[MERCHANT_AVAILABLE]));
}

Test(payments, what_is_told_first_is_how_it_stood_before_the_network_was_asked)
{
    paid();
    fake.body = fake.events[0].data;
    EXPECT_GOT("status", "requires_confirmation");
    EXPECT_GOT("latest_charge", "null");
}

Test(payments, a_payment_made_at_once_is_its_attempts_alone_until_that_is_over)
{
    for (int recovered = 0; recovered < 2; recovered++) {
        const size_t kept = fake.kept_count, events = fake.event_count;
        fake.left_open = true;
        fake.recovered = recovered;
        request("payment_intent_create", NO_TEXT, FORM_NOW "pm_card_visa");
        cr_expect(eq(sz, fake.kept_count, kept + 1));
        cr_expect(eq(sz, fake.event_count, events));
        const struct row_attempt *attempt = (const void *)fake.kept[kept].row;
        cr_expect(text_equal(attempt->id, fake.open));
        const struct text pi = attempt->payment_intent;
        cr_expect(eq(int, request("payment_intent_retrieve", pi, ""), 404));
        cr_expect(eq(int, request("payment_intent_cancel", pi, ""), 404));

        fake.left_open = false;
        fake_finish(fake.open);
        EXPECT_TOLD(
            "payment_intent.created charge.succeeded payment_intent.succeeded charge.updated");
        cr_expect_null((void *)attempt->staged.at);
        cr_assert(eq(int, request("payment_intent_retrieve", pi, "expand[]=payment_method"), 200));
        EXPECT_GOT("status", "succeeded");
        EXPECT_GOT("payment_method.card.last4", "4242");
        const struct kept *row = fake_find(ROW_payment_intent, pi);
        cr_expect(eq(i64, row_version(row->row), 1));
        cr_expect(
            eq(i64, ((const struct row_payment_intent *)(const void *)row->row)->confirms, 1));
    }
}

/* A database of before: the first commit had written the payment itself. */
Test(payments, an_attempt_that_bears_nothing_ends_as_ever)
{
    struct text id;
    cr_assert(eq(int,
                 request("payment_intent_create", NO_TEXT,
                         "amount=2000&currency=usd&payment_method_types[]=card"
                         "&payment_method=pm_card_visa"),
                 200));
    id = got_id("id");
    fake.left_open = true;
    request("payment_intent_confirm", id, "");
    cr_expect_null(
        (void *)((const struct row_attempt *)(const void *)fake_find(ROW_attempt, fake.open)->row)
            ->staged.at);
    fake.left_open = false;
    fake_finish(fake.open);
    EXPECT_GOT("status", "succeeded");
    cr_expect(eq(str, (char *)got("id"), (char *)id.at));
}

Test(payments, the_answer_shows_what_was_to_be_expanded)
{
    cr_assert(eq(int,
                 request("payment_intent_create", NO_TEXT,
                         FORM_NOW "pm_card_visa&expand[]=latest_charge.balance_transaction"
                                  "&expand[]=payment_method"),
                 200));
    EXPECT_GOT("payment_method.card.last4", "4242");
    EXPECT_GOT("latest_charge.outcome.network_status", "approved_by_network");
    EXPECT_GOT("latest_charge.payment_method_details.card.authorization_code", "A1B2C3");
    EXPECT_GOT("latest_charge.balance_transaction.fee", "88");
    EXPECT_GOT("latest_charge.balance_transaction.net", "1912");
    EXPECT_GOT("latest_charge.balance_transaction.status", "pending");
    EXPECT_GOT("latest_charge.captured", "true");
}

Test(payments, a_worker_that_takes_an_attempt_over_makes_the_same_answer)
{
    fake.recovered = true;
    cr_assert(eq(int,
                 request("payment_intent_create", NO_TEXT,
                         FORM_NOW "pm_card_visa&expand[]=latest_charge&metadata[order]=7"),
                 200));
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("latest_charge.metadata.order", "7");
    EXPECT_GOT("livemode", "false");
}

Test(payments, step_by_step_each_state_is_the_documented_one)
{
    cr_assert(eq(int,
                 request("payment_intent_create", NO_TEXT,
                         "amount=1099&currency=USD&automatic_payment_methods[enabled]=true&"
                         "automatic_payment_methods[allow_redirects]=never"),
                 200));
    const struct text id = got_id("id");
    EXPECT_GOT("status", "requires_payment_method");
    EXPECT_GOT("currency", "usd");
    EXPECT_GOT("payment_method_options.card.request_three_d_secure", "automatic");
    EXPECT_TOLD("payment_intent.created");
    cr_assert(eq(int, request("payment_intent_update", id, "payment_method=pm_card_visa"), 200));
    EXPECT_GOT("status", "requires_confirmation");
    cr_assert(eq(int, request("payment_intent_update", id, "payment_method="), 200));
    EXPECT_GOT("status", "requires_payment_method");
    cr_assert(eq(int, request("payment_intent_confirm", id, ""), 400));
    EXPECT_GOT("error.code", "payment_intent_unexpected_state");
    EXPECT_GOT("error.payment_intent.status", "requires_payment_method");
    EXPECT_TOLD("");
    cr_assert(eq(int, request("payment_intent_confirm", id, "payment_method=pm_card_visa"), 200));
    EXPECT_GOT("status", "succeeded");
    EXPECT_TOLD("charge.succeeded payment_intent.succeeded charge.updated");
    cr_assert(eq(int, request("payment_intent_confirm", id, "payment_method=pm_card_visa"), 400));
    EXPECT_GOT("error.message", "You cannot confirm this PaymentIntent because it has already "
                                "succeeded after being previously confirmed.");
}

Test(payments, a_decline_is_told_with_its_code_and_leaves_the_payment_open)
{
    cr_assert(eq(int,
                 request("payment_intent_create", NO_TEXT,
                         FORM_NOW "pm_card_visa_chargeDeclinedInsufficientFunds"),
                 402));
    EXPECT_GOT("error.type", "card_error");
    EXPECT_GOT("error.code", "card_declined");
    EXPECT_GOT("error.decline_code", "insufficient_funds");
    EXPECT_GOT("error.message", "Your card has insufficient funds.");
    EXPECT_GOT("error.doc_url", "https://stripe.com/docs/error-codes/card-declined");
    EXPECT_GOT("error.payment_intent.status", "requires_payment_method");
    EXPECT_GOT("error.payment_intent.payment_method", "null");
    EXPECT_GOT("error.payment_intent.last_payment_error.decline_code", "insufficient_funds");
    EXPECT_GOT("error.payment_intent.last_payment_error.payment_method.card.last4", "9995");
    EXPECT_GOT("error.payment_method.card.last4", "9995");
    EXPECT_TOLD("payment_intent.created charge.failed payment_intent.payment_failed");
    const struct text id = got_id("error.payment_intent.id");
    const struct text charge = got_id("error.charge");
    for (int account = 0; account < 8; account++)
        cr_expect(zero(i64, fake.accounts[account]));

    cr_assert(eq(int, request("charge_retrieve", charge, ""), 200));
    EXPECT_GOT("status", "failed");
    EXPECT_GOT("paid", "false");
    EXPECT_GOT("failure_code", "card_declined");
    EXPECT_GOT("outcome.type", "issuer_declined");
    EXPECT_GOT("outcome.reason", "insufficient_funds");
    EXPECT_GOT("outcome.seller_message",
               "The bank returned the decline code `insufficient_funds`.");

    cr_assert(eq(int, request("payment_intent_confirm", id, "payment_method=pm_card_visa"), 200));
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("last_payment_error", "null");
}

Test(payments, what_was_undone_or_never_left_is_told_as_a_processing_error)
{
    const uint64_t outcomes[] = {OUTCOME_REVERSED, OUTCOME_NEVER_SENT};
    const char *const statuses[] = {"reversed_after_approval", "not_sent_to_network"};
    for (int i = 0; i < 2; i++) {
        fake.outcome = outcomes[i];
        cr_assert(eq(int, request("payment_intent_create", NO_TEXT, FORM_NOW "pm_card_visa"), 402));
        EXPECT_GOT("error.code", "processing_error");
        EXPECT_GOT("error.payment_intent.status", "requires_payment_method");
        EXPECT_TOLD("payment_intent.created charge.failed payment_intent.payment_failed");
        cr_assert(eq(int, request("charge_retrieve", got_id("error.charge"), ""), 200));
        EXPECT_GOT("outcome.network_status", statuses[i]);
        EXPECT_GOT("status", "failed");
    }
    for (int account = 0; account < 8; account++)
        cr_expect(zero(i64, fake.accounts[account]));
}

Test(payments, what_is_held_is_captured_in_part_and_the_rest_released)
{
    const struct text id = held();
    EXPECT_GOT("status", "requires_capture");
    EXPECT_GOT("amount_capturable", "2000");
    EXPECT_GOT("amount_received", "0");
    cr_expect(eq(i64, fake.accounts[AUTHORIZATIONS_HELD], 2000));
    cr_expect(zero(i64, fake.accounts[NETWORK_RECEIVABLE]));
    cr_assert(eq(int, request("payment_intent_capture", id, "amount_to_capture=2001"), 400));
    EXPECT_GOT("error.code", "amount_too_large");
    EXPECT_GOT("error.param", "amount_to_capture");
    cr_assert(eq(
        int, request("payment_intent_capture", id, "amount_to_capture=700&expand[]=latest_charge"),
        200));
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("amount", "2000");
    EXPECT_GOT("amount_received", "700");
    EXPECT_GOT("amount_capturable", "0");
    EXPECT_GOT("latest_charge.amount_captured", "700");
    EXPECT_GOT("latest_charge.amount_refunded", "1300");
    EXPECT_GOT("latest_charge.refunded", "false");
    EXPECT_TOLD("charge.captured payment_intent.succeeded");
    cr_expect(zero(i64, fake.accounts[AUTHORIZATIONS_HELD]));
    cr_expect(eq(i64, fake.accounts[NETWORK_RECEIVABLE], 700));
    cr_expect(eq(i64, fake.accounts[FEES_EARNED], -50));
    cr_assert(eq(int, request("payment_intent_capture", id, ""), 400));
    EXPECT_GOT("error.message",
               "This PaymentIntent could not be captured because it has a status of succeeded. "
               "Only a PaymentIntent with a status of requires_capture may be captured.");
}

Test(payments, a_hold_is_told_as_such)
{
    cr_assert(eq(int,
                 request("payment_intent_create", NO_TEXT,
                         FORM_NOW "pm_card_visa&payment_method_options[card][capture_method]="
                                  "manual&expand[]=latest_charge"),
                 200));
    EXPECT_TOLD("payment_intent.created charge.succeeded payment_intent.amount_capturable_updated");
    EXPECT_GOT("latest_charge.captured", "false");
    EXPECT_GOT("latest_charge.paid", "true");
    EXPECT_GOT("latest_charge.balance_transaction", "null");
}

Test(payments, a_charge_is_captured_by_its_own_route_and_shown)
{
    held();
    const struct text charge = got_id("latest_charge");
    fake.recovered = true;
    cr_assert(
        eq(int, request("charge_capture", charge, "statement_descriptor_suffix=ORDER7"), 200));
    EXPECT_GOT("object", "charge");
    EXPECT_GOT("captured", "true");
    EXPECT_GOT("statement_descriptor_suffix", "ORDER7");
    cr_assert(eq(int, request("charge_capture", charge, ""), 400));
    EXPECT_GOT("error.code", "charge_already_captured");
}

Test(payments, canceling_releases_what_is_held)
{
    const struct text id = held();
    const struct text charge = got_id("latest_charge");
    cr_assert(eq(int, request("payment_intent_cancel", id, "cancellation_reason=duplicate"), 200));
    EXPECT_GOT("status", "canceled");
    EXPECT_GOT("cancellation_reason", "duplicate");
    EXPECT_GOT("amount_capturable", "0");
    cr_expect(ne(str, (char *)got("canceled_at"), "null"));
    EXPECT_TOLD("charge.refunded payment_intent.canceled");
    cr_expect(zero(i64, fake.accounts[AUTHORIZATIONS_HELD]));
    cr_expect(zero(i64, fake.accounts[AUTHORIZATIONS_OWED]));
    cr_assert(eq(int, request("charge_retrieve", charge, ""), 200));
    EXPECT_GOT("refunded", "true");
    EXPECT_GOT("captured", "false");
    cr_assert(eq(int, request("payment_intent_cancel", id, ""), 400));
    EXPECT_GOT("error.message",
               "You cannot cancel this PaymentIntent because it has a status of canceled. Only a "
               "PaymentIntent with one of the following statuses may be canceled: "
               "requires_payment_method, requires_capture, requires_confirmation, requires_action, "
               "processing.");
}

Test(payments, what_was_never_asked_for_is_canceled_at_once)
{
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, "amount=2000&currency=usd"), 200));
    cr_assert(eq(int, request("payment_intent_cancel", got_id("id"), ""), 200));
    EXPECT_GOT("status", "canceled");
    EXPECT_TOLD("payment_intent.created payment_intent.canceled");
}

Test(payments, a_capture_or_void_that_the_network_did_not_do_changes_nothing)
{
    static const struct {
        const char *route;
        uint64_t outcome;
        const char *code;
    } rows[] = {
        {"payment_intent_capture", OUTCOME_NEVER_SENT, "processing_error"},
        {"payment_intent_capture", OUTCOME_REVERSED, "processing_error"},
        {"payment_intent_capture", OUTCOME_DECLINED, "card_declined"},
        {"payment_intent_cancel", OUTCOME_NEVER_SENT, "processing_error"},
        {"payment_intent_cancel", OUTCOME_DECLINED, "card_declined"},
    };
    const struct text id = held();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fake.outcome = rows[i].outcome;
        cr_assert(eq(int, request(rows[i].route, id, ""), 402));
        EXPECT_GOT("error.code", rows[i].code);
        EXPECT_GOT("error.payment_intent.status", "requires_capture");
        EXPECT_GOT("error.payment_intent.amount_capturable", "2000");
        EXPECT_TOLD("");
    }
    fake.outcome = 0;
    cr_expect(eq(i64, fake.accounts[AUTHORIZATIONS_HELD], 2000));
    cr_assert(eq(int, request("payment_intent_capture", id, ""), 200));
    EXPECT_GOT("status", "succeeded");
}

Test(payments, while_an_attempt_is_open_every_other_step_is_told_to_wait)
{
    const struct text id = held();
    struct row_payment_intent *pi = (void *)fake_find(ROW_payment_intent, id)->row;
    pi->attempt = TEXT("att_open");
    const char *const routes_[] = {"payment_intent_confirm", "payment_intent_capture",
                                   "payment_intent_cancel"};
    char forgotten[96];
    snprintf(forgotten, sizeof forgotten, "payment_intent %.*s", (int)id.size, id.at);
    for (size_t i = 0; i < 3; i++) {
        fake.forgotten[0] = 0;
        cr_expect(eq(int, request(routes_[i], id, ""), 429));
        EXPECT_GOT("error.code", "lock_timeout");
        cr_expect(fake.retry && !fake.began);
        /* no commit would tell a worker that is wrong about it */
        cr_expect(eq(str, fake.forgotten, forgotten));
    }
}

Test(payments, a_card_whose_feature_is_not_here_yet_is_refused_before_anything_happens)
{
    cr_assert(
        eq(int, request("payment_intent_create", NO_TEXT, FORM_NOW "pm_card_createDispute"), 400));
    EXPECT_GOT("error.type", "invalid_request_error");
    cr_expect(zero(sz, fake.kept_count));
    EXPECT_TOLD("");
}

Test(payments, amounts_that_cannot_be_charged_are_refused)
{
    cr_expect(eq(int, request("payment_intent_create", NO_TEXT, "amount=49&currency=usd"), 400));
    EXPECT_GOT("error.code", "amount_too_small");
    EXPECT_GOT("error.message", "Amount must be at least $0.50 usd");
    EXPECT_GOT("error.param", "amount");
    cr_expect(
        eq(int, request("payment_intent_create", NO_TEXT, "amount=100000000&currency=usd"), 400));
    EXPECT_GOT("error.code", "amount_too_large");
    EXPECT_GOT("error.message", "Amount must be no more than $999,999.99");
    cr_expect(eq(int, request("payment_intent_create", NO_TEXT, "amount=12345&currency=kwd"), 400));
    cr_expect(eq(int, request("payment_intent_create", NO_TEXT, "amount=50&currency=usd"), 200));
    cr_expect(
        eq(int, request("payment_intent_create", NO_TEXT, "amount=99999999&currency=usd"), 200));
}

Test(payments, things_that_do_not_go_together_are_refused_by_name)
{
    static const struct {
        const char *form, *param;
    } rows[] = {
        {"amount=99&currency=usd&off_session=true", "off_session"},
        {"amount=99&currency=usd&return_url=https://a.example/", "return_url"},
        {"amount=99&currency=usd&automatic_payment_methods[enabled]=true&payment_method_types[]="
         "card",
         "payment_method_types"},
        {"amount=99&currency=usd&customer=cus_missing", "customer"},
        {"amount=99&currency=usd&payment_method=pm_missing", "payment_method"},
        {"amount=99&currency=usd&confirm=true&payment_method=pm_card_visa", "return_url"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect(eq(int, request("payment_intent_create", NO_TEXT, rows[i].form), 400), "%s",
                  rows[i].form);
        EXPECT_GOT("error.param", rows[i].param);
    }
    cr_expect(zero(sz, fake.kept_count));
    cr_expect(eq(int,
                 request("payment_intent_create", NO_TEXT, "amount=99&currency=usd&confirm=true"),
                 400));
    EXPECT_GOT("error.code", "payment_intent_unexpected_state");
    EXPECT_GOT("error.payment_intent", "(absent)");
}

Test(payments, an_older_version_gets_the_defaults_of_its_day)
{
    fake.api_version = "2022-11-15";
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, FORM_NOW "pm_card_visa"), 200));
    EXPECT_GOT("capture_method", "automatic");
    cr_assert(eq(int,
                 request("payment_intent_create", NO_TEXT,
                         "amount=99&currency=usd&confirm=true&payment_method=pm_card_visa"),
                 200));
    EXPECT_GOT("automatic_payment_methods", "null");
}

Test(payments, a_method_without_a_customer_pays_once)
{
    cr_assert(
        eq(int, request("payment_method_create", NO_TEXT, "type=card&card[token]=tok_visa"), 200));
    const struct text method = got_id("id");
    const char *form = arena_format(fake.durable, FORM_NOW "%.*s", (int)method.size, method.at).at;
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, form), 200));
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, form), 400));
    cr_expect(strstr(got("error.message"), "It may not be used again.") != NULL);
    EXPECT_GOT("error.param", "payment_method");
}

Test(payments, a_method_that_was_declined_may_be_tried_again)
{
    cr_assert(
        eq(int, request("payment_method_create", NO_TEXT, "type=card&card[token]=tok_visa"), 200));
    const struct text method = got_id("id");
    const char *form = arena_format(fake.durable, FORM_NOW "%.*s", (int)method.size, method.at).at;
    fake.outcome = OUTCOME_DECLINED;
    fake.decline = "do_not_honor";
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, form), 402));
    EXPECT_GOT("error.decline_code", "do_not_honor");
    fake.outcome = 0;
    fake.decline = NULL;
    cr_expect(eq(int, request("payment_intent_create", NO_TEXT, form), 200));
}

Test(payments, a_security_code_goes_to_the_network_once_and_its_check_is_noted)
{
    cr_assert(eq(int,
                 request("payment_method_create", NO_TEXT,
                         "type=card&card[token]=tok_visa_cvc&"
                         "billing_details[address][postal_code]=94107"),
                 200));
    EXPECT_GOT("card.checks.cvc_check", "unchecked");
    const struct text method = got_id("id");
    const char *form = arena_format(fake.durable, FORM_NOW "%.*s&expand[]=latest_charge",
                                    (int)method.size, method.at)
                           .at;
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, form), 200));
    EXPECT_GOT("latest_charge.payment_method_details.card.checks.cvc_check", "pass");
    EXPECT_GOT("latest_charge.billing_details.address.postal_code", "94107");
    cr_expect(text_is(fake.asked_cvc, "cvc_12345678"));
    cr_expect(text_is(fake.asked_postal_code, "94107"));
    const struct row_payment_method *row = (void *)fake_find(ROW_payment_method, method)->row;
    cr_expect(row->cvc.at == NULL);
    cr_assert(eq(int, request("payment_method_retrieve", method, ""), 200));
    EXPECT_GOT("card.checks.cvc_check", "pass");
}

Test(payments, a_method_that_is_to_be_used_again_is_attached_when_the_payment_succeeds)
{
    cr_assert(eq(int, request("customer_create", NO_TEXT, "email=jenny@example.com"), 200));
    const struct text customer = got_id("id");
    (void)told();
    const char *form = arena_format(fake.durable,
                                    FORM_NOW "pm_card_visa&setup_future_usage=off_session&"
                                             "customer=%.*s&expand[]=payment_method",
                                    (int)customer.size, customer.at)
                           .at;
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, form), 200));
    cr_expect(text_equal(got_id("payment_method.customer"), customer));
    EXPECT_TOLD("payment_intent.created payment_method.attached charge.succeeded "
                "payment_intent.succeeded charge.updated");
    const struct text method = got_id("payment_method.id");
    form = arena_format(fake.durable, FORM_NOW "%.*s&off_session=true&customer=%.*s",
                        (int)method.size, method.at, (int)customer.size, customer.at)
               .at;
    cr_expect(eq(int, request("payment_intent_create", NO_TEXT, form), 200));
    form = arena_format(fake.durable, FORM_NOW "%.*s", (int)method.size, method.at).at;
    cr_expect(eq(int, request("payment_intent_create", NO_TEXT, form), 400));
}

Test(payments, a_page_in_a_browser_needs_the_secret_and_sees_less)
{
    cr_assert(eq(int,
                 request("payment_intent_create", NO_TEXT,
                         "amount=2000&currency=usd&payment_method_types[]=card&metadata[a]=b"),
                 200));
    const struct text id = got_id("id"), secret = got_id("client_secret");
    fake.publishable = true;
    cr_expect(eq(int, request("payment_intent_retrieve", id, ""), 400));
    EXPECT_GOT("error.param", "client_secret");
    cr_expect(eq(int, request("payment_intent_retrieve", id, "client_secret=pi_x_secret_y"), 400));
    const char *form = arena_format(fake.durable, "client_secret=%.*s&payment_method=pm_card_visa",
                                    (int)secret.size, secret.at)
                           .at;
    (void)told();
    cr_assert(eq(int, request("payment_intent_confirm", id, form), 200));
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("metadata", "(absent)");
    EXPECT_GOT("latest_charge", "(absent)");
    /* What is told is not limited to what the page may see. */
    fake.body = last_event()->data;
    EXPECT_GOT("metadata.a", "b");
}

Test(payments, once_asked_only_notes_may_be_changed)
{
    const struct text id = paid();
    cr_expect(eq(int, request("payment_intent_update", id, "amount=3000"), 400));
    EXPECT_GOT("error.code", "payment_intent_unexpected_state");
    cr_expect(
        eq(int, request("payment_intent_update", id, "description=Order 7&metadata[a]=b"), 200));
    EXPECT_GOT("description", "Order 7");
    EXPECT_GOT("metadata.a", "b");
    cr_expect(eq(int, request("payment_intent_update", id, "metadata="), 200));
    EXPECT_GOT("metadata", "{}");
}

Test(payments, funds_of_a_bypassing_card_are_available_at_once)
{
    cr_assert(eq(int,
                 request("payment_intent_create", NO_TEXT,
                         FORM_NOW "pm_card_bypassPending&expand[]="
                                  "latest_charge.balance_transaction"),
                 200));
    EXPECT_GOT("latest_charge.balance_transaction.status", "available");
    cr_expect(eq(i64, fake.accounts[MERCHANT_AVAILABLE], -1912));
    cr_expect(zero(i64, fake.accounts[MERCHANT_PENDING]));
    cr_assert(eq(int, request("balance_retrieve", NO_TEXT, ""), 200));
    EXPECT_GOT("available.0.amount", "1912");
    EXPECT_GOT("pending.0.amount", "0");
}

Test(payments, a_capture_that_the_fee_eats_leaves_nothing_to_be_settled)
{
    const struct text id = held();
    cr_assert(eq(int,
                 request("payment_intent_capture", id,
                         "amount_to_capture=20&expand[]=latest_charge.balance_transaction"),
                 200));
    EXPECT_GOT("latest_charge.balance_transaction.net", "0");
    EXPECT_GOT("latest_charge.balance_transaction.status", "available");
    cr_expect(eq(i64, fake.accounts[FEES_EARNED], -20));
    cr_expect(zero(i64, fake.accounts[MERCHANT_PENDING]));
}

/* --- refunds --------------------------------------------------------------------------------- */

static int
refund(struct text pi, const char *more)
{
    return request(
        "refund_create", NO_TEXT,
        arena_format(fake.durable, "payment_intent=%.*s%s", (int)pi.size, pi.at, more).at);
}

Test(payments, a_payment_is_refunded_in_parts_until_nothing_is_left)
{
    const struct text id = paid();
    const struct text charge = got_id("latest_charge");
    (void)told();
    cr_assert(eq(int, refund(id, "&amount=1300&reason=requested_by_customer"), 200));
    EXPECT_GOT("object", "refund");
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("amount", "1300");
    EXPECT_GOT("reason", "requested_by_customer");
    EXPECT_TOLD("refund.created charge.refunded");
    cr_expect(eq(i64, fake.accounts[REFUNDS], -1300));
    cr_expect(eq(i64, fake.accounts[MERCHANT_PENDING], -612));
    cr_assert(eq(int, refund(id, "&amount=1000"), 400));
    EXPECT_GOT("error.message", "Refund amount ($10.00) is greater than unrefunded amount on "
                                "charge ($7.00)");
    EXPECT_GOT("error.param", "amount");
    EXPECT_GOT("error.code", "(absent)");
    fake.recovered = true;
    cr_assert(eq(int, refund(id, "&expand[]=charge.refunds&expand[]=balance_transaction"), 200));
    EXPECT_GOT("amount", "700");
    EXPECT_GOT("charge.refunded", "true");
    EXPECT_GOT("charge.amount_refunded", "2000");
    EXPECT_GOT("charge.refunds.data.0.amount", "700");
    EXPECT_GOT("charge.refunds.data.1.amount", "1300");
    EXPECT_GOT("balance_transaction.amount", "-700");
    EXPECT_GOT("balance_transaction.type", "refund");
    cr_assert(eq(int, refund(id, ""), 400));
    EXPECT_GOT("error.code", "charge_already_refunded");
    cr_expect(strstr(got("error.message"), "has already been refunded.") != NULL);
    cr_assert(eq(int, request("charge_refund_list", charge, ""), 200));
    EXPECT_GOT(
        "url",
        arena_format(fake.durable, "/v1/charges/%.*s/refunds", (int)charge.size, charge.at).at);
    EXPECT_GOT("data.1.amount", "1300");
}

Test(payments, a_refund_comes_out_of_where_the_money_is_by_then)
{
    const struct text id = paid();
    fake.now_ms += fake.worker.settlement_delay_s * 1000;
    cr_assert(eq(int, refund(id, "&expand[]=balance_transaction"), 200));
    EXPECT_GOT("balance_transaction.status", "available");
    cr_expect(eq(i64, fake.accounts[MERCHANT_AVAILABLE], 2000));
    cr_expect(eq(i64, fake.accounts[MERCHANT_PENDING], -1912));
}

Test(payments, a_refund_that_the_network_did_not_do_leaves_its_money_to_be_refunded)
{
    static const struct {
        uint64_t outcome;
        const char *reason;
    } rows[] = {{OUTCOME_DECLINED, "declined"},
                {OUTCOME_REVERSED, "unknown"},
                {OUTCOME_NEVER_SENT, "unknown"}};
    const struct text id = paid();
    (void)told();
    for (size_t i = 0; i < 3; i++) {
        fake.outcome = rows[i].outcome;
        cr_assert(eq(int, refund(id, ""), 200));
        EXPECT_GOT("status", "failed");
        EXPECT_GOT("failure_reason", rows[i].reason);
        EXPECT_GOT("balance_transaction", "null");
        EXPECT_TOLD("refund.created refund.failed");
    }
    fake.outcome = 0;
    cr_expect(zero(i64, fake.accounts[REFUNDS]));
    cr_assert(eq(int, refund(id, ""), 200));
    EXPECT_GOT("amount", "2000");
}

Test(payments, what_is_only_held_is_not_refunded)
{
    const struct text id = held();
    cr_expect(eq(int, refund(id, "&amount=10"), 400));
    EXPECT_GOT("error.message",
               "You cannot partially refund an uncaptured charge. Instead, capture the charge for "
               "an amount less than the original amount");
    cr_expect(eq(int, refund(id, ""), 400));
    EXPECT_GOT("error.code", "charge_not_refundable");
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, "amount=99&currency=usd"), 200));
    cr_expect(eq(int, refund(got_id("id"), ""), 400));
    cr_expect(eq(int, request("refund_create", NO_TEXT, "amount=10"), 400));
}

Test(payments, the_rest_of_a_capture_in_part_is_not_refunded_twice)
{
    const struct text id = held();
    cr_assert(eq(int, request("payment_intent_capture", id, "amount_to_capture=500"), 200));
    cr_expect(eq(int, refund(id, "&amount=501"), 400));
    cr_assert(eq(int, refund(id, "&expand[]=charge"), 200));
    EXPECT_GOT("amount", "500");
    EXPECT_GOT("charge.refunded", "true");
}

Test(payments, notes_on_refunds_and_charges_are_told_with_what_they_were)
{
    const struct text id = paid();
    const struct text charge = got_id("latest_charge");
    cr_assert(eq(int, refund(id, "&metadata[a]=1&metadata[b]=2"), 200));
    const struct text re = got_id("id");
    (void)told();
    cr_assert(eq(int, request("refund_update", re, "metadata[a]=&metadata[c]=3"), 200));
    EXPECT_GOT("metadata", "{\"b\":\"2\",\"c\":\"3\"}");
    EXPECT_TOLD("refund.updated charge.refund.updated");
    cr_expect(text_is(last_event()->previous, "{\"metadata\":{\"a\":\"1\",\"c\":null}}"));
    cr_assert(
        eq(int, request("charge_update", charge, "description=new&fraud_details[user_report]=safe"),
           200));
    EXPECT_GOT("fraud_details.user_report", "safe");
    EXPECT_TOLD("charge.updated");
    cr_expect(text_is(json_find(last_event()->previous, "description"), "null"));
    /* Nothing changed: nothing is told. */
    cr_assert(eq(int, request("charge_update", charge, "description=new"), 200));
    EXPECT_TOLD("");
}
