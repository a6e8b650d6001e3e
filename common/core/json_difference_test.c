#include "json_difference.h"

#include <criterion/criterion.h>

static char restored[1024];

static void
restores(const char *kept, const char *difference, const char *told)
{
    const struct text back =
        json_restored(text_of(kept), text_of(difference), restored, sizeof restored);
    cr_expect(text_is(back, told), "%.*s", (int)back.size, back.at ? back.at : "");
}

Test(json_difference, members_that_differ_stand_where_they_were)
{
    restores("{\"a\":1,\"b\":\"x\",\"c\":null}", "{\"b\":\"y\"}",
             "{\"a\":1,\"b\":\"y\",\"c\":null}");
    restores("{\"a\":1,\"b\":\"x\",\"c\":null}", "{\"a\":2,\"c\":[1,{}]}",
             "{\"a\":2,\"b\":\"x\",\"c\":[1,{}]}");
    restores("{\"m\":{\"a\":1,\"b\":2}}", "{\"m\":{\"a\":1}}", "{\"m\":{\"a\":1}}");
    restores("{\"a\":\"}\"}", "{\"a\":\"},\"}", "{\"a\":\"},\"}");
    restores("{\"a\":1}", "{}", "{\"a\":1}");
}

Test(json_difference, without_room_there_is_none)
{
    cr_expect_null(json_restored(TEXT("{\"a\":1}"), TEXT("{\"a\":2}"), restored, 8).at);
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
