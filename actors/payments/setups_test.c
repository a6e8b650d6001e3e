/* setups: cards that are made ready for later payments. */
#include "fake_engine.h"

TestSuite(setups, .init = fake_start);

#define NOW "confirm=true&payment_method_types[]=card&payment_method=pm_card_"

static struct text
new_customer(void)
{
    cr_assert(eq(int, request("customer_create", NO_TEXT, "name=Ada"), 200));
    (void)told();
    return arena_copy(fake.durable, got_id("id"));
}

static const char *
with_customer(const char *form, struct text customer)
{
    return arena_format(fake.durable, "%s&customer=%.*s", form, (int)customer.size, customer.at).at;
}

/* The page's form and the challenge's id, from the last answer's next_action. */
static int
answer_challenge(const char *decision)
{
    const char *url = got("next_action.redirect_to_url.url");
    const char *at = strstr(url, "/3ds/") + strlen("/3ds/");
    const size_t size = strcspn(at, "?");
    return request("challenge_complete", (struct text){at, size},
                   arena_format(fake.durable, "%s&decision=%s", at + size + 1, decision).at);
}

Test(setups, a_card_is_set_up_at_once_and_becomes_its_customers)
{
    const struct text customer = new_customer();
    cr_assert(
        eq(int,
           request("setup_intent_create", NO_TEXT,
                   with_customer(NOW "visa_cvc&expand[]=payment_method&expand[]=latest_attempt",
                                 customer)),
           200));
    EXPECT_GOT("object", "setup_intent");
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("usage", "off_session");
    EXPECT_GOT("next_action", "null");
    EXPECT_GOT("payment_method.customer", customer.at);
    EXPECT_GOT("payment_method.card.checks.cvc_check", "pass");
    EXPECT_GOT("latest_attempt.status", "succeeded");
    EXPECT_GOT("latest_attempt.payment_method_details.card.last4", "4242");
    EXPECT_GOT("latest_attempt.payment_method_details.card.three_d_secure", "null");
    EXPECT_TOLD("setup_intent.created payment_method.attached setup_intent.succeeded");
    for (int account = 0; account < 8; account++)
        cr_expect(zero(i64, fake.accounts[account]));
}

Test(setups, step_by_step_each_state_is_the_documented_one)
{
    cr_assert(eq(int, request("setup_intent_create", NO_TEXT, "payment_method_types[]=card"), 200));
    const struct text id = arena_copy(fake.durable, got_id("id"));
    EXPECT_GOT("status", "requires_payment_method");
    EXPECT_GOT("payment_method_options.card.request_three_d_secure", "automatic");
    cr_assert(eq(int, request("setup_intent_confirm", id, ""), 400));
    EXPECT_GOT("error.code", "setup_intent_unexpected_state");
    EXPECT_GOT("error.setup_intent.status", "requires_payment_method");
    cr_assert(eq(int, request("setup_intent_update", id, "payment_method=pm_card_visa"), 200));
    EXPECT_GOT("status", "requires_confirmation");
    cr_assert(eq(int, request("setup_intent_update", id, "payment_method="), 200));
    EXPECT_GOT("status", "requires_payment_method");
    cr_assert(eq(int, request("setup_intent_confirm", id, "payment_method=pm_card_visa"), 200));
    EXPECT_GOT("status", "succeeded");
    EXPECT_TOLD("setup_intent.created setup_intent.succeeded");
    cr_expect(eq(int, request("setup_intent_confirm", id, ""), 400));
    EXPECT_GOT("error.message",
               "You cannot confirm this SetupIntent because it has already succeeded.");
    cr_expect(eq(int, request("setup_intent_cancel", id, ""), 400));
    EXPECT_GOT("error.code", "setup_intent_unexpected_state");
    cr_expect(eq(int, request("setup_intent_update", id, "payment_method=pm_card_visa"), 400));
    cr_expect(eq(int, request("setup_intent_update", id, "metadata[a]=b&description=d"), 200));
    EXPECT_GOT("metadata.a", "b");
    cr_expect(eq(int, request("setup_intent_verify_microdeposits", id, "amounts[]=32&amounts[]=45"),
                 400));
}

Test(setups, it_can_be_given_up_until_it_is_done)
{
    cr_assert(eq(int, request("setup_intent_create", NO_TEXT, ""), 200));
    const struct text id = arena_copy(fake.durable, got_id("id"));
    (void)told();
    cr_assert(eq(int, request("setup_intent_cancel", id, "cancellation_reason=abandoned"), 200));
    EXPECT_GOT("status", "canceled");
    EXPECT_GOT("cancellation_reason", "abandoned");
    EXPECT_TOLD("setup_intent.canceled");
    cr_expect(eq(int, request("setup_intent_confirm", id, "payment_method=pm_card_visa"), 400));
}

Test(setups, a_bad_card_is_told_with_its_code)
{
    const struct text customer = new_customer();
    cr_assert(eq(int,
                 request("setup_intent_create", NO_TEXT,
                         with_customer(NOW "visa_chargeDeclinedInsufficientFunds", customer)),
                 402));
    EXPECT_GOT("error.type", "card_error");
    EXPECT_GOT("error.code", "card_declined");
    EXPECT_GOT("error.decline_code", "insufficient_funds");
    EXPECT_GOT("error.setup_intent.status", "requires_payment_method");
    EXPECT_GOT("error.setup_intent.payment_method", "null");
    EXPECT_GOT("error.setup_intent.last_setup_error.decline_code", "insufficient_funds");
    EXPECT_GOT("error.setup_intent.last_setup_error.payment_method.card.last4", "9995");
    EXPECT_GOT("error.payment_method.customer", "null");
    EXPECT_TOLD("setup_intent.created setup_intent.setup_failed");
    const struct text id = arena_copy(fake.durable, got_id("error.setup_intent.id"));
    cr_assert(eq(int, request("setup_intent_confirm", id, "payment_method=pm_card_visa"), 200));
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("last_setup_error", "null");
    const char *form = arena_format(fake.durable, "setup_intent=%.*s", (int)id.size, id.at).at;
    cr_assert(eq(int, request("setup_attempt_list", NO_TEXT, form), 200));
    EXPECT_GOT("data.0.status", "succeeded");
    EXPECT_GOT("data.1.status", "failed");
    EXPECT_GOT("data.1.setup_error.code", "card_declined");
}

Test(setups, a_card_that_only_fails_later_can_be_kept)
{
    cr_assert(eq(int,
                 request("setup_intent_create", NO_TEXT,
                         with_customer(NOW "chargeCustomerFail", new_customer())),
                 200));
    EXPECT_GOT("status", "succeeded");
}

Test(setups, a_card_whose_owner_was_asked_pays_later_without_them)
{
    const struct text customer = new_customer();
    cr_assert(eq(int,
                 request("setup_intent_create", NO_TEXT,
                         with_customer(NOW "authenticationRequiredOnSetup&return_url=https://a.b/c",
                                       customer)),
                 200));
    EXPECT_GOT("status", "requires_action");
    EXPECT_GOT("next_action.type", "redirect_to_url");
    EXPECT_TOLD("setup_intent.created setup_intent.requires_action");
    const struct text id = arena_copy(fake.durable, got_id("id"));
    const struct text method = arena_copy(fake.durable, got_id("payment_method"));
    cr_assert(eq(int, answer_challenge("approve"), 200));
    EXPECT_GOT("state", "passed");
    EXPECT_GOT("purpose", "setup");
    EXPECT_GOT("amount", "null");
    cr_expect(text_starts(got_id("return_to"), "https://a.b/c?setup_intent=seti_"));
    cr_expect(strstr(got("return_to"), "&redirect_status=succeeded") != NULL);
    EXPECT_TOLD("payment_method.attached setup_intent.succeeded");
    cr_assert(eq(int, request("setup_intent_retrieve", id, "expand[]=latest_attempt"), 200));
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("latest_attempt.payment_method_details.card.three_d_secure.result", "authenticated");

    const char *form = arena_format(fake.durable,
                                    "amount=500&currency=usd&confirm=true&off_session=true&"
                                    "payment_method_types[]=card&payment_method=%.*s",
                                    (int)method.size, method.at)
                           .at;
    cr_assert(
        eq(int, request("payment_intent_create", NO_TEXT, with_customer(form, customer)), 200));
    EXPECT_GOT("status", "succeeded");
}

Test(setups, for_use_while_they_are_there_is_not_for_use_while_they_are_not)
{
    const struct text customer = new_customer();
    cr_assert(eq(int,
                 request("setup_intent_create", NO_TEXT,
                         with_customer(NOW "authenticationRequiredOnSetup&usage=on_session&"
                                           "return_url=https://a.b/c",
                                       customer)),
                 200));
    EXPECT_GOT("usage", "on_session");
    const struct text method = arena_copy(fake.durable, got_id("payment_method"));
    cr_assert(eq(int, answer_challenge("approve"), 200));
    const char *form = arena_format(fake.durable,
                                    "amount=500&currency=usd&confirm=true&off_session=true&"
                                    "payment_method_types[]=card&payment_method=%.*s",
                                    (int)method.size, method.at)
                           .at;
    cr_assert(
        eq(int, request("payment_intent_create", NO_TEXT, with_customer(form, customer)), 402));
    EXPECT_GOT("error.code", "authentication_required");
}

Test(setups, who_fails_to_prove_it_has_no_card_set_up)
{
    cr_assert(eq(int,
                 request("setup_intent_create", NO_TEXT,
                         with_customer(NOW "authenticationRequiredOnSetup&return_url=https://a.b/c",
                                       new_customer())),
                 200));
    const struct text id = arena_copy(fake.durable, got_id("id"));
    (void)told();
    cr_assert(eq(int, answer_challenge("fail"), 200));
    cr_expect(strstr(got("return_to"), "redirect_status=failed") != NULL);
    EXPECT_TOLD("setup_intent.setup_failed");
    cr_assert(eq(int, request("setup_intent_retrieve", id, "expand[]=latest_attempt"), 200));
    EXPECT_GOT("status", "requires_payment_method");
    EXPECT_GOT("last_setup_error.code", "setup_intent_authentication_failure");
    EXPECT_GOT("latest_attempt.status", "failed");
    EXPECT_GOT("latest_attempt.payment_method_details.card.three_d_secure.result", "failed");
}

Test(setups, a_worker_that_takes_over_ends_it_the_same)
{
    fake.recovered = true;
    cr_assert(eq(int,
                 request("setup_intent_create", NO_TEXT, with_customer(NOW "visa", new_customer())),
                 200));
    EXPECT_GOT("status", "succeeded");
    fake.outcome = OUTCOME_NEVER_SENT;
    fake.recovered = false;
    cr_assert(eq(int, request("setup_intent_create", NO_TEXT, NOW "visa"), 402));
    EXPECT_GOT("error.code", "processing_error");
}

Test(setups, a_try_that_waits_is_abandoned_with_its_set_up_or_by_the_next)
{
    for (int i = 0; i < 2; i++) {
        cr_assert(eq(int,
                     request("setup_intent_create", NO_TEXT,
                             NOW "authenticationRequiredOnSetup&return_url=https://a.b/c"),
                     200));
        const struct text id = arena_copy(fake.durable, got_id("id"));
        const struct text try = arena_copy(fake.durable, got_id("latest_attempt"));
        cr_assert(eq(int,
                     request(i ? "setup_intent_cancel" : "setup_intent_confirm", id,
                             i ? "" : "payment_method=pm_card_visa"),
                     200));
        const struct row_setup_attempt *kept = (const void *)fake_find(ROW_setup_attempt, try)->row;
        cr_expect(text_is(kept->status, "abandoned"));
    }
}

Test(setups, a_publishable_key_shows_the_secret_and_sees_less)
{
    cr_assert(eq(int, request("setup_intent_create", NO_TEXT, "metadata[a]=b"), 200));
    const struct text id = arena_copy(fake.durable, got_id("id"));
    const struct text secret = arena_copy(fake.durable, got_id("client_secret"));
    fake.publishable = true;
    cr_expect(eq(int, request("setup_intent_retrieve", id, ""), 400));
    cr_expect(eq(int, request("setup_intent_retrieve", id, "client_secret=seti_x"), 400));
    EXPECT_GOT("error.code", "setup_intent_invalid_parameter");
    const char *form =
        arena_format(fake.durable, "client_secret=%.*s", (int)secret.size, secret.at).at;
    cr_assert(eq(int, request("setup_intent_retrieve", id, form), 200));
    EXPECT_GOT("metadata", "(absent)");
    EXPECT_GOT("status", "requires_payment_method");
}

Test(setups, they_are_listed_by_customer_and_method)
{
    const struct text customer = new_customer();
    cr_assert(
        eq(int, request("setup_intent_create", NO_TEXT, with_customer(NOW "visa", customer)), 200));
    const struct text method = arena_copy(fake.durable, got_id("payment_method"));
    cr_assert(eq(int, request("setup_intent_create", NO_TEXT, NOW "visa"), 200));
    cr_assert(eq(int, request("setup_intent_list", NO_TEXT, ""), 200));
    EXPECT_GOT("data.1.object", "setup_intent");
    cr_assert(
        eq(int, request("setup_intent_list", NO_TEXT, with_customer("limit=5", customer)), 200));
    EXPECT_GOT("data.0.customer", customer.at);
    EXPECT_GOT("data.1", "(absent)");
    const char *form =
        arena_format(fake.durable, "payment_method=%.*s", (int)method.size, method.at).at;
    cr_assert(eq(int, request("setup_intent_list", NO_TEXT, form), 200));
    EXPECT_GOT("data.0.payment_method", method.at);
    EXPECT_GOT("data.1", "(absent)");
}
