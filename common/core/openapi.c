#include "openapi.h"

#include "api_version.h"
#include "permission.h"
#include "route.h"
#include "schema.h"
#include <assert.h>
#include <stdio.h>

#define NAME_MAX_BYTES 256

static bool
next_word(const char **at, struct text *word)
{
    *word = (struct text){*at, strcspn(*at, " ")};
    *at += word->size;
    *at += **at == ' ';
    return word->size > 0;
}

static void
write_words(struct json_writer *w, const char *key, const char *words)
{
    struct text word;
    json_key(w, key);
    json_array(w);
    while (next_word(&words, &word))
        json_value_text(w, word);
    json_array_end(w);
}

static void
write_type(struct json_writer *w, const char *type)
{
    json_string(w, "type", type);
}

static void
write_ref(struct json_writer *w, struct text schema)
{
    char path[NAME_MAX_BYTES];
    const int size =
        snprintf(path, sizeof path, "#/components/schemas/%.*s", (int)schema.size, schema.at);
    json_open(w);
    json_text(w, "$ref", (struct text){path, (size_t)size});
    json_close(w);
}

/* A schema that has rows by its name, another one as an object of which nothing is said. */
static void
write_schema_value(struct json_writer *w, struct text name)
{
    if (schema_named(name)) {
        write_ref(w, name);
        return;
    }
    json_open(w);
    write_type(w, "object");
    json_text(w, "x-undescribed", name);
    json_close(w);
}

/* --- what is sent ------------------------------------------------------------------------------
 *
 * The rows of a route are flat, `card[number]`; a document has the tree. Each node is written by
 * asking the rows once more which of them go on from its name. */

/* The next segment of a name behind `prefix`: `[number]` behind `card`, `card` behind nothing.
 * Empty when the name is that of the node itself or of another. */
static struct text
segment_behind(const char *name, struct text prefix)
{
    if (strncmp(name, prefix.at, prefix.size) != 0) return NO_TEXT;
    const char *at = name + prefix.size;
    if (!*at) return NO_TEXT;
    if (prefix.size == 0) return (struct text){at, strcspn(at, "[")};
    if (*at != '[') return NO_TEXT;
    return (struct text){at, strcspn(at, "]") + 1};
}

static struct text
bare(struct text segment)
{
    if (segment.size && segment.at[0] == '[')
        return (struct text){segment.at + 1, segment.size - 2};
    return segment;
}

static const struct param_rule *
rule_of(const struct route *route, struct text name)
{
    for (size_t i = 0; i < route->rule_count; i++)
        if (text_is(name, route->rules[i].name)) return &route->rules[i];
    return NULL;
}

/* Is anything below the node taken? What is refused is no part of the document. */
static bool
is_taken(const struct route *route, struct text node)
{
    for (size_t i = 0; i < route->rule_count; i++) {
        const struct param_rule *rule = &route->rules[i];
        if (rule->kind == PARAM_REFUSED || strncmp(rule->name, node.at, node.size) != 0) continue;
        if (!rule->name[node.size] || rule->name[node.size] == '[') return true;
    }
    return false;
}

/* The first row that has this child, so that each is written once. */
static bool
is_first(const struct route *route, size_t index, struct text prefix, struct text segment)
{
    for (size_t i = 0; i < index; i++)
        if (text_equal(segment_behind(route->rules[i].name, prefix), segment)) return false;
    return true;
}

static void write_node(struct json_writer *w, const struct route *route, struct text node);

static struct text
child_name(char *name, struct text prefix, struct text segment)
{
    assert(prefix.size + segment.size < NAME_MAX_BYTES);
    memcpy(name, prefix.at, prefix.size);
    memcpy(name + prefix.size, segment.at, segment.size);
    name[prefix.size + segment.size] = '\0';
    return (struct text){name, prefix.size + segment.size};
}

/* Members `required` and `properties`, of the request itself or of a hash. */
static void
write_children(struct json_writer *w, const struct route *route, struct text prefix)
{
    char name[NAME_MAX_BYTES];
    bool any = false;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < route->rule_count; i++) {
            const struct text segment = segment_behind(route->rules[i].name, prefix);
            if (!segment.size || !is_first(route, i, prefix, segment)) continue;
            const struct text child = child_name(name, prefix, segment);
            const struct param_rule *rule = rule_of(route, child);
            if (pass == 0) {
                if (!rule || rule->need != PARAM_MUST) continue;
                if (!any) {
                    json_key(w, "required");
                    json_array(w);
                }
                any = true;
                json_value_text(w, bare(segment));
            } else if (is_taken(route, child)) {
                json_key_text(w, bare(segment));
                write_node(w, route, child);
            }
        }
        if (pass == 0) {
            if (any) json_array_end(w);
            json_key(w, "properties");
            json_open(w);
        }
    }
    json_close(w);
}

static bool
has_children(const struct route *route, struct text node)
{
    char name[NAME_MAX_BYTES];
    for (size_t i = 0; i < route->rule_count; i++) {
        const struct text segment = segment_behind(route->rules[i].name, node);
        if (segment.size && is_taken(route, child_name(name, node, segment))) return true;
    }
    return false;
}

static void
write_bounds(struct json_writer *w, const struct param_rule *rule, const char *least,
             const char *most)
{
    if (rule->low != INT64_MIN) json_integer(w, least, rule->low);
    if (rule->high != INT64_MAX) json_integer(w, most, rule->high);
}

static void
write_array(struct json_writer *w, const struct param_rule *rule)
{
    write_type(w, "array");
    json_key(w, "items");
    json_open(w);
    write_type(w, "string");
    if (rule->kind == PARAM_ENUMS)
        write_words(w, "enum", rule->values);
    else
        write_bounds(w, rule, "minLength", "maxLength");
    json_close(w);
}

static void
write_fields(struct json_writer *w, const char *fields, const char *type)
{
    struct text field;
    write_type(w, "object");
    json_key(w, "properties");
    json_open(w);
    while (next_word(&fields, &field)) {
        json_key_text(w, field);
        json_open(w);
        write_type(w, type);
        json_close(w);
    }
    json_close(w);
}

/* What a row says of its value. */
static void
write_rule(struct json_writer *w, const struct param_rule *rule)
{
    switch (rule->kind) {
    case PARAM_STRING:
        write_type(w, "string");
        write_bounds(w, rule, "minLength", "maxLength");
        break;
    case PARAM_SECRET:
        write_type(w, "string");
        write_bounds(w, rule, "minLength", "maxLength");
        json_string(w, "format", "password");
        break;
    case PARAM_INTEGER:
        write_type(w, "integer");
        write_bounds(w, rule, "minimum", "maximum");
        break;
    case PARAM_BOOLEAN: write_type(w, "boolean"); break;
    case PARAM_ENUM:
        write_type(w, "string");
        write_words(w, "enum", rule->values);
        break;
    case PARAM_TIMESTAMP:
        write_type(w, "integer");
        json_string(w, "format", "unix-time");
        break;
    case PARAM_METADATA:
        write_type(w, "object");
        json_raw(w, "additionalProperties", TEXT("{\"type\":\"string\",\"maxLength\":500}"));
        json_integer(w, "maxProperties", 50);
        break;
    case PARAM_STRINGS:
    case PARAM_ENUMS: write_array(w, rule); break;
    case PARAM_CURRENCY:
        write_type(w, "string");
        json_string(w, "format", "currency");
        break;
    case PARAM_ADDRESS:
        write_fields(w, "city country line1 line2 postal_code state", "string");
        break;
    case PARAM_RANGE:
        json_key(w, "anyOf");
        json_array(w);
        json_open(w);
        write_fields(w, "gt gte lt lte", "integer");
        json_close(w);
        json_open(w);
        write_type(w, "integer");
        json_close(w);
        json_array_end(w);
        break;
    case PARAM_IGNORED: json_flag(w, "x-without-effect", true); break;
    case PARAM_REFUSED:
    case PARAM_HASH: break;
    }
}

static void
write_node(struct json_writer *w, const struct route *route, struct text node)
{
    const struct param_rule *rule = rule_of(route, node);
    json_open(w);
    if (rule && rule->doc[0]) json_string(w, "description", rule->doc);
    if (rule && rule->need == PARAM_CLEARS) json_flag(w, "x-empty-unsets", true);
    if (has_children(route, node)) {
        write_type(w, "object");
        write_children(w, route, node);
    } else if (rule && rule->kind == PARAM_HASH) {
        write_type(w, "object");
    } else if (rule) {
        write_rule(w, rule);
    }
    json_close(w);
}

/* --- an operation ---------------------------------------------------------------------------- */

static void
write_path_parameters(struct json_writer *w, const struct route *route)
{
    for (const char *at = route->path; (at = strchr(at, '{')); at++) {
        json_open(w);
        json_string(w, "in", "path");
        json_text(w, "name", (struct text){at + 1, strcspn(at + 1, "}")});
        json_flag(w, "required", true);
        json_raw(w, "schema", TEXT("{\"type\":\"string\",\"maxLength\":255}"));
        json_close(w);
    }
}

/* GET and DELETE have their parameters in the query, each by its first name. */
static void
write_query_parameters(struct json_writer *w, const struct route *route)
{
    const struct text nothing = TEXT("");
    for (size_t i = 0; i < route->rule_count; i++) {
        const struct text name = segment_behind(route->rules[i].name, nothing);
        if (!is_first(route, i, nothing, name) || !is_taken(route, name)) continue;
        const struct param_rule *rule = rule_of(route, name);
        json_open(w);
        json_flag(w, "explode", true);
        json_string(w, "in", "query");
        json_text(w, "name", name);
        json_flag(w, "required", rule && rule->need == PARAM_MUST);
        json_key(w, "schema");
        write_node(w, route, name);
        json_string(w, "style", "deepObject");
        json_close(w);
    }
}

static void
write_body(struct json_writer *w, const struct route *route)
{
    bool must = false;
    for (size_t i = 0; i < route->rule_count; i++)
        must |= route->rules[i].need == PARAM_MUST && !strchr(route->rules[i].name, '[');
    json_key(w, "requestBody");
    json_open(w);
    json_key(w, "content");
    json_open(w);
    json_key(w, "application/x-www-form-urlencoded");
    json_open(w);
    json_key(w, "schema");
    json_open(w);
    write_type(w, "object");
    write_children(w, route, TEXT(""));
    json_flag(w, "additionalProperties", false);
    json_close(w);
    json_close(w);
    json_close(w);
    json_flag(w, "required", must);
    json_close(w);
}

static void
write_list(struct json_writer *w, const char *object, const struct schema *listed)
{
    json_open(w);
    write_type(w, "object");
    write_words(w, "required", "object data has_more url");
    json_key(w, "properties");
    json_open(w);
    json_key(w, "object");
    json_open(w);
    write_type(w, "string");
    write_words(w, "enum", object);
    json_close(w);
    json_key(w, "data");
    json_open(w);
    write_type(w, "array");
    json_key(w, "items");
    if (listed)
        write_ref(w, text_of(listed->name));
    else
        json_value_raw(w, TEXT("{\"type\":\"object\"}"));
    json_close(w);
    json_raw(w, "has_more", TEXT("{\"type\":\"boolean\"}"));
    if (strcmp(object, "search_result") == 0)
        json_raw(w, "next_page", TEXT("{\"type\":\"string\",\"nullable\":true}"));
    json_raw(w, "url", TEXT("{\"type\":\"string\"}"));
    json_close(w);
    json_close(w);
}

static void
write_answer(struct json_writer *w, const struct route *route)
{
    if (strcmp(route->returns, "list") == 0 || strcmp(route->returns, "search_result") == 0)
        write_list(w, route->returns, schema_listed(route));
    else
        write_schema_value(w, text_of(route->returns));
}

static void
write_response(struct json_writer *w, const char *status, const char *doc,
               const struct route *route)
{
    json_key(w, status);
    json_open(w);
    json_string(w, "description", doc);
    json_key(w, "content");
    json_open(w);
    json_key(w, "application/json");
    json_open(w);
    json_key(w, "schema");
    if (route)
        write_answer(w, route);
    else
        write_schema_value(w, TEXT("error"));
    json_close(w);
    json_close(w);
    json_close(w);
}

static void
write_operation(struct json_writer *w, const struct route *route)
{
    static const char *const methods[] = {"get", "post", "delete"};
    const char *permission = permission_resource_of(route);
    json_key(w, methods[route->method]);
    json_open(w);
    json_string(w, "operationId", route->name);
    json_string(w, "summary", route->doc);
    json_key(w, "parameters");
    json_array(w);
    write_path_parameters(w, route);
    if (route->method != HTTP_POST) write_query_parameters(w, route);
    json_array_end(w);
    if (route->method == HTTP_POST) write_body(w, route);
    json_key(w, "responses");
    json_open(w);
    write_response(w, "200", "It is so.", route);
    write_response(w, "default", "It was refused.", NULL);
    json_close(w);
    json_flag(w, "x-publishable-key", route->access == ACCESS_PUBLISHABLE);
    if (permission) json_string(w, "x-permission", permission);
    json_key(w, "x-refused");
    json_array(w);
    for (size_t i = 0; i < route->rule_count; i++)
        if (route->rules[i].kind == PARAM_REFUSED)
            json_value_text(w, text_of(route->rules[i].name));
    json_array_end(w);
    json_close(w);
}

/* --- an object ------------------------------------------------------------------------------- */

/* What stands behind `prefix` up to the end of a member's name: `amount` of `fee_details[].amount`
 * behind `fee_details[].`. NO_TEXT when the path is not directly below. */
static struct text
member_behind(const char *path, struct text prefix)
{
    if (strncmp(path, prefix.at, prefix.size) != 0) return NO_TEXT;
    const char *at = path + prefix.size;
    if (!*at || strpbrk(at, ".[")) return NO_TEXT;
    return text_of(at);
}

static void write_members(struct json_writer *w, const struct schema *schema, struct text prefix);

static void
write_below(struct json_writer *w, const struct schema *schema, const char *path, const char *end)
{
    char prefix[NAME_MAX_BYTES];
    const int size = snprintf(prefix, sizeof prefix, "%s%s", path, end);
    write_type(w, "object");
    write_members(w, schema, (struct text){prefix, (size_t)size});
}

/* An id, or what it is the id of. */
static void
write_id(struct json_writer *w, const char *values)
{
    const char *again = values;
    struct text word;
    json_key(w, "anyOf");
    json_array(w);
    json_value_raw(w, TEXT("{\"type\":\"string\",\"maxLength\":255}"));
    while (next_word(&values, &word))
        if (schema_named(word)) write_ref(w, word);
    json_array_end(w);
    write_words(w, "x-expands-to", again);
}

static void
write_one_of(struct json_writer *w, const char *words)
{
    struct text word;
    json_key(w, "allOf");
    json_array(w);
    while (next_word(&words, &word))
        write_schema_value(w, word);
    json_array_end(w);
}

static void
write_property(struct json_writer *w, const struct schema *schema, const struct property *property)
{
    json_open(w);
    if (property->presence == PROPERTY_OR_NULL) json_flag(w, "nullable", true);
    switch (property->kind) {
    case PROPERTY_TEXT:
        write_type(w, "string");
        if (property->values[0]) write_words(w, "enum", property->values);
        break;
    case PROPERTY_INTEGER: write_type(w, "integer"); break;
    case PROPERTY_FLAG: write_type(w, "boolean"); break;
    case PROPERTY_MAP:
        write_type(w, "object");
        json_raw(w, "additionalProperties", TEXT("{\"type\":\"string\"}"));
        break;
    case PROPERTY_TEXTS:
        write_type(w, "array");
        json_raw(w, "items", TEXT("{\"type\":\"string\"}"));
        break;
    case PROPERTY_HASH: write_below(w, schema, property->path, "."); break;
    case PROPERTY_ARRAY:
        write_type(w, "array");
        json_key(w, "items");
        json_open(w);
        write_below(w, schema, property->path, "[].");
        json_close(w);
        break;
    case PROPERTY_ID: write_id(w, property->values); break;
    case PROPERTY_OBJECT: write_one_of(w, property->values); break;
    case PROPERTY_OBJECTS:
        write_type(w, "array");
        json_key(w, "items");
        write_schema_value(w, text_of(property->values));
        break;
    case PROPERTY_LIST:
        json_key(w, "allOf");
        json_array(w);
        write_list(w, "list", schema_named(text_of(property->values)));
        json_array_end(w);
        break;
    case PROPERTY_ANYTHING: write_type(w, "object"); break;
    case PROPERTY_NOTHING: json_flag(w, "x-always-null", true); break;
    }
    json_close(w);
}

static void
write_members(struct json_writer *w, const struct schema *schema, struct text prefix)
{
    json_key(w, "properties");
    json_open(w);
    for (size_t i = 0; i < schema->count; i++) {
        const struct text name = member_behind(schema->properties[i].path, prefix);
        if (!name.at) continue;
        json_key_text(w, name);
        write_property(w, schema, &schema->properties[i]);
    }
    json_close(w);
    json_key(w, "required");
    json_array(w);
    for (size_t i = 0; i < schema->count; i++) {
        const struct text name = member_behind(schema->properties[i].path, prefix);
        if (name.at && schema->properties[i].presence != PROPERTY_SOMETIMES)
            json_value_text(w, name);
    }
    json_array_end(w);
    json_flag(w, "additionalProperties", false);
}

/* --- the whole ------------------------------------------------------------------------------- */

static void
write_info(struct json_writer *w)
{
    struct api_change_row change;
    json_key(w, "info");
    json_open(w);
    json_string(w, "title", "Florin");
    json_string(w, "version", API_VERSION_NEWEST);
    json_string(
        w, "description",
        "Payments. Bodies and queries are form-encoded, answers are JSON. What an operation "
        "does not list is refused by name.");
    json_key(w, "x-versions");
    json_array(w);
    for (size_t i = 0; api_version_at(i); i++)
        json_value_text(w, text_of(api_version_at(i)));
    json_array_end(w);
    json_key(w, "x-changes");
    json_array(w);
    for (size_t i = 0; api_change_at(i, &change); i++) {
        json_open(w);
        json_string(w, "since", change.since);
        json_string(w, "what", change.doc);
        json_close(w);
    }
    json_array_end(w);
    json_close(w);
}

/* What browsers open by a token of their own is no part of the API. */
static bool
is_of_a_page(const struct route *route)
{
    return route->access == ACCESS_PAGE || route->access == ACCESS_CHECKOUT;
}

/* A path stands once, with all its methods, at the place of its first row. */
static void
write_paths(struct json_writer *w)
{
    json_key(w, "paths");
    json_open(w);
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        bool written = is_of_a_page(&routes[i]);
        for (size_t k = 0; k < i; k++)
            written |= strcmp(routes[k].path, routes[i].path) == 0;
        if (written) continue;
        json_key(w, routes[i].path);
        json_open(w);
        for (size_t k = i; k < ROUTE_COUNT; k++)
            if (strcmp(routes[k].path, routes[i].path) == 0) write_operation(w, &routes[k]);
        json_close(w);
    }
    json_close(w);
}

void
openapi_write(struct json_writer *w)
{
    json_open(w);
    json_string(w, "openapi", "3.0.3");
    write_info(w);
    json_raw(w, "servers", TEXT("[{\"url\":\"/\"}]"));
    json_raw(w, "security", TEXT("[{\"bearer\":[]},{\"basic\":[]}]"));
    write_paths(w);
    json_key(w, "components");
    json_open(w);
    json_raw(w, "securitySchemes",
             TEXT("{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"},"
                  "\"basic\":{\"type\":\"http\",\"scheme\":\"basic\"}}"));
    json_key(w, "schemas");
    json_open(w);
    for (size_t i = 0; i < schema_count; i++) {
        json_key(w, schemas[i].name);
        json_open(w);
        json_string(w, "description", schemas[i].doc);
        write_type(w, "object");
        write_members(w, &schemas[i], TEXT(""));
        json_close(w);
    }
    json_close(w);
    json_close(w);
    json_close(w);
}
