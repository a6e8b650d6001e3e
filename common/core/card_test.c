#include "card.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static const struct card_month now = {2026, 11};

/* A number that is nobody's: a free prefix, zeros, and a check digit by the rule. */
#define VISA "4999 9900 0000 0007"

static enum card_verdict
verdict_of(const char *number, int64_t month, int64_t year, const char *code)
{
    struct card card;
    return card_check(text_of(number), month, year, text_of(code), now, &card);
}

/* Each row mends one thing of the row above and meets the next error. */
Test(card, errors_come_in_their_order_of_precedence)
{
    cr_expect(eq(int, verdict_of("4999990000000008", 13, 2020, "12"), CARD_BAD_NUMBER));
    cr_expect(eq(int, verdict_of(VISA, 13, 2020, "12"), CARD_BAD_MONTH));
    cr_expect(eq(int, verdict_of(VISA, 12, 2020, "12"), CARD_BAD_YEAR));
    cr_expect(eq(int, verdict_of(VISA, 12, 2027, "12"), CARD_BAD_CODE));
    cr_expect(eq(int, verdict_of(VISA, 12, 2027, "123"), CARD_FINE));
}

Test(card, number_is_12_to_19_digits_with_spaces_or_dashes_between)
{
    static const struct {
        const char *number;
        bool good;
    } rows[] = {
        {"", false},
        {"0", false},
        {"49999900001", false},          /* 11 */
        {"499999000007", true},          /* 12 */
        {"4999990000000000001", true},   /* 19 */
        {"49999900000000000007", false}, /* 20 */
        {"4999-9900-0000-0007", true},
        {"4999 9900 0000 0007", true},
        {"4999990000000O07", false}, /* a letter */
        {"+4999990000000007", false},
        {"4999.9900.0000.0007", false},
        {"4999990000000007\n", false},
        {"４999990000000007", false}, /* a digit of another script */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const enum card_verdict verdict = verdict_of(rows[i].number, 12, 2030, NULL);
        cr_expect(eq(int, verdict == CARD_FINE, rows[i].good), "%s", rows[i].number);
    }
}

Test(card, every_wrong_digit_and_every_swap_of_neighbours_is_noticed)
{
    const char *good = "4999990000000007";
    cr_assert(card_luhn_holds(text_of(good)));
    for (size_t i = 0; i < strlen(good); i++)
        for (char digit = '0'; digit <= '9'; digit++) {
            char other[17];
            memcpy(other, good, sizeof other);
            if (other[i] == digit) continue;
            other[i] = digit;
            cr_expect(not(card_luhn_holds(text_of(other))), "%s", other);
        }
}

Test(card, expiry_is_of_this_month_at_least_and_of_fifty_years_at_most)
{
    static const struct {
        int64_t month, year;
        enum card_verdict verdict;
    } rows[] = {
        {11, 2026, CARD_FINE}, /* good until the month is over */
        {10, 2026, CARD_BAD_YEAR},  {12, 2025, CARD_BAD_YEAR},
        {12, 26, CARD_FINE}, /* two digits */
        {1, 27, CARD_FINE},         {12, 25, CARD_BAD_YEAR},
        {12, 2076, CARD_FINE},      {1, 2077, CARD_BAD_YEAR},
        {12, 77, CARD_BAD_YEAR},    {0, 2030, CARD_BAD_MONTH},
        {-1, 2030, CARD_BAD_MONTH}, {13, 2030, CARD_BAD_MONTH},
        {12, 0, CARD_BAD_YEAR},     {12, -1, CARD_BAD_YEAR},
        {12, 9999, CARD_BAD_YEAR},  {12, 202, CARD_BAD_YEAR},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect(eq(int, verdict_of(VISA, rows[i].month, rows[i].year, NULL), rows[i].verdict),
                  "%d/%d", (int)rows[i].month, (int)rows[i].year);
}

Test(card, security_code_has_the_digits_of_its_brand)
{
    const char *amex = "340000000000009";
    cr_expect(eq(int, verdict_of(VISA, 12, 2030, NULL), CARD_FINE));
    cr_expect(eq(int, verdict_of(VISA, 12, 2030, ""), CARD_FINE));
    cr_expect(eq(int, verdict_of(VISA, 12, 2030, "1234"), CARD_BAD_CODE));
    cr_expect(eq(int, verdict_of(VISA, 12, 2030, "12a"), CARD_BAD_CODE));
    cr_expect(eq(int, verdict_of(VISA, 12, 2030, "12345"), CARD_BAD_CODE));
    cr_expect(eq(int, verdict_of(amex, 12, 2030, "123"), CARD_BAD_CODE));
    cr_expect(eq(int, verdict_of(amex, 12, 2030, "1234"), CARD_FINE));
}

Test(card, what_is_refused_leaves_nothing_behind)
{
    struct card card, nothing;
    memset(&nothing, 0, sizeof nothing);
    memset(&card, 'x', sizeof card);
    cr_expect(eq(int, card_check(TEXT(VISA), 12, 2030, TEXT("12"), now, &card), CARD_BAD_CODE));
    cr_expect(eq(int, memcmp(card.number, nothing.number, sizeof card.number), 0));
    cr_expect(eq(int, memcmp(card.code, nothing.code, sizeof card.code), 0));

    cr_expect(eq(int, card_check(TEXT(VISA), 1, 30, TEXT("123"), now, &card), CARD_FINE));
    cr_expect(eq(str, card.number, (char *)"4999990000000007"));
    cr_expect(eq(str, card.code, (char *)"123"));
    cr_expect(eq(int, card.month, 1));
    cr_expect(eq(int, card.year, 2030));
}

Test(card, brand_is_by_the_first_digits)
{
    static const struct {
        const char *digits, *brand;
    } rows[] = {
        {"4", "visa"},       {"51", "mastercard"}, {"50", "unknown"},      {"55", "mastercard"},
        {"56", "unknown"},   {"2220", "unknown"},  {"2221", "mastercard"}, {"2720", "mastercard"},
        {"2721", "unknown"}, {"34", "amex"},       {"37", "amex"},         {"35", "unknown"},
        {"3528", "jcb"},     {"3589", "jcb"},      {"3590", "unknown"},    {"6011", "discover"},
        {"6012", "unknown"}, {"644", "discover"},  {"650", "discover"},    {"300", "diners"},
        {"306", "unknown"},  {"3095", "diners"},   {"36", "diners"},       {"38", "diners"},
        {"62", "unionpay"},  {"81", "unionpay"},   {"9", "unknown"},       {"2", "unknown"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect(eq(str, (char *)card_brand_name(card_brand_of(text_of(rows[i].digits))),
                     (char *)rows[i].brand),
                  "%s", rows[i].digits);
}

Test(card, brands_have_the_names_that_people_call_them)
{
    static const struct {
        const char *name, *proper;
    } rows[] = {
        {"visa", "Visa"},
        {"mastercard", "Mastercard"},
        {"amex", "American Express"},
        {"discover", "Discover"},
        {"diners", "Diners Club"},
        {"jcb", "JCB"},
        {"unionpay", "UnionPay"},
        {"unknown", ""},
        {"vis", ""},
        {"visa electron", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect(
            eq(str, (char *)card_brand_proper_name(text_of(rows[i].name)), (char *)rows[i].proper),
            "%s", rows[i].name);
    cr_expect(eq(str, (char *)card_brand_proper_name(NO_TEXT), (char *)""));
}

Test(card, months_turn_where_the_calendar_says)
{
    static const struct {
        int64_t unix_s, year, month;
    } rows[] = {
        {0, 1970, 1},           {951782399, 2000, 2},  {951868799, 2000, 2},
        {951868800, 2000, 3},   {1709251199, 2024, 2}, {1709251200, 2024, 3},
        {1798761599, 2026, 12}, {1798761600, 2027, 1}, {4102444799, 2099, 12},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct card_month month = card_month_of(rows[i].unix_s * 1000);
        cr_expect(eq(i64, month.year, rows[i].year), "%d", (int)i);
        cr_expect(eq(i64, month.month, rows[i].month), "%d", (int)i);
    }
}
