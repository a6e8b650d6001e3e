#include "route.h"

#include "card_spotting.h"
#include "currency.h"
#include "utf8.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

// clang-format off
#define ROUTE(name, method, path, access, returns, doc) \
    static const struct param_rule name##_rules[] = {
#define PARAM(route, kind, name, need, low, high, values, doc) \
    {PARAM_##kind, name, PARAM_##need, low, high, values, doc},
#define ROUTE_END(name) \
    {PARAM_IGNORED, NULL, PARAM_MAY, 0, 0, "", ""}};
#include "routes.def"
#undef ROUTE
#undef PARAM
#undef ROUTE_END

#define ROUTE(name, method, path, access, returns, doc) [ROUTE_##name] = \
    {ROUTE_##name, #name, HTTP_##method, path, ACCESS_##access, returns, doc, \
     name##_rules, sizeof name##_rules / sizeof name##_rules[0] - 1},
#define PARAM(route, kind, name, need, low, high, values, doc)
#define ROUTE_END(name)
const struct route routes[ROUTE_COUNT] = {
#include "routes.def"
};
#undef ROUTE
#undef PARAM
#undef ROUTE_END
// clang-format on

/* Segment by segment; a {name} takes one that is not empty. */
static bool
path_fits(const char *pattern, struct text path, struct text *object)
{
    *object = NO_TEXT;
    size_t i = 0;
    while (*pattern) {
        if (*pattern == '{') {
            const size_t from = i;
            while (i < path.size && path.at[i] != '/')
                i++;
            if (i == from) return false;
            *object = (struct text){path.at + from, i - from};
            pattern = strchr(pattern, '}') + 1;
        } else {
            if (i == path.size || path.at[i] != *pattern) return false;
            i++;
            pattern++;
        }
    }
    return i == path.size;
}

const struct route *
route_find(enum http_method method, struct text path, struct text *object)
{
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        if (routes[i].method == method && path_fits(routes[i].path, path, object))
            return &routes[i];
    *object = NO_TEXT;
    return NULL;
}

struct text
route_parent(const struct route *route, struct text path)
{
    const char *const open = strchr(route->path, '{');
    const size_t from = open ? (size_t)(open - route->path) : 0;
    if (!open || !strchr(open + 1, '{') || path.size <= from) return NO_TEXT;
    const char *const slash = memchr(path.at + from, '/', path.size - from);
    if (!slash) return NO_TEXT;
    return (struct text){path.at + from, (size_t)(slash - path.at) - from};
}

// clang-format off
#define ROUTE(name, method, path, access, returns, doc) [ROUTE_##name] = sizeof #name - 1,
#define PARAM(route, kind, name, need, low, high, values, doc)
#define ROUTE_END(name)
static const uint8_t name_sizes[ROUTE_COUNT] = {
#include "routes.def"
};
#undef ROUTE
#undef PARAM
#undef ROUTE_END
// clang-format on

/* Asked for each request, and most names are of another length. */
const struct route *
route_named(struct text name)
{
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        if (name.size == name_sizes[i] && memcmp(name.at, routes[i].name, name.size) == 0)
            return &routes[i];
    return NULL;
}

/* --- what is wrong --------------------------------------------------------------------------- */

#define SHOWN_MAX 60

/* What of a client's text may be told back: its beginning, and nothing of it when a card number
 * stands anywhere in it, because answers are kept and logged by those who get them. */
static struct text
shown(struct text text, size_t size)
{
    const struct text head = utf8_cut(text, size); /* which may look like one where text does not */
    return card_number_in(text) || card_number_in(head) ? TEXT("***") : head;
}

/* False, so that a check can end with it. `param` is shown as the client wrote it. */
static bool refuse(struct param_error *error, const char *code, struct text param,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));
static bool
refuse(struct param_error *error, const char *code, struct text param, const char *format, ...)
{
    va_list args;
    error->code = code;
    error->status = 400;
    param = shown(param, sizeof error->param - 1);
    memcpy(error->param, param.at, param.size);
    error->param[param.size] = '\0';
    va_start(args, format);
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    const struct text whole = utf8_cut(text_of(error->message), sizeof error->message - 4);
    error->message[whole.size] = '\0';
    return false;
}

#define SHOWN(text) (int)shown(text, SHOWN_MAX).size, shown(text, SHOWN_MAX).at

/* "a", "a or b", "a, b, or c". */
static void
one_of(const char *values, char *out, size_t cap)
{
    size_t count = 1, size = 0, i = 0;
    for (const char *c = values; *c; c++)
        count += *c == ' ';
    for (const char *at = values; *at && size + 64 < cap; i++) {
        const size_t word = strcspn(at, " ");
        const char *between = i == 0 ? "" : i + 1 < count ? ", " : count == 2 ? " or " : ", or ";
        size += (size_t)snprintf(out + size, cap - size, "%s%.*s", between, (int)word, at);
        at += word;
        at += *at == ' ';
    }
}

static bool
is_among(struct text value, const char *values)
{
    for (const char *at = values; *at;) {
        const size_t word = strcspn(at, " ");
        if (value.size == word && memcmp(value.at, at, word) == 0) return true;
        at += word;
        at += *at == ' ';
    }
    return false;
}

/* --- one value ------------------------------------------------------------------------------- */

static bool
no_card_number(struct param p, struct param_error *error)
{
    if (!card_number_in(p.value) && !card_number_in(p.name)) return true;
    return refuse(error, NULL, p.name,
                  "A text in your request holds what looks like a card number. Card numbers may be "
                  "sent as the number of a card only, never as a text.");
}

static bool
check_string(const struct param_rule *rule, struct param p, struct param_error *error)
{
    const size_t count = utf8_count(p.value);
    const bool secret = rule->kind == PARAM_SECRET;
    if (count > (size_t)rule->high && (secret || p.value.size < 8))
        return refuse(error, NULL, p.name, "Invalid string; must be at most %lld characters",
                      (long long)rule->high);
    if (count > (size_t)rule->high) {
        const struct text head = utf8_cut(p.value, 4);
        size_t tail = p.value.size - 4;
        while (tail < p.value.size && ((unsigned char)p.value.at[tail] & 0xc0) == 0x80)
            tail++;
        return refuse(error, NULL, p.name,
                      "Invalid string: %.*s...%.*s; must be at most %lld characters",
                      (int)head.size, head.at, (int)(p.value.size - tail), p.value.at + tail,
                      (long long)rule->high);
    }
    if (count < (size_t)rule->low)
        return refuse(error, NULL, p.name, "Invalid string: %.*s; must be at least %lld characters",
                      secret ? 0 : (int)p.value.size, p.value.at, (long long)rule->low);
    return secret || no_card_number(p, error);
}

static bool
check_integer(const struct param_rule *rule, struct param p, struct param_error *error)
{
    int64_t value;
    if (!params_read_integer(p.value, &value))
        return refuse(error, "parameter_invalid_integer", p.name, "Invalid integer: %.*s",
                      SHOWN(p.value));
    if (value < rule->low && rule->low == 1)
        return refuse(error, "parameter_invalid_integer", p.name, "Invalid positive integer");
    if (value < rule->low)
        return refuse(error, "parameter_invalid_integer", p.name,
                      "This value must be greater than or equal to %lld.", (long long)rule->low);
    if (value > rule->high)
        return refuse(error, "parameter_invalid_integer", p.name,
                      "This value must be less than or equal to %lld.", (long long)rule->high);
    return true;
}

static bool
check_timestamp(struct param p, struct param_error *error)
{
    int64_t value;
    if (params_read_integer(p.value, &value) && value >= 0) return true;
    return refuse(error, "parameter_invalid_integer", p.name,
                  "Invalid timestamp: %.*s; must be an integer Unix timestamp in seconds",
                  SHOWN(p.value));
}

static bool
check_enum(const struct param_rule *rule, struct param p, struct param_error *error)
{
    char values[512];
    bool flag;
    if (is_among(p.value, rule->values)) return true;
    if (is_among(TEXT("true"), rule->values) && params_read_flag(p.value, &flag)) return true;
    one_of(rule->values, values, sizeof values);
    return refuse(error, NULL, p.name, "Invalid %.*s: must be one of %s", SHOWN(p.name), values);
}

static bool
check_currency(struct param p, struct param_error *error)
{
    char list[900];
    if (currency_find(p.value)) return true;
    currency_list(list, sizeof list);
    return refuse(error, NULL, p.name,
                  "Invalid currency: %.*s. Stripe currently supports these currencies: %s",
                  SHOWN(p.value), list);
}

#define METADATA_KEYS_MAX 50
#define METADATA_KEY_MAX 40
#define METADATA_VALUE_MAX 500

static bool
check_metadata(struct text key, struct param p, struct param_error *error)
{
    if (utf8_count(key) > METADATA_KEY_MAX)
        return refuse(error, NULL, p.name,
                      "Invalid metadata key: %.*s; keys may be at most %d characters", SHOWN(key),
                      METADATA_KEY_MAX);
    if (utf8_count(p.value) > METADATA_VALUE_MAX)
        return refuse(error, NULL, p.name,
                      "Invalid metadata value of %.*s; values may be at most %d characters",
                      SHOWN(key), METADATA_VALUE_MAX);
    return no_card_number(p, error);
}

static bool
check_scalar(const struct param_rule *rule, struct param p, struct param_error *error)
{
    bool flag;
    switch (rule->kind) {
    case PARAM_STRING:
    case PARAM_STRINGS:
    case PARAM_SECRET: return check_string(rule, p, error);
    case PARAM_INTEGER: return check_integer(rule, p, error);
    case PARAM_TIMESTAMP:
    case PARAM_RANGE: return check_timestamp(p, error);
    case PARAM_ENUM:
    case PARAM_ENUMS: return check_enum(rule, p, error);
    case PARAM_CURRENCY: return check_currency(p, error);
    case PARAM_BOOLEAN:
        if (params_read_flag(p.value, &flag)) return true;
        return refuse(error, NULL, p.name, "Invalid boolean: %.*s", SHOWN(p.value));
    case PARAM_METADATA:
    case PARAM_ADDRESS:
    case PARAM_HASH: return refuse(error, NULL, p.name, "Invalid object");
    case PARAM_REFUSED:
    case PARAM_IGNORED: break;
    }
    return true;
}

/* --- which rule a parameter is for -------------------------------------------------------------
 */

static const char address_fields[] = "city country line1 line2 postal_code state";
#define ADDRESS_FIELD_MAX 5000

/* What stands in the one pair of brackets after the rule's name; NO_TEXT when there is more. */
static struct text
only_key(struct text rest)
{
    if (rest.size < 2 || rest.at[0] != '[') return NO_TEXT;
    const char *end = memchr(rest.at, ']', rest.size);
    if (!end || (size_t)(end - rest.at) != rest.size - 1) return NO_TEXT;
    return (struct text){rest.at + 1, rest.size - 2};
}

/* How much of a parameter's name the rule's name stands for; `[]` in it is any element of an array:
 * `[0]`, `[17]`. 0: the parameter has another name. */
static size_t
rule_begins(const char *rule, struct text name)
{
    size_t i = 0;
    for (; *rule; rule++) {
        if (i == name.size || name.at[i] != *rule) return 0;
        i++;
        if (rule[0] != '[' || rule[1] != ']') continue;
        const size_t from = i;
        while (i < name.size && name.at[i] >= '0' && name.at[i] <= '9')
            i++;
        if (i == from) return 0;
    }
    return i;
}

/* True when the rule judges a parameter whose name goes on with `rest` after the rule's. */
static bool
rule_takes(const struct param_rule *rule, struct text rest)
{
    if (rest.size == 0) return true;
    if (rest.at[0] != '[') return false;
    switch (rule->kind) {
    case PARAM_ADDRESS: return is_among(only_key(rest), address_fields);
    case PARAM_RANGE: return is_among(only_key(rest), "gt gte lt lte");
    case PARAM_HASH: return false; /* its fields have rows of their own */
    default: return true;          /* of a wrong shape perhaps, but not unknown */
    }
}

static const struct param_rule *
rule_for(const struct route *route, struct text name, struct text *rest)
{
    for (size_t i = 0; i < route->rule_count; i++) {
        const struct param_rule *rule = &route->rules[i];
        if (!name.size || rule->name[0] != name.at[0]) continue; /* nearly all */
        const size_t size = rule_begins(rule->name, name);
        if (!size) continue;
        *rest = (struct text){name.at + size, name.size - size};
        if (rule_takes(rule, *rest)) return rule;
    }
    return NULL;
}

static bool
check_param(const struct param_rule *rule, struct param p, struct text rest,
            struct param_error *error)
{
    const struct text key = only_key(rest);
    if (rule->kind == PARAM_IGNORED) return no_card_number(p, error);
    if (rule->kind == PARAM_REFUSED)
        return refuse(error, NULL, p.name,
                      "The parameter '%.*s' belongs to a feature that is not supported here yet. "
                      "Remove it from your request.",
                      SHOWN(p.name));
    if (rest.size == 0) {
        if (p.value.size == 0 && rule->need == PARAM_CLEARS) return true;
        if (p.value.size == 0)
            return refuse(error, "parameter_invalid_empty", p.name,
                          "You passed an empty string for '%.*s'. An empty value asks to unset a "
                          "parameter; '%.*s' cannot be unset. Remove it from your request or "
                          "give it a value.",
                          SHOWN(p.name), SHOWN(p.name));
        if (rule->kind == PARAM_STRINGS || rule->kind == PARAM_ENUMS)
            return refuse(error, NULL, p.name, "Invalid array");
        return check_scalar(rule, p, error);
    }
    switch (rule->kind) {
    case PARAM_METADATA:
        if (!key.at || key.size == 0) return refuse(error, NULL, p.name, "Invalid object");
        return check_metadata(key, p, error);
    case PARAM_STRINGS:
    case PARAM_ENUMS: {
        int64_t index;
        if (!params_read_integer(key, &index)) return refuse(error, NULL, p.name, "Invalid array");
        if (p.value.size == 0)
            return refuse(error, "parameter_invalid_empty", p.name,
                          "You passed an empty string for '%.*s'.", SHOWN(p.name));
        return check_scalar(rule, p, error);
    }
    case PARAM_ADDRESS: {
        static const struct param_rule field = {
            PARAM_STRING, "", PARAM_CLEARS, 0, ADDRESS_FIELD_MAX, "", ""};
        return check_string(&field, p, error);
    }
    case PARAM_RANGE: return check_timestamp(p, error);
    case PARAM_INTEGER:
        return refuse(error, "parameter_invalid_integer", p.name, "Invalid integer");
    case PARAM_BOOLEAN: return refuse(error, NULL, p.name, "Invalid boolean");
    default: return refuse(error, NULL, p.name, "Invalid string");
    }
}

/* --- the whole request -------------------------------------------------------------------------
 */

/* `a[b]` is inside `a`: is any of it given? A field of the request itself is always asked for. */
static bool
hash_is_given(const char *name, struct params params)
{
    char hash[PARAM_NAME_MAX];
    const char *last = strrchr(name, '[');
    struct param p;
    if (!last) return true;
    const size_t size = (size_t)(last - name);
    assert(size < sizeof hash);
    memcpy(hash, name, size);
    hash[size] = '\0';
    size_t at = 0;
    return params_next_in(params, hash, &at, &p);
}

/* Each element of an array that is there has the field, unless the hash that the field is in is
 * missing as a whole. */
static bool
elements_have(const struct param_rule *rule, struct params params, struct param_error *error)
{
    char name[PARAM_NAME_MAX];
    const char *const brackets = strstr(rule->name, "[]");
    const int before = (int)(brackets - rule->name);
    for (int i = 0;; i++) {
        snprintf(name, sizeof name, "%.*s[%d]", before, rule->name, i);
        if (!params_have_any(params, name)) return true;
        snprintf(name, sizeof name, "%.*s[%d]%s", before, rule->name, i, brackets + 2);
        if (hash_is_given(name, params) && !params_have_any(params, name))
            return refuse(error, "parameter_missing", text_of(name), "Missing required param: %s.",
                          name);
    }
}

#define RULES_MAX 256

bool
route_check(const struct route *route, struct params params, struct param_error *error)
{
    uint16_t judge[PARAMS_COUNT_MAX]; /* of each parameter: its rule, by its place in the route */
    uint16_t given_to[RULES_MAX];     /* of each rule: how many parameters it judges */
    struct param p;
    struct text rest;
    size_t count = 0;
    assert(route->rule_count <= RULES_MAX);
    memset(error, 0, sizeof *error);
    memset(given_to, 0, route->rule_count * sizeof *given_to);

    for (size_t at = 0; params_next(params, &at, &p); count++) {
        assert(count < PARAMS_COUNT_MAX);
        const struct param_rule *rule = rule_for(route, p.name, &rest);
        if (!rule)
            return refuse(error, "parameter_unknown", p.name, "Received unknown parameter: %.*s",
                          SHOWN(p.name));
        judge[count] = (uint16_t)(rule - route->rules);
        given_to[judge[count]]++;
    }
    for (size_t i = 0; i < route->rule_count; i++) {
        const struct param_rule *rule = &route->rules[i];
        const size_t given = given_to[i];
        if (!given && rule->need != PARAM_MUST) continue;
        const bool in_array = strstr(rule->name, "[]") != NULL;
        size_t keys = 0, at = 0, left = given;
        struct text hash = NO_TEXT; /* that the keys are of */
        for (size_t k = 0; left && params_next(params, &at, &p); k++) {
            if (judge[k] != i) continue;
            left--;
            const size_t size = rule_begins(rule->name, p.name);
            rest = (struct text){p.name.at + size, p.name.size - size};
            if (!check_param(rule, p, rest, error)) return false;
            if (!text_equal(hash, (struct text){p.name.at, size})) keys = 0;
            hash = (struct text){p.name.at, size};
            if (rule->kind == PARAM_METADATA && rest.size > 0 && ++keys > METADATA_KEYS_MAX)
                return refuse(error, NULL, text_of(rule->name), "Metadata may hold at most %d keys",
                              METADATA_KEYS_MAX);
        }
        if (rule->need == PARAM_MUST && in_array && !elements_have(rule, params, error))
            return false;
        if (rule->need == PARAM_MUST && !in_array && given == 0 &&
            hash_is_given(rule->name, params))
            return refuse(error, "parameter_missing", text_of(rule->name),
                          "Missing required param: %s.", rule->name);
    }
    return true;
}
