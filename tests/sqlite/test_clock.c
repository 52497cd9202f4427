/* SPDX-License-Identifier: MIT */
/* The store's clock: looks like UTC, never goes back, takes no notice of steps of the wall clock (lifecycle.md, Clocks;
 * contract.md, SQLite clock). */
#include "kit.h"

#include <string.h>

#define WALL INT64_C(1700000000000)
#define BOOT "11111111-1111-1111-1111-111111111111"
#define NEXT_BOOT "22222222-2222-2222-2222-222222222222"

static struct hand hand;

static struct jobq_store *fresh(void)
{
    hand_set(&hand, BOOT, 5000, WALL);
    return store_open("a.db", NULL, &hand);
}

START_TEST(looks_like_utc_and_follows_the_monotonic_clock)
{
    struct jobq_store *s = fresh();
    ck_assert_int_eq(store_now(s), WALL);
    hand_pass(&hand, 1234);
    ck_assert_int_eq(store_now(s), WALL + 1234);
    store_close(s);
}
END_TEST

START_TEST(steps_of_the_wall_clock_are_not_followed)
{
    struct jobq_store *s = fresh();
    hand.wall_ms -= 3600000;
    hand.monotonic_ms += 10;
    ck_assert_int_eq(store_now(s), WALL + 10);
    hand.wall_ms = WALL + 59000;
    hand.monotonic_ms += 1990;
    ck_assert_int_eq(store_now(s), WALL + 2000);
    store_close(s);
    s = store_open("a.db", NULL, &hand);
    ck_assert_int_eq(store_now(s), WALL + 2000);
    store_close(s);
}
END_TEST

START_TEST(two_processes_agree)
{
    struct jobq_store *s = fresh();
    struct hand other;
    hand_pass(&hand, 100);
    hand_set(&other, BOOT, hand.monotonic_ms, WALL - 999999); /* another wall clock, a container's say */
    struct jobq_store *second = store_open("a.db", NULL, &other);
    ck_assert_int_eq(store_now(second), store_now(s));
    store_close(second);
    store_close(s);
}
END_TEST

START_TEST(never_goes_back_across_a_boot)
{
    struct jobq_store *s = fresh();
    hand_pass(&hand, 5000000);
    ck_assert_int_eq(store_now(s), WALL + 5000000);
    store_close(s);
    hand_set(&hand, NEXT_BOOT, 17, WALL - 777); /* the battery of its clock is empty */
    s = store_open("a.db", NULL, &hand);
    ck_assert_int_ge(store_now(s), WALL + 5000001);
    ck_assert_int_le(store_now(s), WALL + 5000002);
    hand_pass(&hand, 50);
    ck_assert_int_ge(store_now(s), WALL + 5000051);
    store_close(s);
}
END_TEST

START_TEST(a_boot_takes_up_the_wall_clock)
{
    struct jobq_store *s = fresh();
    store_close(s);
    hand_set(&hand, NEXT_BOOT, 17, WALL + 86400000);
    s = store_open("a.db", NULL, &hand);
    ck_assert_int_eq(store_now(s), WALL + 86400000);
    store_close(s);
}
END_TEST

/* Whoever held it is gone with the machine's memory. */
START_TEST(a_lease_of_an_earlier_boot_is_past)
{
    struct jobq_store *s = fresh();
    const struct jobq_row *rows;
    ck_assert_int_eq(put_job(s, 1, "q", 1), JOBQ_OK);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 5, 86400000, &rows), 1);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_OVERDUE, 5, 1000, NULL), 0);
    store_close(s);
    hand_set(&hand, NEXT_BOOT, 17, WALL + 10);
    s = store_open("a.db", NULL, &hand);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_OVERDUE, 5, 1000, &rows), 1);
    ck_assert_int_eq(rows[0].overdue, JOBQ_OVERDUE_LEASE);
    store_close(s);
}
END_TEST

START_TEST(opened_again_in_one_boot_a_lease_holds)
{
    struct jobq_store *s = fresh();
    const struct jobq_row *rows;
    ck_assert_int_eq(put_job(s, 1, "q", 1), JOBQ_OK);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 5, 10000, &rows), 1);
    struct jobq_row held = rows[0];
    store_close(s);
    hand_pass(&hand, 9999);
    s = store_open("a.db", NULL, &hand);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_OVERDUE, 5, 1000, NULL), 0);
    ck_assert_int_eq(ack_job(s, &held), JOBQ_OK);
    store_close(s);
}
END_TEST

/* Late network time, or a sleep: the clock is lifted, and with it what is left of the running leases stays the same. */
START_TEST(a_wall_clock_far_ahead_lifts_clock_and_leases)
{
    struct jobq_store *s = fresh();
    const struct jobq_row *rows;
    ck_assert_int_eq(put_job(s, 1, "q", 1), JOBQ_OK);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 5, 10000, &rows), 1);
    hand_pass(&hand, 4000);
    hand.wall_ms += 7200000;
    ck_assert_int_eq(store_now(s), WALL + 7204000);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_OVERDUE, 5, 1000, NULL), 0);
    hand_pass(&hand, 5999);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_OVERDUE, 5, 1000, NULL), 0);
    hand_pass(&hand, 1);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_OVERDUE, 5, 1000, NULL), 1);
    store_close(s);
}
END_TEST

START_TEST(a_lift_moves_the_stop_too)
{
    struct jobq_store *s = fresh();
    const struct jobq_row *rows;
    struct jobq_put put = { .id = { { 1 } }, .queue = { "q", 1 }, .kind = { "q", 1 }, .timeout_ms = 20000, .only_if = -1 };
    struct jobq_put never = { .id = { { 2 } }, .queue = { "q", 1 }, .kind = { "q", 1 }, .timeout_ms = INT64_MAX,
                              .only_if = -1 };
    struct jobq_put both[] = { put, never };
    struct jobq_exchange x = { .puts = both, .put_count = 2 };
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 5, 10000, &rows), 2);
    hand_pass(&hand, 2000);
    hand.wall_ms += 100000;
    ck_assert_int_eq(store_now(s), WALL + 102000);
    ck_assert_int_eq(sql_value("a.db", "SELECT min(stop_at) FROM jobq_job"), WALL + 120000);
    ck_assert_int_eq(sql_value("a.db", "SELECT max(stop_at) FROM jobq_job"), INT64_MAX);
    store_close(s);
}
END_TEST

START_TEST(another_time_domain_is_refused)
{
    struct jobq_store *s = fresh();
    hand_pass(&hand, 60000);
    store_now(s);
    struct hand other = hand;
    other.monotonic_ms -= 1999; /* two seconds are nothing */
    struct jobq_store *near = store_open("a.db", NULL, &other);
    ck_assert_int_eq(put_job(near, 1, "q", 1), JOBQ_OK);
    other.monotonic_ms -= 2;
    struct jobq_put put = { .id = { { 2 } }, .queue = { "q", 1 }, .kind = { "q", 1 }, .only_if = -1 };
    struct jobq_exchange x = { .puts = &put, .put_count = 1 };
    ck_assert_int_eq(exchange(near, &x), JOBQ_FAILED);
    ck_assert_int_eq(x.failure, JOBQ_FAILURE_REFUSED);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_READY), 1);
    struct jobq_error err;
    struct jobq_store *far;
    ck_assert_int_eq(store_try(&far, uri_of("a.db", NULL), 0, &other, &err), JOBQ_UNREACHABLE);
    ck_assert_ptr_nonnull(strstr(err.text, "another time"));
    store_close(near);
    store_close(s);
}
END_TEST

START_TEST(high_water_is_written_at_most_once_a_second)
{
    struct jobq_store *s = fresh();
    int64_t before = sql_value("a.db", "SELECT high FROM jobq_meta");
    int writes = 0;
    for (uint32_t i = 0; i < 500; i++) {
        hand_pass(&hand, 10);
        ck_assert_int_eq(put_job(s, i, "q", 1), JOBQ_OK);
        int64_t high = sql_value("a.db", "SELECT high FROM jobq_meta");
        writes += high != before;
        before = high;
    }
    ck_assert_int_ge(writes, 4);
    ck_assert_int_le(writes, 5);
    ck_assert_int_ge(before, WALL + 4000);
    store_close(s);
}
END_TEST

START_TEST(reading_writes_nothing)
{
    struct jobq_store *s = fresh();
    int64_t high = sql_value("a.db", "SELECT high FROM jobq_meta");
    hand_pass(&hand, 3600000);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_READY), 0);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 5, 1000, NULL), 0);
    ck_assert_int_eq(sql_value("a.db", "SELECT high FROM jobq_meta"), high);
    store_close(s);
}
END_TEST

START_TEST(the_shift_of_tests_is_stored)
{
    struct jobq_store *s = fresh();
    ck_assert_int_eq(add_clock(s, 1000000), JOBQ_OK);
    ck_assert_int_eq(store_now(s), WALL + 1000000);
    store_close(s);
    hand_pass(&hand, 5);
    s = store_open("a.db", NULL, &hand);
    ck_assert_int_eq(store_now(s), WALL + 1000005);
    ck_assert_int_eq(add_clock(s, 10), JOBQ_OK);
    ck_assert_int_eq(store_now(s), WALL + 1000015);
    store_close(s);
    hand_set(&hand, NEXT_BOOT, 1, WALL + 3000000);
    s = store_open("a.db", NULL, &hand);
    ck_assert_int_eq(store_now(s), WALL + 3000000 + 1000010);
    store_close(s);
}
END_TEST

/* Fences rise also when the file was lost: they begin at the clock in microseconds (lifecycle.md, Counters). */
START_TEST(fences_rise_across_a_wipe)
{
    const struct jobq_row *rows;
    struct jobq_store *s = fresh();
    ck_assert_int_eq(put_job(s, 1, "q", 1), JOBQ_OK);
    ck_assert_int_eq(put_job(s, 2, "q", 1), JOBQ_OK);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 1, 1000, &rows), 1);
    int64_t first = rows[0].fence;
    ck_assert_int_gt(first, WALL * 1000);
    ck_assert_int_lt(first, INT64_C(1) << 53);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 1, 1000, &rows), 1);
    ck_assert_int_gt(rows[0].fence, first);
    ck_assert_int_le(rows[0].fence, first + 16);
    first = rows[0].fence;
    store_close(s);
    hand_pass(&hand, 1);
    s = store_open("b.db", NULL, &hand);
    ck_assert_int_eq(put_job(s, 1, "q", 1), JOBQ_OK);
    ck_assert_uint_eq(claim_jobs(s, "q", JOBQ_WANT_DUE, 1, 1000, &rows), 1);
    ck_assert_int_gt(rows[0].fence, first);
    store_close(s);
}
END_TEST

/* A job is put and taken by one exchange, which asks nobody for the fence as long as it has some at hand. */
static int64_t fence_of_a_round(struct jobq_store *s, uint8_t number)
{
    const struct jobq_bytes q = { .data = "q", .size = 1 };
    struct jobq_want want = { .mode = JOBQ_WANT_DUE, .queues = &q, .queue_count = 1, .limit = 1, .lease_ms = 1000,
                              .worker = q };
    struct jobq_put put = { .id.bytes = { 1, number }, .queue = q, .kind = q, .only_if = -1 };
    struct jobq_exchange x = { .puts = &put, .put_count = 1, .want = &want };
    ck_assert_int_eq(exchange(s, &x), JOBQ_OK);
    ck_assert_uint_eq(want.row_count, 1);
    return want.rows[0].fence;
}

START_TEST(fences_rise_between_handles)
{
    enum { ROUNDS = 60 };
    struct jobq_store *a = fresh(), *b = store_open("a.db", NULL, &hand);
    int64_t last = fence_of_a_round(a, 0);
    sqlite3_stmt_status(a->statements[SQL_FENCE_SET], SQLITE_STMTSTATUS_RUN, 1);
    for (uint8_t i = 1; i < 16; i++)
        ck_assert_int_eq(fence_of_a_round(a, i), ++last);
    ck_assert_int_eq(sqlite3_stmt_status(a->statements[SQL_FENCE_SET], SQLITE_STMTSTATUS_RUN, 0), 0);
    for (uint8_t i = 16; i < ROUNDS; i++) {
        int64_t next = fence_of_a_round(i % 5 < 3 ? a : b, i);
        ck_assert_int_gt(next, last);
        ck_assert_int_le(next, last + 16);
        last = next;
    }
    store_close(a);
    store_close(b);
}
END_TEST

static size_t schedules_due(struct jobq_store *s, struct jobq_exchange *x, int64_t *clock)
{
    struct jobq_want want = { .mode = JOBQ_WANT_OVERDUE, .limit = 1, .lease_ms = 1000 };
    *x = (struct jobq_exchange){ .want = &want };
    ck_assert_int_eq(exchange(s, x), JOBQ_OK);
    if (clock && want.schedule_count)
        *clock = want.schedule_now_ms;
    x->want = NULL;
    return want.schedule_count;
}

/* People mean the clock on the wall when they say nine o'clock; a lease does not. */
START_TEST(schedules_go_by_the_wall_clock)
{
    struct jobq_store *s = fresh();
    struct jobq_exchange x;
    int64_t clock = 0;
    struct jobq_settings set = { .size = sizeof set, .what = JOBQ_CONFIGURE_SCHEDULE, .name = { "s", 1 },
                                 .set = JOBQ_SETTING_SCHEDULE | JOBQ_SETTING_NEXT, .schedule = { "x", 1 },
                                 .fired_ms = WALL, .next_ms = WALL + 5000 };
    ck_assert_int_eq(jobq_sqlite()->configure(s, &set, NULL), JOBQ_OK);
    ck_assert_uint_eq(schedules_due(s, &x, NULL), 0);
    ck_assert_int_eq(x.next_tick_ms, WALL + 5000);
    hand.wall_ms += 30000; /* set by somebody: the store's own clock takes no notice */
    ck_assert_uint_eq(schedules_due(s, &x, &clock), 1);
    ck_assert_int_eq(clock, WALL + 30000);
    ck_assert_int_eq(x.now_ms, WALL);
    ck_assert_int_eq(x.next_tick_ms, WALL - 25000);
    hand.wall_ms = WALL - 3600000;
    hand.monotonic_ms += 20000; /* an hour back: the time that it waits for is an hour away again */
    ck_assert_uint_eq(schedules_due(s, &x, NULL), 0);
    ck_assert_int_eq(x.now_ms, WALL + 20000);
    ck_assert_int_eq(x.next_tick_ms, WALL + 20000 + 3605000);
    ck_assert_int_eq(x.next_due_ms, x.next_tick_ms);
    ck_assert_int_eq(add_clock(s, 3605000), JOBQ_OK); /* the shift of tests moves both */
    ck_assert_uint_eq(schedules_due(s, &x, &clock), 1);
    ck_assert_int_eq(clock, WALL + 5000);
    store_close(s);
}
END_TEST

START_TEST(inspecting_before_anybody_opened_it_in_this_boot)
{
    struct jobq_store *s = fresh();
    struct jobq_error err;
    store_close(s);
    uint64_t before = digest_of("a.db");
    hand_set(&hand, NEXT_BOOT, 3, WALL + 1000);
    ck_assert_int_eq(store_try(&s, uri_of("a.db", NULL), JOBQ_OPEN_INSPECT, &hand, &err), JOBQ_OK);
    ck_assert_uint_eq(rows_in(s, "q", JOBQ_READY), 0);
    store_close(s);
    ck_assert_uint_eq(digest_of("a.db"), before);
}
END_TEST

KIT_MAIN("clock", looks_like_utc_and_follows_the_monotonic_clock, steps_of_the_wall_clock_are_not_followed,
         two_processes_agree, never_goes_back_across_a_boot, a_boot_takes_up_the_wall_clock,
         a_lease_of_an_earlier_boot_is_past, opened_again_in_one_boot_a_lease_holds,
         a_wall_clock_far_ahead_lifts_clock_and_leases, a_lift_moves_the_stop_too, another_time_domain_is_refused,
         high_water_is_written_at_most_once_a_second, reading_writes_nothing, the_shift_of_tests_is_stored,
         fences_rise_across_a_wipe, fences_rise_between_handles, schedules_go_by_the_wall_clock,
         inspecting_before_anybody_opened_it_in_this_boot)
