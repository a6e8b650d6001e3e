/* commit_maker: commits for the tests, as a worker would send them. */
#pragma once

#include "command.h"

#define WISH_ROWS_MAX 8
#define TEST_MERCHANT "acct_test"
#define TEST_SENDER "payments-1"

struct wish_line {
    int account;
    int64_t amount;
};

/* Zero is what is wanted most often. */
struct wish {
    char id;              /* all 16 bytes of it */
    const char *merchant; /* TEST_MERCHANT */
    uint64_t epoch;       /* 1 */
    uint64_t urgency, repeated, claim;
    const char *key, *body;
    char hash; /* all 32 bytes of it */
    uint64_t status;
    struct {
        enum row_table table;
        int64_t version; /* the one that is replaced */
        const void *row;
    } rows[WISH_ROWS_MAX];
    struct {
        const char *kind, *source;
        struct wish_line lines[4];
    } postings[2];
    const char *currencies[4]; /* of the first one's lines; usd */
    const char *events[4];     /* ids */
    const char *type;          /* of the events: customer.created */
    const char *row;           /* they are one row, that tells this; empty: without its end */
    uint64_t told;             /* instead of a body */
    int slot_off;              /* added to the right slot */
    const char *sender;
};

/* The commit's bytes; good until the next call. */
struct text wish_bytes(const struct wish *wish);
/* NULL when it is refused, with the reason in `wish_reason`. */
struct command *wish_command(const struct wish *wish);
extern char wish_reason[128];

/* Rows for wishes; good until 64 more have been made. */
struct row_customer *new_customer(const char *id, int64_t version, const char *name);
struct row_attempt *new_attempt(const char *id, int64_t version, const char *state);
struct row_balance_transaction *new_movement(const char *id, int64_t version, int64_t amount,
                                             int64_t fee);
