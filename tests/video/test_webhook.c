/* SPDX-License-Identifier: MIT */
/* Signed callbacks: the published example of Standard Webhooks, vectors made with the openssl command, and
 * every way in which a message can be wrong. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tap_main.h"
#include "webhook.h"

/* The example that Standard Webhooks and its libraries publish. */
static const char published_secret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
static const char published_id[] = "msg_p5jXN8AQM9LWM0D4loKWxJek";
static const char published_body[] = "{\"test\": 2432232314}";
static const char published_signature[] = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
#define PUBLISHED_TIME 1614265330

/* 64 bytes counting up from 0 */
static const char long_secret[] =
    "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";

static const struct {
    const char *secret;
    const char *id;
    int64_t time_s;
    const char *body;
    size_t body_size;
    const char *signature;
} vectors[] = {
    { published_secret, published_id, PUBLISHED_TIME, published_body, sizeof(published_body) - 1,
      published_signature },
    { published_secret, "m1", 0, "", 0, "v1,24UKVStOLYjSp5AVC4SZCbvxKcaCzWSxVHA+qixPLfo=" },
    { long_secret, "evt_2", 1700000000, "\000\001\377binary", 9,
      "v1,FnjTc6RWyKsIC2b2KUgfB4UOF5DEBVc/RbdS3yMklx8=" },
};

static struct webhook_key key_of(const char *secret)
{
    struct webhook_key key;

    ck_assert_int_eq(webhook_key_parse(&key, secret), 0);
    return key;
}

static struct webhook_headers published_headers(void)
{
    return (struct webhook_headers){
        .id = published_id, .timestamp = "1614265330", .signature = published_signature,
    };
}

static enum webhook_verdict judge(const struct webhook_headers *headers, const char *body, int64_t now_s)
{
    struct webhook_key key = key_of(published_secret);

    return webhook_verify(&key, 1, headers, body, strlen(body), now_s, WEBHOOK_TOLERANCE_S);
}

START_TEST(signs_as_published)
{
    struct webhook_key key = key_of(vectors[_i].secret);
    char signature[WEBHOOK_SIGNATURE_BYTES];

    ck_assert_int_eq(webhook_sign(&key, vectors[_i].id, vectors[_i].time_s, vectors[_i].body,
                                  vectors[_i].body_size, signature),
                     0);
    ck_assert_str_eq(signature, vectors[_i].signature);
}
END_TEST

START_TEST(verifies_as_published)
{
    struct webhook_key key = key_of(vectors[_i].secret);
    char time[32];
    struct webhook_headers headers = {
        .id = vectors[_i].id, .timestamp = time, .signature = vectors[_i].signature,
    };

    snprintf(time, sizeof(time), "%lld", (long long)vectors[_i].time_s);
    ck_assert_int_eq(webhook_verify(&key, 1, &headers, vectors[_i].body, vectors[_i].body_size,
                                    vectors[_i].time_s, WEBHOOK_TOLERANCE_S),
                     WEBHOOK_OK);
}
END_TEST

START_TEST(window_is_five_minutes_both_ways)
{
    struct webhook_headers headers = published_headers();

    ck_assert_int_eq(judge(&headers, published_body, PUBLISHED_TIME + 300), WEBHOOK_OK);
    ck_assert_int_eq(judge(&headers, published_body, PUBLISHED_TIME - 300), WEBHOOK_OK);
    ck_assert_int_eq(judge(&headers, published_body, PUBLISHED_TIME + 301), WEBHOOK_TOO_OLD);
    ck_assert_int_eq(judge(&headers, published_body, PUBLISHED_TIME - 301), WEBHOOK_TOO_NEW);
}
END_TEST

START_TEST(any_changed_byte_of_the_body_is_seen)
{
    struct webhook_headers headers = published_headers();
    char body[sizeof(published_body)];

    for (size_t i = 0; i + 1 < sizeof(body); i++) {
        memcpy(body, published_body, sizeof(body));
        body[i] ^= 1;
        ck_assert_int_eq(judge(&headers, body, PUBLISHED_TIME), WEBHOOK_BAD_SIGNATURE);
    }
}
END_TEST

START_TEST(any_changed_byte_of_the_signature_is_seen)
{
    struct webhook_headers headers = published_headers();
    char signature[sizeof(published_signature)];

    headers.signature = signature;
    for (size_t i = 0; i + 1 < sizeof(signature); i++) {
        memcpy(signature, published_signature, sizeof(signature));
        signature[i] = signature[i] == 'A' ? 'B' : 'A';
        ck_assert_int_eq(judge(&headers, published_body, PUBLISHED_TIME), WEBHOOK_BAD_SIGNATURE);
        signature[i] = '\0';    /* a beginning of it is not enough */
        ck_assert_int_ne(judge(&headers, published_body, PUBLISHED_TIME), WEBHOOK_OK);
    }
}
END_TEST

START_TEST(id_and_time_are_signed_too)
{
    struct webhook_headers headers = published_headers();

    headers.id = "msg_p5jXN8AQM9LWM0D4loKWxJel";
    ck_assert_int_eq(judge(&headers, published_body, PUBLISHED_TIME), WEBHOOK_BAD_SIGNATURE);
    headers = published_headers();
    headers.timestamp = "1614265331";
    ck_assert_int_eq(judge(&headers, published_body, PUBLISHED_TIME), WEBHOOK_BAD_SIGNATURE);
}
END_TEST

START_TEST(several_signatures_while_keys_change)
{
    struct webhook_headers headers = published_headers();
    char both[3 * WEBHOOK_SIGNATURE_BYTES];

    headers.signature = both;
    snprintf(both, sizeof(both), "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= %s", published_signature);
    ck_assert_int_eq(judge(&headers, published_body, PUBLISHED_TIME), WEBHOOK_OK);
    snprintf(both, sizeof(both), "v2,x  %s v1a,y", published_signature);
    ck_assert_int_eq(judge(&headers, published_body, PUBLISHED_TIME), WEBHOOK_OK);
    snprintf(both, sizeof(both), "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= v2%s",
             published_signature + 2);
    ck_assert_int_eq(judge(&headers, published_body, PUBLISHED_TIME), WEBHOOK_BAD_SIGNATURE);
}
END_TEST

START_TEST(several_keys_while_keys_change)
{
    struct webhook_headers headers = published_headers();
    struct webhook_key keys[2] = { key_of(long_secret), key_of(published_secret) };
    size_t size = strlen(published_body);

    ck_assert_int_eq(webhook_verify(keys, 2, &headers, published_body, size, PUBLISHED_TIME, 300),
                     WEBHOOK_OK);
    ck_assert_int_eq(webhook_verify(keys, 1, &headers, published_body, size, PUBLISHED_TIME, 300),
                     WEBHOOK_BAD_SIGNATURE);
    ck_assert_int_eq(webhook_verify(keys, 0, &headers, published_body, size, PUBLISHED_TIME, 300),
                     WEBHOOK_BAD_SIGNATURE);
}
END_TEST

START_TEST(missing_headers)
{
    struct webhook_headers headers = published_headers();

    headers.id = NULL;
    ck_assert_int_eq(judge(&headers, published_body, PUBLISHED_TIME), WEBHOOK_MISSING_HEADER);
    headers = published_headers();
    headers.timestamp = "";
    ck_assert_int_eq(judge(&headers, published_body, PUBLISHED_TIME), WEBHOOK_MISSING_HEADER);
    headers = published_headers();
    headers.signature = NULL;
    ck_assert_int_eq(judge(&headers, published_body, PUBLISHED_TIME), WEBHOOK_MISSING_HEADER);
}
END_TEST

static const char *const bad_times[] = {
    "-1614265330", "+1614265330", " 1614265330", "1614265330 ", "1614265330.0", "0x60388032", "now",
    "9999999999999999", "99999999999999999999999999",
};

START_TEST(malformed_times)
{
    struct webhook_headers headers = published_headers();

    headers.timestamp = bad_times[_i];
    ck_assert_int_eq(judge(&headers, published_body, PUBLISHED_TIME), WEBHOOK_BAD_HEADER);
}
END_TEST

START_TEST(malformed_ids)
{
    struct webhook_key key = key_of(published_secret);
    char long_id[WEBHOOK_ID_MAX_BYTES + 2];
    char signature[WEBHOOK_SIGNATURE_BYTES];
    struct webhook_headers headers = published_headers();

    memset(long_id, 'a', sizeof(long_id) - 1);
    long_id[sizeof(long_id) - 1] = '\0';
    const char *const bad[] = { "a.b", "a b", "a\nb", "\xc3\xa9", long_id };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_eq(webhook_sign(&key, bad[i], 1, "x", 1, signature), -1);
        ck_assert_str_eq(signature, "");
        headers.id = bad[i];
        ck_assert_int_eq(judge(&headers, published_body, PUBLISHED_TIME), WEBHOOK_BAD_HEADER);
    }
    ck_assert_int_eq(webhook_sign(&key, "", 1, "x", 1, signature), -1);
    ck_assert_int_eq(webhook_sign(&key, "a", -1, "x", 1, signature), -1);
    ck_assert_int_eq(webhook_sign(&key, "a", INT64_MAX, "x", 1, signature), -1);
    long_id[WEBHOOK_ID_MAX_BYTES] = '\0';
    ck_assert_int_eq(webhook_sign(&key, long_id, 999999999999999, "x", 1, signature), 0);
}
END_TEST

static const char *const bad_secrets[] = {
    "",
    "whsec_",
    "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa!w",
    "whsec_MfKQ=r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRY=", /* 23 bytes */
    "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0A=", /* 65 */
};

START_TEST(unusable_secrets)
{
    struct webhook_key key;
    char signature[WEBHOOK_SIGNATURE_BYTES];

    ck_assert_int_eq(webhook_key_parse(&key, bad_secrets[_i]), -1);
    ck_assert_uint_eq(key.size, 0);
    ck_assert_int_eq(webhook_sign(&key, "a", 1, "x", 1, signature), -1);
}
END_TEST

START_TEST(a_secret_may_come_with_its_line_end)
{
    struct webhook_key plain = key_of(published_secret);
    struct webhook_key line = key_of("  whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\r\n");

    ck_assert_uint_eq(plain.size, 24);
    ck_assert_uint_eq(line.size, 24);
    ck_assert_mem_eq(plain.bytes, line.bytes, 24);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
    Suite *suite = suite_create("webhook");
    TCase *tests = tcase_create("webhook");

    tcase_add_loop_test(tests, signs_as_published, 0, COUNT(vectors));
    tcase_add_loop_test(tests, verifies_as_published, 0, COUNT(vectors));
    tcase_add_test(tests, window_is_five_minutes_both_ways);
    tcase_add_test(tests, any_changed_byte_of_the_body_is_seen);
    tcase_add_test(tests, any_changed_byte_of_the_signature_is_seen);
    tcase_add_test(tests, id_and_time_are_signed_too);
    tcase_add_test(tests, several_signatures_while_keys_change);
    tcase_add_test(tests, several_keys_while_keys_change);
    tcase_add_test(tests, missing_headers);
    tcase_add_loop_test(tests, malformed_times, 0, COUNT(bad_times));
    tcase_add_test(tests, malformed_ids);
    tcase_add_loop_test(tests, unusable_secrets, 0, COUNT(bad_secrets));
    tcase_add_test(tests, a_secret_may_come_with_its_line_end);
    suite_add_tcase(suite, tests);
    return tap_main(suite);
}
