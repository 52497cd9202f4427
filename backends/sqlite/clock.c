/* SPDX-License-Identifier: MIT */
/* The store's clock: an anchor in the file plus the monotonic clock of this boot. It looks like UTC, never goes back and
 * takes no notice when somebody sets the wall clock. Tests shift it; the shift is stored, too. */
#include "store.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BEHIND_MS 2000     /* more than this below high water: another time domain */
#define AHEAD_MS 60000     /* wall clock further ahead than this: the anchor is lifted */
#define HIGH_EVERY_MS 1000 /* how often high water is written */

static int64_t read_ms(clockid_t which)
{
    struct timespec at;
    clock_gettime(which, &at);
    return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

static int64_t system_monotonic(void *user)
{
    (void)user;
    return read_ms(CLOCK_MONOTONIC); /* not the boot time: a machine that sleeps has workers that sleep */
}

static int64_t system_wall(void *user)
{
    (void)user;
    return read_ms(CLOCK_REALTIME);
}

static int system_boot_id(void *user, char out[40])
{
    (void)user;
    int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    ssize_t got = read(file, out, 39);
    close(file);
    if (got < 36)
        return -1;
    out[36] = 0;
    return 0;
}

int64_t sq_time_us(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000000 + at.tv_nsec / 1000;
}

void sq_clock_init(struct store_clock *clock, const struct clock_source *source)
{
    static const struct clock_source system = { system_monotonic, system_wall, system_boot_id, NULL };
    clock->source = source ? *source : system;
}

int sq_clock_boot(struct jobq_store *s)
{
    if (s->clock.source.boot_id(s->clock.source.user, s->clock.boot) == 0)
        return 0;
    return sq_fault_text(s, SQLITE_MISUSE, "cannot read the boot id of this machine, which the store's clock needs");
}

static int64_t monotonic(const struct jobq_store *s)
{
    return s->clock.source.monotonic_ms(s->clock.source.user);
}

static int64_t wall(const struct jobq_store *s)
{
    return s->clock.source.wall_ms(s->clock.source.user);
}

int64_t sq_clock_calendar(const struct jobq_store *s)
{
    return jobq_add_ms(wall(s), s->clock.shift);
}

int64_t sq_clock_anchor_for(const struct jobq_store *s, int64_t high_ms)
{
    int64_t now = wall(s);
    return (high_ms + 1 > now ? high_ms + 1 : now) - monotonic(s);
}

/* What is stored, read again only when somebody else has written. */
static int read_meta(struct jobq_store *s)
{
    struct store_clock *c = &s->clock;
    if (c->epoch == s->epoch)
        return 0;
    sqlite3_stmt *row = sq_start(s, SQL_CLOCK_READ, NULL, 0);
    int found = sq_step(s, row);
    if (found == 0)
        return sq_fault_text(s, SQLITE_CORRUPT, "the row of meta is missing");
    if (found < 0)
        return -1;
    struct jobq_bytes boot = sq_column_bytes(row, 0);
    c->same_boot = boot.size == strlen(c->boot) && memcmp(boot.data, c->boot, boot.size) == 0;
    c->anchor = sqlite3_column_int64(row, 1);
    c->high = sqlite3_column_int64(row, 2);
    c->shift = sqlite3_column_int64(row, 3);
    c->fence = c->fence_taken = sqlite3_column_int64(row, 4);
    c->events = sqlite3_column_int64(row, 5);
    c->event = sqlite3_column_int64(row, 6);
    c->batches = sqlite3_column_int(row, 7) != 0;
    c->epoch = s->epoch;
    sqlite3_reset(row);
    return 0;
}

static int other_domain(struct jobq_store *s, const char *why)
{
    return sq_fault_text(s, SQLITE_MISUSE, "this process lives in another time than the store: %s", why);
}

/* *here: without the shift. */
static int read_clock(struct jobq_store *s, int64_t *here)
{
    const struct store_clock *c = &s->clock;
    if (read_meta(s) != 0)
        return -1;
    *here = JOBQ_MUTANT(13) ? wall(s) : c->anchor + monotonic(s);
    if (!c->same_boot && s->inspect)
        *here = sq_clock_anchor_for(s, c->high) + monotonic(s);
    else if (!c->same_boot)
        return other_domain(s, "it was last opened under another boot id");
    else if (*here < c->high - BEHIND_MS)
        return other_domain(s, "its monotonic clock is behind");
    return 0;
}

int sq_clock_read(struct jobq_store *s, int64_t *now)
{
    int64_t here;
    if (read_clock(s, &here) != 0)
        return -1;
    *now = jobq_add_ms(here, s->clock.shift);
    return 0;
}

/* The wall clock was set right long after boot, or the machine slept: go along, and let nobody lose a lease by it. */
static int lift(struct jobq_store *s, int64_t by)
{
    s->clock.anchor += by;
    s->next_epoch = s->batch_epoch = 0; /* leases end elsewhere now */
    return sq_run(s, SQL_CLOCK_LIFT, VALUES(number(by))) || sq_run(s, SQL_CLOCK_LIFT_LEASES, VALUES(number(by))) ||
           sq_run(s, SQL_BATCH_LIFT, VALUES(number(by)));
}

int sq_clock_write(struct jobq_store *s, int64_t *now)
{
    struct store_clock *c = &s->clock;
    int64_t here;
    if (read_clock(s, &here) != 0)
        return -1;
    *now = jobq_add_ms(here, c->shift);
    if (here - c->high < HIGH_EVERY_MS && c->high <= here)
        return 0;
    int64_t ahead = wall(s) - here;
    if (ahead > AHEAD_MS) {
        if (lift(s, ahead) != 0)
            return -1;
        here += ahead;
        *now = jobq_add_ms(*now, ahead);
    }
    if (here <= c->high)
        return 0;
    c->high = here;
    return sq_run(s, SQL_CLOCK_HIGH, VALUES(number(here)));
}

int sq_clock_first_opener(struct jobq_store *s)
{
    struct store_clock *c = &s->clock;
    if (read_meta(s) != 0)
        return -1;
    if (c->same_boot)
        return 0;
    int64_t anchor = sq_clock_anchor_for(s, c->high), here = anchor + monotonic(s);
    struct value boot = blob(c->boot, strlen(c->boot));
    boot.kind = VALUE_TEXT;
    s->epoch++;
    if (sq_run(s, SQL_CLOCK_BOOT, VALUES(boot, number(anchor), number(here))) != 0)
        return -1;
    const struct value now = number(jobq_add_ms(here, c->shift));
    return sq_run(s, SQL_CLOCK_OLD_LEASES, &now, 1) != 0 ? -1 : sq_run(s, SQL_BATCH_OLD, &now, 1);
}

int sq_clock_start(struct jobq_store *s)
{
    bool unknown;
    if (read_meta(s) != 0)
        return -1;
    if (s->clock.same_boot || s->inspect)
        return 0;
    if (sq_tx_begin_write(s) != 0)
        return -1;
    if (sq_clock_first_opener(s) == 0)
        return sq_tx_commit(s, &unknown);
    sq_tx_rollback(s);
    return -1;
}

int sq_clock_fence_floor(struct jobq_store *s)
{
    int64_t now;
    s->epoch++; /* no transaction says what others did meanwhile */
    if (sq_clock_read(s, &now) != 0)
        return -1;
    s->clock.fence_min = now < INT64_C(1) << 43 ? now * 1000 : INT64_C(1) << 52;
    return 0;
}
