#include "loop.h"

#include "clock.h"
#include "home_for_tests.h"
#include "keys.h"
#include "log.h"
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

enum { PATIENCE_MS = 20000, PACKETS_KEPT = 4096 };

/* One process of a test: a node, its loop, one link, and what has come over it. */
struct side {
    struct node *node;
    struct loop *loop;
    struct link *link;
    uint32_t count; /* of packets */
    struct packet last;
    char sender[NODE_NAME_MAX + 1], role[NODE_NAME_MAX + 1], code[32];
    uint64_t correlations[PACKETS_KEPT];
    uint64_t turns; /* in which packets came */
};

static void
on_packet(void *state, struct link *from, const struct packet *packet)
{
    struct side *side = state;
    side->correlations[side->count++ % PACKETS_KEPT] = packet->correlation;
    side->last = *packet;
    snprintf(side->sender, sizeof side->sender, "%s", packet->sender);
    snprintf(side->role, sizeof side->role, "%s", packet->role);
    if (packet->number == MSG_refused) {
        struct msg_refused refused;
        cr_assert(packet_decode(from, packet, MSG_refused, &refused));
        snprintf(side->code, sizeof side->code, "%.*s", (int)refused.code.size, refused.code.at);
    }
}

static void
start(struct side *side, const char *name)
{
    *side = (struct side){.node = node_start(home, name)};
    side->loop = loop_new(side->node);
}

static void
start_bound(struct side *side, const char *name, enum link_number link)
{
    start(side, name);
    side->link = loop_bind(side->loop, link, on_packet, side);
}

static void
start_connected(struct side *side, const char *name, enum link_number link)
{
    start(side, name);
    side->link = loop_connect(side->loop, link, 1, on_packet, side);
}

static void
stop(struct side *side)
{
    loop_destroy(&side->loop);
    node_stop(&side->node);
}

static void
stop_two_at_once(struct side *a, struct side *b)
{
    stop(a);
    stop(b);
}

/* Turns both until `until` is true. */
#define TURN_UNTIL(a, b, until)                                                    \
    do {                                                                           \
        const int64_t end_ms = clock_mono_ms() + PATIENCE_MS;                      \
        while (!(until)) {                                                         \
            cr_assert(clock_mono_ms() < end_ms, "waited in vain for: %s", #until); \
            loop_once((a)->loop, 1);                                               \
            loop_once((b)->loop, 1);                                               \
        }                                                                          \
    } while (0)

static bool
say_ping(struct side *side, uint64_t correlation)
{
    const struct msg_ping ping = {0};
    return link_send(side->link, (struct envelope){.correlation = correlation}, MSG_ping, &ping);
}

static bool
say_refused(struct link *link, const struct peer *to, uint64_t correlation)
{
    const struct msg_refused body = {.has = HAS_refused_code | HAS_refused_reason,
                                     .code = TEXT("busy"),
                                     .reason = TEXT("for a test")};
    return link_send(link, (struct envelope){.to = to, .correlation = correlation}, MSG_refused,
                     &body);
}

static void
make_home_with_keys(void)
{
    static const char *const names[] = {"broker-1", "gateway-1", "payments-1", "ledger-1",
                                        "webhooks-1"};
    home_make();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        node_make_keys(home, names[i]);
    log_start("test", LOG_ERROR);
    write_in_home("florin.conf", "log_level = error\n", 0600);
}

TestSuite(loop, .init = make_home_with_keys, .fini = home_remove, .timeout = 60);

Test(loop, a_packet_arrives_with_its_header_and_the_senders_name)
{
    struct side broker, gateway;
    start_bound(&broker, "broker-1", LINK_broker_front);
    start_connected(&gateway, "gateway-1", LINK_broker_front);
    const struct msg_key_find body = {.has = HAS_key_find_hash,
                                      .hash = {"0123456789abcdef0123456789abcdef", 32}};
    const struct envelope envelope = {.slot = 1023, .correlation = 77, .deadline_ms = 1234567};
    TURN_UNTIL(&broker, &gateway, link_send(gateway.link, envelope, MSG_key_find, &body));
    TURN_UNTIL(&broker, &gateway, broker.count == 1);
    cr_assert_str_eq(broker.sender, "gateway-1");
    cr_assert_str_eq(broker.role, "gateway");
    cr_assert_eq(broker.last.number, MSG_key_find);
    cr_assert_eq(broker.last.slot, 1023);
    cr_assert_eq(broker.last.correlation, 77);
    cr_assert_eq(broker.last.deadline_ms, 1234567);
    cr_assert_eq(broker.last.size, 1 + 1 + 2 + 32);

    cr_assert(say_refused(broker.link, &broker.last.peer, 77));
    TURN_UNTIL(&broker, &gateway, gateway.count == 1);
    cr_assert_str_eq(gateway.sender, "broker-1");
    cr_assert_eq(gateway.last.correlation, 77);
    cr_assert_str_eq(gateway.code, "busy");
    stop_two_at_once(&broker, &gateway);
}

Test(loop, a_ping_is_answered_for_everybody)
{
    struct side broker, gateway;
    start_bound(&broker, "broker-1", LINK_broker_front);
    start_connected(&gateway, "gateway-1", LINK_broker_front);
    char detail[1024];
    memset(detail, 'x', sizeof detail);
    memcpy(detail + 510, "\xe2\x82\xac", 4); /* too long, and cut within a character */
    loop_set_state(broker.loop, "serving", detail);
    TURN_UNTIL(&broker, &gateway, say_ping(&gateway, 5));
    TURN_UNTIL(&broker, &gateway, gateway.count == 1);
    cr_assert_eq(gateway.last.number, MSG_pong);
    cr_assert_eq(gateway.last.correlation, 5);
    cr_assert_eq(broker.count, 0);
    stop_two_at_once(&broker, &gateway);
}

/* A turn takes at most 256 frames, so more packets than that have shared some; and they come in
 * the order in which they were sent. */
Test(loop, many_packets_share_a_frame_and_keep_their_order)
{
    struct side broker, gateway;
    start_bound(&broker, "broker-1", LINK_broker_front);
    start_connected(&gateway, "gateway-1", LINK_broker_front);
    TURN_UNTIL(&broker, &gateway, say_refused(gateway.link, NULL, 1));
    for (uint64_t i = 2; i <= 3000; i++)
        cr_assert(say_refused(gateway.link, NULL, i));
    loop_once(gateway.loop, 0);
    const int64_t end_ms = clock_mono_ms() + PATIENCE_MS;
    while (broker.count == 0 && clock_mono_ms() < end_ms)
        loop_once(broker.loop, 10);
    cr_assert_eq(broker.count, 3000);
    for (uint64_t i = 1; i <= 3000; i++)
        cr_assert_eq(broker.correlations[i - 1], i);

    const struct peer peer = broker.last.peer;
    for (uint64_t i = 1; i <= 3000; i++)
        cr_assert(say_refused(broker.link, &peer, i));
    loop_once(broker.loop, 0);
    while (gateway.count == 0 && clock_mono_ms() < end_ms)
        loop_once(gateway.loop, 10);
    cr_assert_eq(gateway.count, 3000);
    stop_two_at_once(&broker, &gateway);
}

Test(loop, what_is_said_between_two_turns_does_not_wait)
{
    struct side broker, gateway;
    start_bound(&broker, "broker-1", LINK_broker_front);
    start_connected(&gateway, "gateway-1", LINK_broker_front);
    TURN_UNTIL(&broker, &gateway, say_refused(gateway.link, NULL, 1));
    TURN_UNTIL(&broker, &gateway, broker.count == 1);
    cr_assert(say_refused(gateway.link, NULL, 2));
    const int64_t begin_ms = clock_mono_ms();
    loop_once(gateway.loop, 500); /* waits for something to come: nothing does */
    cr_assert(clock_mono_ms() - begin_ms >= 490);
    loop_once(broker.loop, 0); /* so it left before that */
    cr_assert_eq(broker.count, 2);
    stop_two_at_once(&broker, &gateway);
}

Test(loop, bodies_of_a_mebibyte_and_more_pass)
{
    struct side broker, gateway;
    start_bound(&broker, "broker-1", LINK_broker_front);
    start_connected(&gateway, "gateway-1", LINK_broker_front);
    const size_t size = 8 << 20;
    char *json = malloc(size);
    memset(json, 'x', size);
    TURN_UNTIL(&broker, &gateway, say_refused(gateway.link, NULL, 1));
    TURN_UNTIL(&broker, &gateway, broker.count == 1);
    const struct msg_api_answer answer = {
        .has = HAS_api_answer_status | HAS_api_answer_body, .status = 200, .body = {json, size}};
    for (int i = 0; i < 3; i++)
        cr_assert(link_send(broker.link, (struct envelope){.to = &broker.last.peer}, MSG_api_answer,
                            &answer));
    TURN_UNTIL(&broker, &gateway, gateway.count == 3);
    cr_assert(gateway.last.size > size);
    free(json);
    stop_two_at_once(&broker, &gateway);
}

/* Every byte of an answer is its correlation's lowest one. */
static void
on_answer(void *state, struct link *from, const struct packet *packet)
{
    struct side *side = state;
    struct msg_api_answer answer;
    cr_assert(packet_decode(from, packet, MSG_api_answer, &answer));
    for (size_t i = 0; i < answer.body.size; i++)
        if ((uint8_t)answer.body.at[i] != (uint8_t)packet->correlation) return;
    if (answer.body.size) side->count++;
}

/* Short ones are copied, long ones go with their memory, and the next takes other memory. */
Test(loop, frames_of_any_length_arrive_as_they_were)
{
    static const size_t sizes[] = {100,   20000, 16000, 200000, 30000,   17000,
                                   90000, 100,   90000, 90000,  1500000, 40000};
    const uint64_t count = sizeof sizes / sizeof sizes[0];
    static char body[1500000];
    struct side broker, gateway;
    start_bound(&broker, "broker-1", LINK_broker_front);
    start(&gateway, "gateway-1");
    gateway.link = loop_connect(gateway.loop, LINK_broker_front, 1, on_answer, &gateway);
    TURN_UNTIL(&broker, &gateway, say_refused(gateway.link, NULL, 1));
    TURN_UNTIL(&broker, &gateway, broker.count == 1);
    for (uint64_t i = 0; i < count; i++) {
        memset(body, (int)i + 1, sizes[i]);
        const struct msg_api_answer answer = {.has = HAS_api_answer_status | HAS_api_answer_body,
                                              .status = 200,
                                              .body = {body, sizes[i]}};
        const struct envelope envelope = {.to = &broker.last.peer, .correlation = i + 1};
        cr_assert(link_send(broker.link, envelope, MSG_api_answer, &answer));
        if (i % 3) link_flush(broker.link); /* else two share a frame */
    }
    TURN_UNTIL(&broker, &gateway, gateway.count == count);
    stop_two_at_once(&broker, &gateway);
}

Test(loop, an_event_reaches_its_subscribers)
{
    struct side ledger, webhooks;
    start_bound(&ledger, "ledger-1", LINK_ledger_tap);
    start_connected(&webhooks, "webhooks-1", LINK_ledger_tap);
    const struct msg_events_head head = {.has = HAS_events_head_sequence, .sequence = 9};
    TURN_UNTIL(&ledger, &webhooks,
               link_send(ledger.link, (struct envelope){0}, MSG_events_head, &head) &&
                   webhooks.count > 0);
    cr_assert_eq(webhooks.last.number, MSG_events_head);
    cr_assert_str_eq(webhooks.sender, "ledger-1");
    stop_two_at_once(&ledger, &webhooks);
}

Test(loop, who_does_not_listen_hears_nothing_until_it_listens_again)
{
    struct side ledger, webhooks;
    start_bound(&ledger, "ledger-1", LINK_ledger_tap);
    start_connected(&webhooks, "webhooks-1", LINK_ledger_tap);
    const struct msg_events_head head = {.has = HAS_events_head_sequence, .sequence = 1};
    TURN_UNTIL(&ledger, &webhooks,
               link_send(ledger.link, (struct envelope){0}, MSG_events_head, &head) &&
                   webhooks.count > 0);
    link_listen(webhooks.link, false);
    webhooks.count = 0;
    for (int i = 0; i < 20; i++) {
        cr_assert(link_send(ledger.link, (struct envelope){0}, MSG_events_head, &head));
        loop_once(ledger.loop, 1);
        loop_once(webhooks.loop, 1);
    }
    cr_assert_eq(webhooks.count, 0);
    link_listen(webhooks.link, true);
    TURN_UNTIL(&ledger, &webhooks,
               link_send(ledger.link, (struct envelope){0}, MSG_events_head, &head) &&
                   webhooks.count > 0);
    stop_two_at_once(&ledger, &webhooks);
}

/* --- who is let in ------------------------------------------------------------------------------
 */

struct stranger {
    void *context, *socket, *monitor;
};

/* A DEALER by hand, at the front of the broker; without keys when `name` is NULL. */
static struct stranger
knock(const char *public_z85, const char *secret_z85, const char *server)
{
    struct stranger s = {.context = zmq_ctx_new()};
    char endpoint[256];
    uint8_t server_key[KEY_BYTES];
    char error[256];
    const int zero = 0;
    s.socket = zmq_socket(s.context, ZMQ_DEALER);
    zmq_setsockopt(s.socket, ZMQ_LINGER, &zero, sizeof zero);
    if (public_z85) {
        cr_assert(keys_read_public(home, server, server_key, error, sizeof error));
        cr_assert_eq(zmq_setsockopt(s.socket, ZMQ_CURVE_SERVERKEY, server_key, KEY_BYTES), 0);
        cr_assert_eq(zmq_setsockopt(s.socket, ZMQ_CURVE_PUBLICKEY, public_z85, 41), 0);
        cr_assert_eq(zmq_setsockopt(s.socket, ZMQ_CURVE_SECRETKEY, secret_z85, 41), 0);
    }
    cr_assert_eq(zmq_socket_monitor(s.socket, "inproc://monitor", ZMQ_EVENT_ALL), 0);
    s.monitor = zmq_socket(s.context, ZMQ_PAIR);
    cr_assert_eq(zmq_connect(s.monitor, "inproc://monitor"), 0);
    link_endpoint(home, LINK_broker_front, 1, endpoint, sizeof endpoint);
    cr_assert_eq(zmq_connect(s.socket, endpoint), 0);
    return s;
}

static void
leave(struct stranger *s)
{
    const int zero = 0;
    zmq_setsockopt(s->monitor, ZMQ_LINGER, &zero, sizeof zero);
    zmq_close(s->socket);
    zmq_close(s->monitor);
    zmq_ctx_term(s->context);
}

/* With the key of that process. */
static struct stranger
knock_as(const char *name)
{
    char public_z85[42] = "", secret_z85[42] = "";
    FILE *file = fopen(in_home("keys/%s.key", name), "r");
    cr_assert(file && fscanf(file, "%41s %41s", public_z85, secret_z85) == 2);
    fclose(file);
    return knock(public_z85, secret_z85, "broker-1");
}

/* Takes the broker's turns until the handshake has come to an end; true when it was a good one. */
static bool
was_let_in(struct stranger *s, struct side *broker)
{
    const int64_t end_ms = clock_mono_ms() + PATIENCE_MS;
    while (clock_mono_ms() < end_ms) {
        zmq_msg_t event;
        uint16_t number = 0;
        loop_once(broker->loop, 1);
        zmq_msg_init(&event);
        if (zmq_msg_recv(&event, s->monitor, ZMQ_DONTWAIT) >= 0) {
            memcpy(&number, zmq_msg_data(&event), sizeof number);
            while (zmq_msg_more(&event))
                zmq_msg_recv(&event, s->monitor, 0);
        }
        zmq_msg_close(&event);
        if (number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) return true;
        if (number & (ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                      ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED))
            return false;
    }
    cr_assert_fail("no end of the handshake");
    return false;
}

Test(loop, a_known_key_of_the_right_role_is_let_in)
{
    struct side broker;
    start_bound(&broker, "broker-1", LINK_broker_front);
    struct stranger s = knock_as("gateway-1");
    cr_assert(was_let_in(&s, &broker));
    leave(&s);
    stop(&broker);
}

Test(loop, a_strangers_key_is_refused)
{
    struct side broker;
    char public_z85[41], secret_z85[41];
    start_bound(&broker, "broker-1", LINK_broker_front);
    zmq_curve_keypair(public_z85, secret_z85);
    struct stranger s = knock(public_z85, secret_z85, "broker-1");
    cr_assert_not(was_let_in(&s, &broker));
    leave(&s);
    stop(&broker);
}

Test(loop, a_role_that_may_not_connect_is_refused)
{
    struct side broker;
    start_bound(&broker, "broker-1", LINK_broker_front);
    struct stranger s = knock_as("payments-1");
    cr_assert_not(was_let_in(&s, &broker));
    leave(&s);
    stop(&broker);
}

Test(loop, a_peer_without_curve_is_refused)
{
    struct side broker;
    start_bound(&broker, "broker-1", LINK_broker_front);
    struct stranger s = knock(NULL, NULL, NULL);
    cr_assert_not(was_let_in(&s, &broker));
    leave(&s);
    stop(&broker);
}

Test(loop, a_peer_that_asks_for_another_servers_key_is_refused)
{
    struct side broker;
    char public_z85[41], secret_z85[41];
    start_bound(&broker, "broker-1", LINK_broker_front);
    zmq_curve_keypair(public_z85, secret_z85);
    struct stranger s = knock(public_z85, secret_z85, "ledger-1");
    cr_assert_not(was_let_in(&s, &broker));
    leave(&s);
    stop(&broker);
}

Test(loop, a_key_that_arrives_later_is_let_in)
{
    struct side broker, gateway;
    cr_assert_eq(rename(in_home("keys/public/gateway-1.pub"), in_home("later")), 0);
    start_bound(&broker, "broker-1", LINK_broker_front);
    start_connected(&gateway, "gateway-1", LINK_broker_front);
    struct stranger s = knock_as("gateway-1");
    cr_assert_not(was_let_in(&s, &broker));
    leave(&s);
    cr_assert_not(say_ping(&gateway, 1));
    cr_assert_eq(rename(in_home("later"), in_home("keys/public/gateway-1.pub")), 0);
    TURN_UNTIL(&broker, &gateway, say_ping(&gateway, 1));
    TURN_UNTIL(&broker, &gateway, gateway.count > 0);
    stop_two_at_once(&broker, &gateway);
}

/* --- what is let through ------------------------------------------------------------------------
 */

Test(loop, a_message_that_its_role_may_not_send_is_refused)
{
    struct side broker, gateway;
    start_bound(&broker, "broker-1", LINK_broker_front);
    start_connected(&gateway, "gateway-1", LINK_broker_front);
    const struct msg_worker_leaving leaving = {0}; /* is for payments to say */
    TURN_UNTIL(
        &broker, &gateway,
        link_send(gateway.link, (struct envelope){.correlation = 8}, MSG_worker_leaving, &leaving));
    TURN_UNTIL(&broker, &gateway, gateway.count == 1);
    cr_assert_eq(gateway.last.number, MSG_refused);
    cr_assert_eq(gateway.last.correlation, 8);
    cr_assert_str_eq(gateway.code, "forbidden");
    cr_assert_eq(broker.count, 0);
    cr_assert_eq(link_refused(broker.link), 1);
    stop_two_at_once(&broker, &gateway);
}

Test(loop, a_message_that_is_not_for_us_is_refused)
{
    struct side broker, gateway;
    start_bound(&broker, "broker-1", LINK_broker_front);
    start_connected(&gateway, "gateway-1", LINK_broker_front);
    const struct msg_card_tokenize body = {.has = HAS_card_tokenize_merchant,
                                           .merchant = TEXT("acct_1")}; /* is for the vault */
    TURN_UNTIL(
        &broker, &gateway,
        link_send(gateway.link, (struct envelope){.correlation = 8}, MSG_card_tokenize, &body));
    TURN_UNTIL(&broker, &gateway, gateway.count == 1);
    cr_assert_str_eq(gateway.code, "forbidden");
    cr_assert_eq(broker.count, 0);
    stop_two_at_once(&broker, &gateway);
}

struct frame {
    const char *what;
    size_t size;
    uint8_t at[64];
};

#define HEADER(size, version, flags, number_low, slot_high)                                      \
    0, 0, 0, size, version, flags, 0, number_low, slot_high, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
        0, 0, 0, 0, 0, 0, 0

// clang-format off
static const struct frame malformed[] = {
    {"nothing",                       0,  {0}},
    {"one byte",                      1,  {0}},
    {"a header cut short",            27, {HEADER(24, 1, 0, 3, 0)}},
    {"a size smaller than a header",  28, {HEADER(23, 1, 0, 3, 0)}},
    {"a size of nothing",             28, {HEADER(0, 1, 0, 3, 0)}},
    {"a size beyond the frame",       28, {HEADER(25, 1, 0, 3, 0)}},
    {"a size of four gibibytes",      28, {255, 255, 255, 255, 1}},
    {"a good one, then a byte",       29, {HEADER(24, 1, 0, 3, 0), 7}},
    {"version 0",                     28, {HEADER(24, 0, 0, 3, 0)}},
    {"version 2",                     28, {HEADER(24, 2, 0, 3, 0)}},
    {"a flag",                        28, {HEADER(24, 1, 1, 3, 0)}},
    {"slot 1024",                     28, {HEADER(24, 1, 0, 3, 4)}},
    {"a number that no message has",  28, {HEADER(24, 1, 0, 255, 0)}},
};
// clang-format on

Test(loop, a_malformed_frame_costs_nothing)
{
    struct side broker, gateway;
    const size_t count = sizeof malformed / sizeof malformed[0];
    start_bound(&broker, "broker-1", LINK_broker_front);
    start_connected(&gateway, "gateway-1", LINK_broker_front);
    struct stranger s = knock_as("gateway-1");
    for (size_t i = 0; i < count; i++)
        cr_assert_geq(zmq_send(s.socket, malformed[i].at, malformed[i].size, 0), 0);
    zmq_send(s.socket, "two", 3, ZMQ_SNDMORE);
    zmq_send(s.socket, "parts", 5, 0);
    for (int i = 0; i < 10000; i++)
        zmq_send(s.socket, "", 0, ZMQ_SNDMORE);
    zmq_send(s.socket, "", 0, 0);
    TURN_UNTIL(&broker, &gateway, link_refused(broker.link) >= count + 2);
    cr_assert_eq(link_refused(broker.link), count + 2);
    cr_assert_eq(broker.count, 0);

    TURN_UNTIL(&broker, &gateway, say_ping(&gateway, 3));
    TURN_UNTIL(&broker, &gateway, gateway.count == 1);
    leave(&s);
    stop_two_at_once(&broker, &gateway);
}

Test(loop, a_routing_id_that_the_peer_chose_is_refused)
{
    struct side broker;
    static const uint8_t frame[] = {HEADER(24, 1, 0, 3, 0)};
    start_bound(&broker, "broker-1", LINK_broker_front);
    struct stranger s = knock_as("gateway-1");
    cr_assert(was_let_in(&s, &broker));
    char endpoint[256];
    link_endpoint(home, LINK_broker_front, 1, endpoint, sizeof endpoint);
    zmq_disconnect(s.socket, endpoint);
    zmq_setsockopt(s.socket, ZMQ_ROUTING_ID, "mine", 4);
    cr_assert_eq(zmq_connect(s.socket, endpoint), 0);
    zmq_send(s.socket, frame, sizeof frame, 0);
    TURN_UNTIL(&broker, &broker, link_refused(broker.link) == 1);
    cr_assert_eq(broker.count, 0);
    leave(&s);
    stop(&broker);
}

Test(loop, a_body_that_does_not_decode_is_refused_by_name)
{
    struct side broker, gateway;
    start_bound(&broker, "broker-1", LINK_broker_front);
    start_connected(&gateway, "gateway-1", LINK_broker_front);
    TURN_UNTIL(&broker, &gateway,
               link_forward(gateway.link, (struct envelope){.correlation = 4}, MSG_key_find,
                            (const uint8_t *)"\x80", 1));
    TURN_UNTIL(&broker, &gateway, broker.count == 1);
    struct msg_key_find body;
    /* the packet's body is gone with its frame: an empty one is malformed just as well */
    broker.last.body = (const uint8_t *)"\x80";
    broker.last.size = 1;
    broker.last.sender = broker.sender;
    cr_assert_not(packet_decode(broker.link, &broker.last, MSG_key_find, &body));
    TURN_UNTIL(&broker, &gateway, gateway.count == 1);
    cr_assert_str_eq(gateway.code, "malformed");
    stop_two_at_once(&broker, &gateway);
}

/* --- coming and going ---------------------------------------------------------------------------
 */

Test(loop, nothing_is_queued_for_a_peer_that_is_not_there)
{
    struct side gateway;
    start_connected(&gateway, "gateway-1", LINK_broker_front);
    loop_once(gateway.loop, 0);
    cr_assert_not(say_ping(&gateway, 1));
    cr_assert_eq(link_dropped(gateway.link), 1);
    stop(&gateway);
}

Test(loop, who_connects_first_waits_for_who_binds)
{
    struct side broker, gateway;
    start_connected(&gateway, "gateway-1", LINK_broker_front);
    for (int i = 0; i < 3; i++)
        loop_once(gateway.loop, 1);
    start_bound(&broker, "broker-1", LINK_broker_front);
    TURN_UNTIL(&broker, &gateway, say_ping(&gateway, 1));
    TURN_UNTIL(&broker, &gateway, gateway.count == 1);
    stop_two_at_once(&broker, &gateway);
}

/* What was said to the old one in its last moment may be lost; so it is said until it is heard. */
Test(loop, a_restart_of_the_bound_side_is_survived)
{
    struct side broker, gateway;
    start_bound(&broker, "broker-1", LINK_broker_front);
    start_connected(&gateway, "gateway-1", LINK_broker_front);
    for (int i = 0; i < 4; i++) {
        const uint32_t before = gateway.count;
        TURN_UNTIL(&broker, &gateway, (say_ping(&gateway, 1), gateway.count > before));
        stop(&broker);
        start_bound(&broker, "broker-1", LINK_broker_front);
    }
    stop_two_at_once(&broker, &gateway);
}

Test(loop, what_goes_to_a_peer_that_is_gone_is_counted)
{
    struct side broker, gateway;
    start_bound(&broker, "broker-1", LINK_broker_front);
    start_connected(&gateway, "gateway-1", LINK_broker_front);
    TURN_UNTIL(&broker, &gateway, say_refused(gateway.link, NULL, 1));
    TURN_UNTIL(&broker, &gateway, broker.count == 1);
    stop(&gateway);
    const struct peer peer = broker.last.peer;
    TURN_UNTIL(&broker, &broker,
               say_refused(broker.link, &peer, 1) && link_dropped(broker.link) > 0);
    stop(&broker);
}

Test(loop, a_socket_file_that_was_left_over_is_in_nobodys_way)
{
    struct side broker, gateway;
    char folder[200];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    run_folder(home, folder, sizeof folder);
    snprintf(address.sun_path, sizeof address.sun_path, "%.80s/broker_front-1", folder);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    start_bound(&broker, "broker-1", LINK_broker_front);
    start_connected(&gateway, "gateway-1", LINK_broker_front);
    TURN_UNTIL(&broker, &gateway, say_ping(&gateway, 1));
    TURN_UNTIL(&broker, &gateway, gateway.count == 1);
    stop_two_at_once(&broker, &gateway);
}

Test(loop, a_second_process_of_one_name_ends_with_a_sentence, .exit_code = 1)
{
    struct side first, second;
    start_bound(&first, "broker-1", LINK_broker_front);
    start_bound(&second, "broker-1", LINK_broker_front);
}

Test(loop, a_place_where_somebody_else_listens_is_left_alone, .exit_code = 1)
{
    struct side broker;
    char folder[200];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    run_folder(home, folder, sizeof folder);
    snprintf(address.sun_path, sizeof address.sun_path, "%.80s/broker_front-1", folder);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(fd, 5), 0);
    start_bound(&broker, "broker-1", LINK_broker_front);
}

/* --- descriptors, time, signals -----------------------------------------------------------------
 */

struct watcher {
    struct loop *loop;
    int fds[3], calls;
};

static void
on_ready(void *state, int fd, short events)
{
    struct watcher *w = state;
    uint64_t value;
    cr_assert(events & POLLIN);
    cr_assert_eq(read(fd, &value, sizeof value), (ssize_t)sizeof value);
    w->calls++;
    loop_unwatch(w->loop, w->fds[0]);
    loop_unwatch(w->loop, w->fds[1]);
    loop_watch(w->loop, w->fds[2], POLLIN, on_ready, w);
}

Test(loop, descriptors_may_be_watched_and_left_from_inside_a_callback)
{
    struct side gateway;
    const uint64_t one = 1;
    start(&gateway, "gateway-1");
    struct watcher w = {.loop = gateway.loop};
    for (int i = 0; i < 3; i++) {
        w.fds[i] = eventfd(0, EFD_NONBLOCK);
        cr_assert_eq(write(w.fds[i], &one, sizeof one), (ssize_t)sizeof one);
    }
    loop_watch(gateway.loop, w.fds[0], POLLIN, on_ready, &w);
    loop_watch(gateway.loop, w.fds[1], POLLIN, on_ready, &w);
    loop_once(gateway.loop, 1000);
    cr_assert_eq(w.calls, 1); /* the second was left before its turn came */
    loop_once(gateway.loop, 1000);
    cr_assert_eq(w.calls, 2);
    stop(&gateway);
}

static int64_t
count_turns(void *state, int64_t mono_ms)
{
    struct side *side = state;
    cr_assert(mono_ms > 0);
    side->turns++;
    if (side->turns == 3) raise(SIGTERM);
    if (side->turns > 3) cr_assert(loop_stopping(side->loop));
    if (side->turns == 6) loop_stop(side->loop);
    return 1;
}

Test(loop, after_a_signal_turns_go_on_until_the_actor_is_done)
{
    struct side gateway;
    start(&gateway, "gateway-1");
    loop_on_turn(gateway.loop, count_turns, &gateway);
    loop_run(gateway.loop);
    cr_assert_eq(gateway.turns, 6);
    stop(&gateway);
}

Test(loop, a_home_on_a_long_path_has_its_sockets_elsewhere)
{
    char deep[96], run[200], again[200];
    snprintf(deep, sizeof deep, "%s", home);
    mkdir(in_home("%060d", 1), 0700);
    mkdir(in_home("%060d/%060d", 1, 2), 0700);
    run_folder(in_home("%060d/%060d", 1, 2), run, sizeof run);
    run_folder(in_home("%060d/%060d", 1, 2), again, sizeof again);
    cr_assert(strlen(run) + strlen("/network_requests-9999") <= 107);
    cr_assert_str_eq(run, again);
    cr_assert_neq(strncmp(run, deep, strlen(deep)), 0);
    rmdir(run);
    *strrchr(run, '/') = 0;
    rmdir(run);
}

Test(loop, no_two_correlations_are_the_same_and_none_is_zero)
{
    uint64_t before = link_next_correlation();
    for (int i = 0; i < 1000; i++) {
        const uint64_t next = link_next_correlation();
        cr_assert_neq(next, 0);
        cr_assert_eq(next, before + 1);
        before = next;
    }
}
