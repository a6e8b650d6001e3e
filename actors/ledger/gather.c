#include "gather.h"

#ifndef GATHER_FROM /* the simulator makes it small */
#define GATHER_FROM 4
#endif
#define GATHER_ENOUGH 32 /* two thirds of what a batch costs is its commands' by then */
#define GATHER_MS_MAX 8  /* twice in a payment's way */
#define GATHER_PER_MS 3

int64_t
gather_ms(size_t held, size_t waiting)
{
    if (held < GATHER_FROM || waiting >= GATHER_ENOUGH) return 0;
    const size_t while_ms = (held + GATHER_PER_MS - 1) / GATHER_PER_MS;
    return while_ms < GATHER_MS_MAX ? (int64_t)while_ms : GATHER_MS_MAX;
}
