#include "owners.h"

#include "partition.h"
#include <assert.h>
#include <string.h>

void
owners_init(struct owners *owners)
{
    memset(owners->owner, NO_WORKER, sizeof owners->owner);
    memset(owners->next, NO_WORKER, sizeof owners->next);
    memset(owners->held, 0, sizeof owners->held);
}

uint8_t
owners_route(const struct owners *owners, uint16_t slot)
{
    assert(slot < SLOT_COUNT);
    const bool ready = slot_in(owners->held, slot) && owners->next[slot] == NO_WORKER;
    return ready ? owners->owner[slot] : NO_WORKER;
}

/* Where a slot will be when everything that was begun has ended. */
static uint8_t
destination(const struct owners *owners, uint16_t slot)
{
    return owners->next[slot] != NO_WORKER ? owners->next[slot] : owners->owner[slot];
}

static void
send_to(struct owners *owners, uint16_t slot, uint8_t worker)
{
    if (owners->owner[slot] == NO_WORKER)
        owners->owner[slot] = worker;
    else
        owners->next[slot] = owners->owner[slot] == worker ? NO_WORKER : worker;
}

/* How many slots each may have. Who has most already may keep the odd ones, so that a plan which
 * is even already changes nothing. */
static void
shares(const unsigned count[static WORKERS_MAX], const bool alive[static WORKERS_MAX],
       unsigned slots, unsigned share[static WORKERS_MAX])
{
    unsigned living = 0;
    for (unsigned w = 0; w < WORKERS_MAX; w++)
        living += alive[w];
    assert(living > 0);
    for (unsigned w = 0; w < WORKERS_MAX; w++)
        share[w] = alive[w] ? slots / living : 0;

    for (unsigned odd = slots % living; odd > 0; odd--) {
        unsigned most = WORKERS_MAX;
        for (unsigned w = 0; w < WORKERS_MAX; w++) {
            if (!alive[w] || share[w] > slots / living) continue;
            if (most == WORKERS_MAX || count[w] > count[most]) most = w;
        }
        share[most]++;
    }
}

/* What each will have, and how many live. */
static unsigned
destined(const struct owners *owners, const bool alive[static WORKERS_MAX],
         unsigned count[static WORKERS_MAX])
{
    unsigned living = 0;
    for (unsigned w = 0; w < WORKERS_MAX; w++)
        living += alive[w];
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++) {
        const uint8_t worker = destination(owners, slot);
        if (worker != NO_WORKER && alive[worker]) count[worker]++;
    }
    return living;
}

void
owners_choose(const struct owners *owners, unsigned sharing, bool alive[static WORKERS_MAX])
{
    unsigned count[WORKERS_MAX] = {0};
    for (unsigned living = destined(owners, alive, count); living > sharing; living--) {
        unsigned least = WORKERS_MAX;
        for (unsigned w = 0; w < WORKERS_MAX; w++)
            if (alive[w] && (least == WORKERS_MAX || count[w] <= count[least])) least = w;
        alive[least] = false;
    }
}

void
owners_plan(struct owners *owners, int partition, int partitions,
            const bool alive[static WORKERS_MAX])
{
    unsigned count[WORKERS_MAX] = {0}, share[WORKERS_MAX], slots = 0;
    if (destined(owners, alive, count) == 0) return;
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++)
        slots += partition_of_slot(slot, partitions) == partition;
    shares(count, alive, slots, share);

    unsigned needy = 0;
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++) {
        if (partition_of_slot(slot, partitions) != partition) continue;
        const uint8_t worker = destination(owners, slot);
        const bool placed = worker != NO_WORKER && alive[worker];
        if (placed && count[worker] <= share[worker]) continue;
        while (needy < WORKERS_MAX && count[needy] >= share[needy])
            needy++;
        if (needy == WORKERS_MAX) break;
        if (placed) count[worker]--;
        count[needy]++;
        send_to(owners, slot, (uint8_t)needy);
    }
}

void
owners_claim(struct owners *owners, uint8_t worker, const uint8_t set[static SLOT_BYTES])
{
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++) {
        if (!slot_in(set, slot)) continue;
        if (owners->owner[slot] == NO_WORKER) owners->owner[slot] = worker;
        if (owners->owner[slot] == worker) slot_add(owners->held, slot);
    }
}

void
owners_grant(struct owners *owners, uint8_t worker, const uint8_t set[static SLOT_BYTES])
{
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++)
        if (slot_in(set, slot) && owners->owner[slot] == worker) slot_add(owners->held, slot);
}

static void
let_go(struct owners *owners, uint16_t slot)
{
    slot_remove(owners->held, slot);
    if (owners->next[slot] == NO_WORKER) return;
    owners->owner[slot] = owners->next[slot];
    owners->next[slot] = NO_WORKER;
}

void
owners_let_go(struct owners *owners, uint8_t worker, const uint8_t set[static SLOT_BYTES])
{
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++)
        if (slot_in(set, slot) && owners->owner[slot] == worker) let_go(owners, slot);
}

void
owners_reborn(struct owners *owners, uint8_t worker)
{
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++)
        if (owners->owner[slot] == worker) let_go(owners, slot);
}

void
owners_lose(struct owners *owners, uint8_t worker)
{
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++) {
        if (owners->next[slot] == worker) owners->next[slot] = NO_WORKER;
        if (owners->owner[slot] != worker) continue;
        if (owners->next[slot] == NO_WORKER) owners->owner[slot] = NO_WORKER;
        let_go(owners, slot);
    }
}

void
owners_owned(const struct owners *owners, uint8_t worker, uint8_t set[static SLOT_BYTES])
{
    memset(set, 0, SLOT_BYTES);
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++)
        if (owners->owner[slot] == worker) slot_add(set, slot);
}

void
owners_moving(const struct owners *owners, uint8_t worker, uint8_t set[static SLOT_BYTES])
{
    memset(set, 0, SLOT_BYTES);
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++)
        if (owners->owner[slot] == worker && owners->next[slot] != NO_WORKER) slot_add(set, slot);
}

bool
owners_all_held(const struct owners *owners, uint8_t worker)
{
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++)
        if (owners->owner[slot] == worker && !slot_in(owners->held, slot)) return false;
    return true;
}
