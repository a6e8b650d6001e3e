/* json_difference: an object told by what sets it apart from another one, which is kept whole.
 *
 *     kept        {"id":"pi_1","amount":2000,"status":"succeeded"}
 *     told        {"id":"pi_1","amount":2000,"status":"processing"}
 *     difference  {"status":"processing"}
 *
 * Events of one change tell of the same object several times, and so does the answer; of two
 * kilobytes a few members differ. What was left out comes back byte for byte. */
#pragma once

#include "json_writer.h"
#include "must_use.h"
#include <stdbool.h>

/* Writes the members of `told` whose values differ from those of `kept`, each as a whole, as one
 * object. False when `told` cannot be told so: other members, in another order, or other bytes
 * between them; what was written is of no use then. Both are objects written by json_writer. */
MUST_USE bool json_difference(struct text kept, struct text told, struct json_writer *out);

/* No restored text is longer. */
size_t json_restored_bound(struct text kept, struct text difference);

/* What was told, into `memory`. NO_TEXT when the difference is none of `kept`'s, or there is no
 * room. */
MUST_USE struct text json_restored(struct text kept, struct text difference, char *memory,
                                   size_t cap);
