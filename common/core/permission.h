/* permission: what a restricted key may do, from permission.def.
 *
 * What a key was given is kept as a text, `charges:read payment_intents:write`. Whatever is not
 * named there is refused; writing includes reading. */
#pragma once

#include "route.h"
#include "text.h"
#include <stdbool.h>

#define PERMISSIONS_SIZE_MAX 1023

/* What is missing: `rak_NAME_write`. `name` NULL: nothing is. "" : no permission would help. */
struct permission_need {
    const char *name;
    bool write;
};

/* What a key that was given `granted` lacks for that route. */
struct permission_need permission_for_route(struct text granted, const struct route *route);
/* What it lacks to see `path` of expand[] in full: `latest_charge.balance_transaction`. */
struct permission_need permission_for_expand(struct text granted, struct text path);

/* `charges:read,payment_intents:write`, commas or spaces between them, as people write them, into
 * the text that is kept. False when it is none: `*culprit` is the word at fault, or NO_TEXT when
 * nothing is named or it is too long. */
bool permissions_read(struct text written, char out[static PERMISSIONS_SIZE_MAX + 1],
                      struct text *culprit);

/* The nth resource that can be named, in the order of the table; NULL beyond the last. One that
 * has several rows is met several times, one after the other. */
const char *permission_resource_at(size_t index);
/* The resource of a route, or NULL. */
const char *permission_resource_of(const struct route *route);
