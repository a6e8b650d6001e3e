#include "backup.h"

#include "clock.h"
#include "files.h"
#include "log.h"
#include "manifest.h"
#include "node.h"
#include "partition.h"
#include "pg.h"
#include "schema.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX (1 << 20) /* of a key, a secret, the settings */

struct backup {
    const char *home, *folder;
    const struct storage *storage;
    struct manifest manifest;
    int log_fd;
};

static void
add(struct backup *b, const char *path)
{
    char error[PATH_MAX + 128];
    if (!manifest_add(&b->manifest, path, path_in(b->folder, "%s", path).at, error, sizeof error))
        die("%s", error);
}

/* --- small files ---------------------------------------------------------------------------------
 */

static void
copy(struct backup *b, const char *name, const char *as)
{
    static char bytes[FILE_BYTES_MAX];
    const struct path from = path_in(b->home, "%s", name), to = path_in(b->folder, "%s", as);
    const ssize_t size = file_read(from.at, bytes, sizeof bytes);
    if (size < 0) die("%s cannot be read: %s.", from.at, strerror(errno));
    const bool written = file_write(to.at, bytes, (size_t)size, 0600);
    sodium_memzero(bytes, (size_t)size);
    if (!written) die("%s cannot be written: %s.", to.at, strerror(errno));
    add(b, as);
}

/* All files of HOME/NAME, not of the folders in it. */
static void
copy_folder(struct backup *b, const char *name)
{
    const struct path from = path_in(b->home, "%s", name);
    folder_make(path_in(b->folder, "keys/%s", name).at, 0700);
    DIR *folder = opendir(from.at);
    if (!folder) die("%s cannot be read: %s.", from.at, strerror(errno));
    for (const struct dirent *entry; (entry = readdir(folder));) {
        const struct path at = path_in(from.at, "%s", entry->d_name);
        struct stat status;
        if (lstat(at.at, &status) != 0 || !S_ISREG(status.st_mode)) continue;
        copy(b, path_in(name, "%s", entry->d_name).at,
             path_in("keys", "%s/%s", name, entry->d_name).at);
    }
    closedir(folder);
}

/* --- the moment ----------------------------------------------------------------------------------
 */

/* The network's book as it was at one moment. */
struct book {
    MDB_env *env;
    MDB_txn *txn;
};

static void
book_must(int code)
{
    if (code != 0) die("The network's book cannot be read: %s.", mdb_strerror(code));
}

/* Holds the book's only right to write while `then` is done. What the network is asked meanwhile
 * waits. */
static struct book
book_snapshot(const char *home, void (*then)(void *), void *state)
{
    struct book book = {0};
    MDB_txn *writer;
    book_must(mdb_env_create(&book.env));
    book_must(mdb_env_open(book.env, path_in(home, "network").at, MDB_NOTLS, 0600));
    book_must(mdb_txn_begin(book.env, NULL, 0, &writer));
    then(state);
    book_must(mdb_txn_begin(book.env, NULL, MDB_RDONLY, &book.txn));
    mdb_txn_abort(writer);
    return book;
}

static void
book_write(struct book *book, const char *to)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi from_table, to_table;
    MDB_cursor *cursor;
    MDB_envinfo info;
    MDB_val key, value;
    int code;
    book_must(mdb_env_info(book->env, &info));
    book_must(mdb_dbi_open(book->txn, NULL, 0, &from_table));
    book_must(mdb_cursor_open(book->txn, from_table, &cursor));
    book_must(mdb_env_create(&env));
    book_must(mdb_env_set_mapsize(env, info.me_mapsize));
    book_must(mdb_env_open(env, to, MDB_NOSUBDIR | MDB_NOLOCK, 0600));
    book_must(mdb_txn_begin(env, NULL, 0, &txn));
    book_must(mdb_dbi_open(txn, NULL, 0, &to_table));
    while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
        book_must(mdb_put(txn, to_table, &key, &value, MDB_APPEND));
    if (code != MDB_NOTFOUND) book_must(code);
    book_must(mdb_txn_commit(txn));
    mdb_env_close(env);
    mdb_cursor_close(cursor);
    mdb_txn_abort(book->txn);
    mdb_env_close(book->env);
}

/* Of the books of each partition. */
struct moment {
    int partitions;
    PGconn *connections[PARTITIONS_MAX];
    char names[PARTITIONS_MAX][128]; /* of the snapshots that pg_dump is to see */
};

static PGconn *
begin_reading(const char *home, int partition)
{
    char database[32];
    pg_database(partition, database, sizeof database);
    PGconn *const connection = schema_connect(home, database);
    PGresult *result = PQexec(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        die("Postgres does not answer: %s", PQerrorMessage(connection));
    PQclear(result);
    return connection;
}

static void
postgres_snapshots(void *state)
{
    struct moment *moment = state;
    for (int i = 0; i < moment->partitions; i++) {
        PGresult *result = PQexec(moment->connections[i], "SELECT pg_export_snapshot()");
        if (PQresultStatus(result) != PGRES_TUPLES_OK)
            die("Postgres gives no snapshot: %s", PQerrorMessage(moment->connections[i]));
        snprintf(moment->names[i], sizeof moment->names[i], "--snapshot=%s",
                 PQgetvalue(result, 0, 0));
        PQclear(result);
    }
}

/* --- Postgres ------------------------------------------------------------------------------------
 */

static void
dump(struct backup *b, const char *database, const char *snapshot, const char *as)
{
    const struct path file = path_in(b->folder, "%s", as);
    char program[PATH_MAX], run[PATH_MAX];
    snprintf(program, sizeof program, "%.*s/pg_dump",
             (int)(strrchr(b->storage->postgres_program, '/') - b->storage->postgres_program),
             b->storage->postgres_program);
    run_folder(b->home, run, sizeof run);
    const char *const arguments[] = {program,  "-w", "-Fc",   "-Z",           "1",
                                     "-h",     run,  "-U",    "florin_admin", "-d",
                                     database, "-f", file.at, snapshot,       NULL};
    schema_password(b->home);
    const int code = program_run(NULL, b->log_fd, arguments);
    unsetenv("PGPASSWORD");
    if (code != 0)
        die("The database %s cannot be written down; %s/log/backup.log says why.", database,
            b->home);
    add(b, as);
}

static void
make_folder(const char *folder)
{
    if (mkdir(folder, 0700) == 0) return;
    if (errno != EEXIST) die("The folder %s cannot be made: %s.", folder, strerror(errno));
    DIR *there = opendir(folder);
    if (!there) die("%s is in the way: it should be a folder.", folder);
    for (const struct dirent *entry; (entry = readdir(there));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            die("The folder %s is not empty: a backup wants one of its own.", folder);
    closedir(there);
    if (chmod(folder, 0700) != 0) die("The mode of %s cannot be set: %s.", folder, strerror(errno));
}

static void
conclude(struct backup *b, bool json)
{
    char error[PATH_MAX + 128];
    long long bytes = 0;
    b->manifest.schema = SCHEMA_VERSION;
    b->manifest.created = (long)(clock_wall_ms() / 1000);
    if (!manifest_write(&b->manifest, b->folder, error, sizeof error)) die("%s", error);
    for (unsigned i = 0; i < b->manifest.count; i++)
        bytes += b->manifest.files[i].size;
    if (json)
        printf("{\"folder\":\"%s\",\"files\":%u,\"bytes\":%lld,\"created\":%ld}\n", b->folder,
               b->manifest.count, bytes, b->manifest.created);
    else
        printf("The backup is in %s: %u files, %.1f MB.\n"
               "Keep its folder keys/ elsewhere: with vault/ it opens card numbers.\n",
               b->folder, b->manifest.count, (double)bytes / 1e6);
}

void
backup_make(const char *home, const struct settings *settings, const struct storage *storage,
            const char *folder, bool json)
{
    struct moment moment = {.partitions = (int)settings->partitions};
    static struct backup b;
    bool own = false;
    for (int partition = 1; partition <= moment.partitions; partition++)
        own |= settings_postgres(settings, partition)[0] != 0;
    if (own)
        die("This instance has a Postgres of its own (postgres_dsn in florin.conf): back it up "
            "with its own tools.");
    if (!schema_reachable(home))
        die("Florin is not running in %s: a backup is taken while it runs.", home);
    make_folder(folder);
    b = (struct backup){.home = home, .folder = folder, .storage = storage};
    b.log_fd = log_open(home, "backup");
    static const char *const folders[] = {"books", "vault", "keys", "keys/keys"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        folder_make(path_in(folder, "%s", folders[i]).at, 0700);

    for (int i = 0; i < moment.partitions; i++)
        moment.connections[i] = begin_reading(home, i + 1);
    struct book book = book_snapshot(home, postgres_snapshots, &moment);
    for (int i = 0; i < moment.partitions; i++) {
        char database[32];
        pg_database(i + 1, database, sizeof database);
        dump(&b, database, moment.names[i], path_in("books", "%s.dump", database).at);
        PQfinish(moment.connections[i]);
    }
    book_write(&book, path_in(folder, "books/network.book").at);
    add(&b, "books/network.book");
    dump(&b, "florin_vault", NULL, "vault/florin_vault.dump");
    copy(&b, "florin.conf", "books/florin.conf");
    copy(&b, "first_merchant", "keys/first_merchant");
    copy_folder(&b, "keys");
    copy_folder(&b, "keys/public");
    copy_folder(&b, "secrets");
    conclude(&b, json);
}
