#include "schedule.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELAY_MAX_S (30 * 24 * 3600L)

bool
schedule_read(const char *words, int64_t jitter_percent, struct schedule *schedule, char *error,
              size_t error_size)
{
    assert(jitter_percent >= 0 && jitter_percent <= 100);
    memset(schedule, 0, sizeof *schedule);
    schedule->jitter_percent = jitter_percent;

    const char *at = words;
    while (*(at += strspn(at, " "))) {
        char *end;
        errno = 0;
        const long seconds = strtol(at, &end, 10);
        if (end == at || (*end && *end != ' ') || errno || seconds > DELAY_MAX_S || *at < '0' ||
            *at > '9') {
            snprintf(error, error_size,
                     "webhook_retry_s: '%s' does not begin with a number of seconds from 0 to %ld",
                     at, DELAY_MAX_S);
            return false;
        }
        if (schedule->count == SCHEDULE_TRIES_MAX) {
            snprintf(error, error_size, "webhook_retry_s: there are more than %d delays",
                     SCHEDULE_TRIES_MAX);
            return false;
        }
        schedule->delay_ms[schedule->count++] = seconds * 1000;
        schedule->total_ms += seconds * 1000;
        at = end;
    }
    return true;
}

int64_t
schedule_next_ms(const struct schedule *schedule, int64_t tries, uint64_t chance,
                 int64_t retry_after_s)
{
    assert(tries >= 1);
    assert(retry_after_s >= 0);

    if ((uint64_t)tries > schedule->count) return -1;
    const int64_t delay_ms = schedule->delay_ms[tries - 1];
    const int64_t spread_ms = delay_ms * schedule->jitter_percent / 100;
    const int64_t own_ms = delay_ms + (int64_t)(chance % (uint64_t)(spread_ms + 1));
    int64_t asked_ms = SCHEDULE_RETRY_AFTER_MAX_MS;
    if (retry_after_s < SCHEDULE_RETRY_AFTER_MAX_MS / 1000) asked_ms = retry_after_s * 1000;
    return own_ms > asked_ms ? own_ms : asked_ms;
}
