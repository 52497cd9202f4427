/* SPDX-License-Identifier: MIT */
/* Limits on what runs, and whose they are: lifecycle rule 10, S9; backend.h "Limits and turns". All is counted. */
#include "suite.h"

#define CONCURRENCY JOBQ_SETTING_CONCURRENCY
#define PER_GROUP JOBQ_SETTING_GROUP_CONCURRENCY

static void put_some(uint32_t first, uint32_t count, const char *queue, const char *group)
{
    for (uint32_t i = 0; i < count; i++)
        is(put_in(first + i, queue, group), JOBQ_OK);
}

static size_t starts_from(const char *queue, size_t most)
{
    const struct jobq_bytes named = text(queue);
    struct jobq_want w = due(most);
    w.queues = &named;
    want(me, &w);
    return w.row_count;
}

static void end_one(uint32_t number)
{
    struct jobq_change c = by_operator(id(number), LIVE, JOBQ_ROW_CANCELLED);
    c.outcome = JOBQ_OUTCOME_VOID;
    change_ok(c);
}

/* ---- of a queue ------------------------------------------------------------------------------------------------ */

static void of_a_queue(void)
{
    limit_queue("q", CONCURRENCY, 2, 0);
    put_some(0, 6, "q", NULL);
    is(starts(1), 1);
    is(starts(9), 1);
    is(starts(9), 0);
    change_ok(completed(row_n(0), "r"));
    is(starts(9), 1);
    is(queue_stats("q").present[JOBQ_RUNNING], 2);
    put_some(100, 1, "q2", NULL);
    is(starts_from("q2", 9), 1); /* another queue has no limit */
}

/* Several handles share it; none of them exceeds it by one. */
static void of_all_handles(void)
{
    struct actor *you = another();
    limit_queue("q", CONCURRENCY, 3, 0);
    put_some(0, 9, "q", NULL);
    is(starts(2), 2);
    struct jobq_want w = due(9);
    want(you, &w);
    is(w.row_count, 1);
    w = due(9);
    want(you, &w);
    is(w.row_count, 0);
    is(starts(9), 0);
}

/* Every way out of RUNNING gives the slot back, and nothing else does. */
static void every_way_out(void)
{
    limit_queue("q", CONCURRENCY, 1, 0);
    put_some(0, 9, "q", NULL);
    static const int outs[][2] = { { JOBQ_OUTCOME_COMPLETE, JOBQ_ROW_COMPLETED }, { JOBQ_OUTCOME_FAIL, JOBQ_ROW_DEAD },
                                   { JOBQ_OUTCOME_FAIL, JOBQ_ROW_WAITING },       { JOBQ_OUTCOME_SNOOZE, JOBQ_ROW_WAITING },
                                   { JOBQ_OUTCOME_PARK, JOBQ_ROW_BLOCKED },       { JOBQ_OUTCOME_RELEASE, JOBQ_ROW_WAITING } };
    for (size_t i = 0; i < sizeof outs / sizeof *outs; i++) {
        const struct jobq_row *r = claim();
        ok(none_due());
        struct jobq_change c = by_token(r, outs[i][0], outs[i][1]);
        c.reason = outs[i][1] == JOBQ_ROW_BLOCKED ? JOBQ_REASON_CALLBACK : 0;
        change_ok(c);
    }
    const struct jobq_row *r = claim();
    struct jobq_change extended = by_token(r, JOBQ_OUTCOME_NONE, JOBQ_ROW_KEEP);
    extended.set = JOBQ_SET_LEASE;
    extended.lease_ms = 9 * LEASE;
    change_ok(extended);
    ok(none_due());
    struct jobq_beat b = { .token = r->token, .flags = JOBQ_BEAT_RELEASE };
    struct jobq_exchange x = { .beats = &b, .beat_count = 1 };
    go(me, &x);
    is(starts(9), 1);
}

/* S9: a lease that is past holds its slot until somebody has judged it; so does one that is being judged. */
static void a_lost_lease_holds_its_slot(void)
{
    limit_queue("q", CONCURRENCY, 1, 0);
    put_some(0, 2, "q", NULL);
    claim_n(0);
    tick(LEASE);
    ok(none_due());
    struct jobq_want o = overdue(9);
    want(me, &o);
    is(o.row_count, 1);
    ok(none_due());
    change_ok(failed(&o.rows[0], JOBQ_ROW_WAITING, 0, "lost"));
    is(starts(9), 1);
}

/* In one exchange: what the changes free, the want takes. */
static void freed_and_taken_at_once(void)
{
    limit_queue("q", CONCURRENCY, 1, 0);
    put_some(0, 2, "q", NULL);
    struct jobq_change c = completed(claim_n(0), "r");
    struct jobq_want w = due(9);
    struct jobq_exchange x = { .changes = &c, .change_count = 1, .want = &w };
    go(me, &x);
    is(w.row_count, 1);
    is(queue_stats("q").present[JOBQ_RUNNING], 1);
}

/* Changed while jobs run: what runs, runs on. */
static void changed_while_running(void)
{
    put_some(0, 9, "q", NULL);
    is(starts(4), 4);
    limit_queue("q", CONCURRENCY, 2, 0);
    is(starts(9), 0);
    end_one(0);
    end_one(1);
    is(starts(9), 0);
    end_one(2);
    is(starts(9), 1);
    limit_queue("q", CONCURRENCY, 3, 0);
    is(starts(9), 1);
    limit_queue("q", CONCURRENCY, 0, 0);
    end_one(3);
    is(starts(9), 0);
    limit_queue("q", CONCURRENCY, JOBQ_LIMIT_NONE, 0);
    is(starts(9), 3);
}

/* ---- of a group ------------------------------------------------------------------------------------------------- */

static void of_a_group_in_all_queues(void)
{
    limit_group("g", CONCURRENCY, 3, 0);
    put_some(0, 2, "q", "g");
    put_some(10, 5, "q2", "g");
    put_some(20, 4, "q2", "other");
    put_some(30, 4, "q2", NULL);
    is(starts(9), 2);
    is(starts_from("q2", 20), 1 + 4 + 4);
    end_one(0);
    is(starts_from("q2", 20), 1);
    is(starts_from("q2", 20), 0);
}

static void of_each_group_in_a_queue(void)
{
    limit_queue("q", PER_GROUP, 1, 0);
    put_some(0, 3, "q", "a");
    put_some(10, 3, "q", "b");
    put_some(20, 3, "q", NULL); /* whoever has no group has no limit of a group */
    put_some(30, 2, "q2", "a");
    is(starts(20), 1 + 1 + 3);
    is(starts_from("q2", 20), 2);
    is(starts(20), 0);
    end_one(10);
    is(starts(20), 1);
    is(row_n(11)->state, JOBQ_ROW_RUNNING);
}

/* Each by itself is in the way: the least of them decides. */
static void the_least_decides(void)
{
    put_some(0, 9, "q", "g");
    put_some(10, 9, "q2", "g");
    limit_queue("q", CONCURRENCY, 4, 0);
    limit_queue("q", PER_GROUP, 3, 0);
    limit_group("g", CONCURRENCY, 5, 0);
    is(starts(9), 3);
    limit_queue("q", PER_GROUP, 9, 0);
    is(starts(9), 1);
    limit_queue("q", CONCURRENCY, 9, 0);
    is(starts_from("q2", 9), 1);
    is(starts(9), 0);
}

/* ---- whose they are: own, plan, every group ----------------------------------------------------------------------- */

static size_t starts_of(const char *group)
{
    size_t before = (size_t)limits_of(JOBQ_LIMIT_GROUP, group, NULL)->running;
    put_some(1000 + (uint32_t)me->number, 30, "p", group); /* every put has a number of its own */
    starts_from("p", 900);
    return (size_t)limits_of(JOBQ_LIMIT_GROUP, group, NULL)->running - before;
}

static void own_then_plan_then_every(void)
{
    limit_group("", CONCURRENCY, 2, 0);
    limit_plan("starter", CONCURRENCY, 5, 0);
    limit_plan("odd", JOBQ_SETTING_QUOTA, 1000, STEP); /* says nothing about concurrency */
    give_plan("s", "starter");
    give_plan("o", "odd");
    give_plan("x", "nobody stored it");
    give_plan("own", "starter");
    limit_group("own", CONCURRENCY, 7, 0);
    give_plan("free", "starter");
    limit_group("free", CONCURRENCY, JOBQ_LIMIT_NONE, 0);
    is(starts_of("s"), 5);
    is(starts_of("o"), 2);
    is(starts_of("x"), 2);
    is(starts_of("never heard of"), 2);
    is(starts_of("own"), 7);
    is(starts_of("free"), 30);
}

static void changed_for_all_who_have_it(void)
{
    limit_plan("p", CONCURRENCY, 2, 0);
    give_plan("a", "p");
    give_plan("b", "p");
    put_some(0, 9, "q", "a");
    put_some(10, 9, "q", "b");
    is(starts(30), 4);
    limit_plan("p", CONCURRENCY, 3, 0);
    is(starts(30), 2);
    limit_group("a", CONCURRENCY, 5, 0);
    is(starts(30), 2);
    limit_group("a", CONCURRENCY, JOBQ_LIMIT_UNSET, 0);
    is(starts(30), 0);
    give_plan("b", NULL);
    is(starts(30), 6);
    limit_plan("p", CONCURRENCY, JOBQ_LIMIT_UNSET, 0);
    is(starts(30), 4);
}

/* No group may start anything but one that may. */
static void none_of_every_group(void)
{
    limit_group("", CONCURRENCY, 0, 0);
    put_some(0, 3, "q", "a");
    put_some(10, 3, "q", "b");
    is(starts(30), 0);
    limit_group("b", CONCURRENCY, 2, 0);
    is(starts(30), 2);
    limit_group("", CONCURRENCY, JOBQ_LIMIT_UNSET, 0);
    is(starts(30), 3);
}

/* The four plans of a product, as data. */
static void plans_of_a_product(void)
{
    static const struct {
        const char *name;
        int64_t concurrency;
    } plans[] = { { "starter", 5 }, { "pro", 10 }, { "enterprise", 20 } };
    limit_group("", CONCURRENCY, 2, 0); /* free */
    for (size_t i = 0; i < 3; i++) {
        limit_plan(plans[i].name, CONCURRENCY, plans[i].concurrency, 0);
        give_plan(plans[i].name, plans[i].name);
        is(starts_of(plans[i].name), plans[i].concurrency);
    }
    is(starts_of("somebody"), 2);
}

/* ---- other wants --------------------------------------------------------------------------------------------------- */

static void mark_alone(uint32_t number)
{
    struct jobq_change c = by_operator(id(number), ANY_STATE, JOBQ_ROW_KEEP);
    c.set = JOBQ_SET_ALONE;
    c.alone = 1;
    change_ok(c);
}

/* A row that must run alone obeys every limit; one that is forbidden is passed by. */
static void rows_that_run_alone(void)
{
    put_some(0, 2, "q", "a");
    put_some(10, 1, "q", "b");
    put_some(20, 1, "q", "a");
    for (int i = 0; i < 2; i++)
        mark_alone((uint32_t)i);
    mark_alone(10);
    limit_group("a", CONCURRENCY, 1, 0);
    is(starts(9), 1);
    is(row_n(20)->state, JOBQ_ROW_RUNNING);
    struct jobq_want w = due(1);
    w.mode = JOBQ_WANT_ALONE;
    want(me, &w);
    is(w.row_count, 1);
    ids_are(w.rows[0].id, id(10));
    limit_queue("q", CONCURRENCY, 2, 0);
    limit_group("a", CONCURRENCY, 9, 0);
    w = due(1);
    w.mode = JOBQ_WANT_ALONE;
    want(me, &w);
    is(w.row_count, 0);
    limit_queue("q", CONCURRENCY, 3, 0);
    w = due(1);
    w.mode = JOBQ_WANT_ALONE;
    want(me, &w);
    is(w.row_count, 1);
    ids_are(w.rows[0].id, id(0));
}

/* An overdue want obeys no limit (else the only slot could be lost for ever). */
static void sweeps_obey_none(void)
{
    put_some(0, 3, "q", "g");
    is(starts(9), 3);
    limit_queue("q", CONCURRENCY, 0, 0);
    limit_group("g", CONCURRENCY, 0, 0);
    tick(LEASE);
    struct jobq_want o = overdue(9);
    want(me, &o);
    is(o.row_count, 3);
}

/* A row too late to start takes no slot; in the want that gives it, its room. */
static void expired_rows_take_no_slot(void)
{
    limit_queue("q", CONCURRENCY, 1, 0);
    struct jobq_put p = put_of(1);
    p.expires_at = from_now(STEP);
    is(put(&p), JOBQ_OK);
    put_ok(2);
    tick(STEP);
    struct jobq_want w = due(9);
    want(me, &w);
    is(w.row_count, 1);
    is(w.rows[0].overdue, JOBQ_OVERDUE_EXPIRED);
    is(queue_stats("q").present[JOBQ_RUNNING], 0);
    finish(1, JOBQ_ROW_DEAD);
    claim_n(2);
}

/* ---- settings ------------------------------------------------------------------------------------------------------- */

static void what_fits_nowhere(void)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_GROUP, .group = text("g"),
                               .set = CONCURRENCY | JOBQ_SETTING_DEPTH, .concurrency = 1, .depth = 1 };
    is(configure(&s), JOBQ_UNSUPPORTED);
    s.set = CONCURRENCY | PER_GROUP;
    is(configure(&s), JOBQ_UNSUPPORTED);
    s = (struct jobq_settings){ .size = sizeof s, .what = JOBQ_CONFIGURE_QUEUE, .name = text("q"),
                                .set = CONCURRENCY | JOBQ_SETTING_QUOTA, .concurrency = 1, .quota = 1,
                                .quota_period_ms = STEP };
    is(configure(&s), JOBQ_UNSUPPORTED);
    s = (struct jobq_settings){ .size = sizeof s, .what = JOBQ_CONFIGURE_GROUP, .set = JOBQ_SETTING_PLAN,
                                .plan = text("p") }; /* every group names no plan */
    is(configure(&s), JOBQ_UNSUPPORTED);
    is(limits_of(JOBQ_LIMIT_GROUP, "g", NULL)->set, 0);
    is(limits_of(JOBQ_LIMIT_QUEUE, "q", NULL)->set, 0);
}

static void told_as_set(void)
{
    size_t count;
    limit_queue("q2", JOBQ_SETTING_RATE, 100, STEP);
    limit_queue("q", JOBQ_SETTING_DEPTH, 7, 0);
    limit_queue("q", PER_GROUP, 0, 0);
    limit_group("b", CONCURRENCY, JOBQ_LIMIT_NONE, 0);
    limit_group("", JOBQ_SETTING_QUOTA, 10, 60000);
    give_plan("a", "pro");
    limit_plan("pro", JOBQ_SETTING_RATE, 5, 1000);
    put_some(0, 3, "q2", "nobody set anything");
    const struct jobq_limit *l = limits_of(JOBQ_LIMIT_QUEUE, NULL, &count);
    is(count, 2);
    is(strcmp(l[0].name, "q"), 0);
    is(l[0].set, JOBQ_LIMIT_DEPTH | JOBQ_LIMIT_GROUP_CONCURRENCY);
    is(l[0].depth, 7);
    is(l[0].group_concurrency, 0);
    is(l[0].concurrency, JOBQ_LIMIT_UNSET);
    is(l[1].rate, 100);
    is(l[1].rate_period_ms, STEP);
    l = limits_of(JOBQ_LIMIT_GROUP, NULL, &count);
    is(count, 3);
    is(strcmp(l[0].name, ""), 0);
    is(l[0].quota, 10);
    is(l[0].quota_period_ms, 60000);
    is(strcmp(l[1].plan, "pro"), 0);
    is(l[1].set, JOBQ_LIMIT_PLAN_NAME);
    is(l[2].concurrency, JOBQ_LIMIT_NONE);
    is(strcmp(l[2].plan, ""), 0);
    l = limits_of(JOBQ_LIMIT_PLAN, NULL, &count);
    is(count, 1);
    is(l[0].set, JOBQ_LIMIT_RATE);
    l = limits_of(JOBQ_LIMIT_PLAN, "nowhere", NULL);
    is(l->set, 0);
    is(l->of, JOBQ_LIMIT_PLAN);
    is(strcmp(l->name, "nowhere"), 0);
}

/* Set back to nothing they are not told any more. */
static void forgotten_when_unset(void)
{
    size_t count;
    limit_group("g", CONCURRENCY, 1, 0);
    give_plan("g", "p");
    limit_plan("p", CONCURRENCY, 1, 0);
    limit_queue("q", CONCURRENCY, 1, 0);
    limit_group("g", CONCURRENCY, JOBQ_LIMIT_UNSET, 0);
    give_plan("g", NULL);
    limit_plan("p", CONCURRENCY, JOBQ_LIMIT_UNSET, 0);
    limit_queue("q", CONCURRENCY, JOBQ_LIMIT_UNSET, 0);
    for (int of = JOBQ_LIMIT_QUEUE; of <= JOBQ_LIMIT_PLAN; of++) {
        limits_of(of, NULL, &count);
        is(count, 0);
    }
}

/* S15: names are whole, whatever bytes they hold. */
static void names_are_whole(void)
{
    struct jobq_settings s = { .size = sizeof s, .what = JOBQ_CONFIGURE_GROUP, .set = CONCURRENCY,
                               .group = bytes("g\0x", 3), .concurrency = 1 };
    is(configure(&s), JOBQ_OK);
    put_some(0, 2, "q", "g");
    for (uint32_t i = 10; i < 12; i++) {
        struct jobq_put p = put_of(i);
        p.group = bytes("g\0x", 3);
        is(put(&p), JOBQ_OK);
    }
    limit_plan("g", CONCURRENCY, 0, 0); /* a plan is no group */
    limit_queue("g", CONCURRENCY, 0, 0);
    is(starts(9), 3);
}

#define GROUPS JOBQ_CAP_GROUPS
static const struct test tests[] = {
    { .name = "of a queue (rule 10)", .run = of_a_queue, .needs = GROUPS },
    { .name = "of a queue, over all handles (rule 10)", .run = of_all_handles, .needs = GROUPS },
    { .name = "every way out of running frees the slot (S9)", .run = every_way_out, .needs = GROUPS },
    { .name = "a lost lease holds its slot until judged (S9)", .run = a_lost_lease_holds_its_slot, .needs = GROUPS },
    { .name = "freed and taken in one exchange", .run = freed_and_taken_at_once, .needs = GROUPS },
    { .name = "changed while jobs run", .run = changed_while_running, .needs = GROUPS },
    { .name = "of a group, in all queues (S9)", .run = of_a_group_in_all_queues, .needs = GROUPS },
    { .name = "of each group in a queue (S9)", .run = of_each_group_in_a_queue, .needs = GROUPS },
    { .name = "the least decides", .run = the_least_decides, .needs = GROUPS },
    { .name = "own, then plan, then every group", .run = own_then_plan_then_every, .needs = GROUPS },
    { .name = "a plan changed is changed for all who have it", .run = changed_for_all_who_have_it, .needs = GROUPS },
    { .name = "none of every group", .run = none_of_every_group, .needs = GROUPS },
    { .name = "the plans of a product", .run = plans_of_a_product, .needs = GROUPS },
    { .name = "rows that run alone obey", .run = rows_that_run_alone, .needs = GROUPS },
    { .name = "sweeps obey none", .run = sweeps_obey_none, .needs = GROUPS },
    { .name = "expired rows take no slot", .run = expired_rows_take_no_slot, .needs = GROUPS },
    { .name = "settings that fit nowhere store nothing", .run = what_fits_nowhere, .needs = GROUPS },
    { .name = "told as they are set", .run = told_as_set, .needs = GROUPS },
    { .name = "forgotten when nothing is set", .run = forgotten_when_unset, .needs = GROUPS },
    { .name = "names are whole (S15)", .run = names_are_whole, .needs = GROUPS },
};
const struct topic topic_limits = TOPIC("limits", tests);
