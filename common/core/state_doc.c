/* Prints docs/STATES.md: the state machines, drawn by asking them.
 *
 *     statedoc > docs/STATES.md */
#include "attempt.h"
#include "charge.h"
#include "payment_intent.h"
#include "refund.h"
#include "setup_intent.h"

#include <ctype.h>
#include <stdio.h>

/* One machine, as far as a picture wants to know it. */
struct machine {
    const char *title, *words;
    int first, start, state_count, event_count;
    const char *(*state_name)(int state);
    const char *(*event_name)(int event);
    const char *(*event_doc)(int event);
    /* The state that follows, 0: none; `effects` in words. */
    int (*step)(int state, int event, const char **effects);
};

/* --- payments -------------------------------------------------------------------------------- */

#define AS_NAME(name, doc) #name,
static const char *const pi_event_names[] = {PI_EVENTS(AS_NAME)};
static const char *const si_event_names[] = {SI_EVENTS(AS_NAME)};
static const char *const charge_event_names[] = {CHARGE_EVENTS(AS_NAME)};
static const char *const refund_event_names[] = {REFUND_EVENTS(AS_NAME)};
#undef AS_NAME
#define AS_DOC(name, doc) doc,
static const char *const pi_event_docs[] = {PI_EVENTS(AS_DOC)};
static const char *const si_event_docs[] = {SI_EVENTS(AS_DOC)};
static const char *const charge_event_docs[] = {CHARGE_EVENTS(AS_DOC)};
static const char *const refund_event_docs[] = {REFUND_EVENTS(AS_DOC)};
#undef AS_DOC

static const char *
pi_name(int state)
{
    return pi_state_name((enum pi_state)state);
}

static const char *
pi_event_name(int event)
{
    return pi_event_names[event];
}

static const char *
pi_event_doc(int event)
{
    return pi_event_docs[event];
}

/* "a, b" of what stands in the set. */
static const char *
set_words(uint32_t set, const char *const words[])
{
    static char out[128];
    size_t size = 0;
    out[0] = '\0';
    for (int bit = 0; words[bit]; bit++)
        if (set >> bit & 1)
            size += (size_t)snprintf(out + size, sizeof out - size, "%s%s", size ? ", " : "",
                                     words[bit]);
    return out;
}

static int
pi_follow(int state, int event, const char **effects)
{
    static const char *const words[] = {"ask the network",  "book the hold", "book the sale",
                                        "release the hold", "tell",          NULL};
    struct payment_intent now = {.state = (enum pi_state)state}, next;
    uint32_t set;
    if (state == PI_NEEDS_CAPTURE || state == PI_SUCCEEDED) now.held = 1;
    if (state == PI_SUCCEEDED) now.captured = 1;
    const enum pi_verdict verdict = pi_step(&now, (enum pi_event)event, 1, &next, &set);
    *effects = set_words(set, words);
    return verdict == PI_OK ? (int)next.state : 0;
}

/* --- set-ups --------------------------------------------------------------------------------- */

static const char *
si_name(int state)
{
    return si_state_name((enum si_state)state);
}

static const char *
si_event_name(int event)
{
    return si_event_names[event];
}

static const char *
si_event_doc(int event)
{
    return si_event_docs[event];
}

static int
si_follow(int state, int event, const char **effects)
{
    static const char *const words[] = {"ask the network", "keep the method", "tell", NULL};
    uint32_t set;
    const enum si_state next = si_step((enum si_state)state, (enum si_event)event, &set);
    *effects = set_words(set, words);
    return (int)next;
}

/* --- charges --------------------------------------------------------------------------------- */

static const char *
charge_name(int state)
{
    return charge_state_name((enum charge_state)state);
}

static const char *
charge_event_name(int event)
{
    return charge_event_names[event];
}

static const char *
charge_event_doc(int event)
{
    return charge_event_docs[event];
}

static int
charge_follow(int state, int event, const char **effects)
{
    *effects = "";
    return (int)charge_step((enum charge_state)state, (enum charge_event)event);
}

/* --- refunds --------------------------------------------------------------------------------- */

static const char *
refund_name(int state)
{
    return refund_state_name((enum refund_state)state);
}

static const char *
refund_event_name(int event)
{
    return refund_event_names[event];
}

static const char *
refund_event_doc(int event)
{
    return refund_event_docs[event];
}

static int
refund_follow(int state, int event, const char **effects)
{
    static const char *const words[] = {"book it", "credit it", "tell", NULL};
    uint32_t set;
    const enum refund_state next =
        refund_step((enum refund_state)state, (enum refund_event)event, &set);
    *effects = set_words(set, words);
    return (int)next;
}

/* --- attempts -------------------------------------------------------------------------------- */

static const char *
attempt_name(int state)
{
    return attempt_state_name((enum attempt_state)state);
}

static const char *
attempt_event(int event)
{
    return attempt_event_name((enum attempt_event)event);
}

static int
attempt_follow(int state, int event, const char **effects)
{
    *effects = "";
    return (int)attempt_step((enum attempt_state)state, (enum attempt_event)event);
}

/* --- printing -------------------------------------------------------------------------------- */

static void
print_lower(const char *word)
{
    for (; *word; word++)
        putchar(tolower((unsigned char)*word));
}

static bool
has_way_out(const struct machine *m, int state)
{
    const char *effects;
    for (int e = 0; e < m->event_count; e++)
        if (m->step(state, e, &effects)) return true;
    return false;
}

static void
print_picture(const struct machine *m)
{
    const char *effects;
    printf("```mermaid\nstateDiagram-v2\n");
    if (m->start) printf("    [*] --> %s\n", m->state_name(m->start));
    for (int s = m->first; s < m->state_count; s++) {
        for (int e = 0; e < m->event_count; e++) {
            const int next = m->step(s, e, &effects);
            if (!next) continue;
            printf("    %s --> %s: ", s ? m->state_name(s) : "[*]", m->state_name(next));
            print_lower(m->event_name(e));
            printf("\n");
        }
        if (!has_way_out(m, s)) printf("    %s --> [*]\n", m->state_name(s));
    }
    printf("```\n\n");
}

static void
print_table(const struct machine *m)
{
    const char *effects;
    printf("| from | when | to | and |\n|---|---|---|---|\n");
    for (int s = m->first; s < m->state_count; s++)
        for (int e = 0; e < m->event_count; e++) {
            const int next = m->step(s, e, &effects);
            if (!next) continue;
            printf("| %s | ", s ? m->state_name(s) : "");
            print_lower(m->event_name(e));
            printf(" | %s | %s |\n", m->state_name(next), effects);
        }
    printf("\nEverything else is refused.\n\n");
    if (!m->event_doc) return;
    printf("| event | |\n|---|---|\n");
    for (int e = 0; e < m->event_count; e++) {
        printf("| ");
        print_lower(m->event_name(e));
        printf(" | %s |\n", m->event_doc(e));
    }
    printf("\n");
}

int
main(void)
{
    static const struct machine machines[] = {
        {"Payments", "`payment_intent.c`. What is held is booked when it begins and when it ends.",
         PI_NOWHERE + 1, PI_NEEDS_METHOD, PI_STATE_COUNT, PI_EVENT_COUNT, pi_name, pi_event_name,
         pi_event_doc, pi_follow},
        {"Set-ups", "`setup_intent.c`. A card is made ready for later payments; no money moves.",
         SI_NOWHERE + 1, SI_NEEDS_METHOD, SI_STATE_COUNT, SI_EVENT_COUNT, si_name, si_event_name,
         si_event_doc, si_follow},
        {"Charges",
         "`charge.c`. One try to take money. The API shows a status and three flags: pending is "
         "`pending`, failed is `failed`, all others are `succeeded` and `paid`; captured and "
         "refunded are `captured`, refunded and released are `refunded`.",
         CHARGE_NOWHERE + 1, CHARGE_PENDING, CHARGE_STATE_COUNT, CHARGE_EVENT_COUNT, charge_name,
         charge_event_name, charge_event_doc, charge_follow},
        {"Refunds",
         "`refund.c`. Money given back. The API shows asked as `pending`. What is booked is the "
         "merchant's loss from the moment that the network has taken it; what does not come to "
         "pass is credited.",
         REFUND_NOWHERE + 1, REFUND_IS_ASKED, REFUND_STATE_COUNT, REFUND_EVENT_COUNT, refund_name,
         refund_event_name, refund_event_doc, refund_follow},
        {"Attempts",
         "`attempt.c`. One operation that leaves the house. The ledger holds every write of an "
         "attempt against this.",
         ATTEMPT_NONE, 0, ATTEMPT_STATE_COUNT, ATTEMPT_EVENT_COUNT, attempt_name, attempt_event,
         NULL, attempt_follow},
    };
    printf("# States\n\nMade by `statedoc`, which asks the state machines of `common/core`; not to "
           "be edited.\n\n");
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
        printf("## %s\n\n%s\n\n", machines[i].title, machines[i].words);
        print_picture(&machines[i]);
        print_table(&machines[i]);
    }
    printf(
        "## Challenges\n\nA challenge is open until the payer answers on its page, once: passed "
        "or failed. It counts only while its payment or set-up still waits for it, and not after "
        "its time (`challenge_expiry_s`): then it has failed, whether somebody comes late or "
        "nobody "
        "does.\n");
    return 0;
}
