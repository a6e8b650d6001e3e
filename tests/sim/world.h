/* world: what goes on around the actors, made of one seed.
 *
 * The actors' own files run here unchanged: what they link beside them is a loop, links, a clock,
 * chance, a log, libpq and the network's book of our own (outside.c, postgres.c, book.c). Nothing
 * waits and nothing is shared: there is one thread, a queue of events with a virtual time each, and
 * one stream of chance, so a seed is a run and a run can be repeated.
 *
 * An actor lives in a struct process: memory of its own that is gone when it dies, at any of the
 * places where it touches the world (world_touched), as by kill -9. */
#pragma once

#include "loop.h"
#include "must_use.h"
#include "text.h"
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORKER_COUNT = 3, LEDGER_COUNT = 2, WEBHOOKS_COUNT = 2 };
#define PROCESS_COUNT (WORKER_COUNT + LEDGER_COUNT + 1 + WEBHOOKS_COUNT)
#define NEVER_US INT64_MAX
#define SECOND_US INT64_C(1000000)
#define WALL_MS INT64_C(1790000000000) /* when the world begins */

enum kind { KIND_WORKER, KIND_LEDGER, KIND_NETWORK, KIND_WEBHOOKS };

/* How a life ends. */
enum end { END_NONE, END_KILLED, END_DIED, END_STOPPED, END_BROKEN };

struct flight; /* a packet on its way */

struct process {
    enum kind kind;
    int index, instance;
    char name[NODE_NAME_MAX + 1];
    const char *role;
    uint64_t life; /* how often it was started */
    bool up;
    int64_t paused_until_us, turn_us;
    int64_t crash_in; /* dies when it has touched the world so often; 0: it does not */
    jmp_buf out;
    struct loop *loop;
    void *actor;
    struct flight *inbox, **inbox_end;
    struct flight *leaving, **leaving_end; /* said in this turn, not flushed */
};

/* What may go wrong in this run: drawn from the seed, so that each run is hard in its own way. Of a
 * thousand, unless it says otherwise. */
struct rates {
    uint64_t lose, twice, late;                /* packets */
    int64_t late_us_max;                       /* how late */
    uint64_t network_late;                     /* requests to the network, up to three seconds */
    uint64_t pg_error, pg_doubt;               /* transactions */
    uint64_t pg_slow;                          /* transactions that take up to two seconds */
    uint64_t read_fails;                       /* a worker's reads */
    int64_t kills, pauses, moves, cuts, stops; /* how many, altogether */
    int64_t faults_end_us;                     /* when all of it is over */
    int network_lose_percent, network_double;
    int64_t network_late_ms, network_delay_ms;
};

struct world {
    uint64_t seed, chance, faults;
    uint64_t correlation;
    uint32_t id_counter;
    int64_t now_us;
    bool trace;
    bool faulty; /* things still go wrong */
    struct rates rates;
    struct process processes[PROCESS_COUNT];
    struct process *running; /* whose code runs now, or NULL */
    char broken[512];        /* what must not be and is; empty: nothing yet */
    uint64_t history;        /* a hash of all that was said and done */
};
extern struct world world;

/* --- chance ----------------------------------------------------------------------------------- */

uint64_t chance(void);
uint64_t chance_below(uint64_t bound);
int64_t chance_between(int64_t low, int64_t high); /* both included */
/* Only while things go wrong; counted as a fault when it happens. */
bool strikes(uint64_t permille);
bool one_in(uint64_t count);

/* --- memory of the run: taken, never given back, all gone at its end -------------------------- */

void *take(size_t size); /* zeroed */
void *take_raw(size_t size);
struct text keep(struct text text);
struct text keep_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- events ----------------------------------------------------------------------------------- */

typedef void event_fn(void *about, uint64_t number);
void world_at(int64_t delay_us, event_fn *fn, void *about, uint64_t number);

void say_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The first one counts; the run goes no further. */
void violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- processes -------------------------------------------------------------------------------- */

void process_start(struct process *p);
/* Runs `fn` as the process; false when it did not survive that. */
bool process_enter(struct process *p, void (*fn)(struct process *p));
void process_kill(struct process *p, const char *why);
/* A turn in at most so long. */
void process_wake(struct process *p, int64_t delay_us);
_Noreturn void process_leave(enum end end);
/* The running process does something that the world sees: the place where it may die. */
void world_touched(const char *what);

/* Its memory: heap.c. */
void heap_use(int index); /* -1: the program's own */
void heap_empty(int index);

/* One run of the world. False when something was broken, `world.broken` says what. */
bool world_run(uint64_t seed, bool trace);
