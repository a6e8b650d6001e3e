#include "keyring.h"

#include "files.h"
#include "log.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
#define PLAIN_BYTES (1 + CARD_DIGITS_MAX + 1 + 2)
#define NAME_BYTES_MAX 63 /* merchant and token, as messages.def bounds them */

static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == SECRET_BYTES, "a key is 32 bytes");
static_assert(WRAPPED_KEY_BYTES == NONCE_BYTES + SECRET_BYTES + TAG_BYTES, "as etc/vault.sql says");
static_assert(SEALED_CARD_BYTES == NONCE_BYTES + PLAIN_BYTES + TAG_BYTES, "as etc/vault.sql says");

struct keyring {
    uint8_t master[SECRET_BYTES];
    uint8_t fingerprint[SECRET_BYTES];
};

/* --- the secrets -------------------------------------------------------------------------------
 */

static struct keyring *
keyring_make(void)
{
    struct keyring *keyring = sodium_malloc(sizeof *keyring);
    if (!keyring) die("There is no memory that can be locked for the vault's keys.");
    return keyring;
}

static void
read_secret(const char *home, const char *name, uint8_t out[static SECRET_BYTES + 1])
{
    if (secret_read(home, name, out, SECRET_BYTES + 1) != SECRET_BYTES)
        die("The secret %s/secrets/%s must be of %d bytes.", home, name, SECRET_BYTES);
    if (sodium_is_zero(out, SECRET_BYTES)) die("The secret %s/secrets/%s is all zero.", home, name);
}

struct keyring *
keyring_open(const char *home)
{
    uint8_t *master = sodium_malloc(SECRET_BYTES + 1);
    uint8_t *fingerprint = sodium_malloc(SECRET_BYTES + 1);
    if (!master || !fingerprint) die("There is no memory that can be locked for the vault's keys.");
    read_secret(home, "vault_master", master);
    read_secret(home, "vault_fingerprint", fingerprint);
    if (sodium_memcmp(master, fingerprint, SECRET_BYTES) == 0)
        die("vault_master and vault_fingerprint must not be the same secret.");
    struct keyring *keyring = keyring_new(master, fingerprint);
    sodium_free(master);
    sodium_free(fingerprint);
    return keyring;
}

struct keyring *
keyring_new(const uint8_t master[static SECRET_BYTES],
            const uint8_t fingerprint[static SECRET_BYTES])
{
    struct keyring *keyring = keyring_make();
    memcpy(keyring->master, master, SECRET_BYTES);
    memcpy(keyring->fingerprint, fingerprint, SECRET_BYTES);
    if (sodium_mprotect_readonly(keyring) != 0) die("The vault's keys cannot be made read-only.");
    return keyring;
}

void
keyring_destroy(struct keyring **keyring_p)
{
    sodium_free(*keyring_p); /* wipes */
    *keyring_p = NULL;
}

/* --- keyed hashes ------------------------------------------------------------------------------
 */

/* Every part is preceded by its length, so that no two lists of parts are the same bytes. */
static void
absorb(crypto_generichash_state *hash, const void *at, size_t size)
{
    const uint8_t length[2] = {(uint8_t)(size >> 8), (uint8_t)size};
    assert(size <= UINT16_MAX);
    crypto_generichash_update(hash, length, sizeof length);
    crypto_generichash_update(hash, at, size);
}

static void
hash_start(const struct keyring *keyring, const char *purpose, struct text merchant,
           const struct card *card, size_t out_bytes, crypto_generichash_state *hash)
{
    crypto_generichash_init(hash, keyring->fingerprint, SECRET_BYTES, out_bytes);
    absorb(hash, purpose, strlen(purpose));
    absorb(hash, merchant.at, merchant.size);
    absorb(hash, card->number, strlen(card->number));
}

void
keyring_fingerprint(const struct keyring *keyring, struct text merchant, const struct card *card,
                    char out[static FINGERPRINT_SIZE + 1])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    __extension__ typedef unsigned __int128 wide;
    uint8_t bytes[sizeof(wide)];
    crypto_generichash_state hash;
    hash_start(keyring, "fingerprint", merchant, card, sizeof bytes, &hash);
    crypto_generichash_final(&hash, bytes, sizeof bytes);

    wide number = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        number = number << 8 | bytes[i];
    for (size_t i = 0; i < FINGERPRINT_SIZE; i++, number /= 62)
        out[i] = digits[number % 62];
    out[FINGERPRINT_SIZE] = '\0';
    sodium_memzero(&hash, sizeof hash);
}

void
keyring_identity(const struct keyring *keyring, struct text merchant, const struct card *card,
                 uint8_t out[static IDENTITY_BYTES])
{
    const uint8_t expiry[] = {card->month, (uint8_t)(card->year >> 8), (uint8_t)card->year};
    crypto_generichash_state hash;
    hash_start(keyring, "identity", merchant, card, IDENTITY_BYTES, &hash);
    absorb(&hash, expiry, sizeof expiry);
    crypto_generichash_final(&hash, out, IDENTITY_BYTES);
    sodium_memzero(&hash, sizeof hash);
}

/* --- sealing -----------------------------------------------------------------------------------
 */

/* What a seal is bound to. */
struct bond {
    uint8_t bytes[16 + 4 + 2 * (1 + NAME_BYTES_MAX)];
    size_t size;
};

static void
bond_add(struct bond *bond, struct text text)
{
    assert(text.size <= NAME_BYTES_MAX);
    bond->bytes[bond->size++] = (uint8_t)text.size;
    memcpy(bond->bytes + bond->size, text.at, text.size);
    bond->size += text.size;
}

static struct bond
bond_of(const char purpose[static 16], struct text merchant, struct text token, int32_t key_version)
{
    struct bond bond = {.size = 20};
    memcpy(bond.bytes, purpose, 16);
    for (int i = 0; i < 4; i++)
        bond.bytes[16 + i] = (uint8_t)(key_version >> (24 - 8 * i));
    bond_add(&bond, merchant);
    bond_add(&bond, token);
    return bond;
}

static const char wrapping[16] = "florin card key";
static const char sealing[16] = "florin card v1";

/* `out` holds the nonce, then the sealed bytes and the tag. */
static void
seal(const uint8_t key[static SECRET_BYTES], const struct bond *bond, const uint8_t *plain,
     size_t size, uint8_t *out)
{
    randombytes_buf(out, NONCE_BYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE_BYTES, NULL, plain, size, bond->bytes,
                                               bond->size, NULL, out, key);
}

static bool
unseal(const uint8_t key[static SECRET_BYTES], const struct bond *bond, const uint8_t *sealed,
       size_t size, uint8_t *plain)
{
    return crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, sealed + NONCE_BYTES,
                                                      size - NONCE_BYTES, bond->bytes, bond->size,
                                                      sealed, key) == 0;
}

void
keyring_seal(const struct keyring *keyring, struct text merchant, struct text token,
             const struct card *card, struct sealed_card *out)
{
    /* Always of the same length, so that the sealed bytes do not tell how long the number is. */
    uint8_t key[SECRET_BYTES], plain[PLAIN_BYTES] = {0};
    const size_t digits = strlen(card->number);
    assert(digits >= CARD_DIGITS_MIN && digits <= CARD_DIGITS_MAX);
    plain[0] = (uint8_t)digits;
    memcpy(plain + 1, card->number, digits);
    plain[1 + CARD_DIGITS_MAX] = card->month;
    plain[2 + CARD_DIGITS_MAX] = (uint8_t)(card->year >> 8);
    plain[3 + CARD_DIGITS_MAX] = (uint8_t)card->year;

    randombytes_buf(key, sizeof key);
    const struct bond card_bond = bond_of(sealing, merchant, token, KEY_VERSION);
    const struct bond key_bond = bond_of(wrapping, merchant, token, KEY_VERSION);
    out->key_version = KEY_VERSION;
    seal(key, &card_bond, plain, sizeof plain, out->sealed);
    seal(keyring->master, &key_bond, key, sizeof key, out->wrapped_key);
    sodium_memzero(key, sizeof key);
    sodium_memzero(plain, sizeof plain);
}

/* What was sealed here is well formed; still nothing is taken on its word. */
static bool
card_read(const uint8_t plain[static PLAIN_BYTES], struct card *card)
{
    const size_t digits = plain[0];
    if (digits < CARD_DIGITS_MIN || digits > CARD_DIGITS_MAX) return false;
    memcpy(card->number, plain + 1, digits);
    card->number[digits] = '\0';
    card->month = plain[1 + CARD_DIGITS_MAX];
    card->year = (uint16_t)(plain[2 + CARD_DIGITS_MAX] << 8 | plain[3 + CARD_DIGITS_MAX]);
    card->brand = card_brand_of((struct text){card->number, digits});
    return card->month >= 1 && card->month <= 12;
}

bool
keyring_unseal(const struct keyring *keyring, struct text merchant, struct text token,
               const struct sealed_card *sealed, struct card *card)
{
    uint8_t key[SECRET_BYTES], plain[PLAIN_BYTES];
    const struct bond card_bond = bond_of(sealing, merchant, token, sealed->key_version);
    const struct bond key_bond = bond_of(wrapping, merchant, token, sealed->key_version);
    sodium_memzero(card, sizeof *card);
    const bool opened =
        sealed->key_version == KEY_VERSION &&
        unseal(keyring->master, &key_bond, sealed->wrapped_key, WRAPPED_KEY_BYTES, key) &&
        unseal(key, &card_bond, sealed->sealed, SEALED_CARD_BYTES, plain) && card_read(plain, card);
    if (!opened) sodium_memzero(card, sizeof *card);
    sodium_memzero(key, sizeof key);
    sodium_memzero(plain, sizeof plain);
    return opened;
}
