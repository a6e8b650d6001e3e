#include "lobby.h"

#include "clock.h"
#include "log.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    IDLE_MS_MAX = 60000, /* between two requests */
    SENDS_MS_MAX = 30000,
    FAREWELL_MS_MAX = 500, /* reading on, so that a refusal is not lost in a reset */
    TICK_MS = 100,
    UNREAD_MAX = 32 << 10,     /* more than that of a body is fetched, so that more can come */
    KEPT_BYTES_MAX = 24 << 20, /* of begun requests and of answers, for all together */
    THREAD_STACK_BYTES = 256 << 10,
    EVENTS_MAX = 256,
};
static_assert(UNREAD_MAX < HTTP_HEAD_MAX, "a head that is not read fits into what is looked at");

enum place { AWAY, IDLE, BEGUN, SENDS, FAREWELL, READY };

/* One connection that waits, at the index of its descriptor. */
struct guest {
    struct http_visit visit;
    enum place place;  /* AWAY: there is none, or a thread has it */
    int before, after; /* descriptors of its neighbours in the queue of its place; -1: none */
    int64_t until_ms;  /* IDLE, SENDS, FAREWELL */
    size_t sent;       /* of the rest */
};

/* In the order in which they came. */
struct queue {
    int first, last;
};

/* A thread without work. The one that came last is called first: its stack is warm. */
struct seat {
    pthread_cond_t called;
    bool has_visit;
    struct http_visit visit;
    struct seat *next;
};

struct lobby {
    const struct http_server *server;
    unsigned threads_max, connections_max;
    int epoll, bell;
    pthread_t porter;

    pthread_mutex_t lock; /* over all that follows */
    struct guest *guests;
    int guests_max;
    struct queue idle, active, ready; /* active: BEGUN, SENDS, FAREWELL */
    unsigned count;
    size_t kept_bytes;
    struct seat *seats;
    pthread_t *threads;
    unsigned thread_count;
    bool stops;
    int64_t leaving_ms; /* since when we drain; INT64_MAX: we do not */
    char *scratch;      /* the porter's: what is looked at */
};

/* --- queues ------------------------------------------------------------------------------------
 */

static struct queue *
queue_of(struct lobby *lobby, enum place place)
{
    return place == IDLE ? &lobby->idle : place == READY ? &lobby->ready : &lobby->active;
}

static void
enter(struct lobby *lobby, int fd, enum place place)
{
    struct guest *guest = &lobby->guests[fd];
    struct queue *queue = queue_of(lobby, place);
    assert(guest->place == AWAY && place != AWAY);
    guest->place = place;
    guest->before = queue->last;
    guest->after = -1;
    if (queue->last >= 0)
        lobby->guests[queue->last].after = fd;
    else
        queue->first = fd;
    queue->last = fd;
}

static void
leave(struct lobby *lobby, int fd)
{
    struct guest *guest = &lobby->guests[fd];
    struct queue *queue = queue_of(lobby, guest->place);
    assert(guest->place != AWAY);
    if (guest->before >= 0)
        lobby->guests[guest->before].after = guest->after;
    else
        queue->first = guest->after;
    if (guest->after >= 0)
        lobby->guests[guest->after].before = guest->before;
    else
        queue->last = guest->before;
    guest->place = AWAY;
}

static void
move(struct lobby *lobby, int fd, enum place place)
{
    leave(lobby, fd);
    enter(lobby, fd, place);
}

/* --- coming and going ---------------------------------------------------------------------------
 */

static size_t
kept_by(const struct http_visit *visit)
{
    return visit->begun_cap + visit->rest_size;
}

/* Closes one that waits. */
static void
dismiss(struct lobby *lobby, int fd)
{
    struct guest *guest = &lobby->guests[fd];
    leave(lobby, fd);
    lobby->kept_bytes -= kept_by(&guest->visit);
    http_forget(&guest->visit);
    lobby->count--;
    close(fd); /* which takes it out of epoll too */
}

static void
make_room(struct lobby *lobby)
{
    while (lobby->count >= lobby->connections_max) {
        const int fd = lobby->idle.first >= 0 ? lobby->idle.first : lobby->active.first;
        if (fd < 0) return; /* all are being served */
        dismiss(lobby, fd);
    }
}

static void *serve(void *state);

static void
start_thread(struct lobby *lobby)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    if (pthread_create(&lobby->threads[lobby->thread_count], &attributes, serve, lobby) == 0)
        lobby->thread_count++;
    else if (lobby->thread_count == 0)
        die("The gateway cannot start a thread to serve with.");
    pthread_attr_destroy(&attributes);
}

static void put_back(struct lobby *lobby, const struct http_visit *visit, enum http_stay stay);

/* By the porter, who has it read, refused and back before a thread would have woken up: whoever is
 * refused costs those that are served as little as can be. Nobody else knows of the connection
 * meanwhile, so the lock is free. */
static void
refuse_at_the_door(struct lobby *lobby, int fd)
{
    struct http_visit visit = lobby->guests[fd].visit;
    epoll_ctl(lobby->epoll, EPOLL_CTL_DEL, fd, NULL);
    http_expect(&visit);
    lobby->kept_bytes -= kept_by(&visit);
    lobby->count--;
    leave(lobby, fd);
    pthread_mutex_unlock(&lobby->lock);
    visit.hurried = true;
    const enum http_stay stay = http_serve(lobby->server, &visit);
    visit.hurried = false;
    pthread_mutex_lock(&lobby->lock);
    put_back(lobby, &visit, stay);
}

/* To a thread, or to the queue before them. */
static void
hand_over(struct lobby *lobby, int fd)
{
    struct guest *guest = &lobby->guests[fd];
    epoll_ctl(lobby->epoll, EPOLL_CTL_DEL, fd, NULL);
    http_expect(&guest->visit);
    lobby->kept_bytes -= kept_by(&guest->visit);
    struct seat *seat = lobby->seats;
    if (!seat) {
        move(lobby, fd, READY);
        if (lobby->thread_count < lobby->threads_max) start_thread(lobby);
        return;
    }
    leave(lobby, fd);
    lobby->count--;
    lobby->seats = seat->next;
    seat->visit = guest->visit;
    seat->has_visit = true;
    pthread_cond_signal(&seat->called);
}

/* Looks at what one has sent: all of a request, the end, or less. */
static void
look(struct lobby *lobby, int fd, uint32_t events)
{
    struct guest *guest = &lobby->guests[fd];
    struct http_visit *visit = &guest->visit;
    int unread = 0;
    if (ioctl(fd, FIONREAD, &unread) != 0) unread = 0;
    const size_t size = visit->begun_size + (size_t)unread;
    if (unread == 0 && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))) {
        if (visit->begun_size)
            hand_over(lobby, fd); /* is told that it ended too early */
        else
            dismiss(lobby, fd);
        return;
    }
    if (size == 0) return;
    if (!visit->began_ms) visit->began_ms = clock_mono_ms();
    bool ready = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) || unread >= UNREAD_MAX;
    if (!ready && visit->need) ready = size >= visit->need;
    if (!ready && !visit->need) {
        assert(visit->begun_size < HTTP_HEAD_MAX);
        if (visit->begun_size) memcpy(lobby->scratch, visit->begun, visit->begun_size);
        const ssize_t count =
            recvfrom(fd, lobby->scratch + visit->begun_size, HTTP_HEAD_MAX - visit->begun_size,
                     MSG_PEEK | MSG_DONTWAIT, NULL, NULL);
        ready = http_is_ready(lobby->server, visit, lobby->scratch,
                              visit->begun_size + (size_t)(count > 0 ? count : 0));
        if (!ready && visit->need) ready = size >= visit->need;
    }
    if (ready && visit->need && size >= visit->need && lobby->server->is_full(lobby->server->state))
        refuse_at_the_door(lobby, fd);
    else if (ready)
        hand_over(lobby, fd);
    else if (guest->place == IDLE)
        move(lobby, fd, BEGUN);
}

/* In a place of the lobby, where epoll tells of it. What is there already is told at once. */
static void
settle(struct lobby *lobby, int fd, enum place place, int64_t until_ms)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.fd = fd};
    if (place == SENDS) event.events = EPOLLOUT | EPOLLET;
    lobby->guests[fd].until_ms = until_ms;
    lobby->guests[fd].sent = 0;
    enter(lobby, fd, place);
    lobby->count++;
    lobby->kept_bytes += kept_by(&lobby->guests[fd].visit);
    if (lobby->kept_bytes > KEPT_BYTES_MAX || lobby->stops ||
        epoll_ctl(lobby->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        dismiss(lobby, fd);
}

void
lobby_take(void *state, int fd)
{
    struct lobby *lobby = state;
    if (fd >= lobby->guests_max) {
        close(fd);
        return;
    }
    pthread_mutex_lock(&lobby->lock);
    make_room(lobby);
    lobby->guests[fd].visit = (struct http_visit){.fd = fd};
    settle(lobby, fd, IDLE, clock_mono_ms() + IDLE_MS_MAX);
    pthread_mutex_unlock(&lobby->lock);
}

/* Where it belongs after it was served. */
static void
put_back(struct lobby *lobby, const struct http_visit *visit, enum http_stay stay)
{
    const int fd = visit->fd;
    const int64_t now_ms = clock_mono_ms();
    lobby->guests[fd].visit = *visit;
    switch (stay) {
    case HTTP_OVER:
        http_forget(&lobby->guests[fd].visit);
        close(fd);
        break;
    case HTTP_FAREWELL:
        shutdown(fd, SHUT_WR);
        settle(lobby, fd, FAREWELL, now_ms + FAREWELL_MS_MAX);
        break;
    case HTTP_SENDS: settle(lobby, fd, SENDS, now_ms + SENDS_MS_MAX); break;
    case HTTP_WAITS: settle(lobby, fd, visit->began_ms ? BEGUN : IDLE, now_ms + IDLE_MS_MAX); break;
    }
}

/* From a thread that has done what there was to do. */
static void
take_back(struct lobby *lobby, const struct http_visit *visit, enum http_stay stay)
{
    pthread_mutex_lock(&lobby->lock);
    put_back(lobby, visit, stay);
    pthread_mutex_unlock(&lobby->lock);
}

/* --- the threads that serve ---------------------------------------------------------------------
 */

static bool
next_visit(struct lobby *lobby, struct seat *seat, struct http_visit *visit)
{
    pthread_mutex_lock(&lobby->lock);
    const int fd = lobby->ready.first;
    bool got = fd >= 0;
    if (got) {
        *visit = lobby->guests[fd].visit;
        leave(lobby, fd);
        lobby->count--;
    } else if (!lobby->stops) {
        seat->has_visit = false;
        seat->next = lobby->seats;
        lobby->seats = seat;
        while (!seat->has_visit && !lobby->stops)
            pthread_cond_wait(&seat->called, &lobby->lock);
        got = seat->has_visit;
        if (got) *visit = seat->visit;
    }
    pthread_mutex_unlock(&lobby->lock);
    return got;
}

static void *
serve(void *state)
{
    struct lobby *lobby = state;
    struct seat seat = {.called = PTHREAD_COND_INITIALIZER};
    struct http_visit visit;
    while (next_visit(lobby, &seat, &visit)) {
        const enum http_stay stay = http_serve(lobby->server, &visit);
        take_back(lobby, &visit, stay);
    }
    return NULL;
}

/* --- the porter, who watches those that wait -----------------------------------------------------
 */

static void
send_on(struct lobby *lobby, int fd)
{
    struct guest *guest = &lobby->guests[fd];
    struct http_visit *visit = &guest->visit;
    while (guest->sent < visit->rest_size) {
        const ssize_t count =
            send(fd, visit->rest + guest->sent, visit->rest_size - guest->sent, MSG_NOSIGNAL);
        if (count > 0) {
            guest->sent += (size_t)count;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno != EINTR) {
            dismiss(lobby, fd);
            return;
        }
    }
    lobby->kept_bytes -= visit->rest_size;
    free(visit->rest);
    visit->rest = NULL;
    visit->rest_size = 0;
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.fd = fd};
    epoll_ctl(lobby->epoll, EPOLL_CTL_MOD, fd, &event);
    if (visit->over) {
        shutdown(fd, SHUT_WR);
        move(lobby, fd, FAREWELL);
        guest->until_ms = clock_mono_ms() + FAREWELL_MS_MAX;
    } else {
        move(lobby, fd, IDLE);
        guest->until_ms = clock_mono_ms() + IDLE_MS_MAX;
        if (visit->begun_size) look(lobby, fd, 0); /* what came behind it meanwhile */
    }
}

static void
waste(struct lobby *lobby, int fd)
{
    for (;;) {
        const ssize_t count = recvfrom(fd, lobby->scratch, HTTP_HEAD_MAX, MSG_DONTWAIT, NULL, NULL);
        if (count > 0 || (count < 0 && errno == EINTR)) continue;
        if (count == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) dismiss(lobby, fd);
        return;
    }
}

static void
on_event(struct lobby *lobby, int fd, uint32_t events)
{
    switch (lobby->guests[fd].place) {
    case IDLE:
    case BEGUN: look(lobby, fd, events); break;
    case SENDS: send_on(lobby, fd); break;
    case FAREWELL: waste(lobby, fd); break;
    case READY:
    case AWAY: break; /* it went while others were looked at */
    }
}

/* Those whose time is over: who asks nothing is closed, who is late is told so. */
static void
look_at_the_clock(struct lobby *lobby)
{
    const int64_t now_ms = clock_mono_ms();
    while (lobby->idle.first >= 0 && lobby->guests[lobby->idle.first].until_ms <= now_ms)
        dismiss(lobby, lobby->idle.first);
    for (int fd = lobby->active.first, after; fd >= 0; fd = after) {
        const struct guest *guest = &lobby->guests[fd];
        after = guest->after;
        if (guest->place == BEGUN) {
            if (http_deadline_ms(lobby->server, &guest->visit) <= now_ms) hand_over(lobby, fd);
        } else if (guest->until_ms <= now_ms) {
            dismiss(lobby, fd);
        }
    }
}

static void *
watch(void *state)
{
    struct lobby *lobby = state;
    struct epoll_event events[EVENTS_MAX];
    int64_t tick_ms = clock_mono_ms() + TICK_MS;
    for (bool stops = false; !stops;) {
        const int count = epoll_wait(lobby->epoll, events, EVENTS_MAX, TICK_MS);
        pthread_mutex_lock(&lobby->lock);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == http_drain_fd()) {
                epoll_ctl(lobby->epoll, EPOLL_CTL_DEL, http_drain_fd(), NULL);
                lobby->leaving_ms = clock_mono_ms();
                while (lobby->idle.first >= 0)
                    dismiss(lobby, lobby->idle.first);
            } else if (events[i].data.fd != lobby->bell) {
                on_event(lobby, events[i].data.fd, events[i].events);
            }
        }
        if (clock_mono_ms() >= tick_ms) {
            look_at_the_clock(lobby);
            tick_ms = clock_mono_ms() + TICK_MS;
        }
        stops = lobby->stops;
        pthread_mutex_unlock(&lobby->lock);
    }
    return NULL;
}

/* --- life ---------------------------------------------------------------------------------------
 */

struct lobby *
lobby_new(const struct http_server *server, unsigned threads, unsigned connections_max)
{
    struct lobby *lobby = calloc(1, sizeof *lobby);
    struct rlimit limit = {0};
    assert(lobby);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > 1 << 20) limit.rlim_cur = 1 << 20;
    /* what is left when a fifth of all descriptors is for other things */
    const unsigned room = (unsigned)(limit.rlim_cur / 5 * 4);
    lobby->server = server;
    lobby->threads_max = threads;
    lobby->connections_max = connections_max < room ? connections_max : room;
    lobby->guests_max = (int)limit.rlim_cur;
    lobby->leaving_ms = INT64_MAX;
    lobby->guests = calloc((size_t)lobby->guests_max, sizeof *lobby->guests);
    lobby->threads = calloc(threads, sizeof *lobby->threads);
    lobby->scratch = malloc(HTTP_HEAD_MAX);
    lobby->idle = lobby->active = lobby->ready = (struct queue){-1, -1};
    assert(lobby->guests && lobby->threads && lobby->scratch);
    pthread_mutex_init(&lobby->lock, NULL);
    lobby->epoll = epoll_create1(EPOLL_CLOEXEC);
    lobby->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = lobby->bell};
    if (lobby->epoll < 0 || lobby->bell < 0 ||
        epoll_ctl(lobby->epoll, EPOLL_CTL_ADD, lobby->bell, &event) != 0)
        die("The gateway has no descriptors left to wait with.");
    event.data.fd = http_drain_fd();
    if (event.data.fd >= 0) epoll_ctl(lobby->epoll, EPOLL_CTL_ADD, event.data.fd, &event);
    if (pthread_create(&lobby->porter, NULL, watch, lobby) != 0)
        die("The gateway cannot start a thread to wait with.");
    return lobby;
}

unsigned
lobby_busy(struct lobby *lobby)
{
    unsigned count = 0;
    pthread_mutex_lock(&lobby->lock);
    for (int fd = lobby->active.first; fd >= 0; fd = lobby->guests[fd].after) {
        const struct guest *guest = &lobby->guests[fd];
        count +=
            guest->place == SENDS ||
            (guest->place == BEGUN && guest->visit.began_ms <= lobby->leaving_ms) ||
            (guest->place == FAREWELL && guest->until_ms - FAREWELL_MS_MAX <= lobby->leaving_ms);
    }
    pthread_mutex_unlock(&lobby->lock);
    return count;
}

void
lobby_destroy(struct lobby **lobby_p)
{
    struct lobby *lobby = *lobby_p;
    const uint64_t one = 1;
    if (!lobby) return;
    pthread_mutex_lock(&lobby->lock);
    lobby->stops = true;
    for (struct seat *seat = lobby->seats; seat; seat = seat->next)
        pthread_cond_signal(&seat->called);
    pthread_mutex_unlock(&lobby->lock);
    if (write(lobby->bell, &one, sizeof one) < 0) assert(errno == EAGAIN);
    pthread_join(lobby->porter, NULL);
    for (unsigned i = 0; i < lobby->thread_count; i++)
        pthread_join(lobby->threads[i], NULL);
    while (lobby->idle.first >= 0)
        dismiss(lobby, lobby->idle.first);
    while (lobby->active.first >= 0)
        dismiss(lobby, lobby->active.first);
    while (lobby->ready.first >= 0) {
        lobby->kept_bytes += kept_by(&lobby->guests[lobby->ready.first].visit);
        dismiss(lobby, lobby->ready.first);
    }
    close(lobby->epoll);
    close(lobby->bell);
    free(lobby->guests);
    free(lobby->threads);
    free(lobby->scratch);
    free(lobby);
    *lobby_p = NULL;
}
