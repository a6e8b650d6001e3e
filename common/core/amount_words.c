#include "amount_words.h"

#include <assert.h>

/* Symbol, 19 digits with 6 commas and a point, a space and the code. */
#define WORDS_MAX 64

size_t
amount_words(const struct currency *currency, int64_t amount, char *out, size_t cap)
{
    char turned[WORDS_MAX], *at = turned + sizeof turned;
    const bool has_symbol = currency->symbol[0] != 0;
    int64_t rest = amount;
    assert(amount >= 0);
    assert(cap >= WORDS_MAX);

    /* From the last digit to the first. */
    for (int decimal = 0; decimal < currency->decimals; decimal++, rest /= 10)
        *--at = (char)('0' + rest % 10);
    if (currency->decimals) *--at = '.';
    int digit = 0;
    do {
        if (digit && digit % 3 == 0) *--at = ',';
        *--at = (char)('0' + rest % 10);
        digit++;
    } while (rest /= 10);

    size_t size = 0;
    for (const char *c = currency->symbol; *c; c++)
        out[size++] = *c;
    for (; at < turned + sizeof turned; at++)
        out[size++] = *at;
    if (!has_symbol) {
        out[size++] = ' ';
        for (const char *c = currency->code; *c; c++)
            out[size++] = *c;
    }
    out[size] = 0;
    return size;
}
