/* Limits, through a gateway that runs: without Redis, with it, and when it goes. */
#include "stage.h"

#include "clock.h"
#include "node.h"
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <hiredis/hiredis.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(limits, .fini = stage_close, .timeout = 100);

static struct reply reply;

static int
ask(const char *headers)
{
    stage_call("GET", "/v1/balance", headers, NULL, &reply);
    return reply.status;
}

static void
expect_limited(const char *whose)
{
    cr_expect(eq(int, reply.status, 429), "%s", reply.text);
    cr_expect(strstr(reply.body, "\"code\": \"rate_limit\"") != NULL, "%s", reply.body);
    cr_expect(strstr(reply.body, whose) != NULL, "%s", reply.body);
    cr_expect(eq(str, (char *)reply_header(&reply, "Stripe-Should-Retry"), "true"));
    cr_expect(gt(int, atoi(reply_header(&reply, "Retry-After")), 0));
}

Test(limits, without_redis_a_gateway_counts_by_itself)
{
    stage_open("account_rate = 1\naccount_burst = 5\n");
    for (int i = 0; i < 5; i++)
        cr_expect(eq(int, ask(""), 200), "%d", i);
    ask("");
    expect_limited("this account");
    cr_expect(eq(str, (char *)reply_header(&reply, "Stripe-Rate-Limited-Reason"), "global-rate"));
    cr_expect(eq(int, ask("Authorization: Bearer sk_test_foobar\r\n"), 401), "nobody's account");
    /* A second later there is a token again. */
    const int64_t end_ms = clock_mono_ms() + 5000;
    while (ask("") != 200 && clock_mono_ms() < end_ms)
        poll(NULL, 0, 50);
    cr_expect(eq(int, reply.status, 200));
}

Test(limits, each_key_has_its_own)
{
    static const char publishable[] = "Authorization: Bearer " PUBLISHABLE_KEY "\r\n";
    static const char path[] = "/v1/payment_intents/pi_1?client_secret=x";
    stage_open("key_rate = 1\nkey_burst = 3\naccount_rate = 0\n");
    for (int i = 0; i < 3; i++)
        cr_expect(eq(int, ask(""), 200));
    ask("");
    expect_limited("this API key");
    stage_call("GET", path, publishable, NULL, &reply);
    cr_expect(eq(int, reply.status, 200), "%s", reply.text);
}

static void *
ask_slowly(void *none)
{
    static __thread struct reply own;
    (void)none;
    stage_call("GET", "/v1/balance", "", NULL, &own);
    return (void *)(intptr_t)own.status;
}

Test(limits, an_account_has_so_many_under_way_at_once)
{
    enum { ASKERS = 6 };
    pthread_t askers[ASKERS];
    int taken = 0, refused = 0;
    stage_open("account_concurrency = 3\n");
    stage_delay(300);
    for (int i = 0; i < ASKERS; i++)
        pthread_create(&askers[i], NULL, ask_slowly, NULL);
    for (int i = 0; i < ASKERS; i++) {
        void *status;
        pthread_join(askers[i], &status);
        taken += (intptr_t)status == 200;
        refused += (intptr_t)status == 429;
    }
    stage_delay(0);
    cr_expect(eq(int, taken + refused, ASKERS));
    cr_expect(ge(int, taken, 3));
    cr_expect(ge(int, refused, 1));
    for (int i = 0; i < 10; i++) /* all of them have left */
        cr_expect(eq(int, ask(""), 200));
}

static int
look_at_page(const char *path)
{
    stage_call("GET", path, "Authorization:\r\n", NULL, &reply);
    return reply.status;
}

#define CHALLENGE(n) "/3ds/tds_" n "?merchant=acct_000000000000000000000001&secret=x"
#define SESSION "/v1/payment_pages/cs_test_000000000000000000000009"

Test(limits, a_payers_page_has_its_own_and_takes_nothing_from_the_account)
{
    stage_open("page_rate = 1\npage_burst = 3\naccount_rate = 1\naccount_burst = 1\n");
    for (int i = 0; i < 3; i++)
        cr_expect(ne(int, look_at_page(CHALLENGE("1")), 429), "%s", reply.text);
    cr_expect(eq(int, look_at_page(CHALLENGE("1")), 429), "%s", reply.text);
    cr_expect(strstr(reply.body, "http-equiv=\"refresh\"") != NULL, "it tries again by itself");
    cr_expect(ne(int, look_at_page(CHALLENGE("2")), 429), "another page");
    for (int i = 0; i < 3; i++)
        cr_expect(ne(int, look_at_page(SESSION), 429), "%s", reply.text);
    look_at_page(SESSION);
    expect_limited("this page");
    cr_expect(eq(str, (char *)reply_header(&reply, "Stripe-Rate-Limited-Reason"), "endpoint-rate"));
    cr_expect(eq(int, ask(""), 200), "the account has its one request still");
}

Test(limits, all_pages_together_have_one_too_so_that_names_cannot_be_tried)
{
    static const char *const pages[] = {CHALLENGE("1"), CHALLENGE("2"), CHALLENGE("3"), SESSION};
    stage_open("pages_rate = 1\npages_burst = 4\n");
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        cr_expect(ne(int, look_at_page(pages[i]), 429), "%s", reply.text);
    cr_expect(eq(int, look_at_page(CHALLENGE("4")), 429), "%s", reply.text);
    cr_expect(eq(int, ask(""), 200));
}

/* --- with Redis ------------------------------------------------------------------------------ */

static char sock[PATH_MAX + 16];

static pid_t
start_redis(void)
{
    char folder[PATH_MAX];
    run_folder(stage_home(), folder, sizeof folder);
    snprintf(sock, sizeof sock, "%s/redis.sock", folder);
    const pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!freopen("/dev/null", "w", stdout)) _exit(127);
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", sock, "--save", "",
               "--dir", stage_home(), NULL);
        _exit(127);
    }
    return pid;
}

static long long
names_in_redis(void)
{
    long long count = -1;
    redisContext *context = redisConnectUnix(sock);
    if (context && !context->err) {
        redisReply *said = redisCommand(context, "DBSIZE");
        if (said && said->type == REDIS_REPLY_INTEGER) count = said->integer;
        if (said) freeReplyObject(said);
    }
    if (context) redisFree(context);
    return count;
}

Test(limits, redis_has_the_buckets_and_may_go_at_any_time)
{
    stage_open("account_rate = 2\naccount_burst = 4\nkey_rate = 0\n");
    const pid_t redis = start_redis();
    const int64_t end_ms = clock_mono_ms() + 20000;
    /* The gateway finds Redis when it is there. */
    while (names_in_redis() < 1 && clock_mono_ms() < end_ms) {
        ask("");
        poll(NULL, 0, 100);
    }
    cr_assert(eq(int, (int)names_in_redis(), 1), "an account's bucket");
    while (ask("") != 429 && clock_mono_ms() < end_ms)
        ;
    expect_limited("this account");
    const int64_t from_ms = clock_mono_ms();
    while (ask("") == 429 && clock_mono_ms() < end_ms)
        poll(NULL, 0, 20);
    cr_expect(eq(int, reply.status, 200), "%s", reply.text);
    cr_expect(lt(i64, clock_mono_ms() - from_ms, 3000), "two a second");

    kill(redis, SIGKILL);
    waitpid(redis, NULL, 0);
    int taken = 0;
    for (int i = 0; i < 30; i++)
        taken += ask("") == 200;
    cr_expect(gt(int, taken, 0), "its own bucket was full");
    cr_expect(lt(int, taken, 30), "and is one all the same");
}
