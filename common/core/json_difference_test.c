#include "json_difference.h"

#include <criterion/criterion.h>

static char written[1024], restored[1024];

/* NULL: it cannot be told so. What can comes back as it was. */
static const char *
difference(const char *kept, const char *told)
{
    struct json_writer w;
    json_writer_init(&w, written, sizeof written - 1);
    if (!json_difference(text_of(kept), text_of(told), &w)) return NULL;
    const struct text text = json_writer_text(&w);
    written[text.size] = 0;
    const struct text back = json_restored(text_of(kept), text, restored, sizeof restored);
    cr_expect(text_is(back, told), "%.*s", (int)back.size, back.at ? back.at : "");
    return written;
}

static void
differs_by(const char *kept, const char *told, const char *wanted)
{
    const char *const got = difference(kept, told);
    cr_expect(got && strcmp(got, wanted) == 0, "%s", got ? got : "none");
}

Test(json_difference, only_members_that_differ_are_told)
{
    differs_by("{\"a\":1,\"b\":\"x\",\"c\":null}", "{\"a\":1,\"b\":\"y\",\"c\":null}",
               "{\"b\":\"y\"}");
    differs_by("{\"a\":1,\"b\":\"x\",\"c\":null}", "{\"a\":2,\"b\":\"x\",\"c\":[1,{}]}",
               "{\"a\":2,\"c\":[1,{}]}");
    differs_by("{\"a\":1}", "{\"a\":1}", "{}");
}

Test(json_difference, a_value_that_begins_alike_differs)
{
    differs_by("{\"a\":1,\"b\":1}", "{\"a\":12,\"b\":1}", "{\"a\":12}");
    differs_by("{\"a\":12,\"b\":12}", "{\"a\":1,\"b\":1}", "{\"a\":1,\"b\":1}");
    differs_by("{\"a\":\"x\"}", "{\"a\":\"x\\\"\"}", "{\"a\":\"x\\\"\"}");
    differs_by("{\"a\":\"}\"}", "{\"a\":\"},\"}", "{\"a\":\"},\"}");
}

Test(json_difference, an_object_inside_is_told_as_a_whole)
{
    differs_by("{\"m\":{\"a\":1,\"b\":2}}", "{\"m\":{\"a\":1}}", "{\"m\":{\"a\":1}}");
    differs_by("{\"m\":{}}", "{\"m\":{\"m\":1}}", "{\"m\":{\"m\":1}}");
}

Test(json_difference, other_members_cannot_be_told)
{
    static const char *const kept = "{\"a\":1,\"b\":2}";
    static const char *const others[] = {"{\"a\":1}",
                                         "{\"a\":1,\"b\":2,\"c\":3}",
                                         "{\"b\":2,\"a\":1}",
                                         "{\"a\":1,\"c\":2}",
                                         "{\"a\":1, \"b\":2}",
                                         "{}",
                                         "[1]",
                                         "",
                                         "{\"a\":1,\"b\":2",
                                         "{\"a\":1,\"b\":2}}"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_expect_null(difference(kept, others[i]), "%s", others[i]);
    cr_expect_null(difference("{}", "{\"a\":1}"));
    cr_expect_null(difference("{}", "{}")); /* nothing is saved by it */
}

Test(json_difference, without_room_there_is_none)
{
    struct json_writer w;
    char memory[8];
    json_writer_init(&w, memory, sizeof memory);
    cr_expect_not(json_difference(TEXT("{\"a\":1}"), TEXT("{\"a\":\"long enough\"}"), &w));
    cr_expect_null(json_restored(TEXT("{\"a\":1}"), TEXT("{\"a\":2}"), memory, 8).at);
}

Test(json_difference, what_is_no_difference_of_it_restores_nothing)
{
    static const char *const wrong[] = {"{\"c\":1}", "{\"b\":1,\"a\":1}", "{\"a\":1,\"a\":2}",
                                        "[]",        "{\"a\"}",           "x"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_expect_null(
            json_restored(TEXT("{\"a\":1,\"b\":2}"), text_of(wrong[i]), restored, sizeof restored)
                .at,
            "%s", wrong[i]);
    cr_expect_null(json_restored(TEXT("[]"), TEXT("{\"a\":1}"), restored, sizeof restored).at);
}
