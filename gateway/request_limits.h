/* request_limits: how many requests an account and a key may make in a second, and how many of an
 * account may be under way at once (settings.def: account_rate, key_rate, account_concurrency); and
 * how many the pages of payers may make (page_rate, pages_rate).
 *
 * The buckets of tokens are in Redis, where all gateways draw from them, some tokens at a time:
 * most requests cost no question. When Redis is away or late, each gateway fills buckets of its own
 * at the same rate: a limit is kept then too, by each gateway for itself. What cannot be counted
 * (no room for one more account) is let through. */
#pragma once

#include "arena.h"
#include "must_use.h"
#include "mux.h"
#include "settings.h"
#include "text.h"
#include <stdint.h>

struct limits;
struct limit_place; /* what is known of one account */

/* In order of precedence: the first that is reached is what is said. */
enum limit {
    LIMIT_NONE,
    LIMIT_ACCOUNT_CONCURRENCY,
    LIMIT_ACCOUNT_RATE,
    LIMIT_KEY_RATE,
    LIMIT_PAGE_RATE,
    LIMIT_PAGES_RATE,
    LIMIT_COUNT
};

struct limits *limits_new(const struct settings *settings, struct mux *mux);
void limits_destroy(struct limits **limits_p);

/* One more request. On LIMIT_NONE it counts as under way until limits_leave(*inside), which is NULL
 * where nobody counts, and on every other verdict; then `*again_ms` says in how many milliseconds
 * to come again. `key` is the key's hash. Inside a fiber, of whose arena it may take. */
MUST_USE enum limit limits_enter(struct limits *limits, struct text account, struct text key,
                                 struct arena *arena, struct limit_place **inside,
                                 int64_t *again_ms);
void limits_leave(struct limit_place *inside);
/* One more request of a payer's page: of a checkout session or a challenge, by its id. It needs no
 * key, so it counts for that page and for all pages together, and never for an account: what
 * strangers do takes nothing from a merchant's own limits. Nothing is to be left afterwards. */
MUST_USE enum limit limits_enter_page(struct limits *limits, struct text page, struct arena *arena,
                                      int64_t *again_ms);
