/* SPDX-License-Identifier: MIT */
/* Sessions and tries to log in, with time handed in. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard.h"
#include "session.h"

#define FREE 5

static const struct auth_entry somebody = {.role = ROLE_OPERATOR, .tenant = "one"};

START_TEST(a_session_is_found_by_its_cookie_only)
{
    struct sessions *all = sessions_create();
    struct auth_entry who;
    char cookie[SESSION_TEXT], csrf[SESSION_TEXT], told[SESSION_TEXT], other[SESSION_TEXT];

    ck_assert_int_eq(session_begin(all, &somebody, 1000, cookie, csrf), 0);
    ck_assert_int_eq(session_begin(all, &somebody, 1000, other, told), 0);
    ck_assert_str_ne(cookie, other);
    ck_assert_str_ne(cookie, csrf);
    ck_assert_int_eq(session_find(all, cookie, 2000, &who, told), 0);
    ck_assert_int_eq(who.role, ROLE_OPERATOR);
    ck_assert_str_eq(who.tenant, "one");
    ck_assert_str_eq(told, csrf);
    cookie[7] = cookie[7] == '0' ? '1' : '0';
    ck_assert_int_eq(session_find(all, cookie, 2000, &who, told), -1);
    ck_assert_int_eq(session_find(all, "", 2000, &who, told), -1);
    ck_assert_int_eq(session_find(all, NULL, 2000, &who, told), -1);
    session_end(all, other);
    ck_assert_int_eq(session_find(all, other, 2000, &who, told), -1);
    sessions_destroy(all);
}
END_TEST

START_TEST(a_session_ends_when_nobody_uses_it_and_when_it_is_old)
{
    struct sessions *all = sessions_create();
    struct auth_entry who;
    char idle[SESSION_TEXT], busy[SESSION_TEXT], csrf[SESSION_TEXT];
    int64_t now = 1000;

    session_begin(all, &somebody, now, idle, csrf);
    session_begin(all, &somebody, now, busy, csrf);
    ck_assert_int_eq(session_find(all, idle, now + SESSION_IDLE_MS - 1, &who, csrf), 0);
    ck_assert_int_eq(session_find(all, idle, now + 2 * SESSION_IDLE_MS, &who, csrf), -1);
    for (; now < 1000 + SESSION_MAX_MS; now += SESSION_IDLE_MS / 2)
        ck_assert_int_eq(session_find(all, busy, now, &who, csrf), 0);
    ck_assert_int_eq(session_find(all, busy, now, &who, csrf), -1);
    sessions_destroy(all);
}
END_TEST

START_TEST(the_oldest_session_makes_room)
{
    struct sessions *all = sessions_create();
    struct auth_entry who;
    char first[SESSION_TEXT], cookie[SESSION_TEXT], csrf[SESSION_TEXT];

    session_begin(all, &somebody, 0, first, csrf);
    for (int i = 1; i <= SESSIONS_MOST; i++)
        ck_assert_int_eq(session_begin(all, &somebody, i, cookie, csrf), 0);
    ck_assert_int_eq(session_find(all, first, SESSIONS_MOST, &who, csrf), -1);
    ck_assert_int_eq(session_find(all, cookie, SESSIONS_MOST, &who, csrf), 0);
    sessions_destroy(all);
}
END_TEST

START_TEST(texts_are_compared_whole)
{
    ck_assert(session_same("abc", "abc"));
    ck_assert(!session_same("abc", "abd"));
    ck_assert(!session_same("abc", "ab"));
    ck_assert(!session_same("ab", "abc"));
    ck_assert(!session_same(NULL, "abc"));
    ck_assert(!session_same("abc", NULL));
}
END_TEST

START_TEST(wrong_tokens_cost_time)
{
    struct guard *all = guard_create(FREE);
    int64_t now = 5000, last = 0;

    for (int i = 0; i < FREE - 1; i++)
        guard_failed(all, "192.0.2.1", now);
    ck_assert_int_eq(guard_wait(all, "192.0.2.1", now), 0);
    for (int i = 0; i < 30; i++) {
        guard_failed(all, "192.0.2.1", now);
        ck_assert_int_ge(guard_wait(all, "192.0.2.1", now), last);
        last = guard_wait(all, "192.0.2.1", now);
    }
    ck_assert_int_eq(last, GUARD_WAIT_MAX_MS);
    ck_assert_int_eq(guard_wait(all, "192.0.2.2", now), 0);
    ck_assert_int_eq(guard_wait(all, "192.0.2.1", now + last), 0);
    guard_done(all, "192.0.2.1");
    guard_failed(all, "192.0.2.1", now);
    ck_assert_int_eq(guard_wait(all, "192.0.2.1", now), 0);
    guard_destroy(all);
}
END_TEST

START_TEST(many_addresses_take_the_place_of_those_that_are_quiet)
{
    struct guard *all = guard_create(FREE);
    char address[64];

    for (int i = 0; i < FREE; i++)
        guard_failed(all, "2001:db8::1", 1000000);
    for (int i = 0; i < 500; i++) {
        snprintf(address, sizeof(address), "192.0.%d.%d", i / 250, i % 250);
        guard_failed(all, address, 1000 + i);
    }
    ck_assert_int_gt(guard_wait(all, "2001:db8::1", 1000000), 0);
    guard_destroy(all);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session");
    TCase *cases = tcase_create("session");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(cases, a_session_is_found_by_its_cookie_only);
    tcase_add_test(cases, a_session_ends_when_nobody_uses_it_and_when_it_is_old);
    tcase_add_test(cases, the_oldest_session_makes_room);
    tcase_add_test(cases, texts_are_compared_whole);
    tcase_add_test(cases, wrong_tokens_cost_time);
    tcase_add_test(cases, many_addresses_take_the_place_of_those_that_are_quiet);
    suite_add_tcase(suite, cases);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
