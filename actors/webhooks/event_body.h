/* event_body: what is sent to an endpoint: the event's JSON, laid out as the API lays out its
 * answers. */
#pragma once

#include "event_json.h"
#include "must_use.h"
#include "text.h"

/* The whole body, from malloc: the caller's to free. NO_TEXT when memory is short. */
MUST_USE struct text event_body(const struct event *event);
