/* Small plays over real sockets: the broker, two workers and a gateway, each with its own keys, in
 * one process; every step is driven by hand and waits for what it expects. */
#include "broker.h"

#include "clock.h"
#include "id.h"
#include "random.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE_MS 10000

static char home[64];

/* Somebody at the other end: what he heard last, and how often. */
struct player {
    struct node *node;
    struct loop *loop;
    struct link *link;
    uint64_t incarnation;
    uint8_t assigned[SLOT_BYTES], released[SLOT_BYTES];
    bool beats, answers, grants;
    unsigned heard_assign, heard_release, heard_request, heard_unknown, heard_answer, heard_refused;
    uint64_t answered_correlation, request_correlation;
    uint16_t request_slot;
    char refused_code[32];
    int64_t beaten_ms;
};

static struct player gateway, workers[2], brokers;
static struct broker *broker;

static void
say_ready(struct player *w, const uint8_t *slots)
{
    static const uint8_t none[SLOT_BYTES];
    const struct msg_worker_ready ready = {
        .has = HAS_worker_ready_incarnation | HAS_worker_ready_slots,
        .incarnation = w->incarnation,
        .slots = {(const char *)(slots ? slots : none), SLOT_BYTES},
    };
    while (!link_send(w->link, (struct envelope){0}, MSG_worker_ready, &ready))
        loop_once(w->loop, 1);
    w->beats = true;
}

static void
say_held(struct player *w)
{
    const struct msg_slots_held held = {.has = HAS_slots_held_slots,
                                        .slots = {(const char *)w->assigned, SLOT_BYTES}};
    (void)link_send(w->link, (struct envelope){0}, MSG_slots_held, &held);
}

static void
on_worker_packet(void *state, struct link *from, const struct packet *packet)
{
    struct player *w = state;
    struct msg_slots_assign assign;
    struct msg_slots_release release;
    const struct msg_health_told told = {.has = HAS_health_told_serving, .serving = 1};
    switch (packet->number) {
    case MSG_slots_assign:
        cr_assert(packet_decode(from, packet, MSG_slots_assign, &assign));
        memcpy(w->assigned, assign.slots.at, SLOT_BYTES);
        w->heard_assign++;
        if (w->grants) say_held(w);
        break;
    case MSG_slots_release:
        cr_assert(packet_decode(from, packet, MSG_slots_release, &release));
        memcpy(w->released, release.slots.at, SLOT_BYTES);
        w->heard_release++;
        break;
    case MSG_worker_unknown: w->heard_unknown++; break;
    case MSG_health:
        w->heard_request++;
        w->request_correlation = packet->correlation;
        w->request_slot = packet->slot;
        if (w->answers)
            (void)link_send(
                from, (struct envelope){.slot = packet->slot, .correlation = packet->correlation},
                MSG_health_told, &told);
        break;
    default: break;
    }
}

static void
on_gateway_packet(void *state, struct link *from, const struct packet *packet)
{
    struct player *g = state;
    struct msg_refused refused;
    g->answered_correlation = packet->correlation;
    if (packet->number == MSG_health_told) g->heard_answer++;
    if (packet->number != MSG_refused) return;
    cr_assert(packet_decode(from, packet, MSG_refused, &refused));
    snprintf(g->refused_code, sizeof g->refused_code, "%.*s", (int)refused.code.size,
             refused.code.at);
    g->heard_refused++;
}

static void
join(struct player *player, const char *name)
{
    player->node = node_start(home, name);
    player->loop = loop_new(player->node);
}

static void
join_worker(struct player *w, const char *name, uint64_t incarnation)
{
    *w = (struct player){.incarnation = incarnation, .answers = true, .grants = true};
    join(w, name);
    w->link = loop_connect(w->loop, LINK_broker_back, 1, on_worker_packet, w);
}

static void
leave(struct player *player)
{
    loop_destroy(&player->loop);
    node_stop(&player->node);
}

static void
start_broker(void)
{
    join(&brokers, "broker-1");
    broker = broker_new(brokers.loop, 1, 2, 0);
}

static void
start(void)
{
    static const char *const names[] = {"broker-1", "payments-1", "payments-2", "gateway-1"};
    snprintf(home, sizeof home, "/tmp/florin-broker-test-XXXXXX");
    cr_assert_not_null(mkdtemp(home));
    random_start();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char folder[128];
        snprintf(folder, sizeof folder, "%s/keys", home);
        mkdir(folder, 0700);
        snprintf(folder, sizeof folder, "%s/keys/public", home);
        mkdir(folder, 0700);
        node_make_keys(home, names[i]);
    }
    start_broker();
    join(&gateway, "gateway-1");
    gateway.link = loop_connect(gateway.loop, LINK_broker_front, 1, on_gateway_packet, &gateway);
}

static void
end(void)
{
    char command[128];
    for (int i = 0; i < 2; i++)
        if (workers[i].loop) leave(&workers[i]);
    leave(&gateway);
    broker_destroy(&broker);
    leave(&brokers);
    snprintf(command, sizeof command, "rm -rf -- %s", home);
    (void)!system(command);
}

TestSuite(broker, .init = start, .fini = end, .timeout = 60);

static void
turn_all(void)
{
    const int64_t now_ms = clock_mono_ms();
    for (int i = 0; i < 2; i++) {
        struct player *w = &workers[i];
        const struct msg_worker_beat beat = {.has = HAS_worker_beat_incarnation,
                                             .incarnation = w->incarnation};
        if (!w->loop) continue;
        if (w->beats && now_ms - w->beaten_ms >= 200) {
            w->beaten_ms = now_ms;
            (void)link_send(w->link, (struct envelope){0}, MSG_worker_beat, &beat);
        }
        loop_once(w->loop, 0);
    }
    loop_once(gateway.loop, 0);
    if (brokers.loop) loop_once(brokers.loop, 1);
}

#define wait_until(condition)                                                             \
    do {                                                                                  \
        const int64_t limit_ms = clock_mono_ms() + PATIENCE_MS;                           \
        while (!(condition)) {                                                            \
            turn_all();                                                                   \
            cr_assert_lt(clock_mono_ms(), limit_ms, "waited in vain for %s", #condition); \
        }                                                                                 \
    } while (0)

static void
ask(uint16_t slot, uint64_t correlation, int64_t deadline_ms)
{
    const struct msg_health health = {0};
    const struct envelope envelope = {NULL, slot, correlation, deadline_ms};
    while (!link_send(gateway.link, envelope, MSG_health, &health))
        turn_all();
}

static void
two_workers_at_work(void)
{
    join_worker(&workers[0], "payments-1", 11);
    join_worker(&workers[1], "payments-2", 22);
    say_ready(&workers[0], NULL);
    say_ready(&workers[1], NULL);
    wait_until(slot_count(workers[0].assigned) + slot_count(workers[1].assigned) == SLOT_COUNT);
}

/* A slot that this worker owns. */
static uint16_t
slot_of_worker(const struct player *w)
{
    uint16_t slot = 0;
    while (slot < SLOT_COUNT - 1 && !slot_in(w->assigned, slot))
        slot++;
    return slot;
}

Test(broker, a_request_goes_to_the_owner_of_its_slot_and_the_answer_comes_back)
{
    two_workers_at_work();
    cr_assert_eq(slot_count(workers[0].assigned), SLOT_COUNT / 2);
    for (int i = 0; i < 2; i++) {
        const uint16_t slot = slot_of_worker(&workers[i]);
        ask(slot, 100 + (uint64_t)i, 0);
        wait_until(gateway.heard_answer == 1 + (unsigned)i);
        cr_assert_eq(gateway.answered_correlation, 100 + (uint64_t)i);
        cr_assert_eq(workers[i].heard_request, 1);
        cr_assert_eq(workers[i].request_slot, slot);
        cr_assert_neq(workers[i].request_correlation, gateway.answered_correlation,
                      "the worker sees the broker's own ticket");
    }
}

Test(broker, a_request_waits_for_the_ledger_to_grant_its_slot)
{
    join_worker(&workers[0], "payments-1", 11);
    workers[0].grants = false;
    say_ready(&workers[0], NULL);
    wait_until(workers[0].heard_assign == 1);
    ask(7, 1, 0);
    const int64_t until_ms = clock_mono_ms() + 300;
    while (clock_mono_ms() < until_ms)
        turn_all();
    cr_assert_eq(workers[0].heard_request, 0);
    say_held(&workers[0]);
    wait_until(gateway.heard_answer == 1);
    cr_assert_eq(gateway.heard_refused, 0);
}

Test(broker, without_any_worker_a_request_is_refused_after_a_moment)
{
    ask(7, 1, 0);
    wait_until(gateway.heard_refused == 1);
    cr_assert_str_eq(gateway.refused_code, "unroutable");
}

Test(broker, a_request_whose_deadline_has_passed_is_not_passed_on)
{
    two_workers_at_work();
    ask(7, 1, clock_wall_ms() - 1);
    wait_until(gateway.heard_refused == 1);
    cr_assert_str_eq(gateway.refused_code, "expired");
    cr_assert_eq(workers[0].heard_request + workers[1].heard_request, 0);
}

Test(broker, a_request_that_is_not_answered_expires_and_the_late_answer_is_dropped)
{
    two_workers_at_work();
    workers[0].answers = false;
    ask(slot_of_worker(&workers[0]), 1, clock_wall_ms() + 200);
    wait_until(gateway.heard_refused == 1);
    cr_assert_str_eq(gateway.refused_code, "expired");
    const struct msg_health_told told = {.has = HAS_health_told_serving, .serving = 1};
    (void)link_send(workers[0].link,
                    (struct envelope){.correlation = workers[0].request_correlation},
                    MSG_health_told, &told);
    ask(slot_of_worker(&workers[1]), 2, 0);
    wait_until(gateway.heard_answer == 1);
    cr_assert_eq(gateway.answered_correlation, 2);
}

Test(broker, what_a_dead_worker_had_is_refused_and_its_slots_go_to_the_other)
{
    two_workers_at_work();
    workers[0].answers = false;
    const uint16_t slot = slot_of_worker(&workers[0]);
    ask(slot, 1, 0);
    wait_until(workers[0].heard_request == 1);
    leave(&workers[0]);
    ask(slot, 2, 0); /* lost in the dead worker's pipe, or waits for the other */
    wait_until(gateway.heard_refused >= 1);
    cr_assert_str_eq(gateway.refused_code, "unroutable");
    wait_until(slot_count(workers[1].assigned) == SLOT_COUNT);
    ask(slot, 3, 0);
    wait_until(gateway.answered_correlation == 3 && gateway.heard_answer >= 1);
}

Test(broker, a_worker_that_comes_back_at_once_keeps_its_slots_and_loses_what_it_had)
{
    two_workers_at_work();
    workers[0].answers = false;
    uint8_t before[SLOT_BYTES];
    memcpy(before, workers[0].assigned, sizeof before);
    ask(slot_of_worker(&workers[0]), 1, 0);
    wait_until(workers[0].heard_request == 1);
    leave(&workers[0]);
    join_worker(&workers[0], "payments-1", 12);
    say_ready(&workers[0], NULL);
    wait_until(gateway.heard_refused == 1 && slot_count(workers[0].assigned) > 0);
    cr_assert_str_eq(gateway.refused_code, "unroutable");
    cr_assert_arr_eq(workers[0].assigned, before, sizeof before);
    ask(slot_of_worker(&workers[0]), 2, 0);
    wait_until(gateway.heard_answer == 1);
}

Test(broker, a_worker_that_is_slow_gets_no_more_than_it_may_have_and_the_rest_is_told)
{
    two_workers_at_work();
    workers[0].answers = false;
    const uint16_t slot = slot_of_worker(&workers[0]);
    const uint64_t asked = 9000; /* above WORKER_REQUESTS_MAX */
    for (uint64_t i = 1; i <= asked; i++) {
        ask(slot, i, 0);
        if (i % 100 == 0) turn_all();
    }
    wait_until(workers[0].heard_request + gateway.heard_refused == asked);
    cr_assert_eq(workers[0].heard_request, 8192);
    cr_assert_str_eq(gateway.refused_code, "busy");
    ask(slot_of_worker(&workers[1]), 1, 0);
    wait_until(gateway.heard_answer == 1);
}

Test(broker, slots_move_from_a_live_worker_only_after_it_has_let_go)
{
    join_worker(&workers[0], "payments-1", 11);
    say_ready(&workers[0], NULL);
    wait_until(slot_count(workers[0].assigned) == SLOT_COUNT);
    join_worker(&workers[1], "payments-2", 22);
    say_ready(&workers[1], NULL);
    wait_until(workers[0].heard_release == 1);
    cr_assert_eq(slot_count(workers[0].released), SLOT_COUNT / 2);
    cr_assert_eq(slot_count(workers[1].assigned), 0);

    uint16_t slot = 0;
    while (!slot_in(workers[0].released, slot))
        slot++;
    ask(slot, 1, 0); /* waits */
    const struct msg_slots_released released = {
        .has = HAS_slots_released_slots,
        .slots = {(const char *)workers[0].released, SLOT_BYTES},
    };
    (void)link_send(workers[0].link, (struct envelope){0}, MSG_slots_released, &released);
    wait_until(gateway.heard_answer == 1);
    cr_assert_eq(workers[1].heard_request, 1);
    cr_assert_eq(slot_count(workers[1].assigned), SLOT_COUNT / 2);
}

Test(broker, slots_given_back_when_nobody_is_there_to_get_them_any_more_are_assigned_again)
{
    join_worker(&workers[0], "payments-1", 11);
    say_ready(&workers[0], NULL);
    wait_until(slot_count(workers[0].assigned) == SLOT_COUNT);
    join_worker(&workers[1], "payments-2", 22);
    say_ready(&workers[1], NULL);
    wait_until(workers[0].heard_release == 1);
    uint16_t slot = 0;
    while (!slot_in(workers[0].released, slot))
        slot++;

    /* The other one restarts before we let go: the slots stay ours in the new plan, and we, who
     * have given them back, must hear of it. */
    leave(&workers[1]);
    ask(slot, 1, 0);
    wait_until(gateway.heard_answer == 1); /* the broker has noticed: it comes to us again */
    const struct msg_slots_released released = {
        .has = HAS_slots_released_slots,
        .slots = {(const char *)workers[0].released, SLOT_BYTES},
    };
    memset(workers[0].assigned, 0, SLOT_BYTES);
    (void)link_send(workers[0].link, (struct envelope){0}, MSG_slots_released, &released);
    wait_until(slot_count(workers[0].assigned) == SLOT_COUNT);
    ask(slot, 2, 0);
    wait_until(gateway.heard_answer == 2);
}

Test(broker, after_its_own_restart_it_asks_who_is_there_and_leaves_slots_where_they_are)
{
    two_workers_at_work();
    uint8_t before[SLOT_BYTES];
    memcpy(before, workers[0].assigned, sizeof before);
    broker_destroy(&broker);
    leave(&brokers);
    start_broker();
    wait_until(workers[0].heard_unknown > 0 && workers[1].heard_unknown > 0);
    workers[0].heard_assign = workers[1].heard_assign = 0;
    say_ready(&workers[0], workers[0].assigned);
    say_ready(&workers[1], workers[1].assigned);
    wait_until(workers[0].heard_assign > 0 && workers[1].heard_assign > 0);
    cr_assert_arr_eq(workers[0].assigned, before, sizeof before);
    ask(slot_of_worker(&workers[1]), 9, 0);
    wait_until(gateway.heard_answer == 1);
    cr_assert_eq(workers[1].heard_request, 1);
}

Test(broker, a_worker_that_leaves_ends_what_it_has_while_new_requests_wait_for_the_next_owner)
{
    two_workers_at_work();
    workers[0].answers = false;
    const uint16_t slot = slot_of_worker(&workers[0]);
    ask(slot, 1, 0);
    wait_until(workers[0].heard_request == 1);
    const struct msg_worker_leaving leaving = {0};
    (void)link_send(workers[0].link, (struct envelope){0}, MSG_worker_leaving, &leaving);
    wait_until(slot_count(workers[0].released) == SLOT_COUNT / 2);
    ask(slot, 2, 0); /* waits: the slot has not been let go yet */
    const struct msg_health_told told = {.has = HAS_health_told_serving, .serving = 1};
    (void)link_send(workers[0].link,
                    (struct envelope){.correlation = workers[0].request_correlation},
                    MSG_health_told, &told);
    wait_until(gateway.answered_correlation == 1);
    cr_assert_eq(gateway.heard_refused, 0);
    const struct msg_slots_released released = {
        .has = HAS_slots_released_slots,
        .slots = {(const char *)workers[0].released, SLOT_BYTES},
    };
    (void)link_send(workers[0].link, (struct envelope){0}, MSG_slots_released, &released);
    wait_until(gateway.answered_correlation == 2);
    cr_assert_eq(slot_count(workers[1].assigned), SLOT_COUNT);
    cr_assert_eq(gateway.heard_refused, 0);
}
