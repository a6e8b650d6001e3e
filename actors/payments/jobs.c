/* Jobs: taking one, letting it wait, telling its client, running its handler (worker.h). */
#include "worker.h"

#include "log.h"
#include "mutant.h"
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* --- jobs ------------------------------------------------------------------------------------ */

struct job *
job_new(struct worker *worker, uint16_t slot)
{
    struct job *job = worker->spare;
    struct arena *arena = NULL;
    if (job) {
        worker->spare = job->next;
        arena = job->call.arena;
    } else {
        if (worker->job_count == JOBS_MAX) return NULL;
        if (!(job = malloc(sizeof *job))) abort();
        arena = arena_new(JOB_ARENA_BYTES);
        worker->jobs[worker->job_count++] = job;
    }
    memset(job, 0, offsetof(struct job, change));
    change_clear(&job->change);
    job->worker = worker;
    job->step = STEP_READY;
    job->slot = slot;
    job->locker.owner = job;
    job->call.worker = worker;
    job->call.store = worker->store;
    job->call.arena = arena;
    job->call.change = &job->change;
    worker->jobs_busy++;
    worker->jobs_in_slot[slot]++;
    return job;
}

void
job_make_ready(struct job *job)
{
    struct worker *const worker = job->worker;
    job->step = STEP_READY;
    job->next = NULL;
    if (worker->ready_last)
        worker->ready_last->next = job;
    else
        worker->ready_first = job;
    worker->ready_last = job;
}

static struct job *
take_ready(struct worker *worker)
{
    struct job *const job = worker->ready_first;
    if (!job) return NULL;
    worker->ready_first = job->next;
    if (!worker->ready_first) worker->ready_last = NULL;
    job->next = NULL;
    return job;
}

static void
leave_ready(struct job *job)
{
    struct worker *const worker = job->worker;
    struct job *before = NULL;
    for (struct job *at = worker->ready_first; at; before = at, at = at->next) {
        if (at != job) continue;
        *(before ? &before->next : &worker->ready_first) = job->next;
        if (worker->ready_last == job) worker->ready_last = before;
        return;
    }
}

void
job_forget_client(struct job *job)
{
    if (!job->client) return;
    job->client = false;
    assert(job->worker->clients > 0);
    job->worker->clients--;
}

void
job_wait(struct job *job, enum step step, uint64_t correlation, int64_t due_ms)
{
    struct worker *const worker = job->worker;
    assert(job->step != STEP_FREE);
    names_remove(&worker->by_wait, &job->by_wait);
    job->step = step;
    job->wait = correlation;
    job->due_ms = due_ms;
    if (correlation)
        names_add(&worker->by_wait, &job->by_wait,
                  (struct text){(const char *)&job->wait, sizeof job->wait}, job);
}

void
job_end(struct job *job)
{
    struct worker *const worker = job->worker;
    assert(job->step != STEP_FREE);
    if (job->step == STEP_READY) leave_ready(job);
    names_remove(&worker->by_wait, &job->by_wait);
    names_remove(&worker->by_key, &job->by_key);
    names_remove(&worker->by_attempt, &job->by_attempt);
    job_forget_client(job);
    job->step = STEP_FREE;
    arena_reset(job->call.arena);
    job->next = worker->spare;
    worker->spare = job;
    worker->jobs_busy--;
    worker->jobs_in_slot[job->slot]--;
    locks_release(&worker->locks, &job->locker);
}

/* --- what the client is told ----------------------------------------------------------------- */

static void
tell(struct worker *worker, const struct packet *asked, struct msg_api_answer *answer)
{
    const struct envelope envelope = {.slot = asked->slot, .correlation = asked->correlation};
    answer->has |=
        HAS_api_answer_status | HAS_api_answer_body | HAS_api_answer_retry | HAS_api_answer_stored;
    if (!answer->body.at) answer->body = TEXT("");
    if (!link_send(worker->broker, envelope, MSG_api_answer, answer))
        log_event(LOG_WARNING, "answer.undelivered", "status=%llu",
                  (unsigned long long)answer->status);
}

void
job_tell(struct job *job, int status, struct text body, bool retry, bool stored,
         struct text original_request)
{
    if (!job->client) return;
    const struct packet asked = {.slot = job->slot, .correlation = job->correlation};
    struct msg_api_answer answer = {
        .status = (uint64_t)status,
        .body = body,
        .retry = retry,
        .stored = stored,
        .original_request = original_request,
    };
    if (original_request.at) answer.has |= HAS_api_answer_original_request;
    tell(job->worker, &asked, &answer);
    job_forget_client(job);
}

void
job_tell_refusal(struct job *job, const struct api_refusal *refusal)
{
    if (!job->client) return;
    job_tell(job, refusal->status, refusal_json(&job->call, refusal), refusal->retry, false,
             NO_TEXT);
}

void
packet_refuse(struct worker *worker, const struct packet *packet, const char *code,
              const char *reason)
{
    const struct msg_refused refused = {
        .has = HAS_refused_code | HAS_refused_reason,
        .code = text_of(code),
        .reason = text_of(reason),
    };
    const struct envelope envelope = {.slot = packet->slot, .correlation = packet->correlation};
    if (packet->correlation) (void)link_send(worker->broker, envelope, MSG_refused, &refused);
}

void
job_tell_unroutable(struct job *job)
{
    if (!job->client) return;
    const struct packet asked = {.slot = job->slot, .correlation = job->correlation};
    packet_refuse(job->worker, &asked, "unroutable", "the slot is another worker's by now");
    job_forget_client(job);
}

/* Without a job: what is wrong with a packet at first sight. */
void
packet_tell_refusal(struct worker *worker, const struct packet *packet,
                    const struct api_refusal *refusal)
{
    struct call call = {.worker = worker, .arena = worker->scratch};
    struct msg_api_answer answer = {
        .status = (uint64_t)refusal->status,
        .body = refusal_json(&call, refusal),
        .retry = refusal->retry,
    };
    tell(worker, packet, &answer);
}

/* --- running --------------------------------------------------------------------------------- */

static void
wait_for_lock(struct job *job)
{
    struct worker *const worker = job->worker;
    if (!job->lock_until_ms) job->lock_until_ms = worker->mono_ms + LOCK_WAIT_MS_MAX;
    job_wait(job, STEP_LOCK, 0, job->lock_until_ms);
}

static void
end_of_refusal(struct job *job)
{
    change_clear(&job->change); /* what was staged before is not to be */
    if (job->keep) {
        commit_send(job, AIM_ANSWER, 1);
        return;
    }
    job_tell(job, job->status, job->body, job->retry, false, NO_TEXT);
    job_end(job);
}

static void
end_of_answer(struct job *job)
{
    const unsigned claim = job->keep ? 1 : 0;
    if (!claim && change_is_empty(&job->change)) {
        job_tell(job, job->status, job->body, job->retry, false, NO_TEXT);
        job_end(job);
        return;
    }
    if (FLORIN_MUTANT(answer_before_commit))
        job_tell(job, job->status, job->body, job->retry, claim != 0, NO_TEXT);
    commit_send(job, AIM_ANSWER, claim);
}

static void
end_of_beginning(struct job *job)
{
    struct worker *const worker = job->worker;
    const struct row_attempt *const attempt = job->begun;
    names_remove(&worker->by_attempt, &job->by_attempt); /* of an earlier run */
    snprintf(job->attempt, sizeof job->attempt, "%.*s", (int)attempt->id.size, attempt->id.at);
    names_add(&worker->by_attempt, &job->by_attempt, text_of(job->attempt), job);
    /* A handler has locked what was there before; what it makes now is locked here. Another call
     * that has one of them has read it already, and will find it stale. */
    (void)attempt_lock_objects(job, attempt);
    if (FLORIN_MUTANT(ask_before_begin)) {
        attempt_ask(job);
        return;
    }
    commit_send(job, AIM_BEGIN, job->call.key.at && !FLORIN_MUTANT(key_not_claimed) ? 1 : 0);
}

/* A handler has returned: do what it said. */
static void
proceed(struct job *job)
{
    const struct call *const call = &job->call;
    switch (job->ending) {
    case ENDING_WAIT: wait_for_lock(job); return;
    case ENDING_ANSWER: end_of_answer(job); return;
    case ENDING_REFUSE: end_of_refusal(job); return;
    case ENDING_BEGIN: end_of_beginning(job); return;
    case ENDING_NONE: break;
    }
    log_event(LOG_ERROR, "handler.silent", "request=%.*s", (int)call->request.size,
              call->request.at ? call->request.at : "");
    job_tell_refusal(job, &refusal_failed);
    job_end(job);
}

/* An attempt's end is a commit and nothing else: what stands in its way is tried again. */
static void
proceed_finishing(struct job *job)
{
    if (job->ending == ENDING_ANSWER) {
        if (FLORIN_MUTANT(outcome_before_commit))
            job_tell(job, job->status, job->body, job->retry, job->keep, NO_TEXT);
        commit_send(job, AIM_FINISH, job->keep && !FLORIN_MUTANT(outcome_not_kept) ? 2 : 0);
        return;
    }
    log_event(LOG_WARNING, "attempt.unfinished", "attempt=%s status=%d", job->attempt, job->status);
    attempt_pause(job);
}

void
job_run(struct job *job)
{
    struct worker *const worker = job->worker;
    assert(job->step == STEP_READY && job->handler);
    if (!job->finishing && !slot_is_held(worker, job->slot)) {
        job_tell_unroutable(job);
        job_end(job);
        return;
    }
    change_clear(&job->change);
    job->ending = ENDING_NONE;
    job->status = 0;
    job->call.now_ms = worker->wall_ms;
    job->call.now_s = worker->wall_ms / 1000;
    job->handler(&job->call);
    job->call.account = NULL; /* when it is run again, it may be another */
    job->call.rendered = NULL;
    if (job->step != STEP_READY) return; /* the end of an attempt has seen to itself */
    if (job->finishing)
        proceed_finishing(job);
    else
        proceed(job);
}

void
jobs_run_ready(struct worker *worker)
{
    for (struct job *job; (job = take_ready(worker));)
        job_run(job);
}

void
jobs_leave_slots(struct worker *worker, const uint8_t slots[static SLOT_BYTES])
{
    for (size_t i = 0; i < worker->job_count; i++) {
        struct job *const job = worker->jobs[i];
        if (job->step == STEP_FREE || !slot_in(slots, job->slot)) continue;
        if (job->step == STEP_COMMIT) continue; /* the ledger will say: fenced, or done in time */
        job_tell_unroutable(job);
        job_end(job);
    }
}
