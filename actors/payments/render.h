/* render: rows as the JSON that the API shows.
 *
 * An object names others by their ids. Those that the client asked to expand stand there in full:
 * they are read from the store, unless the caller hands them over as known, which it must do with
 * rows that it has staged and that the store cannot have yet. */
#pragma once

#include "call.h"
#include "must_use.h"

/* A row that is newer than the store's. */
struct known {
    enum row_table table;
    const void *row;
};
/* KNOWN({ROW_charge, &charge}, {ROW_refund, &refund}), or NULL for none. */
#define KNOWN(...) ((const struct known[]){__VA_ARGS__, {ROW_NONE, NULL}})

/* A payment method whose id begins with card_, as the older API shows it. It is a table to answers
 * and events alone: the row is one of ROW_payment_method. */
#define ROW_legacy_card ((enum row_table)254)

/* The object's JSON in `*json`. False when something that was to be expanded is out of the store's
 * reach, or would make the answer too large: its id stands there instead. */
MUST_USE bool render_row(struct call *call, enum row_table table, const void *row,
                         struct text expand, const struct known *known, struct text *json);
/* The JSON of a list of rows, `array` being row structs one after the other. False likewise. */
MUST_USE bool render_list(struct call *call, enum row_table table, const void *array, size_t count,
                          bool more, struct text url, struct text expand, struct text *json);

/* Likewise, of a search: `next` is its next page, NO_TEXT when there is none. */
MUST_USE bool render_search(struct call *call, enum row_table table, const void *array,
                            size_t count, struct text next, struct text url, struct text expand,
                            struct text *json);

/* A new endpoint with its secret, which is shown this once. */
struct text render_new_webhook_endpoint(struct call *call,
                                        const struct row_webhook_endpoint *endpoint);

/* --- for the renderers themselves ------------------------------------------------------------ */

struct render {
    struct call *call;
    const struct known *known;
    struct json_writer w;
    bool whole; /* everything that was to be expanded was */
    bool alone; /* nothing but the row and the call was looked at */
};

typedef void renderer_fn(struct render *r, const void *row, struct text expand);
renderer_fn render_payment_intent, render_charge, render_refund, render_balance_transaction,
    render_customer, render_payment_method, render_webhook_endpoint, render_setup_intent,
    render_setup_attempt, render_checkout_session, render_legacy_card, render_token,
    render_confirmation_token;

/* `key` with null, the id, or the object when `expand` names that key. */
void render_reference(struct render *r, const char *key, enum row_table table, struct text id,
                      struct text expand);
/* Fills `row` from what is known, staged or in the store. False when none has it: `whole` says why.
 */
MUST_USE bool render_get(struct render *r, enum row_table table, struct text id, void *row);
/* The next row of a table that this call inserts, in a walk that begins with *at = 0; NULL at the
 * end. Lists of the store do not have it yet. */
const void *render_staged(struct render *r, enum row_table table, size_t *at);
void render_object(struct render *r, enum row_table table, const void *row, struct text expand);
/* The hash `card` of a payment method. */
void render_method_card(struct render *r, const struct row_payment_method *method);
/* `sources` of a customer: the newest of their older cards. */
void render_sources(struct render *r, const struct row_customer *customer);
/* What `expand` has below a segment, in the call's arena. */
struct text render_below(struct render *r, struct text expand, const char *segment);
/* `key` with an error as it was stored, and in it the payment method that met it. */
void render_last_error(struct render *r, const char *key, struct text error, struct text method);
/* `key` with the JSON, or with an empty object when there is none. */
void render_hash(struct render *r, const char *key, struct text json);
/* The table whose ids begin like this one; ROW_NONE when none does. */
enum row_table table_of_id(struct text id);
