/* Every statement of the outbox goes by an index, in a database of some size: see plans.h. */
#include "plans.h"

#include "outbox.h"

#include <criterion/new/assert.h>

static const struct moment now = {1700000000000, 1000};
static struct mark marks[64];
static char endpoints[64][ENDPOINT_ID_MAX + 1];
static size_t leased_count, told;

static void
on_endpoint(void *state, const char *endpoint, int64_t due_wall_ms)
{
    (void)state, (void)endpoint, (void)due_wall_ms;
    told++;
}

static void
on_leased(void *state, const struct leased *leased)
{
    (void)state;
    if (leased_count == 64) return;
    snprintf(endpoints[leased_count], sizeof endpoints[0], "%s", leased->endpoint);
    marks[leased_count] = (struct mark){.sequence = leased->sequence,
                                        .lease_until_ms = leased->lease_until_ms,
                                        .endpoint = endpoints[leased_count],
                                        .state = DELIVERY_DELIVERED,
                                        .number = leased->tries + 1,
                                        .status = 200};
    leased_count++;
}

Test(outbox_plans, every_statement_goes_by_an_index, .timeout = 110)
{
    static const struct endpoint_want wants[] = {{"we_000000000000000000000000", 4}};
    int found[1];
    size_t lost;
    bool more;
    struct outbox *outbox = outbox_new(plans_begin("outbox"), 1, "webhooks-1", 7);
    cr_assert(outbox_ready(outbox, now), "%s", outbox_trouble(outbox));
    cr_assert(outbox_dispatch(outbox, now, on_endpoint, NULL, &more) == DISPATCH_WANTED && more);
    cr_assert(outbox_dispatch(outbox, now, on_endpoint, NULL, &more) == DISPATCH_NOTHING);
    cr_assert(outbox_resend(outbox, (struct moment){90000000, 1000}, on_endpoint, NULL));
    cr_assert(outbox_resend(outbox, now, on_endpoint, NULL));
    cr_assert(outbox_scan(outbox, on_endpoint, NULL));
    cr_expect(gt(sz, told, 0));
    cr_assert(outbox_lease(outbox, now, 30000, wants, 1, found, on_leased, NULL));
    cr_expect(gt(sz, leased_count, 0));
    cr_assert(outbox_mark(outbox, marks, leased_count, &lost));
    cr_expect(zero(sz, lost));
    cr_assert(outbox_abandon(outbox, "we_000000000000000000000000", 410));
    outbox_release(outbox, now);
    outbox_destroy(&outbox);
    cr_expect(ge(sz, plans_check("delivery_due"), 11), "each of them has left its plan");
}
