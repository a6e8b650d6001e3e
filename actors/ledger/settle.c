#include "settle.h"

#include "event_pack.h"
#include "json_writer.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define ROW_BYTES_MAX 4096
#define NEWS_BYTES_MAX 32768 /* 130 currencies, both ways */

#define ACCOUNT(NAME, number, name, owner, kind, doc) ACCOUNT_##NAME = (number),
enum account {
#include "accounts.def"
};
#undef ACCOUNT

/* A refund's net is below zero, and moves the other way. */
static bool
add_posting(struct msg_commit *m, const struct row_balance_transaction *row, uint8_t *lines,
            uint8_t *bytes, size_t cap)
{
    const uint32_t has = HAS_entry_account | HAS_entry_currency | HAS_entry_amount;
    const struct msg_entry pending = {has, ACCOUNT_MERCHANT_PENDING, row->currency, row->net};
    const struct msg_entry available = {has, ACCOUNT_MERCHANT_AVAILABLE, row->currency, -row->net};
    struct msg_posting posting = {
        HAS_posting_kind | HAS_posting_source | HAS_posting_entries, TEXT("settle"), row->id, {0}};
    if (row->net == 0) return true;
    return message_list_add(&posting.entries, MSG_entry, &pending, lines, cap) &&
           message_list_add(&posting.entries, MSG_entry, &available, lines, cap) &&
           message_list_add(&m->postings, MSG_posting, &posting, bytes, cap);
}

static bool
add_row(struct msg_commit *m, const struct row_balance_transaction *row, uint8_t *values,
        uint8_t *bytes, size_t cap)
{
    struct row_balance_transaction next = *row;
    struct msg_row_write write = {HAS_row_write_table | HAS_row_write_version |
                                      HAS_row_write_values,
                                  ROW_balance_transaction, (uint64_t)row->version, NO_TEXT};
    size_t size;
    next.version++;
    next.status = TEXT("available");
    if (!row_encode(ROW_balance_transaction, &next, values, cap, &size)) return false;
    write.values = (struct text){(const char *)values, size};
    return message_list_add(&m->rows, MSG_row_write, &write, bytes, cap);
}

/* The amounts of one kind, of every currency. False when the text is not what it should be. */
static bool
put_amounts(struct json_writer *w, const char *key, const char *balances, bool pending)
{
    json_key(w, key);
    json_array(w);
    while (*balances) {
        char *end;
        const struct text currency = {balances, 3};
        if (strlen(balances) < 7 || balances[3] != ' ') return false;
        const long long available = strtoll(balances + 4, &end, 10);
        if (*end != ' ') return false;
        const long long still_pending = strtoll(end + 1, &end, 10);
        const int64_t amount = pending ? still_pending : available;
        json_open(w);
        json_integer(w, "amount", amount);
        json_text(w, "currency", currency);
        json_key(w, "source_types");
        json_open(w);
        json_integer(w, "card", amount);
        json_close(w);
        json_close(w);
        if (*end && *end != ' ') return false;
        balances = *end ? end + 1 : end;
    }
    json_array_end(w);
    return true;
}

static bool
add_news(struct msg_commit *m, const struct settle_news *news)
{
    static char json[NEWS_BYTES_MAX];
    static uint8_t bytes[4 * NEWS_BYTES_MAX + ROW_BYTES_MAX];
    char balances[NEWS_BYTES_MAX / 4];
    struct json_writer w;
    if (!news->balances.at || !news->api_version.at) return true;
    if (news->balances.size >= sizeof balances) return false;
    memcpy(balances, news->balances.at, news->balances.size);
    balances[news->balances.size] = '\0';
    json_writer_init(&w, json, sizeof json);
    json_open(&w);
    json_string(&w, "object", "balance");
    if (!put_amounts(&w, "available", balances, false)) return false;
    json_flag(&w, "livemode", false);
    if (!put_amounts(&w, "pending", balances, true)) return false;
    json_close(&w);
    if (w.full) return false;
    const struct told_event event = {
        .id = news->event,
        .type = TEXT("balance.available"),
        .object = TEXT("balance"),
        .data = json_writer_text(&w),
        .created = news->now_s,
        .api_version = news->api_version,
    };
    m->has |= HAS_commit_events;
    return events_write(&m->events, &event, 1, bytes, sizeof bytes);
}

struct command *
settle_command(const struct row_balance_transaction *row, const struct settle_news *news,
               const uint8_t id[static COMMAND_ID_BYTES], char *reason, size_t reason_size)
{
    static uint8_t bytes[4][ROW_BYTES_MAX]; /* of this one call */
    static uint8_t whole[2 * NEWS_BYTES_MAX];
    struct msg_commit m = {
        .has = HAS_commit_id | HAS_commit_merchant | HAS_commit_epoch | HAS_commit_urgency |
               HAS_commit_repeated | HAS_commit_claim | HAS_commit_rows | HAS_commit_postings,
        .id = {(const char *)id, COMMAND_ID_BYTES},
        .merchant = row->merchant,
        .epoch = 1, /* it is the ledger's own: no slot is asked */
    };
    const struct command_origin origin = {"ledger", slot_of(row->merchant), {0}};
    size_t size;
    if (!add_row(&m, row, bytes[0], bytes[1], ROW_BYTES_MAX) ||
        !add_posting(&m, row, bytes[2], bytes[3], ROW_BYTES_MAX) || !add_news(&m, news) ||
        message_encode(MSG_commit, &m, whole, sizeof whole, &size) != MESSAGE_OK) {
        snprintf(reason, reason_size, "it does not fit into a commit");
        return NULL;
    }
    struct command *c = command_read(whole, size, &origin, reason, reason_size);
    if (c) c->internal = true;
    return c;
}
