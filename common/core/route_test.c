#include "route.h"

#include "form.h"
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>

static uint8_t block[1 << 20];
static struct param_error error;

static bool
check(enum route_number route, const char *form)
{
    static struct params params;
    char culprit[129];
    cr_assert(
        eq(int, form_parse(form, strlen(form), block, sizeof block, &params, culprit), FORM_OK),
        "%s", form);
    return route_check(&routes[route], params, &error);
}

Test(route, rows_stand_at_their_number_and_their_names_are_unique)
{
    for (int i = 0; i < ROUTE_COUNT; i++) {
        struct text object;
        cr_expect(eq(int, routes[i].number, i));
        cr_expect(eq(ptr, (void *)route_named(text_of(routes[i].name)), (void *)&routes[i]));
        cr_expect(eq(ptr, (void *)route_find(routes[i].method, text_of(routes[i].path), &object),
                     (void *)&routes[i]),
                  "%s", routes[i].name);
        for (size_t k = 0; k < routes[i].rule_count; k++)
            for (size_t j = k + 1; j < routes[i].rule_count; j++)
                cr_expect(not(strcmp(routes[i].rules[k].name, routes[i].rules[j].name) == 0),
                          "%s %s", routes[i].name, routes[i].rules[k].name);
    }
}

static const struct {
    enum http_method method;
    const char *path;
    int route; /* -1: none */
    const char *object;
} paths[] = {
    {HTTP_GET, "/v1/payment_intents", ROUTE_payment_intent_list, NULL},
    {HTTP_POST, "/v1/payment_intents", ROUTE_payment_intent_create, NULL},
    {HTTP_GET, "/v1/payment_intents/pi_1", ROUTE_payment_intent_retrieve, "pi_1"},
    {HTTP_POST, "/v1/payment_intents/pi_1/confirm", ROUTE_payment_intent_confirm, "pi_1"},
    {HTTP_GET, "/v1/payment_intents/a%2fb", ROUTE_payment_intent_retrieve, "a%2fb"},
    {HTTP_GET, "/v1/customers/c/payment_methods", ROUTE_customer_payment_method_list, "c"},
    {HTTP_DELETE, "/v1/customers/c", ROUTE_customer_delete, "c"},
    {HTTP_GET, "/v1/balance", ROUTE_balance_retrieve, NULL},
    {HTTP_DELETE, "/v1/payment_intents/pi_1", -1, NULL},
    /* H65, H66, H71: a path is what it says, and nothing is tidied up */
    {HTTP_GET, "/v1/payment_intents/", -1, NULL},
    {HTTP_GET, "/v1/payment_intents//", -1, NULL},
    {HTTP_GET, "/v1//payment_intents", -1, NULL},
    {HTTP_GET, "/v1/./payment_intents", -1, NULL},
    {HTTP_GET, "/v1/x/../payment_intents", -1, NULL},
    {HTTP_GET, "/V1/payment_intents", -1, NULL},
    {HTTP_GET, "/v1/payment_intents/pi_1/", -1, NULL},
    {HTTP_GET, "/v1", -1, NULL},
    {HTTP_GET, "/", -1, NULL},
    {HTTP_GET, "", -1, NULL},
};

Test(route, a_path_is_what_it_says)
{
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct text object;
        const struct route *r = route_find(paths[i].method, text_of(paths[i].path), &object);
        cr_expect(eq(int, r ? r->number : -1, paths[i].route), "%s", paths[i].path);
        if (paths[i].object)
            cr_expect(text_is(object, paths[i].object), "%s", paths[i].path);
        else
            cr_expect(eq(ptr, (void *)object.at, NULL), "%s", paths[i].path);
    }
}

#define PAY "amount=2000&currency=usd"

static const struct {
    enum route_number route;
    const char *form, *code, *param, *message; /* message NULL: all is well */
} rows[] = {
    // clang-format off
    {ROUTE_payment_intent_create, PAY, NULL, NULL, NULL},
    {ROUTE_payment_intent_create, "amount=1&currency=USD&confirm=true&payment_method=pm_card_visa", NULL, NULL, NULL},
    {ROUTE_payment_intent_create, "currency=usd&foo=1&amount=x", "parameter_unknown", "foo", "Received unknown parameter: foo"}, /* H111, unknown first */
    {ROUTE_payment_intent_create, PAY "&status=succeeded", "parameter_unknown", "status", "Received unknown parameter: status"}, /* H112 */
    {ROUTE_payment_intent_create, PAY "&amount_received=1", "parameter_unknown", "amount_received", NULL},
    {ROUTE_payment_intent_create, PAY "&livemode=true", "parameter_unknown", "livemode", NULL},
    {ROUTE_payment_intent_create, PAY "&__proto__[x]=1", "parameter_unknown", "__proto__[x]", NULL},
    {ROUTE_payment_intent_create, "currency=usd", "parameter_missing", "amount", "Missing required param: amount."},
    {ROUTE_payment_intent_create, "amount=5", "parameter_missing", "currency", "Missing required param: currency."},
    {ROUTE_payment_intent_create, "amount=abc", "parameter_invalid_integer", "amount", "Invalid integer: abc"},
    {ROUTE_payment_intent_create, "amount=0&currency=usd", "parameter_invalid_integer", "amount", "Invalid positive integer"},
    {ROUTE_payment_intent_create, "amount=-1&currency=usd", "parameter_invalid_integer", "amount", "Invalid positive integer"},
    {ROUTE_payment_intent_create, "amount=&currency=usd", "parameter_invalid_empty", "amount", NULL},
    {ROUTE_payment_intent_create, "amount[x]=1&currency=usd", "parameter_invalid_integer", "amount[x]", "Invalid integer"},
    {ROUTE_payment_intent_create, "amount=100000000000000&currency=usd", "parameter_invalid_integer", "amount", NULL},
    {ROUTE_payment_intent_create, "amount=1&currency=zzz", "", "currency", NULL},
    {ROUTE_payment_intent_create, PAY "&confirm=yes", "", "confirm", "Invalid boolean: yes"},
    {ROUTE_payment_intent_create, PAY "&capture_method=x", "", "capture_method", "Invalid capture_method: must be one of automatic, automatic_async, or manual"},
    {ROUTE_payment_intent_create, PAY "&confirmation_method=x", "", "confirmation_method", "Invalid confirmation_method: must be one of automatic or manual"},
    {ROUTE_payment_intent_create, PAY "&expand=latest_charge", "", "expand", "Invalid array"},
    {ROUTE_payment_intent_create, PAY "&expand[a]=latest_charge", "", "expand[a]", "Invalid array"},
    {ROUTE_payment_intent_create, PAY "&expand[]=latest_charge", NULL, NULL, NULL},
    {ROUTE_payment_intent_create, PAY "&shipping=x", "", "shipping", "Invalid object"},
    {ROUTE_payment_intent_create, PAY "&shipping[foo]=x", "parameter_unknown", "shipping[foo]", NULL},
    {ROUTE_payment_intent_create, PAY "&shipping[name]=x", "parameter_missing", "shipping[address]", NULL},
    {ROUTE_payment_intent_create, PAY "&shipping[name]=x&shipping[address][line1]=y", NULL, NULL, NULL},
    {ROUTE_payment_intent_create, PAY "&shipping[name]=x&shipping[address][planet]=y", "parameter_unknown", "shipping[address][planet]", NULL},
    {ROUTE_payment_intent_create, PAY "&metadata[a]=b&metadata[c]=", NULL, NULL, NULL},
    {ROUTE_payment_intent_create, PAY "&metadata[a][b]=c", "", "metadata[a][b]", "Invalid object"},
    {ROUTE_payment_intent_create, PAY "&metadata=x", "", "metadata", "Invalid object"},
    {ROUTE_payment_intent_create, PAY "&metadata[note]=4242424242424" "242", "", "metadata[note]", NULL}, /* H114 */
    {ROUTE_payment_intent_create, PAY "&description=4242 4242 4242 " "4242", "", "description", NULL},
    {ROUTE_payment_intent_create, PAY "&transfer_data[destination]=acct_1", "", "transfer_data[destination]", NULL},
    {ROUTE_payment_intent_create, PAY "&radar_options[session]=rse_1", NULL, NULL, NULL},
    {ROUTE_payment_intent_create, PAY "&payment_method_data[card][number]=4242424242424" "242", "parameter_missing", "payment_method_data[type]", NULL},
    {ROUTE_payment_intent_create, PAY "&payment_method_data[type]=card&payment_method_data[card][number]=4242424242424" "242&payment_method_data[card][exp_month]=x", "parameter_invalid_integer", "payment_method_data[card][exp_month]", NULL},
    {ROUTE_payment_intent_create, PAY "&payment_method_data[type]=card&payment_method_data[card][fingerprint]=x", "parameter_unknown", "payment_method_data[card][fingerprint]", NULL},
    {ROUTE_payment_intent_create, PAY "&automatic_payment_methods[enabled]=true", NULL, NULL, NULL},
    {ROUTE_payment_intent_create, PAY "&automatic_payment_methods[allow_redirects]=never", "parameter_missing", "automatic_payment_methods[enabled]", NULL},
    {ROUTE_payment_intent_update, "metadata=&description=", NULL, NULL, NULL},
    {ROUTE_payment_intent_update, "capture_method=", "parameter_invalid_empty", "capture_method", NULL},
    {ROUTE_payment_intent_list, "limit=3&created[gte]=5&expand[0]=data.customer", NULL, NULL, NULL},
    {ROUTE_payment_intent_list, "limit=0&created=5", NULL, NULL, NULL}, /* clamped, not refused */
    {ROUTE_payment_intent_list, "limit=abc", "parameter_invalid_integer", "limit", "Invalid integer: abc"},
    {ROUTE_payment_intent_list, "created[between]=5", "parameter_unknown", "created[between]", NULL},
    {ROUTE_payment_intent_list, "created[gte]=x", "parameter_invalid_integer", "created[gte]", NULL},
    {ROUTE_customer_create, "", NULL, NULL, NULL},
    {ROUTE_customer_create, "phone=123456789012345678901", "", "phone", "Invalid string: 1234...8901; must be at most 20 characters"},
    {ROUTE_customer_create, "address=&shipping=", NULL, NULL, NULL},
    {ROUTE_customer_create, "invoice_settings[footer]=x", "", "invoice_settings[footer]", NULL},
    {ROUTE_webhook_endpoint_create, "url=https://x.test", "parameter_missing", "enabled_events", NULL},
    {ROUTE_webhook_endpoint_create, "url=https://x.test&enabled_events[]=*", NULL, NULL, NULL},
    // clang-format on
};

Test(route, parameters_are_judged_by_their_row)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const bool well = check(rows[i].route, rows[i].form);
        cr_expect(eq(int, well, rows[i].param == NULL), "%s: %s", rows[i].form, error.message);
        if (well || !rows[i].param) continue;
        cr_expect(eq(int, error.status, 400));
        cr_expect(eq(str, error.param, (char *)rows[i].param), "%s", rows[i].form);
        cr_expect(eq(str, (char *)(error.code ? error.code : ""), (char *)rows[i].code), "%s",
                  rows[i].form);
        if (rows[i].message) cr_expect(eq(str, error.message, (char *)rows[i].message));
    }
}

Test(route, metadata_has_its_limits) /* H113 */
{
    char form[8000];
    size_t size = (size_t)sprintf(form, PAY);
    for (int i = 0; i < 50; i++)
        size += (size_t)sprintf(form + size, "&metadata[k%d]=v", i);
    cr_expect(check(ROUTE_payment_intent_create, form));
    sprintf(form + size, "&metadata[one_more]=v");
    cr_expect(not(check(ROUTE_payment_intent_create, form)));

    cr_expect(check(ROUTE_payment_intent_create,
                    PAY "&metadata[1234567890123456789012345678901234567890]=x"));
    cr_expect(not(check(ROUTE_payment_intent_create,
                        PAY "&metadata[12345678901234567890123456789012345678901]=x")));
    size = (size_t)sprintf(form, PAY "&metadata[k]=");
    memset(form + size, 'v', 501);
    form[size + 500] = '\0';
    cr_expect(check(ROUTE_payment_intent_create, form));
    form[size + 500] = 'v';
    form[size + 501] = '\0';
    cr_expect(not(check(ROUTE_payment_intent_create, form)));
}

Test(route, a_card_number_is_in_no_message)
{
    cr_expect(not(check(ROUTE_payment_method_create,
                        "type=card&card[number]=42424242424242424242424242424242424242")));
    cr_expect(eq(ptr, strstr(error.message, "4242"), NULL));
    /* nor when it stands where it is not known, or is no number, currency or time (H133) */
    static const char *const forms[] = {"4242424242424242=x",
                                        "a[4242-4242-4242-4242]=x",
                                        "description=4242424242424242",
                                        "metadata[4242424242424242]=x",
                                        "currency=4242424242424242",
                                        "amount=4242424242424242.",
                                        "confirm=4242 4242 4242 4242",
                                        "payment_method_types=4242424242424242",
                                        "description[4242424242424242]=x"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        cr_expect(not(check(ROUTE_payment_intent_create, forms[i])), "%s", forms[i]);
        cr_expect(eq(ptr, strstr(error.message, "4242"), NULL), "%s", error.message);
        cr_expect(eq(ptr, strstr(error.param, "4242"), NULL), "%s", error.param);
    }
}

Test(route, each_element_of_an_array_is_judged_by_the_row_with_empty_brackets)
{
#define PRICE(i)                                                  \
    "line_items[" #i "][price_data][currency]=usd&line_items[" #i \
    "][price_data][unit_amount]=5&line_items[" #i "][price_data][product_data][name]=x&"
    static const struct {
        const char *form, *param, *code;
    } cases[] = {
        {"mode=payment&" PRICE(0) "line_items[0][quantity]=1", NULL, NULL},
        {"mode=payment&" PRICE(0) "line_items[0][quantity]=1&" PRICE(1), "line_items[1][quantity]",
         "parameter_missing"},
        {"mode=payment&line_items[0][quantity]=1", "line_items[0][price_data]",
         "parameter_missing"},
        {"mode=payment&line_items[0][price_data][currency]=usd&line_items[0][quantity]=1",
         "line_items[0][price_data][unit_amount]", "parameter_missing"},
        {"mode=payment&" PRICE(0) "line_items[0][quantity]=0", "line_items[0][quantity]",
         "parameter_invalid_integer"},
        {"mode=payment&" PRICE(0) "line_items[0][colour]=red", "line_items[0][colour]",
         "parameter_unknown"},
        {"mode=payment&line_items[a][quantity]=1", "line_items[a][quantity]", "parameter_unknown"},
        {"mode=payment&line_items[0]=1", "line_items[0]", ""},
        {"mode=payment&line_items=1", "line_items", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const bool good = check(ROUTE_checkout_session_create, cases[i].form);
        cr_expect(eq(int, good, cases[i].param == NULL), "%s: %s", cases[i].form, error.message);
        if (good || !cases[i].param) continue;
        cr_expect(eq(str, error.param, (char *)cases[i].param));
        cr_expect(eq(str, (char *)(error.code ? error.code : ""), (char *)cases[i].code));
    }
}
