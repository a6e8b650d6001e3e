#include "webhook_url.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

Test(webhook_url, what_may_be_called_is_taken_and_the_rest_is_refused_for_its_reason)
{
    static const struct {
        const char *url;
        bool livemode;
        enum webhook_url_verdict verdict;
    } rows[] = {
        {"https://example.com/hook", true, WEBHOOK_URL_OK},
        {"HTTPS://example.com", true, WEBHOOK_URL_OK},
        {"http://127.0.0.1:4242/webhook?x=y", false, WEBHOOK_URL_OK},
        {"http://[::1]:80/", false, WEBHOOK_URL_OK},
        {"http://example.com:", false, WEBHOOK_URL_OK},
        {"http://example.com/a@b", false, WEBHOOK_URL_OK},
        {"http://example.com/hook", true, WEBHOOK_URL_NOT_SECURE},
        {"ftp://example.com/", false, WEBHOOK_URL_NOT_HTTP},
        {"example.com", false, WEBHOOK_URL_NOT_HTTP},
        {"http:/example.com", false, WEBHOOK_URL_NOT_HTTP},
        {"", false, WEBHOOK_URL_NOT_HTTP},
        {"https://user:password@example.com/", false, WEBHOOK_URL_HAS_USER},
        {"https://user@example.com/#x", false, WEBHOOK_URL_HAS_USER},
        {"https://example.com/#x", false, WEBHOOK_URL_HAS_FRAGMENT},
        {"https://example.com#x", false, WEBHOOK_URL_HAS_FRAGMENT},
        {"https://", false, WEBHOOK_URL_NO_HOST},
        {"https:///path", false, WEBHOOK_URL_NO_HOST},
        {"https://:80/", false, WEBHOOK_URL_NO_HOST},
        {"http://[]/", false, WEBHOOK_URL_NO_HOST},
        {"http://[::1/", false, WEBHOOK_URL_NO_HOST},
        {"http://[::1]x/", false, WEBHOOK_URL_NO_HOST},
        {"https://example.com:0/", false, WEBHOOK_URL_BAD_PORT},
        {"https://example.com:65536/", false, WEBHOOK_URL_BAD_PORT},
        {"https://example.com:8x/", false, WEBHOOK_URL_BAD_PORT},
        {"https://exa mple.com/", false, WEBHOOK_URL_BAD_CHARACTER},
        {"https://example.com/\t", false, WEBHOOK_URL_BAD_CHARACTER},
        {"https://example.com\\@evil.example/", false, WEBHOOK_URL_BAD_CHARACTER},
        {"https://ex\xc3\xa4mple.com/", false, WEBHOOK_URL_BAD_CHARACTER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const enum webhook_url_verdict v =
            webhook_url_check(text_of(rows[i].url), rows[i].livemode);
        cr_expect(eq(int, v, rows[i].verdict), "%s", rows[i].url);
        cr_expect(eq(int, webhook_url_complaint(v) == NULL, v == WEBHOOK_URL_OK));
    }
}

Test(webhook_url, the_longest_is_taken_and_one_more_is_refused)
{
    char url[WEBHOOK_URL_MAX + 1];
    memset(url, 'a', sizeof url);
    memcpy(url, "http://", 7);
    cr_expect(
        eq(int, webhook_url_check((struct text){url, WEBHOOK_URL_MAX}, false), WEBHOOK_URL_OK));
    cr_expect(eq(int, webhook_url_check((struct text){url, WEBHOOK_URL_MAX + 1}, false),
                 WEBHOOK_URL_TOO_LONG));
}
