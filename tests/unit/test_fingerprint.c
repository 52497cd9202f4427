/* SPDX-License-Identifier: MIT */
/* Rule 8: errors that differ in their numbers alone are one kind of error. */
#include "unit.h"

#include <string.h>

static void of_bytes(const char *text, size_t size, char out[JOBQ_FINGERPRINT_BYTES])
{
    const struct jobq_failure_entry log[] = { { .text = { "an older one 1", 14 } }, { .text = { text, size } } };
    const struct jobq_job job = { .failures_log = log, .failures_log_count = 2 };

    memset(out, 'x', JOBQ_FINGERPRINT_BYTES);
    jobq_error_fingerprint(&job, out);
}

static void is_fingerprint(const char *text, const char *wanted)
{
    char out[JOBQ_FINGERPRINT_BYTES];

    of_bytes(text, strlen(text), out);
    ck_assert_str_eq(out, wanted);
}

START_TEST(numbers_do_not_count)
{
    is_fingerprint("record 4711 is locked", "record # is locked");
    is_fingerprint("record 9 is locked", "record # is locked");
    is_fingerprint("0.25 of 17, 3", "#.# of #, #");
    is_fingerprint("order 3fa85f64-5717-4562-b3fc-2c963f66afa6", "order #-#-#-b3fc-#"); /* four are a word */
    is_fingerprint("at DEADBEEF12 and deadbeef", "at # and deadbeef");
    is_fingerprint("a1b2 is short", "a1b# is short");
    is_fingerprint("12", "#");
}
END_TEST

START_TEST(the_first_line_of_the_newest)
{
    const struct jobq_job none = { .failures_log_count = 0 };
    char out[JOBQ_FINGERPRINT_BYTES] = "x";

    is_fingerprint("first\nsecond", "first");
    is_fingerprint("", "");
    is_fingerprint("\nbehind", "");
    jobq_error_fingerprint(&none, out);
    ck_assert_str_eq(out, "");
    of_bytes("a\0b", 3, out);
    ck_assert_str_eq(out, "a?b");
    of_bytes(NULL, 0, out);
    ck_assert_str_eq(out, "");
    of_bytes("12345", 2, out); /* not a byte further than its length */
    ck_assert_str_eq(out, "#");
}
END_TEST

START_TEST(it_has_a_bound)
{
    char text[1000], out[JOBQ_FINGERPRINT_BYTES];

    memset(text, 'z', sizeof text);
    of_bytes(text, sizeof text, out);
    ck_assert_uint_eq(strlen(out), JOBQ_FINGERPRINT_BYTES - 1);
    memset(text, '7', sizeof text);
    of_bytes(text, sizeof text, out);
    ck_assert_str_eq(out, "#");
}
END_TEST

UNIT_MAIN("fingerprint", numbers_do_not_count, the_first_line_of_the_newest, it_has_a_bound)
