#include "api.h"

#include "answer.h"
#include "api_key.h"
#include "api_version.h"
#include "card_spotting.h"
#include "cards.h"
#include "challenge_page.h"
#include "clock.h"
#include "files.h"
#include "form.h"
#include "id.h"
#include "json_writer.h"
#include "kept.h"
#include "log.h"
#include "message.h"
#include "openapi.h"
#include "pages.h"
#include "partition.h"
#include "permission.h"
#include "random.h"
#include "request_limits.h"
#include "route.h"
#include "utf8.h"
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define SECRET_BYTES 32
#define KEY_SIZE_MAX 255
#define OBJECT_SIZE_MAX 255
#define PATH_SIZE_MAX 500
#define PARAMS_BYTES_MAX 1048576 /* as in api_request */
#define HEALTH_MS_MAX 2000
#define TEST_NAME_SIZE_MAX 127  /* as in card_tokenize */
#define STACK_BYTES_WIPED 16384 /* deeper than we go while we have what a client sent */

struct api {
    struct mux *mux;
    int partitions;
    int64_t redis_answer_s;
    uint8_t pepper[SECRET_BYTES], request_secret[SECRET_BYTES], answer_secret[SECRET_BYTES];
    uint8_t vault_key[32];
    struct api_key_cache *keys;
    struct card_memory *cards;
    struct limits *limits;
    unsigned requests_max, under_way; /* requests that were let in */
    struct text overloaded;           /* written once: whoever refuses much has no time */
    unsigned long long kept_out;
    int64_t said_ms;     /* when the log was last told of it */
    struct arena *words; /* that `overloaded` is in */
    struct text openapi; /* the whole of GET /openapi.json, laid out */
};

/* One request of the API. What is borrowed lives as long as its exchange. */
struct call {
    struct api *api;
    struct http_exchange *x;
    struct arena *arena;
    const struct http_head *head;
    char request_text[ID_SIZE_MAX + 1];
    struct text request; /* req_… */
    const struct route *route;
    struct text key_shown;      /* sk_test_***oobar: the API key as it may be shown */
    struct limit_place *inside; /* where it is counted as under way; NULL: nowhere */
    struct text object, path;   /* path with its method: POST /v1/refunds */
    struct text parent;         /* the first id of a path with two */
    struct api_key who;
    struct text merchant, version;
    struct text key;      /* under which the answer is kept; NO_TEXT: none */
    struct text key_sent; /* as the client wrote it */
    struct params params;
    struct text card;        /* packed; NO_TEXT: none */
    bool has_key_in_form;    /* the API key came as the form field `key` */
    struct text fingerprint; /* of a card that was typed in: stands for it in the hash */
    uint8_t request_hash[SECRET_BYTES];
};

/* --- saying no
 * ---------------------------------------------------------------------------------------- */

/* Whether pages of other origins may read the answer: they may call what publishable keys may, with
 * one. A secret key in a browser gets nothing to read, so that nobody builds upon it. */
static bool
any_origin(const struct call *c)
{
    return c->route && c->route->access == ACCESS_PUBLISHABLE && c->head->headers[HTTP_ORIGIN].at &&
           (!c->who.known || c->who.publishable);
}

/* Not for those who are refused without a word about them. */
static void
name_request(struct call *c)
{
    if (!c->request.at) c->request = id_new(c->request_text, "req_");
}

static void
say(struct call *c, const struct answer *answer)
{
    struct answer whole = *answer;
    name_request(c);
    whole.request = c->request;
    whole.version = c->version;
    whole.key = c->key_sent;
    whole.any_origin = any_origin(c);
    if (c->route && c->route->access == ACCESS_PAGE) {
        const struct challenge_asked asked = {.challenge = c->object,
                                              .merchant = c->merchant,
                                              .secret = params_find(c->params, "secret"),
                                              .answered = c->route->method == HTTP_POST};
        challenge_page_write(c->x, &asked, &whole);
    } else {
        answer_write(c->x, &whole);
    }
    const int64_t took_ms = clock_mono_ms() - c->x->began_ms;
    log_event(answer->status >= 500 ? LOG_WARNING : LOG_DEBUG,
              answer->status >= 500 ? "request.failed" : "request.answered",
              "request=%s route=%s merchant=%.*s status=%d ms=%lld", c->request_text,
              c->route ? c->route->name : "none", (int)c->merchant.size,
              c->merchant.at ? c->merchant.at : "", answer->status, (long long)took_ms);
}

/* False, so that a step can end with it. */
static bool
refuse(struct call *c, enum refusal refusal, struct text about, struct text param)
{
    const struct answer answer = {.status = refusal_status(refusal),
                                  .json = refusal_json(c->arena, refusal, about, param),
                                  .retry = refusal_retry(refusal),
                                  .retry_after_s = refusal_status(refusal) == 503};
    say(c, &answer);
    return false;
}

static bool
refuse_outcome(struct call *c, const struct mux_call *ask)
{
    return refuse(c, ask->outcome == MUX_LATE ? REFUSAL_LATE : REFUSAL_UNROUTABLE, NO_TEXT,
                  NO_TEXT);
}

/* --- asking others
 * ------------------------------------------------------------------------------------ */

/* Packs the message into the arena. False when it does not fit its own table, which a client can
 * bring about only by what was checked before: an error of ours. */
static bool
pack(struct call *c, enum message_number number, const void *body, struct mux_call *ask)
{
    const size_t cap = message_size_bound(number, body);
    uint8_t *bytes = arena_take(c->arena, cap);
    size_t size;
    const enum message_verdict verdict = message_encode(number, body, bytes, cap, &size);
    if (verdict != MESSAGE_OK) {
        log_event(LOG_ERROR, "message.unpackable", "message=%u verdict=\"%s\" request=%s",
                  (unsigned)number, message_verdict_name(verdict), c->request_text);
        return refuse(c, REFUSAL_BROKEN, NO_TEXT, NO_TEXT);
    }
    ask->number = (uint16_t)number;
    ask->body = bytes;
    ask->size = size;
    ask->arena = c->arena;
    if (!ask->deadline_ms) ask->deadline_ms = c->x->deadline_ms;
    return true;
}

/* Asks and decodes. False: the client has been told. */
static bool
ask_for(struct call *c, struct mux_call *ask, enum message_number number, void *answer)
{
    const char *culprit;
    mux_ask(c->api->mux, ask);
    if (ask->outcome == MUX_LATE || ask->outcome == MUX_UNROUTABLE) return refuse_outcome(c, ask);
    assert(ask->outcome == MUX_ANSWERED);
    if (ask->number == number &&
        message_decode(number, ask->answer, ask->answer_size, answer, &culprit) == MESSAGE_OK)
        return true;
    log_event(LOG_ERROR, "answer.malformed", "message=%u expected=%u request=%s",
              (unsigned)ask->number, (unsigned)number, c->request_text);
    return refuse(c, REFUSAL_BROKEN, NO_TEXT, NO_TEXT);
}

/* --- which route
 * -------------------------------------------------------------------------------------- */

static int
hex(char ch)
{
    if (ch >= '0' && ch <= '9') return ch - '0';
    if (ch >= 'a' && ch <= 'f') return ch - 'a' + 10;
    if (ch >= 'A' && ch <= 'F') return ch - 'A' + 10;
    return -1;
}

/* The id in the path without its escapes. False: they are malformed, or it is no text. */
static bool
unescape(struct arena *arena, struct text *object)
{
    char *out = arena_take(arena, object->size + 1);
    size_t size = 0;
    for (size_t i = 0; i < object->size; i++) {
        char ch = object->at[i];
        if (ch == '%') {
            if (object->size - i < 3 || hex(object->at[i + 1]) < 0 || hex(object->at[i + 2]) < 0)
                return false;
            ch = (char)(hex(object->at[i + 1]) << 4 | hex(object->at[i + 2]));
            i += 2;
        }
        out[size++] = ch;
    }
    *object = (struct text){out, size};
    return utf8_is_clean(*object);
}

/* An id that could be one: nothing unprintable, nothing that belongs to the vault. */
static bool
may_be_an_id(struct text object)
{
    for (size_t i = 0; i < object.size; i++)
        if ((unsigned char)object.at[i] < 0x20 || object.at[i] == 0x7f) return false;
    return object.size <= OBJECT_SIZE_MAX && !card_number_in(object);
}

static enum http_method
method_of(struct text word)
{
    return text_is(word, "GET") ? HTTP_GET : text_is(word, "POST") ? HTTP_POST : HTTP_DELETE;
}

static bool
refuse_url(struct call *c)
{
    const struct text method = c->head->method, shown = utf8_cut(c->head->path, 200);
    return refuse(c, REFUSAL_NO_SUCH_URL,
                  arena_format(c->arena, "%.*s: %.*s", (int)method.size, method.at, (int)shown.size,
                               shown.at),
                  NO_TEXT);
}

static bool
find_route(struct call *c)
{
    const struct http_head *head = c->head;
    c->route = route_find(method_of(head->method), head->path, &c->object);
    if (!c->route || head->path.size > PATH_SIZE_MAX) {
        c->route = NULL;
        return refuse_url(c);
    }
    c->parent = route_parent(c->route, head->path);
    if ((c->object.at && !unescape(c->arena, &c->object)) ||
        (c->parent.at && !unescape(c->arena, &c->parent)))
        return refuse(c, REFUSAL_BAD_PATH, NO_TEXT, NO_TEXT);
    if ((c->object.at && !may_be_an_id(c->object)) || (c->parent.at && !may_be_an_id(c->parent)))
        return refuse_url(c);
    return true;
}

/* --- who asks
 * ----------------------------------------------------------------------------------------- */

static void
copy_text(char *out, size_t cap, struct text text)
{
    snprintf(out, cap, "%.*s", (int)text.size, text.at ? text.at : "");
}

/* Asks a worker of each partition in turn, beginning with the one that `slot` is in, until one
 * knows: what is looked for by a name of its own may be in any. `known` is read after each answer.
 * False: the client has been told. */
static bool
ask_partitions(struct call *c, uint16_t slot, const struct mux_call *question,
               enum message_number number, void *answer, const uint64_t *known)
{
    const int first = partition_of_slot(slot, c->api->partitions);
    for (int i = 0; i < c->api->partitions; i++) {
        struct mux_call ask = *question;
        ask.slot = i == 0 ? slot : partition_slot(1 + (first - 1 + i) % c->api->partitions);
        if (!ask_for(c, &ask, number, answer)) return false;
        if (*known) return true;
    }
    return true;
}

/* Asks a worker whose key this is, unless it is remembered. False: the client has been told. */
static bool
look_up_key(struct call *c, const uint8_t hash[static API_KEY_HASH_BYTES])
{
    const int64_t now_ms = clock_mono_ms();
    if (api_key_recall(c->api->keys, hash, now_ms, &c->who)) return true;
    const struct msg_key_find find = {.has = HAS_key_find_hash,
                                      .hash = {(const char *)hash, API_KEY_HASH_BYTES}};
    /* Whoever serves its merchant has that one's row at hand; else any worker may look. */
    const char *last = api_key_last_merchant(c->api->keys, hash);
    const uint16_t slot =
        last ? slot_of(text_of(last)) : (uint16_t)(((unsigned)hash[0] << 8 | hash[1]) % SLOT_COUNT);
    struct mux_call ask = {.to = MUX_BROKER};
    struct msg_key_found found;
    if (!pack(c, MSG_key_find, &find, &ask) ||
        !ask_partitions(c, slot, &ask, MSG_key_found, &found, &found.known))
        return false;
    const uint32_t all =
        HAS_key_found_merchant | HAS_key_found_publishable | HAS_key_found_livemode;
    memset(&c->who, 0, sizeof c->who);
    c->who.known = found.known && (found.has & all) == all;
    if (c->who.known) {
        c->who.publishable = found.publishable;
        c->who.livemode = found.livemode;
        copy_text(c->who.merchant, sizeof c->who.merchant, found.merchant);
        copy_text(c->who.version, sizeof c->who.version, found.api_version);
        c->who.restricted = found.has & HAS_key_found_permissions;
        copy_text(c->who.permissions, sizeof c->who.permissions, found.permissions);
    }
    api_key_remember(c->api->keys, hash, now_ms, &c->who);
    return true;
}

/* Stripe's browser library has no header to put its publishable key into: it sends it as the form
 * field `key`. Gives that field as a header would have it, or NO_TEXT. */
static struct text
key_of_form(struct call *c)
{
    const size_t size = (size_t)c->head->length, cap = form_block_size(c->x->body, size);
    if (c->route->method != HTTP_POST) return NO_TEXT;
    uint8_t *block = arena_take(c->arena, cap);
    struct params params;
    char culprit[129];
    struct text authorization = NO_TEXT;
    if (form_parse(c->x->body, size, block, cap, &params, culprit) == FORM_OK) {
        const struct text key = params_find(params, "key");
        if (text_starts(key, "pk_") && key.size <= API_KEY_SIZE_MAX)
            authorization = arena_format(c->arena, "Bearer %.*s", (int)key.size, key.at);
    }
    sodium_memzero(block, cap); /* there may be a card in it */
    c->has_key_in_form = authorization.at;
    return authorization;
}

/* No key: the id in the path is what lets the page in. It tells whose it is, too. */
static bool
find_session(struct call *c)
{
    const struct msg_page_find find = {.has = HAS_page_find_session, .session = c->object};
    struct mux_call ask = {.to = MUX_BROKER};
    struct msg_page_found found;
    if (!id_is(c->object, "cs_test_")) return refuse(c, REFUSAL_NO_PAGE, NO_TEXT, NO_TEXT);
    if (!pack(c, MSG_page_find, &find, &ask) ||
        !ask_partitions(c, slot_of(c->object), &ask, MSG_page_found, &found, &found.known))
        return false;
    if (!found.known || !(found.has & HAS_page_found_merchant))
        return refuse(c, REFUSAL_NO_PAGE, NO_TEXT, NO_TEXT);
    c->who.known = c->who.publishable = true;
    copy_text(c->who.merchant, sizeof c->who.merchant, found.merchant);
    copy_text(c->who.version, sizeof c->who.version,
              found.has & HAS_page_found_api_version ? found.api_version : NO_TEXT);
    c->merchant = text_of(c->who.merchant);
    return true;
}

/* What a restricted key lacks is told by the name that whoever made the key can look for. */
static bool
refuse_permission(struct call *c, struct permission_need need)
{
    const struct text words = arena_format(
        c->arena,
        "The provided key '%.*s' does not have the required permissions for this endpoint on "
        "account '%.*s'.",
        (int)c->key_shown.size, c->key_shown.at, (int)c->merchant.size, c->merchant.at);
    if (!need.name[0]) return refuse(c, REFUSAL_NO_PERMISSION, words, NO_TEXT);
    return refuse(c, REFUSAL_NO_PERMISSION,
                  arena_format(c->arena,
                               "%.*s Having the 'rak_%s_%s' permission would allow this request to "
                               "continue.",
                               (int)words.size, words.at, need.name, need.write ? "write" : "read"),
                  NO_TEXT);
}

/* What would be shown in full must be readable to the key too. */
static bool
check_expansions(struct call *c)
{
    struct param one;
    if (!c->who.restricted) return true;
    for (size_t at = 0; params_next_in(c->params, "expand", &at, &one);) {
        const struct permission_need need =
            permission_for_expand(text_of(c->who.permissions), one.value);
        if (need.name) return refuse_permission(c, need);
    }
    return true;
}

static bool
refuse_above(struct call *c, enum limit limit, int64_t again_ms)
{
    static const struct {
        enum refusal refusal;
        const char *about, *reason;
    } rows[LIMIT_COUNT] = {
        [LIMIT_ACCOUNT_CONCURRENCY] = {REFUSAL_TOO_MANY_AT_ONCE, "", "global-concurrency"},
        [LIMIT_ACCOUNT_RATE] = {REFUSAL_RATE_LIMITED, "account", "global-rate"},
        [LIMIT_KEY_RATE] = {REFUSAL_RATE_LIMITED, "API key", "global-rate"},
        [LIMIT_PAGE_RATE] = {REFUSAL_RATE_LIMITED, "page", "endpoint-rate"},
        [LIMIT_PAGES_RATE] = {REFUSAL_RATE_LIMITED, "kind of page", "endpoint-rate"},
    };
    const struct answer answer = {
        .status = refusal_status(rows[limit].refusal),
        .json = refusal_json(c->arena, rows[limit].refusal, text_of(rows[limit].about), NO_TEXT),
        .retry = refusal_retry(rows[limit].refusal),
        .retry_after_s = (again_ms + 999) / 1000,
        .limited = rows[limit].reason};
    say(c, &answer);
    return false;
}

/* How much one account and one key may ask of us. */
static bool
enter_limits(struct call *c, const uint8_t hash[static API_KEY_HASH_BYTES])
{
    int64_t again_ms;
    const enum limit limit = limits_enter(c->api->limits, c->merchant,
                                          (struct text){(const char *)hash, API_KEY_HASH_BYTES},
                                          c->arena, &c->inside, &again_ms);
    return limit == LIMIT_NONE || refuse_above(c, limit, again_ms);
}

/* How much a payer's page may, before anybody is asked who it is of. */
static bool
enter_page_limits(struct call *c)
{
    int64_t again_ms;
    const enum limit limit = limits_enter_page(c->api->limits, c->object, c->arena, &again_ms);
    return limit == LIMIT_NONE || refuse_above(c, limit, again_ms);
}

static bool
authenticate(struct call *c)
{
    if (c->route->access == ACCESS_CHECKOUT) return enter_page_limits(c) && find_session(c);

    char key[API_KEY_SIZE_MAX + 1], masked[64];
    uint8_t hash[API_KEY_HASH_BYTES];
    struct text authorization = c->head->headers[HTTP_AUTHORIZATION];
    if (!authorization.at) authorization = key_of_form(c);
    const enum api_key_verdict verdict = api_key_read(authorization, key);
    api_key_mask(key, masked, sizeof masked);
    crypto_generichash(hash, sizeof hash, (const uint8_t *)key, strlen(key), c->api->pepper,
                       sizeof c->api->pepper);
    sodium_memzero(key, sizeof key);
    const struct text shown = c->key_shown = arena_copy(c->arena, text_of(masked));
    switch (verdict) {
    case API_KEY_ABSENT: return refuse(c, REFUSAL_NO_KEY, NO_TEXT, NO_TEXT);
    case API_KEY_MALFORMED: return refuse(c, REFUSAL_BAD_AUTHORIZATION, NO_TEXT, NO_TEXT);
    case API_KEY_INVALID: return refuse(c, REFUSAL_BAD_KEY, shown, NO_TEXT);
    case API_KEY_OK: break;
    }
    if (!look_up_key(c, hash)) return false;
    if (!c->who.known) return refuse(c, REFUSAL_BAD_KEY, shown, NO_TEXT);
    c->merchant = text_of(c->who.merchant);
    if (c->who.publishable && c->route->access != ACCESS_PUBLISHABLE)
        return refuse(c, REFUSAL_NEEDS_SECRET_KEY, NO_TEXT, NO_TEXT);
    if (!enter_limits(c, hash)) return false;
    if (c->who.restricted) {
        const struct permission_need need =
            permission_for_route(text_of(c->who.permissions), c->route);
        if (need.name) return refuse_permission(c, need);
    }
    return true;
}

static bool
read_headers_of_the_api(struct call *c)
{
    const struct text version = c->head->headers[HTTP_STRIPE_VERSION];
    const struct text account = c->head->headers[HTTP_STRIPE_ACCOUNT];
    if (version.at && !api_version_known(version))
        return refuse(c, REFUSAL_BAD_VERSION,
                      utf8_is_clean(version) ? utf8_cut(version, 63) : NO_TEXT, NO_TEXT);
    if (account.at && !text_equal(account, c->merchant))
        return refuse(c, REFUSAL_STRANGE_ACCOUNT,
                      utf8_is_clean(account) ? utf8_cut(account, 63) : NO_TEXT, NO_TEXT);
    if (version.at)
        c->version = version;
    else if (c->who.version[0])
        c->version = text_of(c->who.version);
    return true;
}

/* --- what is asked
 * ------------------------------------------------------------------------------------ */

static bool
begins_with_word(struct text text, const char *word)
{
    const size_t size = strlen(word);
    if (text.size < size) return false;
    for (size_t i = 0; i < size; i++)
        if ((text.at[i] >= 'A' && text.at[i] <= 'Z' ? text.at[i] | 0x20 : text.at[i]) != word[i])
            return false;
    return text.size == size || strchr("; \t", text.at[size]);
}

static bool
check_content_type(struct call *c)
{
    static const char form[] = "application/x-www-form-urlencoded";
    const struct text type = c->head->headers[HTTP_CONTENT_TYPE];
    const struct text coding = c->head->headers[HTTP_CONTENT_ENCODING];
    if (coding.at && !begins_with_word(coding, "identity"))
        return refuse(c, REFUSAL_COMPRESSED, NO_TEXT, NO_TEXT);
    if (!type.size || c->head->length == 0)
        return true; /* a body without a type is tried as a form */
    if (!begins_with_word(type, form))
        return refuse(c, REFUSAL_JSON_BODY, utf8_is_clean(type) ? utf8_cut(type, 63) : TEXT("this"),
                      NO_TEXT);
    char lower[128];
    size_t size = 0;
    for (; size < type.size && size + 1 < sizeof lower; size++)
        lower[size] = type.at[size] >= 'A' && type.at[size] <= 'Z' ? (char)(type.at[size] | 0x20)
                                                                   : type.at[size];
    lower[size] = '\0';
    const char *charset = strstr(lower, "charset=");
    if (!charset) return true;
    charset += 8;
    charset += *charset == '"';
    if (strncmp(charset, "utf-8", 5) == 0 || strncmp(charset, "utf8", 4) == 0) return true;
    return refuse(c, REFUSAL_BAD_CHARSET,
                  utf8_is_clean(text_of(charset)) ? arena_copy(c->arena, text_of(charset))
                                                  : NO_TEXT,
                  NO_TEXT);
}

static enum refusal
refusal_of_form(enum form_verdict verdict)
{
    switch (verdict) {
    case FORM_BAD_ESCAPE: return REFUSAL_FORM_BAD_ESCAPE;
    case FORM_BAD_TEXT: return REFUSAL_FORM_BAD_TEXT;
    case FORM_BAD_NAME: return REFUSAL_FORM_BAD_NAME;
    case FORM_GIVEN_TWICE: return REFUSAL_FORM_GIVEN_TWICE;
    case FORM_SCALAR_AND_HASH: return REFUSAL_FORM_SCALAR_AND_HASH;
    case FORM_TOO_DEEP: return REFUSAL_FORM_TOO_DEEP;
    case FORM_TOO_MANY: return REFUSAL_FORM_TOO_MANY;
    case FORM_TOO_LONG: return REFUSAL_FORM_TOO_LONG;
    case FORM_MALFORMED:
    case FORM_OK: break;
    }
    return REFUSAL_FORM_MALFORMED;
}

/* The query and the body are one form: what is given in both is given twice. */
static bool
read_params(struct call *c)
{
    const struct text query = c->head->query;
    const size_t body = (size_t)c->head->length, size = query.size + 1 + body;
    struct text form = {c->x->body, body};
    if (query.size) {
        char *both = arena_take(c->arena, size);
        memcpy(both, query.at, query.size);
        both[query.size] = '&';
        memcpy(both + query.size + 1, c->x->body, body);
        form = (struct text){both, size};
    }
    const size_t cap = form_block_size(form.at, form.size);
    uint8_t *block = arena_take(c->arena, cap);
    char culprit[129];
    const enum form_verdict verdict =
        form_parse(form.at, form.size, block, cap, &c->params, culprit);
    if (verdict != FORM_OK) {
        const bool is_card = card_number_in(text_of(culprit)); /* is not told back */
        const struct text name = is_card ? NO_TEXT : arena_copy(c->arena, text_of(culprit));
        return refuse(c, refusal_of_form(verdict), name, name);
    }
    if (c->has_key_in_form) c->params = cards_without(c->params, "key", c->arena);
    if (c->params.size > PARAMS_BYTES_MAX)
        return refuse(c, REFUSAL_TOO_MANY_BYTES, NO_TEXT, NO_TEXT);
    return true;
}

static bool
check_params(struct call *c)
{
    struct param_error error;
    if (route_check(c->route, c->params, &error)) return true;
    const struct answer_error shown = {.status = error.status,
                                       .type = "invalid_request_error",
                                       .code = error.code,
                                       .message = text_of(error.message),
                                       .param = text_of(error.param)};
    const struct answer answer = {
        .status = error.status, .json = answer_error_json(c->arena, &shown), .retry = SAYS_NO};
    say(c, &answer);
    return false;
}

/* What stands for a key that reads like a card number, or is one: nobody behind this process sees
 * or keeps such a key itself. Not refused, because order numbers can look like cards by chance. */
static struct text
hashed_key(struct call *c, struct text key)
{
    uint8_t hash[16];
    char words[2 * sizeof hash + 1];
    crypto_generichash(hash, sizeof hash, (const uint8_t *)key.at, key.size, c->api->request_secret,
                       SECRET_BYTES);
    sodium_bin2hex(words, sizeof words, hash, sizeof hash);
    return arena_format(c->arena, "hashed:%s", words);
}

/* Only what changes something is done once under a key; on others the header means nothing. */
static bool
read_idempotency_key(struct call *c)
{
    const struct text key = c->head->headers[HTTP_IDEMPOTENCY_KEY];
    if (!key.at || c->route->method != HTTP_POST) return true;
    if (key.size == 0) return refuse(c, REFUSAL_KEY_EMPTY, NO_TEXT, NO_TEXT);
    if (!utf8_is_clean(key)) return refuse(c, REFUSAL_KEY_NOT_TEXT, NO_TEXT, NO_TEXT);
    if (key.size > KEY_SIZE_MAX) return refuse(c, REFUSAL_KEY_TOO_LONG, NO_TEXT, NO_TEXT);
    c->key_sent = key;
    c->key = card_number_in(key) ? hashed_key(c, key) : key;
    return true;
}

/* --- the card
 * ----------------------------------------------------------------------------------------- */

static bool
refuse_name(struct call *c, const struct card_wish *wish)
{
    const bool method = text_is(wish->param, "payment_method");
    return refuse(c, method ? REFUSAL_NO_PAYMENT_METHOD : REFUSAL_NO_TOKEN,
                  utf8_cut(wish->name, TEST_NAME_SIZE_MAX), wish->param);
}

static bool
refuse_card(struct call *c, const struct card_wish *wish, const struct msg_card_tokenized *no)
{
    static const struct {
        const char *code;
        enum refusal refusal;
    } codes[] = {{"incorrect_number", REFUSAL_CARD_NUMBER},
                 {"invalid_expiry_month", REFUSAL_CARD_MONTH},
                 {"invalid_expiry_year", REFUSAL_CARD_YEAR},
                 {"invalid_cvc", REFUSAL_CARD_CODE}};
    const struct text code = no->has & HAS_card_tokenized_code ? no->code : NO_TEXT;
    const struct text param = no->has & HAS_card_tokenized_param ? no->param : NO_TEXT;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (wish->need == CARD_TYPED && text_is(code, codes[i].code))
            return refuse(c, codes[i].refusal, NO_TEXT, param);
    /* The name of no test card: perhaps a token of this merchant, which a worker knows. */
    if (wish->need == CARD_NAMED && text_is(code, "resource_missing"))
        return text_starts(wish->name, "tok_") || refuse_name(c, wish);
    log_event(LOG_ERROR, "card.strange_refusal", "code=%.*s request=%s", (int)code.size,
              code.at ? code.at : "", c->request_text);
    return refuse(c, REFUSAL_BROKEN, NO_TEXT, NO_TEXT);
}

/* Asks the vault. On success c->card is the packed card, `card` what is in it; or there is none,
 * because the name may be a token's. */
static bool
tokenize(struct call *c, const struct card_wish *wish, struct msg_card *card)
{
    uint8_t sealed[CARD_SEALED_MAX];
    size_t size = 0;
    struct msg_card_tokenize message = {.has = HAS_card_tokenize_merchant, .merchant = c->merchant};
    if (wish->need == CARD_NAMED) {
        message.has |= HAS_card_tokenize_test_name;
        message.test_name = wish->name;
    } else {
        if (!cards_seal(wish, c->api->vault_key, sealed, &size))
            return refuse(c, REFUSAL_CARD_NUMBER, NO_TEXT, TEXT("number"));
        message.has |= HAS_card_tokenize_sealed;
        message.sealed = (struct text){(const char *)sealed, size};
    }
    struct mux_call ask = {.to = MUX_VAULT};
    struct msg_card_tokenized told;
    const char *culprit;
    if (!pack(c, MSG_card_tokenize, &message, &ask)) return false;
    mux_ask(c->api->mux, &ask);
    if (ask.outcome != MUX_ANSWERED) return refuse(c, REFUSAL_NO_VAULT, NO_TEXT, NO_TEXT);
    if (ask.number != MSG_card_tokenized ||
        message_decode(MSG_card_tokenized, ask.answer, ask.answer_size, &told, &culprit) !=
            MESSAGE_OK)
        return refuse(c, REFUSAL_NO_VAULT, NO_TEXT, NO_TEXT);
    if (told.has & HAS_card_tokenized_code || told.cards.count != 1)
        return refuse_card(c, wish, &told);
    enum message_verdict verdict;
    struct message_list list = told.cards;
    if (!message_next(&list, MSG_card, card, &verdict))
        return refuse(c, REFUSAL_NO_VAULT, NO_TEXT, NO_TEXT);
    c->card = (struct text){(const char *)told.cards.at, told.cards.size};
    return true;
}

static bool
resolve_card(struct call *c)
{
    const struct card_wish wish = cards_find(c->route, c->object, c->params);
    const int64_t now_ms = clock_mono_ms();
    struct msg_card card;
    switch (wish.need) {
    case CARD_NONE: return true;
    case CARD_REFUSED: return refuse(c, wish.refusal, text_of(wish.about), wish.param);
    case CARD_NAMED:
        if (wish.name.size > TEST_NAME_SIZE_MAX) return refuse_name(c, &wish);
        c->card = card_recall(c->api->cards, c->merchant, wish.name, now_ms, c->arena);
        if (c->card.at) return true;
        if (!tokenize(c, &wish, &card)) return false;
        /* a security code is good for one use, so a card that bears one is asked for each time */
        if (c->card.at && !(card.has & HAS_card_cvc))
            card_remember(c->api->cards, c->merchant, wish.name, c->card, now_ms);
        return true;
    case CARD_TYPED:
        if (!tokenize(c, &wish, &card)) return false;
        c->params = cards_redact(c->params, wish.prefix, c->arena);
        c->fingerprint = card.fingerprint;
        return true;
    }
    return false;
}

/* --- the answer
 * --------------------------------------------------------------------------------------- */

static void
hash_request(struct call *c)
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, c->api->request_secret, SECRET_BYTES, sizeof c->request_hash);
    crypto_generichash_update(&state, (const uint8_t *)c->path.at, c->path.size);
    crypto_generichash_update(&state, (const uint8_t *)"", 1);
    crypto_generichash_update(&state, c->params.at, c->params.size);
    if (c->fingerprint.at)
        crypto_generichash_update(&state, (const uint8_t *)c->fingerprint.at, c->fingerprint.size);
    crypto_generichash_final(&state, c->request_hash, sizeof c->request_hash);
}

static struct text
request_hash(const struct call *c)
{
    return (struct text){(const char *)c->request_hash, sizeof c->request_hash};
}

/* What Redis remembers. False: it is nothing to us, and a worker is to be asked. */
static bool
answer_from_memory(struct call *c, struct text bytes)
{
    struct kept kept;
    if (!kept_unpack(c->api->answer_secret, bytes, c->merchant, c->key, &kept)) return false;
    if (!text_equal(kept.request_hash, request_hash(c)) || !text_equal(kept.path, c->path)) {
        refuse(c, REFUSAL_KEY_REUSED, c->key_sent, NO_TEXT);
        return true;
    }
    const struct answer answer = {
        .status = (int)kept.status, .json = kept.body, .original_request = kept.original_request};
    say(c, &answer);
    return true;
}

static void
keep_answer(struct call *c, const char *name, const struct msg_api_answer *told)
{
    const struct kept kept = {.merchant = c->merchant,
                              .key = c->key,
                              .request_hash = request_hash(c),
                              .path = c->path,
                              .status = (int64_t)told->status,
                              .body = told->body,
                              .original_request = told->has & HAS_api_answer_original_request
                                                      ? told->original_request
                                                      : c->request};
    mux_keep(c->api->mux, name, kept_pack(c->api->answer_secret, &kept, c->arena),
             c->api->redis_answer_s);
}

static bool
pack_request(struct call *c, struct mux_call *ask)
{
    struct msg_api_request message = {
        .has = HAS_api_request_merchant | HAS_api_request_request | HAS_api_request_route |
               HAS_api_request_params | HAS_api_request_path | HAS_api_request_publishable |
               HAS_api_request_livemode |
               (c->route->method == HTTP_POST ? HAS_api_request_request_hash : 0u) |
               (c->version.at ? HAS_api_request_api_version : 0u),
        .merchant = c->merchant,
        .request = c->request,
        .route = text_of(c->route->name),
        .params = {(const char *)c->params.at, c->params.size},
        .request_hash = request_hash(c),
        .path = c->path,
        .publishable = c->who.publishable,
        .livemode = c->who.livemode,
        .api_version = c->version};
    if (c->object.at) {
        message.has |= HAS_api_request_object;
        message.object = c->object;
    }
    if (c->parent.at) {
        message.has |= HAS_api_request_parent;
        message.parent = c->parent;
    }
    if (c->key.at) {
        message.has |= HAS_api_request_key;
        message.key = c->key;
    }
    if (c->card.at) {
        message.has |= HAS_api_request_cards;
        message.cards = (struct message_list){(const uint8_t *)c->card.at, c->card.size, 1};
    }
    return pack(c, MSG_api_request, &message, ask);
}

static void
ask_worker(struct call *c)
{
    char name[KEPT_NAME_SIZE];
    struct mux_call ask = {.to = MUX_BROKER, .slot = slot_of(c->merchant)};
    struct msg_api_answer told;
    const char *culprit;
    if (c->key.at) {
        kept_name(c->api->answer_secret, c->merchant, c->key, name);
        ask.redis_key = name;
    }
    if (!pack_request(c, &ask)) return;
    mux_ask(c->api->mux, &ask);
    if (ask.outcome == MUX_REMEMBERED) {
        if (answer_from_memory(c, (struct text){(const char *)ask.answer, ask.answer_size})) return;
        ask.redis_key = NULL; /* what lay there is not ours: as if nothing had */
        mux_ask(c->api->mux, &ask);
    }
    if (ask.outcome == MUX_LATE || ask.outcome == MUX_UNROUTABLE) {
        refuse_outcome(c, &ask);
        return;
    }
    if (ask.number != MSG_api_answer || message_decode(MSG_api_answer, ask.answer, ask.answer_size,
                                                       &told, &culprit) != MESSAGE_OK) {
        refuse(c, REFUSAL_BROKEN, NO_TEXT, NO_TEXT);
        return;
    }
    if (c->key.at && told.has & HAS_api_answer_stored && told.stored) keep_answer(c, name, &told);
    const struct answer answer = {
        .status = (int)told.status,
        .json = told.body,
        .original_request =
            told.has & HAS_api_answer_original_request ? told.original_request : NO_TEXT,
        .retry = told.has & HAS_api_answer_retry ? (enum answer_retry)told.retry : SAYS_NOTHING,
        .retry_after_s = told.has & HAS_api_answer_retry_after_s ? (int64_t)told.retry_after_s
                                                                 : told.status == 503};
    say(c, &answer);
}

/* Of one partition; why not, in `reason`. */
static bool
partition_serves(struct call *c, struct mux_call ask, struct text *reason)
{
    struct msg_health_told told;
    const char *culprit;
    mux_ask(c->api->mux, &ask);
    if (ask.outcome != MUX_ANSWERED) {
        *reason = ask.outcome == MUX_LATE ? TEXT("no worker answers")
                                          : TEXT("the broker is not there, or knows no worker");
        return false;
    }
    if (ask.number != MSG_health_told ||
        message_decode(MSG_health_told, ask.answer, ask.answer_size, &told, &culprit) != MESSAGE_OK)
        return false;
    if (told.has & HAS_health_told_reason) *reason = told.reason;
    return told.serving;
}

/* Whether a payment could be made, whoever's: no key is needed to ask. */
static void
tell_health(struct call *c)
{
    const struct msg_health health = {0};
    struct mux_call ask = {.to = MUX_BROKER, .deadline_ms = clock_mono_ms() + HEALTH_MS_MAX};
    struct text reason = NO_TEXT;
    bool serving = true;
    if (!pack(c, MSG_health, &health, &ask)) return;
    for (int partition = 1; serving && partition <= c->api->partitions; partition++) {
        ask.slot = partition_slot(partition);
        serving = partition_serves(c, ask, &reason);
    }
    char *at = arena_take(c->arena, 4096);
    struct json_writer w;
    json_writer_init(&w, at, 4096);
    json_open(&w);
    if (!serving) json_text(&w, "reason", reason.at ? reason : TEXT("unknown"));
    json_string(&w, "status", serving ? "serving" : "unavailable");
    json_close(&w);
    const struct answer answer = {.status = serving ? 200 : 503, .json = json_writer_text(&w)};
    say(c, &answer);
}

/* A page in a payer's browser has no key: the secret that is among its parameters is held against
 * the challenge's by the worker. The merchant that it names is where the challenge is looked for.
 */
static void
ask_for_page(struct call *c)
{
    if (!check_content_type(c) || !read_params(c) || !check_params(c)) return;
    const struct text merchant = params_find(c->params, "merchant");
    if (!id_is(merchant, "acct_")) {
        refuse(c, REFUSAL_NO_SUCH_URL, NO_TEXT, NO_TEXT);
        return;
    }
    c->merchant = merchant;
    c->version = NO_TEXT; /* the account's own */
    if (!enter_page_limits(c)) return;
    hash_request(c);
    ask_worker(c);
}

/* --- the whole
 * ---------------------------------------------------------------------------------------- */

static struct call
call_of(struct api *api, struct http_exchange *x)
{
    struct call c = {.api = api,
                     .x = x,
                     .arena = x->arena,
                     .head = &x->head,
                     .version = TEXT(API_VERSION_NEWEST)};
    return c;
}

/* A browser asks before it sends a page's request with headers like Authorization. */
static void
answer_preflight(struct call *c)
{
    const struct text method = c->head->headers[HTTP_ACCESS_CONTROL_REQUEST_METHOD];
    struct text object;
    const struct route *route =
        method.at ? route_find(method_of(method), c->head->path, &object) : NULL;
    if (!route || route->access != ACCESS_PUBLISHABLE || !c->head->headers[HTTP_ORIGIN].at) {
        refuse(c, REFUSAL_NO_PREFLIGHT, NO_TEXT, NO_TEXT);
        return;
    }
    answer_write_bytes(c->x, 204, NULL,
                       "Access-Control-Allow-Origin: *\r\n"
                       "Access-Control-Allow-Methods: GET, POST\r\n"
                       "Access-Control-Allow-Headers: Authorization, Content-Type, "
                       "Idempotency-Key, Stripe-Account, Stripe-Version\r\n"
                       "Access-Control-Max-Age: 600\r\n",
                       NO_TEXT);
}

#define RETRY_SOON "Retry-After: 1\r\nStripe-Should-Retry: true\r\n"

/* More than can be served soon would only wait, until those who asked have gone away: then all that
 * is done is done for nobody. So they are told at once, before anything is spent on them. */
static bool
let_in(struct call *c)
{
    struct api *api = c->api;
    if (api->under_way < api->requests_max) {
        api->under_way++;
        return true;
    }
    /* A line each would be one more load; so there is one a second. */
    api->kept_out++;
    if (c->x->began_ms - api->said_ms >= 1000) {
        api->said_ms = c->x->began_ms;
        log_event(LOG_WARNING, "requests.refused",
                  "reason=overload under_way=%u refused_so_far=%llu", api->requests_max,
                  api->kept_out);
    }
    answer_write_bytes(c->x, 503, "application/json",
                       any_origin(c) ? RETRY_SOON "Access-Control-Allow-Origin: *\r\n" : RETRY_SOON,
                       api->overloaded);
    return false;
}

static struct text
method_and_path(const struct call *c)
{
    const struct text method = c->head->method, path = c->head->path;
    const size_t size = method.size + 1 + path.size;
    char *at = arena_take_unset(c->arena, size);
    memcpy(at, method.at, method.size);
    at[method.size] = ' ';
    memcpy(at + method.size + 1, path.at, path.size);
    return (struct text){at, size};
}

static void
serve(struct call *c)
{
    name_request(c);
    c->path = method_and_path(c);
    if (c->route->access == ACCESS_PAGE) {
        ask_for_page(c);
    } else if (authenticate(c) && read_headers_of_the_api(c) && check_content_type(c) &&
               read_params(c) && check_params(c) && check_expansions(c) &&
               read_idempotency_key(c) && resolve_card(c)) {
        if (c->route->method == HTTP_POST) hash_request(c); /* else it is not done under a key */
        ask_worker(c);
    }
    limits_leave(c->inside);
}

bool
api_is_full(void *state)
{
    const struct api *api = state;
    return api->under_way >= api->requests_max;
}

/* In this order: what may be said to whom, then what is wrong, then what it costs to find out. */
void
api_handle(void *state, struct http_exchange *x)
{
    struct call c = call_of(state, x);
    if (http_draining()) {
        refuse(&c, REFUSAL_DRAINING, NO_TEXT, NO_TEXT);
        return;
    }
    if (text_is(x->head.method, "GET") && text_is(x->head.path, "/health")) {
        tell_health(&c);
        return;
    }
    if (text_is(x->head.method, "OPTIONS")) {
        answer_preflight(&c);
        return;
    }
    if (text_is(x->head.method, "GET") && text_is(x->head.path, "/openapi.json")) {
        const struct answer answer = {.status = 200, .json = c.api->openapi, .laid_out = true};
        say(&c, &answer);
        return;
    }
    if (pages_serve(x)) return;
    if (!find_route(&c) || !let_in(&c)) return;
    serve(&c);
    c.api->under_way--;
    sodium_stackzero(STACK_BYTES_WIPED);
    assert(x->answer.size);
}

void
api_refuse(void *state, struct http_exchange *x, int status, const char *message)
{
    struct call c = call_of(state, x);
    const struct answer_error error = {
        .status = status, .type = "invalid_request_error", .message = text_of(message)};
    const struct answer answer = {
        .status = status, .json = answer_error_json(c.arena, &error), .retry = SAYS_NO};
    say(&c, &answer);
}

static void
read_secret(const char *home, const char *name, uint8_t out[static SECRET_BYTES])
{
    uint8_t bytes[SECRET_BYTES + 1];
    if (secret_read(home, name, bytes, sizeof bytes) != SECRET_BYTES)
        die("The secret %s/secrets/%s must hold %d bytes.", home, name, SECRET_BYTES);
    memcpy(out, bytes, SECRET_BYTES);
    sodium_memzero(bytes, sizeof bytes);
}

/* As people read it. NO_TEXT: it takes more than that. */
static struct text
lay_out(struct text json, size_t cap)
{
    char *at = malloc(cap);
    assert(at);
    const size_t size = json_pretty(json, at, cap);
    if (size <= cap) return (struct text){at, size};
    free(at);
    return NO_TEXT;
}

/* Written and laid out once: it is the same for all, and so long that others would notice. */
static struct text
make_openapi(void)
{
    for (size_t cap = (size_t)1 << 20;; cap *= 2) {
        char *at = malloc(cap);
        assert(at);
        struct json_writer w;
        json_writer_init(&w, at, cap);
        openapi_write(&w);
        const struct text whole = w.full ? NO_TEXT : lay_out(json_writer_text(&w), cap);
        free(at);
        if (whole.at) return whole;
    }
}

struct api *
api_new(struct node *node, const struct settings *settings, struct mux *mux)
{
    struct api *api = calloc(1, sizeof *api);
    assert(api);
    const char *home = node_home(node);
    api->mux = mux;
    api->redis_answer_s = settings->redis_answer_s;
    api->partitions = (int)settings->partitions;
    api->requests_max = (unsigned)settings->requests_max;
    read_secret(home, "api_pepper", api->pepper);
    read_secret(home, "request_hash", api->request_secret);
    read_secret(home, "answer_mac", api->answer_secret);
    if (!node_public_key(node, "vault-1", api->vault_key))
        die("The public key of vault-1 is missing: %s/keys/public/vault-1.pub.", home);
    api->keys = api_key_cache_new();
    api->cards = card_memory_new();
    api->limits = limits_new(settings, mux);
    api->openapi = make_openapi();
    api->words = arena_new(4096);
    api->overloaded = refusal_json(api->words, REFUSAL_OVERLOADED, NO_TEXT, NO_TEXT);
    return api;
}

void
api_destroy(struct api **api_p)
{
    struct api *api = *api_p;
    if (!api) return;
    api_key_cache_destroy(&api->keys);
    card_memory_destroy(&api->cards);
    limits_destroy(&api->limits);
    arena_destroy(&api->words);
    free((void *)(uintptr_t)api->openapi.at);
    sodium_memzero(api, sizeof *api);
    free(api);
    *api_p = NULL;
}
