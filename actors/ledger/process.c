/* florin-ledger: the process around ledger.h. */
#include "ledger.h"
#include "log.h"
#include "node.h"
#include "options.h"
#include "partition.h"
#include "settings.h"

static const char help[] =
    "florin-ledger: the only writer of Florin's books; two run for each partition of the\n"
    "merchants, one leads and one stands by.\n"
    "\n"
    "  florin-ledger --home DIR --name ledger-N\n"
    "\n"
    "It is started by florin-supervisor; by hand, for example:\n"
    "\n"
    "  florin-ledger --home var --name ledger-1\n";

int
main(int argc, char **argv)
{
    const struct options options = options_read(argc, argv, "ledger", help);
    struct settings settings;
    settings_load(options.home, &settings);
    struct node *node = node_start(options.home, options.name);
    const int last = partition_ledger((int)settings.partitions, LEDGERS_PER_PARTITION - 1);
    if (node_instance(node) > last)
        die("The ledgers are ledger-1 to ledger-%d (partitions = %d), and there is no %s.", last,
            (int)settings.partitions, options.name);
    struct loop *loop = loop_new(node);
    struct ledger *ledger = ledger_new(loop, options.home);
    loop_run(loop);
    ledger_destroy(&ledger);
    loop_destroy(&loop);
    node_stop(&node);
    return 0;
}
