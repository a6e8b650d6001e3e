/* schema: the objects that the API answers with, from schemas.def. */
#pragma once

#include "route.h"
#include "text.h"

enum property_kind {
    PROPERTY_TEXT,
    PROPERTY_INTEGER,
    PROPERTY_FLAG,
    PROPERTY_MAP,
    PROPERTY_TEXTS,
    PROPERTY_HASH,
    PROPERTY_ARRAY,
    PROPERTY_ID,
    PROPERTY_OBJECT,
    PROPERTY_OBJECTS,
    PROPERTY_LIST,
    PROPERTY_ANYTHING,
    PROPERTY_NOTHING,
};

enum property_presence { PROPERTY_ALWAYS, PROPERTY_OR_NULL, PROPERTY_SOMETIMES };

struct property {
    enum property_kind kind;
    const char *path;
    enum property_presence presence;
    const char *values;
};

struct schema {
    const char *name, *doc;
    const struct property *properties;
    size_t count;
};

extern const struct schema schemas[];
extern const size_t schema_count;

/* NULL: there is none of that name. */
const struct schema *schema_named(struct text name);
/* What a list or a search result of that route holds: the schema whose name stands last in the
 * route's, before its verb. NULL: none is known. */
const struct schema *schema_listed(const struct route *route);
