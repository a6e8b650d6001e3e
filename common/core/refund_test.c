#include "refund.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

/* Each row mends one thing in the row above and meets the next verdict. */
Test(refund, errors_come_in_their_order_of_precedence)
{
    static const struct {
        struct refundable charge;
        int64_t asked;
        enum refund_verdict verdict;
    } rows[] = {
        {{true, false, 1000, 1000, 0}, 1001, REFUND_CHARGE_FAILED},
        {{false, false, 1000, 1000, 0}, 1001, REFUND_ALL_GONE},
        {{false, false, 1000, 0, 0}, 999, REFUND_PART_NOT_CAPTURED},
        {{false, false, 1000, 0, 0}, 1001, REFUND_NOT_CAPTURED},
        {{false, true, 1000, 300, 700}, 1001, REFUND_UNDER_WAY},
        {{false, true, 1000, 300, 200}, 501, REFUND_TOO_MUCH},
        {{false, true, 1000, 300, 200}, 500, REFUND_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t granted = -1;
        cr_expect(eq(int, refund_check(&rows[i].charge, rows[i].asked, &granted), rows[i].verdict),
                  "row %zu", i);
        cr_expect(eq(i64, granted, rows[i].verdict == REFUND_OK ? rows[i].asked : -1));
    }
}

Test(refund, without_an_amount_it_is_all_that_is_left)
{
    const struct refundable charge = {false, true, 1000, 300, 200};
    int64_t granted = 0;
    cr_assert(eq(int, refund_check(&charge, 0, &granted), REFUND_OK));
    cr_expect(eq(i64, granted, 500));
}

Test(refund, no_two_grants_ever_come_to_more_than_the_charge)
{
    for (int64_t first = 1; first <= 10; first++)
        for (int64_t second = 1; second <= 10; second++) {
            struct refundable charge = {false, true, 10, 0, 0};
            int64_t granted;
            cr_assert(eq(int, refund_check(&charge, first, &granted), REFUND_OK));
            charge.refunding += granted;
            const enum refund_verdict verdict = refund_check(&charge, second, &granted);
            cr_expect(eq(int, verdict == REFUND_OK, first + second <= 10));
        }
}

/* --- its life --------------------------------------------------------------------------------- */

/* Every (state, event) pair, once more by hand: what is not here is refused. */
// clang-format off
static const struct {
    const char *from;
    enum refund_event event;
    const char *to;
    uint32_t effects;
} legal[] = {
    {"asked",     REFUND_ON_TAKEN,    "pending",   REFUND_BOOK | REFUND_TELL},
    {"asked",     REFUND_ON_DONE,     "succeeded", REFUND_BOOK | REFUND_TELL},
    {"asked",     REFUND_ON_REFUSED,  "failed",    REFUND_TELL},
    {"pending",   REFUND_ON_TAKEN,    "pending",   0},
    {"pending",   REFUND_ON_DONE,     "succeeded", REFUND_TELL},
    {"pending",   REFUND_ON_RETURNED, "failed",    REFUND_CREDIT | REFUND_TELL},
    {"pending",   REFUND_ON_RECALLED, "canceled",  REFUND_CREDIT | REFUND_TELL},
    {"pending",   REFUND_ON_EXPIRED,  "failed",    REFUND_CREDIT | REFUND_TELL},
    {"succeeded", REFUND_ON_DONE,     "succeeded", 0},
    {"succeeded", REFUND_ON_RETURNED, "failed",    REFUND_CREDIT | REFUND_TELL},
};
// clang-format on

Test(refund, every_pair_goes_where_it_must_or_nowhere)
{
    for (int s = REFUND_NOWHERE + 1; s < REFUND_STATE_COUNT; s++)
        for (int e = 0; e < REFUND_EVENT_COUNT; e++) {
            const char *from = refund_state_name((enum refund_state)s), *to = "";
            uint32_t effects = 99, expected = 0;
            for (size_t i = 0; i < sizeof legal / sizeof legal[0]; i++)
                if (text_is(text_of(from), legal[i].from) && e == (int)legal[i].event) {
                    to = legal[i].to;
                    expected = legal[i].effects;
                }
            const enum refund_state next =
                refund_step((enum refund_state)s, (enum refund_event)e, &effects);
            cr_expect(eq(str, (char *)(next ? refund_state_name(next) : ""), (char *)to),
                      "%s, event %d", from, e);
            cr_expect(eq(u32, effects, expected), "%s, event %d", from, e);
        }
}

/* On every way what was booked is credited at most once, and only after it was booked. */
Test(refund, what_is_credited_was_booked_once)
{
    struct {
        enum refund_state state;
        int booked;
    } open[64] = {{REFUND_IS_ASKED, 0}};
    size_t count = 1;
    for (size_t at = 0; at < count; at++)
        for (int e = 0; e < REFUND_EVENT_COUNT; e++) {
            uint32_t effects;
            const enum refund_state next =
                refund_step(open[at].state, (enum refund_event)e, &effects);
            const int booked =
                open[at].booked + ((effects & REFUND_BOOK) != 0) - ((effects & REFUND_CREDIT) != 0);
            if (next == REFUND_NOWHERE) continue;
            cr_expect(booked == 0 || booked == 1);
            cr_expect(eq(int, booked, next == REFUND_IS_PENDING || next == REFUND_IS_SUCCEEDED));
            bool seen = false;
            for (size_t i = 0; i < count; i++)
                seen |= open[i].state == next && open[i].booked == booked;
            if (!seen) {
                open[count].state = next;
                open[count++].booked = booked;
            }
        }
    cr_expect(eq(sz, count, REFUND_STATE_COUNT - 1), "every state is reached");
}

Test(refund, its_status_and_an_answer_say_where_it_stands)
{
    for (int s = REFUND_NOWHERE + 1; s < REFUND_STATE_COUNT; s++) {
        const enum refund_state state = (enum refund_state)s;
        cr_expect(
            eq(int, refund_state_of(text_of(refund_status(state)), state != REFUND_IS_ASKED), s));
    }
    cr_expect(eq(int, refund_state_of(TEXT("lost"), true), REFUND_NOWHERE));
    cr_expect(eq(int, refund_state_of(NO_TEXT, false), REFUND_NOWHERE));
}
