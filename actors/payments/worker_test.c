/* A real worker between a broker, two ledgers and a network that a test plays: what is said to
 * whom, and in what order. Handlers and the store are small ones of the test. */
#include "worker.h"

#include "attempt.h"
#include "clock.h"
#include "files.h"
#include "log.h"
#include "node.h"
#include "refund_life.h"
#include "store_inside.h"
#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, SAID_MAX = 256 };

#define MERCHANT "acct_abcde"
#define INTENT "pi_000000000001"
#define HASH "0123456789abcdef0123456789abcdef"
#define OTHER_HASH "fedcba9876543210fedcba9876543210"

/* --- what was said, by whom, in order -------------------------------------------------------- */

/* One thing that the world heard from the worker. */
struct said {
    uint16_t number;
    uint64_t correlation, verdict, claim, urgency, repeated, epoch;
    uint64_t status, retry, stored, operation;
    uint8_t id[16];
    char state[16]; /* of the attempt in a commit */
    char body[64], code[32];
};

static struct world {
    struct node *nodes[5];
    struct loop *loops[5];
    struct link *back, *commands[2], *requests;
    struct peer worker_peer, ledger_peer[2];
    struct worker *worker;
    struct said said[SAID_MAX];
    int count, answers;
    struct said last_answer;
    uint64_t epoch; /* of slots */
    bool held;
    int leader; /* 0 or 1; -1: none */
    /* The parts that are played. */
    uint64_t verdict; /* for the next commit, then DONE again */
    bool ledger_silent, network_silent, take_silent;
    struct envelope take; /* how to answer the last slots_take */
    int takes, given_back;
    uint64_t outcome[8]; /* by operation; 0: no answer */
} world;

static struct said *
note(uint16_t number, uint64_t correlation)
{
    cr_assert_lt(world.count, SAID_MAX);
    struct said *said = &world.said[world.count++];
    *said = (struct said){.number = number, .correlation = correlation};
    return said;
}

static void
copy(char *to, size_t cap, struct text text)
{
    snprintf(to, cap, "%.*s", (int)text.size, text.at ? text.at : "");
}

/* --- the broker ------------------------------------------------------------------------------ */

static void
assign_all(void)
{
    uint8_t all[SLOT_BYTES];
    memset(all, 0xff, sizeof all);
    const struct msg_slots_assign assign = {HAS_slots_assign_slots,
                                            {(const char *)all, sizeof all}};
    link_send(world.back, (struct envelope){.to = &world.worker_peer}, MSG_slots_assign, &assign);
}

static void
on_broker(void *state, struct link *from, const struct packet *packet)
{
    struct msg_api_answer answer;
    struct msg_refused refused;
    (void)state;
    world.worker_peer = packet->peer;
    switch (packet->number) {
    case MSG_worker_ready:
        note(packet->number, 0);
        assign_all();
        return;
    case MSG_slots_held: world.held = true; return;
    case MSG_slots_released: world.given_back++; return;
    case MSG_api_answer:
        cr_assert(packet_decode(from, packet, MSG_api_answer, &answer));
        {
            struct said *said = note(packet->number, packet->correlation);
            said->status = answer.status;
            said->retry = answer.retry;
            said->stored = answer.stored;
            copy(said->body, sizeof said->body, answer.body);
            world.last_answer = *said;
        }
        world.answers++;
        return;
    case MSG_refused:
        cr_assert(packet_decode(from, packet, MSG_refused, &refused));
        copy(note(packet->number, packet->correlation)->code, 32, refused.code);
        world.last_answer = world.said[world.count - 1];
        world.answers++;
        return;
    default: return;
    }
}

static void
ask_all_back(void)
{
    uint8_t all[SLOT_BYTES];
    memset(all, 0xff, sizeof all);
    const struct msg_slots_release release = {HAS_slots_release_slots,
                                              {(const char *)all, sizeof all}};
    link_send(world.back, (struct envelope){.to = &world.worker_peer}, MSG_slots_release, &release);
}

/* --- the ledgers ----------------------------------------------------------------------------- */

static void
grant(struct link *from, struct text slots)
{
    const struct msg_slots_taken taken = {HAS_slots_taken_slots | HAS_slots_taken_epoch, slots,
                                          ++world.epoch};
    world.take.to = &world.ledger_peer[from == world.commands[1]];
    link_send(from, world.take, MSG_slots_taken, &taken);
}

static void
grant_all(struct link *from)
{
    uint8_t all[SLOT_BYTES];
    memset(all, 0xff, sizeof all);
    grant(from, (struct text){(const char *)all, sizeof all});
}

static void
answer_commit(struct link *from, const struct packet *packet, struct said *said)
{
    struct msg_committed committed = {
        .has = HAS_committed_id | HAS_committed_verdict,
        .id = {(const char *)said->id, sizeof said->id},
        .verdict = world.verdict ? world.verdict : COMMIT_DONE,
    };
    if (committed.verdict == COMMIT_ANSWERED) {
        committed.has |= HAS_committed_status | HAS_committed_body | HAS_committed_original_request;
        committed.status = 200;
        committed.body = TEXT("{\"old\":1}");
        committed.original_request = TEXT("req_old");
    }
    said->verdict = committed.verdict;
    world.verdict = 0;
    link_send(from, (struct envelope){.to = &packet->peer, .correlation = packet->correlation},
              MSG_committed, &committed);
}

static void
on_commit(struct link *from, const struct packet *packet)
{
    struct msg_commit commit;
    struct msg_row_write write;
    struct row_attempt attempt;
    enum message_verdict verdict;
    cr_assert(packet_decode(from, packet, MSG_commit, &commit));
    cr_assert_eq(packet->slot, slot_of(commit.merchant));
    struct said *said = note(packet->number, packet->correlation);
    said->claim = commit.claim;
    said->urgency = commit.urgency;
    said->repeated = commit.repeated;
    said->epoch = commit.epoch;
    said->status = commit.status;
    memcpy(said->id, commit.id.at, sizeof said->id);
    while (message_next(&commit.rows, MSG_row_write, &write, &verdict))
        if (write.table == ROW_attempt) {
            cr_assert(row_decode(ROW_attempt, (const uint8_t *)write.values.at, write.values.size,
                                 &attempt));
            copy(said->state, sizeof said->state, attempt.state);
        }
    if (!world.ledger_silent) answer_commit(from, packet, said);
}

static void
on_ledger(void *state, struct link *from, const struct packet *packet)
{
    const int which = from == world.commands[1];
    struct msg_slots_take take;
    (void)state;
    world.ledger_peer[which] = packet->peer;
    const struct envelope back = {.to = &packet->peer, .correlation = packet->correlation};
    if (packet->number == MSG_ledger_beat) {
        const struct msg_ledger_told told = {HAS_ledger_told_leading | HAS_ledger_told_epoch,
                                             world.leader == which, (uint64_t)(which + 1)};
        link_send(from, back, MSG_ledger_told, &told);
    } else if (packet->number == MSG_slots_take) {
        cr_assert(packet_decode(from, packet, MSG_slots_take, &take));
        world.take.correlation = packet->correlation;
        world.takes++;
        if (!world.take_silent) grant(from, take.slots);
    } else if (packet->number == MSG_commit) {
        on_commit(from, packet);
    }
}

/* --- the network ----------------------------------------------------------------------------- */

static void
on_network(void *state, struct link *from, const struct packet *packet)
{
    struct msg_network_request request;
    (void)state;
    if (packet->number != MSG_network_request) return;
    cr_assert(packet_decode(from, packet, MSG_network_request, &request));
    note(packet->number, packet->correlation)->operation = request.operation;
    const uint64_t outcome = world.outcome[request.operation];
    if (!outcome) return;
    const struct msg_network_answer answer = {
        .has = HAS_network_answer_reference | HAS_network_answer_operation |
               HAS_network_answer_outcome,
        .reference = request.reference,
        .operation = request.operation,
        .outcome = outcome,
    };
    link_send(from, (struct envelope){.to = &packet->peer, .correlation = packet->correlation},
              MSG_network_answer, &answer);
}

/* --- the test's own handlers ----------------------------------------------------------------- */

static char last_customer[64];

static void
make_customer(struct call *call)
{
    struct row_customer *row = call_new_row(call, ROW_customer);
    row->id = call_new_id(call, "cus_");
    copy(last_customer, sizeof last_customer, row->id);
    row->merchant = call->merchant;
    row->created = call->now_s;
    call_insert(call, ROW_customer, row);
    call_answer(call, 200, TEXT("{\"customer\":1}"));
}

#define CHARGE "ch_000000000001"

/* Whose hold it is that is captured. */
static void
keep_charge(struct text merchant, int64_t amount, int64_t captured)
{
    struct row_charge charge;
    row_clear(ROW_charge, &charge);
    charge.id = TEXT(CHARGE);
    charge.merchant = merchant;
    charge.version = 1;
    charge.amount = amount;
    charge.amount_captured = captured;
    store_wrote(world.worker->store, ROW_charge, &charge);
}

static void
confirm(struct call *call)
{
    struct row_payment_intent *pi = call_new_row(call, ROW_payment_intent);
    struct row_attempt *attempt = call_new_row(call, ROW_attempt);
    if (!call_lock(call, call->object)) return;
    pi->id = call->object;
    pi->merchant = call->merchant;
    attempt->id = pi->attempt = call_new_id(call, "att_");
    attempt->operation = TEXT("capture");
    attempt->amount = 1000;
    attempt->currency = TEXT("usd");
    attempt->payment_intent = pi->id;
    attempt->charge = TEXT(CHARGE);
    keep_charge(call->merchant, 0, 0);
    call_insert(call, ROW_payment_intent, pi);
    call_begin_attempt(call, attempt, NULL);
}

#define REFUND "re_000000000001"

/* One that the network has taken and wants to be asked about again. */
static void
make_refund(struct call *call)
{
    struct row_refund *refund = call_new_row(call, ROW_refund);
    refund->id = TEXT(REFUND);
    refund->merchant = call->merchant;
    refund->amount = 500;
    refund->currency = TEXT("usd");
    refund->charge = TEXT(CHARGE);
    refund->attempt = TEXT("att_00000000001");
    refund->slot = slot_of(call->merchant);
    refund->follow_at = call->now_s;
    call_insert(call, ROW_refund, refund);
    call_answer(call, 200, TEXT("{\"refund\":1}"));
}

void
refund_followed(struct call *call, struct text id, const struct msg_network_answer *answer)
{
    struct row_refund *refund = call_new_row(call, ROW_refund);
    cr_assert_eq(answer->outcome, OUTCOME_APPROVED);
    cr_assert(call_get(call, ROW_refund, id, refund));
    refund->follow_at = NO_NUMBER;
    call_update(call, ROW_refund, refund);
    call_answer(call, 200, TEXT("{}"));
}

handler_fn *
handler_of(enum route_number route)
{
    switch (route) {
    case ROUTE_refund_create: return make_refund;
    case ROUTE_customer_create: return make_customer;
    case ROUTE_payment_intent_confirm: return confirm;
    default: return NULL;
    }
}

static const char *
last_state(uint64_t outcome)
{
    switch (outcome) {
    case OUTCOME_APPROVED: return "approved";
    case OUTCOME_REVERSED: return "reversed";
    case OUTCOME_NEVER_SENT: return "never_sent";
    default: return "declined";
    }
}

void
checkout_expire_due(struct call *call)
{
    call_answer(call, 200, TEXT("{}"));
}

void
challenge_expire_due(struct call *call)
{
    call_answer(call, 200, TEXT("{}"));
}

void
hold_expired(struct call *call)
{
    call_answer(call, 200, TEXT("{}"));
}

void
attempt_finished(struct call *call, struct row_attempt *attempt,
                 const struct msg_network_answer *answer)
{
    attempt->state = text_of(last_state(answer->outcome));
    call_update(call, ROW_attempt, attempt);
    call_answer(call, answer->outcome == OUTCOME_APPROVED ? 200 : 402,
                arena_format(call->arena, "{\"%s\":1}", last_state(answer->outcome)));
}

/* --- the stage ------------------------------------------------------------------------------- */

static char home[64];

static int
remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status, (void)kind, (void)walk;
    return remove(path);
}

static void
raise_curtain(void)
{
    static const char *const names[] = {"broker-1", "ledger-1", "ledger-2", "network-1",
                                        "payments-1"};
    static struct settings settings = {.partitions = 1};
    snprintf(home, sizeof home, "/tmp/florin-worker-XXXXXX");
    if (!mkdtemp(home)) abort();
    for (int i = 0; i < 5; i++)
        node_make_keys(home, names[i]);
    for (int i = 0; i < 5; i++) {
        world.nodes[i] = node_start(home, names[i]);
        world.loops[i] = loop_new(world.nodes[i]);
    }
    log_start("test", LOG_ERROR);
    world.back = loop_bind(world.loops[0], LINK_broker_back, on_broker, NULL);
    world.commands[0] = loop_bind(world.loops[1], LINK_ledger_commands, on_ledger, NULL);
    world.commands[1] = loop_bind(world.loops[2], LINK_ledger_commands, on_ledger, NULL);
    world.requests = loop_bind(world.loops[3], LINK_network_requests, on_network, NULL);
    settings.network_timeout_ms = 20000;
    world.worker = worker_new(world.loops[4], &settings, NULL);
    for (int operation = 0; operation < 8; operation++)
        world.outcome[operation] = OUTCOME_APPROVED;
}

static void
lower_curtain(void)
{
    worker_destroy(&world.worker);
    for (int i = 4; i >= 0; i--) {
        loop_destroy(&world.loops[i]);
        node_stop(&world.nodes[i]);
    }
    nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(worker, .init = raise_curtain, .fini = lower_curtain, .timeout = 60);

static void
turn(void)
{
    for (int i = 0; i < 5; i++)
        loop_once(world.loops[i], i == 0);
}

#define TURN_UNTIL(until)                                                          \
    do {                                                                           \
        const int64_t end_ms = clock_mono_ms() + PATIENCE_MS;                      \
        while (!(until)) {                                                         \
            cr_assert(clock_mono_ms() < end_ms, "waited in vain for: %s", #until); \
            turn();                                                                \
        }                                                                          \
    } while (0)

static void
open_shop(void)
{
    TURN_UNTIL(world.held && network_is_there(world.worker));
    world.count = 0;
}

static void
serve(void)
{
    struct row_merchant merchant;
    row_clear(ROW_merchant, &merchant);
    merchant.id = merchant.merchant = TEXT(MERCHANT);
    merchant.version = 1;
    merchant.api_version = TEXT("2026-10-28.endive");
    store_wrote(world.worker->store, ROW_merchant, &merchant);
    open_shop();
}

/* A request as the broker forwards it. */
static void
send_request(uint64_t correlation, const char *route, const char *key, const char *hash)
{
    struct msg_api_request request = {
        .has = HAS_api_request_merchant | HAS_api_request_request | HAS_api_request_route |
               HAS_api_request_object | HAS_api_request_publishable | HAS_api_request_livemode |
               HAS_api_request_api_version,
        .merchant = TEXT(MERCHANT),
        .request = TEXT("req_1"),
        .route = text_of(route),
        .object = TEXT(INTENT),
        .api_version = TEXT("2026-10-28.endive"),
    };
    if (key) {
        request.has |= HAS_api_request_key | HAS_api_request_request_hash | HAS_api_request_path;
        request.key = text_of(key);
        request.request_hash = text_of(hash);
        request.path = TEXT("POST /v1/x");
    }
    const struct envelope envelope = {
        .to = &world.worker_peer,
        .slot = slot_of(TEXT(MERCHANT)),
        .correlation = correlation,
        .deadline_ms = clock_wall_ms() + 10000,
    };
    cr_assert(link_send(world.back, envelope, MSG_api_request, &request));
}

/* The n-th thing said was a commit with an attempt in this state. */
static void
expect_commit(int n, const char *state, uint64_t claim)
{
    cr_assert_lt(n, world.count);
    cr_expect_eq(world.said[n].number, MSG_commit, "thing %d", n);
    cr_expect_str_eq(world.said[n].state, state, "thing %d", n);
    cr_expect_eq(world.said[n].claim, claim, "thing %d", n);
}

static void
expect_asked(int n, uint64_t operation)
{
    cr_assert_lt(n, world.count);
    cr_expect_eq(world.said[n].number, MSG_network_request, "thing %d", n);
    cr_expect_eq(world.said[n].operation, operation, "thing %d", n);
}

/* --- the plays ------------------------------------------------------------------------------- */

Test(worker, an_attempt_is_durable_then_asked_then_booked_then_told)
{
    serve();
    send_request(7, "payment_intent_confirm", "k1", HASH);
    TURN_UNTIL(world.answers == 1);
    expect_commit(0, "sending", 1);
    cr_expect_eq(world.said[0].status, 0, "there is no answer to keep yet");
    expect_asked(1, NETWORK_CAPTURE);
    expect_commit(2, "approved", 2);
    cr_expect_eq(world.said[2].status, 200);
    cr_expect_eq(world.said[2].urgency, 1);
    cr_expect_eq(world.last_answer.status, 200);
    cr_expect_eq(world.last_answer.stored, 1);
    cr_expect_eq(world.last_answer.correlation, 7);
    cr_expect_eq(world.worker->jobs_busy, 0);
}

static int
commits_said(void)
{
    int commits = 0;
    for (int i = 0; i < world.count; i++)
        commits += world.said[i].number == MSG_commit;
    return commits;
}

Test(worker, a_hundred_requests_with_one_key_ask_the_ledger_once)
{
    serve();
    world.outcome[NETWORK_CAPTURE] = 0;
    for (uint64_t i = 1; i <= 100; i++)
        send_request(i, "payment_intent_confirm", "k1", HASH);
    send_request(101, "payment_intent_confirm", "k1", OTHER_HASH);
    TURN_UNTIL(world.answers == 100 && commits_said() > 0); /* on two sockets: in any order */
    int conflicts = 0, mismatches = 0;
    for (int i = 0; i < world.count; i++) {
        if (world.said[i].number != MSG_api_answer) continue;
        conflicts += world.said[i].status == 409 && world.said[i].retry == 1;
        mismatches += world.said[i].status == 400;
    }
    cr_expect_eq(conflicts, 99);
    cr_expect_eq(mismatches, 1);
    cr_expect_eq(commits_said(), 1);
}

Test(worker, what_the_network_does_not_know_is_reversed_and_the_decision_is_durable_first)
{
    serve();
    world.worker->settings.network_timeout_ms = 50;
    world.outcome[NETWORK_CAPTURE] = 0;
    world.outcome[NETWORK_INQUIRE] = OUTCOME_NOT_FOUND;
    world.outcome[NETWORK_REVERSE] = OUTCOME_REVERSED;
    send_request(7, "payment_intent_confirm", "k1", HASH);
    TURN_UNTIL(world.worker->jobs_busy == 0 && world.answers == 1);
    expect_commit(0, "sending", 1);
    expect_asked(1, NETWORK_CAPTURE);
    cr_expect_eq(world.last_answer.status, 504);
    cr_expect_eq(world.last_answer.retry, 1);
    int at = 2; /* the client is told somewhere between the next ones */
    for (int i = 2; i < world.count; i++)
        if (world.said[i].number != MSG_api_answer) world.said[at++] = world.said[i];
    world.count = at;
    expect_commit(2, "unknown", 0);
    expect_asked(3, NETWORK_INQUIRE);
    expect_commit(4, "reversing", 0);
    expect_asked(5, NETWORK_REVERSE);
    expect_commit(6, "reversed", 2);
    cr_expect_eq(world.said[6].status, 402);
}

static int
count_said(uint16_t number)
{
    int count = 0;
    for (int i = 0; i < world.count; i++)
        count += world.said[i].number == number;
    return count;
}

Test(worker, a_refund_that_is_due_is_inquired_until_what_is_heard_is_booked)
{
    serve();
    world.outcome[NETWORK_INQUIRE] = 0; /* the first question gets no answer */
    send_request(7, "refund_create", NULL, NULL);
    TURN_UNTIL(world.answers == 1);
    TURN_UNTIL(count_said(MSG_network_request) == 1);
    cr_expect_eq(count_said(MSG_commit), 1);
    world.outcome[NETWORK_INQUIRE] = OUTCOME_APPROVED;
    TURN_UNTIL(count_said(MSG_commit) == 2);
    cr_expect_eq(count_said(MSG_network_request), 2);
    const struct said *last = &world.said[world.count - 1];
    cr_expect_eq(last->number, MSG_commit);
    cr_expect_eq(last->urgency, 1);
    cr_expect_eq(last->claim, 0);
    TURN_UNTIL(world.worker->jobs_busy == 0);
    cr_expect_eq(world.answers, 1, "nobody is told");
}

Test(worker, what_an_inquiry_finds_is_adopted)
{
    serve();
    world.worker->settings.network_timeout_ms = 50;
    world.outcome[NETWORK_CAPTURE] = 0;
    send_request(7, "payment_intent_confirm", NULL, NULL);
    TURN_UNTIL(world.answers == 1 && world.worker->jobs_busy == 0);
    cr_expect_str_eq(world.said[world.count - 1].state, "approved");
    cr_expect_eq(world.said[world.count - 1].claim, 0, "there is no key");
}

/* A capture that somebody else began, as the rows in memory say. */
static void
keep_open_capture(int64_t amount, int64_t captured)
{
    struct row_attempt attempt;
    struct row_payment_intent pi;
    row_clear(ROW_attempt, &attempt);
    row_clear(ROW_payment_intent, &pi);
    attempt.id = pi.attempt = TEXT("att_000000000001");
    attempt.merchant = pi.merchant = TEXT(MERCHANT);
    attempt.version = pi.version = 1;
    attempt.state = TEXT("sending");
    attempt.operation = TEXT("capture");
    attempt.amount = 1000;
    attempt.currency = TEXT("usd");
    attempt.payment_intent = pi.id = TEXT(INTENT);
    attempt.charge = TEXT(CHARGE);
    attempt.key = TEXT("k1");
    attempt.request = TEXT("req_0");
    pi.amount = pi.amount_capturable = amount;
    store_wrote(world.worker->store, ROW_attempt, &attempt);
    store_wrote(world.worker->store, ROW_payment_intent, &pi);
    keep_charge(pi.merchant, amount, captured);
}

Test(worker, an_open_attempt_of_a_slot_that_is_taken_over_is_finished)
{
    keep_open_capture(1000, 0);
    world.outcome[NETWORK_INQUIRE] = 0;
    serve();
    send_request(8, "payment_intent_confirm", "k1", HASH);
    TURN_UNTIL(world.answers == 1);
    cr_expect_eq(world.last_answer.status, 409, "its key is in use");
    world.outcome[NETWORK_INQUIRE] = OUTCOME_APPROVED;
    TURN_UNTIL(world.worker->jobs_busy == 0);
    cr_expect_str_eq(world.said[world.count - 1].state, "approved");
    cr_expect_eq(world.said[world.count - 1].claim, 2);
    cr_expect_eq(world.said[world.count - 1].status, 200);
}

/* The charge was read after another worker had captured it, the others before: it is not captured
 * again, and nobody falls over it. */
Test(worker, nothing_is_finished_by_rows_of_different_times)
{
    keep_open_capture(1000, 1000);
    world.outcome[NETWORK_INQUIRE] = OUTCOME_APPROVED;
    serve();
    TURN_UNTIL(world.worker->jobs_busy == 1 && world.worker->jobs[0]->tries > 1);
    for (int i = 0; i < world.count; i++)
        cr_expect_str_neq(world.said[i].state, "approved");
}

Test(worker, a_commit_that_is_not_answered_is_sent_to_the_next_leader_with_its_id)
{
    serve();
    world.ledger_silent = true;
    send_request(7, "customer_create", NULL, NULL);
    TURN_UNTIL(world.count == 1);
    world.ledger_silent = false;
    world.leader = 1;
    TURN_UNTIL(world.answers == 1);
    cr_expect_eq(world.said[0].repeated, 0);
    cr_expect_eq(world.said[1].repeated, 1);
    cr_expect_arr_eq(world.said[0].id, world.said[1].id, 16);
    cr_expect_eq(world.last_answer.status, 200);
}

Test(worker, a_stored_answer_is_replayed)
{
    serve();
    world.verdict = COMMIT_ANSWERED;
    send_request(7, "customer_create", "k1", HASH);
    TURN_UNTIL(world.answers == 1);
    cr_expect_str_eq(world.last_answer.body, "{\"old\":1}");
    cr_expect_eq(world.last_answer.stored, 1);
}

Test(worker, a_key_of_others_parameters_is_a_mismatch_and_an_open_one_is_in_use)
{
    serve();
    world.verdict = COMMIT_MISMATCH;
    send_request(7, "customer_create", "k1", HASH);
    TURN_UNTIL(world.answers == 1);
    cr_expect_eq(world.last_answer.status, 400);
    world.verdict = COMMIT_OPEN;
    send_request(8, "customer_create", "k2", HASH);
    TURN_UNTIL(world.answers == 2);
    cr_expect_eq(world.last_answer.status, 409);
}

Test(worker, what_was_decided_from_old_rows_is_decided_again)
{
    serve();
    world.verdict = COMMIT_STALE;
    send_request(7, "customer_create", NULL, NULL);
    TURN_UNTIL(world.answers == 1);
    cr_expect_eq(world.last_answer.status, 200);
    cr_expect_eq(world.said[0].verdict, COMMIT_STALE);
    cr_expect_eq(world.said[1].verdict, COMMIT_DONE);
    cr_expect(memcmp(world.said[0].id, world.said[1].id, 16) != 0, "it is another command");
}

Test(worker, a_fenced_worker_gives_the_slot_up_and_asks_for_its_place)
{
    serve();
    world.verdict = COMMIT_FENCED;
    send_request(7, "customer_create", NULL, NULL);
    TURN_UNTIL(world.answers == 1);
    cr_expect_str_eq(world.last_answer.code, "unroutable");
    TURN_UNTIL(world.said[world.count - 1].number == MSG_worker_ready);
    TURN_UNTIL(slots_held_count(world.worker) == SLOT_COUNT);
    world.count = 0;
    send_request(8, "customer_create", NULL, NULL);
    TURN_UNTIL(world.answers == 2);
    cr_expect_eq(world.last_answer.status, 200);
    cr_expect_gt(world.said[0].epoch, 1, "under its new epoch");
}

Test(worker, a_full_ledger_is_told_as_such)
{
    serve();
    world.verdict = COMMIT_BUSY;
    send_request(7, "customer_create", "k1", HASH);
    TURN_UNTIL(world.answers == 1);
    cr_expect_eq(world.last_answer.status, 503);
    cr_expect_eq(world.last_answer.retry, 1);
}

/* It is asked for all its slots, has asked the ledger for them, and then has to give them back.
 * What it is asked afterwards it answers after it has heard that. */
static void
ask_back_what_is_being_taken(void)
{
    world.take_silent = true;
    TURN_UNTIL(world.takes > 0);
    ask_all_back();
    send_request(7, "customer_create", NULL, NULL);
    TURN_UNTIL(world.answers == 1);
    cr_expect_str_eq(world.last_answer.code, "unroutable");
}

Test(worker, a_slot_that_is_being_taken_is_given_back_when_the_ledger_has_answered)
{
    ask_back_what_is_being_taken();
    cr_assert(world.worker->slots.take == 0 || world.given_back == 0,
              "its next owner would lose it");
    grant_all(world.commands[0]);
    TURN_UNTIL(world.given_back == 1);
    cr_expect_eq(world.worker->slots.take, 0);
    cr_expect_eq(slots_held_count(world.worker), 0);
    cr_expect(!world.held);
}

Test(worker, what_was_asked_back_is_not_asked_of_the_ledger_again)
{
    ask_back_what_is_being_taken();
    TURN_UNTIL(world.given_back == 1); /* when it would have been asked for again */
    cr_expect_eq(world.worker->slots.take, 0);
    grant_all(world.commands[0]); /* late */
    TURN_UNTIL(world.worker->slots.epoch[0] == world.epoch);
    cr_expect_eq(slots_held_count(world.worker), 0);
    cr_expect(!world.held);
}

/* From here on there is a database, and it does not answer: who has to read anew says so. */
static void
take_the_database_away(void)
{
    send_request(7, "customer_create", NULL, NULL);
    TURN_UNTIL(world.answers == 1);
    cr_assert_eq(world.last_answer.status, 200);
    char secrets[80];
    snprintf(secrets, sizeof secrets, "%s/secrets", home);
    cr_assert(mkdir(secrets, 0700) == 0);
    cr_assert(file_write(strcat(secrets, "/postgres_payments"), "none", 4, 0600));
    world.worker->store->database = database_new(home, 1);
    send_request(8, "customer_create", NULL, NULL);
    TURN_UNTIL(world.answers == 2);
    cr_assert_eq(world.last_answer.status, 200, "it remembers the merchant");
}

static void
expect_to_read_anew(void)
{
    send_request(9, "customer_create", NULL, NULL);
    TURN_UNTIL(world.answers == 3);
    cr_expect_eq(world.last_answer.status, 503, "and not what it remembers");
}

Test(worker, what_the_broker_took_for_dead_remembers_nothing)
{
    serve();
    take_the_database_away();
    link_send(world.back, (struct envelope){.to = &world.worker_peer}, MSG_worker_unknown,
              &(const struct msg_worker_unknown){0});
    expect_to_read_anew();
}

Test(worker, a_slot_that_is_granted_once_more_is_read_anew)
{
    serve();
    take_the_database_away();
    grant_all(world.commands[0]); /* the answer to a request that was repeated */
    TURN_UNTIL(world.worker->slots.epoch[0] == world.epoch);
    expect_to_read_anew();
}

Test(worker, a_slot_that_was_asked_back_and_is_assigned_again_is_read_anew)
{
    serve();
    take_the_database_away();
    world.ledger_silent = true; /* what is in flight keeps the slot a while */
    world.count = 0;
    send_request(6, "customer_create", NULL, NULL);
    TURN_UNTIL(world.count == 1);
    ask_all_back();
    TURN_UNTIL(slot_in(world.worker->slots.releasing, slot_of(TEXT(MERCHANT))));
    assign_all();
    expect_to_read_anew();
}

static bool
remembers_last_customer(void)
{
    struct arena *arena = arena_new(1 << 16);
    struct row_customer row;
    const bool found = store_get(world.worker->store, ROW_customer, TEXT(MERCHANT),
                                 text_of(last_customer), arena, &row) == STORE_FOUND;
    arena_destroy(&arena);
    return found;
}

/* What was written under the old epoch may have been replaced by whoever had the slot meanwhile. */
Test(worker, what_was_written_before_the_slot_was_granted_again_is_not_remembered)
{
    serve();
    send_request(6, "customer_create", NULL, NULL);
    TURN_UNTIL(world.answers == 1);
    cr_expect(remembers_last_customer());

    world.ledger_silent = true;
    world.count = 0;
    send_request(7, "customer_create", NULL, NULL);
    TURN_UNTIL(world.count == 1);
    grant_all(world.commands[0]);
    TURN_UNTIL(world.worker->slots.epoch[0] == world.epoch);
    world.ledger_silent = false; /* the commit is repeated, and answered */
    TURN_UNTIL(world.answers == 2);
    cr_expect_eq(world.last_answer.status, 200);
    cr_expect_not(remembers_last_customer());
}

Test(worker, a_request_for_an_account_that_is_not_there_is_refused)
{
    open_shop();
    send_request(7, "customer_create", "k1", HASH);
    TURN_UNTIL(world.answers == 1);
    cr_expect_eq(world.last_answer.status, 401);
    cr_expect_eq(world.worker->jobs_busy, 0);
}

Test(worker, a_request_for_a_slot_of_another_is_refused)
{
    world.leader = -1; /* nobody grants any */
    TURN_UNTIL(world.worker_peer.size);
    send_request(7, "customer_create", NULL, NULL);
    TURN_UNTIL(world.answers == 1);
    cr_expect_str_eq(world.last_answer.code, "unroutable");
}
