#include "operations.h"
#include "mutant.h"

#include <assert.h>
#include <string.h>

/* What a capture, void or refund is told that cannot be: nobody's card was at fault. */
#define IMPOSSIBLE "processing_error"

static void
set(char *member, size_t cap, struct text text)
{
    assert(text.size < cap); /* messages.def bounds it as record.def does */
    memset(member, 0, cap);
    if (text.size > 0) memcpy(member, text.at, text.size);
}
#define SET(record, member, text) set((record)->member, sizeof(record)->member, text)

const char *
operation_misses(const struct msg_network_request *request)
{
    const uint64_t operation = request->operation;
    const bool authorizes = operation == NETWORK_AUTHORIZE;
    const bool names_card = authorizes || operation == NETWORK_VERIFY;
    const bool moves_part = operation == NETWORK_CAPTURE || operation == NETWORK_REFUND ||
                            operation == NETWORK_INCREMENT;
    const bool follows = moves_part || operation == NETWORK_VOID || operation == NETWORK_RECALL;
    if (follows && !(request->has & HAS_network_request_original)) return "original is missing";
    if ((authorizes || moves_part) && !(request->has & HAS_network_request_amount))
        return "amount is missing";
    if (authorizes && !(request->has & HAS_network_request_currency)) return "currency is missing";
    if (names_card && !(request->has & HAS_network_request_token)) return "token is missing";
    return NULL;
}

bool
operation_is_same(const struct network_record *record, const struct msg_network_request *request)
{
    if (!text_is(request->merchant, record->merchant)) return false;
    if (request->operation == NETWORK_INQUIRE || request->operation == NETWORK_REVERSE) return true;
    if (record->operation == 0) return true; /* a tombstone of what had not come */
    return (uint64_t)record->operation == request->operation &&
           (!(request->has & HAS_network_request_amount) || record->amount == request->amount) &&
           (!(request->has & HAS_network_request_currency) ||
            text_is(request->currency, record->currency)) &&
           (!(request->has & HAS_network_request_original) ||
            text_is(request->original, record->original));
}

enum network_outcome
operation_outcome(const struct network_record *record)
{
    switch ((enum network_state)record->state) {
    case NETWORK_STATE_APPROVED: return OUTCOME_APPROVED;
    case NETWORK_STATE_DECLINED: return OUTCOME_DECLINED;
    case NETWORK_STATE_REVERSED: return OUTCOME_REVERSED;
    case NETWORK_STATE_CHALLENGED: return OUTCOME_CHALLENGED;
    case NETWORK_STATE_NONE: break;
    }
    assert(!"a record has a state");
    return OUTCOME_NOT_FOUND;
}

/* All that was ever held under an authorization. */
static int64_t
total(const struct network_record *authorization)
{
    return authorization->amount + authorization->incremented;
}

static void
check_sums(const struct network_record *authorization)
{
    assert(authorization->incremented >= 0);
    assert(authorization->held >= 0 && authorization->captured >= 0);
    assert(authorization->held + authorization->captured <= total(authorization));
    assert(authorization->refunded >= 0 && authorization->refunded <= authorization->captured);
}

static void
put(struct book *book, struct network_record *record, int64_t now_ms)
{
    if (record->operation == NETWORK_AUTHORIZE) check_sums(record);
    if (record->created_ms == 0) record->created_ms = now_ms;
    record->changed_ms = now_ms;
    book_put(book, record);
}

static void
begin(struct network_record *record, const struct msg_network_request *request,
      const struct operation_names *names)
{
    memset(record, 0, sizeof *record);
    SET(record, reference, request->reference);
    SET(record, merchant, request->merchant);
    SET(record, network_id, text_of(names->network_id));
    record->operation = (int64_t)request->operation;
    if (request->has & HAS_network_request_original) SET(record, original, request->original);
    if (request->has & HAS_network_request_currency) SET(record, currency, request->currency);
    if (request->has & HAS_network_request_amount) record->amount = request->amount;
    if (request->has & HAS_network_request_keep) record->keep = request->keep == 1;
}

/* --- authorize
 * ------------------------------------------------------------------------------------ */

/* What was checked when the payer was challenged: a security code is good for one asking. */
static void
remember_challenged(struct book *book, struct network_record *record)
{
    struct network_record challenged;
    if (!*record->original || !book_find(book, text_of(record->original), &challenged)) return;
    if (strcmp(record->cvc_check, "unchecked") == 0)
        SET(record, cvc_check, text_of(challenged.cvc_check));
    if (strcmp(record->postal_check, "unchecked") == 0)
        SET(record, postal_check, text_of(challenged.postal_check));
    if (strcmp(record->line1_check, "unchecked") == 0)
        SET(record, line1_check, text_of(challenged.line1_check));
}

/* Verifying is authorizing nothing: everything is asked and told, and no money is held. */
static void
authorize(struct book *book, const struct msg_network_request *request,
          const struct issuer_answer *issuer, const struct operation_names *names,
          struct network_record *record)
{
    begin(record, request, names);
    SET(record, cvc_check, text_of(issuer->cvc_check));
    SET(record, postal_check, text_of(issuer->postal_check));
    SET(record, line1_check, text_of(issuer->line1_check));
    SET(record, code, text_of(issuer->code));
    remember_challenged(book, record);
    record->risk = issuer->risk;
    record->authentication = issuer->authentication;
    if (issuer->authentication) SET(record, authentication_id, text_of(names->authentication_id));
    record->state = issuer->approves     ? NETWORK_STATE_APPROVED
                    : issuer->challenges ? NETWORK_STATE_CHALLENGED
                                         : NETWORK_STATE_DECLINED;
    if (issuer->approves) SET(record, authorization_code, text_of(names->authorization_code));
    if (issuer->approves && record->operation == NETWORK_AUTHORIZE) {
        const bool at_once = request->has & HAS_network_request_capture && request->capture;
        record->capture = at_once;
        record->held = at_once ? 0 : record->amount;
        record->captured = at_once ? record->amount : 0;
        record->bypass_pending = issuer->bypass_pending;
        record->refunds = issuer->refunds;
        record->effects = 1;
    }
    put(book, record, names->now_ms);
}

/* --- what follows an authorization
 * ---------------------------------------------------------------- */

static bool
is_approved_authorization(const struct network_record *authorization)
{
    return authorization->operation == NETWORK_AUTHORIZE &&
           authorization->state == NETWORK_STATE_APPROVED;
}

/* Changes the authorization when it may be; false, with nothing changed, when it may not. */
static bool
follow(struct network_record *authorization, const struct network_record *record)
{
    const int64_t left = authorization->captured - authorization->refunded;
    const bool is_held = authorization->held > 0;
    if (!is_approved_authorization(authorization)) return false;
    if (strcmp(authorization->merchant, record->merchant) != 0) return false;
    if (strcmp(authorization->currency, record->currency) != 0) return false;
    switch (record->operation) {
    case NETWORK_INCREMENT:
        if (!is_held || authorization->captured > 0) return false;
        if (record->amount <= 0 || record->amount > MONEY_MAX - total(authorization)) return false;
        authorization->incremented += record->amount;
        authorization->held += record->amount;
        return true;
    case NETWORK_CAPTURE:
        if (!is_held || record->amount > authorization->held) return false;
        authorization->captured += record->amount;
        authorization->held = record->keep ? authorization->held - record->amount : 0;
        return true;
    case NETWORK_VOID:
        if (!is_held) return false;
        authorization->held = 0;
        return true;
    case NETWORK_REFUND:
        if (record->amount > left) return false;
        authorization->refunded += record->amount;
        return true;
    default: return false;
    }
}

static void
follow_up(struct book *book, const struct msg_network_request *request,
          const struct operation_names *names, struct network_record *record)
{
    struct network_record authorization;
    const bool found = book_find(book, request->original, &authorization);
    begin(record, request, names);
    /* What was not said is the authorization's. */
    if (found && !*record->currency) SET(record, currency, text_of(authorization.currency));
    if (found && record->amount == 0) record->amount = authorization.held;

    if (found && follow(&authorization, record)) {
        record->state = NETWORK_STATE_APPROVED;
        record->bypass_pending = authorization.bypass_pending;
        record->effects = 1;
        if (record->operation == NETWORK_REFUND && authorization.refunds != REFUND_AT_ONCE) {
            record->refunds = authorization.refunds;
            record->settles_ms = names->now_ms + names->refund_ms;
        }
        SET(record, authorization_code, text_of(authorization.authorization_code));
        put(book, &authorization, names->now_ms);
    } else {
        record->state = NETWORK_STATE_DECLINED;
        SET(record, code, TEXT(IMPOSSIBLE));
    }
    put(book, record, names->now_ms);
}

/* --- the later life of a refund
 * ------------------------------------------------------------------- */

/* Nobody has to be there when it happens: whoever looks later finds that it has. */
static bool
is_settled(const struct network_record *refund, int64_t now_ms)
{
    return refund->returned || now_ms >= refund->settles_ms;
}

/* The money of a refund is back where it was taken from. */
static void
give_back(struct book *book, struct network_record *refund, int64_t now_ms)
{
    struct network_record authorization;
    const bool found = book_find(book, text_of(refund->original), &authorization);
    assert(found); /* it was there when this was approved, and nothing leaves the book */
    (void)found;
    refund->returned = 1;
    authorization.refunded -= refund->amount;
    put(book, &authorization, now_ms);
    put(book, refund, now_ms);
}

static void
settle(struct book *book, struct network_record *record, int64_t now_ms)
{
    if (record->operation == NETWORK_REFUND && record->state == NETWORK_STATE_APPROVED &&
        record->refunds == REFUND_RETURNS && !record->returned && is_settled(record, now_ms))
        give_back(book, record, now_ms);
}

struct refund_now
operation_refund(const struct network_record *record, int64_t now_ms)
{
    struct refund_now now = {NULL, NULL, 0};
    if (record->operation != NETWORK_REFUND || record->state != NETWORK_STATE_APPROVED ||
        record->refunds == REFUND_AT_ONCE)
        return now;
    if (record->returned) return (struct refund_now){"failed", "expired_or_canceled_card", 0};
    const int64_t left_ms = record->settles_ms - now_ms;
    now.state = record->refunds == REFUND_PENDS && left_ms > 0 ? "pending" : "succeeded";
    if (left_ms > 0) now.ask_again_s = (left_ms + 999) / 1000;
    /* Its time has come since it was looked at: the next look finds it returned. */
    if (left_ms <= 0 && record->refunds == REFUND_RETURNS) now.ask_again_s = 1;
    return now;
}

/* Only what has not reached the cardholder can be taken back. */
static void
recall(struct book *book, const struct msg_network_request *request,
       const struct operation_names *names, struct network_record *record)
{
    struct network_record refund;
    const bool found = book_find(book, request->original, &refund);
    begin(record, request, names);
    const bool pending = found && refund.operation == NETWORK_REFUND &&
                         refund.state == NETWORK_STATE_APPROVED &&
                         strcmp(refund.merchant, record->merchant) == 0 &&
                         refund.refunds == REFUND_PENDS && !is_settled(&refund, names->now_ms);
    if (found && !*record->currency) SET(record, currency, text_of(refund.currency));
    if (found && record->amount == 0) record->amount = refund.amount;
    record->state = pending ? NETWORK_STATE_APPROVED : NETWORK_STATE_DECLINED;
    if (pending) {
        record->effects = 1;
        give_back(book, &refund, names->now_ms);
    } else {
        SET(record, code, TEXT(IMPOSSIBLE));
    }
    put(book, record, names->now_ms);
}

/* --- reverse
 * -------------------------------------------------------------------------------------- */

static bool
undo_authorization(struct network_record *record)
{
    if (record->refunded > 0 || (record->captured > 0 && !record->capture)) return false;
    record->held = 0;
    record->captured = 0;
    return true;
}

/* Takes back what a capture, void or refund did to its authorization. */
static bool
undo_follow_up(struct book *book, const struct network_record *record, int64_t now_ms)
{
    struct network_record authorization;
    const bool found = book_find(book, text_of(record->original), &authorization);
    assert(found); /* it was there when this was approved, and nothing leaves the book */
    if (!is_approved_authorization(&authorization)) return true;
    switch (record->operation) {
    case NETWORK_INCREMENT:
        if (authorization.held < record->amount) return false;
        authorization.incremented -= record->amount;
        authorization.held -= record->amount;
        break;
    case NETWORK_CAPTURE:
        if (authorization.captured - record->amount < authorization.refunded) return false;
        authorization.captured -= record->amount;
        authorization.held = total(&authorization) - authorization.captured;
        break;
    case NETWORK_VOID: authorization.held = total(&authorization) - authorization.captured; break;
    case NETWORK_REFUND:
        if (!record->returned) authorization.refunded -= record->amount;
        break;
    default: assert(!"an operation that follows");
    }
    put(book, &authorization, now_ms);
    return true;
}

/* The refund goes on as if it had not been taken back, unless the money has gone elsewhere. */
static bool
undo_recall(struct book *book, const struct network_record *record, int64_t now_ms)
{
    struct network_record refund, authorization;
    bool found = book_find(book, text_of(record->original), &refund);
    assert(found && refund.returned);
    found = book_find(book, text_of(refund.original), &authorization);
    assert(found);
    (void)found;
    if (authorization.captured - authorization.refunded < refund.amount) return false;
    refund.returned = 0;
    authorization.refunded += refund.amount;
    put(book, &authorization, now_ms);
    put(book, &refund, now_ms);
    return true;
}

static void
reverse(struct book *book, const struct msg_network_request *request,
        const struct operation_names *names, struct network_record *record)
{
    if (!book_find(book, request->reference, record)) {
        memset(record, 0, sizeof *record);
        SET(record, reference, request->reference);
        SET(record, merchant, request->merchant);
        record->state = NETWORK_STATE_REVERSED;
        if (!FLORIN_MUTANT(no_tombstone)) put(book, record, names->now_ms);
        return;
    }
    if (record->state == NETWORK_STATE_REVERSED) return;
    if (record->state == NETWORK_STATE_APPROVED) {
        const bool undone = record->operation == NETWORK_VERIFY      ? true
                            : record->operation == NETWORK_AUTHORIZE ? undo_authorization(record)
                            : record->operation == NETWORK_RECALL
                                ? undo_recall(book, record, names->now_ms)
                                : undo_follow_up(book, record, names->now_ms);
        if (!undone) return;
        record->undone = record->effects;
    }
    record->state = NETWORK_STATE_REVERSED;
    put(book, record, names->now_ms);
}

/* --- all of them
 * ---------------------------------------------------------------------------------- */

enum network_outcome
operation_do(struct book *book, const struct msg_network_request *request,
             const struct issuer_answer *issuer, const struct operation_names *names,
             struct network_record *record)
{
    assert(!operation_misses(request));
    if (request->operation == NETWORK_REVERSE) {
        reverse(book, request, names, record);
        return operation_outcome(record);
    }
    if (book_find(book, request->reference, record) &&
        !(FLORIN_MUTANT(reference_counts_again) && request->operation == NETWORK_REFUND)) {
        assert(operation_is_same(record, request));
        settle(book, record, names->now_ms);
        return operation_outcome(record);
    }
    if (request->operation == NETWORK_INQUIRE) return OUTCOME_NOT_FOUND;
    if (request->operation == NETWORK_AUTHORIZE || request->operation == NETWORK_VERIFY) {
        assert(issuer);
        authorize(book, request, issuer, names, record);
    } else if (request->operation == NETWORK_RECALL) {
        recall(book, request, names, record);
    } else {
        follow_up(book, request, names, record);
    }
    return operation_outcome(record);
}
