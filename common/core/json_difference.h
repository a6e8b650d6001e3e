/* json_difference: an object told by what sets it apart from another one.
 *
 *     kept        {"id":"pi_1","amount":2000,"status":"succeeded"}
 *     difference  {"status":"processing"}
 *     told        {"id":"pi_1","amount":2000,"status":"processing"}
 *
 * So events were written until version 5 of the database, and those are read still. What was left
 * out comes back byte for byte. */
#pragma once

#include "must_use.h"
#include "text.h"

/* No restored text is longer. */
size_t json_restored_bound(struct text kept, struct text difference);

/* What was told, into `memory`. NO_TEXT when the difference is none of `kept`'s, or there is no
 * room. */
MUST_USE struct text json_restored(struct text kept, struct text difference, char *memory,
                                   size_t cap);
