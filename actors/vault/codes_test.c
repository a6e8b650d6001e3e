#include "codes.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <sodium.h>
#include <string.h>

static const uint8_t mine[IDENTITY_BYTES] = {1};
static const uint8_t yours[IDENTITY_BYTES] = {2};

static struct codes *
codes_of(uint32_t capacity)
{
    cr_assert(sodium_init() >= 0);
    return codes_new(capacity);
}

static bool
take(struct codes *codes, const char *handle, const uint8_t *identity, int64_t now, char *code)
{
    return codes_take(codes, text_of(handle), identity, now, code);
}

Test(codes, a_code_is_handed_out_once_and_for_its_own_card)
{
    struct codes *codes = codes_of(4);
    char handle[CODE_HANDLE_SIZE + 1], code[CARD_CODE_DIGITS_MAX + 1];
    cr_expect(not(codes_keep(codes, mine, "123", 0, handle)));
    cr_expect(eq(sz, strlen(handle), CODE_HANDLE_SIZE));
    cr_expect(not(take(codes, handle, yours, 1, code)));
    cr_expect(eq(str, code, (char *)""));
    cr_expect(take(codes, handle, mine, 1, code));
    cr_expect(eq(str, code, (char *)"123"));
    cr_expect(not(take(codes, handle, mine, 1, code)));
    cr_expect(eq(str, code, (char *)""));
    cr_expect(zero(u32, codes_count(codes)));
    codes_destroy(&codes);
    codes_destroy(&codes);
}

Test(codes, a_handle_that_is_not_ours_is_nobodys)
{
    struct codes *codes = codes_of(4);
    char handle[CODE_HANDLE_SIZE + 1], code[CARD_CODE_DIGITS_MAX + 1];
    cr_expect(not(codes_keep(codes, mine, "123", 0, handle)));
    cr_expect(not(codes_take(codes, NO_TEXT, mine, 0, code)));
    cr_expect(not(take(codes, "", mine, 0, code)));
    cr_expect(not(take(codes, "cvc_", mine, 0, code)));
    cr_expect(not(take(codes, "cvc_000400000000000000000000", mine, 0, code)));
    cr_expect(not(take(codes, "cvc_vvvv00000000000000000000", mine, 0, code)));
    cr_expect(not(take(codes, "cvc_zzzz00000000000000000000", mine, 0, code)));
    for (size_t i = 0; i < CODE_HANDLE_SIZE; i++) {
        char other[CODE_HANDLE_SIZE + 1];
        memcpy(other, handle, sizeof other);
        other[i] ^= 1;
        cr_expect(not(take(codes, other, mine, 0, code)), "%s", other);
    }
    cr_expect(take(codes, handle, mine, 0, code));
    codes_destroy(&codes);
}

Test(codes, after_fifteen_minutes_a_code_is_gone)
{
    struct codes *codes = codes_of(4);
    char handle[CODE_HANDLE_SIZE + 1], later[CODE_HANDLE_SIZE + 1], code[CARD_CODE_DIGITS_MAX + 1];
    cr_expect(not(codes_keep(codes, mine, "123", 1000, handle)));
    cr_expect(not(codes_keep(codes, mine, "4567", 2000, later)));
    cr_expect(not(take(codes, handle, mine, 1000 + CODE_LIFETIME_MS, code)));
    cr_expect(take(codes, later, mine, 1000 + CODE_LIFETIME_MS, code));
    cr_expect(eq(str, code, (char *)"4567"));
    codes_destroy(&codes);
}

Test(codes, when_it_is_full_the_oldest_goes)
{
    struct codes *codes = codes_of(3);
    char handles[5][CODE_HANDLE_SIZE + 1], code[CARD_CODE_DIGITS_MAX + 1];
    for (int i = 0; i < 3; i++)
        cr_expect(not(codes_keep(codes, mine, "123", i, handles[i])));
    cr_expect(take(codes, handles[1], mine, 3, code));
    cr_expect(not(codes_keep(codes, mine, "123", 4, handles[3])));
    cr_expect(codes_keep(codes, mine, "123", 5, handles[4]), "the limit is reached");
    cr_expect(not(take(codes, handles[0], mine, 6, code)));
    cr_expect(take(codes, handles[2], mine, 6, code));
    cr_expect(take(codes, handles[3], mine, 6, code));
    cr_expect(take(codes, handles[4], mine, 6, code));
    cr_expect(zero(u32, codes_count(codes)));
    codes_destroy(&codes);
}

/* Many turns of keeping and taking in no order: the lists stay whole, or a code is lost. */
Test(codes, places_are_used_again_and_again)
{
    enum { PLACES = 7, ROUNDS = 2000 };
    struct codes *codes = codes_of(PLACES);
    char handles[PLACES][CODE_HANDLE_SIZE + 1] = {{0}}, code[CARD_CODE_DIGITS_MAX + 1];
    uint32_t kept = 0;
    for (int round = 0; round < ROUNDS; round++) {
        char *handle = handles[randombytes_uniform(PLACES)];
        if (*handle) {
            cr_assert(take(codes, handle, mine, round, code));
            *handle = '\0';
            kept--;
        } else {
            cr_assert(not(codes_keep(codes, mine, "123", round, handle)));
            kept++;
        }
        cr_assert(eq(u32, codes_count(codes), kept));
    }
    codes_destroy(&codes);
}
