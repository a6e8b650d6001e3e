/* later: things that are due at a moment, the earliest first. Bounded; what is in it is the queue's
 * to free. */
#pragma once

#include "must_use.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct later;

struct later *later_new(size_t most);
void later_destroy(struct later **later_p);
/* Copies `size` bytes. False when it is full. Of two things that are due at once the one that was
 * put first comes first. */
MUST_USE bool later_put(struct later *later, int64_t due_ms, const void *thing, size_t size);
/* The next thing that is due, to be freed by the caller; NULL when none is. */
void *later_take(struct later *later, int64_t now_ms);
/* In how many milliseconds the next is due, at most `otherwise`. */
int64_t later_wait_ms(const struct later *later, int64_t now_ms, int64_t otherwise);
size_t later_count(const struct later *later);
