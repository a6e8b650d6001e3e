#include "challenge_page.h"

#include "card.h"
#include "json_reader.h"
#include "return_url.h"
#include <assert.h>
#include <sodium.h>
#include <stdio.h>

// clang-format off
static const char style[] =
    "*{box-sizing:border-box}"
    "body{margin:0;font:17px/1.5 system-ui,sans-serif;color:#1a1f36;background:#f3f5f9}"
    "main{max-width:26rem;margin:0 auto;padding:2rem 1.25rem;background:#fff;min-height:100vh}"
    "@media(min-width:30rem){main{margin:3rem auto;min-height:0;border-radius:12px;box-shadow:0 8px 30px #1a1f3620}}"
    "h1{font-size:1.3rem;margin:0 0 1rem}p{margin:0 0 1rem}.amount{font-size:2rem;font-weight:600}"
    ".small{font-size:.85rem;color:#59607a}"
    "button{display:block;width:100%;min-height:3rem;margin:0 0 .75rem;padding:.7rem 1rem;font:inherit;font-weight:600;"
    "border-radius:8px;border:2px solid #2f46d3;background:#fff;color:#2f46d3;cursor:pointer}"
    "button.yes{background:#2f46d3;color:#fff}"
    "button:focus-visible{outline:3px solid #f5a623;outline-offset:2px}"
    "@media(prefers-color-scheme:dark){body{background:#12141d;color:#eceef6}main{background:#1b1e2b}"
    ".small{color:#a6adc6}button{background:#1b1e2b;color:#a9b5ff;border-color:#6d80ff}"
    "button.yes{background:#3d53e0;color:#fff;border-color:#3d53e0}}";
// clang-format on

/* --- writing HTML ---------------------------------------------------------------------------- */

/* HTML that is being written; what does not fit is a bug, as its size was reckoned before. */
struct html {
    char *at;
    size_t size, cap;
};

static void
put(struct html *h, struct text text)
{
    assert(h->cap - h->size >= text.size);
    if (text.size) memcpy(h->at + h->size, text.at, text.size);
    h->size += text.size;
}

static void
say(struct html *h, const char *words)
{
    put(h, text_of(words));
}

/* Somebody else's text: nothing in it is HTML. */
static void
quote(struct html *h, struct text text)
{
    for (size_t i = 0; i < text.size; i++)
        switch (text.at[i]) {
        case '&': say(h, "&amp;"); break;
        case '<': say(h, "&lt;"); break;
        case '>': say(h, "&gt;"); break;
        case '"': say(h, "&quot;"); break;
        case '\'': say(h, "&#39;"); break;
        default: put(h, (struct text){text.at + i, 1});
        }
}

/* --- what the worker said -------------------------------------------------------------------- */

struct challenge {
    struct text amount, brand, last4, merchant, purpose, return_to, return_url, state;
};

static struct text
member(struct arena *arena, struct text json, const char *name)
{
    const struct text value = json_find(json, name);
    if (!value.at || json_is_null(value)) return NO_TEXT;
    const size_t cap = value.size + 4; /* json_unquote wants four bytes free at its end */
    return json_unquote(value, arena_take(arena, cap), cap);
}

static struct challenge
challenge_read(struct arena *arena, struct text json)
{
    return (struct challenge){
        .amount = member(arena, json, "amount"),
        .brand = member(arena, json, "brand"),
        .last4 = member(arena, json, "last4"),
        .merchant = member(arena, json, "merchant"),
        .purpose = member(arena, json, "purpose"),
        .return_to = member(arena, json, "return_to"),
        .return_url = member(arena, json, "return_url"),
        .state = member(arena, json, "state"),
    };
}

/* --- the page -------------------------------------------------------------------------------- */

/* The style is named by its hash; a form may lead back here, and from here to the merchant alone
 * (browsers hold the redirect after a form against the same rule). */
static struct text
policy_of(struct arena *arena, struct text return_url)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    char words[sodium_base64_ENCODED_LEN(sizeof hash, sodium_base64_VARIANT_ORIGINAL)];
    crypto_hash_sha256(hash, (const uint8_t *)style, sizeof style - 1);
    sodium_bin2base64(words, sizeof words, hash, sizeof hash, sodium_base64_VARIANT_ORIGINAL);
    const struct text origin = return_url_origin(return_url);
    return arena_format(arena,
                        "default-src 'none'; style-src 'sha256-%s'; form-action 'self'%s%.*s; "
                        "base-uri 'none'; frame-ancestors 'none'",
                        words, origin.at ? " " : "", (int)origin.size, origin.at ? origin.at : "");
}

/* `more` is how long all texts of others are that will stand on it: each byte may become six. */
static struct html
begin(struct arena *arena, size_t more, const char *title, bool waits)
{
    struct html h = {.cap = sizeof style + 4096 + 6 * more};
    h.at = arena_take(arena, h.cap);
    say(&h, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
            "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">");
    if (waits) say(&h, "<meta http-equiv=\"refresh\" content=\"2\">");
    say(&h, "<title>");
    say(&h, title);
    say(&h, "</title><style>");
    say(&h, style);
    say(&h, "</style></head><body><main><h1>");
    say(&h, title);
    say(&h, "</h1>");
    return h;
}

static struct text
end(struct html *h)
{
    say(h, "</main></body></html>\n");
    return (struct text){h->at, h->size};
}

static struct text
plain_page(struct arena *arena, const char *title, const char *words, bool waits)
{
    struct html h = begin(arena, 0, title, waits);
    say(&h, "<p>");
    say(&h, words);
    say(&h, "</p>");
    return end(&h);
}

/* The form's address is relative: it fits whatever prefix a proxy puts before us. */
static void
put_form(struct html *h, const struct challenge_asked *asked)
{
    say(h, "<form method=\"post\" action=\"");
    quote(h, asked->challenge);
    say(h, "/complete\"><input type=\"hidden\" name=\"merchant\" value=\"");
    quote(h, asked->merchant);
    say(h, "\"><input type=\"hidden\" name=\"secret\" value=\"");
    quote(h, asked->secret);
    say(h, "\">");
}

static struct text
open_page(struct arena *arena, const struct challenge_asked *asked,
          const struct challenge *challenge)
{
    const size_t more = asked->challenge.size + asked->merchant.size + asked->secret.size +
                        challenge->amount.size + challenge->brand.size + challenge->last4.size +
                        challenge->merchant.size;
    struct html h = begin(arena, more, "Is it you?", false);
    say(&h, text_is(challenge->purpose, "payment")
                ? "<p>Your bank wants to be sure that it is you who pays.</p>"
                : "<p>Your bank wants to be sure that it is you who saves this card for later "
                  "payments. Nothing is charged now.</p>");
    if (challenge->amount.at) {
        say(&h, "<p class=\"amount\">");
        quote(&h, challenge->amount);
        say(&h, "</p>");
    }
    if (challenge->merchant.at) {
        say(&h, "<p>To: ");
        quote(&h, challenge->merchant);
        say(&h, "</p>");
    }
    if (challenge->last4.at) {
        const char *brand = card_brand_proper_name(challenge->brand);
        say(&h, "<p>Card: ");
        say(&h, brand);
        say(&h, *brand ? " ending in " : "ending in ");
        quote(&h, challenge->last4);
        say(&h, "</p>");
    }
    put_form(&h, asked);
    say(&h,
        "<button class=\"yes\" type=\"submit\" name=\"decision\" value=\"approve\">Approve"
        "</button><button type=\"submit\" name=\"decision\" value=\"fail\">Do not approve"
        "</button></form><p class=\"small\">This is a simulated bank: no real money moves.</p>");
    return end(&h);
}

static struct text
expired_page(struct arena *arena, const struct challenge_asked *asked)
{
    struct html h = begin(arena, asked->challenge.size + asked->merchant.size + asked->secret.size,
                          "Too late", false);
    say(&h, "<p>This took too long, so nothing was done. Go back and try again.</p>");
    put_form(&h, asked);
    say(&h, "<button class=\"yes\" type=\"submit\" name=\"decision\" value=\"fail\">Go back"
            "</button></form>");
    return end(&h);
}

/* What is shown where nothing is left to be answered, and nowhere to go. */
static const struct ending {
    const char *state, *title, *words;
} endings[] = {
    {"passed", "Done", "Your answer has arrived. You may close this window."},
    {"failed", "Not approved", "It was not approved. You may close this window."},
    {"void", "No longer needed",
     "This request was changed or withdrawn, so your answer is not needed any more. You may close "
     "this window."},
};

static struct text
page_of(struct arena *arena, const struct challenge_asked *asked, const struct challenge *challenge)
{
    if (text_is(challenge->state, "open")) return open_page(arena, asked, challenge);
    if (text_is(challenge->state, "expired")) return expired_page(arena, asked);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (text_is(challenge->state, endings[i].state))
            return plain_page(arena, endings[i].title, endings[i].words, false);
    return plain_page(arena, "One moment",
                      "Your answer is on its way to your bank. This page goes on by itself.", true);
}

/* --- the whole ------------------------------------------------------------------------------- */

/* Letters, digits and underscores, as we made them: only such parts become a header. */
static bool
is_plain(struct text text)
{
    for (size_t i = 0; i < text.size; i++) {
        const char c = text.at[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '_')
            return false;
    }
    return text.size > 0;
}

/* From …/3ds/tds_x/complete back to …/3ds/tds_x, whatever stands before it. */
static struct text
page_again(struct arena *arena, const struct challenge_asked *asked)
{
    return arena_format(arena, "../%.*s?merchant=%.*s&secret=%.*s", (int)asked->challenge.size,
                        asked->challenge.at, (int)asked->merchant.size, asked->merchant.at,
                        (int)asked->secret.size, asked->secret.at);
}

void
challenge_page_write(struct http_exchange *exchange, const struct challenge_asked *asked,
                     const struct answer *answer)
{
    struct arena *arena = exchange->arena;
    struct answer_page page = {.status = answer->status, .request = answer->request};
    struct challenge challenge = {.state = NO_TEXT};
    const bool busy = answer->status == 429 || answer->status >= 500;
    const bool plain =
        is_plain(asked->challenge) && is_plain(asked->merchant) && is_plain(asked->secret);
    if (answer->status == 200) challenge = challenge_read(arena, answer->json);
    page.policy = policy_of(arena, challenge.return_url);

    const bool ended = text_is(challenge.state, "passed") || text_is(challenge.state, "failed");
    if (ended && return_url_is_good(challenge.return_to)) {
        page.status = 303;
        page.location = challenge.return_to;
    } else if (asked->answered && plain && (busy || text_is(challenge.state, "busy"))) {
        /* To look is harmless, so the page can wait for the end by itself. */
        page.status = 303;
        page.location = page_again(arena, asked);
    } else if (answer->status == 200) {
        page.html = page_of(arena, asked, &challenge);
    } else if (busy) {
        page.html = plain_page(arena, "One moment",
                               "This page cannot be shown now. It tries again by itself.", true);
    } else { /* whatever it was: nobody learns what there is */
        page.status = 404;
        page.html = plain_page(arena, "Nothing here",
                               "This link is not complete, or there is nothing behind it. Go back "
                               "to where you came from and try again.",
                               false);
    }
    answer_write_page(exchange, &page);
}
