/* Prints docs/API.md: the public API as routes.def has it. */
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

int
main(void)
{
    printf("# The API\n\nMade from `common/core/routes.def` by `routedoc`; not to be edited.\n\n"
           "Bodies and queries are form-encoded, answers are JSON. What is not listed for an "
           "operation is refused by name.\n\n| operation | | |\n|---|---|---|\n");
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        printf("| [%s %s](#%s) | %s | %s |\n", methods[routes[i].method], routes[i].path,
               routes[i].name, routes[i].doc,
               callers[routes[i].access]);
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
