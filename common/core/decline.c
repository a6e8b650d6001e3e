#include "decline.h"

// clang-format off
#define OR_NULL(word) (sizeof(word) > 1 ? (word) : NULL)
#define DECLINE(name, word, code, decline_code, network, advice, message) \
    [DECLINE_##name] = {word, OR_NULL(code), OR_NULL(decline_code), OR_NULL(network), OR_NULL(advice), message},
const struct decline declines[DECLINE_COUNT] = {
#include "declines.def"
};
#undef DECLINE
// clang-format on

const struct decline *
decline_named(struct text name)
{
    for (int i = 0; i < DECLINE_COUNT; i++)
        if (text_is(name, declines[i].name)) return &declines[i];
    return &declines[DECLINE_GENERIC];
}
