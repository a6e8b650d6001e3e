/* Model (c): two ledgers, one database, and COMMITs of which nobody knows what became.
 *
 * Both ledgers may believe to lead (no advisory lock here: it makes a change fast, the row makes it
 * safe). A batch is one pipeline, BEGIN to COMMIT; with two commands a second may be sent behind it,
 * over the same connection, before the first has come back. When a connection is cut the backend may
 * still carry out what was sent, later, or not: a ghost, and behind it perhaps another. A synchronous standby has what was acknowledged; a COMMIT
 * that comes with WARNING 01000 is acknowledged and may not be there. The primary may be lost, and
 * the standby then is all there is. Workers send a command again and again, to whoever they believe
 * leads, until they are told.
 *
 * Mutants:
 *   NO_FENCE        the leader's row is updated whatever its epoch
 *   NO_NUMBER       … and whatever the number of the batch before
 *   NO_RAISE        after a lost connection last_batch is read without raising the epoch first
 *   BLIND_RESEND    what was in doubt is written again without a look
 *   ANSWERS_EARLY   the answer leaves before the COMMIT has come back
 *   TRUSTS_WARNING  a COMMIT with a warning is a COMMIT
 *   TRUSTS_LEAD     taking the lead with a warning is taking the lead
 *   TRUSTS_BUSY     "busy" is believed of a command that was sent before */
#include "florin.pml"
#ifndef CRASHES
#define CRASHES 3
#endif
#ifndef LEADS
#define LEADS 3  /* over a ledger that believes to lead; when none does, another may at any time */
#endif
#ifndef CUTS
#define CUTS 3
#endif
#ifndef WARNINGS
#define WARNINGS 2
#endif
#ifndef FAILOVERS
#define FAILOVERS 1
#endif
#ifndef COMMANDS
#define COMMANDS 2
#endif

/* The database: the leader's row, and how often each command is written. The standby's copy. */
typedef Database { byte epoch; byte last_batch; byte head; byte written[COMMANDS] }
Database primary, standby;

/* A pipeline at a backend. */
#define NO_BATCH 0
#define SENT     1  /* not begun */
#define LOCKED   2  /* the leader's row is locked by it */
#define DONE     3  /* and the result is on its way */
#define WARNED   4
#define FENCED   5
#define FAILED   6
typedef Batch { byte state; byte epoch; byte number; byte head; byte command }
Batch batch[2], second[2], ghost[2], ghost2[2];

/* The ledgers' memory. */
#define AWAY    0
#define LEADING 1
#define LOOKS   2
#define WRITES  3
byte state[2] = AWAY;
bool doubt[2] = false;        /* AWAY, with a batch that may be written */
byte epoch[2] = 0, last_batch[2] = 0, head[2] = 0;
byte command[2] = 0;          /* + 1; 0: none */
byte next[2] = 0;             /* likewise: of the second batch, or to be written after the first */

/* The workers' memory of each command. */
byte sendings[COMMANDS] = 0;  /* 2: twice or more */
bool told_done[COMMANDS] = false, told_not[COMMANDS] = false;

byte crashes = CRASHES, leads = LEADS, cuts = CUTS, warnings = WARNINGS, failovers = FAILOVERS;
bool calm = false;

#define IS_LOCKED(of) (of[0].state == LOCKED || of[1].state == LOCKED)
#define ROW_IS_LOCKED (IS_LOCKED(batch) || IS_LOCKED(second) || IS_LOCKED(ghost) || IS_LOCKED(ghost2))
#define WITH_POSTGRES(b) (b.state == SENT || b.state == LOCKED)

inline copy(to, from)
{
    to.epoch = from.epoch; to.last_batch = from.last_batch; to.head = from.head;
    for (i : 0 .. COMMANDS - 1) { to.written[i] = from.written[i] } i = 0
}

inline clear(b)
{
    b.state = NO_BATCH; b.epoch = 0; b.number = 0; b.head = 0; b.command = 0
}

inline move(to, from)
{
    to.state = from.state; to.epoch = from.epoch; to.number = from.number; to.head = from.head;
    to.command = from.command; clear(from)
}

/* The connection is gone: what was sent may still be carried out. */
inline cut(l)
{
    if
    :: ghost[l].state == NO_BATCH && ghost2[l].state == NO_BATCH ->
       if :: WITH_POSTGRES(batch[l]) -> move(ghost[l], batch[l]) :: else fi;
       if
       :: WITH_POSTGRES(second[l]) && (batch[l].state == NO_BATCH || batch[l].state == DONE || batch[l].state == WARNED) ->
          move(ghost2[l], second[l])
       :: else
       fi
    :: else
    fi;
    clear(batch[l]); clear(second[l])
}

inline forget(l)
{
    state[l] = AWAY; doubt[l] = false; epoch[l] = 0; last_batch[l] = 0; head[l] = 0; command[l] = 0; next[l] = 0
}

inline lose(l)
{
    cut(l); doubt[l] = (state[l] == WRITES); state[l] = AWAY
}

inline tell_done(l)
{
    told_done[command[l] - 1] = true; command[l] = 0
}

/* The first is over; the second goes on, if it is on its way, or begins anew. */
inline go_on(l)
{
    command[l] = next[l]; next[l] = 0;
    if
    :: command[l] == 0 -> state[l] = LEADING
    :: command[l] != 0 && second[l].state != NO_BATCH -> move(batch[l], second[l]); state[l] = WRITES
    :: else -> state[l] = LOOKS
    fi
}

/* A backend at work, for whoever is or is not at the other end. */
inline begin(b)
{
    if
#ifndef NO_FENCE
    :: b.epoch != primary.epoch -> b.state = FENCED
#endif
#ifndef NO_NUMBER
    :: b.number != primary.last_batch + 1 -> b.state = FENCED
#endif
    :: else -> b.state = LOCKED
    fi
}

inline write(b)
{
    assert(b.head == primary.head + 1);            /* numbers have no gaps and are given once */
    primary.last_batch = b.number; primary.head = b.head;
    primary.written[b.command - 1] = primary.written[b.command - 1] + 1;
    if
    :: true -> copy(standby, primary); b.state = DONE
    :: warnings > 0 && !calm -> warnings--; b.state = WARNED
    fi
}

active proctype Postgres()
{
    byte l, i;
end: do
    :: atomic { batch[0].state == SENT && !ROW_IS_LOCKED -> begin(batch[0]) }
    :: atomic { batch[1].state == SENT && !ROW_IS_LOCKED -> begin(batch[1]) }
    :: atomic { batch[0].state == LOCKED -> write(batch[0]) }
    :: atomic { batch[1].state == LOCKED -> write(batch[1]) }
    :: atomic { (batch[0].state == SENT || batch[0].state == LOCKED) && !calm -> batch[0].state = FAILED }
    :: atomic { (batch[1].state == SENT || batch[1].state == LOCKED) && !calm -> batch[1].state = FAILED }
    /* The second, when the first is over: in its broken transaction, or in one of its own. */
    :: atomic { second[0].state == SENT && !WITH_POSTGRES(batch[0]) && !ROW_IS_LOCKED -> begin(second[0]) }
    :: atomic { second[1].state == SENT && !WITH_POSTGRES(batch[1]) && !ROW_IS_LOCKED -> begin(second[1]) }
    :: atomic { second[0].state == LOCKED -> write(second[0]) }
    :: atomic { second[1].state == LOCKED -> write(second[1]) }
    :: atomic { second[0].state == SENT && (batch[0].state == FAILED || batch[0].state == FENCED) -> second[0].state = FAILED }
    :: atomic { second[1].state == SENT && (batch[1].state == FAILED || batch[1].state == FENCED) -> second[1].state = FAILED }
    :: atomic { (second[0].state == LOCKED) && !calm -> second[0].state = FAILED }
    :: atomic { (second[1].state == LOCKED) && !calm -> second[1].state = FAILED }
    :: atomic { ghost2[0].state == SENT && ghost[0].state == NO_BATCH && !ROW_IS_LOCKED -> begin(ghost2[0]); if :: ghost2[0].state == FENCED -> clear(ghost2[0]) :: else fi }
    :: atomic { ghost2[1].state == SENT && ghost[1].state == NO_BATCH && !ROW_IS_LOCKED -> begin(ghost2[1]); if :: ghost2[1].state == FENCED -> clear(ghost2[1]) :: else fi }
    :: atomic { ghost2[0].state == LOCKED -> write(ghost2[0]); clear(ghost2[0]) }
    :: atomic { ghost2[1].state == LOCKED -> write(ghost2[1]); clear(ghost2[1]) }
    :: atomic { ghost2[0].state != NO_BATCH -> clear(ghost[0]); clear(ghost2[0]) }
    :: atomic { ghost2[1].state != NO_BATCH -> clear(ghost[1]); clear(ghost2[1]) }
    :: atomic { ghost[0].state == SENT && !ROW_IS_LOCKED -> begin(ghost[0]); if :: ghost[0].state == FENCED -> clear(ghost[0]) :: else fi }
    :: atomic { ghost[1].state == SENT && !ROW_IS_LOCKED -> begin(ghost[1]); if :: ghost[1].state == FENCED -> clear(ghost[1]) :: else fi }
    :: atomic { ghost[0].state == LOCKED -> write(ghost[0]); clear(ghost[0]) }
    :: atomic { ghost[1].state == LOCKED -> write(ghost[1]); clear(ghost[1]) }
    :: atomic { ghost[0].state != NO_BATCH -> clear(ghost[0]) }
    :: atomic { ghost[1].state != NO_BATCH -> clear(ghost[1]) }
    /* The primary is lost; the standby has what was replicated. */
    :: atomic { failovers > 0 && !calm -> failovers--;
         copy(primary, standby);
         for (l : 0 .. 1) {
             clear(ghost[l]); clear(ghost2[l]);
             if :: state[l] != AWAY -> lose(l); clear(ghost[l]); clear(ghost2[l]) :: else fi
         } l = 0 }
    od
}

/* batch_lead: raise the epoch, which waits for whoever holds the row, then read. */
#ifdef NO_RAISE
#define MAY_LEAD(l) (epoch[l] != 0 || !ROW_IS_LOCKED)
#define RAISE(l)    (epoch[l] != 0 -> 0 : 1)
#else
#define MAY_LEAD(l) (!ROW_IS_LOCKED)
#define RAISE(l)    1
#endif
inline lead(l)
{
    primary.epoch = primary.epoch + RAISE(l);
    if
    :: true -> copy(standby, primary); trusted = true
    :: warnings > 0 && !calm -> warnings--;
#ifdef TRUSTS_LEAD
       trusted = true
#else
       skip
#endif
    fi
}

inline settle(l)
{
    epoch[l] = primary.epoch; state[l] = LEADING;
    if
    :: doubt[l] && next[l] != 0 && primary.last_batch == last_batch[l] + 2 ->
       last_batch[l] = primary.last_batch; head[l] = primary.head; tell_done(l);
       command[l] = next[l]; next[l] = 0; tell_done(l)
    :: doubt[l] && primary.last_batch == last_batch[l] + 1 ->
       last_batch[l] = primary.last_batch; head[l] = primary.head; tell_done(l); go_on(l)
    :: else ->
       last_batch[l] = primary.last_batch; head[l] = primary.head;
       if
       :: command[l] != 0 ->
#ifdef BLIND_RESEND
          send(l)
#else
          state[l] = LOOKS
#endif
       :: else
       fi
    fi; doubt[l] = false
}

inline send(l)
{
    batch[l].state = SENT; batch[l].epoch = epoch[l]; batch[l].number = last_batch[l] + 1;
    batch[l].head = head[l] + 1; batch[l].command = command[l]; state[l] = WRITES;
#ifdef ANSWERS_EARLY
    told_done[command[l] - 1] = true
#endif
}

proctype Ledger(byte l)
{
    byte i; bool trusted = false;
end: do
    :: atomic { state[l] == AWAY && (state[1 - l] == AWAY || leads > 0) && MAY_LEAD(l) ->
         if :: state[1 - l] == AWAY :: else -> leads-- fi;
         lead(l);
         if
         :: !trusted -> forget(l)                              /* it ends: a number that may be lost is not to be remembered */
         :: trusted && epoch[l] != 0 && primary.epoch != epoch[l] + RAISE(l) -> forget(l)                              /* another led meanwhile: it ends */
         :: else -> settle(l)
         fi; trusted = false }

    /* Another is known not to be there, and is written behind the first, in the numbers behind its. */
    :: atomic { state[l] == WRITES && WITH_POSTGRES(batch[l]) && next[l] == 0 && COMMANDS > 1 ->
         i = 2 - command[l];
         if
         :: !told_done[i] && !told_not[i] && primary.written[i] == 0 ->
            next[l] = i + 1; sendings[i] = (sendings[i] < 2 -> sendings[i] + 1 : 2);
            second[l].state = SENT; second[l].epoch = epoch[l]; second[l].number = last_batch[l] + 2;
            second[l].head = head[l] + 2; second[l].command = next[l]
         :: else
         fi; i = 0 }
    /* A command comes. It is sent again as long as its worker has not been told. */
    :: atomic { state[l] == LEADING && command[l] == 0 ->
         select(i : 0 .. COMMANDS - 1);
         if
         :: !told_done[i] && !told_not[i] ->
            command[l] = i + 1; sendings[i] = (sendings[i] < 2 -> sendings[i] + 1 : 2); state[l] = LOOKS
         :: else
         fi; i = 0 }
    :: atomic { state[l] == LOOKS ->                           /* is it there already? */
         if
         :: primary.written[command[l] - 1] > 0 -> tell_done(l); go_on(l)
         :: else -> send(l)
         fi }
    :: atomic { state[l] == WRITES && batch[l].state == DONE ->
         last_batch[l] = batch[l].number; head[l] = batch[l].head; clear(batch[l]); tell_done(l); go_on(l) }
    :: atomic { state[l] == WRITES && batch[l].state == WARNED ->
#ifdef TRUSTS_WARNING
         last_batch[l] = batch[l].number; head[l] = batch[l].head; clear(batch[l]); tell_done(l); go_on(l) }
#else
         lose(l) }
#endif
    :: atomic { state[l] == WRITES && batch[l].state == FENCED -> cut(l); forget(l) }
    :: atomic { state[l] == WRITES && batch[l].state == FAILED && !WITH_POSTGRES(second[l]) ->  /* rolled back: the same again, or "busy" */
         clear(batch[l]); clear(second[l]);                    /* which has failed, too */
         if
         :: state[l] = LOOKS
         :: true ->
            if
            :: sendings[command[l] - 1] == 1 -> told_not[command[l] - 1] = true
#ifdef TRUSTS_BUSY
            :: sendings[command[l] - 1] == 2 -> told_not[command[l] - 1] = true
#endif
            :: else
            fi; command[l] = 0; go_on(l)
         fi }
    :: atomic { state[l] != AWAY && cuts > 0 && !calm -> cuts--; lose(l) }
    :: atomic { crashes > 0 && !calm && (state[l] != AWAY || doubt[l]) -> crashes--; cut(l); forget(l) }
    od
}

active proctype Check()
{
    byte c;
end: do
    :: atomic { primary.written[0] > 1 || (COMMANDS > 1 && primary.written[COMMANDS - 1] > 1) -> assert(false) } /* written twice */
    :: atomic { told_done[0] && primary.written[0] != 1 -> assert(false) }
    :: atomic { told_done[COMMANDS - 1] && primary.written[COMMANDS - 1] != 1 -> assert(false) }
    :: atomic { told_not[0] && primary.written[0] != 0 -> assert(false) }
    :: atomic { told_not[COMMANDS - 1] && primary.written[COMMANDS - 1] != 0 -> assert(false) }
    :: atomic { !calm -> calm = true }
    :: atomic { timeout ->
         assert(told_done[0] || told_not[0]); assert(told_done[COMMANDS - 1] || told_not[COMMANDS - 1]) }
    od
}

init { atomic { run Ledger(0); run Ledger(1) } }
