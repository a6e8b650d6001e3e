#include "world.h"

#include "ledger.h"
#include "network.h"
#include "node.h"
#include "play.h"
#include "postgres.h"
#include "settings.h"
#include "sim_loop.h"
#include "webhooks.h"
#include "worker.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define EVENTS_MAX 65536
#define RUN_BYTES ((size_t)256 << 20)
#define EVENTS_PER_RUN_MAX 400000

struct world world;

/* --- chance ----------------------------------------------------------------------------------- */

uint64_t
chance(void)
{
    uint64_t z = (world.chance += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t
chance_below(uint64_t bound)
{
    return chance() % bound; /* the bias is nothing to dice */
}

int64_t
chance_between(int64_t low, int64_t high)
{
    return low + (int64_t)chance_below((uint64_t)(high - low) + 1);
}

bool
strikes(uint64_t permille)
{
    if (!world.faulty || !permille || chance_below(1000) >= permille) return false;
    world.faults++;
    return true;
}

bool
one_in(uint64_t count)
{
    return chance_below(count) == 0;
}

/* --- memory of the run ------------------------------------------------------------------------ */

static char *run_memory;
static size_t run_used;

void *
take_raw(size_t size)
{
    const size_t need = (size + 15) & ~(size_t)15;
    if (run_used + need > RUN_BYTES) {
        fprintf(stderr, "seed %llu: the run takes too much memory\n",
                (unsigned long long)world.seed);
        abort();
    }
    void *const piece = run_memory + run_used;
    run_used += need;
    return piece;
}

void *
take(size_t size)
{
    return memset(take_raw(size), 0, size);
}

struct text
keep(struct text text)
{
    if (!text.at) return NO_TEXT;
    char *const copy = take_raw(text.size + 1);
    if (text.size) memcpy(copy, text.at, text.size);
    copy[text.size] = '\0';
    return (struct text){copy, text.size};
}

struct text
keep_format(const char *format, ...)
{
    char words[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    return keep(text_of(words));
}

/* --- words ------------------------------------------------------------------------------------ */

static void
remember(const char *words)
{
    for (; *words; words++)
        world.history = (world.history ^ (uint8_t)*words) * UINT64_C(0x100000001b3);
}

void
say_trace(const char *format, ...)
{
    char words[4096];
    va_list arguments;
    if (!world.trace) return;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    remember(words);
    printf("%10.3f ms  %-10s %s\n", (double)world.now_us / 1000,
           world.running ? world.running->name : "", words);
}

void
violation(const char *format, ...)
{
    va_list arguments;
    if (world.broken[0]) return;
    va_start(arguments, format);
    vsnprintf(world.broken, sizeof world.broken, format, arguments);
    va_end(arguments);
    say_trace("VIOLATION: %s", world.broken);
}

/* --- events: a heap, by time and then by the order in which they were put --------------------- */

struct event {
    int64_t at_us;
    uint64_t order;
    event_fn *fn;
    void *about;
    uint64_t number;
};

static struct event events[EVENTS_MAX];
static size_t event_count;
static uint64_t event_order;

static bool
is_before(const struct event *a, const struct event *b)
{
    return a->at_us < b->at_us || (a->at_us == b->at_us && a->order < b->order);
}

void
world_at(int64_t delay_us, event_fn *fn, void *about, uint64_t number)
{
    const struct event event = {world.now_us + (delay_us > 0 ? delay_us : 0), event_order++, fn,
                                about, number};
    if (event_count == EVENTS_MAX) {
        fprintf(stderr, "seed %llu: too many events\n", (unsigned long long)world.seed);
        abort();
    }
    size_t at = event_count++;
    for (; at && is_before(&event, &events[(at - 1) / 2]); at = (at - 1) / 2)
        events[at] = events[(at - 1) / 2];
    events[at] = event;
}

static struct event
next_event(void)
{
    const struct event first = events[0], last = events[--event_count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < event_count; at = child) {
        if (child + 1 < event_count && is_before(&events[child + 1], &events[child])) child++;
        if (!is_before(&events[child], &last)) break;
        events[at] = events[child];
    }
    events[at] = last;
    return first;
}

/* --- processes -------------------------------------------------------------------------------- */

_Noreturn void
process_leave(enum end end)
{
    assert(world.running);
    longjmp(world.running->out, (int)end);
}

void
world_touched(const char *what)
{
    struct process *p = world.running;
    if (!p || !p->crash_in || --p->crash_in) return;
    say_trace("killed at: %s", what);
    process_leave(END_KILLED);
}

static void
start_again(void *about, uint64_t life)
{
    struct process *p = about;
    if (!p->up && p->life == life) process_start(p);
}

static void
process_over(struct process *p, enum end end)
{
    static const char *const words[] = {"", "killed", "died", "stopped", "broken"};
    say_trace("%s %s", p->name, words[end]);
    p->up = false;
    p->actor = NULL;
    p->loop = NULL;
    p->crash_in = 0;
    p->turn_us = NEVER_US;
    p->inbox = p->leaving = NULL;
    postgres_client_gone(p);
    if (end != END_BROKEN)
        world_at(chance_between(20000, world.faulty ? 1500000 : 60000), start_again, p, p->life);
}

bool
process_enter(struct process *p, void (*fn)(struct process *p))
{
    assert(!world.running);
    world.running = p;
    heap_use(p->index);
    const int end = setjmp(p->out);
    if (!end) fn(p);
    heap_use(-1);
    world.running = NULL;
    if (end) process_over(p, (enum end)end);
    return !end;
}

static void
begin(struct process *p)
{
    struct settings settings;
    p->loop = loop_new(NULL);
    settings_load("sim", &settings);
    switch (p->kind) {
    case KIND_WORKER: p->actor = worker_new(p->loop, &settings, "sim"); break;
    case KIND_LEDGER: p->actor = ledger_new(p->loop, "sim"); break;
    case KIND_NETWORK: p->actor = network_new(p->loop); break;
    case KIND_WEBHOOKS: p->actor = webhooks_new(p->loop, "sim"); break;
    }
    loop_said(p);
}

void
process_start(struct process *p)
{
    heap_empty(p->index);
    p->life++;
    p->up = true;
    p->paused_until_us = 0;
    p->turn_us = NEVER_US;
    p->inbox = p->leaving = NULL;
    p->inbox_end = &p->inbox;
    p->leaving_end = &p->leaving;
    say_trace("%s starts, life %llu", p->name, (unsigned long long)p->life);
    if (process_enter(p, begin)) process_wake(p, 100);
}

void
process_kill(struct process *p, const char *why)
{
    assert(!world.running);
    if (!p->up) return;
    say_trace("%s: %s", p->name, why);
    process_over(p, END_KILLED);
}

static void
turn(void *about, uint64_t at_us)
{
    struct process *p = about;
    if (!p->up || p->turn_us != (int64_t)at_us) return;
    p->turn_us = NEVER_US;
    if (world.now_us < p->paused_until_us)
        process_wake(p, p->paused_until_us - world.now_us);
    else
        (void)process_enter(p, loop_take_turn);
}

void
process_wake(struct process *p, int64_t delay_us)
{
    const int64_t at_us = world.now_us + delay_us;
    if (!p->up || at_us >= p->turn_us) return;
    p->turn_us = at_us;
    world_at(delay_us, turn, p, (uint64_t)at_us);
}

/* --- a run ------------------------------------------------------------------------------------ */

static void
name_processes(void)
{
    static const struct {
        enum kind kind;
        const char *role;
        int count;
    } kinds[] = {{KIND_LEDGER, "ledger", LEDGER_COUNT},
                 {KIND_NETWORK, "network", 1},
                 {KIND_WORKER, "payments", WORKER_COUNT},
                 {KIND_WEBHOOKS, "webhooks", WEBHOOKS_COUNT}};
    int index = 0;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        for (int i = 1; i <= kinds[k].count; i++) {
            struct process *p = &world.processes[index];
            *p = (struct process){.kind = kinds[k].kind,
                                  .index = index++,
                                  .instance = i,
                                  .role = kinds[k].role,
                                  .turn_us = NEVER_US};
            snprintf(p->name, sizeof p->name, "%s-%d", p->role, i);
        }
}

bool
world_run(uint64_t seed, bool trace)
{
    if (!run_memory) {
        run_memory = mmap(NULL, RUN_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (run_memory == MAP_FAILED) abort();
    }
    memset(&world, 0, sizeof world);
    run_used = event_count = event_order = 0;
    world.seed = seed;
    world.chance = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    world.trace = trace;
    world.faulty = true;
    name_processes();
    play_begin();
    for (int i = 0; i < PROCESS_COUNT; i++)
        if (play_has(&world.processes[i])) process_start(&world.processes[i]);
    uint64_t steps = 0;
    while (event_count && !world.broken[0] && !play_is_over()) {
        const struct event event = next_event();
        assert(event.at_us >= world.now_us);
        world.now_us = event.at_us;
        event.fn(event.about, event.number);
        if (++steps > EVENTS_PER_RUN_MAX) violation("the run does not end");
    }
    if (!world.broken[0]) play_end();
    return !world.broken[0];
}
