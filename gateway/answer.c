#include "answer.h"

#include "clock.h"
#include "json_writer.h"
#include <assert.h>
#include <stdio.h>
#include <time.h>

static const struct {
    int status;
    const char *type, *code;
    enum answer_retry retry;
    const char *message;
} refusals[REFUSAL_COUNT] = {
#define REFUSAL(name, status, type, code, retry, message) \
    [REFUSAL_##name] = {status, type, code, retry, message},
#include "refusals.def"
#undef REFUSAL
};

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {204, "No Content"},
    {303, "See Other"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

static const char *
reason_of(int status)
{
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status) return reasons[i].reason;
    return "Answer";
}

/* Bytes appended to a buffer whose size was reckoned before. */
struct out {
    char *at;
    size_t size, cap;
};

static void
put(struct out *out, struct text text)
{
    assert(out->cap - out->size >= text.size);
    if (text.size) memcpy(out->at + out->size, text.at, text.size);
    out->size += text.size;
}

static void
put_number(struct out *out, uint64_t number)
{
    char digits[NUMBER_DIGITS_MAX];
    put(out, text_of_number(number, digits));
}

static void
put_status(struct out *out, int status)
{
    put(out, TEXT("HTTP/1.1 "));
    put_number(out, (uint64_t)status);
    put(out, TEXT(" "));
    put(out, text_of(reason_of(status)));
    put(out, TEXT("\r\n"));
}

static void
put_header(struct out *out, const char *name, struct text value)
{
    if (!value.at) return;
    put(out, text_of(name));
    put(out, TEXT(": "));
    put(out, value);
    put(out, TEXT("\r\n"));
}

static void
put_header_number(struct out *out, const char *name, uint64_t number)
{
    put(out, text_of(name));
    put(out, TEXT(": "));
    put_number(out, number);
    put(out, TEXT("\r\n"));
}

/* "Sun, 22 Nov 2026 21:17:00 GMT", whatever the locale. Made once a second. */
static struct text
date(void)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static char words[40];
    static int size;
    static time_t made;
    const time_t now = (time_t)(clock_wall_ms() / 1000);
    if (now != made) {
        struct tm tm;
        gmtime_r(&now, &tm);
        size = snprintf(words, sizeof words, "%.3s, %02d %.3s %d %02d:%02d:%02d GMT",
                        days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon,
                        tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
        made = now;
    }
    return (struct text){words, (size_t)size};
}

enum { HEAD_BYTES_MAX = 2048 };

void
answer_write(struct http_exchange *exchange, const struct answer *answer)
{
    /* The body first, where a head of any size has room before it: its size stands in the head.
     * What is laid out for people is seldom twice as long; then it is done again. */
    size_t cap = answer->laid_out ? answer->json.size : 2 * answer->json.size + 64;
    char *bytes = arena_take_unset(exchange->arena, HEAD_BYTES_MAX + cap + 1);
    size_t body = cap;
    if (answer->laid_out)
        memcpy(bytes + HEAD_BYTES_MAX, answer->json.at, cap);
    else
        body = json_pretty(answer->json, bytes + HEAD_BYTES_MAX, cap);
    if (body > cap) {
        cap = body;
        bytes = arena_take_unset(exchange->arena, HEAD_BYTES_MAX + cap + 1);
        (void)json_pretty(answer->json, bytes + HEAD_BYTES_MAX, cap);
    }
    bytes[HEAD_BYTES_MAX + body] = '\n';
    arena_shrink(exchange->arena, bytes, HEAD_BYTES_MAX + cap + 1, HEAD_BYTES_MAX + body + 1);

    char head[HEAD_BYTES_MAX];
    struct out out = {.at = head, .cap = sizeof head};
    put_status(&out, answer->status);
    put_header(&out, "Date", date());
    put_header(&out, "Content-Type", TEXT("application/json"));
    put_header_number(&out, "Content-Length", body + 1);
    put_header(&out, "Cache-Control", TEXT("no-cache, no-store"));
    put_header(&out, "Request-Id", answer->request);
    put_header(&out, "Stripe-Version", answer->version);
    put_header(&out, "Idempotency-Key", answer->key);
    if (answer->original_request.at) {
        put_header(&out, "Idempotent-Replayed", TEXT("true"));
        put_header(&out, "Original-Request", answer->original_request);
    }
    if (answer->retry != SAYS_NOTHING)
        put_header(&out, "Stripe-Should-Retry",
                   answer->retry == SAYS_YES ? TEXT("true") : TEXT("false"));
    put_header(&out, "Stripe-Rate-Limited-Reason", text_of(answer->limited));
    if (answer->retry_after_s)
        put_header_number(&out, "Retry-After", (uint64_t)answer->retry_after_s);
    if (answer->status == 401) put_header(&out, "WWW-Authenticate", TEXT("Basic realm=\"Florin\""));
    if (answer->status == 405) put_header(&out, "Allow", TEXT("GET, POST, DELETE"));
    if (answer->any_origin) {
        put_header(&out, "Access-Control-Allow-Origin", TEXT("*"));
        put_header(&out, "Access-Control-Expose-Headers",
                   TEXT("Request-Id, Retry-After, Stripe-Should-Retry"));
    }
    if (exchange->closes) put_header(&out, "Connection", TEXT("close"));
    put(&out, TEXT("\r\n"));

    char *const first = bytes + HEAD_BYTES_MAX - out.size;
    memcpy(first, head, out.size);
    exchange->answer = (struct text){first, out.size + body + 1};
}

void
answer_write_bytes(struct http_exchange *exchange, int status, const char *type,
                   const char *headers, struct text body)
{
    struct out out = {.cap = HEAD_BYTES_MAX + strlen(headers) + body.size};
    out.at = arena_take_unset(exchange->arena, out.cap);
    put_status(&out, status);
    put_header(&out, "Date", date());
    if (type) {
        put_header(&out, "Content-Type", text_of(type));
        put_header_number(&out, "Content-Length", body.size);
    }
    put(&out, text_of(headers));
    if (exchange->closes) put_header(&out, "Connection", TEXT("close"));
    put(&out, TEXT("\r\n"));
    if (type) put(&out, body);
    exchange->answer = (struct text){out.at, out.size};
}

void
answer_write_page(struct http_exchange *exchange, const struct answer_page *page)
{
    struct out out = {.cap = HEAD_BYTES_MAX + page->location.size + page->policy.size +
                             page->html.size};
    out.at = arena_take_unset(exchange->arena, out.cap);
    put_status(&out, page->status);
    put_header(&out, "Date", date());
    put_header(&out, "Content-Type", TEXT("text/html; charset=utf-8"));
    put_header_number(&out, "Content-Length", page->html.size);
    put_header(&out, "Location", page->location);
    put_header(&out, "Cache-Control", TEXT("no-store"));
    put_header(&out, "Content-Security-Policy", page->policy);
    put_header(&out, "Cross-Origin-Opener-Policy", TEXT("same-origin"));
    put_header(&out, "Permissions-Policy", TEXT("camera=(), geolocation=(), microphone=()"));
    put_header(&out, "Referrer-Policy", TEXT("no-referrer"));
    put_header(&out, "X-Content-Type-Options", TEXT("nosniff"));
    put_header(&out, "X-Frame-Options", TEXT("DENY"));
    put_header(&out, "X-Robots-Tag", TEXT("noindex"));
    put_header(&out, "Request-Id", page->request);
    if (exchange->closes) put_header(&out, "Connection", TEXT("close"));
    put(&out, TEXT("\r\n"));
    put(&out, page->html);
    exchange->answer = (struct text){out.at, out.size};
}

struct text
answer_error_json(struct arena *arena, const struct answer_error *error)
{
    const size_t cap = 1024 + 6 * (error->message.size + error->param.size);
    char *at = arena_take(arena, cap), url[128];
    struct json_writer w;
    json_writer_init(&w, at, cap);
    json_open(&w);
    json_key(&w, "error");
    json_open(&w);
    if (error->code && *error->code) {
        json_string(&w, "code", error->code);
        int size = snprintf(url, sizeof url, "https://stripe.com/docs/error-codes/%s", error->code);
        for (int i = 0; i < size; i++)
            if (url[i] == '_') url[i] = '-';
        json_string(&w, "doc_url", url);
    }
    json_text(&w, "message", error->message);
    if (error->param.size) json_text(&w, "param", error->param);
    json_string(&w, "type", error->type);
    json_close(&w);
    json_close(&w);
    assert(!w.full);
    return json_writer_text(&w);
}

int
refusal_status(enum refusal refusal)
{
    return refusals[refusal].status;
}

enum answer_retry
refusal_retry(enum refusal refusal)
{
    return refusals[refusal].retry;
}

struct text
refusal_json(struct arena *arena, enum refusal refusal, struct text about, struct text param)
{
    const char *message = refusals[refusal].message;
    const char *mark = strchr(message, '%');
    const struct text whole =
        mark ? arena_format(arena, "%.*s%.*s%s", (int)(mark - message), message, (int)about.size,
                            about.at ? about.at : "", mark + 1)
             : text_of(message);
    const struct answer_error error = {.status = refusals[refusal].status,
                                       .type = refusals[refusal].type,
                                       .code = refusals[refusal].code,
                                       .message = whole,
                                       .param = param};
    return answer_error_json(arena, &error);
}
