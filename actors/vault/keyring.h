/* keyring: the two secrets of the vault, and all that is done with them.
 *
 * A card is sealed under a key of its own, and that key under the master key (an envelope: a new
 * master key means wrapping the small keys again, and a card whose small key is gone is gone). Both
 * seals are XChaCha20-Poly1305 and bear merchant, token and key version as associated data: a
 * sealed card that is moved to another row, merchant or version does not open.
 *
 * Fingerprint and identity are keyed hashes under the second secret. A plain hash of a card number
 * can be tried out in an hour; these cannot without the key. */
#pragma once

#include "card.h"
#include "must_use.h"
#include "text.h"
#include <stdbool.h>
#include <stdint.h>

#define SECRET_BYTES 32
#define IDENTITY_BYTES 32
#define FINGERPRINT_SIZE 16 /* characters of base 62 */

#define WRAPPED_KEY_BYTES (24 + 32 + 16) /* nonce, key, tag */
#define SEALED_CARD_BYTES (24 + 23 + 16) /* nonce, number and expiry at their widest, tag */
#define KEY_VERSION 1                    /* of the master key in use */

struct keyring;

/* A card as it may be written to disk. */
struct sealed_card {
    int32_t key_version;
    uint8_t wrapped_key[WRAPPED_KEY_BYTES];
    uint8_t sealed[SEALED_CARD_BYTES];
};

/* From HOME/secrets; dies with a sentence when they are not there, not ours or not 32 bytes. */
struct keyring *keyring_open(const char *home);
/* Copies the secrets into memory that is locked and walled in. */
struct keyring *keyring_new(const uint8_t master[static SECRET_BYTES],
                            const uint8_t fingerprint[static SECRET_BYTES]);
void keyring_destroy(struct keyring **keyring_p);

/* The same for the same number within one merchant, whatever its expiry. */
void keyring_fingerprint(const struct keyring *keyring, struct text merchant,
                         const struct card *card, char out[static FINGERPRINT_SIZE + 1]);
/* The same for the same number and expiry within one merchant. */
void keyring_identity(const struct keyring *keyring, struct text merchant, const struct card *card,
                      uint8_t out[static IDENTITY_BYTES]);

/* Seals number and expiry. The security code is not part of it: it is never written. */
void keyring_seal(const struct keyring *keyring, struct text merchant, struct text token,
                  const struct card *card, struct sealed_card *out);
/* Fills `card`, without a code. False, with `card` cleared, when one bit of anything differs. */
MUST_USE bool keyring_unseal(const struct keyring *keyring, struct text merchant, struct text token,
                             const struct sealed_card *sealed, struct card *card);
