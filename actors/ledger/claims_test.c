#include "claims.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct fingerprint
key(int64_t number)
{
    char name[32];
    return fingerprint_of(
        0, TEXT("acct_1"),
        (struct text){name, (size_t)snprintf(name, 32, "k%lld", (long long)number)});
}

/* So many keys a batch; what came after claims_since() is there, whatever else is. */
static void
check_span(size_t kept, int64_t keys_a_batch, int64_t begins_at)
{
    struct claims *claims = claims_new(kept);
    int64_t last = 0;
    claims_clear(claims, begins_at);
    for (int64_t batch = begins_at + 1; batch < begins_at + 200; batch++) {
        for (int64_t i = 0; i < keys_a_batch; i++)
            claims_put(claims, key(last++), batch);
        const int64_t since = claims_since(claims);
        cr_assert_geq(since, begins_at);
        cr_assert_leq(since, batch);
        cr_assert(since == begins_at || (batch - since + 1) * keys_a_batch >= (int64_t)kept);
        cr_assert((batch - since - 1) * keys_a_batch <= 2 * (int64_t)kept);
        for (int64_t i = (since - begins_at) * keys_a_batch; i < last; i++)
            cr_assert(claims_have(claims, key(i)));
    }
    cr_expect_not(claims_have(claims, key(last)));
    claims_clear(claims, 1000);
    cr_expect_not(claims_have(claims, key(last - 1)));
    cr_expect_eq(claims_since(claims), 1000);
    claims_destroy(&claims);
    claims_destroy(&claims);
}

Test(claims, all_that_came_since_a_batch_is_there)
{
    check_span(1, 1, 0);
    check_span(10, 1, 7);
    check_span(10, 3, 7);
    check_span(64, 96, 0);
    check_span(100, 96, 0);
}

Test(claims, a_key_that_comes_again_counts_once)
{
    struct claims *claims = claims_new(2);
    claims_clear(claims, 0);
    claims_put(claims, key(1), 1);
    for (int64_t batch = 2; batch < 10; batch++)
        claims_put(claims, key(2), batch);
    cr_expect(claims_have(claims, key(1)));
    claims_destroy(&claims);
}
