#include "leadership.h"

#include "clock.h"
#include "failpoint.h"
#include "files.h"
#include "log.h"
#include "partition.h"
#include "pg.h"
#include "statements.h"
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEAT_MS 250
#define SILENCE_MS_MAX 1500 /* of a leader, before its session is ended */
#define TURN_GAP_MS_MAX 500 /* a longer one says that it was us who stood still */
#define CONNECT_MS_MAX 1000
#define CONNECT_AGAIN_MS 200
/* Any number, the same in both: 0x4d4e1a. Asked for again and again, and not by one statement that
 * waits: a statement keeps its snapshot until it ends, and as long as there is one, Postgres
 * removes no row that was replaced after it, anywhere. */
#define WAIT_FOR_LOCK                                                  \
    "DO $$ BEGIN WHILE NOT pg_try_advisory_lock(5066266) LOOP COMMIT;" \
    " PERFORM pg_sleep(0.05); END LOOP; END $$"

struct leadership {
    struct loop *loop;
    struct batch *batch;
    struct link *peer;
    const char *home, *name;
    int partition, partitions;
    enum leadership_state state;
    PGconn *conn;        /* ours while WAITING */
    int64_t try_ms;      /* AWAY: when to connect next */
    int64_t beat_ms;     /* when to ask the peer next */
    int64_t heard_ms;    /* when the peer was last known to be well, or need not be yet */
    int64_t turn_ms;     /* the last turn */
    uint64_t peer_epoch; /* of a peer that leads, else 0 */
    char error[256];     /* the last one that was logged */
};

/* --- the other ledger ------------------------------------------------------------------------- */

static void
on_peer(void *state, struct link *from, const struct packet *packet)
{
    struct leadership *l = state;
    struct msg_ledger_told told;
    l->heard_ms = clock_mono_ms();
    if (packet->number != MSG_ledger_told || !packet_decode(from, packet, MSG_ledger_told, &told))
        return;
    l->peer_epoch = told.leading ? told.epoch : 0;
}

/* The peer holds the lock and does not answer: its session ends, and the lock is ours. A short
 * connection of its own does it, because ours is waiting for the lock. */
static void
end_silent_leader(struct leadership *l)
{
    char error[256];
    PGconn *conn = pg_connect(l->home, "ledger", l->partition, CONNECT_MS_MAX, error, sizeof error);
    if (!conn) return;
    const char *const values[] = {l->name};
    PGresult *r = PQexecParams(
        conn,
        "SELECT pg_terminate_backend(a.pid) FROM ledger_leader l JOIN pg_stat_activity a"
        " ON a.pid = l.backend_pid AND a.application_name = l.holder"
        " WHERE a.usename = current_user AND l.holder <> $1::text",
        1, NULL, values, NULL, NULL, 0);
    if (PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) > 0)
        log_event(LOG_WARNING, "leader.silent", "silent_ms=%lld action=session_ended",
                  (long long)(clock_mono_ms() - l->heard_ms));
    PQclear(r);
    PQfinish(conn);
}

static void
watch_peer(struct leadership *l, int64_t mono_ms)
{
    const struct msg_ledger_beat beat = {0};
    if (mono_ms - l->turn_ms > TURN_GAP_MS_MAX) l->heard_ms = mono_ms;
    l->turn_ms = mono_ms;
    if (mono_ms >= l->beat_ms) {
        (void)link_send(l->peer, (struct envelope){.to = NULL}, MSG_ledger_beat, &beat);
        l->beat_ms = mono_ms + BEAT_MS;
    }
    if (mono_ms - l->heard_ms <= SILENCE_MS_MAX) return;
    end_silent_leader(l);
    l->heard_ms = l->turn_ms = clock_mono_ms();
}

/* --- the connection --------------------------------------------------------------------------- */

/* Each reason once, not once per try. */
static void
log_reason(struct leadership *l, const char *event, const char *error)
{
    if (strcmp(l->error, error) != 0) log_event(LOG_WARNING, event, "reason=\"%s\"", error);
    snprintf(l->error, sizeof l->error, "%s", error);
    loop_set_state(l->loop, "waiting", error);
}

static void
drop(struct leadership *l)
{
    if (l->conn) {
        loop_unwatch(l->loop, PQsocket(l->conn));
        PQfinish(l->conn);
    }
    l->conn = NULL;
    l->state = LEADERSHIP_AWAY;
    l->try_ms = clock_mono_ms() + CONNECT_AGAIN_MS;
}

/* The turn reads it; this only wakes the loop. */
static void
on_ready(void *state, int fd, short events)
{
    (void)state;
    (void)fd;
    (void)events;
}

static void
wait_for_lock(struct leadership *l)
{
    char sql[128];
    char *const holder = PQescapeLiteral(l->conn, l->name, strlen(l->name));
    assert(holder);
    snprintf(sql, sizeof sql, "SET application_name = %s; SET statement_timeout = 0", holder);
    PQfreemem(holder);
    PQclear(PQexec(l->conn, sql));
    if (!PQsendQuery(l->conn, WAIT_FOR_LOCK)) {
        drop(l);
        return;
    }
    l->state = LEADERSHIP_WAITING;
    l->heard_ms = clock_mono_ms();
    l->error[0] = 0;
    loop_watch(l->loop, PQsocket(l->conn), POLLIN, on_ready, l);
    if (!loop_stopping(l->loop)) loop_set_state(l->loop, "standby", "");
}

static void
try_to_connect(struct leadership *l)
{
    char error[256];
    l->conn = pg_connect(l->home, "ledger", l->partition, CONNECT_MS_MAX, error, sizeof error);
    if (!l->conn) {
        log_reason(l, "postgres.away", error);
        drop(l);
        return;
    }
    if (!statements_prepare(l->conn, error, sizeof error)) {
        log_reason(l, "postgres.unfit", error);
        drop(l);
        return;
    }
    wait_for_lock(l);
}

/* --- taking the lead -------------------------------------------------------------------------- */

/* A database that belongs to another instance of Florin is not written to: its name for itself is
 * kept beside our keys from the first time on. */
static void
check_cluster(const struct leadership *l, const char *cluster)
{
    char path[PATH_MAX], known[128] = "";
    if (l->partition == 1)
        snprintf(path, sizeof path, "%s/cluster", l->home);
    else
        snprintf(path, sizeof path, "%s/cluster_%d", l->home, l->partition);
    if (file_read(path, known, sizeof known) < 0) {
        if (!file_write(path, cluster, strlen(cluster), 0644))
            log_event(LOG_WARNING, "cluster.not_kept", "path=%s", path);
        return;
    }
    known[strcspn(known, "\n")] = 0;
    if (strcmp(known, cluster) != 0)
        die("The database belongs to another instance of Florin (%s; %s says %s).", cluster, path,
            known);
}

/* Nor is one whose merchants are of other slots than this partition's: it says which partition it
 * is from the first time on. Before the lead is taken, so that whoever leads there rightly goes on.
 */
static bool
check_partition(struct leadership *l)
{
    char values[2][12];
    snprintf(values[0], sizeof values[0], "%d", l->partition);
    snprintf(values[1], sizeof values[1], "%d", l->partitions);
    const char *const params[] = {values[0], values[1]};
    PGresult *r = PQexecPrepared(l->conn, STATEMENT_PARTITION, 2, params, NULL, NULL, 0);
    const bool known = PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1;
    if (known && (strcmp(PQgetvalue(r, 0, 0), params[0]) || strcmp(PQgetvalue(r, 0, 1), params[1])))
        die("The database %s is of partition %s of %s, and not of %s of %s (partitions, in "
            "florin.conf): merchants stay where they are.",
            PQdb(l->conn), PQgetvalue(r, 0, 0), PQgetvalue(r, 0, 1), params[0], params[1]);
    PQclear(r);
    return known;
}

static void
take_lead(struct leadership *l)
{
    char cluster[64];
    loop_unwatch(l->loop, PQsocket(l->conn));
    PQclear(PQexec(l->conn, "SET statement_timeout = '5s'"));
    if (!check_partition(l)) {
        drop(l);
        return;
    }
    FAILPOINT(ledger_before_lead);
    switch (batch_lead(l->batch, &l->conn, l->name, cluster, sizeof cluster)) {
    case LEAD_LOST: die("Another ledger has taken the lead.");
    case LEAD_DOUBT: die("The lead was taken, and perhaps not replicated.");
    case LEAD_FAILED: drop(l); return;
    case LEAD_OK: break;
    }
    FAILPOINT(ledger_after_lead);
    check_cluster(l, cluster);
    l->state = LEADERSHIP_LEADING;
    log_event(LOG_INFO, "leader.taken", "epoch=%lld last_batch=%lld event_head=%lld",
              (long long)batch_books(l->batch)->epoch, (long long)batch_books(l->batch)->last_batch,
              (long long)batch_books(l->batch)->event_head);
    if (!loop_stopping(l->loop)) loop_set_state(l->loop, "serving", "");
}

/* Has the lock come? */
static void
look_at_lock(struct leadership *l)
{
    bool ours = false;
    if (!PQconsumeInput(l->conn)) {
        drop(l);
        return;
    }
    if (PQisBusy(l->conn)) return;
    for (PGresult *r; (r = PQgetResult(l->conn)); PQclear(r))
        ours = PQresultStatus(r) == PGRES_COMMAND_OK;
    if (ours)
        take_lead(l);
    else
        drop(l);
}

/* --- from outside ----------------------------------------------------------------------------- */

struct leadership *
leadership_new(struct loop *loop, int partitions, struct batch *batch)
{
    struct leadership *l = calloc(1, sizeof *l);
    assert(l);
    const struct node *node = loop_node(loop);
    l->loop = loop;
    l->batch = batch;
    l->home = node_home(node);
    l->name = node_name(node);
    l->partition = partition_of_ledger(node_instance(node));
    l->partitions = partitions;
    const int first = partition_ledger(l->partition, 0), second = partition_ledger(l->partition, 1);
    l->peer = loop_connect(loop, LINK_ledger_commands,
                           node_instance(node) == first ? second : first, on_peer, l);
    l->turn_ms = l->heard_ms = clock_mono_ms();
    loop_set_state(loop, "waiting", "for Postgres");
    return l;
}

void
leadership_destroy(struct leadership **leadership_p)
{
    if (!*leadership_p) return;
    drop(*leadership_p);
    free(*leadership_p);
    *leadership_p = NULL;
}

enum leadership_state
leadership_state(const struct leadership *leadership)
{
    return leadership->state;
}

void
leadership_lost(struct leadership *leadership)
{
    log_event(LOG_WARNING, "postgres.lost", "action=lead_again");
    batch_unlead(leadership->batch);
    leadership->state = LEADERSHIP_AWAY;
    leadership->try_ms = 0;
    loop_set_state(leadership->loop, "waiting", "the connection to Postgres was lost");
}

int64_t
leadership_turn(struct leadership *leadership, int64_t mono_ms)
{
    struct leadership *l = leadership;
    if (l->state == LEADERSHIP_LEADING) return BEAT_MS;
    if (l->state == LEADERSHIP_AWAY && mono_ms >= l->try_ms) try_to_connect(l);
    if (l->state == LEADERSHIP_WAITING) {
        watch_peer(l, clock_mono_ms());
        look_at_lock(l);
    } else {
        l->turn_ms = l->heard_ms = clock_mono_ms();
    }
    const int64_t led = batch_books(l->batch)->epoch;
    if (led && l->state != LEADERSHIP_LEADING && (int64_t)l->peer_epoch > led)
        die("Another ledger has taken the lead.");
    return l->state == LEADERSHIP_AWAY ? CONNECT_AGAIN_MS : BEAT_MS;
}
