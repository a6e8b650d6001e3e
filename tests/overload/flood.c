/* flood: payments over many connections by one thread, as fast as they are answered or at a rate
 * that nobody asks the other side about.
 *
 *   flood PORT SECONDS CONNECTIONS RATE KEY…
 *
 * RATE 0: each connection sends its next request when the last one was answered. Else that many
 * requests a second are due at even distances, on any connection that is free; when all of
 * CONNECTIONS wait for an answer the request is not sent, which is counted. Each request is a
 * payment of its own (amount 2000, confirmed, under an Idempotency-Key), of the merchants of KEY…
 * in turn.
 *
 * Prints one line of JSON: what was answered, by kind, with percentiles of the time from when a
 * request was due until its answer was there: `paid` are succeeded payments, `refused` are 429 and
 * 503 with Retry-After, `wrong` is everything else. What comes after SECONDS and a second more is
 * not waited for, and is `unanswered`. `cpu_ms` is this program's own. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096
#define ANSWER_BYTES_MAX 65536
#define SAMPLES_MAX (1 << 20)
#define LATE_US 10000000

struct connection {
    int fd; /* -1: none */
    bool waits;
    int64_t due_us;
    size_t size, wanted; /* of the answer; wanted 0: its head is not whole yet */
    char answer[ANSWER_BYTES_MAX];
};

enum kind { PAID, REFUSED, WRONG, KIND_COUNT };
static const char *const names[KIND_COUNT] = {"paid", "refused", "wrong"};

static struct {
    uint32_t *us;
    size_t count;
} samples[KIND_COUNT];

static struct connection *connections, **unused;
static unsigned unused_count;
static int epoll_fd, port;
static unsigned connection_count, sent, unsent, lost, wrong_code;
static char **keys, first_wrong[400];
static unsigned key_count;
static unsigned long long run_id;

static int64_t
now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
open_connection(struct connection *c)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        fprintf(stderr, "No connection to port %d: %s.\n", port, strerror(errno));
        exit(2);
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void
shut(struct connection *c)
{
    close(c->fd);
    c->fd = -1;
}

static void
give_back(struct connection *c)
{
    c->waits = false;
    unused[unused_count++] = c;
}

static void
send_payment(struct connection *c, int64_t due_us)
{
    static const char body[] = "amount=2000&currency=usd&payment_method=pm_card_visa"
                               "&payment_method_types[]=card&confirm=true";
    char request[1024];
    if (c->fd < 0) open_connection(c);
    const int size = snprintf(request, sizeof request,
                              "POST /v1/payment_intents HTTP/1.1\r\nHost: localhost\r\n"
                              "Authorization: Bearer %s\r\nIdempotency-Key: flood-%llx-%u\r\n"
                              "Content-Type: application/x-www-form-urlencoded\r\n"
                              "Content-Length: %zu\r\n\r\n%s",
                              keys[sent % key_count], run_id, sent, sizeof body - 1, body);
    c->waits = true;
    c->due_us = due_us;
    c->size = c->wanted = 0;
    sent++;
    if (send(c->fd, request, (size_t)size, MSG_NOSIGNAL) == size) return;
    /* The other side had closed it when it was idle. */
    shut(c);
    open_connection(c);
    if (send(c->fd, request, (size_t)size, MSG_NOSIGNAL) != size) {
        lost++;
        give_back(c);
        shut(c);
    }
}

static void
count_answer(struct connection *c)
{
    const int status = atoi(c->answer + 9);
    enum kind kind = WRONG;
    if (status == 200 && memmem(c->answer, c->size, "\"status\": \"succeeded\"", 21)) kind = PAID;
    if (status == 200 && memmem(c->answer, c->size, "\"status\":\"succeeded\"", 20)) kind = PAID;
    if ((status == 429 || status == 503) && memmem(c->answer, c->size, "\r\nRetry-After: ", 15))
        kind = REFUSED;
    if (kind == WRONG && !wrong_code) {
        wrong_code = (unsigned)status;
        snprintf(first_wrong, sizeof first_wrong, "%.*s", (int)c->size, c->answer);
    }
    if (samples[kind].count < SAMPLES_MAX)
        samples[kind].us[samples[kind].count++] = (uint32_t)(now_us() - c->due_us);
    const bool closes = memmem(c->answer, c->size, "\r\nConnection: close", 19) != NULL;
    give_back(c);
    if (closes) shut(c);
}

static void
read_answer(struct connection *c)
{
    const ssize_t n = recv(c->fd, c->answer + c->size, ANSWER_BYTES_MAX - 1 - c->size, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        if (c->waits) {
            lost++;
            give_back(c);
        }
        shut(c);
        return;
    }
    c->size += (size_t)n;
    c->answer[c->size] = 0;
    if (!c->wanted) {
        const char *end = strstr(c->answer, "\r\n\r\n");
        const char *length = strcasestr(c->answer, "\r\nContent-Length: ");
        if (!end || !length) return;
        c->wanted = (size_t)(end + 4 - c->answer) + strtoul(length + 18, NULL, 10);
    }
    if (c->size >= c->wanted) count_answer(c);
}

static int
by_size(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double
percentile_ms(enum kind kind, double part)
{
    const size_t count = samples[kind].count;
    return count ? samples[kind].us[(size_t)((double)(count - 1) * part)] / 1000.0 : 0;
}

static void
print(double seconds)
{
    struct rusage usage;
    unsigned unanswered = 0;
    for (unsigned i = 0; i < connection_count; i++)
        unanswered += connections[i].waits;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"seconds\":%.3f,\"sent\":%u,\"unsent\":%u,\"lost\":%u,\"unanswered\":%u,"
           "\"wrong_code\":%u,\"cpu_ms\":%ld",
           seconds, sent, unsent, lost, unanswered, wrong_code,
           (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
               (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000);
    for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
        qsort(samples[kind].us, samples[kind].count, sizeof(uint32_t), by_size);
        printf(",\"%s\":%zu,\"%s_p50_ms\":%.1f,\"%s_p99_ms\":%.1f,\"%s_max_ms\":%.1f", names[kind],
               samples[kind].count, names[kind], percentile_ms(kind, 0.50), names[kind],
               percentile_ms(kind, 0.99), names[kind], percentile_ms(kind, 1));
    }
    printf("}\n");
    if (wrong_code) fprintf(stderr, "The first wrong answer:\n%s\n", first_wrong);
}

static void
wait_for_answers(int64_t until_us)
{
    struct epoll_event events[256];
    const int64_t left_us = until_us - now_us();
    const int count =
        epoll_wait(epoll_fd, events, 256, left_us > 0 ? (int)(left_us / 1000) + 1 : 0);
    for (int i = 0; i < count; i++)
        read_answer(events[i].data.ptr);
}

static struct connection *
free_connection(void)
{
    return unused_count ? unused[--unused_count] : NULL;
}

int
main(int argc, char **argv)
{
    if (argc < 6) {
        fputs("flood PORT SECONDS CONNECTIONS RATE KEY…\n", stderr);
        return 2;
    }
    port = atoi(argv[1]);
    const int64_t last_us = (int64_t)(atof(argv[2]) * 1e6);
    connection_count = (unsigned)atoi(argv[3]);
    const double rate = atof(argv[4]);
    keys = argv + 5;
    key_count = (unsigned)argc - 5;
    if (connection_count > CONNECTIONS_MAX) connection_count = CONNECTIONS_MAX;
    connections = calloc(connection_count, sizeof *connections);
    for (enum kind kind = 0; kind < KIND_COUNT; kind++)
        samples[kind].us = malloc(SAMPLES_MAX * sizeof(uint32_t));
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    unused = calloc(connection_count, sizeof(struct connection *));
    for (unsigned i = 0; i < connection_count; i++) {
        connections[i].fd = -1;
        unused[unused_count++] = &connections[i];
    }

    const int64_t began_us = now_us(), end_us = began_us + last_us;
    run_id = (unsigned long long)began_us ^ (unsigned long long)getpid() << 40;
    uint64_t due = 0;
    for (int64_t now = began_us; now < end_us; now = now_us()) {
        int64_t next_us = end_us;
        struct connection *c;
        if (rate <= 0) {
            while ((c = free_connection()))
                send_payment(c, now_us());
        } else {
            for (; (next_us = began_us + (int64_t)((double)due / rate * 1e6)) <= now; due++) {
                if ((c = free_connection()))
                    send_payment(c, next_us);
                else
                    unsent++;
            }
        }
        wait_for_answers(next_us < end_us ? next_us : end_us);
    }
    const double seconds = (double)(now_us() - began_us) / 1e6;
    bool waits = true;
    for (const int64_t late_us = now_us() + LATE_US; waits && now_us() < late_us;) {
        wait_for_answers(now_us() + 10000);
        waits = false;
        for (unsigned i = 0; i < connection_count; i++)
            waits |= connections[i].waits;
    }
    print(seconds);
    return 0;
}
