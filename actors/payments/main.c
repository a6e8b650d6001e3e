/* florin-payments: one payments worker. */
#include "loop.h"
#include "node.h"
#include "options.h"
#include "settings.h"
#include "worker.h"

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
    const struct options options = options_read(argc, argv, "payments", help);
    struct settings settings;
    settings_load(options.home, &settings);
    struct node *node = node_start(options.home, options.name);
    struct loop *loop = loop_new(node);
    struct worker *worker = worker_new(loop, &settings, options.home);
    loop_run(loop);
    worker_destroy(&worker);
    loop_destroy(&loop);
    node_stop(&node);
    return 0;
}
