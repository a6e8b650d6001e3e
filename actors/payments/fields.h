/* fields: parameters of a request into fields of a row. A parameter that is not there leaves the
 * field alone; an empty one unsets it. Names, types and bounds have been checked by the route's
 * rows before. */
#pragma once

#include "call.h"
#include "must_use.h"

/* The parameter, NO_TEXT when it is absent or empty. */
struct text field_given(const struct call *call, const char *name);

void field_text(const struct call *call, const char *name, struct text *field);
/* What stands on a cardholder's statement: printable ASCII with a letter in it, and none of <>\'"*.
 * False: the call has been answered. */
MUST_USE bool field_descriptor(struct call *call, const char *name, struct text *field);
/* A whole hash takes the place of the former one. */
void field_address(struct call *call, const char *name, struct text *field);
void field_shipping(struct call *call, const char *name, struct text *field);
/* Each detail that is given takes the place of the former; the others stay. Never absent. */
void field_billing(struct call *call, const char *name, struct text *field);
/* An array of texts as JSON. */
void field_texts(struct call *call, const char *name, struct text *field);
/* False when there would be more than 50 keys: the call has been answered. */
MUST_USE bool field_metadata(struct call *call, const char *name, struct text *field);

/* A text out of JSON that we wrote: "address", "line1". NO_TEXT when it is null. */
struct text field_in(struct call *call, struct text json, const char *outer, const char *inner);
