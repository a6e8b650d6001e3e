#include "fee.h"

#include <assert.h>

int64_t
fee_of_payment(int64_t amount)
{
    assert(amount > 0);
    assert(amount < INT64_MAX / 29 - 500);
    const int64_t share = (amount * 29 + 500) / 1000;
    const int64_t fee = share + 30;
    return fee < amount ? fee : amount;
}
