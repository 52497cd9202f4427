/* SPDX-License-Identifier: MIT */
/* Ids rise strictly within a process, also from many threads; text forms are read back and bad ones refused. */
#include "unit.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(ids_rise_and_are_version_7)
{
    struct jobq_id before, after;
    int wrong = 0; /* counted: an assertion is a message to another process, and costs more than an id */

    ck_assert_int_eq(jobq_id_new(&before), JOBQ_OK);
    for (int i = 0; i < 100000; i++) {
        wrong += jobq_id_new(&after) != JOBQ_OK;
        wrong += memcmp(before.bytes, after.bytes, 16) >= 0;
        wrong += after.bytes[6] >> 4 != 7 || after.bytes[8] >> 6 != 2;
        before = after;
    }
    ck_assert_int_eq(wrong, 0);
}
END_TEST

static void *mint_many(void *out)
{
    for (int i = 0; i < 20000; i++)
        jobq_id_new((struct jobq_id *)out + i);
    return NULL;
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

START_TEST(ids_of_many_threads_differ)
{
    struct jobq_id *ids = calloc(8 * 20000, sizeof *ids);
    pthread_t threads[8];
    int equal = 0;

    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, mint_many, ids + i * 20000);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    qsort(ids, 8 * 20000, sizeof *ids, compare_ids);
    for (int i = 1; i < 8 * 20000; i++)
        equal += memcmp(&ids[i - 1], &ids[i], 16) == 0;
    ck_assert_int_eq(equal, 0);
    free(ids);
}
END_TEST

START_TEST(a_forked_child_draws_bytes_of_its_own)
{
    struct jobq_id first, mine, theirs;
    int channel[2];

    ck_assert_int_eq(jobq_id_new(&first), JOBQ_OK);
    ck_assert_int_eq(pipe(channel), 0);
    pid_t child = fork();
    ck_assert_int_eq(jobq_id_new(&mine), JOBQ_OK);
    if (child == 0)
        _exit(write(channel[1], &mine, sizeof mine) != sizeof mine);
    ck_assert_int_eq(read(channel[0], &theirs, sizeof theirs), sizeof theirs);
    waitpid(child, NULL, 0);
    ck_assert_mem_ne(mine.bytes + 8, theirs.bytes + 8, 8);
}
END_TEST

START_TEST(text_form_round_trip)
{
    struct jobq_id id, back;
    char text[33];

    for (int i = 0; i < 16; i++)
        id.bytes[i] = (uint8_t)(i * 17);
    jobq_id_format(&id, text);
    ck_assert_str_eq(text, "00112233445566778899aabbccddeeff");
    ck_assert_int_eq(jobq_id_parse(text, &back), JOBQ_OK);
    ck_assert_mem_eq(&id, &back, 16);
    ck_assert_int_eq(jobq_id_parse("00112233-4455-6677-8899-AABBCCDDEEFF", &back), JOBQ_OK);
    ck_assert_mem_eq(&id, &back, 16);
}
END_TEST

START_TEST(bad_text_is_refused)
{
    static const char *const bad[] = { "", "0", "00112233445566778899aabbccddeef", "00112233445566778899aabbccddeefff",
                                       "00112233445566778899aabbccddeefg", "0-0112233445566778899aabbccddeeff",
                                       "00112233445566778899aabbccddeeff-", " 0112233445566778899aabbccddeeff" };
    struct jobq_id id;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(jobq_id_parse(bad[i], &id) == JOBQ_INVALID, "%s", bad[i]);
        ck_assert_str_eq(jobq_last_error()->field, "id");
    }
    ck_assert_int_eq(jobq_id_parse(NULL, &id), JOBQ_INVALID);
}
END_TEST

START_TEST(fence_is_the_second_half_of_a_token)
{
    struct jobq_token token = { { 9, 9, 9, 9, 9, 9, 9, 9, 0, 0, 0, 0, 0, 1, 0, 2 } };

    ck_assert_int_eq(jobq_token_fence(&token), 65538);
}
END_TEST

UNIT_MAIN("id", ids_rise_and_are_version_7, ids_of_many_threads_differ,
          a_forked_child_draws_bytes_of_its_own, text_form_round_trip, bad_text_is_refused,
          fence_is_the_second_half_of_a_token)
