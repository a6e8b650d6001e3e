/* florin-sim: runs worlds, a seed each, and says which of them break a promise. */
#include "mutant.h"
#include "play.h"
#include "recorder.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX 64
#define TOLD_MAX 5

static const char help[] =
    "florin-sim: the actors' own code in a world of one seed, where everything goes wrong.\n"
    "\n"
    "  ./florin sim [--seeds N] [--from S] [--jobs J] [--json] [--mutant NAME] [--until-broken]\n"
    "  ./florin sim --seed S [--trace] [--mutant NAME]\n"
    "  ./florin sim --mutants | --invariants\n"
    "\n"
    "  --seeds N       how many worlds; 1000 unless told\n"
    "  --from S        the first seed; 1 unless told\n"
    "  --jobs J        processes that share them; one for each core unless told\n"
    "  --seed S        one world\n"
    "  --statements F  writes down what was said to the database (sim-replay)\n"
    "  --trace         tells what happens in it\n"
    "  --mutant NAME   with one protection taken out of the code\n"
    "  --mutants       the names of those\n"
    "  --invariants    the names of what is checked, as the audit has them\n"
    "  --until-broken  ends at the first world that breaks a promise\n"
    "  --json          one line of JSON at the end\n"
    "  --help          this page\n"
    "\n"
    "Ends with 1 when a promise was broken, and says in which seeds.\n"
    "\n"
    "Example: ./florin sim --seeds 100000 --jobs 2\n"
    "Example: ./florin sim --seed 4711 --trace\n";

struct sums {
    uint64_t runs, broken, requests, payments, faults, first;
    char first_words[sizeof world.broken];
};

struct options {
    uint64_t seeds, from, jobs, seed;
    bool one, trace, json, until_broken;
    const char *mutant, *statements;
};

static uint64_t
number(const char *option, const char *value)
{
    char *end = NULL;
    const uint64_t read = value ? strtoull(value, &end, 10) : 0;
    if (!value || !*value || *end || *value == '-') {
        fprintf(stderr, "florin-sim: %s takes a number.\n", option);
        exit(2);
    }
    return read;
}

static struct options
read_options(int argc, char **argv)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct options o = {.seeds = 1000, .from = 1};
    for (int i = 1; i < argc; i++) {
        const char *const next = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--seeds") == 0)
            o.seeds = number(argv[i], next), i++;
        else if (strcmp(argv[i], "--from") == 0)
            o.from = number(argv[i], next), i++;
        else if (strcmp(argv[i], "--jobs") == 0)
            o.jobs = number(argv[i], next), i++;
        else if (strcmp(argv[i], "--seed") == 0)
            o.seed = number(argv[i], next), o.one = true, i++;
        else if (strcmp(argv[i], "--mutant") == 0 && next)
            o.mutant = next, i++;
        else if (strcmp(argv[i], "--statements") == 0 && next)
            o.statements = next, i++;
        else if (strcmp(argv[i], "--trace") == 0)
            o.trace = true;
        else if (strcmp(argv[i], "--json") == 0)
            o.json = true;
        else if (strcmp(argv[i], "--until-broken") == 0)
            o.until_broken = true;
        else if (strcmp(argv[i], "--mutants") == 0) {
            mutants_list(stdout);
            exit(0);
        } else if (strcmp(argv[i], "--invariants") == 0) {
            invariants_list(stdout);
            exit(0);
        } else if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            exit(0);
        } else {
            fprintf(stderr, "florin-sim: %s is not an option; --help tells which there are.\n",
                    argv[i]);
            exit(2);
        }
    }
    /* To end at the first one, they are taken one after the other. */
    if (!o.jobs) o.jobs = o.until_broken || cores < 1 ? 1 : cores < JOBS_MAX ? (uint64_t)cores : 8;
    if (o.jobs > JOBS_MAX) {
        fprintf(stderr, "florin-sim: --jobs takes 1 to %d.\n", JOBS_MAX);
        exit(2);
    }
    if (o.mutant && !mutant_choose(o.mutant)) {
        fprintf(stderr, "florin-sim: there is no mutant %s; --mutants lists them.\n", o.mutant);
        exit(2);
    }
    return o;
}

static void
run_one(uint64_t seed, bool trace, struct sums *sums)
{
    const bool good = world_run(seed, trace);
    sums->runs++;
    sums->requests += play_counts.requests;
    sums->payments += play_counts.payments;
    sums->faults += world.faults;
    play_counts = (struct play_counts){0};
    if (good) return;
    if (!sums->broken++ || seed < sums->first) {
        sums->first = seed;
        memcpy(sums->first_words, world.broken, sizeof world.broken);
    }
    if (sums->broken <= TOLD_MAX)
        fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, world.broken);
}

/* Every `jobs`-th seed. */
static void
run_share(const struct options *o, uint64_t job, struct sums *sums)
{
    for (uint64_t i = job; i < o->seeds && !(o->until_broken && sums->broken); i += o->jobs)
        run_one(o->from + i, false, sums);
}

static void
add_sums(struct sums *all, const struct sums *more)
{
    if (more->broken && (!all->broken || more->first < all->first)) {
        all->first = more->first;
        memcpy(all->first_words, more->first_words, sizeof all->first_words);
    }
    all->runs += more->runs;
    all->broken += more->broken;
    all->requests += more->requests;
    all->payments += more->payments;
    all->faults += more->faults;
}

/* A child that dies has met something that even the world does not survive: that is a failure. */
static bool
run_jobs(const struct options *o, struct sums *all)
{
    int ends[JOBS_MAX];
    bool whole = true;
    for (uint64_t job = 0; job < o->jobs; job++) {
        int pipes[2];
        if (pipe(pipes) != 0) return false;
        fflush(NULL);
        if (fork() == 0) {
            struct sums sums = {0};
            run_share(o, job, &sums);
            if (write(pipes[1], &sums, sizeof sums) != sizeof sums) _exit(3);
            _exit(0);
        }
        close(pipes[1]);
        ends[job] = pipes[0];
    }
    for (uint64_t job = 0; job < o->jobs; job++) {
        struct sums sums;
        whole &= read(ends[job], &sums, sizeof sums) == sizeof sums;
        if (whole) add_sums(all, &sums);
        close(ends[job]);
    }
    while (wait(NULL) > 0)
        ;
    return whole;
}

static void
tell(const struct options *o, const struct sums *s, double seconds)
{
    if (o->json) {
        printf("{\"seeds\":%llu,\"from\":%llu,\"broken\":%llu,\"requests\":%llu,\"payments\":%llu,"
               "\"faults\":%llu,\"seconds\":%.3f,\"first_broken\":",
               (unsigned long long)s->runs, (unsigned long long)o->from,
               (unsigned long long)s->broken, (unsigned long long)s->requests,
               (unsigned long long)s->payments, (unsigned long long)s->faults, seconds);
        if (s->broken)
            printf("%llu}\n", (unsigned long long)s->first);
        else
            printf("null}\n");
        return;
    }
    printf("%llu seeds from %llu: %llu requests, %llu payments, %llu faults in %.1f s (%.0f seeds "
           "a second)\n",
           (unsigned long long)s->runs, (unsigned long long)o->from,
           (unsigned long long)s->requests, (unsigned long long)s->payments,
           (unsigned long long)s->faults, seconds, (double)s->runs / (seconds > 0 ? seconds : 1));
    if (s->broken)
        printf("%llu seeds break a promise; the first is %llu: %s\n"
               "Replay: ./florin sim --seed %llu --trace%s%s\n",
               (unsigned long long)s->broken, (unsigned long long)s->first, s->first_words,
               (unsigned long long)s->first, o->mutant ? " --mutant " : "",
               o->mutant ? o->mutant : "");
    else
        printf("All promises were kept.\n");
}

int
main(int argc, char **argv)
{
    const struct options o = read_options(argc, argv);
    struct sums sums = {0};
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (o.statements) {
        FILE *const file = fopen(o.statements, "w");
        if (!file) {
            fprintf(stderr, "florin-sim: %s cannot be written.\n", o.statements);
            return 2;
        }
        record_to(file);
        run_one(o.seed, o.trace, &sums);
        record_tables();
        fclose(file);
    } else if (o.one) {
        run_one(o.seed, o.trace, &sums);
        if (o.trace) printf("history %016llx\n", (unsigned long long)world.history);
    } else if (o.jobs == 1) {
        run_share(&o, 0, &sums);
    } else if (!run_jobs(&o, &sums)) {
        fprintf(stderr, "florin-sim: a part of the runs has ended badly.\n");
        return 3;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    tell(&o, &sums,
         (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
    return sums.broken ? 1 : 0;
}
