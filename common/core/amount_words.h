/* amount_words: an amount as people write it: "$1,234.50", "¥50", "12.345 bhd". */
#pragma once

#include "currency.h"

/* Writes at most `cap` bytes with a NUL, and returns how many without it. `amount` is not below 0.
 */
size_t amount_words(const struct currency *currency, int64_t amount, char *out, size_t cap);
