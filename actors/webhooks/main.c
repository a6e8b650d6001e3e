/* florin-webhooks: the process around webhooks.h. */
#include "loop.h"
#include "node.h"
#include "options.h"
#include "webhooks.h"

#include <locale.h>

static const char help[] =
    "florin-webhooks: delivers events to merchants' webhook endpoints, signed, until they are\n"
    "taken or the schedule (webhook_retry_s) ends. Several run side by side.\n"
    "\n"
    "  florin-webhooks --home DIR --name webhooks-INSTANCE\n"
    "\n"
    "It is started by florin-supervisor; by hand, for example:\n"
    "\n"
    "  florin-webhooks --home var --name webhooks-1\n";

int
main(int argc, char **argv)
{
    const struct options options = options_read(argc, argv, "webhooks", help);
    (void)setlocale(LC_CTYPE, "C.UTF-8"); /* hosts in letters of other languages (IDN) */
    struct node *node = node_start(options.home, options.name);
    struct loop *loop = loop_new(node);
    struct webhooks *webhooks = webhooks_new(loop, options.home);
    loop_run(loop);
    webhooks_destroy(&webhooks);
    loop_destroy(&loop);
    node_stop(&node);
    return 0;
}
