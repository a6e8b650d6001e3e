#include "json_change.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static void
expect(const char *before, const char *after, const char *change)
{
    char memory[1024];
    struct json_writer w;
    json_writer_init(&w, memory, sizeof memory - 1);
    const bool any = json_change(text_of(before), text_of(after), &w);
    memory[w.size] = 0;
    cr_expect(eq(str, memory, (char *)change));
    cr_expect(eq(int, any, strcmp(change, "{}") != 0));
}

Test(json_change, only_what_differs_is_named)
{
    expect("{\"a\":1,\"b\":\"x\"}", "{\"a\":1,\"b\":\"y\"}", "{\"b\":\"x\"}");
    expect("{\"a\":1}", "{\"a\":1}", "{}");
}

Test(json_change, objects_are_compared_member_by_member)
{
    expect("{\"m\":{\"k\":\"1\",\"l\":\"2\"}}", "{\"m\":{\"k\":\"1\",\"l\":\"3\"}}",
           "{\"m\":{\"l\":\"2\"}}");
}

Test(json_change, what_is_new_was_null_and_what_is_gone_is_told)
{
    expect("{\"m\":{}}", "{\"m\":{\"k\":\"1\"}}", "{\"m\":{\"k\":null}}");
    expect("{\"m\":{\"k\":\"1\"}}", "{\"m\":{}}", "{\"m\":{\"k\":\"1\"}}");
    expect("{\"s\":null}", "{\"s\":{\"k\":\"1\"}}", "{\"s\":null}");
}

Test(json_change, arrays_are_told_as_a_whole)
{
    expect("{\"a\":[1,2]}", "{\"a\":[1,3]}", "{\"a\":[1,2]}");
}

Test(json_change, members_in_another_order_are_found)
{
    expect("{\"a\":1,\"b\":2,\"c\":3}", "{\"c\":3,\"b\":2,\"a\":0}", "{\"a\":1}");
    expect("{\"a\":1,\"b\":2,\"c\":3}", "{\"b\":2,\"c\":4}", "{\"a\":1,\"c\":3}");
    expect("{\"b\":2}", "{\"a\":1,\"b\":2,\"c\":3}", "{\"a\":null,\"c\":null}");
    expect("{}", "{\"a\":1}", "{\"a\":null}");
}

Test(json_change, what_stands_behind_the_first_difference_is_compared_too)
{
    expect("{\"a\":1,\"b\":2,\"c\":3,\"d\":4}", "{\"a\":0,\"b\":2,\"c\":0,\"d\":4}",
           "{\"a\":1,\"c\":3}");
    expect("{\"a\":1,\"b\":2}", "{\"a\":0,\"b\":2,\"c\":3}", "{\"a\":1,\"c\":null}");
    expect("{\"a\":1,\"b\":2,\"c\":3}", "{\"a\":0,\"b\":2}", "{\"a\":1,\"c\":3}");
}
