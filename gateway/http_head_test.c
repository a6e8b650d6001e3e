#include "http_head.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>

#define G "GET / HTTP/1.1\r\nHost: a\r\n"
#define P "POST / HTTP/1.1\r\nHost: a\r\n"

static struct http_head head;
static struct text culprit;
static size_t used;

static enum http_verdict
read_all(const char *at, size_t size)
{
    return http_head_read(at, size, &head, &used, &culprit);
}

/* Rows of RELIABILITY (e4): what can be seen in one head. */
static const struct {
    const char *row, *bytes;
    size_t size; /* 0: up to the NUL */
    enum http_verdict verdict;
} rows[] = {
    // clang-format off
    {"plain", G "\r\n", 0, HTTP_OK},
    {"a body's length", P "Content-Length: 3\r\n\r\nabc", 0, HTTP_OK},
    {"H1", P "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 0, HTTP_TWO_LENGTHS},
    {"H2", P "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", 0, HTTP_BAD_LENGTH},
    {"H3", P "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 0, HTTP_BAD_LENGTH},
    {"H4", P "Content-Length: 3x\r\n\r\n", 0, HTTP_BAD_LENGTH},
    {"H5", P "Content-Length: +3\r\n\r\n", 0, HTTP_BAD_LENGTH},
    {"H6", P "Content-Length: 3, 3\r\n\r\n", 0, HTTP_BAD_LENGTH},
    {"H7", P "Content-Length: -1\r\n\r\n", 0, HTTP_BAD_LENGTH},
    {"H8", P "Content-Length: 9223372036854775808\r\n\r\n", 0, HTTP_BAD_LENGTH},
    {"H9", P "Content-Length:\r\n\r\n", 0, HTTP_BAD_LENGTH},
    {"H10", P "Content-Length: 3\0\r\n\r\n", sizeof P + 21, HTTP_BAD_CHARACTER},
    {"H11", P "Transfer-Encoding: chunked, identity\r\n\r\n", 0, HTTP_BAD_CODING},
    {"H12", P "Transfer-Encoding:  chunked\r\n\r\n", 0, HTTP_CODED},
    {"H12b", P "Transfer-Encoding: \x0b" "chunked\r\n\r\n", 0, HTTP_BAD_CHARACTER},
    {"H13", P "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 0, HTTP_HEADER_TWICE},
    {"H14", P "Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\n", 0, HTTP_TWO_LENGTHS},
    {"H15", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 0, HTTP_BAD_CODING},
    {"H27", "GET / HTTP/1.1\nHost: a\n\n", 0, HTTP_BAD_LINE_END},
    {"H27b", G "X: 1\n\r\n", 0, HTTP_BAD_LINE_END},
    {"H28", G "X: 1\rY: 2\r\n\r\n", 0, HTTP_BAD_LINE_END},
    {"H29", P "Content-Length : 3\r\n\r\n", 0, HTTP_BAD_HEADER},
    {"H30", G "X: 1\r\n 2\r\n\r\n", 0, HTTP_BAD_HEADER},
    {"H30b", G "X: 1\r\n\t2\r\n\r\n", 0, HTTP_BAD_HEADER},
    {"H34", G "nothing\r\n\r\n", 0, HTTP_BAD_HEADER},
    {"H35", G ": 3\r\n\r\n", 0, HTTP_BAD_HEADER},
    {"H36", G "X: a\0b\r\n\r\n", sizeof G + 9, HTTP_BAD_CHARACTER},
    {"H37", G "X\xc3\xa9: 1\r\n\r\n", 0, HTTP_BAD_HEADER},
    {"H38", "GET / HTTP/1.1\r\n\r\n", 0, HTTP_BAD_HOST},
    {"H39", G "Host: a\r\n\r\n", 0, HTTP_BAD_HOST},
    {"H40", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 0, HTTP_BAD_HOST},
    {"H40b", "GET / HTTP/1.1\r\nHost: a:80x\r\n\r\n", 0, HTTP_BAD_HOST},
    {"H40c", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 0, HTTP_BAD_HOST},
    {"H40d", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, HTTP_BAD_HOST},
    {"a host of version 6", "GET / HTTP/1.1\r\nHost: [::1]:8420\r\n\r\n", 0, HTTP_OK},
    {"H41", "GET /\r\n", 0, HTTP_MALFORMED},
    {"H42", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 0, HTTP_OK},
    {"H43", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, HTTP_BAD_VERSION},
    {"H44", "GET / HTTP/9.9\r\nHost: a\r\n\r\n", 0, HTTP_BAD_VERSION},
    {"H44b", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 0, HTTP_MALFORMED},
    {"H44c", "GET / http/1.1\r\nHost: a\r\n\r\n", 0, HTTP_MALFORMED},
    {"H45", "get / HTTP/1.1\r\nHost: a\r\n\r\n", 0, HTTP_BAD_METHOD},
    {"H46", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 0, HTTP_BAD_METHOD},
    {"H47", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 0, HTTP_BAD_METHOD},
    {"H47b", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 0, HTTP_BAD_METHOD},
    {"H48", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0, HTTP_BAD_METHOD},
    {"H49", "GET http://a/v1 HTTP/1.1\r\nHost: a\r\n\r\n", 0, HTTP_BAD_TARGET},
    {"one empty line before", "\r\n" G "\r\n", 0, HTTP_OK},
    {"H50", "\r\n\r\n\r\n" G "\r\n", 0, HTTP_MALFORMED},
    {"H51", "\x16\x03\x01\x02\x00\x01\x00\x01", 8, HTTP_BAD_CHARACTER},
    {"H52", G "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 0, HTTP_OK},
    {"H53", P "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n", 0, HTTP_OK},
    {"H54", P "Content-Length: 3\r\nExpect: bogus\r\n\r\n", 0, HTTP_BAD_EXPECTATION},
    {"H64", "GET /a\0b HTTP/1.1\r\n", 19, HTTP_BAD_CHARACTER},
    {"H68", "GET /\xc0\xaf HTTP/1.1\r\nHost: a\r\n\r\n", 0, HTTP_BAD_TARGET},
    {"H76", G "Authorization: a\r\nauthorization: b\r\n\r\n", 0, HTTP_HEADER_TWICE},
    {"H83", P "Idempotency-Key: a\r\nIdempotency-Key: a\r\n\r\n", 0, HTTP_HEADER_TWICE},
    {"two spaces", "GET  / HTTP/1.1\r\n", 0, HTTP_MALFORMED},
    {"a tab", "GET\t/ HTTP/1.1\r\n", 0, HTTP_MALFORMED},
    {"a fragment", "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", 0, HTTP_BAD_TARGET},
    // clang-format on
};

Test(http_head, what_has_two_readings_is_refused)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const size_t size = rows[i].size ? rows[i].size : strlen(rows[i].bytes);
        cr_expect(eq(int, read_all(rows[i].bytes, size), rows[i].verdict), "%s", rows[i].row);
    }
}

Test(http_head, a_head_cut_anywhere_is_incomplete_or_refused)
{
    static const char whole[] =
        "\r\nPOST /v1/x?a[b]=1 HTTP/1.1\r\nHost: a:8420\r\nContent-Length: 12\r\n"
        "Authorization: Bearer k\r\nConnection: close\r\n\r\n";
    for (size_t size = 0; size < sizeof whole - 1; size++)
        cr_expect(eq(int, read_all(whole, size), HTTP_INCOMPLETE), "%zu", size);
    cr_assert(eq(int, read_all(whole, sizeof whole - 1), HTTP_OK));
    cr_expect(eq(sz, used, sizeof whole - 1));
    cr_expect(text_is(head.method, "POST"));
    cr_expect(text_is(head.path, "/v1/x"));
    cr_expect(text_is(head.query, "a[b]=1"));
    cr_expect(eq(u64, head.length, 12));
    cr_expect(head.closes);
    cr_expect(text_is(head.headers[HTTP_AUTHORIZATION], "Bearer k"));
    cr_expect(eq(ptr, (void *)head.headers[HTTP_STRIPE_VERSION].at, NULL));
}

Test(http_head, what_follows_is_left_alone)
{
    static const char two[] = P "Content-Length: 1\r\n\r\nxGET / HTTP/1.1\r\n";
    cr_assert(eq(int, read_all(two, sizeof two - 1), HTTP_OK));
    cr_expect(eq(chr, two[used], 'x'));
}

/* A request with `count` headers of `size` bytes each, after a path of `path` bytes. */
static char *
grown(size_t path, size_t count, size_t size)
{
    char *text = malloc(path + count * (size + 8) + 64), *at = text;
    at += sprintf(at, "GET /");
    memset(at, 'p', path);
    at += path;
    at += sprintf(at, " HTTP/1.1\r\nHost: a\r\n");
    for (size_t i = 0; i < count; i++) {
        at += sprintf(at, "X: ");
        memset(at, 'h', size - 3);
        at += size - 3;
        at += sprintf(at, "\r\n");
    }
    strcpy(at, "\r\n");
    return text;
}

Test(http_head, limits_are_reached_and_hold)
{
    static const struct {
        const char *row;
        size_t path, count, size;
        enum http_verdict verdict;
    } sizes[] = {
        {"H31", 1, 63, 5, HTTP_OK},
        {"H31", 1, 64, 5, HTTP_HEADERS_TOO_LARGE},
        {"H32", 1, 1, HTTP_LINE_MAX, HTTP_OK},
        {"H32", 1, 1, HTTP_LINE_MAX + 1, HTTP_HEADERS_TOO_LARGE},
        {"H33", 1, 2, 8000, HTTP_OK},
        {"H33", 1, 4, 5000, HTTP_HEADERS_TOO_LARGE},
        {"H70", 12 << 10, 1, 5, HTTP_OK},
        {"H70", HTTP_TARGET_LINE_MAX, 1, 5, HTTP_LINE_TOO_LONG},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *text = grown(sizes[i].path, sizes[i].count, sizes[i].size);
        cr_expect(eq(int, read_all(text, strlen(text)), sizes[i].verdict), "%s %zu", sizes[i].row,
                  i);
        free(text);
    }
    char *endless = malloc(HTTP_HEAD_MAX);
    memset(endless, 'x', HTTP_HEAD_MAX);
    cr_expect(not(eq(int, read_all(endless, HTTP_HEAD_MAX), HTTP_INCOMPLETE)));
    memcpy(endless, G "X: ", sizeof G + 2);
    cr_expect(not(eq(int, read_all(endless, HTTP_HEAD_MAX), HTTP_INCOMPLETE)));
    free(endless);
}

Test(http_head, no_bytes_break_it)
{
    static const char *const pieces[] = {
        "GET ", "/",  " HTTP/1.1", "\r\n", "\n",   "\r", "Host: a", ":", "Content-Length: 1",
        " ",    "\t", "\xff",      "?",    "POST "};
    srand(3);
    for (int i = 0; i < 200000; i++) {
        char *text = malloc(256);
        size_t size = 0;
        for (int k = rand() % 12; k > 0; k--) {
            const char *piece = pieces[(size_t)rand() % (sizeof pieces / sizeof pieces[0])];
            memcpy(text + size, piece, strlen(piece));
            size += strlen(piece);
        }
        text = realloc(text, size ? size : 1);
        (void)!read_all(text, size);
        free(text);
    }
}
