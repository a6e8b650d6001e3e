/* network: the handlers of florin-network, the connector to the card network, here a simulated one
 * with its issuers. See README.md. */
#pragma once

#include "loop.h"

struct network;

struct network *network_new(struct loop *loop);
/* Before the loop. */
void network_destroy(struct network **network_p);
