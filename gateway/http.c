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
    REFUSED_MS_MAX = 500, /* for a request that will be refused because the process ends */
    HEAD_MS_MAX = 10000,  /* a head comes at once or not at all */
    PATIENCE_MS = 20,     /* what a thread gives a client that is in the middle of something */
    LINGER_MS = 200,      /* between two requests: sooner than a hand-over, most of the time */
    BUFFER_BYTES_FIRST = 4096,
    BUFFER_BYTES_KEPT = 64 << 10,
    ARENA_BYTES_MAX = 128 << 20,
};

static atomic_bool draining;
static atomic_uint busy, at_work;
static unsigned waiting_max = 1;
static int drain_fd = -1; /* readable once draining */

struct connection {
    int fd;
    char *bytes; /* what has come and is not yet handled */
    size_t size, cap;
    const struct http_server *server;
    struct http_visit *visit;
};

void
http_limit_waiting(unsigned count)
{
    waiting_max = count;
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

int
http_drain_fd(void)
{
    return drain_fd;
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

enum received {
    RECEIVED_SOME,
    RECEIVED_END,
    RECEIVED_LATE,    /* the deadline is over */
    RECEIVED_NOTHING, /* the thread has waited long enough */
};

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
    const int64_t patience_ms = c->visit->hurried ? 0 : idle ? LINGER_MS : PATIENCE_MS;
    const int64_t patient_ms = clock_mono_ms() + patience_ms;
    for (;;) {
        const ssize_t count = recvfrom(c->fd, c->bytes + c->size, room, 0, NULL, NULL);
        if (count > 0) {
            c->size += (size_t)count;
            return RECEIVED_SOME;
        }
        if (count == 0) return RECEIVED_END;
        if (errno == EINTR) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) return RECEIVED_END;
        const int64_t until_ms = patient_ms < deadline_ms ? patient_ms : deadline_ms;
        if (!wait_for(c->fd, POLLIN, until_ms, idle))
            return clock_mono_ms() >= deadline_ms ? RECEIVED_LATE : RECEIVED_NOTHING;
    }
}

/* What the client took of it within the thread's patience; less than all when it is slow. False: it
 * is gone. */
static bool
send_some(struct connection *c, struct text *bytes)
{
    const int64_t patient_ms = clock_mono_ms() + (c->visit->hurried ? 0 : PATIENCE_MS);
    while (bytes->size) {
        const ssize_t count = send(c->fd, bytes->at, bytes->size, MSG_NOSIGNAL);
        if (count > 0) {
            bytes->at += count;
            bytes->size -= (size_t)count;
        } else if (count < 0 && errno != EINTR) {
            if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
            if (!wait_for(c->fd, POLLOUT, patient_ms, false)) return true;
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
        switch (receive(c, HTTP_HEAD_MAX, deadline_ms, false)) {
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
    while (c->size < end)
        switch (receive(c, end, x->deadline_ms, false)) {
        case RECEIVED_SOME: break;
        case RECEIVED_END:
            refuse(c, x, 400, "The body of the request is shorter than its Content-Length.");
            return READ_REFUSED;
        case RECEIVED_LATE:
            refuse(c, x, 408, "The body of the request did not come in time.");
            return READ_REFUSED;
        case RECEIVED_NOTHING: return READ_NOT_YET;
        }
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
    if (c->size == 0 && c->cap > BUFFER_BYTES_KEPT) release(c);
}

/* How long a request may take from its first byte on. */
static int64_t
request_ms_max(const struct http_server *server)
{
    return http_draining() ? REFUSED_MS_MAX : server->timeout_ms;
}

/* Answers one request; the first bytes of it have come, or will never come. */
static enum http_stay
serve_one(struct connection *c, struct arena *arena)
{
    struct http_visit *visit = c->visit;
    if (!visit->began_ms) visit->began_ms = clock_mono_ms();
    struct http_exchange x = {.arena = arena,
                              .hurried = visit->hurried,
                              .began_ms = visit->began_ms,
                              .deadline_ms = visit->began_ms + request_ms_max(c->server)};
    size_t used = 0;
    enum reading reading = read_head(c, &x, &used);
    if (reading == READ_WHOLE) reading = read_body(c, &x, used);
    if (reading == READ_NOT_YET) return HTTP_WAITS;
    if (reading == READ_WHOLE) {
        x.closes = x.head.closes || http_draining();
        c->server->handle(c->server->state, &x);
    }
    const enum http_stay stay = x.answer.size ? send_answer(c, &x) : HTTP_OVER;
    forget(c, reading == READ_WHOLE ? used + (size_t)x.head.length : c->size);
    visit->began_ms = 0;
    visit->need = 0;
    visit->continued = false;
    return stay;
}

enum http_stay
http_serve(const struct http_server *server, struct http_visit *visit)
{
    struct connection c = {.fd = visit->fd,
                           .bytes = visit->begun,
                           .size = visit->begun_size,
                           .cap = visit->begun_cap,
                           .server = server,
                           .visit = visit};
    struct arena *arena = arena_new(ARENA_BYTES_MAX);
    enum http_stay stay = HTTP_WAITS;
    atomic_fetch_add(&at_work, 1);
    for (;;) {
        stay = serve_one(&c, arena);
        if (visit->expected) atomic_fetch_sub(&busy, 1);
        visit->expected = false;
        arena_wipe(arena);
        if (stay != HTTP_WAITS || visit->began_ms) break;
        if (c.size == 0) {
            /* whom we refuse next is refused at the lobby's door, without a thread */
            if (visit->hurried || server->is_full(server->state)) break;
            if (atomic_load(&at_work) > waiting_max || http_draining()) break;
            const enum received received = receive(&c, HTTP_HEAD_MAX, INT64_MAX, true);
            if (received == RECEIVED_END) stay = HTTP_OVER;
            if (received != RECEIVED_SOME) break;
        }
        http_expect(visit);
    }
    atomic_fetch_sub(&at_work, 1);
    arena_destroy(&arena);
    if (c.size == 0) release(&c);
    visit->begun = c.bytes;
    visit->begun_size = c.size;
    visit->begun_cap = c.cap;
    return stay;
}

void
http_expect(struct http_visit *visit)
{
    /* counted first and looked then, so that none is overlooked */
    atomic_fetch_add(&busy, 1);
    visit->expected = !http_draining();
    if (!visit->expected) atomic_fetch_sub(&busy, 1);
}

/* --- waiting elsewhere --------------------------------------------------------------------------
 */

bool
http_is_ready(const struct http_server *server, struct http_visit *visit, const char *bytes,
              size_t size)
{
    struct http_head head;
    struct text culprit;
    size_t used;
    const enum http_verdict verdict = http_head_read(bytes, size, &head, &used, &culprit);
    if (verdict == HTTP_INCOMPLETE) return false;
    if (verdict != HTTP_OK || head.length > server->body_max) return true;
    visit->need = used + (size_t)head.length;
    return size >= visit->need || (head.awaits_continue && !visit->continued);
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
