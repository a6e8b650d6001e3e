#include "payment_intent.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

/* A payment as it can stand in that state: only one that waits for its capture holds anything
 * that is not taken. */
static struct payment_intent
standing_at(int state)
{
    struct payment_intent now = {.state = (enum pi_state)state};
    if (state == PI_NEEDS_CAPTURE || state == PI_SUCCEEDED) now.held = 1000;
    if (state == PI_SUCCEEDED) now.captured = 1000;
    return now;
}

/* Every (state, event) pair, the legal and the refused: a table that grows without its test fails
 * here, because the number of legal pairs is stated once more, by hand. */
Test(payment_intent, every_pair_is_legal_or_leaves_the_payment_alone)
{
    int legal = 0;
    for (int s = PI_NOWHERE + 1; s < PI_STATE_COUNT; s++) {
        for (int e = 0; e < PI_EVENT_COUNT; e++) {
            const struct payment_intent now = standing_at(s);
            struct payment_intent next;
            uint32_t effects;
            enum pi_verdict v = pi_step(&now, (enum pi_event)e, 500, &next, &effects);
            if (v == PI_OK) {
                legal++;
                cr_expect(s != PI_SUCCEEDED && s != PI_CANCELED, "a final state has no way out");
                continue;
            }
            cr_expect(eq(int, v,
                         s == PI_NEEDS_CAPTURE && e == ON_RELEASED ? PI_NOT_CAPTURED_IN_PART
                                                                   : PI_WRONG_STATE));
            cr_expect(eq(int, next.state, s));
            cr_expect(eq(i64, next.held, now.held));
            cr_expect(zero(u32, effects));
        }
    }
    cr_expect(eq(int, legal, 22));
}

Test(payment_intent, every_state_can_be_reached)
{
    bool seen[PI_STATE_COUNT] = {[PI_NEEDS_METHOD] = true};
    for (int round = 0; round < PI_STATE_COUNT; round++)
        for (int s = PI_NOWHERE + 1; s < PI_STATE_COUNT; s++)
            for (int e = 0; e < PI_EVENT_COUNT && seen[s]; e++) {
                const struct payment_intent now = standing_at(s);
                struct payment_intent next;
                uint32_t effects;
                if (pi_step(&now, (enum pi_event)e, 1, &next, &effects) == PI_OK)
                    seen[next.state] = true;
            }
    for (int s = PI_NOWHERE + 1; s < PI_STATE_COUNT; s++)
        cr_expect(seen[s], "%s is never reached", pi_state_name((enum pi_state)s));
}

Test(payment_intent, errors_come_in_their_order_of_precedence)
{
    const struct payment_intent held = {.state = PI_NEEDS_CAPTURE, .held = 1000};
    const struct payment_intent done = {.state = PI_SUCCEEDED, .held = 1000, .captured = 1000};
    struct payment_intent next;
    uint32_t effects;
    cr_expect(eq(int, pi_step(&done, ON_CAPTURE, -1, &next, &effects), PI_WRONG_STATE));
    cr_expect(eq(int, pi_step(&held, ON_CAPTURE, 0, &next, &effects), PI_AMOUNT_NOT_POSITIVE));
    cr_expect(eq(int, pi_step(&held, ON_CAPTURE, 1001, &next, &effects), PI_AMOUNT_ABOVE_HOLD));
    cr_expect(eq(int, pi_step(&held, ON_CAPTURE, 1000, &next, &effects), PI_OK));
    cr_expect(eq(u32, effects, RELEASE_HOLD | POST_CHARGE | TELL));
}

Test(payment_intent, a_capture_in_part_gives_the_rest_of_the_hold_back)
{
    const struct payment_intent held = {.state = PI_NEEDS_CAPTURE, .held = 1000};
    struct payment_intent next;
    uint32_t effects;
    cr_assert(eq(int, pi_step(&held, ON_CAPTURE, 400, &next, &effects), PI_OK));
    cr_expect(eq(int, next.state, PI_SUCCEEDED));
    cr_expect(eq(i64, next.captured, 400));
    cr_expect(eq(i64, next.held, 400));
}

Test(payment_intent, parts_are_captured_until_the_last_one_or_until_the_rest_is_released)
{
    const struct payment_intent held = {.state = PI_NEEDS_CAPTURE, .held = 1000};
    struct payment_intent part, next;
    uint32_t effects;
    cr_assert(eq(int, pi_step(&held, ON_CAPTURE_PART, 400, &part, &effects), PI_OK));
    cr_expect(eq(int, part.state, PI_NEEDS_CAPTURE));
    cr_expect(eq(i64, part.captured, 400));
    cr_expect(eq(i64, part.held, 1000));
    cr_expect(eq(int, pi_step(&part, ON_CAPTURE_PART, 601, &next, &effects), PI_AMOUNT_ABOVE_HOLD));
    cr_expect(eq(int, pi_step(&part, ON_CANCEL, 0, &next, &effects), PI_CAPTURED_IN_PART));
    cr_expect(eq(int, pi_step(&part, ON_INCREMENTED, 1, &next, &effects), PI_CAPTURED_IN_PART));
    cr_assert(eq(int, pi_step(&part, ON_CAPTURE, 100, &next, &effects), PI_OK));
    cr_expect(eq(int, next.state, PI_SUCCEEDED));
    cr_expect(eq(i64, next.captured, 500));
    cr_assert(eq(int, pi_step(&part, ON_RELEASED, 0, &next, &effects), PI_OK));
    cr_expect(eq(int, next.state, PI_SUCCEEDED));
    cr_expect(eq(i64, next.held, 400));
    cr_expect(eq(u32, effects, RELEASE_HOLD | TELL));
}

Test(payment_intent, an_increment_holds_more)
{
    const struct payment_intent held = {.state = PI_NEEDS_CAPTURE, .held = 1000};
    struct payment_intent next;
    uint32_t effects;
    cr_assert(eq(int, pi_step(&held, ON_INCREMENTED, 500, &next, &effects), PI_OK));
    cr_expect(eq(i64, next.held, 1500));
    cr_expect(eq(int, next.state, PI_NEEDS_CAPTURE));
    cr_expect(eq(u32, effects, POST_HOLD | TELL));
}

Test(payment_intent, nothing_is_taken_or_held_by_a_payment_that_ends_without_success)
{
    const struct payment_intent held = {.state = PI_NEEDS_CAPTURE, .held = 1000};
    const struct payment_intent asked = {.state = PI_PROCESSING};
    struct payment_intent next;
    uint32_t effects;
    cr_assert(eq(int, pi_step(&held, ON_CANCEL, 0, &next, &effects), PI_OK));
    cr_expect(zero(i64, next.held));
    cr_expect(zero(i64, next.captured));
    cr_assert(eq(int, pi_step(&asked, ON_DECLINED, 0, &next, &effects), PI_OK));
    cr_expect(eq(int, next.state, PI_NEEDS_METHOD));
    cr_expect(zero(i64, next.held));
}

Test(payment_intent, a_state_is_found_by_its_name_and_nothing_else_is)
{
    for (int s = PI_NOWHERE + 1; s < PI_STATE_COUNT; s++)
        cr_expect(eq(int, pi_state_named(text_of(pi_state_name((enum pi_state)s))), s));
    cr_expect(eq(int, pi_state_named(TEXT("succeede")), PI_NOWHERE));
    cr_expect(eq(int, pi_state_named(NO_TEXT), PI_NOWHERE));
}
