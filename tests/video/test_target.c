/* SPDX-License-Identifier: MIT */
/* Where results may be posted to: URLs and addresses in every spelling. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "tap_main.h"
#include "target.h"

static int may(const struct target_policy *policy, const char *text)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
        return target_may_connect(policy, (const struct sockaddr *)&four);
    ck_assert_msg(inet_pton(AF_INET6, text, &six.sin6_addr) == 1, "%s", text);
    return target_may_connect(policy, (const struct sockaddr *)&six);
}

START_TEST(only_public_addresses)
{
    static const char *const closed[] = {
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "192.168.255.255",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:1:2::3",
        "2001:db8::1",
        "2002:7f00:1::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    };
    static const char *const open[] = {
        "1.1.1.1",         "8.8.8.8",         "9.255.255.255", "11.0.0.0",
        "100.63.255.255",  "100.128.0.0",     "128.0.0.1",     "172.15.255.255",
        "172.32.0.0",      "192.167.255.255", "192.169.0.0",   "198.17.255.255",
        "223.255.255.255", "2606:4700::1111", "2a00:1450::1",  "::ffff:8.8.8.8",
    };
    const struct target_policy policy = {.http = 0};

    for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
        ck_assert_msg(!may(&policy, closed[i]), "%s", closed[i]);
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
        ck_assert_msg(may(&policy, open[i]), "%s", open[i]);
}
END_TEST

START_TEST(what_is_no_internet_address)
{
    const struct target_policy policy = {.http = 1};
    const struct sockaddr local = {.sa_family = AF_UNIX};

    ck_assert_int_eq(target_may_connect(&policy, &local), 0);
}
END_TEST

START_TEST(exactly_what_is_named_is_open)
{
    struct target_policy policy = {.http = 0};

    ck_assert_ptr_null(target_open(&policy, "10.1.0.0/16"));
    ck_assert_ptr_null(target_open(&policy, "127.0.0.2"));
    ck_assert_ptr_null(target_open(&policy, "fd00:1::/33"));
    ck_assert_int_eq(may(&policy, "10.1.255.255"), 1);
    ck_assert_int_eq(may(&policy, "::ffff:10.1.2.3"), 1);
    ck_assert_int_eq(may(&policy, "10.2.0.0"), 0);
    ck_assert_int_eq(may(&policy, "10.0.255.255"), 0);
    ck_assert_int_eq(may(&policy, "127.0.0.2"), 1);
    ck_assert_int_eq(may(&policy, "127.0.0.1"), 0);
    ck_assert_int_eq(may(&policy, "127.0.0.3"), 0);
    ck_assert_int_eq(may(&policy, "fd00:1:7fff::1"), 1);
    ck_assert_int_eq(may(&policy, "fd00:1:8000::1"), 0);
    ck_assert_int_eq(may(&policy, "::1"), 0);
}
END_TEST

START_TEST(nets_that_are_none)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "10",
                                      "10.0.0.0/",
                                      "10.0.0.0/33",
                                      "10.0.0.0/-1",
                                      "10.0.0.0/8x",
                                      "10.0.0.0/ 8",
                                      "::/129",
                                      "localhost",
                                      "10.0.0.0/8/8",
                                      "/8",
                                      "10.0.0.0/99999999999999999999"};
    struct target_policy policy = {.http = 0};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(target_open(&policy, bad[i]) != NULL, "%s", bad[i]);
    ck_assert_uint_eq(policy.count, 0);
    for (int i = 0; i < TARGET_NETS_MOST; i++)
        ck_assert_ptr_null(target_open(&policy, "10.0.0.1"));
    ck_assert_ptr_nonnull(target_open(&policy, "10.0.0.1"));
}
END_TEST

START_TEST(urls)
{
    static const char *const bad[] = {
        "",
        "x",
        "https:",
        "https://",
        "http://example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "javascript:alert(1)",
        "https://127.0.0.1/",
        "https://127.0.0.1:8080/x",
        "https://[::1]/",
        "https://[::1]:443/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[0:0:0:0:0:0:0:1]/",
        "https://[fe80::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[fd00::1]/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://192.168.0.1/",
        "https://169.254.169.254/",
        "https://user@example.org/",
        "https://user:word@example.org/",
        "https://:word@example.org/",
        "https://example.org@127.0.0.1/",
        "https://127.0.0.1@example.org/",
        "https://exam ple.org/",
        "https://example.org/\n",
        "https://example.org/\x7f",
        "https://example.org\\@127.0.0.1/",
        "https://example.org:99999/",
        "https://example.org:x/",
        "HTTP://example.org/",
        "https://\xc3\xa9.org/",
    };
    static const char *const good[] = {
        "https://example.org/",
        "https://example.org",
        "https://example.org:8443/a/b?c=d#e",
        "HTTPS://EXAMPLE.ORG/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://a.b-c.example.org./x%20y",
    };
    const struct target_policy policy = {.http = 0};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(target_problem(&policy, bad[i]) != NULL, "%s", bad[i]);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        ck_assert_msg(target_problem(&policy, good[i]) == NULL, "%s: %s", good[i],
                      target_problem(&policy, good[i]));
}
END_TEST

START_TEST(http_when_it_is_open)
{
    const struct target_policy policy = {.http = 1};

    ck_assert_ptr_null(target_problem(&policy, "http://example.org/"));
    ck_assert_ptr_nonnull(target_problem(&policy, "http://127.0.0.1/"));
    ck_assert_ptr_nonnull(target_problem(&policy, "ftp://example.org/"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("target");
    TCase *tests = tcase_create("target");

    tcase_add_test(tests, only_public_addresses);
    tcase_add_test(tests, what_is_no_internet_address);
    tcase_add_test(tests, exactly_what_is_named_is_open);
    tcase_add_test(tests, nets_that_are_none);
    tcase_add_test(tests, urls);
    tcase_add_test(tests, http_when_it_is_open);
    suite_add_tcase(suite, tests);
    return tap_main(suite);
}
