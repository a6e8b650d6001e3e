/* node: who this process is among the others: its name, its role, its CURVE keys, its ZAP handler.
 *
 * Keys are files under HOME/keys: `NAME.key` (0600: public and secret key in Z85, a line each) and
 * `public/NAME.pub`, the list of those who are let in. The handler is bound before any other
 * socket, and libzmq is told to refuse whoever it cannot ask about (option 93,
 * ZMQ_ZAP_ENFORCE_DOMAIN): CURVE without a bound handler would accept every key (RELIABILITY, fact
 * 6). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define NODE_NAME_MAX 31

struct node;

enum link_number {
#define LINK(name, binder, bound_as, connected_as, may_connect, doc) LINK_##name,
#include "links.def"
#undef LINK
    LINK_COUNT
};

/* Dies with a sentence when the keys are missing, readable by others, all zero, or the published
 * test keys. `name` is ROLE-INSTANCE. Sets up log, random and the zmq context too. */
struct node *node_start(const char *home, const char *name);
void node_stop(struct node **node_p);

const char *node_home(const struct node *node);
const char *node_name(const struct node *node);
const char *node_role(const struct node *node);
int node_instance(const struct node *node);
void *node_context(const struct node *node);             /* the zmq context */
const uint8_t *node_secret_key(const struct node *node); /* 32 bytes, for crypto_box_seal_open */
/* Public CURVE key of another process, 32 bytes; false when it has no file. */
bool node_public_key(const struct node *node, const char *name, uint8_t key[static 32]);
/* Takes a lock file for as long as the node runs, so that of two processes that would listen at one
 * place the second is told. False with errno: EWOULDBLOCK when another process has it. */
bool node_lock(struct node *node, const char *path);

/* Key files for one process, if they are not there yet. */
void node_make_keys(const char *home, const char *name);
/* HOME/run, or a short folder under /tmp when that is too long for a socket's path; made if need
 * be, 0700. The same answer for the same home. */
void run_folder(const char *home, char *out, unsigned long cap);
/* Endpoint of a link that `instance` of its binder binds: ipc://…/run/LINK-INSTANCE. */
void link_endpoint(const char *home, enum link_number link, int instance, char *out,
                   unsigned long cap);
const char *link_name(enum link_number link);
