#include "network_seed.h"

#include "journal.h"
#include "log.h"
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
must(int code, const char *what)
{
    if (code != 0) die("The network's journal: %s: %s.", what, mdb_strerror(code));
}

static void
find(MDB_txn *txn, MDB_dbi table, const char *reference, struct network_record *record)
{
    MDB_val key = {strlen(reference), (void *)reference}, value; /* LMDB only reads the key */
    must(mdb_get(txn, table, &key, &value), reference);
    if (!record_decode(value.mv_data, value.mv_size, record))
        die("The network's journal: the record of %s is malformed.", reference);
}

static void
put(MDB_txn *txn, MDB_dbi table, const struct network_record *record)
{
    uint8_t bytes[RECORD_BYTES_MAX];
    MDB_val key = {strlen(record->reference), (void *)record->reference};
    MDB_val value = {record_encode(record, bytes), bytes};
    must(mdb_put(txn, table, &key, &value, 0), "write");
}

int
network_seed(const char *home, const char *like)
{
    char folder[4096], line[512];
    struct network_record record;
    long long created_ms;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi table;
    network_journal_folder(home, folder, sizeof folder);
    must(mdb_env_create(&env), "memory");
    must(mdb_env_set_mapsize(env, NETWORK_JOURNAL_BYTES_MAX), "size");
    must(mdb_env_open(env, folder, MDB_NOSYNC, 0600), folder); /* a batch is synced as a whole */
    must(mdb_txn_begin(env, NULL, 0, &txn), "begin");
    must(mdb_dbi_open(txn, NULL, 0, &table), "table");
    find(txn, table, like, &record);
    must(mdb_txn_commit(txn), "commit");
    txn = NULL;
    while (fgets(line, sizeof line, stdin)) {
        if (line[0] == '\n') {
            if (txn) must(mdb_txn_commit(txn), "commit");
            txn = NULL;
            must(mdb_env_sync(env, 1), "sync");
            puts("written");
            fflush(stdout);
            continue;
        }
        if (sscanf(line, "%63s %63s %63s %lld", record.reference, record.merchant,
                   record.network_id, &created_ms) != 4)
            die("This is no line for the network's journal: %s", line);
        record.created_ms = record.changed_ms = created_ms;
        if (!txn) must(mdb_txn_begin(env, NULL, 0, &txn), "begin");
        put(txn, table, &record);
    }
    if (txn) mdb_txn_abort(txn);
    mdb_env_close(env);
    return 0;
}
