#include "json_difference.h"

#include "json_reader.h"

/* Whether `text` goes on with `piece` at `at`. */
static bool
goes_on_with(struct text text, size_t at, struct text piece)
{
    return text.size - at >= piece.size && memcmp(text.at + at, piece.at, piece.size) == 0;
}

static struct text
between(struct text text, size_t from, const char *to)
{
    return (struct text){text.at + from, (size_t)(to - text.at) - from};
}

static struct text
rest(struct text text, size_t from)
{
    return (struct text){text.at + from, text.size - from};
}

bool
json_difference(struct text kept, struct text told, struct json_writer *out)
{
    struct json_member member, other;
    bool malformed;
    size_t end = 0, told_end = 0; /* of the values so far */
    json_open(out);
    for (size_t at = 0; json_next_member(kept, &at, &member, &malformed); end = at) {
        const struct text key = between(kept, end, member.value.at); /* with all around it */
        if (!goes_on_with(told, told_end, key)) return false;
        const size_t value = told_end + key.size, same_end = value + member.value.size;
        if (goes_on_with(told, value, member.value) && same_end < told.size &&
            (told.at[same_end] == ',' || told.at[same_end] == '}')) {
            told_end = same_end;
            continue;
        }
        if (!json_next_member(told, &told_end, &other, &malformed)) return false;
        json_key_text(out, other.key);
        json_value_raw(out, other.value);
        if (text_equal(rest(kept, at), rest(told, told_end))) { /* mostly the last that differs */
            json_close(out);
            return !out->full;
        }
    }
    json_close(out);
    return end && !out->full && text_equal(rest(kept, end), rest(told, told_end));
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
