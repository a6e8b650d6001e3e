/* store_inside: what the files of the store share. */
#pragma once

#include "cache.h"
#include "question.h"
#include "store_keep.h"

#ifndef KEYS_MAX /* the simulator makes it small */
#define KEYS_MAX 1024
#endif

/* An API key that was looked up a moment ago. Not long: it may be revoked. */
struct known_key {
    uint8_t hash[32];
    int64_t until_ms;
    char id[64], merchant[64];
    char permissions[1024];
    bool publishable, livemode, restricted;
};

struct store {
    struct database *database; /* NULL: memory is all there is */
    struct cache *cache;
    struct known_key keys[KEYS_MAX]; /* a place per hash; a newer one takes it over */
};
