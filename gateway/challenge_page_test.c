#include "challenge_page.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

static struct http_exchange exchange;

static void
start(void)
{
    exchange = (struct http_exchange){.arena = arena_new(1 << 20)};
}

static void
stop(void)
{
    arena_destroy(&exchange.arena);
}

TestSuite(challenge_page, .init = start, .fini = stop);

static const struct challenge_asked looked = {
    .challenge = {"tds_1", 5}, .merchant = {"acct_1", 6}, .secret = {"s3cret", 6}};
static const struct challenge_asked answered = {.challenge = {"tds_1", 5},
                                                .merchant = {"acct_1", 6},
                                                .secret = {"s3cret", 6},
                                                .answered = true};

/* The whole answer as C. */
static const char *
page(const struct challenge_asked *asked, int status, const char *json)
{
    static char all[1 << 16];
    const struct answer answer = {
        .status = status, .json = text_of(json), .request = TEXT("req_1")};
    challenge_page_write(&exchange, asked, &answer);
    snprintf(all, sizeof all, "%.*s", (int)exchange.answer.size, exchange.answer.at);
    return all;
}

#define EXPECT_IN(page, words) cr_expect(strstr(page, words) != NULL, "%s", words)
#define EXPECT_NOT_IN(page, words) cr_expect(strstr(page, words) == NULL, "%s", words)

#define OPEN                                                                            \
    "{\"amount\":\"$20.00\",\"brand\":\"visa\",\"last4\":\"3184\",\"purpose\":"         \
    "\"payment\",\"return_url\":\"https://shop.example:8443/done\",\"return_to\":null," \
    "\"state\":\"open\",\"merchant\":"

Test(challenge_page, it_runs_nothing_and_loads_nothing)
{
    const char *all = page(&looked, 200, OPEN "\"Ada\"}");
    EXPECT_IN(all, "HTTP/1.1 200 OK\r\n");
    EXPECT_IN(all, "Content-Type: text/html; charset=utf-8\r\n");
    EXPECT_IN(all, "Content-Security-Policy: default-src 'none'; style-src 'sha256-");
    EXPECT_IN(all, "; form-action 'self' https://shop.example:8443; base-uri 'none'");
    EXPECT_IN(all, "Referrer-Policy: no-referrer\r\n");
    EXPECT_IN(all, "X-Frame-Options: DENY\r\n");
    EXPECT_IN(all, "Cache-Control: no-store\r\n");
    EXPECT_IN(all, "<form method=\"post\" action=\"tds_1/complete\">");
    EXPECT_IN(all, "$20.00");
    EXPECT_IN(all, "Card: Visa ending in 3184");
    EXPECT_IN(all, "value=\"approve\"");
    EXPECT_IN(all, "value=\"fail\"");
    EXPECT_NOT_IN(all, "<script");
    EXPECT_NOT_IN(all, "http-equiv");
}

Test(challenge_page, a_brand_that_nobody_knows_is_not_said)
{
    const char *all = page(&looked, 200,
                           "{\"brand\":\"<b>\",\"last4\":\"3184\",\"purpose\":\"payment\","
                           "\"return_url\":\"https://shop.example/\",\"state\":\"open\"}");
    EXPECT_IN(all, "<p>Card: ending in 3184</p>");
    EXPECT_NOT_IN(all, "<b>");
}

Test(challenge_page, what_a_merchant_calls_itself_is_no_html)
{
    const char *all = page(&looked, 200, OPEN "\"<script>alert('x')</script>&\\\"\"}");
    EXPECT_NOT_IN(all, "<script");
    EXPECT_IN(all, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;");
}

Test(challenge_page, a_secret_of_strange_letters_is_no_html_and_no_header)
{
    const struct challenge_asked strange = {.challenge = TEXT("tds_\"><b>"),
                                            .merchant = TEXT("acct_1"),
                                            .secret = TEXT("\r\nX: y\"<b>"),
                                            .answered = true};
    const char *all = page(&strange, 200, OPEN "null}");
    EXPECT_NOT_IN(all, "<b>");
    all = page(&strange, 503, "{}");
    EXPECT_NOT_IN(all, "X: y");
    EXPECT_NOT_IN(all, "Location:");
}

Test(challenge_page, who_has_answered_is_sent_back)
{
    const char *all =
        page(&answered, 200, "{\"state\":\"passed\",\"return_to\":\"https://a.b/c?d=e\"}");
    EXPECT_IN(all, "HTTP/1.1 303 See Other\r\n");
    EXPECT_IN(all, "Location: https://a.b/c?d=e\r\n");
    EXPECT_IN(all, "Content-Length: 0\r\n");
    /* Looked at again, it says the same. */
    EXPECT_IN(page(&looked, 200, "{\"state\":\"failed\",\"return_to\":\"https://a.b/c\"}"),
              "Location: https://a.b/c\r\n");
}

Test(challenge_page, nobody_is_sent_where_a_script_would_run)
{
    const char *all =
        page(&answered, 200, "{\"state\":\"passed\",\"return_to\":\"javascript://%0aalert(1)\"}");
    EXPECT_IN(all, "HTTP/1.1 200 OK\r\n");
    EXPECT_NOT_IN(all, "Location:");
    EXPECT_NOT_IN(all, "javascript");
    EXPECT_IN(all, "Done");
}

Test(challenge_page, while_the_end_is_under_way_the_page_waits_by_itself)
{
    EXPECT_IN(page(&answered, 200, "{\"state\":\"busy\"}"),
              "Location: ../tds_1?merchant=acct_1&secret=s3cret\r\n");
    const int busy[] = {429, 500, 503, 504};
    for (size_t i = 0; i < 4; i++) {
        EXPECT_IN(page(&answered, busy[i], "{}"), "HTTP/1.1 303 ");
        EXPECT_IN(page(&looked, busy[i], "{}"), "http-equiv=\"refresh\"");
    }
    EXPECT_IN(page(&looked, 200, "{\"state\":\"busy\"}"), "http-equiv=\"refresh\"");
}

Test(challenge_page, whatever_is_refused_looks_the_same)
{
    static char first[1 << 16];
    const int refusals[] = {400, 401, 404, 415};
    snprintf(first, sizeof first, "%s", strstr(page(&looked, 404, "{}"), "<!doctype"));
    for (size_t i = 0; i < 4; i++) {
        const char *all = page(&answered, refusals[i], "{\"error\":{\"message\":\"tds_9\"}}");
        EXPECT_IN(all, "HTTP/1.1 404 Not Found\r\n");
        cr_expect(eq(str, (char *)strstr(all, "<!doctype"), first));
        EXPECT_NOT_IN(all, "tds_9");
        EXPECT_NOT_IN(all, "s3cret");
    }
}

Test(challenge_page, who_is_late_goes_back_with_a_refusal)
{
    const char *all = page(&looked, 200, "{\"state\":\"expired\",\"return_url\":\"myapp://done\"}");
    EXPECT_IN(all, "value=\"fail\"");
    EXPECT_NOT_IN(all, "value=\"approve\"");
    EXPECT_IN(all, "form-action 'self' myapp:;");
}

Test(challenge_page, texts_of_the_greatest_length_fit)
{
    static char json[40000];
    int size = snprintf(json, sizeof json, "%s\"", OPEN);
    for (size_t i = 0; i < 5000; i++)
        size += snprintf(json + size, sizeof json - (size_t)size, "\\\"");
    snprintf(json + size, sizeof json - (size_t)size, "\"}");
    EXPECT_IN(page(&looked, 200, json), "&quot;&quot;");
}
