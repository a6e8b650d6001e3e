/* A library that is preloaded into every process of a test's Florin, and makes one call of one of
 * them fail: the nth of its class from the moment that the test arms it. Which, and how, stands in
 * a file that all map (FLORIN_NTH); a process whose name does not begin as it says only looks at
 * it.
 *
 * It is loaded by the dynamic linker before the libraries that it stands in for, so it sees what
 * Florin calls and what libzmq, libpq and hiredis call of the system for it. */
#define _GNU_SOURCE
#include "shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <hiredis/async.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zmq.h>

static struct nth *control;
static char name[32];
static __thread int inside; /* what a call of ours calls is not counted again */

__attribute__((constructor)) static void
begin(void)
{
    const char *path = getenv("FLORIN_NTH");
    char words[4096] = "";
    const int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    const int line = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    const ssize_t size = line >= 0 ? read(line, words, sizeof words - 1) : 0;
    if (line >= 0) close(line);
    for (ssize_t i = 0; i < size; i += (ssize_t)strlen(words + i) + 1)
        if (strcmp(words + i, "--name") == 0 && i + 7 < size)
            snprintf(name, sizeof name, "%.31s", words + i + 7);
    if (file < 0) return;
    void *at = *name ? mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
                     : MAP_FAILED;
    close(file);
    void *first[1];
    (void)backtrace(first, 1); /* takes memory the first time */
    if (at != MAP_FAILED) control = at;
}

/* Who made the call that fails: into the log of the process. */
static void
tell_from_where(void)
{
    void *frames[24];
    inside++;
    backtrace_symbols_fd(frames, backtrace(frames, 24), STDERR_FILENO);
    inside--;
}

/* True when this is the call that fails. A call that is to be the last one is. */
static int
fails(int class)
{
    if (!control || inside || !control->armed || control->class != class) return 0;
    if (strncmp((const char *)control->process, name, strlen((const char *)control->process)) != 0)
        return 0;
    const int number = __atomic_add_fetch(&control->count, 1, __ATOMIC_SEQ_CST);
    if (number != control->n) return 0;
    control->fired = 1;
    tell_from_where();
    if (control->kind == NTH_KILLED) kill(getpid(), SIGKILL);
    return 1;
}

#define REAL(function)                 \
    static __typeof__(function) *real; \
    if (!real) real = (__typeof__(function) *)dlsym(RTLD_NEXT, #function)
/* The call is made, and then the process dies, or then it is said to have failed. */
#define CALL(class, type, wrong, ...)                                           \
    do {                                                                        \
        const int fail = fails(class);                                          \
        if (fail && control->kind == NTH_FAILED) {                              \
            wrong;                                                              \
        }                                                                       \
        inside++;                                                               \
        type result = real(__VA_ARGS__);                                        \
        inside--;                                                               \
        if (fail && control->kind == NTH_KILLED_AFTER) kill(getpid(), SIGKILL); \
        return result;                                                          \
    } while (0)

/* --- memory: glibc's own entry, because dlsym itself needs memory
 * --------------------------------- */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

static int
memory_fails(void)
{
    if (!fails(NTH_MEMORY)) return 0;
    errno = ENOMEM;
    return control->kind == NTH_FAILED;
}

void *
malloc(size_t size)
{
    return memory_fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
    return memory_fails() ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *memory, size_t size)
{
    return memory_fails() ? NULL : __libc_realloc(memory, size);
}

/* Redis has an allocator of its own, and Postgres is not on trial: both start without this library.
 */
int
execv(const char *path, char *const arguments[])
{
    REAL(execv);
    if (strstr(path, "redis") || strstr(path, "postgres")) unsetenv("LD_PRELOAD");
    return real(path, arguments);
}

/* --- sockets -------------------------------------------------------------------------------------
 */

/* A reset is one for both directions and for good, as the system's own. To say so of a send and let
 * the next recv wait would be a fault that does not exist, and libzmq waits for that recv: it stops
 * sending, and takes the connection for gone only when reading says so too. */
#define BROKEN (shutdown(fd, SHUT_RDWR), errno = ECONNRESET, -1)
/* Half of it, or an interruption: what must simply be done again. */
#define shorter(size) ((size) > 1 ? (size) / 2 : (size))
/* Bytes by one call of `real`: broken as BROKEN_ says, interrupted, fewer of them, or the last that
 * this process moves. */
#define TRANSFER(FAIL_, BROKEN_, ...)                                           \
    do {                                                                        \
        const int fail = FAIL_;                                                 \
        if (fail && control->kind == NTH_FAILED) return BROKEN_;                \
        if (fail && control->kind == NTH_INTERRUPTED) return errno = EINTR, -1; \
        if (fail && control->kind == NTH_SHORT) size = shorter(size);           \
        const ssize_t result = real(__VA_ARGS__);                               \
        if (fail && control->kind == NTH_KILLED_AFTER) kill(getpid(), SIGKILL); \
        return result;                                                          \
    } while (0)

#define SOCKET(...) TRANSFER(fails(NTH_SOCKET), BROKEN, __VA_ARGS__)

ssize_t
send(int fd, const void *bytes, size_t size, int flags)
{
    REAL(send);
    SOCKET(fd, bytes, size, flags);
}

ssize_t
recv(int fd, void *bytes, size_t size, int flags)
{
    REAL(recv);
    SOCKET(fd, bytes, size, flags);
}

static int
is_socket(int fd)
{
    struct stat stat;
    return control && control->armed && control->class == NTH_SOCKET && fstat(fd, &stat) == 0 &&
           S_ISSOCK(stat.st_mode);
}

/* What LMDB writes and syncs: the book of the network. Full, or broken; half of it, or interrupted.
 */
#define DISK(...) TRANSFER(is_file(fd) && fails(NTH_DISK), (errno = ENOSPC, -1), __VA_ARGS__)

static int
is_file(int fd)
{
    struct stat stat;
    return control && control->armed && control->class == NTH_DISK && fd > STDERR_FILENO &&
           fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode);
}

ssize_t
write(int fd, const void *bytes, size_t size)
{
    REAL(write);
    if (is_socket(fd)) SOCKET(fd, bytes, size);
    DISK(fd, bytes, size);
}

ssize_t
pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    REAL(pwrite);
    DISK(fd, bytes, size, at);
}

/* Half of it: the first pieces. */
ssize_t
writev(int fd, const struct iovec *pieces, int size)
{
    REAL(writev);
    DISK(fd, pieces, size);
}

/* There is no half of a sync, nor is one interrupted. */
#define SYNC                                                                \
    const int fail = is_file(fd) && fails(NTH_DISK);                        \
    if (fail && control->kind == NTH_FAILED) return errno = EIO, -1;        \
    const int result = real(fd);                                            \
    if (fail && control->kind == NTH_KILLED_AFTER) kill(getpid(), SIGKILL); \
    return result

int
fdatasync(int fd)
{
    REAL(fdatasync);
    SYNC;
}

int
fsync(int fd)
{
    REAL(fsync);
    SYNC;
}

/* --- ZeroMQ
 * ---------------------------------------------------------------------------------------- */

int
zmq_send(void *socket, const void *bytes, size_t size, int flags)
{
    REAL(zmq_send);
    CALL(NTH_ZMQ, int, return (errno = EAGAIN, -1), socket, bytes, size, flags);
}

int
zmq_msg_send(zmq_msg_t *message, void *socket, int flags)
{
    REAL(zmq_msg_send);
    CALL(NTH_ZMQ, int, return (errno = EAGAIN, -1), message, socket, flags);
}

int
zmq_msg_recv(zmq_msg_t *message, void *socket, int flags)
{
    REAL(zmq_msg_recv);
    CALL(NTH_ZMQ, int, return (errno = EAGAIN, -1), message, socket, flags);
}

/* --- libpq
 * ------------------------------------------------------------------------------------------ */

/* The connection breaks: what libpq itself makes of that is part of the trial. */
static void
break_connection(const PGconn *connection)
{
    if (PQsocket(connection) >= 0) shutdown(PQsocket(connection), SHUT_RDWR);
}

PGresult *
PQexec(PGconn *connection, const char *sql)
{
    REAL(PQexec);
    CALL(NTH_LIBPQ, PGresult *, break_connection(connection), connection, sql);
}

PGresult *
PQexecPrepared(PGconn *connection, const char *statement, int count, const char *const *values,
               const int *sizes, const int *formats, int format)
{
    REAL(PQexecPrepared);
    CALL(NTH_LIBPQ, PGresult *, break_connection(connection), connection, statement, count, values,
         sizes, formats, format);
}

PGresult *
PQexecParams(PGconn *connection, const char *sql, int count, const Oid *types,
             const char *const *values, const int *sizes, const int *formats, int format)
{
    REAL(PQexecParams);
    CALL(NTH_LIBPQ, PGresult *, break_connection(connection), connection, sql, count, types, values,
         sizes, formats, format);
}

PGresult *
PQprepare(PGconn *connection, const char *statement, const char *sql, int count, const Oid *types)
{
    REAL(PQprepare);
    CALL(NTH_LIBPQ, PGresult *, break_connection(connection), connection, statement, sql, count,
         types);
}

int
PQsendQuery(PGconn *connection, const char *sql)
{
    REAL(PQsendQuery);
    CALL(NTH_LIBPQ, int, break_connection(connection), connection, sql);
}

int
PQsendQueryParams(PGconn *connection, const char *sql, int count, const Oid *types,
                  const char *const *values, const int *sizes, const int *formats, int format)
{
    REAL(PQsendQueryParams);
    CALL(NTH_LIBPQ, int, break_connection(connection), connection, sql, count, types, values, sizes,
         formats, format);
}

int
PQsendPrepare(PGconn *connection, const char *statement, const char *sql, int count,
              const Oid *types)
{
    REAL(PQsendPrepare);
    CALL(NTH_LIBPQ, int, break_connection(connection), connection, statement, sql, count, types);
}

PostgresPollingStatusType
PQconnectPoll(PGconn *connection)
{
    REAL(PQconnectPoll);
    CALL(NTH_LIBPQ, PostgresPollingStatusType, break_connection(connection), connection);
}

int
PQsendQueryPrepared(PGconn *connection, const char *statement, int count, const char *const *values,
                    const int *sizes, const int *formats, int format)
{
    REAL(PQsendQueryPrepared);
    CALL(NTH_LIBPQ, int, break_connection(connection), connection, statement, count, values, sizes,
         formats, format);
}

int
PQpipelineSync(PGconn *connection)
{
    REAL(PQpipelineSync);
    CALL(NTH_LIBPQ, int, break_connection(connection), connection);
}

int
PQconsumeInput(PGconn *connection)
{
    REAL(PQconsumeInput);
    CALL(NTH_LIBPQ, int, break_connection(connection), connection);
}

int
PQflush(PGconn *connection)
{
    REAL(PQflush);
    CALL(NTH_LIBPQ, int, break_connection(connection), connection);
}

PGresult *
PQgetResult(PGconn *connection)
{
    REAL(PQgetResult);
    CALL(NTH_LIBPQ, PGresult *, break_connection(connection), connection);
}

/* --- hiredis
 * ----------------------------------------------------------------------------------------- */

int
redisvAsyncCommand(redisAsyncContext *context, redisCallbackFn *callback, void *data,
                   const char *format, va_list arguments)
{
    REAL(redisvAsyncCommand);
    CALL(NTH_REDIS, int, return REDIS_ERR, context, callback, data, format, arguments);
}

int
redisAsyncCommand(redisAsyncContext *context, redisCallbackFn *callback, void *data,
                  const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int result = redisvAsyncCommand(context, callback, data, format, arguments);
    va_end(arguments);
    return result;
}

void
redisAsyncHandleRead(redisAsyncContext *context)
{
    REAL(redisAsyncHandleRead);
    const int fail = fails(NTH_REDIS);
    if (fail && control->kind == NTH_FAILED) shutdown(context->c.fd, SHUT_RDWR);
    real(context);
    if (fail && control->kind == NTH_KILLED_AFTER) kill(getpid(), SIGKILL);
}

void
redisAsyncHandleWrite(redisAsyncContext *context)
{
    REAL(redisAsyncHandleWrite);
    const int fail = fails(NTH_REDIS);
    if (fail && control->kind == NTH_FAILED) shutdown(context->c.fd, SHUT_RDWR);
    real(context);
    if (fail && control->kind == NTH_KILLED_AFTER) kill(getpid(), SIGKILL);
}
