/* Holds that run out: nobody asks, so the worker begins the job by itself. The charge's row says
 * until when (hold_until, by index), so it does not matter which worker was there when it was
 * written, or whether any was there when the time came. What cannot be done now is due again at the
 * next look. */
#include "log.h"
#include "worker.h"

#include <stdio.h>

#define EXPIRIES_AT_ONCE 64 /* clients are waiting, too */
#define HOLDS_ARENA_BYTES ((size_t)64 << 20)

/* False: no job is free. */
static bool
expire(struct worker *worker, const struct row_charge *charge)
{
    if (charge->merchant.size > MERCHANT_SIZE_MAX) return true;
    struct job *const job = job_new(worker, slot_of(charge->merchant));
    if (!job) return false;
    struct call *const call = &job->call;
    snprintf(job->merchant, sizeof job->merchant, "%.*s", (int)charge->merchant.size,
             charge->merchant.at);
    call->merchant = arena_copy(call->arena, charge->merchant);
    call->object =
        arena_copy(call->arena, charge->payment_intent.at ? charge->payment_intent : charge->id);
    job->handler = hold_expired;
    log_event(LOG_INFO, "hold.expired", "charge=%.*s", (int)charge->id.size, charge->id.at);
    job_run(job);
    return true;
}

void
holds_expire(struct worker *worker)
{
    struct row_charge *charges;
    size_t count, begun = 0;
    if (!slots_held_count(worker) || !network_is_there(worker)) return;
    struct arena *arena = arena_new(HOLDS_ARENA_BYTES);
    if (store_due_holds(worker->store, worker->wall_ms / 1000, arena, &charges, &count) !=
        STORE_FOUND)
        count = 0;
    for (size_t i = 0; i < count && begun < EXPIRIES_AT_ONCE; i++) {
        const uint16_t slot = slot_of(charges[i].merchant);
        if (!slot_is_held(worker, slot) || slot_in(worker->slots.releasing, slot)) continue;
        if (!expire(worker, &charges[i])) break;
        begun++;
    }
    arena_destroy(&arena);
}
