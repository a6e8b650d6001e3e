/* gather: how long commands wait for others to share their batch.
 *
 * A batch costs Postgres as much as sixteen commands in it, and a turn of every process that its
 * answers wake. A ledger that writes whatever is there as soon as it can keeps a machine busy with
 * that at half of what it can do: batches of 9 commands, 690 µs of CPU a payment; with this, of 32
 * and 580. So the next batch begins a while after the one before. The while follows from what that
 * one held: it grows to its most where more than three commands come in a millisecond, and is short
 * where a few clients take turns, who would only wait for each other. A payment alone never waits.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* From the beginning of a batch that held so many to that of the next one, when `waiting` wait. */
int64_t gather_ms(size_t held, size_t waiting);
