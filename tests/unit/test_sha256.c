/* SPDX-License-Identifier: MIT */
/* Published vectors of FIPS 180 and NIST's example file; length-prefixed parts cannot run together (S15). */
#include "unit.h"

#include <stdio.h>
#include <string.h>

static void hex(const uint8_t digest[32], char out[65])
{
    for (int i = 0; i < 32; i++)
        sprintf(out + 2 * i, "%02x", digest[i]);
}

static void digest_of(const void *data, size_t size, size_t step, char out[65])
{
    struct sha256 s;
    uint8_t digest[32];

    sha256_init(&s);
    for (size_t at = 0; at < size; at += step)
        sha256_add(&s, (const char *)data + at, size - at < step ? size - at : step);
    sha256_end(&s, digest);
    hex(digest, out);
}

START_TEST(published_vectors)
{
    static const struct {
        const char *text, *digest;
    } cases[] = {
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    };
    char out[65];

    for (size_t i = 0; i < 3; i++) {
        digest_of(cases[i].text, strlen(cases[i].text), 64, out);
        ck_assert_str_eq(out, cases[i].digest);
    }
}
END_TEST

START_TEST(a_million_letters_in_any_portions)
{
    char *text = malloc(1000000), out[65];
    static const size_t steps[] = { 1, 63, 64, 65, 1000, 1000000 };

    memset(text, 'a', 1000000);
    for (size_t i = 0; i < 6; i++) {
        digest_of(text, 1000000, steps[i], out);
        ck_assert_str_eq(out, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    }
    free(text);
}
END_TEST

START_TEST(parts_do_not_run_together)
{
    struct sha256 a, b;
    uint8_t da[32], db[32];

    sha256_init(&a);
    sha256_part(&a, "ab", 2);
    sha256_part(&a, "c", 1);
    sha256_end(&a, da);
    sha256_init(&b);
    sha256_part(&b, "a", 1);
    sha256_part(&b, "bc", 2);
    sha256_end(&b, db);
    ck_assert_mem_ne(da, db, 32);
}
END_TEST

/* Where the processor has no instructions for it, both are the same. */
START_TEST(by_hand_and_by_processor)
{
    sha256_compress *processor = sha256_by_processor();
    uint32_t a[8], b[8], random = 1;
    uint8_t block[65];

    for (size_t i = 0; i < 8; i++)
        a[i] = b[i] = random = random * 1664525 + 1013904223;
    for (int round = 0; round < 2000; round++) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (uint8_t)((random = random * 1664525 + 1013904223) >> 24);
        sha256_by_hand(a, block + round % 2);
        (processor ? processor : sha256_by_hand)(b, block + round % 2);
        ck_assert_mem_eq(a, b, sizeof a);
    }
}
END_TEST

START_TEST(by_hand_meets_the_vectors)
{
    struct sha256 s;
    uint8_t digest[32];
    char out[65];

    sha256_init(&s);
    s.compress = sha256_by_hand;
    sha256_add(&s, "abc", 3);
    sha256_end(&s, digest);
    hex(digest, out);
    ck_assert_str_eq(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
END_TEST

UNIT_MAIN("sha256", published_vectors, a_million_letters_in_any_portions, parts_do_not_run_together, by_hand_and_by_processor,
          by_hand_meets_the_vectors)
