/* payment: what the files about payments share: how a payment method is found in a request, what
 * stands between a payment and the network, and what is kept in an attempt for its end. */
#pragma once

#include "call.h"
#include "must_use.h"
#include "payment_intent.h"

/* --- payment methods (payment_methods.c) ----------------------------------------------------- */

/* A payment method as a request names it. */
struct method_use {
    struct row_payment_method *row; /* NULL: the request names none */
    bool fresh;                     /* made by this request and not stored yet */
};

/* From a card of this request (made anew) or from the parameter payment_method. `data` is the hash
 * with its billing details: "payment_method_data", or NULL. False: the call has been answered. */
MUST_USE bool method_of_request(struct call *call, const char *data, struct method_use *use);
/* Inserts it when it is fresh, else replaces it. */
void method_stage(struct call *call, const struct method_use *use);
/* Whether that customer, or nobody, may pay with it. False: the call has been answered. */
MUST_USE bool method_may_pay(struct call *call, const struct row_payment_method *method,
                             struct text customer);
/* Whether it can be given to that customer; if so, it is, and the caller stages it. False: the call
 * has been answered. */
MUST_USE bool method_attach_to(struct call *call, struct row_payment_method *method,
                               struct text customer);

/* --- payments (payment_intents.c, payment_steps.c) ------------------------------------------- */

/* The row's status and amounts as the state machine wants them, and back. */
struct payment_intent payment_standing(const struct row_payment_intent *pi);
void payment_stand(struct row_payment_intent *pi, const struct payment_intent *standing);
/* One step. The amount counts for HELD, PAID and CAPTURE. */
MUST_USE enum pi_verdict payment_step(struct row_payment_intent *pi, enum pi_event event,
                                      int64_t amount, uint32_t *effects);
/* The money is only held at first. */
bool payment_is_manual(const struct row_payment_intent *pi);
/* What is to be done with the card later, "none" being nothing: NO_TEXT, on_session, off_session.
 */
struct text payment_future_use(struct call *call, const struct row_payment_intent *pi);

/* Takes what the request says of descriptions, shipping, options and so on into the row. False: the
 * call has been answered. */
MUST_USE bool payment_take_fields(struct call *call, struct row_payment_intent *pi);
/* A publishable key has to show the payment's client_secret; a secret key may. */
MUST_USE bool payment_secret_fits(struct call *call, const struct row_payment_intent *pi);

/* Asks the network for the money, or refuses: the end of create with confirm=true and of confirm.
 * `stored` is false for a payment that this call is making. */
void payment_confirm(struct call *call, struct row_payment_intent *pi, bool stored,
                     struct method_use *use);
/* The amount is one that can be charged in that currency. False: the call has been answered. */
MUST_USE bool payment_amount_fits(struct call *call, struct text currency, int64_t amount);
/* if_available was asked for: "request_multicapture", "request_incremental_authorization". */
bool payment_has_feature(const struct row_payment_intent *pi, const char *request);
/* The customer may have one more payment method. False: the call has been answered. */
MUST_USE bool customer_has_room(struct call *call, struct text customer);
/* More confirmations than this of one payment, and it is canceled. */
#define CONFIRMS_MAX 50
#define INCREMENTS_MAX 10

struct attempt_notes;
/* Takes what is held; `amount` 0: all of it. The parameter that bore the amount is named in a
 * refusal. `charge` is given when the client named it instead of the payment: what the caller
 * changed in it is written, and it is what the client is shown at the end. `keep`: what is left
 * stays held. */
void payment_capture(struct call *call, struct row_payment_intent *pi, struct row_charge *charge,
                     int64_t amount, bool keep, const char *param);
/* Lets go what captures in part have left (payment_holds.c). */
void payment_release(struct call *call, struct row_payment_intent *pi, bool keep);
/* Asks the network to let go what is held (payment_holds.c). */
void payment_let_go(struct call *call, struct row_payment_intent *pi,
                    const struct row_charge *charge, const struct attempt_notes *notes);

/* --- attempts -------------------------------------------------------------------------------- */

/* A new attempt for this call: everything but the operation's own fields is filled in. `notes` is
 * kept for its end. */
struct attempt_notes {
    enum row_table answer;           /* whose row the client is shown; 0: the operation's own */
    struct text cancellation_reason; /* of a void */
    bool keep;                       /* capture: the rest stays held */
    bool release;                    /* void: of what captures in part have left */
    bool expired;                    /* void: because the hold has run out */
    /* increment: what the payment says once more is held; NO_TEXT: as before */
    struct text description, statement_descriptor, metadata;
};
struct row_attempt *attempt_new(struct call *call, const char *operation,
                                const struct attempt_notes *notes);
