/* SPDX-License-Identifier: MIT */
/* Rows that one statement changes because their numbers follow each other, and those that it must leave out.
 */
#include "kit.h"

#include <stdio.h>
#include <string.h>

enum { JOBS = 9, SLOW = 5 };

static struct jobq_bytes text(const char *words)
{
    return (struct jobq_bytes){.data = words, .size = strlen(words)};
}

static struct jobq_id id_of(int number)
{
    return (struct jobq_id){.bytes = {[15] = (uint8_t)number}};
}

/* Numbered from 1 on, in one call; one of them may not run for ever. */
static void put_jobs(struct jobq_store *s)
{
    struct jobq_put puts[JOBS];
    struct jobq_exchange x = {.puts = puts, .put_count = JOBS};
    for (int i = 0; i < JOBS; i++)
        puts[i] = (struct jobq_put){.id = id_of(i + 1),
                                    .queue = text("q"),
                                    .kind = text("k"),
                                    .payload = text("p"),
                                    .only_if = -1,
                                    .timeout_ms = i + 1 == SLOW ? 30000 : 0};
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
}

static struct jobq_token claim_all(struct jobq_store *s)
{
    const struct jobq_row *rows;
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, JOBS, 60000, &rows), JOBS);
    return rows[0].token;
}

static void end_jobs(struct jobq_store *s, struct jobq_token token, const int *numbers, size_t count,
                     int64_t keep, struct jobq_change *changes)
{
    struct jobq_exchange x = {.changes = changes, .change_count = count, .trim = {.limit = 100}};
    for (size_t i = 0; i < count; i++)
        changes[i] = (struct jobq_change){.id = id_of(numbers[i]),
                                          .by = JOBQ_BY_TOKEN,
                                          .token = token,
                                          .edits = JOBQ_ANY_EDITS,
                                          .outcome = JOBQ_OUTCOME_COMPLETE,
                                          .state = JOBQ_ROW_COMPLETED};
    for (int i = 0; i < 8; i++)
        x.trim.keep_count[i] = keep;
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
}

/* How often it ran since it was asked last. */
static int runs(struct jobq_store *s, enum sql which)
{
    return sqlite3_stmt_status(s->statements[which], SQLITE_STMTSTATUS_RUN, 1);
}

static int64_t jobs_where(const char *what)
{
    char query[200];
    snprintf(query, sizeof query, "SELECT count(*) FROM jobq_job WHERE %s", what);
    return sql_value("a.db", query);
}

START_TEST(claimed)
{
    struct jobq_store *s = store_open("a.db", NULL, NULL);
    put_jobs(s);
    claim_all(s);
    ck_assert_int_eq(runs(s, SQL_JOB_CLAIM_RUN), 2);
    ck_assert_int_eq(runs(s, SQL_JOB_CLAIM), 1);
    ck_assert_int_eq(
        jobs_where(
            "state = 3 AND list = 0 AND attempt = 1 AND length(token) = 16 AND worker = x'77' AND flags = 0"),
        JOBS);
    ck_assert_int_eq(jobs_where("stop_at = started_at + 30000 AND place = stop_at AND n = 5"), 1);
    ck_assert_int_eq(jobs_where("stop_at IS NULL AND place = started_at + 60000"), JOBS - 1);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_RUNNING), JOBS);
    store_close(s);
}
END_TEST

/* One that is named twice ends once, also when its end is not written yet. */
START_TEST(ended)
{
    const int order[] = {1, 2, 3, 2, 4, 9, 6, 7, 8, 5};
    struct jobq_change changes[JOBS + 1];
    struct jobq_store *s = store_open("a.db", NULL, NULL);
    put_jobs(s);
    end_jobs(s, claim_all(s), order, JOBS + 1, 100, changes);
    for (int i = 0; i <= JOBS; i++)
        ck_assert_int_eq(changes[i].verdict == JOBQ_OK, i != 3);
    ck_assert_int_eq(runs(s, SQL_JOB_END), 2); /* 1-3, 4-9 */
    ck_assert_int_eq(jobs_where("state = 4 AND list % 16 = 4 AND stop_at IS NULL AND flags >> 16 = 1"), JOBS);
    ck_assert_int_eq(sql_value("a.db", "SELECT sum(completed_total) FROM jobq_tally"), JOBS);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_COMPLETED), JOBS);
    ck_assert_int_eq(sql_value("a.db", "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
    store_close(s);
}
END_TEST

/* Those that ended at one instant go together if all of them go; of the next instant the first ones go. */
START_TEST(removed)
{
    const int order[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct jobq_change changes[JOBS];
    struct hand hand;
    hand_set(&hand, "0f8fad5b-d9cb-469f-a165-70867728950e", 5000, 1767225600000);
    struct jobq_store *s = store_open("a.db", NULL, &hand);
    put_jobs(s);
    struct jobq_token token = claim_all(s);
    for (int i = 0; i < JOBS; i += 3) {
        hand_pass(&hand, 100);
        end_jobs(s, token, order + i, 3, i < 6 ? 100 : 4, changes);
    }
    ck_assert_int_eq(runs(s, SQL_JOB_DROP_OLD), 1);
    ck_assert_int_eq(runs(s, SQL_JOB_DROP), 2);
    ck_assert_int_eq(jobs_where("n >= 6"), 4);
    ck_assert_int_eq(jobs_where("n < 6"), 0);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_COMPLETED), 4);
    ck_assert_int_eq(sql_value("a.db", "SELECT sum(completed_trimmed) FROM jobq_tally"), 5);
    store_close(s);
}
END_TEST

KIT_MAIN("runs", claimed, ended, removed)
