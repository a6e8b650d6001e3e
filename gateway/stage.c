#include "stage.h"

#include "clock.h"
#include "id.h"
#include "loop.h"
#include "message.h"
#include "node.h"
#include "params.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000 };
static const uint8_t pepper[] = "0123456789abcdef0123456789abcdef";

static char home[64];
static int port;
static pid_t gateway;
static pthread_t players;
static atomic_int executed, tokenized, delay_ms;
static atomic_bool over;
static struct node *broker_node, *vault_node;
static struct loop *broker_loop, *vault_loop;

/* --- the players
 * ------------------------------------------------------------------------------------ */

static bool
is_hash_of(struct text hash, const char *key)
{
    uint8_t expected[32];
    crypto_generichash(expected, sizeof expected, (const uint8_t *)key, strlen(key), pepper, 32);
    return hash.size == 32 && memcmp(hash.at, expected, 32) == 0;
}

static void
on_key_find(struct link *from, const struct packet *packet, struct envelope envelope)
{
    struct msg_key_find find;
    if (!packet_decode(from, packet, MSG_key_find, &find)) return;
    const bool secret = is_hash_of(find.hash, SECRET_KEY);
    const bool publishable = is_hash_of(find.hash, PUBLISHABLE_KEY);
    const struct msg_key_found found = {.has = HAS_key_found_known | HAS_key_found_merchant |
                                               HAS_key_found_publishable | HAS_key_found_livemode,
                                        .known = secret || publishable,
                                        .merchant = TEXT("acct_test"),
                                        .publishable = publishable};
    link_send(from, envelope, MSG_key_found, &found);
}

static void
on_page_find(struct link *from, const struct packet *packet, struct envelope envelope)
{
    struct msg_page_find find;
    if (!packet_decode(from, packet, MSG_page_find, &find)) return;
    const bool known = text_is(find.session, PAGE_SESSION);
    const struct msg_page_found found = {.has = HAS_page_found_known |
                                                (known ? HAS_page_found_merchant : 0u),
                                         .known = known,
                                         .merchant = TEXT("acct_test")};
    link_send(from, envelope, MSG_page_found, &found);
}

/* Tells back what it was asked; a metadata[say] decides what kind of answer it is. */
static void
on_api_request(struct link *from, const struct packet *packet, struct envelope envelope)
{
    static char json[1 << 16];
    char hash[65] = "";
    struct msg_api_request request;
    if (!packet_decode(from, packet, MSG_api_request, &request)) return;
    const struct params params = {(const uint8_t *)request.params.at, request.params.size};
    assert(params_valid(params));
    assert(packet->slot == slot_of(request.merchant));
    const int count = atomic_fetch_add(&executed, 1) + 1;
    const struct text say = params_find(params, "metadata[say]");
    if (text_is(say, "nothing")) return;
    if (text_is(say, "unroutable")) {
        const struct msg_refused refused = {
            .has = HAS_refused_code | HAS_refused_reason, .code = say, .reason = TEXT("no worker")};
        link_send(from, envelope, MSG_refused, &refused);
        return;
    }
    for (int64_t end_ms = clock_mono_ms() + atomic_load(&delay_ms); clock_mono_ms() < end_ms;)
        poll(NULL, 0, 1);
    if (request.request_hash.at)
        sodium_bin2hex(hash, sizeof hash, (const uint8_t *)request.request_hash.at, 32);
    const int size = snprintf(
        json, sizeof json,
        "{\"count\":%d,\"route\":\"%.*s\",\"hash\":\"%s\",\"key\":\"%.*s\",\"cards\":%u,"
        "\"number\":%s,\"description\":\"%.*s\"}",
        count, (int)request.route.size, request.route.at, hash, (int)request.key.size,
        request.key.at ? request.key.at : "", request.cards.count,
        params_have(params, "card[number]") || params_have(params, "card[cvc]") ? "true" : "false",
        (int)params_find(params, "description").size,
        params_have(params, "description") ? params_find(params, "description").at : "");
    const struct msg_api_answer answer = {.has = HAS_api_answer_status | HAS_api_answer_body |
                                                 HAS_api_answer_stored,
                                          .status = 200,
                                          .body = {json, (size_t)size},
                                          .stored = request.has & HAS_api_request_key ? 1 : 0};
    link_send(from, envelope, MSG_api_answer, &answer);
}

static void
play_broker(void *state, struct link *from, const struct packet *packet)
{
    const struct envelope envelope = {
        .to = &packet->peer, .slot = packet->slot, .correlation = packet->correlation};
    const struct msg_health_told told = {.has = HAS_health_told_serving, .serving = 1};
    (void)state;
    if (packet->number == MSG_key_find) on_key_find(from, packet, envelope);
    if (packet->number == MSG_page_find) on_page_find(from, packet, envelope);
    if (packet->number == MSG_api_request) on_api_request(from, packet, envelope);
    if (packet->number == MSG_health) link_send(from, envelope, MSG_health_told, &told);
}

static void
refuse_card(struct link *from, struct envelope envelope, const char *code, const char *param)
{
    const struct msg_card_tokenized no = {.has = HAS_card_tokenized_code | HAS_card_tokenized_param,
                                          .code = text_of(code),
                                          .param = text_of(param)};
    link_send(from, envelope, MSG_card_tokenized, &no);
}

/* Takes pm_card_visa and numbers that end with 4242. */
static void
play_vault(void *state, struct link *from, const struct packet *packet)
{
    const struct envelope envelope = {.to = &packet->peer, .correlation = packet->correlation};
    struct msg_card_tokenize ask;
    (void)state;
    if (packet->number != MSG_card_tokenize ||
        !packet_decode(from, packet, MSG_card_tokenize, &ask))
        return;
    atomic_fetch_add(&tokenized, 1);
    if (ask.has & HAS_card_tokenize_test_name && !text_is(ask.test_name, "pm_card_visa")) {
        refuse_card(from, envelope, "resource_missing", "payment_method");
        return;
    }
    if (ask.has & HAS_card_tokenize_sealed) {
        uint8_t plain[512], key[32];
        struct msg_card_fields fields;
        const char *culprit;
        assert(node_public_key(vault_node, "vault-1", key));
        assert(crypto_box_seal_open(plain, (const uint8_t *)ask.sealed.at, ask.sealed.size, key,
                                    node_secret_key(vault_node)) == 0);
        assert(message_decode(MSG_card_fields, plain, ask.sealed.size - crypto_box_SEALBYTES,
                              &fields, &culprit) == MESSAGE_OK);
        if (fields.number.size < 4 ||
            memcmp(fields.number.at + fields.number.size - 4, "4242", 4) != 0) {
            refuse_card(from, envelope, "incorrect_number", "number");
            return;
        }
    }
    const struct msg_card card = {.has = HAS_card_token | HAS_card_fingerprint | HAS_card_brand |
                                         HAS_card_last4 | HAS_card_exp_month | HAS_card_exp_year |
                                         HAS_card_funding | HAS_card_country,
                                  .token = TEXT("card_0001"),
                                  .fingerprint = TEXT("fingerprint_0001"),
                                  .brand = TEXT("visa"),
                                  .last4 = TEXT("4242"),
                                  .exp_month = 12,
                                  .exp_year = 2034,
                                  .funding = TEXT("credit"),
                                  .country = TEXT("US")};
    struct msg_card_tokenized told = {.has = HAS_card_tokenized_cards};
    uint8_t bytes[512];
    assert(message_list_add(&told.cards, MSG_card, &card, bytes, sizeof bytes));
    link_send(from, envelope, MSG_card_tokenized, &told);
}

static void *
play(void *none)
{
    (void)none;
    while (!atomic_load(&over)) {
        loop_once(broker_loop, 1);
        loop_once(vault_loop, 1);
    }
    return NULL;
}

/* --- the stage
 * --------------------------------------------------------------------------------------- */

static void
write_file(const char *name, const void *bytes, size_t size)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", home, name);
    FILE *file = fopen(path, "w");
    assert(file);
    fchmod(fileno(file), 0600);
    fwrite(bytes, 1, size, file);
    fclose(file);
}

static int
free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const int failed =
        bind(fd, (struct sockaddr *)&at, size) || getsockname(fd, (struct sockaddr *)&at, &size);
    assert(!failed);
    close(fd);
    return ntohs(at.sin_port);
}

static void
start_gateway(void)
{
    gateway = fork();
    assert(gateway >= 0);
    if (gateway == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nothing behind */
        execl(FLORIN_GATEWAY, FLORIN_GATEWAY, "--home", home, "--name", "gateway-1", NULL);
        _exit(127);
    }
}

/* Until it answers, and has found the others. */
static void
wait_for_gateway(void)
{
    static struct reply reply;
    for (const int64_t end_ms = clock_mono_ms() + PATIENCE_MS;; poll(NULL, 0, 10)) {
        assert(clock_mono_ms() < end_ms);
        assert(waitpid(gateway, NULL, WNOHANG) == 0);
        stage_call("GET", "/health", "", NULL, &reply);
        if (reply.status == 200) return;
    }
}

void
stage_open(const char *conf)
{
    static const char *const names[] = {"broker-1", "vault-1", "gateway-1"};
    char words[1024];
    unsetenv("FLORIN_PORT");
    strcpy(home, "/tmp/florin-gateway-XXXXXX");
    assert(mkdtemp(home));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        node_make_keys(home, names[i]);
    snprintf(words, sizeof words, "%s/secrets", home);
    mkdir(words, 0700);
    write_file("secrets/api_pepper", pepper, 32);
    write_file("secrets/request_hash", pepper, 32);
    write_file("secrets/answer_mac", pepper, 32);
    port = free_port();
    const int size = snprintf(words, sizeof words, "port = %d\n%s", port, conf);
    write_file("florin.conf", words, (size_t)size);

    atomic_store(&over, false);
    broker_node = node_start(home, "broker-1");
    broker_loop = loop_new(broker_node);
    loop_bind(broker_loop, LINK_broker_front, play_broker, NULL);
    vault_node = node_start(home, "vault-1");
    vault_loop = loop_new(vault_node);
    loop_bind(vault_loop, LINK_vault_tokenize, play_vault, NULL);
    start_gateway();
    pthread_create(&players, NULL, play, NULL);
    wait_for_gateway();
    atomic_store(&executed, 0);
}

void
stage_close(void)
{
    char command[128];
    int status = 0;
    kill(gateway, SIGTERM);
    waitpid(gateway, &status, 0);
    atomic_store(&over, true);
    pthread_join(players, NULL);
    loop_destroy(&broker_loop);
    loop_destroy(&vault_loop);
    node_stop(&broker_node);
    node_stop(&vault_node);
    snprintf(command, sizeof command, "rm -rf %s", home);
    if (system(command) != 0) fprintf(stderr, "%s stays\n", home);
    assert(WIFEXITED(status) && WEXITSTATUS(status) == 0); /* a sanitizer would say otherwise */
}

const char *
stage_home(void)
{
    return home;
}

int
stage_port(void)
{
    return port;
}

pid_t
stage_gateway(void)
{
    return gateway;
}

const char *
stage_program(void)
{
    return FLORIN_GATEWAY;
}

int
stage_executed(void)
{
    return atomic_load(&executed);
}

int
stage_tokenized(void)
{
    return atomic_load(&tokenized);
}

void
stage_delay(int ms)
{
    atomic_store(&delay_ms, ms);
}

/* --- a client
 * ---------------------------------------------------------------------------------------- */

int
stage_connect(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) == 0) return fd;
    close(fd);
    return -1;
}

bool
stage_send(int fd, const void *bytes, size_t size)
{
    for (const char *at = bytes; size;) {
        const ssize_t count = send(fd, at, size, MSG_NOSIGNAL);
        if (count <= 0) return false;
        at += count;
        size -= (size_t)count;
    }
    return true;
}

/* False at the end, or when nothing comes in time. */
static bool
read_some(int fd, int64_t end_ms, char *at, size_t cap, size_t *size, bool *closed)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    const int64_t left_ms = end_ms - clock_mono_ms();
    if (left_ms <= 0 || poll(&pollfd, 1, (int)left_ms) <= 0) return false;
    const ssize_t count = recvfrom(fd, at + *size, cap - *size, 0, NULL, NULL);
    if (count <= 0) {
        *closed = true;
        return false;
    }
    *size += (size_t)count;
    at[*size] = '\0';
    return true;
}

void
stage_read(int fd, int ms, struct reply *reply)
{
    const int64_t end_ms = clock_mono_ms() + ms;
    size_t size = 0;
    memset(reply, 0, sizeof *reply);
    reply->body = "";
    const char *end = NULL;
    /* byte by byte up to the end of the head, so that a next answer stays where it is */
    while (!(end = strstr(reply->text, "\r\n\r\n")) && size < sizeof reply->text - 1)
        if (!read_some(fd, end_ms, reply->text, size + 1, &size, &reply->closed)) break;
    if (!end) return;
    reply->status = atoi(reply->text + strlen("HTTP/1.1 "));
    if (reply->status == 100) return;
    reply->body = end + 4;
    const size_t whole =
        (size_t)(reply->body - reply->text) + (size_t)atoi(reply_header(reply, "Content-Length"));
    assert(whole < sizeof reply->text);
    while (size < whole)
        if (!read_some(fd, end_ms, reply->text, whole, &size, &reply->closed)) break;
    char waste[64];
    size_t more = 0;
    if (strcmp(reply_header(reply, "Connection"), "close") == 0)
        read_some(fd, end_ms, waste, sizeof waste - 1, &more, &reply->closed);
}

void
stage_ask(const char *bytes, size_t size, struct reply *reply)
{
    const int fd = stage_connect();
    assert(fd >= 0);
    stage_send(fd, bytes, size);
    stage_read(fd, PATIENCE_MS, reply);
    close(fd);
}

const char *
reply_header(const struct reply *reply, const char *name)
{
    static char value[512];
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\r\n%s: ", name);
    const char *at = strstr(reply->text, wanted);
    if (!at || (*reply->body && at >= reply->body)) return "";
    at += strlen(wanted);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

void
stage_call(const char *method, const char *target, const char *headers, const char *body,
           struct reply *reply)
{
    const size_t cap = 1024 + strlen(target) + strlen(headers) + (body ? strlen(body) : 0);
    char *bytes = malloc(cap);
    assert(bytes);
    const int fd = stage_connect();
    memset(reply, 0, sizeof *reply);
    if (fd >= 0) {
        int size = snprintf(bytes, cap, "%s %s HTTP/1.1\r\nHost: a\r\n%s", method, target, headers);
        if (!strstr(headers, "Authorization"))
            size += snprintf(bytes + size, cap - (size_t)size, "Authorization: Bearer %s\r\n",
                             SECRET_KEY);
        if (body)
            size += snprintf(bytes + size, cap - (size_t)size, "Content-Length: %zu\r\n\r\n%s",
                             strlen(body), body);
        else
            size += snprintf(bytes + size, cap - (size_t)size, "\r\n");
        stage_send(fd, bytes, (size_t)size);
        stage_read(fd, PATIENCE_MS, reply);
        close(fd);
    }
    free(bytes);
}
