#include "backoff.h"

int64_t
backoff_next(int64_t last_ms, int64_t lived_ms, int64_t most_ms)
{
    if (lived_ms >= BACKOFF_FORGIVEN_MS) return 0;
    if (last_ms < 0) return 0;
    if (last_ms < BACKOFF_LEAST_MS) return BACKOFF_LEAST_MS;
    return last_ms * 2 < most_ms ? last_ms * 2 : most_ms;
}
