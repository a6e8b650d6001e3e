/* backup: one instance, written down while it runs, and brought back elsewhere.
 *
 *   FOLDER/books/    florin.dump · network.book · florin.conf
 *   FOLDER/vault/    florin_vault.dump: card numbers, sealed
 *   FOLDER/keys/     keys/ · secrets/ · first_merchant: what opens them
 *   FOLDER/manifest  see manifest.h
 *
 * The three belong in three places: whoever has vault/ and keys/ can read cards, and whoever has
 * keys/ can be any process. `restore` takes each from wherever it lies.
 *
 * What is written is what was true at one moment, though payments go on. The book of the network is
 * locked against writing for the few milliseconds in which both it and Postgres give a snapshot of
 * themselves. What the network had done by then, Postgres knew of, because nothing is asked of the
 * network that is not durable first; and what Postgres knew to be done, the network had done.
 * Between the two there may be attempts whose outcome Postgres did not know yet: they are resolved
 * by whoever is brought back, as after a crash. Tokens are never changed and never deleted, so the
 * vault is written last, and has every card that the books name. */
#pragma once

#include "process.h"
#include "settings.h"

/* What `./florin backup` says when it is done. Dies with a sentence, and then there is no manifest.
 */
void backup_make(const char *home, const struct settings *settings, const struct storage *storage,
                 const char *folder, bool json);

struct restore {
    const char *folder;
    const char *keys, *vault; /* NULL: in the folder */
};
/* Looks at all of it before anything is made. Dies with a sentence. */
void restore_check(const struct restore *r);
/* Into a home whose lock is ours. Starts Postgres alone, and ends it. Dies with a sentence; then a
 * file HOME/restoring stays, and nothing will start there. */
void restore_home(const struct restore *r, const char *home, struct processes *processes);
bool restore_is_unfinished(const char *home);
