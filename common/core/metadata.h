/* metadata: the texts of their own that merchants hang on an object. An update merges: a key with
 * an empty value goes, the others are set, what is not named stays; an empty `metadata` clears
 * all. */
#pragma once

#include "json_writer.h"
#include "must_use.h"
#include "params.h"

#define METADATA_KEYS_MAX 50

enum metadata_verdict { METADATA_TOO_MANY, METADATA_OK };

/* Writes what `now` (an object of strings, or NO_TEXT) becomes under the parameters `prefix[…]`
 * and `prefix` as one JSON value. METADATA_TOO_MANY: what was written is of no use. */
MUST_USE enum metadata_verdict metadata_merge(struct text now, struct params params,
                                              const char *prefix, struct json_writer *out);
