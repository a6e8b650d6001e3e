/* Model (d): one slot, its broker, two workers, and the ledger that grants it.
 *
 * The broker's map is moved by the functions of owners.c (MAP_* in florin.pml). Messages between
 * broker and worker keep their order; a slots_take to the ledger flies on its own, arrives late, and
 * is repeated until it is answered. Workers and the broker die and come back; the broker believes a
 * living worker dead, moves slots for no reason, and loses patience with an owner that does not let
 * go (IMPATIENT). Requests come to whoever the broker's map, however stale, sends them to.
 *
 * Whoever holds the slot remembers the rows that it read when it got it (`memory`); a commit changes
 * the row. What is held by the ledger's owner must be remembered rightly: a fence is what makes a
 * memory worth having.
 *
 * In the end, when all is calm: the worker that the broker sends requests to is the one that the
 * ledger lets commit. With IMPATIENT a take may arrive after the slot was given to another; the
 * other's first commit is refused then and sets it right (HEALS). Without it nobody is ever refused.
 *
 * Mutants:
 *   NO_FENCE          the ledger writes for whoever sends
 *   KEEPS_MEMORY      a worker that takes a slot keeps what it remembers from last time
 *   TAKES_UNWANTED    slots_take is repeated for a slot that is not wanted any more
 *   RELEASES_EARLY    a slot is given back while slots_take for it is still unanswered
 *   HELD_EARLY        slots_held is said when the take is sent and not when it is granted
 *   IGNORES_RELEASED  a slot that is given back counts only while it is to move: not when the plan
 *                     was changed back meanwhile
 *   NO_READY          a worker that is fenced does not say worker_ready */
#include "florin.pml"

#ifndef CAP
#define CAP 1
#endif
mtype = { ASSIGN, ASSIGN_NOT, RELEASE, UNKNOWN_YOU, READY, READY_HOLDING, HELD, RELEASED };
chan to_worker[2] = [CAP] of { mtype };
chan to_broker[2] = [CAP] of { mtype };

byte map = MAP_FREE;
bool alive[2] = false;      /* the broker knows of it */
bool told[2] = false, told_any[2] = false, asked_back[2] = false;

byte owner = NOBODY;        /* at the ledger */
bool fresh[2] = false;      /* the epoch that this worker knows is the slot's */
bool take_flies[2] = false, taken_flies[2] = false;

bool wanted[2] = false, taking[2] = false, held[2] = false, releasing[2] = false;
bool reborn[2] = false;     /* it died since it was granted the slot */
bool memory[2] = false;     /* what it remembers is what is there */
bool calm = false;

#define FULL(w) ((len(to_worker[w]) < CAP))

#ifdef RELEASES_EARLY
#define BACK(w) true
#else
#define BACK(w) (!taking[w])
#endif
#ifdef HEALS
#define COMMITS(w) (!calm || owner != w || !fresh[w])
#else
#define COMMITS(w) (!calm)
#endif

inline drop(w) { held[w] = false; releasing[w] = false; memory[w] = false }

/* take_what_is_new */
inline take(w)
{
    if
    :: wanted[w] && !held[w] && !taking[w] -> taking[w] = true; take_flies[w] = true
#ifdef HELD_EARLY
       ; held[w] = true; to_broker[w]!HELD
#endif
    :: else
    fi
}

proctype Worker(byte w)
{
    mtype m;
end: do
    :: atomic { (len(to_worker[w]) > 0) && (len(to_broker[w]) < CAP) -> to_worker[w]?m;
         if
         :: m == UNKNOWN_YOU -> if :: held[w] -> to_broker[w]!READY_HOLDING :: else -> to_broker[w]!READY fi
         :: m == ASSIGN -> wanted[w] = true; releasing[w] = false;
            if :: held[w] -> to_broker[w]!HELD :: else fi; take(w)
         :: m == ASSIGN_NOT -> wanted[w] = false; drop(w)
         :: m == RELEASE -> wanted[w] = false;
            if
            :: held[w] -> releasing[w] = true
#ifndef RELEASES_EARLY
            :: !held[w] && taking[w] -> releasing[w] = true
            :: !held[w] && !taking[w] -> to_broker[w]!RELEASED
#else
            :: !held[w] -> to_broker[w]!RELEASED
#endif
            fi
         fi; m = 0 }
    :: atomic { releasing[w] && (len(to_broker[w]) < CAP) && BACK(w) -> drop(w); to_broker[w]!RELEASED }                            /* give_back */
    :: atomic { taking[w] && !take_flies[w] && !taken_flies[w] ->       /* the answer is long in coming */
#ifdef TAKES_UNWANTED
         take_flies[w] = true }
#else
         if :: wanted[w] -> take_flies[w] = true :: else -> taking[w] = false fi }
#endif
    :: atomic { taken_flies[w] && (len(to_broker[w]) < CAP) -> taken_flies[w] = false;
         /* A later epoch than the one we knew: others may have written meanwhile. */
#ifndef KEEPS_MEMORY
         if :: owner == w && !fresh[w] && held[w] -> memory[w] = true :: else fi;
#endif
         if :: owner == w && !reborn[w] -> fresh[w] = true :: else fi;
         if
         :: taking[w] -> taking[w] = false;
            if
            :: wanted[w] ->
#ifdef KEEPS_MEMORY
               held[w] = true; to_broker[w]!HELD
#else
               held[w] = true; memory[w] = true; to_broker[w]!HELD      /* open attempts and rows are read now */
#endif
            :: else
            fi
         :: else
         fi }

    /* A request that ends in a commit. Everybody else's memory is old then. */
    :: atomic { held[w] && (len(to_broker[w]) < CAP) && COMMITS(w) ->
         if
#ifdef NO_FENCE
         :: true ->
#else
         :: owner == w && fresh[w] ->
#endif
            assert(memory[w]);                                          /* it decided by what is there */
            memory[1 - w] = false
#ifndef NO_FENCE
         :: else ->                                                     /* slot_lost */
#ifdef NO_READY
            drop(w); wanted[w] = false
#else
            drop(w); wanted[w] = false; to_broker[w]!READY
#endif
#endif
         fi }
    /* It dies and is there again. */
    :: atomic { !calm && MORTAL && (len(to_broker[w]) < CAP) ->
         drop(w); wanted[w] = false; taking[w] = false; fresh[w] = false; taken_flies[w] = false; reborn[w] = true;
         do :: to_worker[w]?_ :: (len(to_worker[w]) == 0) -> break od;
         to_broker[w]!UNKNOWN_YOU }                                      /* worker_ready, another incarnation */
    od
}

/* books_holds: who has it already is told so; else the epoch is raised. */
inline grant(w)
{
    if :: owner == w && !reborn[w] :: else -> owner = w; fresh[0] = false; fresh[1] = false fi;
    reborn[w] = false; taken_flies[w] = true
}

active proctype Ledger()
{
end: do
    :: atomic { take_flies[0] -> take_flies[0] = false; grant(0) }
    :: atomic { take_flies[1] -> take_flies[1] = false; grant(1) }
    :: atomic { taken_flies[0] && !calm -> taken_flies[0] = false }      /* lost, and asked for again */
    :: atomic { taken_flies[1] && !calm -> taken_flies[1] = false }
    od
}

inline lose(w) { alive[w] = false; map = MAP_LOSE(map, w); told_any[w] = false; asked_back[w] = false }

inline hear(w)
{
    to_broker[w]?m;
    if
    :: m == UNKNOWN_YOU ->                                               /* ready, anew */
       map = MAP_LET_GO(map, w); alive[w] = true; told_any[w] = false; asked_back[w] = false
    :: m == READY -> alive[w] = true; told_any[w] = false
    :: m == READY_HOLDING -> alive[w] = true; told_any[w] = false; map = MAP_CLAIM(map, w)
    :: m == HELD -> map = MAP_GRANT(map, w)
    :: m == RELEASED ->
#ifdef IGNORES_RELEASED
       if :: MAP_OWNER(map) == w && MAP_NEXT(map) != NOBODY -> map = MAP_LET_GO(map, w) :: else fi
#else
       map = MAP_LET_GO(map, w)
#endif
    fi; m = 0
}

/* tell_worker: what is assigned is said before what is asked back, and again when it is long in being held. */
#ifdef ONCE
#define OVERDUE(w) (MAP_OWNER(map) == w && !MAP_HELD(map) && MAP_NEXT(map) == NOBODY)
#else
#define OVERDUE(w) (MAP_OWNER(map) == w && !MAP_HELD(map))
#endif
inline tell(w)
{
    if
    :: !told_any[w] || told[w] != (MAP_OWNER(map) == w) || (OVERDUE(w) && (len(to_worker[w]) == 0)) ->
       told_any[w] = true; told[w] = (MAP_OWNER(map) == w);
       if :: told[w] -> to_worker[w]!ASSIGN :: else -> to_worker[w]!ASSIGN_NOT fi
    :: told_any[w] && told[w] && MAP_OWNER(map) == w && MAP_NEXT(map) != NOBODY && !asked_back[w] -> asked_back[w] = true; to_worker[w]!RELEASE
    :: MAP_OWNER(map) != w && asked_back[w] -> asked_back[w] = false
    :: else
    fi
}

/* RELEASE_MS: longer than any message takes, unless all is slow. */
#define QUIET(w) (len(to_worker[w]) == 0 && len(to_broker[w]) == 0 && !releasing[w] && !taking[w])
#ifdef IMPATIENT
#define PATIENCE_ENDS(w) (!calm || QUIET(w))
#else
#define PATIENCE_ENDS(w) QUIET(w)
#endif
#define DESTINATION (MAP_NEXT(map) != NOBODY -> MAP_NEXT(map) : MAP_OWNER(map))
#define NEEDS_PLAN  (DESTINATION == NOBODY || (DESTINATION == 0 && !alive[0]) || (DESTINATION == 1 && !alive[1]))
#define TOLD_ALL(w) (told_any[w] && told[w] == (MAP_OWNER(map) == w) && (MAP_OWNER(map) != w || MAP_HELD(map)) \
    && (MAP_OWNER(map) != w || MAP_NEXT(map) == NOBODY || asked_back[w]) && (MAP_OWNER(map) == w || !asked_back[w]))

#ifdef MOVES
byte moves = MOVES;
#define MAY_MOVE (!calm && moves > 0)
inline moved(w) { if :: NEEDS_PLAN :: else -> moves-- fi }
#else
#define MAY_MOVE (!calm)
inline moved(w) { skip }
#endif

active proctype Broker()
{
    mtype m;
end: do
    :: atomic { (len(to_broker[0]) > 0) -> hear(0) }
    :: atomic { (len(to_broker[1]) > 0) -> hear(1) }
    :: atomic { alive[0] && (NEEDS_PLAN || MAY_MOVE) -> moved(0); map = MAP_PLAN(map, 0) }
    :: atomic { alive[1] && (NEEDS_PLAN || MAY_MOVE) -> moved(1); map = MAP_PLAN(map, 1) }
    :: atomic { alive[0] && FULL(0) && !TOLD_ALL(0) && (!calm || (len(to_worker[0]) == 0) && (len(to_broker[0]) == 0) && !taking[0]) -> tell(0) }
    :: atomic { alive[1] && FULL(1) && !TOLD_ALL(1) && (!calm || (len(to_worker[1]) == 0) && (len(to_broker[1]) == 0) && !taking[1]) -> tell(1) }
    :: atomic { MAP_OWNER(map) == 0 && asked_back[0] && MAP_NEXT(map) != NOBODY && PATIENCE_ENDS(0) -> map = MAP_LET_GO(map, 0) }
    :: atomic { MAP_OWNER(map) == 1 && asked_back[1] && MAP_NEXT(map) != NOBODY && PATIENCE_ENDS(1) -> map = MAP_LET_GO(map, 1) }
#ifdef IMPATIENT
    :: atomic { alive[0] && !calm -> lose(0) }                           /* it was silent, or so it seems */
    :: atomic { alive[1] && !calm -> lose(1) }
    /* The broker itself dies: it knows nothing, and nobody. */
    :: atomic { !calm ->
         map = MAP_FREE; alive[0] = false; alive[1] = false; told_any[0] = false; told_any[1] = false;
         asked_back[0] = false; asked_back[1] = false;
         do :: to_broker[0]?_ :: (len(to_broker[0]) == 0) -> break od;
         do :: to_broker[1]?_ :: (len(to_broker[1]) == 0) -> break od;
         do :: to_worker[0]?_ :: (len(to_worker[0]) == 0) -> break od;
         do :: to_worker[1]?_ :: (len(to_worker[1]) == 0) -> break od }
#endif
    /* A beat of somebody it does not know: worker_unknown. */
    :: atomic { !alive[0] && (len(to_worker[0]) == 0) && (len(to_broker[0]) == 0) -> to_worker[0]!UNKNOWN_YOU }
    :: atomic { !alive[1] && (len(to_worker[1]) == 0) && (len(to_broker[1]) == 0) -> to_worker[1]!UNKNOWN_YOU }
    od
}

active proctype Check()
{
end: do
    :: atomic { !calm -> calm = true }
    :: atomic { timeout ->
         assert(MAP_ROUTE(map) != NOBODY);                                /* requests are served again */
         assert(owner == MAP_ROUTE(map));                                 /* by the one that may commit */
         assert(fresh[MAP_ROUTE(map)] && held[MAP_ROUTE(map)] && memory[MAP_ROUTE(map)]) }
    od
}

init { atomic { run Worker(0); run Worker(1) } }
