#include "search_query.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static struct search_query query;
static char memory[SEARCH_QUERY_SIZE_MAX + 1], message[SEARCH_MESSAGE_MAX];

static bool
parses(const char *resource, const char *text)
{
    return search_parse(resource, text_of(text), memory, &query, message);
}

#define EXPECT_TEXT(actual, expected) \
    cr_expect(text_is(actual, expected), "%.*s", (int)(actual).size, (actual).at)

Test(search_query, clauses_are_a_field_an_operator_and_a_value)
{
    cr_assert(parses("payment_intent", "status:\"succeeded\" AND amount>=1000"), "%s", message);
    cr_assert(eq(sz, query.count, 2));
    cr_expect(not(query.any));
    cr_expect(eq(str, (char *)query.clauses[0].field->name, (char *)"status"));
    cr_expect(eq(int, (int)query.clauses[0].comparison, SEARCH_IS));
    EXPECT_TEXT(query.clauses[0].value, "succeeded");
    cr_expect(eq(int, (int)query.clauses[1].comparison, SEARCH_AT_LEAST));
    cr_expect(eq(i64, query.clauses[1].number, 1000));
}

Test(search_query, a_space_says_and)
{
    cr_assert(parses("payment_intent", "  amount>5   amount<9 and -currency:'eur' "), "%s",
              message);
    cr_expect(eq(sz, query.count, 3));
    cr_expect(not(query.any));
    cr_expect(query.clauses[2].negated);
    EXPECT_TEXT(query.clauses[2].value, "eur");
}

Test(search_query, or_takes_any)
{
    cr_assert(parses("charge", "refunded:true OR disputed:\"false\" or amount:7"), "%s", message);
    cr_expect(query.any);
    cr_expect(eq(i64, query.clauses[0].number, 1));
    cr_expect(eq(i64, query.clauses[1].number, 0));
}

Test(search_query, metadata_is_searched_by_key)
{
    cr_assert(parses("customer", "metadata[\"or\\\"der\"]:\"6 735\" -metadata['x']:null"), "%s",
              message);
    EXPECT_TEXT(query.clauses[0].key, "or\"der");
    EXPECT_TEXT(query.clauses[0].value, "6 735");
    EXPECT_TEXT(query.clauses[1].key, "x");
    cr_expect(eq(int, (int)query.clauses[1].comparison, SEARCH_IS_ABSENT));
    cr_expect(query.clauses[1].negated);
}

Test(search_query, what_is_quoted_is_never_read_as_more)
{
    cr_assert(parses("customer", "name:\"a\\\" OR email:\\\"b\""), "%s", message);
    cr_expect(eq(sz, query.count, 1));
    EXPECT_TEXT(query.clauses[0].value, "a\" OR email:\"b");
    cr_assert(parses("customer", "name:\"null\""), "%s", message);
    cr_expect(eq(int, (int)query.clauses[0].comparison, SEARCH_IS));
}

Test(search_query, numbers_may_be_quoted_or_negative)
{
    cr_assert(parses("charge", "amount:\"12\" amount>-3 payment_method_details.card.exp_year<2030"),
              "%s", message);
    cr_expect(eq(i64, query.clauses[0].number, 12));
    cr_expect(eq(i64, query.clauses[1].number, -3));
}

/* Each row has one thing wrong. */
Test(search_query, every_mistake_is_named)
{
    static const struct {
        const char *text, *about;
    } bad[] = {
        {"", "empty"},
        {"   ", "empty"},
        {"colour:\"red\"", "unsupported search field"},
        {"name", "operators"},
        {"name:", "no value"},
        {"name:\"x", "not closed"},
        {"name:x", "quotation marks"},
        {"name~\"xy\"", "at least 3"},
        {"created:\"x\"", "whole number"},
        {"created>1.5", "whole number"},
        {"created>99999999999999999999", "whole number"},
        {"created~\"123\"", "substring"},
        {"name>\"x\"", "not a number"},
        {"name~null", "null"},
        {"created>null", "null"},
        {"metadata:\"x\"", "by its keys"},
        {"metadata[key]:\"x\"", "between quotation marks"},
        {"metadata[\"key\":\"x\"", "bracket"},
        {"metadata[\"key\"]~\"xxx\"", "substring"},
        {"name[\"key\"]:\"x\"", "no keys"},
        {"(name:\"x\")", "parentheses"},
        {"name:\"x\" AND", "field is missing"},
        {"name:\"x\" AND AND email:\"y\"", "AND"},
        {"name:\"x\" AND email:\"y\" OR phone:\"z\"", "AND and OR"},
        {"name:\"x\" OR email:\"y\" AND phone:\"z\"", "AND and OR"},
        {"name:\"x\" OR email:\"y\" phone:\"z\"", "AND and OR"},
        {"name:\"x\"email:\"y\"", "not expected"},
        {"-", "field is missing"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect(not(parses("customer", bad[i].text)), "%s", bad[i].text);
        cr_expect(strstr(message, bad[i].about) != NULL, "%s: %s", bad[i].text, message);
    }
}

Test(search_query, clauses_and_length_are_bounded)
{
    char text[SEARCH_QUERY_SIZE_MAX + 2] = "";
    for (int i = 0; i <= SEARCH_CLAUSES_MAX; i++)
        strcat(text, "created>1 ");
    cr_expect(not(parses("customer", text)));
    cr_expect(strstr(message, "up to 10 clauses") != NULL, "%s", message);
    text[10 * SEARCH_CLAUSES_MAX] = 0;
    cr_expect(parses("customer", text), "%s", message);
    memset(text, ' ', sizeof text - 1);
    text[sizeof text - 1] = 0;
    cr_expect(not(parses("customer", text)));
}

/* Cut anywhere, changed anywhere: an answer, and never a read beyond the text. */
Test(search_query, any_bytes_are_read_or_refused)
{
    static const char whole[] =
        "-metadata[\"a\\\"b\"]:\"c d\" OR payment_method_details.card.brand:'x' "
        "OR amount>=-12 OR refunded:true OR customer:null";
    for (size_t size = 0; size < sizeof whole; size++)
        for (int change = 0; change < 16; change++) {
            char *copy = malloc(size + 1), *own = malloc(size + 1);
            memcpy(copy, whole, size);
            if (size && change) copy[(size_t)change * 7 % size] = "\"\\':[]()~<>-null "[change];
            if (search_parse("charge", (struct text){copy, size}, own, &query, message))
                cr_expect(gt(sz, query.count, 0));
            free(copy);
            free(own);
        }
    cr_expect(parses("charge", whole), "%s", message);
}
