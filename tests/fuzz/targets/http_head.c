/* http_head: there is one reading. Cut anywhere, a good head is incomplete and never something
 * else; what follows it changes nothing; nothing that means something holds a line's end. */
#include "http_head.h"
#include "fuzz.h"

static void
check_slice(struct text slice, const char *at, size_t size)
{
    if (!slice.at) return;
    MUST_HOLD(slice.at >= at && slice.at + slice.size <= at + size);
    MUST_HOLD(!memchr(slice.at, '\r', slice.size) && !memchr(slice.at, '\n', slice.size) &&
              !memchr(slice.at, '\0', slice.size));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_head head, other;
    struct text culprit;
    size_t used, other_used;
    const char *at = (const char *)data;
    const enum http_verdict verdict = http_head_read(at, size, &head, &used, &culprit);
    if (culprit.at) MUST_HOLD(culprit.at >= at && culprit.at + culprit.size <= at + size);
    if (size >= HTTP_HEAD_MAX) MUST_HOLD(verdict != HTTP_INCOMPLETE);
    if (verdict == HTTP_INCOMPLETE) return 0;
    if (verdict != HTTP_OK) {
        MUST_HOLD(http_verdict_status(verdict) >= 400 && *http_verdict_message(verdict));
        return 0;
    }
    MUST_HOLD(used <= size && used >= 4 && memcmp(at + used - 4, "\r\n\r\n", 4) == 0);
    MUST_HOLD(head.path.size && head.path.at[0] == '/');
    MUST_HOLD(!head.headers[HTTP_TRANSFER_ENCODING].at);
    check_slice(head.method, at, used);
    check_slice(head.path, at, used);
    check_slice(head.query, at, used);
    for (int i = 0; i < HTTP_MEANING_COUNT; i++)
        check_slice(head.headers[i], at, used);

    char *exact = exact_copy(at, used);
    MUST_HOLD(http_head_read(exact, used, &other, &other_used, &culprit) == HTTP_OK);
    MUST_HOLD(other_used == used && other.length == head.length && other.closes == head.closes);
    free(exact);
    const size_t cut = used ? (at[size - 1] * 131u + (unsigned)used * 7u) % used : 0;
    for (int i = 0; i < 2; i++) { /* somewhere, and just before the end */
        const size_t part = i ? used - 1 : cut;
        exact = exact_copy(at, part);
        MUST_HOLD(http_head_read(exact, part, &other, &other_used, &culprit) == HTTP_INCOMPLETE);
        free(exact);
    }
    return 0;
}
