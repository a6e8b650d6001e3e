/* tickets: who asked, for every request that a worker has and has not answered.
 *
 * A ticket's number is what the worker sees as the correlation. Its low bits are the place in the
 * table and its high bits a count that begins anywhere, so that finding it is one comparison, and a
 * late answer, even to the broker before this one, finds nothing. */
#pragma once

#include "loop.h"
#include "must_use.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TICKETS_MAX 65536

struct ticket {
    uint64_t number;      /* 0: the place is free */
    uint64_t correlation; /* what the asker calls it */
    int64_t deadline_ms;  /* Unix ms, always set */
    struct peer asker;
    uint16_t slot;
    uint8_t worker; /* index of who has it */
};

struct tickets;

/* `first` is the count to begin with: take chance. */
struct tickets *tickets_new(uint64_t first);
void tickets_destroy(struct tickets **tickets_p);

/* NULL when the table is full. The caller fills all but the number. */
MUST_USE struct ticket *ticket_issue(struct tickets *tickets);
/* NULL when there is no such ticket (any more). */
struct ticket *ticket_find(struct tickets *tickets, uint64_t number);
void ticket_close(struct tickets *tickets, struct ticket *ticket);
size_t tickets_open(const struct tickets *tickets);
/* The next open ticket of a walk that begins with *at = 0; the one given may be closed. */
MUST_USE bool tickets_next(struct tickets *tickets, size_t *at, struct ticket **ticket);
