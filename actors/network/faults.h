/* faults: how the simulated network misbehaves, as a tester wrote it in HOME/network/faults. */
#pragma once

#include "text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct faults {
#define FAULT(name, highest, doc) int64_t fault_##name;
#include "faults.def"
#undef FAULT
};

/* Reads the text of a file. False, with one sentence in `error` and `faults` as they were, when a
 * line is not understood. */
bool faults_parse(struct text text, struct faults *faults, char *error, size_t error_size);

/* The file, and which version of it was read last. */
struct faults_file {
    char path[4096];
    struct timespec changed;
    off_t size;
    ino_t inode;
};

void faults_file_init(struct faults_file *file, const char *home);
/* Reads it again if it has changed: costs one stat. A file that is not understood is logged and
 * leaves the faults as they are; no file is no faults. */
void faults_refresh(struct faults_file *file, struct faults *faults);
