/* secret_keys: API keys as they are made, shown once, and known to Florin by their keyed hash. */
#pragma once

#include "text.h"
#include <stdint.h>

#define API_KEY_MADE_SIZE 64

/* A new one: the prefix and 32 characters. */
void api_key_make(char out[static API_KEY_MADE_SIZE], const char *prefix);
/* As the gateway does it for every request: BLAKE2b-256 of the key under the pepper. Dies when
 * there is none. */
void api_key_hash(const char *home, const char *key, uint8_t hash[static 32]);
struct text api_key_last4(const char *key);
