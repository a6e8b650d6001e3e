/* Follow-ups: refunds that are not final yet, or may still come back (refund_life.c).
 *
 *     due ──sweep──► inquired ──answer──► refund_followed ──► committed
 *
 * All that counts is in the refund's row: when it has to be looked at, and under which reference
 * the network knows it. Whatever goes wrong on this way, the job just ends; the row is still due,
 * and the next sweep, of whoever owns the slot then, begins again. */
#include "worker.h"

#include "log.h"
#include "refund_life.h"
#include <assert.h>
#include <stdio.h>

#define ANSWER_MS_MAX 2000
#define SWEEP_ARENA_BYTES ((size_t)4 << 20)

static void
inquire(struct job *job, const struct row_refund *refund)
{
    struct worker *const worker = job->worker;
    const uint64_t correlation = link_next_correlation();
    const struct envelope envelope = {
        .slot = job->slot,
        .correlation = correlation,
        .deadline_ms = worker->wall_ms + ANSWER_MS_MAX,
    };
    const struct msg_network_request request = {
        .has = HAS_network_request_reference | HAS_network_request_operation |
               HAS_network_request_merchant | HAS_network_request_amount |
               HAS_network_request_currency,
        .reference = refund->attempt,
        .operation = NETWORK_INQUIRE,
        .amount = refund->amount,
        .currency = refund->currency,
        .merchant = refund->merchant,
    };
    if (!link_send(worker->network, envelope, MSG_network_request, &request)) {
        job_end(job);
        return;
    }
    job->asked = ASKED_FOLLOW_UP;
    job_wait(job, STEP_NETWORK, correlation, worker->mono_ms + ANSWER_MS_MAX);
}

/* What is locked for a refund's calls is locked here too. */
static bool
lock_objects(struct job *job, const struct row_refund *refund)
{
    const struct text objects[] = {refund->payment_intent, refund->charge, refund->id};
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++)
        if (objects[i].at &&
            !lock_try(&job->worker->locks, &job->locker, refund->merchant, objects[i]))
            return false;
    return true;
}

static void
follow(struct worker *worker, const struct row_refund *refund)
{
    if (!refund->attempt.at || names_find(&worker->by_attempt, refund->attempt)) return;
    if (refund->attempt.size > ID_SIZE_MAX || refund->id.size > ID_SIZE_MAX ||
        refund->merchant.size > MERCHANT_SIZE_MAX)
        return;
    struct job *const job = job_new(worker, slot_of(refund->merchant));
    if (!job) return; /* the next sweep */
    snprintf(job->attempt, sizeof job->attempt, "%.*s", (int)refund->attempt.size,
             refund->attempt.at);
    snprintf(job->merchant, sizeof job->merchant, "%.*s", (int)refund->merchant.size,
             refund->merchant.at);
    snprintf(job->refund, sizeof job->refund, "%.*s", (int)refund->id.size, refund->id.at);
    names_add(&worker->by_attempt, &job->by_attempt, text_of(job->attempt), job);
    if (!lock_objects(job, refund)) { /* a call changes it just now: the next sweep */
        job_end(job);
        return;
    }
    inquire(job, refund);
}

bool
follow_ups_begin(struct worker *worker, const uint8_t slots[static SLOT_BYTES])
{
    struct row_refund *refunds;
    size_t count;
    if (!network_is_there(worker)) return true;
    struct arena *arena = arena_new(SWEEP_ARENA_BYTES);
    const bool read = store_refunds_to_follow(worker->store, slots, worker->wall_ms / 1000, arena,
                                              &refunds, &count) == STORE_FOUND;
    for (size_t i = 0; read && i < count; i++)
        follow(worker, &refunds[i]);
    arena_destroy(&arena);
    return read;
}

/* The refund was looked for in Postgres, whoever decides for it by now: what we remember of it and
 * of its charge may be from before another worker changed them, and the two must fit together. */
static void
forget_what_it_changes(struct job *job)
{
    struct store *const store = job->worker->store;
    struct row_refund *const refund = call_new_row(&job->call, ROW_refund);
    const struct text merchant = text_of(job->merchant), id = text_of(job->refund);
    store_forget(store, ROW_refund, merchant, id);
    if (store_get(store, ROW_refund, merchant, id, job->call.arena, refund) == STORE_FOUND)
        store_forget(store, ROW_charge, merchant, refund->charge);
}

/* Runs like a handler; what it stages is committed without a key, and nobody is told. */
void
follow_up_answered(struct job *job)
{
    struct call *const call = &job->call;
    assert(job->step == STEP_READY);
    if (job->answer.outcome != OUTCOME_APPROVED) {
        /* It is booked as taken by the network, which knows otherwise: somebody has to look. */
        log_event(LOG_ERROR, "refund.differs", "refund=%s attempt=%s outcome=%s", job->refund,
                  job->attempt, network_outcome_name(job->answer.outcome));
        job_end(job);
        return;
    }
    call->merchant = arena_copy(call->arena, text_of(job->merchant));
    call->now_ms = job->worker->wall_ms;
    call->now_s = job->worker->wall_ms / 1000;
    change_clear(&job->change);
    job->finishing = true; /* the locks are held since the sweep */
    job->ending = ENDING_NONE;
    forget_what_it_changes(job);
    refund_followed(call, arena_copy(call->arena, text_of(job->refund)), &job->answer);
    if (job->ending == ENDING_ANSWER && !change_is_empty(&job->change))
        commit_send(job, AIM_FOLLOW, 0);
    else
        job_end(job);
}
