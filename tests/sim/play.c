#include "play.h"

#include "attempt.h"
#include "clock.h"
#include "database.h"
#include "event_body.h"
#include "form.h"
#include "id.h"
#include "journal_kept.h"
#include "json_reader.h"
#include "message.h"
#include "network.h"
#include "poster.h"
#include "postgres.h"
#include "recorder.h"
#include "sim_loop.h"
#include "world.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MERCHANTS 2
#define TICK_US 100000
#define PATIENCE_US_MAX (60 * SECOND_US) /* after things have stopped going wrong */
#define RUNS_QUIET_MAX 3
#define RELEASE_US_MAX (2 * SECOND_US) /* as the broker waits for slots_released */

struct play_counts play_counts;
struct wish *play_wishes;

struct merchant {
    struct text id, endpoint;
    uint16_t slot;
    int planned, owner; /* worker, by index in `workers`; -1: none */
    int64_t free_us;    /* who was asked to give it back may take so long */
};

static struct {
    struct merchant merchants[MERCHANTS];
    struct process *workers[WORKER_COUNT];
    int worker_count;        /* that are there in this run */
    bool dead[WORKER_COUNT]; /* taken for dead by the broker, until they say that they are ready */
    struct wish *by_ticket[8192];
    uint64_t ticket_first, tickets;
    uint32_t keys;
    int stories_open;
    int quiet;
    bool over;
    struct post *taken;
} play;

static void
broker_assign(int worker)
{
    uint8_t slots[SLOT_BYTES] = {0};
    if (play.dead[worker]) return;
    for (int m = 0; m < MERCHANTS; m++)
        if (play.merchants[m].planned == worker && world.now_us >= play.merchants[m].free_us)
            slot_add(slots, play.merchants[m].slot);
    const struct msg_slots_assign assign = {HAS_slots_assign_slots,
                                            {(const char *)slots, SLOT_BYTES}};
    post(play.workers[worker], LINK_broker_back, &(struct envelope){.slot = 0}, MSG_slots_assign,
         &assign, false);
}

/* --- cards: what is paid with, most of them pay ------------------------------------------------
 */

static const struct card {
    const char *name, *number;
} cards[] = {
    {"visa", "4242424242424242"},
    {"visa_chargeDeclined", "4000000000000002"},
    {"pendingRefund", "4000000000007726"},
    {"refundFail", "4000000000005126"},
    {"bypassPending", "4000000000000077"},
    {"authenticationRequiredOnSetup", "4000002500003155"},
    {"authenticationRequiredChargeDeclinedInsufficientFunds", "4000008260003178"},
};
enum { CARD_PLAIN, CARD_ASKS = 5, CARD_COUNT = sizeof cards / sizeof cards[0] };

static const char *
some_card(void)
{
    return cards[one_in(3) ? chance_below(CARD_COUNT) : CARD_PLAIN].name;
}

/* The card that is named in a form, pm_card_visa or tok_visa; NULL: none. */
static const struct card *
card_in(struct text form)
{
    const char *at = strstr(form.at, "pm_card_");
    if (at) at += strlen("pm_card_");
    if (!at && (at = strstr(form.at, "=tok_"))) at += strlen("=tok_");
    const size_t size = at ? strcspn(at, "&") : 0;
    for (size_t i = 0; at && i < CARD_COUNT; i++)
        if (strlen(cards[i].name) == size && memcmp(cards[i].name, at, size) == 0) return &cards[i];
    return NULL;
}

/* --- the broker, played: it may be wrong about everything ------------------------------------- */

static void client_answered(struct wish *wish, const struct msg_api_answer *answer);
static void client_refused(struct wish *wish, struct text code);

static struct wish *
wish_of(uint64_t ticket)
{
    const uint64_t at = ticket - play.ticket_first;
    return ticket >= play.ticket_first && at < play.tickets ? play.by_ticket[at] : NULL;
}

static void
request_arrives(void *about, uint64_t ticket)
{
    struct wish *wish = about;
    struct merchant *m = NULL;
    for (int i = 0; i < MERCHANTS; i++)
        if (text_equal(play.merchants[i].id, wish->merchant)) m = &play.merchants[i];
    int worker = m->owner;
    if (strikes(10)) worker = (int)chance_below((uint64_t)play.worker_count);
    if (worker < 0 || !play.workers[worker]->up) {
        if (wish->ticket == ticket) client_refused(wish, TEXT("unroutable"));
        return;
    }
    static uint8_t block[8192];
    struct params params;
    char culprit[129];
    if (form_parse(wish->form.at, wish->form.size, block, sizeof block, &params, culprit) !=
        FORM_OK)
        abort();
    struct msg_api_request request = {
        .has = HAS_api_request_merchant | HAS_api_request_request | HAS_api_request_route |
               HAS_api_request_params | HAS_api_request_publishable | HAS_api_request_livemode |
               HAS_api_request_api_version,
        .merchant = wish->merchant,
        .request = keep_format("req_%020llu", (unsigned long long)ticket),
        .route = wish->route,
        .object = wish->object,
        .params = {(const char *)params.at, params.size},
        .api_version = TEXT("2026-10-28.endive"),
        .key = wish->key,
        .request_hash = {(const char *)wish->request_hash, 32},
        .path = text_of(wish->path),
    };
    uint8_t packed[512];
    const struct card *const named = card_in(wish->form);
    if (wish->object.at) request.has |= HAS_api_request_object;
    if (wish->key.at)
        request.has |= HAS_api_request_key | HAS_api_request_request_hash | HAS_api_request_path;
    if (named) {
        const struct msg_card card = {
            .has = HAS_card_token | HAS_card_fingerprint | HAS_card_brand | HAS_card_last4 |
                   HAS_card_exp_month | HAS_card_exp_year | HAS_card_funding | HAS_card_country,
            .token = keep_format("card_%s", named->number),
            .fingerprint = TEXT("Xt5EWLLDS7FJjR1c"),
            .brand = TEXT("visa"),
            .last4 = {named->number + 12, 4},
            .exp_month = 8,
            .exp_year = 2030,
            .funding = TEXT("credit"),
            .country = TEXT("US"),
        };
        const bool fits = message_list_add(&request.cards, MSG_card, &card, packed, sizeof packed);
        assert(fits);
        request.has |= HAS_api_request_cards;
    }
    const struct envelope envelope = {
        .slot = m->slot, .correlation = ticket, .deadline_ms = clock_wall_ms() + 1200};
    post(play.workers[worker], LINK_broker_back, &envelope, MSG_api_request, &request,
         !wish->key.at);
}

static void
broker_hears_held(int worker, const struct packet *packet)
{
    struct msg_slots_held held;
    const char *culprit;
    if (play.dead[worker]) return;
    if (message_decode(MSG_slots_held, packet->body, packet->size, &held, &culprit) != MESSAGE_OK)
        violation("a malformed slots_held");
    for (int i = 0; i < MERCHANTS; i++) {
        struct merchant *m = &play.merchants[i];
        if (slot_in((const uint8_t *)held.slots.at, m->slot) && m->planned == worker)
            m->owner = worker;
    }
}

static void
broker_hears_released(int worker, const struct packet *packet)
{
    struct msg_slots_released released;
    const char *culprit;
    if (message_decode(MSG_slots_released, packet->body, packet->size, &released, &culprit) !=
        MESSAGE_OK)
        violation("a malformed slots_released");
    for (int i = 0; i < MERCHANTS; i++) {
        struct merchant *m = &play.merchants[i];
        if (!slot_in((const uint8_t *)released.slots.at, m->slot)) continue;
        if (m->owner == worker) m->owner = -1;
        if (m->planned == worker || m->free_us <= world.now_us) continue;
        m->free_us = 0;
        broker_assign(m->planned);
    }
}

/* Whoever says so does not hold the slot, whatever it said before. */
static void
broker_hears_unroutable(int worker, const struct wish *wish)
{
    for (int i = 0; i < MERCHANTS; i++)
        if (text_equal(play.merchants[i].id, wish->merchant) && play.merchants[i].owner == worker)
            play.merchants[i].owner = -1;
}

static int
worker_index(const struct process *p)
{
    for (int i = 0; i < WORKER_COUNT; i++)
        if (play.workers[i] == p) return i;
    return -1;
}

void
broker_told(struct process *from, const struct packet *packet)
{
    const int worker = worker_index(from);
    struct wish *const wish = wish_of(packet->correlation);
    struct msg_api_answer answer;
    struct msg_refused refused;
    const char *culprit;
    switch (packet->number) {
    case MSG_worker_beat:
        if (play.dead[worker])
            post(from, LINK_broker_back, &(struct envelope){.slot = 0}, MSG_worker_unknown,
                 &(const struct msg_worker_unknown){0}, false);
        return;
    case MSG_worker_ready:
    case MSG_worker_leaving:
        if (packet->number == MSG_worker_ready) play.dead[worker] = false;
        for (int i = 0; i < MERCHANTS; i++)
            if (play.merchants[i].owner == worker) play.merchants[i].owner = -1;
        if (packet->number == MSG_worker_ready) broker_assign(worker);
        return;
    case MSG_slots_held: broker_hears_held(worker, packet); return;
    case MSG_slots_released: broker_hears_released(worker, packet); return;
    case MSG_api_answer:
        if (message_decode(MSG_api_answer, packet->body, packet->size, &answer, &culprit) !=
            MESSAGE_OK)
            violation("a malformed answer: %s", culprit);
        else if (wish)
            client_answered(wish, &answer);
        return;
    case MSG_refused:
        if (message_decode(MSG_refused, packet->body, packet->size, &refused, &culprit) ==
                MESSAGE_OK &&
            wish) {
            if (text_is(refused.code, "unroutable")) broker_hears_unroutable(worker, wish);
            if (wish->ticket == packet->correlation) client_refused(wish, refused.code);
        }
        return;
    default: return;
    }
}

static void
move_slot(struct merchant *m, int worker)
{
    const int before = m->planned;
    if (worker == before || m->free_us > world.now_us) return;
    m->planned = worker;
    say_trace("broker: the slot of %s goes from payments-%d to payments-%d", m->id.at, before + 1,
              worker + 1);
    /* Told to give it back, told that it is gone, or taken for dead. */
    switch (chance_below(3)) {
    case 0: {
        uint8_t slots[SLOT_BYTES] = {0};
        slot_add(slots, m->slot);
        const struct msg_slots_release release = {HAS_slots_release_slots,
                                                  {(const char *)slots, SLOT_BYTES}};
        if (before >= 0 && play.workers[before]->up) m->free_us = world.now_us + RELEASE_US_MAX;
        if (before >= 0)
            post(play.workers[before], LINK_broker_back, &(struct envelope){.slot = 0},
                 MSG_slots_release, &release, false);
        break;
    }
    case 1:
        if (before >= 0) broker_assign(before);
        break;
    default:
        if (before >= 0) play.dead[before] = true;
        break;
    }
    broker_assign(worker);
}

/* There and back: what the first owner remembers is old. */
static void
move_back(void *about, uint64_t worker)
{
    if (world.faulty) move_slot(about, (int)worker);
}

static void
broker_tick(void)
{
    for (int i = 0; i < MERCHANTS; i++) {
        struct merchant *m = &play.merchants[i];
        const struct process *w = play.workers[m->planned];
        if (!w->up || (world.now_us < w->paused_until_us && one_in(8))) {
            const int other = (int)chance_below((uint64_t)play.worker_count);
            if (play.workers[other]->up && one_in(3)) move_slot(m, other);
        }
        if (m->owner >= 0 && !play.workers[m->owner]->up) m->owner = -1;
        /* Also to whoever has it: it may have heard something old, late, that took it away. */
        if (one_in(m->owner != m->planned ? 4 : 12)) broker_assign(m->planned);
    }
}

/* --- the vault, played: a token bears its number ---------------------------------------------- */

void
vault_told(struct process *from, const struct packet *packet)
{
    struct msg_card_reveal ask;
    const char *culprit;
    if (packet->number != MSG_card_reveal) return;
    if (message_decode(MSG_card_reveal, packet->body, packet->size, &ask, &culprit) != MESSAGE_OK) {
        violation("a malformed card_reveal");
        return;
    }
    const struct envelope envelope = {.correlation = packet->correlation};
    if (strikes(30)) {
        const struct msg_refused busy = {HAS_refused_code | HAS_refused_reason, TEXT("busy"),
                                         TEXT("too much at once")};
        post(from, LINK_vault_reveal, &envelope, MSG_refused, &busy, false);
        return;
    }
    const struct msg_card_revealed revealed = {
        .has = HAS_card_revealed_known | HAS_card_revealed_number | HAS_card_revealed_exp_month |
               HAS_card_revealed_exp_year,
        .known = 1,
        .number = {ask.token.at + 5, 16},
        .exp_month = 8,
        .exp_year = 2030,
    };
    post(from, LINK_vault_reveal, &envelope, MSG_card_revealed, &revealed, false);
}

/* --- clients ---------------------------------------------------------------------------------- */

enum plot {
    PLOT_AUTOMATIC,
    PLOT_MANUAL,
    PLOT_TWO_STEPS,
    PLOT_CHALLENGE,
    PLOT_SET_UP,
    PLOT_CHARGE,
    PLOT_NOTES,
    PLOT_PARTS,
    PLOT_CHECKOUT,
    PLOT_COUNT
};

struct story {
    enum plot plot;
    struct merchant *merchant;
    int64_t amount;
    bool manual;
    int open;  /* wishes that are not over */
    int parts; /* increments and captures in part that are still to be asked for */
    struct text intent, charge, refund, session;
};

static void wish_send(void *about, uint64_t sending);

/* Anything that tells two requests apart. */
static void
hash_request(struct wish *w)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    const struct text parts[] = {w->route, w->object, w->form};
    for (size_t p = 0; p < 3; p++)
        for (size_t i = 0; i < parts[p].size; i++)
            hash = (hash ^ (uint8_t)parts[p].at[i]) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < 4; i++)
        memcpy(w->request_hash + 8 * i, &hash, 8);
}

static struct wish *
want(struct story *story, const char *route, struct text object, struct text form,
     void (*then)(struct wish *wish))
{
    struct wish *w = take(sizeof *w);
    w->merchant = story->merchant->id;
    w->route = text_of(route);
    w->object = object;
    w->form = form;
    w->story = story;
    w->then = then;
    const bool page =
        strcmp(route, "challenge_complete") == 0 || strcmp(route, "payment_page_confirm") == 0;
    const bool keyed = !page && !one_in(story->plot == PLOT_NOTES ? 2 : 12);
    if (keyed) w->key = keep_format("key-%u", ++play.keys);
    hash_request(w);
    snprintf(w->path, sizeof w->path, "POST /%s/%.*s", route, (int)object.size,
             object.at ? object.at : "");
    /* A page may be sent again, its answer counts once; what has no key is sent once. */
    w->sendings_max = !keyed && !page ? 1 : one_in(5) ? 1 + (int)chance_below(2) : 1000;
    w->next = play_wishes;
    play_wishes = w;
    story->open++;
    world_at(chance_between(0, 3000), wish_send, w, 0);
    if (keyed && one_in(12)) world_at(chance_between(0, 3000), wish_send, w, UINT64_MAX);
    return w;
}

static void
story_end(struct story *story)
{
    if (!story->open) play.stories_open--;
}

static void
wish_over(struct wish *w, bool definite)
{
    w->over = true;
    w->waits = false;
    w->gave_up = !definite;
    say_trace("client: %.*s %s", (int)(w->key.at ? w->key.size : 2), w->key.at ? w->key.at : "no",
              definite ? "is done" : "gives up");
    if (definite && w->then) w->then(w);
    w->story->open--;
    story_end(w->story);
}

static void
lose_patience(void *about, uint64_t ticket)
{
    struct wish *w = about;
    if (w->over || w->ticket != ticket) return;
    w->waits = false;
    if (w->sendings >= w->sendings_max)
        wish_over(w, false);
    else
        world_at(chance_between(1000, 400000), wish_send, w, (uint64_t)w->sendings);
}

/* `sending` UINT64_MAX: once more at the same time, and nobody looks at that answer. */
static void
wish_send(void *about, uint64_t sending)
{
    struct wish *w = about;
    const bool extra = sending == UINT64_MAX;
    if (w->over || (!extra && (w->waits || (uint64_t)w->sendings != sending))) return;
    if (play.tickets == sizeof play.by_ticket / sizeof play.by_ticket[0]) {
        violation("clients ask for ever");
        return;
    }
    const uint64_t ticket = play.ticket_first + play.tickets;
    play.by_ticket[play.tickets++] = w;
    play_counts.requests++;
    say_trace("client: %.*s %.*s %.*s #%llu key=%.*s", (int)w->route.size, w->route.at,
              (int)w->object.size, w->object.at ? w->object.at : "", (int)w->form.size, w->form.at,
              (unsigned long long)ticket, (int)w->key.size, w->key.at ? w->key.at : "");
    if (!extra) {
        w->ticket = ticket;
        w->waits = true;
        w->sendings++;
        world_at(chance_between(300000, 1500000), lose_patience, w, ticket);
    }
    world_at(chance_between(50, 500), request_arrives, w, ticket);
}

static void
client_refused(struct wish *w, struct text code)
{
    say_trace("client: %.*s is refused: %.*s", (int)w->key.size, w->key.at ? w->key.at : "",
              (int)code.size, code.at);
    if (w->over || !w->waits) return;
    lose_patience(w, w->ticket);
}

/* What is said must be durable already, and must never be said otherwise. */
static void
hold_to_its_word(struct wish *w, const struct msg_api_answer *answer)
{
    if (answer->status == 500)
        violation("%.*s of %.*s is told 500: %.*s", (int)w->key.size, w->key.at ? w->key.at : "",
                  (int)w->merchant.size, w->merchant.at, (int)answer->body.size, answer->body.at);
    if (answer->has & HAS_api_answer_stored && answer->stored && w->key.at) {
        const struct kept_key *k = database_key(w->merchant, w->key);
        if (!k || k->status != (int64_t)answer->status ||
            !text_equal(database_answer(k), answer->body))
            violation("I05 an answer was given that is not committed: %.*s", (int)w->key.size,
                      w->key.at);
        if (!w->stored_status) {
            w->stored_status = (int)answer->status;
            w->stored_body = keep(answer->body);
        } else if (w->stored_status != (int)answer->status ||
                   !text_equal(w->stored_body, answer->body)) {
            violation("I18 two answers under one key: %.*s", (int)w->key.size, w->key.at);
        }
    }
    if (answer->status != 200) return;
    const struct text object = json_bare(json_find(answer->body, "object"));
    const struct text id = json_bare(json_find(answer->body, "id"));
    const struct text status = json_bare(json_find(answer->body, "status"));
    if (text_is(object, "customer") && text_is(w->route, "customer_update")) {
        /* Each change has its event, which bears the customer as it was then. */
        const struct text name = json_find(answer->body, "name");
        bool changed = false;
        for (size_t i = tables_kept.events.count; i-- && !changed;) {
            const struct kept_event *e = tables_kept.events.at[i];
            changed = text_equal(e->object, id) && text_equal(json_find(e->data, "name"), name);
        }
        if (!changed)
            violation("I19 %.*s was told to be changed to %.*s and is not", (int)id.size, id.at,
                      (int)name.size, name.at);
    }
    if (!text_is(object, "payment_intent")) return;
    const struct row_payment_intent *p = database_row(ROW_payment_intent, w->merchant, id);
    if (!p || (text_is(status, "succeeded") && !text_is(p->status, "succeeded")))
        violation("I19 %.*s was told to be %.*s and is %.*s", (int)id.size, id.at, (int)status.size,
                  status.at, p ? (int)p->status.size : 4, p ? p->status.at : "gone");
}

static void
client_answered(struct wish *w, const struct msg_api_answer *answer)
{
    play_counts.answers++;
    say_trace("client: %.*s is told %llu%s: %.*s", (int)w->key.size, w->key.at ? w->key.at : "",
              (unsigned long long)answer->status, answer->stored ? " (stored)" : "",
              answer->body.size > 300 ? 300 : (int)answer->body.size, answer->body.at);
    hold_to_its_word(w, answer);
    if (w->over || !w->waits) return;
    const bool again = answer->retry == 1 || answer->status == 409 || answer->status == 429 ||
                       answer->status >= 500;
    if (again) {
        lose_patience(w, w->ticket);
        return;
    }
    w->status = (int)answer->status;
    w->body = keep(answer->body);
    wish_over(w, true);
}

/* --- stories ---------------------------------------------------------------------------------- */

static struct text
told(const struct wish *w, const char *member)
{
    return keep(json_bare(json_find(w->body, member)));
}

static void
refund_was_made(struct wish *w)
{
    if (w->status != 200) return;
    if (text_is(told(w, "status"), "pending") && one_in(2))
        want(w->story, "refund_cancel", told(w, "id"), TEXT(""), NULL);
    else if (one_in(4))
        want(w->story, "refund_update", told(w, "id"), TEXT("metadata[why]=so"), NULL);
}

static void
maybe_refund(struct story *s)
{
    if (!s->charge.at || !one_in(2)) return;
    const char *const ways[] = {"charge=%.*s", "charge=%.*s&amount=%lld"};
    const int times = 1 + (int)chance_below(3);
    for (int i = 0; i < times; i++) {
        const bool part = !one_in(3);
        const long long amount = (long long)chance_between(1, s->amount);
        want(s, "refund_create", NO_TEXT,
             part
                 ? keep_format("amount=%lld&charge=%.*s", amount, (int)s->charge.size, s->charge.at)
                 : keep_format(ways[0], (int)s->charge.size, s->charge.at),
             refund_was_made);
    }
}

static void payment_stands(struct wish *w);

/* An issuer is asked to hold more, or a part is taken and the rest stays held; often more than one
 * of them at the same time, or beside the last capture. */
static void
take_parts(struct story *s)
{
    const int times = 1 + (int)chance_below(2);
    for (int i = 0; i < times && s->parts; i++, s->parts--)
        if (one_in(3))
            want(s, "payment_intent_increment", s->intent,
                 keep_format("amount=%lld", (long long)(s->amount += chance_between(1, 5000))),
                 payment_stands);
        else
            want(s, "payment_intent_capture", s->intent,
                 keep_format("final_capture=false&amount_to_capture=%lld",
                             (long long)chance_between(1, s->amount)),
                 payment_stands);
}

static void
capture_or_cancel(struct story *s)
{
    if (s->parts) {
        take_parts(s);
        if (!one_in(4)) return;
    }
    if (s->plot == PLOT_PARTS && one_in(3)) {
        want(s, "payment_intent_capture", s->intent, TEXT("amount_to_capture=0"), payment_stands);
        return;
    }
    const uint64_t way = chance_below(8);
    if (way < 4)
        want(s, "payment_intent_capture", s->intent,
             way < 2
                 ? TEXT("")
                 : keep_format("amount_to_capture=%lld", (long long)chance_between(1, s->amount)),
             payment_stands);
    if (way == 3 || way == 4 || way == 5)
        want(s, "payment_intent_cancel", s->intent, TEXT(""), payment_stands);
    if (way == 6) {
        want(s, "payment_intent_capture", s->intent, TEXT(""), payment_stands);
        want(s, "payment_intent_capture", s->intent,
             keep_format("amount_to_capture=%lld", (long long)chance_between(1, s->amount)),
             payment_stands);
    }
}

/* The payer's page: its address stands in the answer. */
static void
answer_challenge(struct wish *w)
{
    const char *at = strstr(w->body.at, "3ds/");
    const char *secret = at ? strstr(at, "secret=") : NULL;
    if (!secret) return;
    at += 4;
    secret += 7;
    const struct text id = keep((struct text){at, strcspn(at, "?\\\"")});
    const struct text word = {secret, strcspn(secret, "&\\\"")};
    const int times = one_in(3) ? 2 : 1;
    for (int i = 0; i < times; i++)
        want(w->story, "challenge_complete", id,
             keep_format("decision=%s&merchant=%.*s&secret=%.*s", one_in(4) ? "fail" : "approve",
                         (int)w->merchant.size, w->merchant.at, (int)word.size, word.at),
             NULL);
}

/* Of any event of theirs. */
static void
maybe_hear_again(struct story *s)
{
    if (!tables_kept.events.count || !one_in(6)) return;
    const struct kept_event *e =
        tables_kept.events.at[chance_below((uint64_t)tables_kept.events.count)];
    if (!text_equal(e->merchant, s->merchant->id)) return;
    const int times = one_in(3) ? 2 : 1;
    for (int i = 0; i < times; i++)
        want(s, "event_retry", keep(e->id),
             keep_format("webhook_endpoint=%.*s", (int)s->merchant->endpoint.size,
                         s->merchant->endpoint.at),
             NULL);
}

static void
payment_stands(struct wish *w)
{
    struct story *s = w->story;
    if (w->status != 200) return;
    maybe_hear_again(s);
    const struct text status = told(w, "status");
    s->intent = told(w, "id");
    if (json_bare(json_find(w->body, "latest_charge")).at) s->charge = told(w, "latest_charge");
    play_counts.payments += text_is(status, "succeeded") || text_is(status, "requires_capture");
    if (text_is(status, "succeeded")) maybe_refund(s);
    if (text_is(status, "requires_capture")) capture_or_cancel(s);
    if (text_is(status, "requires_action")) {
        if (one_in(6))
            want(s, "payment_intent_cancel", s->intent, TEXT(""), payment_stands);
        else
            answer_challenge(w);
    }
    if (text_is(status, "requires_confirmation") || text_is(status, "requires_payment_method")) {
        const int times = one_in(4) ? 2 : 1;
        if (s->plot != PLOT_TWO_STEPS) return;
        s->plot = PLOT_AUTOMATIC;
        for (int i = 0; i < times; i++)
            want(s, "payment_intent_confirm", s->intent, TEXT("payment_method=pm_card_visa"),
                 payment_stands);
        if (one_in(5)) want(s, "payment_intent_cancel", s->intent, TEXT(""), payment_stands);
    }
}

static void
set_up_stands(struct wish *w)
{
    if (w->status == 200 && text_is(told(w, "status"), "requires_action")) answer_challenge(w);
}

static void
charge_stands(struct wish *w)
{
    struct story *s = w->story;
    if (w->status != 200) return;
    s->charge = told(w, "id");
    play_counts.payments++;
    if (s->manual) {
        s->manual = false;
        want(s, "charge_capture", s->charge,
             one_in(2) ? TEXT("")
                       : keep_format("amount=%lld", (long long)chance_between(1, s->amount)),
             charge_stands);
    } else {
        maybe_refund(s);
    }
}

/* Whoever made the session looks what became of it. */
static void
page_was_sent(struct wish *w)
{
    struct story *s = w->story;
    const struct row_checkout_session *session =
        database_row(ROW_checkout_session, w->merchant, s->session);
    if (w->status == 402 && one_in(2)) {
        want(s, "payment_page_confirm", s->session, w->form, page_was_sent);
        return;
    }
    if (w->status != 200) return;
    if (strstr(w->body.at, "3ds/")) answer_challenge(w);
    if (!session || !session->payment_intent.at) return;
    s->intent = keep(session->payment_intent);
    const struct row_payment_intent *p =
        database_row(ROW_payment_intent, w->merchant, session->payment_intent);
    if (p && text_is(p->status, "requires_capture")) capture_or_cancel(s);
    if (p && text_is(p->status, "succeeded") && p->latest_charge.at) {
        s->charge = keep(p->latest_charge);
        play_counts.payments++;
        maybe_refund(s);
    }
}

static void
session_stands(struct wish *w)
{
    struct story *s = w->story;
    if (w->status != 200) return;
    s->session = told(w, "id");
    const int times = one_in(3) ? 2 : 1; /* two windows */
    for (int i = 0; i < times; i++)
        want(s, "payment_page_confirm", s->session,
             keep_format("payment_method_data[type]=card&payment_method_data[card][token]=tok_%s"
                         "&email=ada@shop.example&return_url=https://shop.example/page",
                         some_card()),
             page_was_sent);
    if (one_in(5)) want(s, "checkout_session_expire", s->session, TEXT(""), NULL);
}

static void
another_note(void *about, uint64_t number)
{
    const struct wish *w = about;
    want(w->story, "customer_update", told(w, "id"),
         keep_format("name=Name+%llu", (unsigned long long)number), NULL);
    w->story->open--;
}

/* In some plays all is one merchant's and of one kind: races that need several at once. */
static bool
all_alike(void)
{
    return world.seed % 16 == 5;
}

static void
notes_stand(struct wish *w)
{
    if (w->status != 200) return;
    const int times = (int)chance_between(2, 6) * (all_alike() ? 3 : 1);
    for (int i = 0; i < times; i++) {
        w->story->open++; /* until it is asked for */
        world_at(chance_between(0, all_alike() ? 700000 : 1500000), another_note, w, (uint64_t)i);
    }
    maybe_hear_again(w->story);
}

static void
story_begins(void *about, uint64_t number)
{
    struct story *s = about;
    const char *card = s->plot == PLOT_CHALLENGE ? cards[CARD_ASKS].name : some_card();
    (void)number;
    s->amount = chance_between(100, 99999);
    s->manual = s->plot == PLOT_MANUAL || one_in(4);
    const char *const method = s->manual ? "capture_method=manual&" : "";
    switch (s->plot) {
    case PLOT_AUTOMATIC:
    case PLOT_MANUAL:
    case PLOT_CHALLENGE:
        want(s, "payment_intent_create", NO_TEXT,
             keep_format("amount=%lld&%sconfirm=true&currency=usd&payment_method=pm_card_%s"
                         "&payment_method_types[]=card&return_url=https://shop.example/x",
                         (long long)s->amount, method, card),
             payment_stands);
        break;
    case PLOT_TWO_STEPS:
        want(s, "payment_intent_create", NO_TEXT,
             keep_format("amount=%lld&%scurrency=usd&payment_method_types[]=card",
                         (long long)s->amount, method),
             payment_stands);
        break;
    case PLOT_SET_UP:
        want(s, "setup_intent_create", NO_TEXT,
             keep_format("confirm=true&payment_method=pm_card_%s&payment_method_types[]=card"
                         "&return_url=https://shop.example/x",
                         card),
             set_up_stands);
        break;
    case PLOT_CHARGE:
        want(s, "charge_create", NO_TEXT,
             keep_format("amount=%lld&%scurrency=usd&source=tok_%s", (long long)s->amount,
                         s->manual ? "capture=false&" : "", card),
             charge_stands);
        break;
    case PLOT_PARTS:
        s->parts = (int)chance_between(1, 4);
        want(s, "payment_intent_create", NO_TEXT,
             keep_format("amount=%lld&capture_method=manual&confirm=true&currency=usd"
                         "&payment_method=pm_card_%s&payment_method_types[]=card"
                         "&payment_method_options[card][request_multicapture]=if_available"
                         "&payment_method_options[card][request_incremental_authorization]="
                         "if_available&return_url=https://shop.example/x",
                         (long long)s->amount, card),
             payment_stands);
        break;
    case PLOT_CHECKOUT:
        want(s, "checkout_session_create", NO_TEXT,
             one_in(4)
                 ? TEXT("mode=setup&currency=usd&success_url=https://shop.example/done")
                 : keep_format("mode=payment&success_url=https://shop.example/done"
                               "&line_items[0][quantity]=1"
                               "&line_items[0][price_data][currency]=usd"
                               "&line_items[0][price_data][unit_amount]=%lld"
                               "&line_items[0][price_data][product_data][name]=Thing%s",
                               (long long)s->amount,
                               s->manual ? "&payment_intent_data[capture_method]=manual" : ""),
             session_stands);
        break;
    case PLOT_NOTES: want(s, "customer_create", NO_TEXT, TEXT("name=Some+One"), notes_stand); break;
    case PLOT_COUNT: break;
    }
}

/* --- endpoints: what poster.h promises, without curl ------------------------------------------ */

struct post {
    struct post *next;
    struct process *process;
    uint64_t life;
    struct poster *poster;
    void *delivery;
    struct text url, event;
    struct post_result result;
    bool done;
};

struct poster {
    post_fn *on_ended;
    void *state;
    struct post *posts;
    int64_t timeout_ms;
};

/* The real one takes a seventh of the time and knows nothing: laying out JSON. */
struct text
event_body(const struct event *event)
{
    char *const body = malloc(event->id.size + 16);
    const int size = sprintf(body, "{\"id\":\"%.*s\"}", (int)event->id.size, event->id.at);
    return (struct text){body, (size_t)size};
}

struct poster *
poster_new(struct loop *loop, enum address_policy policy, int64_t timeout_ms, post_fn *on_ended,
           void *state)
{
    struct poster *poster = calloc(1, sizeof *poster);
    (void)loop, (void)policy;
    *poster = (struct poster){on_ended, state, NULL, timeout_ms};
    return poster;
}

void
poster_destroy(struct poster **poster_p)
{
    free(*poster_p);
    *poster_p = NULL;
}

static void
post_ends(void *about, uint64_t life)
{
    struct post *p = about;
    if (!p->process->up || p->process->life != life) return;
    p->done = true;
    process_wake(p->process, 10);
}

bool
play_endpoint_took(struct text endpoint, struct text event)
{
    for (const struct post *p = play.taken; p; p = p->next)
        if (text_equal(p->event, event) && text_is(p->url, "https://hooks.example/") == false &&
            text_equal(p->url, endpoint))
            return true;
    return false;
}

static void
endpoint_takes(struct post *p)
{
    struct post *taken = take(sizeof *taken);
    *taken = *p;
    taken->next = play.taken;
    play.taken = taken;
}

bool
poster_start(struct poster *poster, const char *url, struct text secret, struct text body,
             void *delivery)
{
    world_touched("before the POST");
    struct post *p = take(sizeof *p);
    int64_t delay_us = chance_between(2000, 30000);
    *p = (struct post){.next = poster->posts,
                       .process = world.running,
                       .life = world.running->life,
                       .poster = poster,
                       .delivery = delivery,
                       .url = keep(text_of(url)),
                       .event = keep(json_bare(json_find(body, "id")))};
    (void)secret;
    poster->posts = p;
    p->result.at_wall_ms = clock_wall_ms();
    p->result.status = 200;
    if (strikes(100)) {
        p->result.status = one_in(2) ? 500 : 0;
        snprintf(p->result.error, sizeof p->result.error, "the endpoint is not well");
        if (!p->result.status) delay_us = poster->timeout_ms * 1000;
        if (one_in(2)) endpoint_takes(p); /* taken, and the answer was lost */
    } else {
        endpoint_takes(p);
    }
    p->result.duration_ms = delay_us / 1000;
    world_at(delay_us, post_ends, p, p->life);
    world_touched("after the POST");
    return true;
}

void
poster_collect(struct poster *poster)
{
    for (struct post **at = &poster->posts, *p; (p = *at);) {
        if (!p->done) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        poster->on_ended(poster->state, p->delivery, &p->result);
    }
}

int64_t
poster_wait_ms(const struct poster *poster)
{
    (void)poster;
    return 60000;
}

/* --- whoever makes things go wrong ------------------------------------------------------------ */

void loop_terminate(struct loop *loop);

static struct process *
some_process(void)
{
    return &world.processes[chance_below(PROCESS_COUNT)];
}

static void
something_happens(void *about, uint64_t what)
{
    struct process *p = some_process();
    (void)about;
    if (!world.faulty || !play_has(p)) return;
    world.faults++;
    switch (what) {
    case 0:
        if (!p->up) return;
        if (one_in(3))
            process_kill(p, "kill -9");
        else
            p->crash_in = chance_between(1, 40);
        return;
    case 1:
        p->paused_until_us = world.now_us + chance_between(20000, 3 * SECOND_US);
        say_trace("%s stands still for %lld ms", p->name,
                  (long long)(p->paused_until_us - world.now_us) / 1000);
        return;
    case 2: {
        struct merchant *m = &play.merchants[chance_below(MERCHANTS)];
        if (one_in(2)) world_at(chance_between(20000, 900000), move_back, m, (uint64_t)m->planned);
        move_slot(m, (int)chance_below((uint64_t)play.worker_count));
        return;
    }
    case 3: postgres_cut(one_in(4)); return;
    default:
        if (!p->up || p->paused_until_us > world.now_us) return;
        say_trace("%s: SIGTERM", p->name);
        loop_terminate(p->loop);
        process_wake(p, 10);
        return;
    }
}

static uint64_t
maybe(uint64_t percent, uint64_t most)
{
    return chance_below(100) < percent ? chance_below(most + 1) : 0;
}

static void
faults_end(void *about, uint64_t number)
{
    (void)about, (void)number;
    say_trace("from here on nothing goes wrong");
    world.faulty = false;
    for (int i = 0; i < PROCESS_COUNT; i++)
        world.processes[i].crash_in = 0;
}

static void
draw_rates(void)
{
    struct rates *r = &world.rates;
    r->lose = maybe(50, 50);
    r->twice = maybe(50, 50);
    r->late = maybe(50, 50);
    r->late_us_max = one_in(3) ? 3 * SECOND_US : 100000;
    r->network_late = maybe(30, 300);
    r->pg_error = maybe(30, 60);
    r->pg_doubt = maybe(20, 60);
    r->pg_slow = maybe(20, 30);
    r->read_fails = maybe(20, 40);
    r->kills = (int64_t)maybe(70, 8);
    r->pauses = (int64_t)maybe(40, 4);
    r->moves = (int64_t)maybe(50, 4) + (all_alike() ? 3 : 0);
    r->cuts = (int64_t)maybe(30, 3);
    r->stops = (int64_t)maybe(25, 3);
    r->network_lose_percent = (int)maybe(50, 40);
    r->network_double = (int)maybe(30, 1);
    r->network_late_ms = (int64_t)maybe(30, 1500);
    r->network_delay_ms = (int64_t)maybe(30, 1500);
    r->faults_end_us = chance_between(500000, 3 * SECOND_US);
    const int64_t counts[] = {r->kills, r->pauses, r->moves, r->cuts, r->stops};
    for (uint64_t what = 0; what < 5; what++)
        for (int64_t i = 0; i < counts[what]; i++)
            world_at(chance_between(0, r->faults_end_us), something_happens, NULL, what);
    world_at(r->faults_end_us, faults_end, NULL, 0);
}

/* --- the play --------------------------------------------------------------------------------- */

static void
found_merchant(int number)
{
    struct merchant *m = &play.merchants[number];
    *m = (struct merchant){.id = keep_format("acct_sim%d", number + 1),
                           .endpoint = keep_format("we_00000000000000000000000%d", number + 1),
                           .owner = -1,
                           .planned = (int)chance_below((uint64_t)play.worker_count)};
    m->slot = slot_of(m->id);
    const struct row_merchant merchant = {.id = m->id,
                                          .merchant = m->id,
                                          .version = 1,
                                          .created = WALL_MS / 1000 - 100,
                                          .name = TEXT("Shop"),
                                          .country = TEXT("US"),
                                          .currency = TEXT("usd"),
                                          .api_version = TEXT("2026-10-28.endive")};
    struct row_webhook_endpoint endpoint;
    row_clear(ROW_webhook_endpoint, &endpoint);
    endpoint.id = m->endpoint;
    endpoint.merchant = m->id;
    endpoint.version = 1;
    endpoint.created = WALL_MS / 1000 - 100;
    endpoint.url = m->endpoint; /* so that whoever is posted to can be told by it */
    endpoint.secret = TEXT("whsec_0000000000000000000000000000");
    endpoint.enabled_events = TEXT("[\"*\"]");
    endpoint.status = TEXT("enabled");
    database_put(ROW_merchant, &merchant);
    if (world.seed % 4 || number == 0) /* not every merchant wants to hear */
        database_put(ROW_webhook_endpoint, &endpoint);
}

static bool
nothing_is_under_way(void)
{
    if (world.faulty || play.stories_open) return false;
    for (size_t i = database_count(ROW_attempt); i--;) {
        const struct row_attempt *a = database_nth(ROW_attempt, i);
        if (attempt_is_open(attempt_state_named(a->state))) return false;
    }
    for (size_t i = tables_kept.keys.count; i--;)
        if (((const struct kept_key *)tables_kept.keys.at[i])->status == NO_NUMBER) return false;
    for (size_t i = database_count(ROW_refund); i--;)
        if (((const struct row_refund *)database_nth(ROW_refund, i))->follow_at != NO_NUMBER)
            return false;
    if (((const struct kept_dispatch *)tables_kept.dispatch.at[0])->sequence !=
        database_leader()->event_head)
        return false;
    for (size_t i = tables_kept.deliveries.count; i--;)
        if (text_is(((const struct kept_delivery *)tables_kept.deliveries.at[i])->state, "pending"))
            return false;
    for (size_t i = database_count(ROW_resend); i--;)
        if (!database_granted(database_nth(ROW_resend, i))) return false;
    return true;
}

static void
tick(void *about, uint64_t number)
{
    (void)about, (void)number;
    broker_tick();
    play.quiet = nothing_is_under_way() ? play.quiet + 1 : 0;
    /* What is still on its way, or in the queue of a ledger, may arrive. */
    if (play.quiet > RUNS_QUIET_MAX) play.over = true;
    if (!world.faulty && world.now_us > world.rates.faults_end_us + PATIENCE_US_MAX)
        play.over = true;
    world_at(TICK_US, tick, NULL, 0);
}

void
play_begin(void)
{
    static const enum plot plots[] = {PLOT_AUTOMATIC, PLOT_AUTOMATIC, PLOT_MANUAL, PLOT_MANUAL,
                                      PLOT_TWO_STEPS, PLOT_CHALLENGE, PLOT_SET_UP, PLOT_CHARGE,
                                      PLOT_NOTES,     PLOT_PARTS,     PLOT_PARTS,  PLOT_CHECKOUT,
                                      PLOT_CHECKOUT};
    memset(&play, 0, sizeof play);
    play_wishes = NULL;
    play.ticket_first = UINT64_C(1) << 40;
    postgres_begin();
    book_begin();
    draw_rates();
    for (int i = 0, w = 0; i < PROCESS_COUNT; i++)
        if (world.processes[i].kind == KIND_WORKER) play.workers[w++] = &world.processes[i];
    play.worker_count = world.seed % 3 ? WORKER_COUNT - 1 : WORKER_COUNT;
    for (int i = 0; i < MERCHANTS; i++)
        found_merchant(i);
    record_rows();
    play.stories_open = (int)chance_between(2, 6);
    const struct story *first = NULL;
    for (int i = 0; i < play.stories_open; i++) {
        struct story *s = take(sizeof *s);
        s->plot = plots[chance_below(sizeof plots / sizeof plots[0])];
        s->merchant = &play.merchants[chance_below(MERCHANTS)];
        if (all_alike()) {
            s->plot = first ? first->plot : one_in(2) ? PLOT_NOTES : s->plot;
            if (first) s->merchant = first->merchant;
        }
        if (!first) first = s;
        world_at(chance_between(5000, world.rates.faults_end_us), story_begins, s, 0);
    }
    world_at(TICK_US, tick, NULL, 0);
}

bool
play_has(const struct process *p)
{
    return p->kind != KIND_WORKER || p->instance <= play.worker_count;
}

bool
play_is_over(void)
{
    return play.over;
}

void
play_end(void)
{
    if (play.stories_open)
        for (const struct wish *w = play_wishes; w; w = w->next)
            if (!w->over)
                violation("a client was never answered: %.*s %.*s", (int)w->route.size, w->route.at,
                          (int)w->key.size, w->key.at ? w->key.at : "");
    invariants_check();
}
