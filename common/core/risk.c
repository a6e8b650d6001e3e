#include "risk.h"

#include <stddef.h>

// clang-format off
#define OR_NULL(word) (sizeof(word) > 1 ? (word) : NULL)
#define RISK(name, number, level, score, type, reason, message, doc) \
    {number, level, score, type, OR_NULL(reason), message},
static const struct risk rows[] = {
#include "risk.def"
};
#undef RISK
// clang-format on

const struct risk *
risk_numbered(uint64_t number)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if ((uint64_t)rows[i].number == number) return &rows[i];
    return &rows[0];
}
