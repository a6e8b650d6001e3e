#include "manifest.h"

#include "files.h"
#include "home.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_BYTES_MAX 65536
#define HEX_SIZE (2 * MANIFEST_HASH_BYTES + 1)

static_assert(MANIFEST_FILES_MAX * (HEX_SIZE + 128 + 32) < TEXT_BYTES_MAX, "all of them fit");

__attribute__((format(printf, 3, 4))) static bool
no(char *error, size_t error_size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, error_size, format, arguments);
    va_end(arguments);
    return false;
}

static bool
hash_file(const char *at, bool sync, uint8_t hash[static MANIFEST_HASH_BYTES], long long *size)
{
    static uint8_t bytes[1 << 16];
    crypto_generichash_state state;
    ssize_t n;
    const int fd = open(at, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    crypto_generichash_init(&state, NULL, 0, MANIFEST_HASH_BYTES);
    for (*size = 0; (n = read(fd, bytes, sizeof bytes)) != 0;) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;
        crypto_generichash_update(&state, bytes, (unsigned long long)n);
        *size += n;
    }
    crypto_generichash_final(&state, hash, MANIFEST_HASH_BYTES);
    sodium_memzero(bytes, sizeof bytes); /* there are keys among the files */
    const bool good = n == 0 && (!sync || fsync(fd) == 0);
    close(fd);
    return good;
}

bool
manifest_add(struct manifest *m, const char *path, const char *at, char *error, size_t error_size)
{
    if (m->count == MANIFEST_FILES_MAX)
        return no(error, error_size, "There are too many files for a backup.");
    struct manifest_file *file = &m->files[m->count++];
    if (snprintf(file->path, sizeof file->path, "%s", path) >= (int)sizeof file->path)
        return no(error, error_size, "The name %s is too long.", path);
    if (!hash_file(at, true, file->hash, &file->size))
        return no(error, error_size, "%s cannot be read back: %s.", at, strerror(errno));
    return true;
}

static void
hash_text(const char *text, size_t size, char hex[static HEX_SIZE])
{
    uint8_t hash[MANIFEST_HASH_BYTES];
    crypto_generichash(hash, sizeof hash, (const uint8_t *)text, size, NULL, 0);
    sodium_bin2hex(hex, HEX_SIZE, hash, sizeof hash);
}

bool
manifest_write(const struct manifest *m, const char *folder, char *error, size_t error_size)
{
    static char text[TEXT_BYTES_MAX];
    char hex[HEX_SIZE];
    size_t size = (size_t)snprintf(text, sizeof text, "florin-backup %d\nschema %ld\ncreated %ld\n",
                                   BACKUP_FORMAT, m->schema, m->created);
    for (unsigned i = 0; i < m->count; i++) {
        sodium_bin2hex(hex, sizeof hex, m->files[i].hash, MANIFEST_HASH_BYTES);
        size += (size_t)snprintf(text + size, sizeof text - size, "file %s %lld %s\n", hex,
                                 m->files[i].size, m->files[i].path);
    }
    hash_text(text, size, hex);
    size += (size_t)snprintf(text + size, sizeof text - size, "end %s\n", hex);
    const struct path at = path_in(folder, "manifest");
    return file_write(at.at, text, size, 0600) ||
           no(error, error_size, "%s cannot be written: %s.", at.at, strerror(errno));
}

/* One line of a file; its path may not lead out of the backup. */
static bool
read_file_line(struct manifest *m, const char *line)
{
    char hex[HEX_SIZE];
    size_t size;
    if (m->count == MANIFEST_FILES_MAX) return false;
    struct manifest_file *file = &m->files[m->count++];
    return sscanf(line, "file %64s %lld %127s", hex, &file->size, file->path) == 3 &&
           sodium_hex2bin(file->hash, sizeof file->hash, hex, strlen(hex), NULL, &size, NULL) ==
               0 &&
           size == sizeof file->hash && file->path[0] != '/' && !strstr(file->path, "..");
}

bool
manifest_read(struct manifest *m, const char *folder, char *error, size_t error_size)
{
    static char text[TEXT_BYTES_MAX];
    char hex[HEX_SIZE], end[HEX_SIZE + 8];
    const struct path at = path_in(folder, "manifest");
    *m = (struct manifest){0};
    if (access(folder, F_OK) != 0) return no(error, error_size, "There is no backup %s.", folder);
    if (file_read(at.at, text, sizeof text) < 0) {
        if (errno == ENOENT)
            return no(error, error_size,
                      "%s is no backup, or one that was not finished: it has no manifest.", folder);
        return no(error, error_size, "%s cannot be read: %s.", at.at, strerror(errno));
    }
    if (sscanf(text, "florin-backup %ld\n", &m->format) != 1)
        return no(error, error_size, "The backup %s is damaged: its manifest is none.", folder);
    if (m->format > BACKUP_FORMAT)
        return no(error, error_size,
                  "The backup %s was made by a newer Florin than this one: it has format %ld, and "
                  "this program knows those up to %d.",
                  folder, m->format, BACKUP_FORMAT);
    const char *last = strstr(text, "\nend ");
    bool good = last != NULL;
    if (good) {
        hash_text(text, (size_t)(last + 1 - text), hex);
        snprintf(end, sizeof end, "end %s\n", hex);
        good = strcmp(last + 1, end) == 0;
    }
    for (char *line = text; good && line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, "schema ", 7) == 0) m->schema = strtol(line + 7, NULL, 10);
        if (strncmp(line, "created ", 8) == 0) m->created = strtol(line + 8, NULL, 10);
        if (strncmp(line, "file ", 5) == 0) good = read_file_line(m, line);
    }
    return good || no(error, error_size,
                      "The backup %s is damaged: its manifest is not what was written.", folder);
}

bool
manifest_check(const struct manifest_file *file, const char *at, char *error, size_t error_size)
{
    uint8_t hash[MANIFEST_HASH_BYTES];
    long long size;
    if (access(at, F_OK) != 0)
        return no(error, error_size, "The backup is incomplete: %s is missing.", at);
    if (!hash_file(at, false, hash, &size))
        return no(error, error_size, "%s cannot be read: %s.", at, strerror(errno));
    if (size != file->size || memcmp(hash, file->hash, sizeof hash) != 0)
        return no(error, error_size, "The backup is damaged: %s is not what was written.", at);
    return true;
}
