#include "front.h"

#include "log.h"
#include <arpa/inet.h>
#include <assert.h>
#include <civetweb.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct front {
    struct mg_context *context;
    front_take_fn *take;
    void *state;
    int nobody; /* a socket whose other end is closed */
    struct sockaddr_in at;
    atomic_bool stopped;
};

/* The connection that this thread of civetweb's is about to serve. */
static _Thread_local struct {
    bool is_new; /* nothing of it has been read */
    int fd;      /* -1: not known, and then nothing is served */
} connection = {false, -1};

/* What civetweb is given to read instead of what the client sent: enough to make it call us once,
 * and close the connection when we are done with it. */
static const char instead[] = "GET / HTTP/1.0\r\n\r\n";

/* civetweb tells nobody which socket a connection has, and looks at its bytes before it asks
 * anybody. But it reads by recv(), and a function of the program stands before the C library's of
 * the same name. So its first read of a connection tells us the socket, and reads `instead`. All
 * other reads of the process (libzmq, hiredis) go on as ever: recvfrom without an address is what
 * recv is. */
ssize_t
recv(int fd, void *buffer, size_t size, int flags)
{
    if (!connection.is_new) return recvfrom(fd, buffer, size, flags, NULL, NULL);
    assert(size >= sizeof instead - 1);
    connection.is_new = false;
    connection.fd = fd;
    memcpy(buffer, instead, sizeof instead - 1);
    return sizeof instead - 1;
}

/* Before it reads, it waits for the client, for seconds and with one of its few threads: so the wait
 * is over at once, too, for a connection of which nothing has been read. */
int
poll(struct pollfd *fds, nfds_t count, int ms)
{
    if (connection.is_new && count == 1) {
        fds[0].revents = POLLIN;
        return 1;
    }
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    return ppoll(fds, count, ms < 0 ? NULL : &time, NULL);
}

static int
on_connection(const struct mg_connection *mg, void **data)
{
    (void)mg;
    (void)data;
    connection.is_new = true;
    connection.fd = -1;
    return 0;
}

/* Called once a connection, when civetweb has read `instead`. Had it read anything else, there
 * would be no socket here, and nothing would be served: it fails closed.
 *
 * The connection moves to a descriptor of ours, and civetweb is left with one that leads nowhere: it
 * may shut that down and close it as it likes, and has its thread back at once. */
static int
on_request(struct mg_connection *mg)
{
    const struct front *front = mg_get_user_data(mg_get_context(mg));
    const int fd = connection.fd;
    connection.fd = -1;
    if (fd < 0) {
        log_event(LOG_ERROR, "http.unguarded", "reason=\"civetweb read a client's bytes itself\"");
        return 500;
    }
    const int ours = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (ours < 0) return 500; /* no descriptors left: civetweb closes it, and says nothing */
    if (dup2(front->nobody, fd) < 0 || fcntl(ours, F_SETFL, O_RDWR | O_NONBLOCK) != 0) {
        close(ours);
        return 500;
    }
    front->take(front->state, ours);
    return 200;
}

static void
on_close(const struct mg_connection *mg)
{
    (void)mg;
    connection.is_new = false;
    connection.fd = -1;
}

static int
on_error(struct mg_connection *mg, int status, const char *message)
{
    (void)mg;
    (void)status;
    (void)message;
    return 0; /* says nothing of its own to a client */
}

static int
on_message(const struct mg_connection *mg, const char *message)
{
    (void)mg;
    log_event(LOG_DEBUG, "civetweb.said", "message=\"%s\"", message);
    return 1;
}

/* civetweb does not say why it cannot listen; trying it ourselves does. */
static const char *
why_not(const struct sockaddr_in *at)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int one = 1;
    if (fd < 0) return strerror(errno);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    const bool failed =
        bind(fd, (const struct sockaddr *)at, sizeof *at) != 0 || listen(fd, 1) != 0;
    const int error = errno;
    close(fd);
    return failed ? strerror(error) : "the HTTP library cannot start";
}

struct front *
front_start(const char *address, int port, front_take_fn *take, void *state, char *error,
            size_t error_size)
{
    char ports[96];
    int pair[2];
    const char *const options[] = {"listening_ports",
                                   ports,
                                   "num_threads",
                                   "8",
                                   "request_timeout_ms",
                                   "10000",
                                   "tcp_nodelay",
                                   "1",
                                   "enable_keep_alive",
                                   "no",
                                   "listen_backlog",
                                   "4096",
                                   "connection_queue",
                                   "256",
                                   "decode_url",
                                   "no",
                                   NULL};
    const struct mg_callbacks callbacks = {.init_connection = on_connection,
                                           .begin_request = on_request,
                                           .connection_close = on_close,
                                           .http_error = on_error,
                                           .log_message = on_message};
    struct front *front = calloc(1, sizeof *front);
    assert(front);
    front->take = take;
    front->state = state;
    snprintf(ports, sizeof ports, "%s:%d", address, port);
    front->at = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, address, &front->at.sin_addr) != 1) {
        snprintf(error, error_size,
                 "The gateway cannot listen at %s: it is no address of version 4.", address);
        free(front);
        return NULL;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        snprintf(error, error_size, "The gateway has no descriptors left: %s.", strerror(errno));
        free(front);
        return NULL;
    }
    close(pair[1]);
    front->nobody = pair[0];
    mg_init_library(MG_FEATURES_DEFAULT);
    front->context = mg_start(&callbacks, front, (const char **)options);
    if (front->context) return front;
    snprintf(error, error_size, "The gateway cannot listen at %s port %d: %s.", address, port,
             why_not(&front->at));
    mg_exit_library();
    close(front->nobody);
    free(front);
    return NULL;
}

/* civetweb looks only every 2 s whether it is to stop, unless somebody knocks. */
static void *
knock(void *state)
{
    struct front *front = state;
    while (!atomic_load(&front->stopped)) {
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0) (void)!connect(fd, (const struct sockaddr *)&front->at, sizeof front->at);
        poll(NULL, 0, 10);
        if (fd >= 0) close(fd);
    }
    return NULL;
}

void
front_stop(struct front **front_p)
{
    struct front *front = *front_p;
    pthread_t knocker;
    if (!front) return;
    const bool knocks = pthread_create(&knocker, NULL, knock, front) == 0;
    mg_stop(front->context);
    atomic_store(&front->stopped, true);
    if (knocks) pthread_join(knocker, NULL);
    mg_exit_library();
    close(front->nobody);
    free(front);
    *front_p = NULL;
}
