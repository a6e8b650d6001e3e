#include "currency.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

Test(currency, case_does_not_matter_and_others_are_not_taken)
{
    cr_assert(currency_find(text_of("usd")) != NULL);
    cr_expect(
        eq(ptr, (void *)currency_find(text_of("UsD")), (void *)currency_find(text_of("usd"))));
    cr_expect(eq(ptr, (void *)currency_find(text_of("zzz")), NULL)); /* H117 */
    cr_expect(eq(ptr, (void *)currency_find(text_of("usdd")), NULL));
    cr_expect(eq(ptr, (void *)currency_find(text_of("")), NULL));
    cr_expect(eq(ptr, (void *)currency_find(NO_TEXT), NULL));
}

Test(currency, decimals_and_steps_are_those_of_the_currency)
{
    cr_expect(eq(int, currency_find(text_of("jpy"))->decimals, 0)); /* H116 */
    cr_expect(eq(int, currency_find(text_of("kwd"))->decimals, 3));
    cr_expect(eq(i64, currency_find(text_of("kwd"))->step, 10));
    cr_expect(eq(i64, currency_find(text_of("isk"))->step, 100));
    cr_expect(eq(i64, currency_find(text_of("usd"))->charge_min, 50));
}

Test(currency, amounts_are_written_with_their_decimals)
{
    static const struct {
        const char *code;
        int64_t amount;
        const char *text;
    } rows[] = {{"usd", 50, "$0.50 usd"},   {"usd", 123456, "$1234.56 usd"},
                {"usd", 0, "$0.00 usd"},    {"jpy", 50, "¥50 jpy"},
                {"kwd", 1234, "1.234 kwd"}, {"usd", -5, "-$0.05 usd"}};
    char out[64];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        currency_format(currency_find(text_of(rows[i].code)), rows[i].amount, out, sizeof out);
        cr_expect(eq(str, out, (char *)rows[i].text));
    }
}

Test(currency, the_list_names_all_and_never_overflows)
{
    char list[1024], small[20];
    const size_t size = currency_list(list, sizeof list);
    cr_expect(eq(sz, size, strlen(list)));
    cr_expect(strncmp(list, "usd, aed, afn, ", 15) == 0);
    cr_expect(strcmp(list + size - 3, "zmw") == 0);
    cr_expect(lt(sz, currency_list(small, sizeof small), sizeof small));
}
