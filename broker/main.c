/* florin-broker: see broker.h. */
#include "broker.h"
#include "options.h"
#include "settings.h"

static const char help[] =
    "florin-broker: routes requests to the payments worker that owns the merchant's slot.\n"
    "\n"
    "  florin-broker --home DIR --name broker-1\n"
    "\n"
    "It is started by florin-supervisor; by hand, for example:\n"
    "\n"
    "  florin-broker --home var --name broker-1\n";

int
main(int argc, char **argv)
{
    const struct options options = options_read(argc, argv, "broker", help);

    struct settings settings;
    settings_load(options.home, &settings);
    struct node *node = node_start(options.home, options.name);
    struct loop *loop = loop_new(node);
    struct broker *broker =
        broker_new(loop, settings.partitions, settings.workers, settings.standby_workers);
    loop_run(loop);
    broker_destroy(&broker);
    loop_destroy(&loop);
    node_stop(&node);
    return 0;
}
