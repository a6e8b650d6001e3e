/* utf8: what of a client's bytes is text. */
#pragma once

#include "text.h"
#include <stdbool.h>
#include <stddef.h>

/* UTF-8 by RFC 3629 (nothing overlong, no surrogates, nothing above U+10FFFF), and without NUL. */
bool utf8_is_clean(struct text text);
/* Characters of a clean text. */
size_t utf8_count(struct text text);
/* The text cut to at most `size` bytes, never inside a character. */
struct text utf8_cut(struct text text, size_t size);
