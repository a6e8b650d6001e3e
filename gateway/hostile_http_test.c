/* Rows of RELIABILITY (e4) against a gateway that runs: what each is answered, whether the
 * connection is closed, and that no request is executed that should not be. */
#include "stage.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void
open_stage(void)
{
    stage_open("request_timeout_ms = 1000\n");
}

TestSuite(hostile_http, .init = open_stage, .fini = stage_close, .timeout = 100);

#define AUTH "Authorization: Bearer " SECRET_KEY "\r\n"
#define P "POST /v1/customers HTTP/1.1\r\nHost: a\r\n" AUTH
#define G "GET /v1/customers HTTP/1.1\r\nHost: a\r\n" AUTH
/* What would be executed if the first request ended too early. */
#define SMUGGLED "POST /v1/customers HTTP/1.1\r\nHost: a\r\n" AUTH "Content-Length: 0\r\n\r\n"
#define CHUNKED P "Transfer-Encoding: chunked\r\n\r\n"

/* A literal that holds a NUL, and its size. */
#define BYTES(literal) literal, sizeof(literal) - 1

struct row {
    const char *row, *bytes;
    size_t size; /* 0: up to the NUL */
    int status;
    bool closes;
    int executed;
};

static const struct row framing[] = {
    // clang-format off
    {"H1", P "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED, 0, 400, true, 0},
    {"H2", P "Content-Length: 3\r\nContent-Length: 0\r\n\r\na=1" SMUGGLED, 0, 400, true, 0},
    {"H3", P "Content-Length: 0\r\nContent-Length: 0\r\n\r\n" SMUGGLED, 0, 400, true, 0},
    {"H4", P "Content-Length: 3x\r\n\r\na=1" SMUGGLED, 0, 400, true, 0},
    {"H5", P "Content-Length: +3\r\n\r\na=1" SMUGGLED, 0, 400, true, 0},
    {"H6", P "Content-Length: 3, 3\r\n\r\na=1" SMUGGLED, 0, 400, true, 0},
    {"H7", P "Content-Length: -1\r\n\r\n" SMUGGLED, 0, 400, true, 0},
    {"H8", P "Content-Length: 9223372036854775809\r\n\r\n" SMUGGLED, 0, 400, true, 0},
    {"H8b", P "Content-Length: 999999999999999999\r\n\r\n" SMUGGLED, 0, 413, true, 0},
    {"H9", P "Content-Length:\r\n\r\n" SMUGGLED, 0, 400, true, 0},
    {"H10", BYTES(P "Content-Length: 0\0\r\n\r\n" SMUGGLED), 400, true, 0},
    {"H11", P "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" SMUGGLED, 0, 400, true, 0},
    {"H12", P "Transfer-Encoding:  chunked\r\n\r\n0\r\n\r\n" SMUGGLED, 0, 411, true, 0},
    {"H13", P "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED, 0, 400, true, 0},
    {"H14", P "Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n" SMUGGLED, 0, 400, true, 0},
    {"H15", "POST /v1/customers HTTP/1.0\r\n" AUTH "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED, 0, 400, true, 0},
    {"H16", CHUNKED "zz\r\na=1\r\n0\r\n\r\n" SMUGGLED, 0, 411, true, 0},
    {"H17", CHUNKED "100000000000000000\r\na=1\r\n0\r\n\r\n" SMUGGLED, 0, 411, true, 0},
    {"H18", CHUNKED "-3\r\na=1\r\n0\r\n\r\n" SMUGGLED, 0, 411, true, 0},
    {"H19", CHUNKED "3;x\na=1\r\n0\r\n\r\n" SMUGGLED, 0, 411, true, 0},
    {"H20", CHUNKED "3\r\na=1\r\n", 0, 411, true, 0},
    {"H21", CHUNKED "0\r\nContent-Length: 9\r\n" AUTH "\r\n" SMUGGLED, 0, 411, true, 0},
    {"H24", P "Content-Length: 10\r\n\r\nemail=a", 0, 408, true, 0},
    {"H27", "POST /v1/customers HTTP/1.1\nHost: a\n\n" SMUGGLED, 0, 400, true, 0},
    {"H27b", P "X: 1\nContent-Length: 0\r\n\r\n" SMUGGLED, 0, 400, true, 0},
    {"H28", P "X: 1\rContent-Length: 0\r\n\r\n" SMUGGLED, 0, 400, true, 0},
    {"H29", P "Content-Length : 0\r\n\r\n" SMUGGLED, 0, 400, true, 0},
    {"H30", P "X: 1\r\n Content-Length: 9\r\n\r\n" SMUGGLED, 0, 400, true, 0},
    {"H34", P "nothing\r\n\r\n" SMUGGLED, 0, 400, true, 0},
    {"H35", P ": 1\r\nContent-Length: 9\r\n\r\n" SMUGGLED, 0, 400, true, 0},
    {"H36", BYTES(P "X: a\0b\r\n\r\n" SMUGGLED), 400, true, 0},
    {"H37", P "X\xc3\xa9: 1\r\n\r\n" SMUGGLED, 0, 400, true, 0},
    {"H38", "POST /v1/customers HTTP/1.1\r\n" AUTH "\r\n" SMUGGLED, 0, 400, true, 0},
    {"H39", P "Host: b\r\n\r\n" SMUGGLED, 0, 400, true, 0},
    {"H40", "POST /v1/customers HTTP/1.1\r\nHost: a/b:c\r\n" AUTH "\r\n" SMUGGLED, 0, 400, true, 0},
    {"H41", "GET /v1/customers\r\n\r\n" SMUGGLED, 0, 400, true, 0},
    {"H42", "GET /v1/customers HTTP/1.0\r\nConnection: keep-alive\r\n" AUTH "\r\n", 0, 200, false, 1},
    {"H42b", "GET /v1/customers HTTP/1.0\r\n" AUTH "\r\n" SMUGGLED, 0, 200, true, 1},
    {"H43", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" SMUGGLED, 0, 505, true, 0},
    {"H44", "GET /v1/customers HTTP/9.9\r\nHost: a\r\n\r\n" SMUGGLED, 0, 505, true, 0},
    {"H45", "post /v1/customers HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n" SMUGGLED, 0, 405, true, 0},
    {"H46", "BREW /v1/customers HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n" SMUGGLED, 0, 405, true, 0},
    {"H47", "TRACE /v1/customers HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n" SMUGGLED, 0, 405, true, 0},
    {"H47b", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n" SMUGGLED, 0, 405, true, 0},
    {"H48", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n" SMUGGLED, 0, 405, true, 0},
    {"H49", "GET http://a/v1/customers HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n" SMUGGLED, 0, 400, true, 0},
    {"H51", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11, 400, true, 0},
    {"H52", G "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 0, 200, false, 1},
    {"H52b", G "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n\r\n", 0, 200, false, 1},
    {"H54", P "Content-Length: 0\r\nExpect: bogus\r\n\r\n" SMUGGLED, 0, 417, true, 0},
    // clang-format on
};

static const struct row paths[] = {
    // clang-format off
    {"H64", "GET /v1/customers/a%00b HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 0, 400, false, 0},
    {"H65", "GET /v1/customers/../balance HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 0, 404, false, 0},
    {"H65b", "GET /v1/x/%2e%2e/balance HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 0, 404, false, 0},
    {"H65c", "GET /v1/customers/%2e%2e HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 0, 200, false, 1}, /* an id, for the worker */
    {"H66", "GET //v1/customers HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 0, 404, false, 0},
    {"H66b", "GET /v1/./customers HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 0, 404, false, 0},
    {"H67", "GET /v1/customers/a%2fb HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 0, 200, false, 1}, /* one id */
    {"H68", "GET /v1/customers/%c0%af HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 0, 400, false, 0},
    {"H69", "GET /v1/customers/%zz HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 0, 400, false, 0},
    {"H69b", "GET /v1/customers/% HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 0, 400, false, 0},
    {"H71", "GET /v1/customers/ HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 0, 404, false, 0},
    {"H71b", "GET /v1/Customers HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 0, 404, false, 0},
    {"H74", "GET /v1/customers/';DROP%20TABLE%20x;-- HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 0, 200, false, 1},
    {"H74b", "GET /v1/customers/%25s%25n HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 0, 200, false, 1},
    {"H74c", "GET /v1/customers/a%0d%0ab HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 0, 404, false, 0},
    {"H75", "GET /v1/customers/a HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 0, 200, false, 1},
    {"H75b", "GET /v1/customers/cus_012345678901234567890123456789012345678901234567890123456789 HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 0, 200, false, 1},
    {"a space in the path", "GET /v1/cust omers HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 0, 400, true, 0},
    // clang-format on
};

static struct reply reply;

static void
expect_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct row *r = &rows[i];
        const int before = stage_executed();
        const size_t size = r->size ? r->size : strlen(r->bytes);
        const int fd = stage_connect();
        cr_assert(ge(int, fd, 0));
        stage_send(fd, r->bytes, size);
        stage_read(fd, 5000, &reply);
        cr_expect(eq(int, reply.status, r->status), "%s: %s", r->row, reply.text);
        cr_expect(eq(int, reply.closed, r->closes), "%s", r->row);
        cr_expect(strncmp(reply_header(&reply, "Request-Id"), "req_", 4) == 0, "%s", r->row);
        if (reply.status >= 400)
            cr_expect(strstr(reply.body, "\"error\": {") != NULL, "%s: %s", r->row, reply.body);
        if (!r->closes) { /* the connection still serves */
            stage_send(fd, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n", 34);
            stage_read(fd, 5000, &reply);
            cr_expect(eq(int, reply.status, 200), "%s", r->row);
        }
        close(fd);
        cr_expect(eq(int, stage_executed() - before, r->executed), "%s", r->row);
    }
}

Test(hostile_http, framing_that_has_two_readings_is_refused_and_the_connection_closed)
{
    expect_rows(framing, sizeof framing / sizeof framing[0]);
}

Test(hostile_http, paths_are_what_they_say)
{
    expect_rows(paths, sizeof paths / sizeof paths[0]);
}

/* --- rows that are longer than a line
 * ---------------------------------------------------------------- */

static char *
filled(const char *before, char fill, size_t count, const char *after)
{
    char *text = malloc(strlen(before) + count + strlen(after) + 1);
    sprintf(text, "%s", before);
    memset(text + strlen(before), fill, count);
    strcpy(text + strlen(before) + count, after);
    return text;
}

Test(hostile_http, long_things_have_limits)
{
    static const struct {
        const char *row, *before;
        size_t count;
        const char *after;
        int status;
    } rows[] = {
        {"H32", G "X: ", 9000, "\r\n\r\n", 431},
        {"H33", G "X: ", 8000, "\r\nY: ", 0}, /* made longer below */
        {"H70", "GET /v1/customers/", 12 << 10, " HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 404},
        {"H70b", "GET /v1/customers/", 17000, " HTTP/1.1\r\nHost: a\r\n" AUTH "\r\n", 414},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = filled(rows[i].before, 'x', rows[i].count, rows[i].after);
        if (!rows[i].status) {
            char *longer =
                filled(text, 'y', 8000,
                       "\r\nZ: 34567890123456789012345678901234567890"
                       "123456789012345678901234567890123456789012345678901234567890123"
                       "456789012345678901234567890123456789012345678901234567890123456"
                       "789012345678901234567890123456789012345678901234567890123456789"
                       "012345678901234567890123456789012345678901234567890123456789012"
                       "345678901234567890123456789012345678901234567890123456789012345\r\n\r\n");
            free(text);
            text = longer;
        }
        stage_ask(text, strlen(text), &reply);
        cr_expect(eq(int, reply.status, rows[i].status ? rows[i].status : 431), "%s", rows[i].row);
        free(text);
    }
    char many[8192]; /* H31 */
    int size = sprintf(many, G);
    for (int i = 0; i < 70; i++)
        size += sprintf(many + size, "X-%d: 1\r\n", i);
    size += sprintf(many + size, "Content-Length: 9\r\n\r\n");
    stage_ask(many, (size_t)size, &reply);
    cr_expect(eq(int, reply.status, 431));
    cr_expect(reply.closed);

    char *big =
        filled(P "Content-Length: 1048577\r\n\r\n", 'x', 4096, ""); /* more than body_bytes_max */
    stage_ask(big, strlen(big), &reply);
    cr_expect(eq(int, reply.status, 413));
    free(big);
    cr_expect(eq(int, stage_executed(), 0));
}

Test(hostile_http, a_body_that_ends_early_is_never_a_request)
{
    const int fd = stage_connect(); /* H23 */
    static const char part[] = P "Content-Length: 11\r\n\r\nemail=a";
    stage_send(fd, part, sizeof part - 1);
    shutdown(fd, SHUT_WR);
    stage_read(fd, 5000, &reply);
    cr_expect(eq(int, reply.status, 400));
    cr_expect(reply.closed);
    close(fd);

    static const char whole[] = G "\r\n"; /* H57: half-closed, but whole */
    const int half = stage_connect();
    stage_send(half, whole, sizeof whole - 1);
    shutdown(half, SHUT_WR);
    stage_read(half, 5000, &reply);
    cr_expect(eq(int, reply.status, 200));
    close(half);
    cr_expect(eq(int, stage_executed(), 1));
}

Test(hostile_http, what_comes_after_the_body_is_the_next_request_or_the_end)
{
    static const char junk[] =
        P "Content-Length: 0\r\n\r\njunk after the body\r\n\r\n" SMUGGLED; /* H25 */
    const int fd = stage_connect();
    stage_send(fd, junk, sizeof junk - 1);
    stage_read(fd, 5000, &reply);
    cr_expect(eq(int, reply.status, 200));
    stage_read(fd, 5000, &reply);
    cr_expect(eq(int, reply.status, 400));
    cr_expect(reply.closed);
    cr_expect(eq(int, stage_executed(), 1));
    close(fd);

    static const char closing[] = G "Connection: close\r\n\r\n" SMUGGLED; /* H55 */
    const int closed = stage_connect();
    stage_send(closed, closing, sizeof closing - 1);
    stage_read(closed, 5000, &reply);
    cr_expect(eq(int, reply.status, 200));
    cr_expect(reply.closed);
    cr_expect(eq(int, stage_executed(), 2));
    close(closed);
}

static void *
send_a_thousand(void *fd)
{
    static const char one[] = G "\r\n";
    for (int i = 0; i < 1000; i++)
        stage_send(*(int *)fd, one, sizeof one - 1);
    return NULL;
}

Test(hostile_http, a_thousand_pipelined_requests_are_answered_in_turn) /* H26 */
{
    int fd = stage_connect();
    pthread_t sender;
    pthread_create(&sender, NULL, send_a_thousand, &fd);
    for (int i = 1; i <= 1000; i++) {
        char count[32];
        stage_read(fd, 10000, &reply);
        snprintf(count, sizeof count, "\"count\": %d,", i);
        cr_assert(eq(int, reply.status, 200));
        cr_assert(strstr(reply.body, count) != NULL);
    }
    pthread_join(sender, NULL);
    close(fd);
}

Test(hostile_http, a_continue_is_said_once_and_only_when_it_is_of_use)
{
    static const char head[] = P "Content-Length: 7\r\nExpect: 100-continue\r\n\r\n"; /* H53 */
    int fd = stage_connect();
    stage_send(fd, head, sizeof head - 1);
    stage_read(fd, 5000, &reply);
    cr_expect(eq(int, reply.status, 100));
    stage_send(fd, "email=a", 7);
    stage_read(fd, 5000, &reply);
    cr_expect(eq(int, reply.status, 200));
    close(fd);
    fd = stage_connect(); /* never followed by a body */
    stage_send(fd, head, sizeof head - 1);
    stage_read(fd, 5000, &reply);
    cr_expect(eq(int, reply.status, 100));
    stage_read(fd, 5000, &reply);
    cr_expect(eq(int, reply.status, 408));
    cr_expect(reply.closed);
    close(fd);
    cr_expect(eq(int, stage_executed(), 1));
}

Test(hostile_http,
     leading_empty_lines_do_not_bring_old_bytes_back) /* H50, and the same on one thread */
{
    static const char body[] = P "Content-Length: 0\r\n\r\n";
    stage_ask(body, sizeof body - 1, &reply);
    char lines[128] = "";
    for (int i = 0; i < 50; i++)
        strcat(lines, "\r\n");
    stage_ask(lines, strlen(lines), &reply);
    cr_expect(eq(int, reply.status, 400));
    cr_expect(reply.closed);
    cr_expect(eq(int, stage_executed(), 1));
}

/* --- others are served meanwhile
 * ---------------------------------------------------------------------- */

Test(hostile_http, others_are_served_while_many_misbehave)
{
    static const char *const bad[] = {
        "POST /v1/customers HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nx", "GET /v1/cust",
        "\r\n", "\x16\x03\x01", P "Content-Length: 5\r\n\r\n"};
    int fds[40];
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < 40; i++) {
            fds[i] = stage_connect();
            stage_send(fds[i], bad[i % 5], strlen(bad[i % 5]));
        }
        for (int i = 0; i < 20; i++) {
            stage_call("GET", "/v1/customers", "", NULL, &reply);
            cr_expect(eq(int, reply.status, 200));
        }
        for (size_t i = 0; i < 40; i++) { /* some are reset instead of closed */
            const struct linger linger = {i % 2 == 0, 0};
            setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
            close(fds[i]);
        }
    }
    cr_expect(eq(int, kill(stage_gateway(), 0), 0));
    cr_expect(eq(int, stage_executed(), 60));
}

Test(hostile_http, silent_slow_and_deaf_clients_take_no_seat) /* H58 to H61 */
{
    static const char *const words[] = {
        "", "GET /v1/customers HTTP/1.1\r\nHost: a\r\nX: ",
        P "Content-Length: 600000\r\n\r\nemail=", "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"};
    enum { EACH = 24 }; /* of each more than there are seats */
    static int fds[4 * EACH];
    stage_close();
    stage_open("request_timeout_ms = 5000\nrequests_max = 4\n");
    for (int i = 0; i < 4 * EACH; i++) {
        const int small = 4096;
        fds[i] = stage_connect();
        cr_assert(ge(int, fds[i], 0));
        setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        stage_send(fds[i], words[i % 4], strlen(words[i % 4]));
    }
    static char more[50000];
    memset(more, 'x', sizeof more); /* so much of a body that it must be fetched to make room */
    for (int i = 2; i < 4 * EACH; i += 4)
        stage_send(fds[i], more, sizeof more);
    for (int i = 0; i < 100; i++) {
        stage_call("GET", "/v1/customers", "", NULL, &reply);
        cr_assert(eq(int, reply.status, 200));
    }
    /* who is slow is told so, when the time is over */
    for (int i = 1; i < 4 * EACH; i += i % 4 == 1 ? 1 : 3) {
        stage_read(fds[i], 30000, &reply);
        cr_expect(eq(int, reply.status, 408), "%d", i);
        cr_expect(reply.closed, "%d", i);
    }
    for (int i = 0; i < 4 * EACH; i++)
        close(fds[i]);
    cr_expect(eq(int, stage_executed(), 100));
}

Test(hostile_http, a_slow_reader_gets_all_of_its_answers_in_turn) /* H60 */
{
    static const char one[] = "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n", last[] = G "\r\n";
    enum { TIMES = 24 }; /* more than sockets hold */
    const int fd = stage_connect();
    for (int i = 0; i < TIMES; i++)
        stage_send(fd, one, sizeof one - 1);
    stage_send(fd, last, sizeof last - 1);
    for (int i = 0; i < 50; i++) { /* the answers wait meanwhile */
        stage_call("GET", "/v1/customers", "", NULL, &reply);
        cr_assert(eq(int, reply.status, 200));
    }
    enum { SIZE = 32 << 20 };
    char *const all = malloc(SIZE);
    size_t size = 0, parsed = 0;
    int answers = 0;
    while (answers < TIMES + 1) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        cr_assert(eq(int, poll(&poll_fd, 1, 5000), 1), "after %zu bytes", size);
        const ssize_t count = recv(fd, all + size, SIZE - 1 - size, 0);
        cr_assert(gt(long, count, 0), "after %zu bytes", size);
        size += (size_t)count;
        all[size] = '\0';
        const char *end;
        while (parsed < size && (end = strstr(all + parsed, "\r\n\r\n"))) {
            const char *const length = strstr(all + parsed, "Content-Length: ");
            cr_assert(strncmp(all + parsed, "HTTP/1.1 200", 12) == 0);
            cr_assert(length != NULL && length < end);
            const size_t whole = (size_t)(end + 4 - all) + (size_t)atol(length + 16);
            if (whole > size) break;
            parsed = whole;
            answers++;
        }
    }
    cr_expect(gt(ulong, size, (ulong)8 << 20));
    cr_expect(eq(ulong, parsed, size));
    cr_expect(strstr(all + size - 200, "\"description\"") != NULL); /* the last is the last */
    free(all);
    close(fd);
    cr_expect(eq(int, stage_executed(), 51));
}

Test(hostile_http, a_request_in_many_pieces_is_one_request) /* H22, H58 */
{
    static const char text[] = P "Content-Length: 7\r\n\r\nemail=a" G "\r\n";
    const int fd = stage_connect();
    for (size_t i = 0; i < sizeof text - 1; i++)
        stage_send(fd, text + i, 1);
    for (int i = 0; i < 2; i++) {
        stage_read(fd, 5000, &reply);
        cr_expect(eq(int, reply.status, 200));
    }
    close(fd);
    cr_expect(eq(int, stage_executed(), 2));
}

Test(hostile_http, when_there_are_too_many_those_go_that_have_waited_longest)
{
    stage_close();
    stage_open("http_connections = 16\n");
    int fds[40];
    for (int i = 0; i < 40; i++)
        fds[i] = stage_connect();
    for (int i = 0; i < 20; i++) {
        stage_call("GET", "/v1/customers", "", NULL, &reply);
        cr_assert(eq(int, reply.status, 200));
    }
    int closed = 0; /* and nothing was said */
    for (int i = 0; i < 40; i++) {
        char byte;
        closed += recv(fds[i], &byte, 1, MSG_DONTWAIT) == 0;
    }
    cr_expect(ge(int, closed, 24));
    for (int i = 0; i < 40; i++)
        close(fds[i]);
}

Test(hostile_http, when_too_much_was_begun_those_go_that_have_waited_longest)
{
    static const char head[] = P "Content-Length: 1000000\r\n\r\ndescription=";
    enum { MANY = 40, SENT = 900000 }; /* 24 MiB of it may be kept */
    const size_t left = 1000000 - SENT - strlen("description=");
    int fds[MANY];
    char *const body = filled("", 'x', SENT, "");
    stage_close();
    stage_open("request_timeout_ms = 60000\n");
    for (int i = 0; i < MANY; i++) {
        fds[i] = stage_connect();
        cr_assert(stage_send(fds[i], head, sizeof head - 1));
        cr_assert(stage_send(fds[i], body, SENT));
        for (int unread = 1; unread; poll(NULL, 0, 1))
            cr_assert(eq(int, ioctl(fds[i], SIOCOUTQ, &unread), 0));
        stage_call("GET", "/v1/customers", "", NULL, &reply); /* asked after it was read */
        cr_assert(eq(int, reply.status, 200));
    }
    for (int i = 0; i < 8; i++) {
        struct pollfd poll_fd = {.fd = fds[i], .events = POLLIN};
        char byte;
        cr_assert(eq(int, poll(&poll_fd, 1, 10000), 1), "%d", i);
        cr_expect(le(long, recv(fds[i], &byte, 1, 0), 0), "%d: nothing was said", i);
    }
    stage_send(fds[MANY - 1], body, left); /* the last one is still known */
    stage_read(fds[MANY - 1], 10000, &reply);
    cr_expect(eq(int, reply.status, 400), "%s", reply.text);
    cr_expect(strstr(reply.body, "description") != NULL, "%s", reply.body);
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
    free(body);
}
