/* The real vault, its sockets and a Postgres of its own: all but the gateway and the network, which
 * the test plays. */
#include "vault.h"

#include "clock.h"
#include "home_for_tests.h"
#include "keyring.h"
#include "test_card.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/wait.h>

enum { PATIENCE_MS = 20000 };

/* --- a private Postgres for all tests of this binary
 * ------------------------------------------------ */

#define FOLDER \
    "FLORIN_TEST_VAULT_POSTGRES" /* tests are processes of their own: told by environment */

static pid_t server;

__attribute__((format(printf, 1, 2))) static void
shell(const char *format, ...)
{
    char command[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    if (system(command) == 0) return;
    fprintf(stderr, "vault_test: %s\n", command);
    exit(1);
}

static void
start_server(const char *program, const char *folder)
{
    char data[128];
    snprintf(data, sizeof data, "%s/data", folder);
    server = fork();
    if (server != 0) return;
    const int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, 1);
    dup2(nowhere, 2);
    /* As root it runs as another user, as Postgres demands; it ends with the tests in any case. */
    execlp("setpriv", "setpriv", "--pdeathsig=INT",
           geteuid() == 0 ? "--reuid=postgres" : "--inh-caps=-all",
           geteuid() == 0 ? "--regid=postgres" : "--inh-caps=-all",
           geteuid() == 0 ? "--clear-groups" : "--inh-caps=-all", program, "-D", data, "-k", folder,
           "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=30", (char *)NULL);
    _exit(127);
}

ReportHook(PRE_ALL)(struct criterion_test_set *set)
{
    static char folder[] = "/tmp/florin-vault-pg-XXXXXX";
    char program[256];
    glob_t found;
    (void)set;
    if (!mkdtemp(folder) || glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) != 0) exit(1);
    const char *bin = found.gl_pathv[found.gl_pathc - 1];
    setenv(FOLDER, folder, 1);
    if (geteuid() == 0) shell("chown postgres:postgres %s", folder);
    shell("%s %s/initdb -D %s/data -E UTF8 --locale=C -A trust -U postgres -N >/dev/null",
          geteuid() == 0 ? "setpriv --reuid=postgres --regid=postgres --clear-groups" : "", bin,
          folder);
    snprintf(program, sizeof program, "%s/postgres", bin);
    start_server(program, folder);
    shell("for i in $(seq 600); do %s/pg_isready -q -h %s && exit 0; sleep 0.05; done; exit 1", bin,
          folder);
    shell("%s/createdb -h %s -U postgres florin_vault", bin, folder);
    for (int times = 0; times < 2; times++) /* the file may be run again */
        shell("PGOPTIONS='-c client_min_messages=warning' %s/psql -h %s -U postgres -X -q -1"
              " -v ON_ERROR_STOP=1 -f %s/vault.sql florin_vault",
              bin, folder, FLORIN_ETC);
    globfree(&found);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    (void)stats;
    if (server > 0) {
        kill(server, SIGINT);
        waitpid(server, NULL, 0);
    }
    if (getenv(FOLDER)) shell("rm -rf %s", getenv(FOLDER));
}

/* "" when it works, else the SQLSTATE. The first value goes to `value`. */
static const char *
ask_postgres(const char *role, const char *sql, char *value, size_t value_size)
{
    static char state[8];
    char dsn[256];
    snprintf(dsn, sizeof dsn, "host=%s user=%s dbname=florin_vault", getenv(FOLDER), role);
    PGconn *connection = PQconnectdb(dsn);
    cr_assert(eq(int, PQstatus(connection), CONNECTION_OK));
    PGresult *result = PQexec(connection, sql);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    snprintf(state, sizeof state, "%s", sqlstate ? sqlstate : "");
    if (value_size > 0)
        snprintf(value, value_size, "%s", PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    PQfinish(connection);
    return state;
}

/* --- the processes
 * ------------------------------------------------------------------------------------ */

struct side {
    struct node *node;
    struct loop *loop;
    struct link *link;
    int count;
    struct {
        uint64_t correlation;
        uint16_t number;
        char code[64], param[64], token[64], fingerprint[17], brand[32], last4[5], funding[16];
        char country[3], cvc[64], attach_code[64], unsupported[128], digits[20];
        uint64_t exp_month, exp_year, known;
    } last;
};

static struct node *vault_node;
static struct loop *vault_loop;
static struct vault *vault;
static struct side gateway, network;
static char merchant[32], other_merchant[32]; /* of this test alone */

#define COPY(to, text) snprintf(to, sizeof to, "%.*s", (int)(text).size, (text).at ? (text).at : "")

static void
take_card(struct side *side, struct message_list *cards)
{
    struct msg_card card;
    enum message_verdict verdict;
    if (!message_next(cards, MSG_card, &card, &verdict)) return;
    COPY(side->last.token, card.token);
    COPY(side->last.fingerprint, card.fingerprint);
    COPY(side->last.brand, card.brand);
    COPY(side->last.last4, card.last4);
    COPY(side->last.funding, card.funding);
    COPY(side->last.country, card.country);
    COPY(side->last.cvc, card.cvc);
    COPY(side->last.attach_code, card.attach_code);
    COPY(side->last.unsupported, card.unsupported);
    side->last.exp_month = card.exp_month;
    side->last.exp_year = card.exp_year;
}

static void
on_packet(void *state, struct link *from, const struct packet *packet)
{
    struct side *side = state;
    struct msg_card_tokenized tokenized;
    struct msg_card_revealed revealed;
    struct msg_refused refused;
    memset(&side->last, 0, sizeof side->last);
    side->count++;
    side->last.correlation = packet->correlation;
    side->last.number = packet->number;
    switch (packet->number) {
    case MSG_card_tokenized:
        cr_assert(packet_decode(from, packet, MSG_card_tokenized, &tokenized));
        COPY(side->last.code, tokenized.code);
        COPY(side->last.param, tokenized.param);
        take_card(side, &tokenized.cards);
        break;
    case MSG_card_revealed:
        cr_assert(packet_decode(from, packet, MSG_card_revealed, &revealed));
        side->last.known = revealed.known;
        COPY(side->last.digits, revealed.number);
        COPY(side->last.cvc, revealed.cvc);
        side->last.exp_month = revealed.exp_month;
        side->last.exp_year = revealed.exp_year;
        break;
    case MSG_refused:
        cr_assert(packet_decode(from, packet, MSG_refused, &refused));
        COPY(side->last.code, refused.code);
        break;
    default: cr_assert(false, "another message");
    }
}

static void
connect_side(struct side *side, const char *name, enum link_number link)
{
    side->node = node_start(home, name);
    side->loop = loop_new(side->node);
    side->link = loop_connect(side->loop, link, 1, on_packet, side);
}

static void
write_settings(const char *postgres_folder)
{
    char words[256];
    snprintf(words, sizeof words, "postgres_dsn = host=%s\n", postgres_folder);
    write_in_home("florin.conf", words, 0600);
}

static void
start_vault(void)
{
    vault_node = node_start(home, "vault-1");
    vault_loop = loop_new(vault_node);
    vault = vault_new(vault_loop);
}

static void
stop_vault(void)
{
    vault_destroy(&vault);
    loop_destroy(&vault_loop);
    node_stop(&vault_node);
}

static void
start_all(void)
{
    static const char *const names[] = {"vault-1", "gateway-1", "network-1"};
    home_make();
    for (size_t i = 0; i < 3; i++)
        node_make_keys(home, names[i]);
    mkdir(in_home("secrets"), 0700);
    write_in_home("secrets/vault_master", "0123456789abcdef0123456789abcdef", 0600);
    write_in_home("secrets/vault_fingerprint", "fedcba9876543210fedcba9876543210", 0600);
    write_in_home("secrets/postgres_vault", "none\n", 0600);
    write_settings(getenv(FOLDER));
    snprintf(merchant, sizeof merchant, "acct_%d", (int)getpid());
    snprintf(other_merchant, sizeof other_merchant, "acct_%d_other", (int)getpid());
    start_vault();
    connect_side(&gateway, "gateway-1", LINK_vault_tokenize);
    connect_side(&network, "network-1", LINK_vault_reveal);
}

static void
stop_all(void)
{
    loop_destroy(&gateway.loop);
    node_stop(&gateway.node);
    loop_destroy(&network.loop);
    node_stop(&network.node);
    stop_vault();
    home_remove();
}

TestSuite(vault, .init = start_all, .fini = stop_all, .timeout = 100);

#define TURN_UNTIL(condition)                                                          \
    do {                                                                               \
        const int64_t end_ms = clock_mono_ms() + PATIENCE_MS;                          \
        while (!(condition)) {                                                         \
            cr_assert(clock_mono_ms() < end_ms, "waited in vain for: %s", #condition); \
            loop_once(gateway.loop, 1);                                                \
            loop_once(vault_loop, 1);                                                  \
            loop_once(network.loop, 1);                                                \
        }                                                                              \
    } while (0)

/* --- asking
 * ------------------------------------------------------------------------------------------- */

static void
ask(struct side *side, enum message_number number, const void *body)
{
    const struct envelope envelope = {.correlation = link_next_correlation()};
    TURN_UNTIL(link_send(side->link, envelope, number, body));
    TURN_UNTIL(side->last.correlation == envelope.correlation);
}

static void
tokenize(const char *whose, const char *number, int64_t month, int64_t year, const char *code)
{
    uint8_t plain[256], sealed[512], key[32];
    size_t size;
    const struct msg_card_fields fields = {
        .has = HAS_card_fields_number | HAS_card_fields_exp_month | HAS_card_fields_exp_year |
               (code ? HAS_card_fields_cvc : 0),
        .number = text_of(number),
        .exp_month = month,
        .exp_year = year,
        .cvc = text_of(code),
    };
    cr_assert(node_public_key(gateway.node, "vault-1", key));
    cr_assert(
        eq(int, message_encode(MSG_card_fields, &fields, plain, sizeof plain, &size), MESSAGE_OK));
    cr_assert(zero(int, crypto_box_seal(sealed, plain, size, key)));
    const struct msg_card_tokenize body = {
        .has = HAS_card_tokenize_merchant | HAS_card_tokenize_sealed,
        .merchant = text_of(whose),
        .sealed = {(const char *)sealed, size + crypto_box_SEALBYTES},
    };
    ask(&gateway, MSG_card_tokenize, &body);
}

static void
tokenize_named(const char *name)
{
    const struct msg_card_tokenize body = {
        .has = HAS_card_tokenize_merchant | HAS_card_tokenize_test_name,
        .merchant = text_of(merchant),
        .test_name = text_of(name),
    };
    ask(&gateway, MSG_card_tokenize, &body);
}

static void
reveal(const char *whose, const char *token, const char *cvc)
{
    const struct msg_card_reveal body = {
        .has = HAS_card_reveal_token | HAS_card_reveal_merchant | HAS_card_reveal_reference |
               (*cvc ? HAS_card_reveal_cvc : 0),
        .token = text_of(token),
        .merchant = text_of(whose),
        .reference = TEXT("att_0001"),
        .cvc = text_of(cvc),
    };
    ask(&network, MSG_card_reveal, &body);
}

#define EXPECT_WORD(word, expected) cr_expect(eq(str, (char *)(word), (char *)(expected)))

/* --- promises
 * ------------------------------------------------------------------------------------------- */

Test(vault, the_same_card_is_one_token_of_one_merchant)
{
    char token[64], fingerprint[17], sql[128], count[16];
    tokenize(merchant, "4999 9900 0000 0007", 7, 35, "123");
    EXPECT_WORD(gateway.last.code, "");
    EXPECT_WORD(gateway.last.brand, "visa");
    EXPECT_WORD(gateway.last.last4, "0007");
    EXPECT_WORD(gateway.last.funding, "credit");
    EXPECT_WORD(gateway.last.country, "US");
    EXPECT_WORD(gateway.last.attach_code, "");
    EXPECT_WORD(gateway.last.unsupported, "");
    cr_expect(eq(u64, gateway.last.exp_month, 7));
    cr_expect(eq(u64, gateway.last.exp_year, 2035));
    cr_expect(eq(int, strncmp(gateway.last.token, "card_", 5), 0));
    snprintf(token, sizeof token, "%s", gateway.last.token);
    snprintf(fingerprint, sizeof fingerprint, "%s", gateway.last.fingerprint);

    tokenize(merchant, "4999990000000007", 7, 2035, NULL);
    EXPECT_WORD(gateway.last.token, token);
    EXPECT_WORD(gateway.last.cvc, "");
    stop_vault(); /* and what it remembers */
    start_vault();
    tokenize(merchant, "4999990000000007", 7, 2035, "123");
    EXPECT_WORD(gateway.last.token, token);
    EXPECT_WORD(gateway.last.fingerprint, fingerprint);

    tokenize(merchant, "4999990000000007", 8, 2035, NULL);
    cr_expect(ne(str, gateway.last.token, token), "another expiry is another card");
    EXPECT_WORD(gateway.last.fingerprint, fingerprint);
    tokenize(other_merchant, "4999990000000007", 7, 2035, NULL);
    cr_expect(ne(str, gateway.last.token, token));
    cr_expect(ne(str, gateway.last.fingerprint, fingerprint));

    snprintf(sql, sizeof sql, "SELECT count(*) FROM card WHERE merchant = '%s'", merchant);
    EXPECT_WORD(ask_postgres("vault", sql, count, sizeof count), "");
    EXPECT_WORD(count, "2");
}

Test(vault, what_is_no_card_is_refused_by_the_field_at_fault)
{
    static const struct {
        const char *number;
        int64_t month, year;
        const char *cvc, *code, *param;
    } rows[] = {
        {"4999990000000008", 13, 2020, "1", "incorrect_number", "number"},
        {"abc", 12, 2035, NULL, "incorrect_number", "number"},
        {"4999990000000007", 13, 2020, "1", "invalid_expiry_month", "exp_month"},
        {"4999990000000007", 12, 2020, "1", "invalid_expiry_year", "exp_year"},
        {"4999990000000007", 12, 2035, "1", "invalid_cvc", "cvc"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tokenize(merchant, rows[i].number, rows[i].month, rows[i].year, rows[i].cvc);
        cr_expect(eq(int, gateway.last.number, MSG_card_tokenized));
        EXPECT_WORD(gateway.last.code, rows[i].code);
        EXPECT_WORD(gateway.last.param, rows[i].param);
        EXPECT_WORD(gateway.last.token, "");
    }
    tokenize_named("pm_card_nobody");
    EXPECT_WORD(gateway.last.code, "resource_missing");
    EXPECT_WORD(gateway.last.param, "payment_method");
}

Test(vault, what_was_not_sealed_for_it_is_refused)
{
    uint8_t noise[100];
    randombytes_buf(noise, sizeof noise);
    struct msg_card_tokenize body = {
        .has = HAS_card_tokenize_merchant | HAS_card_tokenize_sealed,
        .merchant = text_of(merchant),
        .sealed = {(const char *)noise, sizeof noise},
        .test_name = TEXT("pm_card_visa"),
    };
    ask(&gateway, MSG_card_tokenize, &body);
    EXPECT_WORD(gateway.last.code, "malformed");
    body.has |= HAS_card_tokenize_test_name; /* one or the other */
    ask(&gateway, MSG_card_tokenize, &body);
    EXPECT_WORD(gateway.last.code, "malformed");
    body.has = HAS_card_tokenize_merchant;
    ask(&gateway, MSG_card_tokenize, &body);
    EXPECT_WORD(gateway.last.code, "malformed");
}

Test(vault, every_test_card_is_known_by_name_and_by_number)
{
    for (size_t i = 0; i < test_card_count; i++) {
        const struct test_card *card = &test_cards[i];
        const struct test_effect_row *effect = test_effect(card->effect);
        char token[64] = "";
        int64_t year = 2035;
        if (*card->payment_method) {
            tokenize_named(card->payment_method);
            EXPECT_WORD(gateway.last.code, "");
            snprintf(token, sizeof token, "%s", gateway.last.token);
            year = (int64_t)gateway.last.exp_year;
            cr_expect(eq(int, *gateway.last.cvc != '\0', effect->code != CARD_CHECK_PASS));
        }
        if (*card->token) {
            tokenize_named(card->token);
            EXPECT_WORD(gateway.last.token, token);
        }
        tokenize(merchant, card->number, 12, year, NULL);
        if (card->effect == TEST_CARD_MISTYPED) {
            EXPECT_WORD(gateway.last.code, "incorrect_number");
            continue;
        }
        if (*token) EXPECT_WORD(gateway.last.token, token);
        EXPECT_WORD(gateway.last.brand, card_brand_name(card->brand));
        EXPECT_WORD(gateway.last.country, card->country);
        EXPECT_WORD(gateway.last.funding, card->funding);
        EXPECT_WORD(gateway.last.attach_code, effect->attaches ? "" : effect->decline);
        EXPECT_WORD(gateway.last.unsupported, effect->unsupported);
    }
}

Test(vault, a_card_is_revealed_to_its_merchants_authorization_and_its_code_once)
{
    char token[64], cvc[64];
    tokenize(merchant, "4999990000000007", 7, 2035, "123");
    snprintf(token, sizeof token, "%s", gateway.last.token);
    snprintf(cvc, sizeof cvc, "%s", gateway.last.cvc);
    cr_assert(ne(str, cvc, (char *)""));
    tokenize(merchant, "4999990000000015", 7, 2035, "456");

    reveal(other_merchant, token, cvc);
    cr_expect(zero(u64, network.last.known));
    EXPECT_WORD(network.last.digits, "");
    reveal(merchant, "card_nobody", cvc);
    cr_expect(zero(u64, network.last.known));
    reveal(merchant, token, gateway.last.cvc); /* another card's */
    cr_expect(eq(u64, network.last.known, 1));
    EXPECT_WORD(network.last.cvc, "");

    reveal(merchant, token, cvc);
    cr_expect(eq(u64, network.last.known, 1));
    EXPECT_WORD(network.last.digits, "4999990000000007");
    EXPECT_WORD(network.last.cvc, "123");
    cr_expect(eq(u64, network.last.exp_month, 7));
    cr_expect(eq(u64, network.last.exp_year, 2035));
    reveal(merchant, token, cvc);
    EXPECT_WORD(network.last.digits, "4999990000000007");
    EXPECT_WORD(network.last.cvc, "");

    stop_vault();
    start_vault();
    reveal(merchant, token, "");
    EXPECT_WORD(network.last.digits, "4999990000000007");
}

Test(vault, without_postgres_there_is_no_new_token_and_what_is_known_still_is)
{
    char token[64];
    tokenize(merchant, "4999990000000007", 7, 2035, NULL);
    snprintf(token, sizeof token, "%s", gateway.last.token);
    stop_vault();
    write_settings("/nonexistent");
    start_vault();
    tokenize(merchant, "4999990000000007", 7, 2035, NULL);
    cr_expect(eq(int, gateway.last.number, MSG_refused));
    EXPECT_WORD(gateway.last.code, "busy");
    reveal(merchant, token, "");
    cr_expect(eq(int, network.last.number, MSG_refused), "unknown would be a lie");

    write_settings(getenv(FOLDER));
    tokenize(merchant, "4999990000000007", 7, 2035, NULL);
    EXPECT_WORD(gateway.last.token, token);
}

Test(vault, a_batch_whose_connection_was_lost_is_sent_again)
{
    char killed[16];
    tokenize(merchant, "4999990000000007", 7, 2035, NULL);
    const char *kill_all = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                           " WHERE usename = 'vault' AND pid <> pg_backend_pid()";
    EXPECT_WORD(ask_postgres("postgres", kill_all, killed, sizeof killed), "");
    tokenize(merchant, "4999990000000015", 7, 2035, NULL);
    EXPECT_WORD(gateway.last.code, "");
    cr_expect(ne(str, gateway.last.token, (char *)""));
}

Test(vault, many_cards_at_once_are_each_kept_once)
{
    /* More than a batch, each card twice, and nobody waits for an answer in between. */
    enum { CARDS = 700 };
    char sql[128], count[16];
    tokenize_named("pm_card_visa"); /* connected */
    const int before = gateway.count;
    uint8_t key[32];
    cr_assert(node_public_key(gateway.node, "vault-1", key));
    for (int i = 0; i < 2 * CARDS; i++) {
        uint8_t plain[256], sealed[512];
        size_t size;
        char number[17];
        snprintf(number, sizeof number, "49999901%07d", i % CARDS);
        for (char digit = '0'; digit <= '9'; digit++) {
            number[15] = digit;
            number[16] = '\0';
            if (card_luhn_holds(text_of(number))) break;
        }
        const struct msg_card_fields fields = {
            .has = HAS_card_fields_number | HAS_card_fields_exp_month | HAS_card_fields_exp_year,
            .number = text_of(number),
            .exp_month = 12,
            .exp_year = 2040,
        };
        cr_assert(eq(int, message_encode(MSG_card_fields, &fields, plain, sizeof plain, &size),
                     MESSAGE_OK));
        cr_assert(zero(int, crypto_box_seal(sealed, plain, size, key)));
        const struct msg_card_tokenize body = {
            .has = HAS_card_tokenize_merchant | HAS_card_tokenize_sealed,
            .merchant = text_of(merchant),
            .sealed = {(const char *)sealed, size + crypto_box_SEALBYTES},
        };
        const struct envelope envelope = {.correlation = link_next_correlation()};
        TURN_UNTIL(link_send(gateway.link, envelope, MSG_card_tokenize, &body));
    }
    TURN_UNTIL(gateway.count == before + 2 * CARDS);
    cr_expect(eq(int, gateway.last.number, MSG_card_tokenized));
    snprintf(sql, sizeof sql, "SELECT count(*) FROM card WHERE merchant = '%s'", merchant);
    EXPECT_WORD(ask_postgres("vault", sql, count, sizeof count), "");
    EXPECT_WORD(count, "701");
}

Test(vault, its_role_may_add_and_read_and_nothing_else)
{
    static const char *const forbidden[] = {
        "UPDATE card SET merchant = 'acct_thief'",
        "DELETE FROM card",
        "TRUNCATE card",
        "DROP TABLE card",
        "CREATE TABLE mine (a int)",
        "ALTER TABLE card ADD COLUMN a int",
        "CREATE TEMP TABLE mine (a int)",
        "COPY card TO PROGRAM 'cat'",
        "SELECT pg_read_file('/etc/passwd')",
        "CREATE ROLE mine",
    };
    char value[64];
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        cr_expect(eq(str, (char *)ask_postgres("vault", forbidden[i], NULL, 0), (char *)"42501"),
                  "%s", forbidden[i]);
    EXPECT_WORD(ask_postgres("vault", "SELECT count(*) FROM card", value, sizeof value), "");
}
