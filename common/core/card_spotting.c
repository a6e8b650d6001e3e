#include "card_spotting.h"

#include "card.h"

/* Telephone numbers have up to 15 digits, so 13-digit Visa cards, which no bank issues any more,
 * are let pass. */
#define DIGITS_MIN 14

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_card(struct text digits)
{
    return digits.size >= DIGITS_MIN && card_brand_of(digits) != CARD_UNKNOWN &&
           card_luhn_holds(digits);
}

/* Tries every end of a group of digits, from the group that begins at `from` on. */
static bool
card_begins_at(struct text text, size_t from)
{
    char digits[CARD_DIGITS_MAX];
    size_t count = 0;
    for (size_t i = from; i < text.size; i++) {
        const char c = text.at[i];
        const bool more = i + 1 < text.size && is_digit(text.at[i + 1]);
        if (!is_digit(c)) {
            if ((c != ' ' && c != '-') || !more) return false;
            continue;
        }
        if (count == CARD_DIGITS_MAX) return false;
        digits[count++] = c;
        if (!more && is_card((struct text){digits, count})) return true;
    }
    return false;
}

bool
card_number_in(struct text text)
{
    for (size_t i = 0; i < text.size; i++)
        if (is_digit(text.at[i]) && (i == 0 || !is_digit(text.at[i - 1])) &&
            card_begins_at(text, i))
            return true;
    return false;
}
