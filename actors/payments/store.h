/* store: rows as the handlers read them. What was read or written lately is kept in memory (this
 * worker is the only one to write its merchants' rows), the rest is read from Postgres, from the
 * primary, by index. Behind this page is Postgres here and memory in the simulator. */
#pragma once

#include "arena.h"
#include "must_use.h"
#include "row.h"
#include "search_query.h"
#include <stdbool.h>

struct store;

enum store_verdict { STORE_UNAVAILABLE, STORE_MISSING, STORE_FOUND };

/* Address fields that an authorization sends along and nobody keeps. */
struct network_extras {
    struct text cvc, postal_code, line1;
};

MUST_USE enum store_verdict store_get(struct store *store, enum row_table table,
                                      struct text merchant, struct text id, struct arena *arena,
                                      void *row);

/* A page of a list, newest first. Filters are column = value; at most 4. */
struct store_filter {
    const char *column; /* name in rows.def */
    struct text value;
};
struct store_page {
    struct store_filter filters[4];
    size_t filter_count;
    struct text after;  /* ids below it: starting_after */
    struct text before; /* ids above it: ending_before; the page nearest to it, newest first */
    struct text id_least, id_below; /* range of ids, from `created` bounds; NO_TEXT: none */
    const char *without;            /* a FLAG column that must be false (deleted), or NULL */
    int limit;                      /* 1..100 */
};
/* Sets *rows to an array of `*count` row structs (at most limit) in the arena, *more to whether
 * there are others beyond. */
MUST_USE enum store_verdict store_list(struct store *store, enum row_table table,
                                       struct text merchant, const struct store_page *page,
                                       struct arena *arena, void **rows, size_t *count, bool *more);

/* How many rows the filters of the page leave; no more than `max` are counted. */
MUST_USE enum store_verdict store_count(struct store *store, enum row_table table,
                                        struct text merchant, const struct store_page *page,
                                        size_t max, struct arena *arena, size_t *count);

/* What fits a query, newest first. */
struct store_search {
    const struct search_query *query;
    const char *without; /* a FLAG column that must be false, or NULL */
    struct text after;   /* ids below it: `next` of the page before */
    int limit;           /* 1..100 */
};
/* As store_list. *next: where the following page goes on, NO_TEXT when there is none. A page that
 * has one may be short all the same, or empty: looking at rows is bounded, too. */
MUST_USE enum store_verdict store_search(struct store *store, enum row_table table,
                                         struct text merchant, const struct store_search *search,
                                         struct arena *arena, void **rows, size_t *count,
                                         struct text *next);

/* The balance accounts of a merchant: amounts as the merchant sees them (what we owe is above 0).
 */
struct store_balance {
    struct text currency;
    int64_t pending, available;
};
MUST_USE enum store_verdict store_balances(struct store *store, struct text merchant,
                                           struct arena *arena, struct store_balance **balances,
                                           size_t *count);

/* Events live in the outbox, not in rows.def. */
struct store_event {
    struct text id, merchant, type, object, data, previous, api_version, request, key;
    int64_t created, sequence;
    int64_t pending_webhooks; /* deliveries that have not succeeded yet, or endpoints still to be
                                 told */
};
struct store_event_page {
    struct text after, before, id_least, id_below;
    struct text types[20]; /* any of them; a trailing * is a prefix */
    size_t type_count;
    int delivery_success; /* -1 any, 0 failed or pending somewhere, 1 delivered to all */
    int limit;
};
MUST_USE enum store_verdict store_event(struct store *store, struct text merchant, struct text id,
                                        struct arena *arena, struct store_event *event);
MUST_USE enum store_verdict store_events(struct store *store, struct text merchant,
                                         const struct store_event_page *page, struct arena *arena,
                                         struct store_event **events, size_t *count, bool *more);
