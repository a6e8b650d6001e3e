#include "open_attempts.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { ATTEMPTS = 500, STEPS = 200000 };

static struct fingerprint
named(const char *kind, int number)
{
    char name[32];
    return fingerprint_of(
        7, TEXT("acct_1"),
        (struct text){name, (size_t)snprintf(name, sizeof name, "%s%d", kind, number)});
}

static struct open_attempt
attempt(int number, bool with_key)
{
    struct open_attempt is = {.id = named("id", number),
                              .subject = named("subject", number),
                              .now = {1, ATTEMPT_SENDING}};
    if (with_key) is.key = named("key", number);
    return is;
}

Test(open_attempts, is_what_a_list_of_them_would_be)
{
    struct open_attempts *open = open_attempts_new();
    int32_t places[ATTEMPTS] = {0};
    bool keys[ATTEMPTS] = {false};
    unsigned chance = 1;
    size_t count = 0;
    for (int step = 0; step < STEPS; step++) {
        const int n = rand_r(&chance) % ATTEMPTS, what = rand_r(&chance) % 4;
        if (!places[n]) {
            const int32_t place = open_attempts_reserve(open);
            for (int i = 0; i < ATTEMPTS; i++)
                cr_assert_neq(places[i], place);
            cr_assert_geq(open_attempts_highest(open), place);
            if (what == 0) {
                open_attempts_release(open, place);
                continue;
            }
            keys[n] = what == 1;
            const struct open_attempt is = attempt(n, keys[n]);
            open_attempts_begin(open, places[n] = place, &is);
            count++;
        } else if (what == 0) {
            open_attempts_let_key_go(open, places[n]);
            keys[n] = false;
        } else if (what == 1) {
            open_attempts_step(open, places[n], (struct version){step, ATTEMPT_UNKNOWN});
            cr_assert_eq(open_attempts_at(open, places[n])->now.version, step);
        } else {
            open_attempts_end(open, places[n]);
            places[n] = 0;
            count--;
        }
        const int other = rand_r(&chance) % ATTEMPTS;
        cr_assert_eq(open_attempts_find(open, named("id", other)), places[other]);
        cr_assert_eq(open_attempts_find(open, named("subject", other)), places[other]);
        cr_assert_eq(open_attempts_find(open, named("key", other)),
                     places[other] && keys[other] ? places[other] : 0);
        cr_assert_eq(open_attempts_count(open), count);
        int32_t highest = 0;
        for (int i = 0; i < ATTEMPTS && step % 100 == 0; i++)
            if (places[i] > highest) highest = places[i];
        cr_assert(step % 100 || open_attempts_highest(open) == highest);
    }
    open_attempts_destroy(&open);
    open_attempts_destroy(&open);
}

Test(open_attempts, the_lowest_free_place_is_given_and_none_after_all_are_forgotten)
{
    struct open_attempts *open = open_attempts_new();
    const struct open_attempt is = attempt(1, true);
    for (int32_t i = 1; i <= 100; i++)
        cr_expect_eq(open_attempts_reserve(open), i);
    open_attempts_release(open, 70);
    open_attempts_release(open, 3);
    cr_expect_eq(open_attempts_reserve(open), 3);
    cr_expect_eq(open_attempts_reserve(open), 70);
    cr_expect_eq(open_attempts_reserve(open), 101);
    open_attempts_begin(open, 1000, &is); /* as it was read */
    cr_expect_eq(open_attempts_find(open, is.key), 1000);
    open_attempts_clear(open);
    cr_expect_eq(open_attempts_find(open, is.key), 0);
    cr_expect_eq(open_attempts_find(open, (struct fingerprint){0, 0}), 0);
    cr_expect_eq(open_attempts_reserve(open), 1);
    open_attempts_destroy(&open);
}

Test(open_attempts, one_subject_for_a_payment_a_set_up_or_a_charge_and_none_for_refunds)
{
    struct row_attempt a = {
        .merchant = TEXT("acct_1"), .operation = TEXT("capture"), .charge = TEXT("ch_1")};
    struct row_attempt b = a;
    struct fingerprint x = subject_fingerprint(&a), y;
    cr_expect(x.a | x.b);
    b.payment_intent = TEXT("pi_1");
    y = subject_fingerprint(&b);
    cr_expect(x.a != y.a || x.b != y.b);
    b.charge = TEXT("ch_2");
    x = subject_fingerprint(&b);
    cr_expect(x.a == y.a && x.b == y.b);
    b.operation = TEXT("refund");
    x = subject_fingerprint(&b);
    cr_expect_not(x.a | x.b);
    b.operation = TEXT("recall");
    x = subject_fingerprint(&b);
    cr_expect_not(x.a | x.b);
}
