/* queue: the commands that wait for their batch, those that finish something the network did first.
 *
 * A batch never holds two commands that touch the same row or the same key: the later one waits for
 * the next batch, and so does whoever touches what that one touches. Set-based statements need it,
 * and so the order of arrival holds wherever it can be seen. Nor do two batches that are written at
 * the same time: what is decided of the second is true whatever becomes of the first. */
#pragma once

#include "command.h"

struct queue;

struct queue *queue_new(void);
void queue_destroy(struct queue **queue_p); /* with all that waits */
size_t queue_count(const struct queue *queue);

/* Takes the command. One that waits already and is sent again is not queued twice: it is answered
 * to where the last sending came from. */
void queue_put(struct queue *queue, struct command **command_p);
/* The next batch, at most `max` commands, into `batch`. `beside`: the batch that was taken last is
 * still being written, and nothing that it touches is touched. */
size_t queue_take(struct queue *queue, struct command **batch, size_t max, bool beside);
/* The batch that was taken last, beside another, is over already: nothing of it is written, and the
 * other is the one that was taken last. */
void queue_last_is_over(struct queue *queue);
