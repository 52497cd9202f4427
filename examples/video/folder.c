/* SPDX-License-Identifier: MIT */
#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int folder_open(struct folder *folder, const char *path)
{
    if (!realpath(path, folder->path))
        return -1;
    folder->fd = open(folder->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return folder->fd < 0 ? -1 : 0;
}

void folder_close(struct folder *folder)
{
    if (folder->fd >= 0)
        close(folder->fd);
    folder->fd = -1;
}

/* What comes behind the folder's own path, or NULL. */
static const char *behind_path(const struct folder *folder, const char *given)
{
    size_t size = strlen(folder->path);

    if (size == 1) /* the root folder */
        size = 0;
    return strncmp(given, folder->path, size) == 0 && given[size] == '/' ? given + size + 1 : NULL;
}

static const char *component_problem(const char *name, size_t size)
{
    if (size == 2 && memcmp(name, "..", 2) == 0)
        return "'..' is not taken: it must name a file below the media folder";
    if (size > NAME_MAX)
        return "a component of the name is longer than 255 bytes";
    return NULL;
}

/* Copies the name without empty and "." components. */
static const char *tidy(const char *name, char out[FOLDER_NAME_MAX_BYTES + 1])
{
    size_t used = 0;

    while (*name) {
        size_t size = strcspn(name, "/");
        const char *problem = component_problem(name, size);
        if (problem)
            return problem;
        if (size > 0 && !(size == 1 && *name == '.')) {
            if (used > 0)
                out[used++] = '/';
            memcpy(out + used, name, size);
            used += size;
        }
        name += size;
        name += *name == '/';
    }
    out[used] = '\0';
    return used > 0 ? NULL : "it must name a file below the media folder";
}

const char *folder_relative(const struct folder *folder, const char *given, size_t given_size,
                            char out[FOLDER_NAME_MAX_BYTES + 1])
{
    const char *name = given;

    if (given_size == 0)
        return "it is empty";
    if (given_size > FOLDER_NAME_MAX_BYTES)
        return "it is longer than 1,024 bytes";
    if (memchr(given, 0, given_size))
        return "it has a NUL in it";
    if (*given == '/' && !(name = behind_path(folder, given)))
        return "it is outside the media folder";
    if (given[given_size - 1] == '/')
        return "it names a folder";
    return tidy(name, out);
}

static const char *open_problem(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return "there is no such file below the media folder";
    case ELOOP:
        return "it leads through a symbolic link, and those are not followed";
    case EACCES:
        return "it may not be read";
    case ENAMETOOLONG:
        return "a component of the name is too long";
    default:
        return "it cannot be opened";
    }
}

/* O_PATH|O_NOFOLLOW gives a descriptor of the link itself, which shows as such and leads nowhere. */
static int enter(int at, const char *name, struct stat *facts)
{
    int fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return -1;
    if (fstat(fd, facts) == 0 && !S_ISLNK(facts->st_mode))
        return fd;
    close(fd);
    errno = ELOOP;
    return -1;
}

/* A descriptor that only stands for the file; -1 with *problem set. */
static int walk(const struct folder *folder, const char *relative, struct stat *facts, const char **problem)
{
    char name[NAME_MAX + 1];
    int at = folder->fd;

    for (;;) {
        size_t size = strcspn(relative, "/");
        int next = -1;

        if (size > NAME_MAX) {
            errno = ENAMETOOLONG;
        } else {
            memcpy(name, relative, size);
            name[size] = '\0';
            next = enter(at, name, facts);
        }
        *problem = next < 0 ? open_problem(errno) : NULL;
        if (at != folder->fd)
            close(at);
        if (next < 0)
            return -1;
        if (relative[size] == '\0')
            return next;
        relative += size + 1;
        at = next;
    }
}

static int find_regular(const struct folder *folder, const char *relative, struct stat *facts,
                        const char **problem)
{
    int fd = walk(folder, relative, facts, problem);

    if (fd >= 0 && !S_ISREG(facts->st_mode)) {
        *problem = S_ISDIR(facts->st_mode) ? "it names a folder" : "it is not a regular file";
        close(fd);
        return -1;
    }
    return fd;
}

const char *folder_look(const struct folder *folder, const char *relative, struct stat *facts)
{
    const char *problem = NULL;
    int fd = find_regular(folder, relative, facts, &problem);

    if (fd >= 0)
        close(fd);
    return problem;
}

const char *folder_open_file(const struct folder *folder, const char *relative, struct stat *facts, int *fd)
{
    const char *problem = NULL;
    int found = find_regular(folder, relative, facts, &problem);
    char self[64];

    *fd = -1;
    if (found < 0)
        return problem;
    /* The very file that was looked at, whatever its name leads to by now. */
    snprintf(self, sizeof(self), "/proc/self/fd/%d", found);
    *fd = open(self, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        problem = open_problem(errno);
    close(found);
    return problem;
}

int folder_absolute(const struct folder *folder, const char *relative, char out[PATH_MAX])
{
    const char *path = strcmp(folder->path, "/") == 0 ? "" : folder->path;

    return snprintf(out, PATH_MAX, "%s/%s", path, relative) < PATH_MAX ? 0 : -1;
}
