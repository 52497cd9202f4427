/* SPDX-License-Identifier: MIT */
/* Rows of groups in records (batch.c): they stay in the lists of their lanes, and the front of a lane says up to where. What
 * a lane counts, and that its front hides nothing that waits, is looked at after every step; lifecycle rule 10. */
#include "kit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { GROUPS = 12, MANY = 24 };

static struct hand hand;

static struct jobq_store *fresh(void)
{
    hand_set(&hand, "0f8fad5b-d9cb-469f-a165-70867728950e", 5000, 1767225600000);
    return store_open("a.db", "synchronous=normal", &hand);
}

static struct jobq_bytes text(const char *words)
{
    return (struct jobq_bytes){.data = words, .size = strlen(words)};
}

static struct jobq_id id_of(int number)
{
    return (struct jobq_id){.bytes = {[14] = (uint8_t)(number >> 8), [15] = (uint8_t)number}};
}

static int number_of(const struct jobq_row *row)
{
    return row->id.bytes[14] << 8 | row->id.bytes[15];
}

static int64_t count(const char *table, const char *where)
{
    char query[300];
    snprintf(query, sizeof query, "SELECT count(*) FROM jobq_%s WHERE %s", table, where);
    return sql_value("a.db", query);
}

/* ---- what has to be ---------------------------------------------------------------------------------------- */

#define MEMBER_OF                                                                                                       \
    "jobq_batch AS b WHERE b.queue = -j.queue AND b.rank = j.place AND j.n BETWEEN b.first AND b.last AND j.list = -j.lane"

static int64_t in_records(void)
{
    return sql_value("a.db", "SELECT coalesce(sum(last - first + 1), 0) FROM jobq_batch WHERE queue < 0");
}

static int64_t running(void)
{
    return sql_value("a.db", "SELECT sum(running) FROM jobq_lane");
}

static void sound(void)
{
    static const char *const none[] = {
        /* of lanes that count wrongly what runs */
        "SELECT count(*) FROM jobq_lane AS l WHERE l.running <>"
        " (SELECT count(*) FROM jobq_job AS j WHERE j.lane = l.id AND j.state = 3) +"
        " (SELECT count(*) FROM jobq_job AS j JOIN " MEMBER_OF " AND b.list = 0 AND j.lane = l.id)",
        /* of records that are not whole */
        "SELECT count(*) FROM jobq_batch AS b WHERE b.last - b.first + 1 <> (SELECT count(*) FROM jobq_job AS j"
        " WHERE j.n BETWEEN b.first AND b.last AND j.list = iif(b.queue > 0, 16 * b.queue + 1, -j.lane)"
        " AND j.queue = abs(b.queue) AND j.place = b.rank AND j.state = 2 AND j.token IS NULL)",
        /* of members behind the front of their lane */
        "SELECT count(*) FROM jobq_job AS j JOIN jobq_lane AS l ON l.id = j.lane WHERE EXISTS (SELECT 1 FROM " MEMBER_OF ")"
        " AND (j.place, j.n) > (l.front_place, l.front_n)",
        /* of rows that wait before it, where nobody looks for them */
        "SELECT count(*) FROM jobq_job AS j JOIN jobq_lane AS l ON l.id = j.lane WHERE j.list = -l.id"
        " AND (j.place, j.n) <= (l.front_place, l.front_n) AND (l.early IS NULL OR j.place < l.early)"
        " AND NOT EXISTS (SELECT 1 FROM " MEMBER_OF ")",
        /* of lanes in which something waits, and that are in no circle */
        "SELECT count(*) FROM jobq_lane AS l WHERE ready = 0 AND EXISTS (SELECT 1 FROM jobq_job AS j WHERE j.list = -l.id"
        " AND NOT EXISTS (SELECT 1 FROM " MEMBER_OF "))",
        /* of queues that count wrongly what waits */
        "SELECT count(*) FROM jobq_tally AS t WHERE t.queue > 0 AND t.due <> (SELECT count(*) FROM jobq_job AS j"
        " WHERE j.queue = t.queue AND (j.list < 0 OR j.list IN (16 * t.queue + 1, 16 * t.queue + 2))"
        " AND NOT EXISTS (SELECT 1 FROM jobq_batch AS b WHERE j.n BETWEEN b.first AND b.last))",
    };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        ck_assert_msg(sql_value("a.db", none[i]) == 0, "%s", none[i]);
}

static void close_sound(struct jobq_store *s)
{
    store_close(s);
    sound();
    ck_assert_int_eq(sql_value("a.db", "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
}

/* ---- doing ------------------------------------------------------------------------------------------------- */

static struct jobq_put put_of(int number, int group)
{
    static const char names[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return (struct jobq_put){.id = id_of(number),
                             .queue = text("q"),
                             .kind = text("k"),
                             .group = {&names[group], 1},
                             .payload = text("p"),
                             .only_if = -1};
}

static void put(struct jobq_store *s, struct jobq_put *puts, size_t count)
{
    struct jobq_exchange x = {.puts = puts, .put_count = count};
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(puts[i].verdict, JOBQ_OK);
}

/* Numbered from `first` on, of so many groups in turn. */
static void put_many(struct jobq_store *s, int first, int count, int groups)
{
    static struct jobq_put puts[2000];
    for (int i = 0; i < count; i++)
        puts[i] = put_of(first + i, i % groups);
    put(s, puts, (size_t)count);
}

static void put_one(struct jobq_store *s, struct jobq_put one)
{
    put(s, &one, 1);
}

static const struct jobq_row *claim(struct jobq_store *s, size_t count)
{
    const struct jobq_row *rows;
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, count, 60000, &rows), count);
    sound();
    return rows;
}

/* All that may start, up to 100. */
static int64_t start(struct jobq_store *s)
{
    size_t starts = claim_jobs(s, "q", JOBQ_WANT_DUE, 100, 60000, NULL);
    sound();
    return (int64_t)starts;
}

static void is_first(struct jobq_store *s, int number)
{
    const struct jobq_row *rows = claim(s, 1);
    ck_assert_int_eq(number_of(&rows[0]), number);
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

static struct jobq_change back_of(const struct jobq_row *row)
{
    struct jobq_change back = end_of(row);
    back.outcome = JOBQ_OUTCOME_RELEASE;
    back.state = JOBQ_ROW_WAITING;
    return back;
}

static void change(struct jobq_store *s, struct jobq_change one)
{
    struct jobq_exchange x = {.changes = &one, .change_count = 1};
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_int_eq(one.verdict, JOBQ_OK);
    sound();
}

/* In one exchange, with retention that keeps so many. */
static void end(struct jobq_store *s, const struct jobq_row *rows, size_t count, int64_t keep)
{
    static struct jobq_change changes[3000];
    struct jobq_exchange x = {.changes = changes, .change_count = count, .trim = {.limit = 10000}};
    for (size_t i = 0; i < count; i++)
        changes[i] = end_of(&rows[i]);
    for (int i = 0; i < 8; i++)
        x.trim.keep_count[i] = keep;
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(changes[i].verdict, JOBQ_OK);
    sound();
}

static void limit_groups(struct jobq_store *s, int64_t concurrency)
{
    struct jobq_error err = {0};
    const struct jobq_settings settings = {.size = sizeof settings, .what = JOBQ_CONFIGURE_GROUP, .group = text(""),
                                           .set = JOBQ_SETTING_CONCURRENCY, .concurrency = concurrency};
    ck_assert_int_eq(jobq_sqlite()->configure(s, &settings, &err), JOBQ_OK);
}

/* ---- when there is a record ---------------------------------------------------------------------------- */

START_TEST(what_groups_get_together_is_claimed_and_ended_by_records)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, MANY, GROUPS);
    const struct jobq_row *rows = claim(s, MANY);
    ck_assert_int_eq(count("batch", "queue = -1 AND list = 0 AND last - first = 11"), 2); /* twice round the circle */
    ck_assert_int_eq(count("job", "state = 2 AND list = -lane AND token IS NULL"), MANY);
    ck_assert_int_eq(running(), MANY);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_RUNNING), MANY);
    ck_assert_int_eq(start(s), 0);
    hand_pass(&hand, 1000);
    end(s, rows, MANY, 100);
    ck_assert_int_eq(count("batch", "queue = -1 AND list % 16 = 4 AND last - first = 11"), 2);
    ck_assert_int_eq(count("job", "state = 2 AND list = -lane AND token IS NULL"), MANY);
    ck_assert_int_eq(running(), 0);
    ck_assert_int_eq(start(s), 0);
    put_many(s, 101, 8, 8);
    end(s, claim(s, 8), 8, 0);
    ck_assert_int_eq(count("job", "true") + in_records(), 0);
    close_sound(s);
}
END_TEST

/* They are given in the order of the groups, and come back in that order: neither is that of their numbers. */
START_TEST(records_are_by_number_and_ends_in_turn)
{
    static const int groups[] = {3, 7, 0, 5, 1, 6, 2, 4, 11, 9, 10, 8};
    struct jobq_put puts[GROUPS];
    struct jobq_store *s = fresh();
    for (int i = 0; i < GROUPS; i++)
        puts[i] = put_of(1 + i, groups[i]);
    put(s, puts, GROUPS);
    const struct jobq_row *rows = claim(s, GROUPS);
    for (int i = 0; i < GROUPS; i++)
        ck_assert_int_eq(rows[i].group.data ? *(const char *)rows[i].group.data - 'A' : -1, i);
    ck_assert_int_eq(count("batch", "first = 1 AND last = 12 AND queue = -1"), 1);
    sqlite3_stmt *looks = s->statements[SQL_JOB_GUARD];
    sqlite3_stmt_status(looks, SQLITE_STMTSTATUS_RUN, 1);
    end(s, rows, GROUPS, 100);
    ck_assert_int_eq(sqlite3_stmt_status(looks, SQLITE_STMTSTATUS_RUN, 1), 0); /* the handle knows what it claimed */
    ck_assert_int_eq(count("batch", "first = 1 AND last = 12 AND list % 16 = 4"), 1);
    ck_assert_int_eq(running(), 0);
    close_sound(s);
}
END_TEST

/* Several of a group in each turn, too. */
START_TEST(a_group_has_several_members)
{
    const struct jobq_bytes name = text("q");
    struct jobq_store *s = fresh();
    put_many(s, 1, 36, 3);
    struct jobq_want want = {.mode = JOBQ_WANT_DUE, .queues = &name, .queue_count = 1, .limit = 30, .share = 10,
                             .lease_ms = 60000, .worker = text("w"), .mint = {1}};
    struct jobq_exchange x = {.want = &want};
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_uint_eq(want.row_count, 30);
    sound();
    ck_assert_int_eq(count("batch", "queue = -1 AND first = 1 AND last = 30"), 1);
    ck_assert_int_eq(count("lane", "running = 10 AND front_n = 30"), 3);
    end(s, want.rows, 17, 100);
    ck_assert_int_eq(running(), 13);
    ck_assert_int_eq(start(s), 6);
    end(s, want.rows + 17, 13, 100);
    ck_assert_int_eq(running(), 6);
    close_sound(s);
}
END_TEST

/* What a claim passes by stays, so a member behind it would be behind the front. */
START_TEST(behind_what_is_passed_by_there_is_no_record)
{
    const struct jobq_bytes name = text("q"), kind = text("k");
    struct jobq_put others[GROUPS];
    struct jobq_store *s = fresh();
    for (int i = 0; i < GROUPS; i++) {
        others[i] = put_of(100 + i, i);
        others[i].kind = text("other");
    }
    put(s, others, GROUPS);
    put_many(s, 1, MANY, GROUPS);
    struct jobq_want want = {.mode = JOBQ_WANT_DUE, .queues = &name, .queue_count = 1, .kinds = &kind, .kind_count = 1,
                             .limit = GROUPS, .lease_ms = 60000, .worker = text("w"), .mint = {1}};
    struct jobq_exchange x = {.want = &want};
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_uint_eq(want.row_count, GROUPS);
    sound();
    ck_assert_int_eq(in_records(), 0);
    ck_assert_int_eq(number_of(&claim(s, GROUPS)[0]), 100);
    ck_assert_int_eq(in_records(), GROUPS);
    ck_assert_int_eq(start(s), GROUPS);
    close_sound(s);
}
END_TEST

/* What is too late is given as it is, and still stands there. */
START_TEST(behind_what_is_too_late_there_is_no_record)
{
    struct jobq_put late[GROUPS];
    struct jobq_store *s = fresh();
    for (int i = 0; i < GROUPS; i++) {
        late[i] = put_of(100 + i, i);
        late[i].expires_at = (struct jobq_time){JOBQ_TIME_NOW, 500};
    }
    put(s, late, GROUPS);
    put_many(s, 1, MANY, GROUPS);
    hand_pass(&hand, 1000);
    const struct jobq_row *rows = claim(s, 2 * GROUPS);
    for (int i = 0; i < 2 * GROUPS; i++)
        ck_assert_int_eq(rows[i].overdue, i < GROUPS ? JOBQ_OVERDUE_EXPIRED : JOBQ_OVERDUE_NONE);
    ck_assert_int_eq(in_records(), 0);
    ck_assert_int_eq(running(), GROUPS);
    const struct jobq_bytes name = text("q");
    struct jobq_want want = {.mode = JOBQ_WANT_DUE, .queues = &name, .queue_count = 1, .limit = 100, .share = 2,
                             .lease_ms = 60000, .worker = text("w"), .mint = {1}}; /* both of a group in one turn */
    struct jobq_exchange x = {.want = &want};
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_uint_eq(want.row_count, 2 * GROUPS);
    sound();
    ck_assert_int_eq(in_records(), 0);
    ck_assert_int_eq(running(), 2 * GROUPS);
    close_sound(s);
}
END_TEST

/* ---- rule 10: what runs is counted, however it came to run and whatever becomes of it --------------------------- */

START_TEST(limits_hold_while_members_go_one_by_one)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, 6 * GROUPS, GROUPS);
    limit_groups(s, 2);
    const struct jobq_row *rows = claim(s, 2 * GROUPS);
    ck_assert_int_eq(in_records(), 2 * GROUPS);
    ck_assert_int_eq(start(s), 0);
    change(s, end_of(&rows[0])); /* ends by itself */
    ck_assert_int_eq(start(s), 1);
    change(s, back_of(&rows[1])); /* is given back, and comes first again */
    is_first(s, number_of(&rows[1]));
    struct jobq_change failed = end_of(&rows[2]);
    failed.outcome = JOBQ_OUTCOME_FAIL;
    failed.state = JOBQ_ROW_DEAD;
    change(s, failed);
    ck_assert_int_eq(start(s), 1);
    struct jobq_change cancel = {.id = rows[3].id, .by = JOBQ_BY_OPERATOR, .allowed = JOBQ_ROW_BIT(JOBQ_ROW_RUNNING),
                                 .edits = JOBQ_ANY_EDITS, .state = JOBQ_ROW_KEEP, .set = JOBQ_SET_CANCEL_ASKED};
    change(s, cancel); /* is touched, and runs on */
    ck_assert_int_eq(start(s), 0);
    struct jobq_change drop = {.id = rows[4].id, .by = JOBQ_BY_OPERATOR, .allowed = JOBQ_ROW_BIT(JOBQ_ROW_RUNNING),
                               .edits = JOBQ_ANY_EDITS, .state = JOBQ_ROW_GONE};
    change(s, drop);
    ck_assert_int_eq(start(s), 1);
    ck_assert_int_eq(running(), 2 * GROUPS);
    close_sound(s);
}
END_TEST

/* A limit counts what runs of a group in all queues, from when it comes into a second one, whoever puts it there. */
START_TEST(a_group_comes_into_another_queue)
{
    const char *const other[] = {"p", "o"};
    struct jobq_store *a = fresh(), *b = store_open("a.db", "synchronous=normal", &hand);
    put_many(a, 1, 4 * GROUPS, GROUPS);
    limit_groups(a, 2);
    claim(a, GROUPS);
    for (int i = 0; i < 2; i++) {
        struct jobq_put puts[GROUPS];
        for (int k = 0; k < GROUPS; k++) {
            puts[k] = put_of(100 + 100 * i + k, k);
            puts[k].queue = text(other[i]);
        }
        put(i ? a : b, puts, GROUPS);
        ck_assert_uint_eq(claim_jobs(i ? a : b, other[i], JOBQ_WANT_DUE, GROUPS, 60000, NULL), GROUPS);
        ck_assert_int_eq(running(), (2 + i) * GROUPS);
        ck_assert_int_eq(start(a), 0);
        ck_assert_int_eq(start(b), 0);
        limit_groups(b, 3 + i);
    }
    ck_assert_int_eq(start(a), GROUPS);
    store_close(b);
    close_sound(a);
}
END_TEST

/* By one handle, in the exchange in which it serves them. */
START_TEST(a_group_comes_into_another_queue_meanwhile)
{
    const struct jobq_bytes names[] = {text("q"), text("p")};
    struct jobq_put puts[GROUPS];
    struct jobq_store *s = fresh();
    put_many(s, 1, 2 * GROUPS, GROUPS);
    limit_groups(s, 1);
    ck_assert_int_eq(start(s), GROUPS);
    for (int k = 0; k < GROUPS; k++) {
        puts[k] = put_of(100 + k, k);
        puts[k].queue = text("p");
    }
    struct jobq_want want = {.mode = JOBQ_WANT_DUE, .queues = names, .queue_count = 2, .limit = 100, .lease_ms = 60000,
                             .worker = text("w"), .mint = {1}};
    struct jobq_exchange x = {.puts = puts, .put_count = GROUPS, .want = &want};
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_uint_eq(want.row_count, 0);
    limit_groups(s, 2);
    ck_assert_int_eq(start(s), GROUPS);
    close_sound(s);
}
END_TEST

START_TEST(a_lease_that_is_over_frees_its_slots)
{
    const struct jobq_row *rows;
    struct jobq_store *s = fresh();
    put_many(s, 1, 2 * MANY, GROUPS);
    limit_groups(s, 2);
    claim(s, MANY);
    hand_pass(&hand, 61000);
    ck_assert_int_eq(start(s), 0);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_OVERDUE, 100, 60000, &rows), MANY);
    sound();
    ck_assert_int_eq(running(), MANY);
    for (int i = 0; i < MANY; i++) {
        struct jobq_change lost = end_of(&rows[i]);
        lost.outcome = JOBQ_OUTCOME_FAIL;
        lost.state = JOBQ_ROW_WAITING;
        change(s, lost);
    }
    ck_assert_int_eq(running(), 0);
    ck_assert_int_eq(start(s), MANY);
    ck_assert_int_eq(start(s), 0);
    close_sound(s);
}
END_TEST

START_TEST(beats_extend_a_record_and_give_it_back)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, 2 * GROUPS, GROUPS);
    limit_groups(s, 1);
    const struct jobq_row *rows = claim(s, GROUPS);
    struct jobq_beat beat = {.token = rows[0].token, .lease_ms = 90000};
    struct jobq_exchange x = {.beats = &beat, .beat_count = 1};
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_uint_eq(beat.held, GROUPS);
    ck_assert_int_eq(in_records(), GROUPS);
    ck_assert_int_eq(start(s), 0);
    beat.flags = JOBQ_BEAT_RELEASE;
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_uint_eq(beat.held, GROUPS);
    sound();
    ck_assert_int_eq(running(), 0);
    rows = claim(s, GROUPS);
    for (int i = 0; i < GROUPS; i++)
        ck_assert_int_eq(number_of(&rows[i]), 1 + i); /* those that were given back */
    ck_assert_int_eq(in_records(), 0);
    end(s, rows, GROUPS, 100);
    end(s, claim(s, GROUPS), GROUPS, 100);
    ck_assert_int_eq(in_records(), GROUPS);
    ck_assert_int_eq(count("lane", "early IS NOT NULL"), 0); /* nobody looks before the front any more */
    ck_assert_int_eq(running(), 0);
    close_sound(s);
}
END_TEST

/* ---- what comes before the front ------------------------------------------------------------------------------- */

START_TEST(a_row_that_comes_before_the_front_is_found)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, MANY, GROUPS);
    end(s, claim(s, GROUPS), GROUPS, 100);
    struct jobq_put urgent = put_of(100, 0), later = put_of(101, 0);
    urgent.rank_add_ms = -9000;
    later.rank_add_ms = -8000;
    later.run_at = (struct jobq_time){JOBQ_TIME_NOW, 1000};
    put_one(s, urgent);
    sound();
    put_one(s, later);
    is_first(s, 100);
    is_first(s, 1 + GROUPS);
    hand_pass(&hand, 2000);
    is_first(s, 101);
    ck_assert_int_eq(start(s), GROUPS - 1);
    ck_assert_int_eq(start(s), 0);
    ck_assert_int_eq(count("lane", "ready = 1 OR early IS NOT NULL"), 0);
    close_sound(s);
}
END_TEST

/* It waits again where it was put, between members, at one place with them. */
START_TEST(what_is_given_back_is_found_among_members)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, 10 * GROUPS, GROUPS);
    const struct jobq_row *rows = claim(s, 8 * GROUPS);
    change(s, back_of(&rows[3 * GROUPS + 5]));
    change(s, back_of(&rows[6 * GROUPS + 5]));
    change(s, back_of(&rows[3 * GROUPS + 7]));
    const struct jobq_row *again = claim(s, 4);
    ck_assert_int_eq(number_of(&again[0]), 8 * GROUPS + 1);
    ck_assert_int_eq(number_of(&claim(s, GROUPS)[0]), 9 * GROUPS + 1);
    ck_assert_int_eq(start(s), 2 * GROUPS + 3 - 4 - GROUPS);
    ck_assert_int_eq(running(), 10 * GROUPS);
    close_sound(s);
}
END_TEST

/* When the rows with the greatest numbers are gone, theirs are given again. */
START_TEST(numbers_that_are_given_again_stand_before_the_front)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, MANY, GROUPS);
    end(s, claim(s, MANY), MANY, 0);
    ck_assert_int_eq(count("job", "true"), 0);
    put_many(s, 101, GROUPS, GROUPS);
    ck_assert_int_eq(count("job", "n <= 12"), GROUPS);
    ck_assert_int_eq(start(s), GROUPS);
    close_sound(s);
}
END_TEST

/* How much a claim looks at must not grow with the members before the front, whoever took them. */
START_TEST(members_before_the_front_cost_nothing)
{
    struct jobq_store *a = fresh(), *b = store_open("a.db", "synchronous=normal", &hand);
    const enum sql walks[] = {SQL_LANE_ROWS, SQL_LANE_NEXT, SQL_DUE_ROWS, SQL_DUE_ROWS_SAME, SQL_DUE_LIST, SQL_DUE_LIST_SAME,
                              SQL_BATCH_PASSED, SQL_BATCH_PASSED_SAME, SQL_BATCH_FIND};
    int steps[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        put_many(a, 1 + 1500 * i, 1500, GROUPS);
        end(a, claim(a, i ? 2940 - MANY : MANY), i ? 2940 - MANY : MANY, -1);
        for (size_t k = 0; k < sizeof walks / sizeof *walks; k++)
            sqlite3_stmt_status(b->statements[walks[k]], SQLITE_STMTSTATUS_VM_STEP, 1);
        claim(b, GROUPS);
        for (size_t k = 0; k < sizeof walks / sizeof *walks; k++)
            steps[i] += sqlite3_stmt_status(b->statements[walks[k]], SQLITE_STMTSTATUS_VM_STEP, 1);
    }
    ck_assert_int_gt(in_records(), 2500);
    ck_assert_msg(steps[1] <= steps[0] + steps[0] / 10, "%d steps, then %d", steps[0], steps[1]);
    store_close(b);
    close_sound(a);
}
END_TEST

/* Who has to look before the front often has fewer records to look past, as where others write. */
START_TEST(long_ways_before_the_front_are_counted)
{
    struct jobq_store *s = fresh();
    struct jobq_put early = put_of(5000, 0);
    for (int i = 0; i < BATCH_PASSED_MOST + 20; i++) {
        put_many(s, 1 + 8 * i, 8, 8);
        const struct jobq_row *rows;
        ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 8, 60000, &rows), 8);
        struct jobq_change changes[8];
        struct jobq_exchange x = {.changes = changes, .change_count = 8};
        for (int k = 0; k < 8; k++)
            changes[k] = end_of(&rows[k]);
        ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
        hand_pass(&hand, 10);
    }
    ck_assert_int_eq(count("batch", "true"), BATCH_PASSED_MOST + 20);
    early.rank_add_ms = -100000;
    s->long_walks = 0;
    put_one(s, early);
    is_first(s, 5000);
    put_one(s, put_of(5001, 0));
    is_first(s, 5001);
    ck_assert_int_gt(s->long_walks, 0);
    close_sound(s);
}
END_TEST

/* ---- who reads ------------------------------------------------------------------------------------------------- */

START_TEST(statistics_pass_members_by)
{
    struct jobq_stats stats = {.size = sizeof stats};
    const struct jobq_bytes name = text("q");
    struct jobq_error err = {0};
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_store *s = fresh();
    put_many(s, 1, MANY, GROUPS);
    hand_pass(&hand, 5000);
    put_many(s, 101, 7, 7);
    const struct jobq_row *rows = claim(s, MANY);
    ck_assert_int_eq(jobq_sqlite()->stats(s, &name, &stats, arena, &err), JOBQ_OK);
    ck_assert_uint_eq(stats.kind_count, 1);
    ck_assert_uint_eq(stats.kinds[0].ready, 7);
    ck_assert_int_eq(stats.queues[0].oldest_ready_at_ms, 1767225605000);
    change(s, back_of(&rows[3]));
    ck_assert_int_eq(jobq_sqlite()->stats(s, &name, &stats, arena, &err), JOBQ_OK);
    ck_assert_uint_eq(stats.kinds[0].ready, 8);
    ck_assert_int_eq(stats.queues[0].oldest_ready_at_ms, 1767225600000);
    hand_pass(&hand, 61000);
    ck_assert_int_eq(jobq_sqlite()->stats(s, &name, &stats, arena, &err), JOBQ_OK);
    ck_assert_uint_eq(stats.queues[0].stuck, MANY - 1);
    jobq_arena_destroy(arena);
    close_sound(s);
}
END_TEST

/* What ran and waited in a store of the version before goes on where it was. */
START_TEST(a_store_of_the_second_version_is_brought_up)
{
    struct jobq_store *s = fresh();
    put_many(s, 1, 7 * 5, 7); /* too few at a time for a record */
    const struct jobq_row *rows = claim(s, 14);
    ck_assert_int_eq(in_records(), 0);
    store_close(s);
    sql("a.db", "ALTER TABLE jobq_lane DROP COLUMN front_place; ALTER TABLE jobq_lane DROP COLUMN front_n;"
                "ALTER TABLE jobq_lane DROP COLUMN early; UPDATE jobq_meta SET version = 2");
    s = store_open("a.db", NULL, &hand);
    ck_assert_int_eq(sql_value("a.db", "SELECT version FROM jobq_meta"), SCHEMA_VERSION);
    sound();
    ck_assert_int_eq(running(), 14);
    end(s, rows, 14, 100);
    ck_assert_int_eq(start(s), 21);
    put_many(s, 101, GROUPS, GROUPS);
    claim(s, GROUPS);
    ck_assert_int_eq(in_records(), GROUPS);
    close_sound(s);
}
END_TEST

/* ---- anything at any time ---------------------------------------------------------------------------------------- */

static uint32_t dice;

static int roll(int sides)
{
    dice = dice * 1664525u + 1013904223u;
    return (int)((uint64_t)dice * (uint32_t)sides >> 32);
}

struct held {
    struct jobq_row row;
    bool runs;
};

static void some_puts(struct jobq_store *s, int *next)
{
    struct jobq_put puts[40];
    int some = roll(4) ? GROUPS + roll(28) : 1 + roll(7), rank = roll(8) ? 0 : roll(3000) - 1500, step = roll(3) ? 1 : 1 + roll(GROUPS), wait = roll(3);
    for (int i = 0; i < some; i++) {
        puts[i] = put_of((*next)++, i * step % GROUPS);
        puts[i].rank_add_ms = rank;
        puts[i].run_at = (struct jobq_time){JOBQ_TIME_NOW, wait || roll(8) ? 0 : 500 + roll(2000)};
        puts[i].kind = text(wait || roll(40) ? "k" : "other");
    }
    put(s, puts, (size_t)some);
    sound();
}

static size_t some_claim(struct jobq_store *s, struct held *held, size_t count)
{
    const struct jobq_bytes name = text("q"), kind = text(roll(4) ? "k" : "other");
    static uint8_t mint;
    struct jobq_want want = {.mode = JOBQ_WANT_DUE, .queues = &name, .queue_count = 1, .kinds = &kind,
                             .kind_count = roll(4) == 0, .limit = (size_t)(1 + roll(60)), .share = roll(4) ? 1 : 3,
                             .lease_ms = 1000000, .worker = text("w"), .mint = {++mint, 9}};
    struct jobq_exchange x = {.want = &want};
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    sound();
    for (size_t i = 0; i < want.row_count; i++) {
        for (size_t k = 0; k < count; k++) /* nothing is given twice */
            ck_assert(!held[k].runs || memcmp(&held[k].row.id, &want.rows[i].id, sizeof want.rows->id) != 0);
        held[count++] = (struct held){want.rows[i], true};
    }
    return count;
}

static void some_ends(struct jobq_store *s, struct held *held, size_t count)
{
    struct jobq_change changes[60];
    struct jobq_exchange x = {.changes = changes, .trim = {.limit = (size_t)roll(60)}};
    size_t some = (size_t)(1 + roll(60)), from = (size_t)roll((int)count);
    for (int i = 0; i < 8; i++)
        x.trim.keep_count[i] = 30;
    for (size_t i = from; i < count && x.change_count < some; i++)
        if (held[i].runs && roll(10)) {
            changes[x.change_count++] = roll(40) ? end_of(&held[i].row) : back_of(&held[i].row);
            held[i].runs = false;
        }
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    for (size_t i = 0; i < x.change_count; i++)
        ck_assert_int_eq(changes[i].verdict, JOBQ_OK);
    sound();
}

static void anything(int seed)
{
    static struct held held[20000];
    struct jobq_store *s[2] = {fresh(), store_open("a.db", "synchronous=normal", &hand)};
    size_t given = 0;
    int met = 0;
    int next = 1;
    dice = (uint32_t)seed;
    for (int step = 0; step < 250; step++) {
        struct jobq_store *who = s[roll(8) == 0];
        int what = roll(10);
        if (what < 3)
            some_puts(who, &next);
        else if (what < 6)
            given = some_claim(who, held, given);
        else if (what < 9 && given)
            some_ends(who, held, given);
        else
            hand_pass(&hand, roll(700));
        met += in_records() > 0;
    }
    ck_assert_int_gt(met, 15);
    for (size_t i = 0; i < given; i++)
        if (held[i].runs)
            change(s[0], end_of(&held[i].row));
    hand_pass(&hand, 10000);
    for (size_t starts = 1; starts;) {
        starts = claim_jobs(s[0], "q", JOBQ_WANT_DUE, 100, 1000000, NULL);
        sound();
    }
    ck_assert_int_eq(count("job", "state = 2 AND NOT EXISTS (SELECT 1 FROM jobq_batch AS b"
                                  " WHERE jobq_job.n BETWEEN b.first AND b.last)"),
                     0);
    store_close(s[1]);
    close_sound(s[0]);
}

START_TEST(anything_at_any_time)
{
    for (int seed = 1; seed <= 3; seed++) {
        anything(seed);
        ck_assert_int_eq(unlink(in_folder("a.db")), 0);
    }
}
END_TEST

KIT_MAIN("lanes", what_groups_get_together_is_claimed_and_ended_by_records, records_are_by_number_and_ends_in_turn,
         a_group_has_several_members, behind_what_is_passed_by_there_is_no_record,
         behind_what_is_too_late_there_is_no_record, limits_hold_while_members_go_one_by_one,
         a_group_comes_into_another_queue, a_group_comes_into_another_queue_meanwhile,
         a_lease_that_is_over_frees_its_slots, beats_extend_a_record_and_give_it_back,
         a_row_that_comes_before_the_front_is_found, what_is_given_back_is_found_among_members,
         numbers_that_are_given_again_stand_before_the_front, members_before_the_front_cost_nothing, long_ways_before_the_front_are_counted,
         statistics_pass_members_by, a_store_of_the_second_version_is_brought_up, anything_at_any_time)
