/* database: what is durable, in memory: the tables of etc/tables.sql and etc/schema.sql with their
 * constraints, and the statements that are spoken to them, by the names under which they are
 * prepared (actors/ledger/statements.c, actors/webhooks/outbox.c). A statement is done at once and
 * wholly; what a transaction changed can be taken back.
 *
 * It is held against Postgres by replay.c. */
#pragma once

#include "row.h"
#include "text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLES_MAX 32

/* Things that are never changed, only replaced: so a pointer to one is a reading that holds. */
struct shelf {
    void **at;
    size_t count, cap;
};

struct kept_row {
    uint64_t hash; /* of merchant and id */
    void *row;
};
struct kept_key {
    struct text merchant, key, request_hash, path, command, request, body;
    int64_t status, created, told; /* NO_NUMBER: none */
};
/* Of open_attempt: the attempt itself stands among the rows, whether it is over or not. */
struct kept_place {
    int64_t place, created;
    struct text merchant, id, key, request_hash, path, command, request; /* id: none, if free */
};
/* Each by itself, as in the view: `packed` is that of its row, which begins with `first`. */
struct kept_event {
    int64_t sequence, created, first, nth;
    struct text id, merchant, type, object, packed, api_version, request, key;
    struct text data, previous; /* as unpacked; NO_TEXT: it could not be */
};
struct kept_transaction {
    int64_t id, created;
    struct text merchant, kind, source;
};
struct kept_entry {
    int64_t transaction, line, account, amount;
    struct text merchant, currency;
};
struct kept_balance {
    struct text merchant, currency;
    int64_t account, amount;
};
struct kept_slot {
    int64_t slot, epoch, incarnation;
    struct text owner;
};
struct kept_leader {
    int64_t epoch, last_batch, event_head, transaction_head, open_until;
    struct text holder;
    const void *backend; /* the session */
};
struct kept_delivery {
    int64_t sequence, tries, next_ms, lease_until_ms, last_status; /* NO_NUMBER: null */
    struct text endpoint, merchant, event, state, lease_owner;
    struct text resend; /* the last wish that was granted */
    int64_t written;    /* in which order: Postgres takes what is due at once as it was written */
};
struct kept_try {
    int64_t sequence, number, at_ms, status, duration_ms;
    struct text endpoint, error;
};
struct kept_dispatch {
    int64_t sequence;
};

struct database_tables {
    struct shelf rows[TABLES_MAX]; /* by the number in rows.def */
    struct shelf places, keys, events, transactions, entries, balances, slots, leader, deliveries,
        tries, dispatch;
};
extern struct database_tables tables_kept;

/* What was changed since a moment, to be taken back. */
struct change_log {
    struct undo {
        struct undo *before;
        struct shelf *shelf;
        size_t index;
        void *old; /* NULL: it was added */
    } * last;
};

void database_begin(void);
void database_undo(struct change_log *log);

struct cell {
    const char *at;
    int size; /* -1: null */
};
struct answer_rows {
    struct cell *cells;
    size_t rows, columns;
    size_t changed;
    const char *sqlstate; /* NULL: it worked */
    char message[160];
};

struct parameter {
    const char *at;
    int size; /* -1: a text that ends with NUL; at NULL: null */
};

/* Does one prepared statement. `session`: whose, for the leader's row. */
void database_do(const char *statement, const struct parameter *parameters, int count, bool binary,
                 const void *session, struct change_log *log, struct answer_rows *answer);

/* --- reading, for the workers' store and the checks ------------------------------------------- */

const void *database_row(enum row_table table, struct text merchant, struct text id);
size_t database_count(enum row_table table);
/* An attempt that is under way, and stands where whoever looks for those looks. */
bool database_is_looked_after(const struct row_attempt *attempt);
/* Of a shelf of rows. */
const void *database_nth(enum row_table table, size_t index);
const struct kept_key *database_key(struct text merchant, struct text key);
/* Its stored answer's body, wherever that is kept. */
struct text database_answer(const struct kept_key *key);
const struct kept_event *database_event(int64_t sequence); /* NULL: none */
const struct kept_leader *database_leader(void);
/* That wish, or a later one for the same. */
bool database_granted(const struct row_resend *wish);
/* Without a transaction, before the run: the table as it stands at the beginning. */
void database_put(enum row_table table, const void *row);
