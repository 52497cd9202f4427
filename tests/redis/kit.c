/* SPDX-License-Identifier: MIT */
#include "kit.h"

int kit_open(struct kit *k, const char *uri, uint32_t flags, struct jobq_store **out)
{
    const struct jobq_store_options options = { .size = sizeof options, .uri = uri, .flags = flags, .io_timeout_ms = 2000 };
    k->err = (struct jobq_error){ 0 };
    return jobq_redis()->open(out, &options, &k->err);
}

void kit_begin(struct kit *k, const char *const *arguments)
{
    memset(k, 0, sizeof *k);
    redis_server_start_tcp(&k->server, arguments);
    snprintf(k->uri, sizeof k->uri, "redis+unix://%s", k->server.socket);
    k->arena = jobq_arena_create();
    int status = kit_open(k, k->uri, 0, &k->store);
    ck_assert_msg(status == JOBQ_OK, "%s", k->err.text);
}

void kit_end(struct kit *k)
{
    if (k->store)
        jobq_redis()->close(k->store);
    jobq_arena_destroy(k->arena);
    redis_server_stop(&k->server);
}

struct jobq_id kit_id(uint32_t number)
{
    struct jobq_id id = { .bytes = { 1 } };
    for (int i = 0; i < 4; i++)
        id.bytes[15 - i] = (uint8_t)(number >> 8 * i);
    return id;
}

int kit_put_as(struct kit *k, struct jobq_store *store, uint64_t number, uint32_t id, size_t payload_bytes, int *verdict)
{
    uint8_t *payload = calloc(1, payload_bytes + 1);
    struct jobq_put put = { .id = kit_id(id), .queue = { "q", 1 }, .kind = { "k", 1 }, .only_if = -1,
                            .payload = { payload, payload_bytes } };
    struct jobq_exchange x = { .size = sizeof x, .client = { 'r' }, .puts = &put, .put_count = 1 };
    x.number = number ? number : ++k->number;
    int unit = jobq_redis()->exchange(store, &x, k->arena, &k->err);
    ck_assert_int_eq(unit, x.unit);
    *verdict = unit == JOBQ_OK ? put.verdict : x.failure;
    free(payload);
    return unit;
}

void kit_put(struct kit *k, uint32_t id)
{
    int verdict, unit = kit_put_as(k, k->store, 0, id, 10, &verdict);
    ck_assert_msg(unit == JOBQ_OK, "%s", k->err.text);
    ck_assert_int_eq(verdict, JOBQ_OK);
}

size_t kit_claim(struct kit *k, struct jobq_row out[4])
{
    const struct jobq_bytes queue = { "q", 1 };
    struct jobq_want want = { .mode = JOBQ_WANT_DUE, .queues = &queue, .queue_count = 1, .limit = 4, .lease_ms = 30000,
                              .worker = { "w", 1 }, .mint = { 7, (uint8_t)k->number } };
    struct jobq_exchange x = { .size = sizeof x, .client = { 'r' }, .number = ++k->number, .want = &want };
    int unit = jobq_redis()->exchange(k->store, &x, k->arena, &k->err);
    ck_assert_msg(unit == JOBQ_OK && x.want_unit == JOBQ_OK, "%s", k->err.text);
    for (size_t i = 0; i < want.row_count; i++)
        out[i] = want.rows[i];
    return want.row_count;
}

int kit_complete(struct kit *k, const struct jobq_row *held, int *verdict)
{
    struct jobq_change change = { .id = held->id, .by = JOBQ_BY_TOKEN, .token = held->token, .edits = held->edits,
                                  .outcome = JOBQ_OUTCOME_COMPLETE, .state = JOBQ_ROW_COMPLETED };
    struct jobq_exchange x = { .size = sizeof x, .client = { 'r' }, .number = ++k->number, .changes = &change,
                               .change_count = 1 };
    int unit = jobq_redis()->exchange(k->store, &x, k->arena, &k->err);
    *verdict = unit == JOBQ_OK ? change.verdict : x.failure;
    return unit;
}

size_t kit_count(struct kit *k, struct jobq_store *store)
{
    struct jobq_query query = { .size = sizeof query, .limit = 100000 };
    int status = jobq_redis()->read(store, &query, k->arena, &k->err);
    ck_assert_msg(status == JOBQ_OK, "%s", k->err.text);
    return query.row_count;
}

int kit_run(const char *name, double seconds, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *one = tcase_create(name);
    tcase_set_timeout(one, seconds);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(one, tests[i]);
    suite_add_tcase(suite, one);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
