/* home: the folder of one instance, and the lock that makes it one.
 *
 *   florin.conf · keys/ · secrets/ · postgres/ · redis/ · network/ · run/ · log/ · first_merchant
 *
 * Made at the first start, and completed at any later one: what is there is never replaced. */
#pragma once

#include "settings.h"
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/* A path inside a home; cut paths end the process with a sentence. */
struct path {
    char at[PATH_MAX];
};
struct path path_in(const char *folder, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Makes the folder if need be and gives its absolute name, which links and spellings do not change.
 */
struct path home_open(const char *given);
/* Takes the lock that one supervisor holds while it lives; the descriptor, or -1 when another has
 * it, whose pid is in `holder` then (0 when it did not say). */
int home_lock(const char *home, pid_t *holder);

void folder_make(const char *path, mode_t mode);
/* Folders, florin.conf, keys of all processes, secrets. */
void home_prepare(const char *home, const struct settings *settings);

/* HOME/log/NAME.log, opened to be appended to; moved aside first when it is large. */
int log_open(const char *home, const char *name);
