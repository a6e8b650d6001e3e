#include "load.h"

#include "clock.h"
#include "log.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    REQUEST_BYTES_MAX = 2048,
    ANSWER_BYTES_MAX = 64 << 10,
    EVENTS_MAX = 256,
    WAIT_US_MAX = 100000
};

struct connection {
    int fd;
    bool second; /* of a pair */
    bool busy;
    uint32_t merchant;
    uint64_t nonce;
    int64_t due_us; /* from which its latency counts */
    char id[LOAD_ID_MAX];
    char *answer; /* ANSWER_BYTES_MAX */
    size_t size;
};

struct runner {
    const struct load *load;
    struct load_result *result;
    struct connection *connections;
    unsigned *idle; /* open loop: a ring of connections with nothing to do; each gets its turn */
    unsigned idle_first, idle_count;
    size_t latency_cap, made_cap, subject_at;
    uint64_t nonce, merchant_at;
    int64_t begin_us, measure_us, end_us, due_us;
    bool marked, over;
    int epoll;
};

static int64_t
now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
connection_open(struct runner *r, struct connection *c)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(r->load->port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int yes = 1;
    if (c->fd >= 0) close(c->fd);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&address, sizeof address) != 0)
        die("Port %u cannot be reached: %s.", r->load->port, strerror(errno));
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) die("epoll: %s.", strerror(errno));
    c->size = 0;
}

/* --- requests --------------------------------------------------------------------------------- */

/* As different as clients' UUIDs are, so that keys fall everywhere into Florin's index of them, and
 * never the same for two numbers (the last step of splitmix64, which can be undone). */
static uint64_t
key_of(uint64_t nonce)
{
    nonce ^= nonce >> 30;
    nonce *= UINT64_C(0xbf58476d1ce4e5b9);
    nonce ^= nonce >> 27;
    nonce *= UINT64_C(0x94d049bb133111eb);
    return nonce ^ nonce >> 31;
}

/* Copies, with the id for {id}. */
static size_t
put_with_id(char *out, size_t cap, const char *text, const char *id)
{
    const char *mark = strstr(text, "{id}");
    const int size = mark ? snprintf(out, cap, "%.*s%s%s", (int)(mark - text), text, id, mark + 4)
                          : snprintf(out, cap, "%s", text);
    if (size < 0 || (size_t)size >= cap) die("The request is too long.");
    return (size_t)size;
}

static void
send_request(struct runner *r, struct connection *c)
{
    const struct load *load = r->load;
    const struct load_request *request = c->second ? &load->then : &load->first;
    char text[REQUEST_BYTES_MAX], path[512], body[1024] = "";
    put_with_id(path, sizeof path, request->path, c->id);
    int size =
        snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n", request->method, path);
    if (load->secret_key_count)
        size += snprintf(text + size, sizeof text - (size_t)size, "Authorization: Bearer %s\r\n",
                         load->secret_keys[c->merchant]);
    if (load->key != LOAD_KEY_NONE)
        size += snprintf(text + size, sizeof text - (size_t)size,
                         "Idempotency-Key: bench-%s%016llx\r\n", c->second ? "then-" : "",
                         (unsigned long long)key_of(c->nonce));
    if (request->body)
        size += snprintf(text + size, sizeof text - (size_t)size,
                         "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "
                         "%zu\r\n",
                         put_with_id(body, sizeof body, request->body, c->id));
    size += snprintf(text + size, sizeof text - (size_t)size, "\r\n%s", body);
    if ((size_t)size >= sizeof text) die("The request is too long.");
    /* an empty socket takes so little at once, or it is broken and says so when it is read */
    (void)!send(c->fd, text, (size_t)size, MSG_NOSIGNAL);
    c->busy = true;
}

/* Chooses what it is about; false when there is nothing more to ask. */
static bool
begin(struct runner *r, struct connection *c, int64_t due_us)
{
    const struct load *load = r->load;
    c->second = false;
    c->due_us = due_us;
    c->nonce = r->nonce++;
    if (load->subject_count) {
        if (r->subject_at == load->subject_count) {
            if (load->subjects_once) return false;
            r->subject_at = 0;
        }
        const struct load_subject *subject = &load->subjects[r->subject_at++];
        c->merchant = subject->merchant;
        memcpy(c->id, subject->id, sizeof c->id);
        if (load->key == LOAD_KEY_OF_SUBJECT) c->nonce = subject->nonce;
    } else if (load->secret_key_count) {
        c->merchant = (uint32_t)(r->merchant_at++ % load->secret_key_count);
    }
    send_request(r, c);
    return true;
}

/* --- answers ---------------------------------------------------------------------------------- */

/* The first "id": "…" of the body. */
static void
find_id(const char *body, char id[static LOAD_ID_MAX])
{
    const char *at = strstr(body, "\"id\": \"");
    size_t size = 0;
    if (at)
        for (at += 7; at[size] && at[size] != '"' && size + 1 < LOAD_ID_MAX; size++)
            id[size] = at[size];
    id[size] = 0;
}

static void
grow(void **at, size_t count, size_t *cap, size_t size)
{
    if (count < *cap) return;
    *cap = *cap ? 2 * *cap : 65536;
    *at = realloc(*at, *cap * size);
    if (!*at) die("There is no memory left for what is measured.");
}

static void
finished(struct runner *r, struct connection *c, bool fine, int64_t now)
{
    struct load_result *result = r->result;
    c->busy = false;
    if (fine && r->load->record) {
        grow((void **)&result->made, result->made_count, &r->made_cap, sizeof *result->made);
        struct load_subject *made = &result->made[result->made_count++];
        *made = (struct load_subject){.merchant = c->merchant, .nonce = c->nonce};
        memcpy(made->id, c->id, sizeof made->id);
    }
    if (!r->marked || r->over) return;
    if (!fine) {
        result->failed++;
        return;
    }
    result->done++;
    grow((void **)&result->latencies_us, result->latency_count, &r->latency_cap,
         sizeof *result->latencies_us);
    result->latencies_us[result->latency_count++] = (uint32_t)(now - c->due_us);
}

static void
complain(struct runner *r, const struct connection *c)
{
    char *at = r->result->complaint;
    if (*at) return;
    snprintf(at, sizeof r->result->complaint, "%.200s", c->size ? c->answer : "connection closed");
    const char *message = c->size ? strstr(c->answer, "\"message\"") : NULL;
    if (message) snprintf(at, sizeof r->result->complaint, "%.12s … %.200s", c->answer, message);
    for (; *at; at++)
        if (*at == '\r' || *at == '\n') *at = ' ';
}

/* True when a whole answer is there. */
static bool
is_whole(const struct connection *c)
{
    const char *end = strstr(c->answer, "\r\n\r\n");
    if (!end) return false;
    const char *length = strcasestr(c->answer, "\r\nContent-Length: ");
    if (!length || length > end) return true;
    return c->size >= (size_t)(end + 4 - c->answer) + (size_t)strtoul(length + 18, NULL, 10);
}

/* Reads what is there. True when the connection is free for its next request. */
static bool
receive(struct runner *r, struct connection *c)
{
    const ssize_t size =
        recv(c->fd, c->answer + c->size, ANSWER_BYTES_MAX - 1 - c->size, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (size <= 0) {
        const bool was_busy = c->busy;
        connection_open(r, c);
        if (!was_busy) return false;
        complain(r, c);
        finished(r, c, false, now_us());
        return true;
    }
    c->size += (size_t)size;
    c->answer[c->size] = 0;
    if (!c->busy || !is_whole(c)) return false;
    const int64_t now = now_us();
    const bool fine = strncmp(c->answer, "HTTP/1.1 200", 12) == 0;
    const bool closes = strstr(c->answer, "\r\nConnection: close") != NULL;
    if (!fine) complain(r, c);
    const bool more = fine && !c->second && r->load->then.method;
    if (fine && (more || (r->load->record && !c->second))) find_id(c->answer, c->id);
    c->size = 0;
    if (closes) connection_open(r, c);
    if (more) {
        c->second = true;
        send_request(r, c);
        return false;
    }
    finished(r, c, fine, now);
    return true;
}

/* --- the run ---------------------------------------------------------------------------------- */

static void
mark(struct runner *r, int64_t now)
{
    if (!r->marked && now >= r->measure_us) {
        r->marked = true;
        if (r->load->on_mark) r->load->on_mark(r->load->state, false);
        r->measure_us = now_us();
        r->end_us = r->measure_us + (int64_t)(r->load->seconds * 1e6);
    } else if (r->marked && !r->over && now >= r->end_us) {
        r->over = true;
        r->result->seconds = (double)(now - r->measure_us) / 1e6;
        if (r->load->on_mark) r->load->on_mark(r->load->state, true);
    }
}

/* Open loop: sends what is due while a connection is free. Returns the µs until the next is due. */
static int64_t
send_due(struct runner *r, int64_t now)
{
    const double step_us = 1e6 / r->load->rate;
    while (r->due_us <= now && r->idle_count) {
        struct connection *c = &r->connections[r->idle[r->idle_first]];
        r->idle_first = (r->idle_first + 1) % r->load->connections;
        r->idle_count--;
        if (!begin(r, c, r->due_us)) {
            r->end_us = now;
            break;
        }
        r->due_us = r->begin_us + (int64_t)(step_us * (double)(r->nonce - r->load->first_nonce));
    }
    if (!r->idle_count) return WAIT_US_MAX;
    return r->due_us > now ? r->due_us - now : 0;
}

static int
compare_latencies(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void
load_run(const struct load *load, struct load_result *result)
{
    struct runner r = {.load = load, .result = result, .nonce = load->first_nonce};
    struct epoll_event events[EVENTS_MAX];
    *result = (struct load_result){0};
    r.connections = calloc(load->connections, sizeof *r.connections);
    r.idle = calloc(load->connections, sizeof *r.idle);
    r.epoll = epoll_create1(EPOLL_CLOEXEC);
    assert(r.connections && r.idle && r.epoll >= 0);
    r.begin_us = r.due_us = now_us();
    r.measure_us = r.begin_us + (int64_t)(load->warmup_s * 1e6);
    unsigned busy = 0;
    for (unsigned i = 0; i < load->connections; i++) {
        struct connection *c = &r.connections[i];
        c->fd = -1;
        c->answer = malloc(ANSWER_BYTES_MAX);
        if (!c->answer) die("There is no memory for so many connections.");
        connection_open(&r, c);
        if (load->rate > 0)
            r.idle[r.idle_count++] = i;
        else if (begin(&r, c, now_us()))
            busy++;
    }
    r.begin_us = r.due_us = now_us();
    const int64_t patience_us = 35000000; /* what is under way is waited for */
    while (!r.over || (busy && now_us() < r.end_us + patience_us)) {
        int64_t now = now_us();
        int64_t wait_us = WAIT_US_MAX;
        mark(&r, now);
        if (load->rate > 0 && !r.over) {
            const unsigned idle = r.idle_count;
            wait_us = send_due(&r, now);
            if (wait_us > WAIT_US_MAX) wait_us = WAIT_US_MAX;
            busy += idle - r.idle_count;
        }
        if (!busy && load->rate <= 0 && !r.over) /* the subjects are used up */
            *(r.marked ? &r.end_us : &r.measure_us) = now;
        /* To the microsecond: a client that waits by turning would take a core from Florin. */
        const struct timespec wait = {.tv_nsec = wait_us * 1000};
        const int count = epoll_pwait2(r.epoll, events, EVENTS_MAX, &wait, NULL);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (!receive(&r, c)) continue;
            if (load->rate > 0) {
                r.idle[(r.idle_first + r.idle_count++) % load->connections] =
                    (unsigned)(c - r.connections);
                busy--;
            } else if (r.over || !begin(&r, c, now_us())) {
                busy--;
            }
        }
    }
    for (unsigned i = 0; i < load->connections; i++) {
        close(r.connections[i].fd);
        free(r.connections[i].answer);
    }
    close(r.epoll);
    free(r.connections);
    free(r.idle);
    if (result->latency_count)
        qsort(result->latencies_us, result->latency_count, sizeof *result->latencies_us,
              compare_latencies);
}

void
load_result_free(struct load_result *result)
{
    free(result->latencies_us);
    free(result->made);
    *result = (struct load_result){0};
}

uint32_t
load_percentile(const struct load_result *result, double share)
{
    if (!result->latency_count) return 0;
    size_t at = (size_t)(share * (double)result->latency_count);
    if (at >= result->latency_count) at = result->latency_count - 1;
    return result->latencies_us[at];
}
