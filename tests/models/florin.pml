/* What the models have in common with the C code: names, tables, verdicts.
 *
 * Nothing here is to be believed because it is written here. tables.c asks the C functions
 * (attempt_step, books_verdict, commit_after, attempt_next, operation_do, pi_step, refund_check,
 * owners_*) about every case there is and prints each answer as an assertion about a macro of this
 * page; run.sh has SPIN check all of them before any model is believed. */

/* --- attempt.h -------------------------------------------------------------------------------- */

#define NONE       0
#define SENDING    1
#define UNKNOWN    2
#define REVERSING  3
#define APPROVED   4
#define DECLINED   5
#define REVERSED   6
#define NEVER_SENT 7
#define CHALLENGED 8

#define ON_BEGIN      0
#define ON_APPROVED   1
#define ON_DECLINED   2
#define ON_NEVER_SENT 3
#define ON_REVERSED   4
#define ON_TAKEN_OVER 5
#define ON_NOT_FOUND  6
#define ON_CHALLENGED 7

#define ASKABLE(s) ((s) == SENDING || (s) == UNKNOWN)
#define ATTEMPT_STEP(s, e) \
    ((s) == NONE && (e) == ON_BEGIN            -> SENDING    : \
    (ASKABLE(s)  && (e) == ON_APPROVED         -> APPROVED   : \
    (ASKABLE(s)  && (e) == ON_DECLINED         -> DECLINED   : \
    ((s) == SENDING && (e) == ON_NEVER_SENT    -> NEVER_SENT : \
    (ASKABLE(s)  && (e) == ON_CHALLENGED       -> CHALLENGED : \
    (ASKABLE(s)  && (e) == ON_TAKEN_OVER       -> UNKNOWN    : \
    ((s) == UNKNOWN && (e) == ON_NOT_FOUND     -> REVERSING  : \
    ((s) == REVERSING && (e) == ON_TAKEN_OVER  -> REVERSING  : \
    (((s) == UNKNOWN || (s) == REVERSING) && (e) == ON_REVERSED -> REVERSED : NONE)))))))))

#define ATTEMPT_MAY_GO(f, t) \
    (((f) == NONE && (t) == SENDING) \
    || (ASKABLE(f) && ((t) == APPROVED || (t) == DECLINED || (t) == CHALLENGED || (t) == UNKNOWN)) \
    || ((f) == SENDING && (t) == NEVER_SENT) \
    || ((f) == UNKNOWN && ((t) == REVERSING || (t) == REVERSED)) \
    || ((f) == REVERSING && ((t) == REVERSING || (t) == REVERSED)))

#define OPEN(s)  ((s) == SENDING || (s) == UNKNOWN || (s) == REVERSING)
#define FINAL(s) (!((s) == NONE) && !OPEN(s))

/* --- commit_verdict.def, books_verdict -------------------------------------------------------- */

#define WRITE           0 /* no verdict: to be written */
#define COMMIT_DONE     1
#define COMMIT_FENCED   2
#define COMMIT_BUSY     3
#define COMMIT_ANSWERED 4
#define COMMIT_OPEN     5
#define COMMIT_MISMATCH 6
#define COMMIT_STALE    7
#define COMMIT_REJECTED 8

/* How the key's row stands. */
#define KEY_NONE     0
#define KEY_OPEN     1
#define KEY_ANSWERED 2
#define KEY_OTHER    3 /* answered, and first used with other parameters */

/* At which version the command's rows are: at the ones it replaces, at the ones it would make (an
 * attempt: in the state that it would give it, too), or anywhere else. */
#define ROWS_BASE 0
#define ROWS_NEXT 1
#define ROWS_ELSE 2

/* An earlier sending of the same command was written. `same`: the key bears its id. */
#define WRITTEN(claim, repeated, key, same, rows) \
    ((claim) == 1 -> ((key) != KEY_NONE && (same)) : ((repeated) && (rows) == ROWS_NEXT))
/* For commands that replace rows. `owns`: the slot is the sender's, under this epoch; `may`: the
 * attempt's arrow exists. */
#define BOOKS(claim, repeated, key, same, owns, rows, may) \
    (WRITTEN(claim, repeated, key, same, rows)      -> COMMIT_DONE     : \
    (!(owns)                                        -> COMMIT_FENCED   : \
    ((claim) == 1 && (key) == KEY_OPEN              -> COMMIT_OPEN     : \
    ((claim) == 1 && (key) == KEY_OTHER             -> COMMIT_MISMATCH : \
    ((claim) == 1 && (key) == KEY_ANSWERED          -> COMMIT_ANSWERED : \
    ((rows) != ROWS_BASE                            -> COMMIT_STALE    : \
    (!(may)                                         -> COMMIT_REJECTED : WRITE)))))))

/* --- worker.h: what a verdict means for a job (commits.c) ------------------------------------- */

#define AIM_BEGIN   1
#define AIM_TAKE    2
#define AIM_REVERSE 3
#define AIM_FINISH  4

#define AFTER_GO_ON    1
#define AFTER_LOST     2
#define AFTER_BUSY     3
#define AFTER_REPEAT   4
#define AFTER_REPLAY   5
#define AFTER_IN_USE   6
#define AFTER_MISMATCH 7
#define AFTER_RERUN    8
#define AFTER_RESUME   9
#define AFTER_PAUSE    10
#define AFTER_FAIL     11

#define TAKES(aim) ((aim) == AIM_TAKE || (aim) == AIM_REVERSE)
#define AFTER(aim, verdict, repeated) \
    ((verdict) == COMMIT_DONE     -> AFTER_GO_ON : \
    ((verdict) == COMMIT_FENCED   -> AFTER_LOST  : \
    ((verdict) == COMMIT_BUSY     -> ((aim) == AIM_BEGIN && !(repeated) -> AFTER_BUSY : AFTER_REPEAT) : \
    ((verdict) == COMMIT_ANSWERED -> ((aim) == AIM_BEGIN -> AFTER_REPLAY   : (TAKES(aim) -> 0 : AFTER_PAUSE)) : \
    ((verdict) == COMMIT_OPEN     -> ((aim) == AIM_BEGIN -> AFTER_IN_USE   : (TAKES(aim) -> 0 : AFTER_PAUSE)) : \
    ((verdict) == COMMIT_MISMATCH -> ((aim) == AIM_BEGIN -> AFTER_MISMATCH : (TAKES(aim) -> 0 : AFTER_PAUSE)) : \
    ((verdict) == COMMIT_STALE    -> (TAKES(aim) -> AFTER_RESUME : AFTER_RERUN) : \
    ((aim) == AIM_BEGIN -> AFTER_FAIL : AFTER_PAUSE))))))))

/* --- what the network's answer means for an attempt (attempts_engine.c) ----------------------- */

#define SAYS_APPROVED   1
#define SAYS_DECLINED   2
#define SAYS_NOT_FOUND  3
#define SAYS_REVERSED   4
#define SAYS_NEVER_SENT 5
#define SAYS_CHALLENGED 7

#define ASKED_OPERATION 0
#define ASKED_INQUIRY   1
#define ASKED_REVERSAL  2

#define NEXT_AGAIN   0
#define NEXT_FINISH  1
#define NEXT_RECOVER 2
#define NEXT_REVERSE 3

#define SAYS_FINAL(o) ((o) == SAYS_APPROVED || (o) == SAYS_DECLINED || (o) == SAYS_CHALLENGED)
#define NEXT(asked, o) \
    ((asked) == ASKED_REVERSAL -> ((o) == SAYS_REVERSED -> NEXT_FINISH : NEXT_AGAIN) : \
    (SAYS_FINAL(o)             -> NEXT_FINISH : \
    ((asked) == ASKED_INQUIRY  -> ((o) == SAYS_REVERSED -> NEXT_FINISH : NEXT_REVERSE) : \
                                  ((o) == SAYS_NEVER_SENT -> NEXT_FINISH : NEXT_RECOVER))))
#define EVENT_OF(o) \
    ((o) == SAYS_APPROVED   -> ON_APPROVED   : ((o) == SAYS_DECLINED   -> ON_DECLINED   : \
    ((o) == SAYS_NOT_FOUND  -> ON_NOT_FOUND  : ((o) == SAYS_REVERSED   -> ON_REVERSED   : \
    ((o) == SAYS_NEVER_SENT -> ON_NEVER_SENT : ON_CHALLENGED)))))

/* --- the network's book (operations.c) -------------------------------------------------------- */

#define NET_NONE       0
#define NET_APPROVED   1
#define NET_DECLINED   2
#define NET_REVERSED   3
#define NET_CHALLENGED 4

/* Where one reference goes; `issuer` is the state that a new authorization would get. */
#define NET_AUTHORIZED(s, issuer) ((s) == NET_NONE -> (issuer) : (s))
#define NET_UNDONE(s)             NET_REVERSED
#define NET_SAYS(s) \
    ((s) == NET_APPROVED -> SAYS_APPROVED : ((s) == NET_DECLINED   -> SAYS_DECLINED : \
    ((s) == NET_REVERSED -> SAYS_REVERSED : ((s) == NET_CHALLENGED -> SAYS_CHALLENGED : SAYS_NOT_FOUND))))

/* What may follow an authorization of which so much is held, captured, refunded. */
#define NET_MAY_CAPTURE(held, captured, amount)    ((held) > 0 && (captured) == 0 && (amount) <= (held))
#define NET_MAY_VOID(held, captured)               ((held) > 0 && (captured) == 0)
#define NET_MAY_REFUND(captured, refunded, amount) ((refunded) + (amount) <= (captured))

/* --- payment_intent.c, refund.c --------------------------------------------------------------- */

#define PI_NEEDS_CAPTURE 5
#define PI_SUCCEEDED     6
#define PI_CANCELED      7

/* From the states that a held payment can be in; 0: refused. */
#define PI_ON_CAPTURE(s, held, amount) \
    ((s) == PI_NEEDS_CAPTURE && (amount) > 0 && (amount) <= (held) -> PI_SUCCEEDED : 0)
#define PI_ON_CANCEL(s) ((s) == PI_NEEDS_CAPTURE -> PI_CANCELED : 0)

/* What refund_check grants to a captured charge; 0: refused. */
#define REFUND_GRANTS(amount, refunded, refunding, asked) \
    ((asked) > 0 && (asked) <= (amount) - (refunded) - (refunding) -> (asked) : 0)

/* --- owners.c: one slot of the broker's map, two workers -------------------------------------- */

#define NOBODY 2
/* A slot of the map as one number: whose it is, whose it will be, whether the ledger granted it. */
#define MAP(owner, next, held) ((owner) * 6 + (next) * 2 + (held))
#define MAP_OWNER(m) ((m) / 6)
#define MAP_NEXT(m)  (((m) / 2) % 3)
#define MAP_HELD(m)  ((m) % 2)
#define MAP_FREE     MAP(NOBODY, NOBODY, 0)

#define MAP_ROUTE(m) (MAP_HELD(m) && MAP_NEXT(m) == NOBODY -> MAP_OWNER(m) : NOBODY)
/* owners_plan when only `w` may have it. */
#define MAP_PLAN(m, w) \
    ((MAP_NEXT(m) != NOBODY -> MAP_NEXT(m) : MAP_OWNER(m)) == (w) -> (m) : \
    (MAP_OWNER(m) == NOBODY -> MAP(w, MAP_NEXT(m), MAP_HELD(m)) : \
    (MAP_OWNER(m) == (w)    -> MAP(w, NOBODY, MAP_HELD(m)) : \
                               MAP(MAP_OWNER(m), w, MAP_HELD(m)))))
#define MAP_CLAIM(m, w) \
    (MAP_OWNER(m) == NOBODY || MAP_OWNER(m) == (w) -> MAP(w, MAP_NEXT(m), 1) : (m))
#define MAP_GRANT(m, w) (MAP_OWNER(m) == (w) -> MAP(w, MAP_NEXT(m), 1) : (m))
#define MAP_LET_GO(m, w) \
    (MAP_OWNER(m) != (w) -> (m) : \
    (MAP_NEXT(m) == NOBODY -> MAP(w, NOBODY, 0) : MAP(MAP_NEXT(m), NOBODY, 0)))
#define MAP_LOSE_NEXT(m, w) (MAP_NEXT(m) == (w) -> MAP(MAP_OWNER(m), NOBODY, MAP_HELD(m)) : (m))
#define MAP_LOSE(m, w) \
    (MAP_OWNER(m) != (w) -> MAP_LOSE_NEXT(m, w) : \
    (MAP_NEXT(m) == NOBODY || MAP_NEXT(m) == (w) -> MAP_FREE : MAP(MAP_NEXT(m), NOBODY, 0)))
