#include "book.h"

#include "journal.h"
#include "log.h"

#include <assert.h>
#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct book {
    MDB_env *env;
    MDB_dbi table;
    MDB_txn *txn; /* of this turn; NULL: nothing was looked at yet */
    bool written;
};

/* LMDB's failures are the disk's: full, gone, broken. There is nothing to try again here. */
static void
must(int code, const char *what)
{
    if (code != 0) die("The network's journal: %s: %s.", what, mdb_strerror(code));
}

struct book *
book_open(const char *home)
{
    char folder[4096];
    int dead = 0;
    struct book *book = calloc(1, sizeof *book);
    if (!book) die("There is no memory for the network's journal.");
    network_journal_folder(home, folder, sizeof folder);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        die("The folder %s cannot be made: %s.", folder, strerror(errno));
    must(mdb_env_create(&book->env), "memory");
    must(mdb_env_set_mapsize(book->env, NETWORK_JOURNAL_BYTES_MAX), "size");
    must(mdb_env_open(book->env, folder, 0, 0600), folder);
    must(mdb_reader_check(book->env, &dead),
         "readers"); /* an audit that was killed pins old pages */
    must(mdb_txn_begin(book->env, NULL, 0, &book->txn), "begin");
    must(mdb_dbi_open(book->txn, NULL, 0, &book->table), "table");
    must(mdb_txn_commit(book->txn), "commit");
    book->txn = NULL;
    return book;
}

void
book_close(struct book **book_p)
{
    struct book *book = *book_p;
    *book_p = NULL;
    if (!book) return;
    if (book->txn) mdb_txn_abort(book->txn);
    mdb_env_close(book->env);
    free(book);
}

static void
begin(struct book *book)
{
    if (!book->txn) must(mdb_txn_begin(book->env, NULL, 0, &book->txn), "begin");
}

bool
book_find(struct book *book, struct text reference, struct network_record *record)
{
    MDB_val key = {reference.size, (void *)reference.at}, value; /* LMDB only reads the key */
    assert(reference.size > 0);
    begin(book);
    const int code = mdb_get(book->txn, book->table, &key, &value);
    if (code == MDB_NOTFOUND) {
        memset(record, 0, sizeof *record);
        return false;
    }
    must(code, "read");
    if (!record_decode(value.mv_data, value.mv_size, record))
        die("The network's journal: the record of %.*s is malformed.", (int)reference.size,
            reference.at);
    return true;
}

void
book_put(struct book *book, const struct network_record *record)
{
    uint8_t bytes[RECORD_BYTES_MAX];
    char reference[sizeof record->reference];
    memcpy(reference, record->reference, sizeof reference);
    MDB_val key = {strlen(reference), reference};
    MDB_val value = {record_encode(record, bytes), bytes};
    assert(key.mv_size > 0);
    begin(book);
    must(mdb_put(book->txn, book->table, &key, &value, 0), "write");
    book->written = true;
}

void
book_commit(struct book *book)
{
    if (!book->txn) return;
    if (book->written)
        must(mdb_txn_commit(book->txn), "commit");
    else
        mdb_txn_abort(book->txn);
    book->txn = NULL;
    book->written = false;
}
