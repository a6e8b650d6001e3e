#include "kept.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>

static const uint8_t secret[KEPT_SECRET_BYTES] = "a secret of thirty-two bytes ...";
static const uint8_t other[KEPT_SECRET_BYTES] = "another one of thirty-two bytes";

#define T(literal)                   \
    {                                \
        literal, sizeof(literal) - 1 \
    }
static const struct kept kept = {
    T("acct_1"), T("key"), T("hash"), T("POST /v1/x"), 200, T("{\"id\":\"pi_1\"}"), T("req_1")};

Test(kept, what_was_kept_comes_back)
{
    struct arena *arena = arena_new(1 << 20);
    struct kept back;
    const struct text bytes = kept_pack(secret, &kept, arena);
    cr_assert(kept_unpack(secret, bytes, kept.merchant, kept.key, &back));
    cr_expect(text_equal(back.body, kept.body));
    cr_expect(text_equal(back.path, kept.path));
    cr_expect(text_equal(back.request_hash, kept.request_hash));
    cr_expect(text_equal(back.original_request, kept.original_request));
    cr_expect(eq(i64, back.status, 200));
    arena_destroy(&arena);
}

Test(kept, what_another_wrote_or_another_asks_for_is_nothing)
{
    struct arena *arena = arena_new(1 << 20);
    struct kept back;
    const struct text bytes = kept_pack(secret, &kept, arena);
    cr_expect(not(kept_unpack(other, bytes, kept.merchant, kept.key, &back)));
    cr_expect(not(kept_unpack(secret, bytes, text_of("acct_2"), kept.key, &back)));
    cr_expect(not(kept_unpack(secret, bytes, kept.merchant, text_of("kez"), &back)));
    for (size_t i = 0; i < bytes.size; i++) {
        char *bent = malloc(bytes.size);
        memcpy(bent, bytes.at, bytes.size);
        bent[i] ^= 1;
        cr_expect(not(
            kept_unpack(secret, (struct text){bent, bytes.size}, kept.merchant, kept.key, &back)));
        cr_expect(
            not(kept_unpack(secret, (struct text){bytes.at, i}, kept.merchant, kept.key, &back)));
        free(bent);
    }
    arena_destroy(&arena);
}

Test(kept, names_differ_by_merchant_and_by_key_and_tell_neither)
{
    char a[KEPT_NAME_SIZE], b[KEPT_NAME_SIZE], c[KEPT_NAME_SIZE];
    kept_name(secret, text_of("acct_1"), text_of("k"), a);
    kept_name(secret, text_of("acct_2"), text_of("k"), b);
    kept_name(secret, text_of("acct_1"), text_of("l"), c);
    cr_expect(strcmp(a, b) != 0);
    cr_expect(strcmp(a, c) != 0);
    cr_expect(eq(ptr, strstr(a, "acct"), NULL));
}
