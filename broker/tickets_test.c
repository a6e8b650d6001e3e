#include "tickets.h"

#include <criterion/criterion.h>

static struct tickets *tickets;

static void
start(void)
{
    tickets = tickets_new(UINT64_C(0x0000ffffffffff00)); /* goes round within the test */
}

static void
end(void)
{
    tickets_destroy(&tickets);
}

TestSuite(tickets, .init = start, .fini = end);

Test(tickets, a_ticket_is_found_until_it_is_closed)
{
    struct ticket *ticket = ticket_issue(tickets);
    const uint64_t number = ticket->number;
    ticket->correlation = 42;
    cr_assert_eq(ticket_find(tickets, number)->correlation, 42);
    ticket_close(tickets, ticket);
    cr_assert_null(ticket_find(tickets, number));
}

Test(tickets, a_place_used_again_has_another_number)
{
    struct ticket *ticket = ticket_issue(tickets);
    const uint64_t number = ticket->number;
    ticket_close(tickets, ticket);
    struct ticket *again = ticket_issue(tickets);
    cr_assert_eq(again, ticket);
    cr_assert_neq(again->number, number);
    cr_assert_null(ticket_find(tickets, number));
}

Test(tickets, zero_and_numbers_never_issued_find_nothing)
{
    cr_assert_null(ticket_find(tickets, 0));
    cr_assert_null(ticket_find(tickets, 7));
    cr_assert_null(ticket_find(tickets, UINT64_MAX));
}

Test(tickets, the_table_is_full_at_its_limit_and_not_before)
{
    for (size_t i = 0; i < TICKETS_MAX; i++) {
        struct ticket *ticket = ticket_issue(tickets);
        cr_assert_not_null(ticket);
        cr_assert_neq(ticket->number, 0);
        cr_assert_eq(ticket_find(tickets, ticket->number), ticket);
    }
    cr_assert_null(ticket_issue(tickets));
    cr_assert_eq(tickets_open(tickets), TICKETS_MAX);

    size_t at = 0;
    struct ticket *ticket;
    while (tickets_next(tickets, &at, &ticket))
        ticket_close(tickets, ticket);
    cr_assert_eq(tickets_open(tickets), 0);
    cr_assert_not_null(ticket_issue(tickets));
}
