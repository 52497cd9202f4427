/* SPDX-License-Identifier: MIT */
/* Inside the program's own transaction (rule 12): what is rolled back never was, and an outcome that does not count takes
 * everything beside it along. */
#include "kit.h"

#include <libpq-fe.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A program: its connection with a table of its own, the handle on it, and one of the ordinary kind. */
struct program {
    PGconn *conn;
    struct jobq *mine, *q;
};

static bool did(struct program *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool did(struct program *p, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    PGresult *result = PQexec(p->conn, text);
    bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;
    /* COMMIT of a transaction that has failed is answered ROLLBACK. */
    ok = ok && (strcmp(text, "COMMIT") != 0 || strcmp(PQcmdStatus(result), "COMMIT") == 0);
    PQclear(result);
    return ok;
}

static void program_begin(struct program *p)
{
    p->conn = PQconnectdb(server_address());
    ck_assert_int_eq(PQstatus(p->conn), CONNECTION_OK);
    ck_assert(did(p, "SET client_min_messages = error"));
    ck_assert_msg(jobq_postgres_attach(&p->mine, p->conn, name_space(), NULL) == JOBQ_OK, "%s", jobq_last_error()->text);
    ck_assert_msg(jobq_open(&p->q, jobq_postgres(), uri_with(""), NULL) == JOBQ_OK, "%s", jobq_last_error()->text);
    sql("CREATE TABLE IF NOT EXISTS @.money (amount bigint)");
}

static void program_end(struct program *p)
{
    jobq_close(p->mine);
    jobq_close(p->q);
    ck_assert_int_eq(PQstatus(p->conn), CONNECTION_OK);
    ck_assert(did(p, "ROLLBACK")); /* it is the program's, and works */
    PQfinish(p->conn);
}

static int enqueue(struct jobq *q)
{
    const struct jobq_spec spec = { .size = sizeof spec, .queue = "q", .payload = { "x", 1 } };
    return jobq_enqueue(q, &spec, NULL);
}

/* One job of "q"; count 0: there is none. */
static struct jobq_jobs *claim(struct jobq *q)
{
    const char *const queues[] = { "q" };
    const struct jobq_claim_options options = { .size = sizeof options, .queues = queues, .queue_count = 1,
                                                .lease_ms = 30000 };
    struct jobq_jobs *jobs = NULL;
    ck_assert_msg(jobq_claim(q, &options, &jobs) == JOBQ_OK, "%s", jobq_last_error()->text);
    return jobs;
}

/* How many there are after this cursor; they come one after another. */
static size_t events_after(struct jobq *q, int64_t after)
{
    struct jobq_events *events = NULL;
    ck_assert_msg(jobq_events(q, after, 1000, &events) == JOBQ_OK, "%s", jobq_last_error()->text);
    for (size_t i = 0; i < events->count; i++)
        ck_assert_int_eq(events->events[i].cursor, after + 1 + (int64_t)i);
    size_t count = events->count;
    ck_assert_uint_eq(events->lost, 0);
    jobq_events_free(events);
    return count;
}

START_TEST(a_job_goes_with_the_transaction)
{
    struct program p;
    program_begin(&p);
    ck_assert(did(&p, "BEGIN") && did(&p, "INSERT INTO %s.money VALUES (1)", name_space()));
    ck_assert_int_eq(enqueue(p.mine), JOBQ_OK);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), 0);
    ck_assert(did(&p, "ROLLBACK"));
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), 0);
    ck_assert(did(&p, "BEGIN") && did(&p, "INSERT INTO %s.money VALUES (2)", name_space()));
    ck_assert_int_eq(enqueue(p.mine), JOBQ_OK);
    ck_assert_int_eq(enqueue(p.mine), JOBQ_OK);
    ck_assert(did(&p, "COMMIT"));
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), 2);
    ck_assert_int_eq(sql_value("SELECT sum(amount) FROM @.money"), 2);
    program_end(&p);
}
END_TEST

START_TEST(an_ack_goes_with_the_transaction)
{
    struct program p;
    program_begin(&p);
    ck_assert_int_eq(enqueue(p.q), JOBQ_OK);
    struct jobq_jobs *jobs = claim(p.q);
    ck_assert_uint_eq(jobs->count, 1);
    ck_assert(did(&p, "BEGIN"));
    ck_assert_int_eq(jobq_ack(p.mine, &jobs->jobs[0].id, &jobs->jobs[0].token, "r", 1), JOBQ_OK);
    ck_assert(did(&p, "ROLLBACK"));
    ck_assert_int_eq(sql_value("SELECT state FROM @.job"), JOBQ_ROW_RUNNING);
    ck_assert(did(&p, "BEGIN"));
    ck_assert_int_eq(jobq_ack(p.mine, &jobs->jobs[0].id, &jobs->jobs[0].token, "r", 1), JOBQ_OK);
    ck_assert_int_eq(jobq_ack(p.mine, &jobs->jobs[0].id, &jobs->jobs[0].token, "r", 1), JOBQ_ALREADY);
    ck_assert(did(&p, "COMMIT"));
    ck_assert_int_eq(sql_value("SELECT state FROM @.job"), JOBQ_ROW_COMPLETED);
    jobq_jobs_free(jobs);
    program_end(&p);
}
END_TEST

static int enqueue_successor(struct jobq *q, const char *payload)
{
    const struct jobq_spec spec = { .size = sizeof spec, .queue = "q", .payload = { payload, 1 }, .key = { "k", 1 },
                                    .key_conflict = JOBQ_CONFLICT_SUCCESSOR };
    return jobq_enqueue(q, &spec, NULL);
}

/* A successor is kept, and put, with the transaction. */
START_TEST(a_successor_goes_with_the_transaction)
{
    struct program p;
    program_begin(&p);
    ck_assert_int_eq(enqueue_successor(p.q, "a"), JOBQ_OK);
    ck_assert(did(&p, "BEGIN"));
    ck_assert_int_eq(enqueue_successor(p.mine, "b"), JOBQ_SUCCESSOR);
    ck_assert(did(&p, "ROLLBACK"));
    struct jobq_jobs *jobs = claim(p.q);
    ck_assert_uint_eq(jobs->count, 1);
    ck_assert(did(&p, "BEGIN"));
    ck_assert_int_eq(enqueue_successor(p.mine, "c"), JOBQ_SUCCESSOR);
    ck_assert(did(&p, "COMMIT") && did(&p, "BEGIN"));
    ck_assert_int_eq(jobq_ack(p.mine, &jobs->jobs[0].id, &jobs->jobs[0].token, "r", 1), JOBQ_OK);
    ck_assert(did(&p, "ROLLBACK"));
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), 1);
    ck_assert(did(&p, "BEGIN"));
    ck_assert_int_eq(jobq_ack(p.mine, &jobs->jobs[0].id, &jobs->jobs[0].token, "r", 1), JOBQ_OK);
    ck_assert(did(&p, "COMMIT"));
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job WHERE state = 2 AND payload = 'c'"), 1);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.heir"), 0);
    jobq_jobs_free(jobs);
    program_end(&p);
}
END_TEST

/* An ack from a snapshot that knows of no successor must not let the key go from under one. */
START_TEST(a_successor_kept_meanwhile)
{
    struct program p;
    program_begin(&p);
    ck_assert_int_eq(enqueue_successor(p.q, "a"), JOBQ_OK);
    struct jobq_jobs *jobs = claim(p.q);
    ck_assert_uint_eq(jobs->count, 1);
    for (int round = 0; round < 2; round++) { /* the second: kept before, and another one since */
        ck_assert(did(&p, "BEGIN ISOLATION LEVEL REPEATABLE READ") && did(&p, "INSERT INTO %s.money VALUES (1)", name_space()));
        ck_assert_int_eq(enqueue_successor(p.q, round ? "c" : "b"), JOBQ_SUCCESSOR);
        ck_assert_int_eq(jobq_ack(p.mine, &jobs->jobs[0].id, &jobs->jobs[0].token, "r", 1), JOBQ_FAILED);
        ck_assert(!did(&p, "COMMIT"));
        ck_assert(did(&p, "ROLLBACK"));
    }
    ck_assert_int_eq(jobq_ack(p.q, &jobs->jobs[0].id, &jobs->jobs[0].token, "r", 1), JOBQ_OK);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job WHERE state = 2 AND payload = 'c'"), 1);
    jobq_jobs_free(jobs);
    program_end(&p);
}
END_TEST

START_TEST(a_stale_ack_bars_the_commit)
{
    struct program p;
    program_begin(&p);
    ck_assert_int_eq(enqueue(p.q), JOBQ_OK);
    struct jobq_jobs *jobs = claim(p.q);
    ck_assert_int_ge(jobq_cancel(p.q, &jobs->jobs[0].id, JOBQ_CANCEL_HARD), JOBQ_OK);
    ck_assert(did(&p, "BEGIN") && did(&p, "INSERT INTO %s.money VALUES (1)", name_space()));
    ck_assert_int_eq(jobq_ack(p.mine, &jobs->jobs[0].id, &jobs->jobs[0].token, "r", 1), JOBQ_STALE);
    ck_assert(!did(&p, "INSERT INTO %s.money VALUES (1)", name_space()));
    ck_assert_int_eq(enqueue(p.mine), JOBQ_FAILED);
    ck_assert(!did(&p, "COMMIT"));
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.money"), 0);
    ck_assert(did(&p, "BEGIN"));
    ck_assert_int_eq(enqueue(p.mine), JOBQ_OK);
    ck_assert(did(&p, "COMMIT"));
    jobq_jobs_free(jobs);
    program_end(&p);
}
END_TEST

/* A call that fails takes back its own part; an outcome that fails bars the commit. */
START_TEST(what_fails)
{
    struct program p;
    program_begin(&p);
    ck_assert_int_eq(enqueue(p.q), JOBQ_OK);
    struct jobq_jobs *jobs = claim(p.q);
    sql("CREATE FUNCTION @.break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken on purpose'; END $$;"
        "CREATE TRIGGER break BEFORE INSERT OR UPDATE ON @.job FOR EACH ROW EXECUTE FUNCTION @.break()");
    ck_assert(did(&p, "BEGIN") && did(&p, "INSERT INTO %s.money VALUES (3)", name_space()));
    ck_assert_int_eq(enqueue(p.mine), JOBQ_FAILED);
    ck_assert(did(&p, "COMMIT"));
    ck_assert_int_eq(sql_value("SELECT sum(amount) FROM @.money"), 3);
    ck_assert(did(&p, "BEGIN") && did(&p, "INSERT INTO %s.money VALUES (4)", name_space()));
    ck_assert_int_eq(jobq_ack(p.mine, &jobs->jobs[0].id, &jobs->jobs[0].token, "r", 1), JOBQ_FAILED);
    ck_assert(!did(&p, "COMMIT"));
    ck_assert_int_eq(sql_value("SELECT sum(amount) FROM @.money"), 3);
    sql("DROP TRIGGER break ON @.job");
    jobq_jobs_free(jobs);
    program_end(&p);
}
END_TEST

START_TEST(what_is_refused)
{
    struct program p;
    struct jobq *q = NULL;
    program_begin(&p);
    ck_assert_int_eq(enqueue(p.mine), JOBQ_FAILED);
    ck_assert_ptr_nonnull(strstr(jobq_last_error()->text, "no transaction is open"));
    ck_assert_int_eq(jobq_postgres_attach(&q, NULL, NULL, NULL), JOBQ_INVALID);
    ck_assert_int_eq(jobq_postgres_attach(&q, p.conn, "a-b", NULL), JOBQ_INVALID);
    ck_assert(did(&p, "BEGIN"));
    ck_assert_int_eq(jobq_postgres_attach(&q, p.conn, name_space(), NULL), JOBQ_STATE);
    ck_assert_ptr_null(q);
    const char *const queues[] = { "q" };
    const struct jobq_claim_options options = { .size = sizeof options, .queues = queues, .queue_count = 1 };
    struct jobq_jobs *jobs = NULL;
    ck_assert_int_eq(jobq_claim(p.mine, &options, &jobs), JOBQ_UNSUPPORTED);
    ck_assert(did(&p, "COMMIT"));
    program_end(&p);
}
END_TEST

/* At any isolation of the program's. */
START_TEST(at_the_programs_isolation)
{
    struct program p;
    program_begin(&p);
    ck_assert(did(&p, "BEGIN ISOLATION LEVEL SERIALIZABLE"));
    ck_assert_int_eq(enqueue(p.mine), JOBQ_OK);
    ck_assert_int_eq(enqueue(p.mine), JOBQ_OK);
    ck_assert(did(&p, "COMMIT"));
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), 2);
    program_end(&p);
}
END_TEST

/* ---- the ledger ----------------------------------------------------------------------------------------------------- */

#define LEDGER_JOBS 60
#define LEDGER_WORKERS 3

/* Move one unit of money for each job and hand it in, in one transaction; now and then end in the middle, or be slow. */
static void work(unsigned seed)
{
    struct program p;
    program_begin(&p);
    srand(seed);
    for (;;) {
        struct jobq_jobs *jobs = claim(p.q);
        if (!jobs->count) {
            bool over = sql_value("SELECT count(*) FROM @.job WHERE state < 4") == 0;
            jobq_jobs_free(jobs);
            if (over)
                break;
            continue;
        }
        int luck = rand() % 10;
        if (luck == 0)
            jobq_clock_advance(p.q, 60000); /* everybody's leases are past */
        did(&p, "BEGIN");
        did(&p, "INSERT INTO %s.money VALUES (1)", name_space());
        if (luck == 1)
            _exit(7);
        int status = jobq_ack(p.mine, &jobs->jobs[0].id, &jobs->jobs[0].token, NULL, 0);
        if (luck == 2)
            _exit(7);
        did(&p, "COMMIT"); /* whatever it was told: a stale one cannot be committed */
        (void)status;
        jobq_jobs_free(jobs);
    }
    program_end(&p);
    _exit(0);
}

START_TEST(the_sum_is_right)
{
    struct program p;
    unsigned seed = 1;
    int running = 0, status;
    program_begin(&p);
    for (int i = 0; i < LEDGER_JOBS; i++) {
        const struct jobq_spec spec = { .size = sizeof spec, .queue = "q", .max_attempts = 1000, .max_crashes = 1000 };
        ck_assert_int_eq(jobq_enqueue(p.q, &spec, NULL), JOBQ_OK);
    }
    for (;;) {
        while (running < LEDGER_WORKERS) {
            pid_t child = fork();
            ck_assert_int_ge(child, 0);
            if (child == 0)
                work(seed);
            seed++;
            running++;
        }
        ck_assert_int_gt(wait(&status), 0);
        running--;
        ck_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 7));
        if (WEXITSTATUS(status) == 0)
            break;
        jobq_clock_advance(p.q, 60000);
    }
    while (running--)
        ck_assert_int_gt(wait(&status), 0);
    ck_assert_int_gt((int)seed, LEDGER_WORKERS + 2); /* some were killed on the way */
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job WHERE state = 4"), LEDGER_JOBS);
    ck_assert_int_eq(sql_value("SELECT sum(amount) FROM @.money"), LEDGER_JOBS);
    program_end(&p);
}
END_TEST

/* What is told of the transaction comes with its commit. Until then it is in nobody's way: neither of those who work nor of
 * those who read, however much it did. */
START_TEST(events_come_with_the_commit)
{
    struct program p;
    program_begin(&p);
    ck_assert_int_eq(jobq_events_keep(p.q, 1000), JOBQ_OK);
    ck_assert_int_eq(enqueue(p.q), JOBQ_OK);
    ck_assert_uint_eq(events_after(p.q, 0), 1);
    ck_assert(did(&p, "BEGIN"));
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(enqueue(p.mine), JOBQ_OK);
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(enqueue(p.q), JOBQ_OK);
    ck_assert_uint_eq(events_after(p.q, 1), 40);
    ck_assert(did(&p, "COMMIT"));
    ck_assert_uint_eq(events_after(p.q, 41), 40);
    ck_assert(did(&p, "BEGIN"));
    ck_assert_int_eq(enqueue(p.mine), JOBQ_OK);
    ck_assert(did(&p, "ROLLBACK"));
    ck_assert_int_eq(enqueue(p.q), JOBQ_OK);
    ck_assert_uint_eq(events_after(p.q, 81), 1);
    program_end(&p);
}
END_TEST

KIT_MAIN("postgres attach", a_job_goes_with_the_transaction, an_ack_goes_with_the_transaction,
         a_successor_goes_with_the_transaction, a_successor_kept_meanwhile, a_stale_ack_bars_the_commit,
         what_fails, what_is_refused, at_the_programs_isolation, the_sum_is_right, events_come_with_the_commit)
