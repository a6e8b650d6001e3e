/* outbox: what the webhooks know for certain, in Postgres: which events there are (table `outbox`),
 * how far they have been turned into deliveries (`dispatch`), and what became of each delivery
 * (`delivery`, `delivery_try`).
 *
 * Several processes work on the same tables. A delivery belongs to whoever has leased it: the lease
 * is a name and a time, and as long as it lasts the row is not due. A process that was paused past
 * its lease finds that its mark no longer fits, and what it did is then only one of "at least
 * once".
 *
 * Statements are short and synchronous. When one fails the connection is given up, and made anew by
 * outbox_ready after a while; whoever asked then knows nothing and asks again. */
#pragma once

#include "endpoints.h"
#include "event_body.h"
#include "must_use.h"
#include "text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTBOX_LEASE_MAX 32      /* deliveries in one statement */
#define OUTBOX_DISPATCH_MAX 1000 /* events in one transaction */
#define OUTBOX_SCAN_MAX 2000     /* endpoints in one scan */
#define OUTBOX_ERROR_MAX 255

struct outbox;

/* `name` is the process's, as in webhooks-1; `incarnation` tells its lives apart. */
struct outbox *outbox_new(const char *home, int partition, const char *name, uint64_t incarnation);
void outbox_destroy(struct outbox **outbox_p);

/* Connects when that is due. False while Postgres is out of reach, outbox_trouble says why. After
 * a new connection, what earlier lives of this process had leased is due again. */
MUST_USE bool outbox_ready(struct outbox *outbox, struct moment now);
const char *outbox_trouble(const struct outbox *outbox);

/* Looks at the events behind the cursor; in one transaction, moves it behind them and inserts a
 * delivery for each endpoint that wants one. `on_delivery` is told of each endpoint that may have
 * got one. `*more`: they were as many as are looked at at once. */
enum dispatch_verdict {
    DISPATCH_FAILED,
    DISPATCH_NOTHING,   /* there was no new event */
    DISPATCH_LEFT,      /* there were, nobody wants them, and another process moves the cursor */
    DISPATCH_UNWANTED,  /* there were, nobody wants them, and the cursor stands behind them */
    DISPATCH_WANTED,    /* somebody does */
    DISPATCH_OVERTAKEN, /* another process is at it, and may have seen fewer: look again */
};                      /* the most telling last */
typedef void outbox_endpoint_fn(void *state, const char *endpoint, int64_t due_wall_ms);
MUST_USE enum dispatch_verdict outbox_dispatch(struct outbox *outbox, struct moment now,
                                               outbox_endpoint_fn *on_delivery, void *state,
                                               bool *more);
/* The last event that this process knows to have been dispatched. */
int64_t outbox_cursor(const struct outbox *outbox);

/* Makes deliveries due again that somebody wishes to be (table resend). */
MUST_USE bool outbox_resend(struct outbox *outbox, struct moment now,
                            outbox_endpoint_fn *on_delivery, void *state);

/* Tells of the endpoints that have something pending, and when the first of it is due. Takes up
 * where the last scan ended when there are more than fit into one. */
MUST_USE bool outbox_scan(struct outbox *outbox, outbox_endpoint_fn *on_pending, void *state);

/* A delivery that is ours until its lease ends. Texts are borrowed until the callback returns. */
struct leased {
    int64_t sequence, lease_until_ms, tries; /* tries so far */
    const char *endpoint;
    struct event event;
    const char *url;
    struct text secret;
    bool enabled; /* the endpoint is still there and wants to hear */
};
typedef void outbox_leased_fn(void *state, const struct leased *leased);
/* `found[i]` is set to how many of wants[i] there were. */
MUST_USE bool outbox_lease(struct outbox *outbox, struct moment now, int64_t lease_ms,
                           const struct endpoint_want *wants, size_t count, int *found,
                           outbox_leased_fn *on_leased, void *state);

enum delivery_state { DELIVERY_PENDING, DELIVERY_DELIVERED, DELIVERY_FAILED };

/* What came of one try. */
struct mark {
    int64_t sequence, lease_until_ms; /* as leased: compared */
    const char *endpoint;
    enum delivery_state state;
    int64_t number;  /* of the try, from 1 */
    int64_t next_ms; /* wall: when it is tried again */
    int64_t at_ms, duration_ms;
    int status;                       /* HTTP; 0: none came */
    char error[OUTBOX_ERROR_MAX + 1]; /* in words; empty: delivered */
};
/* All in one statement. `*lost` is how many were not ours any more: nothing was written of those.
 */
MUST_USE bool outbox_mark(struct outbox *outbox, const struct mark *marks, size_t count,
                          size_t *lost);

/* Nothing is to be sent there any more: all that is pending has failed. */
MUST_USE bool outbox_abandon(struct outbox *outbox, const char *endpoint, int status);
/* At the end of the process: what it still has leased is due at once, for others. */
void outbox_release(struct outbox *outbox, struct moment now);
