#include "postgres.h"

#include "recorder.h"

#include "database.h"
#include "pg.h"
#include "statements.h"
#include <assert.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS_MAX 512

struct pg_result {
    struct pg_result *next; /* on its way to the client */
    ExecStatusType status;
    bool then_gap;   /* behind it stands the NULL that is between two results */
    bool warned;     /* the notice receiver is called before it */
    bool takes_away; /* a warned COMMIT that no standby had */
    struct answer_rows answer;
    const char *command;
    const char *severity;
    char changed[24];
};

struct sent {
    struct sent *next;
    const char *statement;
    int count;
    bool binary;
    struct parameter parameters[];
};

/* What was sent up to a Sync. */
struct sent_together {
    struct sent_together *next;
    struct sent *first;
    int length;
    int told_early;  /* so many results are told before the others; 0: none */
    int stumbles_at; /* -1: nowhere */
};

struct pg_conn {
    int number;
    struct process *client;
    uint64_t life;
    bool ended;  /* at the server */
    bool broken; /* and the client can know */
    bool in_transaction, failed;
    struct change_log log;
    struct sent *building, **building_end; /* not synced yet */
    int built, building_told_early;
    struct sent_together *under_way; /* at the server, in their order */
    bool half_told; /* the early results of the first of them: its transaction is not over yet */
    int awaited;    /* results that the client has not taken */
    struct pg_result *coming, **coming_end;   /* on their way to the client */
    struct pg_result *results, **results_end; /* there */
    bool gap;                                 /* the next one is NULL */
    bool waits_for_lock, has_lock, piped;
    uint64_t lock_order;
    char name[32];
    PQnoticeReceiver receiver;
    void *receiver_state;
};

static struct pg_conn *sessions[SESSIONS_MAX];
static int session_count;
static uint64_t lock_order;
static int session_number;

void
postgres_begin(void)
{
    session_count = 0;
    lock_order = 0;
    session_number = 0;
    database_begin();
}

/* --- results ---------------------------------------------------------------------------------- */

static struct pg_result *
new_result(ExecStatusType status)
{
    struct pg_result *r = take(sizeof *r);
    r->status = status;
    r->command = "";
    r->severity = "ERROR";
    return r;
}

static void
give(struct pg_conn *conn, struct pg_result *r)
{
    r->next = NULL;
    *conn->coming_end = r;
    conn->coming_end = &r->next;
}

static void
give_and_gap(struct pg_conn *conn, struct pg_result *r)
{
    r->then_gap = true;
    give(conn, r);
}

/* What was on its way is there. */
static void
arrive(struct pg_conn *conn)
{
    if (!conn->coming) return;
    *conn->results_end = conn->coming;
    conn->results_end = conn->coming_end;
    conn->coming = NULL;
    conn->coming_end = &conn->coming;
}

static void
forget_results(struct pg_conn *conn)
{
    conn->results = conn->coming = NULL;
    conn->results_end = &conn->results;
    conn->coming_end = &conn->coming;
    conn->gap = false;
}

static void
wake(struct pg_conn *conn)
{
    if (conn->client->up && conn->client->life == conn->life) process_wake(conn->client, 20);
}

/* --- sessions --------------------------------------------------------------------------------- */

static void
grant_lock(void)
{
    struct pg_conn *first = NULL;
    for (int i = 0; i < session_count; i++) {
        struct pg_conn *s = sessions[i];
        if (s->has_lock) return;
        if (s->waits_for_lock && (!first || s->lock_order < first->lock_order)) first = s;
    }
    if (!first) return;
    first->waits_for_lock = false;
    first->has_lock = true;
    give_and_gap(first, new_result(PGRES_COMMAND_OK));
    arrive(first);
    say_trace("postgres: the lock is %s's", first->client->name);
    wake(first);
}

static void
session_end(struct pg_conn *s)
{
    if (s->ended) return;
    s->ended = true;
    record_end(s->number);
    if (s->in_transaction) database_undo(&s->log);
    s->in_transaction = s->waits_for_lock = s->has_lock = s->half_told = false;
    s->under_way = NULL;
    s->awaited = 0;
    for (int i = 0; i < session_count; i++)
        if (sessions[i] == s) sessions[i--] = sessions[--session_count];
    grant_lock();
}

static void
break_connection(struct pg_conn *s)
{
    session_end(s);
    s->broken = true;
    wake(s);
}

/* --- doing what was sent ---------------------------------------------------------------------- */

static bool
is_statement(const struct sent *c, const char *name)
{
    return strcmp(c->statement, name) == 0;
}

static void
be_wrong(struct pg_conn *s, struct pg_result *r)
{
    r->status = PGRES_FATAL_ERROR;
    s->failed = true;
    if (s->in_transaction) database_undo(&s->log);
}

/* What may be said of a transaction whose fault it is not. */
static const char *const passing[] = {"53100", "40001", "57014", "55P03", "XX000"};

/* A transaction of its own: committed here and, it may be, nowhere else. */
static void
take_lead(struct pg_conn *s, const struct sent *c, struct pg_result *r)
{
    struct change_log log = {NULL};
    database_do(c->statement, c->parameters, c->count, c->binary, s, &log, &r->answer);
    r->status = PGRES_TUPLES_OK;
    r->warned = strikes(world.rates.pg_doubt);
    r->takes_away = r->warned && one_in(2);
    if (r->warned) say_trace("postgres: %s leads, with a warning", s->client->name);
    if (r->takes_away) database_undo(&log);
}

static bool
ends_transaction(const struct sent *c)
{
    return is_statement(c, "rollback") || is_statement(c, "ROLLBACK") ||
           is_statement(c, "commit") || is_statement(c, "COMMIT");
}

static void
stumble(struct pg_conn *s, struct pg_result *r)
{
    r->answer.sqlstate = passing[chance_below(sizeof passing / sizeof passing[0])];
    snprintf(r->answer.message, sizeof r->answer.message, "the world is against it");
    be_wrong(s, r);
}

/* One command of a transaction. */
static struct pg_result *
do_one_now(struct pg_conn *s, const struct sent *c, bool stumbles)
{
    struct pg_result *r = new_result(PGRES_COMMAND_OK);
    if (s->in_transaction && s->failed && !ends_transaction(c)) {
        r->answer.sqlstate = "25P02";
        snprintf(r->answer.message, sizeof r->answer.message, "current transaction is aborted");
        r->status = PGRES_FATAL_ERROR;
        return r;
    }
    if (is_statement(c, "begin") || is_statement(c, "BEGIN")) {
        s->in_transaction = true;
        s->failed = false;
        s->log.last = NULL;
        r->command = "BEGIN";
        return r;
    }
    if (is_statement(c, "rollback") || is_statement(c, "ROLLBACK")) {
        if (s->in_transaction) database_undo(&s->log);
        s->in_transaction = s->failed = false;
        r->command = "ROLLBACK";
        return r;
    }
    if (is_statement(c, "commit") || is_statement(c, "COMMIT")) {
        r->command = s->failed ? "ROLLBACK" : "COMMIT";
        if (!s->failed && s->in_transaction && stumbles) { /* and what is behind it begins anew */
            stumble(s, r);
            s->in_transaction = s->failed = false;
            return r;
        }
        if (!s->failed && s->in_transaction && strikes(world.rates.pg_doubt)) {
            /* Committed here and, it may be, nowhere else: then a standby that takes over does not
             * have it. */
            r->warned = true;
            if (one_in(2)) {
                r->takes_away = true;
                database_undo(&s->log);
            }
        }
        s->in_transaction = s->failed = false;
        s->log.last = NULL;
        return r;
    }
    if (stumbles) {
        stumble(s, r);
        return r;
    }
    if (is_statement(c, STATEMENT_LEAD)) {
        take_lead(s, c, r);
        return r;
    }
    database_do(c->statement, c->parameters, c->count, c->binary, s,
                s->in_transaction ? &s->log : NULL, &r->answer);
    if (r->answer.sqlstate)
        be_wrong(s, r);
    else if (r->answer.columns || strncmp(c->statement, "update_", 7) == 0)
        r->status = PGRES_TUPLES_OK;
    return r;
}

/* What is recorded is what Postgres would do the same: instead of a statement that stumbles one is
 * said that must, and a COMMIT that stumbles or that a failover takes away was none. */
static struct pg_result *
do_one(struct pg_conn *s, const struct sent *c, bool stumbles)
{
    struct pg_result *r = do_one_now(s, c, stumbles);
    const bool plain = c->statement[0] >= 'A' && c->statement[0] <= 'Z' &&
                       (is_statement(c, "BEGIN") || is_statement(c, "COMMIT"));
    const bool whole =
        is_statement(c, "begin") || is_statement(c, "commit") || is_statement(c, "rollback");
    const char *const role = s->client->role;
    if (!recording()) return r;
    if (stumbles && !whole && !plain) {
        if (s->in_transaction) record_plain(s->number, role, "SELECT 1 / 0");
        return r;
    }
    if (r->takes_away && is_statement(c, STATEMENT_LEAD)) return r;
    if (r->takes_away || (stumbles && is_statement(c, "commit") && r->answer.sqlstate))
        record_plain(s->number, role, "ROLLBACK");
    else if (plain)
        record_plain(s->number, role, c->statement);
    else
        record_statement(s->number, role, c->statement, c->parameters, c->count, c->binary,
                         &r->answer);
    return r;
}

/* The early results of a pipeline, whose transaction is then open for a while. Nobody may see what
 * it has changed, and nobody can change what it will: so it is done for its results alone, taken
 * back, and done again as a whole when it ends. Whoever would wait for its locks makes it end
 * (locks_first). False when it fails before: then there is nothing to tell early. */
static bool
tell_early(struct pg_conn *s)
{
    const struct sent_together *const whole = s->under_way;
    const struct sent *c = whole->first;
    struct pg_result *results = NULL, **end = &results;
    bool fine = true;
    if (s->in_transaction || (whole->stumbles_at >= 0 && whole->stumbles_at < whole->told_early))
        return false;
    for (int at = 0; at < whole->told_early && fine; at++, c = c->next) {
        struct pg_result *r = do_one_now(s, c, false);
        fine = !r->answer.sqlstate;
        *end = r;
        end = &r->next;
    }
    database_undo(&s->log);
    s->in_transaction = s->failed = false;
    while (fine && results) {
        struct pg_result *const r = results;
        results = r->next;
        give_and_gap(s, r);
    }
    return fine;
}

/* A pipeline up to its Sync: nothing else happens meanwhile. */
static void
do_pipeline(struct pg_conn *s)
{
    const struct sent_together *const whole = s->under_way;
    const int told = s->half_told ? whole->told_early : 0;
    int at = 0;
    bool aborted = false, taken = false;
    for (const struct sent *c = whole->first; c; c = c->next, at++) {
        struct pg_result *r =
            aborted ? new_result(PGRES_PIPELINE_ABORTED) : do_one(s, c, at == whole->stumbles_at);
        if (r->answer.sqlstate) {
            say_trace("postgres: %s of %s: %s %s", c->statement, s->client->name,
                      r->answer.sqlstate, r->answer.message);
            aborted = true;
        }
        taken |= r->takes_away;
        if (r->warned) say_trace("postgres: COMMIT of %s, with a warning", s->client->name);
        if (at >= told) give_and_gap(s, r);
        assert(at >= told || !aborted); /* nothing can have come between */
    }
    if (s->piped) give(s, new_result(PGRES_PIPELINE_SYNC));
    s->under_way = whole->next;
    s->half_told = false;
    if (taken) say_trace("postgres: the standby that takes over does not have it");
}

static void
answers_come(void *about, uint64_t life)
{
    struct pg_conn *s = about;
    if (s->life != life || s->ended) return;
    arrive(s);
    wake(s);
}

static bool
client_is_gone(const struct pg_conn *s)
{
    return !s->client->up || s->client->life != s->life;
}

/* Does what was sent first; a session whose client is gone ends then, or when it has done more. */
static void
work_off(struct pg_conn *s)
{
    do_pipeline(s);
    if (!client_is_gone(s))
        world_at(chance_between(30, 300), answers_come, s, s->life);
    else if (!s->under_way || one_in(2))
        session_end(s);
}

static void server_works(void *about, uint64_t life);
static void
be_at_work(struct pg_conn *s)
{
    world_at(strikes(world.rates.pg_slow) ? chance_between(1000, 2 * SECOND_US)
                                          : chance_between(50, 900),
             server_works, s, s->life);
}

static void
server_works(void *about, uint64_t life)
{
    struct pg_conn *s = about;
    (void)life;
    if (s->ended || !s->under_way) return;
    if (s->under_way->told_early && !s->half_told && !client_is_gone(s) && tell_early(s)) {
        s->half_told = true;
        world_at(chance_between(30, 100), answers_come, s, s->life);
        be_at_work(s);
    } else {
        work_off(s);
    }
}

/* Whoever changes the leader's row waits for the transaction that has changed it. */
static void
locks_first(void)
{
    for (int i = session_count; i--;)
        if (i < session_count && sessions[i]->half_told) work_off(sessions[i]);
}

/* A call that waits has no place of its own in the world's time; what others had sent may be done
 * before it. */
static void
others_first(const struct pg_conn *self)
{
    for (int i = session_count; i--;)
        if (i < session_count && sessions[i] != self && sessions[i]->under_way && one_in(3))
            work_off(sessions[i]);
}

void
postgres_client_gone(const struct process *p)
{
    for (int i = session_count; i--;) {
        struct pg_conn *s = sessions[i];
        if (s->client != p || s->ended) continue;
        s->waits_for_lock = false;
        if (s->under_way && one_in(2)) continue; /* it is done yet, and the session ends then */
        session_end(s);
        if (i > session_count) i = session_count;
    }
}

/* Of what was sent, some was done, and nobody hears of it. */
static void
cut(struct pg_conn *s)
{
    while (s->under_way && one_in(2))
        do_pipeline(s);
    forget_results(s);
    break_connection(s);
}

static void
cut_later(void *about, uint64_t number)
{
    struct pg_conn *s = about;
    if (s->ended || s->number != (int)number) return;
    say_trace("postgres: the session of %s is ended", s->client->name);
    cut(s);
}

void
postgres_cut(bool all)
{
    if (!session_count) return;
    struct pg_conn *const one = sessions[chance_below((uint64_t)session_count)];
    say_trace("postgres: %s", all ? "crashes" : "a session is ended");
    for (int i = session_count; i--;) {
        struct pg_conn *s = sessions[i];
        if (!all && s != one) continue;
        cut(s);
        if (i > session_count) i = session_count;
    }
}

/* --- libpq ------------------------------------------------------------------------------------ */

PGconn *
pg_connect(const char *home, const char *role, int partition, int64_t timeout_ms, char *error,
           size_t error_size)
{
    (void)home, (void)role, (void)partition, (void)timeout_ms;
    world_touched("connect");
    if (strikes(20) || session_count == SESSIONS_MAX) {
        snprintf(error, error_size, "Postgres did not answer in time");
        return NULL;
    }
    struct pg_conn *conn = take(sizeof *conn);
    *conn = (struct pg_conn){
        .number = ++session_number, .client = world.running, .life = world.running->life};
    conn->results_end = &conn->results;
    conn->coming_end = &conn->coming;
    conn->building_end = &conn->building;
    return sessions[session_count++] = conn;
}

/* They are known here by their names (database_do); to be recorded, they are made all the same. */
bool statements_prepare_at_postgres(PGconn *conn, char *error, size_t error_size);
bool statements_prepare_key_find_at_postgres(PGconn *conn, char *error, size_t error_size);
bool
statements_prepare(PGconn *conn, char *error, size_t error_size)
{
    world_touched("prepare");
    if (recording() && !conn->broken)
        return statements_prepare_at_postgres(conn, error, error_size);
    return !conn->broken;
}

bool
statements_prepare_key_find(PGconn *conn, char *error, size_t error_size)
{
    world_touched("prepare for the lookahead");
    if (recording() && !conn->broken)
        return statements_prepare_key_find_at_postgres(conn, error, error_size);
    return !conn->broken;
}

void
PQfinish(PGconn *conn)
{
    if (conn) session_end(conn);
}

int
PQsocket(const PGconn *conn)
{
    return conn->broken ? -1 : 100;
}

ConnStatusType
PQstatus(const PGconn *conn)
{
    return conn->broken ? CONNECTION_BAD : CONNECTION_OK;
}

char *
PQerrorMessage(const PGconn *conn)
{
    static char words[] = "server closed the connection unexpectedly";
    (void)conn;
    return words;
}

static struct sent *
new_sent(const char *statement, int count, const char *const *values, const int *lengths,
         const int *formats, int binary)
{
    struct sent *c = take_raw(sizeof *c + (size_t)count * sizeof *c->parameters);
    c->next = NULL;
    c->statement = keep(text_of(statement)).at;
    c->count = count;
    c->binary = binary == 1;
    for (int i = 0; i < count; i++) {
        const bool bytes = formats && formats[i] == 1;
        if (!values[i]) {
            c->parameters[i] = (struct parameter){NULL, 0};
            continue;
        }
        const size_t size = bytes ? (size_t)lengths[i] : strlen(values[i]);
        c->parameters[i] =
            (struct parameter){keep((struct text){values[i], size}).at, bytes ? (int)size : -1};
    }
    return c;
}

/* A result comes to the client, and with it what was said of it. */
static void
hear(struct pg_conn *conn, const struct pg_result *r)
{
    if (r->warned && conn->receiver) conn->receiver(conn->receiver_state, r);
    if (!r->takes_away) return;
    session_end(conn); /* the old primary is gone */
    conn->broken = true;
}

/* A call that waits for its answer. */
static PGresult *
at_once(PGconn *conn, const struct sent *c)
{
    world_touched(c->statement);
    if (!conn->broken && strikes(world.rates.pg_error)) break_connection(conn);
    if (conn->broken) {
        struct pg_result *r = new_result(PGRES_FATAL_ERROR);
        r->severity = "FATAL";
        return r;
    }
    others_first(conn);
    if (is_statement(c, STATEMENT_LEAD)) locks_first();
    struct pg_result *r = do_one(conn, c, false);
    hear(conn, r);
    return r;
}

PGresult *
PQexec(PGconn *conn, const char *sql)
{
    if (strcmp(sql, "BEGIN") != 0 && strcmp(sql, "COMMIT") != 0) {
        world_touched("SET");
        return new_result(conn->broken ? PGRES_FATAL_ERROR : PGRES_COMMAND_OK);
    }
    return at_once(conn, new_sent(sql, 0, NULL, NULL, NULL, 0));
}

PGresult *
PQexecPrepared(PGconn *conn, const char *statement, int count, const char *const *values,
               const int *lengths, const int *formats, int binary)
{
    return at_once(conn, new_sent(statement, count, values, lengths, formats, binary));
}

/* end_silent_leader alone: the session of whoever holds the leader's row and is not the asker. */
PGresult *
PQexecParams(PGconn *conn, const char *sql, int count, const Oid *types, const char *const *values,
             const int *lengths, const int *formats, int binary)
{
    (void)sql, (void)count, (void)types, (void)lengths, (void)formats, (void)binary;
    assert(strstr(sql, "pg_terminate_backend"));
    world_touched("terminate");
    struct pg_result *r = new_result(conn->broken ? PGRES_FATAL_ERROR : PGRES_TUPLES_OK);
    for (int i = session_count; i--;) {
        struct pg_conn *s = sessions[i];
        if (s != database_leader()->backend || text_is(database_leader()->holder, values[0]))
            continue;
        say_trace("postgres: the session of %s is ended", s->client->name);
        r->answer.rows = r->answer.columns = 1;
        cut(s);
        break;
    }
    return r;
}

PGresult *
PQprepare(PGconn *conn, const char *name, const char *sql, int count, const Oid *types)
{
    (void)count, (void)types;
    record_prepare(conn->number, conn->client->role, name, sql);
    return new_result(conn->broken ? PGRES_FATAL_ERROR : PGRES_COMMAND_OK);
}

int
PQsendQuery(PGconn *conn, const char *sql)
{
    assert(strstr(sql, "pg_try_advisory_lock"));
    (void)sql;
    world_touched("wait for the lock");
    if (conn->broken) return 0;
    conn->waits_for_lock = true;
    conn->awaited = 1;
    conn->lock_order = ++lock_order;
    grant_lock();
    return 1;
}

int
PQsendQueryPrepared(PGconn *conn, const char *statement, int count, const char *const *values,
                    const int *lengths, const int *formats, int binary)
{
    if (conn->broken) return 0;
    struct sent *c = new_sent(statement, count, values, lengths, formats, binary);
    *conn->building_end = c;
    conn->building_end = &c->next;
    conn->built++;
    return 1;
}

int
PQpipelineSync(PGconn *conn)
{
    world_touched("before the pipeline is sent");
    if (conn->broken) return 0;
    struct sent_together *whole = take(sizeof *whole), **end = &conn->under_way;
    *whole = (struct sent_together){
        .first = conn->building,
        .length = conn->built,
        .told_early = conn->building_told_early,
        .stumbles_at = conn->built > 1 && strikes(world.rates.pg_error)
                           ? 1 + (int)chance_below((uint64_t)conn->built)
                           : -1,
    };
    while (*end)
        end = &(*end)->next;
    *end = whole;
    if (whole != conn->under_way && strikes(4 * world.rates.pg_error)) /* both are in doubt then */
        world_at(chance_between(10, 400), cut_later, conn, (uint64_t)conn->number);
    conn->awaited += conn->built + 1;
    conn->built = conn->building_told_early = 0;
    conn->building = NULL;
    conn->building_end = &conn->building;
    be_at_work(conn);
    world_touched("after the pipeline was sent");
    return 1;
}

int
PQsendFlushRequest(PGconn *conn)
{
    conn->building_told_early = conn->built;
    return !conn->broken;
}

int
PQflush(PGconn *conn)
{
    return conn->broken ? -1 : 0;
}

int
PQconsumeInput(PGconn *conn)
{
    return !conn->broken;
}

int
PQisBusy(PGconn *conn)
{
    return conn->awaited && !conn->results && !conn->gap && !conn->broken;
}

PGresult *
PQgetResult(PGconn *conn)
{
    struct pg_result *r = conn->results;
    if (conn->gap || !r) {
        conn->gap = false;
        return NULL;
    }
    conn->results = r->next;
    if (!conn->results) conn->results_end = &conn->results;
    conn->gap = r->then_gap;
    conn->awaited--;
    hear(conn, r);
    return r;
}

ExecStatusType
PQresultStatus(const PGresult *r)
{
    return r ? r->status : PGRES_FATAL_ERROR;
}

int
PQntuples(const PGresult *r)
{
    return (int)r->answer.rows;
}

int
PQnfields(const PGresult *r)
{
    return (int)r->answer.columns;
}

int
PQfformat(const PGresult *r, int column)
{
    (void)r, (void)column;
    return 0; /* it is asked of rows of text alone */
}

static const struct cell *
cell(const PGresult *r, int row, int column)
{
    assert(row >= 0 && (size_t)row < r->answer.rows && (size_t)column < r->answer.columns);
    return &r->answer.cells[(size_t)row * r->answer.columns + (size_t)column];
}

char *
PQgetvalue(const PGresult *r, int row, int column)
{
    const struct cell *c = cell(r, row, column);
    if (c->size < 0) return (char *)(uintptr_t) "";
    /* Whoever asks for text relies on the NUL behind it. */
    return c->at[c->size] ? (char *)(uintptr_t)keep((struct text){c->at, (size_t)c->size}).at
                          : (char *)(uintptr_t)c->at;
}

int
PQgetlength(const PGresult *r, int row, int column)
{
    const struct cell *c = cell(r, row, column);
    return c->size < 0 ? 0 : c->size;
}

int
PQgetisnull(const PGresult *r, int row, int column)
{
    return cell(r, row, column)->size < 0;
}

void
PQclear(PGresult *r)
{
    (void)r; /* memory of the run */
}

char *
PQcmdStatus(PGresult *r)
{
    return (char *)(uintptr_t)r->command;
}

char *
PQcmdTuples(PGresult *r)
{
    snprintf(r->changed, sizeof r->changed, "%zu", r->answer.changed);
    return r->changed;
}

char *
PQresultErrorField(const PGresult *r, int field)
{
    switch (field) {
    case PG_DIAG_SQLSTATE:
        if (r->warned) return (char *)(uintptr_t) "01000";
        return (char *)(uintptr_t)r->answer.sqlstate;
    case PG_DIAG_MESSAGE_PRIMARY: return (char *)(uintptr_t)r->answer.message;
    default: return (char *)(uintptr_t)r->severity;
    }
}

char *
PQresultErrorMessage(const PGresult *r)
{
    return (char *)(uintptr_t)r->answer.message;
}

char *
PQdb(const PGconn *conn)
{
    (void)conn;
    return (char *)(uintptr_t) "sim";
}

char *
PQescapeLiteral(PGconn *conn, const char *text, size_t size)
{
    (void)conn;
    char *out = malloc(size + 3);
    snprintf(out, size + 3, "'%.*s'", (int)size, text);
    return out;
}

/* "\\x…", as database.c writes it. */
unsigned char *
PQunescapeBytea(const unsigned char *text, size_t *size)
{
    *size = (strlen((const char *)text) - 2) / 2;
    unsigned char *const bytes = malloc(*size + 1);
    for (size_t i = 0; i < *size; i++) {
        const char digits[] = {(char)text[2 + 2 * i], (char)text[3 + 2 * i], 0};
        bytes[i] = (unsigned char)strtoul(digits, NULL, 16);
    }
    return bytes;
}

void
PQfreemem(void *memory)
{
    free(memory);
}

int
PQsetnonblocking(PGconn *conn, int on)
{
    (void)conn, (void)on;
    return 0;
}

PQnoticeReceiver
PQsetNoticeReceiver(PGconn *conn, PQnoticeReceiver receiver, void *state)
{
    conn->receiver = receiver;
    conn->receiver_state = state;
    return receiver;
}

int
PQenterPipelineMode(PGconn *conn)
{
    conn->piped = true;
    return 1;
}
