#include "lookahead.h"

#include "log.h"
#include "pg.h"
#include "pipeline.h"
#include "statements.h"
#include <assert.h>
#include <poll.h>
#include <stdlib.h>

#define CONNECT_MS_MAX 500
#define CONNECT_AGAIN_MS 5000
#define SILENCE_MS_MAX 1000
#define ASKED_MAX 512 /* keys in one question */

struct lookahead {
    const char *home;
    struct pipeline pipeline; /* its connection, and the question under way */
    struct steps steps;
    int partition;
    int64_t try_ms;   /* when to connect at the earliest */
    int64_t asked_ms; /* the question under way was asked; 0: there is none */
    int64_t asked_at; /* batches written then */
    struct command *asked[ASKED_MAX];
    size_t asked_count;
    struct command *first, **last; /* not asked for yet */
    size_t waiting;
};

struct lookahead *
lookahead_new(const char *home, int partition)
{
    struct lookahead *l = calloc(1, sizeof *l);
    assert(l);
    l->home = home;
    l->partition = partition;
    l->last = &l->first;
    return l;
}

void
lookahead_destroy(struct lookahead **lookahead_p)
{
    struct lookahead *l = *lookahead_p;
    if (!l) return;
    for (size_t i = 0; i < l->asked_count; i++)
        command_destroy(&l->asked[i]);
    for (struct command *c = l->first, *next; c; c = next) {
        next = c->next;
        command_destroy(&c);
    }
    if (l->pipeline.conn) PQfinish(l->pipeline.conn);
    arrays_free(&l->pipeline.arrays);
    free(l);
    *lookahead_p = NULL;
}

/* --- the connection --------------------------------------------------------------------------- */

void
lookahead_open(struct lookahead *lookahead, int64_t mono_ms)
{
    struct lookahead *l = lookahead;
    char error[256];
    if (l->pipeline.conn || mono_ms < l->try_ms) return;
    l->try_ms = mono_ms + CONNECT_AGAIN_MS;
    PGconn *conn = pg_connect(l->home, "ledger", l->partition, CONNECT_MS_MAX, error, sizeof error);
    if (!conn) {
        log_event(LOG_WARNING, "lookahead.away", "reason=\"%s\"", error);
        return;
    }
    if (!statements_prepare_key_find(conn, error, sizeof error) || PQsetnonblocking(conn, 1) != 0 ||
        !PQenterPipelineMode(conn)) {
        log_event(LOG_WARNING, "lookahead.unfit", "reason=\"%s\"", error);
        PQfinish(conn);
        return;
    }
    l->pipeline.conn = conn;
    l->pipeline.broken = false;
}

void
lookahead_close(struct lookahead *lookahead, struct queue *queue)
{
    struct lookahead *l = lookahead;
    for (size_t i = 0; i < l->asked_count; i++)
        queue_put(queue, &l->asked[i]);
    for (struct command *c = l->first, *next; c; c = next) {
        next = c->next;
        queue_put(queue, &c);
    }
    l->asked_count = l->waiting = 0;
    l->asked_ms = 0;
    l->first = NULL;
    l->last = &l->first;
    if (l->pipeline.conn) PQfinish(l->pipeline.conn);
    l->pipeline.conn = NULL;
}

int
lookahead_fd(const struct lookahead *lookahead)
{
    return lookahead->pipeline.conn ? PQsocket(lookahead->pipeline.conn) : -1;
}

short
lookahead_poll_events(const struct lookahead *lookahead)
{
    const struct lookahead *l = lookahead;
    return (short)(l->asked_ms && PQflush(l->pipeline.conn) == 1 ? POLLIN | POLLOUT : POLLIN);
}

/* --- what waits ------------------------------------------------------------------------------- */

bool
lookahead_put(struct lookahead *lookahead, struct command **command_p)
{
    struct lookahead *l = lookahead;
    struct command *c = *command_p;
    if (!l->pipeline.conn || c->commit.claim != 1 || c->commit.repeated) return false;
    *command_p = NULL;
    c->next = NULL;
    *l->last = c;
    l->last = &c->next;
    l->waiting++;
    return true;
}

size_t
lookahead_count(const struct lookahead *lookahead)
{
    return lookahead->waiting + lookahead->asked_count;
}

bool
lookahead_redirect(struct lookahead *lookahead, const struct command *again)
{
    struct lookahead *l = lookahead;
    struct command *found = NULL;
    for (size_t i = 0; i < l->asked_count && !found; i++)
        if (command_is_same(l->asked[i], again)) found = l->asked[i];
    for (struct command *c = l->first; c && !found; c = c->next)
        if (command_is_same(c, again)) found = c;
    if (found) found->reply = again->reply;
    return found;
}

/* --- asking ----------------------------------------------------------------------------------- */

static void
ask(struct lookahead *l, const struct books *books, int64_t mono_ms)
{
    arrays_begin(&l->pipeline.arrays, KINDS_KEY_FIND);
    while (l->first && l->asked_count < ASKED_MAX) {
        struct command *c = l->first;
        if (!(l->first = c->next)) l->last = &l->first;
        l->waiting--;
        c->next = NULL;
        c->key_was_new = true; /* until it is found */
        arrays_text(&l->pipeline.arrays, 0, c->commit.merchant);
        arrays_text(&l->pipeline.arrays, 1, c->commit.key);
        l->asked[l->asked_count++] = c;
    }
    l->asked_at = books->last_batch;
    l->asked_ms = mono_ms;
    pipeline_begin(&l->pipeline, &l->steps);
    pipeline_arrays(&l->pipeline, STATEMENT_KEY_FIND, -1, (struct step_of){.step = STEP_KEYS});
    pipeline_end(&l->pipeline);
}

static void
learn(struct lookahead *l, const PGresult *r)
{
    if (PQresultStatus(r) != PGRES_TUPLES_OK) l->pipeline.broken = true;
    for (int i = 0; !l->pipeline.broken && i < PQntuples(r); i++) {
        const int64_t ordinal = result_number(r, i, 0);
        assert(ordinal >= 1 && (size_t)ordinal <= l->asked_count);
        l->asked[ordinal - 1]->key_was_new = false;
    }
}

static void
answered(struct lookahead *l, struct queue *queue)
{
    for (size_t i = 0; i < l->asked_count; i++) {
        l->asked[i]->key_seen_at = l->asked_at;
        queue_put(queue, &l->asked[i]);
    }
    l->asked_count = 0;
    l->asked_ms = 0;
}

static void
read_answers(struct lookahead *l, struct queue *queue)
{
    int nothing = 0; /* NULLs in a row: one stands between two results, never two */
    if (!PQconsumeInput(l->pipeline.conn) || PQflush(l->pipeline.conn) < 0)
        l->pipeline.broken = true;
    while (l->asked_ms && !l->pipeline.broken && !PQisBusy(l->pipeline.conn)) {
        PGresult *r = PQgetResult(l->pipeline.conn);
        if (!r) {
            if (++nothing == 3) l->pipeline.broken = true;
            continue;
        }
        nothing = 0;
        if (PQresultStatus(r) == PGRES_PIPELINE_SYNC)
            answered(l, queue);
        else
            learn(l, r);
        PQclear(r);
    }
    if (PQstatus(l->pipeline.conn) == CONNECTION_BAD) l->pipeline.broken = true;
}

void
lookahead_step(struct lookahead *lookahead, const struct books *books, struct queue *queue,
               int64_t mono_ms)
{
    struct lookahead *l = lookahead;
    if (!l->pipeline.conn) return;
    read_answers(l, queue);
    const bool silent = l->asked_ms && mono_ms - l->asked_ms >= SILENCE_MS_MAX;
    if (silent || l->pipeline.broken) {
        for (size_t i = 0; i < l->asked_count; i++)
            l->asked[i]->key_was_new = false;
        log_event(LOG_WARNING, "lookahead.lost", "silent=%d", silent);
        lookahead_close(l, queue);
        return;
    }
    if (!l->asked_ms && l->first) ask(l, books, mono_ms);
}
