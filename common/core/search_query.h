/* search_query: Stripe's query language, read into clauses.
 *
 *     status:"succeeded" AND amount>=1000 AND -metadata["order"]:null
 *
 * A clause is a field, an operator and a value, perhaps negated by a minus. Clauses are joined by
 * AND (a space says the same) or by OR, not by both; there are no parentheses. What the fields of a
 * resource are, and what may be asked of each, stands in search_fields.def. Here is only what a
 * query says: store_search.c finds the rows. */
#pragma once

#include "must_use.h"
#include "text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEARCH_CLAUSES_MAX 10
#define SEARCH_QUERY_SIZE_MAX 5000
#define SEARCH_SUBSTRING_MIN 3
#define SEARCH_MESSAGE_MAX 512

enum search_kind {
    SEARCH_NUMBER,
    SEARCH_MOMENT,
    SEARCH_TOKEN,
    SEARCH_WORDS,
    SEARCH_FLAG,
    SEARCH_METADATA,
};

struct search_field {
    const char *resource, *name;
    enum search_kind kind;
    const char *column, *path;
    bool indexed;
};
extern const struct search_field search_fields[];
extern const size_t search_field_count;
bool search_is_for(const char *resource); /* any field of that resource is known */

enum search_comparison {
    SEARCH_IS,
    SEARCH_CONTAINS,
    SEARCH_ABOVE,
    SEARCH_BELOW,
    SEARCH_AT_LEAST,
    SEARCH_AT_MOST,
    SEARCH_IS_ABSENT, /* :null */
};

struct search_clause {
    const struct search_field *field;
    enum search_comparison comparison;
    bool negated;
    struct text key;   /* METADATA */
    struct text value; /* TOKEN, WORDS, METADATA: its escapes undone */
    int64_t number;    /* NUMBER, MOMENT; FLAG: 0 or 1 */
};

struct search_query {
    bool any; /* OR: one clause is enough */
    size_t count;
    struct search_clause clauses[SEARCH_CLAUSES_MAX];
};

/* Texts of the clauses go into `memory`, which holds text.size bytes. False: `message` says what is
 * wrong, in words for the client. */
MUST_USE bool search_parse(const char *resource, struct text text, char *memory,
                           struct search_query *query, char message[static SEARCH_MESSAGE_MAX]);
