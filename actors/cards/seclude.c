#include "seclude.h"

#include "log.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static void
warn(const char *what)
{
    log_event(LOG_WARNING, "seclude.refused", "what=%s reason=%s", what, strerror(errno));
}

static void
lock_all_memory(void)
{
    /* MCL_FUTURE under a finite limit would make some later allocation fail, hours from now. So the
     * limit goes first; where it stays, only what is there is locked, and the secrets themselves,
     * which are in memory that libsodium locks piece by piece. */
    const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    const bool free_to_grow = setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0;
    /* ONFAULT: what is reserved and never touched (stacks of threads) takes no memory. */
    const int flags =
        free_to_grow ? MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT : MCL_CURRENT | MCL_ONFAULT;
    if (mlockall(flags) != 0) warn("mlockall");
}

void
seclude_process(bool lock_memory)
{
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0) warn("RLIMIT_CORE");
#ifndef __SANITIZE_ADDRESS__ /* the leak check at the end looks in by ptrace, which this forbids \
                              */
    if (prctl(PR_SET_DUMPABLE, 0) != 0) warn("PR_SET_DUMPABLE");
#endif
    if (lock_memory) lock_all_memory();
}
