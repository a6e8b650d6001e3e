/* kept: a finished answer, as it lies in Redis. Redis is not trusted: what comes back counts only
 * when its keyed MAC is ours and it says itself that it is for this merchant and this key. */
#pragma once

#include "arena.h"
#include "must_use.h"
#include "text.h"
#include <stdbool.h>
#include <stdint.h>

#define KEPT_SECRET_BYTES 32
#define KEPT_NAME_SIZE 80 /* with its NUL */

struct kept {
    struct text merchant, key, request_hash, path; /* which request it answered */
    int64_t status;
    struct text body, original_request;
};

/* The key under which Redis keeps it: tells nothing of the merchant or of the key. */
void kept_name(const uint8_t secret[static KEPT_SECRET_BYTES], struct text merchant,
               struct text key, char name[static KEPT_NAME_SIZE]);
/* In the arena. */
struct text kept_pack(const uint8_t secret[static KEPT_SECRET_BYTES], const struct kept *kept,
                      struct arena *arena);
/* False when it is not ours, or of another merchant or key; `kept` borrows from `bytes`. */
MUST_USE bool kept_unpack(const uint8_t secret[static KEPT_SECRET_BYTES], struct text bytes,
                          struct text merchant, struct text key, struct kept *kept);
