/* arena: memory that is taken piece by piece and given back all at once, at the end of the request
 * or turn that it belongs to. Has a limit: past it the process ends, because whoever uses an arena
 * has bounded its input before (an assert about ourselves). */
#pragma once

#include "text.h"
#include <stddef.h>

struct arena;

struct arena *arena_new(size_t limit_bytes);
void arena_destroy(struct arena **arena_p);
void arena_reset(struct arena *arena);                         /* keeps its first block */
void arena_wipe(struct arena *arena);                          /* likewise, and leaves no trace */
void *arena_take(struct arena *arena, size_t size);            /* aligned for anything, zeroed */
/* As arena_take, with whatever was there before: for what is filled at once. */
void *arena_take_unset(struct arena *arena, size_t size);
/* Of the piece that was taken last only `used` bytes stay; of any other, all. */
void arena_shrink(struct arena *arena, const void *piece, size_t size, size_t used);
struct text arena_copy(struct arena *arena, struct text text); /* NO_TEXT stays NO_TEXT */
struct text arena_format(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
