#include "link.h"

#include "clock.h"
#include "id.h"
#include "keys.h"
#include "log.h"
#include "random.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#define OPTION_ZAP_ENFORCE_DOMAIN 93 /* zmq.h hides it among its drafts; the library has it */

enum {
    FRAME_BYTES_FULL = 1 << 20,   /* a frame this long leaves before more is put into it */
    FRAME_BYTES_MAX = 20 << 20,   /* libzmq closes the connection of whoever sends a longer one */
    SUBSCRIPTION_BYTES_MAX = 512, /* an XPUB takes nothing else, but for the handshake */
    SUBSCRIPTIONS_QUEUED_MAX = 16,
    FRAMES_QUEUED_MAX = 16384, /* in each direction, per peer */
    HANDSHAKE_MS_MAX = 2000,
    RECONNECT_MS_FIRST = 10,
    RECONNECT_MS_MAX = 200,
    BACKLOG = 1024,
    LINGER_MS = 500,
    TCP_HEARTBEAT_MS = 1000,
    TCP_SILENCE_MS_MAX = 3000,
    GRUMBLE_MS = 1000,
    OUTBOXES_MAX = 256, /* peers that are answered in one frame each, per turn */
    OUTBOX_SLOTS = 512,
    OUTBOX_BYTES_FIRST = 4096,
    OUTBOX_BYTES_KEPT = 256 << 10,
    FRAME_BYTES_COPIED = 16384, /* a frame that is shorter is copied, and its memory stays here */
    ROUTING_ID_BYTES = 5,       /* a zero and four bytes: as libzmq makes them itself */
};

static_assert(FRAME_BYTES_FULL + MESSAGE_BYTES_MAX + PACKET_HEADER_BYTES < FRAME_BYTES_MAX,
              "a full frame fits the wire, whatever its last packet is");
static_assert((OUTBOX_SLOTS & (OUTBOX_SLOTS - 1)) == 0 && OUTBOX_SLOTS >= 2 * OUTBOXES_MAX,
              "looking for an outbox ends soon");

/* What goes to one peer in one frame. */
struct outbox {
    struct peer to;
    uint8_t *bytes;
    size_t size, cap;
    size_t cap_first; /* of the next memory: what the last frame needed */
    uint32_t packets;
};

/* Says something once in a while, and how often it was not said. */
struct grumble {
    int64_t said_ms;
    uint64_t unsaid;
};

struct link {
    struct loop *loop;
    enum link_number number;
    int instance;
    bool binds;
    int type; /* ZMQ_ROUTER, … */
    void *socket;
    int fd;
    packet_fn *on_packet;
    void *state;
    char binder[NODE_NAME_MAX + 1]; /* the process at the bound end */

    struct outbox outboxes[OUTBOXES_MAX];
    size_t outbox_count;          /* of this turn; the others only keep their memory */
    uint16_t slots[OUTBOX_SLOTS]; /* routing id → index of its outbox + 1 */
    bool stirred;                 /* see link.h */
    uint64_t looked_turn;         /* a DEALER: when we last asked whether it has a peer */
    bool writable;
    bool deaf; /* a SUB that does not listen */
    uint64_t dropped, refused;
    struct grumble drops, refusals;
};

struct link_row {
    const char *name, *binder;
    int bound_as, connected_as;
};

static const struct link_row rows[LINK_COUNT] = {
#define LINK(name, binder, bound_as, connected_as, roles, doc) \
    [LINK_##name] = {#name, #binder, ZMQ_##bound_as, ZMQ_##connected_as},
#include "links.def"
#undef LINK
};

enum link_number
link_of(const struct link *link)
{
    return link->number;
}

int
link_instance(const struct link *link)
{
    return link->instance;
}

int
link_fd(const struct link *link)
{
    return link->fd;
}

bool
link_is_stirred(const struct link *link)
{
    return link->stirred;
}

uint64_t
link_dropped(const struct link *link)
{
    return link->dropped;
}

uint64_t
link_refused(const struct link *link)
{
    return link->refused;
}

/* Begins at chance: a `refused` that reaches somebody who never asked must not bear the number of
 * something that he did ask. */
uint64_t
link_next_correlation(void)
{
    static _Atomic uint64_t next;
    uint64_t none = 0, first;
    if (atomic_load(&next) == 0) {
        random_bytes(&first, sizeof first);
        atomic_compare_exchange_strong(&next, &none, (first >> 2) + 1);
    }
    return atomic_fetch_add(&next, 1);
}

/* True when it may be said now; `*unsaid` is then how often it was not. */
static bool
may_grumble(struct grumble *grumble, uint64_t *unsaid)
{
    const int64_t now_ms = clock_mono_ms();
    if (grumble->said_ms && now_ms - grumble->said_ms < GRUMBLE_MS) {
        grumble->unsaid++;
        return false;
    }
    *unsaid = grumble->unsaid;
    *grumble = (struct grumble){now_ms, 0};
    return true;
}

/* --- opening ------------------------------------------------------------------------------------
 */

static void
set(struct link *link, int option, const void *value, size_t size)
{
    if (zmq_setsockopt(link->socket, option, value, size) != 0)
        die("libzmq refuses option %d on the link %s: %s.", option, rows[link->number].name,
            zmq_strerror(errno));
}

static void
set_number(struct link *link, int option, int value)
{
    set(link, option, &value, sizeof value);
}

static void
set_options(struct link *link, const char *endpoint)
{
    const int64_t frame_max = link->type == ZMQ_XPUB ? SUBSCRIPTION_BYTES_MAX : FRAME_BYTES_MAX;
    set_number(link, ZMQ_LINGER, 0);
    set_number(link, ZMQ_SNDHWM, FRAMES_QUEUED_MAX);
    set_number(link, ZMQ_RCVHWM,
               link->type == ZMQ_XPUB ? SUBSCRIPTIONS_QUEUED_MAX : FRAMES_QUEUED_MAX);
    set_number(link, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS_MAX);
    set(link, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max);
    if (link->type == ZMQ_ROUTER) {
        set_number(link, ZMQ_ROUTER_MANDATORY, 1); /* tells when a peer is gone or full */
        set_number(link, ZMQ_ROUTER_HANDOVER, 0);  /* nobody takes over another's routing id */
    }
    if (link->type == ZMQ_SUB) set(link, ZMQ_SUBSCRIBE, "", 0);
    if (link->binds) {
        set_number(link, ZMQ_BACKLOG, BACKLOG);
    } else {
        set_number(link, ZMQ_IMMEDIATE, 1);
        set_number(link, ZMQ_RECONNECT_IVL, RECONNECT_MS_FIRST);
        set_number(link, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MS_MAX);
    }
    if (strncmp(endpoint, "tcp:", 4) == 0) { /* a host can go away without a word; a path cannot */
        set_number(link, ZMQ_HEARTBEAT_IVL, TCP_HEARTBEAT_MS);
        set_number(link, ZMQ_HEARTBEAT_TIMEOUT, TCP_SILENCE_MS_MAX);
    }
}

static void
set_keys(struct link *link)
{
    const struct node *node = loop_node(link->loop);
    uint8_t key[KEY_BYTES];
    set(link, ZMQ_CURVE_SECRETKEY, node_secret_key(node), KEY_BYTES);
    if (link->binds) {
        const char *domain = rows[link->number].name;
        set_number(link, ZMQ_CURVE_SERVER, 1);
        set(link, ZMQ_ZAP_DOMAIN, domain, strlen(domain));
        set_number(link, OPTION_ZAP_ENFORCE_DOMAIN, 1);
        return;
    }
    if (!node_public_key(node, node_name(node), key)) die("%s has no key.", node_name(node));
    set(link, ZMQ_CURVE_PUBLICKEY, key, KEY_BYTES);
    if (!node_public_key(node, link->binder, key))
        die("The public key of %s is missing or not to be trusted: %s/keys/public/%s.pub.",
            link->binder, node_home(node), link->binder);
    set(link, ZMQ_CURVE_SERVERKEY, key, KEY_BYTES);
}

/* Whether somebody answers at this path: a file alone may be left over from a process that died. */
static bool
is_listened_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return false;
    strcpy(address.sun_path, path);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    const bool listened =
        connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN;
    close(fd);
    return listened;
}

/* libzmq would take the path away from a process that listens there, and remove the file when an
 * old one closes late; so whoever binds holds a lock for as long as its context lives. */
static void
take_place(struct link *link, const char *path)
{
    char lock[PATH_MAX + 8];
    snprintf(lock, sizeof lock, "%s.lock", path);
    const bool locked = node_lock(loop_node(link->loop), lock);
    if (!locked && errno != EWOULDBLOCK)
        die("The file %s cannot be made: %s.", lock, strerror(errno));
    if (!locked || is_listened_to(path))
        die("Another process listens at %s: is %s running already?", path, link->binder);
}

#ifdef FLORIN_FAILPOINTS
/* A test may stand between us and whoever we connect to, to cut and to delay (tools/chaos). */
static void
take_detour(const struct link *link, char endpoint[static PATH_MAX])
{
    const char *const folder = getenv("FLORIN_DETOUR");
    if (folder)
        snprintf(endpoint, PATH_MAX, "ipc://%s/%s-%d", folder, rows[link->number].name,
                 link->instance);
}
#endif

struct link *
link_open(struct loop *loop, enum link_number number, int instance, bool binds,
          packet_fn *on_packet, void *state)
{
    char endpoint[PATH_MAX];
    struct node *node = loop_node(loop);
    struct link *link = calloc(1, sizeof *link);
    assert(link);
    assert(number < LINK_COUNT);
    const struct link_row *row = &rows[number];
    *link = (struct link){.loop = loop,
                          .number = number,
                          .instance = instance,
                          .binds = binds,
                          .type = binds ? row->bound_as : row->connected_as,
                          .on_packet = on_packet,
                          .state = state,
                          .stirred = true};
    snprintf(link->binder, sizeof link->binder, "%s-%d", row->binder, instance);
    link_endpoint(node_home(node), number, instance, endpoint, sizeof endpoint);
#ifdef FLORIN_FAILPOINTS
    if (!binds) take_detour(link, endpoint);
#endif
    link->socket = zmq_socket(node_context(node), link->type);
    if (!link->socket) die("libzmq gives no socket: %s.", zmq_strerror(errno));
    set_options(link, endpoint);
    set_keys(link);

    if (binds && strncmp(endpoint, "ipc://", 6) == 0) take_place(link, endpoint + 6);
    const int failed =
        binds ? zmq_bind(link->socket, endpoint) : zmq_connect(link->socket, endpoint);
    if (failed) die("%s cannot be used: %s.", endpoint, zmq_strerror(errno));
    size_t size = sizeof link->fd;
    if (zmq_getsockopt(link->socket, ZMQ_FD, &link->fd, &size) != 0)
        die("libzmq tells no descriptor: %s.", zmq_strerror(errno));
    return link;
}

void
link_close(struct link **link_p)
{
    struct link *link = *link_p;
    if (!link) return;
    link_flush(link);
    set_number(link, ZMQ_LINGER, LINGER_MS);
    zmq_close(link->socket);
    for (size_t i = 0; i < OUTBOXES_MAX; i++)
        free(link->outboxes[i].bytes);
    free(link);
    *link_p = NULL;
}

/* --- sending ------------------------------------------------------------------------------------
 */

static uint8_t *
put_big_endian(uint8_t *at, uint64_t value, size_t bytes)
{
    for (size_t i = bytes; i-- > 0; value >>= 8)
        at[i] = (uint8_t)value;
    return at + bytes;
}

/* The header, its size still to be filled in. */
static uint8_t *
put_header(uint8_t *at, const struct envelope *envelope, uint16_t number)
{
    at = put_big_endian(at, 0, 4);
    at = put_big_endian(at, PACKET_VERSION, 1);
    at = put_big_endian(at, 0, 1);
    at = put_big_endian(at, number, 2);
    at = put_big_endian(at, envelope->slot, 2);
    at = put_big_endian(at, 0, 2);
    at = put_big_endian(at, envelope->correlation, 8);
    return put_big_endian(at, (uint64_t)envelope->deadline_ms, 8);
}

static bool
send_id(struct link *link, const struct peer *to)
{
    int sent;
    do
        sent = zmq_send(link->socket, to->id, to->size, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent >= 0; /* else EHOSTUNREACH: gone, or EAGAIN: full */
}

/* In a thread of libzmq's, when the frame has left. */
static void
free_frame(void *bytes, void *hint)
{
    (void)hint;
    free(bytes);
}

/* A long frame that fills its memory goes with it, uncopied: commits leave a hundred kilobytes at a
 * time. */
static void
fill_frame(zmq_msg_t *frame, struct outbox *outbox)
{
    const bool fills = outbox->size > FRAME_BYTES_COPIED && outbox->size > outbox->cap / 2;
    if (fills && zmq_msg_init_data(frame, outbox->bytes, outbox->size, free_frame, NULL) == 0) {
        outbox->cap_first = outbox->cap;
        outbox->bytes = NULL;
        outbox->cap = 0;
    } else if (zmq_msg_init_size(frame, outbox->size) == 0) {
        memcpy(zmq_msg_data(frame), outbox->bytes, outbox->size);
    } else {
        zmq_msg_init(frame); /* an empty one, so that the peer's id does not stand alone */
    }
}

static bool
send_frame(struct link *link, struct outbox *outbox)
{
    zmq_msg_t frame;
    int sent;
    link->stirred = true;
    if (link->type == ZMQ_ROUTER && !send_id(link, &outbox->to)) return false;
    fill_frame(&frame, outbox);
    do
        sent = zmq_msg_send(&frame, link->socket, ZMQ_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0) return true;
    zmq_msg_close(&frame);
    return false;
}

static void
outbox_send(struct link *link, struct outbox *outbox)
{
    uint64_t unsaid;
    if (outbox->packets == 0) return;
    if (!send_frame(link, outbox)) {
        const int error = errno;
        link->dropped += outbox->packets;
        link->writable = false;
        if (may_grumble(&link->drops, &unsaid))
            log_event(LOG_WARNING, "packets.dropped",
                      "link=%s packets=%u reason=%s dropped_so_far=%llu", rows[link->number].name,
                      outbox->packets, zmq_strerror(error), (unsigned long long)link->dropped);
    }
    outbox->size = 0;
    outbox->packets = 0;
    if (outbox->cap > OUTBOX_BYTES_KEPT) {
        free(outbox->bytes);
        outbox->bytes = NULL;
        outbox->cap = 0;
        outbox->cap_first = 0;
    }
}

void
link_flush(struct link *link)
{
    for (size_t i = 0; i < link->outbox_count; i++)
        outbox_send(link, &link->outboxes[i]);
    if (link->outbox_count) memset(link->slots, 0, sizeof link->slots);
    link->outbox_count = 0;
}

static size_t
slot_of_peer(const struct peer *peer)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < peer->size; i++)
        hash = (hash ^ peer->id[i]) * 16777619u;
    return hash & (OUTBOX_SLOTS - 1);
}

static struct outbox *
outbox_of(struct link *link, const struct peer *to)
{
    static const struct peer nobody;
    if (link->type == ZMQ_ROUTER)
        assert(to && to->size > 0);
    else
        to = &nobody;
    size_t slot = slot_of_peer(to);
    for (; link->slots[slot]; slot = (slot + 1) & (OUTBOX_SLOTS - 1)) {
        struct outbox *outbox = &link->outboxes[link->slots[slot] - 1];
        if (outbox->to.size == to->size && memcmp(outbox->to.id, to->id, to->size) == 0)
            return outbox;
    }
    if (link->outbox_count == OUTBOXES_MAX) {
        link_flush(link);
        slot = slot_of_peer(to);
    }
    struct outbox *outbox = &link->outboxes[link->outbox_count++];
    link->slots[slot] = (uint16_t)link->outbox_count;
    outbox->to = *to;
    return outbox;
}

/* Room for one more packet of at most `body_max` bytes. */
static uint8_t *
outbox_reserve(struct link *link, struct outbox *outbox, size_t body_max)
{
    const size_t need = PACKET_HEADER_BYTES + body_max;
    if (outbox->size && outbox->size + need > FRAME_BYTES_FULL) outbox_send(link, outbox);
    if (outbox->cap - outbox->size < need) {
        size_t cap = outbox->cap         ? outbox->cap
                     : outbox->cap_first ? outbox->cap_first
                                         : OUTBOX_BYTES_FIRST;
        while (cap < outbox->size + need)
            cap *= 2;
        outbox->bytes = realloc(outbox->bytes, cap);
        assert(outbox->bytes); /* memory is over: the process ends, the supervisor starts another */
        outbox->cap = cap;
    }
    return outbox->bytes + outbox->size;
}

static void
outbox_add(struct outbox *outbox, size_t body_size)
{
    uint8_t *const packet = outbox->bytes + outbox->size;
    const size_t size = PACKET_HEADER_BYTES + body_size;
    put_big_endian(packet, size - 4, 4);
    outbox->size += size;
    outbox->packets++;
}

/* A DEALER without a peer that is there, or whose pipe is full, takes nothing. Asked once a turn.
 * What a ROUTER's peer takes is known only when the frame leaves. */
static bool
takes_more(struct link *link)
{
    assert(link->type != ZMQ_SUB);
    if (link->type != ZMQ_DEALER) return true;
    const uint64_t turn = loop_turn(link->loop);
    if (link->looked_turn != turn || !link->writable) {
        int events = 0;
        size_t size = sizeof events;
        link->stirred = true;
        while (zmq_getsockopt(link->socket, ZMQ_EVENTS, &events, &size) != 0)
            assert(errno == EINTR);
        link->writable = events & ZMQ_POLLOUT;
        link->looked_turn = turn;
    }
    if (!link->writable) link->dropped++;
    return link->writable;
}

bool
link_send(struct link *link, struct envelope envelope, enum message_number number, const void *body)
{
    const size_t body_max = message_size_bound(number, body);
    size_t body_size;
    if (body_max > MESSAGE_BYTES_MAX || !takes_more(link)) return false;
    struct outbox *outbox = outbox_of(link, envelope.to);
    uint8_t *packet = outbox_reserve(link, outbox, body_max);
    uint8_t *at = put_header(packet, &envelope, (uint16_t)number);
    const enum message_verdict verdict = message_encode(number, body, at, body_max, &body_size);
    if (verdict != MESSAGE_OK) {
        log_event(LOG_ERROR, "packet.unsendable", "message=%s reason=%s",
                  message_find((uint16_t)number)->name, message_verdict_name(verdict));
        return false;
    }
    outbox_add(outbox, body_size);
    return true;
}

bool
link_forward(struct link *link, struct envelope envelope, uint16_t number, const uint8_t *body,
             size_t size)
{
    if (size > MESSAGE_BYTES_MAX || !takes_more(link)) return false;
    struct outbox *outbox = outbox_of(link, envelope.to);
    uint8_t *packet = outbox_reserve(link, outbox, size);
    uint8_t *at = put_header(packet, &envelope, number);
    if (size) memcpy(at, body, size);
    outbox_add(outbox, size);
    return true;
}

/* --- taking -------------------------------------------------------------------------------------
 */

/* Counted, logged once in a while, and answered when somebody waits for an answer: but a refusal is
 * never refused, or two processes could go on for ever. */
static void
refuse(struct link *link, const struct packet *packet, const char *code, const char *reason)
{
    const struct message *m = message_find(packet->number);
    uint64_t unsaid;
    link->refused++;
    if (may_grumble(&link->refusals, &unsaid))
        log_event(LOG_WARNING, "packet.refused",
                  "link=%s from=%s message=%s number=%u code=%s reason=%s unsaid=%llu",
                  rows[link->number].name, packet->sender, m ? m->name : "unknown",
                  (unsigned)packet->number, code, reason, (unsigned long long)unsaid);
    if (packet->correlation == 0 || packet->number == MSG_refused || link->type == ZMQ_SUB) return;
    const struct msg_refused answer = {.has = HAS_refused_code | HAS_refused_reason,
                                       .code = text_of(code),
                                       .reason = text_of(reason)};
    const struct envelope envelope = {
        .to = &packet->peer, .slot = packet->slot, .correlation = packet->correlation};
    (void)link_send(link, envelope, MSG_refused, &answer);
}

bool
packet_decode(struct link *from, const struct packet *packet, enum message_number number,
              void *body)
{
    const char *culprit;
    char reason[128];
    const enum message_verdict verdict =
        message_decode(number, packet->body, packet->size, body, &culprit);
    if (verdict == MESSAGE_OK) return true;
    snprintf(reason, sizeof reason, "%s is %s", culprit ? culprit : "the body",
             message_verdict_name(verdict));
    refuse(from, packet, "malformed", reason);
    return false;
}

static uint64_t
big_endian(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

/* Whether the frame is nothing but whole packets. Looked at before the first one is handled. */
static bool
is_framed(const uint8_t *at, size_t size)
{
    if (size == 0) return false;
    while (size) {
        if (size < PACKET_HEADER_BYTES) return false;
        const uint64_t packet = big_endian(at, 4) + 4;
        if (packet < PACKET_HEADER_BYTES || packet > size) return false;
        at += packet;
        size -= packet;
    }
    return true;
}

/* Fills everything but who sent it; NULL, or what is wrong with it. */
static const char *
read_header(const uint8_t *at, size_t size, struct packet *packet)
{
    if (at[4] != PACKET_VERSION) return "another version of the protocol";
    packet->number = (uint16_t)big_endian(at + 6, 2);
    packet->slot = (uint16_t)big_endian(at + 8, 2);
    packet->correlation = big_endian(at + 12, 8);
    const uint64_t deadline_ms = big_endian(at + 20, 8);
    packet->deadline_ms = deadline_ms <= TIME_MAX ? (int64_t)deadline_ms : 0;
    packet->body = at + PACKET_HEADER_BYTES;
    packet->size = size - PACKET_HEADER_BYTES;
    if (at[5] || at[10] || at[11]) return "a flag that is not known";
    if (packet->slot >= SLOT_COUNT) return "there is no such slot";
    if (deadline_ms > TIME_MAX) return "the deadline is out of range";
    if (packet->size > MESSAGE_BYTES_MAX) return "the body is too long";
    return NULL;
}

static void
take_packet(struct link *link, const uint8_t *at, size_t size, struct packet packet)
{
    const char *wrong = read_header(at, size, &packet);
    const struct message *m = message_find(packet.number);
    if (wrong) {
        refuse(link, &packet, "malformed", wrong);
    } else if (!m) {
        refuse(link, &packet, "malformed", "no message has this number");
    } else if (!roles_include(m->from, packet.role)) {
        refuse(link, &packet, "forbidden", "the sender's role may not send this");
    } else if (!roles_include(m->to, node_role(loop_node(link->loop)))) {
        refuse(link, &packet, "forbidden", "this role does not take it");
    } else if (packet.number == MSG_ping) {
        if (link->type != ZMQ_SUB) loop_answer_ping(link->loop, link, &packet);
    } else if (link->on_packet) {
        link->on_packet(link->state, link, &packet);
    }
}

/* The name of the process at the other end: on the bound side what the ZAP handler found, on the
 * connected side whose key we asked for. */
static bool
name_sender(const struct link *link, zmq_msg_t *frame, struct packet *packet,
            char role[NODE_NAME_MAX + 1])
{
    int instance;
    packet->sender = link->binds ? zmq_msg_gets(frame, "User-Id") : link->binder;
    packet->role = role;
    return packet->sender && name_split(packet->sender, role, &instance);
}

static void
take_frame(struct link *link, zmq_msg_t *frame, const struct peer *peer)
{
    char role[NODE_NAME_MAX + 1] = "";
    struct packet packet = {.peer = *peer, .role = role};
    const uint8_t *at = zmq_msg_data(frame);
    size_t size = zmq_msg_size(frame);
    if (!name_sender(link, frame, &packet, role)) {
        packet.sender = "nobody";
        refuse(link, &packet, "forbidden", "the sender has no name");
        return;
    }
    if (!is_framed(at, size)) {
        refuse(link, &packet, "malformed", "the frame is not made of packets");
        return;
    }
    while (size) {
        const size_t packet_size = (size_t)big_endian(at, 4) + 4;
        take_packet(link, at, packet_size, packet);
        at += packet_size;
        size -= packet_size;
    }
}

static bool
receive(struct link *link, zmq_msg_t *frame)
{
    int size;
    do
        size = zmq_msg_recv(frame, link->socket, ZMQ_DONTWAIT);
    while (size < 0 && errno == EINTR);
    return size >= 0;
}

/* One message of the socket: the peer's id on a ROUTER, then exactly one frame. False when there is
 * none. */
static bool
take_message(struct link *link)
{
    struct peer peer = {0};
    bool good = true;
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    if (!receive(link, &frame)) {
        zmq_msg_close(&frame);
        return false;
    }
    if (link->type == ZMQ_ROUTER) {
        /* a routing id that was chosen by the peer could be somebody else's (F43) */
        good = zmq_msg_size(&frame) == ROUTING_ID_BYTES && zmq_msg_more(&frame);
        peer.size = ROUTING_ID_BYTES;
        if (good) memcpy(peer.id, zmq_msg_data(&frame), ROUTING_ID_BYTES);
        if (zmq_msg_more(&frame) && !receive(link, &frame)) good = false;
    }
    if (zmq_msg_more(&frame)) good = false;
    while (zmq_msg_more(&frame) && receive(link, &frame))
        continue;
    if (good) {
        take_frame(link, &frame, &peer);
    } else {
        const struct packet nothing = {.sender = "unknown", .role = ""};
        refuse(link, &nothing, "malformed", "not one frame");
    }
    zmq_msg_close(&frame);
    return true;
}

/* Ends the connection that the frame came from. By now its descriptor may be another's, but only
 * one that came to the same socket is touched: whoever it is connects again. */
static void
hang_up(const struct link *link, zmq_msg_t *frame)
{
    char endpoint[PATH_MAX];
    struct sockaddr_un address = {.sun_family = AF_UNSPEC};
    socklen_t size = sizeof address - 1; /* a zero is behind it, whatever it is */
    const int fd = zmq_msg_get(frame, ZMQ_SRCFD);
    link_endpoint(node_home(loop_node(link->loop)), link->number, link->instance, endpoint,
                  sizeof endpoint);
    if (fd < 0 || getsockname(fd, (struct sockaddr *)&address, &size) != 0) return;
    if (address.sun_family == AF_UNIX && strncmp(endpoint, "ipc://", 6) == 0 &&
        strcmp(address.sun_path, endpoint + 6) == 0)
        (void)shutdown(fd, SHUT_RDWR);
}

/* Subscriptions, of everything and by nobody else: libzmq keeps each topic in a tree of its bytes,
 * without a limit, and takes it apart at our expense when the peer leaves. */
static bool
take_subscription(struct link *link)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    const bool received = receive(link, &frame);
    const uint8_t *at = zmq_msg_data(&frame);
    const size_t size = zmq_msg_size(&frame);
    if (received && !(size >= 1 && at[0] == 0) && !(size == 1 && at[0] == 1)) {
        const char *sender = zmq_msg_gets(&frame, "User-Id");
        const struct packet nothing = {.sender = sender ? sender : "nobody", .role = ""};
        refuse(link, &nothing, "forbidden", "only all is subscribed to here");
        hang_up(link, &frame);
    }
    zmq_msg_close(&frame);
    return received;
}

void
link_listen(struct link *link, bool listen)
{
    assert(link->type == ZMQ_SUB);
    if (listen != link->deaf) return;
    set(link, listen ? ZMQ_SUBSCRIBE : ZMQ_UNSUBSCRIBE, "", 0);
    link->deaf = !listen;
}

unsigned
link_drain(struct link *link)
{
    unsigned frames = 0;
    bool (*take)(struct link *) = link->type == ZMQ_XPUB ? take_subscription : take_message;
    link->stirred = true;
    while (frames < FRAMES_PER_TURN_MAX && (link->stirred = take(link)))
        frames++;
    return frames;
}
