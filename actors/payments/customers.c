#include "answer.h"
#include "fields.h"
#include "handlers.h"
#include "lists.h"
#include "payment.h"

/* Payment methods that a deleted customer's commit takes along; one with more keeps the rest, which
 * nobody can pay with any more. */
#define DETACHED_MAX 50

/* What create and update have in common. False: the call has been answered. */
static bool
take_fields(struct call *call, struct row_customer *customer)
{
    field_address(call, "address", &customer->address);
    field_text(call, "description", &customer->description);
    field_text(call, "email", &customer->email);
    field_text(call, "invoice_prefix", &customer->invoice_prefix);
    field_text(call, "name", &customer->name);
    field_text(call, "phone", &customer->phone);
    field_texts(call, "preferred_locales", &customer->preferred_locales);
    field_shipping(call, "shipping", &customer->shipping);
    field_text(call, "tax_exempt", &customer->tax_exempt);
    if (!customer->tax_exempt.at) customer->tax_exempt = TEXT("none");
    customer->balance = params_integer(call->params, "balance", customer->balance);
    customer->next_invoice_sequence =
        params_integer(call->params, "next_invoice_sequence", customer->next_invoice_sequence);
    return field_metadata(call, "metadata", &customer->metadata);
}

/* invoice_settings[default_payment_method] names one of the customer's own. */
static bool
take_default_method(struct call *call, struct row_customer *customer, struct text attached)
{
    static const char name[] = "invoice_settings[default_payment_method]";
    struct row_payment_method *method = call_new_row(call, ROW_payment_method);
    field_text(call, name, &customer->default_payment_method);
    const struct text id = field_given(call, name);
    if (!id.at || text_equal(id, attached)) return true;
    /* A test name is that of the method which this very request attaches. */
    if (attached.at && text_equal(id, field_given(call, "payment_method"))) {
        customer->default_payment_method = attached;
        return true;
    }
    if (!call_get_param(call, ROW_payment_method, id, name, method)) return false;
    if (text_equal(method->customer, customer->id)) return true;
    call_refuse_400(call, NULL, name,
                    "The payment method %.*s must be attached to the customer before it can be "
                    "the default.",
                    (int)id.size, id.at);
    return false;
}

/* The card of `source` becomes the customer's, and the one that is charged unless another is named.
 * False: the call has been answered. */
static bool
take_source(struct call *call, struct row_customer *customer, struct method_use *source)
{
    if (!source_of_request(call, source)) return false;
    const struct text id = field_given(call, "source");
    if (!source->row && id.at) {
        refuse_missing(call, "token", id, "source");
        return false;
    }
    if (!source->row) return true;
    if (!method_attach_to(call, source->row, customer->id)) return false;
    customer->default_source = source->row->id;
    return true;
}

/* default_source names one of the customer's own. */
static bool
take_default_source(struct call *call, struct row_customer *customer)
{
    struct row_payment_method *card = call_new_row(call, ROW_payment_method);
    const struct text id = field_given(call, "default_source");
    if (!id.at || text_equal(id, customer->default_source)) return true;
    const enum store_verdict verdict =
        store_get(call->store, ROW_payment_method, call->merchant, id, call->arena, card);
    if (verdict == STORE_UNAVAILABLE) {
        refuse_unavailable(call);
        return false;
    }
    if (verdict != STORE_FOUND || !method_is_legacy(card) ||
        !text_equal(card->customer, customer->id)) {
        call_refuse_400(call, "missing", "default_source",
                        "Customer %.*s does not have a linked source with ID %.*s.",
                        (int)customer->id.size, customer->id.at, (int)id.size, id.at);
        return false;
    }
    customer->default_source = id;
    return true;
}

struct row_customer *
customer_new(struct call *call)
{
    struct row_customer *customer = call_new_row(call, ROW_customer);
    customer->id = call_new_id(call, "cus_");
    customer->merchant = call->merchant;
    customer->created = call->now_s;
    customer->invoice_prefix = call_random_text(call, 8);
    customer->next_invoice_sequence = 1;
    for (size_t i = 0; i < customer->invoice_prefix.size; i++) { /* capitals and digits alone */
        char *c = (char *)customer->invoice_prefix.at + i;
        if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 'a' + 'A');
    }
    return customer;
}

void
customer_create(struct call *call)
{
    struct row_customer *customer = customer_new(call);
    struct method_use use, source;
    if (!take_fields(call, customer) || !method_of_request(call, NULL, &use)) return;
    if (use.row && !method_attach_to(call, use.row, customer->id)) return;
    if (!take_default_method(call, customer, use.row ? use.row->id : NO_TEXT)) return;
    if (!take_source(call, customer, &source)) return;
    /* After this point it must succeed. */
    call_insert(call, ROW_customer, customer);
    tell(call, "customer.created", ROW_customer, customer, NULL);
    if (source.row) {
        method_stage(call, &source);
        source_told(call, source.row);
    }
    if (use.row) {
        method_stage(call, &use);
        tell(call, "payment_method.attached", ROW_payment_method, use.row, NULL);
        answer_row(call, ROW_customer, customer,
                   KNOWN({ROW_payment_method, use.row},
                         {source.row ? ROW_payment_method : ROW_NONE, source.row}));
    } else {
        answer_row(call, ROW_customer, customer,
                   KNOWN({source.row ? ROW_payment_method : ROW_NONE, source.row}));
    }
}

/* A deleted customer can still be seen: as deleted. */
void
customer_retrieve(struct call *call)
{
    struct row_customer *customer = call_new_row(call, ROW_customer);
    if (!call_get(call, ROW_customer, call->object, customer)) return;
    answer_row(call, ROW_customer, customer, NULL);
}

void
customer_update(struct call *call)
{
    struct row_customer *customer = call_new_row(call, ROW_customer);
    if (!call_lock(call, call->object)) return;
    if (!get_customer(call, call->object, NULL, customer)) return;
    const struct row_customer before = *customer;
    struct method_use source;
    struct row_payment_method *former = call_new_row(call, ROW_payment_method);
    if (!take_fields(call, customer) || !take_default_method(call, customer, NO_TEXT)) return;
    if (!take_default_source(call, customer) || !take_source(call, customer, &source)) return;
    /* A new source takes the place of the former. */
    const bool replaces = source.row && before.default_source.at;
    if (replaces && !call_get(call, ROW_payment_method, before.default_source, former)) return;
    if (replaces && !method_leaves(call, former, customer)) return;
    /* After this point it must succeed. */
    if (source.row) {
        method_stage(call, &source);
        source_told(call, source.row);
    }
    call_update(call, ROW_customer, customer);
    tell_updated(call, "customer.updated", ROW_customer, &before, customer);
    answer_row(call, ROW_customer, customer,
               KNOWN({source.row ? ROW_payment_method : ROW_NONE, source.row}));
}

void
customer_delete(struct call *call)
{
    struct row_customer *customer = call_new_row(call, ROW_customer);
    struct store_page page = {.limit = DETACHED_MAX};
    void *rows = NULL;
    size_t count = 0;
    bool more;
    if (!call_lock(call, call->object)) return;
    if (!get_customer(call, call->object, NULL, customer)) return;
    list_filter(&page, "customer", customer->id);
    if (store_list(call->store, ROW_payment_method, call->merchant, &page, call->arena, &rows,
                   &count, &more) == STORE_UNAVAILABLE) {
        refuse_unavailable(call);
        return;
    }
    tell(call, "customer.deleted", ROW_customer, customer, NULL);
    customer->deleted = true;
    customer->default_payment_method = customer->default_source = NO_TEXT;
    call_update(call, ROW_customer, customer);
    for (size_t i = 0; i < count; i++) {
        struct row_payment_method *method = (struct row_payment_method *)rows + i;
        method->customer = NO_TEXT;
        method->consumed = true;
        call_update(call, ROW_payment_method, method);
    }
    answer_deleted(call, customer->id, "customer");
}

void
customer_list(struct call *call)
{
    struct store_page page;
    if (!list_page(call, ROW_customer, &page)) return;
    page.without = "deleted";
    list_filter(&page, "email", field_given(call, "email"));
    list_answer(call, ROW_customer, &page);
}
