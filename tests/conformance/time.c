/* SPDX-License-Identifier: MIT */
/* The store's clock: lifecycle "Clocks"; contract "Changes", "Exchange" outputs. */
#include "suite.h"

#include <time.h>

static void looks_like_utc(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    int64_t wall = (int64_t)ts.tv_sec * 1000, now = now_of_store();
    ok(now > wall - 120000 && now < wall + 120000);
}

static void never_goes_back(void)
{
    int64_t last = 0;
    for (uint32_t i = 0; i < 20; i++) {
        put_ok(i);
        ok(me->now >= last);
        last = me->now;
    }
    ok(now_of_store() >= last);
}

/* now is taken once per unit. */
static void one_now_per_unit(void)
{
    struct jobq_put p[50];
    for (uint32_t i = 0; i < 50; i++)
        p[i] = put_of(i);
    struct jobq_exchange x = { .puts = p, .put_count = 50 };
    go(me, &x);
    for (uint32_t i = 1; i < 50; i++)
        is(row_n(i)->created_at_ms, row_n(0)->created_at_ms);
}

/* The test offset is the store's: every handle sees it, also one opened later. */
static void offset_is_shared(void)
{
    struct actor *you = another();
    int64_t before = now_of_store();
    tick(7 * STEP);
    struct jobq_exchange x = { 0 };
    go(you, &x);
    ok(you->now >= before + 7 * STEP && you->now < before + 8 * STEP);
    struct actor *third = another();
    struct jobq_exchange y = { 0 };
    go(third, &y);
    ok(third->now >= you->now && third->now < before + 8 * STEP);
}

static int64_t next_due(void)
{
    struct jobq_exchange x = { 0 };
    go(me, &x);
    return x.next_due_ms;
}

/* When something happens by time alone: the earliest after now. */
static void next_due_is_the_earliest(void)
{
    is(next_due(), INT64_MAX);
    put_ok(1);
    is(next_due(), INT64_MAX); /* due already: time changes nothing */
    struct jobq_put p = put_of(2);
    p.run_at = from_now(5 * STEP);
    is(put(&p), JOBQ_OK);
    is(next_due(), row_n(2)->run_at_ms);
    struct jobq_put q = put_of(3);
    q.queue = text("other");
    q.run_at = from_now(3 * STEP);
    is(put(&q), JOBQ_OK);
    is(next_due(), row_n(3)->run_at_ms);
    const struct jobq_row *r = claim_n(1);
    is(next_due(), r->lease_until_ms);
    tick(LEASE);
    is(next_due(), row_n(3)->run_at_ms); /* the lease is past: that has happened */
    change_ok(completed(r, "r"));
    tick(4 * STEP);
    is(next_due(), row_n(2)->run_at_ms);
}

static void next_due_of_deadlines(void)
{
    struct jobq_put p = put_of(1);
    p.expires_at = from_now(9 * STEP);
    is(put(&p), JOBQ_OK);
    is(next_due(), row_n(1)->expires_at_ms);
    const struct jobq_row *r = claim_n(1);
    struct jobq_change park = by_token(r, JOBQ_OUTCOME_PARK, JOBQ_ROW_BLOCKED);
    park.reason = JOBQ_REASON_CALLBACK;
    park.set = JOBQ_SET_DEADLINE | JOBQ_SET_CALLBACK;
    park.digest[0] = 1;
    park.callback_until = from_now(4 * STEP);
    change_ok(park);
    is(next_due(), row_n(1)->callback_until_ms);
}

static void clock_cannot_pass_its_end(void)
{
    tick(INT64_C(1) << 40);
    put_ok(1);
    const struct jobq_row *r = claim_n(1);
    ok(r->fence < INT64_C(1) << 53);
    ok(r->started_at_ms > INT64_C(1) << 40);
}

static const struct test tests[] = {
    { .name = "instants look like UTC", .run = looks_like_utc },
    { .name = "the clock never goes back", .run = never_goes_back },
    { .name = "now is taken once per unit", .run = one_now_per_unit },
    { .name = "the test offset is the store's", .run = offset_is_shared },
    { .name = "next due: run_at and leases", .run = next_due_is_the_earliest },
    { .name = "next due: deadlines", .run = next_due_of_deadlines },
    { .name = "far in the future", .run = clock_cannot_pass_its_end },
};
const struct topic topic_time = TOPIC("time", tests);
