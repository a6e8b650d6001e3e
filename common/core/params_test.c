#include "params.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static uint8_t block[1024];

static struct params
made(const char *const *names_and_values)
{
    size_t size = 0;
    for (; *names_and_values; names_and_values += 2)
        cr_assert(params_put(block, sizeof block, &size, text_of(names_and_values[0]),
                             text_of(names_and_values[1])));
    return (struct params){block, size};
}

Test(params, what_was_put_is_found)
{
    const struct params p = made((const char *const[]){"amount", "42", "card[cvc]", "", "card[n]",
                                                       "4", "confirm", "true", NULL});
    cr_expect(params_valid(p));
    cr_expect(eq(i64, params_integer(p, "amount", 7), 42));
    cr_expect(eq(i64, params_integer(p, "none", 7), 7));
    cr_expect(params_flag(p, "confirm", false));
    cr_expect(params_flag(p, "none", true));
    cr_expect(params_have(p, "card[cvc]"));
    cr_expect(eq(sz, params_find(p, "card[cvc]").size, 0));
    cr_expect(not(params_have(p, "card")));
    cr_expect(params_have_any(p, "card"));
    cr_expect(not(params_have_any(p, "car")));
    struct param inside;
    size_t at = 0;
    cr_assert(params_next_in(p, "card", &at, &inside));
    cr_expect(text_is(inside.name, "cvc"));
    cr_assert(params_next_in(p, "card", &at, &inside));
    cr_expect(text_is(inside.name, "n"));
    cr_expect(text_is(inside.value, "4"));
    cr_expect(not(params_next_in(p, "card", &at, &inside)));
}

Test(params, a_block_cut_anywhere_is_refused)
{
    const struct params p = made((const char *const[]){"a", "1", "b", "22", NULL});
    for (size_t size = 1; size < p.size; size++)
        if (size != 8) /* the first parameter alone is whole */
            cr_expect(not(params_valid((struct params){p.at, size})), "%zu", size);
}

Test(params, a_block_out_of_order_or_with_a_name_twice_is_refused)
{
    cr_expect(not(params_valid(made((const char *const[]){"b", "1", "a", "2", NULL}))));
    cr_expect(not(params_valid(made((const char *const[]){"a", "1", "a", "2", NULL}))));
    cr_expect(not(params_valid(made((const char *const[]){"", "1", NULL}))));
    cr_expect(not(params_valid(made((const char *const[]){"a", "\xff", NULL}))));
}

static const struct {
    const char *text;
    bool good;
    int64_t value;
} integers[] = {
    /* H115 */
    {"0", true, 0},
    {"-1", true, -1},
    {"2147483648", true, INT64_C(2147483648)},
    {"9007199254740993", true, INT64_C(9007199254740993)},
    {"9223372036854775807", true, INT64_MAX},
    {"-9223372036854775808", true, INT64_MIN},
    {"9223372036854775808", false, 0},
    {"-9223372036854775809", false, 0},
    {"99999999999999999999", false, 0},
    {"1.5", false, 0},
    {"1e3", false, 0},
    {"0x10", false, 0},
    {"\xef\xbc\x91\xef\xbc\x90", false, 0},
    {"007", false, 0},
    {"+5", false, 0},
    {"-0", false, 0},
    {"-", false, 0},
    {"", false, 0},
    {" 1", false, 0},
    {"1 ", false, 0},
    {"NaN", false, 0},
};

Test(params, an_integer_is_digits_and_nothing_else)
{
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        int64_t value = 0;
        const bool good = params_read_integer(text_of(integers[i].text), &value);
        cr_expect(eq(int, good, integers[i].good), "%s", integers[i].text);
        if (good) cr_expect(eq(i64, value, integers[i].value), "%s", integers[i].text);
    }
}

Test(params, a_flag_is_read_as_any_library_writes_it)
{
    static const struct {
        const char *word;
        int value; /* -1: none */
    } rows[] = {{"true", 1}, {"True", 1}, {"false", 0}, {"False", 0}, {"TRUE", -1},
                {"1", -1},   {"yes", -1}, {"", -1},     {"tru", -1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool value;
        const bool read = params_read_flag(text_of(rows[i].word), &value);
        cr_expect(eq(int, read ? value : -1, rows[i].value), "%s", rows[i].word);
    }
}
