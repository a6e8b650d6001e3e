/* lookup: the addresses of a host, found without holding up the loop.
 *
 * getaddrinfo blocks, so each lookup has a thread, which ends with it; the answer comes back
 * through a pipe that the loop watches. All addresses of the host are checked (address.h): when one
 * of them may not be talked to, none may, since whoever mixes them means no good. */
#pragma once

#include "address.h"
#include "loop.h"
#include "must_use.h"
#include "target.h"
#include <stdbool.h>
#include <stddef.h>

#define LOOKUP_ADDRESSES_MAX 8 /* tried in their order; more are checked, but not tried */
#define LOOKUP_ERROR_SIZE 256

struct lookups;
struct lookup;

struct addresses {
    size_t count; /* 0: `error` says why */
    struct sockaddr_storage at[LOOKUP_ADDRESSES_MAX];
    char error[LOOKUP_ERROR_SIZE];
};

typedef void lookup_fn(void *state, const struct addresses *addresses);

struct lookups *lookups_new(struct loop *loop, enum address_policy policy);
/* Threads that are still at it are left behind: for the end of the process. */
void lookups_destroy(struct lookups **lookups_p);

/* Starts one. `on_found` is called later, from the loop, unless it is cancelled first. NULL when no
 * thread can be had. */
MUST_USE struct lookup *lookup_start(struct lookups *lookups, const struct target *target,
                                     lookup_fn *on_found, void *state);
void lookup_cancel(struct lookup **lookup_p);
