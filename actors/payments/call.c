/* What a handler may do (call.h). Nothing here sends or commits: the first thing that a handler
 * says about its end is noted in the job, and done once it has returned (worker.c). */
#include "worker.h"

#include "attempt.h"
#include "json_reader.h"
#include "log.h"
#include "random.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static struct job *
job_of(struct call *call)
{
    return (struct job *)call;
}

/* --- memory ---------------------------------------------------------------------------------- */

void *
call_new_row(struct call *call, enum row_table table)
{
    void *const row = arena_take_unset(call->arena, table_find(table)->size);
    row_clear(table, row);
    return row;
}

struct text
call_new_id(struct call *call, const char *prefix)
{
    return id_new(arena_take(call->arena, ID_SIZE_MAX + 1), prefix);
}

struct text
call_random_text(struct call *call, size_t count)
{
    char *const out = arena_take(call->arena, count + 1);
    uint8_t *const chance = arena_take(call->arena, count);
    random_bytes(chance, count);
    id_random_text(out, count, chance);
    return (struct text){out, count};
}

struct json_writer
call_writer(struct call *call, size_t cap)
{
    struct json_writer writer;
    json_writer_init(&writer, arena_take_unset(call->arena, cap), cap);
    return writer;
}

/* --- ending ---------------------------------------------------------------------------------- */

/* False when the handler has ended already: what it says later does not count. */
static bool
end_as(struct call *call, enum ending ending)
{
    struct job *const job = job_of(call);
    if (job->ending != ENDING_NONE) return false;
    job->ending = ending;
    return true;
}

void
call_answer(struct call *call, int status, struct text json)
{
    struct job *const job = job_of(call);
    if (!end_as(call, ENDING_ANSWER)) return;
    job->status = status;
    job->body = json;
    job->retry = false;
    job->keep = call->key.at != NULL;
}

void
call_refuse(struct call *call, const struct api_refusal *refusal, bool began)
{
    struct job *const job = job_of(call);
    if (!end_as(call, ENDING_REFUSE)) return;
    job->status = refusal->status;
    job->body = refusal_json(call, refusal);
    job->retry = refusal->retry;
    /* What is to be tried again is no answer to keep. */
    job->keep = began && call->key.at && !refusal->retry;
}

void
call_refuse_400(struct call *call, const char *code, const char *param, const char *format, ...)
{
    va_list arguments;
    assert(format);
    va_start(arguments, format);
    const int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    assert(size >= 0);
    char *const message = arena_take(call->arena, (size_t)size + 1);
    va_start(arguments, format);
    vsnprintf(message, (size_t)size + 1, format, arguments);
    va_end(arguments);
    const struct api_refusal refusal = {
        .status = 400,
        .code = code,
        .param = param,
        .message = {message, (size_t)size},
    };
    call_refuse(call, &refusal, true);
}

/* --- reading --------------------------------------------------------------------------------- */

bool
call_lock(struct call *call, struct text object_id)
{
    struct job *const job = job_of(call);
    assert(change_is_empty(&job->change));
    /* An attempt's end holds its locks since its beginning, or is told by its row's version. */
    if (job->finishing || !object_id.at) return true;
    if (lock_take(&job->worker->locks, &job->locker, call->merchant, object_id)) return true;
    (void)end_as(call, ENDING_WAIT);
    return false;
}

/* What the API calls a table's objects. */
static struct text
words_for(enum row_table table)
{
    switch (table) {
    case ROW_merchant: return TEXT("account");
    case ROW_payment_method: return TEXT("PaymentMethod");
    case ROW_checkout_session: return TEXT("checkout.session");
    case ROW_setup_intent: return TEXT("setupintent");
    default: return text_of(table_find(table)->name);
    }
}

/* The parameter that Stripe names when the id came in the path. */
static const char *
path_param(enum row_table table)
{
    return table == ROW_payment_intent || table == ROW_setup_intent ? "intent" : "id";
}

static void
refuse_missing(struct call *call, enum row_table table, struct text id, const char *param)
{
    const struct text words = words_for(table);
    const struct api_refusal refusal = {
        .status = param ? 400 : 404,
        .code = "resource_missing",
        .param = param ? param : path_param(table),
        .message = arena_format(call->arena, "No such %.*s: '%.*s'", (int)words.size, words.at,
                                (int)id.size, id.at ? id.at : ""),
    };
    call_refuse(call, &refusal, true);
}

bool
call_get_param(struct call *call, enum row_table table, struct text id, const char *param,
               void *row)
{
    struct job *const job = job_of(call);
    if (!id.at) id = TEXT("");
    const void *const staged = change_find(&job->change, table, id);
    if (staged) {
        memcpy(row, staged, table_find(table)->size);
        return true;
    }
    switch (store_get(job->worker->store, table, call->merchant, id, call->arena, row)) {
    case STORE_FOUND: return true;
    case STORE_MISSING: refuse_missing(call, table, id, param); return false;
    case STORE_UNAVAILABLE: call_refuse(call, &refusal_unavailable, false); return false;
    }
    return false;
}

bool
call_get(struct call *call, enum row_table table, struct text id, void *row)
{
    return call_get_param(call, table, id, NULL, row);
}

void
call_forget(struct call *call, enum row_table table, const void *row)
{
    store_forget(call->store, table, row_merchant(row), row_id(row));
}

/* --- staging --------------------------------------------------------------------------------- */

static void
stage(struct call *call, enum row_table table, void *row, bool insert)
{
    struct job *const job = job_of(call);
    assert(text_equal(row_merchant(row), call->merchant));
    if (table == ROW_attempt)
        ((struct row_attempt *)row)->epoch = (int64_t)job->worker->slots.epoch[job->slot];
    change_row(&job->change, table, row, insert);
}

void
call_insert(struct call *call, enum row_table table, void *row)
{
    stage(call, table, row, true);
}

void
call_update(struct call *call, enum row_table table, void *row)
{
    stage(call, table, row, false);
}

void
call_post(struct call *call, const char *kind, struct text source, struct text currency,
          const struct posting_line *lines, size_t count)
{
    struct staged_posting posting = {kind, source, currency, {{0, 0}}, count};
    assert(count <= POSTING_LINES_MAX);
    memcpy(posting.lines, lines, count * sizeof lines[0]);
    change_posting(&job_of(call)->change, &posting);
}

/* The events of one commit stand beside the first, by which they are found (schema.sql, event). */
static struct text
new_event_id(struct call *call)
{
    const struct change *const change = &job_of(call)->change;
    const struct text first =
        change->event_count ? change->events[0].id : call_new_id(call, "evt_");
    static_assert(CHANGE_EVENTS_MAX <= ID_BESIDE_MAX, "");
    return id_beside(arena_take_unset(call->arena, ID_SIZE_MAX + 1), first,
                     (unsigned)change->event_count);
}

void
call_event(struct call *call, const char *type, struct text object_id, struct text data,
           struct text previous)
{
    const struct told_event event = {
        .id = new_event_id(call),
        .type = text_of(type),
        .object = object_id,
        .data = data,
        .previous = previous,
        .created = call->now_s,
        .api_version = call->api_version,
    };
    change_event(&job_of(call)->change, &event);
}

/* --- attempts -------------------------------------------------------------------------------- */

/* The number of an attempt's operation at the network. 0: there is none of that name. */
static uint64_t
operation_named(struct text name)
{
#define OPERATION(NAME, number, word, doc) \
    if (text_is(name, word)) return number;
#include "network_operation.def"
#undef OPERATION
    return 0;
}

/* Who the card is, and how its payer may be asked; the payment method may be staged in this very
 * call. */
static bool
add_card(struct call *call, const struct row_attempt *attempt, struct msg_network_request *request)
{
    struct row_payment_method *const method = call_new_row(call, ROW_payment_method);
    if (!call_get_param(call, ROW_payment_method, attempt->payment_method, "payment_method",
                        method))
        return false;
    const struct text wish = json_find(attempt->params, "three_d_secure");
    request->token = method->token;
    request->set_up = method->set_up;
    request->absent = text_is(json_find(attempt->params, "off_session"), "true");
    request->three_d_secure = text_is(wish, "\"challenge\"") ? 2 : text_is(wish, "\"any\"");
    request->has |= HAS_network_request_token | HAS_network_request_set_up |
                    HAS_network_request_absent | HAS_network_request_three_d_secure;
    return true;
}

/* What an issuer would like to check, if it is of a length that the message can bear. */
static void
add_check(struct msg_network_request *request, struct text *field, uint32_t has, struct text value,
          size_t size_max)
{
    if (!value.at || value.size > size_max) return;
    *field = value;
    request->has |= has;
}

static bool
make_request(struct call *call, const struct row_attempt *attempt,
             const struct network_extras *extras, struct msg_network_request *request)
{
    *request = (struct msg_network_request){
        .has = HAS_network_request_reference | HAS_network_request_operation |
               HAS_network_request_merchant | (attempt->amount ? HAS_network_request_amount : 0u) |
               (attempt->currency.at ? HAS_network_request_currency : 0u),
        .reference = attempt->id,
        .operation = operation_named(attempt->operation),
        .amount = attempt->amount,
        .currency = attempt->currency,
        .merchant = attempt->merchant,
    };
    assert(request->operation);
    if (attempt->original.at) {
        request->original = attempt->original;
        request->has |= HAS_network_request_original;
    }
    if (text_is(json_find(attempt->params, "keep"), "true")) {
        request->keep = 1;
        request->has |= HAS_network_request_keep;
    }
    if (request->operation != NETWORK_AUTHORIZE && request->operation != NETWORK_VERIFY)
        return true;

    if (!add_card(call, attempt, request)) return false;
    request->capture = attempt->capture;
    request->has |= HAS_network_request_capture;
    if (!extras) return true;
    if (extras->cvc.size)
        add_check(request, &request->cvc, HAS_network_request_cvc,
                  arena_copy(call->arena, extras->cvc), 63);
    add_check(request, &request->postal_code, HAS_network_request_postal_code,
              arena_copy(call->arena, extras->postal_code), 31);
    add_check(request, &request->line1, HAS_network_request_line1,
              arena_copy(call->arena, extras->line1), 255);
    return true;
}

static void
begin(struct call *call, struct row_attempt *attempt, const struct network_extras *extras,
      bool staged)
{
    struct job *const job = job_of(call);
    if (job->ending != ENDING_NONE) return;
    /* Before anything is durable: no attempts pile up for a network that is away (F78). */
    if (!network_is_there(job->worker)) {
        call_refuse(call, &refusal_unavailable, false);
        return;
    }
    if (!attempt->id.at) attempt->id = call_new_id(call, "att_");
    if (!attempt->created) attempt->created = call->now_s;
    attempt->merchant = call->merchant;
    attempt->state = text_of(attempt_state_name(attempt_step(ATTEMPT_NONE, ATTEMPT_ON_BEGIN)));
    attempt->slot = job->slot;
    attempt->key = call->key;
    attempt->request = call->request;
    attempt->api_version = call->api_version;
    attempt->expand = call->expand;
    if (!make_request(call, attempt, extras, &job->request)) return;
    if (staged && !change_set_aside(&job->change, call->arena, &attempt->staged)) {
        log_event(LOG_ERROR, "attempt.unpackable", "request=%.*s", (int)call->request.size,
                  call->request.at ? call->request.at : "");
        call_refuse(call, &refusal_failed, false);
        return;
    }
    call_insert(call, ROW_attempt, attempt);
    job->begun = attempt;
    (void)end_as(call, ENDING_BEGIN);
}

void
call_begin_attempt(struct call *call, struct row_attempt *attempt,
                   const struct network_extras *extras)
{
    begin(call, attempt, extras, false);
}

void
call_begin_staged(struct call *call, struct row_attempt *attempt,
                  const struct network_extras *extras)
{
    begin(call, attempt, extras, true);
}

bool
call_take_up(struct call *call, const struct row_attempt *attempt)
{
    return change_take_up(&job_of(call)->change, call->arena, call->merchant, attempt->staged);
}
