/* florin-gateway: HTTP in, messages out. The main thread is the multiplexer; the HTTP threads are
 * the lobby's. */
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
};

/* After a signal: what is under way is answered first. */
static int64_t
on_turn(void *state, int64_t mono_ms)
{
    struct gateway *gateway = state;
    const int64_t again_ms = mux_turn(gateway->mux, mono_ms);
    if (!loop_stopping(gateway->loop)) return again_ms;
    if (!http_draining()) http_drain();
    if (http_busy() + lobby_busy(gateway->lobby) == 0) loop_stop(gateway->loop);
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
    gateway.mux = mux_new(gateway.loop, (unsigned)settings.http_threads, settings.redis_timeout_ms);
    struct api *api = api_new(node, &settings, gateway.mux);
    struct http_server server = {.timeout_ms = settings.request_timeout_ms,
                                 .body_max = (uint64_t)settings.body_bytes_max,
                                 .handle = api_handle,
                                 .refuse = api_refuse,
                                 .is_full = api_is_full,
                                 .state = api};
    http_limit_waiting((unsigned)(settings.http_threads * 7 / 8));
    gateway.lobby =
        lobby_new(&server, (unsigned)settings.http_threads, (unsigned)settings.http_connections);
    char error[512];
    struct front *front = front_start(settings.listen, (int)settings.port, lobby_take,
                                      gateway.lobby, error, sizeof error);
    if (!front) die("%s", error);
    log_event(LOG_INFO, "gateway.listening", "address=%s port=%lld threads=%lld", settings.listen,
              (long long)settings.port, (long long)settings.http_threads);
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
