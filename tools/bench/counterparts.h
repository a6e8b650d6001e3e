/* counterparts: the two servers that a measurement needs beside Florin. Both serve until SIGTERM.
 *
 * The yardstick is civetweb with a constant body: what an HTTP server can do that does nothing
 * else. The sink is a hundred merchants' servers in one thread: it takes what webhooks post, except
 * what goes to a path that begins with /hang, which it never answers; at the end a line of JSON
 * says how long after its event each post came. An event's id begins with its time, a little before
 * its commit. */
#pragma once

#include <stdint.h>

int yardstick_serve(uint16_t port, unsigned threads, unsigned body_bytes);
int sink_serve(uint16_t port);
