/* payment: what the files about payments share: how a payment method is found in a request, what
 * stands between a payment and the network, and what is kept in an attempt for its end. */
#pragma once

#include "call.h"
#include "charge.h"
#include "must_use.h"
#include "payment_intent.h"
#include "refund.h"
#include "setup_intent.h"

/* --- payment methods (payment_methods.c) ----------------------------------------------------- */

/* A payment method as a request names it. */
struct method_use {
    struct row_payment_method *row;        /* NULL: the request names none */
    bool fresh;                            /* made by this request and not stored yet */
    struct row_token *token;               /* it came as this one, which is used up now; or NULL */
    struct row_confirmation_token *chosen; /* likewise */
};

/* From a card of this request (made anew) or from the parameter payment_method. `data` is the hash
 * with its billing details: "payment_method_data", or NULL. False: the call has been answered. */
MUST_USE bool method_of_request(struct call *call, const char *data, struct method_use *use);
/* The card that the vault has just named, under a new id of that prefix; the caller says whose it
 * is and whom it bills. */
struct row_payment_method *method_of_card(struct call *call, const char *prefix);
/* Inserts it when it is fresh, else replaces it; what it came as is used up. */
void method_stage(struct call *call, const struct method_use *use);
/* Whether that customer, or nobody, may pay with it. False: the call has been answered. */
MUST_USE bool method_may_pay(struct call *call, const struct row_payment_method *method,
                             struct text customer);
/* The card does not need a feature that is not there yet. False: the call has been answered. */
MUST_USE bool card_can_be_charged(struct call *call, const struct row_payment_method *method);
/* Whether it can be given to that customer; if so, it is, and the caller stages it. False: the call
 * has been answered. */
MUST_USE bool method_attach_to(struct call *call, struct row_payment_method *method,
                               struct text customer);

/* --- tokens (tokens.c, confirmation_tokens.c) ------------------------------------------------ */

/* The card of a token, as it may be used this once: `row` is the card that it stands for. The
 * caller stages both (method_stage). False: the call has been answered. */
MUST_USE bool token_take(struct call *call, struct text id, const char *param,
                         struct method_use *use);
/* The payment method of a confirmation token, and what else was chosen with it. The caller names
 * what it is used for in `use->chosen`. False: the call has been answered. */
MUST_USE bool confirmation_token_take(struct call *call, struct text id, struct method_use *use);
/* Name and address as older requests spell them, `address_zip` of the hash or, with NULL, of the
 * request itself, into billing details. What is not given stays. */
void card_take_billing(struct call *call, const char *hash, struct text *billing);

/* --- cards of customers that came as tokens (sources.c) --------------------------------------- */

bool method_is_legacy(const struct row_payment_method *method);
/* The card that the parameter `source` brings: a token's, or that of a test token. `row` is NULL
 * when it names no token. False: the call has been answered. */
MUST_USE bool source_of_request(struct call *call, struct method_use *use);
/* Tells of a source that is the customer's now; the caller has attached and staged it. */
void source_told(struct call *call, const struct row_payment_method *card);
/* Takes a payment method from its customer, for good: it cannot be used again, and what named it
 * as the usual one names another or nothing. Staged and told. False: the call has been answered. */
MUST_USE bool method_leaves(struct call *call, struct row_payment_method *method,
                            struct row_customer *customer);

/* --- payments (payment_intents.c, payment_steps.c) ------------------------------------------- */

/* The amount is one that can be charged in that currency. False: the call has been answered. */
MUST_USE bool amount_fits(struct call *call, struct text code, int64_t amount);
/* A currency is stored in lower case, whatever it came in. */
struct text currency_code(struct text given);

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
/* What a confirmation token says beside the payment method; it is used for this payment. */
void payment_take_choice(struct row_payment_intent *pi, struct method_use *use);
/* It can be named together with confirm=true alone. False: the call has been answered. */
MUST_USE bool choice_is_confirmed(struct call *call);
/* A publishable key has to show the client_secret of what it asks for; a secret key may. `code` is
 * of the refusal, `what` the kind of object in its words. */
MUST_USE bool client_secret_fits(struct call *call, struct text secret, const char *code,
                                 const char *what);
MUST_USE bool payment_secret_fits(struct call *call, const struct row_payment_intent *pi);
/* Compared to its end, so that the time tells nothing of where they differ. */
bool secret_is(struct text given, struct text secret);

/* Asks the network for the money, or refuses: the end of create with confirm=true and of confirm.
 * `stored` is false for a payment that this call is making. */
void payment_confirm(struct call *call, struct row_payment_intent *pi, bool stored,
                     struct method_use *use);
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

/* --- customers (customers.c) ----------------------------------------------------------------- */

/* A new one, with what every customer has. */
struct row_customer *customer_new(struct call *call);

/* --- attempts -------------------------------------------------------------------------------- */

/* What the issuer may check of a card and its owner. The security code is good for one asking: it
 * is taken off the method. */
struct network_extras take_extras(struct call *call, struct row_payment_method *method);

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
    /* What stands between the payer and the issuer (action_notes). */
    bool off_session;           /* the payer is not there */
    bool no_action;             /* whoever confirms cannot let the payer do anything */
    bool use_sdk;               /* a client library shows the payer what is to be done */
    struct text three_d_secure; /* any or challenge: the merchant wishes it */
    struct text return_url;
    struct text challenge;   /* the payer waits on its page for the outcome */
    const char *refund_ends; /* of a recall: the refund's status then */
};
struct row_attempt *attempt_new(struct call *call, const char *operation,
                                const struct attempt_notes *notes);

/* --- challenges (challenges.c) --------------------------------------------------------------- */

/* What the request says of how the payer may be asked, and where they come back to; `options` are
 * the payment_method_options. False: the call has been answered. */
MUST_USE bool action_notes(struct call *call, struct text options, struct attempt_notes *notes);
/* Kinds of payment method that lead to another page need a way back. `what` is PaymentIntent or
 * SetupIntent. False: the call has been answered. */
MUST_USE bool way_back_is_known(struct call *call, struct text automatic_methods, const char *what);
/* The issuer wants to hear from the payer: stages a challenge for what the attempt was for, and
 * says what is to be done about it. */
struct row_challenge *challenge_begin(struct call *call, const struct row_attempt *attempt,
                                      struct text *next_action);
/* The attempt whose challenge was passed for exactly this; NO_TEXT when there is none. */
struct text challenge_passed(struct call *call, struct text challenge, int64_t amount,
                             struct text currency, struct text method);
/* The challenge as its page is told of it, once what it was for is as it stands now. One of the two
 * is NULL. */
void challenge_answer(struct call *call, const struct row_challenge *challenge,
                      const struct row_payment_intent *pi, const struct row_setup_intent *si);
/* "three_d_secure" of a card's details. `exemption`: with the members that charges have. */
void write_three_d_secure(struct json_writer *w, uint64_t authentication, struct text id,
                          struct text brand, bool exemption);

/* What payments and set-ups do when the payer has answered; the challenge is staged by the caller.
 * `late`: not in time. */
void payment_answered(struct call *call, struct row_payment_intent *pi,
                      const struct row_challenge *challenge, bool passed);
void setup_answered(struct call *call, struct row_setup_intent *si,
                    const struct row_challenge *challenge, bool passed, bool late);

/* --- set-ups (setup_intents.c, setup_steps.c) ------------------------------------------------ */

/* One step. False, with nothing changed, when it is refused there. */
MUST_USE bool setup_step(struct row_setup_intent *si, enum si_event event);
/* As payment_take_choice. */
void setup_take_choice(struct row_setup_intent *si, struct method_use *use);
/* Asks the network whether the card is good, or refuses: the end of create with confirm=true and of
 * confirm. */
void setup_confirm(struct call *call, struct row_setup_intent *si, bool stored,
                   struct method_use *use);
/* The newest try, if its payer was still to be asked, is over: there is another, or the set-up is
 * canceled. False: the call has been answered. */
MUST_USE bool setup_abandon(struct call *call, const struct row_setup_intent *si);
/* What follows from the network's answer: the part of attempt_finished that is about set-ups. */
void setup_finished(struct call *call, struct row_attempt *attempt,
                    const struct msg_network_answer *answer);
/* Stages the attempt's last state (attempts_finish.c). */
void attempt_close(struct call *call, struct row_attempt *attempt,
                   const struct msg_network_answer *answer);
/* --- charges (charges.c, direct_charges.c) ---------------------------------------------------- */

/* What has to be locked to change a charge: its payment, or itself when it has none. */
struct text charge_lock(const struct row_charge *charge);
/* One step of charge.c, which the caller knows to be possible: what the charge shows changes by
 * this alone. */
void charge_advance(struct row_charge *charge, enum charge_event event);
/* One step of refund.c. False, with nothing changed, when it is refused there. */
MUST_USE bool refund_advance(struct row_refund *refund, enum refund_event event, uint32_t *effects);
/* Likewise, for the first answer of the network: it was asked, so it may say whatever it says. */
void refund_answered(struct row_refund *refund, enum refund_event event);
struct text refund_lock(const struct row_refund *refund);
/* Takes what a charge without a payment holds; `amount` 0: all of it. */
void charge_capture_directly(struct call *call, struct row_charge *charge, int64_t amount);
