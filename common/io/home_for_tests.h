/* home_for_tests: an instance's folder that is made for one test and gone after it.
 *
 * A test that ends its process cannot tidy up; so the folders bear the number of the process that
 * runs the tests, and it removes what is left of them when all are through. */
#pragma once

#include "node.h"
#include <criterion/hooks.h>
#include <criterion/stats.h>
#include <ftw.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char home[96];

static inline int
remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static inline void
home_make(void)
{
    snprintf(home, sizeof home, "/tmp/florin-test-%d-XXXXXX", (int)getppid());
    if (!mkdtemp(home)) abort();
}

static inline void
home_remove(void)
{
    nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    char pattern[96];
    glob_t left;
    (void)stats;
    snprintf(pattern, sizeof pattern, "/tmp/florin-test-%d-*", (int)getpid());
    if (glob(pattern, 0, NULL, &left) != 0) return;
    for (size_t i = 0; i < left.gl_pathc; i++)
        nftw(left.gl_pathv[i], remove_one, 16, FTW_DEPTH | FTW_PHYS);
    globfree(&left);
}

/* A path in it; good until the fourth call from here. */
__attribute__((format(printf, 1, 2))) static inline const char *
in_home(const char *format, ...)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    va_list arguments;
    const int size = snprintf(path, 256, "%s/", home);
    va_start(arguments, format);
    vsnprintf(path + size, 256 - (size_t)size, format, arguments);
    va_end(arguments);
    return path;
}

static inline void
write_in_home(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(in_home("%s", name), "w");
    if (!file || fputs(text, file) < 0 || fclose(file) || chmod(in_home("%s", name), mode)) abort();
}
