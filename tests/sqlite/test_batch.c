/* SPDX-License-Identifier: MIT */
/* Many rows in one record (batch.c): when there is one, who leaves it, and what a record must not hide. What the store
 * answers is asked by the conformance suite; here is what stands in the file. */
#include "kit.h"

#include <stdio.h>
#include <string.h>

enum { MANY = 24 };

static const char *const boots[] = {"0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"};
#define WALL INT64_C(1767225600000)

static struct hand hand;

static struct jobq_store *fresh(void)
{
    hand_set(&hand, boots[0], 5000, WALL);
    return store_open("a.db", NULL, &hand);
}

static struct jobq_bytes text(const char *words)
{
    return (struct jobq_bytes){.data = words, .size = strlen(words)};
}

static struct jobq_id id_of(int number)
{
    return (struct jobq_id){.bytes = {[14] = (uint8_t)(number >> 8), [15] = (uint8_t)number}};
}

/* Numbered from `first` on, in calls of a thousand; `odd`, if not NULL, is put in the middle. */
static void put_many(struct jobq_store *s, int first, int count, const struct jobq_put *odd)
{
    static struct jobq_put puts[1000];
    while (count > 0) {
        int some = count < 1000 ? count : 1000;
        struct jobq_exchange x = {.puts = puts, .put_count = (size_t)some};
        for (int i = 0; i < some; i++) {
            puts[i] = odd && i == some / 2 ? *odd : (struct jobq_put){0};
            puts[i].id = id_of(first + i);
            puts[i].queue = text("q");
            puts[i].kind = text("k");
            puts[i].only_if = -1;
            if (!puts[i].payload.data)
                puts[i].payload = text("p");
        }
        ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
        for (int i = 0; i < some; i++)
            ck_assert_int_eq(puts[i].verdict, JOBQ_OK);
        first += some;
        count -= some;
    }
}

static const struct jobq_row *claim(struct jobq_store *s, size_t count)
{
    const struct jobq_row *rows;
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, count, 60000, &rows), count);
    return rows;
}

static struct jobq_change end_of(const struct jobq_row *row)
{
    return (struct jobq_change){.id = row->id,
                                .by = JOBQ_BY_TOKEN,
                                .token = row->token,
                                .edits = JOBQ_ANY_EDITS,
                                .outcome = JOBQ_OUTCOME_COMPLETE,
                                .state = JOBQ_ROW_COMPLETED};
}

/* In one exchange, with retention that keeps so many. */
static void end(struct jobq_store *s, const struct jobq_row *rows, size_t count, int64_t keep)
{
    static struct jobq_change changes[1000];
    struct jobq_exchange x = {.changes = changes, .change_count = count, .trim = {.limit = 10000}};
    for (size_t i = 0; i < count; i++)
        changes[i] = end_of(&rows[i]);
    for (int i = 0; i < 8; i++)
        x.trim.keep_count[i] = keep;
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(changes[i].verdict, JOBQ_OK);
}

static void change(struct jobq_store *s, struct jobq_change one, int verdict)
{
    struct jobq_exchange x = {.changes = &one, .change_count = 1};
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_int_eq(one.verdict, verdict);
}

static int64_t count(const char *table, const char *where)
{
    char query[300];
    snprintf(query, sizeof query, "SELECT count(*) FROM jobq_%s WHERE %s", table, where);
    return sql_value("a.db", query);
}

#define batches(where) count("batch", where)
#define jobs(where)    count("job", where)

static int64_t in_batches(void)
{
    return sql_value("a.db", "SELECT coalesce(sum(last - first + 1), 0) FROM jobq_batch");
}

static void close_sound(struct jobq_store *s)
{
    store_close(s);
    ck_assert_int_eq(sql_value("a.db", "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
    ck_assert_int_eq(
        sql_value("a.db", "SELECT count(*) FROM jobq_batch AS b WHERE last < first OR (SELECT count(*) FROM jobq_job AS j"
                          " WHERE j.n BETWEEN b.first AND b.last AND j.list = iif(b.queue > 0, 16 * b.queue + 1, -j.lane)"
                          " AND j.queue = abs(b.queue) AND j.place = b.rank"
                          " AND j.state = 2 AND j.token IS NULL) <> last - first + 1"),
        0);
    ck_assert_int_eq(sql_value("a.db", "SELECT count(*) FROM jobq_bulk AS b WHERE NOT EXISTS"
                                       " (SELECT 1 FROM jobq_job AS j WHERE j.n = b.slot / 4)"),
                     0);
}

/* ---- when there is a record ---------------------------------------------------------------------------- */

START_TEST(what_came_together_is_claimed_and_ended_by_one_record)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, MANY, NULL);
    const struct jobq_row *rows = claim(s, MANY);
    ck_assert_int_eq(batches("list = 0 AND first = 1 AND last = 24 AND worker = x'77' AND length(token) = 16"), 1);
    ck_assert_int_eq(jobs("state = 2 AND token IS NULL AND attempt = 0 AND list % 16 = 1"), MANY);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_RUNNING), MANY);
    hand_pass(&hand, 1000);
    end(s, rows, MANY, 100);
    ck_assert_int_eq(batches("list % 16 = 4 AND first = 1 AND last = 24 AND place = started_at + 1000"), 1);
    ck_assert_int_eq(batches("true"), 1);
    ck_assert_int_eq(jobs("state = 2 AND token IS NULL AND attempt = 0"), MANY);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_COMPLETED), MANY);
    close_sound(s);
}
END_TEST

START_TEST(few_are_written_themselves)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, BATCH_LEAST - 1, NULL);
    end(s, claim(s, BATCH_LEAST - 1), BATCH_LEAST - 1, 100);
    put_many(s, 100, MANY, NULL);
    claim(s, 1);
    ck_assert_int_eq(batches("true"), 0);
    ck_assert_int_eq(jobs("state = 4"), BATCH_LEAST - 1);
    ck_assert_int_eq(jobs("state = 3"), 1);
    claim(s, BATCH_LEAST);
    ck_assert_int_eq(in_batches(), BATCH_LEAST);
    close_sound(s);
}
END_TEST

START_TEST(what_is_special_is_a_row)
{
    static const struct jobq_put_key key = {.scope = {1}, .hold = JOBQ_HOLD_LIVE};
    const struct jobq_put odd[] = {
        {.timeout_ms = 5000},
        {.expires_at = {JOBQ_TIME_NOW, 5000}},
        {.unique = &key, .key = {"key", 3}},
    };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct jobq_store *s = fresh();
        put_many(s, 1, MANY, &odd[i]);
        claim(s, MANY);
        ck_assert_int_eq(jobs("n = 13 AND state = 3 AND list = 0 AND attempt = 1"), 1);
        ck_assert_int_eq(batches("last = 12 OR first = 14"), 2);
        ck_assert_uint_eq(rows_in(s, "q", JOBQ_RUNNING), MANY);
        close_sound(s);
        sql("a.db", "DELETE FROM jobq_batch; DELETE FROM jobq_job; DELETE FROM jobq_key; UPDATE jobq_tally SET running = 0");
    }
}
END_TEST

START_TEST(what_has_run_before_is_a_row)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, MANY, NULL);
    const struct jobq_row *rows = claim(s, MANY);
    for (int i = 0; i < MANY; i++) {
        struct jobq_change back = end_of(&rows[i]);
        back.outcome = JOBQ_OUTCOME_RELEASE;
        back.state = JOBQ_ROW_WAITING;
        change(s, back, JOBQ_OK);
    }
    ck_assert_int_eq(jobs("state = 2 AND attempt = 1"), MANY);
    claim(s, MANY);
    ck_assert_int_eq(batches("true"), 0);
    ck_assert_int_eq(jobs("state = 3 AND attempt = 2"), MANY);
    close_sound(s);
}
END_TEST

static void set_queue(struct jobq_store *s, uint32_t set, int64_t value)
{
    struct jobq_error err = {0};
    const struct jobq_settings settings = {.size = sizeof settings,
                                           .what = JOBQ_CONFIGURE_QUEUE,
                                           .name = text("q"),
                                           .set = set,
                                           .concurrency = value,
                                           .group_concurrency = value,
                                           .rate = value,
                                           .rate_period_ms = 1000};
    ck_assert_int_eq(jobq_sqlite()->configure(s, &settings, &err), JOBQ_OK);
}

START_TEST(groups_and_events_count_each_row)
{
    const struct jobq_settings events = {.size = sizeof events, .what = JOBQ_CONFIGURE_EVENTS, .events = 1000};
    const struct jobq_put grouped = {.group = {"g", 1}};
    struct jobq_error err = {0};
    struct jobq_store *s = fresh();
    put_many(s, 1, MANY, NULL);
    ck_assert_int_eq(jobq_sqlite()->configure(s, &events, &err), JOBQ_OK);
    claim(s, MANY);
    ck_assert_int_eq(batches("true"), 0);
    ck_assert_int_eq(count("event", "state = 3"), MANY);
    sql("a.db", "UPDATE jobq_meta SET events = 0");
    put_many(s, 1 + MANY, MANY, &grouped);
    claim(s, MANY);
    ck_assert_int_eq(batches("true"), 0);
    put_many(s, 1 + 2 * MANY, MANY, NULL);
    claim(s, MANY);
    ck_assert_int_eq(in_batches(), MANY); /* no row of a group waits any more */
    ck_assert_int_eq(jobs("state = 3"), 2 * MANY);
    close_sound(s);
}
END_TEST

/* Members run, so they count: when there are limits already, and when they come later. */
START_TEST(limits_count_the_members_of_records)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, 4 * MANY, NULL);
    set_queue(s, JOBQ_SETTING_CONCURRENCY, MANY);
    const struct jobq_row *rows;
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 1000, 60000, &rows), MANY);
    ck_assert_int_eq(in_batches(), MANY);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 1000, 60000, NULL), 0);
    end(s, rows, 10, 100);
    ck_assert_int_eq(batches("list % 16 = 4"), 1);
    change(s, end_of(&rows[20]), JOBQ_OK); /* it leaves, and others with it that go on running */
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 1000, 60000, NULL), 11);
    set_queue(s, JOBQ_SETTING_CONCURRENCY, -1);
    claim(s, MANY);
    set_queue(s, JOBQ_SETTING_CONCURRENCY, 2 * MANY + 1);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 1000, 60000, NULL), 1);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_RUNNING), 2 * MANY + 1);
    close_sound(s);
}
END_TEST

START_TEST(rates_count_the_members_of_records)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, 3 * MANY, NULL);
    set_queue(s, JOBQ_SETTING_RATE, MANY);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, MANY - 5, 60000, NULL), MANY - 5);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 1000, 60000, NULL), 5);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 1000, 60000, NULL), 0);
    ck_assert_int_eq(in_batches(), MANY - 5); /* five are too few for one */
    hand_pass(&hand, 2000);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 1000, 60000, NULL), MANY);
    ck_assert_int_eq(in_batches(), 2 * MANY - 5);
    close_sound(s);
}
END_TEST

/* Events that are kept from now on tell of the end and of the removal of each. */
START_TEST(events_tell_of_rows_of_a_record)
{
    const struct jobq_settings events = {.size = sizeof events, .what = JOBQ_CONFIGURE_EVENTS, .events = 1000};
    struct jobq_error err = {0};
    struct jobq_store *s = fresh();
    put_many(s, 1, 2 * MANY, NULL);
    const struct jobq_row *rows = claim(s, 2 * MANY);
    end(s, rows, MANY, 100);
    ck_assert_int_eq(jobq_sqlite()->configure(s, &events, &err), JOBQ_OK);
    hand_pass(&hand, 10);
    end(s, rows + MANY, MANY, 0);
    ck_assert_int_eq(count("event", "state = 4"), MANY);
    ck_assert_int_eq(count("event", "state = 7"), 2 * MANY);
    ck_assert_int_eq(jobs("true"), 0);
    ck_assert_int_eq(batches("true"), 0);
    close_sound(s);
}
END_TEST

/* ---- who passes by ----------------------------------------------------------------------------------------- */

/* One that comes later with an earlier place stands before the record, or between two. */
START_TEST(later_ones_are_found_before_and_between)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, MANY, NULL);
    hand_pass(&hand, 1000);
    put_many(s, 101, MANY, NULL);
    end(s, claim(s, MANY), MANY, 100);
    claim(s, MANY);
    ck_assert_int_eq(batches("true"), 2);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 10, 60000, NULL), 0);
    struct jobq_put late[] = {{.id = id_of(501)}, {.id = id_of(502)}, {.id = id_of(503)}};
    const int64_t ranks[] = {-500, -5000, 0};
    for (int i = 0; i < 3; i++) {
        late[i].queue = text("q");
        late[i].kind = text("k");
        late[i].only_if = -1;
        late[i].rank_add_ms = ranks[i];
    }
    struct jobq_exchange x = {.puts = late, .put_count = 3};
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    const struct jobq_row *rows = claim(s, 3);
    ck_assert_mem_eq(&rows[0].id, &late[1].id, sizeof rows->id);
    ck_assert_mem_eq(&rows[1].id, &late[0].id, sizeof rows->id);
    ck_assert_mem_eq(&rows[2].id, &late[2].id, sizeof rows->id);
    ck_assert_int_eq(batches("list = 0"), 1);
    close_sound(s);
}
END_TEST

/* Who looks before he writes must not take rows of a record for due ones. */
START_TEST(nothing_is_written_where_only_records_are)
{
    const struct jobq_bytes name = text("q"), kind = text("k");
    struct jobq_want want = {.mode = JOBQ_WANT_DUE, .queues = &name, .queue_count = 1, .kinds = &kind, .kind_count = 1,
                             .limit = 5, .lease_ms = 1000, .worker = text("w")};
    struct jobq_exchange x = {.want = &want};
    struct jobq_store *s = fresh();
    put_many(s, 1, MANY, NULL);
    claim(s, MANY);
    ck_assert_int_eq(put_job(s, 7, "q", 1), JOBQ_OK); /* of another kind */
    sqlite3_stmt *begin = s->statements[SQL_BEGIN_WRITE];
    sqlite3_stmt_status(begin, SQLITE_STMTSTATUS_RUN, 1);
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_uint_eq(want.row_count, 0);
    ck_assert_int_eq(sqlite3_stmt_status(begin, SQLITE_STMTSTATUS_RUN, 1), 0);
    close_sound(s);
}
END_TEST

/* Groups that come later are served in turn with the rows of none, of which records hold some. */
START_TEST(groups_in_turn_pass_by)
{
    const struct jobq_put grouped = {.group = {"g", 1}};
    struct jobq_store *s = fresh();
    put_many(s, 1, MANY, NULL);
    claim(s, MANY);
    put_many(s, 101, 1, &grouped);
    put_many(s, 201, MANY, NULL);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 3, 60000, NULL), 3);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 100, 60000, NULL), MANY - 2);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 100, 60000, NULL), 0);
    ck_assert_int_eq(in_batches(), 2 * MANY - 2); /* no group waits any more */
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_RUNNING), 2 * MANY + 1);
    close_sound(s);
}
END_TEST

/* How many rows of the list are looked at must not grow with what records hold. */
START_TEST(a_claim_jumps_over_a_record)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, 2000, NULL);
    claim(s, 1000);
    sqlite3_stmt *walk = s->statements[SQL_DUE_ROWS];
    sqlite3_stmt_status(walk, SQLITE_STMTSTATUS_VM_STEP, 1);
    claim(s, 10);
    int steps = sqlite3_stmt_status(walk, SQLITE_STMTSTATUS_VM_STEP, 1);
    ck_assert_msg(steps < 1500, "%d steps", steps);
    ck_assert_int_eq(in_batches(), 1010);
    close_sound(s);
}
END_TEST

static struct jobq_put put_at(int id, int64_t rank_add_ms, int64_t delay_ms)
{
    return (struct jobq_put){.id = id_of(id), .queue = text("q"), .kind = text("k"), .only_if = -1,
                             .rank_add_ms = rank_add_ms, .run_at = {JOBQ_TIME_NOW, delay_ms}};
}

/* With whatever else the exchange does, as a worker claims: nothing is read before it. Its rows, up to ten. */
static size_t claim_with(struct jobq_store *s, struct jobq_exchange x, const struct jobq_row **rows)
{
    const struct jobq_bytes name = text("q"), kind = text("k");
    struct jobq_want want = {.mode = JOBQ_WANT_DUE, .queues = &name, .queue_count = 1, .kinds = &kind, .kind_count = 1,
                             .limit = 10, .lease_ms = 60000, .worker = text("w"), .mint = {(uint8_t)s->turns, 7}};
    x.want = &want;
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    *rows = want.rows;
    return want.row_count;
}

static bool is_job(const struct jobq_row *row, int number)
{
    const struct jobq_id id = id_of(number);
    return memcmp(&row->id, &id, sizeof id) == 0;
}

/* A walk begins where the last one found that only records stand before. Whatever comes before that is met. */
START_TEST(a_row_that_comes_before_the_front_is_found)
{
    struct jobq_store *s = fresh();
    struct jobq_put back = put_at(903, -7000, 0), plain = put_at(500, 0, 0), early = put_at(901, -9000, 0),
                    later[] = {put_at(902, -8000, 1000), put_at(504, 0, 0)},
                    last[] = {put_at(505, 0, 0), put_at(506, 0, 0)};
    const struct jobq_row *rows;
    ck_assert_uint_eq(claim_with(s, (struct jobq_exchange){.puts = &back, .put_count = 1}, &rows), 1);
    struct jobq_change release = end_of(rows);
    release.outcome = JOBQ_OUTCOME_RELEASE;
    release.state = JOBQ_ROW_WAITING;
    put_many(s, 1, 400, NULL);
    claim(s, 400);
    ck_assert_uint_eq(claim_with(s, (struct jobq_exchange){.puts = &plain, .put_count = 1}, &rows), 1);
    const struct front front = sq_queue_slot(s, 1)->front;
    ck_assert(front.epoch == s->epoch && front.behind && front.n == 401);

    ck_assert_uint_eq(claim_with(s, (struct jobq_exchange){.puts = &early, .put_count = 1}, &rows), 1);
    ck_assert(is_job(&rows[0], 901));
    ck_assert_uint_eq(claim_with(s, (struct jobq_exchange){.puts = later, .put_count = 2}, &rows), 1);
    hand_pass(&hand, 2000);
    ck_assert_uint_eq(claim_with(s, (struct jobq_exchange){.puts = &last[0], .put_count = 1}, &rows), 2);
    ck_assert(is_job(&rows[0], 902) && is_job(&rows[1], 505));
    ck_assert_uint_eq(claim_with(s, (struct jobq_exchange){.puts = &last[1], .put_count = 1}, &rows), 1);
    ck_assert_uint_eq(claim_with(s, (struct jobq_exchange){.changes = &release, .change_count = 1}, &rows), 1);
    ck_assert(is_job(&rows[0], 903));
    ck_assert_int_gt(in_batches(), 0);
    ck_assert_uint_eq(sq_queue_slot(s, 1)->front.epoch, front.epoch);
    close_sound(s);
}
END_TEST

/* When the rows with the greatest numbers are gone, theirs are given again. */
START_TEST(numbers_that_are_given_again_stand_before_the_front)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, 2 * MANY, NULL);
    const struct jobq_row *first = claim(s, MANY), *second = claim(s, MANY), *rows;
    end(s, first, MANY, 0);
    end(s, second, MANY, 0);
    ck_assert_int_eq(jobs("true"), 0);
    const struct front front = sq_queue_slot(s, 1)->front;
    ck_assert(front.epoch == s->epoch && front.behind && front.n == MANY);
    struct jobq_put put = put_at(500, 0, 0);
    ck_assert_uint_eq(claim_with(s, (struct jobq_exchange){.puts = &put, .put_count = 1}, &rows), 1);
    ck_assert_int_eq(jobs("n = 1"), 1);
    close_sound(s);
}
END_TEST

static int steps_of_walks(struct jobq_store *s)
{
    const enum sql walks[] = {SQL_BATCH_PASSED, SQL_BATCH_PASSED_SAME, SQL_DUE_LIST, SQL_DUE_LIST_SAME, SQL_DUE_ROWS,
                              SQL_DUE_ROWS_SAME};
    int steps = 0;
    for (size_t i = 0; i < sizeof walks / sizeof *walks; i++)
        steps += sqlite3_stmt_status(s->statements[walks[i]], SQLITE_STMTSTATUS_VM_STEP, 1);
    return steps;
}

/* What is done, and the next of it, in one exchange. */
static const struct jobq_row *end_and_claim(struct jobq_store *s, const struct jobq_row *rows, size_t count)
{
    struct jobq_change changes[10];
    for (size_t i = 0; i < count; i++)
        changes[i] = end_of(&rows[i]);
    ck_assert_uint_eq(claim_with(s, (struct jobq_exchange){.changes = changes, .change_count = count}, &rows), count);
    ck_assert_int_eq(changes[0].verdict, JOBQ_OK);
    return rows;
}

/* How much a claim looks at must not grow with the records that retention keeps. */
START_TEST(a_claim_begins_behind_old_records)
{
    enum { ROUNDS = 200, SIZE = 10 };
    struct jobq_store *s = fresh();
    put_many(s, 1, SIZE * ROUNDS / 2, NULL);
    const struct jobq_row *rows = claim(s, SIZE);
    for (int i = 1; i < ROUNDS; i++) {
        if (i >= ROUNDS / 2) {
            hand_pass(&hand, 10);
            put_many(s, 1 + SIZE * i, SIZE, NULL);
        }
        steps_of_walks(s);
        rows = end_and_claim(s, rows, SIZE);
        int steps = steps_of_walks(s);
        ck_assert_msg(steps < 1000, "%d steps in round %d", steps, i);
    }
    ck_assert_int_eq(batches("true"), ROUNDS);
    close_sound(s);
}
END_TEST

static uint64_t ready_by_kind(struct jobq_store *s)
{
    struct jobq_stats stats = {.size = sizeof stats};
    struct jobq_error err = {0};
    const struct jobq_bytes name = text("q");
    struct jobq_arena *arena = jobq_arena_create();
    ck_assert_int_eq(jobq_sqlite()->stats(s, &name, &stats, arena, &err), JOBQ_OK);
    uint64_t ready = stats.kind_count ? stats.kinds[0].ready : 0;
    jobq_arena_destroy(arena);
    return ready;
}

/* Nor may it for who counts what waits: a worker that finds nothing left asks for statistics. */
START_TEST(statistics_begin_behind_records)
{
    struct jobq_store *s = fresh();
    sqlite3_stmt *looks[] = {s->statements[SQL_STATS_KINDS], s->statements[SQL_STATS_OLDEST]};
    put_many(s, 1, 1010, NULL);
    hand_pass(&hand, 10);
    put_many(s, 2001, 10, NULL);
    claim(s, 1000);
    for (unsigned left = 20, rounds = 0; rounds < 3; rounds++, left -= 10) {
        sqlite3_stmt_status(looks[0], SQLITE_STMTSTATUS_VM_STEP, 1);
        sqlite3_stmt_status(looks[1], SQLITE_STMTSTATUS_VM_STEP, 1);
        ck_assert_uint_eq(rows_in(s, "q", JOBQ_READY), left);
        ck_assert_uint_eq(ready_by_kind(s), left);
        for (int j = 0; j < 2; j++) {
            int steps = sqlite3_stmt_status(looks[j], SQLITE_STMTSTATUS_VM_STEP, 1);
            ck_assert_msg(steps < 4000, "%d steps", steps);
        }
        if (left)
            claim(s, 10);
    }
    close_sound(s);
}
END_TEST

static size_t rows_read(struct jobq_store *s, struct jobq_query *query)
{
    struct jobq_error err = {0};
    struct jobq_arena *arena = jobq_arena_create();
    ck_assert_int_eq(jobq_sqlite()->read(s, query, arena, &err), JOBQ_OK);
    jobq_arena_destroy(arena);
    return query->row_count;
}

/* Of many records at one place the one of a row is looked for, not each of them asked. */
START_TEST(a_list_looks_for_the_record_of_a_row)
{
    struct jobq_query query = {.size = sizeof query, .states = 1u << JOBQ_RUNNING | 1u << JOBQ_READY, .limit = 10};
    struct jobq_store *s = fresh();
    put_many(s, 1, 808, NULL);
    for (int i = 0; i < 100; i++)
        claim(s, BATCH_LEAST);
    ck_assert_int_eq(batches("true"), 100);
    sqlite3_stmt *list = s->statements[SQL_READ_ALL];
    sqlite3_stmt_status(list, SQLITE_STMTSTATUS_VM_STEP, 1);
    query.after = id_of(780);
    ck_assert_uint_eq(rows_read(s, &query), 10);
    int steps = sqlite3_stmt_status(list, SQLITE_STMTSTATUS_VM_STEP, 1);
    ck_assert_msg(steps < 1500, "%d steps", steps);
    query.states = 1u << JOBQ_READY;
    query.after = id_of(0);
    ck_assert_uint_eq(rows_read(s, &query), 8);
    close_sound(s);
}
END_TEST

/* ---- who leaves ----------------------------------------------------------------------------------------------- */

START_TEST(one_that_fails_leaves_and_the_others_stay)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, MANY, NULL);
    struct jobq_change failed = end_of(&claim(s, MANY)[10]);
    failed.outcome = JOBQ_OUTCOME_FAIL;
    failed.state = JOBQ_ROW_DEAD;
    failed.set = JOBQ_ADD_ERROR;
    failed.error = text("no");
    change(s, failed, JOBQ_OK);
    ck_assert_int_eq(jobs("n = 11 AND state = 5 AND attempt = 1 AND worker = x'77' AND length(token) = 16"), 1);
    ck_assert_int_eq(jobs("state = 3 AND list = 0 AND attempt = 1 AND place = started_at + 60000"), BATCH_LEAST - 1);
    ck_assert_int_eq(in_batches(), MANY - BATCH_LEAST);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_RUNNING), MANY - 1);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_DEAD), 1);
    close_sound(s);
}
END_TEST

/* No record is left with fewer than would begin one, whoever leaves in whatever order. */
START_TEST(all_leave_one_by_one)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, MANY + 3, NULL);
    const struct jobq_row *rows = claim(s, MANY + 3);
    for (int i = 0; i < MANY + 3; i++) {
        struct jobq_change one = end_of(&rows[i * 5 % (MANY + 3)]);
        one.set = JOBQ_SET_RESULT;
        one.result = text("r");
        change(s, one, JOBQ_OK);
        ck_assert_int_eq(batches("last - first + 1 < 8"), 0);
    }
    ck_assert_int_eq(batches("true"), 0);
    ck_assert_int_eq(jobs("state = 4 AND result = x'72'"), MANY + 3);
    close_sound(s);
}
END_TEST

/* Ends that are not written yet, and one beside them that leaves. */
START_TEST(an_end_with_a_result_among_plain_ones)
{
    struct jobq_store *s = fresh();
    struct jobq_change changes[MANY];
    struct jobq_exchange x = {.changes = changes, .change_count = MANY};
    put_many(s, 1, MANY, NULL);
    const struct jobq_row *rows = claim(s, MANY);
    for (int i = 0; i < MANY; i++)
        changes[i] = end_of(&rows[i]);
    changes[10].set = JOBQ_SET_RESULT;
    changes[10].result = text("r");
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(changes[i].verdict, JOBQ_OK);
    ck_assert_int_eq(jobs("n = 11 AND state = 4 AND result = x'72'"), 1);
    ck_assert_int_eq(jobs("state = 3"), 0);
    ck_assert_int_eq(batches("list = 0"), 0);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_COMPLETED), MANY);
    close_sound(s);
}
END_TEST

START_TEST(a_parent_leaves_before_it_has_a_child)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, MANY, NULL);
    const struct jobq_row *rows = claim(s, MANY);
    const struct jobq_parent parent = {.id = rows[3].id, .rule = JOBQ_PARENT_CANCEL};
    struct jobq_put child = {.id = id_of(900), .queue = text("q"), .kind = text("k"), .only_if = -1, .parents = &parent,
                             .parent_count = 1};
    struct jobq_exchange x = {.puts = &child, .put_count = 1};
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_int_eq(child.state, JOBQ_ROW_BLOCKED);
    ck_assert_int_eq(jobs("n = 4 AND state = 3 AND list = 0"), 1);
    end(s, rows, MANY, 0);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_READY), 1);
    ck_assert_int_eq(jobs("true"), 1);
    close_sound(s);
}
END_TEST

/* One that waits for nobody any more still names its parents, and how they are. */
START_TEST(a_parent_is_shown_as_its_record_says)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, MANY, NULL);
    const struct jobq_parent parent = {.id = id_of(5), .rule = JOBQ_PARENT_CANCEL};
    struct jobq_put child = {.id = id_of(900), .queue = text("q"), .kind = text("k"), .only_if = -1, .parents = &parent,
                             .parent_count = 1};
    struct jobq_exchange x = {.puts = &child, .put_count = 1};
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    change(s, (struct jobq_change){.id = child.id, .by = JOBQ_BY_OPERATOR, .allowed = JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED),
                                   .edits = JOBQ_ANY_EDITS, .outcome = JOBQ_OUTCOME_VOID, .state = JOBQ_ROW_CANCELLED,
                                   .reason = JOBQ_REASON_DEPENDENCY}, JOBQ_OK);
    claim(s, MANY);
    ck_assert_int_eq(batches("5 BETWEEN first AND last"), 1);
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_error err = {0};
    struct jobq_query query = {.size = sizeof query, .ids = &child.id, .id_count = 1, .limit = 1, .flags = JOBQ_READ_PARENTS};
    ck_assert_int_eq(jobq_sqlite()->read(s, &query, arena, &err), JOBQ_OK);
    ck_assert_uint_eq(query.row_count, 1);
    ck_assert_uint_eq(query.rows[0].parent_count, 1);
    ck_assert_int_eq(query.rows[0].parents[0].state, JOBQ_ROW_RUNNING);
    jobq_arena_destroy(arena);
    close_sound(s);
}
END_TEST

/* ---- leases ------------------------------------------------------------------------------------------------------ */

static void beat(struct jobq_store *s, const struct jobq_row *row, uint32_t flags, size_t held)
{
    struct jobq_beat one = {.token = row->token, .lease_ms = 60000, .flags = flags};
    struct jobq_exchange x = {.beats = &one, .beat_count = 1};
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_uint_eq(one.held, held);
}

START_TEST(a_beat_is_one_write)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, MANY, NULL);
    const struct jobq_row *rows = claim(s, MANY);
    hand_pass(&hand, 40000);
    beat(s, rows, 0, MANY);
    ck_assert_int_eq(batches("list = 0 AND place = started_at + 100000"), 1);
    ck_assert_int_eq(jobs("state = 3"), 0);
    hand_pass(&hand, 59999);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_OVERDUE, 5, 60000, NULL), 0);
    beat(s, rows, JOBQ_BEAT_RELEASE, MANY);
    ck_assert_int_eq(batches("true"), 0);
    ck_assert_int_eq(jobs("state = 2 AND attempt = 1 AND list % 16 = 1"), MANY);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_READY), MANY);
    close_sound(s);
}
END_TEST

START_TEST(a_lease_that_is_over_is_told_and_swept)
{
    struct jobq_store *s = fresh();
    struct jobq_exchange x = {0};
    put_many(s, 1, MANY, NULL);
    claim(s, MANY);
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_int_eq(x.next_due_ms, x.now_ms + 60000);
    hand_pass(&hand, 59999);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_OVERDUE, 5, 60000, NULL), 0);
    hand_pass(&hand, 1);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_OVERDUE, 5, 60000, NULL), 5);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_OVERDUE, 100, 60000, NULL), MANY - 5);
    ck_assert_int_eq(batches("true"), 0);
    ck_assert_int_eq(jobs("state = 3 AND attempt = 1 AND flags & 64"), MANY);
    close_sound(s);
}
END_TEST

START_TEST(a_clock_that_is_lifted_takes_leases_along)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, MANY, NULL);
    claim(s, MANY);
    hand_pass(&hand, 2000);
    hand.wall_ms += 7200000;
    store_now(s);
    ck_assert_int_eq(batches("list = 0 AND place = started_at + 7260000"), 1);
    close_sound(s);
}
END_TEST

START_TEST(a_lease_of_before_the_machine_started_is_over)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, 2 * MANY, NULL);
    end(s, claim(s, MANY), MANY, 100);
    claim(s, MANY);
    store_close(s);
    hand_set(&hand, boots[1], 10, WALL + 3000);
    s = store_open("a.db", NULL, &hand);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_OVERDUE, 100, 60000, NULL), MANY);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_COMPLETED), MANY);
    close_sound(s);
}
END_TEST

/* ---- retention -------------------------------------------------------------------------------------------------------- */

START_TEST(the_first_of_a_record_go_first)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, 2 * MANY, NULL);
    const struct jobq_row *rows = claim(s, 2 * MANY);
    end(s, rows, MANY, 100);
    hand_pass(&hand, 10);
    end(s, rows + MANY, MANY, MANY + 5);
    ck_assert_int_eq(jobs("n < 20"), 0);
    ck_assert_int_eq(jobs("n >= 20"), MANY + 5);
    ck_assert_int_eq(in_batches(), MANY + 5);
    ck_assert_int_eq(batches("first = 20 AND last = 24"), 1);
    ck_assert_int_eq(sql_value("a.db", "SELECT sum(completed_trimmed) FROM jobq_tally"), MANY - 5);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_COMPLETED), MANY + 5);
    close_sound(s);
}
END_TEST

/* At one instant those with the least ids go first, whether they are rows or stand in a record. */
START_TEST(rows_and_records_are_merged_by_their_ids)
{
    for (int special = 1; special <= 2 * MANY; special += 9) {
        struct jobq_store *s = fresh();
        struct jobq_change changes[2 * MANY];
        struct jobq_exchange x = {.changes = changes, .change_count = 2 * MANY, .trim = {.limit = 1000}};
        put_many(s, 1, 2 * MANY, NULL);
        const struct jobq_row *rows = claim(s, 2 * MANY);
        for (int i = 0; i < 2 * MANY; i++)
            changes[i] = end_of(&rows[i]);
        changes[special - 1].set = JOBQ_SET_RESULT;
        changes[special - 1].result = text("r");
        for (int i = 0; i < 8; i++)
            x.trim.keep_count[i] = 30;
        ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
        ck_assert_int_eq(jobs("n <= 18"), 0);
        ck_assert_int_eq(jobs("n > 18"), 30);
        ck_assert_uint_eq(rows_in(s, "q", JOBQ_COMPLETED), 30);
        close_sound(s);
        sql("a.db", "DELETE FROM jobq_batch; DELETE FROM jobq_job; UPDATE jobq_tally SET completed = 0");
    }
}
END_TEST

/* Ids that do not rise with arrival. */
START_TEST(ids_in_no_order_leave_before_some_of_them_go)
{
    struct jobq_store *s = fresh();
    static struct jobq_put puts[MANY];
    struct jobq_exchange x = {.puts = puts, .put_count = MANY};
    for (int i = 0; i < MANY; i++)
        puts[i] = (struct jobq_put){.id = id_of(1000 - i), .queue = text("q"), .kind = text("k"), .only_if = -1};
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    end(s, claim(s, MANY), MANY, 10);
    ck_assert_int_eq(jobs("n <= 10"), 10);
    ck_assert_int_eq(jobs("true"), 10);
    close_sound(s);
}
END_TEST

/* The first has the least id and the last one the greatest, and between them they fall. */
START_TEST(ids_in_no_order_within_a_record)
{
    struct jobq_store *s = fresh();
    static struct jobq_put puts[MANY];
    struct jobq_exchange x = {.puts = puts, .put_count = MANY};
    for (int i = 0; i < MANY; i++)
        puts[i] = (struct jobq_put){.id = id_of(i == 0 || i == MANY - 1 ? i + 1 : MANY - i), .queue = text("q"),
                                    .kind = text("k"), .only_if = -1};
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    end(s, claim(s, MANY), MANY, 10);
    ck_assert_int_eq(jobs("n BETWEEN 2 AND 10 OR n = 24"), 10);
    ck_assert_int_eq(jobs("true"), 10);
    close_sound(s);
}
END_TEST

START_TEST(large_payloads_go_with_their_rows)
{
    static char large[5000];
    struct jobq_store *s = fresh();
    const struct jobq_put odd = {.payload = {large, sizeof large}};
    put_many(s, 1, MANY, &odd);
    const struct jobq_row *rows = claim(s, MANY);
    ck_assert_int_eq(batches("true"), 1);
    ck_assert_uint_eq(rows[12].payload.size, sizeof large);
    ck_assert_int_eq(count("bulk", "true"), 1);
    end(s, rows, MANY, 0);
    ck_assert_int_eq(count("bulk", "true"), 0);
    ck_assert_int_eq(jobs("true"), 0);
    close_sound(s);
}
END_TEST

/* By their number, a thousand rows with each exchange at most. */
START_TEST(records_of_what_ended_are_bounded)
{
    enum { SIZE = BATCH_LEAST, MORE = 10, MOST = 256 };
    struct jobq_store *s = fresh();
    s->ended_most = MOST;
    put_many(s, 1, 2000, NULL);
    end(s, claim(s, 1000), 1000, -1);
    end(s, claim(s, 1000), 1000, -1);
    for (int i = 0; i < MOST + MORE; i++) {
        hand_pass(&hand, 10);
        put_many(s, 2001 + SIZE * i, SIZE, NULL);
        end(s, claim(s, SIZE), SIZE, -1);
        ck_assert_int_le(batches("true"), MOST + MOST / 64);
    }
    ck_assert_int_ge(batches("true"), MOST);
    /* To count them takes as long as there are many, so it is not done each time. */
    ck_assert_int_le(sqlite3_stmt_status(s->statements[SQL_BATCH_COUNT], SQLITE_STMTSTATUS_RUN, 0), (MOST + MORE) / 2);
    ck_assert_int_eq(jobs("state = 4 AND n <= 2000"), 2000);
    ck_assert_int_eq(in_batches(), SIZE * batches("true"));
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_COMPLETED), 2000 + SIZE * (MOST + MORE));
    close_sound(s);
}
END_TEST

/* Where the front is not known, a claim looks at all records: so there are fewer of them. */
START_TEST(there_are_fewer_where_others_write)
{
    enum { SIZE = 10, ROUNDS = BATCH_PASSED_MOST + 30 };
    struct jobq_store *a = fresh(), *b = store_open("a.db", NULL, &hand);
    for (int i = 0; i < ROUNDS; i++) {
        hand_pass(&hand, 10);
        put_many(b, 1 + SIZE * i, SIZE, NULL);
        end(a, claim(a, SIZE), SIZE, -1);
    }
    ck_assert_int_le(batches("true"), BATCH_PASSED_MOST + 10);
    ck_assert_uint_eq(rows_in(a, "q", JOBQ_COMPLETED), SIZE * ROUNDS);
    put_many(a, 1 + SIZE * ROUNDS, SIZE * ROUNDS, NULL);
    const struct jobq_row *rows = claim(a, SIZE);
    for (int i = 1; i < ROUNDS; i++)
        rows = end_and_claim(a, rows, SIZE);
    ck_assert_int_gt(batches("true"), BATCH_PASSED_MOST + ROUNDS / 2);
    store_close(b);
    close_sound(a);
}
END_TEST

START_TEST(small_steps_use_old_records_up)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, 104, NULL);
    end(s, claim(s, 100), 100, -1);
    ck_assert_int_eq(in_batches(), 100);
    const struct jobq_row *rows = claim(s, 1);
    ck_assert_int_eq(in_batches(), 100 - BATCH_AT_ONCE);
    ck_assert_int_eq(ack_job(s, rows), JOBQ_OK);
    ck_assert_int_eq(in_batches(), 0);
    ck_assert(!s->clock.batches);
    ck_assert_int_eq(jobs("state = 4"), 101);
    close_sound(s);
}
END_TEST

/* ---- the file, and other handles ----------------------------------------------------------------------------------------- */

START_TEST(a_store_of_the_first_version_is_brought_up)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, MANY, NULL);
    claim(s, 3);
    store_close(s);
    sql("a.db", "ALTER TABLE jobq_lane DROP COLUMN front_place; ALTER TABLE jobq_lane DROP COLUMN front_n;"
                "ALTER TABLE jobq_lane DROP COLUMN early; DROP TABLE jobq_batch; UPDATE jobq_meta SET version = 1");
    s = store_open("a.db", NULL, &hand);
    ck_assert_int_eq(sql_value("a.db", "SELECT version FROM jobq_meta"), SCHEMA_VERSION);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_RUNNING), 3);
    claim(s, MANY - 3);
    ck_assert_int_eq(in_batches(), MANY - 3);
    close_sound(s);
}
END_TEST

/* One handle claims, another ends and reads; what the first remembers must not mislead it. */
START_TEST(two_handles_see_one_record)
{
    struct jobq_store *a = fresh(), *b = store_open("a.db", NULL, &hand);
    put_many(a, 1, MANY, NULL);
    const struct jobq_row *rows = claim(a, MANY);
    ck_assert_uint_eq(rows_in(b, "q", JOBQ_RUNNING), MANY);
    ck_assert_uint_eq(claim_jobs(b, "q", JOBQ_WANT_DUE, MANY, 60000, NULL), 0);
    end(b, rows, 16, 0);
    ck_assert_int_eq(ack_job(a, &rows[0]), JOBQ_STALE);
    struct jobq_change late = end_of(&rows[20]);
    late.set = JOBQ_SET_RESULT;
    late.result = text("r");
    change(b, late, JOBQ_OK);
    ck_assert_int_eq(ack_job(a, &rows[20]), JOBQ_ALREADY);
    ck_assert_int_eq(ack_job(a, &rows[21]), JOBQ_OK);
    ck_assert_int_eq(jobs("state = 4"), 2);
    store_close(b);
    close_sound(a);
}
END_TEST

/* The commit of a claim fails: the next one may draw the same token for other rows. */
START_TEST(a_claim_that_was_undone_is_forgotten)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, MANY, NULL);
    sq_tx_begin_write(s);
    const struct held_row undone = {.id = id_of(500), .n = 1, .line = 1, .rank = WALL};
    const struct jobq_token token = {.bytes = {1}};
    sq_batch_hold(s, &token, &undone);
    sq_tx_rollback(s);
    for (size_t i = 0; i < HOLDS; i++)
        ck_assert_uint_eq(s->holds[i].count, 0);
    close_sound(s);
}
END_TEST

KIT_MAIN("batch", what_came_together_is_claimed_and_ended_by_one_record, few_are_written_themselves,
         what_is_special_is_a_row, what_has_run_before_is_a_row, groups_and_events_count_each_row,
         limits_count_the_members_of_records, rates_count_the_members_of_records,
         events_tell_of_rows_of_a_record, later_ones_are_found_before_and_between, nothing_is_written_where_only_records_are,
         groups_in_turn_pass_by, a_claim_jumps_over_a_record, a_row_that_comes_before_the_front_is_found,
         numbers_that_are_given_again_stand_before_the_front, a_claim_begins_behind_old_records,
         statistics_begin_behind_records, a_list_looks_for_the_record_of_a_row,
         one_that_fails_leaves_and_the_others_stay, all_leave_one_by_one, an_end_with_a_result_among_plain_ones,
         a_parent_leaves_before_it_has_a_child,
         a_parent_is_shown_as_its_record_says, a_beat_is_one_write, a_lease_that_is_over_is_told_and_swept,
         a_clock_that_is_lifted_takes_leases_along, a_lease_of_before_the_machine_started_is_over,
         the_first_of_a_record_go_first, rows_and_records_are_merged_by_their_ids,
         ids_in_no_order_leave_before_some_of_them_go,
         ids_in_no_order_within_a_record, large_payloads_go_with_their_rows,
         records_of_what_ended_are_bounded, there_are_fewer_where_others_write, small_steps_use_old_records_up,
         a_store_of_the_first_version_is_brought_up,
         two_handles_see_one_record, a_claim_that_was_undone_is_forgotten)
