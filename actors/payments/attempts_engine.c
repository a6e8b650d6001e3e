/* Attempts: what goes to the network, and what becomes of it (RELIABILITY c2, c3, c5).
 *
 *     begun ──► asked ──answer──► attempt_finished ──► committed, told
 *                 │ no answer, or one that proves nothing; or the worker is gone
 *                 ▼
 *           sending ──commit──► unknown ──inquire──► found ──► attempt_finished ──► committed
 *                                         │ not found
 *                                         ▼ commit first
 *                                    reversing ──reverse until acknowledged──► attempt_finished
 *
 * The lower way is the same for the worker that began the attempt and for the one that took its
 * slot over: it starts from the row alone, and each of its steps begins by reading the row again,
 * so it may be left and taken up anywhere (attempt_resume). "Not found" is never an answer: the
 * request may still be on its way, and only the reversal's tombstone keeps it out. */
#include "worker.h"

#include "attempt.h"
#include "failpoint.h"
#include "log.h"
#include "mutant.h"
#include <assert.h>
#include <stdio.h>

#define INQUIRY_MS_MAX 2000
#define PAUSE_MS_MIN 200
#define PAUSE_MS_MAX 5000
#define RECOVERY_ARENA_BYTES ((size_t)64 << 20)
#define OUTCOME_COUNT (OUTCOME_CHALLENGED + 1)

// clang-format off
static const enum next nexts[ASKED_COUNT][OUTCOME_COUNT] = {
    /* A tombstone before our reversal, or an inquiry's answer to an operation: something we do not
     * understand, so it is inquired. */
    [ASKED_OPERATION] = {
        [OUTCOME_APPROVED] = NEXT_FINISH,   [OUTCOME_DECLINED] = NEXT_FINISH, [OUTCOME_NOT_FOUND] = NEXT_RECOVER,
        [OUTCOME_REVERSED] = NEXT_RECOVER,  [OUTCOME_NEVER_SENT] = NEXT_FINISH,
        [OUTCOME_CHALLENGED] = NEXT_FINISH},
    [ASKED_INQUIRY] = {
        [OUTCOME_APPROVED] = NEXT_FINISH,   [OUTCOME_DECLINED] = NEXT_FINISH, [OUTCOME_NOT_FOUND] = NEXT_REVERSE,
        [OUTCOME_REVERSED] = NEXT_FINISH,   [OUTCOME_NEVER_SENT] = NEXT_REVERSE,
        [OUTCOME_CHALLENGED] = NEXT_FINISH},
    /* Not decided here: follow_ups.c looks at every answer. */
    [ASKED_FOLLOW_UP] = {
        [OUTCOME_APPROVED] = NEXT_AGAIN,    [OUTCOME_DECLINED] = NEXT_AGAIN,  [OUTCOME_NOT_FOUND] = NEXT_AGAIN,
        [OUTCOME_REVERSED] = NEXT_AGAIN,    [OUTCOME_NEVER_SENT] = NEXT_AGAIN,
        [OUTCOME_CHALLENGED] = NEXT_AGAIN},
    /* Only an acknowledged reversal ends it: an approval found now is not booked. */
    [ASKED_REVERSAL] = {
        [OUTCOME_APPROVED] = NEXT_AGAIN,    [OUTCOME_DECLINED] = NEXT_AGAIN,  [OUTCOME_NOT_FOUND] = NEXT_AGAIN,
        [OUTCOME_REVERSED] = NEXT_FINISH,   [OUTCOME_NEVER_SENT] = NEXT_AGAIN,
        [OUTCOME_CHALLENGED] = NEXT_AGAIN},
};

static const enum attempt_event events[OUTCOME_COUNT] = {
    [OUTCOME_APPROVED]   = ATTEMPT_ON_ANSWERED_APPROVED,
    [OUTCOME_DECLINED]   = ATTEMPT_ON_ANSWERED_DECLINED,
    [OUTCOME_NOT_FOUND]  = ATTEMPT_ON_NOT_FOUND,
    [OUTCOME_REVERSED]   = ATTEMPT_ON_ANSWERED_REVERSED,
    [OUTCOME_NEVER_SENT] = ATTEMPT_ON_ANSWERED_NEVER_SENT,
    [OUTCOME_CHALLENGED] = ATTEMPT_ON_ANSWERED_CHALLENGED,
};
// clang-format on

enum next
attempt_next(enum asked asked, uint64_t outcome)
{
    assert(asked < ASKED_COUNT);
    return outcome < OUTCOME_COUNT ? nexts[asked][outcome] : NEXT_AGAIN;
}

int64_t
recovery_pause_ms(unsigned tries)
{
    const int64_t pause_ms = tries < 8 ? (int64_t)PAUSE_MS_MIN << tries : PAUSE_MS_MAX;
    return pause_ms < PAUSE_MS_MAX ? pause_ms : PAUSE_MS_MAX;
}

/* --- the network's side ---------------------------------------------------------------------- */

void
network_beat(struct worker *worker)
{
    const struct msg_ping ping = {0};
    (void)link_send(worker->network, (struct envelope){.slot = 0}, MSG_ping, &ping);
}

bool
network_is_there(const struct worker *worker)
{
    return worker->network_heard_ms && worker->mono_ms - worker->network_heard_ms <= LINK_DEAD_MS;
}

/* False when it is certain that nothing was sent. */
static bool
ask(struct job *job, enum asked asked, const struct msg_network_request *request, int64_t ms_max)
{
    struct worker *const worker = job->worker;
    const uint64_t correlation = link_next_correlation();
    const struct envelope envelope = {
        .slot = job->slot,
        .correlation = correlation,
        .deadline_ms = worker->wall_ms + ms_max,
    };
    if (!link_send(worker->network, envelope, MSG_network_request, request)) return false;
    FAILPOINT_AFTER(worker->network, payments_after_ask);
    job->asked = asked;
    job_wait(job, STEP_NETWORK, correlation, worker->mono_ms + ms_max);
    return true;
}

/* --- reading and pausing --------------------------------------------------------------------- */

void
attempt_pause(struct job *job)
{
    job_wait(job, STEP_PAUSE, 0, job->worker->mono_ms + recovery_pause_ms(job->tries));
    job->tries++;
}

/* The attempt as it stands, with the call set to speak for it. NULL: it has been seen to. */
static struct row_attempt *
reload(struct job *job)
{
    struct call *const call = &job->call;
    struct row_attempt *const attempt = arena_take(call->arena, sizeof *attempt);
    const struct text id = arena_copy(call->arena, text_of(job->attempt));
    call->merchant = arena_copy(call->arena, text_of(job->merchant));
    switch (store_get(job->worker->store, ROW_attempt, call->merchant, id, call->arena, attempt)) {
    case STORE_UNAVAILABLE: attempt_pause(job); return NULL;
    case STORE_MISSING:
        log_event(LOG_ERROR, "attempt.missing", "attempt=%s", job->attempt);
        job_tell_refusal(job, &refusal_late);
        job_end(job);
        return NULL;
    case STORE_FOUND: break;
    }
    if (!attempt_is_open(attempt_state_named(attempt->state))) {
        /* Closed by another: the client's next try gets the answer that was kept. */
        job_tell_refusal(job, &refusal_late);
        job_end(job);
        return NULL;
    }
    call->key = attempt->key;
    call->request = attempt->request;
    call->expand = attempt->expand;
    call->api_version = attempt->api_version;
    return attempt;
}

/* The attempt that this job began a moment ago, or NULL. Whatever happened to it since will be told
 * by its version and its epoch, as of any row. */
static struct row_attempt *
just_begun(const struct job *job)
{
    const bool stands =
        job->begun_stands && (uint64_t)job->begun->epoch == job->worker->slots.epoch[job->slot];
    return stands ? job->begun : NULL;
}

/* --- finishing ------------------------------------------------------------------------------- */

static bool
found(struct call *call, enum row_table table, struct text id, void *row)
{
    return store_get(call->store, table, call->merchant, id, call->arena, row) == STORE_FOUND;
}

static bool
is_to(const struct row_attempt *attempt, enum network_operation operation)
{
    return text_is(attempt->operation, network_operation_name(operation));
}

/* What is held for a payment is what its charge holds; an authorization makes its charge itself. */
static bool
charge_agrees(struct call *call, const struct row_attempt *attempt,
              const struct row_payment_intent *pi)
{
    struct row_charge *const charge = call_new_row(call, ROW_charge);
    if (is_to(attempt, NETWORK_AUTHORIZE)) return true;
    return found(call, ROW_charge, attempt->charge, charge) && charge->amount == pi->amount &&
           charge->amount - charge->amount_captured - charge->amount_refunded ==
               pi->amount_capturable;
}

/* The rows still say that the attempt is open, and all of them say so. They do not when another
 * worker has finished it and we have read some before and some after: then nothing is to be decided
 * from them. */
static bool
rows_agree(struct call *call, const struct row_attempt *attempt)
{
    struct row_payment_intent *const pi = call_new_row(call, ROW_payment_intent);
    struct row_setup_intent *const si = call_new_row(call, ROW_setup_intent);
    struct row_refund *const refund = call_new_row(call, ROW_refund);
    struct row_charge *const charge = call_new_row(call, ROW_charge);
    /* What it is about is in its own row. */
    if (attempt->staged.at) return true;
    /* Its end does not mind what became of the refund meanwhile. */
    if (is_to(attempt, NETWORK_RECALL)) return true;
    if (attempt->refund.at) {
        if (!found(call, ROW_refund, attempt->refund, refund) ||
            !found(call, ROW_charge, attempt->charge, charge))
            return false;
        const bool promised =
            !is_to(attempt, NETWORK_REFUND) || charge->amount_refunding >= refund->amount;
        return promised && text_is(refund->status, "pending") && !refund->balance_transaction.at;
    }
    if (attempt->setup_intent.at)
        return found(call, ROW_setup_intent, attempt->setup_intent, si) &&
               text_equal(si->attempt, attempt->id);
    if (!attempt->payment_intent.at)
        return found(call, ROW_charge, attempt->charge, charge) &&
               text_equal(charge->attempt, attempt->id);
    return found(call, ROW_payment_intent, attempt->payment_intent, pi) &&
           text_equal(pi->attempt, attempt->id) && charge_agrees(call, attempt, pi);
}

/* Runs as the handlers do, and again when a row was stale: job->answer is in the job's arena. */
static void
finish(struct call *call)
{
    struct job *const job = (struct job *)call;
    struct row_attempt *attempt = just_begun(job);
    job->begun_stands = false; /* it is changed from here on */
    if (!attempt && !(attempt = reload(job))) return;
    const enum attempt_state now = attempt_state_named(attempt->state);
    if (attempt_step(now, events[job->answer.outcome]) == ATTEMPT_NONE) {
        /* Its state moved on since the question was asked. */
        attempt_pause(job);
        return;
    }
    if (!rows_agree(call, attempt)) {
        store_forget(call->store, ROW_attempt, attempt->merchant, attempt->id);
        if (attempt->payment_intent.at)
            store_forget(call->store, ROW_payment_intent, attempt->merchant,
                         attempt->payment_intent);
        if (attempt->setup_intent.at)
            store_forget(call->store, ROW_setup_intent, attempt->merchant, attempt->setup_intent);
        if (attempt->charge.at)
            store_forget(call->store, ROW_charge, attempt->merchant, attempt->charge);
        if (attempt->refund.at)
            store_forget(call->store, ROW_refund, attempt->merchant, attempt->refund);
        attempt_pause(job);
        return;
    }
    attempt_finished(call, attempt, &job->answer);
}

static void
run_finish(struct job *job)
{
    job->handler = finish;
    job->finishing = true;
    job_run(job);
}

/* --- the first question ---------------------------------------------------------------------- */

void
attempt_ask(struct job *job)
{
    const int64_t ms_max = job->worker->settings.network_timeout_ms;
    job->tries = 0;
    if (ask(job, ASKED_OPERATION, &job->request, ms_max)) return;
    /* Nothing left the house, and that is certain. */
    job->asked = ASKED_OPERATION;
    job->answer = (struct msg_network_answer){
        .has = HAS_network_answer_reference | HAS_network_answer_operation |
               HAS_network_answer_outcome,
        .reference = job->request.reference,
        .operation = job->request.operation,
        .outcome = OUTCOME_NEVER_SENT,
    };
    run_finish(job);
}

void
attempt_timed_out(struct job *job)
{
    if (job->asked == ASKED_FOLLOW_UP) { /* it is still due, and asked about again */
        job_end(job);
        return;
    }
    if (FLORIN_MUTANT(reversal_not_awaited) && job->asked == ASKED_REVERSAL) {
        job->answer.outcome = OUTCOME_REVERSED;
        run_finish(job);
        return;
    }
    if (FLORIN_MUTANT(silence_is_decline) && job->asked == ASKED_OPERATION) {
        job->answer.outcome = OUTCOME_DECLINED;
        run_finish(job);
        return;
    }
    if (job->asked != ASKED_OPERATION) {
        attempt_pause(job);
        return;
    }
    log_event(LOG_WARNING, "attempt.timed_out", "attempt=%s", job->attempt);
    job_tell_refusal(job, &refusal_late);
    attempt_resume(job);
}

/* --- recovery -------------------------------------------------------------------------------- */

/* One compare-and-set: the row as it was read, in the state that the event leads to. */
static void
commit_step(struct job *job, struct row_attempt *attempt, enum attempt_event event, enum aim aim)
{
    const enum attempt_state to = attempt_step(attempt_state_named(attempt->state), event);
    assert(to != ATTEMPT_NONE);
    attempt->state = text_of(attempt_state_name(to));
    if (FLORIN_MUTANT(staged_forgotten)) attempt->staged = NO_TEXT;
    attempt->epoch = (int64_t)job->worker->slots.epoch[job->slot];
    change_clear(&job->change);
    change_row(&job->change, ROW_attempt, attempt, false);
    commit_send(job, aim, 0);
}

static void
ask_about(struct job *job, const struct row_attempt *attempt, enum network_operation operation)
{
    const struct msg_network_request request = {
        .has = HAS_network_request_reference | HAS_network_request_operation |
               HAS_network_request_merchant | (attempt->amount ? HAS_network_request_amount : 0u) |
               (attempt->currency.at ? HAS_network_request_currency : 0u) |
               (attempt->original.at ? HAS_network_request_original : 0u),
        .reference = attempt->id,
        .operation = (uint64_t)operation,
        .original = attempt->original,
        .amount = attempt->amount,
        .currency = attempt->currency,
        .merchant = attempt->merchant,
    };
    const enum asked asked = operation == NETWORK_INQUIRE ? ASKED_INQUIRY : ASKED_REVERSAL;
    if (!ask(job, asked, &request, INQUIRY_MS_MAX)) attempt_pause(job);
}

void
attempt_resume(struct job *job)
{
    assert(job->step != STEP_FREE);
    job_wait(job, STEP_READY, 0, 0);
    /* All that is needed is in the row: what the call had in memory goes. */
    arena_reset(job->call.arena);
    change_clear(&job->change);
    job->begun = NULL;
    job->begun_stands = false;
    job->handler = NULL;
    job->finishing = false;
    job->stale = 0;
    job->merchant_create = NULL;
    job->by_hand = NULL;
    job->call.route = NULL;
    job->call.card = NULL;
    job->call.params = (struct params){NULL, 0};
    job->call.object = job->call.parent = job->call.request_hash = job->call.path = NO_TEXT;
    job->call.key = job->call.request = job->call.expand = job->call.api_version = NO_TEXT;

    struct row_attempt *const attempt = reload(job);
    if (!attempt) return;
    switch (attempt_state_named(attempt->state)) {
    case ATTEMPT_SENDING: commit_step(job, attempt, ATTEMPT_ON_TAKEN_OVER, AIM_TAKE); return;
    case ATTEMPT_UNKNOWN: ask_about(job, attempt, NETWORK_INQUIRE); return;
    case ATTEMPT_REVERSING: ask_about(job, attempt, NETWORK_REVERSE); return;
    default: assert(!"an open attempt is in one of these states");
    }
}

static void
decide_to_reverse(struct job *job)
{
    struct row_attempt *const attempt = reload(job);
    if (!attempt) return;
    FAILPOINT(payments_before_reverse);
    if (FLORIN_MUTANT(reversing_not_durable))
        ask_about(job, attempt, NETWORK_REVERSE);
    else if (attempt_state_named(attempt->state) == ATTEMPT_UNKNOWN)
        commit_step(job, attempt, ATTEMPT_ON_NOT_FOUND, AIM_REVERSE);
    else
        attempt_pause(job);
}

/* An approval is of what was asked, or it is not booked (F77): somebody has to look at it. A void
 * moves nothing, so its amount says nothing. */
static bool
amounts_agree(struct job *job)
{
    const struct msg_network_answer *const answer = &job->answer;
    if (answer->outcome != OUTCOME_APPROVED || !(answer->has & HAS_network_answer_amount))
        return true;
    struct call *const call = &job->call;
    struct row_attempt *attempt = just_begun(job);
    if (!attempt) {
        attempt = arena_take(call->arena, sizeof *attempt);
        if (store_get(job->worker->store, ROW_attempt, text_of(job->merchant),
                      text_of(job->attempt), call->arena, attempt) != STORE_FOUND)
            return false;
    }
    if (text_is(attempt->operation, network_operation_name(NETWORK_VOID))) return true;
    const bool agree =
        answer->amount == attempt->amount && (!(answer->has & HAS_network_answer_currency) ||
                                              text_equal(answer->currency, attempt->currency));
    if (!agree)
        log_event(LOG_ERROR, "attempt.amount_differs", "attempt=%s asked=%lld approved=%lld",
                  job->attempt, (long long)attempt->amount, (long long)answer->amount);
    return agree;
}

static void
answered(struct job *job)
{
    const enum asked asked = job->asked;
    FAILPOINT(payments_after_network);
    enum next next = attempt_next(asked, job->answer.outcome);
    if (next == NEXT_FINISH && !amounts_agree(job))
        next = asked == ASKED_OPERATION ? NEXT_RECOVER : NEXT_AGAIN;
    if (FLORIN_MUTANT(not_found_is_final) && asked == ASKED_INQUIRY && next == NEXT_REVERSE) {
        job->answer.outcome = OUTCOME_REVERSED;
        next = NEXT_FINISH;
    }
    switch (next) {
    case NEXT_FINISH: run_finish(job); return;
    case NEXT_RECOVER:
        log_event(LOG_WARNING, "attempt.unclear", "attempt=%s outcome=%s", job->attempt,
                  network_outcome_name(job->answer.outcome));
        attempt_resume(job);
        return;
    case NEXT_REVERSE: decide_to_reverse(job); return;
    case NEXT_AGAIN: attempt_pause(job); return;
    }
}

static uint64_t
operation_asked(const struct job *job)
{
    switch (job->asked) {
    case ASKED_INQUIRY:
    case ASKED_FOLLOW_UP: return NETWORK_INQUIRE;
    case ASKED_REVERSAL: return NETWORK_REVERSE;
    default: return job->request.operation;
    }
}

static void
network_answer(struct worker *worker, struct link *from, const struct packet *packet)
{
    struct job *const job =
        names_find(&worker->by_wait,
                   (struct text){(const char *)&packet->correlation, sizeof packet->correlation});
    if (!job || job->step != STEP_NETWORK) return; /* too late: an inquiry has found it, or will */

    struct packet own = *packet;
    own.body = (const uint8_t *)arena_copy(job->call.arena,
                                           (struct text){(const char *)packet->body, packet->size})
                   .at;
    struct msg_network_answer answer;
    if (!packet_decode(from, &own, MSG_network_answer, &answer)) return;
    if (!text_is(answer.reference, job->attempt) || answer.operation != operation_asked(job)) {
        log_event(LOG_ERROR, "network.answered_another", "attempt=%s reference=%.*s", job->attempt,
                  (int)answer.reference.size, answer.reference.at);
        return;
    }
    job_wait(job, STEP_READY, 0, 0);
    job->answer = answer;
    if (job->asked == ASKED_FOLLOW_UP)
        follow_up_answered(job);
    else
        answered(job);
}

static void
attempt_timed_out_early(struct job *job)
{
    if (job->asked == ASKED_FOLLOW_UP)
        job_end(job);
    else
        attempt_resume(job);
}

/* Another process id: the network was restarted, and has forgotten what was in flight. No need to
 * wait for answers that cannot come. */
static void
network_pong(struct worker *worker, struct link *from, const struct packet *packet)
{
    struct msg_pong pong;
    if (!packet_decode(from, packet, MSG_pong, &pong)) return;
    const bool restarted = worker->network_pid && pong.pid != worker->network_pid;
    worker->network_heard_ms = worker->mono_ms;
    worker->network_pid = pong.pid;
    if (!restarted) return;
    log_event(LOG_WARNING, "network.restarted", "pid=%llu", (unsigned long long)pong.pid);
    for (size_t i = 0; i < worker->job_count; i++)
        if (worker->jobs[i]->step == STEP_NETWORK) attempt_timed_out_early(worker->jobs[i]);
}

void
network_said(void *state, struct link *from, const struct packet *packet)
{
    struct worker *const worker = state;
    worker_tell_time(worker);
    switch (packet->number) {
    case MSG_pong: network_pong(worker, from, packet); return;
    case MSG_network_answer: network_answer(worker, from, packet); return;
    default: return; /* `refused`: the time-out and the inquiry see to it */
    }
}

/* --- whoever takes a slot over --------------------------------------------------------------- */

bool
attempt_lock_objects(struct job *job, const struct row_attempt *attempt)
{
    const struct text objects[] = {attempt->payment_intent, attempt->charge, attempt->refund,
                                   attempt->setup_intent};
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++)
        if (objects[i].at &&
            !lock_try(&job->worker->locks, &job->locker, attempt->merchant, objects[i]))
            return false;
    return true;
}

static void
hold_key(struct job *job, const struct row_attempt *attempt)
{
    struct worker *const worker = job->worker;
    if (!attempt->key.at || attempt->key.size > KEY_SIZE_MAX) return;
    const int size = snprintf(job->key_name, sizeof job->key_name, "%s/%.*s", job->merchant,
                              (int)attempt->key.size, attempt->key.at);
    const struct text name = {job->key_name, (size_t)size < sizeof job->key_name
                                                 ? (size_t)size
                                                 : sizeof job->key_name - 1};
    if (!names_find(&worker->by_key, name)) names_add(&worker->by_key, &job->by_key, name, job);
}

/* The attempt comes from Postgres. What we remember of what it is about may be older, when the slot
 * was another worker's without our hearing of it. */
static void
forget_objects(struct store *store, const struct row_attempt *attempt)
{
    const struct {
        enum row_table table;
        struct text id;
    } objects[] = {{ROW_payment_intent, attempt->payment_intent},
                   {ROW_charge, attempt->charge},
                   {ROW_refund, attempt->refund},
                   {ROW_setup_intent, attempt->setup_intent}};
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++)
        if (objects[i].id.at)
            store_forget(store, objects[i].table, attempt->merchant, objects[i].id);
}

static void
recover(struct worker *worker, const struct row_attempt *attempt)
{
    if (names_find(&worker->by_attempt, attempt->id)) return;
    if (attempt->id.size > ID_SIZE_MAX || attempt->merchant.size > MERCHANT_SIZE_MAX) return;
    struct job *const job = job_new(worker, slot_of(attempt->merchant));
    if (!job) return; /* the next sweep */
    snprintf(job->attempt, sizeof job->attempt, "%.*s", (int)attempt->id.size, attempt->id.at);
    snprintf(job->merchant, sizeof job->merchant, "%.*s", (int)attempt->merchant.size,
             attempt->merchant.at);
    names_add(&worker->by_attempt, &job->by_attempt, text_of(job->attempt), job);
    if (!attempt_lock_objects(job,
                              attempt)) { /* a call decides about them just now: the next sweep */
        job_end(job);
        return;
    }
    hold_key(job, attempt);
    log_event(LOG_INFO, "attempt.recovering", "attempt=%s state=%.*s", job->attempt,
              (int)attempt->state.size, attempt->state.at);
    store_wrote(worker->store, ROW_attempt, attempt);
    forget_objects(worker->store, attempt);
    attempt_resume(job);
}

bool
attempts_recover(struct worker *worker, const uint8_t slots[static SLOT_BYTES])
{
    if (FLORIN_MUTANT(open_attempts_forgotten)) return true;
    struct arena *arena = arena_new(RECOVERY_ARENA_BYTES);
    struct row_attempt *attempts;
    size_t count;
    if (FAILPOINT_SKIPS(payments_forget_recovery)) {
        arena_destroy(&arena);
        return true;
    }
    const bool read =
        store_open_attempts(worker->store, slots, arena, &attempts, &count) == STORE_FOUND;
    for (size_t i = 0; read && i < count; i++)
        recover(worker, &attempts[i]);
    arena_destroy(&arena);
    return read;
}
