#include "metadata.h"

#include "json_reader.h"

#include <assert.h>

/* A key as it stands between the quotes in JSON: keys are compared as they are stored. */
static struct text
as_stored(struct text key, char *memory, size_t cap)
{
    struct json_writer w;
    json_writer_init(&w, memory, cap);
    json_value_text(&w, key);
    const struct text quoted = json_writer_text(&w);
    return (struct text){quoted.at + 1, quoted.size - 2};
}

/* The six bytes of an escape for each of a key's, and quotes. */
#define KEY_STORED_MAX (6 * PARAM_NAME_MAX + 2)

static bool
is_named(struct params params, const char *prefix, struct text stored)
{
    char memory[KEY_STORED_MAX];
    struct param inside;
    size_t at = 0;
    while (params_next_in(params, prefix, &at, &inside))
        if (text_equal(as_stored(inside.name, memory, sizeof memory), stored)) return true;
    return false;
}

enum metadata_verdict
metadata_merge(struct text now, struct params params, const char *prefix, struct json_writer *out)
{
    struct json_member member;
    struct param inside;
    bool malformed;
    int count = 0;
    json_open(out);
    for (size_t at = 0; !params_have(params, prefix) && now.at;) {
        if (!json_next_member(now, &at, &member, &malformed)) break;
        if (is_named(params, prefix, member.key)) continue;
        count++;
        char key[KEY_STORED_MAX + 1];
        assert(member.key.size < sizeof key);
        memcpy(key, member.key.at, member.key.size);
        key[member.key.size] = 0;
        json_raw(out, key, member.value);
    }
    for (size_t at = 0; params_next_in(params, prefix, &at, &inside);) {
        if (inside.value.size == 0) continue;
        count++;
        json_key_text(out, inside.name);
        json_value_text(out, inside.value);
    }
    json_close(out);
    return count > METADATA_KEYS_MAX ? METADATA_TOO_MANY : METADATA_OK;
}
