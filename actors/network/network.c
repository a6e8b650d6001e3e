#include "network.h"

#include "book.h"
#include "clock.h"
#include "failpoint.h"
#include "faults.h"
#include "issuer.h"
#include "later.h"
#include "log.h"
#include "message.h"
#include "mutant.h"
#include "operations.h"
#include "pending.h"
#include "random.h"
#include "settings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define VAULT_PATIENCE_MS 2000
#define VAULT_AGAIN_MS 25
#ifndef HELD_MAX /* the simulator makes it small */
#define HELD_MAX 4096
#endif
#ifndef LATER_MAX /* the simulator makes it small */
#define LATER_MAX 65536
#endif
#define REQUEST_BYTES_MAX 1024 /* every field at its widest; more is nonsense */

/* An answer that waits for the turn's commit. */
struct held {
    struct waiter to;
    enum network_outcome outcome;
    struct network_record record;
};

/* A request that is still on its way (fault delay_ms). */
struct delayed {
    struct waiter from;
    size_t size;
    uint8_t body[REQUEST_BYTES_MAX];
};

struct network {
    struct loop *loop;
    struct link *requests, *vault;
    struct settings settings;
    struct book *book;
    struct pendings *pendings;

    struct faults_file faults_file;
    struct faults faults;
    bool faults_are_fresh; /* looked at in this turn */
    struct later *on_the_way_here, *on_the_way_back;

    struct held held[HELD_MAX];
    size_t held_count;
};

/* --- answering
 * ------------------------------------------------------------------------------------ */

static void
send_answer(struct network *network, const struct held *held)
{
    const struct network_record *record = &held->record;
    struct msg_network_answer answer = {
        .has = HAS_network_answer_reference | HAS_network_answer_operation |
               HAS_network_answer_outcome,
        .reference = text_of(record->reference),
        .operation = held->to.operation,
        .outcome = held->outcome,
        .amount = record->amount,
        .bypass_pending = (uint64_t)record->bypass_pending,
        .authentication = (uint64_t)record->authentication,
    };
#define TELL(member, words)                        \
    if (*(words)) {                                \
        answer.member = text_of(words);            \
        answer.has |= HAS_network_answer_##member; \
    }
    TELL(code, record->code)
    TELL(network_id, record->network_id)
    TELL(authorization_code, record->authorization_code)
    TELL(cvc_check, record->cvc_check)
    TELL(postal_check, record->postal_check)
    TELL(line1_check, record->line1_check)
    TELL(currency, record->currency)
    TELL(authentication_id, record->authentication_id)
#undef TELL
    const struct refund_now refund = operation_refund(record, clock_wall_ms());
    if (refund.state) {
        answer.has |= HAS_network_answer_refund_state;
        answer.refund_state = text_of(refund.state);
    }
    if (refund.failure) {
        answer.has |= HAS_network_answer_refund_failure;
        answer.refund_failure = text_of(refund.failure);
    }
    if (refund.ask_again_s) {
        answer.has |= HAS_network_answer_ask_again_s;
        answer.ask_again_s = (uint64_t)refund.ask_again_s;
    }
    if (record->risk) {
        answer.has |= HAS_network_answer_risk;
        answer.risk = (uint64_t)record->risk;
    }
    if (record->state != NETWORK_STATE_NONE)
        answer.has |= HAS_network_answer_amount | HAS_network_answer_bypass_pending |
                      HAS_network_answer_authentication;
    const struct envelope envelope = {
        .to = &held->to.peer, .slot = held->to.slot, .correlation = held->to.correlation};
    (void)link_send(network->requests, envelope, MSG_network_answer, &answer);
}

static void
refuse(struct network *network, const struct waiter *to, const char *code, const char *reason)
{
    const struct msg_refused refused = {.has = HAS_refused_code | HAS_refused_reason,
                                        .code = text_of(code),
                                        .reason = text_of(reason)};
    const struct envelope envelope = {
        .to = &to->peer, .slot = to->slot, .correlation = to->correlation};
    (void)link_send(network->requests, envelope, MSG_refused, &refused);
}

/* Half of what is lost is lost on the way here, half on the way back. */
static bool
is_lost(const struct network *network)
{
    return network->faults.fault_lose_percent > 0 &&
           random_below(200) < (uint64_t)network->faults.fault_lose_percent;
}

/* What the turn wrote is made durable; then, and not before, what it was asked is answered. */
static void
settle(struct network *network, int64_t mono_ms)
{
    const struct faults *faults = &network->faults;
    const bool any = network->held_count > 0;
    if (any) FAILPOINT(network_before_commit);
    if (!FLORIN_MUTANT(network_answers_first)) book_commit(network->book);
    if (any) FAILPOINT(network_after_commit);
    for (size_t i = 0; i < network->held_count; i++) {
        const struct held *held = &network->held[i];
        if (faults->fault_silent || is_lost(network)) continue;
        for (int64_t times = 0; times <= faults->fault_double; times++)
            if (faults->fault_late_ms == 0 ||
                !later_put(network->on_the_way_back, mono_ms + faults->fault_late_ms, held,
                           sizeof *held))
                send_answer(network, held);
    }
    network->held_count = 0;
    if (FLORIN_MUTANT(network_answers_first)) {
        link_flush(network->requests);
        book_commit(network->book);
    }
    if (any) FAILPOINT_AFTER(network->requests, network_after_answer);
}

static void
hold_answer(struct network *network, const struct waiter *to, enum network_outcome outcome,
            const struct network_record *record, struct text reference)
{
    if (network->held_count == HELD_MAX) settle(network, clock_mono_ms());
    struct held *held = &network->held[network->held_count++];
    *held = (struct held){*to, outcome, *record};
    /* What is not found is answered under the name that was asked for. */
    if (record->state == NETWORK_STATE_NONE)
        memcpy(held->record.reference, reference.at, reference.size);
}

/* --- doing
 * ---------------------------------------------------------------------------------------- */

static enum network_outcome
operate(struct network *network, const struct msg_network_request *request,
        const struct issuer_answer *issuer, struct network_record *record)
{
    static const char letters[32] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    char network_id[ID_SIZE_MAX + 1], authorization_code[7] = "";
    uint8_t chance[6];
    random_bytes(chance, sizeof chance);
    for (size_t i = 0; i < sizeof chance; i++)
        authorization_code[i] = letters[chance[i] % 32];
    (void)id_new(network_id, "ntx_");
    char authentication_id[ID_SIZE_MAX + 1];
    (void)id_new(authentication_id, "dst_");
    const struct operation_names names = {network_id, authorization_code, authentication_id,
                                          clock_wall_ms(), network->settings.network_refund_ms};
    return operation_do(network->book, request, issuer, &names, record);
}

/* The authorization as it came, without what only the issuer needed. */
static struct msg_network_request
request_of(const struct pending *pending)
{
    const bool asks_money = pending->operation == NETWORK_AUTHORIZE;
    return (struct msg_network_request){
        .has = HAS_network_request_reference | HAS_network_request_operation |
               HAS_network_request_token | HAS_network_request_merchant |
               HAS_network_request_capture |
               (asks_money ? HAS_network_request_amount | HAS_network_request_currency : 0u) |
               (*pending->original ? HAS_network_request_original : 0u),
        .reference = text_of(pending->reference),
        .operation = pending->operation,
        .original = text_of(pending->original),
        .amount = pending->amount,
        .currency = text_of(pending->currency),
        .token = text_of(pending->token),
        .merchant = text_of(pending->merchant),
        .capture = pending->capture,
    };
}

/* Tells all who wait. An inquiry is told what an inquiry tomorrow will be told. */
static void
end_pending(struct network *network, struct pending *pending, enum network_outcome outcome,
            const struct network_record *record)
{
    for (int i = 0; i < pending->waiter_count; i++) {
        const struct waiter *waiter = &pending->waiters[i];
        const bool inquires = waiter->operation == NETWORK_INQUIRE;
        hold_answer(network, waiter, inquires ? operation_outcome(record) : outcome, record,
                    text_of(pending->reference));
    }
    pendings_remove(network->pendings, pending);
}

/* There is no card to be asked about, so nothing was ever sent. A tombstone makes it true for good:
 * the same authorization, late or twice, finds it. */
static void
end_never_sent(struct network *network, struct pending *pending, const char *reason)
{
    struct network_record record;
    struct msg_network_request bury = request_of(pending);
    bury.operation = NETWORK_REVERSE;
    log_event(LOG_WARNING, "authorization.never_sent", "reference=%s reason=%s", pending->reference,
              reason);
    const enum network_outcome outcome = operate(network, &bury, NULL, &record);
    assert(outcome == OUTCOME_REVERSED);
    (void)outcome;
    end_pending(network, pending, OUTCOME_NEVER_SENT, &record);
}

/* --- asking the vault
 * ------------------------------------------------------------------------------ */

static void
ask_vault(struct network *network, struct pending *pending, int64_t mono_ms)
{
    struct msg_card_reveal ask = {
        .has = HAS_card_reveal_token | HAS_card_reveal_merchant | HAS_card_reveal_reference,
        .token = text_of(pending->token),
        .merchant = text_of(pending->merchant),
        .reference = text_of(pending->reference),
        .cvc = text_of(pending->cvc),
    };
    if (ask.cvc.size > 0) ask.has |= HAS_card_reveal_cvc;
    const struct envelope envelope = {.correlation = pending->correlation};
    pending->sent = link_send(network->vault, envelope, MSG_card_reveal, &ask);
    pending->send_ms = mono_ms + VAULT_AGAIN_MS;
}

/* The payer was challenged for the reference that is named, and whoever asks again says that they
 * passed. (At a real issuer that is what the cryptogram of the challenge proves.) */
static bool
challenge_was_passed(struct network *network, const struct pending *pending)
{
    struct network_record challenged;
    return *pending->original &&
           book_find(network->book, text_of(pending->original), &challenged) &&
           challenged.state == NETWORK_STATE_CHALLENGED &&
           strcmp(challenged.merchant, pending->merchant) == 0 &&
           challenged.amount == pending->amount &&
           strcmp(challenged.currency, pending->currency) == 0;
}

static void
decide(struct network *network, struct pending *pending, const struct msg_card_revealed *revealed)
{
    const struct issuer_question question = {
        .number = revealed->number,
        .month = (int64_t)revealed->exp_month,
        .year = (int64_t)revealed->exp_year,
        .now = card_month_of(clock_wall_ms()),
        .code_given = revealed->has & HAS_card_revealed_cvc,
        .postal_given = pending->postal_given,
        .line1_given = pending->line1_given,
        .verifies = pending->operation == NETWORK_VERIFY,
        .absent = pending->absent,
        .set_up = pending->set_up,
        .passed = challenge_was_passed(network, pending),
        .blocks_highest = network->settings.block_highest_risk == 1,
        .three_d_secure = pending->three_d_secure,
    };
    const struct issuer_answer issuer = issuer_decide(&question);
    const struct msg_network_request request = request_of(pending);
    struct network_record record;
    const enum network_outcome outcome = operate(network, &request, &issuer, &record);
    end_pending(network, pending, outcome, &record);
}

static void
on_card_revealed(struct network *network, struct link *from, const struct packet *packet)
{
    struct msg_card_revealed revealed;
    struct pending *pending = pendings_asked(network->pendings, packet->correlation);
    if (pending && packet_decode(from, packet, MSG_card_revealed, &revealed)) {
        const bool whole = revealed.known == 1 && revealed.has & HAS_card_revealed_number &&
                           revealed.has & HAS_card_revealed_exp_month &&
                           revealed.has & HAS_card_revealed_exp_year;
        if (whole)
            decide(network, pending, &revealed);
        else
            end_never_sent(network, pending, "unknown_token");
    }
    /* The frame is ours and nobody reads it after us: the number goes now, not when libzmq uses the
     * memory for something else. */
    explicit_bzero((void *)(uintptr_t)packet->body, packet->size);
}

static void
on_vault_packet(void *state, struct link *from, const struct packet *packet)
{
    struct network *network = state;
    if (packet->number == MSG_card_revealed) {
        on_card_revealed(network, from, packet);
    } else if (packet->number == MSG_refused) {
        /* Busy, or without its database: asked again until patience ends. */
        struct pending *pending = pendings_asked(network->pendings, packet->correlation);
        if (pending) pending->sent = false;
    } else {
        log_event(LOG_WARNING, "packet.unexpected", "message=%u link=vault_reveal", packet->number);
    }
}

/* --- requests
 * -------------------------------------------------------------------------------------- */

static void
copy(char *out, size_t cap, struct text text)
{
    assert(text.size < cap); /* messages.def bounds it */
    if (text.size > 0) memcpy(out, text.at, text.size);
    out[text.size] = '\0';
}

static void
begin_authorization(struct network *network, const struct msg_network_request *request,
                    const struct waiter *from)
{
    const int64_t mono_ms = clock_mono_ms();
    struct pending *pending = pendings_add(network->pendings, request->reference);
    if (!pending) {
        refuse(network, from, "busy", "too many authorizations are pending");
        return;
    }
    copy(pending->merchant, sizeof pending->merchant, request->merchant);
    copy(pending->token, sizeof pending->token, request->token);
    copy(pending->currency, sizeof pending->currency, request->currency);
    copy(pending->original, sizeof pending->original, request->original);
    pending->operation = request->operation;
    pending->absent = request->has & HAS_network_request_absent && request->absent;
    pending->set_up = request->has & HAS_network_request_set_up && request->set_up;
    if (request->has & HAS_network_request_three_d_secure)
        pending->three_d_secure = (int)request->three_d_secure;
    if (request->has & HAS_network_request_cvc)
        copy(pending->cvc, sizeof pending->cvc, request->cvc);
    pending->amount = request->amount;
    pending->capture = request->has & HAS_network_request_capture && request->capture == 1;
    pending->postal_given =
        request->has & HAS_network_request_postal_code && request->postal_code.size > 0;
    pending->line1_given = request->has & HAS_network_request_line1 && request->line1.size > 0;
    pending->end_ms = mono_ms + VAULT_PATIENCE_MS;
    if (!pending_wait(pending, from)) assert(!"the first waiter has a place");
    ask_vault(network, pending, mono_ms);
}

/* True when the request may join what is pending under its reference. */
static bool
may_join(const struct pending *pending, const struct msg_network_request *request)
{
    return request->operation == NETWORK_INQUIRE ||
           (request->operation == pending->operation && request->amount == pending->amount &&
            text_equal(request->currency.at ? request->currency : TEXT(""),
                       text_of(pending->currency)));
}

static void
take_request(struct network *network, const struct msg_network_request *request,
             const struct waiter *from)
{
    const char *missing = operation_misses(request);
    if (missing) {
        refuse(network, from, "malformed", missing);
        return;
    }
    struct network_record record;
    struct pending *pending = pendings_find(network->pendings, request->reference);
    const bool is_known =
        book_find(network->book, request->reference, &record) &&
        !(FLORIN_MUTANT(reference_counts_again) && request->operation == NETWORK_REFUND);
    if ((is_known && !operation_is_same(&record, request)) ||
        (pending && !text_is(request->merchant, pending->merchant))) {
        refuse(network, from, "malformed", "the reference was used for something else");
        return;
    }
    if (pending && !is_known && request->operation != NETWORK_REVERSE) {
        if (!may_join(pending, request))
            refuse(network, from, "malformed", "the reference is in use for something else");
        else if (!pending_wait(pending, from))
            refuse(network, from, "busy", "too many wait for this reference");
        return;
    }
    const bool names_card =
        request->operation == NETWORK_AUTHORIZE || request->operation == NETWORK_VERIFY;
    if (names_card && !is_known) {
        begin_authorization(network, request, from);
        return;
    }
    /* A reversal does not wait for what is pending: its tombstone is there when that ends. */
    const enum network_outcome outcome = operate(network, request, NULL, &record);
    if (request->operation == NETWORK_REVERSE && outcome != OUTCOME_REVERSED)
        log_event(LOG_ERROR, "reversal.impossible", "reference=%s state=%s", record.reference,
                  network_state_name(record.state));
    hold_answer(network, from, outcome, &record, request->reference);
}

static void
on_request_packet(void *state, struct link *from, const struct packet *packet)
{
    struct network *network = state;
    struct msg_network_request request;
    struct waiter waiter = {packet->peer, packet->slot, packet->correlation, 0};
    if (packet->number != MSG_network_request) {
        log_event(LOG_WARNING, "packet.unexpected", "message=%u link=requests", packet->number);
        return;
    }
    if (!packet_decode(from, packet, MSG_network_request, &request)) return;
    if (packet->size > REQUEST_BYTES_MAX) {
        refuse(network, &waiter, "malformed", "the request is too long");
        return;
    }
    if (!network->faults_are_fresh) faults_refresh(&network->faults_file, &network->faults);
    network->faults_are_fresh = true;
    waiter.operation = request.operation;
    if (is_lost(network)) return;

    const int64_t delay_ms = network->faults.fault_delay_ms > network->settings.network_delay_ms
                                 ? network->faults.fault_delay_ms
                                 : network->settings.network_delay_ms;
    if (delay_ms == 0) {
        take_request(network, &request, &waiter);
        return;
    }
    struct delayed delayed = {.from = waiter, .size = packet->size};
    memcpy(delayed.body, packet->body, packet->size);
    if (!later_put(network->on_the_way_here, clock_mono_ms() + delay_ms, &delayed,
                   offsetof(struct delayed, body) + delayed.size))
        refuse(network, &waiter, "busy", "too many requests are on their way");
}

/* --- the turn
 * -------------------------------------------------------------------------------------- */

/* It was looked at when it came, so it decodes. */
static void
take_delayed(struct network *network, const struct delayed *delayed)
{
    struct msg_network_request request;
    const char *culprit;
    const enum message_verdict verdict =
        message_decode(MSG_network_request, delayed->body, delayed->size, &request, &culprit);
    assert(verdict == MESSAGE_OK);
    (void)verdict;
    take_request(network, &request, &delayed->from);
}

static void
take_what_has_arrived(struct network *network, int64_t mono_ms)
{
    for (struct delayed *d; (d = later_take(network->on_the_way_here, mono_ms)); free(d))
        take_delayed(network, d);
    for (struct held *h; (h = later_take(network->on_the_way_back, mono_ms)); free(h))
        send_answer(network, h);
}

/* Asks again what could not be asked, gives up what was asked too long ago. Returns when the next
 * of them is due. */
static int64_t
look_after_pending(struct network *network, int64_t mono_ms)
{
    int64_t wait_ms = 1000;
    struct pending *next;
    for (struct pending *p = pendings_oldest(network->pendings); p; p = next) {
        next = pendings_newer(network->pendings, p);
        if (p->end_ms <= mono_ms) {
            end_never_sent(network, p, "vault_out_of_reach");
            continue;
        }
        if (!p->sent && p->send_ms <= mono_ms) ask_vault(network, p, mono_ms);
        const int64_t due_ms = p->sent ? p->end_ms : p->send_ms;
        if (due_ms - mono_ms < wait_ms) wait_ms = due_ms - mono_ms;
    }
    return wait_ms > 0 ? wait_ms : 1;
}

static int64_t
on_turn(void *state, int64_t mono_ms)
{
    struct network *network = state;
    take_what_has_arrived(network, mono_ms);
    int64_t wait_ms = look_after_pending(network, mono_ms);
    settle(network, mono_ms);
    network->faults_are_fresh = false;
    wait_ms = later_wait_ms(network->on_the_way_here, mono_ms, wait_ms);
    wait_ms = later_wait_ms(network->on_the_way_back, mono_ms, wait_ms);
    if (!loop_stopping(network->loop))
        loop_set_state(network->loop, "serving", "");
    else if (pendings_count(network->pendings) == 0)
        loop_stop(network->loop);
    return wait_ms;
}

struct network *
network_new(struct loop *loop)
{
    const char *home = node_home(loop_node(loop));
    struct network *network = calloc(1, sizeof *network);
    if (!network) die("There is no memory for the network.");
    network->loop = loop;
    settings_load(home, &network->settings);
    network->book = book_open(home);
    network->pendings = pendings_new();
    network->on_the_way_here = later_new(LATER_MAX);
    network->on_the_way_back = later_new(LATER_MAX);
    faults_file_init(&network->faults_file, home);
    network->vault = loop_connect(loop, LINK_vault_reveal, 1, on_vault_packet, network);
    network->requests = loop_bind(loop, LINK_network_requests, on_request_packet, network);
    loop_on_turn(loop, on_turn, network);
    return network;
}

void
network_destroy(struct network **network_p)
{
    struct network *network = *network_p;
    *network_p = NULL;
    if (!network) return;
    later_destroy(&network->on_the_way_here);
    later_destroy(&network->on_the_way_back);
    pendings_destroy(&network->pendings);
    book_close(&network->book);
    free(network);
}
