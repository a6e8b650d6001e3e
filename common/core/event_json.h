/* event_json: an event as the API shows it and as a webhook receives it: one writer for both. */
#pragma once

#include "json_writer.h"
#include "text.h"
#include <stdint.h>

struct event {
    struct text id, type, data, previous, request, key;
    struct text api_version;  /* the shape to be shown: data may be of an older one */
    int64_t created;          /* Unix seconds */
    int64_t pending_webhooks; /* endpoints that have not taken it yet */
};

/* What event_write needs at most. */
size_t event_json_bound(const struct event *event);
/* The event as a value. `data` and `previous` are JSON, written without what the version no longer
 * has; it lives in the mode that its object says it lives in. */
void event_write(struct json_writer *w, const struct event *event);
