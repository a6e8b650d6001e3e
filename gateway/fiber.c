/* A fiber begins by setcontext, and from then on the stacks are changed by _setjmp and _longjmp:
 * swapcontext asks the kernel for the mask of signals each time, and costs fifty times as much
 * (measured: 2.4 us for there and back, 0.05 without). */
#include "fiber.h"

#include <assert.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#else /* the sanitizer is told of each change of stacks; without it there is nobody to tell */
#define __sanitizer_start_switch_fiber(fake, bottom, size) \
    ((void)(fake), (void)(bottom), (void)(size))
#define __sanitizer_finish_switch_fiber(fake, bottom, size) \
    ((void)(fake), (void)(bottom), (void)(size))
#endif

/* Only what is touched becomes memory. */
enum { STACK_BYTES = 256 << 10 };

struct fiber {
    ucontext_t first; /* where it begins */
    jmp_buf here;     /* where it waits */
    bool begun;
    fiber_fn *run;
    void *state;
    char *memory; /* the page that nobody may touch, then the stack, which grows towards it */
    size_t memory_bytes;
    char *stack;
    void *fake; /* the sanitizer's */
};

static struct fiber *running;
static jmp_buf outside; /* where fiber_go was called */
/* The stack outside, as the sanitizer knows it. */
static void *outside_fake;
static const void *outside_bottom;
static size_t outside_bytes;

static size_t
page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static void
begin(void)
{
    __sanitizer_finish_switch_fiber(NULL, &outside_bottom, &outside_bytes);
    running->run(running->state);
    abort();
}

struct fiber *
fiber_new(fiber_fn *run, void *state)
{
    struct fiber *fiber = calloc(1, sizeof *fiber);
    assert(fiber); /* memory is over: the process ends, the supervisor starts another */
    fiber->run = run;
    fiber->state = state;
    fiber->memory_bytes = page_bytes() + STACK_BYTES;
    fiber->memory = mmap(NULL, fiber->memory_bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    assert(fiber->memory != MAP_FAILED);
    const int guarded = mprotect(fiber->memory, page_bytes(), PROT_NONE);
    assert(guarded == 0);
    const int known = getcontext(&fiber->first);
    assert(known == 0);
    fiber->first.uc_stack.ss_sp = fiber->stack = fiber->memory + page_bytes();
    fiber->first.uc_stack.ss_size = STACK_BYTES;
    makecontext(&fiber->first, begin, 0);
    return fiber;
}

void
fiber_destroy(struct fiber **fiber_p)
{
    struct fiber *fiber = *fiber_p;
    if (!fiber) return;
    assert(fiber != running);
    munmap(fiber->memory, fiber->memory_bytes);
    free(fiber);
    *fiber_p = NULL;
}

void
fiber_go(struct fiber *fiber)
{
    assert(!running);
    running = fiber;
    __sanitizer_start_switch_fiber(&outside_fake, fiber->stack, STACK_BYTES);
    if (_setjmp(outside) == 0) {
        if (fiber->begun) _longjmp(fiber->here, 1);
        fiber->begun = true;
        setcontext(&fiber->first);
        abort();
    }
    __sanitizer_finish_switch_fiber(outside_fake, NULL, NULL);
    running = NULL;
}

void
fiber_wait(void)
{
    assert(running);
    __sanitizer_start_switch_fiber(&running->fake, outside_bottom, outside_bytes);
    if (_setjmp(running->here) == 0) _longjmp(outside, 1);
    __sanitizer_finish_switch_fiber(running->fake, &outside_bottom, &outside_bytes);
}

struct fiber *
fiber_running(void)
{
    return running;
}
