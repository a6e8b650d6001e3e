#include "event_body.h"

#include <assert.h>
#include <stdlib.h>

struct text
event_body(const struct event *event)
{
    const size_t cap = event_json_bound(event);
    char *compact = malloc(cap);
    if (!compact) return NO_TEXT;
    struct json_writer w;
    json_writer_init(&w, compact, cap);
    event_write(&w, event);
    assert(!w.full);

    const struct text written = json_writer_text(&w);
    const size_t size = json_pretty(written, NULL, 0);
    char *pretty = malloc(size + 1);
    if (pretty) {
        const size_t again = json_pretty(written, pretty, size);
        assert(again == size);
        pretty[size] = '\0';
    }
    free(compact);
    return (struct text){pretty, pretty ? size : 0};
}
