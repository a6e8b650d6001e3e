/* status: what the supervisor knows of each process, and what the process says of itself. */
#include "clock.h"
#include "ctl.h"
#include "files.h"
#include "florin_client.h"
#include "gateway.h"
#include "json_reader.h"
#include "log.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PING_MS 1500 /* connecting and its handshake too */

/* Whom an operator can ask, and over which link. The others run or do not. */
static const struct {
    const char *role;
    enum link_number link;
} asked[] = {
    {"broker", LINK_broker_front},
    {"ledger", LINK_ledger_commands},
    {"vault", LINK_vault_tokenize},
    {"network", LINK_network_requests},
};

struct row {
    char name[32], state[32], detail[512];
    long pid, restarts, uptime_s;
};

static long
number_of(struct text object, const char *key)
{
    const struct text json = json_find(object, key);
    char digits[24] = "";
    if (!json.at || json.size >= sizeof digits) return 0;
    memcpy(digits, json.at, json.size);
    return strtol(digits, NULL, 10);
}

static void
text_in(struct text object, const char *key, char *out, size_t cap)
{
    char memory[64];
    const struct text text = json_unquote(json_find(object, key), memory, sizeof memory);
    snprintf(out, cap, "%.*s", (int)text.size, text.at ? text.at : "");
}

/* Serving means the same for it as for its clients. */
static void
ask_gateway(const char *home, struct row *row)
{
    struct gateway_words words;
    const bool serving = gateway_serves(home, &words);
    snprintf(row->state, sizeof row->state, "%s", serving ? "serving" : "waiting");
    snprintf(row->detail, sizeof row->detail, "%s", serving ? "" : words.text);
}

static void
ask(const char *home, struct florin_client *client, struct row *row)
{
    if (strncmp(row->name, "gateway-", 8) == 0) {
        ask_gateway(home, row);
        return;
    }
    const char *hyphen = strrchr(row->name, '-');
    const struct msg_ping ping = {0};
    struct florin_answer answer;
    struct msg_pong pong;
    for (size_t i = 0; hyphen && i < sizeof asked / sizeof asked[0]; i++) {
        const size_t size = strlen(asked[i].role);
        if ((size_t)(hyphen - row->name) != size || strncmp(row->name, asked[i].role, size) != 0)
            continue;
        const struct florin_target target = {asked[i].link, (int)strtol(hyphen + 1, NULL, 10)};
        if (florin_client_ask(client, MSG_ping, &ping, NO_TEXT, &target, PING_MS, &answer) !=
                FLORIN_ANSWERED ||
            !florin_answer_read(&answer, MSG_pong, &pong)) {
            snprintf(row->state, sizeof row->state, "silent");
            return;
        }
        snprintf(row->state, sizeof row->state, "%.*s", (int)pong.state.size, pong.state.at);
        if (pong.detail.at)
            snprintf(row->detail, sizeof row->detail, "%.*s", (int)pong.detail.size,
                     pong.detail.at);
    }
}

static void
print_row(const struct row *row, int json, int first)
{
    if (json)
        printf("%s{\"name\":\"%s\",\"pid\":%ld,\"state\":\"%s\",\"restarts\":%ld,"
               "\"uptime_s\":%ld}",
               first ? "" : ",\n ", row->name, row->pid, row->state, row->restarts, row->uptime_s);
    else
        printf("%-12s  %8ld  %-10s  %8ld  %8ld s  %s\n", row->name, row->pid, row->state,
               row->restarts, row->uptime_s, row->detail);
}

int
ctl_status(const struct ctl *ctl)
{
    char path[PATH_MAX + 32], text[32768];
    const int json = option_given(ctl, "--json");
    snprintf(path, sizeof path, "%s/run/status.json", ctl->home);
    const ssize_t size = file_read(path, text, sizeof text);
    const struct text whole = {text, size > 0 ? (size_t)size : 0};
    const long supervisor = number_of(whole, "supervisor");
    if (size <= 0 && errno != ENOENT) die("%s cannot be read: %s.", path, strerror(errno));
    if (size <= 0) {
        puts(json ? "[]" : "Florin is not running here; ./florin up starts it.");
        return 3;
    }
    const bool supervised = supervisor > 0 && kill((pid_t)supervisor, 0) == 0;

    struct florin_client *client = florin_client_open(ctl->home, "operator-1");
    const struct text list = json_find(whole, "processes");
    struct text object;
    size_t at = 0;
    bool malformed = false, first = true;
    if (json)
        fputs("[", stdout);
    else
        printf("%-12s  %8s  %-10s  %8s  %10s\n", "name", "pid", "state", "restarts", "uptime");
    while (json_next_element(list, &at, &object, &malformed)) {
        struct row row = {.pid = number_of(object, "pid"),
                          .restarts = number_of(object, "restarts")};
        text_in(object, "name", row.name, sizeof row.name);
        text_in(object, "state", row.state, sizeof row.state);
        if (row.pid > 0 && kill((pid_t)row.pid, 0) != 0 && errno == ESRCH)
            snprintf(row.state, sizeof row.state, "dead");
        if (strcmp(row.state, "running") == 0) {
            row.uptime_s = (long)(clock_wall_ms() / 1000) - number_of(object, "started_at");
            ask(ctl->home, client, &row);
        }
        print_row(&row, json, first);
        first = false;
    }
    if (json) puts("]");
    if (!supervised && !json)
        puts("\nThe supervisor is gone: nobody restarts what dies. ./florin up takes over.");
    florin_client_close(&client);
    return malformed || !supervised ? 1 : 0;
}
