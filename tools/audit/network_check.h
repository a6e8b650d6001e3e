/* network_check: our attempts beside the card network's own journal, one by one. */
#pragma once

#include "findings.h"
#include <libpq-fe.h>

/* The `conns`, one for each partition, are in their snapshots, which were taken after `snapshot_ms`
 * (wall): what the network has done since then is not held against us. False, with a sentence in
 * `error`, when one of the two cannot be read. A journal that is not there yet holds nothing. */
bool network_check(const char *home, PGconn *const conns[], int count, int64_t snapshot_ms,
                   struct findings *findings, char *error, size_t error_size);
