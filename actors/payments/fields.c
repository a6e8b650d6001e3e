#include "fields.h"

#include "json_reader.h"
#include "metadata.h"

#include <stdio.h>

/* No parameter of ours has a longer name. */
#define NAME_MAX_BYTES 160

static const char *
inside(char name[static NAME_MAX_BYTES], const char *hash, const char *key)
{
    snprintf(name, NAME_MAX_BYTES, "%s[%s]", hash, key);
    return name;
}

struct text
field_given(const struct call *call, const char *name)
{
    const struct text value = params_find(call->params, name);
    return value.size ? value : NO_TEXT;
}

void
field_text(const struct call *call, const char *name, struct text *field)
{
    if (params_have(call->params, name)) *field = field_given(call, name);
}

bool
field_descriptor(struct call *call, const char *name, struct text *field)
{
    const struct text given = field_given(call, name);
    bool letter = false, fits = true;
    for (size_t i = 0; i < given.size; i++) {
        const char c = given.at[i];
        letter |= (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        fits &= c >= ' ' && c <= '~' && !strchr("<>\\'\"*", c);
    }
    if (given.at && !fits) {
        call_refuse_400(call, NULL, name,
                        "The statement descriptor can hold Latin letters, digits and signs other "
                        "than these: < > \\ ' \" *");
        return false;
    }
    if (given.at && !letter) {
        call_refuse_400(call, NULL, name,
                        "The statement descriptor must contain at least one alphabetic character.");
        return false;
    }
    field_text(call, name, field);
    return true;
}

/* Room for the JSON of all parameters, each byte escaped, and for the keys. */
static struct json_writer
writer_for(struct call *call, size_t more)
{
    return call_writer(call, 512 + 6 * call->params.size + more);
}

/* Without a name nothing of it was given, and nothing is looked for. */
static void
put_address(struct call *call, struct json_writer *w, const char *name)
{
    static const char *const keys[] = {"city", "country", "line1", "line2", "postal_code", "state"};
    char full[NAME_MAX_BYTES];
    json_open(w);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        json_text(w, keys[i], name ? field_given(call, inside(full, name, keys[i])) : NO_TEXT);
    json_close(w);
}

void
field_address(struct call *call, const char *name, struct text *field)
{
    if (!params_have_any(call->params, name)) return;
    *field = NO_TEXT;
    if (params_have(call->params, name)) return;
    struct json_writer w = writer_for(call, 0);
    put_address(call, &w, name);
    *field = json_writer_text(&w);
}

void
field_shipping(struct call *call, const char *name, struct text *field)
{
    static const char *const keys[] = {"carrier", "name", "phone", "tracking_number"};
    char full[NAME_MAX_BYTES];
    if (!params_have_any(call->params, name)) return;
    *field = NO_TEXT;
    if (params_have(call->params, name)) return;
    struct json_writer w = writer_for(call, 0);
    json_open(&w);
    json_key(&w, "address");
    put_address(call, &w, inside(full, name, "address"));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        json_text(&w, keys[i], field_given(call, inside(full, name, keys[i])));
    json_close(&w);
    *field = json_writer_text(&w);
}

void
field_billing(struct call *call, const char *name, struct text *field)
{
    static const char *const keys[] = {"email", "name", "phone", "tax_id"};
    char full[NAME_MAX_BYTES];
    const bool given = params_have_any(call->params, name);
    if (field->at && !given) return;
    const struct text now = *field;
    struct json_writer w = writer_for(call, now.size);
    json_open(&w);
    json_key(&w, "address");
    const struct text address = json_find(now, "address");
    if (address.at && !params_have_any(call->params, inside(full, name, "address")))
        json_value_raw(&w, address);
    else
        put_address(call, &w, given ? inside(full, name, "address") : NULL);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (given && params_have(call->params, inside(full, name, keys[i])))
            json_text(&w, keys[i], field_given(call, full));
        else
            json_raw(&w, keys[i], json_find(now, keys[i]));
    }
    json_close(&w);
    *field = json_writer_text(&w);
}

void
field_texts(struct call *call, const char *name, struct text *field)
{
    struct param one;
    if (!params_have_any(call->params, name)) return;
    struct json_writer w = writer_for(call, 0);
    json_array(&w);
    for (size_t at = 0; params_next_in(call->params, name, &at, &one);)
        json_value_text(&w, one.value);
    json_array_end(&w);
    *field = json_writer_text(&w);
}

bool
field_metadata(struct call *call, const char *name, struct text *field)
{
    if (!params_have_any(call->params, name)) return true;
    struct json_writer w = writer_for(call, field->size);
    if (metadata_merge(*field, call->params, name, &w) == METADATA_OK) {
        *field = json_writer_text(&w);
        return true;
    }
    call_refuse(call,
                &(struct api_refusal){.status = 400,
                                      .param = "metadata",
                                      .message = arena_format(call->arena,
                                                              "Metadata can have up to %d keys.",
                                                              METADATA_KEYS_MAX)},
                false);
    return false;
}

struct text
field_in(struct call *call, struct text json, const char *outer, const char *inner)
{
    struct text value = json_find(json, outer);
    if (inner) value = json_find(value, inner);
    if (!value.at || json_is_null(value)) return NO_TEXT;
    /* json_unquote wants four bytes free in front of each character. */
    const size_t cap = value.size + 4;
    return json_unquote(value, arena_take(call->arena, cap), cap);
}
