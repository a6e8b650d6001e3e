/* The order of things in the gateway, through a gateway that runs: who may ask, what is taken, what
 * is done once, what reaches the vault, and how it ends. */
#include "stage.h"

#include "clock.h"
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct reply reply;

static void
open_stage(void)
{
    stage_open("request_timeout_ms = 1500\nredis_timeout_ms = 1000\n");
}

TestSuite(api, .init = open_stage, .fini = stage_close, .timeout = 100);

#define EXPECT_ERROR(number, words)                                     \
    do {                                                                \
        cr_expect(eq(int, reply.status, number), "%s", reply.text);     \
        cr_expect(strstr(reply.body, words) != NULL, "%s", reply.body); \
    } while (0)

Test(api, only_known_keys_are_let_in)
{
    static const struct {
        const char *header;
        int status;
        const char *words;
    } rows[] = {
        // clang-format off
        {"Authorization: Bearer sk_test_foobar\r\n", 401, "Invalid API Key provided: sk_test_***oobar"},
        {"Authorization: Bearer foo\r\n", 401, "Invalid API Key provided: ***"},
        {"Authorization: Basic Zm9v\r\n", 401, "malformed"},
        {"Authorization: \r\n", 401, "malformed"},
        {"Authorization: Basic c2tfdGVzdF9hYmNkZWZnaGlqOg==\r\n", 200, "balance_retrieve"},
        {"Authorization: Bearer " SECRET_KEY "\r\n", 200, "balance_retrieve"},
        {"Authorization: Bearer " PUBLISHABLE_KEY "\r\n", 403, "secret_key_required"},
        // clang-format on
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        stage_call("GET", "/v1/balance", rows[i].header, NULL, &reply);
        EXPECT_ERROR(rows[i].status, rows[i].words);
    }
    static const char none[] = "GET /v1/balance HTTP/1.1\r\nHost: a\r\n\r\n";
    stage_ask(none, sizeof none - 1, &reply);
    EXPECT_ERROR(401, "You did not provide an API key");
    stage_call("GET", "/v1/payment_intents/pi_1?client_secret=x",
               "Authorization: Bearer " PUBLISHABLE_KEY "\r\n", NULL, &reply);
    cr_expect(eq(int, reply.status, 200));
}

Test(api, answers_bear_the_headers_that_libraries_look_at)
{
    stage_call("POST", "/v1/customers", "Idempotency-Key: k1\r\nStripe-Version: 2024-06-20\r\n",
               "email=a", &reply);
    cr_expect(eq(int, reply.status, 200));
    cr_expect(strncmp(reply_header(&reply, "Request-Id"), "req_", 4) == 0);
    cr_expect(eq(str, (char *)reply_header(&reply, "Stripe-Version"), "2024-06-20"));
    cr_expect(eq(str, (char *)reply_header(&reply, "Idempotency-Key"), "k1"));
    cr_expect(eq(str, (char *)reply_header(&reply, "Content-Type"), "application/json"));
    cr_expect(strncmp(reply.body, "{\n  \"count\": 1,\n", 16) == 0, "%s", reply.body);
    stage_call("GET", "/v1/nothing", "", NULL, &reply);
    EXPECT_ERROR(404, "Unrecognized request URL (GET: /v1/nothing)");
    stage_call("GET", "/v1/balance", "Stripe-Version: latest\r\n", NULL, &reply);
    EXPECT_ERROR(400, "Invalid Stripe API version: latest");
    stage_call("GET", "/v1/balance", "Stripe-Account: acct_other\r\n", NULL, &reply);
    EXPECT_ERROR(403, "acct_other");
    stage_call("GET", "/v1/balance", "X-Forwarded-For: 1.2.3.4\r\n", NULL, &reply); /* H97 */
    cr_expect(eq(int, reply.status, 200));
}

Test(api, errors_list_their_keys_in_alphabetic_order)
{
    stage_call("POST", "/v1/customers", "", "foo=1", &reply);
    EXPECT_ERROR(400,
                 "{\n  \"error\": {\n    \"code\": \"parameter_unknown\",\n    \"doc_url\": "
                 "\"https://stripe.com/docs/error-codes/parameter-unknown\",\n    \"message\": "
                 "\"Received unknown parameter: foo\",\n    \"param\": \"foo\",\n    \"type\": "
                 "\"invalid_request_error\"\n  }\n}\n");
}

Test(api, bodies_are_forms_in_utf8)
{
    static const struct {
        const char *row, *headers, *body;
        int status;
        const char *words;
    } rows[] = {
        // clang-format off
        {"H95", "", "email=a", 200, "customer_create"},
        {"H95", "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n", "email=a", 200, "customer_create"},
        {"H95", "Content-Type: application/json\r\n", "{\"email\":\"a\"}", 400, "form-encoded"},
        {"H95", "Content-Type: multipart/form-data; boundary=x\r\n", "--x--", 400, "form-encoded"},
        {"H95", "Content-Type: application/x-www-form-urlencoded; charset=utf-16\r\n", "email=a", 400, "utf-16"},
        {"H95", "", "{\"email\":\"a\"}", 400, "parameter_unknown"},
        {"H96", "Content-Encoding: gzip\r\n", "\x1f\x8b", 415, "Content-Encoding"},
        {"H98", "", "email=%ff", 400, "UTF-8"},
        {"H98", "", "email=\xff", 400, "UTF-8"},
        {"H99", "", "email=%ed%a0%80", 400, "UTF-8"},
        {"H100", "", "email=%00", 400, "NUL"},
        {"H101", "", "email=a&email=b", 400, "given twice"},
        {"H102", "", "address=1&address[city]=x", 400, "both"},
        {"H103", "", "preferred_locales[9]=de&preferred_locales[3]=en", 200, "customer_create"},
        {"H104", "", "a[b][b][b][b][b][b][b][b][b][b]=1", 400, "too deep"},
        {"H108", "", "a[b=1", 400, "malformed"},
        {"H109", "", "=1", 400, "malformed"},
        {"H110", "", "__proto__[x]=1", 400, "parameter_unknown"},
        {"H111", "", "foo=1", 400, "parameter_unknown"},
        {"H112", "", "livemode=true", 400, "parameter_unknown"},
        {"H114", "", "metadata[x]=4242424242424" "242", 400, "card number"},
        // clang-format on
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        stage_call("POST", "/v1/customers", rows[i].headers, rows[i].body, &reply);
        cr_expect(eq(int, reply.status, rows[i].status), "%s %s: %s", rows[i].row, rows[i].body,
                  reply.body);
        cr_expect(strstr(reply.body, rows[i].words) != NULL, "%s %s: %s", rows[i].row, rows[i].body,
                  reply.body);
    }
    stage_call("POST", "/v1/customers?email=a", "", "name=b", &reply);
    cr_expect(eq(int, reply.status, 200));
    stage_call("POST", "/v1/customers?email=a", "", "email=b", &reply);
    EXPECT_ERROR(400, "given twice");
    stage_call("GET", "/v1/payment_intents?limit=3&created[gte]=5&expand[0]=data.customer", "",
               NULL, &reply);
    cr_expect(eq(int, reply.status, 200));
}

Test(api, long_forms_are_refused_quickly)
{
    char *big = malloc(1100000);
    size_t size = 0;
    for (int i = 0; i < 100000; i++) /* H105 */
        size += (size_t)sprintf(big + size, "a%d=1&", i);
    stage_call("POST", "/v1/customers", "", big, &reply);
    EXPECT_ERROR(400, "too many parameters");
    memset(big, 'v', 1000000); /* H106 */
    memcpy(big, "description=", 12);
    big[1000000] = '\0';
    stage_call("POST", "/v1/customers", "", big, &reply);
    EXPECT_ERROR(400, "at most 5000 characters");
    memset(big, 'k', 10240); /* H107 */
    strcpy(big + 10240, "=1");
    stage_call("POST", "/v1/customers", "", big, &reply);
    EXPECT_ERROR(400, "too long");
    free(big);
    cr_expect(eq(int, stage_executed(), 0));
}

Test(api, idempotency_keys_are_texts_of_some_length)
{
    char header[512];
    stage_call("POST", "/v1/customers", "Idempotency-Key: \r\n", "", &reply); /* H84 */
    EXPECT_ERROR(400, "Idempotency Key must be a non-empty string.");
    sprintf(header, "Idempotency-Key: ");
    memset(header + strlen(header), 'k', 256); /* H85 */
    strcpy(header + 17 + 256, "\r\n");
    stage_call("POST", "/v1/customers", header, "", &reply);
    EXPECT_ERROR(400, "255");
    strcpy(header + 17 + 255, "\r\n");
    stage_call("POST", "/v1/customers", header, "", &reply);
    cr_expect(eq(int, reply.status, 200));
    stage_call("POST", "/v1/customers", "Idempotency-Key: a b \xc3\xa9\r\n", "", &reply); /* H86 */
    cr_expect(eq(int, reply.status, 200));
    stage_call("POST", "/v1/customers", "Idempotency-Key: a\xff\r\n", "", &reply);
    EXPECT_ERROR(400, "UTF-8");
    stage_call("POST", "/v1/customers", "Idempotency-Key: a\r\nIdempotency-Key: a\r\n", "",
               &reply); /* H83 */
    cr_expect(eq(int, reply.status, 400));
    stage_call("POST", "/v1/customers",
               "Idempotency-Key: 4242424242424"
               "242\r\n",
               "", &reply); /* H133 */
    cr_expect(eq(int, reply.status, 200));
    cr_expect(strstr(reply.body, "\"key\": \"hashed:") != NULL,
              "nobody behind the gateway sees it");
    cr_expect(eq(str, (char *)reply_header(&reply, "Idempotency-Key"),
                 "4242424242424"
                 "242"));
    stage_call("GET", "/v1/customers", "Idempotency-Key: k\r\n", NULL, &reply); /* H92 */
    cr_expect(eq(int, reply.status, 200));
    cr_expect(strstr(reply.body, "\"key\": \"\"") != NULL);
}

static const char *
hash_of(const char *target, const char *body)
{
    static char hashes[2][65];
    static int next;
    stage_call("POST", target, "", body, &reply);
    cr_assert(eq(int, reply.status, 200));
    const char *at = strstr(reply.body, "\"hash\": \"");
    cr_assert(at != NULL);
    next = !next;
    snprintf(hashes[next], 65, "%s", at + 9);
    return hashes[next];
}

Test(api, the_same_request_has_one_hash_however_it_is_written) /* H88 to H90 */
{
    cr_expect(strcmp(hash_of("/v1/customers", "email=a&name=b"),
                     hash_of("/v1/customers", "name=b&email=%61")) == 0);
    cr_expect(strcmp(hash_of("/v1/customers", "email=a"), hash_of("/v1/customers?email=a", "")) ==
              0);
    cr_expect(strcmp(hash_of("/v1/customers", "email=a"), hash_of("/v1/customers", "email=b")) !=
              0);
    cr_expect(strcmp(hash_of("/v1/customers", ""), hash_of("/v1/customers/cus_1", "")) != 0);
}

/* --- cards
 * -------------------------------------------------------------------------------------------- */

#define NUMBER     \
    "424242424242" \
    "4242"

Test(api, a_card_goes_to_the_vault_and_its_token_to_the_worker)
{
    stage_call("POST", "/v1/payment_methods", "",
               "type=card&card[number]=" NUMBER
               "&card[exp_month]=12&card[exp_year]=34&card[cvc]=123",
               &reply);
    cr_expect(eq(int, reply.status, 200), "%s", reply.body);
    cr_expect(strstr(reply.body, "\"number\": false") != NULL);
    cr_expect(strstr(reply.body, "\"cards\": 1") != NULL);
    stage_call("POST", "/v1/payment_methods", "",
               "type=card&card[number]=4242424242424241&card[exp_month]=12&card[exp_year]=34",
               &reply);
    EXPECT_ERROR(402, "Your card number is incorrect.");
    cr_expect(strstr(reply.body, "\"param\": \"number\"") != NULL);
    cr_expect(strstr(reply.body, "card_error") != NULL);
    stage_call("POST", "/v1/payment_methods", "", "type=card&card[number]=" NUMBER, &reply);
    EXPECT_ERROR(400, "Missing required param: card[exp_month].");
    cr_expect(eq(int, stage_executed(), 1));
}

Test(api, a_test_name_is_asked_for_once)
{
    for (int i = 0; i < 3; i++) {
        stage_call("POST", "/v1/payment_intents", "",
                   "amount=1000&currency=usd&payment_method=pm_card_visa", &reply);
        cr_expect(eq(int, reply.status, 200));
        cr_expect(strstr(reply.body, "\"cards\": 1") != NULL);
    }
    cr_expect(eq(int, stage_tokenized(), 1));
    stage_call("POST", "/v1/payment_intents", "",
               "amount=1000&currency=usd&payment_method=pm_card_x", &reply);
    EXPECT_ERROR(400, "No such PaymentMethod: 'pm_card_x'");
    cr_expect(strstr(reply.body, "resource_missing") != NULL);
    stage_call("POST", "/v1/payment_methods/pm_card_visa/attach", "", "customer=cus_1", &reply);
    cr_expect(strstr(reply.body, "\"cards\": 1") != NULL);
}

/* --- failures
 * ----------------------------------------------------------------------------------------- */

Test(api, who_is_not_answered_is_told_whether_to_try_again)
{
    stage_call("POST", "/v1/customers", "", "metadata[say]=unroutable", &reply);
    cr_expect(eq(int, reply.status, 503));
    cr_expect(eq(str, (char *)reply_header(&reply, "Stripe-Should-Retry"), "true"));
    cr_expect(eq(str, (char *)reply_header(&reply, "Retry-After"), "1"));
    stage_call("POST", "/v1/customers", "", "metadata[say]=nothing", &reply);
    cr_expect(eq(int, reply.status, 504));
    cr_expect(eq(str, (char *)reply_header(&reply, "Stripe-Should-Retry"), "true"));
    stage_call("GET", "/health", "", NULL, &reply);
    cr_expect(eq(int, reply.status, 200));
    cr_expect(eq(str, (char *)reply.body, "{\n  \"status\": \"serving\"\n}\n"));
}

static void *
one_call(void *status)
{
    static _Thread_local struct reply mine;
    stage_call("GET", "/v1/customers", "", NULL, &mine);
    *(int *)status = mine.status;
    return NULL;
}

Test(api, what_is_under_way_is_answered_before_the_process_ends)
{
    pthread_t threads[20];
    int statuses[20] = {0};
    stage_delay(20);
    for (size_t i = 0; i < 20; i++)
        pthread_create(&threads[i], NULL, one_call, &statuses[i]);
    while (stage_executed() < 2)
        poll(NULL, 0, 1);
    kill(stage_gateway(), SIGTERM);
    for (size_t i = 0; i < 20; i++) {
        pthread_join(threads[i], NULL);
        cr_expect(statuses[i] == 200 || statuses[i] == 503 || statuses[i] == 0, "%d", statuses[i]);
    }
    cr_expect(eq(int, statuses[0] == 200 || statuses[1] == 200 || stage_executed() >= 2, 1));
}

Test(api, a_gateway_that_leaves_does_not_wait_for_what_comes_meanwhile)
{
    static const char part[] = "GET /v1/customers HT"; /* and no more of it: always one is open */
    pthread_t thread;
    int status = 0, fds[400];
    size_t count = 0;
    siginfo_t ended = {0};
    stage_delay(300);
    pthread_create(&thread, NULL, one_call, &status);
    while (stage_executed() < 1)
        poll(NULL, 0, 1);
    kill(stage_gateway(), SIGTERM);
    do
        stage_call("GET", "/v1/customers", "", NULL, &reply);
    while (reply.status == 200);
    const int64_t end_ms = clock_mono_ms() + 6000; /* it would give up by itself after 25 s */
    while (ended.si_pid == 0 && clock_mono_ms() < end_ms && count < 400) {
        fds[count] = stage_connect();
        if (fds[count] >= 0) (void)stage_send(fds[count++], part, sizeof part - 1);
        poll(NULL, 0, 20);
        waitid(P_PID, (id_t)stage_gateway(), &ended, WEXITED | WNOHANG | WNOWAIT);
    }
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
    pthread_join(thread, NULL);
    cr_expect(eq(int, ended.si_pid, stage_gateway()));
    cr_expect(eq(int, status, 200));
}

static void *
unanswered_call(void *status)
{
    static _Thread_local struct reply mine;
    stage_call("POST", "/v1/customers", "", "metadata[say]=nothing", &mine);
    *(int *)status = mine.status;
    return NULL;
}

static void
open_patient_stage(void)
{
    stage_open("request_timeout_ms = 60000\n");
}

Test(leaving, an_answer_that_does_not_come_is_not_awaited_for_as_long_as_a_request_may_take,
     .init = open_patient_stage, .fini = stage_close, .timeout = 100)
{
    pthread_t thread;
    int status = 0;
    siginfo_t ended = {0};
    pthread_create(&thread, NULL, unanswered_call, &status);
    while (stage_executed() < 1)
        poll(NULL, 0, 1);
    const int64_t end_ms = clock_mono_ms() + 20000; /* it would give up by itself after 25 s */
    kill(stage_gateway(), SIGTERM);
    while (ended.si_pid == 0 && clock_mono_ms() < end_ms) {
        poll(NULL, 0, 20);
        waitid(P_PID, (id_t)stage_gateway(), &ended, WEXITED | WNOHANG | WNOWAIT);
    }
    pthread_join(thread, NULL);
    cr_expect(eq(int, ended.si_pid, stage_gateway()));
    cr_expect(eq(int, status, 504));
}

/* --- Redis
 * -------------------------------------------------------------------------------------------- */

static pid_t
start_redis(void)
{
    char path[300], dir[256];
    snprintf(dir, sizeof dir, "%s/run", stage_home());
    snprintf(path, sizeof path, "%s/redis.sock", dir);
    const pid_t redis = fork();
    if (redis == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!freopen("/dev/null", "w", stdout)) _exit(126);
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path, "--save", "",
               "--dir", dir, NULL);
        _exit(127);
    }
    return redis;
}

Test(api, a_finished_answer_is_replayed_from_redis_and_no_worker_asked)
{
    const pid_t redis = start_redis();
    const int64_t end_ms = clock_mono_ms() + 10000;
    char header[64], first[64];
    for (int i = 0;; i++) { /* until the gateway has found it */
        cr_assert(clock_mono_ms() < end_ms);
        snprintf(header, sizeof header, "Idempotency-Key: try-%d\r\n", i);
        stage_call("POST", "/v1/customers", header, "email=a", &reply);
        cr_assert(eq(int, reply.status, 200));
        snprintf(first, sizeof first, "%s", reply_header(&reply, "Request-Id"));
        poll(NULL, 0, 20);
        stage_call("POST", "/v1/customers", header, "email=a", &reply);
        cr_assert(eq(int, reply.status, 200));
        if (*reply_header(&reply, "Idempotent-Replayed")) break;
    }
    cr_expect(eq(str, (char *)reply_header(&reply, "Original-Request"), first));
    cr_expect(strcmp(reply_header(&reply, "Request-Id"), first) != 0);
    const int before = stage_executed();
    stage_call("POST", "/v1/customers", header, "email=b", &reply); /* H89 */
    EXPECT_ERROR(400, "idempotency_error");
    stage_call("POST", "/v1/customers/cus_1", header, "email=a", &reply); /* H88 */
    EXPECT_ERROR(400, "idempotency_error");
    cr_expect(eq(int, stage_executed(), before));

    kill(redis, SIGKILL); /* and without it all goes on */
    waitpid(redis, NULL, 0);
    stage_call("POST", "/v1/customers", header, "email=a", &reply);
    cr_expect(eq(int, reply.status, 200));
    cr_expect(eq(int, stage_executed(), before + 1));
}

/* --- the start
 * ---------------------------------------------------------------------------------------- */

Test(api, a_port_that_is_taken_is_one_sentence_and_exit_1)
{
    char command[512], line[1024] = "";
    snprintf(command, sizeof command, "%s --home %s --name gateway-1 2>&1", stage_program(),
             stage_home());
    FILE *pipe = popen(command, "r");
    cr_assert(pipe != NULL);
    while (fgets(line, sizeof line, pipe))
        if (strstr(line, "cannot listen")) break;
    cr_expect(strstr(line, "Address already in use") != NULL, "%s", line);
    cr_expect(eq(int, WEXITSTATUS(pclose(pipe)), 1));
}

Test(api, pages_of_other_origins_may_do_what_publishable_keys_may)
{
    static const struct {
        const char *method, *path, *headers;
        int status;
        const char *origin;
    } rows[] = {
        // clang-format off
        {"OPTIONS", "/v1/payment_methods", "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n", 204, "*"},
        {"OPTIONS", "/v1/payment_intents/pi_1/confirm", "Origin: null\r\nAccess-Control-Request-Method: POST\r\n", 204, "*"},
        {"OPTIONS", "/v1/payment_methods", "Origin: https://a.example\r\n", 405, ""},
        {"OPTIONS", "/v1/payment_methods", "Access-Control-Request-Method: POST\r\n", 405, ""},
        {"OPTIONS", "/v1/payment_methods", "Origin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n", 405, ""},
        {"OPTIONS", "/v1/balance", "Origin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n", 405, ""},
        {"OPTIONS", "/v1/payment_pages/" PAGE_SESSION, "Origin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n", 405, ""},
        {"GET", "/v1/payment_intents/pi_1?client_secret=x", "Origin: https://a.example\r\nAuthorization: Bearer " PUBLISHABLE_KEY "\r\n", 200, "*"},
        {"GET", "/v1/payment_intents/pi_1?client_secret=x", "Authorization: Bearer " PUBLISHABLE_KEY "\r\n", 200, ""},
        {"GET", "/v1/payment_intents/pi_1?client_secret=x", "Origin: https://a.example\r\nAuthorization: Bearer pk_test_unknown\r\n", 401, "*"},
        {"GET", "/v1/payment_intents/pi_1?client_secret=x", "Origin: https://a.example\r\n", 200, ""}, /* the secret key */
        {"GET", "/v1/balance", "Origin: https://a.example\r\nAuthorization: Bearer " PUBLISHABLE_KEY "\r\n", 403, ""},
        // clang-format on
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        stage_call(rows[i].method, rows[i].path, rows[i].headers, NULL, &reply);
        cr_expect(eq(int, reply.status, rows[i].status), "%s %s: %s", rows[i].method, rows[i].path,
                  reply.text);
        cr_expect(eq(str, (char *)reply_header(&reply, "Access-Control-Allow-Origin"),
                     (char *)rows[i].origin),
                  "%s %s", rows[i].method, rows[i].path);
    }
}

Test(api, a_checkout_page_is_let_in_by_its_sessions_id)
{
    static const char none[] = "GET /v1/payment_pages/" PAGE_SESSION " HTTP/1.1\r\nHost: a\r\n\r\n";
    stage_ask(none, sizeof none - 1, &reply);
    EXPECT_ERROR(200, "payment_page_retrieve");
    stage_call("GET", "/v1/payment_pages/cs_test_unknown", "", NULL, &reply);
    EXPECT_ERROR(404, "There is no such page.");
    stage_call("GET", "/v1/payment_pages/pi_1", "", NULL, &reply);
    EXPECT_ERROR(404, "There is no such page.");
    const int before = stage_tokenized();
    stage_call("POST", "/v1/payment_pages/" PAGE_SESSION "/confirm", "",
               "payment_method_data[type]=card&payment_method_data[card][number]=4242424242424242"
               "&payment_method_data[card][exp_month]=12&payment_method_data[card][exp_year]=34"
               "&payment_method_data[card][cvc]=123&email=a@b.c",
               &reply);
    EXPECT_ERROR(200, "payment_page_confirm");
    cr_expect(eq(int, stage_tokenized(), before + 1), "the card goes to the vault");
    cr_expect(strstr(reply.body, "\"number\": false") != NULL, "and nowhere else: %s", reply.body);
}

Test(api, pages_are_served_from_memory_and_trust_nobody)
{
    stage_call("GET", "/pay/" PAGE_SESSION, "", NULL, &reply);
    cr_expect(eq(int, reply.status, 200));
    const char *policy = reply_header(&reply, "Content-Security-Policy");
    cr_expect(strstr(policy, "default-src 'none'") != NULL, "%s", policy);
    cr_expect(eq(ptr, strstr(policy, "unsafe"), NULL), "%s", policy);
    cr_expect(eq(str, (char *)reply_header(&reply, "Referrer-Policy"), "no-referrer"));
    cr_expect(eq(ptr, strstr(reply.body, "http://"), NULL), "no third party");
    cr_expect(eq(ptr, strstr(reply.body, "https://"), NULL), "no third party");
    cr_expect(eq(ptr, strstr(reply.body, "<script>"), NULL), "no script in the page");
    cr_expect(eq(ptr, strstr(reply.body, " style="), NULL), "no style in the page");
    stage_call("GET", "/florin.js", "", NULL, &reply);
    cr_expect(eq(int, reply.status, 200));
    cr_expect(eq(str, (char *)reply_header(&reply, "Access-Control-Allow-Origin"), "*"));
    cr_expect(
        eq(str, (char *)reply_header(&reply, "Content-Type"), "text/javascript; charset=utf-8"));
    stage_call("GET", "/pay/a/b", "", NULL, &reply);
    cr_expect(eq(int, reply.status, 404));
    stage_call("GET", "/pay/", "", NULL, &reply);
    cr_expect(eq(int, reply.status, 404));
    stage_call("POST", "/florin.js", "", NULL, &reply);
    cr_expect(eq(int, reply.status, 404));
}
