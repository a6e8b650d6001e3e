/* target: the URL of an endpoint, taken apart, and what of it is refused before anything is looked
 * up: other schemes than http and https, a user name or password, an IPv6 zone, ports on which
 * something else than HTTP listens. */
#pragma once

#include "must_use.h"
#include <stdbool.h>
#include <stdint.h>

#define TARGET_HOST_MAX 255

struct target {
    char host[TARGET_HOST_MAX + 1]; /* in ASCII; an IPv6 address without its brackets */
    bool literal_ipv6;
    uint16_t port;
};

/* NULL when it may be tried, else why not, in words. */
MUST_USE const char *target_read(const char *url, struct target *target);
