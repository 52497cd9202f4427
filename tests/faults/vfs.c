/* SPDX-License-Identifier: MIT */
#include "vfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const vfs_names[VFS_WHAT_COUNT] = {
    "read", "short read", "write", "half a write", "write without room", "sync", "truncate", "size", "lock",
    "map of shared memory", "lock of shared memory", "open", "delete", "access",
};

static const int codes[VFS_WHAT_COUNT] = {
    SQLITE_IOERR_READ, SQLITE_IOERR_SHORT_READ, SQLITE_IOERR_WRITE, SQLITE_IOERR_WRITE, SQLITE_FULL, SQLITE_IOERR_FSYNC,
    SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_FSTAT, SQLITE_IOERR_LOCK, SQLITE_IOERR_SHMMAP, SQLITE_IOERR_SHMLOCK,
    SQLITE_CANTOPEN, SQLITE_IOERR_DELETE, SQLITE_IOERR_ACCESS,
};

/* ---- failing ------------------------------------------------------------------------------------------------- */

static struct {
    int what;
    long countdown, failures;
    bool all;
} plan;

void vfs_fail(enum vfs_what what, long n, bool all)
{
    plan.what = (int)what;
    plan.countdown = n;
    plan.failures = 0;
    plan.all = all;
}

long vfs_fail_end(void)
{
    plan.countdown = 0;
    return plan.failures;
}

/* 0, or the code with which this operation fails. */
static int fails(enum vfs_what what)
{
    if (plan.countdown <= 0 || plan.what != (int)what || --plan.countdown > 0)
        return 0;
    plan.countdown = plan.all;
    plan.failures++;
    return codes[what];
}

/* ---- noting ----------------------------------------------------------------------------------------------------- */

static struct {
    char folder[256];
    bool on;
    struct vfs_op *ops;
    size_t count, room;
    char names[8][64];
    int name_count;
} notes;

void vfs_notes_begin(const char *folder)
{
    snprintf(notes.folder, sizeof notes.folder, "%s/", folder);
    notes.on = true;
}

const struct vfs_op *vfs_notes(size_t *count)
{
    *count = notes.count;
    return notes.ops;
}

const char *vfs_notes_name(int file)
{
    return file < notes.name_count ? notes.names[file] : NULL;
}

void vfs_notes_end(void)
{
    for (size_t i = 0; i < notes.count; i++)
        free(notes.ops[i].data);
    free(notes.ops);
    memset(&notes, 0, sizeof notes);
}

/* The number of a file that is noted, else -1. */
static int file_number(const char *path)
{
    size_t length = strlen(notes.folder);
    if (!notes.on || !path || strncmp(path, notes.folder, length) != 0)
        return -1;
    for (int i = 0; i < notes.name_count; i++)
        if (strcmp(notes.names[i], path + length) == 0)
            return i;
    if (notes.name_count == 8)
        abort();
    snprintf(notes.names[notes.name_count], sizeof notes.names[0], "%s", path + length);
    return notes.name_count++;
}

static void note(enum vfs_op_kind kind, int file, int64_t at, const void *data, size_t bytes)
{
    if (!notes.on || file < 0)
        return;
    if (notes.count == notes.room) {
        notes.room = 2 * notes.room + 1000;
        notes.ops = realloc(notes.ops, notes.room * sizeof *notes.ops);
    }
    struct vfs_op *op = notes.ops ? &notes.ops[notes.count++] : NULL;
    if (!op)
        abort();
    *op = (struct vfs_op){ .kind = kind, .file = file, .at = at, .bytes = bytes };
    if (bytes && !(op->data = malloc(bytes)))
        abort();
    if (bytes)
        memcpy(op->data, data, bytes);
}

/* ---- files ---------------------------------------------------------------------------------------------------------- */

struct file {
    sqlite3_file base;
    int number;
    sqlite3_file *real; /* behind this struct */
};

static sqlite3_file *real(sqlite3_file *file)
{
    return ((struct file *)file)->real;
}

static int number(sqlite3_file *file)
{
    return ((struct file *)file)->number;
}

static int f_close(sqlite3_file *f)
{
    return real(f)->pMethods->xClose(real(f));
}

static int f_read(sqlite3_file *f, void *data, int bytes, sqlite3_int64 at)
{
    int code = fails(VFS_READ);
    if (!code && (code = fails(VFS_SHORT_READ)) != 0)
        memset(data, 0, (size_t)bytes);
    return code ? code : real(f)->pMethods->xRead(real(f), data, bytes, at);
}

static int f_write(sqlite3_file *f, const void *data, int bytes, sqlite3_int64 at)
{
    int code = fails(VFS_WRITE);
    if (!code)
        code = fails(VFS_FULL);
    if (!code && (code = fails(VFS_HALF_WRITE)) != 0) {
        real(f)->pMethods->xWrite(real(f), data, bytes / 2, at);
        note(OP_WRITE, number(f), at, data, (size_t)bytes / 2);
    }
    if (code)
        return code;
    note(OP_WRITE, number(f), at, data, (size_t)bytes);
    return real(f)->pMethods->xWrite(real(f), data, bytes, at);
}

static int f_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int code = fails(VFS_TRUNCATE);
    if (code)
        return code;
    note(OP_TRUNCATE, number(f), size, NULL, 0);
    return real(f)->pMethods->xTruncate(real(f), size);
}

static int f_sync(sqlite3_file *f, int flags)
{
    int code = fails(VFS_SYNC);
    if (code)
        return code;
    code = real(f)->pMethods->xSync(real(f), flags);
    note(OP_SYNC, number(f), 0, NULL, 0);
    return code;
}

static int f_size(sqlite3_file *f, sqlite3_int64 *size)
{
    int code = fails(VFS_SIZE);
    return code ? code : real(f)->pMethods->xFileSize(real(f), size);
}

static int f_lock(sqlite3_file *f, int level)
{
    int code = fails(VFS_LOCK);
    return code ? code : real(f)->pMethods->xLock(real(f), level);
}

static int f_unlock(sqlite3_file *f, int level)
{
    return real(f)->pMethods->xUnlock(real(f), level);
}

static int f_check(sqlite3_file *f, int *out)
{
    return real(f)->pMethods->xCheckReservedLock(real(f), out);
}

static int f_control(sqlite3_file *f, int what, void *argument)
{
    return real(f)->pMethods->xFileControl(real(f), what, argument);
}

static int f_sector(sqlite3_file *f)
{
    return real(f)->pMethods->xSectorSize(real(f));
}

static int f_traits(sqlite3_file *f)
{
    return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int f_shm_map(sqlite3_file *f, int page, int bytes, int extend, void volatile **out)
{
    int code = fails(VFS_SHM_MAP);
    return code ? code : real(f)->pMethods->xShmMap(real(f), page, bytes, extend, out);
}

static int f_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    int code = flags & SQLITE_SHM_UNLOCK ? 0 : fails(VFS_SHM_LOCK);
    return code ? code : real(f)->pMethods->xShmLock(real(f), offset, n, flags);
}

static void f_shm_barrier(sqlite3_file *f)
{
    real(f)->pMethods->xShmBarrier(real(f));
}

static int f_shm_unmap(sqlite3_file *f, int drop)
{
    return real(f)->pMethods->xShmUnmap(real(f), drop);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2, .xClose = f_close, .xRead = f_read, .xWrite = f_write, .xTruncate = f_truncate, .xSync = f_sync,
    .xFileSize = f_size, .xLock = f_lock, .xUnlock = f_unlock, .xCheckReservedLock = f_check, .xFileControl = f_control,
    .xSectorSize = f_sector, .xDeviceCharacteristics = f_traits, .xShmMap = f_shm_map, .xShmLock = f_shm_lock,
    .xShmBarrier = f_shm_barrier, .xShmUnmap = f_shm_unmap,
};

/* ---- the file system ---------------------------------------------------------------------------------------------------- */

static sqlite3_vfs *below(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

static int v_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    struct file *f = (struct file *)file;
    int code = fails(VFS_OPEN), there = 1;
    memset(f, 0, sizeof *f);
    if (code)
        return code;
    f->real = (sqlite3_file *)(f + 1);
    f->number = file_number(name);
    if (f->number >= 0)
        below(vfs)->xAccess(below(vfs), name, SQLITE_ACCESS_EXISTS, &there);
    code = below(vfs)->xOpen(below(vfs), name, f->real, flags, out_flags);
    if (code != SQLITE_OK)
        return code;
    if (!there)
        note(OP_CREATE, f->number, 0, NULL, 0);
    f->base.pMethods = &methods;
    return SQLITE_OK;
}

static int v_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    int code = fails(VFS_DELETE);
    if (code)
        return code;
    note(OP_DELETE, file_number(name), 0, NULL, 0);
    return below(vfs)->xDelete(below(vfs), name, sync);
}

static int v_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    int code = fails(VFS_ACCESS);
    return code ? code : below(vfs)->xAccess(below(vfs), name, flags, out);
}

void vfs_begin(void)
{
    static sqlite3_vfs vfs;
    sqlite3_vfs *unix_vfs = sqlite3_vfs_find(NULL);
    vfs = *unix_vfs;
    vfs.pNext = NULL;
    vfs.zName = "faults";
    vfs.pAppData = unix_vfs;
    vfs.szOsFile = (int)sizeof(struct file) + unix_vfs->szOsFile;
    vfs.xOpen = v_open;
    vfs.xDelete = v_delete;
    vfs.xAccess = v_access;
    if (sqlite3_vfs_register(&vfs, 1) != SQLITE_OK)
        abort();
}
