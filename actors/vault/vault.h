/* vault: the handlers of florin-vault: cards in and tokens out on one link, a card for an open
 * authorization on another. See README.md. */
#pragma once

#include "loop.h"

struct vault;

/* Binds both links. Dies with a sentence when a secret is missing. */
struct vault *vault_new(struct loop *loop);
/* Before the loop. */
void vault_destroy(struct vault **vault_p);
