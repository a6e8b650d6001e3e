#include "api_key.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

enum {
    SETS = 8192,
    WAYS = 4,
    PLACES = SETS * WAYS,
    KNOWN_MS = 10000,
    UNKNOWN_MS = 1000,
    SHOWN = 5
};

/* Any case, then at least one space. */
static bool
scheme_is(struct text *value, const char *scheme)
{
    const size_t size = strlen(scheme);
    if (value->size <= size || value->at[size] != ' ') return false;
    for (size_t i = 0; i < size; i++)
        if ((value->at[i] | 0x20) != scheme[i]) return false;
    for (value->at += size, value->size -= size; value->size && value->at[0] == ' '; value->size--)
        value->at++;
    return true;
}

/* sk, pk or rk; test or live; then letters, digits and underscores. */
static bool
looks_like_a_key(const char *key)
{
    static const char *const prefixes[] = {"sk_test_", "pk_test_", "rk_test_",
                                           "sk_live_", "pk_live_", "rk_live_"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        const size_t size = strlen(prefixes[i]);
        if (strncmp(key, prefixes[i], size) != 0 || !key[size]) continue;
        return strspn(key + size, "0123456789_abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(key + size);
    }
    return false;
}

static enum api_key_verdict
take(struct text text, char *key)
{
    if (text.size == 0) return API_KEY_ABSENT;
    if (text.size > API_KEY_SIZE_MAX || memchr(text.at, '\0', text.size)) return API_KEY_MALFORMED;
    memcpy(key, text.at, text.size);
    key[text.size] = '\0';
    return looks_like_a_key(key) ? API_KEY_OK : API_KEY_INVALID;
}

/* The key is the user name; there is no password. */
static enum api_key_verdict
take_basic(struct text encoded, char *key)
{
    uint8_t plain[2 * API_KEY_SIZE_MAX];
    size_t size;
    enum api_key_verdict verdict = API_KEY_MALFORMED;
    if (sodium_base642bin(plain, sizeof plain, encoded.at, encoded.size, NULL, &size, NULL,
                          sodium_base64_VARIANT_ORIGINAL) == 0) {
        const uint8_t *colon = memchr(plain, ':', size);
        if (colon) verdict = take((struct text){(const char *)plain, (size_t)(colon - plain)}, key);
    }
    sodium_memzero(plain, sizeof plain);
    return verdict;
}

enum api_key_verdict
api_key_read(struct text authorization, char key[static API_KEY_SIZE_MAX + 1])
{
    key[0] = '\0';
    if (!authorization.at) return API_KEY_ABSENT;
    if (scheme_is(&authorization, "bearer")) return take(authorization, key);
    if (scheme_is(&authorization, "basic")) return take_basic(authorization, key);
    return API_KEY_MALFORMED;
}

void
api_key_mask(const char *key, char *out, size_t cap)
{
    const size_t size = strlen(key);
    const bool has_prefix = looks_like_a_key(key);
    const size_t shown = size > SHOWN + 8 || has_prefix ? SHOWN : 0;
    const size_t tail = size < shown ? size : shown;
    size_t n = 0;
    assert(cap > 8 + 3);
    for (; has_prefix && n < 8; n++)
        out[n] = key[n];
    for (int stars = 0; stars < 3; stars++)
        out[n++] = '*';
    for (size_t i = size - tail; i < size && n + 1 < cap; i++) /* never what could be no ASCII */
        if (key[i] > 0x20 && key[i] < 0x7f) out[n++] = key[i];
    out[n] = '\0';
}

/* --- remembering
 * ------------------------------------------------------------------------------------ */

struct place {
    uint8_t hash[API_KEY_HASH_BYTES];
    int64_t until_ms; /* 0: empty */
    struct api_key key;
};

struct api_key_cache {
    struct place places[PLACES];
};

struct api_key_cache *
api_key_cache_new(void)
{
    struct api_key_cache *cache = calloc(1, sizeof *cache);
    assert(cache);
    return cache;
}

void
api_key_cache_destroy(struct api_key_cache **cache_p)
{
    if (!*cache_p) return;
    free(*cache_p);
    *cache_p = NULL;
}

/* Where the hash is, or where it would go: at the place of its set that is over first. With one
 * place for each a thousand keys met so often that a fifth of all requests asked a worker. The hash
 * is keyed, so nobody outside can aim at a set. */
static struct place *
place_of(struct api_key_cache *cache, const uint8_t *hash)
{
    struct place *set = &cache->places[((unsigned)hash[2] << 8 | hash[3]) % SETS * WAYS];
    struct place *first = set;
    for (struct place *place = set; place < set + WAYS; place++) {
        if (place->until_ms && memcmp(place->hash, hash, API_KEY_HASH_BYTES) == 0) return place;
        if (place->until_ms < first->until_ms) first = place;
    }
    return first;
}

bool
api_key_recall(struct api_key_cache *cache, const uint8_t hash[static API_KEY_HASH_BYTES],
               int64_t mono_ms, struct api_key *key)
{
    struct place *place = place_of(cache, hash);
    const bool found =
        place->until_ms > mono_ms && memcmp(place->hash, hash, API_KEY_HASH_BYTES) == 0;
    if (found) *key = place->key;
    return found;
}

const char *
api_key_last_merchant(struct api_key_cache *cache, const uint8_t hash[static API_KEY_HASH_BYTES])
{
    const struct place *place = place_of(cache, hash);
    const bool same = place->until_ms && memcmp(place->hash, hash, API_KEY_HASH_BYTES) == 0;
    return same && place->key.known ? place->key.merchant : NULL;
}

void
api_key_remember(struct api_key_cache *cache, const uint8_t hash[static API_KEY_HASH_BYTES],
                 int64_t mono_ms, const struct api_key *key)
{
    struct place *place = place_of(cache, hash);
    memcpy(place->hash, hash, API_KEY_HASH_BYTES);
    place->until_ms = mono_ms + (key->known ? KNOWN_MS : UNKNOWN_MS);
    place->key = *key;
}
