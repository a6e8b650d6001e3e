#include "vault.h"

#include "cabinet.h"
#include "clock.h"
#include "codes.h"
#include "failpoint.h"
#include "keyring.h"
#include "log.h"
#include "random.h"
#include "shelf.h"
#include "test_card.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define ASKERS_MAX ERRANDS_MAX /* whoever waits for Postgres */
#define SHELF_RECORDS 32768
#define REVEALS_PER_SECOND_MAX 20000
#define PLAIN_BYTES_MAX 512 /* of card_fields, unsealed */

/* Where an answer goes. */
struct return_address {
    struct link *link;
    struct peer peer;
    uint16_t slot;
    uint64_t correlation;
};

/* What may be told of a card once its token is durable. Nothing of it is secret. */
struct token_answer {
    char fingerprint[FINGERPRINT_SIZE + 1];
    char last4[5];
    enum card_brand brand;
    uint64_t exp_month, exp_year;
    const char *funding, *country, *attach_code, *unsupported;
    char cvc[CODE_HANDLE_SIZE + 1]; /* "" when none was given */
};

struct reveal_question {
    char merchant[NAME_SIZE_MAX + 1];
    char reference[NAME_SIZE_MAX + 1];
    char cvc[CODE_HANDLE_SIZE + 1];
    char revealed_to[NODE_NAME_MAX + 1];
};

struct asker {
    enum { ASKER_TOKENIZES, ASKER_REVEALS } kind;
    struct return_address home;
    union {
        struct token_answer tokenized;
        struct reveal_question reveal;
    };
    uint32_t next_free;
};

struct vault {
    struct loop *loop;
    struct keyring *keyring;
    struct codes *codes;
    struct shelf *shelf;
    struct cabinet *cabinet;
    uint8_t public_key[crypto_box_PUBLICKEYBYTES];

    struct asker askers[ASKERS_MAX];
    uint32_t free_asker; /* ASKERS_MAX: none */
    uint32_t asking;

    uint8_t *plain;    /* locked: card_fields while they are read */
    struct card *card; /* locked: the one card in clear, wiped at the end of each handler */

    int64_t reveals_second; /* which second is being counted */
    int reveals;
    int64_t codes_full_ms; /* when it was last said */
};

/* --- answering -----------------------------------------------------------------------------------
 */

static struct return_address
address_of(struct link *link, const struct packet *packet)
{
    return (struct return_address){link, packet->peer, packet->slot, packet->correlation};
}

static void
answer(const struct return_address *home, enum message_number number, const void *body)
{
    const struct envelope envelope = {
        .to = &home->peer, .slot = home->slot, .correlation = home->correlation};
    (void)link_send(home->link, envelope, number, body); /* a peer that is gone asks again */
}

static void
refuse(const struct return_address *home, const char *code, const char *reason)
{
    const struct msg_refused refused = {.has = HAS_refused_code | HAS_refused_reason,
                                        .code = text_of(code),
                                        .reason = text_of(reason)};
    answer(home, MSG_refused, &refused);
}

static void
answer_no_card(const struct return_address *home, const char *code, const char *param)
{
    const struct msg_card_tokenized no = {.has = HAS_card_tokenized_code | HAS_card_tokenized_param,
                                          .code = text_of(code),
                                          .param = text_of(param)};
    answer(home, MSG_card_tokenized, &no);
}

static void
answer_token(const struct return_address *home, const struct token_answer *known, const char *token)
{
    struct msg_card card = {
        .has = HAS_card_token | HAS_card_fingerprint | HAS_card_brand | HAS_card_last4 |
               HAS_card_exp_month | HAS_card_exp_year | HAS_card_funding | HAS_card_country,
        .token = text_of(token),
        .fingerprint = text_of(known->fingerprint),
        .brand = text_of(card_brand_name(known->brand)),
        .last4 = text_of(known->last4),
        .exp_month = known->exp_month,
        .exp_year = known->exp_year,
        .funding = text_of(known->funding),
        .country = text_of(known->country),
        .cvc = text_of(known->cvc),
        .attach_code = text_of(known->attach_code),
        .unsupported = text_of(known->unsupported),
    };
    if (card.cvc.size > 0) card.has |= HAS_card_cvc;
    if (card.attach_code.size > 0) card.has |= HAS_card_attach_code;
    if (card.unsupported.size > 0) card.has |= HAS_card_unsupported;

    uint8_t packed[1024];
    struct msg_card_tokenized tokenized = {.has = HAS_card_tokenized_cards};
    if (!message_list_add(&tokenized.cards, MSG_card, &card, packed, sizeof packed)) {
        log_event(LOG_ERROR, "card.unpackable", "token=%s", token);
        refuse(home, "busy", "the card cannot be told");
        return;
    }
    answer(home, MSG_card_tokenized, &tokenized);
}

/* --- askers: whoever waits for the cabinet
 * --------------------------------------------------------- */

static struct asker *
asker_new(struct vault *vault, const struct return_address *home)
{
    if (vault->free_asker == ASKERS_MAX) return NULL;
    struct asker *asker = &vault->askers[vault->free_asker];
    vault->free_asker = asker->next_free;
    vault->asking++;
    asker->home = *home;
    return asker;
}

static void
asker_free(struct vault *vault, struct asker *asker)
{
    sodium_memzero(asker, sizeof *asker);
    asker->next_free = vault->free_asker;
    vault->free_asker = (uint32_t)(asker - vault->askers);
    vault->asking--;
}

/* --- tokenize
 * -------------------------------------------------------------------------------------- */

static enum card_verdict
open_fields(struct vault *vault, struct text sealed, bool *readable)
{
    struct msg_card_fields fields;
    const char *culprit;
    const size_t size = sealed.size - crypto_box_SEALBYTES;
    const uint8_t *secret_key = node_secret_key(loop_node(vault->loop));
    assert(size <= PLAIN_BYTES_MAX);
    *readable =
        crypto_box_seal_open(vault->plain, (const uint8_t *)sealed.at, sealed.size,
                             vault->public_key, secret_key) == 0 &&
        message_decode(MSG_card_fields, vault->plain, size, &fields, &culprit) == MESSAGE_OK;
    enum card_verdict verdict = CARD_BAD_NUMBER;
    if (*readable)
        verdict = card_check(fields.number, fields.exp_month, fields.exp_year, fields.cvc,
                             card_month_of(clock_wall_ms()), vault->card);
    sodium_memzero(vault->plain, PLAIN_BYTES_MAX);
    return verdict;
}

/* A card by its published name is as if it had been typed, with the end of next year as its expiry,
 * so that all of one year is one card. It bears a security code only when that is what it is for: a
 * code per payment by name would push those out that people typed. */
static enum card_verdict
take_test_card(struct vault *vault, const struct test_card *test)
{
    static const char *const codes[] = {[3] = "123", [4] = "1234"};
    const struct card_month now = card_month_of(clock_wall_ms());
    const bool bears_code = test_effect(test->effect)->code != CARD_CHECK_PASS;
    const struct text code = bears_code ? text_of(codes[card_code_digits(test->brand)]) : NO_TEXT;
    return card_check(text_of(test->number), 12, now.year + 1, code, now, vault->card);
}

/* The code of vault->card. */
static void
keep_code(struct vault *vault, const uint8_t identity[static IDENTITY_BYTES],
          char handle[static CODE_HANDLE_SIZE + 1])
{
    const int64_t mono_ms = clock_mono_ms();
    const bool full = codes_keep(vault->codes, identity, vault->card->code, mono_ms, handle);
    if (!full || mono_ms - vault->codes_full_ms < 1000) return;
    vault->codes_full_ms = mono_ms;
    log_event(LOG_WARNING, "codes.full", "kept=%u", codes_count(vault->codes));
}

/* All that is told of vault->card. */
static struct token_answer
token_answer_of(struct vault *vault, struct text merchant,
                const uint8_t identity[static IDENTITY_BYTES])
{
    const struct card *card = vault->card;
    const struct text digits = text_of(card->number);
    const struct test_card *test = test_card_numbered(digits);
    const struct test_effect_row *effect = test_effect_of(digits);
    struct token_answer known = {
        .brand = card->brand,
        .exp_month = card->month,
        .exp_year = card->year,
        .funding = test ? test->funding : "credit",
        .country = test ? test->country : "US",
        .attach_code = effect->attaches ? "" : effect->decline,
        .unsupported = effect->unsupported,
    };
    keyring_fingerprint(vault->keyring, merchant, card, known.fingerprint);
    memcpy(known.last4, digits.at + digits.size - 4, 5);
    if (card->code[0]) keep_code(vault, identity, known.cvc);
    return known;
}

static void
keep_card(struct vault *vault, const struct return_address *home, struct text merchant)
{
    struct card_record record = {0};
    keyring_identity(vault->keyring, merchant, vault->card, record.identity);
    const struct card_record *kept = shelf_by_identity(vault->shelf, record.identity);
    if (kept) {
        const struct token_answer known = token_answer_of(vault, merchant, record.identity);
        answer_token(home, &known, kept->token);
        return;
    }

    struct asker *asker = asker_new(vault, home);
    if (!asker) {
        refuse(home, "busy", "too many cards are waiting to be kept");
        return;
    }
    FAILPOINT(vault_before_keep);
    char token[ID_SIZE_MAX + 1];
    const struct text name = id_new(token, "card_");
    memcpy(record.token, token, name.size + 1);
    memcpy(record.merchant, merchant.at, merchant.size);
    keyring_seal(vault->keyring, merchant, name, vault->card, &record.sealed);
    asker->kind = ASKER_TOKENIZES;
    asker->tokenized = token_answer_of(vault, merchant, record.identity);
    if (!cabinet_keep(vault->cabinet, (uint32_t)(asker - vault->askers), &record,
                      clock_mono_ms())) {
        asker_free(vault, asker);
        refuse(home, "busy", "too many cards are waiting to be kept");
    }
}

static void
on_card_tokenize(struct vault *vault, struct link *from, const struct packet *packet)
{
    struct msg_card_tokenize ask;
    const struct return_address home = address_of(from, packet);
    if (!packet_decode(from, packet, MSG_card_tokenize, &ask)) return;

    const bool sealed = ask.has & HAS_card_tokenize_sealed;
    const bool named = ask.has & HAS_card_tokenize_test_name;
    const struct test_card *test = named ? test_card_named(ask.test_name) : NULL;
    bool readable = true;
    if (sealed == named) {
        refuse(&home, "malformed", "either sealed or test_name is needed");
        return;
    }
    if (named && !test) {
        answer_no_card(&home, "resource_missing",
                       text_starts(ask.test_name, "tok_") ? "token" : "payment_method");
        return;
    }
    const enum card_verdict verdict =
        sealed ? open_fields(vault, ask.sealed, &readable) : take_test_card(vault, test);
    if (!readable)
        refuse(&home, "malformed", "sealed does not open with the vault's key");
    else if (verdict != CARD_FINE)
        answer_no_card(&home, card_verdict_code(verdict), card_verdict_param(verdict));
    else
        keep_card(vault, &home, ask.merchant);
    sodium_memzero(vault->card, sizeof *vault->card);
}

/* --- reveal
 * ---------------------------------------------------------------------------------------- */

/* How many cards may leave in a second: more than any load that is served, and less than whoever
 * broke into the connector would like. */
static bool
reveal_is_allowed(struct vault *vault, int64_t mono_ms)
{
    const int64_t second = mono_ms / 1000;
    if (second != vault->reveals_second) vault->reveals = 0;
    vault->reveals_second = second;
    return vault->reveals++ < REVEALS_PER_SECOND_MAX;
}

static void
answer_unknown(const struct return_address *home, const struct reveal_question *question,
               const char *token, const char *reason)
{
    const struct msg_card_revealed no = {.has = HAS_card_revealed_known};
    log_event(LOG_WARNING, "card.not_revealed", "token=%s merchant=%s reference=%s to=%s reason=%s",
              token, question->merchant, question->reference, question->revealed_to, reason);
    answer(home, MSG_card_revealed, &no);
}

/* The one place where a number leaves. Each time is a line of the audit, without the number. */
static void
reveal(struct vault *vault, const struct return_address *home,
       const struct reveal_question *question, const struct card_record *record)
{
    const struct text merchant = text_of(question->merchant);
    struct card *card = vault->card;
    FAILPOINT(vault_before_reveal);
    if (!text_is(merchant, record->merchant)) {
        answer_unknown(home, question, record->token, "other_merchant");
        return;
    }
    if (!keyring_unseal(vault->keyring, merchant, text_of(record->token), &record->sealed, card)) {
        answer_unknown(home, question, record->token, "does_not_open");
        return;
    }
    uint8_t identity[IDENTITY_BYTES];
    keyring_identity(vault->keyring, merchant, card, identity);
    const bool code =
        codes_take(vault->codes, text_of(question->cvc), identity, clock_mono_ms(), card->code);
    struct msg_card_revealed revealed = {
        .has = HAS_card_revealed_known | HAS_card_revealed_number | HAS_card_revealed_exp_month |
               HAS_card_revealed_exp_year | (code ? HAS_card_revealed_cvc : 0),
        .known = 1,
        .number = text_of(card->number),
        .exp_month = card->month,
        .exp_year = card->year,
        .cvc = text_of(card->code),
    };
    log_event(LOG_INFO, "card.revealed", "token=%s merchant=%s reference=%s to=%s code=%s",
              record->token, question->merchant, question->reference, question->revealed_to,
              code ? "yes" : "no");
    answer(home, MSG_card_revealed, &revealed);
    FAILPOINT_AFTER(home->link, vault_after_reveal);
    sodium_memzero(&revealed, sizeof revealed);
    sodium_memzero(card, sizeof *card);
}

static void
copy(char *out, size_t cap, struct text text)
{
    const size_t size = text.size < cap ? text.size : 0; /* too long is none of ours */
    if (size > 0) memcpy(out, text.at, size);
    out[size] = '\0';
}

static void
on_card_reveal(struct vault *vault, struct link *from, const struct packet *packet)
{
    struct msg_card_reveal ask;
    const struct return_address home = address_of(from, packet);
    const int64_t mono_ms = clock_mono_ms();
    if (!packet_decode(from, packet, MSG_card_reveal, &ask)) return;
    if (!reveal_is_allowed(vault, mono_ms)) {
        refuse(&home, "busy", "too many cards were revealed in this second");
        return;
    }
    struct reveal_question question;
    copy(question.merchant, sizeof question.merchant, ask.merchant);
    copy(question.reference, sizeof question.reference, ask.reference);
    copy(question.cvc, sizeof question.cvc, ask.has & HAS_card_reveal_cvc ? ask.cvc : TEXT(""));
    copy(question.revealed_to, sizeof question.revealed_to, text_of(packet->sender));

    const struct card_record *record = shelf_by_token(vault->shelf, ask.token);
    if (record) {
        reveal(vault, &home, &question, record);
        return;
    }
    struct asker *asker = asker_new(vault, &home);
    if (asker) {
        asker->kind = ASKER_REVEALS;
        asker->reveal = question;
        if (cabinet_find(vault->cabinet, (uint32_t)(asker - vault->askers), ask.token, mono_ms))
            return;
        asker_free(vault, asker);
    }
    refuse(&home, "busy", "too many cards are waited for");
}

/* --- what the cabinet says
 * ------------------------------------------------------------------------- */

static void
on_errand_end(void *state, uint32_t ticket, enum errand_end end, const struct card_record *record)
{
    struct vault *vault = state;
    struct asker *asker = &vault->askers[ticket];
    if (end == ERRAND_DONE) FAILPOINT(vault_after_keep);
    if (end == ERRAND_DONE) shelf_put(vault->shelf, record);

    if (end == ERRAND_FAILED)
        refuse(&asker->home, "busy", "the vault's database is out of reach");
    else if (asker->kind == ASKER_TOKENIZES)
        answer_token(&asker->home, &asker->tokenized, record->token);
    else if (end == ERRAND_DONE)
        reveal(vault, &asker->home, &asker->reveal, record);
    else
        answer_unknown(&asker->home, &asker->reveal, "unknown", "no_such_token");
    asker_free(vault, asker);
}

/* --- the loop
 * -------------------------------------------------------------------------------------- */

/* Two links, so that who may ask for a number is decided at the handshake: the gateway's key does
 * not get past it here. */
static void
on_tokenize_packet(void *state, struct link *from, const struct packet *packet)
{
    if (packet->number == MSG_card_tokenize)
        on_card_tokenize(state, from, packet);
    else
        log_event(LOG_WARNING, "packet.unexpected", "message=%u link=tokenize", packet->number);
}

static void
on_reveal_packet(void *state, struct link *from, const struct packet *packet)
{
    if (packet->number == MSG_card_reveal)
        on_card_reveal(state, from, packet);
    else
        log_event(LOG_WARNING, "packet.unexpected", "message=%u link=reveal", packet->number);
}

static int64_t
on_turn(void *state, int64_t mono_ms)
{
    struct vault *vault = state;
    codes_sweep(vault->codes, mono_ms);
    const int64_t wait_ms = cabinet_turn(vault->cabinet, mono_ms);
    const bool open = cabinet_is_open(vault->cabinet);
    if (loop_stopping(vault->loop)) {
        if (vault->asking == 0) loop_stop(vault->loop);
    } else {
        loop_set_state(vault->loop, open ? "serving" : "waiting", open ? "" : "Postgres");
    }
    return wait_ms;
}

struct vault *
vault_new(struct loop *loop)
{
    struct node *node = loop_node(loop);
    struct vault *vault = calloc(1, sizeof *vault);
    if (!vault) die("There is no memory for the vault.");
    vault->loop = loop;
    vault->keyring = keyring_open(node_home(node));
    vault->codes = codes_new(CODES_MAX);
    vault->shelf = shelf_new(SHELF_RECORDS);
    vault->cabinet = cabinet_new(loop, node_home(node), on_errand_end, vault);
    vault->plain = sodium_malloc(PLAIN_BYTES_MAX);
    vault->card = sodium_malloc((sizeof *vault->card + 15) & ~(size_t)15);
    if (!vault->plain || !vault->card) die("There is no memory that can be locked for cards.");
    if (crypto_scalarmult_base(vault->public_key, node_secret_key(node)) != 0)
        die("The vault's own key is of no use.");
    for (uint32_t i = 0; i < ASKERS_MAX; i++)
        vault->askers[i].next_free = i + 1;

    loop_bind(loop, LINK_vault_tokenize, on_tokenize_packet, vault);
    loop_bind(loop, LINK_vault_reveal, on_reveal_packet, vault);
    loop_on_turn(loop, on_turn, vault);
    return vault;
}

void
vault_destroy(struct vault **vault_p)
{
    struct vault *vault = *vault_p;
    *vault_p = NULL;
    if (!vault) return;
    cabinet_destroy(&vault->cabinet);
    shelf_destroy(&vault->shelf);
    codes_destroy(&vault->codes);
    keyring_destroy(&vault->keyring);
    sodium_free(vault->plain);
    sodium_free(vault->card);
    free(vault);
}
