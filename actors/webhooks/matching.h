/* matching: which events an endpoint hears of. */
#pragma once

#include "text.h"
#include <stdbool.h>
#include <stdint.h>

/* True when an endpoint that listens for `enabled_events` (a JSON array of types, or of "*") and
 * was made at `endpoint_created` is to be told of this event: it must have been there when the
 * event happened (both in Unix seconds). A list that is no JSON array wants nothing. */
bool endpoint_wants(struct text enabled_events, int64_t endpoint_created, struct text type,
                    int64_t event_created);
