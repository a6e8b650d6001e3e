/* load: many HTTP clients in one thread, as cheap as they can be, because they share the machine
 * with what they measure (about 10 µs of CPU a request, nearly all of it the kernel's).
 *
 * Each connection sends one request, waits for its answer, and sends the next: closed loop. With a
 * rate it is open: requests are due at fixed moments whatever the answers do, and each latency
 * counts from the moment at which its request was due, not from when a connection was free for it.
 * So a pause is seen by all that it kept waiting. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOAD_ID_MAX = 48 };

/* What a request is about: a merchant (index into the keys) and, where the path says {id}, a thing
 * of theirs; `nonce` is the end of the Idempotency-Key under which it was made. */
struct load_subject {
    uint32_t merchant;
    uint64_t nonce;
    char id[LOAD_ID_MAX];
};

enum load_key { LOAD_KEY_NONE, LOAD_KEY_FRESH, LOAD_KEY_OF_SUBJECT };

struct load_request {
    const char *method, *path, *body; /* path and body may have {id}; body NULL: none */
};

struct load {
    uint16_t port;
    unsigned connections;
    double warmup_s, seconds;
    double rate; /* 0: closed loop */
    enum load_key key;
    uint64_t first_nonce;
    struct load_request first,
        then; /* then.method NULL: one request each; else {id} is the first's */
    const char *const *secret_keys;
    size_t secret_key_count;
    const struct load_subject *subjects; /* used once around; NULL: the merchants in turn */
    size_t subject_count;
    bool subjects_once; /* ends when they are used up */
    bool record;        /* keeps what was made, as subjects for a later load */
    /* called when the warm-up is over and when the measured time is, in the loop */
    void (*on_mark)(void *state, bool end);
    void *state;
};

struct load_result {
    uint64_t done, failed; /* pairs count once */
    double seconds;
    uint32_t *latencies_us; /* of the measured time, sorted; free() */
    size_t latency_count;
    struct load_subject *made; /* free() */
    size_t made_count;
    char complaint[256]; /* the first answer that was not 200 */
};

/* Ends the process with a sentence when the server cannot be reached at all. */
void load_run(const struct load *load, struct load_result *result);
void load_result_free(struct load_result *result);
/* The value below which `share` of the sorted values lie; 0 when there are none. */
uint32_t load_percentile(const struct load_result *result, double share);
