/* webhook_endpoints: who hears of events. The secret that signs what they hear is shown once. */
#include "answer.h"
#include "api_version.h"
#include "event_type.h"
#include "fields.h"
#include "handlers.h"
#include "lists.h"
#include "webhook_url.h"

#define ENDPOINTS_MAX 16
#define SECRET_SIZE 32

/* True when the URL may be called; else the call has been answered. */
static bool
take_url(struct call *call, struct row_webhook_endpoint *endpoint)
{
    field_text(call, "url", &endpoint->url);
    const char *complaint = webhook_url_complaint(webhook_url_check(endpoint->url, call->livemode));
    if (!complaint) return true;
    call_refuse_400(call, "url_invalid", "url", "Invalid URL: %s.", complaint);
    return false;
}

static bool
take_types(struct call *call, struct row_webhook_endpoint *endpoint)
{
    struct param one;
    size_t count = 0;
    bool all = false;
    if (!params_have_any(call->params, "enabled_events")) return true;
    for (size_t at = 0; params_next_in(call->params, "enabled_events", &at, &one); count++) {
        if (text_is(one.value, "*")) {
            all = true;
        } else if (!event_type_known(one.value)) {
            const struct text param =
                arena_format(call->arena, "enabled_events[%zu]", count); /* ends in a NUL */
            call_refuse_400(call, NULL, param.at,
                            "Invalid %s: there are no events of the type %.*s.", param.at,
                            (int)one.value.size, one.value.at);
            return false;
        }
    }
    if (count == 0 || (all && count > 1)) {
        call_refuse_400(call, NULL, "enabled_events",
                        "Name the types of events to hear of, or * alone for all.");
        return false;
    }
    field_texts(call, "enabled_events", &endpoint->enabled_events);
    return true;
}

/* One that is deleted is not there. */
static bool
get_endpoint(struct call *call, struct row_webhook_endpoint *endpoint)
{
    if (!call_get(call, ROW_webhook_endpoint, call->object, endpoint)) return false;
    if (!endpoint->deleted) return true;
    refuse_missing(call, "webhook endpoint", call->object, NULL);
    return false;
}

static bool
one_more_fits(struct call *call)
{
    const struct store_page page = {.without = "deleted", .limit = ENDPOINTS_MAX};
    void *rows = NULL;
    size_t count = 0;
    bool more;
    if (store_list(call->store, ROW_webhook_endpoint, call->merchant, &page, call->arena, &rows,
                   &count, &more) == STORE_UNAVAILABLE) {
        refuse_unavailable(call);
        return false;
    }
    if (count < ENDPOINTS_MAX) return true;
    call_refuse_400(call, NULL, NULL,
                    "You have reached the maximum of %d webhook endpoints. Delete one first.",
                    ENDPOINTS_MAX);
    return false;
}

/* Events are written in the oldest shape that somebody hears them in: from the commit of this
 * endpoint on, in one that its version can be made from. It stays so when the endpoint goes. */
static bool
take_version(struct call *call, struct row_webhook_endpoint *endpoint)
{
    struct row_merchant *merchant = call_new_row(call, ROW_merchant);
    field_text(call, "api_version", &endpoint->api_version);
    if (!endpoint->api_version.at) return true;
    if (!api_version_known(endpoint->api_version)) {
        call_refuse_400(call, NULL, "api_version", "Invalid Stripe API version: %.*s",
                        (int)endpoint->api_version.size, endpoint->api_version.at);
        return false;
    }
    switch (store_get(call->store, ROW_merchant, call->merchant, call->merchant, call->arena,
                      merchant)) {
    case STORE_UNAVAILABLE: refuse_unavailable(call); return false;
    case STORE_MISSING: return true;
    case STORE_FOUND: break;
    }
    const struct text told = api_version_older(merchant->api_version, merchant->told_version);
    const struct text older = api_version_older(told, endpoint->api_version);
    if (text_equal(told, older)) return true;
    merchant->told_version = older;
    call_update(call, ROW_merchant, merchant);
    return true;
}

void
webhook_endpoint_create(struct call *call)
{
    struct row_webhook_endpoint *endpoint = call_new_row(call, ROW_webhook_endpoint);
    /* All of a merchant's endpoints are counted, so one is made at a time. */
    if (!call_lock(call, TEXT("webhook_endpoints"))) return;
    endpoint->id = call_new_id(call, "we_");
    endpoint->merchant = call->merchant;
    endpoint->created = call->now_s;
    endpoint->status = TEXT("enabled");
    const struct text secret = call_random_text(call, SECRET_SIZE);
    endpoint->secret = arena_format(call->arena, "whsec_%.*s", (int)secret.size, secret.at);
    if (!take_url(call, endpoint) || !take_types(call, endpoint)) return;
    field_text(call, "description", &endpoint->description);
    if (!field_metadata(call, "metadata", &endpoint->metadata)) return;
    if (!one_more_fits(call)) return;
    if (!take_version(call, endpoint)) return;
    call_insert(call, ROW_webhook_endpoint, endpoint);
    call_answer(call, 200, render_new_webhook_endpoint(call, endpoint));
}

void
webhook_endpoint_retrieve(struct call *call)
{
    struct row_webhook_endpoint *endpoint = call_new_row(call, ROW_webhook_endpoint);
    if (!get_endpoint(call, endpoint)) return;
    answer_row(call, ROW_webhook_endpoint, endpoint, NULL);
}

void
webhook_endpoint_update(struct call *call)
{
    struct row_webhook_endpoint *endpoint = call_new_row(call, ROW_webhook_endpoint);
    if (!call_lock(call, call->object)) return;
    if (!get_endpoint(call, endpoint)) return;
    if (params_have(call->params, "url") && !take_url(call, endpoint)) return;
    if (!take_types(call, endpoint)) return;
    field_text(call, "description", &endpoint->description);
    if (params_have(call->params, "disabled"))
        endpoint->status =
            params_flag(call->params, "disabled", false) ? TEXT("disabled") : TEXT("enabled");
    if (!field_metadata(call, "metadata", &endpoint->metadata)) return;
    call_update(call, ROW_webhook_endpoint, endpoint);
    answer_row(call, ROW_webhook_endpoint, endpoint, NULL);
}

void
webhook_endpoint_list(struct call *call)
{
    struct store_page page;
    if (!list_page(call, ROW_webhook_endpoint, &page)) return;
    page.without = "deleted";
    list_answer(call, ROW_webhook_endpoint, &page);
}

void
webhook_endpoint_delete(struct call *call)
{
    struct row_webhook_endpoint *endpoint = call_new_row(call, ROW_webhook_endpoint);
    if (!call_lock(call, call->object)) return;
    if (!get_endpoint(call, endpoint)) return;
    endpoint->deleted = true;
    endpoint->status = TEXT("disabled");
    call_update(call, ROW_webhook_endpoint, endpoint);
    answer_deleted(call, endpoint->id, "webhook_endpoint");
}
