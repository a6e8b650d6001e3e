/* answer: the endings that handlers have in common: an object shown, an event told, and the
 * refusals that more than one resource knows. */
#pragma once

#include "render.h"

/* 200 with the row as the client wants it expanded; 503 when that cannot be read. */
void answer_row(struct call *call, enum row_table table, const void *row,
                const struct known *known);
/* Likewise, of what is paid with `method`, which this request has read or made; NULL: it has not.
 */
void answer_with_method(struct call *call, enum row_table table, const void *row,
                        const struct row_payment_method *method);
/* {id, object, deleted: true}. */
void answer_deleted(struct call *call, struct text id, const char *object);

/* Stages an event with the row as it is now, not expanded. */
void tell(struct call *call, const char *type, enum row_table table, const void *row,
          const struct known *known);
/* Likewise, for *.updated: with what was different before. Nothing is told when nothing was. */
void tell_updated(struct call *call, const char *type, enum row_table table, const void *before,
                  const void *after);

/* "No such customer: 'cus_x'": 404 when `param` is NULL, the id having come in the path, else 400.
 */
void refuse_missing(struct call *call, const char *what, struct text id, const char *param);
/* The store cannot be read now: 503, worth trying again. */
void refuse_unavailable(struct call *call);
/* The row has an attempt that nobody knows the end of yet: 429 lock_timeout, to be
 * tried again, and the row is read anew then. This refusal is the one that no commit stands behind:
 * who takes a slot for its own that is another's by now would never learn the end. */
void refuse_busy(struct call *call, enum row_table table, const void *row);
/* 400 payment_intent_unexpected_state or setup_intent_unexpected_state, with the payment or the
 * set-up in it. */
void refuse_state(struct call *call, enum row_table table, const void *row, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* call_get for customers: one that is deleted is not there. */
MUST_USE bool get_customer(struct call *call, struct text id, const char *param,
                           struct row_customer *customer);
