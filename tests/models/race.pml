/* Model (b): captures, a cancellation and refunds race on one payment of 2 that is held.
 *
 * Every call is a job of its own that reads the rows, decides, begins an attempt, asks the network
 * and books the answer. Between any two of these steps every other job may do any of its own: no
 * lock is taken and no slot is fenced here, so what keeps them apart is the version of each row, the
 * attempt that a payment names while it is open, and the amount that a charge has promised to refunds.
 * Jobs die at any step; what they began is recovered from the attempt's row. Requests reach the
 * network late, or never.
 *
 * The network of this model does what it is asked, and an assertion says that it could be done: that
 * a real network would have refused is no excuse for having asked.
 *
 * RACE=1: captures of 2 and of 1, and a cancellation. RACE=2: a capture, a cancellation, refunds of
 * 1, 1 and 2.
 *
 * Mutants:
 *   NO_VERSION    rows are written whatever they have become since they were read
 *   NO_OPEN       a payment with an open attempt is not told to wait
 *   NO_STATE      the payment's state is not asked whether the call may be
 *   NO_PROMISE    what is being refunded is not taken from what can be refunded
 *   KEEPS_PROMISE a refund that came to nothing keeps what was promised to it
 *   NO_ATTEMPT    recovery books what it was about to do instead of asking the network */
#include "florin.pml"
#ifndef RACE
#define RACE 1
#endif

#define CAPTURE 0
#define VOID    1
#define REFUND  2
#if RACE == 1
#define JOBS 3
#define KIND(j)   ((j) == 2 -> VOID : CAPTURE)
#define AMOUNT(j) ((j) == 1 -> 1 : 2)
#else
#define JOBS 5
#define KIND(j)   ((j) == 0 -> CAPTURE : ((j) == 1 -> VOID : REFUND))
#define AMOUNT(j) ((j) <= 1 || (j) == 4 -> 2 : 1)
#endif

/* The payment's row, and its charge's. */
byte status = PI_NEEDS_CAPTURE;
byte named = 0;          /* job + 1 whose attempt the payment names */
byte taken = 0;          /* booked as captured */
byte refunded = 0;       /* of 2: given back, or released by a capture in part */
byte refunding = 0;      /* of 2: promised */
byte booked_refunds = 0; /* booked as given back */

/* The network's book of the authorization. */
byte net_held = 2, net_taken = 0, net_refunded = 0;

/* Each job: its attempt (durable), its reference at the network, its request on the way. */
byte att[JOBS] = NONE;
byte net[JOBS] = NET_NONE;
bool flies[JOBS] = false, undo_flies[JOBS] = false;

/* Each job's memory. */
#define NOT_BEGUN 0
#define HAS_READ  1
#define ASKS      2
#define WAITS     3
#define RECOVERS  4
#define INQUIRES  5
#define REVERSES  6
#define BOOKS_IT  7
#define BOOKS_NOW 8
#define OVER      9
byte step[JOBS] = NOT_BEGUN;
byte says[JOBS] = 0;
/* What it has read is what is there; and what it read. */
bool pi_fresh[JOBS] = false, charge_fresh[JOBS] = false;
byte r_status[JOBS], r_named[JOBS], r_refunded[JOBS], r_refunding[JOBS];

bool calm = false;

inline read(j)
{
    pi_fresh[j] = true; charge_fresh[j] = true;
    r_status[j] = status; r_named[j] = named; r_refunded[j] = refunded; r_refunding[j] = refunding
}

inline forget(j)
{
    pi_fresh[j] = false; charge_fresh[j] = false; says[j] = 0;
    r_status[j] = 0; r_named[j] = 0; r_refunded[j] = 0; r_refunding[j] = 0
}

inline pi_written()
{
    for (i : 0 .. JOBS - 1) { pi_fresh[i] = false } i = 0
}

inline charge_written()
{
    for (i : 0 .. JOBS - 1) { charge_fresh[i] = false } i = 0
}

#ifdef NO_VERSION
#define AS_READ(j) true
#else
/* A commit replaces exactly the versions that were read. Captures and cancellations begin on the
 * payment's row alone, and end on both. */
#define AS_READ(j) ((KIND(j) == REFUND || pi_fresh[j]) && (step[j] == HAS_READ && KIND(j) != REFUND || charge_fresh[j]))
#endif
#ifdef NO_OPEN
#define MUST_WAIT(j) false
#else
#define MUST_WAIT(j) (r_named[j] != 0)
#endif
#ifdef NO_PROMISE
#define PROMISED(j) 0
#else
#define PROMISED(j) r_refunding[j]
#endif
#ifdef NO_STATE
#define POSSIBLE(j) (KIND(j) == REFUND || !MUST_WAIT(j))
#else
#define POSSIBLE(j) \
    (KIND(j) == CAPTURE -> (!MUST_WAIT(j) && PI_ON_CAPTURE(r_status[j], 2, AMOUNT(j)) != 0) : \
    (KIND(j) == VOID    -> (!MUST_WAIT(j) && PI_ON_CANCEL(r_status[j]) != 0) : \
        (r_status[j] == PI_SUCCEEDED && REFUND_GRANTS(2, r_refunded[j], PROMISED(j), AMOUNT(j)) != 0)))
#endif

/* The commit that begins: the attempt, and the row that names or promises it. */
inline begin(j)
{
    if
    :: !AS_READ(j) -> read(j)                                  /* STALE: decide again */
    :: else ->
       att[j] = ATTEMPT_STEP(NONE, ON_BEGIN);
       if
       :: KIND(j) == REFUND -> refunding = r_refunding[j] + AMOUNT(j); charge_written()
       :: else -> named = j + 1; pi_written()
       fi;
       forget(j); step[j] = ASKS
    fi
}

/* What the network does with an operation that it sees for the first time. */
inline follow(j)
{
    if
    :: KIND(j) == CAPTURE ->
       assert(NET_MAY_CAPTURE(net_held, net_taken, AMOUNT(j)));
       net_taken = AMOUNT(j); net_held = 0
    :: KIND(j) == VOID ->
       assert(NET_MAY_VOID(net_held, net_taken));
       net_held = 0
    :: KIND(j) == REFUND ->
       assert(NET_MAY_REFUND(net_taken, net_refunded, AMOUNT(j)));
       net_refunded = net_refunded + AMOUNT(j)
    fi;
    net[j] = NET_APPROVED
}

inline unfollow(j)
{
    if
    :: KIND(j) == CAPTURE -> assert(net_refunded == 0); net_taken = 0; net_held = 2
    :: KIND(j) == VOID -> net_held = 2
    :: KIND(j) == REFUND -> net_refunded = net_refunded - AMOUNT(j)
    fi
}

/* The commit that ends: attempt, payment, charge and books. */
inline book(j)
{
    if
    :: !AS_READ(j) -> forget(j); step[j] = RECOVERS            /* STALE: look again where it stands */
    :: else ->
       assert(ATTEMPT_STEP(att[j], EVENT_OF(says[j])) != NONE);
       att[j] = ATTEMPT_STEP(att[j], EVENT_OF(says[j]));
       if
       :: KIND(j) == CAPTURE && says[j] == SAYS_APPROVED ->
          status = PI_ON_CAPTURE(r_status[j], 2, AMOUNT(j)); assert(status == PI_SUCCEEDED);
          taken = taken + AMOUNT(j); refunded = r_refunded[j] + 2 - AMOUNT(j)
       :: KIND(j) == VOID && says[j] == SAYS_APPROVED ->
          status = PI_ON_CANCEL(r_status[j]); assert(status == PI_CANCELED)
       :: KIND(j) == REFUND && says[j] == SAYS_APPROVED ->
          refunded = r_refunded[j] + AMOUNT(j); refunding = r_refunding[j] - AMOUNT(j);
          booked_refunds = booked_refunds + AMOUNT(j)
       :: KIND(j) == REFUND && says[j] != SAYS_APPROVED ->
#ifndef KEEPS_PROMISE
          refunding = r_refunding[j] - AMOUNT(j)
#endif
          skip
       :: KIND(j) != REFUND && says[j] != SAYS_APPROVED -> skip
       fi;
       if :: KIND(j) != REFUND -> named = 0; pi_written() :: else fi;
       charge_written();
       forget(j); step[j] = OVER
    fi
}

proctype Job(byte j)
{
    byte i;
end: do
    :: atomic { step[j] == NOT_BEGUN && !calm -> read(j); step[j] = HAS_READ }
    :: atomic { step[j] == HAS_READ && !POSSIBLE(j) -> forget(j); step[j] = NOT_BEGUN } /* the client asks again */
    :: atomic { step[j] == HAS_READ && POSSIBLE(j) -> begin(j) }
    :: atomic { step[j] == ASKS -> flies[j] = true; step[j] = WAITS }
    :: atomic { step[j] == WAITS && says[j] != 0 -> step[j] = BOOKS_IT }
    :: atomic { step[j] == WAITS && says[j] == 0 && (!calm || !flies[j]) -> step[j] = RECOVERS }
    :: atomic { step[j] == BOOKS_IT -> read(j); step[j] = BOOKS_NOW }
    :: atomic { step[j] == BOOKS_NOW -> book(j) }

    /* Whoever finds the attempt open: the state that is durable says where to go on. */
    :: atomic { step[j] == RECOVERS ->
         says[j] = 0;
#ifdef NO_ATTEMPT
         att[j] = UNKNOWN; says[j] = SAYS_APPROVED; step[j] = BOOKS_IT }
#else
         if
         :: att[j] == SENDING -> att[j] = ATTEMPT_STEP(SENDING, ON_TAKEN_OVER)
         :: att[j] == UNKNOWN -> step[j] = INQUIRES
         :: att[j] == REVERSING -> undo_flies[j] = true; step[j] = REVERSES
         :: !OPEN(att[j]) -> step[j] = OVER
         fi }
#endif
    :: atomic { step[j] == INQUIRES ->                          /* an inquiry sees the book at some moment */
         if
         :: NEXT(ASKED_INQUIRY, NET_SAYS(net[j])) == NEXT_FINISH -> says[j] = NET_SAYS(net[j]); step[j] = BOOKS_IT
         :: else -> att[j] = ATTEMPT_STEP(UNKNOWN, ON_NOT_FOUND); step[j] = RECOVERS
         fi }
    :: atomic { step[j] == REVERSES && says[j] != 0 -> step[j] = BOOKS_IT }
    :: atomic { step[j] == REVERSES && says[j] == 0 && (!calm || !undo_flies[j]) -> step[j] = RECOVERS }
    /* A crash: what was not begun never was; what was begun is found. */
    :: atomic { !calm && step[j] != NOT_BEGUN && step[j] != OVER ->
         forget(j);
         if :: att[j] == NONE -> step[j] = NOT_BEGUN :: else -> step[j] = RECOVERS fi }

    /* The network's side: a request arrives, once, at any time, unless it is lost. */
    :: atomic { flies[j] && !calm -> flies[j] = false }
    :: atomic { flies[j] ->
         flies[j] = false;
         if
         :: net[j] == NET_NONE -> if :: true -> follow(j) :: KIND(j) == REFUND -> net[j] = NET_DECLINED fi
         :: else
         fi;
         if :: step[j] == WAITS && NEXT(ASKED_OPERATION, NET_SAYS(net[j])) == NEXT_FINISH -> says[j] = NET_SAYS(net[j])
            :: else
         fi }
    :: atomic { undo_flies[j] ->
         undo_flies[j] = false;
         if :: net[j] == NET_APPROVED -> unfollow(j) :: else fi;
         net[j] = NET_UNDONE(net[j]);
         if :: step[j] == REVERSES -> says[j] = NET_SAYS(net[j]) :: else fi }
    od
}


active proctype Check()
{
    byte i;
end: do
    :: atomic { refunded + refunding > 2 || taken > 2 || booked_refunds > taken -> assert(false) }
    :: atomic { status == PI_CANCELED && taken > 0 -> assert(false) }
    :: atomic { !calm -> calm = true }
    :: atomic { timeout ->
         for (i : 0 .. JOBS - 1) { assert(!OPEN(att[i]) && !flies[i] && !undo_flies[i]) } i = 0;
         assert(named == 0 && refunding == 0);                /* nothing waits for what is over */
         assert(taken == net_taken && booked_refunds == net_refunded);
         assert((status == PI_NEEDS_CAPTURE) == (net_held == 2));
         assert((status == PI_SUCCEEDED) == (net_taken > 0)) }
    od
}

init { atomic { byte k; for (k : 0 .. JOBS - 1) { run Job(k) } } }
