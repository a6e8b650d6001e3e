/* What becomes of a hold: more of it, parts of it, its end. */
#include "fake_engine.h"

TestSuite(holds, .init = fake_start);

#define FORM                                                                                    \
    "amount=2000&currency=usd&confirm=true&payment_method_types[]=card&payment_method=pm_card_" \
    "visa"
#define MANUAL FORM "&capture_method=manual"
#define CARD "&payment_method_options[card]"
#define FLEXIBLE                                           \
    MANUAL CARD "[request_multicapture]=if_available" CARD \
                "[request_incremental_authorization]=if_available"

static struct text
held(const char *form)
{
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, form), 200));
    EXPECT_GOT("status", "requires_capture");
    (void)told();
    return got_id("id");
}

/* --- more ------------------------------------------------------------------------------------ */

Test(holds, more_is_held_and_all_of_it_can_be_captured)
{
    const struct text id = held(FLEXIBLE);
    cr_assert(eq(int,
                 request("payment_intent_increment", id,
                         "amount=2500&description=two nights&metadata[room]=7"
                         "&expand[]=latest_charge"),
                 200));
    EXPECT_GOT("status", "requires_capture");
    EXPECT_GOT("amount", "2500");
    EXPECT_GOT("amount_capturable", "2500");
    EXPECT_GOT("description", "two nights");
    EXPECT_GOT("metadata.room", "7");
    EXPECT_GOT("latest_charge.amount", "2500");
    EXPECT_GOT("latest_charge.payment_method_details.card.amount_authorized", "2500");
    EXPECT_GOT("latest_charge.payment_method_details.card.incremental_authorization.status",
               "available");
    EXPECT_GOT("latest_charge.payment_method_details.card.overcapture.maximum_amount_capturable",
               "2500");
    EXPECT_TOLD("charge.updated payment_intent.amount_capturable_updated");
    cr_expect(eq(i64, fake.accounts[AUTHORIZATIONS_HELD], 2500));
    cr_assert(eq(int, request("payment_intent_capture", id, "amount_to_capture=2400"), 200));
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("amount_received", "2400");
    cr_expect(zero(i64, fake.accounts[AUTHORIZATIONS_HELD]));
    cr_expect(eq(i64, fake.accounts[NETWORK_RECEIVABLE], 2400));
}

Test(holds, an_increment_is_refused_where_it_makes_no_sense)
{
    const struct text plain = held(MANUAL);
    cr_assert(eq(int, request("payment_intent_increment", plain, "amount=2500"), 400));
    cr_expect(strstr(got("error.message"), "does not support incremental") != NULL);
    const struct text id = held(FLEXIBLE);
    cr_assert(eq(int, request("payment_intent_increment", id, "amount=2000"), 400));
    EXPECT_GOT("error.param", "amount");
    cr_assert(eq(int, request("payment_intent_increment", id, "amount=99999999999"), 400));
    EXPECT_GOT("error.code", "amount_too_large");
    cr_assert(eq(int, request("payment_intent_cancel", id, ""), 200));
    cr_assert(eq(int, request("payment_intent_increment", id, "amount=2500"), 400));
    EXPECT_GOT("error.code", "payment_intent_unexpected_state");
    cr_expect(eq(i64, fake.accounts[AUTHORIZATIONS_HELD], 2000)); /* of the first */
}

Test(holds, an_increment_that_the_issuer_refuses_changes_nothing)
{
    const struct text id = held(FLEXIBLE);
    fake.outcome = OUTCOME_DECLINED;
    fake.decline = "insufficient_funds";
    cr_assert(eq(int, request("payment_intent_increment", id, "amount=2500&description=x"), 402));
    EXPECT_GOT("error.decline_code", "insufficient_funds");
    EXPECT_GOT("error.payment_intent.amount", "2000");
    EXPECT_GOT("error.payment_intent.description", "null");
    EXPECT_GOT("error.payment_intent.status", "requires_capture");
    EXPECT_TOLD("");
    cr_expect(eq(i64, fake.accounts[AUTHORIZATIONS_HELD], 2000));
}

Test(holds, a_hold_is_incremented_ten_times_and_no_more)
{
    const struct text id = held(FLEXIBLE);
    char form[32];
    for (int i = 1; i <= 10; i++) {
        snprintf(form, sizeof form, "amount=%d", 2000 + i);
        cr_assert(eq(int, request("payment_intent_increment", id, form), 200));
    }
    cr_expect(eq(int, request("payment_intent_increment", id, "amount=3000"), 400));
    cr_expect(eq(i64, fake.accounts[AUTHORIZATIONS_HELD], 2010));
    cr_assert(eq(int, request("payment_intent_cancel", id, ""), 200));
    cr_expect(zero(i64, fake.accounts[AUTHORIZATIONS_HELD]));
}

/* --- parts ----------------------------------------------------------------------------------- */

Test(holds, a_payment_is_captured_in_parts)
{
    const struct text id = held(FLEXIBLE);
    fake.recovered = true;
    cr_assert(eq(int,
                 request("payment_intent_capture", id,
                         "amount_to_capture=500&final_capture=false&expand[]=latest_charge"),
                 200));
    EXPECT_GOT("status", "requires_capture");
    EXPECT_GOT("amount_received", "500");
    EXPECT_GOT("amount_capturable", "1500");
    EXPECT_GOT("latest_charge.captured", "false");
    EXPECT_GOT("latest_charge.amount_captured", "500");
    EXPECT_GOT("latest_charge.amount_refunded", "0");
    EXPECT_TOLD("charge.captured payment_intent.amount_capturable_updated");
    cr_expect(eq(i64, fake.accounts[AUTHORIZATIONS_HELD], 1500));
    cr_expect(eq(i64, fake.accounts[NETWORK_RECEIVABLE], 500));

    cr_assert(eq(int, request("payment_intent_cancel", id, ""), 400));
    EXPECT_GOT("error.code", "payment_intent_unexpected_state");
    cr_assert(eq(int, request("payment_intent_increment", id, "amount=9000"), 400));
    cr_assert(
        eq(int, request("payment_intent_capture", id, "amount_to_capture=1501&final_capture=false"),
           400));
    EXPECT_GOT("error.code", "amount_too_large");

    cr_assert(eq(
        int, request("payment_intent_capture", id, "amount_to_capture=700&expand[]=latest_charge"),
        200));
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("amount_received", "1200");
    EXPECT_GOT("latest_charge.captured", "true");
    EXPECT_GOT("latest_charge.amount_captured", "1200");
    EXPECT_GOT("latest_charge.amount_refunded", "800");
    EXPECT_TOLD("charge.captured payment_intent.succeeded");
    cr_expect(zero(i64, fake.accounts[AUTHORIZATIONS_HELD]));
    cr_expect(eq(i64, fake.accounts[NETWORK_RECEIVABLE], 1200));
}

Test(holds, the_rest_after_parts_is_released_by_a_capture_of_nothing)
{
    const struct text id = held(FLEXIBLE);
    cr_assert(eq(int, request("payment_intent_capture", id, "amount_to_capture=0"), 400));
    cr_assert(eq(int,
                 request("payment_intent_capture", id, "amount_to_capture=500&final_capture=false"),
                 200));
    (void)told();
    cr_assert(eq(int, request("payment_intent_capture", id, "amount_to_capture=0"), 200));
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("amount_received", "500");
    EXPECT_GOT("amount_capturable", "0");
    EXPECT_TOLD("charge.captured payment_intent.succeeded");
    cr_expect(zero(i64, fake.accounts[AUTHORIZATIONS_HELD]));
}

Test(holds, a_part_that_is_all_of_it_is_the_last)
{
    const struct text id = held(FLEXIBLE);
    cr_assert(eq(int, request("payment_intent_capture", id, "final_capture=false"), 200));
    EXPECT_GOT("status", "succeeded");
}

Test(holds, parts_are_refused_unless_they_were_asked_for)
{
    const struct text id = held(MANUAL);
    cr_assert(eq(int,
                 request("payment_intent_capture", id, "amount_to_capture=500&final_capture=false"),
                 400));
    EXPECT_GOT("error.param", "final_capture");
}

/* --- the end --------------------------------------------------------------------------------- */

Test(holds, a_hold_that_runs_out_is_canceled)
{
    const struct text id = held(MANUAL);
    cr_expect(eq(int, (int)run_out(id), (int)SAID_REFUSAL));
    fake.now_ms += fake.worker.hold_s * 1000;
    cr_expect(eq(int, (int)run_out(id), (int)SAID_BEGIN));
    EXPECT_TOLD("charge.expired payment_intent.canceled");
    cr_assert(eq(int, request("payment_intent_retrieve", id, "expand[]=latest_charge"), 200));
    EXPECT_GOT("status", "canceled");
    EXPECT_GOT("cancellation_reason", "automatic");
    EXPECT_GOT("latest_charge.refunded", "true");
    cr_expect(zero(i64, fake.accounts[AUTHORIZATIONS_HELD]));
    cr_expect(eq(int, (int)run_out(id), (int)SAID_REFUSAL));
}

Test(holds, what_was_captured_of_a_hold_that_runs_out_stays)
{
    const struct text id = held(FLEXIBLE);
    cr_assert(eq(int,
                 request("payment_intent_capture", id, "amount_to_capture=500&final_capture=false"),
                 200));
    (void)told();
    fake.now_ms += fake.worker.hold_s * 1000;
    cr_expect(eq(int, (int)run_out(id), (int)SAID_BEGIN));
    EXPECT_TOLD("charge.expired payment_intent.succeeded");
    cr_assert(eq(int, request("payment_intent_retrieve", id, ""), 200));
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("amount_received", "500");
    cr_expect(zero(i64, fake.accounts[AUTHORIZATIONS_HELD]));
}

Test(holds, an_end_that_the_network_does_not_make_is_tried_again_later)
{
    const struct text id = held(MANUAL);
    fake.now_ms += fake.worker.hold_s * 1000;
    fake.outcome = OUTCOME_NEVER_SENT;
    cr_expect(eq(int, (int)run_out(id), (int)SAID_BEGIN));
    fake.outcome = 0;
    cr_expect(eq(int, (int)run_out(id), (int)SAID_REFUSAL));
    fake.now_ms += 3601 * 1000;
    cr_expect(eq(int, (int)run_out(id), (int)SAID_BEGIN));
    cr_assert(eq(int, request("payment_intent_retrieve", id, ""), 200));
    EXPECT_GOT("status", "canceled");
}

Test(holds, captured_money_is_held_no_longer)
{
    const struct text id = held(MANUAL);
    cr_assert(eq(int, request("payment_intent_capture", id, ""), 200));
    fake.now_ms += fake.worker.hold_s * 1000;
    cr_expect(eq(int, (int)run_out(id), (int)SAID_REFUSAL));
}

/* --- the other rules of payment intents ------------------------------------------------------- */

Test(holds, after_too_many_confirms_a_payment_is_canceled)
{
    cr_assert(eq(int,
                 request("payment_intent_create", NO_TEXT,
                         "amount=2000&currency=usd&payment_method_types[]=card"),
                 200));
    const struct text id = got_id("id");
    (void)told();
    for (int i = 1; i <= 50; i++) {
        cr_assert(
            eq(int,
               request("payment_intent_confirm", id, "payment_method=pm_card_visa_chargeDeclined"),
               402));
        EXPECT_GOT("error.payment_intent.status", i < 50 ? "requires_payment_method" : "canceled");
        EXPECT_TOLD(i < 50 ? "charge.failed payment_intent.payment_failed"
                           : "charge.failed payment_intent.payment_failed payment_intent.canceled");
    }
    EXPECT_GOT("error.payment_intent.cancellation_reason", "automatic");
    cr_assert(eq(int, request("payment_intent_confirm", id, "payment_method=pm_card_visa"), 400));
}

Test(holds, a_statement_is_written_in_letters)
{
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, FORM "&statement_descriptor=12345"),
                 400));
    EXPECT_GOT("error.param", "statement_descriptor");
    cr_assert(eq(int,
                 request("payment_intent_create", NO_TEXT, FORM "&statement_descriptor_suffix=a*b"),
                 400));
    EXPECT_GOT("error.param", "statement_descriptor_suffix");
    cr_assert(eq(int,
                 request("payment_intent_create", NO_TEXT, FORM "&statement_descriptor_suffix=A-1"),
                 200));
}

Test(holds, cards_cannot_be_left_out)
{
    cr_assert(eq(int,
                 request("payment_intent_create", NO_TEXT,
                         "amount=2000&currency=usd&excluded_payment_method_types[]=card"),
                 400));
    cr_assert(eq(int,
                 request("payment_intent_create", NO_TEXT,
                         "amount=2000&currency=usd&excluded_payment_method_types[]=klarna"
                         "&allowed_payment_method_types[]=card"),
                 200));
    EXPECT_GOT("excluded_payment_method_types", "[\"klarna\"]");
    EXPECT_GOT("allowed_payment_method_types", "[\"card\"]");
}

Test(holds, what_is_of_other_methods_than_cards_is_refused)
{
    const struct text id = held(MANUAL);
    cr_expect(eq(int, request("payment_intent_apply", id, ""), 400));
    EXPECT_GOT("error.code", "payment_intent_unexpected_state");
    cr_expect(eq(int, request("payment_intent_verify", id, ""), 400));
    cr_assert(eq(int, request("payment_intent_items", id, ""), 200));
    EXPECT_GOT("object", "list");
    EXPECT_GOT("data", "[]");
    cr_expect(eq(int, request("payment_intent_items", TEXT("pi_none"), ""), 404));
    cr_assert(eq(int, request("payment_intent_items", id, "ending_before=li_1"), 400));
    EXPECT_GOT("error.code", "resource_missing");
    EXPECT_GOT("error.param", "ending_before");
}

/* --- customers, searching and events -----------------------------------------------------------
 */

Test(holds, a_customer_has_a_limit_of_payment_methods)
{
    fake.worker.customer_methods_max = 2;
    cr_assert(eq(int, request("customer_create", NO_TEXT, "payment_method=pm_card_visa"), 200));
    char form[128];
    snprintf(form, sizeof form, "customer=%s", got("id"));
    cr_assert(eq(int, request("payment_method_attach", TEXT("pm_card_visa"), form), 200));
    cr_assert(eq(int, request("payment_method_attach", TEXT("pm_card_visa"), form), 400));
    EXPECT_GOT("error.code", "customer_max_payment_methods");
    char pay[320];
    snprintf(pay, sizeof pay, "%s&setup_future_usage=off_session&%s", FORM, form);
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, pay), 400));
    EXPECT_GOT("error.code", "customer_max_payment_methods");
}

Test(holds, a_search_has_pages)
{
    for (int i = 0; i < 3; i++)
        cr_assert(eq(int, request("customer_create", NO_TEXT, "email=a@example.com"), 200));
    cr_assert(
        eq(int, request("customer_search", NO_TEXT, "query=email:\"a@example.com\"&limit=2"), 200));
    EXPECT_GOT("object", "search_result");
    EXPECT_GOT("has_more", "true");
    EXPECT_GOT("url", "/v1/customers/search");
    char form[160];
    snprintf(form, sizeof form, "query=email:\"a@example.com\"&limit=2&page=%s", got("next_page"));
    cr_assert(eq(int, request("customer_search", NO_TEXT, form), 200));
    EXPECT_GOT("has_more", "false");
    EXPECT_GOT("next_page", "null");
    EXPECT_GOT("data.0.email", "a@example.com");
    cr_assert(eq(int, request("customer_search", NO_TEXT, "query=colour:\"red\""), 400));
    EXPECT_GOT("error.param", "query");
    cr_assert(eq(int, request("customer_search", NO_TEXT, "query=name:\"x\"&page=pi_1"), 400));
    EXPECT_GOT("error.param", "page");
    fake.store_is_away = true;
    cr_expect(eq(int, request("charge_search", NO_TEXT, "query=amount>1"), 503));
}

Test(holds, an_event_is_wished_once_more_for_an_endpoint)
{
    cr_assert(eq(
        int,
        request("webhook_endpoint_create", NO_TEXT, "url=https://example.com/&enabled_events[]=*"),
        200));
    const struct text endpoint = got_id("id");
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, FORM), 200));
    const struct text event = last_event()->id;
    char form[128];
    snprintf(form, sizeof form, "webhook_endpoint=%s", endpoint.at);
    cr_assert(eq(int, request("event_retry", event, form), 200));
    EXPECT_GOT("object", "event");
    cr_expect(eq(int, request("event_retry", TEXT("evt_none"), form), 404));
    cr_expect(eq(int, request("event_retry", event, "webhook_endpoint=we_none"), 400));
    EXPECT_GOT("error.code", "resource_missing");
    cr_assert(eq(int, request("webhook_endpoint_update", endpoint, "disabled=true"), 200));
    cr_expect(eq(int, request("event_retry", event, form), 400));
    fake.now_ms += INT64_C(31) * 86400 * 1000;
    cr_expect(eq(int, request("event_retrieve", event, ""), 404));
    cr_assert(eq(int, request("event_list", NO_TEXT, ""), 200));
    EXPECT_GOT("data", "[]");
}
