/* manifest: what a backup consists of, each file with its size and its hash. Written last, so that
 * a backup that was cut off has none; read first, so that nothing is begun with a backup that is
 * damaged.
 *
 *     florin-backup 1
 *     schema 2
 *     created 1790000000
 *     file <BLAKE2b> <size> books/florin.dump
 *     …
 *     end <BLAKE2b of all lines before>
 */
#pragma once

#include "must_use.h"
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BACKUP_FORMAT 1
#define MANIFEST_FILES_MAX 256
#define MANIFEST_HASH_BYTES 32

struct manifest {
    long format, schema, created;
    struct manifest_file {
        char path[128]; /* within the backup */
        uint8_t hash[MANIFEST_HASH_BYTES];
        long long size;
    } files[MANIFEST_FILES_MAX];
    unsigned count;
};

/* Adds a file that lies at `at` as it is now, and makes sure that it is on the disk. False with a
 * sentence in `error`; so with those that follow. */
MUST_USE bool manifest_add(struct manifest *m, const char *path, const char *at, char *error,
                           size_t error_size);
MUST_USE bool manifest_write(const struct manifest *m, const char *folder, char *error,
                             size_t error_size);
MUST_USE bool manifest_read(struct manifest *m, const char *folder, char *error, size_t error_size);
/* The file at `at` is the one that is meant. */
MUST_USE bool manifest_check(const struct manifest_file *file, const char *at, char *error,
                             size_t error_size);
