#include "florin_client.h"

#include "clock.h"
#include "form.h"
#include "id.h"
#include "log.h"
#include "loop.h"
#include "partition.h"
#include "random.h"
#include "route.h"
#include "settings.h"
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINKS_MAX 16
#define PARAMS_BYTES_MAX (1 << 20)
#define TRY_MS 10 /* how often it is looked whether somebody is there to be asked */

struct florin_client {
    struct node *node;
    struct loop *loop;
    int partitions;
    struct link *links[LINKS_MAX];
    size_t link_count;
    bool listening;

    uint64_t correlation; /* of the question that waits; 0: none does */
    bool answered;
    char from[NODE_NAME_MAX + 1];
    uint16_t number;
    uint8_t *body;
    size_t size, cap;
    uint8_t *params; /* of the call that is being made */

    florin_event_fn *on_event;
    void *event_state;
};

static const struct {
    const char *binder, *may_connect;
    bool asks; /* questions and answers, not a tap */
} rows[LINK_COUNT] = {
#define ROUTER true
#define XPUB false
#define LINK(name, bound_by, bound_as, connected_as, may, doc) \
    [LINK_##name] = {#bound_by, may, bound_as},
#include "links.def"
#undef LINK
#undef ROUTER
#undef XPUB
};

struct florin_client *
florin_client_open(const char *home, const char *name)
{
    struct florin_client *client = calloc(1, sizeof *client);
    if (!client) die("There is no memory.");
    struct settings settings;
    settings_load(home, &settings);
    client->partitions = (int)settings.partitions;
    client->node = node_start(home, name);
    client->loop = loop_new(client->node);
    return client;
}

void
florin_client_close(struct florin_client **client_p)
{
    struct florin_client *client = *client_p;
    if (!client) return;
    loop_destroy(&client->loop);
    node_stop(&client->node);
    free(client->body);
    free(client->params);
    free(client);
    *client_p = NULL;
}

/* --- asking ------------------------------------------------------------------------------------
 */

static void
on_answer(void *state, struct link *from, const struct packet *packet)
{
    struct florin_client *client = state;
    (void)from;
    if (client->answered || packet->correlation == 0) return;
    if (packet->correlation != client->correlation) return; /* to a question given up long ago */
    if (packet->size > client->cap) {
        uint8_t *body = realloc(client->body, packet->size);
        if (!body) die("There is no memory.");
        client->body = body;
        client->cap = packet->size;
    }
    if (packet->size) memcpy(client->body, packet->body, packet->size);
    client->size = packet->size;
    client->number = packet->number;
    snprintf(client->from, sizeof client->from, "%s", packet->sender);
    client->answered = true;
}

static struct link *
link_to(struct florin_client *client, enum link_number number, int instance)
{
    for (size_t i = 0; i < client->link_count; i++)
        if (link_of(client->links[i]) == number && link_instance(client->links[i]) == instance)
            return client->links[i];
    assert(client->link_count < LINKS_MAX);
    return client->links[client->link_count++] =
               loop_connect(client->loop, number, instance, on_answer, client);
}

bool
florin_client_route(const struct florin_client *client, uint16_t number,
                    struct florin_target *target)
{
    const struct message *m = message_find(number);
    const char *role = node_role(client->node);
    if (!m || !roles_include(m->from, role)) return false;
    for (int link = 0; link < LINK_COUNT; link++) {
        if (!rows[link].asks || !roles_include(rows[link].may_connect, role)) continue;
        if (!roles_include(m->to, rows[link].binder)) continue;
        const bool ledger = strcmp(rows[link].binder, "ledger") == 0;
        *target = (struct florin_target){(enum link_number)link, ledger ? 0 : 1};
        return true;
    }
    return false;
}

/* False when nobody is there to take it (yet). */
static bool
send_now(struct link *link, struct envelope envelope, uint16_t number, const void *body)
{
    const uint64_t dropped = link_dropped(link);
    if (!link_send(link, envelope, (enum message_number)number, body)) return false;
    link_flush(link); /* not at the end of the turn: it is about to be waited for */
    return link_dropped(link) == dropped;
}

enum florin_result
florin_client_ask(struct florin_client *client, uint16_t number, const void *body,
                  struct text merchant, const struct florin_target *target, int64_t timeout_ms,
                  struct florin_answer *answer)
{
    struct florin_target usual;
    const int64_t until_ms = clock_mono_ms() + timeout_ms;
    if (!target && !florin_client_route(client, number, &usual)) return FLORIN_ABSENT;
    if (!target) target = &usual;
    const uint16_t slot = merchant.at ? slot_of(merchant) : 0;
    const int partition = partition_of_slot(slot, client->partitions);
    const int first = target->instance ? target->instance : partition_ledger(partition, 0);
    const int count = target->instance ? 1 : LEDGERS_PER_PARTITION;
    const struct envelope envelope = {
        .slot = slot,
        .correlation = link_next_correlation(),
        .deadline_ms = clock_wall_ms() + timeout_ms,
    };
    bool sent[LEDGERS_PER_PARTITION] = {false};
    client->correlation = envelope.correlation;
    client->answered = false;

    for (int64_t now_ms; !client->answered && (now_ms = clock_mono_ms()) < until_ms;) {
        bool all_sent = true;
        for (int i = 0; i < count; i++) {
            struct link *link = link_to(client, target->link, first + i);
            if (!sent[i]) sent[i] = send_now(link, envelope, number, body);
            all_sent = all_sent && sent[i];
        }
        const int64_t wait_ms = until_ms - now_ms;
        loop_once(client->loop, all_sent || wait_ms < TRY_MS ? wait_ms : TRY_MS);
    }
    client->correlation = 0;
    if (!client->answered) return sent[0] || sent[1] ? FLORIN_SILENT : FLORIN_ABSENT;
    *answer = (struct florin_answer){client->from, client->number, client->body, client->size};
    return client->number == MSG_refused ? FLORIN_REFUSED : FLORIN_ANSWERED;
}

bool
florin_answer_read(const struct florin_answer *answer, uint16_t number, void *body)
{
    const char *culprit;
    return answer->number == number && message_decode((enum message_number)number, answer->body,
                                                      answer->size, body, &culprit) == MESSAGE_OK;
}

/* --- calls of the public API --------------------------------------------------------------------
 */

static enum florin_result
refuse(struct msg_refused *refused, const char *code, const char *reason)
{
    *refused = (struct msg_refused){.has = HAS_refused_code | HAS_refused_reason,
                                    .code = text_of(code),
                                    .reason = text_of(reason)};
    return FLORIN_REFUSED;
}

bool
florin_request_path(struct text name, struct text object, char *path, size_t cap)
{
    static const char *const methods[] = {
        [HTTP_GET] = "GET", [HTTP_POST] = "POST", [HTTP_DELETE] = "DELETE"};
    const struct route *route = route_named(name);
    if (!route) return false;
    const char *open = strchr(route->path, '{');
    const char *close = open ? strchr(open, '}') : NULL;
    if (!close) return snprintf(path, cap, "%s %s", methods[route->method], route->path) < (int)cap;
    return snprintf(path, cap, "%s %.*s%.*s%s", methods[route->method], (int)(open - route->path),
                    route->path, (int)object.size, object.at ? object.at : "",
                    close + 1) < (int)cap;
}

void
florin_request_hash(const struct florin_client *client, const char *path, struct text params,
                    uint8_t hash[static 32])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, node_secret_key(client->node), 32, 32);
    crypto_generichash_update(&state, (const uint8_t *)path, strlen(path) + 1);
    crypto_generichash_update(&state, (const uint8_t *)params.at, params.size);
    crypto_generichash_final(&state, hash, 32);
}

enum florin_result
florin_client_call(struct florin_client *client, const struct florin_call *call, int64_t timeout_ms,
                   struct msg_api_answer *api, struct msg_refused *refused)
{
    static char reason[1200];
    char request[ID_SIZE_MAX + 1], path[512], culprit[129];
    uint8_t hash[32];
    struct params params = {0};
    struct param_error error = {0};
    const char *form = call->form ? call->form : "";
    const struct route *route = route_named(text_of(call->route));
    if (!route ||
        !florin_request_path(text_of(call->route), text_of(call->object), path, sizeof path))
        return refuse(refused, "malformed", "there is no such route");
    if (!client->params) client->params = malloc(PARAMS_BYTES_MAX);
    if (!client->params) die("There is no memory.");
    if (form_parse(form, strlen(form), client->params, PARAMS_BYTES_MAX, &params, culprit) !=
        FORM_OK) {
        snprintf(reason, sizeof reason, "the form is malformed at %s", culprit);
        return refuse(refused, "malformed", reason);
    }
    if (!route_check(route, params, &error)) {
        snprintf(reason, sizeof reason, "%s", error.message);
        return refuse(refused, "malformed", reason);
    }

    struct msg_api_request body = {
        .has = HAS_api_request_merchant | HAS_api_request_request | HAS_api_request_route |
               HAS_api_request_path | HAS_api_request_publishable | HAS_api_request_livemode,
        .merchant = text_of(call->merchant),
        .request = id_new(request, "req_"),
        .route = text_of(call->route),
        .object = text_of(call->object),
        .params = {(const char *)params.at, params.size},
        .path = text_of(path),
    };
    if (call->object) body.has |= HAS_api_request_object;
    if (params.size) body.has |= HAS_api_request_params;
    if (call->key) {
        florin_request_hash(client, path, body.params, hash);
        body.key = text_of(call->key);
        body.request_hash = (struct text){(const char *)hash, sizeof hash};
        body.has |= HAS_api_request_key | HAS_api_request_request_hash;
    }
    struct florin_answer answer;
    const enum florin_result result =
        florin_client_ask(client, MSG_api_request, &body, body.merchant, NULL, timeout_ms, &answer);
    if (result == FLORIN_ANSWERED && florin_answer_read(&answer, MSG_api_answer, api))
        return FLORIN_ANSWERED;
    if (result == FLORIN_REFUSED && florin_answer_read(&answer, MSG_refused, refused))
        return FLORIN_REFUSED;
    return result == FLORIN_ABSENT ? FLORIN_ABSENT : FLORIN_SILENT;
}

/* --- listening ----------------------------------------------------------------------------------
 */

static void
on_tap(void *state, struct link *from, const struct packet *packet)
{
    struct florin_client *client = state;
    struct msg_event_published event;
    if (packet->number != MSG_event_published) return;
    if (!packet_decode(from, packet, MSG_event_published, &event)) return;
    client->on_event(client->event_state,
                     partition_of_slot(slot_of(event.merchant), client->partitions), &event);
}

void
florin_client_listen(struct florin_client *client, florin_event_fn *on_event, void *state,
                     int64_t wait_ms)
{
    client->on_event = on_event;
    client->event_state = state;
    const int last = partition_ledger(client->partitions, LEDGERS_PER_PARTITION - 1);
    for (int i = 1; !client->listening && i <= last; i++)
        (void)loop_connect(client->loop, LINK_ledger_tap, i, on_tap, client);
    client->listening = true;
    loop_once(client->loop, wait_ms);
}
