#include "charge.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

/* Every (state, event) pair, once more by hand: what is not here is refused. */
// clang-format off
static const struct edge {
    const char *from;
    enum charge_event event;
    const char *to;
} legal[] = {
    {"pending",  CHARGE_ON_HELD,          "held"},
    {"pending",  CHARGE_ON_PAID,          "captured"},
    {"pending",  CHARGE_ON_DECLINED,      "failed"},
    {"held",     CHARGE_ON_INCREMENTED,   "held"},
    {"held",     CHARGE_ON_CAPTURED_PART, "held"},
    {"held",     CHARGE_ON_CAPTURED,      "captured"},
    {"held",     CHARGE_ON_RELEASED,      "released"},
    {"held",     CHARGE_ON_RELEASED_REST, "captured"},
    {"captured", CHARGE_ON_REFUNDED_PART, "captured"},
    {"captured", CHARGE_ON_REFUNDED_ALL,  "refunded"},
    {"captured", CHARGE_ON_REFUND_BACK,   "captured"},
    {"refunded", CHARGE_ON_REFUND_BACK,   "captured"},
};
// clang-format on

static const char *
expected(const char *from, enum charge_event event)
{
    for (size_t i = 0; i < sizeof legal / sizeof legal[0]; i++)
        if (text_is(text_of(from), legal[i].from) && event == legal[i].event) return legal[i].to;
    return "";
}

Test(charge, every_pair_goes_where_it_must_or_nowhere)
{
    for (int s = CHARGE_NOWHERE + 1; s < CHARGE_STATE_COUNT; s++)
        for (int e = 0; e < CHARGE_EVENT_COUNT; e++) {
            const char *from = charge_state_name((enum charge_state)s);
            const enum charge_state next = charge_step((enum charge_state)s, (enum charge_event)e);
            cr_expect(eq(str, (char *)(next ? charge_state_name(next) : ""),
                         (char *)expected(from, (enum charge_event)e)),
                      "%s, event %d", from, e);
        }
}

Test(charge, what_is_shown_says_where_it_stands)
{
    for (int s = CHARGE_NOWHERE + 1; s < CHARGE_STATE_COUNT; s++) {
        const struct charge_shown shown = charge_shown((enum charge_state)s);
        cr_expect(
            eq(int,
               charge_state_of(text_of(shown.status), shown.paid, shown.captured, shown.refunded),
               s),
            "two states would look alike");
        cr_expect(zero(int, shown.captured && !shown.paid), "what was not paid cannot be captured");
    }
    cr_expect(eq(int, charge_state_of(TEXT("failed"), true, false, false), CHARGE_NOWHERE));
    cr_expect(eq(int, charge_state_of(NO_TEXT, false, false, false), CHARGE_NOWHERE));
}

Test(charge, every_state_can_be_reached)
{
    bool seen[CHARGE_STATE_COUNT] = {[CHARGE_PENDING] = true};
    for (int round = 0; round < CHARGE_STATE_COUNT; round++)
        for (int s = CHARGE_NOWHERE + 1; s < CHARGE_STATE_COUNT; s++)
            for (int e = 0; e < CHARGE_EVENT_COUNT && seen[s]; e++)
                seen[charge_step((enum charge_state)s, (enum charge_event)e)] = true;
    for (int s = CHARGE_NOWHERE + 1; s < CHARGE_STATE_COUNT; s++)
        cr_expect(seen[s], "%s is never reached", charge_state_name((enum charge_state)s));
}

/* The network is asked once: what it said of the asking is never said again. */
Test(charge, nobody_becomes_pending_again_and_what_failed_stays_so)
{
    for (int s = CHARGE_NOWHERE + 1; s < CHARGE_STATE_COUNT; s++)
        for (int e = 0; e < CHARGE_EVENT_COUNT; e++) {
            const enum charge_state next = charge_step((enum charge_state)s, (enum charge_event)e);
            cr_expect(ne(int, next, CHARGE_PENDING));
            if (s == CHARGE_FAILED || s == CHARGE_RELEASED)
                cr_expect(eq(int, next, CHARGE_NOWHERE));
        }
}
