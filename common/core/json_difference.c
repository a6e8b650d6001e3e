#include "json_difference.h"

#include "json_reader.h"

static struct text
between(struct text text, size_t from, const char *to)
{
    return (struct text){text.at + from, (size_t)(to - text.at) - from};
}

size_t
json_restored_bound(struct text kept, struct text difference)
{
    return kept.size + difference.size;
}

struct text
json_restored(struct text kept, struct text difference, char *memory, size_t cap)
{
    struct json_member member, other;
    bool malformed;
    size_t end = 0, next = 0, size = 0;
    if (cap < json_restored_bound(kept, difference)) return NO_TEXT;
    bool more = json_next_member(difference, &next, &other, &malformed);
    if (malformed) return NO_TEXT;
    for (size_t at = 0; more && json_next_member(kept, &at, &member, &malformed);) {
        if (!text_equal(member.key, other.key)) continue;
        const struct text before = between(kept, end, member.value.at);
        memcpy(memory + size, before.at, before.size);
        size += before.size;
        memcpy(memory + size, other.value.at, other.value.size);
        size += other.value.size;
        end = at;
        more = json_next_member(difference, &next, &other, &malformed);
    }
    if (more || malformed) return NO_TEXT;
    memcpy(memory + size, kept.at + end, kept.size - end);
    return (struct text){memory, size + kept.size - end};
}
