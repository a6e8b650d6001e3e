#include "failpoint.h"

#include "clock.h"
#include "log.h"
#include "loop.h"
#include "node.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_BYTES \
    4096 /* room for more points than there are: whoever maps it need not know how many */
#define LEAVE_US 2000 /* until libzmq's thread has sent what it was given */

static_assert(FAILPOINT_COUNT * sizeof(struct failpoint_record) <= FILE_BYTES, "");

static const char *const names[FAILPOINT_COUNT] = {
#define POINT(role, name, doc) #role "." #name,
#include "failpoints.def"
#undef POINT
};

static const struct {
    const char *name;
    enum failpoint_action action;
} actions[] = {
    {"kill", FAILPOINT_KILL},   {"abort", FAILPOINT_ABORT}, {"stop", FAILPOINT_STOP},
    {"sleep", FAILPOINT_SLEEP}, {"skip", FAILPOINT_SKIP},
};

/* The environment's, of this process alone. */
static struct wish {
    enum failpoint_action action;
    uint32_t ms, at;
    _Atomic uint32_t passed;
} wishes[FAILPOINT_COUNT];

static struct failpoint_record *records; /* mapped; NULL: there is no file */

const char *
failpoint_name(enum failpoint point)
{
    return names[point];
}

/* --- asking ------------------------------------------------------------------------------------
 */

/* NAME:ACTION[:MS][@TIMES] */
static bool
read_wish(char *text)
{
    unsigned long at = 0, ms = 0;
    char *times = strchr(text, '@'), *action, *number;
    if (times) {
        *times++ = '\0';
        at = strtoul(times, NULL, 10);
        if (at == 0 || at > UINT32_MAX) return false;
    }
    if (!(action = strchr(text, ':'))) return false;
    *action++ = '\0';
    if ((number = strchr(action, ':'))) {
        *number++ = '\0';
        ms = strtoul(number, NULL, 10);
        if (ms == 0 || ms > 3600000) return false;
    }
    for (size_t point = 0; point < FAILPOINT_COUNT; point++)
        for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
            if (strcmp(names[point], text) != 0 || strcmp(actions[i].name, action) != 0) continue;
            if ((actions[i].action == FAILPOINT_SLEEP) != (ms > 0)) return false;
            wishes[point].action = actions[i].action;
            wishes[point].ms = (uint32_t)ms;
            wishes[point].at = (uint32_t)at;
            return true;
        }
    return false;
}

static void
read_environment(void)
{
    const char *const wanted = getenv("FP");
    char text[4096], *rest = text;
    if (!wanted) return;
    if (snprintf(text, sizeof text, "%s", wanted) >= (int)sizeof text) die("FP is too long.");
    for (char *one; (one = strsep(&rest, ","));) {
        char said[256];
        snprintf(said, sizeof said, "%s", one);
        if (*one && !read_wish(one)) die("FP: \"%s\" is no failpoint and action.", said);
    }
}

static void
map_file(const char *home)
{
    char folder[PATH_MAX], path[PATH_MAX + 16];
    run_folder(home, folder, sizeof folder);
    snprintf(path, sizeof path, "%s/failpoints", folder);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || ftruncate(fd, FILE_BYTES) != 0)
        die("The file %s cannot be made: %s.", path, strerror(errno));
    records = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (records == MAP_FAILED) die("The file %s cannot be mapped: %s.", path, strerror(errno));
}

void
failpoints_open(const char *home)
{
    read_environment();
    map_file(home);
}

/* --- passing -----------------------------------------------------------------------------------
 */

static void
sleep_ms(uint32_t ms)
{
    const int64_t until_ms = clock_mono_ms() + ms;
    for (int64_t left; (left = until_ms - clock_mono_ms()) > 0;)
        usleep((useconds_t)(left < 500 ? left : 500) * 1000);
}

static void
act(enum failpoint point, enum failpoint_action action, uint32_t ms)
{
    log_event(LOG_WARNING, "failpoint.passed", "point=%s action=%u", names[point], action);
    switch (action) {
    case FAILPOINT_KILL: kill(getpid(), SIGKILL); break;
    case FAILPOINT_STOP: kill(getpid(), SIGSTOP); break;
    case FAILPOINT_SLEEP: sleep_ms(ms); break;
    case FAILPOINT_ABORT: abort();
    case FAILPOINT_NOTHING:
    case FAILPOINT_SKIP: break;
    }
}

/* What the file wants done here, once: taken away by whoever does it. */
static enum failpoint_action
take_record(enum failpoint point, uint32_t *ms)
{
    struct failpoint_record *const record = records ? &records[point] : NULL;
    uint32_t action = record ? __atomic_load_n(&record->action, __ATOMIC_ACQUIRE) : 0;
    if (!action) return FAILPOINT_NOTHING;
    for (uint32_t after = __atomic_load_n(&record->after, __ATOMIC_ACQUIRE); after > 0;)
        if (__atomic_compare_exchange_n(&record->after, &after, after - 1, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            return FAILPOINT_NOTHING;
    *ms = record->ms;
    if (!__atomic_compare_exchange_n(&record->action, &action, 0, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE))
        return FAILPOINT_NOTHING;
    __atomic_store_n(&record->done_by, (uint32_t)getpid(), __ATOMIC_RELEASE);
    __atomic_fetch_add(&record->done, 1, __ATOMIC_ACQ_REL);
    return (enum failpoint_action)action;
}

static enum failpoint_action
wanted_here(enum failpoint point, uint32_t *ms)
{
    struct wish *const wish = &wishes[point];
    if (wish->action) {
        const uint32_t passed = atomic_fetch_add(&wish->passed, 1) + 1;
        *ms = wish->ms;
        if (!wish->at || passed == wish->at) return wish->action;
    }
    return take_record(point, ms);
}

void
failpoint_pass(enum failpoint point)
{
    uint32_t ms = 0;
    const enum failpoint_action action = wanted_here(point, &ms);
    if (action) act(point, action, ms);
}

bool
failpoint_skips(enum failpoint point)
{
    uint32_t ms = 0;
    const enum failpoint_action action = wanted_here(point, &ms);
    if (action == FAILPOINT_SKIP) return true;
    if (action) act(point, action, ms);
    return false;
}

void
failpoint_pass_after(struct link *link, enum failpoint point)
{
    uint32_t ms = 0;
    const enum failpoint_action action = wanted_here(point, &ms);
    if (!action) return;
    link_flush(link);
    usleep(LEAVE_US);
    act(point, action, ms);
}
