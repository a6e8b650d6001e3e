#include "tickets.h"

#include <assert.h>
#include <stdlib.h>

#define PLACE_BITS 16
static_assert(TICKETS_MAX == 1 << PLACE_BITS, "a ticket's low bits are its place");

struct tickets {
    struct ticket table[TICKETS_MAX];
    uint32_t free[TICKETS_MAX]; /* a stack of places */
    size_t free_count;
    size_t touched; /* no place from here on was ever used: walks stop before it */
    uint64_t count;
};

struct tickets *
tickets_new(uint64_t first)
{
    struct tickets *tickets = calloc(1, sizeof *tickets);
    if (!tickets) abort();
    tickets->count = first;
    for (uint32_t i = 0; i < TICKETS_MAX; i++)
        tickets->free[i] = TICKETS_MAX - 1 - i;
    tickets->free_count = TICKETS_MAX;
    return tickets;
}

void
tickets_destroy(struct tickets **tickets_p)
{
    free(*tickets_p);
    *tickets_p = NULL;
}

struct ticket *
ticket_issue(struct tickets *tickets)
{
    if (tickets->free_count == 0) return NULL;
    const uint32_t place = tickets->free[--tickets->free_count];
    struct ticket *ticket = &tickets->table[place];
    assert(ticket->number == 0);
    do
        ticket->number = ++tickets->count << PLACE_BITS | place;
    while (ticket->number >> PLACE_BITS == 0); /* the count went round: 0 means free */
    if (place >= tickets->touched) tickets->touched = place + 1;
    return ticket;
}

struct ticket *
ticket_find(struct tickets *tickets, uint64_t number)
{
    struct ticket *ticket = &tickets->table[number % TICKETS_MAX];
    return number != 0 && ticket->number == number ? ticket : NULL;
}

void
ticket_close(struct tickets *tickets, struct ticket *ticket)
{
    const uint32_t place = (uint32_t)(ticket - tickets->table);
    assert(ticket->number != 0);
    assert(place < TICKETS_MAX);
    *ticket = (struct ticket){0};
    tickets->free[tickets->free_count++] = place;
    assert(tickets->free_count <= TICKETS_MAX);
}

size_t
tickets_open(const struct tickets *tickets)
{
    return TICKETS_MAX - tickets->free_count;
}

bool
tickets_next(struct tickets *tickets, size_t *at, struct ticket **ticket)
{
    if (tickets_open(tickets) == 0) return false;
    for (; *at < tickets->touched; (*at)++) {
        if (tickets->table[*at].number == 0) continue;
        *ticket = &tickets->table[(*at)++];
        return true;
    }
    return false;
}
