/* fee: what a payment costs the merchant: 2.9 % and 30 minor units, half a unit rounded up. */
#pragma once

#include <stdint.h>

/* `amount` above zero, at most MONEY_MAX; never more than the amount. */
int64_t fee_of_payment(int64_t amount);
