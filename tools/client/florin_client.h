/* florin_client: Florin for internal services, over ZeroMQ instead of HTTP.
 *
 * A service has a name of its own, ROLE-INSTANCE (`client-1`), with a CURVE key pair in
 * HOME/keys/NAME.key and its public key among HOME/keys/public; florin.conf there is the
 * instance's. Its role says which messages it may send (common/proto/messages.def) and to whom it
 * may connect (links.def). There is no further password: the key is the identity.
 *
 *     struct florin_client *client = florin_client_open("/var/lib/florin", "client-1");
 *     const struct msg_health health = {0};
 *     struct florin_answer answer;
 *     if (florin_client_ask(client, MSG_health, &health, NO_TEXT, NULL, 2000, &answer) ==
 * FLORIN_ANSWERED) … florin_client_close(&client);
 *
 * example.c makes a payment with it. One thread at a time may use a client.
 *
 * An answer that does not come in time says nothing about what was done: ask again with the same
 * Idempotency-Key, and nothing happens twice. */
#pragma once

#include "message.h"
#include "must_use.h"
#include "node.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct florin_client;

enum florin_result {
    FLORIN_SILENT,   /* no answer in time: what was asked may have been done */
    FLORIN_ABSENT,   /* nobody was there to ask: nothing was done */
    FLORIN_REFUSED,  /* the answer is a `refused`: nothing was done */
    FLORIN_ANSWERED, /* the answer is here */
};

/* Borrows from the client: gone with its next question. */
struct florin_answer {
    const char *from; /* name of the process that answered */
    uint16_t number;  /* enum message_number */
    const uint8_t *body;
    size_t size;
};

/* Where a question goes when the usual place is not meant. */
struct florin_target {
    enum link_number link;
    int instance; /* 0: all that may have it (both ledgers of the partition); the first answer
                     counts */
};

/* The process ends with one plain sentence when the keys are missing or not safe. */
struct florin_client *florin_client_open(const char *home, const char *name);
void florin_client_close(struct florin_client **client_p);

/* The link over which this role sends that message; false when it may not send it at all. */
bool florin_client_route(const struct florin_client *client, uint16_t number,
                         struct florin_target *target);

/* Sends one message and waits for its answer. `merchant` decides the slot that it is routed by;
 * NO_TEXT when the message is of no merchant. `target` may be NULL: the usual place. */
MUST_USE enum florin_result florin_client_ask(struct florin_client *client, uint16_t number,
                                              const void *body, struct text merchant,
                                              const struct florin_target *target,
                                              int64_t timeout_ms, struct florin_answer *answer);

/* The answer as a struct of messages.def. False when it is another message or malformed. */
MUST_USE bool florin_answer_read(const struct florin_answer *answer, uint16_t number, void *body);

/* One call of the public API: `route` is a row of routes.def, `form` its parameters as they would
 * stand in an HTTP body (`amount=2000&currency=usd`), `object` the id in the path or NULL, `key` an
 * Idempotency-Key or NULL. On FLORIN_ANSWERED, `api` is what an HTTP client would have got; on
 * FLORIN_REFUSED, `refused` says why, which may also be that the form is malformed. */
struct florin_call {
    const char *merchant, *route, *object, *form, *key;
};
MUST_USE enum florin_result florin_client_call(struct florin_client *client,
                                               const struct florin_call *call, int64_t timeout_ms,
                                               struct msg_api_answer *api,
                                               struct msg_refused *refused);

/* What stands in an api_request beside its parameters: `POST /v1/refunds` for a row of routes.def
 * (false when there is none or it does not fit), and the hash that tells one request under a key
 * from another. It is keyed by this client's own secret, so that it tells nobody what was in the
 * request; a key that is used here is therefore not one to be used over HTTP too. */
MUST_USE bool florin_request_path(struct text route, struct text object, char *path, size_t cap);
void florin_request_hash(const struct florin_client *client, const char *path, struct text params,
                         uint8_t hash[static 32]);

/* Events as the ledgers publish them, from now on. Calls `on_event` for each within `wait_ms`;
 * returns when something was heard or the time is over. Sequences have no gaps within a partition
 * (partition.h), and say nothing between two. Roles monitor and operator may. */
typedef void florin_event_fn(void *state, int partition, const struct msg_event_published *event);
void florin_client_listen(struct florin_client *client, florin_event_fn *on_event, void *state,
                          int64_t wait_ms);
