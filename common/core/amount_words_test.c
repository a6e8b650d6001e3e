#include "amount_words.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static void
expect(int decimals, const char *symbol, int64_t amount, const char *words)
{
    const struct currency currency = {.code = "xyz", .decimals = decimals, .symbol = symbol};
    char out[64];
    cr_expect(eq(sz, amount_words(&currency, amount, out, sizeof out), strlen(words)));
    cr_expect(eq(str, out, (char *)words));
}

Test(amount_words, amounts_read_as_people_write_them)
{
    expect(2, "$", 50, "$0.50");
    expect(2, "$", 1000, "$10.00");
    expect(2, "$", 99999999, "$999,999.99");
    expect(0, "¥", 50, "¥50");
    expect(0, "¥", 1000, "¥1,000");
    expect(3, "", 12345, "12.345 xyz");
    expect(2, "", 0, "0.00 xyz");
    expect(2, "$", INT64_MAX, "$92,233,720,368,547,758.07");
}
