#include "json_writer.h"

#include <assert.h>

void
json_writer_init(struct json_writer *w, char *at, size_t cap)
{
    *w = (struct json_writer){.at = at, .cap = cap};
}

struct text
json_writer_text(const struct json_writer *w)
{
    assert(!w->full);
    return (struct text){w->at, w->size};
}

static void
put(struct json_writer *w, const char *bytes, size_t size)
{
    if (w->full || w->cap - w->size < size) {
        w->full = true;
        return;
    }
    memcpy(w->at + w->size, bytes, size);
    w->size += size;
}

static void
put_byte(struct json_writer *w, char byte)
{
    if (w->full || w->cap == w->size) {
        w->full = true;
        return;
    }
    w->at[w->size++] = byte;
}

static void
before_value(struct json_writer *w)
{
    if (w->comma) put_byte(w, ',');
    w->comma = true;
}

void
json_open(struct json_writer *w)
{
    before_value(w);
    put_byte(w, '{');
    w->comma = false;
}

void
json_close(struct json_writer *w)
{
    put_byte(w, '}');
    w->comma = true;
}

void
json_array(struct json_writer *w)
{
    before_value(w);
    put_byte(w, '[');
    w->comma = false;
}

void
json_array_end(struct json_writer *w)
{
    put_byte(w, ']');
    w->comma = true;
}

/* Runs of plain bytes are copied whole; only quotes, backslashes and controls are looked at. */
static void
put_quoted(struct json_writer *w, struct text text)
{
    static const char hex[] = "0123456789abcdef";
    size_t from = 0;
    put_byte(w, '"');
    for (size_t i = 0; i < text.size; i++) {
        const unsigned char c = (unsigned char)text.at[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        put(w, text.at + from, i - from);
        from = i + 1;
        switch (c) {
        case '"': put(w, "\\\"", 2); break;
        case '\\': put(w, "\\\\", 2); break;
        case '\n': put(w, "\\n", 2); break;
        case '\r': put(w, "\\r", 2); break;
        case '\t': put(w, "\\t", 2); break;
        default: {
            const char escape[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
            put(w, escape, sizeof escape);
        }
        }
    }
    put(w, text.at + from, text.size - from);
    put_byte(w, '"');
}

void
json_key(struct json_writer *w, const char *key)
{
    before_value(w);
    put_byte(w, '"');
    put(w, key, strlen(key));
    put(w, "\":", 2);
    w->comma = false;
}

void
json_key_text(struct json_writer *w, struct text key)
{
    before_value(w);
    put_quoted(w, key);
    put_byte(w, ':');
    w->comma = false;
}

void
json_value_text(struct json_writer *w, struct text value)
{
    if (!value.at) {
        json_value_null(w);
        return;
    }
    before_value(w);
    put_quoted(w, value);
}

void
json_value_integer(struct json_writer *w, int64_t value)
{
    char out[20];
    size_t at = sizeof out;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do
        out[--at] = (char)('0' + rest % 10);
    while (rest /= 10);
    before_value(w);
    if (value < 0) put_byte(w, '-');
    put(w, out + at, sizeof out - at);
}

void
json_value_flag(struct json_writer *w, bool value)
{
    before_value(w);
    put(w, value ? "true" : "false", value ? 4 : 5);
}

void
json_value_null(struct json_writer *w)
{
    before_value(w);
    put(w, "null", 4);
}

void
json_value_raw(struct json_writer *w, struct text json)
{
    if (!json.at) {
        json_value_null(w);
        return;
    }
    before_value(w);
    put(w, json.at, json.size);
}

void
json_text(struct json_writer *w, const char *key, struct text value)
{
    json_key(w, key);
    json_value_text(w, value);
}

void
json_string(struct json_writer *w, const char *key, const char *value)
{
    json_key(w, key);
    json_value_text(w, text_of(value));
}

void
json_integer(struct json_writer *w, const char *key, int64_t value)
{
    json_key(w, key);
    json_value_integer(w, value);
}

void
json_number_or_null(struct json_writer *w, const char *key, int64_t value)
{
    json_key(w, key);
    if (value == INT64_MIN)
        json_value_null(w);
    else
        json_value_integer(w, value);
}

void
json_flag(struct json_writer *w, const char *key, bool value)
{
    json_key(w, key);
    json_value_flag(w, value);
}

void
json_null(struct json_writer *w, const char *key)
{
    json_key(w, key);
    json_value_null(w);
}

void
json_raw(struct json_writer *w, const char *key, struct text json)
{
    json_key(w, key);
    json_value_raw(w, json);
}

/* --- laying out
 * ----------------------------------------------------------------------------------- */

struct layout {
    char *at;
    size_t cap, size; /* size goes on counting past cap */
};

static inline void
lay(struct layout *out, const char *bytes, size_t size)
{
    if (out->size + size <= out->cap) memcpy(out->at + out->size, bytes, size);
    out->size += size;
}

static inline void
lay_byte(struct layout *out, char byte)
{
    if (out->size < out->cap) out->at[out->size] = byte;
    out->size++;
}

static inline void
lay_line(struct layout *out, int depth)
{
    static const char line[] = "\n                                ";
    enum { INDENT_MAX = sizeof line - 2 };
    int left = 2 * depth;
    lay(out, line, 1 + (size_t)(left < INDENT_MAX ? left : INDENT_MAX));
    for (left -= INDENT_MAX; left > 0; left -= INDENT_MAX)
        lay(out, line + 1, (size_t)(left < INDENT_MAX ? left : INDENT_MAX));
}

/* The end of the string that begins at `from` (a quote): one past its closing quote, which is the
 * first that has no escape before it. */
static inline size_t
string_end(struct text json, size_t from)
{
    for (size_t i = from + 1; i < json.size;) {
        const char *quote = memchr(json.at + i, '"', json.size - i);
        if (!quote) break;
        i = (size_t)(quote - json.at);
        size_t escapes = 0;
        while (json.at[i - 1 - escapes] == '\\')
            escapes++;
        i++;
        if (escapes % 2 == 0) return i;
    }
    return json.size;
}

size_t
json_pretty(struct text json, char *at, size_t cap)
{
    struct layout out = {at, cap, 0};
    int depth = 0;
    for (size_t i = 0; i < json.size; i++) {
        const char c = json.at[i];
        const char next = i + 1 < json.size ? json.at[i + 1] : 0;
        switch (c) {
        case '"': {
            const size_t end = string_end(json, i);
            lay(&out, json.at + i, end - i);
            i = end - 1;
            break;
        }
        case '{':
        case '[':
            lay_byte(&out, c);
            if (next == '}' || next == ']') {
                lay_byte(&out, next);
                i++;
            } else {
                lay_line(&out, ++depth);
            }
            break;
        case '}':
        case ']':
            lay_line(&out, --depth);
            lay_byte(&out, c);
            break;
        case ',':
            lay_byte(&out, c);
            lay_line(&out, depth);
            break;
        case ':': lay(&out, ": ", 2); break;
        default: lay_byte(&out, c);
        }
    }
    return out.size;
}
