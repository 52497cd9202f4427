/* SPDX-License-Identifier: MIT */
/* Settings: backend.h "configure"; lifecycle rule 10. */
#include "suite.h"

static struct jobq_settings queue(uint32_t set)
{
    return (struct jobq_settings){ .size = sizeof(struct jobq_settings), .what = JOBQ_CONFIGURE_QUEUE, .set = set,
                                   .name = text("q") };
}

/* Only members whose bit is set are stored. */
static void only_named_members(void)
{
    struct jobq_settings s = queue(JOBQ_SETTING_PAUSED);
    s.paused = 1;
    s.depth = 0; /* not named: no limit */
    is(configure(&s), JOBQ_OK);
    put_ok(1);
    is(queue_stats("q").paused, 1);
    s = queue(JOBQ_SETTING_DEPTH);
    s.depth = 1;
    is(configure(&s), JOBQ_OK);
    is(queue_stats("q").paused, 1);
    struct jobq_put p = put_of(2);
    is(put(&p), JOBQ_FULL);
    s = queue(0);
    is(configure(&s), JOBQ_OK);
    is(put(&p), JOBQ_FULL);
}

/* A queue may have settings before it has rows, and every handle obeys them. */
static void seen_by_all(void)
{
    struct actor *you = another();
    struct jobq_settings s = queue(JOBQ_SETTING_DEPTH);
    s.depth = 0;
    is(configure(&s), JOBQ_OK);
    struct jobq_put p = put_of(1);
    struct jobq_exchange x = { .puts = &p, .put_count = 1 };
    go(you, &x);
    is(p.verdict, JOBQ_FULL);
    is(p.retry_ms, 0);
    const struct jobq_id none = { 0 };
    ids_are(p.holder, none);
}

/* Names are whole: a pause of "q" is none of "q2" (S15). */
static void other_queues_go_on(void)
{
    struct jobq_settings s = queue(JOBQ_SETTING_PAUSED);
    s.paused = 1;
    is(configure(&s), JOBQ_OK);
    struct jobq_put p = put_of(1);
    p.queue = text("q2");
    is(put(&p), JOBQ_OK);
    const struct jobq_bytes named = text("q2");
    struct jobq_want w = due(1);
    w.queues = &named;
    want(me, &w);
    is(w.row_count, 1);
}

static void unsupported(struct jobq_settings s, uint32_t capability)
{
    if (!store_has(capability) || !capability)
        is(configure(&s), JOBQ_UNSUPPORTED);
}

/* What the table does not declare is refused. */
static void what_is_not_declared(void)
{
    struct jobq_settings s = queue(JOBQ_SETTING_CONCURRENCY);
    s.concurrency = 1;
    unsupported(s, JOBQ_CAP_GROUPS);
    s = queue(JOBQ_SETTING_RATE | JOBQ_SETTING_PAUSED);
    s.paused = 1;
    unsupported(s, JOBQ_CAP_GROUPS);
    if (!store_has(JOBQ_CAP_GROUPS))
        is(queue_stats("q").paused, 0); /* no part of it was stored */
    s = queue(JOBQ_SETTING_QUOTA);
    s.what = JOBQ_CONFIGURE_GROUP;
    unsupported(s, JOBQ_CAP_GROUPS);
    s = queue(0);
    s.what = JOBQ_CONFIGURE_SCHEDULE;
    unsupported(s, JOBQ_CAP_SCHEDULES);
    s.what = 99;
    unsupported(s, 0);
}

static const struct test tests[] = {
    { .name = "only the members named", .run = only_named_members },
    { .name = "every handle obeys, rows or not", .run = seen_by_all },
    { .name = "other queues go on (S15)", .run = other_queues_go_on },
    { .name = "what is not declared is refused", .run = what_is_not_declared },
};
const struct topic topic_configure = TOPIC("configure", tests);
