/* currency: the currencies that are taken, with their decimals and the least and most that can be
 * charged (stripe/semantics.md, Currencies; ISO 4217). */
#pragma once

#include "text.h"
#include <stdbool.h>
#include <stdint.h>

struct currency {
    const char *code;   /* lower case */
    int decimals;       /* 0, 2 or 3 */
    int64_t charge_min; /* minor units */
    int64_t charge_max;
    const char *symbol; /* "$" or "" */
    int64_t step;       /* an amount must be a multiple of it: 1, 10 or 100 */
};

/* NULL when it is not taken. Case does not matter. */
const struct currency *currency_find(struct text code);
/* All codes, a comma and a space between them, as Stripe lists them in its refusal. */
size_t currency_list(char *out, size_t cap);
/* "$0.50 usd", "¥50 jpy": an amount as Stripe's messages write it. */
size_t currency_format(const struct currency *c, int64_t amount, char *out, size_t cap);
