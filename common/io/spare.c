#include "spare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic int spare = -1;

void
spare_keep(void)
{
    int none = -1;
    if (atomic_load(&spare) >= 0) return;
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && !atomic_compare_exchange_strong(&spare, &none, fd)) close(fd);
}

static int
take(int listener, struct sockaddr *address, socklen_t *size, int flags)
{
    return (int)syscall(SYS_accept4, listener, address, size, flags);
}

int in_place_of_accept4(int listener, struct sockaddr *address, socklen_t *size,
                        int flags) __asm__("accept4") __attribute__((visibility("default"), used));

/* In place of the C library's. With no descriptor left the connection is closed, and the caller is
 * told that it was aborted. */
int
in_place_of_accept4(int listener, struct sockaddr *address, socklen_t *size, int flags)
{
    const int fd = take(listener, address, size, flags);
    if (fd >= 0 || (errno != EMFILE && errno != ENFILE)) return fd;
    const int given_up = atomic_exchange(&spare, -1);
    if (given_up >= 0) {
        close(given_up);
        const int unwanted = take(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (unwanted >= 0) close(unwanted);
    }
    spare_keep();
    errno = ECONNABORTED;
    return -1;
}
