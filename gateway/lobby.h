/* lobby: all connections, and where they wait.
 *
 * A connection whose client has sent nothing, or not all of a request, or has not taken all of its
 * answer, costs a descriptor and a few words here. It takes a seat when there is something to do: a
 * fiber, on which its requests are read, handled and answered while others have theirs. So ten
 * thousand who are silent or slow take nothing from those who are not.
 *
 * What came of a request that is not whole, and what is left of an answer, is kept here, within a
 * bound for all of them together. When there are more bytes or more connections than there may be,
 * those go that have waited longest: of the connections first who asks nothing. */
#pragma once

#include "http.h"
#include "loop.h"

struct lobby;

/* At most `seats_max` requests are under way at once, each in a seat that is made when it is first
 * of use; who finds none waits in a row. `server` stays the caller's. */
struct lobby *lobby_new(struct loop *loop, const struct http_server *server, unsigned seats_max,
                        unsigned connections_max);
/* From any thread: the connection, which does not block, is the lobby's from now on. All else is
 * for the loop's thread. */
void lobby_take(void *lobby, int fd);
/* Once a turn. Returns in how many milliseconds it wants the next one. */
int64_t lobby_turn(struct lobby *lobby, int64_t mono_ms);
/* From now on nobody is waited for who asks nothing. */
void lobby_drain(struct lobby *lobby);
/* How many are in the middle of a request or an answer; once we drain, of those that began before:
 * what comes while we leave is refused at once and is not waited for, because under load there
 * would always be some of it. */
unsigned lobby_busy(const struct lobby *lobby);
/* When no request is under way, and nobody takes connections any more. Closes all that wait. */
void lobby_destroy(struct lobby **lobby_p);
