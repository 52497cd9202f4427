/* SPDX-License-Identifier: MIT */
/* In place of the functions of the C library and of SQLite; the program's own come first. */
#undef _FILE_OFFSET_BITS /* both names of pwrite and ftruncate are ours, neither an alias of the other */
#define _GNU_SOURCE
#include "stop.h"

#include <dlfcn.h>
#include <errno.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#pragma GCC visibility push(default) /* the libraries are to find these */

static struct {
    int kind, how;
    long n, seen;
} stop;

void stop_arm(int kind, int how, long n)
{
    stop.kind = kind;
    stop.how = how;
    stop.n = n;
    stop.seen = 0;
}

long stop_disarm(void)
{
    stop.kind = 0;
    return stop.seen;
}

/* Is this the n-th of its kind? One that has come is not counted again. */
static int is_it(int kind)
{
    return stop.kind == kind && ++stop.seen == stop.n;
}

static int before(int kind)
{
    int it = is_it(kind);
    if (it && stop.how == STOP_BEFORE)
        _exit(STOPPED);
    return it;
}

static void after(int it)
{
    if (it && stop.how == STOP_AFTER)
        _exit(STOPPED);
}

static int is_socket(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* A function pointer out of what dlsym gives, as POSIX says it. */
#define REAL(name)                                     \
    static __typeof__(&name) real;                     \
    if (!real)                                         \
        *(void **)&real = dlsym(RTLD_NEXT, #name)

/* ---- statements ------------------------------------------------------------------------------------------------ */

int sqlite3_step(sqlite3_stmt *statement)
{
    REAL(sqlite3_step);
    int it = before(STOP_STATEMENT), code = real(statement);
    after(it);
    return code;
}

int sqlite3_exec(sqlite3 *db, const char *sql, int (*callback)(void *, int, char **, char **), void *user, char **error)
{
    REAL(sqlite3_exec);
    int it = before(STOP_STATEMENT), code = real(db, sql, callback, user, error);
    after(it);
    return code;
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    REAL(pwrite64);
    int it = before(STOP_FILE);
    ssize_t done = real(fd, data, size, at);
    after(it);
    return done;
}

int fdatasync(int fd)
{
    REAL(fdatasync);
    int it = before(STOP_FILE), done = real(fd);
    after(it);
    return done;
}

int fsync(int fd)
{
    REAL(fsync);
    int it = before(STOP_FILE), done = real(fd);
    after(it);
    return done;
}

int ftruncate64(int fd, off64_t size)
{
    REAL(ftruncate64);
    int it = before(STOP_FILE), done = real(fd, size);
    after(it);
    return done;
}

int unlink(const char *path)
{
    REAL(unlink);
    int it = before(STOP_FILE), done = real(path);
    after(it);
    return done;
}

/* ---- packets ---------------------------------------------------------------------------------------------------- */

/* 1: it does not get through. */
static int cut_request(int fd, int it)
{
    if (!it || stop.how != STOP_CUT_BEFORE)
        return 0;
    shutdown(fd, SHUT_RDWR);
    errno = EPIPE;
    return 1;
}

static void after_packet(int fd, int it)
{
    after(it);
    if (it && stop.how == STOP_CUT_AFTER)
        shutdown(fd, SHUT_RDWR);
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
    REAL(send);
    int it = before(STOP_PACKET);
    if (cut_request(fd, it))
        return -1;
    ssize_t done = real(fd, data, size, flags);
    after_packet(fd, it);
    return done;
}

ssize_t write(int fd, const void *data, size_t size)
{
    REAL(write);
    int socket = stop.kind == STOP_PACKET && is_socket(fd);
    int it = socket ? before(STOP_PACKET) : 0;
    if (cut_request(fd, it))
        return -1;
    ssize_t done = real(fd, data, size);
    if (it)
        after_packet(fd, it);
    return done;
}

/* What came is lost, or is the last that comes. */
static ssize_t answer(int fd, ssize_t done)
{
    int it = done > 0 ? before(STOP_PACKET) : 0;
    if (it && stop.how == STOP_CUT_BEFORE) {
        shutdown(fd, SHUT_RDWR);
        errno = ECONNRESET;
        return -1;
    }
    if (it)
        after_packet(fd, it);
    return done;
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
    REAL(recv);
    return answer(fd, real(fd, data, size, flags));
}

ssize_t read(int fd, void *data, size_t size)
{
    REAL(read);
    ssize_t done = real(fd, data, size);
    return stop.kind == STOP_PACKET && is_socket(fd) ? answer(fd, done) : done;
}
