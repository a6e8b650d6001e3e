/* poster: sends the POSTs, many at once, by libcurl's multi interface inside the loop.
 *
 * A try has one total deadline, from the lookup of the host to the last byte. The host is looked up
 * once, every address is checked, and a socket is opened to a checked address or not at all;
 * proxies of the environment are not asked, redirects are not followed, nothing is decompressed. As
 * soon as the head of the answer is there its status counts; of the body at most 64 KiB are read,
 * for politeness, then the connection is closed.
 *
 * Every try has a connection of its own. libcurl sends a request again by itself, in silence, when
 * a kept connection turns out to be dead. That would do no harm here (the same event id, signed
 * anew or not, is what at-least-once means), but one try would be two, the recorded time and status
 * would be those of the second, and a kept connection goes to an address that was checked for
 * another try. */
#pragma once

#include "address.h"
#include "loop.h"
#include "must_use.h"
#include "text.h"
#include <stdbool.h>
#include <stdint.h>

#define POST_ERROR_MAX 255
#define POST_BODY_READ_MAX (64 * 1024)
#define POST_HEAD_READ_MAX (64 * 1024)

struct poster;

struct post_result {
    int status; /* HTTP; 0: none came */
    int64_t at_wall_ms, duration_ms;
    int64_t retry_after_s;          /* 0: the endpoint did not ask */
    char error[POST_ERROR_MAX + 1]; /* ASCII, in words; empty: 2xx */
};

/* Called from poster_collect alone. */
typedef void post_fn(void *state, void *post, const struct post_result *result);

struct poster *poster_new(struct loop *loop, enum address_policy policy, int64_t timeout_ms,
                          post_fn *on_ended, void *state);
/* What is under way ends without a word. */
void poster_destroy(struct poster **poster_p);

/* Starts a try; `on_ended` is called for `post` exactly once. All texts stay the caller's: url and
 * secret are copied, the body is borrowed until then. False when memory is short. */
MUST_USE bool poster_start(struct poster *poster, const char *url, struct text secret,
                           struct text body, void *post);

/* Tells of the tries that have ended. */
void poster_collect(struct poster *poster);
/* Milliseconds until poster_collect must be called at the latest. */
int64_t poster_wait_ms(const struct poster *poster);
