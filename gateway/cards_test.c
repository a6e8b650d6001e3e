#include "cards.h"

#include "form.h"
#include "message.h"
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <sodium.h>

static uint8_t block[65536];
static char culprit[129];

static struct params
params_of(const char *form)
{
    struct params params;
    cr_assert(
        eq(int, form_parse(form, strlen(form), block, sizeof block, &params, culprit), FORM_OK));
    return params;
}

#define NUMBER \
    "42424242" \
    "42424242"
#define DATA "payment_method_data[type]=card&payment_method_data[card]"

static const struct {
    enum route_number route;
    const char *object, *form;
    enum card_need need;
    const char *prefix_or_name, *param;
} rows[] = {
    // clang-format off
    {ROUTE_payment_intent_create, NULL, "amount=1", CARD_NONE, NULL, NULL},
    {ROUTE_payment_intent_create, NULL, "payment_method=pm_123", CARD_NONE, NULL, NULL},
    {ROUTE_payment_intent_create, NULL, "payment_method=pm_card_visa", CARD_NAMED, "pm_card_visa", "payment_method"},
    {ROUTE_payment_intent_confirm, NULL, DATA "[token]=tok_visa", CARD_NAMED, "tok_visa", "payment_method_data[card][token]"},
    {ROUTE_payment_intent_create, NULL, DATA "[number]=" NUMBER "&payment_method_data[card][exp_month]=1&payment_method_data[card][exp_year]=30", CARD_TYPED, "payment_method_data[card]", NULL},
    {ROUTE_payment_intent_create, NULL, DATA "[number]=" NUMBER "&payment_method_data[card][exp_month]=1", CARD_REFUSED, NULL, "payment_method_data[card][exp_year]"},
    {ROUTE_payment_intent_create, NULL, "payment_method_data[type]=card", CARD_REFUSED, NULL, "payment_method_data[card]"},
    {ROUTE_payment_intent_create, NULL, "payment_method=pm_1&payment_method_data[type]=card", CARD_REFUSED, NULL, "payment_method"},
    {ROUTE_payment_method_create, NULL, "type=card", CARD_REFUSED, NULL, "card"},
    {ROUTE_payment_method_create, NULL, "card[exp_month]=1", CARD_REFUSED, NULL, "card[number]"},
    {ROUTE_payment_method_create, NULL, "card[number]=" NUMBER, CARD_REFUSED, NULL, "card[exp_month]"},
    {ROUTE_payment_method_create, NULL, "card[number]=" NUMBER "&card[token]=tok_visa", CARD_REFUSED, NULL, "card[token]"},
    {ROUTE_payment_method_create, NULL, "card[token]=tok_visa", CARD_NAMED, "tok_visa", "card[token]"},
    {ROUTE_payment_method_update, NULL, "card[exp_month]=1", CARD_NONE, NULL, NULL},
    {ROUTE_payment_method_attach, "pm_card_visa", "customer=cus_1", CARD_NAMED, "pm_card_visa", "payment_method"},
    {ROUTE_payment_method_attach, "pm_1", "customer=cus_1", CARD_NONE, NULL, NULL},
    {ROUTE_customer_create, NULL, "payment_method=pm_card_visa", CARD_NAMED, "pm_card_visa", "payment_method"},
    {ROUTE_payment_method_retrieve, "pm_card_visa", "", CARD_NAMED, "pm_card_visa", "payment_method"},
    {ROUTE_token_create, NULL, "", CARD_REFUSED, NULL, "card"},
    {ROUTE_token_create, NULL, "customer=cus_1", CARD_NONE, NULL, NULL},
    {ROUTE_token_create, NULL, "customer=cus_1&card=card_1", CARD_NONE, NULL, NULL},
    {ROUTE_token_create, NULL, "customer=cus_1&card[number]=" NUMBER "&card[exp_month]=1&card[exp_year]=30", CARD_TYPED, "card", NULL},
    {ROUTE_token_create, NULL, "card[number]=" NUMBER "&card[exp_month]=1&card[exp_year]=30", CARD_TYPED, "card", NULL},
    {ROUTE_token_retrieve, "tok_visa", "", CARD_NAMED, "tok_visa", NULL},
    {ROUTE_charge_create, NULL, "source=tok_visa", CARD_NAMED, "tok_visa", "source"},
    {ROUTE_charge_create, NULL, "customer=cus_1&source=card_1", CARD_NONE, NULL, NULL},
    {ROUTE_customer_update, NULL, "source=tok_visa", CARD_NAMED, "tok_visa", "source"},
    {ROUTE_customer_create, NULL, "source=tok_visa&payment_method=pm_card_visa", CARD_REFUSED, NULL, "source"},
    {ROUTE_customer_create, NULL, "source=tok_visa&payment_method=pm_1", CARD_NAMED, "tok_visa", "source"},
    {ROUTE_balance_transaction_list, NULL, "source=tok_visa", CARD_NONE, NULL, NULL},
    {ROUTE_confirmation_token_create, NULL, "payment_method=pm_card_visa", CARD_NAMED, "pm_card_visa", "payment_method"},
    // clang-format on
};

Test(cards, a_card_is_found_where_the_route_takes_one)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct card_wish wish =
            cards_find(&routes[rows[i].route], text_of(rows[i].object), params_of(rows[i].form));
        cr_expect(eq(int, wish.need, rows[i].need), "%s", rows[i].form);
        if (rows[i].param) cr_expect(text_is(wish.param, rows[i].param), "%s", rows[i].form);
        if (wish.need == CARD_NAMED) cr_expect(text_is(wish.name, rows[i].prefix_or_name));
        if (wish.need == CARD_TYPED)
            cr_expect(eq(str, (char *)wish.prefix, (char *)rows[i].prefix_or_name));
    }
}

Test(cards, only_the_vault_can_open_what_is_sealed)
{
    uint8_t public_key[32], secret_key[32], sealed[CARD_SEALED_MAX], plain[CARD_SEALED_MAX];
    size_t size;
    struct msg_card_fields fields;
    const char *field;
    cr_assert(sodium_init() >= 0);
    crypto_box_keypair(public_key, secret_key);
    const struct card_wish wish = {.need = CARD_TYPED,
                                   .number = text_of(NUMBER),
                                   .cvc = text_of("123"),
                                   .exp_month = 12,
                                   .exp_year = 2030};
    cr_assert(cards_seal(&wish, public_key, sealed, &size));
    cr_expect(eq(ptr, memmem(sealed, size, NUMBER, 16), NULL));
    cr_assert(eq(int, crypto_box_seal_open(plain, sealed, size, public_key, secret_key), 0));
    cr_assert(eq(
        int, message_decode(MSG_card_fields, plain, size - crypto_box_SEALBYTES, &fields, &field),
        MESSAGE_OK));
    cr_expect(text_is(fields.number, NUMBER));
    cr_expect(text_is(fields.cvc, "123"));
    cr_expect(eq(i64, fields.exp_year, 2030));
}

Test(cards, what_others_see_has_no_card)
{
    struct arena *arena = arena_new(1 << 20);
    const struct params before =
        params_of("amount=1&card[cvc]=123&card[exp_month]=1&card[exp_year]=30&"
                  "card[number]=" NUMBER "&card[networks][preferred]=visa&type=card");
    const struct params after = cards_redact(before, "card", arena);
    cr_expect(params_valid(after));
    cr_expect(text_is(params_find(after, "card[networks][preferred]"), "visa"));
    cr_expect(text_is(params_find(after, "amount"), "1"));
    cr_expect(not(params_have(after, "card[number]")));
    cr_expect(not(params_have(after, "card[exp_month]")));
    cr_expect(not(params_have(after, "card[exp_year]")));
    cr_expect(not(params_have(after, "card[cvc]")));
    cr_expect(eq(ptr, memmem(block, sizeof block, NUMBER, 16), NULL), "the old block is wiped");
    arena_destroy(&arena);
}

Test(cards, a_test_name_is_remembered_for_its_merchant)
{
    struct arena *arena = arena_new(1 << 20);
    struct card_memory *memory = card_memory_new();
    const struct text name = text_of("pm_card_visa");
    cr_expect(eq(ptr, (void *)card_recall(memory, text_of("acct_1"), name, 0, arena).at, NULL));
    card_remember(memory, text_of("acct_1"), name, text_of("packed"), 0);
    cr_expect(text_is(card_recall(memory, text_of("acct_1"), name, 1000, arena), "packed"));
    cr_expect(eq(ptr, (void *)card_recall(memory, text_of("acct_2"), name, 1000, arena).at, NULL));
    cr_expect(eq(
        ptr,
        (void *)card_recall(memory, text_of("acct_1"), text_of("pm_card_visa_debit"), 1000, arena)
            .at,
        NULL));
    cr_expect(
        eq(ptr, (void *)card_recall(memory, text_of("acct_1"), name, 4000000, arena).at, NULL));
    card_memory_destroy(&memory);
    arena_destroy(&arena);
}
