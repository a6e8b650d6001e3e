/* signature: what we sign, a merchant's library verifies, whatever the body is; and a header, a
 * body or a secret with one byte changed it refuses. The verifying is written here as receivers do
 * it: the header is taken apart at commas and equals signs. The first byte of the input tells how
 * long the secret is, the second what is changed. */
#include "signature.h"
#include "fuzz.h"
#include <sodium.h>

static bool
verify(const char *header, struct text secret, struct text body, int64_t now_s)
{
    const char *v1 = NULL, *stamp = NULL;
    size_t v1_size = 0, stamp_size = 0;
    for (const char *at = header; *at;) {
        const char *end = at + strcspn(at, ",");
        const char *equals = memchr(at, '=', (size_t)(end - at));
        if (!equals) return false;
        if (equals - at == 1 && *at == 't')
            stamp = equals + 1, stamp_size = (size_t)(end - equals - 1);
        if (equals - at == 2 && memcmp(at, "v1", 2) == 0)
            v1 = equals + 1, v1_size = (size_t)(end - equals - 1);
        at = *end ? end + 1 : end;
    }
    if (!v1 || !stamp || stamp_size == 0 || stamp_size > 19 || v1_size != 64) return false;
    int64_t time = 0;
    for (size_t i = 0; i < stamp_size; i++) {
        if (stamp[i] < '0' || stamp[i] > '9') return false;
        time = time * 10 + (stamp[i] - '0');
    }
    if (time > now_s + 300 || time < now_s - 300) return false;

    crypto_auth_hmacsha256_state hmac;
    unsigned char digest[crypto_auth_hmacsha256_BYTES], said[sizeof digest];
    size_t said_size;
    crypto_auth_hmacsha256_init(&hmac, (const unsigned char *)secret.at, secret.size);
    crypto_auth_hmacsha256_update(&hmac, (const unsigned char *)stamp, stamp_size);
    crypto_auth_hmacsha256_update(&hmac, (const unsigned char *)".", 1);
    crypto_auth_hmacsha256_update(&hmac, (const unsigned char *)body.at, body.size);
    crypto_auth_hmacsha256_final(&hmac, digest);
    if (sodium_hex2bin(said, sizeof said, v1, v1_size, NULL, &said_size, NULL) != 0 ||
        said_size != sizeof said)
        return false;
    return sodium_memcmp(said, digest, sizeof digest) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t now_s = 1800000000;
    if (size < 4 || sodium_init() < 0) return 0;
    const size_t secret_size = 1 + data[0] % 64 < size - 3 ? 1 + data[0] % 64u : size - 3;
    char *secret = exact_copy(data + 2, secret_size);
    const size_t body_size = size - 2 - secret_size;
    char *body = exact_copy(data + 2 + secret_size, body_size);
    char header[SIGNATURE_SIZE];
    const struct text key = {secret, secret_size}, text = {body, body_size};
    signature_make(header, key, now_s + (data[1] % 301), text);
    MUST_HOLD(strlen(header) == 2 + 10 + 4 + 64);
    MUST_HOLD(verify(header, key, text, now_s));
    MUST_HOLD(!verify(header, key, text, now_s + 601));

    const size_t at = data[1] % strlen(header);
    char changed[SIGNATURE_SIZE];
    memcpy(changed, header, sizeof changed);
    changed[at] = (char)(changed[at] ^ 1);
    MUST_HOLD(!verify(changed, key, text, now_s));
    body[data[1] % body_size] ^= 1;
    MUST_HOLD(!verify(header, key, text, now_s));
    body[data[1] % body_size] ^= 1;
    secret[data[1] % secret_size] ^= 1;
    MUST_HOLD(!verify(header, key, text, now_s));
    free(secret);
    free(body);
    return 0;
}
