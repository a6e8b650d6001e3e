#include "event_type.h"

// clang-format off
#define EVENT_TYPE(name, doc) name,
static const char *const types[] = {
#include "event_type.def"
};
#undef EVENT_TYPE
// clang-format on

bool
event_type_known(struct text type)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (text_is(type, types[i])) return true;
    return false;
}
