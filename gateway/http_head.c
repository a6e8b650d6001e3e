#include "http_head.h"

#include <assert.h>

/* RFC 9110, token: what names of methods and headers are made of. */
static bool
is_token(unsigned char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
    switch (c) {
    case '!':
    case '#':
    case '$':
    case '%':
    case '&':
    case '\'':
    case '*':
    case '+':
    case '-':
    case '.':
    case '^':
    case '_':
    case '`':
    case '|':
    case '~': return true;
    default: return false;
    }
}

/* Bytes that a header's value may hold: no control characters but the tab. Bytes above ASCII are
 * let through; whoever gives a value a meaning looks again. */
static bool
is_value(unsigned char c)
{
    return c == '\t' || (c >= 0x20 && c != 0x7f);
}

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
is_word(struct text text, const char *word)
{
    if (text.size != strlen(word)) return false;
    for (size_t i = 0; i < text.size; i++)
        if (lower(text.at[i]) != word[i]) return false;
    return true;
}

static struct text
trimmed(struct text t)
{
    for (; t.size && (t.at[0] == ' ' || t.at[0] == '\t'); t.size--)
        t.at++;
    while (t.size && (t.at[t.size - 1] == ' ' || t.at[t.size - 1] == '\t'))
        t.size--;
    return t;
}

/* Whether eight bytes are printable ASCII all: what most of a head is, and no line's end. What is
 * below n borrows from its high bit when n is taken from each; one more than 0x7f has it. */
static bool
are_plain(const char *at)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
    uint64_t eight;
    memcpy(&eight, at, sizeof eight);
    return !((eight | (eight - ones * 0x20) | (eight + ones)) & highs);
}

/* The next line without its end. Looks at no more than `limit` bytes. */
static enum http_verdict
next_line(const char *at, size_t size, size_t limit, struct text *line)
{
    const size_t seen = size < limit + 2 ? size : limit + 2;
    for (size_t i = 0; i < seen; i++) {
        while (seen - i >= 8 && i + 8 <= limit && are_plain(at + i))
            i += 8;
        if (i == seen) break;
        if (at[i] == '\n') return HTTP_BAD_LINE_END;
        if (i > limit) return HTTP_LINE_TOO_LONG;
        if (at[i] == '\r') {
            if (i + 1 == size) return HTTP_INCOMPLETE;
            if (at[i + 1] != '\n') return HTTP_BAD_LINE_END;
            *line = (struct text){at, i};
            return HTTP_OK;
        }
        if (!is_value((unsigned char)at[i])) return HTTP_BAD_CHARACTER;
    }
    return size < limit + 2 ? HTTP_INCOMPLETE : HTTP_LINE_TOO_LONG;
}

/* --- the request line ----------------------------------------------------------------------------
 */

static bool
take_word(struct text *line, struct text *word)
{
    const char *space = memchr(line->at, ' ', line->size);
    if (!space) return false;
    *word = (struct text){line->at, (size_t)(space - line->at)};
    line->at += word->size + 1;
    line->size -= word->size + 1;
    return word->size > 0;
}

static enum http_verdict
check_version(struct text version, bool *old)
{
    *old = text_is(version, "HTTP/1.0");
    if (*old || text_is(version, "HTTP/1.1")) return HTTP_OK;
    const bool looks_like_one = version.size == 8 && text_starts(version, "HTTP/") &&
                                version.at[5] >= '0' && version.at[5] <= '9' &&
                                version.at[6] == '.' && version.at[7] >= '0' &&
                                version.at[7] <= '9';
    return looks_like_one ? HTTP_BAD_VERSION : HTTP_MALFORMED;
}

static enum http_verdict
read_request_line(struct text line, struct http_head *head, bool *old)
{
    struct text target;
    if (!take_word(&line, &head->method) || !take_word(&line, &target)) return HTTP_MALFORMED;
    for (size_t i = 0; i < head->method.size; i++)
        if (!is_token((unsigned char)head->method.at[i])) return HTTP_MALFORMED;
    const enum http_verdict verdict = check_version(line, old);
    if (verdict != HTTP_OK) return verdict;
    if (!text_is(head->method, "GET") && !text_is(head->method, "POST") &&
        !text_is(head->method, "DELETE") &&
        !(text_is(head->method, "OPTIONS") && target.at[0] == '/'))
        return HTTP_BAD_METHOD;
    if (target.at[0] != '/') return HTTP_BAD_TARGET;
    for (size_t i = 0; i < target.size; i++)
        if (target.at[i] <= 0x20 || target.at[i] == 0x7f || target.at[i] == '#')
            return HTTP_BAD_TARGET; /* char is signed here: bytes above ASCII are below zero */
    const char *mark = memchr(target.at, '?', target.size);
    head->path = (struct text){target.at, mark ? (size_t)(mark - target.at) : target.size};
    head->query = mark ? (struct text){mark + 1, target.size - head->path.size - 1} : NO_TEXT;
    return HTTP_OK;
}

/* --- headers -------------------------------------------------------------------------------------
 */

static const struct text words[HTTP_MEANING_COUNT] = {
#define AS_WORD(name, word) [HTTP_##name] = {word, sizeof(word) - 1},
    HTTP_MEANINGS(AS_WORD)
#undef AS_WORD
};

/* A comma-separated list of words: is this one of them? */
static bool
list_has(struct text list, const char *word)
{
    while (list.size) {
        const char *comma = memchr(list.at, ',', list.size);
        const size_t size = comma ? (size_t)(comma - list.at) : list.size;
        if (is_word(trimmed((struct text){list.at, size}), word)) return true;
        list.at += size + (comma != NULL);
        list.size -= size + (comma != NULL);
    }
    return false;
}

struct connection {
    bool close, keep_alive;
};

static enum http_verdict
read_header(struct text line, struct http_head *head, struct connection *connection,
            struct text *name)
{
    size_t size = 0;
    while (size < line.size && is_token((unsigned char)line.at[size]))
        size++;
    /* an empty name, a folded line, a space before the colon, no colon at all */
    if (size == 0 || size == line.size || line.at[size] != ':') return HTTP_BAD_HEADER;
    *name = (struct text){line.at, size};
    const struct text value = trimmed((struct text){line.at + size + 1, line.size - size - 1});
    if (is_word(*name, "connection")) {
        connection->close |= list_has(value, "close");
        connection->keep_alive |= list_has(value, "keep-alive");
    }
    for (size_t i = 0; i < HTTP_MEANING_COUNT; i++) {
        if (name->size != words[i].size || !is_word(*name, words[i].at)) continue;
        if (head->headers[i].at)
            return i == HTTP_CONTENT_LENGTH ? HTTP_BAD_LENGTH
                   : i == HTTP_HOST         ? HTTP_BAD_HOST
                                            : HTTP_HEADER_TWICE;
        head->headers[i] = value;
    }
    return HTTP_OK;
}

/* A name, an address of version 4, or one of version 6 in brackets; perhaps a port. */
static bool
is_host(struct text host)
{
    size_t i = 0;
    if (host.size && host.at[0] == '[') {
        const char *end = memchr(host.at, ']', host.size);
        if (!end) return false;
        for (i = 1; host.at + i < end; i++)
            if (!strchr("0123456789abcdefABCDEF:.", host.at[i])) return false;
        if (i < 3) return false;
        i++;
    } else {
        while (i < host.size && host.at[i] != ':') {
            const char c = lower(host.at[i]);
            if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c > 0 && strchr("-._~", c))))
                return false;
            i++;
        }
        if (i == 0) return false;
    }
    if (i == host.size) return true;
    if (host.at[i] != ':' || host.size - i > 6 || host.size - i < 2) return false;
    for (i++; i < host.size; i++)
        if (host.at[i] < '0' || host.at[i] > '9') return false;
    return true;
}

/* Digits alone; more than 18 of them is more than anybody takes. */
static bool
read_length(struct text digits, uint64_t *length)
{
    if (digits.size == 0 || digits.size > 18) return false;
    *length = 0;
    for (size_t i = 0; i < digits.size; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9') return false;
        *length = *length * 10 + (uint64_t)(digits.at[i] - '0');
    }
    return true;
}

static enum http_verdict
judge(struct http_head *head, bool old, struct text *culprit)
{
    const struct text *h = head->headers;
    *culprit = NO_TEXT;
    if (h[HTTP_HOST].at ? !is_host(h[HTTP_HOST]) : !old) return HTTP_BAD_HOST;
    if (h[HTTP_TRANSFER_ENCODING].at) {
        if (h[HTTP_CONTENT_LENGTH].at) return HTTP_TWO_LENGTHS;
        if (old || !is_word(h[HTTP_TRANSFER_ENCODING], "chunked")) return HTTP_BAD_CODING;
        return HTTP_CODED;
    }
    if (h[HTTP_CONTENT_LENGTH].at && !read_length(h[HTTP_CONTENT_LENGTH], &head->length))
        return HTTP_BAD_LENGTH;
    if (h[HTTP_EXPECT].at) {
        if (!is_word(h[HTTP_EXPECT], "100-continue")) return HTTP_BAD_EXPECTATION;
        head->awaits_continue = !old;
    }
    return HTTP_OK;
}

enum http_verdict
http_head_read(const char *at, size_t size, struct http_head *head, size_t *used,
               struct text *culprit)
{
    struct connection connection = {false, false};
    struct text line;
    bool old = false;
    memset(head, 0, sizeof *head);
    *used = 0;
    *culprit = NO_TEXT;

    size_t from = 0;
    if (size && at[0] == '\r') { /* one empty line is let pass, as RFC 9112 asks */
        if (size == 1) return HTTP_INCOMPLETE;
        if (at[1] != '\n') return HTTP_BAD_LINE_END;
        from = 2;
    }
    enum http_verdict verdict = next_line(at + from, size - from, HTTP_TARGET_LINE_MAX, &line);
    if (verdict != HTTP_OK) return verdict;
    verdict = read_request_line(line, head, &old);
    if (verdict != HTTP_OK) return verdict;
    from += line.size + 2;

    const size_t start = from;
    for (size_t count = 0;; count++) {
        verdict = next_line(at + from, size - from, HTTP_LINE_MAX, &line);
        if (verdict == HTTP_LINE_TOO_LONG) return HTTP_HEADERS_TOO_LARGE;
        if (verdict == HTTP_INCOMPLETE && size - start > HTTP_LINES_MAX)
            return HTTP_HEADERS_TOO_LARGE;
        if (verdict != HTTP_OK) return verdict;
        from += line.size + 2;
        if (line.size == 0) break;
        if (count == HTTP_HEADERS_MAX || from - start > HTTP_LINES_MAX)
            return HTTP_HEADERS_TOO_LARGE;
        verdict = read_header(line, head, &connection, culprit);
        if (verdict != HTTP_OK) return verdict;
    }
    verdict = judge(head, old, culprit);
    if (verdict != HTTP_OK) return verdict;
    head->closes = connection.close || (old && !connection.keep_alive);
    *used = from;
    assert(*used <= size);
    return HTTP_OK;
}

int
http_verdict_status(enum http_verdict verdict)
{
#define AS_STATUS(name, status, message) [HTTP_##name] = (status),
    static const int statuses[] = {HTTP_VERDICTS(AS_STATUS)};
#undef AS_STATUS
    return statuses[verdict];
}

const char *
http_verdict_message(enum http_verdict verdict)
{
#define AS_MESSAGE(name, status, message) [HTTP_##name] = message,
    static const char *const messages[] = {HTTP_VERDICTS(AS_MESSAGE)};
#undef AS_MESSAGE
    return messages[verdict];
}
