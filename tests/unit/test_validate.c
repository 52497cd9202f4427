/* SPDX-License-Identifier: MIT */
/* Rule 16: bad input names the field and the limit. Each row is one bad field; the good spec around it passes. */
#include "unit.h"

#include <string.h>

static struct jobq handle(void)
{
    return (struct jobq){ .options = { .payload_max_bytes = 100, .result_max_bytes = 100 } };
}

static struct jobq_spec good(void)
{
    return (struct jobq_spec){ .size = sizeof(struct jobq_spec), .queue = "q" };
}

static void refused(struct jobq_spec spec, const char *field)
{
    struct jobq q = handle();

    ck_assert_msg(check_spec(&q, &spec) == JOBQ_INVALID, "%s was taken", field);
    ck_assert_str_eq(jobq_last_error()->field, field);
    ck_assert_int_eq(jobq_last_error()->status, JOBQ_INVALID);
    ck_assert_msg(strstr(jobq_last_error()->text, field) != NULL, "%s", jobq_last_error()->text);
}

#define REFUSED(name, ...)                     \
    do {                                       \
        struct jobq_spec spec = good();        \
        __VA_ARGS__;                           \
        refused(spec, name);                   \
    } while (0)

static char long_name[257];

START_TEST(names)
{
    memset(long_name, 'x', 256);
    REFUSED("queue", spec.queue = NULL);
    REFUSED("queue", spec.queue = "");
    REFUSED("queue", spec.queue = long_name);
    REFUSED("queue", spec.queue = "a\nb");
    REFUSED("queue", spec.queue = "\x7f");
    REFUSED("queue", spec.queue = "caf\xe9");
    REFUSED("queue", spec.queue = "\xc0\xaf");     /* overlong */
    REFUSED("queue", spec.queue = "\xed\xa0\x80"); /* surrogate */
    REFUSED("queue", spec.queue = "\xf4\x90\x80\x80");
    REFUSED("queue", spec.queue = "ab\xe2\x82");
    REFUSED("kind", spec.kind = "");
    REFUSED("group", spec.group = long_name);
    REFUSED("trace", spec.trace = long_name);
}
END_TEST

START_TEST(numbers)
{
    REFUSED("priority", spec.priority = 32768);
    REFUSED("priority", spec.priority = -32769);
    REFUSED("delay_ms", spec.delay_ms = -1);
    REFUSED("delay_ms", spec.delay_ms = INT64_MAX);
    REFUSED("run_at_ms", spec.run_at_ms = INT64_MIN);
    REFUSED("run_at_ms", spec.run_at_ms = 5; spec.delay_ms = 5);
    REFUSED("expires_in_ms", spec.expires_in_ms = -5);
    REFUSED("timeout_ms", spec.timeout_ms = MAX_MS + 1);
    REFUSED("max_attempts", spec.max_attempts = -1);
    REFUSED("max_attempts", spec.max_attempts = 65536);
    REFUSED("max_crashes", spec.max_crashes = 70000);
    REFUSED("max_snoozes", spec.max_snoozes = -3);
    REFUSED("max_releases", spec.max_releases = 1 << 30);
    REFUSED("reserved", spec.reserved = 1);
}
END_TEST

START_TEST(bytes_and_keys)
{
    REFUSED("payload", spec.payload = (struct jobq_bytes){ long_name, 101 });
    REFUSED("payload", spec.payload = (struct jobq_bytes){ NULL, 1 });
    REFUSED("key", spec.key = (struct jobq_bytes){ "", 0 });
    REFUSED("key", spec.key = (struct jobq_bytes){ long_name, 1025 });
    REFUSED("key_scope", spec.key_scope = 4);
    REFUSED("key_hold", spec.key_hold = 5);
    REFUSED("key_conflict", spec.key_conflict = -1);
    REFUSED("key_window_ms", spec.key_hold = JOBQ_HOLD_WINDOW);
}
END_TEST

START_TEST(backoff)
{
    static const int64_t list[33] = { -1 };
    struct jobq_backoff b = { .size = sizeof b };
    struct jobq_spec spec = good();

    spec.backoff = &b;
    b.kind = 4;
    refused(spec, "backoff.kind");
    b = (struct jobq_backoff){ .size = sizeof b, .factor_percent = 99 };
    refused(spec, "backoff.factor_percent");
    b = (struct jobq_backoff){ .size = sizeof b, .jitter_percent = 101 };
    refused(spec, "backoff.jitter_percent");
    b = (struct jobq_backoff){ .size = sizeof b, .base_ms = -1 };
    refused(spec, "backoff.base_ms");
    b = (struct jobq_backoff){ .size = sizeof b, .kind = JOBQ_BACKOFF_LIST, .list_count = 33, .list_ms = list };
    refused(spec, "backoff.list_count");
    b.list_count = 1;
    refused(spec, "backoff.list_ms");
    b.list_ms = NULL;
    refused(spec, "backoff.list_ms");
    b = (struct jobq_backoff){ .size = 3 };
    refused(spec, "size");
}
END_TEST

START_TEST(parents)
{
    struct jobq_id id = { { 1 } };
    struct jobq_parent twice[2] = { { id, 0 }, { id, 0 } }, wrong = { id, 3 };
    struct jobq q = handle();

    REFUSED("parents", spec.parent_count = 1);
    REFUSED("parent_count", spec.parent_count = 1001);
    REFUSED("parents", spec.parents = twice; spec.parent_count = 2);
    REFUSED("parents.rule", spec.parents = &wrong; spec.parent_count = 1);
    struct jobq_spec self = good();
    self.id = &id;
    self.parents = twice;
    self.parent_count = 1;
    ck_assert_int_eq(check_spec(&q, &self), JOBQ_CYCLE);
}
END_TEST

START_TEST(limits_themselves_pass)
{
    struct jobq q = handle();
    struct jobq_spec spec = good();
    char name[256];

    memset(name, 'n', 255);
    name[255] = 0;
    spec.queue = spec.kind = spec.group = spec.trace = name;
    spec.priority = -32768;
    spec.delay_ms = MAX_MS;
    spec.max_attempts = spec.max_crashes = COUNT_MAX;
    spec.payload = (struct jobq_bytes){ name, 100 };
    spec.key = (struct jobq_bytes){ "\0\xff", 2 };
    ck_assert_int_eq(check_spec(&q, &spec), JOBQ_OK);
    spec.queue = "':;{}\"\\%s$(x) \xc3\xbc\xf0\x9f\x98\x80";
    ck_assert_int_eq(check_spec(&q, &spec), JOBQ_OK);
}
END_TEST

START_TEST(sizes_of_structs)
{
    struct {
        struct jobq_options o;
        char more[8];
    } newer = { .o = { .size = sizeof newer } };
    struct jobq_options out;

    ck_assert_int_eq(read_struct("options", &newer, sizeof newer, sizeof out, &out, sizeof out), JOBQ_OK);
    newer.more[7] = 1;
    ck_assert_int_eq(read_struct("options", &newer, sizeof newer, sizeof out, &out, sizeof out), JOBQ_INVALID);
    ck_assert_int_eq(read_struct("options", &newer, 4, 8, &out, sizeof out), JOBQ_INVALID);
    memset(&out, 0xff, sizeof out);
    newer.o.flags = 5;
    ck_assert_int_eq(read_struct("options", &newer, offsetof(struct jobq_options, io_timeout_ms), 8, &out, sizeof out),
                     JOBQ_OK);
    ck_assert_uint_eq(out.flags, 5);
    ck_assert_int_eq(out.io_timeout_ms, 0);
}
END_TEST

START_TEST(claims_and_filters)
{
    const char *queue = "q", *empty = "";
    struct jobq_claim_options c = { .size = sizeof c, .queues = &queue, .queue_count = 1 };
    struct jobq_filter f = { .size = sizeof f, .states = 1 };

    ck_assert_int_eq(check_claim(&c), JOBQ_OK);
    c.lease_ms = 99;
    ck_assert_int_eq(check_claim(&c), JOBQ_INVALID);
    ck_assert_str_eq(jobq_last_error()->field, "lease_ms");
    c.lease_ms = INT64_MAX;
    ck_assert_int_eq(check_claim(&c), JOBQ_INVALID);
    c.lease_ms = 0;
    c.limit = 1001;
    ck_assert_int_eq(check_claim(&c), JOBQ_INVALID);
    c.limit = 0;
    c.queues = &empty;
    ck_assert_int_eq(check_claim(&c), JOBQ_INVALID);
    ck_assert_int_eq(check_filter(&f), JOBQ_INVALID);
    ck_assert_str_eq(jobq_last_error()->field, "states");
}
END_TEST

UNIT_MAIN("validate", names, numbers, bytes_and_keys, backoff, parents, limits_themselves_pass, sizes_of_structs,
          claims_and_filters)
