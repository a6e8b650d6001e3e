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
    if (!call_get_param(call, ROW_payment_method, id, name, method)) return false;
    if (text_equal(method->customer, customer->id)) return true;
    call_refuse_400(call, NULL, name,
                    "The payment method %.*s must be attached to the customer before it can be "
                    "the default.",
                    (int)id.size, id.at);
    return false;
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
    struct method_use use;
    if (!take_fields(call, customer) || !method_of_request(call, NULL, &use)) return;
    if (use.row && !method_attach_to(call, use.row, customer->id)) return;
    if (!take_default_method(call, customer, use.row ? use.row->id : NO_TEXT)) return;
    /* After this point it must succeed. */
    call_insert(call, ROW_customer, customer);
    tell(call, "customer.created", ROW_customer, customer, NULL);
    if (use.row) {
        method_stage(call, &use);
        tell(call, "payment_method.attached", ROW_payment_method, use.row, NULL);
        answer_row(call, ROW_customer, customer, KNOWN({ROW_payment_method, use.row}));
    } else {
        answer_row(call, ROW_customer, customer, NULL);
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
    if (!take_fields(call, customer) || !take_default_method(call, customer, NO_TEXT)) return;
    call_update(call, ROW_customer, customer);
    tell_updated(call, "customer.updated", ROW_customer, &before, customer);
    answer_row(call, ROW_customer, customer, NULL);
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
    customer->default_payment_method = NO_TEXT;
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
