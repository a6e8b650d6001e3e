/* paths: the pure paths of a payment, one a run, so that their instructions can be counted.
 *
 *     paths NAME COUNT        runs it COUNT times on the same input
 *
 * run.sh runs each twice under callgrind, with two counts: the difference is what one more costs,
 * whatever starting the program does. Nothing here reads a clock or chance. */
#include "commit_maker.h"
#include "form.h"
#include "json_writer.h"
#include "message.h"
#include "payment_intent.h"
#include "route.h"
#include "row_compact.h"
#include "writing.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char body[] =
    "amount=2000&currency=usd&payment_method=pm_card_visa&payment_method_types[]=card&confirm=true"
    "&metadata[order]=4711&description=Two+loaves+of+bread";
static uint8_t block[8192];
static struct params params;

static void
form_parsing(void)
{
    char culprit[129];
    const enum form_verdict verdict = form_parse(
        body, sizeof body - 1, block, form_block_size(body, sizeof body - 1), &params, culprit);
    assert(verdict == FORM_OK);
}

static void
validation(void)
{
    static const struct route *route;
    struct param_error error;
    struct text object;
    if (!route) {
        form_parsing();
        route = route_find(HTTP_POST, TEXT("/v1/payment_intents"), &object);
    }
    const bool fine = route_check(route, params, &error);
    assert(fine);
}

static void
state_step(void)
{
    const struct payment_intent now = {.state = PI_PROCESSING};
    struct payment_intent next;
    uint32_t effects;
    const enum pi_verdict verdict = pi_step(&now, ON_PAID, 2000, &next, &effects);
    assert(verdict == PI_OK && next.state == PI_SUCCEEDED);
}

static struct msg_api_request
request(void)
{
    if (!params.at) form_parsing();
    return (struct msg_api_request){
        .has = HAS_api_request_merchant | HAS_api_request_request | HAS_api_request_route |
               HAS_api_request_params | HAS_api_request_request_hash | HAS_api_request_path |
               HAS_api_request_publishable | HAS_api_request_livemode,
        .merchant = TEXT("acct_0VbklJKm033BHwz2EDRflTyv"),
        .request = TEXT("req_0VbklJKm033BHwz2EDRflTyv"),
        .route = TEXT("payment_intent_create"),
        .params = {(const char *)params.at, params.size},
        .request_hash = TEXT("0123456789abcdef0123456789abcdef"),
        .path = TEXT("POST /v1/payment_intents"),
    };
}

static uint8_t packed[16384];
static size_t packed_size;

static void
message_encoding(void)
{
    const struct msg_api_request message = request();
    const enum message_verdict verdict =
        message_encode(MSG_api_request, &message, packed, sizeof packed, &packed_size);
    assert(verdict == MESSAGE_OK);
}

static void
message_decoding(void)
{
    struct msg_api_request message;
    const char *culprit;
    if (!packed_size) message_encoding();
    const enum message_verdict verdict =
        message_decode(MSG_api_request, packed, packed_size, &message, &culprit);
    assert(verdict == MESSAGE_OK);
}

static struct row_payment_intent
intent(void)
{
    struct row_payment_intent row;
    row_clear(ROW_payment_intent, &row);
    row.id = TEXT("pi_0VbklJbgFmHBHAaKB0YGkYbw");
    row.merchant = TEXT("acct_0VbklJKm033BHwz2EDRflTyv");
    row.status = TEXT("succeeded");
    row.amount = row.amount_received = 2000;
    row.currency = TEXT("usd");
    row.metadata = TEXT("{\"order\":\"4711\"}");
    return row;
}

static void
row_packing(void)
{
    uint8_t bytes[4096];
    size_t size;
    const struct row_payment_intent row = intent();
    struct row_payment_intent again;
    const bool packs = row_encode(ROW_payment_intent, &row, bytes, sizeof bytes, &size);
    const bool unpacks = packs && row_decode(ROW_payment_intent, bytes, size, &again);
    assert(unpacks);
}

static void
row_keeping(void)
{
    char kept[4096];
    const struct row_payment_intent row = intent();
    struct row_payment_intent again;
    const size_t used = row_compact(ROW_payment_intent, &row, kept, sizeof kept);
    assert(used);
    row_expand(ROW_payment_intent, kept, &again);
}

static void
json_writing(void)
{
    static char out[4096], pretty[8192];
    struct json_writer w;
    json_writer_init(&w, out, sizeof out);
    json_open(&w);
    json_string(&w, "id", "pi_0VbklJbgFmHBHAaKB0YGkYbw");
    json_string(&w, "object", "payment_intent");
    for (int i = 0; i < 20; i++) {
        json_integer(&w, "amount", 2000 + i);
        json_text(&w, "description", TEXT("Two \"loaves\" of bread, \xc3\xa9t\xc3\xa9"));
        json_null(&w, "customer");
    }
    json_close(&w);
    assert(!w.full);
    const size_t size = json_pretty(json_writer_text(&w), pretty, sizeof pretty);
    assert(size && size < sizeof pretty);
}

/* What the ledger does with a commit before Postgres is asked: read and checked, and its sums. */
static void
ledger_posting(void)
{
    static struct row_payment_intent row;
    static struct text bytes;
    char reason[128];
    if (!bytes.at) {
        row = intent();
        row.merchant = TEXT(TEST_MERCHANT);
        row.version = 1;
        const struct wish wish = {
            .claim = 1,
            .key = "order-4711",
            .rows = {{ROW_payment_intent, 0, &row}},
            .postings = {{"charge", "ch_1", {{1, 2000}, {2, -1912}, {5, -88}}}},
            .events = {"evt_1", "evt_2"},
        };
        bytes = wish_bytes(&wish);
    }
    const struct command_origin origin = {TEST_SENDER, slot_of(TEXT(TEST_MERCHANT)), {0}};
    struct command *c =
        command_read((const uint8_t *)bytes.at, bytes.size, &origin, reason, sizeof reason);
    if (!c) fprintf(stderr, "%s\n", reason);
    assert(c);
    struct command *const commands[] = {c};
    const struct writing writing = {.commands = commands, .count = 1};
    const bool fits = writing_fits(&writing);
    assert(fits);
    command_destroy(&c);
}

static const struct {
    const char *name;
    void (*run)(void);
} paths[] = {
    {"form_parsing", form_parsing},
    {"validation", validation},
    {"state_step", state_step},
    {"message_encoding", message_encoding},
    {"message_decoding", message_decoding},
    {"row_packing", row_packing},
    {"row_keeping", row_keeping},
    {"json_writing", json_writing},
    {"ledger_posting", ledger_posting},
};

int
main(int argc, char **argv)
{
    for (size_t i = 0; argc == 3 && i < sizeof paths / sizeof paths[0]; i++)
        if (strcmp(argv[1], paths[i].name) == 0) {
            for (long left = strtol(argv[2], NULL, 10); left > 0; left--)
                paths[i].run();
            return 0;
        }
    if (argc == 1)
        for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
            puts(paths[i].name);
    return argc != 1;
}
