/* SPDX-License-Identifier: MIT */
/* Inside the program's own transaction (rule 12, and contract "SQLite attach"): what is rolled back never
 * was, and an outcome that does not count takes everything beside it along. */
#include "kit.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define HOUR_MS 3600000

/* A program: its connection with tables of its own, the handle on it, and one of the ordinary kind. */
struct program {
    sqlite3 *db;
    struct jobq *mine, *q;
};

static int run_sql(struct program *p, const char *text)
{
    return sqlite3_exec(p->db, text, NULL, NULL, NULL);
}

static void must(struct program *p, const char *text)
{
    int code = run_sql(p, text);
    ck_assert_msg(code == SQLITE_OK, "%s: %s", text, sqlite3_errmsg(p->db));
}

static void program_begin(struct program *p)
{
    ck_assert_int_eq(sqlite3_open(in_folder("a.db"), &p->db), SQLITE_OK);
    sqlite3_busy_timeout(p->db, 10000);
    must(p, "CREATE TABLE money (amount INTEGER); INSERT INTO money VALUES (100)");
    ck_assert_msg(jobq_sqlite_attach(&p->mine, p->db, NULL, NULL) == JOBQ_OK, "%s", jobq_last_error()->text);
    ck_assert_int_eq(jobq_open(&p->q, jobq_sqlite(), uri_of("a.db", NULL), NULL), JOBQ_OK);
}

static void program_end(struct program *p)
{
    jobq_close(p->mine);
    jobq_close(p->q);
    ck_assert_int_eq(sqlite3_close(p->db), SQLITE_OK);
}

static int64_t money(void)
{
    return sql_value("a.db", "SELECT amount FROM money");
}

static struct jobq_spec job_for(const char *queue)
{
    return (struct jobq_spec){.size = sizeof(struct jobq_spec), .queue = queue, .payload = {"x", 1}};
}

static int enqueue(struct jobq *q, const char *queue, struct jobq_id *id)
{
    const struct jobq_spec spec = job_for(queue);
    struct jobq_enqueued out = {.size = sizeof out};
    int status = jobq_enqueue(q, &spec, &out);
    if (id)
        *id = out.id;
    return status;
}

static uint64_t jobs_in(struct jobq *q, const char *queue, int state)
{
    struct jobq_stats *stats;
    ck_assert_int_eq(jobq_stats(q, queue, &stats), JOBQ_OK);
    uint64_t count = stats->queue_count ? stats->queues[0].present[state] : 0;
    jobq_stats_free(stats);
    return count;
}

static size_t claim_one(struct jobq *q, const char *queue, struct jobq_job *out)
{
    const struct jobq_claim_options o = {.size = sizeof o, .queues = &queue, .queue_count = 1, .limit = 1};
    struct jobq_jobs *jobs;
    ck_assert_int_eq(jobq_claim(q, &o, &jobs), JOBQ_OK);
    size_t count = jobs->count;
    if (count)
        *out = jobs->jobs[0];
    jobq_jobs_free(jobs);
    return count;
}

/* A job whose lease somebody else took over: an ack under the token is stale. */
static void claim_and_lose(struct program *p, struct jobq_job *lost)
{
    struct jobq_job other;
    ck_assert_int_eq(enqueue(p->q, "q", NULL), JOBQ_OK);
    ck_assert_uint_eq(claim_one(p->q, "q", lost), 1);
    ck_assert_int_eq(jobq_clock_advance(p->q, HOUR_MS), JOBQ_OK);
    ck_assert_int_eq(jobq_sweep(p->q, 10, NULL), JOBQ_OK);
    ck_assert_uint_eq(claim_one(p->q, "q", &other), 1);
    ck_assert_mem_eq(&other.id, &lost->id, sizeof other.id);
}

static int ack(struct program *p, const struct jobq_job *job)
{
    return jobq_ack(p->mine, &job->id, &job->token, "done", 4);
}

/* ---- together or not at all ---------------------------------------------------------------------------- */

START_TEST(a_roll_back_takes_the_job)
{
    struct program p;
    struct jobq_id id;
    program_begin(&p);
    must(&p, "BEGIN IMMEDIATE; UPDATE money SET amount = 1");
    ck_assert_int_eq(enqueue(p.mine, "new queue", &id), JOBQ_OK);
    must(&p, "ROLLBACK");
    ck_assert_uint_eq(jobs_in(p.q, "new queue", JOBQ_READY), 0);
    ck_assert_int_eq(money(), 100);
    /* What the handle learned of names and counts in there is forgotten with it. */
    must(&p, "BEGIN IMMEDIATE; UPDATE money SET amount = 2");
    ck_assert_int_eq(enqueue(p.mine, "another", NULL), JOBQ_OK);
    ck_assert_int_eq(enqueue(p.mine, "new queue", NULL), JOBQ_OK);
    must(&p, "COMMIT");
    ck_assert_uint_eq(jobs_in(p.q, "new queue", JOBQ_READY), 1);
    ck_assert_uint_eq(jobs_in(p.q, "another", JOBQ_READY), 1);
    ck_assert_int_eq(money(), 2);
    program_end(&p);
}
END_TEST

START_TEST(an_ack_counts_with_the_commit)
{
    struct program p;
    struct jobq_job job;
    program_begin(&p);
    ck_assert_int_eq(enqueue(p.q, "q", NULL), JOBQ_OK);
    ck_assert_uint_eq(claim_one(p.q, "q", &job), 1);
    must(&p, "BEGIN IMMEDIATE");
    ck_assert_int_eq(ack(&p, &job), JOBQ_OK);
    must(&p, "ROLLBACK");
    ck_assert_uint_eq(jobs_in(p.q, "q", JOBQ_RUNNING), 1);
    must(&p, "BEGIN IMMEDIATE; UPDATE money SET amount = 7");
    ck_assert_int_eq(ack(&p, &job), JOBQ_OK);
    must(&p, "COMMIT");
    ck_assert_uint_eq(jobs_in(p.q, "q", JOBQ_COMPLETED), 1);
    ck_assert_int_eq(money(), 7);
    /* The same outcome once more is no harm (S3). */
    must(&p, "BEGIN IMMEDIATE");
    ck_assert_int_eq(ack(&p, &job), JOBQ_ALREADY);
    must(&p, "COMMIT");
    program_end(&p);
}
END_TEST

START_TEST(fail_then_and_many)
{
    struct program p;
    struct jobq_job job;
    struct jobq_spec specs[3] = {job_for("next"), job_for("next"), job_for("next")};
    program_begin(&p);
    ck_assert_int_eq(enqueue(p.q, "q", NULL), JOBQ_OK);
    ck_assert_int_eq(enqueue(p.q, "q", NULL), JOBQ_OK);
    ck_assert_uint_eq(claim_one(p.q, "q", &job), 1);
    must(&p, "BEGIN IMMEDIATE");
    ck_assert_int_eq(jobq_fail(p.mine, &job.id, &job.token, NULL), JOBQ_OK);
    must(&p, "COMMIT");
    ck_assert_uint_eq(jobs_in(p.q, "q", JOBQ_SCHEDULED), 1);
    ck_assert_uint_eq(claim_one(p.q, "q", &job), 1);
    must(&p, "BEGIN");
    ck_assert_int_eq(jobq_ack_then(p.mine, &job.id, &job.token, NULL, 0, specs, 2, NULL), JOBQ_OK);
    ck_assert_int_eq(jobq_enqueue_many(p.mine, specs, 3, NULL), JOBQ_OK);
    must(&p, "COMMIT");
    ck_assert_uint_eq(jobs_in(p.q, "q", JOBQ_COMPLETED), 1);
    ck_assert_uint_eq(jobs_in(p.q, "next", JOBQ_READY), 5);
    program_end(&p);
}
END_TEST

START_TEST(a_savepoint_of_the_program)
{
    struct program p;
    program_begin(&p);
    must(&p, "BEGIN IMMEDIATE");
    ck_assert_int_eq(enqueue(p.mine, "q", NULL), JOBQ_OK);
    must(&p, "SAVEPOINT here");
    ck_assert_int_eq(enqueue(p.mine, "q", NULL), JOBQ_OK);
    must(&p, "ROLLBACK TO here; RELEASE here");
    ck_assert_int_eq(enqueue(p.mine, "q", NULL), JOBQ_OK);
    must(&p, "COMMIT");
    ck_assert_uint_eq(jobs_in(p.q, "q", JOBQ_READY), 2);
    program_end(&p);
}
END_TEST

START_TEST(what_is_not_committed_is_seen_inside_only)
{
    struct program p;
    struct jobq_id id;
    struct jobq_jobs *jobs;
    program_begin(&p);
    must(&p, "BEGIN IMMEDIATE");
    ck_assert_int_eq(enqueue(p.mine, "q", &id), JOBQ_OK);
    ck_assert_int_eq(jobq_get(p.mine, &id, &jobs), JOBQ_OK);
    ck_assert_uint_eq(jobs->count, 1);
    jobq_jobs_free(jobs);
    ck_assert_int_eq(jobq_get(p.q, &id, &jobs), JOBQ_NOT_FOUND);
    must(&p, "ROLLBACK; BEGIN");
    ck_assert_int_eq(jobq_get(p.mine, &id, &jobs), JOBQ_NOT_FOUND);
    must(&p, "COMMIT");
    program_end(&p);
}
END_TEST

/* Where there is no room SQLite rolls back the whole transaction: then nothing of it has happened. */
START_TEST(a_full_file)
{
    static char large[200000];
    struct program p;
    struct jobq_spec specs[2] = {job_for("q"), job_for("q")};
    char limit[64];
    program_begin(&p);
    specs[1].payload = (struct jobq_bytes){large, sizeof large};
    snprintf(limit, sizeof limit, "PRAGMA max_page_count = %lld",
             (long long)sql_value("a.db", "SELECT page_count + 5 FROM pragma_page_count"));
    must(&p, limit);
    must(&p, "BEGIN IMMEDIATE; UPDATE money SET amount = 9");
    ck_assert_int_eq(jobq_enqueue_many(p.mine, specs, 2, NULL), JOBQ_FAILED);
    ck_assert_int_ne(run_sql(&p, "COMMIT"), SQLITE_OK);
    must(&p, "PRAGMA max_page_count = 100000");
    ck_assert_int_eq(money(), 100);
    ck_assert_uint_eq(jobs_in(p.q, "q", JOBQ_READY), 0);
    must(&p, "BEGIN IMMEDIATE");
    ck_assert_int_eq(jobq_enqueue_many(p.mine, specs, 2, NULL), JOBQ_OK);
    must(&p, "COMMIT");
    ck_assert_uint_eq(jobs_in(p.q, "q", JOBQ_READY), 2);
    program_end(&p);
}
END_TEST

/* ---- the bar ------------------------------------------------------------------------------------------- */

START_TEST(a_stale_ack_bars_the_commit)
{
    struct program p;
    struct jobq_job lost;
    program_begin(&p);
    claim_and_lose(&p, &lost);
    must(&p, "BEGIN IMMEDIATE; UPDATE money SET amount = 1");
    ck_assert_int_eq(ack(&p, &lost), JOBQ_STALE);
    ck_assert_int_ne(run_sql(&p, "COMMIT"), SQLITE_OK);
    ck_assert_int_eq(enqueue(p.mine, "q2", NULL), JOBQ_FAILED); /* nothing more goes into it */
    ck_assert_ptr_nonnull(strstr(jobq_last_error()->text, "roll"));
    ck_assert_int_ne(run_sql(&p, "COMMIT"), SQLITE_OK);
    must(&p, "ROLLBACK");
    ck_assert_int_eq(money(), 100);
    must(&p, "BEGIN IMMEDIATE; UPDATE money SET amount = 3");
    ck_assert_int_eq(enqueue(p.mine, "q2", NULL), JOBQ_OK);
    must(&p, "COMMIT");
    ck_assert_int_eq(money(), 3);
    ck_assert_uint_eq(jobs_in(p.q, "q2", JOBQ_READY), 1);
    program_end(&p);
}
END_TEST

START_TEST(a_wake_after_the_roll_back_lifts_it)
{
    struct program p;
    struct jobq_job lost;
    program_begin(&p);
    claim_and_lose(&p, &lost);
    must(&p, "BEGIN IMMEDIATE");
    ck_assert_int_eq(ack(&p, &lost), JOBQ_STALE);
    jobq_wake(p.mine); /* too early: it stands */
    ck_assert_int_ne(run_sql(&p, "COMMIT"), SQLITE_OK);
    must(&p, "ROLLBACK");
    jobq_wake(p.mine);
    must(&p, "BEGIN; UPDATE money SET amount = 4; COMMIT");
    ck_assert_int_eq(money(), 4);
    program_end(&p);
}
END_TEST

START_TEST(a_stale_fail_and_a_stale_ack_then)
{
    struct program p;
    struct jobq_job lost;
    struct jobq_spec spec = job_for("next");
    program_begin(&p);
    claim_and_lose(&p, &lost);
    must(&p, "BEGIN IMMEDIATE");
    ck_assert_int_eq(jobq_fail(p.mine, &lost.id, &lost.token, NULL), JOBQ_STALE);
    ck_assert_int_ne(run_sql(&p, "COMMIT"), SQLITE_OK);
    must(&p, "ROLLBACK; BEGIN IMMEDIATE");
    ck_assert_int_eq(jobq_ack_then(p.mine, &lost.id, &lost.token, NULL, 0, &spec, 1, NULL), JOBQ_STALE);
    ck_assert_int_ne(run_sql(&p, "COMMIT"), SQLITE_OK);
    must(&p, "ROLLBACK");
    ck_assert_uint_eq(jobs_in(p.q, "next", JOBQ_READY), 0);
    program_end(&p);
}
END_TEST

START_TEST(an_ack_that_failed_bars_it_too)
{
    struct program p;
    struct jobq_job job;
    program_begin(&p);
    ck_assert_int_eq(enqueue(p.q, "q", NULL), JOBQ_OK);
    ck_assert_uint_eq(claim_one(p.q, "q", &job), 1);
    /* The transaction has read before somebody else wrote: it cannot write any more. */
    must(&p, "BEGIN; SELECT * FROM money");
    ck_assert_int_eq(enqueue(p.q, "q", NULL), JOBQ_OK);
    ck_assert_int_eq(ack(&p, &job), JOBQ_FAILED);
    ck_assert_int_ne(run_sql(&p, "COMMIT"), SQLITE_OK);
    run_sql(&p, "ROLLBACK");
    must(&p, "BEGIN IMMEDIATE");
    ck_assert_int_eq(ack(&p, &job), JOBQ_OK);
    must(&p, "COMMIT");
    ck_assert_uint_eq(jobs_in(p.q, "q", JOBQ_COMPLETED), 1);
    program_end(&p);
}
END_TEST

START_TEST(a_handle_closed_under_the_bar_rolls_back)
{
    struct program p;
    struct jobq_job lost;
    program_begin(&p);
    claim_and_lose(&p, &lost);
    must(&p, "BEGIN IMMEDIATE; UPDATE money SET amount = 1");
    ck_assert_int_eq(ack(&p, &lost), JOBQ_STALE);
    jobq_close(p.mine);
    p.mine = NULL;
    ck_assert_int_ne(run_sql(&p, "COMMIT"), SQLITE_OK);
    ck_assert_int_eq(money(), 100);
    program_end(&p);
}
END_TEST

/* An operator's stale change is no outcome: it bars nothing. */
START_TEST(a_cancel_that_came_too_late_bars_nothing)
{
    struct program p;
    struct jobq_job job;
    program_begin(&p);
    ck_assert_int_eq(enqueue(p.q, "q", NULL), JOBQ_OK);
    ck_assert_uint_eq(claim_one(p.q, "q", &job), 1);
    ck_assert_int_eq(jobq_ack(p.q, &job.id, &job.token, NULL, 0), JOBQ_OK);
    must(&p, "BEGIN IMMEDIATE; UPDATE money SET amount = 8");
    ck_assert_int_lt(jobq_cancel(p.mine, &job.id, 0), JOBQ_OK);
    must(&p, "COMMIT");
    ck_assert_int_eq(money(), 8);
    program_end(&p);
}
END_TEST

/* ---- what does not work -------------------------------------------------------------------------------- */

START_TEST(without_a_transaction_nothing_happens)
{
    struct program p;
    struct jobq_job job;
    program_begin(&p);
    ck_assert_int_eq(enqueue(p.mine, "q", NULL), JOBQ_FAILED);
    ck_assert_ptr_nonnull(strstr(jobq_last_error()->text, "no transaction is open"));
    ck_assert_uint_eq(jobs_in(p.q, "q", JOBQ_READY), 0);
    ck_assert_int_eq(enqueue(p.q, "q", NULL), JOBQ_OK);
    ck_assert_uint_eq(claim_one(p.q, "q", &job), 1);
    ck_assert_int_eq(ack(&p, &job), JOBQ_FAILED);
    must(&p, "BEGIN IMMEDIATE");
    ck_assert_int_eq(ack(&p, &job), JOBQ_OK);
    must(&p, "COMMIT");
    program_end(&p);
}
END_TEST

START_TEST(what_needs_a_handle_of_its_own)
{
    struct program p;
    const char *queue = "q";
    const struct jobq_claim_options claim = {
        .size = sizeof claim, .queues = &queue, .queue_count = 1, .limit = 1};
    const struct jobq_worker_options work = {.size = sizeof work, .queues = &queue, .queue_count = 1};
    const struct jobq_id id = {{0}};
    struct jobq_worker *w;
    struct jobq_jobs *jobs;
    struct jobq_stats *stats;
    program_begin(&p);
    must(&p, "BEGIN IMMEDIATE");
    ck_assert_int_eq(jobq_claim(p.mine, &claim, &jobs), JOBQ_UNSUPPORTED);
    ck_assert_int_eq(jobq_sweep(p.mine, 1, NULL), JOBQ_UNSUPPORTED);
    ck_assert_int_eq(jobq_worker_create(&w, p.mine, &work), JOBQ_UNSUPPORTED);
    ck_assert_int_eq(jobq_pause(p.mine, queue), JOBQ_UNSUPPORTED);
    ck_assert_int_eq(jobq_clock_advance(p.mine, 1), JOBQ_UNSUPPORTED);
    ck_assert_int_eq(jobq_stats(p.mine, NULL, &stats), JOBQ_UNSUPPORTED);
    struct jobq_events *events;
    ck_assert_int_eq(jobq_events(p.mine, 0, 1, &events), JOBQ_UNSUPPORTED);
    ck_assert_int_eq(jobq_events_keep(p.mine, 1), JOBQ_UNSUPPORTED);
    ck_assert_int_eq(jobq_wait(p.mine, &id, 1, &jobs), JOBQ_UNSUPPORTED);
    must(&p, "COMMIT");
    program_end(&p);
}
END_TEST

static int attach_to(sqlite3 *db, const char *name_space, const struct jobq_options *options)
{
    struct jobq *q = NULL;
    int status = jobq_sqlite_attach(&q, db, name_space, options);
    ck_assert_ptr_null(q);
    return status;
}

START_TEST(where_one_cannot_attach)
{
    struct program p;
    sqlite3 *memory;
    const struct jobq_options flags = {.size = sizeof flags, .flags = JOBQ_OPEN_NO_CREATE};
    program_begin(&p);
    ck_assert_int_eq(attach_to(NULL, NULL, NULL), JOBQ_INVALID);
    ck_assert_str_eq(jobq_last_error()->field, "db");
    ck_assert_int_eq(attach_to(p.db, "two words", NULL), JOBQ_INVALID);
    ck_assert_int_eq(attach_to(p.db, "a&b=c", NULL), JOBQ_INVALID);
    ck_assert_int_eq(attach_to(p.db, NULL, &flags), JOBQ_INVALID);
    must(&p, "BEGIN");
    ck_assert_int_eq(attach_to(p.db, NULL, NULL), JOBQ_STATE);
    must(&p, "COMMIT");
    must(&p, "CREATE TABLE theirs_meta (x)");
    ck_assert_int_eq(attach_to(p.db, "theirs", NULL), JOBQ_FOREIGN);
    ck_assert_int_eq(sqlite3_open(":memory:", &memory), SQLITE_OK);
    ck_assert_int_eq(attach_to(memory, NULL, NULL), JOBQ_UNSUPPORTED);
    ck_assert_int_eq(sqlite3_close(memory), SQLITE_OK);
    program_end(&p);
}
END_TEST

/* ---- after the commit ---------------------------------------------------------------------------------- */

START_TEST(a_wake_reaches_others)
{
    struct program p;
    struct jobq_store *other = store_open("a.db", NULL, NULL);
    program_begin(&p);
    struct pollfd fd = {.fd = jobq_sqlite()->wake_fd(other), .events = POLLIN};
    jobq_sqlite()->wake_drain(other);
    must(&p, "BEGIN IMMEDIATE");
    ck_assert_int_eq(enqueue(p.mine, "q", NULL), JOBQ_OK);
    ck_assert_int_eq(poll(&fd, 1, 0), 0); /* not before it is there */
    must(&p, "COMMIT");
    jobq_wake(p.mine);
    ck_assert_int_eq(poll(&fd, 1, 0), 1);
    ck_assert_int_eq(jobq_sqlite()->wake_drain(other), 1);
    store_close(other);
    program_end(&p);
}
END_TEST

static int64_t size_of(const char *name)
{
    struct stat about;
    return stat(in_folder(name), &about) == 0 ? (int64_t)about.st_size : -1;
}

/* Automatic checkpoints are switched off where they are dangerous; then the log is copied by jobq_wake. */
START_TEST(the_checkpoint_switch)
{
    struct program p;
    sqlite3_stmt *row;
    program_begin(&p);
    ck_assert_int_eq(sqlite3_prepare_v2(p.db, "PRAGMA wal_autocheckpoint", -1, &row, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(row), SQLITE_ROW);
    bool off = sqlite3_column_int(row, 0) == 0;
    sqlite3_finalize(row);
    ck_assert_int_eq(off, sqlite3_libversion_number() < 3051003);
    must(&p, "CREATE TABLE large (b BLOB); BEGIN IMMEDIATE; INSERT INTO large VALUES (zeroblob(6000000))");
    ck_assert_int_eq(enqueue(p.mine, "q", NULL), JOBQ_OK);
    must(&p, "COMMIT");
    ck_assert_int_eq(size_of("a.db") < 6000000, off);
    jobq_wake(p.mine);
    ck_assert_int_ge(size_of("a.db"), 6000000);
    ck_assert_uint_eq(jobs_in(p.q, "q", JOBQ_READY), 1);
    program_end(&p);
}
END_TEST

/* The program's connection is as it was: no statement of ours is left, nothing of it was closed. */
START_TEST(nothing_stays_behind)
{
    struct program p;
    program_begin(&p);
    must(&p, "BEGIN IMMEDIATE");
    ck_assert_int_eq(enqueue(p.mine, "q", NULL), JOBQ_OK);
    must(&p, "COMMIT");
    jobq_close(p.mine);
    p.mine = NULL;
    ck_assert_ptr_null(sqlite3_next_stmt(p.db, NULL));
    must(&p, "UPDATE money SET amount = 5");
    ck_assert_int_eq(money(), 5);
    program_end(&p);
}
END_TEST

KIT_MAIN("attach", a_roll_back_takes_the_job, an_ack_counts_with_the_commit, fail_then_and_many,
         a_savepoint_of_the_program, what_is_not_committed_is_seen_inside_only, a_full_file,
         a_stale_ack_bars_the_commit, a_wake_after_the_roll_back_lifts_it, a_stale_fail_and_a_stale_ack_then,
         an_ack_that_failed_bars_it_too, a_handle_closed_under_the_bar_rolls_back,
         a_cancel_that_came_too_late_bars_nothing, without_a_transaction_nothing_happens,
         what_needs_a_handle_of_its_own, where_one_cannot_attach, a_wake_reaches_others,
         the_checkpoint_switch, nothing_stays_behind)
