/* webhooks: the handlers of florin-webhooks: tells merchants of what happened.
 *
 * Two and more of these run side by side and share the work through Postgres (outbox.h). The tap of
 * the ledger only wakes us: an event that it loses, or that comes while we are away, stands in the
 * table, and the table is looked at every second anyway.
 *
 *     ledger ──PUB── head ──► turn: mark what ended · dispatch new events · lease what is due ·
 * POST │                  │                     │ └──────────── Postgres ─────────────────┘
 *
 * Each event reaches each endpoint that wants it at least once: a delivery is marked only after the
 * endpoint answered 2xx, and whoever dies before the mark leaves a lease that ends. */
#pragma once

#include "loop.h"

struct webhooks;

struct webhooks *webhooks_new(struct loop *loop, const char *home);
/* Before the loop. */
void webhooks_destroy(struct webhooks **webhooks_p);
