/* card_number: card_number_in against the rule read slowly: from every place where a run of digits
 * begins, every way in which a card is written. And a card that a person could have typed is found
 * by card_check and by card_number_in alike. */
#include "card.h"
#include "card_spotting.h"
#include "fuzz.h"

static bool
digit(struct text t, size_t i)
{
    return i < t.size && t.at[i] >= '0' && t.at[i] <= '9';
}

static bool
luhn(const char *digits, size_t count)
{
    int sum = 0;
    for (size_t i = 0; i < count; i++) {
        int d = digits[count - 1 - i] - '0';
        if (i % 2) d = d > 4 ? 2 * d - 9 : 2 * d;
        sum += d;
    }
    return sum % 10 == 0;
}

/* The groups, one separator between them, a digit neither before nor behind. */
static bool
written_so(struct text t, size_t from, const int *groups, char separator)
{
    char digits[32];
    size_t count = 0, i = from;
    for (int g = 0; groups[g]; g++) {
        if (g && !(i < t.size && t.at[i++] == separator)) return false;
        for (int k = 0; k < groups[g]; k++) {
            if (!digit(t, i)) return false;
            digits[count++] = t.at[i++];
        }
    }
    return !digit(t, i) && card_brand_of((struct text){digits, count}) != CARD_UNKNOWN &&
           luhn(digits, count);
}

static bool
slowly(struct text t)
{
    static const int ways[][6] = {
        {14}, {15}, {16}, {17}, {18}, {19}, {4, 4, 4, 4}, {4, 4, 4, 4, 3}, {4, 6, 5}, {4, 6, 4}};
    for (size_t i = 0; i < t.size; i++) {
        if (!digit(t, i) || (i && digit(t, i - 1))) continue;
        for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++)
            if (written_so(t, i, ways[w], ' ') || written_so(t, i, ways[w], '-')) return true;
    }
    return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct text text = {(const char *)data, size};
    MUST_HOLD(card_number_in(text) == slowly(text));

    struct card card;
    const struct card_month now = {2026, 1};
    if (card_check(text, 12, 2030, NO_TEXT, now, &card) == CARD_FINE) {
        const size_t count = strlen(card.number);
        MUST_HOLD(count >= CARD_DIGITS_MIN && count <= CARD_DIGITS_MAX);
        MUST_HOLD(strspn(card.number, "0123456789") == count && luhn(card.number, count));
        if (count >= 14 && card.brand != CARD_UNKNOWN)
            MUST_HOLD(card_number_in(text_of(card.number)));
    } else {
        MUST_HOLD(card.number[0] == '\0');
    }
    return 0;
}
