/* florin-detour: stands between actors, to cut, close, delay and stall their links.
 *
 * Of a test build, every connecting end of a link goes to FLORIN_DETOUR/LINK-INSTANCE instead of
 * RUN/LINK-INSTANCE (common/io/link.c). This process listens there and passes on bytes, which it
 * cannot read: they are sealed. It is told by lines on its standard input what to do with them, and
 * ends when that is closed.
 *
 *   cut LINK                 every connection of that link ends now; new ones are let through
 *   close LINK MS            for so long none is let through, and those there are end
 *   delay LINK LATE_MS MS    for so long all bytes come so late, in both directions, in their order
 *   stall LINK MS            for so long none come; then all of them
 *
 * LINK is a name of links.def with an instance, as in ledger_commands-1, or a prefix of it. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LINKS_MAX 32
#define PAIRS_MAX 512
#define CHUNK_BYTES 65536
#define QUEUED_BYTES_MAX (8 << 20) /* then no more is read: the sender feels it */

static const char *const link_names[] = {
#define LINK(name, binder, bound_as, connected_as, roles, doc) #name,
#include "links.def"
#undef LINK
};

struct path {
    char name[64];
    int fd; /* listens */
    int64_t closed_until, stalled_until, late_until, late_ms;
};

struct chunk {
    struct chunk *next;
    int64_t due_ms;
    size_t at, size;
    char bytes[];
};

/* What goes one way. */
struct way {
    struct chunk *first, **last;
    size_t queued;
    int64_t due_ms; /* of the newest: order is kept when the delay changes */
    bool blocked;   /* its receiver takes no more just now */
    bool ended;     /* its sender has closed */
};

struct pair {
    struct path *path;  /* NULL: a free place */
    int fds[2];         /* who connected, and who is connected to */
    struct way ways[2]; /* [0]: from fds[0] to fds[1] */
};

static struct path paths[LINKS_MAX];
static struct pair pairs[PAIRS_MAX];
static size_t path_count;
static const char *real_folder;

static _Noreturn void
give_up(const char *what)
{
    fprintf(stderr, "florin-detour: %s: %s.\n", what, strerror(errno));
    exit(1);
}

static int64_t
now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool
make_address(struct sockaddr_un *address, const char *folder, const char *name)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    return snprintf(address->sun_path, sizeof address->sun_path, "%s/%s", folder, name) <
           (int)sizeof address->sun_path;
}

static void
listen_at(const char *folder, const char *name)
{
    struct sockaddr_un address;
    assert(path_count < LINKS_MAX);
    struct path *const path = &paths[path_count++];
    snprintf(path->name, sizeof path->name, "%s", name);
    path->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    errno = ENAMETOOLONG;
    if (!make_address(&address, folder, name)) give_up(name);
    unlink(address.sun_path);
    if (path->fd < 0 || bind(path->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(path->fd, 128) != 0)
        give_up(address.sun_path);
}

/* --- pairs -------------------------------------------------------------------------------------
 */

static void
end_pair(struct pair *pair)
{
    for (int way = 0; way < 2; way++) {
        close(pair->fds[way]);
        for (struct chunk *next, *chunk = pair->ways[way].first; chunk; chunk = next) {
            next = chunk->next;
            free(chunk);
        }
    }
    memset(pair, 0, sizeof *pair);
}

static void
accept_one(struct path *path, int64_t now)
{
    struct sockaddr_un address;
    const int here = accept4(path->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (here < 0) return;
    struct pair *pair = NULL;
    for (size_t i = 0; i < PAIRS_MAX && !pair; i++)
        if (!pairs[i].path) pair = &pairs[i];
    const int there = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (!pair || there < 0 || path->closed_until > now ||
        !make_address(&address, real_folder, path->name) ||
        connect(there, (struct sockaddr *)&address, sizeof address) != 0) {
        close(here); /* nobody is there, or nobody is to be: whoever connected tries again */
        if (there >= 0) close(there);
        return;
    }
    *pair = (struct pair){.path = path, .fds = {here, there}};
    for (int way = 0; way < 2; way++)
        pair->ways[way].last = &pair->ways[way].first;
}

/* False: the connection is over. */
static bool
read_some(struct pair *pair, int which, int64_t now)
{
    static char bytes[CHUNK_BYTES];
    struct way *const way = &pair->ways[which];
    const ssize_t size = read(pair->fds[which], bytes, sizeof bytes);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    if (size == 0) {
        way->ended = true;
        return true;
    }
    struct chunk *const chunk = malloc(sizeof *chunk + (size_t)size);
    assert(chunk);
    *chunk = (struct chunk){.size = (size_t)size};
    memcpy(chunk->bytes, bytes, (size_t)size);
    const int64_t due_ms = pair->path->late_until > now ? now + pair->path->late_ms : now;
    if (due_ms > way->due_ms) way->due_ms = due_ms;
    chunk->due_ms = way->due_ms;
    *way->last = chunk;
    way->last = &chunk->next;
    way->queued += (size_t)size;
    return true;
}

static bool
write_some(struct pair *pair, int which, int64_t now)
{
    struct way *const way = &pair->ways[which];
    way->blocked = false;
    if (pair->path->stalled_until > now) return true;
    for (struct chunk *chunk; (chunk = way->first) && chunk->due_ms <= now;) {
        const ssize_t size = send(pair->fds[!which], chunk->bytes + chunk->at,
                                  chunk->size - chunk->at, MSG_NOSIGNAL);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) {
            way->blocked = errno == EAGAIN;
            return way->blocked;
        }
        chunk->at += (size_t)size;
        way->queued -= (size_t)size;
        if (chunk->at < chunk->size) continue;
        way->first = chunk->next;
        if (!way->first) way->last = &way->first;
        free(chunk);
    }
    return !way->ended || way->first;
}

/* --- what it is told ---------------------------------------------------------------------------
 */

static void
obey(const char *line, int64_t now)
{
    char verb[16], name[64];
    long long first = 0, second = 0;
    const int words = sscanf(line, "%15s %63s %lld %lld", verb, name, &first, &second);
    if (words < 2) return;
    const bool cuts = strcmp(verb, "cut") == 0 || strcmp(verb, "close") == 0;
    for (size_t i = 0; i < path_count; i++) {
        struct path *const path = &paths[i];
        if (strncmp(path->name, name, strlen(name)) != 0) continue;
        if (strcmp(verb, "close") == 0) path->closed_until = now + first;
        if (strcmp(verb, "stall") == 0) path->stalled_until = now + first;
        if (strcmp(verb, "delay") == 0) path->late_ms = first;
        if (strcmp(verb, "delay") == 0) path->late_until = now + second;
        for (size_t p = 0; cuts && p < PAIRS_MAX; p++)
            if (pairs[p].path == path) end_pair(&pairs[p]);
    }
}

static void
read_orders(int64_t now)
{
    static char lines[4096];
    static size_t size;
    const ssize_t more = read(STDIN_FILENO, lines + size, sizeof lines - 1 - size);
    if (more == 0) exit(0);
    if (more < 0) return;
    size += (size_t)more;
    lines[size] = '\0';
    for (char *end; (end = strchr(lines, '\n'));) {
        *end = '\0';
        obey(lines, now);
        size -= (size_t)(end + 1 - lines);
        memmove(lines, end + 1, size + 1);
    }
    if (size == sizeof lines - 1) size = 0;
}

/* --- the loop ----------------------------------------------------------------------------------
 */

/* When something is to be done without anybody asking, at most `wait`. */
static int64_t
next_wait(const struct pair *pair, int64_t now, int64_t wait)
{
    for (int which = 0; which < 2; which++) {
        const struct way *const way = &pair->ways[which];
        if (!way->first || way->blocked) continue;
        int64_t due_ms = way->first->due_ms;
        if (pair->path->stalled_until > due_ms) due_ms = pair->path->stalled_until;
        if (due_ms - now < wait) wait = due_ms > now ? due_ms - now : 0;
    }
    return wait;
}

static void
turn(void)
{
    static struct pollfd fds[1 + LINKS_MAX + 2 * PAIRS_MAX];
    static struct pair *whose[1 + LINKS_MAX + 2 * PAIRS_MAX];
    nfds_t count = 0;
    int64_t now = now_ms(), wait = 1000;
    fds[count++] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    for (size_t i = 0; i < path_count; i++)
        fds[count++] = (struct pollfd){.fd = paths[i].fd, .events = POLLIN};
    const nfds_t first = count;
    for (size_t i = 0; i < PAIRS_MAX; i++) {
        struct pair *const pair = &pairs[i];
        if (!pair->path) continue;
        wait = next_wait(pair, now, wait);
        for (int which = 0; which < 2; which++) {
            const bool reads = !pair->ways[which].ended &&
                               pair->ways[which].queued < QUEUED_BYTES_MAX &&
                               pair->path->stalled_until <= now;
            if (!reads && pair->path->stalled_until > now && pair->path->stalled_until - now < wait)
                wait = pair->path->stalled_until - now;
            whose[count] = pair;
            fds[count++] = (struct pollfd){
                .fd = pair->fds[which],
                .events =
                    (short)((reads ? POLLIN : 0) | (pair->ways[!which].blocked ? POLLOUT : 0)),
            };
        }
    }
    if (poll(fds, count, (int)wait) < 0 && errno != EINTR) give_up("poll");
    now = now_ms();
    for (nfds_t at = first; at < count; at += 2) {
        struct pair *const pair = whose[at];
        bool goes_on = true;
        for (int which = 0; which < 2; which++)
            if (fds[at + (nfds_t)which].revents & POLLIN)
                goes_on = goes_on && read_some(pair, which, now);
            else if (fds[at + (nfds_t)which].revents & (POLLHUP | POLLERR))
                goes_on = false;
        for (int which = 0; which < 2; which++)
            goes_on = goes_on && write_some(pair, which, now);
        if (!goes_on) end_pair(pair);
    }
    for (size_t i = 0; i < path_count; i++)
        if (fds[1 + i].revents) accept_one(&paths[i], now);
    if (fds[0].revents) read_orders(now);
}

static const char help[] =
    "florin-detour: stands between the actors of a test build, to cut and delay their links.\n"
    "\n"
    "  florin-detour DETOUR-FOLDER RUN-FOLDER\n"
    "\n"
    "It is started by ./florin chaos, and told by lines what to do; by hand, for example:\n"
    "\n"
    "  mkdir /tmp/detour; echo 'delay ledger_ 100 5000' | florin-detour /tmp/detour var/run\n";

int
main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(help, stdout);
        return 0;
    }
    if (argc != 3) {
        fputs("florin-detour: two folders are needed; --help tells more.\n", stderr);
        return 1;
    }
    real_folder = argv[2];
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof link_names / sizeof *link_names; i++)
        for (int instance = 1; instance <= 2; instance++) {
            char name[64];
            if (instance == 2 && strncmp(link_names[i], "ledger_", 7) != 0) continue;
            snprintf(name, sizeof name, "%s-%d", link_names[i], instance);
            listen_at(argv[1], name);
        }
    puts("ready");
    fflush(stdout);
    for (;;)
        turn();
}
