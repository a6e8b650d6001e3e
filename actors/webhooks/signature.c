#include "signature.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

void
signature_make(char out[static SIGNATURE_SIZE], struct text secret, int64_t unix_s,
               struct text body)
{
    assert(secret.at && body.at);
    assert(unix_s >= 0);

    char stamp[24];
    const int stamp_size = snprintf(stamp, sizeof stamp, "%" PRId64 ".", unix_s);
    assert(stamp_size > 0 && (size_t)stamp_size < sizeof stamp);

    /* The one-shot function takes keys of 32 bytes only; the secret has a length of its own. */
    crypto_auth_hmacsha256_state hmac;
    uint8_t digest[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_init(&hmac, (const unsigned char *)secret.at, secret.size);
    crypto_auth_hmacsha256_update(&hmac, (const unsigned char *)stamp,
                                  (unsigned long long)stamp_size);
    crypto_auth_hmacsha256_update(&hmac, (const unsigned char *)body.at, body.size);
    crypto_auth_hmacsha256_final(&hmac, digest);
    sodium_memzero(&hmac, sizeof hmac);

    char hex[2 * sizeof digest + 1];
    sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    const int size = snprintf(out, SIGNATURE_SIZE, "t=%" PRId64 ",v1=%s", unix_s, hex);
    assert(size > 0 && size < SIGNATURE_SIZE);
    (void)size;
}
