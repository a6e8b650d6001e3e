#include "params.h"

#include "utf8.h"
#include <assert.h>

static size_t
get_u16(const uint8_t *at)
{
    return (size_t)at[0] << 8 | at[1];
}

static size_t
get_u32(const uint8_t *at)
{
    return (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
}

/* Inline where all parameters are walked: a handler asks for some fifty names. */
static inline bool
next(struct params params, size_t *at, struct param *param)
{
    assert(*at <= params.size);
    if (params.size - *at < 6) return false;
    const size_t name = get_u16(params.at + *at);
    if (params.size - *at - 6 < name) return false;
    const size_t value = get_u32(params.at + *at + 2 + name);
    if (params.size - *at - 6 - name < value) return false;
    param->name = (struct text){(const char *)params.at + *at + 2, name};
    param->value = (struct text){(const char *)params.at + *at + 6 + name, value};
    *at += 6 + name + value;
    return true;
}

bool
params_next(struct params params, size_t *at, struct param *param)
{
    return next(params, at, param);
}

bool
params_valid(struct params params)
{
    struct param param, previous = {NO_TEXT, NO_TEXT};
    size_t at = 0, count = 0;
    while (next(params, &at, &param)) {
        if (++count > PARAMS_COUNT_MAX) return false;
        if (param.name.size == 0 || param.name.size > PARAM_NAME_MAX) return false;
        if (!utf8_is_clean(param.name) || !utf8_is_clean(param.value)) return false;
        if (previous.name.at && text_compare(previous.name, param.name) >= 0) return false;
        previous = param;
    }
    return at == params.size;
}

struct text
params_find(struct params params, const char *name)
{
    struct param param;
    const size_t size = strlen(name);
    for (size_t at = 0; next(params, &at, &param);) {
        if (param.name.size != size) continue;
        if (memcmp(param.name.at, name, size) == 0) return param.value;
    }
    return NO_TEXT;
}

bool
params_have(struct params params, const char *name)
{
    return params_find(params, name).at != NULL;
}

/* What follows `prefix[` in the name; NO_TEXT when it does not begin so. */
static struct text
inside_of(struct text name, struct text prefix)
{
    const size_t size = prefix.size;
    if (name.size <= size || name.at[size] != '[' || memcmp(name.at, prefix.at, size) != 0)
        return NO_TEXT;
    return (struct text){name.at + size + 1, name.size - size - 1};
}

bool
params_have_any(struct params params, const char *prefix)
{
    struct param param;
    const struct text hash = text_of(prefix);
    for (size_t at = 0; next(params, &at, &param);)
        if (text_equal(param.name, hash) || inside_of(param.name, hash).at) return true;
    return false;
}

bool
params_next_in(struct params params, const char *prefix, size_t *at, struct param *inside)
{
    struct param param;
    const struct text hash = text_of(prefix);
    while (next(params, at, &param)) {
        const struct text rest = inside_of(param.name, hash);
        const char *end = rest.at ? memchr(rest.at, ']', rest.size) : NULL;
        if (!end) continue;
        inside->name = (struct text){rest.at, (size_t)(end - rest.at)};
        inside->value = param.value;
        return true;
    }
    return false;
}

bool
params_read_integer(struct text text, int64_t *value)
{
    const bool negative = text.size > 0 && text.at[0] == '-';
    size_t i = negative;
    int64_t number = 0;
    if (text.size == i || (text.at[i] == '0' && text.size > 1)) return false;
    for (; i < text.size; i++) {
        const char c = text.at[i];
        if (c < '0' || c > '9') return false;
        if (__builtin_mul_overflow(number, 10, &number)) return false;
        if (__builtin_sub_overflow(number, c - '0', &number)) return false; /* below zero: fits */
    }
    if (!negative && __builtin_sub_overflow(INT64_C(0), number, &number)) return false;
    *value = number;
    return true;
}

int64_t
params_integer(struct params params, const char *name, int64_t otherwise)
{
    int64_t value;
    return params_read_integer(params_find(params, name), &value) ? value : otherwise;
}

bool
params_flag(struct params params, const char *name, bool otherwise)
{
    bool value;
    return params_read_flag(params_find(params, name), &value) ? value : otherwise;
}

bool
params_read_flag(struct text text, bool *value)
{
    *value = text_is(text, "true") || text_is(text, "True");
    return *value || text_is(text, "false") || text_is(text, "False");
}

bool
params_put(uint8_t *block, size_t cap, size_t *size, struct text name, struct text value)
{
    assert(name.size <= PARAM_NAME_MAX);
    assert(*size <= cap);
    if (value.size > UINT32_MAX || cap - *size < 6 + name.size) return false;
    if (cap - *size - 6 - name.size < value.size) return false;
    uint8_t *at = block + *size;
    *at++ = (uint8_t)(name.size >> 8);
    *at++ = (uint8_t)name.size;
    memcpy(at, name.at, name.size);
    at += name.size;
    for (int shift = 24; shift >= 0; shift -= 8)
        *at++ = (uint8_t)(value.size >> shift);
    if (value.size && value.at != (const char *)at) memcpy(at, value.at, value.size);
    *size += 6 + name.size + value.size;
    return true;
}
