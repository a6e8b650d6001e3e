/* zap: who is let in. The handler that libzmq asks about every CURVE handshake (RFC 27).
 *
 * It decides by the domain, which is the name of a link, and by the key alone: the key must be one
 * of HOME/keys/public, and the role of the process that bears it must stand in the link's
 * may_connect. The answer's User-Id is the name of that process, and every message of the
 * connection bears it (packet.sender).
 *
 * An unknown key is told to come back (status 300, the connection is dropped in silence), because
 * its file may be about to arrive: libzmq's clients never try again after a 400. */
#pragma once

struct zap;

/* Binds the handler, then serves it on a thread of its own until the context is shut down. Dies
 * with a sentence when the public keys are not to be trusted. */
struct zap *zap_start(void *context, const char *home);
/* Waits for the thread; the context must be shut down. */
void zap_stop(struct zap **zap_p);
