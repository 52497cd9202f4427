/* SPDX-License-Identifier: MIT */
/* Schedules for the application: adding and changing them, and what is read of them. */
#include "schedule.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS 8 /* of reading and comparing, while others change the same schedule */

/* ---- checks ---------------------------------------------------------------------------------------------------- */

static int check_store(const struct jobq *q)
{
    const struct jobq_backend *b;
    int rc = handle_check_own(q, "a schedule");

    if (rc != JOBQ_OK)
        return rc;
    b = q->backend;
    if (!handle_has(q, JOBQ_CAP_SCHEDULES) || b->size <= offsetof(struct jobq_backend, schedules) || !b->schedules)
        return fail_with(JOBQ_UNSUPPORTED, "schedule", "schedule: the %s store has no schedules", b->name);
    return JOBQ_OK;
}

static int check_call(const struct jobq *q, const char *name)
{
    int rc = check_store(q);

    return rc == JOBQ_OK ? check_name("name", name) : rc;
}

static int check_policies(const struct jobq_schedule *s)
{
    int rc = check_range("missed", s->missed, JOBQ_MISSED_ONE, JOBQ_MISSED_ALL);

    if (rc == JOBQ_OK)
        rc = check_range("gap", s->gap, JOBQ_GAP_DEFAULT, JOBQ_GAP_SKIP);
    if (rc == JOBQ_OK)
        rc = check_range("fold", s->fold, JOBQ_FOLD_DEFAULT, JOBQ_FOLD_BOTH);
    if (rc == JOBQ_OK)
        rc = check_range("late_ms", s->late_ms, 1, MAX_MS);
    if (rc == JOBQ_OK)
        rc = check_range("anchor_ms", s->anchor_ms, 0, MAX_MS);
    return rc == JOBQ_OK ? check_range("reserved", s->reserved, 0, 0) : rc;
}

/* Either an expression or an interval; "@every" is an interval. */
static int check_when(struct jobq_schedule *s)
{
    int every = s->cron ? cron_every(s->cron, &s->every_ms) : 0;

    if (every < 0)
        return every;
    if (s->cron && !every && s->every_ms)
        return fail_with(JOBQ_INVALID, "every_ms", "every_ms: cannot be given together with cron");
    if (every)
        s->cron = NULL;
    if (!s->cron && !s->every_ms)
        return fail_with(JOBQ_INVALID, "cron", "cron: is missing, and every_ms too");
    if (s->cron && s->anchor_ms)
        return fail_with(JOBQ_INVALID, "anchor_ms", "anchor_ms: is for intervals, and there is a cron expression");
    if (!s->cron && s->zone)
        return fail_with(JOBQ_INVALID, "zone", "zone: has no meaning for an interval");
    return s->cron ? JOBQ_OK : check_range("every_ms", s->every_ms, EVERY_MIN_MS, MAX_MS);
}

/* Copy the caller's struct, check it without its name and spec, fill in the defaults. */
static int take_schedule(const struct jobq_schedule *given, struct jobq_schedule *out)
{
    int rc = given ? read_struct("schedule", given, given->size, offsetof(struct jobq_schedule, zone), out, sizeof *out)
                   : fail_with(JOBQ_INVALID, "schedule", "schedule: is NULL");

    if (rc != JOBQ_OK)
        return rc;
    out->size = sizeof *out;
    out->late_ms = out->late_ms ? out->late_ms : LATE_DEFAULT_MS;
    rc = check_policies(out);
    return rc == JOBQ_OK ? check_when(out) : rc;
}

static int take_spec(const struct jobq *q, const struct jobq_spec *given, struct jobq_spec *out)
{
    int rc = given ? read_struct("spec", given, given->size, offsetof(struct jobq_spec, id), out, sizeof *out)
                   : fail_with(JOBQ_INVALID, "spec", "spec: is NULL");

    if (rc == JOBQ_OK)
        rc = check_spec(q, out);
    if (rc != JOBQ_OK)
        return rc;
    if (out->id)
        return fail_with(JOBQ_INVALID, "id", "id: each job of a schedule has its own");
    if (out->delay_ms || out->run_at_ms)
        return fail_with(JOBQ_INVALID, out->delay_ms ? "delay_ms" : "run_at_ms",
                         "%s: the schedule says when", out->delay_ms ? "delay_ms" : "run_at_ms");
    if (out->parent_count)
        return fail_with(JOBQ_INVALID, "parents", "parents: the jobs of a schedule wait for no others");
    return JOBQ_OK;
}

static int take_definition(const struct jobq *q, const struct jobq_schedule *given, struct definition *d)
{
    int rc = check_store(q);

    *d = (struct definition){ .anchor_given = false };
    if (rc == JOBQ_OK)
        rc = take_schedule(given, &d->schedule);
    if (rc == JOBQ_OK)
        rc = check_name("name", d->schedule.name);
    if (rc == JOBQ_OK)
        rc = take_spec(q, d->schedule.spec, &d->spec);
    d->schedule.spec = &d->spec;
    d->anchor_given = d->schedule.anchor_ms != 0;
    return rc;
}

/* ---- the store ------------------------------------------------------------------------------------------------------ */

static int read_schedules(struct jobq *q, struct jobq_schedule_query *query, struct jobq_arena *arena)
{
    struct jobq_error *error;
    int rc;

    if (!arena)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for an answer");
    query->size = sizeof *query;
    query->bytes = EXCHANGE_BYTES;
    struct jobq_store *store = handle_enter(q);
    error = last_error();
    rc = q->backend->schedules(store, query, arena, error);
    handle_leave(q);
    error->status = rc;
    return rc;
}

/* One row; NULL: there is none. *now_ms: the clock of schedules. */
static int read_one(struct jobq *q, const char *name, struct jobq_arena *arena, const struct jobq_schedule_row **row,
                    int64_t *now_ms)
{
    struct jobq_schedule_query query = { .name = bytes_of(name), .limit = 1 };
    int rc = read_schedules(q, &query, arena);

    *row = rc == JOBQ_OK && query.row_count ? query.rows : NULL;
    *now_ms = query.now_ms;
    return rc;
}

static int not_found(const char *name)
{
    return fail_with(JOBQ_NOT_FOUND, "name", "name: there is no schedule \"%s\"", name);
}

static int store_settings(struct jobq *q, struct jobq_settings *settings, const char *name)
{
    int rc;

    settings->size = sizeof *settings;
    settings->what = JOBQ_CONFIGURE_SCHEDULE;
    settings->name = bytes_of(name);
    struct jobq_store *store = handle_enter(q);
    rc = q->backend->configure(store, settings, last_error());
    handle_leave(q);
    if (rc == JOBQ_OK) {
        __atomic_store_n(&q->tick_at_ms, 0, __ATOMIC_RELAXED); /* may be due now */
        jobq_wake(q);
    }
    return rc == JOBQ_NOT_FOUND ? not_found(name) : rc;
}

/* Read, decide, store: again while somebody else was faster. `plan` fills in the settings and the version that they are
 * for, and answers JOBQ_OK to store them. */
typedef int (*plan_fn)(struct jobq *q, const struct jobq_schedule_row *row, int64_t now_ms, struct jobq_arena *arena,
                       void *user, struct jobq_settings *settings);

static int change(struct jobq *q, const char *name, plan_fn plan, void *user)
{
    int rc = JOBQ_OUTDATED;

    for (int round = 0; round < ROUNDS && rc == JOBQ_OUTDATED; round++) {
        struct jobq_arena *arena = jobq_arena_create();
        struct jobq_settings settings = { .version = 0 };
        const struct jobq_schedule_row *row;
        int64_t now_ms;
        rc = read_one(q, name, arena, &row, &now_ms);
        if (rc == JOBQ_OK)
            rc = plan(q, row, now_ms, arena, user, &settings);
        if (rc == JOBQ_OK)
            rc = store_settings(q, &settings, name);
        jobq_arena_destroy(arena);
    }
    if (rc == JOBQ_OUTDATED)
        return fail_with(JOBQ_FAILED, NULL, "the schedule changed again and again meanwhile");
    return rc;
}

/* ---- add and edit ---------------------------------------------------------------------------------------------------- */

struct addition {
    struct definition *definition;
    const struct timing *timing;
    bool must_exist;
};

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_times(const struct definition *a, const struct definition *b)
{
    const struct jobq_schedule *x = &a->schedule, *y = &b->schedule;

    return same_text(x->cron, y->cron) && same_text(x->zone, y->zone) && x->every_ms == y->every_ms &&
           x->anchor_ms == y->anchor_ms && x->gap == y->gap && x->fold == y->fold;
}

/* An interval goes on from where it was once begun, unless the caller says otherwise. */
static void choose_anchor(struct definition *d, const struct definition *old, int64_t now_ms)
{
    bool goes_on = old && old->schedule.every_ms == d->schedule.every_ms && !old->anchor_given;

    if (d->schedule.every_ms && !d->anchor_given)
        d->schedule.anchor_ms = goes_on ? old->schedule.anchor_ms : now_ms;
}

static int begin_now(const struct addition *a, int64_t now_ms, struct jobq_settings *settings)
{
    struct timing timing = *a->timing;

    timing.anchor_ms = a->definition->schedule.anchor_ms;
    settings->set |= JOBQ_SETTING_NEXT;
    settings->fired_ms = now_ms;
    settings->next_ms = timing_next(&timing, now_ms);
    if (settings->next_ms == INT64_MAX)
        return fail_with(JOBQ_INVALID, a->definition->schedule.cron ? "cron" : "every_ms", "%s: never comes",
                         a->definition->schedule.cron ? "cron" : "every_ms");
    return JOBQ_OK;
}

/* What the definition before has due is fired before it goes. */
static int fire_before(struct jobq *q, const struct jobq_schedule_row *row, int64_t now_ms)
{
    struct ticks ticks = { .rows = row, .count = 1, .now_ms = now_ms, .store_now_ms = now_ms };

    return row->paused || row->next_ms > now_ms ? JOBQ_OK : ticks_fire(q, &ticks);
}

static int plan_addition(struct jobq *q, const struct jobq_schedule_row *row, int64_t now_ms, struct jobq_arena *arena,
                         void *user, struct jobq_settings *settings)
{
    struct addition *a = user;
    struct definition old;
    int rc = row ? definition_read(arena, row, &old) : JOBQ_NOT_FOUND;
    bool readable = rc == JOBQ_OK;

    if (rc == JOBQ_NOMEM)
        return rc;
    if (!row && a->must_exist)
        return not_found(a->definition->schedule.name);
    choose_anchor(a->definition, readable ? &old : NULL, now_ms);
    if (definition_write(arena, a->definition, &settings->schedule) != 0)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for a schedule");
    if (row && row->bytes.size == settings->schedule.size &&
        memcmp(row->bytes.data, settings->schedule.data, row->bytes.size) == 0)
        return JOBQ_ALREADY;
    settings->set = JOBQ_SETTING_SCHEDULE;
    settings->version = row ? row->version : 0;
    if (readable && same_times(&old, a->definition))
        return JOBQ_OK;
    rc = row ? fire_before(q, row, now_ms) : JOBQ_OK;
    return rc == JOBQ_OK ? begin_now(a, now_ms, settings) : rc;
}

static int add(struct jobq *q, const struct jobq_schedule *given, bool must_exist)
{
    struct definition d;
    struct timing timing = { .zone = NULL };
    struct addition a = { &d, &timing, must_exist };
    int rc = take_definition(q, given, &d);

    if (rc == JOBQ_OK)
        rc = timing_of(&d.schedule, &timing);
    if (rc == JOBQ_OK)
        rc = change(q, d.schedule.name, plan_addition, &a);
    zone_free(timing.zone);
    return rc;
}

int jobq_schedule_add(struct jobq *q, const struct jobq_schedule *schedule)
{
    return add(q, schedule, false);
}

int jobq_schedule_edit(struct jobq *q, const struct jobq_schedule *schedule)
{
    return add(q, schedule, true);
}

/* ---- remove, pause, resume ------------------------------------------------------------------------------------------- */

int jobq_schedule_remove(struct jobq *q, const char *name)
{
    struct jobq_settings settings = { .set = JOBQ_SETTING_SCHEDULE, .version = JOBQ_ANY_VERSION };
    int rc = check_call(q, name);

    return rc == JOBQ_OK ? store_settings(q, &settings, name) : rc;
}

static int plan_pause(struct jobq *q, const struct jobq_schedule_row *row, int64_t now_ms, struct jobq_arena *arena,
                      void *user, struct jobq_settings *settings)
{
    (void)arena;
    if (!row)
        return not_found(user);
    if (row->paused)
        return JOBQ_ALREADY;
    settings->set = JOBQ_SETTING_PAUSED;
    settings->paused = 1;
    settings->version = row->version;
    return fire_before(q, row, now_ms);
}

int jobq_schedule_pause(struct jobq *q, const char *name)
{
    int rc = check_call(q, name);

    return rc == JOBQ_OK ? change(q, name, plan_pause, (void *)(uintptr_t)name) : rc;
}

/* The first nominal time after an instant; who cannot tell says "look at once". */
static int64_t next_of_row(const struct jobq_schedule_row *row, struct jobq_arena *arena, int64_t after_ms,
                           int64_t unknown)
{
    struct definition d;
    struct timing timing = { .zone = NULL };
    int64_t next = unknown;

    if (definition_read(arena, row, &d) == JOBQ_OK && timing_of(&d.schedule, &timing) == JOBQ_OK)
        next = timing_next(&timing, after_ms);
    zone_free(timing.zone);
    return next;
}

static int plan_resume(struct jobq *q, const struct jobq_schedule_row *row, int64_t now_ms, struct jobq_arena *arena,
                       void *user, struct jobq_settings *settings)
{
    (void)q;
    if (!row)
        return not_found(user);
    if (!row->paused)
        return JOBQ_ALREADY;
    settings->set = JOBQ_SETTING_PAUSED | JOBQ_SETTING_NEXT;
    settings->version = row->version;
    settings->fired_ms = now_ms;
    settings->next_ms = next_of_row(row, arena, now_ms, now_ms);
    return JOBQ_OK;
}

int jobq_schedule_resume(struct jobq *q, const char *name)
{
    int rc = check_call(q, name);

    return rc == JOBQ_OK ? change(q, name, plan_resume, (void *)(uintptr_t)name) : rc;
}

/* ---- run now ------------------------------------------------------------------------------------------------------------ */

/* The schedule of this name as it was defined, in the arena. */
static int read_definition(struct jobq *q, const char *name, struct jobq_arena *arena, struct definition *out, int64_t *now_ms)
{
    const struct jobq_schedule_row *row = NULL;
    int rc = read_one(q, name, arena, &row, now_ms);

    if (rc == JOBQ_OK && !row)
        rc = not_found(name);
    return rc == JOBQ_OK ? definition_read(arena, row, out) : rc;
}

int jobq_schedule_run(struct jobq *q, const char *name, struct jobq_enqueued *out)
{
    struct jobq_arena *arena = jobq_arena_create();
    struct definition d;
    int64_t now_ms;
    int rc = check_call(q, name);

    if (rc == JOBQ_OK)
        rc = read_definition(q, name, arena, &d, &now_ms);
    if (rc == JOBQ_OK)
        rc = jobq_enqueue(q, &d.spec, out);
    jobq_arena_destroy(arena);
    return rc;
}

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

struct schedules_owner {
    struct jobq_schedules schedules;
    struct jobq_arena *arena;
};

static int view(struct jobq_arena *arena, const struct jobq_schedule_row *row, int64_t now_ms,
                struct jobq_schedule_info *out)
{
    struct definition *d = jobq_arena_alloc(arena, sizeof *d);
    int rc = d ? definition_read(arena, row, d) : fail_with(JOBQ_NOMEM, NULL, "out of memory for the answer");

    if (rc == JOBQ_NOMEM)
        return rc;
    *out = (struct jobq_schedule_info){ .size = sizeof *out, .version = row->version, .fired_at_ms = row->fired_ms,
                                        .paused = row->paused, .name = d->schedule.name };
    if (rc != JOBQ_OK)
        return JOBQ_OK;
    out->schedule = &d->schedule;
    out->next_at_ms = next_of_row(row, arena, row->paused && now_ms > row->fired_ms ? now_ms : row->fired_ms, 0);
    if (out->next_at_ms == INT64_MAX)
        out->next_at_ms = 0;
    return JOBQ_OK;
}

static int view_all(struct jobq_arena *arena, const struct jobq_schedule_query *query, struct jobq_schedules **out)
{
    struct schedules_owner *owner = malloc(sizeof *owner);
    struct jobq_schedule_info *infos = jobq_arena_alloc(arena, query->row_count * sizeof *infos + 1);
    int rc = owner && infos ? JOBQ_OK : fail_with(JOBQ_NOMEM, NULL, "out of memory for the answer");

    for (size_t i = 0; rc == JOBQ_OK && i < query->row_count; i++)
        rc = view(arena, &query->rows[i], query->now_ms, &infos[i]);
    if (rc != JOBQ_OK) {
        free(owner);
        return rc;
    }
    *owner = (struct schedules_owner){ { sizeof owner->schedules, query->row_count, infos, query->now_ms }, arena };
    *out = &owner->schedules;
    return JOBQ_OK;
}

static int read_and_view(struct jobq *q, struct jobq_schedule_query *query, struct jobq_schedules **out)
{
    struct jobq_arena *arena = jobq_arena_create();
    int rc = read_schedules(q, query, arena);

    if (rc == JOBQ_OK && query->name.data && query->row_count == 0)
        rc = not_found(query->name.data);
    if (rc == JOBQ_OK)
        rc = view_all(arena, query, out);
    if (rc != JOBQ_OK)
        jobq_arena_destroy(arena);
    return rc;
}

int jobq_schedule_get(struct jobq *q, const char *name, struct jobq_schedules **out)
{
    struct jobq_schedule_query query = { .name = bytes_of(name), .limit = 1 };
    int rc = check_call(q, name);

    *out = NULL;
    return rc == JOBQ_OK ? read_and_view(q, &query, out) : rc;
}

int jobq_schedule_list(struct jobq *q, const char *after, size_t limit, struct jobq_schedules **out)
{
    struct jobq_schedule_query query = { .after = bytes_of(after), .limit = limit ? limit : 100 };
    int rc = check_store(q);

    *out = NULL;
    if (rc == JOBQ_OK)
        rc = check_name_or_null("after", after);
    if (rc == JOBQ_OK && limit > EXCHANGE_ITEMS)
        rc = fail_with(JOBQ_INVALID, "limit", "limit: is %zu, must be 0 to %d", limit, EXCHANGE_ITEMS);
    return rc == JOBQ_OK ? read_and_view(q, &query, out) : rc;
}

void jobq_schedules_free(struct jobq_schedules *schedules)
{
    struct schedules_owner *owner = (struct schedules_owner *)(void *)schedules;

    if (!owner)
        return;
    jobq_arena_destroy(owner->arena);
    free(owner);
}

/* ---- the next times -------------------------------------------------------------------------------------------------------- */

static int check_next(int64_t after_ms, const int64_t *out_ms, size_t count)
{
    int rc = check_range("after_ms", after_ms, 0, MAX_MS);

    if (rc == JOBQ_OK && (count < 1 || count > EXCHANGE_ITEMS))
        rc = fail_with(JOBQ_INVALID, "count", "count: is %zu, must be 1 to %d", count, EXCHANGE_ITEMS);
    return rc == JOBQ_OK && !out_ms ? fail_with(JOBQ_INVALID, "out_ms", "out_ms: is NULL") : rc;
}

static int list_times(const struct jobq_schedule *schedule, int64_t after_ms, int64_t *out_ms, size_t count,
                      size_t *out_count)
{
    struct timing timing;
    int rc = timing_of(schedule, &timing);

    *out_count = 0;
    while (rc == JOBQ_OK && *out_count < count && (after_ms = timing_next(&timing, after_ms)) != INT64_MAX)
        out_ms[(*out_count)++] = after_ms;
    zone_free(timing.zone);
    return rc;
}

int jobq_schedule_next(struct jobq *q, const char *name, int64_t after_ms, int64_t *out_ms, size_t count,
                       size_t *out_count)
{
    struct jobq_arena *arena = jobq_arena_create();
    struct definition d;
    int64_t now_ms = 0;
    int rc = check_call(q, name);

    *out_count = 0;
    if (rc == JOBQ_OK)
        rc = check_next(after_ms, out_ms, count);
    if (rc == JOBQ_OK)
        rc = read_definition(q, name, arena, &d, &now_ms);
    if (rc == JOBQ_OK)
        rc = list_times(&d.schedule, after_ms ? after_ms : now_ms, out_ms, count, out_count);
    jobq_arena_destroy(arena);
    return rc;
}

int jobq_schedule_preview(const struct jobq_schedule *given, int64_t after_ms, int64_t *out_ms, size_t count,
                          size_t *out_count)
{
    struct jobq_schedule schedule;
    int rc = take_schedule(given, &schedule);

    *out_count = 0;
    if (rc == JOBQ_OK)
        rc = check_next(after_ms, out_ms, count);
    if (rc != JOBQ_OK)
        return rc;
    if (!schedule.anchor_ms)
        schedule.anchor_ms = after_ms;
    return list_times(&schedule, after_ms, out_ms, count, out_count);
}
