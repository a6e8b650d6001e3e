#include "api_version.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

Test(api_version, the_table_is_in_order_and_ends_with_the_newest)
{
    size_t count = 0;
    struct api_change_row change;
    for (; api_version_at(count); count++) {
        cr_expect(api_version_known(text_of(api_version_at(count))));
        cr_expect(count == 0 || strcmp(api_version_at(count - 1), api_version_at(count)) < 0);
    }
    cr_assert(count > 5);
    cr_expect(eq(str, (char *)api_version_at(count - 1), API_VERSION_NEWEST));
    for (size_t i = 0; api_change_at(i, &change); i++)
        cr_expect(api_version_known(text_of(change.since)), "%s", change.since);
}

Test(api_version, only_whole_names_are_known)
{
    static const char *const strange[] = {
        "", "2026-10-28", "2026-10-28.Endive", "2019-12-03", "latest", "2022-11-15 ", "2099-01-01"};
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++)
        cr_expect(not(api_version_known(text_of(strange[i]))), "%s", strange[i]);
    cr_expect(not(api_version_known(NO_TEXT)));
}

Test(api_version, each_change_is_there_from_its_own_day_on)
{
    struct api_change_row change;
    for (size_t i = 0; api_change_at(i, &change); i++)
        for (size_t v = 0; api_version_at(v); v++)
            cr_expect(eq(int, api_version_has(text_of(api_version_at(v)), (enum api_change)i),
                         strcmp(api_version_at(v), change.since) >= 0));
    cr_expect(api_version_has(NO_TEXT, API_CHARGES_LEFT_OUT), "an absent version is the newest");
}

static char shown[512];

static const char *
show(const char *kind, const char *json, const char *version)
{
    struct json_writer w;
    json_writer_init(&w, shown, sizeof shown);
    api_version_show(&w, text_of(kind), text_of(json), text_of(version));
    cr_assert(not(w.full));
    shown[w.size] = '\0';
    return shown;
}

Test(api_version, an_object_is_shown_without_what_its_version_left_out)
{
    static const char intent[] =
        "{\"object\":\"payment_intent\",\"charges\":{\"data\":[{\"refunds\":1}]},\"status\":\"x\"}";
    cr_expect(eq(str, (char *)show("payment_intent", intent, "2022-08-01"), (char *)intent));
    cr_expect(eq(str, (char *)show("payment_intent", intent, "2022-11-15"),
                 "{\"object\":\"payment_intent\",\"status\":\"x\"}"));
    cr_expect(eq(str, (char *)show("charge", "{\"refunds\":{\"a\":[1,2]},\"id\":\"ch\"}", NULL),
                 "{\"id\":\"ch\"}"));
    cr_expect(eq(str, (char *)show("customer", "{\"charges\":1}", NULL), "{\"charges\":1}"));
    cr_expect(eq(str, (char *)show("charge", NULL, NULL), "null"));
}

Test(api_version, the_older_of_two_is_the_one_that_both_can_be_made_from)
{
    const struct text a = TEXT("2020-08-27"), b = TEXT("2026-10-28.endive");
    cr_expect(text_equal(api_version_older(a, b), a));
    cr_expect(text_equal(api_version_older(b, a), a));
    cr_expect(text_equal(api_version_older(NO_TEXT, a), a));
    cr_expect(text_equal(api_version_older(b, NO_TEXT), b));
}
