/* process: what runs under supervision, in the order in which it is started, and how one is
 * started, found again, and ended.
 *
 * A process that runs already is found by its own command line under /proc, not by a file that says
 * its number: such a file may be missing or old after a crash, the command line is never. So a
 * supervisor that was killed is followed by one that adopts what goes on running (F30). */
#pragma once

#include "home.h"
#include "settings.h"
#include "storage.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESSES_MAX 64

enum process_kind { PROCESS_POSTGRES, PROCESS_REDIS, PROCESS_ACTOR };
enum process_state { PROCESS_DOWN, PROCESS_RUNNING, PROCESS_RESTARTING };

struct process {
    char name[32];
    char role[32];
    enum process_kind kind;
    int stage;           /* started from the lowest, ended from the highest */
    int64_t patience_ms; /* from asking it to end until it is made to */
    enum process_state state;
    pid_t pid;
    int pidfd; /* readable when it has ended; -1 when there is none */
    bool ours; /* a child of ours, not adopted */
    unsigned restarts;
    int64_t started_ms; /* monotonic */
    int64_t started_at; /* Unix s */
    int64_t backoff_ms, restart_at_ms;
};

struct processes {
    const char *home;
    const char *programs; /* folder of the binaries */
    struct storage *storage;
    char url[128]; /* of the gateway */
    struct process list[PROCESSES_MAX];
    unsigned count;
};

/* Fills the list from the settings; nothing is started. */
void processes_list(struct processes *p, const struct settings *settings);
/* Finds what runs already. Ends what runs for this home and is not on the list. */
void processes_adopt(struct processes *p);
/* False, with a line in its log, when it cannot be. */
bool process_start(struct processes *p, struct process *process);
/* Asks it to end in the way it wants to be asked, or makes it end. */
void process_signal(const struct process *process, bool forced);
/* To be called when pidfd is readable. Fills `how` with words such as "exit 1" or "signal 9". */
void process_reap(struct process *process, char *how, size_t how_size);
struct process *process_named(struct processes *p, const char *name);

/* Runs a program to its end with its output in `log_fd`, as `user` unless that is NULL. Its exit
 * code, or -1. */
int program_run(const struct user *user, int log_fd, const char *const arguments[]);
/* Starts one and does not wait. -1 when it cannot be. */
pid_t program_start(const struct user *user, int log_fd, const char *const arguments[]);

/* What the command line, as /proc has it, is: an actor of this home? Fills its name. */
bool command_is_actor(const char *command, size_t size, const char *home, char name[static 32]);

/* HOME/run/status.json, for `florin status` and whoever asks. */
void status_write(const struct processes *p);
