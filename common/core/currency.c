#include "currency.h"

#include <assert.h>

#define CURRENCY(code, decimals, step, least, greatest, symbol) \
    {#code, decimals, least, greatest, symbol, step},
static const struct currency currencies[] = {
#include "currency.def"
};
#undef CURRENCY
static const size_t currency_count = sizeof currencies / sizeof currencies[0];

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

const struct currency *
currency_find(struct text code)
{
    if (code.size != 3) return NULL;
    for (size_t i = 0; i < currency_count; i++) {
        const char *c = currencies[i].code;
        if (lower(code.at[0]) == c[0] && lower(code.at[1]) == c[1] && lower(code.at[2]) == c[2])
            return &currencies[i];
    }
    return NULL;
}

size_t
currency_list(char *out, size_t cap)
{
    size_t size = 0;
    assert(cap > 0);
    for (size_t i = 0; i < currency_count && size + 6 <= cap; i++) {
        if (i > 0) memcpy(out + size, ", ", 2);
        size += i > 0 ? 2 : 0;
        memcpy(out + size, currencies[i].code, 3);
        size += 3;
    }
    out[size] = '\0';
    return size;
}

size_t
currency_format(const struct currency *c, int64_t amount, char *out, size_t cap)
{
    char text[64]; /* written from its end */
    size_t at = sizeof text;
    uint64_t rest = amount < 0 ? -(uint64_t)amount : (uint64_t)amount;
    assert(cap > 4);
    for (int digit = 0; rest > 0 || digit <= c->decimals; digit++) {
        if (digit > 0 && digit == c->decimals) text[--at] = '.';
        text[--at] = (char)('0' + rest % 10);
        rest /= 10;
    }
    const size_t symbol = strlen(c->symbol);
    at -= symbol;
    memcpy(text + at, c->symbol, symbol);
    if (amount < 0) text[--at] = '-';
    size_t size = sizeof text - at < cap - 5 ? sizeof text - at : cap - 5;
    memcpy(out, text + at, size);
    out[size++] = ' ';
    memcpy(out + size, c->code, 3);
    size += 3;
    out[size] = '\0';
    return size;
}
