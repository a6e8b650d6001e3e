/* backoff: when a process that died is started again. The first time at once; if it dies again
 * soon, after 50 ms, 100 ms, … 2 s; one that has lived for 3 s has earned the first time again:
 * what cannot work dies sooner, and to wait 2 s for the broker because it was killed every 7 s is
 * an outage of our own making. */
#pragma once

#include <stdint.h>

#define BACKOFF_LEAST_MS 50
#define BACKOFF_MOST_MS 2000
#define BACKOFF_FORGIVEN_MS 3000

/* Postgres refuses to start until the last backend of its dead postmaster has ended, which is a
 * matter of some tens of milliseconds or of seconds: so it is tried again soon, however often. */
#define BACKOFF_POSTGRES_MOST_MS 100

/* The wait before the next start, from the last wait (below zero: never waited) and how long the
 * process lived; at most `most_ms`. */
int64_t backoff_next(int64_t last_ms, int64_t lived_ms, int64_t most_ms);
