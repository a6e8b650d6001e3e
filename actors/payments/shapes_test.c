/* shapes: every kind of answer against the published schema, by the validator that comes with it.
 * Skipped, in words, where that is not at hand: FLORIN_SHARED names its folder, else ../shared
 * beside the checkout is tried. */
#include "fake_engine.h"

#include <unistd.h>

TestSuite(shapes, .init = fake_start, .timeout = 110);

static FILE *answers;

static const char *
shared(void)
{
    static char path[1024];
    const char *given = getenv("FLORIN_SHARED");
    char *end = NULL;
    if (given) return given;
    snprintf(path, sizeof path, "%s", __FILE__);
    /* …/checkout/actors/payments/shapes_test.c */
    for (int up = 0; up < 4 && (end = strrchr(path, '/')); up++)
        *end = 0;
    strncat(path, "/shared", sizeof path - strlen(path) - 1);
    return path;
}

/* One line for each answer: the schema that is meant, and the JSON. */
static void
keep_answer(const char *schema)
{
    fprintf(answers, "%s\t%.*s\n", schema, (int)fake.body.size, fake.body.at);
}

static struct text
answer(int status, const char *route, struct text object, const char *form)
{
    static const char *const methods[] = {"get", "post", "delete"};
    const struct route *row = route_named(text_of(route));
    char op[256];
    cr_assert(eq(int, request(route, object, form), status), "%s %s: %.*s", route, form,
              (int)fake.body.size, fake.body.at);
    snprintf(op, sizeof op, "%s %s", methods[row->method], row->path);
    /* Published elsewhere; it is a list like the one of all refunds. */
    if (strcmp(route, "charge_refund_list") == 0) strcpy(op, "get /v1/refunds");
    keep_answer(op);
    return got_id("id");
}

static const char *
with(const char *format, struct text id)
{
    return arena_format(fake.durable, format, (int)id.size, id.at).at;
}

#define NOW "amount=2000&currency=usd&confirm=true&payment_method_types[]=card&payment_method="
#define DEEP                                                                                    \
    "&expand[]=latest_charge.balance_transaction.source&expand[]=payment_method.customer&"      \
    "expand[]=customer.invoice_settings.default_payment_method&expand[]=latest_charge.refunds&" \
    "expand[]=latest_charge.payment_intent"

static void
play_payments(struct text customer)
{
    const struct text id = answer(200, "payment_intent_create", NO_TEXT, NOW "pm_card_visa" DEEP);
    answer(200, "payment_intent_retrieve", id, DEEP + 1);
    const struct text charge = got_id("latest_charge.id");
    answer(200, "payment_intent_update", id, "description=x&metadata[a]=b");
    answer(400, "payment_intent_confirm", id, "");
    answer(400, "payment_intent_cancel", id, "");
    answer(200, "charge_retrieve", charge, "expand[]=refunds&expand[]=payment_intent");
    answer(200, "charge_update", charge,
           "shipping[name]=J&shipping[address][line1]=1&fraud_details[user_report]=safe");
    const struct text re =
        answer(200, "refund_create", NO_TEXT,
               with("payment_intent=%.*s&amount=500&reason=duplicate&expand[]=charge.refunds&"
                    "expand[]=payment_method&expand[]=balance_transaction",
                    id));
    answer(400, "refund_create", NO_TEXT, with("charge=%.*s&amount=1501", charge));
    answer(200, "refund_retrieve", re, "");
    answer(200, "refund_update", re, "metadata[a]=b");
    answer(200, "refund_list", NO_TEXT, "expand[]=data.charge");
    answer(200, "charge_refund_list", charge, "");
    fake.outcome = OUTCOME_NEVER_SENT;
    answer(200, "refund_create", NO_TEXT, with("charge=%.*s", charge));
    answer(402, "payment_intent_create", NO_TEXT, NOW "pm_card_visa");
    fake.outcome = 0;

    answer(402, "payment_intent_create", NO_TEXT, NOW "pm_card_visa_chargeDeclined");
    const struct text declined = got_id("error.payment_intent.id");
    answer(200, "payment_intent_retrieve", declined, "expand[]=latest_charge");
    answer(400, "payment_intent_create", NO_TEXT, NOW "pm_card_createDispute");
    answer(200, "payment_intent_create", NO_TEXT,
           with("amount=500&currency=jpy&customer=%.*s&setup_future_usage=off_session&"
                "shipping[name]=J&shipping[address][line1]=1&receipt_email=a@example.com&"
                "payment_method_options[card][setup_future_usage]=on_session&"
                "statement_descriptor_suffix=X&transfer_group=g&description=d",
                customer));

    const struct text held =
        answer(200, "payment_intent_create", NO_TEXT,
               NOW "pm_card_visa&capture_method=manual&expand[]=latest_charge");
    fake.outcome = OUTCOME_DECLINED;
    answer(402, "payment_intent_capture", held, "");
    fake.outcome = 0;
    answer(200, "payment_intent_capture", held, "amount_to_capture=700");
    answer(200, "payment_intent_create", NO_TEXT, NOW "pm_card_visa&capture_method=manual");
    answer(200, "charge_capture", got_id("latest_charge"), "");
    answer(200, "payment_intent_create", NO_TEXT, NOW "pm_card_visa&capture_method=manual");
    answer(200, "payment_intent_cancel", got_id("id"), "cancellation_reason=abandoned");
    answer(200, "payment_intent_list", NO_TEXT, "expand[]=data.latest_charge.balance_transaction");
    answer(200, "charge_list", NO_TEXT, "expand[]=data.refunds");
    answer(200, "balance_retrieve", NO_TEXT, "");
    answer(200, "balance_transaction_list", NO_TEXT, "expand[]=data.source");
    answer(200, "balance_transaction_retrieve", got_id("data.0.id"), "");
}

/* The page's answer is no object of the API, so it is not held against anything. */
static void
pass_challenge(const char *url)
{
    const char *at = strstr(url, "/3ds/") + strlen("/3ds/");
    const size_t size = strcspn(at, "?");
    cr_assert(eq(int,
                 request("challenge_complete", (struct text){at, size},
                         arena_format(fake.durable, "%s&decision=approve", at + size + 1).at),
                 200));
}

static void
play_challenges(struct text customer)
{
    const struct text id =
        answer(200, "payment_intent_create", NO_TEXT,
               NOW "pm_card_authenticationRequiredOnSetup&return_url=https://a.b/c");
    pass_challenge(got("next_action.redirect_to_url.url"));
    answer(200, "payment_intent_retrieve", id, "expand[]=latest_charge");
    answer(200, "payment_intent_create", NO_TEXT, NOW "pm_card_authenticationRequiredOnSetup");
    answer(402, "payment_intent_create", NO_TEXT,
           NOW "pm_card_authenticationRequiredOnSetup&off_session=true");

    const struct text setup =
        answer(200, "setup_intent_create", NO_TEXT,
               with("confirm=true&payment_method=pm_card_authenticationRequiredOnSetup&"
                    "return_url=https://a.b/c&customer=%.*s&metadata[a]=b&expand[]=latest_attempt",
                    customer));
    pass_challenge(got("next_action.redirect_to_url.url"));
    answer(200, "setup_intent_retrieve", setup,
           "expand[]=latest_attempt.payment_method&expand[]=customer&expand[]=payment_method");
    answer(400, "setup_intent_confirm", setup, "");
    answer(200, "setup_attempt_list", NO_TEXT,
           with("setup_intent=%.*s&expand[]=data.setup_intent", setup));
    answer(402, "setup_intent_create", NO_TEXT,
           "confirm=true&payment_method=pm_card_visa_chargeDeclined&use_stripe_sdk=true");
    const struct text open = answer(200, "setup_intent_create", NO_TEXT, "description=d");
    answer(200, "setup_intent_update", open, "payment_method=pm_card_visa");
    answer(400, "setup_intent_verify_microdeposits", open, "");
    answer(200, "setup_intent_confirm", open,
           "payment_method=pm_card_authenticationRequiredOnSetup&use_stripe_sdk=true");
    answer(200, "setup_intent_cancel", open, "cancellation_reason=duplicate");
    answer(200, "setup_intent_list", NO_TEXT, "expand[]=data.latest_attempt");
}

static struct text
play_people(void)
{
    const struct text customer =
        answer(200, "customer_create", NO_TEXT,
               "email=a@example.com&payment_method=pm_card_visa&address[city]=x&"
               "shipping[name]=J&shipping[address][line1]=1&preferred_locales[]=de&metadata[a]=b");
    answer(200, "customer_update", customer, "name=J&tax_exempt=exempt");
    answer(200, "customer_retrieve", customer, "expand[]=invoice_settings.default_payment_method");
    answer(200, "customer_list", NO_TEXT, "");
    answer(200, "customer_payment_method_list", customer, "expand[]=data.customer");
    answer(200, "payment_method_list", NO_TEXT, with("customer=%.*s", customer));
    const struct text method = answer(200, "payment_method_create", NO_TEXT,
                                      "type=card&card[token]=tok_visa_cvc&"
                                      "billing_details[address][line1]=x&metadata[a]=b");
    answer(200, "payment_method_attach", method, with("customer=%.*s", customer));
    answer(200, "payment_method_update", method, "billing_details[name]=J");
    answer(200, "payment_method_retrieve", method, "expand[]=customer");
    answer(200, "payment_method_detach", method, "");
    answer(402, "payment_method_attach", TEXT("pm_card_visa_chargeDeclined"),
           with("customer=%.*s", customer));
    answer(200, "customer_create", NO_TEXT, "");
    answer(200, "customer_delete", got_id("id"), "");
    answer(200, "customer_retrieve", got_id("id"), "");
    return customer;
}

static void
play_notices(void)
{
    const struct text id = answer(200, "webhook_endpoint_create", NO_TEXT,
                                  "url=https://example.com/&enabled_events[]=*&metadata[a]=b");
    answer(200, "webhook_endpoint_retrieve", id, "");
    answer(200, "webhook_endpoint_update", id, "disabled=true&description=x");
    answer(200, "webhook_endpoint_list", NO_TEXT, "");
    answer(200, "webhook_endpoint_delete", id, "");
    answer(200, "event_list", NO_TEXT, "limit=100");
    answer(200, "event_retrieve", got_id("data.0.id"), "");
    /* What is told is an object of the API itself. */
    for (size_t i = 0; i < fake.event_count; i++) {
        fake.body = fake.events[i].data;
        keep_answer(got("object"));
    }
}

static const char check[] = "import sys, json; sys.path.insert(0, sys.argv[1] + '/stripe')\n"
                            "import validate_response as v\n"
                            "bad = count = 0\n"
                            "for line in open(sys.argv[2]):\n"
                            "    what, text = line.rstrip('\\n').split('\\t', 1)\n"
                            "    data = json.loads(text)\n"
                            "    schema = v.op_schema(what) if ' ' in what else v.S[what]\n"
                            "    if 'error' in data and len(data) == 1: schema = v.S['error']\n"
                            "    for path, problem in v.check(data, schema, strict=True):\n"
                            "        bad += 1; print(what, path, problem)\n"
                            "    count += 1\n"
                            "print(count, 'answers checked')\n"
                            "sys.exit(1 if bad or count < 60 else 0)\n";

Test(shapes, every_answer_and_every_event_has_its_published_shape)
{
    char path[1200], command[4096], file[] = "/tmp/florin_shapes_XXXXXX";
    snprintf(path, sizeof path, "%s/stripe/validate_response.py", shared());
    if (access(path, R_OK) != 0) cr_skip_test("there is no %s to check answers with", path);
    const int descriptor = mkstemp(file);
    cr_assert(descriptor >= 0 && (answers = fdopen(descriptor, "w")));
    const struct text customer = play_people();
    play_payments(customer);
    play_challenges(customer);
    play_notices();
    fclose(answers);
    snprintf(command, sizeof command,
             "PYTHONDONTWRITEBYTECODE=1 python3 - '%s' '%s' <<'END'\n%sEND\n", shared(), file,
             check);
    const int result = system(command);
    unlink(file);
    cr_expect(eq(int, result, 0));
}
