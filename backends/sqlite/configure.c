/* SPDX-License-Identifier: MIT */
/* Settings. */
#include "store.h"

static const uint32_t limits = JOBQ_SETTING_DEPTH | JOBQ_SETTING_CONCURRENCY | JOBQ_SETTING_GROUP_CONCURRENCY |
                               JOBQ_SETTING_RATE;

static struct value limit_or_null(int64_t limit)
{
    return limit < 0 ? nothing() : number(limit);
}

static int set_limits(struct turn *t, int64_t id, const struct jobq_settings *settings)
{
    struct queue_settings own;
    if (sq_queue_settings(t->s, id, &own) != 0)
        return -1;
    if (settings->set & JOBQ_SETTING_DEPTH)
        own.depth = settings->depth;
    if (settings->set & JOBQ_SETTING_CONCURRENCY)
        own.concurrency = settings->concurrency;
    if (settings->set & JOBQ_SETTING_GROUP_CONCURRENCY)
        own.group_concurrency = settings->group_concurrency;
    if (settings->set & JOBQ_SETTING_RATE) {
        own.rate = settings->rate;
        own.rate_period_ms = settings->rate_period_ms;
    }
    t->wake |= (settings->set & limits & ~(uint32_t)JOBQ_SETTING_DEPTH) != 0;
    return sq_run(t->s, SQL_QUEUE_LIMIT,
                  VALUES(number(id), limit_or_null(own.depth), limit_or_null(own.concurrency),
                         limit_or_null(own.group_concurrency), limit_or_null(own.rate), number(own.rate_period_ms)));
}

int sq_configure_queue(struct turn *t, const struct jobq_settings *settings)
{
    struct jobq_store *s = t->s;
    int64_t id;
    if (sq_queue_make(s, settings->name, &id) != 0)
        return -1;
    if (settings->set & JOBQ_SETTING_PAUSED) {
        t->wake |= !settings->paused;
        if (sq_run(s, SQL_QUEUE_PAUSE, VALUES(number(id), number(settings->paused != 0))) != 0)
            return -1;
    }
    if (settings->set & limits && set_limits(t, id, settings) != 0)
        return -1;
    if (!(settings->set & JOBQ_SETTING_KEEP))
        return 0;
    return sq_run(s, SQL_QUEUE_KEEP,
                  VALUES(number(id), number(settings->keep_count[JOBQ_ROW_COMPLETED]),
                         number(settings->keep_count[JOBQ_ROW_DEAD]), number(settings->keep_count[JOBQ_ROW_CANCELLED]),
                         number(settings->keep_ms[JOBQ_ROW_COMPLETED]), number(settings->keep_ms[JOBQ_ROW_DEAD]),
                         number(settings->keep_ms[JOBQ_ROW_CANCELLED]), number(settings->keep_ms[JOBQ_KEEP_RESULTS])));
}

static int stop_worker(struct turn *t, const struct jobq_settings *settings, int *status)
{
    if (sq_run(t->s, SQL_WORKER_ASK, VALUES(bytes(settings->name), number(t->now))) != 0)
        return -1;
    *status = sqlite3_changes(t->s->db) ? JOBQ_OK : JOBQ_NOT_FOUND;
    t->wake = true;
    return 0;
}

static int set(struct turn *t, const struct jobq_settings *settings, int *status)
{
    switch (settings->what) {
    case JOBQ_CONFIGURE_QUEUE:
        return sq_configure_queue(t, settings);
    case JOBQ_CONFIGURE_CLOCK:
        t->wake = true;
        return sq_run(t->s, SQL_CLOCK_SHIFT, VALUES(number(settings->clock_ms)));
    case JOBQ_CONFIGURE_EVENTS:
        return sq_events_limit(t, settings->events);
    case JOBQ_CONFIGURE_GROUP:
    case JOBQ_CONFIGURE_PLAN:
        return sq_configure_group(t, settings);
    case JOBQ_CONFIGURE_SCHEDULE:
        return sq_configure_schedule(t, settings, status);
    default:
        return stop_worker(t, settings, status);
    }
}

static bool is_known(const struct jobq_settings *settings)
{
    const uint32_t of_plan = JOBQ_SETTING_CONCURRENCY | JOBQ_SETTING_RATE | JOBQ_SETTING_QUOTA;
    if (settings->what == JOBQ_CONFIGURE_QUEUE)
        return !(settings->set & ~(limits | JOBQ_SETTING_PAUSED | JOBQ_SETTING_KEEP));
    if (settings->what == JOBQ_CONFIGURE_PLAN)
        return !(settings->set & ~of_plan);
    if (settings->what == JOBQ_CONFIGURE_GROUP)
        return !(settings->set & ~(settings->group.size ? of_plan | JOBQ_SETTING_PLAN : of_plan));
    return settings->what == JOBQ_CONFIGURE_CLOCK || settings->what == JOBQ_CONFIGURE_WORKER ||
           settings->what == JOBQ_CONFIGURE_EVENTS || settings->what == JOBQ_CONFIGURE_SCHEDULE;
}

int sq_configure_store(struct jobq_store *s, const struct jobq_settings *settings, struct jobq_error *err)
{
    struct turn t = { .s = s };
    bool unknown = false;
    int status = JOBQ_OK;
    if (s->inspect)
        return jobq_error_set(err, JOBQ_FAILED, NULL, "sqlite: opened to inspect: nothing can be written");
    if (!is_known(settings))
        return jobq_error_set(err, JOBQ_UNSUPPORTED, NULL, "sqlite: no such setting");
    s->turns++;
    if (sq_tx_begin_write(s) != 0)
        return sq_fault_report(s, err, JOBQ_FAILED);
    if (sq_clock_write(s, &t.now) != 0 || set(&t, settings, &status) != 0) {
        sq_tx_rollback(s);
        return sq_fault_report(s, err, JOBQ_FAILED);
    }
    if (sq_tx_commit(s, &unknown) != 0)
        return sq_fault_report(s, err, unknown ? JOBQ_UNKNOWN : JOBQ_FAILED);
    s->epoch++; /* what was read before is no longer so */
    if (t.wake)
        sq_wake_others(s);
    if (status == JOBQ_OUTDATED)
        return jobq_error_set(err, status, "version", "sqlite: the schedule was changed meanwhile");
    return status;
}
