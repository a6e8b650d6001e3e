/* risk: how a payment was weighed for fraud (risk.def). */
#pragma once

#include <stdint.h>

struct risk {
    int64_t number;
    const char *level;                          /* normal, elevated or highest */
    int64_t score;                              /* 0 to 99 */
    const char *type, *reason, *seller_message; /* of a charge's outcome; NULL is absent */
};

// clang-format off
#define RISK(name, number, level, score, type, reason, message, doc) RISK_##name = (number),
enum risk_number { RISK_NOT_WEIGHED,
#include "risk.def"
};
#undef RISK
// clang-format on

/* Never NULL: what was not weighed, or by a number that is not here, is of normal risk. */
const struct risk *risk_numbered(uint64_t number);
