/* SPDX-License-Identifier: MIT */
/*
 * A file system of SQLite's between the store and the real one. It lets file operations fail on purpose, and it notes what is
 * written and synced, so that what a disk may hold after a power loss can be made of it.
 */
#ifndef FAULTS_VFS_H
#define FAULTS_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vfs_what {
    VFS_READ,
    VFS_SHORT_READ, /* fewer bytes than asked for, which is an error in the middle of a file */
    VFS_WRITE,
    VFS_HALF_WRITE, /* the first half is written, then the error */
    VFS_FULL,       /* a write finds no room */
    VFS_SYNC,
    VFS_TRUNCATE,
    VFS_SIZE,
    VFS_LOCK,
    VFS_SHM_MAP,
    VFS_SHM_LOCK,
    VFS_OPEN,
    VFS_DELETE,
    VFS_ACCESS,
    VFS_WHAT_COUNT
};
extern const char *const vfs_names[VFS_WHAT_COUNT];

/* From now on every connection of this process goes through it. */
void vfs_begin(void);

/* The n-th operation of this kind from now on fails; with `all` every one behind it too. */
void vfs_fail(enum vfs_what what, long n, bool all);
long vfs_fail_end(void); /* how many failed */

/* ---- notes ---------------------------------------------------------------------------------------------------- */

enum vfs_op_kind { OP_WRITE, OP_TRUNCATE, OP_SYNC, OP_DELETE, OP_CREATE };

struct vfs_op {
    enum vfs_op_kind kind;
    int file;       /* number of the name, see vfs_notes_name */
    int64_t at;     /* WRITE: offset; TRUNCATE: size */
    size_t bytes;   /* WRITE */
    uint8_t *data;
};

void vfs_notes_begin(const char *folder); /* of files directly in it */
const struct vfs_op *vfs_notes(size_t *count);
const char *vfs_notes_name(int file);
void vfs_notes_end(void);

#endif
