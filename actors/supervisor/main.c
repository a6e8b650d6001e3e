/* florin-supervisor: brings one instance of Florin up, keeps it up, and takes it down.
 *
 * It makes what a first start needs (keys, secrets, databases), starts private Postgres and Redis
 * and every actor, and starts again whoever dies. It speaks to nobody: health and the first
 * merchant are asked for by florin-ctl, which it runs. If it is killed itself, the others go on;
 * the next one takes them over. */
#include "backoff.h"
#include "backup.h"
#include "clock.h"
#include "files.h"
#include "home.h"
#include "log.h"
#include "partition.h"
#include "process.h"
#include "random.h"
#include "schema.h"
#include "settings.h"
#include "storage.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READY_MS 60000    /* --detach gives up after so long */
#define POSTGRES_MS 60000 /* redo after a crash may take a while */
#define DOWN_MS 120000    /* --down waits so long for the other supervisor */
#define ASK_AGAIN_MS 1000
#define INSTANCES_MAX 16 /* of settings.def: more than that never ran */

static const char help[] =
    "florin-supervisor: starts an instance of Florin and keeps it running.\n"
    "\n"
    "  florin-supervisor --home DIR [--detach | --down]\n"
    "  florin-supervisor --home DIR --backup FOLDER [--json]\n"
    "  florin-supervisor --home DIR --restore FOLDER [--keys FOLDER] [--vault FOLDER]\n"
    "\n"
    "  --detach   return when a payment can be made; go on in the background\n"
    "  --down     stop the instance of that home and everything that it started\n"
    "  --backup   write down that instance while it runs\n"
    "  --restore  bring one back into that home, which must be new\n"
    "\n"
    "For example: florin-supervisor --home var --detach\n";

struct supervisor {
    struct path home, programs;
    struct settings settings;
    struct storage storage;
    struct processes processes;
    int signal_fd;
    int narration_fd; /* the terminal, or the log when detached */
    int ready_fd;     /* where the parent of --detach waits; -1: nobody does */
    bool detached;
    pid_t asker; /* florin-ctl, which waits for health and makes the first merchant */
    int asker_fd;
    int64_t begun_ms, ask_at_ms;
    bool ready;
    unsigned wanted_to_stop; /* signals received */
};

__attribute__((format(printf, 2, 3))) static void
say(const struct supervisor *s, const char *format, ...)
{
    char line[512], when[32];
    const time_t now = time(NULL);
    struct tm local;
    va_list arguments;
    localtime_r(&now, &local);
    strftime(when, sizeof when, s->detached ? "%Y-%m-%d %H:%M:%S" : "%H:%M:%S", &local);
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    dprintf(s->narration_fd, "%s  %s\n", when, line);
}

/* --- signals ------------------------------------------------------------------------------------
 */

static void
take_signals(struct supervisor *s)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->signal_fd < 0) die("Signals cannot be received: %s.", strerror(errno));
}

static void
read_signals(struct supervisor *s)
{
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof info) == sizeof info)
        if (info.ssi_signo != SIGCHLD) s->wanted_to_stop++;
}

/* --- the processes
 * -------------------------------------------------------------------------------- */

static int64_t
backoff_most(const struct process *process)
{
    return process->kind == PROCESS_POSTGRES ? BACKOFF_POSTGRES_MOST_MS : BACKOFF_MOST_MS;
}

static void
start(struct supervisor *s, struct process *process)
{
    if (process_start(&s->processes, process)) return;
    process->state = PROCESS_RESTARTING;
    process->backoff_ms = backoff_next(process->backoff_ms, 0, backoff_most(process));
    process->restart_at_ms = clock_mono_ms() + process->backoff_ms;
    say(s, "%s cannot be started: %s", process->name, strerror(errno));
}

static void
plan_restart(struct supervisor *s, struct process *process)
{
    char how[32];
    const int64_t now_ms = clock_mono_ms();
    const int64_t lived_ms = now_ms - process->started_ms;
    process_reap(process, how, sizeof how);
    process->backoff_ms = backoff_next(process->backoff_ms, lived_ms, backoff_most(process));
    process->restart_at_ms = now_ms + process->backoff_ms;
    process->state = PROCESS_RESTARTING;
    process->restarts++;
    /* One that cannot live is mentioned now and then, not each time. */
    if (process->backoff_ms >= backoff_most(process) && process->restarts % 10 != 0) return;
    if (process->backoff_ms == 0)
        say(s, "%s died (%s): started again", process->name, how);
    else
        say(s, "%s died (%s) after %lld ms: started again in %lld ms", process->name, how,
            (long long)lived_ms, (long long)process->backoff_ms);
}

/* Waits until something happens, at most `wait_ms`, and takes note of whoever died. True when the
 * list changed. */
static bool
watch(struct supervisor *s, int64_t wait_ms, bool restarting)
{
    struct pollfd fds[PROCESSES_MAX + 2];
    struct process *whose[PROCESSES_MAX + 2];
    nfds_t count = 0;
    bool changed = false;
    fds[count++] = (struct pollfd){s->signal_fd, POLLIN, 0};
    fds[count++] = (struct pollfd){s->asker_fd, POLLIN, 0};
    for (unsigned i = 0; i < s->processes.count; i++) {
        struct process *process = &s->processes.list[i];
        if (process->state != PROCESS_RUNNING) continue;
        whose[count] = process;
        fds[count++] = (struct pollfd){process->pidfd, POLLIN, 0};
    }
    if (poll(fds, count, (int)wait_ms) <= 0) return false;
    read_signals(s);
    for (nfds_t i = 2; i < count; i++) {
        if (fds[i].revents == 0) continue;
        changed = true;
        char how[32];
        if (restarting)
            plan_restart(s, whose[i]);
        else
            process_reap(whose[i], how, sizeof how);
    }
    return changed;
}

/* Starts whoever is due. How long until the next one is. */
static int64_t
restart_due(struct supervisor *s, bool *changed)
{
    int64_t wait_ms = 1000;
    for (unsigned i = 0; i < s->processes.count; i++) {
        struct process *process = &s->processes.list[i];
        if (process->state != PROCESS_RESTARTING) continue;
        const int64_t due_ms = process->restart_at_ms - clock_mono_ms();
        if (due_ms <= 0) {
            start(s, process);
            *changed = true;
        } else if (due_ms < wait_ms) {
            wait_ms = due_ms;
        }
    }
    return wait_ms;
}

static bool
anyone_runs(const struct processes *p, int stage)
{
    for (unsigned i = 0; i < p->count; i++)
        if (p->list[i].stage == stage && p->list[i].state == PROCESS_RUNNING) return true;
    return false;
}

/* From the last stage to the first, each when the one before it is gone. A further signal makes an
 * end of asking. */
static void
stop_all(struct supervisor *s)
{
    struct processes *p = &s->processes;
    if (s->asker > 0) kill(s->asker, SIGKILL);
    for (unsigned i = 0; i < p->count; i++)
        if (p->list[i].state == PROCESS_RESTARTING) p->list[i].state = PROCESS_DOWN;
    for (int stage = p->count ? p->list[p->count - 1].stage : -1; stage >= 0; stage--) {
        int64_t patience_ms = 0;
        const unsigned asked = s->wanted_to_stop;
        for (unsigned i = 0; i < p->count; i++) {
            if (p->list[i].stage != stage || p->list[i].state != PROCESS_RUNNING) continue;
            process_signal(&p->list[i], false);
            patience_ms = p->list[i].patience_ms;
        }
        const int64_t until_ms = clock_mono_ms() + patience_ms;
        while (anyone_runs(p, stage)) {
            if (clock_mono_ms() >= until_ms || s->wanted_to_stop > asked + 1)
                for (unsigned i = 0; i < p->count; i++)
                    if (p->list[i].stage == stage) process_signal(&p->list[i], true);
            (void)watch(s, 100, false);
        }
    }
    unlink(path_in(s->home.at, "run/status.json").at);
    say(s, "stopped");
}

/* Nothing that was started is left when it ends. */
__attribute__((format(printf, 2, 3))) _Noreturn static void
give_up(struct supervisor *s, const char *format, ...)
{
    char sentence[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    stop_all(s);
    die("%s", sentence);
}

/* --- the start
 * ------------------------------------------------------------------------------------ */

static void
refuse_busy_port(const struct settings *settings)
{
    char port[16];
    struct addrinfo *addresses = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    snprintf(port, sizeof port, "%d", (int)settings->port);
    if (getaddrinfo(settings->listen, port, &hints, &addresses) != 0)
        die("The address %s in florin.conf (listen) cannot be understood.", settings->listen);
    const int fd = socket(addresses->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    const bool free_port = bind(fd, addresses->ai_addr, addresses->ai_addrlen) == 0;
    const int error = errno;
    close(fd);
    freeaddrinfo(addresses);
    if (free_port) return;
    if (error == EADDRINUSE)
        die("Port %s on %s is taken by another program: choose one with FLORIN_PORT.", port,
            settings->listen);
    die("The gateway cannot listen on %s port %s: %s.", settings->listen, port, strerror(error));
}

static void
start_postgres(struct supervisor *s)
{
    struct process *postgres = process_named(&s->processes, "postgres");
    char error[1024];
    if (!postgres) return; /* the operator has one of his own, and prepares it himself */
    if (postgres->state == PROCESS_DOWN) start(s, postgres);
    const int64_t until_ms = clock_mono_ms() + POSTGRES_MS;
    while (!schema_reachable(s->home.at)) {
        bool changed = false;
        (void)watch(s, 50, true);
        (void)restart_due(s, &changed);
        if (s->wanted_to_stop) give_up(s, "Stopped before everything was started.");
        /* A server that was killed leaves memory that a new one waits for: a few deaths are well.
         */
        if (postgres->restarts > 5 || clock_mono_ms() > until_ms)
            give_up(s, "Postgres does not start; %s/log/postgres.log says why.", s->home.at);
    }
    if (!schema_prepare(s->home.at, &s->settings, error, sizeof error)) give_up(s, "%s", error);
    say(s, "postgres is ready");
}

static void
start_asker(struct supervisor *s)
{
    const struct path program = path_in(s->programs.at, "florin-ctl");
    const char *const arguments[] = {
        program.at, "first-merchant", "--home", s->home.at, "--wait", "55", NULL};
    /* --detach: what is wrong is told to whoever waits */
    const int log_fd = s->ready_fd >= 0 ? dup(STDERR_FILENO) : log_open(s->home.at, "supervisor-1");
    s->asker = program_start(NULL, log_fd, arguments);
    s->asker_fd = s->asker > 0 ? pidfd_open(s->asker, 0) : -1;
    close(log_fd);
}

/* What a newcomer needs next, read from first_merchant. */
static void
print_welcome(const struct supervisor *s)
{
    char text[4096], key[128] = "";
    const char *url = s->processes.url;
    if (file_read(path_in(s->home.at, "first_merchant").at, text, sizeof text) <= 0) return;
    const char *at = strstr(text, "FLORIN_SECRET_KEY=");
    if (at) sscanf(at, "FLORIN_SECRET_KEY=%127[0-9A-Za-z_]", key);
    printf("\nFlorin is running at %s\n\n%s\nTry it:\n\n"
           "  curl %s/v1/payment_intents -u %s: \\\n"
           "    -d amount=2000 -d currency=usd -d payment_method=pm_card_visa \\\n"
           "    -d \"payment_method_types[]=card\" -d confirm=true\n\n",
           url, text, url, key);
    fflush(stdout);
}

static void
become_ready(struct supervisor *s)
{
    s->ready = true;
    say(s, "ready: a payment can be made");
    if (s->ready_fd < 0) {
        if (!s->detached) print_welcome(s);
        return;
    }
    (void)!write(s->ready_fd, "R", 1);
    close(s->ready_fd);
    s->ready_fd = -1;
    dup2(s->narration_fd, STDERR_FILENO); /* whoever waited is to see its end of file */
}

/* Whether florin-ctl is done, and what it found. */
static void
follow_asker(struct supervisor *s)
{
    int status;
    const int64_t now_ms = clock_mono_ms();
    if (s->ready) return;
    if (s->asker <= 0) {
        if (now_ms >= s->ask_at_ms) start_asker(s);
        return;
    }
    if (waitpid(s->asker, &status, WNOHANG) != s->asker) {
        if (s->ready_fd >= 0 && now_ms - s->begun_ms > READY_MS)
            give_up(s, "Florin does not serve after %d s; the logs are in %s/log.", READY_MS / 1000,
                    s->home.at);
        return;
    }
    if (s->asker_fd >= 0) close(s->asker_fd);
    s->asker = 0;
    s->asker_fd = -1;
    s->ask_at_ms = now_ms + ASK_AGAIN_MS;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        become_ready(s);
    else if (s->ready_fd >= 0)
        give_up(s, "Florin did not come to serve; everything was stopped, the logs are in %s/log.",
                s->home.at);
    else
        say(s, "not serving yet; log/supervisor-1.log says what is waited for");
}

static void
find_programs(struct supervisor *s)
{
    char program[PATH_MAX];
    const ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    if (size <= 0) die("/proc/self/exe cannot be read: %s.", strerror(errno));
    program[size] = 0;
    *strrchr(program, '/') = 0;
    snprintf(s->programs.at, sizeof s->programs.at, "%s", program);
}

/* Who is to run, and who runs already. */
static void
find_processes(struct supervisor *s)
{
    storage_place(&s->storage, s->home.at);
    s->processes.home = s->home.at;
    s->processes.programs = s->programs.at;
    s->processes.storage = &s->storage;
    processes_list(&s->processes, &s->settings);
    processes_adopt(&s->processes);
}

static void
supervise(struct supervisor *s)
{
    bool changed = true;
    s->begun_ms = clock_mono_ms();
    start_postgres(s);
    for (unsigned i = 0; i < s->processes.count; i++) {
        struct process *process = &s->processes.list[i];
        if (process->state != PROCESS_DOWN) continue;
        start(s, process);
        say(s, "%s started (pid %d)", process->name, (int)process->pid);
    }
    while (s->wanted_to_stop == 0) {
        const int64_t wait_ms = restart_due(s, &changed);
        if (changed) status_write(&s->processes);
        follow_asker(s);
        changed = watch(s, s->ready || wait_ms < 100 ? wait_ms : 100, true);
    }
    say(s, "stopping");
    stop_all(s);
}

/* --- detaching
 * ------------------------------------------------------------------------------------- */

/* The parent stays to see how it goes: 0 when a payment can be made. The child returns. */
static void
detach(struct supervisor *s)
{
    int ends[2];
    char told = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) die("No pipe can be made: %s.", strerror(errno));
    fflush(NULL);
    const pid_t pid = fork();
    if (pid < 0) die("No process can be started: %s.", strerror(errno));
    if (pid > 0) {
        close(ends[1]);
        while (read(ends[0], &told, 1) < 0 && errno == EINTR)
            continue;
        if (told == 0) { /* it ended; what is wrong it has said on our standard error */
            while (waitpid(pid, &(int){0}, 0) < 0 && errno == EINTR)
                continue;
            _exit(1);
        }
        processes_list(&s->processes, &s->settings); /* of which it wants the URL */
        print_welcome(s);
        _exit(0);
    }
    close(ends[0]);
    setsid();
    s->detached = true;
    s->ready_fd = ends[1];
    s->narration_fd = log_open(s->home.at, "supervisor-1");
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing >= 0) dup2(nothing, STDIN_FILENO);
    dup2(s->narration_fd, STDOUT_FILENO);
}

/* --- taking down
 * ------------------------------------------------------------------------------------ */

static int
take_down(struct supervisor *s)
{
    const struct path lock = path_in(s->home.at, "run/lock");
    struct stat status;
    if (stat(lock.at, &status) != 0) {
        printf("Florin is not running in %s.\n", s->home.at);
        return 0;
    }
    pid_t holder = 0, asked = 0;
    const int64_t until_ms = clock_mono_ms() + DOWN_MS;
    int fd;
    while ((fd = home_lock(s->home.at, &holder)) < 0) {
        if (holder > 1 && asked != holder) kill(asked = holder, SIGTERM);
        if (clock_mono_ms() > until_ms)
            die("The supervisor (process %d) does not end: kill it and call down again.",
                (int)holder);
        struct pollfd gone = {holder > 1 ? pidfd_open(holder, 0) : -1, POLLIN, 0};
        (void)poll(&gone, 1, gone.fd >= 0 ? 1000 : 100);
        if (gone.fd >= 0) close(gone.fd);
    }
    /* Nobody supervises by now. What a killed supervisor left running is ended here. */
    if (stat(path_in(s->home.at, "log").at, &status) == 0) {
        char error[1024];
        (void)!settings_read(s->home.at, &s->settings, error, sizeof error);
        s->settings.workers = s->settings.standby_workers = INSTANCES_MAX;
        s->settings.webhook_workers = INSTANCES_MAX;
        s->settings.partitions = PARTITIONS_MAX;
        s->settings.postgres_dsn[0] = 0;
        s->narration_fd = log_open(s->home.at, "supervisor-1");
        s->detached = true;
        find_processes(s);
        stop_all(s);
    }
    printf("Florin in %s is down.\n", s->home.at);
    return 0;
}

/* libpq's own variables (PGHOST, PGPORT, …) would lead it, and everyone whom we start, elsewhere.
 */
static void
forget_libpq_environment(void)
{
    for (char **at = environ; *at;) {
        char name[64];
        const size_t size = strcspn(*at, "=");
        if (strncmp(*at, "PG", 2) != 0 || size >= sizeof name) {
            at++;
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)size, *at);
        unsetenv(name);
    }
}

static int
back_up(struct supervisor *s, const char *folder, bool json)
{
    settings_load(s->home.at, &s->settings);
    storage_place(&s->storage, s->home.at);
    backup_make(s->home.at, &s->settings, &s->storage, folder, json);
    return 0;
}

static int
bring_back(struct supervisor *s, const struct restore *restore)
{
    pid_t holder;
    const int lock = home_lock(s->home.at, &holder);
    if (lock < 0)
        die("Florin is running in %s: a backup is brought back into a folder of its own.",
            s->home.at);
    s->processes.programs = s->programs.at;
    s->processes.storage = &s->storage;
    restore_home(restore, s->home.at, &s->processes);
    close(lock);
    return 0;
}

int
main(int argc, char **argv)
{
    const char *given = NULL, *backup = NULL;
    struct restore restore = {0};
    bool detached = false, down = false, json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) return fputs(help, stdout) < 0;
        if (strcmp(argv[i], "--detach") == 0)
            detached = true;
        else if (strcmp(argv[i], "--down") == 0)
            down = true;
        else if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (i + 1 < argc && strcmp(argv[i], "--home") == 0)
            given = argv[++i];
        else if (i + 1 < argc && strcmp(argv[i], "--backup") == 0)
            backup = argv[++i];
        else if (i + 1 < argc && strcmp(argv[i], "--restore") == 0)
            restore.folder = argv[++i];
        else if (i + 1 < argc && strcmp(argv[i], "--keys") == 0)
            restore.keys = argv[++i];
        else if (i + 1 < argc && strcmp(argv[i], "--vault") == 0)
            restore.vault = argv[++i];
        else
            die("florin-supervisor: \"%s\" is not understood here; try --help.", argv[i]);
    }
    if (!given) die("florin-supervisor: --home is missing; try --help.");

    static struct supervisor s = {.narration_fd = STDOUT_FILENO, .ready_fd = -1, .asker_fd = -1};
    pid_t holder;
    log_start("supervisor-1", LOG_INFO);
    random_start();
    umask(077);
    forget_libpq_environment();
    if (restore.folder) restore_check(&restore);
    s.home = home_open(given);
    find_programs(&s);
    if (backup) return back_up(&s, backup, json);
    if (restore.folder) return bring_back(&s, &restore);
    take_signals(&s);
    if (down) return take_down(&s);

    settings_load(s.home.at, &s.settings);
    folder_make(path_in(s.home.at, "log").at, 0700);
    if (detached) detach(&s);
    const int lock = home_lock(s.home.at, &holder);
    if (lock < 0)
        die("Florin is already running in %s (supervisor %d): ./florin down stops it.", s.home.at,
            (int)holder);
    if (restore_is_unfinished(s.home.at))
        die("A backup was not brought back to its end in %s: remove the folder, and restore again.",
            s.home.at);
    home_prepare(s.home.at, &s.settings);
    find_processes(&s);
    const struct process *gateway = process_named(&s.processes, "gateway-1");
    if (gateway && gateway->state == PROCESS_DOWN) refuse_busy_port(&s.settings);
    if (s.storage.elsewhere)
        say(&s, "Postgres and Redis live in %s: their users cannot get to %s",
            s.storage.postgres_folder, s.home.at);
    storage_prepare(&s.storage, s.home.at);
    supervise(&s);
    return 0;
}
