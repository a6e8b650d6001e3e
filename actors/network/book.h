/* book: the network's own store in LMDB, HOME/network: one record per reference.
 *
 * One write transaction per turn: what a turn reads it reads as its own writes left it, and all of
 * it is on disk when book_commit returns (group commit by fsync). A book that cannot be written
 * ends the process: nothing was answered, callers ask again. */
#pragma once

#include "record.h"

struct book;

/* Opens HOME/network, which is made if need be. Dies with a sentence when it cannot. */
struct book *book_open(const char *home);
void book_close(struct book **book_p); /* what was not committed is gone */

/* False, with `record` cleared, when the reference is not in the book. */
MUST_USE bool book_find(struct book *book, struct text reference, struct network_record *record);
void book_put(struct book *book, const struct network_record *record);
/* Makes the turn's writes durable; without any it costs nothing. */
void book_commit(struct book *book);
