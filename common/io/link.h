/* link: one socket of a loop, and what is queued for each of its peers. For loop.c alone; what
 * actors see of it is in loop.h. */
#pragma once

#include "loop.h"

/* What one link may take in one turn, so that none holds up the others. */
enum { FRAMES_PER_TURN_MAX = 256 };

/* Dies with a sentence when it cannot bind. */
struct link *link_open(struct loop *loop, enum link_number number, int instance, bool binds,
                       packet_fn *on_packet, void *state);
/* What was sent has a moment yet to leave. */
void link_close(struct link **link_p);
/* Becomes readable when there may be something to take; stays so only until it is drained. */
int link_fd(const struct link *link);
/* The socket was used since it was last found empty: its descriptor may say nothing of what has
 * come, and the link must be drained before anybody waits for it. */
bool link_is_stirred(const struct link *link);
/* Takes what is there, up to the limit, and hands it over. Returns how many frames it was. */
unsigned link_drain(struct link *link);

/* Rises by one with each turn of the loop. */
uint64_t loop_turn(const struct loop *loop);
/* Answers a ping with how this process is. */
void loop_answer_ping(struct loop *loop, struct link *link, const struct packet *packet);
