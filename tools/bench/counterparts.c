#include "counterparts.h"

#include "clock.h"
#include "log.h"
#include <arpa/inet.h>
#include <assert.h>
#include <civetweb.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* A descriptor that is readable when it is time to end. */
static int
end_fd(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    const int fd = signalfd(-1, &signals, SFD_CLOEXEC);
    assert(fd >= 0);
    return fd;
}

/* --- the yardstick ---------------------------------------------------------------------------- */

static char *constant;
static size_t constant_size;

static int
answer_constant(struct mg_connection *connection, void *state)
{
    (void)state;
    mg_write(connection, constant, constant_size);
    return 200;
}

int
yardstick_serve(uint16_t port, unsigned threads, unsigned body_bytes)
{
    char at[32], count[16];
    struct signalfd_siginfo signal;
    const int end = end_fd();
    const size_t cap = body_bytes + 256;
    constant = malloc(cap);
    assert(constant);
    constant_size = (size_t)snprintf(constant, cap,
                                     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                     "Content-Length: %u\r\n\r\n",
                                     body_bytes);
    memset(constant + constant_size, ' ', body_bytes);
    constant_size += body_bytes;
    snprintf(at, sizeof at, "127.0.0.1:%u", port);
    snprintf(count, sizeof count, "%u", threads);
    const char *options[] = {
        "listening_ports", at,  "num_threads", count, "enable_keep_alive", "yes",
        "tcp_nodelay",     "1", NULL};
    mg_init_library(0);
    struct mg_context *context = mg_start(NULL, NULL, options);
    if (!context) die("The yardstick cannot listen on port %u.", port);
    mg_set_request_handler(context, "/", answer_constant, NULL);
    puts("ready");
    fflush(stdout);
    while (read(end, &signal, sizeof signal) < 0)
        assert(errno == EINTR);
    mg_stop(context);
    free(constant);
    return 0;
}

/* --- the sink --------------------------------------------------------------------------------- */

enum { POST_BYTES_MAX = 64 << 10, ID_TIME_DIGITS = 8 };

struct visitor {
    int fd;
    size_t size;
    char bytes[POST_BYTES_MAX];
};

struct sink {
    int epoll;
    uint32_t *latencies_ms;
    size_t count, cap, hanging;
    int64_t first_ms, last_ms;
};

static int
digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'Z' ? c - 'A' + 10 : c - 'a' + 36;
}

/* Milliseconds since 1970, of an id's first eight digits. */
static int64_t
time_of(const char *digits)
{
    int64_t ms = 0;
    for (int i = 0; i < ID_TIME_DIGITS; i++)
        ms = ms * 62 + digit(digits[i]);
    return ms;
}

static void
count_post(struct sink *sink, const char *body)
{
    const char *id = strstr(body, "\"evt_");
    if (!id || strlen(id) < 5 + ID_TIME_DIGITS) return;
    const int64_t now_ms = clock_wall_ms(), late_ms = now_ms - time_of(id + 5);
    if (sink->count == sink->cap) {
        sink->cap = sink->cap ? 2 * sink->cap : 65536;
        sink->latencies_ms = realloc(sink->latencies_ms, sink->cap * sizeof *sink->latencies_ms);
        assert(sink->latencies_ms);
    }
    if (!sink->count) sink->first_ms = now_ms;
    sink->last_ms = now_ms;
    sink->latencies_ms[sink->count++] = (uint32_t)(late_ms < 0 ? 0 : late_ms);
}

static void
leave(struct visitor *visitor)
{
    close(visitor->fd);
    free(visitor);
}

static void
visit(struct sink *sink, struct visitor *v)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const ssize_t size = read(v->fd, v->bytes + v->size, sizeof v->bytes - 1 - v->size);
    if (size <= 0) {
        leave(v);
        return;
    }
    v->size += (size_t)size;
    v->bytes[v->size] = 0;
    const char *end = strstr(v->bytes, "\r\n\r\n");
    const char *length = end ? strcasestr(v->bytes, "\r\nContent-Length: ") : NULL;
    if (!end) return;
    const size_t whole =
        (size_t)(end + 4 - v->bytes) + (length ? (size_t)strtoul(length + 18, NULL, 10) : 0);
    if (v->size < whole) return;
    v->size = 0;
    if (strstr(v->bytes, " /hang")) {
        sink->hanging++;
        return;
    }
    count_post(sink, end);
    if (write(v->fd, answer, sizeof answer - 1) < 0) leave(v);
}

static int
compare(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void
tell(struct sink *sink)
{
    const double seconds = (double)(sink->last_ms - sink->first_ms) / 1e3;
    const size_t count = sink->count;
    if (count) qsort(sink->latencies_ms, count, sizeof *sink->latencies_ms, compare);
    printf("{\"delivered\": %zu, \"hanging\": %zu, \"per_second\": %.1f, \"p50_ms\": %u, "
           "\"p99_ms\": %u, \"max_ms\": %u}\n",
           count, sink->hanging, seconds > 0 ? (double)count / seconds : 0.0,
           count ? sink->latencies_ms[count / 2] : 0,
           count ? sink->latencies_ms[count * 99 / 100] : 0,
           count ? sink->latencies_ms[count - 1] : 0);
    free(sink->latencies_ms);
}

int
sink_serve(uint16_t port)
{
    const int end = end_fd(), yes = 1;
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sink sink = {.epoll = epoll_create1(EPOLL_CLOEXEC)};
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert(sink.epoll >= 0 && listener >= 0);
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (const struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 1024) != 0)
        die("The sink cannot listen on port %u: %s.", port, strerror(errno));
    struct visitor gate = {.fd = listener}, bell = {.fd = end};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &gate};
    epoll_ctl(sink.epoll, EPOLL_CTL_ADD, listener, &event);
    event.data.ptr = &bell;
    epoll_ctl(sink.epoll, EPOLL_CTL_ADD, end, &event);
    puts("ready");
    fflush(stdout);
    for (bool over = false; !over;) {
        struct epoll_event events[64];
        const int count = epoll_wait(sink.epoll, events, 64, -1);
        for (int i = 0; i < count; i++) {
            struct visitor *v = events[i].data.ptr;
            if (v == &bell) {
                over = true;
            } else if (v == &gate) {
                const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                struct visitor *fresh = fd >= 0 ? malloc(sizeof *fresh) : NULL;
                if (!fresh) continue;
                fresh->fd = fd;
                fresh->size = 0;
                (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                event.data.ptr = fresh;
                epoll_ctl(sink.epoll, EPOLL_CTL_ADD, fd, &event);
            } else {
                visit(&sink, v);
            }
        }
    }
    tell(&sink);
    return 0;
}
