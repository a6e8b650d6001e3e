#include "operations.h"

#include "journal.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char home[64];
static struct book *book;

static void
open_home(void)
{
    snprintf(home, sizeof home, "/tmp/florin-network-XXXXXX");
    cr_assert(mkdtemp(home) != NULL);
    book = book_open(home);
}

static void
remove_home(void)
{
    static const char *const files[] = {"/network/data.mdb", "/network/lock.mdb"};
    char path[128];
    book_close(&book);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s%s", home, files[i]);
        cr_expect(zero(int, unlink(path)));
    }
    snprintf(path, sizeof path, "%s/network", home);
    cr_expect(zero(int, rmdir(path)));
    cr_expect(zero(int, rmdir(home)));
}

TestSuite(operations, .init = open_home, .fini = remove_home);

/* --- saying it shortly
 * ------------------------------------------------------------------------------ */

static const struct issuer_answer yes = {.approves = true,
                                         .code = "",
                                         .cvc_check = "pass",
                                         .postal_check = "unchecked",
                                         .line1_check = ""};
static const struct issuer_answer no = {
    .code = "insufficient_funds", .cvc_check = "pass", .postal_check = "", .line1_check = ""};

static struct network_record told; /* what the last answer told */

/* An operation as payments asks for it; a field that is NULL or 0 is absent. */
struct ask {
    enum network_operation operation;
    const char *reference, *original;
    int64_t amount;
    const char *currency, *merchant;
    bool capture, keep;
    const struct issuer_answer *issuer;
};

/* ASK(REFUND, "att_2", .original = "att_1", .amount = 5) */
#define ASK(what, ...) ((struct ask){.operation = NETWORK_##what, .reference = __VA_ARGS__})

static struct msg_network_request
request_of(struct ask ask)
{
    struct msg_network_request request = {
        .has = HAS_network_request_reference | HAS_network_request_operation |
               HAS_network_request_merchant,
        .reference = text_of(ask.reference),
        .operation = ask.operation,
        .original = text_of(ask.original),
        .amount = ask.amount,
        .currency = text_of(ask.currency),
        .token = TEXT("card_0001"),
        .merchant = text_of(ask.merchant ? ask.merchant : "acct_one"),
        .capture = ask.capture,
    };
    if (ask.original) request.has |= HAS_network_request_original;
    if (ask.amount) request.has |= HAS_network_request_amount;
    if (ask.currency) request.has |= HAS_network_request_currency;
    if (ask.keep) request.has |= HAS_network_request_keep;
    request.keep = ask.keep;
    if (ask.operation == NETWORK_AUTHORIZE || ask.operation == NETWORK_VERIFY)
        request.has |= HAS_network_request_token | HAS_network_request_capture;
    return request;
}

static int
make(struct ask ask)
{
    static int made;
    char network_id[32];
    const struct msg_network_request request = request_of(ask);
    snprintf(network_id, sizeof network_id, "ntx_%d", made++);
    const struct operation_names names = {network_id, "A1B2C3", "dst_x", 1000 + made, 500};
    const enum network_outcome outcome =
        operation_do(book, &request, ask.issuer ? ask.issuer : &yes, &names, &told);
    book_commit(book);
    return outcome;
}

static int
authorize(const char *reference, int64_t amount, bool capture)
{
    return make(ASK(AUTHORIZE, reference, .amount = amount, .currency = "usd", .capture = capture));
}

static int
follow(enum network_operation operation, const char *reference, const char *original,
       int64_t amount)
{
    return make((struct ask){.operation = operation,
                             .reference = reference,
                             .original = original,
                             .amount = amount,
                             .currency = amount ? "usd" : NULL});
}

/* A capture that keeps the rest held. */
static int
capture_part(const char *reference, const char *original, int64_t amount)
{
    return make(ASK(CAPTURE, reference, .original = original, .amount = amount, .currency = "usd",
                    .keep = true));
}

static int
reverse(const char *reference)
{
    return make(ASK(REVERSE, reference));
}

static int
inquire(const char *reference)
{
    return make(ASK(INQUIRE, reference));
}

/* Where an authorization stands. */
static void
stands(const char *reference, int64_t held, int64_t captured, int64_t refunded)
{
    struct network_record record;
    cr_assert(book_find(book, text_of(reference), &record), "%s", reference);
    book_commit(book);
    cr_expect(eq(i64, record.held, held), "%s held", reference);
    cr_expect(eq(i64, record.captured, captured), "%s captured", reference);
    cr_expect(eq(i64, record.refunded, refunded), "%s refunded", reference);
    cr_expect(le(i64, record.effects, 1), "%s had more than one effect", reference);
}

#define EXPECT(outcome, expected) cr_expect(eq(int, (outcome), OUTCOME_##expected))

/* --- authorize
 * -------------------------------------------------------------------------------------- */

Test(operations, an_authorization_holds_or_takes_at_once)
{
    EXPECT(authorize("att_held", 1000, false), APPROVED);
    stands("att_held", 1000, 0, 0);
    cr_expect(eq(str, told.authorization_code, (char *)"A1B2C3"));
    cr_expect(eq(str, told.cvc_check, (char *)"pass"));
    EXPECT(authorize("att_taken", 1000, true), APPROVED);
    stands("att_taken", 0, 1000, 0);
    cr_expect(eq(i64, told.amount, 1000));
    cr_expect(eq(str, told.currency, (char *)"usd"));
}

Test(operations, a_refused_authorization_moves_nothing)
{
    const struct ask ask =
        ASK(AUTHORIZE, "att_no", .amount = 1000, .currency = "usd", .capture = true, .issuer = &no);
    EXPECT(make(ask), DECLINED);
    stands("att_no", 0, 0, 0);
    cr_expect(eq(str, told.code, (char *)"insufficient_funds"));
    cr_expect(zero(i64, told.effects));
    EXPECT(follow(NETWORK_CAPTURE, "att_c", "att_no", 1000), DECLINED);
    EXPECT(follow(NETWORK_REFUND, "att_r", "att_no", 1000), DECLINED);
    EXPECT(follow(NETWORK_VOID, "att_v", "att_no", 0), DECLINED);
}

/* --- asking the payer, and asking for nothing
 * ------------------------------------------------------------------- */

static const struct issuer_answer challenge = {.challenges = true,
                                               .code = "",
                                               .cvc_check = "pass",
                                               .postal_check = "fail",
                                               .line1_check = "unchecked"};
static const struct issuer_answer passed = {.approves = true,
                                            .code = "",
                                            .cvc_check = "unchecked",
                                            .postal_check = "unchecked",
                                            .line1_check = "unchecked",
                                            .authentication = 1};

Test(operations, a_challenged_authorization_is_over_and_moves_nothing)
{
    struct ask ask = ASK(AUTHORIZE, "att_asked", .amount = 1000, .currency = "usd", .capture = true,
                         .issuer = &challenge);
    EXPECT(make(ask), CHALLENGED);
    stands("att_asked", 0, 0, 0);
    cr_expect(zero(i64, told.effects));
    ask.issuer = &yes; /* it is not decided again */
    EXPECT(make(ask), CHALLENGED);
    EXPECT(inquire("att_asked"), CHALLENGED);
    EXPECT(follow(NETWORK_CAPTURE, "att_c", "att_asked", 1000), DECLINED);
    EXPECT(follow(NETWORK_REFUND, "att_r", "att_asked", 1000), DECLINED);
}

Test(operations, who_comes_back_from_a_challenge_brings_its_checks_along)
{
    EXPECT(
        make(ASK(AUTHORIZE, "att_asked", .amount = 1000, .currency = "usd", .issuer = &challenge)),
        CHALLENGED);
    EXPECT(make(ASK(AUTHORIZE, "att_back", .original = "att_asked", .amount = 1000,
                    .currency = "usd", .issuer = &passed)),
           APPROVED);
    cr_expect(eq(str, told.cvc_check, (char *)"pass"));
    cr_expect(eq(str, told.postal_check, (char *)"fail"));
    cr_expect(eq(i64, told.authentication, 1));
    cr_expect(eq(str, told.authentication_id, (char *)"dst_x"));
    stands("att_back", 1000, 0, 0);
}

Test(operations, a_challenge_can_be_taken_back)
{
    EXPECT(
        make(ASK(AUTHORIZE, "att_asked", .amount = 1000, .currency = "usd", .issuer = &challenge)),
        CHALLENGED);
    EXPECT(reverse("att_asked"), REVERSED);
    cr_expect(zero(i64, told.undone));
    EXPECT(inquire("att_asked"), REVERSED);
}

Test(operations, a_verified_card_has_no_money_held)
{
    EXPECT(make(ASK(VERIFY, "att_good")), APPROVED);
    stands("att_good", 0, 0, 0);
    cr_expect(zero(i64, told.effects));
    cr_expect(zero(i64, told.amount));
    cr_expect(eq(str, told.authorization_code, (char *)"A1B2C3"));
    EXPECT(follow(NETWORK_CAPTURE, "att_c", "att_good", 1), DECLINED);
    EXPECT(make(ASK(VERIFY, "att_bad", .issuer = &no)), DECLINED);
    EXPECT(make(ASK(VERIFY, "att_asked", .issuer = &challenge)), CHALLENGED);
    EXPECT(reverse("att_good"), REVERSED);
    cr_expect(zero(i64, told.undone));
}

/* --- every operation again
 * ---------------------------------------------------------------------------- */

Test(operations, the_same_reference_again_has_no_second_effect_and_the_same_answer)
{
    const struct ask asks[] = {
        ASK(AUTHORIZE, "att_a", .amount = 1000, .currency = "usd"),
        ASK(CAPTURE, "att_ac", .original = "att_a", .amount = 600, .currency = "usd"),
        ASK(REFUND, "att_ar", .original = "att_a", .amount = 200, .currency = "usd"),
        ASK(AUTHORIZE, "att_b", .amount = 500, .currency = "usd"),
        ASK(VOID, "att_bv", .original = "att_b"),
        ASK(AUTHORIZE, "att_d", .amount = 500, .currency = "usd", .issuer = &no),
        ASK(CAPTURE, "att_dc", .original = "att_d", .amount = 500, .currency = "usd"),
        ASK(VERIFY, "att_e"),
        ASK(VERIFY, "att_f", .issuer = &challenge),
    };
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        const int outcome = make(asks[i]);
        const struct network_record first = told;
        struct ask again = asks[i];
        again.issuer = again.issuer ? &yes : &no; /* what the issuer would say now is not asked */
        for (int times = 0; times < 3; times++) {
            cr_expect(eq(int, make(again), outcome), "%s", asks[i].reference);
            cr_expect(zero(int, memcmp(&first, &told, sizeof told)), "%s", asks[i].reference);
        }
        cr_expect(eq(int, inquire(asks[i].reference), outcome));
        cr_expect(eq(str, told.network_id, (char *)first.network_id));
    }
    stands("att_a", 0, 600, 200);
    stands("att_b", 0, 0, 0);
}

/* --- sums
 * -------------------------------------------------------------------------------------------- */

Test(operations, a_capture_takes_at_most_what_is_held_and_once)
{
    EXPECT(follow(NETWORK_CAPTURE, "att_0", "att_nobody", 1), DECLINED);
    EXPECT(authorize("att_a", 1000, false), APPROVED);
    EXPECT(follow(NETWORK_CAPTURE, "att_1", "att_a", 1001), DECLINED);
    stands("att_a", 1000, 0, 0);
    EXPECT(follow(NETWORK_CAPTURE, "att_2", "att_a", 400), APPROVED);
    stands("att_a", 0, 400, 0);
    EXPECT(follow(NETWORK_CAPTURE, "att_3", "att_a", 100), DECLINED);
    EXPECT(follow(NETWORK_VOID, "att_4", "att_a", 0), DECLINED);
    stands("att_a", 0, 400, 0);
}

Test(operations, an_increment_holds_more_until_something_is_captured)
{
    EXPECT(authorize("att_a", 1000, false), APPROVED);
    EXPECT(follow(NETWORK_INCREMENT, "att_i", "att_a", 500), APPROVED);
    EXPECT(follow(NETWORK_INCREMENT, "att_i", "att_a", 500), APPROVED);
    stands("att_a", 1500, 0, 0);
    EXPECT(follow(NETWORK_INCREMENT, "att_j", "att_a", MONEY_MAX), DECLINED);
    EXPECT(follow(NETWORK_CAPTURE, "att_c", "att_a", 1400), APPROVED);
    stands("att_a", 0, 1400, 0);
    EXPECT(follow(NETWORK_INCREMENT, "att_k", "att_a", 1), DECLINED);
    EXPECT(reverse("att_c"), REVERSED);
    stands("att_a", 1500, 0, 0);
    EXPECT(reverse("att_i"), REVERSED);
    stands("att_a", 1000, 0, 0);
    EXPECT(authorize("att_b", 1000, true), APPROVED);
    EXPECT(follow(NETWORK_INCREMENT, "att_l", "att_b", 1), DECLINED);
}

Test(operations, parts_are_captured_while_the_rest_stays_held)
{
    EXPECT(authorize("att_a", 1000, false), APPROVED);
    EXPECT(capture_part("att_1", "att_a", 300), APPROVED);
    EXPECT(capture_part("att_2", "att_a", 300), APPROVED);
    stands("att_a", 400, 600, 0);
    EXPECT(capture_part("att_3", "att_a", 401), DECLINED);
    EXPECT(follow(NETWORK_INCREMENT, "att_i", "att_a", 1), DECLINED);
    EXPECT(reverse("att_2"), REVERSED);
    stands("att_a", 700, 300, 0);
    EXPECT(follow(NETWORK_CAPTURE, "att_4", "att_a", 100), APPROVED);
    stands("att_a", 0, 400, 0);
    EXPECT(follow(NETWORK_REFUND, "att_r", "att_a", 400), APPROVED);
    EXPECT(reverse("att_4"), APPROVED);
    stands("att_a", 0, 400, 400);
    EXPECT(authorize("att_b", 1000, false), APPROVED);
    EXPECT(capture_part("att_5", "att_b", 300), APPROVED);
    EXPECT(follow(NETWORK_VOID, "att_v", "att_b", 0), APPROVED);
    stands("att_b", 0, 300, 0);
    EXPECT(reverse("att_v"), REVERSED);
    stands("att_b", 700, 300, 0);
}

Test(operations, a_void_releases_what_is_held_and_once)
{
    EXPECT(authorize("att_a", 1000, false), APPROVED);
    EXPECT(follow(NETWORK_VOID, "att_1", "att_a", 0), APPROVED);
    cr_expect(eq(i64, told.amount, 1000));
    cr_expect(eq(str, told.currency, (char *)"usd"));
    stands("att_a", 0, 0, 0);
    EXPECT(follow(NETWORK_VOID, "att_2", "att_a", 0), DECLINED);
    EXPECT(follow(NETWORK_CAPTURE, "att_3", "att_a", 1000), DECLINED);
    EXPECT(authorize("att_b", 1000, true), APPROVED);
    EXPECT(follow(NETWORK_VOID, "att_4", "att_b", 0), DECLINED);
}

Test(operations, refunds_add_up_to_at_most_what_was_captured)
{
    EXPECT(authorize("att_a", 1000, true), APPROVED);
    EXPECT(follow(NETWORK_REFUND, "att_1", "att_a", 400), APPROVED);
    EXPECT(follow(NETWORK_REFUND, "att_2", "att_a", 601), DECLINED);
    EXPECT(follow(NETWORK_REFUND, "att_3", "att_a", 600), APPROVED);
    EXPECT(follow(NETWORK_REFUND, "att_4", "att_a", 1), DECLINED);
    stands("att_a", 0, 1000, 1000);
    EXPECT(authorize("att_b", 1000, false), APPROVED);
    EXPECT(follow(NETWORK_REFUND, "att_5", "att_b", 1), DECLINED);
}

Test(operations, nothing_follows_from_another_merchants_or_in_another_currency)
{
    EXPECT(authorize("att_a", 1000, true), APPROVED);
    EXPECT(make(ASK(REFUND, "att_1", .original = "att_a", .amount = 100, .currency = "usd",
                    .merchant = "acct_two")),
           DECLINED);
    EXPECT(make(ASK(REFUND, "att_2", .original = "att_a", .amount = 100, .currency = "eur")),
           DECLINED);
    EXPECT(follow(NETWORK_REFUND, "att_3", "att_1", 100), DECLINED);
    stands("att_a", 0, 1000, 0);
}

/* --- reversals
 * --------------------------------------------------------------------------------------- */

Test(operations, what_was_reversed_before_it_came_never_happens)
{
    EXPECT(inquire("att_a"), NOT_FOUND);
    EXPECT(reverse("att_a"), REVERSED);
    EXPECT(reverse("att_a"), REVERSED);
    EXPECT(authorize("att_a", 1000, true), REVERSED);
    EXPECT(inquire("att_a"), REVERSED);
    stands("att_a", 0, 0, 0);

    EXPECT(authorize("att_b", 1000, false), APPROVED);
    static const enum network_operation operations[] = {NETWORK_CAPTURE, NETWORK_VOID,
                                                        NETWORK_REFUND};
    static const char *const references[] = {"att_c", "att_v", "att_r"};
    for (size_t i = 0; i < 3; i++) {
        EXPECT(reverse(references[i]), REVERSED);
        EXPECT(follow(operations[i], references[i], "att_b", 500), REVERSED);
        stands("att_b", 1000, 0, 0);
    }
}

Test(operations, a_reversal_undoes_what_was_done)
{
    EXPECT(authorize("att_held", 1000, false), APPROVED);
    EXPECT(reverse("att_held"), REVERSED);
    stands("att_held", 0, 0, 0);
    cr_expect(eq(i64, told.undone, 1));
    EXPECT(follow(NETWORK_CAPTURE, "att_1", "att_held", 1), DECLINED);

    EXPECT(authorize("att_taken", 1000, true), APPROVED);
    EXPECT(reverse("att_taken"), REVERSED);
    stands("att_taken", 0, 0, 0);
    EXPECT(follow(NETWORK_REFUND, "att_2", "att_taken", 1), DECLINED);

    EXPECT(make(ASK(AUTHORIZE, "att_no", .amount = 5, .currency = "usd", .issuer = &no)), DECLINED);
    EXPECT(reverse("att_no"), REVERSED);
    cr_expect(zero(i64, told.undone));
    EXPECT(inquire("att_no"), REVERSED);
}

Test(operations, what_follows_is_undone_and_may_be_done_anew)
{
    EXPECT(authorize("att_a", 1000, false), APPROVED);
    EXPECT(follow(NETWORK_VOID, "att_v", "att_a", 0), APPROVED);
    EXPECT(reverse("att_v"), REVERSED);
    stands("att_a", 1000, 0, 0);
    EXPECT(follow(NETWORK_CAPTURE, "att_c", "att_a", 700), APPROVED);
    EXPECT(reverse("att_c"), REVERSED);
    EXPECT(reverse("att_c"), REVERSED);
    stands("att_a", 1000, 0, 0);
    EXPECT(follow(NETWORK_CAPTURE, "att_c2", "att_a", 800), APPROVED);
    EXPECT(follow(NETWORK_REFUND, "att_r", "att_a", 300), APPROVED);
    EXPECT(reverse("att_r"), REVERSED);
    EXPECT(reverse("att_r"), REVERSED);
    stands("att_a", 0, 800, 0);
    EXPECT(follow(NETWORK_REFUND, "att_r2", "att_a", 800), APPROVED);
    EXPECT(follow(NETWORK_CAPTURE, "att_c", "att_a", 700), REVERSED);
    stands("att_a", 0, 800, 800);
}

Test(operations, what_others_were_built_upon_is_not_undone)
{
    EXPECT(authorize("att_a", 1000, false), APPROVED);
    EXPECT(follow(NETWORK_CAPTURE, "att_c", "att_a", 1000), APPROVED);
    EXPECT(reverse("att_a"), APPROVED);
    EXPECT(follow(NETWORK_REFUND, "att_r", "att_a", 100), APPROVED);
    EXPECT(reverse("att_c"), APPROVED);
    stands("att_a", 0, 1000, 100);
    EXPECT(authorize("att_b", 1000, true), APPROVED);
    EXPECT(follow(NETWORK_REFUND, "att_s", "att_b", 1), APPROVED);
    EXPECT(reverse("att_b"), APPROVED);
    stands("att_b", 0, 1000, 1);
}

/* --- requests that are not whole, or not the same
 * ------------------------------------------------------ */

Test(operations, a_request_says_what_it_needs)
{
    const struct {
        struct ask ask;
        const char *missing;
    } rows[] = {
        {ASK(AUTHORIZE, "att_a"), "amount is missing"},
        {ASK(AUTHORIZE, "att_a", .amount = 5), "currency is missing"},
        {ASK(AUTHORIZE, "att_a", .amount = 5, .currency = "usd"), NULL},
        {ASK(CAPTURE, "att_a"), "original is missing"},
        {ASK(CAPTURE, "att_a", .original = "att_b"), "amount is missing"},
        {ASK(CAPTURE, "att_a", .original = "att_b", .amount = 5), NULL},
        {ASK(VOID, "att_a"), "original is missing"},
        {ASK(VOID, "att_a", .original = "att_b"), NULL},
        {ASK(REFUND, "att_a", .original = "att_b"), "amount is missing"},
        {ASK(REFUND, "att_a", .original = "att_b", .amount = 5), NULL},
        {ASK(INQUIRE, "att_a"), NULL},
        {ASK(REVERSE, "att_a"), NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct msg_network_request request = request_of(rows[i].ask);
        const char *missing = operation_misses(&request);
        cr_expect(eq(str, (char *)(missing ? missing : ""),
                     (char *)(rows[i].missing ? rows[i].missing : "")));
    }
}

Test(operations, a_reference_is_of_one_operation_alone)
{
    EXPECT(authorize("att_a", 1000, true), APPROVED);
    const struct network_record record = told;
    const struct {
        struct ask ask;
        bool same;
    } rows[] = {
        {ASK(AUTHORIZE, "att_a", .amount = 1000, .currency = "usd"), true},
        {ASK(AUTHORIZE, "att_a", .amount = 1001, .currency = "usd"), false},
        {ASK(AUTHORIZE, "att_a", .amount = 1000, .currency = "eur"), false},
        {ASK(AUTHORIZE, "att_a", .amount = 1000, .currency = "usd", .merchant = "acct_two"), false},
        {ASK(REFUND, "att_a", .original = "att_b", .amount = 1000, .currency = "usd"), false},
        {ASK(INQUIRE, "att_a"), true},
        {ASK(REVERSE, "att_a"), true},
        {ASK(REVERSE, "att_a", .merchant = "acct_two"), false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct msg_network_request request = request_of(rows[i].ask);
        cr_expect(eq(int, operation_is_same(&record, &request), rows[i].same), "row %zu", i);
    }
}

/* --- durable
 * ------------------------------------------------------------------------------------------ */

Test(operations, what_was_committed_survives_a_kill_and_what_was_not_does_not)
{
    book_close(&book);
    const pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        book = book_open(home);
        const struct msg_network_request late =
            request_of(ASK(AUTHORIZE, "att_late", .amount = 5, .currency = "usd", .capture = true));
        const struct operation_names names = {"ntx_x", "A1B2C3", "dst_x", 1, 0};
        (void)authorize("att_a", 1000, false);
        (void)follow(NETWORK_CAPTURE, "att_c", "att_a", 700);
        (void)reverse("att_t");
        if (operation_do(book, &late, &yes, &names, &told) != OUTCOME_APPROVED) _exit(1);
        kill(getpid(), SIGKILL); /* between the effect and its commit */
    }
    int status = 0;
    cr_assert(eq(int, waitpid(child, &status, 0), child));
    const bool was_killed = WIFSIGNALED(status);
    cr_assert(was_killed);
    book = book_open(home);
    EXPECT(inquire("att_a"), APPROVED);
    stands("att_a", 0, 700, 0);
    EXPECT(inquire("att_c"), APPROVED);
    EXPECT(authorize("att_t", 1000, false), REVERSED);
    EXPECT(inquire("att_late"), NOT_FOUND);
    EXPECT(authorize("att_late", 5, true), APPROVED);
}

Test(operations, the_journal_lists_all_that_was_done)
{
    EXPECT(authorize("att_a", 1000, true), APPROVED);
    EXPECT(follow(NETWORK_REFUND, "att_b", "att_a", 300), APPROVED);
    EXPECT(reverse("att_c"), REVERSED);
    const struct network_record last = told;
    book_close(&book); /* the reader belongs to another process */

    char error[256];
    struct network_record record;
    struct network_journal *journal = network_journal_open(home, error, sizeof error);
    cr_assert(journal != NULL, "%s", error);
    cr_assert(network_journal_next(journal, &record));
    cr_expect(eq(str, record.reference, (char *)"att_a"));
    cr_expect(eq(i64, record.refunded, 300));
    cr_assert(network_journal_next(journal, &record));
    cr_expect(eq(str, record.original, (char *)"att_a"));
    cr_expect(eq(i64, record.amount, 300));
    cr_assert(network_journal_next(journal, &record));
    cr_expect(zero(int, memcmp(&record, &last, sizeof record)));
    cr_expect(not(network_journal_next(journal, &record)));
    cr_expect(not(network_journal_failed(journal)));
    network_journal_close(&journal);
    network_journal_close(&journal);
}

Test(operations, a_journal_that_is_not_there_is_said_in_a_sentence)
{
    char error[256] = "";
    cr_expect(network_journal_open("/nonexistent", error, sizeof error) == NULL);
    cr_expect(ne(str, error, (char *)""));
}

Test(operations, a_record_cut_anywhere_is_refused)
{
    uint8_t bytes[RECORD_BYTES_MAX];
    struct network_record record;
    EXPECT(authorize("att_a", 1000, true), APPROVED);
    const size_t size = record_encode(&told, bytes);
    for (size_t cut = 0; cut < size; cut++)
        cr_expect(not(record_decode(bytes, cut, &record)));
    cr_assert(record_decode(bytes, size, &record));
    cr_expect(zero(int, memcmp(&record, &told, sizeof record)));
}

/* --- the later life of a refund
 * ---------------------------------------------------------------------- */

static const struct issuer_answer pends = {.approves = true,
                                           .code = "",
                                           .cvc_check = "",
                                           .postal_check = "",
                                           .line1_check = "",
                                           .refunds = REFUND_PENDS};
static const struct issuer_answer returns = {.approves = true,
                                             .code = "",
                                             .cvc_check = "",
                                             .postal_check = "",
                                             .line1_check = "",
                                             .refunds = REFUND_RETURNS};

/* The same, at a moment of its own; a refund takes 500 ms. */
static int
at(int64_t now_ms, struct ask ask)
{
    const struct msg_network_request request = request_of(ask);
    const struct operation_names names = {"ntx_later", "A1B2C3", "dst_x", now_ms, 500};
    const enum network_outcome outcome =
        operation_do(book, &request, ask.issuer ? ask.issuer : &yes, &names, &told);
    book_commit(book);
    return outcome;
}

static void
refund_of(const struct issuer_answer *issuer)
{
    EXPECT(at(1000, ASK(AUTHORIZE, "att_a", .amount = 1000, .currency = "usd", .capture = true,
                        .issuer = issuer)),
           APPROVED);
    EXPECT(at(1000, ASK(REFUND, "att_r", .original = "att_a", .amount = 300, .currency = "usd")),
           APPROVED);
}

/* What is told of the refund at a moment. */
static void
expect_refund(int64_t now_ms, const char *state, int64_t ask_again_s)
{
    EXPECT(at(now_ms, ASK(INQUIRE, "att_r")), APPROVED);
    const struct refund_now now = operation_refund(&told, now_ms);
    cr_expect(eq(str, (char *)(now.state ? now.state : ""), (char *)state));
    cr_expect(eq(i64, now.ask_again_s, ask_again_s));
    cr_expect(eq(int, now.failure != NULL, strcmp(state, "failed") == 0));
}

Test(operations, most_refunds_are_final_at_once)
{
    refund_of(&yes);
    expect_refund(1000, "", 0);
    expect_refund(9000, "", 0);
    stands("att_a", 0, 1000, 300);
}

Test(operations, a_refund_may_be_pending_and_done_later)
{
    refund_of(&pends);
    expect_refund(1000, "pending", 1);
    expect_refund(1499, "pending", 1);
    expect_refund(1500, "succeeded", 0);
    stands("att_a", 0, 1000, 300);
}

Test(operations, a_refund_may_come_back_and_is_told_so_for_ever)
{
    refund_of(&returns);
    expect_refund(1000, "succeeded", 1);
    stands("att_a", 0, 1000, 300);
    expect_refund(1500, "failed", 0);
    stands("att_a", 0, 1000, 0);
    expect_refund(9000, "failed", 0);
    stands("att_a", 0, 1000, 0);
    EXPECT(reverse("att_r"), REVERSED);
    stands("att_a", 0, 1000, 0);
    EXPECT(at(9000, ASK(REFUND, "att_s", .original = "att_a", .amount = 1000, .currency = "usd")),
           APPROVED);
}

Test(operations, what_comes_back_between_two_looks_is_looked_at_once_more)
{
    refund_of(&returns);
    EXPECT(at(1499, ASK(INQUIRE, "att_r")), APPROVED);
    const struct refund_now now = operation_refund(&told, 1500);
    cr_expect(gt(i64, now.ask_again_s, 0));
}

Test(operations, a_pending_refund_is_recalled_once)
{
    refund_of(&pends);
    const struct ask recall = ASK(RECALL, "att_x", .original = "att_r", .amount = 300);
    EXPECT(at(1200, recall), APPROVED);
    EXPECT(at(1200, recall), APPROVED);
    stands("att_a", 0, 1000, 0);
    expect_refund(1200, "failed", 0);
    EXPECT(at(1200, ASK(RECALL, "att_y", .original = "att_r", .amount = 300)), DECLINED);
    EXPECT(reverse("att_x"), REVERSED);
    stands("att_a", 0, 1000, 300);
    expect_refund(1300, "pending", 1);
}

Test(operations, what_is_not_pending_is_not_recalled)
{
    static const struct issuer_answer *const issuers[] = {&yes, &returns, &pends};
    for (size_t i = 0; i < 3; i++) {
        char names[3][16];
        for (int n = 0; n < 3; n++)
            snprintf(names[n], sizeof names[n], "att_%zu_%d", i, n);
        EXPECT(at(1000, ASK(AUTHORIZE, names[0], .amount = 1000, .currency = "usd", .capture = true,
                            .issuer = issuers[i])),
               APPROVED);
        EXPECT(at(1000, ASK(REFUND, names[1], .original = names[0], .amount = 300)), APPROVED);
        const int64_t now_ms = issuers[i] == &pends ? 1500 : 1000; /* too late, for that one */
        EXPECT(at(now_ms, ASK(RECALL, names[2], .original = names[1], .amount = 300)), DECLINED);
        stands(names[0], 0, 1000, 300);
    }
    EXPECT(at(1000, ASK(RECALL, "att_n", .original = "att_nothing", .amount = 1)), DECLINED);
}
