/* SPDX-License-Identifier: MIT */
/* What an outcome means, case by case. Each case names its rule of lifecycle.md. */
#include "unit.h"

#include <string.h>

static struct jobq_row row_with(int32_t failures, int32_t crashes)
{
    return (struct jobq_row){ .state = JOBQ_ROW_RUNNING, .attempt = 1, .failures = failures, .crashes = crashes,
                              .edits = 7, .ran_alone = 1 };
}

static struct jobq_change say(struct jobq_row row, int outcome, int64_t delay)
{
    struct verdict_said said = { .outcome = outcome, .has_delay = delay >= 0, .delay_ms = delay };
    struct jobq_change change;

    policy_outcome(&row, &said, 0, &change);
    return change;
}

START_TEST(rule_3_exponential_table)
{
    struct job_policy p;
    static const int64_t from_2[] = { 2000, 4000, 8000, 16000, 32000 }, from_5[] = { 5000, 10000, 20000, 40000 };

    job_policy_default(&p);
    p.jitter_percent = 0;
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(backoff_delay(&p, i + 1, 0), from_2[i]);
    p.base_ms = 5000;
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(backoff_delay(&p, i + 1, 0xffffffff), from_5[i]);
}
END_TEST

START_TEST(rule_3_other_kinds)
{
    struct job_policy p;

    job_policy_default(&p);
    p.jitter_percent = 0;
    p.backoff_kind = JOBQ_BACKOFF_FIXED;
    ck_assert_int_eq(backoff_delay(&p, 9, 0), 2000);
    p.backoff_kind = JOBQ_BACKOFF_LINEAR;
    ck_assert_int_eq(backoff_delay(&p, 3, 0), 6000);
    p.backoff_kind = JOBQ_BACKOFF_LIST;
    p.list_count = 2;
    p.list_ms[0] = 10;
    p.list_ms[1] = 70;
    ck_assert_int_eq(backoff_delay(&p, 1, 0), 10);
    ck_assert_int_eq(backoff_delay(&p, 2, 0), 70);
    ck_assert_int_eq(backoff_delay(&p, 9, 0), 70);
}
END_TEST

START_TEST(rule_3_saturates)
{
    struct job_policy p;

    job_policy_default(&p);
    ck_assert_int_eq(backoff_delay(&p, INT32_MAX, 0xffffffff), p.cap_ms);
    p.cap_ms = p.base_ms = MAX_MS;
    p.factor_percent = 10000;
    p.jitter_percent = 100;
    ck_assert_int_eq(backoff_delay(&p, INT32_MAX, 0xffffffff), MAX_MS);
    p.backoff_kind = JOBQ_BACKOFF_LINEAR;
    ck_assert_int_eq(backoff_delay(&p, INT32_MAX, 0), MAX_MS);
    p.base_ms = 10;
    p.cap_ms = 100; /* smaller than the factor in percent */
    p.backoff_kind = JOBQ_BACKOFF_EXPONENTIAL;
    p.factor_percent = 200;
    ck_assert_int_eq(backoff_delay(&p, 2, 0), 20);
}
END_TEST

START_TEST(rule_3_jitter_spreads_a_herd)
{
    struct job_policy p;
    int64_t low = INT64_MAX, high = 0;

    job_policy_default(&p);
    for (uint32_t i = 0; i < 1000; i++) {
        int64_t delay = backoff_delay(&p, 1, i * 4294967u);
        low = delay < low ? delay : low;
        high = delay > high ? delay : high;
    }
    ck_assert_int_ge(low, 2000);
    ck_assert_int_lt(low, 2010);
    ck_assert_int_le(high, 2200);
    ck_assert_int_gt(high, 2190);
}
END_TEST

START_TEST(rule_1_done)
{
    struct jobq_row row = row_with(2, 1);
    row.cancel_asked = 1; /* rule 6: a success still counts */
    struct jobq_change c = say(row, JOBQ_DONE, -1);

    ck_assert_int_eq(c.state, JOBQ_ROW_COMPLETED);
    ck_assert_int_eq(c.outcome, JOBQ_OUTCOME_COMPLETE);
    ck_assert_uint_eq(c.edits, JOBQ_ANY_EDITS);
}
END_TEST

START_TEST(rule_3_retry_then_dead)
{
    struct jobq_change c = say(row_with(0, 0), JOBQ_RETRY, -1);
    ck_assert_int_eq(c.state, JOBQ_ROW_WAITING);
    ck_assert_int_eq(c.failures, 1);
    ck_assert_int_eq(c.crashes, 0);
    ck_assert_int_eq(c.run_at.base, JOBQ_TIME_NOW);
    ck_assert_int_eq(c.run_at.offset_ms, 2000);
    ck_assert_uint_eq(c.edits, 7);
    c = say(row_with(1, 0), JOBQ_RETRY, 55);
    ck_assert_int_eq(c.run_at.offset_ms, 55);
    c = say(row_with(2, 2), JOBQ_RETRY, -1);
    ck_assert_int_eq(c.state, JOBQ_ROW_DEAD);
    ck_assert_int_eq(c.reason, JOBQ_REASON_ATTEMPTS);
    c = say(row_with(0, 0), JOBQ_GIVE_UP, -1);
    ck_assert_int_eq(c.reason, JOBQ_REASON_PERMANENT);
    ck_assert_int_eq(c.failures, 1);
    c = say(row_with(0, 0), 99, -1);
    ck_assert_int_eq(c.state, JOBQ_ROW_WAITING);
}
END_TEST

START_TEST(rule_6_soft_cancel_ends_every_other_outcome)
{
    static const int outcomes[] = { JOBQ_RETRY, JOBQ_GIVE_UP, JOBQ_SNOOZE, JOBQ_RELEASE, JOBQ_PARK };
    struct jobq_row row = row_with(0, 0);

    row.cancel_asked = 1;
    for (size_t i = 0; i < 5; i++) {
        struct jobq_change c = say(row, outcomes[i], 10);
        ck_assert_int_eq(c.state, JOBQ_ROW_CANCELLED);
        ck_assert_uint_eq(c.set & (JOBQ_SET_RUN_AT | JOBQ_SET_DEADLINE), 0);
    }
}
END_TEST

START_TEST(rule_7_release_and_snooze)
{
    struct jobq_row row = row_with(1, 1);
    struct jobq_change c = say(row, JOBQ_RELEASE, -1);

    ck_assert_int_eq(c.state, JOBQ_ROW_WAITING);
    ck_assert_uint_eq(c.set & JOBQ_SET_RUN_AT, 0); /* keeps its place */
    ck_assert_int_eq(c.releases, 1);
    ck_assert_int_eq(c.failures, 1);
    c = say(row, JOBQ_SNOOZE, 500);
    ck_assert_int_eq(c.snoozes, 1);
    ck_assert_int_eq(c.run_at.offset_ms, 500);
    row.releases = row.snoozes = 1000;
    ck_assert_int_eq(say(row, JOBQ_RELEASE, -1).reason, JOBQ_REASON_ATTEMPTS);
    ck_assert_int_eq(say(row, JOBQ_SNOOZE, 5).state, JOBQ_ROW_DEAD);
    row.releases = row.snoozes = INT32_MAX;
    ck_assert_int_eq(say(row, JOBQ_RELEASE, -1).releases, INT32_MAX);
}
END_TEST

START_TEST(rule_11_park)
{
    struct jobq_row row = row_with(0, 0);
    struct jobq_change c = say(row, JOBQ_PARK, 60000);

    ck_assert_int_eq(c.state, JOBQ_ROW_BLOCKED);
    ck_assert_int_eq(c.reason, JOBQ_REASON_CALLBACK);
    ck_assert_int_eq(c.callback_until.offset_ms, 60000);
    row.resumed = 1;
    c = say(row, JOBQ_PARK, 60000);
    ck_assert_int_eq(c.state, JOBQ_ROW_WAITING);
    ck_assert_int_eq(c.outcome, JOBQ_OUTCOME_PARK);
}
END_TEST

struct lost_case {
    int32_t failures, crashes;
    int alone;
    int want_state, want_reason, want_failures, want_crashes, want_alone, want_delay;
};

START_TEST(rule_4_lost_leases)
{
    static const struct lost_case cases[] = {
        /* f  c  alone  state             reason                 f  c  alone delay */
        { 0, 0, 1, JOBQ_ROW_WAITING, 0, 1, 1, 0, 0 },
        { 1, 1, 1, JOBQ_ROW_WAITING, 0, 2, 2, 1, 1 },
        { 2, 2, 1, JOBQ_ROW_DEAD, JOBQ_REASON_POISON, 3, 3, 1, 0 },
        { 2, 0, 1, JOBQ_ROW_DEAD, JOBQ_REASON_ATTEMPTS, 3, 1, 1, 0 },
        { 2, 1, 1, JOBQ_ROW_DEAD, JOBQ_REASON_ATTEMPTS, 3, 2, 1, 0 },
        { 0, 0, 0, JOBQ_ROW_WAITING, 0, 1, 1, 0, 0 },
        { 1, 1, 0, JOBQ_ROW_WAITING, 0, 2, 2, 1, 1 },
        { 2, 2, 0, JOBQ_ROW_WAITING, 0, 2, 2, 1, 1 }, /* in company never the last chance */
        { 2, 0, 0, JOBQ_ROW_WAITING, 0, 2, 1, 1, 0 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct lost_case *k = &cases[i];
        struct jobq_row row = row_with(k->failures, k->crashes);
        struct jobq_change c;
        row.overdue = JOBQ_OVERDUE_LEASE;
        row.ran_alone = (uint8_t)k->alone;
        policy_overdue(&row, 0, &c);
        ck_assert_msg(c.state == k->want_state && c.reason == k->want_reason, "case %zu", i);
        ck_assert_msg(c.failures == k->want_failures && c.crashes == k->want_crashes, "case %zu", i);
        ck_assert_msg(c.alone == k->want_alone, "case %zu", i);
        ck_assert_msg(!!(c.set & JOBQ_SET_RUN_AT) == k->want_delay, "case %zu", i);
        ck_assert_int_eq(c.error_kind, JOBQ_ERROR_LOST);
        ck_assert_int_eq(c.by, JOBQ_BY_TOKEN);
    }
}
END_TEST

START_TEST(rule_5_timeout_is_no_crash)
{
    struct jobq_row row = row_with(0, 0);
    struct jobq_change c;

    row.overdue = JOBQ_OVERDUE_TIMEOUT;
    policy_overdue(&row, 0, &c);
    ck_assert_int_eq(c.crashes, 0);
    ck_assert_int_eq(c.failures, 1);
    ck_assert_int_eq(c.run_at.offset_ms, 2000);
    row.failures = 2;
    policy_overdue(&row, 0, &c);
    ck_assert_int_eq(c.reason, JOBQ_REASON_TIMEOUT);
}
END_TEST

START_TEST(rows_nobody_holds_are_judged_by_edits)
{
    struct jobq_row row = row_with(2, 0);
    struct jobq_change c;

    row.state = JOBQ_ROW_BLOCKED;
    row.overdue = JOBQ_OVERDUE_CALLBACK;
    policy_overdue(&row, 0, &c);
    ck_assert_int_eq(c.by, JOBQ_BY_OPERATOR);
    ck_assert_int_eq(c.reason, JOBQ_REASON_CALLBACK_TIMEOUT);
    ck_assert_uint_eq(c.edits, 7);
    ck_assert(c.set & JOBQ_SET_CALLBACK);
    row.overdue = JOBQ_OVERDUE_EXPIRED;
    policy_overdue(&row, 0, &c);
    ck_assert_int_eq(c.reason, JOBQ_REASON_EXPIRED);
    ck_assert_uint_eq(c.allowed, JOBQ_ROW_BIT(JOBQ_ROW_BLOCKED) | JOBQ_ROW_BIT(JOBQ_ROW_WAITING));
}
END_TEST

START_TEST(rule_8_redrive_starts_anew)
{
    struct jobq_row row = row_with(3, 2);
    struct jobq_change c;

    row.state = JOBQ_ROW_DEAD;
    row.redrives = 4;
    policy_redrive(&row, &c);
    ck_assert_int_eq(c.failures + c.crashes + c.snoozes + c.releases, 0);
    ck_assert_int_eq(c.redrives, 5);
    ck_assert_uint_eq(c.set & JOBQ_TAKE_KEY, 0);
    row.key = (struct jobq_bytes){ "k", 1 };
    policy_redrive(&row, &c);
    ck_assert(c.set & JOBQ_TAKE_KEY);
}
END_TEST

START_TEST(rule_16_undecodable_rows_become_dead)
{
    struct jobq_row row = row_with(0, 0);
    struct jobq_change c;

    ck_assert(row_readable(&row));
    row.policy = (struct jobq_bytes){ "\xff\xff", 2 };
    ck_assert(!row_readable(&row));
    policy_undecodable(&row, &c);
    ck_assert_int_eq(c.reason, JOBQ_REASON_UNDECODABLE);
    ck_assert_int_eq(say(row, JOBQ_RETRY, -1).failures, 1); /* and the failure path does not fail on it (rule 15) */
}
END_TEST

START_TEST(rule_14_trim_is_bounded)
{
    struct keep_values keep;
    struct jobq_trim trim;

    keep_default(&keep);
    policy_trim(&keep, 0, &trim);
    ck_assert_uint_eq(trim.limit, 0);
    policy_trim(&keep, 1, &trim);
    ck_assert_uint_eq(trim.limit, 18);
    ck_assert_uint_eq(trim.slack_part, 128);
    ck_assert_uint_eq(trim.slack_most, 16);
    policy_trim(&keep, 1000, &trim);
    ck_assert_uint_eq(trim.limit, 512);
    ck_assert_int_eq(trim.keep_count[JOBQ_ROW_COMPLETED], 1000);
    ck_assert_int_eq(trim.keep_count[JOBQ_ROW_DEAD], 5000);
}
END_TEST

START_TEST(rule_15_counters_at_their_maximum)
{
    struct jobq_row row = row_with(INT32_MAX, INT32_MAX);
    struct jobq_change c;

    row.overdue = JOBQ_OVERDUE_LEASE;
    policy_overdue(&row, UINT32_MAX, &c);
    ck_assert_int_eq(c.failures, INT32_MAX);
    ck_assert_int_eq(c.state, JOBQ_ROW_DEAD);
    row.redrives = INT32_MAX;
    policy_redrive(&row, &c);
    ck_assert_int_eq(c.redrives, INT32_MAX);
}
END_TEST

UNIT_MAIN("policy", rule_3_exponential_table, rule_3_other_kinds, rule_3_saturates, rule_3_jitter_spreads_a_herd,
          rule_1_done, rule_3_retry_then_dead, rule_6_soft_cancel_ends_every_other_outcome,
          rule_7_release_and_snooze, rule_11_park, rule_4_lost_leases, rule_5_timeout_is_no_crash,
          rows_nobody_holds_are_judged_by_edits, rule_8_redrive_starts_anew, rule_16_undecodable_rows_become_dead,
          rule_14_trim_is_bounded, rule_15_counters_at_their_maximum)
