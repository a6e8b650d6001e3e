#include "network_check.h"

#include "journal.h"
#include "message.h"
#include "partition.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A refund that is still followed may have come back there a moment ago: then its charge is not
 * compared until we have heard of it. */
/* Attempts in the order of the journal (bytes of the reference), with what our charge says of an
 * authorization: how much of it was taken and given back, and whether something is under way. */
static const char query[] =
    "SELECT a.id, a.merchant, a.state, a.operation, a.amount, a.currency,"
    " coalesce(c.amount_captured, 0), coalesce(r.amount, 0), coalesce(o.count, 0)"
    " FROM every_attempt a"
    " LEFT JOIN charge c ON c.merchant = a.merchant AND c.\"authorization\" = a.id"
    " LEFT JOIN (SELECT merchant, charge, sum(amount) AS amount FROM refund"
    "   WHERE status IN ('succeeded', 'pending') AND balance_transaction IS NOT NULL"
    "   GROUP BY 1, 2) r ON r.merchant = c.merchant AND r.charge = c.id"
    " LEFT JOIN (SELECT merchant, original, count(*) AS count FROM ("
    "   SELECT merchant, original FROM every_attempt WHERE state IN ('sending', 'unknown', "
    "'reversing')"
    "   UNION ALL SELECT f.merchant, f.\"authorization\" FROM refund p"
    "   JOIN charge f ON f.merchant = p.merchant AND f.id = p.charge"
    "   WHERE p.follow_at IS NOT NULL OR p.status = 'pending') going GROUP BY 1, 2) o"
    "   ON o.merchant = a.merchant AND o.original = a.id"
    " ORDER BY a.id";

/* One attempt, as texts of a result of one row. */
struct ours {
    PGresult *row;
    const char *id, *merchant, *state, *operation, *currency;
    int64_t amount, captured, refunded, under_way;
};

static void
ours_clear(struct ours *ours)
{
    PQclear(ours->row);
    *ours = (struct ours){NULL};
}

/* False at the end, or when it failed: PQresultStatus of the connection's last result tells. */
static bool
ours_next(PGconn *conn, struct ours *ours, bool *failed)
{
    ours_clear(ours);
    PGresult *r = PQgetResult(conn);
    if (!r) return false;
    if (PQresultStatus(r) != PGRES_SINGLE_TUPLE) {
        *failed |= PQresultStatus(r) != PGRES_TUPLES_OK;
        PQclear(r);
        while ((r = PQgetResult(conn)))
            PQclear(r);
        return false;
    }
    *ours = (struct ours){r,
                          PQgetvalue(r, 0, 0),
                          PQgetvalue(r, 0, 1),
                          PQgetvalue(r, 0, 2),
                          PQgetvalue(r, 0, 3),
                          PQgetvalue(r, 0, 5),
                          atoll(PQgetvalue(r, 0, 4)),
                          atoll(PQgetvalue(r, 0, 6)),
                          atoll(PQgetvalue(r, 0, 7)),
                          atoll(PQgetvalue(r, 0, 8))};
    return true;
}

/* The attempts of all partitions, as one list. */
struct all_ours {
    struct ours next[PARTITIONS_MAX]; /* of each partition that is not at its end */
    bool there[PARTITIONS_MAX];
    PGconn *const *conns;
    int count;
    int at; /* whose is the least */
    bool failed;
};

static void
all_read(struct all_ours *all, int i)
{
    all->there[i] = ours_next(all->conns[i], &all->next[i], &all->failed);
}

/* NULL at the end of all, or when one failed. */
static const struct ours *
all_least(struct all_ours *all)
{
    all->at = -1;
    for (int i = 0; i < all->count; i++) {
        if (!all->there[i]) continue;
        if (all->at < 0 || strcmp(all->next[i].id, all->next[all->at].id) < 0) all->at = i;
    }
    return all->at < 0 ? NULL : &all->next[all->at];
}

static bool
is_open(const char *state)
{
    return strcmp(state, "sending") == 0 || strcmp(state, "unknown") == 0 ||
           strcmp(state, "reversing") == 0;
}

/* --- pairs ------------------------------------------------------------------------------------ */

static void
check_unknown_to_network(const struct ours *a, struct findings *findings)
{
    if (strcmp(a->state, "approved") == 0 || strcmp(a->state, "reversed") == 0)
        finding_add(findings, CHECK_I14, "%s is %s with us, the network knows nothing of it", a->id,
                    a->state);
}

static void
check_unknown_to_us(const struct network_record *n, struct findings *findings)
{
    finding_add(findings, CHECK_I16, "%s: %s of %lld %s is %s there", n->reference,
                network_operation_name((uint64_t)n->operation), (long long)n->amount, n->currency,
                network_state_name(n->state));
}

/* What the authorization's record sums up to, beside our charge; not while something is under way.
 */
static void
check_sums(const struct ours *a, const struct network_record *n, struct findings *findings)
{
    if (n->operation != NETWORK_AUTHORIZE || a->under_way) return;
    if (n->captured != a->captured || n->refunded != a->refunded)
        finding_add(findings, CHECK_I14,
                    "%s: the network took %lld and gave back %lld, we booked %lld and %lld", a->id,
                    (long long)n->captured, (long long)n->refunded, (long long)a->captured,
                    (long long)a->refunded);
}

static void
check_pair(const struct ours *a, const struct network_record *n, struct findings *findings)
{
    const bool done = n->state == NETWORK_STATE_APPROVED;
    const bool booked = strcmp(a->state, "approved") == 0;
    if (is_open(a->state)) return;
    if (done != booked) {
        finding_add(findings, CHECK_I14, "%s is %s with us and %s at the network", a->id, a->state,
                    network_state_name(n->state));
        return;
    }
    if (!done) return;
    const char *const operation = network_operation_name((uint64_t)n->operation);
    if (n->amount != a->amount || strcmp(n->currency, a->currency) != 0 ||
        strcmp(n->merchant, a->merchant) != 0 || strcmp(operation, a->operation) != 0)
        finding_add(findings, CHECK_I14, "%s: %s of %lld %s here, %s of %lld %s at the network",
                    a->id, a->operation, (long long)a->amount, a->currency, operation,
                    (long long)n->amount, n->currency);
    check_sums(a, n, findings);
}

static void
check_effects(const struct network_record *n, struct findings *findings)
{
    if (n->effects > 1 || n->undone > n->effects)
        finding_add(findings, CHECK_I15, "%s: %lld times, undone %lld times", n->reference,
                    (long long)n->effects, (long long)n->undone);
}

/* --- both lists at once ----------------------------------------------------------------------- */

/* Which of the two has the lesser reference; one that is at its end has none. */
static int
order_of(const struct ours *a, const struct network_record *n, bool have_n)
{
    if (!a) return 1;
    return have_n ? strcmp(a->id, n->reference) : -1;
}

static bool
walk(struct all_ours *all, struct network_journal *journal, int64_t snapshot_ms,
     struct findings *findings)
{
    static struct network_record n;
    for (int i = 0; i < all->count; i++)
        all_read(all, i);
    bool have_n = journal && network_journal_next(journal, &n);
    for (const struct ours *a; (a = all_least(all)) || have_n;) {
        const int order = order_of(a, &n, have_n);
        const bool fresh = have_n && n.changed_ms >= snapshot_ms;
        if (order < 0)
            check_unknown_to_network(a, findings);
        else if (order > 0 && !fresh)
            check_unknown_to_us(&n, findings);
        else if (order == 0 && !fresh)
            check_pair(a, &n, findings);
        if (order >= 0) check_effects(&n, findings);
        if (order <= 0) all_read(all, all->at);
        if (order >= 0) have_n = network_journal_next(journal, &n);
    }
    for (int i = 0; i < all->count; i++)
        ours_clear(&all->next[i]);
    return !all->failed && !(journal && network_journal_failed(journal));
}

static bool
journal_is_there(const char *home)
{
    char path[4096], file[4128];
    struct stat status;
    network_journal_folder(home, path, sizeof path);
    snprintf(file, sizeof file, "%s/data.mdb", path);
    return stat(file, &status) == 0;
}

bool
network_check(const char *home, PGconn *const conns[], int count, int64_t snapshot_ms,
              struct findings *findings, char *error, size_t error_size)
{
    struct all_ours all = {.conns = conns, .count = count};
    struct network_journal *journal = NULL;
    if (journal_is_there(home) && !(journal = network_journal_open(home, error, error_size)))
        return false;
    snprintf(error, error_size, "The attempts or the network's journal could not be read.");
    bool fine = true;
    for (int i = 0; fine && i < count; i++)
        fine = PQsendQuery(conns[i], query) && PQsetSingleRowMode(conns[i]);
    fine = fine && walk(&all, journal, snapshot_ms, findings);
    network_journal_close(&journal);
    return fine;
}
