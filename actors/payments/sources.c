/* sources: the older way in which a customer has cards, /v1/customers/{customer}/sources. Each is a
 * payment method whose id begins with card_, so that whatever takes the one takes the other; only
 * how it is shown differs (ROW_legacy_card of render.h), and that a customer has one of them that
 * is charged when a charge names none. */
#include "answer.h"
#include "fields.h"
#include "handlers.h"
#include "lists.h"
#include "payment.h"

bool
method_is_legacy(const struct row_payment_method *method)
{
    return text_starts(method->id, LEGACY_CARD_PREFIX);
}

/* Payment methods with the older name alone: their ids, and what follows the last of them. */
static void
only_legacy(struct store_page *page)
{
    page->id_least = TEXT("card_");
    page->id_below = TEXT("card`");
}

bool
source_of_request(struct call *call, struct method_use *use)
{
    const struct text source = field_given(call, "source");
    *use = (struct method_use){.row = NULL};
    if (!text_starts(source, "tok_")) return true;
    if (!call->card) return token_take(call, source, "source", use);
    use->row = method_of_card(call, LEGACY_CARD_PREFIX);
    use->fresh = true;
    field_billing(call, "billing_details", &use->row->billing_details); /* there: all unknown */
    return true;
}

void
source_told(struct call *call, const struct row_payment_method *card)
{
    tell(call, "customer.source.created", ROW_legacy_card, card, NULL);
    tell(call, "payment_method.attached", ROW_payment_method, card, NULL);
}

/* The customer's newest source but one; NO_TEXT when there is none. False: it cannot be found out.
 */
static bool
next_source(struct call *call, const struct row_customer *customer, struct text but,
            struct text *id)
{
    struct store_page page = {.limit = 2};
    void *rows = NULL;
    size_t count = 0;
    bool more;
    *id = NO_TEXT;
    list_filter(&page, "customer", customer->id);
    only_legacy(&page);
    if (store_list(call->store, ROW_payment_method, call->merchant, &page, call->arena, &rows,
                   &count, &more) == STORE_UNAVAILABLE) {
        refuse_unavailable(call);
        return false;
    }
    const struct row_payment_method *cards = rows;
    for (size_t i = count; i-- > 0;)
        if (!text_equal(cards[i].id, but)) *id = cards[i].id;
    return true;
}

bool
method_leaves(struct call *call, struct row_payment_method *method, struct row_customer *customer)
{
    const struct row_customer before = *customer;
    const struct row_payment_method had = *method;
    if (text_equal(customer->default_source, method->id) &&
        !next_source(call, customer, method->id, &customer->default_source))
        return false;
    if (text_equal(customer->default_payment_method, method->id))
        customer->default_payment_method = NO_TEXT;
    method->customer = NO_TEXT;
    method->consumed = true;
    call_update(call, ROW_payment_method, method);
    if (!text_equal(customer->default_source, before.default_source) ||
        !text_equal(customer->default_payment_method, before.default_payment_method)) {
        call_update(call, ROW_customer, customer);
        tell_updated(call, "customer.updated", ROW_customer, &before, customer);
    }
    tell(call, "payment_method.detached", ROW_payment_method, method, NULL);
    if (method_is_legacy(method))
        tell(call, "customer.source.deleted", ROW_legacy_card, &had, NULL);
    return true;
}

/* --- the handlers ---------------------------------------------------------------------------- */

void
source_create(struct call *call)
{
    struct row_customer *customer = call_new_row(call, ROW_customer);
    struct method_use use;
    if (!call_lock(call, call->object)) return;
    if (!get_customer(call, call->object, NULL, customer)) return;
    if (!source_of_request(call, &use)) return;
    if (!use.row) {
        refuse_missing(call, "token", field_given(call, "source"), "source");
        return;
    }
    if (!method_attach_to(call, use.row, customer->id)) return;
    if (!field_metadata(call, "metadata", &use.row->metadata)) return;
    /* After this point it must succeed. */
    method_stage(call, &use);
    source_told(call, use.row);
    if (!customer->default_source.at) {
        const struct row_customer before = *customer;
        customer->default_source = use.row->id;
        call_update(call, ROW_customer, customer);
        tell_updated(call, "customer.updated", ROW_customer, &before, customer);
    }
    answer_row(call, ROW_legacy_card, use.row, KNOWN({ROW_customer, customer}));
}

void
source_list(struct call *call)
{
    struct row_customer *customer = call_new_row(call, ROW_customer);
    struct store_page page;
    void *rows = NULL;
    size_t count = 0;
    bool more = false;
    struct text json;
    const struct text kind = field_given(call, "object");
    if (!get_customer(call, call->object, NULL, customer)) return;
    if (!list_page(call, ROW_payment_method, &page)) return;
    list_filter(&page, "customer", call->object);
    only_legacy(&page);
    /* There are no others than cards. */
    const bool none = kind.at && !text_is(kind, "card");
    if ((!none && store_list(call->store, ROW_payment_method, call->merchant, &page, call->arena,
                             &rows, &count, &more) == STORE_UNAVAILABLE) ||
        !render_list(call, ROW_legacy_card, rows, count, more, list_url(call), call->expand, &json))
        refuse_unavailable(call);
    else
        call_answer(call, 200, json);
}

/* The customer and their card of a path with both. False: the call has been answered. */
static bool
source_in_path(struct call *call, struct row_customer *customer, struct row_payment_method *card)
{
    enum store_verdict verdict;
    if (!get_customer(call, call->parent, NULL, customer)) return false;
    verdict =
        store_get(call->store, ROW_payment_method, call->merchant, call->object, call->arena, card);
    if (verdict == STORE_UNAVAILABLE) {
        refuse_unavailable(call);
        return false;
    }
    if (verdict == STORE_FOUND && method_is_legacy(card) &&
        text_equal(card->customer, customer->id))
        return true;
    refuse_missing(call, "source", call->object, NULL);
    return false;
}

void
source_retrieve(struct call *call)
{
    struct row_customer *customer = call_new_row(call, ROW_customer);
    struct row_payment_method *card = call_new_row(call, ROW_payment_method);
    if (!source_in_path(call, customer, card)) return;
    answer_row(call, ROW_legacy_card, card, KNOWN({ROW_customer, customer}));
}

void
source_update(struct call *call)
{
    struct row_customer *customer = call_new_row(call, ROW_customer);
    struct row_payment_method *card = call_new_row(call, ROW_payment_method);
    if (!call_lock(call, call->parent)) return;
    if (!source_in_path(call, customer, card)) return;
    const struct row_payment_method before = *card;
    const int64_t year = params_integer(call->params, "exp_year", card->exp_year);
    card->exp_month = params_integer(call->params, "exp_month", card->exp_month);
    card->exp_year = year < 100 ? 2000 + year : year; /* two digits are of this century */
    card_take_billing(call, NULL, &card->billing_details);
    if (!field_metadata(call, "metadata", &card->metadata)) return;
    call_update(call, ROW_payment_method, card);
    tell_updated(call, "customer.source.updated", ROW_legacy_card, &before, card);
    answer_row(call, ROW_legacy_card, card, KNOWN({ROW_customer, customer}));
}

void
source_delete(struct call *call)
{
    struct row_customer *customer = call_new_row(call, ROW_customer);
    struct row_payment_method *card = call_new_row(call, ROW_payment_method);
    if (!call_lock(call, call->parent)) return;
    if (!source_in_path(call, customer, card)) return;
    if (!method_leaves(call, card, customer)) return;
    answer_deleted(call, call->object, "card");
}
