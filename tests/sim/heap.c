/* heap: memory of the simulated processes. The linker sends malloc and its kin here (--wrap): while
 * a process runs, what it takes comes from a region of its own, which is emptied when it dies,
 * whatever was in it. So a life may end in the middle of anything, and a thousand lives a second
 * cost nothing to clean up after. */
#include "world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define REGION_BYTES ((size_t)64 << 20)
#define CLASS_COUNT 64
#define SMALL_BYTES 512

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);

/* Before each piece. */
struct head {
    uint64_t class;
    size_t size;
};

struct heap {
    size_t used;
    size_t dirty; /* beyond it nothing was ever written */
    void *spare[CLASS_COUNT];
};

static char *regions; /* one behind the other */
static struct heap heaps[PROCESS_COUNT];
static int in_use = -1;

static char *
region(int index)
{
    return regions + (size_t)index * REGION_BYTES;
}

void
heap_use(int index)
{
    if (!regions) {
        regions = mmap(NULL, REGION_BYTES * PROCESS_COUNT, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (regions == MAP_FAILED) abort();
    }
    in_use = index;
}

void
heap_empty(int index)
{
    heaps[index] = (struct heap){.dirty = heaps[index].dirty};
}

/* Sixteens up to SMALL_BYTES, powers of two above. */
static uint64_t
class_of(size_t size, size_t *rounded)
{
    if (size <= SMALL_BYTES) {
        const uint64_t class = size ? (size + 15) / 16 : 1;
        *rounded = class * 16;
        return class;
    }
    uint64_t class = SMALL_BYTES / 16;
    for (*rounded = SMALL_BYTES; *rounded < size; class ++)
        *rounded *= 2;
    assert(class < CLASS_COUNT);
    return class;
}

/* `clean`: the piece was never used by anybody. */
static void *
take_piece(size_t size, bool *clean)
{
    struct heap *heap = &heaps[in_use];
    size_t rounded;
    const uint64_t class = class_of(size, &rounded);
    *clean = false;
    if (heap->spare[class]) {
        void *const piece = heap->spare[class];
        memcpy(&heap->spare[class], piece, sizeof(void *));
        ((struct head *)piece)[-1].size = size;
        return piece;
    }
    if (heap->used + sizeof(struct head) + rounded > REGION_BYTES) abort();
    struct head *head = (struct head *)(void *)(region(in_use) + heap->used);
    *clean = heap->used >= heap->dirty;
    heap->used += sizeof *head + rounded;
    if (heap->used > heap->dirty) heap->dirty = heap->used;
    *head = (struct head){class, size};
    return head + 1;
}

static bool
is_ours(const void *memory)
{
    const char *at = memory;
    return regions && at >= regions && at < regions + REGION_BYTES * PROCESS_COUNT;
}

void *
__wrap_malloc(size_t size)
{
    bool clean;
    return in_use < 0 ? __real_malloc(size) : take_piece(size, &clean);
}

void *
__wrap_calloc(size_t count, size_t size)
{
    bool clean;
    if (in_use < 0) return __real_calloc(count, size);
    void *const piece = take_piece(count * size, &clean);
    return clean ? piece : memset(piece, 0, count * size);
}

void
__wrap_free(void *memory)
{
    if (!memory) return;
    if (!is_ours(memory)) {
        __real_free(memory);
        return;
    }
    struct heap *heap = &heaps[((char *)memory - regions) / (ptrdiff_t)REGION_BYTES];
    const uint64_t class = ((struct head *)memory)[-1].class;
    memcpy(memory, &heap->spare[class], sizeof(void *));
    heap->spare[class] = memory;
}

void *
__wrap_realloc(void *memory, size_t size)
{
    bool clean;
    if (in_use < 0 || (memory && !is_ours(memory))) return __real_realloc(memory, size);
    void *const piece = take_piece(size, &clean);
    if (!memory) return piece;
    const size_t before = ((struct head *)memory)[-1].size;
    memcpy(piece, memory, before < size ? before : size);
    __wrap_free(memory);
    return piece;
}
