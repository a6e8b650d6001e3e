/* florin-load: one measured load against an instance that runs; `./florin bench` calls it and adds
 * what the processes cost. Also makes the merchants that it plays. */
#include "counterparts.h"
#include "florin_client.h"
#include "id.h"
#include "load.h"
#include "log.h"
#include "network_seed.h"
#include "random.h"
#include "repack.h"
#include "secret_keys.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 256
#define ASK_MS 15000

static const char help[] =
    "florin-load: many HTTP clients in one thread; a line of JSON says what they saw.\n"
    "\n"
    "  florin-load merchants --home DIR --count N          a line `acct_… sk_test_…` for each\n"
    "  florin-load sink --port N                           takes webhooks until SIGTERM\n"
    "  florin-load yardstick --port N --bytes N            civetweb with a constant body\n"
    "  florin-load network --home DIR --like REFERENCE     writes what comes in lines\n"
    "                        `REFERENCE MERCHANT NETWORK_ID MS` into the network's journal\n"
    "  florin-load repack --count N                        what comes as a line of digits, packed\n"
    "                        anew with other words; a line `OLD NEW` for each\n"
    "  florin-load run --port N --keys FILE --request 'METHOD PATH [BODY]' [OPTION VALUE]…\n"
    "\n"
    "  --then 'METHOD PATH [BODY]'   a second request to each; {id} is the id in the first's "
    "answer\n"
    "  --connections N (64)  --warmup S (1)  --seconds S (5)\n"
    "  --rate N              open loop: so many a second, latency counted from when each was due\n"
    "  --idempotency none|fresh|subject (none)  --nonce N (0): number of the first fresh key\n"
    "  --subjects FILE       a line `MERCHANT ID NONCE` for each thing that {id} stands for\n"
    "  --once yes            ends when the subjects are used up\n"
    "  --record FILE         writes such lines of what was made\n"
    "\n"
    "It prints `begin` and `end` around the measured time, then the object. For example:\n"
    "\n"
    "  florin-load run --port 8420 --keys keys --request 'GET /v1/balance' --connections 8\n";

static const char *
value_of(int argc, char **argv, const char *option, const char *otherwise)
{
    for (int i = 2; i + 1 < argc; i++)
        if (strcmp(argv[i], option) == 0) return argv[i + 1];
    return otherwise;
}

static const char *
must_have(int argc, char **argv, const char *option)
{
    const char *value = value_of(argc, argv, option, NULL);
    if (!value) die("%s is missing; --help shows an example.", option);
    return value;
}

static double
number_of(int argc, char **argv, const char *option, double otherwise)
{
    const char *value = value_of(argc, argv, option, NULL);
    char *end;
    if (!value) return otherwise;
    const double number = strtod(value, &end);
    if (*end || end == value || number < 0) die("%s is no number: \"%s\".", option, value);
    return number;
}

/* --- merchants -------------------------------------------------------------------------------- */

static void
make_merchant(const char *home, struct florin_client *client)
{
    char account[ID_SIZE_MAX + 1], secret[API_KEY_MADE_SIZE], publishable[API_KEY_MADE_SIZE];
    uint8_t secret_hash[32], publishable_hash[32];
    struct florin_answer answer;
    struct msg_api_answer made;
    (void)id_new(account, "acct_");
    api_key_make(secret, "sk_test_");
    api_key_make(publishable, "pk_test_");
    api_key_hash(home, secret, secret_hash);
    api_key_hash(home, publishable, publishable_hash);
    const struct msg_merchant_create body = {
        .has = HAS_merchant_create_merchant | HAS_merchant_create_name |
               HAS_merchant_create_country | HAS_merchant_create_currency |
               HAS_merchant_create_secret_hash | HAS_merchant_create_secret_last4 |
               HAS_merchant_create_publishable_hash | HAS_merchant_create_publishable_last4,
        .merchant = text_of(account),
        .name = TEXT("Measured"),
        .country = TEXT("US"),
        .currency = TEXT("usd"),
        .secret_hash = {(const char *)secret_hash, 32},
        .secret_last4 = api_key_last4(secret),
        .publishable_hash = {(const char *)publishable_hash, 32},
        .publishable_last4 = api_key_last4(publishable),
    };
    if (florin_client_ask(client, MSG_merchant_create, &body, body.merchant, NULL, ASK_MS,
                          &answer) != FLORIN_ANSWERED ||
        !florin_answer_read(&answer, MSG_api_answer, &made) || made.status != 200)
        die("A merchant could not be made.");
    printf("%s %s\n", account, secret);
}

static int
merchants(int argc, char **argv)
{
    const char *home = must_have(argc, argv, "--home");
    struct florin_client *client = florin_client_open(home, "operator-1");
    for (double left = number_of(argc, argv, "--count", 1); left > 0; left--)
        make_merchant(home, client);
    florin_client_close(&client);
    return 0;
}

/* --- a load ----------------------------------------------------------------------------------- */

static void
request_read(char *text, struct load_request *request)
{
    char *path = strchr(text, ' ');
    if (!path) die("A request is METHOD PATH [BODY].");
    *path++ = 0;
    char *body = strchr(path, ' ');
    if (body) *body++ = 0;
    *request = (struct load_request){text, path, body};
}

static FILE *
file_open(const char *path, const char *mode)
{
    FILE *file = fopen(path, mode);
    if (!file) die("%s cannot be opened: %s.", path, strerror(errno));
    return file;
}

static const char **
keys_read(const char *path, size_t *count)
{
    char line[LINE_MAX_BYTES], key[LINE_MAX_BYTES];
    const char **keys = NULL;
    FILE *file = file_open(path, "re");
    for (*count = 0; fgets(line, sizeof line, file); ++*count) {
        if (sscanf(line, "%*s %255s", key) != 1) die("%s has a line without a key.", path);
        keys = realloc(keys, (*count + 1) * sizeof *keys);
        if (!keys || !(keys[*count] = strdup(key))) die("There is no memory for the keys.");
    }
    fclose(file);
    return keys;
}

static struct load_subject *
subjects_read(const char *path, size_t *count, size_t keys)
{
    struct load_subject *subjects = NULL, subject;
    size_t cap = 0;
    unsigned long long nonce;
    FILE *file = file_open(path, "re");
    for (*count = 0; fscanf(file, "%u %47s %llu", &subject.merchant, subject.id, &nonce) == 3;) {
        if (subject.merchant >= keys) die("%s names a merchant without a key.", path);
        subject.nonce = nonce;
        if (*count == cap) {
            cap = cap ? 2 * cap : 65536;
            subjects = realloc(subjects, cap * sizeof *subjects);
            if (!subjects) die("There is no memory for the subjects.");
        }
        subjects[(*count)++] = subject;
    }
    fclose(file);
    if (!*count) die("%s is empty.", path);
    return subjects;
}

static void
say_mark(void *state, bool end)
{
    (void)state;
    puts(end ? "end" : "begin");
    fflush(stdout);
}

static void
record(const char *path, const struct load_result *result)
{
    FILE *file = file_open(path, "we");
    for (size_t i = 0; i < result->made_count; i++)
        fprintf(file, "%u %s %llu\n", result->made[i].merchant, result->made[i].id,
                (unsigned long long)result->made[i].nonce);
    if (fclose(file) != 0) die("%s cannot be written: %s.", path, strerror(errno));
}

static int
run(int argc, char **argv)
{
    struct load load = {.on_mark = say_mark};
    struct load_result result;
    const char *then = value_of(argc, argv, "--then", NULL);
    const char *keys = value_of(argc, argv, "--keys", NULL);
    const char *subjects = value_of(argc, argv, "--subjects", NULL);
    const char *made = value_of(argc, argv, "--record", NULL);
    const char *key = value_of(argc, argv, "--idempotency", "none");
    char *request = strdup(must_have(argc, argv, "--request"));
    if (!request) die("There is no memory left.");
    request_read(request, &load.first);
    if (then) request_read(strdup(then), &load.then);
    load.port = (uint16_t)number_of(argc, argv, "--port", 8420);
    load.connections = (unsigned)number_of(argc, argv, "--connections", 64);
    load.warmup_s = number_of(argc, argv, "--warmup", 1);
    load.seconds = number_of(argc, argv, "--seconds", 5);
    load.rate = number_of(argc, argv, "--rate", 0);
    load.first_nonce = (uint64_t)number_of(argc, argv, "--nonce", 0);
    load.key = strcmp(key, "fresh") == 0     ? LOAD_KEY_FRESH
               : strcmp(key, "subject") == 0 ? LOAD_KEY_OF_SUBJECT
                                             : LOAD_KEY_NONE;
    if (keys) load.secret_keys = keys_read(keys, &load.secret_key_count);
    if (subjects)
        load.subjects = subjects_read(subjects, &load.subject_count, load.secret_key_count);
    load.subjects_once = value_of(argc, argv, "--once", NULL) != NULL;
    load.record = made != NULL;
    load_run(&load, &result);
    printf("{\"requests\": %llu, \"failed\": %llu, \"seconds\": %.3f, \"per_second\": %.1f, "
           "\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"p999_ms\": %.3f, \"max_ms\": %.3f}\n",
           (unsigned long long)result.done, (unsigned long long)result.failed, result.seconds,
           (double)result.done / result.seconds, load_percentile(&result, 0.5) / 1e3,
           load_percentile(&result, 0.99) / 1e3, load_percentile(&result, 0.999) / 1e3,
           load_percentile(&result, 1) / 1e3);
    if (result.failed || result.complaint[0])
        fprintf(stderr, "%llu requests failed; the first: %s\n", (unsigned long long)result.failed,
                result.complaint);
    if (made) record(made, &result);
    load_result_free(&result);
    return 0;
}

int
main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            return 0;
        }
    if (argc > 1 && strcmp(argv[1], "merchants") == 0) return merchants(argc, argv);
    if (argc > 1 && strcmp(argv[1], "run") == 0) return run(argc, argv);
    if (argc > 1 && strcmp(argv[1], "sink") == 0)
        return sink_serve((uint16_t)number_of(argc, argv, "--port", 0));
    if (argc > 1 && strcmp(argv[1], "yardstick") == 0)
        return yardstick_serve((uint16_t)number_of(argc, argv, "--port", 0), 512,
                               (unsigned)number_of(argc, argv, "--bytes", 1536));
    if (argc > 1 && strcmp(argv[1], "network") == 0)
        return network_seed(must_have(argc, argv, "--home"), must_have(argc, argv, "--like"));
    if (argc > 1 && strcmp(argv[1], "repack") == 0)
        return repack((size_t)number_of(argc, argv, "--count", 1));
    fputs(help, stderr);
    return 1;
}
