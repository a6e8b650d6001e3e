#include "storage.h"

#include "clock.h"
#include "files.h"
#include "home.h"
#include "log.h"
#include "node.h"
#include "process.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOCKET_PATH_MAX 100 /* of 107; Postgres adds a name of its own */

/* Recovery after a crash within 5 s (redo of 800 MB took 7.6 s: hence max_wal_size; to sync each
 * file of the cluster by itself took 4.4 s: hence syncfs), durable commits, no TCP. As much WAL as
 * there may be is kept to be written over, and what is new is not filled with zeros first: that
 * stops the one who writes for some 70 ms each thousand payments. No vacuum for the sake of rows
 * that were only added: it marks their pages, each of which is logged whole then (a tenth of a
 * payment's WAL), for index-only scans that nobody makes; what their age demands, and what is
 * replaced, is vacuumed as ever. ANALYZE looks at a tenth of the usual number of rows: its snapshot
 * keeps what is replaced meanwhile, and of the places where attempts are under way each had thirty
 * pages to walk through after the 8 s that it took for charges (0.9 s now). No plan of ours
 * depends on more: joins go by index whatever the statistics say. */
static const char postgres_settings[] =
    "# Written by florin-supervisor at each start: changes here are lost.\n"
    "listen_addresses = ''\n"
    "port = 5432\n"
    "unix_socket_permissions = 0700\n"
    "max_connections = 60\n"
    "shared_buffers = 256MB\n"
    "huge_pages = off\n"
    "synchronous_commit = on\n"
    "max_wal_size = 512MB\n"
    "min_wal_size = 512MB\n"
    "wal_init_zero = off\n"
    "checkpoint_timeout = 1min\n"
    "recovery_init_sync_method = syncfs\n"
    "autovacuum_vacuum_insert_threshold = -1\n"
    "default_statistics_target = 10\n"
    "password_encryption = 'scram-sha-256'\n"
    "client_connection_check_interval = 1s\n"
    "jit = off\n"
    "timezone = 'UTC'\n"
    "log_timezone = 'UTC'\n"
    "log_line_prefix = '%m postgres '\n"
    "log_checkpoints = off\n";

/* Each role into its own databases (one for each partition), and no further; backups are the
 * superuser's. */
static const char postgres_access[] =
    "# Written by florin-supervisor at each start.\n"
    "local florin,florin_2,florin_3,florin_4 ledger,payments,webhooks,auditor scram-sha-256\n"
    "local florin_vault vault scram-sha-256\n"
    "local all florin_admin scram-sha-256\n"
    "local replication florin_admin scram-sha-256\n";

/* Redis keeps finished answers for a while and may lose them at any time: nothing on disk. */
static const char redis_settings[] = "# Written by florin-supervisor at each start.\n"
                                     "port 0\n"
                                     "unixsocketperm 700\n"
                                     "daemonize no\n"
                                     "set-proc-title no\n"
                                     "save \"\"\n"
                                     "appendonly no\n"
                                     "maxmemory 256mb\n"
                                     "maxmemory-policy allkeys-lru\n"
                                     "maxclients 1000\n";

static void
set(char out[PATH_MAX], struct path path)
{
    memcpy(out, path.at, PATH_MAX);
}

/* As root: that user, or nobody. Else ourselves. */
static struct user
user_for(const char *name)
{
    struct user user = {.other = geteuid() == 0, .id = geteuid(), .group = getegid()};
    if (!user.other) return user;
    const struct passwd *row = getpwnam(name);
    if (!row) row = getpwnam("nobody");
    if (!row) die("There is neither a user %s nor nobody to run it as.", name);
    snprintf(user.name, sizeof user.name, "%s", row->pw_name);
    user.id = row->pw_uid;
    user.group = row->pw_gid;
    return user;
}

/* Asked of the kernel by being that user: modes, groups and access lists are its business. */
static bool
can_reach(const struct user *user, const char *folder)
{
    int status;
    if (!user->other) return true;
    const pid_t pid = fork();
    if (pid == 0) {
        const bool changed = initgroups(user->name, user->group) == 0 && setgid(user->group) == 0 &&
                             setuid(user->id) == 0;
        _exit(changed && access(folder, X_OK) == 0 ? 0 : 1);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

/* A short name for a home, the same for the same one. */
static void
hash_of(const char *home, char hex[static 17])
{
    uint8_t hash[crypto_generichash_BYTES_MIN];
    crypto_generichash(hash, sizeof hash, (const uint8_t *)home, strlen(home), NULL, 0);
    sodium_bin2hex(hex, 17, hash, 8);
}

static void
give_to(const struct user *user, const char *path)
{
    if (user->other && lchown(path, user->id, user->group) != 0)
        die("%s cannot be given to the user %s: %s.", path, user->name, strerror(errno));
}

/* A home of this name was there before and is gone, without the folder that it had elsewhere. Its
 * passwords are gone with it, so it is of no use to the new one; but it is not ours to delete. */
static void
set_aside(const char *folder)
{
    struct stat status;
    if (lstat(folder, &status) != 0) return;
    const struct path aside =
        path_in(folder, "../before-%lld-%s", (long long)clock_wall_ms(), strrchr(folder, '/') + 1);
    if (rename(folder, aside.at) != 0)
        die("%s is of an earlier instance, and cannot be set aside: %s.", folder, strerror(errno));
    log_event(LOG_WARNING, "storage.set_aside", "was=%s is=%s", folder, aside.at);
}

/* HOME/NAME, or a link there to where the user can reach it. */
static struct path
place(struct storage *s, const struct user *user, const char *home, const char *name)
{
    const struct path wanted = path_in(home, "%s", name);
    struct path real = wanted;
    struct stat status;
    const bool there = lstat(wanted.at, &status) == 0;
    if (there && S_ISLNK(status.st_mode)) {
        s->elsewhere = true;
        if (!realpath(wanted.at, real.at)) die("%s leads nowhere: %s.", wanted.at, strerror(errno));
        return real;
    }
    if (!can_reach(user, home)) {
        if (there)
            die("The user %s cannot get to %s: let others pass through the folders above it.",
                user->name, wanted.at);
        char hash[17];
        hash_of(home, hash);
        const struct path folder = path_in("/var/lib/florin", "%s", hash);
        folder_make("/var/lib/florin", 0711);
        folder_make(folder.at, 0711);
        /* for whoever finds it there and wonders */
        (void)file_write(path_in(folder.at, "home").at, home, strlen(home), 0600);
        real = path_in(folder.at, "%s", name);
        set_aside(real.at);
        if (symlink(real.at, wanted.at) != 0)
            die("The link %s cannot be made: %s.", wanted.at, strerror(errno));
        s->elsewhere = true;
    }
    folder_make(real.at, 0700);
    give_to(user, real.at);
    return real;
}

/* Of a cluster that is there its own version, else the newest. */
static void
find_postgres(struct storage *s)
{
    char version[16];
    struct stat status;
    if (file_read(path_in(s->cluster, "PG_VERSION").at, version, sizeof version) > 0) {
        version[strcspn(version, "\n")] = 0;
        set(s->postgres_program, path_in("/usr/lib/postgresql", "%s/bin/postgres", version));
        if (stat(s->postgres_program, &status) != 0)
            die("The cluster in %s was made by Postgres %s, which is not installed.", s->cluster,
                version);
        return;
    }
    glob_t found = {0};
    double newest = 0;
    if (glob("/usr/lib/postgresql/*/bin/postgres", 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            const double number = strtod(found.gl_pathv[i] + strlen("/usr/lib/postgresql/"), NULL);
            if (number < newest) continue;
            newest = number;
            snprintf(s->postgres_program, sizeof s->postgres_program, "%s", found.gl_pathv[i]);
        }
    }
    globfree(&found);
    if (newest == 0) die("Postgres is not installed: install Debian's package postgresql.");
}

void
storage_place(struct storage *s, const char *home)
{
    *s = (struct storage){.postgres_user = user_for("postgres"), .redis_user = user_for("redis")};
    set(s->postgres_folder, place(s, &s->postgres_user, home, "postgres"));
    set(s->redis_folder, place(s, &s->redis_user, home, "redis"));
    set(s->cluster, path_in(s->postgres_folder, "cluster"));
    set(s->postgres_pid_file, path_in(s->cluster, "postmaster.pid"));
    set(s->redis_config, path_in(s->redis_folder, "redis.conf"));
    set(s->redis_pid_file, path_in(s->redis_folder, "redis.pid"));
    snprintf(s->redis_program, sizeof s->redis_program, "/usr/bin/redis-server");
    if (access(s->redis_program, X_OK) != 0)
        die("Redis is not installed: install Debian's package redis-server.");
    find_postgres(s);
}

static void write_for(const struct user *user, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void
write_for(const struct user *user, const char *path, const char *format, ...)
{
    char text[8192];
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof text) die("%s would be too long.", path);
    if (!file_write(path, text, (size_t)size, 0600))
        die("%s cannot be written: %s.", path, strerror(errno));
    give_to(user, path);
}

/* In a folder aside, renamed when it is whole: a start that was cut off leaves no half cluster. */
static void
make_cluster(struct storage *s, const char *home)
{
    const struct path aside = path_in(s->postgres_folder, "cluster.new");
    const struct path password_file = path_in(s->postgres_folder, "password");
    const struct path log = path_in(home, "log/postgres.log");
    uint8_t password[128] = "";
    char initdb[PATH_MAX];
    snprintf(initdb, sizeof initdb, "%.*s/initdb",
             (int)(strrchr(s->postgres_program, '/') - s->postgres_program), s->postgres_program);
    const char *const remove[] = {"/bin/rm", "-rf", "--", aside.at, NULL};
    const char *const make[] = {initdb,
                                "-D",
                                aside.at,
                                "-U",
                                "florin_admin",
                                "-A",
                                "scram-sha-256",
                                "--pwfile",
                                password_file.at,
                                "--locale=C",
                                "-E",
                                "UTF8",
                                "-k",
                                NULL};

    const int log_fd = log_open(home, "postgres");
    if (program_run(NULL, log_fd, remove) != 0) die("%s cannot be removed.", aside.at);
    secret_read(home, "postgres_florin_admin", password, sizeof password - 1);
    write_for(&s->postgres_user, password_file.at, "%s\n", (const char *)password);
    sodium_memzero(password, sizeof password);
    const int result = program_run(&s->postgres_user, log_fd, make);
    unlink(password_file.at);
    close(log_fd);
    if (result != 0) die("The Postgres cluster could not be made; %s says why.", log.at);
    if (rename(aside.at, s->cluster) != 0)
        die("%s cannot be renamed: %s.", aside.at, strerror(errno));
}

/* Where the server puts its socket, and the link to it in the run folder. */
static struct path
socket_for(const char *home, const struct user *user, const char *folder, const char *name)
{
    char run[PATH_MAX];
    struct path where = path_in(folder, "%s", name);
    run_folder(home, run, sizeof run);
    if (strlen(where.at) > SOCKET_PATH_MAX) {
        struct stat status;
        char hash[17];
        hash_of(home, hash);
        const struct path short_folder = path_in("/tmp", "florin-%s-%u", hash, (unsigned)user->id);
        if (mkdir(short_folder.at, 0700) == 0) give_to(user, short_folder.at);
        if (lstat(short_folder.at, &status) != 0 || !S_ISDIR(status.st_mode) ||
            status.st_uid != user->id || (status.st_mode & 077))
            die("%s is not ours alone: it cannot hold a socket.", short_folder.at);
        where = path_in(short_folder.at, "%s", name);
    }
    const struct path link = path_in(run, "%s", name);
    char target[PATH_MAX] = "";
    if (readlink(link.at, target, sizeof target - 1) < 0 || strcmp(target, where.at) != 0) {
        unlink(link.at);
        if (symlink(where.at, link.at) != 0)
            die("The link %s cannot be made: %s.", link.at, strerror(errno));
    }
    return where;
}

void
storage_prepare(struct storage *s, const char *home)
{
    struct stat status;
    if (stat(s->cluster, &status) != 0) make_cluster(s, home);

    struct path socket = socket_for(home, &s->postgres_user, s->postgres_folder, ".s.PGSQL.5432");
    *strrchr(socket.at, '/') = 0; /* Postgres is told the folder */
    write_for(&s->postgres_user, path_in(s->cluster, "postgresql.conf").at,
              "%sunix_socket_directories = '%s'\n", postgres_settings, socket.at);
    write_for(&s->postgres_user, path_in(s->cluster, "pg_hba.conf").at, "%s", postgres_access);

    socket = socket_for(home, &s->redis_user, s->redis_folder, "redis.sock");
    write_for(&s->redis_user, s->redis_config, "%sunixsocket \"%s\"\ndir \"%s\"\npidfile \"%s\"\n",
              redis_settings, socket.at, s->redis_folder, s->redis_pid_file);
}
