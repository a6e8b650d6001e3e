/* Model (e): from committed events to deliveries: the cursor, the leases, the marks.
 *
 * Who looks for events does so without a lock, and what he found is dispatched if the cursor stands then
 * where it stood. Two webhooks processes share one endpoint's deliveries. The tap may lose every word; the table is
 * looked at anyway. A process dies at any step, or stands still past the end of its lease and goes on
 * as if nothing had been. The endpoint answers 2xx or not.
 *
 * Mutants:
 *   TWO_COMMITS   the cursor moves in a transaction of its own, before the deliveries are there
 *   GAPS          numbers become visible out of order (two writers): the cursor passes what is to come
 *   TRUSTS_TAP    only what the tap tells is looked at
 *   MARKS_EARLY   a delivery is marked before the endpoint has answered
 *   NO_LEASE      a mark counts whoever's the lease is
 *   NO_END        a lease never ends and is never reclaimed
 *   NO_COMPARE    what was looked at is dispatched wherever the cursor stands; holds: the comparison saves work */
#ifndef EVENTS
#define EVENTS 3
#endif
#define NONE      0
#define PENDING   1
#define DELIVERED 2
#define NOBODY    2

bool visible[EVENTS] = false;        /* committed */
byte cursor = 0;                     /* events below it are dispatched */
byte delivery[EVENTS] = NONE;
byte lease[EVENTS] = NOBODY;         /* whose */
bool current[2] = false;             /* the lease that this process knows of is that one */
bool got[EVENTS] = false;            /* the endpoint said 2xx to it */
bool calm = false;
byte woken = 0;                      /* the tap's last word: events below it are there */

#define IDLE    0
#define POSTS   1
#define ANSWERED 2
byte step[2] = IDLE, item[2] = 0;
bool success[2] = false;
byte looked[2] = 0, from[2] = 0;     /* the event that was looked at + 1, and where the cursor stood then */
byte moving[2] = 0;                  /* TWO_COMMITS: the cursor was moved past this event - 1 */

active proctype Ledger()
{
    byte i = 0;
end: do
    :: atomic { i < EVENTS ->
#ifdef GAPS
         if :: !visible[i] -> visible[i] = true; i++
            :: i + 1 < EVENTS && !visible[i + 1] -> visible[i + 1] = true
            :: visible[i] -> i++
         fi;
#else
         visible[i] = true; i++;
#endif
         if :: woken = i :: !calm fi }   /* the tap's word arrives, or is lost */
    od
}

#ifdef TRUSTS_TAP
#define NEWS (cursor < woken)
#else
#define NEWS true
#endif
/* The lowest visible event at or above the cursor. */
#define NEXT_EVENT (cursor < EVENTS && visible[cursor] -> cursor : \
    (cursor + 1 < EVENTS && visible[cursor + 1] -> cursor + 1 : EVENTS))
#ifdef NO_LEASE
#define MINE(w, i) true
#else
#define MINE(w, i) (delivery[i] == PENDING && lease[i] == w && current[w])
#endif

#ifdef NO_COMPARE
#define STILL(w) true
#else
#define STILL(w) (cursor == from[w])
#endif

inline forget(w) { step[w] = IDLE; item[w] = 0; success[w] = false; current[w] = false }

proctype Webhooks(byte w)
{
    byte i;
end: do
    /* Dispatch: a look, then cursor and deliveries in one transaction. */
    :: atomic { NEWS && NEXT_EVENT < EVENTS && looked[w] == 0 && moving[w] == 0 ->
         looked[w] = NEXT_EVENT + 1; from[w] = cursor }
    :: atomic { looked[w] > 0 ->
         i = looked[w] - 1;
         if
         :: STILL(w) ->
#ifdef TWO_COMMITS
            cursor = i + 1; moving[w] = i + 1
#else
            delivery[i] = (delivery[i] == NONE -> PENDING : delivery[i]); cursor = i + 1
#endif
         :: else                                                /* another process was faster */
         fi; i = 0; looked[w] = 0; from[w] = 0 }
    :: atomic { moving[w] > 0 -> delivery[moving[w] - 1] = PENDING; moving[w] = 0 }

    /* Lease what is due; what is leased is not due until its lease ends. */
    :: atomic { step[w] == IDLE && delivery[0] == PENDING && lease[0] == NOBODY -> lease[0] = w; item[w] = 0; current[w] = true; step[w] = POSTS }
    :: atomic { step[w] == IDLE && delivery[1] == PENDING && lease[1] == NOBODY -> lease[1] = w; item[w] = 1; current[w] = true; step[w] = POSTS }
    :: atomic { step[w] == IDLE && EVENTS > 2 && delivery[EVENTS - 1] == PENDING && lease[EVENTS - 1] == NOBODY ->
         lease[EVENTS - 1] = w; item[w] = EVENTS - 1; current[w] = true; step[w] = POSTS }
#ifdef MARKS_EARLY
    :: atomic { step[w] == POSTS && MINE(w, item[w]) && delivery[item[w]] == PENDING -> delivery[item[w]] = DELIVERED; lease[item[w]] = NOBODY }
#endif
    :: atomic { step[w] == POSTS -> got[item[w]] = true; success[w] = true; step[w] = ANSWERED }
    :: atomic { step[w] == POSTS && !calm -> success[w] = false; step[w] = ANSWERED }
    :: atomic { step[w] == ANSWERED ->                          /* the mark */
         i = item[w];
         if
         :: MINE(w, i) ->
            delivery[i] = (success[w] -> DELIVERED : PENDING);
            assert(delivery[i] != DELIVERED || got[i]);
            lease[i] = NOBODY
         :: else                                                /* lost: delivered again by others */
         fi; i = 0; forget(w) }
    /* A lease ends by time, while its holder stands still or is dead. */
#ifndef NO_END
    :: atomic { step[w] != IDLE && current[w] && !calm -> lease[item[w]] = NOBODY; current[w] = false }
#endif
    /* It dies; risen, it reclaims what it had leased. */
    :: atomic { !calm && (step[w] != IDLE || moving[w] > 0 || looked[w] > 0) ->
#ifndef NO_END
         if :: step[w] != IDLE && current[w] && lease[item[w]] == w -> lease[item[w]] = NOBODY :: else fi;
#endif
         moving[w] = 0; looked[w] = 0; from[w] = 0; forget(w) }
    od
}

active proctype Check()
{
    byte i; byte was = 0;
end: do
    :: atomic { !calm -> calm = true }
    /* What was delivered stays so. */
    :: atomic { was == 0 && delivery[0] == DELIVERED -> was = 1 }
    :: atomic { was == 1 && delivery[0] != DELIVERED -> assert(false) }
    :: atomic { timeout ->
         for (i : 0 .. EVENTS - 1) { assert(visible[i] && got[i] && delivery[i] == DELIVERED) } i = 0 }
    od
}

init { atomic { run Webhooks(0); run Webhooks(1) } }
