/* journal: reads what the simulated network has done, one reference after the other, while the
 * network goes on or when it is down. For the audit: what it holds and took must be what we booked.
 *
 *     char error[256];
 *     struct network_journal *journal = network_journal_open(home, error, sizeof error);
 *     struct network_record record;
 *     while (network_journal_next(journal, &record)) …
 *     network_journal_close(&journal);
 *
 * It sees one moment: what is written meanwhile is not in it. At most one per process, and not in
 * the process of the network itself. */
#pragma once

#include "record.h"

struct network_journal;

/* NULL when there is none or it cannot be read, with one sentence in `error`. */
struct network_journal *network_journal_open(const char *home, char *error, size_t error_size);
/* The next reference, in byte order. False at the end; network_journal_failed tells whether it is
 * the true end. */
MUST_USE bool network_journal_next(struct network_journal *journal, struct network_record *record);
bool network_journal_failed(const struct network_journal *journal);
void network_journal_close(struct network_journal **journal_p);

/* Folder of the journal, HOME/network. */
void network_journal_folder(const char *home, char *out, size_t cap);
/* As large as it can ever become: address space, not memory and not disk. */
#define NETWORK_JOURNAL_BYTES_MAX ((size_t)64 << 30)
