/* The engine's decisions, one by one, without anybody to talk to: what a verdict means, what an
 * answer of the network means, how a refusal reads. */
#include "worker.h"

#include "random.h"
#include <criterion/criterion.h>

static struct worker *worker;
static struct settings settings = {.partitions = 1};

static void
begin(void)
{
    random_start();
    worker = worker_new(NULL, &settings, NULL);
}

static void
end(void)
{
    worker_destroy(&worker);
}

TestSuite(engine, .init = begin, .fini = end);

/* --- verdicts -------------------------------------------------------------------------------- */

Test(engine, every_verdict_has_a_consequence_for_what_may_get_it)
{
    for (enum aim aim = AIM_ANSWER; aim < AIM_COUNT; aim++)
        for (uint64_t verdict = COMMIT_DONE; verdict <= COMMIT_REJECTED; verdict++) {
            const bool of_a_key =
                verdict == COMMIT_ANSWERED || verdict == COMMIT_OPEN || verdict == COMMIT_MISMATCH;
            const bool keyless = aim == AIM_TAKE || aim == AIM_REVERSE || aim == AIM_FOLLOW;
            cr_expect_eq(commit_after(aim, verdict, false, false) == AFTER_NOTHING, of_a_key && keyless,
                         "%s for aim %d", commit_verdict_name(verdict), (int)aim);
        }
    cr_expect_eq(commit_after(AIM_ANSWER, 0, false, false), AFTER_NOTHING);
    cr_expect_eq(commit_after(AIM_ANSWER, 99, false, false), AFTER_NOTHING);
}

Test(engine, busy_after_a_repetition_proves_nothing)
{
    cr_expect_eq(commit_after(AIM_BEGIN, COMMIT_BUSY, false, false), AFTER_BUSY);
    cr_expect_eq(commit_after(AIM_BEGIN, COMMIT_BUSY, true, true), AFTER_REPEAT);
    cr_expect_eq(commit_after(AIM_FINISH, COMMIT_BUSY, false, false), AFTER_REPEAT);
}

Test(engine, a_first_sending_behind_its_repetition_proves_nothing_against_it)
{
    static const uint64_t against[] = {COMMIT_STALE, COMMIT_FENCED, COMMIT_REJECTED};
    for (enum aim aim = AIM_ANSWER; aim < AIM_COUNT; aim++)
        for (size_t i = 0; i < sizeof against / sizeof *against; i++) {
            cr_expect_eq(commit_after(aim, against[i], true, false), AFTER_REPEAT);
            cr_expect_neq(commit_after(aim, against[i], true, true), AFTER_REPEAT);
            cr_expect_neq(commit_after(aim, against[i], false, false), AFTER_REPEAT);
        }
    cr_expect_eq(commit_after(AIM_BEGIN, COMMIT_DONE, true, false), AFTER_GO_ON);
}

Test(engine, what_the_network_did_is_never_answered_with_a_failure)
{
    for (uint64_t verdict = COMMIT_DONE; verdict <= COMMIT_REJECTED; verdict++) {
        const enum after after = commit_after(AIM_FINISH, verdict, false, false);
        cr_expect(after != AFTER_FAIL && after != AFTER_BUSY);
    }
}

Test(engine, not_found_is_never_an_answer)
{
    cr_expect_eq(attempt_next(ASKED_OPERATION, OUTCOME_NOT_FOUND), NEXT_RECOVER);
    cr_expect_eq(attempt_next(ASKED_INQUIRY, OUTCOME_NOT_FOUND), NEXT_REVERSE);
    cr_expect_eq(attempt_next(ASKED_REVERSAL, OUTCOME_NOT_FOUND), NEXT_AGAIN);
}

Test(engine, only_an_acknowledged_reversal_ends_a_reversal)
{
    for (uint64_t outcome = 0; outcome < 20; outcome++)
        cr_expect_eq(attempt_next(ASKED_REVERSAL, outcome) == NEXT_FINISH,
                     outcome == OUTCOME_REVERSED);
}

Test(engine, a_challenge_is_an_end_whoever_hears_of_it)
{
    cr_expect_eq(attempt_next(ASKED_OPERATION, OUTCOME_CHALLENGED), NEXT_FINISH);
    cr_expect_eq(attempt_next(ASKED_INQUIRY, OUTCOME_CHALLENGED), NEXT_FINISH);
    cr_expect_eq(attempt_next(ASKED_REVERSAL, OUTCOME_CHALLENGED), NEXT_AGAIN);
}

Test(engine, an_outcome_that_does_not_exist_is_asked_for_again)
{
    for (enum asked asked = ASKED_OPERATION; asked < ASKED_COUNT; asked++) {
        cr_expect_eq(attempt_next(asked, 0), NEXT_AGAIN);
        cr_expect_eq(attempt_next(asked, 99), NEXT_AGAIN);
    }
}

Test(engine, recovery_waits_longer_each_time_up_to_five_seconds)
{
    cr_expect_eq(recovery_pause_ms(0), 200);
    cr_expect_eq(recovery_pause_ms(1), 400);
    for (unsigned tries = 0; tries < 100; tries++) {
        cr_expect_leq(recovery_pause_ms(tries), recovery_pause_ms(tries + 1));
        cr_expect_leq(recovery_pause_ms(tries), 5000);
    }
    cr_expect_eq(recovery_pause_ms(99), 5000);
}

/* --- refusals -------------------------------------------------------------------------------- */

static struct text
json_of(const struct api_refusal *refusal)
{
    struct call call = {.worker = worker, .arena = worker->scratch};
    return refusal_json(&call, refusal);
}

Test(engine, an_error_lists_its_keys_in_alphabetic_order)
{
    const struct api_refusal refusal = {
        .status = 402,
        .type = "card_error",
        .code = "card_declined",
        .decline_code = "insufficient_funds",
        .param = "",
        .message = TEXT("Your card has \"insufficient\" funds."),
        .charge = TEXT("ch_1"),
        .payment_intent = TEXT("{\"id\":\"pi_1\"}"),
        .payment_method = TEXT("{\"id\":\"pm_1\"}"),
        .payment_method_type = "card",
        .advice_code = "try_again_later",
        .network_decline_code = "51",
    };
    const struct text json = json_of(&refusal);
    const char *const expected =
        "{\"error\":{\"advice_code\":\"try_again_later\",\"charge\":\"ch_1\","
        "\"code\":\"card_declined\",\"decline_code\":\"insufficient_funds\","
        "\"doc_url\":\"https://stripe.com/docs/error-codes/card-declined\","
        "\"message\":\"Your card has \\\"insufficient\\\" funds.\",\"network_decline_code\":\"51\","
        "\"param\":\"\",\"payment_intent\":{\"id\":\"pi_1\"},\"payment_method\":{\"id\":\"pm_1\"},"
        "\"payment_method_type\":\"card\",\"type\":\"card_error\"}}";
    cr_expect(text_is(json, expected), "%.*s", (int)json.size, json.at);
}

Test(engine, an_error_without_a_code_has_no_page)
{
    const struct api_refusal refusal = {.status = 400, .message = TEXT("No.")};
    const struct text json = json_of(&refusal);
    cr_expect(
        text_is(json, "{\"error\":{\"message\":\"No.\",\"type\":\"invalid_request_error\"}}"));
}

Test(engine, a_key_in_use_is_to_be_tried_again_and_another_request_is_not)
{
    const struct api_refusal in_use = refusal_in_use(worker->scratch, TEXT("k1"));
    const struct api_refusal mismatch = refusal_mismatch(worker->scratch, TEXT("k1"));
    cr_expect_eq(in_use.status, 409);
    cr_expect_str_eq(in_use.code, "idempotency_key_in_use");
    cr_expect(in_use.retry);
    cr_expect_eq(mismatch.status, 400);
    cr_expect_str_eq(mismatch.type, "idempotency_error");
    cr_expect(!mismatch.retry);
}

/* --- jobs ------------------------------------------------------------------------------------ */

static int runs;

static void
look_only(struct call *call)
{
    runs++;
    call_answer(call, 200, TEXT("{}"));
}

static void
lock_and_write(struct call *call)
{
    struct row_customer *row = call_new_row(call, ROW_customer);
    runs++;
    if (!call_lock(call, TEXT("cus_1"))) return;
    row->id = TEXT("cus_1");
    row->merchant = call->merchant;
    call_insert(call, ROW_customer, row);
    call_answer(call, 200, TEXT("{}"));
}

static struct job *
job_for(handler_fn *handler)
{
    const struct text merchant = TEXT("acct_abcde");
    const uint16_t slot = slot_of(merchant);
    slot_add(worker->slots.held, slot);
    worker->slots.epoch[slot] = 3;
    struct job *job = job_new(worker, slot);
    job->handler = handler;
    job->call.merchant = merchant;
    runs = 0;
    return job;
}

Test(engine, a_call_that_writes_nothing_and_has_no_key_needs_no_ledger)
{
    struct job *job = job_for(look_only);
    job_run(job);
    cr_expect_eq(job->step, STEP_FREE);
    cr_expect_eq(worker->jobs_busy, 0);
}

Test(engine, an_answer_under_a_key_is_committed_first)
{
    struct job *job = job_for(look_only);
    job->call.key = TEXT("k1");
    job->call.request_hash = TEXT("0123456789abcdef0123456789abcdef");
    job->call.path = TEXT("POST /v1/customers");
    job_run(job);
    cr_expect_eq(job->step, STEP_COMMIT);
    cr_expect_eq(job->commit.claim, 1);
    cr_expect_eq(job->commit.status, 200);
    cr_expect_eq(job->commit.epoch, 3);
    uint8_t bytes[1024];
    size_t size;
    cr_expect_eq(message_encode(MSG_commit, &job->commit, bytes, sizeof bytes, &size), MESSAGE_OK);
}

Test(engine, a_second_call_on_an_object_waits_and_is_run_again_from_its_start)
{
    struct job *first = job_for(lock_and_write), *second = job_for(lock_and_write);
    job_run(first);
    cr_expect_eq(first->step, STEP_COMMIT);
    job_run(second);
    cr_expect_eq(second->step, STEP_LOCK);
    cr_expect_eq(runs, 2);
    job_end(first);
    cr_expect_eq(second->step, STEP_READY);
    job_run(second);
    cr_expect_eq(second->step, STEP_COMMIT);
    cr_expect_eq(runs, 3);
}

Test(engine, a_call_whose_slot_is_gone_does_not_run)
{
    struct job *job = job_for(lock_and_write);
    slot_remove(worker->slots.held, job->slot);
    job_run(job);
    cr_expect_eq(job->step, STEP_FREE);
    cr_expect_eq(runs, 0);
}

static void
begin_attempt(struct call *call)
{
    struct row_attempt *attempt = call_new_row(call, ROW_attempt);
    attempt->operation = TEXT("refund");
    attempt->amount = 5;
    attempt->currency = TEXT("usd");
    call_begin_attempt(call, attempt, NULL);
}

Test(engine, nothing_is_begun_while_the_network_is_away)
{
    struct job *job = job_for(begin_attempt);
    worker->mono_ms = 100000;
    worker->network_heard_ms = 100000 - LINK_DEAD_MS - 1;
    job_run(job);
    cr_expect_eq(job->step, STEP_FREE);
}

Test(engine, an_attempt_is_durable_before_anything_is_asked)
{
    struct job *job = job_for(begin_attempt);
    worker->mono_ms = worker->network_heard_ms = 100000;
    job_run(job);
    cr_expect_eq(job->step, STEP_COMMIT);
    cr_expect_eq(job->aim, AIM_BEGIN);
    cr_expect_eq(job->commit.rows.count, 1);
    cr_expect(text_is(job->begun->state, "sending"));
    cr_expect_eq(job->begun->epoch, 3);
    cr_expect_eq(job->begun->slot, job->slot);
    cr_expect_eq(names_find(&worker->by_attempt, job->begun->id), job);
}

static void
stage_then_refuse(struct call *call)
{
    struct row_customer *row = call_new_row(call, ROW_customer);
    row->id = TEXT("cus_1");
    row->merchant = call->merchant;
    call_insert(call, ROW_customer, row);
    call_refuse_400(call, "missing", "x", "%s", "No.");
    call_answer(call, 200, TEXT("{}"));
}

Test(engine, what_was_staged_before_a_refusal_is_not_written_and_the_first_end_counts)
{
    struct job *job = job_for(stage_then_refuse);
    job->call.key = TEXT("k1");
    job->call.request_hash = TEXT("0123456789abcdef0123456789abcdef");
    job->call.path = TEXT("POST /v1/customers");
    job_run(job);
    cr_expect_eq(job->step, STEP_COMMIT);
    cr_expect_eq(job->commit.rows.count, 0);
    cr_expect_eq(job->commit.status, 400);
}
