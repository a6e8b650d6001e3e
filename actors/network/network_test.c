/* The real handlers and sockets, with a vault that does what the test wants. */
#include "network.h"

#include "clock.h"
#include "home_for_tests.h"
#include "test_card.h"
#include "three_d_secure.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

enum { PATIENCE_MS = 20000, ANSWERS_MAX = 64 };

struct answer {
    uint64_t correlation, operation, outcome;
    int64_t amount;
    bool bypass_pending;
    uint64_t risk;
    char code[64], network_id[64], cvc_check[16];
};

enum vault_mood { VAULT_ANSWERS, VAULT_KEEPS_SILENT, VAULT_IS_BUSY, VAULT_KNOWS_NOTHING };

static struct {
    struct node *node;
    struct loop *loop;
    struct network *network;
} simulator;

static struct {
    struct node *node;
    struct loop *loop;
    struct link *link;
    enum vault_mood mood;
    const char *number;
    int asked, pongs;
} vault;

static struct {
    struct node *node;
    struct loop *loop;
    struct link *link;
    struct answer answers[ANSWERS_MAX];
    int count;
    int refused, pongs;
} payments;

/* --- the three processes
 * -------------------------------------------------------------------------- */

static void
vault_on_packet(void *state, struct link *from, const struct packet *packet)
{
    (void)state;
    struct msg_card_reveal ask;
    const struct envelope back = {.to = &packet->peer, .correlation = packet->correlation};
    if (packet->number == MSG_pong) {
        vault.pongs++;
        return;
    }
    cr_assert(packet_decode(from, packet, MSG_card_reveal, &ask));
    vault.asked++;
    if (vault.mood == VAULT_KEEPS_SILENT) return;
    if (vault.mood == VAULT_IS_BUSY) {
        const struct msg_refused busy = {
            .has = HAS_refused_code | HAS_refused_reason, .code = TEXT("busy"), .reason = TEXT("")};
        cr_assert(link_send(from, back, MSG_refused, &busy));
        return;
    }
    struct msg_card_revealed revealed = {.has = HAS_card_revealed_known};
    if (vault.mood == VAULT_ANSWERS)
        revealed = (struct msg_card_revealed){
            .has = HAS_card_revealed_known | HAS_card_revealed_number |
                   HAS_card_revealed_exp_month | HAS_card_revealed_exp_year |
                   (ask.has & HAS_card_reveal_cvc ? HAS_card_revealed_cvc : 0),
            .known = 1,
            .number = text_of(vault.number),
            .exp_month = 12,
            .exp_year = 2199,
            .cvc = TEXT("123"),
        };
    cr_assert(link_send(from, back, MSG_card_revealed, &revealed));
    /* Its pong tells that the card has been taken, and the turn that took it is over. */
    cr_assert(link_send(from, back, MSG_ping, &(struct msg_ping){0}));
}

#define COPY(member, text)                                                    \
    snprintf(answer->member, sizeof answer->member, "%.*s", (int)(text).size, \
             (text).at ? (text).at : "")

static void
payments_on_packet(void *state, struct link *from, const struct packet *packet)
{
    (void)state;
    struct msg_network_answer told;
    if (packet->number == MSG_pong) {
        payments.pongs++;
        return;
    }
    if (packet->number == MSG_refused) {
        payments.refused++;
        return;
    }
    cr_assert(payments.count < ANSWERS_MAX);
    struct answer *answer = &payments.answers[payments.count++];
    cr_assert(packet_decode(from, packet, MSG_network_answer, &told));
    *answer = (struct answer){packet->correlation,
                              told.operation,
                              told.outcome,
                              told.amount,
                              told.bypass_pending == 1,
                              told.risk,
                              "",
                              "",
                              ""};
    COPY(code, told.code);
    COPY(network_id, told.network_id);
    COPY(cvc_check, told.cvc_check);
}

static void
start_simulator(void)
{
    simulator.node = node_start(home, "network-1");
    simulator.loop = loop_new(simulator.node);
    simulator.network = network_new(simulator.loop);
}

static void
stop_simulator(void)
{
    network_destroy(&simulator.network);
    loop_destroy(&simulator.loop);
    node_stop(&simulator.node);
}

static void
start_vault(void)
{
    vault.node = node_start(home, "vault-1");
    vault.loop = loop_new(vault.node);
    vault.link = loop_bind(vault.loop, LINK_vault_reveal, vault_on_packet, NULL);
}

static void
start_all(void)
{
    home_make();
    node_make_keys(home, "network-1");
    node_make_keys(home, "vault-1");
    node_make_keys(home, "payments-1");
    vault.number = "4999990000000007";
    start_vault();
    start_simulator();
    payments.node = node_start(home, "payments-1");
    payments.loop = loop_new(payments.node);
    payments.link = loop_connect(payments.loop, LINK_network_requests, 1, payments_on_packet, NULL);
}

static void
stop_all(void)
{
    loop_destroy(&payments.loop);
    node_stop(&payments.node);
    stop_simulator();
    loop_destroy(&vault.loop);
    node_stop(&vault.node);
    home_remove();
}

TestSuite(network, .init = start_all, .fini = stop_all, .timeout = 100);

static void
turn(void)
{
    loop_once(payments.loop, 1);
    loop_once(simulator.loop, 1);
    if (vault.loop) loop_once(vault.loop, 1);
}

#define TURN_UNTIL(condition)                                                          \
    do {                                                                               \
        const int64_t end_ms = clock_mono_ms() + PATIENCE_MS;                          \
        while (!(condition)) {                                                         \
            cr_assert(clock_mono_ms() < end_ms, "waited in vain for: %s", #condition); \
            turn();                                                                    \
        }                                                                              \
    } while (0)

/* --- asking
 * ----------------------------------------------------------------------------------------- */

/* Sends until there is a pipe to send into. Returns the correlation. */
static uint64_t
send_request(const struct msg_network_request *request)
{
    const struct envelope envelope = {.correlation = link_next_correlation()};
    TURN_UNTIL(link_send(payments.link, envelope, MSG_network_request, request));
    return envelope.correlation;
}

static uint64_t
send_authorize(const char *reference, int64_t amount)
{
    const struct msg_network_request request = {
        .has = HAS_network_request_reference | HAS_network_request_operation |
               HAS_network_request_amount | HAS_network_request_currency |
               HAS_network_request_token | HAS_network_request_cvc | HAS_network_request_merchant |
               HAS_network_request_capture,
        .reference = text_of(reference),
        .operation = NETWORK_AUTHORIZE,
        .amount = amount,
        .currency = TEXT("usd"),
        .token = TEXT("card_0001"),
        .cvc = TEXT("cvc_0001"),
        .merchant = TEXT("acct_one"),
        .capture = 1,
    };
    return send_request(&request);
}

static uint64_t
send_about(enum network_operation operation, const char *reference)
{
    const struct msg_network_request request = {
        .has = HAS_network_request_reference | HAS_network_request_operation |
               HAS_network_request_merchant,
        .reference = text_of(reference),
        .operation = operation,
        .merchant = TEXT("acct_one"),
    };
    return send_request(&request);
}

static const struct answer *
answer_to(uint64_t correlation)
{
    for (int i = 0; i < payments.count; i++)
        if (payments.answers[i].correlation == correlation) return &payments.answers[i];
    return NULL;
}

static const struct answer *
await(uint64_t correlation)
{
    TURN_UNTIL(answer_to(correlation));
    return answer_to(correlation);
}

/* When the pong is there, what was sent before the ping has been taken. */
static void
wait_until_taken(void)
{
    const int before = payments.pongs;
    const struct envelope envelope = {.correlation = link_next_correlation()};
    TURN_UNTIL(link_send(payments.link, envelope, MSG_ping, &(struct msg_ping){0}));
    TURN_UNTIL(payments.pongs > before);
}

static void
set_faults(const char *words)
{
    write_in_home("network/faults", words, 0600);
}

#define EXPECT(correlation, expected) \
    cr_expect(eq(u64, await(correlation)->outcome, OUTCOME_##expected))

/* --- promises
 * --------------------------------------------------------------------------------------- */

Test(network, a_card_is_answered_as_its_row_says)
{
    char reference[32];
    for (size_t i = 0; i < test_card_count; i++) {
        const struct test_effect_row *effect = test_effect(test_cards[i].effect);
        const enum asks asks = three_d_secure_of(text_of(test_cards[i].number))->asks;
        const bool is_blocked = effect->risk == RISK_BLOCKED || effect->risk == RISK_HIGHEST;
        snprintf(reference, sizeof reference, "att_%zu", i);
        vault.number = test_cards[i].number;
        payments.count = 0;
        const struct answer *answer = await(send_authorize(reference, 1000));
        if (asks == ASKS_NEVER || asks == ASKS_IN_VAIN) {
            const char *decline = is_blocked             ? "fraudulent"
                                  : asks == ASKS_IN_VAIN ? "generic_decline"
                                                         : effect->decline;
            cr_expect(eq(u64, answer->outcome, *decline ? OUTCOME_DECLINED : OUTCOME_APPROVED));
            cr_expect(eq(str, (char *)answer->code, (char *)decline));
        } else {
            cr_expect(eq(u64, answer->outcome, OUTCOME_CHALLENGED));
        }
        /* The issuer of what is blocked was not asked. As the settings are, the highest risk is. */
        const char *check = is_blocked ? "unchecked" : card_check_name(effect->code);
        cr_expect(eq(str, (char *)answer->cvc_check, (char *)check));
        cr_expect(eq(u64, answer->risk, (uint64_t)(is_blocked ? RISK_BLOCKED : effect->risk)));
        cr_expect(eq(int, answer->bypass_pending, effect->at_once));
        cr_expect(eq(i64, answer->amount, 1000));
    }
}

Test(network, an_authorization_that_comes_twice_at_once_is_done_once)
{
    vault.mood = VAULT_KEEPS_SILENT;
    const uint64_t first = send_authorize("att_a", 1000);
    TURN_UNTIL(vault.asked == 1);
    vault.mood = VAULT_ANSWERS;
    const uint64_t second = send_authorize("att_a", 1000);
    const uint64_t inquiry = send_about(NETWORK_INQUIRE, "att_a");
    /* The vault was asked once and has not answered: nobody is told anything before that. */
    TURN_UNTIL(payments.count == 3);
    cr_expect(eq(int, vault.asked, 1));
    cr_expect(eq(u64, answer_to(first)->outcome, OUTCOME_NEVER_SENT));
    cr_expect(eq(u64, answer_to(second)->outcome, OUTCOME_NEVER_SENT));
    cr_expect(eq(u64, answer_to(inquiry)->outcome, OUTCOME_REVERSED), "its tombstone stands");
    EXPECT(send_authorize("att_a", 1000), REVERSED);

    const uint64_t one = send_authorize("att_b", 1000), two = send_authorize("att_b", 1000);
    EXPECT(one, APPROVED);
    EXPECT(two, APPROVED);
    cr_expect(eq(str, (char *)answer_to(one)->network_id, (char *)answer_to(two)->network_id));
    EXPECT(send_about(NETWORK_INQUIRE, "att_b"), APPROVED);
    EXPECT(send_about(NETWORK_INQUIRE, "att_c"), NOT_FOUND);
}

Test(network, a_reversal_while_it_is_decided_wins)
{
    vault.mood = VAULT_IS_BUSY;
    const uint64_t authorization = send_authorize("att_a", 1000);
    TURN_UNTIL(vault.asked > 0);
    EXPECT(send_about(NETWORK_REVERSE, "att_a"), REVERSED);
    vault.mood = VAULT_ANSWERS;
    EXPECT(authorization, REVERSED);
    EXPECT(send_about(NETWORK_INQUIRE, "att_a"), REVERSED);
}

Test(network, a_busy_vault_is_asked_again)
{
    vault.mood = VAULT_IS_BUSY;
    const uint64_t authorization = send_authorize("att_a", 1000);
    TURN_UNTIL(vault.asked > 3);
    vault.mood = VAULT_ANSWERS;
    EXPECT(authorization, APPROVED);
}

Test(network, without_a_card_nothing_was_sent)
{
    vault.mood = VAULT_KNOWS_NOTHING;
    EXPECT(send_authorize("att_a", 1000), NEVER_SENT);
    vault.mood = VAULT_ANSWERS;
    EXPECT(send_authorize("att_a", 1000), REVERSED);
}

Test(network, without_a_vault_nothing_was_sent)
{
    loop_destroy(&vault.loop);
    node_stop(&vault.node);
    EXPECT(send_authorize("att_a", 1000), NEVER_SENT);
    start_vault();
    EXPECT(send_authorize("att_b", 1000), APPROVED);
}

Test(network, what_is_not_whole_or_not_the_same_is_refused)
{
    (void)send_about(NETWORK_CAPTURE, "att_c");
    TURN_UNTIL(payments.refused == 1);
    EXPECT(send_authorize("att_a", 1000), APPROVED);
    (void)send_authorize("att_a", 1001);
    TURN_UNTIL(payments.refused == 2);
    vault.mood = VAULT_KEEPS_SILENT;
    (void)send_authorize("att_b", 1000);
    (void)send_authorize("att_b", 1001);
    TURN_UNTIL(payments.refused == 3);
}

Test(network, what_was_answered_is_there_after_a_restart)
{
    const struct answer before = *await(send_authorize("att_a", 1000));
    stop_simulator();
    start_simulator();
    const struct answer *after = await(send_authorize("att_a", 1000));
    cr_expect(eq(u64, after->outcome, OUTCOME_APPROVED));
    cr_expect(eq(str, (char *)after->network_id, (char *)before.network_id));
    cr_expect(eq(int, vault.asked, 1));
}

/* --- faults
 * ------------------------------------------------------------------------------------------- */

Test(network, silent_it_does_and_does_not_tell)
{
    set_faults("silent=1\n");
    const uint64_t unheard = send_authorize("att_a", 1000);
    TURN_UNTIL(vault.pongs == 1);
    set_faults("");
    EXPECT(send_about(NETWORK_INQUIRE, "att_a"), APPROVED);
    cr_expect(answer_to(unheard) == NULL);
}

Test(network, a_double_answer_is_the_same_twice)
{
    set_faults("double=1\n");
    (void)send_authorize("att_a", 1000);
    TURN_UNTIL(payments.count == 2);
    cr_expect(eq(u64, payments.answers[0].correlation, payments.answers[1].correlation));
    cr_expect(
        eq(str, (char *)payments.answers[0].network_id, (char *)payments.answers[1].network_id));
}

Test(network, what_is_lost_has_no_answer_and_one_effect_at_most)
{
    set_faults("lose_percent=100\n");
    for (int i = 0; i < 20; i++) {
        char reference[32];
        snprintf(reference, sizeof reference, "att_%d", i);
        (void)send_authorize(reference, 1000);
    }
    wait_until_taken();
    TURN_UNTIL(vault.pongs == vault.asked);
    set_faults("");
    const int told = payments.count;
    EXPECT(send_authorize("att_last", 1000), APPROVED);
    cr_expect(lt(int, told, 20));
    cr_expect(le(int, vault.asked, 21));
}

Test(network, delayed_it_finds_the_tombstone_of_a_reversal_that_was_faster)
{
    set_faults("delay_ms=2000\n");
    const uint64_t authorization = send_authorize("att_a", 1000);
    wait_until_taken();
    set_faults("");
    EXPECT(send_about(NETWORK_INQUIRE, "att_a"), NOT_FOUND);
    EXPECT(send_about(NETWORK_REVERSE, "att_a"), REVERSED);
    EXPECT(authorization, REVERSED);
    cr_expect(zero(int, vault.asked));
}

Test(network, late_the_answer_comes_after_the_effect)
{
    set_faults("late_ms=300\n");
    const uint64_t authorization = send_authorize("att_a", 1000);
    TURN_UNTIL(vault.pongs == 1);
    set_faults("");
    EXPECT(send_about(NETWORK_INQUIRE, "att_a"), APPROVED);
    EXPECT(authorization, APPROVED);
}
