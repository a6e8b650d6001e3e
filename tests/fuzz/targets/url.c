/* url: what is taken as an endpoint's URL is printable ASCII with a scheme of the web and a host; a
 * return URL may stand in a header, also with our parameters in it, and names an origin. */
#include "fuzz.h"
#include "return_url.h"
#include "webhook_url.h"

static void
check_printable(struct text t)
{
    for (size_t i = 0; i < t.size; i++)
        MUST_HOLD(t.at[i] > 0x20 && t.at[i] < 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct text url = {(const char *)data, size};
    for (int live = 0; live < 2; live++) {
        const enum webhook_url_verdict verdict = webhook_url_check(url, live);
        if (verdict != WEBHOOK_URL_OK) {
            MUST_HOLD(webhook_url_complaint(verdict));
            continue;
        }
        check_printable(url);
        MUST_HOLD(url.size > strlen("http://") && url.size <= WEBHOOK_URL_MAX);
        MUST_HOLD(!memchr(url.at, '#', url.size) && !memchr(url.at, '\\', url.size));
        const size_t from = url.at[4] == ':' ? 7 : 8; /* http:// or https:// */
        MUST_HOLD(url.size > from && url.at[from] != '/' && url.at[from] != ':');
        for (size_t i = from; i < url.size && !memchr("/?", url.at[i], 2); i++)
            MUST_HOLD(url.at[i] != '@');
    }
    if (!return_url_is_good(url)) {
        MUST_HOLD(!return_url_origin(url).at);
        return 0;
    }
    check_printable(url);
    const struct text query = TEXT("payment_intent=pi_1&redirect_status=succeeded");
    char *memory = exactly(url.size + query.size + 1);
    const struct text with = return_url_with(url, query, memory);
    MUST_HOLD(with.size == url.size + query.size || with.size == url.size + query.size + 1);
    check_printable(with);
    MUST_HOLD(return_url_is_good(with));
    const struct text origin = return_url_origin(url);
    MUST_HOLD(origin.at == url.at && origin.size && origin.size <= url.size);
    MUST_HOLD(!memchr(origin.at, ';', origin.size) && !memchr(origin.at, ',', origin.size) &&
              !memchr(origin.at, ' ', origin.size));
    free(memory);
    return 0;
}
