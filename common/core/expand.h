/* expand: the paths that a client wants to see in full, as one text with a space between them:
 * "data.customer data.latest_charge.balance_transaction". */
#pragma once

#include "must_use.h"
#include "text.h"
#include <stdbool.h>

/* The next path of a walk that begins with *at = 0. False at the end. */
MUST_USE bool expand_next(struct text paths, size_t *at, struct text *path);
/* What a path begins with, up to its first dot. */
struct text expand_head(struct text path);
/* True when some path begins with that segment. */
bool expand_has(struct text paths, const char *segment);
/* What follows that segment in the paths that begin with it, written to `out`, which holds at least
 * paths.size bytes. NO_TEXT when nothing follows. */
struct text expand_below(struct text paths, const char *segment, char *out);
