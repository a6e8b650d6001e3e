/* key: further API keys of an account, made, listed and revoked by hand. A key is shown once, when
 * it is made. */
#include "ctl.h"
#include "florin_client.h"
#include "json_reader.h"
#include "log.h"
#include "permission.h"
#include "secret_keys.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "files.h"

#define ASK_MS 5000
#define TRIES 5

/* --account, else the first merchant's. */
static void
account_of(const struct ctl *ctl, char out[static 64])
{
    static const char name[] = "FLORIN_ACCOUNT=";
    char path[PATH_MAX + 32], text[4096];
    const char *given = option_value(ctl, "--account");
    if (given) {
        snprintf(out, 64, "%s", given);
        return;
    }
    snprintf(path, sizeof path, "%s/first_merchant", ctl->home);
    const long size = file_read(path, text, sizeof text - 1);
    if (size <= 0) die("There is no merchant in %s yet: ./florin up makes one.", ctl->home);
    text[size] = '\0';
    const char *at = strstr(text, name);
    if (!at) die("%s names no account.", path);
    at += sizeof name - 1;
    snprintf(out, 64, "%.*s", (int)strcspn(at, "\n"), at);
}

/* Asks until there is an answer: every one of these messages may be said twice. Dies with the words
 * of a refusal. */
static void
ask(struct florin_client *client, enum message_number number, const void *body,
    struct text merchant, struct florin_answer *answer, struct msg_api_answer *told)
{
    struct msg_refused refused;
    char reason[600] = "nobody answers";
    for (int i = 0; i < TRIES; i++) {
        const enum florin_result result =
            florin_client_ask(client, number, body, merchant, NULL, ASK_MS, answer);
        if (result == FLORIN_ANSWERED && florin_answer_read(answer, MSG_api_answer, told)) {
            if (told->status == 200) return;
            char words[600];
            const struct text message = json_unquote(
                json_find(json_find(told->body, "error"), "message"), words, sizeof words);
            die("%.*s", (int)message.size, message.at ? message.at : "It was refused.");
        }
        if (result == FLORIN_REFUSED && florin_answer_read(answer, MSG_refused, &refused))
            snprintf(reason, sizeof reason, "%.*s", (int)refused.reason.size, refused.reason.at);
    }
    die("Florin did not answer: %s.", reason);
}

static void
show(struct text key)
{
    char id[128], kind[64], permissions[PERMISSIONS_SIZE_MAX + 64], last4[64];
    const struct text of[] = {
        json_unquote(json_find(key, "id"), id, sizeof id),
        json_unquote(json_find(key, "kind"), kind, sizeof kind),
        json_unquote(json_find(key, "last4"), last4, sizeof last4),
        json_unquote(json_find(key, "permissions"), permissions, sizeof permissions)};
    const bool revoked = !json_is_null(json_find(key, "revoked_at"));
    printf("%.*s  %-11.*s  …%.*s  %s%.*s\n", (int)of[0].size, of[0].at, (int)of[1].size, of[1].at,
           (int)of[2].size, of[2].at, revoked ? "revoked  " : "", (int)of[3].size,
           of[3].at ? of[3].at : "");
}

static int
create(const struct ctl *ctl, struct florin_client *client, struct text account)
{
    const char *restricted = option_value(ctl, "--restricted");
    const bool publishable = option_given(ctl, "--publishable");
    char key[API_KEY_MADE_SIZE], permissions[PERMISSIONS_SIZE_MAX + 1];
    uint8_t hash[32];
    struct text culprit;
    struct florin_answer answer;
    struct msg_api_answer told;
    if (restricted && publishable) die("A key is either publishable or restricted.");
    if (restricted && !permissions_read(text_of(restricted), permissions, &culprit))
        die("There is no permission \"%.*s\"; docs/API.md lists the resources, as in charges:read.",
            (int)culprit.size, culprit.at ? culprit.at : "");
    api_key_make(key, restricted ? "rk_test_" : publishable ? "pk_test_" : "sk_test_");
    api_key_hash(ctl->home, key, hash);
    const struct msg_key_create body = {.has = HAS_key_create_merchant | HAS_key_create_hash |
                                               HAS_key_create_last4 | HAS_key_create_publishable |
                                               (restricted ? HAS_key_create_permissions : 0u),
                                        .merchant = account,
                                        .hash = {(const char *)hash, sizeof hash},
                                        .last4 = api_key_last4(key),
                                        .publishable = publishable,
                                        .permissions = restricted ? text_of(permissions) : NO_TEXT};
    ask(client, MSG_key_create, &body, account, &answer, &told);
    puts(key);
    return 0;
}

static int
list(struct florin_client *client, struct text account)
{
    const struct msg_key_list body = {.has = HAS_key_list_merchant, .merchant = account};
    struct florin_answer answer;
    struct msg_api_answer told;
    struct text key;
    bool malformed;
    ask(client, MSG_key_list, &body, account, &answer, &told);
    const struct text data = json_find(told.body, "data");
    for (size_t at = 0; json_next_element(data, &at, &key, &malformed);)
        show(key);
    return 0;
}

static int
revoke(struct florin_client *client, struct text account, const char *id)
{
    struct florin_answer answer;
    struct msg_api_answer told;
    const struct msg_key_revoke body = {.has = HAS_key_revoke_merchant | HAS_key_revoke_key,
                                        .merchant = account,
                                        .key = text_of(id)};
    ask(client, MSG_key_revoke, &body, account, &answer, &told);
    show(told.body);
    return 0;
}

int
ctl_key(const struct ctl *ctl)
{
    static const char *const with_value[] = {"--account", "--restricted", NULL};
    const char *words[3];
    char account[64];
    const int count = plain_words(ctl, with_value, words, 3);
    account_of(ctl, account);
    struct florin_client *client = florin_client_open(ctl->home, "operator-1");
    int code = -1;
    if (count == 1 && strcmp(words[0], "create") == 0)
        code = create(ctl, client, text_of(account));
    else if (count == 1 && strcmp(words[0], "list") == 0)
        code = list(client, text_of(account));
    else if (count == 2 && strcmp(words[0], "revoke") == 0)
        code = revoke(client, text_of(account), words[1]);
    else
        die("florin key: say create, list, or revoke key_…; --help tells more.");
    florin_client_close(&client);
    return code;
}
