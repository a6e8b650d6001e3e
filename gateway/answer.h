/* answer: what goes back to the client: one buffer with the head and the body, JSON laid out, every
 * header that the client libraries look at. */
#pragma once

#include "http.h"
#include "text.h"
#include <stdbool.h>
#include <stdint.h>

enum answer_retry { SAYS_NOTHING, SAYS_YES, SAYS_NO };

#define REFUSAL(name, status, type, code, retry, message) REFUSAL_##name,
enum refusal {
#include "refusals.def"
    REFUSAL_COUNT
};
#undef REFUSAL

/* Absent texts are NO_TEXT, and their headers are left out. */
struct answer {
    int status;
    struct text json; /* without white space, unless: */
    bool laid_out;    /* it is as people read it already */
    struct text request, version, key, original_request;
    enum answer_retry retry;
    int64_t retry_after_s; /* 0: not said */
    bool any_origin;       /* pages of other origins may read it */
    const char *limited;   /* Stripe-Rate-Limited-Reason; NULL: it was not */
};

/* What is wrong, in the API's shape. */
struct answer_error {
    int status;
    const char *type, *code; /* code NULL or "": none */
    struct text message, param;
};

/* Fills exchange->answer. */
void answer_write(struct http_exchange *exchange, const struct answer *answer);
/* Likewise, with bytes that are no JSON of ours. `headers` are whole lines, each with its CR LF;
 * `type` NULL: there is no body. */
void answer_write_bytes(struct http_exchange *exchange, int status, const char *type,
                        const char *headers, struct text body);
/* A page for a person's browser, which may run nothing and load nothing but what is in it. */
struct answer_page {
    int status;
    struct text html;     /* NO_TEXT: nothing to be seen, the browser is sent on */
    struct text location; /* NO_TEXT: it stays */
    struct text policy;   /* Content-Security-Policy */
    struct text request;
};
void answer_write_page(struct http_exchange *exchange, const struct answer_page *page);
/* The error's JSON, in the arena, its keys in alphabetic order. */
struct text answer_error_json(struct arena *arena, const struct answer_error *error);

int refusal_status(enum refusal refusal);
enum answer_retry refusal_retry(enum refusal refusal);
/* `about` stands for the % of its message; `param` may be NO_TEXT. */
struct text refusal_json(struct arena *arena, enum refusal refusal, struct text about,
                         struct text param);
