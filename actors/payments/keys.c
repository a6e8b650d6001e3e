/* What the broker sends that is not a call of the API: whose key or page is this, a new merchant,
 * and whether a payment could be made. */
#include "worker.h"

#include "api_version.h"
#include "log.h"

/* --- key_find -------------------------------------------------------------------------------- */

void
key_asked(struct worker *worker, struct link *from, const struct packet *packet)
{
    struct msg_key_find find;
    struct row_api_key key;
    struct row_merchant merchant;
    struct arena *const arena = worker->scratch;
    const struct envelope envelope = {.slot = packet->slot, .correlation = packet->correlation};
    if (!packet_decode(from, packet, MSG_key_find, &find)) return;

    struct msg_key_found found = {.has = HAS_key_found_known};
    enum store_verdict verdict = store_key(worker->store, find.hash, arena, &key);
    /* The merchant's row may be another worker's to write: then it is read, and not remembered.
     * Only its pinned version is used. */
    if (verdict == STORE_FOUND)
        verdict = (slot_is_held(worker, slot_of(key.merchant)) ? store_get : store_get_unkept)(
            worker->store, ROW_merchant, key.merchant, key.merchant, arena, &merchant);
    if (verdict == STORE_UNAVAILABLE) {
        const struct msg_refused refused = {
            .has = HAS_refused_code | HAS_refused_reason,
            .code = TEXT("busy"),
            .reason = TEXT("the database does not answer"),
        };
        (void)link_send(worker->broker, envelope, MSG_refused, &refused);
        return;
    }
    if (verdict == STORE_FOUND) {
        found = (struct msg_key_found){
            .has = HAS_key_found_known | HAS_key_found_merchant | HAS_key_found_publishable |
                   HAS_key_found_livemode,
            .known = 1,
            .merchant = key.merchant,
            .publishable = key.publishable,
            .livemode = key.livemode,
            .api_version = merchant.api_version,
        };
        if (merchant.api_version.size) found.has |= HAS_key_found_api_version;
        /* What no permission is named for is closed: a restricted key always names one. */
        if (key.permissions.at) {
            found.permissions = key.permissions.size ? key.permissions : TEXT("none");
            found.has |= HAS_key_found_permissions;
        }
    }
    (void)link_send(worker->broker, envelope, MSG_key_found, &found);
}

/* --- page_find ------------------------------------------------------------------------------- */

/* A payer's browser knows a session's id and no key: whose it is tells which worker to ask. */
void
page_asked(struct worker *worker, struct link *from, const struct packet *packet)
{
    struct msg_page_find find;
    struct row_merchant merchant;
    struct text id;
    struct arena *const arena = worker->scratch;
    const struct envelope envelope = {.slot = packet->slot, .correlation = packet->correlation};
    if (!packet_decode(from, packet, MSG_page_find, &find)) return;

    struct msg_page_found found = {.has = HAS_page_found_known};
    enum store_verdict verdict =
        store_merchant_of(worker->store, ROW_checkout_session, find.session, arena, &id);
    if (verdict == STORE_FOUND)
        verdict = store_get_unkept(worker->store, ROW_merchant, id, id, arena, &merchant);
    if (verdict == STORE_UNAVAILABLE) {
        packet_refuse(worker, packet, "busy", "the database does not answer");
        return;
    }
    if (verdict == STORE_FOUND) {
        found.has |= HAS_page_found_merchant;
        found.known = 1;
        found.merchant = id;
        found.api_version = merchant.api_version;
        if (merchant.api_version.size) found.has |= HAS_page_found_api_version;
    }
    (void)link_send(worker->broker, envelope, MSG_page_found, &found);
}

/* --- merchant_create ------------------------------------------------------------------------- */

static struct text
merchant_json(struct call *call, const struct row_merchant *merchant)
{
    struct json_writer writer = call_writer(call, 1024 + merchant->name.size * 6), *const w =
                                                                                       &writer;
    json_open(w);
    json_text(w, "id", merchant->id);
    json_string(w, "object", "account");
    json_text(w, "country", merchant->country);
    json_integer(w, "created", merchant->created);
    json_text(w, "default_currency", merchant->currency);
    json_text(w, "name", merchant->name);
    json_close(w);
    return json_writer_text(w);
}

static void
stage_key(struct call *call, struct text hash, struct text last4, bool publishable)
{
    struct row_api_key *const key = call_new_row(call, ROW_api_key);
    key->id = call_new_id(call, "key_");
    key->merchant = call->merchant;
    key->created = call->now_s;
    key->hash = hash;
    key->publishable = publishable;
    key->last4 = last4;
    call_insert(call, ROW_api_key, key);
}

/* Asked again with the same key, the same answer; with another, the account is taken. */
static void
merchant_is_there(struct call *call, const struct row_merchant *merchant, struct text hash)
{
    struct row_api_key key;
    switch (store_key(call->store, hash, call->arena, &key)) {
    case STORE_UNAVAILABLE: call_refuse(call, &refusal_unavailable, false); return;
    case STORE_FOUND:
        if (text_equal(key.merchant, call->merchant)) {
            call_answer(call, 200, merchant_json(call, merchant));
            return;
        }
        break;
    case STORE_MISSING: break;
    }
    call_refuse_400(call, "resource_already_exists", "merchant", "Account already exists.");
}

static void
merchant_create(struct call *call)
{
    const struct msg_merchant_create *const create = ((struct job *)call)->merchant_create;
    struct row_merchant *const merchant = call_new_row(call, ROW_merchant);
    if (!call_lock(call, call->merchant)) return;
    switch (store_get(call->store, ROW_merchant, call->merchant, call->merchant, call->arena,
                      merchant)) {
    case STORE_UNAVAILABLE: call_refuse(call, &refusal_unavailable, false); return;
    case STORE_FOUND: merchant_is_there(call, merchant, create->secret_hash); return;
    case STORE_MISSING: break;
    }
    row_clear(ROW_merchant, merchant);
    merchant->id = merchant->merchant = call->merchant;
    merchant->created = call->now_s;
    merchant->name = create->name;
    merchant->country = create->country;
    merchant->currency = create->currency;
    merchant->api_version = create->api_version.at ? create->api_version : TEXT(API_VERSION_NEWEST);
    call_insert(call, ROW_merchant, merchant);
    stage_key(call, create->secret_hash, create->secret_last4, false);
    stage_key(call, create->publishable_hash, create->publishable_last4, true);
    call_answer(call, 200, merchant_json(call, merchant));
}

void
merchant_asked(struct worker *worker, struct link *from, const struct packet *packet)
{
    struct msg_merchant_create create;
    if (!packet_decode(from, packet, MSG_merchant_create, &create)) return;
    struct job *const job = job_for_client(worker, packet, slot_of(create.merchant));
    if (!job) return;
    struct msg_merchant_create *const own = arena_take(job->call.arena, sizeof *own);
    if (!job_own_packet(job, from, packet, MSG_merchant_create, own)) return;
    job->merchant_create = own;
    job->handler = merchant_create;
    job->call.merchant = own->merchant;
    job->call.api_version = TEXT(API_VERSION_NEWEST);
    if (own->api_version.at && !api_version_known(own->api_version)) {
        const struct api_refusal refusal = {
            .status = 400,
            .param = "api_version",
            .message = arena_format(job->call.arena, "Invalid Stripe API version: %.*s",
                                    (int)own->api_version.size, own->api_version.at),
        };
        job_tell_refusal(job, &refusal);
        job_end(job);
        return;
    }
    if (!id_is(own->merchant, table_find(ROW_merchant)->prefix)) {
        const struct api_refusal refusal = {
            .status = 400,
            .param = "merchant",
            .message = TEXT("Invalid account: it begins with acct_, then letters and digits."),
        };
        job_tell_refusal(job, &refusal);
        job_end(job);
        return;
    }
    job_run(job);
}

/* --- health
 * -----------------------------------------------------------------------------------------------
 */

void
health_asked(struct worker *worker, struct link *from, const struct packet *packet)
{
    (void)from;
    const char *missing = NULL;
    if (worker->leaving)
        missing = "this worker is about to end";
    else if (!ledger_leading(worker))
        missing = "no ledger leads";
    else if (!slots_held_count(worker))
        missing = "this worker holds no slots yet";
    else if (!network_is_there(worker))
        missing = "the card network does not answer";
    else if (!store_reads(worker->store))
        missing = "Postgres does not answer";
    const struct msg_health_told told = {
        .has = HAS_health_told_serving | (missing ? HAS_health_told_reason : 0u),
        .serving = missing == NULL,
        .reason = text_of(missing),
    };
    const struct envelope envelope = {.slot = packet->slot, .correlation = packet->correlation};
    (void)link_send(worker->broker, envelope, MSG_health_told, &told);
}
