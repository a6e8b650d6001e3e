/* json_reader: reads small JSON of ours, such as metadata, as a walk over one object's members.
 * No heap; every read is checked against the end. */
#pragma once

#include "must_use.h"
#include "text.h"
#include <stdbool.h>
#include <stddef.h>

struct json_member {
    struct text key;   /* as written, escapes and all, without its quotes */
    struct text value; /* raw JSON of the value */
};

/* The next member of an object, in a walk that begins with *at = 0. False at the end or when the
 * text is no object; *malformed tells which. */
MUST_USE bool json_next_member(struct text object, size_t *at, struct json_member *member,
                               bool *malformed);
/* The next element of an array, likewise. */
MUST_USE bool json_next_element(struct text array, size_t *at, struct text *value, bool *malformed);
/* Raw JSON of the member with that key, NO_TEXT when there is none. */
struct text json_find(struct text object, const char *key);
/* The text of a JSON string, its escapes undone, into `memory`. NO_TEXT when `json` is not a
 * string or does not fit. */
struct text json_unquote(struct text json, char *memory, size_t cap);
bool json_is_null(struct text json);
/* What stands between a string's quotes, as written: for words of ours, which have no escapes.
 * NO_TEXT when it is no string. */
struct text json_bare(struct text json);
