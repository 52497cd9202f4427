/* SPDX-License-Identifier: MIT */
/* Several processes on one file, wake-up between them, fork, and what is left behind. */
#include "kit.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONG_WAIT_MS 60000 /* for what must happen: only a failing test waits so long */

/* ---- helpers ---------------------------------------------------------------------------------------------------- */

struct pair {
    int to_child[2], to_parent[2];
};

static void pair_open(struct pair *p)
{
    ck_assert_int_eq(pipe(p->to_child), 0);
    ck_assert_int_eq(pipe(p->to_parent), 0);
}

static void tell(int fd)
{
    ck_assert_int_eq((int)write(fd, "x", 1), 1);
}

static void hear(int fd)
{
    char byte;
    ck_assert_int_eq((int)read(fd, &byte, 1), 1);
}

/* Check's failures exit the child with a status of their own; what runs here must not return. */
static pid_t start(void (*what)(struct pair *, int), struct pair *p, int number)
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        what(p, number);
        _exit(0);
    }
    return child;
}

static void ended_well(pid_t child)
{
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}

static int readable(int fd, int timeout_ms)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, timeout_ms);
}

/* ---- many at once ------------------------------------------------------------------------------------------------- */

#define MANY 8

static void open_and_put(struct pair *p, int number)
{
    hear(p->to_child[0]);
    struct jobq_store *s = store_open("a.db", NULL, NULL);
    if (put_job(s, (uint32_t)number, "q", 10) != JOBQ_OK)
        _exit(1);
    store_close(s);
}

/* Rule 1: each of those who make the store at the same instant has its job in it. */
START_TEST(made_by_many_at_once)
{
    struct pair p;
    pid_t children[MANY];
    pair_open(&p);
    for (int i = 0; i < MANY; i++)
        children[i] = start(open_and_put, &p, i + 1);
    for (int i = 0; i < MANY; i++)
        tell(p.to_child[1]);
    for (int i = 0; i < MANY; i++)
        ended_well(children[i]);
    ck_assert_int_eq(sql_value("a.db", "SELECT count(*) FROM jobq_job"), MANY);
    ck_assert_int_eq(sql_value("a.db", "SELECT count(*) FROM jobq_meta"), 1);
    ck_assert_int_eq(sql_value("a.db", "SELECT version FROM jobq_meta"), SCHEMA_VERSION);
}
END_TEST

#define JOBS 300

static void drain(struct pair *p, int number)
{
    const struct jobq_row *rows;
    int done = 0;
    size_t count;
    struct jobq_store *s = store_open("a.db", NULL, NULL);
    while ((count = claim_jobs(s, "q", JOBQ_WANT_DUE, 3, 60000, &rows)) > 0)
        for (size_t i = 0; i < count; i++)
            if (ack_job(s, &rows[i]) == JOBQ_OK)
                done++;
            else
                _exit(1);
    store_close(s);
    (void)number;
    if (write(p->to_parent[1], &done, sizeof done) != (ssize_t)sizeof done)
        _exit(2);
}

/* S1, S2: nothing lost, nothing twice. */
START_TEST(drained_by_many_at_once)
{
    struct pair p;
    pid_t children[4];
    int total = 0;
    struct jobq_store *s = store_open("a.db", "synchronous=normal", NULL);
    for (uint32_t i = 0; i < JOBS; i++)
        ck_assert_int_eq(put_job(s, i, "q", 10), JOBQ_OK);
    store_close(s);
    pair_open(&p);
    for (int i = 0; i < 4; i++)
        children[i] = start(drain, &p, i);
    for (int i = 0; i < 4; i++) {
        int done;
        ended_well(children[i]);
        ck_assert_int_eq((int)read(p.to_parent[0], &done, sizeof done), (int)sizeof done);
        total += done;
    }
    ck_assert_int_eq(total, JOBS);
    ck_assert_int_eq(sql_value("a.db", "SELECT count(*) FROM jobq_job WHERE state = 4 AND attempt = 1"), JOBS);
}
END_TEST

/* ---- waiting for the writer -------------------------------------------------------------------------------------------- */

static sqlite3 *hold_write_lock(void)
{
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(in_folder("a.db"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

START_TEST(busy_is_a_certain_failure_that_may_pass)
{
    struct jobq_store *s = store_open("a.db", NULL, NULL);
    ck_assert_int_eq(put_job(s, 1, "q", 10), JOBQ_OK);
    s->io_timeout_ms = 100;
    sqlite3 *other = hold_write_lock();
    struct jobq_put put = { .id = { { 2 } }, .queue = { "q", 1 }, .kind = { "q", 1 }, .only_if = -1 };
    struct jobq_exchange x = { .puts = &put, .put_count = 1 };
    ck_assert_int_eq(exchange(s, &x), JOBQ_FAILED);
    ck_assert_int_eq(x.failure, JOBQ_FAILURE_TRANSIENT);
    ck_assert_int_eq(add_clock(s, 1), JOBQ_FAILED);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_READY), 1); /* reading waits for nobody */
    ck_assert_int_eq(sqlite3_close(other), SQLITE_OK);
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_READY), 2);
    store_close(s);
}
END_TEST

/* An idle worker takes no write lock. */
START_TEST(a_want_that_finds_nothing_waits_for_nobody)
{
    const struct jobq_row *rows;
    struct jobq_store *s = store_open("a.db", NULL, NULL);
    ck_assert_int_eq(put_job(s, 1, "q", 10), JOBQ_OK);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 1, 60000, &rows), 1);
    s->io_timeout_ms = 100;
    sqlite3 *other = hold_write_lock();
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 1, 60000, &rows), 0);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_ALONE, 1, 60000, &rows), 0);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_OVERDUE, 1, 60000, &rows), 0);
    ck_assert_int_eq(sqlite3_close(other), SQLITE_OK);
    store_close(s);
}
END_TEST

static void write_without_pause(struct pair *p, int number)
{
    struct jobq_store *s = store_open("a.db", "synchronous=normal", NULL);
    tell(p->to_parent[1]);
    for (uint32_t i = 0; readable(p->to_child[0], 0) == 0; i++)
        if (put_job(s, (uint32_t)number << 24 | i, "other", 10) != JOBQ_OK)
            _exit(1);
    store_close(s);
}

/* Two processes that never pause do not keep a third one out. */
START_TEST(nobody_is_kept_out)
{
    struct pair p;
    pid_t children[2];
    store_close(store_open("a.db", NULL, NULL));
    pair_open(&p);
    for (int i = 0; i < 2; i++)
        children[i] = start(write_without_pause, &p, i + 1);
    hear(p.to_parent[0]);
    hear(p.to_parent[0]);
    struct jobq_store *s = store_open("a.db", NULL, NULL);
    for (uint32_t i = 0; i < 100; i++)
        ck_assert_int_eq(put_job(s, 1 + i, "mine", 10), JOBQ_OK);
    tell(p.to_child[1]);
    for (int i = 0; i < 2; i++)
        ended_well(children[i]);
    ck_assert_uint_eq(rows_in(s, "mine", JOBQ_READY), 100);
    store_close(s);
}
END_TEST

/* ---- waking -------------------------------------------------------------------------------------------------------------- */

static const struct jobq_backend *sqlite_store(void)
{
    return jobq_sqlite();
}

static void put_when_told(struct pair *p, int number)
{
    struct jobq_store *s = store_open("a.db", NULL, NULL);
    tell(p->to_parent[1]);
    hear(p->to_child[0]);
    if (put_job(s, (uint32_t)number, "q", 10) != JOBQ_OK)
        _exit(1);
    hear(p->to_child[0]);
    store_close(s);
}

START_TEST(a_put_of_another_process_wakes)
{
    struct pair p;
    pair_open(&p);
    struct jobq_store *s;
    store_close(store_open("a.db", NULL, NULL));
    pid_t child = start(put_when_told, &p, 1);
    hear(p.to_parent[0]);
    s = store_open("a.db", NULL, NULL);
    int fd = sqlite_store()->wake_fd(s);
    ck_assert_int_ge(fd, 0);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 1, 60000, NULL), 0);
    sqlite_store()->wake_drain(s);
    ck_assert_int_eq(readable(fd, 0), 0);
    tell(p.to_child[1]);
    ck_assert_int_eq(readable(fd, LONG_WAIT_MS), 1);
    ck_assert_int_eq(sqlite_store()->wake_drain(s), 1);
    ck_assert_int_eq(readable(fd, 0), 0);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 1, 60000, NULL), 1);
    tell(p.to_child[1]);
    ended_well(child);
    store_close(s);
}
END_TEST

START_TEST(ones_own_commits_are_false_alarms)
{
    struct jobq_store *s = store_open("a.db", NULL, NULL);
    sqlite_store()->wake_drain(s);
    ck_assert_int_eq(put_job(s, 1, "q", 10), JOBQ_OK);
    ck_assert_int_eq(sqlite_store()->wake_drain(s), 0);
    ck_assert_int_eq(readable(sqlite_store()->wake_fd(s), 0), 0);
    store_close(s);
}
END_TEST

/* What another handle did is reported once, and not at all when the want that followed has seen it. */
START_TEST(what_a_want_has_seen_is_no_alarm)
{
    struct jobq_store *s = store_open("a.db", NULL, NULL), *other = store_open("a.db", NULL, NULL);
    sqlite_store()->wake_drain(s);
    ck_assert_int_eq(put_job(other, 1, "q", 10), JOBQ_OK);
    ck_assert_int_eq(sqlite_store()->wake_drain(s), 1);
    ck_assert_int_eq(sqlite_store()->wake_drain(s), 0);
    ck_assert_int_eq(put_job(other, 2, "q", 10), JOBQ_OK);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 5, 60000, NULL), 2);
    ck_assert_int_eq(sqlite_store()->wake_drain(s), 0);
    store_close(other);
    store_close(s);
}
END_TEST

/* Only what makes something due is told: claims and acks of others wake nobody. */
START_TEST(acks_wake_nobody)
{
    const struct jobq_row *rows;
    struct jobq_store *s = store_open("a.db", NULL, NULL), *other = store_open("a.db", NULL, NULL);
    ck_assert_int_eq(put_job(other, 1, "q", 10), JOBQ_OK);
    sqlite_store()->wake_drain(s);
    ck_assert_uint_eq(claim_jobs(other, "q", JOBQ_WANT_DUE, 1, 60000, &rows), 1);
    ck_assert_int_eq(ack_job(other, &rows[0]), JOBQ_OK);
    ck_assert_int_eq(readable(sqlite_store()->wake_fd(s), 0), 0);
    store_close(other);
    store_close(s);
}
END_TEST

/* One that wrote through a connection of its own says so afterwards. */
START_TEST(wake_tells_of_foreign_commits)
{
    struct jobq_store *s = store_open("a.db", NULL, NULL), *other = store_open("a.db", NULL, NULL);
    int fd = sqlite_store()->wake_fd(s);
    sqlite_store()->wake_drain(s);
    sql("a.db", "UPDATE jobq_tally SET fence = fence + 1");
    sqlite_store()->wake(other);
    ck_assert_int_eq(readable(fd, 0), 1);
    ck_assert_int_eq(sqlite_store()->wake_drain(s), 1);
    store_close(other);
    store_close(s);
}
END_TEST

static int64_t touched_ns(void)
{
    struct stat about;
    ck_assert_int_eq(stat(in_folder("a.db-shm"), &about), 0);
    return about.st_ctim.tv_sec * INT64_C(1000000000) + about.st_ctim.tv_nsec;
}

/* Nobody is told while nobody listens, and one who listens is not forgotten when a child that has his descriptors ends. */
START_TEST(only_listeners_are_told)
{
    struct jobq_store *s = store_open("a.db", NULL, NULL), *other = store_open("a.db", NULL, NULL);
    ck_assert_int_eq(put_job(other, 1, "q", 10), JOBQ_OK);
    int64_t before = touched_ns();
    ck_assert_int_eq(put_job(other, 2, "q", 10), JOBQ_OK);
    ck_assert_int_eq(put_job(s, 3, "q", 10), JOBQ_OK);
    ck_assert_int_eq(touched_ns(), before);
    int fd = sqlite_store()->wake_fd(s);
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    ended_well(child);
    ck_assert_int_eq(put_job(s, 4, "q", 10), JOBQ_OK); /* for oneself there is no need */
    ck_assert_int_eq(readable(fd, 0), 0);
    ck_assert_int_eq(put_job(other, 5, "q", 10), JOBQ_OK);
    ck_assert_int_eq(readable(fd, 0), 1);
    sqlite_store()->wake_drain(s);
    store_close(s);
    before = touched_ns();
    ck_assert_int_eq(put_job(other, 6, "q", 10), JOBQ_OK);
    ck_assert_int_eq(touched_ns(), before);
    store_close(other);
}
END_TEST

/* ---- fork, and what is left ---------------------------------------------------------------------------------------------- */

static void close_the_parents(struct pair *p, int number)
{
    struct jobq_store *s;
    (void)number;
    if (read(p->to_child[0], &s, sizeof s) != (ssize_t)sizeof s)
        _exit(1);
    store_close(s);
}

/* The child's close touches neither file nor locks: another process still finds the parent there. */
START_TEST(a_child_that_closes_harms_nobody)
{
    struct pair p;
    pair_open(&p);
    struct jobq_store *s = store_open("a.db", NULL, NULL);
    ck_assert_int_eq(put_job(s, 1, "q", 10), JOBQ_OK);
    uint64_t before = digest_of("a.db"), log = digest_of("a.db-wal");
    ck_assert_int_eq((int)write(p.to_child[1], &s, sizeof s), (int)sizeof s);
    ended_well(start(close_the_parents, &p, 0));
    ck_assert_uint_eq(digest_of("a.db"), before);
    ck_assert_uint_eq(digest_of("a.db-wal"), log);
    sql("a.db", "UPDATE jobq_tally SET fence = fence + 1"); /* the last one to close would remove the log */
    ck_assert_int_eq(access(in_folder("a.db-wal"), F_OK), 0);
    ck_assert_int_eq(put_job(s, 2, "q", 10), JOBQ_OK);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_READY), 2);
    store_close(s);
    ck_assert_int_ne(access(in_folder("a.db-wal"), F_OK), 0);
}
END_TEST

START_TEST(nothing_is_left)
{
    const struct jobq_row *rows;
    size_t threads = threads_now(), descriptors = descriptors_now();
    for (int round = 0; round < 3; round++) {
        struct jobq_store *s = store_open("a.db", NULL, NULL);
        ck_assert_int_eq(put_job(s, (uint32_t)round, "q", 3000000), JOBQ_OK); /* enough for a checkpoint */
        ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 1, 60000, &rows), 1);
        ck_assert_int_eq(ack_job(s, &rows[0]), JOBQ_OK);
        ck_assert_uint_eq(threads_now(), threads);
        store_close(s);
        ck_assert_uint_eq(descriptors_now(), descriptors);
    }
    struct jobq_store *none;
    struct jobq_error err;
    sql("b.db", "CREATE TABLE jobq_meta (x)");
    ck_assert_int_eq(store_try(&none, uri_of("b.db", NULL), 0, NULL, &err), JOBQ_FOREIGN);
    ck_assert_uint_eq(descriptors_now(), descriptors);
}
END_TEST

static void die_in_the_middle(struct pair *p, int number)
{
    struct jobq_store *s = store_open("a.db", NULL, NULL);
    (void)number;
    if (put_job(s, 1, "q", 10) != JOBQ_OK || sq_tx_begin_write(s) != 0 ||
        sqlite3_exec(s->db, "DELETE FROM jobq_job", NULL, NULL, NULL) != SQLITE_OK)
        _exit(1);
    tell(p->to_parent[1]);
    hear(p->to_child[0]); /* never comes */
}

/* R1: whoever dies with the write lock leaves no trace and blocks nobody. */
START_TEST(killed_while_writing)
{
    struct pair p;
    int status;
    pair_open(&p);
    pid_t child = start(die_in_the_middle, &p, 0);
    hear(p.to_parent[0]);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    struct jobq_store *s = store_open("a.db", NULL, NULL);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_READY), 1);
    ck_assert_int_eq(put_job(s, 2, "q", 10), JOBQ_OK);
    store_close(s);
}
END_TEST

/* ---- checkpoints ------------------------------------------------------------------------------------------------------------ */

static int64_t log_bytes(struct jobq_store *s)
{
    return sq_checkpoint_wal_bytes(s);
}

START_TEST(the_log_does_not_grow_for_ever)
{
    struct jobq_store *s = store_open("a.db", "synchronous=normal", NULL);
    int64_t largest = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        ck_assert_int_eq(put_job(s, i, "q", 40000), JOBQ_OK);
        largest = log_bytes(s) > largest ? log_bytes(s) : largest;
    }
    ck_assert_int_lt(largest, 6000 * 4200);
    ck_assert_int_gt(sql_value("a.db", "PRAGMA page_count"), 9000);
    store_close(s);
    ck_assert_int_ne(access(in_folder("a.db-wal"), F_OK), 0);
    ck_assert_int_eq(sql_value("a.db", "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
}
END_TEST

/* A reader that stays keeps the log from starting anew; work goes on, and when it has left the log is used again. */
START_TEST(a_long_reader_stops_nothing)
{
    struct jobq_store *s = store_open("a.db", "synchronous=normal", NULL);
    ck_assert_int_eq(put_job(s, 0, "q", 10), JOBQ_OK);
    sqlite3 *reader;
    ck_assert_int_eq(sqlite3_open(in_folder("a.db"), &reader), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM jobq_job", NULL, NULL, NULL), SQLITE_OK);
    for (uint32_t i = 1; i < 300; i++)
        ck_assert_int_eq(put_job(s, i, "q", 100000), JOBQ_OK);
    int64_t grown = log_bytes(s);
    ck_assert_int_gt(grown, 6000 * 4096);
    ck_assert_int_eq(sqlite3_close(reader), SQLITE_OK);
    for (uint32_t i = 300; i < 700; i++)
        ck_assert_int_eq(put_job(s, i, "q", 100000), JOBQ_OK);
    ck_assert_int_lt(log_bytes(s), grown + 6000 * 4200);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_READY), 700);
    store_close(s);
}
END_TEST

KIT_MAIN("process", made_by_many_at_once, drained_by_many_at_once, busy_is_a_certain_failure_that_may_pass,
         a_want_that_finds_nothing_waits_for_nobody, nobody_is_kept_out, a_put_of_another_process_wakes,
         ones_own_commits_are_false_alarms, what_a_want_has_seen_is_no_alarm, acks_wake_nobody,
         wake_tells_of_foreign_commits, only_listeners_are_told, a_child_that_closes_harms_nobody, nothing_is_left, killed_while_writing,
         the_log_does_not_grow_for_ever, a_long_reader_stops_nothing)
