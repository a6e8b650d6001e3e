/* endpoints: who may be sent something now. One slow, dead or very busy endpoint never holds up
 * another.
 *
 * - An endpoint has a share: how many deliveries may be under way to it at once. It begins with
 * one, doubles with each success up to settings.webhook_per_endpoint, and falls back to one with a
 *   failure.
 * - After a failure nothing is sent to it for a while, doubling from a quarter of a second to half
 * a minute as long as nothing succeeds. Ten thousand deliveries that are due at a dead endpoint
 * cost one try per half minute, and no look at the table.
 * - An endpoint is trusted when its last try succeeded and it has answered something within the
 *   last second of being asked. The trusted have slots of their own, so that however many others
 *   hang, they find room.
 *
 * This is memory and arithmetic alone; it may be lost at any time. What is due stands in the table
 * `delivery`; `look_at` only says when it is worth looking there. */
#pragma once

#include "must_use.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENDPOINT_ID_MAX 63
#ifndef ENDPOINTS_KNOWN_MAX      /* the simulator makes it small */
#define ENDPOINTS_KNOWN_MAX 8192 /* at once; others are found by a later scan of the table */
#endif
#ifndef TRUSTED_SLOTS     /* so it makes these */
#define TRUSTED_SLOTS 128 /* under way to endpoints that are trusted */
#define OTHER_SLOTS 128   /* to all others, when one more is to be started */
#endif
/* Those that were trusted when they were started and hang now count with the others. */
#define DELIVERY_SLOTS (TRUSTED_SLOTS + OTHER_SLOTS + TRUSTED_SLOTS)
#define SLOW_AFTER_MS 1000
#define HOLD_FIRST_MS 250
#define HOLD_MAX_MS 30000
#define NEVER_MS INT64_MAX

struct endpoints;

/* The wall's clock for what the table says, the monotonic one for waiting. */
struct moment {
    int64_t wall_ms, mono_ms;
};

/* Take at most `count` due deliveries of this endpoint. */
struct endpoint_want {
    char endpoint[ENDPOINT_ID_MAX + 1];
    int count;
};

struct endpoints *endpoints_new(int share_max);
void endpoints_destroy(struct endpoints **endpoints_p);

/* Something is due there at that (wall) time, or may be. */
void endpoints_work(struct endpoints *endpoints, const char *endpoint, int64_t at_wall_ms);

/* Fills at most `max` wants, another endpoint first each time; never more than there are slots. */
MUST_USE size_t endpoints_pick(struct endpoints *endpoints, struct moment now,
                               struct endpoint_want *wants, size_t max);
/* What came of a want: when it was less than asked for, there is no more for now. */
void endpoints_found(struct endpoints *endpoints, const struct endpoint_want *want, int found);

void endpoints_started(struct endpoints *endpoints, const char *endpoint, struct moment now);
/* `stay_away_ms`: how long the endpoint asked to be left alone (Retry-After), 0 when it did not. */
void endpoints_ended(struct endpoints *endpoints, const char *endpoint, bool delivered,
                     int64_t stay_away_ms, struct moment now);

/* Milliseconds until endpoints_pick could have something, NEVER_MS when only an event can change
 * that. */
int64_t endpoints_wait_ms(const struct endpoints *endpoints, struct moment now);
int endpoints_under_way(const struct endpoints *endpoints);
