/* checkout_due: checkout sessions whose time has come. The one who owns the slot closes them, in
 * jobs that nobody waits for. Nothing is kept of it in memory: what is open and late stands in the
 * rows, and every sweep looks again, so a worker that dies over it is no harm. */
#include "worker.h"

#include "log.h"
#include <stdio.h>

#define DUE_ARENA_BYTES ((size_t)1 << 20)

static void
begin(struct worker *worker, const struct due_session *due)
{
    if (due->merchant.size > MERCHANT_SIZE_MAX || !due->api_version.size) return;
    struct job *const job = job_new(worker, slot_of(due->merchant));
    if (!job) return; /* the next sweep */
    snprintf(job->merchant, sizeof job->merchant, "%.*s", (int)due->merchant.size,
             due->merchant.at);
    job->call.merchant = arena_copy(job->call.arena, due->merchant);
    job->call.object = arena_copy(job->call.arena, due->id);
    job->call.api_version = arena_copy(job->call.arena, due->api_version);
    job->handler = checkout_expire_due;
    job_make_ready(job);
}

void
checkouts_expire(struct worker *worker, const uint8_t slots[static SLOT_BYTES])
{
    struct arena *arena = arena_new(DUE_ARENA_BYTES);
    struct due_session *sessions;
    size_t count;
    const enum store_verdict verdict =
        store_due_sessions(worker->store, slots, worker->wall_ms / 1000, arena, &sessions, &count);
    if (verdict == STORE_UNAVAILABLE)
        log_event(LOG_WARNING, "sweep.failed", "reason=\"Postgres did not answer\"");
    for (size_t i = 0; verdict == STORE_FOUND && i < count; i++)
        begin(worker, &sessions[i]);
    arena_destroy(&arena);
}
