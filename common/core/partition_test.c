#include "partition.h"

#include <criterion/criterion.h>
#include <string.h>

Test(partition, every_slot_and_every_process_has_one)
{
    for (int partitions = 1; partitions <= PARTITIONS_MAX; partitions++) {
        unsigned slots[PARTITIONS_MAX + 1] = {0};
        int workers = 0;
        for (uint16_t slot = 0; slot < SLOT_COUNT; slot++) {
            const int partition = partition_of_slot(slot, partitions);
            cr_assert(partition >= 1 && partition <= partitions);
            slots[partition]++;
        }
        for (int partition = 1; partition <= partitions; partition++) {
            cr_expect_geq(slots[partition], (unsigned)(SLOT_COUNT / partitions));
            cr_expect_eq(partition_of_slot(partition_slot(partition), partitions), partition);
            for (int nth = 0; nth < LEDGERS_PER_PARTITION; nth++)
                cr_expect_eq(partition_of_ledger(partition_ledger(partition, nth)), partition);
            workers += partition_workers(partition, partitions, 6);
            cr_expect_geq(partition_workers(partition, partitions, partitions), 1);
        }
        cr_expect_eq(workers, 6);
    }
}

Test(partition, ledgers_are_counted_through)
{
    cr_expect_eq(partition_ledger(1, 0), 1);
    cr_expect_eq(partition_ledger(1, 1), 2);
    cr_expect_eq(partition_ledger(3, 0), 5);
    cr_expect_eq(partition_of_ledger(2), 1);
    cr_expect_eq(partition_of_ledger(3), 2);
    cr_expect_eq(partition_of_worker(3, 2), 1);
    cr_expect_eq(partition_of_worker(4, 2), 2);
}

Test(partition, slots_of_another_one_are_seen)
{
    uint8_t slots[SLOT_BYTES] = {0};
    cr_expect(partition_has(2, 2, slots));
    slot_add(slots, 7);
    cr_expect(partition_has(2, 2, slots));
    cr_expect(partition_has(1, 1, slots));
    slot_add(slots, 8);
    cr_expect_not(partition_has(2, 2, slots));
    cr_expect_not(partition_has(1, 2, slots));
}
