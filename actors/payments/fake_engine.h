/* fake_engine: the engine's side of call.h and store.h in memory, so that every handler can be
 * tried without a process beside this one. Included by one test program each, which then links none
 * of the engine but change.c and refusal.c.
 *
 * It is stricter than the engine where that finds more: a request passes the gateway's own check of
 * its route, an attempt is finished with a call that has nothing but the attempt's row, in other
 * memory, and every commit must balance and fit its message. */
#pragma once

#include "attempt.h"
#include "change.h"
#include "form.h"
#include "id.h"
#include "json_reader.h"
#include "refund_life.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define KEPT_MAX 4096
#define MERCHANT TEXT("acct_000000000000000000000001")

struct worker {
    int64_t settlement_delay_s, challenge_expiry_s, hold_s, customer_methods_max;
};

/* A row as it is durable. Texts live in memory that is never given back. */
struct kept {
    enum row_table table;
    _Alignas(max_align_t) char row[ROW_SIZE_MAX];
};

enum said { SAID_NOTHING, SAID_ANSWER, SAID_REFUSAL, SAID_BEGIN, SAID_WAIT };

static struct {
    struct worker worker;
    struct arena *durable;
    struct kept kept[KEPT_MAX];
    size_t kept_count;
    struct store_event events[KEPT_MAX];
    size_t event_count;
    int64_t accounts[16]; /* sum of all postings of an account */
    int64_t now_ms;
    uint32_t ids;
    bool store_is_away; /* every reading is STORE_UNAVAILABLE */
    char forgotten[96]; /* the last row that was: its table and its id */
    bool locked;        /* others hold every lock */
    bool livemode, publishable;
    const char *api_version;

    /* What the network shall say: 0 is by the card. */
    uint64_t outcome;
    const char *decline;
    bool left_open;   /* the attempt is not finished: by fake_finish, later */
    bool recovered;   /* the attempt is finished by a worker that takes it over from `unknown` */
    struct text open; /* the attempt that was left so */
    struct msg_network_request asked;
    struct text asked_cvc, asked_postal_code;

    /* Of the call that goes on. */
    struct change change;
    enum said said;
    int status;
    struct text body;
    bool began, retry;
    struct row_attempt *begun;
} fake;

/* --- what is durable ---------------------------------------------------------------------------
 */

static void
fake_start(void)
{
    fake.worker.settlement_delay_s = 172800;
    fake.worker.challenge_expiry_s = 900;
    fake.worker.hold_s = 604800;
    fake.worker.customer_methods_max = 500;
    fake.durable = arena_new((size_t)256 << 20);
    fake.now_ms = INT64_C(1790000000000);
    fake.api_version = "2026-10-28.endive";
}

static struct kept *
fake_find(enum row_table table, struct text id)
{
    for (size_t i = 0; i < fake.kept_count; i++)
        if (fake.kept[i].table == table && text_equal(row_id(fake.kept[i].row), id))
            return &fake.kept[i];
    return NULL;
}

/* The version that a staged row replaces must be the one that is there, as the ledger checks; for
 * an attempt there must be an arrow from its state to the new one. */
static void
fake_keep(const struct staged_row *staged)
{
    static uint8_t bytes[1 << 20];
    size_t size = 0;
    struct kept *kept = fake_find(staged->table, row_id(staged->row));
    cr_assert(row_encode(staged->table, staged->row, bytes, sizeof bytes, &size));
    cr_assert(eq(i64, staged->replaces, kept ? row_version(kept->row) : 0));
    if (staged->table == ROW_attempt) {
        const struct row_attempt *before = kept ? (const void *)kept->row : NULL;
        cr_assert(attempt_may_go(before ? attempt_state_named(before->state) : ATTEMPT_NONE,
                                 attempt_state_named(((struct row_attempt *)staged->row)->state)));
    }
    if (!kept) {
        cr_assert(lt(sz, fake.kept_count, KEPT_MAX));
        kept = &fake.kept[fake.kept_count++];
        kept->table = staged->table;
    }
    const struct text copy = arena_copy(fake.durable, (struct text){(const char *)bytes, size});
    cr_assert(row_decode(staged->table, (const uint8_t *)copy.at, copy.size, kept->row));
}

static void
fake_commit(struct call *call)
{
    struct msg_commit commit = {0};
    cr_assert(change_pack(&fake.change, call->arena, &commit), "a commit fits its message");
    for (size_t i = 0; i < fake.change.row_count; i++)
        fake_keep(&fake.change.rows[i]);
    for (size_t i = 0; i < fake.change.posting_count; i++) {
        const struct staged_posting *posting = &fake.change.postings[i];
        int64_t sum = 0;
        for (size_t line = 0; line < posting->count; line++) {
            sum += posting->lines[line].amount;
            fake.accounts[posting->lines[line].account] += posting->lines[line].amount;
            cr_expect(ne(i64, posting->lines[line].amount, 0), "no line is empty");
        }
        cr_expect(zero(i64, sum), "%s balances", posting->kind);
    }
    for (size_t i = 0; i < fake.change.event_count; i++) {
        const struct told_event *event = &fake.change.events[i];
        fake.events[fake.event_count++] = (struct store_event){
            .id = arena_copy(fake.durable, event->id),
            .merchant = MERCHANT,
            .type = arena_copy(fake.durable, event->type),
            .object = arena_copy(fake.durable, event->object),
            .data = arena_copy(fake.durable, event->data),
            .previous = arena_copy(fake.durable, event->previous),
            .api_version = arena_copy(fake.durable, event->api_version),
            .request = TEXT("req_000000000000000000000001"),
            .created = event->created,
            .sequence = (int64_t)fake.event_count + 1,
            .pending_webhooks = 1,
        };
    }
    change_clear(&fake.change);
}

/* --- store.h -------------------------------------------------------------------------------------
 */

enum store_verdict
store_get(struct store *store, enum row_table table, struct text merchant, struct text id,
          struct arena *arena, void *row)
{
    (void)store;
    (void)merchant;
    (void)arena;
    if (fake.store_is_away) return STORE_UNAVAILABLE;
    const struct kept *kept = fake_find(table, id);
    if (!kept) return STORE_MISSING;
    memcpy(row, kept->row, table_find((uint64_t)table)->size);
    return STORE_FOUND;
}

static const void *
fake_column(const struct kept *kept, const char *name)
{
    const struct table *t = table_find((uint64_t)kept->table);
    for (size_t i = 0; i < t->column_count; i++)
        if (strcmp(t->columns[i].name, name) == 0) return kept->row + t->columns[i].offset;
    cr_assert(false, "%s has no column %s", t->name, name);
    return NULL;
}

static bool
fake_id_fits(struct text id, struct text after, struct text before, struct text least,
             struct text below)
{
    return (!after.at || text_compare(id, after) < 0) &&
           (!before.at || text_compare(id, before) > 0) &&
           (!least.at || text_compare(id, least) >= 0) &&
           (!below.at || text_compare(id, below) < 0);
}

/* Ids rise, so the kept rows of a table stand in the order of their making. */
enum store_verdict
store_list(struct store *store, enum row_table table, struct text merchant,
           const struct store_page *page, struct arena *arena, void **rows, size_t *count,
           bool *more)
{
    const struct kept *found[KEPT_MAX];
    size_t matches = 0;
    const size_t size = table_find((uint64_t)table)->size;
    (void)store;
    (void)merchant;
    if (fake.store_is_away) return STORE_UNAVAILABLE;
    cr_assert(page->limit >= 1 && page->limit <= 100);
    for (size_t i = fake.kept_count; i-- > 0;) {
        const struct kept *kept = &fake.kept[i];
        if (kept->table != table) continue;
        bool fits = fake_id_fits(row_id(kept->row), page->after, page->before, page->id_least,
                                 page->id_below);
        for (size_t f = 0; fits && f < page->filter_count; f++)
            fits = text_equal(*(const struct text *)fake_column(kept, page->filters[f].column),
                              page->filters[f].value);
        if (fits && page->without) fits = !*(const bool *)fake_column(kept, page->without);
        if (fits) found[matches++] = kept;
    }
    const size_t limit = (size_t)page->limit;
    const size_t from = page->before.at && matches > limit ? matches - limit : 0;
    *count = matches < limit ? matches : limit;
    *more = matches > limit;
    *rows = arena_take(arena, (*count + 1) * size);
    for (size_t i = 0; i < *count; i++)
        memcpy((char *)*rows + i * size, found[from + i]->row, size);
    return STORE_FOUND;
}

enum store_verdict
store_count(struct store *store, enum row_table table, struct text merchant,
            const struct store_page *page, size_t max, struct arena *arena, size_t *count)
{
    struct store_page all = *page;
    void *rows;
    bool more;
    all.limit = 100;
    const enum store_verdict verdict =
        store_list(store, table, merchant, &all, arena, &rows, count, &more);
    if (*count > max) *count = max;
    return verdict;
}

/* What a clause asks of a column itself; of what lies within JSON, nothing. */
static bool
fake_clause_fits(const struct kept *kept, const struct search_clause *clause)
{
    const struct search_field *field = clause->field;
    if (field->kind == SEARCH_METADATA || *field->path || !*field->column) return true;
    const void *value = fake_column(kept, field->column);
    bool fits;
    if (field->kind == SEARCH_NUMBER || field->kind == SEARCH_MOMENT)
        fits = clause->comparison == SEARCH_ABOVE ? *(const int64_t *)value > clause->number
                                                  : *(const int64_t *)value == clause->number;
    else if (field->kind == SEARCH_FLAG)
        fits = *(const bool *)value == (clause->number != 0);
    else
        fits = text_equal(*(const struct text *)value, clause->value);
    return fits != clause->negated;
}

enum store_verdict
store_search(struct store *store, enum row_table table, struct text merchant,
             const struct store_search *search, struct arena *arena, void **rows, size_t *count,
             struct text *next)
{
    const size_t size = table_find((uint64_t)table)->size;
    (void)store;
    (void)merchant;
    *count = 0;
    *next = NO_TEXT;
    *rows = arena_take(arena, size * 100);
    if (fake.store_is_away) return STORE_UNAVAILABLE;
    for (size_t i = fake.kept_count; i-- > 0;) {
        const struct kept *kept = &fake.kept[i];
        bool fits = kept->table == table &&
                    fake_id_fits(row_id(kept->row), search->after, NO_TEXT, NO_TEXT, NO_TEXT);
        if (fits && search->without) fits = !*(const bool *)fake_column(kept, search->without);
        bool any = false, all = true;
        for (size_t c = 0; fits && c < search->query->count; c++) {
            const bool met = fake_clause_fits(kept, &search->query->clauses[c]);
            any |= met;
            all &= met;
        }
        if (!fits || !(search->query->any ? any : all)) continue;
        if (*count == (size_t)search->limit) {
            *next = row_id((char *)*rows + (*count - 1) * size);
            break;
        }
        memcpy((char *)*rows + (*count)++ * size, kept->row, size);
    }
    return STORE_FOUND;
}

enum store_verdict
store_balances(struct store *store, struct text merchant, struct arena *arena,
               struct store_balance **balances, size_t *count)
{
    (void)store;
    (void)merchant;
    if (fake.store_is_away) return STORE_UNAVAILABLE;
    *balances = arena_take(arena, sizeof **balances);
    (*balances)[0] = (struct store_balance){TEXT("usd"), -fake.accounts[2], -fake.accounts[3]};
    *count = fake.accounts[2] || fake.accounts[3];
    return STORE_FOUND;
}

enum store_verdict
store_event(struct store *store, struct text merchant, struct text id, struct arena *arena,
            struct store_event *event)
{
    (void)store;
    (void)merchant;
    (void)arena;
    for (size_t i = 0; i < fake.event_count; i++) {
        if (!text_equal(fake.events[i].id, id)) continue;
        *event = fake.events[i];
        return STORE_FOUND;
    }
    return STORE_MISSING;
}

enum store_verdict
store_events(struct store *store, struct text merchant, const struct store_event_page *page,
             struct arena *arena, struct store_event **events, size_t *count, bool *more)
{
    (void)store;
    (void)merchant;
    *events = arena_take(arena, sizeof **events * (size_t)page->limit);
    *count = 0;
    *more = false;
    for (size_t i = fake.event_count; i-- > 0;) {
        bool fits = fake_id_fits(fake.events[i].id, page->after, page->before, page->id_least,
                                 page->id_below) &&
                    page->type_count == 0;
        for (size_t t = 0; t < page->type_count; t++)
            fits |= text_equal(page->types[t], fake.events[i].type);
        if (!fits) continue;
        *more = *count == (size_t)page->limit;
        if (*more) break;
        (*events)[(*count)++] = fake.events[i];
    }
    return STORE_FOUND;
}

/* --- call.h ---------------------------------------------------------------------------------- */

int64_t
worker_settlement_delay_s(const struct worker *worker)
{
    return worker->settlement_delay_s;
}

const char *
worker_public_url(const struct worker *worker)
{
    (void)worker;
    return "http://pay.test";
}

int64_t
worker_challenge_expiry_s(const struct worker *worker)
{
    return worker->challenge_expiry_s;
}

int64_t
worker_checkout_expires_s_min(const struct worker *worker)
{
    (void)worker;
    return 1800;
}

int64_t
worker_hold_s(const struct worker *worker)
{
    return worker->hold_s;
}

int64_t
worker_customer_methods_max(const struct worker *worker)
{
    return worker->customer_methods_max;
}

void *
call_new_row(struct call *call, enum row_table table)
{
    void *row = arena_take(call->arena, table_find((uint64_t)table)->size);
    row_clear(table, row);
    return row;
}

struct text
call_new_id(struct call *call, const char *prefix)
{
    static const uint8_t chance[ID_RANDOM_BYTES];
    return id_make(arena_take(call->arena, ID_SIZE_MAX + 1), prefix, fake.now_ms, fake.ids++,
                   chance);
}

struct text
call_random_text(struct call *call, size_t count)
{
    char *out = arena_take(call->arena, count + 1);
    for (size_t i = 0; i < count; i++)
        out[i] = "aBcDeF7"[(fake.ids++ + i) % 7];
    return (struct text){out, count};
}

struct json_writer
call_writer(struct call *call, size_t cap)
{
    struct json_writer w;
    json_writer_init(&w, arena_take(call->arena, cap), cap);
    return w;
}

static void
fake_say(enum said said, int status, struct text body, bool began, bool retry)
{
    if (fake.said) return; /* as the engine: only the first counts */
    fake.said = said;
    fake.status = status;
    fake.body = arena_copy(fake.durable, body);
    fake.began = began;
    fake.retry = retry;
}

bool
call_lock(struct call *call, struct text object_id)
{
    (void)call;
    cr_assert(change_is_empty(&fake.change), "locks come before anything is staged");
    cr_assert(object_id.at != NULL);
    if (fake.locked) fake_say(SAID_WAIT, 0, NO_TEXT, false, false);
    return !fake.locked;
}

bool
call_get_param(struct call *call, enum row_table table, struct text id, const char *param,
               void *row)
{
    struct api_refusal refusal = {.status = 503, .type = "api_error", .retry = true};
    const void *const staged = change_find(&fake.change, table, id);
    if (staged) {
        memcpy(row, staged, table_find((uint64_t)table)->size);
        return true;
    }
    switch (store_get(NULL, table, call->merchant, id, call->arena, row)) {
    case STORE_FOUND: return true;
    case STORE_UNAVAILABLE: break;
    case STORE_MISSING:
        refusal = (struct api_refusal){.status = param ? 400 : 404,
                                       .code = "resource_missing",
                                       .param = param ? param : "id",
                                       .message = TEXT("No such thing")};
    }
    call_refuse(call, &refusal, true);
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
    (void)call;
    snprintf(fake.forgotten, sizeof fake.forgotten, "%s %.*s", table_find((uint64_t)table)->name,
             (int)row_id(row).size, row_id(row).at);
}

void
call_insert(struct call *call, enum row_table table, void *row)
{
    (void)call;
    change_row(&fake.change, table, row, true);
}

void
call_update(struct call *call, enum row_table table, void *row)
{
    (void)call;
    change_row(&fake.change, table, row, false);
}

void
call_post(struct call *call, const char *kind, struct text source, struct text currency,
          const struct posting_line *lines, size_t count)
{
    struct staged_posting posting = {kind, source, currency, {{0, 0}}, count};
    (void)call;
    memcpy(posting.lines, lines, count * sizeof lines[0]);
    change_posting(&fake.change, &posting);
}

void
call_event(struct call *call, const char *type, struct text object_id, struct text data,
           struct text previous)
{
    const struct told_event event = {
        .id = call_new_id(call, "evt_"),
        .type = text_of(type),
        .object = object_id,
        .data = data,
        .previous = previous,
        .created = call->now_s,
        .api_version = call->api_version,
    };
    change_event(&fake.change, &event);
}

void
call_answer(struct call *call, int status, struct text json)
{
    (void)call;
    fake_say(SAID_ANSWER, status, json, true, false);
}

void
call_refuse(struct call *call, const struct api_refusal *refusal, bool began)
{
    fake_say(SAID_REFUSAL, refusal->status, refusal_json(call, refusal), began, refusal->retry);
}

void
call_refuse_400(struct call *call, const char *code, const char *param, const char *format, ...)
{
    char message[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    call_refuse(call,
                &(struct api_refusal){
                    .status = 400, .code = code, .param = param, .message = text_of(message)},
                true);
}

void
call_begin_attempt(struct call *call, struct row_attempt *attempt,
                   const struct network_extras *extras)
{
    if (fake.said) return;
    attempt->state = TEXT("sending");
    attempt->epoch = 1;
    fake.asked_cvc = arena_copy(fake.durable, extras->cvc);
    fake.asked_postal_code = arena_copy(fake.durable, extras->postal_code);
    call_insert(call, ROW_attempt, attempt);
    fake.said = SAID_BEGIN;
    fake.begun = attempt;
}

void
call_begin_staged(struct call *call, struct row_attempt *attempt,
                  const struct network_extras *extras)
{
    if (fake.said) return;
    cr_assert(change_set_aside(&fake.change, call->arena, &attempt->staged));
    call_begin_attempt(call, attempt, extras);
}

bool
call_take_up(struct call *call, const struct row_attempt *attempt)
{
    return change_take_up(&fake.change, call->arena, call->merchant, attempt->staged);
}

/* --- cards and the network ------------------------------------------------------------------- */

static const struct {
    const char *name;
    struct msg_card card; /* its token says what the network answers */
} fake_cards[] = {
    {"visa", {.token = {"card_approved", 13}, .last4 = {"4242", 4}}},
    {"visa_cvc",
     {.token = {"card_approved", 13}, .last4 = {"4242", 4}, .cvc = {"cvc_12345678", 12}}},
    {"visa_chargeDeclined",
     {.token = {"card_generic_decline", 20},
      .last4 = {"0002", 4},
      .attach_code = {"generic_decline", 15}}},
    {"visa_chargeDeclinedInsufficientFunds",
     {.token = {"card_insufficient_funds", 23},
      .last4 = {"9995", 4},
      .attach_code = {"insufficient_funds", 18}}},
    {"chargeCustomerFail", {.token = {"card_generic_decline", 20}, .last4 = {"0341", 4}}},
    {"pendingRefund", {.token = {"card_pending_refund", 19}, .last4 = {"7726", 4}}},
    {"refundFail", {.token = {"card_failing_refund", 19}, .last4 = {"5126", 4}}},
    {"bypassPending", {.token = {"card_bypass", 11}, .last4 = {"0077", 4}}},
    {"createDispute",
     {.token = {"card_approved", 13}, .last4 = {"0259", 4}, .unsupported = {"disputes", 8}}},
    /* Their issuer wants to hear from the payer: until they are set up, and then with a decline. */
    {"authenticationRequiredOnSetup", {.token = {"card_asks", 9}, .last4 = {"3155", 4}}},
    {"authenticationRequiredChargeDeclinedInsufficientFunds",
     {.token = {"card_asks_insufficient_funds", 28}, .last4 = {"3178", 4}}},
};

static bool
fake_card(struct text name, struct msg_card *card)
{
    for (size_t i = 0; i < sizeof fake_cards / sizeof fake_cards[0]; i++) {
        if (!text_is(name, fake_cards[i].name)) continue;
        *card = fake_cards[i].card;
        card->has = (card->cvc.at ? HAS_card_cvc : 0u) |
                    (card->attach_code.at ? HAS_card_attach_code : 0u) |
                    (card->unsupported.at ? HAS_card_unsupported : 0u);
        card->fingerprint = TEXT("Xt5EWLLDS7FJjR1c");
        card->brand = TEXT("visa");
        card->exp_month = 8;
        card->exp_year = 2030;
        card->funding = TEXT("credit");
        card->country = TEXT("US");
        return true;
    }
    return false;
}

/* What an issuer says who wants to hear from the payer; `then` once it has. */
static void
fake_asking(const struct row_attempt *attempt, bool set_up, struct text then,
            struct msg_network_answer *answer)
{
    if (!attempt->original.at && !set_up) {
        const bool absent = text_is(json_find(attempt->params, "off_session"), "true");
        answer->outcome = absent ? OUTCOME_DECLINED : OUTCOME_CHALLENGED;
        if (absent) answer->code = TEXT("authentication_required");
        return;
    }
    if (attempt->original.at) {
        const struct kept *asked = fake_find(ROW_attempt, attempt->original);
        cr_assert(
            text_is(((const struct row_attempt *)(const void *)asked->row)->state, "challenged"));
        answer->authentication = 1;
        answer->authentication_id = TEXT("dst_000000001");
    }
    if (then.size && text_is(attempt->operation, "authorize")) {
        answer->outcome = OUTCOME_DECLINED;
        answer->code = then;
    }
}

/* The card that is asked about; a new one may be in the attempt's row alone. */
static const struct row_payment_method *
fake_method(const struct row_attempt *attempt)
{
    static struct change borne;
    const struct kept *kept = fake_find(ROW_payment_method, attempt->payment_method);
    if (kept) return (const void *)kept->row;
    change_clear(&borne);
    cr_assert(change_take_up(&borne, fake.durable, MERCHANT, attempt->staged));
    return change_find(&borne, ROW_payment_method, attempt->payment_method);
}

static struct msg_network_answer
fake_network(const struct row_attempt *attempt)
{
    struct msg_network_answer answer = {.outcome = OUTCOME_APPROVED,
                                        .network_id = TEXT("net_000000001"),
                                        .authorization_code = TEXT("A1B2C3")};
    const struct row_payment_method *method = fake_method(attempt);
    struct text token = method->token;
    token = (struct text){token.at + 5, token.size - 5};
    const bool refunds = text_is(attempt->operation, "refund");
    const bool first =
        text_is(attempt->operation, "authorize") || text_is(attempt->operation, "verify");
    const bool kept_later = !method->attach_code.at && text_is(attempt->operation, "verify");
    if (text_is(token, "bypass")) {
        answer.bypass_pending = 1;
    } else if (text_starts(token, "asks")) {
        const size_t word = token.size > 5 ? 5 : token.size;
        if (first)
            fake_asking(attempt, method->set_up, (struct text){token.at + word, token.size - word},
                        &answer);
    } else if (text_is(token, "pending_refund") || text_is(token, "failing_refund")) {
        if (refunds) {
            answer.has = HAS_network_answer_ask_again_s;
            answer.ask_again_s = 5;
            answer.refund_state =
                text_is(token, "pending_refund") ? TEXT("pending") : TEXT("succeeded");
        }
    } else if (!text_is(token, "approved") && first && !kept_later) {
        answer.outcome = OUTCOME_DECLINED;
        answer.code = token;
    }
    if (fake.asked_cvc.at) answer.cvc_check = TEXT("pass");
    if (fake.outcome) answer.outcome = fake.outcome;
    if (fake.decline) answer.code = text_of(fake.decline);
    return answer;
}

/* --- a request from its form to its answer --------------------------------------------------- */

static struct call
fake_call(struct arena *arena)
{
    struct call call = {.worker = &fake.worker,
                        .arena = arena,
                        .merchant = MERCHANT,
                        .request = TEXT("req_000000000000000000000001"),
                        .api_version = text_of(fake.api_version),
                        .now_ms = fake.now_ms,
                        .now_s = fake.now_ms / 1000,
                        .change = &fake.change};
    return call;
}

/* What the attempt needs at its end is in its row: everything else is other memory. */
static void
fake_finish(struct text id)
{
    struct arena *arena = arena_new((size_t)64 << 20);
    struct call call = fake_call(arena);
    struct row_attempt attempt =
        *(const struct row_attempt *)(const void *)fake_find(ROW_attempt, id)->row;
    if (fake.recovered || fake.outcome == OUTCOME_REVERSED) {
        attempt.state = TEXT("unknown");
        change_row(&fake.change, ROW_attempt, &attempt, false);
        fake_commit(&call);
    }
    call.expand = attempt.expand;
    call.key = attempt.key;
    const struct msg_network_answer answer = fake_network(&attempt);
    fake.said = SAID_NOTHING;
    attempt_finished(&call, &attempt, &answer);
    cr_assert(eq(int, (int)fake.said, (int)SAID_ANSWER), "an attempt's end is an answer");
    fake_commit(&call);
    arena_destroy(&arena);
}

/* The network was asked again what became of a refund, by whoever owns the slot then. */
static inline void
fake_follow(struct text refund, const char *state)
{
    struct arena *arena = arena_new((size_t)64 << 20);
    struct call call = fake_call(arena);
    const struct msg_network_answer answer = {
        .has = strcmp(state, "pending") == 0 ? HAS_network_answer_ask_again_s : 0u,
        .outcome = OUTCOME_APPROVED,
        .refund_state = text_of(state),
        .refund_failure = TEXT("expired_or_canceled_card"),
        .ask_again_s = 1};
    call.change = &fake.change;
    call.request = NO_TEXT;
    fake.said = SAID_NOTHING;
    change_clear(&fake.change);
    refund_followed(&call, refund, &answer);
    cr_assert(eq(int, (int)fake.said, (int)SAID_ANSWER));
    fake_commit(&call);
    arena_destroy(&arena);
}

static struct text
fake_expand(struct call *call)
{
    struct text expand = {arena_take(call->arena, call->params.size + 1), 0};
    struct param one;
    for (size_t at = 0; params_next_in(call->params, "expand", &at, &one);) {
        if (expand.size) ((char *)expand.at)[expand.size++] = ' ';
        memcpy((char *)expand.at + expand.size, one.value.at, one.value.size);
        expand.size += one.value.size;
    }
    return expand.size ? expand : NO_TEXT;
}

/* The card that the gateway would have had named by the vault. */
static bool
fake_card_of(const struct call *call, struct msg_card *card)
{
    const struct text token = params_find(call->params, "card[token]");
    const struct text data = params_find(call->params, "payment_method_data[card][token]");
    const struct text named = params_find(call->params, "payment_method");
    const struct text source = params_find(call->params, "source");
    const struct text typed = params_find(call->params, "card[number]");
    if (text_starts(source, "tok_") &&
        fake_card((struct text){source.at + 4, source.size - 4}, card))
        return true;
    if (typed.at) return fake_card(TEXT("visa_cvc"), card);
    if (text_starts(token, "tok_"))
        return fake_card((struct text){token.at + 4, token.size - 4}, card);
    if (text_starts(data, "tok_"))
        return fake_card((struct text){data.at + 4, data.size - 4}, card);
    if (text_starts(call->object, "tok_"))
        return fake_card((struct text){call->object.at + 4, call->object.size - 4}, card);
    if (text_starts(named, "pm_card_"))
        return fake_card((struct text){named.at + 8, named.size - 8}, card);
    if (text_starts(call->object, "pm_card_"))
        return fake_card((struct text){call->object.at + 8, call->object.size - 8}, card);
    return false;
}

/* Serves one request: the route by its name, the id in its path, its parameters as a form. Returns
 * the status; the body is in fake.body. A second passes. */
static int
request(const char *route, struct text object, const char *form)
{
    static uint8_t block[1 << 16];
    struct arena *arena = arena_new((size_t)64 << 20);
    struct call call = fake_call(arena);
    struct msg_card card;
    char culprit[129];
    struct param_error error;
    call.route = route_named(text_of(route));
    cr_assert(call.route != NULL, "there is a route %s", route);
    cr_assert(eq(int, form_parse(form, strlen(form), block, sizeof block, &call.params, culprit),
                 FORM_OK),
              "%s", form);
    cr_assert(route_check(call.route, call.params, &error), "%s: %s", form, error.message);
    call.object = arena_copy(arena, object);
    const char *const slash = object.at ? memchr(object.at, '/', object.size) : NULL;
    if (slash) { /* a path with two ids */
        call.parent = (struct text){call.object.at, (size_t)(slash - object.at)};
        call.object = (struct text){call.object.at + call.parent.size + 1,
                                    object.size - call.parent.size - 1};
    }
    call.expand = fake_expand(&call);
    call.livemode = fake.livemode;
    call.publishable = fake.publishable;
    if (fake_card_of(&call, &card)) call.card = &card;

    fake.said = SAID_NOTHING;
    fake.begun = NULL;
    change_clear(&fake.change);
    handler_of((enum route_number)call.route->number)(&call);
    cr_assert(ne(int, (int)fake.said, (int)SAID_NOTHING), "%s says something", route);
    if (fake.said == SAID_ANSWER || fake.said == SAID_BEGIN) fake_commit(&call);
    struct text attempt = NO_TEXT;
    if (fake.said == SAID_BEGIN) attempt = arena_copy(fake.durable, fake.begun->id);
    change_clear(&fake.change);
    arena_destroy(&arena);
    if (attempt.at && fake.left_open)
        fake.open = attempt;
    else if (attempt.at)
        fake_finish(attempt);
    fake.now_ms += 1000;
    return fake.status;
}

/* What the engine does by itself when a hold has run out. Returns what was said. */
static inline enum said
run_out(struct text payment_or_charge)
{
    struct arena *arena = arena_new((size_t)64 << 20);
    struct call call = fake_call(arena);
    call.object = arena_copy(arena, payment_or_charge);
    call.change = &fake.change;
    fake.said = SAID_NOTHING;
    fake.begun = NULL;
    change_clear(&fake.change);
    hold_expired(&call);
    const enum said said = fake.said;
    struct text attempt = NO_TEXT;
    if (said == SAID_BEGIN) {
        fake_commit(&call);
        attempt = arena_copy(fake.durable, fake.begun->id);
    }
    change_clear(&fake.change);
    arena_destroy(&arena);
    if (attempt.at) fake_finish(attempt);
    return said;
}

/* --- looking at the answer ------------------------------------------------------------------- */

/* Raw JSON at a path of members and numbers of elements: "data.0.id". */
static struct text
json_at(struct text json, const char *path)
{
    while (*path) {
        char name[64];
        const size_t size = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)size, path);
        path += size + (path[size] == '.');
        if (json.size && json.at[0] == '[') {
            long index = strtol(name, NULL, 10);
            bool malformed;
            size_t at = 0;
            struct text element = NO_TEXT;
            for (; index >= 0 && json_next_element(json, &at, &element, &malformed); index--)
                ;
            json = index < 0 ? element : NO_TEXT;
        } else {
            json = json_find(json, name);
        }
    }
    return json;
}

/* The text, number or null at a path of the last answer, as C. */
static inline const char *
got(const char *path)
{
    struct text value = json_at(fake.body, path);
    if (!value.at) return "(absent)";
    if (value.at[0] == '"') {
        char *memory = arena_take(fake.durable, value.size + 5);
        value = json_unquote(value, memory, value.size + 4);
    }
    return arena_format(fake.durable, "%.*s", (int)value.size, value.at).at;
}

static inline struct text
got_id(const char *path)
{
    return text_of(got(path));
}

#define EXPECT_GOT(path, expected) \
    cr_expect(eq(str, (char *)got(path), (char *)(expected)), "%s", path)

/* The types of all events since the last look, a space between them. */
static inline const char *
told(void)
{
    static size_t seen;
    static char types[2048];
    size_t size = 0;
    types[0] = 0;
    for (; seen < fake.event_count; seen++)
        size += (size_t)snprintf(types + size, sizeof types - size, "%s%.*s", size ? " " : "",
                                 (int)fake.events[seen].type.size, fake.events[seen].type.at);
    return types;
}

#define EXPECT_TOLD(expected) cr_expect(eq(str, (char *)told(), (char *)(expected)))

static inline const struct store_event *
last_event(void)
{
    return &fake.events[fake.event_count - 1];
}

/* Account numbers of accounts.def. */
enum account {
#define ACCOUNT(NAME, number, word, owner, kind, doc) NAME = (number),
#include "accounts.def"
#undef ACCOUNT
};
