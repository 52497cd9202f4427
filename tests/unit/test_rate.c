/* SPDX-License-Identifier: MIT */
/* n per period, and whose turn it is: the helpers that every store may use. Rule 10 of lifecycle.md. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#define PERIOD 1000
#define TENTH 100

/* ---- gauge ------------------------------------------------------------------------------------------------ */

START_TEST(rule_10_counts_the_tenth_and_the_ten_before)
{
    struct jobq_gauge g = { 0 };

    ck_assert_int_eq(jobq_gauge_used(&g, PERIOD, 5000), 0);
    jobq_gauge_add(&g, PERIOD, 5050, 3);
    for (int64_t now = 5050; now < 6100; now += 50)
        ck_assert_int_eq(jobq_gauge_used(&g, PERIOD, now), 3);
    ck_assert_int_eq(jobq_gauge_used(&g, PERIOD, 6100), 0);
    ck_assert_int_eq(jobq_gauge_wait(&g, 3, PERIOD, 5050), 1050);
    ck_assert_int_eq(jobq_gauge_wait(&g, 4, PERIOD, 5050), 0);
    ck_assert_int_eq(jobq_gauge_wait(&g, 0, PERIOD, 5050), PERIOD);
    ck_assert_int_eq(jobq_gauge_wait(&g, 3, PERIOD, 6100), 0);
}
END_TEST

/* Whatever comes when: never more than n in an interval of a period, and a start waits at most a tenth too long. */
START_TEST(rule_10_against_a_list_of_all_starts)
{
    enum { N = 7, MOST = 20000 };
    static int64_t starts[MOST];
    static const int64_t periods[] = { 100, 101, 999, 1000, 60000 };

    for (size_t p = 0; p < sizeof periods / sizeof periods[0]; p++) {
        struct jobq_gauge g = { 0 };
        int64_t period = periods[p], tenth = (period + 9) / 10, now = 1700000000000;
        size_t count = 0;
        srand((unsigned)p);
        while (count < 3000) {
            now += rand() % 3 ? rand() % (int)tenth : rand() % (int)(2 * period);
            int64_t wait = jobq_gauge_wait(&g, N, period, now);
            size_t recent = 0, lately = 0; /* within a period; within eleven tenths */
            for (size_t i = count; i > 0 && starts[i - 1] > now - 11 * tenth; i--) {
                recent += starts[i - 1] > now - period;
                lately++;
            }
            ck_assert(wait > 0 || recent < N);
            ck_assert(wait == 0 || lately >= N);
            if (wait) {
                ck_assert_int_gt(jobq_gauge_wait(&g, N, period, now + wait - 1), 0);
                ck_assert_int_eq(jobq_gauge_wait(&g, N, period, now + wait), 0);
                continue;
            }
            jobq_gauge_add(&g, period, now, 1);
            starts[count++] = now;
        }
    }
}
END_TEST

START_TEST(rule_10_another_period_counts_as_of_now)
{
    struct jobq_gauge g = { 0 };

    jobq_gauge_add(&g, PERIOD, 5000, 2);
    jobq_gauge_add(&g, PERIOD, 5900, 3);
    ck_assert_int_eq(jobq_gauge_used(&g, 10 * PERIOD, 6000), 5);
    ck_assert_int_eq(jobq_gauge_used(&g, 10 * PERIOD, 6100), 3);
    ck_assert_int_eq(jobq_gauge_wait(&g, 3, 10 * PERIOD, 6100), 17000 - 6100);
    jobq_gauge_add(&g, 10 * PERIOD, 6100, 1);
    ck_assert_int_eq(g.tenth_ms, PERIOD);
    ck_assert_int_eq(jobq_gauge_used(&g, 10 * PERIOD, 16999), 4);
    ck_assert_int_eq(jobq_gauge_used(&g, 10 * PERIOD, 17000), 0);
}
END_TEST

/* A long silence, a clock that stands, counts at their end. */
START_TEST(rule_10_edges)
{
    struct jobq_gauge g = { 0 };

    jobq_gauge_add(&g, PERIOD, 5000, INT64_MAX);
    jobq_gauge_add(&g, PERIOD, 5000, 9);
    ck_assert_int_eq(jobq_gauge_used(&g, PERIOD, 5000), INT64_MAX);
    jobq_gauge_add(&g, PERIOD, INT64_C(1) << 52, 1);
    ck_assert_int_eq(jobq_gauge_used(&g, PERIOD, INT64_C(1) << 52), 1);
    ck_assert_int_eq(jobq_gauge_used(&g, PERIOD, (INT64_C(1) << 52) - PERIOD), 1);
    g = (struct jobq_gauge){ 0 };
    jobq_gauge_add(&g, 1, 0, 1);
    ck_assert_int_eq(jobq_gauge_used(&g, 1, 10), 1);
    ck_assert_int_eq(jobq_gauge_used(&g, 1, 11), 0);
}
END_TEST

/* ---- turns -------------------------------------------------------------------------------------------------- */

static struct jobq_bytes name(const char *text)
{
    return (struct jobq_bytes){ text, strlen(text) };
}

START_TEST(a_round_that_gave_nothing_ends)
{
    static const char *const circle[] = { "a", "b", "c" };
    struct jobq_turn t;
    int32_t more = 0;
    int looks = 0;

    for (int first = 0; first < 3; first++) {
        jobq_turn_begin(&t, (struct jobq_bytes){ 0 }, name("q"));
        for (looks = 0; looks < 10; looks++) {
            struct jobq_bytes g = name(circle[(first + looks) % 3]);
            if (!jobq_turn_look(&t, g, 1, &more))
                break;
            jobq_turn_gave(&t, g, 0, 1, 0);
        }
        ck_assert_int_eq(looks, 3);
        ck_assert_int_eq(more, 0);
        ck_assert_ptr_null(t.since.data);
    }
}
END_TEST

START_TEST(the_place_survives_the_cursor)
{
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_turn turns[3], back;
    struct jobq_bytes cursor, next;

    memset(turns, 0, sizeof turns);
    turns[0] = (struct jobq_turn){ .queue = name("q"), .group = name("g"), .since = name(""), .given = 7 };
    turns[1] = (struct jobq_turn){ .queue = name("none was looked at") };
    turns[2] = (struct jobq_turn){ .queue = name("q2"), .group = name("") };
    ck_assert_int_eq(jobq_turn_cursor(arena, (struct jobq_bytes){ 0 }, turns, 3, &cursor), 0);
    jobq_turn_begin(&back, cursor, name("q"));
    ck_assert(back.group.size == 1 && back.since.data && back.since.size == 0 && back.given == 7);
    jobq_turn_begin(&back, cursor, name("q2"));
    ck_assert(back.group.data && back.group.size == 0 && !back.since.data);
    jobq_turn_begin(&back, cursor, name("none was looked at"));
    ck_assert_ptr_null(back.group.data);
    turns[0].queue = name("q3"); /* another want: the others are kept */
    ck_assert_int_eq(jobq_turn_cursor(arena, cursor, turns, 1, &next), 0);
    jobq_turn_begin(&back, next, name("q2"));
    ck_assert_ptr_nonnull(back.group.data);
    ck_assert_int_eq(jobq_turn_cursor(arena, (struct jobq_bytes){ 0 }, &turns[1], 1, &next), 0);
    ck_assert_ptr_null(next.data);
    jobq_arena_destroy(arena);
}
END_TEST

/* However many queues a client asks for, its cursor stays small; whatever bytes come, they are not read past. */
START_TEST(cursors_are_bounded)
{
    struct jobq_arena *arena = jobq_arena_create();
    struct jobq_bytes cursor = { 0 };
    struct jobq_turn back;
    static char names[100][256];

    for (int i = 0; i < 100; i++) {
        memset(names[i], 'a' + i % 26, 255);
        names[i][0] = (char)(i + 1);
        struct jobq_turn t = { .queue = name(names[i]), .group = name(names[i]), .since = name(names[i]) };
        ck_assert_int_eq(jobq_turn_cursor(arena, cursor, &t, 1, &cursor), 0);
    }
    ck_assert_uint_le(cursor.size, 64 * (14 + 3 * 255));
    jobq_turn_begin(&back, cursor, name(names[99]));
    ck_assert_ptr_nonnull(back.group.data);
    jobq_turn_begin(&back, cursor, name(names[0]));
    ck_assert_ptr_null(back.group.data);
    for (size_t size = 0; size < 2000; size++) {
        uint8_t *cut = malloc(size + 1);
        memcpy(cut, cursor.data, size);
        jobq_turn_begin(&back, (struct jobq_bytes){ cut, size }, name(names[0]));
        ck_assert_ptr_null(back.group.data);
        free(cut);
    }
    jobq_arena_destroy(arena);
}
END_TEST

START_TEST(rule_9_keys_of_content)
{
    const struct jobq_bytes a[] = { name("a"), name("bc") }, b[] = { name("ab"), name("c") },
                            c[] = { name("a"), name("bc"), { NULL, 0 } };
    uint8_t one[32], two[32], three[32], again[32];

    jobq_key_of(a, 2, one);
    jobq_key_of(b, 2, two);
    jobq_key_of(c, 3, three);
    jobq_key_of(a, 2, again);
    ck_assert_mem_eq(one, again, 32);
    ck_assert_mem_ne(one, two, 32);
    ck_assert_mem_ne(one, three, 32);
}
END_TEST

UNIT_MAIN("rate", rule_10_counts_the_tenth_and_the_ten_before, rule_10_against_a_list_of_all_starts,
          rule_10_another_period_counts_as_of_now, rule_10_edges, a_round_that_gave_nothing_ends,
          the_place_survives_the_cursor, cursors_are_bounded, rule_9_keys_of_content)
