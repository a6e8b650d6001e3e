#include "setup_intent.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

/* Every (state, event) pair: the number of legal ones is stated once more, by hand. */
Test(setup_intent, every_pair_is_legal_or_without_effect)
{
    int legal = 0;
    for (int s = SI_NOWHERE + 1; s < SI_STATE_COUNT; s++)
        for (int e = 0; e < SI_EVENT_COUNT; e++) {
            uint32_t effects = 99;
            const enum si_state next = si_step((enum si_state)s, (enum si_event)e, &effects);
            if (next == SI_NOWHERE) {
                cr_expect(zero(u32, effects));
                continue;
            }
            legal++;
            cr_expect(s != SI_SUCCEEDED && s != SI_CANCELED, "a final state has no way out");
            cr_expect(eq(int, (effects & SI_KEEP_METHOD) != 0, next == SI_SUCCEEDED));
            cr_expect(eq(int, (effects & SI_ASK_NETWORK) != 0, next == SI_PROCESSING));
        }
    cr_expect(eq(int, legal, 15));
}

Test(setup_intent, every_state_can_be_reached_and_is_named)
{
    bool seen[SI_STATE_COUNT] = {[SI_NEEDS_METHOD] = true};
    for (int round = 0; round < SI_STATE_COUNT; round++)
        for (int s = SI_NOWHERE + 1; s < SI_STATE_COUNT; s++)
            for (int e = 0; e < SI_EVENT_COUNT && seen[s]; e++) {
                uint32_t effects;
                seen[si_step((enum si_state)s, (enum si_event)e, &effects)] = true;
            }
    for (int s = SI_NOWHERE + 1; s < SI_STATE_COUNT; s++) {
        const char *name = si_state_name((enum si_state)s);
        cr_expect(seen[s], "%s is never reached", name);
        cr_expect(eq(int, si_state_named(text_of(name)), s));
    }
    cr_expect(eq(int, si_state_named(TEXT("succeede")), SI_NOWHERE));
    cr_expect(eq(int, si_state_named(NO_TEXT), SI_NOWHERE));
}

Test(setup_intent, the_network_is_asked_before_anything_is_kept)
{
    uint32_t effects;
    cr_expect(eq(int, si_step(SI_NEEDS_CONFIRM, SI_ON_VERIFIED, &effects), SI_NOWHERE));
    cr_expect(eq(int, si_step(SI_NEEDS_ACTION, SI_ON_VERIFIED, &effects), SI_NOWHERE));
    cr_expect(eq(int, si_step(SI_PROCESSING, SI_ON_CANCEL, &effects), SI_NOWHERE));
}
