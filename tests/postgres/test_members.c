/* SPDX-License-Identifier: MIT */
/* What becomes of the members of a batch where they are, without leaving it: they end one by one, together and in
 * parts, and retention takes the oldest of rows and members alike. */
#include "kit.h"

#include <stdlib.h>

#define MANY 16
#define MOST 4096 /* functions/batch.sql */

static void put_many(struct jobq_store *s, uint32_t first, uint32_t count)
{
    struct jobq_put *puts = calloc(count, sizeof *puts);
    struct jobq_exchange x = {.puts = puts, .put_count = count};
    ck_assert_ptr_nonnull(puts);
    for (uint32_t i = 0; i < count; i++)
        puts[i] = put_of(first + i);
    ck_assert_msg(exchange(s, &x) == JOBQ_OK, "put: %s", last.text);
    free(puts);
}

static const struct jobq_row *taken(struct jobq_store *s, uint32_t first, uint32_t count)
{
    const struct jobq_row *rows;
    put_many(s, first, count);
    ck_assert_uint_eq(claim_jobs(s, count, &rows), count);
    return rows;
}

/* As the core says it: with a result, which may be none. */
static void complete(struct jobq_store *s, const struct jobq_row *rows, size_t count, const char *result,
                     struct jobq_trim trim)
{
    struct jobq_change *changes = calloc(count, sizeof *changes);
    struct jobq_exchange x = {.changes = changes, .change_count = count, .trim = trim};
    ck_assert_ptr_nonnull(changes);
    for (size_t i = 0; i < count; i++) {
        changes[i] = (struct jobq_change){.id = rows[i].id, .by = JOBQ_BY_TOKEN, .token = rows[i].token,
                                          .edits = JOBQ_ANY_EDITS, .outcome = JOBQ_OUTCOME_COMPLETE,
                                          .state = JOBQ_ROW_COMPLETED, .set = JOBQ_SET_RESULT};
        if (result)
            changes[i].result = (struct jobq_bytes){result, 2};
    }
    ck_assert_msg(exchange(s, &x) == JOBQ_OK, "complete: %s", last.text);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(changes[i].verdict, JOBQ_OK);
    free(changes);
}

static struct jobq_trim keep(int64_t count)
{
    struct jobq_trim trim = {.limit = 10000};
    for (int i = 0; i < 8; i++)
        trim.keep_count[i] = count;
    return trim;
}

static void places_are(int64_t rows, int64_t running, int64_t ended)
{
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job"), rows);
    ck_assert_int_eq(sql_value("SELECT coalesce(sum(running), 0) FROM @.batch"), running);
    ck_assert_int_eq(sql_value("SELECT coalesce(sum(completed), 0) FROM @.batch"), ended);
}

START_TEST(without_a_result_they_stay)
{
    struct jobq_store *s = store_open(uri_with(""));
    const struct jobq_row *rows = taken(s, 1, MANY);
    complete(s, rows, MANY, NULL, keep(-1));
    places_are(0, 0, MANY);
    rows = taken(s, 101, MANY);
    complete(s, rows, MANY / 2, NULL, keep(-1));
    places_are(0, MANY / 2, MANY + MANY / 2);
    complete(s, rows + MANY / 2, MANY / 2, "42", keep(-1));
    places_are(MANY / 2, 0, MANY + MANY / 2);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job WHERE state = 4 AND result = '42' AND token IS NOT NULL"),
                     MANY / 2);
    store_close(s);
}
END_TEST

/* Whoever claimed them looks among members first, another among rows. */
START_TEST(one_by_one)
{
    struct jobq_store *s = store_open(uri_with("")), *other = store_open(uri_with(""));
    const struct jobq_row *rows = taken(s, 1, MANY);
    for (size_t i = 0; i < MANY; i++) {
        complete(i % 2 ? s : other, &rows[MANY - 1 - i], 1, NULL, keep(-1));
        places_are(0, (int64_t)(MANY - 1 - i), (int64_t)i + 1);
        ck_assert_int_eq(sql_value("SELECT count(lease_until) FROM @.batch"), i + 1 < MANY);
    }
    ck_assert_int_eq(sql_value("SELECT @.present(id, 5) FROM @.queue WHERE name = 'q'"), MANY);
    ck_assert_int_eq(sql_value("SELECT @.present(id, 4) FROM @.queue WHERE name = 'q'"), 0);
    complete(s, taken(s, 101, 1), 1, NULL, keep(-1)); /* a row of a process that claimed many before */
    places_are(1, 0, MANY);
    store_close(other);
    store_close(s);
}
END_TEST

/* Rows and members of two batches ended at one moment: they go by their ids. */
START_TEST(the_oldest_go_by_id)
{
    struct jobq_store *s = store_open(uri_with(""));
    const struct jobq_row *rows = taken(s, 1, 24);
    complete(s, rows + 16, 8, "42", keep(-1)); /* these are rows */
    complete(s, rows, 16, NULL, keep(-1));
    complete(s, taken(s, 101, MANY), MANY, NULL, keep(-1));
    sql("UPDATE @.batch SET ends[1] = 1000, finished_at = 1000");
    sql("UPDATE @.job SET finished_at = 1000 WHERE state = 4");
    sql("SELECT nextval('@.jump')"); /* no front holds any more */
    complete(s, taken(s, 201, 1), 1, NULL, keep(24));
    for (uint32_t i = 0; i < 24; i++)
        ck_assert_int_eq(exists(s, 1 + i), i >= 17);
    for (uint32_t i = 0; i < MANY; i++)
        ck_assert_int_eq(exists(s, 101 + i), 1);
    ck_assert_int_eq(sql_value("SELECT @.present(id, 5) FROM @.queue WHERE name = 'q'"), 24);
    store_close(s);
}
END_TEST

/* What ended at different moments: the oldest ends of several batches, rows between them. */
START_TEST(the_oldest_go_by_their_end)
{
    struct jobq_store *s = store_open(uri_with(""));
    const struct jobq_row *a = taken(s, 1, MANY);
    for (int part = 0; part < 2; part++)
        complete(s, a + 8 * part, 8, NULL, keep(-1));
    complete(s, taken(s, 101, MANY), MANY, NULL, keep(-1));
    complete(s, taken(s, 201, 2), 2, NULL, keep(-1));
    sql("UPDATE @.batch SET ends[1] = 1000, ends[3] = 4000, finished_at = 1000 WHERE cardinality(ends) = 4");
    sql("UPDATE @.batch SET ends[1] = 2000, finished_at = 2000 WHERE cardinality(ends) = 2");
    sql("UPDATE @.job SET finished_at = 3000 WHERE state = 4");
    sql("SELECT nextval('@.jump')");
    complete(s, taken(s, 301, 1), 1, NULL, keep(35 - 20)); /* 8 of 1000, 12 of 2000 */
    for (uint32_t i = 0; i < MANY; i++) {
        ck_assert_int_eq(exists(s, 1 + i), i >= 8);
        ck_assert_int_eq(exists(s, 101 + i), i >= 12);
    }
    complete(s, taken(s, 302, 1), 1, NULL, keep(4)); /* the rest of 2000, the rows of 3000, 6 of 4000 */
    for (uint32_t i = 0; i < MANY; i++) {
        ck_assert_int_eq(exists(s, 1 + i), i >= 14);
        ck_assert_int_eq(exists(s, 101 + i), 0);
    }
    ck_assert_int_eq(exists(s, 201) || exists(s, 202), 0);
    ck_assert_int_eq(exists(s, 301) && exists(s, 302), 1);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.batch"), 1);
    store_close(s);
}
END_TEST

/* The slack is for batches that would be changed for each job; without one nothing stays. */
START_TEST(a_few_may_stay)
{
    struct jobq_store *s = store_open(uri_with(""));
    struct jobq_trim slack = keep(MANY);
    slack.slack_part = 8;
    slack.slack_most = 16;
    complete(s, taken(s, 1, MANY), MANY, NULL, slack);
    for (uint32_t i = 0; i < 3; i++) {
        complete(s, taken(s, 101 + i, 1), 1, NULL, slack);
        ck_assert_int_eq(sql_value("SELECT completed FROM @.batch"), i < 2 ? MANY : MANY - 3);
    }
    complete(s, taken(s, 201, 1), 1, NULL, keep(MANY));
    ck_assert_int_eq(sql_value("SELECT completed FROM @.batch"), MANY - 4);
    store_close(s);
}
END_TEST

/* No batch has more members, and no queue keeps more of them that ended. */
START_TEST(no_more_than_so_many)
{
    struct jobq_store *s = store_open(uri_with(""));
    const struct jobq_row *rows = taken(s, 1, MOST + 100);
    places_are(100, MOST, 0);
    complete(s, rows, MOST + 100, NULL, keep(-1));
    places_are(100, 0, MOST);
    complete(s, taken(s, 10001, MANY), MANY, NULL, keep(-1));
    places_are(100 + MOST, 0, MANY);
    ck_assert_int_eq(sql_value("SELECT count(*) FROM @.job WHERE state = 4 AND outcome = 1 AND clock IS NULL"),
                     100 + MOST);
    store_close(s);
}
END_TEST

KIT_MAIN("postgres members", without_a_result_they_stay, one_by_one, the_oldest_go_by_id, the_oldest_go_by_their_end,
         a_few_may_stay, no_more_than_so_many)
