#include "metadata.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>

/* Packs name, value, name, value, …, NULL, which must come sorted, as a block of params. */
static struct params
block(uint8_t *at, const char *const *pairs)
{
    size_t size = 0;
    for (; *pairs; pairs += 2) {
        const size_t name = strlen(pairs[0]), value = strlen(pairs[1]);
        at[size++] = (uint8_t)(name >> 8);
        at[size++] = (uint8_t)name;
        memcpy(at + size, pairs[0], name);
        size += name;
        at[size++] = 0;
        at[size++] = 0;
        at[size++] = (uint8_t)(value >> 8);
        at[size++] = (uint8_t)value;
        memcpy(at + size, pairs[1], value);
        size += value;
    }
    return (struct params){at, size};
}

static void
expect(const char *now, const char *const *pairs, const char *merged)
{
    static uint8_t bytes[4096];
    char memory[4096];
    struct json_writer w;
    json_writer_init(&w, memory, sizeof memory - 1);
    cr_expect(
        eq(int, metadata_merge(text_of(now), block(bytes, pairs), "metadata", &w), METADATA_OK));
    memory[w.size] = 0;
    cr_expect(eq(str, memory, (char *)merged));
}

#define GIVEN(...) ((const char *const[]){__VA_ARGS__, NULL})

Test(metadata, an_update_merges)
{
    expect(NULL, GIVEN("metadata[a]", "1"), "{\"a\":\"1\"}");
    expect("{\"a\":\"1\",\"b\":\"2\"}", GIVEN("metadata[b]", "3", "metadata[c]", "4"),
           "{\"a\":\"1\",\"b\":\"3\",\"c\":\"4\"}");
}

Test(metadata, an_empty_value_takes_its_key_away_and_an_empty_hash_all_of_them)
{
    expect("{\"a\":\"1\",\"b\":\"2\"}", GIVEN("metadata[a]", ""), "{\"b\":\"2\"}");
    expect("{\"a\":\"1\",\"b\":\"2\"}", GIVEN("metadata", ""), "{}");
}

Test(metadata, keys_are_the_same_however_they_have_to_be_escaped)
{
    expect("{\"a\\\"b\":\"1\"}", GIVEN("metadata[a\"b]", "2"), "{\"a\\\"b\":\"2\"}");
}

Test(metadata, fifty_keys_fit_and_one_more_does_not)
{
    static char now[2048];
    static uint8_t bytes[256];
    char memory[4096];
    struct json_writer w;
    size_t size = 0;
    for (int i = 0; i < METADATA_KEYS_MAX - 1; i++)
        size +=
            (size_t)snprintf(now + size, sizeof now - size, "%s\"k%02d\":\"\"", i ? "," : "{", i);
    now[size++] = '}';
    json_writer_init(&w, memory, sizeof memory);
    cr_expect(eq(int,
                 metadata_merge((struct text){now, size}, block(bytes, GIVEN("metadata[x]", "1")),
                                "metadata", &w),
                 METADATA_OK));
    json_writer_init(&w, memory, sizeof memory);
    cr_expect(eq(int,
                 metadata_merge((struct text){now, size},
                                block(bytes, GIVEN("metadata[x]", "1", "metadata[y]", "1")),
                                "metadata", &w),
                 METADATA_TOO_MANY));
}
