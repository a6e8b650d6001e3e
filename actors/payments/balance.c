/* balance: what the merchant is owed, and every movement of it. The amounts are the ledger's. */
#include "answer.h"
#include "currency.h"
#include "fields.h"
#include "handlers.h"
#include "lists.h"

/* One amount a currency, "available" or "pending"; a merchant that never had any has none of their
 * own currency. */
static void
amounts(struct json_writer *w, const char *key, const struct store_balance *balances, size_t count,
        bool pending)
{
    json_key(w, key);
    json_array(w);
    for (size_t i = 0; i < count; i++) {
        const int64_t amount = pending ? balances[i].pending : balances[i].available;
        json_open(w);
        json_integer(w, "amount", amount);
        json_text(w, "currency", balances[i].currency);
        json_key(w, "source_types");
        json_open(w);
        json_integer(w, "card", amount);
        json_close(w);
        json_close(w);
    }
    json_array_end(w);
}

void
balance_retrieve(struct call *call)
{
    struct row_merchant *merchant = call_new_row(call, ROW_merchant);
    struct store_balance *balances = NULL, none = {NO_TEXT, 0, 0};
    size_t count = 0;
    if (store_balances(call->store, call->merchant, call->arena, &balances, &count) ==
        STORE_UNAVAILABLE) {
        refuse_unavailable(call);
        return;
    }
    if (count == 0) {
        if (!call_get(call, ROW_merchant, call->merchant, merchant)) return;
        none.currency = merchant->currency;
        balances = &none;
        count = 1;
    }
    struct json_writer w = call_writer(call, 512 + 256 * count);
    json_open(&w);
    json_string(&w, "object", "balance");
    amounts(&w, "available", balances, count, false);
    json_flag(&w, "livemode", call->livemode);
    amounts(&w, "pending", balances, count, true);
    json_close(&w);
    call_answer(call, 200, json_writer_text(&w));
}

void
balance_transaction_retrieve(struct call *call)
{
    struct row_balance_transaction *txn = call_new_row(call, ROW_balance_transaction);
    if (!call_get(call, ROW_balance_transaction, call->object, txn)) return;
    answer_row(call, ROW_balance_transaction, txn, NULL);
}

void
balance_transaction_list(struct call *call)
{
    const struct text given = field_given(call, "currency");
    const struct currency *currency = currency_find(given);
    struct store_page page;
    if (!list_page(call, ROW_balance_transaction, &page)) return;
    list_filter(&page, "currency", currency ? text_of(currency->code) : given);
    list_filter(&page, "source", field_given(call, "source"));
    list_filter(&page, "type", field_given(call, "type"));
    list_answer(call, ROW_balance_transaction, &page);
}
