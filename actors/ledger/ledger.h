/* ledger: the handlers of florin-ledger, the only writer of money and of payment state.
 *
 * Takes commits from all workers, writes those that wait together (the next batch is all that
 * arrived while the last one was being committed), answers after the COMMIT and tells the tap. Two
 * of them run: one leads, the other stands by (leadership.h). */
#pragma once

#include "loop.h"

struct ledger;

struct ledger *ledger_new(struct loop *loop, const char *home);
/* Before the loop. */
void ledger_destroy(struct ledger **ledger_p);
