/* SPDX-License-Identifier: MIT */
/* Retention behind rows that must stay: it looks at 512 of the oldest at once, so what stays may be all that it saw. */
#include "kit.h"

enum { STAY = 1100, GO = 5, AT_ONCE = 550 };

static struct jobq_bytes text(const char *words)
{
    return (struct jobq_bytes){ .data = words, .size = strlen(words) };
}

static struct jobq_id id_of(uint8_t kind, uint32_t number)
{
    struct jobq_id id = { .bytes = { kind } };
    for (int i = 0; i < 4; i++)
        id.bytes[15 - i] = (uint8_t)(number >> 8 * i);
    return id;
}

static struct jobq_change death_of(struct jobq_id id)
{
    return (struct jobq_change){ .id = id, .by = JOBQ_BY_OPERATOR, .edits = JOBQ_ANY_EDITS, .state = JOBQ_ROW_DEAD,
                                 .allowed = JOBQ_ROW_BIT(JOBQ_ROW_WAITING), .reason = JOBQ_REASON_OPERATOR };
}

/* Dead rows; with: whose children still wait for somebody to judge them. */
static void dead_rows(struct jobq_store *s, uint8_t kind, uint32_t first, uint32_t count, bool with)
{
    static struct jobq_put puts[2 * AT_ONCE];
    static struct jobq_change changes[AT_ONCE];
    static struct jobq_parent parents[AT_ONCE];
    struct jobq_exchange x = { .puts = puts }, end = { .changes = changes };
    for (uint32_t i = 0; i < count; i++) {
        struct jobq_put put = { .id = id_of(kind, first + i), .queue = text("q"), .kind = text("k"), .payload = text("p"),
                                .only_if = -1 };
        puts[x.put_count++] = put;
        changes[end.change_count++] = death_of(put.id);
        parents[i] = (struct jobq_parent){ .id = put.id };
        put.id = id_of(9, first + i);
        put.queue = text("children");
        put.parents = &parents[i];
        put.parent_count = 1;
        if (with)
            puts[x.put_count++] = put;
    }
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_int_eq(exchange(s, &end), JOBQ_OK);
}

/* One more dies, and with it all may go that may. */
static void trim(struct jobq_store *s, uint32_t number, int64_t keep_ms)
{
    ck_assert_int_eq(put_job(s, number, "q", 1), JOBQ_OK);
    const struct jobq_row *rows;
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 1, 60000, &rows), 1);
    struct jobq_change dies = { .id = rows[0].id, .by = JOBQ_BY_TOKEN, .token = rows[0].token, .edits = JOBQ_ANY_EDITS,
                                .outcome = JOBQ_OUTCOME_FAIL, .state = JOBQ_ROW_DEAD, .reason = JOBQ_REASON_OPERATOR };
    struct jobq_exchange x = { .changes = &dies, .change_count = 1, .trim = { .limit = 20 } };
    for (int i = 0; i < 8; i++) {
        x.trim.keep_count[i] = keep_ms ? -1 : 0;
        x.trim.keep_ms[i] = keep_ms;
    }
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_int_eq(dies.verdict, JOBQ_OK);
}

/* Those that stay died each half at one instant, and those behind them later; with_age: retention goes by age, not by count. */
static void behind_what_stays(bool with_age)
{
    struct hand hand;
    hand_set(&hand, "0f8fad5b-d9cb-469f-a165-70867728950e", 5000, 1767225600000);
    struct jobq_store *s = store_open("trim.db", "synchronous=normal", &hand);
    for (uint32_t done = 0; done < STAY; done += AT_ONCE) {
        dead_rows(s, 1, done, AT_ONCE, true);
        hand_pass(&hand, 1000);
    }
    dead_rows(s, 2, 0, GO, false);
    hand_pass(&hand, 100000);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_DEAD), STAY + GO);
    trim(s, 7, with_age ? 50000 : 0);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_DEAD), STAY + with_age); /* who died last is young, and over a count of none */
    ck_assert_uint_eq(rows_in(s, "children", JOBQ_BLOCKED), STAY);
    store_close(s);
}

START_TEST(what_is_over_the_count)
{
    behind_what_stays(false);
}
END_TEST

START_TEST(what_is_over_the_age)
{
    behind_what_stays(true);
}
END_TEST

/* A key that holds for a time outlives its job, and still tells whether a put is the same. */
START_TEST(a_key_that_outlives_its_job)
{
    struct jobq_put_key key = { .scope = { 1 }, .payload_digest = { 2 }, .hold = JOBQ_HOLD_WINDOW, .window_ms = 3600000 };
    struct jobq_store *s = store_open("trim.db", NULL, NULL);
    const struct jobq_row *rows;
    struct jobq_put put = { .id = id_of(1, 1), .queue = text("q"), .kind = text("k"), .only_if = -1, .unique = &key };
    struct jobq_exchange x = { .puts = &put, .put_count = 1 };
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_int_eq(put.verdict, JOBQ_OK);
    ck_assert_int_eq(sql_value("trim.db", "SELECT length(digest) FROM jobq_key"), 0);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 1, 60000, &rows), 1);
    struct jobq_change ends = { .id = rows[0].id, .by = JOBQ_BY_TOKEN, .token = rows[0].token, .edits = JOBQ_ANY_EDITS,
                                .outcome = JOBQ_OUTCOME_COMPLETE, .state = JOBQ_ROW_COMPLETED };
    struct jobq_exchange end = { .changes = &ends, .change_count = 1, .trim = { .limit = 20 } };
    put.id = id_of(1, 2);
    for (int round = 0; round < 4; round++) {
        key.payload_digest[31] = (uint8_t)(round % 2);
        ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
        ck_assert_int_eq(put.verdict, JOBQ_DUPLICATE);
        ck_assert_int_eq(put.same_payload, round % 2 == 0);
        if (round == 1)
            ck_assert_int_eq(exchange(s, &end), JOBQ_OK);
    }
    ck_assert_int_eq(sql_value("trim.db", "SELECT count(*) FROM jobq_job"), 0);
    ck_assert_int_eq(sql_value("trim.db", "SELECT length(digest) FROM jobq_key"), 32);
    store_close(s);
}
END_TEST

/* Ends this one and asks for the next. true: there was one. */
static bool one_for_one(struct jobq_store *s, struct jobq_row *row)
{
    const struct jobq_bytes name = text("q");
    struct jobq_want want = { .mode = JOBQ_WANT_DUE, .queues = &name, .queue_count = 1, .limit = 1, .lease_ms = 60000,
                              .worker = text("w"), .mint = { 8 } };
    struct jobq_change ends = { .id = row->id, .by = JOBQ_BY_TOKEN, .token = row->token, .edits = JOBQ_ANY_EDITS,
                                .outcome = JOBQ_OUTCOME_COMPLETE, .state = JOBQ_ROW_COMPLETED };
    struct jobq_exchange x = { .changes = &ends, .change_count = 1, .want = &want,
                               .trim = { .limit = 18, .slack_part = 4, .slack_most = 16 } };
    for (int i = 0; i < 8; i++)
        x.trim.keep_count[i] = 8;
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_int_eq(ends.verdict, JOBQ_OK);
    if (want.row_count)
        *row = want.rows[0];
    return want.row_count > 0;
}

/* A quarter of eight may be over while there is another job to take; who took the last one leaves none. */
START_TEST(a_few_stay_while_jobs_are_taken)
{
    static const uint64_t kept[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 8, 9, 8 };
    enum { JOBS = sizeof kept / sizeof *kept };
    struct jobq_store *s = store_open("trim.db", "synchronous=normal", NULL);
    const struct jobq_row *rows;
    for (uint32_t i = 0; i < JOBS; i++)
        ck_assert_int_eq(put_job(s, i, "q", 1), JOBQ_OK);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 1, 60000, &rows), 1);
    struct jobq_row row = rows[0];
    for (int i = 0; i < JOBS; i++) {
        ck_assert_int_eq(one_for_one(s, &row), i < JOBS - 1);
        ck_assert_uint_eq(rows_in(s, "q", JOBQ_COMPLETED), kept[i]);
    }
    ck_assert_int_eq(sql_value("trim.db", "SELECT sum(completed_trimmed) FROM jobq_tally"), JOBS - 8);
    store_close(s);
}
END_TEST

KIT_MAIN("sqlite trim", what_is_over_the_count, what_is_over_the_age, a_key_that_outlives_its_job,
         a_few_stay_while_jobs_are_taken)
