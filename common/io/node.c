#include "node.h"

#include "failpoint.h"
#include "keys.h"
#include "log.h"
#include "random.h"
#include "settings.h"
#include "spare.h"
#include "zap.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

enum {
    SOCKET_PATH_MAX = sizeof((struct sockaddr_un *)0)->sun_path - 1,
    SOCKET_NAME_MAX = 24, /* the longest name of a socket in the run folder, with its slash */
    FILES_OPEN = 65536,
};

struct node {
    char home[PATH_MAX], name[NODE_NAME_MAX + 1], role[NODE_NAME_MAX + 1];
    int instance;
    void *context;
    struct zap *zap;
    uint8_t public_key[KEY_BYTES], secret_key[KEY_BYTES];
    int locks[2 * LINK_COUNT]; /* held until the context has ended, see node_lock */
    size_t lock_count;
};

/* Have plenty; spare.h is for when even they run out. */
static void
raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= FILES_OPEN) return;
    limit.rlim_cur = limit.rlim_max < FILES_OPEN ? limit.rlim_max : FILES_OPEN;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static enum log_level
level_of(const struct settings *settings)
{
    switch (settings->log_level[0]) {
    case 'd': return LOG_DEBUG;
    case 'w': return LOG_WARNING;
    case 'e': return LOG_ERROR;
    default: return LOG_INFO;
    }
}

/* Sockets are named by absolute paths, whatever the folder that a process was started in. */
static void
absolute(const char *home, char out[static PATH_MAX])
{
    if (!realpath(home, out)) snprintf(out, PATH_MAX, "%s", home);
}

struct node *
node_start(const char *home, const char *name)
{
    struct settings settings;
    struct node *node = calloc(1, sizeof *node);
    assert(node);
    if (!name_split(name, node->role, &node->instance))
        die("%s is not the name of a process: it is a role, a hyphen and a number, as in "
            "payments-1.",
            name);
    if (!realpath(home, node->home))
        die("There is no folder %s to run in: %s.", home, strerror(errno));
    snprintf(node->name, sizeof node->name, "%s", name);
    settings_load(node->home, &settings);
    log_start(name, level_of(&settings));
#ifdef FLORIN_FAILPOINTS
    failpoints_open(node->home);
#endif
    random_start_streaming();
    raise_file_limit();
    spare_keep();
    signal(SIGPIPE, SIG_IGN);
    keys_read_own(node->home, name, node->public_key, node->secret_key);
    node->context = zmq_ctx_new();
    if (!node->context) die("libzmq cannot start: %s.", zmq_strerror(errno));
    node->zap = zap_start(node->context, node->home);
    return node;
}

void
node_stop(struct node **node_p)
{
    struct node *node = *node_p;
    if (!node) return;
    zmq_ctx_shutdown(node->context); /* ends the handler; sockets that linger go on */
    zap_stop(&node->zap);
    while (zmq_ctx_term(node->context) != 0 && errno == EINTR)
        continue;
    for (size_t i = 0; i < node->lock_count; i++)
        close(node->locks[i]);
    sodium_memzero(node->secret_key, sizeof node->secret_key);
    free(node);
    *node_p = NULL;
}

bool
node_lock(struct node *node, const char *path)
{
    assert(node->lock_count < sizeof node->locks / sizeof node->locks[0]);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return false;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        close(fd);
        errno = error;
        return false;
    }
    node->locks[node->lock_count++] = fd;
    return true;
}

const char *
node_home(const struct node *node)
{
    return node->home;
}

const char *
node_name(const struct node *node)
{
    return node->name;
}

const char *
node_role(const struct node *node)
{
    return node->role;
}

int
node_instance(const struct node *node)
{
    return node->instance;
}

void *
node_context(const struct node *node)
{
    return node->context;
}

const uint8_t *
node_secret_key(const struct node *node)
{
    return node->secret_key;
}

bool
node_public_key(const struct node *node, const char *name, uint8_t key[static 32])
{
    char error[PATH_MAX + 128];
    if (strcmp(name, node->name) == 0) {
        memcpy(key, node->public_key, KEY_BYTES);
        return true;
    }
    return keys_read_public(node->home, name, key, error, sizeof error);
}

/* --- places -------------------------------------------------------------------------------------
 */

/* Under /tmp anybody may make a folder first: it counts only when it is ours and nobody else may
 * write to it. The sockets are one folder further in, which may be given to another user. */
static void
make_short_folder(const char *home, char *out, unsigned long cap)
{
    uint8_t hash[8];
    char digits[2 * sizeof hash + 1];
    struct stat status;
    crypto_generichash(hash, sizeof hash, (const uint8_t *)home, strlen(home), NULL, 0);
    sodium_bin2hex(digits, sizeof digits, hash, sizeof hash);
    snprintf(out, cap, "/tmp/florin-%u-%s", (unsigned)geteuid(), digits);
    if (mkdir(out, 0711) != 0 && errno != EEXIST)
        die("The folder %s cannot be made: %s.", out, strerror(errno));
    if (lstat(out, &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != geteuid() ||
        status.st_mode & (S_IWGRP | S_IWOTH))
        die("The folder %s is somebody else's: remove it, or choose a home with a shorter path.",
            out);
    const size_t size = strlen(out);
    snprintf(out + size, cap - size, "/run");
}

void
run_folder(const char *home, char *out, unsigned long cap)
{
    char path[PATH_MAX];
    absolute(home, path);
    if (strlen(path) + strlen("/run") + SOCKET_NAME_MAX <= SOCKET_PATH_MAX)
        snprintf(out, cap, "%s/run", path);
    else
        make_short_folder(path, out, cap);
    if (mkdir(out, 0700) != 0 && errno != EEXIST)
        die("The folder %s cannot be made: %s.", out, strerror(errno));
}

void
link_endpoint(const char *home, enum link_number link, int instance, char *out, unsigned long cap)
{
    char folder[PATH_MAX];
    run_folder(home, folder, sizeof folder);
    snprintf(out, cap, "ipc://%s/%s-%d", folder, link_name(link), instance);
}

const char *
link_name(enum link_number link)
{
    static const char *const names[LINK_COUNT] = {
#define LINK(name, binder, bound_as, connected_as, roles, doc) [LINK_##name] = #name,
#include "links.def"
#undef LINK
    };
    assert(link < LINK_COUNT);
    return names[link];
}
