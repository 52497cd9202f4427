/* SPDX-License-Identifier: MIT */
/*
 * Money that moves exactly once. The program's own tables and its queue are in one SQLite file; a handler
 * moves the money and acks its job in one transaction, so that it does not matter when a worker dies, or how
 * often a job is started.
 *
 *   ledger FILE open ACCOUNTS AMOUNT    accounts 1 to ACCOUNTS, each with AMOUNT
 *   ledger FILE order COUNT             COUNT transfers between accounts drawn at random
 *   ledger FILE work                    work them off; several processes may do so at once
 *   ledger FILE check                   the sum, and what was done more than once or not at all
 *
 * Without the queue in the same transaction a handler would have to be idempotent by itself.
 */
#include <jobq/sqlite.h>

#include <inttypes.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE      "transfers"
#define MANY_TIMES 1000 /* a transfer is not given up because its workers are shot */

struct transfer {
    int64_t from, to, amount;
};

struct ledger {
    sqlite3 *db;       /* the program's connection */
    struct jobq *mine; /* the queue inside its transactions */
    struct jobq *q;    /* and by itself: claims, heartbeats */
};

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "ledger: %s: %s\n", what, why);
    return 1;
}

static int complain_queue(const char *what)
{
    return complain(what, jobq_last_error()->text);
}

static int run(struct ledger *l, const char *sql)
{
    return sqlite3_exec(l->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
}

static int run_with(struct ledger *l, const char *sql, int64_t a, int64_t b)
{
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(l->db, sql, -1, &row, NULL);

    if (code == SQLITE_OK) {
        sqlite3_bind_int64(row, 1, a);
        sqlite3_bind_int64(row, 2, b);
        code = sqlite3_step(row);
    }
    sqlite3_finalize(row);
    return code == SQLITE_DONE || code == SQLITE_ROW ? 0 : -1;
}

static int64_t number(struct ledger *l, const char *sql)
{
    sqlite3_stmt *row = NULL;
    int64_t value = -1;

    if (sqlite3_prepare_v2(l->db, sql, -1, &row, NULL) == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW)
        value = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return value;
}

/* ---- a transfer ---------------------------------------------------------------------------------------- */

static int note_movement(struct ledger *l, const struct jobq_id *id, const struct transfer *t)
{
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(l->db, "INSERT INTO movement VALUES (?1, ?2)", -1, &row, NULL);

    if (code == SQLITE_OK) {
        sqlite3_bind_blob(row, 1, id->bytes, sizeof id->bytes, SQLITE_STATIC);
        sqlite3_bind_int64(row, 2, t->amount);
        code = sqlite3_step(row);
    }
    sqlite3_finalize(row);
    return code == SQLITE_DONE ? 0 : -1;
}

static int move_money(struct ledger *l, const struct transfer *t)
{
    if (run_with(l, "UPDATE account SET balance = balance - ?2 WHERE id = ?1", t->from, t->amount) != 0)
        return -1;
    return run_with(l, "UPDATE account SET balance = balance + ?2 WHERE id = ?1", t->to, t->amount);
}

/* The movement table has no key on purpose: were a transfer made twice, it would stand there twice. */
static int transfer_in_transaction(struct ledger *l, const struct jobq_job *job, const struct transfer *t)
{
    if (run(l, "BEGIN IMMEDIATE") != 0)
        return -1;
    if (note_movement(l, &job->id, t) == 0 && move_money(l, t) == 0 &&
        jobq_ack(l->mine, &job->id, &job->token, NULL, 0) == JOBQ_OK && run(l, "COMMIT") == 0)
        return 0;
    run(l, "ROLLBACK"); /* somebody else has the job by now, or the file is busy: nothing has happened */
    jobq_wake(l->mine);
    return -1;
}

static int handle(struct jobq_ctx *ctx, void *user)
{
    const struct jobq_job *job = jobq_ctx_job(ctx);
    struct ledger *l = user;
    struct transfer t;

    if (job->payload.size != sizeof t)
        return JOBQ_GIVE_UP;
    memcpy(&t, job->payload.data, sizeof t);
    if (transfer_in_transaction(l, job, &t) != 0)
        return JOBQ_RETRY;
    jobq_wake(l->mine);
    return JOBQ_DONE; /* it has been acked already; the worker finds that out and is content */
}

/* ---- the commands -------------------------------------------------------------------------------------- */

static int open_accounts(struct ledger *l, long count, long amount)
{
    if (run(l,
            "BEGIN IMMEDIATE; CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL) STRICT;"
            "CREATE TABLE movement (job BLOB NOT NULL, amount INTEGER NOT NULL) STRICT") != 0)
        return complain("open", sqlite3_errmsg(l->db));
    for (long i = 1; i <= count; i++)
        if (run_with(l, "INSERT INTO account VALUES (?1, ?2)", i, amount) != 0)
            return complain("open", sqlite3_errmsg(l->db));
    return run(l, "COMMIT") == 0 ? 0 : complain("open", sqlite3_errmsg(l->db));
}

static int64_t draw(int64_t below)
{
    uint64_t dice;

    sqlite3_randomness(sizeof dice, &dice);
    return (int64_t)(dice % (uint64_t)below);
}

static int order(struct ledger *l, long count)
{
    int64_t accounts = number(l, "SELECT count(*) FROM account");

    if (accounts < 1 || run(l, "BEGIN IMMEDIATE") != 0)
        return complain("order", "no accounts");
    for (long i = 0; i < count; i++) {
        const struct transfer t = {1 + draw(accounts), 1 + draw(accounts), 1 + draw(9)};
        const struct jobq_spec spec = {.size = sizeof spec,
                                       .queue = QUEUE,
                                       .payload = {&t, sizeof t},
                                       .max_attempts = MANY_TIMES,
                                       .max_crashes = MANY_TIMES};
        if (jobq_enqueue(l->mine, &spec, NULL) != JOBQ_OK)
            return complain_queue("order");
    }
    if (run(l, "COMMIT") != 0)
        return complain("order", sqlite3_errmsg(l->db));
    jobq_wake(l->mine);
    return 0;
}

static int work(struct ledger *l)
{
    struct jobq_worker *worker = NULL;
    const char *queue = QUEUE;
    const struct jobq_worker_options options = {
        .size = sizeof options, .queues = &queue, .queue_count = 1, .batch = 4, .flags = JOBQ_WORKER_DRAIN};
    int rc = jobq_worker_create(&worker, l->q, &options);

    if (rc == JOBQ_OK)
        rc = jobq_worker_handle(worker, NULL, handle, l); /* one handler thread: one connection is enough */
    if (rc == JOBQ_OK)
        rc = jobq_worker_run(worker);
    if (rc != JOBQ_OK)
        complain_queue("work");
    jobq_worker_destroy(worker);
    return rc != JOBQ_OK;
}

static int check(struct ledger *l)
{
    struct jobq_stats *stats;

    if (jobq_stats(l->q, QUEUE, &stats) != JOBQ_OK)
        return complain_queue("check");
    uint64_t ordered = stats->queue_count ? stats->queues[0].enqueued_total : 0;
    uint64_t done = stats->queue_count ? stats->queues[0].completed_total : 0;
    jobq_stats_free(stats);
    printf("accounts %" PRId64 " sum %" PRId64 "\n", number(l, "SELECT count(*) FROM account"),
           number(l, "SELECT sum(balance) FROM account"));
    printf("ordered %" PRIu64 " completed %" PRIu64 " moved %" PRId64 " twice %" PRId64 "\n", ordered, done,
           number(l, "SELECT count(*) FROM movement"),
           number(l, "SELECT count(*) - count(DISTINCT job) FROM movement"));
    return 0;
}

static bool read_count(const char *text, long *out)
{
    char *end;

    *out = strtol(text, &end, 10);
    return end != text && *end == '\0' && *out >= 0;
}

static int command(struct ledger *l, int argc, char **argv)
{
    long count, amount;

    if (argc == 5 && strcmp(argv[2], "open") == 0 && read_count(argv[3], &count) &&
        read_count(argv[4], &amount))
        return open_accounts(l, count, amount);
    if (argc == 4 && strcmp(argv[2], "order") == 0 && read_count(argv[3], &count))
        return order(l, count);
    if (argc == 3 && strcmp(argv[2], "work") == 0)
        return work(l);
    if (argc == 3 && strcmp(argv[2], "check") == 0)
        return check(l);
    return complain("usage", "ledger FILE open ACCOUNTS AMOUNT | order COUNT | work | check");
}

int main(int argc, char **argv)
{
    struct ledger l = {.db = NULL};
    char uri[4096];
    int rc = 1;

    if (argc < 3 || snprintf(uri, sizeof uri, "sqlite:%s", argv[1]) >= (int)sizeof uri)
        return complain("usage", "ledger FILE COMMAND");
    if (sqlite3_open(argv[1], &l.db) != SQLITE_OK || sqlite3_busy_timeout(l.db, 30000) != SQLITE_OK)
        complain(argv[1], sqlite3_errmsg(l.db));
    else if (jobq_sqlite_attach(&l.mine, l.db, NULL, NULL) != JOBQ_OK ||
             jobq_open(&l.q, jobq_sqlite(), uri, NULL) != JOBQ_OK)
        complain_queue(argv[1]);
    else
        rc = command(&l, argc, argv);
    jobq_close(l.q);
    jobq_close(l.mine);
    sqlite3_close(l.db);
    return rc;
}
