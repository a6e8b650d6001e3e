#include "event_json.h"

#include "api_version.h"
#include "json_reader.h"
#include <assert.h>

enum {
    ENVELOPE_BYTES = 4096, /* around data, previous and key, every text at its longest */
    ESCAPED_MAX = 6,       /* an escaped character is at most \\u0000 */
};

size_t
event_json_bound(const struct event *event)
{
    return ENVELOPE_BYTES + event->data.size + event->previous.size + ESCAPED_MAX * event->key.size;
}

void
event_write(struct json_writer *w, const struct event *event)
{
    assert(event->data.at);
    assert(event->pending_webhooks >= 0);
    const struct text kind = json_bare(json_find(event->data, "object"));
    json_open(w);
    json_text(w, "id", event->id);
    json_string(w, "object", "event");
    json_text(w, "api_version", event->api_version);
    json_integer(w, "created", event->created);
    json_key(w, "data");
    json_open(w);
    json_key(w, "object");
    api_version_show(w, kind, event->data, event->api_version);
    if (event->previous.at) {
        json_key(w, "previous_attributes");
        api_version_show(w, kind, event->previous, event->api_version);
    }
    json_close(w);
    json_flag(w, "livemode", text_is(json_find(event->data, "livemode"), "true"));
    json_integer(w, "pending_webhooks", event->pending_webhooks);
    json_key(w, "request");
    json_open(w);
    json_text(w, "id", event->request);
    json_text(w, "idempotency_key", event->key);
    json_close(w);
    json_text(w, "type", event->type);
    json_close(w);
}
