/* florin-gateway: HTTP in, messages out. One thread does all of it: the loop's, with a fiber for
 * each request. Others only accept connections, and carry what libzmq sends. */
#include "api.h"
#include "front.h"
#include "http.h"
#include "lobby.h"
#include "log.h"
#include "loop.h"
#include "mux.h"
#include "options.h"
#include "settings.h"

#include <sys/resource.h>

static const char help[] =
    "florin-gateway: answers the public HTTP API, by asking the other processes.\n"
    "\n"
    "  florin-gateway --home DIR --name gateway-1\n"
    "\n"
    "It is started by florin-supervisor; by hand, for example:\n"
    "\n"
    "  florin-gateway --home var --name gateway-1\n"
    "  curl http://127.0.0.1:8420/health\n";

struct gateway {
    struct loop *loop;
    struct mux *mux;
    struct lobby *lobby;
    int64_t leave_ms; /* when we drain: until then we wait for others' answers */
};

/* For those that ask what nobody is counted for: whether we are well, what a session is worth. */
enum { SEATS_SPARE = 16 };

/* After a signal what is under way is answered first. But the next gateway begins when this one has
 * ended, and somebody who died meanwhile may owe us an answer for as long as a request may take: so
 * whoever still waits after this time is told that what became of it is not known, and asks again,
 * with his key. */
enum { LEAVE_MS_MAX = 5000 };

static int64_t
on_turn(void *state, int64_t mono_ms)
{
    struct gateway *gateway = state;
    if (loop_stopping(gateway->loop) && !http_draining()) {
        http_drain();
        lobby_drain(gateway->lobby);
        gateway->leave_ms = mono_ms + LEAVE_MS_MAX;
    }
    if (gateway->leave_ms && mono_ms >= gateway->leave_ms) mux_close(gateway->mux);
    mux_turn(gateway->mux, mono_ms);
    const int64_t lobby_ms = lobby_turn(gateway->lobby, mono_ms);
    const int64_t mux_ms = mux_flush(gateway->mux, mono_ms);
    const int64_t again_ms = lobby_ms < mux_ms ? lobby_ms : mux_ms;
    if (!loop_stopping(gateway->loop)) return again_ms;
    if (lobby_busy(gateway->lobby) == 0) loop_stop(gateway->loop);
    return again_ms < 20 ? again_ms : 20;
}

/* A descriptor for each connection, and some more. */
static void
allow_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int
main(int argc, char **argv)
{
    const struct options options = options_read(argc, argv, "gateway", help);

    static struct settings settings;
    settings_load(options.home, &settings);
    allow_descriptors();
    struct node *node = node_start(options.home, options.name);
    struct gateway gateway = {.loop = loop_new(node)};
    const unsigned seats = (unsigned)settings.requests_max + SEATS_SPARE;
    gateway.mux = mux_new(gateway.loop, seats, settings.redis_timeout_ms);
    struct api *api = api_new(node, &settings, gateway.mux);
    struct http_server server = {.timeout_ms = settings.request_timeout_ms,
                                 .body_max = (uint64_t)settings.body_bytes_max,
                                 .handle = api_handle,
                                 .refuse = api_refuse,
                                 .is_full = api_is_full,
                                 .state = api};
    gateway.lobby = lobby_new(gateway.loop, &server, seats, (unsigned)settings.http_connections);
    char error[512];
    struct front *front = front_start(settings.listen, (int)settings.port, lobby_take,
                                      gateway.lobby, error, sizeof error);
    if (!front) die("%s", error);
    log_event(LOG_INFO, "gateway.listening", "address=%s port=%lld requests_max=%lld",
              settings.listen, (long long)settings.port, (long long)settings.requests_max);
    loop_set_state(gateway.loop, "serving", "");
    loop_on_turn(gateway.loop, on_turn, &gateway);
    loop_run(gateway.loop);

    http_drain();
    mux_close(gateway.mux);
    front_stop(&front);
    lobby_destroy(&gateway.lobby);
    api_destroy(&api);
    mux_destroy(&gateway.mux);
    loop_destroy(&gateway.loop);
    node_stop(&node);
    return 0;
}
