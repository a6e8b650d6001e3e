/* failpoint: named places where a test may stop the world (failpoints.def).
 *
 * In a build for use FAILPOINT(name) is nothing at all, and failpoint.c is not compiled. In a test
 * build (cmake -DFLORIN_FAILPOINTS=ON, preset `chaos`) something can be made to happen there:
 *
 *   kill      the process ends, as by kill -9
 *   abort     it ends as by a failed assertion
 *   stop      it stands still until somebody sends SIGCONT
 *   sleep:MS  it stands still for so long
 *   skip      FAILPOINT_SKIPS says true: what stands there is not done
 *
 * Two ways to ask for it. For all processes, as long as they live, by the environment:
 *
 *   FP=ledger.after_commit:kill@3,network.before_commit:sleep:200
 *
 * (`@3`: when it is passed for the third time in a process). Or for one time, in whoever comes
 * there first, by a record in RUN/failpoints, which every process has mapped; that is what the
 * chaos run does while everything is running. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define POINT(role, name, doc) FAILPOINT_##role##_##name,
enum failpoint {
#include "failpoints.def"
    FAILPOINT_COUNT
};
#undef POINT

struct link;

#ifdef FLORIN_FAILPOINTS

#define FAILPOINT(name) failpoint_pass(FAILPOINT_##name)
#define FAILPOINT_SKIPS(name) failpoint_skips(FAILPOINT_##name)
/* After what has been queued on that link has left the process. */
#define FAILPOINT_AFTER(link, name) failpoint_pass_after(link, FAILPOINT_##name)

/* One for each point, in the order of the table, in RUN/failpoints. Whoever does what it says takes
 * `action` away first, so that it is done once. Numbers as this machine has them. */
struct failpoint_record {
    uint32_t action;  /* enum failpoint_action */
    uint32_t ms;      /* of a sleep */
    uint32_t after;   /* times it is passed without effect */
    uint32_t done;    /* how often it has had its effect */
    uint32_t done_by; /* the process that had it last */
    uint32_t unused[3];
};

enum failpoint_action {
    FAILPOINT_NOTHING,
    FAILPOINT_KILL,
    FAILPOINT_STOP,
    FAILPOINT_SLEEP,
    FAILPOINT_ABORT,
    FAILPOINT_SKIP,
};

/* Reads FP and maps the file. Dies with a sentence when FP is not understood. */
void failpoints_open(const char *home);
const char *failpoint_name(enum failpoint point);
void failpoint_pass(enum failpoint point);
bool failpoint_skips(enum failpoint point);
void failpoint_pass_after(struct link *link, enum failpoint point);

#else

#define FAILPOINT(name) ((void)FAILPOINT_##name)
#define FAILPOINT_SKIPS(name) ((void)FAILPOINT_##name, false)
#define FAILPOINT_AFTER(link, name) ((void)(link), (void)FAILPOINT_##name)

#endif
