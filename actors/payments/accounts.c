/* What an operator changes of an account by hand: further keys, restricted ones among them, keys
 * that are to open nothing any more, and the version that the account is pinned to. The first two
 * keys come with the merchant (keys.c). */
#include "worker.h"

#include "api_version.h"
#include "permission.h"
#include <assert.h>

#define KEYS_SHOWN_MAX 100

/* --- as operators see them ------------------------------------------------------------------- */

static void
write_key(struct json_writer *w, const struct row_api_key *key)
{
    json_open(w);
    json_text(w, "id", key->id);
    json_string(w, "object", "api_key");
    json_integer(w, "created", key->created);
    json_string(w, "kind",
                key->publishable      ? "publishable"
                : key->permissions.at ? "restricted"
                                      : "secret");
    json_text(w, "last4", key->last4);
    json_flag(w, "livemode", key->livemode);
    json_text(w, "permissions", key->permissions);
    json_number_or_null(w, "revoked_at", key->revoked_at);
    json_close(w);
}

static struct text
key_json(struct call *call, const struct row_api_key *key)
{
    struct json_writer w = call_writer(call, 1024 + key->permissions.size * 2);
    write_key(&w, key);
    return json_writer_text(&w);
}

static struct text
merchant_json(struct call *call, const struct row_merchant *merchant)
{
    struct json_writer w = call_writer(call, 1024 + merchant->name.size * 6);
    json_open(&w);
    json_text(&w, "id", merchant->id);
    json_string(&w, "object", "account");
    json_text(&w, "api_version", merchant->api_version);
    json_text(&w, "country", merchant->country);
    json_integer(&w, "created", merchant->created);
    json_text(&w, "default_currency", merchant->currency);
    json_text(&w, "name", merchant->name);
    json_close(&w);
    return json_writer_text(&w);
}

/* False: there is no such account, and the call has been answered. */
static bool
get_account(struct call *call, struct row_merchant *merchant)
{
    switch (store_get(call->store, ROW_merchant, call->merchant, call->merchant, call->arena,
                      merchant)) {
    case STORE_FOUND: return true;
    case STORE_UNAVAILABLE: call_refuse(call, &refusal_unavailable, false); return false;
    case STORE_MISSING:
        call_refuse_400(call, "resource_missing", "merchant", "No such account: '%.*s'",
                        (int)call->merchant.size, call->merchant.at);
        return false;
    }
    return false;
}

/* --- the commands ---------------------------------------------------------------------------- */

static void
create_key(struct call *call)
{
    const struct msg_key_create *const create = ((struct job *)call)->by_hand;
    struct row_merchant *const merchant = call_new_row(call, ROW_merchant);
    struct row_api_key *const key = call_new_row(call, ROW_api_key);
    char permissions[PERMISSIONS_SIZE_MAX + 1];
    struct text culprit;
    if (!get_account(call, merchant)) return;
    if (create->permissions.at && !permissions_read(create->permissions, permissions, &culprit)) {
        call_refuse_400(call, NULL, "permissions", "There is no permission \"%.*s\".",
                        (int)culprit.size, culprit.at ? culprit.at : "");
        return;
    }
    /* Asked again because the first answer was lost: it is the same key. */
    switch (store_key(call->store, create->hash, call->arena, key)) {
    case STORE_UNAVAILABLE: call_refuse(call, &refusal_unavailable, false); return;
    case STORE_FOUND:
        if (!text_equal(key->merchant, call->merchant))
            call_refuse_400(call, "resource_already_exists", "hash", "Such a key already exists.");
        else
            call_answer(call, 200, key_json(call, key));
        return;
    case STORE_MISSING: break;
    }
    row_clear(ROW_api_key, key);
    key->id = call_new_id(call, "key_");
    key->merchant = call->merchant;
    key->created = call->now_s;
    key->hash = create->hash;
    key->publishable = create->publishable == 1;
    key->last4 = create->last4;
    if (create->permissions.at) key->permissions = arena_copy(call->arena, text_of(permissions));
    call_insert(call, ROW_api_key, key);
    call_answer(call, 200, key_json(call, key));
}

static void
list_keys(struct call *call)
{
    const struct store_page page = {.limit = KEYS_SHOWN_MAX};
    struct row_merchant *const merchant = call_new_row(call, ROW_merchant);
    void *rows = NULL;
    size_t count = 0, room = 256;
    bool more = false;
    if (!get_account(call, merchant)) return;
    if (store_list(call->store, ROW_api_key, call->merchant, &page, call->arena, &rows, &count,
                   &more) == STORE_UNAVAILABLE) {
        call_refuse(call, &refusal_unavailable, false);
        return;
    }
    const struct row_api_key *const keys = rows;
    for (size_t i = 0; i < count; i++)
        room += 1024 + keys[i].permissions.size * 2;
    struct json_writer w = call_writer(call, room);
    json_open(&w);
    json_string(&w, "object", "list");
    json_key(&w, "data");
    json_array(&w);
    for (size_t i = 0; i < count; i++)
        write_key(&w, &keys[i]);
    json_array_end(&w);
    json_flag(&w, "has_more", more);
    json_close(&w);
    call_answer(call, 200, json_writer_text(&w));
}

static void
revoke_key(struct call *call)
{
    const struct msg_key_revoke *const revoke = ((struct job *)call)->by_hand;
    struct row_api_key *const key = call_new_row(call, ROW_api_key);
    if (!call_lock(call, revoke->key)) return;
    switch (store_get(call->store, ROW_api_key, call->merchant, revoke->key, call->arena, key)) {
    case STORE_UNAVAILABLE: call_refuse(call, &refusal_unavailable, false); return;
    case STORE_MISSING:
        call_refuse_400(call, "resource_missing", "key", "No such key: '%.*s'",
                        (int)revoke->key.size, revoke->key.at);
        return;
    case STORE_FOUND: break;
    }
    if (key->revoked_at == NO_NUMBER) {
        key->revoked_at = call->now_s;
        call_update(call, ROW_api_key, key);
    }
    call_answer(call, 200, key_json(call, key));
}

static void
update_merchant(struct call *call)
{
    const struct msg_merchant_update *const update = ((struct job *)call)->by_hand;
    struct row_merchant *const merchant = call_new_row(call, ROW_merchant);
    if (!call_lock(call, call->merchant)) return;
    if (!get_account(call, merchant)) return;
    if (update->api_version.at && !api_version_known(update->api_version)) {
        call_refuse_400(call, NULL, "api_version", "Invalid Stripe API version: %.*s",
                        (int)update->api_version.size, update->api_version.at);
        return;
    }
    if (update->api_version.at) merchant->api_version = update->api_version;
    if (update->name.at) merchant->name = update->name;
    call_update(call, ROW_merchant, merchant);
    call_answer(call, 200, merchant_json(call, merchant));
}

/* --- from the broker ------------------------------------------------------------------------- */

/* Every one of these messages begins with the account that it is about. */
static struct text
merchant_of(enum message_number number, const void *body)
{
    switch (number) {
    case MSG_key_create: return ((const struct msg_key_create *)body)->merchant;
    case MSG_key_list: return ((const struct msg_key_list *)body)->merchant;
    case MSG_key_revoke: return ((const struct msg_key_revoke *)body)->merchant;
    default: return ((const struct msg_merchant_update *)body)->merchant;
    }
}

void
account_asked(struct worker *worker, struct link *from, const struct packet *packet)
{
    static const struct {
        enum message_number number;
        handler_fn *handler;
    } handlers[] = {{MSG_key_create, create_key},
                    {MSG_key_list, list_keys},
                    {MSG_key_revoke, revoke_key},
                    {MSG_merchant_update, update_merchant}};
    union {
        struct msg_key_create create;
        struct msg_key_list list;
        struct msg_key_revoke revoke;
        struct msg_merchant_update update;
    } body, *own;
    const enum message_number number = (enum message_number)packet->number;
    handler_fn *handler = NULL;
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
        if (handlers[i].number == number) handler = handlers[i].handler;
    assert(handler);
    if (!packet_decode(from, packet, number, &body)) return;
    struct job *const job = job_for_client(worker, packet, slot_of(merchant_of(number, &body)));
    if (!job) return;
    own = arena_take(job->call.arena, sizeof *own);
    if (!job_own_packet(job, from, packet, number, own)) return;
    job->by_hand = own;
    job->handler = handler;
    job->call.merchant = merchant_of(number, own);
    job->call.api_version = TEXT(API_VERSION_NEWEST);
    job_run(job);
}
