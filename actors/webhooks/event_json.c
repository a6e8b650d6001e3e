#include "event_json.h"

#include "api_version.h"
#include "json_reader.h"
#include "json_writer.h"

#include <assert.h>
#include <stdlib.h>

/* Around data, previous and key, with every text at its longest and escaped at its worst. */
#define ENVELOPE_BYTES 4096
/* An escaped character is at most \u0000. */
#define ESCAPED_MAX 6

static void
write_event(struct json_writer *w, const struct event *event)
{
    /* The object says in which mode it lives; the event is of the same. */
    const struct text livemode = json_find(event->data, "livemode");
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
    json_flag(w, "livemode", text_is(livemode, "true"));
    json_integer(w, "pending_webhooks", event->pending_webhooks);
    json_key(w, "request");
    json_open(w);
    json_text(w, "id", event->request);
    json_text(w, "idempotency_key", event->key);
    json_close(w);
    json_text(w, "type", event->type);
    json_close(w);
}

struct text
event_json(const struct event *event)
{
    assert(event->data.at);
    assert(event->pending_webhooks >= 0);

    const size_t cap =
        ENVELOPE_BYTES + event->data.size + event->previous.size + ESCAPED_MAX * event->key.size;
    char *compact = malloc(cap);
    if (!compact) return NO_TEXT;
    struct json_writer w;
    json_writer_init(&w, compact, cap);
    write_event(&w, event);
    assert(!w.full);

    const struct text written = json_writer_text(&w);
    const size_t size = json_pretty(written, NULL, 0);
    char *pretty = malloc(size + 1);
    if (pretty) {
        const size_t again = json_pretty(written, pretty, size);
        assert(again == size);
        (void)again;
        pretty[size] = '\0';
    }
    free(compact);
    return (struct text){pretty, pretty ? size : 0};
}
