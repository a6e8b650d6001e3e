/* seclude: what a process does that sees card numbers, so that they stay inside it: no core file,
 * no debugger, no look into its memory through /proc, and, where the system lets it, no page in
 * swap. */
#pragma once

#include <stdbool.h>

/* Called first of all, before anything secret is read. `lock_memory`: keep all pages out of swap;
 * not for a process that maps large files. What the system refuses is logged as a warning, because
 * a developer's machine seldom allows it and the service unit does. */
void seclude_process(bool lock_memory);
