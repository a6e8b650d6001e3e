/* event_json: an event as a merchant receives it: the same as GET /v1/events/{id} answers, laid out
 * the same way. */
#pragma once

#include "must_use.h"
#include "text.h"
#include <stdint.h>

struct event {
    struct text id, type, data, previous, request, key;
    struct text api_version;  /* the shape to be shown; data may be of an older one */
    int64_t created;          /* Unix seconds */
    int64_t pending_webhooks; /* endpoints that have not taken it yet, this one among them */
};

/* The whole body, from malloc: the caller's to free. NO_TEXT when memory is short. */
MUST_USE struct text event_json(const struct event *event);
