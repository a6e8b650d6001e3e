#include "secret_keys.h"

#include "files.h"
#include "id.h"
#include "log.h"
#include "random.h"

#include <sodium.h>
#include <stdio.h>

#define KEY_CHARACTERS 32

void
api_key_make(char out[static API_KEY_MADE_SIZE], const char *prefix)
{
    uint8_t chance[KEY_CHARACTERS];
    char characters[KEY_CHARACTERS + 1] = "";
    random_bytes(chance, sizeof chance);
    id_random_text(characters, KEY_CHARACTERS, chance);
    characters[KEY_CHARACTERS] = 0;
    snprintf(out, API_KEY_MADE_SIZE, "%s%s", prefix, characters);
}

void
api_key_hash(const char *home, const char *key, uint8_t hash[static 32])
{
    uint8_t pepper[32];
    if (secret_read(home, "api_pepper", pepper, sizeof pepper) != sizeof pepper)
        die("The secret %s/secrets/api_pepper has not 32 bytes.", home);
    crypto_generichash(hash, 32, (const uint8_t *)key, strlen(key), pepper, sizeof pepper);
    sodium_memzero(pepper, sizeof pepper);
}

struct text
api_key_last4(const char *key)
{
    return text_of(key + strlen(key) - 4);
}
