/* http: the requests of one connection, one after the other.
 *
 * Reads each head strictly and each body whole, under one deadline that begins with its first byte;
 * then asks its handler, and writes the answer in one piece. What came is wiped once it is answered,
 * whatever it was. After anything that could leave doubt
 * about where the next request begins, the connection is closed. */
#pragma once

#include "arena.h"
#include "http_head.h"
#include <stdbool.h>
#include <stdint.h>

/* One request and its answer. All of it is gone when the next one begins. */
struct http_exchange {
    struct http_head head;
    char *body; /* head.length bytes: a slice of the connection's buffer */
    struct arena *arena;
    int64_t began_ms, deadline_ms; /* of the monotonic clock */
    bool closes;                   /* the answer says so, and it is so */
    struct text answer;            /* set by the handler: head and body, ready to be sent */
};

struct http_server {
    int64_t timeout_ms; /* for one whole request */
    uint64_t body_max;
    void (*handle)(void *state, struct http_exchange *exchange);
    /* What cannot be read is answered too; `exchange->head` is not to be looked at. */
    void (*refuse)(void *state, struct http_exchange *exchange, int status, const char *message);
    void *state;
};

/* Serves one connection to its end: as of front_serve_fn, with a struct http_server. */
void http_serve(void *server, int fd);

/* From now on connections close after the request that they are at; idle ones at once. */
void http_drain(void);
bool http_draining(void);
/* How many requests are being read, handled or answered. */
unsigned http_busy(void);
/* Above this many connections, none is kept for a next request. */
void http_limit_connections(unsigned count);
