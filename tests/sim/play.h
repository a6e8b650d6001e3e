/* play: who acts in a run beside the actors: the broker and the vault (played, not real),
 * merchants' endpoints, clients with their stories, and whoever makes things go wrong. */
#pragma once

#include "text.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct process;

void play_begin(void);
/* Whether that process is there in this run. */
bool play_has(const struct process *p);
/* Things no longer go wrong, and nothing is under way any more, or it took too long. */
bool play_is_over(void);
/* Whether all of it was as it must be. */
void play_end(void);

/* What was done, for the report. */
struct play_counts {
    uint64_t requests, answers, payments;
};
extern struct play_counts play_counts;

/* One request of a client, with all its sendings, and what it was told. */
struct wish {
    struct text merchant, route, object, form, key;
    uint8_t request_hash[32];
    char path[160];
    int sendings, sendings_max;
    bool waits, over, gave_up;
    uint64_t ticket;
    int status;
    struct text body;  /* of the definite answer */
    int stored_status; /* the first that was said to be kept under the key */
    struct text stored_body;
    void (*then)(struct wish *wish); /* when it is definite */
    struct story *story;
    struct wish *next;
};
extern struct wish *play_wishes;

/* An event that an endpoint has taken. */
bool play_endpoint_took(struct text endpoint, struct text event);

/* invariants.c: what must hold when nothing is under way. */
void invariants_check(void);
/* The names of those that the audit has, too. */
void invariants_list(FILE *out);
