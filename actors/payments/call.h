/* call: one request of the API on its way through a worker, and what its handler may do about it.
 *
 * A handler looks at the call, reads rows from the store, stages what is to be written and says
 * what the answer is. It never blocks on another actor, never sends, never speaks SQL. Nothing that
 * it stages is true, and nothing that it answers is said, before the ledger has committed it.
 *
 *     void
 *     customer_update(struct call *call)
 *     {
 *         struct row_customer *customer = call_new_row(call, ROW_customer);
 *         if (!call_lock(call, call->object)) return;                  // called again when it is
 * free if (!call_get(call, ROW_customer, call->object, customer)) return;  // 404 has been said
 *         ...change *customer...
 *         call_update(call, ROW_customer, customer);
 *         call_event(call, "customer.updated", customer->id, json, previous);
 *         call_answer(call, 200, json);
 *     }
 *
 * A handler may be run more than once for one call: when it waited for a lock, and when a row
 * turned out to be older than the ledger's (STALE). So everything before call_answer is without
 * effect. */
#pragma once

#include "arena.h"
#include "json_writer.h"
#include "message.h"
#include "must_use.h"
#include "route.h"
#include "row.h"
#include "store.h"
#include <stdbool.h>

struct worker;
struct change; /* what is staged: the commit in the making */

struct call {
    struct worker *worker;
    struct store *store;       /* for lists, balances and events; single rows by call_get */
    struct arena *arena;       /* all memory of the call; gone with it */
    const struct route *route; /* NULL when an attempt is finished by recovery */
    struct text merchant, request, key, request_hash, path, api_version;
    struct text object; /* the id in the path */
    struct text parent; /* the first one, when the path has two: whose the object is */
    struct params params;
    const struct msg_card *card; /* the card of this request, or NULL */
    struct text expand; /* paths, a space between them, at most 4 levels deep (checked); which of
                         * them the object has is for its renderer to say. NO_TEXT: none */
    bool publishable, livemode;
    const struct row_merchant *account; /* as this run has read it; NULL: it has not yet */
    const struct rendered *rendered; /* what this run has rendered (render.c), the newest first */
    int64_t now_ms; /* the turn's wall clock, and in seconds: what `created` bears */
    int64_t now_s;
    struct change *change;
};

/* A zeroed row of that table (row_clear) in the call's arena. */
void *call_new_row(struct call *call, enum row_table table);
/* A new id in the call's arena. */
struct text call_new_id(struct call *call, const char *prefix);
/* `count` random characters of base 62. */
struct text call_random_text(struct call *call, size_t count);
/* A JSON writer over `cap` bytes of the arena. */
struct json_writer call_writer(struct call *call, size_t cap);

/* Only one call at a time holds an object. False when another has it: the handler returns at once
 * and is run again from its start when the object is free, or the call is answered with 429
 * lock_timeout at its deadline. Before anything is staged. */
MUST_USE bool call_lock(struct call *call, struct text object_id);

/* Fills `row`. False when there is none, or the store is out of reach: the call has been answered
 * (404 resource_missing with Stripe's words, or 503) and the handler returns. `param` NULL: the id
 * came in the path (param "id" or "intent", 404), else it came in that parameter (400). */
MUST_USE bool call_get(struct call *call, enum row_table table, struct text id, void *row);
/* Whoever reads the row next shall not have it from this worker's memory. */
void call_forget(struct call *call, enum row_table table, const void *row);
MUST_USE bool call_get_param(struct call *call, enum row_table table, struct text id,
                             const char *param, void *row);

/* --- staging ------------------------------------------------------------------------------------
 */

/* The row as it shall be. call_update takes it with the version that was read; both leave the
 * version that it will have in row->version (and an attempt's epoch set). The row's texts are
 * borrowed until the call ends. */
void call_insert(struct call *call, enum row_table table, void *row);
void call_update(struct call *call, enum row_table table, void *row);

struct posting_line {
    int account; /* number in accounts.def */
    int64_t amount;
};
/* One ledger transaction in one currency. The lines add up to zero (asserted). */
void call_post(struct call *call, const char *kind, struct text source, struct text currency,
               const struct posting_line *lines, size_t count);
/* `data` is the object's JSON, `previous` the JSON of previous_attributes or NO_TEXT. */
void call_event(struct call *call, const char *type, struct text object_id, struct text data,
                struct text previous);

/* --- ending --------------------------------------------------------------------------------------
 */

/* Commits what is staged, keeps the answer under the idempotency key if there is one (POST only),
 * then answers. With nothing staged and no key: answers at once. */
void call_answer(struct call *call, int status, struct text json);

/* A refusal, in Stripe's words. `began`: the endpoint's execution had begun, so the answer is kept
 * under the key (semantics.md, Idempotency); validation errors are not. */
struct api_refusal {
    int status;
    const char *type; /* NULL: invalid_request_error */
    const char *code, *decline_code, *param;
    struct text message;
    struct text charge;         /* id */
    struct text payment_intent; /* JSON object */
    struct text payment_method; /* JSON object */
    const char *payment_method_type;
    const char *advice_code, *network_decline_code;
    bool retry;               /* Stripe-Should-Retry: true */
    struct text setup_intent; /* JSON object */
};
void call_refuse(struct call *call, const struct api_refusal *refusal, bool began);
/* The common one: 400 invalid_request_error, began. */
void call_refuse_400(struct call *call, const char *code, const char *param, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));
/* The error's JSON alone, in the arena (keys in alphabetic order, doc_url made from the code). */
struct text refusal_json(struct call *call, const struct api_refusal *refusal);

/* Commits what is staged together with the attempt (state sending) and the key's claim; then asks
 * the network, then runs attempt_finished (attempts.h) with a call that has the same merchant, key,
 * request and expand, but perhaps not this memory. The attempt names all ids that the finishing
 * needs; `cvc` and addresses go to the network and are not kept. */
void call_begin_attempt(struct call *call, struct row_attempt *attempt,
                        const struct network_extras *extras);
/* Likewise, but what the call inserts is not written yet. Nobody can know of it before the attempt
 * ends, and then it is written as it has become: until then the attempt's own row bears it. */
void call_begin_staged(struct call *call, struct row_attempt *attempt,
                       const struct network_extras *extras);
/* At the attempt's end: stages what its row bears, to be inserted. False when there is nothing that
 * could be read. */
MUST_USE bool call_take_up(struct call *call, const struct row_attempt *attempt);

/* Seconds until a payment's funds are available (settings.def). */
int64_t worker_settlement_delay_s(const struct worker *worker);
/* Where payers' browsers find the gateway, without a slash at its end. */
const char *worker_public_url(const struct worker *worker);
/* How long a payer may take to prove who they are. */
int64_t worker_challenge_expiry_s(const struct worker *worker);
int64_t worker_checkout_expires_s_min(const struct worker *worker);
/* Seconds that an issuer keeps a hold, and how many payment methods a customer may have. */
int64_t worker_hold_s(const struct worker *worker);
int64_t worker_customer_methods_max(const struct worker *worker);

/* --- written by the resources, called by the engine ----------------------------------------------
 */

/* handlers.c: the table from routes to handlers; NULL when a route is not here yet. */
typedef void handler_fn(struct call *call);
handler_fn *handler_of(enum route_number route);
/* Run by nobody's request when the hold of the payment, or of the charge without
 * one, `call->object` has run out: lets it go, or
 * refuses when there is nothing (any more) to let go. */
handler_fn hold_expired;

/* attempts: the network's answer (outcome APPROVED, DECLINED, NEVER_SENT or REVERSED) is known:
 * stages the attempt's last state and all that follows from it, then call_answer. `call->route` may
 * be NULL. The attempt has been read from the store. Never refuses. */
void attempt_finished(struct call *call, struct row_attempt *attempt,
                      const struct msg_network_answer *answer);

/* checkout_sessions.c: the handler of a job of the engine's own, for a checkout session whose time
 * has come; `call->object` is its id. */
void checkout_expire_due(struct call *call);
/* challenges.c: likewise, for a challenge. */
void challenge_expire_due(struct call *call);
