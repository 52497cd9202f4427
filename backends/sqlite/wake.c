/* SPDX-License-Identifier: MIT */
/* Waking other processes. Who made something due touches the times of the "-shm" file, which every process that has the
 * store open watches. Nothing is written for it, nobody polls, and commits that concern nobody wake nobody. A touch costs
 * as much as writing a page, so it is spared while nobody holds the lock of those who listen: who takes that looks for
 * work only afterwards, so that he has seen what was committed before. One's own touch is told from others' by SQLite's
 * data_version, which only others' commits change. */
#include "store.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

void sq_wake_open(struct jobq_store *s)
{
    s->shm_path = sqlite3_mprintf("%s-shm", s->path);
    s->wake_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (s->wake_fd < 0)
        return;
    if (!s->shm_path || inotify_add_watch(s->wake_fd, s->shm_path, IN_ATTRIB) < 0) {
        close(s->wake_fd);
        s->wake_fd = -1;
    }
}

void sq_wake_close(struct jobq_store *s)
{
    if (s->wake_fd >= 0)
        close(s->wake_fd);
    s->wake_fd = -1;
    sqlite3_free(s->shm_path);
    s->shm_path = NULL;
}

void sq_wake_others(struct jobq_store *s)
{
    if (s->shm_path && sq_gate_has_listeners(s))
        utimensat(AT_FDCWD, s->shm_path, NULL, 0);
}

static int data_version(struct jobq_store *s, int64_t *out)
{
    return sq_number(s, SQL_DATA_VERSION, out, NULL, 0) > 0 ? 0 : -1;
}

int sq_wake_seen(struct jobq_store *s)
{
    return s->wake_fd < 0 ? 0 : data_version(s, &s->seen_version);
}

int sq_wake_fd_of(struct jobq_store *s)
{
    return s->wake_fd >= 0 && sq_gate_listen(s) == 0 ? s->wake_fd : -1;
}

/* While an operation of this handle is under way nothing can be asked; then "perhaps" is the answer. */
int sq_wake_drain_of(struct jobq_store *s)
{
    char events[4096];
    int64_t version;
    while (s->wake_fd >= 0 && read(s->wake_fd, events, sizeof events) > 0)
        ;
    if (pthread_mutex_trylock(&s->lock) != 0)
        return 1;
    struct fault fault = s->fault;
    sq_gate_begin(s);
    int changed = 1;
    if (data_version(s, &version) == 0) {
        changed = version != s->seen_version;
        s->seen_version = version;
    }
    s->fault = fault;
    sq_gate_end(s);
    pthread_mutex_unlock(&s->lock);
    return changed;
}

/* Both are watches only: closing the copies of a child changes nothing for the parent. */
void sq_leave_descriptors(struct jobq_store *s)
{
    sq_wake_close(s);
    sq_gate_close(s);
}
