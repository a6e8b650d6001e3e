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

/* How cards are written: in one piece, or in these groups with one and the same separator. */
static const int groupings[][5] = {
    {4, 4, 4, 4, 0}, {4, 4, 4, 4, 3}, {4, 6, 5, 0, 0}, {4, 6, 4, 0, 0}};

static bool
is_grouping(const int *groups, size_t count)
{
    for (size_t g = 0; g < sizeof groupings / sizeof groupings[0]; g++) {
        size_t size = 0;
        while (size < 5 && groupings[g][size])
            size++;
        if (size == count && memcmp(groups, groupings[g], size * sizeof *groups) == 0) return true;
    }
    return count == 1;
}

static bool
is_hexadecimal_at(struct text text, size_t at)
{
    if (at >= text.size) return false; /* before the beginning, too */
    const char c = text.at[at];
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* A UUID has groups of digits too, by chance. Its groups in the middle have 12 of them, so whatever
 * has more begins or ends within the first or the last group, and touches the rest of that. */
static bool
is_within_uuid(struct text text, size_t from, size_t last, char separator)
{
    return separator == '-' &&
           (is_hexadecimal_at(text, from - 1) || is_hexadecimal_at(text, last + 1));
}

/* Collects the groups of digits from the one that begins at `from` on, and tries after each. */
static bool
card_begins_at(struct text text, size_t from, char digits[static CARD_DIGITS_MAX])
{
    int groups[5] = {0};
    size_t count = 0, group = 0;
    char separator = 0;
    for (size_t i = from; i < text.size; i++) {
        const char c = text.at[i];
        const bool more = i + 1 < text.size && is_digit(text.at[i + 1]);
        if (!is_digit(c)) {
            if ((c != ' ' && c != '-') || !more || (separator && c != separator)) return false;
            separator = c;
            if (++group == sizeof groups / sizeof groups[0]) return false;
            continue;
        }
        if (count == CARD_DIGITS_MAX) return false;
        digits[count++] = c;
        groups[group]++;
        if (!more && is_grouping(groups, group + 1) && is_card((struct text){digits, count}) &&
            !is_within_uuid(text, from, i, separator))
            return true;
    }
    return false;
}

bool
card_number_in(struct text text)
{
    char digits[CARD_DIGITS_MAX];
    bool found = false;
    for (size_t i = 0; i < text.size && !found; i++)
        found = is_digit(text.at[i]) && (i == 0 || !is_digit(text.at[i - 1])) &&
                card_begins_at(text, i, digits);
    /* A copy that stays on the stack would be found there long after. */
    for (volatile char *at = digits; at < digits + sizeof digits; at++)
        *at = 0;
    return found;
}
