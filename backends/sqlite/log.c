/* SPDX-License-Identifier: MIT */
/* Writing the log. SQLite writes each frame by two calls, a header and a page, and the smallest transaction
 * has four frames: the calls cost more than what they write. So a file of our own stands between SQLite and
 * the log. It holds frames that follow each other, and hands them on in one call together with the one that
 * ends the transaction: before SQLite tells anybody of them, and while it can still be told that writing
 * failed.
 *
 * What is held belongs to a transaction that has not been committed. It is forgotten with it, never written
 * later: by then the place in the log may be another's. */
#include "store.h"

#include <string.h>

#define HELD_MOST    33024 /* eight frames of usual pages */
#define HEADER_BYTES 24
#define PAGE_LEAST   512
#define START_BYTES  32 /* what the log itself begins with */

struct log_file {
    sqlite3_file file; /* the real one stands behind this struct */
    struct log_vfs *of;
    int64_t next, body; /* where the next header would belong, and the page of the newest; -1: not known */
    int64_t at;         /* where what is held belongs */
    int held;
    bool ends; /* the newest header is of a frame that ends a transaction */
    unsigned char *bytes;
};

static sqlite3_file *real(sqlite3_file *file)
{
    return (sqlite3_file *)((struct log_file *)file + 1);
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

static int hand_on(struct log_file *log)
{
    sqlite3_file *to = real(&log->file);
    int size = log->held;
    log->held = 0;
    return size ? to->pMethods->xWrite(to, log->bytes, size, log->at) : SQLITE_OK;
}

static int write_through(struct log_file *log, const void *bytes, int size, int64_t at)
{
    sqlite3_file *to = real(&log->file);
    int code = hand_on(log);
    return code == SQLITE_OK ? to->pMethods->xWrite(to, bytes, size, at) : code;
}

static int hold(struct log_file *log, const void *bytes, int size, int64_t at)
{
    int code = size > HELD_MOST - log->held ? hand_on(log) : SQLITE_OK;
    if (code != SQLITE_OK || size > HELD_MOST)
        return code != SQLITE_OK ? code : write_through(log, bytes, size, at);
    if (!log->held)
        log->at = at;
    memcpy(log->bytes + log->held, bytes, (size_t)size);
    log->held += size;
    return SQLITE_OK;
}

/* Four bytes of a header are how large the database is after the transaction, 0 when the frame does not end
 * one. */
static bool ends_transaction(const unsigned char *header)
{
    return header[4] | header[5] | header[6] | header[7];
}

/* Only a header right behind the newest frame is held, and the page of a header. Others are mended ones:
 * SQLite writes headers anew when a page was written twice, after the frame that ends the transaction. */
static int log_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 at)
{
    struct log_file *log = (struct log_file *)file;
    bool header = size == HEADER_BYTES, page = at == log->body && size >= PAGE_LEAST;
    bool follows = header && at == log->next, start = at == 0 && size == START_BYTES;
    log->next = page || start ? at + size : -1;
    log->body = header ? at + size : -1;
    if (header)
        log->ends = ends_transaction(bytes);
    int code = follows || page ? hold(log, bytes, size, at) : write_through(log, bytes, size, at);
    return code == SQLITE_OK && page && log->ends ? hand_on(log) : code;
}

static int log_sync(sqlite3_file *file, int flags)
{
    struct log_file *log = (struct log_file *)file;
    int code = hand_on(log);
    log->next = log->body = -1; /* a page may go on behind it that was written in part */
    return code == SQLITE_OK ? real(file)->pMethods->xSync(real(file), flags) : code;
}

/* ---- everything else: on the real file, with what was held -------------------------------------------------------- */

static int log_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 at)
{
    int code = hand_on((struct log_file *)file);
    return code == SQLITE_OK ? real(file)->pMethods->xRead(real(file), bytes, size, at) : code;
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int code = hand_on((struct log_file *)file);
    return code == SQLITE_OK ? real(file)->pMethods->xTruncate(real(file), size) : code;
}

static int log_size(sqlite3_file *file, sqlite3_int64 *size)
{
    int code = hand_on((struct log_file *)file);
    return code == SQLITE_OK ? real(file)->pMethods->xFileSize(real(file), size) : code;
}

static int log_lock(sqlite3_file *file, int level)
{
    return real(file)->pMethods->xLock(real(file), level);
}

static int log_unlock(sqlite3_file *file, int level)
{
    return real(file)->pMethods->xUnlock(real(file), level);
}

static int log_reserved(sqlite3_file *file, int *reserved)
{
    return real(file)->pMethods->xCheckReservedLock(real(file), reserved);
}

static int log_control(sqlite3_file *file, int what, void *value)
{
    return real(file)->pMethods->xFileControl(real(file), what, value);
}

static int log_sector(sqlite3_file *file)
{
    return real(file)->pMethods->xSectorSize(real(file));
}

static int log_device(sqlite3_file *file)
{
    return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

/* ---- opening ------------------------------------------------------------------------------------------------------ */

static int log_close(sqlite3_file *file)
{
    struct log_file *log = (struct log_file *)file;
    log->of->log = NULL;
    sqlite3_free(log->bytes);
    return real(file)->pMethods->xClose(real(file));
}

static const sqlite3_io_methods log_methods = {
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_reserved,
    .xFileControl = log_control,
    .xSectorSize = log_sector,
    .xDeviceCharacteristics = log_device,
};

static int open_log(struct log_vfs *of, const char *name, struct log_file *log, int flags, int *got)
{
    *log = (struct log_file){.of = of, .next = -1, .body = -1, .bytes = sqlite3_malloc(HELD_MOST)};
    sqlite3_file *file = real(&log->file);
    file->pMethods = NULL;
    if (!log->bytes)
        return SQLITE_NOMEM;
    int code = of->base->xOpen(of->base, name, file, flags, got);
    if (code == SQLITE_OK) {
        log->file.pMethods = &log_methods;
        of->log = log;
        return SQLITE_OK;
    }
    if (file->pMethods)
        file->pMethods->xClose(file);
    sqlite3_free(log->bytes);
    return code;
}

static int open_any(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *got)
{
    struct log_vfs *of = (struct log_vfs *)vfs;
    if (flags & SQLITE_OPEN_WAL)
        return open_log(of, name, (struct log_file *)file, flags, got);
    return of->base->xOpen(of->base, name, file, flags, got);
}

/* All but the log is the system's: its own functions, found by a copy of their table. The name is found while
 * it is registered, and asked for only by the connection that is about to be opened. */
int sq_log_open(struct log_vfs *of, const char *path, sqlite3 **out, int flags)
{
    of->base = sqlite3_vfs_find(NULL);
    if (!of->base)
        return SQLITE_ERROR;
    of->vfs = *of->base;
    of->vfs.pNext = NULL;
    of->vfs.zName = of->name;
    of->vfs.szOsFile += (int)sizeof(struct log_file);
    of->vfs.xOpen = open_any;
    sqlite3_snprintf(sizeof of->name, of->name, "jobq-%p", (void *)of);
    int code = sqlite3_vfs_register(&of->vfs, 0);
    if (code != SQLITE_OK)
        return code;
    code = sqlite3_open_v2(path, out, flags, of->name);
    sqlite3_vfs_unregister(&of->vfs);
    return code;
}

void sq_log_forget(struct jobq_store *s)
{
    struct log_file *log = s->log.log;
    if (!log || !log->held)
        return;
    log->held = 0;
    log->next = log->body = -1;
}
