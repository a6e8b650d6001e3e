/* lookahead: whether the keys that commands claim are new, asked while the batch before is written.
 *
 * A command that claims a key is decided when its key's row is known, and a question between two
 * batches is a time in which nothing is written and everybody waits. So a connection of its own
 * asks for the keys of the commands that have come, and only then do these go to the queue.
 *
 * What is learned is one thing alone: this key was not there when so many batches were written.
 * books_key_is_new says whether that still holds. Whatever is found, or was not asked because this
 * connection is away, is looked up by the batch as ever; so it may fail at any time, and nobody but
 * the clock notices. */
#pragma once

#include "books.h"
#include "queue.h"

struct lookahead;

/* `home` stays the caller's. */
struct lookahead *lookahead_new(const char *home, int partition);
void lookahead_destroy(struct lookahead **lookahead_p); /* with all that waits */

/* Connects, if it is not connected and the last try is some seconds ago. Blocks for some
 * milliseconds. */
void lookahead_open(struct lookahead *lookahead, int64_t mono_ms);
/* Gives the queue what waits, and closes the connection. */
void lookahead_close(struct lookahead *lookahead, struct queue *queue);

/* Takes the command if its key is to be asked for and can be; else it stays the caller's. */
bool lookahead_put(struct lookahead *lookahead, struct command **command_p);
size_t lookahead_count(const struct lookahead *lookahead);
/* The command waits here: answer it to where this sending came from. */
bool lookahead_redirect(struct lookahead *lookahead, const struct command *again);

/* Reads what was answered and gives it to the queue; asks for what has come meanwhile. */
void lookahead_step(struct lookahead *lookahead, const struct books *books, struct queue *queue,
                    int64_t mono_ms);
/* What to wait for before the next step: -1 when there is no connection. */
int lookahead_fd(const struct lookahead *lookahead);
short lookahead_poll_events(const struct lookahead *lookahead);
