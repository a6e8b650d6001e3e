/* Requests and turns: what comes from the broker, and what time brings (worker.h). */
#include "worker.h"

#include "clock.h"
#include "failpoint.h"
#include "log.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define SCRATCH_BYTES ((size_t)16 << 20)
#define SWEEP_MS 2000
#define LEAVE_MS_MAX 5000
#define STALL_MS 900
#define TICK_MS 10 /* how exactly time-outs are kept */
#define EXPAND_LEVELS_MAX 4

/* --- requests -------------------------------------------------------------------------------- */

/* The paths of `expand[]`, a space between them. False when one goes too deep: it is `*too_deep`.
 */
static bool
gather_expand(struct call *call, struct text *too_deep)
{
    size_t at = 0, inside_at = 0, size = 0;
    struct param param;
    while (params_next_in(call->params, "expand", &at, &param))
        size += param.value.size + 1;
    if (!size) return true;
    char *const out = arena_take(call->arena, size);
    size = 0;
    while (params_next_in(call->params, "expand", &inside_at, &param)) {
        int levels = 1;
        for (size_t i = 0; i < param.value.size; i++)
            levels += param.value.at[i] == '.';
        if (levels > EXPAND_LEVELS_MAX) {
            *too_deep = param.value;
            return false;
        }
        if (size) out[size++] = ' ';
        if (param.value.size) memcpy(out + size, param.value.at, param.value.size);
        size += param.value.size;
    }
    call->expand = (struct text){out, size};
    return true;
}

/* The gateway knows whose key asks; an internal client may name anybody. */
static bool
account_is_there(struct job *job)
{
    struct call *const call = &job->call;
    struct row_merchant *const merchant = arena_take(call->arena, sizeof *merchant);
    const struct api_refusal refusal = {
        .status = 401,
        .message = TEXT("There is no such account."),
    };
    switch (store_get(job->worker->store, ROW_merchant, call->merchant, call->merchant, call->arena,
                      merchant)) {
    case STORE_FOUND:
        if (!call->api_version.at) call->api_version = merchant->api_version;
        call->account = merchant;
        return true;
    case STORE_UNAVAILABLE: job_tell_refusal(job, &refusal_unavailable); return false;
    case STORE_MISSING: job_tell_refusal(job, &refusal); return false;
    }
    return false;
}

/* Everything that can be refused before a handler looks. False: it has been answered. */
static bool
call_is_good(struct job *job)
{
    struct call *const call = &job->call;
    struct param_error error;
    struct text too_deep;
    struct api_refusal refusal = {.status = 400};

    if (call->publishable && call->route->access == ACCESS_SECRET) {
        refusal = (struct api_refusal){
            .status = 401,
            .code = "secret_key_required",
            .message = TEXT("This API call cannot be made with a publishable API key. Please use a "
                            "secret API key."),
        };
        job_tell_refusal(job, &refusal);
        return false;
    }
    if (!route_check(call->route, call->params, &error)) {
        refusal = (struct api_refusal){
            .status = error.status,
            .code = error.code,
            .param = error.param[0] ? error.param : NULL,
            .message = text_of(error.message),
        };
        job_tell_refusal(job, &refusal);
        return false;
    }
    if (!gather_expand(call, &too_deep)) {
        refusal.code = "property_expansion_max_depth";
        refusal.param = "expand";
        refusal.message = arena_format(
            call->arena, "You cannot expand more than 4 levels of a property. Property: %.*s",
            (int)too_deep.size, too_deep.at);
        job_tell_refusal(job, &refusal);
        return false;
    }
    return account_is_there(job);
}

/* The same key is in flight here: no need to ask the ledger, nor for a job. */
static bool
key_is_in_flight(struct worker *worker, const struct packet *packet,
                 const struct msg_api_request *request, struct text key_name)
{
    const struct job *const first = names_find(&worker->by_key, key_name);
    if (!first) return false;
    /* A recovered attempt does not know what its request was: the ledger does, once it is over. */
    const bool other = first->call.request_hash.at &&
                       (!text_equal(first->call.request_hash, request->request_hash) ||
                        !text_equal(first->call.path, request->path));
    const struct api_refusal refusal = other ? refusal_mismatch(worker->scratch, request->key)
                                             : refusal_in_use(worker->scratch, request->key);
    packet_tell_refusal(worker, packet, &refusal);
    return true;
}

static struct text
make_key_name(char *out, const struct msg_api_request *request)
{
    memcpy(out, request->merchant.at, request->merchant.size);
    out[request->merchant.size] = '/';
    memcpy(out + request->merchant.size + 1, request->key.at, request->key.size);
    return (struct text){out, request->merchant.size + 1 + request->key.size};
}

static bool
is_late(const struct worker *worker, const struct packet *packet)
{
    return packet->deadline_ms && worker->wall_ms >= packet->deadline_ms;
}

struct job *
job_for_client(struct worker *worker, const struct packet *packet, uint16_t slot)
{
    const char *code = NULL, *reason = NULL;
    struct job *job = NULL;
    if (is_late(worker, packet))
        code = "expired", reason = "its deadline has passed";
    else if (slot != packet->slot)
        code = "malformed", reason = "slot: not that of the merchant";
    else if (worker->leaving || !slot_is_held(worker, slot))
        code = "unroutable", reason = "this worker does not hold the slot";
    else if (worker->clients >= CLIENT_JOBS_MAX || !(job = job_new(worker, slot)))
        code = "busy", reason = "too many calls are in flight";
    if (code) {
        packet_refuse(worker, packet, code, reason);
        return NULL;
    }
    job->client = true;
    job->correlation = packet->correlation;
    job->deadline_ms = packet->deadline_ms;
    worker->clients++;
    return job;
}

/* The frame goes with this turn; the job may live longer. */
bool
job_own_packet(struct job *job, struct link *from, const struct packet *packet,
               enum message_number number, void *body)
{
    const struct text bytes = {(const char *)packet->body, packet->size};
    struct packet own = *packet;
    own.body = (const uint8_t *)arena_copy(job->call.arena, bytes).at;
    if (packet_decode(from, &own, number, body)) return true;
    job_forget_client(job); /* it has been refused */
    job_end(job);
    return false;
}

/* What the request says, for its handler to see. False when its card is not one. */
static bool
fill_call(struct job *job, const struct route *route, const struct msg_api_request *request)
{
    struct call *const call = &job->call;
    call->route = route;
    call->merchant = request->merchant;
    call->request = request->request;
    call->request_hash = request->request_hash;
    call->path = request->path;
    call->api_version = request->api_version;
    call->object = request->object;
    call->parent = request->parent;
    call->params = (struct params){(const uint8_t *)request->params.at, request->params.size};
    call->publishable = request->publishable == 1;
    call->livemode = request->livemode == 1;
    memcpy(job->merchant, request->merchant.at, request->merchant.size);
    if (request->key.at && route->method == HTTP_POST) call->key = request->key;
    if (!request->cards.count) return true;

    struct message_list cards = request->cards;
    struct msg_card *const card = arena_take(call->arena, sizeof *card);
    enum message_verdict verdict;
    call->card = card;
    return message_next(&cards, MSG_card, card, &verdict);
}

static void
call_asked(struct worker *worker, struct link *from, const struct packet *packet)
{
    struct msg_api_request request;
    char key_name[MERCHANT_SIZE_MAX + 1 + KEY_SIZE_MAX];
    if (!packet_decode(from, packet, MSG_api_request, &request)) return;
    FAILPOINT(payments_after_request);

    const struct route *const route = route_named(request.route);
    handler_fn *const handler = route ? handler_of((enum route_number)route->number) : NULL;
    const bool keyed = request.key.at && route && route->method == HTTP_POST;
    if (!handler) {
        packet_refuse(worker, packet, "malformed", "route: there is none of that name here");
        return;
    }
    if (!params_valid((struct params){(const uint8_t *)request.params.at, request.params.size})) {
        packet_refuse(worker, packet, "malformed", "params: not a canonical block");
        return;
    }
    if (keyed && (!request.request_hash.at || !request.path.at)) {
        packet_refuse(worker, packet, "malformed", "request_hash, path: a key needs both");
        return;
    }
    if (keyed && key_is_in_flight(worker, packet, &request, make_key_name(key_name, &request)))
        return;

    struct job *const job = job_for_client(worker, packet, slot_of(request.merchant));
    if (!job) return;
    /* The frame goes with this turn; the job may live longer. */
    const struct text kept =
        arena_copy(job->call.arena, (struct text){(const char *)packet->body, packet->size});
    message_move(MSG_api_request, &request, packet->body, (const uint8_t *)kept.at);
    job->handler = handler;
    if (keyed)
        names_add(&worker->by_key, &job->by_key, make_key_name(job->key_name, &request), job);
    if (!fill_call(job, route, &request)) {
        job_tell_refusal(job, &refusal_failed);
        job_end(job);
    } else if (call_is_good(job)) {
        job_run(job);
    } else {
        job_end(job);
    }
}

static void
broker_said(void *state, struct link *from, const struct packet *packet)
{
    struct worker *const worker = state;
    worker_tell_time(worker);
    if (!slots_told(worker, from, packet)) {
        switch (packet->number) {
        case MSG_api_request: call_asked(worker, from, packet); break;
        case MSG_key_find: key_asked(worker, from, packet); break;
        case MSG_page_find: page_asked(worker, from, packet); break;
        case MSG_merchant_create: merchant_asked(worker, from, packet); break;
        case MSG_key_create:
        case MSG_key_list:
        case MSG_key_revoke:
        case MSG_merchant_update: account_asked(worker, from, packet); break;
        case MSG_health: health_asked(worker, from, packet); break;
        default: break; /* the loop has counted what is not for us */
        }
    }
    jobs_run_ready(worker);
    arena_reset(worker->scratch);
}

static void
ledger_packet(void *state, struct link *from, const struct packet *packet)
{
    ledger_said(state, from, packet);
    jobs_run_ready(state);
}

static void
network_packet(void *state, struct link *from, const struct packet *packet)
{
    network_said(state, from, packet);
    jobs_run_ready(state);
}

/* --- the turn -------------------------------------------------------------------------------- */

/* Who has stood still for as long as the broker waits may have lost its slots without having heard
 * of it. What it remembers may be old then. (The ledger would refuse what is decided by it; this
 * saves the detour.) */
void
worker_tell_time(struct worker *worker)
{
    const int64_t before_ms = worker->mono_ms;
    worker->mono_ms = clock_mono_ms();
    worker->wall_ms = clock_wall_ms();
    if (!before_ms || worker->mono_ms - before_ms < STALL_MS) return;
    log_event(LOG_WARNING, "worker.stalled", "ms=%lld", (long long)(worker->mono_ms - before_ms));
    store_forget_slots(worker->store, worker->slots.held);
}

/* The client's time is over. What is not at the ledger or at the network ends with it. */
static void
deadline_came(struct job *job)
{
    switch (job->step) {
    case STEP_READY:
    case STEP_LOCK:
        job_tell_refusal(job, &refusal_lock_timeout);
        job_end(job);
        return;
    case STEP_COMMIT:
    case STEP_NETWORK:
    case STEP_PAUSE: job_tell_refusal(job, &refusal_late); return;
    case STEP_FREE: return;
    }
}

static void
due_came(struct job *job)
{
    switch (job->step) {
    case STEP_LOCK:
        job_tell_refusal(job, &refusal_lock_timeout);
        job_end(job);
        return;
    case STEP_COMMIT: commit_repeat(job); return;
    case STEP_NETWORK: attempt_timed_out(job); return;
    case STEP_PAUSE: attempt_resume(job); return;
    case STEP_READY:
    case STEP_FREE: return;
    }
}

static void
look_at_times(struct worker *worker)
{
    if (worker->mono_ms < worker->tick_ms) return;
    worker->tick_ms = worker->mono_ms + TICK_MS;
    for (size_t i = 0; i < worker->job_count; i++) {
        struct job *const job = worker->jobs[i];
        if (job->step != STEP_FREE && job->client && job->deadline_ms &&
            worker->wall_ms >= job->deadline_ms - DEADLINE_MARGIN_MS)
            deadline_came(job);
        if (job->step != STEP_FREE && job->due_ms && worker->mono_ms >= job->due_ms) due_came(job);
    }
}

static void
say_how_it_is(struct worker *worker)
{
    const bool led = ledger_leading(worker) != NULL, networked = network_is_there(worker);
    const bool held = slots_held_count(worker) > 0;
    char detail[160];
    snprintf(detail, sizeof detail, "%u slots, %zu in flight%s%s%s", slots_held_count(worker),
             worker->jobs_busy, led ? "" : ", no ledger leads", networked ? "" : ", no network",
             held ? "" : ", no slots yet");
    loop_set_state(worker->loop,
                   worker->leaving            ? "draining"
                   : led && networked && held ? "serving"
                                              : "waiting",
                   detail);
}

static void
beat(struct worker *worker)
{
    const struct msg_worker_beat beat = {
        .has = HAS_worker_beat_incarnation,
        .incarnation = worker->slots.incarnation,
    };
    if (!worker->leaving)
        (void)link_send(worker->broker, (struct envelope){.slot = 0}, MSG_worker_beat, &beat);
    ledgers_beat(worker);
    network_beat(worker);
    say_how_it_is(worker);
    /* Without a leader, whoever takes over is to be found out soon. */
    const struct ledger *const ledger = ledger_leading(worker);
    const bool silent = !ledger || worker->mono_ms - ledger->heard_ms > 2 * BEAT_MS;
    worker->beat_ms = worker->mono_ms + (silent ? BEAT_MS / 5 : BEAT_MS);
}

/* Nothing stays open: an attempt that no job looks after gets one. */
static void
sweep(struct worker *worker)
{
    uint8_t slots[SLOT_BYTES];
    worker->sweep_ms = worker->mono_ms + SWEEP_MS;
    if (!slots_held_count(worker)) return;
    for (size_t i = 0; i < SLOT_BYTES; i++)
        slots[i] = (uint8_t)(worker->slots.held[i] & ~worker->slots.releasing[i]);
    if (!attempts_recover(worker, slots))
        log_event(LOG_WARNING, "sweep.failed", "reason=\"Postgres did not answer\"");
    else if (!follow_ups_begin(worker, slots))
        log_event(LOG_WARNING, "sweep.failed", "reason=\"Postgres did not answer about refunds\"");
    due_end(worker, slots);
}

static void
leave(struct worker *worker)
{
    const struct msg_worker_leaving leaving = {0};
    if (!worker->leaving) {
        worker->leaving = true;
        worker->leaving_ms = worker->mono_ms + LEAVE_MS_MAX;
        log_event(LOG_INFO, "worker.leaving", "in_flight=%zu", worker->clients);
        (void)link_send(worker->broker, (struct envelope){.slot = 0}, MSG_worker_leaving, &leaving);
    }
    if (worker->clients && worker->mono_ms < worker->leaving_ms) return;
    slots_leave(worker);
    link_flush(worker->broker);
    loop_stop(worker->loop);
}

static int64_t
turn(void *state, int64_t mono_ms)
{
    struct worker *const worker = state;
    (void)mono_ms;
    worker_tell_time(worker);
    if (worker->mono_ms >= worker->beat_ms) beat(worker);
    slots_turn(worker);
    if (worker->mono_ms >= worker->sweep_ms) sweep(worker);
    if (worker->mono_ms >= worker->holds_ms && !worker->leaving) {
        worker->holds_ms = worker->mono_ms + SWEEP_MS;
        holds_expire(worker);
    }
    look_at_times(worker);
    jobs_run_ready(worker);
    if (loop_stopping(worker->loop)) leave(worker);
    const int64_t next_ms = worker->beat_ms - worker->mono_ms;
    return worker->jobs_busy && next_ms > TICK_MS ? TICK_MS : next_ms;
}

static void
make_ready(void *state, void *owner)
{
    (void)state;
    job_make_ready(owner);
}

/* As set, else what the gateway listens at; a gateway that listens everywhere is here too. */
static void
find_public_url(struct worker *worker)
{
    const struct settings *const settings = &worker->settings;
    const bool everywhere =
        strcmp(settings->listen, "0.0.0.0") == 0 || strcmp(settings->listen, "::") == 0;
    const bool v6 = strchr(settings->listen, ':') && !everywhere;
    if (*settings->public_url)
        snprintf(worker->public_url, sizeof worker->public_url, "%s", settings->public_url);
    else
        snprintf(worker->public_url, sizeof worker->public_url, "http://%s%s%s:%lld", v6 ? "[" : "",
                 everywhere ? "localhost" : settings->listen, v6 ? "]" : "",
                 (long long)settings->port);
    const size_t size = strlen(worker->public_url);
    if (size && worker->public_url[size - 1] == '/') worker->public_url[size - 1] = '\0';
}

struct worker *
worker_new(struct loop *loop, const struct settings *settings, const char *home)
{
    struct worker *const worker = calloc(1, sizeof *worker);
    if (!worker) abort();
    worker->loop = loop;
    worker->settings = *settings;
    find_public_url(worker);
    worker->leader = -1;
    worker->scratch = arena_new(SCRATCH_BYTES);
    worker->partition =
        !loop ? 1 : partition_of_worker(node_instance(loop_node(loop)), (int)settings->partitions);
    worker->store = store_new(home, worker->partition);
    locks_init(&worker->locks, make_ready, worker);
    names_init(&worker->by_key);
    names_init(&worker->by_attempt);
    names_init(&worker->by_wait);
    if (!loop) return worker; /* in a test: nobody to talk to */
    worker_tell_time(worker);
    worker->broker = loop_connect(loop, LINK_broker_back, 1, broker_said, worker);
    worker->network = loop_connect(loop, LINK_network_requests, 1, network_packet, worker);
    for (int i = 0; i < LEDGERS_PER_PARTITION; i++)
        worker->ledgers[i].link =
            loop_connect(loop, LINK_ledger_commands, partition_ledger(worker->partition, i),
                         ledger_packet, worker);
    loop_set_state(loop, "starting", "");
    loop_on_turn(loop, turn, worker);
    slots_begin(worker);
    return worker;
}

void
worker_destroy(struct worker **worker_p)
{
    struct worker *const worker = *worker_p;
    if (!worker) return;
    for (size_t i = 0; i < worker->job_count; i++)
        if (worker->jobs[i]->step != STEP_FREE) {
            worker->jobs[i]->client = false; /* whoever still waits asks again */
            job_end(worker->jobs[i]);
        }
    for (size_t i = 0; i < worker->job_count; i++) {
        arena_destroy(&worker->jobs[i]->call.arena);
        free(worker->jobs[i]);
    }
    locks_end(&worker->locks);
    names_end(&worker->by_key);
    names_end(&worker->by_attempt);
    names_end(&worker->by_wait);
    store_destroy(&worker->store);
    arena_destroy(&worker->scratch);
    free(worker);
    *worker_p = NULL;
}

int64_t
worker_hold_s(const struct worker *worker)
{
    return worker->settings.hold_s;
}

int64_t
worker_customer_methods_max(const struct worker *worker)
{
    return worker->settings.customer_payment_methods_max;
}

int64_t
worker_settlement_delay_s(const struct worker *worker)
{
    return worker->settings.settlement_delay_s;
}

const char *
worker_public_url(const struct worker *worker)
{
    return worker->public_url;
}

int64_t
worker_challenge_expiry_s(const struct worker *worker)
{
    return worker->settings.challenge_expiry_s;
}

int64_t
worker_checkout_expires_s_min(const struct worker *worker)
{
    return worker->settings.checkout_expires_s_min;
}
