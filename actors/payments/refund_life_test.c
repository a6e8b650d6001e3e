/* refund_life: refunds that are pending, succeed later, come back, or are taken back. */
#include "fake_engine.h"

TestSuite(refund_life, .init = fake_start);

static struct text charge_id;

/* A refund of 500 of a payment of 2000 by that card. */
static struct text
refund(const char *card)
{
    const char *form =
        arena_format(fake.durable,
                     "amount=2000&currency=usd&confirm=true&payment_method_types[]=card&"
                     "payment_method=pm_card_%s",
                     card)
            .at;
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, form), 200));
    charge_id = got_id("latest_charge");
    form =
        arena_format(fake.durable, "charge=%.*s&amount=500", (int)charge_id.size, charge_id.at).at;
    (void)told();
    cr_assert(eq(int, request("refund_create", NO_TEXT, form), 200));
    return got_id("id");
}

static void
expect_refunded(const char *amount)
{
    cr_assert(eq(int, request("charge_retrieve", charge_id, ""), 200));
    EXPECT_GOT("amount_refunded", amount);
}

Test(refund_life, a_pending_refund_takes_the_money_and_succeeds_later)
{
    const struct text id = refund("pendingRefund");
    EXPECT_GOT("status", "pending");
    EXPECT_GOT("pending_reason", "processing");
    cr_expect(ne(str, (char *)got("balance_transaction"), (char *)"null"));
    EXPECT_TOLD("refund.created charge.refunded");
    cr_expect(eq(i64, fake.accounts[REFUNDS], -500));
    expect_refunded("500");
    fake_follow(id, "pending");
    EXPECT_TOLD("");
    fake_follow(id, "succeeded");
    EXPECT_TOLD("refund.updated charge.refund.updated");
}

Test(refund_life, what_succeeds_later_is_told_once)
{
    const struct text id = refund("pendingRefund");
    (void)told();
    fake_follow(id, "succeeded");
    EXPECT_TOLD("refund.updated charge.refund.updated");
    fake_follow(id, "succeeded");
    fake_follow(id, "failed");
    EXPECT_TOLD("");
    cr_assert(eq(int, request("refund_retrieve", id, ""), 200));
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("pending_reason", "(absent)");
    cr_expect(eq(i64, fake.accounts[REFUNDS], -500));
}

Test(refund_life, what_comes_back_is_the_merchants_again_and_can_be_refunded_again)
{
    const struct text id = refund("refundFail");
    EXPECT_GOT("status", "succeeded");
    const int64_t pending = fake.accounts[MERCHANT_PENDING];
    (void)told();
    fake_follow(id, "failed");
    EXPECT_TOLD("refund.updated refund.failed charge.refund.updated");
    cr_expect(zero(i64, fake.accounts[REFUNDS]));
    cr_expect(eq(i64, fake.accounts[MERCHANT_PENDING], pending - 500));
    cr_assert(eq(int, request("refund_retrieve", id, "expand[]=failure_balance_transaction"), 200));
    EXPECT_GOT("status", "failed");
    EXPECT_GOT("failure_reason", "expired_or_canceled_card");
    EXPECT_GOT("failure_balance_transaction.type", "refund_failure");
    EXPECT_GOT("failure_balance_transaction.amount", "500");
    EXPECT_GOT("failure_balance_transaction.source", id.at);
    EXPECT_GOT("failure_balance_transaction.status", "pending");
    expect_refunded("0");
    fake_follow(id, "failed"); /* twice is once */
    EXPECT_TOLD("");
    cr_expect(zero(i64, fake.accounts[REFUNDS]));
    const char *all =
        arena_format(fake.durable, "charge=%.*s", (int)charge_id.size, charge_id.at).at;
    cr_assert(eq(int, request("refund_create", NO_TEXT, all), 200));
    EXPECT_GOT("amount", "2000");
}

Test(refund_life, what_comes_back_after_settlement_is_available_at_once)
{
    const struct text id = refund("refundFail");
    fake.now_ms += INT64_C(200000) * 1000;
    const int64_t before = fake.accounts[MERCHANT_AVAILABLE];
    fake_follow(id, "failed");
    cr_expect(eq(i64, fake.accounts[MERCHANT_AVAILABLE], before - 500));
}

Test(refund_life, a_pending_refund_is_canceled)
{
    const struct text id = refund("pendingRefund");
    (void)told();
    fake.recovered = true;
    cr_assert(eq(int, request("refund_cancel", id, "expand[]=charge"), 200));
    EXPECT_GOT("status", "canceled");
    EXPECT_GOT("failure_reason", "merchant_request");
    EXPECT_GOT("charge.amount_refunded", "0");
    EXPECT_TOLD("refund.updated charge.refund.updated");
    cr_expect(zero(i64, fake.accounts[REFUNDS]));
    cr_assert(eq(int, request("refund_cancel", id, ""), 400));
    fake_follow(id, "failed");
    EXPECT_TOLD("");
}

Test(refund_life, a_pending_refund_expires_for_a_test)
{
    const struct text id = refund("pendingRefund");
    (void)told();
    cr_assert(eq(int, request("refund_expire", id, ""), 200));
    EXPECT_GOT("status", "failed");
    EXPECT_TOLD("refund.updated refund.failed charge.refund.updated");
    cr_expect(zero(i64, fake.accounts[REFUNDS]));
    expect_refunded("0");
}

Test(refund_life, what_is_done_is_not_canceled)
{
    const struct text id = refund("visa");
    cr_assert(eq(int, request("refund_cancel", id, ""), 400));
    cr_assert(eq(int, request("refund_expire", id, ""), 400));
    cr_expect(eq(i64, fake.accounts[REFUNDS], -500));
}

Test(refund_life, a_recall_that_came_too_late_changes_nothing)
{
    const struct text id = refund("pendingRefund");
    fake.outcome = OUTCOME_DECLINED;
    fake.decline = "processing_error";
    cr_assert(eq(int, request("refund_cancel", id, ""), 400));
    cr_expect(eq(i64, fake.accounts[REFUNDS], -500));
    cr_assert(eq(int, request("refund_retrieve", id, ""), 200));
    EXPECT_GOT("status", "pending");
}

Test(refund_life, an_attempt_that_is_recovered_after_the_refund_failed_books_it_and_its_failure)
{
    fake.recovered = true;
    const struct text id = refund("refundFail");
    cr_expect(eq(i64, fake.accounts[REFUNDS], -500));
    fake_follow(id, "failed");
    cr_expect(zero(i64, fake.accounts[REFUNDS]));
}
