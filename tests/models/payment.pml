/* Model (a): one payment under one idempotency key, from the first request to the last answer.
 *
 * Two workers may both believe to own the slot. Commits are atomic, but their requests and their
 * replies get lost and they are sent again (`repeated`). What is on its way to the network arrives in
 * any order, late, twice or never. Workers crash at any step, rise again with nothing, and decide by
 * rows that they remember and that are old. Nothing is counted: crashes, takeovers, losses,
 * duplicates and tries of clients come as often as they like, at any moment, until `calm`.
 *
 * Mutants (each leaves one protection out):
 *   NO_BEGIN      the network is asked before the attempt is durable
 *   NO_KEY        the claim of a key is not held against the key's row
 *   NOT_FOUND_IS_FINAL  an inquiry's "not found" is taken for an answer
 *   NO_REVERSING  the reversal leaves before the decision to reverse is durable
 *   NO_TOMBSTONE  a reversal of what the network does not know leaves no trace there
 *   NO_NETIDEM    the network does not know a reference again
 *   NO_COMPARE    rows are written whatever version they are at, and whatever the arrows say
 *   VERSION_IS_ALL  what is at the version that a command would make counts as that command's doing
 *   NEW_ID        recovery asks anew under another reference instead of inquiring
 *   NO_RECOVERY   nobody looks after an attempt that is open
 *   DROPS_STAGED  who takes an attempt over writes its row without the payment that it bears
 *   KEEPS_STAGED  the end of an attempt leaves the payment in its row
 * Variant that must hold: NO_FENCE (the ledger does not look at the slot's epoch): safety rests on
 * the attempt's row and not on who owns what. */
#include "florin.pml"

/* What is durable. */
byte att = NONE;         /* the attempt's state */
byte version = 0;        /* the version of its row */
bool staged = false;     /* its row bears the payment that its end inserts */
byte payments = 0;       /* how often that was inserted */
byte claimed = 0;        /* who claimed the key: worker + 1; 3: one whose memory is gone */
byte owner = 0;          /* the slot's owner at the ledger */
byte net = NET_NONE;     /* what the network's book says of the attempt */
byte effects = 0;        /* how often money is held or taken, all references together */
byte told = NONE;        /* the outcome that a client was told first */
bool calm = false;       /* from now on nothing goes wrong, and no client asks */

/* On its way to the network. The same question twice is one: the book answers both alike. */
bool auth_flies = false, again_flies = false;
bool inquiry_flies[2] = false, reversal_flies[2] = false;

/* The workers' memory. */
#define IDLE        0
#define BEGINS      1 /* has sent the commit that … */
#define ASKS        2
#define WAITS       3
#define TAKES_OVER  4
#define INQUIRES    5
#define DECIDES     6
#define REVERSES    7
#define FINISHES    8
#define RESUMES     9
byte step[2] = IDLE;
bool held[2] = false;     /* believes to own the slot */
bool fresh[2] = false;    /* the epoch it knows is the slot's */
bool job_fresh[2] = false; /* the epoch that its job names is the slot's */
bool repeated[2] = false;
byte row[2] = NONE;       /* the attempt as it remembers it */
byte row_version[2] = 0;
bool row_staged[2] = false;
byte answer[2] = 0;       /* of the network to what it waits for; 0: not there */
byte outcome[2] = 0;      /* what it is about to finish with */

#ifdef NO_FENCE
#define OWNS(w) true
#else
#define OWNS(w) (owner == w && job_fresh[w])
#endif
#ifdef NO_COMPARE
#define ROWS(w, to) (version == row_version[w] + 1 && repeated[w] -> ROWS_NEXT : ROWS_BASE)
#define MAY(w, to) true
#else
#ifdef VERSION_IS_ALL
#define STANDS(to) true
#else
#define STANDS(to) (att == to)
#endif
/* One further, and in the state that this command gives it: another owner's command makes the same
 * version. */
#define ROWS(w, to) (version == row_version[w] -> ROWS_BASE : \
    (version == row_version[w] + 1 && STANDS(to) -> ROWS_NEXT : ROWS_ELSE))
#define MAY(w, to) ATTEMPT_MAY_GO(att, to)
#endif
#define KEY (claimed == 0 -> KEY_NONE : (FINAL(att) -> KEY_ANSWERED : KEY_OPEN))
#define SAME(w) (claimed == w + 1)

inline tell(what)
{
    assert(FINAL(what));
    assert(told == NONE || told == what); /* nobody hears two outcomes */
    told = what;
}

inline forget(w)
{
    row[w] = NONE; row_version[w] = 0; row_staged[w] = false; repeated[w] = false; answer[w] = 0; outcome[w] = 0;
    job_fresh[w] = false; step[w] = IDLE;
}

/* fenced(): our own newer epoch may be on its way; else the slot is another's. */
inline fenced(w)
{
    if
    :: fresh[w] && !job_fresh[w] && held[w] -> step[w] = RESUMES; repeated[w] = false
    :: else -> held[w] = false; fresh[w] = false; forget(w)
    fi
}

/* What the row bears after a commit: the first puts the payment there, the last takes it out and
 * inserts it, those between write the row as it was read. */
#ifdef DROPS_STAGED
#define BEARS(w, aim) (aim == AIM_BEGIN)
#else
#ifdef KEEPS_STAGED
#define BEARS(w, aim) (aim == AIM_BEGIN || row_staged[w])
#else
#define BEARS(w, aim) (aim == AIM_BEGIN || (aim != AIM_FINISH && row_staged[w]))
#endif
#endif
inline written(w, aim)
{
    staged = BEARS(w, aim);
    if :: aim == AIM_FINISH && row_staged[w] -> payments++ :: else fi
}

/* One sending of the commit that leads to `to`. It may be lost, or its reply may be. */
inline commit(w, claim, aim, to, then)
{
    if
    :: !calm -> repeated[w] = true /* the request is lost */
    :: verdict = BOOKS(claim, repeated[w], KEY, SAME(w), OWNS(w), ROWS(w, to), MAY(w, to));
#ifdef NO_KEY
       if :: claim == 1 && (verdict == COMMIT_OPEN || verdict == COMMIT_ANSWERED) -> verdict = WRITE
          :: else fi;
#endif
       if
       :: verdict == WRITE ->
          assert(claim != 1 || claimed == 0);  /* one payment under one key */
          att = to; version = row_version[w] + 1; verdict = COMMIT_DONE;
          written(w, aim);
          if :: claim == 1 -> claimed = w + 1 :: else fi
       :: else
       fi;
       if
       :: !calm -> repeated[w] = true /* the reply is lost */
       :: true ->
          after = AFTER(aim, verdict, repeated[w]);
          if
          :: after == AFTER_GO_ON ->
             repeated[w] = false; row[w] = to; row_version[w]++; row_staged[w] = BEARS(w, aim); step[w] = then;
             if :: then == IDLE -> tell(row[w]); assert(row[w] == att); forget(w) :: else fi
          :: after == AFTER_LOST -> fenced(w)
          :: after == AFTER_REPLAY -> tell(att); forget(w)
          :: after == AFTER_IN_USE || after == AFTER_FAIL -> forget(w)
          :: after == AFTER_RERUN || after == AFTER_RESUME || after == AFTER_PAUSE ->
             repeated[w] = false; row[w] = NONE; step[w] = RESUMES
          fi
       fi
    fi; verdict = 0; after = 0
}

/* The network's answer, if its asker still waits for that very one. That an answer is lost needs no
 * line of its own: the asker may have stopped waiting the moment before. */
inline say(w, at, what)
{
    if :: step[w] == at && answer[w] == 0 -> answer[w] = what :: else fi
}

inline authorize(issuer)
{
#ifdef NO_NETIDEM
    if :: net == NET_APPROVED && issuer == NET_APPROVED -> effects++ :: else fi;
#endif
    if :: net == NET_NONE && issuer == NET_APPROVED -> effects++ :: else fi;
    net = NET_AUTHORIZED(net, issuer);
    say(0, WAITS, NET_SAYS(net)); say(1, WAITS, NET_SAYS(net))
}

inline reverse(w)
{
#ifdef NO_TOMBSTONE
    if
    :: net == NET_NONE -> say(w, REVERSES, SAYS_REVERSED)
    :: else ->
#endif
       if :: net == NET_APPROVED -> effects-- :: else fi;
       net = NET_UNDONE(net); say(w, REVERSES, NET_SAYS(net))
#ifdef NO_TOMBSTONE
    fi
#endif
}

active proctype Network()
{
end: do
    :: atomic { auth_flies ->
         if :: !calm                         /* it will come a second time */
            :: true -> auth_flies = false fi;
         if :: true -> authorize(NET_APPROVED) :: true -> authorize(NET_DECLINED)
#ifdef CHALLENGES
            :: true -> authorize(NET_CHALLENGED)
#endif
         fi }
    :: atomic { auth_flies && !calm -> auth_flies = false }              /* it is lost */
    :: atomic { again_flies -> again_flies = false; effects++ }          /* only NEW_ID sends it */
    :: atomic { inquiry_flies[0] -> inquiry_flies[0] = false; say(0, INQUIRES, NET_SAYS(net)) }
    :: atomic { inquiry_flies[1] -> inquiry_flies[1] = false; say(1, INQUIRES, NET_SAYS(net)) }
    :: atomic { reversal_flies[0] -> reversal_flies[0] = false; reverse(0) }
    :: atomic { reversal_flies[1] -> reversal_flies[1] = false; reverse(1) }
    :: atomic { reversal_flies[0] && !calm -> reversal_flies[0] = false }
    :: atomic { reversal_flies[1] && !calm -> reversal_flies[1] = false }
    od
}

/* What the answer means: attempts_engine.c, answered(). */
inline answered(w, asked)
{
    next = NEXT(asked, answer[w]);
#ifdef NOT_FOUND_IS_FINAL
    if :: asked == ASKED_INQUIRY && next == NEXT_REVERSE -> next = NEXT_FINISH; answer[w] = SAYS_REVERSED :: else fi;
#endif
    if
    :: next == NEXT_FINISH -> outcome[w] = answer[w]; step[w] = FINISHES
    :: next == NEXT_RECOVER || next == NEXT_AGAIN -> step[w] = RESUMES
    :: next == NEXT_REVERSE ->
#ifdef NO_REVERSING
       reversal_flies[w] = true; step[w] = REVERSES
#else
       step[w] = DECIDES
#endif
    fi; answer[w] = 0; next = 0
}

proctype Worker(byte w)
{
    byte verdict, after, next, to;
end: do
    /* The slot becomes ours, under a new epoch; what we were told before is old. When all is calm,
     * only a dead owner's does. */
    :: atomic { !calm || owner == NOBODY ->
         owner = w; fresh[0] = false; fresh[1] = false; job_fresh[0] = false; job_fresh[1] = false;
         fresh[w] = true; held[w] = true }
    :: atomic { step[w] != IDLE && !calm ->                              /* a crash */
         if :: owner == w -> owner = NOBODY :: else fi;
         if :: claimed == w + 1 -> claimed = 3 :: else fi;
         held[w] = false; fresh[w] = false; forget(w) }

    /* A client's request, the first or another with the same key. */
    :: atomic { step[w] == IDLE && held[w] && !calm ->
         job_fresh[w] = fresh[w];
#ifdef NO_BEGIN
         if :: att == NONE -> auth_flies = true; step[w] = WAITS :: else -> step[w] = BEGINS fi }
#else
         step[w] = BEGINS }
#endif
    :: atomic { step[w] == BEGINS -> commit(w, 1, AIM_BEGIN, SENDING, ASKS) }
    :: atomic { step[w] == ASKS -> auth_flies = true; step[w] = WAITS }
    :: atomic { step[w] == WAITS && answer[w] != 0 ->
#ifdef NO_BEGIN
         if :: att == NONE && OWNS(w) -> att = ATTEMPT_STEP(SENDING, EVENT_OF(answer[w])); claimed = w + 1;
               version = 2; if :: FINAL(att) -> tell(att) :: else fi; forget(w)
            :: else -> answered(w, ASKED_OPERATION) fi }
#else
         answered(w, ASKED_OPERATION) }
#endif
    :: atomic { step[w] == WAITS && answer[w] == 0 && (!calm || !auth_flies) -> step[w] = RESUMES }  /* the time is over */

    /* Recovery: of our own attempt, or of one that is open in a slot that we took. */
#ifndef NO_RECOVERY
    :: atomic { step[w] == IDLE && held[w] && OPEN(att) -> job_fresh[w] = fresh[w]; step[w] = RESUMES }
#endif
    :: atomic { step[w] == RESUMES ->
         answer[w] = 0; repeated[w] = false;
         if :: row[w] == NONE || (owner == w && fresh[w]) -> row[w] = att; row_version[w] = version; row_staged[w] = staged
            :: row[w] != NONE                                  /* what we remember, however old */
         fi;
         if
         :: !held[w] || !OPEN(row[w]) -> forget(w)
         :: held[w] && row[w] == SENDING -> step[w] = TAKES_OVER
         :: held[w] && row[w] == UNKNOWN ->
#ifdef NEW_ID
            again_flies = true;
#endif
            inquiry_flies[w] = true; step[w] = INQUIRES
         :: held[w] && row[w] == REVERSING -> reversal_flies[w] = true; step[w] = REVERSES
         fi }
    :: atomic { step[w] == TAKES_OVER -> to = ATTEMPT_STEP(row[w], ON_TAKEN_OVER); commit(w, 0, AIM_TAKE, to, RESUMES); to = 0 }
    :: atomic { step[w] == INQUIRES && answer[w] != 0 -> answered(w, ASKED_INQUIRY) }
    :: atomic { step[w] == INQUIRES && answer[w] == 0 && (!calm || !inquiry_flies[w]) -> step[w] = RESUMES }
    :: atomic { step[w] == DECIDES -> to = ATTEMPT_STEP(row[w], ON_NOT_FOUND); commit(w, 0, AIM_REVERSE, to, RESUMES); to = 0 }
    :: atomic { step[w] == REVERSES && answer[w] != 0 -> answered(w, ASKED_REVERSAL) }
    :: atomic { step[w] == REVERSES && answer[w] == 0 && (!calm || !reversal_flies[w]) -> step[w] = RESUMES }
    :: atomic { step[w] == FINISHES ->
         to = ATTEMPT_STEP(row[w], EVENT_OF(outcome[w]));
         if
         :: to == NONE -> row[w] = NONE; step[w] = RESUMES /* its state moved on since the question */
         :: else -> commit(w, 2, AIM_FINISH, to, IDLE)
         fi; to = 0 }
    od
}

active proctype Check()
{
end: do
    /* Always, and not only at the end: */
    :: atomic { effects > 1 -> assert(false) }                                  /* charged twice */
    :: atomic { told != NONE && told != att -> assert(false) }                  /* told what is not booked */
#ifndef NO_BEGIN
    :: atomic { staged != OPEN(att) || payments != FINAL(att) -> assert(false) }  /* lost, or inserted twice */
#endif
    :: atomic { (FINAL(att) && !auth_flies && !again_flies && !reversal_flies[0] && !reversal_flies[1]
                && ((effects > 0) != (att == APPROVED))) -> assert(false) }      /* books and network differ */
    :: atomic { !calm -> calm = true }
    :: atomic { timeout ->                                                      /* nothing can move any more */
         assert(att == NONE || FINAL(att));
         assert(att != NONE || effects == 0) }
    od
}

init { atomic { held[0] = true; fresh[0] = true; run Worker(0); run Worker(1) } }
