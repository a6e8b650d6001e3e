/* links_matrix: every certificate on every socket, and every message on every socket that it gets
 * to, in both directions; what works must be what links.def and messages.def say, no more and no
 * less.
 *
 *   links_matrix FOLDER        processes that do nothing but hold the sockets, in a new FOLDER
 *   links_matrix --live HOME   the processes of an instance that runs there
 *
 * The one side of each pair is Florin's own loop, in a process of its own (or one that is live);
 * the other is a bare libzmq socket, which obeys nothing. Certificates are made for it, ROLE-9, so
 * that it is taken for nobody who is there. Prints a line for each cell that is wrong, then the
 * counts; exit code 1 when there was one. */
#include "keys.h"
#include "log.h"
#include "loop.h"
#include "random.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#define PATIENCE_MS 10000
#define INSTANCE 9
#define NO_SUCH_MESSAGE 0x7ff0
#define PING_MARK (UINT64_C(1) << 62)

struct link_row {
    const char *name, *binder, *may_connect;
    int bound_as, connected_as;
};

static const struct link_row links[] = {
#define LINK(name, binder, bound_as, connected_as, may_connect, doc) \
    {#name, #binder, may_connect, ZMQ_##bound_as, ZMQ_##connected_as},
#include "links.def"
#undef LINK
};

static const char *const roles[] = {
#define ROLE(name, doc) #name,
#include "roles.def"
#undef ROLE
};
#define ROLE_COUNT (sizeof roles / sizeof roles[0])

/* The certificates that are no role's: of somebody unknown, and none at all. */
#define STRANGER "a stranger's key"
#define NO_KEY "no key"

static struct {
    unsigned let_in, kept_out, taken, refused, wrong;
} count;

/* Read here and not by the code under test. */
static bool
listed(const char *list, const char *word)
{
    const size_t size = strlen(word);
    if (strcmp(list, "*") == 0) return true;
    for (const char *at = list; (at = strstr(at, word)); at += size)
        if ((at == list || at[-1] == ' ') && (at[size] == 0 || at[size] == ' ')) return true;
    return false;
}

__attribute__((format(printf, 1, 2))) static void
wrong(const char *format, ...)
{
    va_list arguments;
    count.wrong++;
    fputs("WRONG   ", stdout);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

/* --- frames -------------------------------------------------------------------------------------
 */

static void
put(uint8_t *at, uint64_t value, size_t bytes)
{
    for (size_t i = bytes; i-- > 0; value >>= 8)
        at[i] = (uint8_t)value;
}

static uint64_t
get(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

/* A packet without a single field. */
static size_t
packet(uint8_t out[static PACKET_HEADER_BYTES + 1], uint16_t number, uint64_t correlation)
{
    memset(out, 0, PACKET_HEADER_BYTES);
    put(out, PACKET_HEADER_BYTES + 1 - 4, 4);
    out[4] = PACKET_VERSION;
    put(out + 6, number, 2);
    put(out + 12, correlation, 8);
    out[PACKET_HEADER_BYTES] = 0x80; /* an empty map */
    return PACKET_HEADER_BYTES + 1;
}

/* --- the side that obeys nothing
 * ------------------------------------------------------------------
 */

static void
set_number(void *socket, int option, int value)
{
    if (zmq_setsockopt(socket, option, &value, sizeof value) != 0)
        die("libzmq refuses option %d.", option);
}

static void
set_key(void *socket, int option, const uint8_t key[static KEY_BYTES])
{
    if (zmq_setsockopt(socket, option, key, KEY_BYTES) != 0) die("libzmq refuses a key.");
}

static void
public_key(const char *home, const char *name, uint8_t key[static KEY_BYTES])
{
    char error[PATH_MAX + 128];
    if (!keys_read_public(home, name, key, error, sizeof error)) die("%s", error);
}

/* Puts on the certificate of a role, of a stranger, or none. */
static void
put_on(void *socket, const char *home, const char *who, const char *binder)
{
    uint8_t key[KEY_BYTES], secret[KEY_BYTES];
    if (strcmp(who, NO_KEY) == 0) return;
    if (strcmp(who, STRANGER) == 0) {
        char public_text[41], secret_text[41];
        zmq_curve_keypair(public_text, secret_text);
        zmq_z85_decode(key, public_text);
        zmq_z85_decode(secret, secret_text);
    } else {
        char name[NODE_NAME_MAX + 1];
        snprintf(name, sizeof name, "%s-%d", who, INSTANCE);
        keys_read_own(home, name, key, secret);
    }
    set_key(socket, ZMQ_CURVE_PUBLICKEY, key);
    set_key(socket, ZMQ_CURVE_SECRETKEY, secret);
    public_key(home, binder, key);
    set_key(socket, ZMQ_CURVE_SERVERKEY, key);
}

/* What the monitor of a socket tells of its first handshake. */
static bool
wait_for_handshake(void *monitor, bool *in)
{
    for (;;) {
        uint8_t event[6], address[256];
        zmq_pollitem_t item = {monitor, 0, ZMQ_POLLIN, 0};
        if (zmq_poll(&item, 1, PATIENCE_MS) <= 0) return false;
        if (zmq_recv(monitor, event, sizeof event, 0) != sizeof event) return false;
        if (zmq_recv(monitor, address, sizeof address, 0) < 0) return false;
        uint16_t number;
        memcpy(&number, event, sizeof number);
        *in = number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
        if (*in || number == ZMQ_EVENT_DISCONNECTED || number == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH ||
            number == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL ||
            number == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL)
            return true;
    }
}

/* A socket on that link; NULL when it was not let in, or (`*told` false) nothing became of it. */
static void *
knock(void *context, const char *home, size_t link, int instance, const char *who, bool *told)
{
    static unsigned serial;
    char endpoint[PATH_MAX], monitor_name[64], binder[NODE_NAME_MAX + 1];
    bool in = false;
    snprintf(binder, sizeof binder, "%s-%d", links[link].binder, instance);
    snprintf(monitor_name, sizeof monitor_name, "inproc://monitor-%u", serial++);
    void *socket = zmq_socket(context, links[link].connected_as);
    void *monitor = zmq_socket(context, ZMQ_PAIR);
    assert(socket && monitor);
    set_number(socket, ZMQ_LINGER, 0);
    set_number(monitor, ZMQ_LINGER, 0);
    if (links[link].connected_as == ZMQ_SUB) zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
    put_on(socket, home, who, binder);
    zmq_socket_monitor(socket, monitor_name, ZMQ_EVENT_ALL);
    zmq_connect(monitor, monitor_name);
    link_endpoint(home, (enum link_number)link, instance, endpoint, sizeof endpoint);
    zmq_connect(socket, endpoint);
    *told = wait_for_handshake(monitor, &in);
    zmq_socket_monitor(socket, NULL, 0);
    zmq_close(monitor);
    if (*told && in) return socket;
    zmq_close(socket);
    return NULL;
}

/* --- forward: whoever connects speaks
 * -------------------------------------------------------------
 */

/* How the loop itself says that the tables do not allow it; what a handler says is its own. */
static bool
is_refusal_of_the_tables(const uint8_t *body, size_t size)
{
    struct msg_refused m;
    const char *culprit;
    if (message_decode(MSG_refused, body, size, &m, &culprit) != MESSAGE_OK) return false;
    return text_is(m.reason, "the sender's role may not send this") ||
           text_is(m.reason, "this role does not take it") ||
           text_is(m.reason, "no message has this number");
}

/* Sends that message and a ping behind it: what was refused has been by the time of the pong. */
static bool
tell(void *socket, uint16_t number, bool *refused)
{
    static uint64_t correlation = 1;
    uint8_t bytes[PACKET_HEADER_BYTES + 1];
    const uint64_t mine = ++correlation;
    *refused = false;
    zmq_send(socket, bytes, packet(bytes, number, mine), 0);
    zmq_send(socket, bytes, packet(bytes, MSG_ping, mine | PING_MARK), 0);
    for (;;) {
        zmq_pollitem_t item = {socket, 0, ZMQ_POLLIN, 0};
        zmq_msg_t frame;
        if (zmq_poll(&item, 1, PATIENCE_MS) <= 0) return false;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, socket, 0) < 0) return false;
        const uint8_t *at = zmq_msg_data(&frame);
        bool over = false;
        for (size_t left = zmq_msg_size(&frame); left >= PACKET_HEADER_BYTES;) {
            const size_t size = (size_t)get(at, 4) + 4;
            const uint64_t answered = get(at + 12, 8);
            if (answered == mine && get(at + 6, 2) == MSG_refused)
                *refused |=
                    is_refusal_of_the_tables(at + PACKET_HEADER_BYTES, size - PACKET_HEADER_BYTES);
            over |= answered == (mine | PING_MARK);
            at += size;
            left -= size;
        }
        zmq_msg_close(&frame);
        if (over) return true;
    }
}

static void
try_message(void *socket, size_t link, const char *who, uint16_t number, const char *name,
            bool allowed)
{
    bool refused;
    if (!tell(socket, number, &refused))
        wrong("%s on %s: no answer after %s", who, links[link].name, name);
    else if (refused == allowed)
        wrong("%s on %s: %s is %s", who, links[link].name, name, refused ? "refused" : "taken");
    if (allowed)
        count.taken++;
    else
        count.refused++;
}

static void
try_certificate(void *context, const char *home, size_t link, int instance, const char *who)
{
    const bool allowed = listed(links[link].may_connect, who);
    bool told;
    void *socket = knock(context, home, link, instance, who, &told);
    if (allowed)
        count.let_in++;
    else
        count.kept_out++;
    if (!told) wrong("%s on %s-%d: neither let in nor refused", who, links[link].name, instance);
    if (told && !!socket != allowed)
        wrong("%s on %s-%d: %s", who, links[link].name, instance, socket ? "let in" : "kept out");
    if (!socket) return;
    if (links[link].connected_as == ZMQ_DEALER) {
        for (size_t i = 0; i < message_count; i++)
            try_message(socket, link, who, messages[i]->number, messages[i]->name,
                        listed(messages[i]->from, who) &&
                            listed(messages[i]->to, links[link].binder));
        try_message(socket, link, who, NO_SUCH_MESSAGE, "a message that is not there", false);
    }
    zmq_close(socket);
}

/* A handler reads new keys when it meets one that it does not know, once a second at most. */
static void
wait_until_known(void *context, const char *home, size_t link, int instance)
{
    bool told;
    void *socket;
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if (!listed(links[link].may_connect, roles[i])) continue;
        for (int tries = 0; tries < 100; tries++) {
            if ((socket = knock(context, home, link, instance, roles[i], &told))) {
                zmq_close(socket);
                break;
            }
            poll(NULL, 0, 100);
        }
    }
}

static void
try_forward(void *context, const char *home)
{
    for (size_t link = 0; link < LINK_COUNT; link++)
        for (int instance = 1; instance <= (strcmp(links[link].binder, "ledger") == 0 ? 2 : 1);
             instance++) {
            wait_until_known(context, home, link, instance);
            for (size_t i = 0; i < ROLE_COUNT; i++)
                try_certificate(context, home, link, instance, roles[i]);
            try_certificate(context, home, link, instance, STRANGER);
            try_certificate(context, home, link, instance, NO_KEY);
        }
}

/* --- the side that is Florin's, in a process of its own
 * -------------------------------------------
 */

static int report_fd = -1;

static void
on_packet(void *state, struct link *from, const struct packet *p)
{
    (void)state;
    (void)from;
    if (report_fd >= 0 && write(report_fd, &p->number, sizeof p->number) < 0) _exit(1);
}

static void
on_pub_packet(void *state, struct link *from, const struct packet *p)
{
    (void)state;
    (void)from;
    (void)p;
}

static pid_t
start_child(void)
{
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

/* Holds the sockets that this role binds. */
static pid_t
start_binder(const char *home, const char *role, int instance)
{
    const pid_t pid = start_child();
    if (pid) return pid;
    char name[NODE_NAME_MAX + 1];
    snprintf(name, sizeof name, "%s-%d", role, instance);
    struct loop *loop = loop_new(node_start(home, name));
    for (size_t link = 0; link < LINK_COUNT; link++)
        if (strcmp(links[link].binder, role) == 0)
            (void)loop_bind(loop, (enum link_number)link,
                            links[link].bound_as == ZMQ_XPUB ? on_pub_packet : on_packet, NULL);
    for (;;)
        loop_once(loop, 1000);
}

/* Connects to that link as a process of this role would, and reports the number of each packet that
 * gets to its handler. */
static pid_t
start_connector(const char *home, size_t link, const char *role, int fd)
{
    const pid_t pid = start_child();
    if (pid) return pid;
    char name[NODE_NAME_MAX + 1];
    report_fd = fd;
    snprintf(name, sizeof name, "%s-%d", role, INSTANCE);
    struct loop *loop = loop_new(node_start(home, name));
    struct link *connected = loop_connect(loop, (enum link_number)link, 1, on_packet, NULL);
    /* A ROUTER knows nobody who has not spoken. */
    bool greeted = links[link].connected_as == ZMQ_SUB;
    for (;;) {
        loop_once(loop, greeted ? 1000 : 10);
        if (!greeted)
            greeted = link_send(connected, (struct envelope){.correlation = 1}, MSG_ping,
                                &(struct msg_ping){0});
    }
}

/* --- backward: whoever is connected to speaks
 * -----------------------------------------------------
 */

static bool
read_number(int fd, uint16_t *number)
{
    struct pollfd item = {fd, POLLIN, 0};
    return poll(&item, 1, PATIENCE_MS) > 0 && read(fd, number, sizeof *number) == sizeof *number;
}

static void
send_to(void *socket, const uint8_t *id, size_t id_size, uint16_t number)
{
    uint8_t bytes[PACKET_HEADER_BYTES + 1];
    if (id_size) zmq_send(socket, id, id_size, ZMQ_SNDMORE);
    zmq_send(socket, bytes, packet(bytes, number, 7), 0);
}

/* Sends each message and a pong behind it, which everybody takes: what came before it in the report
 * was taken, and nothing else. A ping is answered below the handler, and is not seen there. */
static void
speak(void *socket, const uint8_t *id, size_t id_size, size_t link, const char *role, int report)
{
    for (size_t i = 0; i <= message_count; i++) {
        const struct message *m = i < message_count ? messages[i] : NULL;
        const bool allowed = m && m->number != MSG_ping && listed(m->from, links[link].binder) &&
                             listed(m->to, role);
        uint16_t number = 0;
        send_to(socket, id, id_size, m ? m->number : NO_SUCH_MESSAGE);
        send_to(socket, id, id_size, MSG_pong);
        bool good = read_number(report, &number);
        const bool taken = good && m && number == m->number && allowed;
        if (good && number != MSG_pong) {
            if (!allowed)
                wrong("%s takes %s on %s", role, m ? m->name : "nonsense", links[link].name);
            good = read_number(report, &number);
        } else if (taken) { /* a pong itself: there come two */
            good = read_number(report, &number);
        } else if (good && allowed) {
            wrong("%s refuses %s on %s", role, m->name, links[link].name);
        }
        if (!good || number != MSG_pong) {
            wrong("%s on %s: no report after %s", role, links[link].name, m ? m->name : "nonsense");
            return;
        }
        if (allowed)
            count.taken++;
        else
            count.refused++;
    }
}

/* The bare socket at the bound end, with the binder's own key. */
static void
try_backward_as(const char *home, size_t link, const char *role)
{
    char endpoint[PATH_MAX], binder[NODE_NAME_MAX + 1];
    uint8_t key[KEY_BYTES], secret[KEY_BYTES], id[256];
    int ends[2];
    snprintf(binder, sizeof binder, "%s-1", links[link].binder);
    keys_read_own(home, binder, key, secret);
    if (pipe(ends) != 0) die("No pipe: %s.", strerror(errno));
    const pid_t child = start_connector(home, link, role, ends[1]);
    close(ends[1]);
    /* Only now: whoever holds a context must not fork. */
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, links[link].bound_as);
    assert(socket);
    set_number(socket, ZMQ_LINGER, 0);
    set_number(socket, ZMQ_CURVE_SERVER, 1);
    set_key(socket, ZMQ_CURVE_SECRETKEY, secret);
    link_endpoint(home, (enum link_number)link, 1, endpoint, sizeof endpoint);
    if (zmq_bind(socket, endpoint) != 0) die("%s cannot be used: %s.", endpoint, strerror(errno));

    zmq_pollitem_t item = {socket, 0, ZMQ_POLLIN, 0};
    const int got = zmq_poll(&item, 1, PATIENCE_MS) > 0 ? zmq_recv(socket, id, sizeof id, 0) : -1;
    if (got < 0) {
        wrong("%s does not connect to %s", role, links[link].name);
    } else {
        const size_t id_size = links[link].bound_as == ZMQ_XPUB ? 0 : (size_t)got;
        if (id_size) zmq_recv(socket, (uint8_t[256]){0}, 256, 0); /* its ping */
        speak(socket, id, id_size, link, role, ends[0]);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ends[0]);
    zmq_close(socket);
    zmq_ctx_term(context);
}

static void
try_backward(const char *home)
{
    for (size_t link = 0; link < LINK_COUNT; link++)
        for (size_t i = 0; i < ROLE_COUNT; i++)
            if (listed(links[link].may_connect, roles[i])) try_backward_as(home, link, roles[i]);
}

/* --- the whole
 * ------------------------------------------------------------------------------------
 */

static void
make_home(const char *home)
{
    char path[PATH_MAX];
    static const char *const folders[] = {"", "/keys", "/keys/public", "/run", "/log"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        snprintf(path, sizeof path, "%s%s", home, folders[i]);
        if (mkdir(path, 0700) != 0) die("The folder %s cannot be made: %s.", path, strerror(errno));
    }
    for (size_t i = 0; i < ROLE_COUNT; i++)
        for (int instance = 1; instance <= 2; instance++) {
            snprintf(path, sizeof path, "%s-%d", roles[i], instance);
            node_make_keys(home, path);
        }
}

static void
make_certificates(const char *home)
{
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        char name[NODE_NAME_MAX + 1];
        snprintf(name, sizeof name, "%s-%d", roles[i], INSTANCE);
        node_make_keys(home, name);
    }
}

int
main(int argc, char **argv)
{
    const bool live = argc == 3 && strcmp(argv[1], "--live") == 0;
    if (!live && argc != 2) die("links_matrix FOLDER, or links_matrix --live HOME.");
    const char *home = argv[argc - 1];
    pid_t children[2 * ROLE_COUNT];
    size_t child_count = 0;
    log_start("links-matrix", LOG_ERROR);
    random_start();
    if (!live) {
        make_home(home);
        make_certificates(home);
        try_backward(home);
        for (size_t i = 0; i < ROLE_COUNT; i++)
            for (int instance = 1; instance <= 2; instance++) {
                bool binds = false;
                for (size_t link = 0; link < LINK_COUNT; link++)
                    binds |= strcmp(links[link].binder, roles[i]) == 0;
                if (binds) children[child_count++] = start_binder(home, roles[i], instance);
            }
    } else {
        make_certificates(home);
    }
    void *context = zmq_ctx_new();
    try_forward(context, home);
    zmq_ctx_term(context);
    for (size_t i = 0; i < child_count; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    printf("%u certificates were let in and %u kept out; %u messages were taken and %u refused; "
           "%u cells are wrong\n",
           count.let_in, count.kept_out, count.taken, count.refused, count.wrong);
    return count.wrong > 0;
}
