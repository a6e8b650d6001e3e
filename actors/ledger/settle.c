#include "settle.h"

#include <assert.h>
#include <stdio.h>

#define ROW_BYTES_MAX 4096

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

struct command *
settle_command(const struct row_balance_transaction *row, const uint8_t id[static COMMAND_ID_BYTES],
               char *reason, size_t reason_size)
{
    static uint8_t bytes[5][ROW_BYTES_MAX]; /* of this one call */
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
        !add_posting(&m, row, bytes[2], bytes[3], ROW_BYTES_MAX) ||
        message_encode(MSG_commit, &m, bytes[4], ROW_BYTES_MAX, &size) != MESSAGE_OK) {
        snprintf(reason, reason_size, "it does not fit into a commit");
        return NULL;
    }
    struct command *c = command_read(bytes[4], size, &origin, reason, reason_size);
    if (c) c->internal = true;
    return c;
}
