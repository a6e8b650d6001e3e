/* The ledger's client: who leads, what was sent and not answered, and what a verdict means.
 *
 * A commit that is not answered is sent again after COMMIT_AGAIN_MS, and at once when another
 * ledger leads; its id makes that harmless. Until it is answered its outcome is unknown, so its job
 * lives on, its locks held, whatever the client was told meanwhile. */
#include "worker.h"

#include "clock.h"
#include "failpoint.h"
#include "log.h"
#include "mutant.h"
#include "random.h"
#include <assert.h>

#define COMMIT_AGAIN_MS 1000
#define COMMIT_SOON_MS 100
#define VERDICT_COUNT (COMMIT_REJECTED + 1)

// clang-format off
static const enum after verdicts[AIM_COUNT][VERDICT_COUNT] = {
    [AIM_ANSWER] = {
        [COMMIT_DONE] = AFTER_GO_ON,     [COMMIT_FENCED] = AFTER_LOST,  [COMMIT_BUSY] = AFTER_BUSY,
        [COMMIT_ANSWERED] = AFTER_REPLAY, [COMMIT_OPEN] = AFTER_IN_USE, [COMMIT_MISMATCH] = AFTER_MISMATCH,
        [COMMIT_STALE] = AFTER_RERUN,    [COMMIT_REJECTED] = AFTER_FAIL},
    [AIM_BEGIN] = {
        [COMMIT_DONE] = AFTER_GO_ON,     [COMMIT_FENCED] = AFTER_LOST,  [COMMIT_BUSY] = AFTER_BUSY,
        [COMMIT_ANSWERED] = AFTER_REPLAY, [COMMIT_OPEN] = AFTER_IN_USE, [COMMIT_MISMATCH] = AFTER_MISMATCH,
        [COMMIT_STALE] = AFTER_RERUN,    [COMMIT_REJECTED] = AFTER_FAIL},
    [AIM_TAKE] = {
        [COMMIT_DONE] = AFTER_GO_ON,     [COMMIT_FENCED] = AFTER_LOST,  [COMMIT_BUSY] = AFTER_REPEAT,
        [COMMIT_STALE] = AFTER_RESUME,   [COMMIT_REJECTED] = AFTER_PAUSE},
    [AIM_REVERSE] = {
        [COMMIT_DONE] = AFTER_GO_ON,     [COMMIT_FENCED] = AFTER_LOST,  [COMMIT_BUSY] = AFTER_REPEAT,
        [COMMIT_STALE] = AFTER_RESUME,   [COMMIT_REJECTED] = AFTER_PAUSE},
    /* Answered, open, mismatch: somebody else has finished it, or the books know the key otherwise;
     * the attempt's row tells. */
    [AIM_FINISH] = {
        [COMMIT_DONE] = AFTER_GO_ON,     [COMMIT_FENCED] = AFTER_LOST,  [COMMIT_BUSY] = AFTER_REPEAT,
        [COMMIT_ANSWERED] = AFTER_PAUSE, [COMMIT_OPEN] = AFTER_PAUSE,   [COMMIT_MISMATCH] = AFTER_PAUSE,
        [COMMIT_STALE] = AFTER_RERUN,    [COMMIT_REJECTED] = AFTER_PAUSE},
    /* What was not written is still due, and is looked at again. */
    [AIM_FOLLOW] = {
        [COMMIT_DONE] = AFTER_GO_ON,     [COMMIT_FENCED] = AFTER_LOST,  [COMMIT_BUSY] = AFTER_REPEAT,
        [COMMIT_STALE] = AFTER_DROP,     [COMMIT_REJECTED] = AFTER_DROP},
};
// clang-format on

enum after
commit_after(enum aim aim, uint64_t verdict, bool repeated, bool as_repeated)
{
    assert(aim < AIM_COUNT);
    const enum after after = verdict < VERDICT_COUNT ? verdicts[aim][verdict] : AFTER_NOTHING;
    /* The first sending, behind its repetition: perhaps it is that which stands in its way. */
    if (repeated && !as_repeated && !FLORIN_MUTANT(late_sending_is_believed) &&
        (verdict == COMMIT_STALE || verdict == COMMIT_FENCED || verdict == COMMIT_REJECTED))
        return after == AFTER_NOTHING ? AFTER_NOTHING : AFTER_REPEAT;
    /* `busy` says that this sending wrote nothing; an earlier one may have. */
    return after == AFTER_BUSY && repeated ? AFTER_REPEAT : after;
}

/* --- who leads ------------------------------------------------------------------------------- */

struct ledger *
ledger_leading(struct worker *worker)
{
    return worker->leader < 0 ? NULL : &worker->ledgers[worker->leader];
}

static void
choose_leader(struct worker *worker)
{
    int best = -1;
    for (int i = 0; i < LEDGERS_PER_PARTITION; i++) {
        const struct ledger *const ledger = &worker->ledgers[i];
        if (!ledger->heard_ms || worker->mono_ms - ledger->heard_ms > LINK_DEAD_MS) continue;
        if (!ledger->leading) continue;
        if (best < 0 || ledger->epoch > worker->ledgers[best].epoch) best = i;
    }
    const uint64_t epoch = best < 0 ? 0 : worker->ledgers[best].epoch;
    if (best == worker->leader && epoch == worker->leader_epoch) return;

    log_event(LOG_INFO, "ledger.leads", "instance=%d epoch=%llu",
              best < 0 ? 0 : partition_ledger(worker->partition, best), (unsigned long long)epoch);
    worker->leader = best;
    worker->leader_epoch = epoch;
    if (best < 0) return;
    slots_ask_again(worker);
    for (size_t i = 0; i < worker->job_count; i++)
        if (worker->jobs[i]->step == STEP_COMMIT) commit_repeat(worker->jobs[i]);
}

void
ledgers_beat(struct worker *worker)
{
    const struct msg_ledger_beat beat = {0};
    for (int i = 0; i < LEDGERS_PER_PARTITION; i++) {
        struct ledger *const ledger = &worker->ledgers[i];
        /* Nobody at the other end: it does not lead any more, and who does is to be found out. */
        if (!link_send(ledger->link, (struct envelope){.slot = 0}, MSG_ledger_beat, &beat))
            ledger->leading = false;
    }
    choose_leader(worker);
}

/* --- sending --------------------------------------------------------------------------------- */

static void
send_commit(struct job *job)
{
    struct worker *const worker = job->worker;
    struct ledger *const ledger = ledger_leading(worker);
    job->due_ms = worker->mono_ms + COMMIT_AGAIN_MS;
    if (!ledger) return; /* choose_leader repeats it */
    job->commit.repeated = job->sendings > 0 && !FLORIN_MUTANT(repetition_not_said);
    const struct envelope envelope = {.slot = job->slot, .correlation = job->wait};
    if (link_send(ledger->link, envelope, MSG_commit, &job->commit))
        job->sendings++;
    else
        job->due_ms = worker->mono_ms + COMMIT_SOON_MS;
}

void
commit_repeat(struct job *job)
{
    assert(job->step == STEP_COMMIT);
    send_commit(job);
}

static void
set_text(struct msg_commit *commit, struct text *field, uint32_t has, struct text value)
{
    if (!value.at) return;
    *field = value;
    commit->has |= has;
}

void
commit_send(struct job *job, enum aim aim, unsigned claim)
{
    struct worker *const worker = job->worker;
    struct msg_commit *const commit = &job->commit;
    const struct call *const call = &job->call;
    assert(!job->wait);

    random_bytes(job->commit_id, sizeof job->commit_id);
    *commit = (struct msg_commit){
        .has = HAS_commit_id | HAS_commit_merchant | HAS_commit_epoch | HAS_commit_urgency |
               HAS_commit_repeated | HAS_commit_claim,
        .id = {(const char *)job->commit_id, sizeof job->commit_id},
        .merchant = call->merchant,
        .epoch = worker->slots.epoch[job->slot],
        .urgency = aim == AIM_TAKE || aim == AIM_REVERSE || aim == AIM_FINISH || aim == AIM_FOLLOW,
        .claim = claim,
    };
    set_text(commit, &commit->request, HAS_commit_request, call->request);
    if (claim) {
        set_text(commit, &commit->key, HAS_commit_key, call->key);
        set_text(commit, &commit->request_hash, HAS_commit_request_hash, call->request_hash);
        set_text(commit, &commit->path, HAS_commit_path, call->path);
    }
    if (claim && aim != AIM_BEGIN) {
        commit->status = (uint64_t)job->status;
        commit->told = change_told(&job->change, job->body);
        commit->has |= HAS_commit_status | (commit->told ? HAS_commit_told : 0u);
        if (!commit->told) set_text(commit, &commit->body, HAS_commit_body, job->body);
    }
    job->aim = aim;
    job->sendings = 0;
    if (!change_pack(&job->change, job->call.arena, commit)) {
        log_event(LOG_ERROR, "commit.unpackable", "request=%.*s", (int)call->request.size,
                  call->request.at);
        if (job->by_attempt.name.at && aim != AIM_BEGIN && aim != AIM_FOLLOW) {
            attempt_pause(job);
            return;
        }
        job_tell_refusal(job, &refusal_failed);
        job_end(job);
        return;
    }
    job_wait(job, STEP_COMMIT, link_next_correlation(), 0);
    if (aim == AIM_BEGIN) FAILPOINT(payments_before_begin);
    if (aim == AIM_FINISH) FAILPOINT(payments_before_finish);
    if ((aim == AIM_FINISH || aim == AIM_ANSWER) && FAILPOINT_SKIPS(payments_answer_early))
        job_tell(job, job->status, job->body, job->retry, claim != 0, NO_TEXT);
    send_commit(job);
    struct ledger *const ledger = ledger_leading(worker);
    if (aim == AIM_BEGIN && ledger) FAILPOINT_AFTER(ledger->link, payments_after_begin_sent);
    if (aim == AIM_FINISH && ledger) FAILPOINT_AFTER(ledger->link, payments_after_finish_sent);
}

/* --- answers --------------------------------------------------------------------------------- */

static void
forget_staged(struct job *job)
{
    const struct change *const change = &job->change;
    for (size_t i = 0; i < change->row_count; i++)
        store_forget(job->worker->store, change->rows[i].table, row_merchant(change->rows[i].row),
                     row_id(change->rows[i].row));
}

/* What is begun is asked for once, by this very job, and then it is over: it stays where it is. Nor
 * does anybody come back for a payment method that has paid and may not pay again. Each payment
 * leaves one of both; who wants them all the same reads them. */
static void
remember(struct job *job, const struct staged_row *staged)
{
    struct store *const store = job->worker->store;
    const struct row_payment_method *const method =
        staged->table == ROW_payment_method ? staged->row : NULL;
    const bool readable = store_can_read(store);
    if (readable && staged->row == job->begun)
        job->begun_stands = job->aim == AIM_BEGIN;
    else if (!readable || job->aim != AIM_FINISH || !method || !method->consumed)
        store_wrote(store, staged->table, staged->row);
    else if (staged->replaces)
        store_forget(store, ROW_payment_method, method->merchant, method->id);
}

static void
go_on(struct job *job)
{
    struct worker *const worker = job->worker;
    /* An answer may come when the slot was another's and is ours again: what was written then may
     * have been replaced since. */
    if (job->commit.epoch != worker->slots.epoch[job->slot])
        forget_staged(job);
    else
        for (size_t i = 0; i < job->change.row_count; i++)
            remember(job, &job->change.rows[i]);
    switch (job->aim) {
    case AIM_ANSWER:
    case AIM_FINISH:
        FAILPOINT(payments_before_reply);
        job_tell(job, job->status, job->body, job->retry, job->commit.claim != 0, NO_TEXT);
        FAILPOINT_AFTER(worker->broker, payments_after_reply);
        job_end(job);
        return;
    case AIM_BEGIN:
        FAILPOINT(payments_after_begin);
        attempt_ask(job);
        return;
    case AIM_TAKE:
        FAILPOINT(payments_after_take);
        attempt_resume(job);
        return;
    case AIM_REVERSE:
        FAILPOINT(payments_after_reversing);
        attempt_resume(job);
        return;
    case AIM_FOLLOW: job_end(job); return;
    case AIM_COUNT: break;
    }
    assert(!"a commit has an aim");
}

static void
run_again(struct job *job)
{
    forget_staged(job);
    if (job->finishing && job->stale >= STALE_MAX) {
        attempt_pause(job);
    } else if (!job->finishing && (job->stale >= STALE_MAX || !job->client)) {
        job_tell_refusal(job, &refusal_lock_timeout);
        job_end(job);
    } else {
        job->stale++;
        job_make_ready(job);
    }
}

/* Our own newer epoch is on its way through the queue of the ledger: a slots_take that was sent
 * twice was granted twice. Then the slot is not lost, only named by its old number. */
static void
fenced(struct job *job)
{
    struct worker *const worker = job->worker;
    if (job->commit.epoch < worker->slots.epoch[job->slot] && slot_is_held(worker, job->slot)) {
        if (job->aim == AIM_ANSWER || job->aim == AIM_BEGIN || job->aim == AIM_FINISH)
            run_again(job);
        else if (job->aim == AIM_FOLLOW)
            job_end(job); /* it is still due */
        else
            attempt_resume(job);
        return;
    }
    const uint16_t slot = job->slot;
    job_tell_unroutable(job);
    job_end(job);
    slot_lost(worker, slot);
}

/* The answer that is kept under the key: as it is, or as what an event told. */
static void
replay(struct job *job, const struct msg_committed *committed)
{
    struct text body = committed->body, previous;
    const size_t cap = event_unpack_bound(committed->packed);
    if (!body.at &&
        !event_unpack(committed->packed, committed->told,
                      arena_take_unset(job->call.arena, cap + 1), cap, &body, &previous)) {
        log_event(LOG_ERROR, "answer.unreadable", "request=%.*s", (int)job->call.request.size,
                  job->call.request.at ? job->call.request.at : "");
        job_tell_refusal(job, &refusal_failed);
        return;
    }
    job_tell(job, (int)committed->status, body, false, true, committed->original_request);
}

static void
commit_answered(struct job *job, const struct msg_committed *committed)
{
    const enum after after = commit_after(job->aim, committed->verdict, job->sendings > 1, committed->repeated == 1);
    if (after == AFTER_NOTHING) return;
    if (after == AFTER_REPEAT) {
        job->due_ms = job->worker->mono_ms + COMMIT_SOON_MS;
        return;
    }

    /* After this point the commit is over: the job waits for nothing, and goes to its next step. */
    job_wait(job, STEP_READY, 0, 0);
    struct call *const call = &job->call;
    struct api_refusal refusal;
    switch (after) {
    case AFTER_GO_ON: go_on(job); return;
    case AFTER_LOST: fenced(job); return;
    case AFTER_RERUN: run_again(job); return;
    case AFTER_RESUME:
        forget_staged(job);
        attempt_resume(job);
        return;
    case AFTER_PAUSE:
        log_event(LOG_ERROR, "attempt.refused", "attempt=%s verdict=%s detail=\"%.*s\"",
                  job->attempt, commit_verdict_name(committed->verdict),
                  (int)committed->detail.size, committed->detail.at ? committed->detail.at : "");
        forget_staged(job);
        attempt_pause(job);
        return;
    case AFTER_REPLAY: replay(job, committed); break;
    case AFTER_IN_USE:
        refusal = refusal_in_use(call->arena, call->key);
        job_tell_refusal(job, &refusal);
        break;
    case AFTER_MISMATCH:
        refusal = refusal_mismatch(call->arena, call->key);
        job_tell_refusal(job, &refusal);
        break;
    case AFTER_BUSY: job_tell_refusal(job, &refusal_busy); break;
    case AFTER_FAIL:
        log_event(LOG_ERROR, "commit.rejected", "request=%.*s detail=\"%.*s\"",
                  (int)call->request.size, call->request.at ? call->request.at : "",
                  (int)committed->detail.size, committed->detail.at ? committed->detail.at : "");
        forget_staged(job);
        job_tell_refusal(job, &refusal_failed);
        break;
    case AFTER_DROP:
        log_event(LOG_WARNING, "refund.not_followed", "refund=%s verdict=%s detail=\"%.*s\"",
                  job->refund, commit_verdict_name(committed->verdict), (int)committed->detail.size,
                  committed->detail.at ? committed->detail.at : "");
        forget_staged(job);
        break;
    case AFTER_NOTHING:
    case AFTER_REPEAT: break;
    }
    job_end(job);
}

static struct job *
job_of(struct worker *worker, const struct packet *packet)
{
    struct job *const job =
        names_find(&worker->by_wait,
                   (struct text){(const char *)&packet->correlation, sizeof packet->correlation});
    return job && job->step == STEP_COMMIT ? job : NULL;
}

static void
ledger_told(struct worker *worker, struct link *from, const struct packet *packet)
{
    struct msg_ledger_told told;
    if (!packet_decode(from, packet, MSG_ledger_told, &told)) return;
    for (int i = 0; i < LEDGERS_PER_PARTITION; i++) {
        if (worker->ledgers[i].link != from) continue;
        worker->ledgers[i].heard_ms = worker->mono_ms;
        worker->ledgers[i].leading = told.leading == 1;
        worker->ledgers[i].epoch = told.epoch;
    }
    choose_leader(worker);
}

/* It does not lead, or is full: soon again. What it cannot read it will never take. */
static void
refused_by_ledger(struct worker *worker, struct link *from, const struct packet *packet)
{
    struct msg_refused refused;
    struct job *const job = job_of(worker, packet);
    if (!packet_decode(from, packet, MSG_refused, &refused)) return;
    slots_take_refused(worker, packet);
    if (!job) return;
    if (text_is(refused.code, "malformed") || text_is(refused.code, "forbidden")) {
        const struct msg_committed rejected = {
            .verdict = COMMIT_REJECTED,
            .repeated = 1,
            .detail = refused.reason,
        };
        commit_answered(job, &rejected);
        return;
    }
    job->due_ms = worker->mono_ms + COMMIT_SOON_MS;
}

void
ledger_said(void *state, struct link *from, const struct packet *packet)
{
    struct worker *const worker = state;
    struct msg_committed committed;
    struct job *job;
    worker_tell_time(worker);
    switch (packet->number) {
    case MSG_ledger_told: ledger_told(worker, from, packet); return;
    case MSG_slots_taken: slots_taken(worker, from, packet); return;
    case MSG_committed:
        job = job_of(worker, packet);
        if (!job || !packet_decode(from, packet, MSG_committed, &committed)) return;
        if (!text_equal(committed.id, job->commit.id)) return;
        commit_answered(job, &committed);
        return;
    case MSG_refused: refused_by_ledger(worker, from, packet); return;
    default: return;
    }
}
