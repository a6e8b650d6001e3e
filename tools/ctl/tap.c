/* tap: events as the ledger publishes them. */
#include "ctl.h"
#include "florin_client.h"
#include "partition.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static volatile sig_atomic_t ended;

struct tap {
    int json;
    uint64_t last[PARTITIONS_MAX + 1], seen;
};

static void
on_signal(int number)
{
    (void)number;
    ended = 1;
}

static void
on_event(void *state, int partition, const struct msg_event_published *event)
{
    struct tap *tap = state;
    char when[32];
    const time_t created = (time_t)event->created;
    struct tm utc;
    uint64_t *const last = &tap->last[partition];
    if (event->sequence <= *last) return; /* from a ledger that was the leader before */
    if (*last && event->sequence != *last + 1)
        fprintf(stderr, "(%" PRIu64 " events were missed; they are in the view event)\n",
                event->sequence - *last - 1);
    *last = event->sequence;
    tap->seen++;
    gmtime_r(&created, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    if (tap->json)
        printf("{\"partition\":%d,\"sequence\":%" PRIu64 ",\"created\":%" PRIu64 ",", partition,
               event->sequence, event->created);
    else
        printf("%8" PRIu64 "  %s  ", event->sequence, when);
    printf(tap->json ? "\"type\":\"%.*s\",\"object\":\"%.*s\",\"merchant\":\"%.*s\","
                       "\"id\":\"%.*s\"}\n"
                     : "%-32.*s  %.*s  %.*s  %.*s\n",
           (int)event->type.size, event->type.at, (int)event->object.size, event->object.at,
           (int)event->merchant.size, event->merchant.at, (int)event->id.size, event->id.at);
    fflush(stdout);
}

int
ctl_tap(const struct ctl *ctl)
{
    const char *count = option_value(ctl, "--count");
    const uint64_t wanted = count ? strtoull(count, NULL, 10) : UINT64_MAX;
    struct tap tap = {.json = option_given(ctl, "--json")};
    struct florin_client *client = florin_client_open(ctl->home, "monitor-1");
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    while (!ended && tap.seen < wanted)
        florin_client_listen(client, on_event, &tap, 200);
    florin_client_close(&client);
    return 0;
}
