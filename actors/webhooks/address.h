/* address: where a webhook may go. A merchant names the URL, so without this page a merchant could
 * make us talk to whatever stands behind our own firewall (server-side request forgery).
 *
 * The rule for IPv4 is a table of what is not public; for IPv6 all is refused that is not global
 * unicast, and of that what carries an IPv4 address inside or is set aside. Every address that a
 * name resolves to is asked about, and the connection is made to one that was: a name that answers
 * differently the second time gains nothing. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum address_policy {
    ADDRESS_PUBLIC_ONLY,
    ADDRESS_PRIVATE_TOO, /* loopback and private networks: a developer's machine */
};

/* NULL when we may connect there, else what the address is, in words: "loopback". */
const char *address_refused(const struct sockaddr *address, enum address_policy policy);

/* True when the address belongs to one of this machine's interfaces. Reads them anew. */
bool address_is_own(const struct sockaddr *address);

/* True for ports on which something listens that is not HTTP and might understand a request of ours
 * as a command: mail, SSH, databases, caches. */
bool port_refused(uint16_t port);
