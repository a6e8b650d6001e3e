#include "zap.h"

#include "clock.h"
#include "keys.h"
#include "log.h"
#include "message.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

enum { RELOAD_MS_MIN = 1000, GRUMBLE_MS = 1000 };

struct zap {
    void *socket;
    pthread_t thread;
    char home[PATH_MAX];
    struct public_key *keys;
    unsigned long key_count;
    struct timespec folder_time; /* of the folder, when it was read */
    int64_t read_ms;
    int64_t grumbled_ms;
    uint64_t refused;
};

/* The frames of a request, in their order. */
enum part { VERSION, REQUEST_ID, DOMAIN, ADDRESS, ROUTING_ID, MECHANISM, CREDENTIALS, PART_COUNT };

struct request {
    struct {
        uint8_t at[256];
        size_t size;
    } parts[PART_COUNT];
};

static bool
part_is(const struct request *request, enum part part, const char *word)
{
    return request->parts[part].size == strlen(word) &&
           memcmp(request->parts[part].at, word, strlen(word)) == 0;
}

/* False when the context has ended. `*whole` says whether it was a request at all. */
static bool
receive(void *socket, struct request *request, bool *whole)
{
    int more = 1;
    size_t more_size = sizeof more, count = 0;
    *whole = true;
    memset(request, 0, sizeof *request);
    while (more) {
        uint8_t at[256];
        const int size = zmq_recv(socket, at, sizeof at, 0);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return false;
        if (count >= PART_COUNT || (size_t)size > sizeof at) {
            *whole = false;
        } else {
            memcpy(request->parts[count].at, at, (size_t)size);
            request->parts[count].size = (size_t)size;
        }
        count++;
        if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &more_size) != 0) return false;
    }
    if (count != PART_COUNT) *whole = false;
    return true;
}

static const char *
may_connect(const struct request *request)
{
    static const struct {
        const char *name, *roles;
    } links[] = {
#define LINK(name, binder, bound_as, connected_as, roles, doc) {#name, roles},
#include "links.def"
#undef LINK
    };
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
        if (part_is(request, DOMAIN, links[i].name)) return links[i].roles;
    return NULL;
}

static bool
folder_time(const struct zap *zap, struct timespec *time)
{
    char path[PATH_MAX + 16];
    struct stat status;
    snprintf(path, sizeof path, "%s/keys/public", zap->home);
    if (stat(path, &status) != 0) return false;
    *time = status.st_mtim;
    return true;
}

/* The old keys stay when the new ones are not to be trusted. */
static bool
read_keys(struct zap *zap, char *error, size_t error_size)
{
    struct public_key *keys;
    unsigned long count;
    struct timespec time = {0};
    (void)folder_time(zap, &time); /* before reading: what comes in between is read next time */
    zap->read_ms = clock_mono_ms();
    if (!keys_read_all(zap->home, &keys, &count, error, error_size)) return false;
    free(zap->keys);
    zap->keys = keys;
    zap->key_count = count;
    zap->folder_time = time;
    return true;
}

static const struct public_key *
known(const struct zap *zap, const uint8_t *key)
{
    for (size_t i = 0; i < zap->key_count; i++)
        if (memcmp(zap->keys[i].key, key, KEY_BYTES) == 0) return &zap->keys[i];
    return NULL;
}

/* Reads the folder again when the key is unknown, or when the folder has changed, so that a key
 * that was taken away counts no more; at most once a second, whatever strangers do. */
static const struct public_key *
find(struct zap *zap, const uint8_t *key)
{
    const struct public_key *found = known(zap, key);
    struct timespec now;
    char error[PATH_MAX + 128];
    const bool changed = folder_time(zap, &now) && (now.tv_sec != zap->folder_time.tv_sec ||
                                                    now.tv_nsec != zap->folder_time.tv_nsec);
    if ((found && !changed) || clock_mono_ms() - zap->read_ms < RELOAD_MS_MIN) return found;
    if (!read_keys(zap, error, sizeof error))
        log_event(LOG_ERROR, "keys.refused", "reason=%s", error);
    return known(zap, key);
}

struct answer {
    const char *status, *words;
    const char *name; /* "" when it is no */
};

static struct answer
decide(struct zap *zap, const struct request *request)
{
    if (!part_is(request, VERSION, "1.0")) return (struct answer){"500", "Unknown version", ""};
    if (!part_is(request, MECHANISM, "CURVE") || request->parts[CREDENTIALS].size != KEY_BYTES)
        return (struct answer){"400", "CURVE only", ""};
    const char *roles = may_connect(request);
    if (!roles) return (struct answer){"400", "No such link", ""};
    const struct public_key *who = find(zap, request->parts[CREDENTIALS].at);
    if (!who) return (struct answer){"300", "Unknown key", ""};
    if (!roles_include(roles, who->role))
        return (struct answer){"400", "This role has no business here", ""};
    return (struct answer){"200", "OK", who->name};
}

/* Once in a while: a stranger who tries often must not fill the disk. */
static void
grumble(struct zap *zap, const struct request *request, struct answer answer)
{
    char z85[KEY_Z85_BYTES + 1] = "";
    const int64_t now_ms = clock_mono_ms();
    zap->refused++;
    if (zap->grumbled_ms && now_ms - zap->grumbled_ms < GRUMBLE_MS) return;
    zap->grumbled_ms = now_ms;
    if (request->parts[CREDENTIALS].size == KEY_BYTES)
        zmq_z85_encode(z85, request->parts[CREDENTIALS].at, KEY_BYTES);
    log_event(LOG_WARNING, "peer.refused", "link=%.*s reason=%s key=%s refused_so_far=%llu",
              (int)request->parts[DOMAIN].size, (const char *)request->parts[DOMAIN].at,
              answer.words, z85, (unsigned long long)zap->refused);
}

static void *
serve(void *argument)
{
    struct zap *zap = argument;
    struct request request;
    bool whole;
    while (receive(zap->socket, &request, &whole)) {
        const struct answer answer =
            whole ? decide(zap, &request) : (struct answer){"500", "Malformed request", ""};
        if (answer.status[0] != '2') grumble(zap, &request, answer);
        zmq_send(zap->socket, "1.0", 3, ZMQ_SNDMORE);
        zmq_send(zap->socket, request.parts[REQUEST_ID].at, request.parts[REQUEST_ID].size,
                 ZMQ_SNDMORE);
        zmq_send(zap->socket, answer.status, 3, ZMQ_SNDMORE);
        zmq_send(zap->socket, answer.words, strlen(answer.words), ZMQ_SNDMORE);
        zmq_send(zap->socket, answer.name, strlen(answer.name), ZMQ_SNDMORE);
        zmq_send(zap->socket, "", 0, 0);
    }
    assert(errno == ETERM);
    zmq_close(zap->socket);
    return NULL;
}

struct zap *
zap_start(void *context, const char *home)
{
    char error[PATH_MAX + 128];
    sigset_t all, before;
    struct zap *zap = calloc(1, sizeof *zap);
    assert(zap);
    snprintf(zap->home, sizeof zap->home, "%s", home);
    if (!read_keys(zap, error, sizeof error)) die("%s", error);
    zap->socket = zmq_socket(context, ZMQ_REP);
    if (!zap->socket || zmq_bind(zap->socket, "inproc://zeromq.zap.01") != 0)
        die("The handler of CURVE keys cannot be bound: %s.", zmq_strerror(errno));

    /* Signals are for the thread that takes turns. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&zap->thread, NULL, serve, zap);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) die("The handler of CURVE keys cannot be started: %s.", strerror(failed));
    return zap;
}

void
zap_stop(struct zap **zap_p)
{
    if (!*zap_p) return;
    pthread_join((*zap_p)->thread, NULL);
    free((*zap_p)->keys);
    free(*zap_p);
    *zap_p = NULL;
}
