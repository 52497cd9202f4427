/* SPDX-License-Identifier: MIT */
/* What the server holds beside the rows: that it is there at maxmemory, and that it goes with them. */
#include "kit.h"

static bool there(struct kit *k, const char *name)
{
    redisReply *reply = redis_server_ask(&k->server, "EXISTS {jobq}:%s", name);
    ck_assert_int_eq(reply->type, REDIS_REPLY_INTEGER);
    bool found = reply->integer == 1;
    freeReplyObject(reply);
    return found;
}

static int exchange(struct kit *k, struct jobq_exchange x)
{
    x.size = sizeof x;
    x.client[0] = 'r';
    x.number = ++k->number;
    return jobq_redis()->exchange(k->store, &x, k->arena, &k->err);
}

static int put(struct kit *k, struct jobq_put *p)
{
    int unit = exchange(k, (struct jobq_exchange){ .puts = p, .put_count = 1 });
    ck_assert_msg(unit == JOBQ_OK, "%s", k->err.text);
    return p->verdict;
}

static int put_keyed(struct kit *k, uint32_t id)
{
    const struct jobq_put_key key = { .scope = { 's' }, .conflict = JOBQ_CONFLICT_SUCCESSOR };
    struct jobq_put p = { .id = kit_id(id), .queue = { "q", 1 }, .kind = { "k", 1 }, .only_if = -1, .unique = &key };
    return put(k, &p);
}

static void end_row(struct kit *k, uint32_t id, int state)
{
    struct jobq_change c = { .id = kit_id(id), .by = JOBQ_BY_OPERATOR, .allowed = ~0u, .edits = JOBQ_ANY_EDITS,
                             .state = state };
    int unit = exchange(k, (struct jobq_exchange){ .changes = &c, .change_count = 1 });
    ck_assert_msg(unit == JOBQ_OK, "%s", k->err.text);
    ck_assert_int_eq(c.verdict, JOBQ_OK);
}

/* S16: what was accepted comes into being though the server takes no more. */
START_TEST(a_successor_at_maxmemory)
{
    struct kit k;
    kit_begin(&k, NULL);
    ck_assert_int_eq(put_keyed(&k, 1), JOBQ_OK);
    ck_assert(!there(&k, "after"));
    ck_assert_int_eq(put_keyed(&k, 2), JOBQ_SUCCESSOR);
    ck_assert_int_eq(put_keyed(&k, 3), JOBQ_SUCCESSOR);
    ck_assert(there(&k, "after"));
    redis_server_do(&k.server, "CONFIG SET maxmemory 1");
    end_row(&k, 1, JOBQ_ROW_CANCELLED);
    redis_server_do(&k.server, "CONFIG SET maxmemory 0");
    ck_assert_uint_eq(kit_count(&k, k.store), 2);
    ck_assert(!there(&k, "after"));
    ck_assert_int_eq(put_keyed(&k, 4), JOBQ_SUCCESSOR);
    end_row(&k, 3, JOBQ_ROW_GONE);
    end_row(&k, 4, JOBQ_ROW_GONE);
    ck_assert(!there(&k, "after"));
    ck_assert(!there(&k, "key"));
    kit_end(&k);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { a_successor_at_maxmemory };
    Suite *suite = suite_create("redis-leftovers");
    TCase *one = tcase_create("leftovers");
    tcase_set_timeout(one, 60);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_test(one, tests[i]);
    suite_add_tcase(suite, one);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
