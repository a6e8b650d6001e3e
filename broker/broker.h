/* broker: who gets which message.
 *
 *   gateway, client ──broker_front──►┌────────┐──broker_back──► worker that owns the slot
 *                   ◄────────────────│ ticket │◄────────────────
 *
 * It reads a packet's header (slot, correlation, deadline) and passes its body on unread. It holds
 * no business state: if it dies, messages are lost and nothing else; callers ask again with the
 * same key (RELIABILITY F06). It promises that every request it has taken is answered, by the
 * worker or by `refused`:
 *
 *   unroutable   no worker was ready for the slot in time, or the one that had it died
 *   expired      the deadline passed
 *   busy         too many are under way here or at the worker
 *
 * A request whose slot has no ready owner waits a moment for one. Only one that is owned, and that
 * the ledger has granted to its owner, is routed (F07). */
#pragma once

#include "loop.h"

struct broker;

/* Binds both fronts. So many workers share the slots, and so many more stand ready. At the start,
 * before they are all there or a moment has passed, slots are not given out, so that they need not
 * move at once. */
struct broker *broker_new(struct loop *loop, int64_t partitions, int64_t workers, int64_t standbys);
void broker_destroy(struct broker **broker_p);
