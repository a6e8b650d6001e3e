/* lobby: where connections wait.
 *
 * A connection whose client has sent nothing, or not all of a request, or has not taken all of its
 * answer, costs a descriptor and a few words here, and no thread. A thread gets it when there is
 * something to do: a request that is whole, or one that will never be. So ten thousand who are
 * silent or slow take nothing from those who are not.
 *
 * What has come of a request stays in the kernel until it is whole; what had been read of it, and
 * what is left of an answer, is kept here, within a bound for all of them together. When there are
 * more connections than there may be, those go that have waited longest: first who asks nothing. */
#pragma once

#include "http.h"

struct lobby;

/* Serves with that many threads, each started when it is first of use. `server` stays the
 * caller's. */
struct lobby *lobby_new(const struct http_server *server, unsigned threads,
                        unsigned connections_max);
/* From any thread: the connection, which does not block, is the lobby's from now on. */
void lobby_take(void *lobby, int fd);
/* How many wait in the middle of a request or an answer; once we drain, of those that began before.
 */
unsigned lobby_busy(struct lobby *lobby);
/* Ends the threads, then closes all that wait. */
void lobby_destroy(struct lobby **lobby_p);
