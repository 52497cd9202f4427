/* SPDX-License-Identifier: MIT */
/* Settings. */
#include "store.h"

static bool is_known(const struct jobq_settings *settings)
{
    const uint32_t of_queue = JOBQ_SETTING_PAUSED | JOBQ_SETTING_DEPTH | JOBQ_SETTING_KEEP | JOBQ_SETTING_CONCURRENCY |
                              JOBQ_SETTING_GROUP_CONCURRENCY | JOBQ_SETTING_RATE;
    const uint32_t of_plan = JOBQ_SETTING_CONCURRENCY | JOBQ_SETTING_RATE | JOBQ_SETTING_QUOTA;
    const uint32_t of_schedule = JOBQ_SETTING_SCHEDULE | JOBQ_SETTING_NEXT | JOBQ_SETTING_PAUSED;
    if (settings->what == JOBQ_CONFIGURE_QUEUE)
        return !(settings->set & ~of_queue);
    if (settings->what == JOBQ_CONFIGURE_GROUP && settings->group.size)
        return !(settings->set & ~(of_plan | JOBQ_SETTING_PLAN));
    if (settings->what == JOBQ_CONFIGURE_GROUP || settings->what == JOBQ_CONFIGURE_PLAN)
        return !(settings->set & ~of_plan);
    if (settings->what == JOBQ_CONFIGURE_SCHEDULE)
        return !(settings->set & ~of_schedule);
    return settings->what == JOBQ_CONFIGURE_CLOCK || settings->what == JOBQ_CONFIGURE_WORKER ||
           settings->what == JOBQ_CONFIGURE_EVENTS;
}

static void say(struct jobq_store *s, const struct jobq_settings *settings)
{
    struct request *q = &s->request;
    rd_script_begin(s);
    rd_argument_begin(q);
    rd_u8(q, (unsigned)settings->what);
    rd_raw(q, s->handle, sizeof s->handle - 1);
    rd_u32(q, settings->set);
    rd_u8(q, settings->paused != 0);
    rd_i64(q, settings->depth < 0 ? -1 : settings->depth);
    for (int state = JOBQ_ROW_COMPLETED; state <= JOBQ_ROW_CANCELLED; state++)
        rd_i64(q, settings->keep_count[state]);
    for (int state = JOBQ_ROW_COMPLETED; state <= JOBQ_ROW_CANCELLED; state++)
        rd_i64(q, settings->keep_ms[state]);
    rd_i64(q, settings->keep_ms[JOBQ_KEEP_RESULTS]);
    rd_i64(q, settings->clock_ms);
    const int64_t limits[] = { settings->concurrency,    settings->group_concurrency, settings->rate,
                               settings->rate_period_ms, settings->quota,             settings->quota_period_ms };
    for (int i = 0; i < 6; i++)
        rd_i64(q, limits[i]);
    rd_argument_end(q);
    const struct jobq_bytes *name = settings->what == JOBQ_CONFIGURE_GROUP ? &settings->group : &settings->name;
    rd_argument(q, name->data, name->size);
    if (settings->what == JOBQ_CONFIGURE_GROUP || settings->what == JOBQ_CONFIGURE_PLAN)
        rd_argument(q, settings->plan.data, settings->plan.size);
    if (settings->what == JOBQ_CONFIGURE_SCHEDULE)
        rd_schedule_settings(q, settings);
    if (settings->what == JOBQ_CONFIGURE_EVENTS)
        rd_events_settings(q, settings);
}

/* lua/configure.lua numbers them. */
static int status_of(const struct jobq_store *s, long long answer, struct jobq_error *err)
{
    switch (answer) {
    case 0:
        return JOBQ_OK;
    case 1:
        return JOBQ_NOT_FOUND;
    case 3:
        return JOBQ_OUTDATED;
    default:
        return jobq_error_set(err, JOBQ_FAILED, NULL, "%s: the namespace is gone", s->address.shown);
    }
}

/* ---- a queue's string ------------------------------------------------------------------------------------------ */

enum part { PART_KEEP = 1, PART_LIMITS = 2 };

static void read_limit(struct reader *r, struct jobq_settings *s, uint32_t bit, int64_t *out)
{
    int64_t value = rd_get_i64(r);
    int64_t least = s->what == JOBQ_CONFIGURE_QUEUE ? 0 : JOBQ_LIMIT_NONE;
    *out = value >= least ? value : 0;
    s->set |= value >= least ? bit : 0;
}

static int64_t limit_or(const struct jobq_settings *s, uint32_t bit, int64_t value, int64_t otherwise)
{
    return s->set & bit && value > otherwise ? value : otherwise;
}

int rd_limits_read(struct reader *r, struct jobq_settings *s)
{
    read_limit(r, s, JOBQ_SETTING_CONCURRENCY, &s->concurrency);
    read_limit(r, s, JOBQ_SETTING_RATE, &s->rate);
    s->rate_period_ms = rd_get_i64(r);
    read_limit(r, s, JOBQ_SETTING_QUOTA, &s->quota);
    s->quota_period_ms = rd_get_i64(r);
    s->plan = rd_get_bytes(r, (size_t)(r->end - r->at));
    s->set |= s->plan.size ? JOBQ_SETTING_PLAN : 0;
    return r->broken ? -1 : 0;
}

void rd_limits_write(struct request *q, const struct jobq_settings *s)
{
    int64_t rate = limit_or(s, JOBQ_SETTING_RATE, s->rate, JOBQ_LIMIT_UNSET);
    int64_t quota = limit_or(s, JOBQ_SETTING_QUOTA, s->quota, JOBQ_LIMIT_UNSET);
    rd_argument_begin(q);
    rd_i64(q, limit_or(s, JOBQ_SETTING_CONCURRENCY, s->concurrency, JOBQ_LIMIT_UNSET));
    rd_i64(q, rate);
    rd_i64(q, rate >= 0 ? s->rate_period_ms : 0);
    rd_i64(q, quota);
    rd_i64(q, quota >= 0 ? s->quota_period_ms : 0);
    if (s->set & JOBQ_SETTING_PLAN)
        rd_raw(q, s->plan.data, s->plan.size);
    rd_argument_end(q);
}

int rd_queue_read(struct reader *r, struct jobq_item_settings *out)
{
    struct jobq_settings *s = &out->settings;
    rd_get_raw(r, (size_t)6 * 6); /* rows by state */
    uint64_t *const totals[] = { &out->enqueued_total, &out->completed_total, &out->dead_total, &out->cancelled_total,
                                 &out->failed_total, &out->completed_trimmed, &out->dead_trimmed,
                                 &out->cancelled_trimmed };
    for (int i = 0; i < 8; i++)
        *totals[i] = rd_get_u48(r);
    rd_get_raw(r, 6); /* rows in records */
    *s = (struct jobq_settings){ .size = sizeof *s, .what = JOBQ_CONFIGURE_QUEUE, .depth = rd_get_i64(r) };
    s->set = s->depth >= 0 ? JOBQ_SETTING_DEPTH : 0;
    s->depth = s->depth >= 0 ? s->depth : 0;
    s->paused = rd_get_u8(r);
    s->set |= s->paused ? JOBQ_SETTING_PAUSED : 0;
    unsigned parts = rd_get_u8(r);
    if (parts & PART_KEEP) {
        s->set |= JOBQ_SETTING_KEEP;
        for (int state = JOBQ_ROW_COMPLETED; state <= JOBQ_ROW_CANCELLED; state++)
            s->keep_count[state] = rd_get_i64(r);
        for (int state = JOBQ_ROW_COMPLETED; state <= JOBQ_ROW_CANCELLED; state++)
            s->keep_ms[state] = rd_get_i64(r);
        s->keep_ms[JOBQ_KEEP_RESULTS] = rd_get_i64(r);
    }
    if (parts & PART_LIMITS) {
        read_limit(r, s, JOBQ_SETTING_CONCURRENCY, &s->concurrency);
        read_limit(r, s, JOBQ_SETTING_GROUP_CONCURRENCY, &s->group_concurrency);
        read_limit(r, s, JOBQ_SETTING_RATE, &s->rate);
        s->rate_period_ms = rd_get_i64(r);
    }
    return r->broken ? -1 : 0;
}

void rd_queue_write(struct request *q, const struct jobq_settings *s)
{
    bool has_keep = s->set & JOBQ_SETTING_KEEP, has_depth = s->set & JOBQ_SETTING_DEPTH && s->depth >= 0;
    rd_argument_begin(q);
    rd_i64(q, has_depth ? s->depth : -1);
    rd_u8(q, s->set & JOBQ_SETTING_PAUSED && s->paused);
    const int64_t at_once = limit_or(s, JOBQ_SETTING_CONCURRENCY, s->concurrency, -1);
    const int64_t of_group = limit_or(s, JOBQ_SETTING_GROUP_CONCURRENCY, s->group_concurrency, -1);
    const int64_t rate = limit_or(s, JOBQ_SETTING_RATE, s->rate, -1);
    bool has_limits = at_once >= 0 || of_group >= 0 || rate >= 0;
    rd_u8(q, (has_keep ? PART_KEEP : 0) | (has_limits ? PART_LIMITS : 0));
    for (int state = JOBQ_ROW_COMPLETED; has_keep && state <= JOBQ_ROW_CANCELLED; state++)
        rd_i64(q, s->keep_count[state]);
    for (int state = JOBQ_ROW_COMPLETED; has_keep && state <= JOBQ_ROW_CANCELLED; state++)
        rd_i64(q, s->keep_ms[state]);
    if (has_keep)
        rd_i64(q, s->keep_ms[JOBQ_KEEP_RESULTS]);
    const int64_t limits[] = { at_once, of_group, rate, rate >= 0 ? s->rate_period_ms : 0 };
    for (int i = 0; has_limits && i < 4; i++)
        rd_i64(q, limits[i]);
    rd_argument_end(q);
}

/* ---- configure --------------------------------------------------------------------------------------------------- */

int rd_configure_store(struct jobq_store *s, const struct jobq_settings *settings, struct jobq_error *err)
{
    redisReply *reply;
    if (s->inspect)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "%s: opened to inspect: nothing can be written", s->address.shown);
    if (!is_known(settings))
        return jobq_error_set(err, JOBQ_UNSUPPORTED, NULL, "redis: limits of groups and rates are not supported");
    rd_link_begin(&s->link);
    say(s, settings);
    if (rd_script_run(s, SCRIPT_CONFIGURE, &reply) != 0)
        return rd_fault_report(&s->link, err);
    long long status = reply->type == REDIS_REPLY_INTEGER ? reply->integer : 2;
    freeReplyObject(reply);
    return status_of(s, status, err);
}
