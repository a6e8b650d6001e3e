#include "json_reader.h"
#include "json_writer.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>

static char *
written(struct json_writer *w)
{
    static char out[512];
    const struct text t = json_writer_text(w);
    memcpy(out, t.at, t.size);
    out[t.size] = 0;
    return out;
}

Test(json, what_is_written_is_json)
{
    char memory[512];
    struct json_writer w;
    json_writer_init(&w, memory, sizeof memory);
    json_open(&w);
    json_string(&w, "quote", "a\"b\\c\n\x01ü");
    json_integer(&w, "least", INT64_MIN + 1);
    json_integer(&w, "most", INT64_MAX);
    json_number_or_null(&w, "none", INT64_MIN);
    json_flag(&w, "flag", true);
    json_text(&w, "absent", NO_TEXT);
    json_text(&w, "empty", TEXT(""));
    json_key(&w, "list");
    json_array(&w);
    json_value_integer(&w, 0);
    json_open(&w);
    json_close(&w);
    json_value_raw(&w, TEXT("{\"a\":[]}"));
    json_array_end(&w);
    json_close(&w);
    cr_expect(eq(str, written(&w),
                 "{\"quote\":\"a\\\"b\\\\c\\n\\u0001ü\",\"least\":-9223372036854775807,"
                 "\"most\":9223372036854775807,\"none\":null,\"flag\":true,\"absent\":null,"
                 "\"empty\":\"\",\"list\":[0,{},{\"a\":[]}]}"));
}

Test(json, a_buffer_that_is_too_small_is_told_whatever_its_size)
{
    char memory[128];
    for (size_t cap = 0; cap < 31; cap++) {
        struct json_writer w;
        json_writer_init(&w, memory, cap);
        json_open(&w);
        json_string(&w, "name", "some\ttext");
        json_integer(&w, "n", -12);
        json_close(&w);
        cr_expect(eq(int, w.full, cap < 29), "%zu bytes", cap);
        cr_expect(w.size <= cap);
    }
}

Test(json, it_is_laid_out_as_stripe_does)
{
    char out[256];
    const struct text flat = TEXT("{\"a\":1,\"b\":{},\"c\":[],\"d\":[{\"e\":\"x,{:\\\"\"},2]}");
    const size_t size = json_pretty(flat, out, sizeof out);
    cr_assert(size < sizeof out);
    out[size] = 0;
    cr_expect(eq(str, out,
                 "{\n  \"a\": 1,\n  \"b\": {},\n  \"c\": [],\n  \"d\": [\n    {\n"
                 "      \"e\": \"x,{:\\\"\"\n    },\n    2\n  ]\n}"));
    cr_expect(eq(sz, json_pretty(flat, out, 10), size), "the size is told when it does not fit");
}

Test(json, it_is_laid_out_alike_however_little_room_there_is_and_nothing_behind_it_is_touched)
{
    const struct text flats[] = {
        TEXT("{\"a_long_key_of_its_own\":\"a text that is longer than sixteen "
             "\\\"bytes\\\\\",\"b\":null,"
             "\"c\":[1234567890123,-1.5e3,{}],\"d\":{\"e\":[],\"f\":true}}"),
        TEXT("[[[[[[[[[[[[[[[[[[[[1,{\"deep\":\"x\"}]]]]]]]]]]]]]]]]]]]]"),
        TEXT("\"cut in a string that has \\"),
    };
    char whole[4096], out[4096 + 64];
    for (size_t f = 0; f < sizeof flats / sizeof flats[0]; f++) {
        const size_t size = json_pretty(flats[f], whole, sizeof whole);
        cr_assert(size <= sizeof whole);
        for (size_t cap = 0; cap <= size + 80; cap++) {
            memset(out, '#', cap + 64);
            cr_expect(eq(sz, json_pretty(flats[f], out, cap), size), "%zu bytes", cap);
            if (cap >= size) cr_expect(memcmp(out, whole, size) == 0, "%zu bytes", cap);
            for (size_t i = cap; i < cap + 64; i++)
                cr_assert(out[i] == '#', "%zu bytes", cap);
        }
    }
}

Test(json, a_text_is_escaped_wherever_it_needs_to_be)
{
    static const struct {
        char byte;
        const char *escape;
    } all[] = {{'"', "\\\""},     {'\\', "\\\\"}, {'\n', "\\n"},
               {0x1f, "\\u001f"}, {' ', " "},     {0x7f, "\x7f"}};
    char text[80], memory[128], expected[128];
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
        for (size_t size = 1; size < sizeof text; size++)
            for (size_t at = 0; at < size; at++) {
                struct json_writer w;
                struct text back;
                char plain[128];
                memset(text, 'a', size);
                text[at] = all[k].byte;
                json_writer_init(&w, memory, sizeof memory);
                json_value_text(&w, (struct text){text, size});
                const int expected_size =
                    snprintf(expected, sizeof expected, "\"%.*s%s%.*s\"", (int)at, text,
                             all[k].escape, (int)(size - at - 1), text + at + 1);
                back = json_writer_text(&w);
                cr_assert(back.size == (size_t)expected_size &&
                              memcmp(back.at, expected, back.size) == 0,
                          "%zu of %zu", at, size);
                back = json_unquote(back, plain, sizeof plain);
                cr_assert(text_equal(back, (struct text){text, size}), "%zu of %zu", at, size);
            }
}

Test(json, a_value_ends_where_it_does_whatever_stands_in_it)
{
    static const char *const values[] = {"\"%.*s\"", "\"%.*s\\\"\"", "{\"%.*s\":[{}]}",
                                         "[\"%.*s]\"]", "{\"k\":\"%.*s}\"}"};
    char object[256], filler[80], value[128];
    memset(filler, 'a', sizeof filler);
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++)
        for (int size = 0; size < (int)sizeof filler; size++) {
            snprintf(value, sizeof value, values[v], size, filler);
            snprintf(object, sizeof object, "{\"a\":%s,\"b\":-1}", value);
            cr_assert(text_is(json_find(text_of(object), "a"), value), "%s", object);
            cr_assert(text_is(json_find(text_of(object), "b"), "-1"), "%s", object);
            object[strlen(object) - 6] = 0; /* the value without its last byte */
            cr_assert(not(json_find(text_of(object), "b").at != NULL), "%s", object);
        }
}

Test(json, members_come_in_their_order_and_strings_lose_their_escapes)
{
    const struct text object =
        TEXT("{\"a\": \"x\\u00fc\\ud83d\\ude00\\n\", \"b\":{\"c\":[1,{}]} , \"d\":-1.5}");
    struct json_member m;
    size_t at = 0;
    bool malformed;
    char memory[64];
    cr_assert(json_next_member(object, &at, &m, &malformed));
    const struct text plain = json_unquote(m.value, memory, sizeof memory);
    cr_expect(text_is(plain, "xü😀\n"));
    cr_assert(json_next_member(object, &at, &m, &malformed));
    cr_expect(text_is(m.key, "b") && text_is(m.value, "{\"c\":[1,{}]}"));
    cr_assert(json_next_member(object, &at, &m, &malformed));
    cr_expect(text_is(m.value, "-1.5"));
    cr_expect(not(json_next_member(object, &at, &m, &malformed)));
    cr_expect(not(malformed));
    cr_expect(text_is(json_find(object, "d"), "-1.5"));
    cr_expect(eq(ptr, (void *)json_find(object, "e").at, NULL));
}

Test(json, elements_come_in_their_order)
{
    const struct text array = TEXT("[\"a\", [1,2], {\"b\":\"]\"} ]");
    struct text v;
    size_t at = 0, count = 0;
    bool malformed;
    while (json_next_element(array, &at, &v, &malformed))
        count++;
    cr_expect(eq(sz, count, 3));
    cr_expect(not(malformed));
    at = 0;
    cr_expect(not(json_next_element(TEXT("[]"), &at, &v, &malformed)));
    at = 0;
    cr_expect(not(json_next_element(TEXT("{}"), &at, &v, &malformed)));
    cr_expect(malformed);
}

Test(json, a_cut_object_is_never_read_past_its_end)
{
    const struct text whole = TEXT("{\"a\":\"b\\\"c\",\"d\":{\"e\":[1,\"f\"]},\"g\":\"\\u00fc\"}");
    char memory[64];
    for (size_t cut = 0; cut < whole.size; cut++) {
        char *exact = malloc(cut ? cut : 1);
        memcpy(exact, whole.at, cut);
        struct json_member m;
        bool malformed;
        size_t at = 0;
        while (json_next_member((struct text){exact, cut}, &at, &m, &malformed))
            (void)json_unquote(m.value, memory, sizeof memory);
        free(exact);
    }
}

/* Eight bytes are looked at together: each place among them, and each byte. */
Test(json, every_byte_is_escaped_wherever_it_stands)
{
    for (int c = 1; c < 128; c++)
        for (size_t place = 0; place < 20; place++) {
            char text[20], memory[64], again[64];
            struct json_writer w;
            memset(text, 'x', sizeof text);
            text[place] = (char)c;
            json_writer_init(&w, memory, sizeof memory);
            json_value_text(&w, (struct text){text, sizeof text});
            const bool escaped = c < 0x20 || c == '"' || c == '\\';
            cr_assert(eq(int, w.size > sizeof text + 2, escaped), "byte %d at %zu", c, place);
            const struct text back = json_unquote(json_writer_text(&w), again, sizeof again);
            cr_assert(text_equal(back, (struct text){text, sizeof text}), "byte %d at %zu", c,
                      place);

            /* And a reader finds its end. */
            struct json_member member;
            bool malformed;
            size_t at = 0;
            char object[128];
            struct json_writer o;
            json_writer_init(&o, object, sizeof object);
            json_open(&o);
            json_text(&o, "k", (struct text){text, sizeof text});
            json_integer(&o, "n", 7);
            json_close(&o);
            cr_assert(json_next_member(json_writer_text(&o), &at, &member, &malformed));
            cr_assert(text_equal(member.value, json_writer_text(&w)));
            cr_assert(text_is(json_find(json_writer_text(&o), "n"), "7"));
        }
}
