#include "http.h"

#include "clock.h"
#include "failpoint.h"
#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    REFUSED_MS_MAX = 500, /* for a request that will be refused because the process ends */
    HEAD_MS_MAX = 10000,  /* a head comes at once or not at all */
    SERVED_MAX = 16,      /* requests of one connection in a row, while others are due */
    ARENA_BYTES_MAX = 128 << 20,
};

static bool draining;

struct connection {
    int fd;
    char *bytes; /* what has come and is not yet handled */
    size_t size, cap;
    bool owned; /* the bytes; else they are the desk's */
    const struct http_server *server;
    struct http_visit *visit;
    struct http_desk *desk;
};

void
http_drain(void)
{
    draining = true;
}

bool
http_draining(void)
{
    return draining;
}

/* --- bytes in and out ----------------------------------------------------------------------------
 */

void
http_desk_open(struct http_desk *desk)
{
    desk->bytes = malloc(HTTP_DESK_BYTES);
    assert(desk->bytes); /* memory is over: the process ends, the supervisor starts another */
    desk->arena = arena_new(ARENA_BYTES_MAX);
}

void
http_desk_close(struct http_desk *desk)
{
    free(desk->bytes);
    arena_destroy(&desk->arena);
}

/* Gives the buffer up; what is not in use was wiped before. */
static void
release(struct connection *c)
{
    if (c->size) sodium_memzero(c->bytes, c->size);
    if (c->owned) free(c->bytes);
    c->bytes = NULL;
    c->cap = 0;
}

/* Not by realloc, which would leave what it copied where it was. */
static void
move_to(struct connection *c, size_t cap)
{
    char *bytes = malloc(cap);
    assert(bytes);
    assert(c->size <= cap);
    if (c->size) memcpy(bytes, c->bytes, c->size);
    release(c);
    c->bytes = bytes;
    c->cap = cap;
    c->owned = true;
}

/* What its visit was given back with, or the desk's. */
static void
open_bytes(struct connection *c)
{
    struct http_visit *visit = c->visit;
    c->owned = visit->begun;
    c->bytes = c->owned ? visit->begun : c->desk->bytes;
    c->cap = c->owned ? visit->begun_cap : HTTP_DESK_BYTES;
    c->size = visit->begun_size;
    visit->begun = NULL;
    visit->begun_size = visit->begun_cap = 0;
}

static void
close_bytes(struct connection *c)
{
    struct http_visit *visit = c->visit;
    if (c->size == 0) {
        release(c);
        return;
    }
    if (!c->owned) move_to(c, c->size); /* it may be there for long: it takes what it needs */
    visit->begun = c->bytes;
    visit->begun_size = c->size;
    visit->begun_cap = c->cap;
}

enum received {
    RECEIVED_SOME,
    RECEIVED_END,
    RECEIVED_LATE,    /* the deadline is over */
    RECEIVED_NOTHING, /* not yet */
};

/* More bytes, at most up to `limit` in all. Memory grows with what came, never with what was said.
 */
static enum received
receive(struct connection *c, size_t limit, int64_t deadline_ms)
{
    struct http_visit *visit = c->visit;
    assert(c->size < limit);
    while (visit->news) {
        if (c->size == c->cap) move_to(c, 2 * c->cap);
        const size_t room = (c->cap < limit ? c->cap : limit) - c->size;
        const ssize_t count = recvfrom(c->fd, c->bytes + c->size, room, MSG_DONTWAIT, NULL, NULL);
        if (count > 0) {
            c->size += (size_t)count;
            /* Less than there was room for was all. What comes later is told anew; but the end,
             * which may have come at once, is not. */
            if ((size_t)count < room && !visit->ends) visit->news = false;
            return RECEIVED_SOME;
        }
        if (count < 0 && errno == EINTR) continue;
        visit->news = false;
        if (count == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) return RECEIVED_END;
    }
    return clock_mono_ms() >= deadline_ms ? RECEIVED_LATE : RECEIVED_NOTHING;
}

/* What the client takes of it at once; less than all when it is slow. False: it is gone. */
static bool
send_some(struct connection *c, struct text *bytes)
{
    while (bytes->size) {
        const ssize_t count = send(c->fd, bytes->at, bytes->size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count > 0) {
            bytes->at += count;
            bytes->size -= (size_t)count;
        } else if (count < 0 && errno != EINTR) {
            return errno == EAGAIN || errno == EWOULDBLOCK;
        }
    }
    return true;
}

/* How the connection stays after its answer. */
static enum http_stay
send_answer(struct connection *c, const struct http_exchange *x)
{
    struct text bytes = x->answer;
#ifdef FLORIN_FAILPOINTS
    struct text half = {bytes.at, bytes.size / 2};
    if (!send_some(c, &half)) return HTTP_OVER;
    bytes.size -= (size_t)(half.at - bytes.at);
    bytes.at = half.at;
#endif
    FAILPOINT(gateway_mid_reply);
    if (!send_some(c, &bytes)) return HTTP_OVER;
    if (!bytes.size) return x->closes ? HTTP_FAREWELL : HTTP_WAITS;
    c->visit->rest = malloc(bytes.size);
    assert(c->visit->rest);
    memcpy(c->visit->rest, bytes.at, bytes.size);
    c->visit->rest_size = bytes.size;
    c->visit->over = x->closes;
    return HTTP_SENDS;
}

/* --- one request ---------------------------------------------------------------------------------
 */

static void
refuse(struct connection *c, struct http_exchange *x, int status, const char *message)
{
    x->closes = true;
    c->server->refuse(c->server->state, x, status, message);
}

/* What came of reading a part of a request. */
enum reading { READ_WHOLE, READ_REFUSED, READ_NOT_YET };

/* `*used` is the size of the head. */
static enum reading
read_head(struct connection *c, struct http_exchange *x, size_t *used)
{
    const int64_t deadline_ms = http_deadline_ms(c->server, c->visit);
    for (;;) {
        struct text culprit;
        const enum http_verdict verdict =
            http_head_read(c->bytes, c->size, &x->head, used, &culprit);
        if (verdict == HTTP_OK) return READ_WHOLE;
        if (verdict != HTTP_INCOMPLETE) {
            refuse(c, x, http_verdict_status(verdict), http_verdict_message(verdict));
            return READ_REFUSED;
        }
        assert(c->size < HTTP_HEAD_MAX);
        switch (receive(c, HTTP_HEAD_MAX, deadline_ms)) {
        case RECEIVED_SOME: break;
        case RECEIVED_END:
            refuse(c, x, 400, "The request ended within its head.");
            return READ_REFUSED;
        case RECEIVED_LATE:
            refuse(c, x, 408, "The request did not come in time.");
            return READ_REFUSED;
        case RECEIVED_NOTHING: return READ_NOT_YET;
        }
    }
}

/* The body up to its end. */
static enum reading
read_up_to(struct connection *c, struct http_exchange *x, size_t end)
{
    while (c->size < end)
        switch (receive(c, end, x->deadline_ms)) {
        case RECEIVED_SOME: break;
        case RECEIVED_END:
            refuse(c, x, 400, "The body of the request is shorter than its Content-Length.");
            return READ_REFUSED;
        case RECEIVED_LATE:
            refuse(c, x, 408, "The body of the request did not come in time.");
            return READ_REFUSED;
        case RECEIVED_NOTHING: return READ_NOT_YET;
        }
    return READ_WHOLE;
}

static enum reading
read_body(struct connection *c, struct http_exchange *x, size_t used)
{
    static const struct text go_on = {"HTTP/1.1 100 Continue\r\n\r\n", 25};
    struct http_visit *visit = c->visit;
    if (x->head.length > c->server->body_max) {
        refuse(c, x, 413, "The body of the request is too long.");
        return READ_REFUSED;
    }
    const size_t end = used + (size_t)x->head.length;
    visit->need = end;
    const char *const before = c->bytes;
    if (x->head.awaits_continue && !visit->continued && c->size < end) {
        struct text word = go_on; /* 25 bytes: they fit, or nobody is there */
        visit->continued = true;
        if (!send_some(c, &word) || word.size) {
            refuse(c, x, 400, "The request ended within its body.");
            return READ_REFUSED;
        }
    }
    const enum reading reading = read_up_to(c, x, end);
    if (reading != READ_WHOLE) return reading;
    if (c->bytes != before) { /* the buffer has moved: the slices of the head are cut again */
        struct text culprit;
        const enum http_verdict again =
            http_head_read(c->bytes, c->size, &x->head, &used, &culprit);
        assert(again == HTTP_OK);
    }
    x->body = c->bytes + used;
    return READ_WHOLE;
}

/* Forgets the first bytes, for good: any request may have had a card in it, the refused ones too.
 * What came after them is the next one. */
static void
forget(struct connection *c, size_t done)
{
    assert(done <= c->size);
    const size_t kept = c->size - done;
    memmove(c->bytes, c->bytes + done, kept);
    sodium_memzero(c->bytes + kept, done);
    c->size = kept;
}

/* How long a request may take from its first byte on. */
static int64_t
request_ms_max(const struct http_server *server)
{
    return http_draining() ? REFUSED_MS_MAX : server->timeout_ms;
}

/* Answers one request, if it is there, or will never be. */
static enum http_stay
serve_one(struct connection *c)
{
    struct http_visit *visit = c->visit;
    if (c->size == 0) switch (receive(c, HTTP_HEAD_MAX, INT64_MAX)) {
        case RECEIVED_SOME: break;
        case RECEIVED_END: return HTTP_OVER;
        case RECEIVED_LATE:
        case RECEIVED_NOTHING: return HTTP_WAITS;
        }
    if (!visit->began_ms) visit->began_ms = clock_mono_ms();
    struct http_exchange x = {.arena = c->desk->arena,
                              .began_ms = visit->began_ms,
                              .deadline_ms = visit->began_ms + request_ms_max(c->server)};
    size_t used = 0;
    /* a head that was read before is read again when its body is there, and not for each piece */
    enum reading reading = visit->need ? read_up_to(c, &x, visit->need) : READ_WHOLE;
    if (reading == READ_WHOLE) reading = read_head(c, &x, &used);
    if (reading == READ_WHOLE) reading = read_body(c, &x, used);
    if (reading == READ_NOT_YET) return HTTP_WAITS;
    if (reading == READ_WHOLE) {
        x.closes = x.head.closes || http_draining();
        c->server->handle(c->server->state, &x);
    }
    const enum http_stay stay = x.answer.size ? send_answer(c, &x) : HTTP_OVER;
    forget(c, reading == READ_WHOLE ? used + (size_t)x.head.length : c->size);
    arena_wipe(c->desk->arena);
    visit->began_ms = 0;
    visit->need = 0;
    visit->continued = false;
    return stay;
}

enum http_stay
http_serve(const struct http_server *server, struct http_visit *visit, struct http_desk *desk)
{
    struct connection c = {.fd = visit->fd, .server = server, .visit = visit, .desk = desk};
    enum http_stay stay = HTTP_MORE;
    open_bytes(&c);
    for (int served = 0; stay == HTTP_MORE && served < SERVED_MAX; served++) {
        stay = serve_one(&c);
        if (stay == HTTP_WAITS && !visit->began_ms && (c.size || visit->news)) stay = HTTP_MORE;
    }
    close_bytes(&c);
    return stay;
}

int64_t
http_deadline_ms(const struct http_server *server, const struct http_visit *visit)
{
    const int64_t whole_ms = request_ms_max(server);
    const bool in_head = visit->need == 0 && whole_ms > HEAD_MS_MAX;
    return visit->began_ms + (in_head ? HEAD_MS_MAX : whole_ms);
}

void
http_forget(struct http_visit *visit)
{
    if (visit->begun) sodium_memzero(visit->begun, visit->begun_cap);
    free(visit->begun);
    free(visit->rest);
    *visit = (struct http_visit){.fd = visit->fd};
}
