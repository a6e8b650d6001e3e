#include "permission.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

static const char *
missing(const char *granted, const char *route, bool *write)
{
    const struct permission_need need =
        permission_for_route(text_of(granted), route_named(text_of(route)));
    *write = need.write;
    return need.name ? need.name : "nothing";
}

Test(permission, every_route_belongs_to_a_resource)
{
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (routes[i].access == ACCESS_PAGE || routes[i].access == ACCESS_CHECKOUT)
            continue; /* opened by a token of their own, not by a key */
        cr_expect(permission_resource_of(&routes[i]) != NULL, "%s is in no row of permission.def",
                  routes[i].path);
    }
}

Test(permission, what_is_not_given_is_refused_by_its_name)
{
    static const struct {
        const char *granted, *route, *missing;
        bool write;
    } rows[] = {
        // clang-format off
        {"charges:read", "charge_retrieve", "nothing", false},
        {"charges:read", "charge_list", "nothing", false},
        {"charges:read", "charge_update", "charge", true},
        {"charges:write", "charge_update", "nothing", true},
        {"charges:write", "charge_list", "nothing", false},
        {"charges:write", "customer_list", "customer", false},
        {"customers:read", "customer_delete", "customer", true},
        {"customers:write", "customer_delete", "nothing", true},
        {"customers:write", "customer_payment_method_list", "payment_method", false},
        {"payment_methods:read", "customer_payment_method_list", "nothing", false},
        {"charges:write", "charge_refund_list", "refund", false},
        {"refunds:read", "charge_refund_list", "nothing", false},
        {"balance:read", "balance_transaction_list", "balance_transaction", false},
        {"balance_transactions:read", "balance_retrieve", "balance", false},
        {"charges:read customers:read payment_intents:write", "payment_intent_create", "nothing", true},
        {"charges:read customers:read payment_intents:write", "webhook_endpoint_list", "webhook", false},
        {"", "balance_retrieve", "balance", false},
        // clang-format on
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool write;
        cr_expect(eq(str, (char *)missing(rows[i].granted, rows[i].route, &write),
                     (char *)rows[i].missing),
                  "%s with %s", rows[i].route, rows[i].granted);
        cr_expect(eq(int, write, rows[i].write));
    }
}

Test(permission, what_is_expanded_must_be_readable)
{
    static const struct {
        const char *granted, *path, *missing;
    } rows[] = {
        {"payment_intents:read", "latest_charge", "charge"},
        {"charges:read", "latest_charge", NULL},
        {"charges:read", "data.latest_charge.balance_transaction", "balance_transaction"},
        {"charges:write balance_transactions:read", "data.latest_charge.balance_transaction", NULL},
        {"charges:read", "source", "refund"},
        {"charges:read", "data", NULL},
        {"charges:read", "transfer_data", NULL},
        {"", "invoice_settings.default_payment_method", "payment_method"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *name =
            permission_for_expand(text_of(rows[i].granted), text_of(rows[i].path)).name;
        cr_expect(rows[i].missing ? name && strcmp(name, rows[i].missing) == 0 : !name,
                  "%s with %s", rows[i].path, rows[i].granted);
    }
}

Test(permission, people_write_them_with_commas_and_errors_are_named)
{
    char out[PERMISSIONS_SIZE_MAX + 1];
    struct text culprit;
    cr_expect(permissions_read(TEXT("charges:read,payment_intents:write"), out, &culprit));
    cr_expect(eq(str, out, "charges:read payment_intents:write"));
    cr_expect(permissions_read(TEXT(" charges:read,  refunds:read "), out, &culprit));
    cr_expect(eq(str, out, "charges:read refunds:read"));
    static const char *const bad[] = {"charges",      "charges:",       "charges:own",
                                      "nothing:read", "charges:read:x", ":read"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect(not(permissions_read(text_of(bad[i]), out, &culprit)), "%s", bad[i]);
        cr_expect(text_is(culprit, bad[i]));
    }
    cr_expect(not(permissions_read(TEXT(""), out, &culprit)));
    cr_expect(not(permissions_read(TEXT(" , "), out, &culprit)));
    static char many[4096];
    for (size_t i = 0; i + 14 < sizeof many; i += 13)
        memcpy(many + i, "charges:read ", 14);
    cr_expect(not(permissions_read(text_of(many), out, &culprit)));
    cr_expect(culprit.at == NULL);
}
