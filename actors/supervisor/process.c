#include "process.h"

#include "clock.h"
#include "files.h"
#include "json_writer.h"
#include "log.h"
#include "node.h"
#include "partition.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DESCRIPTORS 65536
#define COMMAND_SIZE 4096

/* What is started, in this order, and ended in the opposite one: money stays writable until those
 * who move it have ended. A gateway may take as long as its slowest request. */
static const struct {
    const char *role;
    enum process_kind kind;
    int64_t patience_ms;
} stages[] = {
    {"postgres", PROCESS_POSTGRES, 30000}, {"redis", PROCESS_REDIS, 5000},
    {"ledger", PROCESS_ACTOR, 10000},      {"vault", PROCESS_ACTOR, 10000},
    {"network", PROCESS_ACTOR, 10000},     {"webhooks", PROCESS_ACTOR, 10000},
    {"payments", PROCESS_ACTOR, 10000},    {"broker", PROCESS_ACTOR, 10000},
    {"gateway", PROCESS_ACTOR, 30000},
};

static int64_t
instances(const char *role, const struct settings *settings)
{
    if (strcmp(role, "ledger") == 0) return LEDGERS_PER_PARTITION * settings->partitions;
    if (strcmp(role, "payments") == 0) return settings->workers + settings->standby_workers;
    if (strcmp(role, "webhooks") == 0) return settings->webhook_workers;
    return 1;
}

/* How one on this machine gets to the gateway. */
static void
name_url(char url[static 128], const struct settings *settings)
{
    const char *listen = settings->listen;
    const bool any = strcmp(listen, "0.0.0.0") == 0 || strcmp(listen, "::") == 0;
    const bool v6 = strchr(listen, ':') != NULL && !any;
    snprintf(url, 128, "http://%s%s%s:%d", v6 ? "[" : "", any ? "127.0.0.1" : listen, v6 ? "]" : "",
             (int)settings->port);
}

void
processes_list(struct processes *p, const struct settings *settings)
{
    p->count = 0;
    name_url(p->url, settings);
    for (size_t stage = 0; stage < sizeof stages / sizeof stages[0]; stage++) {
        if (stages[stage].kind == PROCESS_POSTGRES && *settings->postgres_dsn) continue;
        const int64_t count = instances(stages[stage].role, settings);
        for (int64_t instance = 1; instance <= count && p->count < PROCESSES_MAX; instance++) {
            struct process *process = &p->list[p->count++];
            *process = (struct process){
                .kind = stages[stage].kind,
                .stage = (int)stage,
                .patience_ms = stages[stage].patience_ms,
                .pidfd = -1,
                .backoff_ms = -1,
            };
            snprintf(process->role, sizeof process->role, "%s", stages[stage].role);
            if (process->kind == PROCESS_ACTOR)
                snprintf(process->name, sizeof process->name, "%s-%d", stages[stage].role,
                         (int)instance);
            else
                snprintf(process->name, sizeof process->name, "%s", stages[stage].role);
        }
    }
}

struct process *
process_named(struct processes *p, const char *name)
{
    for (unsigned i = 0; i < p->count; i++)
        if (strcmp(p->list[i].name, name) == 0) return &p->list[i];
    return NULL;
}

/* --- starting ----------------------------------------------------------------------------------
 */

/* Frames and batches are hundreds of kilobytes, taken and given back many times a second. By
 * default the C library asks the kernel for each and returns it: a tenth of a batch's time in
 * Postgres went into page faults. Up to 16 MB of what is free stays with a process. */
static void
keep_memory(void)
{
    setenv("MALLOC_MMAP_THRESHOLD_", "16777216", 0);
    setenv("MALLOC_TRIM_THRESHOLD_", "16777216", 0);
    setenv("MALLOC_TOP_PAD_", "1048576", 0);
}

/* Whoever is told something waits for its turn instead of taking the processor away from who told
 * it: the teller goes on and tells more, and more leaves and is committed together. A processor
 * that is idle is given at once, as ever. */
static void
wait_for_turns(void)
{
    const struct sched_param none = {0};
    (void)sched_setscheduler(0, SCHED_BATCH, &none);
}

/* In the child, between fork and exec: no zmq context exists here, and one thread does (F47). */
_Noreturn static void
become(const struct user *user, int log_fd, const char *const arguments[])
{
    sigset_t none;
    struct rlimit limit;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0); /* Ctrl-C at the terminal is the supervisor's to handle */

    const int nothing = open("/dev/null", O_RDONLY);
    if (nothing >= 0) dup2(nothing, STDIN_FILENO);
    dup2(log_fd, STDOUT_FILENO);
    dup2(log_fd, STDERR_FILENO);

    limit = (struct rlimit){0, 0}; /* a core file would hold secrets */
    setrlimit(RLIMIT_CORE, &limit);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (user && user->other) {
        if (chdir("/") != 0 || initgroups(user->name, user->group) != 0 ||
            setgid(user->group) != 0 || setuid(user->id) != 0)
            _exit(126);
    }
    keep_memory();
    wait_for_turns();
    execv(arguments[0], (char *const *)(uintptr_t)arguments);
    dprintf(STDERR_FILENO, "%s cannot be started: %s.\n", arguments[0], strerror(errno));
    _exit(127);
}

pid_t
program_start(const struct user *user, int log_fd, const char *const arguments[])
{
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) become(user, log_fd, arguments);
    return pid;
}

int
program_run(const struct user *user, int log_fd, const char *const arguments[])
{
    int status;
    const pid_t pid = program_start(user, log_fd, arguments);
    if (pid < 0) return -1;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
is_running(struct process *process, pid_t pid, bool ours)
{
    process->pidfd = pidfd_open(pid, 0);
    if (process->pidfd < 0 && !ours) return; /* it has just ended */
    process->pid = pid;
    process->ours = ours;
    process->state = PROCESS_RUNNING;
    process->started_ms = clock_mono_ms();
    process->started_at = clock_wall_ms() / 1000;
}

bool
process_start(struct processes *p, struct process *process)
{
    const struct storage *s = p->storage;
    const struct path program = path_in(p->programs, "florin-%s", process->role);
    const char *const postgres[] = {s->postgres_program, "-D", s->cluster, NULL};
    const char *const redis[] = {s->redis_program, s->redis_config, NULL};
    const char *const actor[] = {program.at, "--home", p->home, "--name", process->name, NULL};
    const char *const *const arguments[] = {
        [PROCESS_POSTGRES] = postgres,
        [PROCESS_REDIS] = redis,
        [PROCESS_ACTOR] = actor,
    };
    const struct user *const users[] = {
        [PROCESS_POSTGRES] = &s->postgres_user,
        [PROCESS_REDIS] = &s->redis_user,
        [PROCESS_ACTOR] = NULL,
    };
    const int log_fd = log_open(p->home, process->name);
    const pid_t pid = program_start(users[process->kind], log_fd, arguments[process->kind]);
    close(log_fd);
    if (pid < 0) return false;
    is_running(process, pid, true);
    return true;
}

/* --- finding -----------------------------------------------------------------------------------
 */

/* The argument after `option`, NULL when it is not there. Arguments end with NUL each. */
static const char *
argument_after(const char *command, size_t size, const char *option)
{
    const char *const end = command + size;
    for (const char *at = command; at < end; at += strnlen(at, (size_t)(end - at)) + 1) {
        if (strcmp(at, option) != 0) continue;
        at += strlen(at) + 1;
        return at < end ? at : NULL;
    }
    return NULL;
}

bool
command_is_actor(const char *command, size_t size, const char *home, char name[static 32])
{
    if (size == 0 || command[size - 1] != 0) return false;
    const char *program = strrchr(command, '/');
    program = program ? program + 1 : command;
    const char *its_home = argument_after(command, size, "--home");
    const char *its_name = argument_after(command, size, "--name");
    if (strncmp(program, "florin-", 7) != 0 || strcmp(program, "florin-supervisor") == 0)
        return false;
    if (!its_home || !its_name || strcmp(its_home, home) != 0) return false;
    return snprintf(name, 32, "%s", its_name) < 32;
}

static size_t
command_of(pid_t pid, char command[static COMMAND_SIZE])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    const ssize_t size = file_read(path, command, COMMAND_SIZE);
    return size > 0 ? (size_t)size : 0;
}

static void
adopt_server(struct processes *p, const char *name, const char *pid_file, const char *argument)
{
    char command[COMMAND_SIZE], text[512];
    struct process *process = process_named(p, name);
    if (!process || file_read(pid_file, text, sizeof text) <= 0) return;
    const pid_t pid = (pid_t)strtol(text, NULL, 10);
    if (pid <= 1) return;
    const size_t size = command_of(pid, command);
    if (size > 0 && memmem(command, size, argument, strlen(argument) + 1))
        is_running(process, pid, false);
}

void
processes_adopt(struct processes *p)
{
    char command[COMMAND_SIZE], name[32];
    adopt_server(p, "postgres", p->storage->postgres_pid_file, p->storage->cluster);
    adopt_server(p, "redis", p->storage->redis_pid_file, p->storage->redis_config);

    DIR *proc = opendir("/proc");
    if (!proc) die("/proc cannot be read: %s.", strerror(errno));
    for (const struct dirent *entry; (entry = readdir(proc));) {
        struct stat status;
        const pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid <= 1 || fstatat(dirfd(proc), entry->d_name, &status, 0) != 0) continue;
        if (status.st_uid != geteuid()) continue;
        const size_t size = command_of(pid, command);
        if (!command_is_actor(command, size, p->home, name)) continue;
        struct process *process = process_named(p, name);
        if (process && process->state == PROCESS_DOWN)
            is_running(process, pid, false);
        else
            kill(pid, SIGTERM); /* one too many: the settings say fewer workers now */
    }
    closedir(proc);
}

/* --- ending ------------------------------------------------------------------------------------
 */

void
process_signal(const struct process *process, bool forced)
{
    if (process->state != PROCESS_RUNNING) return;
    /* Postgres: a fast shutdown, which waits for no session. */
    const int politely = process->kind == PROCESS_POSTGRES ? SIGINT : SIGTERM;
    if (!forced)
        kill(process->pid, politely);
    else if (kill(-process->pid, SIGKILL) != 0)
        kill(process->pid, SIGKILL);
}

void
process_reap(struct process *process, char *how, size_t how_size)
{
    int status = 0;
    snprintf(how, how_size, "ended");
    if (process->ours && waitpid(process->pid, &status, 0) == process->pid) {
        if (WIFEXITED(status)) snprintf(how, how_size, "exit %d", WEXITSTATUS(status));
        if (WIFSIGNALED(status)) snprintf(how, how_size, "signal %d", WTERMSIG(status));
    }
    if (process->pidfd >= 0) close(process->pidfd);
    process->pidfd = -1;
    process->pid = 0;
    process->state = PROCESS_DOWN;
}

/* --- status ------------------------------------------------------------------------------------
 */

void
status_write(const struct processes *p)
{
    static const char *const names[] = {
        [PROCESS_DOWN] = "stopped",
        [PROCESS_RUNNING] = "running",
        [PROCESS_RESTARTING] = "restarting",
    };
    char text[PROCESSES_MAX * 160 + 256];
    struct json_writer w;
    json_writer_init(&w, text, sizeof text);
    json_open(&w);
    json_integer(&w, "supervisor", getpid());
    json_string(&w, "url", p->url);
    json_key(&w, "processes");
    json_array(&w);
    for (unsigned i = 0; i < p->count; i++) {
        const struct process *process = &p->list[i];
        json_open(&w);
        json_string(&w, "name", process->name);
        json_integer(&w, "pid", process->pid);
        json_string(&w, "state", names[process->state]);
        json_integer(&w, "restarts", process->restarts);
        json_integer(&w, "started_at", process->started_at);
        json_close(&w);
    }
    json_array_end(&w);
    json_close(&w);
    const struct text json = json_writer_text(&w);
    if (!file_write(path_in(p->home, "run/status.json").at, json.at, json.size, 0600))
        log_event(LOG_WARNING, "status.unwritten", "error=%s", strerror(errno));
}
