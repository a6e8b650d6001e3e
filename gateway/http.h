/* http: the requests of one connection, one after the other, for as long as they come.
 *
 * Reads each head strictly and each body whole, under one deadline that begins with its first byte;
 * then asks its handler, and writes the answer in one piece. What came is wiped once it is
 * answered, whatever it was. After anything that could leave doubt about where the next request
 * begins, the connection is closed.
 *
 * Nothing here waits for a client: it reads what is there, writes what is taken, and gives the
 * connection back (lobby.h keeps it meanwhile). Only the handler may wait, for other processes, on
 * the fiber that it is called on. */
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
    /* More requests than there are would be refused now. */
    bool (*is_full)(void *state);
    void *state;
};

/* What a connection is given back with, and comes with. */
struct http_visit {
    int fd;
    bool news;   /* something may have come that was not read */
    bool ends;   /* and after it the end: what is there is read until it is met */
    char *begun; /* of requests that are not answered; owned: http_forget */
    size_t begun_size, begun_cap;
    size_t need;      /* how many bytes make the first of them whole; 0: its head is not whole */
    int64_t began_ms; /* when its first byte came; 0: nothing came */
    bool continued;   /* its client was told to go on */
    char *rest;       /* of an answer that the client has not taken yet; owned too */
    size_t rest_size;
    bool over; /* when the rest is sent, the connection is */
};

enum http_stay {
    HTTP_OVER,    /* to be closed at once */
    HTTP_WAITS,   /* for more bytes of its client */
    HTTP_MORE,    /* it has more to be done, and others are due before it */
    HTTP_SENDS,   /* `rest`, then as `over` says */
    HTTP_FAREWELL /* to be closed when the client has had time to read */
};

/* What a request is worked on with: memory that is used again for the next one. */
struct http_desk {
    char *bytes; /* HTTP_DESK_BYTES; what does not fit is taken for that request alone */
    struct arena *arena;
};
#define HTTP_DESK_BYTES 16384

void http_desk_open(struct http_desk *desk);
void http_desk_close(struct http_desk *desk);

/* Serves the requests that are there. The visit and the desk are its own while the handler waits,
 * but for `news` and `ends`, which may be set meanwhile. */
enum http_stay http_serve(const struct http_server *server, struct http_visit *visit,
                          struct http_desk *desk);
/* Until when the request must be whole. */
int64_t http_deadline_ms(const struct http_server *server, const struct http_visit *visit);
/* Wipes and frees what it owns. The descriptor stays. */
void http_forget(struct http_visit *visit);

/* From now on connections close after the request that they are at. */
void http_drain(void);
bool http_draining(void);
