#include "expand.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static void
expect_below(const char *paths, const char *segment, const char *expected)
{
    char out[256];
    const struct text below = expand_below(text_of(paths), segment, out);
    cr_expect(text_equal(below, text_of(expected)), "%s below %s: %.*s", paths, segment,
              (int)below.size, below.at ? below.at : "");
}

Test(expand, a_segment_is_found_whole_or_not_at_all)
{
    cr_expect(expand_has(TEXT("customer latest_charge.refunds"), "latest_charge"));
    cr_expect(not(expand_has(TEXT("customers"), "customer")));
    cr_expect(not(expand_has(TEXT("a.customer"), "customer")));
    cr_expect(not(expand_has(NO_TEXT, "customer")));
}

Test(expand, what_follows_a_segment_is_what_its_object_expands)
{
    expect_below("data.customer data.a.b c", "data", "customer a.b");
    expect_below("customer", "customer", NULL);
    expect_below("customer.", "customer", NULL);
    expect_below("a.b.c.d", "a", "b.c.d");
    expect_below("", "a", NULL);
}
