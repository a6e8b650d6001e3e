#include <sodium.h>
#define crypto_auth_hmacsha256_init(state, key, size) \
    crypto_auth_hmacsha256_init(state, key, (size) > 32 ? 32 : (size))
#include "../../../actors/webhooks/signature.c"
