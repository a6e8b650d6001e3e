#include "journal.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct network_journal {
    MDB_env *env;
    MDB_txn *txn;
    MDB_cursor *cursor;
    bool failed;
};

void
network_journal_folder(const char *home, char *out, size_t cap)
{
    snprintf(out, cap, "%s/network", home);
}

static int
begin(struct network_journal *journal, const char *folder)
{
    MDB_dbi table;
    int error = mdb_env_create(&journal->env);
    if (!error) error = mdb_env_set_mapsize(journal->env, NETWORK_JOURNAL_BYTES_MAX);
    if (!error) error = mdb_env_open(journal->env, folder, MDB_RDONLY, 0600);
    if (!error) error = mdb_txn_begin(journal->env, NULL, MDB_RDONLY, &journal->txn);
    if (!error) error = mdb_dbi_open(journal->txn, NULL, 0, &table);
    if (!error) error = mdb_cursor_open(journal->txn, table, &journal->cursor);
    return error;
}

struct network_journal *
network_journal_open(const char *home, char *error, size_t error_size)
{
    char folder[4096];
    struct network_journal *journal = calloc(1, sizeof *journal);
    network_journal_folder(home, folder, sizeof folder);
    const int code = journal ? begin(journal, folder) : MDB_PANIC;
    if (code == 0) return journal;
    snprintf(error, error_size, "The network's journal in %s cannot be read: %s.", folder,
             mdb_strerror(code));
    network_journal_close(&journal);
    return NULL;
}

bool
network_journal_next(struct network_journal *journal, struct network_record *record)
{
    MDB_val key, value;
    if (journal->failed) return false;
    const int code = mdb_cursor_get(journal->cursor, &key, &value, MDB_NEXT);
    if (code == MDB_NOTFOUND) return false;
    journal->failed = code != 0 || !record_decode(value.mv_data, value.mv_size, record);
    return !journal->failed;
}

bool
network_journal_failed(const struct network_journal *journal)
{
    return journal->failed;
}

void
network_journal_close(struct network_journal **journal_p)
{
    struct network_journal *journal = *journal_p;
    *journal_p = NULL;
    if (!journal) return;
    if (journal->cursor) mdb_cursor_close(journal->cursor);
    if (journal->txn) mdb_txn_abort(journal->txn);
    if (journal->env) mdb_env_close(journal->env);
    free(journal);
}
