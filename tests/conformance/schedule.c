/* SPDX-License-Identifier: MIT */
/* Schedules: lifecycle rule 13, invariant S12, contract "Schedules". */
#include "suite.h"

/* ---- shorthands ---------------------------------------------------------------------------------------------- */

static int64_t clock_now(void)
{
    return schedules((struct jobq_schedule_query){ .limit = 1 }).now_ms;
}

static struct jobq_settings settings_of(const char *name, uint32_t set, int64_t version)
{
    return (struct jobq_settings){ .size = sizeof(struct jobq_settings), .what = JOBQ_CONFIGURE_SCHEDULE, .set = set,
                                   .name = text(name), .version = version };
}

/* A definition; `in_ms` from now it is to be looked at. What was before now is settled. */
static int define(const char *name, const char *definition, int64_t version, int64_t in_ms)
{
    struct jobq_settings s = settings_of(name, JOBQ_SETTING_SCHEDULE | JOBQ_SETTING_NEXT, version);
    s.schedule = text(definition);
    s.fired_ms = clock_now();
    s.next_ms = s.fired_ms + in_ms;
    return configure(&s);
}

static int set_paused(const char *name, int paused)
{
    struct jobq_settings s = settings_of(name, JOBQ_SETTING_PAUSED, JOBQ_ANY_VERSION);
    s.paused = paused;
    return configure(&s);
}

static int drop_schedule(const char *name, int64_t version)
{
    struct jobq_settings s = settings_of(name, JOBQ_SETTING_SCHEDULE, version);
    return configure(&s);
}

static const struct jobq_schedule_row *find(const char *name)
{
    struct jobq_schedule_query query = schedules((struct jobq_schedule_query){ .name = text(name), .limit = 1 });
    ok(query.row_count <= 1);
    return query.row_count ? query.rows : NULL;
}

static const struct jobq_schedule_row *get(const char *name)
{
    const struct jobq_schedule_row *s = find(name);
    ok(s != NULL);
    return s;
}

static struct jobq_want look(struct actor *who)
{
    struct jobq_want w = overdue(9);
    want(who, &w);
    return w;
}

static struct jobq_put_tick tick_of(const char *name, int64_t version, int64_t nominal, int64_t next)
{
    return (struct jobq_put_tick){ .schedule = text(name), .version = version, .nominal_ms = nominal,
                                   .next_ms = next };
}

static int fire(struct actor *who, uint32_t number, const struct jobq_put_tick *tick)
{
    struct jobq_put p = put_of(number);
    p.tick = tick;
    struct jobq_exchange x = { .puts = &p, .put_count = 1 };
    go(who, &x);
    return p.verdict;
}

static void unchanged(const struct jobq_schedule_row *was)
{
    struct jobq_schedule_query query = schedules((struct jobq_schedule_query){ .name = was->name, .limit = 1 });
    is(query.row_count, 1);
    is(query.rows[0].fired_ms, was->fired_ms);
    is(query.rows[0].next_ms, was->next_ms);
    is(query.rows[0].version, was->version);
    is(query.rows[0].paused, was->paused);
    bytes_are(query.rows[0].bytes, was->bytes);
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

static void defined_and_read(void)
{
    int64_t before = clock_now();
    is(define("s", "daily", 0, STEP), JOBQ_OK);
    struct jobq_schedule_row s = *get("s");
    bytes_are(s.name, text("s"));
    bytes_are(s.bytes, text("daily"));
    is(s.version, 1);
    is(s.paused, 0);
    ok(s.fired_ms >= before && s.fired_ms <= clock_now());
    is(s.next_ms, s.fired_ms + STEP);
    ok(!find("S") && !find("s2") && !find("other"));
    another();
    unchanged(&s);
}

/* The version is compared, so that of two who change it at once one is told. */
static void versions_are_compared(void)
{
    is(define("s", "one", 1, STEP), JOBQ_OUTDATED);
    ok(!find("s"));
    is(define("s", "one", 0, STEP), JOBQ_OK);
    struct jobq_schedule_row s = *get("s");
    is(define("s", "two", 0, STEP), JOBQ_OUTDATED);
    is(define("s", "two", 2, STEP), JOBQ_OUTDATED);
    is(drop_schedule("s", 2), JOBQ_OUTDATED);
    unchanged(&s);
    is(define("s", "two", 1, 2 * STEP), JOBQ_OK);
    is(get("s")->version, 2);
    bytes_are(get("s")->bytes, text("two"));
    is(define("s", "three", JOBQ_ANY_VERSION, STEP), JOBQ_OK);
    is(get("s")->version, 3);
}

static void what_is_not_there(void)
{
    is(set_paused("s", 1), JOBQ_NOT_FOUND);
    is(drop_schedule("s", JOBQ_ANY_VERSION), JOBQ_NOT_FOUND);
    struct jobq_settings s = settings_of("s", JOBQ_SETTING_NEXT, JOBQ_ANY_VERSION);
    is(configure(&s), JOBQ_NOT_FOUND);
    ok(!find("s"));
    is(look(me).schedule_count, 0);
}

/* Only the members named; what is settled stays settled. */
static void only_what_is_set(void)
{
    is(define("s", "x", 0, STEP), JOBQ_OK);
    struct jobq_schedule_row s = *get("s");
    struct jobq_settings set = settings_of("s", JOBQ_SETTING_PAUSED, s.version);
    set.paused = 1;
    set.next_ms = set.fired_ms = 1;
    set.schedule = text("other");
    is(configure(&set), JOBQ_OK);
    s.paused = 1;
    unchanged(&s);
    set = settings_of("s", JOBQ_SETTING_NEXT, JOBQ_ANY_VERSION);
    set.fired_ms = s.fired_ms - 1;
    set.next_ms = s.next_ms + 5;
    is(configure(&set), JOBQ_OK);
    s.next_ms += 5;
    unchanged(&s); /* fired never goes back */
    set.fired_ms = s.fired_ms + 7;
    is(configure(&set), JOBQ_OK);
    s.fired_ms += 7;
    unchanged(&s);
    set = settings_of("s", JOBQ_SETTING_SCHEDULE, s.version);
    set.schedule = text("y");
    is(configure(&set), JOBQ_OK);
    s.version = 2;
    s.bytes = text("y");
    unchanged(&s); /* paused, fired and next as they were */
}

static void any_bytes(void)
{
    static uint8_t large[70000];
    struct jobq_settings s = settings_of("", JOBQ_SETTING_SCHEDULE, 0);
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)(i * 7);
    s.name = bytes("a\0b\xff", 4);
    s.schedule = bytes(large, sizeof large);
    is(configure(&s), JOBQ_OK);
    s.name = bytes("a", 1);
    s.schedule = bytes("", 0);
    is(configure(&s), JOBQ_OK);
    struct jobq_schedule_query all = schedules((struct jobq_schedule_query){ .limit = 9 });
    is(all.row_count, 2);
    bytes_are(all.rows[0].bytes, bytes("", 0));
    bytes_are(all.rows[1].name, bytes("a\0b\xff", 4));
    bytes_are(all.rows[1].bytes, bytes(large, sizeof large));
    is(all.rows[0].next_ms, 0);
    is(all.rows[0].fired_ms, 0);
}

static void pages(void)
{
    static const char *const names[] = { "delta", "alpha", "charlie", "bravo" };
    for (int i = 0; i < 4; i++)
        is(define(names[i], "0123456789", 0, STEP), JOBQ_OK);
    is(set_paused("bravo", 1), JOBQ_OK);
    struct jobq_schedule_query page = schedules((struct jobq_schedule_query){ .limit = 3 });
    is(page.row_count, 3);
    bytes_are(page.rows[0].name, text("alpha"));
    bytes_are(page.rows[1].name, text("bravo"));
    is(page.rows[1].paused, 1);
    page = schedules((struct jobq_schedule_query){ .limit = 3, .after = page.rows[2].name });
    is(page.row_count, 1);
    bytes_are(page.rows[0].name, text("delta"));
    is(schedules((struct jobq_schedule_query){ .limit = 3, .after = text("delta") }).row_count, 0);
    is(schedules((struct jobq_schedule_query){ .limit = 9, .bytes = 25 }).row_count, 2);
    is(schedules((struct jobq_schedule_query){ .limit = 9, .bytes = 1 }).row_count, 1);
    is(schedules((struct jobq_schedule_query){ .limit = 0 }).row_count, 0);
}

/* Removing it leaves its jobs; one of the same name begins anew. */
static void removed(void)
{
    is(define("s", "x", 0, 0), JOBQ_OK);
    struct jobq_put_tick t = tick_of("s", 1, clock_now() + 1, INT64_MAX);
    is(fire(me, 1, &t), JOBQ_OK);
    is(drop_schedule("s", 1), JOBQ_OK);
    ok(!find("s"));
    is(row_n(1)->state, JOBQ_ROW_WAITING);
    t.nominal_ms++;
    is(fire(me, 2, &t), JOBQ_STALE);
    is(define("s", "y", 0, STEP), JOBQ_OK);
    is(get("s")->version, 1);
    ok(get("s")->fired_ms < t.nominal_ms + STEP);
}

/* ---- what is due ------------------------------------------------------------------------------------------------- */

static void given_when_it_has_come(void)
{
    is(define("s", "definition", 0, STEP), JOBQ_OK);
    struct actor *you = another();
    is(look(me).schedule_count, 0);
    tick(STEP);
    struct jobq_want w = look(me);
    is(w.schedule_count, 1);
    is(w.row_count, 0);
    bytes_are(w.schedules[0].name, text("s"));
    bytes_are(w.schedules[0].bytes, text("definition"));
    is(w.schedules[0].version, 1);
    is(w.schedules[0].fired_ms, get("s")->fired_ms);
    is(w.schedules[0].next_ms, get("s")->next_ms);
    ok(w.schedule_now_ms >= w.schedules[0].next_ms);
    is(look(you).schedule_count, 1); /* to everybody, until a tick moves it */
    is(look(me).schedule_count, 1);
    struct jobq_want d = due(9);
    want(me, &d);
    is(d.schedule_count, 0);
    struct jobq_want none = overdue(1);
    none.bytes = 1;
    put_ok(1);
    claim_n(1);
    tick(LEASE);
    want(me, &none); /* the limits of rows are not those of schedules */
    is(none.row_count, 1);
    is(none.schedule_count, 1);
}

static void paused_is_not_given(void)
{
    is(define("s", "x", 0, STEP), JOBQ_OK);
    is(define("r", "x", 0, 2 * STEP), JOBQ_OK);
    is(set_paused("s", 1), JOBQ_OK);
    tick(STEP);
    is(look(me).schedule_count, 0);
    is(set_paused("s", 0), JOBQ_OK);
    is(look(me).schedule_count, 1);
    tick(STEP);
    is(look(me).schedule_count, 2);
    is(set_paused("s", 1), JOBQ_OK);
    struct jobq_want w = look(me);
    is(w.schedule_count, 1);
    bytes_are(w.schedules[0].name, text("r"));
}

static void earliest_first_and_bounded(void)
{
    char name[8];
    for (int i = 0; i < JOBQ_SCHEDULES_AT_ONCE + 3; i++) {
        snprintf(name, sizeof name, "s%02d", 50 - i);
        is(define(name, "x", 0, (i + 1) * 1000), JOBQ_OK);
    }
    tick(STEP);
    struct jobq_want w = look(me);
    is(w.schedule_count, JOBQ_SCHEDULES_AT_ONCE);
    bytes_are(w.schedules[0].name, text("s50"));
    for (size_t i = 1; i < w.schedule_count; i++)
        ok(w.schedules[i].next_ms >= w.schedules[i - 1].next_ms);
    int64_t same = w.schedules[0].next_ms;
    struct jobq_settings s = settings_of("s33", JOBQ_SETTING_NEXT, JOBQ_ANY_VERSION);
    s.next_ms = same;
    is(configure(&s), JOBQ_OK);
    w = look(me);
    bytes_are(w.schedules[0].name, text("s33")); /* of equals by name */
    bytes_are(w.schedules[1].name, text("s50"));
}

static bool near(int64_t a, int64_t b)
{
    return a - b < STEP / 2 && b - a < STEP / 2;
}

/* A process that waits knows when to look again. */
static void next_due_and_next_tick(void)
{
    struct jobq_exchange x = { 0 };
    go(me, &x);
    is(x.next_tick_ms, INT64_MAX);
    is(x.next_due_ms, INT64_MAX);
    is(define("s", "x", 0, 3 * STEP), JOBQ_OK);
    is(define("r", "x", 0, 2 * STEP), JOBQ_OK);
    is(define("never", "x", 0, 0), JOBQ_OK);
    struct jobq_settings never = settings_of("never", JOBQ_SETTING_NEXT, JOBQ_ANY_VERSION);
    never.next_ms = INT64_MAX;
    is(configure(&never), JOBQ_OK);
    x = (struct jobq_exchange){ 0 };
    go(me, &x);
    ok(near(x.next_tick_ms, x.now_ms + 2 * STEP));
    is(x.next_due_ms, x.next_tick_ms);
    is(set_paused("r", 1), JOBQ_OK);
    x = (struct jobq_exchange){ 0 };
    go(me, &x);
    ok(near(x.next_tick_ms, x.now_ms + 3 * STEP));
    struct jobq_put p = put_of(1);
    p.run_at = from_now(STEP);
    is(put(&p), JOBQ_OK);
    x = (struct jobq_exchange){ 0 };
    go(me, &x);
    is(x.next_due_ms, row_n(1)->run_at_ms);
    tick(4 * STEP);
    x = (struct jobq_exchange){ 0 };
    go(me, &x);
    ok(near(x.next_tick_ms, x.now_ms - STEP)); /* past, and still to be looked at */
    is(x.next_due_ms, INT64_MAX);
    is(drop_schedule("s", 1), JOBQ_OK);
    x = (struct jobq_exchange){ 0 };
    go(me, &x);
    is(x.next_tick_ms, INT64_MAX);
}

/* ---- ticks --------------------------------------------------------------------------------------------------------- */

/* S12: whoever comes second puts nothing. */
static void fires_once(void)
{
    struct actor *you = another();
    is(define("s", "x", 0, STEP), JOBQ_OK);
    int64_t nominal = get("s")->next_ms;
    tick(STEP);
    is(look(you).schedule_count, 1);
    struct jobq_put_tick t = tick_of("s", 1, nominal, nominal + STEP);
    is(fire(me, 1, &t), JOBQ_OK);
    is(row_n(1)->state, JOBQ_ROW_WAITING);
    is(get("s")->fired_ms, nominal);
    is(get("s")->next_ms, nominal + STEP);
    is(look(you).schedule_count, 0);
    struct jobq_schedule_row s = *get("s");
    t.next_ms = 7;
    is(fire(you, 2, &t), JOBQ_ALREADY);
    t.nominal_ms = nominal - 1;
    is(fire(you, 2, &t), JOBQ_ALREADY);
    ok(!exists(2));
    unchanged(&s);
    is(queue_stats("q").enqueued_total, 1);
    t = tick_of("s", 1, nominal + STEP, nominal + 2 * STEP);
    is(fire(you, 2, &t), JOBQ_OK);
    is(get("s")->fired_ms, nominal + STEP);
}

static void stale_ticks(void)
{
    is(define("s", "x", 0, 0), JOBQ_OK);
    is(define("s", "y", 1, 0), JOBQ_OK);
    struct jobq_schedule_row s = *get("s");
    struct jobq_put_tick t = tick_of("s", 1, s.fired_ms + 1, 5);
    is(fire(me, 1, &t), JOBQ_STALE); /* computed from the definition before */
    t.version = 3;
    is(fire(me, 1, &t), JOBQ_STALE);
    t = tick_of("none", 1, s.fired_ms + 1, 5);
    is(fire(me, 1, &t), JOBQ_STALE);
    is(set_paused("s", 1), JOBQ_OK);
    s.paused = 1;
    static const int modes[] = { JOBQ_TICK_PUT, JOBQ_TICK_SKIP, JOBQ_TICK_DEFER };
    for (int i = 0; i < 3; i++) {
        t = tick_of("s", 2, s.fired_ms + 1, 5);
        t.mode = modes[i];
        is(fire(me, 1, &t), JOBQ_STALE);
    }
    unchanged(&s);
    ok(!exists(1));
    is(queue_stats("q").enqueued_total, 0);
}

/* What a tick leaves out of the answer, and what a put of the same id is. */
static void answers_of_ticks(void)
{
    const struct jobq_id none = { 0 };
    is(define("s", "x", 0, 0), JOBQ_OK);
    struct jobq_put_tick t = tick_of("s", 1, clock_now() + 1, INT64_MAX);
    struct jobq_put p[] = { put_of(1), put_of(2), put_of(1) };
    p[0].tick = p[1].tick = p[2].tick = &t;
    struct jobq_exchange x = { .puts = p, .put_count = 3 };
    go(me, &x);
    is(p[0].verdict, JOBQ_OK);
    ids_are(p[0].holder, id(1));
    is(p[1].verdict, JOBQ_ALREADY);
    ids_are(p[1].holder, none);
    is(p[1].state, 0);
    is(p[1].shown, 0);
    is(p[1].same_payload, 0);
    is(p[2].verdict, JOBQ_ALREADY); /* the id is there: that goes first */
    ids_are(p[2].holder, id(1));
    is(p[2].same_payload, 1);
}

static void skip_and_defer(void)
{
    is(define("s", "x", 0, 0), JOBQ_OK);
    struct jobq_schedule_row s = *get("s");
    struct jobq_put_tick t = tick_of("s", 1, s.fired_ms + 10, s.fired_ms + 20);
    t.mode = JOBQ_TICK_DEFER;
    is(fire(me, 1, &t), JOBQ_OK);
    s.next_ms = t.next_ms;
    unchanged(&s);
    t.mode = JOBQ_TICK_SKIP;
    t.next_ms++;
    is(fire(me, 1, &t), JOBQ_OK);
    s.fired_ms = t.nominal_ms;
    s.next_ms = t.next_ms;
    unchanged(&s);
    is(fire(me, 1, &t), JOBQ_ALREADY);
    t.mode = JOBQ_TICK_DEFER;
    is(fire(me, 1, &t), JOBQ_ALREADY);
    t.nominal_ms = INT64_MAX;
    t.next_ms = INT64_MAX;
    is(fire(me, 1, &t), JOBQ_OK);
    s.next_ms = INT64_MAX;
    unchanged(&s);
    ok(!exists(1));
    is(queue_stats("q").enqueued_total, 0);
}

/* Several nominal times in one unit, in order: each once. */
static void several_at_once(void)
{
    is(define("s", "x", 0, 0), JOBQ_OK);
    int64_t at_ms = get("s")->fired_ms;
    struct jobq_put_tick t[4];
    struct jobq_put p[4];
    static const int64_t nominal[] = { 10, 20, 20, 15 };
    for (uint32_t i = 0; i < 4; i++) {
        t[i] = tick_of("s", 1, at_ms + nominal[i], at_ms + 30);
        p[i] = put_of(i);
        p[i].tick = &t[i];
    }
    struct jobq_exchange x = { .puts = p, .put_count = 4 };
    go(me, &x);
    is(p[0].verdict, JOBQ_OK);
    is(p[1].verdict, JOBQ_OK);
    is(p[2].verdict, JOBQ_ALREADY);
    is(p[3].verdict, JOBQ_ALREADY);
    is(get("s")->fired_ms, at_ms + 20);
    is(queue_stats("q").enqueued_total, 2);
}

/* A full queue takes no job, and no nominal time is settled by that. */
static void full_settles_nothing(void)
{
    struct jobq_settings depth = { .size = sizeof depth, .what = JOBQ_CONFIGURE_QUEUE, .set = JOBQ_SETTING_DEPTH,
                                   .name = text("q") };
    is(configure(&depth), JOBQ_OK);
    is(define("s", "x", 0, 0), JOBQ_OK);
    struct jobq_schedule_row s = *get("s");
    struct jobq_put_tick t = tick_of("s", 1, s.fired_ms + 1, 5);
    is(fire(me, 1, &t), JOBQ_FULL);
    unchanged(&s);
    depth.depth = -1;
    is(configure(&depth), JOBQ_OK);
    is(fire(me, 1, &t), JOBQ_OK);
}

/* A key that is held settles it: so a run that still goes on leaves the next one out. */
static void duplicate_settles(void)
{
    const struct jobq_put_key key = { .scope = { 1 }, .hold = JOBQ_HOLD_LIVE };
    is(define("s", "x", 0, 0), JOBQ_OK);
    int64_t fired = get("s")->fired_ms;
    for (int i = 1; i <= 2; i++) {
        struct jobq_put_tick t = tick_of("s", 1, fired + i, fired + i + 1);
        struct jobq_put p = put_of((uint32_t)i);
        p.unique = &key;
        p.tick = &t;
        is(put(&p), i == 1 ? JOBQ_OK : JOBQ_DUPLICATE);
        is(get("s")->fired_ms, fired + i);
        is(get("s")->next_ms, fired + i + 1);
    }
    ok(!exists(2));
}

static void no_parent_settles_nothing(void)
{
    is(define("s", "x", 0, 0), JOBQ_OK);
    struct jobq_schedule_row s = *get("s");
    struct jobq_put_tick t = tick_of("s", 1, s.fired_ms + 1, 5);
    const struct jobq_parent parent = { .id = id(99) };
    struct jobq_put p = put_of(1);
    p.tick = &t;
    p.parents = &parent;
    p.parent_count = 1;
    is(put(&p), JOBQ_NO_PARENT);
    unchanged(&s);
}

/* S16: a unit that is refused settles nothing. */
static void refused_unit(void)
{
    is(define("s", "x", 0, 0), JOBQ_OK);
    struct jobq_schedule_row s = *get("s");
    struct jobq_put_tick t = tick_of("s", 1, s.fired_ms + 1, 5);
    struct jobq_put p[] = { put_of(1), put_of(2) };
    p[0].tick = &t;
    p[1].only_if = 4; /* names no change */
    struct jobq_exchange x = { .puts = p, .put_count = 2 };
    is(go_status(me, &x), JOBQ_FAILED);
    unchanged(&s);
    ok(!exists(1));
}

/* SKIPPED goes first. */
static void skipped_settles_nothing(void)
{
    is(define("s", "x", 0, 0), JOBQ_OK);
    struct jobq_schedule_row s = *get("s");
    struct jobq_put_tick t = tick_of("s", 1, s.fired_ms + 1, 5);
    struct jobq_change c = by_operator(id(77), ANY_STATE, JOBQ_ROW_CANCELLED);
    struct jobq_put p = put_of(1);
    p.tick = &t;
    p.only_if = 0;
    struct jobq_exchange x = { .changes = &c, .change_count = 1, .puts = &p, .put_count = 1 };
    go(me, &x);
    is(p.verdict, JOBQ_SKIPPED);
    unchanged(&s);
}

static void two_schedules(void)
{
    is(define("a", "x", 0, 0), JOBQ_OK);
    is(define("b", "x", 0, 0), JOBQ_OK);
    struct jobq_schedule_row b = *get("b");
    struct jobq_put_tick t = tick_of("a", 1, clock_now() + 9, INT64_MAX);
    is(fire(me, 1, &t), JOBQ_OK);
    unchanged(&b);
    t.schedule = text("b");
    is(fire(me, 2, &t), JOBQ_OK); /* the same nominal time of another schedule */
}

static const struct test tests[] = {
    { .name = "defined and read", .run = defined_and_read, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "versions are compared", .run = versions_are_compared, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "what is not there", .run = what_is_not_there, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "only what is set; fired never goes back", .run = only_what_is_set, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "any bytes (rule 15)", .run = any_bytes, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "pages by name", .run = pages, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "removed, and made anew", .run = removed, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "given when its time has come", .run = given_when_it_has_come, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "paused: not given", .run = paused_is_not_given, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "earliest first, bounded", .run = earliest_first_and_bounded, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "next due, next tick", .run = next_due_and_next_tick, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "a nominal time fires once (S12)", .run = fires_once, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "another version, paused, gone: stale", .run = stale_ticks, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "what a tick answers", .run = answers_of_ticks, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "skip and defer", .run = skip_and_defer, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "several in one unit, each once (S12)", .run = several_at_once, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "a full queue settles nothing", .run = full_settles_nothing, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "a held key settles it", .run = duplicate_settles, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "no parent settles nothing", .run = no_parent_settles_nothing,
      .needs = JOBQ_CAP_SCHEDULES | JOBQ_CAP_EDGES },
    { .name = "a refused unit settles nothing (S16)", .run = refused_unit, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "skipped settles nothing", .run = skipped_settles_nothing, .needs = JOBQ_CAP_SCHEDULES },
    { .name = "schedules are apart", .run = two_schedules, .needs = JOBQ_CAP_SCHEDULES },
};
const struct topic topic_schedule = TOPIC("schedule", tests);
