#include "api_version.h"

#include "json_reader.h"
#include <assert.h>

// clang-format off
#define VERSION(version) version,
#define CHANGE(name, since, object, member, doc)
static const char *const versions[] = {
#include "api_version.def"
};
#undef VERSION
#undef CHANGE
#define VERSION(version)
#define CHANGE(name, since, object, member, doc) [API_##name] = {since, object, member, doc},
static const struct api_change_row changes[API_CHANGE_COUNT] = {
#include "api_version.def"
};
#undef VERSION
#undef CHANGE
// clang-format on

bool
api_version_known(struct text version)
{
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
        if (text_is(version, versions[i])) return true;
    return false;
}

bool
api_version_has(struct text version, enum api_change change)
{
    assert(change < API_CHANGE_COUNT);
    return !version.at || text_compare(version, text_of(changes[change].since)) >= 0;
}

struct text
api_version_older(struct text a, struct text b)
{
    if (!a.at || !b.at) return a.at ? a : b;
    return text_compare(a, b) <= 0 ? a : b;
}

/* The version no longer shows that member of such an object. */
static bool
is_left_out(struct text kind, struct text member, struct text version)
{
    for (size_t i = 0; i < API_CHANGE_COUNT; i++)
        if (changes[i].member[0] && text_is(member, changes[i].member) &&
            text_is(kind, changes[i].object))
            return api_version_has(version, (enum api_change)i);
    return false;
}

/* Most objects have nothing that any version left out: they are copied as they are. */
static bool
may_have_too_much(struct text kind, struct text version)
{
    for (size_t i = 0; i < API_CHANGE_COUNT; i++)
        if (changes[i].member[0] && text_is(kind, changes[i].object) &&
            api_version_has(version, (enum api_change)i))
            return true;
    return false;
}

void
api_version_show(struct json_writer *w, struct text kind, struct text json, struct text version)
{
    struct json_member member;
    bool malformed = false;
    if (!json.at || !may_have_too_much(kind, version)) {
        json_value_raw(w, json);
        return;
    }
    json_open(w);
    for (size_t at = 0; json_next_member(json, &at, &member, &malformed);) {
        if (is_left_out(kind, member.key, version)) continue;
        json_key_text(w, member.key);
        json_value_raw(w, member.value);
    }
    json_close(w);
}

const char *
api_version_at(size_t index)
{
    return index < sizeof versions / sizeof versions[0] ? versions[index] : NULL;
}

bool
api_change_at(size_t index, struct api_change_row *row)
{
    if (index >= API_CHANGE_COUNT) return false;
    *row = changes[index];
    return true;
}
