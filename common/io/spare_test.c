#include "spare.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* At a name without a file, that libc chooses. */
static int
start_listening(struct sockaddr_un *address, socklen_t *size)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    cr_assert(eq(int, bind(fd, (struct sockaddr *)address, sizeof(sa_family_t)), 0));
    *size = sizeof *address;
    cr_assert(eq(int, getsockname(fd, (struct sockaddr *)address, size), 0));
    cr_assert(eq(int, listen(fd, 8), 0));
    return fd;
}

static int
connected_to(const struct sockaddr_un *address, socklen_t size)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert(eq(int, connect(fd, (const struct sockaddr *)address, size), 0));
    return fd;
}

Test(spare, who_comes_when_no_descriptor_is_left_is_sent_away, .timeout = 30)
{
    struct sockaddr_un address;
    socklen_t size;
    struct rlimit limit;
    char byte;
    int files[64], count = 0;
    spare_keep();
    const int listener = start_listening(&address, &size);
    const int clients[] = {connected_to(&address, size), connected_to(&address, size),
                           connected_to(&address, size)};

    cr_assert(eq(int, getrlimit(RLIMIT_NOFILE, &limit), 0));
    limit.rlim_cur = (rlim_t)clients[2] + 8;
    cr_assert(eq(int, setrlimit(RLIMIT_NOFILE, &limit), 0));
    while (count < 64 && (files[count] = open("/dev/null", O_RDONLY)) >= 0)
        count++;
    cr_assert(lt(int, count, 64));

    for (int i = 0; i < 2; i++) { /* the spare one is there again for the second */
        errno = 0;
        cr_expect(eq(int, accept4(listener, NULL, NULL, SOCK_CLOEXEC), -1));
        cr_expect(eq(int, errno, ECONNABORTED));
        cr_expect(eq(long, read(clients[i], &byte, 1), 0)); /* the end, not silence */
    }
    close(files[0]);
    const int taken = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    cr_assert(ge(int, taken, 0));
    cr_expect(eq(long, write(taken, "a", 1), 1));
    cr_expect(eq(long, read(clients[2], &byte, 1), 1));
}
