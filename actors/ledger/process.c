/* florin-ledger: the process around ledger.h. */
#include "ledger.h"
#include "log.h"
#include "node.h"
#include "options.h"
#include <string.h>

static const char help[] =
    "florin-ledger: the only writer of Florin's books; two run, one leads and one stands by.\n"
    "\n"
    "  florin-ledger --home DIR --name ledger-1|ledger-2\n"
    "\n"
    "It is started by florin-supervisor; by hand, for example:\n"
    "\n"
    "  florin-ledger --home var --name ledger-1\n";

int
main(int argc, char **argv)
{
    const struct options options = options_read(argc, argv, "ledger", help);
    if (strcmp(options.name, "ledger-1") != 0 && strcmp(options.name, "ledger-2") != 0)
        die("There are ledger-1 and ledger-2, and no %s.", options.name);

    struct node *node = node_start(options.home, options.name);
    struct loop *loop = loop_new(node);
    struct ledger *ledger = ledger_new(loop, options.home);
    loop_run(loop);
    ledger_destroy(&ledger);
    loop_destroy(&loop);
    node_stop(&node);
    return 0;
}
