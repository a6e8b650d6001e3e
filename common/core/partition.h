/* partition: which part of the merchants has which database and which ledgers.
 *
 * An instance has one partition or several (`partitions` in settings.def). Each is complete: a
 * database of Postgres, two ledgers of which one leads, payments workers and webhooks processes,
 * all of them its own; and nothing of one is ever booked in another. What they share knows no
 * merchant's books: gateway, broker, vault, card network, Redis. A merchant's slot says which
 * partition it is in, so how many there are cannot be changed once merchants are there.
 *
 *     slot      1 + slot % partitions
 *     ledgers   1 and 2 of partition 1, 3 and 4 of partition 2, …
 *     workers   payments-N, webhooks-N: in turn
 *
 * Partitions are counted from 1, as instances are. */
#pragma once

#include "id.h"

#define PARTITIONS_MAX 4
#define LEDGERS_PER_PARTITION 2

int partition_of_slot(uint16_t slot, int partitions);
/* A slot of that partition, for what is asked of it and is about no merchant. */
uint16_t partition_slot(int partition);
/* Of ledger-`instance`. */
int partition_of_ledger(int instance);
/* Which instance the first (0) or second (1) ledger of a partition is. */
int partition_ledger(int partition, int nth);
/* Of payments-`instance`, webhooks-`instance`. */
int partition_of_worker(int instance, int partitions);
/* Of `workers` that are counted from 1, how many are this partition's. */
int partition_workers(int partition, int partitions, int workers);
/* True when all of these slots are this partition's. */
bool partition_has(int partition, int partitions, const uint8_t slots[static SLOT_BYTES]);
