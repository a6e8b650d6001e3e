/* signature: the Stripe-Signature header of one try.
 *
 * `t=<Unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`. The key is the whole secret as the merchant
 * was given it, `whsec_` included. Receivers refuse a time that is more than five minutes off, so
 * every try is signed anew. */
#pragma once

#include "text.h"
#include <stdint.h>

/* "t=" and 20 digits, ",v1=" and 64 digits, and a NUL. */
#define SIGNATURE_SIZE 96

void signature_make(char out[static SIGNATURE_SIZE], struct text secret, int64_t unix_s,
                    struct text body);
