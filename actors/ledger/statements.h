/* statements: the SQL that the ledger speaks, made from rows.def where it can be, prepared once per
 * connection. A batch is one statement per table, whatever its size; every one that changes rows
 * checks their number (expect) and ends the transaction when it is wrong. */
#pragma once

#include "arrays.h"
#include "row.h"
#include <stdbool.h>

#define STATEMENT_NAME_MAX 48

struct table_statements {
    const struct table *table;
    char kinds[TABLE_COLUMNS_MAX + 1]; /* of its columns, see arrays.h */
    char find[STATEMENT_NAME_MAX];     /* (merchant, id) -> ordinal, version, state */
    char insert[STATEMENT_NAME_MAX];
    char update[STATEMENT_NAME_MAX];
};

/* Attempts have neither insert nor update, but begin, step and end. These have a kind more, the
 * place (see open_attempts.h), and the first three more: what the key's row will bear. */
#define ATTEMPT_PLACE (table_find(ROW_attempt)->column_count)
const char *attempt_kinds(bool begins);

/* In the order of `tables`. */
const struct table_statements *table_statements(size_t index);

/* The others: name, kinds of its columns. */
#define STATEMENT_BEGIN "begin"
#define STATEMENT_COMMIT "commit"
#define STATEMENT_ROLLBACK "rollback"
#define STATEMENT_PARTITION "partition"
#define STATEMENT_LEAD "lead"
#define STATEMENT_FENCE "fence"
#define STATEMENT_SLOTS "slots"
#define STATEMENT_DUE "due"
#define STATEMENT_SLOTS_TAKE "slots_take"
#define STATEMENT_KEY_FIND "key_find"
#define STATEMENT_KEY_CLAIM "key_claim"
#define STATEMENT_KEY_ANSWER "key_answer"
#define STATEMENT_KEY_SETTLE "key_settle"
#define STATEMENT_PLACES "places"
#define STATEMENT_ATTEMPT_BEGIN "attempt_begin"
#define STATEMENT_ATTEMPT_STEP "attempt_step"
#define STATEMENT_ATTEMPT_END "attempt_end"
#define STATEMENT_ATTEMPTS_OPEN "attempts_open"
#define STATEMENT_OUTBOX "outbox"
#define STATEMENT_TRANSACTION "transaction"
#define STATEMENT_BALANCE "balance"
#define KINDS_FIND "tt"
#define KINDS_SLOTS_TAKE "iltl"
#define KINDS_KEY_FIND "tt"
#define KINDS_KEY_CLAIM "ttytytstll"
#define KINDS_KEY_ANSWER "ttstl"
#define KINDS_KEY_SETTLE "ittstl"
#define KINDS_OUTBOX "lsttttylttt"
#define KINDS_TRANSACTION "ltttltiiSL"
#define KINDS_BALANCE "tstl"

/* Blocks. False with a sentence when the database does not have what this version needs. */
bool statements_prepare(PGconn *conn, char *error, size_t error_size);
/* Likewise, STATEMENT_KEY_FIND alone. */
bool statements_prepare_key_find(PGconn *conn, char *error, size_t error_size);
