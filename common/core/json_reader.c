#include "json_reader.h"

#include "sixteen.h"

static inline void
skip_space(struct text t, size_t *at)
{
    while (*at < t.size &&
           (t.at[*at] == ' ' || t.at[*at] == '\n' || t.at[*at] == '\t' || t.at[*at] == '\r'))
        (*at)++;
}

/* To the next quote or backslash, or to where fewer than sixteen bytes are left. */
static inline size_t
skip_plain(struct text t, size_t i)
{
    while (i < t.size && t.size - i >= 16) {
        const size_t plain = sixteen_first(sixteen_quotes(sixteen_at(t.at + i)));
        i += plain;
        if (plain < 16) break;
    }
    return i;
}

static inline bool
skip_string(struct text t, size_t *at)
{
    size_t i = skip_plain(t, *at + 1);
    while (i < t.size && t.at[i] != '"')
        i += t.at[i] == '\\' ? 2 : 1;
    if (i >= t.size) return false;
    *at = i + 1;
    return true;
}

/* Whether a number or a word ends in front of this one. */
static inline bool
ends_scalar(char c)
{
    return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* Past an object or an array. Brackets are counted, not matched: what comes here was written by
 * json_writer. */
static bool
skip_nested(struct text t, size_t *at)
{
    for (int depth = 0; *at < t.size;) {
        const char c = t.at[*at];
        if (c == '"') {
            if (!skip_string(t, at)) return false;
            continue;
        }
        (*at)++;
        if (c == '{' || c == '[') depth++;
        if ((c == '}' || c == ']') && --depth == 0) return true;
    }
    return false;
}

/* Past one value, whatever it is. */
static inline bool
skip_value(struct text t, size_t *at)
{
    const size_t start = *at;
    if (start >= t.size) return false;
    if (t.at[start] == '"') return skip_string(t, at);
    if (t.at[start] == '{' || t.at[start] == '[') return skip_nested(t, at);
    while (*at < t.size && !ends_scalar(t.at[*at]))
        (*at)++;
    return *at > start;
}

/* The shared walk of objects and arrays: at the start past `open`, then past a comma. False at the
 * end or when malformed. */
static inline bool
step(struct text t, size_t *at, char open, char close, bool *malformed)
{
    *malformed = false;
    const bool first = *at == 0;
    skip_space(t, at);
    if (*at >= t.size) return false;
    if (first) {
        if (t.at[*at] != open) {
            *malformed = true;
            return false;
        }
        (*at)++;
        skip_space(t, at);
        if (*at < t.size && t.at[*at] == close) return false;
        return true;
    }
    if (t.at[*at] == close) return false;
    if (t.at[*at] != ',') {
        *malformed = true;
        return false;
    }
    (*at)++;
    skip_space(t, at);
    return true;
}

static inline bool
take_value(struct text t, size_t *at, struct text *value)
{
    const size_t from = *at;
    if (!skip_value(t, at)) return false;
    *value = (struct text){t.at + from, *at - from};
    return true;
}

bool
json_next_member(struct text object, size_t *at, struct json_member *member, bool *malformed)
{
    if (!step(object, at, '{', '}', malformed)) return false;
    const size_t from = *at;
    *malformed = true; /* until the member is whole */
    if (from >= object.size || object.at[from] != '"' || !skip_string(object, at)) return false;
    member->key = (struct text){object.at + from + 1, *at - from - 2};
    skip_space(object, at);
    if (*at >= object.size || object.at[*at] != ':') return false;
    (*at)++;
    skip_space(object, at);
    if (!take_value(object, at, &member->value)) return false;
    *malformed = false;
    return true;
}

bool
json_next_element(struct text array, size_t *at, struct text *value, bool *malformed)
{
    if (!step(array, at, '[', ']', malformed)) return false;
    *malformed = !take_value(array, at, value);
    return !*malformed;
}

struct text
json_find(struct text object, const char *key)
{
    struct json_member member;
    bool malformed;
    const struct text wanted = text_of(key);
    size_t at = 0;
    while (json_next_member(object, &at, &member, &malformed))
        if (text_equal(member.key, wanted)) return member.value;
    return NO_TEXT;
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Four hex digits at `i`; -1 when they are not there. */
static long
hex_quad(struct text t, size_t i)
{
    long value = 0;
    if (t.size < 4 || i > t.size - 4) return -1;
    for (size_t k = 0; k < 4; k++) {
        const int d = hex_digit(t.at[i + k]);
        if (d < 0) return -1;
        value = value << 4 | d;
    }
    return value;
}

static size_t
put_utf8(char *out, long c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

struct text
json_unquote(struct text json, char *memory, size_t cap)
{
    static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    size_t size = 0;
    if (json.size < 2 || json.at[0] != '"' || json.at[json.size - 1] != '"') return NO_TEXT;
    const struct text inside = {json.at + 1, json.size - 2};
    for (size_t i = 0; i < inside.size; i++) {
        if (size + 4 > cap) return NO_TEXT;
        if (inside.at[i] != '\\') {
            memory[size++] = inside.at[i];
            continue;
        }
        if (++i >= inside.size) return NO_TEXT;
        const char *escape = inside.at[i] ? strchr(plain, inside.at[i]) : NULL;
        if (escape) {
            memory[size++] = meant[escape - plain];
            continue;
        }
        if (inside.at[i] != 'u') return NO_TEXT;
        long c = hex_quad(inside, i + 1);
        i += 4;
        if (c >= 0xd800 && c < 0xdc00 && i + 2 < inside.size && inside.at[i + 1] == '\\' &&
            inside.at[i + 2] == 'u') {
            const long low = hex_quad(inside, i + 3);
            if (low < 0xdc00 || low > 0xdfff) return NO_TEXT;
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            i += 6;
        }
        if (c <= 0 || (c >= 0xd800 && c <= 0xdfff)) return NO_TEXT;
        size += put_utf8(memory + size, c);
    }
    return (struct text){memory, size};
}

bool
json_is_null(struct text json)
{
    return !json.at || text_is(json, "null");
}

struct text
json_bare(struct text json)
{
    if (json.size < 2 || json.at[0] != '"') return NO_TEXT;
    return (struct text){json.at + 1, json.size - 2};
}
