#include "matching.h"

#include "json_reader.h"

/* No type is longer: FIELD event_write.type. */
#define TYPE_SIZE_MAX 64

bool
endpoint_wants(struct text enabled_events, int64_t endpoint_created, struct text type,
               int64_t event_created)
{
    if (endpoint_created > event_created) return false;

    size_t at = 0;
    bool malformed = false;
    struct text element;
    while (json_next_element(enabled_events, &at, &element, &malformed)) {
        char memory[TYPE_SIZE_MAX];
        const struct text wanted = json_unquote(element, memory, sizeof memory);
        if (text_is(wanted, "*") || (wanted.at && text_equal(wanted, type))) return true;
    }
    return false;
}
