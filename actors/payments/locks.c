#include "locks.h"

#include <assert.h>
#include <stdlib.h>

struct lock {
    struct name_node node;
    char name[LOCK_NAME_MAX + 1];
    struct locker *holder;
    struct locker *first, *last; /* waiting */
    struct lock *next_spare;
};

void
locks_init(struct locks *locks, lock_granted_fn *granted, void *state)
{
    *locks = (struct locks){.granted = granted, .state = state};
    names_init(&locks->names);
}

void
locks_end(struct locks *locks)
{
    while (locks->spare) {
        struct lock *const lock = locks->spare;
        locks->spare = lock->next_spare;
        free(lock);
    }
    names_end(&locks->names);
}

static size_t
name_of(char *out, struct text merchant, struct text object)
{
    if (merchant.size + 1 + object.size > LOCK_NAME_MAX) return 0;
    memcpy(out, merchant.at, merchant.size);
    out[merchant.size] = '/';
    if (object.size) memcpy(out + merchant.size + 1, object.at, object.size);
    return merchant.size + 1 + object.size;
}

static void
hold(struct locks *locks, struct lock *lock, struct locker *locker)
{
    assert(!lock->holder);
    assert(locker->held_count < LOCKS_PER_CALL_MAX);
    if (!locker->ticket) locker->ticket = ++locks->tickets;
    lock->holder = locker;
    locker->held[locker->held_count++] = lock;
}

static struct lock *
lock_make(struct locks *locks, uint64_t hash, const char *name, size_t size)
{
    struct lock *lock = locks->spare;
    if (lock)
        locks->spare = lock->next_spare;
    else if (!(lock = malloc(sizeof *lock)))
        abort();
    *lock = (struct lock){.holder = NULL};
    memcpy(lock->name, name, size);
    names_add_hashed(&locks->names, &lock->node, hash, (struct text){lock->name, size}, lock);
    return lock;
}

/* The lock if another holds it; NULL when it is the locker's now. */
static struct lock *
in_the_way(struct locks *locks, struct locker *locker, struct text merchant, struct text object)
{
    char name[LOCK_NAME_MAX + 1];
    const size_t size = name_of(name, merchant, object);
    if (!size) return NULL;
    const uint64_t hash = names_hash(&locks->names, (struct text){name, size});
    struct lock *lock = names_find_hashed(&locks->names, hash, (struct text){name, size});
    if (!lock)
        hold(locks, lock_make(locks, hash, name, size), locker);
    else if (lock->holder != locker)
        return lock;
    return NULL;
}

bool
lock_try(struct locks *locks, struct locker *locker, struct text merchant, struct text object)
{
    assert(!locker->waits_for);
    return !in_the_way(locks, locker, merchant, object);
}

static void
leave_line(struct locker *locker)
{
    struct lock *const lock = locker->waits_for;
    struct locker *before = NULL;
    if (!lock) return;
    for (struct locker *at = lock->first; at != locker; at = at->next_waiting) {
        assert(at);
        before = at;
    }
    if (before)
        before->next_waiting = locker->next_waiting;
    else
        lock->first = locker->next_waiting;
    if (lock->last == locker) lock->last = before;
    locker->next_waiting = NULL;
    locker->waits_for = NULL;
}

/* The first in line; before an older one, the youngest of those who hold something. */
static struct locker *
heir_of(const struct lock *lock)
{
    struct locker *heir = lock->first;
    for (struct locker *at = heir; at; at = at->next_waiting)
        if (at->held_count && at->ticket > heir->ticket) heir = at;
    return heir;
}

static void
let_go(struct locks *locks, struct locker *locker)
{
    while (locker->held_count) {
        struct lock *const lock = locker->held[--locker->held_count];
        struct locker *const heir = heir_of(lock);
        lock->holder = NULL;
        if (!heir) {
            names_remove(&locks->names, &lock->node);
            lock->next_spare = locks->spare;
            locks->spare = lock;
            continue;
        }
        leave_line(heir);
        hold(locks, lock, heir);
        locks->granted(locks->state, heir->owner);
    }
}

bool
lock_take(struct locks *locks, struct locker *locker, struct text merchant, struct text object)
{
    assert(!locker->waits_for);
    struct lock *const lock = in_the_way(locks, locker, merchant, object);
    if (!lock) return true;
    if (!locker->ticket) locker->ticket = ++locks->tickets;
    locker->waits_for = lock;
    locker->next_waiting = NULL;
    if (lock->last)
        lock->last->next_waiting = locker;
    else
        lock->first = locker;
    lock->last = locker;
    if (lock->holder->ticket < locker->ticket) let_go(locks, locker);
    return false;
}

void
locks_release(struct locks *locks, struct locker *locker)
{
    leave_line(locker);
    let_go(locks, locker);
    locker->ticket = 0;
    assert(!locker->waits_for);
    assert(locker->held_count == 0);
}
