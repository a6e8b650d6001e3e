/* api_key: who is asking. Reads the key out of the Authorization header, knows it only by its keyed
 * hash, and remembers for some seconds what the workers said of it. */
#pragma once

#include "http_head.h"
#include "text.h"
#include <stdbool.h>
#include <stdint.h>

#define API_KEY_SIZE_MAX 255
#define API_KEY_HASH_BYTES 32

enum api_key_verdict {
    API_KEY_MALFORMED, /* the header is neither Bearer nor Basic as it should be */
    API_KEY_ABSENT,
    API_KEY_INVALID, /* it does not look like a key */
    API_KEY_OK,
};

/* Takes the key out of a header's value into `key`, which the caller wipes. */
enum api_key_verdict api_key_read(struct text authorization, char key[static API_KEY_SIZE_MAX + 1]);
/* "sk_test_***oobar": what may be shown to whoever sent it. */
void api_key_mask(const char *key, char *out, size_t cap);

/* What a key stands for. */
struct api_key {
    bool known, publishable, livemode;
    char merchant[64], version[64];
    bool restricted;
    char permissions[1024]; /* of a restricted key, as in permission.h */
};

struct api_key_cache;
/* Known keys are remembered for 10 s, unknown ones for 1 s; there is room for some tens of
 * thousands, and who comes later takes the place of who came before. */
struct api_key_cache *api_key_cache_new(void);
void api_key_cache_destroy(struct api_key_cache **cache_p);
bool api_key_recall(struct api_key_cache *cache, const uint8_t hash[static API_KEY_HASH_BYTES],
                    int64_t mono_ms, struct api_key *key);
/* Whose it was when it was last known, however long ago; NULL: it is not remembered. Says who is
 * best asked, and nothing of whether it is good. Valid until the next key is remembered. */
const char *api_key_last_merchant(struct api_key_cache *cache,
                                  const uint8_t hash[static API_KEY_HASH_BYTES]);
void api_key_remember(struct api_key_cache *cache, const uint8_t hash[static API_KEY_HASH_BYTES],
                      int64_t mono_ms, const struct api_key *key);
