/* loop: the turn that every actor takes (STYLE, An actor's turn), and the sockets it takes it on.
 *
 * One zmq frame carries one or more packets; what an actor sends to one peer in one turn leaves in
 * one frame, so that the cost of CURVE and of wake-ups is shared. A packet is
 *
 *     u32 size of what follows  u8 version  u8 flags  u16 message number  u16 slot  u16 reserved
 *     u64 correlation           u64 deadline (Unix ms, 0: none)           body (MessagePack)
 *
 * big-endian. What is malformed, of another version, of a message that the sender's role may not
 * send (messages.def) or that we do not take is counted, logged once in a while and dropped (or
 * answered with `refused`, when it bears a correlation). `ping` is answered here for everybody. */
#pragma once

#include "message.h"
#include "node.h"
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#define PACKET_HEADER_BYTES 28
#define PACKET_VERSION 1

struct loop;
struct link;

/* Whom to answer on a ROUTER: its routing id. Kept by value; empty on other sockets. */
struct peer {
    uint8_t size;
    uint8_t id[15];
};

struct packet {
    const char *sender; /* ZAP User-Id: the name of the process, as in `payments-1` */
    const char *role;   /* its role */
    struct peer peer;
    uint16_t number;
    uint16_t slot;
    uint64_t correlation;
    int64_t deadline_ms; /* Unix ms; 0: none */
    const uint8_t *body;
    size_t size;
};

/* What a sender says of a packet. */
struct envelope {
    const struct peer *to; /* NULL on DEALER and XPUB */
    uint16_t slot;
    uint64_t correlation;
    int64_t deadline_ms;
};

typedef void packet_fn(void *state, struct link *from, const struct packet *packet);
/* Called once a turn, busy or idle, after what was there has been handled. Returns in how many
 * milliseconds it wants to be called again at the latest. */
typedef int64_t turn_fn(void *state, int64_t mono_ms);
typedef void fd_fn(void *state, int fd, short events);

struct loop *loop_new(struct node *node);
void loop_destroy(struct loop **loop_p);
struct node *loop_node(struct loop *loop);

/* Binds or connects one link. `instance` is the binder's. A process binds under its own name; dies
 * with a sentence when it cannot. Connecting never fails: libzmq tries again in the background
 * (ZMQ_IMMEDIATE: nothing is queued for a peer that is not there). */
struct link *loop_bind(struct loop *loop, enum link_number link, packet_fn *on_packet, void *state);
struct link *loop_connect(struct loop *loop, enum link_number link, int instance,
                          packet_fn *on_packet, void *state);
enum link_number link_of(const struct link *link);
int link_instance(const struct link *link);

/* Other descriptors: Postgres, an eventfd. Events as in poll(2); may be changed or removed from
 * inside any callback. */
void loop_watch(struct loop *loop, int fd, short events, fd_fn *on_ready, void *state);
void loop_unwatch(struct loop *loop, int fd);

void loop_on_turn(struct loop *loop, turn_fn *on_turn, void *state);
/* What `pong` says; `state` one of the words in messages.def. */
void loop_set_state(struct loop *loop, const char *state, const char *detail);

/* Runs until SIGTERM or SIGINT, or loop_stop. After a signal `on_turn` goes on being called until
 * it calls loop_stop or 25 s pass, so that what is in flight can end; loop_stopping tells it. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
bool loop_stopping(const struct loop *loop);
/* One turn by hand, waiting at most `wait_ms`: for tests and for tools. */
void loop_once(struct loop *loop, int64_t wait_ms);

/* Encodes and queues a packet; it leaves at the end of the turn. False when the body is refused by
 * its own table (a bug of ours or a text too long: logged), or the peer's pipe is full or gone. */
bool link_send(struct link *link, struct envelope envelope, enum message_number number,
               const void *body);
/* Likewise, for a body that is packed already: what a broker does. */
bool link_forward(struct link *link, struct envelope envelope, uint16_t number, const uint8_t *body,
                  size_t size);
/* Sends what is queued now instead of at the end of the turn. */
void link_flush(struct link *link);
/* Whether a SUB hears what is published; at first it does. What is published while it does not, or
 * before the other end has heard that it does again, is not kept for it. */
void link_listen(struct link *link, bool listen);
/* How many packets could not be delivered because their peer is gone or full. */
uint64_t link_dropped(const struct link *link);
/* How many frames and packets were refused at receipt: malformed, or not for this sender or us. */
uint64_t link_refused(const struct link *link);
/* A number for the next request of this process: never 0, never the same twice. */
uint64_t link_next_correlation(void);

/* Decodes the packet's body; on failure logs, answers `refused` if it bears a correlation, and
 * returns false. */
bool packet_decode(struct link *from, const struct packet *packet, enum message_number number,
                   void *body);
