/* SPDX-License-Identifier: MIT */
/* Statistics: contract "Stats"; S10. */
#include "suite.h"

static void nothing_yet(void)
{
    struct jobq_stats s = stats_of(bytes(NULL, 0));
    is(s.queue_count + s.worker_count + s.kind_count, 0);
    ok(s.engine && s.engine[0]);
    ok(s.address && s.name_space && s.durability);
    ok(s.schema_version >= 1 && s.schema_version == s.schema_known);
    struct jobq_stats one = stats_of(text("never seen"));
    is(one.queue_count, 0);
}

static void no_present_but(const struct jobq_queue_stats *q, int shown, uint64_t count)
{
    for (int state = 1; state < JOBQ_STATE_COUNT; state++)
        is(q->present[state], state == shown ? count : 0);
}

/* S10: rows present, by state as shown. */
static void present_by_state(void)
{
    static const struct {
        int state, shown;
    } cases[] = { { JOBQ_ROW_BLOCKED, JOBQ_BLOCKED },     { JOBQ_ROW_RUNNING, JOBQ_RUNNING },
                  { JOBQ_ROW_COMPLETED, JOBQ_COMPLETED }, { JOBQ_ROW_DEAD, JOBQ_DEAD },
                  { JOBQ_ROW_CANCELLED, JOBQ_CANCELLED } };
    for (uint32_t i = 0; i < 5; i++) {
        make(i, cases[i].state);
        struct jobq_queue_stats q = queue_stats("q");
        no_present_but(&q, cases[i].shown, 1);
        if (cases[i].state == JOBQ_ROW_RUNNING)
            change_ok(completed(row_n(i), "r"));
        change_ok(by_operator(id(i), ANY_STATE, JOBQ_ROW_GONE));
    }
    struct jobq_put p = put_of(9);
    p.run_at = from_now(STEP);
    is(put(&p), JOBQ_OK);
    struct jobq_queue_stats q = queue_stats("q");
    no_present_but(&q, JOBQ_SCHEDULED, 1);
    is(q.oldest_ready_at_ms, 0);
    tick(STEP);
    q = queue_stats("q");
    no_present_but(&q, JOBQ_READY, 1);
    is(q.oldest_ready_at_ms, row_n(9)->run_at_ms);
    is(q.at_least, 0);
}

/* Totals count entries into a state, ever since creation. */
static void totals_are_of_all_time(void)
{
    put_ok(1);
    change_ok(failed(claim_n(1), JOBQ_ROW_WAITING, 0, "e"));
    change_ok(failed(claim_n(1), JOBQ_ROW_DEAD, JOBQ_REASON_ATTEMPTS, "e"));
    change_ok(by_operator(id(1), JOBQ_ROW_ENDED, JOBQ_ROW_WAITING));
    change_ok(by_token(claim_n(1), JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING));
    finish(1, JOBQ_ROW_COMPLETED);
    make(2, JOBQ_ROW_CANCELLED);
    change_ok(by_operator(id(1), ANY_STATE, JOBQ_ROW_GONE));
    struct jobq_queue_stats q = queue_stats("q");
    is(q.enqueued_total, 2);
    is(q.failed_total, 2);
    is(q.dead_total, 1);
    is(q.completed_total, 1);
    is(q.cancelled_total, 1);
    no_present_but(&q, JOBQ_CANCELLED, 1);
}

/* What changed nothing counts nothing. */
static void refused_counts_nothing(void)
{
    put_ok(1);
    struct jobq_change c = completed(claim_n(1), "r"), again = c;
    change_ok(c);
    is(change(&again), JOBQ_ALREADY);
    struct jobq_put p = put_of(1);
    is(put(&p), JOBQ_ALREADY);
    struct jobq_change stale = by_operator(id(1), LIVE, JOBQ_ROW_CANCELLED);
    is(change(&stale), JOBQ_STALE);
    struct jobq_queue_stats q = queue_stats("q");
    is(q.enqueued_total, 1);
    is(q.completed_total, 1);
    is(q.cancelled_total, 0);
}

static void stuck_is_part_of_running(void)
{
    put_ok(1);
    put_ok(2);
    claim_n(1);
    tick(LEASE);
    claim_n(2);
    struct jobq_queue_stats q = queue_stats("q");
    is(q.present[JOBQ_RUNNING], 2);
    is(q.stuck, 1);
}

static void queues_in_order_of_bytes(void)
{
    static const char *const names[] = { "b", "a", "aa", "B" };
    static const char *const sorted[] = { "B", "a", "aa", "b" };
    for (uint32_t i = 0; i < 4; i++) {
        struct jobq_put p = put_of(i);
        p.queue = text(names[i]);
        is(put(&p), JOBQ_OK);
    }
    struct jobq_stats s = stats_of(bytes(NULL, 0));
    is(s.queue_count, 4);
    for (int i = 0; i < 4; i++) {
        is(strcmp(s.queues[i].queue, sorted[i]), 0);
        is(s.queues[i].present[JOBQ_READY], 1);
    }
    s = stats_of(text("a"));
    is(s.queue_count, 1);
    is(strcmp(s.queues[0].queue, "a"), 0);
}

static void kinds_that_wait(void)
{
    for (uint32_t i = 0; i < 3; i++) {
        struct jobq_put p = put_of(i);
        p.kind = text(i < 2 ? "many" : "later");
        p.run_at = from_now(i < 2 ? 0 : STEP);
        is(put(&p), JOBQ_OK);
    }
    struct jobq_stats s = stats_of(bytes(NULL, 0));
    is(s.kind_count, 1);
    is(strcmp(s.kinds[0].kind, "many"), 0);
    is(strcmp(s.kinds[0].queue, "q"), 0);
    is(s.kinds[0].ready, 2);
    struct jobq_want w = due(2);
    want(me, &w);
    is(stats_of(bytes(NULL, 0)).kind_count, 0);
}

static void paused_is_shown(void)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_QUEUE, .set = JOBQ_SETTING_PAUSED,
                               .name = text("early"), .paused = 1 };
    is(configure(&s), JOBQ_OK);
    is(queue_stats("early").paused, 1); /* a queue with settings and no row is shown */
    is(stats_of(bytes(NULL, 0)).queue_count, 1);
    s.paused = 0;
    is(configure(&s), JOBQ_OK);
    is(queue_stats("early").paused, 0);
}

/* The store's identity is its own: the same for every handle, another for another store. */
static void identity(void)
{
    const uint8_t none[16] = { 0 };
    struct jobq_stats mine = stats_of(bytes(NULL, 0));
    struct actor *you = another();
    struct jobq_stats yours = { .size = sizeof yours };
    const struct jobq_bytes every = { 0 };
    int status;
    do
        status = store_table()->stats(you->store, &every, &yours, you->arena, &you->err);
    while (status == JOBQ_FAILED && strcmp(you->err.text, "injected") == 0);
    is(status, JOBQ_OK);
    ok(memcmp(mine.store_id, yours.store_id, sizeof mine.store_id) == 0);
    ok(memcmp(mine.store_id, none, sizeof none) != 0);
}

static struct jobq_worker_record worker(const char *name)
{
    return (struct jobq_worker_record){ .name = text(name), .host = text("host"), .queues = text("q,r"),
                                        .kinds = text("k"), .pid = 42, .started_at_ms = 77, .lease_ms = LEASE,
                                        .nonce = { 9 }, .capacity = 4, .running = 2 };
}

static void note(struct jobq_worker_record *record)
{
    struct jobq_exchange x = { .worker = record };
    go(me, &x);
}

/* Rule 17: workers are shown, kept fresh, and dropped after ten leases. */
static void workers(void)
{
    struct jobq_worker_record w = worker("anna"), v = worker("bert");
    note(&w);
    note(&v);
    struct jobq_stats s = stats_of(bytes(NULL, 0));
    is(s.worker_count, 2);
    is(strcmp(s.workers[0].name, "anna"), 0);
    is(strcmp(s.workers[0].host, "host"), 0);
    is(strcmp(s.workers[0].queues, "q,r"), 0);
    is(strcmp(s.workers[0].kinds, "k"), 0);
    is(s.workers[0].pid, 42);
    is(s.workers[0].started_at_ms, 77);
    is(s.workers[0].lease_ms, LEASE);
    is(s.workers[0].capacity, 4);
    is(s.workers[0].running, 2);
    is(s.workers[0].stop_asked, 0);
    tick(9 * LEASE);
    w.running = 0;
    note(&w);
    s = stats_of(bytes(NULL, 0));
    is(s.worker_count, 2);
    is(s.workers[0].running, 0);
    ok(s.workers[0].seen_at_ms >= s.workers[1].seen_at_ms + 9 * LEASE);
    tick(2 * LEASE);
    is(stats_of(bytes(NULL, 0)).worker_count, 1);
    w.leaving = 1;
    note(&w);
    is(stats_of(bytes(NULL, 0)).worker_count, 0);
}

static void asked_to_stop(void)
{
    struct jobq_worker_record w = worker("anna"), v = worker("bert");
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_WORKER, .name = text("anna") };
    is(configure(&s), JOBQ_NOT_FOUND);
    note(&w);
    note(&v);
    is(w.stop_asked, 0);
    is(configure(&s), JOBQ_OK);
    is(stats_of(bytes(NULL, 0)).workers[0].stop_asked, 1);
    note(&w);
    note(&v);
    is(w.stop_asked, 1);
    is(v.stop_asked, 0);
    w.leaving = 1;
    note(&w);
    w = worker("anna"); /* a new one of the name starts afresh */
    w.nonce[0] = 1;
    note(&w);
    is(w.stop_asked, 0);
}

static const struct test tests[] = {
    { .name = "an empty store", .run = nothing_yet },
    { .name = "rows present by state (S10)", .run = present_by_state },
    { .name = "totals since creation (S10)", .run = totals_are_of_all_time },
    { .name = "what is refused counts nothing (S10, S16)", .run = refused_counts_nothing },
    { .name = "stuck: running with the lease past", .run = stuck_is_part_of_running },
    { .name = "queues in order of bytes, or one", .run = queues_in_order_of_bytes },
    { .name = "kinds that wait", .run = kinds_that_wait },
    { .name = "a paused queue is shown", .run = paused_is_shown },
    { .name = "the store's identity", .run = identity },
    { .name = "workers' records (rule 17)", .run = workers },
    { .name = "a worker asked to stop (rule 17)", .run = asked_to_stop },
};
const struct topic topic_stats = TOPIC("stats", tests);
