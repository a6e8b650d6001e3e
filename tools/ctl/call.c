/* call: any message that one of our roles may send. */
#include "ctl.h"
#include "files.h"
#include "florin_client.h"
#include "id.h"
#include "log.h"
#include "random.h"
#include "words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 256
#define BODY_SIZE_MAX 512
#define TIMEOUT_MS 10000

/* Who we can be, in the order of preference. */
static const char *const names[] = {"client-1", "operator-1", "supervisor-1", "monitor-1"};

struct words {
    char role[NODE_NAME_MAX + 1];
};

static struct words
role_of(const char *name)
{
    struct words words;
    snprintf(words.role, sizeof words.role, "%.*s", (int)strcspn(name, "-"), name);
    return words;
}

/* The link that `to` ("ledger-2") binds and `name` may connect to. */
static bool
find_target(const char *name, const char *to, struct florin_target *target)
{
    static const struct {
        const char *binder, *may_connect;
    } links[] = {
#define LINK(name, binder, bound_as, connected_as, may_connect, doc) {#binder, may_connect},
#include "links.def"
#undef LINK
    };
    const char *hyphen = strrchr(to, '-');
    const int instance = hyphen ? (int)strtol(hyphen + 1, NULL, 10) : 1;
    for (int link = 0; link < LINK_COUNT; link++) {
        if (strcmp(links[link].binder, role_of(to).role) != 0 || link == LINK_ledger_tap) continue;
        if (!roles_include(links[link].may_connect, role_of(name).role)) continue;
        *target = (struct florin_target){(enum link_number)link, instance};
        return instance > 0;
    }
    return false;
}

/* Who of us sends it: the one that was named, or the first that may and gets there. */
static const char *
sender_of(const struct message *message, const char *wanted, const char *to)
{
    struct florin_target target;
    bool may = false;
    if (!*message->from) die("%s is only ever a part of another message.", message->name);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *name = wanted ? wanted : names[i];
        if (!roles_include(message->from, role_of(name).role)) continue;
        may = true;
        if (!to || find_target(name, to, &target)) return name;
    }
    if (may) die("%s has no link over which %s could be sent by us.", to, message->name);
    die("%s is sent by %s, and by nobody else.", message->name, message->from);
}

/* A value of the file first_merchant. */
static struct text
first_merchant(const char *home, struct arena *arena)
{
    char path[4096 + 32], text[4096];
    snprintf(path, sizeof path, "%s/first_merchant", home);
    if (file_read(path, text, sizeof text) <= 0) return NO_TEXT;
    const char *at = strstr(text, "FLORIN_ACCOUNT=");
    if (!at) return NO_TEXT;
    at += strlen("FLORIN_ACCOUNT=");
    return arena_copy(arena, (struct text){at, strcspn(at, "\n")});
}

/* What a gateway would have filled in, unless it was given. */
static void
complete_api_request(const struct ctl *ctl, const struct florin_client *client,
                     struct msg_api_request *body, struct arena *arena)
{
    char *request = arena_take(arena, ID_SIZE_MAX + 1), *path = arena_take(arena, 512);
    uint8_t *hash = arena_take(arena, 32);
    if (!(body->has & HAS_api_request_merchant)) body->merchant = first_merchant(ctl->home, arena);
    if (body->merchant.at) body->has |= HAS_api_request_merchant;
    if (!(body->has & HAS_api_request_request)) body->request = id_new(request, "req_");
    body->has |= HAS_api_request_request | HAS_api_request_publishable | HAS_api_request_livemode;
    if (!(body->has & HAS_api_request_path) &&
        florin_request_path(body->route, body->object, path, 512)) {
        body->path = text_of(path);
        body->has |= HAS_api_request_path;
    }
    if (body->has & HAS_api_request_key && !(body->has & HAS_api_request_request_hash) &&
        body->path.at) {
        florin_request_hash(client, body->path.at, body->params, hash);
        body->request_hash = (struct text){(const char *)hash, 32};
        body->has |= HAS_api_request_request_hash;
    }
}

/* The text of the field `merchant`, wherever the message has it. */
static struct text
merchant_of(const struct message *message, const void *body)
{
    for (size_t i = 0; i < message->field_count; i++) {
        const struct field *field = &message->fields[i];
        if (strcmp(field->name, "merchant") == 0 && field->kind == FIELD_TEXT)
            return *(const struct text *)(const void *)((const char *)body + field->offset);
    }
    return NO_TEXT;
}

static int
print_answer(const struct florin_answer *answer, enum words_style style)
{
    _Alignas(16) char body[BODY_SIZE_MAX];
    const struct message *message = message_find(answer->number);
    if (!message || !florin_answer_read(answer, answer->number, body))
        die("%s answered with something that cannot be read.", answer->from);
    if (style == WORDS_LINES)
        printf("%s (%s)\n", message->name, answer->from);
    else
        printf("{\"message\":\"%s\",\"from\":\"%s\",\"body\":", message->name, answer->from);
    words_print(stdout, message, body, style);
    if (style == WORDS_JSON) puts("}");
    return answer->number == MSG_refused;
}

int
ctl_call(const struct ctl *ctl)
{
    static const char *const with_value[] = {"--as", "--to", "--timeout", NULL};
    const char *words[WORDS_MAX], *to = option_value(ctl, "--to");
    const char *timeout = option_value(ctl, "--timeout");
    const int count = plain_words(ctl, with_value, words, WORDS_MAX);
    const int64_t timeout_ms = timeout ? strtoll(timeout, NULL, 10) : TIMEOUT_MS;
    if (count == 0) die("Which message? common/proto/messages.def lists them; try --help.");
    const struct message *message = message_named(words[0]);
    if (!message) die("There is no message \"%s\" in common/proto/messages.def.", words[0]);
    if (timeout_ms < 1) die("--timeout is a number of milliseconds.");

    _Alignas(16) char body[BODY_SIZE_MAX];
    char error[512];
    const char *sender = sender_of(message, option_value(ctl, "--as"), to);
    struct arena *arena = arena_new(64 << 20);
    if (!words_read(message, words + 1, (size_t)count - 1, body, arena, error, sizeof error))
        die("%s %s", message->name, error);

    struct florin_client *client = florin_client_open(ctl->home, sender);
    struct florin_target target;
    if (!(to ? find_target(sender, to, &target)
             : florin_client_route(client, message->number, &target)))
        die("There is no link over which %s could send %s.", sender, message->name);
    if (message->number == MSG_api_request) complete_api_request(ctl, client, (void *)body, arena);

    size_t size;
    const size_t cap = message_size_bound((enum message_number)message->number, body);
    const enum message_verdict verdict = message_encode((enum message_number)message->number, body,
                                                        arena_take(arena, cap), cap, &size);
    if (verdict != MESSAGE_OK)
        die("%s cannot be sent like this: a field is %s.", message->name,
            message_verdict_name(verdict));

    struct florin_answer answer;
    const enum florin_result result = florin_client_ask(
        client, message->number, body, merchant_of(message, body), &target, timeout_ms, &answer);
    if (result == FLORIN_ABSENT) die("Nobody is there to be asked: is Florin running?");
    if (result == FLORIN_SILENT) die("No answer came within %d ms.", (int)timeout_ms);
    const int code = print_answer(&answer, option_given(ctl, "--json") ? WORDS_JSON : WORDS_LINES);
    florin_client_close(&client);
    arena_destroy(&arena);
    return code;
}
