/* checkout: a session from its making to its end, on the merchant's side and on the payer's. */
#include "fake_engine.h"

TestSuite(checkout, .init = fake_start);

#define ITEM                                                                               \
    "&line_items[0][price_data][currency]=eur&line_items[0][price_data][unit_amount]=1250" \
    "&line_items[0][price_data][product_data][name]=Mug&line_items[0][quantity]=2"
#define ITEM_2                                                                            \
    "&line_items[1][price_data][currency]=EUR&line_items[1][price_data][unit_amount]=499" \
    "&line_items[1][price_data][product_data][name]=Tea&line_items[1][quantity]=1"
#define FORM "mode=payment&success_url=https://shop.example/ok?s={CHECKOUT_SESSION_ID}" ITEM
#define CARD(token)                                        \
    "email=ada@example.com&payment_method_data[type]=card" \
    "&payment_method_data[billing_details][name]=Ada"      \
    "&payment_method_data[card][token]=" token

static struct text
session(const char *form)
{
    cr_assert(eq(int, request("checkout_session_create", NO_TEXT, form), 200), "%.*s",
              (int)fake.body.size, fake.body.at);
    (void)told();
    return got_id("id");
}

static int
pay(struct text id, const char *form)
{
    fake.publishable = true;
    const int status = request("payment_page_confirm", id, form);
    fake.publishable = false;
    return status;
}

Test(checkout, a_new_session_is_open_and_has_a_page)
{
    const struct text id = session(FORM ITEM_2 "&cancel_url=http://shop.example/&metadata[order]=7"
                                               "&client_reference_id=cart-1&expand[]=line_items");
    EXPECT_GOT("object", "checkout.session");
    EXPECT_GOT("status", "open");
    EXPECT_GOT("payment_status", "unpaid");
    EXPECT_GOT("amount_total", "2999");
    EXPECT_GOT("amount_subtotal", "2999");
    EXPECT_GOT("currency", "eur");
    EXPECT_GOT("payment_intent", "null");
    EXPECT_GOT("customer_details", "null");
    EXPECT_GOT("customer_creation", "if_required");
    EXPECT_GOT("metadata.order", "7");
    EXPECT_GOT("line_items.data.0.description", "Mug");
    EXPECT_GOT("line_items.data.0.amount_total", "2500");
    EXPECT_GOT("line_items.data.1.price.unit_amount", "499");
    EXPECT_GOT("line_items.has_more", "false");
    cr_expect(
        eq(str, (char *)got("url"),
           (char *)arena_format(fake.durable, "http://pay.test/pay/%.*s", (int)id.size, id.at).at));
    cr_expect(text_starts(id, "cs_test_"));
}

Test(checkout, what_cannot_be_is_refused)
{
    static const struct {
        const char *form, *param, *words;
    } rows[] = {
        // clang-format off
        {"mode=payment&success_url=https://a.example", "line_items", "Missing required param: line_items"},
        {"mode=payment" ITEM, "success_url", "Missing required param: success_url"},
        {"mode=payment&success_url=javascript:alert(1)" ITEM, "success_url", "Not a valid URL"},
        {"mode=payment&success_url=https://" ITEM, "success_url", "Not a valid URL"},
        {"mode=payment&success_url=http:///x" ITEM, "success_url", "Not a valid URL"},
        {"mode=payment&success_url=https://a.example&cancel_url=ftp://a.example" ITEM, "cancel_url", "Not a valid URL"},
        {FORM "&customer=cus_1&customer_email=a@b.c", "customer_email", "only specify one"},
        {FORM "&customer_email=ada", "customer_email", "Invalid email"},
        {FORM "&currency=usd", "currency", "not that of its line items"},
        {FORM "&expires_at=1", "expires_at", "at least 30 minutes"},
        {FORM "&expires_at=1900000000", "expires_at", "less than 24 hours"},
        {FORM "&line_items[1][price_data][currency]=usd&line_items[1][price_data][unit_amount]=1"
              "&line_items[1][price_data][product_data][name]=x&line_items[1][quantity]=1",
         "line_items[1][price_data][currency]", "in one currency"},
        {"mode=payment&success_url=https://a.example&line_items[0][price_data][currency]=eur&line_items[0][price_data][unit_amount]=49"
         "&line_items[0][price_data][product_data][name]=x&line_items[0][quantity]=1", "(absent)", "total amount must be at least"},
        {"mode=payment&success_url=https://a.example&line_items[0][price_data][currency]=eur&line_items[0][price_data][unit_amount]=99999999999999"
         "&line_items[0][price_data][product_data][name]=x&line_items[0][quantity]=999999", "(absent)", "no more than"},
        {"mode=setup&success_url=https://a.example" ITEM, "line_items", "in `setup` mode"},
        {FORM "&setup_intent_data[description]=x", "setup_intent_data", "in `payment` mode"},
        // clang-format on
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect(eq(int, request("checkout_session_create", NO_TEXT, rows[i].form), 400), "%s",
                  rows[i].form);
        EXPECT_GOT("error.param", rows[i].param);
        cr_expect(strstr(got("error.message"), rows[i].words) != NULL, "%s", got("error.message"));
    }
}

Test(checkout, the_page_shows_what_is_paid_and_nothing_else)
{
    struct arena *arena = arena_new(1 << 20);
    struct call call = fake_call(arena);
    struct row_merchant merchant;
    row_clear(ROW_merchant, &merchant);
    merchant.id = merchant.merchant = MERCHANT;
    merchant.name = TEXT("Bakery \"Sun\"");
    change_row(&fake.change, ROW_merchant, &merchant, true);
    fake_commit(&call);

    const struct text id = session(FORM ITEM_2 "&payment_intent_data[metadata][secret]=x"
                                               "&payment_intent_data[description]=hidden"
                                               "&metadata[order]=hidden");
    fake.publishable = true;
    cr_assert(eq(int, request("payment_page_retrieve", id, ""), 200));
    EXPECT_GOT("merchant", "Bakery \"Sun\"");
    EXPECT_GOT("amount_total", "2999");
    EXPECT_GOT("currency_decimals", "2");
    EXPECT_GOT("line_items.1.name", "Tea");
    EXPECT_GOT("line_items.0.amount", "2500");
    EXPECT_GOT("status", "open");
    EXPECT_GOT("success_url", "null");
    EXPECT_GOT("intent", "null");
    cr_expect(eq(ptr, memmem(fake.body.at, fake.body.size, "hidden", 6), NULL));

    cr_assert(eq(int, pay(id, CARD("tok_visa_chargeDeclined")), 402));
    fake.publishable = true;
    cr_assert(eq(int, request("payment_page_retrieve", id, ""), 200));
    EXPECT_GOT("intent.status", "requires_payment_method");
    EXPECT_GOT("intent.last_error.code", "card_declined");
    cr_expect(eq(ptr, memmem(fake.body.at, fake.body.size, "pm_", 3), NULL));

    cr_assert(eq(int, pay(id, CARD("tok_visa")), 200));
    fake.publishable = true;
    cr_assert(eq(int, request("payment_page_retrieve", id, ""), 200));
    EXPECT_GOT("status", "complete");
    cr_expect(
        eq(str, (char *)got("success_url"),
           (char *)arena_format(fake.durable, "https://shop.example/ok?s=%.*s", (int)id.size, id.at)
               .at));
    arena_destroy(&arena);
}

Test(checkout, paying_completes_the_session_in_the_same_commit)
{
    const struct text id = session(FORM "&payment_intent_data[metadata][order]=7"
                                        "&payment_intent_data[description]=Mugs");
    cr_assert(eq(int, pay(id, CARD("tok_visa")), 200));
    EXPECT_GOT("object", "payment_intent");
    EXPECT_GOT("status", "succeeded");
    EXPECT_TOLD("payment_intent.created charge.succeeded payment_intent.succeeded charge.updated "
                "checkout.session.completed");
    cr_assert(eq(int, request("checkout_session_retrieve", id, "expand[]=payment_intent"), 200));
    EXPECT_GOT("status", "complete");
    EXPECT_GOT("payment_status", "paid");
    EXPECT_GOT("url", "null");
    EXPECT_GOT("payment_intent.amount_received", "2500");
    EXPECT_GOT("payment_intent.metadata.order", "7");
    EXPECT_GOT("payment_intent.description", "Mugs");
    EXPECT_GOT("customer", "null");
    EXPECT_GOT("customer_details.email", "ada@example.com");
    EXPECT_GOT("customer_details.name", "Ada");
    cr_expect(eq(i64, fake.accounts[NETWORK_RECEIVABLE], 2500));
    cr_expect(eq(int, pay(id, CARD("tok_visa")), 400));
    EXPECT_GOT("error.code", "checkout_session_complete");
    cr_expect(eq(i64, fake.accounts[NETWORK_RECEIVABLE], 2500), "nothing is paid twice");
}

Test(checkout, a_worker_that_takes_over_completes_the_session_too)
{
    const struct text id = session(FORM);
    fake.recovered = true;
    cr_assert(eq(int, pay(id, CARD("tok_visa")), 200));
    cr_assert(eq(int, request("checkout_session_retrieve", id, ""), 200));
    EXPECT_GOT("status", "complete");
}

Test(checkout, a_declined_card_leaves_the_session_open_for_another)
{
    const struct text id = session(FORM);
    cr_assert(eq(int, pay(id, CARD("tok_visa_chargeDeclined")), 402));
    EXPECT_GOT("error.code", "card_declined");
    const struct text first = got_id("error.payment_intent.id");
    EXPECT_TOLD("payment_intent.created charge.failed payment_intent.payment_failed");
    cr_assert(eq(int, request("checkout_session_retrieve", id, ""), 200));
    EXPECT_GOT("status", "open");
    cr_expect(eq(str, (char *)got("payment_intent"), (char *)first.at));
    cr_assert(eq(int, pay(id, CARD("tok_visa")), 200));
    cr_expect(eq(str, (char *)got("id"), (char *)first.at), "one payment per session");
    EXPECT_TOLD(
        "charge.succeeded payment_intent.succeeded charge.updated checkout.session.completed");
}

Test(checkout, the_payer_becomes_a_customer_when_the_session_says_so)
{
    const struct text id = session(FORM "&customer_creation=always");
    cr_assert(eq(int, pay(id, CARD("tok_visa")), 200));
    EXPECT_TOLD("payment_intent.created customer.created charge.succeeded "
                "payment_intent.succeeded charge.updated checkout.session.completed");
    cr_assert(eq(
        int, request("checkout_session_retrieve", id, "expand[]=customer&expand[]=payment_intent"),
        200));
    EXPECT_GOT("customer.email", "ada@example.com");
    EXPECT_GOT("customer.name", "Ada");
    cr_expect(eq(str, (char *)got("payment_intent.customer"), (char *)got("customer.id")));

    const struct text kept = session(FORM "&payment_intent_data[setup_future_usage]=off_session");
    cr_assert(eq(int, pay(kept, CARD("tok_visa")), 200));
    EXPECT_TOLD("payment_intent.created customer.created payment_method.attached charge.succeeded "
                "payment_intent.succeeded charge.updated checkout.session.completed");
}

Test(checkout, money_that_is_held_is_paid_when_it_is_captured)
{
    const struct text id = session(FORM "&payment_intent_data[capture_method]=manual");
    cr_assert(eq(int, pay(id, CARD("tok_visa")), 200));
    const struct text pi = got_id("id");
    EXPECT_GOT("status", "requires_capture");
    cr_assert(eq(int, request("checkout_session_retrieve", id, ""), 200));
    EXPECT_GOT("status", "complete");
    EXPECT_GOT("payment_status", "unpaid");
    cr_assert(eq(int, request("payment_intent_capture", pi, ""), 200));
    cr_assert(eq(int, request("checkout_session_retrieve", id, ""), 200));
    EXPECT_GOT("payment_status", "paid");
}

Test(checkout, the_payer_has_an_address_to_write_to)
{
    const struct text id = session(FORM);
    cr_expect(
        eq(int, pay(id, "payment_method_data[type]=card&payment_method_data[card][token]=tok_visa"),
           400));
    EXPECT_GOT("error.param", "email");
    const struct text known = session(FORM "&customer_email=bob@example.com");
    EXPECT_GOT("customer_details.email", "bob@example.com");
    cr_expect(eq(int, pay(known, CARD("tok_visa")), 200));
    cr_assert(eq(int, request("checkout_session_retrieve", known, ""), 200));
    EXPECT_GOT("customer_details.email", "bob@example.com");
}

Test(checkout, an_expired_session_takes_no_money_and_cancels_what_was_begun)
{
    const struct text id = session(FORM);
    cr_assert(eq(int, pay(id, CARD("tok_visa_chargeDeclined")), 402));
    const struct text pi = got_id("error.payment_intent.id");
    cr_expect(eq(int, request("payment_intent_cancel", pi, ""), 400), "expire the session instead");
    cr_expect(eq(int, request("payment_intent_update", pi, "amount=1"), 400));
    (void)told();
    cr_assert(eq(int, request("checkout_session_expire", id, ""), 200));
    EXPECT_GOT("status", "expired");
    EXPECT_GOT("url", "null");
    EXPECT_TOLD("payment_intent.canceled checkout.session.expired");
    cr_expect(eq(int, request("checkout_session_expire", id, ""), 400));
    cr_expect(eq(int, pay(id, CARD("tok_visa")), 400));
    EXPECT_GOT("error.code", "checkout_session_expired");
    cr_assert(eq(int, request("payment_intent_retrieve", pi, ""), 200));
    EXPECT_GOT("status", "canceled");
    EXPECT_GOT("cancellation_reason", "expired");
}

Test(checkout, what_is_late_takes_no_money_even_before_it_is_closed)
{
    const struct text id = session(FORM);
    fake.now_ms += INT64_C(86401) * 1000;
    cr_expect(eq(int, pay(id, CARD("tok_visa")), 400));
    EXPECT_GOT("error.code", "checkout_session_expired");
}

Test(checkout, line_items_come_in_pages)
{
    const struct text id =
        session(FORM ITEM_2 "&line_items[2][price_data][currency]=eur"
                            "&line_items[2][price_data][unit_amount]=1"
                            "&line_items[2][price_data][product_data][name]=Spoon"
                            "&line_items[2][quantity]=1");
    cr_assert(eq(int, request("checkout_session_line_item_list", id, "limit=2"), 200));
    EXPECT_GOT("data.1.description", "Tea");
    EXPECT_GOT("data.2", "(absent)");
    EXPECT_GOT("has_more", "true");
    const char *tea = got("data.1.id");
    cr_assert(eq(int,
                 request("checkout_session_line_item_list", id,
                         arena_format(fake.durable,
                                      "starting_after=%s&expand[]="
                                      "data.price.product",
                                      tea)
                             .at),
                 200));
    EXPECT_GOT("data.0.description", "Spoon");
    EXPECT_GOT("data.0.price.product.name", "Spoon");
    EXPECT_GOT("has_more", "false");
    cr_assert(eq(int,
                 request("checkout_session_line_item_list", id,
                         arena_format(fake.durable, "ending_before=%s", tea).at),
                 200));
    EXPECT_GOT("data.0.description", "Mug");
    EXPECT_GOT("data.1", "(absent)");
    cr_expect(eq(int, request("checkout_session_line_item_list", id, "starting_after=li_x"), 400));
}

Test(checkout, lists_know_customers_addresses_payments_and_states)
{
    const struct text id = session(FORM "&customer_email=ada@example.com");
    (void)session(FORM);
    cr_assert(eq(
        int, request("checkout_session_list", NO_TEXT, "customer_details[email]=ada@example.com"),
        200));
    cr_expect(eq(str, (char *)got("data.0.id"), (char *)id.at));
    EXPECT_GOT("data.1", "(absent)");
    cr_assert(eq(int, request("checkout_session_list", NO_TEXT, "status=complete"), 200));
    EXPECT_GOT("data.0", "(absent)");
    cr_assert(eq(int, request("checkout_session_update", id, "metadata[a]=b"), 200));
    EXPECT_GOT("metadata.a", "b");
}

#define SETUP "mode=setup&success_url=https://shop.example/ok"

Test(checkout, a_card_is_kept_for_later)
{
    const struct text id = session(SETUP "&customer_creation=always"
                                         "&setup_intent_data[metadata][plan]=gold");
    EXPECT_GOT("payment_status", "no_payment_required");
    EXPECT_GOT("amount_total", "null");
    EXPECT_GOT("currency", "null");
    cr_assert(eq(int, pay(id, CARD("tok_visa_chargeDeclined")), 402));
    EXPECT_GOT("error.code", "card_declined");
    (void)told();
    cr_assert(eq(int, pay(id, CARD("tok_visa")), 200));
    EXPECT_GOT("object", "setup_intent");
    EXPECT_GOT("status", "succeeded");
    EXPECT_TOLD("customer.created payment_method.attached setup_intent.succeeded "
                "checkout.session.completed");
    cr_assert(eq(int,
                 request("checkout_session_retrieve", id, "expand[]=setup_intent.payment_method"),
                 200));
    EXPECT_GOT("status", "complete");
    EXPECT_GOT("setup_intent.metadata.plan", "gold");
    cr_expect(
        eq(str, (char *)got("setup_intent.payment_method.customer"), (char *)got("customer")));
    cr_expect(zero(i64, fake.accounts[NETWORK_RECEIVABLE]));
    cr_expect(eq(int, pay(id, CARD("tok_visa")), 400));
    EXPECT_GOT("error.code", "checkout_session_complete");
}

Test(checkout, an_expired_session_keeps_no_card)
{
    const struct text id = session(SETUP);
    cr_assert(eq(int, pay(id, CARD("tok_visa_chargeDeclined")), 402));
    (void)told();
    cr_assert(eq(int, request("checkout_session_expire", id, "expand[]=setup_intent"), 200));
    EXPECT_GOT("setup_intent.status", "canceled");
    EXPECT_TOLD("setup_intent.canceled checkout.session.expired");
    cr_expect(eq(int, pay(id, CARD("tok_visa")), 400));
}
