/* front: listens, accepts, and gives each connection a thread of its own. The only file that knows
 * civetweb; whatever else can hand out connected sockets can take its place.
 *
 * civetweb 1.15 reads HTTP in ways that cannot be made safe from its callbacks (README.md), so it
 * listens, keeps the threads and closes the connections, and not one byte that a client sends ever
 * reaches its parser. */
#pragma once

#include <stddef.h>

struct front;

/* Serves one connection to its end, on a thread of its own. The socket does not block; it stays
 * front's, which closes it afterwards. */
typedef void front_serve_fn(void *state, int fd);

/* NULL when the address cannot be listened at, with one sentence in `error`. */
struct front *front_start(const char *address, int port, int threads, front_serve_fn *serve,
                          void *state, char *error, size_t error_size);
/* Takes no more connections and waits until all that are served have ended. */
void front_stop(struct front **front_p);
