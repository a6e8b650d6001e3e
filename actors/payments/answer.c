#include "answer.h"

#include "api_version.h"
#include "json_change.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define PREVIOUS_SIZE_MAX 65535 /* of event_write in messages.def */

void
answer_row(struct call *call, enum row_table table, const void *row, const struct known *known)
{
    struct text json;
    if (render_row(call, table, row, call->expand, known, &json))
        call_answer(call, 200, json);
    else
        refuse_unavailable(call);
}

void
answer_with_method(struct call *call, enum row_table table, const void *row,
                   const struct row_payment_method *method)
{
    answer_row(call, table, row, method ? KNOWN({ROW_payment_method, method}) : NULL);
}

void
answer_deleted(struct call *call, struct text id, const char *object)
{
    struct json_writer w = call_writer(call, 256);
    json_open(&w);
    json_text(&w, "id", id);
    json_string(&w, "object", object);
    json_flag(&w, "deleted", true);
    json_close(&w);
    call_answer(call, 200, json_writer_text(&w));
}

/* An event bears the account's version, whatever the request asked for; its data is written in the
 * oldest shape that somebody hears it in, because newer ones can be made from that. */
struct telling {
    struct text asked; /* the request's version, for its answer */
    struct text version, shape;
};

static struct telling
telling_of(struct call *call)
{
    struct telling telling = {call->api_version, call->api_version, call->api_version};
    struct row_merchant *merchant;
    if (!call->account) {
        merchant = call_new_row(call, ROW_merchant);
        if (store_get(call->store, ROW_merchant, call->merchant, call->merchant, call->arena,
                      merchant) == STORE_FOUND)
            call->account = merchant;
    }
    /* An account that cannot be read now is told of as the request was. */
    if (!call->account || !call->account->api_version.at) return telling;
    telling.version = call->account->api_version;
    telling.shape = api_version_older(telling.version, call->account->told_version);
    return telling;
}

/* An event is the object as a secret key sees it, whoever caused it, and with ids alone. */
static struct text
as_told(struct call *call, enum row_table table, const void *row, const struct known *known)
{
    const bool publishable = call->publishable;
    struct text json;
    call->publishable = false;
    const bool whole = render_row(call, table, row, NO_TEXT, known, &json);
    (void)whole; /* at worst it lacks the payment method of an old error */
    call->publishable = publishable;
    return json;
}

void
tell(struct call *call, const char *type, enum row_table table, const void *row,
     const struct known *known)
{
    const struct telling telling = telling_of(call);
    call->api_version = telling.shape;
    const struct text data = as_told(call, table, row, known);
    call->api_version = telling.version;
    call_event(call, type, row_id(row), data, NO_TEXT);
    call->api_version = telling.asked;
}

void
tell_updated(struct call *call, const char *type, enum row_table table, const void *before,
             const void *after)
{
    const struct telling telling = telling_of(call);
    call->api_version = telling.shape;
    const struct text was = as_told(call, table, before, NULL);
    const struct text is = as_told(call, table, after, NULL);
    call->api_version = telling.version;
    /* No longer than all that was, each absent member named once more as null. */
    struct json_writer w = call_writer(call, was.size + is.size + 64);
    if (json_change(was, is, &w)) {
        /* What is longer than an event may bear is left out: the object itself is what counts. */
        const bool bearable = !w.full && w.size <= PREVIOUS_SIZE_MAX;
        call_event(call, type, row_id(after), is, bearable ? json_writer_text(&w) : NO_TEXT);
    }
    call->api_version = telling.asked;
}

void
refuse_missing(struct call *call, const char *what, struct text id, const char *param)
{
    call_refuse(call,
                &(struct api_refusal){.status = param ? 400 : 404,
                                      .code = "resource_missing",
                                      .param = param ? param : "id",
                                      .message = arena_format(call->arena, "No such %s: '%.*s'",
                                                              what, (int)id.size, id.at)},
                true);
}

void
refuse_unavailable(struct call *call)
{
    call_refuse(call,
                &(struct api_refusal){
                    .status = 503,
                    .type = "api_error",
                    .message = TEXT("What you asked for cannot be put together now. Please try "
                                    "again, or expand less of it."),
                    .retry = true},
                false);
}

void
refuse_busy(struct call *call, enum row_table table, const void *row)
{
    call_forget(call, table, row);
    call_refuse(
        call,
        &(struct api_refusal){
            .status = 429,
            .code = "lock_timeout",
            .message = TEXT("This object cannot be accessed right now because another API request "
                            "is currently accessing it. Please try again in a moment."),
            .retry = true},
        false);
}

void
refuse_state(struct call *call, enum row_table table, const void *row, const char *format, ...)
{
    struct api_refusal refusal = {.status = 400};
    const bool is_payment = table == ROW_payment_intent;
    char message[512];
    va_list list;
    assert(is_payment || table == ROW_setup_intent);
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    refusal.message = arena_copy(call->arena, text_of(message));
    refusal.code = is_payment ? "payment_intent_unexpected_state" : "setup_intent_unexpected_state";
    const bool whole = render_row(call, table, row, NO_TEXT, NULL,
                                  is_payment ? &refusal.payment_intent : &refusal.setup_intent);
    (void)whole;
    call_refuse(call, &refusal, true);
}

bool
get_customer(struct call *call, struct text id, const char *param, struct row_customer *customer)
{
    const bool found = param ? call_get_param(call, ROW_customer, id, param, customer)
                             : call_get(call, ROW_customer, id, customer);
    if (!found) return false;
    if (!customer->deleted) return true;
    refuse_missing(call, "customer", id, param);
    return false;
}
