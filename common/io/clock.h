/* clock: the only place that asks what time it is. Waiting is measured by the monotonic clock;
 * what is recorded bears the wall's. */
#pragma once

#include <stdint.h>

int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
int64_t clock_wall_ms(void);
