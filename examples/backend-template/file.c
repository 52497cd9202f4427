/* SPDX-License-Identifier: MIT */
/* The list and its file. The file is written beside the old one and takes its name in one step: a process that is killed
 * at any moment leaves the old one or the new one. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FIRST_LINE "plain 1 %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n"

struct item *item_next(const struct jobq_store *s, int kind, struct item *item)
{
    item = item ? item->next : s->first;
    while (item && (item->gone || item->is.kind != kind))
        item = item->next;
    return item;
}

struct item *item_new(struct jobq_store *s, int kind)
{
    struct item *item = jobq_arena_alloc(s->model, sizeof *item);
    s->failed |= !item;
    if (!item)
        return NULL;
    *item = (struct item){ .is.kind = kind };
    *s->last = item;
    s->last = &item->next;
    return item;
}

void file_forget(struct jobq_store *s)
{
    jobq_arena_destroy(s->model);
    s->model = NULL;
    s->first = NULL;
    s->last = &s->first;
    s->waste = 0;
}

static int save(struct jobq_store *s, struct jobq_error *err)
{
    char beside[sizeof s->path + 8];
    snprintf(beside, sizeof beside, "%s.new", s->path);
    int folder = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    bool good = folder >= 0 && f &&
                fprintf(f, FIRST_LINE, ++s->generation, s->last_ms, s->offset_ms, s->fence) > 0;
    for (struct item *item = s->first; good && item; item = item->next) {
        struct jobq_arena *arena = jobq_arena_create();
        struct jobq_bytes line = { 0 };
        if (!item->gone)
            good = arena && jobq_item_write(arena, &item->is, &line) == JOBQ_OK &&
                   fwrite(line.data, line.size, 1, f) == 1;
        jobq_arena_destroy(arena);
    }
    good = good && fflush(f) == 0 && fsync(fd) == 0 && rename(beside, s->path) == 0;
    bool safe = good && fsync(folder) == 0;
    int error = errno;
    if (f)
        fclose(f);
    if (folder >= 0)
        close(folder);
    return safe ? JOBQ_OK
                : jobq_error_set(err, good ? JOBQ_UNKNOWN : JOBQ_FAILED, NULL, "%s: %s", beside, strerror(error));
}

/* The whole file, if it is not the one that the list was read from. */
static int load(struct jobq_store *s, struct jobq_error *err)
{
    int64_t generation, last_ms, offset_ms, fence;
    FILE *f = fopen(s->path, "re");
    char *line = NULL;
    size_t room = 0;
    ssize_t size = -1;
    int status = f ? JOBQ_OK : jobq_error_set(err, JOBQ_UNREACHABLE, NULL, "%s: %s", s->path, strerror(errno));
    if (f && fscanf(f, FIRST_LINE, &generation, &last_ms, &offset_ms, &fence) != 4)
        status = jobq_error_set(err, JOBQ_FOREIGN, NULL, "%s: not a plain store of version 1", s->path);
    if (status == JOBQ_OK && (!s->model || generation != s->generation)) {
        file_forget(s);
        s->generation = generation, s->last_ms = last_ms, s->offset_ms = offset_ms, s->fence = fence;
        s->model = jobq_arena_create();
        while (status == JOBQ_OK && (size = getline(&line, &room, f)) > 0) {
            struct jobq_item read;
            struct item *item = NULL;
            status = jobq_item_read(s->model, (struct jobq_bytes){ line, (size_t)size }, &read, err);
            if (status == JOBQ_OK && !(item = item_new(s, read.kind)))
                status = jobq_error_set(err, JOBQ_NOMEM, NULL, "plain: out of memory");
            if (item)
                item->is = read;
        }
    }
    free(line);
    if (f)
        fclose(f);
    return status == JOBQ_INVALID ? JOBQ_CORRUPT : status;
}

static int64_t clock_ms(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int lock(struct jobq_store *s, struct jobq_error *err)
{
    const struct timespec pause = { 0, 500000 };
    int64_t until = clock_ms(CLOCK_MONOTONIC) + s->io_timeout_ms;
    while (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK || clock_ms(CLOCK_MONOTONIC) > until)
            return jobq_error_set(err, JOBQ_FAILED, NULL, "%s: cannot be locked", s->path);
        nanosleep(&pause, NULL);
    }
    return JOBQ_OK;
}

int file_begin(struct jobq_store *s, struct jobq_arena *answer, struct jobq_error *err)
{
    int status = lock(s, err);
    s->changed = s->failed = false;
    s->answer = answer;
    if (status == JOBQ_OK && load(s, err) != JOBQ_OK) {
        file_forget(s);
        flock(s->lock_fd, LOCK_UN);
        status = JOBQ_FAILED;
    }
    int64_t wall = clock_ms(CLOCK_REALTIME); /* if that is set back, ours stands still until it has come again */
    s->last_ms = wall > s->last_ms ? wall : s->last_ms;
    s->now = jobq_add_ms(s->last_ms, s->offset_ms);
    return status;
}

int file_end(struct jobq_store *s, struct jobq_error *err)
{
    int status = s->failed ? jobq_error_set(err, JOBQ_FAILED, NULL, "plain: out of memory") : JOBQ_OK;
    if (status == JOBQ_OK && s->changed)
        status = save(s, err);
    if (status != JOBQ_OK || s->waste > (size_t)4 << 20)
        file_forget(s);
    flock(s->lock_fd, LOCK_UN);
    return status;
}

int file_open(struct jobq_store *s, uint32_t flags, struct jobq_error *err)
{
    char path[sizeof s->path + 8];
    bool create = !(flags & (JOBQ_OPEN_NO_CREATE | JOBQ_OPEN_INSPECT));
    int status = JOBQ_OK;
    file_forget(s);
    if (create)
        (void)mkdir(s->folder, 0700); /* if it cannot be made, the lock says why */
    snprintf(path, sizeof path, "%s.lock", s->path);
    s->lock_fd = open(path, create ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0600);
    if (s->lock_fd < 0 || lock(s, err) != JOBQ_OK)
        return jobq_error_set(err, JOBQ_UNREACHABLE, NULL, "%s: %s", path, strerror(errno));
    s->generation = clock_ms(CLOCK_REALTIME); /* rises over that of a store that was here before */
    if (create && access(s->path, F_OK) != 0 && save(s, err) != JOBQ_OK)
        status = JOBQ_UNREACHABLE;
    if (status == JOBQ_OK)
        status = load(s, err);
    flock(s->lock_fd, LOCK_UN);
    return status;
}
