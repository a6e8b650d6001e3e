/* leadership: which of the two ledgers leads.
 *
 * Both keep a connection with everything prepared. One holds a session lock of Postgres and leads;
 * the other waits for the lock, and gets it in the moment in which the leader's connection ends
 * (kill -9, a crash, a broken line). A leader that is alive and answers nobody (SIGSTOP) keeps its
 * connection: so the standby asks it, and ends its session when it has been silent for too long.
 *
 *     AWAY --connected, prepared--> WAITING --the lock is ours, epoch raised--> LEADING
 *       ^------------------------------+-----------the connection is lost---------+
 *
 * The lock makes the change fast. Safe it is by the epoch alone: every batch of a leader whose
 * epoch was raised by another fails (batch.h). */
#pragma once

#include "batch.h"
#include "loop.h"

enum leadership_state { LEADERSHIP_AWAY, LEADERSHIP_WAITING, LEADERSHIP_LEADING };

struct leadership;

/* Of the partition that this process is of, of `partitions`. `batch` is whom the connection is
 * handed to while leading. */
struct leadership *leadership_new(struct loop *loop, int partitions, struct batch *batch);
void leadership_destroy(struct leadership **leadership_p);
enum leadership_state leadership_state(const struct leadership *leadership);

/* Once a turn. Ends the process when another ledger has led since this one did. Returns in how many
 * milliseconds it wants to be called again. */
int64_t leadership_turn(struct leadership *leadership, int64_t mono_ms);
/* The engine's connection is of no use any more. */
void leadership_lost(struct leadership *leadership);
