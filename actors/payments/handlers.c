#include "handlers.h"

#include "expand.h"

// clang-format off
#define ROUTE(name, method, path, access, returns, doc) [ROUTE_##name] = name,
#define PARAM(route, kind, name, need, low, high, values, doc)
#define ROUTE_END(name)
static handler_fn *const handlers[ROUTE_COUNT] = {
#include "routes.def"
};
#undef ROUTE
#undef PARAM
#undef ROUTE_END

/* What may stand in full where its id would, by resource. Some are always null here so far; asking
 * for them in full is no error. A path is judged by its first segment alone. */
static const struct expandable {
    const char *resource, *segments;
} expandables[] = {
    {"payment_intent", "application customer invoice last_payment_error latest_charge on_behalf_of payment_method "
                       "payment_record processing review source transfer_data"},
    {"charge", "application application_fee balance_transaction customer dispute failure_balance_transaction "
               "invoice on_behalf_of outcome payment_intent payment_method_details refunds review source "
               "source_transfer transfer transfer_data"},
    {"setup_intent", "application customer latest_attempt mandate on_behalf_of payment_method single_use_mandate"},
    {"setup_attempt", "application customer on_behalf_of payment_method setup_intent"},
    {"refund", "balance_transaction charge customer failure_balance_transaction payment_intent payment_method "
               "source_transfer_reversal transfer_reversal"},
    {"customer", "cash_balance default_source discount invoice_credit_balance invoice_settings sources "
                 "subscriptions tax tax_ids test_clock"},
    {"payment_method", "card customer"},
    {"balance", ""},
    {"balance_transaction", "source"},
    {"event", ""},
    {"webhook_endpoint", "application"},
    {"checkout_session", "customer invoice line_items payment_intent payment_link setup_intent subscription"},
    {"line_item", "discounts price taxes"},
    {"source", "account customer"},
    {"token", "bank_account card"},
    {"confirmation_token", ""},
};
// clang-format on

/* The resource that a route is about: the longest one that its name ends with, its verb taken off.
 * `charge_refund_list` is about refunds. */
static const struct expandable *
expandable_of(const struct route *route)
{
    const struct expandable *found = NULL;
    const char *verb = strrchr(route->name, '_');
    const size_t size = verb ? (size_t)(verb - route->name) : strlen(route->name);
    for (size_t i = 0; i < sizeof expandables / sizeof expandables[0]; i++) {
        const size_t length = strlen(expandables[i].resource);
        if (length > size || (found && length < strlen(found->resource))) continue;
        if (memcmp(route->name + size - length, expandables[i].resource, length) == 0)
            found = &expandables[i];
    }
    return found;
}

static bool
refuse_expansion(struct call *call, struct text path)
{
    call_refuse(call,
                &(struct api_refusal){
                    .status = 400,
                    .param = "expand",
                    .message = arena_format(call->arena, "This property cannot be expanded (%.*s).",
                                            (int)path.size, path.at)},
                false);
    return false;
}

/* True when all that is to be expanded can be; else the call has been answered. In a list, what is
 * expanded belongs to its elements: data.customer. */
static bool
expansion_is_possible(struct call *call)
{
    const struct expandable *expandable = expandable_of(call->route);
    const bool list = strcmp(call->route->returns, "list") == 0 ||
                      strcmp(call->route->returns, "search_result") == 0;
    struct text path;
    size_t at = 0;
    while (expand_next(call->expand, &at, &path)) {
        struct text segment = expand_head(path);
        if (list) {
            if (!text_is(segment, "data")) return refuse_expansion(call, path);
            if (path.size == segment.size) continue;
            segment = expand_head(
                (struct text){path.at + segment.size + 1, path.size - segment.size - 1});
        }
        bool known = false;
        struct text one, all = text_of(expandable ? expandable->segments : "");
        for (size_t i = 0; !known && expand_next(all, &i, &one);)
            known = text_equal(one, segment);
        if (!known) return refuse_expansion(call, path);
    }
    return true;
}

static void
serve(struct call *call)
{
    if (call->expand.size && !expansion_is_possible(call)) return;
    handlers[call->route->number](call);
}

handler_fn *
handler_of(enum route_number route)
{
    return route < ROUTE_COUNT && handlers[route] ? serve : NULL;
}
