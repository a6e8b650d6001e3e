/* search: what fits a query, newest first. The query is read by the core, the rows are found by the
 * store; a page's cursor is the id after which the next one goes on. */
#include "answer.h"
#include "fields.h"
#include "handlers.h"
#include "id.h"
#include "lists.h"
#include "search_query.h"

static void
refuse_query(struct call *call, const char *message)
{
    call_refuse(call,
                &(struct api_refusal){.status = 400,
                                      .param = "query",
                                      .message = arena_copy(call->arena, text_of(message))},
                false);
}

static void
search(struct call *call, enum row_table number, const char *without)
{
    const struct table *table = table_find((uint64_t)number);
    const struct text text = params_find(call->params, "query");
    const int64_t limit = params_integer(call->params, "limit", LIST_LIMIT_USUAL);
    struct search_query query;
    struct store_search asked = {.query = &query,
                                 .without = without,
                                 .after = field_given(call, "page"),
                                 .limit = limit < 1                ? 1
                                          : limit > LIST_LIMIT_MAX ? LIST_LIMIT_MAX
                                                                   : (int)limit};
    char message[SEARCH_MESSAGE_MAX];
    void *rows = NULL;
    size_t count = 0;
    struct text next = NO_TEXT, json;
    if (!search_parse(table->name, text, arena_take(call->arena, text.size + 1), &query, message)) {
        refuse_query(call, message);
        return;
    }
    if (asked.after.at && !id_is(asked.after, table->prefix)) {
        call_refuse_400(call, NULL, "page",
                        "This is not a page of this search. Use the next_page of its answer.");
        return;
    }
    if (store_search(call->store, number, call->merchant, &asked, call->arena, &rows, &count,
                     &next) == STORE_UNAVAILABLE ||
        !render_search(call, number, rows, count, next, list_url(call), call->expand, &json))
        refuse_unavailable(call);
    else
        call_answer(call, 200, json);
}

void
payment_intent_search(struct call *call)
{
    search(call, ROW_payment_intent, NULL);
}

void
customer_search(struct call *call)
{
    search(call, ROW_customer, "deleted");
}

void
charge_search(struct call *call)
{
    search(call, ROW_charge, NULL);
}
