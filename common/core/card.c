#include "card.h"

#include <assert.h>
#include <string.h>

/* Ranges of the first digits, as issued; the first row that fits is the brand. Bounds have as many
 * digits as are compared. */
static const struct {
    int32_t low, high;
    size_t digits;
    enum card_brand brand;
} ranges[] = {
    // clang-format off
    {4,       4,      1, CARD_VISA},
    {51,      55,     2, CARD_MASTERCARD},
    {2221,    2720,   4, CARD_MASTERCARD},
    {34,      34,     2, CARD_AMEX},
    {37,      37,     2, CARD_AMEX},
    {6011,    6011,   4, CARD_DISCOVER},
    {644,     649,    3, CARD_DISCOVER},
    {65,      65,     2, CARD_DISCOVER},
    {300,     305,    3, CARD_DINERS},
    {3095,    3095,   4, CARD_DINERS},
    {36,      36,     2, CARD_DINERS},
    {38,      39,     2, CARD_DINERS},
    {3528,    3589,   4, CARD_JCB},
    {62,      62,     2, CARD_UNIONPAY},
    {81,      81,     2, CARD_UNIONPAY},
    // clang-format on
};

#define AS_ROW(name, word, proper, code_digits) [CARD_##name] = {word, proper, code_digits},
static const struct {
    const char *name, *proper_name;
    size_t code_digits;
} brands[CARD_BRAND_COUNT] = {CARD_BRANDS(AS_ROW)};
#undef AS_ROW

#define AS_ROW(name, code, param) [CARD_##name] = {code, param},
static const struct {
    const char *code, *param;
} verdicts[CARD_VERDICT_COUNT] = {CARD_VERDICTS(AS_ROW)};
#undef AS_ROW

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool
card_luhn_holds(struct text digits)
{
    assert(digits.size > 0);
    int sum = 0;
    for (size_t i = 0; i < digits.size; i++) {
        const int digit = digits.at[digits.size - 1 - i] - '0';
        const int weighed = i % 2 ? 2 * digit : digit;
        sum += weighed > 9 ? weighed - 9 : weighed;
    }
    return sum % 10 == 0;
}

enum card_brand
card_brand_of(struct text digits)
{
    for (size_t r = 0; r < sizeof ranges / sizeof *ranges; r++) {
        if (digits.size < ranges[r].digits) continue;
        int32_t first = 0;
        for (size_t i = 0; i < ranges[r].digits; i++)
            first = first * 10 + (digits.at[i] - '0');
        if (first >= ranges[r].low && first <= ranges[r].high) return ranges[r].brand;
    }
    return CARD_UNKNOWN;
}

/* The digits of a number as typed, with a NUL, into `digits`. 0 when it is no number. */
static size_t
number_digits(struct text number, char digits[static CARD_DIGITS_MAX + 1])
{
    size_t count = 0;
    for (size_t i = 0; i < number.size; i++) {
        const char c = number.at[i];
        if (c == ' ' || c == '-') continue;
        if (!is_digit(c) || count == CARD_DIGITS_MAX) return 0;
        digits[count++] = c;
    }
    if (count < CARD_DIGITS_MIN) return 0;
    digits[count] = '\0';
    return count;
}

static bool
code_fits(struct text code, enum card_brand brand)
{
    if (code.size == 0) return true;
    if (code.size != brands[brand].code_digits) return false;
    for (size_t i = 0; i < code.size; i++)
        if (!is_digit(code.at[i])) return false;
    return true;
}

/* Clears in a way that no compiler leaves out: what is refused may be a real card all the same. */
static void
clear(void *at, size_t size)
{
    volatile unsigned char *bytes = at;
    while (size > 0)
        bytes[--size] = 0;
}

static enum card_verdict
check(struct text number, int64_t month, int64_t year, struct text code, struct card_month now,
      struct card *card)
{
    const size_t digits = number_digits(number, card->number);
    if (digits == 0 || !card_luhn_holds((struct text){card->number, digits}))
        return CARD_BAD_NUMBER;
    if (month < 1 || month > 12) return CARD_BAD_MONTH;

    const int64_t full_year = year >= 0 && year <= 99 ? now.year - now.year % 100 + year : year;
    if (full_year > now.year + CARD_YEARS_AHEAD_MAX || card_is_past(month, full_year, now))
        return CARD_BAD_YEAR;

    card->brand = card_brand_of((struct text){card->number, digits});
    if (!code_fits(code, card->brand)) return CARD_BAD_CODE;

    card->month = (uint8_t)month;
    card->year = (uint16_t)full_year;
    if (code.size > 0) memcpy(card->code, code.at, code.size);
    return CARD_FINE;
}

enum card_verdict
card_check(struct text number, int64_t month, int64_t year, struct text code, struct card_month now,
           struct card *card)
{
    assert(now.month >= 1 && now.month <= 12);
    clear(card, sizeof *card);
    const enum card_verdict verdict = check(number, month, year, code, now, card);
    if (verdict != CARD_FINE) clear(card, sizeof *card);
    return verdict;
}

const char *
card_verdict_code(enum card_verdict verdict)
{
    assert(verdict < CARD_VERDICT_COUNT);
    return verdicts[verdict].code;
}

const char *
card_verdict_param(enum card_verdict verdict)
{
    assert(verdict < CARD_VERDICT_COUNT);
    return verdicts[verdict].param;
}

const char *
card_brand_name(enum card_brand brand)
{
    assert(brand < CARD_BRAND_COUNT);
    return brands[brand].name;
}

const char *
card_brand_proper_name(struct text name)
{
    for (size_t i = 0; i < CARD_BRAND_COUNT; i++)
        if (text_is(name, brands[i].name)) return brands[i].proper_name;
    return "";
}

size_t
card_code_digits(enum card_brand brand)
{
    assert(brand < CARD_BRAND_COUNT);
    return brands[brand].code_digits;
}

bool
card_is_past(int64_t month, int64_t year, struct card_month now)
{
    return year < now.year || (year == now.year && month < now.month);
}

struct card_month
card_month_of(int64_t unix_ms)
{
    assert(unix_ms >= 0);
    /* The civil calendar with years that begin in March, so that the leap day comes last. Day 0 is
     * the first of March of the year 0. */
    const int64_t day = unix_ms / 86400000 + 719468;
    const int64_t era = day / 146097;
    const int64_t day_of_era = day % 146097;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t march_month = (5 * day_of_year + 2) / 153; /* 0: March … 11: February */
    const int64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
    return (struct card_month){era * 400 + year_of_era + (month <= 2), month};
}
