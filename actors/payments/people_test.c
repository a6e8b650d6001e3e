/* people: customers and their payment methods, from the request to what is durable and told. */
#include "fake_engine.h"

TestSuite(people, .init = fake_start);

static struct text
customer(void)
{
    cr_assert(eq(int, request("customer_create", NO_TEXT, "name=Jenny"), 200));
    (void)told();
    return got_id("id");
}

static struct text
method_of(struct text of)
{
    cr_assert(eq(int,
                 request("payment_method_attach", TEXT("pm_card_visa"),
                         arena_format(fake.durable, "customer=%.*s", (int)of.size, of.at).at),
                 200));
    (void)told();
    return got_id("id");
}

static const char *
form(const char *format, struct text id)
{
    return arena_format(fake.durable, format, (int)id.size, id.at).at;
}

Test(people, a_customer_is_what_was_said_of_them)
{
    cr_assert(eq(int,
                 request("customer_create", NO_TEXT,
                         "email=jenny@example.com&name=Jenny&phone=555&balance=-500&"
                         "address[city]=Berlin&shipping[name]=J&shipping[address][line1]=Way 1&"
                         "preferred_locales[]=de&preferred_locales[]=en&metadata[tier]=gold"),
                 200));
    EXPECT_GOT("object", "customer");
    EXPECT_GOT("email", "jenny@example.com");
    EXPECT_GOT("balance", "-500");
    EXPECT_GOT("address.city", "Berlin");
    EXPECT_GOT("address.line1", "null");
    EXPECT_GOT("shipping.address.line1", "Way 1");
    EXPECT_GOT("preferred_locales.1", "en");
    EXPECT_GOT("metadata.tier", "gold");
    EXPECT_GOT("tax_exempt", "none");
    EXPECT_GOT("next_invoice_sequence", "1");
    EXPECT_TOLD("customer.created");
}

Test(people, a_change_is_told_with_what_was_before)
{
    const struct text id = customer();
    cr_assert(eq(int, request("customer_update", id, "name=Jane&email=j@example.com"), 200));
    EXPECT_TOLD("customer.updated");
    cr_expect(text_is(last_event()->previous, "{\"email\":null,\"name\":\"Jenny\"}"));
    cr_assert(eq(int, request("customer_update", id, "email="), 200));
    EXPECT_GOT("email", "null");
    EXPECT_GOT("name", "Jane");
    cr_assert(eq(int, request("customer_update", id, "address[city]=Rome"), 200));
    cr_assert(eq(int, request("customer_update", id, "address="), 200));
    EXPECT_GOT("address", "null");
}

Test(people, who_is_deleted_is_shown_as_such_and_nothing_more)
{
    const struct text id = customer(), other = customer();
    const struct text method = method_of(id);
    cr_assert(eq(int, request("customer_delete", id, ""), 200));
    cr_expect(eq(str, (char *)got("deleted"), "true"));
    EXPECT_TOLD("customer.deleted");
    cr_assert(eq(int, request("customer_retrieve", id, ""), 200));
    EXPECT_GOT("deleted", "true");
    EXPECT_GOT("name", "(absent)");
    cr_expect(eq(int, request("customer_update", id, "name=x"), 404));
    cr_expect(eq(int, request("customer_delete", id, ""), 404));
    EXPECT_GOT("error.code", "resource_missing");
    cr_assert(eq(int, request("customer_list", NO_TEXT, ""), 200));
    cr_expect(text_equal(got_id("data.0.id"), other));
    EXPECT_GOT("data.1", "(absent)");
    cr_assert(eq(
        int,
        request("payment_intent_create", NO_TEXT, form("amount=99&currency=usd&customer=%.*s", id)),
        400));
    cr_assert(eq(int, request("payment_method_retrieve", method, ""), 200));
    EXPECT_GOT("customer", "null");
}

Test(people, each_use_of_a_test_name_makes_a_new_method)
{
    cr_assert(eq(int, request("payment_method_retrieve", TEXT("pm_card_visa"), ""), 200));
    const struct text first = got_id("id");
    cr_expect(text_starts(first, "pm_") && !text_is(first, "pm_card_visa"));
    cr_assert(eq(int, request("payment_method_retrieve", TEXT("pm_card_visa"), ""), 200));
    cr_expect(not(text_equal(got_id("id"), first)));
    cr_assert(eq(int, request("payment_method_retrieve", first, ""), 200));
}

Test(people, a_method_is_attached_used_by_its_customer_and_detached_for_good)
{
    const struct text id = customer(), other = customer();
    cr_assert(eq(int,
                 request("payment_method_create", NO_TEXT,
                         "type=card&card[token]=tok_visa&billing_details[name]=Jenny"),
                 200));
    const struct text method = got_id("id");
    EXPECT_GOT("customer", "null");
    EXPECT_GOT("billing_details.name", "Jenny");
    EXPECT_GOT("billing_details.address.city", "null");
    EXPECT_TOLD("");
    cr_assert(eq(
        int, request("payment_method_attach", method, form("customer=%.*s&expand[]=customer", id)),
        200));
    EXPECT_GOT("customer.object", "customer");
    EXPECT_TOLD("payment_method.attached");
    /* Once more is no change; another customer is refused. */
    cr_assert(eq(int, request("payment_method_attach", method, form("customer=%.*s", id)), 200));
    EXPECT_TOLD("");
    cr_assert(eq(int, request("payment_method_attach", method, form("customer=%.*s", other)), 400));
    EXPECT_GOT("error.message",
               "The payment method you provided has already been attached to a customer.");
    cr_assert(eq(int, request("customer_payment_method_list", id, "type=card"), 200));
    cr_expect(text_equal(got_id("data.0.id"), method));
    EXPECT_GOT("url", form("/v1/customers/%.*s/payment_methods", id));
    cr_assert(eq(int, request("payment_method_list", NO_TEXT, form("customer=%.*s", other)), 200));
    EXPECT_GOT("data.0", "(absent)");
    cr_assert(eq(int, request("payment_method_detach", method, ""), 200));
    EXPECT_GOT("customer", "null");
    EXPECT_TOLD("payment_method.detached");
    cr_assert(eq(int, request("payment_method_detach", method, ""), 400));
    cr_assert(eq(int, request("payment_method_attach", method, form("customer=%.*s", id)), 400));
    cr_expect(strstr(got("error.message"), "It may not be used again.") != NULL);
}

Test(people, a_card_that_declines_is_not_attached_but_one_that_declines_later_is)
{
    const struct text id = customer();
    cr_assert(eq(int,
                 request("payment_method_attach", TEXT("pm_card_visa_chargeDeclined"),
                         form("customer=%.*s", id)),
                 402));
    EXPECT_GOT("error.type", "card_error");
    EXPECT_GOT("error.code", "card_declined");
    EXPECT_GOT("error.decline_code", "generic_decline");
    EXPECT_TOLD("");
    cr_assert(eq(int,
                 request("customer_create", NO_TEXT,
                         "payment_method=pm_card_visa_chargeDeclinedInsufficientFunds"),
                 402));
    EXPECT_GOT("error.decline_code", "insufficient_funds");
    cr_assert(eq(int,
                 request("payment_method_attach", TEXT("pm_card_chargeCustomerFail"),
                         form("customer=%.*s", id)),
                 200));
}

Test(people, a_method_can_be_given_with_the_customer_and_be_the_default)
{
    cr_assert(eq(int, request("customer_create", NO_TEXT, "payment_method=pm_card_visa"), 200));
    const struct text id = got_id("id");
    EXPECT_TOLD("customer.created payment_method.attached");
    cr_assert(eq(int, request("customer_payment_method_list", id, ""), 200));
    const struct text method = got_id("data.0.id");
    const char *as_default = "invoice_settings[default_payment_method]=%.*s&"
                             "expand[]=invoice_settings.default_payment_method";
    cr_assert(eq(int, request("customer_update", id, form(as_default, method)), 200));
    EXPECT_GOT("invoice_settings.default_payment_method.card.last4", "4242");
    cr_assert(eq(int, request("customer_update", customer(), form(as_default, method)), 400));
    (void)told();
    cr_assert(eq(int, request("payment_method_detach", method, ""), 200));
    EXPECT_TOLD("customer.updated payment_method.detached");
    cr_assert(eq(int, request("customer_retrieve", id, ""), 200));
    EXPECT_GOT("invoice_settings.default_payment_method", "null");
}

Test(people, a_method_can_be_changed_once_it_is_attached)
{
    cr_assert(
        eq(int, request("payment_method_create", NO_TEXT, "type=card&card[token]=tok_visa"), 200));
    cr_assert(eq(int, request("payment_method_update", got_id("id"), "metadata[a]=b"), 400));
    const struct text method = method_of(customer());
    cr_assert(eq(int,
                 request("payment_method_update", method,
                         "billing_details[name]=Jane&card[exp_month]=9&card[exp_year]=31"),
                 200));
    EXPECT_GOT("card.exp_month", "9");
    EXPECT_GOT("card.exp_year", "2031");
    EXPECT_TOLD("payment_method.updated");
    cr_expect(text_is(last_event()->previous, "{\"billing_details\":{\"name\":null},"
                                              "\"card\":{\"exp_month\":8,\"exp_year\":2030}}"));
    cr_assert(eq(
        int, request("payment_method_update", method, "billing_details[address][city]=Rome"), 200));
    EXPECT_GOT("billing_details.name", "Jane");
    EXPECT_GOT("billing_details.address.city", "Rome");
}

Test(people, metadata_has_a_limit_that_is_reached_by_merging_too)
{
    char many[2048] = "";
    size_t size = 0;
    for (int i = 0; i < 50; i++)
        size += (size_t)snprintf(many + size, sizeof many - size, "&metadata[k%d]=v", i);
    cr_assert(eq(int, request("customer_create", NO_TEXT, many + 1), 200));
    const struct text id = got_id("id");
    cr_assert(eq(int, request("customer_update", id, "metadata[one_more]=v"), 400));
    EXPECT_GOT("error.param", "metadata");
    cr_expect(not(fake.began));
    cr_assert(eq(int, request("customer_update", id, "metadata[one_more]=v&metadata[k0]="), 200));
}

Test(people, a_handler_that_has_to_wait_leaves_nothing_behind)
{
    const struct text id = customer();
    fake.locked = true;
    (void)request("customer_update", id, "name=x");
    cr_expect(eq(int, (int)fake.said, (int)SAID_WAIT));
    cr_expect(change_is_empty(&fake.change));
}

Test(people, what_cannot_be_read_now_is_worth_another_try)
{
    fake.store_is_away = true;
    const char *const routes_[] = {"customer_list", "charge_list", "balance_retrieve",
                                   "webhook_endpoint_list"};
    for (size_t i = 0; i < 4; i++) {
        cr_expect(eq(int, request(routes_[i], NO_TEXT, ""), 503));
        cr_expect(fake.retry && !fake.began);
    }
}
