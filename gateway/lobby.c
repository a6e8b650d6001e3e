#include "lobby.h"

#include "clock.h"
#include "fiber.h"
#include "log.h"
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    IDLE_MS_MAX = 60000, /* between two requests */
    SENDS_MS_MAX = 30000,
    FAREWELL_MS_MAX = 500, /* reading on, so that a refusal is not lost in a reset */
    TICK_MS = 100,
    PAUSE_MS = 2,              /* between two looks at who will be refused */
    KEPT_BYTES_MAX = 24 << 20, /* of begun requests and of answers, for all together */
    EVENTS_MAX = 256,          /* in one turn */
    WASTE_BYTES = 64 << 10,
};

/* NOBODY: no connection has this descriptor. READY: has something to do, and no seat. */
enum place { NOBODY, IDLE, BEGUN, SENDS, FAREWELL, READY, SEATED };

/* One connection, at the index of its descriptor. */
struct guest {
    struct http_visit visit;
    enum place place;
    int before, after; /* descriptors of its neighbours in the queue of its place; -1: none */
    int64_t until_ms;  /* IDLE, SENDS, FAREWELL */
    size_t sent;       /* of the rest */
};

/* In the order in which they came. */
struct queue {
    int first, last;
};

struct seat {
    struct lobby *lobby;
    struct fiber *fiber;
    struct http_desk desk;
    int fd; /* who has it */
    struct seat *next;
};

struct lobby {
    struct loop *loop;
    const struct http_server *server;
    unsigned connections_max;
    int epoll, bell;
    struct guest *guests;
    int guests_max;
    struct queue idle, active, ready; /* active: BEGUN, SENDS, FAREWELL */
    unsigned count;
    size_t kept_bytes; /* by those that are in a queue */

    struct seat *seats, *unused; /* the one that was left last is taken first: it is warm */
    unsigned seats_max, seat_count, seated;
    int64_t tick_ms, look_ms;
    bool pauses;        /* epoll is looked at from time to time, and does not wake us */
    int64_t leaving_ms; /* since when we drain; INT64_MAX: we do not */

    int *arrived;         /* room for those that are welcomed now */
    pthread_mutex_t lock; /* of the two that follow */
    int *arrivals;        /* descriptors that we do not know yet, in the order in which they came */
    int arrival_count;
};

/* --- queues ------------------------------------------------------------------------------------
 */

static struct queue *
queue_of(struct lobby *lobby, enum place place)
{
    return place == IDLE ? &lobby->idle : place == READY ? &lobby->ready : &lobby->active;
}

static size_t
kept_by(const struct http_visit *visit)
{
    return visit->begun_cap + visit->rest_size;
}

static void
enter(struct lobby *lobby, int fd, enum place place)
{
    struct guest *guest = &lobby->guests[fd];
    struct queue *queue = queue_of(lobby, place);
    assert(guest->place == NOBODY || guest->place == SEATED);
    assert(place != NOBODY && place != SEATED);
    guest->place = place;
    guest->before = queue->last;
    guest->after = -1;
    if (queue->last >= 0)
        lobby->guests[queue->last].after = fd;
    else
        queue->first = fd;
    queue->last = fd;
    lobby->kept_bytes += kept_by(&guest->visit);
}

/* It goes to NOBODY, and from there to where the caller says. */
static void
leave(struct lobby *lobby, int fd)
{
    struct guest *guest = &lobby->guests[fd];
    struct queue *queue = queue_of(lobby, guest->place);
    assert(guest->place != NOBODY && guest->place != SEATED);
    if (guest->before >= 0)
        lobby->guests[guest->before].after = guest->after;
    else
        queue->first = guest->after;
    if (guest->after >= 0)
        lobby->guests[guest->after].before = guest->before;
    else
        queue->last = guest->before;
    guest->place = NOBODY;
    lobby->kept_bytes -= kept_by(&guest->visit);
}

static void
move(struct lobby *lobby, int fd, enum place place)
{
    leave(lobby, fd);
    enter(lobby, fd, place);
}

/* --- coming and going ---------------------------------------------------------------------------
 */

/* Closes one that is in no queue any more. */
static void
let_go(struct lobby *lobby, int fd)
{
    struct guest *guest = &lobby->guests[fd];
    guest->place = NOBODY;
    http_forget(&guest->visit);
    lobby->count--;
    close(fd); /* which takes it out of epoll too */
}

static void
dismiss(struct lobby *lobby, int fd)
{
    leave(lobby, fd);
    let_go(lobby, fd);
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

static void
keep_to_the_bound(struct lobby *lobby)
{
    while (lobby->kept_bytes > KEPT_BYTES_MAX && lobby->active.first >= 0)
        dismiss(lobby, lobby->active.first);
}

void
lobby_take(void *state, int fd)
{
    struct lobby *lobby = state;
    const uint64_t one = 1;
    if (fd >= lobby->guests_max) {
        close(fd);
        return;
    }
    pthread_mutex_lock(&lobby->lock);
    assert(lobby->arrival_count < lobby->guests_max); /* each has a descriptor of its own */
    lobby->arrivals[lobby->arrival_count++] = fd;
    pthread_mutex_unlock(&lobby->lock);
    if (write(lobby->bell, &one, sizeof one) < 0) assert(errno == EAGAIN); /* rung enough already */
}

/* Told of once for its whole life: what comes, what can be sent again, and the end. */
static void
welcome(struct lobby *lobby, int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd};
    struct guest *guest = &lobby->guests[fd];
    make_room(lobby);
    guest->visit = (struct http_visit){.fd = fd};
    guest->until_ms = clock_mono_ms() + IDLE_MS_MAX;
    lobby->count++;
    enter(lobby, fd, IDLE);
    if (epoll_ctl(lobby->epoll, EPOLL_CTL_ADD, fd, &event) != 0) dismiss(lobby, fd);
}

static void
welcome_arrivals(struct lobby *lobby)
{
    uint64_t times;
    if (read(lobby->bell, &times, sizeof times) < 0) assert(errno == EAGAIN || errno == EINTR);
    pthread_mutex_lock(&lobby->lock);
    int *const arrived = lobby->arrivals;
    const int count = lobby->arrival_count;
    lobby->arrivals = lobby->arrived;
    lobby->arrived = arrived;
    lobby->arrival_count = 0;
    pthread_mutex_unlock(&lobby->lock);
    for (int i = 0; i < count; i++)
        welcome(lobby, arrived[i]);
}

/* --- being served -------------------------------------------------------------------------------
 */

/* Where it belongs after it was served. */
static void
put_back(struct lobby *lobby, int fd, enum http_stay stay)
{
    struct guest *guest = &lobby->guests[fd];
    const int64_t now_ms = clock_mono_ms();
    assert(guest->place == SEATED);
    guest->sent = 0;
    switch (stay) {
    case HTTP_OVER: let_go(lobby, fd); return;
    case HTTP_MORE: enter(lobby, fd, READY); break;
    case HTTP_WAITS:
        guest->until_ms = now_ms + IDLE_MS_MAX;
        enter(lobby, fd, guest->visit.began_ms ? BEGUN : IDLE);
        break;
    case HTTP_SENDS:
        guest->until_ms = now_ms + SENDS_MS_MAX;
        enter(lobby, fd, SENDS);
        break;
    case HTTP_FAREWELL: {
        /* as long as there is something to read, not only when something comes: the client may
         * send for ever, and others are due */
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = fd};
        shutdown(fd, SHUT_WR);
        guest->until_ms = now_ms + FAREWELL_MS_MAX;
        enter(lobby, fd, FAREWELL);
        if (epoll_ctl(lobby->epoll, EPOLL_CTL_MOD, fd, &event) != 0) dismiss(lobby, fd);
        break;
    }
    }
    keep_to_the_bound(lobby);
}

/* A seat's fiber. */
static void
sit(void *state)
{
    struct seat *seat = state;
    struct lobby *lobby = seat->lobby;
    for (;;) {
        const enum http_stay stay =
            http_serve(lobby->server, &lobby->guests[seat->fd].visit, &seat->desk);
        put_back(lobby, seat->fd, stay);
        seat->fd = -1;
        seat->next = lobby->unused;
        lobby->unused = seat;
        lobby->seated--;
        fiber_wait();
    }
}

static bool
has_seat(const struct lobby *lobby)
{
    return lobby->unused || lobby->seat_count < lobby->seats_max;
}

static struct seat *
take_seat(struct lobby *lobby)
{
    struct seat *seat = lobby->unused;
    if (seat) {
        lobby->unused = seat->next;
        return seat;
    }
    seat = &lobby->seats[lobby->seat_count++];
    seat->lobby = lobby;
    seat->fiber = fiber_new(sit, seat);
    http_desk_open(&seat->desk);
    return seat;
}

/* Until its requests are answered, or wait for others. */
static void
serve(struct lobby *lobby, int fd)
{
    struct seat *seat = take_seat(lobby);
    leave(lobby, fd);
    lobby->guests[fd].place = SEATED;
    lobby->seated++;
    seat->fd = fd;
    fiber_go(seat->fiber);
}

/* Unless others were there before. */
static void
serve_in_turn(struct lobby *lobby, int fd)
{
    if (lobby->ready.first < 0 && has_seat(lobby))
        serve(lobby, fd);
    else
        move(lobby, fd, READY);
}

/* Those who come while the others are served have their turn in the next one. */
static void
serve_the_ready(struct lobby *lobby)
{
    const int last = lobby->ready.last;
    for (int fd = -1; fd != last && has_seat(lobby);) {
        fd = lobby->ready.first;
        assert(fd >= 0);
        serve(lobby, fd);
    }
}

/* --- what epoll tells ----------------------------------------------------------------------------
 */

static void
send_on(struct lobby *lobby, int fd)
{
    struct guest *guest = &lobby->guests[fd];
    struct http_visit *visit = &guest->visit;
    while (guest->sent < visit->rest_size) {
        const ssize_t count = send(fd, visit->rest + guest->sent, visit->rest_size - guest->sent,
                                   MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count > 0) {
            guest->sent += (size_t)count;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno != EINTR) {
            dismiss(lobby, fd);
            return;
        }
    }
    leave(lobby, fd);
    free(visit->rest);
    visit->rest = NULL;
    visit->rest_size = 0;
    guest->place = SEATED; /* as if it had just been served */
    /* what came behind the request meanwhile is due now */
    const bool more = visit->begun_size || visit->news;
    put_back(lobby, fd, visit->over ? HTTP_FAREWELL : more ? HTTP_MORE : HTTP_WAITS);
}

/* Once for each time that we are told. */
static void
waste(struct lobby *lobby, int fd)
{
    static char nothing[WASTE_BYTES];
    const ssize_t count = recvfrom(fd, nothing, sizeof nothing, MSG_DONTWAIT, NULL, NULL);
    if (count > 0) {
        sodium_memzero(nothing, (size_t)count);
        return;
    }
    if (count < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) return;
    dismiss(lobby, fd);
}

static void
on_event(struct lobby *lobby, int fd, uint32_t events)
{
    struct guest *guest = &lobby->guests[fd];
    const bool ends = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    guest->visit.ends |= ends;
    guest->visit.news |= ends || events & EPOLLIN;
    switch (guest->place) {
    case IDLE:
    case BEGUN:
        if (guest->visit.news) serve_in_turn(lobby, fd);
        break;
    case SENDS:
        if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) send_on(lobby, fd);
        break;
    case FAREWELL: waste(lobby, fd); break;
    case READY:
    case SEATED:        /* looks for itself whether there is news */
    case NOBODY: break; /* it went while others were looked at */
    }
}

/* False: there may be more. */
static bool
look(struct lobby *lobby)
{
    struct epoll_event events[EVENTS_MAX];
    const int count = epoll_wait(lobby->epoll, events, EVENTS_MAX, 0);
    for (int i = 0; i < count; i++)
        if (events[i].data.fd == lobby->bell)
            welcome_arrivals(lobby);
        else
            on_event(lobby, events[i].data.fd, events[i].events);
    return count < EVENTS_MAX;
}

static void
on_ready(void *state, int epoll, short poll_events)
{
    (void)epoll;
    (void)poll_events;
    (void)look(state);
}

/* Who comes while as many requests are under way as may be will be refused, and to wake up for each
 * costs more than to refuse: so they are refused some at a time. As soon as one may be let in we
 * look at once. */
static void
look_or_pause(struct lobby *lobby, int64_t mono_ms)
{
    const struct http_server *server = lobby->server;
    if (lobby->pauses && (!server->is_full(server->state) || mono_ms >= lobby->look_ms))
        lobby->look_ms = look(lobby) ? mono_ms + PAUSE_MS : mono_ms;
    const bool pauses = server->is_full(server->state);
    if (pauses == lobby->pauses) return;
    lobby->pauses = pauses;
    lobby->look_ms = mono_ms + PAUSE_MS;
    if (pauses)
        loop_unwatch(lobby->loop, lobby->epoll);
    else
        loop_watch(lobby->loop, lobby->epoll, POLLIN, on_ready, lobby);
}

/* Those whose time is over: who asks nothing is closed, who is late is told so. */
static void
look_at_the_clock(struct lobby *lobby, int64_t now_ms)
{
    while (lobby->idle.first >= 0 && lobby->guests[lobby->idle.first].until_ms <= now_ms)
        dismiss(lobby, lobby->idle.first);
    for (int fd = lobby->active.first, after; fd >= 0; fd = after) {
        const struct guest *guest = &lobby->guests[fd];
        after = guest->after;
        if (guest->place == BEGUN) {
            if (http_deadline_ms(lobby->server, &guest->visit) <= now_ms) move(lobby, fd, READY);
        } else if (guest->until_ms <= now_ms) {
            dismiss(lobby, fd);
        }
    }
}

int64_t
lobby_turn(struct lobby *lobby, int64_t mono_ms)
{
    if (mono_ms >= lobby->tick_ms) {
        look_at_the_clock(lobby, mono_ms);
        lobby->tick_ms = mono_ms + TICK_MS;
    }
    if (lobby->ready.first >= 0) serve_the_ready(lobby);
    look_or_pause(lobby, mono_ms);
    if (lobby->ready.first >= 0 && has_seat(lobby)) return 0;
    const int64_t next_ms =
        lobby->pauses && lobby->look_ms < lobby->tick_ms ? lobby->look_ms : lobby->tick_ms;
    return next_ms > mono_ms ? next_ms - mono_ms : 0;
}

/* --- life ---------------------------------------------------------------------------------------
 */

struct lobby *
lobby_new(struct loop *loop, const struct http_server *server, unsigned seats_max,
          unsigned connections_max)
{
    struct lobby *lobby = calloc(1, sizeof *lobby);
    struct rlimit limit = {0};
    assert(lobby);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > 1 << 20) limit.rlim_cur = 1 << 20;
    /* what is left when a fifth of all descriptors is for other things */
    const unsigned room = (unsigned)(limit.rlim_cur / 5 * 4);
    lobby->loop = loop;
    lobby->server = server;
    lobby->connections_max = connections_max < room ? connections_max : room;
    lobby->guests_max = (int)limit.rlim_cur;
    lobby->leaving_ms = INT64_MAX;
    lobby->guests = calloc((size_t)lobby->guests_max, sizeof *lobby->guests);
    lobby->arrivals = calloc((size_t)lobby->guests_max, sizeof *lobby->arrivals);
    lobby->arrived = calloc((size_t)lobby->guests_max, sizeof *lobby->arrived);
    lobby->seats_max = seats_max;
    lobby->seats = calloc(seats_max, sizeof *lobby->seats);
    lobby->idle = lobby->active = lobby->ready = (struct queue){-1, -1};
    assert(lobby->guests && lobby->arrivals && lobby->arrived && lobby->seats);
    pthread_mutex_init(&lobby->lock, NULL);
    lobby->epoll = epoll_create1(EPOLL_CLOEXEC);
    lobby->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = lobby->bell};
    if (lobby->epoll < 0 || lobby->bell < 0 ||
        epoll_ctl(lobby->epoll, EPOLL_CTL_ADD, lobby->bell, &event) != 0)
        die("The gateway has no descriptors left to wait with.");
    loop_watch(loop, lobby->epoll, POLLIN, on_ready, lobby);
    return lobby;
}

void
lobby_drain(struct lobby *lobby)
{
    lobby->leaving_ms = clock_mono_ms();
    while (lobby->idle.first >= 0)
        dismiss(lobby, lobby->idle.first);
}

unsigned
lobby_busy(const struct lobby *lobby)
{
    unsigned count = lobby->seated;
    for (int fd = lobby->active.first; fd >= 0; fd = lobby->guests[fd].after) {
        const struct guest *guest = &lobby->guests[fd];
        count +=
            guest->place == SENDS ||
            (guest->place == BEGUN && guest->visit.began_ms <= lobby->leaving_ms) ||
            (guest->place == FAREWELL && guest->until_ms - FAREWELL_MS_MAX <= lobby->leaving_ms);
    }
    return count;
}

void
lobby_destroy(struct lobby **lobby_p)
{
    struct lobby *lobby = *lobby_p;
    if (!lobby) return;
    assert(lobby->seated == 0);
    welcome_arrivals(lobby);
    struct queue *const queues[] = {&lobby->idle, &lobby->active, &lobby->ready};
    for (size_t i = 0; i < sizeof queues / sizeof queues[0]; i++)
        while (queues[i]->first >= 0)
            dismiss(lobby, queues[i]->first);
    assert(lobby->count == 0 && lobby->kept_bytes == 0);
    for (unsigned i = 0; i < lobby->seat_count; i++) {
        fiber_destroy(&lobby->seats[i].fiber);
        http_desk_close(&lobby->seats[i].desk);
    }
    loop_unwatch(lobby->loop, lobby->epoll);
    close(lobby->epoll);
    close(lobby->bell);
    pthread_mutex_destroy(&lobby->lock);
    free(lobby->guests);
    free(lobby->arrivals);
    free(lobby->arrived);
    free(lobby->seats);
    free(lobby);
    *lobby_p = NULL;
}
