/* events: what has happened, as it was told at that moment. They are the ledger's; nothing here
 * changes them. */
#include "answer.h"
#include "event_json.h"
#include "fields.h"
#include "handlers.h"
#include "id.h"
#include "lists.h"

#define TYPES_MAX 20
/* Older events are kept for the books, and not shown any more. */
#define SHOWN_S (INT64_C(30) * 86400)

static struct event
event_of(const struct store_event *stored)
{
    return (struct event){.id = stored->id,
                          .type = stored->type,
                          .data = stored->data,
                          .previous = stored->previous,
                          .api_version = stored->api_version,
                          .request = stored->request,
                          .key = stored->key,
                          .created = stored->created,
                          .pending_webhooks = stored->pending_webhooks};
}

/* The event with that id. False: the call has been answered. */
static bool
get_event(struct call *call, struct text id, const char *param, struct store_event *event)
{
    switch (store_event(call->store, call->merchant, id, call->arena, event)) {
    case STORE_FOUND:
        if (event->created >= call->now_s - SHOWN_S) return true;
        refuse_missing(call, "event", id, param);
        return false;
    case STORE_MISSING: refuse_missing(call, "event", id, param); return false;
    case STORE_UNAVAILABLE: break;
    }
    refuse_unavailable(call);
    return false;
}

void
event_retrieve(struct call *call)
{
    struct store_event event;
    if (!get_event(call, call->object, NULL, &event)) return;
    const struct event shown = event_of(&event);
    struct json_writer w = call_writer(call, event_json_bound(&shown));
    event_write(&w, &shown);
    call_answer(call, 200, json_writer_text(&w));
}

/* `type` or `types`, not both. */
static bool
types_asked(struct call *call, struct store_event_page *page)
{
    const struct text type = field_given(call, "type");
    struct param one;
    if (type.at && params_have_any(call->params, "types")) {
        call_refuse_400(call, "parameters_exclusive", "types",
                        "You may only specify one of these parameters: type, types.");
        return false;
    }
    if (type.at) page->types[page->type_count++] = type;
    for (size_t at = 0; params_next_in(call->params, "types", &at, &one);) {
        if (page->type_count == TYPES_MAX) {
            call_refuse_400(call, NULL, "types", "You can name up to %d types.", TYPES_MAX);
            return false;
        }
        page->types[page->type_count++] = one.value;
    }
    return true;
}

void
event_list(struct call *call)
{
    struct list_asked asked;
    struct store_event cursor, *events = NULL;
    size_t count = 0, room = 1024;
    bool more = false;
    if (!list_asked(call, "evt_", &asked)) return;
    struct store_event_page page = {.after = asked.after,
                                    .before = asked.before,
                                    .id_least = asked.id_least,
                                    .id_below = asked.id_below,
                                    .delivery_success = -1,
                                    .limit = asked.limit};
    if (params_have(call->params, "delivery_success"))
        page.delivery_success = params_flag(call->params, "delivery_success", false);
    const struct text oldest =
        id_floor(arena_take(call->arena, ID_SIZE_MAX + 1), "evt_", (call->now_s - SHOWN_S) * 1000);
    if (!page.id_least.at || text_compare(page.id_least, oldest) < 0) page.id_least = oldest;
    if (!types_asked(call, &page)) return;
    if (page.after.at && !get_event(call, page.after, "starting_after", &cursor)) return;
    if (page.before.at && !get_event(call, page.before, "ending_before", &cursor)) return;
    if (store_events(call->store, call->merchant, &page, call->arena, &events, &count, &more) ==
        STORE_UNAVAILABLE) {
        refuse_unavailable(call);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct event shown = event_of(&events[i]);
        room += event_json_bound(&shown);
    }
    if (room > (size_t)8 << 20) {
        call_refuse_400(call, NULL, "limit",
                        "These events are too large for one answer. Ask for fewer at a time.");
        return;
    }
    struct json_writer w = call_writer(call, room);
    json_open(&w);
    json_string(&w, "object", "list");
    json_key(&w, "data");
    json_array(&w);
    for (size_t i = 0; i < count; i++) {
        const struct event shown = event_of(&events[i]);
        event_write(&w, &shown);
    }
    json_array_end(&w);
    json_flag(&w, "has_more", more);
    json_text(&w, "url", list_url(call));
    json_close(&w);
    call_answer(call, 200, json_writer_text(&w));
}

/* Deliveries belong to the webhooks: here only the wish is written, and they grant it. */
void
event_retry(struct call *call)
{
    struct row_webhook_endpoint *endpoint = call_new_row(call, ROW_webhook_endpoint);
    struct row_resend *resend = call_new_row(call, ROW_resend);
    const struct text id = field_given(call, "webhook_endpoint");
    struct store_event event;
    if (!get_event(call, call->object, NULL, &event)) return;
    if (!call_get_param(call, ROW_webhook_endpoint, id, "webhook_endpoint", endpoint)) return;
    if (endpoint->deleted) {
        refuse_missing(call, "webhook_endpoint", id, "webhook_endpoint");
        return;
    }
    if (!text_is(endpoint->status, "enabled")) {
        call_refuse_400(call, NULL, "webhook_endpoint",
                        "The webhook endpoint %.*s is disabled: it does not hear of anything.",
                        (int)id.size, id.at);
        return;
    }
    resend->id = call_new_id(call, "rsd_");
    resend->merchant = call->merchant;
    resend->created = call->now_s;
    resend->event = event.id;
    resend->endpoint = endpoint->id;
    call_insert(call, ROW_resend, resend);
    const struct event shown = event_of(&event);
    struct json_writer w = call_writer(call, event_json_bound(&shown));
    event_write(&w, &shown);
    call_answer(call, 200, json_writer_text(&w));
}
