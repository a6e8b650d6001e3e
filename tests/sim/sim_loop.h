/* sim_loop: turns and links of the simulated processes, behind loop.h. */
#pragma once

#include "world.h"

/* Who is not a process here, and is spoken to by a function: the broker and the vault. */
void broker_told(struct process *from, const struct packet *packet);
void vault_told(struct process *from, const struct packet *packet);

/* One turn: what has come, then on_turn, then what was said leaves. */
void loop_take_turn(struct process *p);
/* What was said before the first turn leaves. */
void loop_said(struct process *p);
/* A packet from whoever is not a process, to the link of that number. */
void post(struct process *to, enum link_number link, const struct envelope *envelope,
          enum message_number number, const void *body, bool safely);
/* Only this many of thousand packets get lost, doubled or late. */
