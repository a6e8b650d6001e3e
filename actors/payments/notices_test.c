/* notices: events, who hears of them, movements of the balance, and what all lists have in common.
 */
#include "fake_engine.h"

TestSuite(notices, .init = fake_start);

#define PAID                                                                                    \
    "amount=2000&currency=usd&confirm=true&payment_method_types[]=card&payment_method=pm_card_" \
    "visa"

static const char *
form(const char *format, struct text id)
{
    return arena_format(fake.durable, format, (int)id.size, id.at).at;
}

/* --- endpoints ------------------------------------------------------------------------------- */

Test(notices, an_endpoint_shows_its_secret_once)
{
    cr_assert(eq(int,
                 request("webhook_endpoint_create", NO_TEXT,
                         "url=http://127.0.0.1:4242/hook&enabled_events[]=charge.succeeded&"
                         "enabled_events[]=refund.created&description=mine"),
                 200));
    const struct text id = got_id("id");
    cr_expect(text_starts(got_id("secret"), "whsec_"));
    cr_expect(eq(sz, got_id("secret").size, 38));
    EXPECT_GOT("status", "enabled");
    EXPECT_GOT("enabled_events.1", "refund.created");
    EXPECT_GOT("api_version", "null");
    cr_assert(eq(int, request("webhook_endpoint_retrieve", id, ""), 200));
    EXPECT_GOT("secret", "(absent)");
    cr_assert(eq(int, request("webhook_endpoint_list", NO_TEXT, ""), 200));
    EXPECT_GOT("data.0.secret", "(absent)");
    cr_assert(
        eq(int, request("webhook_endpoint_update", id, "disabled=true&enabled_events[]=*"), 200));
    EXPECT_GOT("status", "disabled");
    EXPECT_GOT("enabled_events.0", "*");
    EXPECT_GOT("secret", "(absent)");
    EXPECT_GOT("url", "http://127.0.0.1:4242/hook");
    EXPECT_TOLD("");
}

Test(notices, an_endpoint_that_is_deleted_is_not_there)
{
    cr_assert(eq(
        int,
        request("webhook_endpoint_create", NO_TEXT, "url=https://example.com/&enabled_events[]=*"),
        200));
    const struct text id = got_id("id");
    cr_assert(eq(int, request("webhook_endpoint_delete", id, ""), 200));
    EXPECT_GOT("deleted", "true");
    cr_expect(eq(int, request("webhook_endpoint_retrieve", id, ""), 404));
    cr_expect(eq(int, request("webhook_endpoint_update", id, "disabled=false"), 404));
    cr_expect(eq(int, request("webhook_endpoint_delete", id, ""), 404));
    cr_assert(eq(int, request("webhook_endpoint_list", NO_TEXT, ""), 200));
    EXPECT_GOT("data.0", "(absent)");
}

Test(notices, what_an_endpoint_cannot_be_is_refused_by_name)
{
    static const struct {
        const char *form, *param;
    } rows[] = {
        {"url=ftp://example.com/&enabled_events[]=*", "url"},
        {"url=https://user:password@example.com/&enabled_events[]=*", "url"},
        {"url=https://example.com/&enabled_events[]=*&enabled_events[]=refund.created",
         "enabled_events"},
        {"url=https://example.com/&enabled_events[]=refund.created&enabled_events[]=refund.done",
         "enabled_events[1]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect(eq(int, request("webhook_endpoint_create", NO_TEXT, rows[i].form), 400));
        EXPECT_GOT("error.param", rows[i].param);
    }
    fake.livemode = true;
    cr_expect(eq(
        int,
        request("webhook_endpoint_create", NO_TEXT, "url=http://example.com/&enabled_events[]=*"),
        400));
}

Test(notices, sixteen_endpoints_fit_and_one_more_does_not)
{
    static const char one[] = "url=https://example.com/&enabled_events[]=*";
    for (int i = 0; i < 16; i++)
        cr_assert(eq(int, request("webhook_endpoint_create", NO_TEXT, one), 200));
    const struct text id = got_id("id");
    cr_expect(eq(int, request("webhook_endpoint_create", NO_TEXT, one), 400));
    cr_assert(eq(int, request("webhook_endpoint_delete", id, ""), 200));
    cr_expect(eq(int, request("webhook_endpoint_create", NO_TEXT, one), 200));
}

/* --- events and movements -------------------------------------------------------------------- */

Test(notices, an_event_is_the_object_as_it_was_told)
{
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, PAID), 200));
    cr_assert(eq(int, request("event_list", NO_TEXT, ""), 200));
    EXPECT_GOT("data.0.type", "charge.updated");
    EXPECT_GOT("data.0.data.previous_attributes", "{\"balance_transaction\":null}");
    EXPECT_GOT("data.1.type", "payment_intent.succeeded");
    EXPECT_GOT("data.1.data.object.status", "succeeded");
    EXPECT_GOT("data.1.data.previous_attributes", "(absent)");
    EXPECT_GOT("data.2.type", "charge.succeeded");
    EXPECT_GOT("data.2.data.object.balance_transaction", "null");
    EXPECT_GOT("data.0.request.id", "req_000000000000000000000001");
    EXPECT_GOT("data.0.pending_webhooks", "1");
    EXPECT_GOT("data.3.type", "payment_intent.created");
    EXPECT_GOT("url", "/v1/events");
    const struct text id = got_id("data.0.id");
    cr_assert(eq(int, request("event_retrieve", id, ""), 200));
    EXPECT_GOT("object", "event");
    cr_assert(eq(int, request("event_list", NO_TEXT, "type=charge.succeeded"), 200));
    EXPECT_GOT("data.0.type", "charge.succeeded");
    EXPECT_GOT("data.1", "(absent)");
    cr_assert(eq(int, request("event_list", NO_TEXT, "limit=2"), 200));
    EXPECT_GOT("has_more", "true");
    cr_expect(eq(int, request("event_retrieve", TEXT("evt_missing"), ""), 404));
    cr_expect(eq(int, request("event_list", NO_TEXT, "starting_after=evt_missing"), 400));
    cr_expect(eq(int, request("event_list", NO_TEXT, "type=a&types[]=b"), 400));
}

Test(notices, every_movement_of_the_balance_can_be_seen)
{
    cr_assert(eq(int, request("balance_retrieve", NO_TEXT, ""), 404), "there is no such merchant");
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, PAID), 200));
    const struct text charge = got_id("latest_charge");
    cr_assert(
        eq(int, request("refund_create", NO_TEXT, form("charge=%.*s&amount=500", charge)), 200));
    cr_assert(eq(int, request("balance_transaction_list", NO_TEXT, ""), 200));
    EXPECT_GOT("data.0.type", "refund");
    EXPECT_GOT("data.0.net", "-500");
    EXPECT_GOT("data.0.fee_details", "[]");
    EXPECT_GOT("data.1.type", "charge");
    EXPECT_GOT("data.1.fee_details.0.amount", "88");
    EXPECT_GOT("data.1.reporting_category", "charge");
    cr_assert(
        eq(int, request("balance_transaction_list", NO_TEXT, "type=charge&currency=USD"), 200));
    EXPECT_GOT("data.1", "(absent)");
    const struct text id = got_id("data.0.id");
    cr_assert(eq(int, request("balance_transaction_retrieve", id, "expand[]=source"), 200));
    EXPECT_GOT("source.object", "charge");
    EXPECT_GOT("status", "pending");
    fake.now_ms += fake.worker.settlement_delay_s * 1000;
    cr_assert(eq(int, request("balance_transaction_retrieve", id, ""), 200));
    EXPECT_GOT("status", "available");
    cr_assert(eq(int, request("balance_retrieve", NO_TEXT, ""), 200));
    EXPECT_GOT("pending.0.amount", "1412");
    EXPECT_GOT("pending.0.source_types.card", "1412");
}

/* --- lists ----------------------------------------------------------------------------------- */

/* Customers, a second between each, the first at *first_second. */
static void
customers(struct text *ids, size_t count, int64_t *first_second)
{
    *first_second = fake.now_ms / 1000;
    for (size_t i = 0; i < count; i++) {
        cr_assert(eq(int, request("customer_create", NO_TEXT, ""), 200));
        ids[i] = got_id("id");
    }
}

Test(notices, a_list_is_walked_both_ways_without_a_gap)
{
    struct text ids[12];
    int64_t second;
    customers(ids, 12, &second);
    cr_assert(eq(int, request("customer_list", NO_TEXT, ""), 200));
    EXPECT_GOT("object", "list");
    EXPECT_GOT("url", "/v1/customers");
    EXPECT_GOT("has_more", "true");
    cr_expect(text_equal(got_id("data.0.id"), ids[11]));
    cr_expect(text_equal(got_id("data.9.id"), ids[2]));
    EXPECT_GOT("data.10", "(absent)");
    cr_assert(eq(int, request("customer_list", NO_TEXT, form("starting_after=%.*s", ids[2])), 200));
    cr_expect(text_equal(got_id("data.0.id"), ids[1]));
    EXPECT_GOT("has_more", "false");
    cr_assert(eq(int, request("customer_list", NO_TEXT, form("ending_before=%.*s&limit=2", ids[5])),
                 200));
    cr_expect(text_equal(got_id("data.0.id"), ids[7]));
    cr_expect(text_equal(got_id("data.1.id"), ids[6]));
    EXPECT_GOT("has_more", "true");
}

Test(notices, a_limit_is_bent_into_its_bounds)
{
    struct text ids[3];
    int64_t second;
    customers(ids, 3, &second);
    cr_assert(eq(int, request("customer_list", NO_TEXT, "limit=0"), 200));
    EXPECT_GOT("data.1", "(absent)");
    cr_assert(eq(int, request("customer_list", NO_TEXT, "limit=1000"), 200));
    EXPECT_GOT("has_more", "false");
}

Test(notices, cursors_that_make_no_sense_are_refused)
{
    struct text ids[1];
    int64_t second;
    customers(ids, 1, &second);
    cr_assert(eq(int, request("customer_list", NO_TEXT, "starting_after=cus_missing"), 400));
    EXPECT_GOT("error.code", "resource_missing");
    EXPECT_GOT("error.param", "starting_after");
    cr_assert(eq(int, request("customer_list", NO_TEXT, "starting_after=a&ending_before=b"), 400));
    EXPECT_GOT("error.message", "Received both starting_after and ending_before parameters. Please "
                                "pass in only one.");
}

Test(notices, bounds_of_time_are_to_the_second)
{
    struct text ids[5];
    int64_t second;
    customers(ids, 5, &second);
    const struct {
        const char *format;
        size_t newest, count;
    } rows[] = {{"created=%lld", 2, 1},      {"created[gt]=%lld", 4, 2},
                {"created[gte]=%lld", 4, 3}, {"created[lt]=%lld", 1, 2},
                {"created[lte]=%lld", 2, 3}, {"created[gt]=%lld&created[lt]=0", 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char created[64], path[16];
        snprintf(created, sizeof created, rows[i].format, (long long)second + 2);
        cr_assert(eq(int, request("customer_list", NO_TEXT, created), 200));
        snprintf(path, sizeof path, "data.%zu", rows[i].count);
        EXPECT_GOT(path, "(absent)");
        if (!rows[i].count) continue;
        cr_expect(text_equal(got_id("data.0.id"), ids[rows[i].newest]), "%s", created);
    }
    cr_assert(eq(int, request("customer_list", NO_TEXT, "created[lt]=9000000000000"), 200));
    EXPECT_GOT("data.4.object", "customer");
}

Test(notices, the_elements_of_a_list_can_be_expanded)
{
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, PAID), 200));
    cr_assert(eq(int,
                 request("payment_intent_list", NO_TEXT,
                         "expand[]=data.latest_charge.balance_transaction.source"),
                 200));
    EXPECT_GOT("data.0.latest_charge.balance_transaction.source.object", "charge");
    cr_assert(eq(int, request("charge_list", NO_TEXT, "expand[]=data.refunds&expand[]=data"), 200));
    EXPECT_GOT("data.0.refunds.object", "list");
}

Test(notices, what_cannot_be_expanded_is_refused_by_its_path)
{
    static const struct {
        const char *route, *form, *message;
    } rows[] = {
        {"customer_create", "expand[]=metadata", "This property cannot be expanded (metadata)."},
        {"payment_intent_list", "expand[]=customer",
         "This property cannot be expanded (customer)."},
        {"payment_intent_list", "expand[]=data.status",
         "This property cannot be expanded (data.status)."},
        {"charge_list", "expand[]=data.payment_method",
         "This property cannot be expanded (data.payment_method)."},
        {"balance_retrieve", "expand[]=available", "This property cannot be expanded (available)."},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect(eq(int, request(rows[i].route, NO_TEXT, rows[i].form), 400));
        EXPECT_GOT("error.message", rows[i].message);
    }
    cr_expect(zero(sz, fake.kept_count));
    /* Only the first segment is judged. */
    cr_assert(eq(
        int,
        request("payment_intent_create", NO_TEXT, "amount=99&currency=usd&expand[]=customer.foo"),
        200));
}
