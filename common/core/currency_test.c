#include "currency.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

Test(currency, case_does_not_matter_and_others_are_not_taken)
{
    cr_assert(currency_find(text_of("usd")) != NULL);
    cr_expect(
        eq(ptr, (void *)currency_find(text_of("UsD")), (void *)currency_find(text_of("usd"))));
    cr_expect(eq(ptr, (void *)currency_find(text_of("zzz")), NULL)); /* H117 */
    cr_expect(eq(ptr, (void *)currency_find(text_of("usdd")), NULL));
    cr_expect(eq(ptr, (void *)currency_find(text_of("")), NULL));
    cr_expect(eq(ptr, (void *)currency_find(NO_TEXT), NULL));
}

Test(currency, decimals_and_steps_are_those_of_the_currency)
{
    cr_expect(eq(int, currency_find(text_of("jpy"))->decimals, 0)); /* H116 */
    cr_expect(eq(int, currency_find(text_of("kwd"))->decimals, 3));
    cr_expect(eq(i64, currency_find(text_of("kwd"))->step, 10));
    cr_expect(eq(i64, currency_find(text_of("isk"))->step, 100));
    cr_expect(eq(i64, currency_find(text_of("usd"))->charge_min, 50));
}

Test(currency, amounts_are_written_with_their_decimals)
{
    static const struct {
        const char *code;
        int64_t amount;
        const char *text;
    } rows[] = {{"usd", 50, "$0.50 usd"},   {"usd", 123456, "$1234.56 usd"},
                {"usd", 0, "$0.00 usd"},    {"jpy", 50, "¥50 jpy"},
                {"kwd", 1234, "1.234 kwd"}, {"usd", -5, "-$0.05 usd"}};
    char out[64];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        currency_format(currency_find(text_of(rows[i].code)), rows[i].amount, out, sizeof out);
        cr_expect(eq(str, out, (char *)rows[i].text));
    }
}

Test(currency, the_list_names_all_and_never_overflows)
{
    char list[1024], small[20];
    const size_t size = currency_list(list, sizeof list);
    cr_expect(eq(sz, size, strlen(list)));
    cr_expect(strncmp(list, "usd, aed, afn, ", 15) == 0);
    cr_expect(strcmp(list + size - 3, "zmw") == 0);
    cr_expect(lt(sz, currency_list(small, sizeof small), sizeof small));
}

static bool
is_among(const char *code, const char *codes)
{
    const char *at = strstr(codes, code);
    return at && strlen(code) == 3 && (at - codes) % 4 == 0;
}

/* What Stripe documents of each of them, as lists; the table has it by currency. */
Test(currency, every_one_has_its_decimals_its_step_and_its_bounds)
{
    static const char none[] = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf";
    static const char three[] = "bhd jod kwd omr tnd";
    static const char hundreds[] = "isk ugx";
    static const char more_digits[] = "lbp cop huf jpy idr inr";
    static const struct {
        const char *code;
        int64_t least;
    } least[] = {{"usd", 50},   {"aed", 200}, {"aud", 50},    {"bgn", 100}, {"brl", 50},
                 {"cad", 50},   {"chf", 50},  {"czk", 1500},  {"dkk", 250}, {"eur", 50},
                 {"gbp", 30},   {"hkd", 400}, {"huf", 17500}, {"inr", 50},  {"jpy", 50},
                 {"mxn", 1000}, {"myr", 200}, {"nok", 300},   {"nzd", 50},  {"pln", 200},
                 {"ron", 200},  {"sek", 300}, {"sgd", 50},    {"thb", 1000}};
    char list[1024];
    size_t count = 0;
    currency_list(list, sizeof list);
    for (char *at = list; at; at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL, count++) {
        const struct currency *c = currency_find((struct text){at, 3});
        cr_assert(c != NULL, "%.3s", at);
        cr_expect(eq(int, c->decimals,
                     is_among(c->code, none)    ? 0
                     : is_among(c->code, three) ? 3
                                                : 2),
                  "%s", c->code);
        cr_expect(eq(i64, c->step,
                     is_among(c->code, three)      ? 10
                     : is_among(c->code, hundreds) ? 100
                                                   : 1),
                  "%s", c->code);
        cr_expect(gt(i64, c->charge_min, 0));
        cr_expect(eq(i64, c->charge_min % c->step, 0), "%s", c->code);
        if (is_among(c->code, more_digits))
            cr_expect(gt(i64, c->charge_max, 99999999), "%s", c->code);
        else
            cr_expect(eq(i64, c->charge_max, 99999999), "%s", c->code);
    }
    cr_expect(gt(sz, count, 130));
    cr_expect(eq(i64, currency_find(text_of("idr"))->charge_max, 999999999999));
    cr_expect(eq(i64, currency_find(text_of("inr"))->charge_max, 999999999));
    for (size_t i = 0; i < sizeof least / sizeof least[0]; i++)
        cr_expect(eq(i64, currency_find(text_of(least[i].code))->charge_min, least[i].least), "%s",
                  least[i].code);
}
