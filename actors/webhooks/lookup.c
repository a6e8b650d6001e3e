#include "lookup.h"

#include <assert.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Resolvers give up after half a minute at most; a flood of dead names stops here. */
#define LOOKUPS_MAX 512
#define THREAD_STACK_BYTES (512 * 1024)

struct lookups {
    struct loop *loop;
    enum address_policy policy;
    int pipe[2]; /* pointers of finished lookups, from their threads to the loop */
    int open;
};

struct lookup {
    struct lookups *lookups; /* the thread reads only its policy and its pipe */
    struct target target;
    struct addresses found; /* the thread's, until it has written to the pipe */
    lookup_fn *on_found;    /* the loop's; NULL: cancelled */
    void *state;
};

static void
refuse(struct addresses *found, const char *host, const struct sockaddr *address, socklen_t size,
       const char *words)
{
    char shown[NI_MAXHOST] = "?";
    (void)getnameinfo(address, size, shown, sizeof shown, NULL, 0, NI_NUMERICHOST);
    found->count = 0;
    snprintf(found->error, sizeof found->error, "%.100s is at %.60s, which is %s: not allowed",
             host, shown, words);
}

static void
resolve(struct lookup *lookup)
{
    struct addresses *found = &lookup->found;
    const char *host = lookup->target.host;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", lookup->target.port);

    const int failed = getaddrinfo(host, port, &hints, &list);
    if (failed) {
        snprintf(found->error, sizeof found->error, "%.100s cannot be found: %s", host,
                 gai_strerror(failed));
        return;
    }
    for (const struct addrinfo *it = list; it; it = it->ai_next) {
        const char *words = address_refused(it->ai_addr, lookup->lookups->policy);
        if (!words && lookup->lookups->policy == ADDRESS_PUBLIC_ONLY && address_is_own(it->ai_addr))
            words = "this machine";
        if (words) {
            refuse(found, host, it->ai_addr, it->ai_addrlen, words);
            break;
        }
        if (found->count < LOOKUP_ADDRESSES_MAX && it->ai_addrlen <= sizeof *found->at)
            memcpy(&found->at[found->count++], it->ai_addr, it->ai_addrlen);
    }
    if (!found->count && !*found->error)
        snprintf(found->error, sizeof found->error, "%.100s has no address", host);
    freeaddrinfo(list);
}

static void *
lookup_thread(void *argument)
{
    struct lookup *lookup = argument;
    resolve(lookup);
    /* Whole, because a pointer is smaller than PIPE_BUF; the loop owns the lookup from here. */
    ssize_t written;
    do
        written = write(lookup->lookups->pipe[1], &lookup, sizeof lookup);
    while (written == -1);
    return NULL;
}

static void
on_pipe(void *state, int fd, short events)
{
    struct lookups *lookups = state;
    struct lookup *lookup;
    (void)events;
    while (read(fd, &lookup, sizeof lookup) == sizeof lookup) {
        lookups->open--;
        if (lookup->on_found) lookup->on_found(lookup->state, &lookup->found);
        free(lookup);
    }
}

struct lookups *
lookups_new(struct loop *loop, enum address_policy policy)
{
    struct lookups *lookups = calloc(1, sizeof *lookups);
    if (!lookups) return NULL;
    lookups->loop = loop;
    lookups->policy = policy;
    if (pipe2(lookups->pipe, O_CLOEXEC) == -1 ||
        fcntl(lookups->pipe[0], F_SETFL, O_NONBLOCK) == -1) {
        free(lookups);
        return NULL;
    }
    loop_watch(loop, lookups->pipe[0], POLLIN, on_pipe, lookups);
    return lookups;
}

void
lookups_destroy(struct lookups **lookups_p)
{
    struct lookups *lookups = *lookups_p;
    if (!lookups) return;
    loop_unwatch(lookups->loop, lookups->pipe[0]);
    /* A thread that is left may still write: then memory and pipe stay until the process ends. */
    if (!lookups->open) {
        close(lookups->pipe[0]);
        close(lookups->pipe[1]);
        free(lookups);
    }
    *lookups_p = NULL;
}

struct lookup *
lookup_start(struct lookups *lookups, const struct target *target, lookup_fn *on_found, void *state)
{
    assert(on_found);
    if (lookups->open == LOOKUPS_MAX) return NULL;
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup) return NULL;
    *lookup = (struct lookup){
        .lookups = lookups, .target = *target, .on_found = on_found, .state = state};

    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all); /* signals are the loop's to hear */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    const int failed = pthread_create(&thread, &attributes, lookup_thread, lookup);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        free(lookup);
        return NULL;
    }
    lookups->open++;
    return lookup;
}

void
lookup_cancel(struct lookup **lookup_p)
{
    if (*lookup_p) (*lookup_p)->on_found = NULL;
    *lookup_p = NULL;
}
