#include "commit_maker.h"

#include "event_pack.h"
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX (1 << 18)

char wish_reason[128];

static void
must(bool done)
{
    if (!done) abort();
}

static void
add_rows(const struct wish *wish, struct msg_commit *m)
{
    static uint8_t list[BYTES_MAX], values[BYTES_MAX];
    for (int i = 0; i < WISH_ROWS_MAX && wish->rows[i].row; i++) {
        struct msg_row_write write = {.has = HAS_row_write_table | HAS_row_write_version |
                                             HAS_row_write_values,
                                      .table = wish->rows[i].table,
                                      .version = (uint64_t)wish->rows[i].version};
        size_t size;
        must(row_encode(wish->rows[i].table, wish->rows[i].row, values, BYTES_MAX, &size));
        write.values = (struct text){(const char *)values, size};
        must(message_list_add(&m->rows, MSG_row_write, &write, list, BYTES_MAX));
        m->has |= HAS_commit_rows;
    }
}

static void
add_postings(const struct wish *wish, struct msg_commit *m)
{
    static uint8_t list[BYTES_MAX], lines[BYTES_MAX];
    for (int i = 0; i < 2 && wish->postings[i].kind; i++) {
        struct msg_posting p = {HAS_posting_kind | HAS_posting_source | HAS_posting_entries,
                                text_of(wish->postings[i].kind),
                                text_of(wish->postings[i].source),
                                {0}};
        for (int l = 0; l < 4 && wish->postings[i].lines[l].account; l++) {
            const char *const currency = i ? NULL : wish->currencies[l];
            const struct msg_entry entry = {
                HAS_entry_account | HAS_entry_currency | HAS_entry_amount,
                (uint64_t)wish->postings[i].lines[l].account, text_of(currency ? currency : "usd"),
                wish->postings[i].lines[l].amount};
            must(message_list_add(&p.entries, MSG_entry, &entry, lines, BYTES_MAX));
        }
        must(message_list_add(&m->postings, MSG_posting, &p, list, BYTES_MAX));
        m->has |= HAS_commit_postings;
    }
}

/* All of them in one row, whether they may or not, with that as what they tell. */
static void
add_row_of_events(const struct wish *wish, struct msg_commit *m)
{
    static uint8_t list[BYTES_MAX];
    struct message_list proper = m->events;
    struct msg_event_write e;
    enum message_verdict verdict;
    m->events = (struct message_list){NULL, 0, 0};
    while (message_next(&proper, MSG_event_write, &e, &verdict)) {
        e.has &= ~(uint32_t)HAS_event_write_packed;
        if (!proper.count && wish->row[0]) {
            e.has |= HAS_event_write_packed;
            e.packed = text_of(wish->row);
        }
        must(message_list_add(&m->events, MSG_event_write, &e, list, BYTES_MAX));
    }
}

static void
add_events(const struct wish *wish, struct msg_commit *m)
{
    static uint8_t list[BYTES_MAX];
    struct told_event events[4];
    size_t count = 0;
    for (; count < 4 && wish->events[count]; count++)
        events[count] = (struct told_event){
            .id = text_of(wish->events[count]),
            .type = text_of(wish->type ? wish->type : "customer.created"),
            .object = TEXT("cus_1"),
            .data = count % 2 ? TEXT("{\"id\":\"cus_1\",\"name\":\"Ada\"}")
                              : TEXT("{\"id\":\"cus_1\",\"name\":\"Grace\"}"),
            .created = 1700000000,
            .api_version = TEXT("2024-06-20"),
        };
    if (count) m->has |= HAS_commit_events;
    must(events_write(&m->events, events, count, list, BYTES_MAX));
    if (wish->row) add_row_of_events(wish, m);
}

struct text
wish_bytes(const struct wish *wish)
{
    static uint8_t bytes[BYTES_MAX];
    char id[COMMAND_ID_BYTES], hash[32];
    size_t size;
    memset(id, wish->id ? wish->id : 'i', sizeof id);
    memset(hash, wish->hash ? wish->hash : 'h', sizeof hash);
    struct msg_commit m = {
        .has = HAS_commit_id | HAS_commit_merchant | HAS_commit_epoch | HAS_commit_urgency |
               HAS_commit_repeated | HAS_commit_claim,
        .id = {id, sizeof id},
        .merchant = text_of(wish->merchant ? wish->merchant : TEST_MERCHANT),
        .epoch = wish->epoch ? wish->epoch : 1,
        .urgency = wish->urgency,
        .repeated = wish->repeated,
        .claim = wish->claim,
    };
    if (wish->key) {
        m.has |= HAS_commit_key | HAS_commit_request_hash | HAS_commit_path | HAS_commit_request;
        m.key = text_of(wish->key);
        m.request_hash = (struct text){hash, sizeof hash};
        m.path = TEXT("POST /v1/customers");
        m.request = TEXT("req_first");
    }
    if (wish->status) {
        m.has |= HAS_commit_status;
        m.status = wish->status;
        m.told = wish->told;
        m.has |= wish->told ? HAS_commit_told : HAS_commit_body;
        if (wish->told && wish->body) m.has |= HAS_commit_body;
        m.body = text_of(wish->body ? wish->body : "{}");
    }
    add_rows(wish, &m);
    add_postings(wish, &m);
    add_events(wish, &m);
    must(message_encode(MSG_commit, &m, bytes, BYTES_MAX, &size) == MESSAGE_OK);
    return (struct text){(const char *)bytes, size};
}

struct command *
wish_command(const struct wish *wish)
{
    const struct text merchant = text_of(wish->merchant ? wish->merchant : TEST_MERCHANT);
    const struct command_origin origin = {wish->sender ? wish->sender : TEST_SENDER,
                                          (uint16_t)(slot_of(merchant) + wish->slot_off),
                                          {0}};
    const struct text bytes = wish_bytes(wish);
    return command_read((const uint8_t *)bytes.at, bytes.size, &origin, wish_reason,
                        sizeof wish_reason);
}

static void *
new_row(enum row_table table)
{
    static _Alignas(16) char rows[64][ROW_SIZE_MAX];
    static unsigned next;
    void *const row = rows[next++ % 64];
    row_clear(table, row);
    return row;
}

struct row_customer *
new_customer(const char *id, int64_t version, const char *name)
{
    struct row_customer *row = new_row(ROW_customer);
    row->id = text_of(id);
    row->merchant = TEXT(TEST_MERCHANT);
    row->version = version;
    row->name = text_of(name);
    return row;
}

struct row_attempt *
new_attempt(const char *id, int64_t version, const char *state)
{
    struct row_attempt *row = new_row(ROW_attempt);
    row->id = text_of(id);
    row->merchant = TEXT(TEST_MERCHANT);
    row->version = version;
    row->state = text_of(state);
    row->operation = TEXT("authorize");
    row->amount = 2000;
    row->currency = TEXT("usd");
    row->payment_intent = TEXT("pi_1");
    return row;
}

struct row_balance_transaction *
new_movement(const char *id, int64_t version, int64_t amount, int64_t fee)
{
    struct row_balance_transaction *row = new_row(ROW_balance_transaction);
    row->id = text_of(id);
    row->merchant = TEXT(TEST_MERCHANT);
    row->version = version;
    row->amount = amount;
    row->fee = fee;
    row->net = amount - fee;
    row->currency = TEXT("usd");
    row->status = TEXT("pending");
    row->available_on = 1000;
    return row;
}
