/* files: small files whole. Written aside, synced, renamed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads a file of at most cap - 1 bytes and ends it with a NUL. -1 with errno set; EFBIG when it is
 * longer. */
ssize_t file_read(const char *path, char *out, size_t cap);
bool file_write(const char *path, const void *bytes, size_t size, mode_t mode);
/* A secret: refused (dies with a sentence) unless it is a regular file, ours, and 0600 or less. */
size_t secret_read(const char *home, const char *name, uint8_t *out, size_t cap);
/* Made with `size` random bytes when it is not there yet. HOME/secrets/NAME, 0600. */
void secret_make(const char *home, const char *name, size_t size);
