/* front: listens and accepts. The only file that knows civetweb; whatever else can hand out
 * connected sockets can take its place.
 *
 * civetweb 1.15 reads HTTP in ways that cannot be made safe from its callbacks (README.md), and has
 * a thread for each connection. So it listens and accepts, and not one byte that a client sends
 * ever reaches its parser: the socket is taken away from it before. */
#pragma once

#include <stddef.h>

struct front;

/* Takes one connection, on some thread. The socket does not block, and is the taker's to close. */
typedef void front_take_fn(void *state, int fd);

/* NULL when the address cannot be listened at, with one sentence in `error`. */
struct front *front_start(const char *address, int port, front_take_fn *take, void *state,
                          char *error, size_t error_size);
/* Takes no more connections. */
void front_stop(struct front **front_p);
