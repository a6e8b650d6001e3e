/* florin-broker: see broker.h. */
#include "broker.h"
#include "log.h"
#include "settings.h"

#include <stdio.h>
#include <string.h>

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
    const char *home = NULL, *name = "broker-1";
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) return fputs(help, stdout) < 0;
        if (i + 1 < argc && strcmp(argv[i], "--home") == 0)
            home = argv[++i];
        else if (i + 1 < argc && strcmp(argv[i], "--name") == 0)
            name = argv[++i];
        else
            die("florin-broker: \"%s\" is not understood here; try --help", argv[i]);
    }
    if (!home) die("florin-broker: --home is missing; try --help");

    struct settings settings;
    settings_load(home, &settings);
    struct node *node = node_start(home, name);
    struct loop *loop = loop_new(node);
    struct broker *broker = broker_new(loop, settings.workers);
    loop_run(loop);
    broker_destroy(&broker);
    loop_destroy(&loop);
    node_stop(&node);
    return 0;
}
