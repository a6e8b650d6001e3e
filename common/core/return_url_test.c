#include "return_url.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>

Test(return_url, pages_and_apps_may_be_returned_to)
{
    static const char *const good[] = {
        "https://shop.example/done",  "http://127.0.0.1:8080", "https://[::1]:9/a?b=c#d",
        "myapp://payment/done",       "com.shop.app://x",      "https://shop.example?order=7",
        "https://shop.example/a;b,c",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_expect(return_url_is_good(text_of(good[i])), "%s", good[i]);
}

Test(return_url, nothing_that_runs_or_ends_a_header_may)
{
    static const char *const bad[] = {
        "",
        "shop.example/done",
        "/done",
        "https://",
        "https:///done",
        "https://user:secret@shop.example/",
        "https://shop.example/a b",
        "https://shop.example/\r\nSet-Cookie: a=b",
        "https://shop.example/\"><script>",
        "https://shop.example/\xc3\xa9",
        "https://shop.example;form-action/",
        "https://shop.example,x",
        "javascript://%0aalert(1)",
        "JavaScript://%0aalert(1)",
        "data://text/html,x",
        "file:///etc/passwd",
        "1app://x",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect(not(return_url_is_good(text_of(bad[i]))), "%s", bad[i]);
        cr_expect(return_url_origin(text_of(bad[i])).at == NULL, "%s", bad[i]);
    }
    cr_expect(not(return_url_is_good(NO_TEXT)));
}

Test(return_url, the_outcome_is_put_among_the_parameters)
{
    static const char *const rows[][2] = {
        {"https://a/b", "https://a/b?q=1"},         {"https://a", "https://a?q=1"},
        {"https://a/?x=y", "https://a/?x=y&q=1"},   {"https://a/?", "https://a/?q=1"},
        {"https://a/b#c?d", "https://a/b?q=1#c?d"}, {"app://x?y=z#w", "app://x?y=z&q=1#w"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[64];
        const struct text whole = return_url_with(text_of(rows[i][0]), TEXT("q=1"), out);
        cr_expect(text_is(whole, rows[i][1]), "%.*s", (int)whole.size, whole.at);
    }
}

Test(return_url, a_policy_names_its_origin_alone)
{
    static const char *const rows[][2] = {
        {"https://a.example:8443/b?c", "https://a.example:8443"},
        {"http://a.example", "http://a.example"},
        {"myapp://pay/done", "myapp:"},
        {"https://a.example?x", "https://a.example"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_expect(text_is(return_url_origin(text_of(rows[i][0])), rows[i][1]), "%s", rows[i][0]);
}
