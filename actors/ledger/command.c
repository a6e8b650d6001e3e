#include "command.h"

#include "attempt.h"
#include "event_pack.h"
#include "id.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The chart of accounts, as far as the books' writer must know it. */
enum account_owner { NOBODY, PLATFORM, MERCHANT };
#define ACCOUNT(NAME, number, name, owner, kind, doc) [number] = owner,
static const enum account_owner account_owners[256] = {
#include "accounts.def"
};
#undef ACCOUNT

/* --- memory: measured first, then taken at once ----------------------------------------------- */

struct pool {
    char *at, *end;
};

static void *
take(struct pool *pool, size_t size)
{
    const size_t rounded = (size + 15) & ~(size_t)15;
    assert((size_t)(pool->end - pool->at) >= rounded);
    void *const taken = pool->at;
    pool->at += rounded;
    return taken;
}

/* What all lists of a commit need, going by their counts; false when one is not what it says. */
static bool
measure(const struct msg_commit *m, size_t *bytes, const char **culprit)
{
    struct message_list rows = m->rows, postings = m->postings;
    struct msg_row_write row;
    struct msg_posting posting;
    enum message_verdict v;
    *bytes = 16 * (3 + rows.count) + rows.count * sizeof(struct command_row) +
             postings.count * sizeof(struct command_posting) +
             m->events.count * sizeof(struct msg_event_write);
    *culprit = "rows";
    while (message_next(&rows, MSG_row_write, &row, &v)) {
        const struct table *t = table_find(row.table);
        if (!t) return false;
        *bytes += t->size;
    }
    if (v != MESSAGE_OK) return false;
    *culprit = "postings";
    while (message_next(&postings, MSG_posting, &posting, &v))
        *bytes += 16 + posting.entries.count * sizeof(struct command_line);
    return v == MESSAGE_OK;
}

/* --- what is in a commit ---------------------------------------------------------------------- */

/* The claim and what must come with it: NULL when all is there. */
static const char *
claim_fault(const struct msg_commit *m)
{
    const bool answered = m->has & HAS_commit_status;
    const bool in_full = m->has & HAS_commit_body, told = m->has & HAS_commit_told;
    if (in_full && told) return "told: it stands instead of a body";
    if (answered != (in_full || told)) return "status: it comes with a body";
    if (m->claim == 0) return answered ? "status: there is no key to keep it under" : NULL;
    if (!(m->has & HAS_commit_key)) return "key: missing";
    if (m->claim == 2) return answered ? NULL : "status: missing";
    if (!(m->has & HAS_commit_request_hash)) return "request_hash: missing";
    if (!(m->has & HAS_commit_path)) return "path: missing";
    return NULL;
}

static bool
written_twice(const struct command *c, const struct command_row *row)
{
    for (const struct command_row *other = c->rows; other < row; other++)
        if (other->table == row->table && text_equal(row_id(other->row), row_id(row->row)))
            return true;
    return false;
}

static const char *
read_rows(struct command *c, struct pool *pool)
{
    struct message_list list = c->commit.rows;
    struct msg_row_write write;
    enum message_verdict v;
    c->rows = take(pool, list.count * sizeof *c->rows);
    while (message_next(&list, MSG_row_write, &write, &v)) {
        const struct table *t = table_find(write.table);
        struct command_row *row = &c->rows[c->row_count];
        *row = (struct command_row){
            .table = t, .version = (int64_t)write.version, .row = take(pool, t->size)};
        const uint8_t *values = (const uint8_t *)write.values.at;
        if (!row_decode((enum row_table)t->number, values, write.values.size, row->row))
            return "rows: not a row of its table";
        if (!text_equal(row_merchant(row->row), c->commit.merchant))
            return "rows: of another merchant";
        if (row_version(row->row) != row->version + 1) return "rows: version";
        if (!table_takes_id(t, row_id(row->row)) || row_id(row->row).size > ID_SIZE_MAX)
            return "rows: id";
        if (written_twice(c, row)) return "rows: the same one twice";
        if (t->number == ROW_attempt &&
            attempt_state_named(((struct row_attempt *)row->row)->state) == ATTEMPT_NONE)
            return "rows: state of the attempt";
        c->row_count++;
    }
    return NULL;
}

static const char *
read_postings(struct command *c, struct pool *pool)
{
    struct message_list list = c->commit.postings;
    struct msg_posting posting;
    enum message_verdict v;
    c->postings = take(pool, list.count * sizeof *c->postings);
    while (message_next(&list, MSG_posting, &posting, &v)) {
        struct command_posting *p = &c->postings[c->posting_count++];
        struct message_list lines = posting.entries;
        struct msg_entry entry;
        *p = (struct command_posting){posting.kind, posting.source, NULL, 0};
        p->lines = take(pool, lines.count * sizeof *p->lines);
        while (message_next(&lines, MSG_entry, &entry, &v)) {
            const bool of_merchant = account_owners[entry.account & 255] == MERCHANT;
            p->lines[p->line_count++] = (struct command_line){(uint8_t)entry.account, of_merchant,
                                                              entry.currency, entry.amount};
        }
        if (v != MESSAGE_OK) return "postings";
    }
    return NULL;
}

/* The row of the outbox bears the id and the moment of its first event; kinds and objects stand
 * side by side in it. */
static const char *
rows_fault(const struct command *c)
{
    const struct msg_event_write *first = c->events;
    for (const struct msg_event_write *e = first; e < c->events + c->event_count; e++) {
        if (memchr(e->type.at, ' ', e->type.size) || memchr(e->object.at, ' ', e->object.size))
            return "events: a space in a name";
        if (e > first &&
            (e->created != first->created || !text_equal(e->api_version, first->api_version) ||
             !id_is_beside(e->id, first->id, (unsigned)(e - first))))
            return "events: not of one row";
        if (!e->packed.at) continue;
        if (event_unpack_bound(e->packed) == 0) return "events: packed";
        first = e + 1;
    }
    return first == c->events + c->event_count ? NULL : "events: a row without its end";
}

static const char *
read_events(struct command *c, struct pool *pool)
{
    struct message_list list = c->commit.events;
    enum message_verdict v = MESSAGE_OK;
    c->events = take(pool, list.count * sizeof *c->events);
    while (c->event_count < c->commit.events.count &&
           message_next(&list, MSG_event_write, &c->events[c->event_count], &v))
        c->event_count++;
    if (v != MESSAGE_OK) return "events";
    if (c->commit.told > c->event_count) return "told: there is no such event";
    return rows_fault(c);
}

/* --- well-formed, and wrong ------------------------------------------------------------------- */

static bool
balances(const struct command_posting *p)
{
    for (size_t i = 0; i < p->line_count; i++) {
        int64_t sum = 0; /* at most 16 lines of at most MONEY_MAX */
        for (size_t j = 0; j < p->line_count; j++)
            if (text_equal(p->lines[i].currency, p->lines[j].currency)) sum += p->lines[j].amount;
        if (sum != 0) return false;
    }
    return true;
}

static const char *
wrong_posting(const struct command_posting *p)
{
    if (p->line_count < 2) return "a posting has fewer than two lines";
    for (size_t i = 0; i < p->line_count; i++) {
        if (p->lines[i].amount == 0) return "a posting has a line of zero";
        if (account_owners[p->lines[i].account] == NOBODY) return "there is no such account";
    }
    return balances(p) ? NULL : "a posting does not balance";
}

static const char *
what_is_wrong(const struct command *c)
{
    for (size_t i = 0; i < c->posting_count; i++) {
        const char *const wrong = wrong_posting(&c->postings[i]);
        if (wrong) return wrong;
    }
    return NULL;
}

/* --- in and out ------------------------------------------------------------------------------- */

static const char *
read_all(struct command *c, struct pool *pool)
{
    const char *fault = claim_fault(&c->commit);
    if (fault) return fault;
    if (slot_of(c->commit.merchant) != c->slot) return "merchant: of another slot";
    if (c->commit.rows.count == 0 && c->commit.claim == 0)
        return "rows: there is nothing by which a repetition would be known";
    if ((fault = read_rows(c, pool))) return fault;
    if ((fault = read_postings(c, pool))) return fault;
    return read_events(c, pool);
}

struct command *
command_read(const uint8_t *bytes, size_t size, const struct command_origin *origin, char *reason,
             size_t reason_size)
{
    struct msg_commit peek;
    const char *culprit;
    size_t lists;
    const enum message_verdict v = message_decode(MSG_commit, bytes, size, &peek, &culprit);
    if (v != MESSAGE_OK) {
        snprintf(reason, reason_size, "%s: %s", culprit ? culprit : "commit",
                 message_verdict_name(v));
        return NULL;
    }
    if (!measure(&peek, &lists, &culprit)) {
        snprintf(reason, reason_size, "%s: malformed", culprit);
        return NULL;
    }

    const size_t head = (sizeof(struct command) + 15) & ~(size_t)15;
    const size_t body = (size + 15) & ~(size_t)15;
    char *const memory = malloc(head + body + lists);
    if (!memory) {
        snprintf(reason, reason_size, "there is no memory for it");
        return NULL;
    }
    struct command *c = (void *)memory;
    struct pool pool = {memory + head + body, memory + head + body + lists};
    memset(memory, 0, head); /* of the lists each element is written whole */
    memcpy(memory + head, bytes, size);
    c->memory = memory;
    c->size = size;
    c->slot = origin->slot;
    c->reply = origin->reply;
    memcpy(c->sender, origin->sender, strnlen(origin->sender, sizeof c->sender - 1));

    c->commit = peek;
    message_move(MSG_commit, &c->commit, bytes, (const uint8_t *)memory + head);
    const char *const fault = read_all(c, &pool);
    if (fault) {
        snprintf(reason, reason_size, "%s", fault);
        command_destroy(&c);
        return NULL;
    }
    c->wrong = what_is_wrong(c);
    return c;
}

void
command_destroy(struct command **command_p)
{
    if (!*command_p) return;
    free((*command_p)->memory);
    *command_p = NULL;
}

bool
command_is_same(const struct command *a, const struct command *b)
{
    return memcmp(a->commit.id.at, b->commit.id.at, COMMAND_ID_BYTES) == 0;
}

struct command_row *
command_key_holder(const struct command *c)
{
    const struct msg_commit *const m = &c->commit;
    if (m->claim != 1 || m->has & HAS_commit_status) return NULL;
    for (size_t i = 0; i < c->row_count; i++) {
        struct command_row *const row = &c->rows[i];
        if (row->table->number == ROW_attempt && row->version == 0 &&
            text_equal(((const struct row_attempt *)row->row)->key, m->key))
            return row;
    }
    return NULL;
}
