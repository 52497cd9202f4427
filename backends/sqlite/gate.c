/* SPDX-License-Identifier: MIT */
/* Waiting for the one writer, fairly.
 *
 * SQLite has one write lock and no queue in front of it: whoever asks in the right microsecond has it, and a process
 * that commits in a tight loop nearly always does. So those who wait say so by a shared lock on the log file, which SQLite
 * itself never locks, and a process that wants to write again looks whether anybody waits and then and now steps back for
 * longer than a waiter sleeps. The kernel takes the lock away when a process dies. */
#include "store.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define STEP_BACK_US 400    /* how long to step back */
#define STEP_BACK_EVERY_US 3000
#define NAP_US 150          /* how long a waiter sleeps at first */
#define NAP_LONGEST_US 5000

static void nap(int64_t us)
{
    struct timespec time = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };
    nanosleep(&time, NULL);
}

void sq_gate_end(struct jobq_store *s)
{
    if (s->gate.wait_began_us && s->gate.wal_fd >= 0)
        flock(s->gate.wal_fd, LOCK_UN);
    s->gate.wait_began_us = 0;
}

void sq_gate_begin(struct jobq_store *s)
{
    sq_gate_end(s);
    s->gate.deadline_us = sq_time_us() + s->io_timeout_ms * 1000;
}

static bool somebody_waits(int wal_fd)
{
    if (flock(wal_fd, LOCK_EX | LOCK_NB) != 0)
        return true;
    flock(wal_fd, LOCK_UN);
    return false;
}

void sq_gate_yield(struct jobq_store *s)
{
    int64_t now = sq_time_us();
    if (s->gate.wal_fd < 0 || now - s->gate.yielded_us < STEP_BACK_EVERY_US || !somebody_waits(s->gate.wal_fd))
        return;
    nap(STEP_BACK_US);
    s->gate.yielded_us = sq_time_us();
}

/* Sleep a twentieth of what was waited already: short while it matters, rare when somebody holds the lock for long. */
int sq_gate_busy(void *store, int count)
{
    struct jobq_store *s = store;
    int64_t now = sq_time_us();
    (void)count;
    if (now >= s->gate.deadline_us)
        return 0;
    if (!s->gate.wait_began_us) {
        s->gate.wait_began_us = now;
        if (s->gate.wal_fd >= 0)
            flock(s->gate.wal_fd, LOCK_SH | LOCK_NB);
    }
    int64_t us = (now - s->gate.wait_began_us) / 20;
    us = us < NAP_US ? NAP_US : us > NAP_LONGEST_US ? NAP_LONGEST_US : us;
    nap(us < s->gate.deadline_us - now ? us : s->gate.deadline_us - now);
    return 1;
}

/* A descriptor of our own on the database file would be dangerous: closing it drops every lock that this process has on
 * it. The log is not locked that way by anybody. */
void sq_gate_open(struct jobq_store *s)
{
    char *wal = sqlite3_mprintf("%s-wal", s->path);
    s->gate.wal_fd = wal ? open(wal, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    sqlite3_free(wal);
}

void sq_gate_close(struct jobq_store *s)
{
    if (s->gate.wal_fd >= 0)
        close(s->gate.wal_fd);
    s->gate.wal_fd = -1;
}
