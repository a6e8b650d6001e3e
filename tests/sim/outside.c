/* The outside of a simulated process: what loop.h, node.h, clock.h, random.h, log.h, files.h,
 * settings.h and the network's faults.h promise, over the world. */
#include "sim_loop.h"

#include "clock.h"
#include "faults.h"
#include "files.h"
#include "id.h"
#include "log.h"
#include "random.h"
#include "settings.h"
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINKS_MAX = 8, WATCHES_MAX = 8, WAIT_MS_MAX = 60000 };

struct link {
    struct process *owner;
    enum link_number number;
    int instance;
    bool binds, deaf;
    packet_fn *on_packet;
    void *state;
};

struct watch {
    int fd;
    fd_fn *on_ready;
    void *state;
};

struct loop {
    struct link *links[LINKS_MAX];
    size_t link_count;
    turn_fn *on_turn;
    void *turn_state;
    bool stopping, stopped;
};

struct flight {
    struct flight *next;
    struct process *to; /* NULL: the broker, the vault */
    uint64_t to_life;
    struct process *from; /* NULL: they */
    enum link_number link;
    int instance; /* of the link's binder */
    bool to_binder;
    bool safely, once; /* neither lost nor late nor doubled; not doubled */
    uint16_t number, slot;
    uint64_t correlation;
    int64_t deadline_ms;
    uint8_t *body;
    size_t size;
};

/* --- clock, chance, words --------------------------------------------------------------------- */

int64_t
clock_mono_us(void)
{
    return world.now_us + 1000 * SECOND_US;
}

int64_t
clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

int64_t
clock_wall_ms(void)
{
    return WALL_MS + world.now_us / 1000;
}

void
random_bytes(void *out, size_t size)
{
    for (uint8_t *at = out; size;) {
        const uint64_t eight = chance();
        const size_t part = size < sizeof eight ? size : sizeof eight;
        memcpy(at, &eight, part);
        at += part;
        size -= part;
    }
}

uint64_t
random_below(uint64_t bound)
{
    return chance_below(bound);
}

struct text
id_new(char out[static ID_SIZE_MAX + 1], const char *prefix)
{
    uint8_t random[ID_RANDOM_BYTES];
    random_bytes(random, sizeof random);
    return id_make(out, prefix, clock_wall_ms(), world.id_counter++, random);
}

void
log_event(enum log_level level, const char *event, const char *format, ...)
{
    char words[2048];
    va_list arguments;
    (void)level;
    if (!world.trace) return;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    say_trace("  %s %s", event, words);
}

_Noreturn void
die(const char *format, ...)
{
    char words[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    say_trace("died: %s", words);
    if (!world.running) {
        fprintf(stderr, "%s\n", words);
        exit(1);
    }
    process_leave(END_DIED);
}

/* An assertion of an actor is about the actor: it never fails, whatever the world does. */
_Noreturn void __assert_fail(const char *what, const char *file, unsigned line, const char *where);
_Noreturn void
__assert_fail(const char *what, const char *file, unsigned line, const char *where)
{
    const char *const slash = strrchr(file, '/');
    if (!world.running) {
        fprintf(stderr, "seed %llu: %s:%u: %s: %s\n", (unsigned long long)world.seed, file, line,
                where, what);
        abort();
    }
    violation("assertion of %s, %s:%u: %s", world.running->name, slash ? slash + 1 : file, line,
              what);
    process_leave(END_BROKEN);
}

/* --- files, settings, node -------------------------------------------------------------------- */

ssize_t
file_read(const char *path, char *out, size_t cap)
{
    (void)path, (void)out, (void)cap;
    errno = ENOENT;
    return -1;
}

bool
file_write(const char *path, const void *bytes, size_t size, mode_t mode)
{
    (void)path, (void)bytes, (void)size, (void)mode;
    return true;
}

/* As they are set when nobody sets them, but for times, so that a run has them all in seconds. */
void
settings_load(const char *home, struct settings *settings)
{
    (void)home;
#define NUMBER(name, value) settings->name = (value);
#define WORDS(name, value) snprintf(settings->name, sizeof settings->name, "%s", value);
#define SETTING(kind, name, value, low, high, doc) kind(name, value)
#include "settings.def"
#undef SETTING
#undef NUMBER
#undef WORDS
    settings->network_timeout_ms = 900;
    settings->network_refund_ms = 1200;
    settings->settlement_delay_s = 1;
    settings->challenge_expiry_s = 60;
    settings->batch_max = world.seed % 3 ? 256 : 3;
    settings->ledger_queue_max = world.seed % 5 ? 4096 : 16;
    settings->webhook_timeout_ms = 1000;
    snprintf(settings->webhook_retry_s, sizeof settings->webhook_retry_s, "1 1 1 1 1 1 1 1 1 1");
}

const char *
node_home(const struct node *node)
{
    (void)node;
    return "sim";
}

const char *
node_name(const struct node *node)
{
    (void)node;
    return world.running->name;
}

int
node_instance(const struct node *node)
{
    (void)node;
    return world.running->instance;
}

/* --- how the simulated network misbehaves: drawn, not read ------------------------------------ */

void
faults_file_init(struct faults_file *file, const char *home)
{
    (void)home;
    *file = (struct faults_file){.path = ""};
}

void
faults_refresh(struct faults_file *file, struct faults *faults)
{
    (void)file;
    *faults = (struct faults){0};
    if (!world.faulty) return;
    faults->fault_lose_percent = world.rates.network_lose_percent;
    faults->fault_late_ms = world.rates.network_late_ms;
    faults->fault_delay_ms = world.rates.network_delay_ms;
    faults->fault_double = world.rates.network_double;
}

/* --- links ------------------------------------------------------------------------------------ */

static const char *const binders[LINK_COUNT] = {
#define LINK(name, binder, bound_as, connected_as, roles, doc) #binder,
#include "links.def"
#undef LINK
};

static struct process *
process_named(const char *role, int instance)
{
    for (int i = 0; i < PROCESS_COUNT; i++)
        if (world.processes[i].instance == instance && strcmp(world.processes[i].role, role) == 0)
            return &world.processes[i];
    return NULL;
}

static struct link *
add_link(struct loop *loop, enum link_number number, int instance, bool binds, packet_fn *on_packet,
         void *state)
{
    struct link *link = calloc(1, sizeof *link);
    *link = (struct link){world.running, number, instance, binds, false, on_packet, state};
    assert(loop->link_count < LINKS_MAX);
    return loop->links[loop->link_count++] = link;
}

struct link *
loop_bind(struct loop *loop, enum link_number link, packet_fn *on_packet, void *state)
{
    return add_link(loop, link, world.running->instance, true, on_packet, state);
}

struct link *
loop_connect(struct loop *loop, enum link_number link, int instance, packet_fn *on_packet,
             void *state)
{
    return add_link(loop, link, instance, false, on_packet, state);
}

uint64_t
link_next_correlation(void)
{
    return ++world.correlation;
}

/* A process and its life, so that what is said to an earlier one gets nowhere. */
static struct peer
peer_of(const struct process *p)
{
    struct peer peer = {.size = 5};
    const uint32_t life = (uint32_t)p->life;
    peer.id[0] = (uint8_t)p->index;
    memcpy(peer.id + 1, &life, sizeof life);
    return peer;
}

static struct flight *
new_flight(enum message_number number, const void *body, const struct envelope *envelope)
{
    struct flight *f = take(sizeof *f);
    const size_t bound = message_size_bound(number, body);
    f->body = take_raw(bound);
    if (message_encode(number, body, f->body, bound, &f->size) != MESSAGE_OK) return NULL;
    f->number = (uint16_t)number;
    f->slot = envelope->slot;
    f->correlation = envelope->correlation;
    f->deadline_ms = envelope->deadline_ms;
    return f;
}

static void
say_later(struct process *p, struct flight *f)
{
    *p->leaving_end = f;
    p->leaving_end = &f->next;
}

void
link_listen(struct link *link, bool listen)
{
    link->deaf = !listen;
}

static bool
listens(const struct process *p, const struct link *tap)
{
    for (size_t i = 0; i < p->loop->link_count; i++) {
        const struct link *link = p->loop->links[i];
        if (link->number == tap->number && link->instance == tap->instance) return !link->deaf;
    }
    return false;
}

/* Everybody who listens gets a copy. */
static void
publish(struct link *link, struct flight *f)
{
    for (int i = 0; i < PROCESS_COUNT; i++) {
        struct process *p = &world.processes[i];
        if (p->kind != KIND_WEBHOOKS || !p->up || !listens(p, link)) continue;
        struct flight *copy = take(sizeof *copy);
        *copy = *f;
        copy->to = p;
        copy->to_life = p->life;
        say_later(link->owner, copy);
    }
}

bool
link_send(struct link *link, struct envelope envelope, enum message_number number, const void *body)
{
    struct process *const self = link->owner;
    assert(world.running == self);
    world_touched(message_find((uint16_t)number)->name);
    struct flight *const f = new_flight(number, body, &envelope);
    if (!f) {
        violation("%s cannot say %s", self->name, message_find((uint16_t)number)->name);
        return false;
    }
    f->from = self;
    f->link = link->number;
    f->instance = link->instance;
    f->to_binder = !link->binds;
    /* Without a key a commit is known again by what it says of itself (repeated) alone. Links do
     * not double, so a worker may rely on that. */
    f->once = number == MSG_commit && !((const struct msg_commit *)body)->claim;
    if (link->number == LINK_ledger_tap) {
        publish(link, f);
        return true;
    }
    if (!link->binds) {
        f->to = process_named(binders[link->number], link->instance);
    } else {
        uint32_t life;
        f->to = &world.processes[envelope.to->id[0]];
        memcpy(&life, envelope.to->id + 1, sizeof life);
        if (f->to->life != life) return false;
    }
    if (f->to) {
        if (!f->to->up) return false;
        f->to_life = f->to->life;
    }
    say_later(self, f);
    return true;
}

/* --- what is on its way ----------------------------------------------------------------------- */

static struct packet
packet_of(const struct flight *f)
{
    return (struct packet){
        .sender = f->from ? f->from->name : "broker-1",
        .role = f->from ? f->from->role : "broker",
        .peer = f->from ? peer_of(f->from) : (struct peer){.size = 0},
        .number = f->number,
        .slot = f->slot,
        .correlation = f->correlation,
        .deadline_ms = f->deadline_ms,
        .body = f->body,
        .size = f->size,
    };
}

static void
arrive(void *about, uint64_t number)
{
    struct flight *f = about;
    (void)number;
    if (!f->to) {
        const struct packet packet = packet_of(f);
        if (f->link == LINK_broker_back)
            broker_told(f->from, &packet);
        else
            vault_told(f->from, &packet);
        return;
    }
    if (!f->to->up || f->to->life != f->to_life) return;
    f->next = NULL;
    *f->to->inbox_end = f;
    f->to->inbox_end = &f->next;
    process_wake(f->to, 10);
}

static void
send_off(struct flight *f)
{
    const char *const name = message_find(f->number)->name;
    if (world.trace && f->number != MSG_worker_beat && f->number != MSG_ledger_beat &&
        f->number != MSG_ledger_told && f->number != MSG_ping && f->number != MSG_pong &&
        f->number != MSG_events_head)
        say_trace("%s -> %s: %s #%llu", f->from ? f->from->name : "broker/vault",
                  f->to ? f->to->name : "broker/vault", name, (unsigned long long)f->correlation);
    if (!f->safely && strikes(world.rates.lose)) {
        say_trace("    lost: %s #%llu", name, (unsigned long long)f->correlation);
        return;
    }
    const bool twice = !f->safely && !f->once && strikes(world.rates.twice);
    for (int copies = 1 + twice; copies--;) {
        const bool slow = f->number == MSG_network_request && strikes(world.rates.network_late);
        const bool late = slow || (!f->safely && strikes(world.rates.late));
        const int64_t late_us_max = slow ? 3 * SECOND_US : world.rates.late_us_max;
        struct flight *one = f;
        if (copies) { /* each stands in a list of its own */
            one = take(sizeof *one);
            *one = *f;
            one->body =
                (uint8_t *)(uintptr_t)keep((struct text){(const char *)f->body, f->size}).at;
        }
        if (late) say_trace("    late: %s #%llu", name, (unsigned long long)f->correlation);
        world_at(late ? chance_between(1000, late_us_max) : chance_between(40, 400), arrive, one,
                 0);
    }
}

void
post(struct process *to, enum link_number link, const struct envelope *envelope,
     enum message_number number, const void *body, bool safely)
{
    if (!to->up) return;
    struct flight *f = new_flight(number, body, envelope);
    assert(f);
    f->to = to;
    f->to_life = to->life;
    f->link = link;
    f->instance = 1;
    f->safely = safely;
    send_off(f);
}

void
loop_said(struct process *p)
{
    for (struct flight *f = p->leaving, *next; f; f = next) {
        next = f->next;
        p->leaving = next;
        send_off(f);
    }
    p->leaving_end = &p->leaving;
}

static void
flush(struct process *p)
{
    while (p->leaving) {
        struct flight *f = p->leaving;
        world_touched("flush");
        p->leaving = f->next;
        send_off(f);
    }
    p->leaving_end = &p->leaving;
}

void
link_flush(struct link *link)
{
    flush(link->owner);
}

bool
packet_decode(struct link *from, const struct packet *packet, enum message_number number,
              void *body)
{
    const char *culprit;
    (void)from;
    if (message_decode(number, packet->body, packet->size, body, &culprit) == MESSAGE_OK)
        return true;
    violation("a malformed %s: %s", message_find((uint16_t)number)->name, culprit ? culprit : "");
    return false;
}

/* --- turns ------------------------------------------------------------------------------------ */

struct loop *
loop_new(struct node *node)
{
    (void)node;
    return calloc(1, sizeof(struct loop));
}

struct node *
loop_node(struct loop *loop)
{
    (void)loop;
    return NULL;
}

/* What is watched is a connection to Postgres, which wakes its process by itself (postgres.c). */
void
loop_watch(struct loop *loop, int fd, short events, fd_fn *on_ready, void *state)
{
    (void)loop, (void)fd, (void)events, (void)on_ready, (void)state;
}

void
loop_unwatch(struct loop *loop, int fd)
{
    (void)loop, (void)fd;
}

void
loop_on_turn(struct loop *loop, turn_fn *on_turn, void *state)
{
    loop->on_turn = on_turn;
    loop->turn_state = state;
}

void
loop_set_state(struct loop *loop, const char *state, const char *detail)
{
    (void)loop, (void)state, (void)detail;
}

bool
loop_stopping(const struct loop *loop)
{
    return loop->stopping;
}

void
loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

void
loop_terminate(struct loop *loop)
{
    loop->stopping = true;
}

static struct link *
link_for(struct loop *loop, const struct flight *f)
{
    for (size_t i = 0; i < loop->link_count; i++) {
        struct link *link = loop->links[i];
        if (link->number == f->link && link->instance == f->instance && link->binds == f->to_binder)
            return link;
    }
    return NULL;
}

static void
answer_ping(struct link *link, const struct packet *packet)
{
    const struct process *p = world.running;
    const struct msg_pong pong = {.has = HAS_pong_name | HAS_pong_state | HAS_pong_pid |
                                         HAS_pong_uptime_ms,
                                  .name = text_of(p->name),
                                  .state = TEXT("serving"),
                                  .pid = (uint64_t)p->index * 10000 + p->life,
                                  .uptime_ms = 1};
    (void)link_send(link,
                    (struct envelope){.to = &packet->peer, .correlation = packet->correlation},
                    MSG_pong, &pong);
}

void
loop_take_turn(struct process *p)
{
    struct loop *const loop = p->loop;
    struct flight *f = p->inbox;
    p->inbox = NULL;
    p->inbox_end = &p->inbox;
    for (; f; f = f->next) {
        struct link *const link = link_for(loop, f);
        const struct packet packet = packet_of(f);
        if (!link) continue;
        if (f->number == MSG_ping)
            answer_ping(link, &packet);
        else if (link->on_packet)
            link->on_packet(link->state, link, &packet);
    }
    const int64_t again_ms = loop->on_turn(loop->turn_state, clock_mono_ms());
    flush(p);
    if (loop->stopped) process_leave(END_STOPPED);
    process_wake(p, (again_ms < 0             ? 0
                     : again_ms > WAIT_MS_MAX ? WAIT_MS_MAX
                                              : again_ms) *
                            1000 +
                        chance_between(20, 60));
}
