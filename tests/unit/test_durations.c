/* SPDX-License-Identifier: MIT */
/* Buckets of durations: each value in the one whose bounds enclose it, and quantiles near the truth. */
#include "unit.h"

static void lies_in_its_bucket(int64_t ms)
{
    int bucket = jobq_duration_bucket(ms);

    ck_assert_int_ge(bucket, 0);
    ck_assert_int_lt(bucket, JOBQ_DURATION_BUCKETS);
    ck_assert_msg(ms < jobq_duration_bound(bucket) || ms == INT64_MAX, "%lld in %d", (long long)ms, bucket);
    ck_assert_msg(bucket == 0 || ms >= jobq_duration_bound(bucket - 1), "%lld in %d", (long long)ms, bucket);
}

START_TEST(every_duration_has_the_bucket_that_encloses_it)
{
    for (int64_t ms = -2; ms < 5000; ms++)
        lies_in_its_bucket(ms);
    for (int shift = 2; shift < 63; shift++)
        for (int64_t near = -1; near <= 1; near++) {
            lies_in_its_bucket((INT64_C(1) << shift) + near);
            lies_in_its_bucket((INT64_C(1) << shift) + (INT64_C(1) << (shift - 1)) + near);
        }
    lies_in_its_bucket(INT64_MAX);
}
END_TEST

START_TEST(bounds_rise)
{
    for (int i = 0; i < JOBQ_DURATION_BUCKETS; i++)
        ck_assert_int_lt(jobq_duration_bound(i - 1), jobq_duration_bound(i));
    ck_assert_int_eq(jobq_duration_bound(JOBQ_DURATION_BUCKETS - 1), INT64_MAX);
}
END_TEST

static void add(struct jobq_durations *d, int64_t ms)
{
    d->count++;
    d->total_ms += ms;
    d->buckets[jobq_duration_bucket(ms)]++;
}

START_TEST(quantiles_are_right_within_a_quarter)
{
    struct jobq_durations even = { 0 }, steps = { 0 };

    for (int64_t ms = 1; ms <= 10000; ms++)
        add(&even, ms);
    for (int permille = 50; permille <= 1000; permille += 50) {
        int64_t truth = 10 * permille, said = jobq_durations_quantile(&even, permille);
        ck_assert_msg(said * 4 >= truth * 3 && said * 4 <= truth * 5, "p%d: %lld", permille, (long long)said);
    }
    for (int i = 0; i < 99; i++)
        add(&steps, 10);
    add(&steps, 60000);
    ck_assert_int_lt(jobq_durations_quantile(&steps, 500), 12);
    ck_assert_int_lt(jobq_durations_quantile(&steps, 990), 12);
    ck_assert_int_ge(jobq_durations_quantile(&steps, 995), 49152);
}
END_TEST

START_TEST(no_durations_no_quantile)
{
    struct jobq_durations none = { 0 }, last = { 0 };

    ck_assert_int_eq(jobq_durations_quantile(&none, 500), 0);
    add(&last, INT64_MAX);
    ck_assert_int_eq(jobq_durations_quantile(&last, 500), jobq_duration_bound(JOBQ_DURATION_BUCKETS - 2));
    ck_assert_int_eq(jobq_durations_quantile(&last, -5), jobq_durations_quantile(&last, 5000));
}
END_TEST

UNIT_MAIN("durations", every_duration_has_the_bucket_that_encloses_it, bounds_rise,
          quantiles_are_right_within_a_quarter, no_durations_no_quantile)
