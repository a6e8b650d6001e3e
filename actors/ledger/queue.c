#include "queue.h"

#include "fingerprint.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES_MAX (8u << 20) /* of commands in one batch */
#ifndef TOUCHED_MAX                /* the simulator makes it small */
#define TOUCHED_MAX 16384          /* rows and keys; a power of two */
#endif

enum { COMMANDS = 255, KEYS = 254 }; /* no table's number */

struct list {
    struct command *first, **last;
    size_t count;
};

struct queue {
    struct list lists[2]; /* by urgency */
    uint64_t touched[TOUCHED_MAX];
    uint32_t places[TOUCHED_MAX]; /* of `touched` that are not free: few, in a small batch */
    size_t touched_count;
    struct {
        uint64_t things[TOUCHED_MAX];
        size_t count;
    } taken[2]; /* what the batch touches that was taken last, and the one before */
    int last;   /* which of them */
};

struct queue *
queue_new(void)
{
    struct queue *q = calloc(1, sizeof *q);
    assert(q);
    for (int i = 0; i < 2; i++)
        q->lists[i].last = &q->lists[i].first;
    return q;
}

void
queue_destroy(struct queue **queue_p)
{
    if (!*queue_p) return;
    for (int i = 0; i < 2; i++)
        for (struct command *c = (*queue_p)->lists[i].first, *next; c; c = next) {
            next = c->next;
            command_destroy(&c);
        }
    free(*queue_p);
    *queue_p = NULL;
}

size_t
queue_count(const struct queue *queue)
{
    return queue->lists[0].count + queue->lists[1].count;
}

void
queue_put(struct queue *queue, struct command **command_p)
{
    struct command *c = *command_p;
    struct list *list = &queue->lists[c->commit.urgency];
    *command_p = NULL;
    if (c->commit.repeated)
        for (struct command *other = list->first; other; other = other->next) {
            if (!command_is_same(other, c)) continue;
            other->reply = c->reply;
            command_destroy(&c);
            return;
        }
    c->next = NULL;
    *list->last = c;
    list->last = &c->next;
    list->count++;
}

/* --- what a command touches ------------------------------------------------------------------- */

/* False when it stood there already. Two things with one number only wait for each other. */
static bool
mark(struct queue *queue, uint64_t thing)
{
    assert(thing); /* zero: a free place */
    for (size_t i = thing >> 7;; i++) {
        uint64_t *place = &queue->touched[i & (TOUCHED_MAX - 1)];
        if (*place == thing) return false;
        if (*place) continue;
        *place = thing;
        queue->places[queue->touched_count++] = (uint32_t)(i & (TOUCHED_MAX - 1));
        return true;
    }
}

/* Of the batch that is being taken. */
static bool
touch(struct queue *queue, uint64_t thing)
{
    const int now = !queue->last;
    const bool free = mark(queue, thing);
    if (free) queue->taken[now].things[queue->taken[now].count++] = thing;
    return free;
}

/* Marks all that it touches; false when something was touched by an earlier one. */
static bool
touch_all(struct queue *queue, const struct command *c)
{
    size_t *const count = &queue->taken[!queue->last].count;
    const size_t before = *count;
    const struct text merchant = c->commit.merchant;
    bool free = touch(queue, fingerprint_of(COMMANDS, NO_TEXT, c->commit.id).a);
    if (c->commit.claim) free &= touch(queue, fingerprint_of(KEYS, merchant, c->commit.key).a);
    for (size_t i = 0; i < c->row_count; i++) {
        const struct command_row *row = &c->rows[i];
        free &= touch(queue, fingerprint_of(row->table->number, merchant, row_id(row->row)).a);
    }
    if (!free) *count = before; /* it stays */
    return free;
}

static size_t
take(struct queue *queue, struct command **batch, size_t max, bool beside)
{
    size_t count = 0, bytes = 0;
    for (int urgency = 1; urgency >= 0; urgency--) {
        struct list *list = &queue->lists[urgency];
        for (struct command **at = &list->first; *at && count < max;) {
            struct command *c = *at;
            const bool full = queue->touched_count + c->row_count + 2 > TOUCHED_MAX / 2;
            if ((count || beside) && (full || bytes + c->size > BATCH_BYTES_MAX)) return count;
            if (!touch_all(queue, c)) {
                at = &c->next;
                continue;
            }
            if (!(*at = c->next)) list->last = at;
            list->count--;
            c->next = NULL;
            bytes += c->size;
            batch[count++] = c;
        }
    }
    return count;
}

size_t
queue_take(struct queue *queue, struct command **batch, size_t max, bool beside)
{
    while (queue->touched_count)
        queue->touched[queue->places[--queue->touched_count]] = 0;
    for (size_t i = 0; beside && i < queue->taken[queue->last].count; i++)
        (void)mark(queue, queue->taken[queue->last].things[i]);
    queue->taken[!queue->last].count = 0;
    const size_t count = take(queue, batch, max, beside);
    if (count) queue->last = !queue->last;
    return count;
}

void
queue_last_is_over(struct queue *queue)
{
    queue->last = !queue->last;
}
