/* three_d_secure: whose issuers want to hear from the payer before they say yes, and when. */
#pragma once

#include "text.h"
#include <stdbool.h>

enum asks { ASKS_NEVER, ASKS_ALWAYS, ASKS_UNTIL_SET_UP, ASKS_WHEN_PRESENT, ASKS_IN_VAIN };
enum on_wish { ON_WISH_NOT_ENROLLED, ON_WISH_NOT_SUPPORTED, ON_WISH_ASKS, ON_WISH_BREAKS };

struct three_d_secure {
    const char *number;
    enum asks asks;
    enum on_wish on_wish;
    const char *decline; /* row of declines.def, "" when it pays */
    bool keeps;          /* it can be set up, even if payments are declined */
    const char *doc;
};

extern const struct three_d_secure three_d_secures[];
extern const size_t three_d_secure_count;

/* Never NULL: a card without a row of its own is not enrolled. Digits alone. */
const struct three_d_secure *three_d_secure_of(struct text digits);
