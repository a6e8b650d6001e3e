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

/* Room for that many bytes, or NULL: then nothing is written any more. */
static inline char *
room(struct json_writer *w, size_t size)
{
    if (w->full || w->cap - w->size < size) {
        w->full = true;
        return NULL;
    }
    char *const at = w->at + w->size;
    w->size += size;
    return at;
}

static inline void
put(struct json_writer *w, const char *bytes, size_t size)
{
    char *const at = room(w, size);
    if (at && size) memcpy(at, bytes, size);
}

static inline void
put_byte(struct json_writer *w, char byte)
{
    char *const at = room(w, 1);
    if (at) *at = byte;
}

static inline void
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

/* How many bytes stand in front of the first quote, backslash or control. Eight at a time: what is
 * below n borrows from its high bit when n is taken from each. */
static size_t
plain_run(const char *at, size_t size)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
    size_t i = 0;
    for (uint64_t word; size - i >= sizeof word; i += sizeof word) {
        memcpy(&word, at + i, sizeof word);
        const uint64_t quotes = word ^ ones * '"', slashes = word ^ ones * '\\';
        const uint64_t found = ((word - ones * 0x20) & ~word) | ((quotes - ones) & ~quotes) |
                               ((slashes - ones) & ~slashes);
        if (found & highs) break;
    }
    for (; i < size; i++) {
        const unsigned char c = (unsigned char)at[i];
        if (c < 0x20 || c == '"' || c == '\\') break;
    }
    return i;
}

static void
put_escape(struct json_writer *w, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
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

static void
put_quoted(struct json_writer *w, struct text text)
{
    put_byte(w, '"');
    for (size_t from = 0;; from++) {
        const size_t run = plain_run(text.at + from, text.size - from);
        put(w, text.at + from, run);
        from += run;
        if (from == text.size) break;
        put_escape(w, (unsigned char)text.at[from]);
    }
    put_byte(w, '"');
}

void
json_put_key(struct json_writer *w, const char *key, size_t size)
{
    char *at = room(w, w->comma + size + 3);
    if (!at) return;
    if (w->comma) *at++ = ',';
    *at++ = '"';
    memcpy(at, key, size);
    at[size] = '"';
    at[size + 1] = ':';
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
    char digits[NUMBER_DIGITS_MAX];
    const struct text text = text_of_number(value < 0 ? -(uint64_t)value : (uint64_t)value, digits);
    before_value(w);
    if (value < 0) put_byte(w, '-');
    put(w, text.at, text.size);
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
