#include "risk.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

Test(risk, what_was_not_weighed_is_of_normal_risk)
{
    cr_expect(eq(i64, risk_numbered(RISK_NOT_WEIGHED)->number, RISK_NORMAL));
    cr_expect(eq(i64, risk_numbered(63)->number, RISK_NORMAL));
}

/* The bounds of the levels are Stripe's: elevated from 65, highest from 75. */
Test(risk, every_score_is_within_its_level)
{
    for (uint64_t number = RISK_NORMAL; number <= RISK_BLOCKED; number++) {
        const struct risk *risk = risk_numbered(number);
        const char *level = risk->score >= 75   ? "highest"
                            : risk->score >= 65 ? "elevated"
                                                : "normal";
        cr_assert(eq(i64, risk->number, (int64_t)number));
        cr_expect(eq(str, (char *)risk->level, (char *)level));
        cr_expect(risk->score >= 0 && risk->score < 100);
        cr_expect(eq(int, strcmp(risk->type, "blocked") == 0, number == RISK_BLOCKED));
    }
}
