#include "files.h"

#include "log.h"
#include "random.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads until `cap` bytes or the end. -1 with errno set. */
static ssize_t
read_all(int fd, void *out, size_t cap)
{
    size_t size = 0;
    while (size < cap) {
        const ssize_t n = read(fd, (char *)out + size, cap - size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        if (n == 0) break;
        size += (size_t)n;
    }
    return (ssize_t)size;
}

static bool
write_all(int fd, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = write(fd, (const char *)bytes + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

ssize_t
file_read(const char *path, char *out, size_t cap)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    const ssize_t size = read_all(fd, out, cap);
    const int error = errno;
    close(fd);
    if (size >= 0 && (size_t)size == cap) {
        errno = EFBIG;
        return -1;
    }
    errno = error;
    if (size >= 0) out[size] = 0;
    return size;
}

/* The folder must reach the disk too, or the name may be gone after a power cut. */
static bool
sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    const int fd = open(folder[0] ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return false;
    const bool synced = fsync(fd) == 0;
    close(fd);
    return synced;
}

/* Writes the bytes into a new file beside `path` and leaves its name in `aside`. */
static bool
write_aside(const char *path, const void *bytes, size_t size, mode_t mode, char aside[PATH_MAX])
{
    if (snprintf(aside, PATH_MAX, "%s.XXXXXX", path) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return false;
    }
    const int fd = mkostemp(aside, O_CLOEXEC);
    if (fd < 0) return false;
    bool written = fchmod(fd, mode) == 0 && write_all(fd, bytes, size) && fsync(fd) == 0;
    const int error = errno;
    if (close(fd) != 0) written = false;
    if (written) return true;
    unlink(aside);
    errno = error;
    return false;
}

bool
file_write(const char *path, const void *bytes, size_t size, mode_t mode)
{
    char aside[PATH_MAX];
    if (!write_aside(path, bytes, size, mode, aside)) return false;
    if (rename(aside, path) != 0) {
        const int error = errno;
        unlink(aside);
        errno = error;
        return false;
    }
    return sync_folder_of(path);
}

static void
secret_path(const char *home, const char *name, char path[PATH_MAX])
{
    if (snprintf(path, PATH_MAX, "%s/secrets/%s", home, name) >= PATH_MAX)
        die("The path of the secret %s is too long.", name);
}

size_t
secret_read(const char *home, const char *name, uint8_t *out, size_t cap)
{
    char path[PATH_MAX];
    struct stat status;
    uint8_t one_more;
    secret_path(home, name, path);
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ELOOP)
        die("The secret %s is a symbolic link: put the file there.", path);
    if (fd < 0) die("The secret %s cannot be read: %s.", path, strerror(errno));
    if (fstat(fd, &status) != 0) die("The secret %s cannot be read: %s.", path, strerror(errno));
    if (!S_ISREG(status.st_mode)) die("The secret %s is not a regular file.", path);
    if (status.st_uid != geteuid()) die("The secret %s belongs to another user.", path);
    if (status.st_mode & 0177)
        die("The secret %s may be read by others: its mode must be 0600.", path);
    const ssize_t size = read_all(fd, out, cap);
    if (size < 0) die("The secret %s cannot be read: %s.", path, strerror(errno));
    if (size == 0) die("The secret %s is empty.", path);
    if (read_all(fd, &one_more, 1) != 0) die("The secret %s is longer than %zu bytes.", path, cap);
    close(fd);
    return (size_t)size;
}

void
secret_make(const char *home, const char *name, size_t size)
{
    char path[PATH_MAX], folder[PATH_MAX], aside[PATH_MAX];
    uint8_t bytes[256];
    if (size > sizeof bytes) die("The secret %s is to be too long.", name);
    snprintf(folder, sizeof folder, "%s/secrets", home);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        die("The folder %s cannot be made: %s.", folder, strerror(errno));
    secret_path(home, name, path);
    if (access(path, F_OK) == 0) return;
    random_bytes(bytes, size);
    if (!write_aside(path, bytes, size, 0600, aside))
        die("The secret %s cannot be written: %s.", path, strerror(errno));
    sodium_memzero(bytes, sizeof bytes);
    /* link, not rename: of two that make it at once, the second must not replace the first's */
    const bool linked = link(aside, path) == 0 || errno == EEXIST;
    const int error = errno;
    unlink(aside);
    if (!linked) die("The secret %s cannot be written: %s.", path, strerror(error));
    (void)sync_folder_of(path);
}
