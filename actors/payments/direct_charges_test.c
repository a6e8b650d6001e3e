/* direct charges: money taken without a payment around it. */
#include "fake_engine.h"

TestSuite(direct_charges, .init = fake_start);

#define NOW "amount=2000&currency=usd&source="

static struct text
charge(const char *form)
{
    cr_assert(eq(int, request("charge_create", NO_TEXT, form), 200), "%.*s", (int)fake.body.size,
              fake.body.at);
    return got_id("id");
}

static const char *
of(const char *name, struct text id)
{
    return arena_format(fake.durable, "%s=%.*s", name, (int)id.size, id.at).at;
}

Test(direct_charges, a_token_is_charged_at_once)
{
    charge(NOW "tok_visa&description=Socks&metadata[a]=1&receipt_email=j@x.de&transfer_group=g&"
               "statement_descriptor_suffix=SOCKS&shipping[name]=Jo&shipping[address][line1]=Way&"
               "expand[]=balance_transaction");
    EXPECT_GOT("object", "charge");
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("paid", "true");
    EXPECT_GOT("captured", "true");
    EXPECT_GOT("payment_intent", "null");
    EXPECT_GOT("source.object", "card");
    EXPECT_GOT("source.last4", "4242");
    cr_expect(eq(str, (char *)got("payment_method"), (char *)got("source.id")));
    EXPECT_GOT("payment_method_details.card.last4", "4242");
    EXPECT_GOT("description", "Socks");
    EXPECT_GOT("metadata.a", "1");
    EXPECT_GOT("shipping.name", "Jo");
    EXPECT_GOT("outcome.type", "authorized");
    EXPECT_GOT("balance_transaction.fee", "88");
    EXPECT_TOLD("charge.succeeded");
    cr_expect(eq(i64, fake.accounts[NETWORK_RECEIVABLE], 2000));
    cr_expect(eq(i64, fake.accounts[MERCHANT_PENDING], -1912));
    cr_expect(eq(i64, fake.accounts[FEES_EARNED], -88));
}

Test(direct_charges, whoever_takes_the_attempt_over_makes_the_same_answer)
{
    fake.recovered = true;
    charge(NOW "tok_visa&metadata[order]=7&expand[]=balance_transaction");
    EXPECT_GOT("metadata.order", "7");
    EXPECT_GOT("balance_transaction.net", "1912");
}

Test(direct_charges, whose_issuer_wants_to_hear_from_the_payer_is_declined)
{
    const char *const form = NOW "tok_authenticationRequiredOnSetup";
    cr_assert(eq(int, request("charge_create", NO_TEXT, form), 402));
    EXPECT_GOT("error.code", "authentication_required");
    EXPECT_GOT("error.decline_code", "authentication_required");
    EXPECT_TOLD("charge.failed");
    cr_assert(eq(int, request("charge_retrieve", got_id("error.charge"), ""), 200));
    EXPECT_GOT("status", "failed");
    EXPECT_GOT("paid", "false");
    EXPECT_GOT("captured", "false");
    for (int account = 0; account < 8; account++)
        cr_expect(zero(i64, fake.accounts[account]));
}

Test(direct_charges, a_decline_is_told_with_the_charge)
{
    cr_assert(eq(int,
                 request("charge_create", NO_TEXT, NOW "tok_visa_chargeDeclinedInsufficientFunds"),
                 402));
    EXPECT_GOT("error.type", "card_error");
    EXPECT_GOT("error.code", "card_declined");
    EXPECT_GOT("error.decline_code", "insufficient_funds");
    EXPECT_GOT("error.payment_intent", "(absent)");
    EXPECT_TOLD("charge.failed");
    cr_assert(eq(int, request("charge_retrieve", got_id("error.charge"), ""), 200));
    EXPECT_GOT("status", "failed");
    EXPECT_GOT("paid", "false");
    EXPECT_GOT("failure_code", "card_declined");
    EXPECT_GOT("outcome.reason", "insufficient_funds");
    EXPECT_GOT("source.last4", "9995");
    for (int account = 0; account < 8; account++)
        cr_expect(zero(i64, fake.accounts[account]));
    const struct text id = got_id("id");
    cr_assert(eq(int, request("charge_capture", id, ""), 400));
    cr_assert(eq(int, request("refund_create", NO_TEXT, of("charge", id)), 400));
    EXPECT_GOT("error.code", "charge_not_refundable");
}

Test(direct_charges, what_was_undone_or_never_left_is_a_failed_charge)
{
    const uint64_t outcomes[] = {OUTCOME_REVERSED, OUTCOME_NEVER_SENT};
    for (int i = 0; i < 2; i++) {
        fake.outcome = outcomes[i];
        cr_assert(eq(int, request("charge_create", NO_TEXT, NOW "tok_visa"), 402));
        EXPECT_GOT("error.code", "processing_error");
        EXPECT_TOLD("charge.failed");
    }
    for (int account = 0; account < 8; account++)
        cr_expect(zero(i64, fake.accounts[account]));
}

Test(direct_charges, what_is_held_is_captured_in_part_and_the_rest_released)
{
    const struct text id = charge(NOW "tok_visa&capture=false");
    EXPECT_GOT("captured", "false");
    EXPECT_GOT("paid", "true");
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("balance_transaction", "null");
    EXPECT_TOLD("charge.succeeded");
    cr_expect(eq(i64, fake.accounts[AUTHORIZATIONS_HELD], 2000));
    cr_assert(eq(int, request("charge_capture", id, "amount=2001"), 400));
    EXPECT_GOT("error.param", "amount");
    fake.recovered = true;
    cr_assert(eq(int, request("charge_capture", id, "amount=700"), 200));
    EXPECT_GOT("object", "charge");
    EXPECT_GOT("captured", "true");
    EXPECT_GOT("amount_captured", "700");
    EXPECT_GOT("amount_refunded", "1300");
    EXPECT_TOLD("charge.captured");
    cr_expect(zero(i64, fake.accounts[AUTHORIZATIONS_HELD]));
    cr_expect(eq(i64, fake.accounts[NETWORK_RECEIVABLE], 700));
    cr_assert(eq(int, request("charge_capture", id, ""), 400));
    EXPECT_GOT("error.code", "charge_already_captured");
}

Test(direct_charges, what_is_held_runs_out)
{
    const struct text id = charge(NOW "tok_visa&capture=false");
    (void)told();
    cr_expect(eq(int, (int)run_out(id), (int)SAID_REFUSAL));
    fake.now_ms += fake.worker.hold_s * 1000;
    fake.outcome = OUTCOME_NEVER_SENT; /* it is still held, and is looked at later */
    cr_expect(eq(int, (int)run_out(id), (int)SAID_BEGIN));
    EXPECT_TOLD("");
    fake.outcome = 0;
    cr_expect(eq(int, (int)run_out(id), (int)SAID_REFUSAL));
    cr_expect(eq(i64, fake.accounts[AUTHORIZATIONS_HELD], 2000));
    fake.now_ms += INT64_C(3600) * 1000;
    fake.recovered = true;
    cr_expect(eq(int, (int)run_out(id), (int)SAID_BEGIN));
    EXPECT_TOLD("charge.expired");
    cr_assert(eq(int, request("charge_retrieve", id, ""), 200));
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("captured", "false");
    EXPECT_GOT("refunded", "true");
    EXPECT_GOT("amount_refunded", "2000");
    cr_expect(zero(i64, fake.accounts[AUTHORIZATIONS_HELD]));
    cr_expect(eq(int, (int)run_out(id), (int)SAID_REFUSAL));
    cr_assert(eq(int, request("charge_capture", id, ""), 400));
    cr_assert(eq(int, request("refund_create", NO_TEXT, of("charge", id)), 400));
}

Test(direct_charges, what_was_taken_or_let_go_does_not_run_out)
{
    const struct text taken = charge(NOW "tok_visa&capture=false");
    cr_assert(eq(int, request("charge_capture", taken, ""), 200));
    const struct text released = charge(NOW "tok_visa&capture=false");
    cr_assert(eq(int, request("refund_create", NO_TEXT, of("charge", released)), 200));
    fake.now_ms += fake.worker.hold_s * 1000;
    cr_expect(eq(int, (int)run_out(taken), (int)SAID_REFUSAL));
    cr_expect(eq(int, (int)run_out(released), (int)SAID_REFUSAL));
}

Test(direct_charges, a_capture_that_was_not_leaves_the_hold)
{
    const struct text id = charge(NOW "tok_visa&capture=false");
    fake.outcome = OUTCOME_DECLINED;
    fake.decline = "processing_error";
    cr_assert(eq(int, request("charge_capture", id, ""), 402));
    cr_expect(eq(str, (char *)got("error.charge"), (char *)id.at));
    cr_expect(eq(i64, fake.accounts[AUTHORIZATIONS_HELD], 2000));
    fake.outcome = 0;
    fake.decline = NULL;
    cr_assert(eq(int, request("charge_capture", id, ""), 200));
    cr_expect(zero(i64, fake.accounts[AUTHORIZATIONS_HELD]));
}

Test(direct_charges, a_refund_of_what_is_held_releases_it)
{
    const struct text id = charge(NOW "tok_visa&capture=false");
    (void)told();
    const char *part = arena_format(fake.durable, "charge=%.*s&amount=5", (int)id.size, id.at).at;
    cr_assert(eq(int, request("refund_create", NO_TEXT, part), 400));
    cr_assert(eq(int, request("refund_create", NO_TEXT, of("charge", id)), 200));
    EXPECT_GOT("object", "refund");
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("amount", "2000");
    EXPECT_GOT("balance_transaction", "null");
    EXPECT_TOLD("refund.created charge.refunded");
    for (int account = 0; account < 8; account++)
        cr_expect(zero(i64, fake.accounts[account]));
    cr_assert(eq(int, request("charge_retrieve", id, ""), 200));
    EXPECT_GOT("refunded", "true");
    cr_assert(eq(int, request("charge_capture", id, ""), 400));
    cr_assert(eq(int, request("refund_create", NO_TEXT, of("charge", id)), 400));
    EXPECT_GOT("error.code", "charge_already_refunded");
}

Test(direct_charges, what_was_taken_is_refunded)
{
    const struct text id = charge(NOW "tok_visa");
    const char *part = arena_format(fake.durable, "charge=%.*s&amount=500", (int)id.size, id.at).at;
    cr_assert(eq(int, request("refund_create", NO_TEXT, part), 200));
    EXPECT_GOT("payment_intent", "null");
    EXPECT_GOT("status", "succeeded");
    cr_assert(eq(int, request("charge_update", id, "description=New"), 200));
    EXPECT_GOT("amount_refunded", "500");
    EXPECT_GOT("description", "New");
    cr_expect(eq(i64, fake.accounts[REFUNDS], -500));
}

Test(direct_charges, a_customer_is_charged_by_their_default_source_or_one_of_theirs)
{
    cr_assert(eq(int, request("customer_create", NO_TEXT, "source=tok_visa"), 200));
    const struct text id = got_id("id"), first = got_id("default_source");
    cr_assert(eq(int, request("source_create", id, "source=tok_bypassPending"), 200));
    const struct text second = got_id("id");
    const char *by =
        arena_format(fake.durable, "amount=100&currency=usd&customer=%.*s", (int)id.size, id.at).at;
    charge(by);
    EXPECT_GOT("source.id", first.at);
    EXPECT_GOT("customer", id.at);
    charge(by); /* again and again */
    charge(arena_format(fake.durable, "%s&source=%.*s", by, (int)second.size, second.at).at);
    EXPECT_GOT("source.id", second.at);
    EXPECT_GOT("source.last4", "0077");
    cr_expect(eq(i64, fake.accounts[MERCHANT_AVAILABLE], -67), "its funds are there at once");
    cr_assert(eq(
        int,
        request("charge_create", NO_TEXT, arena_format(fake.durable, "%s&source=tok_visa", by).at),
        400));
    EXPECT_GOT("error.code", "missing");
    cr_assert(eq(int, request("customer_create", NO_TEXT, ""), 200));
    const struct text poor = got_id("id");
    cr_assert(eq(int,
                 request("charge_create", NO_TEXT,
                         arena_format(fake.durable, "amount=100&currency=usd&customer=%.*s",
                                      (int)poor.size, poor.at)
                             .at),
                 402));
    EXPECT_GOT("error.code", "missing");
    EXPECT_GOT("error.message", "Cannot charge a customer that has no active card");
}

Test(direct_charges, each_refusal_leaves_nothing_behind)
{
    static const struct {
        const char *form, *param;
    } rows[] = {
        {"amount=100&currency=usd", "source"},
        {"amount=10&currency=usd&source=tok_visa", "amount"},
        {"amount=100&currency=usd&source=tok_nothing", "source"},
        {"amount=100&currency=usd&source=pm_1", "source"},
        {"amount=100&currency=usd&source=card_1", "source"},
        {"amount=100&currency=usd&customer=cus_1", "customer"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect(eq(int, request("charge_create", NO_TEXT, rows[i].form), 400), "%s",
                  rows[i].form);
        EXPECT_GOT("error.param", rows[i].param);
    }
    cr_expect(zero(sz, fake.kept_count));
}
