/* What the test tells the library that makes calls fail; sweep.mjs writes it by these offsets. */
#pragma once

enum { NTH_MEMORY, NTH_SOCKET, NTH_ZMQ, NTH_LIBPQ, NTH_REDIS, NTH_DISK };
/* FAILED: as the system would say it (no memory, connection reset, would block, connection gone).
 * KILLED: the process dies instead of the call; KILLED_AFTER: the call is made, nobody hears of it.
 */
enum { NTH_FAILED, NTH_KILLED, NTH_KILLED_AFTER, NTH_INTERRUPTED, NTH_SHORT };

struct nth {
    volatile int armed;        /* at 0 */
    volatile int class;        /* 4 */
    volatile int kind;         /* 8 */
    volatile int n;            /* 12: 0 fails none, and counts */
    volatile int count;        /* 16 */
    volatile int fired;        /* 20 */
    volatile char process[32]; /* 24 */
};
