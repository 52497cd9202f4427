/* SPDX-License-Identifier: MIT */
/* What is written to the log, and in how many calls. */
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How often this process has asked the system to write. */
static int64_t writes_now(void)
{
    char line[80];
    int64_t count = -1;
    FILE *io = fopen("/proc/self/io", "r");
    ck_assert_ptr_nonnull(io);
    while (fgets(line, sizeof line, io))
        if (strncmp(line, "syscw:", 6) == 0)
            count = strtoll(line + 6, NULL, 10);
    fclose(io);
    ck_assert_int_ge(count, 0);
    return count;
}

/* Frames of one transaction are written together: SQLite by itself writes each by two calls. */
START_TEST(a_put_is_written_at_once)
{
    struct jobq_store *s = store_open("a.db", "synchronous=normal", NULL);
    ck_assert_int_eq(put_job(s, 1, "q", 10), JOBQ_OK);
    int frames = s->wal_frames;
    int64_t before = writes_now();
    for (uint32_t i = 2; i < 102; i++)
        ck_assert_int_eq(put_job(s, i, "q", 10), JOBQ_OK);
    int64_t writes = writes_now() - before;
    frames = s->wal_frames - frames;
    ck_assert_int_ge(frames, 300);
    ck_assert_int_ge(writes, 100);
    ck_assert_int_lt(writes, frames);
    store_close(s);
}
END_TEST

static void is_sound(int64_t jobs)
{
    ck_assert_int_eq(sql_value("a.db", "SELECT count(*) FROM jobq_job"), jobs);
    ck_assert_int_eq(sql_value("a.db", "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
}

/* Two that write in turn find each other's frames where they left off. */
START_TEST(two_in_turn)
{
    struct jobq_store *s = store_open("a.db", NULL, NULL), *other = store_open("a.db", NULL, NULL);
    for (uint32_t i = 0; i < 400; i++)
        ck_assert_int_eq(put_job(i % 3 ? s : other, i, "q", i % 7 ? 10 : 9000), JOBQ_OK);
    is_sound(400);
    store_close(other);
    is_sound(400);
    store_close(s);
}
END_TEST

#define LARGE                                                                                                \
    "WITH RECURSIVE r(i) AS (SELECT 4000 UNION ALL SELECT i + 1 FROM r LIMIT 60)"                            \
    " INSERT INTO jobq_bulk SELECT i, zeroblob(3000) FROM r"

/* A transaction that is larger than what SQLite keeps of it in memory writes frames before it ends. */
static void write_much(struct jobq_store *s)
{
    ck_assert_int_eq(sq_exec(s, "PRAGMA cache_size = 20"), 0);
    ck_assert_int_eq(sq_tx_begin_write(s), 0);
    ck_assert_int_eq(sq_exec(s, LARGE), 0);
}

/* Where they stood another's stand then. */
START_TEST(what_was_rolled_back_is_not_written_later)
{
    struct jobq_store *s = store_open("a.db", NULL, NULL), *other = store_open("a.db", NULL, NULL);
    for (uint32_t i = 0; i < 20; i++) {
        ck_assert_int_eq(put_job(s, 2 * i, "q", 10), JOBQ_OK);
        if (i % 2)
            sql("a.db", "PRAGMA wal_checkpoint(TRUNCATE)");
        write_much(s);
        sq_tx_rollback(s);
        ck_assert_int_eq(put_job(other, 2 * i + 1, "q", 300000), JOBQ_OK);
        ck_assert_uint_eq(rows_in(s, "q", JOBQ_READY), 2 * i + 2);
    }
    is_sound(40);
    store_close(s);
    is_sound(40);
    store_close(other);
}
END_TEST

/* As a process finds the file after all others were killed. A child copies it: to close it here would drop
 * locks. */
static void copy_as_killed(void)
{
    char command[2000];
    snprintf(command, sizeof command, "cp %s %s && cp %s %s", in_folder("a.db"), in_folder("b.db"),
             in_folder("a.db-wal"), in_folder("b.db-wal"));
    ck_assert_int_eq(system(command), 0);
}

/* Pages that are written twice within a transaction: the headers behind them are mended after its end. */
START_TEST(headers_that_are_mended)
{
    bool unknown;
    struct jobq_store *s = store_open("a.db", "synchronous=normal", NULL);
    ck_assert_int_eq(put_job(s, 1, "q", 10), JOBQ_OK);
    write_much(s);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(sq_exec(s, "UPDATE jobq_bulk SET bytes = zeroblob(3000 + slot % 2)"), 0);
    ck_assert_int_eq(sq_tx_commit(s, &unknown), 0);
    copy_as_killed();
    ck_assert_int_eq(sql_value("b.db", "SELECT count(*) FROM jobq_bulk"), 60);
    is_sound(1);
    ck_assert_int_eq(sql_value("a.db", "SELECT count(*) FROM jobq_bulk"), 60);
    ck_assert_int_eq(put_job(s, 2, "q", 10), JOBQ_OK);
    is_sound(2);
    store_close(s);
    is_sound(2);
}
END_TEST

KIT_MAIN("log", a_put_is_written_at_once, two_in_turn, what_was_rolled_back_is_not_written_later,
         headers_that_are_mended)
