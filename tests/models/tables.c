/* Prints a Promela process that holds florin.pml against the C code: the functions that Florin runs
 * are asked about every case there is, and each answer becomes an assertion about the macro that
 * the models use. A table that changes in C and not in the models fails the next run.
 *
 *     tables > drift.pml && spin -T drift.pml                                                    */
#include "attempt.h"
#include "books.h"
#include "operations.h"
#include "owners.h"
#include "payment_intent.h"
#include "refund.h"
#include "worker.h"

#include <stdio.h>
#include <string.h>

static unsigned count;

/* As pairs of procs of moderate size: SPIN minds one of some thousand statements. */
#define SAY(...) (printf("    assert(" __VA_ARGS__), printf(");\n"), count++)
#define NAME(name, value) SAY(#name " == %d", (int)(value))

static void
say_attempts(void)
{
    NAME(NONE, ATTEMPT_NONE);
    NAME(SENDING, ATTEMPT_SENDING);
    NAME(UNKNOWN, ATTEMPT_UNKNOWN);
    NAME(REVERSING, ATTEMPT_REVERSING);
    NAME(APPROVED, ATTEMPT_APPROVED);
    NAME(DECLINED, ATTEMPT_DECLINED);
    NAME(REVERSED, ATTEMPT_REVERSED);
    NAME(NEVER_SENT, ATTEMPT_NEVER_SENT);
    NAME(CHALLENGED, ATTEMPT_CHALLENGED);
    NAME(ON_BEGIN, ATTEMPT_ON_BEGIN);
    NAME(ON_APPROVED, ATTEMPT_ON_ANSWERED_APPROVED);
    NAME(ON_DECLINED, ATTEMPT_ON_ANSWERED_DECLINED);
    NAME(ON_NEVER_SENT, ATTEMPT_ON_ANSWERED_NEVER_SENT);
    NAME(ON_REVERSED, ATTEMPT_ON_ANSWERED_REVERSED);
    NAME(ON_TAKEN_OVER, ATTEMPT_ON_TAKEN_OVER);
    NAME(ON_NOT_FOUND, ATTEMPT_ON_NOT_FOUND);
    NAME(ON_CHALLENGED, ATTEMPT_ON_ANSWERED_CHALLENGED);
    for (int s = 0; s < ATTEMPT_STATE_COUNT; s++) {
        const enum attempt_state state = (enum attempt_state)s;
        SAY("OPEN(%d) == %d", s, attempt_is_open(state));
        for (int e = 0; e < ATTEMPT_EVENT_COUNT; e++)
            SAY("ATTEMPT_STEP(%d, %d) == %d", s, e,
                (int)attempt_step(state, (enum attempt_event)e));
        for (int to = 0; to < ATTEMPT_STATE_COUNT; to++)
            SAY("ATTEMPT_MAY_GO(%d, %d) == %d", s, to,
                attempt_may_go(state, (enum attempt_state)to));
    }
}

/* --- the ledger ------------------------------------------------------------------------------- */

static const struct table attempt_table = {.number = ROW_attempt};

/* A command that replaces version 1 of an attempt that is being sent, sent by who owns the slot or
 * does not, with a key that stands as it may. */
static int
verdict(int claim, int repeated, int key, int same, int owns, int rows, int may)
{
    static struct books books;
    struct row_attempt attempt = {.id = TEXT("att_1"),
                                  .state = may ? TEXT("unknown") : TEXT("reversing")};
    struct command_row row = {.table = &attempt_table, .version = 1, .row = &attempt};
    struct command c = {.rows = &row, .row_count = 1, .slot = 5, .sender = "payments-1"};
    const struct key_row stored = {
        .found = key != 0,
        .status = key >= 2 ? 200 : 0,
        .request_hash = key == 3 ? TEXT("another") : TEXT("hash"),
        .path = TEXT("POST /v1/payment_intents"),
        .command = same ? TEXT("this command") : TEXT("another"),
    };
    row.now = (struct version){1 + rows, rows == 1 ? attempt_state_named(attempt.state) : ATTEMPT_SENDING};
    c.commit.claim = (uint64_t)claim;
    c.commit.repeated = (uint64_t)repeated;
    c.commit.id = TEXT("this command");
    c.commit.request_hash = TEXT("hash");
    c.commit.path = TEXT("POST /v1/payment_intents");
    c.commit.epoch = 7;
    books.slots[5] = (struct slot){7, 1, "payments-1"};
    if (!owns) books.slots[5].epoch = 8;
    const int first = (int)books_verdict(&books, &c, &stored);
    /* The epoch may be right and the owner another. */
    if (!owns) {
        books.slots[5] = (struct slot){7, 1, "payments-2"};
        if ((int)books_verdict(&books, &c, &stored) != first) return -1;
    }
    /* Elsewhere is also where the version is right and the state another's. */
    if (rows == 2) {
        row.now = (struct version){2, ATTEMPT_APPROVED};
        if ((int)books_verdict(&books, &c, &stored) != first) return -1;
    }
    return first;
}

static void
say_verdicts(void)
{
    NAME(COMMIT_DONE, COMMIT_DONE);
    NAME(COMMIT_FENCED, COMMIT_FENCED);
    NAME(COMMIT_BUSY, COMMIT_BUSY);
    NAME(COMMIT_ANSWERED, COMMIT_ANSWERED);
    NAME(COMMIT_OPEN, COMMIT_OPEN);
    NAME(COMMIT_MISMATCH, COMMIT_MISMATCH);
    NAME(COMMIT_STALE, COMMIT_STALE);
    NAME(COMMIT_REJECTED, COMMIT_REJECTED);
    for (int i = 0; i < 3 * 2 * 4 * 2 * 2 * 3 * 2; i++) {
        int rest = i;
        const int claim = rest % 3, repeated = (rest /= 3) % 2, key = (rest /= 2) % 4;
        const int same = (rest /= 4) % 2, owns = (rest /= 2) % 2, rows = (rest /= 2) % 3;
        const int may = rest / 3;
        SAY("BOOKS(%d, %d, %d, %d, %d, %d, %d) == %d", claim, repeated, key, same, owns, rows, may,
            verdict(claim, repeated, key, same, owns, rows, may));
    }
}

/* --- the worker ------------------------------------------------------------------------------- */

static void
say_worker(void)
{
    NAME(AIM_BEGIN, AIM_BEGIN);
    NAME(AIM_TAKE, AIM_TAKE);
    NAME(AIM_REVERSE, AIM_REVERSE);
    NAME(AIM_FINISH, AIM_FINISH);
    NAME(AFTER_GO_ON, AFTER_GO_ON);
    NAME(AFTER_LOST, AFTER_LOST);
    NAME(AFTER_BUSY, AFTER_BUSY);
    NAME(AFTER_REPEAT, AFTER_REPEAT);
    NAME(AFTER_REPLAY, AFTER_REPLAY);
    NAME(AFTER_IN_USE, AFTER_IN_USE);
    NAME(AFTER_MISMATCH, AFTER_MISMATCH);
    NAME(AFTER_RERUN, AFTER_RERUN);
    NAME(AFTER_RESUME, AFTER_RESUME);
    NAME(AFTER_PAUSE, AFTER_PAUSE);
    NAME(AFTER_FAIL, AFTER_FAIL);
    for (int aim = AIM_BEGIN; aim <= AIM_FINISH; aim++)
        for (int v = COMMIT_DONE; v <= COMMIT_REJECTED; v++)
            for (int repeated = 0; repeated < 2; repeated++)
                SAY("AFTER(%d, %d, %d) == %d", aim, v, repeated,
                    (int)commit_after((enum aim)aim, (uint64_t)v, repeated, repeated));

    NAME(SAYS_APPROVED, OUTCOME_APPROVED);
    NAME(SAYS_DECLINED, OUTCOME_DECLINED);
    NAME(SAYS_NOT_FOUND, OUTCOME_NOT_FOUND);
    NAME(SAYS_REVERSED, OUTCOME_REVERSED);
    NAME(SAYS_NEVER_SENT, OUTCOME_NEVER_SENT);
    NAME(SAYS_CHALLENGED, OUTCOME_CHALLENGED);
    NAME(ASKED_OPERATION, ASKED_OPERATION);
    NAME(ASKED_INQUIRY, ASKED_INQUIRY);
    NAME(ASKED_REVERSAL, ASKED_REVERSAL);
    NAME(NEXT_AGAIN, NEXT_AGAIN);
    NAME(NEXT_FINISH, NEXT_FINISH);
    NAME(NEXT_RECOVER, NEXT_RECOVER);
    NAME(NEXT_REVERSE, NEXT_REVERSE);
    static const int outcomes[] = {OUTCOME_APPROVED, OUTCOME_DECLINED,   OUTCOME_NOT_FOUND,
                                   OUTCOME_REVERSED, OUTCOME_NEVER_SENT, OUTCOME_CHALLENGED};
    for (int asked = ASKED_OPERATION; asked <= ASKED_REVERSAL; asked++)
        for (size_t o = 0; o < sizeof outcomes / sizeof outcomes[0]; o++)
            SAY("NEXT(%d, %d) == %d", asked, outcomes[o],
                (int)attempt_next((enum asked)asked, (uint64_t)outcomes[o]));
}

/* --- the network: its own operations over a book of a few records -------------------------------
 */

static struct network_record records[4];

bool
book_find(struct book *book, struct text reference, struct network_record *record)
{
    (void)book;
    memset(record, 0, sizeof *record);
    for (size_t i = 0; i < 4; i++)
        if (*records[i].reference && text_is(reference, records[i].reference)) {
            *record = records[i];
            return true;
        }
    return false;
}

void
book_put(struct book *book, const struct network_record *record)
{
    size_t at = 0;
    (void)book;
    while (at < 3 && *records[at].reference &&
           strcmp(records[at].reference, record->reference) != 0)
        at++;
    records[at] = *record;
}

/* What one operation with a reference of its own answers, on an authorization that stands so. */
static int
follows(int operation, int held, int captured, int refunded, int amount)
{
    static const struct operation_names names = {"n", "a", "s", 1, 0};
    struct network_record record;
    const struct msg_network_request request = {
        .has = HAS_network_request_original | HAS_network_request_amount |
               HAS_network_request_currency,
        .reference = TEXT("follower"),
        .operation = (uint64_t)operation,
        .original = TEXT("first"),
        .amount = amount,
        .currency = TEXT("usd"),
        .merchant = TEXT("acct"),
    };
    memset(records, 0, sizeof records);
    records[0] = (struct network_record){.operation = NETWORK_AUTHORIZE,
                                         .state = NETWORK_STATE_APPROVED,
                                         .amount = 2,
                                         .held = held,
                                         .captured = captured,
                                         .refunded = refunded};
    strcpy(records[0].reference, "first");
    strcpy(records[0].merchant, "acct");
    strcpy(records[0].currency, "usd");
    return operation_do(NULL, &request, NULL, &names, &record) == OUTCOME_APPROVED;
}

/* Where a reference goes that stands in `state`; `issuer`: the state that it would get. */
static int
goes(int operation, int state, int issuer, int *says)
{
    static const struct operation_names names = {"n", "a", "s", 1, 0};
    struct network_record record;
    const struct issuer_answer answer = {.approves = issuer == NETWORK_STATE_APPROVED,
                                         .challenges = issuer == NETWORK_STATE_CHALLENGED,
                                         .code = "",
                                         .cvc_check = "unchecked",
                                         .postal_check = "unchecked",
                                         .line1_check = "unchecked"};
    const struct msg_network_request request = {
        .has =
            HAS_network_request_amount | HAS_network_request_currency | HAS_network_request_token,
        .reference = TEXT("first"),
        .operation = (uint64_t)operation,
        .amount = 2,
        .currency = TEXT("usd"),
        .merchant = TEXT("acct"),
        .token = TEXT("card"),
    };
    memset(records, 0, sizeof records);
    if (state != NETWORK_STATE_NONE) {
        records[0] =
            (struct network_record){.operation = NETWORK_AUTHORIZE, .state = state, .amount = 2};
        if (state == NETWORK_STATE_APPROVED) records[0].held = 2;
        strcpy(records[0].reference, "first");
        strcpy(records[0].merchant, "acct");
        strcpy(records[0].currency, "usd");
    }
    *says = (int)operation_do(NULL, &request, &answer, &names, &record);
    return (int)records[0].state;
}

static void
say_network(void)
{
    int says;
    NAME(NET_NONE, NETWORK_STATE_NONE);
    NAME(NET_APPROVED, NETWORK_STATE_APPROVED);
    NAME(NET_DECLINED, NETWORK_STATE_DECLINED);
    NAME(NET_REVERSED, NETWORK_STATE_REVERSED);
    NAME(NET_CHALLENGED, NETWORK_STATE_CHALLENGED);
    for (int state = NETWORK_STATE_NONE; state <= NETWORK_STATE_CHALLENGED; state++) {
        static const int issuers[] = {NETWORK_STATE_APPROVED, NETWORK_STATE_DECLINED,
                                      NETWORK_STATE_CHALLENGED};
        for (size_t i = 0; i < 3; i++) {
            const int next = goes(NETWORK_AUTHORIZE, state, issuers[i], &says);
            SAY("NET_AUTHORIZED(%d, %d) == %d", state, issuers[i], next);
            SAY("NET_SAYS(NET_AUTHORIZED(%d, %d)) == %d", state, issuers[i], says);
        }
        SAY("%d == %d", state, goes(NETWORK_INQUIRE, state, 0, &says));
        SAY("NET_SAYS(%d) == %d", state, says);
        SAY("NET_UNDONE(%d) == %d", state, goes(NETWORK_REVERSE, state, 0, &says));
        SAY("NET_SAYS(NET_UNDONE(%d)) == %d", state, says);
    }
    for (int amount = 1; amount <= 3; amount++)
        for (int held = 0; held <= 2; held += 2)
            for (int captured = 0; captured <= (held ? 0 : 2); captured++) {
                SAY("NET_MAY_CAPTURE(%d, %d, %d) == %d", held, captured, amount,
                    follows(NETWORK_CAPTURE, held, captured, 0, amount));
                SAY("NET_MAY_VOID(%d, %d) == %d", held, captured,
                    follows(NETWORK_VOID, held, captured, 0, amount));
                for (int refunded = 0; refunded <= captured; refunded++)
                    SAY("NET_MAY_REFUND(%d, %d, %d) == %d", captured, refunded, amount,
                        follows(NETWORK_REFUND, held, captured, refunded, amount));
            }
}

/* --- payments and refunds ----------------------------------------------------------------------
 */

static void
say_payments(void)
{
    struct payment_intent next;
    uint32_t effects;
    NAME(PI_NEEDS_CAPTURE, PI_NEEDS_CAPTURE);
    NAME(PI_SUCCEEDED, PI_SUCCEEDED);
    NAME(PI_CANCELED, PI_CANCELED);
    for (int s = PI_NEEDS_CAPTURE; s <= PI_CANCELED; s++) {
        const struct payment_intent now = {(enum pi_state)s, s == PI_CANCELED ? 0 : 2,
                                           s == PI_SUCCEEDED ? 2 : 0};
        for (int amount = 0; amount <= 3; amount++) {
            const enum pi_verdict verdict = pi_step(&now, ON_CAPTURE, amount, &next, &effects);
            SAY("PI_ON_CAPTURE(%d, 2, %d) == %d", s, amount,
                verdict == PI_OK ? (int)next.state : 0);
        }
        const enum pi_verdict verdict = pi_step(&now, ON_CANCEL, 0, &next, &effects);
        SAY("PI_ON_CANCEL(%d) == %d", s, verdict == PI_OK ? (int)next.state : 0);
    }
    for (int refunded = 0; refunded <= 2; refunded++)
        for (int refunding = 0; refunded + refunding <= 2; refunding++)
            for (int asked = 1; asked <= 3; asked++) {
                const struct refundable charge = {false, true, 2, refunded, refunding};
                int64_t granted = 0;
                if (refund_check(&charge, asked, &granted) != REFUND_OK) granted = 0;
                SAY("REFUND_GRANTS(2, %d, %d, %d) == %d", refunded, refunding, asked, (int)granted);
            }
}

/* --- the broker's map: one slot, two workers ----------------------------------------------------
 */

#define SLOT 77

static int
as_worker(uint8_t worker)
{
    return worker == NO_WORKER ? 2 : worker;
}

static uint8_t
as_row(int worker)
{
    return worker == 2 ? NO_WORKER : (uint8_t)worker;
}

static int
as_number(const struct owners *owners)
{
    return as_worker(owners->owner[SLOT]) * 6 + as_worker(owners->next[SLOT]) * 2 +
           slot_in(owners->held, SLOT);
}

static void
say_map(void)
{
    NAME(NOBODY, 2);
    uint8_t set[SLOT_BYTES] = {0};
    slot_add(set, SLOT);
    for (int owner = 0; owner <= 2; owner++)
        for (int next = 0; next <= 2; next++)
            for (int held = 0; held <= 1; held++) {
                /* Moving to where it is, or away from nobody: no such map comes about. */
                if (owner == 2 && (next != 2 || held)) continue;
                if (owner != 2 && next == owner) continue;
                struct owners before, after;
                owners_init(&before);
                before.owner[SLOT] = as_row(owner);
                before.next[SLOT] = as_row(next);
                if (held) slot_add(before.held, SLOT);
                const int m = as_number(&before);
                SAY("MAP(%d, %d, %d) == %d", owner, next, held, m);
                SAY("MAP_ROUTE(%d) == %d", m, as_worker(owners_route(&before, SLOT)));
                for (uint8_t w = 0; w < 2; w++) {
                    bool alive[WORKERS_MAX] = {false};
                    alive[w] = true;
                    after = before;
                    owners_plan(&after, 1, 1, alive);
                    SAY("MAP_PLAN(%d, %d) == %d", m, w, as_number(&after));
                    after = before;
                    owners_claim(&after, w, set);
                    SAY("MAP_CLAIM(%d, %d) == %d", m, w, as_number(&after));
                    after = before;
                    owners_grant(&after, w, set);
                    SAY("MAP_GRANT(%d, %d) == %d", m, w, as_number(&after));
                    after = before;
                    owners_let_go(&after, w, set);
                    SAY("MAP_LET_GO(%d, %d) == %d", m, w, as_number(&after));
                    after = before;
                    owners_lose(&after, w);
                    SAY("MAP_LOSE(%d, %d) == %d", m, w, as_number(&after));
                }
            }
}

int
main(void)
{
    printf("#include \"florin.pml\"\n");
    static void (*const parts[])(void) = {say_attempts, say_verdicts, say_worker,
                                          say_network,  say_payments, say_map};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        printf("active proctype Part%zu()\n{\n", i);
        parts[i]();
        printf("}\n");
    }
    fprintf(stderr, "%u\n", count);
    return 0;
}
