#include "api_key.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static const struct {
    const char *row, *value;
    enum api_key_verdict verdict;
    const char *key;
} rows[] = {
    {"bearer", "Bearer sk_test_abc", API_KEY_OK, "sk_test_abc"},
    {"any case", "bEARER  sk_test_abc", API_KEY_OK, "sk_test_abc"},
    {"basic", "Basic c2tfdGVzdF9hYmM6", API_KEY_OK, "sk_test_abc"},
    {"live", "Bearer pk_live_x", API_KEY_OK, "pk_live_x"},
    {"restricted", "Bearer rk_test_x", API_KEY_OK, "rk_test_x"},
    {"not a key", "Bearer foo", API_KEY_INVALID, "foo"},
    {"only a prefix", "Bearer sk_test_", API_KEY_INVALID, "sk_test_"},
    {"a strange character", "Bearer sk_test_a-b", API_KEY_INVALID, "sk_test_a-b"},
    {"H77 no colon", "Basic c2tfdGVzdF9hYmM=", API_KEY_MALFORMED, ""},
    {"H77 bad base64", "Basic ???", API_KEY_MALFORMED, ""},
    {"H77 NUL", "Basic c2sAdGVzdDo=", API_KEY_MALFORMED, ""},
    {"basic without a user", "Basic Og==", API_KEY_ABSENT, ""},
    {"H78", "Bearer", API_KEY_MALFORMED, ""},
    {"H78", "Bearer ", API_KEY_ABSENT, ""},
    {"another scheme", "Digest abc", API_KEY_MALFORMED, ""},
    {"empty", "", API_KEY_MALFORMED, ""},
};

Test(api_key, keys_come_as_bearer_or_as_the_user_of_basic)
{
    char key[API_KEY_SIZE_MAX + 1];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect(eq(int, api_key_read(text_of(rows[i].value), key), rows[i].verdict), "%s",
                  rows[i].row);
        cr_expect(eq(str, key, (char *)rows[i].key), "%s", rows[i].row);
    }
    cr_expect(eq(int, api_key_read(NO_TEXT, key), API_KEY_ABSENT));
    char big[10300]; /* H77: 10 KiB */
    memset(big, 'A', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    memcpy(big, "Basic ", 6);
    cr_expect(eq(int, api_key_read(text_of(big), key), API_KEY_MALFORMED));
    memcpy(big, "Bearer", 6);
    big[6] = ' ';
    cr_expect(eq(int, api_key_read(text_of(big), key), API_KEY_MALFORMED));
}

Test(api_key, a_shown_key_is_masked)
{
    char out[64];
    api_key_mask("sk_test_foobar", out, sizeof out);
    cr_expect(eq(str, out, "sk_test_***oobar"));
    api_key_mask("secret", out, sizeof out);
    cr_expect(eq(str, out, "***"));
    api_key_mask("sk_test_abcdefghijklmnop", out, sizeof out);
    cr_expect(eq(str, out, "sk_test_***lmnop"));
}

Test(api_key, what_is_remembered_is_forgotten_in_time)
{
    struct api_key_cache *cache = api_key_cache_new();
    const uint8_t hash[API_KEY_HASH_BYTES] = {1, 2, 3}, other[API_KEY_HASH_BYTES] = {9, 2, 3};
    struct api_key key = {.known = true, .merchant = "acct_1"}, found;
    cr_expect(not(api_key_recall(cache, hash, 1000, &found)));
    api_key_remember(cache, hash, 1000, &key);
    cr_assert(api_key_recall(cache, hash, 10999, &found));
    cr_expect(eq(str, found.merchant, "acct_1"));
    cr_expect(not(api_key_recall(cache, other, 2000, &found)));
    cr_expect(not(api_key_recall(cache, hash, 11000, &found)));
    cr_expect(eq(str, (char *)(uintptr_t)api_key_last_merchant(cache, hash), "acct_1"));
    cr_expect(eq(ptr, (void *)(uintptr_t)api_key_last_merchant(cache, other), NULL));
    key.known = false;
    api_key_remember(cache, hash, 1000, &key);
    cr_expect(api_key_recall(cache, hash, 1999, &found));
    cr_expect(not(api_key_recall(cache, hash, 2000, &found)));
    cr_expect(eq(ptr, (void *)(uintptr_t)api_key_last_merchant(cache, hash), NULL));
    api_key_cache_destroy(&cache);
}
