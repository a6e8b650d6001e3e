/* florin-network: the connector to the card network, here a simulated one. */

#include "log.h"
#include "loop.h"
#include "network.h"
#include "node.h"
#include "options.h"
#include "seclude.h"

static const char help[] =
    "florin-network is the card network and all issuers in one process: it takes authorizations,\n"
    "captures, voids, refunds, inquiries and reversals, keeps each in a journal of its own under\n"
    "HOME/network, and never does one reference twice. HOME/network/faults makes it misbehave.\n"
    "\n"
    "    florin-network --home var --name network-1\n";

int
main(int argc, char **argv)
{
    const struct options options = options_read(argc, argv, "network", help);
    seclude_process(false); /* the journal's map is larger than any memory */
    struct node *node = node_start(options.home, options.name);
    struct loop *loop = loop_new(node);
    struct network *network = network_new(loop);
    log_event(LOG_INFO, "process.started", "home=%s", options.home);
    loop_run(loop);
    log_event(LOG_INFO, "process.stopped", "home=%s", options.home);
    network_destroy(&network);
    loop_destroy(&loop);
    node_stop(&node);
    return 0;
}
