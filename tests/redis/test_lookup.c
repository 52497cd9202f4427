/* SPDX-License-Identifier: MIT */
/* The name of the server's host is looked for no longer than a call may take. */
#include "kit.h"

#include <names.h>

#include <unistd.h>

START_TEST(found_by_name)
{
    struct kit k;
    struct jobq_store *store;
    struct redis_server server;
    char uri[100];
    kit_begin(&k, NULL);
    redis_server_start_tcp(&server, NULL);
    snprintf(uri, sizeof uri, "redis://good.test:%d", server.port);
    ck_assert_msg(kit_open(&k, uri, 0, &store) == JOBQ_OK, "%s", k.err.text);
    ck_assert_int_eq(names_asked(), 1);
    jobq_redis()->close(store);
    redis_server_stop(&server);
    kit_end(&k);
}
END_TEST

/* It ends although there is no answer yet; the answer that comes later harms nobody. */
START_TEST(not_found_in_time)
{
    const struct jobq_store_options options = {
        .size = sizeof options, .uri = "redis://:Kan4@slow.test:1", .io_timeout_ms = 100};
    struct jobq_store *store = NULL;
    struct jobq_error err = {0};
    ck_assert_int_eq(jobq_redis()->open(&store, &options, &err), JOBQ_UNREACHABLE);
    ck_assert_int_eq(names_await(1), 1);
    ck_assert_ptr_nonnull(strstr(err.text, "slow.test"));
    ck_assert_ptr_nonnull(strstr(err.text, "in time"));
    ck_assert_ptr_null(strstr(err.text, "Kan4"));
    names_answer();
    ck_assert_int_eq(names_await(0), 0);
    ck_assert_int_eq(jobq_redis()->open(&store, &options, &err), JOBQ_UNREACHABLE);
    ck_assert_ptr_null(strstr(err.text, "in time"));
}
END_TEST

KIT_MAIN("redis-lookup", 120, found_by_name, not_found_in_time)
