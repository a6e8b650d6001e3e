/* kept: Redis may lie. Bytes that we did not pack are not taken; what we packed is, for its
 * merchant and key alone, and not with any byte changed. */
#include "kept.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t secret[KEPT_SECRET_BYTES] = {1, 2, 3};
    const struct text merchant = TEXT("acct_1"), key = TEXT("order-1");
    struct kept kept;
    MUST_HOLD(!kept_unpack(secret, (struct text){(const char *)data, size}, merchant, key, &kept));
    if (size < 4) return 0;

    struct arena *arena = arena_new(1 << 20);
    const struct text bytes = {(const char *)data + 4, size - 4};
    const struct kept mine = {.merchant = merchant,
                              .key = key,
                              .request_hash = TEXT("hash"),
                              .path = TEXT("POST /v1/refunds"),
                              .status = 200 + data[0] % 200,
                              .body = bytes,
                              .original_request = TEXT("req_1")};
    const struct text packed = kept_pack(secret, &mine, arena);
    char *copy = exact_copy(packed.at, packed.size);
    const struct text lies = {copy, packed.size};
    MUST_HOLD(kept_unpack(secret, lies, merchant, key, &kept));
    MUST_HOLD(text_equal(kept.body, mine.body) && kept.status == mine.status);
    MUST_HOLD(!kept_unpack(secret, lies, TEXT("acct_2"), key, &kept));
    MUST_HOLD(!kept_unpack(secret, lies, merchant, TEXT("order-2"), &kept));
    const size_t at = (size_t)(data[1] << 8 | data[2]) % packed.size;
    copy[at] = (char)(copy[at] ^ (1 << data[3] % 8));
    MUST_HOLD(!kept_unpack(secret, lies, merchant, key, &kept));
    copy[at] = (char)(copy[at] ^ (1 << data[3] % 8));
    for (size_t part = 0; part < packed.size; part += 1 + packed.size / 8)
        MUST_HOLD(!kept_unpack(secret, (struct text){copy, part}, merchant, key, &kept));
    free(copy);
    arena_destroy(&arena);
    return 0;
}
