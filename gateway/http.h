/* http: the requests of one connection, one after the other, for as long as they come.
 *
 * Reads each head strictly and each body whole, under one deadline that begins with its first byte;
 * then asks its handler, and writes the answer in one piece. What came is wiped once it is
 * answered, whatever it was. After anything that could leave doubt about where the next request
 * begins, the connection is closed.
 *
 * A thread is for work: it waits for a client some milliseconds at most. A connection whose client
 * takes longer to send or to read is given back with what it has (lobby.h keeps it meanwhile). */
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
    bool hurried;       /* whatever is not answered at once, without waiting, is to be refused */
    struct text answer; /* set by the handler: head and body, ready to be sent */
};

struct http_server {
    int64_t timeout_ms; /* for one whole request */
    uint64_t body_max;
    void (*handle)(void *state, struct http_exchange *exchange);
    /* What cannot be read is answered too; `exchange->head` is not to be looked at. */
    void (*refuse)(void *state, struct http_exchange *exchange, int status, const char *message);
    /* More requests than there are would be refused now. */
    bool (*is_full)(void *state);
    void *state;
};

/* What a connection is given back with, and comes with. */
struct http_visit {
    int fd;
    char *begun; /* of a request that is not whole; owned: http_forget */
    size_t begun_size, begun_cap;
    size_t need;      /* how many bytes make it whole; 0: its head is not whole either */
    int64_t began_ms; /* when its first byte came; 0: nothing came */
    bool continued;   /* its client was told to go on */
    bool expected;    /* counted as busy: http_expect */
    bool hurried;     /* whoever serves it waits for nothing, its client neither */
    char *rest;       /* of an answer that the client has not taken yet; owned too */
    size_t rest_size;
    bool over; /* when the rest is sent, the connection is */
};

enum http_stay {
    HTTP_OVER,    /* to be closed at once */
    HTTP_WAITS,   /* for more bytes of its client */
    HTTP_SENDS,   /* `rest`, then as `over` says */
    HTTP_FAREWELL /* to be closed when the client has had time to read */
};

/* Serves the requests that are there, and those that follow at once. Whoever calls it has called
 * http_expect before. */
enum http_stay http_serve(const struct http_server *server, struct http_visit *visit);
/* A request is about to be served: it counts as busy from now on. But what comes while we leave is
 * refused at once and is not waited for: under load there would always be some of it. */
void http_expect(struct http_visit *visit);
/* Whether a thread has something to do with these first bytes of a request. Sets visit->need once
 * the head is whole. */
bool http_is_ready(const struct http_server *server, struct http_visit *visit, const char *bytes,
                   size_t size);
/* Until when the request must be whole. */
int64_t http_deadline_ms(const struct http_server *server, const struct http_visit *visit);
/* Wipes and frees what it owns. The descriptor stays. */
void http_forget(struct http_visit *visit);

/* From now on connections close after the request that they are at; idle ones at once. */
void http_drain(void);
bool http_draining(void);
/* How many requests are being read, handled or answered. */
unsigned http_busy(void);
/* Above this many threads at work, none waits for a next request. */
void http_limit_waiting(unsigned count);
/* Readable once draining. */
int http_drain_fd(void);
