/* merchant: a new merchant with its first two keys. The keys are made here and shown here; Florin
 * keeps their hashes alone. */
#include "api_version.h"
#include "clock.h"
#include "ctl.h"
#include "files.h"
#include "florin_client.h"
#include "gateway.h"
#include "id.h"
#include "log.h"
#include "random.h"
#include "secret_keys.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY_SIZE API_KEY_MADE_SIZE
#define ASK_MS 3000
#define ASK_AGAIN_MS 50
#define TIME_MS 15000 /* for the merchant itself, once Florin serves */

struct merchant {
    char account[ID_SIZE_MAX + 1], secret_key[KEY_SIZE], publishable_key[KEY_SIZE];
};

/* Tries until it is made or the time is over. A try that was not answered may have been done: the
 * next one is another merchant, and the first one's keys are nobody's. */
static void
make_merchant(const char *home, struct florin_client *client, struct merchant *merchant,
              const char *name, const char *country, const char *currency, const char *version)
{
    const int64_t until_ms = clock_mono_ms() + TIME_MS;
    char reason[600] = "nobody answers";
    do {
        uint8_t secret_hash[32], publishable_hash[32];
        struct florin_answer answer;
        struct msg_api_answer made;
        struct msg_refused refused;
        (void)id_new(merchant->account, "acct_");
        api_key_make(merchant->secret_key, "sk_test_");
        api_key_make(merchant->publishable_key, "pk_test_");
        api_key_hash(home, merchant->secret_key, secret_hash);
        api_key_hash(home, merchant->publishable_key, publishable_hash);
        const struct msg_merchant_create body = {
            .has = HAS_merchant_create_merchant | HAS_merchant_create_name |
                   HAS_merchant_create_country | HAS_merchant_create_currency |
                   HAS_merchant_create_secret_hash | HAS_merchant_create_secret_last4 |
                   HAS_merchant_create_publishable_hash | HAS_merchant_create_publishable_last4 |
                   (version ? HAS_merchant_create_api_version : 0u),
            .merchant = text_of(merchant->account),
            .name = text_of(name),
            .country = text_of(country),
            .currency = text_of(currency),
            .secret_hash = {(const char *)secret_hash, 32},
            .secret_last4 = api_key_last4(merchant->secret_key),
            .publishable_hash = {(const char *)publishable_hash, 32},
            .publishable_last4 = api_key_last4(merchant->publishable_key),
            .api_version = text_of(version),
        };
        const enum florin_result result = florin_client_ask(client, MSG_merchant_create, &body,
                                                            body.merchant, NULL, ASK_MS, &answer);
        if (result == FLORIN_ANSWERED && florin_answer_read(&answer, MSG_api_answer, &made)) {
            if (made.status == 200) return;
            snprintf(reason, sizeof reason, "%.*s", (int)made.body.size, made.body.at);
        } else if (result == FLORIN_REFUSED && florin_answer_read(&answer, MSG_refused, &refused)) {
            snprintf(reason, sizeof reason, "%.*s", (int)refused.reason.size, refused.reason.at);
        }
        (void)poll(NULL, 0, ASK_AGAIN_MS);
    } while (clock_mono_ms() < until_ms);
    die("The merchant could not be made: %s.", reason);
}

/* An account that is there gets another name or version. */
static void
change_merchant(struct florin_client *client, const char *account, const char *name,
                const char *version)
{
    struct florin_answer answer;
    struct msg_api_answer told = {0};
    const struct msg_merchant_update body = {
        .has = HAS_merchant_update_merchant | (name ? HAS_merchant_update_name : 0u) |
               (version ? HAS_merchant_update_api_version : 0u),
        .merchant = text_of(account),
        .name = text_of(name),
        .api_version = text_of(version)};
    if (florin_client_ask(client, MSG_merchant_update, &body, body.merchant, NULL, TIME_MS,
                          &answer) != FLORIN_ANSWERED ||
        !florin_answer_read(&answer, MSG_api_answer, &told))
        die("Florin did not answer; ./florin status tells more.");
    if (told.status != 200) die("%.*s", (int)told.body.size, told.body.at);
    printf("%.*s\n", (int)told.body.size, told.body.at);
}

static int
format_merchant(const struct merchant *merchant, char *out, size_t cap)
{
    return snprintf(out, cap,
                    "FLORIN_ACCOUNT=%s\nFLORIN_SECRET_KEY=%s\nFLORIN_PUBLISHABLE_KEY=%s\n",
                    merchant->account, merchant->secret_key, merchant->publishable_key);
}

int
ctl_merchant(const struct ctl *ctl)
{
    const char *name = option_value(ctl, "--name"), *country = option_value(ctl, "--country");
    const char *currency = option_value(ctl, "--currency");
    const char *version = option_value(ctl, "--api-version");
    const char *account = option_value(ctl, "--account");
    struct merchant merchant;
    char text[512];
    if (version && !api_version_known(text_of(version)))
        die("There is no version \"%s\"; docs/API.md lists them.", version);
    struct florin_client *client = florin_client_open(ctl->home, "operator-1");
    if (account) {
        change_merchant(client, account, name, version);
        florin_client_close(&client);
        return 0;
    }
    make_merchant(ctl->home, client, &merchant, name ? name : "Florin test merchant",
                  country ? country : "US", currency ? currency : "usd", version);
    florin_client_close(&client);
    format_merchant(&merchant, text, sizeof text);
    fputs(text, stdout);
    return 0;
}

int
ctl_env(const struct ctl *ctl)
{
    char path[PATH_MAX + 32], text[4096], url[128];
    snprintf(path, sizeof path, "%s/first_merchant", ctl->home);
    if (file_read(path, text, sizeof text) <= 0)
        die("There is no merchant in %s yet: ./florin up makes one.", ctl->home);
    gateway_url(ctl->home, url, sizeof url);
    printf("FLORIN_URL=%s\n%s", url, text);
    return 0;
}

/* --- the first one ------------------------------------------------------------------------------
 */

int
ctl_first_merchant(const struct ctl *ctl)
{
    char path[PATH_MAX + 32], text[512];
    const char *wait = option_value(ctl, "--wait");
    const int64_t until_ms = clock_mono_ms() + (wait ? strtoll(wait, NULL, 10) : 0) * 1000;
    struct gateway_words words;
    while (!gateway_serves(ctl->home, &words)) {
        if (clock_mono_ms() >= until_ms) die("Florin is not serving: %s.", words.text);
        (void)poll(NULL, 0, ASK_AGAIN_MS);
    }

    snprintf(path, sizeof path, "%s/first_merchant", ctl->home);
    if (access(path, F_OK) == 0) return 0;
    struct merchant merchant;
    struct florin_client *client = florin_client_open(ctl->home, "operator-1");
    make_merchant(ctl->home, client, &merchant, "First merchant", "US", "usd", NULL);
    florin_client_close(&client);
    const int size = format_merchant(&merchant, text, sizeof text);
    if (!file_write(path, text, (size_t)size, 0600))
        die("%s cannot be written: %s.", path, strerror(errno));
    return 0;
}
