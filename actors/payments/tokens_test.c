/* tokens: cards that came as tokens: used once, kept by customers, paid with. */
#include "fake_engine.h"

TestSuite(tokens, .init = fake_start);

static const char *
form(const char *format, ...)
{
    char text[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return arena_copy(fake.durable, text_of(text)).at;
}
#define ID(text) (int)(text).size, (text).at
#define TYPED "card[number]=4242424242424242&card[exp_month]=8&card[exp_year]=2030&card[cvc]=123"

static struct text
token(void)
{
    cr_assert(eq(int,
                 request("token_create", NO_TEXT,
                         TYPED "&card[name]=Jenny&card[address_zip]=10115&card[address_line1]=Way"),
                 200));
    return got_id("id");
}

static struct text
customer(void)
{
    cr_assert(eq(int, request("customer_create", NO_TEXT, ""), 200));
    const struct text id = got_id("id");
    (void)told();
    return id;
}

static struct text
path(struct text one, struct text other)
{
    return text_of(form("%.*s/%.*s", ID(one), ID(other)));
}

/* --- tokens ---------------------------------------------------------------------------------- */

Test(tokens, a_token_shows_its_card_as_the_older_api_does)
{
    const struct text id = token();
    cr_assert(eq(int, request("token_retrieve", id, ""), 200));
    EXPECT_GOT("object", "token");
    EXPECT_GOT("type", "card");
    EXPECT_GOT("used", "false");
    EXPECT_GOT("card.object", "card");
    EXPECT_GOT("card.brand", "Visa");
    EXPECT_GOT("card.last4", "4242");
    EXPECT_GOT("card.name", "Jenny");
    EXPECT_GOT("card.address_zip", "10115");
    EXPECT_GOT("card.address_zip_check", "unchecked");
    EXPECT_GOT("card.cvc_check", "unchecked");
    EXPECT_GOT("card.customer", "(absent)");
    EXPECT_TOLD("");
    cr_assert(eq(int, request("token_retrieve", TEXT("tok_visa"), ""), 200));
    cr_expect(text_starts(got_id("id"), "tok_0"), "a test name stands for a new token");
}

Test(tokens, a_token_is_used_once_whatever_it_is_used_for)
{
    static const struct {
        const char *route, *form;
    } uses[] = {
        {"charge_create", "amount=100&currency=usd&source=%.*s"},
        {"customer_create", "source=%.*s"},
        {"payment_method_create", "type=card&card[token]=%.*s"},
        {"payment_intent_create",
         "amount=100&currency=usd&payment_method_data[type]=card&payment_method_data[card][token]="
         "%.*s"},
    };
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++) {
        const struct text id = token();
        cr_assert(eq(int, request(uses[i].route, NO_TEXT, form(uses[i].form, ID(id))), 200), "%s",
                  uses[i].route);
        for (size_t j = 0; j < sizeof uses / sizeof uses[0]; j++) {
            cr_assert(eq(int, request(uses[j].route, NO_TEXT, form(uses[j].form, ID(id))), 400));
            EXPECT_GOT("error.code", "token_already_used");
        }
        cr_assert(eq(int, request("token_retrieve", id, ""), 200));
        EXPECT_GOT("used", "true");
    }
}

Test(tokens, a_token_is_good_for_a_day)
{
    const struct text id = token();
    fake.now_ms += INT64_C(86400) * 1000;
    cr_assert(eq(
        int, request("charge_create", NO_TEXT, form("amount=100&currency=usd&source=%.*s", ID(id))),
        400));
    EXPECT_GOT("error.code", "resource_missing");
    EXPECT_GOT("error.param", "source");
}

Test(tokens, the_card_of_a_token_is_not_to_be_had_without_it)
{
    cr_assert(eq(int, request("token_create", NO_TEXT, TYPED), 200));
    const struct text card = got_id("card.id");
    cr_assert(eq(int, request("payment_method_list", NO_TEXT, ""), 200));
    EXPECT_GOT("data.0", "(absent)");
    cr_assert(
        eq(int,
           request("payment_intent_create", NO_TEXT,
                   form("amount=100&currency=usd&confirm=true&payment_method=%.*s", ID(card))),
           400));
    EXPECT_GOT("error.code", "payment_method_unexpected_state");
    const struct text id = customer();
    cr_assert(eq(int, request("payment_method_attach", card, form("customer=%.*s", ID(id))), 400));
    cr_assert(
        eq(int,
           request("charge_create", NO_TEXT, form("amount=100&currency=usd&source=%.*s", ID(card))),
           400));
}

Test(tokens, a_payment_method_from_a_token_has_its_card_address_and_code)
{
    const struct text id = token();
    cr_assert(eq(int,
                 request("payment_method_create", NO_TEXT,
                         form("type=card&card[token]=%.*s&billing_details[email]=j@x.de", ID(id))),
                 200));
    EXPECT_GOT("object", "payment_method");
    EXPECT_GOT("card.last4", "4242");
    EXPECT_GOT("billing_details.name", "Jenny");
    EXPECT_GOT("billing_details.email", "j@x.de");
    EXPECT_GOT("billing_details.address.postal_code", "10115");
    const struct text method = got_id("id");
    cr_expect(text_starts(method, "pm_"));
    cr_assert(eq(int,
                 request("payment_intent_create", NO_TEXT,
                         form("amount=100&currency=usd&confirm=true&payment_method_types[]=card&"
                              "payment_method=%.*s",
                              ID(method))),
                 200));
    cr_expect(text_is(fake.asked_cvc, "cvc_12345678"));
    cr_expect(text_is(fake.asked_postal_code, "10115"));
}

Test(tokens, a_customers_card_can_become_a_token_for_a_secret_key_alone)
{
    cr_assert(eq(int, request("customer_create", NO_TEXT, "source=tok_visa"), 200));
    const struct text id = got_id("id"), card = got_id("default_source");
    fake.publishable = true;
    cr_assert(eq(int, request("token_create", NO_TEXT, form("customer=%.*s", ID(id))), 400));
    fake.publishable = false;
    cr_assert(eq(int, request("token_create", NO_TEXT, form("customer=%.*s", ID(id))), 200));
    cr_expect_not(text_equal(got_id("card.id"), card), "it is a copy");
    EXPECT_GOT("card.last4", "4242");
    const struct text other = customer();
    cr_assert(eq(
        int, request("token_create", NO_TEXT, form("customer=%.*s&card=%.*s", ID(other), ID(card))),
        400));
    cr_assert(eq(int, request("token_create", NO_TEXT, form("customer=%.*s", ID(other))), 400));
}

/* --- sources --------------------------------------------------------------------------------- */

Test(tokens, the_first_source_is_the_one_that_is_charged)
{
    const struct text id = customer(), first_token = token();
    cr_assert(eq(int,
                 request("source_create", id, form("source=%.*s&metadata[a]=1", ID(first_token))),
                 200));
    EXPECT_GOT("object", "card");
    EXPECT_GOT("metadata.a", "1");
    EXPECT_GOT("customer", id.at);
    EXPECT_TOLD("customer.source.created payment_method.attached customer.updated");
    const struct text first = got_id("id");
    cr_assert(eq(int, request("source_create", id, "source=tok_visa"), 200));
    const struct text second = got_id("id");
    EXPECT_TOLD("customer.source.created payment_method.attached");
    cr_assert(
        eq(int, request("customer_retrieve", id, "expand[]=sources&expand[]=default_source"), 200));
    EXPECT_GOT("default_source.id", first.at);
    EXPECT_GOT("sources.data.0.id", second.at);
    EXPECT_GOT("sources.data.1.id", first.at);

    cr_assert(eq(int, request("source_list", id, "object=card"), 200));
    EXPECT_GOT("data.1.id", first.at);
    EXPECT_GOT("url", form("/v1/customers/%.*s/sources", ID(id)));
    cr_assert(eq(int, request("source_list", id, "object=bank_account"), 200));
    EXPECT_GOT("data.0", "(absent)");
    /* They are payment methods all the same. */
    cr_assert(eq(int, request("customer_payment_method_list", id, ""), 200));
    EXPECT_GOT("data.1.id", first.at);
    EXPECT_GOT("data.1.object", "payment_method");
}

Test(tokens, a_source_is_shown_changed_and_deleted_as_its_customers)
{
    cr_assert(eq(int, request("customer_create", NO_TEXT, "source=tok_visa"), 200));
    const struct text id = got_id("id"), card = got_id("default_source");
    EXPECT_TOLD("customer.created customer.source.created payment_method.attached");
    const struct text other = customer();
    cr_assert(eq(int, request("source_retrieve", path(id, card), ""), 200));
    EXPECT_GOT("id", card.at);
    cr_assert(eq(int, request("source_retrieve", path(other, card), ""), 404));
    EXPECT_GOT("error.code", "resource_missing");
    cr_assert(eq(int,
                 request("source_update", path(id, card),
                         "name=Jane&address_zip=1234&exp_month=3&exp_year=31&metadata[k]=v"),
                 200));
    EXPECT_GOT("name", "Jane");
    EXPECT_GOT("address_zip", "1234");
    EXPECT_GOT("exp_year", "2031");
    EXPECT_TOLD("customer.source.updated");
    cr_assert(eq(int, request("source_update", path(id, card), "name="), 200));
    EXPECT_GOT("name", "null");
    EXPECT_GOT("address_zip", "1234");
    EXPECT_TOLD("customer.source.updated");
    cr_assert(eq(int, request("customer_payment_method_retrieve", path(id, card), ""), 200));
    EXPECT_GOT("object", "payment_method");
    cr_assert(eq(int, request("customer_payment_method_retrieve", path(other, card), ""), 404));

    cr_assert(eq(int, request("source_create", id, "source=tok_visa"), 200));
    const struct text second = got_id("id");
    (void)told();
    cr_assert(eq(int, request("source_delete", path(id, card), ""), 200));
    EXPECT_GOT("deleted", "true");
    EXPECT_GOT("object", "card");
    EXPECT_TOLD("customer.updated payment_method.detached customer.source.deleted");
    cr_assert(eq(int, request("customer_retrieve", id, ""), 200));
    EXPECT_GOT("default_source", second.at);
    cr_assert(eq(int, request("source_retrieve", path(id, card), ""), 404));
    cr_assert(eq(int, request("payment_method_detach", second, ""), 200));
    cr_assert(eq(int, request("customer_retrieve", id, ""), 200));
    EXPECT_GOT("default_source", "null");
}

Test(tokens, a_new_source_of_an_update_takes_the_place_of_the_former)
{
    cr_assert(eq(int, request("customer_create", NO_TEXT, "source=tok_visa"), 200));
    const struct text id = got_id("id"), first = got_id("default_source");
    (void)told();
    cr_assert(
        eq(int, request("customer_update", id, "source=tok_bypassPending&expand[]=sources"), 200));
    const struct text second = got_id("default_source");
    EXPECT_GOT("sources.data.0.id", second.at);
    EXPECT_TOLD("payment_method.detached customer.source.deleted customer.source.created "
                "payment_method.attached customer.updated");
    cr_assert(eq(int, request("source_retrieve", path(id, first), ""), 404));
    cr_assert(eq(int, request("customer_update", id, form("default_source=%.*s", ID(first))), 400));
    EXPECT_GOT("error.code", "missing");
    cr_assert(eq(int, request("source_create", id, "source=tok_visa"), 200));
    const struct text third = got_id("id");
    cr_assert(eq(int, request("customer_update", id, form("default_source=%.*s", ID(third))), 200));
    EXPECT_GOT("default_source", third.at);
}

Test(tokens, a_declining_card_is_not_kept_and_its_token_not_used_up)
{
    const struct text id = customer();
    cr_assert(eq(int, request("source_create", id, "source=tok_visa_chargeDeclined"), 402));
    EXPECT_GOT("error.type", "card_error");
    EXPECT_GOT("error.code", "card_declined");
    cr_assert(eq(int, request("customer_create", NO_TEXT, "source=tok_visa_chargeDeclined"), 402));
    cr_assert(eq(int, request("token_retrieve", TEXT("tok_visa_chargeDeclined"), ""), 200));
    const struct text declining = got_id("id");
    for (int i = 0; i < 2; i++) {
        cr_assert(eq(int, request("source_create", id, form("source=%.*s", ID(declining))), 402));
        EXPECT_GOT("error.decline_code", "generic_decline");
    }
    cr_assert(eq(int, request("source_create", id, "source=tok_chargeCustomerFail"), 200));
    EXPECT_TOLD("customer.source.created payment_method.attached customer.updated");
    cr_assert(eq(int, request("source_create", id, "source=card_x"), 400));
    EXPECT_GOT("error.message", "No such token: 'card_x'");
}

Test(tokens, a_customers_card_pays_as_a_payment_method)
{
    cr_assert(eq(int, request("customer_create", NO_TEXT, "source=tok_visa"), 200));
    const struct text id = got_id("id"), card = got_id("default_source");
    cr_assert(eq(int,
                 request("payment_intent_create", NO_TEXT,
                         form("amount=2000&currency=usd&confirm=true&payment_method_types[]=card&"
                              "customer=%.*s&payment_method=%.*s&expand[]=payment_method",
                              ID(id), ID(card))),
                 200));
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("payment_method.id", card.at);
    EXPECT_GOT("payment_method.object", "payment_method");
    cr_assert(eq(int, request("payment_method_retrieve", card, ""), 200));
    EXPECT_GOT("customer", id.at);
}

Test(tokens, a_deleted_customer_has_no_sources)
{
    cr_assert(eq(int, request("customer_create", NO_TEXT, "source=tok_visa"), 200));
    const struct text id = got_id("id"), card = got_id("default_source");
    cr_assert(eq(int, request("customer_delete", id, ""), 200));
    cr_assert(eq(int, request("source_list", id, ""), 404));
    cr_assert(eq(int, request("source_create", id, "source=tok_visa"), 404));
    cr_assert(eq(int, request("source_retrieve", path(id, card), ""), 404));
    cr_assert(
        eq(int,
           request("charge_create", NO_TEXT, form("amount=100&currency=usd&customer=%.*s", ID(id))),
           400));
    EXPECT_GOT("error.code", "resource_missing");
}

Test(tokens, the_method_of_a_new_customer_can_be_their_default_by_its_test_name)
{
    cr_assert(eq(int,
                 request("customer_create", NO_TEXT,
                         "payment_method=pm_card_visa&invoice_settings[default_payment_method]="
                         "pm_card_visa&expand[]=invoice_settings.default_payment_method"),
                 200));
    EXPECT_GOT("invoice_settings.default_payment_method.card.last4", "4242");
}

/* --- confirmation tokens --------------------------------------------------------------------- */

Test(tokens, a_confirmation_token_confirms_one_payment_with_what_was_chosen)
{
    cr_assert(eq(int,
                 request("confirmation_token_create", NO_TEXT,
                         "payment_method=pm_card_visa&setup_future_usage=off_session&return_url="
                         "https://x.de&shipping[name]=Jo&shipping[address][line1]=Way"),
                 200));
    EXPECT_GOT("object", "confirmation_token");
    EXPECT_GOT("payment_method_preview.card.last4", "4242");
    EXPECT_GOT("shipping.name", "Jo");
    EXPECT_GOT("shipping.carrier", "(absent)");
    EXPECT_GOT("payment_intent", "null");
    const struct text chosen = got_id("id");
    const char *confirm =
        form("amount=500&currency=usd&confirm=true&confirmation_token=%.*s", ID(chosen));
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, confirm), 200));
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("setup_future_usage", "off_session");
    EXPECT_GOT("shipping.name", "Jo");
    const struct text pi = got_id("id");
    cr_assert(eq(int, request("confirmation_token_retrieve", chosen, ""), 200));
    EXPECT_GOT("payment_intent", pi.at);
    cr_assert(eq(int, request("payment_intent_create", NO_TEXT, confirm), 400));
    EXPECT_GOT("error.param", "confirmation_token");
}

Test(tokens, a_confirmation_token_sets_up_one_card_as_was_chosen)
{
    cr_assert(eq(int,
                 request("confirmation_token_create", NO_TEXT,
                         "payment_method=pm_card_visa&setup_future_usage=on_session&"
                         "return_url=https://shop.example/back"),
                 200));
    const struct text chosen = got_id("id");
    const char *confirm = form("confirm=true&confirmation_token=%.*s", ID(chosen));
    cr_assert(eq(
        int, request("setup_intent_create", NO_TEXT, form("confirmation_token=%.*s", ID(chosen))),
        400));
    EXPECT_GOT("error.param", "confirmation_token");
    cr_assert(eq(int, request("setup_intent_create", NO_TEXT, confirm), 200));
    EXPECT_GOT("status", "succeeded");
    EXPECT_GOT("usage", "on_session");
    const struct text si = got_id("id");
    cr_assert(eq(int, request("confirmation_token_retrieve", chosen, ""), 200));
    EXPECT_GOT("setup_intent", si.at);
    cr_assert(eq(int, request("setup_intent_create", NO_TEXT, confirm), 400));
    EXPECT_GOT("error.code", "token_already_used");

    cr_assert(
        eq(int, request("confirmation_token_create", NO_TEXT, "payment_method=pm_card_visa"), 200));
    const struct text second = got_id("id");
    cr_assert(eq(int, request("setup_intent_create", NO_TEXT, "payment_method_types[]=card"), 200));
    const struct text open = got_id("id");
    cr_assert(eq(int,
                 request("setup_intent_confirm", open, form("confirmation_token=%.*s", ID(second))),
                 200));
    EXPECT_GOT("status", "succeeded");
}

Test(tokens, a_confirmation_token_is_refused_beside_others_unconfirmed_and_late)
{
    cr_assert(
        eq(int,
           request("confirmation_token_create", NO_TEXT,
                   "payment_method_data[type]=card&payment_method_data[card][token]=tok_visa"),
           200));
    const struct text chosen = got_id("id");
    cr_assert(eq(int,
                 request("payment_intent_create", NO_TEXT,
                         form("amount=500&currency=usd&confirmation_token=%.*s", ID(chosen))),
                 400));
    cr_assert(eq(int,
                 request("payment_intent_create", NO_TEXT,
                         "amount=500&currency=usd&payment_method_types[]=card"),
                 200));
    const struct text pi = got_id("id");
    cr_assert(eq(int,
                 request("payment_intent_confirm", pi,
                         form("confirmation_token=%.*s&payment_method=pm_card_visa", ID(chosen))),
                 400));
    EXPECT_GOT("error.code", "parameters_exclusive");
    cr_assert(eq(int, request("payment_intent_confirm", pi, "confirmation_token=ctoken_x"), 400));
    EXPECT_GOT("error.code", "resource_missing");
    fake.now_ms += INT64_C(43300) * 1000;
    const char *confirm = form("confirmation_token=%.*s", ID(chosen));
    cr_assert(eq(int, request("payment_intent_confirm", pi, confirm), 400));
    fake.now_ms -= INT64_C(43300) * 1000;
    cr_assert(eq(int, request("payment_intent_confirm", pi, confirm), 200));
    EXPECT_GOT("status", "succeeded");
    cr_assert(eq(int, request("confirmation_token_create", NO_TEXT, ""), 400));
}
