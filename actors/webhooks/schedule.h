/* schedule: when a delivery that failed is tried again. */
#pragma once

#include "must_use.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEDULE_TRIES_MAX 64
/* However long an endpoint asks us to stay away (Retry-After), we come back within a day. */
#define SCHEDULE_RETRY_AFTER_MAX_MS (24 * 3600 * INT64_C(1000))

struct schedule {
    int64_t delay_ms[SCHEDULE_TRIES_MAX];
    size_t count;           /* how many further tries there are after the first */
    int64_t jitter_percent; /* by how much each delay may be lengthened */
    int64_t total_ms;       /* all delays together, unlengthened */
};

/* Reads settings.webhook_retry_s: whole seconds with spaces between them, each at most 30 days.
 * False with a sentence in `error` when it is anything else. */
MUST_USE bool schedule_read(const char *words, int64_t jitter_percent, struct schedule *schedule,
                            char *error, size_t error_size);

/* Milliseconds until the next try after `tries` have failed (at least one has), or -1 when that was
 * the last. `chance` is any random number. `retry_after_s` is what the endpoint asked for, 0 when
 * it did not: the later of the two counts. */
MUST_USE int64_t schedule_next_ms(const struct schedule *schedule, int64_t tries, uint64_t chance,
                                  int64_t retry_after_s);
