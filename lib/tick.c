/* SPDX-License-Identifier: MIT */
/* Which nominal times of a schedule are due, and the exchange that fires them. */
#include "schedule.h"

#include <string.h>

/* ---- the plan --------------------------------------------------------------------------------------------------- */

int timing_of(const struct jobq_schedule *s, struct timing *out)
{
    int rc = JOBQ_OK;

    *out = (struct timing){ .every_ms = s->every_ms, .anchor_ms = s->anchor_ms };
    if (s->every_ms)
        return JOBQ_OK;
    rc = cron_parse(s->cron, &out->cron);
    if (rc == JOBQ_OK)
        rc = zone_load(s->zone ? s->zone : "UTC", &out->zone);
    out->gap_runs = s->gap == JOBQ_GAP_DEFAULT ? !out->cron.runs_through : s->gap == JOBQ_GAP_RUN;
    out->fold_both = s->fold == JOBQ_FOLD_DEFAULT ? out->cron.runs_through : s->fold == JOBQ_FOLD_BOTH;
    return rc;
}

/* Shall this time be put, the `count` later ones being put already? */
static bool is_put(int missed, bool late, size_t count)
{
    return !late || missed == JOBQ_MISSED_ALL || (missed == JOBQ_MISSED_ONE && count == 0);
}

static void turn_round(int64_t *at, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        int64_t other = at[i];
        at[i] = at[count - 1 - i];
        at[count - 1 - i] = other;
    }
}

void tick_plan(const struct timing *timing, int missed, int64_t late_ms, int64_t fired_ms, int64_t now_ms,
               struct tick_plan *out)
{
    int64_t at = timing_last(timing, fired_ms, now_ms);

    out->count = 0;
    out->settled_ms = at;
    out->next_ms = timing_next(timing, now_ms > fired_ms ? now_ms : fired_ms);
    /* From the newest back, so that what is far behind costs nothing. */
    while (at != INT64_MIN && out->count < TICKS_AT_ONCE &&
           is_put(missed, jobq_add_ms(now_ms, -late_ms) >= at, out->count)) {
        out->at_ms[out->count++] = at;
        at = timing_last(timing, fired_ms, at - 1);
    }
    turn_round(out->at_ms, out->count);
}

/* ---- the exchange --------------------------------------------------------------------------------------------------- */

/* The puts of one schedule. */
struct firing {
    struct jobq *q;
    struct ticks *ticks;
    const struct jobq_schedule_row *row;
    struct jobq_arena *arena;
    struct call *call;
    size_t room;
};

static struct jobq_put *add_put(struct firing *f, int mode, int64_t nominal_ms, int64_t next_ms)
{
    struct jobq_put_tick *tick = jobq_arena_alloc(f->arena, sizeof *tick);
    struct jobq_put *put = &f->call->puts[f->call->put_count];

    if (!tick || f->call->put_count == f->room)
        return NULL;
    *tick = (struct jobq_put_tick){ f->row->name, f->row->version, nominal_ms, next_ms, mode };
    *put = (struct jobq_put){ .tick = tick, .only_if = -1 };
    f->call->put_count++;
    return put;
}

/* A tick that puts no row still is a put: it needs an id and the names that a put has. */
static int add_mark(struct firing *f, int mode, int64_t nominal_ms, int64_t next_ms)
{
    struct jobq_put *put = add_put(f, mode, nominal_ms, next_ms);

    if (!put)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for a schedule");
    put->queue = put->kind = f->row->name;
    put->payload = (struct jobq_bytes){ "", 0 };
    return jobq_id_new(&put->id);
}

static int add_job(struct firing *f, const struct jobq_spec *spec, int64_t nominal_ms, int64_t next_ms)
{
    struct put_scratch *scratch = jobq_arena_alloc(f->arena, sizeof *scratch);
    struct jobq_put *put = scratch ? add_put(f, JOBQ_TICK_PUT, nominal_ms, next_ms) : NULL;
    const struct jobq_put_tick *tick = put ? put->tick : NULL;
    /* The nominal time, so that it can be seen; but due now, also where schedules go by another clock. */
    int64_t at = nominal_ms < f->ticks->store_now_ms ? nominal_ms : f->ticks->store_now_ms;
    int rc;

    if (!put)
        return fail_with(JOBQ_NOMEM, NULL, "out of memory for a schedule");
    rc = put_of_spec(f->q, spec, scratch, put);
    put->tick = tick;
    put->run_at = (struct jobq_time){ JOBQ_TIME_ABS, at };
    return rc;
}

/* How many of the plan's jobs fit into one exchange; the others are found due again. */
static size_t jobs_that_fit(const struct tick_plan *plan, const struct jobq_spec *spec)
{
    size_t bytes = spec->payload.size + spec->key.size + 4 * NAME_MAX_BYTES, fit = EXCHANGE_BYTES / bytes;

    fit = fit ? fit : 1;
    return plan->count < fit ? plan->count : fit;
}

/* First a promise to look again soon: it stands if no job can be put. Then the jobs. */
static int add_due(struct firing *f, const struct tick_plan *plan, const struct jobq_spec *spec)
{
    size_t count = jobs_that_fit(plan, spec);
    int64_t soon = jobq_add_ms(f->ticks->now_ms, TICK_RETRY_MS);
    int rc;

    if (plan->settled_ms == INT64_MIN)
        return add_mark(f, JOBQ_TICK_DEFER, INT64_MAX, plan->next_ms);
    if (count == 0)
        return add_mark(f, JOBQ_TICK_SKIP, plan->settled_ms, plan->next_ms);
    rc = add_mark(f, JOBQ_TICK_DEFER, plan->at_ms[0], soon);
    for (size_t i = 0; i < count && rc == JOBQ_OK; i++)
        rc = add_job(f, spec, plan->at_ms[i], count < plan->count ? plan->at_ms[count] : plan->next_ms);
    return rc;
}

static int add_puts(struct firing *f)
{
    struct definition d;
    struct timing timing = { .zone = NULL };
    struct tick_plan plan;
    int rc = definition_read(f->arena, f->row, &d);

    if (rc == JOBQ_OK)
        rc = timing_of(&d.schedule, &timing);
    if (rc == JOBQ_OK) {
        tick_plan(&timing, d.schedule.missed, d.schedule.late_ms, f->row->fired_ms, f->ticks->now_ms, &plan);
        rc = add_due(f, &plan, &d.spec);
    }
    zone_free(timing.zone);
    if (rc == JOBQ_OK || rc == JOBQ_NOMEM)
        return rc;
    /* Somebody who can read it, or has the zone, may come; meanwhile it must not keep the others from being seen. */
    f->call->put_count = 0;
    return add_mark(f, JOBQ_TICK_DEFER, INT64_MAX, jobq_add_ms(f->ticks->now_ms, TICK_STRANGE_MS));
}

/* A failure when the store took not one of the puts: then nothing has moved, and asking at once would go on for ever. */
static int read_answer(struct firing *f)
{
    const struct call *call = f->call;
    bool heard = false;

    for (size_t i = 0; i < call->put_count; i++) {
        int verdict = call->puts[i].verdict;
        f->ticks->fired += call->puts[i].tick->mode == JOBQ_TICK_PUT && verdict == JOBQ_OK;
        heard |= verdict != JOBQ_FAILED && verdict != JOBQ_UNKNOWN;
    }
    f->ticks->wait_ms = INT64_MAX;
    if (call->next_tick_ms != INT64_MAX)
        f->ticks->wait_ms = call->next_tick_ms > call->now_ms ? call->next_tick_ms - call->now_ms : 0;
    return heard ? JOBQ_OK : fail_with(JOBQ_FAILED, NULL, "the store does not take the job of a schedule");
}

static int fire(struct jobq *q, struct ticks *ticks, const struct jobq_schedule_row *row)
{
    struct firing f = { .q = q, .ticks = ticks, .row = row, .arena = jobq_arena_create(), .call = call_create(),
                        .room = TICKS_AT_ONCE + 1 };
    int rc;

    if (f.arena && f.call)
        f.call->puts = jobq_arena_alloc(f.arena, f.room * sizeof *f.call->puts);
    if (!f.arena || !f.call || !f.call->puts)
        rc = fail_with(JOBQ_NOMEM, NULL, "out of memory for a schedule");
    else
        rc = add_puts(&f);
    if (rc == JOBQ_OK) {
        f.call->lends = true;
        f.call->separable = true;
        rc = call_run(q, f.call, 0);
    }
    if (rc == JOBQ_OK)
        rc = read_answer(&f);
    call_unref(f.call);
    jobq_arena_destroy(f.arena);
    return rc;
}

int ticks_fire(struct jobq *q, struct ticks *ticks)
{
    int rc = JOBQ_OK;

    ticks->fired = 0;
    ticks->wait_ms = 0;
    for (size_t i = 0; i < ticks->count && rc == JOBQ_OK; i++)
        rc = fire(q, ticks, &ticks->rows[i]);
    return rc;
}
