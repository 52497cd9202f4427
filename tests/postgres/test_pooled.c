/* SPDX-License-Identifier: MIT */
/* Behind a pooler that gives each transaction to another session (PgBouncer, transaction mode): what the store says of it,
 * what it leaves on sessions that are not its own, and that work is found without being told of. */
#include "kit.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *pooled_uri(void)
{
    static char uri[600];
    const char *via = getenv("JOBQ_TEST_POSTGRES_VIA");
    ck_assert_msg(via != NULL, "JOBQ_TEST_POSTGRES_VIA is not set: the address of a pooler");
    snprintf(uri, sizeof uri, "%s%cnamespace=%s", via, strchr(via, '?') ? '&' : '?', name_space());
    return uri;
}

static struct jobq *open_handle(void)
{
    struct jobq *q = NULL;
    ck_assert_msg(jobq_open(&q, jobq_postgres(), pooled_uri(), NULL) == JOBQ_OK, "%s", jobq_last_error()->text);
    return q;
}

/* ---- what it says ------------------------------------------------------------------------------------------- */

START_TEST(it_says_that_it_cannot_be_told)
{
    struct jobq *q = open_handle(), *direct = NULL;
    struct jobq_stats *stats = NULL;
    struct jobq_store *s = store_open(pooled_uri());
    ck_assert_int_eq(jobq_postgres()->wake_fd(s), -1);
    store_close(s);
    ck_assert_int_eq(jobq_stats(q, NULL, &stats), JOBQ_OK);
    ck_assert_msg(strstr(stats->engine, "behind a pooler") != NULL, "%s", stats->engine);
    jobq_stats_free(stats);
    ck_assert_int_eq(jobq_open(&direct, jobq_postgres(), uri_with(""), NULL), JOBQ_OK);
    ck_assert_int_eq(jobq_stats(direct, NULL, &stats), JOBQ_OK);
    ck_assert_msg(strstr(stats->engine, "pooler") == NULL, "%s", stats->engine);
    jobq_stats_free(stats);
    jobq_close(direct);
    jobq_close(q);
}
END_TEST

/* ---- what it leaves ------------------------------------------------------------------------------------------- */

static int64_t ask(PGconn *conn, const char *text)
{
    PGresult *result = PQexec(conn, text);
    ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK, "%s", PQerrorMessage(conn));
    int64_t value = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return value;
}

/* Six handles on two sessions: none of them finds anything of another's. */
START_TEST(sessions_are_left_as_they_were)
{
    struct jobq_store *stores[6];
    for (int i = 0; i < 6; i++)
        stores[i] = store_open(pooled_uri());
    for (uint32_t turn = 0; turn < 8; turn++)
        for (uint32_t i = 0; i < 6; i++)
            ck_assert_msg(put_job(stores[i], 1 + turn * 6 + i) == JOBQ_OK, "%s", last.text);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), 48);
    sql("TRUNCATE @.job, @.tally");
    whole_life(stores[0], 200);
    for (int i = 0; i < 6; i++)
        store_close(stores[i]);
    PGconn *other = PQconnectdb(getenv("JOBQ_TEST_POSTGRES_VIA"));
    ck_assert_int_eq(PQstatus(other), CONNECTION_OK);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(ask(other, "SELECT count(*) FROM pg_prepared_statements"), 0);
        ck_assert_int_eq(ask(other, "SELECT count(*) FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout',"
                                    " 'search_path', 'synchronous_commit') AND source = 'session'"), 0);
        ck_assert_int_eq(ask(other, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
                                    " AND pid = pg_backend_pid()"), 0);
    }
    PQfinish(other);
}
END_TEST

/* In the program's own transaction too. */
START_TEST(an_attached_handle)
{
    PGconn *conn = PQconnectdb(getenv("JOBQ_TEST_POSTGRES_VIA"));
    struct jobq *q = NULL;
    const struct jobq_spec spec = { .size = sizeof spec, .queue = "q", .payload = { "x", 1 } };
    ck_assert_msg(jobq_postgres_attach(&q, conn, name_space(), NULL) == JOBQ_OK, "%s", jobq_last_error()->text);
    PQclear(PQexec(conn, "BEGIN"));
    ck_assert_int_eq(jobq_enqueue(q, &spec, NULL), JOBQ_OK);
    PQclear(PQexec(conn, "ROLLBACK"));
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), 0);
    PQclear(PQexec(conn, "BEGIN"));
    ck_assert_int_eq(jobq_enqueue(q, &spec, NULL), JOBQ_OK);
    PQclear(PQexec(conn, "COMMIT"));
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), 1);
    jobq_close(q);
    PQfinish(conn);
}
END_TEST

/* ---- what it does without -------------------------------------------------------------------------------------- */

static int stop_at_once(struct jobq_ctx *ctx, void *user)
{
    (void)ctx;
    jobq_worker_stop(user);
    return JOBQ_DONE;
}

/* Nobody tells this worker of a job that another handle puts: it looks. */
START_TEST(a_worker_looks_by_itself)
{
    struct jobq *q = open_handle(), *other = open_handle();
    const char *const queues[] = { "q" };
    const struct jobq_spec spec = { .size = sizeof spec, .queue = "q", .payload = { "x", 1 } };
    struct jobq_worker_options options = { .size = sizeof options, .queues = queues, .queue_count = 1 };
    struct jobq_worker *w = NULL;
    ck_assert_int_eq(jobq_worker_create(&w, q, &options), JOBQ_OK);
    ck_assert_int_eq(jobq_worker_handle(w, NULL, stop_at_once, w), JOBQ_OK);
    do
        ck_assert_int_eq(jobq_worker_dispatch(w), JOBQ_OK);
    while (jobq_worker_next_ms(w) == 0);
    ck_assert_int_le(jobq_worker_next_ms(w), 5000); /* where it is told it would be more */
    jobq_worker_destroy(w);
    options.poll_ms = 50;
    ck_assert_int_eq(jobq_worker_create(&w, q, &options), JOBQ_OK);
    ck_assert_int_eq(jobq_worker_handle(w, NULL, stop_at_once, w), JOBQ_OK);
    do
        ck_assert_int_eq(jobq_worker_dispatch(w), JOBQ_OK);
    while (jobq_worker_next_ms(w) == 0);
    ck_assert_int_eq(jobq_enqueue(other, &spec, NULL), JOBQ_OK);
    ck_assert_int_eq(jobq_worker_run(w), JOBQ_OK);
    jobq_worker_destroy(w);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job WHERE state = 4"), 1);
    jobq_close(other);
    jobq_close(q);
}
END_TEST

KIT_MAIN("postgres pooled", it_says_that_it_cannot_be_told, sessions_are_left_as_they_were, an_attached_handle,
         a_worker_looks_by_itself)
