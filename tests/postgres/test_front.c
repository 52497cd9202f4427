/* SPDX-License-Identifier: MIT */
/* A handle remembers where the front of a queue was: beside a snapshot that keeps all that is dead, claims do
 * not grow dearer, and what comes before that front is found all the same. */
#include "kit.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS 15
#define JOBS   40 /* in a round */

static void step_clock(struct jobq_store *s)
{
    const struct jobq_settings settings = {
        .size = sizeof settings, .what = JOBQ_CONFIGURE_CLOCK, .clock_ms = 10000};
    ck_assert_msg(jobq_postgres()->configure(s, &settings, &last) == JOBQ_OK, "%s", last.text);
}

static int put_with(struct jobq_store *s, struct jobq_put put)
{
    struct jobq_exchange x = {.puts = &put, .put_count = 1};
    ck_assert_msg(exchange(s, &x) == JOBQ_OK, "%s", last.text);
    return put.verdict;
}

static void put_some(struct jobq_store *s, uint32_t first, uint32_t count)
{
    struct jobq_put puts[JOBS];
    for (uint32_t i = 0; i < count; i++)
        puts[i] = put_of(first + i);
    struct jobq_exchange x = {.puts = puts, .put_count = count};
    ck_assert_msg(exchange(s, &x) == JOBQ_OK, "%s", last.text);
}

static void end_all(struct jobq_store *s, const struct jobq_row *rows, size_t count)
{
    struct jobq_change changes[JOBS];
    for (size_t i = 0; i < count; i++)
        changes[i] = (struct jobq_change){.id = rows[i].id,
                                          .by = JOBQ_BY_TOKEN,
                                          .token = rows[i].token,
                                          .edits = JOBQ_ANY_EDITS,
                                          .outcome = JOBQ_OUTCOME_COMPLETE,
                                          .state = JOBQ_ROW_COMPLETED};
    struct jobq_exchange x = {.changes = changes, .change_count = count, .trim = {.limit = 2 * JOBS}};
    for (int i = 0; i < 8; i++)
        x.trim.keep_count[i] = JOBS;
    ck_assert_msg(exchange(s, &x) == JOBQ_OK, "%s", last.text);
}

/* Rounds of a handle of their own: put, claim, end. When it is closed its backend has told what it read. */
static void rounds(uint32_t first)
{
    struct jobq_store *s = store_open(uri_with(""));
    const struct jobq_row *rows;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        put_some(s, first + i * JOBS, JOBS);
        ck_assert_uint_eq(claim_jobs(s, JOBS, &rows), JOBS);
        end_all(s, rows, JOBS);
        step_clock(s);
    }
    store_close(s);
}

static PGconn *another(const char *text)
{
    PGconn *conn = PQconnectdb(server_address());
    ck_assert_int_eq(PQstatus(conn), CONNECTION_OK);
    PGresult *result = PQexec(conn, text);
    ck_assert_msg(PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK,
                  "%s", PQerrorMessage(conn));
    PQclear(result);
    return conn;
}

/* Entries that scans of an index met until now. A backend that ends tells it soon. */
static int64_t entries_met(const char *index)
{
    for (int64_t until = ms_now() + 60000;
         sql_value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%\"@\".want%%'"
                   " AND pid <> pg_backend_pid()") > 0;)
        ck_assert_int_lt(ms_now(), until);
    return sql_value(
        "SELECT idx_tup_read FROM pg_stat_all_indexes WHERE schemaname = '@' AND indexrelname = '%s'", index);
}

START_TEST(beside_a_reader)
{
    store_close(store_open(uri_with("")));
    PGconn *reader =
        another("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT count(*) FROM pg_class");
    int64_t shelf[3], ended[3], began = 0;
    for (uint32_t i = 0; i < 3; i++) {
        began = ms_now();
        rounds(i * ROUNDS * JOBS);
        shelf[i] = entries_met("job_shelf");
        ended[i] = entries_met("job_ended");
    }
    PQfinish(reader);
    /* All that is dead is passed by once a second, and not in each round of the last part. */
    int64_t dead = 3 * ROUNDS * JOBS, most = ((ms_now() - began) / 1000 + 2) * dead + 4 * ROUNDS * JOBS;
    ck_assert_int_gt(shelf[2] - shelf[1], ROUNDS * JOBS);
    ck_assert_msg(shelf[2] - shelf[1] < most, "%lld entries, %lld at most", (long long)(shelf[2] - shelf[1]),
                  (long long)most);
    ck_assert_msg(ended[2] - ended[1] < most, "%lld entries, %lld at most", (long long)(ended[2] - ended[1]),
                  (long long)most);
}
END_TEST

/* ---- what stands before the front ---------------------------------------------------------------------- */

#define LATER 900 /* jobs that wait all the time, behind those that matter */

/* A handle that knows a front: it claimed two of four that were put ten seconds ago. */
static struct jobq_store *with_front(const struct jobq_row **rows)
{
    struct jobq_store *s = store_open(uri_with(""));
    put_some(s, 1, 4);
    step_clock(s);
    put_some(s, LATER, 4);
    step_clock(s);
    ck_assert_uint_eq(claim_jobs(s, 4, rows), 4);
    end_all(s, *rows, 4);
    ck_assert_uint_eq(claim_jobs(s, 1, rows), 1);
    const struct jobq_id id = id_of(LATER);
    ck_assert_mem_eq((*rows)[0].id.bytes, id.bytes, 16);
    return s;
}

static void claims(struct jobq_store *s, uint32_t number)
{
    const struct jobq_row *rows;
    ck_assert_uint_eq(claim_jobs(s, 1, &rows), 1);
    const struct jobq_id id = id_of(number);
    ck_assert_mem_eq(rows[0].id.bytes, id.bytes, 16);
}

START_TEST(more_urgent)
{
    const struct jobq_row *rows;
    struct jobq_store *s = with_front(&rows), *other = store_open(uri_with(""));
    struct jobq_put urgent = put_of(500), second = put_of(501);
    urgent.priority = -1;
    urgent.rank_add_ms = -600000;
    ck_assert_int_eq(put_with(other, urgent), JOBQ_OK);
    claims(s, 500);
    claims(s, LATER + 1);
    second.run_at = (struct jobq_time){JOBQ_TIME_NOW, -60000};
    ck_assert_int_eq(put_with(s, second), JOBQ_OK);
    claims(s, 501);
    store_close(other);
    store_close(s);
}
END_TEST

START_TEST(given_back)
{
    const struct jobq_row *rows;
    struct jobq_store *s = store_open(uri_with("")), *other = store_open(uri_with(""));
    put_some(s, 1, 2);
    ck_assert_uint_eq(claim_jobs(other, 2, &rows), 2);
    struct jobq_beat back = {.token = rows[0].token, .flags = JOBQ_BEAT_RELEASE};
    step_clock(s);
    put_some(s, 3, 2);
    step_clock(s);
    claims(s, 3);
    struct jobq_exchange x = {.beats = &back, .beat_count = 1};
    ck_assert_int_eq(exchange(other, &x), JOBQ_OK);
    ck_assert_uint_eq(back.held, 2);
    claims(s, 1);
    claims(s, 2);
    claims(s, 4);
    store_close(other);
    store_close(s);
}
END_TEST

START_TEST(come_due)
{
    const struct jobq_row *rows;
    struct jobq_store *s = with_front(&rows);
    struct jobq_put put = put_of(600);
    put.run_at = (struct jobq_time){JOBQ_TIME_NOW, 5000};
    ck_assert_int_eq(put_with(s, put), JOBQ_OK);
    step_clock(s);
    put_some(s, 700, 2);
    step_clock(s);
    claims(s, LATER + 1);
    claims(s, LATER + 2);
    claims(s, LATER + 3);
    claims(s, 600);
    claims(s, 700);
    store_close(s);
}
END_TEST

/* Seen late: put in a transaction that stayed open while the front went by. */
START_TEST(seen_late)
{
    const struct jobq_row *rows;
    struct jobq_store *s = with_front(&rows);
    char text[200];
    snprintf(text, sizeof text, "BEGIN; SELECT %s.enqueue('q', 'late')", name_space());
    PGconn *open = another(text);
    step_clock(s);
    put_some(s, 700, 1);
    step_clock(s);
    ck_assert_uint_eq(claim_jobs(s, 10, &rows), 4);
    ck_assert_uint_eq(claim_jobs(s, 10, &rows), 0);
    PQclear(PQexec(open, "COMMIT"));
    ck_assert_uint_eq(claim_jobs(s, 10, &rows), 1);
    ck_assert_mem_eq(rows[0].payload.data, "late", 4);
    PQfinish(open);
    store_close(s);
}
END_TEST

/* Locked while others were met. */
START_TEST(passed_by)
{
    const struct jobq_row *rows;
    struct jobq_store *s = store_open(uri_with(""));
    char text[200];
    put_some(s, 1, 2);
    snprintf(text, sizeof text, "BEGIN; SELECT 1 FROM %s.job WHERE id = '%032x' FOR UPDATE", name_space(), 1);
    PGconn *open = another(text);
    step_clock(s);
    put_some(s, 3, 1);
    step_clock(s);
    claims(s, 2);
    claims(s, 3);
    PQclear(PQexec(open, "ROLLBACK"));
    claims(s, 1);
    ck_assert_uint_eq(claim_jobs(s, 10, &rows), 0);
    PQfinish(open);
    store_close(s);
}
END_TEST

KIT_MAIN("postgres-front", beside_a_reader, more_urgent, given_back, come_due, seen_late, passed_by)
