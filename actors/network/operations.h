/* operations: what each operation does to the book. The same reference never has a second effect:
 * what was said of it once is said again.
 *
 *   authorize  a hold, or with `capture` the money at once
 *   verify     an authorization of nothing: is the card good?
 *   increment  of an authorization that is held and not captured yet: more is held
 *   capture    of an authorization that is held: at most what is held; the rest is released, or
 *              with `keep` stays held for further captures
 *   void       of an authorization that is held
 *   refund     of what was captured, in parts, until nothing is left
 *   recall     of a refund that is pending: it never happened
 *   inquire    what became of a reference
 *   reverse    undoes a reference, or leaves a tombstone for it: it is refused if it comes later
 *
 * An authorization or a verification may end challenged: nothing moved, the payer is to be asked,
 * and who comes back names it as its original.
 *
 * What others were built upon cannot be reversed (an authorization that was captured later, a
 * capture that was refunded): the answer is then its outcome, unchanged. Payments never asks for
 * it, because an attempt is reversed only before anything followed from it. */
#pragma once

#include "book.h"
#include "issuer.h"
#include "message.h"

/* What a new record bears that is made by chance or by the clock. */
struct operation_names {
    const char *network_id, *authorization_code, *authentication_id;
    int64_t now_ms;
    int64_t refund_ms; /* how long a refund takes that is not done at once */
};

/* How an approved refund stands. */
struct refund_now {
    const char *state;   /* pending, succeeded, failed; NULL: it is done, and nothing follows */
    const char *failure; /* failed: why */
    int64_t ask_again_s; /* 0: it is final */
};
struct refund_now operation_refund(const struct network_record *record, int64_t now_ms);

/* NULL when the request is whole, else what is missing, in words. */
const char *operation_misses(const struct msg_network_request *request);
/* False when the reference was used with another operation, merchant, amount, currency or original:
 * a bug of the caller, not to be answered with somebody else's outcome. */
bool operation_is_same(const struct network_record *record,
                       const struct msg_network_request *request);

/* Does it, or says again what was done. `issuer`: authorize and verify only. Fills `record` with
 * what the answer tells of the reference, cleared on OUTCOME_NOT_FOUND. Nothing is durable before
 * book_commit. The request is whole and, if its reference is in the book, the same. */
MUST_USE enum network_outcome operation_do(struct book *book,
                                           const struct msg_network_request *request,
                                           const struct issuer_answer *issuer,
                                           const struct operation_names *names,
                                           struct network_record *record);
/* What a stored record answers to whoever asks for it again. */
enum network_outcome operation_outcome(const struct network_record *record);
