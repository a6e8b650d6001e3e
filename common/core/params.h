/* params: the parameters of one API request, flat, sorted and checked, in one block of bytes.
 *
 * Stripe's form encoding nests by brackets: `card[number]=…`, `expand[]=…`, `items[0][price]=…`.
 * form.h parses it into this canonical block: every scalar once, by its full name, arrays numbered
 * from 0, sorted by name in byte order. The same request always gives the same block, whatever the
 * order or the escapes it came with: so its keyed hash names the request (H90).
 *
 * A block is a run of  u16 name size, name, u32 value size, value  (big-endian). It is read in
 * place; whoever gets one from outside calls params_valid once before anything else. */
#pragma once

#include "must_use.h"
#include "text.h"
#include <stdbool.h>
#include <stdint.h>

#define PARAMS_COUNT_MAX 1000
#define PARAM_NAME_MAX 512
#define PARAM_DEPTH_MAX 10

struct params {
    const uint8_t *at;
    size_t size;
};

struct param {
    struct text name, value;
};

/* Well formed, sorted, no name twice, within the limits. */
bool params_valid(struct params params);
/* The next parameter of a walk that begins with *at = 0. False at the end. */
MUST_USE bool params_next(struct params params, size_t *at, struct param *param);
/* The value of a name, NO_TEXT when it is not there. An empty value is `at != NULL, size 0`: the
 * client asks to unset the field. */
struct text params_find(struct params params, const char *name);
bool params_have(struct params params, const char *name);
/* True when any name is `prefix` or begins with `prefix[`. */
bool params_have_any(struct params params, const char *prefix);
/* The next parameter whose name begins with `prefix[`, in a walk that begins with *at = 0; the
 * name given back is what stands between the brackets that follow. Deeper ones are met too, with
 * the same name each time: meant for flat hashes and arrays. */
MUST_USE bool params_next_in(struct params params, const char *prefix, size_t *at,
                             struct param *inside);
/* Typed readings of what the route's table has checked already: absent gives `otherwise`. */
int64_t params_integer(struct params params, const char *name, int64_t otherwise);
bool params_flag(struct params params, const char *name, bool otherwise);
/* true and false, and as Python writes them: its older libraries send True and False. */
MUST_USE bool params_read_flag(struct text text, bool *value);
/* Digits alone, perhaps a minus before them: no plus, no leading zero, no space, nothing that does
 * not fit 64 bits. False for anything else. */
MUST_USE bool params_read_integer(struct text text, int64_t *value);

/* Appends one parameter to a block that is being made; the caller keeps the order. The value may
 * lie where it belongs already. False when it does not fit: nothing was written. */
MUST_USE bool params_put(uint8_t *block, size_t cap, size_t *size, struct text name,
                         struct text value);
