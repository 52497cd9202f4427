/* SPDX-License-Identifier: MIT */
/* Figures: what the jobs of a queue took, and how many lately. Times dwarf how long a test takes, so that each lies well
 * inside its bucket. */
#include "suite.h"

#define MINUTE ((int64_t)60000)

static void only_bucket(const struct jobq_durations *d, int64_t ms, uint64_t count)
{
    for (int i = 0; i < JOBQ_DURATION_BUCKETS; i++)
        is(d->buckets[i], i == jobq_duration_bucket(ms) ? count : 0);
    is(d->count, count);
    ok(d->total_ms >= ms * (int64_t)count && d->total_ms < (ms + MINUTE) * (int64_t)count);
}

static void nothing_ran(void)
{
    put_ok(1);
    struct jobq_queue_stats q = queue_stats("q");
    is(q.waited.count + q.ran.count, 0);
    is(q.last_minute.completed + q.last_minute.failed, 0);
    is(q.last_finished_at_ms, 0);
}

static void waited_until_claimed(void)
{
    put_ok(1);
    put_ok(2);
    tick(20 * MINUTE);
    claim_n(1);
    claim_n(2);
    struct jobq_queue_stats q = queue_stats("q");
    only_bucket(&q.waited, 20 * MINUTE, 2);
    is(q.ran.count, 0);
}

/* A delay is no waiting; nor is the time before a job was put, whatever run_at it was given. */
static void waiting_begins_when_it_could_have_run(void)
{
    struct jobq_put later = put_of(1), old = put_of(2);
    later.run_at = from_now(STEP);
    old.run_at = at(1);
    is(put(&later), JOBQ_OK);
    tick(STEP);
    is(put(&old), JOBQ_OK);
    tick(20 * MINUTE);
    claim_n(2);
    claim_n(1);
    struct jobq_queue_stats q = queue_stats("q");
    only_bucket(&q.waited, 20 * MINUTE, 2);
}

/* The middle of each bucket that is wide enough for a test to take its time; the last one has no end. */
static void every_bucket(void)
{
    const int first = 2 * 15;
    for (int i = first; i < JOBQ_DURATION_BUCKETS; i++) {
        put_ok((uint32_t)i);
        tick((INT64_C(1) << i / 2) + (i % 2 ? INT64_C(1) << (i / 2 - 1) : 0) + (INT64_C(1) << (i / 2 - 2)));
        claim_n((uint32_t)i);
    }
    struct jobq_queue_stats q = queue_stats("q");
    for (int i = 0; i < JOBQ_DURATION_BUCKETS; i++)
        is(q.waited.buckets[i], i >= first);
}

static void ran_until_it_ended(void)
{
    put_ok(1);
    const struct jobq_row *held = claim_n(1);
    tick(20 * MINUTE);
    change_ok(failed(held, JOBQ_ROW_WAITING, 0, "e"));
    held = claim_n(1);
    tick(20 * MINUTE);
    change_ok(completed(held, "r"));
    struct jobq_queue_stats q = queue_stats("q");
    only_bucket(&q.ran, 20 * MINUTE, 2);
    is(q.waited.count, 2);
    is(q.last_minute.completed, 1);
    is(q.last_minute.failed, 0);
    is(q.last_finished_at_ms, row_n(1)->finished_at_ms);
}

static void other_outcomes_are_not_runs(void)
{
    put_ok(1);
    change_ok(by_token(claim_n(1), JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING));
    claim_n(1);
    change_ok(by_operator(id(1), LIVE, JOBQ_ROW_CANCELLED));
    struct jobq_queue_stats q = queue_stats("q");
    is(q.ran.count, 0);
    is(q.waited.count, 2);
    is(q.last_quarter.completed + q.last_quarter.failed, 0);
}

static void refused_is_not_counted(void)
{
    put_ok(1);
    struct jobq_change c = completed(claim_n(1), "r"), again = c;
    change_ok(c);
    is(change(&again), JOBQ_ALREADY);
    struct jobq_queue_stats q = queue_stats("q");
    is(q.ran.count, 1);
    is(q.last_quarter.completed, 1);
}

static void window_is(const struct jobq_recent *r, int64_t from_ms, uint64_t completed, uint64_t failed)
{
    ok(r->window_ms >= from_ms && r->window_ms < from_ms + 10000);
    is(r->completed, completed);
    is(r->failed, failed);
}

static void recent_windows_slide(void)
{
    put_ok(1);
    change_ok(failed(claim_n(1), JOBQ_ROW_WAITING, 0, "e"));
    tick(5 * MINUTE);
    change_ok(completed(claim_n(1), "r"));
    struct jobq_queue_stats q = queue_stats("q");
    window_is(&q.last_minute, MINUTE, 1, 0);
    window_is(&q.last_quarter, 15 * MINUTE, 1, 1);
    tick(5 * MINUTE);
    q = queue_stats("q");
    window_is(&q.last_minute, MINUTE, 0, 0);
    window_is(&q.last_quarter, 15 * MINUTE, 1, 1);
    tick(7 * MINUTE);
    q = queue_stats("q");
    window_is(&q.last_quarter, 15 * MINUTE, 1, 0);
    tick(1000 * MINUTE);
    q = queue_stats("q");
    window_is(&q.last_quarter, 15 * MINUTE, 0, 0);
    is(q.ran.count, 2); /* what they took is kept for good */
}

static void each_queue_has_its_own(void)
{
    struct jobq_put p = put_of(1);
    p.queue = text("r");
    is(put(&p), JOBQ_OK);
    put_ok(2);
    change_ok(completed(claim_n(2), "r"));
    is(queue_stats("q").ran.count, 1);
    is(queue_stats("r").ran.count, 0);
    is(queue_stats("r").waited.count, 0);
}

static void another_handle_sees_the_same(void)
{
    put_ok(1);
    tick(20 * MINUTE);
    change_ok(completed(claim_n(1), "r"));
    struct actor *you = another();
    struct jobq_stats yours = { .size = sizeof yours };
    const struct jobq_bytes every = { 0 };
    struct jobq_queue_stats mine = queue_stats("q");
    int status;
    do
        status = store_table()->stats(you->store, &every, &yours, you->arena, &you->err);
    while (status == JOBQ_FAILED && strcmp(you->err.text, "injected") == 0);
    is(status, JOBQ_OK);
    is(memcmp(&mine.waited, &yours.queues[0].waited, sizeof mine.waited), 0);
    is(memcmp(&mine.ran, &yours.queues[0].ran, sizeof mine.ran), 0);
    is(mine.last_finished_at_ms, yours.queues[0].last_finished_at_ms);
}

#define FIGURES JOBQ_CAP_FIGURES
static const struct test tests[] = {
    { .name = "nothing ran yet", .run = nothing_ran, .needs = FIGURES },
    { .name = "waited: until the claim", .run = waited_until_claimed, .needs = FIGURES },
    { .name = "waited: from when it could have run", .run = waiting_begins_when_it_could_have_run, .needs = FIGURES },
    { .name = "waited: every bucket", .run = every_bucket, .needs = FIGURES, .flags = PLAIN_ONLY },
    { .name = "ran: until it completed or failed", .run = ran_until_it_ended, .needs = FIGURES },
    { .name = "ran: not what was given back or cancelled", .run = other_outcomes_are_not_runs, .needs = FIGURES },
    { .name = "what is refused counts nothing", .run = refused_is_not_counted, .needs = FIGURES },
    { .name = "the last minute and the last quarter of an hour", .run = recent_windows_slide, .needs = FIGURES },
    { .name = "each queue has its own", .run = each_queue_has_its_own, .needs = FIGURES },
    { .name = "every handle sees the same", .run = another_handle_sees_the_same, .needs = FIGURES },
};
const struct topic topic_figures = TOPIC("figures", tests);
