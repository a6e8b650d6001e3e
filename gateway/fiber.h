/* fiber: a function with a stack of its own, which may wait in the middle without a thread.
 *
 * So what becomes of a request is written down in the order in which it happens, while one thread
 * serves thousands of them. All fibers of a process belong to one thread, and nothing is shared at
 * any moment that they do not choose: between two waits a fiber is alone in the world. */
#pragma once

struct fiber;

/* Never returns; whoever has nothing more to do waits for the next time. */
typedef void fiber_fn(void *state);

struct fiber *fiber_new(fiber_fn *run, void *state);
/* One that waits, and will not go on any more: what it owns is lost. */
void fiber_destroy(struct fiber **fiber_p);
/* From outside of all fibers: it begins, or goes on where it waits, until it waits again. */
void fiber_go(struct fiber *fiber);
/* From inside: back to whoever called fiber_go. */
void fiber_wait(void);
/* The one that we are inside of; NULL: none. */
struct fiber *fiber_running(void);
