/* SPDX-License-Identifier: MIT */
/* Does a Postgres store stay as fast as it began? Puts and works off jobs for a while, as fast as both can, with a bounded
 * backlog, and prints how many were done in each fifth of the time, the last over the first, and what the tables and indexes
 * take. With "reader" a transaction beside it keeps its snapshot all the time, so that nothing dead can be removed.
 * usage: churn URI SECONDS [reader] */
#include "bench.h"

#include <jobq/jobq.h>
#include <jobq/postgres.h>

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define FIFTHS 5
#define BATCH 100
#define BACKLOG 3000 /* jobs that may wait */

static const char *uri;
static atomic_long put_count, done_count;
static atomic_bool over;

static void must(int status, const char *what)
{
    if (status >= 0)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, jobq_status_name(status), jobq_last_error()->text);
    exit(1);
}

static struct jobq *open_queue(void)
{
    struct jobq *q = NULL;
    must(jobq_open(&q, jobq_postgres(), uri, NULL), "open");
    return q;
}

static void rest(long ms)
{
    const struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&pause, NULL);
}

/* ---- the load ----------------------------------------------------------------------------------------------- */

static void *produce(void *nothing)
{
    struct jobq *q = open_queue();
    struct jobq_spec specs[BATCH];
    char payloads[BATCH][BENCH_PAYLOAD + 1];
    while (!atomic_load(&over)) {
        if (atomic_load(&put_count) - atomic_load(&done_count) > BACKLOG) {
            rest(2);
            continue;
        }
        for (int i = 0; i < BATCH; i++) {
            bench_payload(payloads[i], (uint64_t)(atomic_load(&put_count) + i));
            specs[i] = (struct jobq_spec){ .size = sizeof *specs, .queue = "churn", .payload = { payloads[i], BENCH_PAYLOAD } };
        }
        must(jobq_enqueue_many(q, specs, BATCH, NULL), "enqueue");
        atomic_fetch_add(&put_count, BATCH);
    }
    jobq_close(q);
    return nothing;
}

static int work_one(struct jobq_ctx *ctx, void *nothing)
{
    (void)ctx, (void)nothing;
    atomic_fetch_add(&done_count, 1);
    return JOBQ_DONE;
}

static void *work(void *worker)
{
    must(jobq_worker_run(worker), "run");
    return NULL;
}

static void load(double seconds)
{
    const char *const queues[] = { "churn" };
    const struct jobq_worker_options options = { .size = sizeof options, .queues = queues, .queue_count = 1, .threads = 2,
                                                 .batch = 200 };
    struct jobq *q = open_queue();
    struct jobq_worker *worker = NULL;
    pthread_t producer, runner;
    long done[FIFTHS + 1] = { 0 };
    char name[16];
    must(jobq_worker_create(&worker, q, &options), "worker");
    must(jobq_worker_handle(worker, NULL, work_one, NULL), "handler");
    pthread_create(&producer, NULL, produce, NULL);
    pthread_create(&runner, NULL, work, worker);
    rest(1000); /* what the beginning costs is no part of it */
    done[0] = atomic_load(&done_count);
    for (int i = 1; i <= FIFTHS; i++) {
        double from = bench_now();
        rest((long)(seconds * 1000 / FIFTHS));
        done[i] = atomic_load(&done_count);
        snprintf(name, sizeof name, "fifth-%d", i);
        bench_print(name, (double)(done[i] - done[i - 1]) / (bench_now() - from), "jobs/s");
    }
    atomic_store(&over, true);
    jobq_worker_stop(worker);
    pthread_join(producer, NULL);
    pthread_join(runner, NULL);
    jobq_worker_destroy(worker);
    jobq_close(q);
    bench_print("last-over-first", (double)(done[FIFTHS] - done[FIFTHS - 1]) / (double)(done[1] - done[0]), "");
    bench_print("jobs", (double)done[FIFTHS], "jobs");
}

/* ---- the server ------------------------------------------------------------------------------------------------ */

/* The address without our options. */
static PGconn *connect_server(void)
{
    char address[600];
    size_t length = strcspn(uri, "?");
    snprintf(address, sizeof address, "%.*s", (int)length, uri);
    char mark = '?';
    for (const char *at = uri + length; *at; at += strcspn(at, "&")) {
        at++;
        size_t part = strcspn(at, "&"), used = strlen(address);
        if (strncmp(at, "namespace=", 10) == 0)
            continue;
        snprintf(address + used, sizeof address - used, "%c%.*s", mark, (int)part, at);
        mark = '&';
    }
    PGconn *conn = PQconnectdb(address);
    if (PQstatus(conn) != CONNECTION_OK) {
        fprintf(stderr, "%s", PQerrorMessage(conn));
        exit(1);
    }
    return conn;
}

static const char *schema(void)
{
    static char name[80] = "jobq";
    const char *at = strstr(uri, "namespace=");
    if (at)
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at + 10, "&"), at + 10);
    return name;
}

static PGresult *ask(PGconn *conn, const char *text, int count, const char *value)
{
    PGresult *result = PQexecParams(conn, text, count, NULL, &value, NULL, NULL, 0);
    if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK) {
        fprintf(stderr, "%s", PQerrorMessage(conn));
        exit(1);
    }
    return result;
}

static PGconn *hold_a_snapshot(void)
{
    PGconn *conn = connect_server();
    PQclear(ask(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", 0, NULL));
    PQclear(ask(conn, "SELECT count(*) FROM pg_class", 0, NULL));
    return conn;
}

/* Those that take more than 64 KiB. */
static void print_sizes(PGconn *conn)
{
    PGresult *r = ask(conn,
                      "SELECT c.relkind, c.relname, pg_relation_size(c.oid) / 1024, pg_stat_get_live_tuples(c.oid),"
                      " pg_stat_get_dead_tuples(c.oid) FROM pg_class AS c"
                      " WHERE c.relnamespace = (SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = $1)"
                      " AND c.relkind IN ('r', 'i') AND pg_relation_size(c.oid) > 65536 ORDER BY 3 DESC",
                      1, schema());
    for (int i = 0; i < PQntuples(r); i++) {
        bool table = PQgetvalue(r, i, 0)[0] == 'r';
        printf("%s-%s %s KiB", table ? "table" : "index", PQgetvalue(r, i, 1), PQgetvalue(r, i, 2));
        if (table)
            printf(", %s rows, %s dead", PQgetvalue(r, i, 3), PQgetvalue(r, i, 4));
        putchar('\n');
    }
    PQclear(r);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    uri = argv[1];
    jobq_close(open_queue()); /* there is a schema now */
    PGconn *reader = argc > 3 && strcmp(argv[3], "reader") == 0 ? hold_a_snapshot() : NULL;
    PGconn *conn = connect_server();
    load(atof(argv[2]));
    print_sizes(conn);
    PQfinish(reader);
    PQfinish(conn);
    return 0;
}
