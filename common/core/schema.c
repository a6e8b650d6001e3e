#include "schema.h"

// clang-format off
#define SCHEMA(symbol, name, doc) static const struct property symbol##_properties[] = {
#define PROPERTY(symbol, kind, path, presence, values) \
    {PROPERTY_##kind, path, PROPERTY_##presence, values},
#define SCHEMA_END(symbol) };
#include "schemas.def"
#undef SCHEMA
#undef PROPERTY
#undef SCHEMA_END
#define SCHEMA(symbol, name, doc) \
    {name, doc, symbol##_properties, sizeof symbol##_properties / sizeof symbol##_properties[0]},
#define PROPERTY(symbol, kind, path, presence, values)
#define SCHEMA_END(symbol)
const struct schema schemas[] = {
#include "schemas.def"
};
#undef SCHEMA
#undef PROPERTY
#undef SCHEMA_END
// clang-format on
const size_t schema_count = sizeof schemas / sizeof schemas[0];

const struct schema *
schema_named(struct text name)
{
    for (size_t i = 0; i < schema_count; i++)
        if (text_is(name, schemas[i].name)) return &schemas[i];
    return NULL;
}

/* `checkout.session` is `checkout_session` in the name of a route. */
static bool
ends_with(const char *name, size_t size, const char *schema)
{
    const size_t length = strlen(schema);
    if (length > size || (length < size && name[size - length - 1] != '_')) return false;
    for (size_t i = 0; i < length; i++) {
        const char wanted = schema[i] == '.' ? '_' : schema[i];
        if (name[size - length + i] != wanted) return false;
    }
    return true;
}

const struct schema *
schema_listed(const struct route *route)
{
    const char *verb = strrchr(route->name, '_');
    const size_t size = verb ? (size_t)(verb - route->name) : strlen(route->name);
    const struct schema *found = NULL;
    for (size_t i = 0; i < schema_count; i++)
        if (ends_with(route->name, size, schemas[i].name) &&
            (!found || strlen(schemas[i].name) > strlen(found->name)))
            found = &schemas[i];
    /* What is listed under another name is what a POST to the same path makes. */
    for (size_t i = 0; i < ROUTE_COUNT && !found; i++)
        if (routes[i].method == HTTP_POST && strcmp(routes[i].path, route->path) == 0)
            found = schema_named(text_of(routes[i].returns));
    return found;
}
