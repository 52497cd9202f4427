/* SPDX-License-Identifier: MIT */
/* The retry budget of a queue: rule 3 of lifecycle.md. A service that everybody asks is down for a while and comes back. */
#include "unit.h"

#include "budget.h"

#include <string.h>

#define TICK_MS 100
#define MINUTE (60000 / TICK_MS)
#define BACK_OFF_MS 2000

enum { MINUTES = 90 };

/* What was tried, by minute; and what waits, by the tick in which it starts. */
struct load {
    int fresh[MINUTES], retries[MINUTES];
    int waiting[MINUTES * MINUTE];
    int left, beyond; /* retries that wait; that were put behind the end */
    int64_t line_ms;  /* the longest that one was put off */
};
static struct load load;

static void again(struct budget *b, int percent, int64_t now)
{
    int64_t at = now + BACK_OFF_MS, place = percent ? budget_take(b, percent, now) : now;

    if (at < place)
        at = place;
    if (at - now > load.line_ms)
        load.line_ms = at - now;
    if (at / TICK_MS >= MINUTES * MINUTE) {
        load.beyond++;
        return;
    }
    load.waiting[at / TICK_MS]++;
    load.left++;
}

/* `fresh` new jobs each second (below 0: one in so many seconds); everything fails until `down` minutes are over. */
static void run(int percent, int fresh, int down)
{
    struct budget b = { .any = false };

    memset(&load, 0, sizeof load);
    for (int tick = 0; tick < MINUTES * MINUTE; tick++) {
        int64_t now = (int64_t)tick * TICK_MS;
        int new_ones = fresh > 0 ? fresh * TICK_MS / 1000 : tick % (-fresh * 1000 / TICK_MS) == 0;
        int retries = load.waiting[tick];
        load.fresh[tick / MINUTE] += new_ones;
        load.retries[tick / MINUTE] += retries;
        load.left -= retries;
        for (int i = 0; i < new_ones + retries; i++)
            budget_ended(&b, now);
        for (int i = 0; i < new_ones + retries && tick < down * MINUTE; i++)
            again(&b, percent, now);
    }
}

/* The floor lets one pass each ten seconds. */
static void expect_within(int percent)
{
    for (int minute = 0; minute < MINUTES; minute++) {
        int all = load.fresh[minute] + load.retries[minute];
        ck_assert_msg(load.retries[minute] <= all * percent / 100 + 7, "minute %d: %d of %d are retries", minute,
                      load.retries[minute], all);
    }
}

START_TEST(rule_3_retries_stay_within_their_share)
{
    /* So long that the line does not come to an hour: it grows by 1 / share for each minute. */
    static const struct { int percent, down; } outages[] = { { 10, 5 }, { 20, 8 }, { 50, 20 } };

    for (size_t i = 0; i < sizeof outages / sizeof outages[0]; i++) {
        int percent = outages[i].percent;
        run(percent, 20, outages[i].down);
        expect_within(percent);
        ck_assert_int_gt(load.retries[4], 20 * 60 * percent / 100 / 2); /* and use a good part of it */
        ck_assert_int_eq(load.beyond, 0);
        ck_assert_int_eq(load.left, 0);
    }
}
END_TEST

START_TEST(rule_3_without_a_budget_they_come_as_often_as_they_fail)
{
    run(0, 20, 8);
    ck_assert_int_gt(load.retries[7], 10 * load.fresh[7]); /* all of them again and again */
    ck_assert_int_eq(load.line_ms, BACK_OFF_MS);
}
END_TEST

START_TEST(rule_3_nobody_is_put_off_for_longer_than_an_hour)
{
    run(1, 20, 80);
    ck_assert_int_eq(load.line_ms, BUDGET_LINE_MOST_MS);
}
END_TEST

START_TEST(rule_3_a_quiet_queue_tries_again_all_the_same)
{
    run(5, -30, 10);
    expect_within(5);
    ck_assert_int_ge(load.retries[9], 5); /* one each ten seconds */
    ck_assert_int_eq(load.left, 0);
}
END_TEST

START_TEST(rule_3_the_first_failure_after_a_while_does_not_wait)
{
    struct budget b = { .any = false };

    budget_ended(&b, 5000);
    ck_assert_int_eq(budget_take(&b, 1, 5000), 5000);
    ck_assert_int_eq(budget_take(&b, 1, 5000), 5000 + BUDGET_STEP_MOST_MS);
    ck_assert_int_eq(budget_take(&b, 100, 900000), 900000);
    for (int i = 0; i < 100000; i++) /* without any attempt, and still no further */
        ck_assert_int_le(budget_take(&b, 1, 900000), 900000 + BUDGET_LINE_MOST_MS);
    ck_assert_int_le(budget_take(&b, 100, INT64_MAX), INT64_MAX);
}
END_TEST

UNIT_MAIN("budget", rule_3_retries_stay_within_their_share, rule_3_without_a_budget_they_come_as_often_as_they_fail,
          rule_3_nobody_is_put_off_for_longer_than_an_hour, rule_3_a_quiet_queue_tries_again_all_the_same,
          rule_3_the_first_failure_after_a_while_does_not_wait)
