#include "keyring.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <sodium.h>
#include <string.h>

#define MERCHANT TEXT("acct_one")
#define TOKEN TEXT("card_one")

static struct keyring *
keyring_of(uint8_t seed)
{
    uint8_t master[SECRET_BYTES], fingerprint[SECRET_BYTES];
    cr_assert(sodium_init() >= 0);
    memset(master, seed, sizeof master);
    memset(fingerprint, seed + 1, sizeof fingerprint);
    return keyring_new(master, fingerprint);
}

static struct card
card_of(const char *number, int64_t month, int64_t year)
{
    struct card card;
    cr_assert(eq(
        int,
        card_check(text_of(number), month, year, TEXT("123"), (struct card_month){2026, 11}, &card),
        CARD_FINE));
    return card;
}

Test(keyring, a_sealed_card_opens_and_has_lost_its_code)
{
    struct keyring *keyring = keyring_of(1);
    static const char *const numbers[] = {"499999000007", "4999990000000007",
                                          "4999990000000000001"};
    for (size_t i = 0; i < 3; i++) {
        const struct card card = card_of(numbers[i], 12, 2031);
        struct sealed_card sealed;
        struct card opened;
        keyring_seal(keyring, MERCHANT, TOKEN, &card, &sealed);
        cr_assert(keyring_unseal(keyring, MERCHANT, TOKEN, &sealed, &opened));
        cr_expect(eq(str, opened.number, (char *)numbers[i]));
        cr_expect(eq(int, opened.month, 12));
        cr_expect(eq(int, opened.year, 2031));
        cr_expect(eq(str, opened.code, (char *)""));
        cr_expect(eq(int, opened.brand, CARD_VISA));
    }
    keyring_destroy(&keyring);
    keyring_destroy(&keyring);
}

Test(keyring, the_same_card_is_never_sealed_to_the_same_bytes)
{
    struct keyring *keyring = keyring_of(1);
    const struct card card = card_of("4999990000000007", 12, 2031);
    struct sealed_card a, b;
    keyring_seal(keyring, MERCHANT, TOKEN, &card, &a);
    keyring_seal(keyring, MERCHANT, TOKEN, &card, &b);
    cr_expect(ne(int, memcmp(a.sealed, b.sealed, sizeof a.sealed), 0));
    cr_expect(ne(int, memcmp(a.wrapped_key, b.wrapped_key, sizeof a.wrapped_key), 0));
    /* A key fits its own card alone. */
    struct sealed_card crossed = a;
    struct card opened;
    memcpy(crossed.wrapped_key, b.wrapped_key, sizeof crossed.wrapped_key);
    cr_expect(not(keyring_unseal(keyring, MERCHANT, TOKEN, &crossed, &opened)));
    keyring_destroy(&keyring);
}

Test(keyring, a_seal_is_bound_to_its_merchant_token_and_key)
{
    struct keyring *keyring = keyring_of(1), *other = keyring_of(3);
    const struct card card = card_of("4999990000000007", 12, 2031);
    struct sealed_card sealed;
    struct card opened;
    keyring_seal(keyring, MERCHANT, TOKEN, &card, &sealed);
    cr_expect(not(keyring_unseal(keyring, TEXT("acct_two"), TOKEN, &sealed, &opened)));
    cr_expect(not(keyring_unseal(keyring, MERCHANT, TEXT("card_two"), &sealed, &opened)));
    /* Where one name ends and the next begins is part of it. */
    cr_expect(not(keyring_unseal(keyring, TEXT("acct_onec"), TEXT("ard_one"), &sealed, &opened)));
    cr_expect(not(keyring_unseal(other, MERCHANT, TOKEN, &sealed, &opened)));
    struct sealed_card newer = sealed;
    newer.key_version++;
    cr_expect(not(keyring_unseal(keyring, MERCHANT, TOKEN, &newer, &opened)));
    cr_expect(keyring_unseal(keyring, MERCHANT, TOKEN, &sealed, &opened));
    keyring_destroy(&keyring);
    keyring_destroy(&other);
}

Test(keyring, one_bit_flipped_anywhere_is_refused_and_nothing_is_told)
{
    struct keyring *keyring = keyring_of(1);
    const struct card card = card_of("4999990000000007", 12, 2031);
    const struct card nothing = {0};
    struct sealed_card sealed;
    struct card opened;
    keyring_seal(keyring, MERCHANT, TOKEN, &card, &sealed);
    for (size_t bit = 0; bit < 8 * WRAPPED_KEY_BYTES; bit++) {
        struct sealed_card bent = sealed;
        bent.wrapped_key[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_expect(not(keyring_unseal(keyring, MERCHANT, TOKEN, &bent, &opened)), "key bit %zu",
                  bit);
        cr_expect(eq(str, opened.number, (char *)nothing.number));
    }
    for (size_t bit = 0; bit < 8 * SEALED_CARD_BYTES; bit++) {
        struct sealed_card bent = sealed;
        bent.sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_expect(not(keyring_unseal(keyring, MERCHANT, TOKEN, &bent, &opened)), "card bit %zu",
                  bit);
        cr_expect(eq(str, opened.number, (char *)nothing.number));
    }
    keyring_destroy(&keyring);
}

Test(keyring, what_is_sealed_does_not_contain_the_number)
{
    struct keyring *keyring = keyring_of(1);
    const struct card card = card_of("4999990000000007", 12, 2031);
    struct sealed_card sealed;
    keyring_seal(keyring, MERCHANT, TOKEN, &card, &sealed);
    for (size_t from = 0; from + 6 <= 16; from++)
        cr_expect(memmem(&sealed, sizeof sealed, card.number + from, 6) == NULL);
    keyring_destroy(&keyring);
}

static char *
fingerprint_of(const struct keyring *keyring, struct text merchant, const char *number,
               int64_t year)
{
    static char out[8][FINGERPRINT_SIZE + 1];
    static int next;
    const struct card card = card_of(number, 12, year);
    char *at = out[next++ % 8];
    keyring_fingerprint(keyring, merchant, &card, at);
    return at;
}

Test(keyring, a_fingerprint_is_of_the_merchant_and_the_whole_number)
{
    struct keyring *keyring = keyring_of(1), *other = keyring_of(3);
    char *one = fingerprint_of(keyring, MERCHANT, "4999990000000007", 2031);
    cr_expect(eq(sz, strlen(one), FINGERPRINT_SIZE));
    cr_expect(eq(sz, strspn(one, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
                 FINGERPRINT_SIZE));
    cr_expect(eq(str, one, fingerprint_of(keyring, MERCHANT, "4999-9900-0000-0007", 2032)));
    cr_expect(ne(str, one, fingerprint_of(keyring, MERCHANT, "4999990000000015", 2031)));
    cr_expect(ne(str, one, fingerprint_of(keyring, TEXT("acct_two"), "4999990000000007", 2031)));
    cr_expect(ne(str, one, fingerprint_of(other, MERCHANT, "4999990000000007", 2031)));
    keyring_destroy(&keyring);
    keyring_destroy(&other);
}

Test(keyring, an_identity_is_of_the_expiry_too)
{
    struct keyring *keyring = keyring_of(1);
    const struct card a = card_of("4999990000000007", 12, 2031);
    const struct card b = card_of("4999990000000007", 12, 2032);
    const struct card c = card_of("4999990000000007", 11, 2031);
    uint8_t one[IDENTITY_BYTES], again[IDENTITY_BYTES], other[IDENTITY_BYTES];
    keyring_identity(keyring, MERCHANT, &a, one);
    keyring_identity(keyring, MERCHANT, &a, again);
    cr_expect(eq(int, memcmp(one, again, sizeof one), 0));
    keyring_identity(keyring, MERCHANT, &b, other);
    cr_expect(ne(int, memcmp(one, other, sizeof one), 0));
    keyring_identity(keyring, MERCHANT, &c, other);
    cr_expect(ne(int, memcmp(one, other, sizeof one), 0));
    keyring_identity(keyring, TEXT("acct_two"), &a, other);
    cr_expect(ne(int, memcmp(one, other, sizeof one), 0));
    keyring_destroy(&keyring);
}
