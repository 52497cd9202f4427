/* SPDX-License-Identifier: MIT */
/* Waiting for the one writer, fairly.
 *
 * SQLite has one write lock and no queue in front of it: whoever asks in the right microsecond has it, and a process
 * that commits in a tight loop nearly always does. So those who want it say so by a shared lock on the log file, which SQLite
 * itself never locks. A process that has had the write lock for some time and finds that others want it steps back, for as
 * long as it had it: one that drains five hundred jobs at a time and one that puts a single job get the same time, not the same
 * number of transactions. The kernel takes the lock away when a process dies. */
#define _GNU_SOURCE /* F_OFD_SETLK */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define TURN_US 6000         /* for how long one may write before looking whether others want to */
#define STEP_BACK_US 30000   /* for how long to step back at the longest */
#define LOOK_US 200          /* how often to look meanwhile whether it was for somebody */
#define LOOKS 3              /* so often nobody wanted it: then it was for nobody */
#define CONTENDED_US 100000  /* for how long after a wait one tells that one writes, not only that one waits */
#define NAP_US 150           /* how long a waiter sleeps at first */
#define NAP_LONGEST_US 5000
#define LISTEN_AT 0

static void nap(int64_t us)
{
    struct timespec time = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };
    nanosleep(&time, NULL);
}

/* ---- what one wants ------------------------------------------------------------------------------------------------ */

static void tell(struct gate *gate)
{
    if (gate->wal_fd >= 0 && !gate->told)
        gate->told = flock(gate->wal_fd, LOCK_SH | LOCK_NB) == 0;
}

static void tell_no_more(struct gate *gate)
{
    if (gate->told)
        flock(gate->wal_fd, LOCK_UN);
    gate->told = false;
}

/* May this one be asked: while it tells nothing itself. */
static bool somebody_wants(const struct gate *gate)
{
    if (flock(gate->wal_fd, LOCK_EX | LOCK_NB) != 0)
        return true;
    flock(gate->wal_fd, LOCK_UN);
    return false;
}

/* ---- before, during, behind ----------------------------------------------------------------------------------------- */

void sq_gate_end(struct jobq_store *s)
{
    tell_no_more(&s->gate);
    s->gate.wait_began_us = 0;
}

void sq_gate_begin(struct jobq_store *s)
{
    sq_gate_end(s);
    s->gate.deadline_us = sq_time_us() + s->io_timeout_ms * 1000;
}

static void step_back(struct gate *gate, int64_t us)
{
    int64_t until = sq_time_us() + us;
    int nobody = 0;
    do {
        nap(LOOK_US);
        nobody = somebody_wants(gate) ? 0 : nobody + 1;
    } while (nobody < LOOKS && sq_time_us() < until);
}

void sq_gate_yield(struct jobq_store *s)
{
    struct gate *gate = &s->gate;
    if (gate->wal_fd < 0 || gate->held_us < TURN_US)
        return;
    if (somebody_wants(gate))
        step_back(gate, gate->held_us < STEP_BACK_US ? gate->held_us : STEP_BACK_US);
    gate->held_us = 0;
}

void sq_gate_held(struct jobq_store *s)
{
    struct gate *gate = &s->gate;
    gate->held_since_us = sq_time_us();
    if (gate->wait_began_us)
        gate->contended_us = gate->held_since_us;
    gate->wait_began_us = 0;
    if (gate->contended_us && gate->held_since_us - gate->contended_us < CONTENDED_US)
        tell(gate);
    else
        tell_no_more(gate);
}

void sq_gate_given(struct jobq_store *s)
{
    struct gate *gate = &s->gate;
    if (gate->held_since_us)
        gate->held_us += sq_time_us() - gate->held_since_us;
    gate->held_since_us = 0;
    tell_no_more(gate);
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
        tell(&s->gate);
    }
    int64_t us = (now - s->gate.wait_began_us) / 20;
    us = us < NAP_US ? NAP_US : us > NAP_LONGEST_US ? NAP_LONGEST_US : us;
    nap(us < s->gate.deadline_us - now ? us : s->gate.deadline_us - now);
    return 1;
}

/* ---- who listens ------------------------------------------------------------------------------------------------------ */

/* A lock on a place in the log, which SQLite does not lock there, and which belongs to the descriptor: handles of one
 * process see each other's, and the kernel takes it away with the last copy. */
static struct flock listening(short how)
{
    return (struct flock){ .l_type = how, .l_whence = SEEK_SET, .l_start = LISTEN_AT, .l_len = 1 };
}

/* Where there are no such locks, nobody can ask for them either, and everybody is woken. */
int sq_gate_listen(struct jobq_store *s)
{
    struct flock lock = listening(F_RDLCK);
    if (s->gate.wal_fd < 0)
        return -1;
    return fcntl(s->gate.wal_fd, F_OFD_SETLK, &lock) == 0 || errno == EINVAL ? 0 : -1;
}

bool sq_gate_has_listeners(const struct jobq_store *s)
{
    struct flock lock = listening(F_WRLCK);
    return s->gate.wal_fd < 0 || fcntl(s->gate.wal_fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

/* ---- opening ---------------------------------------------------------------------------------------------------------- */

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
    s->gate.told = false;
}
