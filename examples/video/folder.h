/* SPDX-License-Identifier: MIT */
#ifndef VIDEO_FOLDER_H
#define VIDEO_FOLDER_H

/*
 * The media folder: the only place that files are read from. A name is walked one component at a time from
 * the folder's own descriptor, and no component may be "..", a symbolic link or anything but a folder; the
 * last one must be a regular file. So there is no way out of the folder, and nothing is opened that blocks or
 * has effects when opened.
 */

#include <limits.h>
#include <stddef.h>
#include <sys/stat.h>

#define FOLDER_NAME_MAX_BYTES 1024

struct folder {
    int fd;
    char path[PATH_MAX]; /* absolute, without links */
};

/* Returns 0, or -1 with errno. */
int folder_open(struct folder *folder, const char *path);
void folder_close(struct folder *folder);

/*
 * Brings a name as somebody gave it, `given_size` bytes and a NUL behind them, to the form the other
 * functions take, relative to the folder: an absolute name must begin with the folder's path. The file need
 * not exist. Returns NULL, or what is wrong with the name.
 */
const char *folder_relative(const struct folder *folder, const char *given, size_t given_size,
                            char out[FOLDER_NAME_MAX_BYTES + 1]);

/* Looks at the file without opening it. Returns NULL and its facts, or what is wrong. */
const char *folder_look(const struct folder *folder, const char *relative, struct stat *facts);

/* Opens the file to be read. Returns NULL, the facts and a descriptor, or what is wrong. */
const char *folder_open_file(const struct folder *folder, const char *relative, struct stat *facts, int *fd);

/* Writes the absolute name. Returns 0, or -1 if it is too long. */
int folder_absolute(const struct folder *folder, const char *relative, char out[PATH_MAX]);

#endif
