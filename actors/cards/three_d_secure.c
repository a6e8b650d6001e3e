#include "three_d_secure.h"

#define THREE_D_SECURE(number, asks, on_wish, decline, keeps, doc) \
    {number, ASKS_##asks, ON_WISH_##on_wish, decline, keeps, doc},
const struct three_d_secure three_d_secures[] = {
#include "three_d_secure.def"
};
#undef THREE_D_SECURE
const size_t three_d_secure_count = sizeof three_d_secures / sizeof *three_d_secures;

const struct three_d_secure *
three_d_secure_of(struct text digits)
{
    static const struct three_d_secure not_enrolled = {"", ASKS_NEVER, ON_WISH_NOT_ENROLLED,
                                                       "", false,      "pays without being asked"};
    for (size_t i = 0; i < three_d_secure_count; i++)
        if (text_is(digits, three_d_secures[i].number)) return &three_d_secures[i];
    return &not_enrolled;
}
