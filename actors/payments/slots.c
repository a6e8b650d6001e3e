#include "slots.h"

#include "failpoint.h"
#include "log.h"
#include "random.h"
#include "worker.h"
#include <assert.h>

#define TAKE_AGAIN_MS 1000
#define SOON_MS 100
#define READY_AGAIN_MS 500
#define RELEASE_MS_MAX 1800 /* the broker waits for 2 s */

/* --- sets of slots --------------------------------------------------------------------------- */

static bool
any(const uint8_t slots[static SLOT_BYTES])
{
    uint64_t word;
    for (size_t i = 0; i < SLOT_BYTES; i += sizeof word) {
        memcpy(&word, slots + i, sizeof word);
        if (word) return true;
    }
    return false;
}

static void
add_all(uint8_t to[static SLOT_BYTES], const uint8_t slots[static SLOT_BYTES])
{
    for (size_t i = 0; i < SLOT_BYTES; i++)
        to[i] |= slots[i];
}

static void
remove_all(uint8_t from[static SLOT_BYTES], const uint8_t slots[static SLOT_BYTES])
{
    for (size_t i = 0; i < SLOT_BYTES; i++)
        from[i] = (uint8_t)(from[i] & ~slots[i]);
}

static void
keep_only(uint8_t of[static SLOT_BYTES], const uint8_t slots[static SLOT_BYTES])
{
    for (size_t i = 0; i < SLOT_BYTES; i++)
        of[i] &= slots[i];
}

static struct text
as_text(const uint8_t slots[static SLOT_BYTES])
{
    return (struct text){(const char *)slots, SLOT_BYTES};
}

bool
slot_is_held(const struct worker *worker, uint16_t slot)
{
    return slot_in(worker->slots.held, slot);
}

unsigned
slots_held_count(const struct worker *worker)
{
    return slot_count(worker->slots.held);
}

/* --- what is said to the broker -------------------------------------------------------------- */

static void
say_ready(struct worker *worker)
{
    struct slots *const slots = &worker->slots;
    const struct msg_worker_ready ready = {
        .has = HAS_worker_ready_incarnation | HAS_worker_ready_slots,
        .incarnation = slots->incarnation,
        .slots = as_text(slots->held),
    };
    (void)link_send(worker->broker, (struct envelope){.slot = 0}, MSG_worker_ready, &ready);
    slots->ready_again_ms = worker->mono_ms + READY_AGAIN_MS;
}

static void
say_held(struct worker *worker, const uint8_t slots[static SLOT_BYTES])
{
    const struct msg_slots_held held = {.has = HAS_slots_held_slots, .slots = as_text(slots)};
    if (!any(slots)) return;
    (void)link_send(worker->broker, (struct envelope){.slot = 0}, MSG_slots_held, &held);
}

static void
say_released(struct worker *worker, const uint8_t slots[static SLOT_BYTES])
{
    const struct msg_slots_released released = {.has = HAS_slots_released_slots,
                                                .slots = as_text(slots)};
    if (!any(slots)) return;
    (void)link_send(worker->broker, (struct envelope){.slot = 0}, MSG_slots_released, &released);
}

/* --- taking ---------------------------------------------------------------------------------- */

static void
send_take(struct worker *worker)
{
    struct slots *const slots = &worker->slots;
    uint8_t unwanted[SLOT_BYTES];
    /* What was given up since is not asked for again: it may be another's already, who would be
     * fenced until its first commit says so. */
    memcpy(unwanted, slots->asked, SLOT_BYTES);
    remove_all(unwanted, slots->wanted);
    keep_only(slots->asked, slots->wanted);
    say_released(worker, unwanted);
    if (!any(slots->asked)) {
        slots->take = 0;
        return;
    }
    struct ledger *const ledger = ledger_leading(worker);
    const struct msg_slots_take take = {
        .has = HAS_slots_take_slots | HAS_slots_take_incarnation,
        .slots = as_text(slots->asked),
        .incarnation = slots->incarnation,
    };
    const struct envelope envelope = {.correlation = slots->take};
    slots->take_again_ms = worker->mono_ms + SOON_MS;
    if (ledger && link_send(ledger->link, envelope, MSG_slots_take, &take))
        slots->take_again_ms = worker->mono_ms + TAKE_AGAIN_MS;
}

static void
take_what_is_new(struct worker *worker)
{
    struct slots *const slots = &worker->slots;
    if (slots->take || worker->leaving) return;
    memcpy(slots->asked, slots->wanted, SLOT_BYTES);
    remove_all(slots->asked, slots->held);
    remove_all(slots->asked, slots->taken);
    if (!any(slots->asked)) return;
    slots->take = link_next_correlation();
    send_take(worker);
}

/* Open attempts first: they hold their objects before a request can. */
static void
serve_what_is_taken(struct worker *worker)
{
    struct slots *const slots = &worker->slots;
    if (!any(slots->taken)) return;
    /* Answers to what we had sent before may have come while they were another's. */
    store_forget_slots(worker->store, slots->taken);
    if (!attempts_recover(worker, slots->taken)) {
        slots->read_again_ms = worker->mono_ms + SOON_MS;
        return;
    }
    log_event(LOG_INFO, "slots.held", "new=%u", slot_count(slots->taken));
    add_all(slots->held, slots->taken);
    say_held(worker, slots->taken);
    memset(slots->taken, 0, SLOT_BYTES);
}

void
slots_taken(struct worker *worker, struct link *from, const struct packet *packet)
{
    struct slots *const slots = &worker->slots;
    struct msg_slots_taken taken;
    if (!packet_decode(from, packet, MSG_slots_taken, &taken)) return;
    const uint8_t *const granted = (const uint8_t *)taken.slots.at;
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++)
        if (slot_in(granted, slot) && taken.epoch > slots->epoch[slot])
            slots->epoch[slot] = taken.epoch;
    /* A later epoch of what we hold: somebody else may have had it, and written, in between. */
    uint8_t again[SLOT_BYTES], unwanted[SLOT_BYTES];
    memcpy(again, granted, SLOT_BYTES);
    keep_only(again, slots->held);
    store_forget_slots(worker->store, again);
    if (!slots->take || packet->correlation != slots->take) return; /* a repetition's answer */

    FAILPOINT(payments_after_slots_taken);
    slots->take = 0;
    memcpy(slots->taken, granted, SLOT_BYTES);
    keep_only(slots->taken, slots->asked);
    memcpy(unwanted, slots->taken, SLOT_BYTES);
    remove_all(unwanted, slots->wanted);
    keep_only(slots->taken, slots->wanted);
    say_released(worker, unwanted); /* asked back meanwhile: see release */
    serve_what_is_taken(worker);
    take_what_is_new(worker);
}

void
slots_ask_again(struct worker *worker)
{
    if (worker->slots.take) send_take(worker);
}

void
slots_take_refused(struct worker *worker, const struct packet *packet)
{
    struct slots *const slots = &worker->slots;
    if (slots->take && packet->correlation == slots->take)
        slots->take_again_ms = worker->mono_ms + SOON_MS;
}

/* --- losing ---------------------------------------------------------------------------------- */

static void
drop(struct worker *worker, const uint8_t gone[static SLOT_BYTES])
{
    struct slots *const slots = &worker->slots;
    if (!any(gone)) return;
    remove_all(slots->held, gone);
    remove_all(slots->taken, gone);
    remove_all(slots->releasing, gone);
    jobs_leave_slots(worker, gone);
    store_forget_slots(worker->store, gone);
}

void
slot_lost(struct worker *worker, uint16_t slot)
{
    struct slots *const slots = &worker->slots;
    uint8_t gone[SLOT_BYTES] = {0};
    if (!slot_in(slots->held, slot)) return;
    log_event(LOG_WARNING, "slot.lost", "slot=%u", slot);
    slot_add(gone, slot);
    slot_remove(slots->wanted, slot);
    drop(worker, gone);
    say_ready(worker);
}

/* --- what the broker says -------------------------------------------------------------------- */

static void
assigned(struct worker *worker, const uint8_t wanted[static SLOT_BYTES])
{
    struct slots *const slots = &worker->slots;
    uint8_t gone[SLOT_BYTES];
    slots->ready_again_ms = 0;
    memcpy(slots->wanted, wanted, SLOT_BYTES);
    memcpy(gone, slots->held, SLOT_BYTES);
    add_all(gone, slots->taken);
    remove_all(gone, wanted);
    drop(worker, gone);
    /* What was to be given back may have been another's by now: what is remembered may be old. */
    memcpy(gone, slots->releasing, SLOT_BYTES);
    keep_only(gone, wanted);
    store_forget_slots(worker->store, gone);
    remove_all(slots->releasing, wanted);
    say_held(worker, slots->held); /* a broker that was restarted does not know */
    take_what_is_new(worker);
}

static void
release(struct worker *worker, const uint8_t given_back[static SLOT_BYTES])
{
    struct slots *const slots = &worker->slots;
    uint8_t idle[SLOT_BYTES];
    remove_all(slots->wanted, given_back);
    remove_all(slots->taken, given_back);
    memcpy(idle, given_back, SLOT_BYTES);
    remove_all(idle, slots->held);
    /* What is asked of the ledger at this moment is given back when it has answered: else its next
     * owner takes it first, and loses it to our late request. */
    if (slots->take) remove_all(idle, slots->asked);
    say_released(worker, idle);

    memcpy(slots->releasing, given_back, SLOT_BYTES);
    keep_only(slots->releasing, slots->held);
    slots->release_by_ms = worker->mono_ms + RELEASE_MS_MAX;
}

/* Gives back what nothing is in flight for; at the end of its time, all of it: what is open then is
 * recovered by the next owner, and what we still do is fenced. */
static void
give_back(struct worker *worker)
{
    struct slots *const slots = &worker->slots;
    uint8_t free[SLOT_BYTES] = {0};
    if (!any(slots->releasing)) return;
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++)
        if (slot_in(slots->releasing, slot) &&
            (!worker->jobs_in_slot[slot] || worker->mono_ms >= slots->release_by_ms))
            slot_add(free, slot);
    drop(worker, free);
    say_released(worker, free);
}

bool
slots_told(struct worker *worker, struct link *from, const struct packet *packet)
{
    struct msg_slots_assign assign;
    struct msg_slots_release to_release;
    switch (packet->number) {
    case MSG_worker_beat: return true;
    case MSG_worker_unknown:
        /* It may have taken us for dead, and given our slots to others until now. If so the ledger
         * fences our first commit; but not everything that we answer needs one. */
        store_forget_slots(worker->store, worker->slots.held);
        if (!worker->leaving) say_ready(worker);
        return true;
    case MSG_slots_assign:
        if (packet_decode(from, packet, MSG_slots_assign, &assign))
            assigned(worker, (const uint8_t *)assign.slots.at);
        return true;
    case MSG_slots_release:
        if (packet_decode(from, packet, MSG_slots_release, &to_release))
            release(worker, (const uint8_t *)to_release.slots.at);
        return true;
    default: return false;
    }
}

void
slots_begin(struct worker *worker)
{
    struct slots *const slots = &worker->slots;
    *slots = (struct slots){.incarnation = 1 + random_below((uint64_t)INT64_MAX)};
    say_ready(worker);
}

void
slots_turn(struct worker *worker)
{
    struct slots *const slots = &worker->slots;
    if (!worker->leaving && slots->ready_again_ms && worker->mono_ms >= slots->ready_again_ms)
        say_ready(worker);
    if (slots->take && worker->mono_ms >= slots->take_again_ms) send_take(worker);
    if (worker->mono_ms >= slots->read_again_ms) serve_what_is_taken(worker);
    give_back(worker);
}

void
slots_leave(struct worker *worker)
{
    say_released(worker, worker->slots.held);
}
