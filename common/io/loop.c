#include "loop.h"

#include "clock.h"
#include "link.h"
#include "log.h"
#include "wire.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { LINKS_MAX = 16, STOP_MS_MAX = 25000, WAIT_MS_MAX = 60000, GIVE_BACK_MS = 10000 };

struct watch {
    int fd; /* -1: no longer watched; the place is given away at the next turn */
    short events;
    fd_fn *on_ready;
    void *state;
};

struct loop {
    struct node *node;
    struct link *links[LINKS_MAX];
    size_t link_count;
    struct watch *watches;
    size_t watch_count, watch_cap;
    struct pollfd *pollfds; /* the signals', the links', the watches', in this order */
    turn_fn *on_turn;
    void *turn_state;
    int64_t call_ms;      /* when on_turn wants to be called again */
    int64_t start_ms;     /* of the monotonic clock */
    int64_t stop_ms;      /* stopping: when it is over at the latest */
    int64_t give_back_ms; /* when to look again for memory that nobody uses */
    bool stopping, stopped;
    uint64_t turn;
    char state[32], detail[512];
};

/* Signals say nothing but that they came; the descriptor wakes a loop that waits. */
static volatile sig_atomic_t signalled;
static int signal_fd = -1;

static void
on_signal(int number)
{
    const uint64_t one = 1;
    const int error = errno;
    (void)number;
    signalled = 1;
    if (write(signal_fd, &one, sizeof one) < 0) errno = error;
    errno = error;
}

struct loop *
loop_new(struct node *node)
{
    struct loop *loop = calloc(1, sizeof *loop);
    assert(loop);
    loop->node = node;
    loop->start_ms = clock_mono_ms();
    loop_set_state(loop, "starting", "");
    return loop;
}

void
loop_destroy(struct loop **loop_p)
{
    struct loop *loop = *loop_p;
    if (!loop) return;
    for (size_t i = 0; i < loop->link_count; i++)
        link_close(&loop->links[i]);
    free(loop->watches);
    free(loop->pollfds);
    free(loop);
    *loop_p = NULL;
}

struct node *
loop_node(struct loop *loop)
{
    return loop->node;
}

uint64_t
loop_turn(const struct loop *loop)
{
    return loop->turn;
}

static struct link *
add_link(struct loop *loop, struct link *link)
{
    assert(loop->link_count < LINKS_MAX);
    loop->links[loop->link_count++] = link;
    return link;
}

struct link *
loop_bind(struct loop *loop, enum link_number link, packet_fn *on_packet, void *state)
{
    const int instance = node_instance(loop->node);
    return add_link(loop, link_open(loop, link, instance, true, on_packet, state));
}

struct link *
loop_connect(struct loop *loop, enum link_number link, int instance, packet_fn *on_packet,
             void *state)
{
    return add_link(loop, link_open(loop, link, instance, false, on_packet, state));
}

void
loop_watch(struct loop *loop, int fd, short events, fd_fn *on_ready, void *state)
{
    const struct watch watch = {fd, events, on_ready, state};
    assert(fd >= 0);
    for (size_t i = 0; i < loop->watch_count; i++)
        if (loop->watches[i].fd == fd) {
            loop->watches[i] = watch;
            return;
        }
    if (loop->watch_count == loop->watch_cap) {
        loop->watch_cap = loop->watch_cap ? 2 * loop->watch_cap : 16;
        loop->watches = realloc(loop->watches, loop->watch_cap * sizeof *loop->watches);
        assert(loop->watches);
    }
    loop->watches[loop->watch_count++] = watch;
}

/* Only marks the place: a callback may be running over the table. */
void
loop_unwatch(struct loop *loop, int fd)
{
    for (size_t i = 0; i < loop->watch_count; i++)
        if (loop->watches[i].fd == fd) loop->watches[i].fd = -1;
}

void
loop_on_turn(struct loop *loop, turn_fn *on_turn, void *state)
{
    loop->on_turn = on_turn;
    loop->turn_state = state;
    loop->call_ms = 0;
}

/* Words for a pong. They may come from a library in any encoding, and may be cut in the middle of a
 * character: what is not clean by then is not worth more than a question mark. */
static void
copy_words(char *out, size_t cap, const char *words)
{
    snprintf(out, cap, "%s", words ? words : "");
    if (wire_text_is_clean(out, strlen(out))) return;
    for (; *out; out++)
        if ((unsigned char)*out >= 0x80) *out = '?';
}

void
loop_set_state(struct loop *loop, const char *state, const char *detail)
{
    copy_words(loop->state, sizeof loop->state, state);
    copy_words(loop->detail, sizeof loop->detail, detail);
}

void
loop_answer_ping(struct loop *loop, struct link *link, const struct packet *packet)
{
    const struct msg_pong pong = {.has = HAS_pong_name | HAS_pong_state | HAS_pong_pid |
                                         HAS_pong_uptime_ms | HAS_pong_detail,
                                  .name = text_of(node_name(loop->node)),
                                  .state = text_of(loop->state),
                                  .pid = (uint64_t)getpid(),
                                  .uptime_ms = (uint64_t)(clock_mono_ms() - loop->start_ms),
                                  .detail = text_of(loop->detail)};
    const struct envelope envelope = {
        .to = &packet->peer, .slot = packet->slot, .correlation = packet->correlation};
    (void)link_send(link, envelope, MSG_pong, &pong);
}

bool
loop_stopping(const struct loop *loop)
{
    return loop->stopping;
}

void
loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

/* --- a turn -------------------------------------------------------------------------------------
 */

static void
forget_unwatched(struct loop *loop)
{
    size_t kept = 0;
    for (size_t i = 0; i < loop->watch_count; i++)
        if (loop->watches[i].fd >= 0) loop->watches[kept++] = loop->watches[i];
    loop->watch_count = kept;
}

/* Waits until something is there. A link's descriptor wakes only for what comes after the link was
 * found empty; so this waits only when none was used since, or not at all. */
static void
wait_for_something(struct loop *loop, int64_t wait_ms)
{
    const size_t count = 1 + loop->link_count + loop->watch_count;
    uint64_t times;
    loop->pollfds = realloc(loop->pollfds, count * sizeof *loop->pollfds);
    assert(loop->pollfds);
    struct pollfd *at = loop->pollfds;
    *at++ = (struct pollfd){.fd = signal_fd, .events = POLLIN};
    for (size_t i = 0; i < loop->link_count; i++)
        *at++ = (struct pollfd){.fd = link_fd(loop->links[i]), .events = POLLIN};
    for (size_t i = 0; i < loop->watch_count; i++)
        *at++ = (struct pollfd){.fd = loop->watches[i].fd, .events = loop->watches[i].events};
    if (poll(loop->pollfds, count, (int)wait_ms) <= 0)
        for (size_t i = 0; i < count; i++)
            loop->pollfds[i].revents = 0;
    if (loop->pollfds[0].revents && read(signal_fd, &times, sizeof times) < 0)
        assert(errno == EAGAIN || errno == EINTR);
}

/* Callbacks may watch and unwatch: new watches come behind those that were polled, and a place
 * whose descriptor has changed since is left alone. */
static void
call_watches(struct loop *loop, size_t first, size_t polled)
{
    for (size_t i = 0; i < polled; i++) {
        const struct pollfd pollfd = loop->pollfds[first + i];
        const struct watch watch = loop->watches[i];
        if (pollfd.revents && watch.fd == pollfd.fd)
            watch.on_ready(watch.state, watch.fd, pollfd.revents);
    }
}

static int64_t
at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void
take_turn(struct loop *loop, int64_t wait_ms)
{
    unsigned frames = 0;
    bool drained[LINKS_MAX] = {false};
    loop->turn++;
    forget_unwatched(loop);
    /* What was said between two turns leaves now; before draining, because to send can use up the
     * sign that something has come. */
    for (size_t i = 0; i < loop->link_count; i++)
        link_flush(loop->links[i]);
    /* libzmq asks the kernel to find a socket empty. Those that were not used since it last did are
     * asked about all at once, by poll. */
    for (size_t i = 0; i < loop->link_count; i++)
        if ((drained[i] = link_is_stirred(loop->links[i]))) frames += link_drain(loop->links[i]);

    const int64_t now_ms = clock_mono_ms();
    wait_ms = at_most(wait_ms, WAIT_MS_MAX);
    if (loop->on_turn) wait_ms = at_most(wait_ms, loop->call_ms - now_ms);
    if (loop->stopping) wait_ms = at_most(wait_ms, loop->stop_ms - now_ms);
    for (size_t i = 0; i < loop->link_count; i++) /* a callback may have sent */
        if (link_is_stirred(loop->links[i])) wait_ms = 0;
    if (frames || wait_ms < 0) wait_ms = 0;

    const size_t polled = loop->watch_count;
    const size_t links = loop->link_count; /* a callback may open more */
    wait_for_something(loop, wait_ms);
    for (size_t i = 0; i < links; i++)
        if (loop->pollfds[1 + i].revents && !drained[i]) (void)link_drain(loop->links[i]);
    call_watches(loop, 1 + links, polled);
    if (loop->on_turn) {
        const int64_t turn_ms = clock_mono_ms();
        const int64_t again_ms = loop->on_turn(loop->turn_state, turn_ms);
        loop->call_ms = turn_ms + at_most(again_ms < 0 ? 0 : again_ms, WAIT_MS_MAX);
    }
    for (size_t i = 0; i < loop->link_count; i++)
        link_flush(loop->links[i]);
}

void
loop_once(struct loop *loop, int64_t wait_ms)
{
    take_turn(loop, wait_ms);
}

static void
begin_to_stop(struct loop *loop)
{
    loop->stopping = true;
    loop->stop_ms = clock_mono_ms() + STOP_MS_MAX;
    loop->call_ms = 0;
    loop_set_state(loop, "draining", "");
    if (!loop->on_turn) loop->stopped = true;
}

/* What a rush took and gave back lies in pieces between what is kept, with the C library, which
 * would hold it for good: 19 MiB of a worker's 52. Its whole pages go to the kernel, in 0.3 ms. */
static void
give_back_memory(struct loop *loop, int64_t mono_ms)
{
    if (mono_ms < loop->give_back_ms) return;
    loop->give_back_ms = mono_ms + GIVE_BACK_MS;
    (void)malloc_trim(0);
}

void
loop_run(struct loop *loop)
{
    struct sigaction action = {.sa_handler = on_signal}, old_term, old_int;
    assert(signal_fd < 0); /* one at a time in a process */
    signal_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(signal_fd >= 0);
    sigaction(SIGTERM, &action, &old_term);
    sigaction(SIGINT, &action, &old_int);
    while (!loop->stopped) {
        take_turn(loop, WAIT_MS_MAX);
        give_back_memory(loop, clock_mono_ms());
        if (signalled && !loop->stopping) begin_to_stop(loop);
        if (loop->stopping && clock_mono_ms() >= loop->stop_ms) {
            log_event(LOG_WARNING, "process.cut_short", "waited_ms=%d", STOP_MS_MAX);
            break;
        }
    }
    /* Who is told to end twice ends once, in order; Ctrl-C is for who has no patience for that. */
    if (signalled) old_term = (struct sigaction){.sa_handler = SIG_IGN};
    sigaction(SIGTERM, &old_term, NULL);
    sigaction(SIGINT, &old_int, NULL);
    signalled = 0;
    close(signal_fd);
    signal_fd = -1;
}
