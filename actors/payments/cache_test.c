#include "cache.h"

#include "random.h"
#include <criterion/criterion.h>
#include <stdio.h>

static struct arena *arena;

static void
begin(void)
{
    random_start();
    arena = arena_new(1 << 20);
}

static void
end(void)
{
    arena_destroy(&arena);
}

TestSuite(cache, .init = begin, .fini = end);

static void
put(struct cache *cache, const char *merchant, const char *id, const char *name, int64_t version)
{
    struct row_customer row;
    row_clear(ROW_customer, &row);
    row.id = text_of(id);
    row.merchant = text_of(merchant);
    row.name = text_of(name);
    row.version = version;
    cache_put(cache, ROW_customer, &row);
}

static bool
get(struct cache *cache, const char *merchant, const char *id, struct row_customer *row)
{
    return cache_get(cache, ROW_customer, text_of(merchant), text_of(id), arena, row);
}

Test(cache, gives_back_what_was_put_last)
{
    struct cache *cache = cache_new(1 << 20);
    struct row_customer row;
    put(cache, "acct_a", "cus_1", "Ada", 1);
    put(cache, "acct_a", "cus_1", "Grace", 2);
    cr_assert(get(cache, "acct_a", "cus_1", &row));
    cr_expect(text_is(row.name, "Grace"));
    cr_expect_eq(row.version, 2);
    cr_expect(!get(cache, "acct_b", "cus_1", &row), "another merchant's row is not there");
    cr_expect(!cache_get(cache, ROW_charge, TEXT("acct_a"), TEXT("cus_1"), arena,
                         arena_take(arena, sizeof(struct row_charge))));
    cache_destroy(&cache);
    cr_expect_null(cache);
}

Test(cache, a_row_is_replaced_whether_it_grows_or_shrinks)
{
    struct cache *cache = cache_new(1 << 20);
    struct row_customer row;
    char name[400];
    memset(name, 'x', sizeof name);
    for (size_t size = 0; size < sizeof name; size = size * 2 + 1) {
        for (size_t shorter = size;; shorter /= 2) {
            name[shorter] = 0;
            put(cache, "acct_a", "cus_1", name, (int64_t)size + 1);
            put(cache, "acct_a", "cus_2", "Grace", 1);
            cr_assert(get(cache, "acct_a", "cus_1", &row));
            cr_expect_eq(row.version, (int64_t)size + 1);
            cr_expect_eq(row.name.size, shorter);
            cr_expect(text_is(row.name, name));
            cr_assert(get(cache, "acct_a", "cus_2", &row));
            cr_expect(text_is(row.name, "Grace"));
            memset(name, 'x', sizeof name);
            if (!shorter) break;
        }
    }
    cache_drop(cache, ROW_customer, TEXT("acct_a"), TEXT("cus_1"));
    cache_drop(cache, ROW_customer, TEXT("acct_a"), TEXT("cus_2"));
    cr_expect_eq(cache_bytes(cache), 0);
    cache_destroy(&cache);
}

Test(cache, a_copy_outlives_its_row)
{
    struct cache *cache = cache_new(1 << 20);
    struct row_customer row;
    put(cache, "acct_a", "cus_1", "Ada", 1);
    cr_assert(get(cache, "acct_a", "cus_1", &row));
    cache_drop(cache, ROW_customer, TEXT("acct_a"), TEXT("cus_1"));
    cr_expect(text_is(row.name, "Ada"));
    cr_expect(!get(cache, "acct_a", "cus_1", &row));
    cr_expect_eq(cache_bytes(cache), 0);
    cache_destroy(&cache);
}

Test(cache, stays_within_its_bytes_and_lets_go_of_what_was_not_used)
{
    const size_t bytes_max = 64 << 10;
    struct cache *cache = cache_new(bytes_max);
    struct row_customer row;
    char id[32];
    put(cache, "acct_a", "cus_hot", "Ada", 1);
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "cus_%d", i);
        put(cache, "acct_a", id, "somebody", 1);
        cr_expect(get(cache, "acct_a", "cus_hot", &row));
        cr_expect_leq(cache_bytes(cache), bytes_max);
        arena_reset(arena);
    }
    cr_expect(!get(cache, "acct_a", "cus_0", &row));
    cr_expect(get(cache, "acct_a", "cus_999", &row));
    cache_destroy(&cache);
}

static void
put_merchant(struct cache *cache, const char *id)
{
    struct row_merchant row;
    row_clear(ROW_merchant, &row);
    row.id = row.merchant = text_of(id);
    row.name = TEXT("Somebody who is paid");
    cache_put(cache, ROW_merchant, &row);
}

static bool
has_merchant(struct cache *cache, const char *id)
{
    struct row_merchant row;
    return cache_get(cache, ROW_merchant, text_of(id), text_of(id), arena, &row);
}

Test(cache, merchants_stay_while_payments_pass)
{
    const size_t bytes_max = 64 << 10;
    struct cache *cache = cache_new(bytes_max);
    struct row_customer row;
    char id[32];
    put_merchant(cache, "acct_a");
    put_merchant(cache, "acct_b");
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "cus_%d", i);
        put(cache, "acct_a", id, "somebody", 1);
        cr_expect_leq(cache_bytes(cache), bytes_max);
    }
    cr_expect(has_merchant(cache, "acct_a") && has_merchant(cache, "acct_b"));
    /* But not all of it is theirs. */
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "acct_%d", i);
        put_merchant(cache, id);
        cr_expect_leq(cache_bytes(cache), bytes_max);
    }
    cr_expect(!has_merchant(cache, "acct_a"));
    cr_expect(has_merchant(cache, "acct_999"));
    cr_expect(get(cache, "acct_a", "cus_999", &row));
    cr_expect_geq(cache_bytes(cache), bytes_max / 2);
    cache_destroy(&cache);
}

Test(cache, forgets_the_slots_that_are_lost)
{
    struct cache *cache = cache_new(1 << 20);
    struct row_customer row;
    uint8_t slots[SLOT_BYTES] = {0};
    cr_assert_neq(slot_of(TEXT("acct_a")), slot_of(TEXT("acct_b")));
    put(cache, "acct_a", "cus_1", "Ada", 1);
    put(cache, "acct_b", "cus_1", "Grace", 1);
    put_merchant(cache, "acct_a");
    put_merchant(cache, "acct_b");
    slot_add(slots, slot_of(TEXT("acct_a")));
    cache_drop_slots(cache, slots);
    cr_expect(!has_merchant(cache, "acct_a"));
    cr_expect(has_merchant(cache, "acct_b"));
    cr_expect(!get(cache, "acct_a", "cus_1", &row));
    cr_expect(get(cache, "acct_b", "cus_1", &row));
    cache_destroy(&cache);
}
