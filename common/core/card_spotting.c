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
    const char c = text.at[at];
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* A UUID (RFC 9562: 8-4-4-4-12 hexadecimal digits) has groups of digits too, by chance. All of it
 * must be there: a card's number does not hide behind a letter. */
static bool
is_within_uuid(struct text text, size_t from)
{
    static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    size_t begin = from;
    while (begin && (is_hexadecimal_at(text, begin - 1) || text.at[begin - 1] == '-'))
        begin--;
    for (size_t i = 0; i < sizeof shape - 1; i++) {
        if (begin + i >= text.size) return false;
        if (shape[i] == '-' ? text.at[begin + i] != '-' : !is_hexadecimal_at(text, begin + i))
            return false;
    }
    const size_t end = begin + sizeof shape - 1;
    return end == text.size || (!is_hexadecimal_at(text, end) && text.at[end] != '-');
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
            !is_within_uuid(text, from))
            return true;
    }
    return false;
}

/* Most texts have too few digits in all. */
static bool
has_enough_digits(struct text text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += is_digit(text.at[i]);
    return count >= DIGITS_MIN;
}

bool
card_number_in(struct text text)
{
    char digits[CARD_DIGITS_MAX];
    bool found = false;
    if (!has_enough_digits(text)) return false;
    for (size_t i = 0; i < text.size && !found; i++)
        found = is_digit(text.at[i]) && (i == 0 || !is_digit(text.at[i - 1])) &&
                card_begins_at(text, i, digits);
    /* A copy that stays on the stack would be found there long after. */
    for (volatile char *at = digits; at < digits + sizeof digits; at++)
        *at = 0;
    return found;
}
