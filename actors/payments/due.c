/* due: what ends by itself when its time has come: checkout sessions, and challenges whose payer
 * never answered. The one who owns the slot ends them, in jobs that nobody waits for. Nothing is
 * kept of it in memory: what is open and late stands in the rows, and every sweep looks again, so a
 * worker that dies over it is no harm. */
#include "worker.h"

#include "log.h"
#include <stdio.h>

#define DUE_ARENA_BYTES ((size_t)1 << 20)

/* What may be due, the column that says "open" until it is ended, and who ends it. */
static const struct {
    enum row_table table;
    const char *state;
    handler_fn *handler;
} kinds[] = {
    {ROW_checkout_session, "status", checkout_expire_due},
    {ROW_challenge, "state", challenge_expire_due},
};

static void
begin(struct worker *worker, const struct due *due, handler_fn *handler)
{
    if (due->merchant.size > MERCHANT_SIZE_MAX || !due->api_version.size) return;
    struct job *const job = job_new(worker, slot_of(due->merchant));
    if (!job) return; /* the next sweep */
    snprintf(job->merchant, sizeof job->merchant, "%.*s", (int)due->merchant.size,
             due->merchant.at);
    job->call.merchant = arena_copy(job->call.arena, due->merchant);
    job->call.object = arena_copy(job->call.arena, due->id);
    job->call.api_version = arena_copy(job->call.arena, due->api_version);
    job->handler = handler;
    job_make_ready(job);
}

void
due_end(struct worker *worker, const uint8_t slots[static SLOT_BYTES])
{
    struct arena *arena = arena_new(DUE_ARENA_BYTES);
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        struct due *rows;
        size_t count;
        const enum store_verdict verdict =
            store_due(worker->store, kinds[k].table, kinds[k].state, slots, worker->wall_ms / 1000,
                      arena, &rows, &count);
        if (verdict == STORE_UNAVAILABLE)
            log_event(LOG_WARNING, "sweep.failed", "reason=\"Postgres did not answer\"");
        for (size_t i = 0; verdict == STORE_FOUND && i < count; i++)
            begin(worker, &rows[i], kinds[k].handler);
    }
    arena_destroy(&arena);
}
