#include "arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 16384, ALIGNMENT = 16 };

struct block {
    struct block *next;
    size_t cap, used;
    _Alignas(ALIGNMENT) char bytes[];
};

struct arena {
    struct block *blocks; /* the newest first; the first one taken is kept for ever */
    size_t total, limit;
};

/* Blocks that were given back, for whoever takes one next: the last one first, because it is still
 * in the processor's cache. The C library would search for pieces of this size, cut them, and join
 * them when they come back. With a sanitizer none is kept, so that what is used after its turn is
 * found; nor where several processes are played in one (tests/sim). */
#if defined __SANITIZE_ADDRESS__
#define ARENA_SPARE_MAX 0
#elif !defined ARENA_SPARE_MAX
#define ARENA_SPARE_MAX 256 /* of 16 kB: a commit of a hundred payments gives back more at once */
#endif
static _Thread_local struct {
    struct block *first;
    int count;
} spare;

static struct block *
block_take(size_t cap)
{
    struct block *block = spare.first;
    if (cap != BLOCK_BYTES || !block) return malloc(sizeof *block + cap);
    spare.first = block->next;
    spare.count--;
    return block;
}

static void
block_give(struct block *block)
{
    if (block->cap != BLOCK_BYTES || spare.count >= ARENA_SPARE_MAX) {
        free(block);
        return;
    }
    block->next = spare.first;
    spare.first = block;
    spare.count++;
}

static struct block *
block_new(struct arena *arena, size_t cap)
{
    assert(arena->total + cap <= arena->limit); /* whoever asks has bounded its input before */
    struct block *block = block_take(cap);
    assert(block); /* memory is over: the process ends, the supervisor starts another */
    *block = (struct block){.next = arena->blocks, .cap = cap};
    arena->blocks = block;
    arena->total += cap;
    return block;
}

struct arena *
arena_new(size_t limit_bytes)
{
    struct arena *arena = calloc(1, sizeof *arena);
    assert(arena);
    arena->limit = limit_bytes < BLOCK_BYTES ? BLOCK_BYTES : limit_bytes;
    block_new(arena, BLOCK_BYTES);
    return arena;
}

void
arena_reset(struct arena *arena)
{
    while (arena->blocks->next) {
        struct block *block = arena->blocks;
        arena->blocks = block->next;
        arena->total -= block->cap;
        block_give(block);
    }
    arena->blocks->used = 0;
}

void
arena_wipe(struct arena *arena)
{
    for (struct block *block = arena->blocks; block; block = block->next)
        explicit_bzero(block->bytes, block->used);
    arena_reset(arena);
}

void
arena_destroy(struct arena **arena_p)
{
    if (!*arena_p) return;
    arena_reset(*arena_p);
    free((*arena_p)->blocks);
    free(*arena_p);
    *arena_p = NULL;
}

static size_t
aligned(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* A piece that does not fit opens a new block; large ones get a block of their size. */
void *
arena_take_unset(struct arena *arena, size_t size)
{
    const size_t need = aligned(size);
    struct block *block = arena->blocks;
    assert(need >= size);
    if (block->cap - block->used < need)
        block = block_new(arena, need > BLOCK_BYTES ? need : BLOCK_BYTES);
    void *piece = block->bytes + block->used;
    block->used += need;
    return piece;
}

void *
arena_take(struct arena *arena, size_t size)
{
    return memset(arena_take_unset(arena, size), 0, size);
}

void
arena_shrink(struct arena *arena, const void *piece, size_t size, size_t used)
{
    struct block *block = arena->blocks;
    assert(used <= size);
    if ((const char *)piece + aligned(size) != block->bytes + block->used) return;
    block->used -= aligned(size) - aligned(used);
}

struct text
arena_copy(struct arena *arena, struct text text)
{
    if (!text.at) return NO_TEXT;
    char *copy = arena_take_unset(arena, text.size + 1);
    if (text.size) memcpy(copy, text.at, text.size);
    copy[text.size] = 0;
    return (struct text){copy, text.size};
}

struct text
arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    assert(format);
    /* As a rule the block has room for it, and the format is walked once. */
    const struct block *block = arena->blocks;
    const size_t room = block->cap - block->used;
    char *const here = arena->blocks->bytes + block->used;
    va_start(arguments, format);
    const int size = vsnprintf(here, room, format, arguments);
    va_end(arguments);
    assert(size >= 0);
    if (aligned((size_t)size + 1) <= room)
        return (struct text){arena_take_unset(arena, (size_t)size + 1), (size_t)size};
    char *out = arena_take_unset(arena, (size_t)size + 1);
    va_start(arguments, format);
    vsnprintf(out, (size_t)size + 1, format, arguments);
    va_end(arguments);
    return (struct text){out, (size_t)size};
}
