/* Prints docs/API.md: the public API as routes.def has it. */
#include "api_version.h"
#include "permission.h"
#include "route.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const methods[] = {"GET", "POST", "DELETE"};

static const char *const kinds[] = {
    [PARAM_STRING] = "text",
    [PARAM_INTEGER] = "integer",
    [PARAM_BOOLEAN] = "true, false",
    [PARAM_ENUM] = "one of",
    [PARAM_TIMESTAMP] = "Unix time",
    [PARAM_METADATA] = "hash of texts",
    [PARAM_STRINGS] = "texts",
    [PARAM_ENUMS] = "any of",
    [PARAM_CURRENCY] = "currency",
    [PARAM_ADDRESS] = "address",
    [PARAM_RANGE] = "Unix time or range",
    [PARAM_HASH] = "hash",
    [PARAM_SECRET] = "text, for the vault alone",
};

static const char *const callers[] = {
    [ACCESS_SECRET] = "",
    [ACCESS_PUBLISHABLE] = "publishable keys too",
    [ACCESS_PAGE] = "a page, without a key",
    [ACCESS_CHECKOUT] = "the checkout page, without a key",
};

static void
print_bounds(const struct param_rule *rule)
{
    const bool text =
        rule->kind == PARAM_STRING || rule->kind == PARAM_STRINGS || rule->kind == PARAM_SECRET;
    if (*rule->values) printf(" `%s`", rule->values);
    if (text) printf(" of %" PRId64 " to %" PRId64 " characters", rule->low, rule->high);
    if (rule->kind != PARAM_INTEGER || rule->low == INT64_MIN) return;
    printf(" from %" PRId64 " to %" PRId64, rule->low, rule->high);
}

static void
print_taken(const struct route *route)
{
    bool any = false;
    for (size_t i = 0; i < route->rule_count; i++) {
        const struct param_rule *rule = &route->rules[i];
        if (rule->kind == PARAM_REFUSED || rule->kind == PARAM_IGNORED) continue;
        if (!any) printf("| parameter | kind | |\n|---|---|---|\n");
        any = true;
        printf("| `%s`%s | %s", rule->name,
               rule->need == PARAM_MUST     ? ", required"
               : rule->need == PARAM_CLEARS ? ", empty unsets it"
                                            : "",
               kinds[rule->kind]);
        print_bounds(rule);
        printf(" | %s |\n", rule->doc);
    }
    if (any) printf("\n");
}

static void
print_others(const struct route *route, enum param_kind kind, const char *what)
{
    bool any = false;
    for (size_t i = 0; i < route->rule_count; i++) {
        if (route->rules[i].kind != kind) continue;
        printf("%s `%s`", any ? "," : what, route->rules[i].name);
        any = true;
    }
    if (any) printf(".\n\n");
}

static void
print_versions(void)
{
    struct api_change_row change;
    printf(
        "\n## Versions\n\nA request is answered in the version that its header `Stripe-Version` "
        "names, else in the one that its account is pinned to (`./florin merchant "
        "--api-version`). An event bears its account's version; a webhook endpoint that was made "
        "with an `api_version` hears in that one. Others than these are refused:");
    for (size_t i = 0; api_version_at(i); i++)
        printf("%s `%s`", i ? "," : "", api_version_at(i));
    printf(".\n\n| since | what changed |\n|---|---|\n");
    for (size_t i = 0; api_change_at(i, &change); i++)
        printf("| %s | %s |\n", change.since, change.doc);
}

static void
print_permissions(void)
{
    const char *resource, *former = "";
    printf(
        "\n## Keys\n\n`sk_` may do everything. `pk_` may be shown in a browser and does only what "
        "the list above says. `rk_` does what was named when it was made (`./florin key create "
        "--restricted charges:read,payment_intents:write`), resource by resource, `read` or "
        "`write`; writing includes reading. There are:");
    for (size_t i = 0; (resource = permission_resource_at(i)); i++) {
        if (strcmp(resource, former) != 0) printf("%s `%s`", *former ? "," : "", resource);
        former = resource;
    }
    printf(
        ". What `expand[]` would show must be readable too. A key that is revoked opens nothing "
        "after 15 seconds at most.\n\n## Limits\n\nAn account and a key may ask so many times a "
        "second, and an account so many times at once (settings `account_rate`, `account_burst`, "
        "`key_rate`, `key_burst`, `account_concurrency`; 0 is no limit). Beyond, the answer is 429 "
        "with the code `rate_limit`, `Retry-After`, and `Stripe-Rate-Limited-Reason`: "
        "`global-rate` or `global-concurrency`. Nothing has been done then, and nothing is kept "
        "under an idempotency key.\n\nThe pages of payers (checkout, 3-D Secure) need no key. "
        "Each has a limit of its own (`page_rate`, `page_burst`), all together have one "
        "(`pages_rate`, `pages_burst`), and neither takes from an account's: the reason is "
        "`endpoint-rate`.\n");
}

int
main(void)
{
    printf("# The API\n\nMade from `common/core/routes.def` by `routedoc`; not to be edited.\n\n"
           "Bodies and queries are form-encoded, answers are JSON. What is not listed for an "
           "operation is refused by name. The same as an OpenAPI document is served at "
           "`/openapi.json`.\n\n| operation | | |\n|---|---|---|\n");
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        printf("| [%s %s](#%s) | %s | %s |\n", methods[routes[i].method], routes[i].path,
               routes[i].name, routes[i].doc, callers[routes[i].access]);
    print_versions();
    print_permissions();
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct route *route = &routes[i];
        printf("\n## %s\n\n`%s %s` answers with a `%s`. %s\n\n", route->name,
               methods[route->method], route->path, route->returns, route->doc);
        print_taken(route);
        print_others(route, PARAM_IGNORED, "Taken, and without effect:");
        print_others(route, PARAM_REFUSED, "Known, and refused until there is more:");
    }
    return 0;
}
