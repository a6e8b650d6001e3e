/* form: Stripe's nested form encoding, parsed into a block of params. Pure: no heap, no I/O.
 *
 * Refused, with the parameter named: bad escapes, bad UTF-8, NUL, a scalar given twice, a name used
 * both as a scalar and as a hash, unbalanced brackets, an empty name, too deep, too many, too long.
 * `+` is a space; `a[]=1&a[]=2` and `a[0]=1&a[1]=2` are the same array; holes in the numbers are
 * closed up, as Stripe does. */
#pragma once

#include "params.h"

enum form_verdict {
    FORM_MALFORMED, /* zero, so that a forgotten verdict is a refusal */
    FORM_BAD_ESCAPE,
    FORM_BAD_TEXT,        /* not UTF-8, or NUL */
    FORM_BAD_NAME,        /* empty, or brackets that do not balance */
    FORM_GIVEN_TWICE,     /* a scalar twice */
    FORM_SCALAR_AND_HASH, /* a=1&a[b]=2 */
    FORM_TOO_DEEP,
    FORM_TOO_MANY,
    FORM_TOO_LONG,
    FORM_OK,
};

/* How many bytes a block must have so that this form is not too long for it. */
size_t form_block_size(const char *at, size_t size);

/* Parses `size` bytes of a body or a query string into `block` (at most `cap` bytes, where it
 * also does its work: see form_block_size). On any
 * verdict but FORM_OK, `culprit` holds the name at fault (cut to 128 bytes), or is empty. */
MUST_USE enum form_verdict form_parse(const char *at, size_t size, uint8_t *block, size_t cap,
                                      struct params *params, char culprit[static 129]);
