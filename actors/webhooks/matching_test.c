#include "matching.h"

#include <criterion/criterion.h>

Test(matching, tells_who_wants_what)
{
    static const struct {
        const char *enabled_events;
        int64_t endpoint_created;
        const char *type;
        int64_t event_created;
        bool wants;
    } rows[] = {
        {"[\"charge.succeeded\"]", 10, "charge.succeeded", 20, true},
        {"[\"charge.succeeded\"]", 20, "charge.succeeded", 20, true},  /* the same second */
        {"[\"charge.succeeded\"]", 21, "charge.succeeded", 20, false}, /* made after it happened */
        {"[\"charge.succeeded\"]", 10, "charge.failed", 20, false},
        {"[\"charge.succeeded\"]", 10, "charge.succeeded2", 20, false},
        {"[\"charge.succeeded\"]", 10, "charge", 20, false},
        {"[\"charge.failed\",\"charge.succeeded\"]", 10, "charge.succeeded", 20, true},
        {"[ \"charge.failed\" , \"charge.succeeded\" ]", 10, "charge.succeeded", 20, true},
        {"[\"*\"]", 10, "anything.at.all", 20, true},
        {"[\"*\"]", 21, "anything.at.all", 20, false},
        {"[\"charge.*\"]", 10, "charge.succeeded", 20, false}, /* a star stands alone */
        {"[]", 10, "charge.succeeded", 20, false},
        {"[null, 5, {\"a\":[\"charge.succeeded\"]}]", 10, "charge.succeeded", 20, false},
        {"\"charge.succeeded\"", 10, "charge.succeeded", 20, false},
        {"{\"a\":\"*\"}", 10, "charge.succeeded", 20, false},
        {"[\"charge.succeeded", 10, "charge.succeeded", 20, false},
        {"", 10, "charge.succeeded", 20, false},
        {NULL, 10, "charge.succeeded", 20, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(endpoint_wants(text_of(rows[i].enabled_events), rows[i].endpoint_created,
                                    text_of(rows[i].type), rows[i].event_created),
                     rows[i].wants, "row %zu: %s", i,
                     rows[i].enabled_events ? rows[i].enabled_events : "no list");
}
