/* http_head: the head of an HTTP/1.1 request, read so strictly that nobody in front of us can have
 * read it otherwise. Pure: bytes in, slices of them or a verdict out.
 *
 * What has two readings is refused, never repaired: a bare line feed, a folded line, a space before
 * a colon, two lengths, any transfer coding. Whoever refuses closes the connection, so that no byte
 * after it is ever taken for a request. */
#pragma once

#include "must_use.h"
#include "text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEADERS_MAX 64
#define HTTP_TARGET_LINE_MAX 16384 /* the request line */
#define HTTP_LINE_MAX 8192         /* one header */
#define HTTP_LINES_MAX 16384       /* all headers */
#define HTTP_HEAD_MAX (2 + HTTP_TARGET_LINE_MAX + HTTP_LINES_MAX + 4)

// clang-format off
/* In order of precedence within a line; the first line at fault decides. Name, HTTP status, what the
 * client is told. Zero refuses, so that a forgotten verdict is a refusal. */
#define HTTP_VERDICTS(X) \
    X(MALFORMED,         400, "The request is not HTTP/1.1.") \
    X(BAD_LINE_END,      400, "Lines of an HTTP head must end with CR LF.") \
    X(BAD_CHARACTER,     400, "The head of the request holds a character that may not stand there.") \
    X(LINE_TOO_LONG,     414, "The URL of the request is too long.") \
    X(HEADERS_TOO_LARGE, 431, "The headers of the request are too long, or too many.") \
    X(BAD_TARGET,        400, "The request must name a path that begins with a slash.") \
    X(BAD_VERSION,       505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.") \
    X(BAD_METHOD,        405, "Only GET, POST and DELETE are understood here.") \
    X(BAD_HEADER,        400, "A header of the request is malformed.") \
    X(HEADER_TWICE,      400, "A header of the request that may stand once stands twice.") \
    X(BAD_HOST,          400, "The request needs one Host header that names a host.") \
    X(BAD_LENGTH,        400, "The Content-Length of the request is not a number.") \
    X(TWO_LENGTHS,       400, "The request has both a Content-Length and a Transfer-Encoding.") \
    X(CODED,             411, "Transfer codings are not taken here: send a Content-Length.") \
    X(BAD_CODING,        400, "The Transfer-Encoding of the request is not understood.") \
    X(BAD_EXPECTATION,   417, "The Expect header of the request cannot be met.") \
    X(INCOMPLETE,        0,   "") /* more bytes are needed */ \
    X(OK,                0,   "")
#define AS_ENUM(name, status, message) HTTP_##name,
enum http_verdict { HTTP_VERDICTS(AS_ENUM) };
#undef AS_ENUM

/* Headers that mean something here, each at most once. */
#define HTTP_MEANINGS(X) \
    X(ACCESS_CONTROL_REQUEST_METHOD, "access-control-request-method") \
    X(AUTHORIZATION,     "authorization") \
    X(CONTENT_ENCODING,  "content-encoding") \
    X(CONTENT_LENGTH,    "content-length") \
    X(CONTENT_TYPE,      "content-type") \
    X(EXPECT,            "expect") \
    X(HOST,              "host") \
    X(IDEMPOTENCY_KEY,   "idempotency-key") \
    X(ORIGIN,            "origin") \
    X(STRIPE_ACCOUNT,    "stripe-account") \
    X(STRIPE_VERSION,    "stripe-version") \
    X(TRANSFER_ENCODING, "transfer-encoding")
#define AS_ENUM(name, word) HTTP_##name,
enum http_meaning { HTTP_MEANINGS(AS_ENUM) HTTP_MEANING_COUNT };
#undef AS_ENUM
// clang-format on

struct http_head {
    struct text method; /* GET, POST or DELETE; OPTIONS, which browsers ask first */
    struct text path;   /* as sent, without the query */
    struct text query;  /* as sent, without the question mark; NO_TEXT when there is none */
    struct text headers[HTTP_MEANING_COUNT]; /* their values; NO_TEXT when not there */
    uint64_t length;                         /* of the body; 0 when nothing says otherwise */
    bool closes;          /* the client wants no further request on this connection */
    bool awaits_continue; /* sends its body only when told to */
};

/* Reads a head from the first `size` bytes. On HTTP_OK, `*used` is its length with the empty line,
 * and the body begins there. HTTP_INCOMPLETE: call again with more; after HTTP_HEAD_MAX bytes it is
 * never the answer. On any other verdict `culprit` names what is at fault, or is NO_TEXT. */
MUST_USE enum http_verdict http_head_read(const char *at, size_t size, struct http_head *head,
                                          size_t *used, struct text *culprit);
int http_verdict_status(enum http_verdict verdict);
const char *http_verdict_message(enum http_verdict verdict);
