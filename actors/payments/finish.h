/* finish: what the ends of attempts share (attempts_finish.c, charge_finish.c, refund_life.c).
 * Everything is staged; the caller answers. */
#pragma once

#include "call.h"

/* Everything about one attempt's end. */
struct finish {
    struct call *call;
    struct row_attempt *attempt;
    const struct msg_network_answer *answer;
    struct row_payment_intent *pi; /* NULL: of a charge without a payment */
    struct row_charge *charge;
    struct row_payment_method *method;
    struct row_challenge *challenge;      /* whose page waits for the end, or NULL */
    struct row_checkout_session *session; /* that it is the payment of; NULL: none, or closed */
};

/* --- money ----------------------------------------------------------------------------------- */

/* What an issuer holds for a manual capture: `amount` above 0 when it begins, below when it ends.
 */
void post_hold(struct finish *f, const char *kind, struct text source, int64_t amount);
/* Until when the issuer keeps what the attempt holds. */
int64_t held_until(const struct finish *f);
/* The network would not let go what has run out: it is looked at again, behind what is due
 * meanwhile. */
int64_t held_again_until(const struct finish *f);
/* The money is the merchant's, less the fee; the charge bears its movement. */
struct row_balance_transaction *book_charge(struct finish *f, int64_t amount);
/* What a refund took is the merchant's again: it failed, or was taken back. `of_refund` is the
 * movement that took it. */
struct row_balance_transaction *
book_refund_failure(struct finish *f, const struct row_refund *refund,
                    const struct row_balance_transaction *of_refund);

/* --- the charge ------------------------------------------------------------------------------ */

struct text approved_outcome(struct finish *f);
struct decline;
/* Why it was not authorized. */
const struct decline *reason_of(const struct finish *f);
struct text declined_outcome(struct finish *f, const struct decline *decline);
struct text method_details(struct finish *f);
/* What the issuer said of code and address; whether the method may be kept. True when it changed.
 */
bool note_on_method(struct finish *f, bool approved);

/* --- answers --------------------------------------------------------------------------------- */

struct known;
/* 200 with the row. The money has moved: what the client is shown must not stand in its way. What
 * cannot be expanded now is an id. */
void show(struct finish *f, enum row_table table, const void *row, const struct known *known);

/* --- the ends of a charge without a payment (charge_finish.c) ----------------------------------
 */

void charge_authorized(struct finish *f);
void charge_not_authorized(struct finish *f);
void charge_captured(struct finish *f);
/* What it held is released, and `refund` is what asked for it. */
void charge_released(struct finish *f, struct row_refund *refund);
/* What it held has run out. */
void charge_expired(struct finish *f);
/* A capture that was not: the hold stands as it stood. */
void charge_not_captured(struct finish *f);

/* --- the later life of a refund (refund_life.c) ------------------------------------------------
 */

/* A recall was answered. */
void refund_recalled(struct finish *f, struct row_refund *refund,
                     const struct row_balance_transaction *of_refund);
