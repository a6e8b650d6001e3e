#include "utf8.h"

#include <stdint.h>
#include <string.h>

/* First byte from..to, how many follow, and what the second may be: the table of RFC 3629. */
static const struct lead {
    uint8_t from, to, more, second_low, second_high;
} leads[] = {
    {0x01, 0x7f, 0, 0, 0},       {0xc2, 0xdf, 1, 0x80, 0xbf}, {0xe0, 0xe0, 2, 0xa0, 0xbf},
    {0xe1, 0xec, 2, 0x80, 0xbf}, {0xed, 0xed, 2, 0x80, 0x9f}, {0xee, 0xef, 2, 0x80, 0xbf},
    {0xf0, 0xf0, 3, 0x90, 0xbf}, {0xf1, 0xf3, 3, 0x80, 0xbf}, {0xf4, 0xf4, 3, 0x80, 0x8f},
};

static const struct lead *
lead_of(uint8_t byte)
{
    for (size_t i = 0; i < sizeof leads / sizeof leads[0]; i++)
        if (byte >= leads[i].from && byte <= leads[i].to) return &leads[i];
    return NULL;
}

/* Nearly all text is ASCII: eight bytes at a time while none is zero or above 0x7F. */
static size_t
skip_ascii(const uint8_t *at, size_t i, size_t size)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    for (uint64_t eight; size - i >= sizeof eight; i += sizeof eight) {
        memcpy(&eight, at + i, sizeof eight);
        if ((eight | (eight - ones)) & tops) break;
    }
    return i;
}

bool
utf8_is_clean(struct text text)
{
    const uint8_t *at = (const uint8_t *)text.at;
    for (size_t i = 0; i < text.size;) {
        if (at[i] < 0x80) {
            i = skip_ascii(at, i, text.size);
            while (i < text.size && at[i] && at[i] < 0x80) /* fewer than eight */
                i++;
            if (i == text.size) break;
        }
        const struct lead *lead = lead_of(at[i]);
        if (!lead || text.size - i <= lead->more) return false;
        if (lead->more && (at[i + 1] < lead->second_low || at[i + 1] > lead->second_high))
            return false;
        for (size_t k = 2; k <= lead->more; k++)
            if ((at[i + k] & 0xc0) != 0x80) return false;
        i += lead->more + 1u;
    }
    return true;
}

size_t
utf8_count(struct text text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += ((uint8_t)text.at[i] & 0xc0) != 0x80;
    return count;
}

struct text
utf8_cut(struct text text, size_t size)
{
    if (text.size <= size) return text;
    while (size > 0 && ((uint8_t)text.at[size] & 0xc0) == 0x80)
        size--;
    return (struct text){text.at, size};
}
