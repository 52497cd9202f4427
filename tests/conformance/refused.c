/* SPDX-License-Identifier: MIT */
/* What a store must refuse, with a definite answer and no effect: lifecycle rule 16; S16; contract "Units". */
#include "suite.h"

/* A unit with one impossible item: FAILED, REFUSED, the item named, and no byte of the unit changed. */
static void refused_put(struct jobq_put bad)
{
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    char *memory = remember(id(1));
    struct jobq_change c = completed(r, "r");
    struct jobq_put puts[] = { put_of(2), bad, put_of(3) };
    struct jobq_want w = due(9);
    struct jobq_beat b = { .token = r->token, .lease_ms = 5 * LEASE };
    struct jobq_exchange x = { .beats = &b, .beat_count = 1, .changes = &c, .change_count = 1, .puts = puts,
                               .put_count = 3, .want = &w };
    is(go_status(me, &x), JOBQ_FAILED);
    is(x.unit, JOBQ_FAILED);
    is(x.want_unit, JOBQ_SKIPPED);
    is(x.failure, JOBQ_FAILURE_REFUSED);
    is(x.guilty_put, 1);
    is(x.guilty_change, -1);
    ok(me->err.status == JOBQ_FAILED && me->err.text[0]);
    is_as_remembered(id(1), memory);
    ok(!exists(2) && !exists(3) && !exists(9));
    is(queue_stats("q").enqueued_total, 1);
}

static void tick_of_a_schedule(void)
{
    const struct jobq_put_tick tick_of = { .schedule = text("s"), .version = 1, .nominal_ms = 1 };
    struct jobq_put p = put_of(9);
    p.tick = &tick_of;
    if (!store_has(JOBQ_CAP_SCHEDULES))
        refused_put(p);
}

static void successor(void)
{
    const struct jobq_put_key key = { .scope = { 1 }, .conflict = JOBQ_CONFLICT_SUCCESSOR };
    struct jobq_put p = put_of(9);
    p.unique = &key;
    if (!store_has(JOBQ_CAP_SUCCESSOR))
        refused_put(p);
}

static void only_if_of_no_change(void)
{
    struct jobq_put p = put_of(9);
    p.only_if = 1;
    refused_put(p);
}

/* Opening: nothing is left, and the field is named. */
static void open_refused(const char *suffix, uint32_t flags, int status, const char *field)
{
    char uri[JOBQ_CONFORMANCE_URI + 64];
    const char *own = store_uri();
    snprintf(uri, sizeof uri, "%s%s%s", own, *suffix ? strchr(own, '?') ? "&" : "?" : "", suffix);
    struct jobq_store_options options = { .size = sizeof options, .uri = uri, .flags = flags,
                                          .io_timeout_ms = 1000 };
    struct jobq_store *store = NULL;
    struct jobq_error err = { 0 };
    int got = store_table()->open(&store, &options, &err);
    if (got == JOBQ_OK)
        store_table()->close(store);
    is(got, status);
    is(err.status, status);
    is(strcmp(err.field, field), 0);
    ok(err.text[0]);
    ok(store == NULL);
}

static void bad_addresses(void)
{
    open_refused("nonsense=1", 0, JOBQ_INVALID, "uri");
    open_refused("namespace=", 0, JOBQ_INVALID, "namespace");
    open_refused("namespace=a-b", 0, JOBQ_INVALID, "namespace");
    open_refused("namespace=%27", 0, JOBQ_INVALID, "namespace");
    open_refused("namespace=a&namespace=b", 0, JOBQ_INVALID, "namespace");
    open_refused("namespace=%zz", 0, JOBQ_INVALID, "uri");
    open_refused("novalue", 0, JOBQ_INVALID, "uri");
}

static void foreign_scheme(void)
{
    struct jobq_store_options options = { .size = sizeof options, .io_timeout_ms = 1000 };
    static const char *const uris[] = { "", "none", "elephant:x", ":x", "//host" };
    for (int i = 0; i < 5; i++) {
        struct jobq_store *store = NULL;
        struct jobq_error err = { 0 };
        options.uri = uris[i];
        is(store_table()->open(&store, &options, &err), JOBQ_INVALID);
        is(strcmp(err.field, "uri"), 0);
    }
}

/* A store that is not there is not made when the caller says so. */
static void missing_store(void)
{
    char uri[JOBQ_CONFORMANCE_URI];
    struct jobq_error err = { 0 };
    struct jobq_store *store = NULL;
    struct jobq_store_options options = { .size = sizeof options, .uri = uri, .io_timeout_ms = 1000 };
    snprintf(uri, sizeof uri, "%s", store_uri());
    leave(me); /* nobody uses it; a file or a server may keep it */
    me = another();
    options.flags = JOBQ_OPEN_NO_CREATE;
    is(store_table()->open(&store, &options, &err), JOBQ_OK);
    store_table()->close(store);
}

/* Opened to inspect: reading works, writing is FAILED. */
static void inspection(void)
{
    put_ok(1);
    struct jobq_store_options options = { .size = sizeof options, .uri = store_uri(), .io_timeout_ms = 1000,
                                          .flags = JOBQ_OPEN_INSPECT };
    struct jobq_store *store = NULL;
    struct jobq_error err = { 0 };
    is(store_table()->open(&store, &options, &err), JOBQ_OK);
    struct jobq_put p = put_of(2);
    struct jobq_exchange x = { .size = sizeof x, .client = { 77 }, .number = 1, .puts = &p, .put_count = 1 };
    is(store_table()->exchange(store, &x, me->arena, &err), JOBQ_FAILED);
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_CLOCK, .clock_ms = STEP };
    is(store_table()->configure(store, &s, &err), JOBQ_FAILED);
    struct jobq_query query = { .size = sizeof query, .limit = 9 };
    is(store_table()->read(store, &query, me->arena, &err), JOBQ_OK);
    is(query.row_count, 1);
    store_table()->close(store);
    ok(!exists(2));
}

static const struct test tests[] = {
    { .name = "a tick without schedules: nothing of the unit (S16)", .run = tick_of_a_schedule },
    { .name = "a successor without that mode: nothing of the unit (S16)", .run = successor },
    { .name = "only_if of no change: nothing of the unit (S16)", .run = only_if_of_no_change },
    { .name = "addresses: options and namespace (rule 16)", .run = bad_addresses },
    { .name = "addresses: another scheme (rule 16)", .run = foreign_scheme },
    { .name = "NO_CREATE opens what is there", .run = missing_store, .flags = PLAIN_ONLY },
    { .name = "INSPECT reads and does not write", .run = inspection, .flags = PLAIN_ONLY },
};
const struct topic topic_refused = TOPIC("refused", tests);
