/* merchant: a new merchant with its first two keys. The keys are made here and shown here; Florin
 * keeps their hashes alone. */
#include "clock.h"
#include "ctl.h"
#include "files.h"
#include "florin_client.h"
#include "gateway.h"
#include "id.h"
#include "log.h"
#include "random.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY_CHARACTERS 32
#define KEY_SIZE 64
#define ASK_MS 3000
#define ASK_AGAIN_MS 50
#define TIME_MS 15000 /* for the merchant itself, once Florin serves */

struct merchant {
    char account[ID_SIZE_MAX + 1], secret_key[KEY_SIZE], publishable_key[KEY_SIZE];
};

static void
make_key(char out[static KEY_SIZE], const char *prefix)
{
    uint8_t chance[KEY_CHARACTERS];
    char characters[KEY_CHARACTERS + 1] = "";
    random_bytes(chance, sizeof chance);
    id_random_text(characters, KEY_CHARACTERS, chance);
    characters[KEY_CHARACTERS] = 0;
    snprintf(out, KEY_SIZE, "%s%s", prefix, characters);
}

/* As the gateway does it for every request: BLAKE2b-256 of the key under the pepper. */
static void
hash_key(const char *home, const char *key, uint8_t hash[static 32])
{
    uint8_t pepper[32];
    if (secret_read(home, "api_pepper", pepper, sizeof pepper) != sizeof pepper)
        die("The secret %s/secrets/api_pepper has not 32 bytes.", home);
    crypto_generichash(hash, 32, (const uint8_t *)key, strlen(key), pepper, sizeof pepper);
    sodium_memzero(pepper, sizeof pepper);
}

static struct text
last4(const char *key)
{
    return text_of(key + strlen(key) - 4);
}

/* Tries until it is made or the time is over. A try that was not answered may have been done: the
 * next one is another merchant, and the first one's keys are nobody's. */
static void
make_merchant(const char *home, struct florin_client *client, struct merchant *merchant,
              const char *name, const char *country, const char *currency)
{
    const int64_t until_ms = clock_mono_ms() + TIME_MS;
    char reason[600] = "nobody answers";
    do {
        uint8_t secret_hash[32], publishable_hash[32];
        struct florin_answer answer;
        struct msg_api_answer made;
        struct msg_refused refused;
        (void)id_new(merchant->account, "acct_");
        make_key(merchant->secret_key, "sk_test_");
        make_key(merchant->publishable_key, "pk_test_");
        hash_key(home, merchant->secret_key, secret_hash);
        hash_key(home, merchant->publishable_key, publishable_hash);
        const struct msg_merchant_create body = {
            .has = HAS_merchant_create_merchant | HAS_merchant_create_name |
                   HAS_merchant_create_country | HAS_merchant_create_currency |
                   HAS_merchant_create_secret_hash | HAS_merchant_create_secret_last4 |
                   HAS_merchant_create_publishable_hash | HAS_merchant_create_publishable_last4,
            .merchant = text_of(merchant->account),
            .name = text_of(name),
            .country = text_of(country),
            .currency = text_of(currency),
            .secret_hash = {(const char *)secret_hash, 32},
            .secret_last4 = last4(merchant->secret_key),
            .publishable_hash = {(const char *)publishable_hash, 32},
            .publishable_last4 = last4(merchant->publishable_key),
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
    struct merchant merchant;
    char text[512];
    struct florin_client *client = florin_client_open(ctl->home, "operator-1");
    make_merchant(ctl->home, client, &merchant, name ? name : "Florin test merchant",
                  country ? country : "US", currency ? currency : "usd");
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
    make_merchant(ctl->home, client, &merchant, "First merchant", "US", "usd");
    florin_client_close(&client);
    const int size = format_merchant(&merchant, text, sizeof text);
    if (!file_write(path, text, (size_t)size, 0600))
        die("%s cannot be written: %s.", path, strerror(errno));
    return 0;
}
