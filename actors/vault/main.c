/* florin-vault: the only process that holds card numbers. */

#include "log.h"
#include "loop.h"
#include "node.h"
#include "options.h"
#include "seclude.h"
#include "vault.h"

static const char help[] =
    "florin-vault keeps card numbers. Others hold tokens; only the network connector is told a\n"
    "number, for an authorization that is open. Security codes are kept in memory alone.\n"
    "\n"
    "    florin-vault --home var --name vault-1\n";

int
main(int argc, char **argv)
{
    const struct options options = options_read(argc, argv, "vault", help);
    seclude_process(true);
    struct node *node = node_start(options.home, options.name);
    struct loop *loop = loop_new(node);
    struct vault *vault = vault_new(loop);
    log_event(LOG_INFO, "process.started", "home=%s", options.home);
    loop_run(loop);
    log_event(LOG_INFO, "process.stopped", "home=%s", options.home);
    vault_destroy(&vault);
    loop_destroy(&loop);
    node_stop(&node);
    return 0;
}
