/* json: the reader stays inside any bytes; texts that the writer wrote come back as they were; and
 * what changed between two objects of ours is again an object. */
#include "fuzz.h"
#include "json_change.h"
#include "json_difference.h"
#include "json_reader.h"
#include "json_writer.h"
#include "utf8.h"

static bool
inside(struct text part, struct text whole)
{
    return part.at >= whole.at && part.at + part.size <= whole.at + whole.size;
}

/* Every member of every object, down to where the levels end. */
static void
walk(struct text json, int levels)
{
    struct json_member member;
    struct text element;
    bool malformed;
    if (levels == 0) return;
    for (size_t at = 0; json_next_member(json, &at, &member, &malformed);) {
        MUST_HOLD(inside(member.key, json) && inside(member.value, json));
        MUST_HOLD(at <= json.size && member.value.size > 0);
        walk(member.value, levels - 1);
    }
    for (size_t at = 0; json_next_element(json, &at, &element, &malformed);) {
        MUST_HOLD(inside(element, json) && at <= json.size && element.size > 0);
        walk(element, levels - 1);
    }
    const size_t cap = json.size + 8;
    char *memory = exactly(cap);
    const struct text plain = json_unquote(json, memory, cap);
    if (plain.at) MUST_HOLD(plain.size <= json.size);
    const struct text bare = json_bare(json);
    if (bare.at) MUST_HOLD(inside(bare, json));
    free(memory);
}

/* The bytes as texts of an object, one to each line, by the writer. */
static struct text
written(struct text lines, char *memory, size_t cap)
{
    struct json_writer w;
    int count = 0;
    json_writer_init(&w, memory, cap);
    json_open(&w);
    while (lines.size && count < 40) {
        const char *end = memchr(lines.at, '\n', lines.size);
        const size_t size = end ? (size_t)(end - lines.at) : lines.size;
        const struct text line = {lines.at, size};
        char key[16];
        snprintf(key, sizeof key, "k%d", count++);
        if (utf8_is_clean(line)) json_text(&w, key, line);
        lines.at += size + (end != NULL);
        lines.size -= size + (end != NULL);
    }
    json_close(&w);
    MUST_HOLD(!w.full);
    return json_writer_text(&w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct text bytes = {(const char *)data, size};
    walk(bytes, 6);

    const size_t cap = 6 * size + 4096;
    char *memory[2] = {exactly(cap), exactly(cap)}, *plain = exactly(size + 8);
    const struct text now = written(bytes, memory[0], cap);
    struct json_member member;
    bool malformed;
    struct text rest = bytes;
    for (size_t at = 0; json_next_member(now, &at, &member, &malformed);) {
        const struct text back = json_unquote(member.value, plain, size + 8);
        MUST_HOLD(back.at);
        /* the next line that is clean */
        for (bool met = false; !met;) {
            const char *end = memchr(rest.at, '\n', rest.size);
            const struct text line = {rest.at, end ? (size_t)(end - rest.at) : rest.size};
            rest.at += line.size + (end != NULL);
            rest.size -= line.size + (end != NULL);
            met = utf8_is_clean(line);
            if (met) MUST_HOLD(text_equal(line, back));
        }
    }
    MUST_HOLD(!malformed);

    char *pretty = exactly(8 * now.size + 64);
    const size_t pretty_size = json_pretty(now, pretty, 8 * now.size + 64);
    MUST_HOLD(pretty_size <= 8 * now.size + 64);
    size_t at = 0, members = 0;
    while (json_next_member((struct text){pretty, pretty_size}, &at, &member, &malformed))
        members++;
    MUST_HOLD(!malformed);
    free(pretty);

    const struct text half = written((struct text){bytes.at, size / 2}, memory[1], cap);
    char *out = exactly(2 * cap);
    struct json_writer w;
    json_writer_init(&w, out, 2 * cap);
    const bool any = json_change(half, now, &w);
    MUST_HOLD(any == !text_equal(half, now));
    for (at = 0; json_next_member(json_writer_text(&w), &at, &member, &malformed);) {
        char key[16];
        MUST_HOLD(member.key.size < sizeof key);
        memcpy(key, member.key.at, member.key.size);
        key[member.key.size] = '\0';
        MUST_HOLD(json_find(half, key).at || json_find(now, key).at);
    }
    MUST_HOLD(!malformed);

    const size_t bound = json_restored_bound(now, half);
    char *restored = exactly(bound);
    const struct text back = json_restored(now, half, restored, bound);
    MUST_HOLD(!back.at || back.size <= bound);
    MUST_HOLD(text_equal(json_restored(now, TEXT("{}"), restored, bound),
                         bound >= now.size + 2 ? now : NO_TEXT));
    free(restored);
    free(out);
    free(plain);
    free(memory[0]);
    free(memory[1]);
    return 0;
}
