/* event_pack: what events tell, as it is written and kept.
 *
 * An event tells of an object as it was, in two kilobytes of JSON of which all but a few hundred
 * bytes are the same in every other event: the names of the members, and most of their values. And
 * the events of one payment tell of the same two objects twice. So what the events of a row of the
 * outbox tell is packed together, by LZ4 with a dictionary of how objects look: 6,900 bytes of a
 * payment's four events become 480, in 3 us.
 *
 *     byte 0      format: 1 packed with dictionary 1; 0 not packed (rows of before version 6)
 *     bytes 1-4   format 1: size of what was packed, the greatest byte first
 *     then        messages `event_told` (messages.def), one for each event
 *
 * The events of one commit share a row when nobody has to find one of them by its type alone
 * (common_event.def), when their ids stand beside one another (id.h), and when they are small. */
#pragma once

#include "message.h"
#include "must_use.h"

#define EVENTS_PER_ROW_MAX 16 /* the bound of `commit` in messages.def */

/* An event as it happens. All borrowed. */
struct told_event {
    struct text id, type, object; /* evt_…; as in charge.succeeded; what it tells of */
    struct text data, previous;   /* JSON; NO_TEXT: nothing was updated */
    struct text api_version;      /* the shape of `data` */
    int64_t created;              /* Unix seconds */
};

/* Adds the events to a list that is being built at `memory`, as messages `event_write`: the last
 * one of each row bears what all of the row tell. False when something is longer than messages.def
 * lets it be, or does not fit; events_write_bound says what they need. */
MUST_USE bool events_write(struct message_list *list, const struct told_event *events, size_t count,
                           uint8_t *memory, size_t cap);
size_t events_write_bound(const struct told_event *events, size_t count);

/* What the nth event of a row (from 1) tells, in `memory`. False when it is not well-formed, has no
 * such event, or there is no room: event_unpack_bound says what it needs, 0 when it is malformed.
 */
MUST_USE bool event_unpack(struct text packed, uint64_t nth, void *memory, size_t cap,
                           struct text *data, struct text *previous);
size_t event_unpack_bound(struct text packed);
