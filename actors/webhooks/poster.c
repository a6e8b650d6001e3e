#include "poster.h"

#include "clock.h"
#include "log.h"
#include "lookup.h"
#include "signature.h"
#include "target.h"
#include <arpa/inet.h>
#include <assert.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USER_AGENT "Florin/1.0 (webhooks)"
#define WAIT_MAX_MS 60000
#define SECRET_MAX 255

struct poster {
    struct loop *loop;
    struct lookups *lookups;
    enum address_policy policy;
    int64_t timeout_ms;
    post_fn *on_ended;
    void *state;
    CURLM *multi;
    int64_t curl_at;    /* mono: when libcurl wants to be called, INT64_MAX: not */
    struct post *posts; /* all that are under way */
};

/* One try, from the lookup to its end. */
struct post {
    struct post *next, **link;
    struct poster *poster;
    void *caller; /* what poster_start was given */
    char *url;
    char secret[SECRET_MAX + 1];
    struct text body;
    struct target target;
    struct lookup *lookup; /* under way, or NULL */
    struct addresses checked;
    CURL *easy;
    struct curl_slist *headers, *resolve;
    int64_t started_at, deadline; /* mono */
    size_t head_read, body_read;
    bool head_whole; /* the status counts, whatever happens to the rest */
    bool ended;
    struct post_result result;
    char curl_error[CURL_ERROR_SIZE];
};

/* --- the end of a try
 * ------------------------------------------------------------------------------ */

/* Remembers how it ended; poster_collect tells. What came from outside is made harmless ASCII. */
static void
end_with(struct post *post, const char *error)
{
    if (post->ended) return;
    post->ended = true;
    post->result.duration_ms = clock_mono_ms() - post->started_at;
    snprintf(post->result.error, sizeof post->result.error, "%s", error);
    for (char *at = post->result.error; *at; at++)
        if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7f) *at = '?';
    lookup_cancel(&post->lookup);
}

static void
end_by_status(struct post *post, int status)
{
    char words[64] = "";
    post->result.status = status;
    if (status >= 300 && status < 400)
        snprintf(words, sizeof words, "answered %d: redirects are not followed", status);
    else if (status < 200 || status >= 400)
        snprintf(words, sizeof words, "answered %d", status);
    end_with(post, words);
}

/* libcurl is done with it, for better or worse. */
static void
end_by_curl(struct post *post, CURLcode code)
{
    long status = 0;
    curl_off_t retry_after = 0;
    curl_easy_getinfo(post->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(post->easy, CURLINFO_RETRY_AFTER, &retry_after);
    if (status == 429 || status == 503) post->result.retry_after_s = retry_after;
    if (status && (code == CURLE_OK || post->head_whole)) {
        end_by_status(post, (int)status);
        return;
    }
    if (code == CURLE_OPERATION_TIMEDOUT)
        end_with(post, "no answer in time");
    else if (code == CURLE_WRITE_ERROR)
        end_with(post, "the head of the answer is too long");
    else
        end_with(post, post->curl_error[0] ? post->curl_error : curl_easy_strerror(code));
}

static void
post_destroy(struct post *post)
{
    if (post->easy) {
        curl_multi_remove_handle(post->poster->multi, post->easy);
        curl_easy_cleanup(post->easy);
    }
    curl_slist_free_all(post->headers);
    curl_slist_free_all(post->resolve);
    lookup_cancel(&post->lookup);
    *post->link = post->next;
    if (post->next) post->next->link = post->link;
    explicit_bzero(post->secret, sizeof post->secret);
    free(post->url);
    free(post);
}

/* --- what libcurl asks
 * ------------------------------------------------------------------------------ */

/* Returning less than was given ends the transfer: the status is known by then. */
static size_t
on_body(char *bytes, size_t size, size_t count, void *state)
{
    struct post *post = state;
    (void)bytes;
    post->body_read += size * count;
    return post->body_read > POST_BODY_READ_MAX ? 0 : size * count;
}

static size_t
on_header(char *line, size_t size, size_t count, void *state)
{
    struct post *post = state;
    long status = 0;
    post->head_read += size * count;
    if (post->head_read > POST_HEAD_READ_MAX) return 0;
    curl_easy_getinfo(post->easy, CURLINFO_RESPONSE_CODE, &status);
    /* An empty line ends a head; that of "100 Continue" and its like is not the last. */
    if (size * count <= 2 && (line[0] == '\r' || line[0] == '\n') && status >= 200)
        post->head_whole = true;
    return size * count;
}

/* The last door: whatever libcurl believes the host to be, it reaches addresses that were checked
 * for this try and no others. */
static curl_socket_t
on_open(void *state, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct post *post = state;
    (void)purpose;
    const bool v4 = address->family == AF_INET;
    const size_t at =
        v4 ? offsetof(struct sockaddr_in, sin_addr) : offsetof(struct sockaddr_in6, sin6_addr);
    for (size_t i = 0; i < post->checked.count; i++) {
        const struct sockaddr *checked = (const struct sockaddr *)&post->checked.at[i];
        if (checked->sa_family != address->family) continue;
        if (memcmp((const char *)checked + at, (const char *)&address->addr + at, v4 ? 4 : 16) == 0)
            return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    }
    return CURL_SOCKET_BAD;
}

static void
on_socket_ready(void *state, int fd, short events)
{
    struct poster *poster = state;
    int mask = 0, running;
    if (events & POLLIN) mask |= CURL_CSELECT_IN;
    if (events & POLLOUT) mask |= CURL_CSELECT_OUT;
    if (events & (POLLERR | POLLHUP | POLLNVAL)) mask |= CURL_CSELECT_ERR;
    curl_multi_socket_action(poster->multi, fd, mask, &running);
}

static int
on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *state, void *of_socket)
{
    struct poster *poster = state;
    (void)easy;
    (void)of_socket;
    short events = 0;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) events |= POLLIN;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) events |= POLLOUT;
    if (what == CURL_POLL_REMOVE)
        loop_unwatch(poster->loop, fd);
    else
        loop_watch(poster->loop, fd, events, on_socket_ready, poster);
    return 0;
}

static int
on_curl_timer(CURLM *multi, long wait_ms, void *state)
{
    struct poster *poster = state;
    (void)multi;
    poster->curl_at = wait_ms < 0 ? INT64_MAX : clock_mono_ms() + wait_ms;
    return 0;
}

/* --- the start of a try
 * ----------------------------------------------------------------------------- */

static bool
add_header(struct post *post, const char *line)
{
    struct curl_slist *longer = curl_slist_append(post->headers, line);
    if (longer) post->headers = longer;
    return longer;
}

static bool
make_headers(struct post *post)
{
    char signature[SIGNATURE_SIZE], line[SIGNATURE_SIZE + 32];
    signature_make(signature, text_of(post->secret), clock_wall_ms() / 1000, post->body);
    snprintf(line, sizeof line, "Stripe-Signature: %s", signature);
    return add_header(post, "Content-Type: application/json; charset=utf-8") &&
           add_header(post, "Expect:") && add_header(post, line);
}

/* "+host:port:address,address": libcurl asks nobody. The plus lets it forget them after a minute.
 */
static bool
make_resolve(struct post *post)
{
    char entry[TARGET_HOST_MAX + 16 + LOOKUP_ADDRESSES_MAX * (INET6_ADDRSTRLEN + 3)];
    int size =
        snprintf(entry, sizeof entry, "+%s:%u:", post->target.host, (unsigned)post->target.port);
    for (size_t i = 0; i < post->checked.count; i++) {
        const struct sockaddr *address = (const struct sockaddr *)&post->checked.at[i];
        const bool v4 = address->sa_family == AF_INET;
        const size_t at =
            v4 ? offsetof(struct sockaddr_in, sin_addr) : offsetof(struct sockaddr_in6, sin6_addr);
        char shown[INET6_ADDRSTRLEN];
        inet_ntop(address->sa_family, (const char *)address + at, shown, sizeof shown);
        size += snprintf(entry + size, sizeof entry - (size_t)size, v4 ? "%s%s" : "%s[%s]",
                         i ? "," : "", shown);
        assert((size_t)size < sizeof entry);
    }
    post->resolve = curl_slist_append(NULL, entry);
    return post->resolve;
}

static bool
set_up(struct post *post, int64_t left_ms)
{
    CURL *easy = curl_easy_init();
    if (!easy) return false;
    post->easy = easy;
    if (!make_headers(post) || !make_resolve(post)) return false;

    CURLcode bad = CURLE_OK;
#define SET(option, value) bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_##option, value)
    SET(PRIVATE, post);
    SET(URL, post->url);
    SET(PROTOCOLS_STR, "http,https");
    SET(FOLLOWLOCATION, 0L);
    SET(PROXY, "");
    SET(NOPROXY, "*");
    SET(NOSIGNAL, 1L);
    SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(TIMEOUT_MS, (long)left_ms);
    SET(CONNECTTIMEOUT_MS, (long)left_ms);
    SET(FRESH_CONNECT, 1L);
    SET(FORBID_REUSE, 1L);
    SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(SSL_VERIFYPEER, 1L);
    SET(SSL_VERIFYHOST, 2L);
    SET(CAPATH,
        (char *)NULL); /* the bundle alone: libcurl then keeps it read, 30 ms a handshake less */
    SET(USERAGENT, USER_AGENT);
    SET(HTTPHEADER, post->headers);
    SET(RESOLVE, post->resolve);
    SET(POST, 1L);
    SET(POSTFIELDS, post->body.at);
    SET(POSTFIELDSIZE_LARGE, (curl_off_t)post->body.size);
    SET(WRITEFUNCTION, on_body);
    SET(WRITEDATA, post);
    SET(HEADERFUNCTION, on_header);
    SET(HEADERDATA, post);
    SET(OPENSOCKETFUNCTION, on_open);
    SET(OPENSOCKETDATA, post);
    SET(ERRORBUFFER, post->curl_error);
#undef SET
    return !bad && curl_multi_add_handle(post->poster->multi, easy) == CURLM_OK;
}

static void
on_found(void *state, const struct addresses *addresses)
{
    struct post *post = state;
    post->lookup = NULL;
    post->checked = *addresses;
    const int64_t left_ms = post->deadline - clock_mono_ms();
    if (!addresses->count) {
        end_with(post, addresses->error);
    } else if (left_ms <= 0) {
        end_with(post, "no answer in time");
    } else if (!set_up(post, left_ms)) {
        end_with(post, "out of memory");
    }
}

/* A URL with an address in it needs no thread. */
static bool
found_at_once(struct post *post)
{
    struct addresses found = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&found.at[0];
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&found.at[0];
    if (inet_pton(AF_INET, post->target.host, &v4->sin_addr) == 1)
        v4->sin_family = AF_INET;
    else if (inet_pton(AF_INET6, post->target.host, &v6->sin6_addr) == 1)
        v6->sin6_family = AF_INET6;
    else
        return false;
    const struct sockaddr *address = (const struct sockaddr *)&found.at[0];
    const char *words = address_refused(address, post->poster->policy);
    if (!words && post->poster->policy == ADDRESS_PUBLIC_ONLY && address_is_own(address))
        words = "this machine";
    found.count = words ? 0 : 1;
    if (words)
        snprintf(found.error, sizeof found.error, "%.100s is %s: not allowed", post->target.host,
                 words);
    on_found(post, &found);
    return true;
}

bool
poster_start(struct poster *poster, const char *url, struct text secret, struct text body,
             void *caller)
{
    assert(body.at);
    struct post *post = calloc(1, sizeof *post);
    if (!post) return false;
    post->url = strdup(url);
    if (!post->url) {
        free(post);
        return false;
    }
    post->poster = poster;
    post->caller = caller;
    post->body = body;
    post->started_at = clock_mono_ms();
    post->deadline = post->started_at + poster->timeout_ms;
    post->result.at_wall_ms = clock_wall_ms();
    post->next = poster->posts;
    post->link = &poster->posts;
    if (post->next) post->next->link = &post->next;
    poster->posts = post;

    const char *refused = target_read(url, &post->target);
    if (!refused && secret.size > SECRET_MAX) refused = "the endpoint's secret is too long";
    if (refused) {
        end_with(post, refused);
        return true;
    }
    memcpy(post->secret, secret.at, secret.size);
    if (found_at_once(post)) return true;
    post->lookup = lookup_start(poster->lookups, &post->target, on_found, post);
    if (!post->lookup) end_with(post, "too many lookups of hosts are under way");
    return true;
}

/* --- the loop's side
 * --------------------------------------------------------------------------------- */

struct poster *
poster_new(struct loop *loop, enum address_policy policy, int64_t timeout_ms, post_fn *on_ended,
           void *state)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return NULL;
    struct poster *poster = calloc(1, sizeof *poster);
    if (!poster) return NULL;
    *poster = (struct poster){.loop = loop,
                              .policy = policy,
                              .timeout_ms = timeout_ms,
                              .on_ended = on_ended,
                              .state = state,
                              .curl_at = INT64_MAX};
    poster->lookups = lookups_new(loop, policy);
    poster->multi = curl_multi_init();
    if (!poster->lookups || !poster->multi) {
        poster_destroy(&poster);
        return NULL;
    }
    curl_multi_setopt(poster->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(poster->multi, CURLMOPT_SOCKETDATA, poster);
    curl_multi_setopt(poster->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(poster->multi, CURLMOPT_TIMERDATA, poster);
    return poster;
}

void
poster_destroy(struct poster **poster_p)
{
    struct poster *poster = *poster_p;
    if (!poster) return;
    while (poster->posts)
        post_destroy(poster->posts);
    lookups_destroy(&poster->lookups);
    curl_multi_cleanup(poster->multi);
    free(poster);
    curl_global_cleanup();
    *poster_p = NULL;
}

void
poster_collect(struct poster *poster)
{
    const int64_t now = clock_mono_ms();
    int left;
    if (poster->curl_at <= now) {
        poster->curl_at = INT64_MAX;
        curl_multi_socket_action(poster->multi, CURL_SOCKET_TIMEOUT, 0, &left);
    }
    for (CURLMsg *message; (message = curl_multi_info_read(poster->multi, &left));) {
        struct post *post = NULL;
        if (message->msg != CURLMSG_DONE) continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &post);
        end_by_curl(post, message->data.result);
    }
    for (struct post *post = poster->posts, *next; post; post = next) {
        next = post->next;
        if (post->lookup && post->deadline <= now) end_with(post, "no answer in time");
        if (!post->ended) continue;
        poster->on_ended(poster->state, post->caller, &post->result);
        post_destroy(post);
    }
}

int64_t
poster_wait_ms(const struct poster *poster)
{
    const int64_t now = clock_mono_ms();
    int64_t at = poster->curl_at;
    for (const struct post *post = poster->posts; post; post = post->next) {
        if (post->ended) return 0;
        if (post->lookup && post->deadline < at) at = post->deadline;
    }
    if (at == INT64_MAX || at - now > WAIT_MAX_MS) return WAIT_MAX_MS;
    return at > now ? at - now : 0;
}
