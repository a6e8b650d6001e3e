#include "partition.h"

#include <assert.h>

int
partition_of_slot(uint16_t slot, int partitions)
{
    assert(slot < SLOT_COUNT && partitions >= 1);
    return 1 + slot % partitions;
}

uint16_t
partition_slot(int partition)
{
    assert(partition >= 1);
    return (uint16_t)(partition - 1);
}

int
partition_of_ledger(int instance)
{
    assert(instance >= 1);
    return 1 + (instance - 1) / LEDGERS_PER_PARTITION;
}

int
partition_ledger(int partition, int nth)
{
    assert(partition >= 1 && nth >= 0 && nth < LEDGERS_PER_PARTITION);
    return LEDGERS_PER_PARTITION * (partition - 1) + nth + 1;
}

int
partition_of_worker(int instance, int partitions)
{
    assert(instance >= 1 && partitions >= 1);
    return 1 + (instance - 1) % partitions;
}

int
partition_workers(int partition, int partitions, int workers)
{
    int count = 0;
    for (int instance = 1; instance <= workers; instance++)
        count += partition_of_worker(instance, partitions) == partition;
    return count;
}

bool
partition_has(int partition, int partitions, const uint8_t slots[static SLOT_BYTES])
{
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++)
        if (slot_in(slots, slot) && partition_of_slot(slot, partitions) != partition) return false;
    return true;
}
