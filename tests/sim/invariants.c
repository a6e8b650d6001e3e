/* What must hold when nothing is under way any more: the audit's checks (tools/audit/checks.def and
 * network_check.c), by their names, said again in C over the database in memory and the network's
 * book; and what only somebody who saw everything can check. */
#include "play.h"

#include "attempt.h"
#include "clock.h"
#include "database.h"
#include "id.h"
#include "journal_kept.h"
#include "json_reader.h"
#include "message.h"
#include "world.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
#define ACCOUNT(NAME, number, name, owner, kind, doc) NAME = (number),
#include "accounts.def"
#undef ACCOUNT
};

#define EACH_ROW(name, row)                                                      \
    for (size_t row##_at = 0; row##_at < database_count(ROW_##name); row##_at++) \
        for (const struct row_##name *row = database_nth(ROW_##name, row##_at); row; row = NULL)
#define EACH(shelf, kind, thing)                                                    \
    for (size_t thing##_at = 0; thing##_at < tables_kept.shelf.count; thing##_at++) \
        for (const struct kind *thing = tables_kept.shelf.at[thing##_at]; thing; thing = NULL)
#define WORDS(text) (int)(text).size, (text).at ? (text).at : ""

static bool
same(struct text a, struct text b)
{
    return a.at && b.at && text_equal(a, b);
}

static bool
is_open(const struct row_attempt *a)
{
    return attempt_is_open(attempt_state_named(a->state));
}

static bool
is_approved(const struct row_attempt *a)
{
    return text_is(a->state, "approved");
}

static bool
does(const struct row_attempt *a, const char *operation)
{
    return text_is(a->operation, operation);
}

/* A capture that keeps the rest held. */
static bool
keeps_the_rest(const struct row_attempt *a)
{
    return a->params.at && text_is(json_find(a->params, "keep"), "true");
}

/* --- the books -------------------------------------------------------------------------------- */

static void
I01_each_transaction_balances(void)
{
    EACH(entries, kept_entry, e)
    {
        int64_t sum = 0;
        EACH(entries, kept_entry, other)
        if (other->transaction == e->transaction && text_equal(other->currency, e->currency))
            sum += other->amount;
        if (sum) violation("I01 transaction %lld: %lld", (long long)e->transaction, (long long)sum);
    }
}

static void
I02_the_ledger_balances(void)
{
    int64_t sum = 0; /* there is one currency here */
    EACH(entries, kept_entry, e)
    sum += e->amount;
    if (sum) violation("I02 %lld", (long long)sum);
}

static void
I03_balances_are_sums(void)
{
    size_t found = 0;
    EACH(balances, kept_balance, b)
    {
        int64_t sum = 0;
        EACH(entries, kept_entry, e)
        if (e->account == b->account && text_equal(e->merchant, b->merchant) &&
            text_equal(e->currency, b->currency)) {
            sum += e->amount;
            found++;
        }
        if (sum != b->amount)
            violation("I03 account %lld of %.*s: %lld instead of %lld", (long long)b->account,
                      WORDS(b->merchant), (long long)b->amount, (long long)sum);
    }
    if (found != tables_kept.entries.count) violation("I03 an entry without a balance");
}

static void
I04_transactions_have_lines(void)
{
    EACH(transactions, kept_transaction, t)
    {
        int lines = 0;
        EACH(entries, kept_entry, e)
        lines += e->transaction == t->id;
        if (lines < 2) violation("I04 transaction %lld", (long long)t->id);
    }
}

static void
I05_entries_have_transactions(void)
{
    EACH(entries, kept_entry, e)
    {
        bool found = false;
        EACH(transactions, kept_transaction, t)
        found |= t->id == e->transaction;
        if (!found) violation("I05 entry of transaction %lld", (long long)e->transaction);
    }
}

static void
I06_transactions_have_no_gaps(void)
{
    int64_t last = 0;
    EACH(transactions, kept_transaction, t)
    if (t->id > last) last = t->id;
    if (last != (int64_t)tables_kept.transactions.count ||
        last != database_leader()->transaction_head)
        violation("I06 %zu transactions, the last is %lld, the head %lld",
                  tables_kept.transactions.count, (long long)last,
                  (long long)database_leader()->transaction_head);
}

static void
I07_events_have_no_gaps(void)
{
    int64_t last = 0;
    EACH(events, kept_event, e)
    if (e->sequence > last) last = e->sequence;
    if (last != (int64_t)tables_kept.events.count || last != database_leader()->event_head)
        violation("I07 %zu events, the last is %lld, the head %lld", tables_kept.events.count,
                  (long long)last, (long long)database_leader()->event_head);
}

/* --- attempts and keys ------------------------------------------------------------------------ */

static void
I08_no_attempt_is_open(void)
{
    EACH_ROW(attempt, a)
    if (is_open(a)) violation("I08 %.*s is %.*s", WORDS(a->id), WORDS(a->state));
}

static void
I09_claimed_keys_have_answers(void)
{
    EACH(keys, kept_key, k)
    if (k->status == NO_NUMBER) violation("I09 %.*s", WORDS(k->key));
}

static void
I10_one_authorization(void)
{
    EACH_ROW(attempt, a)
    EACH_ROW(attempt, b)
    if (a_at < b_at && does(a, "authorize") && does(b, "authorize") && is_approved(a) &&
        is_approved(b) &&
        (same(a->payment_intent, b->payment_intent) ||
         (!a->payment_intent.at && same(a->charge, b->charge))))
        violation("I10 %.*s and %.*s", WORDS(a->id), WORDS(b->id));
}

static int64_t
booked(struct text source, const char *kind, int account, int *times)
{
    int64_t amount = 0;
    *times = 0;
    EACH(transactions, kept_transaction, t)
    if (text_equal(t->source, source) && text_is(t->kind, kind)) {
        ++*times;
        EACH(entries, kept_entry, e)
        if (e->transaction == t->id && e->account == account) amount += e->amount;
    }
    return amount;
}

static void
must_be_booked(const struct row_attempt *a, struct text source, const char *kind, int account,
               int64_t amount)
{
    int times;
    const int64_t is = booked(source, kind, account, &times);
    if (times != 1 || is != amount)
        violation("I11 %.*s, %s of %.*s: %lld booked, %lld approved, %d times", WORDS(a->id), kind,
                  WORDS(source), (long long)is, (long long)amount, times);
}

/* What is still held when a capture or a void ends it. */
static int64_t
held_in_the_end(const struct row_attempt *end)
{
    const struct row_attempt *held = database_row(ROW_attempt, end->merchant, end->original);
    int64_t amount = held ? held->amount : 0;
    if (!held) violation("I11 %.*s of nothing", WORDS(end->id));
    EACH_ROW(attempt, a)
    {
        if (!is_approved(a) || !same(a->original, end->original)) continue;
        if (does(a, "increment")) amount += a->amount;
        if (does(a, "capture") && keeps_the_rest(a)) amount -= a->amount;
    }
    return amount;
}

/* What comes several times for a payment (increments, captures that keep the rest held) is booked
 * under its attempt, the rest under its charge. */
static void
I11_approved_is_booked(void)
{
    size_t wanted = 0, main = 0;
    EACH_ROW(attempt, a)
    {
        if (!is_approved(a)) continue;
        const bool keeps = keeps_the_rest(a);
        if (does(a, "authorize") || does(a, "increment") || does(a, "capture") || does(a, "refund"))
            wanted++;
        if (does(a, "authorize") && a->capture)
            must_be_booked(a, a->charge, "charge", NETWORK_RECEIVABLE, a->amount);
        if (does(a, "authorize") && !a->capture)
            must_be_booked(a, a->charge, "hold", AUTHORIZATIONS_HELD, a->amount);
        if (does(a, "increment")) must_be_booked(a, a->id, "hold", AUTHORIZATIONS_HELD, a->amount);
        if (does(a, "capture"))
            must_be_booked(a, keeps ? a->id : a->charge, "charge", NETWORK_RECEIVABLE, a->amount);
        if (does(a, "refund")) must_be_booked(a, a->refund, "refund", REFUNDS, -a->amount);
        if (does(a, "capture") && keeps)
            must_be_booked(a, a->id, "release", AUTHORIZATIONS_HELD, -a->amount);
        if (!keeps && (does(a, "capture") || does(a, "void")))
            must_be_booked(a, a->charge, "release", AUTHORIZATIONS_HELD, -held_in_the_end(a));
        if (does(a, "capture") || does(a, "void")) wanted++;
    }
    EACH(transactions, kept_transaction, t)
    main += text_is(t->kind, "charge") || text_is(t->kind, "hold") || text_is(t->kind, "release") ||
            text_is(t->kind, "refund");
    if (main != wanted) violation("I11 %zu are booked, %zu were approved", main, wanted);
}

static void
I12_payments_stand_where_attempts_say(void)
{
    EACH_ROW(payment_intent, p)
    {
        bool taken = false, held = false, released = false, open = false, part = false;
        bool let_go = false;
        EACH_ROW(attempt, a)
        {
            if (!same(a->payment_intent, p->id) || !text_equal(a->merchant, p->merchant)) continue;
            const bool yes = is_approved(a), keeps = keeps_the_rest(a);
            taken |=
                yes && ((does(a, "capture") && !keeps) || (does(a, "authorize") && a->capture));
            held |= yes && does(a, "authorize") && !a->capture;
            released |= yes && !keeps && (does(a, "capture") || does(a, "void"));
            part |= yes && keeps;
            let_go |= yes && does(a, "void");
            open |= is_open(a);
        }
        taken |= part && let_go;
        if (text_is(p->status, "succeeded") != taken ||
            text_is(p->status, "requires_capture") != (held && !released) ||
            (text_is(p->status, "processing") && !open))
            violation("I12 %.*s is %.*s", WORDS(p->id), WORDS(p->status));
    }
}

static void
I13_amounts_are_in_bounds(void)
{
    EACH_ROW(payment_intent, p)
    {
        int64_t captured = 0;
        EACH_ROW(charge, c)
        if (same(c->payment_intent, p->id)) captured += c->amount_captured;
        if (p->amount_received > p->amount || p->amount_received != captured)
            violation("I13 %.*s", WORDS(p->id));
    }
    EACH_ROW(charge, c)
    {
        int64_t refunded = 0, refunding = 0;
        EACH_ROW(refund, r)
        {
            if (!same(r->charge, c->id)) continue;
            if (r->balance_transaction.at &&
                (text_is(r->status, "succeeded") || text_is(r->status, "pending")))
                refunded += r->amount;
            if (!r->balance_transaction.at && text_is(r->status, "pending")) refunding += r->amount;
        }
        if (c->amount_captured > c->amount ||
            refunded + refunding > (c->captured ? c->amount_captured : c->amount) ||
            c->amount_refunding != refunding ||
            (c->captured && c->amount_refunded - (c->amount - c->amount_captured) != refunded))
            violation("I13 %.*s", WORDS(c->id));
    }
}

static void
I19_what_was_told_is_booked(void)
{
    EACH(keys, kept_key, k)
    {
        const struct text body = k->status == 200 ? database_answer(k) : NO_TEXT;
        if (!body.at || !text_is(json_bare(json_find(body, "object")), "payment_intent")) continue;
        if (!text_is(json_bare(json_find(body, "status")), "succeeded")) continue;
        const struct row_payment_intent *p =
            database_row(ROW_payment_intent, k->merchant, json_bare(json_find(body, "id")));
        if (!p || !text_is(p->status, "succeeded")) violation("I19 %.*s", WORDS(k->key));
    }
}

static void
I20_a_key_has_one_effect(void)
{
    EACH_ROW(attempt, a)
    {
        if (!a->key.at) continue;
        int times = 0;
        EACH_ROW(attempt, b)
        times += same(a->key, b->key) && text_equal(a->merchant, b->merchant);
        if (times > 1) violation("I20 %.*s: %d attempts", WORDS(a->key), times);
        if (!database_key(a->merchant, a->key)) violation("I20 %.*s is not kept", WORDS(a->key));
    }
}

/* --- events ----------------------------------------------------------------------------------- */

static int
events_of(struct text merchant, struct text object, const char *type)
{
    int count = 0;
    EACH(events, kept_event, e)
    count += text_equal(e->object, object) && text_equal(e->merchant, merchant) &&
             text_is(e->type, type);
    return count;
}

static void
I21_I22_payments_end_once(void)
{
    EACH_ROW(payment_intent, p)
    {
        const int succeeded = events_of(p->merchant, p->id, "payment_intent.succeeded");
        const int canceled = events_of(p->merchant, p->id, "payment_intent.canceled");
        if ((text_is(p->status, "succeeded") && !succeeded) ||
            (text_is(p->status, "canceled") && !canceled))
            violation("I21 %.*s is %.*s", WORDS(p->id), WORDS(p->status));
        if (succeeded + canceled > 1) violation("I22 %.*s", WORDS(p->id));
    }
}

/* The first thing that is told of a payment is that it was created, and that once. */
static void
payments_are_told_from_their_beginning(void)
{
    EACH_ROW(payment_intent, p)
    {
        const struct kept_event *first = NULL;
        EACH(events, kept_event, e)
        if (text_equal(e->object, p->id) && text_equal(e->merchant, p->merchant) &&
            (!first || e->sequence < first->sequence))
            first = e;
        if (!first || !text_is(first->type, "payment_intent.created") ||
            events_of(p->merchant, p->id, "payment_intent.created") != 1)
            violation("%.*s is not told from its beginning", WORDS(p->id));
    }
}

static void
I23_events_reach_endpoints(void)
{
    const struct kept_dispatch *dispatch = tables_kept.dispatch.at[0];
    if (dispatch->sequence != database_leader()->event_head)
        violation("I23 event %lld is not dispatched", (long long)database_leader()->event_head);
    EACH_ROW(webhook_endpoint, w)
    EACH(events, kept_event, e)
    {
        if (!text_equal(e->merchant, w->merchant)) continue;
        bool found = false;
        EACH(deliveries, kept_delivery, d)
        if (d->sequence == e->sequence && text_equal(d->endpoint, w->id)) {
            found = true;
            if (!text_is(d->state, "delivered"))
                violation("I23 event %lld is %.*s", (long long)d->sequence, WORDS(d->state));
        }
        if (!found) violation("I23 event %lld for %.*s", (long long)e->sequence, WORDS(w->id));
        if (!play_endpoint_took(w->id, e->id))
            violation("I23 event %.*s never came to %.*s", WORDS(e->id), WORDS(w->id));
    }
}

static void
I24_I25_deliveries_are_of_events(void)
{
    EACH(deliveries, kept_delivery, d)
    {
        bool found = false;
        EACH(events, kept_event, e)
        found |= e->sequence == d->sequence && text_equal(e->id, d->event) &&
                 text_equal(e->merchant, d->merchant);
        if (!found) violation("I24 %.*s for %.*s", WORDS(d->event), WORDS(d->endpoint));
        if (!database_row(ROW_webhook_endpoint, d->merchant, d->endpoint))
            violation("I25 %.*s for %.*s", WORDS(d->event), WORDS(d->endpoint));
    }
}

/* --- the network ------------------------------------------------------------------------------ */

static enum network_operation
operation_named(struct text word)
{
    for (int o = 1; o <= NETWORK_INCREMENT; o++)
        if (text_is(word, network_operation_name((uint64_t)o))) return (enum network_operation)o;
    return 0;
}

static void
network_knows(const struct row_attempt *a, const struct network_record *n)
{
    const bool moves = !does(a, "void") && !does(a, "recall") && !does(a, "verify");
    const bool theirs = n && n->state == NETWORK_STATE_APPROVED;
    if (is_approved(a) != theirs)
        violation("I14 %.*s is %.*s, at the network %s", WORDS(a->id), WORDS(a->state),
                  n ? network_state_name(n->state) : "unknown");
    if (!n || !theirs) return;
    if (n->operation != (int64_t)operation_named(a->operation) ||
        (moves && (n->amount != a->amount || !text_is(a->currency, n->currency))))
        violation("I14 %.*s: %lld, at the network %lld", WORDS(a->id), (long long)a->amount,
                  (long long)n->amount);
    if (n->effects > 1 || (theirs && n->undone)) violation("I15 %.*s", WORDS(a->id));
}

/* What the network holds, took and gave back of an authorization is what our charge says. */
static void
sums_agree(const struct row_attempt *a, const struct network_record *n)
{
    int64_t captured = 0, refunded = 0;
    EACH_ROW(charge, c)
    {
        if (!same(c->authorization, a->id)) continue;
        captured += c->amount_captured;
        EACH_ROW(refund, r)
        if (same(r->charge, c->id) && r->balance_transaction.at &&
            (text_is(r->status, "succeeded") || text_is(r->status, "pending")))
            refunded += r->amount;
    }
    if (n->captured != captured || n->refunded != refunded)
        violation("I14 %.*s: %lld captured and %lld refunded, at the network %lld and %lld",
                  WORDS(a->id), (long long)captured, (long long)refunded, (long long)n->captured,
                  (long long)n->refunded);
}

static void
I14_I15_I16_the_network_agrees(void)
{
    EACH_ROW(attempt, a)
    {
        const struct network_record *n = book_record(a->id);
        network_knows(a, n);
        if (n && does(a, "authorize") && is_approved(a)) sums_agree(a, n);
    }
    for (size_t i = 0; i < book_count(); i++) {
        const struct network_record *n = book_nth(i);
        if (n->effects > 1 || n->undone > 1)
            violation("I15 %s has moved money twice", n->reference);
        if (n->effects - n->undone > 0 &&
            !database_row(ROW_attempt, text_of(n->merchant), text_of(n->reference)))
            violation("I16 %s at the network is nobody's", n->reference);
    }
}

/* --- ours, beyond the list -------------------------------------------------------------------- */

static void
J01_balances_are_their_transactions(void)
{
    EACH(balances, kept_balance, b)
    {
        int64_t sum = 0;
        if (b->account != MERCHANT_PENDING && b->account != MERCHANT_AVAILABLE) continue;
        EACH_ROW(balance_transaction, t)
        if (text_equal(t->merchant, b->merchant) &&
            text_is(t->status, "pending") == (b->account == MERCHANT_PENDING))
            sum -= t->net;
        if (sum != b->amount)
            violation("J01 account %lld of %.*s: %lld instead of %lld", (long long)b->account,
                      WORDS(b->merchant), (long long)b->amount, (long long)sum);
    }
}

static void
J11_attempts_have_their_payment(void)
{
    EACH_ROW(attempt, a)
    {
        if (a->staged.at && !is_open(a)) violation("J11 %.*s bears something", WORDS(a->id));
        if (!a->payment_intent.at) continue;
        const bool there = database_row(ROW_payment_intent, a->merchant, a->payment_intent) != NULL;
        if (there == (a->staged.at != NULL))
            violation("J11 %.*s: %.*s", WORDS(a->id), WORDS(a->payment_intent));
    }
}

static void
J12_answers_were_told_by_their_own_request(void)
{
    EACH(keys, kept_key, k)
    {
        if (k->told == NO_NUMBER) continue;
        const struct kept_event *const e = database_event(k->told);
        if (!e || !text_equal(e->key, k->key) || !text_equal(e->merchant, k->merchant))
            violation("J12 %.*s", WORDS(k->key));
    }
}

static void
J13_events_are_found_by_their_ids(void)
{
    EACH(events, kept_event, e)
    {
        const struct kept_event *const first = database_event(e->first);
        if (!first || first->nth != 1 || !text_equal(first->merchant, e->merchant) ||
            e->sequence != e->first + e->nth - 1 ||
            (e->nth > 1 && !id_is_beside(e->id, first->id, (unsigned)e->nth - 1)))
            violation("J13 event %lld", (long long)e->sequence);
    }
}

static void
J15_what_was_told_can_be_read(void)
{
    EACH(events, kept_event, e)
    {
        const struct text id = json_bare(json_find(e->data, "id")); /* a balance has none */
        if (!e->data.at || (id.at && !text_equal(id, e->object)))
            violation("J15 event %lld", (long long)e->sequence);
    }
}

/* At the end. That it was so all the while, database.c sees to when an attempt begins. */
static void
J14_one_attempt_at_a_time(void)
{
    EACH_ROW(attempt, a)
    EACH_ROW(attempt, b)
    if (a != b && is_open(a) && is_open(b) && same(a->payment_intent, b->payment_intent) &&
        same(a->merchant, b->merchant) && !does(a, "refund") && !does(b, "refund"))
        violation("J14 %.*s and %.*s", WORDS(a->id), WORDS(b->id));
}

/* Lists find by its name what no index has (store_reads.c). */
static void
J16_J17_what_is_named_is_found(void)
{
    EACH_ROW(charge, c)
    {
        if (!c->payment_intent.at || c->failure_code.at) continue;
        const struct row_payment_intent *const p =
            database_row(ROW_payment_intent, c->merchant, c->payment_intent);
        if (!p || !same(p->latest_charge, c->id)) violation("J16 %.*s", WORDS(c->id));
    }
    EACH_ROW(balance_transaction, t)
    {
        if (!t->final) continue;
        const struct row_charge *const c = database_row(ROW_charge, t->merchant, t->source);
        if (!c || !same(c->balance_transaction, t->id)) violation("J17 %.*s", WORDS(t->id));
    }
}

static void
J02_set_ups_stand_where_attempts_say(void)
{
    EACH_ROW(setup_intent, s)
    {
        int approved = 0, open = 0;
        EACH_ROW(attempt, a)
        if (same(a->setup_intent, s->id)) {
            approved += is_approved(a);
            open += is_open(a);
        }
        if (text_is(s->status, "succeeded") != (approved == 1) || approved > 1 ||
            (text_is(s->status, "processing") && !open))
            violation("J02 %.*s is %.*s", WORDS(s->id), WORDS(s->status));
    }
}

static void
waits_for(struct text merchant, struct text who, struct text id)
{
    const struct row_challenge *c = id.at ? database_row(ROW_challenge, merchant, id) : NULL;
    const struct row_attempt *a = c ? database_row(ROW_attempt, merchant, c->attempt) : NULL;
    if (!c || !text_is(c->state, "open") || !a || !text_is(a->state, "challenged") ||
        !(same(c->payment_intent, who) || same(c->setup_intent, who)))
        violation("J03 %.*s waits for %.*s", WORDS(who), WORDS(id));
}

static void
J03_who_waits_waits_for_somebody(void)
{
    EACH_ROW(payment_intent, p)
    if (text_is(p->status, "requires_action")) waits_for(p->merchant, p->id, p->challenge);
    EACH_ROW(setup_intent, s)
    if (text_is(s->status, "requires_action")) waits_for(s->merchant, s->id, s->challenge);
}

static void
J04_a_passed_challenge_counts_once(void)
{
    EACH_ROW(attempt, a)
    {
        int times = 0, passed = 0;
        if (!(does(a, "authorize") || does(a, "verify")) || !a->original.at) continue;
        EACH_ROW(attempt, b)
        times += (does(b, "authorize") || does(b, "verify")) && same(a->original, b->original);
        EACH_ROW(challenge, c)
        passed += same(c->attempt, a->original) && text_is(c->state, "passed");
        if (times != 1 || passed != 1) violation("J04 %.*s, %d times", WORDS(a->original), times);
    }
}

static void
J05_refunds_that_came_back(void)
{
    size_t wanted = 0, booked_back = 0;
    EACH_ROW(refund, r)
    {
        int times;
        const bool back = r->balance_transaction.at &&
                          (text_is(r->status, "failed") || text_is(r->status, "canceled"));
        const int64_t amount = booked(r->id, "refund_failure", REFUNDS, &times);
        wanted += back;
        if (times != back || (back && (amount != r->amount || !r->failure_balance_transaction.at ||
                                       r->follow_at != NO_NUMBER)))
            violation("J05 %.*s is %.*s: %lld came back", WORDS(r->id), WORDS(r->status),
                      (long long)amount);
    }
    EACH(transactions, kept_transaction, t)
    booked_back += text_is(t->kind, "refund_failure");
    if (booked_back != wanted) violation("J05 %zu instead of %zu", booked_back, wanted);
}

static void
J06_J07_charges_without_payments(void)
{
    EACH_ROW(charge, c)
    {
        bool paid = false, taken = false, open = false;
        if (c->payment_intent.at) continue;
        EACH_ROW(attempt, a)
        {
            if (!same(a->charge, c->id)) continue;
            paid |= is_approved(a) && does(a, "authorize");
            taken |= is_approved(a) && (does(a, "capture") || (does(a, "authorize") && a->capture));
            open |= is_open(a) && !does(a, "refund") && !does(a, "recall");
        }
        if (c->paid != paid || c->captured != taken ||
            text_is(c->status, "pending") != (open && !paid) || (c->attempt.at != NULL) != open)
            violation("J06 %.*s is %.*s", WORDS(c->id), WORDS(c->status));
        const int yes = events_of(c->merchant, c->id, "charge.succeeded");
        const int no = events_of(c->merchant, c->id, "charge.failed");
        if ((text_is(c->status, "succeeded") && (yes != 1 || no)) ||
            (text_is(c->status, "failed") && (no != 1 || yes)))
            violation("J07 %.*s is %.*s", WORDS(c->id), WORDS(c->status));
    }
}

static void
J08_no_refund_waits_for_long(void)
{
    EACH_ROW(refund, r)
    if (r->follow_at != NO_NUMBER && r->follow_at < clock_wall_ms() / 1000 - 3600)
        violation("J08 %.*s was due at %lld", WORDS(r->id), (long long)r->follow_at);
}

/* Money that was only held and then let go leaves a session complete and its payment canceled. */
static void
J09_sessions_are_complete_when_paid(void)
{
    EACH_ROW(checkout_session, s)
    {
        const struct row_payment_intent *p =
            s->payment_intent.at ? database_row(ROW_payment_intent, s->merchant, s->payment_intent)
                                 : NULL;
        const struct row_setup_intent *i =
            s->setup_intent.at ? database_row(ROW_setup_intent, s->merchant, s->setup_intent)
                               : NULL;
        if (p && !same(p->checkout_session, s->id)) p = NULL;
        if (i && !same(i->checkout_session, s->id)) i = NULL;
        const bool done =
            (p && (text_is(p->status, "succeeded") || text_is(p->status, "requires_capture"))) ||
            (i && text_is(i->status, "succeeded"));
        const bool canceled =
            (p && text_is(p->status, "canceled")) || (!p && i && text_is(i->status, "canceled"));
        const bool complete = text_is(s->status, "complete");
        if ((complete && !done && !(p && canceled)) || (!complete && done) ||
            (text_is(s->status, "expired") && (p || i) && !canceled) ||
            (p && (p->amount != s->amount_total || !text_equal(p->currency, s->currency))))
            violation("J09 %.*s is %.*s", WORDS(s->id), WORDS(s->status));
    }
}

static void
J10_sessions_end_once(void)
{
    EACH_ROW(checkout_session, s)
    {
        const bool complete = text_is(s->status, "complete"), open = text_is(s->status, "open");
        const int ends =
            events_of(s->merchant, s->id,
                      complete ? "checkout.session.completed" : "checkout.session.expired");
        if (ends != !open) violation("J10 %.*s is %.*s: %d", WORDS(s->id), WORDS(s->status), ends);
    }
}

/* --- what only somebody who saw everything can check ------------------------------------------ */

/* Under one key: at most one object of a kind, and what the client was told last is what is kept.
 */
static void
clients_were_told_what_is_kept(void)
{
    for (const struct wish *w = play_wishes; w; w = w->next) {
        const struct kept_key *k = w->key.at ? database_key(w->merchant, w->key) : NULL;
        if (!k || !w->status || w->status >= 500 || !w->stored_status) continue;
        if (k->status != w->stored_status || !text_equal(database_answer(k), w->stored_body))
            violation("I18 %.*s was told otherwise", WORDS(w->key));
    }
}

static void
wishes_are_granted(void)
{
    EACH_ROW(resend, r)
    if (!database_granted(r)) violation("the wish %.*s was not granted", WORDS(r->id));
}

/* Which of the audit's a check says again; run.sh holds that list against the audit's own. */
static const struct {
    const char *names; /* "" none: only who saw everything knows */
    void (*check)(void);
} checks[] = {
    {"I01", I01_each_transaction_balances},
    {"I02", I02_the_ledger_balances},
    {"I03", I03_balances_are_sums},
    {"I04", I04_transactions_have_lines},
    {"I05", I05_entries_have_transactions},
    {"I06", I06_transactions_have_no_gaps},
    {"I07", I07_events_have_no_gaps},
    {"I08", I08_no_attempt_is_open},
    {"I09", I09_claimed_keys_have_answers},
    {"I10", I10_one_authorization},
    {"I11", I11_approved_is_booked},
    {"I12", I12_payments_stand_where_attempts_say},
    {"I13", I13_amounts_are_in_bounds},
    {"I14 I15 I16", I14_I15_I16_the_network_agrees},
    {"I19", I19_what_was_told_is_booked},
    {"I20", I20_a_key_has_one_effect},
    {"I21 I22", I21_I22_payments_end_once},
    {"I23", I23_events_reach_endpoints},
    {"I24 I25", I24_I25_deliveries_are_of_events},
    {"J01", J01_balances_are_their_transactions},
    {"J02", J02_set_ups_stand_where_attempts_say},
    {"J03", J03_who_waits_waits_for_somebody},
    {"J04", J04_a_passed_challenge_counts_once},
    {"J05", J05_refunds_that_came_back},
    {"J06 J07", J06_J07_charges_without_payments},
    {"J08", J08_no_refund_waits_for_long},
    {"J09", J09_sessions_are_complete_when_paid},
    {"J10", J10_sessions_end_once},
    {"J11", J11_attempts_have_their_payment},
    {"J12", J12_answers_were_told_by_their_own_request},
    {"J13", J13_events_are_found_by_their_ids},
    {"J14", J14_one_attempt_at_a_time},
    {"J15", J15_what_was_told_can_be_read},
    {"J16 J17", J16_J17_what_is_named_is_found},
    {"I18", clients_were_told_what_is_kept},
    {"", payments_are_told_from_their_beginning},
    {"", wishes_are_granted},
};

void
invariants_check(void)
{
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        checks[i].check();
}

void
invariants_list(FILE *out)
{
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        if (checks[i].names[0]) fprintf(out, "%s\n", checks[i].names);
}
