/* authentication: what came of 3-D Secure (authentication.def). */
#pragma once

#include "text.h"
#include <stdint.h>

struct authentication {
    int64_t number;
    const char *flow, *result, *reason, *eci, *eci_mastercard; /* NULL is absent */
};

// clang-format off
#define AUTHENTICATION(name, number, flow, result, reason, eci, mastercard, doc) AUTHENTICATION_##name = (number),
enum authentication_number { AUTHENTICATION_NONE,
#include "authentication.def"
};
#undef AUTHENTICATION
// clang-format on

#define AUTHENTICATION_VERSION "2.2.0" /* of 3-D Secure */

/* NULL when there is no such number: nobody was asked anything. */
const struct authentication *authentication_numbered(uint64_t number);
/* The electronic commerce indicator for a card of that brand; NULL when there is none. */
const char *authentication_eci(const struct authentication *authentication, struct text brand);
