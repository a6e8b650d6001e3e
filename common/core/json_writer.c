#include "json_writer.h"

#include "sixteen.h"
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

/* Where the first of sixteen is that cannot stand in a string as it is. */
static inline size_t
to_escape(const char *at)
{
    const sixteen all = sixteen_at(at);
    return sixteen_first(sixteen_quotes(all) | (sixteen)(all < (uint8_t)0x20));
}

/* Eight to fifteen bytes as sixteen of which some are there twice. */
static inline bool
short_is_plain(const char *at, size_t size)
{
    char twice[16];
    memcpy(twice, at, 8);
    memcpy(twice + 8, at + size - 8, 8);
    return to_escape(twice) == 16;
}

/* How many bytes stand in front of the first quote, backslash or control: sixteen at a time, the
 * last of them once more with some that were seen already. */
static size_t
plain_run(const char *at, size_t size)
{
    size_t i = 0;
    for (; size - i >= 16; i += 16) {
        const size_t plain = to_escape(at + i);
        if (plain < 16) return i + plain;
    }
    if (i && i < size) return size - 16 + to_escape(at + size - 16);
    if (size >= 8 && size < 16 && short_is_plain(at, size)) return size;
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

static const char new_line[] = "\n                                ";
enum {
    INDENT_MAX = sizeof new_line - 2,
    ROOMY = sizeof new_line + 16, /* for one step of what is written without a look at its end */
};

static void
lay_byte(struct layout *out, char byte)
{
    if (out->size < out->cap) out->at[out->size] = byte;
    out->size++;
}

static void
lay_line(struct layout *out, int depth)
{
    lay_byte(out, '\n');
    for (int left = 2 * depth; left > 0; left--)
        lay_byte(out, ' ');
}

/* What numbers and words are made of; space is among the rest, which takes each byte for itself. */
static inline bool
is_scalar(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* One byte of a string, or an escape; returns where the next one is. */
static size_t
lay_one(struct layout *out, struct text json, size_t i)
{
    const char c = json.at[i++];
    lay_byte(out, c);
    if (c == '\\' && i < json.size) lay_byte(out, json.at[i++]);
    return i;
}

/* The string that begins at `i`, a quote, up to its closing quote, which is the first that has no
 * escape before it. Returns where it ends: one past that. */
static inline size_t
lay_string(struct layout *out, struct text json, size_t i)
{
    lay_byte(out, json.at[i++]);
    while (i < json.size) {
        if (json.size - i >= 16 && out->size + 16 <= out->cap) {
            const sixteen all = sixteen_at(json.at + i);
            const size_t plain = sixteen_first(sixteen_quotes(all));
            memcpy(out->at + out->size, &all, sizeof all);
            out->size += plain;
            i += plain;
            if (plain == 16) continue;
        }
        if (json.at[i] == '"') {
            lay_byte(out, '"');
            return i + 1;
        }
        i = lay_one(out, json, i);
    }
    return i;
}

/* A step near the end of what there is room for. */
static size_t
lay_carefully(struct layout *out, struct text json, size_t i, int *depth)
{
    const char c = json.at[i], next = i + 1 < json.size ? json.at[i + 1] : 0;
    switch (c) {
    case '"': return lay_string(out, json, i);
    case '{':
    case '[':
        lay_byte(out, c);
        if (next == '}' || next == ']') {
            lay_byte(out, next);
            return i + 2;
        }
        lay_line(out, ++*depth);
        break;
    case '}':
    case ']':
        lay_line(out, --*depth);
        lay_byte(out, c);
        break;
    case ',':
        lay_byte(out, c);
        lay_line(out, *depth);
        break;
    case ':':
        lay_byte(out, c);
        lay_byte(out, ' ');
        break;
    default: lay_byte(out, c);
    }
    return i + 1;
}

/* Every answer goes through here: while there is room for any step, none of them looks whether
 * there is. */
size_t
json_pretty(struct text json, char *at, size_t cap)
{
    struct layout out = {at, cap, 0};
    int depth = 0;
    size_t i = 0;
    while (i < json.size) {
        const char c = json.at[i];
        if (out.size + ROOMY > cap || 2 * (depth + 1) > INDENT_MAX || depth < 1) {
            i = lay_carefully(&out, json, i, &depth);
            continue;
        }
        char *to = at + out.size;
        const char next = i + 1 < json.size ? json.at[i + 1] : 0;
        i++;
        switch (c) {
        case '"':
            i = lay_string(&out, json, i - 1);
            if (i == json.size || json.at[i] != ':' || out.size + 2 > cap) continue;
            to = at + out.size; /* a key's colon, at once */
            i++;
            /* fall through */
        case ':':
            *to++ = ':';
            *to++ = ' ';
            break;
        case '{':
        case '[':
            *to++ = c;
            if (next == '}' || next == ']') {
                *to++ = next;
                i++;
                break;
            }
            memcpy(to, new_line, sizeof new_line);
            to += 1 + 2 * ++depth;
            break;
        case ',':
            *to++ = c;
            memcpy(to, new_line, sizeof new_line);
            to += 1 + 2 * depth;
            break;
        case '}':
        case ']':
            memcpy(to, new_line, sizeof new_line);
            to += 1 + 2 * --depth;
            *to++ = c;
            break;
        default: /* a number or a word: of ours, and short */
            *to++ = c;
            for (int left = 8; left && i < json.size && is_scalar(json.at[i]); left--)
                *to++ = json.at[i++];
            if (i == json.size || json.at[i] != ',') break;
            i++;
            *to++ = ',';
            memcpy(to, new_line, sizeof new_line);
            to += 1 + 2 * depth;
        }
        out.size = (size_t)(to - at);
    }
    return out.size;
}
