/* SPDX-License-Identifier: MIT */
/* The scope of an idempotency key: whole for what it is made of, and beside those of keys that are alike. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

static void scope_of(const char *queue, const char *key, size_t size, uint8_t out[32])
{
    const struct jobq_spec spec = {.size = sizeof spec, .queue = queue, .key = {key, size}};
    struct jobq_put_key made;
    key_of_spec(&spec, queue, &made);
    memcpy(out, made.scope, 32);
}

static int order(const char *a, const char *b)
{
    uint8_t one[32], two[32];
    scope_of("q", a, strlen(a), one);
    scope_of("q", b, strlen(b), two);
    return memcmp(one, two, 32);
}

/* Rule 9 of lifecycle.md: the caller's bytes within a queue. */
START_TEST(the_same_key_has_the_same_scope)
{
    const char bytes[] = "key-1\0key-2";
    uint8_t one[32], again[32], other[32];
    for (size_t size = 1; size <= sizeof bytes; size++) {
        scope_of("q", bytes, size, one);
        scope_of("q", bytes, size, again);
        ck_assert_mem_eq(one, again, 32);
        scope_of("r", bytes, size, other);
        ck_assert_mem_ne(one, other, 32);
        scope_of("q", bytes, size - 1, other);
        ck_assert_mem_ne(one, other, 32);
    }
    scope_of("q", "a\0\0", 3, one); /* what fills a short one up is not taken for bytes */
    scope_of("q", "a", 1, other);
    ck_assert_mem_ne(one, other, 32);
}
END_TEST

/* Whose keys stand where does not depend on the queue; which is which does. */
START_TEST(the_digest_is_of_the_whole)
{
    uint8_t one[32], other[32];
    int differ = 0;
    scope_of("q", "order-000017", 12, one);
    scope_of("r", "order-000017", 12, other);
    ck_assert_mem_eq(one, other, 11);
    for (int i = 11; i < 32; i++)
        differ += one[i] != other[i];
    ck_assert_int_ge(differ, 16);
}
END_TEST

START_TEST(numbered_keys_are_neighbours)
{
    char a[32], b[32];
    for (int i = 17000; i < 17999; i++) {
        snprintf(a, sizeof a, "order-%d", i);
        snprintf(b, sizeof b, "order-%d", i + 1);
        ck_assert_int_lt(order(a, b), 0);
    }
    for (int i = 17000; i < 17999; i++) { /* as short as may be: what they differ in is not what they begin with */
        snprintf(a, sizeof a, "n-%d", i);
        snprintf(b, sizeof b, "n-%d", i + 1);
        ck_assert_int_lt(order(a, b), 0);
    }
    /* No key of another kind comes between them. */
    uint8_t first[32], last[32], other[32];
    scope_of("q", "order-17000", 11, first);
    scope_of("q", "order-17999", 11, last);
    for (int i = 0; i < 1000; i++) {
        snprintf(a, sizeof a, "invoice-%d", i);
        scope_of("q", a, strlen(a), other);
        ck_assert(memcmp(other, first, 32) < 0 || memcmp(other, last, 32) > 0);
    }
}
END_TEST

START_TEST(what_begins_with_the_same_date_is_near)
{
    uint8_t one[32], other[32];
    scope_of("q", "2026-11-30T10:11:12 7f3a", 24, one);
    scope_of("q", "2026-11-30T23:59:59 0001", 24, other);
    ck_assert_mem_eq(one, other, 4);
    scope_of("q", "2026-12-30T10:11:12 7f3a", 24, other);
    ck_assert_mem_ne(one, other, 4);
}
END_TEST

UNIT_MAIN("key", the_same_key_has_the_same_scope, the_digest_is_of_the_whole, numbered_keys_are_neighbours,
          what_begins_with_the_same_date_is_near)
