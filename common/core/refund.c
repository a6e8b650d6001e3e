#include "refund.h"

#include <assert.h>

int64_t
refund_rest(const struct refundable *charge)
{
    assert(charge->amount > 0);
    assert(charge->refunded >= 0 && charge->refunding >= 0);
    assert(charge->refunded <= charge->amount - charge->refunding);
    return charge->amount - charge->refunded - charge->refunding;
}

enum refund_verdict
refund_check(const struct refundable *charge, int64_t asked, int64_t *granted)
{
    const int64_t rest = refund_rest(charge);
    assert(asked >= 0);
    if (charge->failed) return REFUND_CHARGE_FAILED;
    if (charge->refunded == charge->amount) return REFUND_ALL_GONE;
    if (!charge->captured)
        return asked && asked < charge->amount ? REFUND_PART_NOT_CAPTURED : REFUND_NOT_CAPTURED;
    if (rest == 0) return REFUND_UNDER_WAY;
    if (asked > rest) return REFUND_TOO_MUCH;
    *granted = asked ? asked : rest;
    return REFUND_OK;
}
