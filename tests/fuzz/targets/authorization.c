/* authorization: a key that is read has the letters of a key, whatever stood around it; and the
 * form in which it is shown to whoever sent it holds no more than its beginning and its last
 * letters. */
#include "api_key.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char key[API_KEY_SIZE_MAX + 1], shown[64];
    memset(key, 'x', sizeof key);
    const enum api_key_verdict verdict = api_key_read((struct text){(const char *)data, size}, key);
    MUST_HOLD(memchr(key, '\0', sizeof key));
    api_key_mask(key, shown, sizeof shown);
    MUST_HOLD(memchr(shown, '\0', sizeof shown));
    for (const char *c = shown; *c; c++)
        MUST_HOLD(*c > 0x20 && *c < 0x7f);
    if (verdict == API_KEY_OK) {
        MUST_HOLD(strlen(key) > 8 && key[2] == '_' && key[7] == '_');
        MUST_HOLD(strspn(key, "0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") ==
                  strlen(key));
        if (strlen(key) > 30) MUST_HOLD(!strstr(shown, key + 8));
    }
    return 0;
}
