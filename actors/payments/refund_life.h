/* refund_life: what the engine calls when the network has said what became of a refund that it was
 * asked about again (follow_ups.c). The call speaks for the merchant, without a client. Stages what
 * follows, then call_answer with nothing to be told; refuses when a row cannot be read now. */
#pragma once

#include "call.h"

void refund_followed(struct call *call, struct text id, const struct msg_network_answer *answer);
