#include "home.h"

#include "files.h"
#include "log.h"
#include "node.h"
#include "partition.h"
#include "random.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_BYTES_MAX (50 << 20)
#define PASSWORD_SIZE 32

struct path
path_in(const char *folder, const char *format, ...)
{
    struct path path;
    va_list arguments;
    const int head = snprintf(path.at, sizeof path.at, "%s/", folder);
    va_start(arguments, format);
    const size_t room = (size_t)head < sizeof path.at ? sizeof path.at - (size_t)head : 0;
    const int tail = room ? vsnprintf(path.at + head, room, format, arguments) : 0;
    va_end(arguments);
    if (tail < 0 || (size_t)tail >= room) die("The path %s is too long.", folder);
    return path;
}

void
folder_make(const char *path, mode_t mode)
{
    struct stat status;
    if (mkdir(path, mode) == 0) {
        /* umask does not decide about it */
        if (chmod(path, mode) != 0) die("The mode of %s cannot be set: %s.", path, strerror(errno));
        return;
    }
    if (errno != EEXIST) die("The folder %s cannot be made: %s.", path, strerror(errno));
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
        die("%s is in the way: it should be a folder.", path);
}

struct path
home_open(const char *given)
{
    struct path path = {.at = ""};
    for (size_t i = 1; given[i]; i++) {
        if (given[i] != '/' || i >= sizeof path.at) continue;
        snprintf(path.at, sizeof path.at, "%.*s", (int)i, given);
        if (mkdir(path.at, 0755) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
            die("The folder %s cannot be made: %s.", path.at, strerror(errno));
    }
    /* Others may pass through it, for Postgres as its own user does, but not look around. */
    struct stat status;
    folder_make(given, 0711);
    if (stat(given, &status) == 0 && status.st_uid == geteuid() && (status.st_mode & 0777) == 0700)
        (void)chmod(given, 0711);
    if (!realpath(given, path.at)) die("The folder %s cannot be used: %s.", given, strerror(errno));
    return path;
}

int
home_lock(const char *home, pid_t *holder)
{
    const struct path folder = path_in(home, "run"), path = path_in(home, "run/lock");
    char text[32] = "";
    *holder = 0;
    folder_make(folder.at, 0700);
    const int fd = open(path.at, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) die("The lock %s cannot be opened: %s.", path.at, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (pread(fd, text, sizeof text - 1, 0) > 0) *holder = (pid_t)strtol(text, NULL, 10);
        close(fd);
        return -1;
    }
    const int size = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)size, 0) != size)
        die("The lock %s cannot be written: %s.", path.at, strerror(errno));
    return fd;
}

static void
make_config(const char *home)
{
    const struct path path = path_in(home, "florin.conf");
    const int fd = open(path.at, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) return;
    if (fd < 0) die("The settings %s cannot be written: %s.", path.at, strerror(errno));
    settings_write_defaults(fd);
    close(fd);
}

static void
make_password(const char *home, const char *role)
{
    const struct path path = path_in(home, "secrets/postgres_%s", role);
    uint8_t chance[PASSWORD_SIZE];
    char password[PASSWORD_SIZE + 1];
    if (access(path.at, F_OK) == 0) return;
    random_bytes(chance, sizeof chance);
    id_random_text(password, PASSWORD_SIZE, chance);
    if (!file_write(path.at, password, PASSWORD_SIZE, 0600))
        die("The secret %s cannot be written: %s.", path.at, strerror(errno));
    explicit_bzero(password, sizeof password);
}

static void
make_keys(const char *home, const char *role, int64_t count)
{
    for (int64_t instance = 1; instance <= count; instance++) {
        char name[NODE_NAME_MAX + 1];
        snprintf(name, sizeof name, "%s-%d", role, (int)instance);
        node_make_keys(home, name);
    }
}

void
home_prepare(const char *home, const struct settings *settings)
{
    static const char *const folders[] = {"keys",    "keys/public", "secrets",
                                          "network", "run",         "log"};
    static const char *const secrets[] = {"api_pepper", "request_hash", "answer_mac",
                                          "vault_master", "vault_fingerprint"};
    static const char *const database_roles[] = {"florin_admin", "ledger",  "payments",
                                                 "webhooks",     "auditor", "vault"};
    static const char *const single[] = {"gateway", "broker",     "vault",    "network",
                                         "client",  "supervisor", "operator", "monitor"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        folder_make(path_in(home, "%s", folders[i]).at, 0700);
    make_config(home);
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
        secret_make(home, secrets[i], 32);
    for (size_t i = 0; i < sizeof database_roles / sizeof database_roles[0]; i++)
        make_password(home, database_roles[i]);
    for (size_t i = 0; i < sizeof single / sizeof single[0]; i++)
        make_keys(home, single[i], 1);
    make_keys(home, "ledger", LEDGERS_PER_PARTITION * settings->partitions);
    make_keys(home, "payments", settings->workers + settings->standby_workers);
    make_keys(home, "webhooks", settings->webhook_workers);
}

int
log_open(const char *home, const char *name)
{
    const struct path path = path_in(home, "log/%s.log", name);
    struct stat status;
    if (stat(path.at, &status) == 0 && status.st_size > LOG_BYTES_MAX)
        (void)rename(path.at, path_in(home, "log/%s.log.1", name).at);
    const int fd = open(path.at, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) die("The log %s cannot be written: %s.", path.at, strerror(errno));
    return fd;
}
