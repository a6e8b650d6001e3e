#include "backup.h"
#include "clock.h"
#include "files.h"
#include "log.h"
#include "manifest.h"
#include "node.h"
#include "pg.h"
#include "schema.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define POSTGRES_MS 60000
#define PIECE_BYTES (1 << 16)

/* Where a file of the backup lies now, and where it goes. */
static struct path
place_of(const struct restore *r, const char *path)
{
    if (r->keys && strncmp(path, "keys/", 5) == 0) return path_in(r->keys, "%s", path + 5);
    if (r->vault && strncmp(path, "vault/", 6) == 0) return path_in(r->vault, "%s", path + 6);
    return path_in(r->folder, "%s", path);
}

static struct manifest *
read_manifest(const struct restore *r)
{
    static struct manifest m;
    char error[2 * PATH_MAX];
    if (!manifest_read(&m, r->folder, error, sizeof error)) die("%s", error);
    return &m;
}

static void
must_list(const struct restore *r, const struct manifest *m, const char *path)
{
    for (unsigned i = 0; i < m->count; i++)
        if (strcmp(m->files[i].path, path) == 0) return;
    die("The backup %s is incomplete: it has no %s.", r->folder, path);
}

/* Of a partition's books. */
static struct path
dump_of(int partition, char database[static 32])
{
    pg_database(partition, database, 32);
    return path_in("books", "%s.dump", database);
}

void
restore_check(const struct restore *r)
{
    static const char *const needed[] = {"books/florin.dump",         "books/network.book",
                                         "books/florin.conf",         "vault/florin_vault.dump",
                                         "keys/secrets/vault_master", "keys/first_merchant"};
    char error[2 * PATH_MAX];
    const struct manifest *m = read_manifest(r);
    if (m->schema > SCHEMA_VERSION)
        die("The backup %s was made by a newer Florin than this one: it has version %ld of the "
            "schema, and this program knows those up to %d.",
            r->folder, m->schema, SCHEMA_VERSION);
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        must_list(r, m, needed[i]);
    for (unsigned i = 0; i < m->count; i++)
        if (!manifest_check(&m->files[i], place_of(r, m->files[i].path).at, error, sizeof error))
            die("%s", error);
}

/* --- files ---------------------------------------------------------------------------------------
 */

static void
copy(const char *from, const char *to)
{
    static char bytes[PIECE_BYTES];
    const int in = open(from, O_RDONLY | O_CLOEXEC);
    const int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (in < 0) die("%s cannot be read: %s.", from, strerror(errno));
    if (out < 0) die("%s cannot be written: %s.", to, strerror(errno));
    ssize_t size;
    while ((size = read(in, bytes, sizeof bytes)) > 0)
        for (ssize_t done = 0, n; done < size; done += n)
            if ((n = write(out, bytes + done, (size_t)(size - done))) < 0)
                die("%s cannot be written: %s.", to, strerror(errno));
    explicit_bzero(bytes, sizeof bytes);
    if (size < 0) die("%s cannot be read: %s.", from, strerror(errno));
    if (fsync(out) != 0) die("%s cannot be written: %s.", to, strerror(errno));
    close(in);
    close(out);
}

/* Each file of the backup that is a file of the home, too. */
static void
copy_files(const struct restore *r, const struct manifest *m, const char *home)
{
    static const char *const folders[] = {"keys", "keys/public", "secrets", "network", "log"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        folder_make(path_in(home, "%s", folders[i]).at, 0700);
    for (unsigned i = 0; i < m->count; i++) {
        const char *path = m->files[i].path;
        const struct path from = place_of(r, path);
        if (strncmp(path, "keys/", 5) == 0)
            copy(from.at, path_in(home, "%s", path + 5).at);
        else if (strcmp(path, "books/florin.conf") == 0)
            copy(from.at, path_in(home, "florin.conf").at);
        else if (strcmp(path, "books/network.book") == 0)
            copy(from.at, path_in(home, "network/data.mdb").at);
    }
}

static void
refuse_used_home(const char *home)
{
    static const char *const signs[] = {"postgres", "keys", "secrets", "florin.conf", "network"};
    struct stat status;
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        if (lstat(path_in(home, "%s", signs[i]).at, &status) == 0)
            die("There is an instance of Florin in %s: a backup is brought back into a folder of "
                "its own.",
                home);
}

/* --- Postgres ------------------------------------------------------------------------------------
 */

static void
give_up(struct process *postgres, const char *sentence)
{
    process_signal(postgres, true);
    die("%s", sentence);
}

static void
fill(const struct restore *r, struct processes *p, struct process *postgres, const char *database,
     const char *path, int log_fd)
{
    const struct path file = place_of(r, path);
    char program[PATH_MAX], run[PATH_MAX], sentence[PATH_MAX + 128];
    const char *server = p->storage->postgres_program;
    snprintf(program, sizeof program, "%.*s/pg_restore", (int)(strrchr(server, '/') - server),
             server);
    run_folder(p->home, run, sizeof run);
    const char *const arguments[] = {program,
                                     "-w",
                                     "--exit-on-error",
                                     "--single-transaction",
                                     "-h",
                                     run,
                                     "-U",
                                     "florin_admin",
                                     "-d",
                                     database,
                                     file.at,
                                     NULL};
    schema_password(p->home);
    const int code = program_run(NULL, log_fd, arguments);
    unsetenv("PGPASSWORD");
    if (code == 0) return;
    snprintf(sentence, sizeof sentence,
             "The database %s cannot be filled; %s/log/restore.log says why.", database, p->home);
    give_up(postgres, sentence);
}

static void
wait_until_reachable(struct processes *p, struct process *postgres)
{
    const int64_t until_ms = clock_mono_ms() + POSTGRES_MS;
    while (!schema_reachable(p->home)) {
        struct pollfd ended = {postgres->pidfd, POLLIN, 0};
        if (poll(&ended, 1, 50) > 0 || clock_mono_ms() > until_ms) {
            process_signal(postgres, true);
            die("Postgres does not start; %s/log/postgres.log says why.", p->home);
        }
    }
}

bool
restore_is_unfinished(const char *home)
{
    return access(path_in(home, "restoring").at, F_OK) == 0;
}

void
restore_home(const struct restore *r, const char *home, struct processes *p)
{
    char error[1024], how[32], database[32];
    struct settings settings;
    const struct manifest *m = read_manifest(r);
    const struct path mark = path_in(home, "restoring");
    refuse_used_home(home);
    if (!file_write(mark.at, "", 0, 0600))
        die("%s cannot be written: %s.", mark.at, strerror(errno));
    copy_files(r, m, home);

    settings_load(home, &settings);
    for (int partition = 1; partition <= settings.partitions; partition++)
        must_list(r, m, dump_of(partition, database).at);
    home_prepare(home, &settings); /* what the backup of an older Florin may not have */
    p->home = home;
    storage_place(p->storage, home);
    processes_list(p, &settings);
    storage_prepare(p->storage, home);
    struct process *postgres = process_named(p, "postgres");
    if (!postgres || !process_start(p, postgres))
        die("Postgres cannot be started: %s.", strerror(errno));
    wait_until_reachable(p, postgres);
    const int log_fd = log_open(home, "restore");
    if (!schema_make_empty(home, &settings, error, sizeof error)) give_up(postgres, error);
    for (int partition = 1; partition <= settings.partitions; partition++) {
        const struct path dump = dump_of(partition, database);
        fill(r, p, postgres, database, dump.at, log_fd);
    }
    fill(r, p, postgres, "florin_vault", "vault/florin_vault.dump", log_fd);
    /* Roles are the cluster's and in no dump: the files make them whatever they were run on. */
    if (!schema_forget_files(home, &settings, error, sizeof error) ||
        !schema_prepare(home, &settings, error, sizeof error))
        give_up(postgres, error);
    close(log_fd);
    process_signal(postgres, false);
    struct pollfd ended = {postgres->pidfd, POLLIN, 0};
    while (poll(&ended, 1, -1) < 0 && errno == EINTR)
        continue;
    process_reap(postgres, how, sizeof how);
    if (strcmp(how, "exit 0") != 0)
        die("Postgres did not end well (%s); %s/log/postgres.log says why.", how, home);
    if (unlink(mark.at) != 0) die("%s cannot be removed: %s.", mark.at, strerror(errno));
    printf("The backup of %s is in %s; ./florin up starts it.\n", r->folder, home);
}
