/* locks: one call at a time on an object.
 *
 * They keep two calls of this worker from deciding about one object at once; they are not what
 * keeps money safe (the versions of rows and the states of attempts are, RELIABILITY fact 1).
 *
 * Who must wait for an older call gives back all of its own before; who waits for a younger one
 * keeps it. So nobody who holds something waits for an older one: no circle. And the oldest of
 * those that meet gives nothing back: no three that hand each other the same locks for ever.
 * (Wait-die; a call is as old as its first lock.) When a lock is free, it is the first waiter's, as
 * far as that makes nobody wait for an older one with something in their hands; the call is run
 * again from its start. */
#pragma once

#include "must_use.h"
#include "names.h"
#include "text.h"
#include <stdbool.h>

#define LOCKS_PER_CALL_MAX 8
#define LOCK_NAME_MAX 383 /* merchant, a slash, the id as it came in a path */

struct lock;

/* Whoever takes locks: part of a job. */
struct locker {
    struct lock *held[LOCKS_PER_CALL_MAX];
    int held_count;
    struct lock *waits_for; /* NULL: does not wait */
    struct locker *next_waiting;
    uint64_t ticket; /* less: older; 0: it has taken no lock yet */
    void *owner;
};

typedef void lock_granted_fn(void *state, void *owner);

struct locks {
    struct names names;
    struct lock *spare;
    lock_granted_fn *granted; /* told when a waiter has got what it waited for */
    void *state;
    uint64_t tickets; /* given out so far */
};

void locks_init(struct locks *locks, lock_granted_fn *granted, void *state);
void locks_end(struct locks *locks);

/* True when the locker holds it now, or held it before. False: it waits, and will be told by
 * `granted`; what it held before may be another's by then. A name that is too long for any object
 * is nobody's: true. */
MUST_USE bool lock_take(struct locks *locks, struct locker *locker, struct text merchant,
                        struct text object);
/* As lock_take, but does not wait: false when another has it. */
MUST_USE bool lock_try(struct locks *locks, struct locker *locker, struct text merchant,
                       struct text object);
/* Gives back all that it holds, and its place in a line. */
void locks_release(struct locks *locks, struct locker *locker);
