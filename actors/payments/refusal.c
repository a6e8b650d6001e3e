/* The error object of the API, and the refusals that the engine itself says. */
#include "worker.h"

#include "json_writer.h"
#include <assert.h>
#include <stdio.h>

/* A text that a constant may be made of. */
#define WORDS(literal)                  \
    {                                   \
        "" literal, sizeof(literal) - 1 \
    }

const struct api_refusal refusal_lock_timeout = {
    .status = 429,
    .code = "lock_timeout",
    .message =
        WORDS("This object cannot be accessed right now because another API request or Stripe "
              "process is currently accessing it. If you see this error intermittently, retry "
              "the request. If you see this error frequently and are making multiple concurrent "
              "requests to a single object, make your requests serially or at a lower rate."),
    .retry = true,
};
const struct api_refusal refusal_busy = {
    .status = 503,
    .type = "api_error",
    .message = WORDS("Too many requests are being processed right now. Please try again later."),
    .retry = true,
};
const struct api_refusal refusal_unavailable = {
    .status = 503,
    .type = "api_error",
    .message = WORDS("The service is not available right now. Please try again later."),
    .retry = true,
};
const struct api_refusal refusal_late = {
    .status = 504,
    .type = "api_error",
    .message =
        WORDS("The request did not complete in time, and its outcome is not known yet. Repeat it "
              "with the same idempotency key to learn the outcome."),
    .retry = true,
};
const struct api_refusal refusal_failed = {
    .status = 500,
    .type = "api_error",
    .message = WORDS("An unexpected error occurred while processing the request."),
};

struct api_refusal
refusal_in_use(struct arena *arena, struct text key)
{
    return (struct api_refusal){
        .status = 409,
        .code = "idempotency_key_in_use",
        .message = arena_format(
            arena,
            "There is currently another in-progress request using this Idempotent Key (that "
            "probably means you submitted twice, and the other request is still going through): "
            "%.*s. Please try again later.",
            (int)key.size, key.at ? key.at : ""),
        .retry = true,
    };
}

struct api_refusal
refusal_mismatch(struct arena *arena, struct text key)
{
    return (struct api_refusal){
        .status = 400,
        .type = "idempotency_error",
        .message = arena_format(
            arena,
            "Keys for idempotent requests can only be used with the same parameters they were "
            "first used with. Try using a key other than '%.*s' if you meant to execute a "
            "different request.",
            (int)key.size, key.at ? key.at : ""),
    };
}

static void
write_doc_url(struct json_writer *w, const char *code)
{
    char url[160];
    int size = snprintf(url, sizeof url, "https://stripe.com/docs/error-codes/%s", code);
    if (size >= (int)sizeof url) return;
    for (char *at = strrchr(url, '/'); *at; at++)
        if (*at == '_') *at = '-';
    json_text(w, "doc_url", (struct text){url, (size_t)size});
}

static void
write_if(struct json_writer *w, const char *key, const char *value)
{
    if (value) json_string(w, key, value);
}

struct text
refusal_json(struct call *call, const struct api_refusal *refusal)
{
    const struct text message = refusal->message;
    /* Escaped, one byte may become six. */
    const size_t cap = 2048 + message.size * 6 + refusal->charge.size +
                       refusal->payment_intent.size + refusal->payment_method.size +
                       refusal->setup_intent.size +
                       (refusal->param ? strlen(refusal->param) * 6 : 0);
    struct json_writer writer = call_writer(call, cap), *const w = &writer;
    json_open(w);
    json_key(w, "error");
    json_open(w);
    write_if(w, "advice_code", refusal->advice_code);
    if (refusal->charge.at) json_text(w, "charge", refusal->charge);
    write_if(w, "code", refusal->code);
    write_if(w, "decline_code", refusal->decline_code);
    if (refusal->code) write_doc_url(w, refusal->code);
    if (message.at) json_text(w, "message", message);
    write_if(w, "network_decline_code", refusal->network_decline_code);
    write_if(w, "param", refusal->param);
    if (refusal->payment_intent.at) json_raw(w, "payment_intent", refusal->payment_intent);
    if (refusal->payment_method.at) json_raw(w, "payment_method", refusal->payment_method);
    write_if(w, "payment_method_type", refusal->payment_method_type);
    if (refusal->setup_intent.at) json_raw(w, "setup_intent", refusal->setup_intent);
    json_string(w, "type", refusal->type ? refusal->type : "invalid_request_error");
    json_close(w);
    json_close(w);
    assert(!w->full);
    return json_writer_text(w);
}
