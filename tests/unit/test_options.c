/* SPDX-License-Identifier: MIT */
/* Policy bytes: what was written is read back; anything else is refused (rule 16: UNDECODABLE), never misread. */
#include "unit.h"

#include <string.h>

START_TEST(defaults_take_no_bytes)
{
    struct job_policy p, back;
    uint8_t bytes[JOB_POLICY_MAX_BYTES];

    job_policy_default(&p);
    ck_assert_uint_eq(job_policy_write(&p, bytes), 0);
    ck_assert(job_policy_read((struct jobq_bytes){ NULL, 0 }, &back));
    ck_assert_int_eq(back.max_attempts, 3);
    ck_assert_int_eq(back.jitter_percent, 10);
}
END_TEST

static struct job_policy longest(void)
{
    struct job_policy p = { .max_attempts = COUNT_MAX, .max_crashes = COUNT_MAX, .max_snoozes = COUNT_MAX,
                            .max_releases = COUNT_MAX, .backoff_kind = JOBQ_BACKOFF_LIST, .factor_percent = 10000,
                            .jitter_percent = 100, .base_ms = MAX_MS, .cap_ms = MAX_MS, .list_count = 32 };
    for (int i = 0; i < 32; i++)
        p.list_ms[i] = MAX_MS - i;
    return p;
}

START_TEST(the_longest_fits_and_comes_back)
{
    struct job_policy p = longest(), back;
    uint8_t bytes[JOB_POLICY_MAX_BYTES];
    size_t size = job_policy_write(&p, bytes);

    ck_assert_uint_le(size, sizeof bytes);
    ck_assert(job_policy_read((struct jobq_bytes){ bytes, size }, &back));
    ck_assert_int_eq(back.max_releases, COUNT_MAX);
    ck_assert_int_eq(back.list_ms[31], MAX_MS - 31);
    ck_assert_int_eq(back.cap_ms, MAX_MS);
}
END_TEST

START_TEST(every_shortened_form_is_refused)
{
    struct job_policy p = longest(), back;
    uint8_t bytes[JOB_POLICY_MAX_BYTES];
    size_t size = job_policy_write(&p, bytes);

    for (size_t cut = 1; cut < size; cut++)
        ck_assert(!job_policy_read((struct jobq_bytes){ bytes, cut }, &back));
    bytes[0] = 2; /* another version */
    ck_assert(!job_policy_read((struct jobq_bytes){ bytes, size }, &back));
}
END_TEST

START_TEST(random_bytes_never_pass_the_limits)
{
    uint8_t bytes[64];
    struct job_policy p;
    unsigned seed = 1;

    for (int round = 0; round < 200000; round++) {
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
        bytes[0] = 1;
        if (!job_policy_read((struct jobq_bytes){ bytes, 11 + (size_t)round % 50 }, &p))
            continue;
        ck_assert(p.max_attempts >= 1 && p.max_attempts <= COUNT_MAX && p.list_count <= 32 && p.base_ms >= 0);
    }
}
END_TEST

UNIT_MAIN("options", defaults_take_no_bytes, the_longest_fits_and_comes_back, every_shortened_form_is_refused,
          random_bytes_never_pass_the_limits)
