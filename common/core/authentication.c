#include "authentication.h"

// clang-format off
#define OR_NULL(word) (sizeof(word) > 1 ? (word) : NULL)
#define AUTHENTICATION(name, number, flow, result, reason, eci, mastercard, doc) \
    {number, OR_NULL(flow), OR_NULL(result), OR_NULL(reason), OR_NULL(eci), OR_NULL(mastercard)},
static const struct authentication rows[] = {
#include "authentication.def"
};
#undef AUTHENTICATION
// clang-format on

const struct authentication *
authentication_numbered(uint64_t number)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if ((uint64_t)rows[i].number == number) return &rows[i];
    return NULL;
}

const char *
authentication_eci(const struct authentication *authentication, struct text brand)
{
    return text_is(brand, "mastercard") ? authentication->eci_mastercard : authentication->eci;
}
