/* florin-payments: one payments worker. */
#include "log.h"
#include "loop.h"
#include "node.h"
#include "settings.h"
#include "worker.h"

#include <stdio.h>
#include <string.h>

static const char help[] =
    "florin-payments: decides what the requests of the API mean.\n"
    "\n"
    "Owns slots of merchants, runs their payments, asks the ledger to write and the card network\n"
    "to move money, and recovers what another worker left open.\n"
    "\n"
    "  florin-payments --home DIR --name payments-N\n"
    "\n"
    "  --home DIR   folder of the instance: settings, keys, sockets\n"
    "  --name NAME  which worker this is; there is a key of that name\n"
    "  --help       this page\n"
    "\n"
    "Example: florin-payments --home var --name payments-1\n";

int
main(int argc, char **argv)
{
    const char *home = NULL, *name = NULL;
    struct settings settings;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--home") == 0 && i + 1 < argc)
            home = argv[++i];
        else if (strcmp(argv[i], "--name") == 0 && i + 1 < argc)
            name = argv[++i];
        else
            die("florin-payments does not know the argument %s; --help tells what it takes.",
                argv[i]);
    }
    if (!home || !name) die("florin-payments needs --home DIR and --name payments-N.");
    if (strncmp(name, "payments-", strlen("payments-")) != 0)
        die("A payments worker is named payments-N, not %s.", name);

    settings_load(home, &settings);
    struct node *node = node_start(home, name);
    struct loop *loop = loop_new(node);
    struct worker *worker = worker_new(loop, &settings, home);
    loop_run(loop);
    worker_destroy(&worker);
    loop_destroy(&loop);
    node_stop(&node);
    return 0;
}
