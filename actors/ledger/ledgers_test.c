/* Two ledgers as they run, and a worker that talks to both. */
#include "commit_maker.h"
#include "files.h"
#include "home_for_tests.h"
#include "loop.h"
#include "partition.h"
#include "postgres_for_test.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

ReportHook(PRE_ALL)(struct criterion_test_set *set)
{
    (void)set;
    postgres_start();
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    (void)stats;
    postgres_stop();
}

static int64_t
now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- the world -------------------------------------------------------------------------------- */

struct ledger {
    pid_t pid;
    struct link *link;
    bool heard, leading;
    uint64_t epoch;
};

static struct world {
    struct node *node;
    struct loop *loop;
    int partition;
    struct ledger ledgers[2];
    uint64_t slots_epoch, verdict;
    unsigned written; /* commits that were told DONE */
    char refusal[32];
    bool answered;
} world;

static void
on_packet(void *state, struct link *from, const struct packet *packet)
{
    struct ledger *ledger = state;
    if (packet->number == MSG_ledger_told) {
        struct msg_ledger_told m;
        cr_assert(packet_decode(from, packet, MSG_ledger_told, &m));
        ledger->heard = true;
        ledger->leading = m.leading;
        ledger->epoch = m.epoch;
    } else if (packet->number == MSG_slots_taken) {
        struct msg_slots_taken m;
        cr_assert(packet_decode(from, packet, MSG_slots_taken, &m));
        world.slots_epoch = m.epoch;
        world.answered = true;
    } else if (packet->number == MSG_committed) {
        struct msg_committed m;
        cr_assert(packet_decode(from, packet, MSG_committed, &m));
        world.verdict = m.verdict;
        world.written += m.verdict == COMMIT_DONE;
        world.answered = true;
    } else if (packet->number == MSG_refused) {
        struct msg_refused m;
        cr_assert(packet_decode(from, packet, MSG_refused, &m));
        snprintf(world.refusal, sizeof world.refusal, "%.*s", (int)m.code.size, m.code.at);
        world.answered = true;
    }
}

static void
start_ledger(int i)
{
    struct ledger *ledger = &world.ledgers[i];
    ledger->pid = fork();
    cr_assert_geq(ledger->pid, 0);
    if (ledger->pid > 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int log = open(in_home("ledger-%d.log", i + 1), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log, 2);
    char name[16];
    snprintf(name, sizeof name, "ledger-%d", partition_ledger(world.partition, i));
    execl(FLORIN_LEDGER, "florin-ledger", "--home", home, "--name", name, (char *)NULL);
    _exit(127);
}

/* The ledgers of a partition, with a database in which that SQL was run. */
static void
world_begin_as(int partition, int partitions, const char *sql)
{
    char settings[512], dsn[200], names[2][16];
    memset(&world, 0, sizeof world);
    world.partition = partition;
    home_make();
    postgres_fresh();
    postgres_value(sql);
    PGconn *conn = postgres_connect("ledger");
    snprintf(dsn, sizeof dsn, "host=%s dbname=%s", PQhost(conn), PQdb(conn));
    snprintf(settings, sizeof settings, "postgres_dsn = %s\npostgres_dsn_2 = %s\npartitions = %d\n",
             dsn, dsn, partitions);
    PQfinish(conn);
    write_in_home("florin.conf", settings, 0600);
    mkdir(in_home("secrets"), 0700);
    write_in_home("secrets/postgres_ledger", "none\n", 0600);
    for (int i = 0; i < 2; i++) {
        snprintf(names[i], sizeof names[i], "ledger-%d", partition_ledger(partition, i));
        node_make_keys(home, names[i]);
    }
    node_make_keys(home, "payments-1");
    world.node = node_start(home, "payments-1");
    world.loop = loop_new(world.node);
    for (int i = 0; i < 2; i++) {
        world.ledgers[i].link =
            loop_connect(world.loop, LINK_ledger_commands, partition_ledger(partition, i),
                         on_packet, &world.ledgers[i]);
        start_ledger(i);
    }
}

static void
world_begin(void)
{
    world_begin_as(1, 1, "SELECT 1");
}

static void
end_ledger(int i, int signal)
{
    kill(world.ledgers[i].pid, signal);
    waitpid(world.ledgers[i].pid, NULL, 0);
    world.ledgers[i].pid = 0;
}

static void
world_end(void)
{
    for (int i = 0; i < 2; i++)
        if (world.ledgers[i].pid) end_ledger(i, SIGKILL);
    loop_destroy(&world.loop);
    node_stop(&world.node);
    home_remove();
}

/* --- what a worker does ----------------------------------------------------------------------- */

static void
ask_both(void)
{
    const struct msg_ledger_beat beat = {0};
    for (int i = 0; i < 2; i++)
        (void)link_send(world.ledgers[i].link, (struct envelope){.to = NULL}, MSG_ledger_beat,
                        &beat);
    loop_once(world.loop, 20);
}

static void
wait_to_hear_of(int ledger)
{
    world.ledgers[ledger].heard = false;
    while (!world.ledgers[ledger].heard)
        ask_both();
}

/* Until one leads whose epoch is above that; its index. */
static int
wait_for_leader(uint64_t above, int64_t *took_ms)
{
    const int64_t start_ms = now_ms();
    for (;; ask_both()) {
        *took_ms = now_ms() - start_ms;
        cr_assert_lt(*took_ms, 30000, "nobody leads");
        for (int i = 0; i < 2; i++)
            if (world.ledgers[i].leading && world.ledgers[i].epoch > above) return i;
    }
}

/* The other one is ready too: it waits for the lock. */
static void
wait_for_standby(void)
{
    while (
        strcmp(postgres_value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'ledger' AND"
                              " state = 'active' AND query LIKE '%advisory_lock(%' AND"
                              " datname = current_database()"),
               "1") != 0)
        loop_once(world.loop, 10);
}

static void
wait_for_answer(void)
{
    const int64_t start_ms = now_ms();
    while (!world.answered) {
        loop_once(world.loop, 100);
        cr_assert_lt(now_ms() - start_ms, 10000, "no answer");
    }
}

static void
take_slots(int leader, const uint8_t slots[static SLOT_BYTES])
{
    const struct msg_slots_take m = {
        HAS_slots_take_slots | HAS_slots_take_incarnation, {(const char *)slots, SLOT_BYTES}, 7};
    world.answered = false;
    world.refusal[0] = 0;
    cr_assert(link_send(world.ledgers[leader].link,
                        (struct envelope){.correlation = link_next_correlation()}, MSG_slots_take,
                        &m));
    wait_for_answer();
}

static void
take_all_slots(int leader)
{
    uint8_t all[SLOT_BYTES];
    memset(all, 0xff, sizeof all);
    take_slots(leader, all);
    cr_assert_gt(world.slots_epoch, 0);
}

static void
send_commit(int ledger, const struct wish *wish)
{
    const struct text bytes = wish_bytes(wish);
    world.answered = false;
    world.verdict = 0;
    world.refusal[0] = 0;
    cr_assert(link_forward(world.ledgers[ledger].link,
                           (struct envelope){.slot = slot_of(TEXT(TEST_MERCHANT)),
                                             .correlation = link_next_correlation()},
                           MSG_commit, (const uint8_t *)bytes.at, bytes.size));
}

static uint64_t
commit(int ledger, char id, uint64_t repeated)
{
    const char key[2] = {id, 0}, event[] = {'e', 'v', 't', '_', id, 0};
    send_commit(ledger, &(struct wish){.id = id,
                                       .claim = 1,
                                       .key = key,
                                       .epoch = world.slots_epoch,
                                       .repeated = repeated,
                                       .events = {event}});
    wait_for_answer();
    return world.verdict;
}

/* --- plays ------------------------------------------------------------------------------------ */

Test(ledgers, one_leads_and_the_other_says_that_it_does_not, .timeout = 60)
{
    int64_t took_ms;
    world_begin();
    const int leader = wait_for_leader(0, &took_ms);
    take_all_slots(leader);
    cr_expect_eq(commit(leader, 'a', 0), COMMIT_DONE);
    wait_to_hear_of(!leader);
    cr_expect(!world.ledgers[!leader].leading);
    commit(!leader, 'b', 0);
    cr_expect_str_eq(world.refusal, "unroutable");
    world_end();
}

Test(ledgers, when_the_leader_is_killed_the_other_goes_on_at_once, .timeout = 60)
{
    int64_t took_ms;
    world_begin();
    const int leader = wait_for_leader(0, &took_ms);
    take_all_slots(leader);
    cr_expect_eq(commit(leader, 'a', 0), COMMIT_DONE);
    wait_for_standby();
    end_ledger(leader, SIGKILL);
    cr_expect_eq(wait_for_leader(world.ledgers[leader].epoch, &took_ms), !leader);
    cr_expect_lt(took_ms, 1000, "it took %lld ms", (long long)took_ms);
    cr_expect_eq(commit(!leader, 'a', 1), COMMIT_DONE);
    cr_expect_eq(commit(!leader, 'b', 0), COMMIT_DONE);
    cr_expect_str_eq(postgres_value("SELECT count(*) FROM idempotency"), "2");
    /* and whoever comes back stands by */
    start_ledger(leader);
    wait_to_hear_of(leader);
    cr_expect(!world.ledgers[leader].leading);
    world_end();
}

/* A snapshot that is kept keeps every row that is replaced after it, in all tables. */
Test(ledgers, a_ledger_that_waits_keeps_no_snapshot, .timeout = 60)
{
    int64_t took_ms;
    char held[256];
    world_begin();
    wait_for_leader(0, &took_ms);
    wait_for_standby();
    snprintf(held, sizeof held,
             "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND"
             " usename = 'ledger' AND backend_xmin::text::bigint <= %s",
             postgres_value("SELECT txid_current()"));
    const int64_t start_ms = now_ms();
    while (strcmp(postgres_value(held), "0") != 0) {
        cr_assert_lt(now_ms() - start_ms, 10000, "a snapshot stays");
        loop_once(world.loop, 10);
    }
    world_end();
}

Test(ledgers, a_leader_that_stands_still_is_replaced_and_ends_when_it_wakes, .timeout = 60)
{
    int64_t took_ms;
    int status;
    world_begin();
    const int leader = wait_for_leader(0, &took_ms);
    take_all_slots(leader);
    wait_for_standby();
    kill(world.ledgers[leader].pid, SIGSTOP);
    cr_expect_eq(wait_for_leader(world.ledgers[leader].epoch, &took_ms), !leader);
    cr_expect_lt(took_ms, 4000, "it took %lld ms", (long long)took_ms);
    cr_expect_eq(commit(!leader, 'a', 0), COMMIT_DONE);
    kill(world.ledgers[leader].pid, SIGCONT);
    waitpid(world.ledgers[leader].pid, &status, 0);
    world.ledgers[leader].pid = 0;
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    world_end();
}

Test(ledgers, a_session_that_is_ended_costs_no_answer, .timeout = 60)
{
    int64_t took_ms;
    world_begin();
    int leader = wait_for_leader(0, &took_ms);
    end_ledger(!leader, SIGTERM); /* alone: it has to lead again by itself */
    take_all_slots(leader);
    cr_expect_eq(commit(leader, 'a', 0), COMMIT_DONE);
    const uint64_t epoch = world.ledgers[leader].epoch;
    postgres_value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = "
                   "'ledger' AND datname = current_database()");
    cr_expect_eq(wait_for_leader(epoch, &took_ms), leader);
    cr_expect_lt(took_ms, 2000, "it took %lld ms", (long long)took_ms);
    cr_expect_eq(commit(leader, 'a', 1), COMMIT_DONE);
    cr_expect_eq(commit(leader, 'b', 0), COMMIT_DONE);
    cr_expect_str_eq(postgres_value("SELECT count(*) || '/' || max(sequence) FROM event"), "2/2");
    world_end();
}

Test(ledgers, what_is_malformed_is_refused_and_others_are_served, .timeout = 60)
{
    int64_t took_ms;
    world_begin();
    const int leader = wait_for_leader(0, &took_ms);
    take_all_slots(leader);
    const struct text bytes = wish_bytes(&(struct wish){.claim = 0});
    world.answered = false;
    cr_assert(link_forward(world.ledgers[leader].link,
                           (struct envelope){.slot = slot_of(TEXT(TEST_MERCHANT)),
                                             .correlation = link_next_correlation()},
                           MSG_commit, (const uint8_t *)bytes.at, bytes.size));
    wait_for_answer();
    cr_expect_str_eq(world.refusal, "malformed");
    cr_expect_eq(commit(leader, 'a', 0), COMMIT_DONE);
    world_end();
}

Test(ledgers, funds_become_available_by_themselves, .timeout = 60)
{
    int64_t took_ms;
    world_begin();
    wait_for_leader(0, &took_ms);
    postgres_value("INSERT INTO balance_transaction (id, merchant, version, created, amount, fee,"
                   " net, currency, status, available_on, final) SELECT 'txn_' || i,"
                   " '" TEST_MERCHANT
                   "', 1, 1, i, 0, i, 'usd', 'pending', 1, false FROM generate_series(1, 700) i");
    while (strcmp(postgres_value("SELECT count(*) FROM balance_transaction WHERE status ="
                                 " 'pending'"),
                  "0") != 0)
        loop_once(world.loop, 50);
    cr_expect_str_eq(postgres_value("SELECT amount FROM balance WHERE account = 3"), "-245350");
    cr_expect_str_eq(postgres_value("SELECT count(*) FROM ledger_transaction"), "700");
    world_end();
}

Test(ledgers, at_the_end_what_waits_is_written_first, .timeout = 60)
{
    int64_t took_ms;
    int status;
    world_begin();
    const int leader = wait_for_leader(0, &took_ms);
    take_all_slots(leader);
    send_commit(leader,
                &(struct wish){.id = 'a', .claim = 1, .key = "a", .epoch = world.slots_epoch});
    wait_for_answer();
    kill(world.ledgers[leader].pid, SIGTERM);
    waitpid(world.ledgers[leader].pid, &status, 0);
    world.ledgers[leader].pid = 0;
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    world_end();
}

static void
send_some(int ledger, char first, char last)
{
    for (char id = first; id <= last; id++) {
        const char key[2] = {id, 0};
        send_commit(ledger,
                    &(struct wish){.id = id, .claim = 1, .key = key, .epoch = world.slots_epoch});
    }
}

static void
wait_until_written(unsigned count)
{
    const int64_t start_ms = now_ms();
    while (world.written < count) {
        loop_once(world.loop, 100);
        cr_assert_lt(now_ms() - start_ms, 10000, "%u of %u are written", world.written, count);
    }
}

/* Behind a batch of many the next ones wait for others; not when there will be none. */
Test(ledgers, at_the_end_what_waits_for_others_is_written, .timeout = 60)
{
    int64_t took_ms;
    int status;
    world_begin();
    const int leader = wait_for_leader(0, &took_ms);
    take_all_slots(leader);
    send_some(leader, 'A', 'Z');
    wait_until_written(26);
    send_some(leader, 'a', 'c');
    wait_to_hear_of(leader); /* it has them */
    kill(world.ledgers[leader].pid, SIGTERM);
    wait_until_written(29);
    waitpid(world.ledgers[leader].pid, &status, 0);
    world.ledgers[leader].pid = 0;
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    world_end();
}

Test(ledgers, what_is_another_partitions_is_refused, .timeout = 60)
{
    int64_t took_ms;
    uint8_t slots[SLOT_BYTES] = {0};
    const uint16_t merchants = slot_of(TEXT(TEST_MERCHANT));
    cr_assert_eq(partition_of_slot(merchants, 2), 1);
    world_begin_as(2, 2, "SELECT 1");
    const int leader = wait_for_leader(0, &took_ms);
    for (uint16_t slot = 0; slot < SLOT_COUNT; slot++)
        if (partition_of_slot(slot, 2) == 2) slot_add(slots, slot);
    take_slots(leader, slots);
    cr_expect_gt(world.slots_epoch, 0);
    slot_add(slots, merchants);
    take_slots(leader, slots);
    cr_expect_str_eq(world.refusal, "malformed");
    commit(leader, 'a', 0);
    cr_expect_str_eq(world.refusal, "malformed");
    cr_expect_str_eq(postgres_value("SELECT count(*) FROM idempotency"), "0");
    cr_expect_str_eq(postgres_value("SELECT count(*) FROM slot"), "512");
    world_end();
}

Test(ledgers, a_database_of_another_partition_is_not_written_to, .timeout = 60)
{
    char log[4096];
    int status;
    world_begin_as(1, 1, "UPDATE ledger_leader SET partition = 2, partitions = 2 RETURNING 1");
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(waitpid(world.ledgers[i].pid, &status, 0), world.ledgers[i].pid);
        world.ledgers[i].pid = 0;
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1);
        const ssize_t size = file_read(in_home("ledger-%d.log", i + 1), log, sizeof log - 1);
        log[size > 0 ? size : 0] = 0;
        cr_expect_not_null(strstr(log, "is of partition 2 of 2, and not of 1 of 1"), "%s", log);
    }
    cr_expect_str_eq(postgres_value("SELECT epoch FROM ledger_leader"), "0");
    world_end();
}
