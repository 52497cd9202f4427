/* SPDX-License-Identifier: MIT */
/* Which queue comes first (jobq_worker_options.weights). */
#include "kit.h"

static void first_of(const int32_t *weights, size_t count, size_t calls, size_t *firsts)
{
    int64_t credits[8] = { 0 };
    size_t order[8];

    for (size_t i = 0; i < calls; i++) {
        queue_order(weights, credits, count, order);
        firsts[i] = order[0];
    }
}

START_TEST(shares_are_exact)
{
    static const int32_t weights[] = { 5, 1, 2 };
    size_t firsts[80], times[3] = { 0 };

    first_of(weights, 3, 80, firsts);
    for (size_t i = 0; i < 80; i++)
        times[firsts[i]]++;
    ck_assert_uint_eq(times[0], 50);
    ck_assert_uint_eq(times[1], 10);
    ck_assert_uint_eq(times[2], 20);
}
END_TEST

START_TEST(turns_are_spread)
{
    static const int32_t weights[] = { 5, 1, 1 };
    static const size_t expected[] = { 0, 0, 1, 0, 2, 0, 0 };
    size_t firsts[7];

    first_of(weights, 3, 7, firsts);
    for (size_t i = 0; i < 7; i++)
        ck_assert_uint_eq(firsts[i], expected[i]);
}
END_TEST

START_TEST(order_names_every_queue_once)
{
    static const int32_t weights[] = { 3, 100, 1, 7 };
    int64_t credits[4] = { 0 };
    size_t order[4];

    for (int call = 0; call < 500; call++) {
        unsigned seen = 0;
        queue_order(weights, credits, 4, order);
        for (size_t i = 0; i < 4; i++)
            seen |= 1u << order[i];
        ck_assert_uint_eq(seen, 15);
    }
}
END_TEST

START_TEST(equal_weights_keep_the_order_given)
{
    static const int32_t weights[] = { 1, 1, 1 };
    static const size_t expected[] = { 0, 1, 2, 0, 1, 2 };
    size_t firsts[6];

    first_of(weights, 3, 6, firsts);
    for (size_t i = 0; i < 6; i++)
        ck_assert_uint_eq(firsts[i], expected[i]);
}
END_TEST

START_TEST(one_queue)
{
    static const int32_t weights[] = { 100 };
    size_t firsts[3];

    first_of(weights, 1, 3, firsts);
    ck_assert_uint_eq(firsts[2], 0);
}
END_TEST

KIT_MAIN("order", shares_are_exact, turns_are_spread, order_names_every_queue_once,
         equal_weights_keep_the_order_given, one_queue)
