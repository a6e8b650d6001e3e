#include "http.h"

#include "clock.h"
#include "failpoint.h"
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HEAD_MS_MAX = 10000, /* a head comes at once or not at all */
    IDLE_MS_MAX = 60000, /* between two requests */
    WRITE_MS_MAX = 30000,
    FAREWELL_MS_MAX = 500, /* reading on, so that a refusal is not lost in a reset */
    BUFFER_BYTES_FIRST = 4096,
    BUFFER_BYTES_KEPT = 64 << 10,
    ARENA_BYTES_MAX = 128 << 20,
};

static atomic_bool draining;
static atomic_uint busy, connections;
static unsigned connections_kept_max = 1;
static int drain_fd = -1; /* readable once draining */

struct connection {
    int fd;
    char *bytes; /* what has come and is not yet handled */
    size_t size, cap;
    const struct http_server *server;
};

void
http_limit_connections(unsigned count)
{
    connections_kept_max = count;
    if (drain_fd < 0) drain_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(drain_fd >= 0);
}

void
http_drain(void)
{
    const uint64_t one = 1;
    atomic_store(&draining, true);
    if (drain_fd >= 0 && write(drain_fd, &one, sizeof one) < 0) assert(errno == EAGAIN);
}

bool
http_draining(void)
{
    return atomic_load(&draining);
}

unsigned
http_busy(void)
{
    return atomic_load(&busy);
}

/* --- bytes in and out ----------------------------------------------------------------------------
 */

/* True when the socket is ready before the deadline. `idle`: nobody waits for us, so a drain ends
 * it. */
static bool
wait_for(int fd, short events, int64_t deadline_ms, bool idle)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = fd, .events = events}, {.fd = drain_fd, .events = POLLIN}};
        const int64_t left_ms = deadline_ms - clock_mono_ms();
        if (left_ms <= 0) return false;
        const int ready = poll(fds, idle ? 2 : 1, (int)left_ms);
        if (ready < 0 && errno != EINTR) return false;
        if (ready > 0) return fds[0].revents != 0;
    }
}

enum received { RECEIVED_SOME, RECEIVED_END, RECEIVED_LATE };

/* Gives the buffer back; what is not in use was wiped before. */
static void
release(struct connection *c)
{
    if (c->size) sodium_memzero(c->bytes, c->size);
    free(c->bytes);
    c->bytes = NULL;
    c->cap = 0;
}

/* Not by realloc, which would leave what it copied where it was. */
static void
grow(struct connection *c)
{
    const size_t cap = c->cap ? 2 * c->cap : BUFFER_BYTES_FIRST;
    char *bytes = malloc(cap);
    assert(bytes); /* memory is over: the process ends, the supervisor starts another */
    if (c->size) memcpy(bytes, c->bytes, c->size);
    release(c);
    c->bytes = bytes;
    c->cap = cap;
}

/* More bytes, at most up to `limit` in all. Memory grows with what came, never with what was said.
 */
static enum received
receive(struct connection *c, size_t limit, int64_t deadline_ms, bool idle)
{
    assert(c->size < limit);
    if (c->size == c->cap) grow(c);
    const size_t room = (c->cap < limit ? c->cap : limit) - c->size;
    for (;;) {
        const ssize_t count = recvfrom(c->fd, c->bytes + c->size, room, 0, NULL, NULL);
        if (count > 0) {
            c->size += (size_t)count;
            return RECEIVED_SOME;
        }
        if (count == 0) return RECEIVED_END;
        if (errno == EINTR) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) return RECEIVED_END;
        if (!wait_for(c->fd, POLLIN, deadline_ms, idle)) return RECEIVED_LATE;
    }
}

static bool
send_all(struct connection *c, struct text bytes)
{
    const int64_t deadline_ms = clock_mono_ms() + WRITE_MS_MAX;
    while (bytes.size) {
        const ssize_t count = send(c->fd, bytes.at, bytes.size, MSG_NOSIGNAL);
        if (count > 0) {
            bytes.at += count;
            bytes.size -= (size_t)count;
        } else if (count < 0 && errno != EINTR) {
            if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
            if (!wait_for(c->fd, POLLOUT, deadline_ms, false)) return false;
        }
    }
    return true;
}

static bool
send_answer(struct connection *c, struct text bytes)
{
#ifdef FLORIN_FAILPOINTS
    const size_t half = bytes.size / 2;
    if (!send_all(c, (struct text){bytes.at, half})) return false;
    bytes = (struct text){bytes.at + half, bytes.size - half};
#endif
    FAILPOINT(gateway_mid_reply);
    return send_all(c, bytes);
}

/* Closing with bytes unread would reset the connection and could take the answer with it. */
static void
say_farewell(struct connection *c)
{
    const int64_t deadline_ms = clock_mono_ms() + FAREWELL_MS_MAX;
    char waste[4096];
    shutdown(c->fd, SHUT_WR);
    while (wait_for(c->fd, POLLIN, deadline_ms, false))
        if (recvfrom(c->fd, waste, sizeof waste, 0, NULL, NULL) <= 0) break;
    sodium_memzero(waste, sizeof waste);
}

/* --- one request ---------------------------------------------------------------------------------
 */

static void
refuse(struct connection *c, struct http_exchange *x, int status, const char *message)
{
    x->closes = true;
    c->server->refuse(c->server->state, x, status, message);
}

/* True when the head is there and good; `*used` is its size. */
static bool
read_head(struct connection *c, struct http_exchange *x, size_t *used)
{
    const int64_t limit_ms = x->began_ms + HEAD_MS_MAX;
    const int64_t deadline_ms = limit_ms < x->deadline_ms ? limit_ms : x->deadline_ms;
    for (;;) {
        struct text culprit;
        const enum http_verdict verdict =
            http_head_read(c->bytes, c->size, &x->head, used, &culprit);
        if (verdict == HTTP_OK) return true;
        if (verdict != HTTP_INCOMPLETE) {
            refuse(c, x, http_verdict_status(verdict), http_verdict_message(verdict));
            return false;
        }
        assert(c->size < HTTP_HEAD_MAX);
        switch (receive(c, HTTP_HEAD_MAX, deadline_ms, false)) {
        case RECEIVED_SOME: break;
        case RECEIVED_END: refuse(c, x, 400, "The request ended within its head."); return false;
        case RECEIVED_LATE: refuse(c, x, 408, "The request did not come in time."); return false;
        }
    }
}

/* True when all of the body is there. */
static bool
read_body(struct connection *c, struct http_exchange *x, size_t used)
{
    static const struct text go_on = {"HTTP/1.1 100 Continue\r\n\r\n", 25};
    if (x->head.length > c->server->body_max) {
        refuse(c, x, 413, "The body of the request is too long.");
        return false;
    }
    const size_t end = used + (size_t)x->head.length;
    if (x->head.awaits_continue && c->size < end && !send_all(c, go_on)) return false;
    while (c->size < end)
        switch (receive(c, end, x->deadline_ms, false)) {
        case RECEIVED_SOME: break;
        case RECEIVED_END:
            refuse(c, x, 400, "The body of the request is shorter than its Content-Length.");
            return false;
        case RECEIVED_LATE:
            refuse(c, x, 408, "The body of the request did not come in time.");
            return false;
        }
    /* the buffer may have moved: the slices of the head are cut again */
    struct text culprit;
    const enum http_verdict again = http_head_read(c->bytes, c->size, &x->head, &used, &culprit);
    assert(again == HTTP_OK);
    x->body = c->bytes + used;
    return true;
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
    if (c->size == 0 && c->cap > BUFFER_BYTES_KEPT) release(c);
}

/* Answers one request; the first bytes of it have come. False: the connection is over. */
static bool
serve_one(struct connection *c, struct arena *arena)
{
    const int64_t now_ms = clock_mono_ms();
    struct http_exchange x = {
        .arena = arena, .began_ms = now_ms, .deadline_ms = now_ms + c->server->timeout_ms};
    size_t used = 0;
    if (read_head(c, &x, &used) && read_body(c, &x, used)) {
        x.closes =
            x.head.closes || http_draining() || atomic_load(&connections) > connections_kept_max;
        c->server->handle(c->server->state, &x);
        if (!x.closes) {
            const bool sent = send_answer(c, x.answer);
            forget(c, used + (size_t)x.head.length);
            return sent;
        }
    }
    if (x.answer.size && send_answer(c, x.answer)) say_farewell(c);
    return false;
}

void
http_serve(void *server, int fd)
{
    struct connection c = {.fd = fd, .server = server};
    struct arena *arena = arena_new(ARENA_BYTES_MAX);
    bool goes_on = true;
    atomic_fetch_add(&connections, 1);
    while (goes_on) {
        const int64_t idle_ms = clock_mono_ms() + IDLE_MS_MAX;
        if (c.size == 0 && receive(&c, HTTP_HEAD_MAX, idle_ms, true) != RECEIVED_SOME) break;
        /* What comes while we leave is refused at once and is not waited for: under load there would
         * always be some of it. Counted first and looked then, so that none is overlooked. */
        atomic_fetch_add(&busy, 1);
        const bool is_waited_for = !http_draining();
        if (!is_waited_for) atomic_fetch_sub(&busy, 1);
        goes_on = serve_one(&c, arena);
        if (is_waited_for) atomic_fetch_sub(&busy, 1);
        arena_wipe(arena);
    }
    atomic_fetch_sub(&connections, 1);
    arena_destroy(&arena);
    release(&c);
}
