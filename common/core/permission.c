#include "permission.h"

#include <assert.h>

struct permission {
    const char *resource, *path, *name;
};

// clang-format off
#define PERMISSION(resource, path, name) {#resource, path, name},
#define EXPANDS(segment, resource)
static const struct permission permissions[] = {
#include "permission.def"
};
#undef PERMISSION
#undef EXPANDS
#define PERMISSION(resource, path, name)
#define EXPANDS(segment, resource) {segment, #resource},
static const struct {
    const char *segment, *resource;
} expansions[] = {
#include "permission.def"
};
#undef PERMISSION
#undef EXPANDS
// clang-format on
#define PERMISSION_COUNT (sizeof permissions / sizeof permissions[0])
#define EXPANSION_COUNT (sizeof expansions / sizeof expansions[0])

/* --- whose route ----------------------------------------------------------------------------- */

/* Does a route's path begin with that one? A {} takes the route's {name}. */
static bool
begins(const char *path, const char *with)
{
    while (*with) {
        if (*with == '{' && *path == '{') {
            path = strchr(path, '}') + 1;
            with = strchr(with, '}') + 1;
        } else if (*path++ != *with++) {
            return false;
        }
    }
    return *path == '\0' || *path == '/';
}

static const struct permission *
permission_of(const struct route *route)
{
    const struct permission *found = NULL;
    for (size_t i = 0; i < PERMISSION_COUNT; i++)
        if (begins(route->path, permissions[i].path) &&
            (!found || strlen(permissions[i].path) > strlen(found->path)))
            found = &permissions[i];
    return found;
}

static const char *
name_of(const char *resource)
{
    for (size_t i = 0; i < PERMISSION_COUNT; i++)
        if (strcmp(permissions[i].resource, resource) == 0) return permissions[i].name;
    assert(!"EXPANDS names a resource of the table");
}

/* --- what was given -------------------------------------------------------------------------- */

static bool
next_word(struct text text, const char *between, size_t *at, struct text *word)
{
    while (*at < text.size && strchr(between, text.at[*at]))
        ++*at;
    const size_t from = *at;
    while (*at < text.size && !strchr(between, text.at[*at]))
        ++*at;
    *word = (struct text){text.at + from, *at - from};
    return word->size > 0;
}

/* `charges:read` taken apart. */
static bool
split(struct text word, struct text *resource, bool *write)
{
    const char *colon = word.size ? memchr(word.at, ':', word.size) : NULL;
    if (!colon) return false;
    *resource = (struct text){word.at, (size_t)(colon - word.at)};
    const struct text verb = {colon + 1, word.size - resource->size - 1};
    *write = text_is(verb, "write");
    return *write || text_is(verb, "read");
}

static bool
has(struct text granted, const char *resource, bool write)
{
    struct text word, named;
    bool may_write;
    for (size_t at = 0; next_word(granted, " ", &at, &word);)
        if (split(word, &named, &may_write) && text_is(named, resource) && (may_write || !write))
            return true;
    return false;
}

struct permission_need
permission_for_route(struct text granted, const struct route *route)
{
    const struct permission *permission = permission_of(route);
    const bool write = route->method != HTTP_GET;
    if (!permission) return (struct permission_need){"", write};
    if (has(granted, permission->resource, write)) return (struct permission_need){NULL, write};
    return (struct permission_need){permission->name, write};
}

struct permission_need
permission_for_expand(struct text granted, struct text path)
{
    struct text segment;
    for (size_t at = 0; next_word(path, ".", &at, &segment);)
        for (size_t i = 0; i < EXPANSION_COUNT; i++)
            if (text_is(segment, expansions[i].segment) &&
                !has(granted, expansions[i].resource, false))
                return (struct permission_need){name_of(expansions[i].resource), false};
    return (struct permission_need){NULL, false};
}

/* --- as people write them -------------------------------------------------------------------- */

static bool
is_resource(struct text name)
{
    for (size_t i = 0; i < PERMISSION_COUNT; i++)
        if (text_is(name, permissions[i].resource)) return true;
    return false;
}

bool
permissions_read(struct text written, char out[static PERMISSIONS_SIZE_MAX + 1],
                 struct text *culprit)
{
    size_t size = 0;
    struct text word, resource;
    bool write;
    *culprit = NO_TEXT;
    out[0] = '\0';
    for (size_t at = 0; next_word(written, ", ", &at, &word);) {
        if (!split(word, &resource, &write) || !is_resource(resource)) {
            *culprit = word;
            return false;
        }
        if (size + 1 + word.size > PERMISSIONS_SIZE_MAX) return false;
        if (size) out[size++] = ' ';
        memcpy(out + size, word.at, word.size);
        size += word.size;
        out[size] = '\0';
    }
    return size > 0;
}

const char *
permission_resource_at(size_t index)
{
    return index < PERMISSION_COUNT ? permissions[index].resource : NULL;
}

const char *
permission_resource_of(const struct route *route)
{
    const struct permission *permission = permission_of(route);
    return permission ? permission->resource : NULL;
}
