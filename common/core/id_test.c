#include "id.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static const uint8_t chance[ID_RANDOM_BYTES] = {1, 2, 3, 250, 5, 6, 7, 8, 9, 61, 62, 12, 13, 14};

Test(id, ids_sort_by_their_time_then_by_their_counter)
{
    char early[ID_SIZE_MAX + 1], late[ID_SIZE_MAX + 1];
    uint8_t high[ID_RANDOM_BYTES];
    memset(high, 61, sizeof high);
    const struct text a = id_make(early, "pi_", 1763000000000, 3843, high);
    const struct text b = id_make(late, "pi_", 1763000000001, 0, chance);
    cr_expect(text_compare(a, b) < 0);
    const struct text c = id_make(late, "pi_", 1763000000000, 3842, chance);
    cr_expect(text_compare(c, a) < 0);
    cr_expect(eq(sz, a.size, 27));
    cr_expect(zero(u8, (uint8_t)early[27]));
}

Test(id, the_floor_of_a_moment_is_not_above_any_id_of_it)
{
    char low[ID_SIZE_MAX + 1], id[ID_SIZE_MAX + 1], before[ID_SIZE_MAX + 1];
    uint8_t zero[ID_RANDOM_BYTES] = {0};
    const struct text floor = id_floor(low, "ch_", 1763000000000);
    cr_expect(text_compare(floor, id_make(id, "ch_", 1763000000000, 0, zero)) < 0);
    cr_expect(text_compare(id_make(before, "ch_", 1762999999999, 3843, chance), floor) < 0);
}

Test(id, what_stands_beside_a_thing_differs_in_its_last_character)
{
    char made[ID_SIZE_MAX + 1], first[ID_SIZE_MAX + 1], second[ID_SIZE_MAX + 1];
    const struct text any = id_make(made, "evt_", 1763000000000, 1, chance);
    const struct text zeroth = id_beside(first, any, 0), last = id_beside(second, zeroth, 61);
    cr_expect(eq(sz, last.size, any.size));
    cr_expect(memcmp(zeroth.at, any.at, any.size - 1) == 0);
    cr_expect(zeroth.at[any.size - 1] == '0' && last.at[any.size - 1] == 'z');
    cr_expect(text_compare(zeroth, last) < 0);
    cr_expect(id_is_beside(last, zeroth, 61));
    cr_expect(not(id_is_beside(last, zeroth, 60)));
    cr_expect(not(id_is_beside(last, zeroth, ID_BESIDE_MAX)));
    cr_expect(not(id_is_beside(zeroth, last, 0))); /* it is no first */
    cr_expect(not(id_is_beside(NO_TEXT, NO_TEXT, 0)));
}

Test(id, only_what_looks_like_an_id_is_one)
{
    static const struct {
        const char *id;
        bool is;
    } cases[] = {
        {"pi_3MtwBwLkdIwHu7ix28a3tqPa", true},
        {"pi_1", true},
        {"pi_", false},
        {"ch_3MtwBwLkdIwHu7ix28a3tqPa", false},
        {"pi_a'; DROP TABLE charge--", false},
        {"pi_%s%n", false},
        {"", false},
        {"pi_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect(eq(int, id_is(text_of(cases[i].id), "pi_"), cases[i].is), "%s", cases[i].id);
    cr_expect(not(id_is(NO_TEXT, "pi_")));
}

Test(id, slots_are_spread_and_counted)
{
    unsigned used[SLOT_COUNT] = {0};
    uint8_t slots[SLOT_BYTES] = {0};
    char merchant[ID_SIZE_MAX + 1];
    for (uint32_t i = 0; i < 20 * SLOT_COUNT; i++) {
        uint8_t random[ID_RANDOM_BYTES];
        for (size_t k = 0; k < sizeof random; k++)
            random[k] = (uint8_t)(i * 2654435761u >> (k % 24));
        used[slot_of(id_make(merchant, "acct_", 1763000000000 + i, i, random))]++;
    }
    for (size_t s = 0; s < SLOT_COUNT; s++)
        cr_expect(used[s] > 2 && used[s] < 60, "slot %zu has %u of 20 on average", s, used[s]);
    slot_add(slots, 0);
    slot_add(slots, 1023);
    slot_add(slots, 1023);
    cr_expect(eq(uint, slot_count(slots), 2));
    cr_expect(slot_in(slots, 1023) && slot_in(slots, 0) && !slot_in(slots, 1));
    slot_remove(slots, 0);
    cr_expect(eq(uint, slot_count(slots), 1));
}
