/* json_change: what an object was before it was changed, as events tell it (previous_attributes).
 *
 * Only what differs is named: objects are compared member by member, everything else as a whole;
 * a member that is new was null before. */
#pragma once

#include "json_writer.h"
#include <stdbool.h>

/* Writes one object to `out`. True when anything differed. Both are objects written by
 * json_writer. */
bool json_change(struct text before, struct text after, struct json_writer *out);
