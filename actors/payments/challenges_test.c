/* challenges: payers who prove who they are, or do not, from the payment's request to its end. */
#include "fake_engine.h"

TestSuite(challenges, .init = fake_start);

#define PAY                                                              \
    "amount=2000&currency=usd&confirm=true&payment_method_types[]=card&" \
    "payment_method=pm_card_authenticationRequiredOnSetup"
#define RETURN "&return_url=https://shop.example/done?order=7"

static struct text
copied(const char *path)
{
    return arena_copy(fake.durable, got_id(path));
}

/* The challenge that a next_action leads to. */
static struct row_challenge
challenge_of(const char *url)
{
    const char *at = strstr(url, "/3ds/") + strlen("/3ds/");
    const struct kept *kept = fake_find(ROW_challenge, (struct text){at, strcspn(at, "?")});
    cr_assert(kept != NULL, "%s", url);
    return *(const struct row_challenge *)(const void *)kept->row;
}

static struct row_challenge
asked(const char *form)
{
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, form), 200));
    EXPECT_GOT("status", "requires_action");
    return challenge_of(strcmp(got("next_action.type"), "use_stripe_sdk") == 0
                            ? got("next_action.use_stripe_sdk.stripe_js")
                            : got("next_action.redirect_to_url.url"));
}

static const char *
form_of(const struct row_challenge *challenge, const char *decision)
{
    return arena_format(fake.durable, "merchant=%.*s&secret=%.*s%s%s",
                        (int)challenge->merchant.size, challenge->merchant.at,
                        (int)challenge->secret.size, challenge->secret.at,
                        decision ? "&decision=" : "", decision ? decision : "")
        .at;
}

static int
answer(const struct row_challenge *challenge, const char *decision)
{
    return request("challenge_complete", challenge->id, form_of(challenge, decision));
}

static int
look(const struct row_challenge *challenge)
{
    return request("challenge_show", challenge->id, form_of(challenge, NULL));
}

static int
look_at_payment(const struct row_challenge *challenge)
{
    return request("payment_intent_retrieve", challenge->payment_intent,
                   "expand[]=latest_charge&expand[]=payment_method");
}

Test(challenges, a_payer_is_sent_to_a_page_and_nothing_is_held_meanwhile)
{
    const struct row_challenge challenge = asked(PAY RETURN);
    EXPECT_GOT("next_action.type", "redirect_to_url");
    EXPECT_GOT("next_action.redirect_to_url.return_url", "https://shop.example/done?order=7");
    cr_expect(
        eq(str, (char *)got("next_action.redirect_to_url.url"),
           (char *)arena_format(fake.durable, "http://pay.test/3ds/%.*s?%s", (int)challenge.id.size,
                                challenge.id.at, form_of(&challenge, NULL))
               .at));
    EXPECT_GOT("latest_charge", "null");
    EXPECT_GOT("amount_received", "0");
    EXPECT_TOLD("payment_intent.created payment_intent.requires_action");
    for (int account = 0; account < 8; account++)
        cr_expect(zero(i64, fake.accounts[account]));

    cr_assert(eq(int, look(&challenge), 200));
    EXPECT_GOT("state", "open");
    EXPECT_GOT("amount", "$20.00");
    EXPECT_GOT("last4", "3155");
    EXPECT_GOT("purpose", "payment");
    EXPECT_GOT("return_to", "null");
}

Test(challenges, a_client_library_is_told_without_a_way_back)
{
    asked(PAY);
    EXPECT_GOT("next_action.type", "use_stripe_sdk");
    EXPECT_GOT("next_action.use_stripe_sdk.type", "three_d_secure_redirect");
    asked(PAY RETURN "&use_stripe_sdk=true");
    EXPECT_GOT("next_action.type", "use_stripe_sdk");
}

Test(challenges, who_approves_has_paid)
{
    const struct row_challenge challenge = asked(PAY RETURN "&metadata[order]=7");
    (void)told();
    cr_assert(eq(int, answer(&challenge, "approve"), 200));
    EXPECT_GOT("state", "passed");
    const struct text back = copied("return_to");
    cr_expect(text_starts(back, "https://shop.example/done?order=7&payment_intent=pi_"));
    cr_expect(strstr(back.at, "_secret_") != NULL);
    cr_expect(strstr(back.at, "&redirect_status=succeeded") != NULL);
    EXPECT_TOLD("charge.succeeded payment_intent.succeeded charge.updated");
    cr_expect(eq(i64, fake.accounts[NETWORK_RECEIVABLE], 2000));

    cr_assert(eq(int, look_at_payment(&challenge), 200));
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("next_action", "null");
    EXPECT_GOT("latest_charge.metadata.order", "7");
    const char *const details[][2] = {{"authentication_flow", "challenge"},
                                      {"electronic_commerce_indicator", "05"},
                                      {"exemption_indicator", "null"},
                                      {"result", "authenticated"},
                                      {"result_reason", "null"},
                                      {"transaction_id", "dst_000000001"},
                                      {"version", "2.2.0"}};
    for (size_t i = 0; i < sizeof details / sizeof details[0]; i++)
        EXPECT_GOT(arena_format(fake.durable,
                                "latest_charge.payment_method_details.card.three_d_secure.%s",
                                details[i][0])
                       .at,
                   details[i][1]);
}

Test(challenges, a_second_answer_has_no_effect)
{
    const struct row_challenge challenge = asked(PAY RETURN);
    cr_assert(eq(int, answer(&challenge, "approve"), 200));
    const struct text back = copied("return_to");
    (void)told();
    for (int i = 0; i < 2; i++) {
        cr_assert(eq(int, answer(&challenge, i ? "approve" : "fail"), 200));
        EXPECT_GOT("state", "passed");
        cr_expect(text_equal(got_id("return_to"), back));
    }
    EXPECT_TOLD("");
    cr_expect(eq(i64, fake.accounts[NETWORK_RECEIVABLE], 2000));
}

Test(challenges, who_fails_has_not_paid_and_may_try_another_card)
{
    const struct row_challenge challenge = asked(PAY RETURN);
    (void)told();
    cr_assert(eq(int, answer(&challenge, "fail"), 200));
    EXPECT_GOT("state", "failed");
    cr_expect(strstr(got("return_to"), "redirect_status=failed") != NULL);
    EXPECT_TOLD("payment_intent.payment_failed");
    cr_assert(eq(int, look_at_payment(&challenge), 200));
    EXPECT_GOT("status", "requires_payment_method");
    EXPECT_GOT("payment_method", "null");
    EXPECT_GOT("latest_charge", "null");
    EXPECT_GOT("last_payment_error.code", "payment_intent_authentication_failure");
    EXPECT_GOT("last_payment_error.type", "invalid_request_error");
    EXPECT_GOT("last_payment_error.payment_method.card.last4", "3155");
    cr_assert(eq(
        int,
        request("payment_intent_confirm", challenge.payment_intent, "payment_method=pm_card_visa"),
        200));
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("last_payment_error", "null");
}

Test(challenges, who_comes_too_late_has_failed)
{
    const struct row_challenge challenge = asked(PAY RETURN);
    fake.now_ms += 1000 * 1000;
    cr_assert(eq(int, look(&challenge), 200));
    EXPECT_GOT("state", "expired");
    cr_assert(eq(int, answer(&challenge, "approve"), 200));
    EXPECT_GOT("state", "failed");
    cr_assert(eq(int, look_at_payment(&challenge), 200));
    EXPECT_GOT("status", "requires_payment_method");
}

/* As the engine does it for a challenge that is due. */
static void
nobody_answers(const struct row_challenge *challenge)
{
    struct arena *arena = arena_new((size_t)64 << 20);
    struct call call = fake_call(arena);
    call.object = challenge->id;
    fake.said = SAID_NOTHING;
    change_clear(&fake.change);
    challenge_expire_due(&call);
    if (fake.said == SAID_ANSWER) fake_commit(&call);
    change_clear(&fake.change);
    arena_destroy(&arena);
}

static bool
challenge_is(const struct row_challenge *challenge, const char *state)
{
    const struct kept *kept = fake_find(ROW_challenge, challenge->id);
    return text_is(((const struct row_challenge *)(const void *)kept->row)->state, state);
}

Test(challenges, what_nobody_answers_ends_by_itself_once_its_time_is_over)
{
    const struct row_challenge challenge = asked(PAY RETURN);
    (void)told();
    nobody_answers(&challenge);
    cr_expect(challenge_is(&challenge, "open"), "not before its time");
    EXPECT_TOLD("");
    fake.now_ms += 1000 * 1000;
    nobody_answers(&challenge);
    EXPECT_TOLD("payment_intent.payment_failed");
    cr_expect(challenge_is(&challenge, "failed"));
    nobody_answers(&challenge);
    EXPECT_TOLD("");
    cr_assert(eq(int, look_at_payment(&challenge), 200));
    EXPECT_GOT("status", "requires_payment_method");
    EXPECT_GOT("payment_method", "null");
    EXPECT_GOT("next_action", "null");
    EXPECT_GOT("last_payment_error.code", "payment_intent_authentication_failure");
    cr_assert(eq(int, answer(&challenge, "approve"), 200));
    EXPECT_GOT("state", "failed");
    cr_expect(zero(i64, fake.accounts[NETWORK_RECEIVABLE]));
}

Test(challenges, a_set_up_whose_payer_never_answers_waits_for_another_card)
{
    cr_assert(eq(int,
                 request("setup_intent_create", NO_TEXT,
                         "confirm=true&payment_method_types[]=card&"
                         "payment_method=pm_card_authenticationRequiredOnSetup" RETURN),
                 200));
    const struct row_challenge challenge = challenge_of(got("next_action.redirect_to_url.url"));
    (void)told();
    fake.now_ms += 1000 * 1000;
    nobody_answers(&challenge);
    EXPECT_TOLD("setup_intent.setup_failed");
    cr_assert(
        eq(int, request("setup_intent_retrieve", challenge.setup_intent, "expand[]=latest_attempt"),
           200));
    EXPECT_GOT("status", "requires_payment_method");
    EXPECT_GOT("last_setup_error.code", "setup_intent_authentication_failure");
    EXPECT_GOT("latest_attempt.status", "failed");
    EXPECT_GOT("latest_attempt.payment_method_details.card.three_d_secure.result_reason",
               "abandoned");
}

Test(challenges, what_went_on_without_its_challenge_is_not_failed_by_its_end)
{
    const struct row_challenge challenge = asked(PAY RETURN);
    cr_assert(eq(
        int,
        request("payment_intent_confirm", challenge.payment_intent, "payment_method=pm_card_visa"),
        200));
    EXPECT_GOT("status", "succeeded");
    (void)told();
    fake.now_ms += 1000 * 1000;
    nobody_answers(&challenge);
    EXPECT_TOLD("");
    cr_expect(challenge_is(&challenge, "failed"), "it is not due again");
    cr_assert(eq(int, look_at_payment(&challenge), 200));
    EXPECT_GOT("status", "succeeded");
}

Test(challenges, without_its_secret_a_challenge_is_not_there)
{
    const struct row_challenge challenge = asked(PAY RETURN);
    struct row_challenge wrong = challenge;
    const char *const secrets[] = {"x", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    (void)told();
    for (size_t i = 0; i < 2; i++) {
        wrong.secret = text_of(secrets[i]);
        cr_expect(eq(int, look(&wrong), 404));
        cr_expect(eq(int, answer(&wrong, "approve"), 404));
    }
    /* Another payment's secret is none. */
    const struct row_challenge other = asked(PAY RETURN);
    wrong.secret = other.secret;
    (void)told();
    cr_expect(eq(int, answer(&wrong, "approve"), 404));
    EXPECT_TOLD("");
    cr_assert(eq(int, answer(&challenge, "approve"), 200));
    cr_expect(eq(i64, fake.accounts[NETWORK_RECEIVABLE], 2000));
}

Test(challenges, a_payment_that_was_changed_or_given_up_waits_for_no_answer)
{
    static const char *const ways[][2] = {
        {"payment_intent_update", "amount=3000"},
        {"payment_intent_update", "payment_method=pm_card_visa"},
        {"payment_intent_cancel", ""},
        {"payment_intent_confirm", ""},
    };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        const struct row_challenge challenge = asked(PAY RETURN);
        cr_assert(eq(int, request(ways[i][0], challenge.payment_intent, ways[i][1]), 200));
        (void)told();
        cr_assert(eq(int, answer(&challenge, "approve"), 200));
        EXPECT_GOT("state", "void");
        EXPECT_TOLD("");
        cr_expect(zero(i64, fake.accounts[NETWORK_RECEIVABLE]));
    }
}

Test(challenges, money_is_held_first_when_it_is_to_be_captured_later)
{
    const struct row_challenge challenge = asked(PAY RETURN "&capture_method=manual");
    cr_assert(eq(int, answer(&challenge, "approve"), 200));
    cr_expect(strstr(got("return_to"), "redirect_status=succeeded") != NULL);
    cr_assert(eq(int, look_at_payment(&challenge), 200));
    EXPECT_GOT("status", "requires_capture");
    cr_expect(eq(i64, fake.accounts[AUTHORIZATIONS_HELD], 2000));
}

Test(challenges, a_server_that_confirms_by_hand_confirms_once_more)
{
    const struct row_challenge challenge = asked(PAY RETURN "&confirmation_method=manual");
    cr_assert(eq(int, answer(&challenge, "approve"), 200));
    cr_expect(strstr(got("return_to"), "redirect_status=succeeded") != NULL);
    cr_assert(eq(int, look_at_payment(&challenge), 200));
    EXPECT_GOT("status", "requires_confirmation");
    cr_expect(zero(i64, fake.accounts[NETWORK_RECEIVABLE]));
    cr_assert(eq(int, request("payment_intent_confirm", challenge.payment_intent, ""), 200));
    EXPECT_GOT("status", "succeeded");
}

Test(challenges, what_was_approved_for_one_amount_is_not_for_another)
{
    const struct row_challenge challenge = asked(PAY RETURN "&confirmation_method=manual");
    cr_assert(eq(int, answer(&challenge, "approve"), 200));
    cr_assert(
        eq(int, request("payment_intent_update", challenge.payment_intent, "amount=9000"), 200));
    cr_assert(eq(int, request("payment_intent_confirm", challenge.payment_intent, ""), 200));
    EXPECT_GOT("status", "requires_action");
    cr_expect(zero(i64, fake.accounts[NETWORK_RECEIVABLE]));
}

Test(challenges, a_decline_after_the_challenge_is_a_decline)
{
    const struct row_challenge challenge =
        asked("amount=2000&currency=usd&confirm=true&payment_method_types[]=card&payment_method="
              "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds" RETURN);
    (void)told();
    cr_assert(eq(int, answer(&challenge, "approve"), 200));
    EXPECT_GOT("state", "passed");
    cr_expect(strstr(got("return_to"), "redirect_status=failed") != NULL);
    EXPECT_TOLD("charge.failed payment_intent.payment_failed");
    cr_assert(eq(int, look_at_payment(&challenge), 200));
    EXPECT_GOT("status", "requires_payment_method");
    EXPECT_GOT("last_payment_error.decline_code", "insufficient_funds");
}

Test(challenges, a_worker_that_takes_over_ends_it_the_same)
{
    fake.recovered = true;
    const struct row_challenge challenge = asked(PAY RETURN);
    cr_assert(eq(int, answer(&challenge, "approve"), 200));
    EXPECT_GOT("state", "passed");
    cr_assert(eq(int, look_at_payment(&challenge), 200));
    EXPECT_GOT("status", "succeeded");
}

Test(challenges, what_was_undone_after_the_challenge_leaves_the_payment_open)
{
    const struct row_challenge challenge = asked(PAY RETURN);
    fake.outcome = OUTCOME_REVERSED;
    cr_assert(eq(int, answer(&challenge, "approve"), 200));
    cr_expect(strstr(got("return_to"), "redirect_status=failed") != NULL);
    cr_expect(zero(i64, fake.accounts[NETWORK_RECEIVABLE]));
}

Test(challenges, a_payer_who_is_not_there_is_not_asked)
{
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, PAY "&off_session=true"), 402));
    EXPECT_GOT("error.code", "authentication_required");
    EXPECT_GOT("error.decline_code", "authentication_required");
    EXPECT_GOT("error.payment_intent.status", "requires_payment_method");
    EXPECT_TOLD("payment_intent.created charge.failed payment_intent.payment_failed");
}

Test(challenges, whoever_wants_no_action_is_refused_instead)
{
    cr_assert(eq(
        int, request("payment_intent_create", NO_TEXT, PAY "&error_on_requires_action=true"), 402));
    EXPECT_GOT("error.type", "card_error");
    EXPECT_GOT("error.code", "authentication_required");
    EXPECT_GOT("error.payment_intent.status", "requires_payment_method");
    EXPECT_GOT("error.payment_intent.latest_charge", "null");
    EXPECT_TOLD("payment_intent.created payment_intent.payment_failed");
}

Test(challenges, a_way_back_must_be_one)
{
    static const char *const bad[] = {"javascript://x", "nonsense", "https://"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert(eq(int,
                     request("payment_intent_create", NO_TEXT,
                             arena_format(fake.durable, PAY "&return_url=%s", bad[i]).at),
                     400));
        EXPECT_GOT("error.code", "url_invalid");
        EXPECT_GOT("error.param", "return_url");
    }
}

Test(challenges, a_card_that_was_set_up_by_a_payment_pays_later_without_its_owner)
{
    cr_assert(eq(int, request("customer_create", NO_TEXT, "name=Ada"), 200));
    const struct text customer = copied("id");
    const char *form =
        arena_format(fake.durable, PAY RETURN "&setup_future_usage=off_session&customer=%.*s",
                     (int)customer.size, customer.at)
            .at;
    const struct row_challenge challenge = asked(form);
    (void)told();
    cr_assert(eq(int, answer(&challenge, "approve"), 200));
    EXPECT_TOLD("payment_method.attached charge.succeeded payment_intent.succeeded charge.updated");
    form = arena_format(fake.durable,
                        "amount=500&currency=usd&confirm=true&off_session=true&"
                        "payment_method_types[]=card&customer=%.*s&payment_method=%.*s",
                        (int)customer.size, customer.at, (int)challenge.payment_method.size,
                        challenge.payment_method.at)
               .at;
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, form), 200));
    EXPECT_GOT("status", "succeeded");
}

Test(challenges, one_card_that_is_nobodys_pays_one_payment_alone)
{
    const struct row_challenge first = asked(PAY RETURN);
    const char *form = arena_format(fake.durable,
                                    "amount=500&currency=usd&confirm=true&"
                                    "payment_method_types[]=card&payment_method=%.*s" RETURN,
                                    (int)first.payment_method.size, first.payment_method.at)
                           .at;
    const struct row_challenge second = asked(form);
    cr_assert(eq(int, answer(&first, "approve"), 200));
    cr_expect(strstr(got("return_to"), "redirect_status=succeeded") != NULL);
    cr_assert(eq(int, answer(&second, "approve"), 200));
    cr_expect(strstr(got("return_to"), "redirect_status=failed") != NULL);
    cr_expect(eq(i64, fake.accounts[NETWORK_RECEIVABLE], 2000));
}
