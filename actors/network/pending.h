/* pending: authorizations whose card the vault was asked for, and who waits for each. In memory
 * alone: when the process dies nothing has happened, and nobody was told anything.
 *
 * Whoever asks about a reference that is pending (the same authorization again, or an inquiry)
 * joins its waiters: "not found" would be wrong a moment later. */
#pragma once

#include "loop.h"
#include "must_use.h"
#include "text.h"
#include <stdbool.h>
#include <stdint.h>

#ifndef PENDING_MAX /* the simulator makes it small */
#define PENDING_MAX 16384
#endif
#define WAITERS_MAX 8

struct waiter {
    struct peer peer;
    uint16_t slot;
    uint64_t correlation;
    uint64_t operation;
};

/* The authorization as it came; what is checked by the issuer was only noted as given or not. */
struct pending {
    char reference[64], merchant[64], token[64], cvc[64], original[64], currency[4];
    int64_t amount;
    uint64_t operation; /* authorize or verify */
    bool absent, set_up;
    int three_d_secure;
    bool capture, code_given, postal_given, line1_given;

    bool used, sent;      /* sent: the vault has the question */
    uint64_t correlation; /* of that question */
    int64_t end_ms;       /* when it is given up */
    int64_t send_ms;      /* not sent: when it is tried again */
    struct waiter waiters[WAITERS_MAX];
    int waiter_count;

    uint32_t same_bucket, older, newer;
};

struct pendings;

struct pendings *pendings_new(void);
void pendings_destroy(struct pendings **pendings_p);

/* Cleared but for its reference and its correlation; NULL when there are too many. They are given
 * up in the order in which they came: `end_ms` is the same distance away for all. */
struct pending *pendings_add(struct pendings *pendings, struct text reference);
struct pending *pendings_find(struct pendings *pendings, struct text reference);
struct pending *pendings_asked(struct pendings *pendings, uint64_t correlation);
/* Wipes it. */
void pendings_remove(struct pendings *pendings, struct pending *pending);
/* The oldest, or the one that came after `pending`; NULL at the end. */
struct pending *pendings_oldest(struct pendings *pendings);
struct pending *pendings_newer(struct pendings *pendings, const struct pending *pending);
uint32_t pendings_count(const struct pendings *pendings);

/* False when too many wait for it already. */
MUST_USE bool pending_wait(struct pending *pending, const struct waiter *waiter);
