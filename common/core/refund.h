/* refund: what of a charge can be given back. Pure; the actor stores what it grants. */
#pragma once

#include "must_use.h"
#include <stdbool.h>
#include <stdint.h>

/* In order of precedence: the first that applies is the one returned. */
enum refund_verdict {
    REFUND_CHARGE_FAILED,     /* no money ever moved */
    REFUND_ALL_GONE,          /* nothing is left to be given back */
    REFUND_PART_NOT_CAPTURED, /* held, not taken, and a part was asked for: capture less instead */
    REFUND_NOT_CAPTURED,      /* held, not taken: cancel the payment instead */
    REFUND_UNDER_WAY,         /* what is left is being given back by others at this moment */
    REFUND_TOO_MUCH,          /* more than is left */
    REFUND_OK,
};

/* A charge as far as refunds are concerned, in minor units. */
struct refundable {
    bool failed, captured;
    int64_t amount;    /* of the charge */
    int64_t refunded;  /* given back, or released by a capture in part */
    int64_t refunding; /* promised to refunds that the network has not answered yet */
};

/* What is left to be given back. */
int64_t refund_rest(const struct refundable *charge);
/* `asked` 0: all that is left. `granted` is set on REFUND_OK alone. */
MUST_USE enum refund_verdict refund_check(const struct refundable *charge, int64_t asked,
                                          int64_t *granted);
